//! One node of a quicklist.

use super::Direction;
use crate::value::codec::lzf;
use crate::value::listpack::{Element, Listpack};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// What is shorter is never compressed, and a compression that saves less is undone; as in Redis.
const COMPRESS_LEN_MIN: usize = 48;
const COMPRESS_GAIN_MIN: usize = 8;
/// What is longer is not compressed either: that would stall the shard.
const COMPRESS_LEN_MAX: usize = 1 << 20;

/// A listpack of elements, or a single large one.
#[derive(Clone)]
pub(super) struct Node {
    /// Elements.
    count: u32,
    body: Body,
}

#[derive(Clone)]
enum Body {
    Packed(Listpack),
    Plain(Box<[u8]>),
    /// Either of them, compressed.
    Squeezed {
        data: Box<[u8]>,
        /// Bytes before the compression.
        len: u32,
        plain: bool,
    },
}

// A list of large elements has a node for each.
const _: () = assert!(size_of::<Node>() == 40);

/// The content of a node as RDB holds it.
#[derive(Clone, Copy, Debug)]
pub struct NodeBytes<'a> {
    /// A single large element instead of a listpack.
    pub is_plain: bool,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// If the bytes are compressed with LZF: how many they are otherwise.
    pub unpacked_len: Option<u32>,
}

impl Node {
    /// A node of `listpack`, which must have elements.
    pub(super) fn packed(listpack: Listpack) -> Self {
        let count = u32::try_from(listpack.len()).expect("an element takes two bytes at least");
        Self {
            count,
            body: Body::Packed(listpack),
        }
    }

    /// A node of one element within a listpack.
    pub(super) fn of_element(value: &[u8]) -> Self {
        let mut listpack = Listpack::new();
        listpack.push_back(value);
        Self::packed(listpack)
    }

    /// A node that is one large element.
    pub(super) fn plain(value: &[u8]) -> Self {
        Self {
            count: 1,
            body: Body::Plain(value.into()),
        }
    }

    /// Elements.
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// Says that so many elements came, or went.
    pub(super) fn count_changed(&mut self, change: isize) {
        let count = self.count().checked_add_signed(change);
        let count = count.and_then(|count| u32::try_from(count).ok());
        self.count = count.expect("a node counts its elements");
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(
            self.body,
            Body::Plain(_) | Body::Squeezed { plain: true, .. }
        )
    }

    /// Bytes of the listpack or of the element, uncompressed.
    pub(super) fn len_bytes(&self) -> usize {
        match &self.body {
            Body::Packed(listpack) => listpack.bytes().len(),
            Body::Plain(bytes) => bytes.len(),
            Body::Squeezed { len, .. } => *len as usize,
        }
    }

    /// Allocated bytes, without this struct.
    #[inline]
    pub(super) fn memory(&self) -> usize {
        match &self.body {
            Body::Packed(listpack) => listpack.memory(),
            Body::Plain(bytes) => bytes.len(),
            Body::Squeezed { data, .. } => data.len(),
        }
    }

    /// Gives memory back that is there for elements to come.
    pub(super) fn shrink_to_fit(&mut self) {
        if let Body::Packed(listpack) = &mut self.body {
            listpack.shrink_to_fit();
        }
    }

    /// The content as it is stored.
    pub(super) fn bytes(&self) -> NodeBytes<'_> {
        let (bytes, unpacked_len) = match &self.body {
            Body::Packed(listpack) => (listpack.bytes(), None),
            Body::Plain(bytes) => (&**bytes, None),
            Body::Squeezed { data, len, .. } => (&**data, Some(*len)),
        };
        NodeBytes {
            is_plain: self.is_plain(),
            bytes,
            unpacked_len,
        }
    }

    /// Whether it is compressed.
    pub(super) fn is_squeezed(&self) -> bool {
        matches!(self.body, Body::Squeezed { .. })
    }

    /// Compresses it, if that pays.
    pub(super) fn squeeze(&mut self) {
        let (bytes, plain) = match &self.body {
            Body::Packed(listpack) => (listpack.bytes(), false),
            Body::Plain(bytes) => (&**bytes, true),
            Body::Squeezed { .. } => return,
        };
        if !(COMPRESS_LEN_MIN..=COMPRESS_LEN_MAX).contains(&bytes.len()) {
            return;
        }
        let mut data = Vec::new();
        if lzf::compress(bytes, bytes.len(), &mut data)
            && data.len() + COMPRESS_GAIN_MIN < bytes.len()
        {
            self.body = Body::Squeezed {
                data: data.into_boxed_slice(),
                len: bytes.len() as u32,
                plain,
            };
        }
    }

    /// Undoes the compression.
    pub(super) fn unsqueeze(&mut self) {
        if let Body::Squeezed { data, len, plain } = &self.body {
            self.body = unsqueezed(data, *len, *plain);
        }
    }

    /// The listpack, to be changed.
    ///
    /// # Panics
    /// If it is a large element.
    pub(super) fn listpack_mut(&mut self) -> &mut Listpack {
        self.unsqueeze();
        match &mut self.body {
            Body::Packed(listpack) => listpack,
            _ => panic!("a node of one large element holds no listpack"),
        }
    }

    /// The listpack, if it is one and not compressed.
    pub(super) fn into_listpack(self) -> Option<Listpack> {
        match self.body {
            Body::Packed(listpack) => Some(listpack),
            _ => None,
        }
    }

    /// Calls `f` with the elements from `offset` on, or from the last one on, in the direction
    /// given, until it breaks.
    pub(super) fn walk(
        &self,
        offset: Option<usize>,
        direction: Direction,
        f: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let body = match &self.body {
            Body::Squeezed { data, len, plain } => Cow::Owned(unsqueezed(data, *len, *plain)),
            body => Cow::Borrowed(body),
        };
        match &*body {
            Body::Packed(listpack) => walk(listpack, offset, direction, f),
            Body::Plain(bytes) => f(Element::Bytes(bytes)),
            Body::Squeezed { .. } => unreachable!("it was decompressed"),
        }
    }
}

/// What was compressed here; that it is malformed cannot be.
fn unsqueezed(data: &[u8], len: u32, plain: bool) -> Body {
    let bytes = lzf::decompress(data, len as usize).expect("what was compressed comes back");
    match plain {
        true => Body::Plain(bytes.into_boxed_slice()),
        false => Body::Packed(Listpack::from_bytes(bytes).expect("it was a listpack")),
    }
}

/// See [`Node::walk`].
pub(super) fn walk(
    listpack: &Listpack,
    offset: Option<usize>,
    direction: Direction,
    f: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let at = match offset {
        None => None,
        Some(offset) => match i64::try_from(offset).ok().and_then(|at| listpack.seek(at)) {
            Some(at) => Some(at),
            None => return ControlFlow::Continue(()),
        },
    };
    match (direction, at) {
        (Direction::Forward, None) => listpack.iter().try_for_each(f),
        (Direction::Forward, Some(at)) => listpack.iter_from(at).try_for_each(f),
        (Direction::Backward, None) => listpack.iter().rev().try_for_each(f),
        (Direction::Backward, Some(at)) => listpack.iter_to(at).rev().try_for_each(f),
    }
}
