//! Connections: what their completions mean, and which operations they need.

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use io_uring::types::{CancelBuilder, Fd};
use io_uring::{cqueue, opcode, squeue};

use super::super::io::{CHUNKS_MAX, Phase, QUIET_SEND_MAX};
use super::super::seam::Handler;
use super::super::socket;
use super::buffers::GROUP;
use super::ring::quiet_flags;
use super::token::{Op, Token};
use super::{Completion, Driver};

/// The longest single send; the result must fit an `i32`.
const SEND_LEN_MAX: usize = 1 << 30;

/// The vector of a send of several chunks. Boxed: the kernel may read it until the completion.
pub(super) struct Segments {
    header: libc::msghdr,
    parts: [libc::iovec; CHUNKS_MAX],
}

impl Segments {
    fn new() -> Box<Self> {
        // SAFETY: both are plain C structs for which zeros (null pointers, zero lengths) are valid.
        Box::new(unsafe { std::mem::zeroed() })
    }
}

/// What the end of one step of a receive says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Received {
    /// This many bytes, in a buffer.
    Data(usize),
    /// The peer ended its half.
    End,
    /// No bytes, although the socket is said to hold some: the end or not. TCP also counts an end
    /// that waits to be read as one byte, so that only the socket itself can tell.
    Unsure,
    /// Nothing; if the receive ended, start it again.
    Nothing,
    /// The connection is broken.
    Broken,
}

impl Received {
    pub(super) fn of(result: i32, flags: u32) -> Self {
        match result {
            1.. => Received::Data(result as usize),
            0 if cqueue::sock_nonempty(flags) => Received::Unsure,
            0 => Received::End,
            // Out of buffers for the moment; paused; interrupted; no memory for the poll.
            _ => match -result {
                libc::ENOBUFS | libc::ECANCELED | libc::EAGAIN | libc::EINTR | libc::ENOMEM => {
                    Received::Nothing
                }
                _ => Received::Broken,
            },
        }
    }
}

impl Driver {
    /// Compares the state of a connection with what is in the kernel and starts what lacks. False:
    /// the queue is full, try again in the next turn.
    pub(super) fn reconcile(&mut self, index: u32) -> bool {
        let started = match self.io.slot(index).phase {
            Phase::Free => true,
            Phase::Connecting => self.start_connect(index),
            Phase::Closing => return self.wind_down(index),
            Phase::Open | Phase::Flushing => self.start_send(index) && self.match_recv(index),
        };
        if self.io.slot(index).due() {
            self.io.attend(index);
        }
        started
    }

    fn start_send(&mut self, index: u32) -> bool {
        let quiet_sends = self.ring.features().quiet_sends;
        let slot = self.io.slot(index);
        if slot.pinned != 0 || slot.drained() {
            return true;
        }
        let fd = Fd(slot.raw_fd());
        let parts = slot.unsent().len();
        // A send whose end the driver must act upon is not quiet.
        let quiet = quiet_sends
            && !slot.blocked
            && !slot.eof
            && slot.phase == Phase::Open
            && parts < CHUNKS_MAX
            && slot.queued() <= QUIET_SEND_MAX;
        let flags = if quiet {
            quiet_flags()
        } else {
            libc::MSG_NOSIGNAL
        };
        let mut segments = None;
        let entry = if parts == 1 {
            let Some(part) = slot.unsent().next() else {
                return true;
            };
            let len = part.len().min(SEND_LEN_MAX) as u32;
            opcode::Send::new(fd, part.as_ptr(), len)
                .flags(flags)
                .build()
        } else {
            let boxed = segments.insert(self.spare_segments.pop().unwrap_or_else(Segments::new));
            fill(boxed, slot.unsent());
            opcode::SendMsg::new(fd, &raw const boxed.header)
                .flags(flags as u32)
                .build()
        };
        let entry = if quiet {
            entry.flags(squeue::Flags::SKIP_SUCCESS)
        } else {
            entry
        };
        // SAFETY: the chunks that are pinned below stay in the queue, unchanged, until the
        // completion; their heap memory does not move with them. The vector is kept in `segments`.
        // The descriptor is closed after the last completion.
        if !unsafe { self.start(Op::Send, index, entry) } {
            self.spare_segments.extend(segments);
            return false;
        }
        let slot = self.io.slot(index);
        slot.pinned = parts;
        slot.quiet = quiet;
        if quiet {
            self.quiet.push(index);
        }
        if segments.is_some() {
            *place(&mut self.segments, index) = segments;
        }
        true
    }

