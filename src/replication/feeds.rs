//! A replica's home: the handshake, and the replica's cursor over the merged log.
//!
//! A feed *pulls*: while its connection's queue is short it reads the log at its cursor and hands
//! the shell references to the shards' own bytes. What a slow replica has not taken stays in the
//! log, pinned at its cursor, and costs no writer anything; past `client-output-buffer-limit
//! replica` that replica alone is dropped, and may come back partially if the backlog still
//! reaches.

use hashbrown::hash_map::Entry as Slot;

use std::sync::atomic::Ordering;

use super::Node;
use super::link::{DEPTH_ANSWER, DEPTH_CAPA};
use super::message::{Message, ReplicaInfo, SyncRequest};
use crate::protocol::{Args, Reply};
use crate::shard::client::{Class, Waiting};
use crate::shard::output::over_limit;
use crate::shard::shell::{Chunk, ConnId, Shell};

/// A feed reads on while its connection has less than this queued, bytes.
const FEED_WINDOW: usize = 1 << 20;
/// A snapshot's home asks for more while its connection has less than this queued, bytes.
const SNAPSHOT_WINDOW: usize = 4 << 20;

/// So little of a snapshot may be queued when the stream begins, bytes.
const DRAINED_BYTES: usize = 16 << 10;

/// Where a replica stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// It has introduced itself.
    Greeted,
    /// It waits for a snapshot to begin.
    WaitsForSync,
    /// It waits until its snapshot is written.
    WaitsForFile,
    /// It receives one.
    Syncing,
    /// The rest of a snapshot without an end mark is on its way to it.
    Drains,
    /// It loads; the stream is held until its first acknowledgement.
    AwaitsAck,
    Online,
}

/// A replica at its home.
pub(super) struct Feed {
    pub state: State,
    /// Offset of the last byte handed to the shell.
    pub cursor: u64,
    /// The history that it was told of; none if that had ended before it heard.
    history: Option<u64>,
    pub request: SyncRequest,
    psync2: bool,
    /// It knows how deep in the tree we are.
    pub told_depth: bool,
    /// Parts of the snapshot that it has not yet taken.
    owed: u32,
    soft_limit_since_ns: Option<u64>,
    /// The history and offset that it asked for together with the role of the primary.
    takes_over: Option<Asked>,
}

/// PSYNC's arguments: an id and the first offset wanted.
type Asked = (String, Option<i64>);

impl Feed {
    fn new() -> Self {
        Feed {
            state: State::Greeted,
            cursor: 0,
            history: None,
            request: SyncRequest::default(),
            psync2: false,
            told_depth: false,
            owed: 0,
            soft_limit_since_ns: None,
            takes_over: None,
        }
    }
}

/// Names a feed's pin in the log.
pub(super) fn pin_token(home: usize, conn: ConnId) -> u64 {
    ((home as u64) << 48) ^ (u64::from(conn.index) << 24) ^ u64::from(conn.generation & 0xff_ffff)
}

impl Node {
    /// REPLCONF.
    pub(super) fn replconf(&mut self, conn: ConnId, args: Args<'_>) {
        if args.len().is_multiple_of(2) {
            self.shard
                .resume_client(conn, |client| client.reply.error("ERR syntax error"));
            return;
        }
        let mut silent = false;
        let mut error = None;
        for at in (1..args.len()).step_by(2) {
            match self.replconf_option(conn, &args[at], &args[at + 1]) {
                Ok(no_reply) => silent |= no_reply,
                Err(text) => {
                    error = Some(text);
                    break;
                }
            }
        }
        let wants_depth =
            (args.len() > 2) && args[args.len() - 1].eq_ignore_ascii_case(DEPTH_CAPA.as_bytes());
        let depth = self.shard.shared.depth.load(Ordering::Relaxed);
        self.shard.resume_client(conn, |client| match error {
            Some(text) => client.reply.error(&text),
            None if silent => {}
            None if wants_depth => client
                .reply
                .simple(&format!("{}{depth}", &DEPTH_ANSWER[1..])),
            None => client.reply.ok(),
        });
    }

