//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use crate::command::table::Run as Runs;
use crate::command::watched::Token;
use crate::protocol::{Args, Reply};

use super::Shard;
use super::client::{Client, Multi, ReplyMode, Waiting};
use super::locks::TxId;
use super::message::{Item, OwnedRequest};
use super::parked::blocked;
use super::shell::{ConnId, Shell};
use super::transaction::Kind;

/// EXEC's error where one of the queued commands would get the error `text`.
pub(super) fn aborted_because(text: &str) -> String {
    format!("EXECABORT Transaction discarded because of: {text}")
}

/// How a session command of a transaction went on.
#[derive(Clone, Copy, Default)]
pub(super) struct SessionStep {
    /// It waits for other shards' answers.
    pub waits: bool,
    /// It closes the connection, after the whole of EXEC's reply.
    pub closes: bool,
}

impl Shard {
    pub(super) fn multi(&mut self, client: &mut Client) {
        assert!(client.multi.is_none(), "MULTI is refused within MULTI");
        client.multi = Some(Multi::default());
        self.answer(client, Reply::ok);
    }

    pub(super) fn discard(&mut self, client: &mut Client) {
        if client.multi.take().is_none() {
            self.answer(client, |reply| reply.error("ERR DISCARD without MULTI"));
            return;
        }
        self.unwatch(client);
        self.answer(client, Reply::ok);
    }

    /// Ends a transaction whose EXEC itself was refused with `text`; also one that never began.
    pub(super) fn discard_for(&mut self, client: &mut Client, text: &str) {
        client.multi = None;
        self.unwatch(client);
        let reason = text.strip_prefix("ERR ").unwrap_or(text);
        let text = format!("EXECABORT Transaction discarded because of: {reason}");
        self.answer(client, |reply| reply.error(&text));
    }

    /// Forgets all watched keys of a client.
    pub(super) fn unwatch(&mut self, client: &mut Client) {
        let watched = std::mem::take(&mut client.watched);
        self.forget_watches(watched);
    }

    pub(super) fn unwatch_command(&mut self, client: &mut Client) {
        self.unwatch(client);
        self.answer(client, Reply::ok);
    }

    pub(super) fn exec(&mut self, shell: &mut dyn Shell, client: &mut Client, args: Args<'_>) {
        let ran = self.exec_now(shell, client);
        if !self.monitored {
            return;
        }
        match client.shown_command {
            Some(command) if ran => self.show(client, command, client.db, args),
            _ => self.note_typed(client, args),
        }
    }

    /// EXEC itself; false if it goes on as a transaction over several shards.
    fn exec_now(&mut self, shell: &mut dyn Shell, client: &mut Client) -> bool {
        let Some(multi) = client.multi.take() else {
            self.answer(client, |reply| reply.error("ERR EXEC without MULTI"));
            return true;
        };
        if multi.failed {
            self.unwatch(client);
            self.answer(client, |reply| {
                reply.error("EXECABORT Transaction discarded because of previous errors.");
            });
            return true;
        }
        if let Some(text) = self.refuses_transaction(&multi) {
            self.unwatch(client);
            self.answer(client, |reply| reply.error(&text));
            return true;
        }
        let requests = with_selects(multi.queued, client.db, self.data.settings.databases);
        if self.keyspace.snapshot_active() {
            let data = requests
                .iter()
                .filter(|r| matches!(r.command.run, Runs::Data(_)));
            data.for_each(|request| {
                self.hold_large_of(request.command, request.db, request.args());
            });
        }
        if self.runs_here(client, &requests) {
            self.exec_here(shell, client, &requests);
            return true;
        }
        self.begin_transaction(shell, client, Kind::Exec, requests);
        false
    }

    /// Conditions may have changed since the commands were queued.
    fn refuses_transaction(&self, multi: &Multi) -> Option<String> {
        let mut queued = multi.queued.iter();
        let text = queued.find_map(|request| self.refuses_late(request.command, self.origin()))?;
        Some(aborted_because(text))
    }

    /// Whether all keys, the watched ones included, are here and free.
    fn runs_here(&self, client: &Client, requests: &[OwnedRequest]) -> bool {
        let keys_here = |request: &OwnedRequest| match request.command.run {
            Runs::Data(_) => {
                let args = request.args();
                self.owner_of(request.command, args) == Some(self.id)
                    && (self.locks.is_idle()
                        || !(self.locks.whole_claimed()
                            || blocked(request.command, args, |key, writes| {
                                self.locks.blocks(key, writes)
                            })))
            }
            Runs::Everywhere { .. } => self.shared.shards == 1 && self.locks.is_idle(),
            Runs::Session(op) => !op.waits_for_answers(),
            Runs::Container => true,
        };
        requests.iter().all(keys_here)
            // A watched key that is locked may have changed already, at another shard's home.
            && client.watched.iter().all(|(_, key, _)| {
                self.shared.owner(key) == self.id && !self.locks.blocks(key, false)
            })
    }

