//! The digest of a dataset that DEBUG DIGEST and DEBUG DIGEST-VALUE report, bit for bit that of
//! Redis (`computeDatasetDigest` in its `debug.c`), so that any two servers can be compared.
//!
//! Two operations build it, both on 20 bytes that start as zeros:
//!
//! ```text
//!    xor(d, data)   d = d ^ SHA1(data)                     the order does not matter
//!    mix(d, data)   d = SHA1(d ^ SHA1(data))               the order matters
//!
//!    field     mix(field) mix(value)                       one of a hash
//!    key       mix(key) mix(type:u32 big-endian)
//!              a string: mix(value); a list: mix(element) for each;
//!              a hash: xor(field) for each; a set: xor(member) for each;
//!              a sorted set as a hash, of its members and their scores as `fpconv` (and
//!              Redis from 7.2 on) prints them
//!              a stream: mix("ms.seq") mix(field) mix(value) … for each entry
//!              xor("!!expire!!") if it has an expiry
//!    dataset   for each database that is not empty, in order:
//!              mix(number:u32 big-endian), then xor(key) for each
//! ```
//!
//! Since the numbers are mixed, shards cannot simply xor their digests: each gives one sum per
//! database, and the home combines them.

use sha1_smol::Sha1;

use crate::keyspace::{Entry, Keyspace};
use crate::value::stream::{Stream, StreamId};
use crate::value::{Kind, ValueRef, number};

/// Bytes of a digest.
pub const DIGEST_LEN: usize = 20;

const EXPIRY_MARK: &[u8] = b"!!expire!!";

/// A digest being built.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Digest(pub [u8; DIGEST_LEN]);

impl Digest {
    /// Adds `data` to a sum in which the order does not matter.
    pub fn xor(&mut self, data: &[u8]) {
        self.combine(Digest(Sha1::from(data).digest().bytes()));
    }

    /// Adds `data` to a sequence.
    pub fn mix(&mut self, data: &[u8]) {
        self.xor(data);
        self.0 = Sha1::from(self.0).digest().bytes();
    }

    /// Adds another sum to this one, as if all of its parts had been added here.
    pub fn combine(&mut self, other: Digest) {
        for (byte, other) in self.0.iter_mut().zip(other.0) {
            *byte ^= other;
        }
    }

    /// Mixes a key's type, value and expiry in: all there is to DEBUG DIGEST-VALUE.
    pub fn mix_entry(&mut self, entry: &Entry) {
        let value = entry.value();
        self.mix(&type_number(value.kind()).to_be_bytes());
        match value {
            ValueRef::Int(int) => self.mix(itoa::Buffer::new().format(int).as_bytes()),
            ValueRef::Bytes(bytes) => self.mix(bytes),
            ValueRef::Hash(hash) => {
                for (field, value) in hash.iter() {
                    let mut pair = Digest::default();
                    field.with_bytes(|field| pair.mix(field));
                    value.with_bytes(|value| pair.mix(value));
                    self.xor(&pair.0);
                }
            }
            ValueRef::List(list) => {
                list.for_each(|element| element.with_bytes(|element| self.mix(element)));
            }
            ValueRef::Set(set) => {
                set.iter()
                    .for_each(|member| member.with_bytes(|member| self.xor(member)));
            }
            ValueRef::SortedSet(set) => set.for_each(|member, score| {
                let mut pair = Digest::default();
                member.with_bytes(|member| pair.mix(member));
                pair.mix(number::format_fpconv(score).as_bytes());
                self.xor(&pair.0);
            }),
            ValueRef::Stream(stream) => self.mix_stream(stream),
        }
        if entry.expire_at().is_some() {
            self.xor(EXPIRY_MARK);
        }
    }

