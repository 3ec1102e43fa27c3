//! LZF, the byte-oriented compression of strings within RDB.
//!
//! The format (liblzf) is a sequence of
//!
//! ```text
//! 000LLLLL <L+1 bytes>            a run of L+1 literal bytes (1 to 32)
//! LLLooooo oooooooo               L in 1..=6: copy L+2 bytes from o+1 bytes back
//! 111ooooo LLLLLLLL oooooooo      copy L+9 bytes (9 to 264) from o+1 bytes back
//! ```
//!
//! A copy may overlap its own output, which repeats a pattern.

use super::CodecError;

/// The longest run of literals.
const LITERALS_MAX: usize = 32;
/// The shortest and the longest copy.
const COPY_MIN: usize = 3;
const COPY_MAX: usize = 264;
/// How far back a copy reaches.
const DISTANCE_MAX: usize = 1 << 13;
/// What one compressed byte can at most stand for: a copy of 264 bytes takes three.
pub(super) const EXPANSION_MAX: u64 = COPY_MAX as u64 / 3;

/// Appends the compressed form of `data` to `out` if it takes at most `len_max` bytes.
///
/// Returns whether it did; if not, `out` is as before. `data` is at most 4 GiB.
pub fn compress(data: &[u8], len_max: usize, out: &mut Vec<u8>) -> bool {
    // The table of last positions is cleared for every string: as small as the string allows.
    match data.len() {
        0..=256 => Compressor::<256>::run(data, len_max, out),
        257..=4096 => Compressor::<2048>::run(data, len_max, out),
        _ => Compressor::<16384>::run(data, len_max, out),
    }
}

struct Compressor<const SLOTS: usize> {
    /// Where a three-byte sequence of this hash was last seen, plus one; 0 is never.
    seen: [u32; SLOTS],
}

impl<const SLOTS: usize> Compressor<SLOTS> {
    fn slot(data: &[u8], at: usize) -> usize {
        let word =
            u32::from(data[at]) << 16 | u32::from(data[at + 1]) << 8 | u32::from(data[at + 2]);
        (word.wrapping_mul(0x9e37_79b1) >> (32 - SLOTS.trailing_zeros())) as usize
    }

    fn run(data: &[u8], len_max: usize, out: &mut Vec<u8>) -> bool {
        if u32::try_from(data.len()).is_err() {
            return false;
        }
        let start = out.len();
        let mut this = Self { seen: [0; SLOTS] };
        let mut at = 0;
        let mut literals_from = 0;
        while at + COPY_MIN <= data.len() {
            let slot = Self::slot(data, at);
            let candidate = this.seen[slot] as usize;
            this.seen[slot] = at as u32 + 1;
            let length = match candidate.checked_sub(1) {
                Some(from) if at - from <= DISTANCE_MAX => common(data, from, at),
                _ => 0,
            };
            if length < COPY_MIN {
                at += 1;
                // Given up early: what is not compressible costs no more than it must.
                if out.len() - start + (at - literals_from) > len_max {
                    out.truncate(start);
                    return false;
                }
                continue;
            }
            push_literals(&data[literals_from..at], out);
            push_copy(length, at - (candidate - 1), out);
            // The positions within the copy are worth remembering at its end only.
            at += length;
            if at + 1 < data.len() {
                for seen_at in at - 2..at {
                    this.seen[Self::slot(data, seen_at)] = seen_at as u32 + 1;
                }
            }
            literals_from = at;
        }
        push_literals(&data[literals_from..], out);
        if out.len() - start > len_max {
            out.truncate(start);
            return false;
        }
        true
    }
}

/// How many bytes at `at` repeat those at `from`, up to the longest copy.
fn common(data: &[u8], from: usize, at: usize) -> usize {
    let limit = COPY_MAX.min(data.len() - at);
    data[at..at + limit]
        .iter()
        .zip(&data[from..])
        .take_while(|(a, b)| a == b)
        .count()
}

