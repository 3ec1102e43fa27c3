//! A simulated process: its nodes, and the shell that each of them sees.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use banyan::config::{Config, ProtectedAction, SetContext};
use banyan::replication::{Node, log::Log, random_id};
use banyan::shard::connection::Origin;
use banyan::shard::shared::{Process as Facts, Shared};
use banyan::shard::shell::{Chunk, ConnId, Now, Shell, Spool, Spooled};
use banyan::shard::{Shard, Sleep};

use crate::model::{Cursor, DATABASES, Model};
use crate::network::{End, Network, Wire};
use crate::random::Random;

/// Wall clock at virtual time 0, milliseconds.
pub const START_UNIX_MS: u64 = 1_700_000_000_000;
/// From this size on snapshots take values in slices in half of the processes, bytes.
const SLICED_BYTES_MIN: usize = 2048;
/// Port of process 0.
pub const PORT: u16 = 7000;

/// An outgoing connection that is being made.
pub struct Connecting {
    pub due_us: u64,
    pub process: usize,
    pub incarnation: u32,
    pub shard: usize,
    pub conn: ConnId,
    pub port: u16,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    used: bool,
    wire: Option<(Wire, usize)>,
}

/// Connections of one shard.
#[derive(Default)]
struct Slots(Vec<Slot>);

impl Slots {
    fn allocate(&mut self) -> ConnId {
        let free = self.0.iter().position(|slot| !slot.used);
        let index = free.unwrap_or_else(|| {
            self.0.push(Slot::default());
            self.0.len() - 1
        });
        let slot = &mut self.0[index];
        slot.used = true;
        slot.generation += 1;
        ConnId {
            index: index as u32,
            generation: slot.generation,
        }
    }

    fn get(&self, conn: ConnId) -> Option<&Slot> {
        let slot = self.0.get(conn.index as usize)?;
        (slot.used && slot.generation == conn.generation).then_some(slot)
    }

    fn wire(&self, conn: ConnId) -> Option<(Wire, usize)> {
        self.get(conn)?.wire
    }

    fn free(&mut self, conn: ConnId) {
        if self.get(conn).is_some() {
            let slot = &mut self.0[conn.index as usize];
            slot.used = false;
            slot.wire = None;
        }
    }
}

/// When a shard ticks next.
#[derive(Clone, Copy, Debug)]
struct Wake {
    /// It was woken, something came in, or it asked to go on at once.
    now: bool,
    deadline_us: u64,
}

/// A process that runs.
pub struct Running {
    pub nodes: Vec<Node>,
    pub shared: Arc<Shared>,
    pub log: Arc<Log>,
    slots: Vec<Slots>,
    wakes: Vec<Wake>,
    /// Shard for the next connection.
    next_shard: usize,
    spools: Spools,
    /// Shards that have ended.
    ended: Vec<bool>,
}

/// A process, running or not.
pub struct Process {
    pub id: usize,
    pub running: Option<Running>,
    pub incarnation: u32,
    /// Whom it follows, as was last asked for.
    pub upstream: Option<usize>,
    /// Nothing of it runs before this time.
    pub frozen_us: u64,
    pub restart_us: u64,
    /// Whether it was a primary after its last tick.
    pub was_primary: bool,
    pub cursor: Cursor,
    /// Further directives of its configuration.
    pub directives: Vec<(&'static str, &'static str)>,
    /// The dataset's file, which outlives it.
    disk: Option<Vec<u8>>,
    /// Starts that found one.
    pub loads: usize,
}

/// Spool files, as bytes in memory. Only one has a name in the end, the dataset's.
#[derive(Default)]
pub struct Spools(std::collections::BTreeMap<(usize, u64), Vec<u8>>);

