//! Failovers without Sentinel: SLAVEOF NO ONE here, SLAVEOF there, and an address that moves.

use crate::support::proxy::Proxy;
use crate::support::resp::Value;
use crate::support::server::{Kind, Server};
use crate::support::sync::{assert_same_data, attach, await_offset, linked, syncs};
use crate::support::wait_until;
use crate::writer::{LIBRARIES, Writer};

/// A primary sends no PING of its own meanwhile: it would be a part of its history that a promoted
/// replica may lack.
const ARGS: &[&str] = &[
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "3600",
];

/// A primary with two replicas, the second of them a redis-server.
fn group() -> [Server; 3] {
    let servers = [Kind::Banyan, Kind::Banyan, Kind::Redis].map(|kind| Server::of(kind, ARGS));
    attach(&servers[1], servers[0].port);
    attach(&servers[2], servers[0].port);
    servers
}

#[test]
fn a_switchover_by_hand_loses_nothing_while_clients_retry_by_themselves() {
    let [old, new, third] = group();
    let address = Proxy::to(old.port);
    let port = address.port.to_string();
    let mut writers = LIBRARIES.map(|library| Writer::start(library, &["--port", &port]));
    for writer in &mut writers {
        writer.await_more(50);
    }
    let (mut a, mut b, mut c) = (old.client(), new.client(), third.client());
    a.must("CLIENT PAUSE 60000 WRITE");
    for replica in [&mut b, &mut c] {
        await_offset(&mut a, replica);
    }
    b.must("SLAVEOF NO ONE");
    address.retarget(new.port);
    for replica in [&mut a, &mut c] {
        replica.must(&format!("SLAVEOF 127.0.0.1 {}", new.port));
        wait_until("the link to the new primary", || linked(replica));
    }
    // Nobody has cut the clients' connections: the old primary refuses what they go on to write.
    a.must("CLIENT UNPAUSE");
    for (mut writer, library) in writers.into_iter().zip(LIBRARIES) {
        writer.await_more(50);
        let summary = writer.finish();
        for number in 1..=summary.written {
            let found = b.call(&format!("GET {}", library.key(number)));
            assert_eq!(found, Value::bulk(number.to_string()), "{library:?}");
        }
    }
    assert_same_data(&new, &old);
    assert_same_data(&new, &third);
    assert_eq!(syncs(&mut b).full, 0, "both resumed");
}

#[test]
fn a_frozen_primary_that_wrote_nothing_more_resumes_as_a_replica() {
    let [mut old, new, third] = group();
    old.client().must("SET a 1");
    assert_same_data(&old, &new);
    assert_same_data(&old, &third);
    old.freeze();
    let mut client = new.client();
    client.must("SLAVEOF NO ONE");
    attach(&third, new.port);
    client.must("SET b 2");
    old.thaw();
    attach(&old, new.port);
    assert_same_data(&new, &old);
    assert_same_data(&new, &third);
    let syncs = syncs(&mut client);
    assert_eq!((syncs.full, syncs.partial), (0, 2), "both resumed");
}

#[test]
fn a_frozen_primary_with_a_write_of_its_own_starts_anew() {
    let [mut old, new, _third] = group();
    old.client().must("SET a 1");
    assert_same_data(&old, &new);
    new.client().must("SLAVEOF NO ONE");
    old.client().must("SET lonely write");
    old.freeze();
    new.client().must("SET b 2");
    old.thaw();
    attach(&old, new.port);
    assert_same_data(&new, &old);
    assert_eq!(old.client().call("EXISTS lonely"), Value::Int(0));
    assert_eq!(syncs(&mut new.client()).full, 1);
}

#[test]
fn clients_go_on_by_themselves_after_a_restart_and_after_cut_links() {
    let mut server = Server::banyan(2, &[]);
    let address = Proxy::to(server.port);
    let port = address.port.to_string();
    let mut writers = LIBRARIES.map(|library| Writer::start(library, &["--port", &port]));
    for writer in &mut writers {
        writer.await_more(20);
    }
    address.cut();
    for writer in &mut writers {
        writer.await_more(20);
    }
    server.restart();
    for writer in &mut writers {
        writer.await_more(20);
    }
    let mut client = server.client();
    for (writer, library) in writers.into_iter().zip(LIBRARIES) {
        let summary = writer.finish();
        let last = client.call(&format!("GET {}", library.key(summary.written)));
        assert_eq!(
            last,
            Value::bulk(summary.written.to_string()),
            "{library:?}"
        );
    }
}
