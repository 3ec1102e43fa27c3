//! What is published reaches subscribers of replicas, whoever replicates whom.

use super::{banyan, redis, valkey};
use crate::support::client::Client;
use crate::support::resp::Value;
use crate::support::server::Server;
use crate::support::sync::attach;
use crate::support::wait_until;

/// Rounds of messages.
const ROUNDS: usize = 200;

/// A subscriber to channels, to shard channels and to a pattern.
fn listener(server: &Server) -> Client {
    let mut client = server.client();
    client.call("SUBSCRIBE news");
    client.call("SSUBSCRIBE local");
    client.call("PSUBSCRIBE ev*");
    client
}

/// Channel and payload of a message.
fn said(value: &Value) -> (Vec<u8>, Vec<u8>) {
    let parts = value.items();
    let [.., channel, payload] = parts else {
        panic!("no message: {value:?}");
    };
    (channel.bytes().to_vec(), payload.bytes().to_vec())
}

/// Publishes at one server and reads at the other, by itself and within transactions, between
/// writes.
fn compare(primary: &Server, replica: &Server) {
    attach(replica, primary.port);
    let (mut near, mut far) = (listener(primary), listener(replica));
    let mut client = primary.client();
    // The link stands: what is said from now on is in the stream.
    client.must("SET marker 1");
    let mut reader = replica.client();
    wait_until("the replica to follow", || {
        reader.call("GET marker") == Value::bulk("1")
    });
    for round in 0..ROUNDS {
        client.must(&format!("SET key:{round} {round}"));
        client.call(&format!("PUBLISH news {round}"));
        client.call("MULTI");
        client.call(&format!("PUBLISH events {round}"));
        client.call(&format!("SET key:{round} {round}"));
        client.call(&format!("SPUBLISH local {round}"));
        client.call("EXEC");
        let payload = round.to_string().into_bytes();
        let mut want: Vec<(Vec<u8>, Vec<u8>)> = ["news", "events", "local"]
            .map(|channel| (channel.as_bytes().to_vec(), payload.clone()))
            .to_vec();
        want.sort();
        for listener in [&mut near, &mut far] {
            let mut got: Vec<_> = (0..want.len())
                .map(|_| said(&listener.read().expect("a message")))
                .collect();
            // Each channel has an order; between channels there is none.
            got.sort();
            assert_eq!(got, want, "round {round}");
        }
    }
}

#[test]
fn messages_reach_subscribers_of_real_replicas() {
    for shards in [1, 3] {
        compare(&banyan(shards, &[]), &redis(&[]));
        compare(&banyan(shards, &[]), &valkey(&[]));
    }
}

#[test]
fn messages_of_real_primaries_reach_our_subscribers() {
    for shards in [1, 3] {
        compare(&redis(&[]), &banyan(shards, &[]));
        compare(&valkey(&[]), &banyan(shards, &[]));
    }
}

#[test]
fn messages_travel_down_a_chain() {
    let (top, middle) = (banyan(2, &[]), banyan(3, &[]));
    attach(&middle, top.port);
    compare_below(&top, &middle);
}

/// As [`compare`], with another replica between the two.
fn compare_below(top: &Server, middle: &Server) {
    let bottom = valkey(&[]);
    attach(&bottom, middle.port);
    let mut far = listener(&bottom);
    let (mut client, mut reader) = (top.client(), bottom.client());
    client.must("SET marker 1");
    wait_until("the last one to follow", || {
        reader.call("GET marker") == Value::bulk("1")
    });
    for round in 0..ROUNDS {
        client.call(&format!("PUBLISH news {round}"));
        let got = said(&far.read().expect("a message"));
        assert_eq!(got, (b"news".to_vec(), round.to_string().into_bytes()));
    }
}
