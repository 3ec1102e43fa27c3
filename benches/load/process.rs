//! What the kernel says about a process: CPU time, resident memory; and where threads may run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// CPU time used by a process since it started, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    pub user: f64,
    pub system: f64,
    /// User plus system; finer than their sum where the scheduler's own counter could be read.
    pub total: f64,
}

/// CPU counters of all threads of a process at one moment.
#[derive(Clone, Debug)]
pub struct CpuSample {
    user: f64,
    system: f64,
    /// Nanoseconds on a CPU per thread id (`/proc/PID/task/TID/schedstat`).
    threads: BTreeMap<u32, u64>,
}

impl CpuSample {
    /// Reads the counters of process `pid`.
    ///
    /// # Errors
    /// The process is gone, or `/proc` has another form than proc(5) says.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The command name, in parentheses, may itself hold spaces and parentheses.
        let tail = stat
            .rsplit_once(')')
            .map(|(_, tail)| tail)
            .unwrap_or_default();
        let ticks = |index: usize| -> io::Result<f64> {
            let field = tail
                .split_ascii_whitespace()
                .nth(index)
                .and_then(|f| f.parse().ok());
            field.ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has no field {index}")))
        };
        let tick_us = 1e6 / ticks_per_second();
        // Fields 14 and 15 of proc(5); the tail starts at field 3.
        let (user, system) = (ticks(11)? * tick_us, ticks(12)? * tick_us);
        Ok(Self {
            user,
            system,
            threads: threads_of(pid),
        })
    }

    /// CPU time used between `earlier` and `self`.
    ///
    /// `/proc/PID/stat` counts in ticks of 10 ms, too coarse for a run of half a second, so the
    /// total comes from the scheduler's nanosecond counters if the same threads were there at both
    /// ends. The split into user and system is always the one of the ticks.
    pub fn since(&self, earlier: &Self) -> CpuTime {
        let (user, system) = (self.user - earlier.user, self.system - earlier.system);
        let ticks = user + system;
        let same = self.threads.keys().eq(earlier.threads.keys()) && !self.threads.is_empty();
        let nanoseconds: u64 = self
            .threads
            .iter()
            .map(|(id, now)| now.saturating_sub(earlier.threads.get(id).copied().unwrap_or(0)))
            .sum();
        let total = if same && nanoseconds > 0 {
            nanoseconds as f64 / 1e3
        } else {
            ticks
        };
        let scale = if ticks > 0.0 { total / ticks } else { 1.0 };
        CpuTime {
            user: user * scale,
            system: system * scale,
            total,
        }
    }
}

fn threads_of(pid: u32) -> BTreeMap<u32, u64> {
    let mut threads = BTreeMap::new();
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return threads;
    };
    for task in tasks.flatten() {
        let id = task.file_name().to_str().and_then(|name| name.parse().ok());
        let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let time = stat
            .split_ascii_whitespace()
            .next()
            .and_then(|field| field.parse().ok());
        if let (Some(id), Some(time)) = (id, time) {
            threads.insert(id, time);
        }
    }
    threads
}

fn ticks_per_second() -> f64 {
    // SAFETY: sysconf takes no pointer and _SC_CLK_TCK is a valid name.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

/// Resident memory of process `pid` in bytes (`VmRSS`).
///
/// # Errors
/// The process is gone.
pub fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("no VmRSS"))
}

/// Memory that the machine could still give out, in bytes (`MemAvailable`).
pub fn memory_available() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok())
        .map_or(u64::MAX, |kib| kib * 1024)
}

/// Pins every thread of this process, and so all that it starts later, to `cpus` (a list as
/// taskset(1) takes it).
pub fn pin_self(cpus: &str) -> bool {
    quiet(
        "taskset",
        &["-a", "-p", "-c", cpus, &std::process::id().to_string()],
    )
}

/// Asks for real-time priority for the calling thread, so that other load on its core cannot pass
/// for a pause of the server. Needs a privilege; false if it was refused.
pub fn prioritise_this_thread() -> bool {
    // The link reads "PID/task/TID".
    let link = fs::read_link("/proc/thread-self").unwrap_or_default();
    link.file_name()
        .and_then(|id| id.to_str())
        .is_some_and(|id| quiet("chrt", &["-f", "-p", "1", id]))
}

fn quiet(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The number of CPUs that this process may run on.
pub fn cpus_allowed() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Finds `name` as a path or on PATH, as a shell would.
pub fn find_program(name: &str) -> Option<std::path::PathBuf> {
    if name.contains('/') {
        let path = Path::new(name);
        return path.is_file().then(|| path.to_path_buf());
    }
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}
