//! Client-side caching: connections of both servers are told of the same keys, for the same random
//! commands.

use super::generate::{Check, Command, Generator, Step};
use super::run::{REFERENCE_ARGS, subject_args};
use crate::support::client::Client;
use crate::support::resp::{self, Value};
use crate::support::server::Server;
use std::collections::BTreeMap;

/// How each connection tracks; those from [`LISTENER`] on listen for the one before them.
const MODES: &[&str] = &[
    "CLIENT TRACKING ON",
    "CLIENT TRACKING ON NOLOOP",
    "CLIENT TRACKING ON OPTIN",
    "CLIENT TRACKING ON OPTOUT",
    "CLIENT TRACKING ON BCAST",
    "CLIENT TRACKING ON BCAST PREFIX k PREFIX l PREFIX h NOLOOP",
    "CLIENT TRACKING ON REDIRECT",
];
const OPTIN: usize = 2;
const OPTOUT: usize = 3;
const BROADCASTS: std::ops::RangeInclusive<usize> = 4..=5;
const REDIRECTS: usize = 6;
/// Commands about a key that are shown with a difference.
const COMMANDS_SHOWN: usize = 8;
/// Commands that end the mode of a connection, of which the reference does not tell (SWAPDB), or
/// that have no reply.
const LEFT_OUT: &[&str] = &["RESET", "HELLO", "SWAPDB", "QUIT", "SHUTDOWN"];

/// Commands that only read and say how many keys they name.
const COUNTED: &[&str] = &["SINTERCARD", "ZDIFF", "ZINTER", "ZINTERCARD", "ZUNION"];

/// What a connection is told, or given.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Got {
    Reply,
    Key(Vec<u8>),
    AllKeys,
}

/// A connection to each server for every mode, and a subscriber for the one that redirects.
struct Both {
    clients: Vec<[Client; 2]>,
    told: usize,
    /// What was sent by whom.
    sent: Vec<(usize, Vec<Vec<u8>>)>,
}

fn id_of(client: &mut Client) -> i64 {
    client.call("CLIENT ID").int()
}

impl Both {
    fn connect(servers: [&Server; 2]) -> Both {
        let mut clients: Vec<[Client; 2]> = (MODES.iter().enumerate())
            .map(|(at, mode)| {
                servers.map(|server| match at {
                    REDIRECTS => server.client(),
                    _ => {
                        let mut client = server.client3();
                        client.must(mode);
                        client
                    }
                })
            })
            .collect();
        let mut listeners = servers.map(Server::client);
        for (client, listener) in clients[REDIRECTS].iter_mut().zip(&mut listeners) {
            let id = id_of(listener);
            listener.call("SUBSCRIBE __redis__:invalidate");
            client.must(&format!("{} {id}", MODES[REDIRECTS]));
        }
        clients.push(listeners);
        Both {
            clients,
            told: 0,
            sent: Vec::new(),
        }
    }

    /// Which keys a connection was told of by one server only, and the commands about them.
    fn explain(&self, at: usize, who: usize, keys: &[(Vec<u8>, [usize; 2])]) -> String {
        let mut text = format!("{at}, sent by {who}\n");
        for (key, [wanted, got]) in keys {
            let shown = key.escape_ascii();
            text.push_str(&format!(
                "{shown}: {wanted} by the reference, {got} by banyan\n"
            ));
            let about = (self.sent.iter().enumerate()).filter(|(_, (_, args))| args.contains(key));
            let mut about: Vec<usize> = about.map(|(at, _)| at).collect();
            about.drain(..about.len().saturating_sub(COMMANDS_SHOWN));
            for at in about {
                for (who, args) in &self.sent[at.saturating_sub(2)..=at] {
                    text.push_str(&format!("    by {who}: {}\n", resp::show(args)));
                }
            }
        }
        text
    }

