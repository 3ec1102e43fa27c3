//! Redis's listpack: a list of strings and integers in one run of bytes.
//!
//! Small collections live in it, and RDB files and DUMP carry its bytes as they are, so they are
//! exactly Redis's (the format is specified at <https://github.com/antirez/listpack>):
//!
//! ```text
//!  +---------------------+-------------------+----------+---   ---+----------+------+
//!  | total bytes, u32 LE | elements, u16 LE  | element  |   ...   | element  | 0xFF |
//!  +---------------------+-------------------+----------+---   ---+----------+------+
//! ```
//!
//! The number of elements is 65,535 for "that many or more: count them", and stays so when elements
//! go away. An element is described in `encoding.rs`.

mod append;
mod encoding;
#[cfg(test)]
mod tests;

pub use append::{Appender, Growing, Offset};
use encoding::{END, Encoded};

const HEADER_LEN: usize = 6;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Above this many bytes Redis converts to another encoding (`LISTPACK_MAX_SAFETY_SIZE`): the
/// header could count up to 4 GiB.
pub const LISTPACK_LEN_MAX: usize = 1 << 30;

/// One element as it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Element<'a> {
    /// The string that is the decimal form of this number.
    Int(i64),
    /// Any other string. (A listpack from outside may also hold a canonical integer this way.)
    Bytes(&'a [u8]),
}

impl<'a> Element<'a> {
    /// Calls `f` with the string that the element stands for.
    #[inline]
    pub fn with_bytes<R>(self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Self::Int(int) => f(itoa::Buffer::new().format(int).as_bytes()),
            Self::Bytes(bytes) => f(bytes),
        }
    }

    /// Appends that string to `out`.
    pub fn write(self, out: &mut Vec<u8>) {
        self.with_bytes(|bytes| out.extend_from_slice(bytes));
    }

    /// That string, owned.
    pub fn to_vec(self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }

    /// Its length in bytes.
    pub fn len(self) -> usize {
        match self {
            Self::Int(int) => super::number::i64_len(int),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether it is the empty string.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Its value if it is a canonical integer, however it is stored.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(int),
            Self::Bytes(bytes) => super::number::parse_i64(bytes),
        }
    }
}

/// Where an element stands. Valid until the listpack changes; with a stale one the methods give
/// some wrong answer or none, but never panic on reading.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position(usize);

/// Why bytes from outside are no listpack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListpackError {
    /// Too short, or the length in the header is not that of the data.
    #[error("listpack header does not fit its data")]
    Header,
    /// An element is cut off, of unknown type, or its backlen is wrong.
    #[error("listpack element at byte {0} is invalid")]
    Element(usize),
    /// The data goes on behind the end mark.
    #[error("listpack has data behind its end mark")]
    Trailing,
    /// The header counts another number of elements.
    #[error("listpack header counts {stated} elements, there are {found}")]
    Count { stated: u16, found: usize },
}

/// A listpack. Always well-formed: it was built here or validated by [`Listpack::from_bytes`].
#[derive(Clone, PartialEq, Eq)]
pub struct Listpack {
    bytes: Vec<u8>,
}

