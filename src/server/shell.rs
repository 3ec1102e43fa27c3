//! One shard's core behind the network seam: what the driver calls, and what the core asks of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::helpers::{Helpers, Outcome};
use crate::config::Config;
use crate::net::{self, ConnectOptions, Io, Target, Waker};
use crate::replication::Node;
use crate::shard::connection::Origin;
use crate::shard::shell::{Chunk, ConnId, Now, Shell, Spool};
use crate::shard::{Sleep, shared::Shared};

/// Turns for which a shard offers its core to others, instead of sleeping, while it waits for their
/// answers: a sleep and the wake-up from it cost more than a turn.
const YIELDS_MAX: u32 = 3;

/// A shard's node as the driver's handler.
pub struct Host {
    node: Node,
    shared: Arc<Shared>,
    wakers: Vec<Waker>,
    helpers: Arc<Helpers>,
    /// Connections that the core closed at once: it hears of their end after the tick.
    closed: Vec<net::ConnId>,
    keepalive_s: u32,
    yields_left: u32,
}

impl Host {
    /// `wakers` are those of all shards, in order.
    pub fn new(node: Node, wakers: Vec<Waker>, helpers: Arc<Helpers>) -> Self {
        let shared = node.shard.shared.clone();
        Host {
            node,
            shared,
            wakers,
            helpers,
            closed: Vec::new(),
            keepalive_s: 0,
            yields_left: YIELDS_MAX,
        }
    }

    /// Runs `f` with the core and a shell around `io`.
    fn with<R>(&mut self, io: &mut Io, f: impl FnOnce(&mut Node, &mut dyn Shell) -> R) -> R {
        let mut shell = Outside {
            io,
            wakers: &self.wakers,
            helpers: &self.helpers,
            shard: self.node.shard.id,
            closed: &mut self.closed,
        };
        f(&mut self.node, &mut shell)
    }

    /// Tells the core what its helpers have done.
    fn report_helped(&mut self, io: &mut Io) {
        for outcome in self.helpers.take(self.node.shard.id) {
            self.with(io, |node, shell| match outcome {
                Outcome::Resolved { token, addresses } => node.resolved(shell, token, addresses),
                Outcome::Rewritten { token, result } => node.shard.rewritten(shell, token, result),
                Outcome::Spooled { file, outcome } => node.spooled(shell, file, outcome),
            });
        }
    }

    /// Tells the core of the ends that it brought about itself.
    fn report_closed(&mut self, io: &mut Io) -> bool {
        let any = !self.closed.is_empty();
        for conn in std::mem::take(&mut self.closed) {
            self.with(io, |node, shell| node.closed(shell, inner(conn)));
        }
        any
    }
}

/// The driver's name for a connection, in the core's type.
fn inner(conn: net::ConnId) -> ConnId {
    ConnId {
        index: conn.index,
        generation: conn.generation,
    }
}

fn outer(conn: ConnId) -> net::ConnId {
    net::ConnId {
        index: conn.index,
        generation: conn.generation,
    }
}

impl net::Handler for Host {
    fn accepted(&mut self, io: &mut Io, conn: net::ConnId, peer: net::Peer) {
        let origin = match peer {
            net::Peer::Tcp(remote, local) => Origin {
                peer: remote.to_string(),
                local: local.to_string(),
                is_local: remote.ip().to_canonical().is_loopback(),
                is_unix: false,
            },
            net::Peer::Unix(path) => {
                let path = format!("{}:0", path.display());
                Origin {
                    peer: path.clone(),
                    local: path,
                    is_local: true,
                    is_unix: true,
                }
            }
        };
        self.keepalive_s = self.node.shard.config.tcp_keepalive;
        if !origin.is_unix && self.keepalive_s > 0 {
            // A connection that is already gone tells so by its next event.
            let _ = io.set_keepalive(conn, self.keepalive_s);
        }
        self.with(io, |node, shell| {
            node.shard.accepted(shell, inner(conn), origin)
        });
    }

    fn connected(&mut self, io: &mut Io, conn: net::ConnId, result: std::io::Result<()>) {
        let result = result.map_err(|error| error.to_string());
        self.with(io, |node, shell| node.connected(shell, inner(conn), result));
    }

