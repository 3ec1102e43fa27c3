//! A value written in slices, so that a large one stalls nobody.

use super::lists::write_node;
use super::sets::write_member;
use super::{Compression, sorted_set, stream, write_len, write_string_with, write_value_with};
use crate::value::ValueRef;
use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::set::Set;
use crate::value::sorted_set::SortedSet;

/// Elements that are written between two looks at the budget.
const ELEMENTS_A_LOOK: usize = 16;

/// How far a value has been written. It stays meaningful as long as the value does not change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    begun: bool,
    cursor: u64,
    stream: stream::Place,
}

/// Appends the next slice of the payload of `value`, about `budget_bytes` of it, or a single
/// element that is larger; whether the payload is whole now. Begin with the default position.
///
/// What is one string in the format (a string, or a collection in a compact encoding) is written
/// without compression: to compress it would take a single step.
pub fn write_slice(
    out: &mut Vec<u8>,
    value: ValueRef<'_>,
    at: &mut Position,
    budget_bytes: usize,
    compression: Compression,
) -> bool {
    match value {
        ValueRef::Bytes(bytes) => string_slice(out, bytes, at, budget_bytes),
        ValueRef::Hash(hash) => match hash.as_listpack() {
            Some(listpack) => string_slice(out, listpack.bytes(), at, budget_bytes),
            None => hash_slice(out, hash, at, budget_bytes, compression),
        },
        ValueRef::List(list) => list_slice(out, list, at, budget_bytes, compression),
        ValueRef::Stream(stream) => at
            .stream
            .write_slice(out, stream, budget_bytes, compression),
        ValueRef::SortedSet(set) => match set.as_listpack() {
            Some(listpack) => string_slice(out, listpack.bytes(), at, budget_bytes),
            None => sorted_set_slice(out, set, at, budget_bytes, compression),
        },
        ValueRef::Set(set) if set.as_intset().is_none() => {
            set_slice(out, set, at, budget_bytes, compression)
        }
        _ => {
            write_value_with(out, value, compression);
            true
        }
    }
}

/// Node by node; a node is a few KiB, unless it is one large element.
fn list_slice(
    out: &mut Vec<u8>,
    list: &List,
    at: &mut Position,
    budget_bytes: usize,
    compression: Compression,
) -> bool {
    if !at.begun {
        at.begun = true;
        write_len(out, list.node_count() as u64);
    }
    let end = out.len().saturating_add(budget_bytes);
    while let Some(node) = usize::try_from(at.cursor).ok().and_then(|at| list.node(at)) {
        write_node(out, node, compression);
        at.cursor += 1;
        if out.len() >= end {
            break;
        }
    }
    at.cursor >= list.node_count() as u64
}

fn string_slice(out: &mut Vec<u8>, bytes: &[u8], at: &mut Position, budget_bytes: usize) -> bool {
    if !at.begun {
        at.begun = true;
        write_len(out, bytes.len() as u64);
    }
    let start = usize::try_from(at.cursor).unwrap_or(bytes.len());
    let rest = bytes.get(start..).unwrap_or_default();
    let slice = &rest[..rest.len().min(budget_bytes.max(1))];
    out.extend_from_slice(slice);
    at.cursor += slice.len() as u64;
    slice.len() == rest.len()
}

fn hash_slice(
    out: &mut Vec<u8>,
    hash: &Hash,
    at: &mut Position,
    budget_bytes: usize,
    compression: Compression,
) -> bool {
    if !at.begun {
        at.begun = true;
        write_len(out, hash.len() as u64);
    }
    walk(out, at, budget_bytes, |out, cursor| {
        hash.scan(cursor, ELEMENTS_A_LOOK, |(field, value)| {
            field.with_bytes(|field| write_string_with(out, field, compression));
            value.with_bytes(|value| write_string_with(out, value, compression));
        })
    })
}

/// The cursor counts the members that are done, of which the last was the first.
fn sorted_set_slice(
    out: &mut Vec<u8>,
    set: &SortedSet,
    at: &mut Position,
    budget_bytes: usize,
    compression: Compression,
) -> bool {
    if !at.begun {
        at.begun = true;
        write_len(out, set.len() as u64);
    }
    walk(out, at, budget_bytes, |out, cursor| {
        let done = usize::try_from(cursor).unwrap_or(usize::MAX);
        let end = set.len().saturating_sub(done);
        let start = end.saturating_sub(ELEMENTS_A_LOOK);
        sorted_set::write_members(out, set, start..end, compression);
        if start == 0 {
            0
        } else {
            cursor + (end - start) as u64
        }
    })
}

fn set_slice(
    out: &mut Vec<u8>,
    set: &Set,
    at: &mut Position,
    budget_bytes: usize,
    compression: Compression,
) -> bool {
    if !at.begun {
        at.begun = true;
        write_len(out, set.len() as u64);
    }
    walk(out, at, budget_bytes, |out, cursor| {
        set.walk(cursor, ELEMENTS_A_LOOK, |member| {
            write_member(out, member, compression);
        })
    })
}

