//! Sets against plain sets of strings.

use super::*;

/// A small generator with a fixed seed.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, len: usize) -> usize {
        below(self.next(), len).unwrap_or(0)
    }
}

const SEED: HashSeed = HashSeed([1, 2, 3, 4]);
const DEFAULT: SetLimits = SetLimits {
    intset_entries_max: 512,
    listpack_entries_max: 128,
    listpack_value_len_max: 64,
};
const TINY: SetLimits = SetLimits {
    intset_entries_max: 4,
    listpack_entries_max: 3,
    listpack_value_len_max: 5,
};
/// At once a table.
const NONE: SetLimits = SetLimits {
    intset_entries_max: 0,
    listpack_entries_max: 0,
    listpack_value_len_max: 0,
};

type Model = BTreeSet<Vec<u8>>;

/// A member of one of several shapes, out of few enough that some come again.
fn member(random: &mut Random, spread: usize) -> Vec<u8> {
    let n = random.below(spread);
    match random.below(8) {
        0 => Vec::new(),
        1 => format!("{:0100}", n % 40).into_bytes(),
        2 => vec![b'x'; n % 70],
        3 => format!("-{n}").into_bytes(),
        4 => format!("member:{n}").into_bytes(),
        5 => (n as i64 * 3_000_000_000).to_string().into_bytes(),
        _ => n.to_string().into_bytes(),
    }
}

fn texts(set: &Set) -> Vec<Vec<u8>> {
    let mut all: Vec<_> = set.iter().map(Element::to_vec).collect();
    all.sort();
    all
}

fn assert_same(set: &Set, model: &Model) {
    assert_eq!(set.len(), model.len());
    assert_eq!(set.is_empty(), model.is_empty());
    assert!(texts(set).iter().eq(model.iter()));
}

fn set_of(members: &[&str], limits: &SetLimits) -> Set {
    let mut set = Set::new();
    for member in members {
        set.insert(member.as_bytes(), limits, &SEED);
    }
    set
}

#[test]
fn random_changes_agree_with_a_plain_set_in_every_encoding() {
    for (seed, limits, spread) in [
        (1, DEFAULT, 40),
        (2, TINY, 20),
        (3, NONE, 300),
        (4, DEFAULT, 3000),
        (5, NONE, 6000),
    ] {
        let mut random = Random(seed);
        let (mut set, mut model) = (Set::new(), Model::new());
        for round in 0..20_000 {
            // Grows and shrinks in turn, so that lanes and segments come and go.
            let growing = (round / 4000) % 2 == 0;
            let member = member(&mut random, spread);
            match random.below(10) {
                0..7 if growing => {
                    let new = set.insert(&member, &limits, &SEED);
                    assert_eq!(new, model.insert(member));
                }
                9 => set.pop(
                    1,
                    || random.next(),
                    |popped| assert!(model.remove(&popped.to_vec())),
                ),
                _ => assert_eq!(set.remove(&member), model.remove(&member)),
            }
            assert_eq!(set.len(), model.len());
        }
        for n in 0..spread {
            let text = n.to_string().into_bytes();
            assert_eq!(set.contains(&text), model.contains(&text));
            assert_eq!(
                set.contains_element(Element::Int(n as i64)),
                model.contains(&text)
            );
        }
        assert_same(&set, &model);
        assert_same(&set.clone(), &model);
        let (before, all) = (set.memory(), set.len());
        set.pop(
            all,
            || random.next(),
            |popped| {
                assert!(model.remove(&popped.to_vec()));
            },
        );
        assert!(set.is_empty() && model.is_empty());
        assert!(set.memory() <= before);
    }
}

#[test]
fn encodings_change_at_the_limits_of_redis() {
    let names = |members: &[&str], limits: &SetLimits| {
        let mut set = Set::new();
        members
            .iter()
            .map(|member| {
                set.insert(member.as_bytes(), limits, &SEED);
                set.encoding()
            })
            .collect::<Vec<_>>()
    };
    let ints = ["1", "2", "3", "4", "5"];
    let want = ["intset", "intset", "intset", "intset", "hashtable"];
    assert_eq!(names(&ints, &TINY), want);
    let words = ["1", "2", "a", "b"];
    let want = ["intset", "intset", "listpack", "hashtable"];
    assert_eq!(names(&words, &TINY), want);
    // The limit is on what was there before.
    assert_eq!(names(&["1", "2", "3", "a"], &TINY)[3], "hashtable");
    assert_eq!(names(&["1", "123456"], &TINY), ["intset", "intset"]);
    assert_eq!(names(&["123456", "a"], &TINY), ["intset", "hashtable"]);
    assert_eq!(names(&["a", "12345"], &TINY), ["listpack", "listpack"]);
    assert_eq!(names(&["a", "123456"], &TINY), ["listpack", "hashtable"]);
    assert_eq!(names(&["01", "-0", ""], &TINY), ["listpack"; 3]);
}

