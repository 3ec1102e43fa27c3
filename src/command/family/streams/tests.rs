use crate::command::testing::{Bench, START_MS};
use crate::command::wait::Wait;
use crate::value::Kind;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument\r\n";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";

/// A reply in one line: without the lengths of bulk strings, lines separated by spaces.
fn flat(reply: &str) -> String {
    let lines = reply.split_terminator("\r\n");
    let kept = lines.filter(|line| !line.starts_with('$') || line.starts_with("$-"));
    kept.collect::<Vec<_>>().join(" ")
}

trait Ask {
    fn ask(&mut self, line: &str) -> String;
}

impl Ask for Bench {
    fn ask(&mut self, line: &str) -> String {
        flat(&self.run(line))
    }
}

/// A bench on which `s` has the entries 1-1 to 4-1 and the group `g`, which has read nothing.
fn with_group() -> Bench {
    let mut bench = Bench::new();
    for n in 1..=4 {
        bench.run(&format!("XADD s {n}-1 f v{n}"));
    }
    assert_eq!(bench.run("XGROUP CREATE s g 0"), "+OK\r\n");
    bench.propagated();
    bench
}

/// The same, `a` having read 1-1 and 2-1, and `b` 3-1.
fn with_pending() -> Bench {
    let mut bench = with_group();
    bench.run("XREADGROUP GROUP g a COUNT 2 STREAMS s >");
    bench.run("XREADGROUP GROUP g b COUNT 1 STREAMS s >");
    bench.propagated();
    bench
}

#[test]
fn every_command_refuses_another_type_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.run("SET k v");
    bench.propagated();
    for line in [
        "XACK k g 1",
        "XADD k 1 f v",
        "XADD k NOMKSTREAM 1 f v",
        "XAUTOCLAIM k g c 0 0",
        "XCLAIM k g c 0 1",
        "XDEL k 1",
        "XGROUP CREATE k g 0",
        "XGROUP CREATE k g 0 MKSTREAM",
        "XGROUP SETID k g 0",
        "XGROUP DESTROY k g",
        "XGROUP CREATECONSUMER k g c",
        "XGROUP DELCONSUMER k g c",
        "XINFO STREAM k",
        "XINFO GROUPS k",
        "XINFO CONSUMERS k g",
        "XLEN k",
        "XPENDING k g",
        "XRANGE k - +",
        "XREAD STREAMS k 0",
        "XREADGROUP GROUP g c STREAMS k >",
        "XREVRANGE k + -",
        "XSETID k 1",
        "XTRIM k MAXLEN 0",
    ] {
        assert_eq!(bench.run(line), WRONG_TYPE, "{line}");
    }
    assert!(bench.propagated().is_empty());
}

#[test]
fn entries_are_added_with_ids_that_ascend_and_propagated_with_them() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask("XADD s * f v"), format!("{START_MS}-0"));
    assert_eq!(bench.ask("XADD s * f v"), format!("{START_MS}-1"));
    bench.now_ms -= 5000;
    assert_eq!(bench.ask("XADD s * f v"), format!("{START_MS}-2"));
    let later = START_MS + 1;
    assert_eq!(
        bench.ask(&format!("XADD s {later}-* f v")),
        format!("{later}-0")
    );
    assert_eq!(
        bench.ask(&format!("XADD s {later}-9 f v")),
        format!("{later}-9")
    );
    let want: Vec<String> = ["0", "1", "2"]
        .map(|seq| format!("XADD s {START_MS}-{seq} f v"))
        .into_iter()
        .chain(["0", "9"].map(|seq| format!("XADD s {later}-{seq} f v")))
        .collect();
    assert_eq!(bench.propagated(), want);
    let smaller = "-ERR The ID specified in XADD is equal or smaller than the target stream top \
                   item";
    assert_eq!(bench.ask("XADD s 5-1 f v"), smaller);
    assert_eq!(bench.ask("XADD s 5-* f v"), smaller);
    let zero = "-ERR The ID specified in XADD must be greater than 0-0";
    assert_eq!(bench.ask("XADD t 0 f v"), zero);
    assert_eq!(bench.ask("XADD t 0-* f v"), "0-1");
    bench.run("XADD u 18446744073709551615-18446744073709551615 f v");
    let exhausted = "-ERR The stream has exhausted the last possible ID, unable to add more items";
    assert_eq!(bench.ask("XADD u * f v"), exhausted);
    assert_eq!(bench.encoding("s"), "stream");
}

