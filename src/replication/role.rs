//! Primary or replica: REPLICAOF, NO ONE, and the barriers under which history changes hands.

use std::sync::atomic::Ordering;

use super::Node;
use super::apply::Applier;
use super::link::Link;
use super::message::{Message, Step};
use crate::command::watched::Touch;
use crate::config::Upstream;
use crate::keyspace::Keyspace;
use crate::persistence::rdb::ReplicationInfo;
use crate::protocol::Args;
use crate::shard::shell::{ConnId, Shell};
use crate::shard::transaction::Kind;
use crate::shard::upper::{ALREADY_CONNECTED, Target, parse_replicaof};

/// A change that waits for, or holds, the barrier.
pub(super) enum Change {
    /// Follow this upstream.
    Follow { host: String, port: u16 },
    /// Follow this replica of ours, which takes our role over; forced or not.
    HandOver {
        host: String,
        port: u16,
        forced: bool,
    },
    /// Be a primary.
    Promote,
    /// Give the backlog up: nobody has listened for long.
    Forget,
    /// The link has received a whole dataset, which has yet to be loaded: ours goes.
    Empty,
    /// The link has received a whole dataset, and loaded it.
    Adopt { replid: String, offset: u64 },
    /// The dataset's file was loaded at the start; it belongs to this place of a history, if it
    /// says so.
    Loaded(Option<ReplicationInfo>),
}

/// The barrier of a change of role or dataset.
pub(super) struct RoleBarrier {
    pub change: Change,
    /// What to tell which shards once it is done.
    pub then: Vec<(usize, Message)>,
    pub tx: Option<u64>,
    pub missing: usize,
}

impl Node {
    /// Whether this process follows an upstream.
    pub(super) fn is_replica(&self) -> bool {
        self.shard.shared.is_replica.load(Ordering::Relaxed)
    }

    /// REPLICAOF at the client's home.
    pub(super) fn replicaof_command(&mut self, conn: ConnId, args: Args<'_>, waits: bool) {
        let failing_over = self.shard.shared.failing_over.load(Ordering::Relaxed);
        let target = match parse_replicaof(args, failing_over) {
            Ok(target) => target,
            Err(text) => {
                if waits {
                    self.shard.resume_client(conn, |c| c.reply.error(text));
                }
                return;
            }
        };
        let conn = waits.then_some(conn);
        self.tell_coordinator(Message::ReplicaOf { conn, target });
    }

    /// REPLICAOF at the coordinator. Changes queue: one barrier at a time.
    pub(super) fn replicaof(&mut self, client: Option<(usize, ConnId)>, target: Target) {
        let done = |node: &mut Node, text| {
            if let Some((home, conn)) = client {
                node.to(home, Message::ReplicaOfDone { conn, text });
            }
        };
        let change = match target {
            Target::NoOne if !self.is_replica() && self.role_queue.is_empty() => {
                done(self, "OK");
                return;
            }
            Target::NoOne => Change::Promote,
            Target::NoOneUntil(until_ms) => match self.promote_until(until_ms) {
                Ok(()) => Change::Promote,
                Err(text) => {
                    if let Some((home, conn)) = client {
                        let error = Some(text);
                        self.to(home, Message::Answered { conn, error });
                    }
                    return;
                }
            },
            Target::Follow(Upstream { host, port }) => {
                let same = self
                    .link
                    .as_ref()
                    .is_some_and(|l| l.host == host && l.port == port);
                if same && self.role_queue.is_empty() {
                    done(self, ALREADY_CONNECTED);
                    return;
                }
                Change::Follow { host, port }
            }
        };
        let text = "OK";
        let then = client.map(|(home, conn)| (home, Message::ReplicaOfDone { conn, text }));
        self.change_role(change, then.into_iter().collect());
    }

