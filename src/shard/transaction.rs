//! The home's side of a transaction over several shards.
//!
//! 1. **Claim.** Every shard involved is asked for its locks. An owner that grants *lends* the
//!    entries: it takes them out of its table and sends them along, eight bytes each (small strings
//!    that are only read are copied, so that readers share).
//! 2. **Run.** When all have granted, the home puts the entries into its scratch keyspace and runs
//!    the ordinary command code on it, in order, at one timestamp. Effects go into the home's own
//!    batch as one contiguous unit.
//! 3. **Release.** The entries go back with the unlock, in messages that leave after the batch was
//!    published.
//!
//! If a shard refuses (see [`super::locks`]), everything is withdrawn and the claim begins anew
//! under a new id. A command without a complete key list locks whole shards; then entries are
//! fetched command by command, and commands that run everywhere send their parts out under the
//! lock. A command that finds further keys in an entry gets them in a second fetch.

mod whole;

use smallvec::SmallVec;

use crate::command::notify::Notification;
use crate::command::pubsub::{Lent, Message};
use crate::command::table::{self, Keys, Run as Runs};
use crate::command::{Effects, Env, Outcome, Part, run as run_command};
use crate::protocol::{Args, Reply};

use super::blocking::{Blocking, may_wait};
use super::client::{Client, Waiting};
use super::locks::{Mode, TxId};
use super::message::{ClaimRequest, Entries, Item, OwnedRequest, Release};
use super::session::Gather;
use super::share::{
    KEYS_SEARCHED_MAX, KeyPlaces, Share, asks, for_each_key, name_channels, share_of, whole_mode,
};
use super::shell::{ConnId, Shell};
use super::timing::Timed;
use super::tracking;
use super::{Event, Shard};

/// Shares for which room is made at once.
const SHARES_RESERVED_MAX: usize = 16;

/// What a transaction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One command over several shards.
    Command,
    /// EXEC.
    Exec,
    /// A pipelined run in strict order: each command is a unit of its own.
    Pipeline,
    /// A unit of the upstream's stream: applied without effects of our own.
    Apply,
    /// The layer above holds all shards and does its work itself.
    Barrier,
}

/// A transaction under way.
pub struct Tx {
    /// The client that waits, if any.
    pub(super) client: Option<ConnId>,
    /// Of a command that may wait.
    pub(super) blocking: Option<Blocking>,
    /// The name that the layer above knows it by: its id changes if it has to begin anew.
    token: u64,
    pub kind: Kind,
    pub(super) shares: Vec<Share>,
    whole: Option<Mode>,
    /// It runs command by command, and waits for other shards in between.
    stepped: bool,
    missing: usize,
    refused: bool,
    dirty: bool,
    /// EXEC as it was typed, for MONITOR.
    typed: Option<Box<[u8]>>,
    /// One of its commands closes the connection.
    closes: bool,
    pub(super) requests: Vec<OwnedRequest>,
    next: usize,
    /// Whether the next command's further keys were asked for.
    followed: bool,
    pub(super) reply: Reply,
    /// End of each command's reply within `reply`.
    ends: Vec<usize>,
    parts: Vec<Part>,
    /// Keys changed, by database, for the owners' watchers.
    touched: Vec<(usize, Box<[u8]>)>,
    /// Who will receive what its commands say.
    receivers: Lent,
    /// Who has read its keys.
    pub(super) tracked: tracking::Lent,
    said: Vec<Message>,
    /// What its commands noted of keys: told by the keys' owners, in the order of each key.
    events: Vec<Notification>,
    now_ms: u64,
    /// When the parts of the command under way were asked for, monotonic nanoseconds.
    asked_ns: u64,
    no_touch: bool,
    /// Effects of a transaction that lasts several ticks: whole shards are locked, so nothing
    /// comes between, and they are published in one piece at the end.
    effects: Effects,
}

