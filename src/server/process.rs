//! Facts of the process and the machine, and warnings about settings that cost speed.

use std::fs;
use std::sync::LazyLock;
use std::time::Instant;

use crate::command::Rng;
use crate::shard::shared::{Allocated, Allocator};

/// Allocated, resident and peak resident bytes.
pub fn memory() -> (u64, u64, u64) {
    // The allocator's figures are cached until its epoch moves on.
    let _ = tikv_jemalloc_ctl::epoch::advance();
    let allocated = tikv_jemalloc_ctl::stats::allocated::read().unwrap_or(0) as u64;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let word = line.and_then(|line| line.split_whitespace().nth(1));
        word.and_then(|word| word.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    (allocated, kib("VmRSS:"), kib("VmHWM:"))
}

/// The allocator's figures and what can be asked of it.
pub fn allocator() -> Allocator {
    Allocator {
        figures: allocated,
        report: allocator_report,
        purge,
    }
}

fn allocated() -> Allocated {
    let _ = tikv_jemalloc_ctl::epoch::advance();
    let bytes = |read: tikv_jemalloc_ctl::Result<usize>| read.unwrap_or(0) as u64;
    Allocated {
        allocated: bytes(tikv_jemalloc_ctl::stats::allocated::read()),
        active: bytes(tikv_jemalloc_ctl::stats::active::read()),
        resident: bytes(tikv_jemalloc_ctl::stats::resident::read()),
    }
}

fn allocator_report() -> String {
    use tikv_jemalloc_ctl::{arenas, stats};
    let Allocated {
        allocated,
        active,
        resident,
    } = allocated();
    let bytes = |read: tikv_jemalloc_ctl::Result<usize>| read.unwrap_or(0);
    format!(
        "jemalloc, bytes:\nallocated: {allocated}\nactive: {active}\nresident: {resident}\n\
         metadata: {}\nmapped: {}\nretained: {}\narenas: {}\n",
        bytes(stats::metadata::read()),
        bytes(stats::mapped::read()),
        bytes(stats::retained::read()),
        arenas::narenas::read().unwrap_or(0),
    )
}

/// An arena whose unused pages may stay for no time at all gives them back at once.
fn purge() {
    let arenas = tikv_jemalloc_ctl::arenas::narenas::read().unwrap_or(0);
    for arena in 0..arenas {
        let name = format!("arena.{arena}.dirty_decay_ms\0");
        // SAFETY: the name ends with a zero byte, and its value is a `ssize_t`. Arenas that are
        // not in use are refused with an error.
        unsafe {
            if let Ok(before) = tikv_jemalloc_ctl::raw::update(name.as_bytes(), 0isize) {
                let _ = tikv_jemalloc_ctl::raw::write(name.as_bytes(), before);
            }
        }
    }
}

/// Bytes that the calling thread has allocated less those that it has freed, of whatever thread:
/// two loads, once the allocator has told where its counters are.
pub fn thread_memory() -> i64 {
    use tikv_jemalloc_ctl::thread::{ThreadLocal, allocatedp, deallocatedp};
    thread_local! {
        static COUNTERS: Option<[ThreadLocal<u64>; 2]> =
            Some([allocatedp::read().ok()?, deallocatedp::read().ok()?]);
    }
    COUNTERS.with(|counters| {
        counters.map_or(0, |[allocated, freed]| {
            allocated.get().wrapping_sub(freed.get()) as i64
        })
    })
}

/// Memory of the machine, bytes; 0 if it cannot be told.
pub fn total_memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes =
        total.and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Seconds of CPU used by the process: (system, user).
pub fn cpu() -> (f64, f64) {
    // SAFETY: zeros are a valid `rusage`, which the call fills in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_stime), seconds(usage.ru_utime))
}

/// The monotonic clock, nanoseconds. On most machines no system call: the kernel's page is read.
pub fn clock_ns() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    // A process does not run for 584 years.
    START.elapsed().as_nanos() as u64
}

