//! The link to the upstream: handshake, reconnection. `dataset` takes over where a full sync
//! begins, `apply` where the stream does.

use std::sync::atomic::Ordering;

use super::Node;
use super::apply::Applier;
use super::dataset::{Dataset, Ending};
use super::message::Message;
use super::role::Change;
use crate::protocol::encode;
use crate::shard::client::Class;
use crate::shard::shared::UpstreamView;
use crate::shard::shell::{Chunk, ConnId, Shell};

/// Time between two attempts to connect, milliseconds.
const RETRY_MS: u64 = 1000;
/// The capability by which a replica asks how deep in the tree its upstream is; whoever does not
/// know it ignores it.
pub(super) const DEPTH_CAPA: &str = "banyan-depth";
/// The answer to it, with the depth behind it.
pub(super) const DEPTH_ANSWER: &str = "+OK depth=";
/// What is believed of an upstream.
const DEPTH_MAX: u32 = 1 << 16;
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
    /// It is whole, on disk, and is being loaded.
    Loading,
    /// The dataset is whole; the shards take it over.
    Adopting,
    Streaming,
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
    /// The snapshot of a full sync.
    pub dataset: Dataset,
    /// The stream.
    pub applier: Applier,
    next_ack_ms: u64,
    pub ack_now: bool,
    /// What INFO shows: the end of what was read, and of what is applied.
    shown: (u64, u64),
    /// FAILOVER: the upstream is our replica, and asked to become our primary.
    pub asks_to_take_over: bool,
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
            dataset: Dataset::default(),
            applier,
            next_ack_ms: 0,
            ack_now: false,
            shown: (0, 0),
            asks_to_take_over: false,
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
            State::Streaming | State::Loading => Some(self.next_ack_ms),
            _ => Some(self.last_io_ms + 1000),
        }
    }

    /// A line of the handshake, without its end; empty ones are keepalives.
    pub fn line(&mut self) -> Option<Vec<u8>> {
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
        if let Some(link) = &mut self.link
            && !link.received.is_empty()
        {
            link.last_io_ms = now_ms;
        }
        self.drive_delay(shell);
        self.run_waiting(shell);
        let Some(link) = &mut self.link else { return };
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
            State::Loading => self.keep_upstream_waiting(shell),
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

    /// While a dataset is loaded: a newline once a second tells the upstream that we live.
    fn keep_upstream_waiting(&mut self, shell: &mut dyn Shell) {
        let now_ms = self.shard.now.unix_ms;
        let Some(link) = &mut self.link else { return };
        if let Some(conn) = link.conn.filter(|_| now_ms >= link.next_ack_ms) {
            link.next_ack_ms = now_ms + 1000;
            shell.send(conn, Chunk::Bytes(bytes::Bytes::from_static(b"\n")));
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
            State::AwaitsCapa => {
                let told = text
                    .strip_prefix(DEPTH_ANSWER)
                    .and_then(|told| told.parse().ok());
                // Others do not tell; they are taken for the top.
                self.set_depth(1 + told.unwrap_or(0u32).min(DEPTH_MAX));
                self.say_psync(shell);
            }
            State::AwaitsPsync => self.psync_answered(shell, &text),
            _ => {}
        }
    }

    /// Our place in the tree, as far as it is known; replicas that were told another come back to
    /// hear of it, which costs a partial resync.
    pub(super) fn set_depth(&mut self, depth: u32) {
        let shared = self.shard.shared.clone();
        if shared.depth.swap(depth, Ordering::Relaxed) != depth {
            for shard in 0..shared.shards {
                self.to(shard, Message::DepthChanged);
            }
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
        let mut request: Vec<&[u8]> = vec![b"REPLCONF"];
        for capability in ["eof", "psync2", DEPTH_CAPA] {
            request.extend([&b"capa"[..], capability.as_bytes()]);
        }
        self.say(shell, &request);
        self.expect(State::AwaitsCapa);
    }

    fn say_psync(&mut self, shell: &mut dyn Shell) {
        let Some(link) = &self.link else { return };
        let take_over = link.asks_to_take_over;
        match link.cached.clone() {
            Some((replid, offset)) => {
                let from = (offset + 1).to_string();
                let mut request: Vec<&[u8]> = vec![b"PSYNC", replid.as_bytes(), from.as_bytes()];
                if take_over {
                    request.push(b"FAILOVER");
                }
                self.say(shell, &request);
            }
            None => self.say(shell, &[b"PSYNC", b"?", b"-1"]),
        }
        self.expect(State::AwaitsPsync);
    }

    fn psync_answered(&mut self, shell: &mut dyn Shell, text: &str) {
        let mut words = text.split(' ');
        let asked = self
            .link
            .as_ref()
            .is_some_and(|link| link.asks_to_take_over);
        match words.next() {
            first if asked && first != Some("+CONTINUE") => {
                self.link_failed(shell, &format!("the heir refuses to take over: {text}"));
                self.abort_failover("the heir refuses to take over");
            }
            Some("+FULLRESYNC") => {
                let replid = words.next().unwrap_or("").to_owned();
                let offset = words.next().and_then(|offset| offset.parse().ok());
                let (Some(offset), 40) = (offset, replid.len()) else {
                    self.link_failed(shell, "the upstream's FULLRESYNC is malformed");
                    return;
                };
                tracing::info!(%replid, offset, "full sync from the upstream");
                let Some(link) = &mut self.link else { return };
                (link.dataset.replid, link.dataset.offset) = (replid, offset);
                link.state = State::AwaitsSnapshot;
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
                (link.dataset.replid, link.dataset.offset) = (replid, 0);
                link.state = State::AwaitsSnapshot;
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
        match self.delay.active {
            true => self.delay.cut(),
            false => link.applier.cut(),
        }
        tracing::info!(offset, "partial resync with the upstream");
        self.failover_over();
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

    /// The dataset is in place: the stream begins.
    pub(super) fn link_adopted(&mut self, offset: u64, shell: &mut dyn Shell) {
        self.end_loading();
        let now_ms = self.shard.now.unix_ms;
        let shards = self.shard.shared.shards;
        let Some(link) = &mut self.link else { return };
        if link.state != State::Adopting {
            return;
        }
        // The dataset is at most as old as this.
        self.delay.last_applied_ms = now_ms;
        link.state = State::Streaming;
        if let Some(conn) = link.conn {
            shell.resume(conn);
        }
        link.last_io_ms = now_ms;
        link.down_since_ms = 0;
        link.applier = Applier::new(offset, link.dataset.stream_db, shards);
        link.ack_now = true;
        if link.conn.is_none() {
            self.link_lost(shell, "the connection was closed after the dataset");
        }
        self.update_upstream_view();
    }

    /// Gives the connection up and tries again later.
    pub(super) fn link_failed(&mut self, shell: &mut dyn Shell, reason: &str) {
        let conn = self.link.as_ref().and_then(|link| link.conn);
        self.link_lost(shell, reason);
        if let Some(conn) = conn {
            self.shard.disconnect(shell, conn, false);
        }
    }

    /// The connection is gone; what was applied is remembered, to go on from there.
    pub(super) fn link_lost(&mut self, shell: &mut dyn Shell, reason: &str) {
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
            self.end_loading();
        }
        let Some(link) = &mut self.link else { return };
        if link.state == State::Snapshot {
            link.dataset.give_up(shell);
        }
        if matches!(link.state, State::Loading | State::Adopting) {
            // The dataset is whole and will be adopted; the stream is fetched anew after that.
            link.conn = None;
            return;
        }
        if link.state == State::Streaming {
            let merged = self.log.lock();
            link.cached = Some((merged.replid.clone(), merged.end()));
        }
        link.conn = None;
        // A stream that broke off is taken up at once; an attempt that failed is made again later.
        let delay_ms = if link.state == State::Streaming {
            0
        } else {
            RETRY_MS
        };
        link.state = State::Idle;
        link.retry_ms = now_ms + delay_ms;
        // Attempts that fail do not make it any younger.
        if link.down_since_ms == 0 {
            link.down_since_ms = now_ms.max(1);
        }
        link.received.clear();
        match self.delay.active {
            // What waits to be applied is none of the connection's business.
            true => self.delay.cut(),
            false => link.applier.cut(),
        }
        self.shard
            .shared
            .stale
            .store(true, std::sync::atomic::Ordering::Relaxed);
        self.update_upstream_view();
    }

    /// Ends the link for good (REPLICAOF elsewhere, promotion).
    pub(super) fn drop_link(&mut self, shell: &mut dyn Shell) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        let mut dataset = std::mem::take(&mut link.dataset);
        self.last_link_db = Some(link.applier.whole_db());
        let (applied, conn, state) = (link.applier.applied, link.conn, link.state);
        self.last_applied = applied;
        if self.delay.active {
            self.delay.cut();
            self.delay.parked = Some(link.applier);
        }
        if let Some(conn) = conn {
            self.shard.disconnect(shell, conn, false);
        }
        if matches!(state, State::Snapshot | State::Loading | State::Adopting) {
            dataset.give_up(shell);
            if dataset.emptied {
                // Without the data there is no history to go on from.
                self.end_history();
            }
            self.end_loading();
            // A dataset that still waits for its barrier is the dropped upstream's: nobody wants
            // it.
            self.role_queue
                .retain(|barrier| !matches!(barrier.change, Change::Adopt { .. } | Change::Empty));
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
            State::AwaitsSnapshot | State::Snapshot | State::Loading | State::Adopting
        );
        let total = match link.dataset.ending {
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
            sync_read_bytes: link.dataset.bytes as i64,
            down_since_s: match link.down_since_ms {
                _ if up => -1,
                0 => -1,
                since => (now_ms.saturating_sub(since) / 1000) as i64,
            },
            read_repl_offset: 0,
            applied_offset: link.applier.applied as i64,
            delay: self.delay_view(),
        };
        let mut merged = self.log.lock();
        let read = merged.end() as i64;
        merged.upstream = Some(UpstreamView {
            read_repl_offset: read,
            ..view
        });
    }

    /// Shows how far the stream has come as soon as it has: whoever compares replicas, to
    /// promote the best of them, looks at what they were a moment ago otherwise.
    pub(super) fn show_progress(&mut self) {
        let Some(link) = &mut self.link else { return };
        let progress = (self.log.end_seen(), link.applier.applied);
        // What is delayed is applied whether the link is up or not.
        let moves = link.state == State::Streaming || self.delay.active;
        if !moves || link.shown == progress {
            return;
        }
        link.shown = progress;
        if let Some(upstream) = &mut self.log.lock().upstream {
            upstream.read_repl_offset = progress.0 as i64;
            upstream.applied_offset = progress.1 as i64;
        }
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
