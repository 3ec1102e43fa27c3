//! The shard threads: one per core, pinned, each on a glommio executor or plain.
//!
//! The only module that names glommio. With io_uring each shard is the main task of a glommio
//! executor, which brings placement, timers, local tasks and file I/O to that core. The network
//! driver runs inside the task and blocks in its own ring; that is allowed while no I/O of glommio
//! is outstanding on the core. Without io_uring, glommio cannot run at all: there the threads are
//! plain ones.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use glommio::{LocalExecutorBuilder, Placement};

use crate::net::IoKind;
pub use crate::net::{Features, probe};

/// The smallest share of locked memory that glommio takes for direct I/O: the network does not use
/// it.
const EXECUTOR_MEMORY: usize = 64 * 1024;
/// Entries of each of the executor's own rings, which only file I/O uses.
const EXECUTOR_RING_DEPTH: usize = 32;

/// Starts one thread per element of `cpus`, pinned to that CPU or free to move, and runs `body`
/// with the thread's position in it. Returns when all threads are set up.
///
/// A panic in one of them aborts the process: a shard that is gone takes its part of the data with
/// it, and the others would wait for it for ever.
///
/// # Errors
/// When a thread or its executor cannot be made, or a CPU is not there or not allowed. No body runs
/// then.
pub fn start<F>(kind: IoKind, cpus: Vec<Option<usize>>, body: F) -> io::Result<Vec<JoinHandle<()>>>
where
    F: Fn(usize) + Send + Clone + 'static,
{
    let count = cpus.len();
    let (ready, readies) = mpsc::channel::<io::Result<()>>();
    let (mut gates, mut threads) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (shard, cpu) in cpus.into_iter().enumerate() {
        let (gate, go) = mpsc::channel::<()>();
        let (ready, body) = (ready.clone(), body.clone());
        let main = move || {
            // A dropped gate means that another thread could not be set up.
            let guarded = || {
                if go.recv().is_ok() {
                    let guard = AbortOnPanic { shard };
                    body(shard);
                    drop(guard);
                }
            };
            match kind {
                IoKind::Uring => host(cpu, &ready, guarded),
                IoKind::Epoll => {
                    let pinned = cpu.map_or(Ok(()), pin);
                    let failed = pinned.is_err();
                    let _ = ready.send(pinned);
                    if !failed {
                        guarded();
                    }
                }
            }
        };
        threads.push(Builder::new().name(format!("shard-{shard}")).spawn(main)?);
        gates.push(gate);
    }
    drop(ready);
    for _ in 0..count {
        readies
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("a shard thread ended early")))?;
    }
    for gate in gates {
        // Cannot fail: the thread waits at its gate.
        let _ = gate.send(());
    }
    Ok(threads)
}

/// Runs `body` as the main task of a glommio executor on this thread.
fn host(cpu: Option<usize>, ready: &mpsc::Sender<io::Result<()>>, body: impl FnOnce()) {
    let placement = cpu.map_or(Placement::Unbound, Placement::Fixed);
    let executor = LocalExecutorBuilder::new(placement)
        .io_memory(EXECUTOR_MEMORY)
        .ring_depth(EXECUTOR_RING_DEPTH)
        .make();
    match executor {
        Ok(executor) => {
            let _ = ready.send(Ok(()));
            executor.run(async { body() });
        }
        Err(error) => {
            let _ = ready.send(Err(io::Error::other(error.to_string())));
        }
    }
}

struct AbortOnPanic {
    shard: usize,
}

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "shard {} panicked; the process ends, since its data is out of reach",
                self.shard
            );
            std::process::abort();
        }
    }
}

/// Pins the calling thread to one CPU.
fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: zeros are the empty set; `CPU_SET` stays within it by the check above; the set is
    // valid for the call.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The CPUs on which the calling thread may run, ascending.
///
/// # Errors
/// The system's, for machines with more than 1,024 CPUs.
pub fn cpus_allowed() -> io::Result<Vec<usize>> {
    // SAFETY: zeros are the empty set, which the call fills in within its size.
    let (result, set) = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let len = size_of::<libc::cpu_set_t>();
        (libc::sched_getaffinity(0, len, &raw mut set), set)
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `CPU_ISSET` stays within the set for numbers below CPU_SETSIZE.
    Ok((0..libc::CPU_SETSIZE as usize)
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect())
}

/// One allowed CPU (the lowest) per physical core, ascending, by `/sys/devices/system/cpu`. Where
/// that is not readable, each CPU counts as a core.
///
/// # Errors
/// As [`cpus_allowed`].
pub fn physical_cores() -> io::Result<Vec<usize>> {
    let topology = |cpu: usize, name: &str| -> Option<i64> {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/{name}");
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Ok(one_per_core(&cpus_allowed()?, |cpu| {
        Some((
            topology(cpu, "physical_package_id")?,
            topology(cpu, "core_id")?,
        ))
    }))
}

/// The lowest CPU of each core; a CPU of which no core is known stands for itself.
fn one_per_core(cpus: &[usize], core: impl Fn(usize) -> Option<(i64, i64)>) -> Vec<usize> {
    let mut seen = BTreeMap::new();
    let mut chosen = Vec::new();
    for &cpu in cpus {
        let first = core(cpu).is_none_or(|core| seen.insert(core, cpu).is_none());
        if first {
            chosen.push(cpu);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_of_one_core_count_once() {
        // Two packages of two cores with two threads each; CPU 9 is unknown.
        let core = |cpu| (cpu < 8).then_some(((cpu % 8 / 4) as i64, (cpu % 2) as i64));
        assert_eq!(
            one_per_core(&[0, 1, 2, 3, 4, 5, 6, 7, 9], core),
            [0, 1, 4, 5, 9]
        );
        assert_eq!(one_per_core(&[3, 7], core), [3, 7]);
    }

    #[test]
    fn the_cores_are_among_the_allowed_cpus() {
        let cpus = cpus_allowed().unwrap();
        let cores = physical_cores().unwrap();
        assert!(!cores.is_empty() && cores.iter().all(|core| cpus.contains(core)));
    }

    #[test]
    fn each_thread_runs_on_its_cpu_under_both_kinds() {
        let cpus = cpus_allowed().unwrap();
        for kind in [IoKind::Epoll, IoKind::Uring] {
            if kind == IoKind::Uring && !probe().uring {
                continue;
            }
            let (sender, receiver) = mpsc::channel();
            let body = move |shard| sender.send((shard, cpus_allowed().unwrap())).unwrap();
            let wanted = cpus.iter().map(|&cpu| Some(cpu)).chain([None]).collect();
            for thread in start(kind, wanted, body).unwrap() {
                thread.join().unwrap();
            }
            let mut ran: Vec<_> = receiver.iter().collect();
            ran.sort();
            let pinned = cpus.iter().map(|&cpu| vec![cpu]).chain([cpus.clone()]);
            assert_eq!(ran, pinned.enumerate().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error_and_no_body_runs() {
        for kind in [IoKind::Epoll, IoKind::Uring] {
            if kind == IoKind::Uring && !probe().uring {
                continue;
            }
            let body = |_| panic!("must not run");
            assert!(start(kind, vec![None, Some(1023)], body).is_err());
        }
    }
}
