//! Channels and patterns: who listens to them, and what is said there.
//!
//! Every channel has one owner among the shards ([`place_of`]), through which all its messages go.
//! That is what gives a channel one order. The owner counts the subscribers of its channels, shard
//! by shard; patterns are counted by every shard. So whoever runs PUBLISH at the owner knows the
//! number of receivers without asking anybody.

use std::sync::Arc;

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashMap;

use crate::protocol::encode;
use crate::value::glob::glob_match;

/// The name of a channel, or a pattern; shared by all who know it.
pub type Name = Arc<[u8]>;

/// What a name names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Space {
    /// A channel of SUBSCRIBE and PUBLISH.
    Channel,
    /// A channel of SSUBSCRIBE and SPUBLISH.
    Shard,
    /// A pattern of channels, of PSUBSCRIBE.
    Pattern,
    /// Channels that tell of a kind of event (`__keyevent@…`), beside their being channels: every
    /// shard counts who listens to them, since it tells of its own keys.
    Event,
    /// The lines of MONITOR; it has one name, the empty one.
    Monitor,
    /// The prefixes of client-side caching.
    Prefix,
}

/// A message on its way to the subscribers of a channel.
///
/// Its bytes are encoded once and shared by all shards, subscribers and protocol versions: what
/// differs between them stands before [`Message::tail`].
#[derive(Clone, Debug)]
pub struct Message {
    pub space: Space,
    tail: Bytes,
    /// Where the channel's name is in `tail`.
    channel: (usize, usize),
}

impl Message {
    /// A message with the given payload.
    pub fn new(space: Space, channel: &[u8], payload: &[u8]) -> Self {
        // Two length lines, each with a sign, 20 digits at the most and a line end, and two ends.
        let mut tail = Vec::with_capacity(channel.len() + payload.len() + 50);
        encode::bulk(&mut tail, channel);
        let start = tail.len() - 2 - channel.len();
        encode::bulk(&mut tail, payload);
        Message {
            space,
            tail: tail.into(),
            channel: (start, channel.len()),
        }
    }

    /// A line of MONITOR.
    pub fn line(line: Vec<u8>) -> Self {
        Message {
            space: Space::Monitor,
            tail: line.into(),
            channel: (0, 0),
        }
    }

    /// The channel's name.
    pub fn channel(&self) -> &[u8] {
        &self.tail[self.channel.0..][..self.channel.1]
    }

    /// The channel and the payload as two bulk strings: the end of every frame.
    pub fn tail(&self) -> &Bytes {
        &self.tail
    }
}

/// The bytes whose hash slot decides on the owner of a name. Events of a key are said on a channel
/// with the key's name: that channel is owned by the shard of the key.
pub fn place_of(space: Space, name: &[u8]) -> &[u8] {
    const KEYSPACE: &[u8] = b"__keyspace@";
    let key = || {
        let rest = name.strip_prefix(KEYSPACE)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest[digits..].strip_prefix(b"__:")
    };
    match space {
        Space::Channel => key().unwrap_or(name),
        _ => name,
    }
}

/// Whether a channel tells of a kind of event.
pub fn is_event_channel(name: &[u8]) -> bool {
    name.starts_with(b"__keyevent@")
}

/// How many connections of which shards listen.
type Listeners = Vec<(u32, u32)>;

/// The listeners of the channels that a shard owns, and those of all patterns, event channels and
/// monitors.
pub struct Directory {
    channels: HashMap<Name, Listeners, RandomState>,
    shard_channels: HashMap<Name, Listeners, RandomState>,
    patterns: HashMap<Name, Listeners, RandomState>,
    events: HashMap<Name, Listeners, RandomState>,
    monitors: HashMap<Name, Listeners, RandomState>,
    prefixes: HashMap<Name, Listeners, RandomState>,
}

impl Directory {
    /// Nobody listens. `state` is seeded by the process, since names come from peers.
    pub fn new(state: &RandomState) -> Self {
        let empty = || HashMap::with_hasher(state.clone());
        Directory {
            channels: empty(),
            shard_channels: empty(),
            patterns: empty(),
            events: empty(),
            monitors: empty(),
            prefixes: empty(),
        }
    }

    fn of(&self, space: Space) -> &HashMap<Name, Listeners, RandomState> {
        match space {
            Space::Channel => &self.channels,
            Space::Shard => &self.shard_channels,
            Space::Pattern => &self.patterns,
            Space::Event => &self.events,
            Space::Monitor => &self.monitors,
            Space::Prefix => &self.prefixes,
        }
    }

    /// A connection of a shard begins to listen, or ends.
    pub fn change(&mut self, space: Space, name: &Name, shard: u32, on: bool) {
        let names = match space {
            Space::Channel => &mut self.channels,
            Space::Shard => &mut self.shard_channels,
            Space::Pattern => &mut self.patterns,
            Space::Event => &mut self.events,
            Space::Monitor => &mut self.monitors,
            Space::Prefix => &mut self.prefixes,
        };
        if on {
            let listeners = names.entry(name.clone()).or_default();
            match listeners.iter_mut().find(|(known, _)| *known == shard) {
                Some((_, count)) => *count += 1,
                None => listeners.push((shard, 1)),
            }
            return;
        }
        let listeners = names.get_mut(name).expect("who leaves a channel was there");
        let at = (listeners.iter().position(|(known, _)| *known == shard))
            .expect("who leaves a channel was counted");
        listeners[at].1 -= 1;
        if listeners[at].1 == 0 {
            listeners.swap_remove(at);
            if listeners.is_empty() {
                names.remove(name);
            }
        }
    }

