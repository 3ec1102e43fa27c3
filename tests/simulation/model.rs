//! The reference: a plain map that replays a stream, and the history of a stream by offsets.

use std::collections::BTreeMap;

use banyan::protocol::{Input, Limits};
use banyan::shard::Shard;
use banyan::value::ValueRef;

/// Databases of every simulated process.
pub const DATABASES: usize = 3;

#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    String(Vec<u8>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    pub value: Value,
    pub expire_at_ms: Option<u64>,
}

type Database = BTreeMap<Vec<u8>, Item>;

/// A dataset.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Model {
    pub databases: [Database; DATABASES],
}

fn number(bytes: &[u8]) -> i64 {
    let text = std::str::from_utf8(bytes).expect("numbers are text");
    text.parse().expect("the stream holds valid numbers")
}

impl Model {
    /// What the shards of a process hold.
    pub fn of<'a>(shards: impl Iterator<Item = &'a Shard>) -> Self {
        let mut model = Model::default();
        for shard in shards {
            for (at, database) in model.databases.iter_mut().enumerate() {
                for entry in shard.keyspace.db(at).iter() {
                    let value = match entry.value() {
                        ValueRef::Int(n) => Value::String(n.to_string().into_bytes()),
                        ValueRef::Bytes(bytes) => Value::String(bytes.to_vec()),
                        ValueRef::Hash(hash) => Value::Hash(
                            hash.iter()
                                .map(|(field, value)| (field.to_vec(), value.to_vec()))
                                .collect(),
                        ),
                        other => panic!("not a type of the workload: {other:?}"),
                    };
                    let item = Item {
                        value,
                        expire_at_ms: entry.expire_at(),
                    };
                    let before = database.insert(entry.key().to_vec(), item);
                    assert!(before.is_none(), "two shards hold one key");
                }
            }
        }
        model
    }

    /// An integer of database 0.
    pub fn integer(&self, key: &str) -> Option<i64> {
        match &self.databases[0].get(key.as_bytes())?.value {
            Value::String(bytes) => Some(number(bytes)),
            Value::Hash(_) => None,
        }
    }

    /// What differs from `other`, in words.
    pub fn difference(&self, other: &Model) -> String {
        let mut out = String::new();
        for (db, (mine, theirs)) in self.databases.iter().zip(&other.databases).enumerate() {
            let keys: std::collections::BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
            for key in keys {
                let (a, b) = (mine.get(key), theirs.get(key));
                if a != b {
                    let name = String::from_utf8_lossy(key);
                    out += &format!("\n  db {db} {name}: is {a:?}, should be {b:?}");
                }
            }
        }
        out
    }

    /// Applies one command of a stream.
    pub fn apply(&mut self, db: usize, args: &[Vec<u8>]) {
        let name = String::from_utf8_lossy(&args[0]).to_ascii_lowercase();
        match &*name {
            "flushall" => *self = Model::default(),
            "flushdb" => self.databases[db].clear(),
            "swapdb" => self
                .databases
                .swap(number(&args[1]) as usize, number(&args[2]) as usize),
            "copy" => self.copy(db, args),
            "move" => {
                if let Some(item) = self.databases[db].remove(&args[1]) {
                    self.databases[number(&args[2]) as usize].insert(args[1].clone(), item);
                }
            }
            _ => apply_keyed(&mut self.databases[db], &name, args),
        }
    }

    fn copy(&mut self, db: usize, args: &[Vec<u8>]) {
        let mut to = db;
        let mut at = 3;
        while at < args.len() {
            if args[at].eq_ignore_ascii_case(b"db") {
                to = number(&args[at + 1]) as usize;
                at += 1;
            }
            at += 1;
        }
        if let Some(item) = self.databases[db].get(&args[1]).cloned() {
            self.databases[to].insert(args[2].clone(), item);
        }
    }
}

fn string(database: &mut Database, key: &[u8], value: Vec<u8>, expire_at_ms: Option<u64>) {
    let value = Value::String(value);
    let item = Item {
        value,
        expire_at_ms,
    };
    database.insert(key.to_vec(), item);
}

