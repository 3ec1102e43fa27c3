//! What the core and the drivers say to each other.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::balance::Balance;
use super::io::Io;

/// One connection of one driver. The index is dense (fit for a `Vec`), the generation tells apart
/// the connections that used the same index one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnId {
    /// Position in the driver's slots; reused.
    pub index: u32,
    /// Counts the uses of the index.
    pub generation: u32,
}

/// Who is at the other end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peer {
    /// Remote and local address.
    Tcp(SocketAddr, SocketAddr),
    /// The path of the listening socket; empty if it has none.
    Unix(PathBuf),
}

/// Where an outgoing connection goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A Unix stream socket.
    Unix(PathBuf),
}

/// Options of an outgoing connection.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Source address (`bind-source-addr`); the kernel's choice if `None`. TCP only.
    pub source: Option<IpAddr>,
}

/// Which driver runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoKind {
    /// io_uring with multishot receives from a provided-buffer ring; Linux 6.0 or later.
    Uring,
    /// epoll.
    Epoll,
}

/// The clocks, read once per tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// Wall clock, milliseconds since 1970.
    pub unix_ms: u64,
    /// Monotonic clock, nanoseconds since an arbitrary start.
    pub mono_ns: u64,
}

/// What the driver does after a tick, if nothing else is pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sleep {
    /// Come back at once.
    Poll,
    /// Come back after this time at the latest.
    For(Duration),
    /// Come back when a completion or a wake-up arrives.
    Forever,
    /// Leave [`run`](super::run). What was queued is offered to the kernel once more; the rest is
    /// dropped.
    Exit,
}

/// The core behind the seam: one per shard thread. No call may block.
pub trait Handler {
    /// A new client, which already has its slot.
    fn accepted(&mut self, io: &mut Io, conn: ConnId, peer: Peer);
    /// An outgoing connection was made or failed; after a failure the id is dead.
    fn connected(&mut self, io: &mut Io, conn: ConnId, result: io::Result<()>);
    /// Bytes from the peer, in order, never empty. The slice is only lent.
    fn received(&mut self, io: &mut Io, conn: ConnId, data: &[u8]);
    /// The kernel took `bytes` of the connection's output. Sends of at most
    /// [`QUIET_SEND_MAX`](super::QUIET_SEND_MAX) bytes are reported with the next wake-up, whatever
    /// causes it; longer ones wake the driver.
    fn sent(&mut self, io: &mut Io, conn: ConnId, bytes: usize);
    /// The peer ended its half of the connection, all its bytes were delivered, and at least one
    /// tick has passed. `false` ends the connection as [`Io::close_after_flush`] does; `true` keeps
    /// it for replies that are still to come, until the handler closes it.
    fn finished(&mut self, _io: &mut Io, _conn: ConnId) -> bool {
        false
    }
    /// The connection ended: by the peer, by an error or after [`Io::close_after_flush`]. Not
    /// called after [`Io::close_now`]. The id is dead.
    fn closed(&mut self, io: &mut Io, conn: ConnId);
    /// Called once per wake-up, after all its completions were delivered.
    fn tick(&mut self, io: &mut Io, now: Now) -> Sleep;
}

/// The sockets on which one shard accepts; empty on all shards but the accepting one.
#[derive(Default)]
pub struct Listeners {
    /// TCP listeners, IPv4 and IPv6.
    pub tcp: Vec<TcpListener>,
    /// The listener of `unixsocket`.
    pub unix: Option<UnixListener>,
}

/// Sizes and surroundings of one driver.
#[derive(Clone)]
pub struct DriverConfig {
    /// This driver's position in `balance`.
    pub shard: usize,
    /// Where accepted connections are spread over the shards.
    pub balance: Arc<Balance>,
    /// Entries of the submission queue; rounded up to a power of two. The completion queue is eight
    /// times as long.
    pub queue_entries: u32,
    /// Receive buffers lent to the kernel; rounded up to a power of two, at most 32,768.
    pub recv_buffers: u16,
    /// Bytes of each receive buffer, and of epoll's only one.
    pub recv_buffer_len: u32,
    /// Pause after the process ran out of descriptors or memory while accepting.
    pub accept_backoff: Duration,
}

impl DriverConfig {
    /// The sizes for production.
    pub fn new(shard: usize, balance: Arc<Balance>) -> Self {
        DriverConfig {
            shard,
            balance,
            queue_entries: 1024,
            recv_buffers: 256,
            recv_buffer_len: 16 * 1024,
            accept_backoff: Duration::from_millis(100),
        }
    }
}
