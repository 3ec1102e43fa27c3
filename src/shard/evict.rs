//! `maxmemory`: what is counted, what goes, and what is refused.
//!
//! **What is counted** is what the process has allocated. The allocator keeps, for each thread, the
//! bytes that it ever allocated and freed; the difference, summed over the threads, is exact and
//! costs two loads to read, whatever is done to whichever value. Counting by entry would have to be
//! right in every command of every type, and would miss tables and buffers. A shard publishes its
//! thread's figure once a tick and whenever it looks at the sum. (One thread's figure alone says
//! nothing: what a transaction allocates at its home is freed by the owner.) The backlog and what
//! waits to be merged are left out, since nothing that is evicted would make them smaller.
//!
//! **Who evicts.** Each shard evicts its own keys: before a command that may need memory, and in
//! the background of every tick. It goes on until the sum is below the limit, so the shards on
//! which is written evict as they grow. A shard that has nothing to evict wakes the others.
//!
//! **What is refused**: at a connection's home, commands that may need memory, while the sum is
//! over the limit and no shard has anything to evict (or they do not keep up with the writes).
//!
//! Locked keys are never evicted, for they may be lent out; nor is anything by a replica (unless
//! `replica-ignore-maxmemory no`) or during a pause.

use std::sync::atomic::Ordering;

use crate::command::{Ctx, Env};
use crate::config::{Config, MaxmemoryPolicy};
use crate::keyspace::Entry;

use super::Shard;
use super::shared::Pause;
use super::shell::Shell;

/// The error of a command that may need memory.
pub(super) const OOM: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// Candidates that are remembered from one eviction to the next, as in Redis.
const POOL_MAX: usize = 16;
/// Rounds of sampling before a shard counts as having nothing to evict.
const ROUNDS_MAX: usize = 16;
/// Elements of large values freed between two looks at the memory.
const FREE_BUDGET: usize = 4096;
/// Such slices at once: the rest of the value goes in the ticks to come.
const FREE_SLICES_MAX: usize = 4;
/// Writes are refused above the limit by this much although other shards have keys to evict: a
/// fraction of the limit, and bytes at the least.
const SLACK_FRACTION: u64 = 32;
const SLACK_BYTES_MIN: u64 = 1 << 20;
/// Time between two looks at the clients' memory, milliseconds.
pub(super) const CLIENTS_PERIOD_MS: u64 = 100;

/// A key that may go.
struct Candidate {
    /// The higher the sooner it goes.
    score: u64,
    db: usize,
    key: Box<[u8]>,
}

/// One shard's side of eviction.
pub(super) struct Eviction {
    /// Bytes; 0: no limit.
    limit: u64,
    policy: MaxmemoryPolicy,
    samples: usize,
    /// Keys that go at once before something else has its turn.
    budget: usize,
    /// Best candidate last.
    pool: Vec<Candidate>,
    next_db: usize,
    /// This thread's figure when the sum was last looked at, and how much more it may allocate
    /// until the next look.
    seen: i64,
    room: i64,
    /// Since when the sum is over the limit although this shard tried, monotonic nanoseconds.
    over_since_ns: Option<u64>,
    next_clients_ms: u64,
    /// Bytes in and out when clients were last looked at.
    clients_seen: u64,
}

/// How an attempt to make room went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Attempt {
    /// The sum is below the limit.
    Fits,
    /// There is more to evict here.
    More,
    /// There is nothing to evict here.
    Nothing,
}

impl Eviction {
    pub fn new(config: &Config) -> Self {
        Eviction {
            limit: config.maxmemory,
            policy: config.maxmemory_policy,
            samples: config.maxmemory_samples.clamp(1, 64) as usize,
            budget: budget(config.maxmemory_eviction_tenacity),
            pool: Vec::new(),
            next_db: 0,
            seen: 0,
            room: 0,
            over_since_ns: None,
            next_clients_ms: 0,
            clients_seen: 0,
        }
    }

    /// Takes over a changed configuration; candidates of another policy are worth nothing.
    pub fn configure(&mut self, config: &Config) {
        *self = Eviction {
            next_db: self.next_db,
            over_since_ns: self.over_since_ns,
            ..Eviction::new(config)
        };
    }
}

/// Keys by `maxmemory-eviction-tenacity`: linear up to 10, then ever more, up to no bound, as Redis
/// does with time. An eviction takes about a microsecond.
fn budget(tenacity: u32) -> usize {
    match tenacity {
        0..=10 => 50 * tenacity.max(1) as usize,
        11..=99 => (500.0 * 1.15f64.powi(tenacity as i32 - 10)) as usize,
        _ => usize::MAX,
    }
}

