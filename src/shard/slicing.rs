//! Large values of a snapshot: their keys are locked for readers only while they are serialised in
//! slices (see `keyspace/snapshot/large.rs`).
//!
//! A lock of this kind belongs to no transaction. Its id is older than that of any transaction, so
//! that whoever wants the key queues behind it.

use crate::command::Command;
use crate::command::table;
use crate::keyspace::Step;
use crate::protocol::Args;

use super::Shard;
use super::locks::{Claim, Locks, Mode, TxId, Verdict};
use super::shell::Shell;

/// What is serialised in one tick of a value that somebody waits for, bytes.
const AHEAD_BYTES: usize = 128 * 1024;

/// The keys that are held.
#[derive(Default)]
pub(super) struct Slicing {
    /// With their locks; `None` under a barrier that serves for it.
    held: Vec<(Box<[u8]>, Option<TxId>)>,
    last: TxId,
    /// A barrier is held until the snapshot is done, or given up: meanwhile nothing changes, and no
    /// lock is to be had.
    frozen: bool,
}

impl Slicing {
    /// Locks a key against changes, if nobody holds it or waits for it in another way.
    fn hold(&mut self, locks: &mut Locks, key: &[u8]) -> bool {
        let lock = self.lock(locks, key);
        let holds = lock.is_some() || self.frozen;
        if holds {
            self.held.push((key.into(), lock));
        }
        holds
    }

    /// Whether a key is held. If the barrier that served for its lock is gone, it is locked now.
    fn holds(&mut self, locks: &mut Locks, key: &[u8]) -> bool {
        let place = self.held.iter().position(|(held, _)| **held == *key);
        if let Some(place) = place
            && self.held[place].1.is_none()
        {
            self.held[place].1 = self.lock(locks, key);
        }
        place.is_some()
    }

    fn lock(&mut self, locks: &mut Locks, key: &[u8]) -> Option<TxId> {
        self.last += 1;
        let id = self.last;
        assert!(id < super::shared::FIRST_TX, "ids of this kind never end");
        let claim = Claim::Keys(std::iter::once((locks.name(key), Mode::Shared)).collect());
        match locks.claim(id, claim) {
            Verdict::Granted => Some(id),
            Verdict::Queued => unreachable!("it is the oldest, so it waits for nobody"),
            Verdict::Refused => None,
        }
    }
}

impl Shard {
    /// Begins a snapshot under a barrier, which is held to its end if it is `frozen`.
    pub fn begin_snapshot(&mut self, frozen: bool) {
        self.slicing.frozen = frozen;
        self.keyspace.begin_snapshot();
    }

    /// One step of the snapshot; see `Keyspace::snapshot_step`.
    pub fn snapshot_step(
        &mut self,
        shell: &mut dyn Shell,
        out: &mut Vec<u8>,
        budget_bytes: usize,
    ) -> Step {
        let (slicing, locks) = (&mut self.slicing, &mut self.locks);
        let hold = &mut |key: &[u8]| slicing.hold(locks, key);
        let step = self.keyspace.snapshot_step(out, budget_bytes, hold);
        self.let_go(shell);
        step
    }

    /// Goes on with a value that somebody waits for, though the snapshot's readers may have no room
    /// for it. Whether there is more of that to do at once.
    pub fn slice_for_waiters(&mut self, shell: &mut dyn Shell) -> bool {
        if self.slicing.held.is_empty() || (self.parked.is_empty() && !self.locks.has_waiting()) {
            return false;
        }
        let budget = AHEAD_BYTES.min(self.keyspace.sliced_bytes_min());
        let more = self.keyspace.slice_ahead(budget);
        self.let_go(shell);
        more
    }

    /// Gives the snapshot up.
    pub fn abort_snapshot(&mut self, shell: &mut dyn Shell) {
        self.keyspace.abort_snapshot();
        self.keyspace.take_released();
        let held = std::mem::take(&mut self.slicing.held);
        for id in held.iter().filter_map(|(_, lock)| *lock) {
            self.locks.release(id);
        }
        if !held.is_empty() {
            self.unlock(shell);
        }
    }

    fn let_go(&mut self, shell: &mut dyn Shell) {
        let released = self.keyspace.take_released();
        for key in &released {
            let place = self.slicing.held.iter().position(|(held, _)| held == key);
            let place = place.expect("only held keys are released");
            if let (_, Some(id)) = self.slicing.held.swap_remove(place) {
                self.locks.release(id);
            }
        }
        if !released.is_empty() {
            self.unlock(shell);
        }
    }

    /// Holds those of a command's keys that it may not touch before their values are serialised.
    /// Nothing is done to a key that is locked already: whoever looks at the locks next is stopped
    /// by that lock.
    #[cold]
    pub(super) fn hold_large_of(&mut self, command: &Command, db: usize, args: Args<'_>) {
        let writes = command.writes();
        command.for_each_key(args, |at| {
            if let Some(key) = args.get(at) {
                self.hold_if_large(db, key, writes);
            }
        });
        if let Some((at, other)) = table::other_database(command, args)
            && other < self.keyspace.databases()
            && let Some(key) = args.get(at)
        {
            self.hold_if_large(other, key, writes);
        }
    }

    /// As [`Shard::hold_large_of`], for one key; whether it is held for this reason now.
    pub(super) fn hold_if_large(&mut self, db: usize, key: &[u8], writes: bool) -> bool {
        let now_ms = self.now.unix_ms;
        if !self.keyspace.wants_slices(db, key, writes, now_ms) {
            return false;
        }
        if self.slicing.holds(&mut self.locks, key) {
            return true;
        }
        let held = self.slicing.hold(&mut self.locks, key);
        if held {
            self.keyspace.slice_first(db, key);
        }
        held
    }
}
