//! The link to the upstream: handshake, its dataset, reconnection. `apply` takes over where the
//! stream begins.
//!
//! A dataset is loaded beside the one in use and replaces it, under a barrier, only when it is
//! whole: a link that breaks, an RDB that is damaged or holds a type that is not there yet leaves
//! the old data in place.

use super::Node;
use super::apply::Applier;
use super::message::Message;
use super::role::{Change, RoleBarrier};
use crate::keyspace::Entry;
use crate::persistence::rdb;
use crate::protocol::encode;
use crate::shard::client::Class;
use crate::shard::shared::UpstreamView;
use crate::shard::shell::{Chunk, ConnId, Shell};
use crate::value::codec::Collections;

/// Time between two attempts to connect, milliseconds.
const RETRY_MS: u64 = 1000;
/// Entries handed to a shard at once.
const LOAD_BATCH: usize = 1024;
/// A line of the handshake is never longer.
const LINE_MAX: usize = 64 * 1024;

/// What the link waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The next attempt.
    Idle,
    /// The upstream's addresses are being looked up.
    Resolving,
    Connecting,
    AwaitsPong,
    AwaitsAuth,
    AwaitsPort,
    AwaitsAddress,
    AwaitsCapa,
    AwaitsPsync,
    /// `$<len>` or `$EOF:<mark>`.
    AwaitsSnapshot,
    Snapshot,
    /// The dataset is whole; the shards take it over.
    Adopting,
    Streaming,
}

/// How the snapshot ends.
enum Ending {
    Length(u64),
    Mark([u8; 40]),
}

/// The link to the upstream.
pub(super) struct Link {
    pub host: String,
    pub port: u16,
    pub conn: Option<ConnId>,
    pub state: State,
    /// History that we can go on from: id and last offset.
    pub cached: Option<(String, u64)>,
    retry_ms: u64,
    /// Attempts to connect: each takes the next of the upstream's addresses.
    attempts: usize,
    /// Tells the look-up's outcome from earlier ones'.
    lookup: u64,
    last_io_ms: u64,
    down_since_ms: u64,
    pub received: Vec<u8>,
    // The snapshot.
    replid: String,
    offset: u64,
    ending: Option<Ending>,
    reader: Option<rdb::Reader>,
    snapshot_bytes: u64,
    /// Database at which the stream after it stands.
    stream_db: usize,
    batches: Vec<Vec<(usize, Entry)>>,
    /// The stream.
    pub applier: Applier,
    next_ack_ms: u64,
    pub ack_now: bool,
}

impl Link {
    /// A link that will connect at once. With `cached` history, `applier` stands at its end.
    pub fn new(host: String, port: u16, cached: Option<(String, u64)>, applier: Applier) -> Self {
        Link {
            host,
            port,
            conn: None,
            state: State::Idle,
            cached,
            retry_ms: 0,
            attempts: 0,
            lookup: 0,
            last_io_ms: 0,
            down_since_ms: 0,
            received: Vec::new(),
            replid: String::new(),
            offset: 0,
            ending: None,
            reader: None,
            snapshot_bytes: 0,
            stream_db: 0,
            batches: Vec::new(),
            applier,
            next_ack_ms: 0,
            ack_now: false,
        }
    }

    /// Bytes from the upstream; looked at in the tick.
    pub fn received(&mut self, data: &[u8]) {
        self.received.extend_from_slice(data);
    }

    /// When the link has something to do by the clock.
    pub fn due_ms(&self) -> Option<u64> {
        match self.state {
            State::Idle => Some(self.retry_ms),
            State::Streaming => Some(self.next_ack_ms),
            _ => Some(self.last_io_ms + 1000),
        }
    }

    /// A line of the handshake, without its end; empty ones are keepalives.
    fn line(&mut self) -> Option<Vec<u8>> {
        loop {
            let end = memchr::memchr(b'\n', &self.received)?;
            let mut line: Vec<u8> = self.received.drain(..=end).collect();
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if !line.is_empty() {
                return Some(line);
            }
        }
    }

