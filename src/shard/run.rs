//! Pipelined runs: single-shard commands of one connection that execute on their owners.
//!
//! A run gathers the commands that follow each other in a connection's input. They run on their
//! shards at once; replies are put back in order. A connection has one run in flight, of at most
//! [`RUN_COMMANDS_MAX`] commands, so what it has in flight is bounded and each run sees all before
//! it.
//!
//! In strict pipeline order a run that writes on more than one shard becomes a transaction (without
//! MULTI on the stream): its effects are published by the home in the order sent, before its keys
//! are unlocked.

use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::command::table::Keys;
use crate::command::{Command, Env, Flags, Origin, Ran, run as run_command};
use crate::protocol::{Args, Reply, Span, Version};

use super::Shard;
use super::client::{Client, Waiting};
use super::dispatch::{LOADING, Parsed, READONLY};
use super::message::{
    Data, Envelope, Item, LARGE_BYTES_MIN, OwnedRequest, ReplyItem, RunItem, append_request,
};
use super::shell::{ConnId, Shell};
use super::tracking::{self, Reader};
use super::transaction::Kind;

/// Commands in one run.
pub const RUN_COMMANDS_MAX: usize = 1024;
/// Request bytes in one run; a larger single request is a run by itself.
pub const RUN_BYTES_MAX: usize = 1 << 20;

/// One command of a run.
pub struct Entry {
    /// `None`: the reply was made at once (an error, PING).
    pub command: Option<&'static Command>,
    pub owner: u32,
    pub db: u32,
    pub no_touch: bool,
    /// The keys that it reads are remembered for its connection.
    remembers: bool,
    /// CLIENT REPLY OFF or SKIP was in force.
    pub silent: bool,
    pub version: Version,
    spans: (u32, u32),
    verbatim: (u32, u32),
    /// A large request, instead of `spans` and `verbatim`.
    own: Option<Box<OwnedRequest>>,
    /// Where its reply is in `replies`.
    reply: (usize, usize),
    /// A large reply, instead of that.
    own_reply: Option<Vec<u8>>,
}

/// When a run's commands go to their owners.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Posting {
    /// It has no command yet.
    #[default]
    Open,
    AtOnce,
    /// Only then it is known whether the run has to be a transaction, and what has run can be shown
    /// to monitors only if it is kept.
    OnceWhole,
}

/// Bytes of replies that the run which an owner last worked on has made there.
#[derive(Default)]
pub(super) struct Spent {
    run: Option<(usize, ConnId, u32)>,
    bytes: usize,
}

/// A connection's run: being gathered, or in flight.
#[derive(Default)]
pub struct Run {
    pub number: u32,
    pub entries: Vec<Entry>,
    data: Vec<u8>,
    spans: Vec<Span>,
    replies: Vec<u8>,
    missing: u32,
    /// Bytes of large requests and replies.
    own_bytes: usize,
    /// Invalidations that come behind the reply of the command of this index.
    held: Vec<(u32, Bytes)>,
    /// How its commands go to their owners: decided when the first comes.
    posting: Posting,
    /// Bytes of requests that were posted to their owners when they came.
    posted_bytes: usize,
}

impl Run {
    /// Whether no command is gathered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether no more should be added.
    pub fn is_full(&self) -> bool {
        let bytes = self.data.len() + self.own_bytes + self.posted_bytes;
        self.entries.len() >= RUN_COMMANDS_MAX || bytes >= RUN_BYTES_MAX
    }

    /// Bytes held, for CLIENT LIST.
    pub fn bytes(&self) -> usize {
        self.data.len() + self.replies.len() + self.own_bytes
    }

    /// Keeps an invalidation until the command of an index, or all of them, have their replies.
    pub fn hold(&mut self, index: u32, tail: Bytes) {
        self.held.push((index, tail));
    }

    /// What was kept for an index.
    pub fn take_held(&mut self, index: u32) -> Vec<Bytes> {
        let held = self.held.extract_if(.., |(at, _)| *at == index);
        held.map(|(_, tail)| tail).collect()
    }

    /// Of which of its commands the keys are remembered, in the order of its requests.
    pub fn remembers(&self) -> Vec<bool> {
        let commands = self.entries.iter().filter(|entry| entry.command.is_some());
        commands.map(|entry| entry.remembers).collect()
    }

