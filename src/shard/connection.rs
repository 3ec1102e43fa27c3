//! Connections coming, sending and going.

use std::sync::atomic::Ordering;

use super::client::{Class, Client, Waiting};
use super::dispatch::INPUT_AHEAD_MAX;
use super::message::Item;
use super::shell::{ConnId, Shell};
use super::{Event, Shard};
use crate::protocol::Reply;

/// Where a connection comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// As CLIENT LIST shows it.
    pub peer: String,
    pub local: String,
    /// Loopback or a Unix socket.
    pub is_local: bool,
    pub is_unix: bool,
}

/// What a client is told under protected mode.
const PROTECTED: &str = "DENIED Banyan is running in protected mode because protected mode is \
enabled and no password is set for the default user. In this mode connections are only accepted \
from the loopback interface. Either set a password (requirepass), bind to an address and disable \
protected mode (CONFIG SET protected-mode no from the loopback interface), or start the server \
with --protected-mode no.";

impl Shard {
    /// A connection was accepted. It is refused if there are too many.
    pub fn accepted(&mut self, shell: &mut dyn Shell, conn: ConnId, origin: Origin) {
        self.stats.total_connections += 1;
        let refused = if self.shared.clients.load(Ordering::Relaxed) >= self.config.maxclients {
            Some("ERR max number of clients reached")
        } else if self.config.protected_mode
            && self.config.requirepass.is_empty()
            && !origin.is_local
        {
            Some(PROTECTED)
        } else {
            None
        };
        if let Some(text) = refused {
            self.stats.rejected_connections += 1;
            let mut reply = Reply::new(crate::protocol::Version::Resp2);
            reply.error(text);
            shell.send(conn, super::shell::Chunk::Vec(reply.take()));
            shell.close_after_flush(conn);
            return;
        }
        let mut client = Client::new(conn, self.shared.next_client(), self.now.mono_ns);
        client.peer = origin.peer;
        client.local = origin.local;
        client.is_local = origin.is_local;
        client.is_unix = origin.is_unix;
        client.authenticated = self.config.requirepass.is_empty();
        self.insert_client(client);
    }

    /// Adds a connection that the layer above opened: the link to the upstream.
    pub fn insert_upper(&mut self, conn: ConnId, class: Class, peer: String) {
        let mut client = Client::new(conn, self.shared.next_client(), self.now.mono_ns);
        client.peer = peer;
        client.class = class;
        self.insert_client(client);
    }

    fn insert_client(&mut self, client: Client) {
        self.shared.clients.fetch_add(1, Ordering::Relaxed);
        let index = client.conn.index as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        assert!(
            self.slots[index].is_none(),
            "the shell reuses a slot only after `closed`"
        );
        self.by_id.insert(client.id, client.conn);
        self.slots[index] = Some(Box::new(client));
    }

    /// Bytes from a peer.
    pub fn received(&mut self, conn: ConnId, data: &[u8]) {
        let now_ns = self.now.mono_ns;
        self.stats.net_in_bytes += data.len() as u64;
        self.stats.reads += 1;
        let Some(client) = self.client_mut(conn) else {
            return;
        };
        if client.closing {
            return;
        }
        client.input.push(data);
        client.last_input_ns = now_ns;
        client.total_net_in += data.len() as u64;
        if client.is_ready() || client.input.buffered() > INPUT_AHEAD_MAX {
            self.ready.push(conn);
        }
    }

    /// The peer is gone, or the shell closed the connection.
    pub fn closed(&mut self, conn: ConnId) {
        let Some(mut client) = self
            .slots
            .get_mut(conn.index as usize)
            .and_then(|slot| slot.take_if(|client| client.conn == conn))
        else {
            return;
        };
        self.by_id.remove(&client.id);
        self.runs_away -= usize::from(client.waiting == Waiting::Run);
        self.shared.clients.fetch_sub(1, Ordering::Relaxed);
        self.leave_all(&mut client, false);
        self.stop_tracking(&mut client, false);
        if let Waiting::Blocked(token) = client.waiting {
            self.blocked_is_gone(token);
        }
        self.forget_watches(client.watched);
        if client.class != Class::Normal || matches!(client.waiting, Waiting::Upper { .. }) {
            self.events.push(Event::Closed {
                conn,
                class: client.class,
            });
        }
    }