    /// Starts or stops receiving as the state of the connection asks.
    fn match_recv(&mut self, index: u32) -> bool {
        let slot = self.io.slot(index);
        let wanted = slot.phase == Phase::Open && !slot.paused && !slot.eof;
        if wanted && !slot.recv_armed && slot.stash.is_empty() {
            let entry = opcode::RecvMulti::new(Fd(slot.raw_fd()), GROUP).build();
            // SAFETY: the buffers are the ring's, which outlives its use by the kernel.
            let armed = unsafe { self.start(Op::Recv, index, entry) };
            self.io.slot(index).recv_armed = armed;
            return armed;
        }
        if !wanted && slot.recv_armed && !slot.recv_stopping {
            let token = Token::new(Op::Recv, index, slot.generation);
            let entry = opcode::AsyncCancel::new(token.0).build();
            // SAFETY: the entry points to no memory.
            let stopping = unsafe { self.start(Op::Cancel, index, entry) };
            self.io.slot(index).recv_stopping = stopping;
            return stopping;
        }
        true
    }

    fn start_connect(&mut self, index: u32) -> bool {
        let slot = self.io.slot(index);
        if slot.ops != 0 || slot.failure.is_some() {
            return true;
        }
        let Some(dial) = &slot.dial else { return true };
        let (socket, address) = match socket::dial(&dial.target, &dial.options, false) {
            Ok(dialled) => dialled,
            Err(error) => {
                slot.failure = Some(error);
                return true;
            }
        };
        slot.fd = Some(OwnedFd::from(socket));
        let fd = Fd(slot.raw_fd());
        let address = place(&mut self.addresses, index).insert(Box::new(address));
        let entry = opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build();
        // SAFETY: the address is boxed and kept until the completion.
        unsafe { self.start(Op::Connect, index, entry) }
    }

    /// Cancels what a dead connection has in the kernel, and frees it once nothing is left.
    fn wind_down(&mut self, index: u32) -> bool {
        let slot = self.io.slot(index);
        if slot.ops == 0 {
            self.release(index);
            return true;
        }
        if slot.stopping {
            return true;
        }
        let cancel = CancelBuilder::fd(Fd(slot.raw_fd())).all();
        let entry = opcode::AsyncCancel2::new(cancel).build();
        // SAFETY: the entry points to no memory; the descriptor stays open until all operations
        // completed.
        let stopping = unsafe { self.start(Op::Cancel, index, entry) };
        self.io.slot(index).stopping = stopping;
        stopping
    }

    /// Calls the handler for what needs no completion: input held back, ends of connections.
    pub(super) fn attend(&mut self, handler: &mut impl Handler) {
        let mut due = std::mem::take(&mut self.io.attention);
        for index in due.drain(..) {
            self.io.clear_attention(index);
            super::super::io::attend(&mut self.io, handler, index);
        }
        if self.io.attention.is_empty() {
            self.io.attention = due;
        }
    }

    pub(super) fn on_recv(
        &mut self,
        handler: &mut impl Handler,
        token: Token,
        result: i32,
        flags: u32,
    ) {
        let index = token.index();
        let slot = self.io.slot(index);
        assert!(
            token.is_of(slot.generation),
            "a slot is reused only after its last completion"
        );
        if !cqueue::more(flags) {
            slot.ops -= 1;
            slot.recv_armed = false;
            slot.recv_stopping = false;
            self.io.touch(index);
        }
        let received = Received::of(result, flags);
        let buffer = cqueue::buffer_select(flags);
        if let (Some(id), Received::Data(len)) = (buffer, received) {
            // SAFETY: the completion names the buffer, which is given back below.
            let data = unsafe { self.buffers.data(id, len) };
            super::super::io::deliver(&mut self.io, handler, index, data);
        }
        if let Some(id) = buffer {
            self.buffers.give_back(id);
        }
        let slot = self.io.slot(index);
        match received {
            Received::Unsure if !at_end(slot.raw_fd()) => {}
            Received::End | Received::Unsure => {
                slot.eof = true;
                self.io.touch(index);
            }
            Received::Broken => super::super::io::end(&mut self.io, handler, index),
            Received::Data(_) | Received::Nothing => {}
        }
    }

    pub(super) fn on_send(&mut self, handler: &mut impl Handler, completion: Completion) {
        let Completion { token, result, .. } = completion;
        let index = token.index();
        let slot = self.io.slot(index);
        assert!(
            token.is_of(slot.generation),
            "a slot is reused only after its last completion"
        );
        slot.ops -= 1;
        // A quiet send completes only if the socket's buffer was full: the rest waits for room in
        // the kernel.
        slot.blocked = slot.quiet;
        slot.quiet = false;
        let sent = match result {
            0.. => result as usize,
            _ => 0,
        };
        let transient = matches!(
            -result,
            libc::EAGAIN | libc::EINTR | libc::ENOBUFS | libc::ENOMEM
        );
        self.finish_send(handler, index, sent);
        if result < 0 && !transient {
            super::super::io::end(&mut self.io, handler, index);
        }
    }

