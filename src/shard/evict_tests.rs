//! Eviction on shards whose memory is what their keys take: the fake process has no allocator to
//! ask.

use std::sync::atomic::Ordering;

use super::testing::{Conn, World, request};

const POLICIES: [&str; 7] = [
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
];
const LIMIT: u64 = 200_000;
const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";

fn world(shards: usize, policy: &str) -> World {
    let limit = LIMIT.to_string();
    let directives = [("maxmemory", limit.as_str()), ("maxmemory-policy", policy)];
    World::with_config(shards, &directives)
}

fn used(world: &World) -> u64 {
    let shards = world.shards.iter();
    shards.map(|shard| shard.keyspace.memory() as u64).sum()
}

fn evicted(world: &World) -> u64 {
    let shards = world.shards.iter();
    shards.map(|shard| shard.data.stats.evicted_keys).sum()
}

fn keys(world: &World) -> usize {
    world
        .shards
        .iter()
        .map(|shard| shard.keyspace.total_len())
        .sum()
}

/// Writes keys of about 500 bytes each, the fourth part of them into another database.
fn fill(world: &mut World, conn: Conn, numbers: std::ops::Range<usize>) {
    let value = "v".repeat(400);
    for number in numbers {
        let db = if number % 4 == 0 { 3 } else { 0 };
        let lines = format!("SELECT {db}\nSET key:{number} {value} EX {}", 1000 + number);
        assert_eq!(world.pipeline(conn, &lines), "+OK +OK", "{number}");
    }
    world.text(conn, "SELECT 0");
}

#[test]
fn every_policy_keeps_memory_below_the_limit_and_tells_replicas_what_went() {
    for policy in POLICIES {
        for shards in [1, 3] {
            let mut world = world(shards, policy);
            let conn = world.connect(0);
            fill(&mut world, conn, 0..1000);
            world.run();
            assert!(used(&world) <= LIMIT, "{policy}: {}", used(&world));
            let gone = evicted(&world);
            assert!(gone > 300, "{policy}: {gone}");
            assert_eq!(keys(&world) as u64 + gone, 1000, "{policy}");
            let sent: String = (world.published().into_iter())
                .map(|(_, text)| text + "; ")
                .collect();
            assert_eq!(sent.matches("DEL key:").count() as u64, gone, "{policy}");
            // Each key is deleted after it was set.
            assert!(
                sent.starts_with("SET ") || sent.starts_with("SELECT "),
                "{policy}"
            );
        }
    }
}

#[test]
fn the_least_recently_used_keys_go_first() {
    let mut world = world(1, "allkeys-lru");
    let conn = world.connect(0);
    fill(&mut world, conn, 0..300);
    for round in 0..40 {
        world.advance(2000);
        // The first twenty are used again and again.
        for number in 0..20 {
            let db = if number % 4 == 0 { 3 } else { 0 };
            world.pipeline(conn, &format!("SELECT {db}\nGET key:{number}"));
        }
        fill(&mut world, conn, 300 + round * 20..320 + round * 20);
    }
    assert!(evicted(&world) > 500);
    for number in 0..20 {
        let db = if number % 4 == 0 { 3 } else { 0 };
        let found = world.pipeline(conn, &format!("SELECT {db}\nEXISTS key:{number}"));
        assert_eq!(found, "+OK :1", "{number}");
    }
}

#[test]
fn the_least_frequently_used_keys_go_first() {
    let mut world = world(1, "allkeys-lfu");
    let conn = world.connect(0);
    fill(&mut world, conn, 0..200);
    for _ in 0..30 {
        for number in 1..4 {
            world.text(conn, &format!("GET key:{number}"));
        }
    }
    fill(&mut world, conn, 200..1200);
    for number in 1..4 {
        assert_eq!(world.text(conn, &format!("EXISTS key:{number}")), ":1");
    }
    let count = world.text(conn, "OBJECT FREQ key:1");
    let count: u32 = count.trim_start_matches(':').parse().unwrap();
    assert!(count > 5, "{count}");
}