impl Spools {
    fn carry_out(
        &mut self,
        name: (usize, u64),
        wish: Spool,
        disk: &mut Option<Vec<u8>>,
    ) -> Option<Spooled> {
        match wish {
            Spool::Create | Spool::CreateAt(_) => {
                assert!(self.0.insert(name, Vec::new()).is_none(), "it is new");
                None
            }
            Spool::Append(pieces) => {
                let file = self.0.get_mut(&name).expect("a file that was made");
                pieces
                    .iter()
                    .for_each(|piece| file.extend_from_slice(piece));
                Some(Spooled::Appended(
                    pieces.iter().map(|p| p.len() as u64).sum(),
                ))
            }
            Spool::Read { offset, len } => {
                let from = offset as usize;
                let read = bytes::Bytes::copy_from_slice(&self.0[&name][from..from + len]);
                Some(Spooled::Read(read))
            }
            Spool::Remove => {
                self.0.remove(&name).expect("a file that was made");
                None
            }
            Spool::Open(_) => {
                let file = disk.clone().expect("a file that is there");
                let len = file.len() as u64;
                self.0.insert(name, file);
                Some(Spooled::Opened(len))
            }
            Spool::Keep(_) => {
                *disk = self.0.remove(&name);
                Some(Spooled::Kept)
            }
        }
    }
}

/// The process that may apply its upstream's stream later; it is nobody's heir.
pub const DELAYED: usize = 4;

/// The shell of one shard during one call.
struct Outside<'a> {
    network: &'a mut Network,
    connecting: &'a mut Vec<Connecting>,
    /// Hosts to be looked up.
    lookups: Vec<(u64, String)>,
    /// What was wished of spool files.
    wishes: Vec<(u64, Spool)>,
    slots: &'a mut Slots,
    wakes: &'a mut [Wake],
    closed: Vec<ConnId>,
    process: usize,
    incarnation: u32,
    shard: usize,
    now_us: u64,
    delay_us: u64,
}

impl Shell for Outside<'_> {
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        let Some((wire, side)) = self.slots.wire(conn) else {
            return;
        };
        match chunk {
            Chunk::Vec(bytes) => self.network.send(wire, side, &bytes),
            Chunk::Bytes(bytes) => self.network.send(wire, side, &bytes),
        }
    }

    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn queued(&self, conn: ConnId) -> usize {
        let wire = self.slots.wire(conn);
        wire.map_or(0, |(wire, side)| self.network.queued(wire, side))
    }

    fn close_after_flush(&mut self, conn: ConnId) {
        match self.slots.wire(conn) {
            Some((wire, side)) => self.network.finish(wire, side),
            None => self.closed.push(conn),
        }
    }

    fn close_now(&mut self, conn: ConnId) {
        if self.slots.get(conn).is_some() {
            self.closed.push(conn);
        }
    }

    fn pause(&mut self, conn: ConnId) {
        if let Some((wire, side)) = self.slots.wire(conn) {
            self.network.pause(wire, side, true);
        }
    }

    fn resume(&mut self, conn: ConnId) {
        if let Some((wire, side)) = self.slots.wire(conn) {
            self.network.pause(wire, side, false);
        }
    }

    fn resolve(&mut self, token: u64, host: &str) {
        self.lookups.push((token, host.to_owned()));
    }

    fn connect(&mut self, _address: &str, port: u16, _source: &str) -> ConnId {
        let conn = self.slots.allocate();
        self.connecting.push(Connecting {
            due_us: self.now_us + self.delay_us,
            process: self.process,
            incarnation: self.incarnation,
            shard: self.shard,
            conn,
            port,
        });
        conn
    }

    fn gather_packets(&mut self, _conn: ConnId, _on: bool) {}

    fn rewrite(&mut self, _token: u64, _config: Arc<Config>) {
        panic!("simulated processes have no configuration file");
    }

    fn spool(&mut self, file: u64, wish: Spool) {
        self.wishes.push((file, wish));
    }

    fn wake(&mut self, shard: usize) {
        self.wakes[shard].now = true;
    }
}

/// The parts of the world that a process's events may change.
pub struct Around<'a> {
    pub network: &'a mut Network,
    pub connecting: &'a mut Vec<Connecting>,
    pub rng: &'a mut Random,
    pub now_us: u64,
}

/// The wall and monotonic clocks at a virtual time.
pub fn clock(now_us: u64) -> Now {
    Now {
        unix_ms: START_UNIX_MS + now_us / 1000,
        mono_ns: now_us * 1000,
    }
}