    fn clear(&mut self) {
        self.number = self.number.wrapping_add(1);
        self.entries.clear();
        self.data.clear();
        self.spans.clear();
        self.replies.clear();
        self.missing = 0;
        self.own_bytes = 0;
        self.held.clear();
        self.posted_bytes = 0;
        self.posting = Posting::Open;
        // A run of huge values must not pin its memory.
        self.data.shrink_to(RUN_BYTES_MAX);
        self.replies.shrink_to(RUN_BYTES_MAX);
    }

    /// Adds a reply that is known already, in its place.
    pub fn push_ready(&mut self, reply: &[u8], silent: bool) {
        let at = (self.replies.len(), reply.len());
        self.replies.extend_from_slice(reply);
        self.entries.push(Entry {
            command: None,
            owner: 0,
            db: 0,
            no_touch: false,
            remembers: false,
            silent,
            version: Version::Resp2,
            spans: (0, 0),
            verbatim: (0, 0),
            own: None,
            reply: at,
            own_reply: None,
        });
    }

    /// Adds a command that stays here until the run is whole.
    fn gather(&mut self, mut entry: Entry, args: Args<'_>, raw: Option<&[u8]>) {
        if let Some(request) = &entry.own {
            self.own_bytes += request.len();
        } else {
            let (first, start) = (self.spans.len() as u32, self.data.len() as u32);
            append_request(&mut self.data, &mut self.spans, args, raw);
            entry.spans = (first, args.len() as u32);
            if raw.is_some() {
                entry.verbatim = (start, self.data.len() as u32 - start);
            }
        }
        self.entries.push(entry);
    }

    /// A command as a request whose bytes are a part of `data`, a copy of the run's.
    fn request(&self, data: &Bytes, entry: &Entry, command: &'static Command) -> OwnedRequest {
        let spans = &self.spans[entry.spans.0 as usize..][..entry.spans.1 as usize];
        let verbatim = entry.verbatim.1 > 0;
        // Without verbatim bytes the arguments may be anywhere.
        let (start, len) = match verbatim {
            true => entry.verbatim,
            false => (0, data.len() as u32),
        };
        let spans = spans.iter().map(|span| Span {
            start: span.start - start,
            len: span.len,
        });
        OwnedRequest {
            command,
            db: entry.db as usize,
            data: Data::Shared(data.slice(start as usize..(start + len) as usize)),
            spans: spans.collect(),
            verbatim,
            owner: Some(entry.owner),
        }
    }

    fn args<'a>(&'a self, entry: &'a Entry) -> Args<'a> {
        if let Some(request) = &entry.own {
            return request.args();
        }
        Args::new(
            &self.data,
            &self.spans[entry.spans.0 as usize..][..entry.spans.1 as usize],
        )
    }

    fn raw<'a>(&'a self, entry: &'a Entry) -> Option<&'a [u8]> {
        if let Some(request) = &entry.own {
            return request.raw();
        }
        let (start, len) = entry.verbatim;
        (len > 0).then(|| &self.data[start as usize..][..len as usize])
    }

    /// The commands as requests of a transaction, which share one copy of their bytes.
    fn requests(&self) -> Vec<OwnedRequest> {
        let data = Bytes::copy_from_slice(&self.data);
        let commands = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry, entry.command?)));
        commands
            .map(|(entry, command)| match &entry.own {
                Some(request) => OwnedRequest::clone(request),
                None => self.request(&data, entry, command),
            })
            .collect()
    }
}

/// The message of one command of a run, without its bytes.
fn run_item(
    conn: ConnId,
    run: u32,
    index: usize,
    entry: &Entry,
    command: &'static Command,
) -> RunItem {
    RunItem {
        conn,
        run,
        index: index as u32,
        db: entry.db,
        version: entry.version,
        no_touch: entry.no_touch,
        remembers: entry.remembers,
        command,
        own: None,
        spans: (0, 0),
        verbatim: (0, 0),
    }
}

impl Shard {
    /// Adds a command to the client's run.
    pub(super) fn add_to_run(&mut self, client: &mut Client, parsed: Parsed<'_>, owner: usize) {
        let Parsed {
            command, args, raw, ..
        } = parsed;
        let mut entry = Entry {
            command: Some(command),
            owner: owner as u32,
            db: client.db as u32,
            no_touch: client.no_touch,
            remembers: client.remembers(command),
            silent: client.reply_mode != super::client::ReplyMode::On,
            version: client.reply.version(),
            spans: (0, 0),
            verbatim: (0, 0),
            own: parsed.held.map(|_| Box::new(parsed.owned(client.db))),
            reply: (0, 0),
            own_reply: None,
        };
        let run = &mut client.run;
        if run.posting == Posting::Open {
            run.posting = match self.strict || self.monitored {
                true => Posting::OnceWhole,
                false => Posting::AtOnce,
            };
        }
        if run.posting == Posting::OnceWhole {
            run.gather(entry, args, raw);
            return;
        }
        let own = entry.own.take();
        run.posted_bytes += match (&own, raw) {
            (Some(request), _) => request.len(),
            (None, Some(raw)) => raw.len(),
            (None, None) => args.iter().map(<[u8]>::len).sum(),
        };
        run.missing += 1;
        let item = run_item(client.conn, run.number, run.entries.len(), &entry, command);
        self.post_run_item(owner, item, own, args, raw);
        client.run.entries.push(entry);
    }

