//! What clients send, and what they expect of each reply.

use std::collections::BTreeMap;

use banyan::protocol::encode;
use banyan::protocol::reply_parser::Value;

use crate::linear::{Kind, NEVER, Op};
use crate::model::Model;
use crate::random::Random;

/// Keys with a history: registers, then counters.
pub const REGISTERS: usize = 6;
pub const COUNTERS: usize = 3;
/// Keys that are always set together, to one value.
const PAIRS: usize = 3;
/// Accounts whose sum is always 0.
const ACCOUNTS: usize = 4;
/// Keys for which anything goes.
const WILD: usize = 8;
/// Keys that each writer sets in this order, in one pipeline.
const ORDERED: usize = 3;

/// An operation of a history: its key and its place there.
pub type OpRef = (usize, usize);

/// What a reply must be, or what is to be noted of it.
#[derive(Clone, Debug)]
pub enum Check {
    Any,
    /// An operation whose reply tells the rest.
    Op(OpRef),
    /// One reply for several operations: MSET and MGET.
    Ops(Vec<OpRef>),
    Equal,
    Balanced,
    /// Never growing from one element to the next; at the primary only.
    Ordered,
    Queued,
    Exec(Vec<Check>),
    /// Balances read under WATCH, for the transfer that follows.
    Watched(usize, usize),
    /// WAIT after a SET of this register to this value.
    Wait(usize, i64),
    Done,
}

/// What the clients saw, key by key.
#[derive(Default)]
pub struct Histories {
    pub ops: Vec<Vec<Op>>,
    pub first: Vec<Option<i64>>,
    /// Operations of each key that were judged and forgotten.
    before: Vec<usize>,
    /// Writes that were under way then, and may still be carried out: where they are now.
    carried: BTreeMap<OpRef, usize>,
    /// Reads sent before this may have been answered by what was no primary any more.
    reads_count_from: u64,
    clock: u64,
    unique: i64,
}

pub fn history_key(at: usize) -> String {
    match at.checked_sub(REGISTERS) {
        None => format!("r:{at}"),
        Some(at) => format!("n:{at}"),
    }
}

impl Check {
    /// The operations that it is about.
    pub fn operations(&self) -> Vec<OpRef> {
        match self {
            Check::Op(op) => vec![*op],
            Check::Ops(ops) => ops.clone(),
            Check::Exec(checks) => checks.iter().flat_map(Check::operations).collect(),
            _ => Vec::new(),
        }
    }
}

impl Histories {
    pub fn new() -> Self {
        let mut histories = Histories::default();
        histories.begin(&Model::default(), &[]);
        histories
    }

