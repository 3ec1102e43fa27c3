//! The payloads of sorted sets.
//!
//! ```text
//! 3    count  { member  score as text }*
//! 5    count  { member  score:f64 little-endian }*       written from the last to the first
//! 12   a ziplist of member, score, member, score in order, as a string
//! 17   the same as a listpack
//! ```
//!
//! Scores as text have a length byte; 253, 254 and 255 stand for nan and the infinities. Of the
//! first two the order does not matter; of the others Redis relies on it, and here it is checked.

use super::legacy::read_ziplist;
use super::{CodecError, Collections, Compression, Reader, kind, write_len, write_string_with};
use crate::value::listpack::Listpack;
use crate::value::number::parse_f64_lenient;
use crate::value::sorted_set::{SortedSet, SortedSetError};
use std::ops::Range;

/// Appends the payload of a sorted set.
pub(super) fn write(out: &mut Vec<u8>, set: &SortedSet, compression: Compression) {
    if let Some(listpack) = set.as_listpack() {
        return write_string_with(out, listpack.bytes(), compression);
    }
    write_len(out, set.len() as u64);
    write_members(out, set, 0..set.len(), compression);
}

/// Appends members of these ranks, the last first: so Redis, and we too, can put each before all
/// others that came before it.
pub(super) fn write_members(
    out: &mut Vec<u8>,
    set: &SortedSet,
    ranks: Range<usize>,
    compression: Compression,
) {
    set.walk(ranks, true, |member, score| {
        member.with_bytes(|member| write_string_with(out, member, compression));
        out.extend_from_slice(&score.to_le_bytes());
    });
}

/// Reads a sorted set of one of its four types.
pub(super) fn read(
    kind: u8,
    reader: &mut Reader<'_>,
    collections: &Collections,
) -> Result<SortedSet, CodecError> {
    let (limits, seed) = (&collections.sorted_set_limits, &collections.seed);
    let listpack = match kind {
        kind::SORTED_SET => return read_pairs(reader, collections, text_double),
        kind::SORTED_SET_2 => {
            let double = |reader: &mut Reader<'_>| Ok(f64::from_bits(reader.u64_le()?));
            return read_pairs(reader, collections, double);
        }
        kind::SORTED_SET_ZIPLIST => {
            let mut listpack = Listpack::new();
            reader.string()?.with(|ziplist| {
                read_ziplist(ziplist, |element| {
                    element.with(|element| {
                        if !listpack.fits(element.len()) {
                            return Err(CodecError::TooLong);
                        }
                        listpack.push_back(element);
                        Ok(())
                    })
                })
            })?;
            listpack
        }
        _ => Listpack::from_bytes(reader.string()?.into_bytes())
            .map_err(|_| CodecError::Corrupt("malformed listpack"))?,
    };
    Ok(SortedSet::from_listpack(listpack, limits, seed)?)
}

