//! CLIENT and its subcommands.

use std::sync::atomic::Ordering;

use crate::command::error::SUBCOMMAND_SHOWN_MAX;
use crate::command::session::SessionOp;
use crate::protocol::{Args, Reply, Version, quote};
use crate::value::number::parse_i64;

use super::blocking::End;
use super::client::{Class, Client, ReplyMode, Waiting};
use super::connection_commands::{check_name, is_plain};
use super::dispatch::unknown_or_misused;
use super::gather::{Answer, Question};
use super::message::Item;
use super::session::Purpose;
use super::shared::Pause;
use super::shell::{ConnId, Shell};
use super::{Event, Shard};

const SYNTAX: &str = "ERR syntax error";

/// A pause that waits until the commands are done that were under way when it began.
pub(super) struct Settling {
    home: usize,
    token: u64,
    /// Connections, with how many commands each had begun.
    under_way: Vec<(ConnId, u64)>,
}

/// Which connections CLIENT LIST shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only these numbers, if any are given.
    ids: Option<Vec<u64>>,
    kind: Option<ClientKind>,
}

/// CLIENT LIST's and CLIENT KILL's TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    Normal,
    Upstream,
    Replica,
    PubSub,
}

/// Which connections CLIENT KILL closes: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kill {
    id: Option<u64>,
    kind: Option<ClientKind>,
    peer: Option<Vec<u8>>,
    local: Option<Vec<u8>>,
    /// USER; there is but one, `default`.
    user: bool,
    /// Seconds that a connection must have been there for.
    age_min_s: Option<u64>,
    /// The caller, which its own home closes after the reply.
    caller: u64,
}

impl ClientKind {
    fn parse(name: &[u8]) -> Result<Self, String> {
        const NAMES: [(&str, ClientKind); 6] = [
            ("normal", ClientKind::Normal),
            ("slave", ClientKind::Replica),
            ("replica", ClientKind::Replica),
            ("pubsub", ClientKind::PubSub),
            ("master", ClientKind::Upstream),
            ("primary", ClientKind::Upstream),
        ];
        let found = (NAMES.iter()).find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        found
            .map(|(_, kind)| *kind)
            .ok_or_else(|| format!("ERR Unknown client type '{}'", quote(name, usize::MAX)))
    }

    fn fits(self, client: &Client) -> bool {
        match self {
            ClientKind::Normal => client.class == Class::Normal && !client.is_subscriber(),
            ClientKind::Replica => client.class == Class::Replica,
            ClientKind::Upstream => client.class == Class::Upstream,
            ClientKind::PubSub => client.class == Class::Normal && client.is_subscriber(),
        }
    }
}

impl ListFilter {
    fn parse(args: Args<'_>) -> Result<Self, String> {
        let mut filter = ListFilter::default();
        match args.get(2) {
            None => {}
            Some(word) if word.eq_ignore_ascii_case(b"type") && args.len() == 4 => {
                filter.kind = Some(ClientKind::parse(&args[3])?);
            }
            Some(word) if word.eq_ignore_ascii_case(b"id") && args.len() > 3 => {
                let ids: Option<Vec<i64>> = args.iter().skip(3).map(parse_i64).collect();
                let ids = ids.ok_or("ERR Invalid client ID")?;
                // Nobody has a negative number.
                let ids = ids.into_iter().filter_map(|id| u64::try_from(id).ok());
                filter.ids = Some(ids.collect());
            }
            Some(_) => return Err(SYNTAX.to_owned()),
        }
        Ok(filter)
    }

    fn fits(&self, client: &Client) -> bool {
        self.kind.is_none_or(|kind| kind.fits(client))
            && (self.ids.as_ref()).is_none_or(|ids| ids.contains(&client.id))
    }
}