    fn replconf_option(
        &mut self,
        conn: ConnId,
        option: &[u8],
        value: &[u8],
    ) -> Result<bool, String> {
        let number = || {
            let number = crate::value::number::parse_i64(value);
            number.ok_or("ERR value is not an integer or out of range".to_owned())
        };
        let feed = self.feeds.entry(conn).or_insert_with(Feed::new);
        match option.to_ascii_lowercase().as_slice() {
            b"listening-port" => {
                let port = u16::try_from(number()?).map_err(|_| "ERR value is out of range")?;
                feed.request.info.port = port;
            }
            b"ip-address" => {
                if value.len() > 255 {
                    return Err(format!(
                        "ERR REPLCONF ip-address provided by replica instance is \
                        too long: {} bytes",
                        value.len()
                    ));
                }
                feed.request.info.ip = String::from_utf8_lossy(value).into_owned();
            }
            b"capa" => match &*value.to_ascii_lowercase() {
                b"eof" => feed.request.eof = true,
                b"psync2" => feed.psync2 = true,
                capability if capability == DEPTH_CAPA.as_bytes() => feed.told_depth = true,
                // Capabilities that we do not know are none of our business.
                _ => {}
            },
            b"ack" => {
                let offset = number()?;
                self.acknowledged(conn, u64::try_from(offset).unwrap_or(0));
                return Ok(true);
            }
            b"fack" => return Ok(true),
            b"getack" => return Ok(true),
            b"rdb-only" => feed.request.rdb_only = number()? == 1,
            b"version" => {}
            b"rdb-filter-only" => {
                if !value.is_empty() {
                    return Err("ERR Unsupported rdb-filter-only option".to_owned());
                }
            }
            _ => {
                let option = crate::protocol::quote(option, usize::MAX);
                return Err(format!("ERR Unrecognized REPLCONF option: {option}"));
            }
        }
        Ok(false)
    }

    fn acknowledged(&mut self, conn: ConnId, offset: u64) {
        let Some(feed) = self.feeds.get_mut(&conn) else {
            return;
        };
        if feed.state == State::AwaitsAck {
            self.go_online(conn);
        }
        self.tell_coordinator(Message::Ack { conn, offset });
    }

