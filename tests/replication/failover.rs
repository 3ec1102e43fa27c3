//! FAILOVER: a primary hands its role over, to whichever server takes it, and no write is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{banyan, redis, valkey};
use crate::support::client::Client;
use crate::support::resp::Value;
use crate::support::server::Server;
use crate::support::sync::{assert_all_same, assert_same_data, attach, syncs};
use crate::support::wait_until;

fn state(server: &Server) -> String {
    server.client().replication("master_failover_state")
}

/// Counts up at whoever is the primary until told to stop; how far it was confirmed.
fn count_up(ports: [u16; 2], stop: &AtomicBool) -> i64 {
    let (mut clients, mut at, mut confirmed) = (ports.map(Client::connect), 0, 0);
    while !stop.load(Ordering::Relaxed) {
        match clients[at].call("INCR counter") {
            Value::Int(number) => {
                assert_eq!(
                    number,
                    confirmed + 1,
                    "no write is lost, and none is made twice"
                );
                confirmed = number;
            }
            refused => {
                assert!(refused.text().starts_with("READONLY"), "{refused:?}");
                at = 1 - at;
            }
        }
    }
    confirmed
}

fn hand_over(primary: &Server, heir: &Server, sibling: &Server) {
    attach(heir, primary.port);
    attach(sibling, primary.port);
    let stop = AtomicBool::new(false);
    let before = syncs(&mut primary.client()).full;
    thread::scope(|scope| {
        let writer = scope.spawn(|| count_up([primary.port, heir.port], &stop));
        let mut client = primary.client();
        wait_until("some writes", || !client.call("GET counter").is_null());
        client.must(&format!(
            "FAILOVER TO 127.0.0.1 {} TIMEOUT 60000",
            heir.port
        ));
        wait_until("the roles to change", || {
            state(primary) == "no-failover" && heir.client().replication("role") == "master"
        });
        wait_until("the link", || {
            primary.client().replication("master_link_status") == "up"
        });
        let moved: i64 = heir
            .client()
            .call("GET counter")
            .text()
            .parse()
            .expect("a number");
        wait_until("writes at the heir", || {
            heir.client()
                .call("GET counter")
                .text()
                .parse::<i64>()
                .expect("a number")
                > moved
        });
        stop.store(true, Ordering::Relaxed);
        let confirmed = writer.join().expect("the writer");
        assert_eq!(
            heir.client().call("GET counter").text(),
            confirmed.to_string()
        );
    });
    attach(sibling, heir.port);
    assert_same_data(heir, primary);
    assert_same_data(heir, sibling);
    let full = syncs(&mut heir.client()).full + syncs(&mut primary.client()).full;
    assert_eq!(full, before, "nobody needed a full synchronisation");
}

#[test]
fn a_primary_hands_over_to_a_replica_of_its_kind() {
    hand_over(&banyan(2, &[]), &banyan(3, &[]), &banyan(1, &[]));
}

#[test]
fn a_primary_hands_over_to_real_replicas() {
    hand_over(&banyan(2, &[]), &redis(&[]), &banyan(2, &[]));
    hand_over(&banyan(1, &[]), &valkey(&[]), &redis(&[]));
}

#[test]
fn real_primaries_hand_over_to_us() {
    hand_over(&redis(&[]), &banyan(2, &[]), &redis(&[]));
    hand_over(&valkey(&[]), &banyan(7, &[]), &banyan(1, &[]));
}

#[test]
fn whoever_has_everything_first_is_the_heir_of_nobody_in_particular() {
    let (primary, replica) = (banyan(2, &[]), banyan(2, &[]));
    attach(&replica, primary.port);
    primary.client().must("FAILOVER");
    wait_until("the roles to change", || {
        replica.client().replication("role") == "master" && state(&primary) == "no-failover"
    });
    assert_eq!(primary.client().replication("role"), "slave");
}

/// A primary whose only replica takes nothing.
fn with_frozen_replica() -> (Server, Server) {
    let (primary, mut replica) = (banyan(2, &[]), banyan(1, &[]));
    attach(&replica, primary.port);
    replica.freeze();
    primary.client().must("SET not there");
    (primary, replica)
}

#[test]
fn a_failover_that_waits_holds_writes_and_ends_by_abort_or_timeout() {
    let (primary, mut replica) = with_frozen_replica();
    let mut client = primary.client();
    for ends_by_abort in [true, false] {
        let command = if ends_by_abort {
            "FAILOVER"
        } else {
            "FAILOVER TIMEOUT 500"
        };
        client.must(command);
        assert_eq!(state(&primary), "waiting-for-sync");
        let mut writer = primary.client();
        writer.send(b"SET held back\r\n").expect("it is sent");
        assert_eq!(
            client.call("GET held").is_null(),
            ends_by_abort,
            "reads are answered"
        );
        for (command, error) in [
            ("FAILOVER", "ERR FAILOVER already in progress."),
            (
                "REPLICAOF NO ONE",
                "ERR REPLICAOF not allowed while failing over.",
            ),
        ] {
            assert_eq!(client.call(command).text(), error);
        }
        if ends_by_abort {
            client.must("FAILOVER ABORT");
        }
        assert_eq!(writer.read().expect("a reply"), Value::ok());
        assert_eq!(state(&primary), "no-failover");
        assert_eq!(client.replication("role"), "master");
    }
    replica.thaw();
    assert_same_data(&primary, &replica);
}

