//! The set data type: distinct strings, in one of three encodings.
//!
//! A set of few integers is an [`Intset`], another small set a [`Listpack`] in the order of
//! insertion, any other a hash table ([`packed`]). A set changes from the first to the second or
//! third, and from the second to the third, under exactly Redis's conditions (`OBJECT ENCODING`
//! shows which it is), and back only where the result of an operation is stored.

mod algebra;
pub mod intset;
#[cfg(test)]
pub(crate) mod tests;

pub use algebra::{difference, difference_of, intersect, intersection_of, union, union_of};

use super::listpack::{Element, Listpack};
use super::packed::{self, Keyed, Packed};
use super::sample::{below, draw};
use super::scattered::{SCATTERED_LEN_MIN, Scattered};
use super::{Collection, Garbage, HashSeed, Kind, Value, ValueRef, allocated, number};
use intset::{INTSET_LEN_MAX, Intset};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// When a set leaves an encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetLimits {
    /// `set-max-intset-entries`: the most members of an intset.
    pub intset_entries_max: usize,
    /// `set-max-listpack-entries`: the most members of a listpack.
    pub listpack_entries_max: usize,
    /// `set-max-listpack-value`: the longest member of a listpack, in bytes.
    pub listpack_value_len_max: usize,
}

impl Default for SetLimits {
    fn default() -> Self {
        Self {
            intset_entries_max: 512,
            listpack_entries_max: 128,
            listpack_value_len_max: 64,
        }
    }
}

impl SetLimits {
    /// The most members of an intset: as configured, but no more than its format holds well.
    pub fn intset_len_max(&self) -> usize {
        self.intset_entries_max.min(INTSET_LEN_MAX)
    }
}

/// What an integer takes in a listpack at most, in bytes.
const LISTPACK_INT_LEN_MAX: usize = 11;

/// A member is there twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("set has a duplicate member")]
pub struct Duplicate;

/// A set.
#[derive(Clone)]
pub struct Set(Encoding);

#[derive(Clone)]
enum Encoding {
    Intset(Intset),
    Listpack(Listpack),
    Table(Box<Members>),
}

/// Sets of few integers are many, and each byte here is a byte more for each of them.
const _: () = assert!(size_of::<Set>() <= 32);

impl Set {
    /// An empty set, in the intset encoding.
    pub fn new() -> Self {
        Self(Encoding::Intset(Intset::new()))
    }

    /// Takes an intset, and converts it if it holds more than the limit of members.
    pub fn from_intset(intset: Intset, limits: &SetLimits, seed: &HashSeed) -> Self {
        let mut set = Self(Encoding::Intset(intset));
        set.check_intset(limits, seed);
        set
    }

    /// Takes a listpack of distinct members, and converts it if it holds more than the limit of
    /// members. As in Redis, their length is not checked here.
    pub fn from_listpack(
        listpack: Listpack,
        limits: &SetLimits,
        seed: &HashSeed,
    ) -> Result<Self, Duplicate> {
        // Not by searching for each: the limit may be set high, and the sender may be hostile.
        let mut seen = BTreeSet::new();
        for member in &listpack {
            let text = match member {
                Element::Int(_) => Cow::Owned(member.to_vec()),
                Element::Bytes(bytes) => Cow::Borrowed(bytes),
            };
            if !seen.insert(text) {
                return Err(Duplicate);
            }
        }
        let mut set = Self(Encoding::Listpack(listpack));
        if set.len() > limits.listpack_entries_max {
            set.convert_to_table(seed);
        }
        Ok(set)
    }