/// The configuration of a process, some of it by chance.
fn configuration(
    id: usize,
    strict: bool,
    upstream: Option<usize>,
    directives: &[(&'static str, &'static str)],
    rng: &mut Random,
) -> Config {
    let mut config = Config::default();
    let databases = DATABASES.to_string();
    let port = (PORT + id as u16).to_string();
    let backlog = *rng.pick(&["16384", "65536", "1048576"]);
    let delay = *rng.pick(&["0", "0", "1"]);
    let order = if strict { "strict" } else { "relaxed" };
    let timeout = *rng.pick(&["4", "60"]);
    let mut words = vec![
        ("repl-backlog-size", backlog),
        ("repl-diskless-sync-delay", delay),
        ("pipeline-order", order),
        ("repl-ping-replica-period", "1"),
        ("repl-timeout", timeout),
        ("hash-max-listpack-entries", "4"),
    ];
    if rng.one_in(4) {
        words.push(("client-output-buffer-limit", "replica 65536 32768 1"));
    }
    let load = *rng.pick(&["disabled", "swapdb", "on-empty-db"]);
    words.push(("repl-diskless-load", load));
    let straight = *rng.pick(&["yes", "yes", "no"]);
    words.push(("repl-diskless-sync", straight));
    if id == DELAYED && rng.one_in(2) {
        words.push(("replica-apply-delay", *rng.pick(&["1", "50", "700"])));
        // Little enough that some of it goes to disk, and some of that too much for it.
        words.push((
            "replica-apply-delay-memory",
            *rng.pick(&["1024", "1048576"]),
        ));
        words.push((
            "replica-apply-delay-disk",
            *rng.pick(&["1048576", "2097152", "1gb"]),
        ));
    }
    words.extend(directives);
    let words: Vec<&[u8]> = words
        .iter()
        .flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()])
        .collect();
    let set = config.set(&words, SetContext::default());
    set.expect("the directives are valid");
    config.databases = databases.parse().expect("a number");
    config.port = port.parse().expect("a number");
    config.enable_debug_command = ProtectedAction::Yes;
    config.replicaof = upstream.map(|upstream| banyan::config::Upstream {
        host: "10.0.0.1".to_owned(),
        port: PORT + upstream as u16,
    });
    config
}

impl Process {
    pub fn new(id: usize) -> Self {
        Process {
            id,
            running: None,
            incarnation: 0,
            upstream: None,
            frozen_us: 0,
            restart_us: u64::MAX,
            was_primary: false,
            cursor: Cursor::default(),
            directives: Vec::new(),
            disk: None,
            loads: 0,
        }
    }

    /// Starts it, with what its disk holds.
    pub fn start(&mut self, strict: bool, now_us: u64, rng: &mut Random) {
        assert!(self.running.is_none(), "it runs already");
        self.incarnation += 1;
        self.loads += usize::from(self.disk.is_some());
        self.restart_us = u64::MAX;
        self.was_primary = false;
        let config = configuration(self.id, strict, self.upstream, &self.directives, rng);
        let shards = 1 + rng.below(4);
        let mut ids = banyan::command::Rng::new(rng.next());
        let limit = config.repl_backlog_size;
        let log = Arc::new(Log::new(shards, random_id(&mut ids), limit));
        let facts = Facts {
            run_id: random_id(&mut ids),
            pid: 100 + self.id as u32,
            os: "simulated".to_owned(),
            io: "simulated",
            started_unix_ms: clock(now_us).unix_ms,
            has_dataset: self.disk.is_some(),
            seed: std::array::from_fn(|_| rng.next()),
            ..Facts::default()
        };
        let shared = Arc::new(Shared::new(config, shards, log.clone(), facts));
        let mut nodes: Vec<Node> = (0..shards)
            .map(|id| Node::new(id, shared.clone(), log.clone(), rng.next()))
            .collect();
        if shared.process.seed[0] & 1 == 0 {
            // Snapshots take what is large in slices, and this is what is large here.
            for node in &mut nodes {
                node.shard.keyspace.set_sliced_bytes_min(SLICED_BYTES_MIN);
            }
        }
        self.running = Some(Running {
            nodes,
            shared,
            log,
            slots: (0..shards).map(|_| Slots::default()).collect(),
            wakes: vec![
                Wake {
                    now: true,
                    deadline_us: 0
                };
                shards
            ],
            next_shard: rng.below(shards),
            spools: Spools::default(),
            ended: vec![false; shards],
        });
    }

