//! The small form: a listpack of member, score, member, score in order.

use crate::value::listpack::{Element, Listpack, Position};
use crate::value::number::{parse_f64, write_f64};
use std::cmp::Ordering;

/// The score that an element stands for; `None` if it is none.
pub(super) fn parse_score(element: Element<'_>) -> Option<f64> {
    match element {
        Element::Int(int) => Some(int as f64),
        Element::Bytes(bytes) => parse_f64(bytes),
    }
}

/// As [`parse_score`], of a listpack that was built here or checked.
fn score(element: Element<'_>) -> f64 {
    parse_score(element).expect("scores were checked when they came in")
}

/// Orders members as the sorted set does.
pub(super) fn compare(a: Element<'_>, b: Element<'_>) -> Ordering {
    match (a, b) {
        (Element::Bytes(a), Element::Bytes(b)) => a.cmp(b),
        (a, b) => a.with_bytes(|a| b.with_bytes(|b| a.cmp(b))),
    }
}

/// Members with their scores, from either end.
pub(super) fn pairs(
    listpack: &Listpack,
) -> impl DoubleEndedIterator<Item = (Element<'_>, f64)> + Clone {
    Pairs(listpack.iter())
}

#[derive(Clone)]
struct Pairs<'a>(crate::value::listpack::Iter<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (Element<'a>, f64);

    fn next(&mut self) -> Option<Self::Item> {
        let member = self.0.next()?;
        Some((member, score(self.0.next()?)))
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let score = score(self.0.next_back()?);
        Some((self.0.next_back()?, score))
    }
}

/// Where a member stands, and its score.
pub(super) fn find(listpack: &Listpack, member: &[u8]) -> Option<(Position, f64)> {
    let position = listpack.find(member, 1)?;
    let element = listpack.get(listpack.next(position)?)?;
    Some((position, score(element)))
}

/// Puts a member that is not there at its place.
pub(super) fn insert(listpack: &mut Listpack, member: &[u8], new: f64) {
    let mut at = listpack.first();
    while let Some(position) = at {
        let value = listpack.next(position);
        let Some((value, element)) = value.and_then(|at| Some((at, listpack.get(at)?))) else {
            break;
        };
        let other = score(element);
        let comes_before = || {
            let there = listpack.get(position);
            there.is_some_and(|there| there.with_bytes(|there| there > member))
        };
        if other > new || (other == new && comes_before()) {
            break;
        }
        at = listpack.next(value);
    }
    with_text(new, |text| match at {
        Some(position) => {
            // The second pushes the first back.
            listpack.insert_before(position, text);
            listpack.insert_before(position, member);
        }
        None => {
            listpack.push_back(member);
            listpack.push_back(text);
        }
    });
}

/// Appends a member that comes after all others.
pub(super) fn push(listpack: &mut Listpack, member: &[u8], score: f64) {
    listpack.push_back(member);
    with_text(score, |text| listpack.push_back(text));
}

fn with_text(score: f64, f: impl FnOnce(&[u8])) {
    // Minus zero loses its sign here, as in Redis.
    let mut text = Vec::with_capacity(24);
    write_f64(&mut text, score + 0.0);
    f(&text);
}
