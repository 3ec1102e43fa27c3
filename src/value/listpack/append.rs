//! A listpack that grows at its end only, many elements at a time: the nodes of a stream.
//!
//! Length and count in the header are written once per batch of elements, not once per element, and
//! nothing is ever moved to make room but where an integer in its midst takes another size.

use super::encoding::{self, END, Encoded};
use super::{COUNT_UNKNOWN, HEADER_LEN, Iter, Listpack};

/// Longest that the head and the backlen of an element can be together, in bytes.
const OVERHEAD_MAX: usize = 10;

/// A listpack that grows at its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Growing {
    bytes: Vec<u8>,
}

/// Where an element stands, as a distance from the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offset(usize);

/// Takes the elements of one batch.
pub struct Appender<'a> {
    bytes: &'a mut Vec<u8>,
    count: usize,
}

impl Growing {
    /// An empty one with room for `bytes` bytes in all.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut empty = Vec::with_capacity(bytes.max(HEADER_LEN + 1));
        empty.extend_from_slice(&[HEADER_LEN as u8 + 1, 0, 0, 0, 0, 0, END]);
        Self { bytes: empty }
    }

    /// The bytes, as RDB and DUMP carry them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Allocated bytes, without this struct.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// All elements, from either end.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            bytes: &self.bytes[HEADER_LEN..self.bytes.len() - 1],
        }
    }

    /// Where the next element of `rest` stands. `rest` are the last elements of this listpack.
    pub fn offset(&self, rest: &Iter<'_>) -> Offset {
        Offset(self.bytes.len() - 1 - rest.bytes.len())
    }

    /// Appends the elements that `f` gives: `count` strings or integers at most, the strings of
    /// `content_len` bytes in all.
    ///
    /// # Panics
    /// If the listpack would pass 4 GiB.
    pub fn append(&mut self, count: usize, content_len: usize, f: impl FnOnce(&mut Appender<'_>)) {
        let room = content_len + count * OVERHEAD_MAX;
        let len = self.bytes.len();
        if self.bytes.capacity() - len < room {
            // An eighth of slack instead of doubling: small streams are many.
            self.bytes.reserve_exact(room.max(len / 8));
        }
        self.bytes.pop();
        let mut appender = Appender {
            bytes: &mut self.bytes,
            count: 0,
        };
        f(&mut appender);
        let added = appender.count;
        self.bytes.push(END);
        self.write_total();
        let stated = u16::from_le_bytes([self.bytes[4], self.bytes[5]]);
        if stated != COUNT_UNKNOWN {
            let count = u16::try_from(usize::from(stated) + added).unwrap_or(COUNT_UNKNOWN);
            self.bytes[4..HEADER_LEN].copy_from_slice(&count.to_le_bytes());
        }
    }

    /// Replaces the element at `offset` by an integer.
    pub fn set_integer(&mut self, offset: Offset, value: i64) {
        let Offset(at) = offset;
        let (_, old) = encoding::decode(&self.bytes[at..]).expect("an offset of this listpack");
        let old_len = old + encoding::backlen_len(old);
        let encoded = Encoded::int(value);
        let new_len = encoded.len();
        if new_len != old_len {
            let mut bytes = Vec::with_capacity(new_len);
            encoded.push(&mut bytes);
            self.bytes.splice(at..at + old_len, bytes);
            self.write_total();
        } else {
            encoded.write(&mut self.bytes[at..at + new_len]);
        }
    }

    /// Gives spare capacity back.
    pub fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
    }

    fn write_total(&mut self) {
        let total = u32::try_from(self.bytes.len()).expect("a listpack is below 4 GiB");
        self.bytes[..4].copy_from_slice(&total.to_le_bytes());
    }
}

impl From<Listpack> for Growing {
    fn from(listpack: Listpack) -> Self {
        Self {
            bytes: listpack.bytes().to_vec(),
        }
    }
}

impl std::fmt::Debug for Growing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Appender<'_> {
    /// A string.
    #[inline]
    pub fn string(&mut self, value: &[u8]) {
        Encoded::bytes(value).push(self.bytes);
        self.count += 1;
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        Encoded::int(value).push(self.bytes);
        self.count += 1;
    }
}

impl<'a> Iter<'a> {
    /// The next `count` elements, taken off as an iterator of their own; `None`, and nothing taken,
    /// if there are fewer.
    pub fn split_front(&mut self, count: u64) -> Option<Iter<'a>> {
        let mut rest = self.clone();
        for _ in 0..count {
            rest.next()?;
        }
        let (taken, left) = self.bytes.split_at(self.bytes.len() - rest.bytes.len());
        self.bytes = left;
        Some(Iter { bytes: taken })
    }

    /// As [`Iter::split_front`], from the end: the last `count` elements, in their order.
    pub fn split_back(&mut self, count: u64) -> Option<Iter<'a>> {
        let mut rest = self.clone();
        for _ in 0..count {
            rest.next_back()?;
        }
        let (left, taken) = self.bytes.split_at(rest.bytes.len());
        self.bytes = left;
        Some(Iter { bytes: taken })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Element;
    use super::*;

    #[test]
    fn batches_give_the_bytes_that_single_elements_give() {
        let (mut batch, mut single) = (Growing::with_capacity(0), Listpack::new());
        for round in 0..3000i64 {
            let text = "x".repeat(round as usize % 70);
            batch.append(3, text.len() + 2, |out| {
                out.integer(round * 77 - 5000);
                out.string(text.as_bytes());
                out.string(b"12");
            });
            single.push_back_int(round * 77 - 5000);
            single.push_back(text.as_bytes());
            single.push_back(b"12");
        }
        assert_eq!(batch.bytes(), single.bytes());
        assert_eq!(Growing::from(single), batch);
        // Beyond what the header can count.
        for _ in 0..20_000 {
            batch.append(3, 0, |out| (0..3).for_each(|n| out.integer(n)));
        }
        assert_eq!(
            Listpack::from_bytes(batch.bytes().to_vec()).unwrap().len(),
            69_000
        );
    }

    #[test]
    fn integers_are_replaced_in_any_size() {
        let mut pack = Growing::with_capacity(0);
        pack.append(3, 3, |out| {
            out.integer(1);
            out.integer(2);
            out.string(b"end");
        });
        let mut rest = pack.iter();
        rest.next();
        let offset = pack.offset(&rest);
        for value in [3, 127, 128, -1, 5000, 0, i64::MIN] {
            pack.set_integer(offset, value);
            let all: Vec<Element<'_>> = pack.iter().collect();
            let want = [Element::Int(1), Element::Int(value), Element::Bytes(b"end")];
            assert_eq!(all, want);
            assert!(Listpack::from_bytes(pack.bytes().to_vec()).is_ok());
        }
    }

    #[test]
    fn elements_are_split_off_at_both_ends() {
        let mut pack = Growing::with_capacity(0);
        pack.append(5, 0, |out| (0..5).for_each(|n| out.integer(n)));
        let mut rest = pack.iter();
        let front: Vec<_> = rest.split_front(2).unwrap().collect();
        assert_eq!(front, [Element::Int(0), Element::Int(1)]);
        let back: Vec<_> = rest.split_back(2).unwrap().collect();
        assert_eq!(back, [Element::Int(3), Element::Int(4)]);
        assert!(rest.split_front(2).is_none() && rest.split_back(2).is_none());
        assert_eq!(rest.collect::<Vec<_>>(), [Element::Int(2)]);
    }
}
