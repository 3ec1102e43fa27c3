//! How far a replica lags: from the primary's reply to a write until a client of the replica hears
//! of it, one hop away and at the leaf of a tree three deep.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::generator::{Latencies, paced_writer};
use crate::replication::{attach, wait_until_caught_up};
use crate::report::{Reading, Results};
use crate::server::{Kind, Options, Server};
use crate::{Bench, wanted};

const HOP: &str = "lag_hop";
const LEAF: &str = "lag_leaf";
/// Servers below the primary, one below the other.
const DEPTH: usize = 3;
/// Low enough that four servers on one core are idle most of the time.
const WRITES_PER_SECOND: u64 = 5_000;
const KEYS: u64 = 100_000;

/// Both lags of each kind, of the same writes in the same tree.
pub fn chain(bench: &Bench, results: &mut Results) {
    if !wanted(bench, &[HOP, LEAF]) {
        return;
    }
    for _ in 0..bench.rounds {
        for kind in bench.installed_kinds(&[Kind::Banyan, Kind::Redis, Kind::Valkey]) {
            match lags_of(bench, kind) {
                Ok((hop, leaf)) => add(results, kind, &hop, &leaf),
                Err(error) => {
                    results.add(HOP, kind, Err(io::Error::other(error.to_string())));
                    results.add(LEAF, kind, Err(error));
                }
            }
        }
    }
}

fn add(results: &mut Results, kind: Kind, hop: &Latencies, leaf: &Latencies) {
    let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
    let reading = |lags: &Latencies, more: String| Reading {
        note: format!("median {:.0} us{more}", microseconds(lags.quantile(0.5))),
        ..Reading::of(microseconds(lags.quantile(0.99)))
    };
    let hops = microseconds(leaf.quantile(0.99)) / microseconds(hop.quantile(0.99));
    results.add(HOP, kind, Ok(reading(hop, String::new())));
    let more = format!("; {hops:.2} x one hop");
    results.add(LEAF, kind, Ok(reading(leaf, more)));
}

/// Lags at the first replica and at the last.
fn lags_of(bench: &Bench, kind: Kind) -> io::Result<(Latencies, Latencies)> {
    let options = Options::on(&bench.server_cpu).with(&["--repl-diskless-sync-delay", "0"]);
    let mut tree = vec![Server::start(&bench.installed, kind, &options)?];
    for depth in 0..DEPTH {
        let below = Server::start(&bench.installed, kind, &options)?;
        attach(&below, &tree[depth])?;
        tree.push(below);
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (port, halt) = (tree[0].port, &stop);
        let writer = scope.spawn(move || paced_writer(port, WRITES_PER_SECOND, KEYS, halt));
        let lags = probe(bench, &tree);
        stop.store(true, Ordering::Relaxed);
        let written = writer
            .join()
            .map_err(|_| io::Error::other("the writer panicked"))??;
        if written.count() == 0 {
            return Err(io::Error::other("the writer wrote nothing"));
        }
        wait_until_caught_up(&tree[DEPTH], &tree[0])?;
        lags
    })
}

/// A write now and then, whose arrival the two replicas tell at once as a keyspace notification.
fn probe(bench: &Bench, tree: &[Server]) -> io::Result<(Latencies, Latencies)> {
    const EVERY: Duration = Duration::from_micros(700);
    let mut primary = tree[0].client()?;
    let (mut hop, mut leaf) = (listener(&tree[1])?, listener(&tree[DEPTH])?);
    // What is timed has no wake-up of this thread in it.
    primary.set_spin()?;
    hop.set_spin()?;
    leaf.set_spin()?;
    let (mut hops, mut leaves) = (Latencies::default(), Latencies::default());
    for number in 0..bench.scaled(9_000) {
        primary.push(&[b"SET", b"probe", number.to_string().as_bytes()]);
        primary.flush()?;
        primary.skip_replies(1)?;
        let replied = Instant::now();
        hop.skip_replies(1)?;
        hops.record(replied.elapsed());
        leaf.skip_replies(1)?;
        leaves.record(replied.elapsed());
        thread::sleep(EVERY);
    }
    Ok((hops, leaves))
}

/// A connection that is told of every write of the probe's key.
fn listener(server: &Server) -> io::Result<Client> {
    let mut client = server.client()?;
    client.call(&["CONFIG", "SET", "notify-keyspace-events", "K$"])?;
    client.call(&["SUBSCRIBE", "__keyspace@0__:probe"])?;
    Ok(client)
}
