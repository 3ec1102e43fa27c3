//! The merged log: one stream, with Redis's offsets and ids, out of all shards' batches.
//!
//! A shard *publishes* a batch by pushing it to the inbox, a queue whose compare-and-swap gives
//! every batch its place: the order of the pushes is the order of the stream. A shard pushes before
//! it lets out any message or reply of the tick, so whatever another shard does because of it is
//! pushed later. No ticket is needed beside that, and no batch ever waits for a slower one. The
//! merge takes what is there and appends references; the bytes are those that the shard wrote.
//!
//! The log is also the backlog: what is within `repl-backlog-size` of the end, or pinned by a full
//! sync under way, can be read again from any offset.
//!
//! While this process is a replica the link is the only source: bytes are appended as received.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use crate::command::effects::{self, Sealed};
use crate::shard::queue::Queue;
use crate::shard::shared::{
    FailoverState, LoadView, LoadedKeys, ReplicaView, ReplicationView, Stream, UpstreamView,
};

/// A replication id: 40 hexadecimal digits.
pub type ReplId = String;

/// The id that matches nothing.
pub const NO_REPLID: &str = "0000000000000000000000000000000000000000";

/// One shard's effects of one tick, on the way to the merge.
struct Batch {
    shard: u32,
    number: u64,
    sealed: Sealed,
}

/// A piece of the stream.
struct Segment {
    /// Offset before its first byte.
    start: u64,
    bytes: Bytes,
}

impl Segment {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// The stream as far as it is merged.
pub struct Merged {
    /// Somebody listens, or once did: effects are recorded and appended.
    pub enabled: bool,
    pub replid: ReplId,
    pub replid2: ReplId,
    /// First offset that `replid2` does not cover; -1 if there is none.
    pub second_offset: i64,
    /// Counts the histories that were recorded here. A replica that was told of an earlier one
    /// must get nothing of this one: it would file it under an id that others know.
    pub history: u64,
    /// `master_repl_offset`: offset of the last byte.
    end: u64,
    /// Database that the stream stands at; `None`: the next batch writes SELECT whatever it is.
    pub db: Option<u32>,
    segments: VecDeque<Segment>,
    bytes: u64,
    /// The same, to be seen without the lock.
    held: Arc<AtomicU64>,
    /// `repl-backlog-size`.
    pub limit: u64,
    /// Offsets from which full syncs under way still need the stream.
    pins: Vec<(u64, u64)>,
    /// Per shard: where its recent batches ended.
    ends: Vec<VecDeque<(u64, u64)>>,
    pub sync_full: u64,
    pub sync_partial_ok: u64,
    pub sync_partial_err: u64,
    pub replicas: Vec<ReplicaView>,
    pub good_replicas: u32,
    pub upstream: Option<UpstreamView>,
    pub failover: FailoverState,
    pub loading: Option<LoadView>,
    pub last_load: LoadedKeys,
    /// The last snapshot for replicas could not be written.
    pub dump_failed: bool,
}

/// The log of a process.
pub struct Log {
    inbox: Queue<Batch>,
    merged: Mutex<Merged>,
    /// Bytes published and not yet merged.
    unmerged: AtomicU64,
    /// Bytes merged and held.
    held: Arc<AtomicU64>,
    /// End of the merged stream, to see without the lock whether there is something new.
    end: AtomicU64,
    /// Which shards serve replicas and want to be woken when the stream grows.
    pub listeners: Vec<AtomicBool>,
}

/// Any shard merges when this many bytes wait, however busy the coordinator's core is.
const UNMERGED_BYTES_MAX: u64 = 8 << 20;
/// Batch ends remembered per shard beyond those that are in the backlog anyway.
const ENDS_MAX: usize = 1 << 16;

impl Log {
    /// An empty log with a fresh id, not enabled.
    pub fn new(shards: usize, replid: ReplId, limit: u64) -> Self {
        let held = Arc::new(AtomicU64::new(0));
        Log {
            inbox: Queue::new(),
            merged: Mutex::new(Merged {
                enabled: false,
                replid,
                replid2: NO_REPLID.to_owned(),
                second_offset: -1,
                history: 0,
                end: 0,
                db: None,
                segments: VecDeque::new(),
                bytes: 0,
                held: held.clone(),
                limit,
                pins: Vec::new(),
                ends: (0..shards).map(|_| VecDeque::new()).collect(),
                sync_full: 0,
                sync_partial_ok: 0,
                sync_partial_err: 0,
                replicas: Vec::new(),
                good_replicas: 0,
                upstream: None,
                failover: FailoverState::No,
                loading: None,
                last_load: LoadedKeys::default(),
                dump_failed: false,
            }),
            unmerged: AtomicU64::new(0),
            held,
            end: AtomicU64::new(0),
            listeners: (0..shards).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// The merged stream with everything published so far.
    pub fn merge(&self) -> MutexGuard<'_, Merged> {
        let mut merged = self.lock();
        if !self.inbox.is_empty() {
            let mut taken = 0;
            self.inbox.drain(|batch| {
                taken += batch.sealed.bytes.len() as u64;
                merged.append_batch(batch);
            });
            self.unmerged.fetch_sub(taken, Ordering::Relaxed);
            self.end.store(merged.end, Ordering::Release);
        }
        merged
    }

    /// The merged stream as it stands.
    pub fn lock(&self) -> MutexGuard<'_, Merged> {
        // A panic anywhere ends the process, so the lock is never seen poisoned.
        self.merged.lock().expect("a panic ends the process")
    }

