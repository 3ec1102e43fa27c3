//! `replica-apply-delay`: a replica that shows the past, and the way back from a mistake.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{banyan, redis};
use crate::support::client::Client;
use crate::support::resp::Value;
use crate::support::server::Server;
use crate::support::sync::{assert_same_data, attach, digest, linked, offset, syncs};
use crate::support::wait_until;

/// A delay that is not over within any test.
const AN_HOUR: &str = "3600000";

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_millis() as u64
}

fn number(client: &mut Client, field: &str) -> u64 {
    client.replication(field).parse().expect("a number")
}

/// A primary with some data and a replica that holds back whatever comes after it.
fn delayed(primary: &Server, more: &[&'static str]) -> Server {
    let mut client = primary.client();
    client.must("SET before yes");
    let replica = banyan(2, more);
    attach(&replica, primary.port);
    assert_same_data(primary, &replica);
    replica
        .client()
        .must(&format!("CONFIG SET replica-apply-delay {AN_HOUR}"));
    replica
}

/// Ends the delay: holds both to the same data once everything is applied.
fn assert_same_without_delay(primary: &Server, replica: &Server) {
    let (mut p, mut r) = (primary.client(), replica.client());
    r.must("CONFIG SET replica-apply-delay 0");
    wait_until("everything to be applied", || {
        number(&mut r, "slave_repl_offset") == offset(&mut p)
    });
    assert_same_data(primary, replica);
}

/// Waits until all that the primary wrote so far has been received.
fn await_received(primary: &Server, replica: &Server) {
    let (mut p, mut r) = (primary.client(), replica.client());
    wait_until("the stream to arrive", || offset(&mut r) == offset(&mut p));
}

/// Waits until the clock has moved on, so that what comes later can be told apart.
fn next_ms() -> u64 {
    let start = now_ms();
    wait_until("the next millisecond", || now_ms() > start + 1);
    start + 1
}

#[test]
fn reads_show_the_past_while_sub_replicas_have_the_present() {
    for primary in [redis(&[]), banyan(3, &[])] {
        let replica = delayed(&primary, &[]);
        let leaf = banyan(1, &[]);
        let mut client = replica.client();
        attach(&leaf, replica.port);
        let applied = number(&mut client, "slave_repl_offset");
        primary.client().must("SET after yes");
        primary.client().must("MSET {a}1 x {b}2 y {c}3 z");
        await_received(&primary, &replica);
        assert!(client.call("GET after").is_null());
        assert_eq!(client.call("GET before").text(), "yes");
        // What is forwarded is the whole stream, at once.
        assert_same_data(&primary, &leaf);
        assert_eq!(number(&mut client, "slave_repl_offset"), applied);
        let pending = number(&mut client, "replica_apply_pending_bytes");
        assert_eq!(pending, offset(&mut client) - applied);
        assert_eq!(client.replication("replica_apply_delay_ms"), AN_HOUR);
        assert_eq!(client.replication("slave_priority"), "0", "it is no heir");
        // What it has not applied it does not acknowledge.
        let mut writer = primary.client();
        writer.must("SET unconfirmed yes");
        // The leaf has it, but it is not a replica of the primary's.
        assert_eq!(writer.call("WAIT 1 50"), Value::Int(0));
        assert_same_without_delay(&primary, &replica);
        primary.client().must("SET later yes");
        assert_same_data(&primary, &replica);
        assert_eq!(client.replication("slave_priority"), "100");
        assert_eq!(syncs(&mut primary.client()).full, 1);
    }
}

#[test]
fn a_delay_that_is_over_lets_commands_through_in_their_order() {
    let primary = banyan(2, &[]);
    let replica = delayed(&primary, &[]);
    replica.client().must("CONFIG SET replica-apply-delay 300");
    let mut client = primary.client();
    for at in 0..200 {
        client.must(&format!("SET key:{at} {at}"));
        client.must(&format!("MSET pair:{at} 1 other:{at} 2"));
    }
    let mut reader = replica.client();
    wait_until("the last command to be applied", || {
        number(&mut reader, "replica_apply_pending_bytes") == 0
    });
    assert_same_data(&primary, &replica);
    assert!(number(&mut reader, "replica_apply_last_unix_ms") <= now_ms() - 300);
}

#[test]
fn a_flushall_is_undone_by_a_promotion_to_the_moment_before_it() {
    for primary in [redis(&[]), banyan(2, &[])] {
        let replica = delayed(&primary, &[]);
        let mut client = primary.client();
        for at in 0..100 {
            client.must(&format!("SET wanted:{at} {at}"));
        }
        let wanted = digest(&mut client);
        await_received(&primary, &replica);
        let before = next_ms();
        client.must("FLUSHALL");
        client.must("SET unwanted 1");
        await_received(&primary, &replica);
        let mut heir = replica.client();
        heir.must(&format!("REPLICAOF NO ONE UNTIL {before}"));
        wait_until("the promotion", || heir.replication("role") == "master");
        assert_eq!(
            digest(&mut heir),
            wanted,
            "all that came before it, and nothing after"
        );
        heir.must("SET life goes-on");
        // The former primary shares the history only up to that moment.
        attach(&primary, replica.port);
        assert_same_data(&replica, &primary);
        assert_eq!(syncs(&mut heir).full, 1);
    }
}

#[test]
fn a_promotion_keeps_what_was_applied_and_drops_the_rest() {
    let primary = banyan(2, &[]);
    let replica = delayed(&primary, &[]);
    let behind = banyan(1, &["--replica-apply-delay", AN_HOUR]);
    let ahead = banyan(1, &[]);
    attach(&behind, replica.port);
    attach(&ahead, replica.port);
    let mut heir = replica.client();
    let (kept, applied) = (digest(&mut heir), number(&mut heir, "slave_repl_offset"));
    primary.client().must("SET dropped yes");
    assert_same_data(&primary, &ahead);
    let before = syncs(&mut heir);
    heir.must("REPLICAOF NO ONE");
    assert_eq!(digest(&mut heir), kept);
    let second = number(&mut heir, "second_repl_offset");
    assert_eq!(
        second,
        applied + 1,
        "the former history ends where it was applied"
    );
    // A sub-replica that had more is beyond our history: the one exception from partial resyncs.
    wait_until("the links", || {
        linked(&mut ahead.client()) && linked(&mut behind.client())
    });
    assert_same_data(&replica, &ahead);
    let after = syncs(&mut heir);
    assert!(after.full > before.full, "{before:?} {after:?}");
}

#[test]
fn what_is_held_back_outlives_a_cut_and_a_change_of_parent() {
    let primary = redis(&["--repl-backlog-size", "4mb"]);
    let other = banyan(1, &["--repl-backlog-size", "4mb"]);
    attach(&other, primary.port);
    let replica = delayed(&primary, &[]);
    let mut client = replica.client();
    primary.client().must("SET one 1");
    await_received(&primary, &replica);
    let full = |server: &Server| syncs(&mut server.client()).full;
    let before = full(&primary) + full(&other);
    assert_eq!(primary.client().call("CLIENT KILL TYPE replica").int(), 2);
    primary.client().must("SET two 2");
    wait_until("the links", || {
        linked(&mut client) && linked(&mut other.client())
    });
    await_received(&primary, &replica);
    attach(&replica, other.port);
    primary.client().must("SET three 3");
    await_received(&primary, &replica);
    assert!(client.call("GET one").is_null());
    assert_same_without_delay(&primary, &replica);
    assert_eq!(
        full(&primary) + full(&other),
        before,
        "no full synchronisation"
    );
}

#[test]
fn what_is_too_much_for_memory_goes_to_disk_and_comes_back() {
    let primary = redis(&["--client-output-buffer-limit", "replica 0 0 0"]);
    let replica = delayed(&primary, &["--replica-apply-delay-memory", "1mb"]);
    let mut client = primary.client();
    let value = "v".repeat(10_000);
    for at in 0..3_000 {
        client.must(&format!("SET key:{at} {value}{at}"));
    }
    let mut reader = replica.client();
    wait_until("the stream to be spooled", || {
        number(&mut reader, "replica_apply_spooled_bytes") > 20_000_000
            && number(&mut reader, "replica_apply_pending_bytes") > 30_000_000
    });
    let named = std::fs::read_dir(replica.dir()).expect("its directory");
    let spools = named.filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        name.to_string_lossy().ends_with(".spool")
    });
    assert_eq!(spools.count(), 0, "spool files have no names");
    assert!(reader.call("GET key:0").is_null());
    assert_same_without_delay(&primary, &replica);
    assert_eq!(
        number(&mut reader, "slave_repl_offset"),
        offset(&mut primary.client())
    );
}

