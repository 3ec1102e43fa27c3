//! Subscribers that do not keep up.

use super::assert_serving;
use crate::support::resp::{self, Value};
use crate::support::server::Server;
use crate::support::wait_until;

/// Bytes of one message.
const MESSAGE: usize = 64 << 10;
/// The limit of what a subscriber may leave unread, bytes.
const LIMIT: &str = "pubsub 4194304 0 0";
/// What the subscriber is sent at the most before it must be gone: far more than the sockets of
/// both sides hold.
const MESSAGES_MAX: usize = 4096;

#[test]
fn a_subscriber_that_reads_nothing_is_dropped_alone() {
    for shards in [1, 3] {
        let mut server = Server::banyan(shards, &["--client-output-buffer-limit", LIMIT]);
        let (mut publisher, mut reader) = (server.client(), server.client());
        // Several of each, so that they are on several shards.
        let mut stuck: Vec<_> = (0..shards).map(|_| server.client()).collect();
        for (at, client) in stuck.iter_mut().enumerate() {
            let command = ["SUBSCRIBE", "PSUBSCRIBE"][at % 2];
            client.call(&format!("{command} news"));
        }
        reader.call("SUBSCRIBE news");
        let payload = vec![b'x'; MESSAGE];
        let (mut sent, mut receivers) = (0, 1 + shards as i64);
        while receivers > 1 {
            let reply = publisher.run(&[b"PUBLISH".as_slice(), b"news", &payload]);
            let now = reply.int();
            assert!((1..=receivers).contains(&now), "{now} of {receivers}");
            receivers = now;
            // Whoever reads gets every message, whole.
            let message = reader.read().expect("a message");
            assert_eq!(message.items()[2].bytes().len(), MESSAGE);
            sent += 1;
            assert!(sent < MESSAGES_MAX, "the limit does not hold");
        }
        assert!(sent * MESSAGE > 4 << 20, "dropped within the limit");
        wait_until("the connections to be closed", || {
            publisher.info("clients", "connected_clients").as_deref() == Some("2")
        });
        let drops = publisher.info("stats", "client_output_buffer_limit_disconnections");
        assert_eq!(drops, Some(shards.to_string()));
        assert_eq!(publisher.call("PUBSUB NUMPAT"), Value::Int(0));
        // The stuck ones find what the sockets held, and then the end.
        for mut client in stuck {
            while client.read().is_ok() {}
        }
        assert_serving(&mut server);
    }
}

#[test]
fn a_connection_that_tracks_and_reads_nothing_is_dropped_alone() {
    let limit = "normal 1048576 0 0";
    let mut server = Server::banyan(2, &["--client-output-buffer-limit", limit]);
    let (mut writer, mut stuck) = (server.client(), server.client3());
    stuck.must("CLIENT TRACKING ON BCAST");
    // Names of keys make the invalidations large.
    let key = vec![b'k'; 64 << 10];
    let mut sent = 0;
    while writer.info("clients", "tracking_clients").as_deref() == Some("1") {
        let batch = resp::request(&[b"SET".as_slice(), &key, b"v"]).repeat(8);
        let replies = writer.exchange(&batch, 8).expect("the writer goes on");
        assert!(replies.iter().all(|reply| *reply == Value::ok()));
        sent += 1;
        assert!(sent < MESSAGES_MAX, "the limit does not hold");
    }
    drop(stuck);
    assert_serving(&mut server);
}