impl Kill {
    /// The filters, and whether the caller is spared. `CLIENT KILL addr`, the old form, is
    /// answered differently.
    fn parse(args: Args<'_>, caller: u64) -> Result<(Self, bool), String> {
        let mut kill = Kill {
            caller,
            ..Kill::default()
        };
        if args.len() == 3 {
            kill.peer = Some(args[2].to_vec());
            return Ok((kill, false));
        }
        let mut spares_caller = true;
        let mut at = 2;
        while let Some(option) = args.get(at) {
            let value = args.get(at + 1).ok_or(SYNTAX)?;
            match option.to_ascii_lowercase().as_slice() {
                b"id" => {
                    let id = parse_i64(value).filter(|id| *id > 0);
                    let id = id.ok_or("ERR client-id should be greater than 0")?;
                    kill.id = u64::try_from(id).ok();
                }
                b"maxage" => {
                    let age =
                        parse_i64(value).ok_or("ERR maxage is not an integer or out of range")?;
                    let age = u64::try_from(age).ok().filter(|age| *age > 0);
                    kill.age_min_s = Some(age.ok_or("ERR maxage should be greater than 0")?);
                }
                b"type" => kill.kind = Some(ClientKind::parse(value)?),
                b"addr" => kill.peer = Some(value.to_vec()),
                b"laddr" => kill.local = Some(value.to_vec()),
                b"user" if value == b"default" => kill.user = true,
                b"user" => {
                    let user = quote(value, usize::MAX);
                    return Err(format!("ERR No such user '{user}'"));
                }
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => spares_caller = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => spares_caller = false,
                _ => return Err(SYNTAX.to_owned()),
            }
            at += 2;
        }
        Ok((kill, spares_caller))
    }

    fn fits(&self, client: &Client, now_ns: u64) -> bool {
        let age_s = now_ns.saturating_sub(client.created_ns) / 1_000_000_000;
        self.id.is_none_or(|id| id == client.id)
            && self.kind.is_none_or(|kind| kind.fits(client))
            && (self.peer.as_ref()).is_none_or(|peer| *peer == client.peer.as_bytes())
            && (self.local.as_ref()).is_none_or(|local| *local == client.local.as_bytes())
            && (!self.user || client.class != Class::Upstream)
            && self.age_min_s.is_none_or(|min| age_s >= min)
    }
}

impl Shard {
    pub(super) fn client_list(&mut self, client: &mut Client, args: Args<'_>) {
        match ListFilter::parse(args) {
            Ok(filter) => {
                let order = filter.ids.clone();
                self.ask(client, Purpose::Lines(order), &Question::ClientList(filter));
            }
            Err(text) => self.answer(client, |reply| reply.error(&text)),
        }
    }

    pub(super) fn client_kill(&mut self, client: &mut Client, args: Args<'_>) {
        match Kill::parse(args, client.id) {
            Ok((kill, spares_caller)) => {
                let kills_self = !spares_caller && kill.fits(client, self.now.mono_ns);
                let purpose = Purpose::Killed {
                    old_form: args.len() == 3,
                    kills_self,
                };
                self.ask(client, purpose, &Question::ClientKill(kill));
            }
            Err(text) => self.answer(client, |reply| reply.error(&text)),
        }
    }

    pub(super) fn client_unblock(&mut self, client: &mut Client, args: Args<'_>) {
        match parse_unblock(args) {
            Ok((id, error)) => {
                self.ask(
                    client,
                    Purpose::Flag,
                    &Question::ClientUnblock { id, error },
                );
            }
            Err(text) => self.answer(client, |reply| reply.error(&text)),
        }
    }

