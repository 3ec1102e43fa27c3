//! The table of directives: the sole declaration of each name, type, bounds, default, help and
//! documentation.

use std::collections::BTreeMap;

use super::checks;
use super::directive::{Change, Check, Directive, Section, Slot, default_value};
use super::inert::INERT;
use super::kind::Kind::{self, *};
use super::value::Value;
use super::value::{
    Field, Io, LogLevel, MaxmemoryPolicy, Named, OutputLimits, PipelineOrder, ProtectedAction,
    ReplDisklessLoad, SavePoint, ShutdownWords, Upstream,
};

const I32: i64 = i32::MAX as i64;
const I64: i64 = i64::MAX;
const BYTES_MAX: u64 = i64::MAX as u64;
/// More shards than any machine has cores; also the number of mailboxes that each shard keeps.
const SHARDS_MAX: i64 = 1024;

/// Rows of `"help" field: type = "name" | "alias", kind, "default", change, check;` per section.
/// Makes the struct, its defaults and the rows of the table.
macro_rules! directives {
    ($($section:ident { $(
        $help:literal
        $field:ident: $ty:ty =
            $name:literal $(| $alias:literal)?, $kind:expr, $default:literal, $change:ident
        $(, $check:path)?;
    )* })*) => {
        /// The whole configuration, one field per directive that has an effect; the help text of
        /// each names its unit.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $($(#[doc = $help] pub $field: $ty,)*)*
            /// Values of directives without effect, where they were set.
            pub(super) stored: BTreeMap<&'static str, Value>,
        }

        impl Default for Config {
            fn default() -> Self {
                Self {
                    $($($field: initial($kind, $default),)*)*
                    stored: BTreeMap::new(),
                }
            }
        }

        static EFFECTIVE: &[Directive] = &[$($(Directive {
            name: $name,
            alias: { const ALIAS: &[&str] = &[$($alias)?]; ALIAS.first().copied() },
            section: Section::$section,
            kind: $kind,
            default: $default,
            change: Change::$change,
            hidden: false,
            help: $help,
            check: { const CHECK: &[Check] = &[$($check)?]; CHECK.first().copied() },
            slot: Slot::Field {
                load: |config| config.$field.to_value(),
                store: |config, value| {
                    <$ty as Field>::from_value(value).map(|new| config.$field = new).is_some()
                },
            },
        }),*),*];
    };
}

/// All directives: those with an effect by section, then those without.
pub fn directives() -> impl Iterator<Item = &'static Directive> {
    EFFECTIVE.iter().chain(INERT)
}

/// The directive that is called `name`, in any case, by its name or its alias.
pub fn find(name: &[u8]) -> Option<&'static Directive> {
    directives().find(|directive| directive.is_called(name))
}

fn initial<T: Field>(kind: Kind, default: &str) -> T {
    match T::from_value(default_value(kind, default)) {
        Some(value) => value,
        None => panic!("default {default:?} is of another type than its field"),
    }
}

