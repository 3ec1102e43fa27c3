//! Where a full sync is kept until it is whole: `repl-diskless-load` below, `repl-diskless-sync`
//! above, and what happens when the disk is full.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use super::{banyan, redis, valkey};
use crate::support::load::write_some;
use crate::support::replica::{Framing, Replica};
use crate::support::resp;
use crate::support::server::Server;
use crate::support::sync::{assert_same_data, attach, digest, linked, syncs};
use crate::support::wait_until;

/// An upstream that sends a snapshot as slowly as the test wants.
struct Upstream {
    listener: TcpListener,
    port: u16,
}

impl Upstream {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        Upstream { listener, port }
    }

    /// Waits for a replica that asks for a full sync; what follows is the test's to send.
    fn greeted(&self) -> TcpStream {
        let (mut peer, _) = self.listener.accept().expect("a replica");
        let (mut got, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let len = peer.read(&mut chunk).expect("a request");
            assert!(len > 0, "the replica left during the handshake");
            got.extend_from_slice(&chunk[..len]);
            while let Ok((request, end)) = resp::parse(&got, 0) {
                got.drain(..end);
                let answer = match request.items()[0].text().to_uppercase().as_str() {
                    "PING" => "+PONG\r\n".to_owned(),
                    "PSYNC" => format!("+FULLRESYNC {} 0\r\n", "f".repeat(40)),
                    _ => "+OK\r\n".to_owned(),
                };
                peer.write_all(answer.as_bytes()).expect("it listens");
                if answer.starts_with("+FULL") {
                    return peer;
                }
            }
        }
    }
}

/// A snapshot with the key `new`, without a checksum, as a real server might send it.
const SNAPSHOT: &[u8] = b"REDIS0010\xfe\0\0\x03new\x04data\xff\0\0\0\0\0\0\0\0";

fn send(peer: &mut TcpStream, bytes: &[u8]) {
    peer.write_all(bytes).expect("the replica takes it");
}

fn following(directive: &str, upstream: &Upstream) -> (Server, TcpStream) {
    let replica = banyan(2, &[]);
    let mut client = replica.client();
    client.must(&format!("CONFIG SET repl-diskless-load {directive}"));
    client.must("MSET old data {x}1 a {y}2 b {z}3 c");
    client.must(&format!("REPLICAOF 127.0.0.1 {}", upstream.port));
    let mut peer = upstream.greeted();
    send(&mut peer, format!("${}\r\n", SNAPSHOT.len()).as_bytes());
    send(&mut peer, &SNAPSHOT[..20]);
    wait_until("the snapshot to begin", || {
        client.info("replication", "master_sync_read_bytes") == Some("20".to_owned())
    });
    (replica, peer)
}

#[test]
fn old_data_serve_until_the_new_are_whole_and_proved() {
    for (directive, loading, async_loading) in [("disabled", "0", "0"), ("swapdb", "0", "1")] {
        let upstream = Upstream::new();
        let (replica, mut peer) = following(directive, &upstream);
        let mut client = replica.client();
        assert_eq!(client.call("GET old").text(), "data", "{directive}");
        let shown = ["loading", "async_loading"].map(|field| client.info("persistence", field));
        assert_eq!(
            shown,
            [Some(loading.to_owned()), Some(async_loading.to_owned())]
        );
        send(&mut peer, &SNAPSHOT[20..]);
        wait_until("the new data", || {
            client.call("GET new") == resp::Value::bulk("data")
        });
        assert!(client.call("GET old").is_null());
        let after = ["loading", "async_loading"].map(|field| client.info("persistence", field));
        assert_eq!(after, [Some("0".to_owned()), Some("0".to_owned())]);
        wait_until("the link", || linked(&mut client));
    }
}

#[test]
fn a_snapshot_that_is_cut_or_damaged_leaves_the_old_data() {
    for directive in ["disabled", "swapdb", "on-empty-db"] {
        for damaged in [false, true] {
            let upstream = Upstream::new();
            let (replica, mut peer) = following(directive, &upstream);
            if damaged {
                let mut rest = SNAPSHOT[20..].to_vec();
                let at = rest.len() - 1;
                rest[at] = 1;
                send(&mut peer, &rest);
            } else {
                drop(peer);
            }
            // It asks again, which it would not if it had taken what it got.
            let _again = upstream.greeted();
            let mut client = replica.client();
            assert_eq!(client.call("GET old").text(), "data", "{directive}");
            assert!(client.call("GET new").is_null());
            assert_eq!(client.call("DBSIZE").int(), 4);
        }
    }
}

