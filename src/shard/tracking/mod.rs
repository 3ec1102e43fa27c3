//! Client-side caching: who has read which keys, and is told when they change.
//!
//! The owner of a key remembers the connections that have read it. Connections that asked for all
//! keys with a prefix are known to every shard, by the ways of a subscription (`shard/pubsub`). See
//! the manual's chapter `tracking`.

mod commands;
pub(in crate::shard) mod lent;
pub(in crate::shard) mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::RandomState;
use bytes::Bytes;

use crate::command::pubsub::{Name, Space};
use crate::command::watched::Change;
use crate::command::{Command, Flags};
use crate::protocol::{Args, Version, encode};

use super::Shard;
use super::client::{Client, Waiting};
use super::message::{Envelope, Item};
use super::pubsub::{Late, News, give};
use super::queue::Parcel;
use super::shell::{ConnId, Shell};

pub(super) use commands::Asked;
pub(super) use lent::{Lent, Reads};
pub use table::{Place, Reader};

/// Keys forgotten by one slice while there are too many.
const FORGET_BUDGET: usize = 1000;
/// The place behind all commands of a run.
pub(super) const LAST: u32 = u32::MAX;

/// What CLIENT TRACKING turned on for a connection.
#[derive(Default)]
pub struct Tracking {
    bcast: bool,
    optin: bool,
    optout: bool,
    noloop: bool,
    /// CLIENT CACHING was said for the next command.
    caching: bool,
    /// Number and home of the connection that is told instead.
    redirect: Option<(u64, usize)>,
    /// That connection is gone.
    broken: bool,
    /// In ascending order.
    prefixes: Vec<Name>,
}

impl Tracking {
    /// The number of the connection that is told instead, or 0.
    pub fn redirect(&self) -> u64 {
        self.redirect.map_or(0, |(id, _)| id)
    }

    /// CLIENT LIST's letters.
    pub fn letters(&self) -> &'static str {
        match (self.broken, self.bcast) {
            (false, false) => "t",
            (true, false) => "tR",
            (false, true) => "tB",
            (true, true) => "tRB",
        }
    }

    /// A command that is none of CLIENT's has ended: CLIENT CACHING counts for one.
    pub fn end_command(&mut self) {
        self.caching = false;
    }

    /// Whether the keys that `command` reads are to be remembered.
    pub fn remembers(&self, command: &Command) -> bool {
        command.flags.has(Flags::READONLY)
            && !self.bcast
            && match (self.optin, self.optout) {
                (true, _) => self.caching,
                (_, true) => !self.caching,
                _ => true,
            }
    }
}

/// A connection that is told of a key that it has read.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub conn: ConnId,
    /// The command behind whose reply it is told.
    pub place: Option<Place>,
    /// It has made the change itself.
    pub own: bool,
}

/// A key that changed, for those who asked for a prefix.
#[derive(Clone, Debug)]
pub struct Changed {
    key: Box<[u8]>,
    /// The connection that made the last change of it.
    by: Option<(u32, ConnId)>,
}

impl Changed {
    fn new(change: &Change, by: Option<&Reader>) -> Self {
        let by = by.filter(|_| !change.unasked);
        Changed {
            key: change.key.clone(),
            by: by.map(|by| (by.shard, by.conn)),
        }
    }
}

/// Changes of this shard's keys that are still to be told.
pub(super) struct Unsaid {
    changes: Vec<Change>,
    /// The readers of the first of them, where those were looked up before.
    readers: Vec<Vec<Reader>>,
}

/// What a shard knows of those who track keys.
pub(super) struct Tracked {
    /// Who has read keys of this shard.
    pub table: table::Table,
    /// Connections of this shard that track.
    pub clients: usize,
    /// Connections of any shard asked for prefixes.
    prefixes: bool,
    /// Keys changed in this tick, for them.
    changed: Vec<Changed>,
    /// See [`Unsaid::readers`].
    detached: Vec<Vec<Reader>>,
    /// Messages that leave before all others of the tick.
    first: Vec<(usize, Item)>,
}