impl Tx {
    fn new(kind: Kind, requests: Vec<OwnedRequest>, reply: Reply) -> Box<Self> {
        let whole = match kind {
            Kind::Barrier => Some(Mode::Exclusive),
            _ => whole_mode(&requests),
        };
        Box::new(Tx {
            client: None,
            blocking: None,
            token: 0,
            kind,
            shares: Vec::new(),
            whole,
            stepped: whole.is_some() || requests.iter().any(asks),
            missing: 0,
            refused: false,
            dirty: false,
            typed: None,
            closes: false,
            requests,
            next: 0,
            followed: false,
            reply,
            ends: Vec::new(),
            parts: Vec::new(),
            touched: Vec::new(),
            receivers: Lent::default(),
            tracked: tracking::Lent::default(),
            said: Vec::new(),
            events: Vec::new(),
            now_ms: 0,
            asked_ns: 0,
            no_touch: false,
            effects: Effects::default(),
        })
    }
}

impl Shard {
    /// Begins a transaction for a client, which waits for it.
    pub(super) fn begin_transaction(
        &mut self,
        shell: &mut dyn Shell,
        client: &mut Client,
        kind: Kind,
        requests: Vec<OwnedRequest>,
    ) {
        let mut tx = Tx::new(kind, requests, Reply::new(client.reply.version()));
        tx.client = Some(client.conn);
        tx.reply.set_limit(self.reply_bytes_max(client));
        tx.no_touch = client.no_touch;
        if kind == Kind::Pipeline && client.tracking.is_some() {
            tx.tracked = tracking::Lent::of_pipeline(client.run.remembers());
        }
        if kind == Kind::Exec {
            for (db, key, token) in std::mem::take(&mut client.watched) {
                let shard = self.shared.owner(&key);
                share_of(&mut tx.shares, shard)
                    .watched
                    .push((db, key, token));
            }
        }
        if may_wait(&tx.requests, kind) {
            // Its numbers are older than its claim, and so than whoever queues behind that.
            tx.blocking = Some(Blocking {
                token: None,
                order: self.shared.next_tx_per_shard(),
                wait: None,
            });
        }
        self.fill_shares(&mut tx);
        let id = self.claim_all(shell, tx);
        client.waiting = Waiting::Transaction(id);
    }

    /// Begins a transaction of the layer above: a unit of the upstream's stream, or a barrier.
    /// Gives the token that its events carry.
    pub fn begin_upper(
        &mut self,
        shell: &mut dyn Shell,
        kind: Kind,
        requests: Vec<OwnedRequest>,
    ) -> TxId {
        let mut tx = Tx::new(kind, requests, Reply::new(crate::protocol::Version::Resp2));
        tx.no_touch = true;
        tx.token = self.token();
        let token = tx.token;
        self.fill_shares(&mut tx);
        self.claim_all(shell, tx);
        token
    }

    fn fill_shares(&mut self, tx: &mut Tx) {
        if tx.whole.is_some() {
            if let (Kind::Command, [request]) = (tx.kind, tx.requests.as_slice())
                && request.command.walks()
            {
                let shard = table::cursor_shard(request.args(), self.shared.shards);
                share_of(&mut tx.shares, shard);
                return;
            }
            for shard in 0..self.shared.shards {
                share_of(&mut tx.shares, shard);
            }
            name_channels(&self.shared, &tx.requests, &mut tx.shares);
            return;
        }
        if tx.stepped {
            // Without locks it still begins by a grant: not before its client is back in its slot.
            share_of(&mut tx.shares, self.id);
        }
        let databases = self.data.settings.databases;
        tx.shares
            .reserve(self.shared.shards.min(SHARES_RESERVED_MAX));
        let mut places = self.key_places(&tx.requests);
        for request in &tx.requests {
            // What is shared is copied. Of a stream only the end is read, so its entry rather
            // moves, as to a writer.
            let moves = matches!(request.command.keys, Keys::Streams { .. });
            let mode = if request.command.is_exclusive() || moves {
                Mode::Exclusive
            } else {
                Mode::Shared
            };
            for_each_key(request, databases, |db, key| {
                let owner = request.owner.map(|owner| owner as usize);
                let owner = owner.unwrap_or_else(|| self.shared.owner(key));
                let share = share_of(&mut tx.shares, owner);
                places.add(share, db, key, mode);
            });
        }
        name_channels(&self.shared, &tx.requests, &mut tx.shares);
    }

