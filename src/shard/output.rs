//! Replies leave the shard, and output limits are enforced.

use crate::config::OutputLimit;

use super::Shard;
use super::client::{Class, Client};
use super::shell::{Chunk, ConnId, Shell};

/// No limit.
const UNLIMITED: OutputLimit = OutputLimit {
    hard_bytes: 0,
    soft_bytes: 0,
    soft_seconds: 0,
};
/// Replies go to the shell, and are measured against the limits, in pieces of this many bytes at
/// the least: a tick that makes more checks in between.
pub(super) const PIECE_BYTES: usize = 1 << 20;
/// A closing connection whose peer takes nothing for this long ends without what it is owed.
const CLOSING_PATIENCE_NS: u64 = 10_000_000_000;

impl Shard {
    /// Hands every connection's output of this tick to the shell: one send each.
    pub(super) fn flush_outputs(&mut self, shell: &mut dyn Shell) {
        let mut listed = std::mem::take(&mut self.with_output);
        for conn in listed.drain(..) {
            let Some(mut client) = self.take_client(conn) else {
                continue;
            };
            client.output_listed = false;
            if !client.dropped {
                self.hand_over(shell, &mut client);
                self.enforce_limit(shell, &mut client);
            }
            let ends = client.closing && !client.dropped;
            self.slots[conn.index as usize] = Some(client);
            if ends {
                shell.close_after_flush(conn);
                self.linger(conn);
            }
        }
        self.with_output = listed;
    }

    /// Hands a connection's replies to the shell now, before something else is sent to it.
    pub fn flush_reply(&mut self, shell: &mut dyn Shell, conn: ConnId) {
        if let Some(mut client) = self.take_client(conn) {
            self.hand_over(shell, &mut client);
            self.slots[conn.index as usize] = Some(client);
        }
    }

    /// Gives a connection's replies to the shell. They leave after the tick, and so after the
    /// publish.
    pub(super) fn hand_over(&mut self, shell: &mut dyn Shell, client: &mut Client) {
        for piece in client.pieces.drain(..) {
            let len = piece.len() as u64;
            client.total_net_out += len;
            shell.send(client.conn, piece);
            self.stats.net_out_bytes += len;
            self.stats.writes += 1;
        }
        if client.reply.is_empty() {
            return;
        }
        let bytes = client.reply.swap(shell.buffer());
        let len = bytes.len() as u64;
        client.total_net_out += len;
        shell.send(client.conn, Chunk::Vec(bytes));
        self.stats.net_out_bytes += len;
        self.stats.writes += 1;
    }

    /// Drops a connection whose output is over its limits.
    pub(super) fn enforce_limit(&mut self, shell: &mut dyn Shell, client: &mut Client) {
        let limit = self.output_limit(client);
        let queued = shell.queued(client.conn);
        let since = &mut client.soft_limit_since_ns;
        if over_limit(queued as u64, limit, since, self.now.mono_ns) || client.reply.overrun() {
            client.closing = true;
            client.dropped = true;
            self.stats.output_buffer_limit_drops += 1;
            tracing::warn!(
                id = client.id,
                queued,
                "closing a client that overran its output buffer limit"
            );
            shell.close_now(client.conn);
        } else if client.soft_limit_since_ns.is_some() && !client.lingers {
            client.lingers = true;
            self.lingering.push(client.conn);
        }
    }

    fn output_limit(&self, client: &Client) -> OutputLimit {
        let limits = &self.config.client_output_buffer_limit;
        match client.class {
            Class::Normal if client.is_subscriber() => limits.pubsub,
            Class::Normal => limits.normal,
            // A replica's limit is kept by its feed, which knows what the log holds for it.
            Class::Replica | Class::Upstream => UNLIMITED,
        }
    }

    /// The longest reply in bytes that a connection may be made before it is dropped; 0: any.
    pub(super) fn reply_bytes_max(&self, client: &Client) -> usize {
        usize::try_from(self.output_limit(client).hard_bytes).unwrap_or(usize::MAX)
    }

    /// Looks at a connection's output every second from now on: it is closing, and its peer may
    /// never take the rest.
    pub(super) fn linger(&mut self, conn: ConnId) {
        let now_ns = self.now.mono_ns;
        if let Some(client) = self.client_mut(conn) {
            client.stalled = (usize::MAX, now_ns);
            if !std::mem::replace(&mut client.lingers, true) {
                self.lingering.push(conn);
            }
        }
    }

    /// What no new output brings about: soft limits run out, and closing connections end whose
    /// peers take nothing.
    pub(super) fn check_lingering(&mut self, shell: &mut dyn Shell) {
        let now_ns = self.now.mono_ns;
        for conn in std::mem::take(&mut self.lingering) {
            let Some(mut client) = self.take_client(conn) else {
                continue;
            };
            if client.closing {
                let queued = shell.queued(conn);
                let (least, since_ns) = client.stalled;
                if queued < least {
                    client.stalled = (queued, now_ns);
                } else if now_ns.saturating_sub(since_ns) > CLOSING_PATIENCE_NS && !client.dropped {
                    client.dropped = true;
                    shell.close_now(conn);
                }
            } else {
                self.enforce_limit(shell, &mut client);
            }
            client.lingers =
                !client.dropped && (client.closing || client.soft_limit_since_ns.is_some());
            if client.lingers {
                self.lingering.push(conn);
            }
            self.slots[conn.index as usize] = Some(client);
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
