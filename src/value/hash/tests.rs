use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SEED: HashSeed = HashSeed([1, 2, 3, 4]);

/// Small enough for tables that tests can fill.
const LIMITS: HashLimits = HashLimits {
    entries_max: 128,
    value_len_max: 64,
};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn hash_of(fields: usize) -> Hash {
    let mut hash = Hash::new();
    for index in 0..fields {
        hash.set(
            format!("field:{index}").as_bytes(),
            b"value",
            &LIMITS,
            &SEED,
        );
    }
    hash
}

fn contents(hash: &Hash) -> Model {
    hash.iter()
        .map(|(field, value)| (field.to_vec(), value.to_vec()))
        .collect()
}

/// A generator good enough for tests (SplitMix64).
fn random_numbers() -> impl FnMut() -> u64 {
    let mut state = 7u64;
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[test]
fn the_hundred_and_twenty_ninth_field_converts_and_nothing_converts_back() {
    let mut hash = hash_of(128);
    assert_eq!(hash.encoding(), "listpack");
    // Not a new field: stays.
    assert!(!hash.set(b"field:0", b"other", &LIMITS, &SEED));
    assert_eq!(hash.encoding(), "listpack");
    let mut expected = contents(&hash);
    assert!(hash.set(b"one more", b"1", &LIMITS, &SEED));
    expected.insert(b"one more".to_vec(), b"1".to_vec());
    assert_eq!(hash.encoding(), "hashtable");
    assert_eq!(contents(&hash), expected);
    for index in 0..128 {
        assert!(hash.delete(format!("field:{index}").as_bytes()));
    }
    assert_eq!((hash.len(), hash.encoding()), (1, "hashtable"));
}

#[test]
fn a_field_or_value_of_sixty_five_bytes_converts() {
    let limits = LIMITS;
    let (fits, long) = ([b'x'; 64], [b'x'; 65]);
    let mut hash = Hash::new();
    hash.set(&fits, &fits, &limits, &SEED);
    assert_eq!(hash.encoding(), "listpack");
    let mut other = hash.clone();
    hash.set(&long, b"", &limits, &SEED);
    other.set(&fits, &long, &limits, &SEED);
    assert_eq!(
        (hash.encoding(), other.encoding()),
        ("hashtable", "hashtable")
    );
    assert_eq!((hash.len(), other.len()), (2, 1));
}

#[test]
fn prepare_looks_at_the_new_arguments_only() {
    let prepared = |start: usize, args: &[&[u8]]| {
        let mut hash = hash_of(start);
        hash.prepare(args.iter().copied(), &LIMITS, &SEED);
        (hash.encoding(), hash.len())
    };
    assert_eq!(prepared(128, &[b"f", b"v"]), ("listpack", 128));
    assert_eq!(prepared(1, &[b"f", &[b'x'; 65]]), ("hashtable", 1));
    assert_eq!(prepared(1, &[&b"f"[..]; 256]), ("listpack", 1));
    assert_eq!(prepared(1, &[&b"f"[..]; 258]), ("hashtable", 1));
}

#[test]
fn a_listpack_that_would_pass_a_gibibyte_is_left_before_it_is_filled() {
    let limits = HashLimits {
        entries_max: usize::MAX,
        value_len_max: usize::MAX,
    };
    let megabyte = vec![b'x'; 1 << 20];
    let mut args = vec![&megabyte[..]; 1023];
    args.push(&megabyte[..(1 << 20) - 7]);
    let mut hash = Hash::new();
    hash.prepare(args.iter().copied(), &limits, &SEED);
    assert_eq!(hash.encoding(), "listpack");
    args.push(b"x");
    hash.prepare(args.iter().copied(), &limits, &SEED);
    assert_eq!(hash.encoding(), "hashtable");
}

#[test]
fn a_small_hash_lists_its_fields_in_the_order_of_insertion() {
    let mut hash = hash_of(3);
    hash.set(b"field:0", b"new", &LIMITS, &SEED);
    hash.delete(b"field:1");
    hash.set(b"field:1", b"7", &LIMITS, &SEED);
    let fields: Vec<_> = hash.iter().map(|(field, _)| field.to_vec()).collect();
    assert_eq!(fields, [b"field:0", b"field:2", b"field:1"]);
    assert_eq!(hash.get(b"field:1"), Some(Element::Int(7)));
    assert_eq!(hash.get(b"field:1").and_then(Element::as_i64), Some(7));
}

#[test]
fn a_listpack_from_outside_must_be_pairs_without_duplicates() {
    let from = |values: &[&[u8]], limits: &HashLimits| {
        let mut listpack = Listpack::new();
        values.iter().for_each(|value| listpack.push_back(value));
        Hash::from_listpack(listpack, limits, &SEED)
    };
    let limits = HashLimits {
        entries_max: 2,
        ..LIMITS
    };
    assert_eq!(from(&[], &limits).err(), Some(HashError::Empty));
    assert_eq!(from(&[b"a"], &limits).err(), Some(HashError::Odd));
    assert_eq!(
        from(&[b"7", b"1", b"7", b"2"], &limits).err(),
        Some(HashError::Duplicate)
    );
    let encoding = |values: &[&[u8]]| from(values, &limits).map(|hash| hash.encoding());
    assert_eq!(encoding(&[b"a", b"a", b"b", b"a"]), Ok("listpack"));
    assert_eq!(
        encoding(&[b"a", b"", b"b", b"", b"c", b""]),
        Ok("hashtable")
    );
    assert_eq!(encoding(&[b"a", &[b'x'; 100]]), Ok("listpack"));
}

#[test]
fn an_integer_stored_as_a_string_by_another_writer_is_the_same_field() {
    // The listpack holds "7" with a string's first byte.
    let bytes = b"\x0c\0\0\0\x02\0\x817\x02\x01\x01\xff".to_vec();
    let listpack = Listpack::from_bytes(bytes).unwrap();
    let mut hash = Hash::from_listpack(listpack, &LIMITS, &SEED).unwrap();
    assert_eq!(hash.get(b"7"), Some(Element::Int(1)));
    assert!(!hash.set(b"7", b"2", &LIMITS, &SEED));
}

#[test]
fn random_draws_reach_every_field_and_repeat_only_if_asked() {
    for size in [1, 5, 128, 200, 3000] {
        let hash = hash_of(size);
        let mut next = random_numbers();
        let mut seen = BTreeSet::new();
        for _ in 0..size * 30 {
            let (field, value) = hash.random(next()).unwrap();
            assert_eq!(value.to_vec(), b"value");
            seen.insert(field.to_vec());
        }
        assert_eq!(seen.len(), size);
        let mut drawn = Vec::new();
        hash.random_repeated(size * 30, &mut next, |(field, _)| {
            drawn.push(field.to_vec())
        });
        assert_eq!(drawn.len(), size * 30);
        assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), seen);
        for count in [0, 1, size / 5, size / 2, size, size + 1] {
            let mut drawn = BTreeSet::new();
            let mut calls = 0;
            hash.random_distinct(count, &mut next, |(field, _)| {
                calls += 1;
                drawn.insert(field.to_vec());
            });
            assert_eq!((calls, drawn.len()), (count.min(size), count.min(size)));
        }
    }
    assert!(Hash::new().random(5).is_none());
}

