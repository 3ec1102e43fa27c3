//! The list data type: a sequence that grows and shrinks at both ends, in one of two encodings.
//!
//! A small list is one [`Listpack`]. What does not fit into a listpack's limit is a quicklist: a
//! row of nodes, each a listpack within the limit or a single large element. It turns into one and
//! back under exactly Redis's conditions (`OBJECT ENCODING` shows which it is).
//!
//! ```text
//!    listpack      [ a b c ]
//!
//!    quicklist     [ a b c ] [ d e f g ] ... [large] ... [ x y z ]
//!                  |<depth>|<- compressed, if a depth is set ->|<depth>|
//! ```
//!
//! | File | What |
//! |---|---|
//! | `limits` | the directives, and what they mean for a node |
//! | `node` | one node, compressed or not |
//! | `quicklist` | the nodes of a large list |

mod limits;
mod node;
mod quicklist;
#[cfg(test)]
mod tests;

pub use limits::ListLimits;
pub use node::NodeBytes;

use super::listpack::{Element, Listpack};
use super::{Collection, Garbage, Kind, Value, ValueRef, number};
use node::Node;
use quicklist::Quicklist;
use std::ops::ControlFlow;

/// Where an element is pushed or popped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Before the first element: Redis's left, or head.
    Front,
    /// Behind the last one: Redis's right, or tail.
    Back,
}

/// Which way a walk goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the front to the back.
    Forward,
    /// From the back to the front.
    Backward,
}

/// A string that elements are compared with.
#[derive(Clone, Copy, Debug)]
pub struct Needle<'a> {
    bytes: &'a [u8],
    int: Option<i64>,
}

impl<'a> Needle<'a> {
    /// A comparison with `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            int: number::parse_i64(bytes),
        }
    }

    /// Whether `element` is this string.
    #[inline]
    pub fn matches(&self, element: Element<'_>) -> bool {
        match element {
            Element::Int(int) => self.int == Some(int),
            Element::Bytes(bytes) => bytes == self.bytes,
        }
    }

    /// Removes up to `count` elements that match.
    fn delete_from(&self, listpack: &mut Listpack, count: usize, direction: Direction) -> usize {
        let mut deleted = 0;
        let mut next = match direction {
            Direction::Forward => listpack.first(),
            Direction::Backward => listpack.last(),
        };
        while let Some(at) = next.filter(|_| deleted < count) {
            let found = listpack.get(at).is_some_and(|found| self.matches(found));
            next = match (direction, found) {
                (Direction::Backward, _) => listpack.previous(at),
                (Direction::Forward, false) => listpack.next(at),
                // What follows will be here, if anything does.
                (Direction::Forward, true) => listpack.next(at).map(|_| at),
            };
            if found {
                deleted += listpack.delete(at, 1);
            }
        }
        deleted
    }
}

/// How a quicklist is made up, for DEBUG OBJECT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Nodes.
    pub nodes: usize,
    /// The limit of a node that the list was made with.
    pub node_size: i32,
    /// Whether inner nodes are compressed.
    pub compresses: bool,
    /// Bytes of all nodes without compression.
    pub bytes: usize,
}

/// A list.
#[derive(Clone)]
pub struct List(Encoding);

#[derive(Clone)]
enum Encoding {
    Listpack(Listpack),
    Quicklist(Box<Quicklist>),
}

/// Reading.
impl List {
    /// An empty list, in the listpack encoding.
    pub fn new() -> Self {
        Self(Encoding::Listpack(Listpack::new()))
    }

    /// Takes over the elements of a listpack; converts if it is too large. `None` if it is empty.
    pub fn from_listpack(listpack: Listpack, limits: &ListLimits) -> Option<Self> {
        if listpack.is_empty() {
            return None;
        }
        let mut list = Self(Encoding::Listpack(listpack));
        list.prepare(0, 0, limits);
        Some(list)
    }

    /// The name that OBJECT ENCODING reports.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Encoding::Listpack(_) => "listpack",
            Encoding::Quicklist(_) => "quicklist",
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.0 {
            Encoding::Listpack(listpack) => listpack.len(),
            Encoding::Quicklist(quicklist) => quicklist.count(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Encoding::Listpack(listpack) => listpack.is_empty(),
            Encoding::Quicklist(quicklist) => quicklist.count() == 0,
        }
    }

