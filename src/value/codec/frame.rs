//! Finds the end of a value, or of any other record, without decoding it.
//!
//! A record is described by a short list of [`Unit`]s. A [`Frame`] walks it over bytes that
//! arrive in pieces of any size and remembers where it is, so that every byte is looked at once
//! (but for the few of a length that is cut in two) and no byte needs to be kept for it.

use super::primitive::{
    ENCODING_INT8, ENCODING_INT16, ENCODING_INT32, ENCODING_LZF, Length, check_string_len,
};
use super::{CodecError, Reader, kind};

/// A part of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// A string in any encoding.
    String,
    /// A length, also as number.
    Len,
    /// So many bytes.
    Bytes(u8),
    /// A double as text behind its length; 253, 254 and 255 stand for nan and the infinities.
    TextDouble,
    /// A module's data: opcodes and what they announce, up to the opcode 0.
    Module,
    /// A length, and these units so many times.
    Counted(&'static [Unit]),
}

use Unit::{Bytes, Counted, Len, Module, String, TextDouble};

const STRINGS: &[Unit] = &[Counted(&[String])];
const PENDING: Unit = Counted(&[Bytes(16), Bytes(8), Len]);
const CONSUMERS: Unit = Counted(&[String, Bytes(8), Counted(&[Bytes(16)])]);
const CONSUMERS_ACTIVE: Unit = Counted(&[String, Bytes(8), Bytes(8), Counted(&[Bytes(16)])]);

/// The units of a value, or `None` if it cannot be told where it ends.
fn units_of_value(kind: u8) -> Option<&'static [Unit]> {
    Some(match kind {
        kind::STRING
        | kind::HASH_ZIPMAP
        | kind::LIST_ZIPLIST
        | kind::SET_INTSET
        | kind::SORTED_SET_ZIPLIST
        | kind::HASH_ZIPLIST
        | kind::HASH_LISTPACK
        | kind::SORTED_SET_LISTPACK
        | kind::SET_LISTPACK
        | kind::HASH_LISTPACK_EX_PRE_RELEASE => &[String],
        kind::LIST | kind::SET | kind::LIST_QUICKLIST => STRINGS,
        kind::SORTED_SET => &[Counted(&[String, TextDouble])],
        kind::SORTED_SET_2 => &[Counted(&[String, Bytes(8)])],
        kind::HASH => &[Counted(&[String, String])],
        kind::MODULE_2 => &[Len, Module],
        kind::LIST_QUICKLIST_2 => &[Counted(&[Len, String])],
        // Nodes; elements and last id; groups.
        kind::STREAM => &[
            Counted(&[String, String]),
            Len,
            Len,
            Len,
            Counted(&[String, Len, Len, PENDING, CONSUMERS]),
        ],
        // Also the first id, the greatest deleted id, the entries ever added; a group also has
        // its number of entries read.
        kind::STREAM_2 => &[
            Counted(&[String, String]),
            Len,
            Len,
            Len,
            Len,
            Len,
            Len,
            Len,
            Len,
            Counted(&[String, Len, Len, Len, PENDING, CONSUMERS]),
        ],
        kind::STREAM_3 => &[
            Counted(&[String, String]),
            Len,
            Len,
            Len,
            Len,
            Len,
            Len,
            Len,
            Len,
            Counted(&[String, Len, Len, Len, PENDING, CONSUMERS_ACTIVE]),
        ],
        // TTL, field, value; the later ones begin with the smallest expiry.
        kind::HASH_METADATA_PRE_RELEASE => &[Counted(&[Len, String, String])],
        kind::HASH_METADATA => &[Bytes(8), Counted(&[Len, String, String])],
        kind::HASH_LISTPACK_EX => &[Bytes(8), String],
        _ => return None,
    })
}

/// The nesting of the deepest record: a stream's consumers' pending entries.
const DEPTH_MAX: usize = 4;

/// What a module's opcodes announce.
const MODULE_END: u64 = 0;
const MODULE_SIGNED: u64 = 1;
const MODULE_UNSIGNED: u64 = 2;
const MODULE_FLOAT: u64 = 3;
const MODULE_DOUBLE: u64 = 4;
const MODULE_STRING: u64 = 5;

/// How far [`Frame::advance`] came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// So many bytes were passed; the record goes on. What was not passed must be given again,
    /// with more behind it.
    More(usize),
    /// The record ended after so many bytes.
    Done(usize),
}

/// Where a walk through a record stands.
#[derive(Clone, Debug)]
pub struct Frame {
    levels: [Level; DEPTH_MAX],
    depth: usize,
    /// Bytes of a string or a fixed field that are still to be passed.
    skip: u64,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    units: &'static [Unit],
    next: usize,
    /// How many times the units are still to come, this one included.
    rounds: u64,
}

impl Frame {
    /// A walk through one record made of `units`, nested less than four deep.
    pub fn new(units: &'static [Unit]) -> Self {
        let level = Level {
            units,
            next: 0,
            rounds: 1,
        };
        Self {
            levels: [level; DEPTH_MAX],
            depth: 1,
            skip: 0,
        }
    }

