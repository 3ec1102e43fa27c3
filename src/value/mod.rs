//! Value types and the conversions that Redis defines on them.
//!
//! Everything here is plain data: no I/O, no clock, no random source. Hash seeds and random numbers
//! are inputs, so that a simulated run is reproducible. There is no `unsafe` in this folder.

pub mod bits;
pub mod codec;
pub mod crc16;
pub mod crc64;
pub mod geohash;
pub mod glob;
mod grisu;
pub mod hash;
pub mod hyperloglog;
pub mod list;
pub mod listpack;
pub mod long_double;
pub mod number;
pub mod packed;
mod sample;
pub mod scattered;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod subsequence;
pub mod table;

/// A value as it is moved into or out of a keyspace entry.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string that is the canonical decimal form of a signed 64-bit integer (encoding `int`).
    Int(i64),
    /// A string that is not such an integer (encoding `embstr` or `raw`, by its length).
    Bytes(Vec<u8>),
    /// A string that must report the encoding `raw` although it may be short: what APPEND and
    /// SETRANGE leave behind.
    Raw(Vec<u8>),
    /// A hash; like every collection but a stream never empty while it is stored under a key.
    Hash(Box<hash::Hash>),
    /// A list.
    List(Box<list::List>),
    /// A set.
    Set(Box<set::Set>),
    /// A sorted set.
    SortedSet(Box<sorted_set::SortedSet>),
    /// A stream.
    Stream(Box<stream::Stream>),
}

impl Value {
    /// The string `bytes` in its smallest form: [`Value::Int`] where it is a canonical integer.
    pub fn string(bytes: &[u8]) -> Self {
        match number::parse_i64(bytes) {
            Some(int) => Self::Int(int),
            None => Self::Bytes(bytes.to_vec()),
        }
    }

    /// The data type, as TYPE reports it.
    pub fn kind(&self) -> Kind {
        self.borrow().kind()
    }

    /// The borrowed view. `Raw` and `Bytes` look alike in it.
    pub fn borrow(&self) -> ValueRef<'_> {
        match self {
            Self::Int(int) => ValueRef::Int(*int),
            Self::Bytes(bytes) | Self::Raw(bytes) => ValueRef::Bytes(bytes),
            Self::Hash(hash) => ValueRef::Hash(hash),
            Self::List(list) => ValueRef::List(list),
            Self::Set(set) => ValueRef::Set(set),
            Self::SortedSet(set) => ValueRef::SortedSet(set),
            Self::Stream(stream) => ValueRef::Stream(stream),
        }
    }
}

/// A data type by its Redis name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
}

impl Kind {
    /// The word of TYPE's reply and of SCAN's TYPE option.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::SortedSet => "zset",
            Self::Hash => "hash",
            Self::Stream => "stream",
        }
    }

    /// The type that `name` means, compared without case as SCAN's TYPE option does.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        const ALL: [Kind; 6] = [
            Kind::String,
            Kind::List,
            Kind::Set,
            Kind::SortedSet,
            Kind::Hash,
            Kind::Stream,
        ];
        ALL.into_iter()
            .find(|kind| kind.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// A value as it is read in place.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// See [`Value::Int`].
    Int(i64),
    /// Any other string.
    Bytes(&'a [u8]),
    /// A hash.
    Hash(&'a hash::Hash),
    /// A list.
    List(&'a list::List),
    /// A set.
    Set(&'a set::Set),
    /// A sorted set.
    SortedSet(&'a sorted_set::SortedSet),
    /// A stream.
    Stream(&'a stream::Stream),
}

impl ValueRef<'_> {
    /// The data type, as TYPE reports it.
    pub fn kind(self) -> Kind {
        match self {
            Self::Int(_) | Self::Bytes(_) => Kind::String,
            Self::Hash(_) => Kind::Hash,
            Self::List(_) => Kind::List,
            Self::Set(_) => Kind::Set,
            Self::SortedSet(_) => Kind::SortedSet,
            Self::Stream(_) => Kind::Stream,
        }
    }

    /// A deep copy. A string keeps its content; whether it was `raw` is the entry's knowledge.
    pub fn to_value(self) -> Value {
        match self {
            Self::Int(int) => Value::Int(int),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Hash(hash) => Value::Hash(boxed(hash)),
            Self::List(list) => Value::List(boxed(list)),
            Self::Set(set) => Value::Set(boxed(set)),
            Self::SortedSet(set) => Value::SortedSet(boxed(set)),
            Self::Stream(stream) => Value::Stream(boxed(stream)),
        }
    }
}

fn boxed<T: Clone>(value: &T) -> Box<T> {
    Box::new(value.clone())
}

/// A type that is more than a string: what code that serves all such types needs to know of one.
pub trait Collection: Clone + Send + Sized {
    /// Its type.
    const KIND: Kind;

    /// A new one without elements.
    fn empty() -> Self;

    /// Number of elements.
    fn len(&self) -> usize;

    /// Whether there is no element.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name that OBJECT ENCODING reports.
    fn encoding(&self) -> &'static str;

    /// Allocated bytes, the struct itself included, in constant time; estimates what the allocator
    /// rounds up.
    fn memory(&self) -> usize;

    /// Takes it apart: every step of the iterator frees about a thousand elements at most, and
    /// gives how many. Dropping millions of them at once would stall a shard.
    fn into_garbage(self) -> Garbage;

    /// The view of a value of this type, `None` if it is of another one.
    fn view(value: ValueRef<'_>) -> Option<&Self>;

    /// The value that holds this.
    fn wrap(self: Box<Self>) -> Value;
}

/// What [`Collection::into_garbage`] gives.
pub type Garbage = Box<dyn Iterator<Item = usize> + Send>;

/// Keys of the hash function of collections.
///
/// One seed per process, drawn by the shell and handed down: with a fixed seed known to a peer, he
/// could send colliding fields. It has to outlive every collection that was built with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashSeed(pub [u64; 4]);

impl HashSeed {
    /// The hash of `bytes`.
    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let [a, b, c, d] = self.0;
        ahash::RandomState::with_seeds(a, b, c, d).hash_one(bytes)
    }
}

impl std::fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A secret: it must not reach a log.
        f.write_str("HashSeed(..)")
    }
}

/// What the allocator takes for `len` bytes: jemalloc's size classes, four to a doubling.
fn allocated(len: usize) -> usize {
    match len {
        0 => 0,
        1..=8 => 8,
        9..=128 => len.next_multiple_of(16),
        _ => len.next_multiple_of(1 << (len - 1).ilog2().saturating_sub(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_held_as_an_integer_only_if_it_prints_back_the_same() {
        assert!(matches!(Value::string(b"-12"), Value::Int(-12)));
        assert!(matches!(Value::string(b"012"), Value::Bytes(_)));
        assert!(matches!(Value::string(b"-0"), Value::Bytes(_)));
    }

    #[test]
    fn type_names_are_found_without_case() {
        assert_eq!(Kind::from_name(b"ZSET"), Some(Kind::SortedSet));
        assert_eq!(Kind::from_name(b"hash"), Some(Kind::Hash));
        assert_eq!(Kind::from_name(b"sortedset"), None);
    }

    #[test]
    fn the_hash_depends_on_every_word_of_the_seed() {
        let hash = HashSeed([1, 2, 3, 4]).hash(b"field");
        assert_eq!(hash, HashSeed([1, 2, 3, 4]).hash(b"field"));
        for seed in [[9, 2, 3, 4], [1, 9, 3, 4], [1, 2, 9, 4], [1, 2, 3, 9]] {
            assert_ne!(hash, HashSeed(seed).hash(b"field"));
        }
    }
}
