//! What a command leaves for replicas: the shard's part of the replication stream.
//!
//! Effects are written as RESP requests, ready to send, into one buffer a tick. A *unit* is what
//! one command (or one EXEC) emits; a unit of more than one operation is wrapped in `MULTI` …
//! `EXEC`. `SELECT` is written only where the database changes within the buffer; the first
//! database is reported beside the buffer and the merge adds its `SELECT` if the stream stands
//! elsewhere.

use crate::protocol::encode;

/// One tick's effects of one shard, being built.
#[derive(Default)]
pub struct Effects {
    /// Nothing is recorded unless somebody listens (a replica was attached once, or an AOF).
    enabled: bool,
    buf: Vec<u8>,
    first_db: Option<u32>,
    last_db: u32,
    unit_start: usize,
    unit_ops: u32,
    in_unit: bool,
}

/// The finished effects of one tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// RESP requests, back to back.
    pub bytes: Vec<u8>,
    /// Database of the first operation.
    pub first_db: u32,
    /// Database selected at the end.
    pub last_db: u32,
}

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

impl Effects {
    /// Turns recording on or off. Only inside a barrier, so that no shard misses a write.
    pub fn set_enabled(&mut self, enabled: bool) {
        assert!(
            self.buf.is_empty(),
            "effects are sealed before the log is switched"
        );
        self.enabled = enabled;
    }

    /// Whether anything is recorded.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// Whether this tick has written nothing yet.
    pub fn is_empty(&self) -> bool {
        self.buf.is_empty()
    }

    /// Bytes recorded in this tick.
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Starts a unit: one command, or one EXEC with all its commands.
    pub fn begin_unit(&mut self) {
        assert!(!self.in_unit, "units do not nest");
        self.in_unit = true;
        self.unit_start = self.buf.len();
        self.unit_ops = 0;
    }

    /// Ends the unit, closing its MULTI if it needed one.
    pub fn end_unit(&mut self) {
        assert!(self.in_unit, "a unit was begun");
        self.in_unit = false;
        if self.unit_ops > 1 {
            self.buf.extend_from_slice(EXEC);
        }
    }

    /// Whether a unit is open.
    pub fn in_unit(&self) -> bool {
        self.in_unit
    }

    fn begin_op(&mut self, db: u32) {
        assert!(self.in_unit, "operations belong to a unit");
        self.unit_ops += 1;
        if self.unit_ops == 2 {
            // Rare (a lazy expiry before the command, EXEC): the first operation moves up.
            let at = self.unit_start;
            self.buf.splice(at..at, MULTI.iter().copied());
        }
        match self.first_db {
            None => self.first_db = Some(db),
            Some(_) if self.last_db != db => select(&mut self.buf, db),
            Some(_) => {}
        }
        self.last_db = db;
    }

    /// Records a request whose exact bytes are at hand.
    pub fn verbatim(&mut self, db: u32, request: &[u8]) {
        if self.enabled {
            self.begin_op(db);
            self.buf.extend_from_slice(request);
        }
    }

    /// Records a request from its arguments.
    pub fn request(&mut self, db: u32, args: &[&[u8]]) {
        if self.enabled {
            self.begin_op(db);
            encode::request(&mut self.buf, args);
        }
    }

    /// Appends what was recorded elsewhere: whole units, in one piece.
    pub fn absorb(&mut self, other: &Sealed) {
        assert!(!self.in_unit, "whole units are appended between units");
        if !self.enabled {
            return;
        }
        match self.first_db {
            None => self.first_db = Some(other.first_db),
            Some(_) if self.last_db != other.first_db => select(&mut self.buf, other.first_db),
            Some(_) => {}
        }
        self.buf.extend_from_slice(&other.bytes);
        self.last_db = other.last_db;
    }

    /// Takes what this tick recorded; `None` if nothing.
    pub fn seal(&mut self) -> Option<Sealed> {
        assert!(!self.in_unit, "a unit is never cut");
        if self.buf.is_empty() {
            return None;
        }
        // The next tick most likely writes about as much.
        let spare = Vec::with_capacity(self.buf.len().min(64 * 1024));
        let bytes = std::mem::replace(&mut self.buf, spare);
        let first_db = self
            .first_db
            .take()
            .expect("a non-empty buffer has a first database");
        Some(Sealed {
            bytes,
            first_db,
            last_db: self.last_db,
        })
    }
}

/// Writes `SELECT db`.
pub fn select(out: &mut Vec<u8>, db: u32) {
    let mut digits = itoa::Buffer::new();
    encode::request(out, &[b"SELECT", digits.format(db).as_bytes()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> Effects {
        let mut effects = Effects::default();
        effects.set_enabled(true);
        effects
    }

    #[test]
    fn a_single_operation_goes_bare_and_two_are_wrapped() {
        let mut effects = on();
        effects.begin_unit();
        effects.request(0, &[b"PING"]);
        effects.end_unit();
        effects.begin_unit();
        effects.request(0, &[b"A"]);
        effects.request(0, &[b"B"]);
        effects.end_unit();
        let sealed = effects.seal().unwrap();
        let want = b"*1\r\n$4\r\nPING\r\n*1\r\n$5\r\nMULTI\r\n*1\r\n$1\r\nA\r\n*1\r\n$1\r\nB\r\n\
            *1\r\n$4\r\nEXEC\r\n";
        assert_eq!(sealed.bytes, want);
        assert!(effects.seal().is_none());
    }

    #[test]
    fn select_is_written_only_where_the_database_changes() {
        let mut effects = on();
        for db in [3, 3, 5] {
            effects.begin_unit();
            effects.request(db, &[b"X"]);
            effects.end_unit();
        }
        let sealed = effects.seal().unwrap();
        assert_eq!((sealed.first_db, sealed.last_db), (3, 5));
        let want =
            b"*1\r\n$1\r\nX\r\n*1\r\n$1\r\nX\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n5\r\n*1\r\n$1\r\nX\r\n";
        assert_eq!(sealed.bytes, want);
    }

    #[test]
    fn nothing_is_recorded_while_nobody_listens() {
        let mut effects = Effects::default();
        effects.begin_unit();
        effects.request(0, &[b"X"]);
        effects.end_unit();
        assert!(effects.seal().is_none());
    }
}
