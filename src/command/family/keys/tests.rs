//! Tests of key commands, on a bench. Expected texts are those of redis-server 7.0.15.

use crate::command::Origin;
use crate::command::testing::{Bench, START_MS};
use crate::keyspace::Entry;
use crate::value::hash::{Hash, HashLimits};
use crate::value::{HashSeed, Value};

const OK: &str = "+OK\r\n";
const NULL: &str = "$-1\r\n";

fn error(text: &str) -> String {
    format!("-{text}\r\n")
}

fn number(number: i64) -> String {
    format!(":{number}\r\n")
}

/// A bench with these strings, whose effects were taken.
fn with(keys: &[&str]) -> Bench {
    let mut bench = Bench::new();
    for key in keys {
        bench.run(&format!("SET {key} value-of-{key}"));
    }
    bench.propagated();
    bench
}

#[test]
fn del_counts_what_was_there_and_goes_out_as_it_came() {
    let mut bench = with(&["a", "b"]);
    assert_eq!(bench.run("del a b a nokey"), number(2));
    assert_eq!(bench.ran.dirty, 2);
    assert_eq!(bench.propagated(), ["del a b a nokey"]);
    assert_eq!(bench.run("UNLINK a"), number(0));
    assert!(bench.propagated().is_empty());
}

#[test]
fn exists_and_touch_count_every_mention() {
    let mut bench = with(&["a"]);
    assert_eq!(bench.run("EXISTS a a b"), number(2));
    assert_eq!(bench.run("TOUCH a a b"), number(2));
    assert_eq!(bench.state.stats.keyspace_hits, 4);
    assert_eq!(bench.state.stats.keyspace_misses, 2);
}

#[test]
fn only_commands_that_use_a_value_move_its_access_clock() {
    let mut bench = with(&["a"]);
    bench.keyspace.set_clock(77);
    let clock = |bench: &Bench| bench.keyspace.db(0).get(b"a").unwrap().access();
    for line in ["TYPE a", "TTL a", "EXISTS a", "OBJECT ENCODING a"] {
        bench.run(line);
        assert_ne!(clock(&bench), 77, "{line}");
    }
    bench.run("TOUCH a");
    assert_eq!(clock(&bench), 77);
}

#[test]
fn every_form_of_expire_reaches_replicas_as_an_absolute_time() {
    let mut bench = with(&["a"]);
    let at = START_MS + 100_000;
    let cases = [
        ("EXPIRE a 100", at, format!("PEXPIREAT a {at}")),
        (
            "PEXPIRE a 100001",
            at + 1,
            format!("PEXPIREAT a {}", at + 1),
        ),
        ("EXPIRE a 100 XX", at, format!("PEXPIREAT a {at} XX")),
        (
            "expireat a 4000000000",
            4_000_000_000_000,
            "PEXPIREAT a 4000000000000".into(),
        ),
        (
            "pexpireat a 4000000000001 gt",
            4_000_000_000_001,
            "pexpireat a 4000000000001 gt".into(),
        ),
    ];
    for (line, at, sent) in cases {
        assert_eq!(bench.run(line), number(1));
        assert_eq!(bench.expire_at("a"), Some(at), "{line}");
        assert_eq!(bench.propagated(), [sent]);
    }
    assert_eq!(bench.run("PERSIST a"), number(1));
    assert_eq!(bench.propagated(), ["PERSIST a"]);
    assert_eq!(bench.run("PERSIST a"), number(0));
    assert!(bench.propagated().is_empty());
}

#[test]
fn a_time_that_has_passed_deletes_the_key() {
    for (line, lazy, sent) in [
        ("EXPIRE a 0", false, "DEL a"),
        ("PEXPIREAT a -5", true, "UNLINK a"),
        ("PEXPIREAT a 1700000000000", false, "DEL a"),
    ] {
        let mut bench = with(&["a"]);
        bench.state.settings.lazy_expire = lazy;
        assert_eq!(bench.run(line), number(1));
        assert!(!bench.holds("a"));
        assert_eq!(bench.propagated(), [sent]);
    }
}

