use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SEED: HashSeed = HashSeed([1, 2, 3, 4]);

const LIMITS: SortedSetLimits = SortedSetLimits {
    entries_max: 8,
    value_len_max: 12,
};

type Pair = (Vec<u8>, f64);

/// Members in order: what a sorted set is, and nothing else.
#[derive(Default)]
struct Model(BTreeMap<Vec<u8>, f64>);

impl Model {
    fn sorted(&self) -> Vec<Pair> {
        let mut all: Vec<Pair> = self.0.iter().map(|(m, s)| (m.clone(), *s)).collect();
        all.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then_with(|| a.0.cmp(&b.0)));
        all
    }
}

fn pairs(set: &SortedSet, ranks: Range<usize>, reverse: bool) -> Vec<Pair> {
    let mut pairs = Vec::new();
    set.walk(ranks, reverse, |member, score| {
        pairs.push((member.to_vec(), score))
    });
    pairs
}

fn all(set: &SortedSet) -> Vec<Pair> {
    pairs(set, 0..set.len(), false)
}

/// A set of `n` members of one score, in the large form.
fn same_score(n: usize) -> SortedSet {
    let mut set = SortedSet::new();
    for i in (0..n).rev() {
        set.set(format!("m{i:06}").as_bytes(), 1.0, &LIMITS, &SEED);
    }
    set
}

#[derive(Clone, Debug)]
enum Op {
    Set(u16, i8),
    Remove(u16),
    RemoveRanks(usize, usize),
}

fn ops(members: u16, len: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..members, -3i8..4).prop_map(|(member, score)| Op::Set(member, score)),
        3 => (0..members).prop_map(Op::Remove),
        1 => (0..64usize, 0..12usize).prop_map(|(start, n)| Op::RemoveRanks(start, start + n)),
    ];
    proptest::collection::vec(op, 0..len)
}

/// Names of all lengths, so that some are integers, some within a slot, some not.
fn name(number: u16) -> Vec<u8> {
    match number % 3 {
        0 => number.to_string().into_bytes(),
        1 => format!("m{number}").into_bytes(),
        _ => format!("a member with a longer name {number}").into_bytes(),
    }
}

