//! A snapshot of one shard without fork: a walk over the tables, with copies of what changes first.
//!
//! Every entry carries the *epoch* in which it was last written or serialised. A snapshot opens a
//! new one; what carries another epoch is as it was at the cut. The walk serialises such entries
//! in hash order and stamps them with the new epoch. A change to one that the walk has not reached
//! serialises it first, into the database's *pre-images*, and stamps it likewise. New entries are
//! born in the new epoch. So each entry of the cut is serialised exactly once, in whichever table
//! and under whichever key it goes on living: the stamp decides, not the position of the walk.
//!
//! * An entry that is removed leaves its pre-image; if it comes back (renamed, or lent to a
//!   transaction on another shard and returned), it is of the new epoch like any new one.
//! * A segment that splits or merges under the walk is walked again; the stamps tell what is done.
//! * A flushed table is detached and walked on; a swapped database keeps its number of the cut.
//!
//! * A large value is not serialised in one step: [`large`] takes it in slices.
//!
//! The epoch is a counter of 16 bits, and aborted snapshots leave entries of old epochs behind. An
//! entry left so by 65,535 aborts in a row would be taken for one of the new epoch. So the keyspace
//! counts the epochs since all entries were known to carry the same one; a snapshot that completes
//! resets the count. At half of the range, background slices restamp all entries while no snapshot
//! is active; if they never get to it, the last snapshot before the wrap restamps them at once.

mod large;

use super::db::Entries;
use super::entry::Entry;
use super::{Keyspace, Progress};
use crate::value::HashSeed;
use crate::value::codec::{self, Compression};
use large::{Found, Large, Table};
use std::collections::VecDeque;
use std::mem;

/// Pre-images are kept in pieces of about this many bytes, each a fragment by itself.
const FRAGMENT_LEN: usize = 64 * 1024;
/// What looking at an entry costs of a step's budget, in bytes: bounds the steps over entries that
/// need not be serialised.
const LOOK_COST: usize = 32;
/// Aborted snapshots after which entries are restamped in the background.
const STALE_EPOCHS_MAX: u16 = 1 << 15;

/// Values of at least this many bytes are serialised in slices, unless the keyspace is told
/// otherwise.
pub const SLICED_BYTES_MIN: usize = 1 << 20;

/// RDB: the Unix time in milliseconds at which the following key expires.
const RDB_OPCODE_EXPIRETIME_MS: u8 = 0xfc;
/// RDB: the database of the following keys.
const RDB_OPCODE_SELECTDB: u8 = 0xfe;

/// What the snapshot still wants of one database.
pub(super) struct Cut {
    /// The database's number at the cut.
    number: usize,
    /// The seed of the database's hashes.
    seed: HashSeed,
    cursor: u64,
    walked: bool,
    preimages: VecDeque<Vec<u8>>,
    preimage_bytes: usize,
    large: Large,
    compression: Compression,
}

/// What a step of a snapshot brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Step {
    /// Whether the snapshot is done.
    pub progress: Progress,
    /// The last record goes on in the next fragment: nothing may come between.
    pub open: bool,
}

/// Where the background restamping stands.
#[derive(Default)]
pub(super) struct Restamp {
    database: usize,
    cursor: u64,
}

/// Saves the entry's state if the snapshot has not got it yet. To be called before every change.
pub(super) fn preserve(cut: &mut Option<Box<Cut>>, epoch: u16, entry: &mut Entry) {
    if entry.epoch() == epoch {
        return;
    }
    if let Some(cut) = cut {
        cut.save(entry);
    }
    entry.set_epoch(epoch);
}