    /// PSYNC and SYNC.
    pub(super) fn sync_command(
        &mut self,
        shell: &mut dyn Shell,
        conn: ConnId,
        args: Args<'_>,
        plain: bool,
    ) {
        let already = self
            .shard
            .client(conn)
            .is_none_or(|c| c.class == Class::Replica);
        if already {
            self.shard.resume_client(conn, |_| {});
            return;
        }
        let hands_over = args
            .get(3)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"failover"));
        if !plain && hands_over {
            return self.handed_role(shell, conn, args);
        }
        if self.is_replica() && !self.log.lock().upstream.as_ref().is_some_and(|u| u.link_up) {
            self.shard.resume_client(conn, |client| {
                client
                    .reply
                    .error("NOMASTERLINK Can't SYNC while not connected with my master");
            });
            return;
        }
        if !plain && crate::value::number::parse_i64(&args[2]).is_none() {
            self.shard.resume_client(conn, |client| {
                client
                    .reply
                    .error("ERR value is not an integer or out of range");
            });
            return;
        }
        let asked = (!plain).then(|| asked(args));
        self.begin_feed(shell, conn, asked);
    }

    /// `PSYNC … FAILOVER`: our upstream wants us to take its role. It is answered when we have.
    fn handed_role(&mut self, shell: &mut dyn Shell, conn: ConnId, args: Args<'_>) {
        let asked = asked(args);
        if self.has_taken_over(&asked) {
            return self.begin_feed(shell, conn, Some(asked));
        }
        let ours = asked.0.eq_ignore_ascii_case(&self.log.lock().replid);
        let refusal = match (self.is_replica(), ours) {
            (false, _) => Some("ERR PSYNC FAILOVER can't be sent to a master."),
            (true, false) => Some("ERR PSYNC FAILOVER replid must match my replid."),
            (true, true) => None,
        };
        if refusal.is_some() {
            return self.answered_command(conn, refusal);
        }
        let feed = self.feeds.entry(conn).or_insert_with(Feed::new);
        feed.takes_over = Some(asked);
        self.tell_coordinator(Message::TakeOver { conn });
    }

    /// Whether it is the former primary that asks again, because our answer was lost. (Redis
    /// refuses, and the former primary takes its role back: then there are two.)
    fn has_taken_over(&self, (replid, from): &Asked) -> bool {
        let merged = self.log.lock();
        let last = { *from }.and_then(|from| u64::try_from(from.checked_sub(1)?).ok());
        !self.is_replica()
            && *replid == merged.replid2
            && *from == Some(merged.second_offset)
            && last.is_some_and(|last| merged.can_continue(replid, last))
    }

    /// This is a primary now: the former one is served as a replica.
    pub(super) fn took_over(&mut self, shell: &mut dyn Shell, conn: ConnId) {
        let feed = self.feeds.get_mut(&conn);
        if let Some(asked) = feed.and_then(|feed| feed.takes_over.take()) {
            self.begin_feed(shell, conn, Some(asked));
        }
    }

    /// Serves a replica from where it asked to, or with a snapshot; `None`: it sent SYNC.
    fn begin_feed(&mut self, shell: &mut dyn Shell, conn: ConnId, asked: Option<Asked>) {
        let plain = asked.is_none();
        self.feeds.entry(conn).or_insert_with(Feed::new);
        if self.shard.config.repl_disable_tcp_nodelay {
            shell.gather_packets(conn, true);
        }
        // What it was answered before goes out before anything of the stream or a snapshot.
        self.shard.flush_reply(shell, conn);
        if asked.is_some_and(|asked| self.try_partial(conn, &asked)) {
            self.shard.flush_reply(shell, conn);
            return;
        }
        let home_ip = self.peer_ip(conn);
        let feed = self.feeds.get_mut(&conn).expect("it was just put in");
        feed.state = State::WaitsForSync;
        feed.request.plain = plain;
        if feed.request.info.ip.is_empty() {
            feed.request.info.ip = home_ip;
        }
        let request = feed.request.clone();
        self.become_replica_client(conn);
        self.tell_coordinator(Message::WantSync { conn, request });
    }

    fn peer_ip(&self, conn: ConnId) -> String {
        let peer = self
            .shard
            .client(conn)
            .map_or("", |client| client.peer.as_str());
        let ip = peer.rsplit_once(':').map_or(peer, |(ip, _)| ip);
        ip.trim_matches(['[', ']']).to_owned()
    }

    /// From here on the connection is a replica's: its commands are still read, but nothing is
    /// answered to it outside the protocol of replication.
    fn become_replica_client(&mut self, conn: ConnId) {
        if let Some(client) = self.shard.client_mut(conn) {
            client.class = Class::Replica;
            client.waiting = Waiting::No;
            client.multi = None;
        }
        self.log.listeners[self.shard.id].store(true, std::sync::atomic::Ordering::Release);
    }

    fn try_partial(&mut self, conn: ConnId, (replid, asked): &Asked) -> bool {
        let mut merged = self.log.merge();
        let offset = asked.and_then(|asked| u64::try_from(asked.checked_sub(1)?).ok());
        let usable = offset.filter(|offset| merged.can_continue(replid, *offset));
        let Some(offset) = usable else {
            let why = match replid.as_str() {
                "?" => "it has no history".to_owned(),
                _ => merged.why_not(replid, offset),
            };
            merged.sync_partial_err += u64::from(replid != "?");
            drop(merged);
            let feed = self.feeds.get_mut(&conn).expect("the caller has put it in");
            feed.request.why = why;
            return false;
        };
        merged.sync_partial_ok += 1;
        merged.pin(pin_token(self.shard.id, conn), offset);
        let (current, history) = (merged.replid.clone(), merged.history);
        drop(merged);
        let ip = self.peer_ip(conn);
        let feed = self.feeds.get_mut(&conn).expect("the caller has put it in");
        feed.state = State::Online;
        feed.history = Some(history);
        feed.cursor = offset;
        if feed.request.info.ip.is_empty() {
            feed.request.info.ip = ip;
        }
        let (psync2, info) = (feed.psync2, feed.request.info.clone());
        self.shard.resume_client(conn, |client| {
            if psync2 {
                client.reply.simple(&format!("CONTINUE {current}"));
            } else {
                client.reply.simple("CONTINUE");
            }
        });
        self.become_replica_client(conn);
        tracing::info!(ip = %info.ip, port = info.port, offset, "replica resumes partially");
        self.tell_coordinator(Message::Online { conn, info });
        true
    }

    /// The coordinator begins a snapshot for this replica.
    pub(super) fn sync_starts(
        &mut self,
        shell: &mut dyn Shell,
        conn: ConnId,
        (replid, offset): (&str, u64),
        by_file: bool,
    ) {
        let Some(feed) = self.feeds.get_mut(&conn) else {
            // It went away while the coordinator pinned the log for it.
            self.log.merge().unpin(pin_token(self.shard.id, conn));
            return;
        };
        feed.state = match by_file {
            true => State::WaitsForFile,
            false => State::Syncing,
        };
        {
            let merged = self.log.lock();
            feed.history = (merged.replid == replid).then_some(merged.history);
        }
        feed.cursor = offset;
        if !feed.request.plain {
            let mut reply = Reply::new(crate::protocol::Version::Resp2);
            reply.simple(&format!("FULLRESYNC {replid} {offset}"));
            shell.send(conn, Chunk::Vec(reply.take()));
        }
    }

    pub(super) fn sync_data(&mut self, shell: &mut dyn Shell, conn: ConnId, bytes: bytes::Bytes) {
        let Some(feed) = self.feeds.get_mut(&conn) else {
            return;
        };
        feed.state = State::Syncing;
        shell.send(conn, Chunk::Bytes(bytes));
        feed.owed += 1;
        self.took(shell, conn);
    }

    /// Tells the coordinator what the replica has taken of the snapshot.
    pub(super) fn took(&mut self, shell: &dyn Shell, conn: ConnId) {
        let Some(feed) = self.feeds.get_mut(&conn) else {
            return;
        };
        if feed.owed == 0 || shell.queued(conn) > SNAPSHOT_WINDOW {
            return;
        }
        let owed = std::mem::take(&mut feed.owed);
        for _ in 0..owed {
            self.tell_coordinator(Message::Took { conn });
        }
    }

    pub(super) fn sync_ends(&mut self, shell: &mut dyn Shell, conn: ConnId, marked: bool) {
        let Some(feed) = self.feeds.get_mut(&conn) else {
            return;
        };
        if feed.request.rdb_only {
            self.shard.disconnect(shell, conn, true);
        } else if marked {
            feed.state = State::AwaitsAck;
        } else {
            feed.state = State::Drains;
        }
    }

    fn go_online(&mut self, conn: ConnId) {
        let Some(feed) = self.feeds.get_mut(&conn) else {
            return;
        };
        feed.state = State::Online;
        let info: ReplicaInfo = feed.request.info.clone();
        tracing::info!(ip = %info.ip, port = info.port, "replica is online");
        self.tell_coordinator(Message::Online { conn, info });
    }

    /// Closes replicas of this shard: history has changed, or what they were told of us.
    pub(super) fn drop_replicas(
        &mut self,
        shell: &mut dyn Shell,
        concerns: impl Fn(&Feed) -> bool,
    ) {
        let concerned = self.feeds.iter().filter(|(_, feed)| concerns(feed));
        let conns: Vec<ConnId> = concerned.map(|(conn, _)| *conn).collect();
        for conn in conns {
            if self
                .shard
                .client(conn)
                .is_some_and(|client| client.class == Class::Replica)
            {
                self.shard.disconnect(shell, conn, false);
            }
        }
    }

    /// A connection is gone.
    pub(super) fn feed_closed(&mut self, conn: ConnId) {
        if let Slot::Occupied(feed) = self.feeds.entry(conn) {
            feed.remove();
            self.log.merge().unpin(pin_token(self.shard.id, conn));
            self.tell_coordinator(Message::Gone { conn });
        }
        if self.feeds.is_empty() {
            let listens = &self.log.listeners[self.shard.id];
            listens.store(false, std::sync::atomic::Ordering::Release);
        }
    }

    /// Replicas go online when their snapshot has left: before, what is queued for them is no sign
    /// of slowness.
    fn end_drains(&mut self, shell: &dyn Shell) {
        let drained = |conn: &ConnId| shell.queued(*conn) < DRAINED_BYTES;
        let feeds = self
            .feeds
            .iter()
            .filter(|(_, feed)| feed.state == State::Drains);
        let done: Vec<ConnId> = feeds.map(|(conn, _)| *conn).filter(drained).collect();
        for conn in done {
            self.go_online(conn);
        }
    }

    /// Hands new bytes of the stream to the replicas of this shard.
    pub(super) fn feed_replicas(&mut self, shell: &mut dyn Shell) {
        if self.feeds.is_empty() {
            return;
        }
        self.end_drains(shell);
        let end = self.log.end_seen();
        let id = self.shard.id;
        let (mut overrun, mut left_behind) = (Vec::new(), Vec::new());
        let limit = self.shard.config.client_output_buffer_limit.replica;
        let now_ns = self.shard.now.mono_ns;
        for (conn, feed) in &mut self.feeds {
            let streaming = feed.state == State::Online;
            if matches!(feed.state, State::Greeted | State::WaitsForSync) {
                continue;
            }
            if streaming && feed.cursor < end && shell.queued(*conn) < FEED_WINDOW {
                let mut merged = self.log.lock();
                // Its message that these replicas are to be dropped comes later than the change.
                if feed.history != Some(merged.history) {
                    left_behind.push(*conn);
                    continue;
                }
                let Some(pieces) = merged.read(feed.cursor, FEED_WINDOW as u64) else {
                    overrun.push(*conn);
                    continue;
                };
                for piece in pieces {
                    feed.cursor += piece.len() as u64;
                    shell.send(*conn, Chunk::Bytes(piece));
                }
                merged.pin(pin_token(id, *conn), feed.cursor);
            }
            // What is being sent is not counted: one write larger than the limit must get through.
            let behind = match end.saturating_sub(feed.cursor) {
                0 => 0,
                _ => end.saturating_sub(self.log.lock().segment_end(feed.cursor)),
            };
            let held = behind
                + if streaming {
                    shell.queued(*conn) as u64
                } else {
                    0
                };
            // As in Redis, a limit below the backlog's size would drop replicas that the backlog
            // serves anyway.
            let limit = crate::config::OutputLimit {
                hard_bytes: raised(limit.hard_bytes, self.backlog_size),
                soft_bytes: raised(limit.soft_bytes, self.backlog_size),
                ..limit
            };
            if over_limit(held, limit, &mut feed.soft_limit_since_ns, now_ns) {
                tracing::warn!(
                    ip = %feed.request.info.ip,
                    port = feed.request.info.port,
                    held,
                    "replica overran client-output-buffer-limit: raise it, or repl-backlog-size, \
                     if \
                     this repeats"
                );
                overrun.push(*conn);
            }
        }
        for conn in left_behind {
            self.shard.disconnect(shell, conn, false);
        }
        for conn in overrun {
            self.shard.stats.output_buffer_limit_drops += 1;
            self.shard.disconnect(shell, conn, false);
        }
    }

    /// A newline once a second to replicas that wait for their snapshot.
    pub(super) fn keep_waiting_alive(&mut self, shell: &mut dyn Shell) {
        for (conn, feed) in &self.feeds {
            let waits = matches!(feed.state, State::WaitsForSync | State::WaitsForFile);
            if waits && !feed.request.plain {
                shell.send(*conn, Chunk::Bytes(bytes::Bytes::from_static(b"\n")));
            }
        }
    }
}

fn asked(args: Args<'_>) -> Asked {
    let replid = String::from_utf8_lossy(&args[1]).into_owned();
    (replid, crate::value::number::parse_i64(&args[2]))
}

fn raised(limit: u64, floor: u64) -> u64 {
    if limit == 0 { 0 } else { limit.max(floor) }
}
