//! Bounded slices of background work at the end of a tick: active expiry, freeing of flushed
//! tables.

use std::sync::atomic::Ordering;

use super::shared::Pause;
use super::{Shard, Sleep};
use crate::command::{Ctx, Env, Origin};

/// Entries looked at by one expiry slice, at the least effort.
const EXPIRE_BUDGET: usize = 2048;
/// Entries freed by one slice.
const FREE_BUDGET: usize = 4096;
/// Time between two expiry slices while there is little to expire, at the least effort,
/// milliseconds.
const EXPIRE_PERIOD_MS: u64 = 100;
/// Time between two looks at idle connections, and at those with old output, milliseconds.
const IDLE_PERIOD_MS: u64 = 1000;

/// When the slices are due.
#[derive(Default)]
pub(super) struct Background {
    next_expire_ms: u64,
    next_idle_ms: u64,
    db: usize,
    expired: Vec<Box<[u8]>>,
    /// There is more to expire or to free at once.
    more: bool,
}

impl Shard {
    /// One slice of everything that is due.
    pub fn background(&mut self, shell: &mut dyn super::shell::Shell) {
        self.stop_watch();
        let now_ms = self.now.unix_ms;
        self.rates.sample(self.now.mono_ns, &self.stats);
        self.wake_sleepers();
        self.end_timed_out();
        self.end_blocked_too_long(shell);
        let is_replica = self.shared.is_replica.load(Ordering::Relaxed);
        if is_replica && !std::mem::replace(&mut self.was_replica, is_replica) {
            self.unblock_writers(shell);
        }
        self.was_replica = is_replica;
        if !self.paused_clients.is_empty() {
            self.wake_paused();
        }
        let mut more = false;
        if now_ms >= self.background.next_expire_ms && self.may_expire() {
            let began_ns = self.clock_ns();
            more |= self.expire_slice();
            let took_ns = self.clock_ns().saturating_sub(began_ns);
            self.note_latency("expire-cycle", took_ns / 1_000_000);
            let period_ms = EXPIRE_PERIOD_MS / self.expire_effort();
            self.background.next_expire_ms = if more { 0 } else { now_ms + period_ms };
        }
        more |= self.evict_slice(shell);
        self.evict_clients(shell);
        more |= self.keyspace.free_slice(FREE_BUDGET);
        // What transactions replaced in lent entries.
        more |= self.scratch.free_slice(FREE_BUDGET);
        more |= self.tracking_slice(FREE_BUDGET);
        self.background.more = more;
        if now_ms >= self.background.next_idle_ms {
            self.background.next_idle_ms = now_ms + IDLE_PERIOD_MS;
            self.close_idle(shell);
            self.check_lingering(shell);
        }
    }

    /// Only a primary that is not paused expires; whole-shard locks stop it too.
    fn may_expire(&self) -> bool {
        self.shared.active_expire.load(Ordering::Relaxed)
            && !self.shared.is_replica.load(Ordering::Relaxed)
            && self.shared.pause(self.now.unix_ms) == Pause::No
            && !self.locks.whole_claimed()
    }

    /// `active-expire-effort`: so many times as often, and as much at once.
    fn expire_effort(&self) -> u64 {
        u64::from(self.config.active_expire_effort.clamp(1, 10))
    }

    fn expire_slice(&mut self) -> bool {
        let databases = self.keyspace.databases();
        let budget = EXPIRE_BUDGET * self.expire_effort() as usize;
        let mut more = false;
        for _ in 0..databases {
            let db = self.background.db % databases;
            if self.keyspace.db(db).expires() == 0 {
                self.background.db += 1;
                continue;
            }
            let mut expired = std::mem::take(&mut self.background.expired);
            let now_ms = self.now.unix_ms;
            let left = self
                .keyspace
                .db_mut(db)
                .expired_slice(now_ms, budget, &mut expired);
            for key in expired.drain(..) {
                let saved_first =
                    self.keyspace.snapshot_active() && self.hold_if_large(db, &key, true);
                if !saved_first && !self.locks.holds(&key) {
                    self.expire_key(db, &key);
                }
            }
            self.background.expired = expired;
            if left {
                more = true;
                break;
            }
            self.background.db += 1;
        }
        more
    }

    /// Deletes one expired key, as a unit of its own.
    fn expire_key(&mut self, db: usize, key: &[u8]) {
        self.effects.begin_unit();
        let mut reply = std::mem::replace(
            &mut self.sink,
            crate::protocol::Reply::new(Default::default()),
        );
        let mut ctx = Ctx::new(Env {
            keyspace: &mut self.keyspace,
            reply: &mut reply,
            effects: &mut self.effects,
            state: &mut self.data,
            db,
            now_ms: self.now.unix_ms,
            origin: Origin::Primary,
            shard: (self.id as u32, self.shared.shards as u32),
            no_touch: true,
            may_wait: false,
        });
        ctx.expire(db, key);
        self.sink = reply;
        self.effects.end_unit();
        self.send_news(None);
    }

    fn close_idle(&mut self, shell: &mut dyn super::shell::Shell) {
        if self.config.timeout == 0 {
            return;
        }
        let limit_ns = u64::from(self.config.timeout) * 1_000_000_000;
        let now_ns = self.now.mono_ns;
        let idle: Vec<_> = (self.clients())
            .filter(|client| {
                client.class == super::client::Class::Normal
                    && client.pubsub.is_none()
                    && client.waiting == super::client::Waiting::No
                    && now_ns.saturating_sub(client.last_input_ns) > limit_ns
            })
            .map(|client| client.conn)
            .collect();
        for conn in idle {
            tracing::debug!(?conn, "closing an idle client");
            shell.close_now(conn);
        }
    }

    /// How long the shell may sleep after this tick.
    pub fn sleep(&self) -> Sleep {
        if self.has_work() || self.background.more {
            return Sleep::Poll;
        }
        let mut next_ms = self
            .background
            .next_idle_ms
            .saturating_sub(self.now.unix_ms);
        if (0..self.keyspace.databases()).any(|db| self.keyspace.db(db).expires() > 0) {
            next_ms = next_ms.min(EXPIRE_PERIOD_MS / self.expire_effort());
        }
        if !self.paused_clients.is_empty() {
            let pause = self.shared.pause_until_ms.load(Ordering::Relaxed);
            if pause > self.now.unix_ms {
                next_ms = next_ms.min(pause - self.now.unix_ms);
            }
        }
        if self.clients_limit().is_some() {
            next_ms = next_ms.min(super::evict::CLIENTS_PERIOD_MS);
        }
        let deadlines = self.waiters.next_deadline_ms().into_iter();
        for at in deadlines.chain(self.blocked.next_deadline_ms()) {
            next_ms = next_ms.min(at.saturating_sub(self.now.mono_ns / 1_000_000));
        }
        for conn in &self.sleepers {
            if let Some(super::client::Waiting::Sleep { until_ns }) =
                self.client(*conn).map(|client| client.waiting)
            {
                next_ms = next_ms.min(until_ns.saturating_sub(self.now.mono_ns) / 1_000_000 + 1);
            }
        }
        Sleep::ForMs(next_ms)
    }
}
