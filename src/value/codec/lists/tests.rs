use super::super::tests::{Random, collections, restore_signed};
use super::super::{RestoreError, dump, legacy, restore, write_value_with};
use super::*;
use crate::value::list::End;
use crate::value::{Value, ValueRef};

fn list_of(value: &Value) -> &List {
    let Value::List(list) = value else {
        panic!("not a list: {value:?}");
    };
    list
}

fn texts(value: &Value) -> Vec<String> {
    let elements = list_of(value).to_vec();
    let text = |element: &Vec<u8>| String::from_utf8_lossy(element).into_owned();
    elements.iter().map(text).collect()
}

fn listpack(elements: &[&str]) -> Vec<u8> {
    let mut listpack = Listpack::new();
    for element in elements {
        listpack.push_back(element.as_bytes());
    }
    listpack.bytes().to_vec()
}

/// A payload of strings, behind a count or not.
fn payload(kind: u8, count: Option<u64>, strings: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![kind];
    if let Some(count) = count {
        write_len(&mut out, count);
    }
    for string in strings {
        write_string_with(&mut out, string, Compression::None);
    }
    out
}

/// A payload of nodes: container and content.
fn nodes(nodes: &[(u64, &[u8])]) -> Vec<u8> {
    let mut out = vec![kind::LIST_QUICKLIST_2];
    write_len(&mut out, nodes.len() as u64);
    for (container, content) in nodes {
        write_len(&mut out, *container);
        write_string_with(&mut out, content, Compression::None);
    }
    out
}

fn ziplist(entries: &[&[u8]]) -> Vec<u8> {
    legacy::tests::build_ziplist(entries)
}

#[test]
fn a_small_list_is_dumped_as_redis_does() {
    // DUMP of valkey-server 8.0.1 after RPUSH l a b 3, with the version of Redis 7.0.
    let dumped = b"\x12\x01\x02\x0f\x0f\0\0\0\x03\0\x81a\x02\x81b\x02\x03\x01\xff\x0a\0";
    let payload = &dumped[..dumped.len() - 2];
    let value = restore_signed(payload).unwrap();
    assert_eq!(list_of(&value).encoding(), "listpack");
    assert_eq!(texts(&value), ["a", "b", "3"]);
    let again = dump(value.borrow(), Compression::Lzf);
    assert_eq!(again[..dumped.len()], *dumped);
}

#[test]
fn all_encodings_of_a_list_give_the_same_list() {
    let (a, b) = (listpack(&["name", "-7"]), listpack(&["", "300"]));
    let (za, zb) = (
        ziplist(&[b"\x04name", b"\xfe\xf9"]),
        ziplist(&[b"\x00", b"\xc0\x2c\x01"]),
    );
    let whole = ziplist(&[b"\x04name", b"\xfe\xf9", b"\x00", b"\xc0\x2c\x01"]);
    let empty = ziplist(&[]);
    for payload in [
        payload(kind::LIST, Some(4), &[b"name", b"-7", b"", b"300"]),
        payload(kind::LIST_ZIPLIST, None, &[&whole]),
        payload(kind::LIST_QUICKLIST, Some(2), &[&za, &zb]),
        payload(kind::LIST_QUICKLIST, Some(3), &[&za, &empty, &zb]),
        nodes(&[(2, &a), (2, &b)]),
        nodes(&[(2, &a), (2, &listpack(&[])), (2, &b)]),
    ] {
        let value = restore_signed(&payload).unwrap();
        assert_eq!(texts(&value), ["name", "-7", "", "300"], "{payload:?}");
    }
    let value = restore_signed(&nodes(&[(2, &a), (1, b"large"), (1, b"12")])).unwrap();
    assert_eq!(texts(&value), ["name", "-7", "large", "12"]);
    assert_eq!(list_of(&value).encoding(), "quicklist");
}

