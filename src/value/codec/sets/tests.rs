//! Payloads of sets: round trips, limits, and hostile ones.

use super::super::tests::{Random, signed, string_payload};
use super::super::{RestoreError, dump, restore, write_string};
use super::*;
use crate::value::hash::HashLimits;
use crate::value::{HashSeed, Value, ValueRef};

const LIMITS: SetLimits = SetLimits {
    intset_entries_max: 6,
    listpack_entries_max: 4,
    listpack_value_len_max: 8,
};

fn collections() -> Collections {
    Collections {
        list_limits: Default::default(),
        hash_limits: HashLimits::default(),
        set_limits: LIMITS,
        sorted_set_limits: Default::default(),
        seed: HashSeed([1, 2, 3, 4]),
    }
}

fn restored(payload: &[u8]) -> Result<Set, RestoreError> {
    match restore(&signed(payload), &collections())? {
        Value::Set(set) => Ok(*set),
        other => panic!("not a set: {other:?}"),
    }
}

fn strings(members: &[&[u8]]) -> Vec<u8> {
    let mut payload = vec![kind::SET];
    write_len(&mut payload, members.len() as u64);
    for member in members {
        write_string(&mut payload, member);
    }
    payload
}

fn listpack(members: &[&[u8]]) -> Vec<u8> {
    let mut listpack = Listpack::new();
    members.iter().for_each(|member| listpack.push_back(member));
    string_payload(kind::SET_LISTPACK, listpack.bytes())
}

fn intset(values: &[i64]) -> Vec<u8> {
    let intset = Intset::from_ascending(values).unwrap();
    string_payload(kind::SET_INTSET, &intset.to_bytes())
}

fn sorted(set: &Set) -> Vec<Vec<u8>> {
    let mut members: Vec<_> = set.iter().map(Element::to_vec).collect();
    members.sort();
    members
}

#[test]
fn members_decide_the_encoding_as_they_do_in_redis() {
    let cases: [(&[&[u8]], &str); 11] = [
        (&[b"3", b"1", b"2"], "intset"),
        (&[b"6", b"5", b"4", b"3", b"2", b"1"], "intset"),
        (&[b"7", b"6", b"5", b"4", b"3", b"2", b"1"], "hashtable"),
        (&[b"1", b"a", b"2"], "listpack"),
        (&[b"a"], "listpack"),
        (&[b"1", b"2", b"3", b"4", b"a"], "hashtable"),
        (&[b"1", b"2", b"a", b"b", b"3"], "hashtable"),
        (&[b"a", b"b", b"c", b"d"], "listpack"),
        (&[b"a", b"long long"], "hashtable"),
        (&[b"1", b"long long"], "hashtable"),
        (&[b"123456789", b"a"], "hashtable"),
    ];
    for (members, encoding) in cases {
        let set = restored(&strings(members)).unwrap();
        assert_eq!(set.encoding(), encoding, "{members:?}");
        let mut want: Vec<_> = members.iter().map(|m| m.to_vec()).collect();
        want.sort();
        assert_eq!(sorted(&set), want);
    }
    let set = restored(&strings(&[b"3", b"1", b"a"])).unwrap();
    let order: Vec<_> = set.iter().map(Element::to_vec).collect();
    assert_eq!(order, [&b"1"[..], b"3", b"a"]);
    let encoding = |payload: &[u8]| restored(payload).unwrap().encoding();
    assert_eq!(encoding(&intset(&[1, 2, 3, 4, 5, 6])), "intset");
    assert_eq!(encoding(&intset(&[1, 2, 3, 4, 5, 6, 7])), "hashtable");
    assert_eq!(encoding(&listpack(&[b"1", b"2"])), "listpack");
    assert_eq!(encoding(&listpack(&[b"any length of it"])), "listpack");
    let five: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];
    assert_eq!(encoding(&listpack(&five)), "hashtable");
}

