//! One database of one shard: the table of its entries and what must stay in step with it.

use super::access::Clock;
use super::entry::{Entry, prefetch_line};
use super::snapshot::{Cut, preserve};
use crate::value::HashSeed;
use crate::value::scattered::Scattered;
use crate::value::table::{IntoSegments, Note, Slot, Table};
use std::mem;

/// The table of a database.
pub(super) type Entries = Table<Entry, Expiries>;
/// Such a table taken apart.
pub(super) type EntrySegments = IntoSegments<Entry, Expiries>;

/// A key that was reported as expired but not removed is reported again after this time.
const EXPIRED_AGAIN_AFTER_MS: u64 = 100;
/// Segments in which a sample of keys with an expiry is looked for.
const SAMPLE_SEGMENTS_MAX: usize = 4096;
/// Places and elements per place that [`Db::average_ttl`] looks at.
const TTL_SAMPLES: (u64, usize) = (8, 64);

/// What becomes of the expiry of a key that is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetExpiry {
    /// None from now on (plain SET).
    Clear,
    /// As it was (SET … KEEPTTL).
    Keep,
    /// At this time in Unix milliseconds.
    At(u64),
}

/// What a key that was set held before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Previous {
    /// Its expiry in Unix milliseconds, if it had one.
    pub expire_at_ms: Option<u64>,
}

/// One database.
///
/// Every change of an entry that an active snapshot has not reached saves the entry's state for
/// the snapshot first; callers need not know. Expired keys are here like any other until they are
/// removed: whether a command sees them is decided above.
pub struct Db {
    pub(super) table: Entries,
    seed: HashSeed,
    /// Entries that have an expiry.
    expires: usize,
    /// Stamped into entries on access.
    pub(super) clock: Clock,
    /// Chance, for counters of use.
    chance: u64,
    /// Where a search for keys with an expiry goes on that found none.
    sample_position: Option<u32>,
    /// Current snapshot epoch; entries with another one are as they were when it began.
    pub(super) epoch: u16,
    /// What an active snapshot still wants of this database.
    pub(super) cut: Option<Box<Cut>>,
    /// Replaced entries that are too large to free at once.
    pub(super) garbage: Vec<Entry>,
    /// Where [`Db::expired_slice`] goes on.
    expiry_position: u32,
}

/// What a segment knows of its expiries: enough to skip it until there is something to expire.
pub(super) struct Expiries {
    /// Entries with an expiry.
    count: u32,
    /// No entry expires before this time. Removing an entry may leave it too low, never too high.
    bound_ms: u64,
}

impl Default for Expiries {
    fn default() -> Self {
        Self {
            count: 0,
            bound_ms: u64::MAX,
        }
    }
}

impl Expiries {
    fn change(&mut self, old: Option<u64>, new: Option<u64>) {
        if let Some(at) = new {
            self.count += 1;
            self.bound_ms = self.bound_ms.min(at);
        }
        if old.is_some() {
            self.count -= 1;
        }
        if self.count == 0 {
            self.bound_ms = u64::MAX;
        }
    }
}

impl Note<Entry> for Expiries {
    const STORES_LOW_BITS: bool = true;

    fn low_bits(entry: &Entry) -> u16 {
        entry.order()
    }

    fn announced(entry: &Entry) {
        entry.prefetch();
    }

    fn added(&mut self, entry: &Entry) {
        self.change(None, entry.expire_at());
    }

    fn removed(&mut self, entry: &Entry) {
        self.change(entry.expire_at(), None);
    }
}

impl Db {
    /// An empty database; allocates nothing. The seed must be the same for all shards, so that an
    /// entry can move between them.
    pub fn new(seed: &HashSeed) -> Self {
        Self {
            table: Table::new(),
            seed: *seed,
            expires: 0,
            clock: Clock::default(),
            // Anything but 0, and not known to peers.
            chance: seed.hash(b"chance") | 1,
            sample_position: None,
            epoch: 0,
            cut: None,
            garbage: Vec::new(),
            expiry_position: 0,
        }
    }

    /// Number of keys, expired ones included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Number of keys with an expiry.
    pub fn expires(&self) -> usize {
        self.expires
    }

    /// The time, in seconds since 1970, that is stamped into entries from now on.
    pub fn set_clock(&mut self, seconds: u32) {
        self.clock.seconds = seconds;
    }

