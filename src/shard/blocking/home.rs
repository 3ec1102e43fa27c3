//! The home's side: which of its connections wait, and where.

use std::collections::BTreeSet;

use ahash::RandomState;
use hashbrown::HashMap;

use super::{Await, Block, End, Message, Unblocked};
use crate::command::wait::Wait;
use crate::keyspace::Entry;
use crate::protocol::Reply;
use crate::shard::Shard;
use crate::shard::client::{Client, ReplyMode, Waiting};
use crate::shard::dispatch::Parsed;
use crate::shard::locks::TxId;
use crate::shard::message::{Envelope, Grant, Item, Lent, OwnedRequest, Release};
use crate::shard::shell::{ConnId, Shell};
use crate::shard::transaction::{Kind, Tx};

/// The connections of this shard that wait for keys.
pub(in crate::shard) struct Blocked {
    all: HashMap<u64, Waiter, RandomState>,
    /// Of those that wait on several shards.
    deadlines: BTreeSet<(u64, u64)>,
}

struct Waiter {
    conn: ConnId,
    place: Place,
}

enum Place {
    /// All keys are there: that shard has the command, and the say.
    Owner(usize),
    Several(Box<Several>),
}

/// A command whose keys are on several shards.
struct Several {
    request: OwnedRequest,
    shards: Vec<usize>,
    order: TxId,
    on_timeout: fn(&mut Reply),
    deadline_ms: Option<u64>,
    /// Its transaction is under way.
    waking: bool,
    /// How it ends if that finds nothing.
    end: Option<End>,
}

impl Blocked {
    /// Nobody waits.
    pub fn new(state: RandomState) -> Self {
        Blocked {
            all: HashMap::with_hasher(state),
            deadlines: BTreeSet::new(),
        }
    }

    /// When the next one's time is over, monotonic milliseconds.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn token_of(&self, conn: ConnId) -> Option<u64> {
        let found = self.all.iter().find(|(_, waiter)| waiter.conn == conn);
        found.map(|(token, _)| *token)
    }

    fn remove(&mut self, token: u64) -> Option<Waiter> {
        let waiter = self.all.remove(&token)?;
        if let Place::Several(several) = &waiter.place
            && let Some(at) = several.deadline_ms
        {
            self.deadlines.remove(&(at, token));
        }
        Some(waiter)
    }
}

impl Shard {
    /// A command that may wait, by itself: what came before it in the pipeline has its reply.
    pub(in crate::shard) fn dispatch_blocking(
        &mut self,
        shell: &mut dyn Shell,
        client: &mut Client,
        parsed: Parsed<'_>,
    ) {
        let Parsed { command, args, .. } = parsed;
        // Once, and now: how long it waits is nobody's business.
        self.show(client, command, client.db, args);
        let Some(owner) = self.owner_of(command, args) else {
            let request = parsed.owned(client.db);
            self.begin_transaction(shell, client, Kind::Command, vec![request]);
            return;
        };
        if owner == self.id && self.may_run_now(command, client.db, args) {
            self.block_here(client, parsed);
            return;
        }
        let block = self.block_of(client, parsed.owned(client.db));
        self.wait_at(client, block.token, owner);
        let message = Message::Block(Box::new(block));
        self.post(owner, Item::Blocking(message));
    }

    /// Runs it on this shard, which has all its keys.
    fn block_here(&mut self, client: &mut Client, parsed: Parsed<'_>) {
        let mark = client.reply.len();
        let was = std::mem::replace(&mut self.may_wait, true);
        let done = self.execute(
            &mut client.reply,
            parsed.command,
            client.db,
            client.no_touch,
            parsed.args,
            parsed.raw,
        );
        self.may_wait = was;
        self.claim_slow(client);
        self.send_news(Some(self.reader(client.conn)));
        if client.remembers(parsed.command) {
            self.remember(self.reader(client.conn), parsed.command, parsed.args);
        }
        let Some(wait) = done.wait else {
            if client.reply_mode != ReplyMode::On {
                client.reply.truncate(mark);
            }
            if done.wrote() && !client.wrote_now {
                client.wrote_now = true;
                self.wrote_now.push(client.conn);
            }
            self.list_output(client);
            return;
        };
        let mut request = parsed.owned(client.db);
        if let Some(retry) = &wait.retry {
            request = request.with_args(retry);
        }
        let block = self.block_of(client, request);
        self.wait_at(client, block.token, self.id);
        let order = self.shared.next_tx();
        self.keep(order, self.id, block, &wait);
    }

    fn block_of(&mut self, client: &Client, request: OwnedRequest) -> Block {
        Block {
            token: self.token(),
            conn: client.conn,
            version: client.reply.version(),
            no_touch: client.no_touch,
            remembers: client.remembers(request.command),
            reply_bytes_max: self.reply_bytes_max(client),
            request,
        }
    }

    fn wait_at(&mut self, client: &mut Client, token: u64, owner: usize) {
        client.waiting = Waiting::Blocked(token);
        let place = Place::Owner(owner);
        let conn = client.conn;
        self.blocked.all.insert(token, Waiter { conn, place });
    }

