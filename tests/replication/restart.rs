//! A node that ends with its dataset saved comes back where it stood: it and those below it go on
//! partially.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::{banyan, redis, valkey};
use crate::support::load::{Load, write_some};
use crate::support::resp::Value;
use crate::support::server::Server;
use crate::support::sync::{Syncs, assert_all_same, attach, digest, linked, syncs};
use crate::support::{seed, wait_until};

/// Larger than what is written while somebody is away.
const BACKLOG: &[&str] = &["--repl-backlog-size", "64mb"];

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn file_of(server: &Server) -> PathBuf {
    server.dir().join("dump.rdb")
}

fn syncs_of(server: &Server) -> Syncs {
    syncs(&mut server.client())
}

/// Nothing is left of a save but the file itself.
fn assert_no_remains(dir: &Path) {
    let names = fs::read_dir(dir).expect("the server's directory");
    let names = names.map(|entry| entry.expect("an entry").file_name());
    let names: Vec<_> = names
        .map(|name| name.into_string().expect("text"))
        .collect();
    assert!(
        !names.iter().any(|name| name.starts_with("temp-")),
        "{names:?}"
    );
}

/// Attaches each to the one before it and writes; the middle one saves and ends while writers are
/// busy, stays away while they go on, and comes back.
fn the_middle_is_restarted(top: Server, mut middle: Server, bottom: Server) {
    let seed = seed();
    attach(&middle, top.port);
    attach(&bottom, middle.port);
    middle.follow_at_start(local(top.port));
    write_some(&mut top.client(), 2_000, seed);
    for round in 1..=2 {
        let load = busy(&top, seed);
        middle.shutdown_save();
        load.stop();
        assert_no_remains(middle.dir());
        write_some(&mut top.client(), 2_000, seed + round);
        let load = busy(&top, seed);
        middle.restart();
        wait_until("the link of the middle", || linked(&mut middle.client()));
        wait_until("the link of the bottom", || linked(&mut bottom.client()));
        load.stop();
        let (above, below) = (syncs_of(&top), syncs_of(&middle));
        assert_eq!((above.full, above.partial), (1, round), "{}", top.log());
        assert_eq!((below.full, below.partial), (0, 1), "{}", middle.log());
        assert_all_same(&[&top, &middle, &bottom]);
    }
    assert_eq!((syncs_of(&top).full, syncs_of(&middle).full), (1, 0));
}

/// Writers that are at it.
fn busy(server: &Server, seed: u64) -> Load {
    let load = Load::start(server.port, 2, seed);
    wait_until("the writers to begin", || load.written() > 500);
    load
}

#[test]
fn a_restarted_middle_costs_no_full_sync_anywhere() {
    for shards in [1, 3] {
        the_middle_is_restarted(banyan(2, BACKLOG), banyan(shards, BACKLOG), banyan(2, &[]));
    }
}

#[test]
fn a_restarted_middle_between_real_servers_costs_no_full_sync_either() {
    the_middle_is_restarted(redis(BACKLOG), banyan(1, BACKLOG), redis(&[]));
    the_middle_is_restarted(redis(BACKLOG), banyan(3, BACKLOG), valkey(&[]));
}

#[test]
fn a_restarted_real_middle_between_banyans_costs_no_full_sync_either() {
    the_middle_is_restarted(banyan(3, BACKLOG), redis(BACKLOG), banyan(2, &[]));
}

/// What is large is saved in slices; nothing may wait for a lock that the shutdown holds.
#[test]
fn large_values_are_saved() {
    const FIELDS: usize = 20_000;
    for shards in [1, 3] {
        let mut server = banyan(shards, &[]);
        let mut client = server.client();
        for key in ["a", "b", "c"] {
            let fields: Vec<String> = (0..FIELDS)
                .flat_map(|at| [format!("f{at}"), "x".repeat(100)])
                .collect();
            let head = ["HSET".to_owned(), key.to_owned()];
            let added = client.run(&[&head, fields.as_slice()].concat());
            assert_eq!(added, Value::Int(FIELDS as i64));
        }
        let before = digest(&mut client);
        server.shutdown_save();
        server.restart();
        assert_eq!(digest(&mut server.client()), before);
    }
}

