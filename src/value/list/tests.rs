use super::*;
use crate::value::Collection;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;

/// Limits so small that lists of a few elements cross every encoding.
const LIMITS: [ListLimits; 6] = [
    limits(-2, 0, 0),
    limits(1, 0, 0),
    limits(4, 1, 0),
    limits(7, 2, 30),
    limits(-1, 1, 200),
    limits(0, 3, 12),
];

const fn limits(node_size: i32, compress_depth: u32, plain_len_min: usize) -> ListLimits {
    ListLimits {
        node_size,
        compress_depth,
        plain_len_min,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<Vec<u8>>),
    Pop(End),
    Set(usize, Vec<u8>),
    Insert(usize, bool, Vec<u8>),
    RemoveRange(usize, usize),
    RemoveEqual(usize, usize, Direction),
    /// Goes on with a copy, so that what was copied counts too.
    Copy,
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (-50i64..50).prop_map(|int| int.to_string().into_bytes()),
        2 => any::<i64>().prop_map(|int| int.to_string().into_bytes()),
        3 => vec(any::<u8>(), 0..40),
        2 => (0usize..300).prop_map(|len| vec![b'v'; len]),
        1 => (1000usize..9000).prop_map(|len| vec![b'w'; len]),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Front), Just(End::Back)]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Forward), Just(Direction::Backward)]
}

fn step() -> impl Strategy<Value = Step> {
    let place = any::<usize>;
    prop_oneof![
        6 => (end(), vec(value(), 1..6)).prop_map(|(end, values)| Step::Push(end, values)),
        3 => end().prop_map(Step::Pop),
        3 => (place(), value()).prop_map(|(at, value)| Step::Set(at, value)),
        3 => (place(), any::<bool>(), value()).prop_map(|(at, b, v)| Step::Insert(at, b, v)),
        1 => (place(), 0usize..12).prop_map(|(at, count)| Step::RemoveRange(at, count)),
        1 => (place(), 0usize..4, direction()).prop_map(|(at, n, d)| Step::RemoveEqual(at, n, d)),
        1 => Just(Step::Copy),
    ]
}

fn apply(list: &mut List, model: &mut VecDeque<Vec<u8>>, step: Step, limits: &ListLimits) {
    let place = |at: usize| (!model.is_empty()).then(|| at % model.len());
    match step {
        Step::Push(end, values) => {
            let bytes = values.iter().map(Vec::len).sum();
            list.prepare(bytes, values.len(), limits);
            for value in values {
                list.push(end, &value, limits);
                match end {
                    End::Front => model.push_front(value),
                    End::Back => model.push_back(value),
                }
            }
        }
        Step::Pop(end) => {
            let wanted = match end {
                End::Front => model.pop_front(),
                End::Back => model.pop_back(),
            };
            assert_eq!(list.pop(end, |element| element.to_vec()), wanted);
            list.shrink(limits);
        }
        Step::Set(at, value) => {
            let Some(at) = place(at) else { return };
            list.prepare(value.len(), 1, limits);
            assert!(list.set(at, &value, limits));
            list.shrink(limits);
            model[at] = value;
        }
        Step::Insert(at, after, value) => {
            let Some(at) = place(at) else { return };
            let pivot = model[at].clone();
            list.prepare(value.len(), 1, limits);
            assert!(list.insert(&Needle::new(&pivot), after, &value, limits));
            let first = model.iter().position(|other| *other == pivot).unwrap();
            model.insert(first + usize::from(after), value);
        }
        Step::RemoveRange(at, count) => {
            let Some(at) = place(at) else { return };
            list.remove_range(at, count);
            list.shrink(limits);
            model.drain(at..(at + count).min(model.len()));
        }
        Step::RemoveEqual(at, count, direction) => {
            let Some(at) = place(at) else { return };
            let needle = model[at].clone();
            let mut places: Vec<usize> = (0..model.len()).filter(|i| model[*i] == needle).collect();
            if direction == Direction::Backward {
                places.reverse();
            }
            places.truncate(count);
            let removed = list.remove_equal(&Needle::new(&needle), count, direction);
            assert_eq!(removed, places.len());
            list.shrink(limits);
            places.sort_unstable();
            places.iter().rev().for_each(|at| drop(model.remove(*at)));
        }
        Step::Copy => *list = list.clone(),
    }
}

/// What must hold of every list.
fn check(list: &List) {
    let Encoding::Quicklist(quicklist) = &list.0 else {
        return;
    };
    let nodes = quicklist.nodes();
    let depth = usize::from(quicklist.depth());
    for (at, node) in nodes.iter().enumerate() {
        assert!(node.count() > 0, "node {at} is empty");
        let mut found = 0;
        let _ = node.walk(None, Direction::Forward, &mut |_| {
            found += 1;
            ControlFlow::Continue(())
        });
        assert_eq!(node.count(), found, "node {at} counts its elements");
        let inside = depth > 0 && at >= depth && at + depth < nodes.len();
        assert!(inside || !node.is_squeezed(), "node {at} is compressed");
        if inside && !node.is_squeezed() {
            let mut again = node.clone();
            again.squeeze();
            assert!(!again.is_squeezed(), "node {at} can be compressed");
        }
    }
    let count: usize = nodes.iter().map(Node::count).sum();
    assert_eq!(quicklist.count(), count);
    let bytes: usize = nodes.iter().map(Node::memory).sum();
    let structs = nodes.capacity() * size_of::<Node>();
    assert_eq!(quicklist.memory(), bytes + structs);
}