    fn key_places(&self, requests: &[OwnedRequest]) -> KeyPlaces {
        let arguments: usize = requests.iter().map(|request| request.args().len()).sum();
        let state = self.txs.hasher().clone();
        KeyPlaces::new(
            (arguments > KEYS_SEARCHED_MAX).then_some(state),
            self.data.settings.seed,
        )
    }

    /// Asks every shard for its locks, under a new id.
    fn claim_all(&mut self, shell: &mut dyn Shell, mut tx: Box<Tx>) -> TxId {
        let id = self.shared.next_tx();
        self.stats.transactions += 1;
        tx.missing = tx.shares.len();
        tx.refused = false;
        tx.dirty = false;
        tx.now_ms = self.now.unix_ms;
        for share in &mut tx.shares {
            share.granted = false;
            share.refused = false;
        }
        self.claim_missing(id, &tx);
        let nothing = tx.shares.is_empty();
        self.txs.insert(id, tx);
        if nothing {
            self.advance(shell, id);
        }
        id
    }

    /// Asks the shards that have not granted theirs.
    fn claim_missing(&mut self, id: TxId, tx: &Tx) {
        for share in tx.shares.iter().filter(|share| !share.granted) {
            let watched = share.watched.clone();
            let channels = share.channels.clone();
            let now_ms = tx.now_ms;
            let claim = Box::new(match tx.whole {
                Some(mode) => ClaimRequest::Whole {
                    mode,
                    watched,
                    channels,
                    now_ms,
                },
                None => ClaimRequest::Keys {
                    keys: share.keys.clone(),
                    watched,
                    channels,
                    now_ms,
                },
            });
            self.post(share.shard, Item::Claim { tx: id, claim });
        }
    }

    /// Runs the command of a waiter again. One shard has locked its part already.
    pub(super) fn begin_woken(
        &mut self,
        shell: &mut dyn Shell,
        (token, conn): (u64, ConnId),
        request: OwnedRequest,
        (from, id, grant): (usize, TxId, super::message::Grant),
    ) {
        let client = self.client(conn);
        let client = client.expect("one that is gone waits no more");
        let (version, no_touch) = (client.reply.version(), client.no_touch);
        let limit = self.reply_bytes_max(client);
        let mut tx = Tx::new(Kind::Command, vec![request], Reply::new(version));
        tx.client = Some(conn);
        tx.reply.set_limit(limit);
        tx.no_touch = no_touch;
        tx.blocking = Some(Blocking {
            token: Some(token),
            order: self.order_of_waiter(token).unwrap_or(id),
            wait: None,
        });
        tx.now_ms = self.now.unix_ms;
        self.stats.transactions += 1;
        if let Some(client) = self.client_mut(conn) {
            client.waiting = Waiting::Transaction(id);
        }
        self.fill_shares(&mut tx);
        for share in tx.shares.iter_mut().filter(|share| share.shard == from) {
            share.granted = true;
        }
        tx.missing = tx.shares.iter().filter(|share| !share.granted).count();
        if let Some(share) = tx.shares.iter_mut().find(|share| share.granted) {
            share.entries = grant.entries;
            share.copied = grant.copied;
        }
        tx.tracked.borrow(grant.readers);
        self.claim_missing(id, &tx);
        let ready = tx.missing == 0;
        self.txs.insert(id, tx);
        if ready {
            self.advance(shell, id);
        }
    }

