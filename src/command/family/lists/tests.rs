use crate::command::notify::Class;
use crate::command::testing::{Bench, START_MS};
use crate::command::wait::Wait;
use crate::protocol::{Reply, Version};
use crate::value::Kind;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NOT_POSITIVE: &str = "-ERR value is out of range, must be positive\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";

fn array(items: &[&str]) -> String {
    let bulks = items.iter().map(|i| format!("${}\r\n{i}\r\n", i.len()));
    format!("*{}\r\n{}", items.len(), bulks.collect::<String>())
}

/// All elements of `l`, divided by blanks.
fn all(bench: &mut Bench, key: &str) -> String {
    let reply = bench.run(&format!("LRANGE {key} 0 -1"));
    let lines: Vec<_> = reply.split("\r\n").skip(2).step_by(2).collect();
    lines.join(" ")
}

fn events(bench: &mut Bench) -> Vec<String> {
    let noted = bench.state.notifications.drain(..);
    let text = |n: crate::command::notify::Notification| {
        format!("{} {}", n.event, String::from_utf8_lossy(&n.key))
    };
    noted.map(text).collect()
}

fn with_events() -> Bench {
    let mut bench = Bench::new();
    bench.state.settings.notify = Class::ALL;
    bench
}

#[test]
fn elements_are_pushed_and_popped_at_both_ends() {
    let mut bench = Bench::new();
    assert_eq!(bench.run("RPUSH l a b 3"), ":3\r\n");
    assert_eq!(bench.run("LPUSH l x y"), ":5\r\n");
    assert_eq!(all(&mut bench, "l"), "y x a b 3");
    assert_eq!(bench.run("LPUSHX l z"), ":6\r\n");
    assert_eq!(bench.run("RPUSHX l 4"), ":7\r\n");
    assert_eq!(bench.run("LPUSHX none z"), ":0\r\n");
    assert_eq!(bench.run("LPOP l"), "$1\r\nz\r\n");
    assert_eq!(bench.run("RPOP l"), "$1\r\n4\r\n");
    assert_eq!(bench.run("LPOP l 2"), array(&["y", "x"]));
    assert_eq!(bench.run("RPOP l 2"), array(&["3", "b"]));
    assert_eq!(bench.run("LLEN l"), ":1\r\n");
    assert_eq!(bench.run("RPOP l 9"), array(&["a"]));
    assert!(!bench.holds("l"));
    let want = [
        "RPUSH l a b 3",
        "LPUSH l x y",
        "LPUSHX l z",
        "RPUSHX l 4",
        "LPOP l",
        "RPOP l",
        "LPOP l 2",
        "RPOP l 2",
        "RPOP l 9",
    ];
    assert_eq!(bench.propagated(), want);
}

#[test]
fn without_a_key_there_is_an_empty_list() {
    for version in [Version::Resp2, Version::Resp3] {
        let mut bench = Bench {
            version,
            ..Bench::new()
        };
        let (null, null_array) = match version {
            Version::Resp2 => ("$-1\r\n", "*-1\r\n"),
            Version::Resp3 => ("_\r\n", "_\r\n"),
        };
        for (line, want) in [
            ("LPOP l", null),
            ("LPOP l 0", null_array),
            ("RPOP l 5", null_array),
            ("LLEN l", ":0\r\n"),
            ("LINDEX l x", null),
            ("LRANGE l 0 -1", "*0\r\n"),
            ("LPOS l a", null),
            ("LPOS l a COUNT 0", "*0\r\n"),
            ("LREM l 0 a", ":0\r\n"),
            ("LTRIM l 0 1", "+OK\r\n"),
            ("LINSERT l BEFORE a b", ":0\r\n"),
            ("LSET l x v", "-ERR no such key\r\n"),
            ("LMOVE l m LEFT RIGHT", null),
            ("RPOPLPUSH l m", null),
            ("LMPOP 2 l m LEFT", null_array),
            ("BLPOP l m 0", null_array),
            ("BRPOP l 1.5", null_array),
            ("BLMPOP 0 1 l RIGHT COUNT 3", null_array),
            ("BLMOVE l m LEFT LEFT 0", null),
            ("BRPOPLPUSH l m 0", null),
        ] {
            assert_eq!(bench.run(line), want, "{line}");
        }
        assert!(bench.propagated().is_empty());
    }
}

