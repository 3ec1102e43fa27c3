//! Names of the commands that belong to a connection or to the server. They are declared in the one
//! table; the shard, which holds connections, runs them.

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
    ClientHelp,
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
    DebugSleep,
    DebugObject,
    DebugDigestValue,
    DebugSetActiveExpire,
    DebugPopulate,
    DebugJmap,
    DebugError,
    DebugPanic,
    DebugHelp,
    /// SLOWLOG and LATENCY.
    Observe(Observe),
    // replication
    ReplicaOf,
    Psync,
    Sync,
    ReplConf,
    Wait,
}

/// Commands that look at what all shards have seen.
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
}
