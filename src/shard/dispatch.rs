//! From a connection's bytes to a command that runs: parsing, the checks before a command, and the
//! choice of where it runs.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use crate::command::error::SUBCOMMAND_SHOWN_MAX;
use crate::command::table::{self, Flags, Run as Runs};
use crate::command::{Command, session::SessionOp};
use crate::config::ProtectedAction;
use crate::keyspace::prefetch_address;
use crate::protocol::{Args, Limits, ProtocolError, Reply, Taken, quote};
use crate::value::scattered::Scattered;

use super::Shard;
use super::client::{Class, Client, ReplyMode, Waiting};
use super::evict::OOM;
use super::message::{Held, LARGE_BYTES_MIN, OwnedRequest};
use super::output::PIECE_BYTES;
use super::parked::blocked;
use super::pubsub::{channel_owner, only_listens};
use super::shared::Pause;
use super::shell::{ConnId, Shell};
use super::transaction::Kind;

/// Why a command is refused before it runs.
pub(super) type Refusal = String;

/// Requests of a pipeline that are looked at before the first of them runs.
pub(super) const LOOK_AHEAD: usize = 32;
/// Beyond this many shards a connection's own shard does not prefetch for a pipeline.
const PREFETCHING_SHARDS_MAX: usize = 2;
/// Reading pauses while a connection's command waits and this many bytes have come after it.
pub(super) const INPUT_AHEAD_MAX: usize = 1 << 20;

/// The answer to DEBUG where it is not allowed.
const PROTECTED: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is \
set to \
\"local\", you can run it from a local connection, otherwise you need to set this option in the \
configuration file, and then restart the server.";

/// A parsed command with what was found of it in the table.
#[derive(Clone, Copy)]
pub(super) struct Parsed<'a> {
    pub command: &'static Command,
    pub args: Args<'a>,
    pub raw: Option<&'a [u8]>,
    /// What to keep instead of a copy, if the request is large.
    pub held: Option<&'a Held>,
}

impl Parsed<'_> {
    /// The request, to be kept.
    pub fn owned(&self, db: usize) -> OwnedRequest {
        match self.held {
            Some(held) => OwnedRequest::shared(self.command, db, held),
            None => OwnedRequest::new(self.command, db, self.args, self.raw),
        }
    }
}

/// A dataset is on its way.
pub(super) const LOADING: &str = "LOADING Redis is loading the dataset in memory";
/// A write on a read-only replica.
pub(super) const READONLY: &str = "READONLY You can't write against a read only replica.";

impl Shard {
    /// Runs a connection's commands until it has to wait or its input ends.
    pub(super) fn serve(&mut self, shell: &mut dyn Shell, conn: ConnId) {
        let Some(mut client) = self.take_client(conn) else {
            return;
        };
        let mut input = std::mem::take(&mut client.input);
        client.reply.set_limit(self.reply_bytes_max(&client));
        while client.is_ready() {
            if client.reply.len() >= PIECE_BYTES || client.reply.overrun() {
                self.hand_over(shell, &mut client);
                self.enforce_limit(shell, &mut client);
                continue;
            }
            if let Some(request) = client.deferred.take() {
                let held = request.held();
                let parsed = Parsed {
                    command: request.command,
                    args: request.args(),
                    raw: request.raw(),
                    held: held.as_ref(),
                };
                self.dispatch(shell, &mut client, parsed);
                self.give_late(&mut client);
                continue;
            }
            client.end_command();
            if client.run.is_full() {
                self.launch(shell, &mut client);
                continue;
            }
            let limits = Limits {
                authenticated: client.authenticated || self.config.requirepass.is_empty(),
                ..self.limits
            };
            // AUTH changes the limits of what follows it: no looking ahead before.
            let ahead = match limits.authenticated {
                true => input.look_ahead(&limits, LOOK_AHEAD),
                false => 0,
            };
            // With more shards most keys are elsewhere; commands that arrive from a run are
            // prefetched for at their owner, this one included.
            if ahead > 1 && self.shared.shards <= PREFETCHING_SHARDS_MAX {
                self.prefetch(input.ahead().map(|request| (client.db, request.args)));
            }
            if self.shared.shards > 1
                && let Some(taken) = input.take_large(LARGE_BYTES_MIN)
            {
                self.take_large(shell, &mut client, taken);
                continue;
            }
            match input.next(&limits) {
                Ok(Some(request)) => {
                    client.argv_bytes = request.args.iter().map(<[u8]>::len).sum();
                    let (args, raw) = (request.args, request.verbatim);
                    self.take_request(shell, &mut client, args, raw, None);
                }
                Ok(None) if client.run.is_empty() => break,
                Ok(None) => self.launch(shell, &mut client),
                // The commands before it run first; the error is found again after them.
                Err(_) if !client.run.is_empty() => self.launch(shell, &mut client),
                Err(error) => self.protocol_error(&mut client, &error),
            }
        }
        client.input = input;
        pace_reading(shell, &mut client);
        if client.peer_finished && client.is_ready() {
            self.close_client(&mut client);
        }
        self.put_client(shell, client);
    }

