//! Many inserts one by one: does any single command pay for the growth of the table?

use std::io;
use std::time::Duration;

use crate::client::Client;
use crate::generator::{OneByOne, insert_one_by_one};
use crate::process::memory_available;
use crate::report::{Reading, Results};
use crate::server::{Kind, Options, Server};
use crate::{Bench, wanted};

/// Memory that a key may take at most, for the question whether the machine has room.
const BYTES_PER_KEY_MAX: u64 = 250;

/// A busy machine inserts slowly; the table says how many keys there were in the end.
const TIME_MAX: Duration = Duration::from_secs(300);
const QUICK_TIME_MAX: Duration = Duration::from_secs(20);

/// Times every insert; once, since it takes minutes and its figure is a maximum anyway.
pub fn one_by_one(bench: &Bench, results: &mut Results) {
    if !wanted(bench, &["insert_max", "insert_noise"]) {
        return;
    }
    let keys = bench.insert_keys();
    for kind in bench.installed_kinds(&[Kind::Banyan, Kind::Redis]) {
        match insert(bench, kind, keys) {
            Ok(times) => add(results, kind, &times),
            Err(error) => {
                results.add(
                    "insert_noise",
                    kind,
                    Err(io::Error::other(error.to_string())),
                );
                results.add("insert_max", kind, Err(error));
            }
        }
    }
}

fn insert(bench: &Bench, kind: Kind, keys: u64) -> io::Result<OneByOne> {
    if memory_available() / BYTES_PER_KEY_MAX < keys {
        return Err(io::Error::other("too little memory for that many keys"));
    }
    let options = Options {
        unix_socket: true,
        ..Options::on(&bench.server_cpu)
    };
    let server = Server::start(&bench.installed, kind, &options)?;
    // A Unix socket costs half of what loopback TCP does, so twice as many inserts fit a minute.
    let time_max = if bench.quick {
        QUICK_TIME_MAX
    } else {
        TIME_MAX
    };
    insert_one_by_one(Client::unix(&server.socket())?, keys, time_max)
}

fn add(results: &mut Results, kind: Kind, times: &OneByOne) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let p = |share| milliseconds(times.inserts.quantile(share));
    let note = format!(
        "{} M keys; p99.99 {:.3}, p99.9999 {:.3} ms",
        times.inserts.count() as f64 / 1e6,
        p(0.9999),
        p(0.999_999)
    );
    let longest = Reading {
        note,
        ..Reading::of(milliseconds(times.inserts.max()))
    };
    results.add("insert_max", kind, Ok(longest));
    let note = format!("{} PINGs", times.pings.count());
    let noise = Reading {
        note,
        ..Reading::of(milliseconds(times.pings.max()))
    };
    results.add("insert_noise", kind, Ok(noise));
}
