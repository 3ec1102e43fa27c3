//! The large form of a list: nodes of many elements each.
//!
//! Where an element goes, when a node is split and when two become one follows Redis's
//! `quicklist.c`, because it can be seen: in DUMP, in DEBUG OBJECT, and in the moment at which a
//! list is small enough to be a listpack again.
//!
//! **Invariant:** no node is empty, and `count` and `node_bytes` are the sums over all nodes. With
//! a depth, the nodes within it of either end are not compressed; all others are where that pays.

use super::limits::{Fill, ListLimits};
use super::node::Node;
use super::{Direction, End, Needle};
use crate::value::listpack::{Element, Listpack};
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// Bytes that an element takes beside its own, generously, when it is seen whether it still fits
/// (`SIZE_ESTIMATE_OVERHEAD`).
const ELEMENT_OVERHEAD: usize = 8;
/// Bytes of header and end mark, of which a merge saves one pair.
const LISTPACK_OVERHEAD: usize = 7;

pub(super) struct Quicklist {
    nodes: VecDeque<Node>,
    count: usize,
    /// Allocated bytes of all nodes, without the structs.
    node_bytes: usize,
    /// The limit of a node, as it was when the list was made.
    fill: Fill,
    /// Nodes at each end that stay uncompressed; 0: no node is compressed.
    depth: u16,
}

impl Clone for Quicklist {
    fn clone(&self) -> Self {
        // A copy of a node has no room for more.
        let nodes = self.nodes.clone();
        Self {
            count: self.count,
            node_bytes: nodes.iter().map(Node::memory).sum(),
            nodes,
            fill: self.fill,
            depth: self.depth,
        }
    }
}

/// An element's place: its node, and its number within that.
type Place = (usize, usize);

