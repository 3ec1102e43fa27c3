use super::*;

fn text(entry: &Entry) -> Vec<u8> {
    match entry.value() {
        ValueRef::Int(int) => int.to_string().into_bytes(),
        ValueRef::Bytes(bytes) => bytes.to_vec(),
        _ => panic!("a string"),
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + len) as u8 | 0x80).collect()
}

#[test]
fn an_entry_is_one_word_and_so_is_an_optional_one() {
    assert_eq!((size_of::<Entry>(), size_of::<Option<Entry>>()), (8, 8));
}

#[test]
fn a_small_string_costs_96_bytes() {
    let entry = Entry::string(b"key:000000000001", &pattern(64), None);
    assert_eq!(entry.memory(), 96);
    let entry = Entry::string(b"key:000000000001", b"12345", None);
    assert_eq!(entry.memory(), 48);
}

#[test]
fn size_classes_are_those_of_jemalloc() {
    let sizes: Vec<_> = (1..=20).map(class_size).collect();
    let expected = [
        16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896,
        1024,
    ];
    assert_eq!(sizes, expected);
    for size in 1..if cfg!(miri) { 3_000 } else { 100_000 } {
        let class = class_of(size);
        assert!(class_size(class) >= size, "{size}");
        assert!(class == 1 || class_size(class - 1) < size, "{size}");
    }
    assert!(class_size(class_of(1 << 40)) >= 1 << 40);
}

#[test]
fn what_is_put_in_comes_out() {
    let long = if cfg!(miri) { 200 } else { 20_000 };
    for key_len in [0, 1, 16, 127, 128, 300, long] {
        for value_len in [0, 1, 63, 127, 128, 1000, 1024, 1025, 5000] {
            for expiry in [None, Some(0), Some(u64::MAX)] {
                let (key, value) = (pattern(key_len), pattern(value_len));
                let mut entry = Entry::string(&key, &value, expiry);
                entry.set_order(0xffff);
                entry.set_epoch(0xfedc);
                entry.set_access(0x8765_4321);
                assert_eq!((entry.key(), text(&entry)), (&key[..], value.clone()));
                assert_eq!(entry.expire_at(), expiry);
                assert_eq!((entry.order(), entry.epoch()), (0xffff, 0xfedc));
                assert_eq!((entry.access(), entry.kind()), (0x8765_4321, Kind::String));
                assert!(matches!(entry.into_value(), Value::Bytes(bytes) if bytes == value));
            }
        }
    }
}

#[test]
fn canonical_integers_are_held_as_such_and_other_digits_are_not() {
    for int in [
        "0",
        "-1",
        "42",
        "9223372036854775807",
        "-9223372036854775808",
    ] {
        let entry = Entry::string(b"k", int.as_bytes(), None);
        assert_eq!(
            (entry.encoding(), text(&entry)),
            ("int", int.as_bytes().to_vec())
        );
        assert!(matches!(entry.into_value(), Value::Int(_)));
    }
    for other in [
        "",
        "-",
        "-0",
        "01",
        "+1",
        " 1",
        "9223372036854775808",
        "1.0",
    ] {
        assert_eq!(
            Entry::string(b"k", other.as_bytes(), None).encoding(),
            "embstr",
            "{other}"
        );
    }
}

#[test]
fn encodings_follow_length_and_history() {
    assert_eq!(Entry::string(b"k", &pattern(44), None).encoding(), "embstr");
    assert_eq!(Entry::string(b"k", &pattern(45), None).encoding(), "raw");
    let mut entry = Entry::new(b"k", Value::Raw(b"12".to_vec()), None);
    assert_eq!((entry.encoding(), text(&entry)), ("raw", b"12".to_vec()));
    assert!(matches!(entry.to_value(), Value::Raw(_)));
    entry.set_string(b"x", None);
    assert_eq!((entry.encoding(), entry.is_raw()), ("embstr", false));
}

