//! The matrix of partial and full synchronisations: who replicates whom, how large the backlog
//! is, and what goes wrong. Each cell says to the number which synchronisations its primary has
//! to have answered, and ends with equal data at equal offsets.

use super::start;
use crate::support::client::local;
use crate::support::proxy::{Proxy, Way};
use crate::support::random::Random;
use crate::support::server::{Kind, Server};
use crate::support::sync::{Syncs, assert_all_same, attach, linked, syncs};
use crate::support::writers::{Manners, Writers};
use crate::support::{seed, wait_until};

/// Runs of the suite that take part of the cells take every so many-th.
const SHARE: usize = 5;

/// What happens to a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    /// The link breaks while nothing is written.
    CutIdle,
    /// The link breaks at a random byte of the stream, three times; what is missed is kept.
    CutWithin,
    /// What is missed is more than the backlog holds.
    CutBeyond,
    /// More is missed than the backlog held at the start; it was made larger meanwhile.
    CutAfterGrowth,
    /// The link breaks at a random byte of the snapshot.
    CutSnapshot,
    /// No byte reaches the replica until it gives the link up.
    Stalled,
    /// Nobody listens for longer than repl-backlog-ttl.
    BacklogExpired,
    /// SIGKILL; it comes back with nothing.
    ReplicaKilled,
    /// It comes back with the snapshot that it wrote at its end.
    ReplicaRestarted,
    /// The primary dies under load, the replica that has more is promoted, the other follows it.
    SiblingPromoted,
    /// A quiet primary becomes the replica of its replica.
    RolesSwapped,
}

const EVENTS: [Event; 11] = [
    Event::CutIdle,
    Event::CutWithin,
    Event::CutBeyond,
    Event::CutAfterGrowth,
    Event::CutSnapshot,
    Event::Stalled,
    Event::BacklogExpired,
    Event::ReplicaKilled,
    Event::ReplicaRestarted,
    Event::SiblingPromoted,
    Event::RolesSwapped,
];

/// Backlogs: the smallest that real servers make, and their default.
const BACKLOGS: [(&str, usize); 2] = [("16kb", 16 << 10), ("1mb", 1 << 20)];

/// Which servers a column of the matrix has.
#[derive(Clone, Copy)]
struct Pair {
    primary: Kind,
    replica: Kind,
    /// Shards of the primary and of the replica, where they are Banyans.
    shards: (usize, usize),
}

/// One cell, set up: writers, a primary, a replica behind a proxy.
struct Cell {
    pair: Pair,
    backlog: usize,
    random: Random,
    primary: Server,
    replica: Server,
    proxy: Proxy,
    writers: Writers,
    /// What the primary had answered when the event began.
    before: Syncs,
}

impl Cell {
    fn new(pair: Pair, backlog: (&str, usize), more: &[&str], seed: u64) -> Cell {
        let args = [&["--repl-backlog-size", backlog.0], more].concat();
        let primary = start(pair.primary, pair.shards.0, &args);
        let replica = start(pair.replica, pair.shards.1, &args);
        let proxy = Proxy::to(primary.port);
        let writers = Writers::start(local(primary.port), seed, Manners::default());
        writers.write(200_000);
        Cell {
            pair,
            backlog: backlog.1,
            random: Random::new(seed),
            primary,
            replica,
            proxy,
            writers,
            before: Syncs {
                full: 0,
                partial: 0,
                refused: 0,
            },
        }
    }

    /// The replica follows, and both hold the same.
    fn attach(&mut self) {
        attach(&self.replica, self.proxy.port);
        assert_all_same(&[&self.primary, &self.replica]);
        self.before = syncs(&mut self.primary.client());
    }

    /// Less than the backlog keeps, as requests; what is streamed of them may be longer.
    fn little(&self) -> usize {
        self.backlog / 4
    }

    /// Breaks the link and waits until both ends know.
    fn cut(&self) {
        self.proxy.refuse(true);
        self.proxy.cut();
        self.await_cut();
    }

    fn await_cut(&self) {
        let (mut primary, mut replica) = (self.primary.client(), self.replica.client());
        wait_until("both ends to notice the cut", || {
            !linked(&mut replica) && primary.replication("connected_slaves") == "0"
        });
    }

    fn join(&self) {
        self.proxy.refuse(false);
        let mut replica = self.replica.client();
        wait_until("the link to come back", || linked(&mut replica));
    }

    /// Ends the cell: equal data, and exactly these synchronisations since the event began.
    fn finish(&self, full: u64, partial: u64, refused: u64) {
        self.writers.write(self.little());
        assert_all_same(&[&self.primary, &self.replica]);
        self.assert_syncs(full, partial, refused);
    }

