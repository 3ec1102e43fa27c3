//! Full sync as an operator sees it: how long until a replica has the whole dataset, and what the
//! primary holds at most while four take it at once.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::load_keys;
use crate::replication::{millions, resident_without_stream, until, write_while};
use crate::report::{Reading, Results};
use crate::server::{Kind, Options, Server};
use crate::sink::Sinks;
use crate::{Bench, wanted};

const OWN: &str = "sync_into_own";
const FROM_REDIS: &str = "sync_into_redis";

/// From REPLICAOF to the end of the sync, replica on the server's core and primary on the load's:
/// each kind from its own, and from redis-server. Nothing is written meanwhile.
pub fn into_replicas(bench: &Bench, results: &mut Results) {
    if !wanted(bench, &[OWN, FROM_REDIS]) {
        return;
    }
    for _ in 0..bench.rounds.min(3) {
        for source in bench.installed_kinds(&[Kind::Redis, Kind::Banyan, Kind::Valkey]) {
            from(bench, results, source);
        }
    }
}

/// All syncs whose primary is a `source`.
fn from(bench: &Bench, results: &mut Results, source: Kind) {
    let options = Options::on(&bench.load_cpu).with(&["--repl-diskless-sync-delay", "0"]);
    let primary = Server::start(&bench.installed, source, &options).and_then(|primary| {
        load_keys(primary.port, bench.bulk_keys())?;
        Ok(primary)
    });
    let kinds = match source {
        Kind::Redis => bench.installed_kinds(&[Kind::Banyan, Kind::Redis, Kind::Valkey]),
        own => vec![own],
    };
    for kind in kinds {
        let outcome = match &primary {
            Ok(primary) => sync_once(bench, primary, kind).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let reading = |outcome: &Result<f64, String>| match outcome {
            Ok(seconds) => Ok(Reading {
                note: millions(bench.bulk_keys()),
                ..Reading::of(*seconds)
            }),
            Err(text) => Err(io::Error::other(text.clone())),
        };
        // From redis-server into redis-server is what both are held against.
        if kind == source && bench.wants(OWN) {
            results.add(OWN, kind, reading(&outcome));
        }
        if source == Kind::Redis && bench.wants(FROM_REDIS) {
            results.add(FROM_REDIS, kind, reading(&outcome));
        }
    }
}

fn sync_once(bench: &Bench, primary: &Server, kind: Kind) -> io::Result<f64> {
    let replica = Server::start(&bench.installed, kind, &Options::on(&bench.server_cpu))?;
    let mut client = replica.client()?;
    let started = Instant::now();
    client.call(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()])?;
    until("the full sync did not end", || {
        Ok(client.info("replication", "master_link_status")? == "up")
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let size = client.call(&["DBSIZE"])?;
    let whole = format!(":{}\r\n", bench.bulk_keys());
    if size != whole.as_bytes() {
        let size = String::from_utf8_lossy(&size);
        return Err(io::Error::other(format!("the replica has {}", size.trim())));
    }
    Ok(seconds)
}

/// Peak of a primary's resident memory during one full sync to four replicas, under writes.
pub fn peak_with_four(bench: &Bench, results: &mut Results) {
    const LINE: &str = "sync_peak_4";
    if !bench.wants(LINE) {
        return;
    }
    for _ in 0..bench.rounds.min(2) {
        for kind in bench.installed_kinds(&[Kind::Banyan, Kind::Redis, Kind::Valkey]) {
            results.add(LINE, kind, peak_of(bench, kind));
        }
    }
}

fn peak_of(bench: &Bench, kind: Kind) -> io::Result<Reading> {
    const REPLICAS: usize = 4;
    let options = Options::on(&bench.server_cpu)
        // All four share one snapshot.
        .with(&["--repl-diskless-sync-delay", "5"])
        .with(&["--repl-diskless-sync-max-replicas", &REPLICAS.to_string()])
        .with(&["--client-output-buffer-limit", "replica 2gb 0 0"]);
    let primary = Server::start(&bench.installed, kind, &options)?;
    load_keys(primary.port, bench.bulk_keys())?;
    // Incremental rehashing ends.
    thread::sleep(Duration::from_secs(2));
    let mut info = primary.client()?;
    // The writer's own buffers are no part of the sync.
    write_while(bench, &primary, || {
        thread::sleep(Duration::from_secs(1));
        Ok(())
    })?;
    let before = resident_without_stream(&primary, &mut info)?;
    let (peak, _) = write_while(bench, &primary, || {
        let sinks = Sinks::attach(primary.port, REPLICAS)?;
        watch(&primary, &sinks)
    })?;
    Ok(Reading {
        note: format!("{}, without the stream", millions(bench.bulk_keys())),
        ..Reading::of(peak / before.max(1.0))
    })
}

/// The highest resident memory from now until a second after all sinks have the snapshot.
fn watch(primary: &Server, sinks: &Sinks) -> io::Result<f64> {
    const TAIL: Duration = Duration::from_secs(1);
    const TIMEOUT: Duration = Duration::from_secs(180);
    let mut info = primary.client()?;
    let (started, mut peak) = (Instant::now(), 0_f64);
    let mut ended: Option<Instant> = None;
    while started.elapsed() < TIMEOUT {
        peak = peak.max(resident_without_stream(primary, &mut info)?);
        if ended.is_none() && sinks.are_streaming()? {
            ended = Some(Instant::now());
        }
        if ended.is_some_and(|at| at.elapsed() > TAIL) {
            return Ok(peak);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(io::Error::other("the full sync did not end"))
}
