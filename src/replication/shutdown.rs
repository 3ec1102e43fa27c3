//! SHUTDOWN and signals: the process ends when its replicas have everything, or when
//! `shutdown-timeout` is over; and when its dataset is saved, if that is wanted.
//!
//! While it waits no client writes, nothing expires, no heartbeat is sent and nothing more is read
//! from an upstream, so the stream stands still and replicas catch up with its end. The last look
//! is taken under a barrier, so that no write that was under way is acknowledged after it. SHUTDOWN
//! ABORT, or a replica that is dropped, may change the outcome.

use std::sync::atomic::Ordering;

use super::Node;
use super::coordinator::Place;
use super::link::State;
use super::message::Message;
use crate::shard::server::{SHUTDOWN_FAILED, ShutdownOptions};
use crate::shard::shared::Stop;
use crate::shard::shell::{ConnId, Shell};
use crate::shard::transaction::Kind;

/// A shutdown that waits for replicas, or saves.
pub(super) struct Stopping {
    /// Until when it waits for replicas.
    until_ms: u64,
    saves: bool,
    /// It ends the process even if that cannot be saved.
    force: bool,
    /// Clients that sent SHUTDOWN.
    clients: Vec<Place>,
}

impl Stopping {
    /// When it ends at the latest.
    pub fn due_ms(&self) -> u64 {
        self.until_ms
    }
}

impl Node {
    /// SHUTDOWN at the client's home.
    pub(super) fn shutdown_command(&mut self, conn: ConnId, args: crate::protocol::Args<'_>) {
        let options = ShutdownOptions::parse(args).unwrap_or_default();
        self.tell_coordinator(Message::Shutdown { conn, options });
    }

    /// Its answer, if it comes to nothing.
    pub(super) fn answered_command(&mut self, conn: ConnId, error: Option<&'static str>) {
        self.shard.resume_client(conn, |client| match error {
            Some(text) => client.reply.error(text),
            None => client.reply.ok(),
        });
    }

    /// SHUTDOWN at the coordinator; without a client it is a signal's.
    pub(super) fn shutdown(
        &mut self,
        shell: &mut dyn Shell,
        client: Option<Place>,
        options: ShutdownOptions,
    ) {
        if options.abort {
            let error = match self.abort_shutdown(shell) {
                true => None,
                false => Some("ERR No shutdown in progress."),
            };
            if let Some((home, conn)) = client {
                self.to(home, Message::Answered { conn, error });
            }
            return;
        }
        if let Some(stopping) = &mut self.coordinator.stopping {
            stopping.clients.extend(client);
            if options.now {
                stopping.until_ms = 0;
            }
            return;
        }
        // Half a dataset must not take the place of a whole one.
        let saves = options.save && !self.shard.shared.loading.load(Ordering::Relaxed);
        let mut timeout_ms = u64::from(self.shard.config.shutdown_timeout) * 1000;
        if options.now || self.coordinator.replicas.is_empty() {
            timeout_ms = 0;
        }
        if timeout_ms == 0 && !saves {
            self.end_process(shell);
            return;
        }
        let lagging = self.lagging();
        if lagging > 0 && timeout_ms > 0 {
            tracing::info!(
                lagging,
                timeout_ms,
                "waiting for replicas before shutting down"
            );
        }
        self.shard.shared.stopping.store(true, Ordering::Relaxed);
        self.pause_upstream(shell);
        self.coordinator.stopping = Some(Stopping {
            until_ms: self.shard.now.unix_ms.saturating_add(timeout_ms),
            saves,
            force: options.force,
            clients: client.into_iter().collect(),
        });
    }

    /// Looks for a signal, and whether a shutdown need not wait any longer.
    pub(super) fn drive_shutdown(&mut self, shell: &mut dyn Shell) {
        if let Some(options) = self.signalled() {
            self.shutdown(shell, None, options);
        }
        let Some(stopping) = &self.coordinator.stopping else {
            return;
        };
        let over = self.shard.now.unix_ms >= stopping.until_ms;
        if over && !stopping.saves {
            self.end_process(shell);
            return;
        }
        let free = self.coordinator.stop_barrier.is_none()
            && self.barrier_is_free()
            && !self.coordinator.sync.holds_barrier();
        if free && (over || self.lagging() == 0) && self.hold_link() {
            let tx = self.shard.begin_upper(shell, Kind::Barrier, Vec::new());
            self.coordinator.stop_barrier = Some(tx);
        }
    }

