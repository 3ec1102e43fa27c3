//! Full sync without fork: the cut, the shards' fragments, one RDB for all who wait.
//!
//! 1. Replicas that ask within `repl-diskless-sync-delay` share one snapshot.
//! 2. A barrier stops every shard; each has published all that it executed. The merged offset is
//!    the cut. Each shard opens a snapshot epoch, and all go on at once.
//! 3. The shards serialise in the background. Each may have [`CREDITS`] fragments under way: a slow
//!    replica stops the snapshots' cursors, never a writer.
//! 4. Each replica goes on with the stream after the cut, which the log keeps for it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Node;
use super::coordinator::{Place, Replica};
use super::delay::DELAY_PIN;
use super::dump_file::DumpFile;
use super::feeds::pin_token;
use super::log::Merged;
use super::message::{Fragment, Message, Step, SyncRequest};
use crate::keyspace::Progress;
use crate::persistence::rdb::{Framer, Preamble, ReplicationInfo};
use crate::shard::shell::{Shell, Spool};
use crate::shard::transaction::Kind;

/// Fragments that each shard may have under way.
const CREDITS: usize = 4;
/// Fragments that a member may owe before no more credit is given.
pub(super) const MEMBER_OWES_MAX: u32 = 64;

pub(super) struct Member {
    pub place: Place,
    request: SyncRequest,
    pub owes: u32,
    progress_ms: u64,
}

/// Full syncs within this time are taken for a loop, milliseconds.
const REPEAT_MS: u64 = 10 * 60 * 1000;
/// Full syncs remembered.
const RECENT_MAX: usize = 256;

struct Waiting {
    place: Place,
    request: SyncRequest,
}

pub(super) enum Phase {
    Idle,
    /// The barrier is being taken.
    Barrier(u64),
    /// Shards make their cut.
    Cutting {
        tx: u64,
        missing: usize,
    },
    /// Fragments flow.
    Streaming,
    /// The snapshot is on disk and goes out from there.
    Sending,
}

/// The snapshot under way and who waits for the next.
pub(super) struct FullSync {
    waiting: Vec<Waiting>,
    start_ms: u64,
    pub phase: Phase,
    /// Number of the snapshot: fragments of an aborted one are ignored.
    epoch: u64,
    pub members: Vec<Member>,
    shards_done: usize,
    framer: Option<Framer>,
    mark: [u8; 40],
    /// The snapshot goes to disk first: its length comes before it.
    pub file: Option<DumpFile>,
    credits_due: VecDeque<usize>,
    /// The shard whose last record goes on in its next fragment: those of others wait.
    open: Option<usize>,
    held: VecDeque<(usize, Fragment)>,
    bytes: u64,
    /// The snapshot is the dataset's file, which a shutdown writes: it has no members, and its
    /// barrier is held to the end.
    pub saving: bool,
    /// Who asked for a full sync and when, Unix time in milliseconds.
    recent: VecDeque<((String, u16), u64)>,
}

impl Default for FullSync {
    fn default() -> Self {
        FullSync {
            waiting: Vec::new(),
            start_ms: 0,
            phase: Phase::Idle,
            epoch: 0,
            members: Vec::new(),
            shards_done: 0,
            framer: None,
            mark: [0; 40],
            file: None,
            credits_due: VecDeque::new(),
            open: None,
            held: VecDeque::new(),
            bytes: 0,
            saving: false,
            recent: VecDeque::new(),
        }
    }
}

impl FullSync {
    /// When the next snapshot is to begin, or a member's progress must be looked at.
    pub fn due_ms(&self) -> Option<u64> {
        (matches!(self.phase, Phase::Idle) && !self.waiting.is_empty()).then_some(self.start_ms)
    }

    /// The next fragment that may go out: a record that has begun goes on before any other.
    fn next_fragment(&mut self) -> Option<(usize, Fragment)> {
        let place = match self.open {
            Some(shard) => self.held.iter().position(|(from, _)| *from == shard)?,
            None => 0,
        };
        self.held.remove(place)
    }

    /// Whether its barrier is being taken or held.
    pub fn holds_barrier(&self) -> bool {
        self.saving || matches!(self.phase, Phase::Barrier(_) | Phase::Cutting { .. })
    }
}