    /// All quiet sends that left no completion took all their bytes.
    pub(super) fn conclude_quiet(&mut self, handler: &mut impl Handler) {
        let mut quiet = std::mem::take(&mut self.quiet);
        for index in quiet.drain(..) {
            let slot = self.io.slot(index);
            if slot.quiet {
                slot.quiet = false;
                slot.ops -= 1;
                let sent = slot.unsent().take(slot.pinned).map(<[u8]>::len).sum();
                self.finish_send(handler, index, sent);
            }
        }
        self.quiet = quiet;
    }

    fn finish_send(&mut self, handler: &mut impl Handler, index: u32, sent: usize) {
        if let Some(segments) = self.segments.get_mut(index as usize).and_then(Option::take) {
            self.spare_segments.push(segments);
        }
        self.io.advance(index, sent);
        let slot = self.io.slot(index);
        let (alive, more) = (
            slot.alive(),
            !slot.drained() || slot.eof || slot.phase != Phase::Open,
        );
        if more {
            self.io.touch(index);
        }
        if alive && sent != 0 {
            let conn = self.io.id(index);
            handler.sent(&mut self.io, conn, sent);
        }
    }

    pub(super) fn on_connect(&mut self, handler: &mut impl Handler, token: Token, result: i32) {
        let index = token.index();
        let slot = self.io.slot(index);
        assert!(
            token.is_of(slot.generation),
            "a slot is reused only after its last completion"
        );
        slot.ops -= 1;
        slot.dial = None;
        *place(&mut self.addresses, index) = None;
        let outcome = if result < 0 {
            Err(io::Error::from_raw_os_error(-result))
        } else {
            Ok(())
        };
        super::super::io::connected(&mut self.io, handler, index, outcome);
    }

    pub(super) fn on_cancel(&mut self, token: Token) {
        let index = token.index();
        let slot = self.io.slot(index);
        assert!(
            token.is_of(slot.generation),
            "a slot is reused only after its last completion"
        );
        slot.ops -= 1;
        // If something is still in the kernel when the connection is looked at again, it is
        // cancelled again.
        slot.stopping = false;
        self.io.touch(index);
    }
}

/// Whether the next read of a stream would find its end.
fn at_end(fd: RawFd) -> bool {
    let mut byte = 0u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: the buffer is one byte long and valid for the call.
    unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, flags) == 0 }
}

/// The place of a slot in a list that grows with the slots.
fn place<T>(list: &mut Vec<Option<T>>, index: u32) -> &mut Option<T> {
    let index = index as usize;
    if list.len() <= index {
        list.resize_with(index + 1, || None);
    }
    &mut list[index]
}

/// Points the vector to the unsent bytes, limited in sum.
fn fill<'a>(segments: &mut Segments, unsent: impl Iterator<Item = &'a [u8]>) {
    let mut count = 0;
    let mut room = SEND_LEN_MAX;
    for (part, bytes) in segments.parts.iter_mut().zip(unsent) {
        let len = bytes.len().min(room);
        room -= len;
        *part = libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: len,
        };
        count += 1;
    }
    segments.header.msg_iov = segments.parts.as_mut_ptr();
    segments.header.msg_iovlen = count;
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// `IORING_CQE_F_SOCK_NONEMPTY`.
    const SOCK_NONEMPTY: u32 = 1 << 2;

    #[test]
    fn zero_bytes_of_a_socket_that_is_not_empty_are_not_the_end() {
        assert_eq!(Received::of(0, SOCK_NONEMPTY), Received::Unsure);
        assert_eq!(Received::of(0, 0), Received::End);
        assert_eq!(Received::of(5, SOCK_NONEMPTY), Received::Data(5));
    }

    #[test]
    fn only_a_socket_that_was_read_to_its_end_is_at_its_end() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        assert!(!at_end(ours.as_raw_fd()), "empty");
        theirs.write_all(b"x").unwrap();
        drop(theirs);
        assert!(!at_end(ours.as_raw_fd()), "one byte is left");
        (&ours).read_exact(&mut [0]).unwrap();
        assert!(at_end(ours.as_raw_fd()));
    }

    #[test]
    fn running_out_of_buffers_does_not_break_a_connection() {
        assert_eq!(Received::of(-libc::ENOBUFS, 0), Received::Nothing);
        assert_eq!(Received::of(-libc::ECANCELED, 0), Received::Nothing);
        assert_eq!(Received::of(-libc::ECONNRESET, 0), Received::Broken);
    }
}
