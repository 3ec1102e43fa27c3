//! The coordinator, a role of shard 0: who the replicas are, what they have acknowledged, WAIT,
//! PING.

use hashbrown::HashMap;

use super::Node;
use super::failover::Failover;
use super::feeds::pin_token;
use super::full_sync::FullSync;
use super::message::{Message, ReplicaInfo};
use super::shutdown::Stopping;
use crate::protocol::Reply;
use crate::shard::client::{Client, Waiting};
use crate::shard::shared::{Pause, ReplicaView};
use crate::shard::shell::{ConnId, Shell};
use crate::shard::upper::parse_wait;

/// `REPLCONF GETACK *`: 37 bytes of stream.
const GETACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";
/// The heartbeat.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// A connection of the process: its home and its slot there.
pub(super) type Place = (usize, ConnId);

/// A replica as the coordinator knows it.
pub(super) struct Replica {
    pub info: ReplicaInfo,
    pub online: bool,
    /// It receives a snapshot whose length it knows.
    pub receives: bool,
    pub acked: u64,
    pub acked_ms: u64,
}

/// A client in WAIT.
struct Waiter {
    place: Place,
    offset: u64,
    replicas: u32,
    until_ms: u64,
}

/// State of the coordinator.
#[derive(Default)]
pub(super) struct Coordinator {
    pub replicas: HashMap<Place, Replica, ahash::RandomState>,
    waiters: Vec<Waiter>,
    /// A GETACK is due, once for all that wait.
    ask: bool,
    pub sync: FullSync,
    pub stopping: Option<Stopping>,
    pub failover: Option<Failover>,
    /// The barrier of a shutdown's last look, asked for or held.
    pub stop_barrier: Option<u64>,
    /// Since when there has been no replica, as far as that matters to the backlog.
    alone_since_ms: Option<u64>,
    next_ping_ms: u64,
    next_second_ms: u64,
}

impl Coordinator {
    pub fn new(state: ahash::RandomState) -> Self {
        Coordinator {
            replicas: HashMap::with_hasher(state),
            ..Coordinator::default()
        }
    }
}

impl Node {
    pub(super) fn replica_online(&mut self, place: Place, info: ReplicaInfo) {
        let now_ms = self.shard.now.unix_ms;
        // What it asked to go on from it has received, and perhaps not applied: it counts when it
        // says so.
        let replica = Replica {
            info,
            online: true,
            receives: false,
            acked: 0,
            acked_ms: now_ms,
        };
        self.coordinator.replicas.insert(place, replica);
        self.refresh_view();
    }

    pub(super) fn replica_acked(&mut self, place: Place, offset: u64) {
        let now_ms = self.shard.now.unix_ms;
        if let Some(replica) = self.coordinator.replicas.get_mut(&place) {
            replica.acked = replica.acked.max(offset);
            replica.acked_ms = now_ms;
            self.refresh_view();
            self.answer_waiters();
        }
    }

    pub(super) fn replica_gone(&mut self, shell: &mut dyn Shell, place: Place) {
        self.coordinator.replicas.remove(&place);
        self.sync_member_gone(shell, place);
        // A snapshot may have begun for it while this message was on its way.
        self.log.merge().unpin(pin_token(place.0, place.1));
        self.refresh_view();
    }

    /// The members of the snapshot under way receive it.
    pub(super) fn note_sending(&mut self) {
        for member in &self.coordinator.sync.members {
            if let Some(replica) = self.coordinator.replicas.get_mut(&member.place) {
                replica.receives = true;
            }
        }
        self.refresh_view();
    }