    /// The name that OBJECT ENCODING reports.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Encoding::Intset(_) => "intset",
            Encoding::Listpack(_) => "listpack",
            Encoding::Table(_) => "hashtable",
        }
    }

    /// The intset, if that is the encoding.
    pub fn as_intset(&self) -> Option<&Intset> {
        match &self.0 {
            Encoding::Intset(intset) => Some(intset),
            _ => None,
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match &self.0 {
            Encoding::Intset(intset) => intset.len(),
            Encoding::Listpack(listpack) => listpack.len(),
            Encoding::Table(members) => members.len(),
        }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Encoding::Listpack(listpack) => listpack.is_empty(),
            _ => self.len() == 0,
        }
    }

    /// Whether `member` is there.
    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        match &self.0 {
            Encoding::Intset(intset) => {
                number::parse_i64(member).is_some_and(|int| intset.contains(int))
            }
            Encoding::Listpack(listpack) => listpack.find(member, 0).is_some(),
            Encoding::Table(members) => members.get(member).is_some(),
        }
    }

    /// As [`Set::contains`], of a member as it is stored in another set.
    pub fn contains_element(&self, member: Element<'_>) -> bool {
        match (&self.0, member) {
            (Encoding::Intset(intset), Element::Int(int)) => intset.contains(int),
            _ => member.with_bytes(|member| self.contains(member)),
        }
    }

    /// The members, if they are many and scattered in memory: see [`ValueRef::scattered`].
    pub(super) fn scattered(&self) -> Option<Scattered<'_>> {
        match &self.0 {
            Encoding::Table(members) if members.len() >= SCATTERED_LEN_MIN => {
                Some(Scattered::Members(members))
            }
            _ => None,
        }
    }

    /// To be called before a command adds `count` members, of which `first` is the first: an empty
    /// set takes the encoding that suits them, another one converts if they alone are too many.
    pub fn prepare(&mut self, first: &[u8], count: usize, limits: &SetLimits, seed: &HashSeed) {
        if self.is_empty() {
            self.0 = if count <= limits.intset_len_max() && number::parse_i64(first).is_some() {
                Encoding::Intset(Intset::new())
            } else if count <= limits.listpack_entries_max {
                Encoding::Listpack(Listpack::new())
            } else {
                Encoding::Table(Box::new(Members::new(*seed)))
            };
            return;
        }
        let count_max = match &self.0 {
            Encoding::Intset(_) => limits.intset_entries_max,
            Encoding::Listpack(_) => limits.listpack_entries_max,
            Encoding::Table(_) => return,
        };
        if count > count_max {
            self.convert_to_table(seed);
        }
    }

    /// Adds a member; whether it is new. Converts when this passes a limit.
    #[inline]
    pub fn insert(&mut self, member: &[u8], limits: &SetLimits, seed: &HashSeed) -> bool {
        match &mut self.0 {
            Encoding::Table(members) => members.set(member, &[member]),
            Encoding::Listpack(_) => self.insert_into_listpack(member, limits, seed),
            Encoding::Intset(_) => match number::parse_i64(member) {
                Some(int) => self.insert_into_intset(int, limits, seed),
                None => {
                    self.leave_intset(member, limits, seed);
                    self.insert(member, limits, seed)
                }
            },
        }
    }

    /// As [`Set::insert`], of a member as it is stored in another set.
    pub fn insert_element(
        &mut self,
        member: Element<'_>,
        limits: &SetLimits,
        seed: &HashSeed,
    ) -> bool {
        match (&self.0, member) {
            (Encoding::Intset(_), Element::Int(int)) => self.insert_into_intset(int, limits, seed),
            _ => member.with_bytes(|member| self.insert(member, limits, seed)),
        }
    }

    fn insert_into_intset(&mut self, int: i64, limits: &SetLimits, seed: &HashSeed) -> bool {
        let Encoding::Intset(intset) = &mut self.0 else {
            return false;
        };
        let new = intset.insert(int);
        if new {
            self.check_intset(limits, seed);
        }
        new
    }

    fn insert_into_listpack(&mut self, member: &[u8], limits: &SetLimits, seed: &HashSeed) -> bool {
        let Encoding::Listpack(listpack) = &mut self.0 else {
            return false;
        };
        if listpack.find(member, 0).is_some() {
            return false;
        }
        if listpack.len() < limits.listpack_entries_max
            && member.len() <= limits.listpack_value_len_max
            && listpack.fits(member.len())
        {
            listpack.push_back(member);
        } else {
            self.convert_to_table(seed).set(member, &[member]);
        }
        true
    }

    /// Converts an intset that gets a member which is no integer.
    fn leave_intset(&mut self, member: &[u8], limits: &SetLimits, seed: &HashSeed) {
        let Encoding::Intset(intset) = &self.0 else {
            return;
        };
        // The longest stand at the ends.
        let ends = [intset.get(0), intset.get(intset.len().saturating_sub(1))];
        let longest = ends.into_iter().flatten().map(number::i64_len).max();
        let bytes = intset.len().saturating_mul(LISTPACK_INT_LEN_MAX);
        if intset.len() < limits.listpack_entries_max
            && member.len() <= limits.listpack_value_len_max
            && longest.unwrap_or(0) <= limits.listpack_value_len_max
            && Listpack::new().fits(bytes.saturating_add(member.len()))
        {
            let mut listpack = Listpack::new();
            intset.iter().for_each(|int| listpack.push_back_int(int));
            self.0 = Encoding::Listpack(listpack);
        } else {
            self.convert_to_table(seed);
        }
    }

    /// Converts an intset that has become too long.
    fn check_intset(&mut self, limits: &SetLimits, seed: &HashSeed) {
        if let Encoding::Intset(intset) = &self.0
            && intset.len() > limits.intset_len_max()
        {
            self.convert_to_table(seed);
        }
    }

    /// Removes a member; whether it was there. A set that is left empty is the caller's to remove.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Encoding::Intset(intset) => {
                number::parse_i64(member).is_some_and(|int| intset.remove(int))
            }
            Encoding::Listpack(listpack) => match listpack.find(member, 0) {
                Some(position) => listpack.delete(position, 1) == 1,
                None => false,
            },
            Encoding::Table(members) => members.remove(member),
        }
    }

    /// As [`Set::remove`], of a member as it is stored in another set.
    pub fn remove_element(&mut self, member: Element<'_>) -> bool {
        match (&mut self.0, member) {
            (Encoding::Intset(intset), Element::Int(int)) => intset.remove(int),
            _ => member.with_bytes(|member| self.remove(member)),
        }
    }

    /// All members: an intset's ascending, a listpack's in the order of insertion, a table's in no
    /// particular one.
    pub fn iter(&self) -> Iter<'_> {
        Iter(match &self.0 {
            Encoding::Intset(intset) => Left::Intset(intset, 0),
            Encoding::Listpack(listpack) => Left::Listpack(listpack.iter()),
            Encoding::Table(members) => Left::Table(members.iter()),
        })
    }

    /// Some member, chosen by the random number `r`. `None` only if there is none.
    pub fn random(&self, r: u64) -> Option<Element<'_>> {
        let index = below(r, self.len())?;
        match &self.0 {
            Encoding::Intset(intset) => intset.get(index).map(Element::Int),
            Encoding::Listpack(listpack) => {
                listpack.get(listpack.seek(i64::try_from(index).ok()?)?)
            }
            Encoding::Table(members) => members.at(index).map(Element::Bytes),
        }
    }

    /// Calls `f` with `count` random members, each drawn from all of them (SRANDMEMBER with a
    /// negative count). `next` gives random numbers.
    pub fn random_repeated<'a>(
        &'a self,
        count: usize,
        mut next: impl FnMut() -> u64,
        mut f: impl FnMut(Element<'a>),
    ) {
        let indexed = self.indexed();
        for _ in 0..count {
            below(next(), indexed.len())
                .and_then(|index| indexed.get(index))
                .into_iter()
                .for_each(&mut f);
        }
    }

    /// Calls `f` with `count` different random members, or with all if there are fewer
    /// (SRANDMEMBER with a positive count). `next` gives random numbers.
    ///
    /// Takes time and memory for `count` members; of a listpack, for all.
    pub fn random_distinct<'a>(
        &'a self,
        count: usize,
        next: impl FnMut() -> u64,
        mut f: impl FnMut(Element<'a>),
    ) {
        if count >= self.len() {
            return self.iter().for_each(f);
        }
        let indexed = self.indexed();
        draw(count, indexed.len(), next, |index| {
            indexed.get(index).into_iter().for_each(&mut f);
        });
    }

    /// The members by number.
    fn indexed(&self) -> Indexed<'_> {
        match &self.0 {
            // One walk instead of one per draw.
            Encoding::Listpack(listpack) => Indexed::List(listpack.iter().collect()),
            _ => Indexed::Set(self),
        }
    }

    /// Removes `count` random members, or all if there are fewer; calls `f` with each before. A set
    /// that is left empty is the caller's to remove.
    pub fn pop(
        &mut self,
        count: usize,
        mut next: impl FnMut() -> u64,
        mut f: impl FnMut(Element<'_>),
    ) {
        let len = self.len();
        let count = count.min(len);
        match &mut self.0 {
            Encoding::Table(members) => {
                for left in (0..count).map(|popped| len - popped) {
                    if let Some(index) = below(next(), left) {
                        members.remove_at(index, |text| f(Element::Bytes(text)));
                    }
                }
            }
            Encoding::Intset(intset) if count == 1 => {
                let popped = below(next(), len).and_then(|index| intset.remove_at(index));
                popped.into_iter().for_each(|int| f(Element::Int(int)));
            }
            Encoding::Listpack(listpack) if count == 1 => {
                let index = below(next(), len).and_then(|index| i64::try_from(index).ok());
                if let Some(position) = index.and_then(|index| listpack.seek(index)) {
                    listpack.get(position).into_iter().for_each(f);
                    listpack.delete(position, 1);
                }
            }
            _ => self.pop_in_one_pass(count, next, f),
        }
    }

    /// Several members of a set that closes its gaps by moving all that follows.
    fn pop_in_one_pass(
        &mut self,
        count: usize,
        next: impl FnMut() -> u64,
        mut f: impl FnMut(Element<'_>),
    ) {
        let mut chosen = vec![false; self.len()];
        draw(count, chosen.len(), next, |index| chosen[index] = true);
        let mut chosen = chosen.into_iter();
        match &mut self.0 {
            Encoding::Intset(intset) => {
                intset.retain(|int| {
                    let popped = chosen.next().unwrap_or(false);
                    if popped {
                        f(Element::Int(int));
                    }
                    !popped
                });
            }
            Encoding::Listpack(listpack) => {
                let mut rest = Listpack::with_capacity(listpack.bytes().len());
                for member in listpack.iter() {
                    match (chosen.next(), member) {
                        (Some(true), member) => f(member),
                        (_, Element::Int(int)) => rest.push_back_int(int),
                        (_, Element::Bytes(bytes)) => rest.push_back(bytes),
                    }
                }
                rest.shrink_to_fit();
                *listpack = rest;
            }
            Encoding::Table(_) => {}
        }
    }

    /// One step of SSCAN: calls `f` with about `count` members and returns the next cursor, 0 at
    /// the end. Begin with 0. What is in the set from the first step to the last is given at least
    /// once. A small encoding is given whole, whatever the cursor.
    pub fn scan(&self, cursor: u64, count: usize, mut f: impl FnMut(Element<'_>)) -> u64 {
        match &self.0 {
            Encoding::Table(members) => {
                members.scan(cursor, count, &mut |text| f(Element::Bytes(text)))
            }
            _ => {
                self.iter().for_each(f);
                0
            }
        }
    }

    /// One step of a walk through a set that does not change meanwhile: calls `f` with at most
    /// `count` members and returns the next cursor, 0 at the end. Begin with 0. Each member is
    /// given once, so a large set can be serialised in parts; a listpack is given whole.
    pub fn walk<'a>(&'a self, cursor: u64, count: usize, mut f: impl FnMut(Element<'a>)) -> u64 {
        if let Encoding::Listpack(listpack) = &self.0 {
            listpack.iter().for_each(f);
            return 0;
        }
        let start = usize::try_from(cursor)
            .unwrap_or(usize::MAX)
            .min(self.len());
        let end = start.saturating_add(count.max(1)).min(self.len());
        let indexed = self.indexed();
        (start..end).for_each(|index| indexed.get(index).into_iter().for_each(&mut f));
        if end < self.len() { end as u64 } else { 0 }
    }

    /// Allocated bytes, this struct included. Estimates what the allocator rounds up.
    pub fn memory(&self) -> usize {
        let inside = match &self.0 {
            Encoding::Intset(intset) => allocated(intset.memory()),
            Encoding::Listpack(listpack) => allocated(listpack.memory()),
            Encoding::Table(members) => allocated(size_of::<Members>()) + members.memory(),
        };
        size_of::<Self>() + inside
    }

    /// See [`Collection::into_garbage`].
    pub fn into_garbage(self) -> Garbage {
        match self.0 {
            Encoding::Table(members) => members.into_garbage(),
            // One allocation.
            _ => Box::new(std::iter::once(1)),
        }
    }

    fn convert_to_table(&mut self, seed: &HashSeed) -> &mut Members {
        if !matches!(self.0, Encoding::Table(_)) {
            let mut members = Box::new(Members::new(*seed));
            for member in self.iter() {
                member.with_bytes(|text| members.set(text, &[text]));
            }
            self.0 = Encoding::Table(members);
        }
        match &mut self.0 {
            Encoding::Table(members) => members,
            _ => unreachable!("it has just been converted"),
        }
    }
}

impl Collection for Set {
    const KIND: Kind = Kind::Set;

    fn empty() -> Self {
        Set::new()
    }

    fn len(&self) -> usize {
        Set::len(self)
    }

    fn encoding(&self) -> &'static str {
        Set::encoding(self)
    }

    fn memory(&self) -> usize {
        Set::memory(self)
    }

    fn into_garbage(self) -> Garbage {
        Set::into_garbage(self)
    }

    fn view(value: ValueRef<'_>) -> Option<&Self> {
        match value {
            ValueRef::Set(set) => Some(set),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Value {
        Value::Set(self)
    }
}

impl Default for Set {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.encoding())?;
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The members of a [`Set`].
pub struct Iter<'a>(Left<'a>);

enum Left<'a> {
    /// From the integer of this index on.
    Intset(&'a Intset, usize),
    Listpack(super::listpack::Iter<'a>),
    Table(packed::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match &mut self.0 {
            Left::Intset(intset, index) => {
                *index += 1;
                intset.get(*index - 1).map(Element::Int)
            }
            Left::Listpack(elements) => elements.next(),
            Left::Table(members) => members.next().map(Element::Bytes),
        }
    }
}

/// A member of the table encoding: the record is all of it.
#[derive(Clone)]
pub struct Member;

impl Keyed for Member {
    #[inline]
    fn key(record: &[u8]) -> &[u8] {
        record
    }
}

type Members = Packed<Member>;

/// The members of a set by number.
enum Indexed<'a> {
    Set(&'a Set),
    List(Vec<Element<'a>>),
}

impl<'a> Indexed<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Set(set) => set.len(),
            Self::List(list) => list.len(),
        }
    }

    fn get(&self, index: usize) -> Option<Element<'a>> {
        match self {
            Self::List(list) => list.get(index).copied(),
            Self::Set(set) => match &set.0 {
                Encoding::Intset(intset) => intset.get(index).map(Element::Int),
                Encoding::Listpack(_) => None,
                Encoding::Table(members) => members.at(index).map(Element::Bytes),
            },
        }
    }
}
