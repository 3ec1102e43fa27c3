//! One io_uring: setup with every flag that the kernel knows, entering, and what it can do.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, Probe, cqueue, opcode, squeue};

use super::token::{Op, Token};

/// `IORING_REGISTER_RING_FDS` and its opposite; the crate keeps the index that they yield to
/// itself.
const REGISTER_RING_FDS: libc::c_uint = 20;
const UNREGISTER_RING_FDS: libc::c_uint = 21;

/// `struct io_uring_rsrc_update`.
#[repr(C)]
struct RingFd {
    offset: u32,
    resv: u32,
    data: u64,
}

/// What the kernel offers, as found by trying.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// Everything that the io_uring driver cannot do without: Linux 6.0, not blocked by seccomp or
    /// sysctl.
    pub uring: bool,
    /// `IORING_SETUP_SINGLE_ISSUER` (6.0).
    pub single_issuer: bool,
    /// `IORING_SETUP_DEFER_TASKRUN` (6.1).
    pub defer_taskrun: bool,
    /// The ring's descriptor can be registered (5.18).
    pub registered_ring: bool,
    /// Sends that succeed at once need no completion.
    pub quiet_sends: bool,
}

impl std::fmt::Display for Features {
    /// The driver and the optional features found, for the start-up lines.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("io_uring")?;
        let optional = [
            (self.single_issuer, "single_issuer"),
            (self.defer_taskrun, "defer_taskrun"),
            (self.registered_ring, "registered_ring"),
            (self.quiet_sends, "quiet_sends"),
        ];
        optional
            .iter()
            .filter(|(found, _)| *found)
            .try_for_each(|(_, name)| write!(f, " {name}"))
    }
}

/// Finds out what io_uring offers to this thread, by setting up a small ring and dropping it.
pub fn probe() -> Features {
    match Ring::new(4, 16) {
        Ok(ring) => ring.features,
        Err(_) => Features::default(),
    }
}

/// A ring; to be used and dropped by the thread that made it.
pub(super) struct Ring {
    uring: IoUring,
    /// The index of the ring's registered descriptor.
    registered: Option<u32>,
    features: Features,
}

impl Ring {
    /// # Errors
    /// `Unsupported` when the kernel is too old, otherwise the system's (seccomp:
    /// `PermissionDenied`).
    pub(super) fn new(sq_entries: u32, cq_entries: u32) -> io::Result<Self> {
        let (uring, mut features) = build(sq_entries, cq_entries)?;
        let mut probe = Probe::new();
        uring.submitter().register_probe(&mut probe)?;
        // Multishot receives came with 6.0, as did zero-copy sends, which can be asked for.
        features.uring =
            probe.is_supported(opcode::SendZc::CODE) && uring.params().is_feature_ext_arg();
        if !features.uring {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut ring = Ring {
            uring,
            registered: None,
            features,
        };
        ring.registered = ring.register();
        ring.features.registered_ring = ring.registered.is_some();
        ring.features.quiet_sends = ring.quiet_sends_work().unwrap_or(false);
        Ok(ring)
    }

    pub(super) fn uring(&self) -> &IoUring {
        &self.uring
    }

    pub(super) fn features(&self) -> Features {
        self.features
    }

    /// Queues an operation; false if the queue is full even after submitting it.
    ///
    /// # Safety
    /// What the entry points to must stay valid until its completion.
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: the caller's promise.
        let full = unsafe { self.uring.submission().push(entry).is_err() };
        if !full {
            return true;
        }
        // An error (the completion queue overflowed, say) shows in the second attempt.
        let _ = self.enter(0, None);
        // SAFETY: as above; the first attempt queued nothing.
        unsafe { self.uring.submission().push(entry).is_ok() }
    }

