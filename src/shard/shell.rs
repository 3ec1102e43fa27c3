//! What the core asks of whatever drives it: the network shell in production, the simulator in
//! tests.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::Config;

/// A connection's slot in its shell, and which use of the slot it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ConnId {
    pub index: u32,
    pub generation: u32,
}

/// Output on its way to a peer.
#[derive(Debug)]
pub enum Chunk {
    /// Bytes of this connection alone.
    Vec(Vec<u8>),
    /// Shared bytes: the merged stream, a snapshot fragment.
    Bytes(Bytes),
}

impl Chunk {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Chunk::Vec(vec) => vec.len(),
            Chunk::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is to be done with a spool file: a nameless file in the working directory, which holds what
/// is too much for memory and ends with the process at the latest. The core names it by a number.
/// Wishes are carried out one after the other, in the order in which they were made.
///
/// Two kinds have names: one that is to stay ([`Spool::CreateAt`], [`Spool::Keep`]) and one that
/// was there before ([`Spool::Open`]).
#[derive(Debug)]
pub enum Spool {
    /// Makes it, empty. No outcome is told: the first append tells a failure.
    Create,
    /// Makes it, empty, with this path until it is kept under another. No outcome is told.
    CreateAt(PathBuf),
    /// Opens what is there, to be read only.
    Open(PathBuf),
    /// Appends.
    Append(Vec<Bytes>),
    /// Reads `len` bytes from `offset` on, all of which were appended before.
    Read { offset: u64, len: usize },
    /// Puts what was made by [`Spool::CreateAt`] in the place of this path, once all of it is on
    /// the disk: whatever happens, the path names either the old file or the whole new one.
    Keep(PathBuf),
    /// Gives it up, with the name that [`Spool::CreateAt`] gave it. No outcome is told. A file that
    /// was opened stays where it is.
    Remove,
}

/// What became of a [`Spool`] that has an outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spooled {
    /// It is open and has so many bytes.
    Opened(u64),
    /// It is kept.
    Kept,
    /// So many bytes are in the file now, in addition.
    Appended(u64),
    Read(Bytes),
    /// The file is of no more use; why, for people.
    Failed(String),
}

/// The outside world, as the core sees it. Nothing here fails: failures come back as events.
pub trait Shell {
    /// Queues output; the shell sends it after the tick.
    fn send(&mut self, conn: ConnId, chunk: Chunk);
    /// An empty buffer, recycled where possible.
    fn buffer(&mut self) -> Vec<u8>;
    /// Bytes queued for a connection and not yet taken by the peer.
    fn queued(&self, conn: ConnId) -> usize;
    /// Closes once everything queued is sent.
    fn close_after_flush(&mut self, conn: ConnId);
    /// Closes at once, dropping what is queued.
    fn close_now(&mut self, conn: ConnId);
    /// Stops reading from a connection: backpressure through the transport.
    fn pause(&mut self, conn: ConnId);
    /// Reads again.
    fn resume(&mut self, conn: ConnId);
    /// Finds the addresses of a host, however long that takes; `resolved` tells them.
    fn resolve(&mut self, token: u64, host: &str);
    /// Opens a connection to a numeric address, from the address `source` unless that is empty;
    /// `connected` or `closed` tells how it went.
    fn connect(&mut self, address: &str, port: u16, source: &str) -> ConnId;
    /// Lets the kernel gather small packets of a connection (`on`), or not.
    fn gather_packets(&mut self, conn: ConnId, on: bool);
    /// Writes the configuration to its file, however long that takes; `rewritten` tells how it
    /// went.
    fn rewrite(&mut self, token: u64, config: Arc<Config>);
    /// Does something with a spool file, however long that takes; `spooled` tells how it went.
    fn spool(&mut self, file: u64, wish: Spool);
    /// Wakes another shard's shell if it sleeps.
    fn wake(&mut self, shard: usize);
}

/// Time as an input, read once a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, milliseconds since 1970.
    pub unix_ms: u64,
    /// Monotonic clock, nanoseconds from an arbitrary start.
    pub mono_ns: u64,
}
