//! SORT over several shards: what BY and GET lead to lies anywhere.

use super::testing::{Conn, World, request};
use crate::command::Rng;

/// A world whose list `l` holds 0 to 29, with weights and hashes on all shards, and a connection to
/// its last shard.
fn world(shards: usize) -> (World, Conn) {
    let mut world = World::new(shards);
    let conn = world.connect(shards - 1);
    for n in 0..30 {
        assert_eq!(
            world.text(conn, &format!("RPUSH l {n}")),
            format!(":{}", n + 1)
        );
        world.text(conn, &format!("SET w_{n} {}", 100 - n));
        world.text(conn, &format!("HSET h_{n} f v{n}"));
    }
    world.published();
    (world, conn)
}

#[test]
fn keys_of_any_shard_are_followed() {
    for shards in [1, 2, 3] {
        let (mut world, conn) = world(shards);
        let sort = "SORT l BY w_* LIMIT 0 3 GET # GET h_*->f GET w_* GET none_*";
        let want = "*12 $2 29 $3 v29 $2 71 $-1 $2 28 $3 v28 $2 72 $-1 $2 27 $3 v27 $2 73 $-1";
        assert_eq!(world.text(conn, sort), want);
        assert_eq!(world.text(conn, &sort.replace("SORT", "SORT_RO")), want);
        assert!(world.published().is_empty());
        // All that was lent is back.
        assert_eq!(world.text(conn, "DBSIZE"), ":61");
        assert_eq!(world.text(conn, "HGET h_7 f"), "$2 v7");
        assert!(world.shards.iter().all(|shard| shard.locks.is_empty()));
    }
}

#[test]
fn a_stored_result_is_one_effect_and_may_go_over_its_source() {
    for shards in [1, 3] {
        let (mut world, conn) = world(shards);
        let home = shards as u32 - 1;
        for target in ["d", "l", "w_3"] {
            let sort = format!("SORT l BY w_* GET h_*->f LIMIT 28 2 STORE {target}");
            assert_eq!(world.text(conn, &sort), ":2");
            assert_eq!(world.published(), [(home, sort)]);
            let stored = world.text(conn, &format!("LRANGE {target} 0 -1"));
            assert_eq!(stored, "*2 $2 v1 $2 v0", "{target}");
            world.text(conn, "DEL l");
            for n in 0..30 {
                world.text(conn, &format!("RPUSH l {n}"));
            }
            world.published();
        }
        assert!(world.shards.iter().all(|shard| shard.locks.is_empty()));
    }
}

#[test]
fn patterns_may_lead_back_to_named_keys_and_to_the_same_key_twice() {
    let (mut world, conn) = world(3);
    world.text(conn, "DEL l");
    world.text(conn, "RPUSH l _1 _2 _1");
    assert_eq!(
        world.text(conn, "SORT l BY w* GET w* GET h*->f GET h*->f"),
        { "*9 $2 98 $2 v2 $2 v2 $2 99 $2 v1 $2 v1 $2 99 $2 v1 $2 v1" }
    );
    world.text(conn, "RPUSH m l m");
    assert_eq!(world.text(conn, "SORT m ALPHA GET * GET # STORE w_1"), ":4");
    assert_eq!(world.text(conn, "LRANGE w_1 0 -1"), "*4 $0  $1 l $0  $1 m");
}

#[test]
fn it_sees_the_writes_before_it_in_exec_and_in_a_pipeline() {
    for shards in [1, 3] {
        let (mut world, conn) = world(shards);
        let lines = "MULTI\nSET w_0 0\nSET w_5 1\nSORT l BY w_* LIMIT 0 2 GET w_*\nDEL w_0\n\
                     SORT l BY w_* LIMIT 0 2\nEXEC";
        let text = world.pipeline(conn, lines);
        let want = "*5 +OK +OK *2 $1 0 $1 1 :1 *2 $1 0 $1 5";
        assert!(text.ends_with(want), "{text}");
        let text = world.pipeline(
            conn,
            "SET w_7 -5\nSET w_8 -4\nSORT l BY w_* LIMIT 0 2\nSET w_7 900\nGET w_7",
        );
        assert_eq!(text, "+OK +OK *2 $1 7 $1 8 +OK $3 900");
    }
}

