//! Large values of the cut: written in slices, each value by itself, so that neither the walk nor a
//! write ever has to serialise one in a single step.
//!
//! ```text
//!    the walk finds it ------------+            +--> slices go out as there is room for them
//!                                  v            |
//!    a write wants it --> held --> queue --> opened --> written --> stamped, let go
//!                                               |
//!                                               +--> while somebody waits for it: slices are
//!                                                    kept here, whatever room there is
//! ```
//!
//! While a value is *held* nobody may change it: the shard keeps its key locked for readers only. A
//! writer therefore waits for that key, for as long as writing it takes and no longer, for slices
//! need no room in the output while somebody waits.

use std::collections::VecDeque;

use super::{write_head, write_select};
use crate::keyspace::db::Entries;
use crate::keyspace::entry::Entry;
use crate::value::codec::{self, Compression, Position};

/// A key by its hash and name.
#[derive(Clone)]
pub(super) struct Key {
    pub hash: u64,
    pub name: Box<[u8]>,
}

/// The large values of one database that are not written yet.
#[derive(Default)]
pub(super) struct Large {
    /// Keys to be written, and whether they are held. Some may have been written meanwhile.
    queue: VecDeque<(Key, bool)>,
    open: Option<Open>,
}

/// A value that is being written, as one record over several fragments.
struct Open {
    key: Key,
    at: Position,
    /// Written already, for want of room not taken yet.
    pieces: VecDeque<Vec<u8>>,
    /// The value is written to its end, and let go.
    whole: bool,
}

/// What a look at the large values brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// None is to be written.
    Nothing,
    /// Those that are left cannot be held now.
    Locked,
    /// One is being written; `open` if its record goes on in the next fragment.
    Written { open: bool },
}

impl Large {
    /// Notes a key that the walk came to.
    pub fn add(&mut self, hash: u64, name: &[u8]) {
        let name = name.into();
        self.queue.push_back((Key { hash, name }, false));
    }

    /// Notes a key that somebody wants to change, which comes first. It is held.
    pub fn add_wanted(&mut self, hash: u64, name: &[u8]) {
        let name = name.into();
        self.queue.push_front((Key { hash, name }, true));
    }

    /// Whether there is none, nor any part of one.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.open.is_none()
    }

    /// Whether a record was begun and is not wholly given out.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Bytes of the pieces that wait.
    pub fn bytes(&self) -> usize {
        let pieces = self.open.iter().flat_map(|open| &open.pieces);
        pieces.map(Vec::len).sum()
    }

    /// Appends the next part of the values to `out`; see the module. `hold` locks a key, and says
    /// whether it could; keys that are let go are added to `released`.
    pub fn write(
        &mut self,
        table: &mut Table<'_>,
        out: &mut Vec<u8>,
        budget: &mut usize,
        hold: &mut dyn FnMut(&[u8]) -> bool,
        released: &mut Vec<Box<[u8]>>,
    ) -> Found {
        if self.open.is_none() && !self.begin(table, hold, released) {
            return match self.queue.is_empty() {
                true => Found::Nothing,
                false => Found::Locked,
            };
        }
        let Some(open) = &mut self.open else {
            return Found::Nothing;
        };
        while *budget > 0 {
            if let Some(piece) = open.pieces.pop_front() {
                *budget = budget.saturating_sub(piece.len());
                out.extend_from_slice(&piece);
            } else if open.whole {
                break;
            } else {
                let before = out.len();
                open.slice(table, out, *budget, released);
                *budget = budget.saturating_sub(out.len() - before);
            }
        }
        let done = open.whole && open.pieces.is_empty();
        if done {
            self.open = None;
        }
        Found::Written { open: !done }
    }

    /// Writes a slice of a held value without giving it out, so that it is let go soon. Whether
    /// there is one left to write.
    pub fn write_ahead(
        &mut self,
        table: &mut Table<'_>,
        budget: usize,
        released: &mut Vec<Box<[u8]>>,
    ) -> bool {
        if self.open.is_none() && !self.begin(table, &mut |_| false, released) {
            return false;
        }
        match &mut self.open {
            Some(open) if !open.whole => {
                let mut piece = Vec::with_capacity(budget + budget / 8);
                open.slice(table, &mut piece, budget, released);
                open.pieces.push_back(piece);
                true
            }
            _ => false,
        }
    }

    /// Opens the first value of the queue that still is as it was at the cut and can be held.
    fn begin(
        &mut self,
        table: &mut Table<'_>,
        hold: &mut dyn FnMut(&[u8]) -> bool,
        released: &mut Vec<Box<[u8]>>,
    ) -> bool {
        let (number, compression) = (table.number, table.compression);
        for _ in 0..self.queue.len() {
            let Some((key, held)) = self.queue.pop_front() else {
                return false;
            };
            let Some(entry) = table.find(&key) else {
                // Written meanwhile, perhaps because it was removed.
                if held {
                    released.push(key.name);
                }
                continue;
            };
            if !held && !hold(&key.name) {
                self.queue.push_back((key, false));
                continue;
            }
            let mut head = Vec::new();
            write_select(&mut head, number);
            write_head(&mut head, entry, compression);
            self.open = Some(Open {
                key,
                at: Position::default(),
                pieces: VecDeque::from([head]),
                whole: false,
            });
            return true;
        }
        false
    }
}

impl Open {
    fn slice(
        &mut self,
        table: &mut Table<'_>,
        out: &mut Vec<u8>,
        budget: usize,
        released: &mut Vec<Box<[u8]>>,
    ) {
        let (epoch, compression) = (table.epoch, table.compression);
        let entry = table.find(&self.key);
        let entry = entry.expect("a held value is neither changed nor removed");
        if codec::write_slice(out, entry.value(), &mut self.at, budget, compression) {
            entry.set_epoch(epoch);
            self.whole = true;
            released.push(self.key.name.clone());
        }
    }
}

/// A table with what is needed to find entries of the cut in it.
pub(super) struct Table<'a> {
    pub entries: &'a mut Entries,
    /// The database's number at the cut.
    pub number: usize,
    /// The snapshot's epoch.
    pub epoch: u16,
    /// Whether strings are compressed.
    pub compression: Compression,
}

impl Table<'_> {
    /// The entry of a key, if it is still as it was at the cut.
    fn find(&mut self, key: &Key) -> Option<&mut Entry> {
        let epoch = self.epoch;
        let order = key.hash as u16;
        let found = self.entries.find_mut(key.hash, |entry| {
            entry.order() == order && entry.key() == &*key.name
        });
        found.filter(|entry| entry.epoch() != epoch)
    }
}