    /// Begins anew where `model` stands. Of what was seen so far only the writes that `under_way`
    /// names are kept: a process that is primary again may carry them out yet.
    pub fn begin(&mut self, model: &Model, under_way: &[OpRef]) {
        let keys = 0..REGISTERS + COUNTERS;
        let kept: Vec<(OpRef, Op)> = under_way
            .iter()
            .filter_map(|&at| Some((at, *self.find(at)?)))
            .filter(|(_, op)| op.end == NEVER && !matches!(op.kind, Kind::Read(_)))
            .collect();
        self.before.resize(REGISTERS + COUNTERS, 0);
        for (before, ops) in self.before.iter_mut().zip(&self.ops) {
            *before += ops.len();
        }
        self.ops = keys.clone().map(|_| Vec::new()).collect();
        self.first = keys.map(|at| model.integer(&history_key(at))).collect();
        self.carried.clear();
        for (at, op) in kept {
            let ops = &mut self.ops[at.0];
            self.carried.insert(at, ops.len());
            ops.push(Op { after: None, ..op });
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn unique(&mut self) -> i64 {
        self.unique += 1;
        self.unique
    }

    fn call(&mut self, key: usize, kind: Kind) -> OpRef {
        let call = self.tick();
        self.ops[key].push(Op {
            call,
            end: NEVER,
            kind,
            after: None,
        });
        (key, self.before[key] + self.ops[key].len() - 1)
    }

    /// An operation, unless it was forgotten.
    fn find(&mut self, op: OpRef) -> Option<&mut Op> {
        let (key, at) = op;
        let place = match self.carried.get(&op) {
            Some(place) => *place,
            None => at.checked_sub(self.before[key])?,
        };
        self.ops[key].get_mut(place)
    }

    /// The reply to an operation.
    fn end(&mut self, op: OpRef, reply: &Value) {
        let end = self.tick();
        let reads_count_from = self.reads_count_from;
        let is_carried = self.carried.contains_key(&op);
        let Some(op) = self.find(op) else {
            return;
        };
        if matches!(op.kind, Kind::Read(_)) && op.call < reads_count_from {
            return;
        }
        if is_carried && !matches!(reply, Value::Error(_)) {
            // It ran before or after the change of primary: no more is known.
            return;
        }
        let seen = integer(reply);
        op.end = end;
        op.kind = match (op.kind, reply) {
            // Refused: it did not run.
            (_, Value::Error(_)) => {
                op.end = NEVER;
                Kind::Read(None)
            }
            (Kind::Read(_), _) => Kind::Read(seen),
            (Kind::Swap(new, _), _) => Kind::Swap(new, seen),
            (Kind::Add(delta, _), _) => Kind::Add(delta, seen),
            (write, _) => write,
        };
    }

    /// The primary is about to be made a replica: reads under way may be answered by the replica.
    pub fn forget_reads(&mut self) {
        self.reads_count_from = self.tick();
    }

    fn cancel(&mut self, op: OpRef) {
        if let Some(op) = self.find(op) {
            op.kind = Kind::Read(None);
        }
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(n) => Some(*n),
        Value::Bulk(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        _ => None,
    }
}

fn elements(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(elements) => Some(elements),
        _ => None,
    }
}

/// A reply as text.
pub fn show(value: &Value) -> String {
    match value {
        Value::Simple(text) | Value::Error(text) | Value::Bulk(text) => {
            String::from_utf8_lossy(text).into_owned()
        }
        Value::Integer(n) => n.to_string(),
        Value::Array(values) => format!("{:?}", values.iter().map(show).collect::<Vec<_>>()),
        other => format!("{other:?}"),
    }
}

/// What a check asks the world to look at.
pub enum Outcome {
    Fine,
    Watched(usize, usize, i64, i64),
    Waited(usize, i64, i64),
    Done(String),
}

/// Judges a reply.
pub fn judge(check: &Check, reply: &Value, histories: &mut Histories) -> Result<Outcome, String> {
    let refused = matches!(reply, Value::Error(_));
    match check {
        Check::Any => {
            // Commands on keys of another type fail; nothing may say that the server is confused.
            if let Value::Error(text) = reply
                && !is_expected_error(text)
            {
                return Err(format!("error reply {}", String::from_utf8_lossy(text)));
            }
        }
        Check::Op(op) => histories.end(*op, reply),
        Check::Ops(ops) => match elements(reply) {
            Some(values) => ops
                .iter()
                .zip(values)
                .for_each(|(op, v)| histories.end(*op, v)),
            None => ops.iter().for_each(|op| histories.end(*op, reply)),
        },
        Check::Equal => {
            if let Some([a, b]) = elements(reply)
                && a != b
            {
                let (a, b) = (show(a), show(b));
                return Err(format!("half of an MSET is seen: {a} and {b}"));
            }
        }
        Check::Balanced => {
            if let Some(values) = elements(reply) {
                let sum: i64 = values.iter().filter_map(integer).sum();
                if sum != 0 {
                    return Err(format!("half of a transfer is seen: {}", show(reply)));
                }
            }
        }
        Check::Ordered => {
            if let Some(values) = elements(reply) {
                let values: Vec<i64> = values.iter().map(|v| integer(v).unwrap_or(0)).collect();
                if !values.is_sorted_by(|a, b| a >= b) {
                    return Err(format!("a pipeline is seen out of order: {values:?}"));
                }
            }
        }
        Check::Queued if refused || *reply == Value::Simple(b"QUEUED".to_vec()) => {}
        Check::Queued => return Err(format!("{reply:?} instead of QUEUED")),
        Check::Exec(checks) => return judge_exec(checks, reply, histories),
        Check::Watched(a, b) => {
            if let Some([x, y]) = elements(reply) {
                let (x, y) = (integer(x).unwrap_or(0), integer(y).unwrap_or(0));
                return Ok(Outcome::Watched(*a, *b, x, y));
            }
        }
        Check::Wait(key, value) => {
            if let Some(count) = integer(reply) {
                return Ok(Outcome::Waited(*key, *value, count));
            }
        }
        Check::Done => return Ok(Outcome::Done(show(reply))),
    }
    Ok(Outcome::Fine)
}

fn is_expected_error(text: &[u8]) -> bool {
    [
        &b"WRONGTYPE"[..],
        b"ERR value is not an integer",
        b"ERR hash value is not an integer",
        b"ERR no such key",
        b"ERR source and destination objects are the same",
        b"READONLY",
        // A client whose primary became a replica.
        b"LOADING",
        b"NOREPLICAS",
        b"EXECABORT",
    ]
    .iter()
    .any(|expected| text.starts_with(expected))
}

fn judge_exec(
    checks: &[Check],
    reply: &Value,
    histories: &mut Histories,
) -> Result<Outcome, String> {
    let Some(values) = elements(reply) else {
        for check in checks {
            if let Check::Op(op) = check {
                histories.cancel(*op);
            }
        }
        return Ok(Outcome::Fine);
    };
    if values.len() != checks.len() {
        return Err(format!("EXEC of {} gives {values:?}", checks.len()));
    }
    // Balanced and Equal on EXEC judge the whole array.
    match checks.first() {
        Some(whole @ (Check::Balanced | Check::Equal)) => judge(whole, reply, histories),
        _ => {
            for (check, value) in checks.iter().zip(values) {
                judge(check, value, histories)?;
            }
            Ok(Outcome::Fine)
        }
    }
}

/// Requests being put together for one pipeline.
pub struct Batch<'a> {
    pub bytes: Vec<u8>,
    pub checks: Vec<Check>,
    /// The commands as text, for the trace.
    pub text: Vec<String>,
    pub rng: &'a mut Random,
    pub histories: &'a mut Histories,
    /// Per key with a history: the operation before in this pipeline.
    before: Vec<Option<usize>>,
    pub client: usize,
    pub now_ms: u64,
    /// Whether FLUSHALL is among them.
    pub flushes: bool,
    pub heavy: bool,
}

impl<'a> Batch<'a> {
    pub fn new(
        rng: &'a mut Random,
        histories: &'a mut Histories,
        client: usize,
        now_ms: u64,
    ) -> Self {
        Batch {
            bytes: Vec::new(),
            checks: Vec::new(),
            text: Vec::new(),
            rng,
            histories,
            before: vec![None; REGISTERS + COUNTERS],
            client,
            now_ms,
            flushes: false,
            heavy: false,
        }
    }