#[test]
fn a_forced_failover_leaves_behind_what_the_heir_never_got() {
    let (primary, mut replica) = with_frozen_replica();
    let mut client = primary.client();
    client.must(&format!(
        "FAILOVER TO 127.0.0.1 {} FORCE TIMEOUT 100",
        replica.port
    ));
    wait_until("the hand-over", || {
        state(&primary) == "failover-in-progress"
    });
    let refused = client.call("SET too late");
    assert!(refused.text().starts_with("READONLY"), "{refused:?}");
    // The heir never had the last write, so its history is not that of the primary's end. It has
    // by then, if it reads what was sent to it before it was asked: either is right.
    replica.thaw();
    wait_until("the end", || state(&primary) == "no-failover");
    let roles = [&primary, &replica].map(|server| server.client().replication("role"));
    assert_eq!(
        roles.iter().filter(|role| *role == "master").count(),
        1,
        "{roles:?}"
    );
}

#[test]
fn an_heir_that_is_no_replica_of_ours_does_not_take_over() {
    let (other, replica) = (banyan(1, &[]), banyan(1, &[]));
    attach(&replica, other.port);
    let id = other.client().replication("master_replid");
    let mut client = other.client();
    let refused = client.call(&format!("PSYNC {id} 1 FAILOVER"));
    assert_eq!(
        refused.text(),
        "ERR PSYNC FAILOVER can't be sent to a master."
    );
    let refused = replica
        .client()
        .call(&format!("PSYNC {} 1 FAILOVER", "a".repeat(40)));
    assert_eq!(
        refused.text(),
        "ERR PSYNC FAILOVER replid must match my replid."
    );
    assert_eq!(replica.client().replication("role"), "slave");
}

/// The answer of an heir that took over may be lost with its connection.
#[test]
fn a_former_primary_that_asks_again_is_told_that_the_heir_has_taken_over() {
    for heir in [banyan(1, &[]), banyan(3, &[])] {
        let primary = banyan(2, &[]);
        attach(&heir, primary.port);
        primary.client().must("SET a x");
        assert_all_same(&[&primary, &heir]);
        let id = primary.client().replication("master_replid");
        primary.client().must("FAILOVER");
        wait_until("the heir to take over", || {
            heir.client().replication("role") == "master"
        });
        let new = heir.client().replication("master_replid");
        let from = heir.client().replication("second_repl_offset");
        let mut client = heir.client();
        client.must("REPLCONF capa psync2");
        let again = client.call(&format!("PSYNC {id} {from} FAILOVER"));
        assert_eq!(again.text(), format!("CONTINUE {new}"));
        // Somebody who is elsewhere in that history has not handed anything over.
        let other: u64 = from.parse::<u64>().expect("an offset") - 1;
        let refused = heir.client().call(&format!("PSYNC {id} {other} FAILOVER"));
        assert_eq!(
            refused.text(),
            "ERR PSYNC FAILOVER can't be sent to a master."
        );
    }
}

#[test]
fn failover_is_refused_in_the_words_of_a_real_server() {
    let servers = [redis(&[]), banyan(2, &[])];
    let replicas = [redis(&[]), banyan(1, &[])];
    let commands = [
        "FAILOVER",
        "FAILOVER ABORT",
        "FAILOVER ABORT TIMEOUT 5",
        "FAILOVER TO 127.0.0.1",
        "FAILOVER TO 127.0.0.1 x",
        "FAILOVER TO 127.0.0.1 1",
        "FAILOVER TO 127.0.0.1 1 TO 127.0.0.1 2",
        "FAILOVER TIMEOUT",
        "FAILOVER TIMEOUT x",
        "FAILOVER TIMEOUT 0",
        "FAILOVER FORCE",
        "FAILOVER FORCE TIMEOUT 10",
        "FAILOVER TO 127.0.0.1 1 FORCE",
        "FAILOVER TO 127.0.0.1 1 FORCE TIMEOUT 10",
        "FAILOVER nonsense",
    ];
    let compare = |servers: [&Server; 2], commands: &[&str]| {
        for command in commands {
            let replies = servers.map(|server| server.client().call(command));
            assert_eq!(replies[0], replies[1], "{command}");
        }
    };
    compare([&servers[0], &servers[1]], &commands);
    for (replica, server) in replicas.iter().zip(&servers) {
        attach(replica, server.port);
    }
    // With a replica, the ones without an heir's name would begin.
    let named = |command: &&&str| command.contains("TO ") || command.contains("FORCE");
    let named: Vec<&str> = commands.iter().filter(named).copied().collect();
    compare([&servers[0], &servers[1]], &named);
    compare([&replicas[0], &replicas[1]], &commands);
}