#[test]
fn arguments_are_checked() {
    let mut bench = Bench::new();
    bench.run("RPUSH l a b c");
    let range = "-ERR value is out of range, value must between -9223372036854775807 and \
                 9223372036854775807\r\n";
    let rank = "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second \
                ... or use negative to start from the end of the list\r\n";
    for (line, want) in [
        ("LPOP l -1", NOT_POSITIVE),
        ("LPOP l x", NOT_POSITIVE),
        (
            "RPOP l 1 2",
            "-ERR wrong number of arguments for 'rpop' command\r\n",
        ),
        ("LPOP l 0", "*0\r\n"),
        ("LINDEX l x", NOT_INTEGER),
        ("LRANGE l x 1", NOT_INTEGER),
        ("LRANGE l 1 x", NOT_INTEGER),
        ("LTRIM l 1 x", NOT_INTEGER),
        ("LSET l x v", NOT_INTEGER),
        ("LSET l 3 v", "-ERR index out of range\r\n"),
        ("LSET l -4 v", "-ERR index out of range\r\n"),
        ("LREM l x a", NOT_INTEGER),
        ("LREM l -9223372036854775808 a", range),
        ("LINSERT l foo a b", SYNTAX),
        ("LPOS l a RANK 0", rank),
        ("LPOS l a RANK -9223372036854775808", range),
        ("LPOS l a RANK", SYNTAX),
        ("LPOS l a COUNT -1", "-ERR COUNT can't be negative\r\n"),
        ("LPOS l a MAXLEN x", "-ERR MAXLEN can't be negative\r\n"),
        ("LPOS l a FOO 1", SYNTAX),
        ("LMOVE l m LEFT foo", SYNTAX),
        (
            "LMPOP 0 l LEFT",
            "-ERR numkeys should be greater than 0\r\n",
        ),
        ("LMPOP 2 l LEFT", SYNTAX),
        ("LMPOP 9223372036854775807 l LEFT", SYNTAX),
        ("LMPOP 1 l foo", SYNTAX),
        (
            "LMPOP 1 l LEFT COUNT 0",
            "-ERR count should be greater than 0\r\n",
        ),
        ("LMPOP 1 l LEFT COUNT 1 COUNT 1", SYNTAX),
        ("LMPOP 1 l LEFT COUNT", SYNTAX),
        ("BLPOP l -1", "-ERR timeout is negative\r\n"),
        (
            "BLPOP l x",
            "-ERR timeout is not a float or out of range\r\n",
        ),
        (
            "BLMPOP x 0 l LEFT",
            "-ERR numkeys should be greater than 0\r\n",
        ),
        ("BLMOVE l m LEFT foo x", SYNTAX),
        ("BRPOPLPUSH l m inf", "-ERR timeout is out of range\r\n"),
    ] {
        assert_eq!(bench.run(line), want, "{line}");
    }
    assert_eq!(all(&mut bench, "l"), "a b c");
}

