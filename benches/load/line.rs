//! What is measured, and what Banyan must reach.

use crate::server::Kind;

/// One quantity that is measured, on one or more servers.
#[derive(Debug)]
pub struct Line {
    /// Name for `--rows` and the CSV.
    pub id: &'static str,
    /// Name in the table.
    pub title: &'static str,
    pub unit: &'static str,
    /// The servers it makes sense for.
    pub kinds: &'static [Kind],
    /// What Banyan's median must keep; all of them.
    pub bounds: &'static [Bound],
}

/// `value <= factor * reference`.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    pub factor: f64,
    pub reference: Reference,
}

#[derive(Clone, Copy, Debug)]
pub enum Reference {
    /// The same line of another server in the same run.
    Peer(Kind),
    /// Another line of Banyan in the same run.
    Line(&'static str),
    /// One unit.
    Absolute,
    /// As `Absolute`, but what another line of Banyan measured as the machine's noise passes too.
    AbsoluteOrNoise(&'static str),
}

const fn bound(factor: f64, reference: Reference) -> Bound {
    Bound { factor, reference }
}

use Kind::{Banyan, Floor, Kevy, Redis, Valkey};

const EVERY: &[Kind] = &[Banyan, Redis, Valkey, Kevy, Floor];
const REPLICATING: &[Kind] = &[Banyan, Redis, Valkey];
const ALONE: &[Kind] = &[Banyan];

const P1: &[Bound] = &[
    bound(1.15, Reference::Peer(Floor)),
    bound(1.0, Reference::Peer(Redis)),
];

const CPU: &str = "us CPU/request";

/// Every line, in the order of the table.
pub const LINES: &[Line] = &[
    Line {
        id: "get_p1",
        title: "GET P=1 c=50",
        unit: CPU,
        kinds: EVERY,
        bounds: P1,
    },
    Line {
        id: "set_p1",
        title: "SET P=1 c=50",
        unit: CPU,
        kinds: EVERY,
        bounds: P1,
    },
    Line {
        id: "set_p16",
        title: "SET P=16 c=50",
        unit: CPU,
        kinds: EVERY,
        bounds: &[bound(0.45, Reference::Peer(Redis))],
    },
    Line {
        id: "get_p100",
        title: "GET P=100 c=50",
        unit: CPU,
        kinds: EVERY,
        bounds: &[bound(0.30, Reference::Peer(Redis))],
    },
    Line {
        id: "memtier_p1",
        title: "memtier_benchmark, SET:GET 1:1, c=50",
        unit: CPU,
        kinds: EVERY,
        bounds: &[],
    },
    Line {
        id: "set_p16_replica",
        title: "SET P=16, one real replica: the primary",
        unit: CPU,
        kinds: REPLICATING,
        bounds: &[bound(0.50, Reference::Peer(Redis))],
    },
    Line {
        id: "set_shards1",
        title: "SET P=16, 1 shard (for the next two)",
        unit: CPU,
        kinds: ALONE,
        bounds: &[],
    },
    Line {
        id: "set_shards8_relaxed",
        title: "SET P=16, 8 shards on two cores, relaxed",
        unit: CPU,
        kinds: ALONE,
        bounds: &[bound(1.6, Reference::Line("set_shards1"))],
    },
    Line {
        id: "set_shards8_strict",
        title: "SET P=16, 8 shards on two cores, strict",
        unit: CPU,
        kinds: ALONE,
        bounds: &[bound(2.0, Reference::Line("set_shards1"))],
    },
    Line {
        id: "mset_shards1",
        title: "MSET of 10 keys P=1, 1 shard (for the next)",
        unit: CPU,
        kinds: ALONE,
        bounds: &[],
    },
    Line {
        id: "mset_shards8",
        title: "MSET of 10 keys P=1, 8 shards on two cores",
        unit: CPU,
        kinds: ALONE,
        bounds: &[bound(2.5, Reference::Line("mset_shards1"))],
    },
    Line {
        id: "mget_shards1",
        title: "MGET of 10 keys P=1, 1 shard (for the next)",
        unit: CPU,
        kinds: ALONE,
        bounds: &[],
    },
    Line {
        id: "mget_shards8",
        title: "MGET of 10 keys P=1, 8 shards on two cores",
        unit: CPU,
        kinds: ALONE,
        bounds: &[bound(2.5, Reference::Line("mget_shards1"))],
    },
    Line {
        id: "memory",
        title: "resident memory, 16-byte key, 64-byte value",
        unit: "bytes/key",
        kinds: EVERY,
        bounds: &[bound(120.0, Reference::Absolute)],
    },
    Line {
        id: "sync_time",
        title: "full sync under 70 k writes/s: last RDB byte",
        unit: "s",
        kinds: REPLICATING,
        bounds: &[bound(0.7, Reference::Peer(Redis))],
    },
    Line {
        id: "sync_pause",
        title: "full sync: longest pause of the writer",
        unit: "ms",
        kinds: REPLICATING,
        bounds: &[bound(0.5, Reference::Peer(Redis))],
    },
    Line {
        id: "sync_noise",
        title: "longest pause of the writer without a sync",
        unit: "ms",
        kinds: REPLICATING,
        bounds: &[],
    },
    Line {
        id: "sync_peak",
        title: "full sync: peak resident memory / before",
        unit: "x",
        kinds: REPLICATING,
        bounds: &[bound(1.15, Reference::Absolute)],
    },
    Line {
        id: "replica_apply",
        title: "applying a redis-server's stream as replica",
        unit: "us CPU/command",
        kinds: REPLICATING,
        bounds: &[bound(0.7, Reference::Peer(Redis))],
    },
    Line {
        id: "insert_max",
        title: "inserts one by one: longest single command",
        unit: "ms",
        kinds: &[Banyan, Redis],
        bounds: &[bound(2.0, Reference::AbsoluteOrNoise("insert_noise"))],
    },
    Line {
        id: "insert_noise",
        title: "the same connection: longest PING in between",
        unit: "ms",
        kinds: &[Banyan, Redis],
        bounds: &[],
    },
];