    fn exec_here(&mut self, shell: &mut dyn Shell, client: &mut Client, requests: &[OwnedRequest]) {
        let now_ms = self.now.unix_ms;
        let dirty = client.watched.iter().any(|(db, key, token)| {
            self.data.watched.is_dirty(*db, key, token)
                || (!token.expired
                    && self
                        .keyspace
                        .db(*db)
                        .get(key)
                        .is_some_and(|e| e.is_expired(now_ms)))
        });
        self.unwatch(client);
        if dirty {
            self.answer(client, Reply::null_array);
            return;
        }
        let version = client.reply.version();
        let mut reply = std::mem::replace(&mut client.reply, Reply::new(version));
        let mark = reply.len();
        reply.array(requests.len());
        if requests.iter().any(OwnedRequest::may_need_memory) {
            self.make_room();
        }
        self.effects.begin_unit();
        let mut wrote = false;
        for request in requests {
            wrote |= self.exec_one(shell, client, request, &mut reply);
            self.show(
                client,
                request.command,
                request_db(client, request),
                request.args(),
            );
            let reader = self.reader(client.conn);
            self.send_news(Some(reader));
            if client.remembers(request.command) {
                self.remember(reader, request.command, request.args());
            }
        }
        self.effects.end_unit();
        self.serve_waiters();
        reply.set_version(client.reply.version());
        client.reply = reply;
        if client.reply_mode != ReplyMode::On {
            client.reply.truncate(mark);
        }
        if wrote && !client.wrote_now {
            client.wrote_now = true;
            self.wrote_now.push(client.conn);
        }
        self.list_output(client);
        self.hold_reply(client, mark, true);
    }

    fn exec_one(
        &mut self,
        shell: &mut dyn Shell,
        client: &mut Client,
        request: &OwnedRequest,
        reply: &mut Reply,
    ) -> bool {
        match request.command.run {
            Runs::Data(_) => {
                let origin = match request.command.writes() {
                    true => self.origin(),
                    false => self.reading_origin(self.origin()),
                };
                let done = self.execute_in_unit(
                    reply,
                    request.command,
                    request.db,
                    client.no_touch,
                    origin,
                    request.args(),
                    request.raw(),
                );
                done.wrote()
            }
            Runs::Everywhere { check, .. } => {
                if let Err(error) = check(&self.data.settings, request.args()) {
                    reply.error(&error.to_string());
                    return false;
                }
                let timed = self.start_timing(request.command, request.args(), None);
                let part = self.run_part(request);
                let mut effects = std::mem::take(&mut self.effects);
                let wrote = self.merge_parts(request, vec![part], reply, &mut effects);
                self.effects = effects;
                if wrote && request.command.replaces_databases() {
                    self.tell_to_forget(Some(client.conn));
                }
                self.stop_timing(timed, request.command, request.args(), 0);
                wrote
            }
            _ => {
                self.session_for_exec(shell, client, request, reply);
                false
            }
        }
    }

    /// A command of the session within transaction `id`, which others may see run: how it went on.
    pub(super) fn session_in_exec(
        &mut self,
        shell: &mut dyn Shell,
        id: TxId,
        conn: ConnId,
        request: &OwnedRequest,
        reply: &mut Reply,
    ) -> SessionStep {
        let Some(mut client) = self.take_client(conn) else {
            reply.null();
            return SessionStep::default();
        };
        let closing = client.closing;
        self.session_for_exec(shell, &mut client, request, reply);
        let mut step = SessionStep::default();
        if let Waiting::Gather(token) = client.waiting {
            let gather = self.gathers.get_mut(&token);
            gather.expect("its answers have not come").exec = Some(id);
            client.waiting = Waiting::Transaction(id);
            step.waits = true;
        }
        step.closes = !closing && std::mem::replace(&mut client.closing, closing);
        self.put_client(shell, client);
        step
    }

