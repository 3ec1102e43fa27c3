//! CPU per request of the commands of the other data types, of PUBLISH and of blocked clients.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::generator::{self, Load};
use crate::process::CpuSample;
use crate::report::{Reading, Results};
use crate::server::{Kind, Options, Server};
use crate::throughput::reading;
use crate::{Bench, wanted};

const KINDS: [Kind; 3] = [Kind::Banyan, Kind::Redis, Kind::Valkey];
/// Members and fields that the loads draw from.
const ELEMENTS: u64 = 1_000_000;

struct Case {
    line: &'static str,
    command: &'static [&'static str],
    requests: u64,
}

const fn case(line: &'static str, command: &'static [&'static str], requests: u64) -> Case {
    Case {
        line,
        command,
        requests,
    }
}

/// In this order on one server: what is popped was pushed before, and there is enough of it.
/// Keys, members and values are those of redis-benchmark's own tests.
const AT_P16: &[Case] = &[
    case("incr_p16", &["incr", "counter:__rand_int__"], 1_000_000),
    case("lpush_p16", &["lpush", "mylist", "xxx"], 1_000_000),
    case("rpush_p16", &["rpush", "mylist", "xxx"], 1_000_000),
    case("lrange_100_p16", &["lrange", "mylist", "0", "99"], 150_000),
    case("lpop_p16", &["lpop", "mylist"], 900_000),
    case("rpop_p16", &["rpop", "mylist"], 900_000),
    case(
        "sadd_p16",
        &["sadd", "myset", "element:__rand_int__"],
        1_000_000,
    ),
    case("spop_p16", &["spop", "myset"], 500_000),
    case(
        "hset_p16",
        &["hset", "myhash", "element:__rand_int__", "xxx"],
        1_000_000,
    ),
    case(
        "zadd_p16",
        &["zadd", "myzset", "0", "element:__rand_int__"],
        800_000,
    ),
    case("zpopmin_p16", &["zpopmin", "myzset"], 400_000),
    case(
        "xadd_p16",
        &["xadd", "mystream", "*", "myfield", "xxx"],
        800_000,
    ),
];

/// On a sorted set of many members with different scores.
const ON_LARGE: &[Case] = &[
    case(
        "zadd_10m",
        &["zadd", "large", "__rand_int__", "key:__rand_int__"],
        500_000,
    ),
    case(
        "zrank_10m",
        &["zrank", "large", "key:__rand_int__"],
        500_000,
    ),
    case(
        "zrange_10m",
        &[
            "zrange",
            "large",
            "__rand_int__",
            "inf",
            "byscore",
            "limit",
            "0",
            "10",
        ],
        300_000,
    ),
];

/// The commands of each type at a pipeline of 16.
pub fn at_p16(bench: &Bench, results: &mut Results) {
    if !wanted(bench, &lines_of(AT_P16)) {
        return;
    }
    for _ in 0..bench.rounds {
        for kind in bench.installed_kinds(&KINDS) {
            let server = Server::start(&bench.installed, kind, &Options::on(&bench.server_cpu));
            run_all(bench, results, AT_P16, server, ELEMENTS);
        }
    }
}

/// A sorted set of ten million members (quick: one million). Once: it takes half a minute a server.
pub fn large_sorted_set(bench: &Bench, results: &mut Results) {
    if !wanted(bench, &lines_of(ON_LARGE)) {
        return;
    }
    let members = bench.sorted_set_members();
    for kind in bench.installed_kinds(&KINDS) {
        let server = Server::start(&bench.installed, kind, &Options::on(&bench.server_cpu))
            .and_then(|server| fill_sorted_set(&server, members).map(|()| server));
        run_all(bench, results, ON_LARGE, server, members);
    }
}

fn lines_of(cases: &[Case]) -> Vec<&'static str> {
    cases.iter().map(|case| case.line).collect()
}

fn run_all(
    bench: &Bench,
    results: &mut Results,
    cases: &[Case],
    server: io::Result<Server>,
    key_space: u64,
) {
    let server = match server {
        Ok(server) => server,
        Err(error) => {
            eprintln!("  {error}");
            return;
        }
    };
    // All of them, wanted or not: later ones pop what earlier ones push.
    for case in cases {
        let load = Load {
            command: case.command,
            pipeline: 16,
            connections: 50,
            key_space,
        };
        let outcome = run(bench, &server, &load, case.requests);
        if bench.wants(case.line) {
            results.add(case.line, server.kind, outcome);
        }
    }
}

fn run(bench: &Bench, server: &Server, load: &Load, requests: u64) -> io::Result<Reading> {
    let requests = bench.scaled(requests);
    let before = CpuSample::of(server.pid())?;
    let rate = generator::redis_benchmark(server.port, load, requests)?;
    reading(server, &before, rate, requests)
}