    /// The seed of its hashes.
    pub(super) fn seed(&self) -> HashSeed {
        self.seed
    }

    /// The hash of a key.
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.seed.hash(key)
    }

    /// Starts to bring the place in the table where a look-up of this hash begins into the
    /// processor's cache: the first stage of what [`Db::prefetch`] completes.
    pub fn prefetch_slot(&self, hash: u64) {
        if let Some(slot) = self.table.home_slot(hash) {
            prefetch_line(slot);
        }
    }

    /// Starts to bring the entry that a look-up of this hash will probably find into the
    /// processor's cache. Called for a batch of keys after [`Db::prefetch_slot`] was for all of
    /// them, and before the first is looked up, it lets their cache misses overlap.
    pub fn prefetch(&self, hash: u64) {
        let order = order_of(hash);
        if let Some(entry) = self.table.find(hash, |entry| entry.order() == order) {
            entry.prefetch();
        }
    }

    /// The elements of the large collection that a look-up of this hash will probably find, see
    /// [`scattered`](crate::value::ValueRef::scattered).
    pub fn scattered(&self, hash: u64) -> Option<Scattered<'_>> {
        let order = order_of(hash);
        let entry = self.table.find(hash, |entry| entry.order() == order)?;
        entry.value().scattered()
    }

    /// The entry of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        let hash = self.seed.hash(key);
        self.table.find(hash, |entry| is(entry, hash, key))
    }

    /// The entry of a key, for a read that counts as an access.
    pub fn get_touch(&mut self, key: &[u8]) -> Option<&Entry> {
        let hash = self.seed.hash(key);
        let entry = self.table.find_mut(hash, |entry| is(entry, hash, key))?;
        stamp_use(entry, self.clock, &mut self.chance);
        Some(entry)
    }

    /// The entry of a key, to change its value. Counts as a write even if none follows.
    ///
    /// The entry must stay that of the same key with the same expiry: no other may be swapped in.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let hash = self.seed.hash(key);
        let entry = self.table.find_mut(hash, |entry| is(entry, hash, key))?;
        preserve(&mut self.cut, self.epoch, entry);
        stamp_use(entry, self.clock, &mut self.chance);
        Some(entry)
    }

    /// Puts an entry in and returns the one whose place it took. An entry whose access word was
    /// never set gets the clock's.
    pub fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.insert_hashed(self.seed.hash(entry.key()), entry)
    }

    /// As [`Db::insert`]; `hash` is [`Db::hash`] of the key.
    pub fn insert_hashed(&mut self, hash: u64, mut entry: Entry) -> Option<Entry> {
        let seed = self.seed;
        debug_assert_eq!(hash, seed.hash(entry.key()));
        self.stamp(&mut entry, hash);
        let key = entry.key();
        match self
            .table
            .entry(hash, |other| is(other, hash, key), |e| seed.hash(e.key()))
        {
            Slot::Vacant(place) => {
                self.expires += usize::from(entry.expire_at().is_some());
                place.insert(entry);
                None
            }
            Slot::Occupied(place) => {
                preserve(&mut self.cut, self.epoch, place.element);
                let (old, new) = (place.element.expire_at(), entry.expire_at());
                place.note.change(old, new);
                self.expires = moved(self.expires, old, new);
                Some(mem::replace(place.element, entry))
            }
        }
    }

    /// Says how many keys are about to come; a hint that nothing is allocated for.
    pub fn expect(&mut self, keys: usize) {
        self.table.expect(keys);
    }

    /// Takes an entry out. One that may be large is best dropped with [`Db::discard`].
    pub fn remove(&mut self, key: &[u8]) -> Option<Entry> {
        self.remove_hashed(self.seed.hash(key), key)
    }

    /// As [`Db::remove`]; `hash` is [`Db::hash`] of the key.
    pub fn remove_hashed(&mut self, hash: u64, key: &[u8]) -> Option<Entry> {
        let seed = self.seed;
        debug_assert_eq!(hash, seed.hash(key));
        let found = self
            .table
            .remove(hash, |entry| is(entry, hash, key), |e| seed.hash(e.key()));
        let mut entry = found?;
        preserve(&mut self.cut, self.epoch, &mut entry);
        self.expires -= usize::from(entry.expire_at().is_some());
        Some(entry)
    }

    /// Drops an entry without stalling: a large collection is freed later, in slices.
    pub fn discard(&mut self, entry: Entry) {
        if entry.is_slow_to_free() {
            self.garbage.push(entry);
        }
    }

    /// Sets a key to a string; tells of what was there, of whatever type. The server's hottest
    /// function: one hash, one probe, and no allocation where the value fits the entry.
    pub fn set_string(&mut self, key: &[u8], value: &[u8], expiry: SetExpiry) -> Option<Previous> {
        let seed = self.seed;
        let hash = seed.hash(key);
        let at = |old| match expiry {
            SetExpiry::Clear => None,
            SetExpiry::Keep => old,
            SetExpiry::At(at) => Some(at),
        };
        match self
            .table
            .entry(hash, |e| is(e, hash, key), |e| seed.hash(e.key()))
        {
            Slot::Occupied(place) => {
                let entry = place.element;
                preserve(&mut self.cut, self.epoch, entry);
                let old = entry.expire_at();
                let new = at(old);
                let access = entry.access();
                if entry.is_slow_to_free() {
                    let mut fresh = Entry::string(key, value, new);
                    fresh.set_order(order_of(hash));
                    fresh.set_epoch(self.epoch);
                    self.garbage.push(mem::replace(entry, fresh));
                } else {
                    entry.set_string(value, new);
                }
                // As in Redis the new value inherits the count of the old one.
                entry.set_access(access);
                stamp_use(entry, self.clock, &mut self.chance);
                if old != new {
                    place.note.change(old, new);
                    self.expires = moved(self.expires, old, new);
                }
                Some(Previous { expire_at_ms: old })
            }
            Slot::Vacant(place) => {
                let mut entry = Entry::string(key, value, at(None));
                entry.set_order(order_of(hash));
                entry.set_epoch(self.epoch);
                entry.set_access(self.clock.fresh());
                self.expires += usize::from(entry.expire_at().is_some());
                place.insert(entry);
                None
            }
        }
    }

    /// Sets or clears the expiry of a key; false if there is no such key.
    pub fn set_expiry(&mut self, key: &[u8], expire_at_ms: Option<u64>) -> bool {
        let hash = self.seed.hash(key);
        let Some(place) = self
            .table
            .find_with_note(hash, |entry| is(entry, hash, key))
        else {
            return false;
        };
        preserve(&mut self.cut, self.epoch, place.element);
        let old = place.element.expire_at();
        place.element.set_expiry(expire_at_ms);
        place.note.change(old, expire_at_ms);
        self.expires = moved(self.expires, old, expire_at_ms);
        true
    }

    /// Some entry, chosen by the random number `r`; nearly uniform. `None` only if empty.
    pub fn random(&self, r: u64) -> Option<&Entry> {
        self.table.random(r)
    }

    /// One step of SCAN over about `count` entries; see [`Table::scan`]. Cursors are below 2^49,
    /// 0 starts and ends.
    pub fn scan(&self, cursor: u64, count: usize, f: impl FnMut(&Entry)) -> u64 {
        self.table.scan(cursor, count, Entry::order, f)
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.table.iter()
    }

    /// Adds keys that were expired at `now_ms` to `out`, for the caller to remove and propagate.
    ///
    /// Goes on where the last call ended, and returns whether it stopped because of its budget
    /// rather than at the end of the table. The budget counts entries and skipped segments; the
    /// last segment may exceed it. A segment is skipped unless one of its expiries has passed.
    /// A key that the caller leaves alone is reported again, though not within 100 ms.
    pub fn expired_slice(&mut self, now_ms: u64, budget: usize, out: &mut Vec<Box<[u8]>>) -> bool {
        let mut spent = 0;
        while spent < budget {
            let next = self.table.visit(self.expiry_position, |note, entries| {
                spent += 1;
                if note.bound_ms >= now_ms {
                    return;
                }
                spent += entries.len();
                let mut bound_ms = u64::MAX;
                for entry in entries {
                    let Some(mut at) = entry.expire_at() else {
                        continue;
                    };
                    if entry.is_expired(now_ms) {
                        out.push(entry.key().into());
                        at = now_ms.saturating_add(EXPIRED_AGAIN_AFTER_MS);
                    }
                    bound_ms = bound_ms.min(at);
                }
                note.bound_ms = bound_ms;
            });
            self.expiry_position = next.unwrap_or(0);
            if next.is_none() {
                return false;
            }
        }
        true
    }

    /// Shows `f` up to `count` entries chosen by the random number `roll`, some perhaps twice; with
    /// `volatile` only such as have an expiry. The choice of these is less even: neighbours in the
    /// table come together. Bounded work, so that of few in a large table perhaps none is found;
    /// the next call then goes on with the search.
    pub fn sample(&mut self, roll: u64, count: usize, volatile: bool, mut f: impl FnMut(&Entry)) {
        if volatile {
            return self.sample_volatile(roll, count, f);
        }
        let mut roll = roll;
        for _ in 0..count.min(self.len()) {
            if let Some(entry) = self.table.random(roll) {
                f(entry);
            }
            roll = next_chance(roll);
        }
    }

    fn sample_volatile(&mut self, roll: u64, count: usize, mut f: impl FnMut(&Entry)) {
        let mut left = count.min(self.expires);
        if left == 0 {
            return;
        }
        let start = self.sample_position.take();
        let mut position = start.unwrap_or_else(|| Entries::position(roll));
        for _ in 0..SAMPLE_SEGMENTS_MAX {
            let next = self.table.visit(position, |note, entries| {
                if note.count > 0 {
                    let skipped = (roll % u64::from(note.count)) as usize;
                    let volatile = entries.filter(|entry| entry.expire_at().is_some());
                    for entry in volatile.skip(skipped).take(left) {
                        f(entry);
                        left -= 1;
                    }
                }
            });
            position = next.unwrap_or(0);
            if left == 0 {
                return;
            }
        }
        if left == count.min(self.expires) {
            self.sample_position = Some(position);
        }
    }

    /// Estimate of the mean time to live of keys that have an expiry, in milliseconds; 0 if a
    /// sample of some hundred entries holds none. Bounded work.
    pub fn average_ttl(&self, now_ms: u64) -> u64 {
        if self.expires == 0 {
            return 0;
        }
        let (mut sum, mut count) = (0u128, 0);
        for place in 0..TTL_SAMPLES.0 {
            let cursor = (place * (1 << 28) / TTL_SAMPLES.0) << 21;
            self.scan(cursor, TTL_SAMPLES.1, |entry| {
                if let Some(at) = entry.expire_at() {
                    sum += u128::from(at.saturating_sub(now_ms));
                    count += 1;
                }
            });
        }
        sum.checked_div(count)
            .map_or(0, |mean| u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// Bytes of the table itself, without the entries. O(segments).
    pub fn table_memory(&self) -> usize {
        self.table.memory()
    }

    /// Bytes allocated for all entries and the table. O(keys): for MEMORY and for tests.
    pub fn memory(&self) -> usize {
        self.table.memory() + self.iter().map(Entry::memory).sum::<usize>()
    }

    /// Empties the database and gives away what was in it.
    pub(super) fn detach(&mut self) -> (Entries, Option<Box<Cut>>) {
        self.expires = 0;
        self.expiry_position = 0;
        (mem::take(&mut self.table), self.cut.take())
    }

    /// Prepares an entry for the table.
    fn stamp(&self, entry: &mut Entry, hash: u64) {
        entry.set_order(order_of(hash));
        entry.set_epoch(self.epoch);
        if entry.access() == 0 {
            entry.set_access(self.clock.fresh());
        }
    }
}

/// Notes a use of an entry.
#[inline]
fn stamp_use(entry: &mut Entry, clock: Clock, chance: &mut u64) {
    let word = clock.used(entry.access(), || {
        *chance = next_chance(*chance);
        *chance >> 16
    });
    entry.set_access(word);
}

/// A step of xorshift: any number but 0.
fn next_chance(mut chance: u64) -> u64 {
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    chance
}

/// The hash bits that an entry keeps: those that place it within its segment.
const fn order_of(hash: u64) -> u16 {
    hash as u16
}

fn is(entry: &Entry, hash: u64, key: &[u8]) -> bool {
    entry.order() == order_of(hash) && entry.key() == key
}

/// A count of expiries after one was replaced.
fn moved(count: usize, old: Option<u64>, new: Option<u64>) -> usize {
    count + usize::from(new.is_some()) - usize::from(old.is_some())
}

#[cfg(test)]
mod tests;
