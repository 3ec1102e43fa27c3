use crate::command::Origin;
use crate::command::testing::{Bench, START_MS};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NOT_FLOAT: &str = "-ERR value is not a valid float\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const TOO_LONG: &str = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";

/// A bench on which `h` is a hash.
fn bench() -> Bench {
    let mut bench = Bench::new();
    let hash = Box::new({
        let mut hash = crate::value::hash::Hash::new();
        let settings = &bench.state.settings;
        hash.set(b"f", b"v", &settings.hash_limits, &settings.seed);
        hash
    });
    let entry = crate::keyspace::Entry::new(b"h", crate::value::Value::Hash(hash), None);
    bench.keyspace.db_mut(0).insert(entry);
    bench
}

#[test]
fn every_command_refuses_another_type_and_changes_nothing() {
    let mut bench = bench();
    for line in [
        "GET h",
        "GETDEL h",
        "GETEX h PERSIST",
        "GETSET h v",
        "GETRANGE h 0 1",
        "SUBSTR h 0 1",
        "STRLEN h",
        "APPEND h x",
        "SETRANGE h 0 x",
        "SETRANGE h 9223372036854775807 x",
        "INCR h",
        "DECR h",
        "INCRBY h 2",
        "DECRBY h 2",
        "INCRBYFLOAT h abc",
        "SET h v GET",
        "SET h v NX GET",
    ] {
        assert_eq!(bench.run(line), WRONG_TYPE, "{line}");
        assert_eq!(bench.ran.dirty, 0);
    }
    assert!(bench.propagated().is_empty());
    assert_eq!(bench.encoding("h"), "listpack");
    assert_eq!(bench.run("MGET h nothing"), "*2\r\n$-1\r\n$-1\r\n");
    assert_eq!(bench.run("SETNX h v"), ":0\r\n");
    assert_eq!(bench.run("SET h v"), "+OK\r\n");
}

#[test]
fn set_obeys_its_condition_and_tells_the_old_value() {
    let mut bench = bench();
    assert_eq!(bench.run("SET k a XX"), "$-1\r\n");
    assert_eq!(bench.run("SET k a XX GET"), "$-1\r\n");
    assert!(!bench.holds("k"));
    assert_eq!(bench.run("SET k a NX"), "+OK\r\n");
    assert_eq!(bench.run("SET k b NX"), "$-1\r\n");
    assert_eq!(bench.run("set k b nx get"), "$1\r\na\r\n");
    assert_eq!(bench.run("GET k"), "$1\r\na\r\n");
    assert_eq!(bench.run("SET k 7 XX Get"), "$1\r\na\r\n");
    assert_eq!(bench.run("GETSET k c"), "$1\r\n7\r\n");
    assert_eq!(bench.propagated(), ["SET k a NX", "SET k 7 XX", "SET k c"]);
    assert_eq!(bench.run("SETNX n 1"), ":1\r\n");
    assert_eq!(bench.run("SETNX n 2"), ":0\r\n");
    assert_eq!(bench.propagated(), ["SETNX n 1"]);
}

#[test]
fn contradicting_and_unknown_options_are_syntax_errors() {
    let mut bench = bench();
    for line in [
        "SET k v NX XX",
        "SET k v EX 1 PX 1",
        "SET k v KEEPTTL EX 1",
        "SET k v EX 1 KEEPTTL",
        "SET k v EX",
        "SET k v PERSIST",
        "SET k v foo",
        "GETEX k NX",
        "GETEX k GET",
        "GETEX k KEEPTTL",
        "GETEX k EX 1 PERSIST",
        "GETEX k PERSIST PX 1",
    ] {
        assert_eq!(bench.run(line), SYNTAX, "{line}");
    }
    assert_eq!(bench.run("SET k v EX 1 NX EX 20 nx"), "+OK\r\n");
    assert_eq!(bench.expire_at("k"), Some(START_MS + 20_000));
}

