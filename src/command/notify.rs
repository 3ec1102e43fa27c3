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
    /// `A`: all classes but misses and new keys.
    pub const ALL: Class = Class(0x7fc);

    /// The classes that a value of `notify-keyspace-events` names; none unless events are sent
    /// by the key's or by the event's name.
    pub fn parse(letters: &str) -> Class {
        let mut bits = 0;
        for letter in letters.bytes() {
            bits |= match letter {
                b'K' => Class::KEYSPACE.0,
                b'E' => Class::KEYEVENT.0,
                b'A' => Class::ALL.0,
                b'g' => Class::GENERIC.0,
                b'$' => Class::STRING.0,
                b'l' => Class::LIST.0,
                b's' => Class::SET.0,
                b'h' => Class::HASH.0,
                b'z' => Class::SORTED_SET.0,
                b'x' => Class::EXPIRED.0,
                b'e' => Class::EVICTED.0,
                b't' => Class::STREAM.0,
                b'm' => Class::KEY_MISS.0,
                b'n' => Class::NEW.0,
                _ => 0,
            };
        }
        let class = Class(bits);
        match class.has(Class::KEYSPACE) || class.has(Class::KEYEVENT) {
            true => class,
            false => Class::default(),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::Class;

    #[test]
    fn letters_stand_for_classes_and_need_a_way_to_be_told() {
        assert_eq!(Class::parse("gx"), Class::default());
        assert_eq!(Class::parse(""), Class::default());
        let some = Class::parse("Kgn");
        assert!(some.has(Class::GENERIC) && some.has(Class::NEW) && some.has(Class::KEYSPACE));
        assert!(!some.has(Class::STRING) && !some.has(Class::KEYEVENT));
        let all = Class::parse("EA");
        assert!(all.has(Class::STREAM) && all.has(Class::EVICTED) && all.has(Class::GENERIC));
        assert!(!all.has(Class::KEY_MISS) && !all.has(Class::NEW));
    }
}