#[test]
fn every_encoding_round_trips() {
    for payload in [
        strings(&[b"1", b"-70000"]),
        strings(&[b"1", b"a", b""]),
        strings(&[b"1", b"a", b"", b"long long", b"b", b"7"]),
        listpack(&[b"7", b"x"]),
        intset(&[i64::MIN, 0, i64::MAX]),
    ] {
        let set = restored(&payload).unwrap();
        let dumped = dump(ValueRef::Set(&set), Compression::Lzf);
        let written = [kind::SET, kind::SET_INTSET];
        assert!(written.contains(&dumped[0]), "Redis 7.0 reads no others");
        let Ok(Value::Set(again)) = restore(&dumped, &collections()) else {
            panic!("{payload:?}");
        };
        assert_eq!(sorted(&again), sorted(&set));
        assert_eq!(again.encoding(), set.encoding());
    }
}

#[test]
fn empty_double_disordered_and_cut_payloads_are_refused() {
    let disordered = b"\x02\x00\x00\x00\x02\x00\x00\x00\x02\x00\x01\x00";
    let double = b"\x02\x00\x00\x00\x02\x00\x00\x00\x02\x00\x02\x00";
    let width = b"\x03\x00\x00\x00\x01\x00\x00\x00\x02\x00\x02\x00";
    let payloads = [
        strings(&[]),
        listpack(&[]),
        intset(&[]),
        strings(&[b"1", b"1"]),
        strings(&[b"a", b"b", b"a"]),
        strings(&[b"1", b"1", b"a"]),
        strings(&[b"1", b"a", b"1"]),
        strings(&[b"1", b"1", b"long long"]),
        strings(&[b"a", b"a", b"long long"]),
        strings(&[b"a", b"long long", b"a"]),
        strings(&[b"long long", b"long long"]),
        listpack(&[b"7", b"x", b"7"]),
        string_payload(kind::SET_INTSET, disordered),
        string_payload(kind::SET_INTSET, double),
        string_payload(kind::SET_INTSET, width),
        string_payload(kind::SET_INTSET, b"\x02\x00\x00\x00\x00\x00\x00\x80"),
        b"\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a".to_vec(),
        b"\x02\x81\x00\x00\x00\x00\x00\x00\x00\x05\x01a".to_vec(),
    ];
    for (i, payload) in payloads.iter().enumerate() {
        let result = restored(payload);
        assert!(matches!(result, Err(RestoreError::Data(_))), "payload {i}");
    }
    let good = strings(&[b"1", b"22", b"333", b"a"]);
    for end in 1..good.len() {
        assert!(restored(&good[..end]).is_err(), "{end} bytes");
    }
}

#[test]
fn descending_integers_are_read_in_no_time() {
    let many: Vec<String> = (0..300_000).rev().map(|n| n.to_string()).collect();
    let many: Vec<&[u8]> = many.iter().map(|n| n.as_bytes()).collect();
    let loose = Collections {
        set_limits: SetLimits {
            intset_entries_max: usize::MAX,
            ..LIMITS
        },
        ..collections()
    };
    let Ok(Value::Set(set)) = restore(&signed(&strings(&many)), &loose) else {
        panic!("a set");
    };
    assert_eq!((set.len(), set.encoding()), (300_000, "intset"));
}

#[test]
fn mutated_payloads_are_sets_or_errors() {
    let samples = [
        strings(&[b"3", b"1", b"2"]),
        strings(&[b"a", b"1", b"hello"]),
        strings(&[b"a", b"1", b"hello hello", b"22", b"x"]),
        listpack(&[b"7", b"x", b"hello hello", b"-5"]),
        intset(&[-5, 3, 70]),
        intset(&[-5, 3, 70_000, 1 << 40]),
    ];
    let (mut random, mut sets) = (Random(0x005e_75e7), 0);
    for round in 0..60_000 {
        let mut payload = samples[random.below(samples.len())].clone();
        random.mutate(&mut payload);
        let Ok(value) = restore(&signed(&payload), &collections()) else {
            continue;
        };
        let Value::Set(set) = &value else {
            continue;
        };
        sets += 1;
        let again = restore(&dump(value.borrow(), Compression::Lzf), &collections());
        let Ok(Value::Set(again)) = again else {
            panic!("round {round}: {payload:?}");
        };
        assert_eq!(sorted(&again), sorted(set), "round {round}");
        let mut members = sorted(set);
        members.dedup();
        assert_eq!(members.len(), set.len(), "round {round}");
    }
    assert!(sets > 1000, "{sets}");
}
