//! The stream data type: entries of fields and values in the order of their ids, and consumer
//! groups that read them.
//!
//! | File | What |
//! |---|---|
//! | `id` | ids, their text and their bytes |
//! | `node` | some hundred entries in a listpack, as Redis lays them out |
//! | `range` | walks over entries |
//! | `group` | consumer groups |
//! | `load` | a stream of parts that a file or a peer gave |
//! | `radix` | what XINFO tells of Redis's index |
//!
//! An ordered map holds the nodes by the id of their first entry. Only the last one grows. A node
//! goes when its last live entry does, and a deleted entry with its node; so there are as many
//! nodes as in Redis, with the same bytes. A stream without entries may stay under its key.

mod group;
mod id;
mod load;
mod node;
mod radix;
mod range;
#[cfg(test)]
mod tests;

pub use group::{Consumer, ConsumerKey, Group, Pending};
pub use id::{IdText, StreamId, Text};
pub use load::{Head, Loader};
pub use node::Entry;
pub use range::{Ascending, Descending};

use std::collections::BTreeMap;

use super::listpack::LISTPACK_LEN_MAX;
use super::{Collection, Garbage, Kind, Value, ValueRef, allocated};
use node::{Deletion, Node};

/// When a new node is begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamLimits {
    /// `stream-node-max-bytes`: bytes that a node does not reach; 0 for no limit.
    pub node_bytes_max: usize,
    /// `stream-node-max-entries`: the most entries, deleted ones included; 0 for no limit.
    pub node_entries_max: u64,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            node_bytes_max: 4096,
            node_entries_max: 100,
        }
    }
}

/// Which id a new entry gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewId {
    /// One of this Unix time in milliseconds, or behind the last id if that is not later.
    Now(u64),
    /// The next one of these milliseconds.
    Milliseconds(u64),
    /// This one.
    Exactly(StreamId),
}

/// Why an entry is not appended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AppendError {
    /// The last id is the greatest that there is.
    #[error("there is no greater id")]
    Exhausted,
    /// The id is not greater than the last one.
    #[error("the id is not greater than the last one")]
    NotGreater,
    /// Fields and values take more than a node may.
    #[error("the entry is too large")]
    TooLarge,
}

/// Which entries to keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// The last ones, so many.
    Entries(u64),
    /// Those from this id on.
    From(StreamId),
}

/// How to trim a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trim {
    /// What is to stay.
    pub keep: Keep,
    /// Only whole nodes go, so that more may stay.
    pub approximate: bool,
    /// The most entries that go; the node in which this is passed stays whole.
    pub limit: Option<u64>,
}

/// A stream.
#[derive(Default)]
pub struct Stream {
    nodes: BTreeMap<StreamId, Node>,
    len: u64,
    /// Allocated bytes of all nodes' listpacks.
    node_bytes: usize,
    last_id: StreamId,
    /// That of the first live entry; zero if there is none.
    first_id: StreamId,
    max_deleted_id: StreamId,
    entries_added: u64,
    groups: BTreeMap<Box<[u8]>, Group>,
}

impl Stream {
    /// A stream without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of live entries.
    pub fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    /// Whether there is no live entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The greatest id that was ever given, or what XSETID made it.
    pub fn last_id(&self) -> StreamId {
        self.last_id
    }

    /// The id of the first live entry; zero if there is none.
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The greatest id that was deleted by itself (trimming does not count).
    pub fn max_deleted_id(&self) -> StreamId {
        self.max_deleted_id
    }

    /// Entries that were ever added.
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Number of nodes of the radix tree in which Redis would hold the nodes of the stream. Walks
    /// over all keys.
    pub fn radix_node_count(&self) -> usize {
        radix::node_count(self.nodes.keys().copied())
    }

    /// The nodes from `start` on: their keys, and their listpacks as RDB carries them.
    pub fn nodes_from(&self, start: StreamId) -> impl Iterator<Item = (StreamId, &[u8])> {
        let nodes = self.nodes.range(start..);
        nodes.map(|(key, node)| (*key, node.bytes()))
    }

