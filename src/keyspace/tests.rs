use super::*;
use crate::value::Value;

const SEED: Seed = Seed([9, 9, 9, 9]);

fn key(n: u64) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

#[test]
fn swapping_exchanges_contents_and_flushing_empties_one() {
    let mut keyspace = Keyspace::new(3, &SEED);
    keyspace.db_mut(0).set_string(b"a", b"1", SetExpiry::At(5));
    keyspace.db_mut(1).set_string(b"b", b"2", SetExpiry::Clear);
    keyspace.swap(0, 1);
    assert!(keyspace.db(1).get(b"a").is_some() && keyspace.db(0).get(b"b").is_some());
    assert_eq!((keyspace.total_len(), keyspace.db(1).expires()), (2, 1));
    keyspace.flush(1);
    assert_eq!((keyspace.total_len(), keyspace.db(1).expires()), (1, 0));
    keyspace.flush_all();
    assert_eq!((keyspace.total_len(), keyspace.memory()), (0, 0));
    assert_eq!(keyspace.databases(), 3);
}

#[test]
#[cfg_attr(miri, ignore = "many keys, no unsafe code of its own")]
fn flushed_tables_are_freed_in_slices() {
    let mut keyspace = Keyspace::new(2, &SEED);
    for n in 0..5_000 {
        keyspace
            .db_mut(1)
            .set_string(&key(n), b"v", SetExpiry::Clear);
    }
    let mut hash = Box::new(crate::value::hash::Hash::new());
    for n in 0..5_000 {
        hash.set(&key(n), b"v", &Default::default(), &SEED);
    }
    keyspace
        .db_mut(1)
        .insert(Entry::new(b"hash", Value::Hash(hash), None));
    keyspace.flush(1);
    let mut slices = 1;
    while keyspace.free_slice(100) {
        slices += 1;
    }
    // A slice ends within the segment of a collection that it has begun, about 900 fields.
    assert!((50..110).contains(&slices), "{slices}");
    assert!(!keyspace.free_slice(100));
}

#[test]
fn the_clock_reaches_every_database() {
    let mut keyspace = Keyspace::new(2, &SEED);
    keyspace.set_clock(42);
    keyspace.db_mut(1).set_string(b"k", b"v", SetExpiry::Clear);
    assert_eq!(keyspace.db(1).get(b"k").map(Entry::access), Some(42));
}