#[test]
fn the_first_member_and_the_number_of_members_choose_the_encoding() {
    let begun = |first: &str, count| {
        let mut set = Set::new();
        set.prepare(first.as_bytes(), count, &TINY, &SEED);
        set.encoding()
    };
    assert_eq!(begun("1", 4), "intset");
    assert_eq!(begun("1", 5), "hashtable");
    assert_eq!(begun("a", 3), "listpack");
    assert_eq!(begun("a", 4), "hashtable");
    let mut set = set_of(&["1"], &TINY);
    set.prepare(b"2", 4, &TINY, &SEED);
    assert_eq!(set.encoding(), "intset");
    set.prepare(b"2", 5, &TINY, &SEED);
    assert_eq!(set.encoding(), "hashtable");
    assert_same(&set, &Model::from([b"1".to_vec()]));
}

#[test]
fn samples_are_of_the_set_and_distinct_where_they_should_be() {
    let mut random = Random(9);
    for (limits, len) in [(DEFAULT, 50), (DEFAULT, 100), (NONE, 700), (TINY, 3)] {
        for prefix in ["", "m"] {
            let mut set = Set::new();
            for n in 0..len {
                set.insert(format!("{prefix}{n}").as_bytes(), &limits, &SEED);
            }
            let model: Model = texts(&set).into_iter().collect();
            for count in [0, 1, 2, len / 3, len - 1, len, len + 5] {
                let mut drawn = Vec::new();
                set.random_distinct(count, || random.next(), |m| drawn.push(m.to_vec()));
                assert_eq!(drawn.len(), count.min(len));
                let distinct: Model = drawn.into_iter().collect();
                assert_eq!(distinct.len(), count.min(len));
                assert!(distinct.is_subset(&model));
                let mut repeated = 0;
                set.random_repeated(
                    count,
                    || random.next(),
                    |m| {
                        assert!(model.contains(&m.to_vec()));
                        repeated += 1;
                    },
                );
                assert_eq!(repeated, count);
                let mut rest = set.clone();
                let mut popped = Model::new();
                rest.pop(
                    count,
                    || random.next(),
                    |m| {
                        assert!(popped.insert(m.to_vec()));
                    },
                );
                assert_eq!(popped.len(), count.min(len));
                assert_same(&rest, &model.difference(&popped).cloned().collect());
            }
            let mut seen = Model::new();
            for _ in 0..len * 20 {
                seen.insert(set.random(random.next()).unwrap().to_vec());
            }
            assert_eq!(seen, model, "every member is drawn at some time");
        }
    }
    assert!(Set::new().random(5).is_none());
}

