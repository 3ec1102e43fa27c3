//! Failovers: how the primary is lost, who takes over, and how the old one comes back.

use crate::support::proxy::Way;
use crate::support::sentinel::{FIRST, Group, Place, Plan};
use crate::support::server::Kind;
use crate::support::sync::syncs;
use crate::support::wait_until;

/// The replicas other than the one that was promoted.
fn remaining(group: &Group, promoted: Place) -> Vec<Place> {
    let mut others = group.others(promoted);
    others.retain(|place| *place != FIRST);
    others
}

/// After the loss of the first primary: another one is found, the remaining replicas follow it
/// without a full synchronisation, hold its data, and the files of all say so.
fn assert_failed_over(group: &Group) -> Place {
    let promoted = group.await_failover(FIRST);
    let remaining = remaining(group, promoted);
    for place in &remaining {
        group.await_following(*place, promoted);
    }
    group.assert_same_data(promoted, &remaining);
    group.await_recorded(promoted, &remaining);
    let syncs = syncs(&mut group.client(promoted));
    assert_eq!(syncs.full, 0, "one history: the replicas only resumed");
    promoted
}

/// The first primary is there again: it becomes a replica of the promoted one, after so many full
/// synchronisations, and Sentinel sees a whole group.
fn assert_returned(group: &Group, promoted: Place, full: u64) {
    group.await_following(FIRST, promoted);
    let others = group.others(promoted);
    group.assert_same_data(promoted, &others);
    group.await_recorded(promoted, &others);
    let ports: Vec<u16> = others.iter().map(|place| group.port(*place)).collect();
    group.await_replicas(&ports);
    assert_eq!(syncs(&mut group.client(promoted)).full, full);
}

/// An old primary that was not restarted has no history to go on from either, even if no client
/// has written: sentinels PUBLISH to it as long as it calls itself a primary, before they order it
/// to follow, and what is published is part of the stream.
const OWN_HELLOS: u64 = 1;

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_replica() {
    let mut group = Group::start(&Plan::usual());
    group.assert_same_data(FIRST, &group.others(FIRST));
    group.servers[FIRST].kill();
    let promoted = assert_failed_over(&group);
    // A new process without persistence has no history that it could share.
    group.servers[FIRST].restart();
    assert_returned(&group, promoted, 1);
}

#[test]
fn a_frozen_primary_is_replaced_and_thaws_into_a_replica() {
    let mut group = Group::start(&Plan::usual());
    group.assert_same_data(FIRST, &group.others(FIRST));
    group.servers[FIRST].freeze();
    let promoted = assert_failed_over(&group);
    group.servers[FIRST].thaw();
    assert_returned(&group, promoted, OWN_HELLOS);
}

#[test]
fn a_primary_behind_a_cut_network_is_replaced_and_loses_what_it_alone_wrote() {
    let mut plan = Plan::usual();
    plan.proxied = true;
    let group = Group::start(&plan);
    group.assert_same_data(FIRST, &group.others(FIRST));
    let proxy = group.proxy.as_ref().expect("the plan has one");
    // As if the cable were pulled: nothing arrives, nothing is refused.
    proxy.stall(Way::ToServer, true);
    proxy.stall(Way::ToClient, true);
    group.client(FIRST).must("SET lonely write");
    let promoted = assert_failed_over(&group);
    assert_eq!(group.client(FIRST).replication("role"), "master");
    proxy.stall(Way::ToServer, false);
    proxy.stall(Way::ToClient, false);
    // Its history has a write that nobody else has, so only a full synchronisation helps.
    assert_returned(&group, promoted, 1);
    assert_eq!(group.client(FIRST).call("EXISTS lonely").int(), 0);
}

#[test]
fn a_failover_by_order_moves_the_primary() {
    let group = Group::start(&Plan::usual());
    group.assert_same_data(FIRST, &group.others(FIRST));
    let mut sentinel = group.sentinels[1].client();
    sentinel.must("SENTINEL FAILOVER banyan");
    let promoted = group.await_failover(FIRST);
    let others = group.others(promoted);
    for place in &others {
        group.await_following(*place, promoted);
    }
    group.assert_same_data(promoted, &others);
    group.await_recorded(promoted, &others);
    // Until they are told, the others follow the old primary, and have hellos from it that the
    // promoted one has not. How many that concerns is chance; nobody starts anew twice.
    let full = syncs(&mut group.client(promoted)).full;
    assert!(full <= others.len() as u64, "{full} full synchronisations");
}

#[test]
fn the_lowest_priority_wins_and_zero_is_never_promoted() {
    // The redis-server is the best, then one Banyan; the other must never be.
    let plan = Plan::usual().with_priorities([0, 50, 20]);
    let mut group = Group::start(&plan);
    group.assert_same_data(FIRST, &group.others(FIRST));
    group.servers[FIRST].kill();
    let promoted = assert_failed_over(&group);
    assert_eq!(group.servers[promoted].kind, Kind::Redis);
    group.servers[promoted].kill();
    let next = group.await_failover(promoted);
    assert_eq!(next, 2, "the one of priority 50");
    group.await_following(1, next);
    group.assert_same_data(next, &[1]);
    group.await_recorded(next, &[1]);
    group.servers[next].kill();
    wait_until("a sentinel to find no replica that it may promote", || {
        let given_up = |s: &crate::support::sentinel::Sentinel| {
            s.log().contains("-failover-abort-no-good-slave")
        };
        group.sentinels.iter().any(given_up)
    });
    assert_eq!(group.client(1).replication("role"), "slave");
}

#[test]
fn banyans_follow_a_promoted_redis_server() {
    let plan = Plan::usual().with_priorities([100, 100, 10]);
    let mut group = Group::start(&plan);
    group.assert_same_data(FIRST, &group.others(FIRST));
    group.servers[FIRST].freeze();
    let promoted = assert_failed_over(&group);
    assert_eq!(group.servers[promoted].kind, Kind::Redis);
    group.servers[FIRST].thaw();
    assert_returned(&group, promoted, OWN_HELLOS);
}

#[test]
fn a_group_with_a_password_fails_over() {
    let mut plan = Plan::usual();
    plan.password = Some("s3cret");
    let mut group = Group::start(&plan);
    group.assert_same_data(FIRST, &group.others(FIRST));
    let refused = group.servers[FIRST].client().call("GET a");
    assert_eq!(refused.text(), "NOAUTH Authentication required.");
    group.servers[FIRST].kill();
    let promoted = assert_failed_over(&group);
    group.servers[FIRST].restart();
    assert_returned(&group, promoted, 1);
}