    /// CLIENT's subcommands that concern this connection alone, and PAUSE.
    pub(super) fn client_command(&mut self, client: &mut Client, op: SessionOp, args: Args<'_>) {
        let result = match op {
            SessionOp::ClientId => {
                let id = client.id;
                return self.answer(client, |reply| reply.integer(id as i64));
            }
            SessionOp::ClientGetname => {
                let name = client.name.clone();
                return self.answer(client, |reply| match name.is_empty() {
                    true => reply.null(),
                    false => reply.bulk(&name),
                });
            }
            SessionOp::ClientInfo => {
                let line = self.client_line(client, 0, true) + "\n";
                return self.answer(client, |reply| reply.verbatim("txt", line.as_bytes()));
            }
            SessionOp::ClientHelp => {
                return self.answer(client, |reply| help(reply, "CLIENT", HELP));
            }
            SessionOp::ClientReply => return self.client_reply(client, args),
            SessionOp::ClientSetname => check_name(&args[2]).map_err(str::to_owned).map(|()| {
                client.name = args[2].to_vec();
            }),
            SessionOp::ClientSetinfo => set_info(client, args),
            SessionOp::ClientNoEvict => on_or_off(&args[2]).map(|on| client.no_evict = on),
            SessionOp::ClientNoTouch => on_or_off(&args[2]).map(|on| client.no_touch = on),
            SessionOp::ClientPause => self.begin_pause(args),
            other => unreachable!("not a command of one client: {other:?}"),
        };
        self.answer(client, |reply| match result {
            Ok(()) => reply.ok(),
            Err(text) => reply.error(&text),
        });
    }

    fn client_reply(&mut self, client: &mut Client, args: Args<'_>) {
        if args[2].eq_ignore_ascii_case(b"on") {
            client.reply_mode = ReplyMode::On;
            self.answer(client, Reply::ok);
        } else if args[2].eq_ignore_ascii_case(b"off") {
            client.reply_mode = ReplyMode::Off;
        } else if args[2].eq_ignore_ascii_case(b"skip") {
            if client.reply_mode != ReplyMode::Off {
                client.reply_mode = ReplyMode::SkipNext;
            }
        } else {
            self.answer(client, |reply| reply.error(SYNTAX));
        }
    }

    /// CLIENT PAUSE: OK when nothing that the pause holds back is under way any more.
    pub(super) fn client_pause(&mut self, client: &mut Client, args: Args<'_>) {
        match self.begin_pause(args) {
            Ok(()) => {
                let caller = client.id;
                self.ask(client, Purpose::Ok, &Question::Settle { caller });
            }
            Err(text) => self.answer(client, |reply| reply.error(&text)),
        }
    }

    /// Begins a pause, or prolongs one: it never becomes shorter or less strict.
    fn begin_pause(&mut self, args: Args<'_>) -> Result<(), String> {
        let writes_only = match args.get(3) {
            _ if args.len() > 4 => {
                let name = quote(&args[1], SUBCOMMAND_SHOWN_MAX);
                return Err(unknown_or_misused(&name, "CLIENT"));
            }
            None => false,
            Some(mode) if mode.eq_ignore_ascii_case(b"write") => true,
            Some(mode) if mode.eq_ignore_ascii_case(b"all") => false,
            Some(_) => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".to_owned()),
        };
        let timeout_ms =
            parse_i64(&args[2]).ok_or("ERR timeout is not an integer or out of range")?;
        let timeout_ms = u64::try_from(timeout_ms).map_err(|_| "ERR timeout is negative")?;
        let now_ms = self.now.unix_ms;
        let shared = &self.shared;
        let until = shared.pause_until_ms.load(Ordering::Relaxed);
        let stays_strict = until > now_ms && !shared.pause_writes_only.load(Ordering::Relaxed);
        shared
            .pause_writes_only
            .store(writes_only && !stays_strict, Ordering::Relaxed);
        let end = now_ms.saturating_add(timeout_ms);
        shared.pause_until_ms.fetch_max(end, Ordering::Relaxed);
        self.pause = self.shared.pause(now_ms);
        Ok(())
    }

