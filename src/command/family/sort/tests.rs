use crate::command::table;
use crate::command::testing::Bench;
use crate::protocol::OwnedArgs;

const SYNTAX: &str = "-ERR syntax error\r\n";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NOT_NUMBERS: &str = "-ERR One or more scores can't be converted into double\r\n";

/// The strings of a reply, `-` for null.
fn strings(reply: &str) -> String {
    let lines: Vec<&str> = reply.split("\r\n").collect();
    let found: Vec<&str> = (0..lines.len())
        .filter(|at| lines[*at].starts_with('$'))
        .map(|at| {
            if lines[at] == "$-1" {
                "-"
            } else {
                lines[at + 1]
            }
        })
        .collect();
    found.join(" ")
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    for line in [
        "RPUSH l 3 1 2 10",
        "SADD s 3 1 2 10 4",
        "ZADD z 1 b 2 a 3 c 0 d",
        "MSET w1 5 w2 3 w3 8 w10 1 w4 x",
        "HSET h1 f A g 9",
        "HSET h2 f B g 8",
    ] {
        bench.run(line);
    }
    bench.propagated();
    bench
}

fn assert_all(cases: &[(&str, &str)]) {
    let mut bench = bench();
    for (line, want) in cases {
        assert_eq!(strings(&bench.run(line)), *want, "{line}");
    }
    assert!(bench.propagated().is_empty());
}

#[test]
fn elements_are_sorted_as_numbers_or_text_and_limited() {
    assert_all(&[
        ("SORT l", "1 2 3 10"),
        ("SORT l DESC", "10 3 2 1"),
        ("SORT l DESC ASC", "1 2 3 10"),
        ("SORT l ALPHA", "1 10 2 3"),
        ("SORT l ALPHA LIMIT 1 2 DESC", "2 10"),
        ("SORT l LIMIT 1 2", "2 3"),
        ("SORT l LIMIT -5 2", "1 2"),
        ("SORT l LIMIT 1 -1", "2 3 10"),
        ("SORT l LIMIT 10 2", ""),
        ("SORT l LIMIT 0 0", ""),
        ("SORT l LIMIT 9223372036854775807 9223372036854775807", ""),
        ("SORT l LIMIT 1 9223372036854775807", "2 3 10"),
        ("SORT s", "1 2 3 4 10"),
        ("SORT z ALPHA", "a b c d"),
        ("SORT none", ""),
        ("SORT_RO l", "1 2 3 10"),
    ]);
}

#[test]
fn without_an_order_elements_come_as_they_are() {
    assert_all(&[
        ("SORT l BY nosort", "3 1 2 10"),
        ("SORT l BY nosort DESC", "10 2 1 3"),
        ("SORT l BY nosort LIMIT 1 2", "1 2"),
        ("SORT l BY nosort DESC LIMIT 1 2", "2 1"),
        ("SORT l BY nosort LIMIT 9 2", ""),
        ("SORT l BY nosort DESC LIMIT 9 2", ""),
        ("SORT l BY nosort BY w*", "3 1 2 10"),
        ("SORT l BY #", "3 1 2 10"),
        ("SORT z BY nosort", "d b a c"),
        ("SORT z BY nosort DESC", "c a b d"),
        ("SORT z BY nosort LIMIT 1 2", "b a"),
        ("SORT z BY nosort DESC LIMIT 1 2", "a b"),
    ]);
}

#[test]
fn patterns_lead_to_strings_and_fields() {
    assert_all(&[
        ("SORT l BY w*", "10 2 1 3"),
        ("SORT l BY w* DESC LIMIT 0 1", "3"),
        ("SORT l BY w* ALPHA", "10 2 1 3"),
        ("SORT l BY miss*", "1 10 2 3"),
        ("SORT l BY miss* DESC", "3 2 10 1"),
        ("SORT l BY miss* ALPHA", "3 1 2 10"),
        ("SORT l GET w* GET # GET fixed", "5 1 - 3 2 - 8 3 - 1 10 -"),
        (
            "SORT l BY h*->g GET h*->f GET h*-> GET h*->no",
            "- - - - - - B - - A - -",
        ),
        ("SORT l BY nosort GET h*", "- - - -"),
        ("SORT l BY nosort LIMIT 1 1 GET w*->f GET w*", "- 5"),
        ("SORT_RO l GET w* LIMIT 3 1", "1"),
        ("SORT s BY w* ALPHA LIMIT 4 1", "4"),
    ]);
}

