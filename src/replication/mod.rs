//! Replication: the merged log, replicas below us, an upstream above us.
//!
//! A [`Node`] is a shard with its replication layer: it drives the shard's ticks and handles the
//! events that the shard leaves to it. Shard 0's node is also the *coordinator*.
//!
//! - [`log`]: the merged stream, its backlog, offsets and ids.
//! - `feeds`: the handshake of a replica and its cursor, at the replica's home shard.
//! - `coordinator`: who the replicas are, acknowledgements, WAIT, heartbeats.
//! - `full_sync`, `dump_file`: the snapshot, from the cut to the last byte, straight or by way of a
//!   file.
//! - `role`: REPLICAOF and promotion, under barriers.
//! - `failover`: FAILOVER, by which a primary hands its role over.
//! - `shutdown`, `saving`: the end of the process, which waits for replicas and writes the dataset.
//! - `startup`: its start, which loads what was written.
//! - `link`, `dataset`, `apply`: the upstream: handshake, its dataset, its stream.
//! - `delay`, `framing`, `pending`: a stream that is passed on now and applied later.

mod apply;
mod coordinator;
mod dataset;
mod delay;
mod dump_file;
mod failover;
mod feeds;
mod framing;
mod full_sync;
mod link;
#[cfg(test)]
mod link_tests;
pub mod log;
mod message;
mod pending;
mod role;
mod saving;
mod shutdown;
mod startup;
#[cfg(test)]
mod startup_tests;

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::command::session::SessionOp;
use crate::keyspace::Keyspace;
use crate::shard::client::{Class, Waiting};
use crate::shard::shared::Shared;
use crate::shard::shell::{ConnId, Now, Shell, Spooled};
use crate::shard::upper::Target;
use crate::shard::{Event, Shard, Sleep};
use coordinator::Coordinator;
use feeds::Feed;
use link::Link;
use log::Log;
use message::Message;
use role::RoleBarrier;

/// One shard with its replication.
pub struct Node {
    pub shard: Shard,
    log: Arc<Log>,
    feeds: HashMap<ConnId, Feed, ahash::RandomState>,
    fragments: full_sync::Fragments,
    /// A dataset that the upstream is sending, until it is whole.
    staging: Option<Keyspace>,
    /// Replaced datasets, freed in slices.
    dying: Vec<Keyspace>,
    /// Messages to ourselves.
    local: VecDeque<Message>,
    backlog_size: u64,
    next_second_ms: u64,
    // The rest is the coordinator's.
    coordinator: Coordinator,
    link: Option<Link>,
    /// The dataset's file is being loaded.
    startup: Option<startup::Startup>,
    /// Spool files of datasets and snapshots.
    files: u64,
    /// Look-ups of upstreams' names.
    lookups: u64,
    last_link_db: Option<usize>,
    /// What the last link had applied.
    last_applied: u64,
    delay: delay::Delay,
    /// Batches published when others were last told.
    published_seen: u64,
    /// End of the stream when listeners were last woken.
    coordinator_end: u64,
    role_queue: VecDeque<RoleBarrier>,
    /// A pause is over: the other shards let their clients go on.
    wake_paused: bool,
    entropy: crate::command::Rng,
}

/// The shard that coordinates.
const COORDINATOR: usize = 0;
/// Entries of replaced datasets freed in one tick.
const FREE_BUDGET: usize = 4096;

impl Node {
    /// A shard of a process, with its replication. `entropy` seeds its random numbers.
    pub fn new(id: usize, shared: Arc<Shared>, log: Arc<Log>, entropy: u64) -> Self {
        let [a, b, c, d] = shared.process.seed;
        let state = ahash::RandomState::with_seeds(a, b, c, d);
        let mut node = Node {
            shard: Shard::new(id, shared, entropy),
            log,
            feeds: HashMap::with_hasher(state.clone()),
            fragments: full_sync::Fragments::default(),
            staging: None,
            dying: Vec::new(),
            local: VecDeque::new(),
            backlog_size: 0,
            next_second_ms: 0,
            coordinator: Coordinator::new(state),
            link: None,
            startup: None,
            files: 0,
            lookups: 0,
            last_link_db: None,
            last_applied: 0,
            delay: delay::Delay::default(),
            published_seen: 0,
            coordinator_end: 0,
            role_queue: VecDeque::new(),
            wake_paused: false,
            entropy: crate::command::Rng::new(entropy ^ 0x5bd1_e995_9d1b_54a5),
        };
        if id != COORDINATOR {
            return node;
        }
        if node.shard.shared.process.has_dataset {
            node.prepare_load();
        } else if let Some(upstream) = node.shard.config.replicaof.clone() {
            node.replicaof(None, Target::Follow(upstream));
        }
        node
    }

