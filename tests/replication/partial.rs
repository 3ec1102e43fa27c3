//! Lost links: what comes back partially, and what cannot.

use super::{banyan, redis, valkey};
use crate::support::load::{Load, write_big, write_some};
use crate::support::proxy::{Proxy, Way};
use crate::support::random::Random;
use crate::support::replica::{Answer, Manners, Replica};
use crate::support::resp::Value;
use crate::support::server::Server;
use crate::support::sync::{assert_same_data, attach, await_offset, linked, syncs};
use crate::support::{seed, wait_until};

fn cut_and_wait(proxy: &Proxy, replica: &Server, while_cut: impl FnOnce()) {
    let mut client = replica.client();
    proxy.refuse(true);
    proxy.cut();
    wait_until("the replica to notice the cut", || !linked(&mut client));
    while_cut();
    proxy.refuse(false);
    wait_until("the link to come back", || linked(&mut client));
}

#[test]
fn a_cut_within_the_backlog_costs_no_full_sync() {
    for shards in [1, 2, 7] {
        let primary = banyan(shards, &["--repl-backlog-size", "4mb"]);
        let mut client = primary.client();
        write_some(&mut client, 2_000, 1);
        let proxy = Proxy::to(primary.port);
        for replica in [redis(&[]), valkey(&[]), banyan(3, &[])] {
            attach(&replica, proxy.port);
            let before = syncs(&mut client);
            cut_and_wait(&proxy, &replica, || write_some(&mut client, 2_000, 2));
            assert_same_data(&primary, &replica);
            let after = syncs(&mut client);
            assert_eq!(
                (after.full, after.partial),
                (before.full, before.partial + 1)
            );
            replica.client().must("REPLICAOF NO ONE");
        }
    }
}

#[test]
fn a_cut_beyond_the_backlog_costs_one_full_sync() {
    for shards in [1, 2, 7] {
        let primary = banyan(shards, &["--repl-backlog-size", "64kb"]);
        let mut client = primary.client();
        let proxy = Proxy::to(primary.port);
        let replica = redis(&[]);
        attach(&replica, proxy.port);
        // A fresh replica already offers the history of its own that it had.
        let before = syncs(&mut client);
        cut_and_wait(&proxy, &replica, || write_big(&mut client, 10, 100_000));
        assert_same_data(&primary, &replica);
        let after = syncs(&mut client);
        assert_eq!((before.full, before.partial), (1, 0));
        assert_eq!(
            (after.full, after.partial, after.refused),
            (2, 0, before.refused + 1)
        );
    }
}

#[test]
fn cuts_at_any_byte_lose_nothing() {
    let seed = seed();
    let mut random = Random::new(seed);
    let primary = banyan(2, &["--repl-backlog-size", "64mb"]);
    let proxy = Proxy::to(primary.port);
    let replicas = [redis(&[]), banyan(3, &[])];
    for replica in &replicas {
        attach(replica, proxy.port);
    }
    assert_same_data(&primary, &replicas[0]);
    assert_same_data(&primary, &replicas[1]);
    let load = Load::start(primary.port, 2, seed);
    for _ in 0..8 {
        proxy.cut_after(Way::ToClient, random.between(1, 30_000) as u64);
        wait_until("the cut", || proxy.was_cut(Way::ToClient));
        for replica in &replicas {
            let mut client = replica.client();
            wait_until("the link to come back", || linked(&mut client));
        }
    }
    load.stop();
    for replica in &replicas {
        assert_same_data(&primary, replica);
    }
    assert_eq!(
        syncs(&mut primary.client()).full,
        2,
        "all cuts were mended partially"
    );
}

#[test]
fn a_value_longer_than_the_backlog_does_not_loop() {
    let primary = banyan(2, &["--repl-backlog-size", "64kb"]);
    let replica = redis(&[]);
    attach(&replica, primary.port);
    write_big(&mut primary.client(), 2, 5_000_000);
    assert_same_data(&primary, &replica);
    assert_eq!(syncs(&mut primary.client()).full, 1);
}