#[test]
fn what_is_wrong_with_xadd_is_said_and_leaves_no_stream() {
    let mut bench = Bench::new();
    let arity = "-ERR wrong number of arguments for 'xadd' command\r\n";
    let twice = "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
    let alone = "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
    let exact = "-ERR syntax error, LIMIT cannot be used without the special ~ option";
    for (line, want) in [
        ("XADD s * f v g", arity),
        ("XADD s MAXLEN 5 * f", arity),
        ("XADD s MAXLEN ~ 5", arity),
        ("XADD s FOO * f v", INVALID_ID),
        ("XADD s - f v", INVALID_ID),
        ("XADD s + f v", INVALID_ID),
        ("XADD s MAXLEN x * f v", NOT_INTEGER),
        (
            "XADD s MAXLEN ~ -1 * f v",
            "-ERR The MAXLEN argument must be >= 0.\r\n",
        ),
        ("XADD s MINID 5-* * f v", INVALID_ID),
        ("XADD s MINID 5 MAXLEN 5 * f v", &format!("{twice}\r\n")),
        ("XADD s LIMIT 5 * f v", &format!("{alone}\r\n")),
        ("XADD s LIMIT 0 * f v", &format!("{exact}\r\n")),
        ("XADD s MAXLEN = 5 LIMIT 5 * f v", &format!("{exact}\r\n")),
        (
            "XADD s MAXLEN ~ 5 LIMIT -1 * f v",
            "-ERR The LIMIT argument must be >= 0.\r\n",
        ),
        ("XADD s NOMKSTREAM * f v", "$-1\r\n"),
    ] {
        assert_eq!(bench.run(line), want, "{line}");
    }
    assert!(!bench.holds("s"));
    assert!(bench.propagated().is_empty());
}

/// Found by a random pipeline (seed 47438694087497).
#[test]
fn a_trim_up_to_a_deleted_entry_may_leave_nothing_before_it() {
    let mut bench = Bench::new();
    for id in ["1-1", "2-1", "3-1"] {
        bench.ask(&format!("XADD s {id} a b"));
    }
    bench.ask("XDEL s 3-1");
    assert_eq!(bench.ask("XTRIM s MINID ~ 3-1"), ":0");
    assert_eq!(bench.ask("XTRIM s MINID = 3-1"), ":2");
    assert_eq!(bench.ask("XLEN s"), ":0");
    bench.ask("XADD s 4-1 a b");
    assert_eq!(bench.ask("XTRIM s MINID = 4-1"), ":0");
    assert_eq!(bench.ask("XLEN s"), ":1");
}

#[test]
fn trimming_by_whole_nodes_is_propagated_as_what_it_did() {
    let mut bench = Bench::new();
    bench.state.settings.stream_limits.node_entries_max = 3;
    for n in 1..=10 {
        bench.run(&format!("XADD s {n}-0 f v"));
    }
    bench.propagated();
    assert_eq!(bench.ask("XTRIM s MAXLEN ~ 5"), ":3");
    assert_eq!(bench.propagated(), ["XTRIM s MAXLEN = 7"]);
    assert_eq!(bench.ask("XTRIM s MAXLEN ~ 0 LIMIT 2"), ":0");
    assert_eq!(bench.ask("XADD s MINID ~ 8 LIMIT 100 11-* f v"), "11-0");
    assert_eq!(
        bench.propagated(),
        ["XADD s MINID = 7-0 LIMIT 100 11-0 f v"]
    );
    assert_eq!(bench.ask("XADD s MAXLEN 4 12-0 f v"), "12-0");
    assert_eq!(bench.propagated(), ["XADD s MAXLEN 4 12-0 f v"]);
    assert_eq!(bench.ask("XTRIM s MINID 11"), ":2");
    assert_eq!(bench.ran.dirty, 2);
    assert_eq!(bench.propagated(), ["XTRIM s MINID 11"]);
    assert_eq!(bench.ask("XTRIM s MINID ~ 99"), ":2");
    let all = "XTRIM s MINID = 18446744073709551615-18446744073709551615";
    assert_eq!(bench.propagated(), [all]);
    // A stream may be empty.
    assert_eq!(bench.ask("XLEN s"), ":0");
    assert!(bench.holds("s"));
    let none = "-ERR syntax error, XTRIM must be called with a trimming strategy";
    assert_eq!(bench.ask("XTRIM s LIMIT 0 LIMIT 0"), none);
    for line in [
        "XTRIM s FOO 1",
        "XTRIM s MAXLEN 1 FOO",
        "XTRIM s NOMKSTREAM 1",
    ] {
        assert_eq!(bench.run(line), SYNTAX, "{line}");
    }
}

