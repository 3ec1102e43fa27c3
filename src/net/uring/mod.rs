//! The io_uring driver: one ring per shard, entered once per turn.
//!
//! - **Receiving** is multishot, into buffers that the kernel picks from a ring and gets back right
//!   after delivery. A multishot receive ends for many reasons (cancelled, buffers exhausted,
//!   completion queue full ...). Whatever the reason, the connection is touched, and
//!   [`Driver::reconcile`] compares its state with what is in the kernel and starts what lacks. No
//!   operation is ever started from anywhere else, and a connection stays in the list until all
//!   that it needs could be queued; so nothing is forgotten when the queue is full.
//! - **Quiet sends.** A short send is submitted with MSG_DONTWAIT | MSG_WAITALL and
//!   CQE_SKIP_SUCCESS: it is over when `io_uring_enter` returns, and leaves a completion only if
//!   not all bytes went out. So one system call submits the sends of a turn *and* waits for the
//!   next input; with ordinary sends it would return at once with their completions. What left no
//!   completion was sent: this is concluded only when the kernel has taken all entries and holds no
//!   completion back. That the kernel behaves so is tested when a ring is set up.
//! - Longer sends wait in the kernel for room and complete ordinarily.

mod accept;
mod buffers;
mod conn;
mod ring;
mod token;

use std::io;
use std::time::{Duration, Instant};

use io_uring::types::{CancelBuilder, Fd};
use io_uring::{cqueue, opcode, squeue};

use super::io::{Io, Phase};
use super::seam::{DriverConfig, Handler, Listeners, Sleep};
use super::waker::Sleeper;
use accept::Accepting;
use buffers::BufferRing;
use conn::Segments;
use ring::Ring;
pub use ring::{Features, probe};
use token::{Op, Token};

/// How often a quitting driver asks the kernel for the end of its operations, and how long it waits
/// each time.
const QUIT_ROUNDS_MAX: u32 = 50;
const QUIT_WAIT: Duration = Duration::from_millis(100);

struct Completion {
    token: Token,
    result: i32,
    flags: u32,
}

/// See the module's page.
pub(super) struct Driver {
    ring: Ring,
    buffers: BufferRing,
    io: Io,
    config: DriverConfig,
    sleeper: Sleeper,
    waker_armed: bool,
    accepting: Vec<Accepting>,
    /// Vectors of sends in the kernel, by slot.
    segments: Vec<Option<Box<Segments>>>,
    #[expect(
        clippy::vec_box,
        reason = "a vector is handed to the kernel without moving"
    )]
    spare_segments: Vec<Box<Segments>>,
    /// Addresses of connects in the kernel, by slot.
    addresses: Vec<Option<Box<socket2::SockAddr>>>,
    /// Slots with a quiet send whose end is not yet concluded.
    quiet: Vec<u32>,
    completions: Vec<Completion>,
    send_completions: Vec<Completion>,
}

impl Driver {
    pub(super) fn new(
        config: DriverConfig,
        listeners: Listeners,
        sleeper: Sleeper,
    ) -> io::Result<Self> {
        let entries = config.queue_entries.clamp(2, 1 << 15);
        let ring = Ring::new(entries, entries.saturating_mul(8).min(1 << 16))?;
        let buffers = BufferRing::new(config.recv_buffers, config.recv_buffer_len)?;
        let accepting = accept::take(listeners)?;
        // SAFETY: `Driver::drop` takes the buffers from the ring, or leaks them.
        unsafe { buffers.register(ring.uring())? };
        Ok(Driver {
            ring,
            buffers,
            io: Io::new(),
            config,
            sleeper,
            waker_armed: false,
            accepting,
            segments: Vec::new(),
            spare_segments: Vec::new(),
            addresses: Vec::new(),
            quiet: Vec::new(),
            completions: Vec::new(),
            send_completions: Vec::new(),
        })
    }

    pub(super) fn run(mut self, handler: &mut impl Handler) -> io::Result<()> {
        let clock = super::socket::Clock::new();
        let mut sleep = Sleep::Poll;
        loop {
            let notified = self.enter(sleep)?;
            self.attend(handler);
            self.reap(handler)?;
            if notified {
                self.take_handed(handler);
            }
            sleep = handler.tick(&mut self.io, clock.now());
            self.reconcile_all();
            if sleep == Sleep::Exit {
                return self.ring.enter(0, None);
            }
        }
    }

    /// Enters the ring unless there is nothing to do there; true if a waker called.
    fn enter(&mut self, sleep: Sleep) -> io::Result<bool> {
        let timeout = self.timeout(sleep);
        let nothing_due = self.io.dirty.is_empty() && self.io.attention.is_empty();
        let may_block = timeout != Some(Duration::ZERO) && nothing_due && self.waker_armed;
        if may_block && self.sleeper.fall_asleep() {
            self.ring.enter(1, timeout)?;
        } else if self.ring.needs_enter() {
            self.ring.enter(0, None)?;
        }
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
        match (own, retry) {
            (Some(own), Some(retry)) => Some(own.min(retry)),
            (own, retry) => own.or(retry),
        }
    }

