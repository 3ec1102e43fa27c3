//! Keyspace notifications: what a command says of the keys that it changed.
//!
//! Commands only note events here; the shard sends them to subscribers once the effects of the
//! command are published.

/// Classes of events, the bits of `notify-keyspace-events`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Class(pub u32);

impl Class {
    /// `K`: by the name of the key.
    pub const KEYSPACE: Class = Class(1 << 0);
    /// `E`: by the name of the event.
    pub const KEYEVENT: Class = Class(1 << 1);
    /// `g`: commands of any type, such as DEL, EXPIRE and RENAME.
    pub const GENERIC: Class = Class(1 << 2);
    /// `$`: strings.
    pub const STRING: Class = Class(1 << 3);
    /// `l`: lists.
    pub const LIST: Class = Class(1 << 4);
    /// `s`: sets.
    pub const SET: Class = Class(1 << 5);
    /// `h`: hashes.
    pub const HASH: Class = Class(1 << 6);
    /// `z`: sorted sets.
    pub const SORTED_SET: Class = Class(1 << 7);
    /// `x`: keys that expired.
    pub const EXPIRED: Class = Class(1 << 8);
    /// `e`: keys that were evicted.
    pub const EVICTED: Class = Class(1 << 9);
    /// `t`: streams.
    pub const STREAM: Class = Class(1 << 10);
    /// `m`: reads of keys that are not there.
    pub const KEY_MISS: Class = Class(1 << 11);
    /// `n`: new keys.
    pub const NEW: Class = Class(1 << 14);

    /// Whether any bit is in both.
    pub const fn has(self, other: Class) -> bool {
        self.0 & other.0 != 0
    }
}

/// An event of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notification {
    /// The key's database.
    pub db: usize,
    /// What kind of event it is.
    pub class: Class,
    /// Its name, e.g. `lpush`.
    pub event: &'static str,
    /// The key.
    pub key: Box<[u8]>,
}
