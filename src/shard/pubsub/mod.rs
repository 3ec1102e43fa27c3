//! Pub/sub on one shard: its connections' subscriptions, and messages on their way to them.
//!
//! See the manual's chapter `pubsub` for the whole.

#[cfg(test)]
mod event_tests;
pub(super) mod subscribe;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::{HashMap, HashSet};

use crate::command::notify::{Class, Notification};
use crate::command::pubsub::{Message, Name, Space, place_of};
use crate::protocol::{Reply, Version, encode};

use super::Shard;
use super::client::Client;
use super::message::Item;
use super::shared::Shared;
use super::shell::{Chunk, ConnId};
use super::tracking::{Reader, Told};

/// From this many bytes a message is not copied for each subscriber, but shared.
const SHARED_BYTES_MIN: usize = 16 << 10;
/// Channels with this beginning tell of keys.
const EVENTS: &[u8] = b"__key";

/// What a connection listens to.
#[derive(Default)]
pub struct Subscriptions {
    channels: HashSet<Name, RandomState>,
    shard_channels: HashSet<Name, RandomState>,
    patterns: HashSet<Name, RandomState>,
    monitors: HashSet<Name, RandomState>,
    /// Shards that have not yet heard of what it does at this moment.
    missing: u32,
    /// What it gets once they have: confirmations, and messages that came after them.
    held: Option<Box<Reply>>,
    /// What it gets then, if messages until then come before it.
    parting: Option<Box<Reply>>,
    /// What it leaves once they have.
    leaving: Vec<(Space, Name)>,
}

impl Subscriptions {
    fn of(&mut self, space: Space) -> &mut HashSet<Name, RandomState> {
        match space {
            Space::Channel | Space::Event => &mut self.channels,
            Space::Shard => &mut self.shard_channels,
            Space::Pattern => &mut self.patterns,
            Space::Monitor => &mut self.monitors,
            Space::Prefix => unreachable!("prefixes are kept with what else is tracked"),
        }
    }

    /// Numbers of channels, patterns and shard channels.
    pub fn counts(&self) -> (usize, usize, usize) {
        (
            self.channels.len(),
            self.patterns.len(),
            self.shard_channels.len(),
        )
    }

    /// Whether it is told every command.
    pub fn monitors(&self) -> bool {
        !self.monitors.is_empty()
    }

    /// Whether it listens to nothing.
    pub fn is_empty(&self) -> bool {
        self.counts() == (0, 0, 0) && self.monitors.is_empty()
    }

    /// The count that a confirmation shows.
    fn shown(&self, space: Space) -> usize {
        match space {
            Space::Shard => self.shard_channels.len(),
            _ => self.channels.len() + self.patterns.len(),
        }
    }

    fn waits(&self) -> bool {
        self.missing > 0
    }
}

/// A message for a connection that is being worked on: it gets it after its command.
pub(super) struct Late {
    conn: ConnId,
    news: News,
}

/// What it is told.
pub(super) enum News {
    Frame {
        head: Box<[u8]>,
        parts: usize,
        tail: Bytes,
    },
    /// Keys that it had read have changed, if `own` by its own command.
    Keys { own: bool, tail: Bytes },
    /// All keys are to be forgotten.
    NoKeys,
}

impl Late {
    /// News for a connection.
    pub fn new(conn: ConnId, news: News) -> Self {
        Late { conn, news }
    }
}

/// A shard that gets a message: its connections that listen to the channel, if `listens`, and those
/// that listen to these patterns.
pub(super) struct Target {
    shard: u32,
    listens: bool,
    patterns: Vec<Name>,
}

type Subscribers = HashMap<Name, HashSet<ConnId, RandomState>, RandomState>;

/// The subscriptions of a shard's connections, by name.
pub(super) struct Registry {
    channels: Subscribers,
    shard_channels: Subscribers,
    patterns: Subscribers,
    monitors: Subscribers,
    prefixes: Subscribers,
    state: RandomState,
}

