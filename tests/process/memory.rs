//! `maxmemory` in a real process: whatever is written, memory stays below the limit and the server
//! goes on serving.

use std::io::Write;

use super::{Process, directory};
use crate::support::client::Client;

const LIMIT: u64 = 50 << 20;
/// What the allocator and connections may take beyond the limit between two looks.
const SLACK: u64 = 2 << 20;
/// Twice the limit is written.
const KEYS: usize = 25_000;
const VALUE: usize = 4_000;
const BATCH: usize = 50;

fn field(client: &mut Client, section: &str, name: &str) -> u64 {
    let text = client.info(section, name).unwrap_or_default();
    text.parse().unwrap_or_else(|_| panic!("{name}: {text}"))
}

fn write(client: &mut Client, first: usize, volatile: bool) -> usize {
    let mut bytes = Vec::new();
    for number in first..first + BATCH {
        let (key, value) = (format!("key:{number}"), vec![b'x'; VALUE]);
        let words = if volatile { 5 } else { 3 };
        write!(
            bytes,
            "*{words}\r\n$3\r\nSET\r\n${}\r\n{key}\r\n",
            key.len()
        )
        .expect("a Vec grows");
        write!(bytes, "${VALUE}\r\n").expect("a Vec grows");
        bytes.extend_from_slice(&value);
        bytes.extend_from_slice(b"\r\n");
        if volatile {
            bytes.extend_from_slice(b"$2\r\nEX\r\n$5\r\n10000\r\n");
        }
    }
    let replies = client.exchange(&bytes, BATCH).expect("replies to all");
    replies.iter().filter(|reply| reply.is_error()).count()
}

#[test]
fn a_write_load_stays_below_the_limit_with_every_policy() {
    for shards in ["1", "4"] {
        for policy in [
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
            "noeviction",
        ] {
            let dir = directory();
            let args = [
                "--shards",
                shards,
                "--maxmemory",
                "50mb",
                "--maxmemory-policy",
                policy,
            ];
            let process = Process::start(dir.path(), &args);
            let mut writers: Vec<Client> = (0..4)
                .map(|_| process.client().expect("it serves"))
                .collect();
            let mut observer = process.client().expect("it serves");
            let (mut most, mut refused) = (0, 0);
            for batch in 0..KEYS / BATCH {
                let writer = &mut writers[batch % 4];
                refused += write(writer, batch * BATCH, policy.starts_with("volatile"));
                if batch % 16 == 0 {
                    most = most.max(field(&mut observer, "memory", "used_memory"));
                }
            }
            let what = format!("{policy} with {shards} shards: {most} bytes");
            assert!(most <= LIMIT + SLACK, "{what}");
            assert!(most > LIMIT * 8 / 10, "{what}");
            let before = field(&mut observer, "stats", "evicted_keys") as usize;
            let keys = observer.call("DBSIZE").int() as usize;
            let evicted = field(&mut observer, "stats", "evicted_keys") as usize;
            // The questions take memory too, for which a key may have to go.
            assert!(keys + before + refused <= KEYS, "{what}");
            assert!(keys + evicted + refused >= KEYS, "{what}");
            if policy == "noeviction" {
                assert!(evicted == 0 && refused > 5_000, "{what}: {refused}");
                // A small value may just fit in; many large ones do not.
                assert!(write(&mut writers[0], KEYS, false) > 0, "{what}");
            } else {
                assert!(
                    evicted > 5_000 && refused == 0,
                    "{what}: {evicted}, {refused}"
                );
                writers[0].must("SET one more");
            }
            assert_eq!(observer.call("PING").text(), "PONG");
        }
    }
}

#[test]
fn the_backlog_does_not_count() {
    let dir = directory();
    let args = [
        "--shards",
        "2",
        "--maxmemory",
        "50mb",
        "--maxmemory-policy",
        "allkeys-lru",
        "--repl-backlog-size",
        "40mb",
        "--repl-diskless-sync-delay",
        "0",
    ];
    let process = Process::start(dir.path(), &args);
    let _replica = crate::support::replica::Replica::full_now(process.port.number);
    let mut client = process.client().expect("it serves");
    // 30 MB of data, written so that the backlog holds as much again.
    for batch in 0..7_500 / BATCH {
        assert_eq!(write(&mut client, batch * BATCH, false), 0);
    }
    assert!(field(&mut client, "memory", "mem_not_counted_for_evict") > 20 << 20);
    assert!(field(&mut client, "memory", "used_memory") > LIMIT);
    assert_eq!(field(&mut client, "stats", "evicted_keys"), 0);
    assert_eq!(client.call("DBSIZE").int(), 7_500);
}