#[test]
fn an_upstream_s_limit_is_no_limit() {
    let mut bench = with_group();
    bench.origin = crate::command::Origin::Upstream;
    assert_eq!(bench.ask("XTRIM s MAXLEN = 1 LIMIT 2"), ":3");
    assert_eq!(bench.ask("XADD s MAXLEN = 0 LIMIT 1 9-9 f v"), "9-9");
    assert_eq!(bench.ask("XLEN s"), ":0");
}

#[test]
fn ranges_are_given_in_both_directions() {
    let mut bench = with_group();
    bench.run("XADD s 5-1 g w h x");
    let all = "*5 *2 1-1 *2 f v1 *2 2-1 *2 f v2 *2 3-1 *2 f v3 *2 4-1 *2 f v4 *2 5-1 *4 g w h x";
    assert_eq!(bench.ask("XRANGE s - +"), all);
    for (line, want) in [
        ("XRANGE s 2 3", "*2 *2 2-1 *2 f v2 *2 3-1 *2 f v3"),
        ("XRANGE s (1-1 (3-1", "*1 *2 2-1 *2 f v2"),
        ("XRANGE s - + COUNT 1", "*1 *2 1-1 *2 f v1"),
        ("XRANGE s - + COUNT 3 COUNT 1", "*1 *2 1-1 *2 f v1"),
        (
            "XREVRANGE s + - COUNT 2",
            "*2 *2 5-1 *4 g w h x *2 4-1 *2 f v4",
        ),
        ("XREVRANGE s (4-1 3", "*1 *2 3-1 *2 f v3"),
        ("XRANGE s + -", "*0"),
        ("XRANGE s 9 10", "*0"),
        ("XRANGE none - + COUNT 0", "*0"),
        ("XRANGE s - + COUNT 0", "*-1"),
        ("XREVRANGE s + - COUNT -7", "*-1"),
        (
            "XRANGE s (18446744073709551615-18446744073709551615 +",
            "-ERR invalid start ID for the interval",
        ),
        ("XRANGE s - (0-0", "-ERR invalid end ID for the interval"),
        (
            "XRANGE s (- +",
            "-ERR Invalid stream ID specified as stream command argument",
        ),
        ("XRANGE s - + COUNT", "-ERR syntax error"),
        ("XRANGE s - + FOO 1", "-ERR syntax error"),
        ("XLEN s", ":5"),
        ("XLEN none", ":0"),
    ] {
        assert_eq!(bench.ask(line), want, "{line}");
    }
    assert_eq!(bench.ask("XDEL s 2-1 2-1 9-9"), ":1");
    assert_eq!(bench.ran.dirty, 1);
    assert_eq!(bench.run("XDEL s 1-1 x"), INVALID_ID);
    assert_eq!(bench.ask("XDEL none x"), ":0");
    assert_eq!(
        bench.ask("XRANGE s - 3"),
        "*2 *2 1-1 *2 f v1 *2 3-1 *2 f v3"
    );
    assert_eq!(
        bench.propagated(),
        ["XADD s 5-1 g w h x", "XDEL s 2-1 2-1 9-9"]
    );
}

#[test]
fn several_streams_are_read_on_from_an_id() {
    let mut bench = with_group();
    bench.run("XADD t 7-7 a b");
    for (line, want) in [
        (
            "XREAD STREAMS s t 3 0",
            "*2 *2 s *2 *2 3-1 *2 f v3 *2 4-1 *2 f v4 *2 t *1 *2 7-7 *2 a b",
        ),
        (
            "XREAD COUNT 1 STREAMS t s 7-7 0",
            "*1 *2 s *1 *2 1-1 *2 f v1",
        ),
        ("XREAD STREAMS s t none + $ +", "*1 *2 s *1 *2 4-1 *2 f v4"),
        ("XREAD STREAMS s $", "*-1"),
        ("XREAD STREAMS none 0", "*-1"),
        ("XREAD BLOCK 0 STREAMS s 9", "*-1"),
        (
            "XREAD STREAMS s 18446744073709551615-18446744073709551615",
            "*-1",
        ),
        ("XREAD COUNT 1 STREAMS", "-ERR syntax error"),
        ("XREAD COUNT 1 FOO", "-ERR syntax error"),
        (
            "XREAD STREAMS s 0 t",
            "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be \
          specified.",
        ),
        (
            "XREAD BLOCK x STREAMS s 0",
            "-ERR timeout is not an integer or out of range",
        ),
        ("XREAD BLOCK -1 STREAMS s 0", "-ERR timeout is negative"),
        (
            "XREAD BLOCK 9223372036854775807 STREAMS s 0",
            "-ERR timeout is out of range",
        ),
        (
            "XREAD NOACK STREAMS s 0",
            "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            "XREAD GROUP g c STREAMS s 0",
            "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            "XREAD STREAMS s >",
            "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> \
          <consumer> option.",
        ),
    ] {
        assert_eq!(bench.ask(line), want, "{line}");
    }
    bench.version = crate::protocol::Version::Resp3;
    let want = "%2 s *1 *2 4-1 *2 f v4 t *1 *2 7-7 *2 a b";
    assert_eq!(bench.ask("XREAD STREAMS s t 4-0 7-6"), want);
    assert_eq!(bench.ask("XREAD STREAMS s t $ $"), "_");
}

