//! Full sync under load, and applying a stream.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::generator::{self, Latencies, Load, SET};
use crate::process::CpuSample;
use crate::report::{Reading, Results};
use crate::server::{Kind, Options, Server};
use crate::throughput::reading;
use crate::{Bench, wanted};

const SYNC_TIMEOUT: Duration = Duration::from_secs(180);
const WRITES_PER_SECOND: u64 = 70_000;
/// What redis-server and valkey-server log once they have the whole RDB, before they load it.
const RDB_RECEIVED: &str = " <-> REPLICA sync: Flushing old data";
const SYNC_LINES: [&str; 5] = [
    "sync_time",
    "sync_pause",
    "sync_p999",
    "sync_noise",
    "sync_peak",
];
/// How long a replica may take to come up or to catch up.
const LINK_TIMEOUT: Duration = Duration::from_secs(60);

/// The real server that follows a primary of `kind`: redis-server, but Redis 7.0 does not read the
/// RDB version 11 that Valkey sends.
pub fn replica_kind(kind: Kind) -> Kind {
    if kind == Kind::Valkey {
        Kind::Valkey
    } else {
        Kind::Redis
    }
}

/// Makes `replica` follow `primary` and waits until its link is up.
///
/// # Errors
/// The link does not come up.
pub fn attach(replica: &Server, primary: &Server) -> io::Result<()> {
    let mut client = replica.client()?;
    client.call(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()])?;
    until("the replica's link did not come up", || {
        Ok(client.info("replication", "master_link_status")? == "up")
    })
}

/// Waits until `replica` has applied all that `primary` has written.
///
/// # Errors
/// It does not get there.
pub fn wait_until_caught_up(replica: &Server, primary: &Server) -> io::Result<()> {
    let (mut replica, mut primary) = (replica.client()?, primary.client()?);
    let target = offset(&mut primary, "master_repl_offset")?;
    until("the replica did not catch up", || {
        Ok(offset(&mut replica, "slave_repl_offset")? >= target)
    })
}

/// An offset that INFO shows.
///
/// # Errors
/// It does not.
pub fn offset(client: &mut Client, field: &str) -> io::Result<u64> {
    let text = client.info("replication", field)?;
    text.parse()
        .map_err(|_| io::Error::other(format!("{field} is {text}")))
}

