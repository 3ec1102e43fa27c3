use crate::command::testing::{Bench, START_MS};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NOT_FLOAT: &str = "-ERR value is not a valid float\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";

/// An array of bulk strings as it goes on the wire.
fn array(items: &[&str]) -> String {
    let bulks = items.iter().map(|i| format!("${}\r\n{i}\r\n", i.len()));
    format!("*{}\r\n{}", items.len(), bulks.collect::<String>())
}

/// The bulk strings in a reply, in order of occurrence.
fn bulks(reply: &str) -> Vec<&str> {
    let lines: Vec<&str> = reply.split("\r\n").collect();
    let after = |at: &usize| lines[*at].starts_with('$');
    (0..lines.len())
        .filter(after)
        .map(|at| lines[at + 1])
        .collect()
}

/// A bench on which `big` has the fields `f0` to `f999` with values `0` to `999`.
fn with_big() -> Bench {
    let mut bench = Bench::new();
    for n in 0..1000 {
        bench.run(&format!("HSET big f{n} {n}"));
    }
    bench.propagated();
    bench
}

#[test]
fn every_command_refuses_another_type_and_changes_nothing() {
    let mut bench = Bench::new();
    bench.run("SET s v");
    bench.propagated();
    for line in [
        "HDEL s f",
        "HEXISTS s f",
        "HGET s f",
        "HGETALL s",
        "HINCRBY s f 1",
        "HINCRBYFLOAT s f 1",
        "HKEYS s",
        "HLEN s",
        "HMGET s f",
        "HMSET s f v",
        "HRANDFIELD s",
        "HRANDFIELD s 0",
        "HSCAN s 0 foo",
        "HSET s f v",
        "HSETNX s f v",
        "HSTRLEN s f",
        "HVALS s",
    ] {
        assert_eq!(bench.run(line), WRONG_TYPE, "{line}");
    }
    assert!(bench.propagated().is_empty());
    assert_eq!(bench.run("GET s"), "$1\r\nv\r\n");
}

#[test]
fn fields_are_set_counted_read_and_deleted() {
    let mut bench = Bench::new();
    assert_eq!(bench.run("HSET h a 1 b two a 3"), ":2\r\n");
    assert_eq!(bench.ran.dirty, 3);
    assert_eq!(bench.run("HMSET h c x"), "+OK\r\n");
    assert_eq!(bench.run("HSETNX h c y"), ":0\r\n");
    assert_eq!(bench.run("HSETNX h d y"), ":1\r\n");
    assert_eq!(bench.run("HLEN h"), ":4\r\n");
    assert_eq!(bench.run("HGET h a"), "$1\r\n3\r\n");
    assert_eq!(bench.run("HGET h z"), "$-1\r\n");
    let want = "*3\r\n$3\r\ntwo\r\n$-1\r\n$1\r\ny\r\n";
    assert_eq!(bench.run("HMGET h b z d"), want);
    assert_eq!(bench.run("HEXISTS h b"), ":1\r\n");
    assert_eq!(bench.run("HEXISTS h z"), ":0\r\n");
    assert_eq!(bench.run("HSTRLEN h b"), ":3\r\n");
    assert_eq!(bench.run("HSTRLEN h a"), ":1\r\n");
    assert_eq!(bench.run("HSTRLEN h z"), ":0\r\n");
    assert_eq!(bench.run("HKEYS h"), array(&["a", "b", "c", "d"]));
    assert_eq!(bench.run("HVALS h"), array(&["3", "two", "x", "y"]));
    let all = ["a", "3", "b", "two", "c", "x", "d", "y"];
    assert_eq!(bench.run("HGETALL h"), array(&all));
    bench.propagated();
    assert_eq!(bench.run("HDEL h z"), ":0\r\n");
    assert_eq!(bench.run("HDEL h a a z b"), ":2\r\n");
    assert_eq!(bench.ran.dirty, 2);
    assert_eq!(bench.propagated(), ["HDEL h a a z b"]);
}