    /// Starts the gathered run.
    pub(super) fn launch(&mut self, shell: &mut dyn Shell, client: &mut Client) {
        let whole = client.run.posting == Posting::OnceWhole;
        if whole && self.strict && self.writes_on_several(&client.run) {
            let requests = client.run.requests();
            self.begin_transaction(shell, client, Kind::Pipeline, requests);
            return;
        }
        client.waiting = Waiting::Run;
        self.runs_away += 1;
        if whole {
            self.post_gathered(client);
        }
        self.complete_run(shell, client);
    }

    /// Sends the commands of a run that was held back until it was whole.
    fn post_gathered(&mut self, client: &mut Client) {
        let run = &mut client.run;
        for index in 0..run.entries.len() {
            // The bytes are shared: they are shown when the command has run.
            let own = match self.monitored {
                true => run.entries[index].own.clone(),
                false => run.entries[index].own.take(),
            };
            let entry = &run.entries[index];
            let Some(command) = entry.command else {
                continue;
            };
            run.missing += 1;
            let item = run_item(client.conn, run.number, index, entry, command);
            let (args, raw) = (run.args(entry), run.raw(entry));
            self.post_run_item(entry.owner as usize, item, own, args, raw);
        }
    }

    fn post_run_item(
        &mut self,
        owner: usize,
        item: RunItem,
        own: Option<Box<OwnedRequest>>,
        args: Args<'_>,
        raw: Option<&[u8]>,
    ) {
        let envelope = self.mail.to(owner);
        if own.is_some() {
            envelope.items.push(Item::Run(RunItem { own, ..item }));
            return;
        }
        let (first, start) = (envelope.spans.len() as u32, envelope.data.len() as u32);
        append_request(&mut envelope.data, &mut envelope.spans, args, raw);
        let verbatim = match raw {
            Some(raw) => (start, raw.len() as u32),
            None => (0, 0),
        };
        envelope.items.push(Item::Run(RunItem {
            spans: (first, args.len() as u32),
            verbatim,
            ..item
        }));
    }

    /// Whether a command must wait until the run has ended. PUBLISH waits for all before it, and
    /// all after it wait for it; only what is said by way of one owner needs no waiting, since that
    /// keeps the order.
    pub(super) fn must_follow(&self, run: &Run, command: &Command, owner: usize) -> bool {
        let speaks = |command: &Command| matches!(command.keys, Keys::Channel { .. });
        let mut commands = (run.entries.iter()).filter_map(|e| Some((e.command?, e.owner)));
        match commands.next() {
            None => false,
            Some((first, at)) if speaks(first) => !speaks(command) || at as usize != owner,
            Some(_) => speaks(command),
        }
    }

    fn writes_on_several(&self, run: &Run) -> bool {
        let mut writers = run
            .entries
            .iter()
            .filter(|e| e.command.is_some_and(Command::is_exclusive));
        let Some(first) = writers.next() else {
            return false;
        };
        writers.any(|entry| entry.owner != first.owner)
    }

    /// Owner's side: a command arrives.
    pub(super) fn receive_run(&mut self, envelope: &Envelope, item: RunItem) {
        let from = envelope.from as usize;
        let args = item.args(&envelope.data, &envelope.spans);
        if self.must_park(from, &item, args) {
            self.park(from, item, envelope);
        } else {
            self.run_item(from, &item, args, item.raw(&envelope.data));
        }
    }

