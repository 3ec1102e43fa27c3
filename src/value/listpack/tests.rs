use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn listpack(values: &[&[u8]]) -> Listpack {
    let mut listpack = Listpack::new();
    for value in values {
        listpack.push_back(value);
    }
    listpack
}

#[test]
fn the_bytes_are_those_that_redis_dumps() {
    // DUMP of redis-server 7.0.15 after HSET h f 1 name -1000 "" abc, without its type and footer.
    let bytes = b"\x1c\0\0\0\x06\0\x81f\x02\x01\x01\x84name\x05\xdc\x18\x02\x80\x01\x83abc\x04\xff";
    let built = listpack(&[b"f", b"1", b"name", b"-1000", b"", b"abc"]);
    assert_eq!(built.bytes(), bytes);
    assert_eq!(Listpack::from_bytes(bytes.to_vec()), Ok(built));
}

#[test]
fn every_integer_width_has_its_encoding() {
    for (value, bytes) in [
        (0i64, &b"\x00\x01"[..]),
        (127, b"\x7f\x01"),
        (128, b"\xc0\x80\x02"),
        (-1, b"\xdf\xff\x02"),
        (4095, b"\xcf\xff\x02"),
        (-4096, b"\xd0\x00\x02"),
        (4096, b"\xf1\x00\x10\x03"),
        (-4097, b"\xf1\xff\xef\x03"),
        (32767, b"\xf1\xff\x7f\x03"),
        (-32769, b"\xf2\xff\x7f\xff\x04"),
        (8388607, b"\xf2\xff\xff\x7f\x04"),
        (8388608, b"\xf3\x00\x00\x80\x00\x05"),
        (-2147483648, b"\xf3\x00\x00\x00\x80\x05"),
        (2147483648, b"\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09"),
        (i64::MIN, b"\xf4\x00\x00\x00\x00\x00\x00\x00\x80\x09"),
    ] {
        let built = listpack(&[value.to_string().as_bytes()]);
        assert_eq!(
            &built.bytes()[HEADER_LEN..built.bytes().len() - 1],
            bytes,
            "{value}"
        );
        assert_eq!(built.iter().next(), Some(Element::Int(value)));
        let mut other = Listpack::new();
        other.push_back_int(value);
        assert_eq!(other, built);
    }
}

#[test]
fn string_lengths_and_backlens_change_width_where_redis_changes_them() {
    for (len, head, backlen) in [
        (63, &b"\xbf"[..], &b"\x40"[..]),
        (64, b"\xe0\x40", b"\x42"),
        (125, b"\xe0\x7d", b"\x7f"),
        (126, b"\xe0\x7e", b"\x01\x80"),
        (4095, b"\xef\xff", b"\x20\x81"),
        (4096, b"\xf0\x00\x10\x00\x00", b"\x20\x85"),
        (16_377, b"\xf0\xf9\x3f\x00\x00", b"\x7f\xfe"),
        (16_378, b"\xf0\xfa\x3f\x00\x00", b"\x00\xff\xff"),
        (2_097_145, b"\xf0\xf9\xff\x1f\x00", b"\x7f\xff\xfe"),
        (2_097_146, b"\xf0\xfa\xff\x1f\x00", b"\x00\xff\xff\xff"),
    ] {
        let value = vec![b'x'; len];
        let built = listpack(&[b"a", &value, b"b"]);
        let bytes = &built.bytes()[HEADER_LEN + 3..];
        assert!(bytes.starts_with(head), "{len}");
        assert!(bytes[head.len() + len..].starts_with(backlen), "{len}");
        assert_eq!(built.iter().rev().nth(1), Some(Element::Bytes(&value)));
        assert!(Listpack::from_bytes(built.bytes().to_vec()).is_ok());
    }
}

#[test]
fn a_count_of_65535_is_unknown_and_stays_so() {
    let mut listpack = Listpack::new();
    for _ in 0..65_534 {
        listpack.push_back(b"x");
    }
    assert_eq!(listpack.bytes()[4..6], [0xFE, 0xFF]);
    for _ in 0..10 {
        listpack.push_back(b"y");
    }
    assert_eq!(listpack.bytes()[4..6], [0xFF, 0xFF]);
    assert_eq!(listpack.len(), 65_544);
    assert_eq!(listpack.seek(-1), listpack.last());
    let first = listpack.first().unwrap();
    assert_eq!(listpack.delete(first, 65_540), 65_540);
    assert_eq!(listpack.bytes()[4..6], [0xFF, 0xFF]);
    assert_eq!(listpack.len(), 4);
    assert!(Listpack::from_bytes(listpack.bytes().to_vec()).is_ok());
}

