//! The sorted set data type: members, each with a score, in order of the scores and of the
//! members' bytes where these are equal; in one of two encodings.
//!
//! A small one is a [`Listpack`] of member, score, member, score in order (`small.rs`). It turns
//! into the large form under exactly Redis's conditions (`OBJECT ENCODING` shows which it is, and
//! DUMP carries it).
//!
//! ```text
//!   listpack     member score member score ...
//!
//!   skiplist     index     member -> handle         (`value/table.rs`)
//!                members   handle -> score, bytes   (`members.rs`)
//!                order     rank  -> score, handle   (`tree.rs`)
//! ```
//!
//! The large form goes by Redis's name, but its order is a counted B+tree, in which the range of
//! any two bounds is one of ranks. So every query here begins with ranks, and then walks.

mod large;
mod members;
mod range;
mod small;
#[cfg(test)]
mod tests;
mod tree;

pub use range::{LexBound, LexRange, ScoreRange};

use super::allocated;
use super::listpack::{Element, Listpack};
use super::scattered::{SCATTERED_LEN_MIN, Scattered};
use super::{Collection, Garbage, HashSeed, Kind, Value, ValueRef};
use large::Large;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Range;

/// When a sorted set leaves the listpack encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SortedSetLimits {
    /// `zset-max-listpack-entries`: the most members.
    pub entries_max: usize,
    /// `zset-max-listpack-value`: the longest member, in bytes.
    pub value_len_max: usize,
}

impl Default for SortedSetLimits {
    fn default() -> Self {
        Self {
            entries_max: 128,
            value_len_max: 64,
        }
    }
}

/// Why a listpack from outside is no sorted set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SortedSetError {
    /// No member: Redis never stores an empty sorted set.
    #[error("sorted set is empty")]
    Empty,
    /// The last member has no score.
    #[error("sorted set has a member without a score")]
    Odd,
    /// A member is there twice.
    #[error("sorted set has a duplicate member")]
    Duplicate,
    /// A score is no number.
    #[error("sorted set has a malformed score")]
    Score,
    /// A member comes before one that it should follow.
    #[error("sorted set is out of order")]
    Order,
}

/// A sorted set.
#[derive(Clone)]
pub struct SortedSet(Encoding);

#[derive(Clone)]
enum Encoding {
    Listpack(Listpack),
    Large(Box<Large>),
}

impl SortedSet {
    /// An empty one, in the listpack encoding.
    pub fn new() -> Self {
        Self(Encoding::Listpack(Listpack::new()))
    }

    /// An empty one in the large form: what commands that compute a whole one begin with, to
    /// [`compact`](Self::compact) it at the end.
    pub fn new_large(seed: &HashSeed) -> Self {
        Self(Encoding::Large(Box::new(Large::new(*seed))))
    }

    /// Takes a listpack of members and scores, and converts it if it holds more than the limit of
    /// members. As in Redis, the length of members is not checked here; but the order is.
    pub fn from_listpack(
        listpack: Listpack,
        limits: &SortedSetLimits,
        seed: &HashSeed,
    ) -> Result<Self, SortedSetError> {
        let len = listpack.len();
        if len == 0 {
            return Err(SortedSetError::Empty);
        }
        if !len.is_multiple_of(2) {
            return Err(SortedSetError::Odd);
        }
        let mut seen = BTreeSet::new();
        let mut previous = None;
        let mut elements = listpack.iter();
        while let (Some(member), Some(score)) = (elements.next(), elements.next()) {
            let score = small::parse_score(score).ok_or(SortedSetError::Score)?;
            if let Some((before, other)) = previous
                && (score < before
                    || (score == before && small::compare(other, member) == Ordering::Greater))
            {
                return Err(SortedSetError::Order);
            }
            previous = Some((score, member));
            let text = match member {
                Element::Int(_) => Cow::Owned(member.to_vec()),
                Element::Bytes(bytes) => Cow::Borrowed(bytes),
            };
            if !seen.insert(text) {
                return Err(SortedSetError::Duplicate);
            }
        }
        let mut set = Self(Encoding::Listpack(listpack));
        if len / 2 > limits.entries_max {
            set.enlarge(seed);
        }
        Ok(set)
    }

