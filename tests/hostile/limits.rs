//! Limits of size and of patience.

use super::assert_serving;
use crate::support::resp::{self, Value};
use crate::support::server::Server;
use crate::support::wait_until;
use std::io::{Read, Write};

const GIB: u64 = 1 << 30;

#[test]
fn a_half_gigabyte_value_goes_in_and_out() {
    const LEN: usize = 512 << 20;
    let mut server = Server::banyan(2, &[]);
    for _ in 0..2 {
        let mut client = server.client();
        let mut stream = client.stream().try_clone().expect("a second handle");
        let head = format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${LEN}\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        let chunk: Vec<u8> = (0..1 << 20).map(|i: u32| (i % 251) as u8).collect();
        for _ in 0..LEN / chunk.len() {
            stream.write_all(&chunk).expect("sent");
        }
        stream.write_all(b"\r\n").expect("sent");
        assert_eq!(client.read().expect("a reply"), Value::ok());
        assert_eq!(client.call("STRLEN big"), Value::Int(LEN as i64));
        client.send(&resp::request(&["GET", "big"])).expect("sent");
        let mut got = vec![0; format!("${LEN}\r\n").len()];
        stream.read_exact(&mut got).expect("the head of the reply");
        assert_eq!(got, format!("${LEN}\r\n").as_bytes());
        let mut piece = vec![0; chunk.len()];
        for i in 0..LEN / chunk.len() {
            stream.read_exact(&mut piece).expect("the value");
            assert!(piece == chunk, "the value differs in MiB {i}");
        }
        let mut end = [0; 2];
        stream.read_exact(&mut end).expect("the end");
        assert_eq!(&end, b"\r\n");
        // The value once, one copy on its way in or out, and what a small server needs: whichever
        // shard the value and the connection are on.
        let peak = server.peak_resident();
        assert!(peak < LEN as u64 * 5 / 2, "peak: {} MiB", peak >> 20);
        assert_eq!(client.call("DEL big"), Value::Int(1));
    }
    assert_serving(&mut server);
}

#[test]
fn a_client_that_asks_for_gigabytes_and_reads_nothing_is_dropped_at_its_limit() {
    let limit = "normal 67108864 0 0";
    let mut server = Server::banyan(2, &["--client-output-buffer-limit", limit]);
    let mut good = server.client();
    let value = vec![b'x'; 1 << 20];
    assert_eq!(good.run(&[b"SET".as_slice(), b"v", &value]), Value::ok());
    let mut greedy = server.client();
    // Eight gigabytes' worth of replies. The server may close before all of it is sent.
    let _ = greedy.send(&resp::request(&["GET", "v"]).repeat(8192));
    wait_until("the greedy client to be dropped", || {
        assert!(server.resident() < GIB, "the limit does not hold");
        good.call("PING");
        good.info("clients", "connected_clients").as_deref() == Some("1")
    });
    assert_eq!(good.run(&["STRLEN", "v"]), Value::Int(1 << 20));
    drop(greedy);
    assert_serving(&mut server);
}

#[test]
fn many_slow_readers_do_not_stop_the_others() {
    let limit = "normal 16777216 0 0";
    let mut server = Server::banyan(2, &["--client-output-buffer-limit", limit]);
    let mut good = server.client();
    let value = vec![b'x'; 1 << 20];
    assert_eq!(good.run(&[b"SET".as_slice(), b"v", &value]), Value::ok());
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let mut client = server.client();
            // The server may close before all of it is sent.
            let _ = client.send(&resp::request(&["GET", "v"]).repeat(64));
            client
        })
        .collect();
    wait_until("all slow readers to be dropped", || {
        good.must("SET beside them");
        good.info("clients", "connected_clients").as_deref() == Some("1")
    });
    assert!(server.resident() < 2 * GIB);
    drop(slow);
    assert_serving(&mut server);
}

#[test]
fn a_slow_reader_within_its_limit_gets_everything() {
    let mut server = Server::banyan(2, &[]);
    let mut client = server.client();
    let value: Vec<u8> = (0..1_000_000).map(|i: u32| (i % 253) as u8).collect();
    assert_eq!(client.run(&[b"SET".as_slice(), b"v", &value]), Value::ok());
    client
        .send(&resp::request(&["GET", "v"]).repeat(40))
        .expect("sent");
    crate::support::pause(500);
    for _ in 0..40 {
        assert!(client.read().expect("a reply") == Value::Bulk(value.clone()));
    }
    assert_serving(&mut server);
}

#[test]
fn a_query_beyond_its_buffer_limit_ends_the_connection() {
    let mut server = Server::banyan(2, &["--client-query-buffer-limit", "2mb"]);
    let mut client = server.client();
    let head = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$8388608\r\n";
    client.send(head).expect("sent");
    let chunk = vec![b'x'; 1 << 20];
    // The server may close in between.
    for _ in 0..7 {
        if client.send(&chunk).is_err() {
            break;
        }
    }
    assert!(client.closed_by_server());
    assert_eq!(server.client().call("EXISTS a"), Value::Int(0));
    assert_serving(&mut server);
}

#[test]
fn a_promised_value_takes_no_memory_before_it_comes() {
    let mut server = Server::banyan(2, &[]);
    let before = server.resident();
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = server.client();
            client
                .send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\nabc")
                .expect("sent");
            client
        })
        .collect();
    let counts: Vec<_> = (0..20)
        .map(|_| {
            let mut client = server.client();
            client.send(b"*1000000\r\n$3\r\nDEL\r\n").expect("sent");
            client
        })
        .collect();
    assert_serving(&mut server);
    let grown = server.resident().saturating_sub(before);
    assert!(grown < GIB, "{} MiB for promises alone", grown >> 20);
    drop((clients, counts));
    assert_serving(&mut server);
}

#[test]
fn strings_stop_at_proto_max_bulk_len() {
    let mut server = Server::banyan(2, &["--proto-max-bulk-len", "1mb"]);
    let mut client = server.client();
    let text = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    assert_eq!(client.call("SETRANGE a 1048576 x"), Value::error(text));
    let full = vec![b'x'; 1 << 20];
    assert_eq!(client.run(&[b"SET".as_slice(), b"a", &full]), Value::ok());
    assert_eq!(client.call("APPEND a x"), Value::error(text));
    client
        .send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1048577\r\n")
        .expect("sent");
    let error = client.read().expect("an error");
    assert_eq!(
        error,
        Value::error("ERR Protocol error: invalid bulk length")
    );
    assert!(client.closed_by_server());
    assert_serving(&mut server);
}

#[test]
fn a_glob_full_of_stars_ends_soon() {
    let mut server = Server::banyan(2, &[]);
    let mut client = server.client();
    let key = "a".repeat(200);
    client.must(&format!("SET {key} x"));
    let pattern = format!("{}b", "a*".repeat(80));
    assert_eq!(
        client.call(&format!("KEYS {pattern}")),
        Value::Array(Vec::new())
    );
    let nested = "*?".repeat(30_000);
    client.call(&format!("KEYS {nested}"));
    assert_serving(&mut server);
}
