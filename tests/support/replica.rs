//! A replica made of a socket: it speaks PSYNC, takes the RDB in both framings, and reads the
//! stream as commands, each with its database and its offset.

use super::client::Client;
use super::resp::{self, Fault, Value};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How the RDB was framed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// `$<len>`
    Length,
    /// `$EOF:<mark>`
    Mark,
}

/// The primary's answer to PSYNC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Full {
        replid: String,
        offset: u64,
    },
    /// With the new replid, if one was named.
    Continue(Option<String>),
    Refused(String),
}

/// One command of the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Streamed {
    pub db: usize,
    pub args: Vec<Vec<u8>>,
    /// The offset of the stream after this command.
    pub end: u64,
}

impl Streamed {
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.args[0]).to_uppercase()
    }

    /// PING, SELECT and REPLCONF: not the effect of a client's write.
    pub fn is_service(&self) -> bool {
        matches!(self.name().as_str(), "PING" | "SELECT" | "REPLCONF")
    }
}

/// What a fake replica tells about itself.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    pub eof: bool,
    pub psync2: bool,
    pub password: Option<&'static str>,
}

impl Default for Manners {
    fn default() -> Self {
        Manners {
            eof: true,
            psync2: true,
            password: None,
        }
    }
}

/// A link to a primary, after the handshake.
pub struct Replica {
    client: Client,
    pub answer: Answer,
    pub framing: Option<Framing>,
    pub rdb: Vec<u8>,
    pub replid: String,
    /// The offset after all commands parsed so far.
    pub offset: u64,
    pub db: usize,
    raw: Vec<u8>,
    parsed: VecDeque<Streamed>,
}

impl Replica {
    /// A full synchronisation, waited for until the primary too counts the replica as online: a
    /// real server's snapshot child may outlive the last byte that it sent.
    pub fn full(port: u16) -> Replica {
        let mut replica = Replica::full_now(port);
        let mut client = Client::connect(port);
        super::wait_until("the primary to see its replicas online", || {
            replica.ack();
            let text = client.call("INFO replication").text();
            let mut states = text
                .lines()
                .filter(|l| l.starts_with("slave") && l.contains("state="));
            states.all(|l| l.contains("state=online"))
        });
        replica
    }

    /// A full synchronisation, as soon as the RDB is there.
    pub fn full_now(port: u16) -> Replica {
        let replica = Replica::psync(port, "?", -1, Manners::default());
        assert!(
            matches!(replica.answer, Answer::Full { .. }),
            "{:?}",
            replica.answer
        );
        replica
    }

    /// The handshake, then `PSYNC replid offset`; takes the RDB if there is one.
    pub fn psync(port: u16, replid: &str, offset: i64, manners: Manners) -> Replica {
        let mut client = Client::connect(port);
        if let Some(password) = manners.password {
            client.must(&format!("AUTH {password}"));
        }
        let pong = client.call("PING");
        assert_eq!(
            pong,
            Value::Simple(b"PONG".to_vec()),
            "first word of the handshake"
        );
        client.must("REPLCONF listening-port 1");
        if manners.eof {
            client.must("REPLCONF capa eof");
        }
        if manners.psync2 {
            client.must("REPLCONF capa psync2");
        }
        let request = resp::request(&["PSYNC", replid, &offset.to_string()]);
        client.send(&request).expect("PSYNC can be sent");
        let mut replica = Replica {
            client,
            answer: Answer::Refused(String::new()),
            framing: None,
            rdb: Vec::new(),
            replid: replid.to_owned(),
            offset: u64::try_from(offset - 1).unwrap_or(0),
            db: 0,
            raw: Vec::new(),
            parsed: VecDeque::new(),
        };
        replica.take_answer();
        replica
    }

    /// A plain `SYNC`, without any handshake.
    pub fn old_sync(port: u16) -> Replica {
        let mut client = Client::connect(port);
        client
            .send(&resp::request(&["SYNC"]))
            .expect("SYNC can be sent");
        let mut replica = Replica {
            client,
            answer: Answer::Full {
                replid: String::new(),
                offset: 0,
            },
            framing: None,
            rdb: Vec::new(),
            replid: String::new(),
            offset: 0,
            db: 0,
            raw: Vec::new(),
            parsed: VecDeque::new(),
        };
        replica.take_rdb();
        replica
    }

    fn take_answer(&mut self) {
        let line = self.line();
        let words: Vec<&str> = line.split_whitespace().collect();
        self.answer = match words.as_slice() {
            ["+FULLRESYNC", replid, offset] => {
                assert_eq!(replid.len(), 40, "a replication id has 40 digits: {line}");
                let offset = offset.parse().expect("an offset");
                self.replid = (*replid).to_owned();
                self.offset = offset;
                Answer::Full {
                    replid: (*replid).to_owned(),
                    offset,
                }
            }
            ["+CONTINUE"] => Answer::Continue(None),
            ["+CONTINUE", replid] => {
                self.replid = (*replid).to_owned();
                Answer::Continue(Some((*replid).to_owned()))
            }
            _ => Answer::Refused(line),
        };
        if matches!(self.answer, Answer::Full { .. }) {
            self.take_rdb();
            self.ack();
        }
    }

    fn fill(&mut self, what: &str) {
        if let Err(e) = self.client.fill_raw(super::PATIENCE) {
            panic!("the link ended while waiting for {what}: {e}");
        }
        self.raw.append(&mut self.client.take_raw());
    }

