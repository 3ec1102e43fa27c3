//! Streams against plain maps, and the layout against dumps of a real server.

use std::collections::BTreeMap;

use super::*;
use crate::value::codec::tests::Random;

type Fields = Vec<Vec<u8>>;

fn id(ms: u64, seq: u64) -> StreamId {
    StreamId::new(ms, seq)
}

fn add(stream: &mut Stream, id: StreamId, pairs: &[&str], limits: &StreamLimits) {
    let pairs = pairs.iter().map(|text| text.as_bytes());
    let added = stream.append(NewId::Exactly(id), pairs, limits);
    assert_eq!(added, Ok(id));
}

/// A stream of `n-0` from 1 to `count`, in nodes of ten.
fn numbered(count: u64) -> Stream {
    let limits = StreamLimits {
        node_entries_max: 10,
        ..StreamLimits::default()
    };
    let mut stream = Stream::new();
    for n in 1..=count {
        add(&mut stream, id(n, 0), &["n", &n.to_string()], &limits);
    }
    stream
}

fn content(entry: &Entry<'_>) -> Fields {
    entry
        .pairs()
        .flat_map(|(field, value)| [field.to_vec(), value.to_vec()])
        .collect()
}

/// All that must hold of any stream.
fn check(stream: &Stream, model: &BTreeMap<StreamId, Fields>) {
    assert_eq!(stream.len(), model.len());
    let forward: Vec<_> = stream.range(StreamId::MIN, StreamId::MAX).collect();
    assert!(
        forward
            .iter()
            .map(|entry| entry.id)
            .eq(model.keys().copied())
    );
    assert!(forward.iter().map(content).eq(model.values().cloned()));
    let back = stream.range_back(StreamId::MIN, StreamId::MAX);
    assert!(back.map(|entry| entry.id).eq(model.keys().rev().copied()));
    let first = model.keys().next().copied().unwrap_or_default();
    assert_eq!(stream.first_id(), first);
    let last = model.keys().next_back().copied().unwrap_or_default();
    assert_eq!(stream.last_live_id(), last);
    assert!(stream.last_id() >= last);
    let bytes = stream.nodes.values().map(|node| allocated(node.memory()));
    assert_eq!(stream.node_bytes, bytes.sum::<usize>());
    let live: u64 = stream.nodes.values().map(|node| node.counts().0).sum();
    assert_eq!(live, stream.len);
    // The nodes hold together for whoever reads them without trust.
    let mut loader = Loader::new();
    for (key, bytes) in stream.nodes_from(StreamId::MIN) {
        let listpack = crate::value::listpack::Listpack::from_bytes(bytes.to_vec());
        loader.node(key, listpack.unwrap()).unwrap();
    }
    let head = Head {
        len: stream.len,
        last_id: stream.last_id,
        counters: None,
    };
    assert_eq!(loader.finish(head).unwrap().first_id, stream.first_id);
}

fn random_pairs(random: &mut Random) -> Fields {
    let names = ["a", "field", "12", "", "-7"];
    // Mostly the same fields, which the nodes share.
    let count = [2, 2, 2, 2, 1, 3][random.below(6)];
    let start = usize::from(random.below(8) == 0);
    let mut pairs = Vec::new();
    for n in 0..count {
        pairs.push(names[(start + n) % names.len()].into());
        pairs.push(match random.below(4) {
            0 => random.next().to_string().into_bytes(),
            1 => vec![b'v'; random.below(90)],
            _ => random.below(300).to_string().into_bytes(),
        });
    }
    pairs
}

fn some_id(random: &mut Random, model: &BTreeMap<StreamId, Fields>) -> StreamId {
    let at = random.below(model.len() + 1);
    match model.keys().nth(at) {
        Some(id) => *id,
        None => id(random.next() % 3000, random.next() % 3),
    }
}

