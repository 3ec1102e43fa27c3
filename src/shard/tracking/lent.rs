//! The readers of a transaction's keys, at its home.
//!
//! An owner that lends a key to one transaction alone lends it with its readers: nobody else can
//! read the key meanwhile. So the home itself tells those who have read what it changed, in the
//! tick in which it publishes, before the locks are released and before anybody gets a reply.

use ahash::RandomState;
use hashbrown::HashMap;

use super::{Changed, Reader};
use crate::shard::Shard;
use crate::shard::locks::Mode;
use crate::shard::message::{Item, KeyRef};
use crate::shard::transaction::{Kind, Tx};

/// Keys with their readers.
pub type Reads = Vec<(Box<[u8]>, Vec<Reader>)>;

/// What a transaction has of the readers of its keys.
#[derive(Default)]
pub(in crate::shard) struct Lent {
    readers: HashMap<Box<[u8]>, Vec<Reader>, RandomState>,
    /// Changes of the command under way that were looked at.
    seen: usize,
    /// Of which commands of a pipeline the keys are remembered.
    remembers: Vec<bool>,
    told: Told,
}

/// Who is to be told what once it ends.
#[derive(Default)]
pub(in crate::shard) struct Told {
    reads: Reads,
    changed: Vec<Changed>,
    /// Whole databases were flushed or swapped.
    replaced: bool,
}

impl Lent {
    /// Of a pipeline, with which of its commands read keys that are remembered.
    pub fn of_pipeline(remembers: Vec<bool>) -> Self {
        Lent {
            remembers,
            ..Lent::default()
        }
    }

    /// An owner has lent readers.
    pub fn borrow(&mut self, reads: Reads) {
        self.readers.extend(reads);
    }

    /// Commands begin to run on lent entries.
    pub fn start(&mut self) {
        self.seen = 0;
    }

    /// Whole databases were flushed or swapped.
    pub fn replace_databases(&mut self) {
        self.readers.clear();
        self.told.replaced = true;
    }

    /// Whom to tell what.
    pub fn take_told(&mut self) -> Told {
        std::mem::take(&mut self.told)
    }

    /// The readers of keys for which `owned` holds, to be given back.
    pub fn give_back(&mut self, owned: impl Fn(&[u8]) -> bool) -> Reads {
        match self.readers.is_empty() {
            true => Reads::new(),
            false => self.readers.extract_if(|key, _| owned(key)).collect(),
        }
    }
}

impl Shard {
    /// The owner's side: the readers of keys that are lent to one transaction alone.
    pub(in crate::shard) fn lend_readers(&mut self, keys: &[KeyRef]) -> Reads {
        if self.tracked.table.is_empty() {
            return Reads::new();
        }
        let alone = keys.iter().filter(|key| key.mode == Mode::Exclusive);
        let mut reads = Reads::new();
        for key in alone {
            let readers = self.take_readers(&key.key);
            if !readers.is_empty() {
                reads.push((key.key.as_slice().into(), readers));
            }
        }
        reads
    }

    /// The owner's side: the readers come back, with those that the transaction has added.
    pub(in crate::shard) fn take_back_readers(&mut self, reads: Reads) {
        if reads.is_empty() {
            return;
        }
        for (key, readers) in reads {
            for reader in readers {
                self.add_reader(&key, reader);
            }
        }
        self.follow_changes();
    }

    /// The owner's side: a key of which a transaction had a copy, as others may have, has expired
    /// there.
    pub(in crate::shard) fn tell_of_loss(&mut self, key: &[u8]) {
        let readers = self.take_readers(key);
        self.tell_readers(key, readers, None);
    }

    /// Notes whom a command that has just run on lent entries concerns: those who have read what
    /// it changed, and its own client if it has read keys.
    #[inline]
    pub(in crate::shard) fn note_lent(&mut self, tx: &mut Tx, index: usize) {
        if self.tracked.is_on() || !tx.tracked.readers.is_empty() {
            self.note_lent_slow(tx, index);
        }
    }

    #[cold]
    fn note_lent_slow(&mut self, tx: &mut Tx, index: usize) {
        let by = tx.client.map(|conn| self.reader(conn));
        let changes = self.data.watched.recorded(tx.tracked.seen);
        for change in changes {
            if let Some(readers) = tx.tracked.readers.remove(&change.key) {
                tx.tracked.told.reads.push((change.key.clone(), readers));
            }
            if self.tracked.prefixes {
                let changed = Changed::new(change, by.as_ref());
                tx.tracked.told.changed.push(changed);
            }
        }
        tx.tracked.seen += changes.len();
        let Some(reader) = by else {
            return;
        };
        let command = tx.requests[index].command;
        let remembers = match tx.kind {
            Kind::Pipeline => tx.tracked.remembers.get(index) == Some(&true),
            _ => (self.client(reader.conn)).is_some_and(|client| client.remembers(command)),
        };
        if !remembers {
            return;
        }
        let args = tx.requests[index].args();
        command.for_each_key(args, |at| {
            if let Some(key) = args.get(at) {
                let readers = tx.tracked.readers.entry(key.into()).or_default();
                if !readers.iter().any(|known| known.is(&reader)) {
                    readers.push(reader);
                }
            }
        });
    }

    /// Tells of what a transaction has changed. Its client has its reply.
    pub(in crate::shard) fn tell_lent(&mut self, told: Told, by: Option<Reader>) {
        for (key, readers) in told.reads {
            self.tell_readers(&key, readers, by);
        }
        self.tracked.changed.extend(told.changed);
        if told.replaced {
            for shard in (0..self.shared.shards).filter(|shard| *shard != self.id) {
                self.tracked.first.push((shard, Item::ForgetKeys));
            }
            self.tell_to_forget(None);
        }
    }
}
