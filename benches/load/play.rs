//! What a replica pays per command that it applies: this process plays the primary, with a stream
//! of commands of one type after the other.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{VALUE, reply_length, write_key};
use crate::generator::Random;
use crate::process::CpuSample;
use crate::report::{Reading, Results};
use crate::server::{Kind, Options, Server};
use crate::throughput::reading;
use crate::{Bench, wanted};

/// How long the replica may take to connect, or to apply what was sent.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Small collections of each type; a quarter of the commands go to one large one besides.
const COLLECTIONS: u64 = 10_000;
/// Elements that commands on a small collection draw from: it stays in its compact form.
const SMALL_ELEMENTS: u64 = 100;
const LARGE_ELEMENTS: u64 = 1_000_000;
const STRING_KEYS: u64 = 1_000_000;

/// Appends command `number` of a stream.
type Next = fn(&mut Commands, u64);

const CASES: &[(&str, Next)] = &[
    ("apply_strings", Commands::string),
    ("apply_lists", Commands::list),
    ("apply_sets", Commands::set),
    ("apply_hashes", Commands::hash),
    ("apply_zsets", Commands::sorted_set),
    ("apply_streams", Commands::stream),
    ("apply_mix", Commands::mix),
];

/// CPU of each server per applied command, for each type.
pub fn by_type(bench: &Bench, results: &mut Results) {
    let lines: Vec<_> = CASES.iter().map(|&(line, _)| line).collect();
    if !wanted(bench, &lines) {
        return;
    }
    for _ in 0..bench.rounds {
        for &(line, next) in CASES.iter().filter(|&&(line, _)| bench.wants(line)) {
            for kind in bench.installed_kinds(&[Kind::Banyan, Kind::Redis, Kind::Valkey]) {
                results.add(line, kind, apply(bench, kind, next));
            }
        }
    }
}

fn apply(bench: &Bench, kind: Kind, next: Next) -> io::Result<Reading> {
    let count = bench.scaled(1_000_000);
    let replica = Server::start(&bench.installed, kind, &Options::on(&bench.server_cpu))?;
    let mut primary = Primary::of(&replica)?;
    let mut commands = Commands::new();
    // The collections come to be, and reach the size that they then keep.
    primary.play(&mut commands, next, 0..count)?;
    let (before, started) = (CpuSample::of(replica.pid())?, Instant::now());
    primary.play(&mut commands, next, count..2 * count)?;
    let rate = count as f64 / started.elapsed().as_secs_f64();
    reading(&replica, &before, rate, count)
}

/// The link to a replica that takes this process for its primary.
struct Primary {
    stream: TcpStream,
    input: Vec<u8>,
    /// Offset of the last byte sent.
    sent: u64,
}

impl Primary {
    /// Makes `replica` follow us, with an empty dataset at offset 0.
    fn of(replica: &Server) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let mut client = replica.client()?;
        client.call(&["REPLICAOF", "127.0.0.1", &port.to_string()])?;
        listener.set_nonblocking(true)?;
        let started = Instant::now();
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if started.elapsed() > TIMEOUT => {
                    return Err(io::Error::other("the replica did not connect"));
                }
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        };
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut primary = Self {
            stream,
            input: Vec::new(),
            sent: 0,
        };
        primary.greet()?;
        Ok(primary)
    }

    fn greet(&mut self) -> io::Result<()> {
        loop {
            let request = self.request()?;
            // Behind the number of words and the length of the first.
            let name = request.split("\r\n").nth(2).unwrap_or_default();
            let answer: &[u8] = match name.to_ascii_uppercase().as_str() {
                "PSYNC" => break,
                "PING" => b"+PONG\r\n",
                _ => b"+OK\r\n",
            };
            self.stream.write_all(answer)?;
        }
        // A checksum of zero stands for none.
        let empty = b"REDIS0009\xff\0\0\0\0\0\0\0\0";
        let head = format!("+FULLRESYNC {} 0\r\n${}\r\n", "b".repeat(40), empty.len());
        self.stream.write_all(head.as_bytes())?;
        self.stream.write_all(empty)
    }

    /// The next request of the replica, as it is on the wire.
    fn request(&mut self) -> io::Result<String> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(length) = reply_length(&self.input)? {
                let request: Vec<u8> = self.input.drain(..length).collect();
                return Ok(String::from_utf8_lossy(&request).into_owned());
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Sends the commands with these numbers and waits until they are acknowledged.
    fn play(
        &mut self,
        commands: &mut Commands,
        next: Next,
        numbers: std::ops::Range<u64>,
    ) -> io::Result<()> {
        const CHUNK: usize = 128 * 1024;
        commands.add(&[b"SELECT", b"0"]);
        for number in numbers {
            next(commands, number);
            if commands.bytes.len() >= CHUNK {
                self.send(&mut commands.bytes)?;
            }
        }
        self.send(&mut commands.bytes)?;
        let target = self.sent;
        commands.add(&[b"REPLCONF", b"GETACK", b"*"]);
        self.send(&mut commands.bytes)?;
        self.wait_for(target)
    }

    fn send(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.sent += bytes.len() as u64;
        bytes.clear();
        Ok(())
    }

    fn wait_for(&mut self, target: u64) -> io::Result<()> {
        let started = Instant::now();
        // One comes each second in any case.
        while started.elapsed() < TIMEOUT {
            let request = self.request()?;
            let mut words = request.trim_end().rsplit("\r\n");
            let offset = words.next().and_then(|word| word.parse::<u64>().ok());
            if offset.is_some_and(|offset| offset >= target) {
                return Ok(());
            }
        }
        Err(io::Error::other("the replica did not apply everything"))
    }
}