impl Tracked {
    /// Nobody tracks. `state` is seeded by the process, since keys come from peers.
    pub fn new(state: RandomState) -> Self {
        Tracked {
            table: table::Table::new(state),
            clients: 0,
            prefixes: false,
            changed: Vec::new(),
            detached: Vec::new(),
            first: Vec::new(),
        }
    }

    /// Whether connections of this shard track, or any asked for prefixes.
    #[inline]
    fn is_on(&self) -> bool {
        self.clients > 0 || self.prefixes
    }
}

/// The end of an invalidation: its keys.
fn keys_tail<'a>(keys: impl ExactSizeIterator<Item = &'a [u8]>) -> Bytes {
    let mut tail = Vec::new();
    encode::write_request(&mut tail, keys);
    tail.into()
}

/// Remembering.
impl Shard {
    /// A connection of this shard, as a reader whose reply is there at once.
    pub(super) fn reader(&self, conn: ConnId) -> Reader {
        Reader {
            shard: self.id as u32,
            conn,
            place: None,
        }
    }

    /// Keeps the changes of this shard's keys from now on, or no more: whether they may concern
    /// anybody.
    pub(super) fn follow_changes(&mut self) {
        self.tracked.prefixes = self.data.pubsub.directory.len(Space::Prefix) > 0;
        let follows = self.tracked.prefixes || !self.tracked.table.is_empty();
        self.data.watched.follow(follows);
    }