#[test]
fn an_expired_key_is_deleted_on_the_way() {
    for shards in [1, 3] {
        let (mut world, conn) = world(shards);
        let home = shards as u32 - 1;
        world.text(conn, "PEXPIRE w_29 5");
        world.published();
        world.advance(10);
        let text = world.text(conn, "SORT l BY w_* LIMIT 0 2 GET # GET w_*");
        assert_eq!(text, "*4 $2 29 $-1 $2 28 $2 72");
        assert_eq!(world.published(), [(home, "DEL w_29".to_owned())]);
        assert_eq!(world.text(conn, "EXISTS w_29"), ":0");
    }
}

/// Of the weights of two elements, on two shards, the sum is 100 at every moment between commands.
#[test]
fn all_that_is_followed_is_of_one_moment_under_any_schedule() {
    for shards in [1, 2, 5] {
        for seed in 0..8 {
            one_moment(shards, seed);
        }
    }
}

fn one_moment(shards: usize, seed: u64) {
    const STEPS: usize = 3_000;
    let mut world = World::new(shards);
    let mut rng = Rng::new(seed);
    let mut below = |n: usize| (rng.next_u64() % n as u64) as usize;
    let first = world.connect(0);
    let name = |shard: usize| {
        (0..)
            .map(|n| format!("w_{n}"))
            .find(|key| world.shared.owner(key.as_bytes()) == shard)
            .expect("every shard owns some")
    };
    let (a, b) = (name(0), name(shards - 1).clone());
    let b = if a == b { "w_other".to_owned() } else { b };
    world.text(first, &format!("RPUSH l {} {}", &a[2..], &b[2..]));
    world.text(first, &format!("MSET {a} 30 {b} 70"));
    let conns: Vec<Conn> = (0..4 * shards).map(|n| world.connect(n % shards)).collect();
    let mut busy = vec![false; conns.len()];
    let mut sorted = 0;
    for _ in 0..STEPS {
        world.tick(below(shards));
        let at = below(conns.len());
        if busy[at] {
            let reply = String::from_utf8(world.take(conns[at])).unwrap();
            busy[at] = reply.is_empty();
            sorted += usize::from(check_sum(&reply));
            continue;
        }
        let x = below(100);
        let both = format!("MSET {a} {x} {b} {}", 100 - x);
        let text = match below(6) {
            0 => "SORT l BY nosort GET w_*".to_owned(),
            1 => "SORT_RO l BY w_* GET w_*".to_owned(),
            2 => "SORT l ALPHA GET w_* STORE d".to_owned(),
            3 => "LRANGE d 0 -1".to_owned(),
            4 => both,
            _ => format!("COPY {a} {b} DB 1 REPLACE"),
        };
        world.send(conns[at], &request(&text));
        busy[at] = true;
    }
    world.run();
    for conn in conns {
        let reply = String::from_utf8(world.take(conn)).unwrap();
        check_sum(&reply);
    }
    assert!(sorted > 20, "{sorted} sorted");
    assert!(world.shards.iter().all(|shard| shard.locks.is_empty()));
    assert_eq!(world.text(first, &format!("EXISTS {a} {b} l")), ":3");
}

/// Of a reply of two strings: they are numbers whose sum is 100. Whether it is one.
fn check_sum(reply: &str) -> bool {
    let mut lines = reply.split("\r\n");
    if lines.next() != Some("*2") {
        return false;
    }
    let numbers = lines.filter_map(|line| line.parse::<i64>().ok());
    assert_eq!(numbers.sum::<i64>(), 100, "{reply}");
    true
}