    /// Puts what INFO shows into the log's view.
    pub(super) fn refresh_view(&mut self) {
        let now_ms = self.shard.now.unix_ms;
        let max_lag_s = u64::from(self.shard.config.min_replicas_max_lag);
        let mut views: Vec<(Place, ReplicaView)> = (self.coordinator.replicas.iter())
            .map(|(place, replica)| {
                let lag_s = now_ms.saturating_sub(replica.acked_ms) / 1000;
                let view = ReplicaView {
                    ip: replica.info.ip.clone(),
                    port: replica.info.port,
                    state: match (replica.online, replica.receives) {
                        (true, _) => "online",
                        (false, true) => "send_bulk",
                        (false, false) => "wait_bgsave",
                    },
                    offset: replica.acked,
                    lag_s,
                    kind: "replica",
                };
                (*place, view)
            })
            .collect();
        views.sort_by_key(|(place, _)| *place);
        let good = views
            .iter()
            .filter(|(_, v)| v.state == "online" && v.lag_s <= max_lag_s)
            .count();
        let good = good as u32;
        self.shard
            .shared
            .good_replicas
            .store(good, std::sync::atomic::Ordering::Relaxed);
        let mut merged = self.log.lock();
        merged.good_replicas = good;
        merged.replicas = views.into_iter().map(|(_, view)| view).collect();
    }

    /// WAIT at the client's home.
    pub(super) fn wait_command(&mut self, conn: ConnId, args: crate::protocol::Args<'_>) {
        let request = match parse_wait(args, self.is_replica()) {
            Ok(request) => request,
            Err(text) => {
                let answer = |client: &mut Client| client.reply.error(text);
                return self.shard.resume_client(conn, answer);
            }
        };
        // The client's own writes of this tick must be in the log before we ask for their offset.
        self.shard.publish();
        let merged = self.log.merge();
        let client = self.shard.client(conn);
        let offset = client.map_or(0, |client| merged.offset_of_all(&client.wrote));
        drop(merged);
        self.tell_coordinator(Message::Wait {
            conn,
            offset,
            replicas: request.replicas,
            timeout_ms: request.timeout_ms,
        });
    }

    pub(super) fn wait_begins(
        &mut self,
        place: Place,
        offset: u64,
        replicas: u32,
        timeout_ms: u64,
    ) {
        let count = self.acked_by(offset);
        if count >= replicas {
            self.to(
                place.0,
                Message::Waited {
                    conn: place.1,
                    count,
                    error: false,
                },
            );
            return;
        }
        let now_ms = self.shard.now.unix_ms;
        let until_ms = if timeout_ms == 0 {
            u64::MAX
        } else {
            now_ms.saturating_add(timeout_ms)
        };
        self.coordinator.waiters.push(Waiter {
            place,
            offset,
            replicas,
            until_ms,
        });
        self.coordinator.ask = true;
    }

    fn acked_by(&self, offset: u64) -> u32 {
        let replicas = self.coordinator.replicas.values();
        replicas
            .filter(|replica| replica.online && replica.acked >= offset)
            .count() as u32
    }

    fn answer_waiters(&mut self) {
        let now_ms = self.shard.now.unix_ms;
        let waiters = std::mem::take(&mut self.coordinator.waiters);
        for waiter in waiters {
            let count = self.acked_by(waiter.offset);
            if count >= waiter.replicas || now_ms >= waiter.until_ms {
                let (home, conn) = waiter.place;
                self.to(
                    home,
                    Message::Waited {
                        conn,
                        count,
                        error: false,
                    },
                );
            } else {
                self.coordinator.waiters.push(waiter);
            }
        }
    }

    /// CLIENT UNBLOCK, or the client is gone.
    pub(super) fn wait_over(&mut self, place: Place, error: Option<bool>) {
        let Some(at) = self
            .coordinator
            .waiters
            .iter()
            .position(|w| w.place == place)
        else {
            return;
        };
        let waiter = self.coordinator.waiters.swap_remove(at);
        if let Some(error) = error {
            let count = self.acked_by(waiter.offset);
            self.to(
                place.0,
                Message::Waited {
                    conn: place.1,
                    count,
                    error,
                },
            );
        }
    }

