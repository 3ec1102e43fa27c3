//! The processes and who follows whom.

use crate::support::client::Client;
use crate::support::netns::Hub;
use crate::support::proxy::Proxy;
use crate::support::random::Random;
use crate::support::resp::Value;
use crate::support::server::{Kind, Server};
use crate::support::sync::{assert_all_same, linked};
use crate::support::wait_until;
use crate::support::writers::{Manners, Writers};
use std::net::SocketAddr;
use std::time::Duration;

pub const NODES: usize = 5;
/// How long a node may take to answer while nothing is wrong with it.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Short periods, so that every limit is met within a run; a backlog that is overrun at times.
const ARGS: &[&str] = &[
    "--protected-mode",
    "no",
    "--repl-diskless-sync",
    "yes",
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "1",
    "--repl-timeout",
    "5",
    "--repl-backlog-size",
    "1mb",
];

/// A process and its place in the tree.
pub struct Node {
    pub server: Server,
    pub parent: Option<usize>,
    /// The link to the parent, if it goes through a proxy.
    pub uplink: Option<Proxy>,
    /// The offset that the top had when this node began to depend on another node's data: until
    /// it is reached, the node may not have what it once confirmed.
    pub owes: Option<u64>,
}

pub struct Cluster {
    pub hub: Hub,
    pub nodes: Vec<Node>,
    pub top: usize,
    pub writers: Writers,
    pub random: Random,
}

impl Cluster {
    /// Three Banyans and two real servers, the others all below the first.
    pub fn start(hub: Hub, real: Kind, seed: u64) -> Cluster {
        let kinds = [
            (Kind::Banyan, 2),
            (Kind::Banyan, 7),
            (real, 0),
            (Kind::Banyan, 1),
            (real, 0),
        ];
        let nodes: Vec<Node> = (0..NODES)
            .map(|at| Node {
                server: Server::placed(hub.place(at), kinds[at].0, kinds[at].1, ARGS),
                parent: None,
                uplink: None,
                owes: None,
            })
            .collect();
        let manners = Manners {
            writers: 3,
            confirmed_by: 1,
            timeout: Duration::from_secs(2),
        };
        let writers = Writers::start(nodes[0].server.address(), seed, manners);
        let random = Random::new(seed);
        let mut cluster = Cluster {
            hub,
            nodes,
            top: 0,
            writers,
            random,
        };
        for node in 1..NODES {
            cluster.follow(node, 0);
            cluster.await_link(node);
        }
        cluster.writers.write(300_000);
        cluster
    }

    /// A client of a node with which nothing is wrong.
    pub fn client(&self, node: usize) -> Client {
        let mut client = self.nodes[node].server.client();
        client.set_timeout(ANSWER_MAX);
        client
    }

    pub fn others(&self) -> Vec<usize> {
        (0..NODES).filter(|node| *node != self.top).collect()
    }

    pub fn is_below(&self, node: usize, above: usize) -> bool {
        let mut at = self.nodes[node].parent;
        while let Some(parent) = at {
            if parent == above {
                return true;
            }
            at = self.nodes[parent].parent;
        }
        false
    }

    pub fn offset(&self, node: usize) -> u64 {
        let mut client = self.client(node);
        let field = match self.nodes[node].parent {
            Some(_) => "slave_repl_offset",
            None => "master_repl_offset",
        };
        client.replication(field).parse().expect("an offset")
    }

    /// Where a node is to find its parent: there itself, or at a proxy in between.
    fn upstream(&mut self, node: usize, parent: usize) -> SocketAddr {
        let target = self.nodes[parent].server.address();
        self.nodes[node].parent = Some(parent);
        if self.random.one_in(3) {
            self.nodes[node].uplink = None;
            return target;
        }
        let here = self.hub.address(node);
        let proxy = Proxy::between(here, target);
        let address = SocketAddr::from((here, proxy.port));
        self.nodes[node].uplink = Some(proxy);
        address
    }

    pub fn follow(&mut self, node: usize, parent: usize) {
        let to = self.upstream(node, parent);
        let order = format!("REPLICAOF {} {}", to.ip(), to.port());
        self.client(node).must(&order);
    }

    /// SIGKILL; it comes back empty and follows `parent` from its first moment.
    pub fn restart_below(&mut self, node: usize, parent: usize) {
        let to = self.upstream(node, parent);
        self.nodes[node].server.restart_following(to);
    }

    pub fn await_link(&self, node: usize) {
        let mut client = self.client(node);
        wait_until("a link to come up", || linked(&mut client));
    }

    /// Looks at nodes that owe the data of another node and are not troubled. Whether none does
    /// any more.
    pub fn all_caught_up(&mut self, troubled: impl Fn(usize) -> bool) -> bool {
        for node in self.others() {
            let Some(owed) = self.nodes[node].owes else {
                continue;
            };
            let there =
                !troubled(node) && linked(&mut self.client(node)) && self.offset(node) >= owed;
            if there {
                self.nodes[node].owes = None;
            }
        }
        self.nodes.iter().all(|node| node.owes.is_none())
    }

    /// The top is dead and nothing is wrong with the others: of those the one that has most is
    /// promoted, and holds what WAIT confirmed. The dead one comes back below it.
    pub fn fail_over(&mut self) -> usize {
        let old = self.top;
        for node in self.others() {
            let mut client = self.client(node);
            wait_until("a node to have loaded what it has", || {
                client.call("GET any") != Value::error(LOADING)
            });
            if self.nodes[node].parent == Some(old) {
                wait_until("a child to notice the loss", || !linked(&mut client));
            }
        }
        let depth = |node: usize| (0..NODES).filter(|n| self.is_below(node, *n)).count();
        let rank = |node: &usize| (self.offset(*node), std::cmp::Reverse(depth(*node)));
        let heir = self.others().into_iter().max_by_key(rank);
        let heir = heir.expect("there are others");
        let mut client = self.client(heir);
        client.must("REPLICAOF NO ONE");
        self.writers.assert_kept(&mut client);
        (self.nodes[heir].parent, self.nodes[heir].uplink) = (None, None);
        self.top = heir;
        self.writers.point_at(self.nodes[heir].server.address());
        let offset = self.offset(heir);
        for node in 0..NODES {
            self.nodes[node].owes = (node != heir).then_some(offset);
            if node != heir && node != old && self.nodes[node].parent == Some(old) {
                self.follow(node, heir);
            }
        }
        self.restart_below(old, heir);
        heir
    }

    /// With nothing wrong any more: every link comes up, and all nodes hold the same.
    pub fn settle(&mut self) {
        for node in self.others() {
            self.await_link(node);
        }
        self.writers.write(20_000);
        let mut servers = vec![&self.nodes[self.top].server];
        servers.extend(self.others().iter().map(|n| &self.nodes[*n].server));
        assert_all_same(&servers);
        self.writers.assert_kept(&mut self.client(self.top));
    }
}

const LOADING: &str = "LOADING Redis is loading the dataset in memory";
