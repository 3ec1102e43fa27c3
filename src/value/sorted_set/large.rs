//! The large form: members in slots, found by a hash table of their handles, in order by a tree.

use super::members::{Handle, Members, Sought};
use super::tree::Tree;
use super::{Garbage, HashSeed, SCATTERED_LEN_MIN, allocated};
use crate::value::table::Table;
use std::hint::black_box;
use std::ops::Range;

/// Pairs of a leaf: as many as fit into 768 bytes, a size class of the allocator.
const LEAF_LEN: usize = 63;
/// Children of an inner node.
const INNER_LEN: usize = 64;
/// Slots that a removal gives up at most while there are far more than members.
const TRIM_MAX: usize = 4;

#[derive(Clone, Copy)]
struct Indexed(Handle);

/// A sorted set of any size.
pub(super) struct Large {
    members: Members,
    index: Table<Indexed>,
    order: Tree<LEAF_LEN, INNER_LEN>,
    seed: HashSeed,
}

impl Large {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self {
            members: Members::default(),
            index: Table::new(),
            order: Tree::new(),
            seed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    #[inline]
    fn find(&self, member: &[u8]) -> Option<Handle> {
        let hash = self.seed.hash(member);
        let found = self
            .index
            .find(hash, |other| self.members.bytes(other.0) == member);
        Some(found?.0)
    }

    /// Where in memory the look-up of a member of this hash begins.
    pub(super) fn slot_address(&self, hash: u64) -> Option<*const u8> {
        Some(std::ptr::from_ref(self.index.home_slot(hash)?).cast())
    }

    /// Where the member is that a look-up of this hash will probably find.
    pub(super) fn element_address(&self, hash: u64) -> Option<*const u8> {
        Some(self.members.address(self.index.find(hash, |_| true)?.0))
    }