    /// Whether batches wait to be merged.
    pub fn has_unmerged(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// End of the merged stream; the last value that a merge stored.
    pub fn end_seen(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Appends bytes received from the upstream, as they are.
    pub fn append_received(&self, bytes: Bytes) {
        let mut merged = self.lock();
        merged.append(bytes);
        self.end.store(merged.end, Ordering::Release);
    }

    /// Appends a request of the coordinator's own (PING, REPLCONF GETACK).
    pub fn append_own(&self, request: &[u8]) {
        let mut merged = self.merge();
        if merged.enabled {
            merged.append(Bytes::copy_from_slice(request));
            self.end.store(merged.end, Ordering::Release);
        }
    }

    /// Changes where the stream stands (a full sync as replica, a promotion).
    pub fn reset(&self, change: impl FnOnce(&mut Merged)) {
        let mut merged = self.merge();
        change(&mut merged);
        self.end.store(merged.end, Ordering::Release);
    }
}

impl Stream for Log {
    fn publish(&self, shard: u32, number: u64, sealed: Sealed) {
        let len = sealed.bytes.len() as u64;
        let waiting = self.unmerged.fetch_add(len, Ordering::Relaxed) + len;
        self.inbox.push(Batch {
            shard,
            number,
            sealed,
        });
        if waiting > UNMERGED_BYTES_MAX {
            drop(self.merge());
        }
    }

    fn view(&self) -> ReplicationView {
        self.merge().view()
    }

    fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed) + self.unmerged.load(Ordering::Relaxed)
    }

    fn acked(&self, batches: &[(u32, u64)]) -> u32 {
        let merged = self.merge();
        let offset = merged.offset_of_all(batches);
        let has_it = |replica: &&ReplicaView| replica.state == "online" && replica.offset >= offset;
        merged.replicas.iter().filter(has_it).count() as u32
    }
}

impl Merged {
    /// `master_repl_offset`.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// First offset that can still be read, that is, the oldest replica offset that a partial
    /// resync can serve, plus one.
    pub fn first(&self) -> u64 {
        self.segments
            .front()
            .map_or(self.end, |segment| segment.start)
            + 1
    }

    /// Bytes held.
    pub fn held(&self) -> u64 {
        self.bytes
    }

    fn append_batch(&mut self, batch: Batch) {
        if !self.enabled {
            return;
        }
        let Batch {
            shard,
            number,
            sealed,
        } = batch;
        if self.db != Some(sealed.first_db) {
            let mut select = Vec::new();
            effects::select(&mut select, sealed.first_db);
            self.append(Bytes::from(select));
        }
        self.db = Some(sealed.last_db);
        self.append(Bytes::from(sealed.bytes));
        let end = self.end;
        let ends = &mut self.ends[shard as usize];
        ends.push_back((number, end));
        if ends.len() > ENDS_MAX {
            ends.pop_front();
        }
    }

    fn append(&mut self, bytes: Bytes) {
        let segment = Segment {
            start: self.end,
            bytes,
        };
        self.end = segment.end();
        self.bytes += segment.bytes.len() as u64;
        self.segments.push_back(segment);
        self.trim();
    }

    /// Drops what neither the backlog nor a full sync needs.
    pub fn trim(&mut self) {
        let pinned = self.pins.iter().map(|pin| pin.1).min().unwrap_or(u64::MAX);
        while let Some(front) = self.segments.front() {
            let len = front.bytes.len() as u64;
            if self.bytes - len < self.limit || front.end() > pinned {
                break;
            }
            self.bytes -= len;
            self.segments.pop_front();
        }
        self.held.store(self.bytes, Ordering::Relaxed);
    }

    /// Keeps everything after `offset` until [`Merged::unpin`]; a token has one pin, which moves.
    pub fn pin(&mut self, token: u64, offset: u64) {
        match self.pins.iter_mut().find(|pin| pin.0 == token) {
            Some(pin) => pin.1 = offset,
            None => self.pins.push((token, offset)),
        }
    }

