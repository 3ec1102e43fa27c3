//! Key commands over several shards, as clients and replicas see them.

use std::collections::BTreeSet;

use super::testing::{Conn, World};

/// A world of three shards with a connection to shard 0.
fn world() -> (World, Conn) {
    let mut world = World::new(3);
    let conn = world.connect(0);
    (world, conn)
}

/// Keys that SCAN gives, whatever `call` does to send it.
fn scan(mut call: impl FnMut(&str) -> String) -> (BTreeSet<String>, usize) {
    let (mut cursor, mut keys, mut calls) = ("0".to_owned(), BTreeSet::new(), 0);
    loop {
        let reply = call(&format!("SCAN {cursor} COUNT 20"));
        calls += 1;
        // "*2 $<len> <cursor> *<n> $<len> <key> …"
        let words: Vec<&str> = reply.split(' ').collect();
        cursor = words[2].to_owned();
        keys.extend(
            words[4..]
                .iter()
                .skip(1)
                .step_by(2)
                .map(|k| (*k).to_owned()),
        );
        if cursor == "0" {
            return (keys, calls);
        }
    }
}

fn fill(world: &mut World, conn: Conn, count: usize) -> BTreeSet<String> {
    let keys: BTreeSet<String> = (0..count).map(|key| format!("key:{key}")).collect();
    for key in &keys {
        assert_eq!(world.text(conn, &format!("SET {key} x")), "+OK");
    }
    keys
}

#[test]
fn scan_walks_all_shards_about_count_keys_a_call() {
    let (mut world, conn) = world();
    let keys = fill(&mut world, conn, 300);
    let (found, calls) = scan(|line| world.text(conn, line));
    assert_eq!(found, keys);
    assert!((15..=40).contains(&calls), "{calls}");
}

#[test]
fn scan_sees_the_keys_within_exec_too() {
    let (mut world, conn) = world();
    let keys = fill(&mut world, conn, 100);
    let (other, _) = (world.key(1, 500), world.key(2, 500));
    let (found, _) = scan(|line| {
        let text = world.pipeline(conn, &format!("MULTI\nSET {other} x\n{line}\nEXEC"));
        let text = text.strip_prefix("+OK +QUEUED +QUEUED *2 +OK ").unwrap();
        text.to_owned()
    });
    assert!(found.is_superset(&keys));
    assert!(found.contains(&other));
    let bad = world.pipeline(conn, "MULTI\nSCAN x\nEXEC");
    assert_eq!(bad, "+OK +QUEUED *1 -ERR invalid cursor");
}

#[test]
fn scan_sees_the_writes_before_it_in_a_pipeline() {
    let (mut world, conn) = world();
    let keys: Vec<String> = (0..3).map(|shard| world.key(shard, 0)).collect();
    let sets: String = keys.iter().map(|key| format!("SET {key} x\n")).collect();
    let text = world.pipeline(conn, &format!("{sets}SCAN 0\nSCAN 1\n{sets}SCAN 2"));
    for key in &keys {
        assert_eq!(text.matches(key.as_str()).count(), 1, "{text}");
    }
}

#[test]
fn renaming_to_another_shard_takes_value_and_expiry_along() {
    let (mut world, conn) = world();
    let (from, to) = (world.key(1, 0), world.key(2, 0));
    world.text(conn, &format!("SET {from} x"));
    world.text(conn, &format!("PEXPIREAT {from} 4000000000000"));
    world.published();
    assert_eq!(world.text(conn, &format!("RENAME {from} {to}")), "+OK");
    let want = (0, format!("RENAME {from} {to}"));
    assert_eq!(world.published(), [want]);
    assert_eq!(world.text(conn, &format!("EXISTS {from} {to}")), ":1");
    let at = world.text(conn, &format!("PEXPIRETIME {to}"));
    assert_eq!(at, ":4000000000000");
}