#[test]
fn beyond_all_limits_the_oldest_is_applied_early_and_nothing_is_lost() {
    let primary = redis(&["--client-output-buffer-limit", "replica 0 0 0"]);
    let limits = [
        "--replica-apply-delay-memory",
        "1mb",
        "--replica-apply-delay-disk",
        "4mb",
    ];
    let replica = delayed(&primary, &limits);
    let mut client = primary.client();
    let value = "v".repeat(10_000);
    for at in 0..2_000 {
        client.must(&format!("SET key:{at} {value}{at}"));
    }
    await_received(&primary, &replica);
    let mut reader = replica.client();
    wait_until("the oldest to be applied", || {
        !reader.call("GET key:0").is_null()
    });
    assert!(
        reader.call("GET key:1999").is_null(),
        "the youngest is held back"
    );
    assert!(replica.log().contains("applied before their delay is over"));
    assert_eq!(syncs(&mut client).full, 1);
    assert_same_without_delay(&primary, &replica);
}

#[test]
fn a_full_sync_from_a_delayed_replica_is_of_what_it_has_applied() {
    let primary = banyan(2, &[]);
    let replica = delayed(&primary, &["--repl-backlog-size", "1mb"]);
    primary.client().must("SET later yes");
    await_received(&primary, &replica);
    let leaf = redis(&[]);
    attach(&leaf, replica.port);
    assert_same_data(&primary, &leaf);
    // Beyond the backlog it cannot be served: it would miss what came between.
    let value = "v".repeat(10_000);
    for at in 0..300 {
        primary.client().must(&format!("SET key:{at} {value}"));
    }
    await_received(&primary, &replica);
    let late = redis(&[]);
    late.client()
        .must(&format!("REPLICAOF 127.0.0.1 {}", replica.port));
    wait_until("the refusal", || {
        replica
            .log()
            .contains("no full sync from a delayed replica")
    });
    assert_eq!(late.client().replication("master_link_status"), "down");
    replica.client().must("CONFIG SET replica-apply-delay 0");
    wait_until("the link", || linked(&mut late.client()));
    assert_same_data(&primary, &late);
}

#[test]
fn until_is_refused_where_it_cannot_be_kept() {
    let primary = banyan(1, &[]);
    let mut client = primary.client();
    let refused = client.call("REPLICAOF NO ONE UNTIL 1");
    assert_eq!(refused.text(), "ERR REPLICAOF NO ONE UNTIL needs a replica");
    let wrong = "ERR wrong number of arguments for 'replicaof' command";
    for command in [
        "REPLICAOF NO",
        "REPLICAOF NO ONE UNTIL",
        "REPLICAOF NO ONE TILL 1",
    ] {
        assert_eq!(client.call(command).text(), wrong, "{command}");
    }
    let replica = delayed(&primary, &[]);
    let mut client = replica.client();
    for (time, error) in [
        ("x", "ERR value is not an integer or out of range"),
        (
            "99999999999999",
            "ERR REPLICAOF NO ONE UNTIL a time that is still to come",
        ),
        ("1", "ERR what came after that time is applied already"),
    ] {
        assert_eq!(
            client
                .call(&format!("REPLICAOF NO ONE UNTIL {time}"))
                .text(),
            error
        );
    }
    assert_eq!(client.replication("role"), "slave");
}