    /// A message about waiting arrives.
    pub(in crate::shard) fn receive_blocking(
        &mut self,
        envelope: &Envelope,
        message: Message,
        shell: &mut dyn Shell,
    ) {
        let from = envelope.from as usize;
        match message {
            Message::Block(block) => {
                let request = &block.request;
                if self.may_run_now(request.command, request.db, request.args()) {
                    self.run_block(from, *block);
                } else {
                    self.park_block(from, *block);
                }
            }
            Message::Unblocked(unblocked) => self.receive_unblocked(envelope, *unblocked, shell),
            Message::Await(wait) => self.receive_await(from, *wait),
            Message::Woken {
                token,
                tx,
                db,
                grant,
            } => self.receive_woken(shell, token, (from, tx, db, *grant)),
            Message::EndHere { token, end } => self.end_blocked(shell, token, end),
            Message::End { token, end } => self.end_wait(from, token, end),
        }
    }

    fn receive_unblocked(
        &mut self,
        envelope: &Envelope,
        unblocked: Unblocked,
        shell: &mut dyn Shell,
    ) {
        let Some(waiter) = self.blocked.remove(unblocked.token) else {
            return;
        };
        let Some(mut client) = self.take_client(waiter.conn) else {
            return;
        };
        if unblocked.wrote {
            client.note_write(envelope.from, envelope.published);
        }
        if unblocked.overrun {
            client.reply.set_overrun();
        } else if client.reply_mode == ReplyMode::On {
            client.reply.append(unblocked.reply);
        }
        self.goes_on(shell, client, unblocked.closes);
    }

    /// A client that waited has its reply.
    fn goes_on(&mut self, shell: &mut dyn Shell, mut client: Box<Client>, closes: bool) {
        client.waiting = Waiting::No;
        self.list_output(&mut client);
        self.list_ready(&client);
        if closes {
            self.close_client(&mut client);
        }
        self.put_client(shell, client);
    }

    /// An owner has locked its keys for a waiter: the others are claimed, and it runs again.
    fn receive_woken(
        &mut self,
        shell: &mut dyn Shell,
        token: u64,
        (from, id, db, grant): (usize, TxId, usize, Grant),
    ) {
        let (conn, request) = match self.blocked.all.get_mut(&token) {
            Some(Waiter {
                conn,
                place: Place::Several(several),
            }) if !several.waking => {
                several.waking = true;
                (*conn, several.request.clone())
            }
            // It is being served by another shard, or no more there.
            _ => {
                let entries = grant.entries.into_iter().flatten();
                let lent = |entry: Entry| Lent {
                    db,
                    hash: self.keyspace.db(db).hash(entry.key()),
                    entry,
                };
                let release = Box::new(Release {
                    entries: entries.map(lent).collect(),
                    readers: grant.readers,
                    ..Release::default()
                });
                self.post(from, Item::Release { tx: id, release });
                return;
            }
        };
        self.begin_woken(shell, (token, conn), request, (from, id, grant));
    }

    /// Begins the transaction of a waiter; if it waits on several shards: what it waits for, and
    /// how it is told.
    pub(in crate::shard) fn settle_wait(&mut self, tx: &mut Tx) -> bool {
        let Some(blocking) = tx.blocking.take() else {
            return false;
        };
        let token = blocking.token;
        let client = tx.client.filter(|conn| self.client(*conn).is_some());
        let end = token.and_then(|token| match &self.blocked.all.get(&token)?.place {
            Place::Several(several) => several.end,
            Place::Owner(_) => None,
        });
        if let (Some(wait), Some(conn), None) = (&blocking.wait, client, end) {
            self.await_keys(tx, conn, (token, blocking.order), wait);
            return true;
        }
        if let (Some(wait), Some(end)) = (&blocking.wait, end) {
            end.reply(&mut tx.reply, wait.on_timeout);
        }
        if let Some(token) = token {
            self.blocked.remove(token);
            for share in &tx.shares {
                let end = End::Gone;
                let message = Message::End { token, end };
                self.post(share.shard, Item::Blocking(message));
            }
        }
        false
    }

    /// Tells the owners, which still hold the keys for this transaction, that it waits for them.
    fn await_keys(
        &mut self,
        tx: &mut Tx,
        conn: ConnId,
        (token, order): (Option<u64>, TxId),
        wait: &Wait,
    ) {
        let fresh = token.is_none();
        let token = token.unwrap_or_else(|| self.token());
        for share in &tx.shares {
            let message = Message::Await(Box::new(Await {
                token,
                order,
                kind: wait.kind,
                wakes_on_loss: wait.wakes_on_loss,
                keys: share.keys.clone(),
            }));
            self.post(share.shard, Item::Blocking(message));
        }
        if let Some(client) = self.client_mut(conn) {
            client.waiting = Waiting::Blocked(token);
        }
        if !fresh {
            if let Some(Waiter {
                place: Place::Several(several),
                ..
            }) = self.blocked.all.get_mut(&token)
            {
                several.waking = false;
            }
            return;
        }
        let now_ms = self.now.mono_ns / 1_000_000;
        let deadline_ms = (wait.timeout_ms > 0).then(|| now_ms.saturating_add(wait.timeout_ms));
        if let Some(at) = deadline_ms {
            self.blocked.deadlines.insert((at, token));
        }
        let request = &tx.requests[0];
        let place = Place::Several(Box::new(Several {
            request: match &wait.retry {
                Some(retry) => request.with_args(retry),
                None => request.clone(),
            },
            shards: tx.shares.iter().map(|share| share.shard).collect(),
            order,
            on_timeout: wait.on_timeout,
            deadline_ms,
            waking: false,
            end: None,
        }));
        self.blocked.all.insert(token, Waiter { conn, place });
    }