#[test]
fn a_replica_keeps_the_key_until_its_upstream_deletes_it() {
    for origin in [Origin::Upstream, Origin::Replica] {
        let mut bench = with(&["a"]);
        bench.origin = origin;
        assert_eq!(bench.run("PEXPIREAT a 1000"), number(1));
        assert_eq!(bench.expire_at("a"), Some(1000));
        let seen = bench.run("EXISTS a");
        assert_eq!(seen, number(i64::from(origin == Origin::Upstream)));
        assert!(bench.holds("a"));
    }
}

#[test]
fn conditions_of_expire_compare_with_the_old_expiry() {
    // Without an expiry, then with one at +100 s: whether a new one at +50 s and +200 s is set.
    let cases = [
        ("NX", [true, true], [false, false]),
        ("XX", [false, false], [true, true]),
        ("GT", [false, false], [false, true]),
        ("LT", [true, true], [true, false]),
        ("XX GT", [false, false], [false, true]),
        ("XX LT", [false, false], [true, false]),
    ];
    for (option, without, with_one) in cases {
        for (old, wants) in [(None, without), (Some(100), with_one)] {
            for (new, want) in [50, 200].into_iter().zip(wants) {
                let mut bench = with(&["a"]);
                if let Some(old) = old {
                    bench.run(&format!("EXPIRE a {old}"));
                }
                let reply = bench.run(&format!("EXPIRE a {new} {option}"));
                assert_eq!(reply, number(i64::from(want)), "{old:?} {new} {option}");
            }
        }
    }
}

#[test]
fn expire_refuses_what_redis_refuses_before_it_looks_for_the_key() {
    let incompatible = "ERR NX and XX, GT or LT options at the same time are not compatible";
    let mut bench = Bench::new();
    for (line, text) in [
        ("EXPIRE nokey x NX GT", incompatible),
        ("EXPIRE nokey 1 nx xx", incompatible),
        (
            "EXPIRE nokey 1 LT GT",
            "ERR GT and LT options at the same time are not compatible",
        ),
        ("EXPIRE nokey x foo", "ERR Unsupported option foo"),
        (
            "EXPIRE nokey 1.5",
            "ERR value is not an integer or out of range",
        ),
        (
            "EXPIRE nokey 9223372036854775",
            "ERR invalid expire time in 'expire' command",
        ),
        (
            "EXPIREAT nokey -9223372036854775808",
            "ERR invalid expire time in 'expireat' command",
        ),
        (
            "PEXPIRE nokey 9223372036854775807",
            "ERR invalid expire time in 'pexpire' command",
        ),
    ] {
        assert_eq!(bench.run(line), error(text), "{line}");
    }
    assert_eq!(bench.run("PEXPIREAT nokey 9223372036854775807"), number(0));
}

#[test]
fn the_time_to_live_is_told_in_four_ways() {
    let mut bench = with(&["a"]);
    for line in ["TTL a", "PTTL a", "EXPIRETIME a", "PEXPIRETIME a"] {
        assert_eq!(bench.run(line), number(-1));
        assert_eq!(bench.run(&line.replace(" a", " nokey")), number(-2));
    }
    bench.run("PEXPIRE a 1500");
    assert_eq!(bench.run("TTL a"), number(2));
    assert_eq!(bench.run("PTTL a"), number(1500));
    let at = START_MS as i64 + 1500;
    assert_eq!(bench.run("PEXPIRETIME a"), number(at));
    assert_eq!(bench.run("EXPIRETIME a"), number((at + 500) / 1000));
    bench.propagated();
    bench.now_ms += 1501;
    assert_eq!(bench.run("TTL a"), number(-2));
    assert!(!bench.holds("a"));
    assert_eq!(bench.propagated(), ["DEL a"]);
}

#[test]
fn rename_takes_value_expiry_and_access_along() {
    let mut bench = with(&["a", "b"]);
    bench.run("PEXPIREAT a 4000000000000");
    bench.keyspace.set_clock(77);
    bench.run("TOUCH a");
    bench.keyspace.set_clock(99);
    bench.propagated();
    assert_eq!(bench.run("RENAMENX a b"), number(0));
    assert_eq!(bench.run("RENAME a b"), OK);
    assert_eq!((bench.ran.dirty, bench.holds("a")), (1, false));
    assert_eq!(bench.propagated(), ["RENAME a b"]);
    let entry = bench.keyspace.db(0).get(b"b").unwrap();
    assert_eq!(
        (entry.expire_at(), entry.access()),
        (Some(4_000_000_000_000), 77)
    );
    assert_eq!(bench.run("GET b"), "$10\r\nvalue-of-a\r\n");
}

