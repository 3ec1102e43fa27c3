//! What a start makes of the dataset's file.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::link_tests::{CLIENT, Outside, origin};
use super::{Node, log::Log};
use crate::config::{Config, Upstream};
use crate::persistence::rdb::{Framer, Preamble, ReplicationInfo};
use crate::shard::Sleep;
use crate::shard::shared::{Process, Shared};
use crate::shard::shell::{Now, Spool, Spooled};

const NOW_MS: u64 = 1_700_000_000_000;

struct World {
    node: Node,
    shell: Outside,
    now_ms: u64,
}

impl World {
    fn new(upstream: Option<Upstream>) -> Self {
        let mut config = Config::default();
        config.replicaof = upstream;
        config.dir = "/data".to_owned();
        let log = Arc::new(Log::new(1, "a".repeat(40), 1 << 20));
        let facts = Process {
            has_dataset: true,
            ..Process::default()
        };
        let shared = Shared::new(config, 1, log.clone(), facts);
        let mut world = World {
            node: Node::new(0, Arc::new(shared), log, 7),
            shell: Outside::default(),
            now_ms: NOW_MS,
        };
        world
            .node
            .shard
            .accepted(&mut world.shell, CLIENT, origin());
        world.ticks();
        world
    }

    /// As many ticks as a barrier needs, whose wakes are not given here.
    fn ticks(&mut self) {
        let now = Now {
            unix_ms: self.now_ms,
            mono_ns: self.now_ms * 1_000_000,
        };
        for _ in 0..20 {
            let sleep = self.node.tick(&mut self.shell, now);
            assert!(sleep != Sleep::Exit, "nobody asked it to end");
        }
    }

    fn asks(&mut self, command: &str) -> String {
        self.shell.sent.clear();
        let line = format!("{command}\r\n");
        self.node.received(&mut self.shell, CLIENT, line.as_bytes());
        self.ticks();
        String::from_utf8(std::mem::take(&mut self.shell.sent)).expect("text")
    }

    fn told(&mut self, outcome: Spooled) {
        let (file, _) = *self.shell.wishes.first().expect("it wishes something");
        self.shell.wishes.clear();
        self.node.spooled(&mut self.shell, file, outcome);
        self.ticks();
    }

    /// Opens the file and gives all of it.
    fn loads(&mut self, file: &[u8]) {
        let wish = self.shell.wishes.first().map(|(_, wish)| wish);
        let Some(Spool::Open(path)) = wish else {
            panic!("{wish:?}")
        };
        assert_eq!(path.to_str(), Some("/data/dump.rdb"));
        self.told(Spooled::Opened(file.len() as u64));
        while let Some((_, Spool::Read { offset, len })) = self.shell.wishes.first() {
            let at = *offset as usize;
            let block = Bytes::copy_from_slice(&file[at..at + len]);
            self.told(Spooled::Read(block));
        }
    }

    fn failure(&self) -> &str {
        let shared = &self.node.shard.shared;
        assert!(shared.shutdown.load(Ordering::Relaxed));
        shared.failure.get().expect("it failed")
    }
}

fn upstream() -> Upstream {
    Upstream {
        host: "upstream.example".to_owned(),
        port: 7000,
    }
}

/// A key `a`, and `gone`, which has expired; with this place in a history, if any.
fn file(offset: Option<u64>) -> Vec<u8> {
    let mut framer = Framer::new(true);
    let mut out = Vec::new();
    let replication = offset.map(|offset| ReplicationInfo {
        selected_db: Some(3),
        id: "c".repeat(40),
        offset,
    });
    let preamble = Preamble {
        replication,
        used_memory_bytes: 123_456,
        ..Preamble::default()
    };
    framer.begin(&mut out, &preamble);
    let expired = [
        &[252][..],
        &(NOW_MS - 1).to_le_bytes(),
        b"\x00\x04gone\x01x",
    ];
    let records = [&b"\xfe\x00\x00\x01a\x01x"[..], &expired.concat()].concat();
    framer.fragment(&records);
    out.extend_from_slice(&records);
    framer.end(&mut out);
    out
}

