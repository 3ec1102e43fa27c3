//! Replies leave the shard, and output limits are enforced.

use crate::config::OutputLimit;

use super::Shard;
use super::client::Class;
use super::shell::{Chunk, Shell};

/// No limit.
const UNLIMITED: OutputLimit = OutputLimit {
    hard_bytes: 0,
    soft_bytes: 0,
    soft_seconds: 0,
};
/// Reading from a connection pauses while it is owed more than this; its peer feels it through TCP.
const PAUSE_READING_BYTES: usize = 1 << 20;

impl Shard {
    /// Hands every connection's output of this tick to the shell: one send each.
    pub(super) fn flush_outputs(&mut self, shell: &mut dyn Shell) {
        let mut listed = std::mem::take(&mut self.with_output);
        for conn in listed.drain(..) {
            let limits = self.config.client_output_buffer_limit;
            let now_ns = self.now.mono_ns;
            let Some(client) = self.client_mut(conn) else {
                continue;
            };
            client.output_listed = false;
            if !client.reply.is_empty() {
                let bytes = client.reply.swap(shell.buffer());
                let len = bytes.len() as u64;
                client.total_net_out += len;
                shell.send(conn, Chunk::Vec(bytes));
                self.stats.net_out_bytes += len;
                self.stats.writes += 1;
            }
            let Some(client) = self.client_mut(conn) else {
                continue;
            };
            let queued = shell.queued(conn);
            if client.closing {
                shell.close_after_flush(conn);
                continue;
            }
            let limit = match client.class {
                Class::Normal => limits.normal,
                Class::Replica => limits.replica,
                Class::Upstream => UNLIMITED,
            };
            if over_limit(
                queued as u64,
                limit,
                &mut client.soft_limit_since_ns,
                now_ns,
            ) {
                client.closing = true;
                let id = client.id;
                self.stats.output_buffer_limit_drops += 1;
                tracing::warn!(
                    id,
                    queued,
                    "closing a client that overran its output buffer limit"
                );
                shell.close_now(conn);
                continue;
            }
            if queued > PAUSE_READING_BYTES && !client.read_paused && client.class == Class::Normal
            {
                client.read_paused = true;
                shell.pause(conn);
            }
        }
        self.with_output = listed;
    }

    /// Hands a connection's replies to the shell now, before something else is sent to it.
    pub fn flush_reply(&mut self, shell: &mut dyn Shell, conn: super::shell::ConnId) {
        let Some(client) = self.client_mut(conn) else {
            return;
        };
        if !client.reply.is_empty() {
            let bytes = client.reply.take();
            client.total_net_out += bytes.len() as u64;
            shell.send(conn, Chunk::Vec(bytes));
        }
    }

    /// The peer took output: reading may go on.
    pub fn sent(&mut self, shell: &mut dyn Shell, conn: super::shell::ConnId) {
        let Some(client) = self.client_mut(conn) else {
            return;
        };
        if client.read_paused && shell.queued(conn) <= PAUSE_READING_BYTES / 2 {
            client.read_paused = false;
            shell.resume(conn);
            if client.is_ready() {
                self.ready.push(conn);
            }
        }
    }
}

/// Whether `queued` bytes are over the hard limit, or have been over the soft one for too long.
pub fn over_limit(
    queued: u64,
    limit: OutputLimit,
    soft_since_ns: &mut Option<u64>,
    now_ns: u64,
) -> bool {
    if limit.hard_bytes > 0 && queued > limit.hard_bytes {
        return true;
    }
    if limit.soft_bytes == 0 || queued <= limit.soft_bytes {
        *soft_since_ns = None;
        return false;
    }
    let since = *soft_since_ns.get_or_insert(now_ns);
    now_ns.saturating_sub(since) > u64::from(limit.soft_seconds) * 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_needs_time_and_the_hard_limit_none() {
        let limit = OutputLimit {
            hard_bytes: 100,
            soft_bytes: 10,
            soft_seconds: 2,
        };
        let mut since = None;
        assert!(over_limit(101, limit, &mut since, 0));
        assert!(!over_limit(50, limit, &mut since, 0));
        assert!(!over_limit(50, limit, &mut since, 2_000_000_000));
        assert!(over_limit(50, limit, &mut since, 2_000_000_001));
        assert!(!over_limit(5, limit, &mut since, 3_000_000_000));
        assert_eq!(since, None);
        assert!(!over_limit(u64::MAX, UNLIMITED, &mut since, 0));
    }
}
