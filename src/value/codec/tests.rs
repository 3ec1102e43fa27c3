//! Whole values: against DUMPs of a real server, round trips, and hostile payloads.

use super::*;
use crate::value::hash::{Hash, HashLimits};
use crate::value::listpack::Listpack;
use crate::value::set::SetLimits;
use crate::value::stream::StreamId;
use crate::value::{HashSeed, Kind, Value, ValueRef, crc64};

const DUMPS: &[u8] = include_bytes!("../../persistence/rdb/fixtures/redis-7.0.15-dumps.bin");

/// As the server that made the fixtures has them.
const LIMITS: HashLimits = HashLimits {
    entries_max: 512,
    value_len_max: 64,
};

pub(super) fn collections() -> Collections {
    Collections {
        list_limits: Default::default(),
        hash_limits: LIMITS,
        set_limits: SetLimits::default(),
        sorted_set_limits: Default::default(),
        seed: HashSeed([1, 2, 3, 4]),
    }
}

/// A key of the fixture: see the README beside it.
struct Dumped {
    key: Vec<u8>,
    encoding: String,
    dump: Vec<u8>,
    content: Vec<Vec<u8>>,
}

fn dumps() -> Vec<Dumped> {
    let mut reader = Reader::new(DUMPS);
    let mut all = Vec::new();
    while reader.remaining() > 0 {
        let mut blob = || {
            let len = reader.u32_le().unwrap();
            reader.bytes(u64::from(len)).unwrap().to_vec()
        };
        let (key, encoding, dump) = (blob(), blob(), blob());
        let encoding = String::from_utf8(encoding).unwrap();
        let count = reader.u32_le().unwrap();
        let content = (0..count)
            .map(|_| {
                let len = reader.u32_le().unwrap();
                reader.bytes(u64::from(len)).unwrap().to_vec()
            })
            .collect();
        all.push(Dumped {
            key,
            encoding,
            dump,
            content,
        });
    }
    all
}

/// The strings that GET or HGETALL would reply, a hash's sorted by field.
fn content(value: ValueRef<'_>) -> Vec<Vec<u8>> {
    match value {
        ValueRef::Int(value) => vec![value.to_string().into_bytes()],
        ValueRef::Bytes(bytes) => vec![bytes.to_vec()],
        ValueRef::Hash(hash) => {
            let mut pairs: Vec<_> = hash
                .iter()
                .map(|(field, value)| [field.to_vec(), value.to_vec()])
                .collect();
            pairs.sort();
            pairs.into_iter().flatten().collect()
        }
        ValueRef::List(list) => list.to_vec(),
        ValueRef::Stream(stream) => {
            let entries = stream.range(StreamId::MIN, StreamId::MAX);
            entries
                .flat_map(|entry| {
                    let pairs = entry.pairs().flat_map(|(field, value)| [field, value]);
                    std::iter::once(entry.id.to_string().into_bytes())
                        .chain(pairs.map(|text| text.to_vec()))
                })
                .collect()
        }
        ValueRef::Set(set) => {
            let mut members: Vec<_> = set.iter().map(|member| member.to_vec()).collect();
            members.sort();
            members
        }
        other => panic!("not a type that these tests make: {other:?}"),
    }
}

fn sorted_pairs(content: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut pairs: Vec<_> = content.chunks(2).map(<[Vec<u8>]>::to_vec).collect();
    pairs.sort();
    pairs.into_iter().flatten().collect()
}

/// `payload` with the footer that a peer would give it.
pub(super) fn signed(payload: &[u8]) -> Vec<u8> {
    let mut out = [payload, &10u16.to_le_bytes()].concat();
    out.extend_from_slice(&crc64::checksum(&out).to_le_bytes());
    out
}

pub(crate) fn restore_signed(payload: &[u8]) -> Result<Value, RestoreError> {
    restore(&signed(payload), &collections())
}

pub(super) fn string_payload(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    write_string_with(&mut out, content, Compression::None);
    out
}

