//! The state machine of one core: its share of the keyspace, its connections, its part in
//! transactions.
//!
//! A tick (DESIGN.md, section 2) runs: ready connections, mailboxes, background slices,
//! **publish**, then the flush of messages and replies. Publish comes before every flush, so no
//! effect is visible outside its shard before it has its place in the merged order.
//!
//! **Architecture invariants:** no socket, thread, clock or random source is named here; commands
//! run synchronously; nothing of replication is known but the [`shared::Stream`] that takes batches
//! and the [`Event`]s that the layer above handles.

mod background;
pub mod blocking;
pub mod client;
pub mod clients;
pub mod connection;
mod connection_commands;
mod debug;
mod dispatch;
mod documentation;
mod evict;
#[cfg(test)]
mod evict_tests;
#[cfg(test)]
mod exec_tests;
pub mod gather;
pub mod histogram;
mod info;
mod introspection;
#[cfg(test)]
mod keys_tests;
#[cfg(test)]
mod late_tests;
pub mod latency;
pub mod locks;
mod lolwut;
mod mail;
mod memory;
pub mod message;
mod monitor;
mod multi;
pub mod observe;
pub mod output;
mod owner;
mod parked;
#[cfg(test)]
mod pause_tests;
pub mod pubsub;
pub mod queue;
pub mod run;
pub mod server;
mod session;
mod share;
pub mod shared;
pub mod shell;
mod slicing;
pub mod slow_log;
#[cfg(test)]
mod sort_tests;
pub mod stats;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod timing;
pub mod tracking;
pub mod transaction;
pub mod upper;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::RandomState;
use hashbrown::HashMap;

use crate::command::watched::Watched;
use crate::command::{DataState, DataStats, Effects, Origin, Rng, Settings};
use crate::config::{Config, MaxmemoryPolicy};
use crate::keyspace::access::Tracking;
use crate::keyspace::{Keyspace, Seed};
use crate::protocol::{Limits, Reply, Version};
use crate::value::codec::Compression;
use client::Client;
use locks::{Locks, TxId};
use mail::Mail;
use message::{Envelope, Item, OwnedRequest};
use queue::Parcel;
use shared::{Pause, Shared};
use shell::{ConnId, Now, Shell};
use stats::ShardStats;
use transaction::Tx;

/// Something that the layer above has to act on.
pub enum Event {
    /// A replication command of a client, which waits as [`client::Waiting::Upper`].
    Command {
        conn: ConnId,
        op: crate::command::session::SessionOp,
        request: OwnedRequest,
    },
    /// A connection that the layer above knows is gone.
    Closed { conn: ConnId, class: client::Class },
    /// A transaction begun by the layer above holds all its locks.
    Granted { tx: u64 },
    /// A transaction begun by the layer above has run.
    Done { tx: u64 },
    /// A message from the layer above of another shard.
    Message {
        from: u32,
        body: Box<dyn std::any::Any + Send>,
    },
    /// Applied-upstream acknowledgement of a shard.
    Applied { from: u32, upto: u64 },
    /// A client that waited for the layer above was unblocked by CLIENT UNBLOCK.
    Unblocked { conn: ConnId, error: bool },
    /// The dataset was flushed (FLUSHALL): a snapshot under way must begin anew.
    FlushedAll,
}

/// How long the shell may sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sleep {
    /// There is more to do at once.
    Poll,
    /// Nothing before this many milliseconds have passed.
    ForMs(u64),
    /// Everything ended: leave the loop.
    Exit,
}

