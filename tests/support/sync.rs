//! Waiting until two servers hold the same data, and saying how they differ if they do not.

use super::client::Client;
use super::resp::Value;
use super::server::Server;
use super::{PATIENCE, pause, wait_until};
use std::time::Instant;

/// The digest of all databases.
pub fn digest(client: &mut Client) -> String {
    client.call("DEBUG DIGEST").text()
}

/// The digest of a server that holds nothing.
pub const EMPTY_DIGEST: &str = "0000000000000000000000000000000000000000";

pub fn offset(client: &mut Client) -> u64 {
    client
        .replication("master_repl_offset")
        .parse()
        .expect("an offset")
}

/// True if the link of this replica to its upstream is up.
pub fn linked(client: &mut Client) -> bool {
    client.info("replication", "master_link_status").as_deref() == Some("up")
}

/// Orders `replica` to follow `port` and waits for the link.
pub fn attach(replica: &Server, port: u16) {
    let mut client = replica.client();
    client.must(&format!("REPLICAOF 127.0.0.1 {port}"));
    wait_until("the link to come up", || linked(&mut client));
}

/// Waits until the replica's link is up and both have the same offset.
pub fn await_offset(primary: &mut Client, replica: &mut Client) {
    wait_until("the replica to reach its primary's offset", || {
        let before = offset(primary);
        linked(replica) && offset(replica) == before
    });
}

/// Waits until the offsets agree, then holds both to the same digest. Nobody may write meanwhile.
pub fn assert_same_data(primary: &Server, replica: &Server) {
    let (mut p, mut r) = (primary.client(), replica.client());
    await_offset(&mut p, &mut r);
    let (ours, theirs) = (digest(&mut p), digest(&mut r));
    if ours != theirs {
        panic!(
            "{:?} and its replica {:?} have equal offsets and different data: {ours} {theirs}\n{}",
            primary.kind,
            replica.kind,
            differences(&mut p, &mut r)
        );
    }
}

/// Where a server's dataset stands: id and offset of what it has applied, if its link, where it
/// has one, is up.
pub fn position(client: &mut Client) -> Option<(String, u64)> {
    let text = client.call("INFO replication").text();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    };
    let logged: u64 = field("master_repl_offset:")?.parse().ok()?;
    if field("role:")? == "slave" {
        let applied: u64 = field("slave_repl_offset:")?.parse().ok()?;
        if field("master_link_status:")? != "up" || applied != logged {
            return None;
        }
    }
    Some((field("master_replid:")?, logged))
}

/// The digests of all servers if they stand where the first one does, before and after.
fn digests_at_one_position(clients: &mut [Client]) -> Option<Vec<String>> {
    let place = position(&mut clients[0])?;
    let there = |client: &mut Client| position(client).as_ref() == Some(&place);
    if !clients.iter_mut().all(there) {
        return None;
    }
    let digests: Vec<String> = clients.iter_mut().map(digest).collect();
    // A key that expired meanwhile moves the primary first.
    clients.iter_mut().all(there).then_some(digests)
}