    fn assert_syncs(&self, full: u64, partial: u64, refused: u64) {
        let now = syncs(&mut self.primary.client());
        let since = Syncs {
            full: now.full - self.before.full,
            partial: now.partial - self.before.partial,
            refused: now.refused - self.before.refused,
        };
        let expected = Syncs {
            full,
            partial,
            refused,
        };
        assert_eq!(since, expected, "synchronisations since the event");
    }

    fn cut_within(&mut self) {
        const CUTS: u64 = 3;
        for _ in 0..CUTS {
            self.proxy.refuse(true);
            let at = self.random.between(1, self.little() as i64 / 4);
            self.proxy.cut_after(Way::ToClient, at as u64);
            self.writers.write(self.little());
            self.await_cut();
            self.join();
        }
        self.finish(0, CUTS, 0);
    }

    fn cut_beyond(&mut self) {
        self.cut();
        self.writers.write(self.backlog * 4 + 200_000);
        self.join();
        self.finish(1, 0, 1);
    }

    fn cut_after_growth(&mut self) {
        let enough = self.backlog * 16 + (4 << 20);
        let grow = format!("CONFIG SET repl-backlog-size {enough}");
        self.primary.client().must(&grow);
        self.cut();
        self.writers.write(self.backlog * 4);
        self.join();
        self.finish(0, 1, 0);
    }

    fn stalled(&mut self) {
        let mut replica = self.replica.client();
        replica.must("CONFIG SET repl-timeout 3");
        self.proxy.stall(Way::ToClient, true);
        wait_until("the replica to give the link up", || !linked(&mut replica));
        replica.must("CONFIG SET repl-timeout 60");
        self.writers.write(self.little());
        self.proxy.stall(Way::ToClient, false);
        wait_until("the link to come back", || linked(&mut replica));
        self.finish(0, 1, 0);
    }

    fn backlog_expired(&mut self) {
        let mut primary = self.primary.client();
        primary.must("CONFIG SET repl-backlog-ttl 1");
        self.cut();
        wait_until("the backlog to be freed", || {
            primary.replication("repl_backlog_active") == "0"
        });
        self.join();
        self.finish(1, 0, 1);
    }

    /// In place of `attach`: the snapshot breaks off once.
    fn cut_snapshot(&mut self) {
        self.writers.write(400_000);
        self.before = syncs(&mut self.primary.client());
        // The least that a snapshot of what was written has; the handshake is shorter.
        let at = self.random.between(5_000, 60_000);
        self.proxy.cut_after(Way::ToClient, at as u64);
        let follow = format!("REPLICAOF 127.0.0.1 {}", self.proxy.port);
        self.replica.client().must(&follow);
        wait_until("the cut", || self.proxy.was_cut(Way::ToClient));
        self.join();
        // A real server that was a primary offers the history of its own, until another
        // dataset is there whole.
        let refused = match self.pair.replica {
            Kind::Banyan => 0,
            _ => 2,
        };
        self.finish(2, 0, refused);
    }

    fn replica_killed(&mut self) {
        self.writers.resume();
        self.writers.await_written(200);
        self.replica.restart_following(local(self.proxy.port));
        self.join();
        self.writers.pause();
        // It starts without a history to offer.
        self.finish(1, 0, 0);
    }

    fn replica_restarted(&mut self) {
        self.replica.follow_at_start(local(self.proxy.port));
        self.replica.shutdown_save();
        self.writers.write(self.little());
        self.replica.restart();
        self.join();
        self.finish(0, 1, 0);
    }

    /// Another replica of the same kind; returns with the primary dead.
    fn sibling_promoted(mut self) {
        let backlog = self.backlog.to_string();
        // Small backlogs would make it a matter of chance whether the loser's offset is held.
        let backlog = ["--repl-backlog-size", &backlog];
        let sibling = start(self.pair.replica, 1, &backlog);
        attach(&sibling, self.primary.port);
        assert_all_same(&[&self.primary, &self.replica, &sibling]);
        if self.backlog >= 1 << 20 {
            self.writers.resume();
            self.writers.await_written(500);
            self.primary.kill();
        } else {
            self.writers.write(self.little());
            assert_all_same(&[&self.primary, &self.replica, &sibling]);
            self.primary.kill();
        }
        let nodes = [&self.replica, &sibling];
        let offsets = nodes.map(|node| {
            let mut client = node.client();
            wait_until("a replica to notice the loss", || !linked(&mut client));
            let offset = client.replication("slave_repl_offset");
            offset.parse::<u64>().expect("an offset")
        });
        let (heir, other) = match offsets[0] >= offsets[1] {
            true => (nodes[0], nodes[1]),
            false => (nodes[1], nodes[0]),
        };
        heir.client().must("REPLICAOF NO ONE");
        let before = syncs(&mut heir.client());
        attach(other, heir.port);
        self.writers.point_at(local(heir.port));
        self.writers.write(self.little());
        assert_all_same(&[heir, other]);
        let after = syncs(&mut heir.client());
        assert_eq!(
            (after.full, after.refused),
            (before.full, before.refused),
            "the loser at {offsets:?} had to go on partially"
        );
        assert_eq!(after.partial, before.partial + 1);
    }