fn waits(bench: &mut Bench, line: &str) -> Wait {
    bench.may_wait = true;
    assert_eq!(bench.run(line), "", "{line}");
    *bench.ran.wait.take().expect("it waits")
}

#[test]
fn a_read_that_finds_nothing_waits_with_the_ids_that_it_saw() {
    let mut bench = with_group();
    let wait = waits(&mut bench, "XREAD BLOCK 50 STREAMS s none s $ $ 9-9");
    assert_eq!(
        (wait.kind, wait.timeout_ms, wait.wakes_on_loss),
        (Kind::Stream, 50, false)
    );
    let retry = wait.retry.unwrap().join(&b' ');
    assert_eq!(retry, b"XREAD BLOCK 50 STREAMS s none s 4-1 0-0 9-9");
    assert!(
        waits(&mut bench, "XREAD BLOCK 0 STREAMS s 9")
            .retry
            .is_none()
    );
    assert_eq!(
        bench.ask("XREAD BLOCK 0 STREAMS s none 3-9 $"),
        "*1 *2 s *1 *2 4-1 *2 f v4"
    );
    assert!(bench.ran.wait.is_none());
    bench.run("XREADGROUP GROUP g c STREAMS s >");
    bench.propagated();
    let wait = waits(&mut bench, "XREADGROUP GROUP g d BLOCK 7 NOACK STREAMS s >");
    assert!(wait.wakes_on_loss && wait.retry.is_none() && wait.timeout_ms == 7);
    assert_eq!(bench.propagated(), ["XGROUP CREATECONSUMER s g d"]);
}

#[test]
fn a_group_s_reading_is_propagated_as_claims_and_its_position() {
    let mut bench = with_group();
    let read = bench.ask("XREADGROUP GROUP g a COUNT 2 STREAMS s >");
    assert_eq!(read, "*1 *2 s *2 *2 1-1 *2 f v1 *2 2-1 *2 f v2");
    assert_eq!(bench.ran.dirty, 2);
    let claim = |consumer: &str, id: &str| {
        format!(
            "XCLAIM s g {consumer} 0 {id} TIME {START_MS} RETRYCOUNT 1 FORCE JUSTID LASTID {id}"
        )
    };
    let want = [
        "MULTI".to_owned(),
        claim("a", "1-1"),
        claim("a", "2-1"),
        "XGROUP SETID s g 2-1 ENTRIESREAD 2".to_owned(),
        "EXEC".to_owned(),
    ];
    assert_eq!(bench.propagated(), want);
    // Its own history, from which 1-1 has gone.
    bench.run("XDEL s 1-1");
    bench.propagated();
    let read = bench.ask("XREADGROUP GROUP g a STREAMS s 0");
    assert_eq!(read, "*1 *2 s *2 *2 1-1 *-1 *2 2-1 *2 f v2");
    assert_eq!(
        bench.ask("XREADGROUP GROUP g a COUNT 1 STREAMS s 1-1"),
        "*1 *2 s *1 *2 2-1 *2 f v2"
    );
    assert_eq!(bench.ask("XREADGROUP GROUP g b STREAMS s 0"), "*1 *2 s *0");
    assert!(bench.propagated().is_empty());
    assert_eq!(
        bench.ask("XPENDING s g - + 9 a"),
        "*2 *4 1-1 a :0 :1 *4 2-1 a :0 :3"
    );
    // Without acknowledgement nothing is pending.
    let read = bench.ask("XREADGROUP GROUP g n NOACK STREAMS s >");
    assert_eq!(read, "*1 *2 s *2 *2 3-1 *2 f v3 *2 4-1 *2 f v4");
    let want = [
        "MULTI",
        "XGROUP CREATECONSUMER s g n",
        "XGROUP SETID s g 4-1 ENTRIESREAD 4",
        "EXEC",
    ];
    assert_eq!(bench.propagated(), want);
    assert_eq!(bench.ask("XREADGROUP GROUP g n STREAMS s >"), "*-1");
    assert_eq!(bench.ask("XPENDING s g"), "*4 :2 1-1 2-1 *1 *2 a 2");
}