    /// The name that OBJECT ENCODING reports.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Encoding::Listpack(_) => "listpack",
            Encoding::Large(_) => "skiplist",
        }
    }

    /// The listpack, if that is the encoding.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.0 {
            Encoding::Listpack(listpack) => Some(listpack),
            Encoding::Large(_) => None,
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match &self.0 {
            Encoding::Listpack(listpack) => listpack.len() / 2,
            Encoding::Large(large) => large.len(),
        }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Encoding::Listpack(listpack) => listpack.is_empty(),
            Encoding::Large(large) => large.len() == 0,
        }
    }

    /// The score of a member.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Encoding::Listpack(listpack) => Some(small::find(listpack, member)?.1),
            Encoding::Large(large) => large.score(member),
        }
    }

    /// The members, if they are many and scattered in memory: see [`ValueRef::scattered`].
    pub(super) fn scattered(&self) -> Option<Scattered<'_>> {
        match &self.0 {
            Encoding::Large(large) if large.len() >= SCATTERED_LEN_MIN => {
                Some(Scattered::Ordered(self))
            }
            _ => None,
        }
    }

    /// See [`Scattered::slot_address`].
    pub(super) fn slot_address(&self, hash: u64) -> Option<*const u8> {
        match &self.0 {
            Encoding::Large(large) => large.slot_address(hash),
            Encoding::Listpack(_) => None,
        }
    }

    /// See [`Scattered::element_address`].
    pub(super) fn element_address(&self, hash: u64) -> Option<*const u8> {
        match &self.0 {
            Encoding::Large(large) => large.element_address(hash),
            Encoding::Listpack(_) => None,
        }
    }

    /// The rank of a member, that of the first being 0, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match &self.0 {
            Encoding::Listpack(listpack) => {
                let mut pairs = small::pairs(listpack).enumerate();
                let is_it = |there: Element<'_>| there.with_bytes(|there| there == member);
                let (rank, (_, score)) = pairs.find(|(_, (there, _))| is_it(*there))?;
                Some((rank, score))
            }
            Encoding::Large(large) => large.rank(member),
        }
    }

    /// The member of a rank, with its score.
    pub fn get(&self, rank: usize) -> Option<(Element<'_>, f64)> {
        match &self.0 {
            Encoding::Listpack(listpack) => {
                let position = listpack.seek(i64::try_from(rank.checked_mul(2)?).ok()?)?;
                let score = listpack.get(listpack.next(position)?)?;
                Some((listpack.get(position)?, small::parse_score(score)?))
            }
            Encoding::Large(large) => {
                let (member, score) = large.get(rank)?;
                Some((Element::Bytes(member), score))
            }
        }
    }

    /// To be called on a sorted set to which a command is about to add so many members, the longest
    /// of so many bytes: converts if either is too much, whether or not they are added in the end
    /// (Redis's `zsetTypeCreate` and `zsetTypeMaybeConvert`).
    pub fn prepare(
        &mut self,
        count: usize,
        longest: usize,
        limits: &SortedSetLimits,
        seed: &HashSeed,
    ) {
        if count > limits.entries_max || longest > limits.value_len_max {
            self.enlarge(seed);
        }
    }

    /// Sets the score of a member to what `decide` makes of the one that it has, if any; leaves
    /// everything as it is if that is nothing. The score must be a number. Converts when this
    /// passes a limit.
    pub fn upsert(
        &mut self,
        member: &[u8],
        limits: &SortedSetLimits,
        seed: &HashSeed,
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) {
        let listpack = match &mut self.0 {
            Encoding::Large(large) => return large.upsert(member, decide),
            Encoding::Listpack(listpack) => listpack,
        };
        if let Some((position, old)) = small::find(listpack, member) {
            if let Some(score) = decide(Some(old)).filter(|&score| score != old) {
                listpack.delete(position, 2);
                small::insert(listpack, member, score);
            }
            return;
        }
        let Some(score) = decide(None) else {
            return;
        };
        if listpack.len() / 2 < limits.entries_max
            && member.len() <= limits.value_len_max
            && listpack.fits(member.len())
        {
            return small::insert(listpack, member, score);
        }
        self.enlarge(seed);
        if let Encoding::Large(large) = &mut self.0 {
            large.upsert(member, |_| Some(score));
        }
    }

    /// Sets the score of a member; whether it is new.
    pub fn set(
        &mut self,
        member: &[u8],
        score: f64,
        limits: &SortedSetLimits,
        seed: &HashSeed,
    ) -> bool {
        let mut new = false;
        self.upsert(member, limits, seed, |old| {
            new = old.is_none();
            Some(score)
        });
        new
    }

    /// Adds a member that comes before all others and is not there; only to the large form, which
    /// is filled so from a file.
    pub(super) fn push_front(&mut self, member: &[u8], score: f64) -> bool {
        match &mut self.0 {
            Encoding::Large(large) => large.push_front(member, score),
            Encoding::Listpack(_) => false,
        }
    }

    /// Removes a member; whether it was there. A sorted set that is left empty is the caller's to
    /// remove.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Encoding::Listpack(listpack) => match listpack.find(member, 1) {
                Some(position) => listpack.delete(position, 2) == 2,
                None => false,
            },
            Encoding::Large(large) => large.remove(member),
        }
    }

    /// Removes the members of these ranks; how many there were.
    pub fn remove_ranks(&mut self, ranks: Range<usize>) -> usize {
        let ranks = ranks.start..ranks.end.min(self.len());
        match &mut self.0 {
            _ if ranks.is_empty() => 0,
            Encoding::Listpack(listpack) => match listpack.seek(ranks.start as i64 * 2) {
                Some(position) => listpack.delete(position, ranks.len() * 2) / 2,
                None => 0,
            },
            Encoding::Large(large) => {
                (0..ranks.len()).for_each(|_| large.remove_at(ranks.start));
                ranks.len()
            }
        }
    }

    /// The ranks of the members whose scores are in a range.
    pub fn ranks_by_score(&self, range: &ScoreRange) -> Range<usize> {
        let (start, end) = match &self.0 {
            Encoding::Listpack(listpack) => {
                let before = |in_it: &dyn Fn(f64) -> bool| {
                    small::pairs(listpack)
                        .take_while(|(_, score)| in_it(*score))
                        .count()
                };
                (
                    before(&|score| range.is_after(score)),
                    before(&|score| range.ends_after(score)),
                )
            }
            Encoding::Large(large) => (
                large.partition(|score| range.is_after(score)),
                large.partition(|score| range.ends_after(score)),
            ),
        };
        start..end.max(start)
    }

    /// The ranks of the members in a range, if all have the same score. Otherwise what is found is
    /// in general not all that is in the range. A listpack's is what Redis finds from the front or,
    /// `reverse`, from the back.
    pub fn ranks_by_member(&self, range: &LexRange<'_>, reverse: bool) -> Range<usize> {
        let listpack = match &self.0 {
            Encoding::Listpack(listpack) => listpack,
            Encoding::Large(large) => {
                let start = large.partition_by_member(|member| range.is_after(member));
                let end = large.partition_by_member(|member| range.ends_after(member));
                return start..end.max(start);
            }
        };
        let too_low = |member: Element<'_>| member.with_bytes(|member| range.is_after(member));
        let too_high = |member: Element<'_>| member.with_bytes(|member| !range.ends_after(member));
        let mut members = small::pairs(listpack).map(|(member, _)| member);
        let ends = (members.clone().next(), members.clone().next_back());
        if ends.0.is_none_or(too_high) || ends.1.is_none_or(too_low) {
            return 0..0;
        }
        if reverse {
            let end = self.len() - members.clone().rev().take_while(|m| too_high(*m)).count();
            let mut below = members.rev().skip(self.len() - end);
            let len = below.by_ref().take_while(|m| !too_low(*m)).count();
            return end - len..end;
        }
        let start = members
            .clone()
            .take_while(|member| too_low(*member))
            .count();
        let in_it = members.by_ref().skip(start).take_while(|m| !too_high(*m));
        start..start + in_it.count()
    }

    /// Calls `f` with the members of these ranks and their scores, in order or from the last to
    /// the first. Takes O(log n) to the first of them.
    pub fn walk<'a>(
        &'a self,
        ranks: Range<usize>,
        reverse: bool,
        mut f: impl FnMut(Element<'a>, f64),
    ) {
        let listpack = match &self.0 {
            Encoding::Large(large) => {
                return large.walk(ranks, reverse, |member, score| {
                    f(Element::Bytes(member), score);
                });
            }
            Encoding::Listpack(listpack) => listpack,
        };
        let pairs = small::pairs(listpack);
        let mut one = |(member, score)| f(member, score);
        match reverse {
            false => pairs.skip(ranks.start).take(ranks.len()).for_each(one),
            true => {
                let above = self.len().saturating_sub(ranks.end);
                let len = ranks.end.min(self.len()).saturating_sub(ranks.start);
                pairs.rev().skip(above).take(len).for_each(&mut one);
            }
        }
    }

    /// Calls `f` with all members and their scores, in order.
    pub fn for_each<'a>(&'a self, f: impl FnMut(Element<'a>, f64)) {
        self.walk(0..self.len(), false, f);
    }

    /// One step of ZSCAN: calls `f` with about `count` members and returns the next cursor, 0 at
    /// the end. Begin with 0. What is in the sorted set from the first step to the last is given
    /// at least once. A listpack is given whole, whatever the cursor.
    pub fn scan(&self, cursor: u64, count: usize, mut f: impl FnMut(Element<'_>, f64)) -> u64 {
        match &self.0 {
            Encoding::Listpack(_) => {
                self.for_each(f);
                0
            }
            Encoding::Large(large) => large.scan(cursor, count, |member, score| {
                f(Element::Bytes(member), score);
            }),
        }
    }

    /// Turns the large form into a listpack if it is within the limits: what commands do that
    /// computed a whole sorted set.
    pub fn compact(&mut self, limits: &SortedSetLimits) {
        let Encoding::Large(large) = &self.0 else {
            return;
        };
        if large.len() > limits.entries_max {
            return;
        }
        let (mut longest, mut total) = (0, 0);
        large.walk(0..large.len(), false, |member, _| {
            longest = longest.max(member.len());
            total += member.len();
        });
        let mut listpack = Listpack::new();
        if longest > limits.value_len_max || !listpack.fits(total) {
            return;
        }
        large.walk(0..large.len(), false, |member, score| {
            small::push(&mut listpack, member, score);
        });
        self.0 = Encoding::Listpack(listpack);
    }

    /// Allocated bytes, this struct included. Estimates what the allocator rounds up.
    pub fn memory(&self) -> usize {
        let inside = match &self.0 {
            Encoding::Listpack(listpack) => allocated(listpack.memory()),
            Encoding::Large(large) => large.memory(),
        };
        size_of::<Self>() + inside
    }

    /// See [`Collection::into_garbage`].
    pub fn into_garbage(self) -> Garbage {
        match self.0 {
            Encoding::Listpack(listpack) => Box::new(std::iter::once(listpack.len() / 2)),
            Encoding::Large(large) => large.into_garbage(),
        }
    }

    pub fn enlarge(&mut self, seed: &HashSeed) {
        let Encoding::Listpack(listpack) = &self.0 else {
            return;
        };
        let mut large = Box::new(Large::new(*seed));
        for (member, score) in small::pairs(listpack) {
            member.with_bytes(|member| large.insert_last(member, score));
        }
        self.0 = Encoding::Large(large);
    }
}

impl Collection for SortedSet {
    const KIND: Kind = Kind::SortedSet;

    fn empty() -> Self {
        SortedSet::new()
    }

    fn len(&self) -> usize {
        SortedSet::len(self)
    }

    fn encoding(&self) -> &'static str {
        SortedSet::encoding(self)
    }

    fn memory(&self) -> usize {
        SortedSet::memory(self)
    }

    fn into_garbage(self) -> Garbage {
        SortedSet::into_garbage(self)
    }

    fn view(value: ValueRef<'_>) -> Option<&Self> {
        match value {
            ValueRef::SortedSet(set) => Some(set),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Value {
        Value::SortedSet(self)
    }
}

impl Default for SortedSet {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SortedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.encoding())?;
        let mut pairs = Vec::new();
        self.for_each(|member, score| pairs.push((member, score)));
        f.debug_map().entries(pairs).finish()
    }
}
