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
///
/// In memory one allocation and no more than a `Vec` beside it, since most are small:
///
/// ```text
///  +-----------------------+---------+---   ---+---------+
///  | log2 of an integer's  | integer |   ...   | integer |
///  | bytes (1, 2 or 3), u8 | LE      |         |         |
///  +-----------------------+---------+---   ---+---------+
/// ```
///
/// That may also be missing altogether while no integer is there.
#[derive(Clone, Debug)]
pub struct Intset(Vec<u8>);

impl Intset {
    /// An empty one.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// Of integers that ascend strictly, each checked.
    pub fn from_ascending(values: &[i64]) -> Result<Self, IntsetError> {
        if values.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(IntsetError::Order);
        }
        // The widest stand at the ends.
        let ends = [values.first(), values.last()].into_iter().flatten();
        let shift = ends.map(|&end| shift_for(end)).max().unwrap_or(1);
        Ok(Self::of(shift, values.iter().copied(), values.len()))
    }

    /// Of integers that ascend, none too wide.
    fn of(shift: u8, values: impl Iterator<Item = i64>, len: usize) -> Self {
        let mut bytes = Vec::with_capacity(1 + (len << shift));
        bytes.push(shift);
        values.for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()[..1 << shift]));
        Self(bytes)
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
        let mut own = Vec::with_capacity(1 + data.len());
        own.push(width.trailing_zeros() as u8);
        own.extend_from_slice(data);
        let set = Self(own);
        let ascends = set.iter().zip(set.iter().skip(1)).all(|(a, b)| a < b);
        ascends.then_some(set).ok_or(IntsetError::Order)
    }

    /// The bytes, as RDB and DUMP carry them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let data = self.data();
        let mut out = Vec::with_capacity(HEADER_LEN + data.len());
        out.extend_from_slice(&(self.width() as u32).to_le_bytes());
        out.extend_from_slice(&(self.len() as u32).to_le_bytes());
        out.extend_from_slice(data);
        out
    }

    /// Number of integers.
    #[inline]
    pub fn len(&self) -> usize {
        self.data().len() >> self.shift()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.data().is_empty()
    }

    /// The logarithm of [`Intset::width`].
    #[inline]
    fn shift(&self) -> u8 {
        self.0.first().copied().unwrap_or(1)
    }

    /// Bytes of each integer.
    fn width(&self) -> usize {
        1 << self.shift()
    }

    /// The integers' bytes.
    #[inline]
    fn data(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.0.capacity()
    }

    /// The integer at `index` in ascending order.
    #[inline]
    pub fn get(&self, index: usize) -> Option<i64> {
        let data = self.data();
        Some(match self.shift() {
            1 => i16::from_le_bytes(*data.as_chunks().0.get(index)?).into(),
            2 => i32::from_le_bytes(*data.as_chunks().0.get(index)?).into(),
            _ => i64::from_le_bytes(*data.as_chunks().0.get(index)?),
        })
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
        let data = self.data();
        match self.shift() {
            1 => search(data.as_chunks().0, value, |word| {
                i16::from_le_bytes(word).into()
            }),
            2 => search(data.as_chunks().0, value, |word| {
                i32::from_le_bytes(word).into()
            }),
            _ => search(data.as_chunks().0, value, i64::from_le_bytes),
        }
    }

    /// Adds `value`; whether it was not there.
    pub fn insert(&mut self, value: i64) -> bool {
        self.widen(value);
        let Err(index) = self.position(value) else {
            return false;
        };
        let (len, width) = (self.len(), self.width());
        let (old, at) = (1 + len * width, 1 + index * width);
        if old + width > self.0.capacity() {
            // An eighth of slack instead of doubling: small sets are many.
            self.0.reserve_exact((len / 8).max(4) * width);
        }
        self.0.resize(old + width, 0);
        self.0.copy_within(at..old, at + width);
        // `widen` has made sure that nothing is cut off.
        self.0[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
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
        let width = self.width();
        let at = 1 + index * width;
        self.0.drain(at..at + width);
        if self.0.len() < self.0.capacity() / 2 {
            self.0.shrink_to(self.0.len() + self.0.len() / 8);
        }
        Some(value)
    }

    /// Keeps only the integers for which `f` says so.
    pub fn retain(&mut self, mut f: impl FnMut(i64) -> bool) {
        let (len, width) = (self.len(), self.width());
        let mut kept = 1;
        for index in 0..len {
            if self.get(index).is_some_and(&mut f) {
                let at = 1 + index * width;
                self.0.copy_within(at..at + width, kept);
                kept += width;
            }
        }
        self.0.truncate(kept);
    }

    /// Makes the integers wide enough for `value`.
    fn widen(&mut self, value: i64) {
        let shift = shift_for(value);
        if self.0.is_empty() {
            self.0.reserve_exact(1 + (4 << shift));
            self.0.push(shift);
        } else if shift > self.shift() {
            *self = Self::of(shift, self.iter(), self.len());
        }
    }
}

impl PartialEq for Intset {
    fn eq(&self, other: &Self) -> bool {
        (self.shift(), self.data()) == (other.shift(), other.data())
    }
}

impl Eq for Intset {}

/// The logarithm of the fewest bytes that hold `value`.
fn shift_for(value: i64) -> u8 {
    match value {
        _ if i16::try_from(value).is_ok() => 1,
        _ if i32::try_from(value).is_ok() => 2,
        _ => 3,
    }
}

impl Default for Intset {
    fn default() -> Self {
        Self::new()
    }
}

#[inline]
fn search<const WIDTH: usize>(
    words: &[[u8; WIDTH]],
    value: i64,
    read: fn([u8; WIDTH]) -> i64,
) -> Result<usize, usize> {
    // Most come in ascending order.
    match words.last() {
        Some(&last) if read(last) < value => Err(words.len()),
        _ => words.binary_search_by(|&word| read(word).cmp(&value)),
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
