//! The two building blocks of RDB: lengths and strings.
//!
//! ```text
//! 00LLLLLL                        length of 6 bits
//! 01LLLLLL LLLLLLLL               length of 14 bits
//! 10000000 + 4 bytes big-endian   length of 32 bits
//! 10000001 + 8 bytes big-endian   length of 64 bits
//! 11000000 + 1 byte               a string that is an int8
//! 11000001 + 2 bytes little-endian                   int16
//! 11000010 + 4 bytes little-endian                   int32
//! 11000011 + length, length, bytes    compressed length, length, LZF data
//! ```
//!
//! A string is a length and its bytes, or one of the encodings that begin with `11`.

use super::{CodecError, Compression, Frame, Progress, lzf};
use crate::value::number;

/// The longest string that is read, compressed or not: 4 GiB, which listpacks can reach.
pub const STRING_LEN_MAX: u64 = u32::MAX as u64;
/// Strings up to this length are never compressed: there is nothing to gain.
const COMPRESS_LEN_MIN: usize = 21;
/// Strings above this length are written as they are. Compressing one of them would stall its
/// shard for milliseconds, and what is that large is seldom text.
const COMPRESS_LEN_MAX: usize = 1 << 20;

pub(super) const ENCODING_INT8: u8 = 0;
pub(super) const ENCODING_INT16: u8 = 1;
pub(super) const ENCODING_INT32: u8 = 2;
pub(super) const ENCODING_LZF: u8 = 3;

/// Appends a length in its shortest form.
pub fn write_len(out: &mut Vec<u8>, len: u64) {
    if len < 1 << 6 {
        out.push(len as u8);
    } else if len < 1 << 14 {
        out.extend_from_slice(&(0x4000 | len as u16).to_be_bytes());
    } else if let Ok(len) = u32::try_from(len) {
        out.push(0x80);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(0x81);
        out.extend_from_slice(&len.to_be_bytes());
    }
}

/// Appends a string: as an integer if it is the canonical decimal form of an int32, compressed
/// if that pays, as its bytes otherwise.
pub fn write_string(out: &mut Vec<u8>, string: &[u8]) {
    write_string_with(out, string, Compression::Lzf);
}

/// As [`write_string`], with the choice of compression.
pub fn write_string_with(out: &mut Vec<u8>, string: &[u8], compression: Compression) {
    if let Some(value) = canonical_i32(string) {
        write_i32(out, value);
        return;
    }
    if compression == Compression::Lzf
        && (COMPRESS_LEN_MIN..=COMPRESS_LEN_MAX).contains(&string.len())
        && write_compressed(out, string)
    {
        return;
    }
    write_len(out, string.len() as u64);
    out.extend_from_slice(string);
}

/// Appends the string that is the decimal form of `value`.
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    match i32::try_from(value) {
        Ok(value) => write_i32(out, value),
        Err(_) => {
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(value).as_bytes();
            write_len(out, digits.len() as u64);
            out.extend_from_slice(digits);
        }
    }
}

fn write_i32(out: &mut Vec<u8>, value: i32) {
    if let Ok(value) = i8::try_from(value) {
        out.extend_from_slice(&[0xc0 | ENCODING_INT8, value as u8]);
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xc0 | ENCODING_INT16);
        out.extend_from_slice(&value.to_le_bytes());
    } else {
        out.push(0xc0 | ENCODING_INT32);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends the LZF form of `string`, at least four bytes shorter, or nothing.
fn write_compressed(out: &mut Vec<u8>, string: &[u8]) -> bool {
    // The header stands before the data but is known only behind it: leave the most room that
    // it can take (the encoding and two lengths of 32 bits) and close the gap afterwards.
    let start = out.len();
    let room = 11;
    out.resize(start + room, 0);
    if !lzf::compress(string, string.len() - 4, out) {
        out.truncate(start);
        return false;
    }
    let packed_len = out.len() - start - room;
    let mut header = Vec::with_capacity(room);
    header.push(0xc0 | ENCODING_LZF);
    write_len(&mut header, packed_len as u64);
    write_len(&mut header, string.len() as u64);
    out.splice(start..start + room, header);
    true
}

/// Appends a string of `len` bytes of which `packed` is the LZF form.
pub(super) fn write_packed(out: &mut Vec<u8>, packed: &[u8], len: u32) {
    out.push(0xc0 | ENCODING_LZF);
    write_len(out, packed.len() as u64);
    write_len(out, u64::from(len));
    out.extend_from_slice(packed);
}

/// The value of `text` if it is the one decimal form that an int32 is written in.
fn canonical_i32(text: &[u8]) -> Option<i32> {
    i32::try_from(number::parse_i64(text)?).ok()
}

/// A length, or the encoding of a string that has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Length {
    Plain(u64),
    Encoded(u8),
}