#[test]
fn another_type_is_refused_by_all() {
    let mut bench = Bench::new();
    bench.run("SET s v");
    bench.run("RPUSH l a");
    for line in [
        "LPUSH s a",
        "RPUSHX s a",
        "LPOP s",
        "RPOP s 0",
        "RPOP s 2",
        "LLEN s",
        "LINDEX s 0",
        "LRANGE s 0 -1",
        "LTRIM s 0 -1",
        "LSET s 0 v",
        "LREM s 0 v",
        "LINSERT s BEFORE a b",
        "LPOS s a",
        "LMOVE s l LEFT LEFT",
        "LMOVE l s LEFT LEFT",
        "RPOPLPUSH l s",
        "LMPOP 2 none s LEFT",
        "BLPOP none s l 0",
        "BLMPOP 0 2 s l LEFT",
        "BLMOVE s l LEFT LEFT 0",
        "BLMOVE l s LEFT LEFT 0",
        "BRPOPLPUSH s l 0",
    ] {
        assert_eq!(bench.run(line), WRONG_TYPE, "{line}");
    }
    assert_eq!(all(&mut bench, "l"), "a");
    assert_eq!(bench.run("LMOVE none s LEFT LEFT"), "$-1\r\n");
    assert_eq!(bench.run("LPUSH l x"), ":2\r\n");
    assert_eq!(bench.run("GET l"), WRONG_TYPE);
}

#[test]
fn elements_are_found_by_index_and_by_value() {
    let mut bench = Bench::new();
    bench.run("RPUSH l a b c 1 2 3 c c");
    for (line, want) in [
        ("LINDEX l 0", "$1\r\na\r\n"),
        ("LINDEX l 3", "$1\r\n1\r\n"),
        ("LINDEX l -1", "$1\r\nc\r\n"),
        ("LINDEX l 8", "$-1\r\n"),
        ("LINDEX l -9", "$-1\r\n"),
        ("LPOS l c", ":2\r\n"),
        ("LPOS l 2", ":4\r\n"),
        ("LPOS l z", "$-1\r\n"),
        ("LPOS l c RANK 2", ":6\r\n"),
        ("LPOS l c RANK -1", ":7\r\n"),
        ("LPOS l c RANK -3", ":2\r\n"),
        ("LPOS l c RANK 4", "$-1\r\n"),
        ("LPOS l c COUNT 2", "*2\r\n:2\r\n:6\r\n"),
        ("LPOS l c COUNT 0", "*3\r\n:2\r\n:6\r\n:7\r\n"),
        ("LPOS l c COUNT 0 RANK -2", "*2\r\n:6\r\n:2\r\n"),
        ("LPOS l c COUNT 0 MAXLEN 3", "*1\r\n:2\r\n"),
        ("LPOS l c COUNT 0 MAXLEN 2 RANK -1", "*2\r\n:7\r\n:6\r\n"),
        ("LPOS l c MAXLEN 2", "$-1\r\n"),
    ] {
        assert_eq!(bench.run(line), want, "{line}");
    }
    let want = array(&["b", "c"]);
    for range in ["1 2", "-7 -6", "-7 2"] {
        assert_eq!(bench.run(&format!("LRANGE l {range}")), want, "{range}");
    }
    for range in [
        "3 2",
        "8 9",
        "-1 -2",
        "9223372036854775807 -9223372036854775808",
    ] {
        assert_eq!(bench.run(&format!("LRANGE l {range}")), "*0\r\n", "{range}");
    }
}