impl Listpack {
    /// An empty one.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty one with room for `bytes` bytes in all.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut empty = Vec::with_capacity(bytes.max(HEADER_LEN + 1));
        empty.extend_from_slice(&[HEADER_LEN as u8 + 1, 0, 0, 0, 0, 0, END]);
        Self { bytes: empty }
    }

    /// Takes bytes from a file or a peer, after walking over all of them: every element lies
    /// within the data, can be reached from both ends, and is counted.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ListpackError> {
        let (Some(total), Some(count)) = (bytes.first_chunk(), bytes.get(4..HEADER_LEN)) else {
            return Err(ListpackError::Header);
        };
        let stated = u16::from_le_bytes([count[0], count[1]]);
        if usize::try_from(u32::from_le_bytes(*total)) != Ok(bytes.len()) {
            return Err(ListpackError::Header);
        }
        let (mut at, mut found) = (HEADER_LEN, 0);
        while *bytes.get(at).ok_or(ListpackError::Element(at))? != END {
            let (_, len) = encoding::decode(&bytes[at..]).ok_or(ListpackError::Element(at))?;
            if !encoding::backlen_follows(&bytes[at + len..], len) {
                return Err(ListpackError::Element(at));
            }
            at += len + encoding::backlen_len(len);
            found += 1;
        }
        if at + 1 != bytes.len() {
            return Err(ListpackError::Trailing);
        }
        if stated != COUNT_UNKNOWN && usize::from(stated) != found {
            return Err(ListpackError::Count { stated, found });
        }
        Ok(Self { bytes })
    }

    /// The bytes, as RDB and DUMP carry them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of elements. Walks over all of them where there are, or once were, 65,535 or more.
    pub fn len(&self) -> usize {
        match self.stated_count() {
            COUNT_UNKNOWN => self.iter().count(),
            count => usize::from(count),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == HEADER_LEN + 1
    }

    /// Whether strings of `extra` bytes in all can be added without passing
    /// [`LISTPACK_LEN_MAX`] (Redis's `lpSafeToAdd`, which leaves the headers of elements out).
    pub fn fits(&self, extra: usize) -> bool {
        self.bytes
            .len()
            .checked_add(extra)
            .is_some_and(|len| len <= LISTPACK_LEN_MAX)
    }

    /// Allocated bytes, without this struct.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// The first element's position.
    pub fn first(&self) -> Option<Position> {
        self.checked(HEADER_LEN)
    }

    /// The last element's position.
    pub fn last(&self) -> Option<Position> {
        self.before(self.bytes.len() - 1)
    }

    /// The position after `position`.
    #[inline]
    pub fn next(&self, position: Position) -> Option<Position> {
        self.checked(position.0 + self.span(position)?)
    }

    /// The position before `position`.
    pub fn previous(&self, position: Position) -> Option<Position> {
        self.before(position.0)
    }

    /// The position of element `index`; a negative one counts from the end, -1 being the last.
    /// Walks from the nearer end where the count is known.
    pub fn seek(&self, index: i64) -> Option<Position> {
        let count = match self.stated_count() {
            COUNT_UNKNOWN => None,
            count => Some(i64::from(count)),
        };
        let (from_end, steps) = match (index, count) {
            (0.., Some(count)) if index >= count => return None,
            (..0, Some(count)) if index < -count => return None,
            (0.., Some(count)) if index > count / 2 => (true, count - 1 - index),
            (..0, Some(count)) if -index > count / 2 => (false, count + index),
            (0.., _) => (false, index),
            (..0, _) => (true, -1 - index),
        };
        let start = if from_end { self.last() } else { self.first() };
        (0..steps).try_fold(start?, |at, _| {
            if from_end {
                self.previous(at)
            } else {
                self.next(at)
            }
        })
    }

    /// The element at `position`.
    #[inline]
    pub fn get(&self, position: Position) -> Option<Element<'_>> {
        Some(encoding::decode(self.bytes.get(position.0..)?)?.0)
    }

    /// All elements, from either end.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            bytes: &self.bytes[HEADER_LEN..self.bytes.len() - 1],
        }
    }

    /// The first element equal to the string `value` among elements 0, `skip` + 1,
    /// 2 (`skip` + 1) and so on: with `skip` 1 the fields of a hash, without its values.
    pub fn find(&self, value: &[u8], skip: usize) -> Option<Position> {
        let int = super::number::parse_i64(value);
        let mut at = HEADER_LEN;
        let mut index = 0;
        while let Some((element, len)) = encoding::decode(&self.bytes[at..]) {
            if index == 0 {
                let equal = match element {
                    Element::Int(stored) => int == Some(stored),
                    Element::Bytes(stored) => stored == value,
                };
                if equal {
                    return Some(Position(at));
                }
                index = skip;
            } else {
                index -= 1;
            }
            at += len + encoding::backlen_len(len);
        }
        None
    }

    /// Appends a string.
    ///
    /// # Panics
    /// Like all methods that add: if the listpack would pass 4 GiB. Ask [`Listpack::fits`] first.
    pub fn push_back(&mut self, value: &[u8]) {
        self.put(self.bytes.len() - 1, 0, &Encoded::bytes(value));
        self.count_changed(1);
    }

    /// Appends an integer.
    pub fn push_back_int(&mut self, value: i64) {
        self.put(self.bytes.len() - 1, 0, &Encoded::int(value));
        self.count_changed(1);
    }

    /// Puts a string before all others.
    pub fn push_front(&mut self, value: &[u8]) {
        self.insert_before(Position(HEADER_LEN), value);
    }

    /// Inserts a string before the element at `position`; the new one is then at `position`.
    pub fn insert_before(&mut self, position: Position, value: &[u8]) {
        self.put(position.0, 0, &Encoded::bytes(value));
        self.count_changed(1);
    }

    /// Inserts a string after the element at `position`.
    pub fn insert_after(&mut self, position: Position, value: &[u8]) {
        let span = self.span(position).expect("a position of this listpack");
        self.insert_before(Position(position.0 + span), value);
    }

    /// Replaces the element at `position` by a string; it stays at `position`.
    pub fn replace(&mut self, position: Position, value: &[u8]) {
        let span = self.span(position).expect("a position of this listpack");
        self.put(position.0, span, &Encoded::bytes(value));
    }

    /// Removes up to `count` elements from `position` on. What follows them is then at `position`.
    /// Returns how many there were.
    pub fn delete(&mut self, position: Position, count: usize) -> usize {
        let (mut end, mut deleted) = (position.0, 0);
        while deleted < count
            && let Some(span) = self.span(Position(end))
        {
            end += span;
            deleted += 1;
        }
        self.bytes.drain(position.0..end);
        self.write_total();
        self.count_changed(-(deleted as isize));
        deleted
    }

    /// Gives spare capacity back.
    pub fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Whole length of the element at `position`; `None` at the end.
    #[inline]
    fn span(&self, position: Position) -> Option<usize> {
        let (_, len) = encoding::decode(self.bytes.get(position.0..)?)?;
        Some(len + encoding::backlen_len(len))
    }

    #[inline]
    fn checked(&self, at: usize) -> Option<Position> {
        self.bytes
            .get(at)
            .filter(|&&first| first != END)
            .map(|_| Position(at))
    }

    fn before(&self, at: usize) -> Option<Position> {
        let (len, backlen_len) = encoding::decode_backlen(self.bytes.get(HEADER_LEN..at)?)?;
        at.checked_sub(len + backlen_len)
            .filter(|&at| at >= HEADER_LEN)
            .map(Position)
    }

    /// Puts `encoded` in the place of the `old_len` bytes at `at`.
    fn put(&mut self, at: usize, old_len: usize, encoded: &Encoded<'_>) {
        let (len, new_len) = (self.bytes.len(), encoded.len());
        let tail = at + old_len..len;
        if new_len > old_len {
            let more = new_len - old_len;
            if self.bytes.capacity() - len < more {
                // An eighth of slack instead of doubling: small collections are many.
                self.bytes.reserve_exact(more.max(len / 8));
            }
            self.bytes.resize(len + more, END);
            self.bytes.copy_within(tail, at + new_len);
        } else {
            self.bytes.copy_within(tail, at + new_len);
            self.bytes.truncate(len - (old_len - new_len));
        }
        encoded.write(&mut self.bytes[at..at + new_len]);
        self.write_total();
    }

    fn write_total(&mut self) {
        let total = u32::try_from(self.bytes.len()).expect("a listpack is below 4 GiB");
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
    }

    fn stated_count(&self) -> u16 {
        u16::from_le_bytes([self.bytes[4], self.bytes[5]])
    }

    fn count_changed(&mut self, change: isize) {
        let count = self.stated_count();
        if count == COUNT_UNKNOWN {
            return;
        }
        let count = usize::from(count)
            .checked_add_signed(change)
            .expect("it counts its elements");
        let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN);
        self.bytes[4..HEADER_LEN].copy_from_slice(&count.to_le_bytes());
    }
}

impl Default for Listpack {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The elements of a [`Listpack`].
#[derive(Clone)]
pub struct Iter<'a> {
    /// The elements not yet given, without header and end mark.
    bytes: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, len) = encoding::decode(self.bytes)?;
        self.bytes = self
            .bytes
            .get(len + encoding::backlen_len(len)..)
            .unwrap_or_default();
        Some(element)
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<Element<'a>> {
        let (len, backlen_len) = encoding::decode_backlen(self.bytes)?;
        let start = self.bytes.len().checked_sub(len + backlen_len)?;
        let (rest, last) = self.bytes.split_at(start);
        self.bytes = rest;
        Some(encoding::decode(last)?.0)
    }
}

impl std::iter::FusedIterator for Iter<'_> {}
