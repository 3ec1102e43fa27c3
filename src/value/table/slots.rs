//! The slots of one segment: open addressing with linear probing, without tombstones.
//!
//! An element's *home* is the slot that the low bits of its hash name; it lies there or, with no
//! free slot between, after it. A removal moves what follows back into the gap, so a look-up ends
//! at the first free slot however often elements came and went. Unlike a table with control
//! bytes, a look-up costs one cache miss, and that one can be prefetched from the hash alone.
//!
//! Elements are told apart by the 16 low bits of their hashes before they are touched. Either the
//! elements store these themselves ([`Note::low_bits`]), or an array beside the slots does.

use super::Note;
use std::marker::PhantomData;
use std::{iter, mem, slice, vec};

/// Slots of the smallest allocation.
const SLOTS_MIN: usize = 4;
/// Slots whose number the 16 low bits alone decide.
const SLOTS_BY_LOW_BITS_MAX: usize = 1 << 16;

/// How many elements before its turn one is announced: about as many cache misses as a core has
/// under way at once, at two lines each.
pub(super) const ANNOUNCED_AHEAD: usize = 8;

/// Elements that this many slots (a power of two, or none) hold: four fifths.
pub(super) const fn room(slots: usize) -> usize {
    slots * 4 / 5
}

/// Elements in slots. Allocates with the first.
pub(super) struct Slots<T, N> {
    slots: Box<[Option<T>]>,
    /// The low bits of what is in each slot; empty if the elements store them.
    low_bits: Box<[u16]>,
    len: usize,
    /// The note's type says what elements store.
    note: PhantomData<fn() -> N>,
}

/// Where a hash was looked for.
pub(super) enum Probe {
    /// The slot of the element.
    Found(usize),
    /// The free slot where the search ended.
    Free(usize),
}

impl<T, N> Default for Slots<T, N> {
    fn default() -> Self {
        Self {
            slots: Box::default(),
            low_bits: Box::default(),
            len: 0,
            note: PhantomData,
        }
    }
}