#[test]
fn find_skips_what_it_is_told_to() {
    let hash = listpack(&[b"a", b"b", b"b", b"7", b"7", b"c"]);
    assert_eq!(hash.find(b"b", 1), hash.seek(2));
    assert_eq!(hash.find(b"b", 0), hash.seek(1));
    assert_eq!(hash.find(b"7", 1), hash.seek(4));
    assert_eq!(hash.find(b"c", 1), None);
    assert_eq!(Listpack::new().find(b"c", 1), None);
}

#[test]
fn malformed_bytes_are_refused_with_the_reason() {
    let good = listpack(&[b"abc", b"5"]).bytes().to_vec();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Listpack::from_bytes(bytes)
    };
    assert_eq!(Listpack::from_bytes(Vec::new()), Err(ListpackError::Header));
    assert_eq!(
        Listpack::from_bytes(good[..good.len() - 1].to_vec()),
        Err(ListpackError::Header)
    );
    assert_eq!(with(0, 99), Err(ListpackError::Header));
    assert_eq!(
        with(4, 3),
        Err(ListpackError::Count {
            stated: 3,
            found: 2
        })
    );
    assert_eq!(with(6, 0xF5), Err(ListpackError::Element(6)));
    assert_eq!(with(6, 0xBF), Err(ListpackError::Element(6)));
    assert_eq!(with(10, 3), Err(ListpackError::Element(6)));
    assert_eq!(with(11, END), Err(ListpackError::Trailing));
    assert_eq!(
        with(good.len() - 1, 0),
        Err(ListpackError::Element(good.len() - 1))
    );
    // "Unknown" is a legal count whatever the number is.
    let mut unknown = good.clone();
    unknown[4..6].copy_from_slice(&[0xFF, 0xFF]);
    assert_eq!(
        Listpack::from_bytes(unknown).map(|listpack| listpack.len()),
        Ok(2)
    );
}