    /// The entry with this id.
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        self.range(id, id).next()
    }

    /// The id of the last live entry; zero if there is none.
    pub fn last_live_id(&self) -> StreamId {
        let mut entries = self.range_back(StreamId::MIN, StreamId::MAX);
        entries.next().map_or(StreamId::MIN, |entry| entry.id)
    }

    /// The id of the first entry that is stored, deleted ones included.
    pub fn first_stored_id(&self) -> Option<StreamId> {
        let (key, node) = self.nodes.first_key_value()?;
        Some(node.walk(*key).next()?.0.id)
    }

    /// Appends an entry of `pairs`: fields and values in turn, at least one of each. Gives its id.
    pub fn append<'a>(
        &mut self,
        id: NewId,
        pairs: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
        limits: &StreamLimits,
    ) -> Result<StreamId, AppendError> {
        let id = self.next_id(id)?;
        let content_len = pairs.clone().map(<[u8]>::len).sum();
        if content_len > LISTPACK_LEN_MAX {
            return Err(AppendError::TooLarge);
        }
        let mut capacity = 0;
        let mut last = self.nodes.last_entry();
        if let Some(place) = &mut last {
            let node = place.get_mut();
            let before = node.memory();
            if node_is_full(node, content_len, limits) {
                capacity = node.bytes().len();
                node.shrink_to_fit();
                self.node_bytes -= allocated(before) - allocated(node.memory());
                last = None;
            }
        }
        let (key, node) = match last {
            Some(place) => (*place.key(), place.into_mut()),
            None => {
                let fields = pairs.clone().step_by(2);
                let node = self.nodes.entry(id).or_insert(Node::new(fields, capacity));
                self.node_bytes += allocated(node.memory());
                (id, node)
            }
        };
        let before = node.memory();
        node.append(key, id, pairs, content_len);
        let after = node.memory();
        if after != before {
            self.node_bytes = self.node_bytes - allocated(before) + allocated(after);
        }
        self.len += 1;
        self.entries_added = self.entries_added.wrapping_add(1);
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
        Ok(id)
    }

    fn next_id(&self, id: NewId) -> Result<StreamId, AppendError> {
        let last = self.last_id;
        let after_last = last.next().ok_or(AppendError::Exhausted)?;
        let id = match id {
            NewId::Now(ms) if ms > last.ms => StreamId::new(ms, 0),
            NewId::Now(_) => after_last,
            NewId::Milliseconds(ms) if ms == last.ms => match last.seq.checked_add(1) {
                Some(seq) => StreamId::new(ms, seq),
                None => return Err(AppendError::NotGreater),
            },
            NewId::Milliseconds(ms) => StreamId::new(ms, 0),
            NewId::Exactly(id) => id,
        };
        match id > last {
            true => Ok(id),
            false => Err(AppendError::NotGreater),
        }
    }

    /// Deletes the entries with these ids; how many there were.
    pub fn delete(&mut self, ids: impl Iterator<Item = StreamId>) -> u64 {
        let (mut deleted, mut first_deleted) = (0, false);
        for id in ids {
            if self.delete_one(id) {
                first_deleted |= id == self.first_id;
                self.max_deleted_id = self.max_deleted_id.max(id);
                deleted += 1;
            }
        }
        if first_deleted {
            self.find_first();
        }
        deleted
    }

    fn delete_one(&mut self, id: StreamId) -> bool {
        let Some((key, node)) = self.nodes.range_mut(..=id).next_back() else {
            return false;
        };
        let key = *key;
        let before = allocated(node.memory());
        match node.delete(key, id) {
            Deletion::NotFound => return false,
            Deletion::Deleted => {
                self.node_bytes = self.node_bytes - before + allocated(node.memory());
            }
            Deletion::Emptied => {
                self.nodes.remove(&key);
                self.node_bytes -= before;
            }
        }
        self.len -= 1;
        true
    }

    fn find_first(&mut self) {
        let first = self.range(StreamId::MIN, StreamId::MAX).next();
        self.first_id = first.map_or(StreamId::MIN, |entry| entry.id);
    }

    /// Removes entries from the front; how many.
    pub fn trim(&mut self, trim: &Trim) -> u64 {
        let mut removed = 0;
        while let Some(mut first) = self.nodes.first_entry() {
            if matches!(trim.keep, Keep::Entries(keep) if self.len <= keep) {
                break;
            }
            let key = *first.key();
            let node = first.get_mut();
            let (live, _) = node.counts();
            if trim.limit.is_some_and(|limit| removed + live > limit) {
                break;
            }
            let whole = match trim.keep {
                Keep::Entries(keep) => self.len - live >= keep,
                Keep::From(id) => {
                    // Deleted entries keep a node from a trim that takes whole ones only.
                    let mut walk = node.walk(key);
                    let last = std::iter::from_fn(|| walk.next_back())
                        .find(|(_, deleted)| trim.approximate || !deleted);
                    last.is_none_or(|(entry, _)| entry.id < id)
                }
            };
            let before = allocated(node.memory());
            if whole {
                first.remove();
                self.node_bytes -= before;
                self.len -= live;
                removed += live;
                continue;
            }
            if !trim.approximate {
                let len = self.len;
                let gone = node.delete_front(key, |marked, id| match trim.keep {
                    Keep::Entries(keep) => len - marked <= keep,
                    Keep::From(from) => id >= from,
                });
                self.node_bytes = self.node_bytes - before + allocated(node.memory());
                self.len -= gone;
                removed += gone;
            }
            break;
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    /// What XSETID does, after its checks.
    pub fn set_ids(
        &mut self,
        last_id: StreamId,
        entries_added: Option<u64>,
        max_deleted_id: Option<StreamId>,
    ) {
        self.last_id = last_id;
        self.entries_added = entries_added.unwrap_or(self.entries_added);
        self.max_deleted_id = max_deleted_id.unwrap_or(self.max_deleted_id);
    }

    /// The groups, by name.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = (&[u8], &Group)> {
        self.groups.iter().map(|(name, group)| (&**name, group))
    }

    /// The group of this name.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The group of this name, to be changed.
    pub fn group_mut(&mut self, name: &[u8]) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    /// Adds a group; whether there was none of this name.
    pub fn create_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.groups.insert(name.into(), group);
        true
    }

    /// Removes a group; whether it was there.
    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        self.groups.remove(name).is_some()
    }

    /// Entries and pending entries: what freeing it costs.
    pub fn elements(&self) -> usize {
        let pending = self.groups.values().map(|group| group.pending().len());
        pending.fold(self.len(), usize::saturating_add)
    }

    /// Whether an entry after `id` was deleted by itself, so that counting them is guesswork.
    pub fn is_torn_after(&self, id: StreamId) -> bool {
        self.len > 0
            && self.max_deleted_id > StreamId::MIN
            && self.first_id <= self.max_deleted_id
            && id <= self.max_deleted_id
    }

    /// How many entries were ever added up to `id`, if that can be told.
    pub fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if self.len == 0 && id <= self.last_id {
            return Some(self.entries_added);
        }
        if id >= self.last_id {
            return (id == self.last_id).then_some(self.entries_added);
        }
        let gone = self.entries_added.wrapping_sub(self.len);
        if self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id {
            if id < self.first_id {
                return Some(gone);
            }
            if id == self.first_id {
                return Some(gone.wrapping_add(1));
            }
        }
        None
    }

    /// Entries that a group has not read yet, if that can be told.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read) if !self.is_torn_after(group.last_id) => read,
            _ => self.entries_up_to(group.last_id)?,
        };
        Some(self.entries_added.wrapping_sub(read).cast_signed())
    }
}

