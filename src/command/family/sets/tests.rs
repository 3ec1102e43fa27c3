use crate::command::testing::Bench;
use crate::value::set::SetLimits;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";

/// The bulk strings in a reply, sorted.
fn bulks(reply: &str) -> Vec<String> {
    let lines: Vec<&str> = reply.split("\r\n").collect();
    let mut found: Vec<String> = (0..lines.len())
        .filter(|at| lines[*at].starts_with('$') && lines[*at] != "$-1")
        .map(|at| lines[at + 1].to_owned())
        .collect();
    found.sort();
    found
}

/// A bench with small limits, all events on.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.state.settings.set_limits = SetLimits {
        intset_entries_max: 8,
        listpack_entries_max: 4,
        listpack_value_len_max: 16,
    };
    bench.state.settings.notify = crate::command::notify::Class::ALL;
    bench
}

/// The events since the last call.
fn events(bench: &mut Bench) -> Vec<String> {
    let noted = std::mem::take(&mut bench.state.notifications);
    let show = |n: crate::command::notify::Notification| {
        format!("{} {}", n.event, String::from_utf8_lossy(&n.key))
    };
    noted.into_iter().map(show).collect()
}

/// Adds `m0` to `m<len - 1>` to `key`.
fn fill(bench: &mut Bench, key: &str, len: usize) {
    for n in 0..len {
        bench.run(&format!("SADD {key} m{n}"));
    }
    bench.propagated();
    events(bench);
}

#[test]
fn every_command_refuses_another_type_and_changes_nothing() {
    let mut bench = bench();
    bench.run("SET s v");
    bench.run("SADD k a b");
    bench.propagated();
    for line in [
        "SADD s a",
        "SREM s a",
        "SISMEMBER s a",
        "SMISMEMBER s a b",
        "SCARD s",
        "SMEMBERS s",
        "SPOP s",
        "SPOP s 2",
        "SPOP s 0",
        "SRANDMEMBER s",
        "SRANDMEMBER s 0",
        "SMOVE s k a",
        "SMOVE k s a",
        "SINTER none s",
        "SINTER k s",
        "SINTERCARD 2 none s",
        "SINTERSTORE d none s",
        "SUNION k s",
        "SUNIONSTORE d s",
        "SDIFF none s",
        "SDIFFSTORE d k s",
        "SSCAN s 0 foo",
    ] {
        assert_eq!(bench.run(line), WRONG_TYPE, "{line}");
    }
    assert!(bench.propagated().is_empty());
    assert_eq!(bulks(&bench.run("SMEMBERS k")), ["a", "b"]);
}

#[test]
fn members_are_added_counted_found_and_removed() {
    let mut bench = bench();
    assert_eq!(bench.run("SADD k a b a 7"), ":3\r\n");
    assert_eq!(bench.ran.dirty, 3);
    assert_eq!(events(&mut bench), ["sadd k"]);
    assert_eq!(bench.run("SADD k a"), ":0\r\n");
    assert!(events(&mut bench).is_empty());
    assert_eq!(bench.propagated(), ["SADD k a b a 7"]);
    assert_eq!(bench.run("SCARD k"), ":3\r\n");
    assert_eq!(bench.run("SISMEMBER k 7"), ":1\r\n");
    assert_eq!(bench.run("SISMEMBER k 07"), ":0\r\n");
    assert_eq!(bench.run("SMISMEMBER k a x b"), "*3\r\n:1\r\n:0\r\n:1\r\n");
    assert_eq!(bulks(&bench.run("SMEMBERS k")), ["7", "a", "b"]);
    assert_eq!(bench.run("SREM k a x"), ":1\r\n");
    assert_eq!(events(&mut bench), ["srem k"]);
    assert_eq!(bench.run("SREM k b 7 c"), ":2\r\n");
    assert_eq!(bench.ran.dirty, 2);
    assert_eq!(events(&mut bench), ["srem k", "del k"]);
    assert!(!bench.holds("k"));
    assert_eq!(bench.run("SREM k a"), ":0\r\n");
    assert_eq!(bench.propagated(), ["SREM k a x", "SREM k b 7 c"]);
}

