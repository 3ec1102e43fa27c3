//! The epoll driver: the same seam where io_uring is not to be had.
//!
//! Level-triggered. A connection is in the epoll set only while something is wanted of it, so a
//! paused connection whose peer hangs up neither spins nor loses bytes. Output is written after the
//! tick, in the kernel's order of connections that changed; only what does not fit waits for
//! EPOLLOUT.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::io::{CHUNKS_MAX, Io, Phase, QUIET_SEND_MAX};
use super::seam::{ConnId, DriverConfig, Handler, Listeners, Peer, Sleep};
use super::socket::{self, AcceptFailure};
use super::waker::Sleeper;

/// Events taken per turn.
const EVENTS_MAX: usize = 512;
/// Reads of one connection per turn, so that one fast peer does not starve the others.
const READS_MAX: u32 = 4;
/// Connections accepted per listener and turn.
const ACCEPTS_MAX: u32 = 64;

const READ: u32 = libc::EPOLLIN as u32;
const WRITE: u32 = libc::EPOLLOUT as u32;

/// Event data: a connection's index above its generation. These indexes belong to no connection.
const WAKER_INDEX: u32 = u32::MAX;
const LISTENERS_INDEX: u32 = 0xffff_ff00;

struct Accepting {
    listener: OwnedFd,
    /// Out of the epoll set until then.
    retry_at: Option<Instant>,
}

/// See the module's page.
pub(super) struct Driver {
    epoll: OwnedFd,
    io: Io,
    config: DriverConfig,
    sleeper: Sleeper,
    accepting: Vec<Accepting>,
    events: Vec<libc::epoll_event>,
    buffer: Vec<u8>,
    /// Bytes taken by the kernel after the last tick, to be told in the next turn.
    sent: Vec<(ConnId, usize)>,
    /// One of them must be told at once.
    sent_loud: bool,
}

impl Driver {
    pub(super) fn new(
        config: DriverConfig,
        listeners: Listeners,
        sleeper: Sleeper,
    ) -> io::Result<Self> {
        // SAFETY: passes no memory; the returned descriptor is owned by nobody else.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        let mut accepting = Vec::new();
        for listener in listeners.tcp {
            listener.set_nonblocking(true)?;
            accepting.push(Accepting {
                listener: listener.into(),
                retry_at: None,
            });
        }
        if let Some(listener) = listeners.unix {
            listener.set_nonblocking(true)?;
            accepting.push(Accepting {
                listener: listener.into(),
                retry_at: None,
            });
        }
        let buffer = vec![0; config.recv_buffer_len.clamp(64, 1 << 24) as usize];
        let driver = Driver {
            epoll,
            io: Io::new(),
            config,
            sleeper,
            accepting,
            events: Vec::with_capacity(EVENTS_MAX),
            buffer,
            sent: Vec::new(),
            sent_loud: false,
        };
        let edge = READ | libc::EPOLLET as u32;
        driver.control(
            libc::EPOLL_CTL_ADD,
            driver.sleeper.fd(),
            edge,
            data(WAKER_INDEX, 0),
        )?;
        for (index, accepting) in (LISTENERS_INDEX..).zip(&driver.accepting) {
            let fd = accepting.listener.as_raw_fd();
            driver.control(libc::EPOLL_CTL_ADD, fd, READ, data(index, 0))?;
        }
        Ok(driver)
    }

    pub(super) fn run(mut self, handler: &mut impl Handler) -> io::Result<()> {
        let clock = socket::Clock::new();
        let mut sleep = Sleep::Poll;
        loop {
            let notified = self.wait(sleep)?;
            self.tell_sent(handler);
            self.attend(handler);
            self.deliver(handler);
            if notified {
                for (fd, peer) in self.config.balance.take(self.config.shard) {
                    self.adopt(handler, fd, peer);
                }
            }
            sleep = handler.tick(&mut self.io, clock.now());
            self.reconcile_all();
            if sleep == Sleep::Exit {
                return Ok(());
            }
        }
    }