    fn is_coordinator(&self) -> bool {
        self.shard.id == COORDINATOR
    }

    /// One tick. The shell has delivered what came in since the last.
    pub fn tick(&mut self, shell: &mut dyn Shell, now: Now) -> Sleep {
        self.shard.begin_tick(now);
        self.resize_backlog();
        loop {
            self.shard.work(shell);
            self.handle_events(shell);
            if self.is_coordinator() {
                self.drive_startup(shell);
                self.drive_shutdown(shell);
                self.drive_failover(shell);
                self.drive_link(shell);
                self.drive_sync(shell);
                self.drive_role(shell);
            }
            self.handle_local(shell);
            let quiet = !self.shard.has_work() && !self.shard.has_own_messages();
            if quiet && self.local.is_empty() && !self.stream_is_waiting() {
                break;
            }
        }
        self.shard.background(shell);
        let mut more = self.snapshot_slice(shell);
        more |= self.free_replaced();
        self.periodic(shell);
        self.shard.publish();
        self.stream(shell);
        self.shard.end_tick(shell);
        more |= !self.local.is_empty();
        self.sleep(more)
    }

    /// Merges, if that is this shard's duty, and feeds this shard's replicas.
    fn stream(&mut self, shell: &mut dyn Shell) {
        if self.is_coordinator() {
            self.coordinate();
            if self.log.has_unmerged() {
                drop(self.log.merge());
            }
            self.show_progress();
            let end = self.log.end_seen();
            if end != self.coordinator_end {
                self.coordinator_end = end;
                self.wake_listeners(shell);
            }
        } else if self.shard.published != self.published_seen {
            self.published_seen = self.shard.published;
            if self.log.has_unmerged() {
                shell.wake(COORDINATOR);
            } else {
                // Somebody else has merged it already, and told nobody.
                self.wake_listeners(shell);
            }
        }
        self.feed_replicas(shell);
    }

    /// Wakes the other shards that serve replicas.
    fn wake_listeners(&self, shell: &mut dyn Shell) {
        for (shard, listens) in self.log.listeners.iter().enumerate() {
            if shard != self.shard.id && listens.load(std::sync::atomic::Ordering::Acquire) {
                shell.wake(shard);
            }
        }
    }

    fn sleep(&self, more: bool) -> Sleep {
        let lagging = self.log.has_unmerged() && self.is_coordinator();
        if more || lagging {
            return Sleep::Poll;
        }
        match self.shard.sleep() {
            Sleep::ForMs(ms) if self.is_coordinator() => {
                Sleep::ForMs(ms.min(self.coordinator_sleep_ms()))
            }
            sleep => sleep,
        }
    }

    fn free_replaced(&mut self) -> bool {
        self.dying
            .retain_mut(|keyspace| keyspace.free_slice(FREE_BUDGET));
        !self.dying.is_empty()
    }

    fn periodic(&mut self, shell: &mut dyn Shell) {
        let now_ms = self.shard.now.unix_ms;
        if now_ms < self.next_second_ms {
            return;
        }
        self.next_second_ms = now_ms + 1000;
        self.keep_waiting_alive(shell);
    }

    /// Takes a new `repl-backlog-size` over before anything else is merged: what CONFIG SET was
    /// answered for holds for the next write.
    fn resize_backlog(&mut self) {
        let size = self.shard.config.repl_backlog_size;
        if self.backlog_size != size {
            self.backlog_size = size;
            if self.is_coordinator() {
                let mut merged = self.log.lock();
                merged.limit = size;
                merged.trim();
            }
        }
    }

