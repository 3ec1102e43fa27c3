//! CPU per request under load from redis-benchmark: alone, with a replica, over many shards.

use std::io;

use crate::client::load_keys;
use crate::generator::{self, GET, Load, MGET, MSET, SET};
use crate::process::{CpuSample, CpuTime};
use crate::replication::{attach, replica_kind, wait_until_caught_up};
use crate::report::{Reading, Results};
use crate::server::{Kind, Options, Server};
use crate::{Bench, wanted};

/// Keys that all these loads draw from; every one exists beforehand.
const KEY_SPACE: u64 = 1_000_000;
const CONNECTIONS: u32 = 50;

const fn load(command: &'static [&'static str], pipeline: u32) -> Load {
    Load {
        command,
        pipeline,
        connections: CONNECTIONS,
        key_space: KEY_SPACE,
    }
}

/// Line, load and requests of a full run; about two seconds each.
const ALONE: &[(&str, Load, u64)] = &[
    ("get_p1", load(GET, 1), 200_000),
    ("set_p1", load(SET, 1), 200_000),
    ("set_p16", load(SET, 16), 1_500_000),
    ("get_p100", load(GET, 100), 2_500_000),
];

/// Every server alone on its core.
pub fn alone(bench: &Bench, results: &mut Results) {
    let mut lines: Vec<&'static str> = ALONE.iter().map(|(line, ..)| *line).collect();
    lines.push("memtier_p1");
    if !wanted(bench, &lines) {
        return;
    }
    for _ in 0..bench.rounds {
        for kind in bench.installed_kinds(&Kind::ALL) {
            let server = start_loaded(bench, kind, &Options::on(&bench.server_cpu));
            for &(line, load, requests) in ALONE {
                if bench.wants(line) {
                    let outcome = run(bench, &server, &load, requests);
                    results.add(line, kind, outcome);
                }
            }
            if bench.wants("memtier_p1") {
                results.add("memtier_p1", kind, run_memtier(bench, &server));
            }
        }
    }
}

/// A primary with one real replica, which shares the core of the load.
pub fn with_replica(bench: &Bench, results: &mut Results) {
    const LINE: &str = "set_p16_replica";
    if !bench.wants(LINE) {
        return;
    }
    for _ in 0..bench.rounds {
        for kind in bench.installed_kinds(&[Kind::Banyan, Kind::Redis, Kind::Valkey]) {
            results.add(LINE, kind, primary_with_replica(bench, kind));
        }
    }
}

fn primary_with_replica(bench: &Bench, kind: Kind) -> io::Result<Reading> {
    let options = Options::on(&bench.server_cpu).with(&["--repl-diskless-sync-delay", "0"]);
    let primary = start_loaded(bench, kind, &options)?;
    let options = Options::on(&bench.load_cpu);
    let replica = Server::start(&bench.installed, replica_kind(kind), &options)?;
    attach(&replica, &primary)?;
    let requests = bench.scaled(1_000_000);
    let before = CpuSample::of(primary.pid())?;
    let rate = generator::redis_benchmark(primary.port, &load(SET, 16), requests)?;
    // What is still to be sent to the replica is part of the cost.
    wait_until_caught_up(&replica, &primary)?;
    reading(&primary, &before, rate, requests)
}

/// Banyan with one shard and with eight on the same two cores.
pub fn sharded(bench: &Bench, results: &mut Results) {
    struct Case {
        line: &'static str,
        load: Load,
        requests: u64,
        shards: usize,
        order: &'static str,
    }
    let case = |line, load, requests, shards, order| Case {
        line,
        load,
        requests,
        shards,
        order,
    };
    let cases = [
        case("set_shards1", load(SET, 16), 1_000_000, 1, "strict"),
        case(
            "set_shards8_relaxed",
            load(SET, 16),
            1_000_000,
            8,
            "relaxed",
        ),
        case("set_shards8_strict", load(SET, 16), 1_000_000, 8, "strict"),
        case("mset_shards1", load(MSET, 1), 100_000, 1, "strict"),
        case("mset_shards8", load(MSET, 1), 100_000, 8, "strict"),
        case("mget_shards1", load(MGET, 1), 100_000, 1, "strict"),
        case("mget_shards8", load(MGET, 1), 100_000, 8, "strict"),
    ];
    if bench.installed_kinds(&[Kind::Banyan]).is_empty() {
        return;
    }
    for _ in 0..bench.rounds {
        for (shards, order) in [(1, "strict"), (8, "relaxed"), (8, "strict")] {
            let mut here = cases.iter().filter(|case| {
                case.shards == shards && case.order == order && bench.wants(case.line)
            });
            let Some(first) = here.next() else { continue };
            let server = start_loaded(bench, Kind::Banyan, &shard_options(bench, shards, order));
            for case in std::iter::once(first).chain(here) {
                let outcome = run(bench, &server, &case.load, case.requests);
                results.add(case.line, Kind::Banyan, outcome);
            }
        }
    }
}

fn shard_options(bench: &Bench, shards: usize, order: &str) -> Options {
    let both = format!("{},{}", bench.server_cpu, bench.load_cpu);
    let cpus = if shards == 1 {
        &bench.server_cpu
    } else {
        &both
    };
    let options = Options::on(cpus).with(&["--pipeline-order", order]);
    Options { shards, ..options }
}

/// A server that holds every key that the loads ask for.
fn start_loaded(bench: &Bench, kind: Kind, options: &Options) -> io::Result<Server> {
    let server = Server::start(&bench.installed, kind, options)?;
    load_keys(server.port, KEY_SPACE)?;
    Ok(server)
}

fn run(
    bench: &Bench,
    server: &io::Result<Server>,
    load: &Load,
    requests: u64,
) -> io::Result<Reading> {
    let server = server.as_ref().map_err(copy)?;
    let requests = bench.scaled(requests);
    let before = CpuSample::of(server.pid())?;
    let rate = generator::redis_benchmark(server.port, load, requests)?;
    reading(server, &before, rate, requests)
}

fn run_memtier(bench: &Bench, server: &io::Result<Server>) -> io::Result<Reading> {
    let server = server.as_ref().map_err(copy)?;
    let requests = bench.scaled(200_000);
    let before = CpuSample::of(server.pid())?;
    let rate = generator::memtier(server.port, KEY_SPACE, requests)?;
    reading(server, &before, rate, requests)
}

/// The same error again: one failed start fails every line of that server.
fn copy(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

/// CPU per request of `server` since `before`.
pub fn reading(
    server: &Server,
    before: &CpuSample,
    rate: f64,
    requests: u64,
) -> io::Result<Reading> {
    let used = CpuSample::of(server.pid())?.since(before);
    let per = |time: f64| time / requests as f64;
    let split = CpuTime {
        user: per(used.user),
        system: per(used.system),
        total: per(used.total),
    };
    Ok(Reading {
        value: split.total,
        split: Some(split),
        rate: Some(rate),
        note: String::new(),
    })
}