impl<T, N: Note<T>> Slots<T, N> {
    /// Slots for `len` elements without growing, and no fewer than `slots_min`.
    pub(super) fn with_room(len: usize, slots_min: usize) -> Self {
        let mut count = slots_min.max(SLOTS_MIN).next_power_of_two();
        while room(count) < len {
            count *= 2;
        }
        Self {
            slots: iter::repeat_with(|| None).take(count).collect(),
            low_bits: if N::STORES_LOW_BITS {
                Box::default()
            } else {
                vec![0; count].into()
            },
            len: 0,
            note: PhantomData,
        }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of slots: a power of two, or none.
    pub(super) fn num_buckets(&self) -> usize {
        self.slots.len()
    }

    /// Whether one more element fits without growing.
    pub(super) fn has_room(&self) -> bool {
        self.len < room(self.slots.len())
    }

    /// Bytes allocated.
    pub(super) fn allocation_size(&self) -> usize {
        self.slots.len() * size_of::<Option<T>>() + self.low_bits.len() * size_of::<u16>()
    }

    /// What is in a slot. No element for a slot that does not exist.
    pub(super) fn get_bucket(&self, slot: usize) -> Option<&T> {
        self.slots.get(slot)?.as_ref()
    }

    /// As [`Slots::get_bucket`].
    pub(super) fn get_bucket_mut(&mut self, slot: usize) -> Option<&mut T> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// The slot where a look-up of this hash begins; `None` if there are none.
    pub(super) fn home_slot(&self, hash: u64) -> Option<&Option<T>> {
        let mask = self.slots.len().wrapping_sub(1);
        self.slots.get(hash as usize & mask)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> ElementsMut<'_, T> {
        Elements {
            left: self.len,
            slots: self.slots.iter_mut().flatten(),
        }
    }

    pub(super) fn into_elements(self) -> IntoElements<T> {
        Elements {
            left: self.len,
            slots: self.slots.into_vec().into_iter().flatten(),
        }
    }

    /// Takes this apart: calls `f` with the elements in the order of their slots, each announced
    /// a few slots before.
    pub(super) fn take_all(self, mut f: impl FnMut(T)) {
        let mut slots = self.slots;
        for at in 0..slots.len() {
            if let Some(Some(later)) = slots.get(at + ANNOUNCED_AHEAD) {
                N::announced(later);
            }
            slots[at].take().into_iter().for_each(&mut f);
        }
    }

    /// The element with this hash that `eq` accepts.
    #[inline]
    pub(super) fn find(&self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&T> {
        match self.probe(hash, eq)? {
            Probe::Found(slot) => self.get_bucket(slot),
            Probe::Free(_) => None,
        }
    }

    /// As [`Slots::find`].
    #[inline]
    pub(super) fn find_mut(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&mut T> {
        match self.probe(hash, eq)? {
            Probe::Found(slot) => self.get_bucket_mut(slot),
            Probe::Free(_) => None,
        }
    }

    /// Looks for an element; `None` if there are no slots at all.
    #[inline]
    pub(super) fn probe(&self, hash: u64, mut eq: impl FnMut(&T) -> bool) -> Option<Probe> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        // Ends, because a fifth of the slots is free.
        loop {
            let Some(element) = &self.slots[at] else {
                return Some(Probe::Free(at));
            };
            if self.low_bits_at(at, element) == hash as u16 && eq(element) {
                return Some(Probe::Found(at));
            }
            at = at.wrapping_add(1) & mask;
        }
    }

    /// Puts an element into the free slot that [`Slots::probe`] found for its hash, which is
    /// right only while there is room.
    #[inline]
    pub(super) fn fill(&mut self, slot: usize, hash: u64, element: T) -> &mut T {
        debug_assert!(self.slots[slot].is_none() && self.has_room());
        if !N::STORES_LOW_BITS {
            self.low_bits[slot] = hash as u16;
        }
        self.len += 1;
        self.slots[slot].insert(element)
    }

    /// Adds an element that must be absent, growing if need be.
    pub(super) fn insert_unique(
        &mut self,
        hash: u64,
        element: T,
        hasher: &impl Fn(&T) -> u64,
    ) -> &mut T {
        if !self.has_room() {
            self.grow(hasher);
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].is_some() {
            at = at.wrapping_add(1) & mask;
        }
        self.fill(at, hash, element)
    }

    /// Takes out the element of a slot and closes the gap.
    pub(super) fn take(&mut self, slot: usize, hasher: &impl Fn(&T) -> u64) -> Option<T> {
        let element = self.slots.get_mut(slot)?.take()?;
        self.len -= 1;
        let mask = self.slots.len() - 1;
        let (mut gap, mut at) = (slot, slot);
        loop {
            at = at.wrapping_add(1) & mask;
            let Some(next) = &self.slots[at] else {
                return Some(element);
            };
            // It may move back unless its home lies between the gap and where it is.
            let home = self.hash_at(at, next, hasher) as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.slots[gap] = self.slots[at].take();
                if !N::STORES_LOW_BITS {
                    self.low_bits[gap] = self.low_bits[at];
                }
                gap = at;
            }
        }
    }

    /// Doubles the slots.
    pub(super) fn grow(&mut self, hasher: &impl Fn(&T) -> u64) {
        self.resize(self.len + 1, self.slots.len() * 2, hasher);
    }

    /// Makes room for `more` elements without further growth.
    pub(super) fn reserve(&mut self, more: usize, hasher: &impl Fn(&T) -> u64) {
        if room(self.slots.len()) < self.len + more {
            self.resize(self.len + more, self.slots.len(), hasher);
        }
    }

    /// Reduces the slots to what `len` elements need.
    pub(super) fn shrink_to(&mut self, len: usize, hasher: &impl Fn(&T) -> u64) {
        self.resize(len.max(self.len), 0, hasher);
    }

    fn resize(&mut self, len: usize, slots_min: usize, hasher: &impl Fn(&T) -> u64) {
        let old = mem::replace(self, Self::with_room(len, slots_min));
        let by_low_bits = self.slots.len() <= SLOTS_BY_LOW_BITS_MAX;
        let mut low_bits = old.low_bits.iter();
        for slot in old.slots {
            let stored = low_bits.next();
            let Some(element) = slot else { continue };
            let hash = match stored {
                _ if !by_low_bits => hasher(&element),
                Some(&stored) => u64::from(stored),
                None => u64::from(N::low_bits(&element)),
            };
            self.insert_unique(hash, element, hasher);
        }
    }

    #[inline]
    fn low_bits_at(&self, slot: usize, element: &T) -> u16 {
        if N::STORES_LOW_BITS {
            N::low_bits(element)
        } else {
            self.low_bits[slot]
        }
    }

    /// As many low bits of an element's hash as decide about its home.
    #[inline]
    fn hash_at(&self, slot: usize, element: &T, hasher: &impl Fn(&T) -> u64) -> u64 {
        if self.slots.len() <= SLOTS_BY_LOW_BITS_MAX {
            u64::from(self.low_bits_at(slot, element))
        } else {
            hasher(element)
        }
    }
}

/// Elements of a segment, in no particular order; their number is known.
pub struct Elements<I: Iterator<Item: IntoIterator>> {
    slots: iter::Flatten<I>,
    left: usize,
}

/// The elements of a segment, to be changed in place.
pub type ElementsMut<'a, T> = Elements<slice::IterMut<'a, Option<T>>>;
/// The elements of a segment that was taken apart.
pub type IntoElements<T> = Elements<vec::IntoIter<Option<T>>>;

impl<I: Iterator<Item: IntoIterator>> Iterator for Elements<I> {
    type Item = <I::Item as IntoIterator>::Item;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let element = self.slots.next()?;
        self.left -= 1;
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<I: Iterator<Item: IntoIterator>> ExactSizeIterator for Elements<I> {}

#[cfg(test)]
mod tests;
