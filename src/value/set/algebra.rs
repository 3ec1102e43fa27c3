//! Intersection, union and difference of sets.
//!
//! Each comes in two forms: one that gives the members, for a reply, and one that makes a set, to
//! be stored. The latter has the encoding that Redis would give it.

use super::{Encoding, Intset, Members, Set, SetLimits};
use crate::value::HashSeed;
use crate::value::listpack::{Element, Listpack};

/// Calls `f` with every member that is in all of `sets`, until it returns `false`. Sorts the sets:
/// the smallest is walked, the others are searched.
pub fn intersect<'a>(sets: &mut [&'a Set], mut f: impl FnMut(Element<'a>) -> bool) {
    sets.sort_by_cached_key(|set| set.len());
    let Some((&first, others)) = sets.split_first() else {
        return;
    };
    for member in first.iter() {
        let in_all = others
            .iter()
            .all(|other| std::ptr::eq(*other, first) || other.contains_element(member));
        if in_all && !f(member) {
            return;
        }
    }
}

/// The set of what is in all of `sets`.
pub fn intersection_of(sets: &mut [&Set], limits: &SetLimits, seed: &HashSeed) -> Set {
    sets.sort_by_cached_key(|set| set.len());
    let mut result = Set(match sets.first() {
        Some(smallest) if smallest.as_intset().is_none() => Encoding::Listpack(Listpack::new()),
        _ => Encoding::Intset(Intset::new()),
    });
    let mut integers = Some(Vec::new());
    intersect(sets, |member| {
        match member.as_i64() {
            Some(int) => integers.iter_mut().for_each(|all| all.push(int)),
            None => integers = None,
        }
        result.insert_element(member, limits, seed)
    });
    // Only here does Redis go back to an intset.
    match integers {
        Some(mut all) if all.len() <= limits.intset_len_max() => {
            all.sort_unstable();
            match Intset::from_ascending(&all) {
                Ok(intset) if result.as_intset().is_none() => Set(Encoding::Intset(intset)),
                _ => result,
            }
        }
        _ => result,
    }
}

/// Calls `f` with every member that is in any of `sets`, once.
pub fn union(sets: &[&Set], limits: &SetLimits, seed: &HashSeed, f: impl FnMut(Element<'_>)) {
    match sets {
        [only] => only.iter().for_each(f),
        _ => add_all(scratch(sets, seed), sets, limits, seed)
            .iter()
            .for_each(f),
    }
}

/// The set of what is in any of `sets`.
pub fn union_of(sets: &[&Set], limits: &SetLimits, seed: &HashSeed) -> Set {
    add_all(Set::new(), sets, limits, seed)
}

fn add_all(mut to: Set, sets: &[&Set], limits: &SetLimits, seed: &HashSeed) -> Set {
    for set in sets {
        for member in set.iter() {
            to.insert_element(member, limits, seed);
        }
    }
    to
}

/// An empty set for intermediate results: an intset if only integers can come.
fn scratch(sets: &[&Set], seed: &HashSeed) -> Set {
    match sets.iter().all(|set| set.as_intset().is_some()) {
        true => Set::new(),
        false => Set(Encoding::Table(Box::new(Members::new(*seed)))),
    }
}

/// Calls `f` with every member of `first` that is in none of `others`.
pub fn difference(
    first: &Set,
    mut others: Vec<&Set>,
    limits: &SetLimits,
    seed: &HashSeed,
    mut f: impl FnMut(Element<'_>),
) {
    if searches_others(first, &mut others) {
        return rest_of(first, &others, f);
    }
    let scratch = scratch(&[first], seed);
    let rest = subtract_all(scratch, first, &others, limits, seed);
    rest.iter().for_each(&mut f);
}

/// The set of what is in `first` and in none of `others`.
pub fn difference_of(
    first: &Set,
    mut others: Vec<&Set>,
    limits: &SetLimits,
    seed: &HashSeed,
) -> Set {
    let mut result = Set::new();
    if searches_others(first, &mut others) {
        rest_of(first, &others, |member| {
            result.insert_element(member, limits, seed);
        });
        return result;
    }
    subtract_all(result, first, &others, limits, seed)
}

/// Chooses between two algorithms by the work that each would make: to search all others for each
/// member of the first, then also sorting the others so that the largest is searched first; or to
/// remove the members of all others from a copy of the first.
pub(super) fn searches_others(first: &Set, others: &mut [&Set]) -> bool {
    if others.iter().any(|other| std::ptr::eq(*other, first)) {
        return true;
    }
    let search = first.len().saturating_mul(others.len() + 1) / 2;
    let remove = others.iter().map(|other| other.len()).sum::<usize>() + first.len();
    others.sort_by_cached_key(|other| std::cmp::Reverse(other.len()));
    search <= remove
}

fn rest_of<'a>(first: &'a Set, others: &[&Set], f: impl FnMut(Element<'a>)) {
    // Nothing is left of a set less itself.
    if others.iter().any(|other| std::ptr::eq(*other, first)) {
        return;
    }
    let rest = first
        .iter()
        .filter(|member| !others.iter().any(|other| other.contains_element(*member)));
    rest.for_each(f);
}

fn subtract_all(to: Set, first: &Set, others: &[&Set], limits: &SetLimits, seed: &HashSeed) -> Set {
    let mut rest = add_all(to, &[first], limits, seed);
    for member in others.iter().flat_map(|other| other.iter()) {
        rest.remove_element(member);
        if rest.is_empty() {
            break;
        }
    }
    rest
}
