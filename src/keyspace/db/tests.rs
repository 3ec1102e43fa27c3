use super::*;
use crate::value::{Value, ValueRef};
use std::collections::{BTreeMap, HashMap, HashSet};

const SEED: HashSeed = HashSeed([1, 2, 3, 4]);

struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040);
        (self.0 >> 33) % below
    }
}

fn key(n: u64) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

fn text(entry: &Entry) -> Vec<u8> {
    match entry.value() {
        ValueRef::Int(int) => int.to_string().into_bytes(),
        ValueRef::Bytes(bytes) => bytes.to_vec(),
        _ => panic!("a string"),
    }
}

fn large_hash() -> Value {
    let mut hash = crate::value::hash::Hash::new();
    for n in 0..2000 {
        hash.set(&key(n), b"v", &Default::default(), &SEED);
    }
    Value::Hash(Box::new(hash))
}

/// Counts and bounds say what the entries say.
fn check(db: &mut Db) {
    let expiring = db
        .iter()
        .filter(|entry| entry.expire_at().is_some())
        .count();
    assert_eq!(db.expires(), expiring);
    let (mut position, mut counted) = (Some(0), 0);
    while let Some(at) = position {
        position = db.table.visit(at, |note, entries| {
            let expiries: Vec<_> = entries.filter_map(|entry| entry.expire_at()).collect();
            assert_eq!(note.count as usize, expiries.len());
            assert!(expiries.iter().all(|&at| note.bound_ms <= at));
            counted += expiries.len();
        });
    }
    assert_eq!(counted, expiring);
}

#[test]
fn random_operations_agree_with_a_map() {
    let mut random = Random(1);
    let mut db = Db::new(&SEED);
    let mut model: BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)> = BTreeMap::new();
    for step in 0..if cfg!(miri) { 600 } else { 200_000 } {
        let key = key(random.next(if cfg!(miri) { 40 } else { 5_000 }));
        let value = match random.next(3) {
            0 => random.next(1000).to_string().into_bytes(),
            1 => vec![b'x'; random.next(200) as usize],
            _ => vec![b'y'; random.next(3000) as usize],
        };
        let at = (random.next(2) == 0).then(|| random.next(1000));
        match random.next(7) {
            0..2 => {
                let old = model.get(&key).and_then(|(_, at)| *at);
                let (expiry, at) = match random.next(3) {
                    0 => (SetExpiry::Clear, None),
                    1 => (SetExpiry::Keep, old),
                    _ => (SetExpiry::At(7), Some(7)),
                };
                let existed = db.set_string(&key, &value, expiry).is_some();
                assert_eq!(existed, model.insert(key, (value, at)).is_some());
            }
            2 => {
                let entry = Entry::new(&key, Value::string(&value), at);
                let old = db
                    .insert(entry)
                    .map(|entry| (text(&entry), entry.expire_at()));
                assert_eq!(old, model.insert(key, (value, at)));
            }
            3 => {
                let old = db
                    .remove(&key)
                    .map(|entry| (text(&entry), entry.expire_at()));
                assert_eq!(old, model.remove(&key));
            }
            4 => {
                let known = model.get_mut(&key).map(|entry| entry.1 = at).is_some();
                assert_eq!(db.set_expiry(&key, at), known);
            }
            5 => {
                let changed = db
                    .get_mut(&key)
                    .and_then(|e| e.string_mut(|s| s.push(b'+')));
                let known = model.get_mut(&key).map(|entry| entry.0.push(b'+'));
                assert_eq!(changed, known);
            }
            _ => {
                let found = db.get(&key).map(|entry| (text(entry), entry.expire_at()));
                assert_eq!(found, model.get(&key).cloned());
            }
        }
        assert_eq!(db.len(), model.len());
        if step % 20_000 == 0 {
            check(&mut db);
        }
    }
    check(&mut db);
    let all: BTreeMap<_, _> = db
        .iter()
        .map(|entry| (entry.key().to_vec(), (text(entry), entry.expire_at())))
        .collect();
    assert_eq!(all, model);
}

#[test]
fn a_write_and_a_touching_read_stamp_the_clock_and_a_plain_read_does_not() {
    let mut db = Db::new(&SEED);
    db.set_clock(5);
    db.set_string(b"k", b"v", SetExpiry::Clear);
    db.set_clock(6);
    assert_eq!(db.get(b"k").map(Entry::access), Some(5));
    assert_eq!(db.get_touch(b"k").map(Entry::access), Some(6));
    db.set_clock(7);
    assert_eq!(db.get_mut(b"k").map(|entry| entry.access()), Some(7));
    // A lent entry keeps its own when it comes back.
    let lent = db.remove(b"k").unwrap();
    db.set_clock(8);
    db.insert(lent);
    assert_eq!(db.get(b"k").map(Entry::access), Some(7));
    db.prefetch(db.hash(b"k"));
}