#[test]
fn random_operations_leave_what_a_plain_map_holds() {
    let mut random = Random(0x57_12ea);
    for round in 0..12 {
        let limits = StreamLimits {
            node_bytes_max: [0, 4096, 300, 1][round % 4],
            node_entries_max: [100, 3, 0][round % 3],
        };
        let (mut stream, mut model) = (Stream::new(), BTreeMap::<StreamId, Fields>::new());
        for step in 0..1500 {
            match random.below(20) {
                0..12 => {
                    let pairs = random_pairs(&mut random);
                    let last = stream.last_id();
                    let new = match random.below(4) {
                        0 => NewId::Now(last.ms.saturating_sub(3) + random.next() % 6),
                        1 => NewId::Milliseconds(last.ms + random.next() % 2),
                        _ => NewId::Exactly(id(last.ms + random.next() % 3, random.next() % 4)),
                    };
                    let arguments = pairs.iter().map(Vec::as_slice);
                    match stream.append(new, arguments, &limits) {
                        Ok(id) => {
                            assert!(id > last);
                            model.insert(id, pairs);
                        }
                        Err(error) => {
                            assert_eq!(error, AppendError::NotGreater);
                            assert!(matches!(new, NewId::Exactly(id) if id <= last));
                        }
                    }
                }
                12..16 => {
                    let ids: Vec<_> = (0..3).map(|_| some_id(&mut random, &model)).collect();
                    let deleted = stream.delete(ids.iter().copied());
                    let gone = ids.iter().filter(|id| model.remove(id).is_some());
                    assert_eq!(deleted, gone.count() as u64);
                }
                16 => trim_both(&mut random, &mut stream, &mut model),
                _ => {
                    let (a, b) = (some_id(&mut random, &model), some_id(&mut random, &model));
                    let (start, end) = (a.min(b), a.max(b));
                    let want: Vec<_> = model.range(start..=end).map(|(id, _)| *id).collect();
                    let found = stream.range(start, end).map(|entry| entry.id);
                    assert!(found.eq(want.iter().copied()));
                    let found = stream.range_back(start, end).map(|entry| entry.id);
                    assert!(found.eq(want.iter().rev().copied()));
                    assert_eq!(stream.get(a).is_some(), model.contains_key(&a));
                }
            }
            if step % 50 == 0 {
                check(&stream, &model);
                check(&stream.clone(), &model);
            }
        }
        check(&stream, &model);
    }
}

fn trim_both(random: &mut Random, stream: &mut Stream, model: &mut BTreeMap<StreamId, Fields>) {
    let keep = match random.below(2) {
        0 => Keep::Entries(random.below(model.len() + 2) as u64),
        _ => Keep::From(some_id(random, model)),
    };
    let trim = Trim {
        keep,
        approximate: random.below(3) == 0,
        limit: (random.below(3) == 0).then(|| random.next() % 200),
    };
    let before = model.len();
    let removed = stream.trim(&trim);
    let wanted = match keep {
        Keep::Entries(keep) => before.saturating_sub(keep as usize),
        Keep::From(id) => model.range(..id).count(),
    };
    match (trim.approximate, trim.limit) {
        (false, None) => assert_eq!(removed, wanted as u64),
        _ => assert!(removed <= wanted as u64),
    }
    if trim.approximate {
        assert!(trim.limit.is_none_or(|limit| removed <= limit));
    }
    for _ in 0..removed {
        model.pop_first();
    }
    check(stream, model);
}

#[test]
fn ids_from_the_clock_ascend_also_when_the_clock_goes_back() {
    let mut stream = Stream::new();
    let limits = StreamLimits::default();
    let pair = || [b"f".as_slice(), b"v"].into_iter();
    assert_eq!(stream.append(NewId::Now(5), pair(), &limits), Ok(id(5, 0)));
    assert_eq!(stream.append(NewId::Now(5), pair(), &limits), Ok(id(5, 1)));
    assert_eq!(stream.append(NewId::Now(3), pair(), &limits), Ok(id(5, 2)));
    let greatest = NewId::Exactly(id(7, u64::MAX));
    assert!(stream.append(greatest, pair(), &limits).is_ok());
    let next = stream.append(NewId::Milliseconds(7), pair(), &limits);
    assert_eq!(next, Err(AppendError::NotGreater));
    assert_eq!(stream.append(NewId::Now(7), pair(), &limits), Ok(id(8, 0)));
    stream.set_ids(StreamId::MAX, None, None);
    let next = stream.append(NewId::Now(9), pair(), &limits);
    assert_eq!(next, Err(AppendError::Exhausted));
}

#[test]
fn a_node_ends_at_either_limit_and_goes_with_its_last_entry() {
    let mut stream = numbered(35);
    assert_eq!(stream.node_count(), 4);
    assert_eq!(stream.delete((11..=20).map(|n| id(n, 0))), 10);
    assert_eq!(stream.node_count(), 3);
    assert_eq!(
        stream.delete([id(1, 0), id(35, 0), id(99, 0)].into_iter()),
        2
    );
    assert_eq!(
        (stream.first_id(), stream.max_deleted_id()),
        (id(2, 0), id(35, 0))
    );
    assert_eq!(
        (stream.last_id(), stream.last_live_id()),
        (id(35, 0), id(34, 0))
    );
    assert_eq!(stream.first_stored_id(), Some(id(1, 0)));
    let mut small = Stream::new();
    let limits = StreamLimits {
        node_bytes_max: 64,
        node_entries_max: 0,
    };
    for n in 1..=4 {
        add(
            &mut small,
            id(n, 0),
            &["f", "twenty bytes of value"],
            &limits,
        );
    }
    assert_eq!(small.node_count(), 4);
}

