//! Banyan beside its peers on one machine: what a request costs each server's process.
//!
//! Each server in turn runs on one core and the load on another. What is compared is the CPU time
//! that the server's process used per request, since that is far steadier than requests per second
//! on a machine whose load generator is itself the bottleneck. Rounds are interleaved (A B C A B C)
//! so that a drift of the machine meets all alike, and the medians are compared.
//!
//! `scripts/bench` builds everything and runs this; `scripts/bench --help` lists the options.

// A bench lets time pass on purpose.
#![allow(clippy::disallowed_methods)]

mod client;
mod elements;
mod full_sync;
mod generator;
mod insert;
mod lag;
mod line;
mod play;
mod plot;
mod process;
mod reconnect;
mod replication;
mod report;
mod server;
mod sink;
mod throughput;
mod types;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Arg, ArgAction, Command, value_parser};

use crate::line::{LINES, Reference};
use crate::report::Results;
use crate::server::{Installed, Kind};

/// What is to be measured, where and how often.
pub struct Bench {
    pub installed: Installed,
    pub rounds: usize,
    pub quick: bool,
    pub server_cpu: String,
    pub load_cpu: String,
    keys: Option<u64>,
    selected: Vec<&'static str>,
    directory: PathBuf,
}

impl Bench {
    /// Whether the line is to be measured.
    pub fn wants(&self, line: &str) -> bool {
        self.selected.contains(&line)
    }

    /// Those of `kinds` that this machine has.
    pub fn installed_kinds(&self, kinds: &[Kind]) -> Vec<Kind> {
        let has = |kind: &&Kind| self.installed.program(**kind).is_some();
        kinds.iter().filter(has).copied().collect()
    }

    /// Requests of a run: all of them, or a third with `--quick`.
    pub fn scaled(&self, requests: u64) -> u64 {
        if self.quick { requests / 3 } else { requests }
    }

    /// Keys for the lines about memory and full sync.
    pub fn bulk_keys(&self) -> u64 {
        self.keys
            .unwrap_or(if self.quick { 500_000 } else { 5_000_000 })
    }

    /// Members of the large sorted set.
    pub fn sorted_set_members(&self) -> u64 {
        self.keys
            .unwrap_or(if self.quick { 1_000_000 } else { 10_000_000 })
    }

    /// Keys to insert one by one.
    pub fn insert_keys(&self) -> u64 {
        self.keys
            .unwrap_or(if self.quick { 500_000 } else { 20_000_000 })
    }
}

/// Whether any of `lines` is to be measured.
pub fn wanted(bench: &Bench, lines: &[&str]) -> bool {
    lines.iter().any(|line| bench.wants(line))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let matches = command().get_matches();
    if matches.get_flag("list") {
        for line in LINES {
            println!("{:<20} {}", line.id, line.title);
        }
        return Ok(());
    }
    // `cargo bench` by itself is for the micro benches; half an hour of load is asked for by name.
    if matches.get_flag("bench") && std::env::args().len() == 2 {
        println!("scripts/bench runs the servers side by side");
        return Ok(());
    }
    let quick = matches.get_flag("quick");
    let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
    let bench = Bench {
        installed: Installed::find(),
        rounds: matches
            .get_one::<u64>("rounds")
            .map_or(if quick { 2 } else { 5 }, |&rounds| rounds as usize),
        quick,
        server_cpu: text("server-cpu"),
        load_cpu: text("load-cpu"),
        keys: matches.get_one::<u64>("keys").copied(),
        selected: select(&text("rows"))?,
        directory: PathBuf::from(text("out")),
    };
    check(&bench)?;
    measure(bench)
}

fn command() -> Command {
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_parser(value_parser!(u64).range(1..))
            .help(help)
    };
    let text = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).default_value(default).help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    Command::new("bench")
        .about("Measures Banyan beside Redis, Valkey, kevy and a floor server")
        .after_help(
            "Servers are found on PATH, or through BANYAN_BIN, REDIS_BIN, VALKEY_BIN, KEVY_BIN \
             and FLOOR_BIN.\n\n\
             Rows about replication (--rows replica,apply,fan_out,sync,lag,catch_up):\n  \
             set_p16_replica  CPU of a primary with one real replica\n  \
             fan_out_N        user CPU of a primary with N replicas, which are threads of the \
             bench\n                   that drop what they get\n  \
             replica_apply    CPU of a replica under a redis-server\n  \
             apply_TYPE       CPU of a replica per command of one type; the bench plays its \
             primary\n  \
             sync_*           a full sync under a paced writer: time to the last byte, pauses, \
             memory\n  \
             sync_peak_4      the same, memory, four replicas that share one snapshot\n  \
             sync_into_*      REPLICAOF to link up with the whole dataset (--keys), nothing \
             written\n  \
             lag_*            p99 from a write's reply to its notification one hop and three \
             hops away\n  \
             catch_up         time per MB of what was written while the link was cut",
        )
        .arg(flag(
            "quick",
            "A coarse table in a few minutes: fewer rounds, requests and keys",
        ))
        .arg(flag("list", "List the rows and end"))
        .arg(text(
            "rows",
            "",
            "Only rows whose name starts with one of these, comma-separated",
        ))
        .arg(number("rounds", "Rounds (default 5, quick 2)"))
        .arg(number(
            "keys",
            "Keys for the memory, sync and insert rows, members for those of ten million",
        ))
        .arg(text("server-cpu", "0", "Core of the server"))
        .arg(text("load-cpu", "1", "Core of the load"))
        .arg(text(
            "out",
            "bench-results",
            "Directory for results.csv, results.svg, results.txt",
        ))
        // cargo bench adds it.
        .arg(flag("bench", "Ignored").hide(true))
}