impl MaxmemoryPolicy {
    /// Whether only keys with an expiry go.
    fn is_volatile(self) -> bool {
        matches!(
            self,
            MaxmemoryPolicy::VolatileLru
                | MaxmemoryPolicy::VolatileLfu
                | MaxmemoryPolicy::VolatileRandom
                | MaxmemoryPolicy::VolatileTtl
        )
    }

    fn is_random(self) -> bool {
        matches!(
            self,
            MaxmemoryPolicy::VolatileRandom | MaxmemoryPolicy::AllkeysRandom
        )
    }
}

/// The memory that counts.
impl Shard {
    /// Bytes that this shard's thread has allocated and not freed, less what others freed of it.
    /// Without an allocator that tells (in tests), the bytes of the keys.
    fn own_memory(&self) -> i64 {
        match self.shared.process.thread_memory {
            Some(read) => read(),
            None => i64::try_from(self.keyspace.memory()).unwrap_or(i64::MAX),
        }
    }

    /// Tells the others of this shard's memory.
    fn publish_memory(&mut self) {
        let own = self.own_memory();
        self.eviction.seen = own;
        let usage = &self.shared.memory[self.id];
        usage.bytes.store(own, Ordering::Relaxed);
        usage.evictable.store(self.evictable(), Ordering::Relaxed);
    }

    /// Keys here that the policy lets go.
    fn evictable(&self) -> u64 {
        let databases = (0..self.keyspace.databases()).map(|db| self.keyspace.db(db));
        let keys: usize = match self.eviction.policy {
            MaxmemoryPolicy::NoEviction => 0,
            policy if policy.is_volatile() => databases.map(|db| db.expires()).sum(),
            _ => databases.map(|db| db.len()).sum(),
        };
        keys as u64
    }

    /// By how much the memory that counts is over the limit; 0: it is not.
    fn excess(&mut self) -> u64 {
        self.publish_memory();
        let counted = self.shared.counted_memory();
        let limit = self.eviction.limit;
        // Others grow too while this shard does not look.
        let room = limit.saturating_sub(counted) / (2 * self.shared.shards as u64);
        self.eviction.room = i64::try_from(room).unwrap_or(i64::MAX);
        counted.saturating_sub(limit)
    }

    /// Whether so little was allocated since the last look that the sum is below the limit.
    fn has_room(&self) -> bool {
        self.eviction.room > 0 && self.own_memory() - self.eviction.seen < self.eviction.room
    }

    fn may_evict(&self) -> bool {
        let shared = &self.shared;
        let ignores =
            shared.is_replica.load(Ordering::Relaxed) && self.config.replica_ignore_maxmemory;
        self.eviction.limit > 0
            && !ignores
            && self.pause == Pause::No
            && !shared.loading.load(Ordering::Relaxed)
    }
}

/// Making room.
impl Shard {
    /// At a command's owner, before a command that may need memory.
    #[inline]
    pub(super) fn make_room(&mut self) {
        if self.eviction.limit > 0 && !self.has_room() {
            self.make_room_now();
        }
    }

    #[cold]
    fn make_room_now(&mut self) {
        if self.may_evict() && self.excess() > 0 {
            self.evict();
        }
    }

    /// At a connection's home: whether a command that may need memory must be refused.
    pub(super) fn is_out_of_memory(&mut self, shell: &mut dyn Shell) -> bool {
        if self.eviction.limit == 0 || self.has_room() || !self.may_evict() {
            return false;
        }
        let excess = self.excess();
        if excess == 0 {
            return false;
        }
        let mine = self.evictable() > 0;
        let theirs = !mine && self.ask_others_to_evict(shell);
        if !mine && !theirs {
            self.note_excess(true);
            return true;
        }
        // The owners make room as they run commands. They are helped where they do not keep up, and
        // not before: else the shard that has the connections would lose its keys first.
        let slack = (self.eviction.limit / SLACK_FRACTION).max(SLACK_BYTES_MIN);
        if self.shared.shards > 1 && excess <= slack {
            return false;
        }
        match self.evict() {
            Attempt::Fits | Attempt::More => false,
            Attempt::Nothing => !self.ask_others_to_evict(shell) || excess > slack,
        }
    }

    /// One slice of eviction at the end of a tick. Whether there is more to do at once.
    pub(super) fn evict_slice(&mut self, shell: &mut dyn Shell) -> bool {
        if self.eviction.limit == 0 {
            if self.shared.process.thread_memory.is_some() {
                // For INFO.
                self.publish_memory();
            }
            return false;
        }
        if !self.may_evict() || self.excess() == 0 {
            self.note_excess(false);
            return false;
        }
        match self.evict() {
            Attempt::Fits => false,
            Attempt::More => true,
            Attempt::Nothing => {
                self.ask_others_to_evict(shell);
                false
            }
        }
    }