#[test]
fn entries_with_the_fields_of_the_first_take_less() {
    let limits = StreamLimits::default();
    let (mut same, mut other) = (Stream::new(), Stream::new());
    for n in 1..=50 {
        add(
            &mut same,
            id(n, 0),
            &["temperature", "1", "humidity", "2"],
            &limits,
        );
        let name = format!("temperature{n}");
        add(
            &mut other,
            id(n, 0),
            &[&name, "1", "humidity", "2"],
            &limits,
        );
    }
    let bytes = |stream: &Stream| {
        stream
            .nodes
            .values()
            .map(|n| n.bytes().len())
            .sum::<usize>()
    };
    assert!(bytes(&same) < bytes(&other) / 2);
}

#[test]
fn what_a_group_has_not_read_is_counted_where_that_can_be_known() {
    let mut stream = numbered(20);
    let group = |last, read| Group::new(last, read);
    assert_eq!(stream.lag(&group(id(5, 0), Some(5))), Some(15));
    assert_eq!(stream.lag(&group(id(5, 0), None)), None);
    assert_eq!(stream.lag(&group(id(20, 0), None)), Some(0));
    assert_eq!(stream.lag(&group(StreamId::MIN, None)), Some(20));
    assert_eq!(stream.lag(&group(id(1, 0), None)), Some(19));
    assert_eq!(stream.lag(&group(id(99, 0), None)), None);
    stream.delete([id(10, 0)].into_iter());
    assert_eq!(stream.lag(&group(id(5, 0), Some(5))), None);
    assert_eq!(stream.lag(&group(id(15, 0), Some(15))), Some(5));
    let trim = Trim {
        keep: Keep::From(id(12, 0)),
        approximate: false,
        limit: None,
    };
    stream.trim(&trim);
    assert_eq!(stream.lag(&group(id(11, 0), Some(10))), Some(10));
    assert_eq!(stream.lag(&group(id(11, 0), None)), Some(9));
    assert_eq!(Stream::new().lag(&group(id(7, 0), None)), Some(0));
}

#[test]
fn random_deliveries_leave_what_a_plain_map_holds() {
    let mut random = Random(0x6_0b5);
    let mut group = Group::new(StreamId::MIN, Some(0));
    let mut model = BTreeMap::<StreamId, (String, u64)>::new();
    for step in 0..6000 {
        let id = id(random.next() % 200, 0);
        let name = format!("c{}", random.below(6));
        match random.below(10) {
            0..6 => {
                let key = group.find_consumer(name.as_bytes());
                let key = key.or_else(|| group.create_consumer(name.as_bytes(), 1));
                let count = random.next() % 5;
                let pending = Pending {
                    consumer: key.unwrap(),
                    delivered_ms: 7,
                    count,
                };
                group.assign(id, pending);
                assert!(group.create_consumer(name.as_bytes(), 1).is_none());
                model.insert(id, (name, count));
            }
            6..9 => assert_eq!(group.release(id), model.remove(&id).is_some()),
            _ => {
                let there = group.find_consumer(name.as_bytes()).is_some();
                let before = model.len();
                let deleted = group.delete_consumer(name.as_bytes());
                if there {
                    model.retain(|_, (owner, _)| *owner != name);
                }
                assert_eq!(deleted, there.then_some(before - model.len()));
            }
        }
        if step % 100 == 0 {
            assert!(group.pending().keys().eq(model.keys()));
            for (id, pending) in group.pending() {
                let owner = group.consumer(pending.consumer);
                let want = &model[id];
                assert_eq!((owner.name(), pending.count), (want.0.as_bytes(), want.1));
                assert!(owner.pending().contains(id));
            }
            let own: usize = group.consumers().map(|c| c.pending().len()).sum();
            assert_eq!(own, model.len());
            assert!(group.consumers().is_sorted_by_key(Consumer::name));
        }
    }
}

#[test]
fn memory_is_about_what_was_allocated_and_freeing_goes_in_steps() {
    let mut stream = numbered(5000);
    let mut group = Group::new(StreamId::MIN, None);
    let key = group.create_consumer(b"me", 0).unwrap();
    for n in 0..5000 {
        let pending = Pending {
            consumer: key,
            delivered_ms: 0,
            count: 1,
        };
        group.assign(id(n, 0), pending);
    }
    let bare = Collection::memory(&stream);
    // About 12 bytes an entry, its node's listpack and place in the map.
    assert!((50_000..120_000).contains(&bare), "{bare}");
    stream.create_group(b"g", group);
    let whole = Collection::memory(&stream);
    assert!(
        whole > bare + 5000 * 56 && whole < bare + 5000 * 160,
        "{whole}"
    );
    assert_eq!(stream.elements(), 10_000);
    let steps: Vec<usize> = stream.into_garbage().collect();
    assert!(steps.iter().all(|freed| *freed <= 1000));
    assert!(steps.iter().sum::<usize>() >= 15_000);
}