    /// The shards that listen to a name, with the number of their connections.
    pub fn listeners(&self, space: Space, name: &[u8]) -> &[(u32, u32)] {
        self.of(space).get(name).map_or(&[], Vec::as_slice)
    }

    /// The patterns that fit a channel, with their listeners.
    pub fn matching<'a>(
        &'a self,
        channel: &'a [u8],
    ) -> impl Iterator<Item = (&'a Name, &'a [(u32, u32)])> {
        (self.patterns.iter())
            .filter(|(pattern, _)| glob_match(pattern, channel, false))
            .map(|(pattern, listeners)| (pattern, listeners.as_slice()))
    }

    /// How many times a message of a channel is received. Right at the channel's owner only.
    pub fn receivers(&self, space: Space, channel: &[u8]) -> u64 {
        let count = |listeners: &[(u32, u32)]| -> u64 {
            listeners.iter().map(|(_, count)| u64::from(*count)).sum()
        };
        let direct = count(self.listeners(space, channel));
        match space {
            Space::Channel => direct + self.matching(channel).map(|(_, l)| count(l)).sum::<u64>(),
            _ => direct,
        }
    }

    /// Different names with listeners.
    pub fn len(&self, space: Space) -> usize {
        self.of(space).len()
    }

    /// Whether nobody listens to anything.
    pub fn is_empty(&self) -> bool {
        let all = [
            &self.channels,
            &self.shard_channels,
            &self.patterns,
            &self.events,
            &self.monitors,
            &self.prefixes,
        ];
        all.iter().all(|names| names.is_empty())
    }

    /// The names with listeners.
    pub fn names(&self, space: Space) -> impl Iterator<Item = &Name> {
        self.of(space).keys()
    }
}

/// What commands see of it, and leave behind.
pub struct PubSub {
    pub directory: Directory,
    /// While a transaction runs: what the owners of its channels told.
    pub lent: Option<Lent>,
    /// Messages of the commands that have run, until the shard sends them.
    pub outgoing: Vec<Message>,
}

impl PubSub {
    /// Nobody listens and nothing is said.
    pub fn new(state: &RandomState) -> Self {
        PubSub {
            directory: Directory::new(state),
            lent: None,
            outgoing: Vec::new(),
        }
    }

    /// How many times a message of a channel will be received.
    pub fn receivers(&self, space: Space, channel: &[u8]) -> u64 {
        let Some(lent) = &self.lent else {
            return self.directory.receivers(space, channel);
        };
        lent.of(space, channel).unwrap_or(0)
    }
}

/// Numbers of receivers of the channels that a transaction names.
///
/// Almost none names any: then it costs nothing.
#[derive(Default)]
pub struct Lent {
    channels: Option<Box<Receivers>>,
    shard_channels: Option<Box<Receivers>>,
}

type Receivers = HashMap<Name, u64, RandomState>;

impl Lent {
    fn of(&self, space: Space, channel: &[u8]) -> Option<u64> {
        let counts = match space {
            Space::Shard => &self.shard_channels,
            _ => &self.channels,
        };
        counts.as_ref()?.get(channel).copied()
    }

    /// Remembers what a channel's owner told.
    pub fn insert(&mut self, space: Space, channel: Name, receivers: u64) {
        let counts = match space {
            Space::Shard => &mut self.shard_channels,
            _ => &mut self.channels,
        };
        counts
            .get_or_insert_with(Box::default)
            .insert(channel, receivers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_its_channel_and_payload() {
        let message = Message::new(Space::Channel, b"ch", b"hello");
        assert_eq!(message.tail(), &b"$2\r\nch\r\n$5\r\nhello\r\n"[..]);
        assert_eq!(message.channel(), b"ch");
        assert_eq!(Message::new(Space::Shard, b"", b"").channel(), b"");
    }

    #[test]
    fn the_channel_of_a_key_is_placed_with_the_key() {
        for (name, place) in [
            (&b"__keyspace@0__:k:1"[..], &b"k:1"[..]),
            (b"__keyspace@15__:", b""),
            (b"__keyspace@0__", b"__keyspace@0__"),
            (b"__keyspace@x__:k", b"__keyspace@x__:k"),
            (b"__keyevent@0__:set", b"__keyevent@0__:set"),
        ] {
            assert_eq!(place_of(Space::Channel, name), place);
            assert_eq!(place_of(Space::Shard, name), name);
        }
    }

    #[test]
    fn listeners_are_counted_and_forgotten_shard_by_shard() {
        let mut directory = Directory::new(&RandomState::with_seeds(1, 2, 3, 4));
        let name = |text: &str| Name::from(text.as_bytes());
        for shard in [0, 1, 1] {
            directory.change(Space::Channel, &name("news"), shard, true);
        }
        directory.change(Space::Pattern, &name("n*"), 2, true);
        assert_eq!(directory.receivers(Space::Channel, b"news"), 4);
        assert_eq!(directory.receivers(Space::Shard, b"news"), 0);
        assert_eq!(
            directory.listeners(Space::Channel, b"news"),
            [(0, 1), (1, 2)]
        );
        for shard in [1, 0, 1] {
            directory.change(Space::Channel, &name("news"), shard, false);
        }
        assert_eq!(directory.receivers(Space::Channel, b"news"), 1);
        assert_eq!(directory.len(Space::Channel), 0);
        directory.change(Space::Pattern, &name("n*"), 2, false);
        assert!(directory.is_empty());
    }
}