#[test]
fn an_expiry_must_be_positive_and_representable() {
    let mut bench = bench();
    bench.run("SET k old");
    let max = i64::MAX;
    for (line, name) in [
        ("SET k v EX 0".to_owned(), "set"),
        (format!("SET k v EX {max}"), "set"),
        (format!("SET k v PX {max}"), "set"),
        ("SET k v EXAT 9223372036854776".to_owned(), "set"),
        ("SET k v PXAT -1".to_owned(), "set"),
        ("SETEX k 0 v".to_owned(), "setex"),
        ("PSETEX k -1 v".to_owned(), "psetex"),
        ("GETEX k EX 0".to_owned(), "getex"),
    ] {
        let want = format!("-ERR invalid expire time in '{name}' command\r\n");
        assert_eq!(bench.run(&line), want, "{line}");
    }
    for line in ["SET k v EX 1.5", "SETEX k abc v", "GETEX k PX abc"] {
        assert_eq!(bench.run(line), NOT_INTEGER, "{line}");
    }
    assert_eq!(bench.run("GETEX nothing EX 0"), "$-1\r\n");
    assert_eq!(bench.run("GET k"), "$3\r\nold\r\n");
    assert_eq!(bench.run(&format!("SET k v PXAT {max}")), "+OK\r\n");
    assert_eq!(bench.expire_at("k"), Some(max as u64));
}

#[test]
fn relative_expiries_are_propagated_as_absolute_ones() {
    let mut bench = bench();
    for (line, want) in [
        ("SET k v EX 10", "SET k v PXAT 1700000010000"),
        ("SET k v NX PX 10 GET", ""),
        ("SET k v PX 10 GET", "SET k v PXAT 1700000000010"),
        ("SET k v EXAT 1700000001", "SET k v PXAT 1700000001000"),
        ("SET k v PXAT 1700000001000", "SET k v PXAT 1700000001000"),
        ("SETEX k 1 v", "SET k v PXAT 1700000001000"),
        ("PSETEX k 1 v", "SET k v PXAT 1700000000001"),
        ("SET k v KEEPTTL GET", "SET k v KEEPTTL"),
        ("GETEX k EX 5", "PEXPIREAT k 1700000005000"),
        ("GETEX k", ""),
        ("GETEX k PERSIST", "PERSIST k"),
        ("GETEX k PERSIST", ""),
        ("GETEX k EXAT 1700000000", "DEL k"),
        ("GETEX k EXAT 1700000000", ""),
    ] {
        bench.run(line);
        assert_eq!(bench.propagated().join(";"), want, "{line}");
    }
    assert!(!bench.holds("k"));
}

#[test]
fn the_expiry_survives_what_changes_a_value_and_not_what_replaces_it() {
    let mut bench = bench();
    let at = Some(START_MS + 10_000);
    bench.run("SET k 1 EX 10");
    for line in [
        "INCR k",
        "INCRBYFLOAT k 2",
        "APPEND k 1",
        "SETRANGE k 0 9",
        "SET k 5 KEEPTTL",
        "GETEX k",
    ] {
        bench.run(line);
        assert_eq!(bench.expire_at("k"), at, "{line}");
    }
    for line in ["SET k 1", "GETSET k 1", "MSET k 1", "GETEX k PERSIST"] {
        bench.run("SET k 1 EX 10");
        bench.run(line);
        assert_eq!(bench.expire_at("k"), None, "{line}");
    }
}

#[test]
fn an_expired_key_is_absent_for_every_condition() {
    let mut bench = bench();
    for (line, want) in [
        ("SET k v NX", "+OK\r\n"),
        ("SET k v XX", "$-1\r\n"),
        ("MSETNX k v", ":1\r\n"),
        ("GETSET k v", "$-1\r\n"),
        ("GETDEL k", "$-1\r\n"),
        ("INCR k", ":1\r\n"),
        ("APPEND k v", ":1\r\n"),
        ("STRLEN k", ":0\r\n"),
    ] {
        bench.run("PSETEX k 5 12");
        bench.now_ms += 6;
        bench.propagated();
        assert_eq!(bench.run(line), want, "{line}");
        assert_eq!(bench.expire_at("k"), None);
        assert!(bench.propagated().contains(&"DEL k".to_owned()));
    }
    bench.run("PSETEX k 5 v");
    bench.now_ms += 6;
    bench.run("SET k new KEEPTTL");
    assert_eq!(bench.expire_at("k"), None);
}