#[test]
fn without_a_key_there_is_an_empty_set() {
    let mut bench = bench();
    for (line, want) in [
        ("SREM k a", ":0\r\n"),
        ("SISMEMBER k a", ":0\r\n"),
        ("SMISMEMBER k a b", "*2\r\n:0\r\n:0\r\n"),
        ("SCARD k", ":0\r\n"),
        ("SMEMBERS k", "*0\r\n"),
        ("SPOP k", "$-1\r\n"),
        ("SPOP k 0", "*0\r\n"),
        ("SPOP k 3", "*0\r\n"),
        ("SRANDMEMBER k", "$-1\r\n"),
        ("SRANDMEMBER k -3", "*0\r\n"),
        ("SMOVE k l a", ":0\r\n"),
        ("SINTER k l", "*0\r\n"),
        ("SINTERCARD 1 k", ":0\r\n"),
        ("SUNION k l", "*0\r\n"),
        ("SDIFF k l", "*0\r\n"),
        ("SSCAN k 0 any thing", "*2\r\n$1\r\n0\r\n*0\r\n"),
    ] {
        assert_eq!(bench.run(line), want, "{line}");
    }
    assert!(bench.propagated().is_empty());
    bench.version = crate::protocol::Version::Resp3;
    for line in [
        "SMEMBERS k",
        "SPOP k 3",
        "SINTER k l",
        "SUNION k",
        "SDIFF k",
    ] {
        assert_eq!(bench.run(line), "~0\r\n", "{line}");
    }
    assert_eq!(bench.run("SRANDMEMBER k 3"), "*0\r\n");
    assert_eq!(bench.run("SPOP k"), "_\r\n");
}

#[test]
fn sets_are_sets_in_resp3() {
    let mut bench = Bench::resp3();
    bench.run("SADD k a");
    for line in ["SMEMBERS k", "SINTER k k", "SUNION k k", "SDIFF k none"] {
        assert_eq!(bench.run(line), "~1\r\n$1\r\na\r\n", "{line}");
    }
    assert_eq!(bench.run("SRANDMEMBER k 1"), "*1\r\n$1\r\na\r\n");
    assert_eq!(bench.run("SPOP k 1"), "~1\r\n$1\r\na\r\n");
}

#[test]
fn one_pop_is_one_srem() {
    let mut bench = bench();
    fill(&mut bench, "k", 2);
    let popped = bulks(&bench.run("SPOP k"));
    assert_eq!(bench.propagated(), [format!("SREM k {}", popped[0])]);
    assert_eq!(events(&mut bench), ["spop k"]);
    let last = bulks(&bench.run("SPOP k"));
    assert_eq!(bench.propagated(), [format!("SREM k {}", last[0])]);
    assert_eq!(events(&mut bench), ["spop k", "del k"]);
    assert!(!bench.holds("k") && last != popped);
}

#[test]
fn several_pops_are_batches_of_srem_and_all_are_a_del() {
    let mut bench = bench();
    fill(&mut bench, "k", 3000);
    let popped = bulks(&bench.run("SPOP k 2500"));
    assert_eq!(bench.ran.dirty, 2500);
    let sent = bench.propagated();
    assert_eq!((sent.len(), sent[0].as_str()), (5, "MULTI"));
    let lens: Vec<usize> = sent[1..4]
        .iter()
        .map(|s| s.split(' ').count() - 2)
        .collect();
    assert_eq!(lens, [1024, 1024, 452]);
    let mut all: Vec<String> = sent[1..4]
        .iter()
        .flat_map(|s| s.split(' ').skip(2).map(str::to_owned))
        .collect();
    all.sort();
    assert_eq!(all, popped);
    assert_eq!(bench.run("SCARD k"), ":500\r\n");
    assert_eq!(events(&mut bench), ["spop k"]);
    assert_eq!(bulks(&bench.run("SPOP k 500")).len(), 500);
    assert_eq!(bench.propagated(), ["DEL k"]);
    assert_eq!(bench.ran.dirty, 500);
    assert_eq!(events(&mut bench), ["spop k", "del k"]);
    bench.state.settings.lazy_server_del = true;
    bench.run("SADD k a");
    bench.propagated();
    bench.run("SPOP k 5");
    assert_eq!(bench.propagated(), ["UNLINK k"]);
    assert_eq!(
        bench.run("SPOP k -1"),
        "-ERR value is out of range, must be positive\r\n"
    );
    assert_eq!(bench.run("SPOP k 1 2"), SYNTAX);
}