#[test]
fn clients_are_told_that_a_proved_snapshot_is_loading() {
    // Large enough that somebody sees it loading.
    let primary = redis(&[]);
    write_some(&mut primary.client(), 20_000, 11);
    primary.client().must("DEBUG POPULATE 300000 filler 100");
    let replica = banyan(2, &[]);
    replica.client().must("SET old data");
    let mut client = replica.client();
    client.must(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    let mut seen = false;
    wait_until("the link", || {
        let reply = client.call("GET old");
        seen |= reply.is_error() && reply.text().starts_with("LOADING");
        assert!(
            reply.is_null() || reply.text() == "data" || seen,
            "{reply:?}"
        );
        linked(&mut client)
    });
    assert!(seen, "nobody was told");
    assert_same_data(&primary, &replica);
}

#[test]
fn every_way_of_loading_takes_from_every_kind_of_upstream() {
    for directive in ["disabled", "on-empty-db", "swapdb"] {
        for primary in [
            redis(&[]),
            redis(&["--repl-diskless-sync", "no"]),
            valkey(&[]),
            banyan(3, &["--repl-diskless-sync", "no"]),
        ] {
            write_some(&mut primary.client(), 3_000, 12);
            let replica = banyan(2, &["--repl-diskless-load", directive]);
            write_some(&mut replica.client(), 3_000, 13);
            attach(&replica, primary.port);
            write_some(&mut primary.client(), 1_000, 14);
            assert_same_data(&primary, &replica);
        }
    }
}

#[test]
fn a_snapshot_by_way_of_a_file_has_a_length_and_serves_real_replicas() {
    for shards in [1, 3] {
        let primary = banyan(shards, &["--repl-diskless-sync", "no"]);
        write_some(&mut primary.client(), 5_000, 15);
        let replica = Replica::full(primary.port);
        assert_eq!(replica.framing, Some(Framing::Length));
        let replicas = [
            redis(&[]),
            valkey(&[]),
            redis(&["--repl-diskless-load", "swapdb"]),
        ];
        for replica in &replicas {
            replica
                .client()
                .must(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
        }
        write_some(&mut primary.client(), 5_000, 16);
        for replica in &replicas {
            assert_same_data(&primary, replica);
        }
    }
}

/// A directory on a disk of its own, of a few megabytes.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(dir: &'a Path) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "banyan-test"])
            .arg(dir)
            .status()
            .expect("mount is there");
        assert!(status.success(), "mounting a small disk needs root");
        SmallDisk(dir)
    }

    fn fill(&self) {
        let file = std::fs::File::create(self.0.join("filler")).expect("a file");
        let written = (&file).write_all(&vec![0; 4 << 20]);
        assert!(written.is_err(), "the disk is larger than it should be");
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("it was made");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: servers may still have it as their directory.
        let status = Command::new("umount").arg("-l").arg(self.0).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "cannot unmount the small disk"
        );
    }
}

#[test]
fn a_primary_whose_disk_is_full_says_so_and_serves_when_there_is_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = SmallDisk::mount(dir.path());
    disk.fill();
    let path = dir.path().to_str().expect("a plain path");
    let primary = Server::banyan(2, &["--repl-diskless-sync", "no", "--dir", path]);
    let mut client = primary.client();
    write_some(&mut client, 2_000, 17);
    let replica = redis(&[]);
    replica
        .client()
        .must(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    wait_until("the failure to be told", || {
        client.info("persistence", "rdb_last_bgsave_status") == Some("err".to_owned())
    });
    assert!(
        primary.log().contains("No space left on device"),
        "{}",
        primary.log()
    );
    client.must("SET still writable");
    disk.clear();
    wait_until("the link", || linked(&mut replica.client()));
    assert_same_data(&primary, &replica);
    assert_eq!(
        client.info("persistence", "rdb_last_bgsave_status"),
        Some("ok".to_owned())
    );
}

#[test]
fn a_replica_whose_disk_is_full_keeps_its_data_and_tries_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = SmallDisk::mount(dir.path());
    disk.fill();
    let primary = redis(&[]);
    write_some(&mut primary.client(), 2_000, 18);
    let path = dir.path().to_str().expect("a plain path");
    let replica = Server::banyan(2, &["--dir", path]);
    let mut client = replica.client();
    client.must("SET old data");
    let before = digest(&mut client);
    client.must(&format!("REPLICAOF 127.0.0.1 {}", primary.port));
    wait_until("some attempts", || syncs(&mut primary.client()).full >= 2);
    wait_until("the reason to be told", || {
        let log = replica.log();
        log.contains("No space left on device") && log.contains("repl-diskless-load to swapdb")
    });
    assert_eq!(digest(&mut client), before);
    disk.clear();
    wait_until("the link", || linked(&mut client));
    assert_same_data(&primary, &replica);
}

#[test]
fn a_replica_that_needs_one_full_sync_after_the_other_is_not_left_in_silence() {
    let primary = banyan(1, &[]);
    for _ in 0..2 {
        drop(Replica::full(primary.port));
    }
    let log = primary.log();
    assert!(log.contains("full syncs again and again"), "{log}");
    assert!(log.contains("it has no history") && log.contains("raise repl-backlog-size"));
}
