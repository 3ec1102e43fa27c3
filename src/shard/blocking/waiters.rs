//! The owner's side: who waits for the keys of this shard.

use std::collections::{BTreeMap, BTreeSet};

use ahash::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::{Await, Block, End, Message, Unblocked};
use crate::command::wait::Wait;
use crate::protocol::Reply;
use crate::shard::Shard;
use crate::shard::locks::{Claim, Mode, TxId};
use crate::shard::message::{Grant, Item, KeyRef, Keys, OwnedRequest};
use crate::shard::tracking::{Reader, Unsaid};
use crate::value::{HashSeed, Kind};

/// A key by its database and name.
type Place = (usize, Box<[u8]>);

fn place_of(key: &KeyRef) -> Place {
    (key.db, key.key.as_slice().into())
}

/// A command that waits here.
struct Waiter {
    home: usize,
    token: u64,
    kind: Kind,
    wakes_on_loss: bool,
    keys: Keys,
    body: Body,
}

enum Body {
    /// All its keys are here: it is run again here.
    Here(Box<Here>),
    /// Its home is told. While it is `waking` its keys here are locked for it.
    Away { waking: bool },
}

struct Here {
    block: Block,
    on_timeout: fn(&mut Reply),
    deadline_ms: Option<u64>,
}

/// Those who wait for keys of this shard, in the order in which they came.
///
/// Each has a number from the counter of transactions: its place in every queue, and the id under
/// which its keys are locked when it is woken. One that waits on several shards has as many numbers
/// as there are shards, so that two owners that wake it never use the same id.
pub(in crate::shard) struct Waiters {
    all: BTreeMap<TxId, Waiter>,
    /// Numbers of those who wait for a key.
    by_key: HashMap<Place, BTreeSet<TxId>, RandomState>,
    by_home: HashMap<(usize, u64), TxId, RandomState>,
    deadlines: BTreeSet<(u64, TxId)>,
    /// Keys that are locked for a waiter that was woken; it may be gone by now.
    woken: HashMap<TxId, Vec<Place>, RandomState>,
    /// Keys that may serve somebody after this number, once they are not locked.
    ready: Vec<(Place, TxId)>,
}

impl Waiters {
    /// Nobody waits. `state` is seeded by the process, since keys come from peers.
    pub fn new(state: RandomState) -> Self {
        Waiters {
            all: BTreeMap::new(),
            by_key: HashMap::with_hasher(state.clone()),
            by_home: HashMap::with_hasher(state.clone()),
            woken: HashMap::with_hasher(state),
            deadlines: BTreeSet::new(),
            ready: Vec::new(),
        }
    }

    /// Keys that somebody waits for.
    pub fn keys(&self) -> u64 {
        self.by_key.len() as u64
    }

    /// Those of them whose loss ends a wait.
    pub fn keys_on_loss(&self) -> u64 {
        let on_loss = |order: &TxId| self.all.get(order).is_some_and(|w| w.wakes_on_loss);
        let queues = self.by_key.values();
        queues.filter(|queue| queue.iter().any(on_loss)).count() as u64
    }

    /// When the next one's time is over, monotonic milliseconds.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The first who waits for a key behind `after`.
    fn next_of(&self, place: &Place, after: TxId) -> Option<TxId> {
        let queue = self.by_key.get(place)?;
        queue.range(after + 1..).next().copied()
    }
}

impl Shard {
    /// A blocking command arrives, or runs again after it was parked.
    pub(in crate::shard) fn run_block(&mut self, home: usize, mut block: Block) {
        let mut reply = Reply::with_buffer(Vec::new(), block.version);
        reply.set_limit(block.reply_bytes_max);
        let (done, unsaid) = self.execute_waiting(home, &mut reply, &block);
        let reader = Reader {
            shard: home as u32,
            conn: block.conn,
            place: None,
        };
        if done.wait.is_none() {
            self.unblocked(home, block.token, reply, done.wrote());
        }
        self.tell_unsaid(unsaid, Some(reader));
        if block.remembers {
            self.remember(reader, block.request.command, block.request.args());
        }
        if let Some(wait) = done.wait {
            let order = self.shared.next_tx();
            if let Some(retry) = &wait.retry {
                block.request = block.request.with_args(retry);
            }
            self.keep(order, home, block, &wait);
        }
    }

    /// Runs a command that may wait, of a connection of the shard `home`. What it has changed is to
    /// be told behind its reply.
    fn execute_waiting(
        &mut self,
        home: usize,
        reply: &mut Reply,
        block: &Block,
    ) -> (crate::command::Ran, Unsaid) {
        let request = &block.request;
        // A command that wakes it may still be waiting to be put down to its own connection.
        let others = self.set_slow_aside();
        let unsaid = self.take_unsaid();
        let was = std::mem::replace(&mut self.may_wait, true);
        let done = self.execute(
            reply,
            request.command,
            request.db,
            block.no_touch,
            request.args(),
            request.raw(),
        );
        self.may_wait = was;
        self.claim_slow_of(home, Some(block.conn));
        self.put_slow_back(others);
        let own = self.take_unsaid();
        self.put_unsaid(unsaid);
        (done, own)
    }