    /// This shard's lines of CLIENT LIST, by number.
    pub(super) fn client_lines(
        &self,
        filter: &ListFilter,
        shell: &dyn Shell,
    ) -> Vec<(u64, String)> {
        let clients = self.clients().filter(|client| filter.fits(client));
        clients
            .map(|client| {
                let queued = shell.queued(client.conn);
                let waits = client.waiting != Waiting::No;
                (client.id, self.client_line(client, queued, waits))
            })
            .collect()
    }

    /// One line of CLIENT LIST, without its end. `queued`: output that the peer has not taken.
    fn client_line(&self, client: &Client, queued: usize, in_command: bool) -> String {
        let seconds = |since_ns: u64| self.now.mono_ns.saturating_sub(since_ns) / 1_000_000_000;
        let text = |bytes: &[u8]| quote(bytes, usize::MAX);
        let input = client.input.buffered();
        let input_free = client.input.capacity().saturating_sub(input);
        let (multi, multi_bytes) = match &client.multi {
            Some(multi) => (multi.queued.len() as i64, multi.bytes),
            None => (-1, 0),
        };
        let argv_bytes = if in_command { client.argv_bytes } else { 0 };
        let reply_bytes = client.reply.len();
        let total = client.memory(queued) - (client.argv_bytes - argv_bytes);
        let subscriptions = client.pubsub.as_ref().map(|own| own.counts());
        let (sub, psub, ssub) = subscriptions.unwrap_or_default();
        let redirect = (client.tracking.as_ref()).map_or(-1, |own| own.redirect() as i64);
        let events = match (client.read_paused, queued > 0) {
            (false, false) => "r",
            (false, true) => "rw",
            (true, _) => "w",
        };
        format!(
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={sub} \
             psub={psub} ssub={ssub} multi={multi} watch={} qbuf={input} \
             qbuf-free={input_free} argv-mem={argv_bytes} \
             multi-mem={multi_bytes} rbs={reply_bytes} rbp={reply_bytes} obl={reply_bytes} oll={} \
             omem={queued} tot-mem={total} events={events} cmd={} user={} redir={redirect} resp={} \
             lib-name={} lib-ver={} tot-net-in={} tot-net-out={} tot-cmds={}",
            client.id,
            client.peer,
            client.local,
            client.conn.index,
            text(&client.name),
            seconds(client.created_ns),
            seconds(client.last_input_ns),
            client.flag_letters(),
            client.db,
            client.watched.len(),
            usize::from(queued > 0),
            shown_name(client),
            if client.class == Class::Upstream {
                "(superuser)"
            } else {
                "default"
            },
            if client.reply.version() == Version::Resp3 {
                3
            } else {
                2
            },
            text(&client.lib_name),
            text(&client.lib_ver),
            client.total_net_in,
            client.total_net_out,
            client.total_commands,
        )
    }

    fn victims(&self, kill: &Kill) -> Vec<ConnId> {
        let fits = |client: &&Client| {
            client.id != kill.caller && !client.closing && kill.fits(client, self.now.mono_ns)
        };
        self.clients()
            .filter(fits)
            .map(|client| client.conn)
            .collect()
    }

    /// Closes this shard's connections that fit, the caller apart.
    pub(super) fn kill_clients(&mut self, kill: &Kill, shell: &mut dyn Shell) -> u64 {
        let victims = self.victims(kill);
        for conn in &victims {
            if let Some(client) = self.client_mut(*conn) {
                client.closing = true;
                client.dropped = true;
            }
            shell.close_now(*conn);
        }
        victims.len() as u64
    }

    /// Ends the wait of a client for the layer above, which makes its answer.
    pub(super) fn unblock_client(&mut self, id: u64, error: bool) -> bool {
        let Some(conn) = self.by_id.get(&id).copied() else {
            return false;
        };
        let waits = |client: &Client| client.waiting == Waiting::Upper { unblockable: true };
        if !self.client(conn).is_some_and(waits) {
            return self.unblock(
                conn,
                match error {
                    true => End::Error,
                    false => End::Timeout,
                },
            );
        }
        self.events.push(Event::Unblocked { conn, error });
        true
    }