#[test]
fn the_upstream_s_times_in_the_past_are_kept() {
    let mut bench = bench();
    bench.origin = Origin::Upstream;
    bench.run("SET k v PXAT 1");
    assert_eq!(bench.run("GETEX k PXAT 2"), "$1\r\nv\r\n");
    assert_eq!(bench.expire_at("k"), Some(2));
}

#[test]
fn encodings_are_those_that_redis_reports() {
    let mut bench = bench();
    let long = "x".repeat(45);
    for (line, want) in [
        ("SET k 10", "int"),
        ("INCRBYFLOAT k 1", "embstr"),
        ("INCR k", "int"),
        ("APPEND k \"\"", "raw"),
        ("DECR k", "int"),
        ("SET k abc", "embstr"),
        ("SETRANGE k 9 \"\"", "embstr"),
        ("SETRANGE k 0 a", "raw"),
        (&format!("SET k {long}"), "raw"),
        (&format!("SET k {}", &long[1..]), "embstr"),
        ("GETDEL k", ""),
        ("APPEND k 12", "int"),
        ("GETDEL k", ""),
        ("SETRANGE k 1 2", "raw"),
    ] {
        bench.run(line);
        if !want.is_empty() {
            assert_eq!(bench.encoding("k"), want, "{line}");
        }
    }
    assert_eq!(bench.run("GET k"), "$2\r\n\x002\r\n");
}

#[test]
fn integers_are_added_without_overflow() {
    let mut bench = bench();
    assert_eq!(bench.run("INCR n"), ":1\r\n");
    assert_eq!(bench.run("INCRBY n 41"), ":42\r\n");
    assert_eq!(bench.run("DECR n"), ":41\r\n");
    assert_eq!(bench.run("DECRBY n 51"), ":-10\r\n");
    let overflow = "-ERR increment or decrement would overflow\r\n";
    assert_eq!(bench.run("INCRBY n -9223372036854775807"), overflow);
    let opposite = "-ERR decrement would overflow\r\n";
    assert_eq!(bench.run("DECRBY n -9223372036854775808"), opposite);
    assert_eq!(bench.run("INCRBY n 1.0"), NOT_INTEGER);
    bench.run("SET s \" 10\"");
    assert_eq!(bench.run("INCR s"), NOT_INTEGER);
    bench.run("SET m 9223372036854775807");
    assert_eq!(bench.run("INCR m"), overflow);
    bench.propagated();
    bench.run("DECRBY m 1");
    assert_eq!(bench.propagated(), ["DECRBY m 1"]);
}

#[test]
fn fractions_are_added_and_propagated_as_their_result() {
    let mut bench = bench();
    assert_eq!(bench.run("INCRBYFLOAT f 10.50"), "$4\r\n10.5\r\n");
    assert_eq!(bench.run("INCRBYFLOAT f 0.1"), "$4\r\n10.6\r\n");
    bench.run("SET f 3.0e3");
    assert_eq!(bench.run("INCRBYFLOAT f 200"), "$4\r\n3200\r\n");
    let want = [
        "SET f 10.5 KEEPTTL",
        "SET f 10.6 KEEPTTL",
        "SET f 3.0e3",
        "SET f 3200 KEEPTTL",
    ];
    assert_eq!(bench.propagated(), want);
    assert_eq!(bench.run("INCRBYFLOAT f abc"), NOT_FLOAT);
    assert_eq!(bench.run("INCRBYFLOAT f nan"), NOT_FLOAT);
    let infinite = "-ERR increment would produce NaN or Infinity\r\n";
    assert_eq!(bench.run("INCRBYFLOAT new inf"), infinite);
    assert!(!bench.holds("new"));
    assert!(bench.propagated().is_empty());
}

