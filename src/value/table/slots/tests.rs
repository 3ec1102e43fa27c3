use super::*;
use std::cell::Cell;

/// A number whose low 16 bits are those of its hash, which is the number itself.
#[derive(Default)]
struct Stored;

impl Note<u64> for Stored {
    const STORES_LOW_BITS: bool = true;
    fn low_bits(element: &u64) -> u16 {
        *element as u16
    }
}

type Beside = Slots<u64, ()>;
type Within = Slots<u64, Stored>;

fn insert<N: Note<u64>>(slots: &mut Slots<u64, N>, element: u64) {
    slots.insert_unique(element, element, &|&e| e);
}

fn remove<N: Note<u64>>(slots: &mut Slots<u64, N>, element: u64) -> bool {
    match slots.probe(element, |&e| e == element) {
        Some(Probe::Found(slot)) => slots.take(slot, &|&e| e) == Some(element),
        _ => false,
    }
}

fn contains<N: Note<u64>>(slots: &Slots<u64, N>, element: u64) -> bool {
    slots.find(element, |&e| e == element).is_some()
}

/// Every element lies at its home or behind it with no free slot between.
fn check<N: Note<u64>>(slots: &Slots<u64, N>) {
    let mask = slots.slots.len() - 1;
    for (at, element) in slots.slots.iter().enumerate() {
        let Some(element) = element else { continue };
        let mut home = *element as usize & mask;
        while home != at {
            assert!(slots.slots[home].is_some(), "a gap before {element}");
            home = (home + 1) & mask;
        }
        assert_eq!(slots.low_bits_at(at, element), *element as u16);
    }
    assert_eq!(slots.iter().count(), slots.len());
    assert!(slots.len() <= room(slots.num_buckets()));
}

/// All sequences over homes that wrap around, at the highest load.
fn gaps_close<N: Note<u64>>() {
    let mut random = 1u64;
    for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
        let mut slots = Slots::<u64, N>::default();
        let mut model = Vec::new();
        for n in 0..200u64 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let choice = random >> 33;
            if model.len() < 12 && choice.is_multiple_of(2) {
                // Unique by its upper bits; few homes, the last ones among them.
                let element = (n << 16) | ((14 + choice / 2 % 6) % 16);
                insert(&mut slots, element);
                model.push(element);
            } else if !model.is_empty() {
                let element = model.swap_remove((choice / 2) as usize % model.len());
                assert!(remove(&mut slots, element));
                assert!(!contains(&slots, element));
            }
            if slots.num_buckets() > 0 {
                check(&slots);
            }
            assert!(model.iter().all(|&element| contains(&slots, element)));
            assert_eq!(slots.len(), model.len());
        }
    }
}

#[test]
fn a_removal_closes_the_gap_and_loses_nothing() {
    gaps_close::<()>();
    gaps_close::<Stored>();
}

#[test]
fn elements_are_not_hashed_again_while_the_low_bits_decide() {
    let mut slots = Within::default();
    for element in 0..5000 {
        slots.insert_unique(element, element, &|_| panic!("hashed"));
    }
    for element in 0..5000 {
        let Some(Probe::Found(slot)) = slots.probe(element, |&e| e == element) else {
            panic!("{element} is not there");
        };
        assert_eq!(slots.take(slot, &|_| panic!("hashed")), Some(element));
    }
    let mut beside = Beside::default();
    (0..5000).for_each(|e| _ = beside.insert_unique(e, e, &|_| panic!("hashed")));
    assert!((0..5000).all(|element| contains(&beside, element)));
}

#[test]
fn the_low_bits_reject_before_an_element_is_compared() {
    let mut slots = Beside::default();
    // All have the same home.
    (0..600).for_each(|n| insert(&mut slots, n << 10));
    let compared = Cell::new(0);
    let found = slots.find(7 << 10, |&element| {
        compared.set(compared.get() + 1);
        element == 7 << 10
    });
    assert!(found.is_some());
    // 64 different low bits among 600: ten are alike.
    assert!(compared.get() <= 10, "{}", compared.get());
}

#[test]
fn more_slots_than_low_bits_are_used_evenly() {
    if cfg!(miri) {
        return;
    }
    let mut slots = Within::default();
    let hash = |element: &u64| element >> 16;
    let all = 0..200_000u64;
    for n in all.clone() {
        // The 16 low bits of the hash, of which there are more, are stored as asked.
        slots.insert_unique(n, n << 16 | (n & 0xFFFF), &hash);
    }
    assert_eq!(slots.num_buckets(), 262_144);
    for n in all.clone().step_by(2) {
        let Some(Probe::Found(slot)) = slots.probe(n, |&e| hash(&e) == n) else {
            panic!("{n} is not there");
        };
        // Hashes without gaps: nobody was displaced.
        assert_eq!(slot as u64, n);
        assert!(slots.take(slot, &hash).is_some());
    }
    slots.shrink_to(0, &hash);
    assert_eq!(slots.num_buckets(), 131_072);
    for n in all {
        assert_eq!(slots.find(n, |e| hash(e) == n).is_some(), n % 2 == 1);
    }
}
