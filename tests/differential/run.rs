//! Runs steps on two servers at once and shrinks what made them differ.

use super::compare::differ;
use super::generate::{CLIENTS, Check, Command, Generator, Step};
use crate::support::client::Client;
use crate::support::random::Random;
use crate::support::resp::{self, Value};
use crate::support::server::{Server, stand_in};
use crate::support::sync::{differences, digest};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The reference and the server under test, with the same connections to both.
pub struct Pair {
    pub reference: Server,
    pub subject: Server,
    clients: Vec<(Client, Client)>,
    splits: Random,
    /// Replies of the reference so far, and how many of them were errors.
    replies: usize,
    errors: usize,
}

/// A difference that a run has found.
#[derive(Debug)]
pub struct Failure {
    /// Which step, counted from 0.
    pub at: usize,
    pub text: String,
}

/// Thresholds that both sides must share, and what Redis 7.2 does where Valkey 8 changed a
/// default: lazy freeing turns the DEL of an expired key into UNLINK.
const SHARED_ARGS: &[&str] = &[
    "--list-max-listpack-size",
    "20",
    "--list-compress-depth",
    "1",
    "--hll-sparse-max-bytes",
    "300",
    "--hash-max-listpack-entries",
    "128",
    "--hash-max-listpack-value",
    "64",
    "--set-max-intset-entries",
    "100",
    "--set-max-listpack-entries",
    "60",
];
#[rustfmt::skip]
pub const REFERENCE_ARGS: &[&str] = &[
    "--list-max-listpack-size", "20", "--list-compress-depth", "1",
    "--hll-sparse-max-bytes", "300",
    "--hash-max-listpack-entries", "128", "--hash-max-listpack-value", "64",
    "--set-max-intset-entries", "100", "--set-max-listpack-entries", "60",
    "--lazyfree-lazy-expire", "no", "--lazyfree-lazy-server-del", "no",
    "--lazyfree-lazy-user-del", "no", "--lazyfree-lazy-user-flush", "no",
];

/// A Valkey that stands in for Banyan must be turned to Redis 7.2's ways too.
pub fn subject_args() -> &'static [&'static str] {
    if stand_in() {
        REFERENCE_ARGS
    } else {
        SHARED_ARGS
    }
}

impl Pair {
    pub fn start(shards: usize, args: &[&str]) -> Pair {
        let reference = Server::valkey(REFERENCE_ARGS);
        let subject = Server::banyan(shards, &[subject_args(), args].concat());
        let mut pair = Pair {
            reference,
            subject,
            clients: Vec::new(),
            splits: Random::new(7),
            replies: 0,
            errors: 0,
        };
        pair.reset();
        pair
    }

    /// Empty databases and fresh connections.
    pub fn reset(&mut self) {
        self.clients.clear();
        for server in [&self.reference, &self.subject] {
            let mut client = server.client();
            client.must("FLUSHALL");
            // Keys that die do so when they are looked at, the same on both sides.
            client.must("DEBUG SET-ACTIVE-EXPIRE 0");
        }
        for i in 0..CLIENTS {
            let open = |server: &Server| {
                if i + 1 == CLIENTS {
                    server.client3()
                } else {
                    server.client()
                }
            };
            self.clients
                .push((open(&self.reference), open(&self.subject)));
        }
    }

    /// From where the connections come, to both.
    pub fn addresses(&self) -> (Vec<String>, Vec<String>) {
        let address = |client: &Client| {
            let address = client.stream().local_addr();
            address.expect("it is connected").to_string()
        };
        let both = self.clients.iter();
        both.map(|(reference, subject)| (address(reference), address(subject)))
            .unzip()
    }

    /// Runs all steps; gives the first difference.
    pub fn run(&mut self, steps: &[Step]) -> Result<(), Failure> {
        for (at, step) in steps.iter().enumerate() {
            if let Err(text) = self.step(step) {
                return Err(Failure { at, text });
            }
        }
        Ok(())
    }

