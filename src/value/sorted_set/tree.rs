//! A counted B+tree: members in order, found by comparing or by rank, both in O(log n).
//!
//! A leaf holds up to `L` pairs of score and handle. An inner node holds up to `F` children, with
//! the number of members under each and, for each but the first, the first pair under it, by which
//! the search chooses. (The pair kept for the first child is never read.) All leaves are equally
//! deep.
//!
//! ```text
//!   inner   | -    | 7.5 b | 9 a |       the first pair under each child
//!           | 63   | 40    | 51  |       how many there are
//!              |       |      '------------.
//!   leaf    | 1 x | 2 c | 2 f | ...   | 9 a | 9 b | 12 q | ...
//! ```
//!
//! A node that is full splits in halves, but at either end of all members into a full one and one
//! with the new member alone: members that come in order leave full leaves behind. A node with
//! less than a quarter merges with a neighbour if both fill no more than three quarters; so a node
//! is only freed or merged after many removals, and none is ever left empty.
//!
//! The tree knows nothing of members' bytes: whoever searches compares.

use super::members::Handle;
use std::hint::black_box;
use std::ops::Range;

/// Into how many parts a step of [`Keys::partition_touching`] divides what is left.
const WAYS: usize = 8;

/// Pairs of score and handle, at most `N`.
#[derive(Clone)]
struct Keys<const N: usize> {
    scores: [f64; N],
    handles: [Handle; N],
    len: u16,
}

impl<const N: usize> Keys<N> {
    const EMPTY: Self = Self {
        scores: [0.0; N],
        handles: [Handle::DUMMY; N],
        len: 0,
    };

    #[inline]
    fn len(&self) -> usize {
        usize::from(self.len)
    }

    #[inline]
    fn get(&self, at: usize) -> (f64, Handle) {
        (self.scores[at], self.handles[at])
    }

    fn set(&mut self, at: usize, (score, handle): (f64, Handle)) {
        self.scores[at] = score;
        self.handles[at] = handle;
    }

    fn insert(&mut self, at: usize, key: (f64, Handle)) {
        let len = self.len();
        self.scores.copy_within(at..len, at + 1);
        self.handles.copy_within(at..len, at + 1);
        self.len += 1;
        self.set(at, key);
    }

    fn remove(&mut self, at: usize) -> (f64, Handle) {
        let (key, len) = (self.get(at), self.len());
        self.scores.copy_within(at + 1..len, at);
        self.handles.copy_within(at + 1..len, at);
        self.len -= 1;
        key
    }

    fn split_off(&mut self, at: usize) -> Self {
        let (mut right, len) = (Self::EMPTY, self.len());
        right.scores[..len - at].copy_from_slice(&self.scores[at..len]);
        right.handles[..len - at].copy_from_slice(&self.handles[at..len]);
        right.len = (len - at) as u16;
        self.len = at as u16;
        right
    }

    fn append(&mut self, right: &Self) {
        let (len, more) = (self.len(), right.len());
        self.scores[len..len + more].copy_from_slice(&right.scores[..more]);
        self.handles[len..len + more].copy_from_slice(&right.handles[..more]);
        self.len += right.len;
    }

    /// The first place from `from` on whose pair is not `before`.
    #[inline]
    fn partition(&self, from: usize, before: &impl Fn(f64, Handle) -> bool) -> usize {
        self.partition_within(from..self.len(), before)
    }