    pub(super) fn client_unpause(&mut self) {
        self.shared.pause_until_ms.store(0, Ordering::Relaxed);
    }

    /// Lets the connections go on that a pause held back, if it is over.
    pub(super) fn wake_paused(&mut self) {
        self.pause = self.shared.pause(self.now.unix_ms);
        if self.pause != Pause::No {
            return;
        }
        for conn in std::mem::take(&mut self.paused_clients) {
            if let Some(client) = self.client_mut(conn)
                && client.waiting == Waiting::Paused
            {
                client.waiting = Waiting::No;
                self.ready.push(conn);
            }
        }
    }

    /// Begins to answer that no command is under way that began before now.
    pub(super) fn settle(&mut self, home: usize, token: u64, caller: u64) {
        self.pause = self.shared.pause(self.now.unix_ms);
        let runs = |client: &&Client| {
            client.id != caller && matches!(client.waiting, Waiting::Run | Waiting::Transaction(_))
        };
        let under_way = self.clients().filter(runs);
        let under_way = under_way.map(|client| (client.conn, client.total_commands));
        let under_way = under_way.collect();
        self.settling.push(Settling {
            home,
            token,
            under_way,
        });
        self.check_settling();
    }

    /// Answers where all commands that were waited for have ended.
    pub(super) fn check_settling(&mut self) {
        for mut settling in std::mem::take(&mut self.settling) {
            settling.under_way.retain(|(conn, commands)| {
                self.client(*conn).is_some_and(|client| {
                    client.total_commands == *commands
                        && matches!(client.waiting, Waiting::Run | Waiting::Transaction(_))
                })
            });
            if !settling.under_way.is_empty() {
                self.settling.push(settling);
                continue;
            }
            let (token, answer) = (settling.token, Box::new(Answer::Done));
            self.post(settling.home, Item::Answer { token, answer });
        }
    }

    /// Lets the connections go on whose DEBUG SLEEP is over.
    pub(super) fn wake_sleepers(&mut self) {
        let now_ns = self.now.mono_ns;
        for conn in std::mem::take(&mut self.sleepers) {
            match self.client_mut(conn).map(|client| client.waiting) {
                Some(Waiting::Sleep { until_ns }) if until_ns > now_ns => self.sleepers.push(conn),
                Some(Waiting::Sleep { .. }) => self.resume_client(conn, |client| client.reply.ok()),
                _ => {}
            }
        }
    }
}

/// The command that a client runs or ran last. DEBUG's words are its arguments, not subcommands.
fn shown_name(client: &Client) -> &'static str {
    match client.shown_command {
        None => "NULL",
        Some(command) if command.full_name.starts_with("debug|") => "debug",
        Some(command) => command.full_name,
    }
}

fn on_or_off(word: &[u8]) -> Result<bool, String> {
    if word.eq_ignore_ascii_case(b"on") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"off") {
        Ok(false)
    } else {
        Err(SYNTAX.to_owned())
    }
}

fn set_info(client: &mut Client, args: Args<'_>) -> Result<(), String> {
    let option = quote(&args[2], usize::MAX);
    let slot = match args[2].to_ascii_lowercase().as_slice() {
        b"lib-name" => &mut client.lib_name,
        b"lib-ver" => &mut client.lib_ver,
        _ => return Err(format!("ERR Unrecognized option '{option}'")),
    };
    if !is_plain(&args[3]) {
        return Err(format!(
            "ERR {option} cannot contain spaces, newlines or special characters."
        ));
    }
    *slot = args[3].to_vec();
    Ok(())
}

