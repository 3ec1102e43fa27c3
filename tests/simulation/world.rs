//! Virtual time, the scheduler, clients, and the checks that hold at every step.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use banyan::protocol::reply_parser::{ReplyLimits, ReplyParser};

use crate::linear::is_linearizable;
use crate::model::{History, Model};
use crate::network::{End, Move, Network, Wire};
use crate::process::{Around, Connecting, PORT, Process, clock};
use crate::random::Random;
use crate::workload::{Batch, Check, Histories, OpRef, Outcome, history_key, judge, show};

/// What a client is there for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    Writer,
    /// Reads on any process.
    Observer,
    /// Sends REPLICAOF and the like, one command at a time.
    Admin,
}

pub struct Client {
    pub role: Role,
    target: usize,
    wire: Option<Wire>,
    parser: ReplyParser,
    pending: VecDeque<(Check, String)>,
    due_us: u64,
    since_us: u64,
    watched: Option<(usize, usize, i64, i64)>,
    /// The primary's replication id when it last sent something.
    lineage: String,
    pub job: Option<(usize, String)>,
}

/// A hash over everything that happens.
pub struct Trace {
    pub hash: u64,
    pub verbose: bool,
}

impl Trace {
    fn note(&mut self, now_us: u64, text: impl FnOnce() -> String, words: &[u64]) {
        for word in words.iter().chain([&now_us]) {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
            self.hash = self.hash.rotate_left(23);
        }
        if self.verbose {
            println!("{:>9}us {}", now_us, text());
        }
    }
}

/// How long a client may wait while nothing is broken, virtual time.
const STUCK_US: u64 = 60_000_000;

/// The order to end in peace.
pub const SHUTDOWN: &str = "SHUTDOWN SAVE";

/// Names the simulator's pin in the primary's log.
const TAP: u64 = u64::MAX;

pub struct World {
    pub seed: u64,
    pub rng: Random,
    pub now_us: u64,
    pub processes: Vec<Process>,
    pub network: Network,
    connecting: Vec<Connecting>,
    pub clients: Vec<Client>,
    pub histories: Histories,
    /// By replication id.
    pub lineages: BTreeMap<String, History>,
    /// The replication id of the primary.
    pub lineage: String,
    /// The process that writers talk to, if there is one.
    pub primary: Option<usize>,
    pub trace: Trace,
    pub strict: bool,
    pub flushes: bool,
    /// Clients begin nothing new.
    pub quiet: bool,
    pub commands: usize,
    pub faults: usize,
    pub checks: usize,
    pub steps: usize,
    /// Offsets that replicas had reached when they were lost or moved away.
    witnesses: Vec<(String, u64)>,
    /// Answers to DEBUG DIGEST.
    pub digests: Vec<String>,
    /// Large values, so that snapshots take several fragments.
    heavy: bool,
    due: Vec<(usize, usize)>,
    moves: Vec<Move>,
}

impl World {
    pub fn new(seed: u64, verbose: bool) -> Self {
        let mut rng = Random::new(seed);
        let strict = !rng.one_in(4);
        let flushes = rng.one_in(6);
        let heavy = rng.one_in(8);
        World {
            seed,
            rng,
            now_us: 0,
            processes: Vec::new(),
            network: Network::default(),
            connecting: Vec::new(),
            clients: Vec::new(),
            histories: Histories::new(),
            lineages: BTreeMap::new(),
            lineage: String::new(),
            primary: Some(0),
            trace: Trace {
                hash: 0xcbf2_9ce4_8422_2325,
                verbose,
            },
            strict,
            flushes,
            quiet: true,
            commands: 0,
            faults: 0,
            checks: 0,
            steps: 0,
            witnesses: Vec::new(),
            digests: Vec::new(),
            heavy,
            due: Vec::new(),
            moves: Vec::new(),
        }
    }