proptest! {
    #[test]
    fn any_sequence_of_changes_agrees_with_a_deque(
        which in 0..LIMITS.len(),
        steps in vec(step(), 0..60),
    ) {
        let limits = &LIMITS[which];
        let (mut list, mut model) = (List::new(), VecDeque::new());
        for step in steps {
            apply(&mut list, &mut model, step, limits);
            check(&list);
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(list.is_empty(), model.is_empty());
        }
        prop_assert_eq!(&list.to_vec(), model.make_contiguous());
        for (index, value) in model.iter().enumerate() {
            let stored = list.get(index, |element| element.to_vec());
            prop_assert_eq!(stored.as_ref(), Some(value));
        }
        prop_assert_eq!(list.get(model.len(), |element| element.to_vec()), None);
        let mut backward = Vec::new();
        let from = model.len() / 2;
        list.walk(from, Direction::Backward, |element| {
            backward.push(element.to_vec());
            ControlFlow::Continue(())
        });
        backward.reverse();
        let end = model.len().min(from + 1);
        prop_assert_eq!(&backward, &model.make_contiguous()[..end]);
        prop_assert!(list.into_garbage().count() <= model.len().max(1));
    }
}

fn numbers(count: i64, limits: &ListLimits) -> List {
    let mut list = List::new();
    for number in 0..count {
        let text = format!("element {number}");
        list.prepare(text.len(), 1, limits);
        list.push(End::Back, text.as_bytes(), limits);
    }
    list
}

fn nodes(list: &List) -> Vec<usize> {
    match &list.0 {
        Encoding::Listpack(listpack) => vec![listpack.len()],
        Encoding::Quicklist(quicklist) => quicklist.nodes().iter().map(Node::count).collect(),
    }
}

#[test]
fn a_list_becomes_a_quicklist_above_its_limit_and_a_listpack_at_half_of_it() {
    let limits = limits(10, 0, 0);
    let mut list = numbers(10, &limits);
    assert_eq!(list.encoding(), "listpack");
    list.prepare(1, 1, &limits);
    list.push(End::Front, b"x", &limits);
    assert_eq!((list.encoding(), nodes(&list)), ("quicklist", vec![1, 10]));
    list.remove_range(0, 1);
    list.shrink(&limits);
    assert_eq!((list.encoding(), nodes(&list)), ("quicklist", vec![10]));
    list.remove_range(5, 4);
    list.shrink(&limits);
    assert_eq!(list.encoding(), "quicklist");
    list.remove_range(5, 1);
    list.shrink(&limits);
    assert_eq!((list.encoding(), list.len()), ("listpack", 5));
}

#[test]
fn a_list_keeps_the_limit_that_it_was_made_with() {
    let (small, large) = (limits(2, 0, 0), limits(100, 0, 0));
    let mut list = numbers(3, &small);
    for _ in 0..4 {
        list.push(End::Back, b"x", &large);
    }
    assert_eq!(nodes(&list), [2, 2, 2, 1]);
    let shape = list.shape().unwrap();
    assert_eq!(
        (shape.nodes, shape.node_size, shape.compresses),
        (4, 2, false)
    );
}

#[test]
fn a_large_element_has_a_node_of_its_own() {
    let limits = limits(-2, 0, 0);
    let mut list = numbers(3, &limits);
    let large = vec![b'x'; 10_000];
    list.prepare(large.len(), 1, &limits);
    assert!(list.insert(&Needle::new(b"element 1"), true, &large, &limits));
    assert_eq!(nodes(&list), [2, 1, 1]);
    assert!(list.node(1).unwrap().is_plain);
    assert_eq!(list.get(2, |element| element.len()), Some(10_000));
    assert!(list.set(2, b"small", &limits));
    assert_eq!(list.to_vec()[2], b"small");
    assert_eq!(nodes(&list), [2, 2]);
    assert_eq!(
        list.remove_equal(&Needle::new(b"small"), 9, Direction::Forward),
        1
    );
}

#[test]
fn inner_nodes_are_compressed_and_come_back() {
    let limits = limits(50, 1, 0);
    let list = numbers(1000, &limits);
    check(&list);
    let squeezed = (0..list.node_count()).filter(|at| {
        let node = list.node(*at).unwrap();
        node.unpacked_len.is_some()
    });
    assert_eq!(squeezed.count(), 18);
    let plain = numbers(
        1000,
        &super::ListLimits {
            compress_depth: 0,
            ..limits
        },
    );
    assert!(Collection::memory(&list) * 4 < Collection::memory(&plain) * 3);
    assert_eq!(list.to_vec(), plain.to_vec());
}

#[test]
fn a_queue_takes_no_more_memory_than_what_is_in_it() {
    let limits = limits(-2, 0, 0);
    for (push, pop) in [(End::Back, End::Front), (End::Front, End::Back)] {
        let mut list = List::new();
        let mut most = 0;
        for number in 0..20_000 {
            let text = format!("element {number}");
            list.prepare(text.len(), 1, &limits);
            list.push(push, text.as_bytes(), &limits);
            if number >= 2000 {
                assert!(list.pop(pop, |_| ()).is_some());
                list.shrink(&limits);
            }
            most = most.max(Collection::memory(&list));
        }
        assert_eq!(list.len(), 2000);
        // Elements of 15 bytes with 2 of overhead, two half-used nodes.
        assert!(most < 2000 * 17 + 3 * 9_000, "{most}");
    }
}

#[test]
fn a_large_list_is_freed_node_by_node() {
    let list = numbers(10_000, &limits(100, 0, 0));
    assert_eq!(list.clone().into_garbage().count(), 100);
    assert_eq!(list.clone().to_vec().len(), 10_000);
    let some = List::from_listpack(Listpack::new(), &limits(1, 0, 0));
    assert!(some.is_none());
}