impl Registry {
    /// Without subscriptions.
    pub fn new(state: RandomState) -> Self {
        Registry {
            channels: HashMap::with_hasher(state.clone()),
            shard_channels: HashMap::with_hasher(state.clone()),
            patterns: HashMap::with_hasher(state.clone()),
            monitors: HashMap::with_hasher(state.clone()),
            prefixes: HashMap::with_hasher(state.clone()),
            state,
        }
    }

    fn of(&self, space: Space) -> &Subscribers {
        match space {
            Space::Channel | Space::Event => &self.channels,
            Space::Shard => &self.shard_channels,
            Space::Pattern => &self.patterns,
            Space::Monitor => &self.monitors,
            Space::Prefix => &self.prefixes,
        }
    }

    fn of_mut(&mut self, space: Space) -> &mut Subscribers {
        match space {
            Space::Channel | Space::Event => &mut self.channels,
            Space::Shard => &mut self.shard_channels,
            Space::Pattern => &mut self.patterns,
            Space::Monitor => &mut self.monitors,
            Space::Prefix => &mut self.prefixes,
        }
    }

    /// The connections of this shard that asked for a name.
    pub fn subscribers(&self, space: Space, name: &[u8]) -> Vec<ConnId> {
        let conns = self.of(space).get(name);
        conns.into_iter().flatten().copied().collect()
    }

    fn add(&mut self, shared: &Shared, space: Space, name: Name, conn: ConnId) {
        let state = self.state.clone();
        let hears_events = hears_events(space, &name);
        let subscribers = self
            .of_mut(space)
            .entry(name)
            .or_insert_with(|| HashSet::with_hasher(state));
        if subscribers.is_empty() && hears_events {
            shared.event_listeners.fetch_add(1, Ordering::SeqCst);
        }
        subscribers.insert(conn);
    }

    fn remove(&mut self, shared: &Shared, space: Space, name: &Name, conn: ConnId) {
        let all = self.of_mut(space);
        let Some(subscribers) = all.get_mut(name) else {
            return;
        };
        if subscribers.remove(&conn) && subscribers.is_empty() {
            all.remove(name);
            if hears_events(space, name) {
                shared.event_listeners.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }

    /// Whether nobody listens to anything here.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        let all = [
            &self.channels,
            &self.shard_channels,
            &self.patterns,
            &self.monitors,
        ];
        all.iter().all(|names| names.is_empty())
    }
}

/// Whether who listens to a name may hear of keys.
fn hears_events(space: Space, name: &[u8]) -> bool {
    match space {
        Space::Channel => name.starts_with(EVENTS),
        Space::Pattern => true,
        Space::Shard | Space::Event | Space::Monitor | Space::Prefix => false,
    }
}

/// The shard through which all messages of a channel go.
pub(super) fn channel_owner(shared: &Shared, space: Space, name: &[u8]) -> usize {
    shared.owner(place_of(space, name))
}

/// Writes a frame: the number of its parts, what is its own, and what is shared. A line of MONITOR
/// has no parts.
fn write_frame(reply: &mut Reply, parts: usize, head: &[u8], tail: &[u8]) {
    if parts > 0 {
        reply.push(parts);
        reply.raw(head);
    }
    reply.raw(tail);
}

/// Gives a client a frame behind what it was given so far.
pub(super) fn give(client: &mut Client, limit: usize, parts: usize, head: &[u8], tail: &Bytes) {
    if let Some(held) = client.pubsub.as_mut().and_then(|own| own.held.as_mut()) {
        write_frame(held, parts, head, tail);
        return;
    }
    client.reply.set_limit(limit);
    if tail.len() < SHARED_BYTES_MIN {
        write_frame(&mut client.reply, parts, head, tail);
        return;
    }
    write_frame(&mut client.reply, parts, head, &[]);
    let before = client.reply.take();
    client.pieces.push(Chunk::Vec(before));
    client.pieces.push(Chunk::Bytes(tail.clone()));
}

impl Shard {
    /// Sends what the commands that have just run, for `by`, have said and changed. Nothing of it
    /// leaves the shard before the tick's publish.
    #[inline]
    pub(super) fn send_news(&mut self, by: Option<Reader>) {
        let pubsub = &self.data.pubsub;
        let said = pubsub.outgoing.len() | self.data.notifications.len();
        // One branch for all.
        if said | self.data.watched.changes().len() != 0 {
            self.send_all(by);
        }
    }