#[test]
fn distinct_draws_end_even_if_the_random_numbers_are_constant() {
    let hash = hash_of(1000);
    let mut drawn = BTreeSet::new();
    hash.random_distinct(
        100,
        || 42,
        |(field, _)| {
            drawn.insert(field.to_vec());
        },
    );
    assert_eq!(drawn.len(), 100);
}

#[test]
fn a_scan_gives_every_field_that_stays_while_others_come_and_go() {
    let limits = LIMITS;
    let mut hash = hash_of(5000);
    let (mut seen, mut cursor, mut steps) = (BTreeSet::new(), 0, 0);
    loop {
        cursor = hash.scan(cursor, 10, |(field, _)| {
            seen.insert(field.to_vec());
        });
        steps += 1;
        if cursor == 0 {
            break;
        }
        for index in 0..10 {
            hash.set(
                format!("late:{steps}:{index}").as_bytes(),
                b"",
                &limits,
                &SEED,
            );
            hash.delete(format!("late:{}:{index}", steps - 5).as_bytes());
        }
    }
    assert!(steps > 100);
    for index in 0..5000 {
        assert!(
            seen.contains(format!("field:{index}").as_bytes()),
            "{index}"
        );
    }
}

#[test]
fn a_small_hash_is_scanned_in_one_step() {
    let hash = hash_of(20);
    let mut seen = 0;
    assert_eq!(hash.scan(0, 1, |_| seen += 1), 0);
    assert_eq!(hash.scan(99, 1, |_| seen += 1), 0);
    assert_eq!(seen, 40);
}

