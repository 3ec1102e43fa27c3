use super::*;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// A good 64-bit mix (splitmix64): hash function and random source of these tests.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % below
    }
}

fn hash_of(key: u64) -> u64 {
    mix(key.wrapping_add(0x9e37_79b9_7f4a_7c15))
}

#[derive(Default)]
struct Counted {
    count: usize,
    sum: u64,
}

impl Note<u64> for Counted {
    fn added(&mut self, element: &u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(*element);
    }
    fn removed(&mut self, element: &u64) {
        self.count -= 1;
        self.sum = self.sum.wrapping_sub(*element);
    }
}

type Numbers = Table<u64, Counted>;

fn insert(table: &mut Numbers, key: u64) -> bool {
    match table.entry(hash_of(key), |&k| k == key, |&k| hash_of(k)) {
        Slot::Occupied(_) => false,
        Slot::Vacant(place) => {
            place.insert(key);
            true
        }
    }
}

fn remove(table: &mut Numbers, key: u64) -> bool {
    table
        .remove(hash_of(key), |&k| k == key, |&k| hash_of(k))
        .is_some()
}

fn contains(table: &Numbers, key: u64) -> bool {
    table.find(hash_of(key), |&k| k == key).is_some()
}

fn filled(keys: u64) -> Numbers {
    let mut table = Numbers::new();
    for key in 0..keys {
        assert!(insert(&mut table, key));
    }
    table
}

fn order(key: &u64) -> u16 {
    hash_of(*key) as u16
}

/// Structure, counts and notes agree with each other.
fn check(table: &Numbers) {
    let mut len = 0;
    let mut live = HashSet::new();
    for (slot, &index) in table.directory.iter().enumerate() {
        let segment = table.segments.get(index as usize);
        assert!(segment.depth <= table.depth());
        if live.insert(index) {
            let slots = 1 << (table.depth() - segment.depth);
            assert_eq!(slot % slots, 0);
            assert!(
                table.directory[slot..slot + slots]
                    .iter()
                    .all(|&i| i == index)
            );
            for element in segment.table.iter() {
                assert_eq!(table.segment_index(hash_of(*element)), Some(index as usize));
            }
            let sum = segment
                .table
                .iter()
                .fold(0u64, |sum, &e| sum.wrapping_add(e));
            assert_eq!(
                (segment.note.count, segment.note.sum),
                (segment.table.len(), sum)
            );
            len += segment.table.len();
        }
    }
    assert_eq!(len, table.len());
    assert_eq!(live.len(), table.live_segments());
    assert_eq!(table.depths.iter().sum::<u32>() as usize, live.len());
    assert!(table.depths.last() != Some(&0));
}

#[test]
fn an_empty_table_has_no_memory_and_answers_everything() {
    let mut table = Numbers::new();
    assert_eq!((table.memory(), table.len()), (0, 0));
    assert!(!contains(&table, 1) && !remove(&mut table, 1));
    assert_eq!(table.random(7), None);
    assert_eq!(table.scan(0, 10, order, |_| panic!("nothing is there")), 0);
    assert_eq!(
        table.scan(12345 << 21, 10, order, |_| panic!("nothing is there")),
        0
    );
    assert_eq!(table.walk(0, order, |_| panic!("nothing is there")), 0);
    assert_eq!(table.visit(0, |_, _| panic!("no segment")), None);
}

#[test]
fn a_table_of_one_element_is_small() {
    assert!(filled(1).memory() < 300, "{}", filled(1).memory());
}

#[test]
fn random_operations_agree_with_a_hash_set() {
    let mut random = Random(1);
    let mut table = Numbers::new();
    let mut model = HashSet::new();
    let rounds = if cfg!(miri) { 2 } else { 40 };
    for round in 0..rounds {
        // Grow and shrink in turn, over several splits and merges.
        let growing = round % 4 < 2;
        for _ in 0..if cfg!(miri) { 1500 } else { 20_000 } {
            let key = random.next(30_000);
            if random.next(10) < if growing { 8 } else { 1 } {
                assert_eq!(insert(&mut table, key), model.insert(key));
            } else {
                assert_eq!(remove(&mut table, key), model.remove(&key));
            }
            let probe = random.next(30_000);
            assert_eq!(contains(&table, probe), model.contains(&probe));
        }
        check(&table);
        assert_eq!(table.iter().copied().collect::<HashSet<_>>(), model);
        assert_eq!(table.iter().count(), model.len());
    }
}