    #[cold]
    fn send_all(&mut self, by: Option<Reader>) {
        let unsaid = self.take_unsaid();
        self.tell_unsaid(unsaid, by);
        let mut outgoing = std::mem::take(&mut self.data.pubsub.outgoing);
        for message in outgoing.drain(..) {
            self.send_message(message);
        }
        self.data.pubsub.outgoing = outgoing;
        let mut events = std::mem::take(&mut self.data.notifications);
        if self.shared.event_listeners.load(Ordering::SeqCst) > 0 {
            events.iter().for_each(|event| self.send_event(event));
        }
        events.clear();
        self.data.notifications = events;
    }

    /// Tells of an event of a key of this shard, which knows all who listen: to the key's channel,
    /// which is owned here as well, and to the event's channels everywhere. So one way leads from
    /// a key to who listens, and what happens to a key is told in order, by whatever channels.
    fn send_event(&mut self, event: &Notification) {
        let (db, name) = (event.db, event.event);
        let told = self.data.settings.notify;
        if told.has(Class::KEYSPACE) {
            let mut channel = format!("__keyspace@{db}__:").into_bytes();
            channel.extend_from_slice(&event.key);
            self.say(Space::Channel, &channel, name.as_bytes());
        }
        if told.has(Class::KEYEVENT) {
            let channel = format!("__keyevent@{db}__:{name}");
            self.say(Space::Event, channel.as_bytes(), &event.key);
        }
    }

    /// Says something on a channel whose listeners this shard knows, in `listed`.
    fn say(&mut self, listed: Space, channel: &[u8], payload: &[u8]) {
        let targets = self.targets(listed, channel);
        if !targets.is_empty() {
            self.hand_out(Message::new(Space::Channel, channel, payload), targets);
        }
    }

    fn send_message(&mut self, message: Message) {
        let owner = channel_owner(&self.shared, message.space, message.channel());
        if owner == self.id {
            self.fan_out(message);
        } else {
            self.post(owner, Item::Publish(message));
        }
    }

    /// The owner's side: the message goes to every shard with subscribers.
    pub(super) fn fan_out(&mut self, message: Message) {
        let directory = &self.data.pubsub.directory;
        let (space, channel) = (message.space, message.channel());
        let only_here = matches!(directory.listeners(space, channel), [(shard, _)]
            if *shard as usize == self.id);
        if only_here && (space != Space::Channel || directory.matching(channel).next().is_none()) {
            self.deliver(&message, true, &[]);
            return;
        }
        let targets = self.targets(space, channel);
        self.hand_out(message, targets);
    }

    /// The shards that get what is said on a channel: who listens to it, as listed in `listed`, and
    /// to patterns that fit it.
    pub(super) fn targets(&self, listed: Space, channel: &[u8]) -> Vec<Target> {
        let directory = &self.data.pubsub.directory;
        let mut targets: Vec<Target> = Vec::new();
        if matches!(listed, Space::Channel | Space::Event) {
            for (pattern, listeners) in directory.matching(channel) {
                for (shard, _) in listeners {
                    match targets.iter_mut().find(|target| target.shard == *shard) {
                        Some(target) => target.patterns.push(pattern.clone()),
                        None => targets.push(Target {
                            shard: *shard,
                            listens: false,
                            patterns: vec![pattern.clone()],
                        }),
                    }
                }
            }
        }
        for (shard, _) in directory.listeners(listed, channel) {
            match targets.iter_mut().find(|target| target.shard == *shard) {
                Some(target) => target.listens = true,
                None => targets.push(Target {
                    shard: *shard,
                    listens: true,
                    patterns: Vec::new(),
                }),
            }
        }
        targets
    }

    pub(super) fn hand_out(&mut self, message: Message, targets: Vec<Target>) {
        for target in targets {
            let Target {
                shard,
                listens,
                patterns,
            } = target;
            if shard as usize == self.id {
                self.deliver(&message, listens, &patterns);
            } else {
                let message = message.clone();
                let item = Item::Deliver {
                    message,
                    listens,
                    patterns,
                };
                self.post(shard as usize, item);
            }
        }
    }

