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
    // replication
    ReplicaOf,
    Psync,
    Sync,
    ReplConf,
    Wait,
}