    /// Adds a command, words divided by blanks.
    pub fn add(&mut self, command: &str, check: Check) {
        let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
        encode::request(&mut self.bytes, &words);
        self.text.push(command.to_owned());
        self.checks.push(check);
    }

    fn call(&mut self, key: usize, kind: Kind) -> OpRef {
        let op = self.histories.call(key, kind);
        let at = self.histories.ops[key].len() - 1;
        self.histories.ops[key][at].after = self.before[key].replace(at);
        op
    }

    /// A pipeline of a writer.
    pub fn writer(&mut self, strict: bool) {
        let commands = if self.rng.one_in(3) {
            1
        } else {
            1 + self.rng.below(8)
        };
        let ordered = strict && self.rng.one_in(5);
        let number = self.histories.unique();
        for at in 0..commands.max(if ordered { ORDERED } else { 0 }) {
            if ordered && at < ORDERED {
                let client = self.client;
                self.add(&format!("SET o{client}:{at} {number}"), Check::Any);
            }
            self.one();
        }
        // Last: an EXEC after it would end the watch.
        if self.rng.one_in(6) {
            self.watch();
        }
    }

    fn one(&mut self) {
        match self.rng.below(20) {
            0..=3 => self.register(),
            4 => self.counter(),
            5 => self.registers(),
            6 => self.pair(),
            7 => self.transfer(),
            8 => self.transaction(),
            9..=11 => self.read(),
            12 => self.wait(),
            _ => self.wild(),
        }
    }

    /// A pipeline of reads whose answers must hold together, but for those about order also on a
    /// replica.
    pub fn observer(&mut self, strict: bool, writers: usize) {
        for _ in 0..1 + self.rng.below(3) {
            self.read();
        }
        if strict && !self.flushes {
            let client = self.rng.below(writers);
            let keys: Vec<String> = (0..ORDERED).map(|at| format!("o{client}:{at}")).collect();
            self.add(&format!("MGET {}", keys.join(" ")), Check::Ordered);
        }
    }

    fn read(&mut self) {
        let pair = self.rng.below(PAIRS);
        match self.rng.below(4) {
            0 => self.add(&format!("MGET p{pair}:x p{pair}:y"), Check::Equal),
            1 => self.add("MGET s:0 s:1 s:2 s:3", Check::Balanced),
            2 => {
                self.add("MULTI", Check::Any);
                self.add(&format!("GET p{pair}:x"), Check::Queued);
                self.add(&format!("GET p{pair}:y"), Check::Queued);
                self.add("EXEC", Check::Exec(vec![Check::Equal; 2]));
            }
            _ => {
                self.add("MULTI", Check::Any);
                for at in 0..ACCOUNTS {
                    self.add(&format!("GET s:{at}"), Check::Queued);
                }
                self.add("EXEC", Check::Exec(vec![Check::Balanced; ACCOUNTS]));
            }
        }
    }