    pub(super) fn receive_grant(
        &mut self,
        from: usize,
        id: TxId,
        grant: super::message::Grant,
        shell: &mut dyn Shell,
    ) {
        let tx = self
            .txs
            .get_mut(&id)
            .expect("a home keeps a transaction until all have answered");
        let share = tx
            .shares
            .iter_mut()
            .find(|s| s.shard == from)
            .expect("it was asked");
        share.granted = true;
        share.entries = grant.entries;
        share.copied = grant.copied;
        for ((space, name), receivers) in share.channels.iter().zip(grant.receivers) {
            tx.receivers.insert(*space, name.clone(), receivers);
        }
        tx.dirty |= grant.dirty;
        tx.tracked.borrow(grant.readers);
        self.one_answered(shell, id);
    }

    pub(super) fn receive_refusal(&mut self, from: usize, id: TxId, shell: &mut dyn Shell) {
        let tx = self
            .txs
            .get_mut(&id)
            .expect("a home keeps a transaction until all have answered");
        let share = tx
            .shares
            .iter_mut()
            .find(|s| s.shard == from)
            .expect("it was asked");
        share.refused = true;
        if !tx.refused {
            tx.refused = true;
            let pending: Vec<usize> = (tx.shares.iter())
                .filter(|share| !share.granted && !share.refused)
                .map(|share| share.shard)
                .collect();
            for shard in pending {
                self.post(shard, Item::Withdraw { tx: id });
            }
        }
        self.one_answered(shell, id);
    }

    fn one_answered(&mut self, shell: &mut dyn Shell, id: TxId) {
        let tx = self.txs.get_mut(&id).expect("the caller just had it");
        tx.missing -= 1;
        if tx.missing > 0 {
            return;
        }
        if tx.refused {
            self.retry(shell, id);
        } else if tx.kind == Kind::Barrier {
            let token = tx.token;
            self.events.push(Event::Granted { tx: token });
        } else {
            self.advance(shell, id);
        }
    }

    /// Gives everything back untouched and claims anew.
    fn retry(&mut self, shell: &mut dyn Shell, id: TxId) {
        let mut tx = self.txs.remove(&id).expect("the caller just had it");
        self.stats.transaction_retries += 1;
        self.release_all(id, &mut tx);
        let (client, next) = (tx.client, self.claim_all(shell, tx));
        if let Some(client) = client.and_then(|conn| self.client_mut(conn)) {
            client.waiting = Waiting::Transaction(next);
        }
    }

    fn release_all(&mut self, id: TxId, tx: &mut Tx) {
        // Each changed key is routed once, to the one shard that owns it.
        let mut touched: Vec<Vec<(usize, Box<[u8]>)>> = Vec::new();
        touched.resize_with(tx.shares.len(), Vec::new);
        for (db, key) in std::mem::take(&mut tx.touched) {
            let owner = self.shared.owner(&key);
            if let Some(at) = tx.shares.iter().position(|share| share.shard == owner) {
                touched[at].push((db, key));
            }
        }
        let mut events = self.route_events(tx).into_iter();
        let shares = tx.shares.iter_mut().zip(touched);
        for (share, touched) in shares {
            let events = events.next().unwrap_or_default();
            if !share.granted {
                continue;
            }
            let expired = std::mem::take(&mut share.expired);
            let mut release = Release {
                entries: SmallVec::with_capacity(share.keys.len()),
                touched,
                events,
                expired,
                readers: (tx.tracked).give_back(|key| self.shared.owner(key) == share.shard),
            };
            let lent = share
                .keys
                .iter()
                .zip(share.entries.drain(..))
                .zip(&share.copied);
            for ((key, entry), copied) in lent {
                let lent = entry.filter(|_| !copied);
                release.entries.extend(lent.map(|entry| key.lent(entry)));
            }
            let release = Box::new(release);
            self.post(share.shard, Item::Release { tx: id, release });
        }
    }