/// One shard.
pub struct Shard {
    pub id: usize,
    pub shared: Arc<Shared>,
    pub keyspace: Keyspace,
    /// Where a transaction's lent entries live while it runs; empty between transactions.
    scratch: Keyspace,
    pub data: DataState,
    pub effects: Effects,
    locks: Locks,
    parked: VecDeque<parked::Parked>,
    slicing: slicing::Slicing,
    blocked: blocking::Blocked,
    waiters: blocking::Waiters,
    /// A command that may wait is being run.
    may_wait: bool,
    /// Waiters are being served.
    serving: bool,
    was_replica: bool,
    claims: HashMap<TxId, owner::Lending, RandomState>,
    txs: HashMap<TxId, Box<Tx>, RandomState>,
    gathers: HashMap<u64, session::Gather, RandomState>,
    next_token: u64,
    /// Indexed by the connection's slot.
    slots: Vec<Option<Box<Client>>>,
    by_id: HashMap<u64, ConnId, RandomState>,
    ready: Vec<ConnId>,
    with_output: Vec<ConnId>,
    /// Connections over a soft limit, or closing: see `output.rs`.
    lingering: Vec<ConnId>,
    paused_clients: Vec<ConnId>,
    /// What was paused when this tick began.
    pause: Pause,
    eviction: evict::Eviction,
    settling: Vec<clients::Settling>,
    sleepers: Vec<ConnId>,
    mail: Mail,
    pub events: Vec<Event>,
    pub stats: ShardStats,
    rates: stats::Rates,
    pub config: Arc<Config>,
    config_version: u64,
    limits: Limits,
    strict: bool,
    pub now: Now,
    /// Number of batches published.
    pub published: u64,
    stream_bytes: u64,
    wrote_now: Vec<ConnId>,
    /// Runs of this shard's connections that are under way on other shards.
    runs_away: usize,
    /// Highest number of the upstream's stream applied in this tick, to be acknowledged.
    applied: Option<(u32, u64)>,
    sink: Reply,
    registry: pubsub::Registry,
    /// Messages for a connection that is being worked on.
    late: Vec<pubsub::Late>,
    tracked: tracking::Tracked,
    /// Some connection, of whatever shard, is told every command.
    monitored: bool,
    background: background::Background,
    run_spent: run::Spent,
    watch: timing::Stopwatch,
    slow_log: slow_log::SlowLog,
    latency: latency::Events,
}

impl Shard {
    /// A shard of a process. `entropy` seeds its random numbers.
    pub fn new(id: usize, shared: Arc<Shared>, entropy: u64) -> Self {
        let config = shared.config.get();
        let seed = Seed(shared.process.seed);
        let [a, b, c, d] = shared.process.seed;
        let state = RandomState::with_seeds(a, b, c, d);
        let databases = config.databases as usize;
        let mut shard = Shard {
            id,
            keyspace: Keyspace::new(databases, &seed),
            scratch: Keyspace::new(databases, &seed),
            data: DataState {
                settings: settings_of(&config, &shared),
                stats: DataStats::default(),
                rng: Rng::new(entropy),
                watched: Watched::new(state.clone()),
                notifications: Vec::new(),
                pubsub: crate::command::pubsub::PubSub::new(&state),
            },
            effects: Effects::default(),
            locks: Locks::new(crate::value::HashSeed(shared.process.seed), state.clone()),
            parked: VecDeque::new(),
            slicing: slicing::Slicing::default(),
            blocked: blocking::Blocked::new(state.clone()),
            waiters: blocking::Waiters::new(state.clone()),
            may_wait: false,
            serving: false,
            was_replica: false,
            claims: HashMap::with_hasher(state.clone()),
            txs: HashMap::with_hasher(state.clone()),
            gathers: HashMap::with_hasher(state.clone()),
            next_token: 1,
            slots: Vec::new(),
            registry: pubsub::Registry::new(state.clone()),
            late: Vec::new(),
            tracked: tracking::Tracked::new(state.clone()),
            monitored: false,
            by_id: HashMap::with_hasher(state),
            ready: Vec::new(),
            with_output: Vec::new(),
            lingering: Vec::new(),
            run_spent: run::Spent::default(),
            paused_clients: Vec::new(),
            pause: Pause::No,
            eviction: evict::Eviction::new(&config),
            settling: Vec::new(),
            sleepers: Vec::new(),
            mail: Mail::new(shared.shards),
            events: Vec::new(),
            stats: ShardStats::default(),
            rates: stats::Rates::default(),
            config_version: shared.config.version(),
            limits: Limits::default(),
            strict: true,
            config,
            now: Now::default(),
            published: 0,
            stream_bytes: 0,
            wrote_now: Vec::new(),
            runs_away: 0,
            applied: None,
            sink: Reply::new(Version::Resp2),
            background: background::Background::default(),
            watch: timing::Stopwatch::default(),
            slow_log: slow_log::SlowLog::default(),
            latency: latency::Events::default(),
            shared,
        };
        shard.apply_config();
        shard
    }

    fn apply_config(&mut self) {
        self.data.settings = settings_of(&self.config, &self.shared);
        self.keyspace
            .set_compression(self.data.settings.compression);
        self.limits = Limits {
            bulk_len_max: self.config.proto_max_bulk_len as usize,
            query_buffer_max: self.config.client_query_buffer_limit as usize,
            ..Limits::default()
        };
        self.configure_timing();
        let tracking = tracking_of(&self.config);
        self.keyspace.set_tracking(tracking);
        self.scratch.set_tracking(tracking);
        self.eviction.configure(&self.config);
        self.strict = self.config.pipeline_order == crate::config::PipelineOrder::Strict;
    }