    fn register(&mut self) {
        let key = self.rng.below(REGISTERS);
        let (name, value) = (history_key(key), self.histories.unique());
        match self.rng.below(8) {
            0..=2 => {
                let op = self.call(key, Kind::Write(Some(value)));
                self.add(&format!("SET {name} {value}"), Check::Op(op));
            }
            3..=5 => {
                let op = self.call(key, Kind::Read(None));
                self.add(&format!("GET {name}"), Check::Op(op));
            }
            6 => {
                let op = self.call(key, Kind::Swap(value, None));
                self.add(&format!("GETSET {name} {value}"), Check::Op(op));
            }
            _ => {
                let op = self.call(key, Kind::Write(None));
                self.add(&format!("DEL {name}"), Check::Op(op));
            }
        }
    }

    fn counter(&mut self) {
        let key = REGISTERS + self.rng.below(COUNTERS);
        let delta = self.rng.range(1, 5) as i64;
        let op = self.call(key, Kind::Add(delta, None));
        self.add(
            &format!("INCRBY {} {delta}", history_key(key)),
            Check::Op(op),
        );
    }

    /// MSET or MGET of several registers.
    fn registers(&mut self) {
        let first = self.rng.below(REGISTERS);
        let count = 2 + self.rng.below(3);
        let keys = (0..count).map(|at| (first + at) % REGISTERS);
        let reads = self.rng.one_in(2);
        let mut text = if reads { "MGET" } else { "MSET" }.to_owned();
        let mut ops = Vec::new();
        for key in keys {
            text += &format!(" {}", history_key(key));
            if reads {
                ops.push(self.call(key, Kind::Read(None)));
            } else {
                let value = self.histories.unique();
                text += &format!(" {value}");
                ops.push(self.call(key, Kind::Write(Some(value))));
            }
        }
        self.add(&text, Check::Ops(ops));
    }

    fn pair(&mut self) {
        let (pair, value) = (self.rng.below(PAIRS), self.histories.unique());
        match self.rng.below(6) {
            0 => self.add(&format!("DEL p{pair}:x p{pair}:y"), Check::Any),
            1 => self.add(
                &format!("MSETNX p{pair}:x {value} p{pair}:y {value}"),
                Check::Any,
            ),
            _ => self.add(
                &format!("MSET p{pair}:x {value} p{pair}:y {value}"),
                Check::Any,
            ),
        }
    }

    fn two_accounts(&mut self) -> (usize, usize) {
        let a = self.rng.below(ACCOUNTS);
        (a, (a + 1 + self.rng.below(ACCOUNTS - 1)) % ACCOUNTS)
    }

    fn transfer(&mut self) {
        let (a, b) = self.two_accounts();
        let amount = self.rng.range(1, 9);
        self.add("MULTI", Check::Any);
        self.add(&format!("DECRBY s:{a} {amount}"), Check::Queued);
        self.add(&format!("INCRBY s:{b} {amount}"), Check::Queued);
        self.add("EXEC", Check::Exec(vec![Check::Any; 2]));
    }

    /// Any commands in a transaction.
    fn transaction(&mut self) {
        self.add("MULTI", Check::Any);
        let from = self.checks.len();
        if self.rng.one_in(3) {
            self.add("SELECT 1", Check::Any);
            self.wild_key();
            self.add("SELECT 0", Check::Any);
        }
        for _ in 0..1 + self.rng.below(4) {
            if self.rng.one_in(2) {
                self.register();
            } else {
                self.wild_key();
            }
        }
        let checks: Vec<Check> = self.checks.drain(from..).collect();
        self.checks.extend(checks.iter().map(|_| Check::Queued));
        self.add("EXEC", Check::Exec(checks));
    }

    /// The first half of a transfer under WATCH.
    fn watch(&mut self) {
        let (a, b) = self.two_accounts();
        self.add(&format!("WATCH s:{a} s:{b}"), Check::Any);
        self.add(&format!("MGET s:{a} s:{b}"), Check::Watched(a, b));
    }