#[test]
fn renaming_a_key_to_itself_changes_nothing() {
    let mut bench = with(&["a"]);
    assert_eq!(bench.run("RENAME a a"), OK);
    assert_eq!(bench.run("RENAMENX a a"), number(0));
    assert_eq!(bench.ran.dirty, 0);
    assert_eq!(bench.run("RENAME b b"), error("ERR no such key"));
    assert_eq!(bench.run("RENAMENX b a"), error("ERR no such key"));
}

#[test]
fn an_expired_target_does_not_stop_renamenx_copy_or_move() {
    let mut bench = with(&["a"]);
    bench.run("SET b old");
    bench.run("PEXPIRE b 10");
    bench.db = 1;
    bench.run("SET b old");
    bench.run("PEXPIRE b 10");
    bench.db = 0;
    bench.now_ms += 11;
    bench.propagated();
    assert_eq!(bench.run("COPY a b"), number(1));
    assert_eq!(bench.propagated(), ["MULTI", "DEL b", "COPY a b", "EXEC"]);
    assert_eq!(bench.run("MOVE b 1"), number(1));
    let moved = ["MULTI", "DEL b", "SELECT 0", "MOVE b 1", "EXEC"];
    assert_eq!(bench.propagated(), moved);
    assert_eq!(bench.run("RENAMENX a b"), number(1));
}

#[test]
fn copy_duplicates_value_and_expiry() {
    let mut bench = with(&["a", "b"]);
    bench.run("PEXPIREAT a 4000000000000");
    assert_eq!(bench.run("COPY a b"), number(0));
    assert_eq!(bench.run("COPY a b REPLACE"), number(1));
    assert_eq!(bench.run("GET b"), "$10\r\nvalue-of-a\r\n");
    assert_eq!(bench.expire_at("b"), Some(4_000_000_000_000));
    assert_eq!(bench.run("COPY a a DB 1 db 2"), number(1));
    assert!(bench.keyspace.db(1).is_empty());
    assert_eq!(bench.keyspace.db(2).len(), 1);
    assert_eq!(bench.run("COPY nokey c"), number(0));
    for (line, text) in [
        (
            "COPY a a",
            "ERR source and destination objects are the same",
        ),
        ("COPY a b DB", "ERR syntax error"),
        ("COPY a b DB 16", "ERR DB index is out of range"),
        (
            "COPY a b DB x",
            "ERR value is not an integer or out of range",
        ),
    ] {
        assert_eq!(bench.run(line), error(text), "{line}");
    }
}

#[test]
fn move_keeps_the_expiry_and_refuses_an_occupied_target() {
    let mut bench = with(&["a", "b"]);
    bench.run("PEXPIREAT a 4000000000000");
    assert_eq!(bench.run("MOVE a 3"), number(1));
    assert!(!bench.holds("a"));
    bench.db = 3;
    assert_eq!(bench.expire_at("a"), Some(4_000_000_000_000));
    assert_eq!(bench.keyspace.db(0).expires(), 0);
    bench.run("SET b 1");
    assert_eq!(bench.run("MOVE b 0"), number(0));
    assert_eq!(bench.run("MOVE nokey 0"), number(0));
    let same = "ERR source and destination objects are the same";
    assert_eq!(bench.run("MOVE nokey 3"), error(same));
    let range = "ERR value is out of range, value must between -2147483648 and 2147483647";
    assert_eq!(bench.run("MOVE nokey 2147483648"), error(range));
}

/// DUMP of the string `value` by redis-server 7.0.15.
const DUMPED: &[u8] = b"\x00\x05value\x0a\x00\x81\xf6\xc18\xc1\xaa\x9bn";

#[test]
fn restore_makes_of_a_dump_what_it_was() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.run_args(&[b"RESTORE", b"k" as &[u8], b"0", DUMPED]),
        OK.as_bytes()
    );
    assert_eq!(bench.run("GET k"), "$5\r\nvalue\r\n");
    let dumped = bench.run_args(&[b"DUMP" as &[u8], b"k"]);
    assert_eq!(dumped, [b"$17\r\n" as &[u8], DUMPED, b"\r\n"].concat());
    assert_eq!(bench.run("DUMP nokey"), NULL);
}

