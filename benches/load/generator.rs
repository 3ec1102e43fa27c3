//! The programs and threads that put load on a server.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::client::{Client, VALUE, write_key};
use crate::process;

/// A load program that takes longer is ended and its row fails.
const RUN_TIMEOUT: Duration = Duration::from_secs(120);

/// What redis-benchmark is asked to send.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Words of the command; `__rand_int__` in a key becomes a random 12-digit number.
    pub command: &'static [&'static str],
    pub pipeline: u32,
    pub connections: u32,
    /// Keys are drawn from `0..key_space`.
    pub key_space: u64,
}

/// A SET of a random key to 64 bytes.
pub const SET: &[&str] = &["set", "key:__rand_int__", VALUE_TEXT];
/// A GET of a random key.
pub const GET: &[&str] = &["get", "key:__rand_int__"];
const VALUE_TEXT: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// A GET of ten random keys.
pub const MGET: &[&str] = &[
    "mget",
    "key:__rand_int__",
    "key:__rand_int__",
    "key:__rand_int__",
    "key:__rand_int__",
    "key:__rand_int__",
    "key:__rand_int__",
    "key:__rand_int__",
    "key:__rand_int__",
    "key:__rand_int__",
    "key:__rand_int__",
];

/// A SET of ten random keys.
pub const MSET: &[&str] = &[
    "mset",
    "key:__rand_int__",
    VALUE_TEXT,
    "key:__rand_int__",
    VALUE_TEXT,
    "key:__rand_int__",
    VALUE_TEXT,
    "key:__rand_int__",
    VALUE_TEXT,
    "key:__rand_int__",
    VALUE_TEXT,
    "key:__rand_int__",
    VALUE_TEXT,
    "key:__rand_int__",
    VALUE_TEXT,
    "key:__rand_int__",
    VALUE_TEXT,
    "key:__rand_int__",
    VALUE_TEXT,
    "key:__rand_int__",
    VALUE_TEXT,
];

/// Runs redis-benchmark on the core of this process; returns requests per second.
///
/// # Errors
/// It is missing, fails, or takes more than two minutes.
pub fn redis_benchmark(port: u16, load: &Load, requests: u64) -> io::Result<f64> {
    let mut command = Command::new("redis-benchmark");
    command
        .args(["-h", "127.0.0.1", "--csv"])
        .args(["-p", &port.to_string()]);
    command.args([
        "-c",
        &load.connections.to_string(),
        "-P",
        &load.pipeline.to_string(),
    ]);
    command.args([
        "-r",
        &load.key_space.to_string(),
        "-n",
        &requests.to_string(),
    ]);
    command.args(load.command);
    let text = run(command)?;
    // "test","rps",… and one line of figures. The command's name may hold anything but quotes.
    let figures = text.lines().last().unwrap_or_default();
    let rate = figures
        .split("\",\"")
        .nth(1)
        .and_then(|field| field.trim_matches('"').parse().ok());
    rate.ok_or_else(|| io::Error::other(format!("redis-benchmark printed: {figures}")))
}

/// Runs memtier_benchmark, SET and GET one to one; returns requests per second.
///
/// # Errors
/// As [`redis_benchmark`].
pub fn memtier(port: u16, key_space: u64, requests: u64) -> io::Result<f64> {
    const CONNECTIONS: u64 = 50;
    let mut command = Command::new("memtier_benchmark");
    command.args(["-s", "127.0.0.1", "-p", &port.to_string(), "--threads", "1"]);
    command.args([
        "--clients",
        &CONNECTIONS.to_string(),
        "--ratio",
        "1:1",
        "--data-size",
        "64",
    ]);
    command.args([
        "--key-prefix",
        "key:",
        "--key-maximum",
        &key_space.to_string(),
    ]);
    command.args([
        "--requests",
        &(requests / CONNECTIONS).to_string(),
        "--hide-histogram",
    ]);
    let text = run(command)?;
    let totals = text.lines().find(|line| line.starts_with("Totals"));
    let rate = totals.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok());
    rate.ok_or_else(|| io::Error::other("memtier_benchmark printed no totals"))
}

fn run(mut command: Command) -> io::Result<String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    // Its output is a few hundred bytes: the pipe holds it until the end.
    let status = match wait(&mut child) {
        Ok(status) => status,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    };
    let mut text = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut text)?;
    }
    if status {
        Ok(text)
    } else {
        Err(io::Error::other(format!("load failed: {}", text.trim())))
    }
}

