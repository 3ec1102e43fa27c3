//! What WAIT has confirmed is on the replica that takes over when the primary is killed.

use super::start;
use crate::support::client::local;
use crate::support::server::{Kind, Server};
use crate::support::sync::{assert_all_same, attach, linked};
use crate::support::writers::{Manners, Writers};
use crate::support::{seed, wait_until};

/// Confirmations of a round before the primary is killed.
const CONFIRMATIONS: u64 = 60;

/// `rounds` times: the primary is killed under writers whose writes so many replicas confirm, of
/// the survivors the one that has more is promoted, and the dead one comes back as its replica.
fn take_over(kinds: &[(Kind, usize)], rounds: usize) {
    let seed = seed();
    let all: Vec<Server> = kinds
        .iter()
        .map(|(kind, shards)| start(*kind, *shards, &["--repl-backlog-size", "64mb"]))
        .collect();
    let mut nodes: Vec<Server> = all;
    let mut top = 0;
    let manners = Manners {
        confirmed_by: 1,
        ..Manners::default()
    };
    let writers = Writers::start(local(nodes[top].port), seed, manners);
    for node in &nodes[1..] {
        attach(node, nodes[top].port);
    }
    for round in 0..rounds {
        let from = writers.confirmations();
        writers.resume();
        wait_until("WAIT to confirm writes", || {
            writers.confirmations() >= from + CONFIRMATIONS
        });
        nodes[top].kill();
        let survivors: Vec<usize> = (0..nodes.len()).filter(|n| *n != top).collect();
        for node in &survivors {
            let mut client = nodes[*node].client();
            wait_until("a replica to notice the loss", || !linked(&mut client));
        }
        writers.pause();
        let offset = |node: &usize| -> u64 {
            let mut client = nodes[*node].client();
            let offset = client.replication("slave_repl_offset");
            offset.parse().expect("an offset")
        };
        let heir = *survivors.iter().max_by_key(|n| offset(n)).expect("one");
        let mut client = nodes[heir].client();
        client.must("REPLICAOF NO ONE");
        writers.assert_kept(&mut client);
        let port = nodes[heir].port;
        println!("round {round}: {:?} took over", nodes[heir].kind);
        writers.point_at(local(port));
        nodes[top].restart_following(local(port));
        for node in survivors.iter().filter(|n| **n != heir) {
            attach(&nodes[*node], port);
        }
        top = heir;
        let mut servers = vec![&nodes[top]];
        servers.extend(nodes.iter().filter(|node| node.port != port));
        assert_all_same(&servers);
    }
    println!("{} writes confirmed", writers.confirmations());
}

#[test]
fn a_write_that_wait_confirmed_is_on_the_only_replica_of_a_killed_primary() {
    take_over(&[(Kind::Banyan, 3), (Kind::Banyan, 2)], 2);
    take_over(&[(Kind::Banyan, 2), (Kind::Redis, 0)], 2);
    take_over(&[(Kind::Banyan, 7), (Kind::Valkey, 0)], 2);
}

#[test]
fn a_write_that_wait_confirmed_is_on_the_better_of_two_replicas() {
    take_over(&[(Kind::Banyan, 2), (Kind::Redis, 0), (Kind::Banyan, 7)], 4);
}