    /// Ends the run.
    pub fn fail(&self, reason: &str) -> ! {
        for process in &self.processes {
            println!("process {}: {:#?}", process.id, process.describe());
        }
        panic!(
            "{reason}\nat {} us of seed {seed}; replay with \
             BANYAN_SEED={seed} cargo test --test simulation one_seed -- --nocapture",
            self.now_us,
            seed = self.seed
        );
    }

    pub fn note(&mut self, text: impl FnOnce() -> String, words: &[u64]) {
        self.trace.note(self.now_us, text, words);
    }

    pub fn add_client(&mut self, role: Role) {
        self.clients.push(Client {
            role,
            target: 0,
            wire: None,
            parser: ReplyParser::new(ReplyLimits::default()),
            pending: VecDeque::new(),
            due_us: self.now_us,
            since_us: self.now_us,
            watched: None,
            lineage: String::new(),
            job: None,
        });
    }

    /// Splits the world into a process and what is around it.
    fn at(&mut self, process: usize) -> (&mut Process, Around<'_>) {
        let around = Around {
            network: &mut self.network,
            connecting: &mut self.connecting,
            rng: &mut self.rng,
            now_us: self.now_us,
        };
        (&mut self.processes[process], around)
    }

    pub fn start_process(&mut self, process: usize) {
        let (strict, now_us) = (self.strict, self.now_us);
        self.processes[process].start(strict, now_us, &mut self.rng);
        let upstream = self.processes[process].upstream;
        self.note(
            || format!("process {process} starts, follows {upstream:?}"),
            &[1, process as u64],
        );
    }

    /// All its state is lost but for its disk, all its connections end.
    pub fn crash(&mut self, process: usize, restart_us: u64) {
        for client in &mut self.clients {
            // This is what it wanted, or the next best.
            client
                .job
                .take_if(|job| *job == (process, SHUTDOWN.to_owned()));
        }
        self.note(|| format!("process {process} ends"), &[2, process as u64]);
        self.witness(process);
        let mine = |end: &End| matches!(end, End::Shard { process: p, .. } if *p == process);
        let wires: Vec<Wire> = (self.network.wires())
            .filter(|(_, ends)| ends.iter().any(mine))
            .map(|(wire, _)| wire)
            .collect();
        self.processes[process].running = None;
        self.processes[process].restart_us = restart_us;
        self.connecting
            .retain(|connecting| connecting.process != process);
        for wire in wires {
            self.cut(wire);
        }
    }

    /// Remembers how far a replica was before it is lost as such.
    pub fn witness(&mut self, process: usize) {
        if let Some(reached) = self.reached(process) {
            self.witnesses.push(reached);
        }
    }

    fn reached(&self, process: usize) -> Option<(String, u64)> {
        let running = self.processes[process].running.as_ref()?;
        let offset = running.nodes[0].applied_offset()?;
        Some((running.log.lock().replid.clone(), offset))
    }

    pub fn cut(&mut self, wire: Wire) {
        self.note(|| format!("wire {wire} is cut"), &[3, wire]);
        for end in self.network.cut(wire) {
            self.end_of(end, wire);
        }
    }

    /// Tells an end that its wire is gone.
    fn end_of(&mut self, end: End, wire: Wire) {
        match end {
            End::Shard {
                process,
                shard,
                conn,
            } => {
                if self.processes[process].running.is_some() {
                    let (process, mut around) = self.at(process);
                    process.ended(shard, conn, &mut around);
                }
            }
            End::Client(client) => self.client_ended(client, wire),
            End::Gone => {}
        }
    }

    fn client_ended(&mut self, client: usize, wire: Wire) {
        let now_us = self.now_us;
        self.network.close(wire, 0, now_us);
        let delay = self.rng.range(100, 20_000);
        let client = &mut self.clients[client];
        if client.wire == Some(wire) {
            client.wire = None;
            client.parser = ReplyParser::new(ReplyLimits::default());
            client.pending.clear();
            client.watched = None;
            client.due_us = now_us + delay;
        }
    }

