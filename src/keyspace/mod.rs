//! The keys of one shard: entries, the tables that hold them, expiry bookkeeping and snapshots.
//!
//! Plain state, driven by calls: no clock, no random source, no I/O. Times are Unix milliseconds
//! that the caller passes in.

pub mod access;
mod db;
mod entry;
mod garbage;
mod snapshot;

pub use crate::value::HashSeed as Seed;
pub use db::{Db, Previous, SetExpiry};
pub use entry::{Boxed, Entry, INLINE_LEN_MAX, prefetch_address};

use crate::value::codec::Compression;
use access::{Clock, Tracking};
use db::Entries;
use garbage::Garbage;
use snapshot::{Cut, Restamp};

pub use snapshot::{SLICED_BYTES_MIN, Step};

/// All databases of one shard.
pub struct Keyspace {
    databases: Vec<Db>,
    clock: Clock,
    garbage: Garbage,
    /// Current snapshot epoch, the same in all databases.
    epoch: u16,
    snapshot_active: bool,
    /// Flushed tables of which the snapshot still wants something.
    detached: Vec<(Entries, Box<Cut>)>,
    /// Epochs that began since all entries were known to carry the same one.
    stale_epochs: u16,
    restamp: Restamp,
    /// Values of at least so many bytes are serialised in slices.
    sliced_bytes_min: usize,
    /// Keys held for that and let go since they were last asked for.
    released: Vec<Box<[u8]>>,
    compression: Compression,
}

/// Whether a piece of background work is finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// There is more to do.
    More,
    /// There is not.
    Done,
}

impl Keyspace {
    /// Empty databases 0 to `databases` - 1.
    pub fn new(databases: usize, seed: &Seed) -> Self {
        Self {
            databases: (0..databases).map(|_| Db::new(seed)).collect(),
            clock: Clock::default(),
            garbage: Garbage::default(),
            epoch: 0,
            snapshot_active: false,
            detached: Vec::new(),
            stale_epochs: 0,
            restamp: Restamp::default(),
            sliced_bytes_min: snapshot::SLICED_BYTES_MIN,
            released: Vec::new(),
            compression: Compression::default(),
        }
    }

    /// Sets how strings are written by the snapshots that begin from now on.
    pub fn set_compression(&mut self, compression: Compression) {
        self.compression = compression;
    }

    /// Number of databases.
    pub fn databases(&self) -> usize {
        self.databases.len()
    }

    /// Database `index`.
    ///
    /// # Panics
    /// If there is none of that index; so do the functions below.
    pub fn db(&self, index: usize) -> &Db {
        &self.databases[index]
    }

    /// Database `index`, to change it.
    pub fn db_mut(&mut self, index: usize) -> &mut Db {
        let db = &mut self.databases[index];
        db.clock = self.clock;
        db
    }

    /// Puts entries into their databases, as [`Db::insert`] does one by one; here the cache misses
    /// of those that follow overlap.
    pub fn insert_all(&mut self, entries: Vec<(usize, Entry)>) {
        /// About as many cache misses as a core has under way at once.
        const AHEAD: usize = 8;
        let place = |(db, entry): &(usize, Entry)| (*db, self.databases[*db].hash(entry.key()));
        let places: Vec<(usize, u64)> = entries.iter().map(place).collect();
        for (at, (db, entry)) in entries.into_iter().enumerate() {
            if let Some(&(later, hash)) = places.get(at + AHEAD) {
                self.databases[later].prefetch_slot(hash);
            }
            self.db_mut(db).insert_hashed(places[at].1, entry);
        }
    }

    /// The time, in seconds since 1970, that databases taken with [`Keyspace::db_mut`] stamp into
    /// their entries.
    pub fn set_clock(&mut self, seconds: u32) {
        self.clock.seconds = seconds;
    }

    /// What is kept in the access words from now on.
    pub fn set_tracking(&mut self, tracking: Tracking) {
        self.clock.tracking = tracking;
    }

    /// What is stamped into entries.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Exchanges two databases (SWAPDB).
    pub fn swap(&mut self, a: usize, b: usize) {
        self.databases.swap(a, b);
        // The walk goes by index, so it could miss one.
        self.restamp = Restamp::default();
    }

    /// Empties a database. Its entries are freed by [`Keyspace::free_slice`], after an active
    /// snapshot has got those that it wants.
    pub fn flush(&mut self, index: usize) {
        match self.databases[index].detach() {
            (table, Some(cut)) => self.detached.push((table, cut)),
            (table, None) => self.garbage.add_table(table.into_segments()),
        }
    }

    /// Empties all databases. An active snapshot goes on; FLUSHALL should abort it before.
    pub fn flush_all(&mut self) {
        (0..self.databases()).for_each(|index| self.flush(index));
    }

    /// Number of keys in all databases.
    pub fn total_len(&self) -> usize {
        self.databases.iter().map(Db::len).sum()
    }

    /// Bytes allocated for all databases. O(keys): for MEMORY and for tests. What was flushed
    /// and waits to be freed is not counted.
    pub fn memory(&self) -> usize {
        self.databases.iter().map(Db::memory).sum()
    }

    /// Background work: frees about `budget` elements of what was flushed or discarded. Whether
    /// anything is left to do.
    pub fn free_slice(&mut self, budget: usize) -> bool {
        let garbage_left = self.free_garbage(budget);
        self.restamp_slice(budget) || garbage_left
    }

    /// The freeing alone, for whoever needs the memory now.
    pub fn free_garbage(&mut self, budget: usize) -> bool {
        for db in &mut self.databases {
            self.garbage.add_entries(&mut db.garbage);
        }
        self.garbage.free(budget)
    }
}

#[cfg(test)]
mod tests;