    /// Starts the cache misses of a batch's look-ups, so that they overlap. Which command it is
    /// does not matter: the first argument is a key in almost all that have one.
    ///
    /// A request is the number of its database and its arguments; those after the first
    /// [`LOOK_AHEAD`] are left out. Entries are found through the table, so its misses come first,
    /// all of them.
    pub(super) fn prefetch<'a>(&self, requests: impl Iterator<Item = (usize, Args<'a>)>) {
        let mut keys = [(0, 0, Args::new(&[], &[])); LOOK_AHEAD];
        let mut len = 0;
        for (index, args) in requests.take(LOOK_AHEAD) {
            let Some(key) = args.get(1) else { continue };
            let db = self.keyspace.db(index);
            if !db.is_empty() {
                let hash = db.hash(key);
                db.prefetch_slot(hash);
                keys[len] = (index, hash, args.tail(2));
                len += 1;
            }
        }
        let keys = &keys[..len];
        for &(db, hash, _) in keys {
            self.keyspace.db(db).prefetch(hash);
        }
        let elements =
            |&(db, hash, _): &(usize, u64, Args<'_>)| self.keyspace.db(db).scattered(hash);
        // Pipelines repeat themselves: if the first is about a large collection, all may be.
        if keys.first().and_then(elements).is_some() {
            self.prefetch_elements(keys, elements);
        }
    }

    /// The same for what the commands look up within large collections: the argument after the key
    /// or the last one in almost all of them.
    fn prefetch_elements<'a>(
        &'a self,
        keys: &[(usize, u64, Args<'_>)],
        elements: impl Fn(&(usize, u64, Args<'_>)) -> Option<Scattered<'a>>,
    ) {
        let seed = self.data.settings.seed;
        let mut found = [None; LOOK_AHEAD];
        for (key, found) in keys.iter().zip(&mut found) {
            let (first, last) = (key.2.get(0), key.2.iter().next_back());
            *found = elements(key).map(|elements| {
                let sought = elements.sought(first, last).unwrap_or_default();
                (elements, seed.hash(sought))
            });
            let slot = found.and_then(|(elements, hash)| elements.slot_address(hash));
            slot.into_iter().for_each(prefetch_address);
        }
        for (elements, hash) in found.into_iter().flatten() {
            let element = elements.element_address(hash);
            element.into_iter().for_each(prefetch_address);
        }
    }

    /// As [`Shard::prefetch`], for hashes of keys with the numbers of their databases.
    pub(super) fn prefetch_hashed(&self, keys: impl Iterator<Item = (usize, u64)>) {
        let mut hashes = [(0, 0); LOOK_AHEAD];
        let mut len = 0;
        for (index, hash) in keys.take(LOOK_AHEAD) {
            let db = self.keyspace.db(index);
            if !db.is_empty() {
                db.prefetch_slot(hash);
                hashes[len] = (index, hash);
                len += 1;
            }
        }
        for &(db, hash) in &hashes[..len] {
            self.keyspace.db(db).prefetch(hash);
        }
    }

    fn protocol_error(&mut self, client: &mut Client, error: &ProtocolError) {
        if matches!(error, ProtocolError::QueryBufferLimit) {
            self.stats.query_buffer_limit_drops += 1;
            tracing::warn!(
                client = client.id,
                "closing a client that overran its query buffer"
            );
        } else {
            self.answer(client, |reply| reply.protocol_error(*error));
        }
        self.close_client(client);
    }

    /// Writes a reply that is known at once, in its place among the run's.
    pub(super) fn answer(&mut self, client: &mut Client, write: impl FnOnce(&mut Reply)) {
        let silent = client.reply_mode != ReplyMode::On;
        if client.run.is_empty() {
            let mark = client.reply.len();
            write(&mut client.reply);
            if client.reply.bytes().get(mark) == Some(&b'-') {
                self.count_error_reply(&client.reply.bytes()[mark..]);
            }
            if silent {
                client.reply.truncate(mark);
            }
            self.list_output(client);
        } else {
            let mut reply = Reply::new(client.reply.version());
            write(&mut reply);
            if reply.bytes().first() == Some(&b'-') {
                self.count_error_reply(reply.bytes());
            }
            client.run.push_ready(reply.bytes(), silent);
        }
    }

    /// A large request: whoever has to keep it shares its bytes.
    fn take_large(&mut self, shell: &mut dyn Shell, client: &mut Client, taken: Taken) {
        let held = Held {
            data: taken.data.into(),
            spans: taken.spans.into(),
            canonical: taken.canonical,
        };
        client.argv_bytes = held.data.len();
        let args = Args::new(&held.data, &held.spans);
        let raw = held.canonical.then_some(&held.data[..]);
        self.take_request(shell, client, args, raw, Some(&held));
    }

    fn take_request(
        &mut self,
        shell: &mut dyn Shell,
        client: &mut Client,
        args: Args<'_>,
        raw: Option<&[u8]>,
        held: Option<&Held>,
    ) {
        client.total_commands += 1;
        client.in_command = true;
        match self.resolve(client, args) {
            Ok(command) => {
                let parsed = Parsed {
                    command,
                    args,
                    raw,
                    held,
                };
                self.dispatch(shell, client, parsed);
                self.give_late(client);
            }
            Err((command, text)) => {
                self.refuse(client, command, &text);
                self.show_refused(client, command, args);
                self.give_late(client);
            }
        }
    }

    /// Finds the command and checks its number of arguments. A refusal names the command if it was
    /// found.
    fn resolve(
        &self,
        client: &mut Client,
        args: Args<'_>,
    ) -> Result<&'static Command, (Option<&'static Command>, Refusal)> {
        let name = &args[0];
        let command = match client.last_command {
            // Pipelines repeat themselves.
            Some(last) if last.name.as_bytes().eq_ignore_ascii_case(name) => last,
            _ => match table::find(name) {
                Some(command) => command,
                None => {
                    client.shown_command = None;
                    return Err((None, unknown_command(args)));
                }
            },
        };
        client.last_command = Some(command);
        client.shown_command = Some(command);
        let command = match (command.subcommands.is_empty(), args.get(1)) {
            (false, Some(sub)) => match find_subcommand(command, sub, args.len()) {
                Ok(command) => command,
                Err(text) => {
                    client.shown_command = None;
                    return Err((None, text));
                }
            },
            _ => command,
        };
        client.shown_command = Some(command);
        if !command.arity_fits(args.len()) {
            let text = format!(
                "ERR wrong number of arguments for '{}' command",
                command.full_name
            );
            return Err((Some(command), text));
        }
        Ok(command)
    }

    fn refuse(&mut self, client: &mut Client, command: Option<&Command>, text: &str) {
        if let Some(multi) = &mut client.multi {
            multi.failed = true;
        }
        if let Some(command) = command {
            self.stats.commands[command.number()].rejected += 1;
            if matches!(command.run, Runs::Session(SessionOp::Exec)) {
                self.discard_for(client, text);
                return;
            }
        }
        self.answer(client, |reply| reply.error(text));
    }

    /// The checks that Redis makes before every command, in its order.
    fn admit(&self, client: &Client, command: &Command) -> Result<(), Cow<'static, str>> {
        if client.class == Class::Upstream {
            return Ok(());
        }
        if command.flags.has(Flags::PROTECTED) && !self.allows_protected(client) {
            return Err(PROTECTED.into());
        }
        if !client.authenticated
            && !self.config.requirepass.is_empty()
            && !command.flags.has(Flags::NO_AUTH)
        {
            return Err("NOAUTH Authentication required.".into());
        }
        let shared = &self.shared;
        if command.writes() {
            let replica = shared.is_replica.load(Ordering::Relaxed);
            if !replica
                && self.config.min_replicas_to_write > 0
                && self.config.min_replicas_max_lag > 0
                && shared.good_replicas.load(Ordering::Relaxed) < self.config.min_replicas_to_write
            {
                return Err("NOREPLICAS Not enough good replicas to write.".into());
            }
            if replica && self.config.replica_read_only {
                return Err(READONLY.into());
            }
        }
        if client.pubsub.is_some() {
            admit_listener(client, command)?;
        }
        if shared.stale.load(Ordering::Relaxed)
            && !self.config.replica_serve_stale_data
            && !command.flags.has(Flags::STALE)
        {
            return Err(
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to \
                'no'."
                    .into(),
            );
        }
        if shared.loading.load(Ordering::Relaxed) && !command.flags.has(Flags::LOADING) {
            return Err(LOADING.into());
        }
        if command.flags.has(Flags::NO_ASYNC_LOADING)
            && shared.async_loading.load(Ordering::Relaxed)
        {
            return Err(LOADING.into());
        }
        Ok(())
    }

    /// DEBUG is for tests; `enable-debug-command` says who may use it.
    fn allows_protected(&self, client: &Client) -> bool {
        match self.config.enable_debug_command {
            ProtectedAction::Yes => true,
            ProtectedAction::Local => client.is_local,
            ProtectedAction::No => false,
        }
    }

    /// Decides what becomes of a command.
    fn dispatch(&mut self, shell: &mut dyn Shell, client: &mut Client, parsed: Parsed<'_>) {
        let Parsed { command, args, .. } = parsed;
        if let Err(text) = self.admit(client, command) {
            self.refuse(client, Some(command), &text);
            self.show_refused(client, Some(command), args);
            return;
        }
        if self.config.maxmemory > 0
            && client.class == Class::Normal
            && client.may_need_memory(command)
            && self.is_out_of_memory(shell)
        {
            self.refuse(client, Some(command), OOM);
            return;
        }
        if self.is_paused(client, command) {
            if client.run.is_empty() {
                client.deferred = Some(parsed.owned(client.db));
                client.waiting = Waiting::Paused;
                self.paused_clients.push(client.conn);
            } else {
                self.defer(shell, client, parsed);
            }
            return;
        }
        if client.multi.is_some() && !runs_inside_multi(command) {
            self.queue(client, parsed);
            return;
        }
        match command.run {
            Runs::Data(_) => self.dispatch_data(shell, client, parsed),
            // While somebody monitors it waits, so as to be shown after the commands before it.
            Runs::Session(op) if client.run.is_empty() || (joins_a_run(op) && !self.monitored) => {
                self.session(shell, client, op, parsed);
            }
            Runs::Everywhere { check, .. } if client.run.is_empty() => {
                match check(&self.data.settings, args) {
                    Ok(()) => self.dispatch_everywhere(shell, client, parsed),
                    Err(error) => {
                        self.stats.commands[command.number()].failed += 1;
                        self.show(client, command, client.db, args);
                        self.refuse(client, None, &error.to_string());
                    }
                }
            }
            Runs::Session(_) | Runs::Everywhere { .. } => self.defer(shell, client, parsed),
            Runs::Container => {
                let text = format!(
                    "ERR wrong number of arguments for '{}' command",
                    command.full_name
                );
                self.refuse(client, Some(command), &text);
            }
        }
    }

    /// Waits for the run before it.
    fn defer(&mut self, shell: &mut dyn Shell, client: &mut Client, parsed: Parsed<'_>) {
        assert!(client.deferred.is_none(), "one command waits at a time");
        client.deferred = Some(parsed.owned(client.db));
        self.launch(shell, client);
    }

    fn queue(&mut self, client: &mut Client, parsed: Parsed<'_>) {
        let command = parsed.command;
        if command.flags.has(Flags::NO_MULTI) {
            self.refuse(
                client,
                Some(command),
                "ERR Command not allowed inside a transaction",
            );
            return;
        }
        let request = parsed.owned(client.db);
        let multi = client.multi.as_mut().expect("the caller has checked");
        multi.bytes += request.memory();
        // As in Redis, a transaction's commands count as input until they run.
        if multi.bytes as u64 > self.config.client_query_buffer_limit {
            self.stats.query_buffer_limit_drops += 1;
            tracing::warn!(
                client = client.id,
                "closing a client whose MULTI overran the query buffer limit"
            );
            client.multi = None;
            self.close_client(client);
            return;
        }
        multi.queued.push(request);
        self.answer(client, |reply| reply.simple("QUEUED"));
    }

    fn is_paused(&self, client: &Client, command: &Command) -> bool {
        let held = match self.pause {
            Pause::No => return false,
            Pause::Writes => client.pause_applies(command),
            Pause::All => true,
        };
        held && client.class == Class::Normal
            && !matches!(command.run, Runs::Session(SessionOp::ClientUnpause))
    }

    /// The shard that holds all of a command's keys; `None` if they are on several, or may be on
    /// any and something there is locked.
    pub(super) fn owner_of(&self, command: &Command, args: Args<'_>) -> Option<usize> {
        if command.follows(args) {
            return (self.shared.shards == 1 && self.admits_all()).then_some(0);
        }
        if self.shared.shards == 1 {
            return Some(0);
        }
        if let Some((space, name)) = command.channel(args) {
            return Some(channel_owner(&self.shared, space, name));
        }
        if command.keys == table::Keys::None {
            return Some(table::cursor_shard(args, self.shared.shards));
        }
        let (mut owner, mut several) = (None, false);
        command.for_each_key(args, |at| {
            let shard = self.shared.owner(&args[at]);
            several |= owner.is_some_and(|first| first != shard);
            owner = Some(shard);
        });
        // Without keys (a malformed count) the command only makes its error, anywhere.
        if several {
            None
        } else {
            Some(owner.unwrap_or(self.id))
        }
    }

    fn dispatch_data(&mut self, shell: &mut dyn Shell, client: &mut Client, parsed: Parsed<'_>) {
        let Parsed {
            command, args, raw, ..
        } = parsed;
        if command.flags.has(Flags::BLOCKING) {
            match client.run.is_empty() {
                true => self.dispatch_blocking(shell, client, parsed),
                false => self.defer(shell, client, parsed),
            }
            return;
        }
        let Some(owner) = self.owner_of(command, args) else {
            if client.run.is_empty() {
                let request = parsed.owned(client.db);
                self.begin_transaction(shell, client, Kind::Command, vec![request]);
            } else {
                self.defer(shell, client, parsed);
            }
            return;
        };
        if !client.run.is_empty() && (command.walks() || command.follows(args)) {
            // A run may become a transaction, which lends named keys only, or wait for locks of
            // those only.
            self.defer(shell, client, parsed);
            return;
        }
        if command.walks() && self.shared.shards > 1 {
            // Keys that are lent out would be missed: the walked shard is locked for the step.
            let request = parsed.owned(client.db);
            self.begin_transaction(shell, client, Kind::Command, vec![request]);
            return;
        }
        let here =
            owner == self.id && client.run.is_empty() && self.may_run_now(command, client.db, args);
        if !here {
            if self.must_follow(&client.run, command, owner) {
                self.defer(shell, client, parsed);
                return;
            }
            self.add_to_run(client, parsed, owner);
            return;
        }
        self.show(client, command, client.db, args);
        let silent = client.reply_mode != ReplyMode::On;
        let mark = client.reply.len();
        let done = self.execute(
            &mut client.reply,
            command,
            client.db,
            client.no_touch,
            args,
            raw,
        );
        self.claim_slow(client);
        if silent {
            client.reply.truncate(mark);
        }
        if done.wrote() && !client.wrote_now {
            client.wrote_now = true;
            self.wrote_now.push(client.conn);
        }
        self.list_output(client);
        self.send_news(Some(self.reader(client.conn)));
        if client.remembers(command) {
            self.remember(self.reader(client.conn), command, args);
        }
    }

    /// Whether no lock stops a command on this shard.
    #[inline]
    pub(super) fn may_run_now(&mut self, command: &Command, db: usize, args: Args<'_>) -> bool {
        if self.keyspace.snapshot_active() {
            self.hold_large_of(command, db, args);
        }
        self.locks.is_idle()
            || !(self.locks.whole_claimed()
                || blocked(command, args, |key, writes| self.locks.blocks(key, writes)))
    }

    fn dispatch_everywhere(
        &mut self,
        shell: &mut dyn Shell,
        client: &mut Client,
        parsed: Parsed<'_>,
    ) {
        let request = parsed.owned(client.db);
        if self.shared.shards > 1 || !self.locks.is_idle() {
            self.begin_transaction(shell, client, Kind::Command, vec![request]);
            return;
        }
        self.show(client, request.command, client.db, request.args());
        let timed = self.start_timing(request.command, request.args(), None);
        let part = self.run_part(&request);
        let mark = client.reply.len();
        let mut effects = std::mem::take(&mut self.effects);
        effects.begin_unit();
        let wrote = self.merge_parts(&request, vec![part], &mut client.reply, &mut effects);
        effects.end_unit();
        self.effects = effects;
        if wrote && request.command.replaces_databases() {
            self.tell_to_forget(Some(client.conn));
        }
        self.stop_timing(timed, request.command, request.args(), 0);
        self.claim_slow(client);
        self.serve_waiters();
        if client.reply_mode != ReplyMode::On {
            client.reply.truncate(mark);
        }
        if wrote && !client.wrote_now {
            client.wrote_now = true;
            self.wrote_now.push(client.conn);
        }
        self.list_output(client);
    }
}

/// Stops reading from a connection that sends on and on while a command of its own waits, and goes
/// on once that is worked off.
fn pace_reading(shell: &mut dyn Shell, client: &mut Client) {
    let ahead = client.input.buffered();
    let waits = client.waiting != Waiting::No;
    if !client.read_paused && waits && ahead > INPUT_AHEAD_MAX {
        client.read_paused = true;
        shell.pause(client.conn);
    } else if client.read_paused && (!waits || ahead <= INPUT_AHEAD_MAX / 2) {
        client.read_paused = false;
        shell.resume(client.conn);
    }
}

/// The subcommand meant. DEBUG, which to clients has no subcommands, has an error text of its own.
fn find_subcommand(
    container: &'static Command,
    name: &[u8],
    argc: usize,
) -> Result<&'static Command, Refusal> {
    let found = table::find_subcommand(container, name);
    let is_debug = container.name == "debug";
    match found {
        Some(found) if !is_debug || found.arity_fits(argc) => Ok(found),
        _ => {
            let name = quote(name, SUBCOMMAND_SHOWN_MAX);
            let container = container.name.to_ascii_uppercase();
            Err(if is_debug {
                unknown_or_misused(&name, &container)
            } else {
                format!("ERR unknown subcommand '{name}'. Try {container} HELP.")
            })
        }
    }
}