    /// As [`Keys::partition`], for a place that is known to lie within these, or at their end.
    #[inline]
    fn partition_within(
        &self,
        Range { start, end }: Range<usize>,
        before: &impl Fn(f64, Handle) -> bool,
    ) -> usize {
        let (mut low, mut high) = (start, end);
        while low < high {
            let middle = low.midpoint(high);
            if before(self.scores[middle], self.handles[middle]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Loads all of a node at once, so that a search of it does not wait for line after line.
    #[inline]
    fn touch(&self) {
        const LINE: usize = 64;
        // Loads whose results nobody waits for.
        for at in (0..self.len()).step_by(LINE / size_of::<f64>()) {
            black_box(self.scores[at]);
        }
        for at in (0..self.len()).step_by(LINE / size_of::<Handle>()) {
            black_box(self.handles[at]);
        }
    }

    /// As [`Tree::partition_touching`], within a node, from `from` on. Each step calls `touch` with
    /// the handles of all that it may compare with before it compares with any: so their cache
    /// misses overlap, where halving would wait for one after the other.
    #[inline]
    fn partition_touching(
        &self,
        from: usize,
        score: f64,
        before: &impl Fn(f64, Handle) -> bool,
        touch: &impl Fn(Handle),
    ) -> usize {
        // What another score decides needs no member.
        let scores = &self.scores[from..self.len()];
        let (mut low, mut high) = match scores {
            [first, .., last] if *first == score && *last == score => (from, self.len()),
            _ => {
                let lower = scores.partition_point(|&other| other < score);
                let equal = scores[lower..].partition_point(|&other| other == score);
                (from + lower, from + lower + equal)
            }
        };
        while high - low >= WAYS {
            let (start, len) = (low, high - low);
            let pivot = |way: usize| start + way * len / WAYS;
            (1..WAYS).for_each(|way| touch(self.handles[pivot(way)]));
            let (mut from, mut to) = (0, WAYS);
            while to - from > 1 {
                let way = from.midpoint(to);
                let at = pivot(way);
                if before(self.scores[at], self.handles[at]) {
                    (from, low) = (way, at + 1);
                } else {
                    (to, high) = (way, at);
                }
            }
        }
        self.handles[low..high].iter().copied().for_each(touch);
        self.partition_within(low..high, before)
    }
}

#[derive(Clone)]
struct Inner<const L: usize, const F: usize> {
    keys: Keys<F>,
    counts: Vec<u32>,
    children: Vec<Node<L, F>>,
}

#[derive(Clone)]
enum Node<const L: usize, const F: usize> {
    Leaf(Box<Keys<L>>),
    Inner(Box<Inner<L, F>>),
}

/// Where a new member goes, as far as it matters for how nodes split.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    First,
    Last,
    Within,
}

/// The right half of a node that split.
struct Split<const L: usize, const F: usize> {
    first: (f64, Handle),
    count: u32,
    node: Node<L, F>,
    edge: Edge,
}

/// Leads to the place of a new member, from the root to a leaf.
trait Guide {
    /// The child in which it is. Between two children it goes to the end of the first, so that no
    /// first pair changes that is ever read.
    fn child<const L: usize, const F: usize>(&mut self, inner: &Inner<L, F>) -> usize;
    /// How many pairs of a leaf come before it.
    fn position<const L: usize>(&mut self, leaf: &Keys<L>) -> usize;
}

/// To a rank.
struct ToRank(usize);

impl Guide for ToRank {
    #[inline]
    fn child<const L: usize, const F: usize>(&mut self, inner: &Inner<L, F>) -> usize {
        let mut at = 0;
        while self.0 > inner.counts[at] as usize {
            self.0 -= inner.counts[at] as usize;
            at += 1;
        }
        at
    }

    #[inline]
    fn position<const L: usize>(&mut self, _: &Keys<L>) -> usize {
        self.0
    }
}

/// Behind all that are `before`; see [`Tree::partition_touching`].
struct Behind<B, T> {
    score: f64,
    before: B,
    touch: T,
}

impl<B: Fn(f64, Handle) -> bool, T: Fn(Handle)> Guide for Behind<B, T> {
    #[inline]
    fn child<const L: usize, const F: usize>(&mut self, inner: &Inner<L, F>) -> usize {
        let keys = &inner.keys;
        if matches!(inner.children[0], Node::Leaf(_)) {
            keys.touch();
            return keys.partition_touching(1, self.score, &self.before, &self.touch) - 1;
        }
        keys.partition(1, &self.before) - 1
    }

    #[inline]
    fn position<const L: usize>(&mut self, leaf: &Keys<L>) -> usize {
        leaf.touch();
        leaf.partition_touching(0, self.score, &self.before, &self.touch)
    }
}

/// What a removal did.
struct Removed {
    key: (f64, Handle),
    /// The first pair of the node, if it is now another one.
    first: Option<(f64, Handle)>,
}

/// The tree; see the top of this file.
#[derive(Clone)]
pub(super) struct Tree<const L: usize, const F: usize> {
    root: Node<L, F>,
    len: usize,
    leaves: usize,
    inners: usize,
}

impl<const L: usize, const F: usize> Tree<L, F> {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self {
            root: Node::Leaf(Box::new(Keys::EMPTY)),
            len: 0,
            leaves: 1,
            inners: 0,
        }
    }

    /// Number of members.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Number of members for which `before` is true; these must be the first ones.
    pub(super) fn partition(&self, before: impl Fn(f64, Handle) -> bool) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(keys) => return rank + keys.partition(0, &before),
                Node::Inner(inner) => {
                    // What is sought lies under the last child that begins before it.
                    let at = inner.keys.partition(1, &before) - 1;
                    rank += sum(&inner.counts[..at]);
                    node = &inner.children[at];
                }
            }
        }
    }

    /// As [`Tree::partition`], where `before` holds for lower scores than `score`, for no higher
    /// ones, and looks at the member only if the score is the same. `touch` loads what `before`
    /// will look at. It is called in leaves and just above them: what is compared with higher up
    /// is read so often that the cache has it.
    pub(super) fn partition_touching(
        &self,
        score: f64,
        before: impl Fn(f64, Handle) -> bool,
        touch: impl Fn(Handle),
    ) -> usize {
        let mut guide = Behind {
            score,
            before,
            touch,
        };
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(keys) => return rank + guide.position(keys),
                Node::Inner(inner) => {
                    let at = guide.child(inner);
                    rank += sum(&inner.counts[..at]);
                    node = &inner.children[at];
                }
            }
        }
    }

    /// The member of a rank below [`Tree::len`].
    pub(super) fn get(&self, mut rank: usize) -> Option<(f64, Handle)> {
        if rank >= self.len {
            return None;
        }
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(keys) => return Some(keys.get(rank)),
                Node::Inner(inner) => node = &inner.children[inner.seek(&mut rank)],
            }
        }
    }

    /// Puts a member at a rank of at most [`Tree::len`].
    pub(super) fn insert(&mut self, rank: usize, score: f64, handle: Handle) {
        assert!(rank <= self.len, "a rank within the tree");
        self.insert_by(&mut ToRank(rank), (score, handle));
    }

    /// Puts a member where [`Tree::partition_touching`] finds its place.
    pub(super) fn insert_touching(
        &mut self,
        (score, handle): (f64, Handle),
        before: impl Fn(f64, Handle) -> bool,
        touch: impl Fn(Handle),
    ) {
        let mut guide = Behind {
            score,
            before,
            touch,
        };
        self.insert_by(&mut guide, (score, handle));
    }

    fn insert_by(&mut self, guide: &mut impl Guide, key: (f64, Handle)) {
        self.len += 1;
        let (leaves, inners) = (&mut self.leaves, &mut self.inners);
        if let Some(right) = self.root.insert(guide, key, (true, true), leaves, inners) {
            let left = std::mem::replace(&mut self.root, Node::Leaf(Box::new(Keys::EMPTY)));
            let mut keys = Keys::EMPTY;
            keys.insert(0, (0.0, Handle::DUMMY));
            keys.insert(1, right.first);
            self.root = Node::Inner(Box::new(Inner {
                keys,
                counts: vec![self.len as u32 - right.count, right.count],
                children: vec![left, right.node],
            }));
            self.inners += 1;
        }
    }

    /// Takes out the member of a rank below [`Tree::len`].
    pub(super) fn remove(&mut self, rank: usize) -> (f64, Handle) {
        assert!(rank < self.len, "a rank within the tree");
        self.len -= 1;
        let (leaves, inners) = (&mut self.leaves, &mut self.inners);
        let key = self.root.remove(rank, leaves, inners).key;
        while let Node::Inner(inner) = &mut self.root {
            match inner.children.pop() {
                Some(only) if inner.children.is_empty() => self.root = only,
                Some(child) => {
                    inner.children.push(child);
                    break;
                }
                None => {
                    self.root = Node::Leaf(Box::new(Keys::EMPTY));
                    self.leaves += 1;
                }
            }
            self.inners -= 1;
        }
        key
    }

    /// Gives the member of a rank below [`Tree::len`] another handle.
    pub(super) fn set_handle(&mut self, rank: usize, handle: Handle) {
        assert!(rank < self.len, "a rank within the tree");
        self.root.set_handle(rank, handle);
    }

    /// Calls `f` with the members of these ranks, in order or from the last to the first.
    pub(super) fn walk(&self, ranks: Range<usize>, reverse: bool, f: &mut impl FnMut(f64, Handle)) {
        let end = ranks.end.min(self.len);
        if ranks.start < end {
            self.root.walk(ranks.start..end, reverse, f);
        }
    }

    /// Allocated bytes.
    pub(super) fn memory(&self) -> usize {
        let child = size_of::<u32>() + size_of::<Node<L, F>>();
        let inner = size_of::<Inner<L, F>>() + F * child;
        self.leaves * super::allocated(size_of::<Keys<L>>()) + self.inners * inner
    }

    /// Frees the nodes in steps; each gives how many members it was about.
    pub(super) fn into_garbage(self) -> impl Iterator<Item = usize> {
        let mut nodes = vec![self.root];
        std::iter::from_fn(move || {
            Some(match nodes.pop()? {
                Node::Leaf(keys) => keys.len(),
                Node::Inner(inner) => {
                    nodes.extend(inner.children);
                    F
                }
            })
        })
    }
}

