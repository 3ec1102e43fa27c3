//! A tree of processes in which every link goes through a proxy of its own, and the account of
//! the full synchronisations that each node has to have answered.

use super::start;
use crate::support::client::local;
use crate::support::proxy::Proxy;
use crate::support::random::Random;
use crate::support::server::{Kind, Server};
use crate::support::sync::{assert_all_same, linked, syncs};
use crate::support::wait_until;
use crate::support::writers::{Manners, Writers};
use std::cell::Cell;

/// Far more than a cycle writes: no link may come back too late for it.
const BACKLOG: &str = "64mb";
/// Requests written in a cycle, at most; what is streamed of them is not twice as long.
const CYCLE_BYTES_MAX: usize = 24 << 20;
/// Requests allowed at once while something is waited for.
const SHARE_BYTES: usize = 32 << 10;

/// A process and its place.
pub struct Node {
    pub server: Server,
    /// Its upstream; none is the top.
    pub parent: Option<usize>,
    /// The link to it.
    pub uplink: Option<Proxy>,
    /// Full synchronisations that it has to have answered since it started.
    pub full: u64,
}

/// All of them.
pub struct Tree {
    pub nodes: Vec<Node>,
    pub top: usize,
    pub random: Random,
    pub writers: Writers,
    granted: Cell<usize>,
    /// The sum over all nodes, also of those that were restarted since.
    pub full_total: u64,
}

/// What a Banyan is started with: each number of shards takes other paths.
const SHARDS: [usize; 3] = [1, 2, 7];

impl Tree {
    /// A tree of 5 to 7 nodes that grew under writers: three Banyans, the rest `real`.
    pub fn grow(real: Kind, seed: u64) -> Tree {
        let mut random = Random::new(seed);
        let count = 5 + random.below(3);
        let mut kinds: Vec<(Kind, usize)> = SHARDS.map(|shards| (Kind::Banyan, shards)).to_vec();
        kinds.resize(count, (real, 0));
        for at in (1..count).rev() {
            kinds.swap(at, random.below(at + 1));
        }
        let nodes: Vec<Node> = kinds
            .into_iter()
            .map(|(kind, shards)| Node {
                server: start(kind, shards, &["--repl-backlog-size", BACKLOG]),
                parent: None,
                uplink: None,
                full: 0,
            })
            .collect();
        let target = local(nodes[0].server.port);
        let writers = Writers::start(target, seed, Manners::default());
        writers.write(300_000);
        let mut tree = Tree {
            nodes,
            top: 0,
            random,
            writers,
            granted: Cell::new(0),
            full_total: 0,
        };
        for node in 1..count {
            let parent = tree.random.below(node);
            tree.follow(node, parent);
            tree.expect_full(parent);
            tree.await_link(node);
        }
        tree.settle();
        tree
    }

    pub fn port(&self, node: usize) -> u16 {
        self.nodes[node].server.port
    }

    pub fn others(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|n| *n != self.top).collect()
    }

    pub fn children(&self, node: usize) -> Vec<usize> {
        let is_child = |n: &usize| self.nodes[*n].parent == Some(node);
        (0..self.nodes.len()).filter(is_child).collect()
    }

    /// Everything below a node.
    pub fn below(&self, node: usize) -> Vec<usize> {
        let mut found = self.children(node);
        let mut at = 0;
        while at < found.len() {
            found.extend(self.children(found[at]));
            at += 1;
        }
        found
    }

    pub fn show(&self) -> String {
        let line = |n: usize| {
            let node = &self.nodes[n];
            let shards = node.server.shards;
            let parent = node.parent.map_or("top".to_owned(), |p| format!("of {p}"));
            format!("{n}={:?}{shards} {parent}", node.server.kind)
        };
        let lines: Vec<String> = (0..self.nodes.len()).map(line).collect();
        lines.join(", ")
    }

    /// A full synchronisation of one of its children has to follow.
    pub fn expect_full(&mut self, parent: usize) {
        self.nodes[parent].full += 1;
        self.full_total += 1;
    }

    /// Orders a node to follow another one, over a new link.
    pub fn follow(&mut self, node: usize, parent: usize) {
        let uplink = Proxy::to(self.port(parent));
        let order = format!("REPLICAOF 127.0.0.1 {}", uplink.port);
        self.nodes[node].server.client().must(&order);
        self.nodes[node].uplink = Some(uplink);
        self.nodes[node].parent = Some(parent);
    }

    /// Makes a node the top; whoever it followed does not know.
    pub fn promote(&mut self, node: usize) {
        self.nodes[node].server.client().must("REPLICAOF NO ONE");
        self.nodes[node].parent = None;
        self.nodes[node].uplink = None;
        self.top = node;
    }

    pub fn uplink(&self, node: usize) -> &Proxy {
        self.nodes[node].uplink.as_ref().expect("it has a parent")
    }

    /// Up to where a node has the stream.
    pub fn offset(&self, node: usize) -> u64 {
        let mut client = self.nodes[node].server.client();
        let offset = client.replication("master_repl_offset");
        offset.parse().expect("an offset")
    }

    pub fn is_linked(&self, node: usize) -> bool {
        linked(&mut self.nodes[node].server.client())
    }

    /// Waits until a condition holds, and lets the writers write meanwhile.
    pub fn wait_writing(&self, what: &str, mut condition: impl FnMut() -> bool) {
        wait_until(what, || {
            if self.writers.is_idle() && self.granted.get() < CYCLE_BYTES_MAX {
                self.granted.set(self.granted.get() + SHARE_BYTES);
                self.writers.allow(SHARE_BYTES);
            }
            condition()
        });
    }

    pub fn await_link(&self, node: usize) {
        self.wait_writing("a link to come up", || self.is_linked(node));
    }

    pub fn await_loss(&self, node: usize) {
        self.wait_writing("a replica to notice its loss", || !self.is_linked(node));
    }

    /// Lets the writers write some more.
    pub fn write_on(&self, requests: u64) {
        let from = self.writers.written();
        self.wait_writing("the writers to go on", || {
            self.writers.written() >= from + requests
        });
    }

    /// Ends a cycle: all nodes hold the same at the same offset of the same history, and each
    /// has answered as many full synchronisations as foreseen.
    pub fn settle(&mut self) {
        self.writers.pause();
        self.granted.set(0);
        let mut servers = vec![&self.nodes[self.top].server];
        servers.extend(self.others().iter().map(|n| &self.nodes[*n].server));
        assert_all_same(&servers);
        let counts = |f: &dyn Fn(&Node) -> u64| -> Vec<u64> { self.nodes.iter().map(f).collect() };
        let answered = counts(&|node| syncs(&mut node.server.client()).full);
        let expected = counts(&|node| node.full);
        assert_eq!(answered, expected, "full syncs of {}", self.show());
    }
}
