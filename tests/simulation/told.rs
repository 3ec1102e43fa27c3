//! What clients are told that did not ask at that moment: events of keys, and what they waited for.

use std::collections::BTreeMap;

use banyan::protocol::reply_parser::Value;

use crate::stage::Stage;

fn text(value: &Value) -> String {
    match value {
        Value::Bulk(bytes) | Value::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Integer(n) => n.to_string(),
        other => panic!("{other:?} is no text"),
    }
}

fn parts(value: &Value) -> &[Value] {
    match value {
        Value::Array(parts) => parts,
        other => panic!("{other:?} is no array"),
    }
}

/// Lists that only grow: the reply to a change is its place in the order of the key's changes.
const LISTS: [&str; 5] = ["l:a", "l:b", "l:c", "l:d", "l:e"];
/// Strings that live for some milliseconds.
const SHORT: [&str; 3] = ["t:a", "t:b", "t:c"];
const WRITERS: usize = 4;
const ROUNDS: usize = 300;

/// What a reply tells.
enum Sent {
    /// A change of this list, with this event; 0 if it found nothing to change.
    Change(&'static str, &'static str),
    Exec(Vec<(&'static str, &'static str)>),
    Other,
}

struct Events {
    stage: Stage,
    sent: Vec<Vec<Sent>>,
    /// By key: the event of each change.
    changes: BTreeMap<&'static str, BTreeMap<i64, &'static str>>,
}

/// Every change of a key is told of once, in the order of the changes, by the key's name and then
/// by the event's.
pub fn events(seed: u64) {
    let stage = Stage::new(seed, &[("notify-keyspace-events", "KEA")], WRITERS + 1);
    let mut events = Events {
        stage,
        sent: (0..WRITERS).map(|_| Vec::new()).collect(),
        changes: BTreeMap::new(),
    };
    events
        .stage
        .send(WRITERS, &["PSUBSCRIBE __key*__:*".to_owned()]);
    events.stage.rest();
    for _ in 0..ROUNDS {
        events.write();
        events.stage.some_steps(60);
    }
    events.stage.rest();
    events.stage.pass(2_000);
    events.stage.rest();
    events.collect();
    events.compare();
}

impl Events {
    fn change(&mut self) -> (String, (&'static str, &'static str)) {
        let key = *self.stage.rng.pick(&LISTS);
        let (command, event) = *self.stage.rng.pick(&[
            ("RPUSH", "rpush"),
            ("LPUSH", "lpush"),
            ("RPUSHX", "rpush"),
            ("LINSERT", "linsert"),
        ]);
        let rest = if command == "LINSERT" {
            "BEFORE x x"
        } else {
            "x"
        };
        (format!("{command} {key} {rest}"), (key, event))
    }

    fn write(&mut self) {
        let writer = self.stage.rng.below(WRITERS);
        let mut commands = Vec::new();
        for _ in 0..1 + self.stage.rng.below(4) {
            match self.stage.rng.below(8) {
                0..=3 => {
                    let (command, (key, event)) = self.change();
                    commands.push(command);
                    self.sent[writer].push(Sent::Change(key, event));
                }
                4..=5 => {
                    let mut changes = Vec::new();
                    commands.push("MULTI".to_owned());
                    self.sent[writer].push(Sent::Other);
                    for _ in 0..1 + self.stage.rng.below(4) {
                        let (command, change) = self.change();
                        commands.push(command);
                        self.sent[writer].push(Sent::Other);
                        changes.push(change);
                    }
                    commands.push("EXEC".to_owned());
                    self.sent[writer].push(Sent::Exec(changes));
                }
                6 => {
                    let (key, ms) = (*self.stage.rng.pick(&SHORT), self.stage.rng.range(1, 20));
                    commands.push(format!("SET {key} x PX {ms}"));
                    self.sent[writer].push(Sent::Other);
                }
                _ => {
                    commands.push(format!("MGET {}", SHORT.join(" ")));
                    self.sent[writer].push(Sent::Other);
                }
            }
        }
        self.stage.send(writer, &commands);
    }

    fn note(&mut self, (key, event): (&'static str, &'static str), reply: &Value) {
        let Value::Integer(place) = reply else {
            panic!("{reply:?} to a change of {key}");
        };
        if *place > 0 {
            let before = self.changes.entry(key).or_default().insert(*place, event);
            assert!(before.is_none(), "two changes at one place");
        }
    }

    /// Pairs commands with their replies.
    fn collect(&mut self) {
        for (writer, sent) in std::mem::take(&mut self.sent).into_iter().enumerate() {
            let got = std::mem::take(&mut self.stage.players[writer].got);
            assert_eq!(got.len(), sent.len(), "every command has a reply");
            for (sent, reply) in sent.into_iter().zip(&got) {
                match sent {
                    Sent::Change(key, event) => self.note((key, event), reply),
                    Sent::Exec(changes) => (changes.into_iter().zip(parts(reply)))
                        .for_each(|(change, reply)| self.note(change, reply)),
                    Sent::Other => {}
                }
            }
        }
    }