    /// Ends a pin.
    pub fn unpin(&mut self, token: u64) {
        self.pins.retain(|pin| pin.0 != token);
        self.trim();
    }

    /// Where a shard's batch ended: the offset that a client's last write needs. Later batches of
    /// the shard cover it, so an unknown number gives the next known end, or the end of the stream.
    pub fn offset_of(&self, shard: u32, number: u64) -> u64 {
        let ends = &self.ends[shard as usize];
        let at = ends.partition_point(|end| end.0 < number);
        ends.get(at).map_or(self.end, |end| end.1)
    }

    /// Where the last of these batches ended; 0 if there are none.
    pub fn offset_of_all(&self, batches: &[(u32, u64)]) -> u64 {
        let ends = batches
            .iter()
            .map(|(shard, number)| self.offset_of(*shard, *number));
        ends.max().unwrap_or(0)
    }

    /// The stream after `offset`, at most about `max` bytes; `None` if the backlog does not reach
    /// so far back or `offset` lies beyond the end.
    pub fn read(&self, offset: u64, max: u64) -> Option<Vec<Bytes>> {
        if offset > self.end || offset + 1 < self.first() {
            return None;
        }
        let mut at = self
            .segments
            .partition_point(|segment| segment.end() <= offset);
        let (mut out, mut taken) = (Vec::new(), 0);
        while let Some(segment) = self.segments.get(at)
            && taken < max
        {
            let skip = offset.saturating_sub(segment.start) as usize;
            let room = usize::try_from(max - taken).unwrap_or(usize::MAX);
            let upto = segment.bytes.len().min(skip.saturating_add(room));
            let piece = segment.bytes.slice(skip..upto);
            taken += piece.len() as u64;
            out.push(piece);
            at += 1;
        }
        Some(out)
    }

    /// Whether a replica that has `replid` up to `offset` can go on from there.
    pub fn can_continue(&self, replid: &str, offset: u64) -> bool {
        let known = replid == self.replid
            || (replid == self.replid2
                && self.second_offset >= 0
                && offset < self.second_offset as u64);
        known && self.enabled && offset <= self.end && offset + 1 >= self.first()
    }

    /// Why a replica that has `replid` up to `offset` cannot go on, for people.
    pub fn why_not(&self, replid: &str, offset: Option<u64>) -> String {
        let (first, end) = (self.first(), self.end);
        match offset {
            None => "it asks for no proper offset".to_owned(),
            _ if replid != self.replid && replid != self.replid2 => {
                format!("its history {replid} is not ours")
            }
            _ if !self.enabled => "there is no backlog".to_owned(),
            Some(offset) if replid != self.replid && offset as i64 >= self.second_offset => {
                format!(
                    "its history left ours at {}, it is at {offset}",
                    self.second_offset
                )
            }
            Some(offset) if offset > end => format!("it is at {offset}, beyond our {end}"),
            Some(offset) => format!("it is at {offset}, the backlog begins with {first}"),
        }
    }

    /// End of the piece of the stream that holds the byte after `offset`.
    pub fn segment_end(&self, offset: u64) -> u64 {
        let at = self
            .segments
            .partition_point(|segment| segment.end() <= offset);
        self.segments.get(at).map_or(offset, Segment::end)
    }

    /// A new history: nothing before it can be continued.
    pub fn restart(&mut self, replid: ReplId, offset: u64) {
        self.history += 1;
        self.replid = replid;
        self.replid2 = NO_REPLID.to_owned();
        self.second_offset = -1;
        self.segments.clear();
        self.bytes = 0;
        self.held.store(0, Ordering::Relaxed);
        self.end = offset;
        self.db = None;
        self.ends.iter_mut().for_each(VecDeque::clear);
    }

    /// Frees the backlog; nothing more is recorded, so nothing can be continued any more. The
    /// offset stays.
    pub fn forget(&mut self, replid: ReplId) {
        self.restart(replid, self.end);
        self.enabled = false;
    }

    /// Whether a replica or a full sync under way needs what is held.
    pub fn is_pinned(&self) -> bool {
        !self.pins.is_empty()
    }

    /// Forgets what lies behind `offset`, which is not before the end of the backlog.
    pub fn truncate(&mut self, offset: u64) {
        while let Some(last) = self.segments.back_mut()
            && last.end() > offset
        {
            let kept = offset.saturating_sub(last.start) as usize;
            self.bytes -= (last.bytes.len() - kept) as u64;
            last.bytes.truncate(kept);
            if kept > 0 {
                break;
            }
            self.segments.pop_back();
        }
        self.end = self.end.min(offset);
        self.held.store(self.bytes, Ordering::Relaxed);
    }

