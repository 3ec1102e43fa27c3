//! Shards driven in one thread by a fake shell and a fake stream: what the shard's tests stand on.
//!
//! A [`World`] has one or several shards and a clock that only moves when told to. Bytes go in with
//! [`World::send`], [`World::run`] ticks every shard until nothing is left to do, and
//! [`World::take`] gives what a connection got.

use std::sync::{Arc, Mutex};

use super::Shard;
use super::connection::Origin;
use super::shared::{Process, ReplicationView, Shared, Stream};
use super::shell::{Chunk, ConnId, Now, Shell, Spool};
use crate::command::effects::Sealed;
use crate::config::{Config, SetContext};
use crate::protocol::encode;

/// Ticks after which a world that still has work is taken for one that never rests.
const TICKS_MAX: usize = 10_000;
/// The clock's start: some moment of 2023.
const START_UNIX_MS: u64 = 1_700_000_000_000;

/// A connection of a world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conn {
    pub shard: usize,
    pub id: ConnId,
}

/// What one shard asked of its shell.
#[derive(Default)]
pub struct FakeShell {
    /// Output per connection slot, not yet taken by the test.
    sent: Vec<Vec<u8>>,
    /// Connections to report as closed before the next tick.
    closing: Vec<ConnId>,
    /// Slots whose reading is paused.
    pub paused: Vec<ConnId>,
    /// Bytes that a peer does not take, per slot, for tests of output limits.
    pub stuck: Vec<usize>,
    /// Configurations to be written.
    pub rewrites: Vec<(u64, Arc<Config>)>,
}

impl Shell for FakeShell {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        let bytes = match chunk {
            Chunk::Vec(vec) => vec,
            Chunk::Bytes(bytes) => bytes.to_vec(),
        };
        let index = conn.index as usize;
        if self.sent.len() <= index {
            self.sent.resize_with(index + 1, Vec::new);
        }
        self.sent[index].extend_from_slice(&bytes);
    }

    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn queued(&self, conn: ConnId) -> usize {
        self.stuck.get(conn.index as usize).copied().unwrap_or(0)
    }

    fn close_after_flush(&mut self, conn: ConnId) {
        self.closing.push(conn);
    }

    fn close_now(&mut self, conn: ConnId) {
        self.closing.push(conn);
    }

    fn pause(&mut self, conn: ConnId) {
        self.paused.push(conn);
    }

    fn resume(&mut self, conn: ConnId) {
        self.paused.retain(|paused| *paused != conn);
    }

    fn resolve(&mut self, _token: u64, _host: &str) {
        unreachable!("shards do not open connections; the layer above does")
    }

    fn connect(&mut self, _address: &str, _port: u16, _source: &str) -> ConnId {
        unreachable!("shards do not open connections; the layer above does")
    }

    fn gather_packets(&mut self, _conn: ConnId, _on: bool) {
        unreachable!("only replicas' packets are gathered")
    }

    fn rewrite(&mut self, token: u64, config: Arc<Config>) {
        self.rewrites.push((token, config));
    }

    fn spool(&mut self, _file: u64, _wish: Spool) {}

    fn wake(&mut self, _shard: usize) {}
}

/// Keeps what was published; shows the view that the test set.
#[derive(Default)]
pub struct FakeStream {
    pub published: Mutex<Vec<(u32, u64, Sealed)>>,
    pub view: Mutex<ReplicationView>,
}

impl Stream for FakeStream {
    fn publish(&self, shard: u32, number: u64, sealed: Sealed) {
        let mut published = self.published.lock().unwrap();
        published.push((shard, number, sealed));
    }

    fn view(&self) -> ReplicationView {
        self.view.lock().unwrap().clone()
    }

    fn held(&self) -> u64 {
        self.view.lock().unwrap().backlog_histlen
    }

    fn acked(&self, batches: &[(u32, u64)]) -> u32 {
        // Offsets of this stream count batches.
        let offset = batches.iter().map(|batch| batch.1).max().unwrap_or(0);
        let view = self.view.lock().unwrap();
        (view.replicas.iter())
            .filter(|replica| replica.offset >= offset)
            .count() as u32
    }
}