    /// At the client's home: WAIT is answered.
    pub(super) fn waited(&mut self, conn: ConnId, count: u32, error: bool) {
        let waits = self
            .shard
            .client(conn)
            .is_some_and(|client| matches!(client.waiting, Waiting::Upper { unblockable: true }));
        if waits {
            self.shard
                .resume_client(conn, |client| write_waited(&mut client.reply, count, error));
        }
    }

    /// What is due by the clock.
    pub(super) fn coordinate(&mut self) {
        let now_ms = self.shard.now.unix_ms;
        if !self.coordinator.waiters.is_empty() {
            self.answer_waiters();
        }
        let paused = self.is_paused();
        if self.coordinator.ask && !paused {
            self.coordinator.ask = false;
            if !self.is_replica() {
                self.log.append_own(GETACK);
            }
        }
        if now_ms >= self.coordinator.next_second_ms {
            self.coordinator.next_second_ms = now_ms + 1000;
            if !self.coordinator.replicas.is_empty() {
                self.refresh_view();
                self.drop_silent_replicas();
            }
            self.expire_backlog();
        }
        if now_ms >= self.coordinator.next_ping_ms {
            let period_s = u64::from(self.shard.config.repl_ping_replica_period.max(1));
            self.coordinator.next_ping_ms = now_ms + period_s * 1000;
            if !self.coordinator.replicas.is_empty() && !self.is_replica() && !paused {
                self.log.append_own(PING);
            }
        }
    }

    fn is_paused(&self) -> bool {
        self.shard.shared.pause(self.shard.now.unix_ms) != Pause::No
    }

    /// A primary without replicas for `repl-backlog-ttl` gives its backlog up.
    fn expire_backlog(&mut self) {
        let now_ms = self.shard.now.unix_ms;
        let ttl_ms = self.shard.config.repl_backlog_ttl.saturating_mul(1000);
        let needed = !self.coordinator.replicas.is_empty() || self.is_replica();
        if needed || ttl_ms == 0 || !self.log.lock().enabled {
            self.coordinator.alone_since_ms = None;
            return;
        }
        let since_ms = *self.coordinator.alone_since_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) > ttl_ms {
            self.forget_history();
        }
    }

    /// Replicas that have not acknowledged for repl-timeout are closed.
    fn drop_silent_replicas(&mut self) {
        let now_ms = self.shard.now.unix_ms;
        let timeout_ms = u64::from(self.shard.config.repl_timeout) * 1000;
        let silent: Vec<Place> = (self.coordinator.replicas.iter())
            .filter(|(_, r)| r.online && now_ms.saturating_sub(r.acked_ms) > timeout_ms)
            .map(|(place, _)| *place)
            .collect();
        for (home, conn) in silent {
            tracing::warn!("disconnecting a replica that has been silent for repl-timeout");
            self.to(home, Message::SyncFailed { conn });
        }
    }

    /// Milliseconds until the coordinator has something to do by the clock.
    pub(super) fn coordinator_sleep_ms(&self) -> u64 {
        let now_ms = self.shard.now.unix_ms;
        let mut next = self.coordinator.next_second_ms;
        next = next.min(self.coordinator.next_ping_ms);
        for waiter in &self.coordinator.waiters {
            next = next.min(waiter.until_ms);
        }
        if let Some(stopping) = &self.coordinator.stopping {
            next = next.min(stopping.due_ms());
        }
        if let Some(at) = self.delay.due_ms(self.shard.config.replica_apply_delay) {
            next = next.min(at);
        }
        if let Some(at) = { self.coordinator.failover.as_ref() }.and_then(Failover::due_ms) {
            next = next.min(at);
        }
        if let Some(at) = self.coordinator.sync.due_ms() {
            next = next.min(at);
        }
        if let Some(at) = self.link.as_ref().and_then(|link| link.due_ms()) {
            next = next.min(at);
        }
        next.saturating_sub(now_ms)
    }
}

fn write_waited(reply: &mut Reply, count: u32, error: bool) {
    if error {
        reply.error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
    } else {
        reply.integer(i64::from(count));
    }
}
