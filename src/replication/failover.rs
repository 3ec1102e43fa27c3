//! FAILOVER: a primary hands its role over to one of its replicas, and no write is lost or refused
//! for longer than the hand-over takes.
//!
//! 1. Writes pause, and with them expiry and heartbeats: the stream stands still.
//! 2. When the heir has acknowledged the whole stream, a last look is taken under a barrier. Then
//!    this process becomes the heir's replica, and asks it with `PSYNC … FAILOVER` to take over.
//! 3. The heir promotes itself and answers `+CONTINUE` with its new id: the clients that waited go
//!    on, and are told that this is a replica now. Any other answer takes the role back.
//!
//! As in Redis, an heir that cannot be reached is asked again until FAILOVER ABORT: it may have
//! taken over already, and two primaries would be worse than none.

use std::sync::atomic::Ordering;

use super::Node;
use super::coordinator::{Place, Replica};
use super::message::Message;
use super::role::Change;
use crate::protocol::Args;
use crate::shard::shared::FailoverState;
use crate::shard::shell::{ConnId, Shell};
use crate::value::number::parse_i64;

const SYNTAX: &str = "ERR syntax error";
const NOT_A_NUMBER: &str = "ERR value is not an integer or out of range";

/// What FAILOVER asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    abort: bool,
    /// The heir's address, as INFO shows it; otherwise whoever has the whole stream first.
    heir: Option<(String, i64)>,
    /// At the timeout, hand over to an heir that lags.
    force: bool,
    /// 0: wait for ever.
    timeout_ms: u64,
}