/// Members `key:000000000000` and on, each with its number as score, out of order.
fn fill_sorted_set(server: &Server, members: u64) -> io::Result<()> {
    const BATCH: u64 = 500;
    // A number without a common factor with any count of members that is a power of ten.
    const STRIDE: u64 = 7_368_787;
    let mut client = server.client()?;
    let mut next = 0;
    while next < members {
        let end = (next + BATCH).min(members);
        let words: Vec<String> = (next..end)
            .map(|at| at * STRIDE % members)
            .flat_map(|number| [number.to_string(), format!("key:{number:012}")])
            .collect();
        let mut arguments: Vec<&[u8]> = vec![b"ZADD", b"large"];
        arguments.extend(words.iter().map(String::as_bytes));
        client.push(&arguments);
        client.flush()?;
        client.skip_replies(1)?;
        next = end;
    }
    Ok(())
}

/// PUBLISH to one subscriber and to a thousand.
pub fn publish(bench: &Bench, results: &mut Results) {
    let cases = [("publish_1", 1, 300_000), ("publish_1000", 1000, 3_000)];
    for _ in 0..bench.rounds {
        for (line, subscribers, requests) in cases {
            if !bench.wants(line) {
                continue;
            }
            for kind in bench.installed_kinds(&KINDS) {
                let outcome = publish_to(bench, kind, subscribers, bench.scaled(requests));
                results.add(line, kind, outcome);
            }
        }
    }
}

fn publish_to(bench: &Bench, kind: Kind, subscribers: usize, requests: u64) -> io::Result<Reading> {
    let server = Server::start(&bench.installed, kind, &Options::on(&bench.server_cpu))?;
    let mut listeners = Vec::with_capacity(subscribers);
    for _ in 0..subscribers {
        listeners.push(server.client()?.subscribe("channel")?);
    }
    const MESSAGE: &str = "*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$3\r\nxxx\r\n";
    let due = MESSAGE.len() as u64 * requests * subscribers as u64;
    let load = Load {
        command: &["publish", "channel", "xxx"],
        pipeline: 16,
        connections: 1,
        key_space: 1,
    };
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_all(&mut listeners, due, &stop));
        let before = CpuSample::of(server.pid())?;
        let rate = generator::redis_benchmark(server.port, &load, requests);
        if rate.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        // What subscribers have not read yet is part of the cost.
        reader
            .join()
            .map_err(|_| io::Error::other("the reader panicked"))??;
        reading(&server, &before, rate?, requests)
    })
}

/// Reads `due` bytes from all of them together.
fn read_all(listeners: &mut [TcpStream], due: u64, stop: &AtomicBool) -> io::Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(60);
    let started = Instant::now();
    let mut chunk = vec![0; 256 * 1024];
    let mut got = 0;
    while got < due {
        let before = got;
        for listener in &mut *listeners {
            match listener.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => got += count as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        if stop.load(Ordering::Relaxed) || started.elapsed() > TIMEOUT {
            return Err(io::Error::other("not every message arrived"));
        }
        if got == before {
            thread::sleep(Duration::from_micros(500));
        }
    }
    Ok(())
}

/// SORT of a list of a thousand numbers, of which ten are asked for.
pub fn sort(bench: &Bench, results: &mut Results) {
    const LINE: &str = "sort_1000";
    if !bench.wants(LINE) {
        return;
    }
    let load = Load {
        command: &["sort", "numbers", "limit", "0", "10"],
        pipeline: 1,
        connections: 10,
        key_space: 1,
    };
    for _ in 0..bench.rounds {
        for kind in bench.installed_kinds(&KINDS) {
            let outcome = Server::start(&bench.installed, kind, &Options::on(&bench.server_cpu))
                .and_then(|server| {
                    let numbers: Vec<String> = (0..1000)
                        .map(|n| (n * 7919 % 100_003).to_string())
                        .collect();
                    let mut arguments = vec!["RPUSH", "numbers"];
                    arguments.extend(numbers.iter().map(String::as_str));
                    server.client()?.call(&arguments)?;
                    run(bench, &server, &load, 20_000)
                });
            results.add(LINE, kind, outcome);
        }
    }
}

/// One client waits in BLPOP, another pushes what it waits for, over and over.
pub fn ping_pong(bench: &Bench, results: &mut Results) {
    const LINE: &str = "blpop_wakeup";
    if !bench.wants(LINE) {
        return;
    }
    for _ in 0..bench.rounds {
        for kind in bench.installed_kinds(&KINDS) {
            results.add(LINE, kind, wake_ups(bench, kind));
        }
    }
}

fn wake_ups(bench: &Bench, kind: Kind) -> io::Result<Reading> {
    let server = Server::start(&bench.installed, kind, &Options::on(&bench.server_cpu))?;
    let (mut waiting, mut pushing): (Client, Client) = (server.client()?, server.client()?);
    let cycles = bench.scaled(60_000);
    let before = CpuSample::of(server.pid())?;
    let started = Instant::now();
    for _ in 0..cycles {
        waiting.push(&[b"BLPOP", b"ping", b"0"]);
        waiting.flush()?;
        pushing.push(&[b"LPUSH", b"ping", b"xxx"]);
        pushing.flush()?;
        pushing.skip_replies(1)?;
        waiting.skip_replies(1)?;
    }
    let rate = cycles as f64 / started.elapsed().as_secs_f64();
    reading(&server, &before, rate, cycles)
}