    /// How long nothing was heard, milliseconds.
    fn silent_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.last_io_ms)
    }
}

impl Node {
    /// Whatever the link can do now.
    pub(super) fn drive_link(&mut self, shell: &mut dyn Shell) {
        let now_ms = self.shard.now.unix_ms;
        self.run_waiting(shell);
        let Some(link) = &mut self.link else { return };
        if !link.received.is_empty() {
            link.last_io_ms = now_ms;
        }
        let timeout_ms = u64::from(self.shard.config.repl_timeout) * 1000;
        match link.state {
            State::Idle if now_ms >= link.retry_ms => {
                link.retry_ms = now_ms + RETRY_MS;
                link.last_io_ms = now_ms;
                link.state = State::Resolving;
                if link.down_since_ms == 0 {
                    link.down_since_ms = now_ms;
                }
                self.lookups += 1;
                link.lookup = self.lookups;
                shell.resolve(link.lookup, &link.host);
                self.update_upstream_view();
            }
            State::Idle | State::Adopting => {}
            _ if link.silent_ms(now_ms) > timeout_ms => {
                self.link_failed(shell, "the upstream was silent for repl-timeout");
            }
            State::Streaming => {
                self.drive_stream(shell);
                self.acknowledge(shell);
            }
            State::Snapshot => self.read_snapshot(shell),
            State::AwaitsSnapshot => self.snapshot_header(shell),
            State::Resolving | State::Connecting => {}
            _ => self.handshake(shell),
        }
    }

    /// The upstream's addresses are known, or cannot be found. Looked up for every attempt.
    pub(super) fn link_resolved(
        &mut self,
        shell: &mut dyn Shell,
        token: u64,
        addresses: Result<Vec<String>, String>,
    ) {
        let asked = |link: &&mut Link| link.state == State::Resolving && link.lookup == token;
        let Some(link) = self.link.as_mut().filter(asked) else {
            return;
        };
        let (now_ms, attempt) = (self.shard.now.unix_ms, link.attempts);
        link.attempts = attempt.wrapping_add(1);
        let chosen = addresses.map(|all| all.get(attempt % all.len().max(1)).cloned());
        match chosen {
            Ok(Some(address)) => {
                let source = &self.shard.config.bind_source_addr;
                link.conn = Some(shell.connect(&address, link.port, source));
                link.state = State::Connecting;
                link.last_io_ms = now_ms;
            }
            failed => {
                let reason = failed
                    .err()
                    .unwrap_or_else(|| "it has no address".to_owned());
                link.state = State::Idle;
                link.retry_ms = now_ms + RETRY_MS;
                tracing::warn!(host = %link.host, %reason, "cannot find the upstream");
            }
        }
        self.update_upstream_view();
    }

    pub(super) fn link_connected(
        &mut self,
        shell: &mut dyn Shell,
        conn: ConnId,
        result: Result<(), String>,
    ) {
        let Some(link) = self.link.as_mut().filter(|link| link.conn == Some(conn)) else {
            if result.is_ok() {
                shell.close_now(conn);
            }
            return;
        };
        match result {
            Err(reason) => {
                link.conn = None;
                link.state = State::Idle;
                tracing::warn!(
                    host = %link.host, port = link.port, %reason,
                    "cannot connect to the upstream"
                );
                self.update_upstream_view();
            }
            Ok(()) => {
                link.state = State::AwaitsPong;
                let peer = format!("{}:{}", link.host, link.port);
                self.shard.insert_upper(conn, Class::Upstream, peer);
                self.say(shell, &[b"PING"]);
                self.update_upstream_view();
            }
        }
    }

    /// Sends a request to the upstream.
    pub(super) fn say(&mut self, shell: &mut dyn Shell, args: &[&[u8]]) {
        if let Some(conn) = self.link.as_ref().and_then(|link| link.conn) {
            let mut out = Vec::new();
            encode::request(&mut out, args);
            shell.send(conn, Chunk::Vec(out));
        }
    }