    fn handle_events(&mut self, shell: &mut dyn Shell) {
        for event in std::mem::take(&mut self.shard.events) {
            match event {
                Event::Command { conn, op, request } => self.command(shell, conn, op, &request),
                Event::Closed { conn, class } => self.connection_closed(conn, class),
                Event::Granted { tx } => {
                    self.shard.publish();
                    if !self.cut_granted(tx) && !self.shutdown_granted(shell, tx) {
                        self.role_granted(tx, shell);
                    }
                }
                Event::Done { tx } => self.link_unit_done(tx),
                Event::Message { from, body } => {
                    let message = body
                        .downcast::<Message>()
                        .expect("only nodes send upper messages");
                    self.handle(from as usize, *message, shell);
                }
                Event::Applied { from, upto } => self.link_applied(from as usize, upto),
                Event::Unblocked { conn, error } => {
                    self.tell_coordinator(Message::WaitOver {
                        conn,
                        error: Some(error),
                    });
                }
                Event::FlushedAll => self.tell_coordinator(Message::Flushed),
            }
        }
    }

    fn command(
        &mut self,
        shell: &mut dyn Shell,
        conn: ConnId,
        op: SessionOp,
        request: &crate::shard::message::OwnedRequest,
    ) {
        let args = request.args();
        match op {
            SessionOp::ReplicaOf => {
                let waits = self
                    .shard
                    .client(conn)
                    .is_some_and(|client| matches!(client.waiting, Waiting::Upper { .. }));
                self.replicaof_command(conn, args, waits);
            }
            SessionOp::ReplConf => self.replconf(conn, args),
            SessionOp::Psync => self.sync_command(shell, conn, args, false),
            SessionOp::Sync => self.sync_command(shell, conn, args, true),
            SessionOp::Wait => self.wait_command(conn, args),
            SessionOp::DebugChangeReplId => {
                let id = self.fresh_id();
                self.log.reset(|merged| merged.rename(id));
                self.shard.resume_client(conn, |client| client.reply.ok());
            }
            SessionOp::Failover => self.failover_command(conn, args),
            SessionOp::Shutdown => self.shutdown_command(conn, args),
            other => unreachable!("{other:?} is the shard's"),
        }
    }

    fn connection_closed(&mut self, conn: ConnId, class: Class) {
        match class {
            Class::Replica => self.feed_closed(conn),
            Class::Upstream => {}
            Class::Normal => self.tell_coordinator(Message::WaitOver { conn, error: None }),
        }
    }

    /// Sends a message to a node, this one included.
    fn to(&mut self, shard: usize, message: Message) {
        if shard == self.shard.id {
            self.local.push_back(message);
        } else {
            self.shard
                .post(shard, crate::shard::message::Item::Upper(Box::new(message)));
        }
    }

    fn tell_coordinator(&mut self, message: Message) {
        self.to(COORDINATOR, message);
    }

    fn handle_local(&mut self, shell: &mut dyn Shell) {
        while let Some(message) = self.local.pop_front() {
            self.handle(self.shard.id, message, shell);
        }
    }