    /// Runs a session command whose reply goes into `reply`, unless it waits for answers.
    fn session_for_exec(
        &mut self,
        shell: &mut dyn Shell,
        client: &mut Client,
        request: &OwnedRequest,
        reply: &mut Reply,
    ) {
        let Runs::Session(op) = request.command.run else {
            reply.error("ERR Command not allowed inside a transaction");
            return;
        };
        let number = request.command.number();
        self.stats.total_commands += 1;
        self.stats.commands[number].calls += 1;
        let errors = self.stats.total_error_replies;
        let parsed = super::dispatch::Parsed {
            command: request.command,
            args: request.args(),
            raw: request.raw(),
            held: None,
        };
        let timed = self.start_timing(request.command, request.args(), request.raw());
        self.catching(client, reply, |shard, client| {
            match op.waits_for_answers() {
                true => shard.run_session(shell, client, op, parsed),
                false => shard.session_now(client, op, parsed),
            }
        });
        self.stop_timing(timed, request.command, request.args(), 0);
        self.claim_slow_once_answered(client);
        if self.stats.total_error_replies > errors {
            self.stats.commands[number].failed += 1;
        }
    }

    /// Catches in `reply` what `f` answers to the client.
    pub(super) fn catching(
        &mut self,
        client: &mut Client,
        reply: &mut Reply,
        f: impl FnOnce(&mut Self, &mut Client),
    ) {
        let outside = std::mem::replace(&mut client.reply, Reply::new(reply.version()));
        let listed = client.output_listed;
        client.output_listed = true;
        let mode = std::mem::replace(&mut client.reply_mode, ReplyMode::On);
        f(self, client);
        if client.reply_mode == ReplyMode::On {
            client.reply_mode = mode;
        }
        client.output_listed = listed;
        reply.raw(client.reply.bytes());
        let version = client.reply.version();
        client.reply = outside;
        client.reply.set_version(version);
        reply.set_version(version);
    }

    pub(super) fn watch(&mut self, client: &mut Client, args: Args<'_>) {
        assert!(client.multi.is_none(), "WATCH is refused within MULTI");
        let db = client.db;
        let mut missing = 0;
        for key in args.iter().skip(1) {
            if client
                .watched
                .iter()
                .any(|(known_db, known, _)| *known_db == db && **known == *key)
            {
                continue;
            }
            let owner = self.shared.owner(key);
            if owner == self.id {
                let token = self.watch_here(db, key);
                client.watched.push((db, key.into(), token));
            } else {
                missing += 1;
                self.post(
                    owner,
                    Item::Watch {
                        conn: client.conn,
                        db,
                        key: key.into(),
                    },
                );
            }
        }
        if missing > 0 {
            client.waiting = Waiting::Watch { missing };
        } else {
            self.answer(client, Reply::ok);
        }
    }

    /// The owner's part of WATCH.
    pub(super) fn watch_here(&mut self, db: usize, key: &[u8]) -> Token {
        let now_ms = self.now.unix_ms;
        let expired = self
            .keyspace
            .db(db)
            .get(key)
            .is_some_and(|entry| entry.is_expired(now_ms));
        self.data.watched.add(db, key, expired)
    }

    pub(super) fn receive_watching(
        &mut self,
        conn: ConnId,
        db: usize,
        key: Box<[u8]>,
        token: Token,
        shell: &mut dyn Shell,
    ) {
        let Some(mut client) = self.take_client(conn) else {
            self.forget_watches(vec![(db, key, token)]);
            return;
        };
        client.watched.push((db, key, token));
        if let Waiting::Watch { missing } = &mut client.waiting {
            *missing -= 1;
            if *missing == 0 {
                client.waiting = Waiting::No;
                self.answer(&mut client, Reply::ok);
                self.list_ready(&client);
            }
        }
        self.put_client(shell, client);
    }
}

/// The database that MONITOR shows with a queued command: SELECT's is the one chosen.
pub(super) fn request_db(client: &Client, request: &OwnedRequest) -> usize {
    match request.command.run {
        Runs::Session(_) => client.db,
        _ => request.db,
    }
}

/// Gives each queued command the database that a SELECT before it chooses.
fn with_selects(mut queued: Vec<OwnedRequest>, db: usize, databases: usize) -> Vec<OwnedRequest> {
    use crate::command::session::SessionOp;
    let mut current = db;
    for request in &mut queued {
        request.db = current;
        match request.command.run {
            Runs::Session(SessionOp::Select) => {
                let args = request.args();
                let chosen = args.get(1).and_then(crate::value::number::parse_i64);
                let chosen = chosen.and_then(|db| usize::try_from(db).ok());
                current = chosen.filter(|db| *db < databases).unwrap_or(current);
            }
            Runs::Session(SessionOp::Reset) => current = 0,
            _ => {}
        }
    }
    queued
}