    /// Takes completions from the ring and delivers them.
    fn reap(&mut self, handler: &mut impl Handler) -> io::Result<()> {
        self.collect();
        // Only now and then: the kernel did not take all entries, or holds completions back.
        while !self.quiet.is_empty() && !self.ring.settled() {
            self.ring.enter(0, None)?;
            self.collect();
        }
        let mut sends = std::mem::take(&mut self.send_completions);
        for completion in sends.drain(..) {
            self.on_send(handler, completion);
        }
        self.send_completions = sends;
        self.conclude_quiet(handler);
        let mut completions = std::mem::take(&mut self.completions);
        for completion in completions.drain(..) {
            self.dispatch(handler, completion);
        }
        self.completions = completions;
        Ok(())
    }

    fn collect(&mut self) {
        let Driver {
            ring,
            completions,
            send_completions,
            ..
        } = self;
        ring.reap(|token, result, flags| {
            let completion = Completion {
                token,
                result,
                flags,
            };
            match token.op() {
                Some(Op::Send) => send_completions.push(completion),
                _ => completions.push(completion),
            }
        });
    }

    fn dispatch(&mut self, handler: &mut impl Handler, completion: Completion) {
        let Completion {
            token,
            result,
            flags,
        } = completion;
        match token.op() {
            Some(Op::Recv) => self.on_recv(handler, token, result, flags),
            Some(Op::Connect) => self.on_connect(handler, token, result),
            Some(Op::Cancel) => self.on_cancel(token),
            Some(Op::Accept) => self.on_accept(handler, token.index(), result, flags),
            Some(Op::Wake) => self.waker_armed &= cqueue::more(flags),
            // Sends were taken out before.
            Some(Op::Send | Op::Quit) | None => {}
        }
    }

    /// Queues an operation of a connection. False: no room; the connection must be touched again.
    ///
    /// # Safety
    /// As [`Ring::push`].
    unsafe fn start(&mut self, op: Op, index: u32, entry: squeue::Entry) -> bool {
        let token = Token::new(op, index, self.io.slot(index).generation);
        // SAFETY: the caller's promise.
        let queued = unsafe { self.ring.push(&entry.user_data(token.0)) };
        self.io.slot(index).ops += u32::from(queued);
        queued
    }

    /// Turns all changes of this turn into operations.
    fn reconcile_all(&mut self) {
        if !self.waker_armed {
            self.arm_waker();
        }
        self.arm_accepting();
        let mut dirty = std::mem::take(&mut self.io.dirty);
        for index in dirty.drain(..) {
            self.io.clear_dirty(index);
            if !self.reconcile(index) {
                self.io.touch(index);
            }
        }
        // What was touched meanwhile is in the new list.
        if self.io.dirty.is_empty() {
            self.io.dirty = dirty;
        }
    }

    fn arm_waker(&mut self) {
        let poll = opcode::PollAdd::new(Fd(self.sleeper.fd()), libc::POLLIN as u32).multi(true);
        let token = Token::new(Op::Wake, 0, 0);
        // SAFETY: the entry points to no memory. The eventfd lives as long as the driver.
        self.waker_armed = unsafe { self.ring.push(&poll.build().user_data(token.0)) };
    }

    /// Ends all operations; true if none is left in the kernel.
    fn quit(&mut self) -> bool {
        for index in 0..self.io.slot_count() {
            if self.io.slot(index).phase != Phase::Free {
                self.io.slot(index).phase = Phase::Closing;
                self.io.touch(index);
            }
        }
        for _ in 0..QUIT_ROUNDS_MAX {
            let cancel = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
            // SAFETY: the entry points to no memory.
            unsafe {
                self.ring
                    .push(&cancel.user_data(Token::new(Op::Quit, 0, 0).0))
            };
            let mut dirty = std::mem::take(&mut self.io.dirty);
            for index in dirty.drain(..) {
                self.io.clear_dirty(index);
                if !self.reconcile(index) {
                    self.io.touch(index);
                }
            }
            let done = self.io.connections() == 0
                && !self.waker_armed
                && self.accepting.iter().all(|accepting| !accepting.armed);
            if done {
                return true;
            }
            if self.ring.enter(1, Some(QUIT_WAIT)).is_err() {
                return false;
            }
            if self.reap(&mut accept::Nobody).is_err() {
                return false;
            }
        }
        false
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let quiet = self.quit();
        let taken = self.buffers.unregister(self.ring.uring()).is_ok();
        if !(quiet && taken) {
            // The kernel may still write to the buffers or read output: better leaked than freed.
            std::mem::forget(std::mem::replace(&mut self.io, Io::new()));
            std::mem::forget(std::mem::take(&mut self.segments));
            std::mem::forget(std::mem::take(&mut self.addresses));
            self.buffers.leak();
        }
    }
}