    /// There is something to submit, or the kernel has work to do in this thread's name.
    pub(super) fn needs_enter(&mut self) -> bool {
        let queue = self.uring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// All operations were taken by the kernel, and no completion is held back by it.
    pub(super) fn settled(&mut self) -> bool {
        let queue = self.uring.submission();
        queue.is_empty() && !queue.cq_overflow()
    }

    /// Submits all, runs deferred work and waits for `want` completions, at most for `timeout`.
    pub(super) fn enter(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()> {
        let submit = self.uring.submission().len() as u32;
        let time = timeout.map(Timespec::from);
        let mut args = SubmitArgs::new();
        if let Some(time) = &time {
            args = args.timespec(time);
        }
        let mut flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        let fd = match self.registered {
            Some(index) => {
                flags |= EnterFlags::REGISTERED_RING;
                index as RawFd
            }
            None => self.uring.as_raw_fd(),
        };
        // SAFETY: `args` has the layout of `io_uring_getevents_arg` and lives, as does the time
        // that it points to, until the call returns. The entries submitted were pushed under
        // `push`'s contract.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                fd,
                submit,
                want,
                flags.bits(),
                &raw const args,
                size_of::<SubmitArgs>(),
            )
        };
        if result >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // The time is over; a signal came; completions must be reaped first; the system is
            // short of memory for requests: all pass with the next turn.
            Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN | libc::ENOMEM) => Ok(()),
            _ => Err(error),
        }
    }

    /// Takes all completions that are there.
    pub(super) fn reap(&mut self, mut each: impl FnMut(Token, i32, u32)) {
        for entry in self.uring.completion() {
            each(Token(entry.user_data()), entry.result(), entry.flags());
        }
    }

    /// Registers the ring's descriptor, which saves a lookup per enter.
    fn register(&self) -> Option<u32> {
        let mut up = RingFd {
            offset: u32::MAX,
            resv: 0,
            data: self.uring.as_raw_fd() as u64,
        };
        // SAFETY: `up` is one `io_uring_rsrc_update`, as the operation expects, and outlives the
        // call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                self.uring.as_raw_fd(),
                REGISTER_RING_FDS,
                &raw mut up,
                1,
            )
        };
        (result == 1).then_some(up.offset)
    }

    /// Tries what quiet sends rely on (see the driver): a successful send leaves no completion, and
    /// one that finds the buffer full completes before `enter` returns, with the bytes it sent, or
    /// EAGAIN.
    fn quiet_sends_work(&mut self) -> io::Result<bool> {
        let (ours, _theirs) = UnixStream::pair()?;
        let fd = ours.as_raw_fd();
        let data = [0u8; 16 * 1024];
        let token = Token::new(Op::Send, 0, 0).0;
        // More than any default buffer of a Unix socket holds, in bounded steps.
        for _ in 0..4096 {
            let send = opcode::Send::new(Fd(fd), data.as_ptr(), data.len() as u32);
            let entry = send
                .flags(quiet_flags())
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS);
            // SAFETY: `data` lives until the return; a send that does not wait is over when `enter`
            // returns, which is what is tested; if that fails, the ring is left with a reference to
            // the socket pair only after the kernel has copied from `data` or given up, since
            // `shutdown` below ends the wait.
            let pushed = unsafe { self.push(&entry.user_data(token)) };
            self.enter(0, None)?;
            let mut failed = None;
            self.reap(|_, result, _| failed = Some(result));
            match failed {
                None if pushed && self.settled() => {}
                Some(result) => {
                    return Ok(result == -libc::EAGAIN || (0..data.len() as i32).contains(&result));
                }
                None => break,
            }
        }
        ours.shutdown(std::net::Shutdown::Both)?;
        self.enter(1, Some(Duration::from_millis(100)))?;
        self.reap(|_, _, _| ());
        Ok(false)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // The registration holds the ring open until the thread ends.
        if let Some(index) = self.registered {
            let up = RingFd {
                offset: index,
                resv: 0,
                data: 0,
            };
            // SAFETY: as in `register`.
            unsafe {
                libc::syscall(
                    libc::SYS_io_uring_register,
                    self.uring.as_raw_fd(),
                    UNREGISTER_RING_FDS,
                    &raw const up,
                    1,
                );
            }
        }
    }
}

/// `MSG_WAITALL` makes a short send a failure, which is never quiet; `MSG_DONTWAIT` ends it within
/// the submission.
pub(super) fn quiet_flags() -> i32 {
    libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_WAITALL
}

/// The ring with as many of the wished flags as the kernel takes.
fn build(sq_entries: u32, cq_entries: u32) -> io::Result<(IoUring, Features)> {
    let mut last = io::Error::from(io::ErrorKind::Unsupported);
    for level in 0..4 {
        let mut builder: io_uring::Builder<squeue::Entry, cqueue::Entry> = IoUring::builder();
        builder.setup_cqsize(cq_entries).setup_clamp();
        let features = Features {
            single_issuer: level <= 1,
            defer_taskrun: level == 0,
            ..Features::default()
        };
        if level <= 2 {
            builder
                .setup_submit_all()
                .setup_coop_taskrun()
                .setup_taskrun_flag();
        }
        if features.single_issuer {
            builder.setup_single_issuer();
        }
        if features.defer_taskrun {
            builder.setup_defer_taskrun();
        }
        match builder.build(sq_entries) {
            Ok(uring) => return Ok((uring, features)),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}
