//! One client connection: what the server remembers of it between commands.

use crate::command::session::SessionOp;
use crate::command::table::Run as Runs;
use crate::command::watched::Token;
use crate::command::{Command, Flags};
use crate::protocol::{Input, Reply, Version};

use super::locks::TxId;
use super::message::OwnedRequest;
use super::pubsub::Subscriptions;
use super::run::Run;
use super::shell::{Chunk, ConnId};
use super::tracking::Tracking;

/// Which output limits and which listings a connection falls under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Normal,
    Replica,
    /// Our link to the upstream.
    Upstream,
}

/// CLIENT REPLY.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplyMode {
    On,
    Off,
    /// The next command's reply is dropped.
    SkipNext,
    /// This command's reply is dropped.
    Skip,
}

/// Commands queued by MULTI.
#[derive(Default)]
pub struct Multi {
    pub queued: Vec<OwnedRequest>,
    /// A queued command was refused: EXEC aborts.
    pub failed: bool,
    pub bytes: usize,
}

/// Why a connection's next command is not looked at yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// It is not waiting.
    No,
    /// Its run is being executed on other shards.
    Run,
    /// Its transaction is under way.
    Transaction(TxId),
    /// WATCH waits for the owners' versions.
    Watch { missing: u32 },
    /// It asked every shard something.
    Gather(u64),
    /// The layer above will call `resume_client` (WAIT, PSYNC, REPLICAOF …); CLIENT UNBLOCK may end
    /// it if `unblockable`.
    Upper { unblockable: bool },
    /// A blocking command waits for keys, under this token.
    Blocked(u64),
    /// CLIENT PAUSE holds its next command back.
    Paused,
    /// Other shards have not yet heard of what it subscribes to, or no longer does.
    Subscription,
    /// DEBUG SLEEP, to the given monotonic nanosecond.
    Sleep { until_ns: u64 },
}

/// A connection.
pub struct Client {
    pub conn: ConnId,
    /// CLIENT ID.
    pub id: u64,
    pub class: Class,
    /// `ip:port` of the peer, or the socket's path.
    pub peer: String,
    /// `ip:port` of our side.
    pub local: String,
    /// The peer is on a loopback address or a Unix socket, for protected mode.
    pub is_local: bool,
    pub is_unix: bool,
    pub input: Input,
    /// Output before `reply`: messages that are shared with others, and what came before them.
    pub pieces: Vec<Chunk>,
    pub reply: Reply,
    /// Its output was put on the shard's list of this tick.
    pub output_listed: bool,
    pub db: usize,
    pub authenticated: bool,
    pub name: Vec<u8>,
    pub lib_name: Vec<u8>,
    pub lib_ver: Vec<u8>,
    pub reply_mode: ReplyMode,
    /// A command was begun whose end has not been noted: CLIENT REPLY SKIP counts commands.
    pub in_command: bool,
    pub no_evict: bool,
    pub no_touch: bool,
    pub multi: Option<Multi>,
    pub watched: Vec<(usize, Box<[u8]>, Token)>,
    /// Client-side caching, if it is on.
    pub tracking: Option<Box<Tracking>>,
    /// What it listens to, if to anything.
    pub pubsub: Option<Box<Subscriptions>>,
    pub run: Run,
    pub waiting: Waiting,
    /// A request that has to wait for those before it.
    pub deferred: Option<OwnedRequest>,
    pub closing: bool,
    /// It was closed at once: the shell knows it no more.
    pub dropped: bool,
    /// It is on the list of those whose output is looked at every second.
    pub lingers: bool,
    /// Output in bytes that it had left when that last became less, and when that was, monotonic
    /// nanoseconds. Kept while it lingers.
    pub stalled: (usize, u64),
    /// The peer sends no more; the connection ends when it has its replies.
    pub peer_finished: bool,
    pub created_ns: u64,
    pub last_input_ns: u64,
    pub last_command: Option<&'static Command>,
    /// As CLIENT LIST shows it: the subcommand where there is one.
    pub shown_command: Option<&'static Command>,
    /// Last batches, by shard, that hold this client's writes.
    pub wrote: Vec<(u32, u64)>,
    /// It wrote in the current tick, locally.
    pub wrote_now: bool,
    /// Since when its output has been over the soft limit, monotonic nanoseconds.
    pub soft_limit_since_ns: Option<u64>,
    /// Reading is paused: much was read ahead of a command that waits.
    pub read_paused: bool,
    pub argv_bytes: usize,
    pub total_net_in: u64,
    pub total_net_out: u64,
    pub total_commands: u64,
    /// Port that a replica announced by REPLCONF, and the address.
    pub replica_port: u16,
    pub replica_ip: String,
}