    /// A promotion is to apply what came until `until_ms`, and no more.
    fn promote_until(&mut self, until_ms: u64) -> Result<(), &'static str> {
        if !self.is_replica() || !self.role_queue.is_empty() {
            return Err("ERR REPLICAOF NO ONE UNTIL needs a replica");
        }
        if until_ms > self.shard.now.unix_ms {
            return Err("ERR REPLICAOF NO ONE UNTIL a time that is still to come");
        }
        if until_ms < self.delay.last_applied_ms {
            return Err("ERR what came after that time is applied already");
        }
        self.delay.until_ms = Some(until_ms);
        Ok(())
    }

    /// Queues a change: one barrier at a time.
    pub(super) fn change_role(&mut self, change: Change, then: Vec<(usize, Message)>) {
        self.role_queue.push_back(RoleBarrier {
            change,
            then,
            tx: None,
            missing: 0,
        });
    }

    /// Gives the backlog up, under a barrier, if nothing else is to change.
    pub(super) fn forget_history(&mut self) {
        if self.role_queue.is_empty() {
            self.change_role(Change::Forget, Vec::new());
        }
    }

    /// Whether no other barrier of ours is under way.
    pub(super) fn barrier_is_free(&self) -> bool {
        self.role_queue.is_empty()
    }

    /// Takes the next change's barrier when nothing else is in the way.
    pub(super) fn drive_role(&mut self, shell: &mut dyn Shell) {
        let Some(first) = self.role_queue.front() else {
            return;
        };
        if first.tx.is_some() || self.coordinator.sync.holds_barrier() {
            return;
        }
        // What was received is applied first: a promotion loses nothing of it, and the offset from
        // which another upstream is asked to go on is what the dataset holds.
        let promotes = matches!(first.change, Change::Promote);
        if promotes && self.has_unread_stream() {
            if let Some(conn) = self.link.as_ref().and_then(|link| link.conn) {
                shell.pause(conn);
            }
            // Whoever held it for a barrier that it did not get yet comes after this.
            self.release_link();
            return;
        }
        if !self.hold_link() {
            return;
        }
        let tx = self.shard.begin_upper(shell, Kind::Barrier, Vec::new());
        self.role_queue.front_mut().expect("it was just there").tx = Some(tx);
    }

    /// A barrier is granted: if it is the role's, carries the change out.
    pub(super) fn role_granted(&mut self, tx: u64, shell: &mut dyn Shell) {
        let shards = self.shard.shared.shards;
        let first = self
            .role_queue
            .front_mut()
            .expect("a barrier of ours is granted");
        assert_eq!(first.tx, Some(tx), "changes are carried out one at a time");
        if !self.may_hand_over() {
            self.role_queue.pop_front();
            self.shard.release_barrier(tx);
            self.release_link();
            return;
        }
        let first = self.role_queue.front_mut().expect("it was just there");
        first.missing = shards;
        if matches!(first.change, Change::Forget) {
            self.forget();
        }
        let first = self.role_queue.front().expect("it was just there");
        let step = match &first.change {
            Change::Follow { .. } | Change::HandOver { .. } => Step::Record(false),
            Change::Promote | Change::Forget => Step::Record(self.log.lock().enabled),
            Change::Empty => Step::Empty,
            Change::Adopt { .. } => Step::Adopt,
            Change::Loaded(place) => Step::Loaded {
                records: place.is_some() && self.shard.config.replicaof.is_none(),
            },
        };
        match step {
            Step::Adopt => self.restart_sync(shell, "the dataset was replaced"),
            Step::Empty => {
                self.restart_sync(shell, "the dataset is being replaced");
                self.shard.shared.loading.store(true, Ordering::Relaxed);
            }
            Step::Loaded { .. } => {}
            _ => self.drop_link(shell),
        }
        for shard in 0..shards {
            self.to(shard, Message::Prepare(step));
        }
    }

    /// A shard has carried its step out.
    pub(super) fn role_prepared(&mut self, shell: &mut dyn Shell) {
        let Some(first) = self.role_queue.front_mut() else {
            return;
        };
        first.missing -= 1;
        if first.missing > 0 {
            return;
        }
        let barrier = self.role_queue.pop_front().expect("it was just there");
        let tx = barrier.tx.expect("it was granted");
        match barrier.change {
            Change::Follow { host, port } => self.follow(host, port),
            Change::HandOver { host, port, .. } => {
                self.follow(host, port);
                self.handed_over();
            }
            Change::Promote => self.promote(shell),
            // Done when the barrier was granted.
            Change::Forget => {}
            Change::Empty => self.load_file(shell),
            Change::Adopt { replid, offset } => self.adopt(replid, offset, shell),
            Change::Loaded(place) => self.loaded(place),
        }
        self.shard.release_barrier(tx);
        self.release_link();
        for (home, message) in barrier.then {
            self.to(home, message);
        }
    }

    pub(super) fn follow(&mut self, host: String, port: u16) {
        let was_replica = self.shard.shared.is_replica.swap(true, Ordering::Relaxed);
        self.shard.shared.stale.store(true, Ordering::Relaxed);
        let (replid, offset, enabled) = {
            let merged = self.log.merge();
            (merged.replid.clone(), merged.end(), merged.enabled)
        };
        tracing::info!(%host, port, "following an upstream");
        // Our own history serves to go on from, as a replica of whoever shares it.
        let cached = (was_replica || enabled).then_some((replid, offset));
        // Where our own stream stands, if we wrote one; otherwise where the last link's stood.
        let own_db = self.log.lock().db.take().map(|db| db as usize);
        let link_db = self.last_link_db.take();
        let db = own_db.or(link_db).unwrap_or(0);
        let applier = match self.delay.parked.take() {
            Some(applier) => applier,
            None => Applier::new(offset, db, self.shard.shared.shards),
        };
        self.link = Some(Link::new(host.clone(), port, cached, applier));
        self.note_upstream(Some((host, port)));
        if !was_replica {
            self.drop_all_replicas();
        }
        self.update_upstream_view();
    }

    /// Frees the backlog and takes another id, since from here on nothing is recorded. Not if a
    /// replica came meanwhile: then it needs both.
    fn forget(&mut self) {
        let id = self.fresh_id();
        let needed = !self.coordinator.replicas.is_empty();
        self.log.reset(|merged| {
            if !needed && !merged.is_pinned() {
                merged.forget(id);
                tracing::info!("the backlog is freed after repl-backlog-ttl without replicas");
            }
        });
    }

    fn promote(&mut self, shell: &mut dyn Shell) {
        self.shard.shared.is_replica.store(false, Ordering::Relaxed);
        self.shard.shared.stale.store(false, Ordering::Relaxed);
        let id = self.fresh_id();
        // What was received and not applied is no part of our history.
        let delayed = self.delay.active.then_some(self.last_applied);
        self.drop_delayed(shell);
        self.log.reset(|merged| {
            if let Some(applied) = delayed {
                merged.truncate(applied);
            }
            if merged.enabled {
                merged.shift(id);
            }
            merged.upstream = None;
        });
        tracing::info!("this is a primary now");
        self.note_upstream(None);
        self.failover_over();
        self.set_depth(0);
        self.drop_all_replicas();
    }

    /// The upstream's dataset is in place of ours.
    fn adopt(&mut self, replid: String, offset: u64, shell: &mut dyn Shell) {
        self.drop_delayed(shell);
        self.log.reset(|merged| {
            merged.restart(replid, offset);
            merged.enabled = true;
        });
        self.shard.shared.stale.store(false, Ordering::Relaxed);
        self.drop_all_replicas();
        self.link_adopted(offset, shell);
    }

    fn drop_all_replicas(&mut self) {
        for shard in 0..self.shard.shared.shards {
            self.to(shard, Message::DropReplicas);
        }
    }

    /// CONFIG GET replicaof shows what is followed.
    fn note_upstream(&mut self, target: Option<(String, u16)>) {
        let target = target.map(|(host, port)| crate::config::Upstream { host, port });
        let changed: Result<(), ()> = self.shard.shared.config.update(|config| {
            config.replicaof = target;
            Ok(())
        });
        changed.expect("nothing in it fails");
    }

    /// This shard's step under a barrier.
    pub(super) fn prepare(&mut self, step: Step, shell: &mut dyn Shell) {
        // Everything executed before the barrier is in the log before anything changes.
        self.shard.publish();
        match step {
            Step::Cut { epoch, frozen } => {
                self.make_cut(epoch, frozen, shell);
                if !frozen {
                    let primary = !self.is_replica();
                    self.shard.effects.set_enabled(primary);
                }
            }
            Step::Record(on) => self.shard.effects.set_enabled(on),
            Step::Empty => {
                let empty = self.shard.empty_keyspace();
                self.replace_dataset(empty, shell);
                if !self.shard.config.replica_lazy_flush {
                    // Nobody is served meanwhile, and the new data needs the room.
                    while self.free_replaced() {}
                }
            }
            Step::Adopt => self.take_staged(shell),
            Step::Loaded { records } => {
                self.take_staged(shell);
                self.shard.effects.set_enabled(records);
            }
        }
        let keys = self.shard.keyspace.total_len() as u64;
        let usage = &self.shard.shared.memory[self.shard.id];
        usage.keys.store(keys, Ordering::Relaxed);
        self.tell_coordinator(Message::Prepared);
    }

    fn take_staged(&mut self, shell: &mut dyn Shell) {
        let staged = self.staging.take();
        let staged = staged.unwrap_or_else(|| self.shard.empty_keyspace());
        self.replace_dataset(staged, shell);
    }

    fn replace_dataset(&mut self, new: Keyspace, shell: &mut dyn Shell) {
        self.abort_snapshot(shell);
        for db in 0..self.shard.keyspace.databases() {
            self.shard.data.watched.touch_all(db, |_| Touch::Changed);
        }
        self.shard.dataset_replaced();
        let mut old = std::mem::replace(&mut self.shard.keyspace, new);
        old.flush_all();
        self.dying.push(old);
    }
}
