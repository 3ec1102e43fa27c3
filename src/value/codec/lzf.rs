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
//!
//! Of the many ways to compress a string the one of liblzf, as Redis builds it, is taken: a DUMP
//! is then equal to Redis's byte for byte, and tools that compare dumps find no difference. That
//! fixes three things beyond the format. The table of last positions has 65,536 places, found by
//! a hash of three bytes, and a new sequence takes the place of whatever hashed there. Within a
//! copy only the last two positions are put into it. And the room for the output is checked with
//! liblzf's reserve, so that a string that just fits is given up where liblzf gives it up.

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

/// A search for a copy compares this many bytes at once if so many are left.
const STRIDE: usize = 16;
/// Bytes that must be free behind a copy, and behind all but the last literals.
const COPY_RESERVE: usize = 4;
const END_RESERVE: usize = 3;

/// Appends the compressed form of `data` to `out` if it takes at most `len_max` bytes.
///
/// Returns whether it did; if not, `out` is as before. Like liblzf it may also give up a string
/// whose compressed form is up to three bytes shorter than that. `data` is at most 4 GiB.
pub fn compress(data: &[u8], len_max: usize, out: &mut Vec<u8>) -> bool {
    if u32::try_from(data.len()).is_err() || data.is_empty() || len_max == 0 {
        return false;
    }
    let start = out.len();
    // The table is cleared for every string: as small as the string allows.
    let fits = match data.len() {
        0..=256 => Compressor::new(data, len_max, out, Sparse([0; 512])).run(),
        257..=4096 => Compressor::new(data, len_max, out, Sparse([0; 8192])).run(),
        _ => Compressor::new(data, len_max, out, Dense(vec![0; PLACES])).run(),
    };
    if !fits {
        out.truncate(start);
    }
    fits
}

/// Places of the table of last positions.
const PLACES: usize = 1 << 16;

/// Where the three-byte sequences were last seen, by their place in the table. Position 0 stands
/// for never: no copy goes back to the first byte.
trait Seen {
    /// Remembers `at`; what was there before.
    fn replace(&mut self, place: u16, at: usize) -> usize;
}

/// A table of [`PLACES`], for strings that are worth clearing it.
struct Dense(Vec<u32>);

impl Seen for Dense {
    fn replace(&mut self, place: u16, at: usize) -> usize {
        std::mem::replace(&mut self.0[usize::from(place)], at as u32) as usize
    }
}

/// The places that a short string uses, as an open-addressed table: the place above, the position
/// below. At most half of the slots are taken.
struct Sparse<const SLOTS: usize>([u32; SLOTS]);

impl<const SLOTS: usize> Seen for Sparse<SLOTS> {
    fn replace(&mut self, place: u16, at: usize) -> usize {
        let place = u32::from(place);
        let mut slot = (place.wrapping_mul(0x9e37_79b1) >> (32 - SLOTS.trailing_zeros())) as usize;
        loop {
            let held = self.0[slot];
            if held == 0 || held >> 16 == place {
                if at > 0 {
                    self.0[slot] = place << 16 | at as u32;
                }
                return (held & 0xffff) as usize;
            }
            slot = (slot + 1) % SLOTS;
        }
    }
}

struct Compressor<'a, S> {
    data: &'a [u8],
    out: &'a mut Vec<u8>,
    start: usize,
    len_max: usize,
    seen: S,
    /// The next byte, and the first of those before it that are not in `out` yet.
    at: usize,
    literals_from: usize,
}

impl<'a, S: Seen> Compressor<'a, S> {
    fn new(data: &'a [u8], len_max: usize, out: &'a mut Vec<u8>, seen: S) -> Self {
        Self {
            start: out.len(),
            data,
            out,
            len_max,
            seen,
            at: 0,
            literals_from: 0,
        }
    }

    /// Bytes of output so far, with the literals that wait and the byte before them.
    fn len(&self) -> usize {
        self.out.len() - self.start + 1 + (self.at - self.literals_from)
    }

