//! The connection slots that both drivers share, and the handler's side of them.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use bytes::Bytes;

use super::seam::{ConnId, ConnectOptions, Handler, Peer, Target};
use super::socket;

/// A send of at most this many bytes does not wake the driver by its completion: its `sent` comes
/// with the next wake-up. A feeder that waits for `sent` must therefore keep more than this many
/// bytes queued.
pub const QUIET_SEND_MAX: usize = 16 * 1024;

/// Chunks that one send takes from a connection's queue.
pub(super) const CHUNKS_MAX: usize = 64;
/// A recycled buffer above this capacity is dropped.
const RECYCLE_LEN_MAX: usize = 64 * 1024;
/// Buffers kept for reuse.
const RECYCLE_COUNT_MAX: usize = 1024;
/// A chunk up to this length is copied behind the one before it, if that one has room and is not in
/// the kernel: cheaper than one more segment in the send.
const COALESCE_LEN_MAX: usize = 4096;

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// A buffer of this connection, recycled after it was sent.
    Vec(Vec<u8>),
    /// A reference to shared bytes.
    Bytes(Bytes),
}

impl Chunk {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Chunk::Vec(bytes) => bytes,
            Chunk::Bytes(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Self {
        Chunk::Vec(bytes)
    }
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Chunk::Bytes(bytes)
    }
}

/// The life of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Free,
    /// An outgoing connection that is not yet connected.
    Connecting,
    Open,
    /// No more input; ends once all output is with the kernel.
    Flushing,
    /// Dead for the handler; waits for its operations to leave the kernel.
    Closing,
}

/// An outgoing connection to be started.
pub(super) struct Dial {
    pub(super) target: Target,
    pub(super) options: ConnectOptions,
}

/// One connection. Which of the flags are used depends on the driver.
pub(super) struct Slot {
    pub(super) generation: u32,
    pub(super) phase: Phase,
    pub(super) fd: Option<OwnedFd>,
    /// Counted in the balance of the shards: an accepted connection.
    pub(super) counted: bool,
    dirty: bool,
    attention: bool,
    pub(super) paused: bool,
    /// The peer ended its half.
    pub(super) eof: bool,
    /// The handler was told so.
    pub(super) eof_told: bool,
    /// The socket's send buffer was full at the last attempt.
    pub(super) blocked: bool,
    /// io_uring: a multishot receive is in the kernel.
    pub(super) recv_armed: bool,
    /// io_uring: and was asked to stop.
    pub(super) recv_stopping: bool,
    /// io_uring: the send in the kernel completes only if it fails.
    pub(super) quiet: bool,
    /// io_uring: all operations were asked to stop.
    pub(super) stopping: bool,
    /// io_uring: operations in the kernel.
    pub(super) ops: u32,
    /// epoll: the events asked for.
    pub(super) interest: u32,
    /// Chunks at the head of `out` that the kernel may be reading.
    pub(super) pinned: usize,
    /// Bytes of the first chunk that are sent already.
    head_sent: usize,
    queued: usize,
    out: VecDeque<Chunk>,
    /// Input that came while paused.
    pub(super) stash: Vec<u8>,
    pub(super) dial: Option<Box<Dial>>,
    /// Why the connection could not be started, or (epoll) broke after the tick.
    pub(super) failure: Option<io::Error>,
}

impl Slot {
    fn new() -> Self {
        Slot {
            generation: 0,
            phase: Phase::Free,
            fd: None,
            counted: false,
            dirty: false,
            attention: false,
            paused: false,
            eof: false,
            eof_told: false,
            blocked: false,
            recv_armed: false,
            recv_stopping: false,
            quiet: false,
            stopping: false,
            ops: 0,
            interest: 0,
            pinned: 0,
            head_sent: 0,
            queued: 0,
            out: VecDeque::new(),
            stash: Vec::new(),
            dial: None,
            failure: None,
        }
    }