fn push_literals(literals: &[u8], out: &mut Vec<u8>) {
    for run in literals.chunks(LITERALS_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn push_copy(length: usize, distance: usize, out: &mut Vec<u8>) {
    let length = length - 2;
    let offset = distance - 1;
    let high = (offset >> 8) as u8;
    if length < 7 {
        out.push((length as u8) << 5 | high);
    } else {
        out.push(7 << 5 | high);
        out.push((length - 7) as u8);
    }
    out.push(offset as u8);
}

/// Decompresses `data`, which must give exactly `len` bytes.
///
/// Fails, without ever holding more than `len` bytes, if the data is malformed or gives another
/// length; a `len` that so little data cannot stand for is refused before anything is allocated.
pub fn decompress(data: &[u8], len: usize) -> Result<Vec<u8>, CodecError> {
    const CORRUPT: CodecError = CodecError::Corrupt("malformed LZF data");
    if len as u64 > (data.len() as u64).saturating_mul(EXPANSION_MAX) {
        return Err(CodecError::Corrupt("LZF data too short for its length"));
    }
    let mut out = Vec::with_capacity(len);
    let mut rest = data;
    while let Some((&control, after)) = rest.split_first() {
        rest = after;
        if control < LITERALS_MAX as u8 {
            let (run, after) = rest
                .split_at_checked(usize::from(control) + 1)
                .ok_or(CORRUPT)?;
            if run.len() > len - out.len() {
                return Err(CORRUPT);
            }
            out.extend_from_slice(run);
            rest = after;
            continue;
        }
        let mut length = usize::from(control >> 5) + 2;
        if length == 9 {
            let (&more, after) = rest.split_first().ok_or(CORRUPT)?;
            length += usize::from(more);
            rest = after;
        }
        let (&low, after) = rest.split_first().ok_or(CORRUPT)?;
        rest = after;
        let distance = (usize::from(control & 0x1f) << 8 | usize::from(low)) + 1;
        if distance > out.len() || length > len - out.len() {
            return Err(CORRUPT);
        }
        copy_back(&mut out, distance, length);
    }
    if out.len() != len {
        return Err(CORRUPT);
    }
    Ok(out)
}

/// Appends `length` bytes from `distance` back; the copy may run into what it appends.
fn copy_back(out: &mut Vec<u8>, distance: usize, length: usize) {
    let from = out.len() - distance;
    let mut left = length;
    // Each round can copy all that stands behind `from`, and so doubles it.
    while left > 0 {
        let step = left.min(out.len() - from);
        out.extend_from_within(from..from + step);
        left -= step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(data: &[u8]) -> Option<usize> {
        let mut out = b"before".to_vec();
        if !compress(data, data.len().saturating_sub(4), &mut out) {
            assert_eq!(out, b"before");
            return None;
        }
        let packed = out.split_off(6);
        assert_eq!(decompress(&packed, data.len()).as_deref(), Ok(data));
        Some(packed.len())
    }

    #[test]
    fn repetitive_data_shrinks_and_comes_back() {
        assert!(round_trip(&[b'a'; 100]).is_some_and(|len| len < 10));
        assert!(round_trip(&b"abcabcabd".repeat(1000)).is_some_and(|len| len < 400));
        assert!(round_trip(&vec![0; 1 << 20]).is_some_and(|len| len < 20_000));
    }

    #[test]
    fn a_repetition_further_back_than_a_copy_reaches_is_not_used() {
        let mut data: Vec<u8> = (0..DISTANCE_MAX as u32 + 300)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as u8)
            .collect();
        for gap in [DISTANCE_MAX - 1, DISTANCE_MAX, DISTANCE_MAX + 1] {
            let head: Vec<u8> = (1..=200).collect();
            data[..200].copy_from_slice(&head);
            data[gap..gap + 200].copy_from_slice(&head);
            let mut out = Vec::new();
            assert!(compress(&data, data.len() * 2, &mut out));
            assert_eq!(decompress(&out, data.len()), Ok(data.clone()));
        }
    }

    #[test]
    fn data_without_repetition_is_left_alone() {
        let data: Vec<u8> = (0..=255).collect();
        assert_eq!(round_trip(&data), None);
    }

    #[test]
    fn malformed_data_is_an_error() {
        for (data, len) in [
            (&b""[..], 1),
            (b"\x05abc", 6),
            (b"\x00a\x20", 4),
            (b"\x00a\xe0\x01", 11),
            (b"\x00a\x20\x01", 4),
            (b"\x20\x00", 3),
            (b"\x02abc", 2),
            (b"\x02abc", 4),
            (b"\x00a\x40\x00", 4),
        ] {
            assert!(decompress(data, len).is_err(), "{data:?} as {len}");
        }
        assert_eq!(
            decompress(b"\x00a\x40\x00", 5).as_deref(),
            Ok(&b"aaaaa"[..])
        );
    }

    #[test]
    fn a_length_beyond_any_expansion_is_refused_before_allocating() {
        assert!(decompress(b"\x00a\xe0\xff\x00", usize::MAX).is_err());
    }

    proptest! {
        #[test]
        fn what_was_compressed_decompresses_to_itself(
            words in proptest::collection::vec(0u8..8, 0..6000),
        ) {
            round_trip(&words);
        }

        #[test]
        fn arbitrary_bytes_decompress_to_the_length_asked_for_or_fail(
            data in proptest::collection::vec(any::<u8>(), 0..200),
            len in 0usize..2000,
        ) {
            if let Ok(out) = decompress(&data, len) {
                prop_assert_eq!(out.len(), len);
            }
        }
    }
}