#[test]
fn restore_sends_its_time_to_live_as_an_absolute_time() {
    let mut bench = Bench::new();
    let restore = |bench: &mut Bench, ttl: &str, option: &[&str]| {
        let mut args: Vec<&[u8]> = vec![b"restore", b"k", ttl.as_bytes(), DUMPED];
        args.extend(option.iter().map(|option| option.as_bytes()));
        let reply = bench.run_args(&args);
        let sent = bench.propagated().join("|");
        let sent = sent.replace(&DUMPED.escape_ascii().to_string(), "…");
        (String::from_utf8(reply).unwrap(), sent)
    };
    let (reply, sent) = restore(&mut bench, "5000", &[]);
    assert_eq!(reply, OK);
    let at = START_MS + 5000;
    assert_eq!(sent, format!("restore k {at} … ABSTTL"));
    assert_eq!(bench.expire_at("k"), Some(at));
    let (reply, _) = restore(&mut bench, "x", &[]);
    assert_eq!(reply, error("BUSYKEY Target key name already exists."));
    let (_, sent) = restore(&mut bench, "7", &["REPLACE"]);
    assert_eq!(sent, format!("restore k {} … REPLACE ABSTTL", START_MS + 7));
    let (reply, sent) = restore(&mut bench, "1", &["replace", "absttl"]);
    assert_eq!((reply.as_str(), sent.as_str()), (OK, "DEL k"));
    let (reply, sent) = restore(&mut bench, "1", &["replace", "absttl"]);
    assert_eq!((reply.as_str(), sent.as_str()), (OK, ""));
    let (_, sent) = restore(&mut bench, "0", &["idletime", "100"]);
    assert_eq!(sent, "restore k 0 … idletime 100");
    assert_eq!(bench.run("OBJECT IDLETIME k"), number(100));
}

#[test]
fn restore_refuses_in_the_order_of_redis() {
    let mut bench = Bench::new();
    let mut damaged = DUMPED.to_vec();
    damaged[2] ^= 1;
    // The footer fits, but no type has this number.
    let mut unknown = vec![99, 10, 0];
    let crc = crate::value::crc64::checksum(&unknown);
    unknown.extend_from_slice(&crc.to_le_bytes());
    let footer = "ERR DUMP payload version or checksum are wrong";
    let cases: [(&str, &[u8], &[&str], &str); 9] = [
        ("x", b"", &["foo"], "ERR syntax error"),
        ("x", b"", &["idletime"], "ERR syntax error"),
        (
            "x",
            b"",
            &["freq", "1", "idletime", "1"],
            "ERR syntax error",
        ),
        (
            "x",
            b"",
            &["idletime", "-1"],
            "ERR Invalid IDLETIME value, must be >= 0",
        ),
        (
            "x",
            b"",
            &["freq", "256"],
            "ERR Invalid FREQ value, must be >= 0 and <= 255",
        ),
        ("x", b"", &[], "ERR value is not an integer or out of range"),
        ("-1", b"", &[], "ERR Invalid TTL value, must be >= 0"),
        ("0", &damaged, &[], footer),
        ("0", &unknown, &[], "ERR Bad data format"),
    ];
    for (ttl, payload, options, text) in cases {
        let mut args: Vec<&[u8]> = vec![b"RESTORE", b"k", ttl.as_bytes(), payload];
        args.extend(options.iter().map(|option| option.as_bytes()));
        let reply = bench.run_args(&args);
        assert_eq!(
            String::from_utf8(reply).unwrap(),
            error(text),
            "{options:?}"
        );
    }
    assert!(!bench.holds("k"));
}