#[test]
fn lengths_above_the_limit_are_refused_except_from_upstream() {
    let mut bench = bench();
    bench.state.settings.string_len_max = 10;
    bench.run("SET k 12345");
    assert_eq!(bench.run("APPEND k 67890"), ":10\r\n");
    assert_eq!(bench.run("APPEND k x"), TOO_LONG);
    assert_eq!(bench.run("SETRANGE k 10 x"), TOO_LONG);
    assert_eq!(bench.run("SETRANGE k 9223372036854775807 x"), TOO_LONG);
    assert_eq!(bench.run("SETRANGE new 9223372036854775807 xx"), TOO_LONG);
    assert_eq!(bench.run("SETRANGE new 9223372036854775807 \"\""), ":0\r\n");
    let offset = "-ERR offset is out of range\r\n";
    assert_eq!(bench.run("SETRANGE k -1 x"), offset);
    assert!(!bench.holds("new"));
    bench.origin = Origin::Upstream;
    assert_eq!(bench.run("SETRANGE k 10 x"), ":11\r\n");
    assert_eq!(bench.run("SETRANGE k 9223372036854775807 x"), TOO_LONG);
}

#[test]
fn parts_are_written_and_read_also_of_integers() {
    let mut bench = bench();
    bench.run("SET k 12345");
    assert_eq!(bench.run("GETRANGE k 1 -2"), "$3\r\n234\r\n");
    assert_eq!(bench.run("SUBSTR k -1 -1"), "$1\r\n5\r\n");
    assert_eq!(bench.run("GETRANGE k a 1"), NOT_INTEGER);
    assert_eq!(bench.run("GETRANGE nothing 0 -1"), "$0\r\n\r\n");
    assert_eq!(bench.run("STRLEN k"), ":5\r\n");
    assert_eq!(bench.run("SETRANGE k 1 xx"), ":5\r\n");
    assert_eq!(bench.run("SETRANGE k 6 y"), ":7\r\n");
    assert_eq!(bench.run("GET k"), "$7\r\n1xx45\x00y\r\n");
    assert_eq!(bench.run("APPEND k z"), ":8\r\n");
    bench.propagated();
    assert_eq!(bench.run("SETRANGE k 0 \"\""), ":8\r\n");
    assert!(bench.propagated().is_empty());
}

#[test]
fn many_keys_are_set_together() {
    let mut bench = bench();
    assert_eq!(bench.run("MSET a 1 b 2 a 3"), "+OK\r\n");
    assert_eq!(bench.ran.dirty, 3);
    let want = "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n";
    assert_eq!(bench.run("MGET a b c"), want);
    assert_eq!(bench.run("MSETNX c 1 b 2"), ":0\r\n");
    assert!(!bench.holds("c"));
    assert_eq!(bench.run("MSETNX c 1 c 2"), ":1\r\n");
    assert_eq!(bench.run("GET c"), "$1\r\n2\r\n");
    assert_eq!(bench.propagated(), ["MSET a 1 b 2 a 3", "MSETNX c 1 c 2"]);
    for name in ["mset", "msetnx"] {
        let want = format!("-ERR wrong number of arguments for '{name}' command\r\n");
        assert_eq!(bench.run(&format!("{name} a 1 b")), want);
    }
}

#[test]
fn getdel_deletes_as_the_settings_say() {
    let mut bench = bench();
    bench.run("MSET a 1 b 2");
    bench.propagated();
    assert_eq!(bench.run("GETDEL a"), "$1\r\n1\r\n");
    assert_eq!(bench.run("GETDEL a"), "$-1\r\n");
    bench.state.settings.lazy_user_del = true;
    bench.run("GETDEL b");
    assert_eq!(bench.propagated(), ["DEL a", "UNLINK b"]);
    assert_eq!(bench.state.stats.keyspace_hits, 2);
    assert_eq!(bench.state.stats.keyspace_misses, 1);
}

#[test]
fn in_resp3_what_is_missing_is_its_own_type() {
    let mut bench = Bench::resp3();
    assert_eq!(bench.run("GET k"), "_\r\n");
    assert_eq!(bench.run("MGET k k"), "*2\r\n_\r\n_\r\n");
    assert_eq!(bench.run("SET k v XX"), "_\r\n");
}