    fn control(&self, operation: i32, fd: RawFd, events: u32, data: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: data };
        // SAFETY: `event` is valid for the call, which copies it.
        let result =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Waits for events; true if a waker called.
    fn wait(&mut self, sleep: Sleep) -> io::Result<bool> {
        let due = !self.io.dirty.is_empty() || !self.io.attention.is_empty() || self.sent_loud;
        let timeout = if due {
            Some(Duration::ZERO)
        } else {
            self.timeout(sleep)
        };
        let mut milliseconds = 0;
        if timeout != Some(Duration::ZERO) && self.sleeper.fall_asleep() {
            // Rounded up: waking early would make the handler spin until its time has come.
            milliseconds = timeout.map_or(-1, |time| {
                i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
            });
        }
        // SAFETY: the vector has room for EVENTS_MAX events.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS_MAX as i32,
                milliseconds,
            )
        };
        let count = match usize::try_from(count) {
            Ok(count) => count,
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
                0
            }
        };
        // SAFETY: the kernel filled in `count` events, at most the capacity.
        unsafe { self.events.set_len(count) };
        Ok(self.sleeper.awake())
    }

    /// The longest time to block; `None` is for ever.
    fn timeout(&self, sleep: Sleep) -> Option<Duration> {
        let own = match sleep {
            Sleep::Poll | Sleep::Exit => return Some(Duration::ZERO),
            Sleep::For(time) => Some(time),
            Sleep::Forever => None,
        };
        let retry = self
            .accepting
            .iter()
            .filter_map(|accepting| accepting.retry_at)
            .min();
        let retry = retry.map(|at| at.saturating_duration_since(Instant::now()));
        own.into_iter().chain(retry).min()
    }

    fn tell_sent(&mut self, handler: &mut impl Handler) {
        self.sent_loud = false;
        let mut sent = std::mem::take(&mut self.sent);
        for (conn, bytes) in sent.drain(..) {
            let slot = self.io.slot(conn.index);
            if slot.generation == conn.generation && slot.alive() {
                handler.sent(&mut self.io, conn, bytes);
            }
        }
        self.sent = sent;
    }

    fn attend(&mut self, handler: &mut impl Handler) {
        let mut due = std::mem::take(&mut self.io.attention);
        for index in due.drain(..) {
            self.io.clear_attention(index);
            super::io::attend(&mut self.io, handler, index);
        }
        if self.io.attention.is_empty() {
            self.io.attention = due;
        }
    }

    fn deliver(&mut self, handler: &mut impl Handler) {
        let mut events = std::mem::take(&mut self.events);
        for event in events.drain(..) {
            let (events, data) = (event.events, event.u64);
            let index = (data >> 32) as u32;
            match index {
                WAKER_INDEX => {}
                LISTENERS_INDEX.. => self.accept(handler, index - LISTENERS_INDEX),
                _ => {
                    if self.io.slot(index).generation == data as u32 {
                        self.on_event(handler, index, events);
                    }
                }
            }
        }
        self.events = events;
    }

    fn on_event(&mut self, handler: &mut impl Handler, index: u32, events: u32) {
        let slot = self.io.slot(index);
        let hung_up = events & (libc::EPOLLERR | libc::EPOLLHUP) as u32 != 0;
        match slot.phase {
            Phase::Connecting => {
                let outcome = match &slot.fd {
                    Some(fd) => match socket2::SockRef::from(fd).take_error() {
                        Ok(Some(error)) | Err(error) => Err(error),
                        Ok(None) => Ok(()),
                    },
                    None => Err(io::ErrorKind::NotConnected.into()),
                };
                super::io::connected(&mut self.io, handler, index, outcome);
            }
            Phase::Open | Phase::Flushing => {
                if slot.blocked && (hung_up || events & WRITE != 0) {
                    slot.blocked = false;
                    self.io.touch(index);
                }
                if events & READ != 0 || hung_up {
                    self.read(handler, index);
                }
            }
            Phase::Free | Phase::Closing => {}
        }
    }

    fn read(&mut self, handler: &mut impl Handler, index: u32) {
        for _ in 0..READS_MAX {
            let slot = self.io.slot(index);
            if slot.phase != Phase::Open || slot.paused || slot.eof {
                return;
            }
            let (fd, room) = (slot.raw_fd(), self.buffer.len());
            // SAFETY: the buffer is valid for `room` bytes.
            let count = unsafe {
                libc::recv(
                    fd,
                    self.buffer.as_mut_ptr().cast(),
                    room,
                    libc::MSG_DONTWAIT,
                )
            };
            match usize::try_from(count) {
                Ok(0) => {
                    slot.eof = true;
                    self.io.touch(index);
                    return;
                }
                Ok(count) => {
                    super::io::deliver(&mut self.io, handler, index, &self.buffer[..count]);
                    if count < room {
                        return;
                    }
                }
                Err(_) => {
                    if !transient(&io::Error::last_os_error()) {
                        super::io::end(&mut self.io, handler, index);
                    }
                    return;
                }
            }
        }
    }

    fn accept(&mut self, handler: &mut impl Handler, index: u32) {
        for _ in 0..ACCEPTS_MAX {
            let Some(accepting) = self.accepting.get_mut(index as usize) else {
                return;
            };
            let listener = accepting.listener.as_raw_fd();
            let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
            let none = std::ptr::null_mut();
            // SAFETY: no address is asked for; a returned descriptor belongs to us alone.
            let fd = unsafe {
                match libc::accept4(listener, none, none.cast(), flags) {
                    fd @ 0.. => OwnedFd::from_raw_fd(fd),
                    _ => {
                        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
                        if AcceptFailure::of(errno) == AcceptFailure::Backoff {
                            accepting.retry_at = Some(Instant::now() + self.config.accept_backoff);
                            // Cannot fail: the listener is in the set.
                            let _ = self.control(libc::EPOLL_CTL_DEL, listener, 0, 0);
                        }
                        return;
                    }
                }
            };
            let Ok(peer) = socket::prepare(&fd) else {
                continue;
            };
            let shard = self.config.balance.assign(self.config.shard);
            if shard == self.config.shard {
                self.adopt(handler, fd, peer);
            } else {
                self.config.balance.hand(shard, (fd, peer));
            }
        }
    }

    fn adopt(&mut self, handler: &mut impl Handler, fd: OwnedFd, peer: Peer) {
        let conn = self.io.open(Some(fd), Phase::Open);
        self.io.slot(conn.index).counted = true;
        handler.accepted(&mut self.io, conn, peer);
    }

    fn reconcile_all(&mut self) {
        for index in 0..self.accepting.len() {
            let accepting = &mut self.accepting[index];
            if accepting.retry_at.is_some_and(|at| at <= Instant::now()) {
                accepting.retry_at = None;
                let fd = accepting.listener.as_raw_fd();
                let data = data(LISTENERS_INDEX + index as u32, 0);
                if self.control(libc::EPOLL_CTL_ADD, fd, READ, data).is_err() {
                    self.accepting[index].retry_at =
                        Some(Instant::now() + self.config.accept_backoff);
                }
            }
        }
        let mut dirty = std::mem::take(&mut self.io.dirty);
        for index in dirty.drain(..) {
            self.io.clear_dirty(index);
            self.reconcile(index);
        }
        if self.io.dirty.is_empty() {
            self.io.dirty = dirty;
        }
    }

    /// Does for a connection what its state asks for.
    fn reconcile(&mut self, index: u32) {
        let outcome = match self.io.slot(index).phase {
            Phase::Free => return,
            Phase::Connecting => self.connect(index),
            Phase::Closing => {
                if self.io.slot(index).counted {
                    self.config.balance.released(self.config.shard);
                }
                // Closing the only descriptor takes it from the epoll set.
                return self.io.release(index);
            }
            Phase::Open | Phase::Flushing => self.write(index),
        };
        let outcome = outcome.and_then(|()| self.watch(index));
        if let Err(error) = outcome {
            self.io.slot(index).failure = Some(error);
        }
        if self.io.slot(index).due() {
            self.io.attend(index);
        }
    }

    fn connect(&mut self, index: u32) -> io::Result<()> {
        let slot = self.io.slot(index);
        let Some(dial) = slot.dial.take() else {
            return Ok(());
        };
        let (socket, address) = socket::dial(&dial.target, &dial.options, true)?;
        let begun = socket.connect(&address);
        slot.fd = Some(socket.into());
        match begun {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            // Connected at once or later: both make it writable.
            _ => Ok(()),
        }
    }

    fn write(&mut self, index: u32) -> io::Result<()> {
        let mut total = 0;
        loop {
            let slot = self.io.slot(index);
            if slot.drained() || slot.blocked {
                break;
            }
            match send(slot.raw_fd(), slot.unsent()) {
                Ok(count) => {
                    total += count;
                    self.io.advance(index, count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if transient(&error) => slot.blocked = true,
                Err(error) => return Err(error),
            }
        }
        if total != 0 {
            self.sent_loud |= total > QUIET_SEND_MAX;
            let conn = self.io.id(index);
            self.sent.push((conn, total));
        }
        Ok(())
    }

    /// Makes the epoll set fit the connection's state.
    fn watch(&mut self, index: u32) -> io::Result<()> {
        let slot = self.io.slot(index);
        let reading =
            slot.phase == Phase::Open && !slot.paused && !slot.eof && slot.stash.is_empty();
        let writing = slot.phase == Phase::Connecting || slot.blocked;
        let wanted = if reading { READ } else { 0 } | if writing { WRITE } else { 0 };
        let had = std::mem::replace(&mut slot.interest, wanted);
        let operation = match (had, wanted) {
            _ if had == wanted => return Ok(()),
            (0, _) => libc::EPOLL_CTL_ADD,
            (_, 0) => libc::EPOLL_CTL_DEL,
            _ => libc::EPOLL_CTL_MOD,
        };
        let (fd, data) = (slot.raw_fd(), data(index, slot.generation));
        self.control(operation, fd, wanted, data)
    }
}

fn data(index: u32, generation: u32) -> u64 {
    u64::from(index) << 32 | u64::from(generation)
}

fn transient(error: &io::Error) -> bool {
    let errno = error.raw_os_error().unwrap_or(0);
    [libc::EAGAIN, libc::EINTR, libc::ENOBUFS, libc::ENOMEM].contains(&errno)
}

/// One send of all parts, without waiting.
fn send<'a>(fd: RawFd, mut parts: impl ExactSizeIterator<Item = &'a [u8]>) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    let count = if parts.len() == 1 {
        let part = parts.next().unwrap_or_default();
        // SAFETY: the slice is valid for the call.
        unsafe { libc::send(fd, part.as_ptr().cast(), part.len(), flags) }
    } else {
        let empty = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        let mut vector = [empty; CHUNKS_MAX];
        let mut len = 0;
        for (entry, part) in vector.iter_mut().zip(parts) {
            let iov_base = part.as_ptr().cast_mut().cast();
            *entry = libc::iovec {
                iov_base,
                iov_len: part.len(),
            };
            len += 1;
        }
        // SAFETY: zeros (null pointers, zero lengths) are valid for this C struct; the vector's
        // first `len` entries point to slices that are valid for the call, which only reads them.
        unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_iov = vector.as_mut_ptr();
            header.msg_iovlen = len;
            libc::sendmsg(fd, &raw const header, flags)
        }
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