#[test]
fn what_is_no_number_is_an_error_unless_text_is_sorted() {
    let mut bench = Bench::new();
    for (element, fits) in [
        ("2", true),
        ("", true),
        (" 2", true),
        ("0x10", true),
        ("0x1p3", true),
        ("-inf", true),
        ("INF", true),
        ("infinity", true),
        ("1e3", true),
        (".5", true),
        ("5.", true),
        ("+5", true),
        ("2\\x00rest", true),
        ("2 ", false),
        (" ", false),
        ("2x", false),
        ("0x", false),
        ("1e", false),
        (".", false),
        ("1_0", false),
        ("nan", false),
        ("1e400", false),
        ("1e-400", false),
        ("1e-310", false),
    ] {
        bench.run("DEL l");
        bench.run(&format!("RPUSH l 1 \"{element}\""));
        assert_eq!(bench.run("SORT l") != NOT_NUMBERS, fits, "{element:?}");
        assert!(bench.run("SORT l ALPHA").starts_with("*2"), "{element:?}");
    }
    bench.run("DEL l");
    bench.run("RPUSH l 1 1.0 01 +1");
    assert_eq!(strings(&bench.run("SORT l")), "+1 01 1 1.0");
    assert_eq!(strings(&bench.run("SORT l DESC LIMIT 0 2")), "1.0 1");
}

#[test]
fn wrong_options_and_types_are_refused() {
    let mut bench = bench();
    for line in [
        "SORT l FOO",
        "SORT l BY",
        "SORT l GET",
        "SORT l STORE",
        "SORT l LIMIT 1",
        "SORT_RO l STORE d",
        "SORT none FOO",
        "SORT h1 FOO",
    ] {
        assert_eq!(bench.run(line), SYNTAX, "{line}");
    }
    for line in ["SORT l LIMIT a 1", "SORT l LIMIT 1 a FOO"] {
        assert_eq!(bench.run(line), NOT_INTEGER, "{line}");
    }
    for line in ["SORT h1", "SORT w1", "SORT_RO h1"] {
        assert!(bench.run(line).starts_with("-WRONGTYPE"), "{line}");
    }
    assert!(bench.propagated().is_empty());
}

#[test]
fn a_result_is_stored_as_a_list() {
    let mut bench = bench();
    bench.run("SET d v EX 100");
    bench.propagated();
    assert_eq!(bench.run("SORT l STORE d"), ":4\r\n");
    assert_eq!(bench.ran.dirty, 4);
    assert_eq!(strings(&bench.run("LRANGE d 0 -1")), "1 2 3 10");
    assert_eq!(bench.expire_at("d"), None);
    assert_eq!(bench.run("SORT l GET w* GET miss* STORE d"), ":8\r\n");
    assert_eq!(strings(&bench.run("LRANGE d 0 -1")), "5  3  8  1 ");
    assert_eq!(bench.run("SORT s BY nosort STORE other STORE d"), ":5\r\n");
    assert_eq!(strings(&bench.run("LRANGE d 0 -1")), "1 10 2 3 4");
    assert!(!bench.holds("other"));
    assert_eq!(bench.run("SORT none STORE d"), ":0\r\n");
    assert!(!bench.holds("d"));
    let sent = [
        "SORT l STORE d",
        "SORT l GET w* GET miss* STORE d",
        "SORT s BY nosort STORE other STORE d",
        "SORT none STORE d",
    ];
    assert_eq!(bench.propagated(), sent);
    assert_eq!(bench.run("SORT none STORE d"), ":0\r\n");
    assert_eq!(bench.run("SORT l BY w* STORE l"), ":4\r\n");
    assert_eq!(strings(&bench.run("LRANGE l 0 -1")), "10 2 1 3");
}

