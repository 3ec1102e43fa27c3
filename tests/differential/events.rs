//! Keyspace notifications of both servers, for the same random commands.

use super::generate::{Generator, Step};
use super::run::Pair;
use crate::support::client::Client;
use crate::support::resp::{self, Value};
use std::collections::BTreeMap;

const FENCE: &str = "__key-fence__:";

/// Channel and payload of a message to a pattern.
fn said(value: &Value) -> (Vec<u8>, Vec<u8>) {
    let parts = value.items();
    (parts[2].bytes().to_vec(), parts[3].bytes().to_vec())
}

/// What a listener is told until the fence, which is said after it all.
fn until_fence(server: &mut Client, listener: &mut Client) -> Vec<(Vec<u8>, Vec<u8>)> {
    server.run(&["PUBLISH", FENCE, "x"]);
    let mut got = Vec::new();
    loop {
        let message = said(&listener.read().expect("the listener is told"));
        if message.0 == FENCE.as_bytes() {
            return got;
        }
        got.push(message);
    }
}

type Told = BTreeMap<Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>>;

/// The messages of each key, in their order.
fn by_key(messages: &[(Vec<u8>, Vec<u8>)]) -> Told {
    let mut told = Told::new();
    for message in messages {
        let (channel, payload) = message;
        let key = match channel.starts_with(b"__keyspace@") {
            true => {
                let at = channel.windows(3).position(|three| three == b"__:");
                channel[at.expect("a channel of a key") + 3..].to_vec()
            }
            false => payload.clone(),
        };
        told.entry(key).or_default().push(message.clone());
    }
    told
}

/// Runs random commands; the listeners of both must be told the same: in one order with one shard,
/// in the order of each key with more.
pub fn compare_random(shards: usize, seed: u64, commands: usize) {
    let mut pair = Pair::start(shards, &[]);
    let (mut reference, mut subject) = (pair.reference.client(), pair.subject.client());
    let mut listeners = (pair.reference.client(), pair.subject.client());
    for client in [&mut reference, &mut subject] {
        client.must("CONFIG SET notify-keyspace-events KEAn");
    }
    for listener in [&mut listeners.0, &mut listeners.1] {
        listener.run(&["PSUBSCRIBE", "__key*__:*"]);
    }
    let mut generator = Generator::new(seed);
    let mut sent = 0;
    while sent < commands {
        let step = generator.step();
        let Step::Batch {
            commands: batch, ..
        } = &step
        else {
            continue;
        };
        sent += batch.len();
        if let Err(text) = pair.step(&step) {
            panic!("BANYAN_SEED={seed}: {text}");
        }
        let wanted = until_fence(&mut reference, &mut listeners.0);
        let got: Vec<_> = (wanted.iter())
            .map(|_| said(&listeners.1.read().expect("we are told as much")))
            .collect();
        let shown: Vec<String> = batch.iter().map(|c| resp::show(&c.args)).collect();
        let shown = shown.join("\n");
        if shards == 1 {
            assert_eq!(got, wanted, "BANYAN_SEED={seed}\n{shown}");
        } else {
            assert_eq!(by_key(&got), by_key(&wanted), "BANYAN_SEED={seed}\n{shown}");
        }
    }
    assert_eq!(until_fence(&mut subject, &mut listeners.1), []);
}