    /// A line without its CRLF; bare newlines, the primary's sign of life, are skipped.
    fn line(&mut self) -> String {
        loop {
            let blank = self.raw.iter().take_while(|&&b| b == b'\n').count();
            self.raw.drain(..blank);
            if let Some(end) = self.raw.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.raw.drain(..=end).collect();
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            self.fill("a line");
        }
    }

    fn take_rdb(&mut self) {
        let head = self.line();
        let Some(head) = head.strip_prefix('$') else {
            panic!("an RDB starts with {head:?}")
        };
        if let Some(mark) = head.strip_prefix("EOF:") {
            assert_eq!(mark.len(), 40, "the mark has 40 bytes: {mark}");
            let mark = mark.as_bytes().to_vec();
            let mut from = 0;
            let end = loop {
                if let Some(at) = find(&self.raw[from..], &mark) {
                    break from + at;
                }
                from = self.raw.len().saturating_sub(mark.len());
                self.fill("the end mark of the RDB");
            };
            self.rdb = self.raw.drain(..end).collect();
            self.raw.drain(..mark.len());
            self.framing = Some(Framing::Mark);
        } else {
            let len: usize = head.parse().expect("the length of the RDB");
            while self.raw.len() < len {
                self.fill("the RDB");
            }
            self.rdb = self.raw.drain(..len).collect();
            self.framing = Some(Framing::Length);
        }
        assert!(self.rdb.starts_with(b"REDIS00"), "the magic of an RDB");
        assert_eq!(
            self.rdb[self.rdb.len() - 9],
            0xff,
            "the end opcode before the checksum"
        );
    }

    /// Sends `REPLCONF ACK` with the offset of all commands parsed so far.
    pub fn ack(&mut self) {
        let request = resp::request(&["REPLCONF", "ACK", &self.offset.to_string()]);
        self.client.send(&request).expect("an ACK can be sent");
    }

    fn parse_all(&mut self) {
        let mut at = 0;
        loop {
            match resp::parse(&self.raw, at) {
                Ok((value, end)) => {
                    let args = value.items().iter().map(|v| v.bytes().to_vec()).collect();
                    self.offset += (end - at) as u64;
                    at = end;
                    self.take_command(args);
                }
                Err(Fault::Incomplete) => break,
                Err(Fault::Malformed(text)) => panic!("the stream is broken: {text}"),
            }
        }
        self.raw.drain(..at);
    }

    fn take_command(&mut self, args: Vec<Vec<u8>>) {
        assert!(!args.is_empty(), "an empty command in the stream");
        let command = Streamed {
            db: self.db,
            args,
            end: self.offset,
        };
        if command.name() == "SELECT" {
            let db = String::from_utf8_lossy(&command.args[1]).parse();
            self.db = db.expect("SELECT names a database");
        }
        self.parsed.push_back(command);
    }

    /// The next command of the stream, or none if nothing comes within `wait`.
    pub fn next(&mut self, wait: Duration) -> Option<Streamed> {
        let deadline = Instant::now() + wait;
        loop {
            self.parse_all();
            if let Some(command) = self.parsed.pop_front() {
                if command.name() == "REPLCONF" {
                    self.ack();
                }
                return Some(command);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.client.fill_raw(left).is_err() {
                return None;
            }
            self.raw.append(&mut self.client.take_raw());
        }
    }

    /// All commands up to the `SET` of the key `marker`, that one left out, and service commands
    /// left out.
    pub fn until(&mut self, marker: &str) -> Vec<Streamed> {
        let mut seen = Vec::new();
        loop {
            let Some(command) = self.next(super::PATIENCE) else {
                panic!(
                    "the stream ended before SET {marker}; {} commands came",
                    seen.len()
                );
            };
            if command.name() == "SET" && command.args[1] == marker.as_bytes() {
                return seen;
            }
            if !command.is_service() {
                seen.push(command);
            }
        }
    }

    /// True once the primary has closed this link.
    pub fn dropped(&mut self) -> bool {
        self.client.closed_by_server()
    }
}

fn find(data: &[u8], needle: &[u8]) -> Option<usize> {
    data.windows(needle.len()).position(|w| w == needle)
}

/// A unit of the stream: one command, or all of MULTI … EXEC without those two words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit {
    pub whole: bool,
    pub commands: Vec<(usize, Vec<Vec<u8>>)>,
}

impl Unit {
    pub fn show(&self) -> String {
        let lines: Vec<String> = self
            .commands
            .iter()
            .map(|(db, args)| format!("{db}> {}", resp::show(args)))
            .collect();
        if self.whole {
            format!("MULTI [{}] EXEC", lines.join("; "))
        } else {
            lines.join("; ")
        }
    }
}

/// Groups commands into units; panics on a MULTI within a MULTI or an EXEC without one.
pub fn units(commands: &[Streamed]) -> Vec<Unit> {
    let mut out: Vec<Unit> = Vec::new();
    let mut open: Option<Unit> = None;
    for command in commands {
        match command.name().as_str() {
            "MULTI" => {
                assert!(open.is_none(), "MULTI within MULTI in the stream");
                open = Some(Unit {
                    whole: true,
                    commands: Vec::new(),
                });
            }
            "EXEC" => out.push(open.take().expect("EXEC without MULTI in the stream")),
            _ => match &mut open {
                Some(unit) => unit.commands.push((command.db, command.args.clone())),
                None => out.push(Unit {
                    whole: false,
                    commands: vec![(command.db, command.args.clone())],
                }),
            },
        }
    }
    assert!(open.is_none(), "the stream ends within a MULTI");
    out
}
