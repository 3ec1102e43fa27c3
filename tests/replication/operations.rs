//! What operators and Sentinel do: a failover's transaction, names instead of addresses, the
//! shutdown of a primary, and the directives of replication.

use super::{banyan, redis, valkey};
use crate::support::replica::{Answer, Manners, Replica};
use crate::support::resp::Value;
use crate::support::server::Server;
use crate::support::sync::{assert_same_data, attach, await_offset, linked};
use crate::support::{pause, wait_for, wait_until};

#[test]
fn the_transaction_by_which_sentinel_moves_a_server_works_whole() {
    for shards in [1, 3] {
        let primary = redis(&[]);
        let server = Server::banyan(shards, &[]);
        let mut others: Vec<_> = (0..6).map(|_| server.client()).collect();
        others.iter_mut().for_each(|client| client.must("SET a 1"));
        let mut client = server.client();
        client.must("MULTI");
        let port = primary.port;
        for command in [
            &format!("SLAVEOF 127.0.0.1 {port}"),
            "CONFIG GET replicaof",
            "CLIENT KILL TYPE normal",
            "CLIENT KILL TYPE pubsub",
        ] {
            assert_eq!(client.call(command).text(), "QUEUED");
        }
        let replies = client.call("EXEC");
        let shown = format!("127.0.0.1 {port}");
        assert_eq!(replies.items()[0], Value::ok());
        assert_eq!(replies.items()[1].items()[1].text(), shown);
        assert_eq!(replies.items()[2].int(), 6);
        assert!(others.iter_mut().all(|client| client.closed_by_server()));
        wait_until("the server to follow", || linked(&mut client));
        assert_same_data(&primary, &server);
        let replies = [
            client.call("MULTI"),
            client.call("SLAVEOF NO ONE"),
            client.call("EXEC"),
        ];
        assert_eq!(replies[2].items(), [Value::ok()]);
        wait_until("the promotion", || client.replication("role") == "master");
        client.must("SET written yes");
    }
}

#[test]
fn upstreams_are_found_by_name_and_followed_again_after_a_cut() {
    for io in ["uring", "epoll"] {
        let primary = redis(&[]);
        primary.client().must("SET a 1");
        let replica = banyan(2, &["--io", io]);
        let mut client = replica.client();
        client.must(&format!("REPLICAOF localhost {}", primary.port));
        wait_until("the link", || linked(&mut client));
        assert_eq!(client.replication("master_host"), "localhost");
        assert_eq!(primary.client().call("CLIENT KILL TYPE replica").int(), 1);
        primary.client().must("SET b 2");
        assert_same_data(&primary, &replica);
        // A name that nobody knows holds nobody up.
        client.must("REPLICAOF no-such-host.invalid 6379");
        wait_until("the failure", || {
            replica.log().contains("cannot find the upstream")
        });
        assert_eq!(client.call("GET b").text(), "2");
        assert_eq!(client.replication("master_link_status"), "down");
    }
}

#[test]
fn a_replica_comes_from_its_source_address() {
    let primary = valkey(&[]);
    let replica = banyan(1, &["--bind-source-addr", "127.0.0.9"]);
    attach(&replica, primary.port);
    let line = primary.client().replication("slave0");
    assert!(line.contains("ip=127.0.0.9,"), "{line}");
}

#[test]
fn a_shutdown_waits_for_replicas_that_lag() {
    let mut primary = banyan(2, &["--shutdown-timeout", "60"]);
    let mut replica = redis(&[]);
    attach(&replica, primary.port);
    let mut client = primary.client();
    client.must("SET a 1");
    await_offset(&mut client, &mut replica.client());
    replica.freeze();
    client.must("SET b 2");
    let mut stopper = primary.client();
    stopper
        .send(b"*1\r\n$8\r\nSHUTDOWN\r\n")
        .expect("a short request");
    // While it waits, clients read but do not write.
    wait_until("the wait to begin", || {
        primary.log().contains("waiting for replicas")
    });
    assert_eq!(client.call("GET b").text(), "2");
    let mut writer = primary.client();
    writer
        .send(b"*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$1\r\n3\r\n")
        .expect("a short request");
    wait_until("the writer to be held back", || {
        client.info("clients", "blocked_clients").as_deref() == Some("1")
    });
    assert_eq!(client.call("SHUTDOWN ABORT"), Value::ok());
    let failed = stopper.read().expect("an answer");
    assert_eq!(failed.text(), "ERR Errors trying to SHUTDOWN. Check logs.");
    assert_eq!(writer.read().expect("an answer"), Value::ok());
    let none = client.call("SHUTDOWN ABORT");
    assert_eq!(none.text(), "ERR No shutdown in progress.");
    // Once more, and the replica comes back in time.
    stopper
        .send(b"*1\r\n$8\r\nSHUTDOWN\r\n")
        .expect("a short request");
    wait_until("the second wait to begin", || {
        primary.log().matches("waiting for replicas").count() == 2
    });
    assert!(primary.running());
    replica.thaw();
    wait_until("the primary to end", || !primary.running());
    let mut left = replica.client();
    for (key, value) in [("b", "2"), ("c", "3")] {
        assert_eq!(left.call(&format!("GET {key}")).text(), value);
    }
}

