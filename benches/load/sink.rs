//! Replicas that cost next to nothing: they take a snapshot and the stream, drop both, and
//! acknowledge once a second. And what a primary pays for having 1, 4 and 16 of them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::{Client, load_keys};
use crate::generator::{self, Load, SET};
use crate::process::CpuSample;
use crate::replication::offset;
use crate::report::{Reading, Results};
use crate::server::{Kind, Options, Server};
use crate::throughput::reading;
use crate::{Bench, wanted};

/// Length of the mark that ends a snapshot of unknown length.
const MARK_LENGTH: usize = 40;
const ACKNOWLEDGE_EVERY: Duration = Duration::from_secs(1);
/// How long the sinks may take to come up, or to get what was written.
const TIMEOUT: Duration = Duration::from_secs(180);

/// What a sink expects next.
enum Stage {
    /// A line: the answer to PSYNC, or the head of the snapshot.
    Line,
    /// So many bytes of a snapshot.
    Counted(u64),
    /// A snapshot up to its mark; nothing follows before it is acknowledged.
    Marked(Vec<u8>),
    Stream,
}

struct Sink {
    stream: TcpStream,
    stage: Stage,
    /// The beginning of a line, or the last bytes of a marked snapshot.
    kept: Vec<u8>,
    offset: u64,
}

impl Sink {
    fn attach(port: u16) -> io::Result<Self> {
        let mut client = Client::tcp(port)?;
        client.call(&["REPLCONF", "listening-port", "1"])?;
        client.call(&["REPLCONF", "capa", "eof", "capa", "psync2"])?;
        client.push(&[b"PSYNC", b"?", b"-1"]);
        client.flush()?;
        let stream = client.into_tcp()?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            stage: Stage::Line,
            kept: Vec::new(),
            offset: 0,
        })
    }

    fn is_streaming(&self) -> bool {
        matches!(self.stage, Stage::Stream)
    }

    /// Reads once; false if nothing was there.
    fn read(&mut self, chunk: &mut [u8]) -> io::Result<bool> {
        match self.stream.read(chunk) {
            Ok(0) => Err(io::Error::other("the primary closed a sink's link")),
            Ok(count) => self.take(&chunk[..count]).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match &mut self.stage {
                Stage::Line => {
                    let end = bytes.iter().position(|&byte| byte == b'\n');
                    let (head, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
                    self.kept.extend_from_slice(head);
                    bytes = rest;
                    if end.is_some() {
                        self.line()?;
                    }
                }
                Stage::Counted(left) => {
                    let count = bytes
                        .len()
                        .min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= count as u64;
                    bytes = &bytes[count..];
                    if *left == 0 {
                        self.begin_stream()?;
                    }
                }
                Stage::Marked(mark) => {
                    let from = bytes.len().saturating_sub(MARK_LENGTH);
                    self.kept.extend_from_slice(&bytes[from..]);
                    let surplus = self.kept.len().saturating_sub(MARK_LENGTH);
                    self.kept.drain(..surplus);
                    bytes = &[];
                    if self.kept == *mark {
                        self.begin_stream()?;
                    }
                }
                Stage::Stream => {
                    self.offset += bytes.len() as u64;
                    bytes = &[];
                }
            }
        }
        Ok(())
    }

    fn line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.kept);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        let unexpected = || io::Error::other(format!("a sink was told: {line}"));
        if line.is_empty() {
            // A sign of life while the snapshot is prepared.
        } else if let Some(rest) = line.strip_prefix("+FULLRESYNC ") {
            let offset = rest.split(' ').nth(1).and_then(|text| text.parse().ok());
            self.offset = offset.ok_or_else(unexpected)?;
        } else if let Some(mark) = line.strip_prefix("$EOF:") {
            self.stage = Stage::Marked(mark.as_bytes().to_vec());
        } else if let Some(length) = line.strip_prefix('$') {
            self.stage = Stage::Counted(length.parse().map_err(|_| unexpected())?);
        } else {
            return Err(unexpected());
        }
        Ok(())
    }

    fn begin_stream(&mut self) -> io::Result<()> {
        self.stage = Stage::Stream;
        self.acknowledge()
    }

    fn acknowledge(&mut self) -> io::Result<()> {
        let offset = self.offset.to_string();
        let length = offset.len();
        let text = format!("*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n${length}\r\n{offset}\r\n");
        self.stream.write_all(text.as_bytes())
    }
}

/// What the sinks' thread tells.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Offset of the sink that is furthest behind, plus one; 0 until all have their snapshot.
    slowest: AtomicU64,
    failure: Mutex<Option<String>>,
}

