//! Trees: replicas of replicas, Banyan at the top, in the middle and at the end.

use super::{banyan, redis, valkey};
use crate::support::load::{Load, write_some};
use crate::support::proxy::Proxy;
use crate::support::replica::Replica;
use crate::support::resp::Value;
use crate::support::server::Server;
use crate::support::sync::{assert_same_data, attach, linked, syncs};
use crate::support::{seed, wait_until};

/// Attaches each to the one before it, writes at the top, compares all with the top.
fn follow_in_line(line: &[Server]) {
    let seed = seed();
    write_some(&mut line[0].client(), 3_000, seed);
    for pair in line.windows(2) {
        attach(&pair[1], pair[0].port);
    }
    let load = Load::start(line[0].port, 2, seed);
    let before = load.written();
    wait_until("the writers to go on", || load.written() > before + 5_000);
    load.stop();
    for server in &line[1..] {
        assert_same_data(&line[0], server);
        let id = server.client().replication("master_replid");
        assert_eq!(
            id,
            line[0].client().replication("master_replid"),
            "one history in a tree"
        );
    }
}

#[test]
fn a_real_replica_of_a_real_replica_of_banyan_follows() {
    follow_in_line(&[banyan(2, &[]), redis(&[]), redis(&[])]);
}

#[test]
fn banyan_between_two_real_servers_follows_and_feeds() {
    follow_in_line(&[redis(&[]), banyan(2, &[]), redis(&[])]);
    follow_in_line(&[redis(&[]), banyan(3, &[]), valkey(&[])]);
}

#[test]
fn banyans_in_line_with_different_shards_follow() {
    follow_in_line(&[banyan(1, &[]), banyan(3, &[]), banyan(2, &[]), redis(&[])]);
}

#[test]
fn sub_replicas_stay_attached_while_the_upstream_is_away() {
    let top = redis(&["--repl-backlog-size", "4mb"]);
    let proxy = Proxy::to(top.port);
    let middle = banyan(2, &["--repl-backlog-size", "4mb"]);
    let bottom = redis(&[]);
    attach(&middle, proxy.port);
    attach(&bottom, middle.port);
    write_some(&mut top.client(), 1_000, 1);
    assert_same_data(&top, &bottom);
    proxy.refuse(true);
    proxy.cut();
    let mut client = middle.client();
    wait_until("the middle to notice", || !linked(&mut client));
    assert!(linked(&mut bottom.client()));
    write_some(&mut top.client(), 1_000, 2);
    proxy.refuse(false);
    assert_same_data(&top, &middle);
    assert_same_data(&top, &bottom);
    assert_eq!(syncs(&mut top.client()).full, 1);
    assert_eq!(syncs(&mut client).full, 1);
}

#[test]
fn a_new_parent_of_the_middle_costs_the_bottom_no_full_sync() {
    let old = redis(&["--repl-backlog-size", "4mb"]);
    let heir = redis(&["--repl-backlog-size", "4mb"]);
    let middle = banyan(2, &["--repl-backlog-size", "4mb"]);
    let bottom = redis(&[]);
    attach(&heir, old.port);
    attach(&middle, old.port);
    attach(&bottom, middle.port);
    write_some(&mut old.client(), 1_000, 1);
    for server in [&heir, &middle, &bottom] {
        assert_same_data(&old, server);
    }
    drop(old);
    heir.client().must("REPLICAOF NO ONE");
    attach(&middle, heir.port);
    write_some(&mut heir.client(), 1_000, 2);
    assert_same_data(&heir, &middle);
    assert_same_data(&heir, &bottom);
    assert_eq!(syncs(&mut heir.client()).full, 0);
    assert_eq!(
        syncs(&mut middle.client()).full,
        1,
        "the bottom resumed partially"
    );
}

#[test]
fn a_middle_forwards_the_bytes_of_its_upstream() {
    let top = redis(&["--repl-ping-replica-period", "1"]);
    let middle = banyan(2, &[]);
    attach(&middle, top.port);
    let mut direct = Replica::full(top.port);
    let mut relayed = Replica::full(middle.port);
    let mut client = top.client();
    client.must("SELECT 3");
    client.call("MSET a 1 b 2 c 3");
    client.must("MULTI");
    client.call("SET x 1");
    client.call("INCR x");
    client.call("EXEC");
    client.must("SELECT 0");
    client.must("SET marker x");
    let (a, b) = (direct.until("marker"), relayed.until("marker"));
    assert_eq!(a, b, "the same commands at the same offsets");
}

#[test]
fn a_replica_refuses_writes_unless_told_otherwise() {
    let primary = redis(&[]);
    let replica = banyan(2, &[]);
    attach(&replica, primary.port);
    let mut client = replica.client();
    let refused = client.call("SET a 1");
    let text = "READONLY You can't write against a read only replica.";
    assert_eq!(refused, Value::error(text));
    client.must("CONFIG SET replica-read-only no");
    client.must("SET local 1");
    assert_eq!(primary.client().call("EXISTS local"), Value::Int(0));
    assert_eq!(client.call("GET local"), Value::bulk("1"));
}

#[test]
fn a_replica_hides_expired_keys_and_waits_for_the_primary_to_delete_them() {
    let primary = banyan(2, &[]);
    let replica = redis(&[]);
    let banyan = banyan(3, &[]);
    attach(&replica, primary.port);
    attach(&banyan, primary.port);
    let mut client = primary.client();
    for i in 0..200 {
        client.must(&format!("SET short:{i} x PX {}", 1 + i));
    }
    client.must("SET long x");
    wait_until("all short keys to be deleted", || {
        client.call("DBSIZE") == Value::Int(1)
            && replica.client().call("DBSIZE") == Value::Int(1)
            && banyan.client().call("DBSIZE") == Value::Int(1)
    });
    assert_same_data(&primary, &replica);
    assert_same_data(&primary, &banyan);
}