    /// What a transaction noted of keys, by the share of their owner; nothing if it noted nothing.
    fn route_events(&self, tx: &mut Tx) -> Vec<Vec<Notification>> {
        let mut routed = Vec::new();
        for event in tx.events.drain(..) {
            routed.resize_with(tx.shares.len(), Vec::new);
            let owner = self.shared.owner(&event.key);
            if let Some(at) = tx.shares.iter().position(|share| share.shard == owner) {
                routed[at].push(event);
            }
        }
        routed
    }

    /// Ends a barrier.
    pub fn release_barrier(&mut self, token: u64) {
        let found = self
            .txs
            .iter()
            .find(|(_, tx)| tx.kind == Kind::Barrier && tx.token == token);
        let id = *found.expect("the layer above holds this barrier").0;
        let mut tx = self.txs.remove(&id).expect("it was just found");
        self.release_all(id, &mut tx);
    }

    /// Runs the transaction's next commands, until it ends or has to wait for other shards.
    fn advance(&mut self, shell: &mut dyn Shell, id: TxId) {
        let mut tx = self.txs.remove(&id).expect("the caller just had it");
        if tx.kind == Kind::Exec && tx.dirty {
            tx.reply.null_array();
            self.finish(shell, id, tx);
            return;
        }
        if tx.next == 0 && self.refuses_all_late(&mut tx) {
            self.finish(shell, id, tx);
            return;
        }
        if tx.next == 0 && tx.kind == Kind::Exec {
            tx.reply.array(tx.requests.len());
        }
        if !tx.stepped {
            self.run_on_lent(shell, id, &mut tx);
            self.finish(shell, id, tx);
        } else {
            tx.effects.set_enabled(self.effects.enabled());
            tx.effects.begin_unit();
            self.step_whole(shell, id, tx);
        }
    }

    /// Refuses what was let in before a change of role (a pipeline: one by one).
    fn refuses_all_late(&mut self, tx: &mut Tx) -> bool {
        let origin = self.origin();
        let refused = |request: &OwnedRequest| {
            let text = self.refuses_late(request.command, origin)?;
            Some((request.command, text))
        };
        match tx.requests.iter().find_map(refused) {
            Some((command, text)) if tx.kind == Kind::Command => {
                self.refuse_late(&mut tx.reply, command, text);
            }
            Some((_, text)) if tx.kind == Kind::Exec => {
                tx.reply.error(&super::multi::aborted_because(text));
            }
            _ => return false,
        }
        true
    }

    /// All entries are here: runs every command in one go.
    fn run_on_lent(&mut self, shell: &mut dyn Shell, id: TxId, tx: &mut Tx) {
        self.data.watched.start_recording();
        tx.tracked.start();
        self.borrow_entries(tx);
        let units = tx.kind == Kind::Pipeline;
        if !units {
            self.effects.begin_unit();
        }
        for index in 0..tx.requests.len() {
            if units {
                self.effects.begin_unit();
            }
            self.run_request(shell, id, tx, index);
            if units {
                self.effects.end_unit();
            }
        }
        if !units {
            self.effects.end_unit();
        }
        self.return_entries(tx);
        tx.touched.extend(self.data.watched.stop_recording());
        tx.events.append(&mut self.data.notifications);
    }

    fn borrow_entries(&mut self, tx: &mut Tx) {
        for share in &mut tx.shares {
            share.present.clear();
            share
                .present
                .extend(share.entries.iter().map(Option::is_some));
            for (key, entry) in share.keys.iter().zip(share.entries.iter_mut()) {
                if let Some(entry) = entry.take() {
                    self.scratch.db_mut(key.db).insert_hashed(key.hash, entry);
                }
            }
        }
    }