    /// One step of something that can happen now, or time passes. False: nothing will ever happen.
    pub fn step(&mut self) -> bool {
        self.steps += 1;
        self.due.clear();
        self.moves.clear();
        let mut next = u64::MAX;
        let (mut due, mut moves) = (
            std::mem::take(&mut self.due),
            std::mem::take(&mut self.moves),
        );
        for process in &self.processes {
            next = next.min(process.due(self.now_us, &mut due));
        }
        let (processes, now_us) = (&self.processes, self.now_us);
        let frozen = |process: usize| processes[process].frozen_us > now_us;
        next = next.min(self.network.moves(now_us, frozen, &mut moves));
        let connecting = |c: &&Connecting| c.due_us <= now_us;
        let connects = self.connecting.iter().filter(connecting).count();
        let later = self
            .connecting
            .iter()
            .map(|c| c.due_us)
            .filter(|due| *due > now_us);
        next = next.min(later.min().unwrap_or(u64::MAX));
        let clients: Vec<usize> = (0..self.clients.len())
            .filter(|at| self.is_due(*at))
            .collect();
        let waiting = self
            .clients
            .iter()
            .map(|c| c.due_us)
            .filter(|due| *due > now_us);
        next = next.min(waiting.min().unwrap_or(u64::MAX));
        let restart = (0..self.processes.len())
            .find(|at| processes[*at].running.is_none() && processes[*at].restart_us <= now_us);
        let total = due.len() + moves.len() + connects + clients.len();
        if let Some(process) = restart {
            self.start_process(process);
        } else if total == 0 {
            if next == u64::MAX {
                return false;
            }
            self.now_us = next.max(self.now_us + 1);
        } else {
            let mut pick = self.rng.below(total);
            self.now_us += self.rng.range(0, 12);
            if pick < due.len() {
                self.tick(due[pick]);
            } else if ({
                pick -= due.len();
                pick
            }) < moves.len()
            {
                self.network_step(moves[pick]);
            } else if ({
                pick -= moves.len();
                pick
            }) < connects
            {
                self.connect_step(pick);
            } else {
                self.client_step(clients[pick - connects]);
            }
        }
        (self.due, self.moves) = (due, moves);
        true
    }

    fn tick(&mut self, (process, shard): (usize, usize)) {
        self.note(
            || format!("tick {process}.{shard}"),
            &[4, process as u64, shard as u64],
        );
        let (it, mut around) = self.at(process);
        it.tick(shard, &mut around);
        self.follow_log(process);
        if self.processes[process].has_ended() {
            let back = self.now_us + self.rng.range(1_000, 1_500_000);
            self.crash(process, back);
            return;
        }
        if self.rng.one_in(if self.heavy { 64 } else { 8 }) {
            self.compare(process);
        }
    }

    /// Reads what is new in the primary's stream.
    fn follow_log(&mut self, process: usize) {
        let running = self.processes[process]
            .running
            .as_ref()
            .expect("it just ticked");
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        // Before its file is loaded it is nothing yet; whoever comes back here is a replica then.
        let is_replica = is_set(&running.shared.is_replica) || is_set(&running.shared.loading);
        // In the tick in which it became a replica it may have written before.
        let was_primary = std::mem::replace(&mut self.processes[process].was_primary, !is_replica);
        if is_replica && !was_primary {
            return;
        }
        let running = self.processes[process]
            .running
            .as_ref()
            .expect("it just ticked");
        let mut merged = running.log.lock();
        if is_replica {
            merged.unpin(TAP);
        }
        if !merged.enabled || (is_replica && !self.lineages.contains_key(&merged.replid)) {
            return;
        }
        let replid = merged.replid.clone();
        if !self.lineages.contains_key(&replid) {
            let lineage = match self.lineages.get(&merged.replid2) {
                Some(parent) => parent.fork(merged.second_offset as u64 - 1),
                // A first primary is empty when its log is turned on.
                None => History::new(merged.first() - 1, Model::default()),
            };
            self.lineages.insert(replid.clone(), lineage);
        }
        let lineage = self.lineages.get_mut(&replid).expect("it was just put in");
        let read = merged.read(lineage.end + lineage.pending() as u64, u64::MAX);
        let pieces = read.expect("the log is read at every tick");
        let grown = pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        for piece in pieces {
            lineage.push(&piece);
        }
        let end = lineage.end;
        if !is_replica {
            // What one tick writes is kept until it is read here.
            merged.pin(TAP, end + lineage.pending() as u64);
            self.lineage = replid;
        }
        drop(merged);
        if grown > 0 {
            self.note(
                || format!("the stream of {process} grows to {end}"),
                &[5, end],
            );
        }
    }