    fn handshake(&mut self, shell: &mut dyn Shell) {
        loop {
            let Some(link) = &mut self.link else { return };
            if link.received.len() > LINE_MAX && memchr::memchr(b'\n', &link.received).is_none() {
                self.link_failed(shell, "the upstream's answer is not a line");
                return;
            }
            let state = link.state;
            if matches!(
                state,
                State::AwaitsSnapshot | State::Streaming | State::Idle
            ) {
                return;
            }
            let Some(line) = link.line() else { return };
            self.answered(shell, state, &line);
        }
    }

    fn answered(&mut self, shell: &mut dyn Shell, state: State, line: &[u8]) {
        let failed = line.first() == Some(&b'-');
        let text = String::from_utf8_lossy(line).into_owned();
        match state {
            State::AwaitsPong => {
                let tolerated = ["-NOAUTH", "-NOPERM", "-ERR operation not permitted"]
                    .iter()
                    .any(|t| text.starts_with(t));
                if failed && !tolerated {
                    self.link_failed(shell, &format!("the upstream answers PING with {text}"));
                } else if self.shard.config.masterauth.is_empty() {
                    self.say_port(shell);
                } else {
                    self.say_auth(shell);
                }
            }
            State::AwaitsAuth if failed => {
                self.link_failed(shell, &format!("the upstream refuses masterauth: {text}"));
            }
            State::AwaitsAuth => self.say_port(shell),
            State::AwaitsPort => self.say_address(shell),
            State::AwaitsAddress => self.say_capa(shell),
            State::AwaitsCapa => self.say_psync(shell),
            State::AwaitsPsync => self.psync_answered(shell, &text),
            _ => {}
        }
    }

    fn expect(&mut self, state: State) {
        if let Some(link) = &mut self.link {
            link.state = state;
        }
    }

    fn say_auth(&mut self, shell: &mut dyn Shell) {
        let config = self.shard.config.clone();
        if config.masteruser.is_empty() {
            self.say(shell, &[b"AUTH", &config.masterauth]);
        } else {
            self.say(shell, &[b"AUTH", &config.masteruser, &config.masterauth]);
        }
        self.expect(State::AwaitsAuth);
    }

    fn say_port(&mut self, shell: &mut dyn Shell) {
        let config = &self.shard.config;
        let port = match config.replica_announce_port {
            0 => config.port,
            announced => announced,
        };
        self.say(
            shell,
            &[b"REPLCONF", b"listening-port", port.to_string().as_bytes()],
        );
        self.expect(State::AwaitsPort);
    }

    fn say_address(&mut self, shell: &mut dyn Shell) {
        let announced = self.shard.config.replica_announce_ip.clone();
        if announced.is_empty() {
            self.say_capa(shell);
        } else {
            self.say(shell, &[b"REPLCONF", b"ip-address", announced.as_ref()]);
            self.expect(State::AwaitsAddress);
        }
    }