    /// The descriptor, or -1, which every call refuses.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.fd.as_ref().map_or(-1, |fd| fd.as_raw_fd())
    }

    pub(super) fn drained(&self) -> bool {
        self.out.is_empty()
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// The handler can still use the connection.
    pub(super) fn alive(&self) -> bool {
        matches!(
            self.phase,
            Phase::Connecting | Phase::Open | Phase::Flushing
        )
    }

    /// The unsent bytes of up to [`CHUNKS_MAX`] chunks, in order.
    pub(super) fn unsent(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.out
            .iter()
            .take(CHUNKS_MAX)
            .enumerate()
            .map(|(i, chunk)| match i {
                0 => &chunk.as_slice()[self.head_sent..],
                _ => chunk.as_slice(),
            })
    }

    /// The handler must be called about this slot without waiting for an event.
    pub(super) fn due(&self) -> bool {
        match self.phase {
            Phase::Connecting => self.failure.is_some(),
            Phase::Open | Phase::Flushing if self.failure.is_some() => true,
            Phase::Open if self.paused => false,
            Phase::Open => !self.stash.is_empty() || (self.eof && !self.eof_told),
            Phase::Flushing => self.drained(),
            Phase::Free | Phase::Closing => false,
        }
    }
}

/// What the handler may ask of the shell. All calls only queue; the driver acts after the tick.
/// Calls about a dead connection do nothing.
pub struct Io {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slots that the driver must look at after the tick.
    pub(super) dirty: Vec<u32>,
    /// Slots for which the handler must be called in the next turn.
    pub(super) attention: Vec<u32>,
    buffers: Vec<Vec<u8>>,
}

impl Io {
    pub(super) fn new() -> Self {
        Io {
            slots: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            attention: Vec::new(),
            buffers: Vec::new(),
        }
    }

