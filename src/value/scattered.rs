//! Collections whose elements a pipeline looks up all over memory, for a caller that wants the
//! cache misses of many look-ups to overlap.

use super::ValueRef;
use super::hash::Field;
use super::packed::Packed;
use super::set::Member;
use super::sorted_set::SortedSet;

/// With fewer elements they are in the cache anyway.
pub(super) const SCATTERED_LEN_MIN: usize = 4096;

/// The elements of a large hash, set or sorted set.
#[derive(Clone, Copy)]
pub enum Scattered<'a> {
    Fields(&'a Packed<Field>),
    Members(&'a Packed<Member>),
    Ordered(&'a SortedSet),
}

impl Scattered<'_> {
    /// Where in memory the look-up of an element of this hash begins: what it needs first.
    pub fn slot_address(&self, hash: u64) -> Option<*const u8> {
        match self {
            Scattered::Fields(fields) => fields.slot_address(hash),
            Scattered::Members(members) => members.slot_address(hash),
            Scattered::Ordered(set) => set.slot_address(hash),
        }
    }

    /// Where the element is, which is found by way of that.
    pub fn element_address(&self, hash: u64) -> Option<*const u8> {
        match self {
            Scattered::Fields(fields) => fields.record_address(hash),
            Scattered::Members(members) => members.record_address(hash),
            Scattered::Ordered(set) => set.element_address(hash),
        }
    }

    /// Of a command's arguments after the key the one that it probably looks up: the first, but
    /// in sorted sets the last, before which a score may be.
    pub fn sought<T>(&self, first: T, last: T) -> T {
        match self {
            Scattered::Fields(_) | Scattered::Members(_) => first,
            Scattered::Ordered(_) => last,
        }
    }
}

impl<'a> ValueRef<'a> {
    /// The elements, if they are many and scattered in memory.
    pub fn scattered(self) -> Option<Scattered<'a>> {
        match self {
            ValueRef::Hash(hash) => hash.scattered(),
            ValueRef::Set(set) => set.scattered(),
            ValueRef::SortedSet(set) => set.scattered(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::HashSeed;
    use crate::value::hash::Hash;

    #[test]
    fn only_large_tables_are_scattered() {
        let seed = HashSeed([1, 2, 3, 4]);
        let mut hash = Hash::new();
        for n in 0..SCATTERED_LEN_MIN {
            assert!(ValueRef::Hash(&hash).scattered().is_none());
            hash.set(format!("f{n}").as_bytes(), b"v", &Default::default(), &seed);
        }
        let scattered = ValueRef::Hash(&hash).scattered().expect("it is large");
        assert!(scattered.slot_address(seed.hash(b"none")).is_some());
        assert!(scattered.element_address(seed.hash(b"f7")).is_some());
        assert!(ValueRef::Int(7).scattered().is_none());
    }

    #[test]
    fn a_large_sorted_set_is_looked_up_by_its_last_argument() {
        let seed = HashSeed([1, 2, 3, 4]);
        let mut set = SortedSet::new();
        for n in 0..SCATTERED_LEN_MIN {
            assert!(ValueRef::SortedSet(&set).scattered().is_none());
            set.set(format!("m{n}").as_bytes(), 0.0, &Default::default(), &seed);
        }
        let scattered = ValueRef::SortedSet(&set).scattered().expect("it is large");
        assert!(scattered.slot_address(seed.hash(b"none")).is_some());
        assert!(scattered.element_address(seed.hash(b"m7")).is_some());
        assert_eq!(scattered.sought(b"0", b"m"), b"m");
    }
}
