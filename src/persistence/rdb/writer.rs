//! The frame of an RDB: header, footer and the checksum over all.

use crate::value::codec::{RDB_VERSION, opcode, write_len, write_string};
use crate::value::crc64::Crc64;

/// The version of Redis that the file claims to come from. Readers only log it.
const REDIS_VERSION: &str = "7.2.4";

/// What stands at the head of the file about the file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preamble {
    /// When the cut was made, Unix time in seconds.
    pub created_s: u64,
    /// Memory in use at that time, in bytes.
    pub used_memory_bytes: u64,
    /// The place in the replication stream, or `None` if there is none.
    pub replication: Option<ReplicationInfo>,
    /// Whether the file is the base of an append-only file.
    pub aof_base: bool,
}

/// The place in the replication stream that a snapshot stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicationInfo {
    /// The database that the stream had selected, or `None` if the next command selects one.
    pub selected_db: Option<usize>,
    /// The replication id, 40 hex digits.
    pub id: String,
    /// The offset in bytes.
    pub offset: u64,
}

/// Computes the checksum of an RDB that is made in pieces, and its two ends.
///
/// Call [`begin`](Framer::begin) first, [`fragment`](Framer::fragment) for all that follows, in
/// order, and [`end`](Framer::end) last.
#[derive(Debug)]
pub struct Framer {
    crc: Option<Crc64>,
}

impl Framer {
    /// `checksum`: whether to compute it (the directive `rdbchecksum`); 0 is written if not.
    pub fn new(checksum: bool) -> Self {
        Self {
            crc: checksum.then(Crc64::new),
        }
    }

    /// Appends the header to `out`.
    pub fn begin(&mut self, out: &mut Vec<u8>, preamble: &Preamble) {
        let start = out.len();
        out.extend_from_slice(format!("REDIS{RDB_VERSION:04}").as_bytes());
        write_aux(out, "redis-ver", REDIS_VERSION);
        write_aux(out, "redis-bits", &usize::BITS.to_string());
        write_aux(out, "ctime", &preamble.created_s.to_string());
        write_aux(out, "used-mem", &preamble.used_memory_bytes.to_string());
        if let Some(replication) = &preamble.replication {
            let db = replication
                .selected_db
                .map_or("-1".to_owned(), |db| db.to_string());
            write_aux(out, "repl-stream-db", &db);
            write_aux(out, "repl-id", &replication.id);
            write_aux(out, "repl-offset", &replication.offset.to_string());
        }
        write_aux(out, "aof-base", if preamble.aof_base { "1" } else { "0" });
        self.fragment(&out[start..]);
    }

    /// Notes bytes that follow what was there before: whole records, made elsewhere.
    pub fn fragment(&mut self, bytes: &[u8]) {
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
    }

    /// Appends the footer to `out`.
    pub fn end(mut self, out: &mut Vec<u8>) {
        self.fragment(&[opcode::END]);
        out.push(opcode::END);
        let crc = self.crc.map_or(0, |crc| crc.value());
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

fn write_aux(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(opcode::AUX);
    write_string(out, name.as_bytes());
    write_string(out, value.as_bytes());
}

/// Appends the record of a function library, which is its source code.
pub fn write_function(out: &mut Vec<u8>, code: &[u8]) {
    out.push(opcode::FUNCTION);
    write_string(out, code);
}

/// Appends the hint how many keys, and how many with an expiry, the current database has.
pub fn write_resize_db(out: &mut Vec<u8>, keys: u64, expires: u64) {
    out.push(opcode::RESIZE_DB);
    write_len(out, keys);
    write_len(out, expires);
}