    fn roles_swapped(self) {
        let mut primary = self.primary.client();
        // Not even the deletion of an expired key may come between.
        primary.must("CLIENT PAUSE 60000 WRITE");
        assert_all_same(&[&self.primary, &self.replica]);
        self.replica.client().must("REPLICAOF NO ONE");
        self.writers.point_at(local(self.replica.port));
        self.writers.write(self.little());
        attach(&self.primary, self.replica.port);
        primary.must("CLIENT UNPAUSE");
        self.writers.write(self.little());
        assert_all_same(&[&self.replica, &self.primary]);
        let answered = syncs(&mut self.replica.client());
        let expected = Syncs {
            full: 0,
            partial: 1,
            refused: 0,
        };
        assert_eq!(answered, expected, "the former primary went on");
    }
}

fn run(pair: Pair, backlog: (&str, usize), event: Event, seed: u64) {
    println!(
        "cell: {:?} of {:?}, backlog {}, {event:?}, seed {seed}",
        pair.replica, pair.primary, backlog.0
    );
    let mut cell = Cell::new(pair, backlog, &[], seed);
    if event == Event::CutSnapshot {
        return cell.cut_snapshot();
    }
    cell.attach();
    match event {
        Event::CutIdle => {
            cell.cut();
            cell.join();
            cell.finish(0, 1, 0);
        }
        Event::CutWithin => cell.cut_within(),
        Event::CutBeyond => cell.cut_beyond(),
        Event::CutAfterGrowth => cell.cut_after_growth(),
        Event::CutSnapshot => unreachable!("it has no replica that is attached"),
        Event::Stalled => cell.stalled(),
        Event::BacklogExpired => cell.backlog_expired(),
        Event::ReplicaKilled => cell.replica_killed(),
        Event::ReplicaRestarted => cell.replica_restarted(),
        Event::SiblingPromoted => cell.sibling_promoted(),
        Event::RolesSwapped => cell.roles_swapped(),
    }
}

/// Cells of a pair: all of them with `BANYAN_MATRIX=full`, else a part that depends on the
/// column, so that all columns together meet every event.
fn column(number: usize, pair: Pair) {
    let full = std::env::var("BANYAN_MATRIX").is_ok_and(|text| text == "full");
    let seed = seed();
    let mut cells = 0;
    for (row, event) in EVENTS.into_iter().enumerate() {
        for (size, backlog) in BACKLOGS.into_iter().enumerate() {
            if full || (row * BACKLOGS.len() + size) % SHARE == number {
                run(pair, backlog, event, seed + row as u64);
                cells += 1;
            }
        }
    }
    println!("{cells} cells");
    assert!(cells >= 3);
}

#[test]
fn redis_follows_banyan_through_every_loss() {
    column(
        0,
        Pair {
            primary: Kind::Banyan,
            replica: Kind::Redis,
            shards: (2, 0),
        },
    );
}

#[test]
fn valkey_follows_banyan_through_every_loss() {
    column(
        1,
        Pair {
            primary: Kind::Banyan,
            replica: Kind::Valkey,
            shards: (7, 0),
        },
    );
}

#[test]
fn banyan_follows_banyan_through_every_loss() {
    column(
        2,
        Pair {
            primary: Kind::Banyan,
            replica: Kind::Banyan,
            shards: (3, 2),
        },
    );
}

#[test]
fn banyan_follows_redis_through_every_loss() {
    column(
        3,
        Pair {
            primary: Kind::Redis,
            replica: Kind::Banyan,
            shards: (0, 2),
        },
    );
}

#[test]
fn banyan_follows_valkey_through_every_loss() {
    column(
        4,
        Pair {
            primary: Kind::Valkey,
            replica: Kind::Banyan,
            shards: (0, 7),
        },
    );
}