#[test]
fn the_limits_decide_the_encoding_of_a_list() {
    let many: Vec<String> = (0..2000).map(|n| format!("element {n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let bytes: Vec<&[u8]> = many.iter().map(|text| text.as_bytes()).collect();
    let large = listpack(&many);
    for (payload, node_count) in [
        (payload(kind::LIST, Some(2000), &bytes), 4),
        (nodes(&[(2, &large)]), 1),
        (nodes(&[(2, &listpack(&many[..100])), (2, &large)]), 2),
    ] {
        let value = restore_signed(&payload).unwrap();
        assert_eq!(list_of(&value).encoding(), "quicklist");
        assert_eq!(list_of(&value).node_count(), node_count);
    }
    let value = restore_signed(&nodes(&[(2, &listpack(&many[..100]))])).unwrap();
    assert_eq!(list_of(&value).encoding(), "listpack");
}

#[test]
fn compressed_nodes_are_written_as_they_are_or_as_they_were() {
    let limits = ListLimits {
        node_size: 20,
        compress_depth: 1,
        plain_len_min: 500,
    };
    let mut list = List::new();
    for n in 0..100 {
        let text = if n % 30 == 7 {
            "large ".repeat(100)
        } else {
            format!("element {n}")
        };
        list.prepare(text.len(), 1, &limits);
        list.push(End::Back, text.as_bytes(), &limits);
    }
    let mut lens = Vec::new();
    for compression in [Compression::Lzf, Compression::None] {
        let mut out = Vec::new();
        write_value_with(&mut out, ValueRef::List(&list), compression);
        let mut reader = Reader::new(&out);
        let read = read_list(kind::LIST_QUICKLIST_2, &mut reader, &limits).unwrap();
        assert_eq!(reader.remaining(), 0);
        assert_eq!(read.to_vec(), list.to_vec());
        assert_eq!(read.shape(), list.shape());
        lens.push(out.len());
    }
    assert!(lens[0] * 2 < lens[1], "{lens:?}");
}

#[test]
fn malformed_lists_are_refused() {
    let good = listpack(&["a", "b"]);
    let mut cut = good.clone();
    cut.pop();
    for (i, payload) in [
        payload(kind::LIST, Some(0), &[]),
        payload(kind::LIST, Some(2), &[b"a"]),
        payload(kind::LIST, Some(u64::MAX), &[b"a"]),
        payload(kind::LIST_ZIPLIST, None, &[&ziplist(&[])]),
        payload(kind::LIST_ZIPLIST, None, &[b"\x0b\0\0\0"]),
        payload(kind::LIST_QUICKLIST, Some(0), &[]),
        payload(kind::LIST_QUICKLIST, Some(1), &[&ziplist(&[])]),
        payload(kind::LIST_QUICKLIST, Some(1), &[&good]),
        nodes(&[]),
        nodes(&[(2, &listpack(&[]))]),
        nodes(&[(2, &cut)]),
        nodes(&[(2, &good), (2, b"")]),
        nodes(&[(1, b"")]),
        nodes(&[(0, &good)]),
        nodes(&[(3, &good)]),
    ]
    .iter()
    .enumerate()
    {
        let result = restore_signed(payload);
        assert!(
            matches!(result, Err(RestoreError::Data(_))),
            "payload {i}: {result:?}"
        );
    }
}

#[test]
fn mutated_lists_are_lists_or_errors() {
    let (a, b) = (listpack(&["name", "-7", "70000"]), listpack(&["", "300"]));
    let zip = ziplist(&[b"\x04name", b"\xfe\xf9", b"\x00", b"\xc0\x2c\x01"]);
    let samples = [
        payload(kind::LIST, Some(4), &[b"name", b"-7", b"", b"300"]),
        payload(kind::LIST_ZIPLIST, None, &[&zip]),
        payload(kind::LIST_QUICKLIST, Some(2), &[&zip, &zip]),
        nodes(&[(2, &a), (1, b"large element"), (2, &b)]),
        nodes(&[(2, &a)]),
    ];
    let seed = 0x115f_feed;
    let mut random = Random(seed);
    let (mut lists, mut errors) = (0, 0);
    for _ in 0..60_000 {
        let mut payload = samples[random.below(samples.len())].clone();
        random.mutate(&mut payload);
        let Ok(value) = restore_signed(&payload) else {
            errors += 1;
            continue;
        };
        let Value::List(list) = &value else {
            continue;
        };
        lists += 1;
        let again = restore(&dump(value.borrow(), Compression::Lzf), &collections())
            .unwrap_or_else(|e| panic!("seed {seed:#x}: {payload:?}: {e}"));
        assert_eq!(list_of(&again).to_vec(), list.to_vec(), "{payload:?}");
        assert_eq!(list.len(), list.to_vec().len());
    }
    assert!(
        lists > 2000 && errors > 20_000,
        "{lists} lists, {errors} errors"
    );
}