    /// A walk through a value.
    ///
    /// Fails for a type that does not exist, and for values of the first module format, which
    /// do not say where they end.
    pub fn of_value(kind: u8) -> Result<Self, CodecError> {
        match (units_of_value(kind), kind::name(kind)) {
            (Some(units), _) => Ok(Self::new(units)),
            (None, Some(name)) => Err(CodecError::Unsupported(name)),
            (None, None) => Err(CodecError::UnknownType(kind)),
        }
    }

    /// Passes as much of `data` as can be; `data` begins where the last call stopped.
    ///
    /// Takes time in proportion to `data`: every step but the last passes at least one byte.
    pub fn advance(&mut self, data: &[u8]) -> Result<Progress, CodecError> {
        let mut at = 0;
        loop {
            let step = self.skip.min((data.len() - at) as u64);
            at += step as usize;
            self.skip -= step;
            if self.skip > 0 {
                return Ok(Progress::More(at));
            }
            let Some(unit) = self.unit() else {
                return Ok(Progress::Done(at));
            };
            let mut reader = Reader::new(&data[at..]);
            match self.enter(unit, &mut reader) {
                Ok(()) => at = data.len() - reader.remaining(),
                Err(CodecError::Truncated) => return Ok(Progress::More(at)),
                Err(error) => return Err(error),
            }
        }
    }

    /// The unit that comes next, after leaving the levels that have ended.
    fn unit(&mut self) -> Option<Unit> {
        while self.depth > 0 {
            let level = &mut self.levels[self.depth - 1];
            if level.rounds > 0 && level.next == level.units.len() {
                level.rounds -= 1;
                level.next = 0;
            }
            if level.rounds > 0 {
                return Some(level.units[level.next]);
            }
            self.depth -= 1;
        }
        None
    }

    /// Reads the head of `unit` and notes what follows it. Changes nothing if it fails.
    fn enter(&mut self, unit: Unit, reader: &mut Reader<'_>) -> Result<(), CodecError> {
        let mut inner = None;
        let mut stay = false;
        match unit {
            String => self.skip = string_tail(reader)?,
            Len => drop(reader.plain_len()?),
            Bytes(count) => self.skip = u64::from(count),
            TextDouble => match reader.u8()? {
                253.. => {}
                len => self.skip = u64::from(len),
            },
            Module => (self.skip, stay) = module_item(reader)?,
            Counted(units) => {
                inner = Some(Level {
                    units,
                    next: 0,
                    rounds: reader.plain_len()?,
                })
            }
        }
        if !stay {
            self.levels[self.depth - 1].next += 1;
        }
        if let Some(level) = inner {
            assert!(
                self.depth < DEPTH_MAX,
                "a record's units nest deeper than any record"
            );
            self.levels[self.depth] = level;
            self.depth += 1;
        }
        Ok(())
    }
}

/// Reads the head of a string; gives the number of bytes behind it.
fn string_tail(reader: &mut Reader<'_>) -> Result<u64, CodecError> {
    match reader.length()? {
        Length::Plain(len) => check_string_len(len),
        Length::Encoded(ENCODING_INT8) => Ok(1),
        Length::Encoded(ENCODING_INT16) => Ok(2),
        Length::Encoded(ENCODING_INT32) => Ok(4),
        Length::Encoded(ENCODING_LZF) => {
            let packed_len = reader.string_len()?;
            reader.string_len()?;
            Ok(packed_len)
        }
        Length::Encoded(_) => Err(CodecError::Corrupt("unknown encoding of a string")),
    }
}