#[test]
fn a_read_for_a_group_that_is_not_there_fails_before_anything_is_read() {
    let mut bench = with_group();
    let want = "-NOGROUP No such key 'none' or consumer group 'g' in XREADGROUP with GROUP option";
    assert_eq!(bench.ask("XREADGROUP GROUP g c STREAMS s none > >"), want);
    let want = "-NOGROUP No such key 's' or consumer group 'x' in XREADGROUP with GROUP option";
    assert_eq!(bench.ask("XREADGROUP GROUP x c STREAMS s >"), want);
    assert!(
        bench
            .ask("XREADGROUP GROUP g c STREAMS s $")
            .starts_with("-ERR The $ ID is meaning")
    );
    assert!(
        bench
            .ask("XREADGROUP GROUP g c STREAMS s +")
            .starts_with("-ERR The + ID is meaning")
    );
    let want = "-ERR Missing GROUP option for XREADGROUP";
    assert_eq!(bench.ask("XREADGROUP COUNT 1 COUNT 1 STREAMS s >"), want);
    assert_eq!(bench.run("XREADGROUP GROUP g c STREAMS s -"), INVALID_ID);
    assert!(bench.propagated().is_empty());
    assert_eq!(bench.ask("XINFO CONSUMERS s g"), "*0");
}

#[test]
fn groups_are_made_moved_and_removed() {
    let mut bench = with_group();
    for (line, want) in [
        (
            "XGROUP CREATE s g 0",
            "-BUSYGROUP Consumer Group name already exists",
        ),
        ("XGROUP CREATE s h $ ENTRIESREAD 4", "+OK"),
        ("XGROUP CREATE new g $ MKSTREAM", "+OK"),
        (
            "XGROUP CREATE s i 0 ENTRIESREAD -2",
            "-ERR value for ENTRIESREAD must be positive or -1",
        ),
        (
            "XGROUP CREATE s i 0 ENTRIESREAD",
            "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.",
        ),
        (
            "XGROUP SETID s g 0 MKSTREAM",
            "-ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.",
        ),
        (
            "XGROUP CREATE s i -",
            "-ERR Invalid stream ID specified as stream command argument",
        ),
        (
            "XGROUP SETID s x 0",
            "-NOGROUP No such consumer group 'x' for key name 's'",
        ),
        ("XGROUP SETID s g $ ENTRIESREAD 3", "+OK"),
        ("XGROUP CREATECONSUMER s g c", ":1"),
        ("XGROUP CREATECONSUMER s g c", ":0"),
        (
            "XGROUP CREATECONSUMER s x c",
            "-NOGROUP No such consumer group 'x' for key name 's'",
        ),
        ("XGROUP DELCONSUMER s g d", ":0"),
        ("XGROUP DELCONSUMER s g c", ":0"),
        ("XGROUP DESTROY s x", ":0"),
        ("XGROUP DESTROY s h", ":1"),
    ] {
        assert_eq!(bench.ask(line), want, "{line}");
    }
    let missing = bench.ask("XGROUP CREATE none g 0");
    assert!(missing.starts_with("-ERR The XGROUP subcommand requires the key to exist. Note"));
    assert_eq!(bench.ask("XGROUP DESTROY none g"), missing);
    assert_eq!(
        bench.propagated(),
        [
            "XGROUP CREATE s h $ ENTRIESREAD 4",
            "XGROUP CREATE new g $ MKSTREAM",
            "XGROUP SETID s g $ ENTRIESREAD 3",
            "XGROUP CREATECONSUMER s g c",
            "XGROUP DELCONSUMER s g c",
            "XGROUP DESTROY s h",
        ]
    );
    let mut bench = with_pending();
    assert_eq!(bench.ask("XGROUP DELCONSUMER s g a"), ":2");
    assert_eq!(bench.ask("XPENDING s g"), "*4 :1 3-1 3-1 *1 *2 b 1");
}