/// Shards, their shells and the stream.
pub struct World {
    pub shards: Vec<Shard>,
    pub shells: Vec<FakeShell>,
    pub stream: Arc<FakeStream>,
    pub shared: Arc<Shared>,
    pub now: Now,
    /// Connections that ended, in order.
    pub closed: Vec<Conn>,
    next_slot: Vec<u32>,
}

impl World {
    /// A world with the default configuration.
    pub fn new(shards: usize) -> Self {
        Self::with_config(shards, &[])
    }

    /// A world of one shard whose process has a configuration file.
    pub fn with_file(config_file: &str) -> Self {
        Self::with(1, &[], config_file)
    }

    /// A world with directives as CONFIG SET takes them.
    pub fn with_config(shards: usize, directives: &[(&str, &str)]) -> Self {
        Self::with(shards, directives, "")
    }

    /// A world whose commands are timed by a clock.
    pub fn with_clock(shards: usize, clock: fn() -> u64) -> Self {
        Self::with_process(shards, &[], "", Some(clock))
    }

    fn with(shards: usize, directives: &[(&str, &str)], config_file: &str) -> Self {
        Self::with_process(shards, directives, config_file, None)
    }

    fn with_process(
        shards: usize,
        directives: &[(&str, &str)],
        config_file: &str,
        clock: Option<fn() -> u64>,
    ) -> Self {
        let mut config = Config::default();
        let words: Vec<&[u8]> = (directives.iter())
            .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()])
            .collect();
        config.enable_debug_command = crate::config::ProtectedAction::Yes;
        if !words.is_empty() {
            config.set(&words, SetContext::default()).unwrap();
        }
        let stream = Arc::new(FakeStream::default());
        let process = Process {
            run_id: "0123456789abcdef0123456789abcdef01234567".to_owned(),
            pid: 4711,
            config_file: config_file.to_owned(),
            os: "Linux 6.1.0 x86_64".to_owned(),
            io: "epoll",
            started_unix_ms: START_UNIX_MS,
            seed: [1, 2, 3, 4],
            clock,
            ..Process::default()
        };
        let shared = Arc::new(Shared::new(config, shards, stream.clone(), process));
        let mut all: Vec<Shard> = (0..shards)
            .map(|id| Shard::new(id, shared.clone(), 1000 + id as u64))
            .collect();
        for shard in &mut all {
            shard.effects.set_enabled(true);
        }
        World {
            shards: all,
            shells: (0..shards).map(|_| FakeShell::default()).collect(),
            stream,
            shared,
            now: Now {
                unix_ms: START_UNIX_MS,
                mono_ns: 0,
            },
            closed: Vec::new(),
            next_slot: vec![0; shards],
        }
    }

    /// Opens a connection to a shard, from a loopback address.
    pub fn connect(&mut self, shard: usize) -> Conn {
        let index = self.next_slot[shard];
        self.next_slot[shard] += 1;
        let origin = Origin {
            peer: format!("127.0.0.1:{}", 50000 + 1000 * shard as u32 + index),
            local: "127.0.0.1:6379".to_owned(),
            is_local: true,
            is_unix: false,
        };
        self.connect_from(shard, origin)
    }

    /// Opens a connection in the slot that [`World::connect`] took last, or slot 0.
    fn connect_from(&mut self, shard: usize, origin: Origin) -> Conn {
        let id = ConnId {
            index: self.next_slot[shard] - 1,
            generation: 1,
        };
        let now = self.now;
        self.shards[shard].begin_tick(now);
        self.shards[shard].accepted(&mut self.shells[shard], id, origin);
        Conn { shard, id }
    }

    /// Gives bytes to a connection's shard; nothing runs before [`World::run`].
    pub fn send(&mut self, conn: Conn, bytes: &[u8]) {
        self.shards[conn.shard].received(conn.id, bytes);
    }

    /// The peer goes away.
    pub fn disconnect(&mut self, conn: Conn) {
        self.shards[conn.shard].closed(conn.id);
        self.closed.push(conn);
    }

    /// One tick of one shard. Events for the layer above stay in [`Shard::events`].
    pub fn tick(&mut self, shard: usize) {
        let (now, shell) = (self.now, &mut self.shells[shard]);
        let it = &mut self.shards[shard];
        it.begin_tick(now);
        it.work(shell);
        it.background(shell);
        it.end_tick(shell);
        for id in std::mem::take(&mut self.shells[shard].closing) {
            self.shards[shard].closed(id);
            self.closed.push(Conn { shard, id });
        }
    }

    /// Ticks all shards in turn until none has anything left to do at this moment.
    pub fn run(&mut self) {
        for _ in 0..TICKS_MAX {
            (0..self.shards.len()).for_each(|shard| self.tick(shard));
            let idle = |shard: &Shard| {
                shard.ready.is_empty() && self.shared.mailboxes[shard.id].is_empty()
            };
            if self.shards.iter().all(idle) {
                return;
            }
        }
        panic!("the shards never come to rest");
    }

    /// What a connection got since it was last asked.
    pub fn take(&mut self, conn: Conn) -> Vec<u8> {
        let sent = &mut self.shells[conn.shard].sent;
        let output = sent.get_mut(conn.id.index as usize);
        output.map(std::mem::take).unwrap_or_default()
    }

    /// Sends one command, words divided by blanks, runs the world and gives the reply.
    pub fn call(&mut self, conn: Conn, command: &str) -> Vec<u8> {
        self.send(conn, &request(command));
        self.run();
        self.take(conn)
    }

    /// As [`World::call`], the reply as text with `\r\n` shown as blanks.
    pub fn text(&mut self, conn: Conn, command: &str) -> String {
        let reply = self.call(conn, command);
        let text = String::from_utf8_lossy(&reply).replace("\r\n", " ");
        text.trim_end().to_owned()
    }

    /// As [`World::call`], with arguments that may hold anything.
    pub fn call_args(&mut self, conn: Conn, args: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode::request(&mut bytes, args);
        self.send(conn, &bytes);
        self.run();
        self.take(conn)
    }

    /// Sends several commands at once, one a line, and gives all replies as [`World::text`].
    pub fn pipeline(&mut self, conn: Conn, commands: &str) -> String {
        let lines = commands.lines().map(str::trim);
        let bytes: Vec<u8> = (lines.filter(|line| !line.is_empty()))
            .flat_map(request)
            .collect();
        self.send(conn, &bytes);
        self.run();
        let reply = self.take(conn);
        let text = String::from_utf8_lossy(&reply).replace("\r\n", " ");
        text.trim_end().to_owned()
    }

    /// The configuration was written, or not.
    pub fn rewritten(&mut self, shard: usize, token: u64, result: Result<(), String>) {
        self.shards[shard].rewritten(&mut self.shells[shard], token, result);
        self.run();
    }

    /// Moves the clock on and runs.
    pub fn advance(&mut self, ms: u64) {
        self.now.unix_ms += ms;
        self.now.mono_ns += ms * 1_000_000;
        self.run();
    }

    /// What was published since it was last asked: the shard and its requests, words divided by
    /// blanks and requests by `; `.
    pub fn published(&mut self) -> Vec<(u32, String)> {
        let published = std::mem::take(&mut *self.stream.published.lock().unwrap());
        (published.into_iter())
            .map(|(shard, _, sealed)| (shard, requests_text(&sealed.bytes)))
            .collect()
    }

    /// A key that a shard owns; another for another `n`.
    pub fn key(&self, shard: usize, n: usize) -> String {
        (0..)
            .map(|i| format!("key:{i}"))
            .filter(|key| self.shared.owner(key.as_bytes()) == shard)
            .nth(n)
            .expect("every shard owns keys")
    }
}

/// A command as a client sends it.
pub fn request(command: &str) -> Vec<u8> {
    let words: Vec<&[u8]> = command
        .split_ascii_whitespace()
        .map(str::as_bytes)
        .collect();
    let mut bytes = Vec::new();
    encode::request(&mut bytes, &words);
    bytes
}

fn requests_text(bytes: &[u8]) -> String {
    let mut input = crate::protocol::Input::new();
    input.push(bytes);
    let limits = crate::protocol::Limits::default();
    let mut text = Vec::new();
    while let Some(request) = input.next(&limits).expect("effects are requests") {
        let words: Vec<_> = (request.args.iter())
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        text.push(words.join(" "));
    }
    text.join("; ")
}
