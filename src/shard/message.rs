//! What shards say to each other. All of a tick's messages for one peer travel in one [`Envelope`].

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::command::notify::Notification;
use crate::command::pubsub::{Message, Name, Space};
use crate::command::watched::Token;
use crate::command::{Command, Flags, Part};
use crate::keyspace::Entry;
use crate::protocol::{Args, Span, Version};
use crate::value::HashSeed;

use super::gather::{Answer, Question};
use super::locks::{Mode, TxId};
use super::shell::ConnId;
use super::slow_log::SlowEntry;
use super::tracking::{Changed, Reads, Told};

/// One tick's messages from one shard to another.
#[derive(Default)]
pub struct Envelope {
    /// Sender.
    pub from: u32,
    /// Number of the sender's last published batch: covers every write reported here.
    pub published: u64,
    /// Request bytes and reply bytes that the items refer to.
    pub data: Vec<u8>,
    /// Argument spans within `data`.
    pub spans: Vec<Span>,
    pub items: Vec<Item>,
}

/// An envelope is closed and another begun beyond this many bytes, so that 32-bit offsets reach.
pub const ENVELOPE_BYTES_MAX: usize = 64 << 20;

/// One message.
pub enum Item {
    /// Run a command whose keys all live at the receiver.
    Run(RunItem),
    /// The reply to a [`RunItem`].
    Reply(ReplyItem),
    /// Lock these keys, or the whole shard, and lend their entries.
    Claim { tx: TxId, claim: Box<ClaimRequest> },
    /// The locks are granted; here are the entries.
    Grant { tx: TxId, grant: Box<Grant> },
    /// A younger transaction is in the way, or the claim was withdrawn as asked.
    Refused { tx: TxId },
    /// Forget a claim that has not been granted.
    Withdraw { tx: TxId },
    /// Take the entries back and unlock.
    Release { tx: TxId, release: Box<Release> },
    /// Under a whole-shard lock: lend these entries for one command.
    Fetch { tx: TxId, keys: Box<Keys> },
    /// The entries asked for.
    Fetched {
        tx: TxId,
        entries: Box<Entries>,
        readers: Reads,
    },
    /// Under a whole-shard lock: take entries back, keep the lock.
    Return { tx: TxId, release: Box<Release> },
    /// Under a whole-shard lock: run this shard's part of a command.
    Part {
        tx: TxId,
        request: Box<OwnedRequest>,
    },
    /// The part's result.
    PartDone { tx: TxId, part: Part },
    /// Begin to watch a key.
    Watch {
        conn: ConnId,
        db: usize,
        key: Box<[u8]>,
    },
    /// What to remember of it.
    Watching {
        conn: ConnId,
        db: usize,
        key: Box<[u8]>,
        token: Token,
    },
    /// Stop watching.
    Unwatch { db: usize, key: Box<[u8]> },
    /// A connection of the sender begins to listen to these names, or ends; it waits for the
    /// answer, if it is given.
    Listen {
        conn: Option<ConnId>,
        space: Space,
        on: bool,
        names: Vec<Name>,
    },
    /// The receiver has counted that.
    Listening { conn: ConnId },
    /// A message of a channel that the receiver owns.
    Publish(Message),
    /// A message for the receiver's subscribers of its channel, if `listens`, and of patterns.
    Deliver {
        message: Message,
        listens: bool,
        patterns: Vec<Name>,
    },
    /// About clients that wait for keys.
    Blocking(super::blocking::Message),
    /// A question to every shard.
    Ask { token: u64, question: Box<Question> },
    /// One shard's answer.
    Answer { token: u64, answer: Box<Answer> },
    /// Commands of one of the receiver's connections took long here.
    Slow {
        conn: ConnId,
        entries: Box<Vec<SlowEntry>>,
    },
    /// A command of the upstream's stream, in order.
    Apply(ApplyItem),
    /// The receiver has applied everything up to this number.
    Applied { upto: u64 },
    /// Keys have changed that connections of the receiver had read.
    Invalidate { tail: Bytes, to: Vec<Told> },
    /// An invalidation for the client of this number, instead of the sender's `conn`.
    Redirected { id: u64, tail: Bytes, conn: ConnId },
    /// The receiver's connection redirects to one that is gone.
    RedirectBroken { conn: ConnId },
    /// Keys with a prefix have changed that connections of the receiver asked for.
    Broadcast { prefix: Name, keys: Arc<[Changed]> },
    /// Whole databases were flushed or swapped: connections that track forget all keys.
    ForgetKeys,
    /// For the layer above: replication's own messages.
    Upper(Box<dyn std::any::Any + Send>),
}

