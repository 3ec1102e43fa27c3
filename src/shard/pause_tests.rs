//! CLIENT PAUSE as a barrier, and what stands still while it holds.

use std::sync::atomic::Ordering;

use super::testing::{World, request};

#[test]
fn the_answer_to_a_pause_comes_after_the_writes_that_were_under_way() {
    let mut world = World::new(3);
    let (writer, pauser, third) = (world.connect(0), world.connect(0), world.connect(2));
    let (a, b) = (world.key(1, 0), world.key(0, 0));
    // A transaction holds the key's lock, so the write after it is parked at its owner.
    world.send(third, &request(&format!("MSET {a} 1 {b} 1")));
    world.tick(2);
    world.tick(1);
    world.send(writer, &request(&format!("SET {a} 2")));
    world.tick(0);
    world.tick(1);
    world.send(pauser, &request("CLIENT PAUSE 1000 WRITE"));
    for _ in 0..3 {
        world.tick(0);
        world.tick(1);
        assert!(world.take(pauser).is_empty() && world.take(writer).is_empty());
    }
    world.run();
    assert_eq!(world.take(writer), b"+OK\r\n");
    assert_eq!(world.take(pauser), b"+OK\r\n");
    world.published();
    // What comes now waits, in the pipeline of a client that began before, too.
    assert_eq!(
        world.pipeline(writer, &format!("GET {a}\nSET {a} 3")),
        "$1 2"
    );
    assert!(world.published().is_empty());
    world.advance(1000);
    assert_eq!(world.take(writer), b"+OK\r\n");
    assert!(world.shards.iter().all(|shard| shard.is_at_rest()));
}

#[test]
fn pausing_within_exec_waits_for_nobody() {
    let mut world = World::new(2);
    let conns = [world.connect(0), world.connect(1)];
    let key = world.key(1, 0);
    for conn in conns {
        let lines = format!("MULTI\nSET {key} v\nCLIENT PAUSE 100 WRITE\nEXEC");
        for line in lines.lines() {
            world.send(conn, &request(line));
        }
    }
    world.run();
    let first = world.take(conns[0]);
    assert!(first.ends_with(b"*2\r\n+OK\r\n+OK\r\n"), "{first:?}");
    world.advance(100);
    assert!(world.take(conns[1]).ends_with(b"*2\r\n+OK\r\n+OK\r\n"));
}

#[test]
fn expired_keys_are_hidden_but_stay_while_writes_pause() {
    for shards in [1, 2] {
        let mut world = World::new(shards);
        let conn = world.connect(0);
        let keys: Vec<String> = (0..2).map(|n| world.key(n % shards, n)).collect();
        for key in &keys {
            world.text(conn, &format!("SET {key} v PX 5"));
        }
        assert_eq!(world.text(conn, "CLIENT PAUSE 5000 WRITE"), "+OK");
        world.published();
        world.advance(500);
        let both = format!("MGET {} {}", keys[0], keys[1]);
        for command in [&both, "MULTI"] {
            world.text(conn, command);
        }
        world.text(conn, &format!("GET {}", keys[0]));
        world.text(conn, &both);
        assert_eq!(world.text(conn, "EXEC"), "*2 $-1 *2 $-1 $-1");
        assert_eq!(world.text(conn, &format!("GET {}", keys[1])), "$-1");
        assert!(world.published().is_empty());
        assert_eq!(world.text(conn, "DBSIZE"), ":2");
        world.text(conn, "CLIENT UNPAUSE");
        world.advance(500);
        assert_eq!(world.text(conn, "DBSIZE"), ":0");
        let sent: String = world
            .published()
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        assert_eq!(sent.matches("DEL").count(), 2, "{sent}");
    }
}

#[test]
fn a_shutdown_that_waits_holds_writes_back_whatever_clients_say() {
    let mut world = World::new(1);
    let (conn, other) = (world.connect(0), world.connect(0));
    world.shared.stopping.store(true, Ordering::Relaxed);
    assert_eq!(world.text(conn, "SET a 1"), "");
    assert_eq!(world.pipeline(other, "GET a\nCLIENT UNPAUSE"), "$-1 +OK");
    assert!(world.take(conn).is_empty());
    world.shared.stopping.store(false, Ordering::Relaxed);
    world.run();
    world.advance(1000);
    assert_eq!(world.take(conn), b"+OK\r\n");
}

#[test]
fn expired_keys_go_sooner_with_more_effort() {
    for (effort, passes) in [("1", false), ("10", true)] {
        let mut world = World::with_config(1, &[("active-expire-effort", effort)]);
        let conn = world.connect(0);
        world.run();
        world.text(conn, "SET a v PX 2");
        world.advance(12);
        let gone = world.shards[0].keyspace.db(0).is_empty();
        assert_eq!(gone, passes, "effort {effort}");
        world.advance(100);
        assert!(world.shards[0].keyspace.db(0).is_empty());
    }
}

#[test]
fn who_waits_for_a_key_is_timed_out_during_a_pause_and_served_after_it() {
    for shards in [1, 3] {
        for mode in ["WRITE", "ALL"] {
            let mut world = World::new(shards);
            let (first, second) = (world.connect(0), world.connect(shards - 1));
            let (pauser, writer) = (world.connect(0), world.connect(0));
            let key = world.key(shards - 1, 0);
            world.send(first, &request(&format!("BLPOP {key} 1")));
            world.run();
            world.send(second, &request(&format!("BLPOP {key} 0")));
            world.run();
            let reply = world.text(pauser, &format!("CLIENT PAUSE 5000 {mode}"));
            assert_eq!(reply, "+OK");
            world.send(writer, &request(&format!("RPUSH {key} x")));
            world.run();
            assert!(world.take(writer).is_empty() && world.take(second).is_empty());
            world.advance(2000);
            assert_eq!(world.take(first), b"*-1\r\n");
            assert!(world.take(second).is_empty());
            world.advance(4000);
            assert_eq!(world.take(writer), b":1\r\n");
            let served = String::from_utf8(world.take(second)).unwrap();
            assert!(served.ends_with("$1\r\nx\r\n"), "{served}");
        }
    }
}
