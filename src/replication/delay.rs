//! `replica-apply-delay`: a replica that receives and forwards at once, and applies later.
//!
//! While a delay is set the stream is framed as it arrives, its whole units go into the merged log,
//! and what arrived waits, with its time, until it is old enough; then the applier gets it as if it
//! came from the link. The applier's own logging rests meanwhile: everything it sees is logged.
//!
//! ```text
//!   link --> framer --> merged log --> our own replicas
//!                 \--> pending (memory, spool files) -- old enough --> applier --> shards
//! ```
//!
//! What waits outlives the link: it belongs to the history, not to the connection. It is dropped by
//! a promotion, which keeps what was applied, and by a full sync.

use std::collections::VecDeque;

use super::Node;
use super::apply::Applier;
use super::framing::Framer;
use super::link::State;
use super::pending::{Limits, Pending};
use crate::shard::shared::DelayView;
use crate::shard::shell::{ConnId, Shell, Spooled};

/// Bytes given to the applier beyond what it has parsed.
const HANDED_MAX: usize = 1 << 20;
/// Names the pin that keeps the log from the applied offset on while a full sync is prepared.
pub(super) const DELAY_PIN: u64 = u64::MAX;

/// The delay, at the coordinator.
#[derive(Default)]
pub(super) struct Delay {
    /// The stream takes the way through here.
    pub active: bool,
    framer: Framer,
    pending: Pending,
    /// Ends of what the applier was given, and when it came.
    handed: VecDeque<(u64, u64)>,
    /// Offset at the end of what the applier was given.
    handed_end: u64,
    /// When the last applied command came, Unix time in milliseconds; 0 if none has.
    pub last_applied_ms: u64,
    /// A promotion waits until everything up to this time is applied, and nothing after it.
    pub until_ms: Option<u64>,
    /// The link waits for the disk.
    paused: Option<ConnId>,
    /// Said that it is applied too early.
    warned: bool,
    /// The applier of a link that was dropped, to go on with the next.
    pub parked: Option<Applier>,
}

impl Delay {
    /// The link is cut: what is not a whole unit will come again.
    pub fn cut(&mut self) {
        self.framer.cut();
        self.paused = None;
    }

    fn note_applied(&mut self, applied: u64) {
        while let Some((end, ms)) = self.handed.front().copied()
            && end <= applied
        {
            self.last_applied_ms = ms;
            self.handed.pop_front();
        }
    }

    /// Until when what came may be applied now, Unix time in milliseconds.
    fn horizon_ms(&self, now_ms: u64, delay_ms: u64) -> u64 {
        let old_enough = now_ms.saturating_sub(delay_ms);
        self.until_ms.unwrap_or(old_enough)
    }

    /// When the clock matters to it.
    pub fn due_ms(&self, delay_ms: u64) -> Option<u64> {
        let first_ms = self.pending.first_ms().filter(|_| self.active)?;
        Some(first_ms.saturating_add(delay_ms))
    }
}

impl Node {
    fn delay_ms(&self) -> u64 {
        self.shard.config.replica_apply_delay
    }

    fn delay_limits(&self) -> Limits {
        Limits {
            memory: self.shard.config.replica_apply_delay_memory,
            disk: self.shard.config.replica_apply_delay_disk,
        }
    }

    /// Takes what came, and applies what is old enough.
    pub(super) fn drive_delay(&mut self, shell: &mut dyn Shell) {
        if !self.delay.active && !self.begin_delay() {
            return;
        }
        let now_ms = self.shard.now.unix_ms;
        let streaming = |link: &super::link::Link| link.state == State::Streaming;
        if self.link.as_ref().is_some_and(streaming)
            && let Err(reason) = self.take_delayed(now_ms)
        {
            self.link_failed(shell, &reason);
        }
        self.hand_over(now_ms);
        self.run_waiting(shell);
        self.read_stream(shell);
        for (file, wish) in self.delay.pending.drive(self.delay_limits(), now_ms) {
            shell.spool(file, wish);
        }
        self.press_link(shell);
        if let Some(link) = &self.link {
            self.delay.note_applied(link.applier.applied);
        }
        self.end_delay();
        let view = self.delay_view();
        if let Some(upstream) = &mut self.log.lock().upstream {
            upstream.delay = view;
        }
    }

    /// The stream takes the way through here from now on, if a delay is set.
    fn begin_delay(&mut self) -> bool {
        let wanted = self.delay_ms() > 0;
        let Some(link) = self.link.as_mut().filter(|_| wanted) else {
            return false;
        };
        if link.state != State::Streaming {
            return false;
        }
        // All that was received is looked at anew: whole units were logged, the rest was not.
        let rest = link.applier.take_unlogged();
        let received = std::mem::take(&mut link.received);
        link.received = [&rest[..], &received[..]].concat();
        self.delay.active = true;
        self.delay.handed_end = link.applier.whole();
        tracing::info!(delay_ms = self.delay_ms(), "the stream is applied later");
        true
    }

