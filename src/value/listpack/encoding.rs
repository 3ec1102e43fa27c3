//! One element of a listpack, to bytes and back.
//!
//! ```text
//!  first byte   follows                      content
//!  0vvvvvvv                                  integer 0..=127
//!  110vvvvv     1 byte, low part             integer of 13 bits, two's complement
//!  11110001     2 bytes, little endian       integer of 16 bits
//!  11110010     3 bytes                      integer of 24 bits
//!  11110011     4 bytes                      integer of 32 bits
//!  11110100     8 bytes                      integer of 64 bits
//!  10llllll     content                      string of up to 63 bytes
//!  1110llll     1 byte, content              string of up to 4095 bytes
//!  11110000     4 bytes, content             string of up to 2^32 - 1 bytes
//!  11111111                                  end of the listpack
//! ```
//!
//! Behind each stands the length of all that ("backlen"), big endian in groups of 7 bits and marked
//! so that it can be read backwards: every byte but the first has its high bit set.

use super::Element;
use crate::value::number;

/// The first byte that ends a listpack.
pub(super) const END: u8 = 0xFF;

const HEAD_LEN_MAX: usize = 9;
const BACKLEN_LEN_MAX: usize = 5;

/// An element ready to be written.
pub(super) struct Encoded<'a> {
    head: [u8; HEAD_LEN_MAX],
    head_len: usize,
    payload: &'a [u8],
    backlen: [u8; BACKLEN_LEN_MAX],
    backlen_len: usize,
}

impl<'a> Encoded<'a> {
    /// A string; as an integer where it is the canonical form of one, as Redis does.
    pub(super) fn bytes(value: &'a [u8]) -> Self {
        if let Some(int) = number::parse_i64(value) {
            return Encoded::int(int);
        }
        let len = value.len();
        let [a, b, c, d] = u32::try_from(len)
            .expect("elements are below 4 GiB")
            .to_le_bytes();
        match len {
            0..64 => Self::assemble(&[0x80 | a], value),
            64..4096 => Self::assemble(&[0xE0 | b, a], value),
            _ => Self::assemble(&[0xF0, a, b, c, d], value),
        }
    }

    /// An integer, in the shortest form.
    pub(super) fn int(value: i64) -> Self {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        match value {
            0..=127 => Self::assemble(&[a], &[]),
            -4096..=4095 => Self::assemble(&[0xC0 | (b & 0x1F), a], &[]),
            -0x8000..=0x7FFF => Self::assemble(&[0xF1, a, b], &[]),
            -0x80_0000..=0x7F_FFFF => Self::assemble(&[0xF2, a, b, c], &[]),
            -0x8000_0000..=0x7FFF_FFFF => Self::assemble(&[0xF3, a, b, c, d], &[]),
            _ => Self::assemble(&[0xF4, a, b, c, d, e, f, g, h], &[]),
        }
    }

    fn assemble(head: &[u8], payload: &'a [u8]) -> Self {
        let mut encoded = Self {
            head: [0; HEAD_LEN_MAX],
            head_len: head.len(),
            payload,
            backlen: [0; BACKLEN_LEN_MAX],
            backlen_len: 0,
        };
        encoded.head[..head.len()].copy_from_slice(head);
        (encoded.backlen, encoded.backlen_len) = encode_backlen(head.len() + payload.len());
        encoded
    }

    /// Length with the backlen.
    pub(super) fn len(&self) -> usize {
        self.head_len + self.payload.len() + self.backlen_len
    }

    /// Fills `out`, which is exactly [`Encoded::len`] bytes.
    pub(super) fn write(&self, out: &mut [u8]) {
        let (head, rest) = out.split_at_mut(self.head_len);
        let (payload, backlen) = rest.split_at_mut(self.payload.len());
        head.copy_from_slice(&self.head[..self.head_len]);
        payload.copy_from_slice(self.payload);
        backlen.copy_from_slice(&self.backlen[..self.backlen_len]);
    }

    /// Appends it.
    #[inline]
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head[..self.head_len]);
        out.extend_from_slice(self.payload);
        out.extend_from_slice(&self.backlen[..self.backlen_len]);
    }
}

/// The backlen of an element of `len` bytes, and how many bytes of the array it takes.
///
/// The bounds are one below what the groups could hold: Redis's encoder has them so.
fn encode_backlen(len: usize) -> ([u8; BACKLEN_LEN_MAX], usize) {
    let groups = match len {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    let mut bytes = [0; BACKLEN_LEN_MAX];
    for (index, byte) in bytes.iter_mut().take(groups).enumerate() {
        let [low, ..] = (len >> (7 * (groups - 1 - index))).to_le_bytes();
        *byte = if index == 0 { low & 0x7F } else { low | 0x80 };
    }
    (bytes, groups)
}

/// Reads the element at the start of `bytes`. Returns it and its length without the backlen;
/// `None` if it is cut off, has an unknown first byte, or is the end mark.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let string = |head_len: usize, len: usize| {
        let end = head_len.checked_add(len)?;
        Some((Element::Bytes(bytes.get(head_len..end)?), end))
    };
    match first {
        0..=0x7F => Some((Element::Int(i64::from(first)), 1)),
        0x80..=0xBF => string(1, usize::from(first & 0x3F)),
        0xC0..=0xDF => {
            let raw = i64::from(first & 0x1F) << 8 | i64::from(*rest.first()?);
            Some((Element::Int(raw << 51 >> 51), 2))
        }
        0xE0..=0xEF => string(
            2,
            usize::from(first & 0x0F) << 8 | usize::from(*rest.first()?),
        ),
        0xF0 => string(
            5,
            usize::try_from(u32::from_le_bytes(*rest.first_chunk()?)).ok()?,
        ),
        0xF1 => int::<2>(rest),
        0xF2 => int::<3>(rest),
        0xF3 => int::<4>(rest),
        0xF4 => int::<8>(rest),
        _ => None,
    }
}

fn int<const LEN: usize>(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    let raw: &[u8; LEN] = bytes.first_chunk()?;
    // Into the high end of the word, so that the shift back extends the sign.
    let mut word = [0; 8];
    word[8 - LEN..].copy_from_slice(raw);
    Some((
        Element::Int(i64::from_le_bytes(word) >> (64 - 8 * LEN)),
        1 + LEN,
    ))
}

/// Number of bytes of the backlen of an element of `len` bytes.
#[inline]
pub(super) fn backlen_len(len: usize) -> usize {
    encode_backlen(len).1
}

/// Whether `bytes` starts with the backlen of an element of `len` bytes.
pub(super) fn backlen_follows(bytes: &[u8], len: usize) -> bool {
    let (backlen, count) = encode_backlen(len);
    bytes.starts_with(&backlen[..count])
}

/// Reads the backlen that ends `bytes`: the element's length, and the backlen's own.
pub(super) fn decode_backlen(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    for (index, &byte) in bytes.iter().rev().take(BACKLEN_LEN_MAX).enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((len, index + 1));
        }
    }
    None
}