#[test]
fn a_scan_sees_what_stays_and_a_walk_sees_all_once() {
    let mut random = Random(11);
    let mut set = Set::new();
    for n in 0..3000 {
        set.insert(format!("stays:{n}").as_bytes(), &DEFAULT, &SEED);
    }
    let mut walked = Vec::new();
    let mut cursor = 0;
    loop {
        cursor = set.walk(cursor, 100, |member| walked.push(member.to_vec()));
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(walked.len(), 3000);
    walked.sort();
    assert_eq!(walked, texts(&set));
    let mut seen = Model::new();
    loop {
        cursor = set.scan(cursor, 50, |member| {
            seen.insert(member.to_vec());
        });
        if cursor == 0 {
            break;
        }
        for _ in 0..50 {
            let n = random.below(9000);
            let member = format!("goes:{n}").into_bytes();
            if !set.insert(&member, &DEFAULT, &SEED) {
                set.remove(&member);
            }
        }
    }
    for n in 0..3000 {
        assert!(seen.contains(format!("stays:{n}").as_bytes()));
    }
    for members in [&["1", "2", "3"][..], &["a", "b", "1"]] {
        let small = set_of(members, &DEFAULT);
        let mut all = 0;
        assert_eq!(small.scan(77, 1, |_| all += 1), 0);
        assert_eq!(all, 3);
        let (mut all, mut cursor) = (0, 0);
        loop {
            cursor = small.walk(cursor, 1, |_| all += 1);
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(all, 3);
    }
}

#[test]
fn garbage_counts_no_more_than_a_step_may_take() {
    let mut set = Set::new();
    for n in 0..5000 {
        set.insert(format!("{n:0>140}").as_bytes(), &DEFAULT, &SEED);
        set.insert(format!("m{n}").as_bytes(), &DEFAULT, &SEED);
    }
    let steps: Vec<usize> = set.into_garbage().collect();
    assert!(steps.len() > 10);
    assert!(steps.iter().all(|step| *step <= 1024), "{steps:?}");
    assert!(steps.iter().sum::<usize>() >= 5000);
}

#[test]
fn a_large_set_takes_little_more_than_its_members() {
    let mut set = Set::new();
    for n in 0..100_000 {
        set.insert(format!("element:{n:012}").as_bytes(), &DEFAULT, &SEED);
    }
    let each = set.memory() / set.len();
    assert!(each <= 20 + 24, "{each} bytes for a member of 20");
}

/// Sets of a few kinds with their models.
fn some_sets(random: &mut Random, limits: &SetLimits) -> Vec<(Set, Model)> {
    let count = 1 + random.below(4);
    (0..count)
        .map(|_| {
            let (mut set, mut model) = (Set::new(), Model::new());
            let (kind, size) = (random.below(3), 1 + random.below(30));
            for _ in 0..size {
                let n = random.below(25);
                let member = match kind {
                    0 => n.to_string(),
                    1 => format!("m{n}"),
                    _ if n.is_multiple_of(2) => n.to_string(),
                    _ => format!("m{n}"),
                };
                set.insert(member.as_bytes(), limits, &SEED);
                model.insert(member.into_bytes());
            }
            (set, model)
        })
        .collect()
}

#[test]
fn algebra_agrees_with_that_of_plain_sets() {
    let mut random = Random(13);
    for limits in [DEFAULT, TINY, NONE] {
        for _ in 0..400 {
            let sets = some_sets(&mut random, &limits);
            let models = || sets.iter().map(|(_, model)| model.clone());
            let refs: Vec<&Set> = sets.iter().map(|(set, _)| set).collect();

            let want = models().reduce(|a, b| a.intersection(&b).cloned().collect());
            let want = want.unwrap_or_default();
            let mut got = Model::new();
            intersect(&mut refs.clone(), |m| got.insert(m.to_vec()));
            assert_eq!(got, want);
            assert_same(&intersection_of(&mut refs.clone(), &limits, &SEED), &want);

            let want: Model = models().flatten().collect();
            let mut got = Vec::new();
            union(&refs, &limits, &SEED, |m| got.push(m.to_vec()));
            got.sort();
            assert!(got.iter().eq(want.iter()));
            assert_same(&union_of(&refs, &limits, &SEED), &want);

            let want = models().reduce(|a, b| a.difference(&b).cloned().collect());
            let want = want.unwrap_or_default();
            let mut got = Vec::new();
            let (first, others) = (refs[0], refs[1..].to_vec());
            difference(first, others.clone(), &limits, &SEED, |m| {
                got.push(m.to_vec())
            });
            got.sort();
            assert!(got.iter().eq(want.iter()));
            assert_same(&difference_of(first, others.clone(), &limits, &SEED), &want);
            let itself = [others, vec![first]].concat();
            assert!(difference_of(first, itself, &limits, &SEED).is_empty());
        }
    }
}

#[test]
fn both_ways_to_subtract_are_taken_and_agree() {
    let large: Vec<String> = (0..500).map(|n| format!("m{n}")).collect();
    let large: Vec<&str> = large.iter().map(String::as_str).collect();
    let (first, small) = (set_of(&large, &DEFAULT), set_of(&["m1", "x"], &DEFAULT));
    let other = small.clone();
    let third = small.clone();
    let mut others = vec![&small, &other, &third];
    assert!(!searches(&first, &mut others));
    assert!(searches(&small, &mut [&first]));
    assert_eq!(difference_of(&first, others, &DEFAULT, &SEED).len(), 499);
    assert_eq!(
        difference_of(&small, vec![&first], &DEFAULT, &SEED).len(),
        1
    );
}

fn searches(first: &Set, others: &mut [&Set]) -> bool {
    algebra::searches_others(first, others)
}

#[test]
fn only_a_stored_intersection_goes_back_to_an_intset() {
    let mixed = set_of(&["1", "2", "a"], &DEFAULT);
    let other = set_of(&["1", "2", "b"], &DEFAULT);
    let ints = intersection_of(&mut [&mixed, &other], &DEFAULT, &SEED);
    assert_eq!(ints.encoding(), "intset");
    let table = set_of(&["1", "2", "a"], &NONE);
    let ints = intersection_of(&mut [&table, &other], &DEFAULT, &SEED);
    assert_eq!(ints.encoding(), "intset");
    assert_eq!(
        difference_of(&mixed, vec![], &DEFAULT, &SEED).encoding(),
        "listpack"
    );
    let mut left = mixed.clone();
    left.remove(b"a");
    assert_eq!(left.encoding(), "listpack");
}