#[test]
fn dumps_of_a_real_server_restore_to_the_same_values() {
    let all = dumps();
    assert_eq!(all.len(), 23);
    let mut identical = 0;
    for Dumped {
        key,
        encoding,
        dump: payload,
        content: expected,
    } in &all
    {
        let key = key.escape_ascii();
        let value = restore(payload, &collections()).unwrap_or_else(|e| panic!("{key}: {e}"));
        let again = dump(value.borrow(), Compression::Lzf);
        match &value {
            Value::Hash(hash) => {
                assert_eq!(hash.encoding(), encoding, "{key}");
                assert_eq!(content(value.borrow()), sorted_pairs(expected), "{key}");
            }
            _ => {
                assert_eq!(matches!(value, Value::Int(_)), encoding == "int", "{key}");
                assert_eq!(&content(value.borrow()), expected, "{key}");
            }
        }
        assert_eq!(again[0], payload[0], "{key}");
        let restored = restore(&again, &collections()).unwrap();
        assert_eq!(content(restored.borrow()), content(value.borrow()), "{key}");
        // A table has no order, and LZF leaves the choice of matches to the writer.
        if encoding != "hashtable" && payload[1] != 0xc3 {
            assert_eq!(&again, payload, "{key}");
            identical += 1;
        }
        if payload[1] == 0xc3 {
            assert!(again.len() <= payload.len() + payload.len() / 10, "{key}");
        }
    }
    assert!(
        identical >= 14,
        "only {identical} payloads could be compared"
    );
}

#[test]
fn the_footer_is_checked_first() {
    let good = dump(ValueRef::Bytes(b"hello"), Compression::Lzf);
    assert_eq!(
        good,
        *b"\x00\x05hello\x0a\x00\x63\x72\xdf\x76\x65\x34\x20\x0a".as_slice()
    );
    let refused = |payload: &[u8]| {
        matches!(
            restore(payload, &collections()),
            Err(RestoreError::VersionOrChecksum)
        )
    };
    for end in 0..good.len() {
        assert!(refused(&good[..end]), "{end} bytes");
        let mut bad = good.clone();
        bad[end] ^= 1;
        assert!(refused(&bad), "byte {end} changed");
    }
    for (version, accepted) in [
        (0u16, true),
        (9, true),
        (11, true),
        (12, false),
        (80, false),
    ] {
        let mut payload = [b"\x00\x01a".as_slice(), &version.to_le_bytes()].concat();
        payload.extend_from_slice(&crc64::checksum(&payload).to_le_bytes());
        assert_eq!(!refused(&payload), accepted, "version {version}");
    }
}

#[test]
fn a_string_of_digits_becomes_an_integer_however_it_was_written() {
    assert!(matches!(restore_signed(b"\x00\x0212"), Ok(Value::Int(12))));
    assert!(matches!(
        restore_signed(b"\x00\xc0\x0c"),
        Ok(Value::Int(12))
    ));
    assert!(matches!(
        restore_signed(b"\x00\x139223372036854775807"),
        Ok(Value::Int(i64::MAX))
    ));
    assert!(matches!(
        restore_signed(b"\x00\x03012"),
        Ok(Value::Bytes(_))
    ));
}

#[test]
fn all_encodings_of_a_hash_give_the_same_hash() {
    let mut listpack = Listpack::new();
    ["name", "x", "age", "-7", "", "300"]
        .iter()
        .for_each(|e| listpack.push_back(e.as_bytes()));
    let ziplist = legacy::tests::build_ziplist(&[
        b"\x04name",
        b"\x01x",
        b"\x03age",
        b"\xfe\xf9",
        b"\x00",
        b"\xc0\x2c\x01",
    ]);
    let zipmap = b"\x03\x04name\x01\x02x--\x03age\x02\x00-7\x00\x03\x00300\xff";
    let plain = b"\x04\x03\x04name\x01x\x03age\xc0\xf9\x00\xc1\x2c\x01";
    for payload in [
        string_payload(kind::HASH_LISTPACK, listpack.bytes()),
        string_payload(kind::HASH_ZIPLIST, &ziplist),
        string_payload(kind::HASH_ZIPMAP, zipmap),
        plain.to_vec(),
    ] {
        let value = restore_signed(&payload).unwrap();
        let Value::Hash(hash) = &value else {
            panic!("not a hash: {value:?}");
        };
        assert_eq!(
            hash.as_listpack().map(Listpack::bytes),
            Some(listpack.bytes())
        );
    }
}