    pub fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Batch { client, commands } => self.batch(*client, commands),
            Step::Scan {
                client,
                of,
                key,
                options,
            } => self.scan(*client, *of, key.as_deref(), options),
            Step::CrossDump {
                client,
                from_reference,
                key,
                dest,
            } => self.cross_dump(*client, *from_reference, key, dest),
            Step::Digest => self.digest(),
        }
    }

    fn batch(&mut self, client: usize, commands: &[Command]) -> Result<(), String> {
        let mut bytes = Vec::new();
        for command in commands {
            bytes.extend_from_slice(&resp::request(&command.args));
        }
        let mut answered: Vec<&Command> = commands
            .iter()
            .filter(|c| c.check != Check::Silent)
            .collect();
        // Without a reply to wait for, the next step could overtake the silent command.
        let ping = Command {
            args: vec![b"PING".to_vec()],
            check: Check::Exact,
        };
        if commands.last().is_some_and(|c| c.check == Check::Silent) {
            bytes.extend_from_slice(&resp::request(&ping.args));
            answered.push(&ping);
        }
        // The pipeline arrives in two pieces, split at any byte.
        let split = self.splits.below(bytes.len() + 1);
        let (reference, subject) = &mut self.clients[client];
        // Both at once: what blocks until its timeout is waited for but once.
        let (expected, actual) = std::thread::scope(|scope| {
            let expected = scope.spawn(|| reference.exchange(&bytes, answered.len()));
            let actual = subject
                .send(&bytes[..split])
                .and_then(|()| subject.exchange(&bytes[split..], answered.len()));
            (expected.join().expect("it does not panic"), actual)
        });
        let expected = expected.map_err(|e| format!("the reference ended the pipeline: {e}"))?;
        let actual = actual.map_err(|e| format!("banyan ended the pipeline: {e}"))?;
        self.replies += expected.len();
        self.errors += expected.iter().filter(|reply| reply.is_error()).count();
        let mut before: Option<&Value> = None;
        for (i, command) in answered.iter().enumerate() {
            if let Some(text) = differ(&command.check, before, &expected[i], &actual[i]) {
                return Err(format!("{}\n{text}", resp::show(&command.args)));
            }
            before = Some(&expected[i]);
        }
        Ok(())
    }

    fn scan(
        &mut self,
        client: usize,
        of: Option<(&str, usize)>,
        key: Option<&[u8]>,
        options: &[Vec<u8>],
    ) -> Result<(), String> {
        let (reference, subject) = &mut self.clients[client];
        let expected = iterate(reference, of, key, options);
        let actual = iterate(subject, of, key, options);
        if expected == actual {
            return Ok(());
        }
        let name = of.map_or("SCAN", |(name, _)| name);
        let show = |r: &Result<BTreeSet<Vec<Vec<u8>>>, Value>| match r {
            Ok(set) => set
                .iter()
                .map(|e| resp::show(e))
                .collect::<Vec<_>>()
                .join(", "),
            Err(value) => format!("{value:?}"),
        };
        Err(format!(
            "a full {name} of {:?} {}\nreference {}\n   banyan {}",
            key.map(|k| k.escape_ascii().to_string()),
            resp::show(options),
            show(&expected),
            show(&actual)
        ))
    }

    fn cross_dump(
        &mut self,
        client: usize,
        from_reference: bool,
        key: &[u8],
        dest: &[u8],
    ) -> Result<(), String> {
        let (reference, subject) = &mut self.clients[client];
        let dumps = [&mut *reference, &mut *subject].map(|c| c.run(&[b"DUMP", key]));
        let payload = match (&dumps[0], &dumps[1]) {
            (Value::Bulk(a), Value::Bulk(b)) => (if from_reference { a } else { b }).clone(),
            (a, b) if a.is_null() && a == b => return Ok(()),
            // Within a transaction both say QUEUED.
            (a, b) if !a.is_null() && a == b => return Ok(()),
            (a, b) => return Err(format!("DUMP of {:?}: {a:?} {b:?}", key.escape_ascii())),
        };
        let mut spoilt = payload.clone();
        spoilt[0] ^= 1;
        for (payload, good) in [(&spoilt, false), (&payload, true)] {
            let args: [&[u8]; 5] = [b"RESTORE", dest, b"0", payload, b"REPLACE"];
            let (a, b) = (reference.run(&args), subject.run(&args));
            if a != b || (a == Value::ok()) != good {
                return Err(format!(
                    "RESTORE of {:?}, dumped by {}, good {good}\nreference {a:?}\n   banyan {b:?}",
                    resp::show(&[payload]),
                    if from_reference {
                        "the reference"
                    } else {
                        "banyan"
                    }
                ));
            }
        }
        Ok(())
    }

    fn digest(&mut self) -> Result<(), String> {
        let (mut a, mut b) = (self.reference.client(), self.subject.client());
        let (x, y) = (digest(&mut a), digest(&mut b));
        if x == y {
            return Ok(());
        }
        Err(format!(
            "digests differ: {x} {y}\n{}",
            differences(&mut a, &mut b)
        ))
    }

    /// Leaves out steps, then commands, as long as the rest still differs.
    pub fn shrink(&mut self, mut steps: Vec<Step>, mut failure: Failure) -> (Vec<Step>, Failure) {
        const SHRINK_MAX: Duration = Duration::from_secs(60);
        let deadline = Instant::now() + SHRINK_MAX;
        steps.truncate(failure.at + 1);
        let mut size = (steps.len() / 2).max(1);
        loop {
            let mut at = 0;
            while at < steps.len() && Instant::now() < deadline && self.subject.running() {
                let mut fewer = steps.clone();
                fewer.drain(at..(at + size).min(steps.len()));
                match self.try_again(&fewer) {
                    Some(found) => {
                        fewer.truncate(found.at + 1);
                        (steps, failure) = (fewer, found);
                    }
                    None => at += size,
                }
            }
            if size == 1 {
                break;
            }
            size /= 2;
        }
        self.shrink_batches(&mut steps, &mut failure, deadline);
        (steps, failure)
    }

    fn shrink_batches(&mut self, steps: &mut Vec<Step>, failure: &mut Failure, until: Instant) {
        for at in 0..steps.len() {
            let mut i = 0;
            while let Some(Step::Batch { client, commands }) = steps.get(at).cloned()
                && i < commands.len()
                && Instant::now() < until
                && self.subject.running()
            {
                let mut fewer = steps.clone();
                let mut kept = commands;
                kept.remove(i);
                fewer[at] = Step::Batch {
                    client,
                    commands: kept,
                };
                match self.try_again(&fewer) {
                    Some(found) if found.at == failure.at => {
                        (*steps, *failure) = (fewer, found);
                    }
                    _ => i += 1,
                }
            }
        }
    }

    fn try_again(&mut self, steps: &[Step]) -> Option<Failure> {
        // A pipeline cut within a transaction or a silence would wait for replies in vain.
        let quick = Duration::from_millis(500);
        self.reset();
        for (a, b) in &mut self.clients {
            a.set_timeout(quick);
            b.set_timeout(quick);
        }
        let run = std::panic::AssertUnwindSafe(|| self.run(steps));
        match std::panic::catch_unwind(run) {
            Ok(Err(failure)) if !failure.text.contains("ended the pipeline") => Some(failure),
            _ => None,
        }
    }
}

