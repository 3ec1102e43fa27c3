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
//!
//! In memory there may be unused bytes before it and behind it. What is inserted or removed moves
//! the shorter part of the rest, with the header where that is the front, so that both ends of a
//! long listpack are as cheap to change as those of a short one.

mod append;
mod encoding;
#[cfg(test)]
mod tests;

pub use append::{Appender, Growing, Offset};
use encoding::{END, Encoded};

const HEADER_LEN: usize = 6;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// Buffers up to four times this size are never made smaller when elements go.
const SHRINK_LEN_MIN: usize = 64;

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
pub struct Listpack {
    /// Unused bytes, and behind them the listpack.
    buffer: Vec<u8>,
    /// How many bytes of the buffer are unused.
    start: usize,
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
        Self {
            buffer: empty,
            start: 0,
        }
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
        Ok(Self {
            buffer: bytes,
            start: 0,
        })
    }

    /// The bytes, as RDB and DUMP carry them.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
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
        self.bytes().len() == HEADER_LEN + 1
    }

    /// Whether strings of `extra` bytes in all can be added without passing
    /// [`LISTPACK_LEN_MAX`] (Redis's `lpSafeToAdd`, which leaves the headers of elements out).
    pub fn fits(&self, extra: usize) -> bool {
        self.bytes()
            .len()
            .checked_add(extra)
            .is_some_and(|len| len <= LISTPACK_LEN_MAX)
    }

    /// Allocated bytes, without this struct.
    pub fn memory(&self) -> usize {
        self.buffer.capacity()
    }

    /// The first element's position.
    pub fn first(&self) -> Option<Position> {
        self.checked(HEADER_LEN)
    }

    /// The last element's position.
    pub fn last(&self) -> Option<Position> {
        self.before(self.bytes().len() - 1)
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
        Some(encoding::decode(self.bytes().get(position.0..)?)?.0)
    }

    /// All elements, from either end.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            bytes: &self.bytes()[HEADER_LEN..self.bytes().len() - 1],
        }
    }

    /// The elements from `position` on.
    pub fn iter_from(&self, position: Position) -> Iter<'_> {
        let bytes = self.bytes();
        Iter {
            bytes: bytes.get(position.0..bytes.len() - 1).unwrap_or_default(),
        }
    }

    /// The elements up to that at `position`, this one included.
    pub fn iter_to(&self, position: Position) -> Iter<'_> {
        let end = position.0 + self.span(position).unwrap_or(0);
        Iter {
            bytes: self.bytes().get(HEADER_LEN..end).unwrap_or_default(),
        }
    }

    /// The first element equal to the string `value` among elements 0, `skip` + 1,
    /// 2 (`skip` + 1) and so on: with `skip` 1 the fields of a hash, without its values.
    pub fn find(&self, value: &[u8], skip: usize) -> Option<Position> {
        let int = super::number::parse_i64(value);
        let mut at = HEADER_LEN;
        let mut index = 0;
        while let Some((element, len)) = encoding::decode(&self.bytes()[at..]) {
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
        self.put(self.bytes().len() - 1, 0, &Encoded::bytes(value));
        self.count_changed(1);
    }

    /// Appends an integer.
    pub fn push_back_int(&mut self, value: i64) {
        self.put(self.bytes().len() - 1, 0, &Encoded::int(value));
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
        self.resize(position.0, end - position.0, 0);
        self.write_total();
        self.count_changed(-(deleted as isize));
        deleted
    }

    /// Takes the elements from `position` on away, as a listpack of their own.
    pub fn split_off(&mut self, position: Position) -> Self {
        let tail = &self.bytes()[position.0..];
        let mut other = Self::with_capacity(HEADER_LEN + tail.len());
        other.buffer.truncate(HEADER_LEN);
        other.buffer.extend_from_slice(tail);
        other.write_total();
        let moved = other.iter().count();
        other.count_changed(moved as isize);
        self.delete(position, moved);
        other
    }

    /// Appends all elements of `other`, as they are stored there.
    ///
    /// # Panics
    /// If the listpack would pass 4 GiB.
    pub fn append(&mut self, other: &Self) {
        let elements = other.iter().bytes;
        let at = self.bytes().len() - 1;
        self.resize(at, 0, elements.len());
        let at = self.start + at;
        self.buffer[at..at + elements.len()].copy_from_slice(elements);
        self.write_total();
        self.count_changed(other.len() as isize);
    }

    /// Gives spare capacity back.
    pub fn shrink_to_fit(&mut self) {
        if self.start > 0 {
            self.rebuild(0, 0);
        }
        self.buffer.shrink_to_fit();
    }

    /// Whole length of the element at `position`; `None` at the end.
    #[inline]
    fn span(&self, position: Position) -> Option<usize> {
        let (_, len) = encoding::decode(self.bytes().get(position.0..)?)?;
        Some(len + encoding::backlen_len(len))
    }

    #[inline]
    fn checked(&self, at: usize) -> Option<Position> {
        self.bytes()
            .get(at)
            .filter(|&&first| first != END)
            .map(|_| Position(at))
    }

    fn before(&self, at: usize) -> Option<Position> {
        let (len, backlen_len) = encoding::decode_backlen(self.bytes().get(HEADER_LEN..at)?)?;
        at.checked_sub(len + backlen_len)
            .filter(|&at| at >= HEADER_LEN)
            .map(Position)
    }

    /// Puts `encoded` in the place of the `old_len` bytes at `at`.
    fn put(&mut self, at: usize, old_len: usize, encoded: &Encoded<'_>) {
        let new_len = encoded.len();
        self.resize(at, old_len, new_len);
        let at = self.start + at;
        encoded.write(&mut self.buffer[at..at + new_len]);
        self.write_total();
    }

    /// Makes the `old_len` bytes at `at` `new_len` bytes long.
    fn resize(&mut self, at: usize, old_len: usize, new_len: usize) {
        let behind = self.bytes().len() - at - old_len;
        if new_len > old_len {
            let more = new_len - old_len;
            if at <= behind {
                self.reserve_front(more);
                let start = self.start - more;
                self.buffer.copy_within(self.start..self.start + at, start);
                self.start = start;
            } else {
                self.reserve_back(more);
                let end = self.buffer.len();
                self.buffer.resize(end + more, END);
                self.buffer
                    .copy_within(end - behind..end, end - behind + more);
            }
            return;
        }
        let less = old_len - new_len;
        if at <= behind {
            let start = self.start + less;
            self.buffer.copy_within(self.start..self.start + at, start);
            self.start = start;
        } else {
            let end = self.buffer.len();
            self.buffer
                .copy_within(end - behind..end, end - behind - less);
            self.buffer.truncate(end - less);
        }
        let len = self.bytes().len();
        if self.buffer.capacity() / 4 > len.max(SHRINK_LEN_MIN) {
            self.rebuild(0, len / 8);
        }
    }

    /// Makes sure that `more` bytes before the listpack are unused.
    fn reserve_front(&mut self, more: usize) {
        if self.start >= more {
            return;
        }
        let len = self.bytes().len();
        let unused = self.buffer.capacity() - len;
        if unused >= more.max(len / 8) {
            // All that is unused goes to the front.
            let (from, to) = (self.start, unused);
            self.buffer.resize(unused + len, END);
            self.buffer.copy_within(from..from + len, to);
            self.start = to;
        } else {
            self.rebuild(more.max(len / 8), 0);
        }
    }

    /// Makes sure that there is room for `more` bytes behind the listpack.
    fn reserve_back(&mut self, more: usize) {
        let len = self.bytes().len();
        let capacity = self.buffer.capacity();
        if capacity - self.buffer.len() >= more {
            return;
        }
        if capacity - len >= more.max(len / 8) {
            self.buffer.copy_within(self.start.., 0);
            self.buffer.truncate(len);
            self.start = 0;
        } else if self.start == 0 {
            // An eighth of slack instead of doubling: small collections are many.
            self.buffer.reserve_exact(more.max(len / 8));
        } else {
            self.rebuild(0, more.max(len / 8));
        }
    }

    /// Moves the listpack into a new buffer, with so many unused bytes on both sides.
    fn rebuild(&mut self, before: usize, behind: usize) {
        let mut buffer = Vec::with_capacity(before + self.bytes().len() + behind);
        buffer.resize(before, END);
        buffer.extend_from_slice(self.bytes());
        (self.buffer, self.start) = (buffer, before);
    }

    fn write_total(&mut self) {
        let total = u32::try_from(self.bytes().len()).expect("a listpack is below 4 GiB");
        self.buffer[self.start..][..4].copy_from_slice(&total.to_le_bytes());
    }

    fn stated_count(&self) -> u16 {
        let bytes = self.bytes();
        u16::from_le_bytes([bytes[4], bytes[5]])
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
        self.buffer[self.start..][4..HEADER_LEN].copy_from_slice(&count.to_le_bytes());
    }
}

impl Clone for Listpack {
    fn clone(&self) -> Self {
        Self {
            buffer: self.bytes().to_vec(),
            start: 0,
        }
    }
}

impl PartialEq for Listpack {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Listpack {}

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
