use crate::command::testing::Bench;

const SYNTAX: &str = "-ERR syntax error\r\n";

/// An array of bulks.
fn array(items: &[&str]) -> String {
    let bulks = items
        .iter()
        .map(|item| format!("${}\r\n{item}\r\n", item.len()));
    format!("*{}\r\n{}", items.len(), bulks.collect::<String>())
}

fn check(bench: &mut Bench, cases: &[(&str, &str)]) {
    for (line, want) in cases {
        assert_eq!(bench.run(line), *want, "{line}");
    }
}

#[test]
fn members_are_added_changed_and_counted() {
    let mut bench = Bench::new();
    check(
        &mut bench,
        &[
            ("ZADD z 1 a 2 b 3 c", ":3\r\n"),
            ("ZADD z 1 a 5 b 4 d", ":1\r\n"),
            ("ZADD z CH 1 a 6 b 7 e", ":2\r\n"),
            ("ZADD z NX 9 a 9 f", ":1\r\n"),
            ("ZADD z XX CH 2 a 9 none", ":1\r\n"),
            ("ZADD z GT CH 1 a 10 b", ":1\r\n"),
            ("ZADD z LT CH 1 a 20 b", ":1\r\n"),
            ("ZADD z INCR 1.5 a", "$3\r\n2.5\r\n"),
            ("ZADD z INCR NX 1.5 a", "$-1\r\n"),
            ("ZADD z INCR GT -1 a", "$-1\r\n"),
            ("ZADD none XX INCR 1 a", "$-1\r\n"),
            ("ZADD none XX 1 a", ":0\r\n"),
            ("ZINCRBY z 2 a", "$3\r\n4.5\r\n"),
            ("ZINCRBY z 1 new", "$1\r\n1\r\n"),
            ("ZCARD z", ":7\r\n"),
            ("ZSCORE z b", "$2\r\n10\r\n"),
            ("ZSCORE z none", "$-1\r\n"),
            ("ZMSCORE z a none", "*2\r\n$3\r\n4.5\r\n$-1\r\n"),
        ],
    );
    assert!(!bench.holds("none"));
    let want = array(&["new", "c", "d", "a", "e", "f", "b"]);
    assert_eq!(bench.run("ZRANGE z 0 -1"), want);
}

#[test]
fn what_adding_refuses_is_refused_before_anything_changes() {
    let mut bench = Bench::new();
    let nan = "-ERR resulting score is not a number (NaN)\r\n";
    let float = "-ERR value is not a valid float\r\n";
    check(
        &mut bench,
        &[
            ("ZADD i inf a", ":1\r\n"),
            ("ZADD i INCR -inf a", nan),
            ("ZADD i NX INCR -inf a", "$-1\r\n"),
            ("ZINCRBY i -inf a", nan),
            ("ZINCRBY i NX a", SYNTAX),
            ("ZINCRBY i foo a", float),
            ("ZADD z 1 a x b", float),
            ("ZADD z nan a", float),
            ("ZADD z 1 a 2", SYNTAX),
            ("ZADD z NX XX", SYNTAX),
            (
                "ZADD z NX XX 1 a",
                "-ERR XX and NX options at the same time are not compatible\r\n",
            ),
            (
                "ZADD z GT LT 1 a",
                "-ERR GT, LT, and/or NX options at the same time are not compatible\r\n",
            ),
            (
                "ZADD z INCR 1 a 2 b",
                "-ERR INCR option supports a single increment-element pair\r\n",
            ),
        ],
    );
    assert!(!bench.holds("z"));
}

#[test]
fn a_sorted_set_grows_out_of_its_listpack_and_its_key_goes_with_the_last_member() {
    let mut bench = Bench::new();
    for n in 0..128 {
        bench.run(&format!("ZADD z {n} m{n}"));
    }
    assert_eq!(bench.encoding("z"), "listpack");
    bench.run("ZADD z 1 m128");
    assert_eq!(bench.encoding("z"), "skiplist");
    bench.run(&format!("ZADD y 1 {}", "x".repeat(65)));
    assert_eq!(bench.encoding("y"), "skiplist");
    assert_eq!(bench.run("ZREMRANGEBYRANK z 1 -1"), ":128\r\n");
    bench.propagated();
    assert_eq!(bench.run("ZREM z none m0 m0"), ":1\r\n");
    assert_eq!(bench.propagated(), ["ZREM z none m0 m0"]);
    assert!(!bench.holds("z"));
}