fn wait(child: &mut Child) -> io::Result<bool> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if started.elapsed() > RUN_TIMEOUT {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Latencies of many requests. Buckets are a sixteenth of a power of two wide.
#[derive(Clone, Debug)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            buckets: vec![0; 64 * 16],
            count: 0,
            max: Duration::ZERO,
        }
    }
}

impl Latencies {
    pub fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos())
            .unwrap_or(u64::MAX)
            .max(16);
        let power = nanoseconds.ilog2();
        let sixteenth = (nanoseconds >> (power - 4)) & 15;
        self.buckets[(power as usize) * 16 + sixteenth as usize] += 1;
        self.count += 1;
        self.max = self.max.max(latency);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn max(&self) -> Duration {
        self.max
    }

    /// The latency that the given share of requests did not exceed, to a sixteenth.
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank && seen > 0 {
                let (power, sixteenth) = (index as u32 / 16, index as u64 % 16);
                let nanoseconds = (17 + sixteenth) << power.saturating_sub(4);
                return Duration::from_nanos(nanoseconds).min(self.max);
            }
        }
        self.max
    }
}

/// A writer at a fixed rate, on one connection, until `stop`: SETs of random keys.
///
/// Whatever is due is sent at once and then awaited, at most `BATCH_MAX` commands together. What is
/// timed is from sending to the last reply, so a writer's pause shows in full; a late wake-up of
/// this thread does not.
///
/// # Errors
/// As the connection's.
pub fn paced_writer(
    port: u16,
    commands_per_second: u64,
    key_space: u64,
    stop: &AtomicBool,
) -> io::Result<Latencies> {
    const BATCH_MAX: u64 = 128;
    const REST: Duration = Duration::from_micros(200);
    process::prioritise_this_thread();
    let mut client = Client::tcp(port)?;
    let mut latencies = Latencies::default();
    let mut random = Random::new();
    let mut key = [0; 16];
    let (started, mut sent) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due = (started.elapsed().as_secs_f64() * commands_per_second as f64) as u64;
        let batch = due.saturating_sub(sent).min(BATCH_MAX);
        if batch == 0 {
            std::thread::sleep(REST);
            continue;
        }
        for _ in 0..batch {
            write_key(random.below(key_space), &mut key);
            client.push(&[b"SET", &key, &VALUE]);
        }
        let begun = Instant::now();
        client.flush()?;
        client.skip_replies(batch as usize)?;
        latencies.record(begun.elapsed());
        sent += batch;
    }
    Ok(latencies)
}

/// Times of single commands: inserts of new keys, and PINGs in between as the noise of the machine.
pub struct OneByOne {
    pub inserts: Latencies,
    pub pings: Latencies,
}

/// Inserts keys `0..count` one at a time, waiting for each reply. After each block of inserts comes
/// a quarter as many PINGs over the same connection: their longest is what the scheduler does to
/// any command in that time. Ends after `time_max` with as many as were inserted by then.
///
/// # Errors
/// As the connection's.
pub fn insert_one_by_one(
    mut client: Client,
    count: u64,
    time_max: Duration,
) -> io::Result<OneByOne> {
    const BLOCK: u64 = 10_000;
    // Polling, at ordinary priority: the kernel would throttle a polling real-time thread.
    client.set_spin()?;
    let (mut inserts, mut pings) = (Latencies::default(), Latencies::default());
    let mut key = [0; 16];
    let started = Instant::now();
    for number in 0..count {
        write_key(number, &mut key);
        client.push(&[b"SET", &key, &VALUE]);
        timed(&mut client, &mut inserts)?;
        if number % BLOCK == BLOCK - 1 {
            for _ in 0..BLOCK / 4 {
                client.push(&[b"PING"]);
                timed(&mut client, &mut pings)?;
            }
            if started.elapsed() > time_max {
                break;
            }
        }
    }
    Ok(OneByOne { inserts, pings })
}

fn timed(client: &mut Client, latencies: &mut Latencies) -> io::Result<()> {
    let begun = Instant::now();
    client.flush()?;
    client.skip_replies(1)?;
    latencies.record(begun.elapsed());
    Ok(())
}

/// xorshift64: keys need to be spread, not unpredictable.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
