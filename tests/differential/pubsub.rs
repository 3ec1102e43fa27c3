//! Subscribers of both servers get the same, connection by connection.

use super::run::{REFERENCE_ARGS, subject_args};
use crate::support::client::Client;
use crate::support::random::Random;
use crate::support::resp::{self, Value};
use crate::support::server::Server;

const LISTENERS: usize = 6;
/// Those from this one on speak RESP3.
const FIRST_RESP3: usize = 3;
const CHANNELS: [&str; 9] = [
    "news",
    "a",
    "b",
    "ab",
    "h.llo",
    "hello",
    "{a}x",
    "",
    "__keyspace@0__:a",
];
const PATTERNS: [&str; 6] = ["*", "h?llo", "a*", "[ab]", "none", "__key*"];

/// The same connections to both.
struct Both {
    clients: Vec<(Client, Client)>,
    /// Subscriptions of each, by space.
    counts: Vec<[Vec<String>; 3]>,
}

/// Everything that a connection got until its answer to PING.
fn until_pong(client: &mut Client) -> Vec<Value> {
    client
        .send(&resp::request(&["PING", "fence"]))
        .expect("the reference reads");
    let mut got = Vec::new();
    loop {
        let value = client.read().expect("the reference answers");
        let pong = [
            Value::bulk("fence"),
            Value::Array(vec![Value::bulk("pong"), Value::bulk("fence")]),
        ];
        if pong.contains(&value) {
            return got;
        }
        got.push(value);
    }
}

/// Messages of several patterns, and confirmations of all names, come in no certain order; counts
/// then go with the place and not with the name.
fn ordered(values: Vec<Value>) -> (Vec<String>, Vec<String>) {
    let (mut names, mut counts) = (Vec::new(), Vec::new());
    for value in values {
        let parts = match &value {
            Value::Array(parts) | Value::Push(parts) => parts.as_slice(),
            _ => &[],
        };
        match parts {
            [kind, name, Value::Int(count)] => {
                names.push(format!("{kind:?} {name:?}"));
                counts.push(count.to_string());
            }
            _ => names.push(format!("{value:?}")),
        }
    }
    names.sort();
    (names, counts)
}

impl Both {
    fn connect(reference: &Server, subject: &Server) -> Both {
        let clients = (0..=LISTENERS).map(|i| match i {
            FIRST_RESP3..LISTENERS => (reference.client3(), subject.client3()),
            _ => (reference.client(), subject.client()),
        });
        Both {
            clients: clients.collect(),
            counts: vec![Default::default(); LISTENERS],
        }
    }

    /// Sends the same on one connection and compares what all got. Ours may come later, but not
    /// otherwise.
    fn compare(&mut self, who: usize, commands: &[Vec<String>]) {
        let bytes: Vec<u8> = commands.iter().flat_map(|c| resp::request(c)).collect();
        let (reference, subject) = &mut self.clients[who];
        for client in [reference, subject] {
            client.send(&bytes).expect("both read");
        }
        let shown: Vec<String> = commands.iter().map(|c| resp::show(c)).collect();
        // The sender first: what it said was then done.
        let order = std::iter::once(who).chain((0..=LISTENERS).filter(|other| *other != who));
        for at in order {
            let (reference, subject) = &mut self.clients[at];
            let wanted = until_pong(reference);
            let got: Vec<Value> = (wanted.iter())
                .map(|_| {
                    subject
                        .read()
                        .unwrap_or_else(|e| panic!("{at}: {shown:?}: {e}"))
                })
                .collect();
            assert_eq!(ordered(got), ordered(wanted), "{at}: {shown:?}");
        }
    }

    /// Nothing more has come than was compared.
    fn assert_quiet(&mut self) {
        for (_, subject) in &mut self.clients {
            assert_eq!(until_pong(subject), []);
        }
    }
}

/// A command of a subscriber, as words. Valkey 8 refuses UNSUBSCRIBE from who listens to nothing;
/// Redis 7.2 and Banyan confirm it.
fn listen(random: &mut Random, own: &mut [Vec<String>; 3]) -> Vec<String> {
    let space = random.below(3);
    let verb = ["SUBSCRIBE", "SSUBSCRIBE", "PSUBSCRIBE"][space];
    let names: &[&str] = if space == 2 { &PATTERNS } else { &CHANNELS };
    let mut chosen: Vec<String> = (0..1 + random.below(3))
        .map(|_| random.pick(names).to_owned())
        .collect();
    let idle = own.iter().all(Vec::is_empty);
    if idle || random.one_in(2) {
        own[space].extend(chosen.iter().cloned());
        own[space].sort();
        own[space].dedup();
        chosen.insert(0, verb.to_owned());
        return chosen;
    }
    let verb = verb.replace("SUBSCRIBE", "UNSUBSCRIBE");
    if random.one_in(4) {
        own[space].clear();
        return vec![verb];
    }
    chosen.truncate(1);
    own[space].retain(|name| *name != chosen[0]);
    vec![verb, chosen.remove(0)]
}

/// Random subscribers and publishers.
pub fn compare_random(shards: usize, seed: u64, rounds: usize) {
    let reference = Server::valkey(REFERENCE_ARGS);
    let subject = Server::banyan(shards, subject_args());
    let mut both = Both::connect(&reference, &subject);
    let mut random = Random::new(seed);
    for round in 0..rounds {
        let who = random.below(LISTENERS);
        match random.below(10) {
            0..4 => {
                let command = listen(&mut random, &mut both.counts[who]);
                both.compare(who, &[command]);
            }
            4 => {
                both.counts[who] = Default::default();
                both.compare(who, &[vec!["RESET".to_owned()]]);
                if who >= FIRST_RESP3 {
                    let (reference, subject) = &mut both.clients[who];
                    reference.call("HELLO 3");
                    subject.call("HELLO 3");
                }
            }
            5 => {
                let words = [
                    "PUBSUB NUMPAT",
                    "PUBSUB NUMSUB a b news",
                    "PUBSUB SHARDNUMSUB a b",
                ];
                let command = random.pick(&words).split(' ').map(str::to_owned).collect();
                both.compare(LISTENERS, &[command]);
            }
            kind => {
                let verb = if kind == 6 { "SPUBLISH" } else { "PUBLISH" };
                let say = |random: &mut Random, n: usize| {
                    let channel = random.pick(&CHANNELS).to_owned();
                    vec![verb.to_owned(), channel, format!("{round}-{n}")]
                };
                let mut commands = vec![say(&mut random, 0)];
                if random.one_in(3) {
                    commands.insert(0, vec!["MULTI".to_owned()]);
                    commands.push(vec!["SET".to_owned(), "k".to_owned(), "v".to_owned()]);
                    commands.push(say(&mut random, 1));
                    commands.push(vec!["EXEC".to_owned()]);
                }
                both.compare(LISTENERS, &commands);
            }
        }
    }
    both.assert_quiet();
}
