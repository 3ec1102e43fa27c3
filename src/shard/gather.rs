//! Questions to every shard that need no lock: each answers from its own state as it stands.

use crate::command::DataStats;

use super::clients::{Kill, ListFilter};
use super::locks::TxId;
use super::observe::{Observed, Wanted};
use super::stats::{KeyspaceLine, ShardStats};

/// A question.
#[derive(Clone, Debug)]
pub enum Question {
    /// CLIENT LIST lines.
    ClientList(ListFilter),
    /// CLIENT KILL; the caller is spared or closed by its home.
    ClientKill(Kill),
    /// CLIENT UNBLOCK id, with an error or as by timeout.
    ClientUnblock { id: u64, error: bool },
    /// Whether the client of this number lives here.
    FindClient { id: u64 },
    /// Figures for INFO.
    Stats,
    /// SLOWLOG and LATENCY.
    Observe(Wanted),
    /// CONFIG RESETSTAT.
    ResetStats,
    /// Look at the shared state again (CLIENT UNPAUSE, CONFIG SET).
    Refresh,
    /// Answer when no command of a client is under way that began before the pause in force, this
    /// client's apart (CLIENT PAUSE).
    Settle { caller: u64 },
    /// DEBUG POPULATE: this shard's part of keys `prefix:0..count`.
    Populate {
        db: usize,
        count: u64,
        prefix: Vec<u8>,
        size: Option<usize>,
        /// The transaction that asks.
        tx: Option<TxId>,
    },
}

/// An answer.
#[derive(Debug)]
pub enum Answer {
    Done,
    Lines(Vec<(u64, String)>),
    Count(u64),
    /// The shard at which a client lives, from that shard.
    Found(Option<usize>),
    Stats(Box<ShardFigures>),
    Observed(Box<Observed>),
    /// Of whoever writes the configuration's file.
    Rewritten(Result<(), String>),
}

/// One shard's part of INFO.
#[derive(Clone, Debug, Default)]
pub struct ShardFigures {
    pub shard: u32,
    pub stats: ShardStats,
    pub data: DataStats,
    pub keyspace: Vec<KeyspaceLine>,
    pub clients: u64,
    pub blocked: u64,
    /// Keys that somebody waits for, and those whose loss would end a wait.
    pub blocking_keys: u64,
    pub blocking_keys_on_nokey: u64,
    pub replicas: u64,
    /// Channels owned here, channels of SSUBSCRIBE owned here, and patterns of the whole process.
    pub channels: u64,
    pub shard_channels: u64,
    pub patterns: u64,
    pub subscribers: u64,
    /// Connections that track, the keys that they have read, and pairs of both.
    pub tracking_clients: u64,
    pub tracked_keys: u64,
    pub tracked_items: u64,
    /// Prefixes of the whole process.
    pub tracked_prefixes: u64,
    pub watched_keys: u64,
    pub watching_clients: u64,
    pub max_input_bytes: u64,
    pub max_output_bytes: u64,
    /// Of ordinary clients, and of replicas.
    pub client_bytes: [u64; 2],
    /// How long memory has been over its limit, milliseconds.
    pub exceeded_ms: u64,
    pub batches: u64,
    pub stream_bytes: u64,
    pub locked: u64,
    pub parked: u64,
    /// Commands, bytes in and bytes out per second, lately.
    pub per_second: [u64; 3],
}