#[test]
fn partial_requests_are_judged_to_the_byte() {
    let primary = banyan(2, &["--repl-backlog-size", "1mb"]);
    let mut client = primary.client();
    let mut first = Replica::full(primary.port);
    let (replid, start) = (first.replid.clone(), first.offset);
    for i in 0..100 {
        client.must(&format!("SET key:{i} {i}"));
    }
    client.must("SET marker x");
    let seen = first.until("marker");
    assert_eq!(seen.len(), 100);
    let end = first.offset;
    // From the first byte after the snapshot.
    let mut all = Replica::psync(primary.port, &replid, start as i64 + 1, Manners::default());
    assert!(
        matches!(all.answer, Answer::Continue(_)),
        "{:?}",
        all.answer
    );
    let again = all.until("marker");
    assert_eq!(again, seen, "the same bytes again, SELECT included");
    assert_eq!(all.offset, end);
    // Nothing missed.
    let at_end = Replica::psync(primary.port, &replid, end as i64 + 1, Manners::default());
    assert!(
        matches!(at_end.answer, Answer::Continue(_)),
        "{:?}",
        at_end.answer
    );
    // Ahead of the primary, another history, no number.
    for (id, offset) in [
        (replid.clone(), end as i64 + 2),
        ("a".repeat(40), end as i64),
    ] {
        let other = Replica::psync(primary.port, &id, offset, Manners::default());
        assert!(
            matches!(other.answer, Answer::Full { .. }),
            "{id} {offset}: {:?}",
            other.answer
        );
    }
}

#[test]
fn a_partial_resync_sends_no_select_of_its_own() {
    let primary = banyan(2, &[]);
    let mut client = primary.client();
    let mut first = Replica::full(primary.port);
    client.must("SELECT 5");
    client.must("SET marker x");
    first.until("marker");
    assert_eq!(first.db, 5);
    let next = first.offset as i64 + 1;
    let mut second = Replica::psync(primary.port, &first.replid, next, Manners::default());
    client.must("SET key x");
    let command = loop {
        let command = second
            .next(crate::support::PATIENCE)
            .expect("the stream goes on");
        if command.name() != "PING" {
            break command;
        }
    };
    assert_eq!(command.name(), "SET", "no SELECT before it");
}

#[test]
fn promotion_lets_siblings_resume_partially() {
    let primary = redis(&["--repl-backlog-size", "4mb"]);
    let heir = banyan(2, &["--repl-backlog-size", "4mb"]);
    let siblings = [redis(&[]), banyan(3, &[])];
    attach(&heir, primary.port);
    for sibling in &siblings {
        attach(sibling, primary.port);
    }
    write_some(&mut primary.client(), 2_000, 6);
    for follower in [&heir, &siblings[0], &siblings[1]] {
        assert_same_data(&primary, follower);
    }
    let mut client = heir.client();
    let old = client.replication("master_replid");
    assert_eq!(old, primary.client().replication("master_replid"));
    drop(primary);
    client.must("REPLICAOF NO ONE");
    let offset: u64 = client
        .replication("master_repl_offset")
        .parse()
        .expect("an offset");
    assert_eq!(client.replication("master_replid2"), old);
    let second = client.replication("second_repl_offset");
    assert_eq!(second, (offset + 1).to_string());
    assert_ne!(client.replication("master_replid"), old);
    let before = syncs(&mut client);
    for sibling in &siblings {
        attach(sibling, heir.port);
    }
    write_some(&mut client, 2_000, 7);
    for sibling in &siblings {
        assert_same_data(&heir, sibling);
    }
    let after = syncs(&mut client);
    assert_eq!(
        (after.full, after.partial),
        (before.full, before.partial + 2)
    );
}

