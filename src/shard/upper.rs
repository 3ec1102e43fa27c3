//! Commands of the layer above: what they ask for, and what they do within EXEC.
//!
//! Outside of EXEC they are handed up and the client waits. A transaction does not wait for them:
//! WAIT counts what is known, and REPLICAOF takes effect right after the transaction, though the
//! configuration shows it at once, so that a CONFIG REWRITE after it in the same transaction (as
//! Sentinel sends it) writes the new upstream.

use std::sync::atomic::Ordering;

use crate::command::session::SessionOp;
use crate::config::Upstream;
use crate::protocol::{Args, Reply};
use crate::value::number::parse_i64;

use super::client::Client;
use super::dispatch::Parsed;
use super::{Event, Shard};

/// REPLICAOF's answer where nothing changes.
pub const ALREADY_CONNECTED: &str = "OK Already connected to specified master";

/// WAIT on a replica.
const WAIT_ON_REPLICA: &str = "ERR WAIT cannot be used with replica instances. Please also note \
that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes \
to replicas are just local and are not propagated.";

/// What WAIT asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitRequest {
    pub replicas: u32,
    /// 0: for ever.
    pub timeout_ms: u64,
}

/// Reads WAIT's arguments.
///
/// # Errors
/// Redis's error replies.
pub fn parse_wait(args: Args<'_>, is_replica: bool) -> Result<WaitRequest, &'static str> {
    if is_replica {
        return Err(WAIT_ON_REPLICA);
    }
    let number = |at: usize| args.get(at).and_then(parse_i64);
    let replicas = number(1).ok_or("ERR value is not an integer or out of range")?;
    let timeout = number(2).ok_or("ERR timeout is not an integer or out of range")?;
    Ok(WaitRequest {
        replicas: u32::try_from(replicas.max(0)).unwrap_or(u32::MAX),
        timeout_ms: u64::try_from(timeout).map_err(|_| "ERR timeout is negative")?,
    })
}

/// What REPLICAOF asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    Follow(Upstream),
    NoOne,
    /// As NO ONE, after everything was applied that came until this Unix time in milliseconds.
    NoOneUntil(u64),
}

impl Target {
    /// As CONFIG GET shows it.
    pub fn upstream(self) -> Option<Upstream> {
        match self {
            Target::Follow(upstream) => Some(upstream),
            Target::NoOne | Target::NoOneUntil(_) => None,
        }
    }
}

/// Reads REPLICAOF's arguments. Nothing is allowed while the role is handed over.
///
/// # Errors
/// Redis's error reply.
pub fn parse_replicaof(args: Args<'_>, failing_over: bool) -> Result<Target, &'static str> {
    let is = |at: usize, word: &[u8]| args[at].eq_ignore_ascii_case(word);
    let no_one = is(1, b"no") && is(2, b"one");
    let until = args.len() == 5 && no_one && is(3, b"until");
    if args.len() != 3 && !until {
        return Err(match is(0, b"slaveof") {
            true => "ERR wrong number of arguments for 'slaveof' command",
            false => "ERR wrong number of arguments for 'replicaof' command",
        });
    }
    if failing_over {
        return Err("ERR REPLICAOF not allowed while failing over.");
    }
    if until {
        let time = parse_i64(&args[4]).and_then(|ms| u64::try_from(ms).ok());
        return time
            .map(Target::NoOneUntil)
            .ok_or("ERR value is not an integer or out of range");
    }
    if no_one {
        return Ok(Target::NoOne);
    }
    let port = parse_i64(&args[2]).and_then(|port| u16::try_from(port).ok());
    Ok(Target::Follow(Upstream {
        host: String::from_utf8_lossy(&args[1]).into_owned(),
        port: port.ok_or("ERR Invalid master port")?,
    }))
}

impl Shard {
    /// WAIT within EXEC, which never blocks: the replicas that have what the client wrote before.
    pub(super) fn wait_in_exec(&mut self, client: &mut Client, args: Args<'_>) {
        let is_replica = self.shared.is_replica.load(Ordering::Relaxed);
        let acked = parse_wait(args, is_replica).map(|_| self.shared.stream.acked(&client.wrote));
        self.answer(client, |reply| match acked {
            Ok(count) => reply.integer(i64::from(count)),
            Err(text) => reply.error(text),
        });
    }

    /// REPLICAOF within EXEC.
    pub(super) fn replicaof_in_exec(&mut self, client: &mut Client, parsed: Parsed<'_>) {
        let failing_over = self.shared.failing_over.load(Ordering::Relaxed);
        let target = match parse_replicaof(parsed.args, failing_over) {
            // What must be applied first is found out by the layer above: nobody waits for that.
            Ok(Target::NoOneUntil(_)) => {
                return self.answer(client, |reply| {
                    reply.error("ERR UNTIL is not allowed inside a transaction");
                });
            }
            Ok(target) => target.upstream(),
            Err(text) => return self.answer(client, |reply| reply.error(text)),
        };
        if target.is_some() && self.shared.config.get().replicaof == target {
            return self.answer(client, |reply| reply.simple(ALREADY_CONNECTED));
        }
        let noted: Result<(), ()> = self.shared.config.update(|config| {
            config.replicaof = target;
            Ok(())
        });
        noted.expect("nothing in it fails");
        self.refresh_config();
        let request = parsed.owned(client.db);
        self.events.push(Event::Command {
            conn: client.conn,
            op: SessionOp::ReplicaOf,
            request,
        });
        self.answer(client, Reply::ok);
    }
}