#[test]
fn a_middle_that_was_away_for_longer_than_the_backlog_takes_the_new_dataset() {
    let top = banyan(2, &["--repl-backlog-size", "16kb"]);
    let mut middle = banyan(3, &[]);
    let bottom = redis(&[]);
    attach(&middle, top.port);
    attach(&bottom, middle.port);
    middle.follow_at_start(local(top.port));
    write_some(&mut top.client(), 2_000, 1);
    assert_all_same(&[&top, &middle, &bottom]);
    middle.shutdown_save();
    write_some(&mut top.client(), 4_000, 2);
    middle.restart();
    assert_all_same(&[&top, &middle, &bottom]);
    assert_eq!(syncs_of(&top).full, 2, "it was told that it cannot go on");
}

#[test]
fn the_replicas_of_a_primary_that_saves_at_sigterm_go_on_when_it_is_back() {
    for shards in [1, 3] {
        let mut primary = banyan(shards, &["--shutdown-on-sigterm", "save"]);
        let (ours, theirs) = (banyan(2, &[]), redis(&[]));
        attach(&ours, primary.port);
        attach(&theirs, primary.port);
        let mut client = primary.client();
        write_some(&mut client, 2_000, seed());
        // What expires while nobody is there is deleted by whoever comes back, for all.
        client.must("SET short x PX 1");
        client.must("SELECT 5");
        client.must("SET last x");
        let id = client.replication("master_replid");
        assert_eq!(primary.terminate(), Some(0));
        primary.restart();
        let mut client = primary.client();
        assert_eq!(client.replication("role"), "master");
        assert_eq!(client.replication("master_replid2"), id);
        assert_ne!(client.replication("master_replid"), id);
        for replica in [&ours, &theirs] {
            wait_until("the replica's link", || linked(&mut replica.client()));
        }
        client.must("SET more x");
        write_some(&mut client, 1_000, 3);
        assert_all_same(&[&primary, &ours, &theirs]);
        for server in [&primary, &ours, &theirs] {
            let short = server.client().call("EXISTS short");
            assert_eq!(short, Value::Int(0), "{:?}", server.kind);
        }
        let Syncs { full, partial, .. } = syncs_of(&primary);
        assert_eq!((full, partial), (0, 2), "{}", primary.log());
    }
}

#[test]
fn a_replica_restarted_as_a_primary_keeps_the_history_for_its_replicas() {
    let top = redis(&[]);
    let mut middle = banyan(3, &[]);
    let bottom = redis(&[]);
    attach(&middle, top.port);
    attach(&bottom, middle.port);
    write_some(&mut top.client(), 1_000, 4);
    assert_all_same(&[&top, &middle, &bottom]);
    drop(top);
    middle.shutdown_save();
    middle.restart();
    wait_until("the bottom's link", || linked(&mut bottom.client()));
    write_some(&mut middle.client(), 1_000, 5);
    assert_all_same(&[&middle, &bottom]);
    assert_eq!(syncs_of(&middle).full, 0);
}