/// Waits until `done`, for a minute at most.
///
/// # Errors
/// It is not `done` by then: `failure`.
pub fn until(failure: &str, mut done: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let started = Instant::now();
    // While it loads, a replica refuses even INFO now and then: only the deadline ends the wait.
    while !done().unwrap_or(false) {
        if started.elapsed() > LINK_TIMEOUT {
            return Err(io::Error::other(failure.to_owned()));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Every server as the replica of a real redis-server.
pub fn apply(bench: &Bench, results: &mut Results) {
    const LINE: &str = "replica_apply";
    if !bench.wants(LINE) {
        return;
    }
    for _ in 0..bench.rounds {
        for kind in bench.installed_kinds(&[Kind::Banyan, Kind::Redis, Kind::Valkey]) {
            results.add(LINE, kind, apply_as(bench, kind));
        }
    }
}

fn apply_as(bench: &Bench, kind: Kind) -> io::Result<Reading> {
    let options = Options::on(&bench.load_cpu).with(&["--repl-diskless-sync-delay", "0"]);
    let primary = Server::start(&bench.installed, Kind::Redis, &options)?;
    crate::client::load_keys(primary.port, 1_000_000)?;
    let replica = Server::start(&bench.installed, kind, &Options::on(&bench.server_cpu))?;
    attach(&replica, &primary)?;
    let requests = bench.scaled(1_000_000);
    let load = Load {
        command: SET,
        pipeline: 16,
        connections: 50,
        key_space: 1_000_000,
    };
    let before = CpuSample::of(replica.pid())?;
    let rate = generator::redis_benchmark(primary.port, &load, requests)?;
    wait_until_caught_up(&replica, &primary)?;
    reading(&replica, &before, rate, requests)
}

/// Resident memory per key, then a full sync of the same keys to a real replica.
pub fn memory_and_sync(bench: &Bench, results: &mut Results) {
    let with_sync = wanted(bench, &SYNC_LINES);
    if !with_sync && !bench.wants("memory") {
        return;
    }
    // A minute for each server.
    for _ in 0..bench.rounds.min(if bench.quick { 1 } else { 2 }) {
        for kind in bench.installed_kinds(&Kind::ALL) {
            let replicates = matches!(kind, Kind::Banyan | Kind::Redis | Kind::Valkey);
            let mut options = Options::on(&bench.server_cpu);
            if replicates {
                options = options.with(&["--repl-diskless-sync-delay", "0"]);
                // Room for the stream of the whole sync, for everyone.
                options = options.with(&["--client-output-buffer-limit", "replica 2gb 0 0"]);
            }
            let (server, memory) = match load_and_weigh(bench, kind, &options) {
                Ok((server, memory)) => (Ok(server), Ok(memory)),
                Err(error) => (Err(error.to_string()), Err(error)),
            };
            results.add("memory", kind, memory);
            if with_sync && replicates {
                let outcome = server
                    .map_err(io::Error::other)
                    .and_then(|s| full_sync(bench, &s));
                add_sync(results, kind, outcome);
            }
        }
    }
}

fn load_and_weigh(bench: &Bench, kind: Kind, options: &Options) -> io::Result<(Server, Reading)> {
    let keys = bench.bulk_keys();
    let server = Server::start(&bench.installed, kind, options)?;
    let empty = server.resident()?;
    crate::client::load_keys(server.port, keys)?;
    // Incremental rehashing ends.
    thread::sleep(Duration::from_secs(2));
    let bytes = server.resident()?.saturating_sub(empty);
    let note = millions(keys);
    Ok((
        server,
        Reading {
            note,
            ..Reading::of(bytes as f64 / keys as f64)
        },
    ))
}

/// How many keys, for a note.
pub fn millions(keys: u64) -> String {
    format!("{} M keys", keys as f64 / 1e6)
}

struct Sync {
    seconds: f64,
    during: Latencies,
    idle: Latencies,
    peak_to_before: f64,
}

fn add_sync(results: &mut Results, kind: Kind, outcome: io::Result<Sync>) {
    let sync = match outcome {
        Ok(sync) => sync,
        Err(error) => {
            for line in SYNC_LINES {
                results.add(line, kind, Err(io::Error::other(error.to_string())));
            }
            return;
        }
    };
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let pause = |latencies: &Latencies| Reading {
        note: format!("p99 {:.2} ms", milliseconds(latencies.quantile(0.99))),
        ..Reading::of(milliseconds(latencies.max()))
    };
    results.add("sync_time", kind, Ok(Reading::of(sync.seconds)));
    results.add("sync_pause", kind, Ok(pause(&sync.during)));
    let p999 = Reading {
        note: format!(
            "without a sync {:.2} ms",
            milliseconds(sync.idle.quantile(0.999))
        ),
        ..Reading::of(milliseconds(sync.during.quantile(0.999)))
    };
    results.add("sync_p999", kind, Ok(p999));
    results.add("sync_noise", kind, Ok(pause(&sync.idle)));
    // A forked child's copies are not in it, so Redis and Valkey look better here than they are.
    let peak = Reading {
        note: "without the stream".to_owned(),
        ..Reading::of(sync.peak_to_before)
    };
    results.add("sync_peak", kind, Ok(peak));
}

/// One full sync, with a paced writer before and during it.
///
/// The replica runs in the idle class of the load's core: it gets what the writer leaves, so that
/// it neither delays the writer nor passes for a pause of the primary.
fn full_sync(bench: &Bench, primary: &Server) -> io::Result<Sync> {
    let idle_time = Duration::from_secs(if bench.quick { 3 } else { 10 });
    let idle = write_while(bench, primary, || {
        thread::sleep(idle_time);
        Ok(())
    });
    let ((), idle) = idle?;
    let options = Options {
        idle_class: true,
        ..Options::on(&bench.load_cpu)
    };
    let options = options.with(&["--repl-diskless-load", "disabled"]);
    let replica = Server::start(&bench.installed, replica_kind(primary.kind), &options)?;
    let before = primary.resident()?;
    let ((seconds, peak), during) = write_while(bench, primary, || {
        // The writer has begun when the sync begins.
        thread::sleep(Duration::from_millis(300));
        watch_sync(primary, &replica)
    })?;
    Ok(Sync {
        seconds,
        during,
        idle,
        peak_to_before: peak / before.max(1) as f64,
    })
}

/// Runs `work` while the paced writer writes to `primary`.
///
/// # Errors
/// As `work`, or the writer's own.
pub fn write_while<T>(
    bench: &Bench,
    primary: &Server,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<(T, Latencies)> {
    let stop = AtomicBool::new(false);
    let keys = bench.bulk_keys();
    thread::scope(|scope| {
        let writer =
            scope.spawn(|| generator::paced_writer(primary.port, WRITES_PER_SECOND, keys, &stop));
        let outcome = work();
        stop.store(true, Ordering::Relaxed);
        let latencies = writer
            .join()
            .map_err(|_| io::Error::other("the writer panicked"))??;
        if latencies.count() == 0 {
            return Err(io::Error::other("the writer wrote nothing"));
        }
        Ok((outcome?, latencies))
    })
}

/// Resident memory of `primary` less what INFO says that it holds for replicas, bytes.
///
/// # Errors
/// The server is gone.
pub fn resident_without_stream(primary: &Server, info: &mut Client) -> io::Result<f64> {
    let held = info.info("memory", "mem_total_replication_buffers");
    let held: f64 = held.ok().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    Ok(primary.resident()? as f64 - held)
}

/// Attaches `replica`; returns the seconds until it has the last byte of the RDB, and the primary's
/// peak of resident memory less what INFO says that it holds for replicas, until a second later.
fn watch_sync(primary: &Server, replica: &Server) -> io::Result<(f64, f64)> {
    const TAIL: Duration = Duration::from_secs(1);
    const EVERY: u32 = 10;
    let mut info = primary.client()?;
    replica
        .client()?
        .call(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()])?;
    let started = Instant::now();
    let mut received: Option<Duration> = None;
    let mut peak = 0_f64;
    for step in 0_u32.. {
        if step.is_multiple_of(EVERY) {
            peak = peak.max(resident_without_stream(primary, &mut info)?);
        }
        if received.is_none() && replica.log().contains(RDB_RECEIVED) {
            received = Some(started.elapsed());
        }
        match received {
            Some(time) if started.elapsed() > time + TAIL => return Ok((time.as_secs_f64(), peak)),
            None if started.elapsed() > SYNC_TIMEOUT => break,
            _ => thread::sleep(Duration::from_millis(5)),
        }
    }
    Err(io::Error::other("the full sync did not end"))
}