    /// The second half.
    pub fn commit(&mut self, (a, b, x, y): (usize, usize, i64, i64)) {
        let amount = self.rng.range(1, 9) as i64;
        self.add("MULTI", Check::Any);
        self.add(&format!("SET s:{a} {}", x - amount), Check::Queued);
        self.add(&format!("SET s:{b} {}", y + amount), Check::Queued);
        self.add("EXEC", Check::Exec(vec![Check::Any; 2]));
    }

    fn wait(&mut self) {
        if !self.rng.one_in(3) {
            return;
        }
        let (key, value) = (self.rng.below(REGISTERS), self.histories.unique());
        let op = self.call(key, Kind::Write(Some(value)));
        self.add(&format!("SET {} {value}", history_key(key)), Check::Op(op));
        let (count, timeout) = (self.rng.range(1, 2), self.rng.range(1, 60));
        self.add(&format!("WAIT {count} {timeout}"), Check::Wait(key, value));
    }

    fn wild(&mut self) {
        match self.rng.below(40) {
            0 if self.flushes => self.add("FLUSHALL", Check::Any),
            1..=2 => {
                let db = self.rng.range(1, 2);
                self.add(&format!("SELECT {db}"), Check::Any);
                for _ in 0..self.rng.below(4) {
                    self.wild_key();
                }
                if self.rng.one_in(4) {
                    self.add("FLUSHDB", Check::Any);
                }
                self.wild_key();
                self.add("SELECT 0", Check::Any);
            }
            3 => self.add("SWAPDB 1 2", Check::Any),
            4 => self.add("DBSIZE", Check::Any),
            5 => self.add("KEYS c*", Check::Any),
            6 => self.add("SCAN 0 COUNT 5", Check::Any),
            7 => self.add("RANDOMKEY", Check::Any),
            9 if self.rng.one_in(4) => {
                let (ms, kind) = (self.rng.range(1, 30), *self.rng.pick(&["ALL", "WRITE"]));
                self.add(&format!("CLIENT PAUSE {ms} {kind}"), Check::Any);
            }
            8 => {
                let key = self.rng.below(WILD);
                self.add(&format!("MOVE c:{key} 1"), Check::Any);
            }
            _ => self.wild_key(),
        }
    }

    fn wild_key(&mut self) {
        if self.heavy && self.rng.one_in(3) {
            let (key, len) = (self.rng.below(120), self.rng.range(1_000, 9_000) as usize);
            let (name, text) = if self.rng.one_in(4) {
                (
                    format!("h:{key}"),
                    format!("f{} {}", len % 9, "h".repeat(len)),
                )
            } else {
                (format!("b:{key}"), "b".repeat(len))
            };
            let command = if name.starts_with('h') { "HSET" } else { "SET" };
            self.add(&format!("{command} {name} {text}"), Check::Any);
            return;
        }
        let a = format!("c:{}", self.rng.below(WILD));
        let b = format!("c:{}", self.rng.below(WILD));
        let n = self.histories.unique();
        let ms = self.rng.range(1, 300);
        let at = self.now_ms + ms;
        let field = self.rng.below(8);
        let command = match self.rng.below(32) {
            0..=2 => format!("SET {a} {n}"),
            3 => format!("SET {a} text-{n} PX {ms}"),
            4 => format!("SET {a} {n} NX GET"),
            5..=6 => format!("APPEND {a} +{n}"),
            7 => format!("SETRANGE {a} {} {n}", ms % 20),
            8 => format!("INCR {a}"),
            9 => format!("DEL {a} {b}"),
            10 => format!("UNLINK {a}"),
            11..=12 => format!("RENAME {a} {b}"),
            13 => format!("RENAMENX {a} {b}"),
            14 => format!("COPY {a} {b} REPLACE"),
            15 => format!("COPY {a} {b} DB 1 REPLACE"),
            16 => format!("MSET {a} {n} {b} m{n}"),
            17 => format!("MSETNX {a} {n} {b} m{n}"),
            18 => format!("PEXPIRE {a} {ms}"),
            19 => format!("PEXPIREAT {a} {at}"),
            20 => format!("PERSIST {a}"),
            21 => format!("GETEX {a} PX {ms}"),
            22 => format!("GETDEL {a}"),
            23..=25 => format!("HSET h{a} f{field} {n} g{field} text"),
            26 => format!("HDEL h{a} f{field}"),
            27 => format!("HINCRBY h{a} i{field} {ms}"),
            28 => format!("PEXPIRE h{a} {ms}"),
            29 => format!("RENAME h{a} h{b}"),
            30 => format!("HGETALL h{a}"),
            _ => format!("SET {a} {}", "x".repeat((ms * 20) as usize)),
        };
        self.add(&command, Check::Any);
    }
}