#[test]
fn hashes_without_fields_without_values_or_with_duplicates_are_refused() {
    let listpack = |elements: &[&str]| {
        let mut listpack = Listpack::new();
        elements
            .iter()
            .for_each(|e| listpack.push_back(e.as_bytes()));
        string_payload(kind::HASH_LISTPACK, listpack.bytes())
    };
    let ziplist = |entries: &[&[u8]]| {
        string_payload(kind::HASH_ZIPLIST, &legacy::tests::build_ziplist(entries))
    };
    let mut large = vec![kind::HASH];
    write_len(&mut large, 1001);
    for i in (0..1000).chain([500]) {
        write_string(&mut large, format!("f{i}").as_bytes());
        write_string(&mut large, b"v");
    }
    let long = [b'v'; 63];
    let payloads = [
        listpack(&[]),
        listpack(&["a"]),
        listpack(&["a", "1", "b"]),
        listpack(&["a", "1", "a", "2"]),
        listpack(&["7", "1", "7", "2"]),
        ziplist(&[]),
        ziplist(&[b"\x01a"]),
        ziplist(&[b"\x01a", b"\x01b", b"\x01a", b"\x01b"]),
        // The same number twice, as text and as integer.
        ziplist(&[b"\x017", b"\x01b", b"\xf8", b"\x01b"]),
        string_payload(kind::HASH_ZIPMAP, b"\x00\xff"),
        string_payload(kind::HASH_ZIPMAP, b"\x02\x01a\x01\x00b\x01a\x01\x00b\xff"),
        b"\x04\x00".to_vec(),
        b"\x04\x02\x01a\x01b\x01a\x01b".to_vec(),
        [b"\x04\x02\x01a\x3f".as_slice(), &long, b"\x01a\x3f", &long].concat(),
        [
            b"\x04\x02\x01a\x40\x7e".as_slice(),
            &long,
            &long,
            b"\x01a\x01b",
        ]
        .concat(),
        large,
    ];
    for (i, payload) in payloads.iter().enumerate() {
        let result = restore_signed(payload);
        assert!(
            matches!(result, Err(RestoreError::Data(_))),
            "payload {i}: {result:?}"
        );
    }
}

#[test]
fn a_duplicate_behind_a_long_value_is_found() {
    let mut payload = b"\x04\x03\x01a\x01b".to_vec();
    write_string(&mut payload, b"long");
    write_string(&mut payload, &[b'x'; 100]);
    let unique = [&payload[..], b"\x01c\x01d"].concat();
    let value = restore_signed(&unique).unwrap();
    assert!(matches!(&value, Value::Hash(hash) if hash.encoding() == "hashtable"));
    assert_eq!(content(value.borrow()).len(), 6);
    assert!(restore_signed(&[&payload[..], b"\x01a\x01d"].concat()).is_err());
}

#[test]
fn the_limits_decide_the_encoding_of_a_hash() {
    let pairs = |count: usize| {
        let mut hash = Hash::new();
        let loose = HashLimits {
            entries_max: 1000,
            value_len_max: 1000,
        };
        for i in 0..count {
            hash.set(
                format!("f{i}").as_bytes(),
                b"v",
                &loose,
                &collections().seed,
            );
        }
        hash
    };
    for (count, encoding) in [(512, "listpack"), (513, "hashtable")] {
        let hash = pairs(count);
        let as_listpack = dump(ValueRef::Hash(&hash), Compression::Lzf);
        let mut plain = vec![kind::HASH];
        write_len(&mut plain, count as u64);
        for (field, value) in hash.iter() {
            field.with_bytes(|field| write_string(&mut plain, field));
            value.with_bytes(|value| write_string(&mut plain, value));
        }
        for payload in [as_listpack, signed(&plain)] {
            let value = restore(&payload, &collections()).unwrap();
            assert!(
                matches!(&value, Value::Hash(hash) if hash.encoding() == encoding),
                "{count} fields, type {}",
                payload[0]
            );
            assert_eq!(content(value.borrow()), content(ValueRef::Hash(&hash)));
        }
    }
}

#[test]
fn types_that_are_not_held_are_named_if_they_are_well_formed() {
    for (payload, error) in [
        (
            &b"\x18\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01a\x01b"[..],
            CodecError::Unsupported("hash with field TTLs"),
        ),
        (b"\x05\x01\x01a1234567", CodecError::Truncated),
        (b"\x06\x01", CodecError::Unsupported("module")),
        (b"\x08\x01", CodecError::UnknownType(8)),
        (b"\xfa\x01", CodecError::UnknownType(250)),
        (b"", CodecError::Truncated),
    ] {
        assert_eq!(
            restore_signed(payload).err(),
            Some(RestoreError::Data(error))
        );
    }
}

#[test]
fn data_behind_a_value_is_refused() {
    assert!(restore_signed(b"\x00\x01a").is_ok());
    assert!(restore_signed(b"\x00\x01ab").is_err());
}

