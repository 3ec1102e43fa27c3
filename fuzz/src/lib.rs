//! What every fuzz target does: a payload of DUMP, of one of a type's encodings, is refused or makes
//! a value that holds together.
//!
//! The targets need `cargo-fuzz` and a nightly compiler; the suites of the server run seeded mutations
//! of real payloads through the same code on stable. A payload is built from the input so that the
//! fuzzer need not find the checksum: its first byte chooses the encoding, the rest is the body.

use banyan::value::codec::{Collections, Compression, dump, restore};
use banyan::value::{HashSeed, crc64};

/// The version that RESTORE of Redis 7.0 takes.
const RDB_VERSION: u16 = 10;

/// Restores what `data` describes, which is of one of the encodings `kinds`.
pub fn check(kinds: &[u8], data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let mut payload = vec![kinds[usize::from(*first) % kinds.len()]];
    payload.extend_from_slice(body);
    payload.extend_from_slice(&RDB_VERSION.to_le_bytes());
    let sum = crc64::checksum(&payload);
    payload.extend_from_slice(&sum.to_le_bytes());
    let collections = Collections {
        list_limits: Default::default(),
        hash_limits: Default::default(),
        set_limits: Default::default(),
        sorted_set_limits: Default::default(),
        seed: HashSeed([1, 2, 3, 4]),
    };
    let Ok(value) = restore(&payload, &collections) else {
        return;
    };
    let written = dump(value.borrow(), Compression::Lzf);
    let again = restore(&written, &collections).expect("what was accepted is written soundly");
    assert_eq!(again.kind(), value.kind());
}
