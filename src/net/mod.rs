//! The network shell: drives a [`Handler`] with connections, bytes, time and wake-ups.
//!
//! One driver runs per shard thread. It owns every socket of the shard and calls the handler; the
//! handler asks for output through [`Io`], which only queues. Two drivers stand behind the same
//! seam: [`uring`](IoKind::Uring), the hot path, and [`epoll`](IoKind::Epoll), for kernels and
//! containers without io_uring.
//!
//! One turn of either driver:
//!
//! 1. enter the kernel once: submit what is queued, and block if there is nothing else to do;
//! 2. deliver what was put off to this turn (stashed input, ends of connections);
//! 3. deliver completions;
//! 4. take over connections that the accepting shard handed to this one;
//! 5. [`Handler::tick`];
//! 6. turn the changed connections (a list, never a walk over all) into kernel operations.
//!
//! Invariants:
//! - at most one send per connection is in the kernel, so bytes never overtake each other;
//! - memory in the kernel's hands is neither moved nor freed before its completion;
//! - a descriptor is closed, and its slot reused, only after all its operations completed.

mod balance;
mod epoll;
mod io;
mod seam;
mod socket;
mod uring;
pub mod waker;

#[cfg(test)]
mod tests;

pub use balance::Balance;
pub use io::{Chunk, Io, QUIET_SEND_MAX};
pub use seam::{
    ConnId, ConnectOptions, DriverConfig, Handler, IoKind, Listeners, Now, Peer, Sleep, Target,
};
pub use uring::{Features, probe};
pub use waker::{Sleeper, Waker};

/// Runs one shard's driver on the calling thread until the handler's tick returns [`Sleep::Exit`].
///
/// # Errors
/// When the ring or the epoll instance cannot be made, or entering the kernel fails in a way that
/// no retry can mend. Errors of single connections and of accepting are handled inside.
pub fn run(
    kind: IoKind,
    config: DriverConfig,
    listeners: Listeners,
    sleeper: Sleeper,
    handler: &mut impl Handler,
) -> std::io::Result<()> {
    match kind {
        IoKind::Uring => uring::Driver::new(config, listeners, sleeper)?.run(handler),
        IoKind::Epoll => epoll::Driver::new(config, listeners, sleeper)?.run(handler),
    }
}