#[test]
fn the_last_field_takes_the_key_along() {
    let mut bench = Bench::new();
    bench.run("HSET h a 1 b 2");
    bench.propagated();
    assert_eq!(bench.run("HDEL h a b c"), ":2\r\n");
    assert!(!bench.holds("h"));
    assert_eq!(bench.propagated(), ["HDEL h a b c"]);
    assert_eq!(bench.run("HDEL h a"), ":0\r\n");
    let mut big = with_big();
    for n in 0..1000 {
        assert_eq!(big.run(&format!("HDEL big f{n}")), ":1\r\n");
    }
    assert!(!big.holds("big"));
}

#[test]
fn without_a_key_there_is_an_empty_hash() {
    let mut bench = Bench::new();
    for (line, want) in [
        ("HGET h f", "$-1\r\n"),
        ("HMGET h f g", "*2\r\n$-1\r\n$-1\r\n"),
        ("HGETALL h", "*0\r\n"),
        ("HKEYS h", "*0\r\n"),
        ("HVALS h", "*0\r\n"),
        ("HLEN h", ":0\r\n"),
        ("HSTRLEN h f", ":0\r\n"),
        ("HEXISTS h f", ":0\r\n"),
        ("HRANDFIELD h", "$-1\r\n"),
        ("HRANDFIELD h 3", "*0\r\n"),
        ("HRANDFIELD h -3 WITHVALUES", "*0\r\n"),
        ("HSCAN h 0 foo", "*2\r\n$1\r\n0\r\n*0\r\n"),
    ] {
        assert_eq!(bench.run(line), want, "{line}");
    }
    let mut bench = Bench::resp3();
    assert_eq!(bench.run("HGETALL h"), "%0\r\n");
    assert_eq!(bench.run("HGET h f"), "_\r\n");
    assert_eq!(bench.run("HMGET h f"), "*1\r\n_\r\n");
    assert_eq!(bench.run("HRANDFIELD h"), "_\r\n");
}

#[test]
fn an_odd_number_of_fields_and_values_is_an_arity_error() {
    let mut bench = Bench::new();
    for name in ["hset", "hmset"] {
        let want = format!("-ERR wrong number of arguments for '{name}' command\r\n");
        assert_eq!(bench.run(&format!("{name} h a")), want);
        assert_eq!(bench.run(&format!("{name} h a 1 b")), want);
    }
    assert!(!bench.holds("h"));
}

#[test]
fn integers_in_fields_are_added_without_overflow() {
    let mut bench = Bench::new();
    assert_eq!(bench.run("HINCRBY h f 5"), ":5\r\n");
    assert_eq!(bench.run("HINCRBY h f -7"), ":-2\r\n");
    assert_eq!(bench.propagated(), ["HINCRBY h f 5", "HINCRBY h f -7"]);
    assert_eq!(bench.run("HINCRBY h f x"), NOT_INTEGER);
    bench.run("HSET h s abc m 9223372036854775807");
    let want = "-ERR hash value is not an integer\r\n";
    assert_eq!(bench.run("HINCRBY h s 1"), want);
    let want = "-ERR increment or decrement would overflow\r\n";
    assert_eq!(bench.run("HINCRBY h m 1"), want);
    assert_eq!(bench.run("HINCRBY new f x"), NOT_INTEGER);
    assert!(!bench.holds("new"));
}