    /// Logs and queues the whole units of what came.
    fn take_delayed(&mut self, now_ms: u64) -> Result<(), String> {
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        if link.received.is_empty() {
            return Ok(());
        }
        let received = std::mem::take(&mut link.received);
        let framed = self.delay.framer.push(&received)?;
        link.ack_now |= framed.asks_for_ack;
        if !framed.units.is_empty() {
            self.log.append_received(framed.units.clone());
            self.delay.pending.push(now_ms, framed.units);
        }
        Ok(())
    }

    /// Gives the applier what is old enough, or what may not be held any longer.
    fn hand_over(&mut self, now_ms: u64) {
        let (delay_ms, limits) = (self.delay_ms(), self.delay_limits());
        let Some(link) = &mut self.link else { return };
        let delay = &mut self.delay;
        while link.applier.unparsed() < HANDED_MAX {
            let early = delay.until_ms.is_none() && delay.pending.overflows(limits, now_ms);
            let horizon_ms = match early {
                true => u64::MAX,
                false => delay.horizon_ms(now_ms, delay_ms),
            };
            let Some(piece) = delay.pending.pop_until(horizon_ms) else {
                break;
            };
            if early && !std::mem::replace(&mut delay.warned, true) {
                tracing::warn!(
                    "commands are applied before their delay is over: raise \
                     replica-apply-delay-disk or replica-apply-delay-memory, or see to the disk"
                );
            }
            delay.handed_end += piece.bytes.len() as u64;
            delay.handed.push_back((delay.handed_end, piece.ms));
            link.applier.hand(&piece.bytes);
        }
        if delay.warned && !delay.pending.overflows(limits, now_ms) {
            delay.warned = false;
        }
    }

    /// Stops reading from the upstream while the disk is far behind.
    fn press_link(&mut self, shell: &mut dyn Shell) {
        let pressed = self.delay.pending.is_pressed(self.delay_limits());
        let conn = self.link.as_ref().and_then(|link| link.conn);
        match (self.delay.paused, conn) {
            (None, Some(conn)) if pressed => {
                shell.pause(conn);
                self.delay.paused = Some(conn);
            }
            (Some(paused), _) if !pressed => {
                if conn == Some(paused) {
                    shell.resume(paused);
                }
                self.delay.paused = None;
            }
            _ => {}
        }
    }

    /// Without a delay, and with everything handed over, the stream goes straight to the applier.
    fn end_delay(&mut self) {
        let Some(link) = &mut self.link else { return };
        let idle = self.delay.pending.is_empty() && link.applier.has_parsed_all();
        if self.shard.config.replica_apply_delay > 0 || !idle {
            return;
        }
        let partial = self.delay.framer.cut();
        link.applier.take_back(&partial);
        self.delay.active = false;
        tracing::info!("the stream is applied at once");
    }

    /// Drops what waits (a full sync, a promotion).
    pub(super) fn drop_delayed(&mut self, shell: &mut dyn Shell) {
        for (file, wish) in self.delay.pending.clear() {
            shell.spool(file, wish);
        }
        let (last_applied_ms, pending) = (
            self.delay.last_applied_ms,
            std::mem::take(&mut self.delay.pending),
        );
        self.delay = Delay {
            last_applied_ms,
            pending,
            ..Delay::default()
        };
    }

    /// What became of a wish about a file of the delay's.
    pub(super) fn delay_spooled(&mut self, shell: &mut dyn Shell, file: u64, outcome: Spooled) {
        let now_ms = self.shard.now.unix_ms;
        match self.delay.pending.spooled(file, outcome, now_ms) {
            Ok(wishes) => {
                for (file, wish) in wishes {
                    shell.spool(file, wish);
                }
            }
            Err(reason) => {
                tracing::error!(%reason, "what was to be applied is lost: a full sync is needed");
                self.link_failed(shell, &reason);
                if let Some(link) = &mut self.link {
                    link.cached = None;
                }
                self.drop_delayed(shell);
            }
        }
    }

    /// Whether a promotion still has to wait for what came until the time that it names.
    pub(super) fn awaits_delayed(&self) -> bool {
        let (Some(until_ms), Some(link)) = (self.delay.until_ms, &self.link) else {
            return false;
        };
        self.delay.active
            && !(self.delay.pending.is_past(until_ms) && link.applier.has_parsed_all())
    }

    /// Whether there is something to apply at once.
    pub(super) fn delayed_is_due(&self) -> bool {
        let Some(link) = self.link.as_ref().filter(|_| self.delay.active) else {
            return false;
        };
        let horizon_ms = self
            .delay
            .horizon_ms(self.shard.now.unix_ms, self.delay_ms());
        let first_ms = self.delay.pending.first_ms();
        link.applier.unparsed() < HANDED_MAX && first_ms.is_some_and(|first| first <= horizon_ms)
    }

    /// As INFO shows it.
    pub(super) fn delay_view(&self) -> Option<DelayView> {
        let shown = self.delay.active || self.delay_ms() > 0;
        shown.then(|| DelayView {
            delay_ms: self.delay_ms(),
            pending_bytes: self.delay.pending.bytes(),
            spooled_bytes: self.delay.pending.spooled_bytes(),
            last_applied_ms: self.delay.last_applied_ms,
        })
    }
}
