//! Consumer groups: what was delivered to whom and is not acknowledged yet.
//!
//! The pending entries of a group are one map ordered by id; each consumer also has the ids of its
//! own. The two agree always: an id is in exactly the set of the consumer that the map names.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::ops::Bound;

use super::{StreamId, allocated, tree_memory};

/// Pending entries that are freed in one step.
const FREE_STEP: usize = 500;

/// A consumer, within its group. Valid until it is deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsumerKey(u32);

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// To whom it was delivered last.
    pub consumer: ConsumerKey,
    /// When, Unix time in milliseconds. What a peer said: any number.
    pub delivered_ms: i64,
    /// How often.
    pub count: u64,
}

/// One who reads for a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it last tried to read or claim, Unix time in milliseconds.
    pub seen_ms: i64,
    /// When it last got something; `None` if never.
    pub active_ms: Option<i64>,
    pending: BTreeSet<StreamId>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The ids of its pending entries, in order.
    pub fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}

/// A consumer group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The last entry that was delivered to the group.
    pub last_id: StreamId,
    /// How many entries of all ever added were read; `None` if that is not known.
    pub entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    consumers: Vec<Option<Box<Consumer>>>,
    /// The keys of all consumers, by name.
    order: Vec<u32>,
    /// Keys that may be given again.
    free: Vec<u32>,
    name_bytes: usize,
}

impl Group {
    /// A group without consumers.
    pub fn new(last_id: StreamId, entries_read: Option<u64>) -> Self {
        Self {
            last_id,
            entries_read,
            ..Self::default()
        }
    }

    /// All pending entries, in order.
    pub fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    /// Pending entries from `start` to `end`.
    pub fn pending_between(
        &self,
        start: StreamId,
        end: StreamId,
    ) -> impl Iterator<Item = (StreamId, &Pending)> {
        let from = self.pending_from(start);
        from.take_while(move |(id, _)| **id <= end)
            .map(|(id, pending)| (*id, pending))
    }

    fn pending_from(&self, start: StreamId) -> btree_map::Range<'_, StreamId, Pending> {
        self.pending
            .range((Bound::Included(start), Bound::Unbounded))
    }

    /// The first pending entry at or after `start`.
    pub fn next_pending(&self, start: StreamId) -> Option<(StreamId, Pending)> {
        let (id, pending) = self.pending_from(start).next()?;
        Some((*id, *pending))
    }

    /// Number of consumers.
    pub fn consumer_count(&self) -> usize {
        self.order.len()
    }

    /// All consumers, by name.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.order
            .iter()
            .map(|key| self.consumer(ConsumerKey(*key)))
    }

    /// The consumer that so many come before.
    pub fn consumer_at(&self, index: usize) -> Option<&Consumer> {
        let key = self.order.get(index)?;
        Some(self.consumer(ConsumerKey(*key)))
    }

    /// A consumer.
    ///
    /// # Panics
    /// If it was deleted.
    pub fn consumer(&self, key: ConsumerKey) -> &Consumer {
        let consumer = self.consumers[key.0 as usize].as_deref();
        consumer.expect("the consumer is there")
    }

    /// A consumer, to be changed.
    ///
    /// # Panics
    /// If it was deleted.
    pub fn consumer_mut(&mut self, key: ConsumerKey) -> &mut Consumer {
        let consumer = self.consumers[key.0 as usize].as_deref_mut();
        consumer.expect("the consumer is there")
    }

    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        let name_of = |key: &u32| self.consumer(ConsumerKey(*key)).name();
        self.order.binary_search_by(|key| name_of(key).cmp(name))
    }

    /// The consumer of this name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerKey> {
        let at = self.search(name).ok()?;
        Some(ConsumerKey(self.order[at]))
    }

    /// Makes a consumer, which is seen now; `None` if there is one of this name.
    pub fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> Option<ConsumerKey> {
        let at = self.search(name).err()?;
        let consumer = Box::new(Consumer {
            name: name.into(),
            seen_ms: now_ms,
            active_ms: None,
            pending: BTreeSet::new(),
        });
        let key = match self.free.pop() {
            Some(key) => {
                self.consumers[key as usize] = Some(consumer);
                key
            }
            None => {
                self.consumers.push(Some(consumer));
                u32::try_from(self.consumers.len() - 1).expect("consumers are fewer than 2^32")
            }
        };
        self.order.insert(at, key);
        self.name_bytes += allocated(name.len());
        Some(ConsumerKey(key))
    }

    /// Deletes a consumer with its pending entries; gives their number.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let at = self.search(name).ok()?;
        let key = self.order.remove(at);
        let consumer = self.consumers[key as usize].take()?;
        self.free.push(key);
        self.name_bytes -= allocated(name.len());
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    /// Makes `id` pending for a consumer, whoever had it before.
    pub fn assign(&mut self, id: StreamId, pending: Pending) {
        let before = self.pending.insert(id, pending);
        match before {
            Some(before) if before.consumer == pending.consumer => return,
            Some(before) => drop(self.consumer_mut(before.consumer).pending.remove(&id)),
            None => {}
        }
        self.consumer_mut(pending.consumer).pending.insert(id);
    }

    /// Ends an entry's being pending; whether it was.
    pub fn release(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else {
            return false;
        };
        self.consumer_mut(pending.consumer).pending.remove(&id);
        true
    }

    /// Notes one more delivery of a pending entry to its consumer.
    pub fn deliver_again(&mut self, id: StreamId, now_ms: i64) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.delivered_ms = now_ms;
            pending.count = pending.count.wrapping_add(1);
        }
    }

    /// Allocated bytes, estimated, without this struct.
    pub fn memory(&self) -> usize {
        // An id is in the group's map and in one consumer's set.
        let pending = tree_memory(self.pending.len(), size_of::<(StreamId, Pending)>())
            + tree_memory(self.pending.len(), size_of::<StreamId>());
        let consumer = allocated(size_of::<Consumer>()) + size_of::<Option<Box<Consumer>>>() + 4;
        pending + self.order.len() * consumer + self.name_bytes
    }

    /// What it takes to free the group, in pieces.
    pub(super) fn into_pieces(self) -> impl Iterator<Item = usize> + Send {
        let Self {
            pending, consumers, ..
        } = self;
        let sets = consumers.into_iter().flatten();
        let sets = sets.flat_map(|consumer| in_steps(consumer.pending.into_iter()));
        in_steps(pending.into_iter()).chain(sets)
    }
}

/// Frees what an iterator owns bit by bit.
fn in_steps<T>(mut items: impl Iterator<Item = T>) -> impl Iterator<Item = usize> {
    let mut whole = false;
    std::iter::from_fn(move || {
        let count = items.by_ref().take(FREE_STEP).count();
        let done = std::mem::replace(&mut whole, count < FREE_STEP);
        (!done).then_some(count + 1)
    })
}