directives! {
    Network {
        "TCP port; 0: no TCP"
        port: u16 = "port", Int(0, 65535), "6379", Immutable;
        "Addresses to listen on; `*` is every IPv4 and `::*` every IPv6 address, a leading `-` \
         makes an address optional"
        bind: Vec<String> = "bind", Addresses, "* -::*", Immutable;
        "Refuse clients from other hosts while neither bind nor requirepass is set"
        protected_mode: bool = "protected-mode", Bool, "yes", Mutable;
        "Path of a Unix socket to listen on; empty: none"
        unixsocket: String = "unixsocket", OptionalText, "", Immutable;
        "Permissions of the Unix socket, octal; 0: as the process's umask gives them"
        unixsocketperm: u32 = "unixsocketperm", Octal(0o777), "0", Immutable;
        "Connections that may wait to be accepted, for each listening socket"
        tcp_backlog: u32 = "tcp-backlog", Int(0, I32), "511", Immutable;
        "Seconds without traffic after which TCP probes a client; 0: never"
        tcp_keepalive: u32 = "tcp-keepalive", Int(0, I32), "300", Mutable;
        "Seconds after which an idle client is closed; 0: never"
        timeout: u32 = "timeout", Int(0, I32), "0", Mutable;
        "Local address of outgoing connections; empty: the kernel's choice"
        bind_source_addr: String = "bind-source-addr", OptionalText, "", Mutable;
    }
    Shards {
        "Number of shards; 0: one per physical core that the process may run on"
        shards: u16 = "shards", Int(0, SHARDS_MAX), "0", Immutable;
        "CPUs to pin shards to, such as 0-3,8; empty: chosen by the server"
        shard_cpus: Vec<u16> = "shard-cpus", Cpus, "", Immutable;
        "Network shell: auto, uring or epoll"
        io: Io = "io", Choice(Io::NAMES), "auto", Immutable;
        "Whether the writes of one pipeline become visible in the order sent over all shards \
         (strict) or on each shard only (relaxed)"
        pipeline_order: PipelineOrder =
            "pipeline-order", Choice(PipelineOrder::NAMES), "strict", Mutable;
    }
    General {
        "Run in the background"
        daemonize: bool = "daemonize", Bool, "no", Immutable;
        "File for the process id; empty: none unless daemonize is on"
        pidfile: String = "pidfile", OptionalText, "", Immutable;
        "Working directory"
        dir: String = "dir", Directory, ".", Protected;
        "File for the log; empty: standard output"
        logfile: String = "logfile", Text, "", Immutable;
        "How much is logged: debug, verbose, notice or warning"
        loglevel: LogLevel = "loglevel", Choice(LogLevel::NAMES), "notice", Mutable;
        "Number of databases"
        databases: u32 = "databases", Int(1, I32), "16", Immutable;
        "Seconds that a shutdown waits for replicas that lag; 0: does not wait"
        shutdown_timeout: u32 = "shutdown-timeout", Int(0, I32), "10", Mutable;
        "How SIGINT ends the server: default, or some of save, nosave, now and force"
        shutdown_on_sigint: ShutdownWords =
            "shutdown-on-sigint", Choices(ShutdownWords::NAMES), "default", Mutable;
        "How SIGTERM ends the server: default, or some of save, nosave, now and force"
        shutdown_on_sigterm: ShutdownWords =
            "shutdown-on-sigterm", Choices(ShutdownWords::NAMES), "default", Mutable;
    }
    Security {
        "Password of the default user; empty: none"
        requirepass: Vec<u8> = "requirepass", Secret, "", Mutable;
        "File with users; empty: none"
        aclfile: String = "aclfile", Text, "", Immutable, checks::no_aclfile;
        "Who may use DEBUG: no, yes or local"
        enable_debug_command: ProtectedAction =
            "enable-debug-command", Choice(ProtectedAction::NAMES), "no", Immutable;
        "Who may change protected directives: no, yes or local"
        enable_protected_configs: ProtectedAction =
            "enable-protected-configs", Choice(ProtectedAction::NAMES), "no", Immutable;
    }
    Replication {
        "Host and port of the node to replicate"
        replicaof: Option<Upstream> = "replicaof" | "slaveof", Kind::Upstream, "", Immutable;
        "User name for AUTH to the upstream; empty: the default user"
        masteruser: Vec<u8> = "masteruser", Secret, "", Mutable;
        "Password for AUTH to the upstream; empty: none"
        masterauth: Vec<u8> = "masterauth", Secret, "", Mutable;
        "Answer from old data while the link to the upstream is down"
        replica_serve_stale_data: bool =
            "replica-serve-stale-data" | "slave-serve-stale-data", Bool, "yes", Mutable;
        "Refuse writes on a replica"
        replica_read_only: bool = "replica-read-only" | "slave-read-only", Bool, "yes", Mutable;
        "Rank among replicas for Sentinel, lower first; 0: never promoted"
        replica_priority: u32 = "replica-priority" | "slave-priority", Int(0, I32), "100", Mutable;
        "Let Sentinel know this replica"
        replica_announced: bool = "replica-announced", Bool, "yes", Mutable;
        "Address that a replica tells its upstream; empty: the socket's"
        replica_announce_ip: String =
            "replica-announce-ip" | "slave-announce-ip", OptionalText, "", Mutable;
        "Port that a replica tells its upstream; 0: its own"
        replica_announce_port: u16 =
            "replica-announce-port" | "slave-announce-port", Int(0, 65535), "0", Mutable;
        "Milliseconds from the arrival of a command of the upstream to its application; 0: none"
        replica_apply_delay: u64 = "replica-apply-delay", Int(0, I64), "0", Mutable;
        "Bytes in memory that wait for their delay to be over; more goes to files in dir"
        replica_apply_delay_memory: u64 =
            "replica-apply-delay-memory", Memory(0, BYTES_MAX), "67108864", Mutable;
        "Bytes in files that wait for their delay to be over; beyond it the oldest come early"
        replica_apply_delay_disk: u64 =
            "replica-apply-delay-disk", Memory(0, BYTES_MAX), "1073741824", Mutable;
        "A replica does not evict by itself"
        replica_ignore_maxmemory: bool =
            "replica-ignore-maxmemory" | "slave-ignore-maxmemory", Bool, "yes", Mutable;
        "Full sync straight to the sockets of replicas; no has no effect, there is no other way"
        repl_diskless_sync: bool = "repl-diskless-sync", Bool, "yes", Mutable;
        "Where a full sync is kept until it is whole: beside the data (swapdb), or in a file in dir"
        repl_diskless_load: ReplDisklessLoad =
            "repl-diskless-load", Choice(ReplDisklessLoad::NAMES), "disabled", Mutable;
        "Free the data that a full sync replaces in the background"
        replica_lazy_flush: bool = "replica-lazy-flush" | "slave-lazy-flush", Bool, "no", Mutable;
        "Seconds to wait for more replicas before a full sync starts"
        repl_diskless_sync_delay: u32 = "repl-diskless-sync-delay", Int(0, I32), "5", Mutable;
        "Replicas that start a full sync before the delay is over; 0: the delay alone counts"
        repl_diskless_sync_max_replicas: u32 =
            "repl-diskless-sync-max-replicas", Int(0, I32), "0", Mutable;
        "Seconds between two PINGs to the replicas"
        repl_ping_replica_period: u32 =
            "repl-ping-replica-period" | "repl-ping-slave-period", Int(1, I32), "10", Mutable;
        "Seconds of silence after which a replication link is given up"
        repl_timeout: u32 = "repl-timeout", Int(1, I32), "60", Mutable;
        "Let the kernel gather small packets to replicas"
        repl_disable_tcp_nodelay: bool = "repl-disable-tcp-nodelay", Bool, "no", Mutable;
        "Bytes of the stream kept for replicas that reconnect"
        repl_backlog_size: u64 = "repl-backlog-size", Memory(1, BYTES_MAX), "1048576", Mutable;
        "Seconds after the last replica left until the backlog is freed; 0: never"
        repl_backlog_ttl: u64 = "repl-backlog-ttl", Int(0, I64), "3600", Mutable;
        "Replicas that must be in time for writes to be accepted; 0: none"
        min_replicas_to_write: u32 =
            "min-replicas-to-write" | "min-slaves-to-write", Int(0, I32), "0", Mutable;
        "Seconds since its last acknowledgement up to which a replica is in time"
        min_replicas_max_lag: u32 =
            "min-replicas-max-lag" | "min-slaves-max-lag", Int(0, I32), "10", Mutable;
    }
    Clients {
        "Largest number of clients"
        maxclients: u32 = "maxclients", Int(1, u32::MAX as i64), "10000", Mutable;
        "Bytes of pending output at which a client is dropped, for each class (normal, replica, \
         pubsub): hard limit, soft limit, seconds above the soft one; 0: no limit"
        client_output_buffer_limit: OutputLimits = "client-output-buffer-limit", Kind::OutputLimits,
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", Mutable;
        "Bytes of pending input at which a client is dropped"
        client_query_buffer_limit: u64 =
            "client-query-buffer-limit", Memory(1 << 20, BYTES_MAX), "1073741824", Mutable;
        "Bytes of the largest argument in a request"
        proto_max_bulk_len: u64 =
            "proto-max-bulk-len", Memory(1 << 20, BYTES_MAX), "536870912", Mutable;
    }
    Memory {
        "Bytes of data at which eviction begins; 0: no limit"
        maxmemory: u64 = "maxmemory", Kind::Memory(0, u64::MAX), "0", Mutable;
        "What is evicted"
        maxmemory_policy: MaxmemoryPolicy =
            "maxmemory-policy", Choice(MaxmemoryPolicy::NAMES), "noeviction", Mutable;
        "Keys that are compared for one eviction"
        maxmemory_samples: u32 = "maxmemory-samples", Int(1, I32), "5", Mutable;
        "How long eviction may go on at a time, from 0 to 100"
        maxmemory_eviction_tenacity: u32 =
            "maxmemory-eviction-tenacity", Int(0, 100), "10", Mutable;
        "Bytes that all clients may take together, or a percentage of maxmemory; 0: any"
        maxmemory_clients: i64 = "maxmemory-clients", MemoryOrPercent, "0", Mutable;
        "How slowly the access counter of a key grows"
        lfu_log_factor: u32 = "lfu-log-factor", Int(0, I32), "10", Mutable;
        "Minutes after which the access counter of a key is lowered; 0: never"
        lfu_decay_time: u32 = "lfu-decay-time", Int(0, I32), "1", Mutable;
        "Free evicted values in the background"
        lazyfree_lazy_eviction: bool = "lazyfree-lazy-eviction", Bool, "no", Mutable;
        "Free expired values in the background"
        lazyfree_lazy_expire: bool = "lazyfree-lazy-expire", Bool, "no", Mutable;
        "Free values that a command replaces in the background"
        lazyfree_lazy_server_del: bool = "lazyfree-lazy-server-del", Bool, "no", Mutable;
        "DEL behaves like UNLINK"
        lazyfree_lazy_user_del: bool = "lazyfree-lazy-user-del", Bool, "no", Mutable;
        "Work spent on expired keys, from 1 to 10"
        active_expire_effort: u32 = "active-expire-effort", Int(1, 10), "1", Mutable;
    }
    Persistence {
        "Seconds and changes after which a snapshot is written; \"\": never"
        save: Vec<SavePoint> = "save", Save, "", Mutable, checks::no_save;
        "Log every write to a file"
        appendonly: bool = "appendonly", Bool, "no", Mutable, checks::no_appendonly;
        "Name of the snapshot's file"
        dbfilename: String = "dbfilename", Text, "dump.rdb", Protected, checks::dbfilename;
        "Compress strings in snapshots and full syncs"
        rdbcompression: bool = "rdbcompression", Bool, "yes", Mutable;
        "End snapshots and full syncs with a checksum"
        rdbchecksum: bool = "rdbchecksum", Bool, "yes", Immutable;
    }
    Encodings {
        "Fields up to which a hash is a listpack"
        hash_max_listpack_entries: u64 =
            "hash-max-listpack-entries" | "hash-max-ziplist-entries", Int(0, I64), "512", Mutable;
        "Bytes of a field or value up to which a hash is a listpack"
        hash_max_listpack_value: u64 =
            "hash-max-listpack-value" | "hash-max-ziplist-value",
            Kind::Memory(0, BYTES_MAX), "64", Mutable;
        "Elements (or, negative, a size class) of a list's node"
        list_max_listpack_size: i32 =
            "list-max-listpack-size" | "list-max-ziplist-size",
            Int(i32::MIN as i64, I32), "-2", Mutable;
        "Nodes at each end of a list that stay uncompressed; 0: all"
        list_compress_depth: u32 = "list-compress-depth", Int(0, I32), "0", Mutable;
        "Members up to which a set of integers is an intset"
        set_max_intset_entries: u64 = "set-max-intset-entries", Int(0, I64), "512", Mutable;
        "Members up to which a set is a listpack"
        set_max_listpack_entries: u64 = "set-max-listpack-entries", Int(0, I64), "128", Mutable;
        "Bytes of a member up to which a set is a listpack"
        set_max_listpack_value: u64 =
            "set-max-listpack-value", Kind::Memory(0, BYTES_MAX), "64", Mutable;
        "Members up to which a sorted set is a listpack"
        zset_max_listpack_entries: u64 =
            "zset-max-listpack-entries" | "zset-max-ziplist-entries", Int(0, I64), "128", Mutable;
        "Bytes of a member up to which a sorted set is a listpack"
        zset_max_listpack_value: u64 =
            "zset-max-listpack-value" | "zset-max-ziplist-value",
            Kind::Memory(0, BYTES_MAX), "64", Mutable;
        "Bytes up to which a HyperLogLog is sparse"
        hll_sparse_max_bytes: u64 =
            "hll-sparse-max-bytes", Kind::Memory(0, BYTES_MAX), "3000", Mutable;
        "Bytes of a stream's node; 0: no limit"
        stream_node_max_bytes: u64 =
            "stream-node-max-bytes", Kind::Memory(0, BYTES_MAX), "4096", Mutable;
        "Entries of a stream's node; 0: no limit"
        stream_node_max_entries: u64 = "stream-node-max-entries", Int(0, I64), "100", Mutable;
    }
    Monitoring {
        "Microseconds from which a command is in the slow log; -1: never"
        slowlog_log_slower_than: i64 = "slowlog-log-slower-than", Int(-1, I64), "10000", Mutable;
        "Entries of the slow log"
        slowlog_max_len: u64 = "slowlog-max-len", Int(0, I64), "128", Mutable;
        "Milliseconds from which an event counts as latency; 0: never"
        latency_monitor_threshold: u64 = "latency-monitor-threshold", Int(0, I64), "0", Mutable;
        "Keep a latency histogram of every command"
        latency_tracking: bool = "latency-tracking", Bool, "yes", Mutable;
        "Percentiles of the histograms that INFO shows"
        latency_tracking_info_percentiles: Vec<f64> =
            "latency-tracking-info-percentiles", Percentiles, "50 99 99.9", Mutable;
        "Keys that are remembered as read by tracking connections; 0: no limit"
        tracking_table_max_keys: u64 = "tracking-table-max-keys", Int(0, I64), "1000000", Mutable;
        "Classes of keyspace events to publish; empty: none"
        notify_keyspace_events: String =
            "notify-keyspace-events", Events, "", Mutable;
    }
}