    fn return_entries(&mut self, tx: &mut Tx) {
        for share in &mut tx.shares {
            let slots = share.keys.iter().zip(share.entries.iter_mut()).enumerate();
            for (at, (key, slot)) in slots {
                let before = std::mem::replace(&mut share.present[at], false);
                let db = self.scratch.db_mut(key.db);
                *slot = db.remove_hashed(key.hash, &key.key);
                let copied = share.copied.get(at).copied().unwrap_or(false);
                if before && slot.is_none() && copied {
                    // A reader saw the copy expire; the owner still has the key.
                    share.expired.push((key.db, key.key.as_slice().into()));
                }
            }
        }
        assert_eq!(
            self.scratch.total_len(),
            0,
            "a transaction touched a key that it had not named"
        );
    }

    /// Runs one command on the scratch keyspace, within an open unit.
    fn run_request(&mut self, shell: &mut dyn Shell, id: TxId, tx: &mut Tx, index: usize) {
        let request = &tx.requests[index];
        let Runs::Data(handler) = request.command.run else {
            let waits = self.run_session_request(shell, id, tx, index);
            assert!(!waits, "a transaction that asks runs step by step");
            return;
        };
        let origin = match tx.kind {
            Kind::Apply => crate::command::Origin::Upstream,
            _ if request.command.writes() => self.origin(),
            _ => self.reading_origin(self.origin()),
        };
        if tx.kind == Kind::Pipeline
            && let Some(text) = self.refuses_late(request.command, origin)
        {
            self.refuse_late(&mut tx.reply, request.command, text);
            tx.ends.push(tx.reply.len());
            return;
        }
        let mark = tx.reply.len();
        let timed = self.start_timing(request.command, request.args(), request.raw());
        let env = Env {
            keyspace: &mut self.scratch,
            reply: &mut tx.reply,
            effects: &mut self.effects,
            state: &mut self.data,
            db: request.db,
            now_ms: tx.now_ms,
            origin,
            shard: (self.id as u32, self.shared.shards as u32),
            no_touch: tx.no_touch,
            may_wait: tx.blocking.is_some(),
        };
        env.state.pubsub.lent = Some(std::mem::take(&mut tx.receivers));
        let mut done = run_command(handler, env, request.args(), request.raw());
        let pubsub = &mut self.data.pubsub;
        tx.receivers = pubsub.lent.take().unwrap_or_default();
        tx.said.append(&mut pubsub.outgoing);
        self.count(request.command, &done, &tx.reply.bytes()[mark..]);
        if let Some(blocking) = &mut tx.blocking {
            blocking.wait = done.wait.take();
        }
        let reply_bytes = tx.reply.len() - mark;
        self.stop_timing(timed, request.command, request.args(), reply_bytes);
        self.claim_slow_of(self.id, tx.client);
        if done.wrote()
            && let Some(conn) = tx.client
        {
            self.note_local_write(conn);
        }
        self.note_lent(tx, index);
        tx.ends.push(tx.reply.len());
    }

    /// A command of the session within EXEC: it belongs to the client that waits. Whether its
    /// reply has to wait for other shards.
    fn run_session_request(
        &mut self,
        shell: &mut dyn Shell,
        id: TxId,
        tx: &mut Tx,
        index: usize,
    ) -> bool {
        if let Some(conn) = tx.client {
            let request = &tx.requests[index];
            let step = self.session_in_exec(shell, id, conn, request, &mut tx.reply);
            tx.closes |= step.closes;
            if step.waits {
                return true;
            }
        }
        tx.ends.push(tx.reply.len());
        false
    }

    /// All shards have answered a session command of a transaction: its reply.
    pub(super) fn conclude_in_exec(&mut self, client: &mut Client, id: TxId, gather: Gather) {
        let mut tx = self.txs.remove(&id).expect("a home keeps a transaction");
        let closing = client.closing;
        self.catching(client, &mut tx.reply, |shard, client| {
            shard.conclude(client, gather);
        });
        tx.closes |= !closing && std::mem::replace(&mut client.closing, closing);
        self.txs.insert(id, tx);
    }

