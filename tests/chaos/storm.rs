//! Faults that overlap, in random order, and what must hold during and after them.

use super::cluster::{Cluster, NODES};
use crate::support::netns::Hub;
use crate::support::pause;
use crate::support::proxy::Way;
use crate::support::server::Kind;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Faults at once.
const ONGOING_MAX: usize = 3;
/// What writers may send in a step of a tenth of a second.
const STEP_BYTES: usize = 60_000;
/// After so long a time all faults end, and everything is compared.
const ROUND: Duration = Duration::from_secs(15);
/// The dataset has some MiB, the backlogs one; debug builds have more of everything.
const RESIDENT_MAX: u64 = 512 << 20;

/// A fault that has to be ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    CableOut,
    Stalled(Way),
    Slow,
    Frozen,
}

struct Ongoing {
    node: usize,
    fault: Fault,
    until: Instant,
}

struct Storm {
    cluster: Cluster,
    ongoing: Vec<Ongoing>,
    counts: BTreeMap<String, u64>,
}

pub fn run(hub: Hub, real: Kind, length: Duration, seed: u64) {
    let mut storm = Storm {
        cluster: Cluster::start(hub, real, seed),
        ongoing: Vec::new(),
        counts: BTreeMap::new(),
    };
    storm.cluster.settle();
    let started = Instant::now();
    while started.elapsed() < length {
        let round = Instant::now();
        while round.elapsed() < ROUND && started.elapsed() < length {
            storm.step();
        }
        storm.end_all();
        let healing = Instant::now();
        storm.cluster.settle();
        println!(
            "all well again {:?} after the last fault",
            healing.elapsed()
        );
        storm.assert_bounded();
    }
    let faults: u64 = storm.counts.values().sum();
    let confirmed = storm.cluster.writers.confirmations();
    println!(
        "{faults} faults in {:?}: {:?}; {confirmed} writes confirmed",
        started.elapsed(),
        storm.counts
    );
    // 500 in half an hour at least.
    assert!(faults * 1_800 >= 500 * length.as_secs(), "too calm");
    assert!(confirmed > 0, "WAIT confirmed nothing");
}

impl Storm {
    fn step(&mut self) {
        if self.cluster.writers.is_idle() {
            self.cluster.writers.allow(STEP_BYTES);
        }
        self.end_due();
        if self.ongoing.len() < ONGOING_MAX && self.cluster.random.one_in(3) {
            self.begin();
        }
        pause(100);
    }

    fn is_troubled(&self, node: usize) -> bool {
        self.ongoing.iter().any(|ongoing| ongoing.node == node)
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Begins something new at a node that has no trouble yet.
    fn begin(&mut self) {
        let node = self.cluster.random.below(NODES);
        if self.is_troubled(node) {
            return;
        }
        let fault = match self.cluster.random.below(10) {
            0 | 1 => Fault::CableOut,
            2 => Fault::Stalled(Way::ToClient),
            3 => Fault::Stalled(Way::ToServer),
            4 => Fault::Slow,
            5 | 6 => Fault::Frozen,
            7 => return self.kill(node),
            8 => return self.kill(self.cluster.top),
            _ => return self.move_elsewhere(node),
        };
        self.inflict(node, fault);
    }

    fn inflict(&mut self, node: usize, fault: Fault) {
        let target = &mut self.cluster.nodes[node];
        match fault {
            Fault::CableOut => self.cluster.hub.cable(node, false),
            Fault::Slow => self.cluster.hub.limit(node, 800),
            Fault::Frozen => target.server.freeze(),
            Fault::Stalled(way) => match &target.uplink {
                Some(uplink) => uplink.stall(way, true),
                None => return,
            },
        }
        self.count(&format!("{fault:?}"));
        // Some outlast the timeouts.
        let longest = if self.cluster.random.one_in(4) {
            8_000
        } else {
            1_500
        };
        let millis = self.cluster.random.between(100, longest) as u64;
        let until = Instant::now() + Duration::from_millis(millis);
        self.ongoing.push(Ongoing { node, fault, until });
    }

    fn relieve(&mut self, ongoing: &Ongoing) {
        let node = &mut self.cluster.nodes[ongoing.node];
        match ongoing.fault {
            Fault::CableOut => self.cluster.hub.cable(ongoing.node, true),
            Fault::Slow => self.cluster.hub.lift_limit(ongoing.node),
            Fault::Frozen => node.server.thaw(),
            Fault::Stalled(way) => {
                let uplink = node.uplink.as_ref();
                uplink.expect("troubled nodes stay").stall(way, false);
            }
        }
    }

    fn end_due(&mut self) {
        let now = Instant::now();
        let (due, rest) = std::mem::take(&mut self.ongoing)
            .into_iter()
            .partition(|ongoing| ongoing.until <= now);
        self.ongoing = rest;
        for ongoing in &due as &Vec<Ongoing> {
            self.relieve(ongoing);
        }
    }

    fn end_all(&mut self) {
        for ongoing in std::mem::take(&mut self.ongoing) {
            self.relieve(&ongoing);
        }
    }

    /// SIGKILL. The top only while every other node has what it once confirmed.
    fn kill(&mut self, node: usize) {
        if node != self.cluster.top {
            if !self.is_troubled(self.cluster.top) {
                let owed = self.cluster.offset(self.cluster.top);
                let parent = self.cluster.nodes[node].parent;
                self.cluster
                    .restart_below(node, parent.expect("it is no top"));
                self.cluster.nodes[node].owes = Some(owed);
                self.count("Killed");
            }
            return;
        }
        let troubled: Vec<usize> = self.ongoing.iter().map(|o| o.node).collect();
        if !self.cluster.all_caught_up(|node| troubled.contains(&node)) {
            return;
        }
        self.cluster.nodes[node].server.kill();
        // The dead are not thawed.
        self.ongoing
            .retain(|ongoing| ongoing.node != node || ongoing.fault != Fault::Frozen);
        self.end_all();
        let heir = self.cluster.fail_over();
        println!("{node} killed, {heir} took over");
        self.count("TopKilled");
    }

    /// Another parent, whether or not something is wrong with that one.
    fn move_elsewhere(&mut self, node: usize) {
        let top = self.cluster.top;
        let to = self.cluster.random.below(NODES);
        let fits = node != top
            && to != node
            && !self.cluster.is_below(to, node)
            && self.cluster.nodes[node].parent != Some(to)
            && !self.is_troubled(top);
        if fits {
            let owed = self.cluster.offset(top);
            self.cluster.follow(node, to);
            self.cluster.nodes[node].owes = Some(owed);
            self.count("Moved");
        }
    }

    fn assert_bounded(&self) {
        for node in &self.cluster.nodes {
            let resident = node.server.resident();
            assert!(
                resident < RESIDENT_MAX,
                "{:?} takes {resident} bytes",
                node.server.kind
            );
        }
    }
}
