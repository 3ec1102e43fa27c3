//! Records packed by length, found through a hash table of 8-byte slots: the table encoding of sets
//! and hashes.
//!
//! ```text
//!   table                         lanes: records of one length each
//!   +------+------+------+        6: | member | foobar | abcdef |
//!   | slot |      | slot |  --->  9: | something |
//!   +------+------+------+        longer than 128: one allocation each
//!
//!   slot  63   62 .. 56   55 ... 48   47 ........ 16   15 ....... 0
//!         |1|  |- 0 -|    |- lane -|  |-- place ---|   |- low bits -|
//! ```
//!
//! A record is found by its key, which is all of it or a part: [`Keyed`] says which.

mod store;

use super::table::{Note, Slot, Table};
use super::{Garbage, HashSeed};
use std::marker::PhantomData;
use std::num::NonZeroU64;
use store::{Address, LONG, Store};

const PLACE_SHIFT: u32 = 16;
const LANE_SHIFT: u32 = 48;

/// Which part of a record it is found by.
pub trait Keyed {
    /// The key of a record.
    fn key(record: &[u8]) -> &[u8];
}

/// A slot of the table; the layout is at the top of this file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place(NonZeroU64);

// A slot of the table is an optional place, and must not be larger than one.
const _: () = assert!(size_of::<Option<Place>>() == 8);

impl Place {
    fn new(hash: u64, address: Address) -> Self {
        let place = u32::try_from(address.place).expect("fewer than 2^32 records of one length");
        let word = (hash & 0xFFFF)
            | u64::from(place) << PLACE_SHIFT
            | (address.lane as u64) << LANE_SHIFT
            | 1 << 63;
        Self(NonZeroU64::new(word).expect("the highest bit is set"))
    }

    #[inline]
    fn address(self) -> Address {
        let word = self.0.get();
        Address {
            lane: (word >> LANE_SHIFT) as usize & 0xFF,
            place: (word >> PLACE_SHIFT) as u32 as usize,
        }
    }

    #[inline]
    fn low_bits(self) -> u16 {
        self.0.get() as u16
    }
}

/// Tells the table that slots hold the low bits of hashes.
#[derive(Default)]
struct LowBits;

impl Note<Place> for LowBits {
    const STORES_LOW_BITS: bool = true;

    #[inline]
    fn low_bits(place: &Place) -> u16 {
        place.low_bits()
    }
}

/// Records, of which no two have the same key.
pub struct Packed<K> {
    table: Table<Place, LowBits>,
    store: Store,
    seed: HashSeed,
    keyed: PhantomData<K>,
}

impl<K: Keyed> Packed<K> {
    /// No record. `seed` must be kept from peers.
    pub fn new(seed: HashSeed) -> Self {
        Self {
            table: Table::new(),
            store: Store::new(),
            seed,
            keyed: PhantomData,
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The record of a key.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = self.seed.hash(key);
        let is = |place: &Place| K::key(self.store.get(place.address())) == key;
        let place = self.table.find(hash, is)?;
        Some(self.store.get(place.address()))
    }

    /// Where in memory a look-up of this hash of a key begins.
    pub fn slot_address(&self, hash: u64) -> Option<*const u8> {
        Some(std::ptr::from_ref(self.table.home_slot(hash)?).cast())
    }

    /// Where in memory the record is that a look-up of this hash will probably find.
    pub fn record_address(&self, hash: u64) -> Option<*const u8> {
        let place = self.table.find(hash, |_| true)?;
        Some(self.store.get(place.address()).as_ptr())
    }

    /// Stores a record, given in parts, under its key; whether the key is new. A record that is
    /// there is replaced.
    #[inline]
    pub fn set(&mut self, key: &[u8], parts: &[&[u8]]) -> bool {
        let (seed, store) = (&self.seed, &self.store);
        let hash = seed.hash(key);
        let place = self.table.entry(
            hash,
            |place| K::key(store.get(place.address())) == key,
            |place| seed.hash(K::key(store.get(place.address()))),
        );
        match place {
            Slot::Vacant(place) => {
                place.insert(Place::new(hash, self.store.push(parts)));
                true
            }
            Slot::Occupied(place) => {
                let old = place.element.address();
                if !self.store.overwrite(old, parts) {
                    *place.element = Place::new(hash, self.store.push(parts));
                    self.close_gap(old);
                }
                false
            }
        }
    }

    /// Removes a key's record; whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let hash = self.seed.hash(key);
        let (seed, store) = (&self.seed, &self.store);
        let removed = self.table.remove(
            hash,
            |place| K::key(store.get(place.address())) == key,
            |place| seed.hash(K::key(store.get(place.address()))),
        );
        match removed {
            Some(place) => {
                self.close_gap(place.address());
                true
            }
            None => false,
        }
    }