    fn add_reader(&mut self, key: &[u8], reader: Reader) {
        if self.tracked.table.add(key, reader) {
            self.shared.tracked_keys.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn take_readers(&mut self, key: &[u8]) -> Vec<Reader> {
        let readers = self.tracked.table.take(key);
        if !readers.is_empty() {
            self.shared.tracked_keys.fetch_sub(1, Ordering::Relaxed);
        }
        readers
    }

    /// Remembers the keys that a command has read here.
    #[cold]
    pub(super) fn remember(&mut self, reader: Reader, command: &Command, args: Args<'_>) {
        let mut added = 0;
        command.for_each_key(args, |at| {
            if let Some(key) = args.get(at) {
                self.add_reader(key, reader);
                added += 1;
            }
        });
        self.forget_surplus(FORGET_BUDGET.max(added));
        self.follow_changes();
    }

    /// Forgets keys, drawn at random, while more are remembered than `tracking-table-max-keys`:
    /// their readers are told as if they had changed. Whether there is more to forget.
    pub(super) fn forget_surplus(&mut self, budget: usize) -> bool {
        let max = self.config.tracking_table_max_keys;
        if max == 0 || self.tracked.table.is_empty() {
            return false;
        }
        for _ in 0..budget {
            if self.shared.tracked_keys.load(Ordering::Relaxed) <= max {
                return false;
            }
            let drawn = self.data.rng.next_u64();
            let Some(key) = self.tracked.table.any(drawn) else {
                return false;
            };
            let readers = self.take_readers(&key);
            self.tell_readers(&key, readers, None);
        }
        true
    }

    /// A slice of work in the background: keys too many, and memory of those that were forgotten.
    pub(super) fn tracking_slice(&mut self, budget: usize) -> bool {
        let surplus = self.forget_surplus(FORGET_BUDGET);
        surplus | self.tracked.table.free_slice(budget)
    }

    /// Forgets all keys: whole databases were flushed or swapped. Readers are told otherwise.
    pub(super) fn forget_all_reads(&mut self) {
        let keys = self.tracked.table.len() as u64;
        self.shared.tracked_keys.fetch_sub(keys, Ordering::Relaxed);
        self.tracked.table.clear();
        self.follow_changes();
    }
}

/// Telling of keys that were read.
impl Shard {
    /// Takes what is to be told.
    pub(super) fn take_unsaid(&mut self) -> Unsaid {
        Unsaid {
            changes: self.data.watched.take_changes(),
            readers: std::mem::take(&mut self.tracked.detached),
        }
    }

    /// Puts it back, to be told later.
    pub(super) fn put_unsaid(&mut self, unsaid: Unsaid) {
        self.data.watched.put_changes(unsaid.changes);
        self.tracked.detached = unsaid.readers;
    }

    /// Finds the readers of the keys that have changed so far: who reads them from now on has
    /// nothing to do with that.
    pub(super) fn detach_readers(&mut self) {
        let changes = self.data.watched.changes();
        let keys = changes.iter().skip(self.tracked.detached.len());
        let keys: Vec<Box<[u8]>> = keys.map(|change| change.key.clone()).collect();
        for key in keys {
            let readers = self.take_readers(&key);
            self.tracked.detached.push(readers);
        }
    }

    /// Tells of the changes that commands made on this shard's own keys, for `by`.
    #[cold]
    pub(super) fn tell_unsaid(&mut self, unsaid: Unsaid, by: Option<Reader>) {
        let mut detached = unsaid.readers.into_iter();
        for change in unsaid.changes {
            let readers = match detached.next() {
                Some(readers) => readers,
                None => self.take_readers(&change.key),
            };
            self.tell_readers(&change.key, readers, by);
            if self.tracked.prefixes {
                self.tracked
                    .changed
                    .push(Changed::new(&change, by.as_ref()));
            }
        }
        self.follow_changes();
    }

    /// A key has changed: each of its readers is told, once.
    fn tell_readers(&mut self, key: &[u8], mut readers: Vec<Reader>, by: Option<Reader>) {
        if readers.is_empty() {
            return;
        }
        let tail = keys_tail(std::iter::once(key));
        readers.sort_unstable_by_key(|reader| reader.shard);
        for group in readers.chunk_by(|a, b| a.shard == b.shard) {
            let shard = group[0].shard as usize;
            let mut to = Vec::with_capacity(group.len());
            for reader in group {
                let own = by.filter(|by| by.is(reader));
                let told = Told {
                    conn: reader.conn,
                    place: own.map_or(reader.place, |by| by.place),
                    own: own.is_some(),
                };
                match (shard == self.id, told.own) {
                    (true, _) => self.give_keys(told, &tail),
                    (false, false) => to.push(told),
                    // Its reply comes first, and goes by the ordinary way.
                    (false, true) => self.post(
                        shard,
                        Item::Invalidate {
                            tail: tail.clone(),
                            to: vec![told],
                        },
                    ),
                }
            }
            if !to.is_empty() {
                let tail = tail.clone();
                let item = Item::Invalidate { tail, to };
                self.tracked.first.push((shard, item));
            }
        }
    }

    /// The readers' side.
    pub(super) fn receive_invalidate(&mut self, tail: &Bytes, to: &[Told]) {
        to.iter().for_each(|told| self.give_keys(*told, tail));
    }

    fn give_keys(&mut self, told: Told, tail: &Bytes) {
        match self.take_client(told.conn) {
            Some(mut client) => {
                self.tell_client(&mut client, told, tail);
                self.slots[told.conn.index as usize] = Some(client);
            }
            // It is gone, or it is being worked on: after its command.
            None => {
                let (own, tail) = (told.own, tail.clone());
                let news = News::Keys { own, tail };
                self.late.push(Late::new(told.conn, news));
            }
        }
    }

    /// Tells a client that a key has changed that it had read.
    pub(super) fn tell_client(&mut self, client: &mut Client, told: Told, tail: &Bytes) {
        let Some(tracking) = &client.tracking else {
            return;
        };
        if tracking.bcast || (told.own && tracking.noloop) {
            return;
        }
        match told.place {
            // The reply of the command that has read it is still to come.
            Some((run, index)) if client.waiting == Waiting::Run && client.run.number == run => {
                client.run.hold(index, tail.clone());
            }
            _ => self.send_keys(client, tail),
        }
    }

    /// Sends an invalidation to a client, or to the one to which it redirects them.
    pub(super) fn send_keys(&mut self, client: &mut Client, tail: &Bytes) {
        let Some(tracking) = &client.tracking else {
            return;
        };
        match tracking.redirect {
            Some((id, shard)) => {
                let item = Item::Redirected {
                    id,
                    tail: tail.clone(),
                    conn: client.conn,
                };
                if shard == self.id {
                    // That connection may be at work.
                    self.post(shard, item);
                } else {
                    self.tracked.first.push((shard, item));
                }
            }
            None if client.reply.version() == Version::Resp3 => {
                self.push_frame(client, 2, b"$10\r\ninvalidate\r\n", tail);
            }
            None => {}
        }
    }

    fn push_frame(&mut self, client: &mut Client, parts: usize, head: &[u8], tail: &Bytes) {
        if client.closing {
            return;
        }
        let limit = self.reply_bytes_max(client);
        give(client, limit, parts, head, tail);
        self.list_output(client);
    }

    /// Gives an invalidation to the connection to which another one redirects it.
    pub(super) fn receive_redirected(&mut self, from: usize, id: u64, tail: &Bytes, conn: ConnId) {
        let target = self.by_id.get(&id).copied();
        let target = target.and_then(|conn| self.take_client(conn));
        let Some(mut target) = target else {
            return self.post(from, Item::RedirectBroken { conn });
        };
        if target.closing {
            self.post(from, Item::RedirectBroken { conn });
        } else if target.reply.version() == Version::Resp3 {
            self.push_frame(&mut target, 2, b"$10\r\ninvalidate\r\n", tail);
        } else if target.is_subscriber() {
            let head = b"$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
            self.push_frame(&mut target, 3, head, tail);
        }
        let index = target.conn.index as usize;
        self.slots[index] = Some(target);
    }

    /// The connection to which `conn` redirects is gone.
    pub(super) fn receive_redirect_broken(&mut self, conn: ConnId) {
        let Some(mut client) = self.take_client(conn) else {
            return;
        };
        if let Some(tracking) = &mut client.tracking {
            tracking.broken = true;
            let id = tracking.redirect();
            if client.reply.version() == Version::Resp3 {
                let tail = Bytes::from(format!(":{id}\r\n"));
                self.push_frame(&mut client, 2, b"$21\r\ntracking-redir-broken\r\n", &tail);
            }
        }
        self.slots[conn.index as usize] = Some(client);
    }

    /// Messages about keys leave the shard before any other that this tick made: whoever hears of a
    /// change by whatever way comes after them.
    pub(super) fn flush_first(&mut self, shell: &mut dyn Shell) {
        if self.tracked.first.is_empty() {
            return;
        }
        let mut envelopes: Vec<Envelope> = Vec::new();
        envelopes.resize_with(self.shared.shards, Envelope::default);
        for (shard, item) in std::mem::take(&mut self.tracked.first) {
            envelopes[shard].items.push(item);
        }
        for (to, envelope) in envelopes.into_iter().enumerate() {
            if !envelope.items.is_empty() && self.push_parcel(to, Parcel::new(envelope)) {
                shell.wake(to);
            }
        }
    }
}

/// Telling of prefixes, and of everything.
impl Shard {
    /// At the end of a tick: tells the connections of all shards that asked for prefixes. Whether
    /// there was anything to tell.
    pub(super) fn tell_prefixes(&mut self) -> bool {
        if self.tracked.changed.is_empty() {
            return false;
        }
        let mut changed = std::mem::take(&mut self.tracked.changed);
        changed.sort_by(|a, b| a.key.cmp(&b.key));
        changed.dedup_by(|later, first| {
            let same = later.key == first.key;
            if same {
                first.by = later.by;
            }
            same
        });
        let mut prefixes: Vec<Name> = (self.data.pubsub.directory.names(Space::Prefix))
            .cloned()
            .collect();
        prefixes.sort();
        for prefix in prefixes {
            let begin = changed.partition_point(|changed| *changed.key < *prefix);
            let rest = changed[begin..].iter();
            let keys: Arc<[Changed]> = rest
                .take_while(|changed| changed.key.starts_with(&prefix))
                .cloned()
                .collect();
            if keys.is_empty() {
                continue;
            }
            let directory = &self.data.pubsub.directory;
            let listeners = directory.listeners(Space::Prefix, &prefix).to_vec();
            for (shard, _) in listeners {
                if shard as usize == self.id {
                    self.receive_broadcast(&prefix, &keys);
                    continue;
                }
                let (prefix, keys) = (prefix.clone(), keys.clone());
                let item = Item::Broadcast { prefix, keys };
                self.tracked.first.push((shard as usize, item));
            }
        }
        true
    }

    /// Keys with a prefix were changed: this shard's connections that asked for it are told.
    pub(super) fn receive_broadcast(&mut self, prefix: &Name, keys: &[Changed]) {
        let all = keys_tail(keys.iter().map(|changed| &changed.key[..]));
        for conn in self.registry.subscribers(Space::Prefix, prefix) {
            let Some(mut client) = self.take_client(conn) else {
                continue;
            };
            let me = Some((self.id as u32, conn));
            let noloop = client.tracking.as_ref().is_some_and(|own| own.noloop);
            if noloop && keys.iter().any(|changed| changed.by == me) {
                let others = keys.iter().filter(|changed| changed.by != me);
                let others: Vec<&[u8]> = others.map(|changed| &changed.key[..]).collect();
                if !others.is_empty() {
                    self.broadcast_to(&mut client, &keys_tail(others.into_iter()));
                }
            } else {
                self.broadcast_to(&mut client, &all);
            }
            self.slots[conn.index as usize] = Some(client);
        }
    }

    fn broadcast_to(&mut self, client: &mut Client, tail: &Bytes) {
        match client.waiting {
            // It may have read any of the keys before.
            Waiting::Run => client.run.hold(LAST, tail.clone()),
            _ => self.send_keys(client, tail),
        }
    }

    /// Whole databases were flushed or swapped: every connection of this shard that tracks is told
    /// to forget all keys, `working` after its command.
    pub(super) fn tell_to_forget(&mut self, working: Option<ConnId>) {
        if self.tracked.clients == 0 {
            return;
        }
        let tracking = self.clients().filter(|client| client.tracking.is_some());
        let conns: Vec<ConnId> = tracking.map(|client| client.conn).collect();
        for conn in conns {
            if let Some(mut client) = self.take_client(conn) {
                self.send_no_keys(&mut client);
                self.slots[conn.index as usize] = Some(client);
            }
        }
        if let Some(conn) = working {
            self.late.push(Late::new(conn, News::NoKeys));
        }
    }

    /// The whole dataset was replaced by the layer above: nothing that was read counts any more.
    pub fn dataset_replaced(&mut self) {
        self.forget_all_reads();
        self.tell_to_forget(None);
    }

    /// Tells a client to forget all keys.
    pub(super) fn send_no_keys(&mut self, client: &mut Client) {
        if client.tracking.is_none() {
            return;
        }
        let tail = match client.reply.version() {
            Version::Resp2 => Bytes::from_static(b"$-1\r\n"),
            Version::Resp3 => Bytes::from_static(b"_\r\n"),
        };
        self.send_keys(client, &tail);
        if client.waiting == Waiting::Run {
            // Replies that are to come may be of before, and what they give is to be forgotten too.
            client.run.hold(LAST, tail);
        }
    }

    /// Sends what was held back behind the reply of a run's command, or of all.
    #[cold]
    pub(super) fn send_held(&mut self, client: &mut Client, index: u32) {
        for tail in client.run.take_held(index) {
            self.send_keys(client, &tail);
        }
    }
}