    /// The subscribers' side: gives a message to this shard's subscribers of its channel, if
    /// `listens`, and of these patterns.
    pub(super) fn deliver(&mut self, message: &Message, listens: bool, patterns: &[Name]) {
        let tail = message.tail();
        if listens {
            let (parts, head): (usize, &[u8]) = match message.space {
                Space::Monitor => (0, b""),
                Space::Shard => (3, b"$8\r\nsmessage\r\n"),
                _ => (3, b"$7\r\nmessage\r\n"),
            };
            self.give_all(message.space, message.channel(), parts, head, tail);
        }
        for pattern in patterns {
            let mut head = b"$8\r\npmessage\r\n".to_vec();
            encode::bulk(&mut head, pattern);
            self.give_all(Space::Pattern, pattern, 4, &head, tail);
        }
    }

    fn give_all(&mut self, space: Space, name: &[u8], parts: usize, head: &[u8], tail: &Bytes) {
        let limits = &self.config.client_output_buffer_limit;
        let hard = match space {
            Space::Monitor => limits.normal.hard_bytes,
            _ => limits.pubsub.hard_bytes,
        };
        let limit = usize::try_from(hard).unwrap_or(usize::MAX);
        let Shard {
            registry,
            slots,
            with_output,
            late,
            ..
        } = self;
        let Some(subscribers) = registry.of(space).get(name) else {
            return;
        };
        for conn in subscribers {
            match slots.get_mut(conn.index as usize) {
                Some(Some(client)) if client.conn == *conn => {
                    if client.closing {
                        continue;
                    }
                    give(client, limit, parts, head, tail);
                    if !client.output_listed {
                        client.output_listed = true;
                        with_output.push(*conn);
                    }
                }
                _ => late.push(Late::new(
                    *conn,
                    News::Frame {
                        head: head.into(),
                        parts,
                        tail: tail.clone(),
                    },
                )),
            }
        }
    }

    /// Gives a client the messages that came while its command ran: they come after its reply.
    #[inline]
    pub(super) fn give_late(&mut self, client: &mut Client) {
        if !self.late.is_empty() {
            self.give_late_slow(client);
        }
    }

    #[cold]
    fn give_late_slow(&mut self, client: &mut Client) {
        let limit = self.reply_bytes_max(client);
        for late in std::mem::take(&mut self.late) {
            // One that leaves is told no more.
            if late.conn != client.conn || client.closing {
                continue;
            }
            match late.news {
                News::Frame { head, parts, tail } => {
                    give(client, limit, parts, &head, &tail);
                    self.list_output(client);
                }
                News::Keys { own, tail } => {
                    let (conn, place) = (client.conn, None);
                    self.tell_client(client, Told { conn, place, own }, &tail);
                }
                News::NoKeys => self.send_no_keys(client),
            }
        }
    }
}

/// A confirmation of (P|S)(UN)SUBSCRIBE.
fn confirm(reply: &mut Reply, space: Space, on: bool, name: Option<&[u8]>, count: usize) {
    let verb = match (space, on) {
        (Space::Channel | Space::Event, true) => "subscribe",
        (Space::Channel | Space::Event, false) => "unsubscribe",
        (Space::Shard, true) => "ssubscribe",
        (Space::Shard, false) => "sunsubscribe",
        (Space::Pattern, true) => "psubscribe",
        (Space::Pattern, false) => "punsubscribe",
        (Space::Monitor | Space::Prefix, _) => unreachable!("they are confirmed otherwise"),
    };
    reply.push(3);
    reply.bulk_str(verb);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.integer(count as i64);
}

/// A name to be shared.
fn shared_name(name: &[u8]) -> Name {
    Arc::from(name)
}

/// Whether commands other than those of subscribers are refused: RESP2 has no messages out of
/// band.
pub(super) fn only_listens(client: &Client) -> bool {
    client.is_subscriber() && client.reply.version() == Version::Resp2
}