    fn compare(&self) {
        let seed = self.stage.seed;
        let mut told: BTreeMap<String, Vec<(bool, String)>> = BTreeMap::new();
        for message in &self.stage.players[WRITERS].got[1..] {
            let [_, _, channel, payload] = parts(message) else {
                panic!("{message:?} is no message of a pattern");
            };
            let (channel, payload) = (text(channel), text(payload));
            let (prefix, name) = channel.split_once("__:").expect("a channel of events");
            let by_key = prefix.starts_with("__keyspace");
            let (key, event) = match by_key {
                true => (name.to_owned(), payload),
                false => (payload, name.to_owned()),
            };
            told.entry(key).or_default().push((by_key, event));
        }
        for key in LISTS {
            let changes = self.changes.get(key);
            let wanted: Vec<(bool, String)> = (changes.into_iter().flatten())
                .flat_map(|(_, event)| [(true, (*event).to_owned()), (false, (*event).to_owned())])
                .collect();
            let got = told.remove(key).unwrap_or_default();
            assert_eq!(got, wanted, "events of {key}, seed {seed}");
        }
        for (key, events) in told {
            let events: Vec<&str> = (events.iter())
                .filter(|(by_key, _)| *by_key)
                .map(|(_, event)| event.as_str())
                .collect();
            let lives = events.split(|event| *event == "expired");
            let alive = |life: &[&str]| life.chunks(2).all(|chunk| chunk == ["set", "expire"]);
            let lives: Vec<&[&str]> = lives.collect();
            let (last, ended) = lives.split_last().expect("a split gives something");
            let right = ended.iter().all(|life| !life.is_empty() && alive(life));
            assert!(right && last.is_empty(), "{key}: {events:?}, seed {seed}");
        }
    }
}

const WAITERS: usize = 6;
const WAITED_FOR: [&str; 4] = ["w:a", "w:b", "w:c", "w:d"];
const PUSHES_MAX: usize = 1_000;

/// Who began to wait for a key before another is served from it before the other. Only who waits
/// for keys of several shards, and is being served from one, may be passed over at another.
pub fn waiters(seed: u64) {
    let mut stage = Stage::new(seed, &[], WAITERS + 1);
    let mut number = 0;
    for _ in 0..12 {
        // Those of one phase begin at the same time.
        let (mut phase, mut phases) = (0, Vec::new());
        let (several, calm) = (stage.rng.one_in(2), stage.rng.one_in(2));
        for waiter in 0..WAITERS {
            let first = stage.rng.below(WAITED_FOR.len());
            let count = if several { 1 + stage.rng.below(3) } else { 1 };
            let keys = (0..count).map(|at| WAITED_FOR[(first + at) % WAITED_FOR.len()]);
            let keys: Vec<&str> = keys.collect();
            stage.send(waiter, &[format!("BLPOP {} 0", keys.join(" "))]);
            phases.push(phase);
            if stage.rng.one_in(2) {
                stage.rest();
                phase += 1;
            } else {
                stage.some_steps(30);
            }
        }
        stage.rest();
        serve(&mut stage, calm, &mut number);
        let mut served: BTreeMap<String, Vec<(i64, usize)>> = BTreeMap::new();
        for (waiter, phase) in phases.iter().enumerate() {
            let got = std::mem::take(&mut stage.players[waiter].got);
            assert_eq!(got.len(), 1, "one reply to one command, seed {seed}");
            let [key, element] = parts(&got[0]) else {
                panic!("{got:?} is no key with an element");
            };
            let element = text(element).parse().expect("elements are numbers");
            served.entry(text(key)).or_default().push((element, *phase));
        }
        for (key, mut order) in served {
            order.sort_unstable();
            let phases: Vec<usize> = order.iter().map(|(_, phase)| *phase).collect();
            let in_order = phases.is_sorted() || (several && !calm);
            assert!(in_order, "{key} serves {order:?}, seed {seed}");
            let once = order.windows(2).all(|two| two[0].0 != two[1].0);
            assert!(once, "{key} serves {order:?}, seed {seed}");
        }
    }
}

/// Pushes ascending numbers until everybody is served, and takes away what is left. If `calm`, one
/// after the other.
fn serve(stage: &mut Stage, calm: bool, number: &mut u64) {
    for _ in 0..PUSHES_MAX {
        let waits = |stage: &Stage| stage.players[..WAITERS].iter().any(|p| p.got.is_empty());
        if !waits(stage) {
            break;
        }
        let mut commands = Vec::new();
        let whole = !calm && stage.rng.one_in(3);
        let count = if calm { 1 } else { 1 + stage.rng.below(3) };
        for _ in 0..count {
            let key = *stage.rng.pick(&WAITED_FOR);
            *number += 1;
            commands.push(format!("RPUSH {key} {number}"));
        }
        if whole {
            commands.insert(0, "MULTI".to_owned());
            commands.push("EXEC".to_owned());
        }
        stage.send(WAITERS, &commands);
        if calm || stage.rng.one_in(3) {
            stage.rest();
        } else {
            stage.some_steps(40);
        }
    }
    stage.rest();
    stage.send(WAITERS, &[format!("DEL {}", WAITED_FOR.join(" "))]);
    stage.rest();
    stage.players[WAITERS].got.clear();
}