#[test]
fn ranges_are_taken_by_rank_score_and_name() {
    for limit in [128, 0] {
        let mut bench = Bench::new();
        bench.state.settings.sorted_set_limits.entries_max = limit;
        bench.run("ZADD z 1 a 2 b 3 c 4 d");
        bench.run("ZADD l 0 a 0 b 0 c 0 d");
        for (line, want) in [
            ("ZRANGE z 1 2", &["b", "c"][..]),
            ("ZRANGE z -2 100", &["c", "d"]),
            ("ZRANGE z 3 1", &[]),
            ("ZRANGE z 0 1 REV", &["d", "c"]),
            ("ZREVRANGE z 0 0 WITHSCORES", &["d", "4"]),
            ("ZRANGE z (1 3 BYSCORE", &["b", "c"]),
            (
                "ZRANGE z 3 (1 BYSCORE REV WITHSCORES",
                &["c", "3", "b", "2"],
            ),
            ("ZRANGEBYSCORE z -inf +inf LIMIT 1 2", &["b", "c"]),
            ("ZREVRANGEBYSCORE z +inf -inf LIMIT 1 2", &["c", "b"]),
            ("ZRANGEBYSCORE z 2 3 WITHSCORES LIMIT 1 -1", &["c", "3"]),
            ("ZRANGEBYSCORE z 5 1", &[]),
            ("ZRANGE l [b (d BYLEX", &["b", "c"]),
            ("ZRANGEBYLEX l - + LIMIT 3 9", &["d"]),
            ("ZREVRANGEBYLEX l + (b", &["d", "c"]),
            ("ZRANGEBYLEX l [c [a", &[]),
        ] {
            assert_eq!(bench.run(line), array(want), "{line}");
        }
        check(
            &mut bench,
            &[
                ("ZCOUNT z (1 3", ":2\r\n"),
                ("ZLEXCOUNT l (a [c", ":2\r\n"),
                ("ZRANK z c", ":2\r\n"),
                ("ZREVRANK z c WITHSCORE", "*2\r\n:1\r\n$1\r\n3\r\n"),
                ("ZRANK z none", "$-1\r\n"),
                ("ZRANK z none WITHSCORE", "*-1\r\n"),
                ("ZRANGESTORE d z 0 1 REV", ":2\r\n"),
                ("ZREMRANGEBYSCORE z 2 3", ":2\r\n"),
                ("ZREMRANGEBYLEX l - (c", ":2\r\n"),
            ],
        );
        assert_eq!(bench.run("ZRANGE d 0 -1"), array(&["c", "d"]));
        assert_eq!(bench.run("ZRANGE z 0 -1"), array(&["a", "d"]));
        assert_eq!(bench.run("ZRANGE l 0 -1"), array(&["c", "d"]));
    }
}

#[test]
fn resp3_nests_pairs_and_has_doubles() {
    let mut bench = Bench::resp3();
    bench.run("ZADD z 1 a 2.5 b");
    let pairs = "*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2.5\r\n";
    check(
        &mut bench,
        &[
            ("ZRANGE z 0 -1 WITHSCORES", pairs),
            ("ZUNION 1 z WITHSCORES", pairs),
            ("ZSCORE z b", ",2.5\r\n"),
            ("ZADD z INCR inf c", ",inf\r\n"),
            ("ZPOPMAX z 1", "*1\r\n*2\r\n$1\r\nc\r\n,inf\r\n"),
            ("ZPOPMAX z", "*2\r\n$1\r\nb\r\n,2.5\r\n"),
            (
                "ZMPOP 2 none z MIN",
                "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\na\r\n,1\r\n",
            ),
            ("ZMPOP 1 z MIN", "_\r\n"),
        ],
    );
}

#[test]
fn pops_are_propagated_as_what_they_took() {
    let mut bench = Bench::new();
    bench.run("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f");
    bench.propagated();
    for (line, propagated) in [
        ("ZPOPMIN z", "ZPOPMIN z"),
        ("ZMPOP 2 none z MAX COUNT 2", "ZPOPMAX z 2"),
        ("BZPOPMIN none z 0", "ZPOPMIN z"),
        ("BZMPOP 1 1 z MIN COUNT 9", "ZPOPMIN z 2"),
    ] {
        bench.run(line);
        assert_eq!(bench.propagated(), [propagated], "{line}");
    }
    assert!(!bench.holds("z"));
    assert_eq!(bench.run("ZPOPMIN z 0"), "*0\r\n");
    assert_eq!(bench.run("ZPOPMIN z"), "*0\r\n");
    assert!(bench.propagated().is_empty());
}

#[test]
fn a_pop_that_finds_nothing_waits_or_is_over_at_once() {
    let mut bench = Bench::new();
    assert_eq!(bench.run("BZPOPMIN none 1"), "*-1\r\n");
    bench.may_wait = true;
    for line in ["BZPOPMAX a b 1.5", "BZMPOP 1.5 2 a b MAX"] {
        assert_eq!(bench.run(line), "");
        let wait = bench.ran.wait.take().unwrap();
        assert_eq!(wait.timeout_ms, 1500);
        assert_eq!(wait.kind, crate::value::Kind::SortedSet);
    }
    bench.run("SET s x");
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    assert_eq!(bench.run("BZPOPMIN a s 1"), wrong);
    assert_eq!(bench.run("BZPOPMIN a -1"), "-ERR timeout is negative\r\n");
}