    #[inline]
    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        Some(self.members.score(self.find(member)?))
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.rank_of(score, member), score))
    }

    /// How many members come before this one, which need not be there.
    #[inline]
    fn rank_of(&self, score: f64, member: &[u8]) -> usize {
        let before = precedes(&self.members, score, member);
        if self.len() < SCATTERED_LEN_MIN {
            return self.order.partition(before);
        }
        self.order
            .partition_touching(score, before, touch(&self.members))
    }

    /// Adds a member that comes before all others and is not there; false if that is not so.
    pub(super) fn push_front(&mut self, member: &[u8], score: f64) -> bool {
        let first = self.get(0);
        if first.is_some_and(|(first, other)| (score, member) >= (other, first)) {
            return false;
        }
        let hash = self.seed.hash(member);
        let is_it = |other: &Indexed| self.members.bytes(other.0) == member;
        if self.index.find(hash, is_it).is_some() {
            return false;
        }
        let handle = self.members.insert(member, score);
        self.order.insert(0, score, handle);
        self.index_member(hash, handle);
        true
    }

    /// Adds a member that is not there, and comes after all others.
    pub(super) fn insert_last(&mut self, member: &[u8], score: f64) {
        let handle = self.members.insert(member, score);
        self.order.insert(self.len(), score, handle);
        self.index_member(self.seed.hash(member), handle);
    }

    /// Adds a member that is not there.
    fn insert(&mut self, hash: u64, member: &[u8], score: f64) {
        let handle = self.members.insert(member, score);
        self.order_member(handle, score, member);
        self.index_member(hash, handle);
    }

    /// Puts a member of the slots into the order.
    fn order_member(&mut self, handle: Handle, score: f64, member: &[u8]) {
        let before = precedes(&self.members, score, member);
        if self.len() < SCATTERED_LEN_MIN {
            let rank = self.order.partition(before);
            return self.order.insert(rank, score, handle);
        }
        let touch = touch(&self.members);
        self.order.insert_touching((score, handle), before, touch);
    }

    fn index_member(&mut self, hash: u64, handle: Handle) {
        let (members, seed) = (&self.members, self.seed);
        self.index.insert(hash, Indexed(handle), |other| {
            seed.hash(members.bytes(other.0))
        });
    }

    /// Sets the score of a member to what `decide` makes of the one that it has, if any; leaves
    /// everything as it is if that is nothing.
    pub(super) fn upsert(
        &mut self,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) {
        let hash = self.seed.hash(member);
        let found = self
            .index
            .find(hash, |other| self.members.bytes(other.0) == member);
        let Some(&Indexed(handle)) = found else {
            if let Some(score) = decide(None) {
                self.insert(hash, member, score);
            }
            return;
        };
        let old = self.members.score(handle);
        // Minus zero does not replace zero, nor the other way round, as in Redis.
        if let Some(score) = decide(Some(old)).filter(|&score| score != old) {
            let rank = self.rank_of(old, member);
            self.order.remove(rank);
            self.members.set_score(handle, score);
            self.order_member(handle, score, member);
        }
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some((rank, _)) = self.rank(member) else {
            return false;
        };
        self.remove_at(rank);
        true
    }

    /// Removes the member of a rank that is there.
    pub(super) fn remove_at(&mut self, rank: usize) {
        let (_, handle) = self.order.remove(rank);
        let (members, seed) = (&self.members, self.seed);
        let removed = self.index.remove(
            seed.hash(members.bytes(handle)),
            |other| other.0 == handle,
            |other| seed.hash(members.bytes(other.0)),
        );
        assert!(removed.is_some(), "what is in the tree is in the index");
        self.members.remove(handle);
        for _ in 0..TRIM_MAX {
            if !self.members.surplus() {
                break;
            }
            if let Some(last) = self.members.trim_last() {
                self.move_last(last);
            }
        }
    }

    /// Moves the member in the last slot to a free one.
    fn move_last(&mut self, last: Handle) {
        let (score, bytes) = (self.members.score(last), self.members.bytes(last));
        let rank = self.rank_of(score, bytes);
        let hash = self.seed.hash(bytes);
        let Some(to) = self.members.move_last() else {
            return;
        };
        self.order.set_handle(rank, to);
        if let Some(indexed) = self.index.find_mut(hash, |other| other.0 == last) {
            indexed.0 = to;
        }
    }

    /// The first rank whose member is not `before`, which must be true of the first ones only.
    pub(super) fn partition(&self, before: impl Fn(f64) -> bool) -> usize {
        self.order.partition(|score, _| before(score))
    }

    /// As [`Large::partition`], by the members' bytes; all scores should be the same.
    pub(super) fn partition_by_member(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        self.order
            .partition(|_, handle| before(self.members.bytes(handle)))
    }

    pub(super) fn get(&self, rank: usize) -> Option<(&[u8], f64)> {
        let (score, handle) = self.order.get(rank)?;
        Some((self.members.bytes(handle), score))
    }

    pub(super) fn walk<'a>(
        &'a self,
        ranks: Range<usize>,
        reverse: bool,
        mut f: impl FnMut(&'a [u8], f64),
    ) {
        self.order.walk(ranks, reverse, &mut |score, handle| {
            f(self.members.bytes(handle), score);
        });
    }

    pub(super) fn scan(&self, cursor: u64, count: usize, mut f: impl FnMut(&[u8], f64)) -> u64 {
        let order = |indexed: &Indexed| {
            let hash = self.seed.hash(self.members.bytes(indexed.0));
            let [low, high, ..] = hash.to_le_bytes();
            u16::from_le_bytes([low, high])
        };
        self.index.scan(cursor, count, order, |indexed| {
            f(self.members.bytes(indexed.0), self.members.score(indexed.0));
        })
    }

    pub(super) fn memory(&self) -> usize {
        let parts = self.members.memory() + self.index.memory() + self.order.memory();
        allocated(size_of::<Self>()) + parts
    }

    pub(super) fn into_garbage(self) -> Garbage {
        let index = self.index.into_segments().map(|segment| segment.count());
        Box::new(
            self.members
                .into_garbage()
                .chain(index)
                .chain(self.order.into_garbage()),
        )
    }
}

/// Whether a member comes before the one of this score and these bytes.
#[inline]
fn precedes<'a>(
    members: &'a Members,
    score: f64,
    member: &'a [u8],
) -> impl Fn(f64, Handle) -> bool + 'a {
    let sought = Sought::new(member);
    move |other, handle| other < score || (other == score && members.precedes(handle, &sought))
}

/// A load whose result nobody waits for.
#[inline]
fn touch(members: &Members) -> impl Fn(Handle) + '_ {
    |handle| {
        black_box(members.score(handle));
    }
}

impl Clone for Large {
    fn clone(&self) -> Self {
        let (members, seed) = (self.members.clone(), self.seed);
        let mut index = Table::new();
        let hasher = |other: &Indexed| seed.hash(members.bytes(other.0));
        for handle in members.handles() {
            let indexed = Indexed(handle);
            index.insert(hasher(&indexed), indexed, hasher);
        }
        Self {
            index,
            order: self.order.clone(),
            seed,
            members,
        }
    }
}
