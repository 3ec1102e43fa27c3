//! SHUTDOWN and signals: the process ends when its replicas have everything, or when
//! `shutdown-timeout` is over.
//!
//! While it waits no client writes, nothing expires and no heartbeat is sent, so the stream stands
//! still and replicas catch up with its end. The last look is taken under a barrier, so that no
//! write that was under way is acknowledged after it. SHUTDOWN ABORT, or a replica that is dropped,
//! may change the outcome.

use std::sync::atomic::Ordering;

use super::Node;
use super::coordinator::Place;
use super::message::Message;
use crate::shard::server::{SHUTDOWN_FAILED, ShutdownOptions};
use crate::shard::shell::{ConnId, Shell};
use crate::shard::transaction::Kind;

/// A shutdown that waits for replicas.
pub(super) struct Stopping {
    until_ms: u64,
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
                self.end_process(shell);
            }
            return;
        }
        let timeout_ms = u64::from(self.shard.config.shutdown_timeout) * 1000;
        if options.now || timeout_ms == 0 || self.coordinator.replicas.is_empty() {
            self.end_process(shell);
            return;
        }
        let lagging = self.lagging();
        if lagging > 0 {
            tracing::info!(
                lagging,
                timeout_ms,
                "waiting for replicas before shutting down"
            );
        }
        self.shard.shared.stopping.store(true, Ordering::Relaxed);
        self.coordinator.stopping = Some(Stopping {
            until_ms: self.shard.now.unix_ms.saturating_add(timeout_ms),
            clients: client.into_iter().collect(),
        });
    }

    /// Looks for a signal, and whether a shutdown need not wait any longer.
    pub(super) fn drive_shutdown(&mut self, shell: &mut dyn Shell) {
        let shared = &self.shard.shared;
        if shared.stop_asked.load(Ordering::Acquire) {
            shared.stop_asked.store(false, Ordering::Relaxed);
            self.shutdown(shell, None, ShutdownOptions::default());
        }
        let Some(stopping) = &self.coordinator.stopping else {
            return;
        };
        if self.shard.now.unix_ms >= stopping.until_ms {
            self.end_process(shell);
            return;
        }
        let free = self.coordinator.stop_barrier.is_none()
            && self.barrier_is_free()
            && !self.coordinator.sync.holds_barrier();
        if free && self.lagging() == 0 && self.hold_link() {
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
        if self.coordinator.stopping.is_some() && self.lagging() == 0 {
            // Held to the end.
            self.end_process(shell);
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

    fn abort_shutdown(&mut self, shell: &mut dyn Shell) -> bool {
        let Some(stopping) = self.coordinator.stopping.take() else {
            return false;
        };
        tracing::info!("shutdown manually aborted");
        self.shard.shared.stopping.store(false, Ordering::Relaxed);
        // They let the clients go on whose writes were held back.
        self.wake_others(shell);
        let error = Some(SHUTDOWN_FAILED);
        for (home, conn) in stopping.clients {
            self.to(home, Message::Answered { conn, error });
        }
        true
    }

    fn end_process(&mut self, shell: &mut dyn Shell) {
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
