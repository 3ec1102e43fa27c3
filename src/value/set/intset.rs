//! Redis's intset: distinct integers in ascending order, all as wide as the widest needs.
//!
//! RDB files and DUMP carry it in this form:
//!
//! ```text
//!  +------------------------+--------------+---------+---   ---+---------+
//!  | bytes each, u32 LE     | count,       | integer |   ...   | integer |
//!  | (2, 4 or 8)            | u32 LE       |         |         |         |
//!  +------------------------+--------------+---------+---   ---+---------+
//! ```
//!
//! The width grows with what is added and never shrinks again, as in Redis.

/// The most integers that an intset may hold, whatever the configuration says; also Redis's.
pub const INTSET_LEN_MAX: usize = 1 << 30;

const HEADER_LEN: usize = 8;

/// Why bytes from outside are no intset.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IntsetError {
    /// Too short, or its length is not what the header says.
    #[error("intset header does not fit its data")]
    Header,
    /// The width is not 2, 4 or 8 bytes.
    #[error("intset of unknown width")]
    Width,
    /// The integers do not ascend, or one is there twice.
    #[error("intset is not in ascending order")]
    Order,
}

/// An intset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Intset(Words);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Words {
    Two(Vec<i16>),
    Four(Vec<i32>),
    Eight(Vec<i64>),
}

use Words::{Eight, Four, Two};

impl Intset {
    /// An empty one.
    pub fn new() -> Self {
        Self(Two(Vec::new()))
    }

    /// Of integers that ascend strictly, each checked.
    pub fn from_ascending(values: &[i64]) -> Result<Self, IntsetError> {
        if values.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(IntsetError::Order);
        }
        // The widest stand at the ends.
        let ends = [values.first(), values.last()];
        let ends = || ends.iter().copied().flatten();
        let words = if ends().all(|&v| i16::try_from(v).is_ok()) {
            Two(values.iter().map(|&v| v as i16).collect())
        } else if ends().all(|&v| i32::try_from(v).is_ok()) {
            Four(values.iter().map(|&v| v as i32).collect())
        } else {
            Eight(values.to_vec())
        };
        Ok(Self(words))
    }

    /// Takes bytes from a file or a peer, after looking at all of them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IntsetError> {
        let (width, rest) = bytes.split_first_chunk().ok_or(IntsetError::Header)?;
        let (count, data) = rest.split_first_chunk().ok_or(IntsetError::Header)?;
        let count = u64::from(u32::from_le_bytes(*count));
        let width = u32::from_le_bytes(*width);
        if !matches!(width, 2 | 4 | 8) {
            return Err(IntsetError::Width);
        }
        if data.len() as u64 != count * u64::from(width) {
            return Err(IntsetError::Header);
        }
        let words = match width {
            2 => Two(words(data, i16::from_le_bytes)?),
            4 => Four(words(data, i32::from_le_bytes)?),
            _ => Eight(words(data, i64::from_le_bytes)?),
        };
        Ok(Self(words))
    }

    /// The bytes, as RDB and DUMP carry them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_LEN + self.len() * self.width());
        out.extend_from_slice(&(self.width() as u32).to_le_bytes());
        out.extend_from_slice(&(self.len() as u32).to_le_bytes());
        match &self.0 {
            Two(words) => words.iter().for_each(|w| out.extend(w.to_le_bytes())),
            Four(words) => words.iter().for_each(|w| out.extend(w.to_le_bytes())),
            Eight(words) => words.iter().for_each(|w| out.extend(w.to_le_bytes())),
        }
        out
    }

    /// Number of integers.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Two(words) => words.len(),
            Four(words) => words.len(),
            Eight(words) => words.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of each integer.
    fn width(&self) -> usize {
        match &self.0 {
            Two(_) => 2,
            Four(_) => 4,
            Eight(_) => 8,
        }
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        let capacity = match &self.0 {
            Two(words) => words.capacity(),
            Four(words) => words.capacity(),
            Eight(words) => words.capacity(),
        };
        capacity * self.width()
    }

    /// The integer at `index` in ascending order.
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        match &self.0 {
            Two(words) => words.get(index).copied().map(i64::from),
            Four(words) => words.get(index).copied().map(i64::from),
            Eight(words) => words.get(index).copied(),
        }
    }

    /// The integers in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Whether `value` is there.
    #[inline]
    pub fn contains(&self, value: i64) -> bool {
        self.position(value).is_ok()
    }

    /// Where `value` is, or where it would be put.
    #[inline]
    fn position(&self, value: i64) -> Result<usize, usize> {
        match &self.0 {
            Two(words) => search(words, value),
            Four(words) => search(words, value),
            Eight(words) => search(words, value),
        }
    }

    /// Adds `value`; whether it was not there.
    pub fn insert(&mut self, value: i64) -> bool {
        self.widen(value);
        let Err(at) = self.position(value) else {
            return false;
        };
        // `widen` has made sure that nothing is cut off.
        match &mut self.0 {
            Two(words) => put(words, at, value as i16),
            Four(words) => put(words, at, value as i32),
            Eight(words) => put(words, at, value),
        }
        true
    }

    /// Removes `value`; whether it was there.
    pub fn remove(&mut self, value: i64) -> bool {
        match self.position(value) {
            Ok(at) => self.remove_at(at).is_some(),
            Err(_) => false,
        }
    }

    /// Removes the integer at `index` in ascending order.
    pub fn remove_at(&mut self, index: usize) -> Option<i64> {
        let value = self.get(index)?;
        match &mut self.0 {
            Two(words) => take(words, index),
            Four(words) => take(words, index),
            Eight(words) => take(words, index),
        }
        Some(value)
    }

    /// Keeps only the integers for which `f` says so.
    pub fn retain(&mut self, mut f: impl FnMut(i64) -> bool) {
        match &mut self.0 {
            Two(words) => words.retain(|&word| f(word.into())),
            Four(words) => words.retain(|&word| f(word.into())),
            Eight(words) => words.retain(|&word| f(word)),
        }
    }

    /// Makes the integers wide enough for `value`.
    fn widen(&mut self, value: i64) {
        let four = i32::try_from(value).is_ok();
        self.0 = match &self.0 {
            Two(_) if i16::try_from(value).is_ok() => return,
            Two(words) if four => Four(words.iter().copied().map(i32::from).collect()),
            Two(words) => Eight(words.iter().copied().map(i64::from).collect()),
            Four(_) if four => return,
            Four(words) => Eight(words.iter().copied().map(i64::from).collect()),
            Eight(_) => return,
        };
    }
}