#[test]
fn clients_hear_of_the_load_until_all_is_there() {
    let mut world = World::new(None);
    let loading = "-LOADING Redis is loading the dataset in memory\r\n";
    assert_eq!(world.asks("GET a"), loading);
    let file = file(None);
    // As if it were so long that it comes in two blocks.
    const TOTAL: u64 = (1 << 20) + 20;
    world.told(Spooled::Opened(TOTAL));
    let info = world.asks("INFO persistence");
    for field in [
        "\r\nloading:1\r\n".to_owned(),
        format!("\r\nloading_total_bytes:{TOTAL}\r\n"),
        "\r\nloading_loaded_bytes:0\r\n".to_owned(),
    ] {
        assert!(info.contains(&field), "{field} in {info}");
    }
    let rest = file.len() - 20;
    world.told(Spooled::Read(Bytes::copy_from_slice(&file[..rest])));
    let info = world.asks("INFO persistence");
    assert!(
        info.contains("\r\nloading_rdb_used_mem:123456\r\n"),
        "{info}"
    );
    world.told(Spooled::Read(Bytes::copy_from_slice(&file[rest..])));
    assert_eq!(world.asks("GET a"), "$1\r\nx\r\n");
    let info = world.asks("INFO persistence");
    for field in [
        "loading:0",
        "rdb_last_load_keys_loaded:1",
        "rdb_last_load_keys_expired:1",
    ] {
        let field = format!("\r\n{field}\r\n");
        assert!(info.contains(&field), "{field} in {info}");
    }
    let wish = world.shell.wishes.last();
    assert!(matches!(wish, Some((_, Spool::Remove))), "{wish:?}");
}

#[test]
fn a_primary_goes_on_under_an_id_of_its_own_behind_the_files() {
    let mut world = World::new(None);
    world.loads(&file(Some(100)));
    let info = world.asks("INFO replication");
    for field in [
        "role:master".to_owned(),
        format!("master_replid2:{}", "c".repeat(40)),
        "second_repl_offset:101".to_owned(),
    ] {
        assert!(info.contains(&format!("{field}\r\n")), "{field} in {info}");
    }
    assert!(!info.contains(&format!("master_replid:{}", "c".repeat(40))));
    let merged = world.node.log.merge();
    assert!(merged.can_continue(&"c".repeat(40), 100));
    assert!(
        !merged.can_continue(&"c".repeat(40), 99),
        "the backlog was empty"
    );
}

#[test]
fn what_expired_meanwhile_is_deleted_for_the_replicas_too() {
    let mut world = World::new(None);
    world.loads(&file(Some(100)));
    world.now_ms += 1000;
    world.ticks();
    assert_eq!(world.asks("DBSIZE"), ":1\r\n");
    let pieces = world
        .node
        .log
        .merge()
        .read(100, u64::MAX)
        .expect("it is held");
    let stream = String::from_utf8(pieces.concat()).expect("text");
    assert!(stream.contains("gone"), "{stream}");
    // Where nobody can go on from the file, nobody has to be told.
    let mut world = World::new(None);
    world.loads(&file(None));
    assert_eq!(world.asks("DBSIZE"), ":1\r\n");
    assert_eq!(world.node.log.merge().end(), 0);
}

#[test]
fn a_replica_asks_its_upstream_to_go_on_where_the_file_stands() {
    let mut world = World::new(Some(upstream()));
    assert!(world.asks("INFO replication").contains("role:slave\r\n"));
    assert!(world.shell.lookups.is_empty(), "the data come first");
    world.loads(&file(Some(100)));
    assert_eq!(world.shell.lookups.len(), 1);
    let link = world.node.link.as_ref().expect("it follows");
    assert_eq!(link.cached, Some(("c".repeat(40), 100)));
    assert_eq!((link.applier.applied, link.applier.whole_db()), (100, 3));
    assert!(world.node.log.merge().can_continue(&"c".repeat(40), 100));
    assert_eq!(
        world.asks("DBSIZE"),
        ":2\r\n",
        "its upstream deletes what expires"
    );
    assert!(world.asks("SET a y").starts_with("-READONLY "));
    // Data alone are no history.
    let mut world = World::new(Some(upstream()));
    world.loads(&file(None));
    let link = world.node.link.as_ref().expect("it follows");
    assert_eq!(link.cached, None);
    assert_eq!(world.asks("GET a"), "$1\r\nx\r\n");
}

#[test]
fn a_file_that_is_damaged_or_cannot_be_read_ends_the_start() {
    let whole = file(Some(100));
    let mut flipped = whole.clone();
    *flipped.last_mut().expect("a checksum") ^= 1;
    for (file, want) in [
        (&flipped[..], "wrong RDB checksum"),
        (&whole[..whole.len() - 9], "the RDB ends early"),
        (&[], "the RDB ends early, after 0 bytes"),
    ] {
        let mut world = World::new(None);
        world.loads(file);
        let failure = world.failure();
        assert!(
            failure.starts_with("cannot load /data/dump.rdb: "),
            "{failure}"
        );
        assert!(failure.contains(want), "{failure}");
    }
    let mut world = World::new(None);
    let reason = "cannot open it".to_owned();
    world.told(Spooled::Failed(reason.clone()));
    assert_eq!(
        world.failure(),
        format!("cannot load /data/dump.rdb: {reason}")
    );
}