impl<const L: usize, const F: usize> Inner<L, F> {
    /// The child that holds a rank, which becomes the rank within it.
    #[inline]
    fn seek(&self, rank: &mut usize) -> usize {
        let mut at = 0;
        for &count in &self.counts {
            if *rank < count as usize {
                break;
            }
            *rank -= count as usize;
            at += 1;
        }
        at
    }

    fn split_off(&mut self, at: usize) -> Self {
        // Vectors of full size, so that a node is allocated once.
        let mut counts = Vec::with_capacity(F);
        counts.extend(self.counts.drain(at..));
        let mut children = Vec::with_capacity(F);
        children.extend(self.children.drain(at..));
        Self {
            keys: self.keys.split_off(at),
            counts,
            children,
        }
    }

    fn put(&mut self, at: usize, split: Split<L, F>) {
        self.keys.insert(at, split.first);
        self.counts.insert(at, split.count);
        self.children.insert(at, split.node);
    }

    /// Takes the right half of child `at` in; what splits off in turn.
    fn adopt(&mut self, at: usize, split: Split<L, F>, inners: &mut usize) -> Option<Split<L, F>> {
        self.counts[at] -= split.count;
        let (at, edge) = (at + 1, split.edge);
        if self.children.len() < F {
            self.put(at, split);
            return None;
        }
        let middle = match edge {
            Edge::First => 1,
            Edge::Last => F,
            Edge::Within => F / 2,
        };
        let mut right = self.split_off(middle);
        if at >= middle {
            right.put(at - middle, split);
        } else {
            self.put(at, split);
        }
        *inners += 1;
        Some(Split {
            first: right.keys.get(0),
            count: sum(&right.counts) as u32,
            node: Node::Inner(Box::new(right)),
            edge,
        })
    }