#[test]
fn what_is_pending_is_acknowledged_and_shown() {
    let mut bench = with_pending();
    bench.now_ms += 500;
    assert_eq!(bench.ask("XPENDING s g"), "*4 :3 1-1 3-1 *2 *2 a 2 *2 b 1");
    for (line, want) in [
        (
            "XPENDING s g - + 9",
            "*3 *4 1-1 a :500 :1 *4 2-1 a :500 :1 *4 3-1 b :500 :1",
        ),
        ("XPENDING s g (1-1 + 1", "*1 *4 2-1 a :500 :1"),
        ("XPENDING s g - + 9 b", "*1 *4 3-1 b :500 :1"),
        ("XPENDING s g IDLE 501 - + 9", "*0"),
        ("XPENDING s g IDLE 500 - + 9 b", "*1 *4 3-1 b :500 :1"),
        ("XPENDING s g + - 9", "*0"),
        ("XPENDING s g + - 9 a", "*0"),
        ("XPENDING s g - + 9 nobody", "*0"),
        ("XPENDING s g - + -1", "*0"),
        ("XPENDING s g - +", "-ERR syntax error"),
        ("XPENDING s g IDLE 0 - +", "-ERR syntax error"),
        (
            "XPENDING s g - + x",
            "-ERR value is not an integer or out of range",
        ),
        (
            "XPENDING s x",
            "-NOGROUP No such key 's' or consumer group 'x'",
        ),
        ("XACK s g 1-1 1-1 9-9", ":1"),
        ("XACK s x 1-1", ":0"),
        ("XACK none x y", ":0"),
        (
            "XACK s g 2-1 y",
            "-ERR Invalid stream ID specified as stream command argument",
        ),
        ("XPENDING s g - + 9 a", "*1 *4 2-1 a :500 :1"),
        ("XACK s g 2-1 3-1", ":2"),
        ("XPENDING s g", "*4 :0 $-1 $-1 *-1"),
    ] {
        assert_eq!(bench.ask(line), want, "{line}");
    }
    assert_eq!(
        bench.propagated(),
        ["XACK s g 1-1 1-1 9-9", "XACK s g 2-1 3-1"]
    );
}

#[test]
fn entries_are_claimed_with_their_marks() {
    let mut bench = with_pending();
    bench.now_ms += 1000;
    let now = bench.now_ms;
    assert_eq!(bench.ask("XCLAIM s g c 2000 1-1"), "*0");
    assert_eq!(bench.ask("XCLAIM s g c 1000 1-1 9-9"), "*1 *2 1-1 *2 f v1");
    let claim = format!("XCLAIM s g c 0 1-1 TIME {now} RETRYCOUNT 2 FORCE JUSTID LASTID 3-1");
    assert_eq!(bench.propagated(), [claim]);
    assert_eq!(
        bench.ask("XCLAIM s g c 0 2-1 JUSTID IDLE 300 RETRYCOUNT 7"),
        "*1 2-1"
    );
    assert_eq!(bench.ask("XCLAIM s g c 0 3-1 TIME 5 JUSTID"), "*1 3-1");
    assert_eq!(bench.ask("XCLAIM s g c 0 4-1"), "*0");
    let pending = format!(
        "*3 *4 1-1 c :0 :2 *4 2-1 c :300 :7 *4 3-1 c :{} :1",
        now - 5
    );
    assert_eq!(bench.ask("XPENDING s g - + 9"), pending);
    bench.propagated();
    assert_eq!(
        bench.ask("XCLAIM s g c 0 4-1 FORCE LASTID 8-8"),
        "*1 *2 4-1 *2 f v4"
    );
    let claim = format!("XCLAIM s g c 0 4-1 TIME {now} RETRYCOUNT 2 FORCE JUSTID LASTID 8-8");
    assert_eq!(bench.propagated(), [claim]);
    assert_eq!(bench.ask("XCLAIM s g c 0 7-7 LASTID 9-9"), "*0");
    assert_eq!(bench.propagated(), ["XGROUP SETID s g 9-9 ENTRIESREAD 3"]);
    // What has been deleted is dropped, and replicas are told by whom it was pending.
    bench.run("XDEL s 3-1");
    bench.propagated();
    assert_eq!(bench.ask("XCLAIM s g d 0 3-1"), "*0");
    let claim = "XCLAIM s g c 0 3-1 TIME 5 RETRYCOUNT 1 FORCE JUSTID LASTID 9-9";
    assert_eq!(bench.propagated(), [claim]);
}