#[test]
fn fractions_in_fields_are_propagated_as_their_result() {
    let mut bench = Bench::new();
    assert_eq!(bench.run("HINCRBYFLOAT h f 10.5"), "$4\r\n10.5\r\n");
    assert_eq!(bench.run("HINCRBYFLOAT h f 0.1"), "$4\r\n10.6\r\n");
    assert_eq!(bench.run("HINCRBYFLOAT h n 3"), "$1\r\n3\r\n");
    assert_eq!(bench.run("HINCRBYFLOAT h n -5e-1"), "$3\r\n2.5\r\n");
    let want = [
        "HSET h f 10.5",
        "HSET h f 10.6",
        "HSET h n 3",
        "HSET h n 2.5",
    ];
    assert_eq!(bench.propagated(), want);
    bench.run("HSET h s abc");
    bench.propagated();
    let want = "-ERR hash value is not a float\r\n";
    assert_eq!(bench.run("HINCRBYFLOAT h s 1"), want);
    let want = "-ERR value is NaN or Infinity\r\n";
    assert_eq!(bench.run("HINCRBYFLOAT new f inf"), want);
    assert_eq!(bench.run("HINCRBYFLOAT new f nan"), NOT_FLOAT);
    assert!(!bench.holds("new"));
    assert!(bench.propagated().is_empty());
}

#[test]
fn a_hash_becomes_a_table_above_its_limits_and_stays_one() {
    let mut bench = Bench::new();
    for n in 0..128 {
        bench.run(&format!("HSET h f{n} v"));
    }
    bench.run("HSET h f1 w");
    assert_eq!(bench.encoding("h"), "listpack");
    bench.run("HSETNX h f128 v");
    assert_eq!(bench.encoding("h"), "hashtable");
    bench.run("HDEL h f1 f2");
    assert_eq!(bench.encoding("h"), "hashtable");
    let (fits, long) = ("x".repeat(64), "x".repeat(65));
    for (line, want) in [
        (format!("HSET k f {fits} {fits} v"), "listpack"),
        (format!("HSET k f {long}"), "hashtable"),
        (format!("HSETNX l {long} v"), "hashtable"),
        (format!("HINCRBY m {long} 1"), "hashtable"),
        (format!("HINCRBYFLOAT n {long} 1"), "hashtable"),
    ] {
        bench.run(&line);
        let key = line.split(' ').nth(1).unwrap();
        assert_eq!(bench.encoding(key), want, "{line}");
    }
    // What counts is the request, although it names one field only.
    bench.run(&format!("HSET o {}", "f v ".repeat(129)));
    assert_eq!(bench.encoding("o"), "hashtable");
    assert_eq!(bench.run("HLEN o"), ":1\r\n");
}

#[test]
fn fields_come_and_go_without_the_expiry_but_with_the_expired_key() {
    let mut bench = Bench::new();
    bench.run("HSET h f 1");
    let at = START_MS + 10;
    bench.keyspace.db_mut(0).set_expiry(b"h", Some(at));
    bench.run("HSET h g 1");
    bench.run("HDEL h f");
    bench.run("HINCRBY h g 1");
    assert_eq!(bench.expire_at("h"), Some(at));
    bench.propagated();
    bench.now_ms = at + 1;
    assert_eq!(bench.run("HINCRBY h g 1"), ":1\r\n");
    assert_eq!(bench.expire_at("h"), None);
    let want = ["MULTI", "DEL h", "HINCRBY h g 1", "EXEC"];
    assert_eq!(bench.propagated(), want);
}

#[test]
fn random_fields_are_as_many_and_as_distinct_as_asked() {
    for mut bench in [with_big(), {
        let mut small = Bench::new();
        small.run("HSET big f0 0 f1 1 f2 2 f3 3 f4 4 f5 5");
        small
    }] {
        for (count, want) in [(5, 5), (-30, 30), (0, 0)] {
            let reply = bench.run(&format!("HRANDFIELD big {count} WITHVALUES"));
            let items = bulks(&reply);
            assert_eq!(items.len(), want * 2, "{count}");
            assert!(reply.starts_with(&format!("*{}\r\n", want * 2)));
            for pair in items.chunks(2) {
                assert_eq!(pair[0], format!("f{}", pair[1]));
            }
            if count > 0 {
                let fields: std::collections::BTreeSet<_> = items.iter().step_by(2).collect();
                assert_eq!(fields.len(), want);
            }
        }
        let len = bulks(&bench.run("HKEYS big")).len();
        assert_eq!(bulks(&bench.run("HRANDFIELD big 9999")).len(), len);
        let one = bench.run("HRANDFIELD big");
        assert!(one.starts_with("$2\r\nf") || one.starts_with("$3\r\nf") || one.starts_with("$4"));
    }
}