impl Node {
    /// A replica asks for a snapshot.
    pub(super) fn want_sync(&mut self, place: Place, request: SyncRequest) {
        let now_ms = self.shard.now.unix_ms;
        let config = &self.shard.config;
        let enough = config.repl_diskless_sync_max_replicas as usize;
        let delay_ms = match config.repl_diskless_sync {
            true if request.eof => u64::from(config.repl_diskless_sync_delay) * 1000,
            _ => 0,
        };
        let replica = Replica {
            info: request.info.clone(),
            online: false,
            receives: false,
            acked: 0,
            acked_ms: now_ms,
        };
        self.coordinator.replicas.insert(place, replica);
        self.refresh_view();
        let sync = &mut self.coordinator.sync;
        if sync.waiting.is_empty() {
            sync.start_ms = now_ms + delay_ms;
        }
        sync.waiting.push(Waiting { place, request });
        if enough > 0 && sync.waiting.len() >= enough {
            sync.start_ms = now_ms;
        }
        let Some(Waiting { request, .. }) = sync.waiting.last() else {
            return;
        };
        tracing::info!(
            ip = %request.info.ip,
            port = request.info.port,
            delay_ms,
            why = %request.why,
            "a replica asks for a full sync"
        );
        self.warn_of_repeated_sync(now_ms);
    }

    /// A replica that needs one full sync after the other is never left to do so in silence.
    fn warn_of_repeated_sync(&mut self, now_ms: u64) {
        let sync = &mut self.coordinator.sync;
        let Some(Waiting { request, .. }) = sync.waiting.last() else {
            return;
        };
        if request.rdb_only {
            return;
        }
        let who = (request.info.ip.clone(), request.info.port);
        sync.recent
            .retain(|(_, at_ms)| now_ms.saturating_sub(*at_ms) < REPEAT_MS);
        let times = 1 + sync
            .recent
            .iter()
            .filter(|(other, _)| *other == who)
            .count();
        if times > 1 {
            tracing::warn!(
                ip = %who.0,
                port = who.1,
                times,
                why = %request.why,
                "a replica needs full syncs again and again: raise repl-backlog-size if it was \
                 away for longer than that holds, client-output-buffer-limit replica if it is \
                 dropped for its limit, repl-timeout if it is slow to load"
            );
        }
        if sync.recent.len() == RECENT_MAX {
            sync.recent.pop_front();
        }
        sync.recent.push_back((who, now_ms));
    }

    /// Begins a snapshot when one is due.
    pub(super) fn drive_sync(&mut self, shell: &mut dyn Shell) {
        let now_ms = self.shard.now.unix_ms;
        let sync = &self.coordinator.sync;
        match sync.phase {
            Phase::Idle if !sync.waiting.is_empty() && now_ms >= sync.start_ms => {
                if !self.barrier_is_free() || !self.delayed_log_reaches() || !self.hold_link() {
                    return;
                }
                let tx = self.shard.begin_upper(shell, Kind::Barrier, Vec::new());
                self.coordinator.sync.phase = Phase::Barrier(tx);
            }
            Phase::Streaming | Phase::Sending => self.drop_stalled_members(shell, now_ms),
            _ => {}
        }
    }

    /// Whether the snapshot's barrier is the one granted; makes the cut then.
    pub(super) fn cut_granted(&mut self, tx: u64) -> bool {
        if !matches!(self.coordinator.sync.phase, Phase::Barrier(mine) if mine == tx) {
            return false;
        }
        self.log.reset(|merged| merged.enabled = true);
        self.ask_for_cut(tx, false);
        true
    }

    /// Under the barrier `tx`: every shard is to make its cut, for others to go on from, or for a
    /// file while nothing goes on.
    pub(super) fn ask_for_cut(&mut self, tx: u64, frozen: bool) {
        let shards = self.shard.shared.shards;
        let sync = &mut self.coordinator.sync;
        sync.epoch += 1;
        let epoch = sync.epoch;
        sync.phase = Phase::Cutting {
            tx,
            missing: shards,
        };
        (sync.open, sync.held) = (None, VecDeque::new());
        sync.credits_due.clear();
        for shard in 0..shards {
            self.to(shard, Message::Prepare(Step::Cut { epoch, frozen }));
        }
    }