#[test]
fn no_segment_outgrows_its_size_and_the_directory_stays_small() {
    let table = filled(if cfg!(miri) { 3000 } else { 300_000 });
    check(&table);
    assert!(
        table
            .segments
            .iter()
            .all(|s| s.table.num_buckets() <= BUCKETS_MAX)
    );
    assert!(table.directory.len() <= 4 * table.segments.len());
}

#[test]
fn an_expected_number_of_elements_costs_fewer_hashes_and_memory_only_for_what_comes() {
    const KEYS: u64 = 50_000;
    let hashes = |expected: usize| {
        let (mut table, count) = (Numbers::new(), Cell::new(0_u64));
        table.expect(expected);
        for key in 0..KEYS {
            table.insert(hash_of(key), key, |&key| {
                count.set(count.get() + 1);
                hash_of(key)
            });
        }
        check(&table);
        assert!((0..KEYS).all(|key| contains(&table, key)));
        (count.get(), table.memory())
    };
    let (unexpected, memory) = hashes(0);
    let (right, _) = hashes(KEYS as usize);
    assert!(right * 5 < unexpected, "{right} hashes, else {unexpected}");
    // A number that is far too high is no way to memory.
    let (_, lied) = hashes(usize::MAX);
    assert!(lied < memory * 3, "{lied} bytes, else {memory}");
}

#[test]
fn removing_gives_segments_back_that_were_expected() {
    let mut table = Numbers::new();
    table.expect(usize::MAX);
    (0..20_000).for_each(|key| assert!(insert(&mut table, key)));
    (0..19_990).for_each(|key| assert!(remove(&mut table, key)));
    check(&table);
    assert!(
        table.live_segments() < 4,
        "{} segments",
        table.live_segments()
    );
}

#[test]
fn removing_everything_gives_the_segments_back() {
    let mut table = filled(if cfg!(miri) { 3000 } else { 100_000 });
    let full = table.memory();
    for key in 0..table.len() as u64 {
        assert!(remove(&mut table, key));
    }
    check(&table);
    assert_eq!((table.live_segments(), table.directory.len()), (1, 1));
    assert!(table.memory() < full / 10, "{} of {full}", table.memory());
    assert!(insert(&mut table, 5) && contains(&table, 5));
}

#[test]
fn equal_hashes_neither_loop_nor_blow_up_the_directory() {
    for same_bits in [64, 40, 28] {
        let hash_of = |key: &u64| {
            if same_bits == 64 {
                77
            } else {
                mix(*key) >> same_bits
            }
        };
        let mut table: Table<u64> = Table::new();
        for key in 0..if cfg!(miri) { 2000 } else { 5_000 } {
            match table.entry(hash_of(&key), |&k| k == key, hash_of) {
                Slot::Occupied(_) => panic!("{key} was not there"),
                Slot::Vacant(place) => place.insert(key),
            };
        }
        assert!(table.directory.len() <= 1024, "{}", table.directory.len());
        for key in 0..table.len() as u64 {
            assert_eq!(table.find(hash_of(&key), |&k| k == key), Some(&key));
        }
        for key in 0..table.len() as u64 {
            assert_eq!(
                table.remove(hash_of(&key), |&k| k == key, hash_of),
                Some(key)
            );
        }
        assert_eq!(table.live_segments(), 1);
    }
}

#[test]
fn control_bits_discriminate_within_a_segment() {
    let table = filled(if cfg!(miri) { 2000 } else { 100_000 });
    let compared = Cell::new(0usize);
    for key in 1_000_000..1_000_000 + 1000u64 {
        let miss = table.find(hash_of(key), |&k| {
            compared.set(compared.get() + 1);
            k == key
        });
        assert_eq!(miss, None);
    }
    // With seven good bits a miss compares 0.1 elements at most; with a constant tag, dozens.
    assert!(compared.get() < 300, "{}", compared.get());
}