fn read_pairs(
    reader: &mut Reader<'_>,
    collections: &Collections,
    score: impl Fn(&mut Reader<'_>) -> Result<f64, CodecError>,
) -> Result<SortedSet, CodecError> {
    let (limits, seed) = (&collections.sorted_set_limits, &collections.seed);
    let count = reader.plain_len()?;
    let mut set = SortedSet::new_large(seed);
    for _ in 0..count {
        let member = reader.string()?;
        let score = score(reader)?;
        if score.is_nan() {
            return Err(SortedSetError::Score.into());
        }
        let new = member
            .with(|member| set.push_front(member, score) || set.set(member, score, limits, seed));
        if !new {
            return Err(SortedSetError::Duplicate.into());
        }
    }
    if set.is_empty() {
        return Err(CodecError::Empty);
    }
    set.compact(limits);
    Ok(set)
}

fn text_double(reader: &mut Reader<'_>) -> Result<f64, CodecError> {
    Ok(match reader.u8()? {
        253 => f64::NAN,
        254 => f64::INFINITY,
        255 => f64::NEG_INFINITY,
        len => {
            let text = reader.bytes(u64::from(len))?;
            parse_f64_lenient(text).ok_or(SortedSetError::Score)?
        }
    })
}

impl From<SortedSetError> for CodecError {
    fn from(error: SortedSetError) -> Self {
        match error {
            SortedSetError::Empty => CodecError::Empty,
            SortedSetError::Odd => CodecError::Corrupt("a member of a sorted set without a score"),
            SortedSetError::Duplicate => CodecError::Corrupt("a sorted set with a member twice"),
            SortedSetError::Score => CodecError::Corrupt("a sorted set with a malformed score"),
            SortedSetError::Order => CodecError::Corrupt("a sorted set out of order"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::codec::legacy::tests::build_ziplist;
    use crate::value::codec::tests::Random;
    use crate::value::codec::{RestoreError, dump, restore, write_string_with};
    use crate::value::{HashSeed, Value, crc64};

    /// DUMPs of valkey-server 8.0.1 of the same members, small and large, without their footers.
    const LISTPACK: &[u8] = b"\x11@gg\x00\x00\x00\x0c\x00\x81d\x02\x84-inf\x05\x81a\x02\x01\x01\
        \x81b\x02\x832.5\x04\xb8a member that has some more letters than fit into a slot9\x03\x01\
        \xf190\x03\x07\x01\x81e\x02\x83inf\x04\xff";
    const SKIPLIST: &[u8] = b"\x05\x06\x01e\x00\x00\x00\x00\x00\x00\xf0\x7f\xc190\x00\x00\x00\x00\
        \x00\x00\x1c@8a member that has some more letters than fit into a slot\x00\x00\x00\x00\x00\
        \x00\x08@\x01b\x00\x00\x00\x00\x00\x00\x04@\x01a\x00\x00\x00\x00\x00\x00\xf0?\x01d\x00\x00\
        \x00\x00\x00\x00\xf0\xff";

    fn collections(entries_max: usize) -> Collections {
        let mut collections = Collections {
            set_limits: Default::default(),
            hash_limits: Default::default(),
            list_limits: Default::default(),
            sorted_set_limits: Default::default(),
            seed: HashSeed([1, 2, 3, 4]),
        };
        collections.sorted_set_limits.entries_max = entries_max;
        collections
    }

    fn signed(payload: &[u8]) -> Vec<u8> {
        let mut out = [payload, &10u16.to_le_bytes()].concat();
        out.extend_from_slice(&crc64::checksum(&out).to_le_bytes());
        out
    }

    fn restored(payload: &[u8], entries_max: usize) -> Result<SortedSet, RestoreError> {
        match restore(&signed(payload), &collections(entries_max))? {
            Value::SortedSet(set) => Ok(*set),
            other => panic!("no sorted set: {other:?}"),
        }
    }

    fn content(set: &SortedSet) -> Vec<(Vec<u8>, f64)> {
        let mut pairs = Vec::new();
        set.for_each(|member, score| pairs.push((member.to_vec(), score)));
        pairs
    }

    fn as_string(kind: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![kind];
        write_string_with(&mut out, content, Compression::None);
        out
    }

    #[test]
    fn payloads_of_a_real_server_are_read_and_written_back_the_same() {
        let small = restored(LISTPACK, 128).unwrap();
        let large = restored(SKIPLIST, 0).unwrap();
        assert_eq!(
            (small.encoding(), large.encoding()),
            ("listpack", "skiplist")
        );
        assert_eq!((small.len(), content(&small)), (6, content(&large)));
        let dumped = |set: &SortedSet| {
            dump(
                Value::SortedSet(Box::new(set.clone())).borrow(),
                Compression::Lzf,
            )
        };
        assert_eq!(dumped(&small), signed(LISTPACK));
        assert_eq!(dumped(&large), signed(SKIPLIST));
        // Each becomes the other where the limits say so.
        assert_eq!(restored(LISTPACK, 5).unwrap().encoding(), "skiplist");
        let packed = restored(SKIPLIST, 6).unwrap();
        assert_eq!(dumped(&packed), signed(LISTPACK));
    }

    #[test]
    fn the_forms_of_old_servers_are_read() {
        let ziplist = build_ziplist(&[
            b"\x01a", b"\xf2", b"\x01b", b"\x031.5", b"\x01c", b"\x03inf",
        ]);
        let set = restored(&as_string(kind::SORTED_SET_ZIPLIST, &ziplist), 128).unwrap();
        let want = [("a", 1.0), ("b", 1.5), ("c", f64::INFINITY)];
        let want = want.map(|(member, score)| (member.as_bytes().to_vec(), score));
        assert_eq!((set.encoding(), content(&set)), ("listpack", want.to_vec()));
        let text = b"\x03\x03\x01b\x031.5\x01c\xfe\x01a\x011";
        assert_eq!(content(&restored(text, 128).unwrap()), want);
        assert_eq!(content(&restored(text, 2).unwrap()), want);
        let low = restored(b"\x03\x01\x01b\xff", 128).unwrap();
        assert_eq!(content(&low), [(b"b".to_vec(), f64::NEG_INFINITY)]);
    }

    #[test]
    fn what_is_no_sorted_set_is_refused() {
        let nan = f64::NAN.to_le_bytes();
        let one = 1f64.to_le_bytes();
        let listpack = |elements: &[&str]| {
            let mut listpack = Listpack::new();
            elements
                .iter()
                .for_each(|element| listpack.push_back(element.as_bytes()));
            as_string(kind::SORTED_SET_LISTPACK, listpack.bytes())
        };
        for payload in [
            b"\x03\x00".to_vec(),
            b"\x05\x00".to_vec(),
            b"\x03\x01\x01a\xfd".to_vec(),
            b"\x03\x01\x01a\x01x".to_vec(),
            b"\x03\x02\x01a\x011\x01a\x012".to_vec(),
            b"\x05\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a".to_vec(),
            [b"\x05\x01\x01a".as_slice(), &nan].concat(),
            [b"\x05\x02\x01a".as_slice(), &one, b"\x01a", &one].concat(),
            listpack(&[]),
            listpack(&["a"]),
            listpack(&["a", "x"]),
            listpack(&["a", "nan"]),
            listpack(&["a", "2", "b", "1"]),
            listpack(&["b", "1", "a", "1"]),
            listpack(&["a", "1", "a", "1"]),
            listpack(&["a", "1", "b", "2", "a", "3"]),
            as_string(kind::SORTED_SET_ZIPLIST, &build_ziplist(&[b"\x01a"])),
            as_string(kind::SORTED_SET_ZIPLIST, &build_ziplist(&[])),
            as_string(kind::SORTED_SET_LISTPACK, b"junk"),
        ] {
            assert!(restored(&payload, 128).is_err(), "{payload:?}");
        }
    }

    #[test]
    fn mutated_payloads_are_sorted_sets_or_errors() {
        let ziplist = build_ziplist(&[b"\x01a", b"\xf2", b"\x01b", b"\x031.5"]);
        let samples = [
            LISTPACK.to_vec(),
            SKIPLIST.to_vec(),
            as_string(kind::SORTED_SET_ZIPLIST, &ziplist),
            b"\x03\x03\x01b\x031.5\x01c\xfe\x01a\x011".to_vec(),
        ];
        let seed = 0x5e7_0f5e7;
        let mut random = Random(seed);
        let (mut values, mut errors) = (0, 0);
        for _ in 0..40_000 {
            let mut payload = samples[random.below(samples.len())].clone();
            let kind = payload[0];
            random.mutate(&mut payload);
            if payload.first() != Some(&kind) {
                continue;
            }
            let entries_max = random.below(8);
            match restored(&payload, entries_max) {
                Ok(set) => {
                    values += 1;
                    let again = dump(
                        Value::SortedSet(Box::new(set.clone())).borrow(),
                        Compression::Lzf,
                    );
                    let again = restore(&again, &collections(entries_max))
                        .unwrap_or_else(|e| panic!("seed {seed:#x}: {payload:?}: {e}"));
                    let Value::SortedSet(again) = again else {
                        panic!("seed {seed:#x}: {payload:?}: another type");
                    };
                    let bits = |set: &SortedSet| -> Vec<(Vec<u8>, String)> {
                        let pairs = content(set).into_iter();
                        pairs
                            .map(|(member, score)| (member, (score + 0.0).to_string()))
                            .collect()
                    };
                    assert_eq!(bits(&again), bits(&set), "seed {seed:#x}: {payload:?}");
                }
                Err(_) => errors += 1,
            }
        }
        assert!(
            values > 1000 && errors > 10_000,
            "{values} values, {errors} errors"
        );
    }
}