    /// A shard has made its cut. Whether that was what it reported.
    pub(super) fn cut_prepared(&mut self, shell: &mut dyn Shell) -> bool {
        let Phase::Cutting { tx, missing } = &mut self.coordinator.sync.phase else {
            return false;
        };
        *missing -= 1;
        if *missing > 0 {
            return true;
        }
        let tx = *tx;
        if self.coordinator.sync.saving {
            self.begin_file(shell);
            return true;
        }
        self.begin_streaming(shell);
        self.shard.release_barrier(tx);
        self.release_link();
        true
    }

    /// Where the stream stands of which the dataset is the outcome.
    pub(super) fn position(&self, merged: &Merged) -> ReplicationInfo {
        let applier = self.link.as_ref().map(|link| &link.applier);
        // What a delayed replica holds back is in its log, not in its dataset.
        let applied = applier.filter(|_| self.delay.active);
        let own_db = merged.db.map(|db| db as usize);
        ReplicationInfo {
            selected_db: applier.map_or(own_db, |applier| Some(applier.whole_db())),
            id: merged.replid.clone(),
            offset: applied.map_or(merged.end(), |applier| applier.applied),
        }
    }

    /// The position at the cut, which replicas are about to be told.
    fn cut_position(&mut self) -> ReplicationInfo {
        let mut merged = self.log.merge();
        merged.sync_full += self.coordinator.sync.waiting.len() as u64;
        let shared = &self.shard.shared;
        if !shared.is_replica.load(std::sync::atomic::Ordering::Relaxed) {
            // The replicas that come know no database: SELECT comes first.
            merged.db = None;
        }
        self.position(&merged)
    }

    /// A delayed replica's dataset is older than its log. Whether the log reaches back to it, so
    /// that whoever gets the dataset can go on; otherwise those who wait for one are sent away.
    fn delayed_log_reaches(&mut self) -> bool {
        let Some(link) = self.link.as_ref().filter(|_| self.delay.active) else {
            return true;
        };
        let applied = link.applier.applied;
        let mut merged = self.log.lock();
        if applied + 1 >= merged.first() {
            merged.pin(DELAY_PIN, applied);
            return true;
        }
        drop(merged);
        tracing::warn!(
            "no full sync from a delayed replica whose backlog does not reach back to what it has \
             applied: raise repl-backlog-size, or synchronise with its upstream"
        );
        for Waiting { place, .. } in std::mem::take(&mut self.coordinator.sync.waiting) {
            self.to(place.0, Message::SyncFailed { conn: place.1 });
        }
        false
    }

    fn begin_streaming(&mut self, shell: &mut dyn Shell) {
        let now_ms = self.shard.now.unix_ms;
        let mut mark = [0; 40];
        mark.copy_from_slice(self.fresh_id().as_bytes());
        let position = self.cut_position();
        let (replid, offset) = (position.id.clone(), position.offset);
        let sync = &mut self.coordinator.sync;
        let epoch = sync.epoch;
        sync.phase = Phase::Streaming;
        sync.shards_done = 0;
        sync.mark = mark;
        sync.bytes = 0;
        sync.members = std::mem::take(&mut sync.waiting)
            .into_iter()
            .map(|Waiting { place, request }| Member {
                place,
                request,
                owes: 0,
                progress_ms: now_ms,
            })
            .collect();
        let straight =
            self.shard.config.repl_diskless_sync && sync.members.iter().all(|m| m.request.eof);
        sync.file = (!straight).then(|| DumpFile::new(epoch));
        if let Some(file) = &sync.file {
            shell.spool(file.number, Spool::Create);
        }
        let head = self.begin_frame(Some(position));
        let sync = &self.coordinator.sync;
        tracing::info!(members = sync.members.len(), offset, "full sync begins");
        self.tell_members(&replid, offset, !straight);
        if straight {
            let mut line = b"$EOF:".to_vec();
            line.extend_from_slice(&mark);
            line.extend_from_slice(b"\r\n");
            self.send_to_members(&Bytes::from(line));
        }
        self.send_fragment(head, shell);
        if self.coordinator.sync.members.is_empty() {
            // All who waited are gone.
            self.abort_sync(shell);
            return;
        }
        self.give_first_credits();
    }

