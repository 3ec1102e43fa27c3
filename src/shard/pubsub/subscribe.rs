//! SUBSCRIBE and its kin: a connection begins to listen, or ends.
//!
//! The owner of a channel (for a pattern, every shard) counts its subscribers. A confirmation waits
//! until all have counted, so that whoever publishes after it was seen reaches the subscriber. In
//! between the connection listens already: it is given everything that it is counted for. Messages
//! that come before the confirmation are kept and follow it.

use super::{confirm, shared_name};
use crate::command::pubsub::{Name, Space, is_event_channel};
use crate::protocol::{Args, Reply, Version};

use super::super::Shard;
use super::super::client::{Client, Waiting};
use super::super::message::Item;
use super::super::shell::{ConnId, Shell};
use super::channel_owner;

/// Names that change.
struct Changes {
    /// By the shard that has to hear of it.
    names: Vec<Vec<Name>>,
    /// Channels of events, of which all have to hear besides.
    events: Vec<Name>,
}

impl Changes {
    fn new(shards: usize) -> Self {
        Changes {
            names: vec![Vec::new(); shards],
            events: Vec::new(),
        }
    }
}

impl Shard {
    fn note_change(&self, changes: &mut Changes, space: Space, name: &Name) {
        match space {
            Space::Pattern | Space::Monitor | Space::Prefix => changes
                .names
                .iter_mut()
                .for_each(|list| list.push(name.clone())),
            _ => {
                changes.names[channel_owner(&self.shared, space, name)].push(name.clone());
            }
        }
        if space == Space::Channel && is_event_channel(name) {
            changes.events.push(name.clone());
        }
    }

    /// Tells the shards concerned, this one at once. `asker` waits for their answers, of which the
    /// number is given.
    fn tell_changes(
        &mut self,
        changes: Changes,
        space: Space,
        on: bool,
        asker: Option<ConnId>,
    ) -> u32 {
        let events = vec![changes.events; self.shared.shards].into_iter();
        let events = events.enumerate().map(|part| (Space::Event, part));
        let names = changes.names.into_iter().enumerate();
        let names = names.map(|part| (space, part));
        let mut told = 0;
        for (space, (shard, names)) in names.chain(events) {
            if names.is_empty() {
                continue;
            }
            if shard == self.id {
                self.count_listener(shard, space, on, &names);
                continue;
            }
            told += 1;
            let item = Item::Listen {
                conn: asker,
                space,
                on,
                names,
            };
            self.post(shard, item);
        }
        told
    }

    fn count_listener(&mut self, from: usize, space: Space, on: bool, names: &[Name]) {
        let directory = &mut self.data.pubsub.directory;
        for name in names {
            directory.change(space, name, from as u32, on);
        }
        self.monitored = directory.len(Space::Monitor) > 0;
        if space == Space::Prefix {
            self.follow_changes();
        }
    }

    /// Another shard's connection begins to listen to these names, or ends.
    pub(in super::super) fn receive_listen(
        &mut self,
        from: usize,
        conn: Option<ConnId>,
        (space, on): (Space, bool),
        names: &[Name],
    ) {
        self.count_listener(from, space, on, names);
        if let Some(conn) = conn {
            self.post(from, Item::Listening { conn });
        }
    }

    /// (P|S)SUBSCRIBE. Within EXEC the confirmations are part of its reply, which waits instead of
    /// them.
    pub(in super::super) fn subscribe(
        &mut self,
        client: &mut Client,
        space: Space,
        args: Args<'_>,
        in_exec: bool,
    ) {
        let mark = client.reply.len();
        let mut changes = Changes::new(self.shared.shards);
        for name in args.iter().skip(1) {
            let own = client.pubsub.get_or_insert_default();
            if !own.of(space).contains(name) {
                let name = shared_name(name);
                own.of(space).insert(name.clone());
                self.note_change(&mut changes, space, &name);
                self.registry.add(&self.shared, space, name, client.conn);
            }
            confirm(&mut client.reply, space, true, Some(name), own.shown(space));
        }
        self.tell_and_hold(client, changes, (space, true), mark, in_exec);
    }

    /// (P|S)UNSUBSCRIBE, of all names if none is given.
    pub(in super::super) fn unsubscribe(
        &mut self,
        client: &mut Client,
        space: Space,
        args: Args<'_>,
        in_exec: bool,
    ) {
        let mark = client.reply.len();
        let mut changes = Changes::new(self.shared.shards);
        let own = client.pubsub.get_or_insert_default();
        let all: Vec<Name> = match args.len() {
            1 => own.of(space).iter().cloned().collect(),
            _ => Vec::new(),
        };
        if args.len() == 1 && all.is_empty() {
            confirm(&mut client.reply, space, false, None, own.shown(space));
        }
        let names = all.iter().map(|name| &name[..]);
        for name in names.chain(args.iter().skip(1)) {
            let own = client.pubsub.get_or_insert_default();
            if let Some(left) = own.of(space).take(name) {
                self.note_change(&mut changes, space, &left);
                if in_exec {
                    self.registry
                        .remove(&self.shared, space, &left, client.conn);
                } else {
                    own.leaving.push((space, left));
                }
            }
            confirm(
                &mut client.reply,
                space,
                false,
                Some(name),
                own.shown(space),
            );
        }
        self.tell_and_hold(client, changes, (space, false), mark, in_exec);
    }