    /// Calls `f` with the elements from `index` on, in the direction given, until it breaks.
    /// Whole nodes are skipped on the way to the first one.
    pub fn walk(
        &self,
        index: usize,
        direction: Direction,
        mut f: impl FnMut(Element<'_>) -> ControlFlow<()>,
    ) {
        match &self.0 {
            Encoding::Listpack(listpack) => {
                let _ = node::walk(listpack, Some(index), direction, &mut f);
            }
            Encoding::Quicklist(quicklist) => quicklist.walk(index, direction, &mut f),
        }
    }

    /// Calls `f` with up to `count` elements from `index` on.
    pub fn walk_some(
        &self,
        index: usize,
        count: usize,
        direction: Direction,
        mut f: impl FnMut(Element<'_>),
    ) {
        let mut left = count;
        if left == 0 {
            return;
        }
        self.walk(index, direction, |element| {
            f(element);
            left -= 1;
            match left {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
    }

    /// Calls `f` with all elements.
    pub fn for_each(&self, f: impl FnMut(Element<'_>)) {
        self.walk_some(0, usize::MAX, Direction::Forward, f);
    }

    /// All elements, copied.
    pub fn to_vec(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::with_capacity(self.len());
        self.for_each(|element| all.push(element.to_vec()));
        all
    }

    /// Calls `f` with element `index`, if there is one.
    pub fn get<R>(&self, index: usize, f: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let (mut f, mut result) = (Some(f), None);
        self.walk_some(index, 1, Direction::Forward, |element| {
            result = f.take().map(|f| f(element));
        });
        result
    }

    /// Nodes of the quicklist; a listpack counts as one.
    pub fn node_count(&self) -> usize {
        match &self.0 {
            Encoding::Listpack(_) => 1,
            Encoding::Quicklist(quicklist) => quicklist.nodes().len(),
        }
    }

    /// The content of node `at`.
    pub fn node(&self, at: usize) -> Option<NodeBytes<'_>> {
        match &self.0 {
            Encoding::Listpack(listpack) => (at == 0).then(|| NodeBytes {
                is_plain: false,
                bytes: listpack.bytes(),
                unpacked_len: None,
            }),
            Encoding::Quicklist(quicklist) => quicklist.nodes().get(at).map(Node::bytes),
        }
    }

    /// How it is made up, if it is a quicklist.
    pub fn shape(&self) -> Option<Shape> {
        let Encoding::Quicklist(quicklist) = &self.0 else {
            return None;
        };
        Some(Shape {
            nodes: quicklist.nodes().len(),
            node_size: quicklist.fill().0,
            compresses: quicklist.depth() > 0,
            bytes: quicklist.nodes().iter().map(Node::len_bytes).sum(),
        })
    }
}

/// Changing.
impl List {
    /// To be called before elements of so many bytes in all are pushed, inserted or set: converts
    /// a listpack that would become too large (`listTypeTryConversionAppend`).
    #[inline]
    pub fn prepare(&mut self, bytes: usize, count: usize, limits: &ListLimits) {
        let Encoding::Listpack(listpack) = &mut self.0 else {
            return;
        };
        let bytes = listpack.bytes().len().saturating_add(bytes);
        if limits
            .fill()
            .is_exceeded(bytes, listpack.len().saturating_add(count))
        {
            let mut quicklist = Box::new(Quicklist::new(limits));
            if !listpack.is_empty() {
                quicklist.insert_node(0, Node::packed(std::mem::take(listpack)));
            }
            self.0 = Encoding::Quicklist(quicklist);
        }
    }

    /// To be called after elements were removed or replaced: a quicklist of one node that is not
    /// half full becomes a listpack.
    #[inline]
    pub fn shrink(&mut self, limits: &ListLimits) {
        self.convert_small(limits, true);
    }

    fn convert_small(&mut self, limits: &ListLimits, shrinking: bool) {
        if let Encoding::Quicklist(quicklist) = &mut self.0
            && let Some(listpack) = quicklist.take_small(limits.fill(), shrinking)
        {
            self.0 = Encoding::Listpack(listpack);
        }
    }

    /// Adds an element at an end. [`List::prepare`] comes first.
    #[inline]
    pub fn push(&mut self, end: End, value: &[u8], limits: &ListLimits) {
        match (&mut self.0, end) {
            (Encoding::Listpack(listpack), End::Front) => listpack.push_front(value),
            (Encoding::Listpack(listpack), End::Back) => listpack.push_back(value),
            (Encoding::Quicklist(quicklist), end) => quicklist.push(end, value, limits),
        }
    }

    /// Removes the element at an end, after `f` has seen it. [`List::shrink`] comes afterwards.
    #[inline]
    pub fn pop<R>(&mut self, end: End, f: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let listpack = match &mut self.0 {
            Encoding::Listpack(listpack) => listpack,
            Encoding::Quicklist(quicklist) => return quicklist.pop(end, f),
        };
        let at = match end {
            End::Front => listpack.first(),
            End::Back => listpack.last(),
        }?;
        let result = f(listpack.get(at)?);
        listpack.delete(at, 1);
        Some(result)
    }

    /// Replaces element `index`; whether there is one. To be called between [`List::prepare`] and
    /// [`List::shrink`].
    pub fn set(&mut self, index: usize, value: &[u8], limits: &ListLimits) -> bool {
        match &mut self.0 {
            Encoding::Listpack(listpack) => {
                let at = i64::try_from(index).ok().and_then(|at| listpack.seek(at));
                at.map(|at| listpack.replace(at, value)).is_some()
            }
            Encoding::Quicklist(quicklist) => quicklist.set(index, value, limits),
        }
    }

    /// Inserts `value` before or behind the first element that `pivot` matches; whether there is
    /// one. [`List::prepare`] comes first.
    pub fn insert(
        &mut self,
        pivot: &Needle<'_>,
        after: bool,
        value: &[u8],
        limits: &ListLimits,
    ) -> bool {
        let listpack = match &mut self.0 {
            Encoding::Listpack(listpack) => listpack,
            Encoding::Quicklist(quicklist) => return quicklist.insert(pivot, after, value, limits),
        };
        let Some(at) = listpack.find(pivot.bytes, 0) else {
            return false;
        };
        match after {
            true => listpack.insert_after(at, value),
            false => listpack.insert_before(at, value),
        }
        true
    }

    /// Removes `count` elements from `index` on. [`List::shrink`] comes afterwards.
    pub fn remove_range(&mut self, index: usize, count: usize) {
        match &mut self.0 {
            Encoding::Listpack(listpack) => {
                let at = i64::try_from(index).ok().and_then(|at| listpack.seek(at));
                if let Some(at) = at {
                    listpack.delete(at, count);
                }
            }
            Encoding::Quicklist(quicklist) => quicklist.remove_range(index, count),
        }
    }

    /// Removes up to `count` elements that `needle` matches, those first that come first in this
    /// direction; how many there were. [`List::shrink`] comes afterwards.
    pub fn remove_equal(
        &mut self,
        needle: &Needle<'_>,
        count: usize,
        direction: Direction,
    ) -> usize {
        match &mut self.0 {
            Encoding::Listpack(listpack) => needle.delete_from(listpack, count, direction),
            Encoding::Quicklist(quicklist) => quicklist.remove_equal(needle, count, direction),
        }
    }
}

/// Builds a list of what RDB holds.
pub struct Builder<'a> {
    quicklist: Quicklist,
    limits: &'a ListLimits,
}

impl<'a> Builder<'a> {
    /// Begins a list.
    pub fn new(limits: &'a ListLimits) -> Self {
        Self {
            quicklist: Quicklist::new(limits),
            limits,
        }
    }

    /// Adds a single element.
    pub fn element(&mut self, value: &[u8]) {
        self.quicklist.push(End::Back, value, self.limits);
    }

    /// Adds a node that is a listpack; an empty one is left out.
    pub fn listpack(&mut self, listpack: Listpack) {
        if !listpack.is_empty() {
            self.add(Node::packed(listpack));
        }
    }

    /// Adds a node that is one element.
    pub fn plain(&mut self, value: &[u8]) {
        self.add(Node::plain(value));
    }

    fn add(&mut self, node: Node) {
        let end = self.quicklist.nodes().len();
        self.quicklist.insert_node(end, node);
    }

    /// The list, which is a listpack if it is small; `None` if there is no element.
    pub fn finish(self) -> Option<List> {
        if self.quicklist.count() == 0 {
            return None;
        }
        let mut list = List(Encoding::Quicklist(Box::new(self.quicklist)));
        list.convert_small(self.limits, false);
        Some(list)
    }
}

impl Collection for List {
    const KIND: Kind = Kind::List;

    fn empty() -> Self {
        List::new()
    }

    fn len(&self) -> usize {
        List::len(self)
    }

    fn is_empty(&self) -> bool {
        List::is_empty(self)
    }

    fn encoding(&self) -> &'static str {
        List::encoding(self)
    }

    fn memory(&self) -> usize {
        size_of::<Self>()
            + match &self.0 {
                Encoding::Listpack(listpack) => listpack.memory(),
                Encoding::Quicklist(quicklist) => size_of::<Quicklist>() + quicklist.memory(),
            }
    }

    fn into_garbage(self) -> Garbage {
        match self.0 {
            Encoding::Listpack(_) => Box::new(std::iter::once(1)),
            // A node is one allocation, however many elements it has.
            Encoding::Quicklist(quicklist) => {
                Box::new(quicklist.into_nodes().into_iter().map(|_| 1))
            }
        }
    }

    fn view(value: ValueRef<'_>) -> Option<&Self> {
        match value {
            ValueRef::List(list) => Some(list),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Value {
        Value::List(self)
    }
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.encoding())?;
        let mut list = f.debug_list();
        self.for_each(|element| {
            list.entry(&element);
        });
        list.finish()
    }
}