/// The stream, as a primary propagates it.
struct Commands {
    bytes: Vec<u8>,
    random: Random,
}

impl Commands {
    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            random: Random::new(),
        }
    }

    fn add(&mut self, words: &[&[u8]]) {
        // Writing into a Vec cannot fail.
        let _ = write!(self.bytes, "*{}\r\n", words.len());
        for word in words {
            let _ = write!(self.bytes, "${}\r\n", word.len());
            self.bytes.extend_from_slice(word);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    /// The key of a collection, and one of its elements.
    fn target(&mut self, kind: &str) -> (String, String) {
        let large = self.random.below(4) == 0;
        let elements = if large {
            LARGE_ELEMENTS
        } else {
            SMALL_ELEMENTS
        };
        let element = format!("element:{:012}", self.random.below(elements));
        if large {
            return (format!("{kind}:large"), element);
        }
        let key = format!("{kind}:{:012}", self.random.below(COLLECTIONS));
        (key, element)
    }

    fn string(&mut self, number: u64) {
        let mut key = [0; 16];
        write_key(self.random.below(STRING_KEYS), &mut key);
        match number % 4 {
            0 => {
                key[..4].copy_from_slice(b"num:");
                self.add(&[b"INCR", &key]);
            }
            _ => self.add(&[b"SET", &key, &VALUE]),
        }
    }

    fn list(&mut self, number: u64) {
        let (key, element) = self.target("list");
        let (key, element) = (key.as_bytes(), element.as_bytes());
        match number % 4 {
            0 => self.add(&[b"LPUSH", key, element]),
            1 => self.add(&[b"LPOP", key]),
            2 => self.add(&[b"RPUSH", key, element]),
            _ => self.add(&[b"RPOP", key]),
        }
    }

    fn set(&mut self, number: u64) {
        let (key, element) = self.target("set");
        let command: &[u8] = if number.is_multiple_of(4) {
            b"SREM"
        } else {
            b"SADD"
        };
        self.add(&[command, key.as_bytes(), element.as_bytes()]);
    }

    fn hash(&mut self, number: u64) {
        let (key, field) = self.target("hash");
        let (key, field) = (key.as_bytes(), field.as_bytes());
        match number % 4 {
            0 => self.add(&[b"HDEL", key, field]),
            _ => self.add(&[b"HSET", key, field, &VALUE[..16]]),
        }
    }

    fn sorted_set(&mut self, number: u64) {
        let (key, member) = self.target("zset");
        let score = self.random.below(LARGE_ELEMENTS).to_string();
        let (key, member) = (key.as_bytes(), member.as_bytes());
        match number % 4 {
            0 => self.add(&[b"ZREM", key, member]),
            1 => self.add(&[b"ZINCRBY", key, b"3", member]),
            _ => self.add(&[b"ZADD", key, score.as_bytes(), member]),
        }
    }

    fn stream(&mut self, number: u64) {
        let (key, value) = self.target("stream");
        let id = format!("{}-0", number + 1);
        let length: &[u8] = if key.ends_with("large") {
            b"100000"
        } else {
            b"100"
        };
        let (key, value) = (key.as_bytes(), value.as_bytes());
        self.add(&[
            b"XADD",
            key,
            b"MAXLEN",
            b"=",
            length,
            id.as_bytes(),
            b"field",
            value,
        ]);
    }

    /// All of them, with expiry, deletes and transactions as an application's stream has them.
    fn mix(&mut self, number: u64) {
        // Each type's own pattern goes by its own numbers.
        let own = number / 8;
        match number % 8 {
            0 | 1 => self.string(number / 4),
            2 => self.list(own),
            3 => self.set(own),
            4 => self.hash(own),
            5 => self.sorted_set(own),
            6 => self.stream(own),
            _ => self.other(own),
        }
    }

    fn other(&mut self, number: u64) {
        let mut key = [0; 16];
        write_key(self.random.below(STRING_KEYS), &mut key);
        match number % 8 {
            0..=2 => self.add(&[b"DEL", &key]),
            // A transaction counts as one.
            3 => {
                self.add(&[b"MULTI"]);
                self.add(&[b"LPUSH", b"{job}:queue", &key]);
                self.add(&[b"LTRIM", b"{job}:queue", b"0", b"99"]);
                self.add(&[b"EXEC"]);
            }
            // Far enough in the future for any run.
            _ => self.add(&[b"PEXPIREAT", &key, b"4102444800000"]),
        }
    }
}