/// Changes a string in place, keeping its expiry.
fn edit(database: &mut Database, key: &[u8], f: impl FnOnce(&mut Vec<u8>)) {
    let item = database.entry(key.to_vec()).or_insert_with(|| Item {
        value: Value::String(Vec::new()),
        expire_at_ms: None,
    });
    let Value::String(bytes) = &mut item.value else {
        panic!("a string command on a hash in the stream");
    };
    f(bytes);
}

fn add(database: &mut Database, key: &[u8], delta: i64) {
    edit(database, key, |bytes| {
        let old = if bytes.is_empty() { 0 } else { number(bytes) };
        *bytes = (old + delta).to_string().into_bytes();
    });
}

fn apply_keyed(database: &mut Database, name: &str, args: &[Vec<u8>]) {
    let key = &args[1];
    match name {
        "set" => {
            let mut expire = None;
            let mut at = 3;
            while at < args.len() {
                match &*String::from_utf8_lossy(&args[at]).to_ascii_lowercase() {
                    "pxat" => {
                        expire = Some(number(&args[at + 1]) as u64);
                        at += 1;
                    }
                    "keepttl" => expire = database.get(key).and_then(|item| item.expire_at_ms),
                    "nx" | "xx" | "get" => {}
                    other => panic!("SET with {other} in the stream"),
                }
                at += 1;
            }
            string(database, key, args[2].clone(), expire);
        }
        "setnx" | "getset" => string(database, key, args[2].clone(), None),
        "mset" | "msetnx" => {
            for pair in args[1..].chunks(2) {
                string(database, &pair[0], pair[1].clone(), None);
            }
        }
        "del" | "unlink" | "getdel" => args[1..].iter().for_each(|key| {
            database.remove(key);
        }),
        "incr" => add(database, key, 1),
        "decr" => add(database, key, -1),
        "incrby" => add(database, key, number(&args[2])),
        "decrby" => add(database, key, -number(&args[2])),
        "append" => edit(database, key, |bytes| bytes.extend_from_slice(&args[2])),
        "setrange" => edit(database, key, |bytes| {
            let (start, new) = (number(&args[2]) as usize, &args[3]);
            if bytes.len() < start + new.len() {
                bytes.resize(start + new.len(), 0);
            }
            bytes[start..start + new.len()].copy_from_slice(new);
        }),
        "rename" | "renamenx" => {
            let item = database
                .remove(key)
                .expect("a rename of a key that is there");
            database.insert(args[2].clone(), item);
        }
        "pexpireat" | "persist" => {
            let expire = args.get(2).map(|at| number(at) as u64);
            if let Some(item) = database.get_mut(key) {
                item.expire_at_ms = expire;
            }
        }
        _ => apply_hash(database, name, args),
    }
}

fn apply_hash(database: &mut Database, name: &str, args: &[Vec<u8>]) {
    let key = &args[1];
    let item = database.entry(key.clone()).or_insert_with(|| Item {
        value: Value::Hash(BTreeMap::new()),
        expire_at_ms: None,
    });
    let Value::Hash(hash) = &mut item.value else {
        panic!("{name} on a string in the stream");
    };
    match name {
        "hset" | "hmset" | "hsetnx" => {
            for pair in args[2..].chunks(2) {
                hash.insert(pair[0].clone(), pair[1].clone());
            }
        }
        "hdel" => args[2..].iter().for_each(|field| {
            hash.remove(field);
        }),
        "hincrby" => {
            let old = hash.get(&args[2]).map_or(0, |value| number(value));
            let new = old + number(&args[3]);
            hash.insert(args[2].clone(), new.to_string().into_bytes());
        }
        other => panic!("the model does not know {other}"),
    }
    if hash.is_empty() {
        database.remove(key);
    }
}

/// A command, or MULTI up to EXEC.
#[derive(Clone)]
struct Unit {
    end: u64,
    /// Database selected after it.
    db: usize,
    commands: Vec<(usize, Vec<Vec<u8>>)>,
}

