//! What the shards of one process share: mailboxes, the configuration, and a few counters.
//! Nothing here is touched per command; mailboxes and the log are touched once a tick.

use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
use std::sync::{Arc, OnceLock, RwLock};

use super::locks::TxId;
use super::message::Envelope;
use super::queue::Queue;
use crate::command::effects::Sealed;
use crate::config::Config;
use crate::value::crc16;

/// The merged stream as the shard sees it; the replication layer implements it.
pub trait Stream: Send + Sync {
    /// Takes a tick's effects into the merged order. Never blocks, never fails. `number` counts the
    /// shard's batches from 1.
    fn publish(&self, shard: u32, number: u64, sealed: Sealed);
    /// Replication as INFO, ROLE and the write checks show it, read through the merge.
    fn view(&self) -> ReplicationView;
    /// How many online replicas have acknowledged these batches, given by shard and number.
    fn acked(&self, batches: &[(u32, u64)]) -> u32;
    /// Bytes that it holds: the backlog and what waits to be merged. Nothing that is evicted would
    /// make them less.
    fn held(&self) -> u64;
}

/// A planned failover, as INFO shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FailoverState {
    #[default]
    No,
    /// Writes pause until the heir has the whole stream.
    WaitingForSync,
    /// The heir is asked to take over.
    InProgress,
}

impl FailoverState {
    /// As `master_failover_state` names it.
    pub fn name(self) -> &'static str {
        match self {
            FailoverState::No => "no-failover",
            FailoverState::WaitingForSync => "waiting-for-sync",
            FailoverState::InProgress => "failover-in-progress",
        }
    }
}

/// A replica as INFO and ROLE show it.
#[derive(Clone, Debug, Default)]
pub struct ReplicaView {
    pub ip: String,
    pub port: u16,
    pub state: &'static str,
    pub offset: u64,
    pub lag_s: u64,
    pub kind: &'static str,
}

/// The upstream as INFO and ROLE show it.
#[derive(Clone, Debug, Default)]
pub struct UpstreamView {
    pub host: String,
    pub port: u16,
    /// `connect`, `connecting`, `sync`, `connected`, `handshake`: as ROLE names them.
    pub state: &'static str,
    pub link_up: bool,
    pub last_io_s: i64,
    pub sync_in_progress: bool,
    pub sync_total_bytes: i64,
    pub sync_read_bytes: i64,
    pub down_since_s: i64,
    pub read_repl_offset: i64,
    pub applied_offset: i64,
    pub delay: Option<DelayView>,
}

/// What a delayed replica holds back, as INFO shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DelayView {
    pub delay_ms: u64,
    pub pending_bytes: u64,
    /// Of them in spool files.
    pub spooled_bytes: u64,
    /// When the last applied command came, Unix time in milliseconds; 0 if none has.
    pub last_applied_ms: u64,
}

/// How far a dataset is loaded from its file, as INFO shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadView {
    pub started_s: u64,
    pub total_bytes: u64,
    pub loaded_bytes: u64,
    /// The memory that its writer had in use, as its head tells; 0 if it does not.
    pub used_memory: u64,
}

/// Keys of the last dataset that was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadedKeys {
    pub loaded: u64,
    /// Those that a primary found to have expired.
    pub expired: u64,
}

/// Everything INFO replication shows.
#[derive(Clone, Debug, Default)]
pub struct ReplicationView {
    pub upstream: Option<UpstreamView>,
    pub replicas: Vec<ReplicaView>,
    pub replid: String,
    pub replid2: String,
    pub offset: u64,
    pub second_offset: i64,
    pub backlog_active: bool,
    pub backlog_size: u64,
    pub backlog_first: u64,
    pub backlog_histlen: u64,
    pub good_replicas: u32,
    pub sync_full: u64,
    pub sync_partial_ok: u64,
    pub sync_partial_err: u64,
    pub failover: FailoverState,
    pub loading: Option<LoadView>,
    pub last_load: LoadedKeys,
    /// The last snapshot for replicas could not be written.
    pub dump_failed: bool,
}

/// The configuration in force; a change is a new `Arc` and a higher version.
pub struct SharedConfig {
    version: AtomicU64,
    current: RwLock<Arc<Config>>,
}

impl SharedConfig {
    /// Starts from the process's start-up configuration.
    pub fn new(config: Config) -> Self {
        SharedConfig {
            version: AtomicU64::new(1),
            current: RwLock::new(Arc::new(config)),
        }
    }

    /// The version, to compare with the one last seen.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The configuration in force.
    pub fn get(&self) -> Arc<Config> {
        self.current.read().expect("no writer panics").clone()
    }