    fn say_capa(&mut self, shell: &mut dyn Shell) {
        self.say(shell, &[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"]);
        self.expect(State::AwaitsCapa);
    }

    fn say_psync(&mut self, shell: &mut dyn Shell) {
        let cached = self.link.as_ref().and_then(|link| link.cached.clone());
        match cached {
            Some((replid, offset)) => {
                let from = (offset + 1).to_string();
                self.say(shell, &[b"PSYNC", replid.as_bytes(), from.as_bytes()]);
            }
            None => self.say(shell, &[b"PSYNC", b"?", b"-1"]),
        }
        self.expect(State::AwaitsPsync);
    }

    fn psync_answered(&mut self, shell: &mut dyn Shell, text: &str) {
        let mut words = text.split(' ');
        match words.next() {
            Some("+FULLRESYNC") => {
                let replid = words.next().unwrap_or("").to_owned();
                let offset = words.next().and_then(|offset| offset.parse().ok());
                let (Some(offset), 40) = (offset, replid.len()) else {
                    self.link_failed(shell, "the upstream's FULLRESYNC is malformed");
                    return;
                };
                tracing::info!(%replid, offset, "full sync from the upstream");
                let Some(link) = &mut self.link else { return };
                (link.replid, link.offset, link.state) = (replid, offset, State::AwaitsSnapshot);
                self.update_upstream_view();
            }
            Some("+CONTINUE") => {
                let replid = words.next().map(str::to_owned);
                self.continues(shell, replid);
            }
            Some("-NOMASTERLINK" | "-LOADING") => {
                self.link_failed(shell, "the upstream cannot serve replicas yet");
            }
            _ => {
                tracing::info!(answer = %text, "the upstream knows no PSYNC: trying SYNC");
                self.say(shell, &[b"SYNC"]);
                let replid = self.fresh_id();
                let Some(link) = &mut self.link else { return };
                (link.replid, link.offset, link.state) = (replid, 0, State::AwaitsSnapshot);
            }
        }
    }

    /// A partial resync: the stream goes on where we stand.
    fn continues(&mut self, shell: &mut dyn Shell, replid: Option<String>) {
        let now_ms = self.shard.now.unix_ms;
        let Some(link) = &mut self.link else { return };
        let Some((cached, offset)) = link.cached.clone() else {
            self.link_failed(shell, "the upstream continues a history that we never had");
            return;
        };
        link.state = State::Streaming;
        link.down_since_ms = 0;
        link.next_ack_ms = now_ms;
        link.applier.cut();
        tracing::info!(offset, "partial resync with the upstream");
        let shards = self.shard.shared.shards;
        if let Some(replid) = replid.filter(|replid| *replid != cached && replid.len() == 40) {
            self.log.reset(|merged| merged.shift(replid));
            for shard in 0..shards {
                self.to(shard, Message::DropReplicas);
            }
        }
        self.shard
            .shared
            .stale
            .store(false, std::sync::atomic::Ordering::Relaxed);
        self.update_upstream_view();
    }

    fn snapshot_header(&mut self, shell: &mut dyn Shell) {
        let collections = self.collections();
        let shards = self.shard.shared.shards;
        let Some(link) = &mut self.link else { return };
        let Some(line) = link.line() else { return };
        if let Some(text) = line.strip_prefix(b"-") {
            let text = String::from_utf8_lossy(text).into_owned();
            self.link_failed(shell, &format!("the upstream refuses to sync: {text}"));
            return;
        }
        let ending = line
            .strip_prefix(b"$")
            .and_then(|rest| match rest.strip_prefix(b"EOF:") {
                Some(mark) => Some(Ending::Mark(mark.try_into().ok()?)),
                None => Some(Ending::Length(
                    std::str::from_utf8(rest).ok()?.parse().ok()?,
                )),
            });
        let Some(ending) = ending else {
            self.link_failed(shell, "the upstream's snapshot has no proper beginning");
            return;
        };
        link.ending = Some(ending);
        link.reader = Some(rdb::Reader::new(collections));
        link.snapshot_bytes = 0;
        link.stream_db = 0;
        link.batches = (0..shards).map(|_| Vec::new()).collect();
        link.state = State::Snapshot;
        self.read_snapshot(shell);
    }

    fn collections(&self) -> Collections {
        let settings = &self.shard.data.settings;
        Collections {
            hash_limits: settings.hash_limits,
            list_limits: settings.list_limits,
            set_limits: settings.set_limits,
            sorted_set_limits: settings.sorted_set_limits,
            seed: settings.seed,
        }
    }

    fn read_snapshot(&mut self, shell: &mut dyn Shell) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        let outcome = self.read_records(&mut link);
        self.link = Some(link);
        match outcome {
            Ok(false) => {}
            Ok(true) => self.snapshot_complete(),
            Err(reason) => self.link_failed(shell, &reason),
        }
        self.update_upstream_view();
    }

    /// Hands records to their shards. Whether the snapshot is complete.
    fn read_records(&mut self, link: &mut Link) -> Result<bool, String> {
        let reader = link.reader.as_mut().expect("a snapshot has a reader");
        let databases = self.shard.keyspace.databases();
        let data = std::mem::take(&mut link.received);
        link.snapshot_bytes += data.len() as u64;
        reader.push(&data);
        while let Some(event) = reader
            .next()
            .map_err(|error| format!("the snapshot: {error}"))?
        {
            let record = match event {
                rdb::Event::Entry(record) => record,
                rdb::Event::Aux { name, value } if name == b"repl-stream-db" => {
                    // A relay's stream goes on in the middle, without a SELECT.
                    let db = crate::value::number::parse_i64(&value);
                    let db = db.and_then(|db| usize::try_from(db).ok());
                    link.stream_db = db.filter(|db| *db < databases).unwrap_or(0);
                    continue;
                }
                _ => continue,
            };
            if record.db >= databases {
                return Err(format!("the snapshot has a key in database {}", record.db));
            }
            let owner = self.shard.shared.owner(&record.key);
            let clock = self.shard.keyspace.clock();
            let access = clock.restored(record.idle_s, record.freq);
            let mut entry = Entry::new(&record.key, record.value, record.expire_at_ms);
            if let Some(access) = access {
                entry.set_access(access);
            }
            link.batches[owner].push((record.db, entry));
            if link.batches[owner].len() >= LOAD_BATCH {
                let entries = std::mem::take(&mut link.batches[owner]);
                self.to(owner, Message::Load { entries });
            }
        }
        if !reader.is_done() {
            return Ok(false);
        }
        let rest = reader.rest();
        let after = match link.ending.as_ref().expect("its header said how it ends") {
            Ending::Length(length) => {
                let read = link.snapshot_bytes - rest.len() as u64;
                if read != *length {
                    return Err(format!(
                        "the snapshot has {read} bytes, {length} were announced"
                    ));
                }
                rest.to_vec()
            }
            Ending::Mark(mark) => match rest.split_first_chunk::<40>() {
                None => return Ok(false),
                Some((found, after)) if found == mark => after.to_vec(),
                Some(_) => return Err("the snapshot's end mark is not the announced one".into()),
            },
        };
        link.reader = None;
        link.received = after;
        for owner in 0..link.batches.len() {
            let entries = std::mem::take(&mut link.batches[owner]);
            self.to(owner, Message::Load { entries });
        }
        Ok(true)
    }

    fn snapshot_complete(&mut self) {
        let Some(link) = &mut self.link else { return };
        link.state = State::Adopting;
        let change = Change::Adopt {
            replid: link.replid.clone(),
            offset: link.offset,
        };
        tracing::info!(
            bytes = link.snapshot_bytes,
            "the upstream's dataset is here"
        );
        let barrier = RoleBarrier {
            change,
            clients: Vec::new(),
            tx: None,
            missing: 0,
        };
        self.role_queue.push_back(barrier);
    }

    /// The dataset is in place: the stream begins.
    pub(super) fn link_adopted(&mut self, offset: u64) {
        let now_ms = self.shard.now.unix_ms;
        let shards = self.shard.shared.shards;
        let Some(link) = &mut self.link else { return };
        if link.state != State::Adopting {
            return;
        }
        link.state = State::Streaming;
        link.last_io_ms = now_ms;
        link.down_since_ms = 0;
        link.applier = Applier::new(offset, link.stream_db, shards);
        link.ack_now = true;
        if link.conn.is_none() {
            self.link_lost("the connection was closed after the dataset");
        }
        self.update_upstream_view();
    }

    /// Entries of the snapshot, at their owner.
    pub(super) fn load(&mut self, entries: Vec<(usize, Entry)>) {
        if self.staging.is_none() {
            self.staging = Some(self.shard.empty_keyspace());
        }
        let staging = self.staging.as_mut().expect("it was just made");
        for (db, entry) in entries {
            staging.db_mut(db).insert(entry);
        }
    }

    /// Gives the connection up and tries again later.
    pub(super) fn link_failed(&mut self, shell: &mut dyn Shell, reason: &str) {
        let conn = self.link.as_ref().and_then(|link| link.conn);
        self.link_lost(reason);
        if let Some(conn) = conn {
            self.shard.disconnect(shell, conn, false);
        }
    }

    /// The connection is gone; what was applied is remembered, to go on from there.
    pub(super) fn link_lost(&mut self, reason: &str) {
        let now_ms = self.shard.now.unix_ms;
        let Some(link) = &mut self.link else { return };
        tracing::warn!(
            host = %link.host, port = link.port, %reason,
            "the link to the upstream is down"
        );
        if link.state == State::Snapshot {
            for shard in 0..self.shard.shared.shards {
                self.to(shard, Message::LoadFailed);
            }
        }
        let Some(link) = &mut self.link else { return };
        if link.state == State::Adopting {
            // The dataset is whole and will be adopted; the stream is fetched anew after that.
            link.conn = None;
            return;
        }
        if link.state == State::Streaming {
            let merged = self.log.lock();
            link.cached = Some((merged.replid.clone(), merged.end()));
        }
        link.conn = None;
        link.state = State::Idle;
        link.retry_ms = now_ms + RETRY_MS;
        // Attempts that fail do not make it any younger.
        if link.down_since_ms == 0 {
            link.down_since_ms = now_ms.max(1);
        }
        link.received.clear();
        link.applier.cut();
        link.reader = None;
        self.shard
            .shared
            .stale
            .store(true, std::sync::atomic::Ordering::Relaxed);
        self.update_upstream_view();
    }

    /// Ends the link for good (REPLICAOF elsewhere, promotion).
    pub(super) fn drop_link(&mut self, shell: &mut dyn Shell) {
        let Some(link) = self.link.take() else { return };
        self.last_link_db = Some(link.applier.whole_db());
        if let Some(conn) = link.conn {
            self.shard.disconnect(shell, conn, false);
        }
        if matches!(link.state, State::Snapshot | State::Adopting) {
            // A dataset that still waits for its barrier is the dropped upstream's: nobody wants
            // it.
            self.role_queue
                .retain(|barrier| !matches!(barrier.change, Change::Adopt { .. }));
            for shard in 0..self.shard.shared.shards {
                self.to(shard, Message::LoadFailed);
            }
        }
        self.log.lock().upstream = None;
    }

    /// Puts what INFO shows of the link into the log's view.
    pub(super) fn update_upstream_view(&mut self) {
        let now_ms = self.shard.now.unix_ms;
        let Some(link) = &self.link else { return };
        let up = link.state == State::Streaming;
        let syncing = matches!(
            link.state,
            State::AwaitsSnapshot | State::Snapshot | State::Adopting
        );
        let total = match link.ending {
            Some(Ending::Length(length)) => length as i64,
            _ => 0,
        };
        let view = UpstreamView {
            host: link.host.clone(),
            port: link.port,
            state: match link.state {
                State::Idle | State::Resolving => "connect",
                State::Connecting => "connecting",
                State::Streaming => "connected",
                _ if syncing => "sync",
                _ => "handshake",
            },
            link_up: up,
            last_io_s: if link.conn.is_some() {
                (link.silent_ms(now_ms) / 1000) as i64
            } else {
                -1
            },
            sync_in_progress: syncing,
            sync_total_bytes: total,
            sync_read_bytes: link.snapshot_bytes as i64,
            down_since_s: match link.down_since_ms {
                _ if up => -1,
                0 => -1,
                since => (now_ms.saturating_sub(since) / 1000) as i64,
            },
            read_repl_offset: 0,
            applied_offset: link.applier.applied as i64,
        };
        let mut merged = self.log.lock();
        let read = merged.end() as i64;
        merged.upstream = Some(UpstreamView {
            read_repl_offset: read,
            ..view
        });
    }

    /// Says what was applied: once a second, and when asked.
    pub(super) fn acknowledge(&mut self, shell: &mut dyn Shell) {
        let now_ms = self.shard.now.unix_ms;
        let Some(link) = &mut self.link else { return };
        if link.state != State::Streaming || !(link.ack_now || now_ms >= link.next_ack_ms) {
            return;
        }
        link.ack_now = false;
        link.next_ack_ms = now_ms + 1000;
        let applied = link.applier.applied.to_string();
        self.say(shell, &[b"REPLCONF", b"ACK", applied.as_bytes()]);
        self.update_upstream_view();
    }
}