    /// The number under which a waiter stands in the queues of several shards.
    pub(in crate::shard) fn order_of_waiter(&self, token: u64) -> Option<TxId> {
        match &self.blocked.all.get(&token)?.place {
            Place::Several(several) => Some(several.order),
            Place::Owner(_) => None,
        }
    }

    /// Ends a client's wait soon, if it waits for keys.
    pub(in crate::shard) fn unblock(&mut self, conn: ConnId, end: End) -> bool {
        let Some(token) = self.blocked.token_of(conn) else {
            return false;
        };
        let message = Message::EndHere { token, end };
        self.post(self.id, Item::Blocking(message));
        true
    }

    fn end_blocked(&mut self, shell: &mut dyn Shell, token: u64, end: End) {
        let Some(waiter) = self.blocked.all.get_mut(&token) else {
            return;
        };
        match &mut waiter.place {
            Place::Owner(owner) => {
                // Whether an element came first is the owner's to say; it answers.
                let owner = *owner;
                if end == End::Gone {
                    self.blocked.remove(token);
                }
                self.post(owner, Item::Blocking(Message::End { token, end }));
            }
            Place::Several(several) if several.waking && end != End::Gone => {
                several.end = Some(end);
            }
            Place::Several(_) => self.end_several(shell, token, end),
        }
    }

    fn end_several(&mut self, shell: &mut dyn Shell, token: u64, end: End) {
        let Some(Waiter {
            conn,
            place: Place::Several(several),
        }) = self.blocked.remove(token)
        else {
            return;
        };
        for shard in several.shards {
            let end = End::Gone;
            let message = Message::End { token, end };
            self.post(shard, Item::Blocking(message));
        }
        let command = several.request.command;
        self.stats.total_commands += 1;
        self.stats.commands[command.number()].calls += 1;
        let Some(mut client) = self.take_client(conn) else {
            return;
        };
        let on_timeout = several.on_timeout;
        client.waiting = Waiting::No;
        self.answer(&mut client, |reply| end.reply(reply, on_timeout));
        self.goes_on(shell, client, end == End::Role);
    }

    /// A connection that waits is gone.
    pub(in crate::shard) fn blocked_is_gone(&mut self, token: u64) {
        let Some(waiter) = self.blocked.remove(token) else {
            return;
        };
        let shards = match waiter.place {
            Place::Owner(owner) => vec![owner],
            Place::Several(several) => several.shards,
        };
        for shard in shards {
            let end = End::Gone;
            self.post(shard, Item::Blocking(Message::End { token, end }));
        }
    }

    /// Ends the waits whose time is over: here those for keys of several shards.
    pub(in crate::shard) fn end_blocked_too_long(&mut self, shell: &mut dyn Shell) {
        let now_ms = self.now.mono_ns / 1_000_000;
        while let Some(&(at, token)) = self.blocked.deadlines.first()
            && at <= now_ms
        {
            self.blocked.deadlines.remove(&(at, token));
            self.end_blocked(shell, token, End::Timeout);
        }
    }

    /// This became a replica: whoever waits to write waits in vain.
    pub(in crate::shard) fn unblock_writers(&mut self, shell: &mut dyn Shell) {
        let waits = |waiter: &Waiter| {
            let command = self.client(waiter.conn)?.last_command?;
            command.writes().then_some(())
        };
        let tokens: Vec<u64> = (self.blocked.all.iter())
            .filter(|(_, waiter)| waits(waiter).is_some())
            .map(|(token, _)| *token)
            .collect();
        for token in tokens {
            self.end_blocked(shell, token, End::Role);
        }
    }
}

/// Part of a [`Tx`] whose command may wait.
pub(in crate::shard) struct Blocking {
    /// What its home calls the waiter, if it has waited before.
    pub token: Option<u64>,
    /// See [`Await::order`].
    pub order: TxId,
    /// What the command left behind.
    pub wait: Option<Box<Wait>>,
}

/// Whether a request is one that may wait.
pub(in crate::shard) fn may_wait(requests: &[OwnedRequest], kind: Kind) -> bool {
    let [request] = requests else {
        return false;
    };
    let blocking = request.command.flags.has(crate::command::Flags::BLOCKING);
    kind == Kind::Command && blocking && names_a_key(request)
}

fn names_a_key(request: &OwnedRequest) -> bool {
    let mut any = false;
    request.command.for_each_key(request.args(), |_| any = true);
    any
}
