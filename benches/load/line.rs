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

const P16: &[Bound] = &[bound(0.6, Reference::Peer(Redis))];
const P16_ZADD: &[Bound] = &[bound(0.45, Reference::Peer(Redis))];
const SMALL: &[Bound] = &[bound(1.0, Reference::Peer(Redis))];
const LARGE: &[Bound] = &[bound(0.8, Reference::Peer(Redis))];

const FAN_OUT: &[Bound] = &[bound(0.4, Reference::Peer(Redis))];
const APPLY: &[Bound] = &[bound(0.7, Reference::Peer(Redis))];
/// One and a half times the rate.
const CATCH_UP: &[Bound] = &[bound(0.667, Reference::Peer(Redis))];

const CPU: &str = "us CPU/request";
const COMMAND: &str = "us CPU/command";
const ELEMENT: &str = "bytes/element";

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
        id: "incr_p16",
        title: "INCR P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "lpush_p16",
        title: "LPUSH P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "rpush_p16",
        title: "RPUSH P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "lrange_100_p16",
        title: "LRANGE of 100 P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "lpop_p16",
        title: "LPOP P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "rpop_p16",
        title: "RPOP P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "sadd_p16",
        title: "SADD P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "spop_p16",
        title: "SPOP P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "hset_p16",
        title: "HSET P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "zadd_p16",
        title: "ZADD P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16_ZADD,
    },
    Line {
        id: "zpopmin_p16",
        title: "ZPOPMIN P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "xadd_p16",
        title: "XADD P=16 c=50",
        unit: CPU,
        kinds: REPLICATING,
        bounds: P16,
    },
    Line {
        id: "publish_1",
        title: "PUBLISH P=16, one subscriber",
        unit: CPU,
        kinds: REPLICATING,
        bounds: &[],
    },
    Line {
        id: "publish_1000",
        title: "PUBLISH P=16, 1,000 subscribers",
        unit: CPU,
        kinds: REPLICATING,
        bounds: &[],
    },
    Line {
        id: "sort_1000",
        title: "SORT of 1,000 numbers, LIMIT 0 10",
        unit: CPU,
        kinds: REPLICATING,
        bounds: &[],
    },
    Line {
        id: "blpop_wakeup",
        title: "BLPOP that waits, and its LPUSH",
        unit: CPU,
        kinds: REPLICATING,
        bounds: &[],
    },
    Line {
        id: "zadd_10m",
        title: "ZADD P=16, sorted set of 10 M",
        unit: CPU,
        kinds: REPLICATING,
        bounds: &[],
    },
    Line {
        id: "zrank_10m",
        title: "ZRANK P=16, sorted set of 10 M",
        unit: CPU,
        kinds: REPLICATING,
        bounds: &[],
    },
    Line {
        id: "zrange_10m",
        title: "ZRANGE BYSCORE of 10 P=16, the same",
        unit: CPU,
        kinds: REPLICATING,
        bounds: &[],
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
        id: "mem_list_small",
        title: "resident memory, list of 20",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: SMALL,
    },
    Line {
        id: "mem_list_large",
        title: "resident memory, list of 2 M",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: &[],
    },
    Line {
        id: "mem_set_small",
        title: "resident memory, set of 20",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: SMALL,
    },
    Line {
        id: "mem_set_large",
        title: "resident memory, set of 2 M",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: LARGE,
    },
    Line {
        id: "mem_intset_small",
        title: "resident memory, set of integers of 20",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: SMALL,
    },
    Line {
        id: "mem_intset_large",
        title: "resident memory, set of integers of 2 M",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: LARGE,
    },
    Line {
        id: "mem_hash_small",
        title: "resident memory, hash of 20",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: SMALL,
    },
    Line {
        id: "mem_hash_large",
        title: "resident memory, hash of 2 M",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: LARGE,
    },
    Line {
        id: "mem_zset_small",
        title: "resident memory, sorted set of 20",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: SMALL,
    },
    Line {
        id: "mem_zset_large",
        title: "resident memory, sorted set of 2 M",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: LARGE,
    },
    Line {
        id: "mem_stream_small",
        title: "resident memory, stream of 20",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: SMALL,
    },
    Line {
        id: "mem_stream_large",
        title: "resident memory, stream of 2 M",
        unit: ELEMENT,
        kinds: REPLICATING,
        bounds: &[],
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
        id: "sync_p999",
        title: "full sync: p99.9 of the writer",
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
        unit: COMMAND,
        kinds: REPLICATING,
        bounds: APPLY,
    },
    Line {
        id: "fan_out_1",
        title: "SET P=16, 1 sink attached: the primary",
        unit: "us user CPU/SET",
        kinds: REPLICATING,
        bounds: FAN_OUT,
    },
    Line {
        id: "fan_out_4",
        title: "SET P=16, 4 sinks attached: the primary",
        unit: "us user CPU/SET",
        kinds: REPLICATING,
        bounds: FAN_OUT,
    },
    Line {
        id: "fan_out_16",
        title: "SET P=16, 16 sinks attached: the primary",
        unit: "us user CPU/SET",
        kinds: REPLICATING,
        bounds: FAN_OUT,
    },
    Line {
        id: "apply_strings",
        title: "applying a stream, strings",
        unit: COMMAND,
        kinds: REPLICATING,
        bounds: APPLY,
    },
    Line {
        id: "apply_lists",
        title: "applying a stream, lists",
        unit: COMMAND,
        kinds: REPLICATING,
        bounds: APPLY,
    },
    Line {
        id: "apply_sets",
        title: "applying a stream, sets",
        unit: COMMAND,
        kinds: REPLICATING,
        bounds: APPLY,
    },
    Line {
        id: "apply_hashes",
        title: "applying a stream, hashes",
        unit: COMMAND,
        kinds: REPLICATING,
        bounds: APPLY,
    },
    Line {
        id: "apply_zsets",
        title: "applying a stream, sorted sets",
        unit: COMMAND,
        kinds: REPLICATING,
        bounds: APPLY,
    },
    Line {
        id: "apply_streams",
        title: "applying a stream, streams",
        unit: COMMAND,
        kinds: REPLICATING,
        bounds: APPLY,
    },
    Line {
        id: "apply_mix",
        title: "applying a stream, a mix of all",
        unit: COMMAND,
        kinds: REPLICATING,
        bounds: APPLY,
    },
    Line {
        id: "sync_peak_4",
        title: "full sync to four: peak resident / before",
        unit: "x",
        kinds: REPLICATING,
        bounds: &[bound(1.15, Reference::Absolute)],
    },
    Line {
        id: "sync_into_own",
        title: "full sync from its own kind: link up",
        unit: "s",
        kinds: REPLICATING,
        bounds: &[bound(0.4, Reference::Peer(Redis))],
    },
    Line {
        id: "sync_into_redis",
        title: "full sync from redis-server: link up",
        unit: "s",
        kinds: REPLICATING,
        bounds: &[bound(0.7, Reference::Peer(Redis))],
    },
    Line {
        id: "lag_hop",
        title: "lag at the first replica, p99",
        unit: "us",
        kinds: REPLICATING,
        bounds: &[],
    },
    Line {
        id: "lag_leaf",
        title: "lag at a leaf of depth 3, p99",
        unit: "us",
        kinds: REPLICATING,
        bounds: &[bound(3.0, Reference::Line("lag_hop"))],
    },
    Line {
        id: "catch_up",
        title: "catching up after a cut",
        unit: "ms/MB",
        kinds: REPLICATING,
        bounds: CATCH_UP,
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