    /// Tells the owners that keys are no longer watched.
    pub(super) fn forget_watches(
        &mut self,
        watched: Vec<(usize, Box<[u8]>, crate::command::watched::Token)>,
    ) {
        for (db, key, _) in watched {
            let owner = self.shared.owner(&key);
            if owner == self.id {
                self.data.watched.remove(db, &key);
            } else {
                self.post(owner, Item::Unwatch { db, key });
            }
        }
    }

    /// Takes a connection out of its slot for the time in which it is worked on.
    pub(super) fn take_client(&mut self, conn: ConnId) -> Option<Box<Client>> {
        self.slots
            .get_mut(conn.index as usize)?
            .take_if(|client| client.conn == conn)
    }

    /// Puts it back.
    pub(super) fn put_client(&mut self, _shell: &mut dyn Shell, client: Box<Client>) {
        let index = client.conn.index as usize;
        assert!(self.slots[index].is_none(), "a slot holds one connection");
        self.slots[index] = Some(client);
    }

    /// Puts a connection on the list of those with input to look at.
    pub(super) fn list_ready(&mut self, client: &Client) {
        let pending = client.deferred.is_some() || client.input.buffered() > 0;
        if client.is_ready() && (pending || client.peer_finished) {
            self.ready.push(client.conn);
        }
    }

    /// Puts a connection on the list of those with output.
    #[inline]
    pub(super) fn list_output(&mut self, client: &mut Client) {
        if !client.output_listed {
            client.output_listed = true;
            self.with_output.push(client.conn);
        }
    }

    /// The layer above answers a client that waited for it, and lets it go on.
    pub fn resume_client(&mut self, conn: ConnId, answer: impl FnOnce(&mut Client)) {
        let Some(mut client) = self.take_client(conn) else {
            return;
        };
        let mark = client.reply.len();
        answer(&mut client);
        if client.reply.bytes()[mark..].starts_with(b"-") {
            self.count_error_reply(&client.reply.bytes()[mark..]);
        }
        if client.reply_mode != super::client::ReplyMode::On {
            client.reply.truncate(mark);
        }
        client.waiting = Waiting::No;
        self.list_output(&mut client);
        self.list_ready(&client);
        let index = client.conn.index as usize;
        self.slots[index] = Some(client);
    }

    /// Closes a connection after what it is still owed.
    pub(super) fn close_client(&mut self, client: &mut Client) {
        client.closing = true;
        self.list_output(client);
    }
}

impl Shard {
    /// Closes a connection from above: after what is queued, or at once.
    pub fn disconnect(&mut self, shell: &mut dyn Shell, conn: ConnId, flush: bool) {
        let Some(client) = self.client_mut(conn) else {
            return;
        };
        client.closing = true;
        if flush {
            shell.close_after_flush(conn);
            self.linger(conn);
        } else {
            client.dropped = true;
            shell.close_now(conn);
        }
    }

    /// A keyspace like this shard's own, empty.
    pub fn empty_keyspace(&self) -> crate::keyspace::Keyspace {
        let seed = crate::keyspace::Seed(self.shared.process.seed);
        let databases = self.keyspace.databases();
        let mut keyspace = crate::keyspace::Keyspace::new(databases, &seed);
        keyspace.set_sliced_bytes_min(self.keyspace.sliced_bytes_min());
        keyspace
    }

    /// Whether messages to this shard itself wait.
    pub fn has_own_messages(&self) -> bool {
        !self.mail.is_empty_to(self.id)
    }
}

impl Shard {
    /// The peer sends no more. Whether the connection stays until it has its replies; then
    /// [`Shard::serve`] closes it.
    ///
    /// Nobody can tell a peer that only listens from one that is gone. So commands that may wait
    /// for ever, or as long as a pause lasts, do not keep the connection: Redis does not keep any.
    pub fn finished(&mut self, conn: ConnId) -> bool {
        let Some(client) = self.client_mut(conn) else {
            return false;
        };
        let endless = matches!(
            client.waiting,
            Waiting::Upper { .. } | Waiting::Blocked(_) | Waiting::Paused
        );
        if client.closing {
            // It is on its way out, and its deadline runs.
            return true;
        }
        if client.class != Class::Normal || endless {
            return false;
        }
        client.peer_finished = true;
        if client.is_ready() {
            self.ready.push(conn);
        }
        true
    }
}