#[test]
fn memory_follows_what_is_added_and_removed() {
    let mut hash = hash_of(1000);
    let before = hash.memory();
    assert!(before > 1000 * 16);
    hash.set(b"field:1", &[b'x'; 10_000], &LIMITS, &SEED);
    // A copy has no slack.
    assert!(hash.clone().memory() <= hash.memory());
    assert!(hash.memory() >= before + 10_000 - 16);
    hash.delete(b"field:1");
    // The row of long records is kept.
    assert!(hash.memory() < before + 256);
    assert!(hash_of(3).memory() < 200);
}

#[test]
fn a_large_hash_is_freed_in_small_steps() {
    let steps: Vec<_> = hash_of(20_000).into_garbage().collect();
    assert!(steps.len() > 20_000 / 1024);
    assert!(steps.iter().all(|&step| step <= 1024));
    assert_eq!(hash_of(3).into_garbage().collect::<Vec<_>>(), [3]);
}

#[test]
fn a_field_keeps_its_parts_at_every_length() {
    for len in [0, 1, 127, 128, 16_383, 16_384, 100_000] {
        let name = vec![b'n'; len];
        let mut fields = Packed::new(SEED);
        assert!(set(&mut fields, &name, b"value"));
        assert!(!set(&mut fields, &name, b"other"));
        let record = fields.get(&name).expect("it was set");
        assert_eq!(parts(record), (&name[..], &b"other"[..]));
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0u32..40).prop_map(|int| int.to_string().into_bytes()),
        vec(0u8..3, 0..3),
        vec(any::<u8>(), 0..12),
        // About the longest that is packed.
        (110usize..140).prop_map(|len| vec![b'x'; len]),
    ]
}

proptest! {
    #[test]
    fn any_sequence_of_changes_agrees_with_a_map(
        steps in vec((text(), proptest::option::weighted(0.8, text())), 0..120),
        entries_max in 0usize..40,
        value_len_max in 2usize..14,
    ) {
        let limits = HashLimits { entries_max, value_len_max };
        let (mut hash, mut model) = (Hash::new(), Model::new());
        let mut converted = false;
        for (field, value) in steps {
            match value {
                Some(value) => {
                    converted |= field.len().max(value.len()) > value_len_max;
                    let new = hash.set(&field, &value, &limits, &SEED);
                    prop_assert_eq!(new, model.insert(field.clone(), value.clone()).is_none());
                    prop_assert_eq!(hash.get(&field).map(Element::to_vec), Some(value));
                    converted |= model.len() > entries_max;
                }
                None => {
                    prop_assert_eq!(hash.delete(&field), model.remove(&field).is_some());
                    prop_assert!(!hash.contains(&field));
                }
            }
            prop_assert_eq!(hash.len(), model.len());
            prop_assert_eq!(hash.is_empty(), model.is_empty());
            prop_assert_eq!(hash.encoding() == "hashtable", converted);
            prop_assert_eq!(hash.as_listpack().is_none(), converted);
        }
        prop_assert_eq!(&contents(&hash), &model);
        prop_assert_eq!(&contents(&hash.clone()), &model);
    }
}
