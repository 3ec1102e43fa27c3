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
                | SessionOp::Info
                | SessionOp::ConfigSet
                | SessionOp::ConfigResetStat
                | SessionOp::ConfigRewrite
                | SessionOp::DebugPopulate
        )
    }
}