fn select(rows: &str) -> io::Result<Vec<&'static str>> {
    let prefixes: Vec<&str> = rows
        .split(',')
        .map(str::trim)
        .filter(|p| !p.is_empty())
        .collect();
    let matches = |id: &str| prefixes.is_empty() || prefixes.iter().any(|p| id.starts_with(p));
    let memtier = process::find_program("memtier_benchmark").is_some();
    // A line brings those along that its bound refers to.
    let referred = |id: &str| {
        let lines = LINES.iter().filter(|line| matches(line.id));
        lines
            .flat_map(|line| line.bounds)
            .any(|bound| match bound.reference {
                Reference::Line(other) | Reference::AbsoluteOrNoise(other) => other == id,
                Reference::Peer(_) | Reference::Absolute => false,
            })
    };
    let known = LINES
        .iter()
        .map(|line| line.id)
        .filter(|&id| matches(id) || referred(id));
    let selected: Vec<_> = known.filter(|&id| id != "memtier_p1" || memtier).collect();
    if selected.is_empty() {
        return Err(io::Error::other(format!(
            "no row starts with {rows}; see --list"
        )));
    }
    Ok(selected)
}

/// Says at once what would otherwise fail every row.
fn check(bench: &Bench) -> io::Result<()> {
    const LINUX: &str = "util-linux";
    let tools = [
        ("redis-benchmark", "redis-tools"),
        ("taskset", LINUX),
        ("chrt", LINUX),
        ("setpriv", LINUX),
    ];
    for (tool, package) in tools {
        if process::find_program(tool).is_none() {
            let text = format!("{tool} is not installed (Debian's package {package})");
            return Err(io::Error::other(text));
        }
    }
    if process::cpus_allowed() < 2 {
        return Err(io::Error::other(
            "two cores are needed: one for the server, one for the load",
        ));
    }
    if !process::pin_self(&bench.load_cpu) {
        return Err(io::Error::other(format!(
            "cannot run on core {}",
            bench.load_cpu
        )));
    }
    Ok(())
}

fn measure(bench: Bench) -> io::Result<()> {
    let started = Instant::now();
    let head = machine(&bench);
    eprint!("{head}");
    let mut results = Results::default();
    let stages: [fn(&Bench, &mut Results); 18] = [
        throughput::alone,
        types::at_p16,
        types::publish,
        types::sort,
        types::ping_pong,
        types::large_sorted_set,
        throughput::with_replica,
        throughput::sharded,
        elements::memory,
        replication::apply,
        play::by_type,
        sink::fan_out,
        replication::memory_and_sync,
        full_sync::into_replicas,
        full_sync::peak_with_four,
        lag::chain,
        reconnect::catch_up,
        insert::one_by_one,
    ];
    for stage in stages {
        let begun = Instant::now();
        stage(&bench, &mut results);
        eprintln!("  ({:.0} s)", begun.elapsed().as_secs_f64());
        // A run that is ended early has left what it had.
        write(&bench, &head, &results)?;
    }
    println!("{}", write(&bench, &head, &results)?);
    println!(
        "{:.0} s; results.txt, results.csv and results.svg are in {}",
        started.elapsed().as_secs_f64(),
        bench.directory.display()
    );
    Ok(())
}

/// Writes all results so far; returns the table.
fn write(bench: &Bench, head: &str, results: &Results) -> io::Result<String> {
    let rows = results.rows(&bench.installed, &bench.selected);
    let text = format!("{head}\n{}", report::table(&rows));
    fs::create_dir_all(&bench.directory)?;
    let file = |name: &str, text: &str| fs::write(bench.directory.join(name), text);
    file("results.txt", &text)?;
    file("results.csv", &report::csv(&rows))?;
    file("results.svg", &plot::svg(results, &rows))?;
    Ok(text)
}

/// What a reader must know of the machine and the servers.
fn machine(bench: &Bench) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu_info = read("/proc/cpuinfo");
    let cpu = cpu_info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let mut text = String::new();
    let _ = writeln!(
        text,
        "Linux {}, {}, server on core {}, load on core {}, {} rounds{}",
        read("/proc/sys/kernel/osrelease").trim(),
        cpu.map_or("CPU unknown", |(_, name)| name),
        bench.server_cpu,
        bench.load_cpu,
        bench.rounds,
        if bench.quick {
            " (quick: figures are coarse)"
        } else {
            ""
        }
    );
    for kind in Kind::ALL {
        let _ = writeln!(
            text,
            "  {:<14} {}",
            kind.name(),
            bench.installed.version(kind)
        );
    }
    if process::find_program("memtier_benchmark").is_none() {
        let _ = writeln!(
            text,
            "  memtier_benchmark not installed: its row is left out"
        );
    }
    text
}
