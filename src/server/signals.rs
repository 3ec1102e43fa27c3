//! SIGTERM and SIGINT end the server cleanly; SIGPIPE and SIGHUP are ignored.

use std::io;

/// The signals that end the process, blocked in every thread that is started after.
pub(super) struct Signals {
    set: libc::sigset_t,
}

impl Signals {
    /// Blocks them in this thread and in those that it starts.
    pub fn block() -> io::Result<Self> {
        // SAFETY: zeros are a valid set for `sigemptyset` to fill; the calls only read it after.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            libc::sigaddset(&raw mut set, libc::SIGINT);
            if libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(Signals { set })
        }
    }

    /// Calls `f` from a thread of its own when one arrives. While what it has begun is under way, a
    /// SIGINT ends the process at once, as in Redis; a SIGTERM does not, for some supervisors send
    /// it twice.
    pub fn on_termination(
        self,
        is_under_way: impl Fn() -> bool + Send + 'static,
        f: impl Fn(&'static str) + Send + 'static,
    ) {
        let wait = move || {
            loop {
                match (self.wait(), is_under_way()) {
                    ("SIGINT", true) => std::process::exit(1),
                    (_, true) => {}
                    (name, false) => f(name),
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(wait);
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread for signals: they are ignored");
        }
    }

    fn wait(&self) -> &'static str {
        let mut signal = 0;
        // SAFETY: the set is valid and the signals in it are blocked.
        while unsafe { libc::sigwait(&raw const self.set, &raw mut signal) } != 0 {}
        if signal == libc::SIGINT {
            "SIGINT"
        } else {
            "SIGTERM"
        }
    }
}
