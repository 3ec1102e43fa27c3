//! Accepting, and taking over connections from the accepting shard.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

use io_uring::types::Fd;
use io_uring::{cqueue, opcode};

use super::super::io::Phase;
use super::super::seam::{Handler, Listeners, Peer};
use super::super::socket::{self, AcceptFailure};
use super::token::{Op, Token};
use super::{Driver, Io};

/// A listener and its multishot accept.
pub(super) struct Accepting {
    listener: OwnedFd,
    pub(super) armed: bool,
    /// Not armed before this, since the process lacked something.
    pub(super) retry_at: Option<Instant>,
}

/// Takes the listeners over. io_uring takes a non-blocking socket as a wish for EAGAIN, hence
/// blocking ones.
pub(super) fn take(listeners: Listeners) -> io::Result<Vec<Accepting>> {
    let mut taken = Vec::new();
    for listener in listeners.tcp {
        listener.set_nonblocking(false)?;
        taken.push(Accepting {
            listener: listener.into(),
            armed: false,
            retry_at: None,
        });
    }
    if let Some(listener) = listeners.unix {
        listener.set_nonblocking(false)?;
        taken.push(Accepting {
            listener: listener.into(),
            armed: false,
            retry_at: None,
        });
    }
    Ok(taken)
}

impl Driver {
    /// Starts accepting where it is not under way.
    pub(super) fn arm_accepting(&mut self) {
        for (index, accepting) in self.accepting.iter_mut().enumerate() {
            let wait = accepting.retry_at.is_some_and(|at| Instant::now() < at);
            if accepting.armed || wait {
                continue;
            }
            let accept = opcode::AcceptMulti::new(Fd(accepting.listener.as_raw_fd()));
            let entry = accept.flags(libc::SOCK_CLOEXEC).build();
            let token = Token::new(Op::Accept, index as u32, 0);
            // SAFETY: the entry points to no memory.
            accepting.armed = unsafe { self.ring.push(&entry.user_data(token.0)) };
            if accepting.armed {
                accepting.retry_at = None;
            } else {
                // The queue is full: the next turn comes at once, as a full queue completes
                // something.
                accepting.retry_at = Some(Instant::now());
            }
        }
    }

    pub(super) fn on_accept(
        &mut self,
        handler: &mut impl Handler,
        index: u32,
        result: i32,
        flags: u32,
    ) {
        if !cqueue::more(flags)
            && let Some(accepting) = self.accepting.get_mut(index as usize)
        {
            accepting.armed = false;
            if AcceptFailure::of(-result) == AcceptFailure::Backoff && result < 0 {
                accepting.retry_at = Some(Instant::now() + self.config.accept_backoff);
            }
        }
        if result < 0 {
            return;
        }
        // SAFETY: a successful accept gives this descriptor to us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(result) };
        // An error here means that the peer is gone already.
        let Ok(peer) = socket::prepare(&fd) else {
            return;
        };
        let shard = self.config.balance.assign(self.config.shard);
        if shard == self.config.shard {
            self.adopt(handler, fd, peer);
        } else {
            self.config.balance.hand(shard, (fd, peer));
        }
    }

    /// Opens the connections that another shard accepted for this one.
    pub(super) fn take_handed(&mut self, handler: &mut impl Handler) {
        for (fd, peer) in self.config.balance.take(self.config.shard) {
            self.adopt(handler, fd, peer);
        }
    }

    fn adopt(&mut self, handler: &mut impl Handler, fd: OwnedFd, peer: Peer) {
        let conn = self.io.open(Some(fd), Phase::Open);
        self.io.slot(conn.index).counted = true;
        handler.accepted(&mut self.io, conn, peer);
    }

    /// Frees a slot whose operations have all completed.
    pub(super) fn release(&mut self, index: u32) {
        if self.io.slot(index).counted {
            self.config.balance.released(self.config.shard);
        }
        self.io.release(index);
    }
}

/// Stands in for the handler while a driver quits.
pub(super) struct Nobody;

impl Handler for Nobody {
    fn accepted(&mut self, io: &mut Io, conn: super::super::ConnId, _: Peer) {
        io.close_now(conn);
    }
    fn connected(&mut self, _: &mut Io, _: super::super::ConnId, _: io::Result<()>) {}
    fn received(&mut self, _: &mut Io, _: super::super::ConnId, _: &[u8]) {}
    fn sent(&mut self, _: &mut Io, _: super::super::ConnId, _: usize) {}
    fn closed(&mut self, _: &mut Io, _: super::super::ConnId) {}
    fn tick(&mut self, _: &mut Io, _: super::super::Now) -> super::super::Sleep {
        super::super::Sleep::Exit
    }
}