    /// Sends the same on one connection of both and compares what all are told.
    fn compare(&mut self, exactly: bool, who: usize, commands: &[Command]) -> Result<(), String> {
        let mut bytes: Vec<u8> = (commands.iter())
            .flat_map(|command| resp::request(&command.args))
            .collect();
        // What is watched is seldom used up here, and then not by the same commands.
        for word in ["DISCARD", "UNWATCH"] {
            bytes.extend(resp::request(&[word]));
        }
        let args = commands.iter().map(|command| (who, command.args.clone()));
        self.sent.extend(args);
        let sent = [0, 1].map(|side| {
            self.clients[who][side].send(&bytes).expect("both read");
            until_fence(&mut self.clients[who][side])
        });
        let others = (0..self.clients.len()).filter(|other| *other != who);
        let mut all = vec![(who, sent)];
        for other in others {
            let got = [0, 1].map(|side| until_fence(&mut self.clients[other][side]));
            all.push((other, got));
        }
        for (at, [wanted, mut got]) in all {
            let broadcast = BROADCASTS.contains(&at);
            self.told += wanted.iter().filter(|got| **got != Got::Reply).count();
            // Ours may come later: what another connection redirects, or a shard's own part.
            while counted(&got, broadcast).len() < counted(&wanted, broadcast).len() {
                let subject = &mut self.clients[at][1];
                let Ok(value) = subject.read() else {
                    break;
                };
                note(&mut got, &value);
            }
            let same = match exactly && !broadcast {
                true => wanted == got,
                false => counted(&wanted, broadcast) == counted(&got, broadcast),
            };
            if !same {
                let keys = differing(&wanted, &got, broadcast);
                return Err(self.explain(at, who, &keys));
            }
        }
        Ok(())
    }
}

/// What a value that was read says of keys.
fn note(got: &mut Vec<Got>, value: &Value) {
    let parts = match value {
        Value::Array(parts) | Value::Push(parts) => parts.as_slice(),
        _ => &[],
    };
    let keys = match parts {
        [kind, keys] if *kind == Value::bulk("invalidate") => keys,
        [_, channel, keys] if *channel == Value::bulk("__redis__:invalidate") => keys,
        _ => return got.push(Got::Reply),
    };
    match keys.is_null() {
        true => got.push(Got::AllKeys),
        false => got.extend(
            keys.items()
                .iter()
                .map(|key| Got::Key(key.bytes().to_vec())),
        ),
    }
}

/// Everything that a connection is told of what was done until now. What Valkey says of prefixes
/// comes behind the replies of its turn, and so perhaps behind the first fence.
fn until_fence(client: &mut Client) -> Vec<Got> {
    let mut got = Vec::new();
    for fence in ["first-fence", "second-fence"] {
        client
            .send(&resp::request(&["PING", fence]))
            .expect("both read");
        let pongs = [
            Value::bulk(fence),
            Value::Array(vec![Value::bulk("pong"), Value::bulk(fence)]),
        ];
        loop {
            let value = client.read().expect("both answer");
            if pongs.contains(&value) {
                break;
            }
            note(&mut got, &value);
        }
    }
    got
}

/// How often each key was told of; of prefixes, whether it was: several changes of a key may be
/// told at once.
fn counted(got: &[Got], broadcast: bool) -> BTreeMap<Vec<u8>, usize> {
    let mut counts = BTreeMap::new();
    for got in got {
        let key = match got {
            Got::Reply => continue,
            Got::Key(key) => [b"key ", &key[..]].concat(),
            Got::AllKeys => b"all".to_vec(),
        };
        let count: &mut usize = counts.entry(key).or_default();
        *count = if broadcast { 1 } else { *count + 1 };
    }
    counts
}

/// How often each key was told of by each server, where that differs.
fn differing(wanted: &[Got], got: &[Got], broadcast: bool) -> Vec<(Vec<u8>, [usize; 2])> {
    let sides = [counted(wanted, broadcast), counted(got, broadcast)];
    let mut keys: Vec<&Vec<u8>> = sides.iter().flat_map(BTreeMap::keys).collect();
    keys.sort();
    keys.dedup();
    let counts = keys.into_iter().map(|key| {
        let [wanted, got] = [0, 1].map(|side| sides[side].get(key).copied().unwrap_or(0));
        let key = key.strip_prefix(b"key ").unwrap_or(key).to_vec();
        (key, [wanted, got])
    });
    counts.filter(|(_, [a, b])| a != b).collect()
}