    fn unblocked(&mut self, home: usize, token: u64, mut reply: Reply, wrote: bool) {
        let overrun = reply.overrun();
        let message = Message::Unblocked(Box::new(Unblocked {
            token,
            reply: reply.take(),
            wrote,
            overrun,
            closes: false,
        }));
        self.post(home, Item::Blocking(message));
    }

    /// Keeps a command that has run and found nothing.
    pub(in crate::shard) fn keep(&mut self, order: TxId, home: usize, block: Block, wait: &Wait) {
        let now_ms = self.now.mono_ns / 1_000_000;
        let deadline_ms = (wait.timeout_ms > 0).then(|| now_ms.saturating_add(wait.timeout_ms));
        let keys = keys_of(&block.request, self.data.settings.seed);
        if let Some(at) = deadline_ms {
            self.waiters.deadlines.insert((at, order));
        }
        let waiter = Waiter {
            home,
            token: block.token,
            kind: wait.kind,
            wakes_on_loss: wait.wakes_on_loss,
            keys,
            body: Body::Here(Box::new(Here {
                block,
                on_timeout: wait.on_timeout,
                deadline_ms,
            })),
        };
        self.add_waiter(order, waiter);
    }

    /// A command of another shard waits for keys here, and perhaps has already.
    pub(super) fn receive_await(&mut self, home: usize, wait: Await) {
        let order = wait.order + self.id as TxId;
        if self.waiters.all.contains_key(&order) {
            return;
        }
        let waiter = Waiter {
            home,
            token: wait.token,
            kind: wait.kind,
            wakes_on_loss: wait.wakes_on_loss,
            keys: wait.keys,
            body: Body::Away { waking: false },
        };
        self.add_waiter(order, waiter);
    }

    fn add_waiter(&mut self, order: TxId, waiter: Waiter) {
        for key in &waiter.keys {
            let place = place_of(key);
            self.data.watched.await_key(key.db, &key.key);
            self.waiters.by_key.entry(place).or_default().insert(order);
        }
        let id = (waiter.home, waiter.token);
        self.waiters.by_home.insert(id, order);
        self.waiters.all.insert(order, waiter);
    }

    fn remove_waiter(&mut self, order: TxId) -> Option<Waiter> {
        let waiter = self.waiters.all.remove(&order)?;
        self.waiters.by_home.remove(&(waiter.home, waiter.token));
        for key in &waiter.keys {
            let place = place_of(key);
            if let Some(queue) = self.waiters.by_key.get_mut(&place) {
                queue.remove(&order);
                if queue.is_empty() {
                    self.waiters.by_key.remove(&place);
                    self.data.watched.await_no_more(key.db, &key.key);
                }
            }
        }
        if let Body::Here(here) = &waiter.body
            && let Some(at) = here.deadline_ms
        {
            self.waiters.deadlines.remove(&(at, order));
        }
        Some(waiter)
    }

    /// Ends a wait, with an answer or without.
    pub(super) fn end_wait(&mut self, home: usize, token: u64, end: End) {
        match self.waiters.by_home.get(&(home, token)).copied() {
            Some(order) => self.end_waiter(order, end),
            // It may not have begun; of a client that is gone it must not.
            None if end == End::Gone => self.forget_parked_block(home, token),
            None => {}
        }
    }

    fn end_waiter(&mut self, order: TxId, end: End) {
        let Some(waiter) = self.remove_waiter(order) else {
            return;
        };
        let Body::Here(here) = waiter.body else {
            return;
        };
        if end == End::Gone {
            return;
        }
        let mut reply = Reply::new(here.block.version);
        end.reply(&mut reply, here.on_timeout);
        if end != End::Timeout {
            self.count_error_reply(reply.bytes());
        }
        self.stats.total_commands += 1;
        self.stats.commands[here.block.request.command.number()].calls += 1;
        let message = Message::Unblocked(Box::new(Unblocked {
            token: waiter.token,
            reply: reply.take(),
            wrote: false,
            overrun: false,
            closes: end == End::Role,
        }));
        self.post(waiter.home, Item::Blocking(message));
    }

    /// Answers those whose time is over.
    pub(in crate::shard) fn end_timed_out(&mut self) {
        let now_ms = self.now.mono_ns / 1_000_000;
        while let Some(&(at, order)) = self.waiters.deadlines.first()
            && at <= now_ms
        {
            self.end_waiter(order, End::Timeout);
        }
    }

    /// Offers the keys that have changed to those who wait for them, unless they are locked. To be
    /// called between units, before any other command runs.
    #[inline]
    pub(in crate::shard) fn serve_waiters(&mut self) {
        if self.data.watched.has_ready() || !self.waiters.ready.is_empty() {
            self.serve_ready();
        }
    }

