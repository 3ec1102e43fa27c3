//! What a delayed replica has received and not applied: a queue in memory, whose middle goes to
//! spool files when it grows beyond its share of memory.
//!
//! ```text
//!   front (memory) <- block <- block <- ... (files) <- being appended <- tail (memory) <- stream
//! ```
//!
//! No I/O here: [`Pending::drive`] says what is to be done with which file, and
//! [`Pending::spooled`] takes what became of it. Pieces that are being appended stay in memory
//! until they are on disk, so a disk that is full loses nothing.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use crate::shard::shell::{Spool, Spooled};

/// A block on disk, bytes: large enough for the disk, small beside the memory.
const BLOCK_BYTES: u64 = 1 << 20;
/// A file takes no further block beyond this size; it is given back as a whole.
const FILE_BYTES: u64 = 32 << 20;
/// Time after which a disk that failed is tried again, milliseconds.
const RETRY_MS: u64 = 10_000;
/// What a piece takes on disk beside its bytes: its time and its length.
const PIECE_HEAD: u64 = 12;

/// What may be held, bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub memory: u64,
    pub disk: u64,
}

/// A part of the stream and when it came, Unix time in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub ms: u64,
    pub bytes: Bytes,
}

impl Piece {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

struct SpoolFile {
    number: u64,
    /// Sizes on disk, and bytes of the stream, of the blocks that are not read yet.
    blocks: VecDeque<(u64, u64)>,
    read: u64,
    written: u64,
}

/// A wish whose outcome is still to come.
enum Flight {
    Append { pieces: Vec<Piece>, size: u64 },
    Read { size: u64, bytes: u64 },
}

/// The queue.
#[derive(Default)]
pub(super) struct Pending {
    front: VecDeque<Piece>,
    files: VecDeque<SpoolFile>,
    tail: VecDeque<Piece>,
    /// Bytes of the stream in memory: front, tail, and what is being appended.
    memory: u64,
    front_bytes: u64,
    /// Bytes of the stream on disk.
    spooled: u64,
    /// Bytes of files.
    disk: u64,
    /// Wishes under way, by file, in their order.
    flights: VecDeque<(u64, Flight)>,
    /// The disk failed, or is full: not to be tried again before this time.
    failed_until_ms: u64,
    next_file: u64,
}

impl Pending {
    /// Bytes of the stream that wait.
    pub fn bytes(&self) -> u64 {
        self.memory + self.spooled
    }