    pub(super) fn give_first_credits(&mut self) {
        let epoch = self.coordinator.sync.epoch;
        for shard in 0..self.shard.shared.shards {
            for _ in 0..CREDITS {
                self.to(shard, Message::Credit { epoch });
            }
        }
    }

    /// Opens the frame of a snapshot: its head.
    fn begin_frame(&mut self, replication: Option<ReplicationInfo>) -> Bytes {
        let mut framer = Framer::new(self.shard.config.rdbchecksum);
        let mut head = Vec::new();
        let preamble = Preamble {
            created_s: self.shard.now.unix_ms / 1000,
            used_memory_bytes: 0,
            replication,
            aof_base: false,
        };
        framer.begin(&mut head, &preamble);
        self.coordinator.sync.framer = Some(framer);
        Bytes::from(head)
    }

    /// The shards have made their cuts for the dataset's file, which begins.
    fn begin_file(&mut self, shell: &mut dyn Shell) {
        let position = self.saved_position();
        let head = self.begin_frame(position);
        let sync = &mut self.coordinator.sync;
        (sync.phase, sync.shards_done, sync.bytes) = (Phase::Streaming, 0, 0);
        let file = DumpFile::to_keep(sync.epoch);
        shell.spool(file.number, Spool::CreateAt(self.shard.unfinished_file()));
        self.coordinator.sync.file = Some(file);
        self.send_fragment(head, shell);
        self.give_first_credits();
    }

    /// Tells the members' homes of the cut, and keeps the stream after it for them.
    fn tell_members(&mut self, replid: &str, offset: u64, by_file: bool) {
        let members = self.coordinator.sync.members.iter();
        for (home, conn) in members.map(|member| member.place).collect::<Vec<Place>>() {
            self.log.merge().pin(pin_token(home, conn), offset);
            let replid = replid.to_owned();
            let starts = Message::SyncStarts {
                conn,
                replid,
                offset,
                by_file,
            };
            self.to(home, starts);
        }
        self.log.merge().unpin(DELAY_PIN);
    }

    pub(super) fn send_to_members(&mut self, bytes: &Bytes) {
        let mut targets = Vec::new();
        for member in &mut self.coordinator.sync.members {
            member.owes += 1;
            targets.push(member.place);
        }
        for (home, conn) in targets {
            let bytes = bytes.clone();
            self.to(home, Message::SyncData { conn, bytes });
        }
    }

    /// A part of the RDB: to the members, or to disk.
    fn send_fragment(&mut self, bytes: Bytes, shell: &mut dyn Shell) {
        let sync = &mut self.coordinator.sync;
        sync.bytes += bytes.len() as u64;
        match &mut sync.file {
            Some(file) => {
                file.sent += bytes.len() as u64;
                shell.spool(file.number, Spool::Append(vec![bytes]));
            }
            None => self.send_to_members(&bytes),
        }
    }

    /// A part of a shard's snapshot arrives.
    pub(super) fn fragment(
        &mut self,
        shell: &mut dyn Shell,
        shard: usize,
        epoch: u64,
        fragment: Fragment,
    ) {
        let sync = &mut self.coordinator.sync;
        if epoch != sync.epoch || !matches!(sync.phase, Phase::Streaming) {
            return;
        }
        sync.held.push_back((shard, fragment));
        while let Some((shard, fragment)) = self.coordinator.sync.next_fragment() {
            self.take_fragment(shell, shard, fragment);
        }
    }

    fn take_fragment(
        &mut self,
        shell: &mut dyn Shell,
        shard: usize,
        Fragment { bytes, last, open }: Fragment,
    ) {
        let sync = &mut self.coordinator.sync;
        sync.open = open.then_some(shard);
        if !bytes.is_empty() {
            sync.framer
                .as_mut()
                .expect("a stream has a frame")
                .fragment(&bytes);
            self.send_fragment(Bytes::from(bytes), shell);
        }
        let sync = &mut self.coordinator.sync;
        if last {
            sync.shards_done += 1;
            if sync.shards_done == self.shard.shared.shards {
                self.finish_snapshot(shell);
            }
        } else {
            sync.credits_due.push_back(shard);
            self.give_credits();
        }
    }