    /// Removes the record at `index`, see [`Packed::at`]; calls `f` with it before.
    pub fn remove_at(&mut self, index: usize, f: impl FnOnce(&[u8])) -> bool {
        let Some(address) = self.store.address(index) else {
            return false;
        };
        let (seed, store) = (&self.seed, &self.store);
        let record = store.get(address);
        f(record);
        let removed = self.table.remove(
            seed.hash(K::key(record)),
            |place| place.address() == address,
            |place| seed.hash(K::key(store.get(place.address()))),
        );
        assert!(removed.is_some(), "a stored record is in the table");
        self.close_gap(address);
        true
    }

    /// Takes a record that left the table out of its lane.
    fn close_gap(&mut self, gap: Address) {
        let Some(moved_from) = self.store.remove(gap) else {
            return;
        };
        let hash = self.seed.hash(K::key(self.store.get(gap)));
        let place = (self.table).find_mut(hash, |place| place.address() == moved_from);
        *place.expect("a stored record is in the table") = Place::new(hash, gap);
    }

    /// The record at `index`, from 0 to the number of records. The order changes with removals.
    pub fn at(&self, index: usize) -> Option<&[u8]> {
        Some(self.store.get(self.store.address(index)?))
    }

    /// All records, in the order of their lanes; those without a lane come last.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            store: &self.store,
            next: Address {
                lane: LONG + 1,
                place: 0,
            },
        }
    }

    /// See [`Table::scan`].
    pub fn scan(&self, cursor: u64, count: usize, f: &mut impl FnMut(&[u8])) -> u64 {
        self.table.scan(
            cursor,
            count,
            |place| place.low_bits(),
            |place| f(self.store.get(place.address())),
        )
    }

    /// Bytes allocated.
    pub fn memory(&self) -> usize {
        self.table.memory() + self.store.memory()
    }

    /// Takes it apart in steps.
    pub fn into_garbage(self) -> Garbage {
        // Slots own nothing, so a segment is one deallocation, whatever it holds.
        let slots = self.table.into_segments().map(|_| 1);
        Box::new(slots.chain(self.store.into_garbage()))
    }
}

impl<K: Keyed> Clone for Packed<K> {
    fn clone(&self) -> Self {
        let seed = self.seed;
        let store = self.store.clone();
        let mut table = Table::new();
        for index in 0..self.len() {
            let address = store.address(index).expect("as many are stored");
            let hash = seed.hash(K::key(store.get(address)));
            table.insert(hash, Place::new(hash, address), |place: &Place| {
                seed.hash(K::key(store.get(place.address())))
            });
        }
        Self {
            table,
            store,
            seed,
            keyed: PhantomData,
        }
    }
}

/// See [`Packed::iter`].
pub struct Iter<'a> {
    store: &'a Store,
    next: Address,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.next = self.store.settle(self.next)?;
        let record = self.store.get(self.next);
        self.next.place += 1;
        Some(record)
    }
}

#[cfg(test)]
mod tests;