#[test]
fn object_answers_by_the_eviction_policy() {
    let mut bench = with(&["a"]);
    bench.run("SET small 5");
    assert_eq!(bench.run("OBJECT ENCODING a"), "$6\r\nembstr\r\n");
    assert_eq!(bench.run("OBJECT REFCOUNT a"), number(1));
    assert_eq!(bench.run("OBJECT REFCOUNT small"), number(2_147_483_647));
    for sub in ["ENCODING", "REFCOUNT", "IDLETIME", "FREQ"] {
        assert_eq!(bench.run(&format!("OBJECT {sub} nokey")), NULL);
    }
    let freq = bench.run("OBJECT FREQ a");
    assert!(freq.starts_with("-ERR An LFU maxmemory policy is not selected, access frequency"));
    bench.state.settings.lfu = true;
    let idle = bench.run("OBJECT IDLETIME a");
    assert!(idle.starts_with("-ERR An LFU maxmemory policy is selected, idle time not tracked"));
    let (log_factor, decay_min) = (10, 1);
    bench
        .keyspace
        .set_tracking(crate::keyspace::access::Tracking::Frequency {
            log_factor,
            decay_min,
        });
    bench.run("SET b v");
    assert_eq!(bench.run("OBJECT FREQ b"), number(5));
    bench.run("SET b w");
    assert_eq!(bench.run("OBJECT FREQ b"), number(6));
    let dump = bench.run("DUMP b");
    assert!(dump.starts_with('$'));
    assert!(
        bench
            .run("OBJECT HELP")
            .starts_with("*11\r\n+OBJECT <subcommand>")
    );
}

#[test]
fn memory_usage_counts_the_key_and_checks_its_option() {
    let mut bench = with(&["a"]);
    // An entry of 32 bytes and its place in the table.
    assert_eq!(bench.run("MEMORY USAGE a SAMPLES 0"), number(40));
    assert_eq!(bench.run("MEMORY USAGE nokey"), NULL);
    let syntax = error("ERR syntax error");
    for option in ["SAMPLES", "SAMPLES -1", "foo 1"] {
        assert_eq!(bench.run(&format!("MEMORY USAGE a {option}")), syntax);
    }
}

fn scan_all(bench: &mut Bench, options: &str) -> Vec<String> {
    let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
    loop {
        let reply = bench.run(&format!("SCAN {cursor} {options}"));
        let mut lines = reply.split("\r\n").skip(1);
        cursor = lines.by_ref().nth(1).unwrap().to_owned();
        keys.extend(lines.skip(2).step_by(2).map(str::to_owned));
        if cursor == "0" {
            keys.sort();
            return keys;
        }
    }
}

#[test]
fn scan_gives_every_key_that_its_filters_accept() {
    let mut bench = Bench::new();
    for key in 0..3000 {
        bench.run(&format!("SET key:{key} x"));
    }
    let mut hash = Hash::new();
    hash.set(b"f", b"v", &HashLimits::default(), &HashSeed([1, 2, 3, 4]));
    let hash = Entry::new(b"hash", Value::Hash(Box::new(hash)), None);
    bench.keyspace.db_mut(0).insert(hash);
    assert_eq!(scan_all(&mut bench, "COUNT 7").len(), 3001);
    assert_eq!(
        scan_all(&mut bench, "MATCH key:29?? TYPE STRING").len(),
        100
    );
    assert_eq!(scan_all(&mut bench, "TYPE hash MATCH *"), ["hash"]);
    let unknown = bench.run("SCAN 0 TYPE unknown");
    assert!(
        unknown.starts_with("-ERR unknown type name 'unknown'"),
        "{unknown}"
    );
}

#[test]
fn scan_hides_expired_keys_and_a_primary_deletes_them() {
    let mut bench = with(&["a", "b"]);
    bench.run("PEXPIRE a 10");
    bench.now_ms += 11;
    bench.propagated();
    bench.origin = Origin::Replica;
    assert_eq!(scan_all(&mut bench, ""), ["b"]);
    assert!(bench.holds("a"));
    bench.origin = Origin::Primary;
    assert_eq!(scan_all(&mut bench, ""), ["b"]);
    assert!(!bench.holds("a"));
    assert_eq!(bench.propagated(), ["DEL a"]);
}

#[test]
fn scan_refuses_bad_cursors_and_options() {
    let mut bench = Bench::new();
    for (args, text) in [
        ("12x", "ERR invalid cursor"),
        ("-1 foo", "ERR invalid cursor"),
        ("18446744073709551616", "ERR invalid cursor"),
        ("0 COUNT 0", "ERR syntax error"),
        ("0 COUNT x", "ERR value is not an integer or out of range"),
        ("0 MATCH", "ERR syntax error"),
        ("0 foo 1", "ERR syntax error"),
    ] {
        assert_eq!(bench.run(&format!("SCAN {args}")), error(text), "{args}");
    }
    let end = "*2\r\n$1\r\n0\r\n*0\r\n";
    assert_eq!(bench.run("SCAN 18446744073709551615"), end);
}