impl Keyspace {
    /// Makes the cut: opens a new epoch, to which none of the present entries belong.
    ///
    /// # Panics
    /// If a snapshot is active.
    pub fn begin_snapshot(&mut self) {
        assert!(!self.snapshot_active, "one snapshot at a time");
        if self.stale_epochs == u16::MAX {
            self.restamp_all();
        }
        self.restamp = Restamp::default();
        self.stale_epochs += 1;
        self.epoch = self.epoch.wrapping_add(1);
        self.snapshot_active = true;
        for (number, db) in self.databases.iter_mut().enumerate() {
            db.epoch = self.epoch;
            let cut = || Box::new(Cut::new(number, db.seed(), self.compression));
            db.cut = (!db.is_empty()).then(cut);
        }
    }

    /// Appends the next part of the snapshot to `out`: a fragment of RDB that starts with the
    /// number of its database, unless the fragment before was open. Ends when about `budget_bytes`
    /// were written or an equivalent amount of work was done, which may be before anything is
    /// written; a single entry or pre-image can exceed it.
    ///
    /// `hold` locks a large value's key against changes, and says whether it could. Keys that may
    /// be changed again are given by [`Keyspace::take_released`].
    ///
    /// # Panics
    /// If no snapshot is active.
    pub fn snapshot_step(
        &mut self,
        out: &mut Vec<u8>,
        budget_bytes: usize,
        hold: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Step {
        assert!(self.snapshot_active, "no snapshot is active");
        let mut budget = budget_bytes.max(1);
        let mut progress = Progress::More;
        let mut locked = false;
        match self.write_large(out, &mut budget, hold) {
            Found::Written { open } => return Step { progress, open },
            Found::Locked => locked = true,
            Found::Nothing => {}
        }
        if self.walk_tables(out, &mut budget) == Progress::Done && !locked {
            let cuts = self.databases.iter().filter_map(|db| db.cut.as_ref());
            if cuts.into_iter().all(|cut| cut.large.is_empty()) {
                // All that was there has been stamped now, and so has what came since.
                self.stale_epochs = 0;
                self.end_snapshot();
                progress = Progress::Done;
            }
        }
        Step {
            progress,
            open: false,
        }
    }

    /// Writes of the first large value that can be held.
    fn write_large(
        &mut self,
        out: &mut Vec<u8>,
        budget: &mut usize,
        hold: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Found {
        let epoch = self.epoch;
        let released = &mut self.released;
        let live = self.databases.iter_mut();
        let live = live.filter_map(|db| Some((&mut db.table, db.cut.as_deref_mut()?)));
        let detached = self.detached.iter_mut();
        let all = live.chain(detached.map(|(table, cut)| (table, &mut **cut)));
        let mut all: Vec<_> = all.filter(|(_, cut)| !cut.large.is_empty()).collect();
        // A record that is open goes on before anything else is begun.
        all.sort_by_key(|(_, cut)| !cut.large.is_open());
        let mut found = Found::Nothing;
        for (entries, cut) in all {
            let mut table = Table {
                entries,
                number: cut.number,
                epoch,
                compression: cut.compression,
            };
            match cut.large.write(&mut table, out, budget, hold, released) {
                Found::Nothing => {}
                Found::Locked => found = Found::Locked,
                written => return written,
            }
        }
        found
    }

    /// Pre-images, then what the walk finds.
    fn walk_tables(&mut self, out: &mut Vec<u8>, budget: &mut usize) -> Progress {
        let sliced = self.sliced_bytes_min;
        let cuts = self.databases.iter_mut().filter_map(|db| db.cut.as_mut());
        for cut in cuts.chain(self.detached.iter_mut().map(|(_, cut)| cut)) {
            if cut.preimage_bytes > 0 && cut.write_preimages(out, budget) == Progress::More {
                return Progress::More;
            }
        }
        while let Some((table, cut)) = self.detached.last_mut() {
            if cut.walk(table, (self.epoch, sliced), out, budget) == Progress::More
                || !cut.large.is_empty()
            {
                return Progress::More;
            }
            if let Some((table, _)) = self.detached.pop() {
                self.garbage.add_table(table.into_segments());
            }
        }
        for db in &mut self.databases {
            if let Some(cut) = &mut db.cut
                && cut.walk(&mut db.table, (self.epoch, sliced), out, budget) == Progress::More
            {
                return Progress::More;
            }
        }
        Progress::Done
    }

    /// Whether a command may not touch `key` before its value was serialised in slices: the value
    /// is large, as it was at the cut, and the command changes it (or deletes it, if it expired).
    pub fn wants_slices(&self, db: usize, key: &[u8], writes: bool, now_ms: u64) -> bool {
        let db = &self.databases[db];
        db.cut.is_some()
            && db.get(key).is_some_and(|entry| {
                entry.epoch() != self.epoch
                    && (writes || entry.is_expired(now_ms))
                    && entry.memory() >= self.sliced_bytes_min
            })
    }

    /// Serialises a key's value next, because somebody waits for it. The key is held.
    pub fn slice_first(&mut self, db: usize, key: &[u8]) {
        let db = &mut self.databases[db];
        let hash = db.hash(key);
        if let Some(cut) = &mut db.cut {
            cut.large.add_wanted(hash, key);
        }
    }

    /// Serialises about `budget_bytes` of a held value whether the snapshot's readers have room or
    /// not, so that it is released soon. Whether there is more of that to do.
    pub fn slice_ahead(&mut self, budget_bytes: usize) -> bool {
        let epoch = self.epoch;
        let live = self.databases.iter_mut();
        let live = live.filter_map(|db| Some((&mut db.table, db.cut.as_deref_mut()?)));
        let detached = self.detached.iter_mut();
        let mut all: Vec<_> = live
            .chain(detached.map(|(table, cut)| (table, &mut **cut)))
            .collect();
        all.sort_by_key(|(_, cut)| !cut.large.is_open());
        let others_wait = all.first().is_some_and(|(_, cut)| cut.large.is_open());
        for (entries, cut) in all {
            let mut table = Table {
                entries,
                number: cut.number,
                epoch,
                compression: cut.compression,
            };
            let released = &mut self.released;
            if cut.large.write_ahead(&mut table, budget_bytes, released) {
                return true;
            }
            if others_wait {
                // Its record is not out yet, and no other may be opened before.
                return false;
            }
        }
        false
    }

    /// Keys that were held and may be changed again.
    pub fn take_released(&mut self) -> Vec<Box<[u8]>> {
        mem::take(&mut self.released)
    }

    /// The size from which values are serialised in slices, bytes.
    pub fn sliced_bytes_min(&self) -> usize {
        self.sliced_bytes_min
    }

    /// Changes the size from which values are serialised in slices, [`SLICED_BYTES_MIN`].
    pub fn set_sliced_bytes_min(&mut self, bytes: usize) {
        self.sliced_bytes_min = bytes;
    }

    /// Gives the snapshot up. The next one begins anew.
    pub fn abort_snapshot(&mut self) {
        self.end_snapshot();
    }

    /// Whether a snapshot is active: begun and neither done nor aborted.
    pub fn snapshot_active(&self) -> bool {
        self.snapshot_active
    }

    /// Bytes of pre-images that wait to be taken by [`Keyspace::snapshot_step`].
    pub fn preimage_bytes(&self) -> usize {
        let cuts = self.databases.iter().filter_map(|db| db.cut.as_ref());
        cuts.chain(self.detached.iter().map(|(_, cut)| cut))
            .map(|cut| cut.preimage_bytes + cut.large.bytes())
            .sum()
    }

    fn end_snapshot(&mut self) {
        self.snapshot_active = false;
        for db in &mut self.databases {
            db.cut = None;
        }
        for (table, _) in mem::take(&mut self.detached) {
            self.garbage.add_table(table.into_segments());
        }
    }

    /// Restamps about `budget` entries if too many snapshots were aborted; whether any are left.
    pub(super) fn restamp_slice(&mut self, budget: usize) -> bool {
        if self.snapshot_active || self.stale_epochs < STALE_EPOCHS_MAX {
            return false;
        }
        let (epoch, mut left) = (self.epoch, budget.max(1));
        while let Some(db) = self.databases.get_mut(self.restamp.database) {
            self.restamp.cursor = db.table.walk(self.restamp.cursor, Entry::order, |entry| {
                entry.set_epoch(epoch);
                left = left.saturating_sub(1);
                left > 0
            });
            if self.restamp.cursor == 0 {
                self.restamp.database += 1;
            }
            if left == 0 {
                return true;
            }
        }
        self.stale_epochs = 0;
        self.restamp = Restamp::default();
        false
    }

    fn restamp_all(&mut self) {
        self.restamp = Restamp::default();
        while self.restamp_slice(usize::MAX) {}
    }
}

impl Cut {
    fn new(number: usize, seed: HashSeed, compression: Compression) -> Self {
        Self {
            number,
            seed,
            compression,
            cursor: 0,
            walked: false,
            preimages: VecDeque::new(),
            preimage_bytes: 0,
            large: Large::default(),
        }
    }

    fn save(&mut self, entry: &Entry) {
        if self
            .preimages
            .back()
            .is_none_or(|fragment| fragment.len() >= FRAGMENT_LEN)
        {
            self.preimages.push_back(Vec::new());
        }
        let fragment = self.preimages.back_mut().expect("one was pushed");
        let before = fragment.len();
        if before == 0 {
            write_select(fragment, self.number);
        }
        write_record(fragment, entry, self.compression);
        self.preimage_bytes += fragment.len() - before;
    }

    fn write_preimages(&mut self, out: &mut Vec<u8>, budget: &mut usize) -> Progress {
        while let Some(fragment) = self.preimages.pop_front() {
            self.preimage_bytes -= fragment.len();
            out.extend_from_slice(&fragment);
            *budget = budget.saturating_sub(fragment.len());
            if *budget == 0 {
                return Progress::More;
            }
        }
        Progress::Done
    }

    /// Serialises entries of the cut that are still in `table`.
    fn walk(
        &mut self,
        table: &mut Entries,
        (epoch, sliced_bytes_min): (u16, usize),
        out: &mut Vec<u8>,
        budget: &mut usize,
    ) -> Progress {
        let start = out.len();
        write_select(out, self.number);
        let head_end = out.len();
        while !self.walked && *budget > 0 {
            self.cursor = table.walk(self.cursor, Entry::order, |entry| {
                let before = out.len();
                if entry.epoch() != epoch && entry.memory() >= sliced_bytes_min {
                    self.large.add(self.seed.hash(entry.key()), entry.key());
                } else if entry.epoch() != epoch {
                    write_record(out, entry, self.compression);
                    entry.set_epoch(epoch);
                }
                *budget = budget.saturating_sub(out.len() - before + LOOK_COST);
                *budget > 0
            });
            self.walked = self.cursor == 0;
        }
        if out.len() == head_end {
            out.truncate(start);
        }
        if self.walked {
            Progress::Done
        } else {
            Progress::More
        }
    }
}

fn write_select(out: &mut Vec<u8>, number: usize) {
    out.push(RDB_OPCODE_SELECTDB);
    codec::write_len(out, number as u64);
}

/// One key of an RDB file: expiry, type, key, value.
fn write_record(out: &mut Vec<u8>, entry: &Entry, compression: Compression) {
    write_head(out, entry, compression);
    codec::write_value_with(out, entry.value(), compression);
}

/// Expiry, type and key.
fn write_head(out: &mut Vec<u8>, entry: &Entry, compression: Compression) {
    if let Some(at) = entry.expire_at() {
        out.push(RDB_OPCODE_EXPIRETIME_MS);
        out.extend_from_slice(&at.to_le_bytes());
    }
    out.push(codec::type_byte(entry.value()));
    codec::write_string_with(out, entry.key(), compression);
}

#[cfg(test)]
mod tests;