    /// Whether the shutdown's barrier is the one granted: nothing runs now, so this look is the
    /// last one.
    pub(super) fn shutdown_granted(&mut self, shell: &mut dyn Shell, tx: u64) -> bool {
        if self.coordinator.stop_barrier != Some(tx) {
            return false;
        }
        if let Some(stopping) = &self.coordinator.stopping
            && (self.shard.now.unix_ms >= stopping.until_ms || self.lagging() == 0)
        {
            // Held to the end.
            let loading = self.shard.shared.loading.load(Ordering::Relaxed);
            match stopping.saves && !loading {
                true => self.save_dataset(shell, tx),
                false => self.end_process(shell),
            }
            return true;
        }
        self.coordinator.stop_barrier = None;
        self.shard.release_barrier(tx);
        self.release_link();
        true
    }

    /// Replicas that do not have the whole stream; those that are still being synced among them.
    fn lagging(&self) -> usize {
        let end = self.log.merge().end();
        let replicas = self.coordinator.replicas.values();
        replicas.filter(|replica| replica.acked < end).count()
    }

    /// SHUTDOWN ABORT, which comes too late once the dataset is being saved.
    fn abort_shutdown(&mut self, shell: &mut dyn Shell) -> bool {
        if self.coordinator.stopping.is_none() || self.coordinator.sync.saving {
            return false;
        }
        tracing::info!("shutdown manually aborted");
        self.stop_stopping(shell);
        true
    }

    /// The process goes on serving, and lets its barrier go.
    pub(super) fn give_shutdown_up(&mut self, shell: &mut dyn Shell) {
        self.stop_stopping(shell);
        if let Some(tx) = self.coordinator.stop_barrier.take() {
            self.shard.release_barrier(tx);
            self.release_link();
        }
    }

    pub(super) fn ends_by_force(&self) -> bool {
        let stopping = self.coordinator.stopping.as_ref();
        stopping.is_some_and(|stopping| stopping.force)
    }

    /// What a signal has asked for, as the configuration says.
    fn signalled(&self) -> Option<ShutdownOptions> {
        let asked = self
            .shard
            .shared
            .stop_asked
            .swap(Stop::NO, Ordering::AcqRel);
        let config = &self.shard.config;
        match asked {
            Stop::NO => None,
            Stop::INTERRUPT => Some(ShutdownOptions::of_signal(&config.shutdown_on_sigint)),
            _ => Some(ShutdownOptions::of_signal(&config.shutdown_on_sigterm)),
        }
    }

    /// What comes from the upstream waits there.
    pub(super) fn pause_upstream(&mut self, shell: &mut dyn Shell) {
        if let Some(conn) = self.streaming_conn() {
            shell.pause(conn);
        }
    }

    /// The upstream's connection, once the stream flows: before, its pauses are the dataset's.
    fn streaming_conn(&self) -> Option<ConnId> {
        let link = self.link.as_ref()?;
        link.conn.filter(|_| link.state == State::Streaming)
    }

    fn stop_stopping(&mut self, shell: &mut dyn Shell) {
        let Some(stopping) = self.coordinator.stopping.take() else {
            return;
        };
        self.shard.shared.stopping.store(false, Ordering::Relaxed);
        if let Some(conn) = self.streaming_conn() {
            shell.resume(conn);
        }
        // They let the clients go on whose writes were held back.
        self.wake_others(shell);
        let error = Some(SHUTDOWN_FAILED);
        for (home, conn) in stopping.clients {
            self.to(home, Message::Answered { conn, error });
        }
    }

    pub(super) fn end_process(&mut self, shell: &mut dyn Shell) {
        let end = self.log.merge().end();
        for replica in self.coordinator.replicas.values() {
            if replica.acked < end {
                tracing::warn!(
                    ip = %replica.info.ip,
                    port = replica.info.port,
                    behind = end - replica.acked,
                    "a replica lags at the shutdown"
                );
            }
        }
        self.shard.shared.shutdown.store(true, Ordering::Release);
        self.wake_others(shell);
    }

    pub(super) fn wake_others(&self, shell: &mut dyn Shell) {
        let shards = 0..self.shard.shared.shards;
        shards
            .filter(|shard| *shard != self.shard.id)
            .for_each(|shard| shell.wake(shard));
    }
}