/// A string as read: borrowed where the payload holds its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text<'a> {
    /// Written as an integer.
    Int(i64),
    /// Written as its bytes.
    Bytes(&'a [u8]),
    /// Written compressed.
    Unpacked(Vec<u8>),
}

impl Text<'_> {
    /// Calls `f` with the bytes of the string.
    pub fn with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Text::Int(value) => f(itoa::Buffer::new().format(*value).as_bytes()),
            Text::Bytes(bytes) => f(bytes),
            Text::Unpacked(bytes) => f(bytes),
        }
    }

    /// The bytes of the string as a vector of its own.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Text::Unpacked(bytes) => bytes,
            other => other.with(<[u8]>::to_vec),
        }
    }
}

/// Reads primitives off a complete payload. Never goes back, never beyond the end.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// How many bytes were not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: u64) -> Result<&'a [u8], CodecError> {
        let count = usize::try_from(count).map_err(|_| CodecError::Truncated)?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Moves `frame` on over what remains.
    pub(super) fn advance(&mut self, frame: &mut Frame) -> Result<Progress, CodecError> {
        let progress = frame.advance(self.rest)?;
        let (Progress::More(passed) | Progress::Done(passed)) = progress;
        self.bytes(passed as u64)?;
        Ok(progress)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>()?[0])
    }

    /// The next four bytes, little-endian.
    pub fn u32_le(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// The next eight bytes, little-endian.
    pub fn u64_le(&mut self) -> Result<u64, CodecError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn length(&mut self) -> Result<Length, CodecError> {
        let first = self.u8()?;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(first & 0x3f)),
            1 => Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.u8()?)),
            2 if first == 0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
            2 => return Err(CodecError::Corrupt("unknown form of a length")),
            _ => Length::Encoded(first & 0x3f),
        })
    }

    /// A length or count.
    pub fn plain_len(&mut self) -> Result<u64, CodecError> {
        match self.length()? {
            Length::Plain(len) => Ok(len),
            Length::Encoded(_) => Err(CodecError::Corrupt("a string where a length belongs")),
        }
    }

    /// Like [`Reader::plain_len`], checked to be below [`STRING_LEN_MAX`].
    pub(super) fn string_len(&mut self) -> Result<u64, CodecError> {
        check_string_len(self.plain_len()?)
    }

    /// A string in any of its encodings.
    pub fn string(&mut self) -> Result<Text<'a>, CodecError> {
        Ok(match self.length()? {
            Length::Plain(len) => Text::Bytes(self.bytes(check_string_len(len)?)?),
            Length::Encoded(ENCODING_INT8) => Text::Int(i8::from_le_bytes(self.array()?).into()),
            Length::Encoded(ENCODING_INT16) => Text::Int(i16::from_le_bytes(self.array()?).into()),
            Length::Encoded(ENCODING_INT32) => Text::Int(i32::from_le_bytes(self.array()?).into()),
            Length::Encoded(ENCODING_LZF) => {
                let packed_len = self.string_len()?;
                let len = self.string_len()?;
                let packed = self.bytes(packed_len)?;
                let len = usize::try_from(len).map_err(|_| CodecError::TooLong)?;
                Text::Unpacked(lzf::decompress(packed, len)?)
            }
            Length::Encoded(_) => return Err(CodecError::Corrupt("unknown encoding of a string")),
        })
    }
}