/// A stream from its beginning.
#[derive(Clone)]
pub struct History {
    start: u64,
    pub base: Model,
    units: Vec<Unit>,
    db: usize,
    multi: Option<Vec<(usize, Vec<Vec<u8>>)>>,
    pending: Vec<u8>,
    pub end: u64,
    /// Commands seen.
    pub commands: usize,
}

impl History {
    pub fn new(start: u64, base: Model) -> Self {
        History {
            start,
            base,
            units: Vec::new(),
            db: 0,
            multi: None,
            pending: Vec::new(),
            end: start,
            commands: 0,
        }
    }

    /// The history up to `offset`, which ends a unit: a promotion goes on from there.
    pub fn fork(&self, offset: u64) -> Self {
        let count = self.units.partition_point(|unit| unit.end <= offset);
        let units = self.units[..count].to_vec();
        let end = units.last().map_or(self.start, |unit| unit.end);
        assert_eq!(end, offset, "a promotion is at the end of a unit");
        History {
            db: units.last().map_or(0, |unit| unit.db),
            units,
            end,
            multi: None,
            pending: Vec::new(),
            base: self.base.clone(),
            ..*self
        }
    }

    /// Bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        let mut input = Input::new();
        input.push(&self.pending);
        let limits = Limits {
            authenticated: true,
            ..Limits::default()
        };
        let total = self.pending.len();
        let mut done = 0;
        while let Some(request) = input.next(&limits).expect("the stream is made of requests") {
            let args: Vec<Vec<u8>> = request.args.iter().map(<[u8]>::to_vec).collect();
            let end = total - input.buffered();
            self.command(args, self.end + (end - done) as u64);
            done = end;
        }
        self.pending.drain(..done);
    }

    /// Bytes of a command that is not whole yet.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn command(&mut self, args: Vec<Vec<u8>>, end: u64) {
        self.end = end;
        self.commands += 1;
        let mut commands = Vec::new();
        match &*String::from_utf8_lossy(&args[0]).to_ascii_lowercase() {
            "select" => self.db = number(&args[1]) as usize,
            "ping" | "replconf" => {}
            "multi" => {
                assert!(self.multi.is_none(), "MULTI within MULTI");
                self.multi = Some(Vec::new());
            }
            "exec" => commands = self.multi.take().expect("EXEC follows MULTI"),
            _ => match &mut self.multi {
                Some(multi) => multi.push((self.db, args)),
                None => commands.push((self.db, args)),
            },
        }
        if self.multi.is_none() {
            let db = self.db;
            self.units.push(Unit { end, db, commands });
        }
    }

    /// Offset at the end of the unit that set a key to a value; `None` if there is none.
    pub fn offset_of_set(&self, key: &[u8], value: &[u8]) -> Option<u64> {
        let sets = |args: &Vec<Vec<u8>>| args.windows(2).any(|w| w[0] == key && w[1] == value);
        let mut units = self.units.iter().rev();
        units
            .find(|unit| unit.commands.iter().any(|(_, args)| sets(args)))
            .map(|unit| unit.end)
    }
}

/// A model that moves along a history.
#[derive(Clone, Default)]
pub struct Cursor {
    replid: String,
    offset: u64,
    at: usize,
    model: Model,
}

impl Cursor {
    /// The dataset at an offset of a history; an error if no unit ends there.
    pub fn seek(&mut self, replid: &str, history: &History, offset: u64) -> Result<&Model, String> {
        if self.replid != replid || self.offset > offset {
            *self = Cursor {
                replid: replid.to_owned(),
                offset: history.start,
                at: 0,
                model: history.base.clone(),
            };
        }
        while let Some(unit) = history.units.get(self.at)
            && unit.end <= offset
        {
            for (db, args) in &unit.commands {
                self.model.apply(*db, args);
            }
            self.offset = unit.end;
            self.at += 1;
        }
        if self.offset != offset {
            return Err(format!("offset {offset} does not end a unit of {replid}"));
        }
        Ok(&self.model)
    }
}
