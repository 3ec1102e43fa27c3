//! SHUTDOWN and signals: the process ends when its replicas have everything, or when
//! `shutdown-timeout` is over.
//!
//! While it waits no client writes, nothing expires and no heartbeat is sent, so the stream stands
//! still and replicas catch up with its end. SHUTDOWN ABORT, or a replica that is dropped, may
//! change the outcome.

use std::sync::atomic::Ordering;

use super::Node;
use super::coordinator::Place;
use super::message::Message;
use crate::shard::server::{SHUTDOWN_FAILED, ShutdownOptions};
use crate::shard::shell::{ConnId, Shell};

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
    pub(super) fn shutdown_over(&mut self, conn: ConnId, error: Option<&'static str>) {
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
                self.to(home, Message::ShutdownOver { conn, error });
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
        if options.now || timeout_ms == 0 || self.lagging() == 0 {
            self.end_process(shell);
            return;
        }
        tracing::info!(
            lagging = self.lagging(),
            timeout_ms,
            "waiting for replicas before shutting down"
        );
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
        if self.shard.now.unix_ms >= stopping.until_ms || self.lagging() == 0 {
            self.end_process(shell);
        }
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
            self.to(home, Message::ShutdownOver { conn, error });
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

    fn wake_others(&self, shell: &mut dyn Shell) {
        let shards = 0..self.shard.shared.shards;
        shards
            .filter(|shard| *shard != self.shard.id)
            .for_each(|shard| shell.wake(shard));
    }
}