fn check(ops: Vec<Op>, limits: SortedSetLimits) {
    let (mut set, mut model) = (SortedSet::new(), Model::default());
    for op in ops {
        match op {
            Op::Set(member, score) => {
                let (member, score) = (name(member), f64::from(score) / 2.0);
                let new = model.0.insert(member.clone(), score).is_none();
                assert_eq!(set.set(&member, score, &limits, &SEED), new);
            }
            Op::Remove(member) => {
                let member = name(member);
                assert_eq!(set.remove(&member), model.0.remove(&member).is_some());
            }
            Op::RemoveRanks(start, end) => {
                let sorted = model.sorted();
                let gone = start.min(sorted.len())..end.min(sorted.len());
                assert_eq!(set.remove_ranks(start..end), gone.len());
                for (member, _) in &sorted[gone] {
                    model.0.remove(member);
                }
            }
        }
        assert_eq!(set.len(), model.0.len());
    }
    let sorted = model.sorted();
    assert_eq!(all(&set), sorted);
    for (rank, (member, score)) in sorted.iter().enumerate() {
        assert_eq!(set.score(member), Some(*score));
        assert_eq!(set.rank(member), Some((rank, *score)));
        let (there, other) = set.get(rank).unwrap();
        assert_eq!((there.to_vec(), other), (member.clone(), *score));
    }
    assert_eq!((set.score(b"none"), set.get(sorted.len())), (None, None));
    let mut back = pairs(&set, 1..sorted.len().saturating_sub(1), true);
    back.reverse();
    let middle = 1..sorted.len().saturating_sub(1).max(1);
    assert_eq!(back, sorted.get(middle).unwrap_or_default());
    assert_eq!(all(&set.clone()), sorted);
    let mut seen = BTreeMap::new();
    let mut cursor = 0;
    loop {
        cursor = set.scan(cursor, 5, |member, score| {
            seen.insert(member.to_vec(), score);
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen, model.0);
    let freed: usize = set.into_garbage().sum();
    assert!(freed >= sorted.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_small_set_is_what_a_plain_map_would_be(ops in ops(40, 120)) {
        let limits = SortedSetLimits { entries_max: 1000, value_len_max: 1000 };
        check(ops, limits);
    }

    #[test]
    fn a_set_that_converts_is_what_a_plain_map_would_be(ops in ops(30, 120)) {
        check(ops, LIMITS);
    }

    #[test]
    fn a_large_set_is_what_a_plain_map_would_be(ops in ops(600, 1500)) {
        check(ops, SortedSetLimits { entries_max: 0, value_len_max: 0 });
    }

    #[test]
    fn ranges_of_scores_are_those_of_a_plain_list(
        scores in proptest::collection::vec(-5i8..6, 0..60),
        min in -6i8..7,
        max in -6i8..7,
        after_min: bool,
        before_max: bool,
        large: bool,
    ) {
        let limits = SortedSetLimits {
            entries_max: if large { 0 } else { 100 },
            value_len_max: 64,
        };
        let mut set = SortedSet::new();
        for (i, score) in scores.iter().enumerate() {
            set.set(format!("{i}").as_bytes(), (*score).into(), &limits, &SEED);
        }
        let range = ScoreRange { min: min.into(), max: max.into(), after_min, before_max };
        let is_in = |score: f64| {
            (score > range.min || (!after_min && score == range.min))
                && (score < range.max || (!before_max && score == range.max))
        };
        let want: Vec<Pair> = all(&set).into_iter().filter(|(_, score)| is_in(*score)).collect();
        prop_assert_eq!(pairs(&set, set.ranks_by_score(&range), false), want);
    }

    #[test]
    fn ranges_of_members_are_those_of_a_plain_list(
        names in proptest::collection::btree_set("[a-c0-1]{0,3}", 1..60),
        min in "[\\[(][a-c0-1]{0,3}|[+-]",
        max in "[\\[(][a-c0-1]{0,3}|[+-]",
        large: bool,
        reverse: bool,
    ) {
        let limits = SortedSetLimits {
            entries_max: if large { 0 } else { 100 },
            value_len_max: 64,
        };
        let mut set = SortedSet::new();
        for name in &names {
            set.set(name.as_bytes(), 0.0, &limits, &SEED);
        }
        let range = LexRange::parse(min.as_bytes(), max.as_bytes()).unwrap();
        let above = |name: &str| match min.split_at(1) {
            ("[", low) => name >= low,
            ("(", low) => name > low,
            (sign, _) => sign == "-",
        };
        let below = |name: &str| match max.split_at(1) {
            ("[", high) => name <= high,
            ("(", high) => name < high,
            (sign, _) => sign == "+",
        };
        let want: Vec<&String> = names.iter().filter(|name| above(name) && below(name)).collect();
        let found = pairs(&set, set.ranks_by_member(&range, reverse), false);
        let found: Vec<String> =
            found.into_iter().map(|(name, _)| String::from_utf8(name).unwrap()).collect();
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), want);
    }

    #[test]
    fn members_compare_as_their_bytes(
        one in proptest::collection::vec(0u8..3, 0..30),
        same in 0usize..30,
        other in proptest::collection::vec(0u8..3, 0..30),
    ) {
        let other = [&one[..same.min(one.len())], &other].concat();
        let mut members = members::Members::default();
        let handle = members.insert(&one, 0.0);
        let sought = members::Sought::new(&other);
        prop_assert_eq!(members.precedes(handle, &sought), one < other);
    }

    #[test]
    fn a_tree_of_tiny_nodes_is_what_a_plain_list_would_be(
        steps in proptest::collection::vec((any::<bool>(), any::<u16>(), any::<u8>()), 0..1500),
    ) {
        tiny_tree::<3, 2>(&steps);
        tiny_tree::<4, 4>(&steps);
        tiny_tree::<8, 5>(&steps);
    }
}

fn tiny_tree<const L: usize, const F: usize>(steps: &[(bool, u16, u8)]) {
    let mut members = members::Members::default();
    let mut tree = tree::Tree::<L, F>::new();
    let mut model: Vec<(f64, members::Handle)> = Vec::new();
    for &(add, at, value) in steps {
        // More go in than out, so that it grows, and every tenth step is at an end.
        if add || value % 4 == 0 || model.is_empty() {
            let score = f64::from(at);
            let rank = match value {
                0..25 => 0,
                25..50 => model.len(),
                _ => tree.partition(|other, _| other < score),
            };
            let score = match rank {
                0 => model.first().map_or(score, |first| first.0.min(score)),
                rank if rank == model.len() => model[rank - 1].0.max(score),
                _ => score,
            };
            let handle = members.insert(b"m", score);
            let before = |other: f64, _| other < score;
            let touched = |handle| assert!(model.iter().any(|key| key.1 == handle));
            let found = tree.partition_touching(score, before, touched);
            assert_eq!(found, tree.partition(before));
            if found == rank && value % 2 == 0 {
                tree.insert_touching((score, handle), before, touched);
            } else {
                tree.insert(rank, score, handle);
            }
            model.insert(rank, (score, handle));
        } else {
            let rank = usize::from(at) % model.len();
            assert_eq!(tree.remove(rank), model[rank]);
            members.remove(model.remove(rank).1);
        }
        assert_eq!(tree.len(), model.len());
    }
    let found = |tree: &tree::Tree<L, F>, ranks: Range<usize>, reverse| {
        let mut found = Vec::new();
        tree.walk(ranks, reverse, &mut |score, handle| {
            found.push((score, handle))
        });
        found
    };
    assert_eq!(found(&tree, 0..usize::MAX, false), model);
    for (rank, key) in model.iter().enumerate() {
        assert_eq!(tree.get(rank), Some(*key));
        let first = model.partition_point(|(score, _)| *score < key.0);
        assert_eq!(tree.partition(|score, _| score < key.0), first);
        let other = model.len() * rank / (2 * rank + 1);
        let (low, high) = (rank.min(other), rank.max(other));
        let mut back = found(&tree, low..high, true);
        back.reverse();
        assert_eq!(back, model[low..high]);
    }
    while !model.is_empty() {
        let rank = model.len() / 2;
        assert_eq!(tree.remove(rank), model.remove(rank));
    }
    assert_eq!(found(&tree, 0..1, false), []);
    assert_eq!(tree.into_garbage().sum::<usize>(), 0);
}

#[test]
fn sets_filled_from_either_end_have_full_leaves() {
    const N: usize = 20_000;
    for reverse in [false, true] {
        let mut set = SortedSet::new_large(&SEED);
        for i in 0..N {
            let i = if reverse { N - i } else { i };
            set.set(format!("m{i:06}").as_bytes(), i as f64, &LIMITS, &SEED);
        }
        // 32 bytes for the slot, 12 for a place in the tree, at most 15 in the index.
        assert!(set.memory() < N * 64, "{}", set.memory());
    }
}

#[test]
fn a_set_that_shrinks_gives_its_memory_back() {
    let mut set = same_score(50_000);
    let full = set.memory();
    for i in 0..49_000 {
        let i = i * 7919 % 50_000;
        assert!(set.remove(format!("m{i:06}").as_bytes()));
    }
    assert_eq!(set.len(), 1_000);
    assert!(set.memory() < full / 8, "{} of {full}", set.memory());
    let left = all(&set);
    for (rank, (member, score)) in left.iter().enumerate() {
        assert_eq!(set.rank(member), Some((rank, *score)));
    }
}

#[test]
fn the_encoding_follows_the_limits() {
    let mut set = SortedSet::new();
    for i in 0..8 {
        set.set(format!("m{i}").as_bytes(), 0.0, &LIMITS, &SEED);
    }
    set.set(b"m1", 5.0, &LIMITS, &SEED);
    assert_eq!(set.encoding(), "listpack");
    set.set(b"m8", 0.0, &LIMITS, &SEED);
    assert_eq!(set.encoding(), "skiplist");
    set.remove(b"m8");
    assert_eq!(set.encoding(), "skiplist");
    set.compact(&LIMITS);
    assert_eq!(set.encoding(), "listpack");
    assert_eq!(set.len(), 8);
    let mut long = SortedSet::new();
    long.set(b"123456789012", 0.0, &LIMITS, &SEED);
    assert_eq!(long.encoding(), "listpack");
    long.set(b"1234567890123", 0.0, &LIMITS, &SEED);
    assert_eq!(long.encoding(), "skiplist");
    long.compact(&LIMITS);
    assert_eq!(long.encoding(), "skiplist");
    let mut many = SortedSet::new();
    many.prepare(9, 1, &LIMITS, &SEED);
    assert_eq!(many.encoding(), "skiplist");
}

#[test]
fn a_listpack_from_outside_must_be_a_sorted_set() {
    let listpack = |elements: &[&str]| {
        let mut listpack = Listpack::new();
        elements
            .iter()
            .for_each(|element| listpack.push_back(element.as_bytes()));
        SortedSet::from_listpack(listpack, &LIMITS, &SEED).map(|set| set.len())
    };
    assert_eq!(
        listpack(&[
            "b", "-inf", "a", "1", "c", "1", "d", "1.5", "10", "2", "9", "2"
        ]),
        Ok(6)
    );
    assert_eq!(listpack(&[]), Err(SortedSetError::Empty));
    assert_eq!(listpack(&["a"]), Err(SortedSetError::Odd));
    assert_eq!(
        listpack(&["a", "1", "a", "2"]),
        Err(SortedSetError::Duplicate)
    );
    assert_eq!(
        listpack(&["a", "1", "a", "1"]),
        Err(SortedSetError::Duplicate)
    );
    assert_eq!(listpack(&["a", "nan"]), Err(SortedSetError::Score));
    assert_eq!(listpack(&["a", "x"]), Err(SortedSetError::Score));
    assert_eq!(listpack(&["a", "2", "b", "1"]), Err(SortedSetError::Order));
    assert_eq!(listpack(&["9", "2", "10", "2"]), Err(SortedSetError::Order));
}

#[test]
fn minus_zero_keeps_its_place_and_in_the_large_form_its_sign() {
    let mut set = SortedSet::new();
    set.set(b"a", -0.0, &LIMITS, &SEED);
    assert!(set.score(b"a").is_some_and(f64::is_sign_positive));
    let mut set = SortedSet::new_large(&SEED);
    set.set(b"a", -0.0, &LIMITS, &SEED);
    set.set(b"a", 0.0, &LIMITS, &SEED);
    assert!(set.score(b"a").is_some_and(f64::is_sign_negative));
}

#[test]
fn a_few_ranks_of_a_huge_set_are_found_without_walking_to_them() {
    let set = same_score(100_000);
    let found = pairs(&set, 70_000..70_003, false);
    assert_eq!(found[0].0, b"m070000");
    let found = pairs(&set, 99_998..usize::MAX, true);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].0, b"m099999");
    let range = LexRange::parse(b"[m050000", b"(m050010").unwrap();
    assert_eq!(set.ranks_by_member(&range, false), 50_000..50_010);
}

#[test]
fn a_scattered_set_of_few_scores_keeps_its_order() {
    let (mut set, mut model) = (SortedSet::new(), Model::default());
    // Steps of a number without a common divisor: all numbers, in an order of their own.
    let numbers = (0..3 * SCATTERED_LEN_MIN).map(|i| i * 7919 % (3 * SCATTERED_LEN_MIN));
    for number in numbers {
        let member = format!("element:{number:012}").into_bytes();
        let score = (number % 3) as f64;
        set.set(&member, score, &LIMITS, &SEED);
        model.0.insert(member, score);
    }
    let sorted = model.sorted();
    assert_eq!(all(&set), sorted);
    for (rank, (member, score)) in sorted.iter().enumerate() {
        assert_eq!(set.rank(member), Some((rank, *score)));
    }
    for (member, _) in sorted.iter().step_by(2) {
        assert!(set.remove(member));
    }
    let rest: Vec<Pair> = sorted.into_iter().skip(1).step_by(2).collect();
    assert_eq!(all(&set), rest);
}