    /// Takes over a changed configuration; one relaxed load a tick if there is none.
    pub fn refresh_config(&mut self) {
        let version = self.shared.config.version();
        if version != self.config_version {
            self.config_version = version;
            self.config = self.shared.config.get();
            self.apply_config();
        }
    }

    /// Sets the tick's time, before anything of the tick runs.
    pub fn begin_tick(&mut self, now: Now) {
        self.now = now;
        self.stats.ticks += 1;
        let clock = (now.unix_ms / 1000) as u32;
        self.keyspace.set_clock(clock);
        self.scratch.set_clock(clock);
        self.pause = self.shared.pause(now.unix_ms);
        self.refresh_config();
    }

    /// Runs ready connections and the mailbox until nothing more is to be done at once, then a
    /// background slice. The layer above then handles [`Shard::events`] and calls
    /// [`Shard::work`] again while there are any.
    pub fn work(&mut self, shell: &mut dyn Shell) {
        if self.tracked.clients > 0 {
            // What was told of keys before a request came is told before that is answered.
            self.drain_mailbox(shell);
            self.serve_waiters();
            self.drain_own_messages(shell);
        }
        loop {
            self.run_ready(shell);
            self.stop_watch();
            self.drain_mailbox(shell);
            // What expired or was flushed without a command of its own.
            self.serve_waiters();
            self.drain_own_messages(shell);
            self.stop_watch();
            if self.ready.is_empty() {
                break;
            }
        }
    }

    fn run_ready(&mut self, shell: &mut dyn Shell) {
        while !self.ready.is_empty() {
            let mut ready = std::mem::take(&mut self.ready);
            for conn in ready.drain(..) {
                self.serve(shell, conn);
            }
            if self.ready.is_empty() {
                self.ready = ready;
            }
        }
    }

    fn drain_mailbox(&mut self, shell: &mut dyn Shell) {
        if self.shared.shards == 1 {
            return;
        }
        let shared = self.shared.clone();
        shared.mailboxes[self.id].receive(|parcel| self.open(shell, parcel));
    }

    /// Messages to ourselves take the same path as others', without leaving the tick.
    fn drain_own_messages(&mut self, shell: &mut dyn Shell) {
        while !self.mail.is_empty_to(self.id) {
            let mut row = self.mail.take_row(self.id);
            for mut parcel in row.drain(..) {
                parcel.from = self.id as u32;
                parcel.published = self.published + 1;
                self.open(shell, parcel);
            }
            self.mail.put_row(self.id, row);
        }
    }

    /// Handles what is in an envelope, and keeps it for the next messages.
    fn open(&mut self, shell: &mut dyn Shell, mut parcel: Parcel<Envelope>) {
        self.receive(shell, &mut parcel);
        self.mail.recycle(parcel);
    }

    /// Publishes the tick's effects, then lets everything out: messages first, then replies.
    pub fn end_tick(&mut self, shell: &mut dyn Shell) {
        if !self.settling.is_empty() {
            self.check_settling();
        }
        loop {
            self.drain_own_messages(shell);
            self.send_news(None);
            if !self.tell_prefixes() {
                break;
            }
        }
        // Commands of the upstream's stream run outside of `work`.
        self.stop_watch();
        self.publish();
        self.flush_first(shell);
        self.flush_messages(shell);
        self.flush_outputs(shell);
    }

    /// Hands the tick's effects to the merged stream.
    pub fn publish(&mut self) {
        if let Some(sealed) = self.effects.seal() {
            self.published += 1;
            self.stream_bytes += sealed.bytes.len() as u64;
            self.shared
                .stream
                .publish(self.id as u32, self.published, sealed);
        }
        while let Some(conn) = self.wrote_now.pop() {
            let number = self.published;
            let id = self.id as u32;
            if let Some(client) = self.client_mut(conn) {
                client.wrote_now = false;
                client.note_write(id, number);
            }
        }
    }

    fn flush_messages(&mut self, shell: &mut dyn Shell) {
        for to in 0..self.shared.shards {
            if self.mail.is_empty_to(to) {
                continue;
            }
            assert_ne!(
                to, self.id,
                "messages to ourselves were handled in this tick"
            );
            let mut wake = false;
            let mut row = self.mail.take_row(to);
            for parcel in row.drain(..) {
                wake |= self.push_parcel(to, parcel);
            }
            self.mail.put_row(to, row);
            if wake {
                shell.wake(to);
            }
        }
    }

    /// Puts an envelope into a mailbox; whether its shard has to be woken.
    fn push_parcel(&mut self, to: usize, mut parcel: Parcel<Envelope>) -> bool {
        parcel.from = self.id as u32;
        parcel.published = self.published;
        self.stats.messages += parcel.items.len() as u64;
        self.shared.mailboxes[to].send(parcel)
    }