/// INFO's figures of tracking, and the digest of the data.
fn figures(client: &mut Client) -> Vec<String> {
    let text = client.call("INFO everything").text();
    let lines = text.lines().filter(|line| line.starts_with("tracking_"));
    let digest = client.call("DEBUG DIGEST").text();
    lines.map(str::to_owned).chain([digest]).collect()
}

/// Whether XREAD has not as many ids as keys.
fn is_uneven(args: &[Vec<u8>]) -> bool {
    let at = (args.iter()).position(|arg| arg.eq_ignore_ascii_case(b"STREAMS"));
    at.is_some_and(|at| (args.len() - at).is_multiple_of(2))
}

/// Whether a command is not sent: the two differ in it on purpose, or where it is malformed.
fn is_left_out(command: &Command) -> bool {
    let name = String::from_utf8_lossy(&command.args[0]).to_uppercase();
    let arg_is = |at: usize, word: &[u8]| {
        (command.args.get(at)).is_some_and(|arg| arg.eq_ignore_ascii_case(word))
    };
    let is_number = |arg: &Vec<u8>| arg.iter().all(u8::is_ascii_digit);
    command.check == Check::Silent
        || LEFT_OUT.contains(&&*name)
        // Valkey reads the number in `ZDIFF 1.5 key` as 1 to find keys, and then refuses it.
        || (COUNTED.contains(&&*name) && !command.args.get(1).is_some_and(is_number))
        // Valkey takes no key for one in `XREAD COUNT STREAMS key 0`, nor in an uneven list.
        || (name == "XREAD" && (arg_is(2, b"STREAMS") || is_uneven(&command.args)))
        // Valkey does not count it as a change of the key.
        || (name == "XGROUP" && arg_is(1, b"DESTROY"))
}

/// Random commands through connections of all modes.
pub fn compare_random(shards: usize, seed: u64, commands: usize) {
    let reference = Server::valkey(REFERENCE_ARGS);
    let subject = Server::banyan(shards, subject_args());
    for server in [&reference, &subject] {
        server.client().must("DEBUG SET-ACTIVE-EXPIRE 0");
    }
    let mut both = Both::connect([&reference, &subject]);
    let mut controls = [reference.client(), subject.client()];
    let mut generator = Generator::new(seed);
    let mut sent = 0;
    while sent < commands {
        let Step::Batch {
            commands: mut batch,
            ..
        } = generator.step()
        else {
            continue;
        };
        batch.retain(|command| !is_left_out(command));
        if batch.is_empty() {
            continue;
        }
        let who = generator.random.below(MODES.len());
        let word = match who {
            OPTIN => Some("YES"),
            OPTOUT => Some("NO"),
            _ => None,
        };
        if let Some(word) = word.filter(|_| generator.random.one_in(2)) {
            let at = generator.random.below(batch.len());
            let words = ["CLIENT", "CACHING", word].map(|word| word.as_bytes().to_vec());
            let (args, check) = (words.to_vec(), Check::Exact);
            batch.insert(at, Command { args, check });
        }
        sent += batch.len();
        let told = both.compare(shards == 1, who, &batch);
        let [wanted, got] = controls.each_mut().map(figures);
        if let Err(text) = told {
            let shown: Vec<String> = batch.iter().map(|c| resp::show(&c.args)).collect();
            let shown = shown.join("\n");
            panic!("BANYAN_SEED={seed}: {text}\n{wanted:?}\n{got:?}\n{shown}");
        }
        let shown: Vec<String> = batch.iter().map(|c| resp::show(&c.args)).collect();
        let shown = shown.join("\n");
        assert_eq!(wanted, got, "BANYAN_SEED={seed}: sent by {who}: {shown}");
    }
    println!("{} invalidations for {sent} commands compared", both.told);
    assert!(both.told > sent / 4, "too little is told to mean anything");
}
