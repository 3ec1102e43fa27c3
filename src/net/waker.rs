//! Waking a shard that sleeps in its driver.
//!
//! One atomic per shard says AWAKE, ASLEEP or NOTIFIED.
//!
//! - A waker first puts its message where the shard will look, then swaps in NOTIFIED. Only if it
//!   replaced ASLEEP does it write to the eventfd: waking a shard that is awake costs no system
//!   call.
//! - The shard swaps in AWAKE after each return from the kernel and looks at its mailboxes
//!   afterwards (in its tick). Before it blocks it changes AWAKE to ASLEEP by compare-and-exchange,
//!   and does not block if that fails.
//!
//! Why no wake-up is lost: all accesses are read-modify-writes of one location, so they have one
//! order. A swap to NOTIFIED is either before the shard's swap to AWAKE: then that swap reads it
//! (or a later one), acquires the message, and the tick that follows sees it. Or it is after it and
//! before the compare-and-exchange, which then fails, so the shard ticks again. Or it is after
//! that, finds ASLEEP, and writes to the eventfd, which is in the shard's ring or epoll set before
//! it blocks. No second check of the mailboxes is needed, and no fence: store-load order between
//! two locations never matters.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

#[cfg(banyan_loom)]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(banyan_loom))]
use std::sync::atomic::{AtomicU8, Ordering};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const NOTIFIED: u8 = 2;

/// The protocol of the module's page, without the eventfd.
#[derive(Debug)]
struct State(AtomicU8);

impl State {
    fn new() -> Self {
        State(AtomicU8::new(AWAKE))
    }

    /// True if the shard sleeps and must be woken by the kernel.
    fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP
    }

    /// True if the shard may block.
    fn fall_asleep(&self) -> bool {
        self.0
            .compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// True if a waker called since the last time.
    fn awake(&self) -> bool {
        self.0.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

// A line of its own: wakers of other cores write it.
#[repr(align(128))]
#[derive(Debug)]
struct Shared {
    state: State,
    event: File,
}

/// Wakes a shard that sleeps in its driver. Cheap to clone; usable from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Shared>);

/// The sleeping side of a [`Waker`]; belongs to one driver.
#[derive(Debug)]
pub struct Sleeper(Arc<Shared>);

impl Waker {
    /// A waker and the side that it wakes.
    ///
    /// # Errors
    /// When no eventfd can be made (descriptors exhausted).
    pub fn new() -> io::Result<(Waker, Sleeper)> {
        // SAFETY: no memory is passed; the returned descriptor is owned by nobody else.
        let event = unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            File::from(OwnedFd::from_raw_fd(fd))
        };
        let shared = Arc::new(Shared {
            state: State::new(),
            event,
        });
        Ok((Waker(shared.clone()), Sleeper(shared)))
    }

    /// Makes the shard tick soon. What the caller wrote before is visible to that tick. One atomic
    /// swap; one `write` in addition if the shard sleeps. Harmless if it is awake or gone.
    pub fn wake(&self) {
        if self.0.state.notify() {
            // The counter can be full only after 2^64 - 2 writes, and any other error leaves
            // nothing to be done.
            let _ = (&self.0.event).write(&1u64.to_ne_bytes());
        }
    }
}

impl Sleeper {
    /// Says that the shard is about to block; false if it must not.
    pub(super) fn fall_asleep(&self) -> bool {
        self.0.state.fall_asleep()
    }

    /// Says that the shard is awake; true if a waker called since the last time.
    pub(super) fn awake(&self) -> bool {
        self.0.state.awake()
    }

    /// The eventfd. It is never read: each write signals an edge-triggered watcher anew.
    pub(super) fn fd(&self) -> RawFd {
        self.0.event.as_raw_fd()
    }
}

#[cfg(all(test, banyan_loom))]
mod loom_tests {
    use super::*;
    use loom::sync::atomic::AtomicBool;
    use loom::sync::{Arc, Condvar, Mutex};

    /// The eventfd and the ring: a flag under a lock, and a wait.
    struct Event(Mutex<bool>, Condvar);

    #[test]
    fn a_message_put_before_wake_is_always_seen() {
        loom::model(|| {
            let state = Arc::new(State::new());
            let mail = Arc::new(AtomicBool::new(false));
            let event = Arc::new(Event(Mutex::new(false), Condvar::new()));
            let (s, m, e) = (state.clone(), mail.clone(), event.clone());
            let waker = loom::thread::spawn(move || {
                m.store(true, Ordering::Relaxed);
                if s.notify() {
                    *e.0.lock().unwrap() = true;
                    e.1.notify_one();
                }
            });
            loop {
                state.awake();
                if mail.load(Ordering::Relaxed) {
                    break;
                }
                if state.fall_asleep() {
                    // Blocks for ever, which loom reports as a deadlock, if a wake-up could be
                    // lost.
                    let mut signalled = event.0.lock().unwrap();
                    while !*signalled {
                        signalled = event.1.wait(signalled).unwrap();
                    }
                    *signalled = false;
                }
            }
            waker.join().unwrap();
        });
    }
}