    /// Queues a message to a shard, this one included.
    pub fn post(&mut self, to: usize, item: Item) {
        self.mail.post(to, item);
    }

    /// Whether another tick is due at once.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty()
            || !self.events.is_empty()
            || (self.shared.shards > 1 && !self.shared.mailboxes[self.id].is_empty())
    }

    /// Whether nothing is under way here: no lock is held or asked for, no entry is lent, no
    /// command is parked, no message waits to leave. The keyspace holds all of the shard's data
    /// then.
    pub fn is_at_rest(&self) -> bool {
        self.locks.is_idle()
            && self.parked.is_empty()
            && self.claims.is_empty()
            && self.txs.is_empty()
            && self.gathers.is_empty()
            && self.settling.is_empty()
            && self.scratch.total_len() == 0
            && self.mail.is_empty()
            && !self.has_work()
    }

    /// Whether connections of this shard wait for other shards' answers.
    pub fn awaits_others(&self) -> bool {
        self.shared.shards > 1
            && (self.runs_away > 0 || !self.txs.is_empty() || !self.gathers.is_empty())
    }

    /// A connection, if it is still the one meant.
    pub fn client(&self, conn: ConnId) -> Option<&Client> {
        let client = self.slots.get(conn.index as usize)?.as_deref()?;
        (client.conn == conn).then_some(client)
    }

    /// As [`Shard::client`], to change it.
    pub fn client_mut(&mut self, conn: ConnId) -> Option<&mut Client> {
        let client = self.slots.get_mut(conn.index as usize)?.as_deref_mut()?;
        (client.conn == conn).then_some(client)
    }

    /// All connections of this shard.
    pub fn clients(&self) -> impl Iterator<Item = &Client> {
        self.slots.iter().filter_map(|slot| slot.as_deref())
    }

    /// On whose behalf ordinary clients' commands that only read run: during a pause they delete
    /// no expired key.
    #[inline]
    pub(super) fn reading_origin(&self, origin: Origin) -> Origin {
        match self.pause {
            Pause::No => origin,
            Pause::Writes | Pause::All => Origin::Replica,
        }
    }

    /// On whose behalf ordinary clients' commands run.
    pub fn origin(&self) -> Origin {
        if self.shared.is_replica.load(Ordering::Relaxed) {
            Origin::Replica
        } else {
            Origin::Primary
        }
    }

    fn token(&mut self) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        token
    }
}

/// What the eviction policy wants to know of the use of keys.
fn tracking_of(config: &Config) -> Tracking {
    match config.maxmemory_policy {
        MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu => Tracking::Frequency {
            log_factor: config.lfu_log_factor,
            decay_min: config.lfu_decay_time,
        },
        _ => Tracking::Recency,
    }
}

fn settings_of(config: &Config, shared: &Shared) -> Settings {
    Settings {
        databases: config.databases as usize,
        string_len_max: config.proto_max_bulk_len as usize,
        hash_limits: crate::value::hash::HashLimits {
            entries_max: config.hash_max_listpack_entries as usize,
            value_len_max: config.hash_max_listpack_value as usize,
        },
        list_limits: crate::value::list::ListLimits {
            node_size: config.list_max_listpack_size,
            compress_depth: config.list_compress_depth,
            plain_len_min: shared.list_plain_len_min.load(Ordering::Relaxed),
        },
        stream_limits: crate::value::stream::StreamLimits {
            node_bytes_max: config.stream_node_max_bytes as usize,
            node_entries_max: config.stream_node_max_entries,
        },
        set_limits: crate::value::set::SetLimits {
            intset_entries_max: config.set_max_intset_entries as usize,
            listpack_entries_max: config.set_max_listpack_entries as usize,
            listpack_value_len_max: config.set_max_listpack_value as usize,
        },
        hll_sparse_len_max: config.hll_sparse_max_bytes as usize,
        sorted_set_limits: crate::value::sorted_set::SortedSetLimits {
            entries_max: config.zset_max_listpack_entries as usize,
            value_len_max: config.zset_max_listpack_value as usize,
        },
        compression: match config.rdbcompression {
            true => Compression::Lzf,
            false => Compression::None,
        },
        lazy_expire: config.lazyfree_lazy_expire,
        lazy_eviction: config.lazyfree_lazy_eviction,
        lazy_user_del: config.lazyfree_lazy_user_del,
        lazy_server_del: config.lazyfree_lazy_server_del,
        lfu: tracking_of(config) != Tracking::Recency,
        notify: crate::command::notify::Class::parse(&config.notify_keyspace_events),
        seed: crate::value::HashSeed(shared.process.seed),
    }
}
