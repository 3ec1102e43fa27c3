//! The owner's side of transactions: locking, lending entries, taking them back.

use crate::command::notify::{Class, Notification};
use crate::command::table;
use crate::command::{Ctx, Effects, Env, Origin, Part};
use crate::keyspace::Entry;
use crate::protocol::{Reply, Version};
use crate::value::Kind;

use super::Shard;
use super::dispatch::LOOK_AHEAD;
use super::gather::Question;
use super::locks::{Claim, Mode, TxId, Verdict};
use super::message::{
    ClaimRequest, Entries, Envelope, Grant, Item, KeyRef, Lent, OwnedRequest, Release,
};
use super::shell::Shell;

/// A claim of some home that is not granted yet.
pub(super) struct Lending {
    home: usize,
    request: ClaimRequest,
}

/// Strings up to this many bytes are copied to readers that share a lock; others are lent.
const SHARED_COPY_BYTES_MAX: usize = 16 * 1024;

impl Shard {
    /// Handles everything another shard sent in one of its ticks.
    pub(super) fn receive(&mut self, shell: &mut dyn Shell, envelope: &mut Envelope) {
        let mut row = std::mem::take(&mut envelope.items);
        let mut items = row.drain(..);
        let from = envelope.from as usize;
        let mut prefetched = 0;
        loop {
            if prefetched == 0 {
                prefetched = LOOK_AHEAD;
                self.prefetch_runs(envelope, items.as_slice());
            }
            prefetched -= 1;
            let Some(item) = items.next() else {
                break;
            };
            self.receive_item(shell, envelope, from, item);
        }
        drop(items);
        envelope.items = row;
        self.report_applied();
    }

    fn receive_item(
        &mut self,
        shell: &mut dyn Shell,
        envelope: &Envelope,
        from: usize,
        item: Item,
    ) {
        match item {
            Item::Run(item) => self.receive_run(envelope, item),
            Item::Reply(item) => self.receive_reply(envelope, item, shell),
            Item::Claim { tx, claim } => self.receive_claim(from, tx, *claim, shell),
            Item::Grant { tx, grant } => self.receive_grant(from, tx, *grant, shell),
            Item::Refused { tx } => self.receive_refusal(from, tx, shell),
            Item::Withdraw { tx } => self.receive_withdraw(from, tx, shell),
            Item::Release { tx, release } => {
                self.take_back(*release);
                self.unlock_for(tx, shell);
            }
            Item::Return { tx: _, release } => self.take_back(*release),
            Item::Fetch { tx, keys } => self.receive_fetch(from, tx, &keys),
            Item::Fetched {
                tx,
                entries,
                readers,
            } => self.receive_fetched((from, tx), *entries, readers, shell),
            Item::Part { tx, request } => {
                let part = self.run_part(&request);
                self.post(from, Item::PartDone { tx, part });
            }
            Item::PartDone { tx, part } => self.receive_part(tx, part, shell),
            Item::Watch { conn, db, key } => {
                let token = self.watch_here(db, &key);
                let watching = Item::Watching {
                    conn,
                    db,
                    key,
                    token,
                };
                self.post(from, watching);
            }
            Item::Watching {
                conn,
                db,
                key,
                token,
            } => {
                self.receive_watching(conn, db, key, token, shell);
            }
            Item::Blocking(message) => self.receive_blocking(envelope, message, shell),
            Item::Unwatch { db, key } => self.data.watched.remove(db, &key),
            Item::Apply(item) => self.receive_apply(envelope, &item),
            Item::Applied { upto } => {
                self.events.push(super::Event::Applied {
                    from: from as u32,
                    upto,
                });
            }
            Item::Upper(body) => {
                self.events.push(super::Event::Message {
                    from: from as u32,
                    body,
                });
            }
            other => self.receive_rest(shell, from, other),
        }
    }

    fn receive_fetch(&mut self, from: usize, tx: TxId, keys: &[KeyRef]) {
        let fetched = Item::Fetched {
            tx,
            entries: Box::new(self.lend(keys)),
            readers: self.lend_readers(keys),
        };
        self.post(from, fetched);
    }