/// Reads an opcode of a module's data and the head of what it announces; gives the number of
/// bytes behind it and whether more opcodes follow.
fn module_item(reader: &mut Reader<'_>) -> Result<(u64, bool), CodecError> {
    Ok(match reader.plain_len()? {
        MODULE_END => (0, false),
        MODULE_SIGNED | MODULE_UNSIGNED => {
            reader.plain_len()?;
            (0, true)
        }
        MODULE_FLOAT => (4, true),
        MODULE_DOUBLE => (8, true),
        MODULE_STRING => (string_tail(reader)?, true),
        _ => return Err(CodecError::Corrupt("unknown opcode in a module's data")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks over `data` in steps of `step` bytes; gives where the record ended.
    fn walk(mut frame: Frame, data: &[u8], step: usize) -> Result<Option<usize>, CodecError> {
        let mut passed = 0;
        let mut end = 0;
        while end < data.len() {
            end = (end + step).min(data.len());
            match frame.advance(&data[passed..end])? {
                Progress::More(more) => passed += more,
                Progress::Done(more) => return Ok(Some(passed + more)),
            }
        }
        Ok(None)
    }

    fn samples() -> Vec<(u8, Vec<u8>)> {
        let lzf = b"\xc3\x05\x0a\x00a\xe0\x00\x00".as_slice();
        let strings = [b"\x03\x03abc\xc1\x01\x02".as_slice(), lzf].concat();
        let mut samples = vec![
            (kind::STRING, b"\x05hello".to_vec()),
            (kind::STRING, lzf.to_vec()),
            (kind::STRING, b"\xc2\x01\x02\x03\x04".to_vec()),
            (kind::LIST, strings.clone()),
            (kind::LIST, b"\x00".to_vec()),
            (kind::SET, strings.clone()),
            (
                kind::SORTED_SET,
                b"\x03\x01a\x031.5\x01b\xfd\x01c\xff".to_vec(),
            ),
            (
                kind::SORTED_SET_2,
                b"\x02\x01a12345678\x01b12345678".to_vec(),
            ),
            (kind::HASH, b"\x02\x01a\xc0\x01\x01b\x02xy".to_vec()),
            (
                kind::MODULE_2,
                b"\x81\x01\x02\x03\x04\x05\x06\x07\x08\x02\x40\x50\x01\x05\x03abcd\x0412345678\
                  \x05\x02hi\x00"
                    .to_vec(),
            ),
            (kind::LIST_QUICKLIST, strings),
            (
                kind::LIST_QUICKLIST_2,
                b"\x02\x01\x03abc\x02\x02lp".to_vec(),
            ),
            (
                kind::HASH_METADATA_PRE_RELEASE,
                b"\x01\x05\x01f\x01v".to_vec(),
            ),
            (
                kind::HASH_METADATA,
                b"12345678\x02\x05\x01f\x01v\x00\x01g\x01v".to_vec(),
            ),
            (kind::HASH_LISTPACK_EX_PRE_RELEASE, b"\x02lp".to_vec()),
            (kind::HASH_LISTPACK_EX, b"12345678\x02lp".to_vec()),
        ];
        samples.extend(stream_samples());
        samples
    }

    fn stream_samples() -> Vec<(u8, Vec<u8>)> {
        let stream_nodes = b"\x01\x10aaaaaaaaaaaaaaaa\x02lp".as_slice();
        let id = [7u8; 16];
        let pending = [
            b"\x02".as_slice(),
            &id,
            &[0; 8],
            b"\x01",
            &id,
            &[0; 8],
            b"\x40\x50",
        ];
        let consumer = [b"\x01\x02me".as_slice(), &[1; 8], b"\x02", &id, &id].concat();
        let consumer_3 = [b"\x01\x02me".as_slice(), &[1; 16], b"\x02", &id, &id].concat();
        let pending = pending.concat();
        vec![
            (
                kind::STREAM,
                [
                    stream_nodes,
                    b"\x01\x02\x03\x01\x01g\x01\x02",
                    &pending,
                    &consumer,
                ]
                .concat(),
            ),
            (
                kind::STREAM_2,
                [
                    stream_nodes,
                    b"\x01\x02\x03\x04\x05\x06\x07\x08\x02",
                    b"\x01g\x01\x02\x03",
                    &pending,
                    &consumer,
                    b"\x01h\x01\x02\x03\x00\x00",
                ]
                .concat(),
            ),
            (
                kind::STREAM_3,
                [
                    stream_nodes,
                    b"\x01\x02\x03\x04\x05\x06\x07\x08\x01\x01g\x01\x02\x03",
                    &pending,
                    &consumer_3,
                ]
                .concat(),
            ),
        ]
    }

    #[test]
    fn every_type_ends_where_it_ends_whatever_the_split() {
        for (kind, value) in samples() {
            let frame = Frame::of_value(kind).unwrap();
            let data = [&value[..], b"\x01\x02\x03next"].concat();
            for step in 1..=data.len() {
                let end = walk(frame.clone(), &data, step);
                assert_eq!(end, Ok(Some(value.len())), "type {kind} in steps of {step}");
            }
            for end in 0..value.len() {
                assert_eq!(
                    walk(frame.clone(), &value[..end], 3),
                    Ok(None),
                    "type {kind}"
                );
            }
        }
    }

    #[test]
    fn types_without_an_end_or_a_meaning_are_refused() {
        assert_eq!(
            Frame::of_value(6).err(),
            Some(CodecError::Unsupported("module"))
        );
        for kind in [8, 26, 100, 243] {
            assert_eq!(
                Frame::of_value(kind).err(),
                Some(CodecError::UnknownType(kind))
            );
        }
    }

    #[test]
    fn huge_counts_wait_for_data_instead_of_looping() {
        for (kind, data) in [
            (kind::LIST, &b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"[..]),
            (kind::STREAM_2, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a"),
        ] {
            let end = walk(Frame::of_value(kind).unwrap(), data, 100);
            assert_eq!(end, Ok(None));
        }
        let string = b"\x81\x00\x00\x00\x01\x00\x00\x00\x00";
        assert_eq!(
            walk(Frame::of_value(0).unwrap(), string, 9),
            Err(CodecError::TooLong)
        );
    }
}