#[test]
fn sorted_sets_are_united_cut_and_subtracted() {
    let mut bench = Bench::new();
    bench.run("ZADD a 1 x 2 y 3 z");
    bench.run("ZADD b 10 y 20 z 30 w");
    for (line, want) in [
        (
            "ZUNION 2 a b WITHSCORES",
            &["x", "1", "y", "12", "z", "23", "w", "30"][..],
        ),
        (
            "ZINTER 2 a b WITHSCORES WEIGHTS 2 1",
            &["y", "14", "z", "26"],
        ),
        (
            "ZINTER 2 a b WITHSCORES AGGREGATE MAX",
            &["y", "10", "z", "20"],
        ),
        (
            "ZUNION 2 a b AGGREGATE min WITHSCORES",
            &["x", "1", "y", "2", "z", "3", "w", "30"],
        ),
        ("ZDIFF 2 a b WITHSCORES", &["x", "1"]),
        ("ZDIFF 2 a a", &[]),
        ("ZINTER 2 a none", &[]),
        ("ZUNION 2 none none", &[]),
    ] {
        assert_eq!(bench.run(line), array(want), "{line}");
    }
    check(
        &mut bench,
        &[
            ("ZINTERCARD 2 a b", ":2\r\n"),
            ("ZINTERCARD 2 a b LIMIT 1", ":1\r\n"),
            ("ZUNIONSTORE d 2 a b", ":4\r\n"),
            ("ZINTERSTORE d 2 a none", ":0\r\n"),
            ("ZDIFFSTORE d 1 b", ":3\r\n"),
            (
                "ZUNION 0 a",
                "-ERR at least 1 input key is needed for 'zunion' command\r\n",
            ),
            ("ZUNION 3 a b", SYNTAX),
            (
                "ZUNION 1 a WEIGHTS x",
                "-ERR weight value is not a float\r\n",
            ),
            ("ZUNION 1 a LIMIT 1", SYNTAX),
            ("ZDIFF 1 a WEIGHTS 1", SYNTAX),
        ],
    );
    assert_eq!(bench.encoding("d"), "listpack");
}

/// Found by random commands (seed 47438467041284).
#[test]
fn a_sum_of_zeros_has_the_sign_of_the_sum() {
    let mut bench = Bench::new();
    bench.run("ZADD a 0 x 1 y 2 z");
    bench.run("ZADD b 0 x");
    let reply = bench.run("ZUNION 2 a b WEIGHTS 1 -1 WITHSCORES");
    assert_eq!(reply, array(&["x", "0", "y", "1", "z", "2"]));
    let reply = bench.run("ZUNION 2 b b WEIGHTS -1 -1 WITHSCORES");
    assert_eq!(reply, array(&["x", "-0"]));
}

#[test]
fn infinities_that_cancel_out_count_as_nothing() {
    let mut bench = Bench::new();
    bench.run("ZADD a inf x");
    bench.run("ZADD b -inf x");
    assert_eq!(bench.run("ZUNION 2 a b WITHSCORES"), array(&["x", "0"]));
    assert_eq!(bench.run("ZINTER 2 a b WITHSCORES"), array(&["x", "0"]));
    assert_eq!(
        bench.run("ZUNION 1 a WEIGHTS 0 WITHSCORES"),
        array(&["x", "0"])
    );
}

#[test]
fn random_members_are_as_many_and_as_distinct_as_asked() {
    for n in [5, 500] {
        let mut bench = Bench::new();
        for i in 0..n {
            bench.run(&format!("ZADD z {i} m{i}"));
        }
        for (count, want) in [(3, 3), (n, n), (n + 9, n), (-20, 20), (0, 0)] {
            let reply = bench.run(&format!("ZRANDMEMBER z {count} WITHSCORES"));
            let items: Vec<&str> = reply.split("\r\n").skip(2).step_by(2).collect();
            assert_eq!(items.len(), want as usize * 2, "{count}");
            for pair in items.chunks(2) {
                assert_eq!(pair[0], format!("m{}", pair[1]));
            }
            if count > 0 {
                let distinct: std::collections::BTreeSet<_> = items.iter().step_by(2).collect();
                assert_eq!(distinct.len(), want as usize);
            }
        }
    }
}

#[test]
fn a_large_sorted_set_is_scanned_in_steps_that_miss_nothing() {
    let mut bench = Bench::new();
    for i in 0..1000 {
        bench.run(&format!("ZADD z 0.1 m{i}"));
    }
    let (mut cursor, mut steps) = ("0".to_owned(), 0);
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let reply = bench.run(&format!("ZSCAN z {cursor} COUNT 50"));
        let mut items = reply
            .split("\r\n")
            .filter(|item| !item.starts_with(['$', '*']));
        cursor = items.next().unwrap().to_owned();
        seen.extend(
            items
                .filter(|item| item.starts_with('m'))
                .map(str::to_owned),
        );
        assert!(cursor == "0" || reply.contains("0.10000000000000001"));
        steps += 1;
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 1000);
    assert!(steps > 10);
}