    /// Changes the configuration; concurrent changes are applied one after the other.
    ///
    /// # Errors
    /// Whatever `change` returns; nothing is changed then.
    pub fn update<E>(&self, change: impl FnOnce(&mut Config) -> Result<(), E>) -> Result<(), E> {
        let mut current = self.current.write().expect("no writer panics");
        let mut next = Config::clone(&current);
        change(&mut next)?;
        *current = Arc::new(next);
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

/// Reads the allocated, resident and peak resident bytes.
pub type MemoryProbe = fn() -> (u64, u64, u64);

/// What the allocator holds, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    /// Handed out.
    pub allocated: u64,
    /// In pages of which some part is handed out.
    pub active: u64,
    /// In pages that are in memory.
    pub resident: u64,
}

/// The allocator, as far as MEMORY asks of it.
#[derive(Clone, Debug)]
pub struct Allocator {
    pub figures: fn() -> Allocated,
    /// Its own report, for people.
    pub report: fn() -> String,
    /// Gives pages that are not in use back to the system.
    pub purge: fn(),
}

/// What a pause holds back. While there is any, nothing expires, and replicas get no heartbeat:
/// the stream stands still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    No,
    /// Commands that write.
    Writes,
    /// All commands.
    All,
}

/// Which signal asks for a shutdown.
pub struct Stop;

impl Stop {
    /// None.
    pub const NO: u8 = 0;
    /// SIGINT.
    pub const INTERRUPT: u8 = 1;
    /// SIGTERM.
    pub const TERMINATE: u8 = 2;
}

/// Number of the first transaction. Smaller ones are those of locks that a shard takes itself.
pub const FIRST_TX: TxId = 1 << 40;

/// Memory of one shard, written by it and read by all. A line of its own for each.
#[derive(Default)]
#[repr(align(128))]
pub struct Usage {
    /// Allocated by the shard's thread less freed by it: of use only in the sum over all shards.
    pub bytes: AtomicI64,
    /// Keys of all databases when the role or the dataset last changed.
    pub keys: AtomicU64,
    /// Keys that the eviction policy lets go.
    pub evictable: AtomicU64,
    /// Of its clients together, and of the largest that may be closed; kept while
    /// `maxmemory-clients` is set.
    pub clients: AtomicU64,
    pub largest_client: AtomicU64,
}

/// State of the whole process that every shard can see.
pub struct Shared {
    pub shards: usize,
    /// One inbox per shard.
    pub mailboxes: Vec<Queue<Envelope>>,
    pub config: SharedConfig,
    pub stream: Arc<dyn Stream>,
    next_tx: AtomicU64,
    next_client: AtomicU64,
    /// Open connections of all shards, against maxclients.
    pub clients: AtomicU32,
    /// Writes by clients are refused: this process is a read-only replica.
    pub is_replica: AtomicBool,
    /// How many upstreams lie between this process and the top of its tree, that one included; as
    /// far as they tell.
    pub depth: AtomicU32,
    /// Replicas whose lag is acceptable, for min-replicas-to-write.
    pub good_replicas: AtomicU32,
    /// A dataset is being received or loaded.
    pub loading: AtomicBool,
    /// A dataset is being received beside the one that serves.
    pub async_loading: AtomicBool,
    /// The link to the upstream is down, for replica-serve-stale-data.
    pub stale: AtomicBool,
    /// Set once by SHUTDOWN or a signal.
    pub shutdown: AtomicBool,
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub active_expire: AtomicBool,
    /// DEBUG QUICKLIST-PACKED-THRESHOLD, bytes; 0: as the nodes' limit says.
    pub list_plain_len_min: AtomicUsize,
    /// CLIENT PAUSE: end in milliseconds of wall clock, 0 if none; and whether only writes pause.
    pub pause_until_ms: AtomicU64,
    pub pause_writes_only: AtomicBool,
    /// Channels and patterns, shard by shard, whose listeners may hear of changes of keys.
    pub event_listeners: AtomicU32,
    /// Keys that are remembered as read by connections that track.
    pub tracked_keys: AtomicU64,
    /// A signal asks for a shutdown, one of [`Stop`]; the coordinator takes it from here.
    pub stop_asked: AtomicU8,
    /// Why the process ends, if that is a failure.
    pub failure: OnceLock<String>,
    /// A shutdown waits for replicas that lag: no client writes.
    pub stopping: AtomicBool,
    /// FAILOVER is under way: no client writes, and nobody changes the role.
    pub failing_over: AtomicBool,
    /// Memory, by shard.
    pub memory: Vec<Usage>,
    /// Number of the slow log's next entry.
    pub next_slow: AtomicU64,
    /// Names, pid and the like, for INFO.
    pub process: Process,
}