    /// Owner's side: runs a command and queues its reply.
    pub(super) fn run_item(
        &mut self,
        from: usize,
        item: &RunItem,
        args: Args<'_>,
        raw: Option<&[u8]>,
    ) {
        let buffer = std::mem::take(&mut self.mail.to(from).data);
        let at = buffer.len();
        let mut reply = Reply::with_buffer(buffer, item.version);
        let room = self.run_room(from, item);
        reply.set_limit(room.map_or(0, |room| at.saturating_add(room)));
        let done = self.execute(
            &mut reply,
            item.command,
            item.db as usize,
            item.no_touch,
            args,
            raw,
        );
        self.claim_slow_of(from, Some(item.conn));
        let overrun = reply.overrun();
        let mut data = reply.take();
        let len = data.len() - at;
        self.run_spent.bytes += len;
        let own = match len >= LARGE_BYTES_MIN {
            true if at == 0 => Some(std::mem::take(&mut data)),
            true => Some(data.split_off(at)),
            false => None,
        };
        let range = (at as u32, (data.len().max(at) - at) as u32);
        let envelope = self.mail.to(from);
        envelope.data = data;
        envelope.items.push(Item::Reply(ReplyItem {
            conn: item.conn,
            run: item.run,
            index: item.index,
            own,
            wrote: done.wrote(),
            failed: done.failed,
            overrun,
            range,
        }));
        let reader = Reader {
            shard: from as u32,
            conn: item.conn,
            place: Some((item.run, item.index)),
        };
        self.send_news(Some(reader));
        if item.remembers {
            self.remember(reader, item.command, args);
        }
    }

    /// How many more bytes of replies the run of `item` may make on this shard, if there is a
    /// limit: its client's output limit, so that a run never makes replies that the home would only
    /// drop.
    fn run_room(&mut self, from: usize, item: &RunItem) -> Option<usize> {
        let hard = self.config.client_output_buffer_limit.normal.hard_bytes;
        let limit = usize::try_from(hard).unwrap_or(usize::MAX);
        if limit == 0 {
            return None;
        }
        let run = Some((from, item.conn, item.run));
        if self.run_spent.run != run {
            self.run_spent = Spent { run, bytes: 0 };
        }
        // One byte at least: no limit at all would be 0.
        Some(limit.saturating_sub(self.run_spent.bytes).max(1))
    }

    /// Runs a data command on this shard's keyspace, as a unit of its own.
    pub(super) fn execute(
        &mut self,
        reply: &mut Reply,
        command: &'static Command,
        db: usize,
        no_touch: bool,
        args: Args<'_>,
        raw: Option<&[u8]>,
    ) -> crate::command::Ran {
        let origin = self.origin();
        if let Some(text) = self.refuses_late(command, origin) {
            return self.refuse_late(reply, command, text);
        }
        let origin = match command.writes() {
            true => origin,
            false => self.reading_origin(origin),
        };
        if command.flags.has(Flags::DENYOOM) {
            self.make_room();
        }
        self.effects.begin_unit();
        let done = self.execute_in_unit(reply, command, db, no_touch, origin, args, raw);
        self.effects.end_unit();
        self.serve_waiters();
        done
    }