    /// Questions to every shard, and what clients are told without having asked.
    fn receive_rest(&mut self, shell: &mut dyn Shell, from: usize, item: Item) {
        match item {
            Item::Ask { token, question } => {
                self.receive_question(from, token, *question, shell);
            }
            Item::Answer { token, answer } => self.receive_answer(token, *answer, shell),
            Item::Slow { conn, entries } => self.receive_slow(conn, *entries),
            Item::Listen {
                conn,
                space,
                on,
                names,
            } => self.receive_listen(from, conn, (space, on), &names),
            Item::Listening { conn } => self.receive_listening(conn, shell),
            Item::Publish(message) => self.fan_out(message),
            Item::Deliver {
                message,
                listens,
                patterns,
            } => self.deliver(&message, listens, &patterns),
            Item::Invalidate { tail, to } => self.receive_invalidate(&tail, &to),
            Item::Broadcast { prefix, keys } => self.receive_broadcast(&prefix, &keys),
            Item::ForgetKeys => self.tell_to_forget(None),
            Item::Redirected { id, tail, conn } => self.receive_redirected(from, id, &tail, conn),
            Item::RedirectBroken { conn } => self.receive_redirect_broken(conn),
            _ => unreachable!("other messages are handled by the caller"),
        }
    }

    fn receive_question(
        &mut self,
        from: usize,
        token: u64,
        question: Question,
        shell: &mut dyn Shell,
    ) {
        if let Question::Settle { caller } = question {
            return self.settle(from, token, caller);
        }
        let answer = Box::new(self.answer_question(question, shell));
        self.post(from, Item::Answer { token, answer });
    }

    /// Prefetches for the commands among the next items of an envelope.
    fn prefetch_runs(&self, envelope: &Envelope, items: &[Item]) {
        let next = &items[..items.len().min(LOOK_AHEAD)];
        self.prefetch(next.iter().filter_map(|item| match item {
            Item::Run(item) => Some((item.db as usize, item.args(&envelope.data, &envelope.spans))),
            _ => None,
        }));
    }

    /// Tells the link's home what was applied of the stream.
    pub(super) fn report_applied(&mut self) {
        if let Some((home, upto)) = self.applied.take() {
            self.post(home as usize, Item::Applied { upto });
        }
    }

    fn receive_claim(
        &mut self,
        home: usize,
        tx: TxId,
        mut request: ClaimRequest,
        shell: &mut dyn Shell,
    ) {
        if let ClaimRequest::Keys { keys, .. } = &mut request {
            // Decided once: what is lent at the grant follows the lock that is held.
            keys.iter_mut()
                .for_each(|key| key.mode = self.lock_mode(key));
            if self.keyspace.snapshot_active() {
                let lent = keys.iter().filter(|key| key.mode == Mode::Exclusive);
                lent.for_each(|key| {
                    self.hold_if_large(key.db, &key.key, true);
                });
            }
        }
        let claim = match &request {
            ClaimRequest::Whole { mode, .. } => Claim::Whole(*mode),
            ClaimRequest::Keys {
                keys,
                watched,
                channels,
                ..
            } => {
                let named = keys.iter().map(|key| (key.hash, key.mode));
                let seen = watched
                    .iter()
                    .map(|(_, key, _)| (self.locks.name(key), Mode::Shared));
                let said = channels
                    .iter()
                    .map(|(_, name)| (self.locks.name(name), Mode::Exclusive));
                Claim::Keys(named.chain(seen).chain(said).collect())
            }
        };
        match self.locks.claim(tx, claim) {
            Verdict::Refused => self.post(home, Item::Refused { tx }),
            verdict => {
                self.claims.insert(tx, Lending { home, request });
                if verdict == Verdict::Granted {
                    self.grant(shell, tx);
                }
            }
        }
    }

