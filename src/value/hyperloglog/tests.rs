use super::*;
use crate::value::crc64;
use proptest::prelude::*;

const LEN_MAX: usize = 3000;

fn of(count: u32, len_max: usize) -> Vec<u8> {
    let mut bytes = empty();
    for i in 0..count {
        add(&mut bytes, i.to_string().as_bytes(), len_max).unwrap();
    }
    bytes
}

#[test]
fn the_string_and_the_estimate_are_those_of_the_real_servers() {
    // Lengths, sums and counts that valkey-server 8.0.1 gives after adding 0, 1, 2 …
    for (len_max, count, len, crc, estimated) in [
        (3000, 1, 21, 0x3dc1_6b39_8efc_63a5, 1),
        (3000, 2, 24, 0x46f7_ee2f_bbb4_ca84, 2),
        (3000, 10, 48, 0xa6b8_0429_b03d_505f, 10),
        (3000, 60, 186, 0x7844_b0f9_6454_d292, 60),
        (3000, 200, 507, 0x52d8_e9e0_a322_be1d, 201),
        (3000, 700, 1407, 0xaa34_9aa3_43d3_00c5, 706),
        (3000, 2000, 12304, 0x8c2d_a8bf_1fe9_b4f4, 2007),
        (3000, 20000, 12304, 0xe7d7_c6e7_04f0_4385, 19891),
        (3000, 200000, 12304, 0x6446_b2b8_e5a2_0bca, 200305),
        (100, 1, 21, 0x3dc1_6b39_8efc_63a5, 1),
        (100, 2, 24, 0x46f7_ee2f_bbb4_ca84, 2),
        (100, 10, 48, 0xa6b8_0429_b03d_505f, 10),
        (100, 60, 12304, 0x7f82_d822_e633_af28, 60),
        (100, 200, 12304, 0x53c0_4e75_c704_96f4, 201),
    ] {
        let bytes = of(count, len_max);
        assert_eq!(bytes.len(), len, "{count} elements");
        assert_eq!(
            crc64::checksum(&bytes[HEADER_LEN..]),
            crc,
            "{count} elements"
        );
        assert_eq!(estimate(&bytes), Ok(estimated));
        let mut union = Union::new();
        union.add(&bytes).unwrap();
        assert_eq!(union.estimate(), estimated);
    }
}