#[test]
fn elements_are_changed_inserted_and_removed_anywhere() {
    let mut bench = with_events();
    bench.run("RPUSH l a b c a b c a");
    assert_eq!(bench.run("LSET l -1 x"), "+OK\r\n");
    assert_eq!(bench.run("LINSERT l before b 1"), ":8\r\n");
    assert_eq!(bench.run("LINSERT l AFTER c 2"), ":9\r\n");
    assert_eq!(bench.run("LINSERT l AFTER nosuch 2"), ":-1\r\n");
    assert_eq!(all(&mut bench, "l"), "a 1 b c 2 a b c x");
    assert_eq!(bench.run("LREM l -1 b"), ":1\r\n");
    assert_eq!(bench.run("LREM l 0 nosuch"), ":0\r\n");
    assert_eq!(bench.run("LREM l 1 a"), ":1\r\n");
    assert_eq!(all(&mut bench, "l"), "1 b c 2 a c x");
    assert_eq!(bench.run("LTRIM l 1 -2"), "+OK\r\n");
    assert_eq!(all(&mut bench, "l"), "b c 2 a c");
    assert_eq!(bench.run("LTRIM l 0 -1"), "+OK\r\n");
    assert_eq!(bench.ran.dirty, 0);
    assert_eq!(bench.run("LREM l 0 c"), ":2\r\n");
    assert_eq!(bench.run("LTRIM l 5 9"), "+OK\r\n");
    assert_eq!(bench.ran.dirty, 3);
    assert!(!bench.holds("l"));
    let want = [
        "rpush l",
        "lset l",
        "linsert l",
        "linsert l",
        "lrem l",
        "lrem l",
        "ltrim l",
        "ltrim l",
        "lrem l",
        "ltrim l",
        "del l",
    ];
    assert_eq!(events(&mut bench), want);
    let want = [
        "RPUSH l a b c a b c a",
        "LSET l -1 x",
        "LINSERT l before b 1",
        "LINSERT l AFTER c 2",
        "LREM l -1 b",
        "LREM l 1 a",
        "LTRIM l 1 -2",
        "LREM l 0 c",
        "LTRIM l 5 9",
    ];
    assert_eq!(bench.propagated(), want);
}

#[test]
fn an_element_moves_between_lists_and_around_one() {
    let mut bench = with_events();
    bench.run("RPUSH l a b 3");
    bench.propagated();
    events(&mut bench);
    assert_eq!(bench.run("LMOVE l m LEFT RIGHT"), "$1\r\na\r\n");
    assert_eq!(bench.run("RPOPLPUSH l m"), "$1\r\n3\r\n");
    assert_eq!(bench.run("LMOVE l l left right"), "$1\r\nb\r\n");
    assert_eq!(bench.run("BLMOVE l m RIGHT left 0"), "$1\r\nb\r\n");
    assert!(!bench.holds("l"));
    assert_eq!(all(&mut bench, "m"), "b 3 a");
    assert_eq!(bench.run("BRPOPLPUSH m m 5"), "$1\r\na\r\n");
    assert_eq!(all(&mut bench, "m"), "a b 3");
    let want = [
        "LMOVE l m LEFT RIGHT",
        "RPOPLPUSH l m",
        "LMOVE l l left right",
        "LMOVE l m RIGHT left",
        "RPOPLPUSH m m",
    ];
    assert_eq!(bench.propagated(), want);
    let want = [
        "rpush m", "lpop l", "lpush m", "rpop l", "rpush l", "lpop l", "lpush m", "rpop l",
        "del l", "lpush m", "rpop m",
    ];
    assert_eq!(events(&mut bench), want);
}

#[test]
fn the_first_list_that_has_elements_serves() {
    let mut bench = with_events();
    bench.run("RPUSH l a b c d e f");
    bench.run("RPUSH m 1");
    bench.propagated();
    events(&mut bench);
    let pair =
        |key: &str, items: &[&str]| format!("*2\r\n${}\r\n{key}\r\n{}", key.len(), array(items));
    assert_eq!(
        bench.run("LMPOP 2 none l RIGHT COUNT 2"),
        pair("l", &["f", "e"])
    );
    assert_eq!(bench.run("LMPOP 2 l m left"), pair("l", &["a"]));
    assert_eq!(
        bench.run("BLMPOP 0 2 l m LEFT COUNT 2"),
        pair("l", &["b", "c"])
    );
    assert_eq!(bench.run("BLPOP none l m 0"), array(&["l", "d"]));
    assert_eq!(bench.run("BRPOP l m 0.5"), array(&["m", "1"]));
    assert!(!bench.holds("l") && !bench.holds("m"));
    let want = ["RPOP l 2", "LPOP l 1", "LPOP l 2", "LPOP l", "RPOP m"];
    assert_eq!(bench.propagated(), want);
    let want = [
        "rpop l", "lpop l", "lpop l", "lpop l", "del l", "rpop m", "del m",
    ];
    assert_eq!(events(&mut bench), want);
}

