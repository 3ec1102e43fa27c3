use crate::command::Origin;
use crate::command::testing::Bench;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const OFFSET_RANGE: &str = "-ERR bit offset is not an integer or out of range\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";

#[test]
fn every_command_refuses_another_type_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.run("HSET h f v");
    bench.propagated();
    for line in [
        "SETBIT h 1 1",
        "GETBIT h 1",
        "BITCOUNT h",
        "BITCOUNT h 0 -1 BIT",
        "BITPOS h 1",
        "BITOP AND d h",
        "BITOP NOT d h",
        "BITFIELD h GET u8 0",
        "BITFIELD h SET u8 0 1",
        "BITFIELD_RO h GET u8 0",
    ] {
        assert_eq!(bench.run(line), WRONG_TYPE, "{line}");
        assert_eq!(bench.ran.dirty, 0);
    }
    assert!(bench.propagated().is_empty());
}

#[test]
fn a_bit_is_set_and_sent_only_if_that_changes_something() {
    let mut bench = Bench::new();
    assert_eq!(bench.run("SETBIT k 7 1"), ":0\r\n");
    assert_eq!(bench.run("SETBIT k 7 1"), ":1\r\n");
    assert_eq!(bench.run("SETBIT k 100 0"), ":0\r\n");
    assert_eq!(bench.run("SETBIT k 100 0"), ":0\r\n");
    assert_eq!(bench.run("STRLEN k"), ":13\r\n");
    assert_eq!(bench.propagated(), ["SETBIT k 7 1", "SETBIT k 100 0"]);
    assert_eq!(bench.encoding("k"), "raw");
    bench.run("SET n 12345");
    assert_eq!(bench.run("GETBIT n 3"), ":1\r\n");
    assert_eq!(bench.encoding("n"), "int");
    assert_eq!(bench.run("SETBIT n 7 1"), ":1\r\n");
    assert_eq!(bench.encoding("n"), "raw");
    assert_eq!(bench.run("GET n"), "$5\r\n12345\r\n");
}

#[test]
fn offsets_end_where_strings_do() {
    let mut bench = Bench::new();
    bench.state.settings.string_len_max = 1 << 20;
    for line in [
        "SETBIT k -1 1",
        "SETBIT k x 1",
        "SETBIT k 8388608 1",
        "GETBIT k 8388608",
        "GETBIT k #1",
        "BITFIELD k GET u8 #1048576",
        "BITFIELD k SET u8 8388608 1",
        "BITFIELD k GET u8 #-1",
    ] {
        assert_eq!(bench.run(line), OFFSET_RANGE, "{line}");
    }
    assert_eq!(bench.run("GETBIT k 8388607"), ":0\r\n");
    assert_eq!(bench.run("BITFIELD k GET u8 #1048575"), "*1\r\n:0\r\n");
    bench.origin = Origin::Upstream;
    assert_eq!(bench.run("SETBIT k 8388608 1"), ":0\r\n");
    assert_eq!(bench.run("SETBIT k 9223372036854775807 1"), OFFSET_RANGE);
}

#[test]
fn ranges_count_bytes_or_bits_from_either_end() {
    let mut bench = Bench::new();
    bench.run("SET k foobar");
    for (line, count) in [
        ("BITCOUNT k", 26),
        ("BITCOUNT k 0 0", 4),
        ("BITCOUNT k 1 1 BYTE", 6),
        ("BITCOUNT k 5 30 BIT", 17),
        ("BITCOUNT k -2 -1", 7),
        ("BITCOUNT k -100 -50", 4),
        ("BITCOUNT k -50 -100", 0),
        ("BITCOUNT k 4 2", 0),
        ("BITCOUNT none", 0),
        ("BITPOS k 1", 1),
        ("BITPOS k 0", 0),
        ("BITPOS k 1 2", 17),
        ("BITPOS k 1 10 20 BIT", 10),
        ("BITPOS k 1 3 2", -1),
        ("BITPOS none 0", 0),
        ("BITPOS none 1", -1),
    ] {
        assert_eq!(bench.run(line), format!(":{count}\r\n"), "{line}");
    }
    bench.run("SET ones \"\\xff\\xff\"");
    assert_eq!(bench.run("BITPOS ones 0"), ":16\r\n");
    assert_eq!(bench.run("BITPOS ones 0 1"), ":16\r\n");
    assert_eq!(bench.run("BITPOS ones 0 0 -1"), ":-1\r\n");
    for line in [
        "BITCOUNT k 0 0 FOO",
        "BITCOUNT k 0 0 BIT x",
        "BITPOS k 1 0 x FOO",
    ] {
        assert_eq!(bench.run(line), SYNTAX, "{line}");
    }
}