#[test]
fn random_pairs_are_nested_in_resp3() {
    let mut bench = Bench::resp3();
    bench.run("HSET h f 1");
    let pair = "*2\r\n$1\r\nf\r\n$1\r\n1\r\n";
    let reply = bench.run("HRANDFIELD h 2 withvalues");
    assert_eq!(reply, format!("*1\r\n{pair}"));
    let reply = bench.run("HRANDFIELD h -2 withvalues");
    assert_eq!(reply, format!("*2\r\n{pair}{pair}"));
    assert_eq!(bench.run("HGETALL h"), "%1\r\n$1\r\nf\r\n$1\r\n1\r\n");
}

#[test]
fn counts_of_random_fields_are_checked() {
    let mut bench = Bench::new();
    bench.run("HSET h f 1");
    let range = "-ERR value is out of range, value must between \
                 -9223372036854775807 and 9223372036854775807\r\n";
    let out = "-ERR value is out of range\r\n";
    for (line, want) in [
        ("HRANDFIELD h -9223372036854775808", range),
        ("HRANDFIELD h 4611686018427387904 WITHVALUES", out),
        ("HRANDFIELD h -4611686018427387904 WITHVALUES", out),
        ("HRANDFIELD h -4611686018427387903", out),
        ("HRANDFIELD h x WITHVALUES", NOT_INTEGER),
        ("HRANDFIELD h 1 foo", SYNTAX),
        ("HRANDFIELD h 1 WITHVALUES foo", SYNTAX),
        ("HRANDFIELD h 9223372036854775807", "*1\r\n$1\r\nf\r\n"),
        ("HRANDFIELD h 0", "*0\r\n"),
    ] {
        assert_eq!(bench.run(line), want, "{line}");
    }
}

#[test]
fn a_small_hash_is_scanned_at_once() {
    let mut bench = Bench::new();
    bench.run("HSET h f 1 g 2");
    for (line, want) in [
        ("HSCAN h 0", &["f", "1", "g", "2"][..]),
        ("HSCAN h 5 COUNT 1", &["f", "1", "g", "2"]),
        ("hscan h 0 match f* novalues", &["f"]),
        ("HSCAN h 0 MATCH x MATCH * NOVALUES", &["f", "g"]),
    ] {
        let want = format!("*2\r\n$1\r\n0\r\n{}", array(want));
        assert_eq!(bench.run(line), want, "{line}");
    }
    for (line, want) in [
        ("HSCAN h x", "-ERR invalid cursor\r\n"),
        ("HSCAN h 0 COUNT 0", SYNTAX),
        ("HSCAN h 0 COUNT -1", SYNTAX),
        ("HSCAN h 0 COUNT x", NOT_INTEGER),
        ("HSCAN h 0 COUNT", SYNTAX),
        ("HSCAN h 0 MATCH", SYNTAX),
        ("HSCAN h 0 TYPE string", SYNTAX),
    ] {
        assert_eq!(bench.run(line), want, "{line}");
    }
}

#[test]
fn a_large_hash_is_scanned_in_steps_that_miss_nothing() {
    let mut bench = with_big();
    for (options, want) in [
        ("", 1000),
        (" COUNT 100 NOVALUES", 1000),
        (" MATCH f*7", 100),
    ] {
        let mut cursor = "0".to_owned();
        let mut seen = std::collections::BTreeSet::new();
        let mut steps = 0;
        loop {
            let reply = bench.run(&format!("HSCAN big {cursor}{options}"));
            let items = bulks(&reply);
            cursor = items[0].to_owned();
            let fields = items[1..].iter().filter(|item| item.starts_with('f'));
            seen.extend(fields.map(ToString::to_string));
            steps += 1;
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen.len(), want, "{options}");
        assert!(steps > 2, "{options}");
    }
}