/// Facts of the process, given by the shell at start.
#[derive(Clone, Debug, Default)]
pub struct Process {
    pub run_id: String,
    /// There is a file of the dataset to be loaded at the start.
    pub has_dataset: bool,
    pub pid: u32,
    pub executable: String,
    pub config_file: String,
    pub os: String,
    pub io: &'static str,
    pub started_unix_ms: u64,
    pub started_mono_ns: u64,
    pub shard_cpus: Vec<Option<usize>>,
    /// Seed of every hash in the process.
    pub seed: [u64; 4],
    /// Reads the allocator's and the system's figures: (allocated, resident, peak resident) bytes.
    pub memory: Option<MemoryProbe>,
    /// Reads what the calling thread has allocated and not freed, bytes; below 0 if it frees what
    /// others allocate.
    pub thread_memory: Option<fn() -> i64>,
    /// What threads other than the shards' have allocated, bytes.
    pub base_memory: i64,
    /// Memory of the machine, bytes.
    pub total_memory_bytes: u64,
    pub allocator: Option<Allocator>,
    /// Reads the monotonic clock, nanoseconds, for the times of commands. Without it time stands
    /// still within a tick.
    pub clock: Option<fn() -> u64>,
    /// Seconds of CPU used: (system, user).
    pub cpu: Option<fn() -> (f64, f64)>,
}

impl Shared {
    /// State for a process of `shards` shards.
    pub fn new(config: Config, shards: usize, stream: Arc<dyn Stream>, process: Process) -> Self {
        assert!(shards > 0, "there is at least one shard");
        Shared {
            shards,
            mailboxes: (0..shards).map(|_| Queue::new()).collect(),
            config: SharedConfig::new(config),
            stream,
            next_tx: AtomicU64::new(FIRST_TX),
            next_client: AtomicU64::new(1),
            clients: AtomicU32::new(0),
            is_replica: AtomicBool::new(false),
            depth: AtomicU32::new(0),
            good_replicas: AtomicU32::new(0),
            loading: AtomicBool::new(false),
            async_loading: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            shutdown: AtomicBool::new(false),
            active_expire: AtomicBool::new(true),
            list_plain_len_min: AtomicUsize::new(0),
            pause_until_ms: AtomicU64::new(0),
            pause_writes_only: AtomicBool::new(false),
            event_listeners: AtomicU32::new(0),
            tracked_keys: AtomicU64::new(0),
            next_slow: AtomicU64::new(0),
            memory: (0..shards).map(|_| Usage::default()).collect(),
            stop_asked: AtomicU8::new(Stop::NO),
            failure: OnceLock::new(),
            stopping: AtomicBool::new(false),
            failing_over: AtomicBool::new(false),
            process,
        }
    }

    /// Bytes that the process has allocated, as the shards last told.
    pub fn used_memory(&self) -> u64 {
        let shards = self.memory.iter();
        let bytes = shards.map(|usage| usage.bytes.load(Ordering::Relaxed));
        u64::try_from(bytes.sum::<i64>() + self.process.base_memory).unwrap_or(0)
    }

    /// Bytes that count against `maxmemory`.
    pub fn counted_memory(&self) -> u64 {
        self.used_memory().saturating_sub(self.stream.held())
    }

    /// Adds up one of the figures of [`Usage`].
    pub fn sum_of_memory(&self, figure: impl Fn(&Usage) -> &AtomicU64) -> u64 {
        let shards = self.memory.iter();
        shards
            .map(|usage| figure(usage).load(Ordering::Relaxed))
            .sum()
    }

    /// What clients may not do at this moment (CLIENT PAUSE, FAILOVER, a shutdown that waits).
    pub fn pause(&self, now_ms: u64) -> Pause {
        if self.pause_until_ms.load(Ordering::Relaxed) > now_ms {
            match self.pause_writes_only.load(Ordering::Relaxed) {
                true => Pause::Writes,
                false => Pause::All,
            }
        } else if self.stopping.load(Ordering::Relaxed) || self.failing_over.load(Ordering::Relaxed)
        {
            Pause::Writes
        } else {
            Pause::No
        }
    }

    /// A new transaction number, larger than all before it.
    pub fn next_tx(&self) -> TxId {
        self.next_tx.fetch_add(1, Ordering::Relaxed)
    }

    /// As many new transaction numbers as there are shards: the first.
    pub fn next_tx_per_shard(&self) -> TxId {
        self.next_tx
            .fetch_add(self.shards as TxId, Ordering::Relaxed)
    }

    /// A new CLIENT ID.
    pub fn next_client(&self) -> u64 {
        self.next_client.fetch_add(1, Ordering::Relaxed)
    }

    /// The shard that owns a key: its hash slot, mapped evenly.
    #[inline]
    pub fn owner(&self, key: &[u8]) -> usize {
        if self.shards == 1 {
            return 0;
        }
        owner_of_slot(crc16::key_slot(key), self.shards)
    }
}

/// The shard of a hash slot: contiguous ranges of 16,384 slots, sizes equal up to one.
pub fn owner_of_slot(slot: u16, shards: usize) -> usize {
    (usize::from(slot) * shards) >> 14
}

#[cfg(test)]
mod tests {
    use super::owner_of_slot;

    #[test]
    fn slots_spread_evenly_over_any_number_of_shards() {
        for shards in [1, 2, 3, 7, 64, 100] {
            let mut sizes = vec![0usize; shards];
            (0..16384).for_each(|slot| sizes[owner_of_slot(slot, shards)] += 1);
            let (low, high) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            assert!(high - low <= 1, "{shards} shards: {low}..{high}");
        }
    }
}