    /// Makes a client one that monitors; its reply from `mark` on waits until all shards know.
    pub(in super::super) fn begin_monitoring(&mut self, client: &mut Client, mark: usize) {
        let mut changes = Changes::new(self.shared.shards);
        let (space, name) = (Space::Monitor, shared_name(b""));
        let own = client.pubsub.get_or_insert_default();
        own.monitors.insert(name.clone());
        self.note_change(&mut changes, space, &name);
        self.registry.add(&self.shared, space, name, client.conn);
        self.tell_and_hold(client, changes, (space, true), mark, false);
    }

    /// A connection that tracks asks for prefixes, or no more. What holds its reply back waits
    /// until all shards know.
    pub(in super::super) fn change_prefixes(
        &mut self,
        client: &mut Client,
        prefixes: &[Name],
        on: bool,
        waits: bool,
    ) {
        let mut changes = Changes::new(self.shared.shards);
        let (space, conn) = (Space::Prefix, client.conn);
        for prefix in prefixes {
            match on {
                true => (self.registry).add(&self.shared, space, prefix.clone(), conn),
                false => self.registry.remove(&self.shared, space, prefix, conn),
            }
            self.note_change(&mut changes, space, prefix);
        }
        let told = self.tell_changes(changes, space, on, waits.then_some(conn));
        if waits && told > 0 {
            client.pubsub.get_or_insert_default().missing += told;
        }
    }

    fn tell_and_hold(
        &mut self,
        client: &mut Client,
        changes: Changes,
        (space, on): (Space, bool),
        mark: usize,
        in_exec: bool,
    ) {
        let told = self.tell_changes(changes, space, on, Some(client.conn));
        self.list_output(client);
        if let Some(own) = &mut client.pubsub {
            own.missing += told;
        }
        if !in_exec {
            self.hold_reply(client, mark, on);
        }
    }

    /// Makes the client's reply from `mark` on wait until all shards have heard of what it did;
    /// messages wait behind it if `keeps`. If none has to be waited for it ends the change at once.
    pub(in super::super) fn hold_reply(&mut self, client: &mut Client, mark: usize, keeps: bool) {
        let Some(own) = &mut client.pubsub else {
            return;
        };
        if !own.waits() {
            self.end_change(client);
            return;
        }
        let version = client.reply.version();
        let mut held = Reply::new(version);
        held.raw(&client.reply.bytes()[mark..]);
        client.reply.truncate(mark);
        let held = Box::new(held);
        if keeps {
            own.held = Some(held);
        } else {
            own.parting = Some(held);
        }
        client.waiting = Waiting::Subscription;
    }

    /// A shard has heard of a change of one of our connections.
    pub(in super::super) fn receive_listening(&mut self, conn: ConnId, shell: &mut dyn Shell) {
        let Some(mut client) = self.take_client(conn) else {
            return;
        };
        if let Some(own) = &mut client.pubsub {
            own.missing -= 1;
            if !own.waits() && client.waiting == Waiting::Subscription {
                self.end_change(&mut client);
                client.waiting = Waiting::No;
                self.list_ready(&client);
            }
        }
        self.put_client(shell, client);
    }

    fn end_change(&mut self, client: &mut Client) {
        let Some(own) = &mut client.pubsub else {
            return;
        };
        for (space, name) in own.leaving.drain(..) {
            self.registry
                .remove(&self.shared, space, &name, client.conn);
        }
        let reply = own.held.take().or(own.parting.take());
        if own.is_empty() {
            client.pubsub = None;
        }
        if let Some(mut reply) = reply {
            client.reply.append(reply.take());
            self.list_output(client);
        }
    }

    /// Ends all subscriptions without a word: the connection is gone, or RESET.
    pub(in super::super) fn leave_all(&mut self, client: &mut Client, waits: bool) {
        let Some(mut own) = client.pubsub.take() else {
            return;
        };
        let asker = waits.then_some(client.conn);
        for (space, name) in std::mem::take(&mut own.leaving) {
            self.registry
                .remove(&self.shared, space, &name, client.conn);
        }
        let mut told = 0;
        let spaces = [Space::Channel, Space::Shard, Space::Pattern, Space::Monitor];
        for space in spaces {
            let mut changes = Changes::new(self.shared.shards);
            for name in std::mem::take(own.of(space)) {
                self.registry
                    .remove(&self.shared, space, &name, client.conn);
                self.note_change(&mut changes, space, &name);
            }
            told += self.tell_changes(changes, space, false, asker);
        }
        if waits && told > 0 {
            own.missing += told;
            client.pubsub = Some(own);
        }
    }
}

/// PING's reply to a subscriber of RESP2.
pub(in super::super) fn pong(reply: &mut Reply, args: Args<'_>) {
    debug_assert_eq!(reply.version(), Version::Resp2);
    reply.array(2);
    reply.bulk_str("pong");
    reply.bulk(args.get(1).unwrap_or_default());
}