    /// Calls a node with its shell; reports the closes that the node asked for.
    fn with<R>(
        &mut self,
        shard: usize,
        around: &mut Around<'_>,
        f: impl FnOnce(&mut Node, &mut dyn Shell) -> R,
    ) -> R {
        let running = self.running.as_mut().expect("only what runs is called");
        let mut shell = Outside {
            network: around.network,
            connecting: around.connecting,
            lookups: Vec::new(),
            wishes: Vec::new(),
            slots: &mut running.slots[shard],
            wakes: &mut running.wakes,
            closed: Vec::new(),
            process: self.id,
            incarnation: self.incarnation,
            shard,
            now_us: around.now_us,
            delay_us: around.rng.range(10, 2000),
        };
        let node = &mut running.nodes[shard];
        let result = f(node, &mut shell);
        for (token, host) in std::mem::take(&mut shell.lookups) {
            shell.wakes[shard].now = true;
            node.resolved(&mut shell, token, Ok(vec![host]));
        }
        while !shell.wishes.is_empty() {
            for (file, wish) in std::mem::take(&mut shell.wishes) {
                if let Some(outcome) = running
                    .spools
                    .carry_out((shard, file), wish, &mut self.disk)
                {
                    shell.wakes[shard].now = true;
                    node.spooled(&mut shell, file, outcome);
                }
            }
        }
        for conn in shell.closed {
            self.close(shard, conn, around);
        }
        result
    }

    /// A connection ends, and its node hears of it.
    fn close(&mut self, shard: usize, conn: ConnId, around: &mut Around<'_>) {
        let running = self.running.as_mut().expect("only what runs is called");
        if let Some((wire, side)) = running.slots[shard].wire(conn) {
            around.network.close(wire, side, around.now_us);
        }
        if running.slots[shard].get(conn).is_some() {
            running.wakes[shard].now = true;
            running.slots[shard].free(conn);
            self.with(shard, around, |node, shell| node.closed(shell, conn));
        }
    }

    /// Ticks one shard.
    pub fn tick(&mut self, shard: usize, around: &mut Around<'_>) {
        let running = self.running.as_mut().expect("only what runs is called");
        running.wakes[shard].now = false;
        let now = clock(around.now_us);
        let sleep = self.with(shard, around, |node, shell| node.tick(shell, now));
        let running = self.running.as_mut().expect("it still runs");
        let wake = &mut running.wakes[shard];
        match sleep {
            Sleep::Poll => wake.now = true,
            Sleep::ForMs(ms) => wake.deadline_us = around.now_us + ms.max(1) * 1000,
            Sleep::Exit => panic!("a shard of process {} wants to end", self.id),
        }
        // The shell's duty, as in the server.
        if running.shared.shutdown.load(Ordering::Acquire) {
            let failure = running.shared.failure.get();
            assert!(failure.is_none(), "process {}: {failure:?}", self.id);
            running.ended[shard] = true;
        }
        self.check_wakes();
    }

    /// A shard for which something waits is never left to its timer.
    fn check_wakes(&self) {
        let running = self.running.as_ref().expect("it runs");
        for (shard, wake) in running.wakes.iter().enumerate() {
            let waits = !running.shared.mailboxes[shard].is_empty() && !running.ended[shard];
            let id = self.id;
            assert!(
                !waits || wake.now,
                "shard {shard} of process {id} was not woken"
            );
        }
        let unmerged = running.log.has_unmerged();
        assert!(
            !unmerged || running.wakes[0].now || running.ended[0],
            "nobody merges in process {}",
            self.id
        );
    }