#[test]
fn copy_and_move_reach_other_databases_on_any_shard() {
    let (mut world, conn) = world();
    let (from, to) = (world.key(1, 0), world.key(2, 0));
    world.text(conn, &format!("SET {from} x"));
    assert_eq!(
        world.text(conn, &format!("COPY {from} {to} DB 1 DB 2")),
        ":1"
    );
    assert_eq!(world.text(conn, &format!("COPY {from} {from} DB 3")), ":1");
    assert_eq!(world.text(conn, &format!("MOVE {from} 4")), ":1");
    for (db, size) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1)] {
        world.text(conn, &format!("SELECT {db}"));
        assert_eq!(world.text(conn, "DBSIZE"), format!(":{size}"), "{db}");
    }
}

#[test]
fn del_over_shards_goes_out_as_one_request() {
    let (mut world, conn) = world();
    let keys: Vec<String> = (0..3).map(|shard| world.key(shard, 0)).collect();
    for key in &keys[..2] {
        world.text(conn, &format!("SET {key} x"));
    }
    world.published();
    let line = format!("DEL {}", keys.join(" "));
    assert_eq!(world.text(conn, &line), ":2");
    assert_eq!(world.published(), [(0, line)]);
}

#[test]
fn commands_on_whole_databases_merge_all_shards() {
    let (mut world, conn) = world();
    let keys = fill(&mut world, conn, 30);
    assert_eq!(world.text(conn, "DBSIZE"), ":30");
    let listed = world.text(conn, "KEYS *");
    assert!(listed.starts_with("*30 ") && keys.iter().all(|key| listed.contains(key)));
    let mut drawn = BTreeSet::new();
    for _ in 0..100 {
        let reply = world.text(conn, "RANDOMKEY");
        let key = reply.split(' ').nth(1).unwrap().to_owned();
        assert!(keys.contains(&key));
        drawn.insert(key);
    }
    assert!(drawn.len() > 15, "{drawn:?}");
    world.published();
    assert_eq!(world.text(conn, "SWAPDB 0 5"), "+OK");
    assert_eq!(world.text(conn, "DBSIZE"), ":0");
    assert_eq!(world.text(conn, "SELECT 5"), "+OK");
    assert_eq!(world.text(conn, "FLUSHDB"), "+OK");
    assert_eq!(world.text(conn, "DBSIZE"), ":0");
    assert_eq!(world.text(conn, "FLUSHALL ASYNC"), "+OK");
    let sent: Vec<String> = world
        .published()
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(sent, ["SWAPDB 0 5", "FLUSHDB", "FLUSHALL ASYNC"]);
}

#[test]
fn the_digest_does_not_depend_on_the_number_of_shards() {
    let digests = [1, 2, 5].map(|shards| {
        let mut world = World::new(shards);
        let conn = world.connect(shards - 1);
        for db in [0, 7] {
            world.text(conn, &format!("SELECT {db}"));
            fill(&mut world, conn, 20 + db);
        }
        world.text(conn, "EXPIRE key:3 100");
        world.text(conn, "DEBUG DIGEST")
    });
    assert!(digests[0].starts_with('+') && digests[0].len() == 41);
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn watching_an_expired_key_does_not_fail_when_it_is_deleted_or_flushed() {
    for command in ["DEL", "FLUSHDB"] {
        let (mut world, conn) = world();
        let other = world.connect(1);
        let key = world.key(2, 0);
        world
            .shared
            .active_expire
            .store(false, std::sync::atomic::Ordering::Relaxed);
        world.text(conn, &format!("SET {key} x"));
        world.text(conn, &format!("PEXPIRE {key} 10"));
        world.advance(11);
        assert_eq!(world.text(conn, &format!("WATCH {key}")), "+OK");
        let key = if command == "DEL" { key.as_str() } else { "" };
        world.text(other, &format!("{command} {key}"));
        assert_eq!(
            world.pipeline(conn, "MULTI\nPING\nEXEC"),
            "+OK +QUEUED *1 +PONG"
        );
    }
}