#[test]
fn a_demoted_primary_resumes_at_its_heir() {
    let primary = banyan(2, &["--repl-backlog-size", "4mb"]);
    let heir = redis(&["--repl-backlog-size", "4mb"]);
    attach(&heir, primary.port);
    write_some(&mut primary.client(), 1_000, 8);
    assert_same_data(&primary, &heir);
    heir.client().must("REPLICAOF NO ONE");
    write_some(&mut heir.client(), 1_000, 9);
    attach(&primary, heir.port);
    assert_same_data(&heir, &primary);
    assert_eq!(
        syncs(&mut heir.client()).partial,
        1,
        "no byte was written after the promotion"
    );
    heir.client().must("SET one more");
    primary.client().must("REPLICAOF NO ONE");
    primary.client().must("SET a fork");
    let before = syncs(&mut heir.client()).full;
    attach(&primary, heir.port);
    assert_same_data(&heir, &primary);
    assert_eq!(
        syncs(&mut heir.client()).full,
        before + 1,
        "a fork of history must be dropped"
    );
}

#[test]
fn a_frozen_replica_slows_nobody_and_is_dropped_at_its_limit() {
    // The limit of a replica is never below the backlog's size, as in Redis.
    let limit = "replica 16mb 0 0";
    let primary = banyan(
        2,
        &[
            "--repl-backlog-size",
            "1mb",
            "--client-output-buffer-limit",
            limit,
        ],
    );
    let mut frozen = redis(&[]);
    let steady = redis(&[]);
    attach(&frozen, primary.port);
    attach(&steady, primary.port);
    let mut client = primary.client();
    assert_same_data(&primary, &frozen);
    assert_same_data(&primary, &steady);
    frozen.freeze();
    // Far more than the limit and the kernel's buffers together. It all gets through while
    // the frozen one reads nothing.
    for round in 0..60 {
        write_big(&mut client, 10, 100_000);
        client.must(&format!("SET round {round}"));
    }
    wait_until("the frozen replica to be dropped", || {
        client.replication("connected_slaves") == "1"
    });
    assert_same_data(&primary, &steady);
    frozen.thaw();
    assert_same_data(&primary, &frozen);
    assert_same_data(&primary, &steady);
    assert_eq!(syncs(&mut client).full, 3, "the steady one needed no other");
}

#[test]
fn a_frozen_replica_is_given_up_after_its_timeout() {
    let primary = banyan(
        2,
        &["--repl-timeout", "3", "--repl-ping-replica-period", "1"],
    );
    let mut replica = redis(&[]);
    attach(&replica, primary.port);
    let mut client = primary.client();
    wait_until("the replica to be online", || {
        client.replication("slave0").contains("online")
    });
    replica.freeze();
    wait_until("the silent replica to be dropped", || {
        client.replication("connected_slaves") == "0"
    });
    client.must("SET while frozen");
    replica.thaw();
    assert_same_data(&primary, &replica);
    let after = syncs(&mut client);
    assert_eq!(
        (after.full, after.partial),
        (1, 1),
        "the backlog had what it missed"
    );
}

#[test]
fn a_replica_notices_a_silent_primary() {
    let primary = redis(&["--repl-ping-replica-period", "1"]);
    let replica = banyan(2, &["--repl-timeout", "3"]);
    let proxy = Proxy::to(primary.port);
    attach(&replica, proxy.port);
    proxy.stall(Way::ToClient, true);
    let mut client = replica.client();
    wait_until("the replica to give the link up", || !linked(&mut client));
    proxy.stall(Way::ToClient, false);
    primary.client().must("SET later 1");
    assert_same_data(&primary, &replica);
    assert_eq!(client.call("GET later"), Value::bulk("1"));
}

#[test]
fn a_killed_replica_comes_back_with_a_full_sync() {
    let primary = banyan(2, &[]);
    let port = primary.port.to_string();
    write_some(&mut primary.client(), 1_000, 3);
    let mut replica = Server::banyan(3, &["--replicaof", "127.0.0.1", &port]);
    assert_same_data(&primary, &replica);
    replica.restart();
    write_some(&mut primary.client(), 1_000, 4);
    await_offset(&mut primary.client(), &mut replica.client());
    assert_same_data(&primary, &replica);
}
