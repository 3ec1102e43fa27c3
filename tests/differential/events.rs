//! Keyspace notifications of both servers, for the same random commands.

use super::generate::{Command, Generator, Step};
use super::run::Pair;
use crate::support::client::Client;
use crate::support::resp::{self, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Channels of keys on all shards: what a shard says of its keys is told before what is said there.
const FENCES: usize = 64;
const FENCE: &str = "__keyspace@0__:fence";
/// Differences shown at once.
const SHOWN_MAX: usize = 30;

/// Channel and payload of a message to a pattern.
type Message = (Vec<u8>, Vec<u8>);

fn said(value: &Value) -> Message {
    let parts = value.items();
    (parts[2].bytes().to_vec(), parts[3].bytes().to_vec())
}

/// What a listener is told of all that was done until now.
fn until_fence(server: &mut Client, listener: &mut Client) -> Vec<Message> {
    let fences: Vec<u8> = (0..FENCES)
        .flat_map(|n| resp::request(&["PUBLISH", &format!("{FENCE}{n}"), "x"]))
        .collect();
    server.exchange(&fences, FENCES).expect("it is published");
    let (mut got, mut missing) = (Vec::new(), FENCES);
    while missing > 0 {
        let message = said(&listener.read().expect("the listener is told"));
        match message.0.starts_with(FENCE.as_bytes()) {
            true => missing -= 1,
            false => got.push(message),
        }
    }
    got
}

type Told = BTreeMap<Vec<u8>, Vec<Message>>;

/// The messages of each key, in their order.
fn by_key(messages: &[Message]) -> Told {
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
        client.must("CONFIG SET notify-keyspace-events KEAnm");
    }
    for listener in [&mut listeners.0, &mut listeners.1] {
        listener.run(&["PSUBSCRIBE", "__key*__:*"]);
    }
    let mut generator = Generator::new(seed);
    let (mut sent, mut told) = (0, 0);
    let mut differences = Vec::new();
    while sent < commands && differences.len() < SHOWN_MAX {
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
        let got = until_fence(&mut subject, &mut listeners.1);
        told += wanted.len();
        if let Some(text) = differ(shards, &wanted, &got, batch) {
            differences.push(text);
        }
    }
    let found = differences.join("\n\n");
    assert!(differences.is_empty(), "BANYAN_SEED={seed}\n{found}");
    println!("{told} messages about {sent} commands compared");
    assert!(told > sent, "too little is told to mean anything");
}

/// What differs, with the commands that it may be about: the whole order with one shard, the order
/// of each key with more.
fn differ(shards: usize, a: &[Message], b: &[Message], batch: &[Command]) -> Option<String> {
    let (of_a, of_b) = (by_key(a), by_key(b));
    let keys: BTreeSet<_> = of_a.keys().chain(of_b.keys()).collect();
    let mut text = String::new();
    for key in keys {
        let (a, b) = (of_a.get(key), of_b.get(key));
        if a == b {
            continue;
        }
        for command in batch.iter().filter(|command| command.args.contains(key)) {
            text.push_str(&format!("{:.200}\n", resp::show(&command.args)));
        }
        text.push_str(&format!("reference {}\n   banyan {}\n", show(a), show(b)));
    }
    // A set's elements are in no order, and so are the keys of order that SORT looks up for them.
    let sorts = |command: &Command| {
        let name = command.args[0].to_ascii_lowercase();
        name.starts_with(b"sort")
            && command
                .args
                .iter()
                .any(|arg| arg.eq_ignore_ascii_case(b"BY"))
    };
    if text.is_empty() && shards == 1 && a != b && !batch.iter().any(sorts) {
        let at = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        let part = |all: &[Message]| {
            let part: Vec<Message> = all.iter().skip(at.max(4) - 4).take(20).cloned().collect();
            show(Some(&part))
        };
        text = format!("reference {}\n   banyan {}\n", part(a), part(b));
        for command in batch {
            text.push_str(&format!("{:.200}\n", resp::show(&command.args)));
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Events as `event=key`, of the channels by event.
fn show(messages: Option<&Vec<Message>>) -> String {
    let of_event = |message: &&Message| message.0.starts_with(b"__keyevent@");
    let all = messages.into_iter().flatten();
    let shown = all.filter(of_event).map(|(channel, key)| {
        let event = channel["__keyevent@".len()..].escape_ascii();
        format!("{event}={}", key.escape_ascii())
    });
    shown.collect::<Vec<_>>().join(" ")
}