    /// Compares a process that is at rest with the model at its offset.
    pub fn compare(&mut self, process: usize) -> bool {
        let it = &mut self.processes[process];
        if !it.is_at_rest() {
            return false;
        }
        let running = it.running.as_ref().expect("what rests runs");
        if running.shared.loading.load(Ordering::Relaxed) {
            // Nobody is shown anything of it.
            return false;
        }
        let is_replica = running.shared.is_replica.load(Ordering::Relaxed);
        let merged = running.log.lock();
        let offset = match (is_replica, running.nodes[0].settled_offset()) {
            (false, _) => Some(merged.end()),
            (true, settled) => settled,
        };
        let (Some(offset), true) = (offset, merged.enabled) else {
            return false;
        };
        let replid = merged.replid.clone();
        drop(merged);
        let data = it.dataset();
        let Some(lineage) = self.lineages.get(&replid) else {
            self.fail(&format!(
                "process {process} has a history that no primary wrote: {replid}"
            ));
        };
        let difference = match self.processes[process]
            .cursor
            .seek(&replid, lineage, offset)
        {
            Ok(model) if *model == data => None,
            Ok(model) => Some(data.difference(model)),
            Err(reason) => Some(reason),
        };
        if let Some(difference) = difference {
            self.fail(&format!(
                "process {process} at offset {offset} is no prefix of the history: {difference}"
            ));
        }
        self.checks += 1;
        true
    }

    fn network_step(&mut self, step: Move) {
        let now_us = self.now_us;
        match step {
            Move::Take(wire, side) => {
                let (from, closed) = self.network.take(wire, side, now_us, &mut self.rng);
                self.note(|| format!("wire {wire} takes from {from:?}"), &[6, wire]);
                if let End::Shard {
                    process,
                    shard,
                    conn,
                } = from
                {
                    let (process, mut around) = self.at(process);
                    if closed {
                        process.ended(shard, conn, &mut around);
                    } else {
                        process.sent(shard, conn, &mut around);
                    }
                }
            }
            Move::Give(wire, side) => {
                let (to, bytes) = self.network.give(wire, side, &mut self.rng);
                let len = bytes.len();
                self.note(
                    || format!("wire {wire} gives {len} to {to:?}"),
                    &[7, wire, len as u64],
                );
                match to {
                    End::Shard {
                        process,
                        shard,
                        conn,
                    } => {
                        let (process, mut around) = self.at(process);
                        process.received(shard, conn, &bytes, &mut around);
                    }
                    End::Client(client) if bytes.is_empty() => self.client_ended(client, wire),
                    End::Client(client) => self.client_received(client, wire, &bytes),
                    End::Gone => {}
                }
            }
        }
    }

    fn connect_step(&mut self, pick: usize) {
        let now_us = self.now_us;
        let mut due = (0..self.connecting.len()).filter(|at| self.connecting[*at].due_us <= now_us);
        let at = due.nth(pick).expect("it was counted");
        let Connecting {
            process,
            shard,
            conn,
            port,
            incarnation,
            ..
        } = self.connecting.remove(at);
        if self.processes[process].incarnation != incarnation {
            return;
        }
        let target = usize::from(port - PORT);
        let up = self.processes[target].running.is_some();
        let reachable = up && !self.network.is_partitioned(process, target);
        self.note(
            || format!("{process} connects to {target}: {reachable}"),
            &[8, process as u64],
        );
        let from = End::Shard {
            process,
            shard,
            conn,
        };
        let wire = reachable.then(|| {
            let (target, mut around) = self.at(target);
            target.accept(from, &mut around)
        });
        let (process, mut around) = self.at(process);
        process.connected(shard, conn, wire, &mut around);
    }