#[test]
fn a_sorted_set_stays_in_the_large_form() {
    let mut bench = bench();
    for line in ["SORT z FOO", "SORT l", "ZCARD z"] {
        bench.run(line);
        assert_eq!(
            bench.run("OBJECT ENCODING z"),
            "$8\r\nlistpack\r\n",
            "{line}"
        );
    }
    assert_eq!(bench.run("SORT_RO z LIMIT 0 0"), NOT_NUMBERS);
    assert_eq!(bench.run("OBJECT ENCODING z"), "$8\r\nskiplist\r\n");
    assert_eq!(
        strings(&bench.run("ZRANGE z 0 -1 WITHSCORES")),
        "d 0 b 1 a 2 c 3"
    );
}

#[test]
fn what_nothing_decides_is_propagated_as_what_was_stored() {
    let mut bench = bench();
    for (line, sent) in [
        (
            "SORT l BY miss* ALPHA GET w* STORE d",
            "MULTI; DEL d; RPUSH d 8 5 3 1; EXEC",
        ),
        (
            "SORT s BY miss* ALPHA DESC LIMIT 0 2 STORE d",
            "MULTI; DEL d; RPUSH d 4 3; EXEC",
        ),
        ("SORT l BY miss* STORE d", "SORT l BY miss* STORE d"),
        ("SORT l BY w* ALPHA STORE d", "SORT l BY w* ALPHA STORE d"),
        ("SORT l ALPHA STORE d", "SORT l ALPHA STORE d"),
    ] {
        bench.run(line);
        assert_eq!(bench.propagated().join("; "), sent, "{line}");
    }
    bench.run("RPUSH twice 1 2 1 2");
    bench.propagated();
    let line = "SORT twice BY w* ALPHA STORE d";
    bench.run(line);
    assert_eq!(bench.propagated(), [line]);
}

#[test]
fn a_limited_sort_agrees_with_a_whole_one() {
    let mut bench = Bench::new();
    let mut random = crate::command::Rng::new(5);
    for _ in 0..300 {
        bench.run(&format!("RPUSH l {}", random.next_u64() % 100));
    }
    for options in ["", "DESC", "ALPHA", "ALPHA DESC"] {
        let whole = strings(&bench.run(&format!("SORT l {options}")));
        let whole: Vec<&str> = whole.split(' ').collect();
        for (start, count) in [(0, 1), (0, 10), (7, 50), (290, 10), (295, 10), (0, 300)] {
            let part = strings(&bench.run(&format!("SORT l {options} LIMIT {start} {count}")));
            let want = &whole[start..(start + count).min(300)];
            assert_eq!(part, want.join(" "), "{options} {start} {count}");
        }
    }
}

/// The keys that the table finds, and whether there are more.
fn keys(line: &str) -> (Vec<usize>, bool) {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let owned = OwnedArgs::new(&words);
    let command = table::find(words[0]).unwrap();
    let mut found = Vec::new();
    command.for_each_key(owned.as_args(), |at| found.push(at));
    (found, command.follows(owned.as_args()))
}

#[test]
fn its_keys_are_the_first_argument_the_last_store_and_what_patterns_lead_to() {
    assert_eq!(keys("SORT l"), (vec![1], false));
    assert_eq!(keys("SORT l STORE a STORE b DESC"), (vec![1, 5], false));
    let line = "SORT l BY store GET store LIMIT store store STORE x";
    assert_eq!(keys(line).0, [1, 10]);
    assert_eq!(keys("SORT l STORE"), (vec![1], false));
    assert_eq!(keys("SORT l BY nosort GET # GET fixed"), (vec![1], false));
    assert_eq!(keys("SORT l BY w*"), (vec![1], true));
    assert_eq!(keys("SORT_RO l GET w*->f"), (vec![1], true));
    assert_eq!(keys("SORT_RO l STORE a"), (vec![1], false));
}
