//! How the link finds its upstream: names that take long, names with several addresses.

use std::sync::Arc;

use super::{Node, log::Log};
use crate::config::{Config, Upstream};
use crate::shard::Sleep;
use crate::shard::connection::Origin;
use crate::shard::shared::{Process, Shared};
use crate::shard::shell::{Chunk, ConnId, Now, Shell, Spool};

/// Remembers what was asked of it, and does nothing by itself.
#[derive(Default)]
pub(super) struct Outside {
    pub lookups: Vec<(u64, String)>,
    pub connects: Vec<(String, u16, String)>,
    pub sent: Vec<u8>,
    pub closed: Vec<ConnId>,
    pub wishes: Vec<(u64, Spool)>,
}

/// The slot of the only client; those of the link come after it.
pub(super) const CLIENT: ConnId = ConnId {
    index: 0,
    generation: 1,
};

impl Shell for Outside {
    fn send(&mut self, _conn: ConnId, chunk: Chunk) {
        match chunk {
            Chunk::Vec(bytes) => self.sent.extend_from_slice(&bytes),
            Chunk::Bytes(bytes) => self.sent.extend_from_slice(&bytes),
        }
    }

    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn queued(&self, _conn: ConnId) -> usize {
        0
    }

    fn close_after_flush(&mut self, conn: ConnId) {
        self.closed.push(conn);
    }

    fn close_now(&mut self, conn: ConnId) {
        self.closed.push(conn);
    }

    fn pause(&mut self, _conn: ConnId) {}

    fn resume(&mut self, _conn: ConnId) {}

    fn resolve(&mut self, token: u64, host: &str) {
        self.lookups.push((token, host.to_owned()));
    }

    fn connect(&mut self, address: &str, port: u16, source: &str) -> ConnId {
        let to = (address.to_owned(), port, source.to_owned());
        self.connects.push(to);
        ConnId {
            index: self.connects.len() as u32,
            generation: 1,
        }
    }

    fn gather_packets(&mut self, _conn: ConnId, _on: bool) {}

    fn rewrite(&mut self, _token: u64, _config: Arc<Config>) {}

    fn spool(&mut self, file: u64, wish: Spool) {
        self.wishes.push((file, wish));
    }

    fn wake(&mut self, _shard: usize) {}
}

struct World {
    node: Node,
    shell: Outside,
    now_ms: u64,
}

impl World {
    fn new() -> Self {
        let mut config = Config::default();
        config.replicaof = Some(Upstream {
            host: "upstream.example".to_owned(),
            port: 7000,
        });
        config.repl_timeout = 3;
        config.bind_source_addr = "10.0.0.9".to_owned();
        let log = Arc::new(Log::new(1, "a".repeat(40), 1 << 20));
        let shared = Shared::new(config, 1, log.clone(), Process::default());
        let mut world = World {
            node: Node::new(0, Arc::new(shared), log, 7),
            shell: Outside::default(),
            now_ms: 1_700_000_000_000,
        };
        world.advance(0);
        world
    }

    /// Moves the clock on and ticks until nothing more is to be done at once.
    fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        let now = Now {
            unix_ms: self.now_ms,
            mono_ns: self.now_ms * 1_000_000,
        };
        for _ in 0..100 {
            match self.node.tick(&mut self.shell, now) {
                Sleep::Poll => {}
                Sleep::ForMs(ms) => return assert!(ms <= 1000, "it sleeps for {ms} ms"),
                Sleep::Exit => panic!("nobody asked it to end"),
            }
        }
        panic!("it never comes to rest");
    }

    fn resolved(&mut self, token: u64, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| (*address).to_owned());
        let addresses = Ok(addresses.collect());
        self.node.resolved(&mut self.shell, token, addresses);
        self.advance(0);
    }

    /// Bytes from the upstream.
    fn arrives(&mut self, bytes: &[u8]) {
        let conn = ConnId {
            index: self.shell.connects.len() as u32,
            generation: 1,
        };
        self.node.received(&mut self.shell, conn, bytes);
        self.settle();
    }

    /// Ticks as often as a change of the role needs, which waits for a wake that is not given here.
    fn settle(&mut self) {
        const TICKS: usize = 20;
        for _ in 0..TICKS {
            self.advance(0);
        }
    }

    /// Follows an upstream that holds nothing, from this offset.
    fn synchronise(&mut self, offset: u64) {
        const EMPTY: &[u8] = b"REDIS0011\xff\0\0\0\0\0\0\0\0";
        self.resolved(1, &["10.0.0.1"]);
        let conn = ConnId {
            index: 1,
            generation: 1,
        };
        self.node.connected(&mut self.shell, conn, Ok(()));
        self.advance(0);
        self.arrives(b"+PONG\r\n");
        let asks = |sent: &[u8]| sent.windows(5).any(|word| word == b"PSYNC");
        for _ in 0..5 {
            if asks(&self.shell.sent) {
                break;
            }
            self.arrives(b"+OK\r\n");
        }
        assert!(asks(&self.shell.sent), "it never asks for the stream");
        let answer = format!("+FULLRESYNC {} {offset}\r\n", "b".repeat(40));
        let length = format!("${}\r\n", EMPTY.len());
        self.arrives(&[answer.as_bytes(), length.as_bytes(), EMPTY].concat());
    }

    /// What INFO shows of the stream: up to where it was read and applied.
    fn shown(&self) -> (i64, i64) {
        let view = self.node.log.lock().upstream.clone().expect("it follows");
        assert!(view.link_up, "the link is {}", view.state);
        (view.read_repl_offset, view.applied_offset)
    }

    fn refused(&mut self) {
        let conn = ConnId {
            index: self.shell.connects.len() as u32,
            generation: 1,
        };
        let result = Err("refused".to_owned());
        self.node.connected(&mut self.shell, conn, result);
        self.advance(0);
    }
}