    /// Groups do not count.
    fn mix_stream(&mut self, stream: &Stream) {
        for entry in stream.range(StreamId::MIN, StreamId::MAX) {
            self.mix(format!("{}.{}", entry.id.ms, entry.id.seq).as_bytes());
            for (field, value) in entry.pairs() {
                field.with_bytes(|field| self.mix(field));
                value.with_bytes(|value| self.mix(value));
            }
        }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Redis's number of a type (`OBJ_STRING` and so on).
const fn type_number(kind: Kind) -> u32 {
    match kind {
        Kind::String => 0,
        Kind::List => 1,
        Kind::Set => 2,
        Kind::SortedSet => 3,
        Kind::Hash => 4,
        Kind::Stream => 6,
    }
}

/// One shard's sums: of each database that is not empty, its number and the sum of its keys.
pub fn shard_sums(keyspace: &Keyspace) -> Vec<(u32, Digest)> {
    let used = (0..keyspace.databases()).filter(|db| !keyspace.db(*db).is_empty());
    used.map(|db| {
        let mut sum = Digest::default();
        for entry in keyspace.db(db).iter() {
            let mut one = Digest::default();
            one.mix(entry.key());
            one.mix_entry(entry);
            sum.xor(&one.0);
        }
        (db as u32, sum)
    })
    .collect()
}

/// The digest of the whole dataset, of all shards' sums in any order.
pub fn dataset(mut sums: Vec<(u32, Digest)>) -> Digest {
    sums.sort_unstable_by_key(|(db, _)| *db);
    let mut whole = Digest::default();
    let mut last = None;
    for (db, sum) in sums {
        if last != Some(db) {
            whole.mix(&db.to_be_bytes());
            last = Some(db);
        }
        whole.combine(sum);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::hash::{Hash, HashLimits};
    use crate::value::{HashSeed, Value};

    /// What redis-server 7.0.15 says after: SET a 5, SET b hello, HSET h f v g 12 in database 0;
    /// SET a 5 PXAT 4000000000000 in 1; HSET h f v, PEXPIREAT h 4000000000000 in 9.
    const REDIS_DIGEST: &str = "13c83d411e4d25ccc6823148088c618f947a10be";
    const LATER_MS: Option<u64> = Some(4_000_000_000_000);

    fn hash(fields: &[(&str, &str)]) -> Value {
        let mut hash = Hash::new();
        for (field, value) in fields {
            let limits = HashLimits::default();
            hash.set(field.as_bytes(), value.as_bytes(), &limits, &SEED);
        }
        Value::Hash(Box::new(hash))
    }

    const SEED: HashSeed = HashSeed([1, 2, 3, 4]);

    /// The dataset, each entry put where `shard` says.
    fn fill(keyspaces: &mut [Keyspace], shard: impl Fn(&str) -> usize) {
        let entries = [
            (0, "a", Value::Int(5), None),
            (0, "b", Value::Bytes(b"hello".to_vec()), None),
            (0, "h", hash(&[("f", "v"), ("g", "12")]), None),
            (1, "a", Value::Int(5), LATER_MS),
            (9, "h", hash(&[("f", "v")]), LATER_MS),
        ];
        for (db, key, value, expire_at) in entries {
            let entry = Entry::new(key.as_bytes(), value, expire_at);
            keyspaces[shard(key)].db_mut(db).insert(entry);
        }
    }

    fn digest(keyspaces: &[Keyspace]) -> String {
        dataset(keyspaces.iter().flat_map(shard_sums).collect()).to_string()
    }

    #[test]
    fn the_digest_of_a_sorted_set_is_that_of_valkey() {
        let mut set = Box::new(crate::value::sorted_set::SortedSet::new());
        for (member, score) in [
            ("a", 1.0),
            ("b", 2.5),
            (
                "a member that has some more letters than fit into a slot",
                3.0,
            ),
            ("d", f64::NEG_INFINITY),
            ("e", f64::INFINITY),
            ("12345", 7.0),
        ] {
            set.set(member.as_bytes(), score, &Default::default(), &SEED);
        }
        let mut digest = Digest::default();
        digest.mix_entry(&Entry::new(b"z", Value::SortedSet(set), None));
        assert_eq!(
            digest.to_string(),
            "4d45e8e8e5e66ac12d22c4f8582ae17aa82dfe90"
        );
    }

    #[test]
    fn an_empty_dataset_is_all_zeros() {
        assert_eq!(digest(&[Keyspace::new(16, &SEED)]), "0".repeat(40));
    }

    #[test]
    fn the_digest_is_that_of_redis_however_the_keys_are_spread() {
        let mut one = [Keyspace::new(16, &SEED)];
        fill(&mut one, |_| 0);
        assert_eq!(digest(&one), REDIS_DIGEST);
        let mut three = [(); 3].map(|()| Keyspace::new(16, &SEED));
        fill(&mut three, |key| usize::from(key.as_bytes()[0] % 3));
        assert_eq!(digest(&three), REDIS_DIGEST);
        three.reverse();
        assert_eq!(digest(&three), REDIS_DIGEST);
    }
}