#[test]
fn a_scan_sees_all_that_stays_while_the_table_grows_and_shrinks() {
    let mut random = Random(2);
    for round in 0..if cfg!(miri) { 2 } else { 60 } {
        let stay = 1 + random.next(if round % 2 == 0 { 800 } else { 8000 });
        let mut table = filled(stay);
        let mut seen: HashMap<u64, usize> = HashMap::new();
        let (mut cursor, mut fresh) = (0, 1_000_000);
        let count = 1 + random.next(200) as usize;
        let growing = round % 3 != 0;
        if !growing {
            (0..40_000).for_each(|n| assert!(insert(&mut table, fresh + n)));
        }
        let mut steps = 0;
        loop {
            cursor = table.scan(cursor, count, order, |&k| *seen.entry(k).or_default() += 1);
            assert!(cursor < 1 << 49);
            steps += 1;
            if cursor == 0 {
                break;
            }
            for _ in 0..if steps < 200 { random.next(400) } else { 0 } {
                if growing {
                    assert!(insert(&mut table, fresh));
                } else {
                    remove(&mut table, fresh);
                }
                fresh += 1;
            }
        }
        assert!(
            (0..stay).all(|key| seen.contains_key(&key)),
            "round {round}"
        );
        if growing {
            assert!(seen.values().all(|&times| times == 1), "only merges repeat");
        }
    }
}

#[test]
fn a_scan_step_returns_about_as_many_as_asked_for() {
    let table = filled(if cfg!(miri) { 2000 } else { 50_000 });
    for count in [1, 10, 100, 1000, 5000] {
        let mut cursor = 0;
        loop {
            let mut got = 0;
            cursor = table.scan(cursor, count, order, |_| got += 1);
            assert!(got <= count + 3, "{got} of {count}");
            if cursor == 0 {
                break;
            }
            assert!(got >= count.min(table.len()), "{got} of {count}");
        }
    }
}

#[test]
fn any_cursor_is_safe_to_scan_from() {
    let table = filled(5_000);
    let mut random = Random(3);
    for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
        let mut cursor = random.next(u64::MAX);
        cursor = table.scan(cursor, 1000, order, |_| ());
        assert!(cursor < 1 << 49);
    }
}

#[test]
fn a_walk_with_seen_marks_visits_everything_once_across_splits() {
    let mut table = filled(800);
    let (mut cursor, mut seen, mut fresh) = (0, HashSet::new(), 1_000_000);
    loop {
        let mut left = 50;
        cursor = table.walk(cursor, order, |&mut key| {
            left -= i32::from(key < 1_000_000 && seen.insert(key));
            left > 0
        });
        if cursor == 0 {
            break;
        }
        for _ in 0..300 {
            assert!(insert(&mut table, fresh));
            fresh += 1;
        }
    }
    assert_eq!(seen.len(), 800);
}

#[test]
fn random_reaches_every_element_about_equally() {
    let mut random = Random(4);
    let table = filled(2_000);
    let mut times = HashMap::new();
    let draws = if cfg!(miri) { 500 } else { 200_000 };
    for _ in 0..draws {
        *times
            .entry(*table.random(random.next(u64::MAX)).unwrap())
            .or_insert(0) += 1;
    }
    if !cfg!(miri) {
        assert_eq!(times.len(), 2_000);
        assert!(
            times.values().all(|&n| n < 1000),
            "{:?}",
            times.values().max()
        );
    }
}

#[test]
fn random_finds_the_last_survivor_of_a_large_table() {
    let mut table = filled(if cfg!(miri) { 3000 } else { 50_000 });
    for key in 0..table.len() as u64 {
        if key != 777 {
            assert!(remove(&mut table, key));
        }
    }
    let mut random = Random(5);
    assert!((0..100).all(|_| table.random(random.next(u64::MAX)) == Some(&777)));
}

#[test]
fn visiting_segments_covers_the_table_and_taking_it_apart_too() {
    let table_len = if cfg!(miri) { 2000 } else { 20_000 };
    let mut table = filled(table_len);
    let (mut position, mut seen) = (Some(0), 0);
    while let Some(at) = position {
        position = table.visit(at, |note, elements| {
            assert_eq!(note.count, elements.len());
            seen += note.count;
        });
    }
    assert_eq!(seen as u64, table_len);
    let mut segments = table.into_segments();
    assert!(
        segments
            .by_ref()
            .take(2)
            .all(|segment| segment.len() <= SEGMENT_LEN_MAX)
    );
    assert!(segments.map(|segment| segment.count()).sum::<usize>() < table_len as usize);
}
