//! What the stream promises: whole transactions, order, acknowledgement.

use super::{banyan, redis};
use crate::support::load::Load;
use crate::support::random::Random;
use crate::support::replica::{Replica, units};
use crate::support::resp::Value;
use crate::support::sync::attach;
use crate::support::{pause, seed, wait_until};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[test]
fn transactions_over_many_shards_come_whole() {
    for shards in [1, 2, 7] {
        let seed = seed();
        let primary = banyan(shards, &[]);
        let mut replica = Replica::full(primary.port);
        let port = primary.port;
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                std::thread::spawn(move || {
                    let mut random = Random::new(seed + writer);
                    let mut client = crate::support::client::Client::connect(port);
                    for round in 0..400 {
                        let a = random.below(50);
                        let b = random.below(50) + 50;
                        let words = |t: String| -> Vec<Vec<u8>> {
                            t.split(' ').map(|w| w.as_bytes().to_vec()).collect()
                        };
                        let tag = format!("{writer}-{round}");
                        if random.one_in(2) {
                            client.run(&words(format!("MSET k{a} {tag} k{b} {tag}")));
                            continue;
                        }
                        let batch = vec![
                            words("MULTI".into()),
                            words(format!("SET k{a} {tag}")),
                            words(format!("SET k{b} {tag}")),
                            words(format!("HSET h{a} f {tag}")),
                            words("EXEC".into()),
                        ];
                        client.pipeline(&batch).expect("a transaction is answered");
                    }
                })
            })
            .collect();
        let noise = Load::start(primary.port, 1, seed);
        for writer in writers {
            writer.join().expect("a writer failed");
        }
        noise.stop();
        primary.client().must("SET marker x");
        let mut seen = 0;
        for unit in units(&replica.until("marker")) {
            let tags: Vec<&[u8]> = unit
                .commands
                .iter()
                .filter(|(_, args)| args[1].starts_with(b"k") && !args[1].contains(&b':'))
                .flat_map(|(_, args)| args[2..].iter().step_by(2).map(Vec::as_slice))
                .collect();
            if !tags.is_empty() {
                seen += 1;
                assert_eq!(tags.len(), 2, "a torn transaction: {}", unit.show());
                assert_eq!(tags[0], tags[1], "two transactions mixed: {}", unit.show());
            }
        }
        assert_eq!(seen, 3 * 400);
    }
}

#[test]
fn a_pipeline_is_streamed_in_the_order_in_which_it_was_sent() {
    let primary = banyan(7, &[]);
    let mut replica = Replica::full(primary.port);
    let mut client = primary.client();
    let batch: Vec<Vec<String>> = (0..5_000)
        .map(|i| vec!["SET".into(), format!("key:{}", i % 97), i.to_string()])
        .collect();
    for part in batch.chunks(500) {
        client.pipeline(part).expect("a pipeline is answered");
    }
    client.must("SET marker x");
    let order: Vec<Vec<u8>> = replica
        .until("marker")
        .iter()
        .map(|c| c.args[2].clone())
        .collect();
    let sent: Vec<Vec<u8>> = batch.iter().map(|c| c[2].as_bytes().to_vec()).collect();
    assert_eq!(order, sent);
}