/// Where the client comes from.
pub(super) fn origin() -> Origin {
    Origin {
        peer: "127.0.0.1:50000".to_owned(),
        local: "127.0.0.1:6379".to_owned(),
        is_local: true,
        is_unix: false,
    }
}

#[test]
fn a_resolver_that_never_answers_delays_neither_clients_nor_timers() {
    let mut world = World::new();
    assert_eq!(world.shell.lookups, [(1, "upstream.example".to_owned())]);
    world
        .node
        .shard
        .accepted(&mut world.shell, CLIENT, origin());
    for _ in 0..3 {
        world.node.received(&mut world.shell, CLIENT, b"PING\r\n");
        world.advance(1000);
    }
    assert_eq!(world.shell.sent, b"+PONG\r\n".repeat(3));
    assert_eq!(world.shell.lookups.len(), 1, "one at a time");
    // After repl-timeout it is given up, and asked for anew.
    world.advance(1);
    world.advance(1000);
    assert_eq!(world.shell.lookups.len(), 2);
    // The old answer comes late, and nobody wants it any more.
    world.resolved(1, &["10.0.0.1"]);
    assert!(world.shell.connects.is_empty());
    world.resolved(2, &["10.0.0.2"]);
    let want = ("10.0.0.2".to_owned(), 7000, "10.0.0.9".to_owned());
    assert_eq!(world.shell.connects, [want]);
}

#[test]
fn every_attempt_looks_the_name_up_and_takes_its_next_address() {
    let mut world = World::new();
    let addresses = ["10.0.0.1", "10.0.0.2"];
    for attempt in 0..3u64 {
        assert_eq!(world.shell.lookups.len() as u64, attempt + 1);
        world.resolved(attempt + 1, &addresses);
        world.refused();
        world.advance(1000);
    }
    let tried: Vec<&str> = (world.shell.connects.iter())
        .map(|(address, ..)| address.as_str())
        .collect();
    assert_eq!(tried, ["10.0.0.1", "10.0.0.2", "10.0.0.1"]);
    // A name without addresses, and one that cannot be looked up.
    world.resolved(4, &[]);
    world.advance(1000);
    let failed = Err("no such name".to_owned());
    world.node.resolved(&mut world.shell, 5, failed);
    world.advance(999);
    assert_eq!(world.shell.lookups.len(), 5);
    world.advance(1);
    assert_eq!(world.shell.lookups.len(), 6);
    assert_eq!(world.shell.connects.len(), 3);
}

#[test]
fn what_was_applied_is_shown_at_once_and_not_only_when_it_is_acknowledged() {
    let mut world = World::new();
    world.synchronise(100);
    assert_eq!(world.shown(), (100, 100));
    let acknowledged = world.shell.sent.len();
    let ping = b"*1\r\n$4\r\nPING\r\n";
    world.arrives(ping);
    assert_eq!(world.shown(), (114, 114));
    world.arrives(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
    assert_eq!(world.shown(), (141, 141));
    // Half a transaction is not applied.
    world.arrives(b"*1\r\n$5\r\nMULTI\r\n");
    assert_eq!(world.shown(), (141, 141));
    assert_eq!(world.shell.sent.len(), acknowledged, "no time has passed");
}
