//! The longest common subsequence of two strings.
//!
//! The textbook way fills a table of lengths: `L(i, j)` is that of the first `i` bytes of one
//! string and the first `j` of the other. Neighbours within a row differ by 0 or 1, so a row is
//! kept as the bits of its differences, and a whole word of them is computed at once (H. Hyyrö,
//! "Bit-parallel LCS length computation revisited", 2004): 64 cells for a handful of instructions,
//! and an eighth of a byte for each where the way back is asked for.

/// The rows of the table. A clear bit `j` in row `i` says that `L(i, j + 1)` is greater than
/// `L(i, j)`.
pub struct Subsequence<'a> {
    a: &'a [u8],
    b: &'a [u8],
    /// Words of a row.
    width: usize,
    /// All rows, the one before the first byte included; or only the last.
    rows: Vec<u64>,
}

/// Two equal ranges, one in each string; both ends are included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Match {
    pub a: (usize, usize),
    pub b: (usize, usize),
}

impl Match {
    /// Number of bytes.
    pub fn length(self) -> usize {
        self.a.1 - self.a.0 + 1
    }
}

/// The length of the longest common subsequence.
pub fn length(a: &[u8], b: &[u8]) -> usize {
    // The table is the same the other way round; long rows are cheaper than many.
    let (a, b) = if a.len() > b.len() { (b, a) } else { (a, b) };
    let mut row = vec![u64::MAX; b.len().div_ceil(64)];
    let places = Places::new(b, a);
    for byte in a {
        advance(&mut row, places.of(*byte));
    }
    clear(&row)
}

impl<'a> Subsequence<'a> {
    /// Computes the table, which takes an eighth of a byte for each pair of bytes.
    pub fn new(a: &'a [u8], b: &'a [u8]) -> Self {
        let width = b.len().div_ceil(64);
        let places = Places::new(b, a);
        let mut rows = Vec::with_capacity(width * (a.len() + 1));
        rows.resize(width, u64::MAX);
        for byte in a {
            let start = rows.len();
            rows.extend_from_within(start - width..);
            advance(&mut rows[start..], places.of(*byte));
        }
        Self { a, b, width, rows }
    }

    /// The length of the subsequence.
    pub fn length(&self) -> usize {
        clear(&self.rows[self.rows.len() - self.width..])
    }

    /// Whether the best of the first `i` and the first `j` bytes uses the last of those `j`.
    fn uses(&self, i: usize, j: usize) -> bool {
        let word = self.rows[i * self.width + (j - 1) / 64];
        word >> ((j - 1) % 64) & 1 == 0
    }

    /// Walks back along the table, as Redis does where several ways are equally long, and calls `f`
    /// with every range of equal bytes, the last one first.
    pub fn for_each_match(&self, mut f: impl FnMut(Match)) {
        let (mut i, mut j) = (self.a.len(), self.b.len());
        let mut current: Option<Match> = None;
        while i > 0 && j > 0 {
            if self.a[i - 1] == self.b[j - 1] {
                (i, j) = (i - 1, j - 1);
                // Every step other than this one ends a range, so this byte continues it.
                let range = current.get_or_insert(Match {
                    a: (i, i),
                    b: (j, j),
                });
                (range.a.0, range.b.0) = (i, j);
                continue;
            }
            if let Some(range) = current.take() {
                f(range);
            }
            match self.uses(i, j) {
                true => i -= 1,
                false => j -= 1,
            }
        }
        if let Some(range) = current {
            f(range);
        }
    }

    /// The subsequence itself.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0; self.length()];
        let mut end = out.len();
        self.for_each_match(|range| {
            let start = end - range.length();
            out[start..end].copy_from_slice(&self.a[range.a.0..=range.a.1]);
            end = start;
        });
        out
    }
}

/// Where each byte that may be asked for occurs in a string, as bits.
struct Places {
    width: usize,
    /// One row for each such byte.
    rows: Vec<u64>,
    /// The number of a byte's row, counted from 1; 0 is none.
    numbers: [usize; 256],
}

impl Places {
    /// `asked` has the bytes that are asked for: if few, there are few rows, however long `text`.
    fn new(text: &[u8], asked: &[u8]) -> Self {
        let width = text.len().div_ceil(64);
        let mut numbers = [0; 256];
        let mut count = 0;
        for byte in asked {
            let number = &mut numbers[usize::from(*byte)];
            if *number == 0 {
                count += 1;
                *number = count;
            }
        }
        let mut rows = vec![0; width * count];
        for (at, byte) in text.iter().enumerate() {
            if let Some(row) = numbers[usize::from(*byte)].checked_sub(1) {
                rows[row * width + at / 64] |= 1 << (at % 64);
            }
        }
        Places {
            width,
            rows,
            numbers,
        }
    }

    /// The row of a byte that was asked for.
    fn of(&self, byte: u8) -> &[u64] {
        let start = (self.numbers[usize::from(byte)] - 1) * self.width;
        &self.rows[start..start + self.width]
    }
}

/// From one row to the next, whose byte occurs in the other string at `equal`.
fn advance(row: &mut [u64], equal: &[u64]) {
    let mut carry = false;
    for (word, equal) in row.iter_mut().zip(equal) {
        let both = *word & equal;
        let (sum, first) = word.overflowing_add(both);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        carry = first || second;
        *word = sum | (*word & !equal);
    }
}

/// The clear bits of a row: its greatest length. Bits beyond the string stay set.
fn clear(row: &[u64]) -> usize {
    row.iter().map(|word| word.count_zeros() as usize).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The table as the textbook has it, and the walk back through it.
    fn slow(a: &[u8], b: &[u8]) -> Vec<u8> {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                table[i][j] = match a[i - 1] == b[j - 1] {
                    true => table[i - 1][j - 1] + 1,
                    false => table[i - 1][j].max(table[i][j - 1]),
                };
            }
        }
        let (mut i, mut j, mut out) = (a.len(), b.len(), Vec::new());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                out.push(a[i - 1]);
                (i, j) = (i - 1, j - 1);
            } else if table[i - 1][j] > table[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        out.reverse();
        out
    }

    proptest! {
        #[test]
        fn the_bits_of_rows_say_what_the_table_of_lengths_says(
            a in proptest::collection::vec(0u8..4, 0..150),
            b in proptest::collection::vec(0u8..4, 0..150),
        ) {
            let expected = slow(&a, &b);
            let found = Subsequence::new(&a, &b);
            prop_assert_eq!(length(&a, &b), expected.len());
            prop_assert_eq!(found.length(), expected.len());
            prop_assert_eq!(found.bytes(), expected);
            let mut total = 0;
            let mut before: Option<Match> = None;
            found.for_each_match(|range| {
                assert_eq!(a[range.a.0..=range.a.1], b[range.b.0..=range.b.1]);
                if let Some(later) = before {
                    // A range ends where its bytes no longer follow each other in both.
                    assert!(range.a.1 < later.a.0 && range.b.1 < later.b.0);
                    assert!(range.a.1 + 1 < later.a.0 || range.b.1 + 1 < later.b.0);
                }
                before = Some(range);
                total += range.length();
            });
            prop_assert_eq!(total, found.length());
        }
    }

    #[test]
    fn strings_without_anything_in_common_have_none() {
        for (a, b) in [
            (&b""[..], &b""[..]),
            (b"abc", b""),
            (b"", b"abc"),
            (b"abc", b"xyz"),
        ] {
            assert_eq!(length(a, b), 0);
            assert!(Subsequence::new(a, b).bytes().is_empty());
        }
    }
}