    #[cold]
    fn serve_ready(&mut self) {
        if self.serving {
            return;
        }
        self.serving = true;
        self.detach_readers();
        let mut locked = Vec::new();
        loop {
            for place in self.data.watched.take_ready() {
                self.waiters.ready.push((place, 0));
            }
            if self.waiters.ready.is_empty() {
                break;
            }
            // In the order in which they changed.
            for (place, after) in std::mem::take(&mut self.waiters.ready) {
                if !self.waiters.by_key.contains_key(&place) {
                    continue;
                }
                if self.locks.held_against(&place.1, true) || self.locks.whole_held() {
                    locked.push((place, after));
                    continue;
                }
                if let Some(after) = self.serve_key(&place, after) {
                    locked.push((place, after));
                }
            }
        }
        self.waiters.ready = locked;
        self.serving = false;
    }

    /// Serves those who wait for a key, as long as it has something for them. Gives the number
    /// after which to go on once a lock is released, if one stopped it.
    fn serve_key(&mut self, place: &Place, mut after: TxId) -> Option<TxId> {
        while let Some(order) = self.waiters.next_of(place, after) {
            let before = std::mem::replace(&mut after, order);
            let found = self.keyspace.db(place.0).get(&place.1);
            let found = found.filter(|entry| !entry.is_expired(self.now.unix_ms));
            let kind = found.map(crate::keyspace::Entry::kind);
            let waiter = &self.waiters.all[&order];
            if kind != Some(waiter.kind) && !waiter.wakes_on_loss {
                continue;
            }
            match &waiter.body {
                Body::Here(_) => self.try_again(order),
                Body::Away { waking: true } => return None,
                Body::Away { waking: false } => {
                    // Once the key is locked for it, the others come after its release.
                    return (!self.wake_home(order)).then_some(before);
                }
            }
        }
        None
    }

    /// Runs a waiting command again.
    fn try_again(&mut self, order: TxId) {
        // Taken out, so that what it does to its own keys does not meet it.
        let Some(waiter) = self.remove_waiter(order) else {
            return;
        };
        let Body::Here(here) = &waiter.body else {
            return;
        };
        let mut reply = Reply::with_buffer(Vec::new(), here.block.version);
        reply.set_limit(here.block.reply_bytes_max);
        let block = &here.block;
        let reader = Reader {
            shard: waiter.home as u32,
            conn: block.conn,
            place: None,
        };
        let (done, unsaid) = self.execute_waiting(waiter.home, &mut reply, block);
        if done.wait.is_none() {
            self.unblocked(waiter.home, waiter.token, reply, done.wrote());
        }
        self.tell_unsaid(unsaid, Some(reader));
        if block.remembers {
            self.remember(reader, block.request.command, block.request.args());
        }
        if done.wait.is_none() {
            return;
        }
        if let Some(at) = here.deadline_ms {
            self.waiters.deadlines.insert((at, order));
        }
        self.add_waiter(order, waiter);
    }

    /// Locks a waiter's keys here and tells its home. Whether that could be done.
    fn wake_home(&mut self, order: TxId) -> bool {
        let Some(waiter) = self.waiters.all.get_mut(&order) else {
            return false;
        };
        let names = waiter.keys.iter().map(|key| key.hash);
        let claim = Claim::Keys(names.map(|name| (name, Mode::Exclusive)).collect());
        if !self.locks.claim_ahead(order, claim) {
            return false;
        }
        waiter.body = Body::Away { waking: true };
        let (home, token, keys) = (waiter.home, waiter.token, waiter.keys.clone());
        let db = keys.first().map_or(0, |key| key.db);
        let places = keys.iter().map(place_of);
        self.waiters.woken.insert(order, places.collect());
        let entries = self.lend(&keys);
        let grant = Box::new(Grant {
            copied: SmallVec::from_elem(false, entries.len()),
            entries,
            readers: self.lend_readers(&keys),
            receivers: Vec::new(),
            dirty: false,
        });
        let message = Message::Woken {
            token,
            tx: order,
            db,
            grant,
        };
        self.post(home, Item::Blocking(message));
        true
    }

    /// A transaction has released its locks here: if it was that of a waiter that was woken, those
    /// behind it come next.
    pub(in crate::shard) fn waiter_released(&mut self, tx: TxId) {
        if self.waiters.woken.is_empty() {
            return;
        }
        let Some(places) = self.waiters.woken.remove(&tx) else {
            return;
        };
        if let Some(waiter) = self.waiters.all.get_mut(&tx) {
            waiter.body = Body::Away { waking: false };
        }
        let places = places.into_iter().map(|place| (place, tx));
        self.waiters.ready.extend(places);
    }
}

/// The keys of a request, each once.
fn keys_of(request: &OwnedRequest, seed: HashSeed) -> Keys {
    let mut keys = Keys::new();
    let args = request.args();
    request.command.for_each_key(args, |at| {
        if let Some(key) = args.get(at)
            && !keys.iter().any(|known| *known.key == *key)
        {
            keys.push(KeyRef::new(request.db, key, Mode::Exclusive, seed));
        }
    });
    keys
}
