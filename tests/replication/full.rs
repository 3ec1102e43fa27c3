//! Full synchronisation.

use super::{banyan, redis, valkey};
use crate::support::client::Client;
use crate::support::load::{Load, write_big, write_some};
use crate::support::replica::{Framing, Manners, Replica};
use crate::support::server::{Kind, Server, stand_in};
use crate::support::sync::{assert_same_data, attach, digest, syncs};
use crate::support::{pause, resp::Value, seed, wait_until};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

/// Attaches replicas one after the other while writers are at work.
fn under_load(shards: usize, more: &[&'static str]) {
    let seed = seed();
    let primary = banyan(shards, more);
    write_some(&mut primary.client(), 20_000, seed);
    write_big(&mut primary.client(), 20, 300_000);
    let load = Load::start(primary.port, 3, seed);
    let replicas = [redis(&[]), valkey(&[])];
    for replica in &replicas {
        attach(replica, primary.port);
    }
    let before = load.written();
    wait_until("the writers to go on", || load.written() > before + 5_000);
    load.stop();
    for replica in &replicas {
        assert_same_data(&primary, replica);
    }
    assert_eq!(syncs(&mut primary.client()).full, 2);
}

#[test]
fn real_replicas_of_one_shard_synchronise_under_load() {
    under_load(1, &[]);
}

#[test]
fn real_replicas_of_two_shards_synchronise_under_load() {
    under_load(2, &[]);
}

#[test]
fn real_replicas_of_seven_shards_synchronise_under_load() {
    under_load(7, &[]);
}

#[test]
fn real_replicas_synchronise_without_io_uring() {
    if stand_in() {
        under_load(2, &[]);
    } else {
        under_load(2, &["--io", "epoll"]);
    }
}

#[test]
fn replicas_that_come_together_share_one_snapshot() {
    let primary = Server::banyan(
        2,
        &[
            "--repl-diskless-sync",
            "yes",
            "--repl-diskless-sync-delay",
            "3",
        ],
    );
    write_some(&mut primary.client(), 20_000, 1);
    let replicas = [redis(&[]), valkey(&[]), redis(&[])];
    for replica in &replicas {
        replica
            .client()
            .must(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    }
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let port = primary.port;
        sockets.push(std::thread::spawn(move || Replica::full(port)));
    }
    let sockets: Vec<Replica> = sockets
        .into_iter()
        .map(|s| s.join().expect("a full synchronisation"))
        .collect();
    assert_eq!(
        sockets[0].rdb, sockets[1].rdb,
        "one snapshot has one content"
    );
    assert_eq!(
        sockets[0].answer, sockets[1].answer,
        "one snapshot has one offset"
    );
    for replica in &replicas {
        assert_same_data(&primary, replica);
    }
    assert_eq!(syncs(&mut primary.client()).full, 5);
}

#[test]
fn a_replica_that_comes_during_a_snapshot_gets_the_next_one() {
    let primary = banyan(2, &[]);
    write_big(&mut primary.client(), 100, 200_000);
    let slow = crate::support::proxy::Proxy::to(primary.port);
    slow.limit(crate::support::proxy::Way::ToClient, 8_000_000);
    let first = redis(&[]);
    first
        .client()
        .must(&format!("REPLICAOF 127.0.0.1 {}", slow.port));
    wait_until("the first replica to wait for its snapshot", || {
        primary.client().replication("connected_slaves") == "1"
    });
    let second = redis(&[]);
    second
        .client()
        .must(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    write_some(&mut primary.client(), 2_000, 5);
    assert_same_data(&primary, &first);
    assert_same_data(&primary, &second);
}

/// Hashes of some MiB, of which a snapshot writes slices.
fn write_large_hashes(client: &mut Client, hashes: usize) {
    for hash in 0..hashes {
        for chunk in 0..40 {
            let mut words = vec![b"HSET".to_vec(), format!("large:{hash}").into_bytes()];
            for field in 0..1000 {
                words.push(format!("field:{chunk}:{field}").into_bytes());
                // Hard to compress, so that the record is as long as the hash.
                let text = format!(
                    "{:064x}",
                    (chunk * 1000 + field) as u128 * 0x9e37_79b9_7f4a_7c15
                );
                words.push(text.into_bytes());
            }
            client.run(&words);
        }
    }
}

#[test]
fn writes_to_large_collections_wait_for_their_own_key_while_a_slow_replica_takes_them() {
    let primary = banyan(3, &[]);
    write_large_hashes(&mut primary.client(), 12);
    write_some(&mut primary.client(), 2_000, 3);
    let slow = crate::support::proxy::Proxy::to(primary.port);
    slow.limit(crate::support::proxy::Way::ToClient, 4_000_000);
    let replica = redis(&[]);
    replica
        .client()
        .must(&format!("REPLICAOF 127.0.0.1 {}", slow.port));
    wait_until("the snapshot to begin", || {
        slow.passed(crate::support::proxy::Way::ToClient) > 1_000_000
    });
    // Each is answered though the replica takes seconds for the snapshot; those of one
    // transaction are on several shards.
    let mut client = primary.client();
    for hash in 0..3 {
        assert_eq!(
            client
                .call(&format!("HSET large:{hash} field:1:1 changed new {hash}"))
                .int(),
            1
        );
    }
    client.must("MULTI");
    for hash in 3..6 {
        client.run(&[
            "HDEL".to_owned(),
            format!("large:{hash}"),
            "field:2:2".to_owned(),
        ]);
    }
    client.run(&["RENAME", "large:5", "renamed"]);
    assert_eq!(client.call("EXEC").items().len(), 4);
    assert_eq!(client.call("COPY renamed large:0 REPLACE").int(), 1);
    assert_eq!(client.call("DEL large:1").int(), 1);
    assert_same_data(&primary, &replica);
    assert_eq!(syncs(&mut primary.client()).full, 1);
}

#[test]
fn an_empty_primary_synchronises() {
    let primary = banyan(7, &[]);
    let replica = redis(&[]);
    replica.client().must("SET left over");
    attach(&replica, primary.port);
    assert_same_data(&primary, &replica);
    assert_eq!(replica.client().call("DBSIZE"), Value::Int(0));
}

#[test]
fn a_snapshot_keeps_expiries_databases_and_encodings() {
    let primary = banyan(2, &[]);
    let mut client = primary.client();
    client.must("SET plain 1");
    client.must("SET dying x PXAT 7000000000000");
    client.must("SELECT 9");
    client.call("HSET small f v g 2");
    for i in 0..1000 {
        client.call(&format!("HSET large field:{i} {i}"));
    }
    client.run(&[b"SET".as_slice(), b"bin\0\xff", b"\r\n\0\xff"]);
    client.call("PEXPIREAT small 7000000000001");
    let replica = redis(&[]);
    attach(&replica, primary.port);
    assert_same_data(&primary, &replica);
    let mut copy = replica.client();
    assert_eq!(
        copy.call("PEXPIRETIME dying"),
        Value::Int(7_000_000_000_000)
    );
    copy.must("SELECT 9");
    assert_eq!(
        copy.call("PEXPIRETIME small"),
        Value::Int(7_000_000_000_001)
    );
    assert_eq!(copy.call("OBJECT ENCODING small"), Value::bulk("listpack"));
    assert_eq!(copy.call("OBJECT ENCODING large"), Value::bulk("hashtable"));
    assert_eq!(
        copy.run(&[b"GET".as_slice(), b"bin\0\xff"]),
        Value::bulk(b"\r\n\0\xff")
    );
}

#[test]
fn a_plain_sync_gets_a_length_and_psync_with_eof_a_mark() {
    let primary = banyan(2, &[]);
    write_some(&mut primary.client(), 1_000, 3);
    assert_eq!(
        Replica::old_sync(primary.port).framing,
        Some(Framing::Length)
    );
    assert_eq!(Replica::full(primary.port).framing, Some(Framing::Mark));
    let plain = Manners {
        eof: false,
        ..Manners::default()
    };
    let replica = Replica::psync(primary.port, "?", -1, plain);
    assert_eq!(replica.framing, Some(Framing::Length));
}

#[test]
fn redis_cli_fetches_a_snapshot_that_a_real_server_loads() {
    let primary = banyan(2, &[]);
    write_some(&mut primary.client(), 5_000, 4);
    let mut loader = Server::redis(&[]);
    let file = loader.dir().join("dump.rdb");
    let status = Command::new("redis-cli")
        .args(["-p", &primary.port.to_string(), "--rdb"])
        .arg(&file)
        .output()
        .expect("redis-cli is installed by scripts/install-servers");
    assert!(status.status.success(), "redis-cli --rdb: {status:?}");
    loader.restart();
    assert_eq!(digest(&mut loader.client()), digest(&mut primary.client()));
    wait_until("the one that fetched to be forgotten", || {
        primary.client().replication("connected_slaves") == "0"
    });
}

#[test]
fn flushes_and_swaps_during_a_snapshot_reach_the_replica() {
    let primary = banyan(2, &[]);
    let mut client = primary.client();
    write_big(&mut client, 100, 100_000);
    client.must("SELECT 1");
    write_some(&mut client, 5_000, 8);
    let slow = crate::support::proxy::Proxy::to(primary.port);
    slow.limit(crate::support::proxy::Way::ToClient, 4_000_000);
    let replica = redis(&[]);
    replica
        .client()
        .must(&format!("REPLICAOF 127.0.0.1 {}", slow.port));
    wait_until("the snapshot to begin", || {
        slow.passed(crate::support::proxy::Way::ToClient) > 100_000
    });
    client.must("SWAPDB 0 1");
    client.must("SELECT 2");
    write_some(&mut client, 1_000, 9);
    client.must("SELECT 1");
    client.must("FLUSHDB");
    write_some(&mut client, 1_000, 10);
    slow.limit(crate::support::proxy::Way::ToClient, 0);
    assert_same_data(&primary, &replica);
}

#[test]
fn a_replica_lost_during_its_snapshot_leaves_none_running() {
    let primary = banyan(2, &[]);
    write_big(&mut primary.client(), 100, 200_000);
    let proxy = crate::support::proxy::Proxy::to(primary.port);
    proxy.limit(crate::support::proxy::Way::ToClient, 4_000_000);
    let mut replica = redis(&[]);
    replica
        .client()
        .must(&format!("REPLICAOF 127.0.0.1 {}", proxy.port));
    wait_until("the snapshot to begin", || {
        proxy.passed(crate::support::proxy::Way::ToClient) > 1_000_000
    });
    replica.kill();
    proxy.cut();
    let mut client = primary.client();
    wait_until("the snapshot to end", || {
        client
            .info("persistence", "rdb_bgsave_in_progress")
            .as_deref()
            == Some("0")
            && client.replication("connected_slaves") == "0"
    });
    let next = redis(&[]);
    attach(&next, primary.port);
    assert_same_data(&primary, &next);
}

#[test]
fn banyan_follows_a_real_primary_under_load() {
    for (primary, shards) in [(redis(&[]), 1), (valkey(&[]), 3)] {
        if primary.kind == Kind::Valkey && stand_in() {
            // Valkey writes RDB version 11, which redis-server 7.0.15 cannot read.
            continue;
        }
        let seed = seed();
        write_some(&mut primary.client(), 20_000, seed);
        write_big(&mut primary.client(), 5, 2_000_000);
        let load = Load::start(primary.port, 2, seed);
        let replica = banyan(shards, &[]);
        attach(&replica, primary.port);
        let before = load.written();
        wait_until("the writers to go on", || load.written() > before + 5_000);
        load.stop();
        assert_same_data(&primary, &replica);
    }
}

#[test]
fn banyan_follows_banyan_with_another_number_of_shards() {
    for (ours, theirs) in [(1, 3), (3, 1), (2, 7), (2, 2)] {
        let seed = seed();
        let primary = banyan(ours, &[]);
        write_some(&mut primary.client(), 5_000, seed);
        let load = Load::start(primary.port, 2, seed);
        let replica = banyan(theirs, &[]);
        attach(&replica, primary.port);
        let before = load.written();
        wait_until("the writers to go on", || load.written() > before + 2_000);
        load.stop();
        assert_same_data(&primary, &replica);
    }
}

/// A primary that gives whoever asks one key of a type that is not there: a hash with field TTLs.
fn primary_of_the_future() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let rdb = b"REDIS0012\xfe\0\x18\x05fresh\0\0\0\0\0\0\0\0\x01\0\x01f\x01v\xff\0\0\0\0\0\0\0\0";
    std::thread::spawn(move || {
        let (mut peer, _) = listener.accept()?;
        let (mut got, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let len = peer.read(&mut chunk)?;
            if len == 0 {
                return Ok::<(), std::io::Error>(());
            }
            got.extend_from_slice(&chunk[..len]);
            while let Ok((request, end)) = crate::support::resp::parse(&got, 0) {
                got.drain(..end);
                match request.items()[0].text().to_uppercase().as_str() {
                    "PING" => peer.write_all(b"+PONG\r\n")?,
                    "PSYNC" => {
                        let id = "f".repeat(40);
                        let head = format!("+FULLRESYNC {id} 0\r\n${}\r\n", rdb.len());
                        peer.write_all(head.as_bytes())?;
                        peer.write_all(rdb)?;
                    }
                    _ => peer.write_all(b"+OK\r\n")?,
                }
            }
        }
    });
    port
}

#[test]
fn a_type_that_is_not_there_is_named_and_the_old_data_kept() {
    let mut replica = banyan(2, &[]);
    replica.client().must("SET old data");
    let port = primary_of_the_future();
    replica
        .client()
        .must(&format!("REPLICAOF 127.0.0.1 {port}"));
    if stand_in() {
        return;
    }
    wait_until("the refusal to be logged", || {
        let log = replica.log();
        log.contains("fresh") && log.contains("hash with field TTLs")
    });
    assert!(replica.running());
    replica.client().must("REPLICAOF NO ONE");
    assert_eq!(replica.client().call("GET old"), Value::bulk("data"));
    assert_eq!(replica.client().call("EXISTS fresh"), Value::Int(0));
}

/// Some of each type, small and large.
fn write_every_type(client: &mut Client) {
    for n in 0..300 {
        for command in [
            format!("SET s:{n} text-{n}"),
            format!("HSET h f{n} {n}"),
            format!("RPUSH l element-{n}"),
            format!("SADD t {n}"),
            format!("SADD u member-{n}"),
            format!("ZADD z {n} member-{n}"),
            format!("XADD x {}-1 field {n}", n + 1),
            format!("PFADD p element-{n}"),
        ] {
            client.call(&command);
        }
    }
    for command in [
        "HSET small f v",
        "RPUSH short a b",
        "SADD few 1 2",
        "ZADD low 1 a",
        "XGROUP CREATE x g 0",
        "XREADGROUP GROUP g c COUNT 5 STREAMS x >",
        "SETBIT bits 1000 1",
    ] {
        client.call(command);
    }
}

#[test]
fn every_type_goes_from_real_servers_to_us_and_back() {
    for primary in [redis(&[]), valkey(&[]), banyan(3, &[])] {
        write_every_type(&mut primary.client());
        for replica in [banyan(2, &[]), redis(&[]), valkey(&[])] {
            if primary.kind == Kind::Valkey && replica.kind == Kind::Redis {
                // Its RDB is of a version that redis-server 7.0 does not read.
                continue;
            }
            attach(&replica, primary.port);
            for command in [
                "LPOP l",
                "SREM t 5",
                "ZINCRBY z 7 member-3",
                "XDEL x 3-1",
                "XACK x g 1-1",
            ] {
                primary.client().call(command);
            }
            assert_same_data(&primary, &replica);
        }
    }
}

#[test]
fn masterauth_and_requirepass_meet() {
    let locked = ["--requirepass", "secret", "--masterauth", "secret"];
    let sign_in = |server: &Server| -> Client {
        let mut client = server.client();
        client.must("AUTH secret");
        client
    };
    let primary = banyan(2, &locked);
    let replicas = [redis(&locked), banyan(3, &locked)];
    sign_in(&primary).must("SET a 1");
    for replica in &replicas {
        let mut client = sign_in(replica);
        client.must(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
        wait_until("the replica to hold the key", || {
            client.call("GET a") == Value::bulk("1")
        });
    }
    let stranger = banyan(1, &["--masterauth", "wrong"]);
    stranger
        .client()
        .must(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    pause(1_500);
    assert_eq!(stranger.client().replication("master_link_status"), "down");
    assert_eq!(sign_in(&primary).replication("connected_slaves"), "2");
}