#[test]
fn operations_pad_with_zeros_and_delete_where_nothing_is_left() {
    let mut bench = Bench::new();
    bench.run("SET a abc");
    bench.run("SET n 12345");
    assert_eq!(bench.run("BITOP OR d a n"), ":5\r\n");
    assert_eq!(bench.run("GET d"), "$5\r\nqrs45\r\n");
    assert_eq!(bench.run("BITOP AND d a n"), ":5\r\n");
    assert_eq!(bench.run("GET d"), "$5\r\n!\"#\0\0\r\n");
    assert_eq!(bench.run("BITOP XOR d a a"), ":3\r\n");
    assert_eq!(bench.run("BITCOUNT d"), ":0\r\n");
    assert_eq!(bench.run("BITOP NOT n n"), ":5\r\n");
    assert_eq!(bench.run("BITCOUNT n"), ":23\r\n");
    bench.propagated();
    assert_eq!(bench.run("BITOP OR d none"), ":0\r\n");
    assert!(!bench.holds("d"));
    assert_eq!(bench.run("BITOP OR d none"), ":0\r\n");
    assert_eq!(bench.propagated(), ["BITOP OR d none"]);
}

#[test]
fn fields_are_read_written_and_overflow_as_told() {
    let mut bench = Bench::new();
    for (line, reply) in [
        ("BITFIELD k", "*0\r\n"),
        ("BITFIELD k GET u8 0", "*1\r\n:0\r\n"),
        ("BITFIELD k SET u8 0 300 GET u8 0", "*2\r\n:0\r\n:44\r\n"),
        ("BITFIELD k SET i8 #0 -1 GET u4 4", "*2\r\n:44\r\n:15\r\n"),
        ("BITFIELD k INCRBY u8 0 1", "*1\r\n:0\r\n"),
        (
            "BITFIELD k OVERFLOW SAT INCRBY u8 0 300 OVERFLOW FAIL INCRBY u8 0 1 GET u8 0",
            "*3\r\n:255\r\n$-1\r\n:255\r\n",
        ),
        (
            "BITFIELD_RO k GET i8 0 GET u63 5",
            "*2\r\n:-1\r\n:8070450532247928832\r\n",
        ),
    ] {
        assert_eq!(bench.run(line), reply, "{line}");
    }
    assert!(
        bench
            .run("BITFIELD_RO k SET u8 0 1")
            .starts_with("-ERR BITFIELD_RO only")
    );
    assert!(
        bench
            .run("BITFIELD k GET u64 0")
            .starts_with("-ERR Invalid bitfield type.")
    );
    assert!(
        bench
            .run("BITFIELD k OVERFLOW FOO")
            .starts_with("-ERR Invalid OVERFLOW")
    );
    assert_eq!(bench.run("BITFIELD k GET u8"), SYNTAX);
}

#[test]
fn a_string_that_grew_is_sent_although_nothing_was_written() {
    let mut bench = Bench::new();
    let line = "BITFIELD k OVERFLOW FAIL SET u8 0 300";
    assert_eq!(bench.run(line), "*1\r\n$-1\r\n");
    assert_eq!(bench.run("STRLEN k"), ":1\r\n");
    assert_eq!(bench.propagated(), [line]);
    assert_eq!(bench.run(line), "*1\r\n$-1\r\n");
    assert!(bench.propagated().is_empty());
}