/// A single-shard command on its way to its owner.
pub struct RunItem {
    pub conn: ConnId,
    /// The connection's run, and the command's place in it.
    pub run: u32,
    pub index: u32,
    pub db: u32,
    pub version: Version,
    pub no_touch: bool,
    /// The keys that it reads are remembered for its connection.
    pub remembers: bool,
    pub command: &'static Command,
    /// A large request with its bytes, instead of what follows.
    pub own: Option<Box<OwnedRequest>>,
    /// Where the arguments' spans are.
    pub spans: (u32, u32),
    /// Where the verbatim request is; empty if there is none.
    pub verbatim: (u32, u32),
}

/// A reply on its way home.
pub struct ReplyItem {
    pub conn: ConnId,
    pub run: u32,
    pub index: u32,
    /// A large reply, instead of `range`.
    pub own: Option<Vec<u8>>,
    /// The command changed something: WAIT must cover the sender's batch.
    pub wrote: bool,
    pub failed: bool,
    /// The reply was longer than the client's output limit, and is not whole.
    pub overrun: bool,
    pub range: (u32, u32),
}

/// A command of the upstream's stream.
pub struct ApplyItem {
    pub db: u32,
    pub number: u64,
    pub command: &'static Command,
    pub spans: (u32, u32),
}

/// A key by value: most are short enough to lie in it.
pub type KeyBytes = SmallVec<[u8; 24]>;

/// One key of a transaction.
#[derive(Clone, Debug)]
pub struct KeyRef {
    pub db: usize,
    pub key: KeyBytes,
    /// The key's hash, which is that of the keyspace and the name of its lock.
    pub hash: u64,
    pub mode: Mode,
}

impl KeyRef {
    /// A key, copied.
    pub fn new(db: usize, key: &[u8], mode: Mode, seed: HashSeed) -> Self {
        KeyRef {
            db,
            key: KeyBytes::from_slice(key),
            hash: seed.hash(key),
            mode,
        }
    }

    /// This key's entry, to be given back.
    pub fn lent(&self, entry: Entry) -> Lent {
        Lent {
            db: self.db,
            hash: self.hash,
            entry,
        }
    }
}

/// The keys that a transaction has on one shard: in general a few.
pub type Keys = SmallVec<[KeyRef; 4]>;
/// Their entries.
pub type Entries = SmallVec<[Option<Entry>; 4]>;

/// What a transaction wants of one shard.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "it is always boxed")]
pub enum ClaimRequest {
    Keys {
        keys: Keys,
        watched: Vec<(usize, Box<[u8]>, Token)>,
        /// Channels that it speaks on: locked, so that their order is that of the stream.
        channels: Vec<(Space, Name)>,
        now_ms: u64,
    },
    Whole {
        mode: Mode,
        watched: Vec<(usize, Box<[u8]>, Token)>,
        channels: Vec<(Space, Name)>,
        now_ms: u64,
    },
}

/// What a shard lends.
pub struct Grant {
    /// In the order of the claim's keys.
    pub entries: Entries,
    /// Which of them are copies: the owner has kept its own.
    pub copied: SmallVec<[bool; 16]>,
    /// A watched key has changed.
    pub dirty: bool,
    /// Numbers of receivers of the claim's channels, in their order.
    pub receivers: Vec<u64>,
    /// Who has read the keys that are lent to nobody else.
    pub readers: Reads,
}

/// An entry on its way back.
pub struct Lent {
    pub db: usize,
    /// Its key's.
    pub hash: u64,
    pub entry: Entry,
}

/// What a shard gets back.
#[derive(Default)]
pub struct Release {
    pub entries: SmallVec<[Lent; 4]>,
    /// Keys that the transaction changed, for their watchers.
    pub touched: Vec<(usize, Box<[u8]>)>,
    /// Events of keys of the receiver, told before it unlocks them.
    pub events: Vec<Notification>,
    /// Keys whose copy expired at the home, which has propagated the deletion.
    pub expired: Vec<(usize, Box<[u8]>)>,
    /// Readers that were lent, less those that were told, with those that the transaction adds.
    pub readers: Reads,
}

/// From this many bytes a request or a reply moves between shards with its buffer instead of being
/// copied from one to the next.
pub const LARGE_BYTES_MIN: usize = 64 << 10;

/// Where a request's arguments are in its bytes.
pub type Spans = SmallVec<[Span; 4]>;

/// The bytes of a request.
#[derive(Clone)]
pub enum Data {
    Own(Vec<u8>),
    /// Of a large one, which is not copied.
    Shared(Bytes),
}

impl Data {
    fn bytes(&self) -> &[u8] {
        match self {
            Data::Own(data) => data,
            Data::Shared(data) => data,
        }
    }
}