#[test]
fn what_is_wrong_with_a_claim_is_said() {
    let mut bench = with_pending();
    for (line, want) in [
        (
            "XCLAIM s g c x 1-1",
            "-ERR Invalid min-idle-time argument for XCLAIM",
        ),
        (
            "XCLAIM s g c 0 1-1 IDLE x",
            "-ERR Invalid IDLE option argument for XCLAIM",
        ),
        (
            "XCLAIM s g c 0 1-1 TIME x",
            "-ERR Invalid TIME option argument for XCLAIM",
        ),
        (
            "XCLAIM s g c 0 1-1 RETRYCOUNT x",
            "-ERR Invalid RETRYCOUNT option argument for XCLAIM",
        ),
        (
            "XCLAIM s g c 0 1-1 LASTID",
            "-ERR Unrecognized XCLAIM option 'LASTID'",
        ),
        (
            "XCLAIM s g c 0 FOO",
            "-ERR Unrecognized XCLAIM option 'FOO'",
        ),
        (
            "XCLAIM none g c 0 1-1",
            "-NOGROUP No such key 'none' or consumer group 'g'",
        ),
        (
            "XCLAIM s x c x 1-1",
            "-NOGROUP No such key 's' or consumer group 'x'",
        ),
    ] {
        assert_eq!(bench.ask(line), want, "{line}");
    }
}

#[test]
fn a_walk_claims_what_is_idle_and_drops_what_is_deleted() {
    let mut bench = with_pending();
    bench.run("XDEL s 2-1");
    bench.now_ms += 100;
    bench.propagated();
    let now = bench.now_ms;
    assert_eq!(bench.ask("XAUTOCLAIM s g c 500 0"), "*3 0-0 *0 *1 2-1");
    let claim = format!("XCLAIM s g a 0 2-1 TIME {START_MS} RETRYCOUNT 1 FORCE JUSTID LASTID 3-1");
    assert_eq!(bench.propagated(), [claim]);
    assert_eq!(
        bench.ask("XAUTOCLAIM s g c 0 - COUNT 1"),
        "*3 3-1 *1 *2 1-1 *2 f v1 *0"
    );
    let claim = format!("XCLAIM s g c 0 1-1 TIME {now} RETRYCOUNT 2 FORCE JUSTID LASTID 3-1");
    assert_eq!(bench.propagated(), [claim]);
    assert_eq!(
        bench.ask("XAUTOCLAIM s g c 0 (1-1 JUSTID"),
        "*3 0-0 *1 3-1 *0"
    );
    assert_eq!(bench.ask("XAUTOCLAIM s g c 0 +"), "*3 0-0 *0 *0");
    for (line, want) in [
        (
            "XAUTOCLAIM s g c x 0",
            "-ERR Invalid min-idle-time argument for XAUTOCLAIM",
        ),
        ("XAUTOCLAIM s g c 0 0 COUNT 0", "-ERR COUNT must be > 0"),
        (
            "XAUTOCLAIM s g c 0 0 COUNT 9223372036854775807",
            "-ERR COUNT must be > 0",
        ),
        (
            "XAUTOCLAIM s g c 0 0 COUNT 576460752303423487",
            "-ERR Insufficient memory, failed allocating transient memory, COUNT too high.",
        ),
        ("XAUTOCLAIM s g c 0 0 COUNT", "-ERR syntax error"),
        ("XAUTOCLAIM s g c 0 0 FOO", "-ERR syntax error"),
        (
            "XAUTOCLAIM s x c 0 0",
            "-NOGROUP No such key 's' or consumer group 'x'",
        ),
    ] {
        assert_eq!(bench.ask(line), want, "{line}");
    }
}