#[test]
#[cfg_attr(miri, ignore = "many fields, no unsafe code of its own")]
fn a_large_collection_is_freed_later_when_it_is_overwritten_or_discarded() {
    let mut db = Db::new(&SEED);
    db.insert(Entry::new(b"h", large_hash(), Some(9)));
    assert!(db.set_string(b"h", b"v", SetExpiry::Keep).is_some());
    assert_eq!(db.garbage.len(), 1);
    assert_eq!(
        db.get(b"h").map(|entry| (text(entry), entry.expire_at())),
        Some((b"v".to_vec(), Some(9)))
    );
    let removed = db.remove(b"h").unwrap();
    db.discard(removed);
    assert_eq!(db.garbage.len(), 1);
    db.discard(Entry::new(b"h", large_hash(), None));
    assert_eq!(db.garbage.len(), 2);
    check(&mut db);
}

#[test]
#[cfg_attr(miri, ignore = "many keys, no unsafe code of its own")]
fn expired_keys_are_found_in_slices_and_segments_without_any_are_skipped() {
    let mut db = Db::new(&SEED);
    let keys = 20_000;
    for n in 0..keys {
        let at = if n % 100 == 0 {
            SetExpiry::At(1000 + n)
        } else {
            SetExpiry::Clear
        };
        db.set_string(&key(n), b"v", at);
    }
    let mut out = Vec::new();
    assert!(!db.expired_slice(1000, usize::MAX, &mut out));
    assert!(out.is_empty());
    let (mut calls, now) = (1, 1000 + keys);
    while db.expired_slice(now, 100, &mut out) {
        calls += 1;
    }
    let found: HashSet<_> = out.iter().map(|key| key.to_vec()).collect();
    assert_eq!(
        (found.len(), out.len()),
        (keys as usize / 100, keys as usize / 100)
    );
    assert!(calls > 1, "a small budget takes several slices");
    for key in &out {
        assert!(db.get(key).is_some_and(|entry| entry.is_expired(now)));
        assert!(db.remove(key).is_some());
    }
    check(&mut db);
    out.clear();
    assert!(!db.expired_slice(u64::MAX, usize::MAX, &mut out));
    assert!(out.is_empty() && db.expires() == 0);
}

#[test]
fn an_expired_key_that_is_left_alone_is_reported_again_later() {
    let mut db = Db::new(&SEED);
    db.set_string(b"locked", b"v", SetExpiry::At(10));
    db.set_string(b"later", b"v", SetExpiry::At(500));
    let mut found = |now| {
        let mut out = Vec::new();
        while db.expired_slice(now, 1, &mut out) {}
        out.len()
    };
    assert_eq!(
        [found(10), found(11), found(12), found(112), found(700)],
        [0, 1, 0, 1, 2]
    );
}

#[test]
#[cfg_attr(miri, ignore = "many keys, no unsafe code of its own")]
fn the_mean_time_to_live_is_estimated() {
    let mut db = Db::new(&SEED);
    assert_eq!(db.average_ttl(0), 0);
    for n in 0..2_000 {
        let at = if n % 2 == 0 {
            SetExpiry::At(1000 + n)
        } else {
            SetExpiry::Clear
        };
        db.set_string(&key(n), b"v", at);
    }
    let estimate = db.average_ttl(500);
    assert!((1200..1800).contains(&estimate), "{estimate}");
    assert_eq!(db.average_ttl(u64::MAX), 0);
}

#[test]
#[cfg_attr(miri, ignore = "many keys, no unsafe code of its own")]
fn a_scan_returns_every_key_and_random_returns_some() {
    let mut db = Db::new(&SEED);
    for n in 0..3_000 {
        db.set_string(&key(n), b"v", SetExpiry::Clear);
    }
    let (mut cursor, mut seen) = (0, HashMap::new());
    loop {
        cursor = db.scan(cursor, 10, |entry| {
            *seen.entry(entry.key().to_vec()).or_insert(0) += 1
        });
        if cursor == 0 {
            break;
        }
    }
    assert!(seen.len() == 3_000 && seen.values().all(|&times| times == 1));
    assert!(
        db.random(12345)
            .is_some_and(|entry| seen.contains_key(entry.key()))
    );
}

#[test]
#[cfg_attr(miri, ignore = "many keys, no unsafe code of its own")]
fn a_small_key_and_value_stay_near_their_own_size() {
    let mut db = Db::new(&SEED);
    for n in 0..100_000 {
        db.set_string(
            format!("key:{n:012}").as_bytes(),
            &[b'x'; 64],
            SetExpiry::Clear,
        );
    }
    let per_key = db.memory() / db.len();
    assert!((96..=120).contains(&per_key), "{per_key}");
}