impl RunItem {
    /// The arguments; `data` and `spans` are its envelope's.
    pub fn args<'a>(&'a self, data: &'a [u8], spans: &'a [Span]) -> Args<'a> {
        match &self.own {
            Some(request) => request.args(),
            None => Args::new(
                data,
                &spans[self.spans.0 as usize..][..self.spans.1 as usize],
            ),
        }
    }

    /// The canonical bytes, if they are at hand.
    pub fn raw<'a>(&'a self, data: &'a [u8]) -> Option<&'a [u8]> {
        let (start, len) = self.verbatim;
        match &self.own {
            Some(request) => request.raw(),
            None => (len > 0).then(|| &data[start as usize..][..len as usize]),
        }
    }
}

/// A request that outlives the input buffer that it came in.
#[derive(Clone)]
pub struct OwnedRequest {
    pub command: &'static Command,
    pub db: usize,
    pub data: Data,
    pub spans: Spans,
    /// `data` is the canonical request.
    pub verbatim: bool,
    /// The shard of all its keys, where that is known.
    pub owner: Option<u32>,
}

/// A large request, whose bytes whoever keeps it shares.
pub struct Held {
    pub data: Bytes,
    pub spans: Spans,
    /// `data` is the canonical request.
    pub canonical: bool,
}

impl OwnedRequest {
    /// Copies a request.
    pub fn new(command: &'static Command, db: usize, args: Args<'_>, raw: Option<&[u8]>) -> Self {
        let mut data = Vec::new();
        let mut spans = Spans::with_capacity(args.len());
        append_request(&mut data, &mut spans, args, raw);
        OwnedRequest {
            command,
            db,
            data: Data::Own(data),
            spans,
            verbatim: raw.is_some(),
            owner: None,
        }
    }

    /// A request whose bytes are shared.
    pub fn shared(command: &'static Command, db: usize, held: &Held) -> Self {
        OwnedRequest {
            command,
            db,
            data: Data::Shared(held.data.clone()),
            spans: held.spans.clone(),
            verbatim: held.canonical,
            owner: None,
        }
    }

    /// The same command with other arguments, of which the first is its name.
    pub fn with_args(&self, args: &[Vec<u8>]) -> Self {
        let (mut data, mut spans) = (Vec::new(), Spans::with_capacity(args.len()));
        for arg in args {
            spans.push(Span {
                start: data.len() as u32,
                len: arg.len() as u32,
            });
            data.extend_from_slice(arg);
        }
        OwnedRequest {
            command: self.command,
            db: self.db,
            data: Data::Own(data),
            spans,
            verbatim: false,
            owner: None,
        }
    }

    /// Bytes of the request itself.
    pub fn len(&self) -> usize {
        self.data.bytes().len()
    }

    /// Whether it has no bytes: all its arguments are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes to be kept once more, if they are shared.
    pub fn held(&self) -> Option<Held> {
        let Data::Shared(data) = &self.data else {
            return None;
        };
        Some(Held {
            data: data.clone(),
            spans: self.spans.clone(),
            canonical: self.verbatim,
        })
    }

    /// Whether the command may make the dataset larger: refused when memory is out.
    pub fn may_need_memory(&self) -> bool {
        self.command.flags.has(Flags::DENYOOM)
    }

    /// Bytes of memory that it holds.
    pub fn memory(&self) -> usize {
        let spans = match self.spans.spilled() {
            true => self.spans.capacity() * size_of::<Span>(),
            false => 0,
        };
        size_of::<Self>() + self.len() + spans
    }

    /// Its arguments.
    pub fn args(&self) -> Args<'_> {
        Args::new(self.data.bytes(), &self.spans)
    }

    /// Its canonical bytes, if they are at hand.
    pub fn raw(&self) -> Option<&[u8]> {
        self.verbatim.then_some(self.data.bytes())
    }
}

/// Appends a request's bytes to `data` and its spans, relative to `data`, to `spans`.
pub fn append_request(
    data: &mut Vec<u8>,
    spans: &mut impl Extend<Span>,
    args: Args<'_>,
    raw: Option<&[u8]>,
) {
    let base = data.len();
    match raw {
        Some(raw) => {
            data.extend_from_slice(raw);
            let origin = raw.as_ptr() as usize;
            // Every argument lies within the verbatim bytes.
            spans.extend(args.iter().map(|arg| Span {
                start: (base + (arg.as_ptr() as usize - origin)) as u32,
                len: arg.len() as u32,
            }));
        }
        None => {
            spans.extend(args.iter().map(|arg| {
                let start = data.len() as u32;
                data.extend_from_slice(arg);
                Span {
                    start,
                    len: arg.len() as u32,
                }
            }));
        }
    }
}