#[test]
fn the_last_id_and_the_counters_are_set_within_reason() {
    let mut bench = with_group();
    for (line, want) in [
        ("XSETID none 1", "-ERR no such key"),
        (
            "XSETID s 3",
            "-ERR The ID specified in XSETID is smaller than the target stream top item",
        ),
        (
            "XSETID s 9 ENTRIESADDED 3",
            "-ERR The entries_added specified in XSETID is smaller than the target stream length",
        ),
        (
            "XSETID s 9 ENTRIESADDED -1",
            "-ERR entries_added must be positive",
        ),
        (
            "XSETID s 9 MAXDELETEDID 9-1",
            "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
        ),
        ("XSETID s 9 FOO", "-ERR syntax error"),
        ("XSETID s 9-9 ENTRIESADDED 7 MAXDELETEDID 8-8", "+OK"),
        (
            "XSETID s 7-7",
            "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ),
    ] {
        assert_eq!(bench.ask(line), want, "{line}");
    }
    assert_eq!(
        bench.propagated(),
        ["XSETID s 9-9 ENTRIESADDED 7 MAXDELETEDID 8-8"]
    );
    let want = "*20 length :4 radix-tree-keys :1 radix-tree-nodes :2 last-generated-id 9-9 \
                max-deleted-entry-id 8-8 entries-added :7 recorded-first-entry-id 1-1 groups :1 \
                first-entry *2 1-1 *2 f v1 last-entry *2 4-1 *2 f v4";
    assert_eq!(bench.ask("XINFO STREAM s"), want);
}

#[test]
fn streams_groups_and_consumers_are_shown() {
    let mut bench = with_pending();
    bench.run("XGROUP CREATECONSUMER s g new");
    bench.now_ms += 40;
    let want = "*1 *12 name g consumers :3 pending :3 last-delivered-id 3-1 entries-read :3 lag :1";
    assert_eq!(bench.ask("XINFO GROUPS s"), want);
    let want = "*3 *8 name a pending :2 idle :40 inactive :40 *8 name b pending :1 idle :40 \
                inactive :40 *8 name new pending :0 idle :40 inactive :-1";
    assert_eq!(bench.ask("XINFO CONSUMERS s g"), want);
    bench.version = crate::protocol::Version::Resp3;
    let t = START_MS;
    let want = format!(
        "%9 length :4 radix-tree-keys :1 radix-tree-nodes :2 last-generated-id 4-1 \
         max-deleted-entry-id 0-0 entries-added :4 recorded-first-entry-id 1-1 entries *1 *2 1-1 \
         *2 f v1 groups *1 %7 name g last-delivered-id 3-1 entries-read :3 lag :1 pel-count :3 \
         pending *1 *4 1-1 a :{t} :1 consumers *3 %5 name a seen-time :{t} active-time :{t} \
         pel-count :2 pending *1 *3 1-1 :{t} :1 %5 name b seen-time :{t} active-time :{t} \
         pel-count :1 pending *1 *3 3-1 :{t} :1 %5 name new seen-time :{t} active-time :-1 \
         pel-count :0 pending *0"
    );
    assert_eq!(bench.ask("XINFO STREAM s FULL COUNT 1"), want);
    let subcommand =
        "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.";
    assert_eq!(bench.ask("XINFO STREAM s FULL COUNT"), subcommand);
    assert_eq!(bench.ask("XINFO STREAM none"), "-ERR no such key");
    let want = "-NOGROUP No such consumer group 'x' for key name 's'";
    assert_eq!(bench.ask("XINFO CONSUMERS s x"), want);
}

#[test]
fn names_of_groups_and_keys_may_hold_any_byte() {
    let mut bench = Bench::new();
    let reply = bench.run_args(&[b"XPENDING".as_slice(), b"\xff\r\n", b"\xfe"]);
    assert_eq!(
        reply,
        b"-NOGROUP No such key '\xff  ' or consumer group '\xfe'\r\n"
    );
}

#[test]
fn keys_are_found_where_the_command_finds_them() {
    let keys = |line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let args = crate::protocol::OwnedArgs::new(&words);
        let command = crate::command::table::find(words[0]).unwrap();
        let mut found = Vec::new();
        command.for_each_key(args.as_args(), |at| {
            found.push(line.split(' ').nth(at).unwrap())
        });
        found.join(" ")
    };
    for (line, want) in [
        ("XREAD STREAMS a b 1 2", "a b"),
        ("XREAD COUNT 1 BLOCK 0 streams a b 1", "a"),
        ("XREAD COUNT 1 a b 1", ""),
        ("XREAD STREAMS STREAMS 1", "STREAMS"),
        ("XREAD COUNT 1 STREAMS", ""),
        ("XREADGROUP GROUP g STREAMS STREAMS a 1", "a"),
        ("XREADGROUP COUNT 1 GROUP STREAMS c STREAMS a >", "a"),
        ("XREADGROUP GROUP g c NOACK STREAMS a b > >", "a b"),
        ("XREADGROUP GROUP STREAMS STREAMS a 1 2", ""),
        ("XREAD FOO STREAMS a 1", "a"),
    ] {
        assert_eq!(keys(line), want, "{line}");
    }
}