/// Reading.
impl Quicklist {
    pub(super) fn new(limits: &ListLimits) -> Self {
        Self {
            nodes: VecDeque::new(),
            count: 0,
            node_bytes: 0,
            fill: limits.fill_to_keep(),
            depth: u16::try_from(limits.compress_depth).unwrap_or(u16::MAX),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn nodes(&self) -> &VecDeque<Node> {
        &self.nodes
    }

    pub(super) fn into_nodes(self) -> VecDeque<Node> {
        self.nodes
    }

    pub(super) fn fill(&self) -> Fill {
        self.fill
    }

    pub(super) fn depth(&self) -> u16 {
        self.depth
    }

    /// Allocated bytes, without this struct.
    pub(super) fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.node_bytes
    }

    /// The only node's listpack, if there is one node and it is small enough.
    pub(super) fn take_small(&mut self, limit: Fill, shrinking: bool) -> Option<Listpack> {
        if self.nodes.len() != 1 {
            return None;
        }
        let node = self.nodes.front()?;
        if node.is_plain() || !limit.suits_listpack(node.len_bytes(), self.count, shrinking) {
            return None;
        }
        let mut node = self.nodes.pop_front()?;
        node.unsqueeze();
        node.into_listpack()
    }

    fn locate(&self, index: usize) -> Option<Place> {
        if index >= self.count {
            return None;
        }
        // From the nearer end, node by node.
        if index < self.count / 2 {
            let mut offset = index;
            for (at, node) in self.nodes.iter().enumerate() {
                match offset.checked_sub(node.count()) {
                    Some(rest) => offset = rest,
                    None => return Some((at, offset)),
                }
            }
        } else {
            let mut from_end = self.count - 1 - index;
            for (at, node) in self.nodes.iter().enumerate().rev() {
                match from_end.checked_sub(node.count()) {
                    Some(rest) => from_end = rest,
                    None => return Some((at, node.count() - 1 - from_end)),
                }
            }
        }
        None
    }

    /// Calls `f` with the elements from `index` on until it breaks.
    pub(super) fn walk(
        &self,
        index: usize,
        direction: Direction,
        f: &mut impl FnMut(Element<'_>) -> ControlFlow<()>,
    ) {
        let Some((mut at, offset)) = self.locate(index) else {
            return;
        };
        let mut offset = Some(offset);
        while let Some(node) = self.nodes.get(at) {
            if node.walk(offset.take(), direction, f).is_break() {
                return;
            }
            at = match direction {
                Direction::Forward => at + 1,
                Direction::Backward => at.wrapping_sub(1),
            };
        }
    }
}

/// Changes of single nodes.
impl Quicklist {
    /// Changes the listpack of a node by so many elements.
    #[inline]
    fn edit<R>(&mut self, at: usize, change: isize, f: impl FnOnce(&mut Listpack) -> R) -> R {
        let node = &mut self.nodes[at];
        let before = node.memory();
        let result = f(node.listpack_mut());
        node.count_changed(change);
        self.node_bytes = self.node_bytes - before + node.memory();
        self.count = self.count.strict_add_signed(change);
        if self.depth > 0 {
            self.settle(at);
        }
        result
    }

    /// Puts a node before the one at `at`, or behind the last.
    pub(super) fn insert_node(&mut self, at: usize, node: Node) {
        self.count += node.count();
        self.node_bytes += node.memory();
        self.nodes.insert(at, node);
        // Its neighbours are less likely to grow than they were.
        for neighbour in [at.wrapping_sub(1), at + 1] {
            if let Some(node) = self.nodes.get_mut(neighbour) {
                self.node_bytes -= node.memory();
                node.shrink_to_fit();
                self.node_bytes += node.memory();
            }
        }
        self.settle_around(at);
    }

    fn remove_node(&mut self, at: usize) {
        if let Some(node) = self.nodes.remove(at) {
            self.count -= node.count();
            self.node_bytes -= node.memory();
        }
        self.settle_around(at);
    }

    /// Compresses or decompresses nodes after one came or went at `at`: this one, and those that
    /// it moved over the depth.
    fn settle_around(&mut self, at: usize) {
        let depth = usize::from(self.depth);
        if depth == 0 {
            return;
        }
        let len = self.nodes.len();
        let mirrored = len.wrapping_sub(depth);
        for at in [at, depth - 1, depth, mirrored, mirrored.wrapping_sub(1)] {
            self.settle(at);
        }
    }

    /// Compresses or decompresses the node at `at` as its place asks for.
    fn settle(&mut self, at: usize) {
        let depth = usize::from(self.depth);
        let len = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        let inside = depth > 0 && at >= depth && at + depth < len;
        if inside == node.is_squeezed() {
            return;
        }
        self.node_bytes -= node.memory();
        match inside {
            true => node.squeeze(),
            false => node.unsqueeze(),
        }
        self.node_bytes += node.memory();
    }

    /// As [`Quicklist::settle_around`], after many nodes went.
    fn settle_ends(&mut self) {
        let len = self.nodes.len();
        for at in 0..usize::from(self.depth).min(len) {
            self.settle(at);
            self.settle(len - 1 - at);
        }
    }

    /// Whether there is a node at `at` that takes an element of `len` bytes more.
    #[inline]
    fn takes(&self, at: usize, len: usize, limits: &ListLimits) -> bool {
        let Some(node) = self.nodes.get(at) else {
            return false;
        };
        !node.is_plain()
            && !limits.is_large(len, self.fill)
            && !self.fill.is_exceeded(
                node.len_bytes()
                    .saturating_add(len)
                    .saturating_add(ELEMENT_OVERHEAD),
                node.count() + 1,
            )
    }

    fn new_node(&self, value: &[u8], limits: &ListLimits) -> Node {
        match limits.is_large(value.len(), self.fill) {
            true => Node::plain(value),
            false => Node::of_element(value),
        }
    }

    /// Splits a node before the element `offset`, which is not its first; the second part comes
    /// behind it.
    fn split(&mut self, at: usize, offset: usize) {
        let moved = (self.nodes[at].count() - offset) as isize;
        let tail = self.edit(at, -moved, |listpack| {
            let at = listpack.seek(offset as i64).expect("an element there");
            listpack.split_off(at)
        });
        self.insert_node(at + 1, Node::packed(tail));
    }

    /// Whether the nodes at `at` and behind it are small enough to be one.
    fn may_merge(&self, at: usize) -> bool {
        let (Some(a), Some(b)) = (self.nodes.get(at), self.nodes.get(at + 1)) else {
            return false;
        };
        let bytes = a.len_bytes() + b.len_bytes() - LISTPACK_OVERHEAD;
        !a.is_plain() && !b.is_plain() && !self.fill.is_exceeded(bytes, a.count() + b.count())
    }

    fn merge(&mut self, at: usize) {
        let Some(mut second) = self.nodes.remove(at + 1) else {
            return;
        };
        self.count -= second.count();
        self.node_bytes -= second.memory();
        let elements = second.count() as isize;
        let second = second.listpack_mut();
        self.edit(at, elements, |listpack| listpack.append(second));
        self.settle_around(at);
    }

    /// Merges the nodes around `center` where they are small enough.
    fn merge_around(&mut self, mut center: usize) {
        if center >= 2 && self.may_merge(center - 2) {
            self.merge(center - 2);
            center -= 1;
        }
        if self.may_merge(center + 1) {
            self.merge(center + 1);
        }
        if center >= 1 && self.may_merge(center - 1) {
            self.merge(center - 1);
            center -= 1;
        }
        if self.may_merge(center) {
            self.merge(center);
        }
    }
}

/// Changes of elements.
impl Quicklist {
    pub(super) fn push(&mut self, end: End, value: &[u8], limits: &ListLimits) {
        let (at, behind) = match end {
            End::Front => (0, 0),
            End::Back => (self.nodes.len().saturating_sub(1), self.nodes.len()),
        };
        if self.takes(at, value.len(), limits) {
            self.edit(at, 1, |listpack| match end {
                End::Front => listpack.push_front(value),
                End::Back => listpack.push_back(value),
            });
        } else {
            let node = self.new_node(value, limits);
            self.insert_node(behind, node);
        }
    }

    /// Removes the element at an end, after `f` has seen it.
    pub(super) fn pop<R>(&mut self, end: End, f: impl FnOnce(Element<'_>) -> R) -> Option<R> {
        let at = match end {
            End::Front => 0,
            End::Back => self.nodes.len().checked_sub(1)?,
        };
        let node = self.nodes.get_mut(at)?;
        if node.is_plain() {
            node.unsqueeze();
            let result = f(Element::Bytes(node.bytes().bytes));
            self.remove_node(at);
            return Some(result);
        }
        let last = node.count() == 1;
        let result = self.edit(at, -1, |listpack| {
            let position = match end {
                End::Front => listpack.first(),
                End::Back => listpack.last(),
            }?;
            let result = f(listpack.get(position)?);
            listpack.delete(position, 1);
            Some(result)
        });
        if last {
            self.remove_node(at);
        }
        result
    }

    /// Puts `value` before or behind the element at a place.
    fn insert_at(&mut self, place: Place, after: bool, value: &[u8], limits: &ListLimits) {
        let (at, offset) = place;
        let (len, node) = (value.len(), &self.nodes[at]);
        let beside = at + usize::from(after);
        let at_edge = match after {
            true => offset + 1 == node.count(),
            false => offset == 0,
        };
        if limits.is_large(len, self.fill) {
            if !at_edge {
                self.split(at, offset + usize::from(after));
                return self.insert_node(at + 1, Node::plain(value));
            }
            return self.insert_node(beside, Node::plain(value));
        }
        if self.takes(at, len, limits) {
            self.edit(at, 1, |listpack| {
                let position = listpack.seek(offset as i64).expect("an element there");
                match after {
                    true => listpack.insert_after(position, value),
                    false => listpack.insert_before(position, value),
                }
            });
        } else if at_edge {
            // The neighbour on that side, or a new node between them.
            let neighbour = if after { at + 1 } else { at.wrapping_sub(1) };
            match self.takes(neighbour, len, limits) {
                true if after => self.edit(neighbour, 1, |listpack| listpack.push_front(value)),
                true => self.edit(neighbour, 1, |listpack| listpack.push_back(value)),
                false => self.insert_node(beside, Node::of_element(value)),
            }
        } else {
            self.split(at, offset + usize::from(after));
            match after {
                true => self.edit(at + 1, 1, |listpack| listpack.push_front(value)),
                false => self.edit(at, 1, |listpack| listpack.push_back(value)),
            }
            self.merge_around(if after { at } else { at + 1 });
        }
    }

    /// Puts `value` before or behind the first element that `pivot` matches; whether there is one.
    pub(super) fn insert(
        &mut self,
        pivot: &Needle<'_>,
        after: bool,
        value: &[u8],
        limits: &ListLimits,
    ) -> bool {
        let mut index = 0;
        let mut found = false;
        self.walk(0, Direction::Forward, &mut |element| {
            if pivot.matches(element) {
                found = true;
                return ControlFlow::Break(());
            }
            index += 1;
            ControlFlow::Continue(())
        });
        match self.locate(index) {
            Some(place) if found => {
                self.insert_at(place, after, value, limits);
                true
            }
            _ => false,
        }
    }

    /// Replaces the element `index`; whether there is one.
    pub(super) fn set(&mut self, index: usize, value: &[u8], limits: &ListLimits) -> bool {
        let Some((at, offset)) = self.locate(index) else {
            return false;
        };
        let large = limits.is_large(value.len(), self.fill);
        let node = &mut self.nodes[at];
        if node.is_plain() {
            match large {
                true => self.insert_node(at + 1, Node::plain(value)),
                false => self.insert_at((at, 0), true, value, limits),
            }
            self.remove_node(at);
            return true;
        }
        let (elements, bytes) = (node.count(), node.len_bytes());
        let fits = bytes.saturating_add(value.len()) <= crate::value::listpack::LISTPACK_LEN_MAX;
        if !large && fits {
            self.edit(at, 0, |listpack| {
                let position = listpack.seek(offset as i64).expect("an element there");
                listpack.replace(position, value);
            });
            return true;
        }
        if offset + 1 < elements {
            self.split(at, offset + 1);
        }
        let node = self.new_node(value, limits);
        self.insert_node(at + 1, node);
        if offset == 0 {
            self.remove_node(at);
        } else {
            self.edit(at, -1, |listpack| {
                let last = listpack.last().expect("the element that is replaced");
                listpack.delete(last, 1);
            });
            self.merge_around(at + 1);
        }
        true
    }

    /// Removes `count` elements from `index` on.
    pub(super) fn remove_range(&mut self, index: usize, count: usize) {
        let count = count.min(self.count.saturating_sub(index));
        let (Some((mut at, offset)), true) = (self.locate(index), count > 0) else {
            return;
        };
        let mut left = count;
        if offset > 0 {
            left -= self.remove_within(at, offset, left);
            at += 1;
        }
        let whole = self.nodes.range(at..).take_while(|node| {
            let fits = node.count() <= left;
            if fits {
                left -= node.count();
            }
            fits
        });
        let whole = whole.count();
        for node in self.nodes.drain(at..at + whole) {
            self.count -= node.count();
            self.node_bytes -= node.memory();
        }
        if left > 0 {
            self.remove_within(at, 0, left);
        }
        self.settle_ends();
    }

    /// Removes up to `count` elements of one node, not all of it; how many.
    fn remove_within(&mut self, at: usize, offset: usize, count: usize) -> usize {
        let count = count.min(self.nodes[at].count() - offset);
        self.edit(at, -(count as isize), |listpack| {
            let position = listpack.seek(offset as i64).expect("an element there");
            listpack.delete(position, count)
        })
    }

    /// Removes up to `count` elements that `needle` matches; how many there were.
    pub(super) fn remove_equal(
        &mut self,
        needle: &Needle<'_>,
        count: usize,
        direction: Direction,
    ) -> usize {
        let mut removed = 0;
        let mut at = match direction {
            Direction::Forward => 0,
            Direction::Backward => self.nodes.len().wrapping_sub(1),
        };
        while removed < count && at < self.nodes.len() {
            let nodes = self.nodes.len();
            removed += self.remove_equal_at(at, needle, count - removed, direction);
            at = match direction {
                Direction::Backward => at.wrapping_sub(1),
                // Where a node went, the next one is.
                Direction::Forward if self.nodes.len() < nodes => at,
                Direction::Forward => at + 1,
            };
        }
        removed
    }

    fn remove_equal_at(
        &mut self,
        at: usize,
        needle: &Needle<'_>,
        count: usize,
        direction: Direction,
    ) -> usize {
        // Counted first, so that a compressed node without any stays as it is.
        let mut found = 0;
        let _ = self.nodes[at].walk(None, direction, &mut |element| {
            found += usize::from(needle.matches(element));
            match found < count {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if found == self.nodes[at].count() {
            self.remove_node(at);
        } else if found > 0 {
            self.edit(at, -(found as isize), |listpack| {
                needle.delete_from(listpack, found, direction);
            });
        }
        found
    }
}
