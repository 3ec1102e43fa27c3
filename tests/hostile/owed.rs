//! Replies that nobody takes: how much a client may be owed, and for how long.

use super::assert_serving;
use crate::support::client::Client;
use crate::support::resp::{self, Value};
use crate::support::server::{Server, stand_in};
use crate::support::wait_until;
use std::net::Shutdown;

const MIB: usize = 1 << 20;
/// What a server that drops at 16 MiB may take beside that: the values, copies on their way
/// between shards, buffers.
const RESIDENT_MAX: u64 = 400 << 20;

/// Sets a value of a mebibyte for keys of every shard.
fn fill(client: &mut Client) -> Vec<String> {
    let value = vec![b'x'; MIB];
    let keys: Vec<String> = (0..16).map(|i| format!("v{i}")).collect();
    for key in &keys {
        let args = [b"SET".as_slice(), key.as_bytes(), &value];
        assert_eq!(client.run(&args), Value::ok());
    }
    keys
}

/// Sends `bytes` on a connection that never reads, and waits for the server to drop it.
fn assert_dropped(server: &mut Server, what: &str, bytes: &[u8]) {
    let mut greedy = server.client();
    // The server may close before all of it is sent.
    let _ = greedy.send(bytes);
    let mut good = server.client();
    wait_until(what, || {
        assert!(server.running(), "the server ended");
        assert!(
            server.resident() < RESIDENT_MAX,
            "the limit does not hold: {what}"
        );
        good.info("clients", "connected_clients").as_deref() == Some("1")
    });
    drop(greedy);
}

#[test]
fn the_hard_limit_holds_within_runs_transactions_and_single_commands() {
    if stand_in() {
        return; // with a fork's or an allocator's memory of its own
    }
    let mut server = Server::banyan(3, &["--client-output-buffer-limit", "normal 16mb 0 0"]);
    let keys = fill(&mut server.client());
    let gets: Vec<u8> = (0..2048)
        .flat_map(|i| resp::request(&["GET", &keys[i % keys.len()]]))
        .collect();
    assert_dropped(&mut server, "a client of many shards to be dropped", &gets);
    let mut mget = vec!["MGET".to_owned()];
    mget.extend(keys.iter().cycle().take(4096).cloned());
    assert_dropped(&mut server, "MGET to be dropped", &resp::request(&mget));
    let multi = [resp::request(&["MULTI"]), gets, resp::request(&["EXEC"])].concat();
    assert_dropped(&mut server, "EXEC to be dropped", &multi);
    assert_serving(&mut server);
}

#[test]
fn the_soft_limit_runs_out_without_new_output() {
    let limit = "normal 0 1mb 2";
    let mut server = Server::banyan(2, &["--client-output-buffer-limit", limit]);
    let keys = fill(&mut server.client());
    let mut slow = server.client();
    let gets: Vec<u8> = keys
        .iter()
        .flat_map(|key| resp::request(&["GET", key]))
        .collect();
    slow.send(&gets).expect("sent");
    let mut good = server.client();
    wait_until("the slow client to be dropped", || {
        good.info("clients", "connected_clients").as_deref() == Some("1")
    });
    assert_serving(&mut server);
}

#[test]
fn a_client_that_leaves_and_reads_nothing_loses_its_place() {
    let mut server = Server::banyan(2, &[]);
    let keys = fill(&mut server.client());
    let gets: Vec<u8> = keys
        .iter()
        .flat_map(|key| resp::request(&["GET", key]))
        .collect();
    let mut quits = server.client();
    quits
        .send(&[gets.as_slice(), b"QUIT\r\n"].concat())
        .expect("sent");
    let mut half = server.client();
    half.send(&gets).expect("sent");
    half.shutdown(Shutdown::Write);
    let mut good = server.client();
    if stand_in() {
        return; // Redis waits for ever
    }
    wait_until("both places to be free", || {
        good.info("clients", "connected_clients").as_deref() == Some("1")
    });
    assert_serving(&mut server);
}

#[test]
fn a_half_closed_connection_gets_the_replies_of_all_shards_and_is_closed() {
    let mut server = Server::banyan(7, &[]);
    if stand_in() {
        return; // Redis drops it
    }
    for count in [1, 100, 5_000] {
        let mut client = server.client();
        let bytes: Vec<u8> = (0..count)
            .flat_map(|i| resp::request(&["SET", &format!("k{i}"), "v"]))
            .collect();
        client.send(&bytes).expect("sent");
        client.shutdown(Shutdown::Write);
        let replies = client.read_to_close();
        assert_eq!(replies.len(), count * b"+OK\r\n".len());
    }
    assert_serving(&mut server);
}

#[test]
fn a_whole_pipeline_may_be_sent_before_a_reply_is_read() {
    let server = Server::banyan(3, &[]);
    let keys = fill(&mut server.client());
    let mut client = server.client();
    // Replies of 200 MiB, beside requests that fill every buffer on the way.
    let echo = resp::request(&["ECHO", &"e".repeat(1000)]);
    for _ in 0..200 {
        let get = resp::request(&["STRLEN", &keys[0]]);
        client
            .send(&[echo.repeat(1000), get].concat())
            .expect("sent");
    }
    for _ in 0..200 {
        for _ in 0..1000 {
            assert_eq!(
                client.read().expect("a reply"),
                Value::Bulk(vec![b'e'; 1000])
            );
        }
        assert_eq!(client.read().expect("a reply"), Value::Int(MIB as i64));
    }
}

#[test]
fn commands_queued_by_multi_count_as_input() {
    let mut server = Server::banyan(2, &["--client-query-buffer-limit", "2mb"]);
    let mut client = server.client();
    client.must("MULTI");
    let value = vec![b'x'; MIB / 2];
    let closed = (0..16).any(|_| client.try_run(&[b"SET".as_slice(), b"a", &value]).is_err());
    assert!(closed, "a MULTI of 8 MiB is over its limit");
    assert_eq!(server.client().call("EXISTS a"), Value::Int(0));
    assert_serving(&mut server);
}