#[test]
fn keys_that_expire_last_stay_with_volatile_ttl() {
    let mut world = world(1, "volatile-ttl");
    let conn = world.connect(0);
    world.text(conn, "SET late v EX 1000000");
    world.text(conn, "SET never v");
    fill(&mut world, conn, 0..1000);
    assert_eq!(world.text(conn, "EXISTS late never"), ":2");
}

#[test]
fn commands_that_need_memory_are_refused_when_nothing_may_go() {
    for shards in [1, 3] {
        for policy in ["noeviction", "volatile-lru", "volatile-random"] {
            let mut world = world(shards, policy);
            let conn = world.connect(0);
            let value = "v".repeat(400);
            let mut number = 0;
            let refused = loop {
                let text = world.text(conn, &format!("SET key:{number} {value}"));
                if text != "+OK" {
                    break text;
                }
                number += 1;
                assert!(
                    number < 4000,
                    "{policy} on {shards} shards lets everything in"
                );
            };
            assert_eq!(refused, OOM);
            assert!(used(&world) > LIMIT);
            // What takes no memory goes on.
            assert_eq!(world.text(conn, "EXISTS key:1"), ":1");
            assert_eq!(world.text(conn, "HSET h f v"), OOM);
            assert_eq!(world.text(conn, "MSET key:1 a key:2 b key:3 c"), OOM);
            assert_eq!(world.text(conn, "MULTI"), "+OK");
            assert_eq!(world.text(conn, "GET key:1").len(), 7);
            assert_eq!(world.text(conn, "SET a b"), OOM);
            let aborted = "-EXECABORT Transaction discarded because of previous errors.";
            assert_eq!(world.text(conn, "EXEC"), aborted);
            assert_eq!(evicted(&world), 0);
            let mut deleted = 0;
            while used(&world) > LIMIT * 9 / 10 {
                world.text(conn, &format!("DEL key:{deleted}"));
                deleted += 1;
            }
            world.run();
            assert_eq!(world.text(conn, "SET a b"), "+OK");
        }
    }
}

#[test]
fn a_transaction_that_was_queued_before_memory_ran_out_is_aborted() {
    let mut world = world(2, "noeviction");
    let conn = world.connect(0);
    assert_eq!(
        world.pipeline(conn, "MULTI\nSET a b\nGET a"),
        "+OK +QUEUED +QUEUED"
    );
    let other = world.connect(1);
    assert_eq!(world.text(other, "CONFIG SET maxmemory 1"), "+OK");
    world.shards[0]
        .keyspace
        .db_mut(0)
        .set_string(b"x", b"y", crate::keyspace::SetExpiry::Clear);
    let reason = OOM.strip_prefix('-').unwrap();
    let want = format!("-EXECABORT Transaction discarded because of: {reason}");
    assert_eq!(world.text(conn, "EXEC"), want);
    // Without such a command it runs.
    assert_eq!(
        world.pipeline(conn, "MULTI\nGET a\nDEL a\nEXEC"),
        "+OK +QUEUED +QUEUED *2 $-1 :0"
    );
}

#[test]
fn a_shard_without_anything_to_evict_makes_others_do_it() {
    let mut world = world(2, "volatile-random");
    let conn = world.connect(0);
    let value = "v".repeat(400);
    // All that may go is on shard 1; all that comes is on shard 0.
    for n in 0..350 {
        let key = world.key(1, n);
        assert_eq!(
            world.text(conn, &format!("SET {key} {value} EX 1000")),
            "+OK"
        );
    }
    for n in 0..300 {
        let key = world.key(0, n);
        assert_eq!(
            world.text(conn, &format!("SET {key} {value}")),
            "+OK",
            "{n}"
        );
        world.run();
    }
    assert!(used(&world) <= LIMIT + 1000, "{}", used(&world));
    assert!(world.shards[1].data.stats.evicted_keys > 100);
    assert_eq!(world.shards[0].data.stats.evicted_keys, 0);
}