pub(super) fn check_string_len(len: u64) -> Result<u64, CodecError> {
    if len > STRING_LEN_MAX {
        return Err(CodecError::TooLong);
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(string: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_string(&mut out, string);
        out
    }

    fn read(data: &[u8]) -> Result<Vec<u8>, CodecError> {
        let mut reader = Reader::new(data);
        let text = reader.string()?;
        assert_eq!(reader.remaining(), 0);
        Ok(text.into_bytes())
    }

    #[test]
    fn lengths_take_their_shortest_form() {
        for (len, bytes) in [
            (0, &b"\x00"[..]),
            (63, b"\x3f"),
            (64, b"\x40\x40"),
            (16_383, b"\x7f\xff"),
            (16_384, b"\x80\x00\x00\x40\x00"),
            (u64::from(u32::MAX), b"\x80\xff\xff\xff\xff"),
            (1 << 32, b"\x81\0\0\0\x01\0\0\0\0"),
            (u64::MAX, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"),
        ] {
            let mut out = Vec::new();
            write_len(&mut out, len);
            assert_eq!(out, bytes);
            assert_eq!(Reader::new(bytes).plain_len(), Ok(len));
            for end in 0..bytes.len() {
                assert_eq!(
                    Reader::new(&bytes[..end]).plain_len(),
                    Err(CodecError::Truncated)
                );
            }
        }
        assert!(Reader::new(b"\x82\0\0\0\0\0\0\0\0").plain_len().is_err());
        assert!(Reader::new(b"\xc0\0").plain_len().is_err());
    }

    #[test]
    fn strings_that_are_small_integers_are_written_as_such() {
        for (text, bytes) in [
            (&b"0"[..], &b"\xc0\x00"[..]),
            (b"-1", b"\xc0\xff"),
            (b"127", b"\xc0\x7f"),
            (b"-128", b"\xc0\x80"),
            (b"128", b"\xc1\x80\x00"),
            (b"-32768", b"\xc1\x00\x80"),
            (b"32768", b"\xc2\x00\x80\x00\x00"),
            (b"2147483647", b"\xc2\xff\xff\xff\x7f"),
            (b"-2147483648", b"\xc2\x00\x00\x00\x80"),
            (b"2147483648", b"\x0a2147483648"),
            (b"-2147483649", b"\x0b-2147483649"),
            (b"-0", b"\x02-0"),
            (b"007", b"\x03007"),
            (b"+1", b"\x02+1"),
            (b"-", b"\x01-"),
            (b"", b"\x00"),
            (b"1x", b"\x021x"),
        ] {
            assert_eq!(written(text), bytes, "{text:?}");
            assert_eq!(read(bytes).as_deref(), Ok(text));
        }
        let mut out = Vec::new();
        write_integer(&mut out, 2_147_483_648);
        write_integer(&mut out, -7);
        assert_eq!(out, b"\x0a2147483648\xc0\xf9");
    }

    #[test]
    fn only_strings_above_twenty_bytes_are_compressed() {
        assert_eq!(written(&[b'a'; 20]).len(), 21);
        assert_eq!(written(&[b'a'; 21])[0], 0xc3);
        let mut out = Vec::new();
        write_string_with(&mut out, &[b'a'; 21], Compression::None);
        assert_eq!(out.len(), 22);
    }

    #[test]
    fn a_claimed_length_never_allocates() {
        assert_eq!(read(b"\x80\xff\xff\xff\xffabc"), Err(CodecError::Truncated));
        assert_eq!(
            read(b"\x81\x7f\xff\xff\xff\xff\xff\xff\xffabc"),
            Err(CodecError::TooLong)
        );
        assert!(read(b"\xc3\x04\x80\xff\xff\xff\xff\x00a\x20\x00").is_err());
        assert!(read(b"\xc4abc").is_err());
    }

    proptest! {
        #[test]
        fn every_string_round_trips(
            string in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..100),
                proptest::collection::vec(b'a'..b'd', 0..70_000),
                any::<i64>().prop_map(|value| value.to_string().into_bytes()),
            ],
        ) {
            let bytes = written(&string);
            prop_assert_eq!(read(&bytes), Ok(string));
            for end in [0, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
                prop_assert!(Reader::new(&bytes[..end]).string().is_err());
            }
        }
    }
}