    fn received(&mut self, io: &mut Io, conn: net::ConnId, data: &[u8]) {
        self.with(io, |node, shell| node.received(shell, inner(conn), data));
    }

    fn sent(&mut self, io: &mut Io, conn: net::ConnId, _bytes: usize) {
        self.with(io, |node, shell| node.sent(shell, inner(conn)));
    }

    fn finished(&mut self, io: &mut Io, conn: net::ConnId) -> bool {
        if !self.node.shard.finished(inner(conn)) {
            // At once: a peer that takes nothing would keep its place.
            io.close_now(conn);
            self.closed.push(conn);
        }
        true
    }

    fn closed(&mut self, io: &mut Io, conn: net::ConnId) {
        self.with(io, |node, shell| node.closed(shell, inner(conn)));
    }

    fn tick(&mut self, io: &mut Io, now: net::Now) -> net::Sleep {
        if self.shared.shutdown.load(Ordering::Acquire) {
            self.wakers.iter().for_each(Waker::wake);
            return net::Sleep::Exit;
        }
        let now = Now {
            unix_ms: now.unix_ms,
            mono_ns: now.mono_ns,
        };
        self.report_helped(io);
        let sleep = self.with(io, |node, shell| node.tick(shell, now));
        if self.report_closed(io) || self.shared.shutdown.load(Ordering::Acquire) {
            return net::Sleep::Poll;
        }
        if sleep != Sleep::Poll && self.yields_left > 0 && self.node.shard.awaits_others() {
            // The others answer within microseconds, unless they wait for this very core.
            self.yields_left -= 1;
            std::thread::yield_now();
            return net::Sleep::Poll;
        }
        self.yields_left = YIELDS_MAX;
        match sleep {
            Sleep::Poll => net::Sleep::Poll,
            Sleep::ForMs(ms) => net::Sleep::For(Duration::from_millis(ms.max(1))),
            Sleep::Exit => net::Sleep::Exit,
        }
    }
}

/// The driver as the core sees it.
struct Outside<'a> {
    io: &'a mut Io,
    wakers: &'a [Waker],
    helpers: &'a Arc<Helpers>,
    shard: usize,
    closed: &'a mut Vec<net::ConnId>,
}

impl Shell for Outside<'_> {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        let chunk = match chunk {
            Chunk::Vec(vec) => net::Chunk::Vec(vec),
            Chunk::Bytes(bytes) => net::Chunk::Bytes(bytes),
        };
        self.io.send(outer(conn), chunk);
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.io.buffer()
    }

    fn queued(&self, conn: ConnId) -> usize {
        self.io.queued(outer(conn))
    }

    fn close_after_flush(&mut self, conn: ConnId) {
        self.io.close_after_flush(outer(conn));
    }

    fn close_now(&mut self, conn: ConnId) {
        self.io.close_now(outer(conn));
        self.closed.push(outer(conn));
    }

    fn pause(&mut self, conn: ConnId) {
        self.io.pause(outer(conn));
    }

    fn resume(&mut self, conn: ConnId) {
        self.io.resume(outer(conn));
    }

    fn resolve(&mut self, token: u64, host: &str) {
        self.helpers.resolve(self.shard, token, host);
    }

    fn connect(&mut self, address: &str, port: u16, source: &str) -> ConnId {
        // What is no address becomes a connection that fails at once.
        let nowhere = IpAddr::from([255, 255, 255, 255]);
        let address = address.parse().unwrap_or(nowhere);
        let options = ConnectOptions {
            source: source.parse().ok(),
        };
        let target = Target::Tcp(SocketAddr::new(address, port));
        inner(self.io.connect(target, options))
    }

    fn gather_packets(&mut self, conn: ConnId, on: bool) {
        // A connection that is already gone tells so by its next event.
        let _ = self.io.set_nodelay(outer(conn), !on);
    }

    fn rewrite(&mut self, token: u64, config: Arc<Config>) {
        self.helpers.rewrite(self.shard, token, config);
    }

    fn spool(&mut self, file: u64, wish: Spool) {
        self.helpers.spool(self.shard, file, wish);
    }

    fn wake(&mut self, shard: usize) {
        self.wakers[shard].wake();
    }
}