    /// Whether all of its shards have ended.
    pub fn has_ended(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| running.ended.iter().all(|ended| *ended))
    }

    /// Shards whose tick is due; otherwise when one is.
    pub fn due(&self, now_us: u64, due: &mut Vec<(usize, usize)>) -> u64 {
        let Some(running) = &self.running else {
            return self.restart_us;
        };
        if self.frozen_us > now_us {
            return self.frozen_us;
        }
        let mut next = u64::MAX;
        for (shard, wake) in running.wakes.iter().enumerate() {
            if running.ended[shard] {
                continue;
            }
            if wake.now || wake.deadline_us <= now_us {
                due.push((self.id, shard));
            } else {
                next = next.min(wake.deadline_us);
            }
        }
        next
    }

    /// A peer connects: the connection goes to the next shard.
    pub fn accept(&mut self, from: End, around: &mut Around<'_>) -> Wire {
        let running = self.running.as_mut().expect("only what runs accepts");
        let shard = running.next_shard;
        running.next_shard = (shard + 1) % running.nodes.len();
        let conn = running.slots[shard].allocate();
        let here = End::Shard {
            process: self.id,
            shard,
            conn,
        };
        let wire = around.network.open(from, here);
        running.slots[shard].0[conn.index as usize].wire = Some((wire, 1));
        running.wakes[shard].now = true;
        let origin = Origin {
            peer: format!("127.0.0.1:{}", 20000 + wire),
            local: format!("127.0.0.1:{PORT}"),
            is_local: true,
            is_unix: false,
        };
        self.with(shard, around, |node, shell| {
            node.shard.accepted(shell, conn, origin);
        });
        wire
    }

    /// An outgoing connection was made, or was refused.
    pub fn connected(
        &mut self,
        shard: usize,
        conn: ConnId,
        wire: Option<Wire>,
        around: &mut Around<'_>,
    ) {
        let running = self.running.as_mut().expect("only what runs is called");
        if running.slots[shard].get(conn).is_none() {
            if let Some(wire) = wire {
                around.network.close(wire, 0, around.now_us);
            }
            return;
        }
        running.wakes[shard].now = true;
        running.slots[shard].0[conn.index as usize].wire = wire.map(|wire| (wire, 0));
        let result = wire.map(|_| ()).ok_or_else(|| "refused".to_owned());
        if result.is_err() {
            running.slots[shard].free(conn);
        }
        self.with(shard, around, |node, shell| {
            node.connected(shell, conn, result);
        });
    }

    /// Bytes arrive; none: the peer has closed.
    pub fn received(&mut self, shard: usize, conn: ConnId, data: &[u8], around: &mut Around<'_>) {
        if data.is_empty() {
            self.ended(shard, conn, around);
            return;
        }
        let running = self.running.as_mut().expect("only what runs is called");
        running.wakes[shard].now = true;
        self.with(shard, around, |node, shell| {
            node.received(shell, conn, data)
        });
    }

    /// The peer is gone.
    pub fn ended(&mut self, shard: usize, conn: ConnId, around: &mut Around<'_>) {
        let running = self.running.as_mut().expect("only what runs is called");
        running.wakes[shard].now = true;
        if running.slots[shard].wire(conn).is_some() {
            self.close(shard, conn, around);
        }
    }

    /// The kernel took output.
    pub fn sent(&mut self, shard: usize, conn: ConnId, around: &mut Around<'_>) {
        let running = self.running.as_mut().expect("only what runs is called");
        running.wakes[shard].now = true;
        self.with(shard, around, |node, shell| node.sent(shell, conn));
    }

    /// Everything that it holds.
    pub fn dataset(&self) -> Model {
        let running = self.running.as_ref().expect("only what runs has data");
        Model::of(running.nodes.iter().map(|node| &node.shard))
    }

    /// Whether no shard has anything under way.
    pub fn is_at_rest(&self) -> bool {
        let Some(running) = &self.running else {
            return false;
        };
        let rests =
            |shard: &Shard| shard.is_at_rest() && running.shared.mailboxes[shard.id].is_empty();
        running.nodes.iter().all(|node| rests(&node.shard)) && !running.log.has_unmerged()
    }

    /// What is under way, for a failure's report.
    pub fn describe(&self) -> BTreeMap<&'static str, String> {
        let mut out = BTreeMap::new();
        let Some(running) = &self.running else {
            return out;
        };
        let rests: Vec<bool> = (running.nodes.iter())
            .map(|node| node.shard.is_at_rest())
            .collect();
        let merged = running.log.lock();
        out.insert("shards at rest", format!("{rests:?}"));
        out.insert("replid", merged.replid.clone());
        out.insert(
            "end",
            format!(
                "{}, from {}, limit {}",
                merged.end(),
                merged.first(),
                merged.limit
            ),
        );
        out.insert(
            "settled",
            format!("{:?}", running.nodes[0].settled_offset()),
        );
        let limits = running
            .shared
            .config
            .get()
            .client_output_buffer_limit
            .replica;
        out.insert("limits", format!("{limits:?}"));
        out.insert("upstream", format!("{:?}", merged.upstream));
        out.insert("replicas", format!("{:?}", merged.replicas));
        out
    }
}