#[test]
fn replaying_the_stream_gives_every_counter_its_value() {
    let primary = banyan(7, &[]);
    let mut replica = Replica::full(primary.port);
    let port = primary.port;
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            std::thread::spawn(move || {
                let mut random = Random::new(writer);
                let mut client = crate::support::client::Client::connect(port);
                for _ in 0..200 {
                    let batch: Vec<Vec<String>> = (0..20)
                        .map(|_| vec!["INCR".into(), format!("n{}", random.below(30))])
                        .collect();
                    client.pipeline(&batch).expect("a pipeline is answered");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().expect("a writer failed");
    }
    let mut client = primary.client();
    client.must("SET marker x");
    let mut counts: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    for command in replica.until("marker") {
        assert_eq!(command.name(), "INCR");
        *counts.entry(command.args[1].clone()).or_default() += 1;
    }
    for (key, count) in counts {
        let value = client.run(&[b"GET".as_slice(), &key]);
        assert_eq!(value, Value::bulk(count.to_string()));
    }
}

#[test]
fn the_offset_counts_every_byte_of_the_stream() {
    let primary = banyan(2, &["--repl-ping-replica-period", "1"]);
    let mut replica = Replica::full(primary.port);
    let mut client = primary.client();
    for i in 0..500 {
        client.must(&format!("SET key:{i} {i}"));
    }
    client.must("SET marker x");
    replica.until("marker");
    wait_until("the socket to reach the primary's offset", || {
        replica.next(Duration::from_millis(50));
        let offset: u64 = client
            .replication("master_repl_offset")
            .parse()
            .expect("an offset");
        offset == replica.offset
    });
    replica.ack();
    wait_until("the acknowledged offset to be shown", || {
        let line = client.replication("slave0");
        line.contains(&format!("offset={}", replica.offset)) && line.contains("state=online")
    });
}

#[test]
fn wait_counts_the_replicas_that_have_acknowledged() {
    let primary = banyan(3, &[]);
    let replicas = [redis(&[]), banyan(2, &[])];
    for replica in &replicas {
        attach(replica, primary.port);
    }
    let mut client = primary.client();
    for i in 0..50 {
        client.must(&format!("SET a {i}"));
        assert_eq!(client.call("WAIT 2 30000"), Value::Int(2));
        for replica in &replicas {
            assert_eq!(replica.client().call("GET a"), Value::bulk(i.to_string()));
        }
    }
    client.must("SET b 1");
    assert_eq!(
        client.call("WAIT 3 200"),
        Value::Int(2),
        "a third one never comes"
    );
    assert_eq!(client.call("WAIT 0 0"), Value::Int(2));
    let refused = replicas[1].client().call("WAIT 0 0");
    assert!(refused.is_error(), "WAIT on a replica: {refused:?}");
}

#[test]
fn wait_ends_at_its_timeout_when_the_replica_is_frozen() {
    let primary = banyan(2, &[]);
    let mut replica = redis(&[]);
    attach(&replica, primary.port);
    let mut client = primary.client();
    client.must("SET a 1");
    assert_eq!(client.call("WAIT 1 30000"), Value::Int(1));
    replica.freeze();
    client.must("SET a 2");
    let start = Instant::now();
    assert_eq!(client.call("WAIT 1 300"), Value::Int(0));
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "it waited for its whole timeout"
    );
    replica.thaw();
    assert_eq!(client.call("WAIT 1 30000"), Value::Int(1));
}

#[test]
fn writes_stop_without_enough_good_replicas() {
    let primary = banyan(
        2,
        &[
            "--min-replicas-to-write",
            "1",
            "--min-replicas-max-lag",
            "2",
        ],
    );
    let mut client = primary.client();
    let refused = Value::error("NOREPLICAS Not enough good replicas to write.");
    assert_eq!(client.call("SET a 1"), refused);
    assert_eq!(client.call("GET a"), Value::NullBulk, "reads go on");
    let mut replica = redis(&[]);
    attach(&replica, primary.port);
    wait_until("writes to be let in", || {
        client.call("SET a 1") == Value::ok()
    });
    replica.freeze();
    wait_until("writes to be refused again", || {
        client.call("SET a 2") == refused
    });
    replica.thaw();
    wait_until("writes to be let in again", || {
        client.call("SET a 3") == Value::ok()
    });
}

#[test]
fn pings_keep_an_idle_stream_alive() {
    let primary = banyan(2, &["--repl-ping-replica-period", "1"]);
    let mut replica = Replica::full(primary.port);
    for _ in 0..3 {
        let command = replica
            .next(crate::support::PATIENCE)
            .expect("a sign of life");
        assert!(command.is_service(), "{:?}", command);
    }
}

#[test]
fn role_and_info_tell_the_same_story_as_redis() {
    let primary = banyan(2, &[]);
    let replica = banyan(2, &[]);
    attach(&replica, primary.port);
    pause(10);
    let role = primary.client().call("ROLE");
    assert_eq!(role.items()[0], Value::bulk("master"));
    wait_until("the replica to be listed", || {
        let role = primary.client().call("ROLE");
        role.items()[2].items().len() == 1
    });
    let role = replica.client().call("ROLE");
    assert_eq!(role.items()[0], Value::bulk("slave"));
    assert_eq!(role.items()[1], Value::bulk("127.0.0.1"));
    assert_eq!(role.items()[2], Value::Int(i64::from(primary.port)));
    assert_eq!(role.items()[3], Value::bulk("connected"));
    let mut client = replica.client();
    assert_eq!(client.replication("role"), "slave");
    assert_eq!(client.replication("master_port"), primary.port.to_string());
    assert_eq!(client.replication("slave_read_only"), "1");
    let mut client = primary.client();
    assert_eq!(client.replication("role"), "master");
    assert!(
        client
            .replication("slave0")
            .starts_with("ip=127.0.0.1,port=")
    );
}