    /// A reader shares a small string, of which it gets a copy; anything else is lent to it alone.
    fn lock_mode(&self, key: &KeyRef) -> Mode {
        if key.mode == Mode::Exclusive {
            return Mode::Exclusive;
        }
        let small =
            |entry: &Entry| entry.kind() == Kind::String && entry.memory() <= SHARED_COPY_BYTES_MAX;
        match self.keyspace.db(key.db).get(&key.key) {
            Some(entry) if !small(entry) => Mode::Exclusive,
            // Lent out at this moment: it may come back as anything.
            None if self.locks.holds(&key.key) => Mode::Exclusive,
            _ => Mode::Shared,
        }
    }

    /// Tells the home that its locks are held, and lends the entries.
    pub(super) fn grant(&mut self, _shell: &mut dyn Shell, tx: TxId) {
        let Some(Lending { home, request }) = self.claims.remove(&tx) else {
            return;
        };
        let (keys, watched, channels, now_ms) = match &request {
            ClaimRequest::Keys {
                keys,
                watched,
                channels,
                now_ms,
            } => (keys.as_slice(), watched, channels, *now_ms),
            ClaimRequest::Whole {
                watched,
                channels,
                now_ms,
                ..
            } => (&[][..], watched, channels, *now_ms),
        };
        let dirty = watched.iter().any(|(db, key, token)| {
            self.data.watched.is_dirty(*db, key, token)
                || (!token.expired
                    && self
                        .keyspace
                        .db(*db)
                        .get(key)
                        .is_some_and(|e| e.is_expired(now_ms)))
        });
        let entries = self.lend(keys);
        let readers = self.lend_readers(keys);
        let copied = keys.iter().map(|key| key.mode == Mode::Shared).collect();
        let directory = &self.data.pubsub.directory;
        let receivers = (channels.iter())
            .map(|(space, name)| directory.receivers(*space, name))
            .collect();
        let grant = Box::new(Grant {
            entries,
            copied,
            dirty,
            receivers,
            readers,
        });
        self.post(home, Item::Grant { tx, grant });
    }

    /// Takes the entries out of the keyspace, or copies those that are only read.
    pub(super) fn lend(&mut self, keys: &[KeyRef]) -> Entries {
        self.prefetch_hashed(keys.iter().map(|key| (key.db, key.hash)));
        let mut entries = Entries::with_capacity(keys.len());
        for key in keys {
            // Under a shared lock others read the key too, so the entry stays, whatever it has
            // become since the claim: a copy is always right, only perhaps slower.
            entries.push(if key.mode == Mode::Shared {
                self.keyspace.db(key.db).get(&key.key).map(|entry| {
                    let mut copy = Entry::new(&key.key, entry.to_value(), entry.expire_at());
                    copy.set_access(entry.access());
                    copy
                })
            } else {
                self.keyspace
                    .db_mut(key.db)
                    .remove_hashed(key.hash, &key.key)
            });
        }
        entries
    }

    /// Puts lent entries back and tells watchers what was changed.
    fn take_back(&mut self, mut release: Release) {
        for Lent { db, hash, entry } in release.entries {
            self.keyspace.db_mut(db).insert_hashed(hash, entry);
        }
        for (db, key) in release.expired {
            if self.keyspace.db_mut(db).remove(&key).is_none() {
                // Another reader saw it expire too, and has been told of.
                let told = |event: &Notification| {
                    event.class == Class::EXPIRED && event.db == db && event.key == key
                };
                release.events.retain(|event| !told(event));
            }
            self.tell_of_loss(&key);
        }
        for (db, key) in release.touched {
            // The home tells those who track.
            self.data.watched.touch_told(db, &key);
        }
        self.take_back_readers(release.readers);
        self.data.notifications.extend(release.events);
        self.send_news(None);
    }

    fn unlock_for(&mut self, tx: TxId, shell: &mut dyn Shell) {
        self.claims.remove(&tx);
        self.locks.release(tx);
        self.waiter_released(tx);
        self.unlock(shell);
    }