    pub(super) fn give_credits(&mut self) {
        let sync = &mut self.coordinator.sync;
        let owes = sync
            .members
            .iter()
            .map(|member| member.owes)
            .max()
            .unwrap_or(0);
        let disk_is_behind = { sync.file.as_ref() }.is_some_and(DumpFile::is_behind);
        if owes >= MEMBER_OWES_MAX || disk_is_behind {
            return;
        }
        let epoch = sync.epoch;
        for shard in std::mem::take(&mut sync.credits_due) {
            self.to(shard, Message::Credit { epoch });
        }
    }

    /// A member has taken a part.
    pub(super) fn member_took(&mut self, shell: &mut dyn Shell, place: Place) {
        let now_ms = self.shard.now.unix_ms;
        let members = &mut self.coordinator.sync.members;
        if let Some(member) = members.iter_mut().find(|member| member.place == place) {
            member.owes = member.owes.saturating_sub(1);
            member.progress_ms = now_ms;
            self.give_credits();
            self.send_on(shell);
        }
    }

    /// The shards have written their parts: the frame is closed.
    fn finish_snapshot(&mut self, shell: &mut dyn Shell) {
        let sync = &mut self.coordinator.sync;
        let mut tail = Vec::new();
        sync.framer
            .take()
            .expect("a stream has a frame")
            .end(&mut tail);
        let mark = sync.mark;
        let tail = Bytes::from(tail);
        self.send_fragment(tail, shell);
        if self.coordinator.sync.file.is_some() {
            // It goes out when the disk has it all.
            self.coordinator.sync.phase = Phase::Sending;
            self.send_on(shell);
            return;
        }
        self.send_to_members(&Bytes::copy_from_slice(&mark));
        self.finish_sync(shell);
    }

    /// The members have been sent everything.
    pub(super) fn finish_sync(&mut self, shell: &mut dyn Shell) {
        self.log.lock().dump_failed = false;
        let sync = &mut self.coordinator.sync;
        tracing::info!(
            bytes = sync.bytes,
            members = sync.members.len(),
            "full sync is sent"
        );
        sync.phase = Phase::Idle;
        let marked = match sync.file.take() {
            Some(file) => {
                shell.spool(file.number, Spool::Remove);
                false
            }
            None => true,
        };
        let members = std::mem::take(&mut sync.members);
        for Member {
            place: (home, conn),
            ..
        } in members
        {
            self.to(home, Message::SyncEnds { conn, marked });
        }
        self.schedule_next();
    }

    fn schedule_next(&mut self) {
        let now_ms = self.shard.now.unix_ms;
        let sync = &mut self.coordinator.sync;
        sync.start_ms = sync.start_ms.max(now_ms);
    }

    /// A replica is gone; the last one takes the snapshot with it.
    pub(super) fn sync_member_gone(&mut self, shell: &mut dyn Shell, place: Place) {
        let sync = &mut self.coordinator.sync;
        sync.waiting.retain(|waiting| waiting.place != place);
        let before = sync.members.len();
        sync.members.retain(|member| member.place != place);
        let under_way = matches!(sync.phase, Phase::Streaming | Phase::Sending);
        if before > 0 && sync.members.is_empty() && under_way {
            tracing::info!("nobody waits for the snapshot any more");
            self.abort_sync(shell);
        } else {
            self.give_credits();
            self.send_on(shell);
        }
    }

    pub(super) fn abort_sync(&mut self, shell: &mut dyn Shell) {
        let sync = &mut self.coordinator.sync;
        sync.phase = Phase::Idle;
        sync.epoch += 1;
        sync.framer = None;
        if let Some(file) = sync.file.take() {
            shell.spool(file.number, Spool::Remove);
        }
        sync.credits_due.clear();
        (sync.open, sync.held) = (None, VecDeque::new());
        for shard in 0..self.shard.shared.shards {
            self.to(shard, Message::AbortSnapshot);
        }
        self.schedule_next();
    }

    /// FLUSHALL, or a new dataset: what was sent so far is worthless.
    pub(super) fn restart_sync(&mut self, shell: &mut dyn Shell, reason: &str) {
        let sync = &self.coordinator.sync;
        // What a shutdown saves under its barrier nothing can change any more.
        if sync.saving || !matches!(sync.phase, Phase::Streaming | Phase::Sending) {
            return;
        }
        let members = std::mem::take(&mut self.coordinator.sync.members);
        tracing::info!(reason, "replicas in full sync begin anew");
        self.abort_sync(shell);
        for Member {
            place: (home, conn),
            ..
        } in members
        {
            self.to(home, Message::SyncFailed { conn });
        }
    }