    /// Remembers the sequence at `at`; where the last one with its hash was.
    fn remember(&mut self, at: usize) -> usize {
        let [a, b, c] = [0, 1, 2].map(|i| u32::from(self.data[at + i]));
        let word = a << 16 | b << 8 | c;
        self.seen
            .replace((word >> 8).wrapping_sub(word * 5) as u16, at)
    }

    /// Whether the output fitted.
    fn run(mut self) -> bool {
        while self.at + COPY_MIN <= self.data.len() {
            let from = self.remember(self.at);
            if !self.is_copy(from) {
                if self.len() >= self.len_max {
                    return false;
                }
                self.literal();
                continue;
            }
            let bare = usize::from(self.at == self.literals_from);
            if self.len() - bare + COPY_RESERVE >= self.len_max {
                return false;
            }
            self.copy(from);
            if self.at + COPY_MIN <= self.data.len() {
                self.remember(self.at - 2);
                self.remember(self.at - 1);
            }
        }
        if self.len() + END_RESERVE > self.len_max {
            return false;
        }
        while self.at < self.data.len() {
            self.literal();
        }
        self.flush();
        true
    }

    fn is_copy(&self, from: usize) -> bool {
        from > 0
            && self.at - from <= DISTANCE_MAX
            && self.data[from..from + COPY_MIN] == self.data[self.at..self.at + COPY_MIN]
    }

    fn literal(&mut self) {
        self.at += 1;
        if self.at - self.literals_from == LITERALS_MAX {
            self.flush();
        }
    }

    /// Writes the literals that wait.
    fn flush(&mut self) {
        let run = &self.data[self.literals_from..self.at];
        if let Some(last) = run.len().checked_sub(1) {
            self.out.push(last as u8);
            self.out.extend_from_slice(run);
        }
        self.literals_from = self.at;
    }

    fn copy(&mut self, from: usize) {
        self.flush();
        let length = common(self.data, from, self.at);
        push_copy(length, self.at - from, self.out);
        self.at += length;
        self.literals_from = self.at;
    }
}

/// How many bytes at `at` repeat those at `from`, of which three do, up to the longest copy. Two
/// bytes at the end of the data are left out unless a stride ends there.
fn common(data: &[u8], from: usize, at: usize) -> usize {
    let most = COPY_MAX.min(data.len() - at - 2);
    let most = match most > STRIDE {
        true => most.max(COPY_MIN + STRIDE),
        false => most.max(COPY_MIN),
    };
    data[at..at + most]
        .iter()
        .zip(&data[from..])
        .take_while(|(a, b)| a == b)
        .count()
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
    fn the_output_is_that_of_the_real_servers() {
        // Lengths and sums of what valkey-server 8.0.1 makes of these texts.
        for (len, letters, seed, packed_len, crc) in [
            (21, 2, 1, 15, 0xce25_4002_a65d_f15f),
            (40, 2, 2, 27, 0xa6bb_092d_2c36_bdfc),
            (100, 3, 3, 74, 0xf53a_1dbe_8e02_a161),
            (256, 4, 4, 179, 0x64ee_5c2e_22b5_f785),
            (257, 4, 5, 178, 0xaf1d_b134_d636_cd0a),
            (4096, 4, 6, 2501, 0x1e65_97dc_95da_56d0),
            (4097, 2, 7, 2040, 0x7a31_d6d3_d2f2_8313),
            (30_000, 3, 8, 17_148, 0x96a9_b79e_6cb4_1443),
        ] {
            let mut state: u32 = seed;
            let mut letter = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b'a' + (state >> 24) as u8 % letters
            };
            let data: Vec<u8> = (0..len).map(|_| letter()).collect();
            let mut out = Vec::new();
            assert!(compress(&data, len - 4, &mut out));
            assert_eq!(out.len(), packed_len);
            assert_eq!(crate::value::crc64::checksum(&out), crc, "{len} {letters}");
        }
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