    fn is_due(&self, client: usize) -> bool {
        let client = &self.clients[client];
        let work = match client.role {
            Role::Admin => client.job.is_some(),
            Role::Writer => self.primary.is_some() && !self.quiet,
            Role::Observer => !self.quiet,
        };
        client.due_us <= self.now_us
            && client.pending.is_empty()
            && (work || client.watched.is_some())
    }

    fn client_step(&mut self, at: usize) {
        let target = match (&self.clients[at].role, &self.clients[at].job) {
            (Role::Admin, Some((process, _))) => *process,
            (Role::Writer, _) => self.primary.unwrap_or(0),
            _ => self.clients[at].target,
        };
        let now_us = self.now_us;
        if let Some(wire) = self.clients[at].wire
            && self.clients[at].target != target
        {
            self.client_ended(at, wire);
        }
        if self.clients[at].wire.is_none() {
            self.clients[at].target = match self.clients[at].role {
                Role::Observer => self.rng.below(self.processes.len()),
                _ => target,
            };
            let target = self.clients[at].target;
            self.clients[at].due_us = now_us + self.rng.range(100, 30_000);
            if self.processes[target].running.is_some() {
                let (process, mut around) = self.at(target);
                let wire = process.accept(End::Client(at), &mut around);
                self.clients[at].wire = Some(wire);
                self.clients[at].due_us = now_us;
                self.note(
                    || format!("client {at} connects to {target}"),
                    &[9, at as u64, wire],
                );
            }
            return;
        }
        self.client_sends(at);
    }

    fn client_sends(&mut self, at: usize) {
        let now_ms = clock(self.now_us).unix_ms;
        let writers = self
            .clients
            .iter()
            .filter(|c| c.role == Role::Writer)
            .count();
        let client = &mut self.clients[at];
        let mut batch = Batch::new(&mut self.rng, &mut self.histories, at, now_ms);
        (batch.flushes, batch.heavy) = (self.flushes, self.heavy);
        match client.role {
            Role::Admin => {
                let (_, command) = client.job.clone().expect("an admin has a job");
                batch.add(&command, Check::Done);
            }
            Role::Observer => batch.observer(self.strict, writers),
            Role::Writer => match client.watched.take() {
                Some(watched) => batch.commit(watched),
                None => batch.writer(self.strict),
            },
        }
        let (bytes, checks, text) = (batch.bytes, batch.checks, batch.text);
        assert_eq!(checks.len(), text.len(), "each command has one check");
        self.commands += text.len();
        client.since_us = self.now_us;
        client.lineage.clone_from(&self.lineage);
        let shown = text.join("; ");
        client.pending = checks.into_iter().zip(text).collect();
        let wire = client.wire.expect("it is connected");
        self.network.send(wire, 0, &bytes);
        let len = bytes.len() as u64;
        self.note(
            || format!("client {at} sends {shown}"),
            &[10, at as u64, len],
        );
    }