#[derive(Clone, Debug)]
enum Step {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    InsertBefore(usize, Vec<u8>),
    InsertAfter(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    Delete(usize, usize),
    PopFront(usize),
    /// Splits, and appends the second part again.
    Split(usize),
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any::<i64>().prop_map(|int| int.to_string().into_bytes()),
        4 => (-5000i64..5000).prop_map(|int| int.to_string().into_bytes()),
        4 => vec(any::<u8>(), 0..70),
        1 => (0usize..20_000).prop_map(|len| vec![b'v'; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => value().prop_map(Step::PushBack),
        3 => value().prop_map(Step::PushFront),
        1 => (any::<usize>(), value()).prop_map(|(at, value)| Step::InsertBefore(at, value)),
        1 => (any::<usize>(), value()).prop_map(|(at, value)| Step::InsertAfter(at, value)),
        2 => (any::<usize>(), value()).prop_map(|(at, value)| Step::Replace(at, value)),
        1 => (any::<usize>(), 0usize..4).prop_map(|(at, count)| Step::Delete(at, count)),
        1 => (0usize..3).prop_map(Step::PopFront),
        1 => any::<usize>().prop_map(Step::Split),
    ]
}

fn apply(listpack: &mut Listpack, model: &mut Vec<Vec<u8>>, step: Step) {
    let place = |at: usize| (!model.is_empty()).then(|| at % model.len());
    let seek = |at: usize| listpack.seek(at as i64).unwrap();
    match step {
        Step::PushBack(value) => {
            listpack.push_back(&value);
            model.push(value);
        }
        Step::PushFront(value) => {
            listpack.push_front(&value);
            model.insert(0, value);
        }
        Step::InsertBefore(at, value) => {
            let Some(at) = place(at) else { return };
            listpack.insert_before(seek(at), &value);
            model.insert(at, value);
        }
        Step::InsertAfter(at, value) => {
            let Some(at) = place(at) else { return };
            listpack.insert_after(seek(at), &value);
            model.insert(at + 1, value);
        }
        Step::Replace(at, value) => {
            let Some(at) = place(at) else { return };
            listpack.replace(seek(at), &value);
            model[at] = value;
        }
        Step::Delete(at, count) => {
            let Some(at) = place(at) else { return };
            let end = (at + count).min(model.len());
            assert_eq!(listpack.delete(seek(at), count), end - at);
            model.drain(at..end);
        }
        Step::PopFront(count) => {
            let count = count.min(model.len());
            if let Some(first) = listpack.first() {
                assert_eq!(listpack.delete(first, count), count);
            }
            model.drain(..count);
        }
        Step::Split(at) => {
            let Some(at) = place(at) else { return };
            let tail = listpack.split_off(seek(at));
            assert_eq!((listpack.len(), tail.len()), (at, model.len() - at));
            assert!(Listpack::from_bytes(tail.bytes().to_vec()).is_ok());
            listpack.append(&tail);
        }
    }
}

#[test]
fn a_queue_that_is_pushed_behind_and_popped_before_stays_small() {
    let (mut forward, mut backward) = (Listpack::new(), Listpack::new());
    for i in 0..10_000i64 {
        forward.push_back_int(i);
        backward.push_front(i.to_string().as_bytes());
        if i >= 100 {
            forward.delete(forward.first().unwrap(), 1);
            backward.delete(backward.last().unwrap(), 1);
        }
        assert!(forward.memory() <= 1000 && backward.memory() <= 1000, "{i}");
    }
    fn ends(listpack: &Listpack) -> (Option<Element<'_>>, Option<Element<'_>>, usize) {
        let mut elements = listpack.iter();
        (elements.next(), elements.next_back(), listpack.len())
    }
    let (old, new) = (Some(Element::Int(9_900)), Some(Element::Int(9_999)));
    assert_eq!(ends(&forward), (old, new, 100));
    assert_eq!(ends(&backward), (new, old, 100));
}

#[test]
fn a_listpack_that_loses_most_elements_gives_memory_back() {
    for from_front in [true, false] {
        let mut listpack = Listpack::new();
        for _ in 0..1000 {
            listpack.push_back(b"0123456789");
        }
        for _ in 0..990 {
            let at = match from_front {
                true => listpack.first(),
                false => listpack.last(),
            };
            listpack.delete(at.unwrap(), 1);
        }
        assert!(listpack.memory() < 1000, "{}", listpack.memory());
        assert_eq!(listpack.len(), 10);
    }
}

proptest! {
    #[test]
    fn any_sequence_of_changes_agrees_with_a_vector(steps in vec(step(), 0..60)) {
        let (mut listpack, mut model) = (Listpack::new(), Vec::new());
        for step in steps {
            apply(&mut listpack, &mut model, step);
            prop_assert_eq!(listpack.len(), model.len());
            prop_assert_eq!(listpack.is_empty(), model.is_empty());
        }
        let forward: Vec<_> = listpack.iter().map(Element::to_vec).collect();
        prop_assert_eq!(&forward, &model);
        let mut backward: Vec<_> = listpack.iter().rev().map(Element::to_vec).collect();
        backward.reverse();
        prop_assert_eq!(&backward, &model);
        for (index, value) in model.iter().enumerate() {
            let at = listpack.seek(index as i64).unwrap();
            prop_assert_eq!(listpack.seek(index as i64 - model.len() as i64), Some(at));
            let stored = listpack.get(at).map(Element::to_vec);
            prop_assert_eq!(stored.as_ref(), Some(value));
            prop_assert_eq!(listpack.get(at).map(Element::len), Some(value.len()));
            let first = model.iter().position(|other| other == value);
            prop_assert_eq!(listpack.find(value, 0), listpack.seek(first.unwrap() as i64));
        }
        prop_assert_eq!(listpack.seek(model.len() as i64), None);
        prop_assert_eq!(listpack.seek(-1 - model.len() as i64), None);
        prop_assert_eq!(Listpack::from_bytes(listpack.bytes().to_vec()), Ok(listpack));
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_without_a_panic(
        values in vec(value(), 0..8),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut listpack = Listpack::new();
        values.iter().for_each(|value| listpack.push_back(value));
        let mut bytes = listpack.bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(listpack) = Listpack::from_bytes(bytes) {
            prop_assert_eq!(listpack.iter().count(), listpack.iter().rev().count());
        }
    }
}