    /// Our history goes on under a new id from here (promotion, or the upstream changed its own).
    pub fn shift(&mut self, replid: ReplId) {
        self.history += 1;
        self.replid2 = std::mem::replace(&mut self.replid, replid);
        self.second_offset = self.end as i64 + 1;
        self.db = None;
    }

    /// The history gets another id, under which nobody knows it (DEBUG CHANGE-REPL-ID).
    pub fn rename(&mut self, replid: ReplId) {
        self.replid = replid;
        self.replid2 = NO_REPLID.to_owned();
        self.second_offset = -1;
    }

    /// As INFO and ROLE show it.
    pub fn view(&self) -> ReplicationView {
        ReplicationView {
            upstream: self.upstream.clone(),
            replicas: self.replicas.clone(),
            replid: self.replid.clone(),
            replid2: self.replid2.clone(),
            offset: self.end,
            second_offset: self.second_offset,
            backlog_active: self.enabled,
            backlog_size: self.limit,
            backlog_first: if self.enabled { self.first() } else { 0 },
            backlog_histlen: self.bytes,
            good_replicas: self.good_replicas,
            sync_full: self.sync_full,
            sync_partial_ok: self.sync_partial_ok,
            sync_partial_err: self.sync_partial_err,
            failover: self.failover,
            loading: self.loading,
            last_load: self.last_load,
            dump_failed: self.dump_failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        let log = Log::new(2, "a".repeat(40), 100);
        log.lock().enabled = true;
        log
    }

    fn publish(log: &Log, shard: u32, number: u64, db: u32, text: &str) {
        let bytes = text.as_bytes().to_vec();
        log.publish(
            shard,
            number,
            Sealed {
                bytes,
                first_db: db,
                last_db: db,
            },
        );
    }

    fn text(pieces: Option<Vec<Bytes>>) -> String {
        String::from_utf8(pieces.unwrap().concat()).unwrap()
    }

    #[test]
    fn batches_are_merged_in_the_order_published_with_select_where_the_database_changes() {
        let log = log();
        publish(&log, 1, 1, 0, "A");
        publish(&log, 0, 1, 0, "B");
        publish(&log, 1, 2, 3, "C");
        let merged = log.merge();
        let select = |db| format!("*2\r\n$6\r\nSELECT\r\n$1\r\n{db}\r\n");
        assert_eq!(
            text(merged.read(0, u64::MAX)),
            format!("{}AB{}C", select(0), select(3))
        );
    }

    #[test]
    fn the_backlog_keeps_its_size_and_what_is_pinned() {
        let log = log();
        log.merge().pin(7, 0);
        (0..50).for_each(|i| publish(&log, 0, i, 0, "0123456789"));
        let mut merged = log.merge();
        assert_eq!(merged.first(), 1);
        merged.unpin(7);
        assert!(merged.held() >= 100 && merged.held() < 110);
        assert!(merged.read(0, 1).is_none());
        let end = merged.end();
        assert_eq!(text(merged.read(end - 15, u64::MAX)), "567890123456789");
        assert!(merged.read(end + 1, 1).is_none());
        assert_eq!(merged.read(end, 1).unwrap().len(), 0);
    }

    #[test]
    fn a_replica_continues_by_either_id_within_what_each_covers() {
        let log = log();
        publish(&log, 0, 1, 0, "0123456789");
        let mut merged = log.merge();
        let end = merged.end();
        assert!(merged.can_continue(&"a".repeat(40), end));
        assert!(!merged.can_continue(&"b".repeat(40), end));
        merged.shift("b".repeat(40));
        merged.append(Bytes::from_static(b"more"));
        assert!(merged.can_continue(&"a".repeat(40), end));
        assert!(
            !merged.can_continue(&"a".repeat(40), end + 1),
            "written after the shift"
        );
        assert!(merged.can_continue(&"b".repeat(40), end + 4));
        assert!(
            !merged.can_continue(&"b".repeat(40), end + 5),
            "beyond the end"
        );
    }

    #[test]
    fn a_write_needs_the_end_of_its_own_batch() {
        let log = log();
        publish(&log, 0, 1, 0, "AAAA");
        publish(&log, 1, 1, 0, "BB");
        publish(&log, 0, 2, 0, "C");
        let merged = log.merge();
        let end = merged.end();
        assert_eq!(merged.offset_of(0, 1), end - 3);
        assert_eq!(merged.offset_of(1, 1), end - 1);
        assert_eq!(merged.offset_of(0, 2), end);
        assert_eq!(merged.offset_of(1, 9), end);
    }
}