#[test]
fn a_new_one_is_one_run_of_zeros() {
    assert_eq!(empty(), b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    assert_eq!(estimate(&empty()), Ok(0));
    assert_eq!(cached(&empty()), Some(0));
}

#[test]
fn the_cached_cardinality_is_valid_until_it_is_invalidated() {
    let mut bytes = empty();
    set_cached(&mut bytes, 0x0102_0304);
    assert_eq!(cached(&bytes), Some(0x0102_0304));
    invalidate(&mut bytes);
    assert_eq!(cached(&bytes), None);
    assert_eq!(bytes[8..16], [4, 3, 2, 1, 0, 0, 0, 0x80]);
}

#[test]
fn only_strings_with_a_right_header_are_taken() {
    let dense = of(1, 0);
    assert_eq!(Form::of(&dense), Some(Form::Dense));
    assert_eq!(Form::of(&empty()), Some(Form::Sparse));
    assert_eq!(Form::of(&dense[..dense.len() - 1]), None);
    assert_eq!(Form::of(&[&dense[..], b"x"].concat()), None);
    assert_eq!(Form::of(b"HYLL\x01"), None);
    assert_eq!(Form::of(b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0\x7f\xff"), None);
    assert_eq!(Form::of(b"HYLK\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff"), None);
    assert_eq!(
        Form::of(b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0"),
        Some(Form::Sparse)
    );
}

#[test]
fn runs_that_are_not_those_of_all_registers_are_corrupt() {
    let header = &empty()[..HEADER_LEN];
    for runs in [
        &b""[..],
        b"\x7f\xfe",
        b"\x7f",
        b"\x00",
        b"\x80",
        b"\x7f\xfe\x01",
        b"\x7f\xff",
    ] {
        let mut bytes = [header, runs].concat();
        let fine = runs == b"\x7f\xff";
        assert_eq!(estimate(&bytes).is_ok(), fine, "{runs:?}");
        assert_eq!(Union::new().add(&bytes).is_ok(), fine);
        let before = bytes.clone();
        if make_dense(&mut bytes).is_err() {
            assert!(!fine);
            assert_eq!(bytes, before);
        }
    }
    for behind in [&b"\x80"[..], b"\x00", b"\x40"] {
        let bytes = [header, b"\x7f\xff", behind].concat();
        assert_eq!(estimate(&bytes), Err(Corrupt));
    }
    assert_eq!(
        describe(&[header, b"\x76"].concat()).as_deref(),
        Some("Z:13825")
    );
}

#[test]
fn runs_are_shown_in_words() {
    let bytes = [&empty()[..HEADER_LEN], b"\x7f\x00\x3f\x85\xfc\x40\x00"].concat();
    assert_eq!(
        describe(&bytes).as_deref(),
        Some("Z:16129 z:64 v:2,2 v:32,1 Z:1")
    );
    assert_eq!(describe(&of(1, 0)), None);
}

#[test]
fn a_union_is_stored_as_if_its_elements_had_been_added() {
    for (a, b, len_max) in [
        (10, 30, LEN_MAX),
        (0, 0, LEN_MAX),
        (900, 5000, LEN_MAX),
        (5, 9, 20),
    ] {
        let mut union = Union::new();
        union.add(&of(a, len_max)).unwrap();
        union.add(&of(b, len_max)).unwrap();
        let mut bytes = empty();
        union.store(&mut bytes, len_max).unwrap();
        assert_eq!(cached(&bytes), None);
        assert_eq!(estimate(&bytes), estimate(&of(a.max(b), len_max)));
        let mut registers = Vec::new();
        make_dense(&mut bytes).unwrap();
        for_each_register(&bytes, |value| registers.push(value));
        let mut expected = of(a.max(b), 0);
        make_dense(&mut expected).unwrap();
        let mut wanted = Vec::new();
        for_each_register(&expected, |value| wanted.push(value));
        assert_eq!(registers, wanted);
    }
}

/// The registers of a string in either form, by the slowest means.
fn registers(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    make_dense(&mut bytes).unwrap();
    (0..REGISTERS)
        .map(|i| dense::get(&bytes[HEADER_LEN..], i))
        .collect()
}

proptest! {
    #[test]
    fn raising_registers_in_runs_is_raising_them_in_an_array(
        steps in proptest::collection::vec((0usize..REGISTERS, 1u8..=51, 0usize..6), 0..200),
        len_max in prop_oneof![Just(3000usize), 16usize..400],
    ) {
        let mut bytes = empty();
        let mut model = vec![0u8; REGISTERS];
        let mut near = 0;
        for (register, rank, kind) in steps {
            // Mostly beside the last one and with few values, so that runs meet and join.
            let register = if kind < 4 { (near + kind) % REGISTERS } else { register };
            let rank = if kind == 5 { rank } else { rank % 3 + 1 };
            near = register;
            let changed = raise(&mut bytes, register, rank, len_max).unwrap();
            prop_assert_eq!(changed, model[register] < rank);
            model[register] = model[register].max(rank);
            prop_assert!(Form::of(&bytes).is_some());
        }
        prop_assert_eq!(registers(&bytes), model);
    }

    #[test]
    fn any_string_is_taken_or_refused_and_never_overrun(
        runs in proptest::collection::vec(any::<u8>(), 0..300),
        element in any::<u32>(),
        whole in any::<bool>(),
    ) {
        let tail: &[u8] = if whole { b"\x7f\xff" } else { b"" };
        let mut bytes = [&empty()[..HEADER_LEN], &runs, tail].concat();
        let corrupt = estimate(&bytes).is_err();
        prop_assert_eq!(Union::new().add(&bytes).is_err(), corrupt);
        let _ = describe(&bytes);
        let _ = add(&mut bytes, &element.to_le_bytes(), 3000);
        let mut union = Union::new();
        if union.add(&bytes).is_ok() {
            prop_assert!(union.store(&mut bytes, 3000).is_ok());
        }
        prop_assert_eq!(make_dense(&mut bytes.clone()).is_err(), estimate(&bytes).is_err());
    }
}