/// Goes on with a scan whose cursor is 0 at its beginning and its end, up to the budget.
fn walk(
    out: &mut Vec<u8>,
    at: &mut Position,
    budget_bytes: usize,
    mut step: impl FnMut(&mut Vec<u8>, u64) -> u64,
) -> bool {
    let end = out.len().saturating_add(budget_bytes);
    loop {
        at.cursor = step(out, at.cursor);
        if at.cursor == 0 {
            return true;
        }
        if out.len() >= end {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::collections;
    use super::super::{Reader, read_value, type_byte};
    use super::*;
    use crate::value::Value;
    use crate::value::list::End;

    /// The value read back from its slices, and how many there were.
    fn in_slices(value: &Value, budget_bytes: usize) -> (Value, usize) {
        let (mut out, mut at, mut slices) = (Vec::new(), Position::default(), 1);
        while !write_slice(
            &mut out,
            value.borrow(),
            &mut at,
            budget_bytes,
            Compression::Lzf,
        ) {
            slices += 1;
        }
        let mut reader = Reader::new(&out);
        let read = read_value(type_byte(value.borrow()), &mut reader, &collections());
        assert_eq!(reader.remaining(), 0);
        (read.unwrap(), slices)
    }

    #[test]
    fn a_hash_in_slices_is_the_same_hash() {
        for count in [3, 5000] {
            let mut hash = Hash::new();
            let (limits, seed) = (collections().hash_limits, collections().seed);
            for n in 0..count {
                let text = format!("field-{n}");
                hash.set(text.as_bytes(), text.as_bytes(), &limits, &seed);
            }
            let (read, slices) = in_slices(&Value::Hash(Box::new(hash.clone())), 100);
            assert!(slices > count / 100, "{slices} slices");
            let Value::Hash(read) = read else {
                panic!("a hash is read back")
            };
            assert_eq!(read.len(), count);
            for (field, value) in hash.iter() {
                let found = field.with_bytes(|field| read.get(field));
                assert_eq!(found.map(|found| found.to_vec()), Some(value.to_vec()));
            }
        }
    }

    #[test]
    fn a_list_in_slices_is_the_same_list() {
        for count in [3, 5000] {
            let mut list = List::new();
            let limits = collections().list_limits;
            for n in 0..count {
                let text = format!("element-{n}");
                list.prepare(text.len(), 1, &limits);
                list.push(End::Back, text.as_bytes(), &limits);
            }
            let (read, slices) = in_slices(&Value::List(Box::new(list.clone())), 100);
            assert_eq!(slices, list.node_count());
            let Value::List(read) = read else {
                panic!("a list is read back")
            };
            assert_eq!(read.to_vec(), list.to_vec());
        }
    }

    #[test]
    fn a_sorted_set_in_slices_is_the_same_sorted_set() {
        let members = |set: &SortedSet| {
            let mut members = Vec::new();
            set.for_each(|member, score| members.push((member.to_vec(), score.to_bits())));
            members
        };
        for count in [3, 16, 17, 5000] {
            let mut set = SortedSet::new_large(&collections().seed);
            let (limits, seed) = (collections().sorted_set_limits, collections().seed);
            for n in 0..count {
                let text = format!("member-{n}");
                set.set(text.as_bytes(), (n % 70) as f64 / 3.0, &limits, &seed);
            }
            let (read, slices) = in_slices(&Value::SortedSet(Box::new(set.clone())), 100);
            assert!(slices > count / 100, "{slices} slices");
            let Value::SortedSet(read) = read else {
                panic!("a sorted set is read back")
            };
            assert_eq!(members(&read), members(&set));
        }
    }

    #[test]
    fn a_set_in_slices_is_the_same_set() {
        for (prefix, count) in [("", 3), ("m", 3), ("m", 5000), ("", 5000)] {
            let mut set = Set::new();
            let (limits, seed) = (collections().set_limits, collections().seed);
            for n in 0..count {
                set.insert(format!("{prefix}{n}").as_bytes(), &limits, &seed);
            }
            let (read, slices) = in_slices(&Value::Set(Box::new(set.clone())), 100);
            assert!(slices > count / 100, "{slices} slices");
            let Value::Set(read) = read else {
                panic!("a set is read back")
            };
            assert_eq!((read.len(), read.encoding()), (count, set.encoding()));
            assert!(set.iter().all(|member| read.contains_element(member)));
        }
    }

    #[test]
    fn a_string_in_slices_is_the_same_string() {
        let text: Vec<u8> = (0..10_000u32).map(|n| (n % 7) as u8).collect();
        let (read, slices) = in_slices(&Value::Bytes(text.clone()), 999);
        assert!(matches!(read, Value::Bytes(bytes) if bytes == text));
        assert_eq!(slices, 11);
        let (read, slices) = in_slices(&Value::Bytes(Vec::new()), 1);
        assert!(matches!(read, Value::Bytes(bytes) if bytes.is_empty()));
        assert_eq!(slices, 1);
    }
}