#[test]
fn real_servers_and_banyan_load_each_others_files() {
    let theirs: [fn(&[&'static str]) -> Server; 2] = [redis, valkey];
    for make in theirs {
        let (mut real, mut ours) = (make(&[]), banyan(3, &[]));
        write_some(&mut real.client(), 3_000, seed());
        let want = digest(&mut real.client());
        real.shutdown_save();
        ours.kill();
        fs::copy(file_of(&real), file_of(&ours)).expect("a file to take over");
        ours.restart();
        assert_eq!(digest(&mut ours.client()), want);
        let mut client = ours.client();
        client.must("SET more x");
        let want = digest(&mut client);
        ours.shutdown_save();
        fs::copy(file_of(&ours), file_of(&real)).expect("a file to hand back");
        real.restart();
        assert_eq!(digest(&mut real.client()), want, "{:?}", real.kind);
    }
}

#[test]
fn nothing_is_saved_unless_asked_for() {
    let mut server = banyan(2, &[]);
    server.client().must("SET a 1");
    assert_eq!(server.terminate(), Some(0));
    assert!(!file_of(&server).exists());
    server.restart();
    assert_eq!(server.client().call("DBSIZE"), Value::Int(0));
}

#[test]
fn a_damaged_file_ends_the_start_and_stays() {
    let mut server = banyan(2, &[]);
    write_some(&mut server.client(), 1_000, 6);
    server.shutdown_save();
    let whole = fs::read(file_of(&server)).expect("the saved file");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let short = whole[..whole.len() - 20].to_vec();
    let mut past = 0;
    for damaged in [flipped, short, Vec::new(), b"no dataset at all".to_vec()] {
        fs::write(file_of(&server), &damaged).expect("a file to be damaged");
        assert_eq!(server.fail_to_start(), Some(1));
        let log = server.log();
        let reason = format!("cannot load {}", file_of(&server).display());
        assert!(log[past..].contains(&reason), "{}", &log[past..]);
        past = log.len();
        let left = fs::read(file_of(&server)).expect("it is left in place");
        assert!(left == damaged);
    }
    fs::write(file_of(&server), &whole).expect("the file");
    server.restart();
    assert!(server.client().call("DBSIZE").int() > 0);
}

/// The save fails at its first block, while large values are being serialised, and writes to them
/// wait.
#[test]
fn large_values_may_be_changed_once_they_could_not_be_saved() {
    const FIELDS: usize = 20_000;
    for shards in [1, 3] {
        let server = banyan(shards, &[]);
        let mut client = server.client();
        let keys = ["a", "b", "c", "d"];
        for key in keys {
            let fields = (0..FIELDS).flat_map(|at| [format!("f{at}"), "x".repeat(100)]);
            let head = ["HSET".to_owned(), key.to_owned()];
            client.run(&head.into_iter().chain(fields).collect::<Vec<_>>());
        }
        let unfinished = format!("temp-{}.rdb", server.pid());
        fs::create_dir(server.dir().join(unfinished)).expect("a directory");
        for round in 0..5 {
            let mut writers = keys.map(|_| server.client());
            let shutdown = b"*2\r\n$8\r\nSHUTDOWN\r\n$4\r\nSAVE\r\n";
            client.send(shutdown).expect("a short request");
            for (writer, key) in writers.iter_mut().zip(keys) {
                let write = format!("HSET {key} f0 {round}\r\n");
                writer.send(write.as_bytes()).expect("a short request");
            }
            let failed = client.read().expect("an answer");
            assert_eq!(failed.text(), "ERR Errors trying to SHUTDOWN. Check logs.");
            for (writer, key) in writers.iter_mut().zip(keys) {
                assert_eq!(writer.read().expect("an answer"), Value::Int(0));
                let seen = client.call(&format!("HGET {key} f0"));
                assert_eq!(seen.text(), round.to_string());
            }
        }
    }
}

#[test]
fn what_cannot_be_saved_does_not_end_the_server_unless_forced() {
    let primary = redis(BACKLOG);
    let mut server = banyan(
        3,
        &["--shutdown-on-sigint", "save", "--dbfilename", "x.rdb"],
    );
    let below = redis(&[]);
    attach(&server, primary.port);
    attach(&below, server.port);
    write_some(&mut primary.client(), 1_000, 7);
    assert_all_same(&[&primary, &server, &below]);
    // A directory cannot be replaced by a file, whoever the user is.
    fs::create_dir(server.dir().join("x.rdb")).expect("a directory");
    let mut client = server.client();
    let load = Load::start(primary.port, 1, 8);
    for _ in 0..2 {
        let answer = client.call("SHUTDOWN SAVE");
        assert_eq!(answer.text(), "ERR Errors trying to SHUTDOWN. Check logs.");
    }
    server.interrupt();
    wait_until("the third failure", || {
        server.log().matches("the server does not end").count() == 3
    });
    load.stop();
    assert_no_remains(server.dir());
    assert_eq!(
        client.call("SHUTDOWN ABORT").text(),
        "ERR No shutdown in progress."
    );
    // It serves and follows as before.
    write_some(&mut primary.client(), 1_000, 9);
    assert_all_same(&[&primary, &server, &below]);
    assert_eq!(syncs_of(&primary).full, 1);
    client
        .send(b"*3\r\n$8\r\nSHUTDOWN\r\n$4\r\nSAVE\r\n$5\r\nFORCE\r\n")
        .expect("a short request");
    assert_eq!(server.await_end(), Some(0));
}