/// Where a server stands, in its own words.
fn place_shown(server: &Server) -> String {
    let text = server.client().call("INFO replication").text();
    let told = |line: &&str| {
        ["role", "master_", "slave", "second_repl"]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let lines: Vec<&str> = text.lines().filter(told).collect();
    format!("{:?} at {}: {}", server.kind, server.port, lines.join(", "))
}

/// Waits until every server follows the first one's history up to its end, then holds all of
/// them to the same digest. Clients may not write meanwhile; expiries may still be carried out.
pub fn assert_all_same(servers: &[&Server]) {
    let mut clients: Vec<Client> = servers.iter().map(|server| server.client()).collect();
    let deadline = Instant::now() + PATIENCE;
    let digests = loop {
        if let Some(digests) = digests_at_one_position(&mut clients) {
            break digests;
        }
        if Instant::now() > deadline {
            let places: Vec<String> = servers.iter().map(|server| place_shown(server)).collect();
            panic!(
                "after {PATIENCE:?} not all stand where the first does:\n{}",
                places.join("\n")
            );
        }
        pause(10);
    };
    for (at, server) in servers.iter().enumerate() {
        if digests[at] != digests[0] {
            let (first, rest) = clients.split_at_mut(1);
            panic!(
                "{:?} and {:?} differ at the same offset: {} {}\n{}",
                servers[0].kind,
                server.kind,
                digests[0],
                digests[at],
                differences(&mut first[0], &mut rest[at - 1])
            );
        }
    }
}

/// The first few keys in which two servers differ.
pub fn differences(a: &mut Client, b: &mut Client) -> String {
    const SHOWN_MAX: usize = 10;
    let (mut values, mut times) = (Vec::new(), Vec::new());
    for db in 0..16 {
        a.must(&format!("SELECT {db}"));
        b.must(&format!("SELECT {db}"));
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for client in [&mut *a, &mut *b] {
            keys.extend(
                client
                    .call("KEYS *")
                    .items()
                    .iter()
                    .map(|k| k.bytes().to_vec()),
            );
        }
        keys.sort();
        keys.dedup();
        for key in keys {
            let ask: [&[u8]; 3] = [b"DEBUG", b"DIGEST-VALUE", &key];
            let (x, y) = (a.run(&ask), b.run(&ask));
            let ttl: [&[u8]; 2] = [b"PEXPIRETIME", &key];
            let (tx, ty) = (a.run(&ttl), b.run(&ttl));
            let name = format!("db {db} key \"{}\"", key.escape_ascii());
            if x != y {
                let (of_a, of_b) = (contents(a, &key), contents(b, &key));
                let only = |these: &[Value], those: &[Value]| -> Vec<Value> {
                    let missing = these.iter().filter(|value| !those.contains(value));
                    missing.take(SHOWN_MAX).cloned().collect()
                };
                values.push(format!(
                    "{name}: {x:?} {tx:?} | {y:?} {ty:?}\n  only there: {:?} | {:?}\n",
                    only(&of_a, &of_b),
                    only(&of_b, &of_a)
                ));
            } else if tx != ty {
                times.push(format!("{name}: expires {tx:?} | {ty:?}\n"));
            }
        }
    }
    // What differs by its value first: times may do so by what the caller allows.
    values.into_iter().chain(times).take(SHOWN_MAX).collect()
}

/// The parts of a value of any type.
fn contents(client: &mut Client, key: &[u8]) -> Vec<Value> {
    let kind = client.run(&[b"TYPE", key]);
    let (command, more): (&[u8], &[&[u8]]) = match kind.bytes() {
        b"zset" => (b"ZRANGE", &[b"0", b"-1", b"WITHSCORES"]),
        b"list" => (b"LRANGE", &[b"0", b"-1"]),
        b"hash" => (b"HGETALL", &[]),
        b"set" => (b"SMEMBERS", &[]),
        b"stream" => (b"XRANGE", &[b"-", b"+"]),
        _ => (b"GET", &[]),
    };
    let reply = client.run(&[&[command, key], more].concat());
    match reply {
        // Members with their scores, fields with their values.
        Value::Array(items) if matches!(command, b"ZRANGE" | b"HGETALL") => {
            let pairs = items.chunks(2);
            pairs.map(|pair| Value::Array(pair.to_vec())).collect()
        }
        Value::Array(items) => items,
        other => vec![other],
    }
}

/// Totals of synchronisations that a primary has answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Syncs {
    pub full: u64,
    pub partial: u64,
    pub refused: u64,
}

pub fn syncs(client: &mut Client) -> Syncs {
    let mut field = |name: &str| -> u64 {
        let text = client
            .info("stats", name)
            .unwrap_or_else(|| panic!("INFO without {name}"));
        text.parse().expect("a number")
    };
    Syncs {
        full: field("sync_full"),
        partial: field("sync_partial_ok"),
        refused: field("sync_partial_err"),
    }
}