#[test]
fn what_a_payload_claims_is_not_allocated() {
    for payload in [
        &b"\x00\x80\xff\xff\xff\xff"[..],
        b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x00\xc3\x02\x80\xff\xff\xff\xff\x00a",
        b"\x04\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x01b",
        b"\x10\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x0d\x0b\x0b\0\0\0\x0a\0\0\0\xff\xff\xff",
        b"\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert!(restore_signed(payload).is_err(), "{payload:?}");
    }
}

#[test]
fn every_value_round_trips_with_and_without_compression() {
    let mut table = Hash::new();
    for i in 0..600i64 {
        let value = b"abc".repeat(i as usize % 40);
        table.set(
            format!("field{i}").as_bytes(),
            &value,
            &LIMITS,
            &collections().seed,
        );
    }
    let values = [
        Value::Int(i64::MIN),
        Value::string(b"10000000000"),
        Value::Bytes(Vec::new()),
        Value::Bytes(b"ab".repeat(3_000_000)),
        Value::Raw(b"raw".to_vec()),
        Value::Hash(Box::new(table)),
    ];
    for value in &values {
        for compression in [Compression::Lzf, Compression::None] {
            let mut out = Vec::new();
            write_value_with(&mut out, value.borrow(), compression);
            let mut reader = Reader::new(&out);
            let read = read_value(type_byte(value.borrow()), &mut reader, &collections());
            assert_eq!(content(read.unwrap().borrow()), content(value.borrow()));
            assert_eq!(reader.remaining(), 0);
        }
    }
}

/// A small generator for the mutation loops: the seed is all there is to a failure.
pub(crate) struct Random(pub u64);

impl Random {
    /// SplitMix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Changes `data` in one to four places: bytes, bits, cuts and repetitions.
    pub fn mutate(&mut self, data: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            if data.is_empty() {
                return;
            }
            let at = self.below(data.len());
            match self.below(6) {
                0 => data[at] = self.next() as u8,
                1 => data[at] ^= 1 << self.below(8),
                2 => data[at] = [0, 0x3f, 0x7f, 0x80, 0x81, 0xc3, 0xfe, 0xff][self.below(8)],
                3 => data.truncate(at),
                4 => drop(data.remove(at)),
                _ => {
                    let end = data.len().min(at + 1 + self.below(16));
                    let piece = data[at..end].to_vec();
                    data.splice(at..at, piece);
                }
            }
        }
    }
}

#[test]
fn a_hundred_thousand_mutated_dumps_are_values_or_errors() {
    let mut samples: Vec<Vec<u8>> = dumps()
        .iter()
        .map(|dumped| dumped.dump[..dumped.dump.len() - 10].to_vec())
        .filter(|payload| payload.len() < 400)
        .collect();
    let entries: [&[u8]; 4] = [b"\x04name", b"\xfe\x07", b"\x02ab", b"\x41\x00"];
    samples.push(string_payload(
        kind::HASH_ZIPLIST,
        &legacy::tests::build_ziplist(&entries[..2]),
    ));
    samples.push(string_payload(
        kind::HASH_ZIPLIST,
        &legacy::tests::build_ziplist(&entries),
    ));
    samples.push(string_payload(
        kind::HASH_ZIPMAP,
        b"\x02\x01a\x01\x02b--\x02cd\x00\x00\xff",
    ));
    samples.push(b"\x12\x02\x01\x03abc\x02\x02lp".to_vec());
    samples.push(b"\x13\x01\x01a\x02lp\x01\x02\x03\x04\x05\x06\x07\x08\x00".to_vec());
    let seed = 0x0b5e_55ed;
    let mut random = Random(seed);
    let (mut values, mut errors) = (0, 0);
    for _ in 0..100_000 {
        let mut payload = samples[random.below(samples.len())].clone();
        random.mutate(&mut payload);
        match restore_signed(&payload) {
            // What was accepted must hold together: write it, and read it back.
            Ok(value) => {
                values += 1;
                let again = restore(&dump(value.borrow(), Compression::Lzf), &collections())
                    .unwrap_or_else(|e| panic!("seed {seed:#x}: {payload:?}: {e}"));
                assert_eq!(content(again.borrow()), content(value.borrow()));
                assert!(matches!(
                    value.kind(),
                    Kind::String | Kind::Hash | Kind::List | Kind::Set | Kind::Stream
                ));
            }
            Err(_) => errors += 1,
        }
    }
    assert!(
        values > 1000 && errors > 50_000,
        "{values} values, {errors} errors"
    );
}
