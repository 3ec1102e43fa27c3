//! CLIENT and its subcommands.

use std::sync::atomic::Ordering;

use crate::command::session::SessionOp;
use crate::protocol::{Args, Reply};

use super::Shard;
use super::client::{Client, Waiting};
use super::shell::Shell;

/// Which connections CLIENT LIST shows.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {}

/// Which connections CLIENT KILL closes.
#[derive(Clone, Debug, Default)]
pub struct Kill {}

impl Shard {
    pub(super) fn client_list(&mut self, client: &mut Client, args: Args<'_>) {
        let _ = args;
        self.answer(client, Reply::ok);
    }
    pub(super) fn client_kill(&mut self, client: &mut Client, args: Args<'_>) {
        let _ = args;
        self.answer(client, Reply::ok);
    }
    pub(super) fn client_unblock(&mut self, client: &mut Client, args: Args<'_>) {
        let _ = args;
        self.answer(client, Reply::ok);
    }
    pub(super) fn client_command(&mut self, client: &mut Client, op: SessionOp, args: Args<'_>) {
        let _ = (op, args);
        self.answer(client, Reply::ok);
    }
    /// CLIENT LIST, KILL and UNBLOCK within EXEC: only this shard's connections are seen.
    pub(super) fn client_command_here(
        &mut self,
        client: &mut Client,
        op: SessionOp,
        args: Args<'_>,
    ) {
        let _ = (op, args);
        self.answer(client, Reply::ok);
    }
    pub(super) fn client_lines(&self, filter: &ListFilter) -> Vec<(u64, String)> {
        let _ = filter;
        Vec::new()
    }
    pub(super) fn kill_clients(&mut self, kill: &Kill, shell: &mut dyn Shell) -> u64 {
        let _ = (kill, shell);
        0
    }
    pub(super) fn unblock_client(&mut self, id: u64, error: bool) -> bool {
        let _ = (id, error);
        false
    }
    pub(super) fn client_unpause(&mut self) {
        self.shared.pause_until_ms.store(0, Ordering::Relaxed);
    }

    /// Lets the connections go on that a pause held back, if it is over.
    pub(super) fn wake_paused(&mut self) {
        if self.shared.pause_until_ms.load(Ordering::Relaxed) > self.now.unix_ms {
            return;
        }
        for conn in std::mem::take(&mut self.paused_clients) {
            if let Some(client) = self.client_mut(conn)
                && client.waiting == Waiting::Paused
            {
                client.waiting = Waiting::No;
                self.ready.push(conn);
            }
        }
    }

    /// Lets the connections go on whose DEBUG SLEEP is over.
    pub(super) fn wake_sleepers(&mut self) {
        let now_ns = self.now.mono_ns;
        for conn in std::mem::take(&mut self.sleepers) {
            match self.client_mut(conn).map(|client| client.waiting) {
                Some(Waiting::Sleep { until_ns }) if until_ns > now_ns => self.sleepers.push(conn),
                Some(Waiting::Sleep { .. }) => self.resume_client(conn, |client| client.reply.ok()),
                _ => {}
            }
        }
    }
}