/// Redis's text for a subcommand that is not there or has the wrong number of arguments, where it
/// does not tell the two apart.
pub(super) fn unknown_or_misused(name: &str, container: &str) -> Refusal {
    format!(
        "ERR unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP."
    )
}

/// The checks of a connection that is told something.
#[cold]
fn admit_listener(client: &Client, command: &Command) -> Result<(), Cow<'static, str>> {
    const KEYSPACE: Flags = Flags::WRITE.or(Flags::READONLY).or(Flags::MAY_REPLICATE);
    if only_listens(client) && !fits_a_subscriber(command) {
        return Err(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET \
             are allowed in this context",
            command.full_name
        )
        .into());
    }
    if client.is_monitor() && command.flags.has(KEYSPACE) {
        return Err("ERR Replica can't interact with the keyspace".into());
    }
    Ok(())
}

/// What a subscriber of RESP2 may send.
fn fits_a_subscriber(command: &Command) -> bool {
    use SessionOp::{Ping, Quit, Reset, Subscribe, Unsubscribe};
    matches!(
        command.run,
        Runs::Session(Ping | Subscribe(_) | Unsubscribe(_) | Quit | Reset)
    )
}

/// Commands that MULTI does not queue.
fn runs_inside_multi(command: &Command) -> bool {
    matches!(
        command.run,
        Runs::Session(SessionOp::Exec | SessionOp::Discard | SessionOp::Quit | SessionOp::Reset)
    )
}

/// Commands whose reply is known at once and that nothing can observe: they need not wait for the
/// run before them.
fn joins_a_run(op: SessionOp) -> bool {
    matches!(op, SessionOp::Ping | SessionOp::Echo | SessionOp::Select)
}

/// Redis's text for a command that is not there.
fn unknown_command(args: Args<'_>) -> Refusal {
    const SHOWN_MAX: usize = 128;
    let (mut rest, mut rest_len) = (String::new(), 0);
    for arg in args.iter().skip(1) {
        if rest_len >= SHOWN_MAX {
            break;
        }
        let shown = format!("'{}' ", quote(arg, SHOWN_MAX - rest_len));
        // A quoted byte is one char, whatever its length in UTF-8.
        rest_len += shown.chars().count();
        rest.push_str(&shown);
    }
    let name = quote(&args[0], SHOWN_MAX);
    format!("ERR unknown command '{name}', with args beginning with: {rest}")
}