    /// Of them on disk.
    pub fn spooled_bytes(&self) -> u64 {
        self.spooled
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// When the oldest piece came, if it is in memory.
    pub fn first_ms(&self) -> Option<u64> {
        self.front.front().map(|piece| piece.ms)
    }

    /// Whether nothing waits that came until `ms`. Not known before the oldest piece is in memory.
    pub fn is_past(&self, ms: u64) -> bool {
        self.is_empty() || self.first_ms().is_some_and(|first| first > ms)
    }

    /// Takes a part of the stream that came at `ms`.
    pub fn push(&mut self, ms: u64, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.memory += bytes.len() as u64;
        self.tail.push_back(Piece { ms, bytes });
        self.advance();
    }

    /// The oldest piece, if it came until `ms`.
    pub fn pop_until(&mut self, ms: u64) -> Option<Piece> {
        self.first_ms().filter(|first| *first <= ms)?;
        let piece = self.front.pop_front()?;
        self.memory -= piece.len();
        self.front_bytes -= piece.len();
        self.advance();
        Some(piece)
    }

    /// Whether more waits than may be held, and the disk takes none of it.
    pub fn overflows(&self, limits: Limits, now_ms: u64) -> bool {
        self.memory > limits.memory && !self.may_append(limits, now_ms)
    }

    /// Whether the disk is far behind: no more should be received for now.
    pub fn is_pressed(&self, limits: Limits) -> bool {
        self.memory > limits.memory.saturating_mul(2).max(4 * BLOCK_BYTES)
    }

    fn may_append(&self, limits: Limits, now_ms: u64) -> bool {
        now_ms >= self.failed_until_ms && self.disk + BLOCK_BYTES <= limits.disk
    }

    /// With nothing between front and tail, the tail is the front.
    fn advance(&mut self) {
        if self.files.is_empty() && self.flights.is_empty() {
            for piece in self.tail.drain(..) {
                self.front_bytes += piece.len();
                self.front.push_back(piece);
            }
        }
    }

    /// What is to be done with files now.
    pub fn drive(&mut self, limits: Limits, now_ms: u64) -> Vec<(u64, Spool)> {
        let mut wishes = Vec::new();
        let appending = (self.flights.iter()).any(|(_, f)| matches!(f, Flight::Append { .. }));
        if !appending && self.memory > limits.memory && self.may_append(limits, now_ms) {
            self.append_block(&mut wishes);
        }
        let reading = (self.flights.iter()).any(|(_, f)| matches!(f, Flight::Read { .. }));
        if !reading && self.front_bytes < (limits.memory / 4).min(BLOCK_BYTES) {
            self.read_block(&mut wishes);
        }
        wishes
    }

    fn append_block(&mut self, wishes: &mut Vec<(u64, Spool)>) {
        if self.tail.is_empty() && self.files.is_empty() && self.flights.is_empty() {
            // All is in front: its younger part becomes the tail.
            while self.front.len() > 1 && self.front_bytes > BLOCK_BYTES {
                let Some(piece) = self.front.pop_back() else {
                    break;
                };
                self.front_bytes -= piece.len();
                self.tail.push_front(piece);
            }
        }
        let (mut pieces, mut out, mut size) = (Vec::new(), Vec::new(), 0);
        while let Some(piece) = self.tail.pop_front() {
            size += piece.len() + PIECE_HEAD;
            let mut head = piece.ms.to_le_bytes().to_vec();
            // A piece is what one read of the socket completed, or one unit: below 4 GiB.
            head.extend_from_slice(&(piece.bytes.len() as u32).to_le_bytes());
            out.push(Bytes::from(head));
            out.push(piece.bytes.clone());
            pieces.push(piece);
            if size >= BLOCK_BYTES {
                break;
            }
        }
        if pieces.is_empty() {
            return;
        }
        if self
            .files
            .back()
            .is_none_or(|file| file.written >= FILE_BYTES)
        {
            self.next_file += 1;
            self.files.push_back(SpoolFile {
                number: self.next_file,
                blocks: VecDeque::new(),
                read: 0,
                written: 0,
            });
            wishes.push((self.next_file, Spool::Create));
        }
        wishes.push((self.next_file, Spool::Append(out)));
        let flight = Flight::Append { pieces, size };
        self.flights.push_back((self.next_file, flight));
    }

    fn read_block(&mut self, wishes: &mut Vec<(u64, Spool)>) {
        let Some(file) = self.files.front() else {
            return;
        };
        let Some(&(size, bytes)) = file.blocks.front() else {
            return;
        };
        let (offset, len) = (file.read, size as usize);
        wishes.push((file.number, Spool::Read { offset, len }));
        self.flights
            .push_back((file.number, Flight::Read { size, bytes }));
    }

    /// What became of a wish about `file`. Files that are done with are returned.
    ///
    /// # Errors
    /// If a part of the stream cannot be had back from the disk.
    pub fn spooled(
        &mut self,
        file: u64,
        outcome: Spooled,
        now_ms: u64,
    ) -> Result<Vec<(u64, Spool)>, String> {
        let Some(at) = self.flights.iter().position(|(of, _)| *of == file) else {
            // It was given up meanwhile.
            return Ok(Vec::new());
        };
        let flight = self.flights.remove(at).map(|(_, flight)| flight);
        match (flight, outcome) {
            (Some(Flight::Append { pieces, size }), Spooled::Appended(_)) => {
                let bytes: u64 = pieces.iter().map(Piece::len).sum();
                self.memory -= bytes;
                self.spooled += bytes;
                self.disk += size;
                if let Some(file) = self.files.iter_mut().find(|f| f.number == file) {
                    file.written += size;
                    file.blocks.push_back((size, bytes));
                }
            }
            (Some(Flight::Append { pieces, .. }), Spooled::Failed(reason)) => {
                tracing::warn!(%reason, "what a delayed replica holds back stays in memory");
                self.failed_until_ms = now_ms + RETRY_MS;
                for piece in pieces.into_iter().rev() {
                    self.tail.push_front(piece);
                }
                // What was appended of the block is behind the end that is remembered: a file that
                // failed takes nothing more.
                if let Some(file) = self.files.iter_mut().find(|f| f.number == file) {
                    file.written = file.written.max(FILE_BYTES);
                }
            }
            (Some(Flight::Read { size, bytes }), Spooled::Read(data)) => {
                self.take_block(file, size, bytes, data)?;
            }
            (_, Spooled::Failed(reason)) => return Err(reason),
            _ => return Err("the outcome of another wish".to_owned()),
        }
        let done = self.drop_read_files();
        self.advance();
        Ok(done)
    }

    fn take_block(
        &mut self,
        file: u64,
        size: u64,
        bytes: u64,
        mut data: Bytes,
    ) -> Result<(), String> {
        let torn = || "a spool file does not hold what was written".to_owned();
        while data.remaining() > 0 {
            if data.remaining() < PIECE_HEAD as usize {
                return Err(torn());
            }
            let (ms, len) = (data.get_u64_le(), data.get_u32_le() as usize);
            if data.remaining() < len {
                return Err(torn());
            }
            let bytes = data.split_to(len);
            self.front_bytes += len as u64;
            self.front.push_back(Piece { ms, bytes });
        }
        self.memory += bytes;
        self.spooled -= bytes;
        if let Some(file) = self.files.iter_mut().find(|f| f.number == file) {
            file.blocks.pop_front();
            file.read += size;
        }
        Ok(())
    }

    fn drop_read_files(&mut self) -> Vec<(u64, Spool)> {
        let mut wishes = Vec::new();
        while let Some(file) = self.files.front()
            && file.blocks.is_empty()
            && !self.flights.iter().any(|(of, _)| *of == file.number)
        {
            self.disk -= file.read;
            wishes.push((file.number, Spool::Remove));
            self.files.pop_front();
        }
        wishes
    }

    /// Drops everything.
    pub fn clear(&mut self) -> Vec<(u64, Spool)> {
        let next_file = self.next_file;
        let files = std::mem::take(self).files.into_iter();
        // Numbers are not used again: outcomes of what was under way may still come.
        self.next_file = next_file;
        files.map(|file| (file.number, Spool::Remove)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A disk of some size, in memory.
    #[derive(Default)]
    struct Disk {
        files: HashMap<u64, Vec<u8>>,
        full: bool,
    }

    impl Disk {
        fn carry_out(&mut self, pending: &mut Pending, wishes: Vec<(u64, Spool)>, now_ms: u64) {
            for (number, wish) in wishes {
                let outcome = match wish {
                    Spool::Create => {
                        self.files.insert(number, Vec::new());
                        continue;
                    }
                    Spool::Remove => {
                        self.files.remove(&number).expect("it is there");
                        continue;
                    }
                    Spool::Append(_) if self.full => Spooled::Failed("disk full".to_owned()),
                    Spool::Append(pieces) => {
                        let file = self.files.get_mut(&number).expect("it is there");
                        pieces
                            .iter()
                            .for_each(|piece| file.extend_from_slice(piece));
                        Spooled::Appended(pieces.iter().map(|p| p.len() as u64).sum())
                    }
                    Spool::Read { offset, len } => {
                        let from = offset as usize;
                        let data = &self.files[&number][from..from + len];
                        Spooled::Read(Bytes::copy_from_slice(data))
                    }
                    named => panic!("what waits has no name: {named:?}"),
                };
                let more = pending.spooled(number, outcome, now_ms).unwrap();
                self.carry_out(pending, more, now_ms);
            }
        }

        fn drive(&mut self, pending: &mut Pending, limits: Limits, now_ms: u64) {
            let wishes = pending.drive(limits, now_ms);
            self.carry_out(pending, wishes, now_ms);
        }
    }

    const LIMITS: Limits = Limits {
        memory: 3 << 20,
        disk: 1 << 30,
    };

    fn piece(number: u64) -> Bytes {
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.resize(8 + (number * 7919 % 200_000) as usize, number as u8);
        Bytes::from(bytes)
    }

    #[test]
    fn pieces_come_back_in_order_from_memory_and_disk() {
        let (mut pending, mut disk) = (Pending::default(), Disk::default());
        let (mut pushed, mut popped, mut peak) = (0u64, 0u64, 0);
        // More comes than goes for a while, then the other way round.
        for round in 0..3_000u64 {
            let pushes = if round < 1_000 {
                2
            } else {
                u64::from(round % 3 == 0)
            };
            for _ in 0..pushes {
                pending.push(pushed, piece(pushed));
                pushed += 1;
            }
            disk.drive(&mut pending, LIMITS, round);
            assert!(!pending.overflows(LIMITS, round) && !pending.is_pressed(LIMITS));
            peak = peak.max(pending.spooled_bytes());
            if let Some(got) = pending.pop_until(u64::MAX) {
                assert_eq!((got.ms, &got.bytes), (popped, &piece(popped)), "in order");
                popped += 1;
            }
        }
        assert!(
            peak > 2 * FILE_BYTES,
            "the middle was on disk, in several files"
        );
        while popped < pushed {
            disk.drive(&mut pending, LIMITS, 0);
            let got = pending.pop_until(u64::MAX).expect("the rest");
            assert_eq!(got.ms, popped);
            popped += 1;
        }
        assert!(
            pending.is_empty() && disk.files.is_empty(),
            "nothing is left"
        );
        assert_eq!((pending.disk, pending.front_bytes), (0, 0));
    }

    #[test]
    fn a_full_disk_keeps_everything_in_memory_and_says_that_it_overflows() {
        let (mut pending, mut disk) = (Pending::default(), Disk::default());
        disk.full = true;
        for number in 0..200 {
            pending.push(number, piece(number));
            disk.drive(&mut pending, LIMITS, 0);
        }
        assert!(pending.overflows(LIMITS, 1) && pending.spooled_bytes() == 0);
        disk.full = false;
        for number in 0..200 {
            disk.drive(&mut pending, LIMITS, RETRY_MS);
            let got = pending.pop_until(u64::MAX).expect("it is there");
            assert_eq!((got.ms, got.bytes), (number, piece(number)));
        }
        disk.drive(&mut pending, LIMITS, RETRY_MS);
        assert!(pending.is_empty() && disk.files.is_empty());
    }

    #[test]
    fn a_disk_that_has_taken_its_share_takes_no_more() {
        let (mut pending, mut disk) = (Pending::default(), Disk::default());
        let limits = Limits {
            disk: 4 << 20,
            ..LIMITS
        };
        for number in 0..400 {
            pending.push(number, piece(number));
            disk.drive(&mut pending, limits, 0);
        }
        let size: usize = disk.files.values().map(Vec::len).sum();
        assert!(size > 3 << 20 && size < 5 << 20, "{size}");
        assert!(pending.overflows(limits, 0));
        let wishes = pending.clear();
        disk.carry_out(&mut pending, wishes, 0);
        assert!(pending.is_empty() && disk.files.is_empty());
    }

    #[test]
    fn only_what_is_old_enough_is_handed_out() {
        let mut pending = Pending::default();
        for ms in [10, 20, 30] {
            pending.push(ms, piece(ms));
        }
        assert_eq!(pending.pop_until(9), None);
        assert_eq!(pending.pop_until(20).unwrap().ms, 10);
        assert!(!pending.is_past(20) && pending.is_past(19));
        assert_eq!(pending.pop_until(20).unwrap().ms, 20);
        assert_eq!(pending.pop_until(20), None);
        assert_eq!(pending.first_ms(), Some(30));
    }
}