#[test]
fn who_finds_nothing_waits_if_he_may() {
    let mut bench = Bench::new();
    bench.may_wait = true;
    for (line, timeout_ms) in [
        ("BLPOP l m 0", 0),
        ("BRPOP l 1.5", 1500),
        ("BLMPOP 0.0001 1 l RIGHT COUNT 3", 1),
        ("BLMOVE l m LEFT LEFT 2", 2000),
        ("BRPOPLPUSH l m 0", 0),
    ] {
        assert_eq!(bench.run(line), "", "{line}");
        let wait: Option<Box<Wait>> = bench.ran.wait.take();
        let wait = wait.expect(line);
        assert_eq!(
            (wait.kind, wait.timeout_ms),
            (Kind::List, timeout_ms),
            "{line}"
        );
        assert!(!wait.wakes_on_loss && wait.retry.is_none());
        let mut reply = Reply::new(Version::Resp2);
        (wait.on_timeout)(&mut reply);
        assert_eq!(reply.take(), b"*-1\r\n");
    }
    bench.run("RPUSH l a");
    assert_eq!(bench.run("BLPOP l m 0"), array(&["l", "a"]));
    assert!(bench.ran.wait.is_none());
}

#[test]
fn lists_change_their_encoding_at_the_limit() {
    let mut bench = Bench::new();
    bench.state.settings.list_limits.node_size = 4;
    bench.run("RPUSH l 1 2 3 4");
    assert_eq!(bench.encoding("l"), "listpack");
    // What counts is the request, although it changes nothing.
    bench.run("LINSERT l BEFORE nosuch 5");
    assert_eq!(bench.encoding("l"), "quicklist");
    bench.run("LTRIM l 0 2");
    assert_eq!(bench.encoding("l"), "quicklist");
    bench.run("RPOP l");
    assert_eq!(bench.encoding("l"), "listpack");
    bench.run("RPUSH m 1 2 3 4 5");
    assert_eq!(bench.encoding("m"), "quicklist");
    assert!(bench.run("DEBUG QUICKLIST m 1").starts_with("+Quicklist"));
    let want = "-ERR Not a listpack encoded object.\r\n";
    assert_eq!(bench.run("DEBUG LISTPACK m"), want);
    assert!(bench.run("DEBUG LISTPACK l").starts_with("+Listpack"));
    let want = "-ERR Not a quicklist encoded object.\r\n";
    assert_eq!(bench.run("DEBUG QUICKLIST l"), want);
    assert_eq!(bench.run("DEBUG LISTPACK none"), "-ERR no such key\r\n");
    let text = bench.run("DEBUG OBJECT m");
    let fields = " ql_nodes:2 ql_avg_node:2.50 ql_listpack_max:4 ql_compressed:0 \
                  ql_uncompressed_size:24\r\n";
    assert!(text.ends_with(fields), "{text}");
    let text = bench.run("DEBUG OBJECT m FAST");
    assert!(text.ends_with(" ql_compressed:0\r\n"), "{text}");
}

#[test]
fn an_expired_list_is_gone_for_all() {
    let mut bench = Bench::new();
    for line in [
        "LPOP l",
        "LLEN l",
        "LRANGE l 0 -1",
        "BLPOP l 0",
        "LPUSHX l a",
    ] {
        bench.run("RPUSH l a b");
        let at = bench.now_ms + 10;
        bench.keyspace.db_mut(0).set_expiry(b"l", Some(at));
        bench.propagated();
        bench.now_ms = at + 1;
        bench.run(line);
        assert!(!bench.holds("l"), "{line}");
        assert_eq!(bench.propagated(), ["DEL l"], "{line}");
    }
    assert!(bench.now_ms > START_MS);
}