impl Client {
    /// A fresh connection.
    pub fn new(conn: ConnId, id: u64, now_ns: u64) -> Self {
        Client {
            conn,
            id,
            class: Class::Normal,
            peer: String::new(),
            local: String::new(),
            is_local: true,
            is_unix: false,
            input: Input::new(),
            reply: Reply::new(Version::Resp2),
            output_listed: false,
            db: 0,
            authenticated: true,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            reply_mode: ReplyMode::On,
            in_command: false,
            no_evict: false,
            no_touch: false,
            multi: None,
            watched: Vec::new(),
            tracking: None,
            pubsub: None,
            pieces: Vec::new(),
            run: Run::default(),
            waiting: Waiting::No,
            deferred: None,
            closing: false,
            dropped: false,
            lingers: false,
            stalled: (usize::MAX, 0),
            peer_finished: false,
            created_ns: now_ns,
            last_input_ns: now_ns,
            last_command: None,
            shown_command: None,
            wrote: Vec::new(),
            wrote_now: false,
            soft_limit_since_ns: None,
            read_paused: false,
            argv_bytes: 0,
            total_net_in: 0,
            total_net_out: 0,
            total_commands: 0,
            replica_port: 0,
            replica_ip: String::new(),
        }
    }

    /// Whether its next command may be looked at.
    pub fn is_ready(&self) -> bool {
        self.waiting == Waiting::No && !self.closing
    }

    /// Whether it listens to any channel or pattern.
    pub fn is_subscriber(&self) -> bool {
        self.pubsub
            .as_ref()
            .is_some_and(|own| own.counts() != (0, 0, 0))
    }

    /// Whether the keys that `command` reads are remembered for it.
    #[inline]
    pub fn remembers(&self, command: &Command) -> bool {
        (self.tracking.as_ref()).is_some_and(|tracking| tracking.remembers(command))
    }

    /// Whether it is told every command.
    pub fn is_monitor(&self) -> bool {
        self.pubsub.as_ref().is_some_and(|own| own.monitors())
    }

    /// Whether it waits for something that CLIENT LIST and INFO call blocking.
    pub fn is_blocked(&self) -> bool {
        matches!(
            self.waiting,
            Waiting::Upper { unblockable: true } | Waiting::Blocked(_) | Waiting::Paused
        )
    }

    /// Notes the end of the command before, if there was one: CLIENT REPLY SKIP silences the
    /// command after it, however long that takes.
    pub fn end_command(&mut self) {
        if std::mem::take(&mut self.in_command) {
            if let Some(tracking) = &mut self.tracking
                && self.multi.is_none()
                && !(self.shown_command).is_some_and(|c| c.full_name.starts_with("client|"))
            {
                tracking.end_command();
            }
            self.reply_mode = match self.reply_mode {
                ReplyMode::Skip => ReplyMode::On,
                ReplyMode::SkipNext => ReplyMode::Skip,
                unchanged => unchanged,
            };
        }
    }

    /// Whether `command` may make the dataset larger: by itself, or an EXEC of such.
    pub fn may_need_memory(&self, command: &Command) -> bool {
        let mut queued = (self.multi.iter()).flat_map(|multi| &multi.queued);
        command.flags.has(Flags::DENYOOM)
            || (matches!(command.run, Runs::Session(SessionOp::Exec))
                && queued.any(OwnedRequest::may_need_memory))
    }

    /// Bytes that it takes, with `queued` that its peer has not taken yet.
    pub fn memory(&self, queued: usize) -> usize {
        size_of::<Client>()
            + self.input.capacity()
            + self.argv_bytes
            + self.multi.as_ref().map_or(0, |multi| multi.bytes)
            + self.run.bytes()
            + self.reply.len()
            + queued
    }

    /// Remembers that a batch of a shard holds one of its writes.
    pub fn note_write(&mut self, shard: u32, number: u64) {
        match self.wrote.iter_mut().find(|wrote| wrote.0 == shard) {
            Some(wrote) => wrote.1 = wrote.1.max(number),
            None => self.wrote.push((shard, number)),
        }
    }

    /// CLIENT LIST's flags.
    pub fn flag_letters(&self) -> String {
        let mut letters = String::new();
        match self.class {
            Class::Replica => letters.push('S'),
            Class::Upstream => letters.push('M'),
            Class::Normal if self.is_monitor() => letters.push('O'),
            Class::Normal => {}
        }
        if self.is_subscriber() {
            letters.push('P');
        }
        if self.multi.is_some() {
            letters.push('x');
        }
        if self.is_blocked() {
            letters.push('b');
        }
        if let Some(tracking) = &self.tracking {
            letters.push_str(tracking.letters());
        }
        if self.closing {
            letters.push('c');
        }
        if self.is_unix {
            letters.push('U');
        }
        if self.no_evict {
            letters.push('e');
        }
        if self.no_touch {
            letters.push('T');
        }
        if letters.is_empty() {
            letters.push('N');
        }
        letters
    }

    /// Whether CLIENT PAUSE in its write-only form would hold `command` back: a write, or an EXEC
    /// of writes.
    pub fn pause_applies(&self, command: &Command) -> bool {
        const WRITES: Flags = Flags::WRITE.or(Flags::MAY_REPLICATE);
        let mut queued = (self.multi.iter()).flat_map(|multi| &multi.queued);
        command.flags.has(WRITES)
            || (matches!(command.run, Runs::Session(SessionOp::Exec))
                && queued.any(|request| request.command.flags.has(WRITES)))
    }
}