impl Request {
    /// Reads FAILOVER's arguments.
    ///
    /// # Errors
    /// Redis's error replies.
    fn parse(args: Args<'_>) -> Result<Self, &'static str> {
        let mut request = Request::default();
        if args.len() == 2 && args[1].eq_ignore_ascii_case(b"abort") {
            request.abort = true;
            return Ok(request);
        }
        let mut at = 1;
        while at < args.len() {
            let left = args.len() - at - 1;
            let is = |word: &[u8]| args[at].eq_ignore_ascii_case(word);
            if is(b"timeout") && left >= 1 && request.timeout_ms == 0 {
                let timeout = parse_i64(&args[at + 1]).ok_or(NOT_A_NUMBER)?;
                request.timeout_ms = u64::try_from(timeout)
                    .ok()
                    .filter(|timeout| *timeout > 0)
                    .ok_or("ERR FAILOVER timeout must be greater than 0")?;
                at += 2;
            } else if is(b"to") && left >= 2 && request.heir.is_none() {
                let port = parse_i64(&args[at + 2]).ok_or(NOT_A_NUMBER)?;
                let host = String::from_utf8_lossy(&args[at + 1]).into_owned();
                request.heir = Some((host, port));
                at += 3;
            } else if is(b"force") && !request.force {
                request.force = true;
                at += 1;
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(request)
    }
}

/// A failover under way, at the coordinator.
pub(super) struct Failover {
    heir: Option<(String, u16)>,
    force: bool,
    /// When it is given up, or forced; `None`: never.
    until_ms: Option<u64>,
    /// The hand-over is queued or done: the heir is being asked.
    handing_over: bool,
}

impl Failover {
    /// When the clock matters to it.
    pub fn due_ms(&self) -> Option<u64> {
        self.until_ms.filter(|_| !self.handing_over)
    }
}

impl Node {
    /// FAILOVER at the client's home.
    pub(super) fn failover_command(&mut self, conn: ConnId, args: Args<'_>) {
        match Request::parse(args) {
            Ok(request) => self.tell_coordinator(Message::Failover { conn, request }),
            Err(text) => self.answered_command(conn, Some(text)),
        }
    }

    /// FAILOVER at the coordinator.
    pub(super) fn failover(&mut self, (home, conn): Place, request: Request) {
        let error = match request.abort {
            true if self.coordinator.failover.is_none() => Some("ERR No failover in progress."),
            true => {
                self.abort_failover("manually aborted");
                None
            }
            false => self.begin_failover(request).err(),
        };
        self.to(home, Message::Answered { conn, error });
    }

    fn begin_failover(&mut self, request: Request) -> Result<(), &'static str> {
        if self.coordinator.failover.is_some() {
            return Err("ERR FAILOVER already in progress.");
        }
        // A change of role that is still to come decides, as it would had it come at once.
        let follows =
            (self.role_queue.iter()).any(|barrier| matches!(barrier.change, Change::Follow { .. }));
        if self.is_replica() || follows {
            return Err("ERR FAILOVER is not valid when server is a replica.");
        }
        if self.coordinator.replicas.is_empty() {
            return Err("ERR FAILOVER requires connected replicas.");
        }
        if request.force && (request.timeout_ms == 0 || request.heir.is_none()) {
            return Err(
                "ERR FAILOVER with force option requires both a timeout and target HOST and IP.",
            );
        }
        let heir = match &request.heir {
            Some((host, port)) => Some(self.named_heir(host, *port)?),
            None => None,
        };
        let now_ms = self.shard.now.unix_ms;
        tracing::info!(?heir, request.timeout_ms, "a failover begins: writes pause");
        self.coordinator.failover = Some(Failover {
            heir,
            force: request.force,
            until_ms: (request.timeout_ms > 0).then(|| now_ms.saturating_add(request.timeout_ms)),
            handing_over: false,
        });
        self.shard
            .shared
            .failing_over
            .store(true, Ordering::Relaxed);
        self.show_failover(FailoverState::WaitingForSync);
        Ok(())
    }

    fn named_heir(&self, host: &str, port: i64) -> Result<(String, u16), &'static str> {
        let replicas = self.coordinator.replicas.values();
        let named = |r: &&Replica| r.info.ip == host && i64::from(r.info.port) == port;
        let heir = { replicas }
            .find(named)
            .ok_or("ERR FAILOVER target HOST and PORT is not a replica.")?;
        if !heir.online {
            return Err("ERR FAILOVER target replica is not online.");
        }
        Ok((heir.info.ip.clone(), heir.info.port))
    }

    /// Looks whether the heir has everything, or the time is over.
    pub(super) fn drive_failover(&mut self, shell: &mut dyn Shell) {
        if std::mem::take(&mut self.wake_paused) {
            self.wake_others(shell);
        }
        let Some(failover) = &self.coordinator.failover else {
            return;
        };
        if failover.handing_over {
            return;
        }
        let timed_out = { failover.until_ms }.is_some_and(|at| self.shard.now.unix_ms >= at);
        let forced = timed_out && failover.force;
        if timed_out && !forced {
            self.abort_failover("no replica caught up before the timeout");
            return;
        }
        let heir = match forced {
            true => failover.heir.clone(),
            false => self.whole_heir(),
        };
        let Some((host, port)) = heir.filter(|_| self.barrier_is_free()) else {
            return;
        };
        if let Some(failover) = &mut self.coordinator.failover {
            failover.handing_over = true;
        }
        self.change_role(Change::HandOver { host, port, forced }, Vec::new());
    }

    /// The heir, if it has acknowledged the whole stream.
    fn whole_heir(&self) -> Option<(String, u16)> {
        let failover = self.coordinator.failover.as_ref()?;
        let end = self.log.merge().end();
        let chosen = |info: &super::message::ReplicaInfo| {
            let address = (info.ip.as_str(), info.port);
            { failover.heir.as_ref() }.is_none_or(|(ip, port)| address == (ip.as_str(), *port))
        };
        { self.coordinator.replicas.values() }
            .find(|replica| replica.online && replica.acked >= end && chosen(&replica.info))
            .map(|replica| (replica.info.ip.clone(), replica.info.port))
    }

    /// Under the barrier of a change: whether it may be carried out. A hand-over may not if the
    /// failover was aborted meanwhile, or if the stream went on after the heir's acknowledgement.
    pub(super) fn may_hand_over(&mut self) -> bool {
        let first = self.role_queue.front().map(|barrier| &barrier.change);
        let Some(Change::HandOver { host, port, forced }) = first else {
            return true;
        };
        let (heir, forced) = ((host.clone(), *port), *forced);
        let end = self.log.merge().end();
        let is_heir = |r: &Replica| r.info.ip == heir.0 && r.info.port == heir.1;
        let has_all = { self.coordinator.replicas.values() }
            .any(|replica| replica.online && replica.acked >= end && is_heir(replica));
        let Some(failover) = &mut self.coordinator.failover else {
            return false;
        };
        failover.handing_over = forced || has_all;
        failover.handing_over
    }

    /// This is the heir's replica now, and asks it to take over.
    pub(super) fn handed_over(&mut self) {
        if let Some(link) = &mut self.link {
            link.asks_to_take_over = true;
        }
        tracing::info!("the heir is asked to take over");
        self.show_failover(FailoverState::InProgress);
    }

    /// Gives the failover up; takes the role back if it was already handed over.
    pub(super) fn abort_failover(&mut self, reason: &str) {
        let Some(failover) = &self.coordinator.failover else {
            return;
        };
        tracing::warn!(reason, "the failover is given up");
        if failover.handing_over && self.is_replica() {
            // The writes that wait go on when this is a primary again.
            if let Some(link) = &mut self.link {
                link.asks_to_take_over = false;
            }
            self.change_role(Change::Promote, Vec::new());
        } else {
            self.failover_over();
        }
    }

    /// The failover has come to its end, whichever: clients that waited go on.
    pub(super) fn failover_over(&mut self) {
        if self.coordinator.failover.take().is_none() {
            return;
        }
        if let Some(link) = &mut self.link {
            link.asks_to_take_over = false;
        }
        self.show_failover(FailoverState::No);
        let shared = self.shard.shared.clone();
        shared.failing_over.store(false, Ordering::Relaxed);
        self.wake_paused = true;
    }

    fn show_failover(&self, state: FailoverState) {
        self.log.lock().failover = state;
    }

    /// At the heir: its primary asks it to take over.
    pub(super) fn take_over(&mut self, (home, conn): Place) {
        tracing::info!("the upstream hands its role over");
        let then = vec![(home, Message::TookOver { conn })];
        self.change_role(Change::Promote, then);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Input, Limits};

    fn parse(words: &str) -> Result<Request, &'static str> {
        let mut input = Input::new();
        input.push(format!("FAILOVER {words}\r\n").as_bytes());
        let request = input.next(&Limits::default()).unwrap().unwrap();
        Request::parse(request.args)
    }

    #[test]
    fn the_arguments_are_read_as_redis_reads_them() {
        assert_eq!(parse("").unwrap(), Request::default());
        assert!(parse("ABORT").unwrap().abort);
        let all = parse("to 10.0.0.1 6380 force timeout 500").unwrap();
        assert_eq!(all.heir, Some(("10.0.0.1".to_owned(), 6380)));
        assert!(all.force && all.timeout_ms == 500 && !all.abort);
        for (words, error) in [
            ("abort force", SYNTAX),
            ("to 10.0.0.1", SYNTAX),
            ("force force", SYNTAX),
            ("timeout 1 timeout 2", SYNTAX),
            ("to h p", NOT_A_NUMBER),
            ("timeout x", NOT_A_NUMBER),
            ("timeout 0", "ERR FAILOVER timeout must be greater than 0"),
            ("timeout -1", "ERR FAILOVER timeout must be greater than 0"),
        ] {
            assert_eq!(parse(words), Err(error), "{words}");
        }
    }
}