/// Whom CLIENT UNBLOCK means, and whether by an error.
fn parse_unblock(args: Args<'_>) -> Result<(u64, bool), String> {
    let error = match args.get(3) {
        _ if args.len() > 4 => {
            let name = quote(&args[1], SUBCOMMAND_SHOWN_MAX);
            return Err(unknown_or_misused(&name, "CLIENT"));
        }
        None => false,
        Some(how) if how.eq_ignore_ascii_case(b"timeout") => false,
        Some(how) if how.eq_ignore_ascii_case(b"error") => true,
        Some(_) => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".to_owned()),
    };
    let id = parse_i64(&args[2]).ok_or("ERR value is not an integer or out of range")?;
    // Nobody has a negative number, nor zero.
    Ok((u64::try_from(id).unwrap_or(0), error))
}

/// CLIENT LIST's text: by number, or in the order asked for.
pub(super) fn joined(mut lines: Vec<(u64, String)>, order: Option<&[u64]>) -> String {
    lines.sort();
    let mut text = String::new();
    let mut add = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    match order {
        None => lines.iter().for_each(|(_, line)| add(line)),
        Some(ids) => {
            for id in ids {
                if let Ok(at) = lines.binary_search_by_key(id, |(id, _)| *id) {
                    add(&lines[at].1);
                }
            }
        }
    }
    text
}

/// CLIENT KILL's answer.
pub(super) fn killed(reply: &mut Reply, old_form: bool, count: u64) {
    match (old_form, count) {
        (true, 0) => reply.error("ERR No such client"),
        (true, _) => reply.ok(),
        (false, count) => reply.integer(count as i64),
    }
}

/// A HELP subcommand's reply: `lines` and the entry of HELP itself.
pub(super) fn help(reply: &mut Reply, container: &str, lines: &[&str]) {
    reply.array(lines.len() + 3);
    reply.simple(&format!(
        "{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    lines.iter().for_each(|line| reply.simple(line));
    reply.simple("HELP");
    reply.simple("    Print this help.");
}

const HELP: &[&str] = &[
    "CACHING (YES|NO)",
    "    Track the keys of the next command, or do not.",
    "GETNAME",
    "    The name of this connection.",
    "GETREDIR",
    "    The number of the connection that is told of changed keys instead.",
    "ID",
    "    The number of this connection.",
    "INFO",
    "    This connection's line of CLIENT LIST.",
    "KILL <ip:port>",
    "    Close the connection from <ip:port>.",
    "KILL <option> <value> [<option> <value> [...]]",
    "    Close the connections that fit all options:",
    "    * ADDR (<ip:port>|<unixsocket>:0): the peer's address.",
    "    * ID <client-id>: the number.",
    "    * LADDR (<ip:port>|<unixsocket>:0): the server's address.",
    "    * MAXAGE <seconds>: connected for at least this long.",
    "    * SKIPME (YES|NO): spare this connection (yes if not given).",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB): the kind.",
    "    * USER <username>: the user.",
    "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)|ID <client-id> [<client-id> [...]]]",
    "    Describe connections, a line for each.",
    "NO-EVICT (ON|OFF)",
    "    Exempt this connection from being closed for memory.",
    "NO-TOUCH (ON|OFF)",
    "    Keep this connection's reads from counting as use of a key.",
    "PAUSE <timeout> [WRITE|ALL]",
    "    Hold all commands, or only writes, back for <timeout> milliseconds.",
    "REPLY (ON|OFF|SKIP)",
    "    Turn replies to this connection on or off, or drop the next one.",
    "SETINFO (LIB-NAME|LIB-VER) <value>",
    "    Tell the name or version of the client's library.",
    "SETNAME <name>",
    "    Name this connection.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
    "         [OPTIN] [OPTOUT] [NOLOOP]",
    "    Be told when keys change that this connection has read.",
    "TRACKINGINFO",
    "    How this connection tracks keys.",
    "UNBLOCK <clientid> [TIMEOUT|ERROR]",
    "    End the wait of a blocked connection.",
    "UNPAUSE",
    "    End the pause.",
];