    /// Wakes the shards that have something to evict; whether there are any.
    fn ask_others_to_evict(&self, shell: &mut dyn Shell) -> bool {
        let mut any = false;
        for (shard, usage) in self.shared.memory.iter().enumerate() {
            if shard != self.id && usage.evictable.load(Ordering::Relaxed) > 0 {
                any = true;
                shell.wake(shard);
            }
        }
        any
    }

    fn note_excess(&mut self, over: bool) {
        let now_ns = self.now.mono_ns;
        if over {
            self.eviction.over_since_ns.get_or_insert(now_ns);
        } else if let Some(since_ns) = self.eviction.over_since_ns.take() {
            self.data.stats.eviction_exceeded_ms += now_ns.saturating_sub(since_ns) / 1_000_000;
        }
    }

    /// How long memory has been over the limit, milliseconds.
    pub(super) fn exceeded_ms(&self) -> u64 {
        let since_ns = self.eviction.over_since_ns;
        since_ns.map_or(0, |since_ns| {
            self.now.mono_ns.saturating_sub(since_ns) / 1_000_000
        })
    }

    /// Evicts until the memory that counts is below the limit, the budget is spent, or nothing is
    /// left here that may go.
    fn evict(&mut self) -> Attempt {
        let attempt = self.try_to_evict();
        self.note_excess(attempt != Attempt::Fits);
        attempt
    }

    fn try_to_evict(&mut self) -> Attempt {
        let (mut spent, mut slices) = (0, 0);
        while spent < self.eviction.budget {
            // Of a large value the memory is free only when the last slice of it is.
            let more = self.keyspace.free_garbage(FREE_BUDGET);
            if self.excess() == 0 {
                return Attempt::Fits;
            }
            spent += 1;
            if more {
                slices += 1;
                if slices == FREE_SLICES_MAX {
                    return Attempt::More;
                }
                continue;
            }
            if self.locks.whole_claimed() {
                // Whoever holds the shard will be done with it.
                return if self.evictable() > 0 {
                    Attempt::More
                } else {
                    Attempt::Nothing
                };
            }
            let Some((db, key)) = self.next_victim() else {
                return Attempt::Nothing;
            };
            self.evict_key(db, &key);
        }
        match self.excess() {
            0 => Attempt::Fits,
            _ => Attempt::More,
        }
    }

    fn next_victim(&mut self) -> Option<(usize, Box<[u8]>)> {
        if self.evictable() == 0 {
            return None;
        }
        let random = self.eviction.policy.is_random();
        (0..ROUNDS_MAX).find_map(|_| match random {
            true => self.random_victim(),
            false => self.best_victim(),
        })
    }

    /// Some key, of the databases in turn.
    fn random_victim(&mut self) -> Option<(usize, Box<[u8]>)> {
        let volatile = self.eviction.policy.is_volatile();
        for _ in 0..self.keyspace.databases() {
            let db = self.eviction.next_db % self.keyspace.databases();
            self.eviction.next_db = db + 1;
            let roll = self.data.rng.next_u64();
            let mut found: Option<Box<[u8]>> = None;
            self.keyspace
                .db_mut(db)
                .sample(roll, 1, volatile, |entry| found = Some(entry.key().into()));
            if let Some(key) = found.filter(|key| !self.locks.holds(key)) {
                return Some((db, key));
            }
        }
        None
    }

    /// The best of the pool, after new samples have come in.
    fn best_victim(&mut self) -> Option<(usize, Box<[u8]>)> {
        let volatile = self.eviction.policy.is_volatile();
        for db in 0..self.keyspace.databases() {
            self.sample_into_pool(db, volatile);
        }
        while let Some(best) = self.eviction.pool.pop() {
            let entry = self.keyspace.db(best.db).get(&best.key);
            let still = entry.is_some_and(|entry| !volatile || entry.expire_at().is_some());
            if still && !self.locks.holds(&best.key) {
                return Some((best.db, best.key));
            }
        }
        None
    }