impl Default for Intset {
    fn default() -> Self {
        Self::new()
    }
}

#[inline]
fn search<W: Copy + Into<i64>>(words: &[W], value: i64) -> Result<usize, usize> {
    // Most come in ascending order.
    match words.last() {
        Some(&last) if last.into() < value => Err(words.len()),
        _ => words.binary_search_by(|&word| word.into().cmp(&value)),
    }
}

fn put<W>(words: &mut Vec<W>, at: usize, word: W) {
    if words.len() == words.capacity() {
        // An eighth of slack instead of doubling: small sets are many.
        words.reserve_exact((words.len() / 8).max(4));
    }
    words.insert(at, word);
}

fn take<W>(words: &mut Vec<W>, at: usize) {
    words.remove(at);
    if words.len() < words.capacity() / 2 {
        words.shrink_to(words.len() + words.len() / 8);
    }
}

/// Reads whole words in strictly ascending order.
fn words<W: Ord, const LEN: usize>(
    data: &[u8],
    read: fn([u8; LEN]) -> W,
) -> Result<Vec<W>, IntsetError> {
    let words: Vec<W> = data.as_chunks().0.iter().copied().map(read).collect();
    match words.windows(2).all(|pair| pair[0] < pair[1]) {
        true => Ok(words),
        false => Err(IntsetError::Order),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn random_additions_and_removals_agree_with_a_plain_set() {
        let mut random = crate::value::set::tests::Random(7);
        for bits in [4, 12, 20, 40, 63] {
            let (mut set, mut model) = (Intset::new(), BTreeSet::new());
            for _ in 0..3000 {
                let value = (random.next() as i64) >> (63 - bits);
                match random.below(3) {
                    0 => assert_eq!(set.remove(value), model.remove(&value)),
                    _ => assert_eq!(set.insert(value), model.insert(value)),
                }
                assert_eq!(set.contains(value), model.contains(&value));
                assert_eq!(set.len(), model.len());
            }
            assert!(set.iter().eq(model.iter().copied()));
            let again = Intset::from_bytes(&set.to_bytes()).unwrap();
            assert_eq!(again, set);
            while let Some(index) = random.below(set.len().max(1)).checked_sub(0)
                && let Some(value) = set.remove_at(index)
            {
                assert!(model.remove(&value));
            }
            assert!(set.is_empty() && model.is_empty());
        }
    }

    #[test]
    fn the_width_grows_at_the_edges_of_each_type_and_stays() {
        let mut set = Intset::new();
        for (value, width) in [
            (32767, 2),
            (-32768, 2),
            (32768, 4),
            (-32769, 4),
            (1 << 31, 8),
        ] {
            set.insert(value);
            assert_eq!(set.width(), width, "{value}");
        }
        set.remove(1 << 31);
        assert_eq!(set.width(), 8);
        for (value, width) in [(32768, 4), (-32769, 4), (i64::from(i32::MIN) - 1, 8)] {
            let set = Intset::from_ascending(&[value]).unwrap();
            assert_eq!(set.width(), width, "{value}");
            assert_eq!(set.get(0), Some(value));
        }
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let good = Intset::from_ascending(&[1, 2, 70_000]).unwrap().to_bytes();
        assert!(Intset::from_bytes(&good).is_ok());
        for len in 0..good.len() {
            assert!(Intset::from_bytes(&good[..len]).is_err(), "{len}");
        }
        let change = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Intset::from_bytes(&bytes)
        };
        assert_eq!(change(0, 3), Err(IntsetError::Width));
        assert_eq!(change(0, 2), Err(IntsetError::Header));
        assert_eq!(change(7, 0xFF), Err(IntsetError::Header));
        assert_eq!(change(8, 2), Err(IntsetError::Order));
        assert_eq!(change(8, 3), Err(IntsetError::Order));
        assert_eq!(Intset::from_ascending(&[2, 2]), Err(IntsetError::Order));
    }
}
