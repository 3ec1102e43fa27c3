//! What is no longer reachable, freed in slices: neither FLUSHALL of a large keyspace nor the end
//! of a large collection may stall a shard.

use super::db::EntrySegments;
use super::entry::Entry;
use crate::value::Garbage as Elements;
use crate::value::table::IntoElements;
use crate::value::{Collection, Value};

/// Tables and entries that wait to be freed.
#[derive(Default)]
pub(super) struct Garbage {
    tables: Vec<EntrySegments>,
    segment: Option<IntoElements<Entry>>,
    entries: Vec<Entry>,
    collection: Option<Elements>,
}

impl Garbage {
    pub(super) fn add_table(&mut self, table: EntrySegments) {
        self.tables.push(table);
    }

    pub(super) fn add_entries(&mut self, entries: &mut Vec<Entry>) {
        self.entries.append(entries);
    }

    /// Frees about `budget` entries or elements; whether anything is left.
    pub(super) fn free(&mut self, budget: usize) -> bool {
        let mut spent = 0;
        while spent < budget {
            spent += 1;
            if let Some(collection) = &mut self.collection {
                match collection.next() {
                    Some(freed) => spent += freed,
                    None => self.collection = None,
                }
            } else if let Some(entry) = self.entries.pop() {
                self.collection = elements_of(entry.into_value());
            } else if let Some(segment) = &mut self.segment {
                match segment.next() {
                    Some(entry) if entry.is_slow_to_free() => self.entries.push(entry),
                    Some(entry) => drop(entry),
                    None => self.segment = None,
                }
            } else if let Some(table) = self.tables.last_mut() {
                self.segment = table.next();
                if self.segment.is_none() {
                    self.tables.pop();
                }
            } else {
                return false;
            }
        }
        true
    }
}

/// A collection's elements, to be freed in steps; a string is freed at once.
fn elements_of(value: Value) -> Option<Elements> {
    Some(match value {
        Value::Int(_) | Value::Bytes(_) | Value::Raw(_) => return None,
        Value::Hash(hash) => hash.into_garbage(),
        Value::List(list) => list.into_garbage(),
        Value::Set(set) => set.into_garbage(),
        Value::SortedSet(set) => set.into_garbage(),
        Value::Stream(stream) => stream.into_garbage(),
    })
}