    fn sample_into_pool(&mut self, db: usize, volatile: bool) {
        let roll = self.data.rng.next_u64();
        let (policy, samples) = (self.eviction.policy, self.eviction.samples);
        let clock = self.keyspace.clock();
        let score = |entry: &Entry| match policy {
            MaxmemoryPolicy::VolatileTtl => u64::MAX - entry.expire_at().unwrap_or(u64::MAX),
            MaxmemoryPolicy::VolatileLfu | MaxmemoryPolicy::AllkeysLfu => {
                255 - u64::from(clock.count(entry.access()))
            }
            _ => u64::from(clock.idle_s(entry.access())),
        };
        let pool = &mut self.eviction.pool;
        self.keyspace
            .db_mut(db)
            .sample(roll, samples, volatile, |entry| {
                let score = score(entry);
                let at = pool.partition_point(|candidate| candidate.score < score);
                if at == 0 && pool.len() == POOL_MAX {
                    return;
                }
                let known = (pool.iter()).any(|it| it.db == db && *it.key == *entry.key());
                if known {
                    return;
                }
                let at = if pool.len() == POOL_MAX {
                    pool.remove(0);
                    at - 1
                } else {
                    at
                };
                let key = entry.key().into();
                pool.insert(at, Candidate { score, db, key });
            });
    }

    /// Deletes a key for its memory, as a unit of its own.
    fn evict_key(&mut self, db: usize, key: &[u8]) {
        self.effects.begin_unit();
        let fresh = crate::protocol::Reply::new(Default::default());
        let mut reply = std::mem::replace(&mut self.sink, fresh);
        let origin = self.origin();
        let mut ctx = Ctx::new(Env {
            keyspace: &mut self.keyspace,
            reply: &mut reply,
            effects: &mut self.effects,
            state: &mut self.data,
            db,
            now_ms: self.now.unix_ms,
            origin,
            shard: (self.id as u32, self.shared.shards as u32),
            no_touch: true,
            may_wait: false,
        });
        ctx.evict(db, key);
        self.sink = reply;
        self.effects.end_unit();
    }
}

/// `maxmemory-clients`.
impl Shard {
    /// Closes the largest clients while all clients together take more than they may.
    pub(super) fn evict_clients(&mut self, shell: &mut dyn Shell) {
        let Some(limit) = self.clients_limit() else {
            return;
        };
        let moved = self.stats.net_in_bytes + self.stats.net_out_bytes;
        let much = moved - self.eviction.clients_seen.min(moved) > limit / 64;
        if !much && self.now.unix_ms < self.eviction.next_clients_ms {
            return;
        }
        self.eviction.clients_seen = moved;
        self.eviction.next_clients_ms = self.now.unix_ms + CLIENTS_PERIOD_MS;
        loop {
            let largest = self.publish_clients(shell);
            let sum: u64 = self.shared.sum_of_memory(|usage| &usage.clients);
            if sum <= limit {
                return;
            }
            let others = self.shared.memory.iter().enumerate();
            let theirs = others.filter(|(shard, _)| *shard != self.id);
            let theirs =
                theirs.map(|(shard, usage)| (usage.largest_client.load(Ordering::Relaxed), shard));
            let (largest_there, there) = theirs.max().unwrap_or((0, self.id));
            match largest {
                Some((bytes, conn)) if bytes >= largest_there => {
                    tracing::warn!(?conn, bytes, "closing a client for maxmemory-clients");
                    if let Some(client) = self.client_mut(conn) {
                        client.closing = true;
                        client.dropped = true;
                    }
                    shell.close_now(conn);
                    self.stats.evicted_clients += 1;
                }
                _ if largest_there > 0 => return shell.wake(there),
                _ => return,
            }
        }
    }

    /// Bytes that all clients may take; `None`: any.
    pub(super) fn clients_limit(&self) -> Option<u64> {
        let limit = self.config.maxmemory_clients;
        let bytes = match u64::try_from(limit) {
            Ok(bytes) => bytes,
            // Negative: a percentage of maxmemory.
            Err(_) => {
                let percent = u128::from(limit.unsigned_abs());
                (u128::from(self.config.maxmemory) * percent / 100) as u64
            }
        };
        (bytes > 0).then_some(bytes)
    }

    /// Tells the others how much this shard's clients take; the largest that may be closed.
    fn publish_clients(&self, shell: &dyn Shell) -> Option<(u64, super::shell::ConnId)> {
        let (mut sum, mut largest) = (0, None);
        for client in self.clients() {
            if client.class != super::client::Class::Normal || client.dropped {
                continue;
            }
            let bytes = client.memory(shell.queued(client.conn)) as u64;
            sum += bytes;
            if !client.no_evict && largest.is_none_or(|(most, _)| bytes > most) {
                largest = Some((bytes, client.conn));
            }
        }
        let usage = &self.shared.memory[self.id];
        usage.clients.store(sum, Ordering::Relaxed);
        let bytes = largest.map_or(0, |(bytes, _)| bytes);
        usage.largest_client.store(bytes, Ordering::Relaxed);
        largest
    }
}