/// Whether an entry of `content_len` bytes needs a node of its own.
fn node_is_full(node: &Node, content_len: usize, limits: &StreamLimits) -> bool {
    let bytes_max = match limits.node_bytes_max {
        0 => LISTPACK_LEN_MAX,
        max => max.min(LISTPACK_LEN_MAX),
    };
    if node.bytes().len() + content_len >= bytes_max {
        return true;
    }
    let (live, deleted) = node.counts();
    limits.node_entries_max > 0 && live + deleted >= limits.node_entries_max
}

impl Collection for Stream {
    const KIND: Kind = Kind::Stream;

    fn empty() -> Self {
        Stream::new()
    }

    fn len(&self) -> usize {
        Stream::len(self)
    }

    fn encoding(&self) -> &'static str {
        "stream"
    }

    fn memory(&self) -> usize {
        let nodes = tree_memory(self.nodes.len(), size_of::<(StreamId, Node)>()) + self.node_bytes;
        let groups = self.groups.iter();
        let groups = groups.map(|(name, group)| allocated(name.len()) + group.memory());
        let map = tree_memory(self.groups.len(), size_of::<(Box<[u8]>, Group)>());
        allocated(size_of::<Self>()) + nodes + map + groups.sum::<usize>()
    }

    fn into_garbage(self) -> Garbage {
        let nodes = self.nodes.into_iter().map(|(key, node)| {
            let (live, deleted) = node.counts();
            drop((key, node));
            // One allocation, however many entries it holds.
            usize::try_from(live + deleted).unwrap_or(1).min(100)
        });
        let groups = self.groups.into_iter();
        Box::new(nodes.chain(groups.flat_map(|(_, group)| group.into_pieces())))
    }

    fn view(value: ValueRef<'_>) -> Option<&Self> {
        match value {
            ValueRef::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Value {
        Value::Stream(self)
    }
}

impl Clone for Stream {
    fn clone(&self) -> Self {
        let nodes = self.nodes.clone();
        // A copy has no spare capacity.
        let node_bytes = nodes.values().map(|node| allocated(node.memory())).sum();
        Self {
            nodes,
            node_bytes,
            groups: self.groups.clone(),
            ..*self
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = f.debug_map();
        for entry in self.range(StreamId::MIN, StreamId::MAX) {
            map.entry(&entry.id, &entry.pairs().collect::<Vec<_>>());
        }
        map.finish()
    }
}

/// About what an ordered map of the standard library takes for `len` elements of `size` bytes: its
/// leaves have room for 11, and are filled in order to a bit more than a half.
fn tree_memory(len: usize, size: usize) -> usize {
    len.div_ceil(7) * allocated(11 * size + 16)
}