#[test]
fn a_shutdown_that_is_urgent_or_over_time_leaves_replicas_behind() {
    for (timeout, how, code) in [
        ("60", "SHUTDOWN NOW", None),
        ("0", "SHUTDOWN", None),
        ("1", "SHUTDOWN FORCE", None),
        ("1", "", Some(0)),
    ] {
        let mut primary = banyan(3, &["--shutdown-timeout", timeout]);
        let mut replica = redis(&[]);
        attach(&replica, primary.port);
        replica.freeze();
        let mut client = primary.client();
        client.must("SET a 1");
        match code {
            Some(code) => assert_eq!(primary.terminate(), Some(code)),
            None => {
                let words: Vec<&str> = how.split(' ').collect();
                assert!(client.try_run(&words).is_err(), "{how} has no answer");
                wait_until("the end", || !primary.running());
            }
        }
        assert!(primary.log().contains("a replica lags at the shutdown"));
    }
}

#[test]
fn a_backlog_that_nobody_needs_is_freed_and_its_history_with_it() {
    let primary = banyan(2, &["--repl-backlog-ttl", "1"]);
    let mut client = primary.client();
    client.must("SET a 1");
    let replica = Replica::full(primary.port);
    client.must("SET b 2");
    let (replid, offset) = (replica.replid.clone(), replica.offset);
    drop(replica);
    wait_until("the backlog to be freed", || {
        client.replication("repl_backlog_active") == "0"
    });
    assert_eq!(client.replication("repl_backlog_histlen"), "0");
    assert_ne!(client.replication("master_replid"), replid);
    // Nothing is recorded any more, and the old history cannot be gone on with.
    let end = client.replication("master_repl_offset");
    client.must("SET c 3");
    assert_eq!(client.replication("master_repl_offset"), end);
    let again = Replica::psync(primary.port, &replid, offset as i64 + 1, Manners::default());
    assert!(
        matches!(again.answer, Answer::Full { .. }),
        "{:?}",
        again.answer
    );
    drop(again);
    let real = redis(&[]);
    attach(&real, primary.port);
    client.must("SET d 4");
    assert_same_data(&primary, &real);
    assert_eq!(client.replication("repl_backlog_active"), "1");
}

#[test]
fn enough_waiting_replicas_cut_the_delay_short() {
    // The delay is far longer than anybody would wait.
    let args = [
        "--repl-diskless-sync-delay",
        "100000",
        "--repl-diskless-sync-max-replicas",
        "2",
    ];
    let primary = Server::banyan(2, &args);
    let mut client = primary.client();
    client.must("SET a 1");
    let replicas = [redis(&[]), valkey(&[])];
    for replica in &replicas {
        let follow = format!("REPLICAOF 127.0.0.1 {}", primary.port);
        replica.client().must(&follow);
    }
    for replica in &replicas {
        assert_same_data(&primary, replica);
    }
    assert_eq!(client.info("stats", "sync_full").as_deref(), Some("2"));
}

#[test]
fn after_the_answer_to_client_pause_the_stream_stands_still() {
    for shards in [1, 4] {
        let primary = banyan(shards, &["--repl-ping-replica-period", "1"]);
        let replica = redis(&[]);
        attach(&replica, primary.port);
        let load = crate::support::load::Load::start(primary.port, 4, 7);
        let mut client = primary.client();
        for round in 0..5 {
            client.must(&format!("SET short:{round} v PX 1"));
            client.must("CLIENT PAUSE 60000 WRITE");
            let first = client.replication("master_repl_offset");
            // Reads, of expired keys too, write nothing; nor does time.
            for _ in 0..20 {
                client.call(&format!("GET short:{round}"));
                pause(10);
            }
            assert_eq!(client.replication("master_repl_offset"), first);
            wait_for("the replica to have everything", || {
                let offset = replica.client().replication("slave_repl_offset");
                (offset == first).then_some(())
            });
            client.must("CLIENT UNPAUSE");
            let mark = load.written();
            wait_until("the load to go on", || load.written() > mark + 100);
        }
        load.stop();
        assert_same_data(&primary, &replica);
    }
}