    /// Merges a child that holds little with a neighbour, if that leaves room.
    fn rebalance(&mut self, at: usize, leaves: &mut usize, inners: &mut usize) {
        let (len, max) = self.children[at].fill();
        if len >= max / 4 || self.children.len() < 2 {
            return;
        }
        let left = if at + 1 < self.children.len() {
            at
        } else {
            at - 1
        };
        if self.children[left].fill().0 + self.children[left + 1].fill().0 > max * 3 / 4 {
            return;
        }
        let right = self.children.remove(left + 1);
        let first = self.keys.remove(left + 1);
        self.counts[left] += self.counts.remove(left + 1);
        match (&mut self.children[left], right) {
            (Node::Leaf(left), Node::Leaf(right)) => {
                left.append(&right);
                *leaves -= 1;
            }
            (Node::Inner(left), Node::Inner(mut right)) => {
                right.keys.set(0, first);
                left.keys.append(&right.keys);
                left.counts.append(&mut right.counts);
                left.children.append(&mut right.children);
                *inners -= 1;
            }
            _ => unreachable!("all leaves are equally deep"),
        }
    }
}

impl<const L: usize, const F: usize> Node<L, F> {
    /// Pairs or children that are there, and that can be.
    fn fill(&self) -> (usize, usize) {
        match self {
            Node::Leaf(keys) => (keys.len(), L),
            Node::Inner(inner) => (inner.children.len(), F),
        }
    }