    /// An empty buffer for output, recycled if possible. Give it back by sending it.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    /// Gives back a buffer that is not sent after all.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        let worth_it = buffer.capacity() != 0 && buffer.capacity() <= RECYCLE_LEN_MAX;
        if worth_it && self.buffers.len() < RECYCLE_COUNT_MAX {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    /// Appends to the connection's output. Never refuses: the handler limits output by
    /// [`queued`](Self::queued).
    pub fn send(&mut self, conn: ConnId, chunk: impl Into<Chunk>) {
        let mut chunk = chunk.into();
        let len = chunk.as_slice().len();
        let spare = match self.live(conn) {
            Some(slot) if len != 0 && slot.phase != Phase::Flushing => {
                slot.queued += len;
                let pinned = slot.pinned;
                let behind = slot.out.len() > pinned && len <= COALESCE_LEN_MAX;
                match (slot.out.back_mut().filter(|_| behind), &mut chunk) {
                    (Some(Chunk::Vec(last)), Chunk::Vec(more))
                        if last.capacity() - last.len() >= len =>
                    {
                        last.extend_from_slice(more);
                        Some(chunk)
                    }
                    _ => {
                        slot.out.push_back(chunk);
                        self.touch(conn.index);
                        None
                    }
                }
            }
            _ => Some(chunk),
        };
        if let Some(Chunk::Vec(buffer)) = spare {
            self.recycle(buffer);
        }
    }

    /// Bytes that are queued and not yet taken by the kernel; 0 for a dead connection.
    pub fn queued(&self, conn: ConnId) -> usize {
        self.slots
            .get(conn.index as usize)
            .filter(|slot| slot.generation == conn.generation && slot.alive())
            .map_or(0, |slot| slot.queued)
    }

    /// Ends the connection and drops its output. The id is dead at once; no callback follows.
    pub fn close_now(&mut self, conn: ConnId) {
        if let Some(slot) = self.live(conn) {
            slot.phase = Phase::Closing;
            self.touch(conn.index);
        }
    }

    /// Takes no more input and no more output, and ends the connection once its queue is with the
    /// kernel. Then [`Handler::closed`](super::Handler::closed) follows; until then the peer may
    /// stall, so the handler should keep a deadline.
    pub fn close_after_flush(&mut self, conn: ConnId) {
        if let Some(slot) = self.live(conn) {
            if slot.phase == Phase::Connecting {
                slot.phase = Phase::Closing;
            } else {
                slot.phase = Phase::Flushing;
            }
            self.touch(conn.index);
        }
    }

    /// Stops receiving, so that TCP slows the peer down. Bytes that are on their way are kept and
    /// delivered after [`resume`](Self::resume).
    pub fn pause(&mut self, conn: ConnId) {
        if let Some(slot) = self.live(conn).filter(|slot| !slot.paused) {
            slot.paused = true;
            self.touch(conn.index);
        }
    }

    /// Receives again.
    pub fn resume(&mut self, conn: ConnId) {
        if let Some(slot) = self.live(conn).filter(|slot| slot.paused) {
            slot.paused = false;
            self.touch(conn.index);
        }
    }

    /// Starts an outgoing connection; [`Handler::connected`](super::Handler::connected) tells how
    /// it went. It has no time limit but the kernel's: the handler closes it when its patience
    /// ends.
    pub fn connect(&mut self, target: Target, options: ConnectOptions) -> ConnId {
        let conn = self.open(None, Phase::Connecting);
        self.slots[conn.index as usize].dial = Some(Box::new(Dial { target, options }));
        self.touch(conn.index);
        conn
    }

    /// Sends TCP keep-alive probes after `seconds` of silence; 0 turns them off.
    ///
    /// # Errors
    /// `NotConnected` for a dead connection, otherwise the system's.
    pub fn set_keepalive(&mut self, conn: ConnId, seconds: u32) -> io::Result<()> {
        let fd = self.live(conn).and_then(|slot| slot.fd.as_ref());
        socket::set_keepalive(fd.ok_or(io::ErrorKind::NotConnected)?.as_fd(), seconds)
    }

    /// Sends small packets at once, or lets the kernel gather them. Nothing for a Unix socket.
    ///
    /// # Errors
    /// `NotConnected` for a dead connection, otherwise the system's.
    pub fn set_nodelay(&mut self, conn: ConnId, on: bool) -> io::Result<()> {
        let fd = self.live(conn).and_then(|slot| slot.fd.as_ref());
        socket::set_nodelay(fd.ok_or(io::ErrorKind::NotConnected)?.as_fd(), on)
    }

    /// Both ends of a connection.
    ///
    /// # Errors
    /// `NotConnected` for a dead connection, otherwise the system's.
    pub fn peer(&mut self, conn: ConnId) -> io::Result<Peer> {
        let fd = self.live(conn).and_then(|slot| slot.fd.as_ref());
        socket::peer(fd.ok_or(io::ErrorKind::NotConnected)?.as_fd())
    }

    /// Connections that have a slot, dying ones included.
    pub fn connections(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn live(&mut self, conn: ConnId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(conn.index as usize)?;
        (slot.generation == conn.generation && slot.alive()).then_some(slot)
    }

    // What follows is the drivers' side.

    pub(super) fn open(&mut self, fd: Option<OwnedFd>, phase: Phase) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::new());
            u32::try_from(self.slots.len() - 1).expect("descriptors are fewer than 2^31")
        });
        let slot = &mut self.slots[index as usize];
        assert!(slot.phase == Phase::Free && slot.ops == 0 && slot.fd.is_none());
        slot.phase = phase;
        slot.fd = fd;
        let generation = slot.generation;
        self.touch(index);
        ConnId { index, generation }
    }

    /// Frees a slot whose operations have all left the kernel; closes its descriptor.
    pub(super) fn release(&mut self, index: u32) {
        let mut slot = std::mem::replace(&mut self.slots[index as usize], Slot::new());
        assert!(slot.phase == Phase::Closing && slot.ops == 0);
        let fresh = &mut self.slots[index as usize];
        fresh.generation = slot.generation.wrapping_add(1);
        // The slot may still be in the lists.
        fresh.dirty = slot.dirty;
        fresh.attention = slot.attention;
        self.free.push(index);
        let out = std::mem::take(&mut slot.out);
        for chunk in out {
            if let Chunk::Vec(buffer) = chunk {
                self.recycle(buffer);
            }
        }
    }

    pub(super) fn slot(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }

    pub(super) fn slot_count(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(super) fn id(&self, index: u32) -> ConnId {
        ConnId {
            index,
            generation: self.slots[index as usize].generation,
        }
    }

    /// Asks for [`Slot`]'s state to be turned into operations after the tick.
    pub(super) fn touch(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(index);
        }
    }

    /// Asks for the handler to be called in the next turn.
    pub(super) fn attend(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        if !slot.attention {
            slot.attention = true;
            self.attention.push(index);
        }
    }

    pub(super) fn clear_dirty(&mut self, index: u32) {
        self.slots[index as usize].dirty = false;
    }

    pub(super) fn clear_attention(&mut self, index: u32) {
        self.slots[index as usize].attention = false;
    }

    /// The kernel took `bytes` of the head of the queue.
    pub(super) fn advance(&mut self, index: u32, bytes: usize) {
        let Io { slots, buffers, .. } = self;
        let slot = &mut slots[index as usize];
        slot.pinned = 0;
        slot.queued = slot
            .queued
            .checked_sub(bytes)
            .expect("the kernel takes what is queued");
        let mut sent = slot.head_sent + bytes;
        while let Some(len) = slot.out.front().map(|chunk| chunk.as_slice().len()) {
            if sent < len {
                break;
            }
            sent -= len;
            if let Some(Chunk::Vec(mut buffer)) = slot.out.pop_front()
                && buffer.capacity() <= RECYCLE_LEN_MAX
                && buffers.len() < RECYCLE_COUNT_MAX
            {
                buffer.clear();
                buffers.push(buffer);
            }
        }
        slot.head_sent = sent;
    }
}