#[test]
fn random_members_are_members() {
    let mut bench = bench();
    for len in [3, 200] {
        let key = format!("k{len}");
        fill(&mut bench, &key, len);
        assert_eq!(bulks(&bench.run(&format!("SRANDMEMBER {key}"))).len(), 1);
        let mut some = bulks(&bench.run(&format!("SRANDMEMBER {key} 2")));
        some.dedup();
        assert_eq!(some.len(), 2);
        let all = bulks(&bench.run(&format!("SRANDMEMBER {key} 1000")));
        assert_eq!(all, bulks(&bench.run(&format!("SMEMBERS {key}"))));
        let many = bulks(&bench.run(&format!("SRANDMEMBER {key} -1000")));
        assert_eq!(many.len(), 1000);
        assert!(many.iter().all(|member| all.contains(member)));
    }
    assert!(bench.propagated().is_empty());
    assert_eq!(bench.run("SRANDMEMBER k3 x"), NOT_INTEGER);
    assert_eq!(bench.run("SRANDMEMBER k3 1 2"), SYNTAX);
    let range = "-ERR value is out of range, value must between -9223372036854775807 and \
                 9223372036854775807\r\n";
    assert_eq!(bench.run("SRANDMEMBER k3 -9223372036854775808"), range);
    let refused = bench.run("SRANDMEMBER k3 -9223372036854775807");
    assert!(refused.starts_with('-'));
}

#[test]
fn a_member_moves_between_sets() {
    let mut bench = bench();
    bench.run("SADD a x y 5");
    bench.run("SADD b y");
    bench.propagated();
    events(&mut bench);
    assert_eq!(bench.run("SMOVE a b x"), ":1\r\n");
    assert_eq!(bench.ran.dirty, 2);
    assert_eq!(events(&mut bench), ["srem a", "sadd b"]);
    assert_eq!(bench.run("SMOVE a b y"), ":1\r\n");
    assert_eq!(bench.ran.dirty, 1);
    assert_eq!(events(&mut bench), ["srem a"]);
    assert_eq!(bench.run("SMOVE a c none"), ":0\r\n");
    assert_eq!(bench.run("SMOVE a c 5"), ":1\r\n");
    assert_eq!(events(&mut bench), ["srem a", "del a", "sadd c"]);
    assert_eq!(bench.encoding("c"), "intset");
    assert_eq!(bench.run("SMOVE c c 5"), ":1\r\n");
    assert_eq!(bench.run("SMOVE c c 6"), ":0\r\n");
    let sent = ["SMOVE a b x", "SMOVE a b y", "SMOVE a c 5"];
    assert_eq!(bench.propagated(), sent);
    bench.run("SET s v");
    assert_eq!(bench.run("SMOVE none s x"), ":0\r\n");
}

#[test]
fn results_are_stored_over_what_was_there_or_leave_nothing() {
    let mut bench = bench();
    bench.run("SADD a 1 2 3");
    bench.run("SADD b 2 3 x");
    bench.run("SET d text EX 1000");
    bench.propagated();
    events(&mut bench);
    assert_eq!(bench.run("SINTERSTORE d a b"), ":2\r\n");
    assert_eq!(bench.expire_at("d"), None);
    assert_eq!(bench.encoding("d"), "intset");
    assert_eq!(events(&mut bench), ["sinterstore d"]);
    assert_eq!(bench.run("SUNIONSTORE d a b"), ":4\r\n");
    assert_eq!(bench.encoding("d"), "listpack");
    assert_eq!(events(&mut bench), ["sunionstore d"]);
    assert_eq!(bench.run("SDIFFSTORE d b a"), ":1\r\n");
    assert_eq!(bulks(&bench.run("SMEMBERS d")), ["x"]);
    assert_eq!(events(&mut bench), ["sdiffstore d"]);
    bench.propagated();
    assert_eq!(bench.run("SINTERSTORE d a none"), ":0\r\n");
    assert_eq!(events(&mut bench), ["del d"]);
    assert_eq!(bench.run("SDIFFSTORE d none a"), ":0\r\n");
    assert!(events(&mut bench).is_empty());
    assert_eq!(bench.propagated(), ["SINTERSTORE d a none"]);
    assert_eq!(bench.run("SUNIONSTORE a a b"), ":4\r\n");
}