/// Some sinks, all served by one thread of this process; dropping them closes their links.
pub struct Sinks {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sinks {
    /// Asks the primary at `port` for a snapshot, `count` times.
    ///
    /// # Errors
    /// The handshake fails.
    pub fn attach(port: u16, count: usize) -> io::Result<Self> {
        let sinks = (0..count).map(|_| Sink::attach(port));
        let mut sinks = sinks.collect::<io::Result<Vec<_>>>()?;
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            if let Err(error) = drain(&mut sinks, &told) {
                let mut failure = told.failure.lock().unwrap_or_else(PoisonError::into_inner);
                *failure = Some(error.to_string());
            }
        });
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Whether all of them have their snapshot.
    ///
    /// # Errors
    /// One of them failed.
    pub fn are_streaming(&self) -> io::Result<bool> {
        let failure = &self.shared.failure;
        match &*failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(text) => Err(io::Error::other(text.clone())),
            None => Ok(self.shared.slowest.load(Ordering::Relaxed) > 0),
        }
    }

    /// Waits until all have their snapshot.
    ///
    /// # Errors
    /// One of them failed, or it takes minutes.
    pub fn wait_until_streaming(&self) -> io::Result<()> {
        self.wait(|| self.are_streaming())
    }

    /// Waits until all have what `primary` has written.
    ///
    /// # Errors
    /// One of them failed, or it takes minutes.
    pub fn wait_until_caught_up(&self, primary: &Server) -> io::Result<()> {
        let target = offset(&mut primary.client()?, "master_repl_offset")?;
        self.wait(|| {
            Ok(self.are_streaming()? && self.shared.slowest.load(Ordering::Relaxed) > target)
        })
    }

    fn wait(&self, mut done: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
        let started = Instant::now();
        while !done()? {
            if started.elapsed() > TIMEOUT {
                return Err(io::Error::other("the sinks did not get everything"));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn drain(sinks: &mut [Sink], shared: &Shared) -> io::Result<()> {
    const REST: Duration = Duration::from_micros(500);
    let mut chunk = vec![0; 256 * 1024];
    let mut acknowledged = Instant::now();
    while !shared.stop.load(Ordering::Relaxed) {
        let mut idle = true;
        for sink in &mut *sinks {
            idle &= !sink.read(&mut chunk)?;
        }
        if sinks.iter().all(Sink::is_streaming) {
            let slowest = sinks.iter().map(|sink| sink.offset).min().unwrap_or(0);
            shared.slowest.store(slowest + 1, Ordering::Relaxed);
        }
        if acknowledged.elapsed() >= ACKNOWLEDGE_EVERY {
            acknowledged = Instant::now();
            for sink in sinks.iter_mut().filter(|sink| sink.is_streaming()) {
                sink.acknowledge()?;
            }
        }
        if idle {
            thread::sleep(REST);
        }
    }
    Ok(())
}

const FAN_OUT: [(&str, usize); 3] = [("fan_out_1", 1), ("fan_out_4", 4), ("fan_out_16", 16)];

/// User CPU of a primary per SET, with so many sinks attached.
pub fn fan_out(bench: &Bench, results: &mut Results) {
    if !wanted(bench, &FAN_OUT.map(|(line, _)| line)) {
        return;
    }
    for _ in 0..bench.rounds {
        for (line, sinks) in FAN_OUT {
            if !bench.wants(line) {
                continue;
            }
            for kind in bench.installed_kinds(&[Kind::Banyan, Kind::Redis, Kind::Valkey]) {
                results.add(line, kind, fan_out_to(bench, kind, sinks));
            }
        }
    }
}

fn fan_out_to(bench: &Bench, kind: Kind, count: usize) -> io::Result<Reading> {
    const KEYS: u64 = 1_000_000;
    let options = Options::on(&bench.server_cpu).with(&["--repl-diskless-sync-delay", "0"]);
    let primary = Server::start(&bench.installed, kind, &options)?;
    let sinks = Sinks::attach(primary.port, count)?;
    sinks.wait_until_streaming()?;
    // The keys come to the sinks as stream too: everything is warm, and the backlog is full.
    load_keys(primary.port, KEYS)?;
    sinks.wait_until_caught_up(&primary)?;
    let requests = bench.scaled(1_000_000);
    let load = Load {
        command: SET,
        pipeline: 16,
        connections: 50,
        key_space: KEYS,
    };
    let before = CpuSample::of(primary.pid())?;
    let rate = generator::redis_benchmark(primary.port, &load, requests)?;
    // What is still to be sent to the sinks is part of the cost.
    sinks.wait_until_caught_up(&primary)?;
    let whole = reading(&primary, &before, rate, requests)?;
    Ok(Reading {
        value: whole.split.map_or(whole.value, |split| split.user),
        ..whole
    })
}