/// The operating system as INFO shows it.
pub fn os() -> String {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
        text.trim().to_owned()
    };
    format!(
        "{} {} {}",
        read("ostype"),
        read("osrelease"),
        std::env::consts::ARCH
    )
}

/// A generator seeded by the system.
///
/// # Errors
/// If the system's random source cannot be read.
pub fn entropy() -> std::io::Result<Rng> {
    let mut seed = [0; 8];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut seed)?;
    Ok(Rng::new(u64::from_le_bytes(seed)))
}

/// Raises the limit of open files to what `maxclients` needs, as far as allowed. What is in force.
pub fn raise_open_files(maxclients: u32) -> u64 {
    let wanted = u64::from(maxclients) + RESERVED_FILES;
    // SAFETY: zeros are a valid `rlimit`, which the calls read and fill in.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return wanted;
        }
        if limit.rlim_cur < wanted {
            let raised = libc::rlimit {
                rlim_cur: wanted,
                rlim_max: limit.rlim_max.max(wanted),
            };
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) != 0 {
                limit.rlim_cur = limit.rlim_max.min(wanted);
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
            }
            libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        }
        limit.rlim_cur
    }
}

/// Descriptors that are no client's: rings, listeners, logs, links to replicas.
const RESERVED_FILES: u64 = 64;

/// Lowers `maxclients` to what the open files in force allow, as Redis does; says so in one line.
pub fn lower_maxclients(maxclients: &mut u32, open_files: u64) -> Option<String> {
    let wanted = u64::from(*maxclients) + RESERVED_FILES;
    if open_files >= wanted {
        return None;
    }
    let possible = open_files.saturating_sub(RESERVED_FILES).max(1);
    let line = format!(
        "maxclients is lowered from {maxclients} to {possible}, for at most {open_files} files may \
         be open: ulimit -n {wanted}"
    );
    *maxclients = u32::try_from(possible).unwrap_or(u32::MAX);
    Some(line)
}

/// One line for each system setting that costs speed, with the command that mends it.
pub fn warnings(tcp_backlog: u32, uring: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let number = |path: &str| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    if let Some(somaxconn) = number("/proc/sys/net/core/somaxconn")
        && somaxconn < u64::from(tcp_backlog)
    {
        lines.push(format!(
            "the TCP backlog of {tcp_backlog} is cut to {somaxconn}: \
             sysctl -w net.core.somaxconn={tcp_backlog}"
        ));
    }
    if number("/proc/sys/vm/overcommit_memory") == Some(2) {
        lines.push(
            "memory overcommit is off, large allocations may fail: sysctl -w vm.overcommit_memory=1"
                .to_owned(),
        );
    }
    let thp = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    if thp.contains("[always]") {
        lines.push(
            "transparent huge pages are always on, which costs memory: \
             echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
                .to_owned(),
        );
    }
    if uring && memlock() < 64 << 20 {
        lines.push(
            "the limit of locked memory is below 64 MiB, rings may fail on old kernels: \
             ulimit -l unlimited"
                .to_owned(),
        );
    }
    lines
}

fn memlock() -> u64 {
    // SAFETY: zeros are a valid `rlimit`, which the call fills in.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit);
        limit.rlim_cur
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_knows_its_own_figures() {
        let (_, resident, peak) = memory();
        assert!(resident > 0 && peak >= resident);
        assert!(os().starts_with("Linux "));
        assert_ne!(entropy().unwrap().next_u64(), entropy().unwrap().next_u64());
        assert!(raise_open_files(100) >= 164);
    }

    #[test]
    fn fewer_open_files_mean_fewer_clients() {
        let mut maxclients = 10_000;
        assert_eq!(lower_maxclients(&mut maxclients, 10_064), None);
        let line = lower_maxclients(&mut maxclients, 1024).unwrap();
        assert_eq!(maxclients, 960);
        assert!(line.contains("ulimit -n 10064"), "{line}");
        lower_maxclients(&mut maxclients, 10).unwrap();
        assert_eq!(maxclients, 1);
    }
}