#[test]
fn any_value_and_expiry_can_follow_any_other() {
    let values = || {
        [
            Value::Int(-7),
            Value::Bytes(Vec::new()),
            Value::Bytes(pattern(5)),
            Value::Raw(pattern(40)),
            Value::Bytes(pattern(300)),
            Value::Bytes(pattern(3000)),
            Value::Raw(pattern(9000)),
            Value::Hash(Box::default()),
        ]
    };
    let same = |entry: &Entry, value: &Value| match (entry.value(), value.borrow()) {
        (ValueRef::Int(a), ValueRef::Int(b)) => a == b,
        (ValueRef::Bytes(a), ValueRef::Bytes(b)) => {
            a == b && entry.is_raw() == matches!(value, Value::Raw(_))
        }
        (ValueRef::Hash(_), ValueRef::Hash(_)) => true,
        _ => false,
    };
    for key_len in [1, 130] {
        let key = pattern(key_len);
        for first in values() {
            for second in values() {
                for (before, after) in [(None, None), (None, Some(5)), (Some(5), None)] {
                    let mut entry = Entry::new(&key, first.clone(), before);
                    entry.set_order(0xabcd);
                    entry.set_access(77);
                    assert!(same(&entry, &first));
                    entry.set_expiry(after);
                    assert!(same(&entry, &first));
                    assert_eq!(entry.expire_at(), after);
                    entry.set_value(second.clone());
                    assert!(same(&entry, &second));
                    entry.set_expiry(before);
                    assert!(same(&entry, &second));
                    entry.set_string(b"text", after);
                    assert_eq!(text(&entry), b"text");
                    assert_eq!((entry.key(), entry.expire_at()), (&key[..], after));
                    assert_eq!((entry.order(), entry.access()), (0xabcd, 77));
                    entry.set_value(first.clone());
                    assert!(same(&entry, &first));
                }
            }
        }
    }
}

#[test]
fn a_value_that_fits_is_overwritten_in_place() {
    let mut entry = Entry::string(b"key:000000000001", &pattern(64), None);
    let before = entry.base();
    for len in [70, 64, 32, 70] {
        entry.set_string(&pattern(len), None);
        assert_eq!((entry.base(), text(&entry)), (before, pattern(len)));
    }
    entry.set_string(&pattern(500), None);
    assert_ne!(entry.base(), before);
    // Far too large is given back.
    entry.set_string(b"1", None);
    assert!(entry.memory() <= 64, "{}", entry.memory());
}

#[test]
fn a_long_string_is_overwritten_in_its_own_allocation() {
    let mut entry = Entry::string(b"k", &pattern(5000), Some(1));
    let before = entry.heap_string().pointer;
    entry.set_string(&pattern(4000), Some(1));
    assert_eq!(
        (entry.heap_string().pointer, text(&entry)),
        (before, pattern(4000))
    );
    entry.set_string(&pattern(1100), Some(1));
    assert!(entry.memory() < 1400);
}

#[test]
fn strings_are_changed_in_place_and_become_raw() {
    let mut entry = Entry::string(b"k", b"10", Some(3));
    assert_eq!(entry.string_mut(|s| s.extend_from_slice(b"11")), Some(()));
    assert_eq!((text(&entry), entry.encoding()), (b"1011".to_vec(), "raw"));
    let mut expected = b"1011".to_vec();
    for round in 0..if cfg!(miri) { 500 } else { 3000 } {
        let more = [b'a' + (round % 26) as u8; 3];
        expected.extend_from_slice(&more);
        assert_eq!(entry.string_mut(|s| s.extend_from_slice(&more)), Some(()));
    }
    assert_eq!((text(&entry), entry.expire_at()), (expected, Some(3)));
    assert_eq!(entry.string_mut(|s| s.truncate(2)), Some(()));
    assert_eq!(text(&entry), b"10");
    let mut hash = Entry::new(b"k", Value::Hash(Box::default()), None);
    assert_eq!(hash.string_mut(|_| panic!("not a string")), None);
    assert!(hash.collection_mut::<Hash>().is_some() && entry.collection_mut::<Hash>().is_none());
}

#[test]
fn a_panic_while_a_string_is_lent_out_frees_nothing_twice() {
    let mut entry = Entry::string(b"k", &pattern(3000), None);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        entry.string_mut(|_| panic!("provoked"));
    }));
    assert!(result.is_err());
    assert_eq!(text(&entry), b"");
}

#[test]
fn a_key_expires_strictly_after_its_time() {
    let entry = Entry::string(b"k", b"v", Some(100));
    assert!(!entry.is_expired(100) && entry.is_expired(101));
    assert!(!Entry::string(b"k", b"v", None).is_expired(u64::MAX));
}

#[test]
fn an_entry_moves_to_another_thread() {
    let entry = Entry::string(b"k", &pattern(2000), Some(1));
    let entry = std::thread::spawn(move || {
        assert_eq!(text(&entry), pattern(2000));
        entry
    });
    assert_eq!(entry.join().unwrap().key(), b"k");
}