    /// The transaction goes on after a command that asked all shards.
    pub(super) fn answered_in_exec(&mut self, shell: &mut dyn Shell, id: TxId) {
        let mut tx = self.txs.remove(&id).expect("a home keeps a transaction");
        tx.ends.push(tx.reply.len());
        tx.next += 1;
        self.step_whole(shell, id, tx);
    }

    /// Releases the locks and answers the client. Replies leave after the publish of this tick.
    fn finish(&mut self, shell: &mut dyn Shell, id: TxId, mut tx: Box<Tx>) {
        let told = tx.tracked.take_told();
        let by = tx.client.map(|conn| self.reader(conn));
        self.release_and_answer(shell, id, tx);
        self.tell_lent(told, by);
    }

    fn release_and_answer(&mut self, shell: &mut dyn Shell, id: TxId, mut tx: Box<Tx>) {
        let waits = self.settle_wait(&mut tx);
        self.data.pubsub.outgoing.append(&mut tx.said);
        // Messages reach the owners of their channels before these are unlocked.
        self.send_news(None);
        self.release_all(id, &mut tx);
        for share in &mut tx.shares {
            for (db, key, _) in std::mem::take(&mut share.watched) {
                self.post(share.shard, Item::Unwatch { db, key });
            }
        }
        let Some(conn) = tx.client else {
            self.events.push(Event::Done { tx: tx.token });
            return;
        };
        if waits {
            return;
        }
        let Some(mut client) = self.take_client(conn) else {
            return;
        };
        let mark = client.reply.len();
        if tx.reply.overrun() {
            client.reply.set_overrun();
        } else if tx.kind == Kind::Pipeline {
            self.complete_pipeline(&mut client, &tx.reply, &tx.ends);
        } else if client.reply_mode == super::client::ReplyMode::On {
            client.reply.append(tx.reply.take());
        }
        client.waiting = Waiting::No;
        if self.monitored {
            self.show_transaction(&client, &tx);
            self.give_late(&mut client);
        }
        self.hold_reply(&mut client, mark, true);
        client.closing |= tx.closes;
        self.list_output(&mut client);
        self.list_ready(&client);
        self.put_client(shell, client);
    }

    /// Remembers how a client typed the EXEC that has begun.
    #[cold]
    pub(super) fn note_typed(&mut self, client: &Client, args: Args<'_>) {
        if let Waiting::Transaction(id) = client.waiting
            && let Some(tx) = self.txs.get_mut(&id)
        {
            tx.typed = args.get(0).map(Into::into);
        }
    }

    /// Shows the commands of a transaction that has run. A failed EXEC has run none; a command that
    /// may wait was shown before.
    #[cold]
    fn show_transaction(&mut self, client: &Client, tx: &Tx) {
        if may_wait(&tx.requests, tx.kind) {
            return;
        }
        for (at, request) in tx.requests.iter().enumerate().take(tx.ends.len()) {
            // SELECT is shown with what it chose: the database of the command after it.
            let db = match request.command.run {
                Runs::Session(_) => tx.requests.get(at + 1).map_or(client.db, |next| next.db),
                _ => request.db,
            };
            self.show(client, request.command, db, request.args());
        }
        if tx.kind == Kind::Exec
            && let Some(command) = client.shown_command
        {
            let exec = tx.typed.as_deref().unwrap_or(b"EXEC");
            let span = crate::protocol::Span {
                start: 0,
                len: exec.len() as u32,
            };
            self.show(client, command, client.db, Args::new(exec, &[span]));
        }
    }

    /// Remembers that a client wrote in this tick, in this shard's batch.
    pub(super) fn note_local_write(&mut self, conn: ConnId) {
        if let Some(client) = self.client_mut(conn)
            && !client.wrote_now
        {
            client.wrote_now = true;
            self.wrote_now.push(conn);
        }
    }
}