#[test]
fn locked_keys_stay_and_nothing_goes_during_a_pause_or_on_a_replica() {
    let mut world = world(2, "allkeys-random");
    let conn = world.connect(0);
    fill(&mut world, conn, 0..100);
    let (a, b) = (world.key(0, 500), world.key(1, 500));
    world.text(conn, &format!("MSET {a} 1 {b} 1"));
    // A transaction holds both locks while everything else must go.
    let third = world.connect(1);
    world.send(third, &request(&format!("MSET {a} 2 {b} 2")));
    world.tick(1);
    world.tick(0);
    let set = |config: &mut crate::config::Config| {
        config.maxmemory = 1;
        Ok::<(), ()>(())
    };
    world.shared.config.update(set).unwrap();
    world.tick(0);
    world.tick(0);
    assert!(world.shards[0].keyspace.total_len() <= 1);
    world.run();
    assert_eq!(world.take(third), b"+OK\r\n");
    assert!(world.shards.iter().all(|shard| shard.is_at_rest()));

    for state in ["paused", "replica"] {
        let mut world = self::world(1, "allkeys-random");
        let conn = world.connect(0);
        fill(&mut world, conn, 0..100);
        match state {
            "paused" => {
                world.text(conn, "CLIENT PAUSE 1000 WRITE");
            }
            _ => world.shared.is_replica.store(true, Ordering::Relaxed),
        }
        world.text(conn, "CONFIG SET maxmemory 1000");
        world.advance(100);
        assert_eq!(keys(&world), 100, "{state}");
        match state {
            "paused" => world.advance(1000),
            _ => {
                world.text(conn, "CONFIG SET replica-ignore-maxmemory no");
                world.advance(100);
            }
        }
        assert!(keys(&world) < 5, "{state}: {}", keys(&world));
    }
}

#[test]
fn evictions_are_seen_by_watchers_and_counted_in_info() {
    let mut world = world(1, "allkeys-lru");
    let (conn, other) = (world.connect(0), world.connect(0));
    world.text(conn, "SET a v");
    world.text(conn, "WATCH a");
    world.advance(5000);
    fill(&mut world, other, 0..1000);
    assert_eq!(world.text(other, "EXISTS a"), ":0");
    assert_eq!(world.pipeline(conn, "MULTI\nPING\nEXEC"), "+OK +QUEUED *-1");
    let text = world.text(conn, "INFO stats");
    let line = format!("evicted_keys:{}", evicted(&world));
    assert!(text.contains(&line), "{text}");
    world.text(other, "CONFIG SET lazyfree-lazy-eviction yes");
    world.published();
    fill(&mut world, other, 1000..1010);
    let sent: String = world
        .published()
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert!(
        sent.contains("UNLINK key:") && !sent.contains("DEL"),
        "{sent}"
    );
}

#[test]
fn the_largest_clients_go_when_all_take_too_much() {
    for shards in [1, 2] {
        let mut world = World::with_config(shards, &[("maxmemory-clients", "480kb")]);
        let conns: Vec<Conn> = (0..6).map(|n| world.connect(n % shards)).collect();
        // The largest of all is exempt.
        world.text(conns[1], "CLIENT NO-EVICT on");
        for (conn, kib) in [(conns[1], 200), (conns[2], 20), (conns[3], 300)] {
            let half = format!("*2\r\n$3\r\nGET\r\n${}\r\n", kib << 10);
            world.send(conn, half.as_bytes());
            world.send(conn, &vec![b'x'; (kib << 10) - 1]);
        }
        world.run();
        world.advance(200);
        world.advance(200);
        assert_eq!(world.closed, [conns[3]], "{shards} shards");
        let text = world.text(conns[0], "INFO stats");
        assert!(text.contains("evicted_clients:1"), "{text}");
        // A fifth of the limit is less than the exempt client takes alone.
        let set = |config: &mut crate::config::Config| {
            (config.maxmemory, config.maxmemory_clients) = (1 << 20, -19);
            Ok::<(), ()>(())
        };
        world.shared.config.update(set).unwrap();
        world.advance(200);
        world.advance(200);
        assert!(world.closed.contains(&conns[2]), "{:?}", world.closed);
        assert!(!world.closed.contains(&conns[1]));
    }
}