/// Gives input to the handler, or keeps it while the connection is paused.
pub(super) fn deliver(io: &mut Io, handler: &mut impl Handler, index: u32, data: &[u8]) {
    let slot = io.slot(index);
    if slot.phase != Phase::Open {
        return;
    }
    if slot.paused || !slot.stash.is_empty() {
        slot.stash.extend_from_slice(data);
        io.touch(index);
        return;
    }
    let conn = io.id(index);
    handler.received(io, conn, data);
}

/// Calls the handler for what needs no event of the kernel: see [`Slot::due`].
pub(super) fn attend(io: &mut Io, handler: &mut impl Handler, index: u32) {
    let conn = io.id(index);
    let slot = io.slot(index);
    if !slot.due() {
        return;
    }
    match slot.phase {
        Phase::Connecting => {
            let failure = slot
                .failure
                .take()
                .unwrap_or_else(|| io::ErrorKind::Other.into());
            connected(io, handler, index, Err(failure));
        }
        _ if slot.failure.is_some() => end(io, handler, index),
        Phase::Open if !slot.stash.is_empty() => {
            let stash = std::mem::take(&mut slot.stash);
            io.touch(index);
            handler.received(io, conn, &stash);
        }
        Phase::Open => {
            slot.eof_told = true;
            if !handler.finished(io, conn) {
                io.close_after_flush(conn);
            }
        }
        Phase::Flushing => end(io, handler, index),
        Phase::Free | Phase::Closing => {}
    }
}

/// The outcome of an outgoing connection.
pub(super) fn connected(
    io: &mut Io,
    handler: &mut impl Handler,
    index: u32,
    outcome: io::Result<()>,
) {
    let conn = io.id(index);
    let slot = io.slot(index);
    let waited_for = slot.phase == Phase::Connecting;
    if waited_for {
        slot.phase = if outcome.is_ok() {
            Phase::Open
        } else {
            Phase::Closing
        };
    }
    io.touch(index);
    if waited_for {
        handler.connected(io, conn, outcome);
    }
}

/// Ends a connection from below: by error, by the peer, or flushed.
pub(super) fn end(io: &mut Io, handler: &mut impl Handler, index: u32) {
    let conn = io.id(index);
    let slot = io.slot(index);
    if !slot.alive() {
        return;
    }
    slot.phase = Phase::Closing;
    io.touch(index);
    handler.closed(io, conn);
}