    fn handle(&mut self, from: usize, message: Message, shell: &mut dyn Shell) {
        match message {
            Message::WantSync { conn, request } => self.want_sync((from, conn), request),
            Message::Online { conn, info } => self.replica_online((from, conn), info),
            Message::Ack { conn, offset } => self.replica_acked((from, conn), offset),
            Message::Gone { conn } => self.replica_gone(shell, (from, conn)),
            Message::Took { conn } => self.member_took(shell, (from, conn)),
            Message::Wait {
                conn,
                offset,
                replicas,
                timeout_ms,
            } => {
                self.wait_begins((from, conn), offset, replicas, timeout_ms);
            }
            Message::WaitOver { conn, error } => self.wait_over((from, conn), error),
            Message::SyncStarts {
                conn,
                replid,
                offset,
                by_file,
            } => {
                self.sync_starts(shell, conn, (&replid, offset), by_file);
            }
            Message::SyncData { conn, bytes } => self.sync_data(shell, conn, bytes),
            Message::SyncEnds { conn, marked } => self.sync_ends(shell, conn, marked),
            Message::SyncFailed { conn } => self.shard.disconnect(shell, conn, false),
            Message::DropReplicas => self.drop_replicas(shell, |_| true),
            Message::DepthChanged => self.drop_replicas(shell, |feed| feed.told_depth),
            Message::Waited { conn, count, error } => self.waited(conn, count, error),
            Message::Prepare(step) => self.prepare(step, shell),
            Message::Prepared => {
                if !self.cut_prepared(shell) {
                    self.role_prepared(shell);
                }
            }
            Message::Fragment { epoch, fragment } => self.fragment(shell, from, epoch, fragment),
            Message::Credit { epoch } => self.credit(epoch),
            Message::AbortSnapshot => self.abort_snapshot(shell),
            Message::Flushed => self.restart_sync(shell, "the dataset was flushed"),
            Message::Overrun { epoch, bytes } => self.snapshot_overran(shell, epoch, bytes),
            Message::ReplicaOf { conn, target } => {
                self.replicaof(conn.map(|conn| (from, conn)), target);
            }
            Message::ReplicaOfDone { conn, text } => {
                self.shard
                    .resume_client(conn, |client| client.reply.simple(text));
            }
            Message::Failover { conn, request } => self.failover((from, conn), request),
            Message::TakeOver { conn } => self.take_over((from, conn)),
            Message::TookOver { conn } => self.took_over(shell, conn),
            Message::Shutdown { conn, options } => {
                self.shutdown(shell, Some((from, conn)), options);
            }
            Message::Answered { conn, error } => self.answered_command(conn, error),
            Message::Load { entries } => self.load(entries),
            Message::Expect { db, keys } => self.expect_keys(db, keys),
            Message::LoadFailed => {
                if let Some(mut staged) = self.staging.take() {
                    staged.flush_all();
                    self.dying.push(staged);
                }
            }
        }
    }

    /// Bytes arrived. Those of the upstream are the link's.
    pub fn received(&mut self, shell: &mut dyn Shell, conn: ConnId, data: &[u8]) {
        match &mut self.link {
            Some(link) if link.conn == Some(conn) => link.received(data),
            _ => self.shard.received(conn, data),
        }
        let _ = shell;
    }

    /// A host's addresses were found, or not.
    pub fn resolved(
        &mut self,
        shell: &mut dyn Shell,
        token: u64,
        addresses: Result<Vec<String>, String>,
    ) {
        self.link_resolved(shell, token, addresses);
    }

    /// What became of a wish about a spool file.
    pub fn spooled(&mut self, shell: &mut dyn Shell, file: u64, outcome: Spooled) {
        if self.startup_spooled(shell, file, &outcome) {
            return;
        }
        if self.dump_spooled(shell, file, &outcome) || self.dataset_spooled(shell, file, &outcome) {
            return;
        }
        self.delay_spooled(shell, file, outcome);
    }

    /// An outgoing connection was made, or not.
    pub fn connected(&mut self, shell: &mut dyn Shell, conn: ConnId, result: Result<(), String>) {
        self.link_connected(shell, conn, result);
    }

    /// The peer took output.
    pub fn sent(&mut self, shell: &mut dyn Shell, conn: ConnId) {
        if !self.feeds.is_empty() {
            self.took(shell, conn);
        }
    }

    /// A connection is gone.
    pub fn closed(&mut self, shell: &mut dyn Shell, conn: ConnId) {
        if self
            .link
            .as_ref()
            .is_some_and(|link| link.conn == Some(conn))
        {
            self.link_lost(shell, "the connection was closed");
        }
        self.shard.closed(conn);
    }

    /// Offset up to which the upstream's stream is applied, if there is an upstream.
    pub fn applied_offset(&self) -> Option<u64> {
        self.link.as_ref().map(|link| link.applier.applied)
    }

    /// As [`Node::applied_offset`], if there is an upstream and nothing of
    /// its stream is under way at this moment: the dataset is that of this offset then.
    pub fn settled_offset(&self) -> Option<u64> {
        let link = self.link.as_ref()?;
        link.applier.settled()
    }

    /// 40 random hexadecimal digits.
    fn fresh_id(&mut self) -> String {
        random_id(&mut self.entropy)
    }
}

/// 40 random hexadecimal digits: a run id or a replication id.
pub fn random_id(rng: &mut crate::command::Rng) -> String {
    let mut id: String = (0..3).map(|_| format!("{:016x}", rng.next_u64())).collect();
    id.truncate(40);
    id
}
