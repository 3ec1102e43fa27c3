//! What the replication layers of the shards say to each other; shard 0 is the coordinator.

use bytes::Bytes;

use crate::keyspace::Entry;
use crate::shard::server::ShutdownOptions;
use crate::shard::shell::ConnId;
use crate::shard::upper::Target;

/// A message between two nodes of one process.
pub enum Message {
    // A replica's home to the coordinator.
    /// A replica wants a full sync.
    WantSync {
        conn: ConnId,
        request: SyncRequest,
    },
    /// A replica goes on from the backlog.
    Online {
        conn: ConnId,
        info: ReplicaInfo,
    },
    /// It acknowledged.
    Ack {
        conn: ConnId,
        offset: u64,
    },
    /// It is gone.
    Gone {
        conn: ConnId,
    },
    /// It has taken a part of the snapshot: more may come.
    Took {
        conn: ConnId,
    },
    /// WAIT.
    Wait {
        conn: ConnId,
        offset: u64,
        replicas: u32,
        timeout_ms: u64,
    },
    /// A client that waited was unblocked or went away.
    WaitOver {
        conn: ConnId,
        error: Option<bool>,
    },

    // The coordinator to a replica's home.
    /// `+FULLRESYNC`, and what follows is the snapshot.
    SyncStarts {
        conn: ConnId,
        replid: String,
        offset: u64,
        /// The snapshot is written to a file first.
        by_file: bool,
    },
    /// Bytes of the snapshot.
    SyncData {
        conn: ConnId,
        bytes: Bytes,
    },
    /// The snapshot is complete.
    SyncEnds {
        conn: ConnId,
        /// It ended with a mark: the stream is held until the replica acknowledges.
        marked: bool,
    },
    /// It failed: the connection is closed.
    SyncFailed {
        conn: ConnId,
    },
    /// Close every replica: history has changed.
    DropReplicas,
    /// Our place in the tree is another: replicas that were told of it must hear.
    DepthChanged,
    /// WAIT's answer.
    Waited {
        conn: ConnId,
        count: u32,
        error: bool,
    },

    // Snapshot and barriers.
    /// Under a barrier: do this, then say so.
    Prepare(Step),
    Prepared,
    /// A part of a shard's snapshot.
    Fragment {
        epoch: u64,
        fragment: Fragment,
    },
    /// A shard may make one more fragment.
    Credit {
        epoch: u64,
    },
    /// Give the snapshot up.
    AbortSnapshot,
    /// A shard holds more pre-images than the replicas' output limit allows: the snapshot ends.
    Overrun {
        epoch: u64,
        bytes: u64,
    },
    /// FLUSHALL: the snapshot under way begins anew.
    Flushed,
    /// SHUTDOWN.
    Shutdown {
        conn: ConnId,
        options: ShutdownOptions,
    },
    /// FAILOVER.
    Failover {
        conn: ConnId,
        request: super::failover::Request,
    },
    /// A replica asks us, by PSYNC … FAILOVER, to take the primary's role.
    TakeOver {
        conn: ConnId,
    },
    /// This is a primary now: the replica that asked for it is served.
    TookOver {
        conn: ConnId,
    },
    /// Answer to a command that was handed up: an error or OK.
    Answered {
        conn: ConnId,
        error: Option<&'static str>,
    },
    /// REPLICAOF, from a client or the configuration.
    ReplicaOf {
        conn: Option<ConnId>,
        target: Target,
    },
    /// Answer to the client that sent REPLICAOF.
    ReplicaOfDone {
        conn: ConnId,
        text: &'static str,
    },

    // The link to the upstream, on the coordinator, to the shards.
    /// Entries of the upstream's snapshot, into the staging keyspace.
    Load {
        entries: Vec<(usize, Entry)>,
    },
    /// So many keys of a database are to come; a hint.
    Expect {
        db: usize,
        keys: usize,
    },
    /// The snapshot failed: drop what was staged.
    LoadFailed,
}

/// What a shard does while a barrier holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Begin a snapshot, and record effects from here on, as others go on from it; or a `frozen`
    /// one, during which the barrier is held.
    Cut { epoch: u64, frozen: bool },
    /// Record effects or not, as the role says.
    Record(bool),
    /// Drop the dataset.
    Empty,
    /// What was staged replaces the dataset.
    Adopt,
    /// So does what was loaded at the start; record effects or not.
    Loaded { records: bool },
}

/// A replica as it introduced itself.
#[derive(Clone, Debug, Default)]
pub struct ReplicaInfo {
    pub ip: String,
    pub port: u16,
}

/// A replica's wish for a snapshot.
#[derive(Clone, Debug, Default)]
pub struct SyncRequest {
    pub info: ReplicaInfo,
    /// It understands the `$EOF:` form.
    pub eof: bool,
    /// It sent SYNC: no `+FULLRESYNC` line, no acknowledgements.
    pub plain: bool,
    /// Only the snapshot, then close.
    pub rdb_only: bool,
    /// Why it cannot go on from where it stands, for people.
    pub why: String,
}

/// A part of a shard's snapshot.
pub(super) struct Fragment {
    pub bytes: Vec<u8>,
    /// The shard's snapshot ends here.
    pub last: bool,
    /// Its last record goes on in the shard's next fragment.
    pub open: bool,
}