    fn client_received(&mut self, at: usize, wire: Wire, bytes: &[u8]) {
        if self.clients[at].wire != Some(wire) {
            return;
        }
        self.clients[at].parser.push(bytes);
        while let Some(reply) = self.clients[at]
            .parser
            .next()
            .expect("servers send replies")
        {
            let Some((mut check, text)) = self.clients[at].pending.pop_front() else {
                self.fail(&format!(
                    "client {at} gets a reply that it never asked for: {reply:?}"
                ));
            };
            self.note(
                || format!("client {at}: {text} -> {}", show(&reply)),
                &[11, at as u64],
            );
            let client = &self.clients[at];
            let of_primary = self.primary == Some(client.target) && client.lineage == self.lineage;
            if matches!(check, Check::Ordered) && !of_primary {
                // The shards of a replica apply the stream side by side.
                check = Check::Any;
            }
            match judge(&check, &reply, &mut self.histories) {
                Err(reason) => self.fail(&format!("client {at}, {text}: {reason}")),
                Ok(Outcome::Fine) => {}
                Ok(Outcome::Watched(a, b, x, y)) => self.clients[at].watched = Some((a, b, x, y)),
                Ok(Outcome::Waited(key, value, count)) => {
                    self.check_wait(at, (key, value), count);
                }
                Ok(Outcome::Done(reply)) => {
                    let job = self.clients[at].job.take();
                    let (process, command) = job.expect("an admin has a job");
                    let failing_over = "ERR REPLICAOF not allowed while failing over.";
                    if reply.starts_with("LOADING") || reply == failing_over {
                        // As in Redis: the role changes when the dataset is there, and when an
                        // heir has answered.
                        self.clients[at].job = Some((process, command));
                        return;
                    }
                    if command == "DEBUG DIGEST" {
                        self.digests.push(reply);
                    } else if command.starts_with("FAILOVER") && reply.starts_with("ERR FAILOVER") {
                        // The heir is no replica just now, or the order came twice.
                    } else if !reply.contains("OK") {
                        self.fail(&format!("{command} on {process} gives {reply}"));
                    }
                }
            }
        }
        if self.clients[at].pending.is_empty() {
            let think = match self.rng.below(10) {
                0..=4 => 0,
                5..=7 => self.rng.range(0, 2_000),
                _ => self.rng.range(0, 120_000),
            };
            self.clients[at].due_us = self.now_us + think;
        }
    }

    /// WAIT's answer: so many replicas have the write.
    fn check_wait(&self, at: usize, (key, value): (usize, i64), count: i64) {
        if self.clients[at].lineage != self.lineage {
            return;
        }
        let (Some(primary), Some(lineage)) = (self.primary, self.lineages.get(&self.lineage))
        else {
            return;
        };
        let (name, value) = (history_key(key), value.to_string());
        let Some(offset) = lineage.offset_of_set(name.as_bytes(), value.as_bytes()) else {
            return;
        };
        let others = (self.processes.iter())
            // Whoever has been sent to another parent meanwhile still has what it acknowledged.
            .filter(|process| process.id != primary)
            .filter_map(|process| self.reached(process.id));
        let all = others.chain(self.witnesses.iter().cloned());
        let reached = all
            .filter(|(id, at)| *id == self.lineage && *at >= offset)
            .count();
        if (reached as i64) < count {
            self.fail(&format!(
                "WAIT for {name}={value} says {count}, {reached} replicas have it at {offset}"
            ));
        }
    }

    /// Judges what clients saw since the last call, and begins anew with `model`.
    pub fn judge_histories(&mut self, model: &Model) {
        if !self.flushes {
            for (key, ops) in self.histories.ops.iter().enumerate() {
                if !is_linearizable(ops, self.histories.first[key]) {
                    for op in ops {
                        println!("{op:?}");
                    }
                    self.fail(&format!(
                        "the history of {} is not linearizable",
                        history_key(key)
                    ));
                }
            }
        }
        let pending = self.clients.iter().flat_map(|client| &client.pending);
        let under_way: Vec<OpRef> = pending.flat_map(|(check, _)| check.operations()).collect();
        self.histories.begin(model, &under_way);
    }

    /// A client that has waited for too long, if there is one.
    pub fn check_stuck(&self) {
        for (at, client) in self.clients.iter().enumerate() {
            if !client.pending.is_empty() && self.now_us - client.since_us > STUCK_US {
                self.fail(&format!("client {at} waits for {:?}", client.pending));
            }
        }
    }

    pub fn clients_are_idle(&self) -> bool {
        let idle = |client: &Client| {
            client.pending.is_empty() && client.watched.is_none() && client.job.is_none()
        };
        self.clients.iter().all(idle)
    }
}