    /// Why a command that was let in must not run any more: the barrier of a change of role came
    /// between. A write would change a replica's data but not its stream, and a read would miss
    /// data that is being replaced.
    pub(super) fn refuses_late(&self, command: &Command, origin: Origin) -> Option<&'static str> {
        if origin != Origin::Replica {
            None
        } else if command.writes() && self.config.replica_read_only {
            Some(READONLY)
        } else if self.shared.loading.load(Ordering::Relaxed) && !command.flags.has(Flags::LOADING)
        {
            Some(LOADING)
        } else {
            None
        }
    }

    #[cold]
    pub(super) fn refuse_late(
        &mut self,
        reply: &mut Reply,
        command: &'static Command,
        text: &str,
    ) -> Ran {
        let mark = reply.len();
        reply.error(text);
        let done = Ran {
            failed: true,
            ..Ran::default()
        };
        self.count(command, &done, &reply.bytes()[mark..]);
        done
    }

    /// As [`Shard::execute`], within a unit that the caller has opened.
    // Each is an input of one command; a struct would only rename them.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn execute_in_unit(
        &mut self,
        reply: &mut Reply,
        command: &'static Command,
        db: usize,
        no_touch: bool,
        origin: crate::command::Origin,
        args: Args<'_>,
        raw: Option<&[u8]>,
    ) -> crate::command::Ran {
        let crate::command::table::Run::Data(handler) = command.run else {
            unreachable!(
                "only data commands are run on a keyspace: {}",
                command.full_name
            )
        };
        let mark = reply.len();
        let timed = self.start_timing(command, args, raw);
        let env = Env {
            keyspace: &mut self.keyspace,
            reply,
            effects: &mut self.effects,
            state: &mut self.data,
            db,
            now_ms: self.now.unix_ms,
            origin,
            shard: (self.id as u32, self.shared.shards as u32),
            no_touch,
            may_wait: self.may_wait,
        };
        let done = run_command(handler, env, args, raw);
        self.count(command, &done, &reply.bytes()[mark..]);
        self.stop_timing(timed, command, args, reply.len() - mark);
        done
    }

    /// Counts a command that ran.
    #[inline]
    pub(super) fn count(
        &mut self,
        command: &'static Command,
        done: &crate::command::Ran,
        reply: &[u8],
    ) {
        if done.wait.is_some() {
            // Counted when its wait ends.
            return;
        }
        self.stats.total_commands += 1;
        let stats = &mut self.stats.commands[command.number()];
        stats.calls += 1;
        self.stats.dirty += done.dirty;
        if done.failed {
            stats.failed += 1;
            self.count_error_reply(reply);
        }
    }

    /// Counts an error reply by its code word.
    #[cold]
    pub(super) fn count_error_reply(&mut self, reply: &[u8]) {
        let text = reply.strip_prefix(b"-").unwrap_or(reply);
        let word = text
            .split(|b| *b == b' ' || *b == b'\r')
            .next()
            .unwrap_or(b"ERR");
        self.stats.count_error(&String::from_utf8_lossy(word));
    }

    /// Home's side: a reply arrives.
    pub(super) fn receive_reply(
        &mut self,
        envelope: &Envelope,
        mut item: ReplyItem,
        shell: &mut dyn Shell,
    ) {
        let Some(mut client) = self.take_client(item.conn) else {
            return;
        };
        if client.waiting == Waiting::Run && client.run.number == item.run {
            if item.wrote {
                client.note_write(envelope.from, envelope.published);
            }
            if item.overrun {
                client.reply.set_overrun();
            }
            let bytes = &envelope.data[item.range.0 as usize..][..item.range.1 as usize];
            let run = &mut client.run;
            let at = run.replies.len();
            run.replies.extend_from_slice(bytes);
            let entry = &mut run.entries[item.index as usize];
            entry.reply = (at, bytes.len());
            entry.own_reply = item.own.take();
            run.own_bytes += entry.own_reply.as_ref().map_or(0, Vec::len);
            run.missing -= 1;
            self.complete_run(shell, &mut client);
        }
        self.put_client(shell, client);
    }

    /// Puts the replies out, in order, once all are there.
    fn complete_run(&mut self, shell: &mut dyn Shell, client: &mut Client) {
        if client.run.missing > 0 {
            return;
        }
        if self.monitored {
            self.show_run(client);
        }
        let holds = !client.run.held.is_empty();
        for index in 0..client.run.entries.len() {
            self.put_reply(shell, client, index);
            if holds {
                self.send_held(client, index as u32);
            }
        }
        if holds {
            self.send_held(client, tracking::LAST);
        }
        client.run.clear();
        client.waiting = Waiting::No;
        self.runs_away -= 1;
        self.list_output(client);
        self.list_ready(client);
    }

    /// Shows the commands of a run that has been run, but not what was answered at once.
    #[cold]
    fn show_run(&mut self, client: &Client) {
        let run = &client.run;
        for entry in &run.entries {
            let args = run.args(entry);
            // What was given away before anybody monitored is known no more.
            if let Some(command) = entry.command.filter(|_| !args.is_empty()) {
                self.show(client, command, entry.db as usize, args);
            }
        }
    }

    /// Puts the reply of one of a run's commands out.
    fn put_reply(&mut self, shell: &mut dyn Shell, client: &mut Client, index: usize) {
        let entry = &mut client.run.entries[index];
        if entry.silent {
            return;
        }
        if let Some(own) = entry.own_reply.take() {
            // Not behind what is there, but as a piece of its own: nothing is copied.
            self.hand_over(shell, client);
            client.reply.append(own);
            return;
        }
        let (start, len) = entry.reply;
        client.reply.raw(&client.run.replies[start..][..len]);
    }

    /// A run executed as a transaction: its replies, in order, are in `replies`.
    pub(super) fn complete_pipeline(
        &mut self,
        client: &mut Client,
        replies: &Reply,
        ends: &[usize],
    ) {
        let mut from = 0;
        let mut next = ends.iter();
        for entry in &client.run.entries {
            let bytes = match entry.command {
                None => &client.run.replies[entry.reply.0..][..entry.reply.1],
                Some(_) => {
                    let end = *next.next().expect("one reply per command");
                    &replies.bytes()[std::mem::replace(&mut from, end)..end]
                }
            };
            if !entry.silent {
                client.reply.raw(bytes);
            }
        }
        client.run.clear();
    }
}