    /// A shard holds too much for a snapshot that its replicas do not take.
    pub(super) fn snapshot_overran(&mut self, shell: &mut dyn Shell, epoch: u64, bytes: u64) {
        if epoch == self.coordinator.sync.epoch {
            tracing::warn!(
                bytes,
                "a full sync is given up: what was overwritten before it was saved exceeds \
                 client-output-buffer-limit replica; raise it, or make the replicas' links faster"
            );
            self.restart_sync(shell, "their snapshot overran the output limit");
        }
    }

    fn drop_stalled_members(&mut self, shell: &mut dyn Shell, now_ms: u64) {
        let timeout_ms = u64::from(self.shard.config.repl_timeout) * 1000;
        let stalled: Vec<Place> = (self.coordinator.sync.members.iter())
            .filter(|m| m.owes > 0 && now_ms.saturating_sub(m.progress_ms) > timeout_ms)
            .map(|member| member.place)
            .collect();
        for (home, conn) in stalled {
            tracing::warn!("a replica took nothing of its snapshot for repl-timeout");
            self.to(home, Message::SyncFailed { conn });
            self.sync_member_gone(shell, (home, conn));
        }
    }
}

/// A shard's side of the snapshot.
#[derive(Default)]
pub(super) struct Fragments {
    epoch: u64,
    credits: usize,
}

/// Size of a fragment, bytes: about a segment of the table. A writer's p99.9 during a full sync is
/// the time that one takes, so twice as much doubles it; the time of the sync stays.
const FRAGMENT_BYTES: usize = 64 * 1024;

impl Node {
    /// Makes this shard's cut, under the barrier, which is held to the end of a `frozen` snapshot.
    pub(super) fn make_cut(&mut self, epoch: u64, frozen: bool, shell: &mut dyn Shell) {
        self.abort_snapshot(shell);
        self.shard.begin_snapshot(frozen);
        // The coordinator gives credit when all shards have made their cut.
        self.fragments = Fragments { epoch, credits: 0 };
    }

    pub(super) fn credit(&mut self, epoch: u64) {
        if self.fragments.epoch == epoch {
            self.fragments.credits += 1;
        }
    }

    pub(super) fn abort_snapshot(&mut self, shell: &mut dyn Shell) {
        if self.shard.keyspace.snapshot_active() {
            self.shard.abort_snapshot(shell);
        }
    }

    /// Pre-images pile up while the replicas take nothing: they count against the output limit.
    fn check_preimages(&mut self, shell: &mut dyn Shell) {
        let limit = self
            .shard
            .config
            .client_output_buffer_limit
            .replica
            .hard_bytes;
        let bytes = self.shard.keyspace.preimage_bytes() as u64;
        if limit > 0 && bytes > limit.max(self.backlog_size) {
            let epoch = self.fragments.epoch;
            self.abort_snapshot(shell);
            self.tell_coordinator(Message::Overrun { epoch, bytes });
        }
    }

    /// Serialises one fragment if there is credit. Whether there is more to do at once.
    pub(super) fn snapshot_slice(&mut self, shell: &mut dyn Shell) -> bool {
        if !self.shard.keyspace.snapshot_active() {
            return false;
        }
        if self.fragments.credits == 0 {
            self.check_preimages(shell);
            return self.shard.slice_for_waiters(shell);
        }
        let mut bytes = Vec::with_capacity(FRAGMENT_BYTES + FRAGMENT_BYTES / 8);
        let budget = FRAGMENT_BYTES.min(self.shard.keyspace.sliced_bytes_min());
        let step = self.shard.snapshot_step(shell, &mut bytes, budget);
        let (last, open) = (step.progress == Progress::Done, step.open);
        if !bytes.is_empty() || last {
            self.fragments.credits -= 1;
            let epoch = self.fragments.epoch;
            let fragment = Fragment { bytes, last, open };
            self.tell_coordinator(Message::Fragment { epoch, fragment });
        }
        !last && self.fragments.credits > 0
    }
}
