//! Names of the commands that belong to a connection or to the server. They are declared in the one
//! table; the shard, which holds connections, runs them.

use super::pubsub::Space;

/// A command that the shard runs at the connection's home.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum SessionOp {
    // connection
    Auth,
    Echo,
    Hello,
    Ping,
    Quit,
    Reset,
    Select,
    ClientId,
    ClientGetname,
    ClientSetname,
    ClientSetinfo,
    ClientInfo,
    ClientList,
    ClientKill,
    ClientReply,
    ClientUnblock,
    ClientPause,
    ClientUnpause,
    ClientNoEvict,
    ClientNoTouch,
    ClientTracking,
    ClientCaching,
    ClientGetredir,
    ClientTrackinginfo,
    ClientHelp,
    // pub/sub
    Subscribe(Space),
    Unsubscribe(Space),
    // transactions
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
    // server
    Info,
    Time,
    Role,
    Monitor,
    LastSave,
    Shutdown,
    ConfigGet,
    ConfigSet,
    ConfigResetStat,
    ConfigRewrite,
    ConfigHelp,
    Command,
    CommandCount,
    CommandInfo,
    CommandDocs,
    CommandGetKeys,
    CommandGetKeysAndFlags,
    CommandList,
    CommandHelp,
    DebugChangeReplId,
    DebugLog,
    DebugProtocol,
    DebugSleep,
    DebugStringmatchTest,
    DebugObject,
    DebugDigestValue,
    DebugSetActiveExpire,
    DebugQuicklistPackedThreshold,
    DebugPopulate,
    DebugJmap,
    DebugError,
    DebugPanic,
    DebugHelp,
    /// SLOWLOG, LATENCY, LOLWUT and the part of MEMORY that is not about a key.
    Observe(Observe),
    // replication
    ReplicaOf,
    Psync,
    Sync,
    ReplConf,
    Wait,
    Failover,
}

/// Commands that look at the server as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Observe {
    SlowlogGet,
    SlowlogLen,
    SlowlogReset,
    SlowlogHelp,
    LatencyLatest,
    LatencyHistory,
    LatencyGraph,
    LatencyDoctor,
    LatencyReset,
    LatencyHistogram,
    LatencyHelp,
    MemoryStats,
    MemoryDoctor,
    MemoryMallocStats,
    MemoryPurge,
    Lolwut,
}

impl SessionOp {
    /// Whether the reply takes the answers of other shards, or of whoever writes files. Within
    /// EXEC the transaction waits for them, between two of its commands.
    pub fn waits_for_answers(self) -> bool {
        matches!(
            self,
            SessionOp::ClientList
                | SessionOp::ClientKill
                | SessionOp::ClientUnblock
                | SessionOp::ClientUnpause
                | SessionOp::ClientTracking
                | SessionOp::Info
                | SessionOp::ConfigSet
                | SessionOp::ConfigResetStat
                | SessionOp::ConfigRewrite
                | SessionOp::DebugPopulate
                | SessionOp::Observe(_)
        )
    }
}