    /// The home wants its claim back. If the grant is already on its way the home will return the
    /// entries; otherwise the claim is gone and the home is told so.
    fn receive_withdraw(&mut self, home: usize, tx: TxId, shell: &mut dyn Shell) {
        if self.claims.contains_key(&tx) && !self.locks.is_granted(tx) {
            self.unlock_for(tx, shell);
            self.post(home, Item::Refused { tx });
        }
    }

    /// This shard's part of a command that runs everywhere. Its effects are the home's business.
    pub(super) fn run_part(&mut self, request: &OwnedRequest) -> Part {
        if request.command.full_name == "flushall" {
            self.events.push(super::Event::FlushedAll);
        }
        if request.command.replaces_databases() {
            self.forget_all_reads();
        }
        let mut origin = self.origin();
        if request.command.walks() && origin == Origin::Primary {
            // A part may not propagate: expired keys are hidden and stay.
            origin = Origin::Replica;
        }
        let mut nothing = Effects::default();
        let mut reply = Reply::new(Version::Resp2);
        nothing.begin_unit();
        let env = Env {
            keyspace: &mut self.keyspace,
            reply: &mut reply,
            effects: &mut nothing,
            state: &mut self.data,
            db: request.db,
            now_ms: self.now.unix_ms,
            origin,
            shard: (self.id as u32, self.shared.shards as u32),
            no_touch: false,
            may_wait: false,
        };
        match request.command.run {
            table::Run::Everywhere { part, .. } => part(&mut Ctx::new(env), request.args()),
            table::Run::Data(handler) => {
                // Its effect on statistics is the home's to count.
                crate::command::run(handler, env, request.args(), None);
                Part::Replied(reply.take())
            }
            _ => unreachable!(
                "only such commands have parts: {}",
                request.command.full_name
            ),
        }
    }
}

impl Shard {
    /// Applies a command of the upstream's stream.
    fn receive_apply(&mut self, envelope: &Envelope, item: &super::message::ApplyItem) {
        let spans = &envelope.spans[item.spans.0 as usize..][..item.spans.1 as usize];
        let args = crate::protocol::Args::new(&envelope.data, spans);
        let (command, db) = (item.command, item.db as usize);
        if self.must_park_apply(command, db, args) {
            self.park_apply(envelope.from as usize, item.number, db, command, args);
            return;
        }
        self.apply(command, db, args);
        self.applied = Some((envelope.from, item.number));
    }

    /// Whether [`Shard::apply_at`] would act at once, on this shard.
    pub fn applies_now(&self, owner: usize) -> bool {
        owner == self.id && self.admits_all()
    }

    /// Applies a command of the stream at its owner. True if that is this shard and it is done;
    /// otherwise the owner will report `number`.
    pub fn apply_at(
        &mut self,
        owner: usize,
        command: &'static crate::command::Command,
        db: usize,
        args: crate::protocol::Args<'_>,
        number: u64,
    ) -> bool {
        if self.applies_now(owner) {
            self.apply(command, db, args);
            return true;
        }
        let envelope = self.mail.to(owner);
        let first = envelope.spans.len() as u32;
        super::message::append_request(&mut envelope.data, &mut envelope.spans, args, None);
        envelope.items.push(Item::Apply(super::message::ApplyItem {
            db: db as u32,
            number,
            command,
            spans: (first, args.len() as u32),
        }));
        false
    }

    /// Runs one command of the upstream's stream on this shard; its reply goes nowhere.
    pub fn apply(
        &mut self,
        command: &'static crate::command::Command,
        db: usize,
        args: crate::protocol::Args<'_>,
    ) -> bool {
        let mut sink = std::mem::take(&mut self.sink);
        sink.clear();
        self.effects.begin_unit();
        let origin = crate::command::Origin::Upstream;
        let done = self.execute_in_unit(&mut sink, command, db, true, origin, args, None);
        self.effects.end_unit();
        self.sink = sink;
        self.claim_slow_of(self.id, None);
        self.send_news(None);
        self.serve_waiters();
        !done.failed
    }
}