/// All elements of a whole iteration, or the error that it met.
fn iterate(
    client: &mut Client,
    of: Option<(&str, usize)>,
    key: Option<&[u8]>,
    options: &[Vec<u8>],
) -> Result<BTreeSet<Vec<Vec<u8>>>, Value> {
    const ROUNDS_MAX: usize = 100_000;
    let mut seen = BTreeSet::new();
    let mut cursor = b"0".to_vec();
    for _ in 0..ROUNDS_MAX {
        let mut args = vec![of.map_or("SCAN", |(name, _)| name).as_bytes().to_vec()];
        args.extend(key.map(<[u8]>::to_vec));
        args.push(cursor);
        args.extend_from_slice(options);
        let reply = client.run(&args);
        let (Value::Array(parts), false) = (&reply, reply.is_null()) else {
            return Err(reply);
        };
        let items: Vec<Vec<u8>> = parts[1]
            .items()
            .iter()
            .map(|i| i.bytes().to_vec())
            .collect();
        let per_element = of.map_or(1, |(_, strings)| strings);
        seen.extend(items.chunks(per_element).map(<[_]>::to_vec));
        cursor = parts[0].bytes().to_vec();
        if cursor == b"0" {
            return Ok(seen);
        }
    }
    panic!("an iteration without end");
}

/// Runs about `commands` random commands; on a difference, shrinks it and panics with what is
/// needed to replay it.
pub fn compare_random(pair: &mut Pair, seed: u64, commands: usize) {
    const DIGEST_EVERY: usize = 500;
    let mut generator = Generator::new(seed);
    let mut steps = Vec::new();
    let (mut sent, mut next_digest) = (0, DIGEST_EVERY);
    while sent < commands {
        let step = if sent >= next_digest {
            next_digest += DIGEST_EVERY;
            Step::Digest
        } else {
            generator.step()
        };
        sent += step.len();
        steps.push(step);
        let at = steps.len() - 1;
        if let Err(text) = pair.step(&steps[at]) {
            let first = text.clone();
            let (steps, failure) = pair.shrink(steps, Failure { at, text });
            panic!(
                "after {sent} commands, BANYAN_SEED={seed}\n{first}\n\n\
                 the least history found that shows a difference:\n{}\n{}",
                show_steps(&steps),
                failure.text
            );
        }
    }
    let share = pair.errors * 100 / pair.replies;
    println!("{sent} commands compared, {share} % of the replies were errors");
    assert!(
        share < 40,
        "too few commands succeed to mean anything: {share} % errors"
    );
}

fn show_steps(steps: &[Step]) -> String {
    const SHOWN_MAX: usize = 60;
    let mut lines = Vec::new();
    for step in steps {
        match step {
            Step::Batch { client, commands } => {
                for command in commands {
                    lines.push(format!("  client {client}: {}", resp::show(&command.args)));
                }
            }
            other => lines.push(format!("  {other:?}")),
        }
    }
    lines[lines.len().saturating_sub(SHOWN_MAX)..].join("\n")
}