#[test]
fn the_cardinality_of_an_intersection_stops_at_its_limit() {
    let mut bench = bench();
    fill(&mut bench, "a", 50);
    fill(&mut bench, "b", 30);
    assert_eq!(bench.run("SINTERCARD 2 a b"), ":30\r\n");
    assert_eq!(bench.run("SINTERCARD 2 a b LIMIT 7"), ":7\r\n");
    assert_eq!(bench.run("SINTERCARD 2 a b LIMIT 0"), ":30\r\n");
    assert_eq!(bench.run("SINTERCARD 2 a b LIMIT 5 limit 6"), ":6\r\n");
    let numkeys = "-ERR numkeys should be greater than 0\r\n";
    for line in ["SINTERCARD 0 a", "SINTERCARD x a", "SINTERCARD -1 a"] {
        assert_eq!(bench.run(line), numkeys, "{line}");
    }
    let many = "-ERR Number of keys can't be greater than number of args\r\n";
    assert_eq!(bench.run("SINTERCARD 2 a"), many);
    assert_eq!(bench.run("SINTERCARD 9223372036854775807 a"), many);
    let limit = "-ERR LIMIT can't be negative\r\n";
    assert_eq!(bench.run("SINTERCARD 1 a LIMIT -1"), limit);
    assert_eq!(bench.run("SINTERCARD 1 a LIMIT x"), limit);
    assert_eq!(bench.run("SINTERCARD 1 a LIMIT"), SYNTAX);
    assert_eq!(bench.run("SINTERCARD 1 a b 1"), SYNTAX);
}

#[test]
fn a_scan_gives_all_members_that_match() {
    let mut bench = bench();
    fill(&mut bench, "k", 500);
    for (options, want) in [("", 500), ("MATCH m1?", 10), ("COUNT 1000", 500)] {
        let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
        loop {
            let reply = bench.run(&format!("SSCAN k {cursor} {options}"));
            let lines: Vec<&str> = reply.split("\r\n").collect();
            cursor = lines[2].to_owned();
            let members = lines.iter().filter(|line| line.starts_with('m'));
            seen.extend(members.map(|line| (*line).to_owned()));
            if cursor == "0" {
                break;
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), want, "{options}");
    }
    assert_eq!(bench.run("SSCAN k x"), "-ERR invalid cursor\r\n");
    assert_eq!(bench.run("SSCAN k 0 COUNT 0"), SYNTAX);
    assert_eq!(bench.run("SSCAN k 0 TYPE set"), SYNTAX);
    let novalues = "-ERR NOVALUES option can only be used in HSCAN\r\n";
    assert_eq!(bench.run("SSCAN k 0 NOVALUES"), novalues);
}

#[test]
fn expired_sources_are_absent_and_an_expired_target_is_replaced() {
    let mut bench = bench();
    bench.run("SADD a x");
    bench.run("SADD b x");
    bench.run("PEXPIRE a 5");
    bench.propagated();
    bench.now_ms += 10;
    assert_eq!(bench.run("SINTER b a"), "*0\r\n");
    assert_eq!(bench.propagated(), ["DEL a"]);
    bench.run("SADD a y");
    bench.run("PEXPIRE a 5");
    bench.propagated();
    bench.now_ms += 10;
    assert_eq!(bench.run("SUNIONSTORE a b"), ":1\r\n");
    let sent = ["MULTI", "DEL a", "SUNIONSTORE a b", "EXEC"];
    assert_eq!(bench.propagated(), sent);
    assert_eq!(bulks(&bench.run("SMEMBERS a")), ["x"]);
}
