//! After a cut: how fast a replica gets back what was written meanwhile, from the backlog.

use std::io;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Bench;
use crate::client::{VALUE, load_keys, write_key};
use crate::generator::Random;
use crate::replication::{attach, offset, until, wait_until_caught_up};
use crate::report::{Reading, Results};
use crate::server::{Kind, Options, Server};

const KEYS: u64 = 1_000_000;
/// Holds all that is written during the cut.
const BACKLOG: &str = "512mb";

/// A replica on the server's core, its primary on the load's.
pub fn catch_up(bench: &Bench, results: &mut Results) {
    const LINE: &str = "catch_up";
    if !bench.wants(LINE) {
        return;
    }
    for _ in 0..bench.rounds {
        for kind in bench.installed_kinds(&[Kind::Banyan, Kind::Redis, Kind::Valkey]) {
            results.add(LINE, kind, catch_up_as(bench, kind));
        }
    }
}

fn catch_up_as(bench: &Bench, kind: Kind) -> io::Result<Reading> {
    let options = Options::on(&bench.load_cpu).with(&[
        "--repl-diskless-sync-delay",
        "0",
        "--repl-backlog-size",
        BACKLOG,
    ]);
    let primary = Server::start(&bench.installed, kind, &options)?;
    load_keys(primary.port, KEYS)?;
    let options = Options::on(&bench.server_cpu);
    let replica = Server::start(&bench.installed, kind, &options)?;
    attach(&replica, &primary)?;
    let (mut above, mut below) = (primary.client()?, replica.client()?);
    let cut_at = offset(&mut above, "master_repl_offset")?;
    wait_until_caught_up(&replica, &primary)?;

    // The replica stands still while its link is closed, so that it cannot come back too early.
    let stopped = Stopped::stop(replica.pid())?;
    above.call(&["CLIENT", "KILL", "TYPE", "replica"])?;
    let commands = bench.scaled(1_500_000);
    write(&primary, commands)?;
    let target = offset(&mut above, "master_repl_offset")?;
    drop(stopped);
    let freed = Instant::now();
    until("the replica did not resume", || {
        Ok(above.info("stats", "sync_partial_ok")? != "0")
    })?;
    // A rate is of what comes from here on; how long a replica waits before it connects again is
    // in the note.
    let (resumed, from) = (Instant::now(), offset(&mut below, "slave_repl_offset")?);
    until("the replica did not catch up", || {
        Ok(offset(&mut below, "slave_repl_offset")? >= target)
    })?;
    let seconds = resumed.elapsed().as_secs_f64();

    let megabytes = (target - from) as f64 / 1e6;
    let note = format!(
        "{megabytes:.0} MB, {:.0} MB/s; back after {:.0} ms",
        megabytes / seconds,
        (resumed - freed).as_secs_f64() * 1e3
    );
    Ok(Reading {
        rate: Some(commands as f64 * megabytes * 1e6 / (target - cut_at) as f64 / seconds),
        note,
        ..Reading::of(seconds * 1e3 / megabytes)
    })
}

/// Sets random keys, `count` times.
fn write(primary: &Server, count: u64) -> io::Result<()> {
    const BATCH: u64 = 512;
    let mut client = primary.client()?;
    let (mut random, mut key) = (Random::new(), [0; 16]);
    let mut left = count;
    while left > 0 {
        let batch = left.min(BATCH);
        for _ in 0..batch {
            write_key(random.below(KEYS), &mut key);
            client.push(&[b"SET", &key, &VALUE]);
        }
        client.flush()?;
        client.skip_replies(batch as usize)?;
        left -= batch;
    }
    Ok(())
}

/// A process that stands still until this is dropped.
struct Stopped(u32);

impl Stopped {
    fn stop(pid: u32) -> io::Result<Self> {
        signal("-STOP", pid)?;
        Ok(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // If this fails the process is gone, or the wait for its offset says so.
        let _ = signal("-CONT", self.0);
    }
}

fn signal(name: &str, pid: u32) -> io::Result<()> {
    let mut command = Command::new("kill");
    command.args([name, &pid.to_string()]).stdin(Stdio::null());
    if command.status()?.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("kill {name} {pid} failed")))
    }
}