    /// `(first, last)`: whether this node has the first members of all, and the last.
    fn insert(
        &mut self,
        guide: &mut impl Guide,
        key: (f64, Handle),
        (first, last): (bool, bool),
        leaves: &mut usize,
        inners: &mut usize,
    ) -> Option<Split<L, F>> {
        match self {
            Node::Leaf(keys) => {
                let at = guide.position(keys);
                if keys.len() < L {
                    keys.insert(at, key);
                    return None;
                }
                let edge = if last && at == L {
                    Edge::Last
                } else if first && at == 0 {
                    Edge::First
                } else {
                    Edge::Within
                };
                let middle = match edge {
                    Edge::First => 0,
                    Edge::Last => L,
                    Edge::Within => L / 2,
                };
                let mut right = keys.split_off(middle);
                if at > middle || edge == Edge::Last {
                    right.insert(at - middle, key);
                } else {
                    keys.insert(at, key);
                }
                *leaves += 1;
                Some(Split {
                    first: right.get(0),
                    count: u32::from(right.len),
                    node: Node::Leaf(Box::new(right)),
                    edge,
                })
            }
            Node::Inner(inner) => {
                let at = guide.child(inner);
                let ends = (first && at == 0, last && at + 1 == inner.children.len());
                inner.counts[at] += 1;
                let split = inner.children[at].insert(guide, key, ends, leaves, inners)?;
                inner.adopt(at, split, inners)
            }
        }
    }

    fn remove(&mut self, mut rank: usize, leaves: &mut usize, inners: &mut usize) -> Removed {
        let inner = match self {
            Node::Leaf(keys) => {
                let key = keys.remove(rank);
                let first = (rank == 0 && keys.len > 0).then(|| keys.get(0));
                return Removed { key, first };
            }
            Node::Inner(inner) => inner,
        };
        let at = inner.seek(&mut rank);
        let mut removed = inner.children[at].remove(rank, leaves, inners);
        inner.counts[at] -= 1;
        if inner.counts[at] == 0 {
            match inner.children.remove(at) {
                Node::Leaf(_) => *leaves -= 1,
                Node::Inner(_) => *inners -= 1,
            }
            inner.counts.remove(at);
            inner.keys.remove(at);
            removed.first = (at == 0 && inner.keys.len > 0).then(|| inner.keys.get(0));
            return removed;
        }
        if at > 0
            && let Some(first) = removed.first.take()
        {
            inner.keys.set(at, first);
        }
        inner.rebalance(at, leaves, inners);
        removed
    }

    /// Whether the handle of this node's first pair was changed.
    fn set_handle(&mut self, mut rank: usize, handle: Handle) -> bool {
        match self {
            Node::Leaf(keys) => {
                keys.handles[rank] = handle;
                rank == 0
            }
            Node::Inner(inner) => {
                let at = inner.seek(&mut rank);
                let first = inner.children[at].set_handle(rank, handle);
                if first && at > 0 {
                    inner.keys.handles[at] = handle;
                }
                first && at == 0
            }
        }
    }

    fn walk(&self, ranks: Range<usize>, reverse: bool, f: &mut impl FnMut(f64, Handle)) {
        let inner = match self {
            Node::Leaf(keys) => {
                let mut one = |at| {
                    let (score, handle) = keys.get(at);
                    f(score, handle);
                };
                return match reverse {
                    false => ranks.for_each(one),
                    true => ranks.rev().for_each(&mut one),
                };
            }
            Node::Inner(inner) => inner,
        };
        let mut one = |at: usize, start: usize, end: usize| {
            // `start..end` are the ranks of this child.
            if ranks.start < end && ranks.end > start {
                let from = ranks.start.saturating_sub(start);
                inner.children[at].walk(from..ranks.end.min(end) - start, reverse, f);
            }
        };
        if reverse {
            let mut end = sum(&inner.counts);
            for (at, &count) in inner.counts.iter().enumerate().rev() {
                one(at, end - count as usize, end);
                end -= count as usize;
            }
        } else {
            let mut start = 0;
            for (at, &count) in inner.counts.iter().enumerate() {
                one(at, start, start + count as usize);
                start += count as usize;
            }
        }
    }
}

#[inline]
fn sum(counts: &[u32]) -> usize {
    counts.iter().map(|&count| count as usize).sum()
}
