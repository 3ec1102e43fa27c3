//! A whole run: a tree of processes under load, faults, and the state after they have stopped.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use banyan::shard::shared::FailoverState;

use crate::network::{End, Wire};
use crate::process::{DELAYED, PORT, Process};
use crate::world::{Role, SHUTDOWN, World};

/// What a run is made of.
#[derive(Clone, Copy)]
pub struct Plan {
    pub commands: usize,
    pub faults: usize,
    /// Whether there are orderly changes, too: FAILOVER, and SHUTDOWN SAVE.
    pub orderly: bool,
}

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    pub hash: u64,
    pub commands: usize,
    pub faults: usize,
    /// Datasets compared with the model.
    pub checks: usize,
    pub steps: usize,
    pub virtual_ms: u64,
    pub full_syncs: u64,
    pub partial_syncs: u64,
    pub failovers: usize,
    /// By FAILOVER.
    pub handed_over: usize,
    /// Starts from a file that a SHUTDOWN saved.
    pub loads: usize,
}

const PROCESSES: usize = 5;
const WRITERS: usize = 4;
const OBSERVERS: usize = 2;
/// Virtual time in which everything must have settled once faults have stopped.
const SETTLE_US: u64 = 120_000_000;

struct Scenario {
    world: World,
    admin: usize,
    jobs: VecDeque<(usize, String)>,
    /// Partitions and their ends.
    partitions: Vec<((usize, usize), u64)>,
    /// The process that is to be the primary, and whether its job has been given.
    successor: Option<usize>,
    /// The heir to whom the primary hands its role over.
    heir: Option<usize>,
    orderly: bool,
    failovers: usize,
    handed_over: usize,
}

/// Runs a seed to its end; panics where a check fails.
pub fn run(seed: u64, plan: Plan, verbose: bool) -> Report {
    let mut scenario = Scenario::new(seed, verbose);
    scenario.begin();
    scenario.work(plan);
    scenario.settle();
    scenario.report()
}

impl Scenario {
    fn new(seed: u64, verbose: bool) -> Self {
        let mut world = World::new(seed, verbose);
        world.processes = (0..PROCESSES).map(Process::new).collect();
        for at in 1..PROCESSES {
            // A chain of three below the primary; who comes after them goes anywhere.
            let upstream = if at <= 3 { at - 1 } else { world.rng.below(at) };
            world.processes[at].upstream = Some(upstream);
        }
        (0..WRITERS).for_each(|_| world.add_client(Role::Writer));
        (0..OBSERVERS).for_each(|_| world.add_client(Role::Observer));
        world.add_client(Role::Admin);
        Scenario {
            world,
            admin: WRITERS + OBSERVERS,
            jobs: VecDeque::new(),
            partitions: Vec::new(),
            successor: None,
            heir: None,
            orderly: false,
            failovers: 0,
            handed_over: 0,
        }
    }

    /// Starts the processes, some of them only later; the load begins once there is a stream.
    fn begin(&mut self) {
        for at in 0..PROCESSES {
            if at < 2 || self.world.rng.one_in(2) {
                self.world.start_process(at);
            } else {
                let later = self.world.rng.range(1_000, 3_000_000);
                self.world.processes[at].restart_us = later;
            }
        }
        while self.world.lineage.is_empty() {
            assert!(self.world.now_us < SETTLE_US, "no replica ever attaches");
            self.world.step();
        }
        self.world.quiet = false;
    }

    fn work(&mut self, plan: Plan) {
        self.orderly = plan.orderly;
        let every = plan.commands / (plan.faults + 2);
        while self.world.commands < plan.commands || self.world.faults < plan.faults {
            let before = self.world.now_us;
            self.step();
            let due = self.world.commands > (self.world.faults + 1) * every;
            // While nobody can write, commands do not count the time.
            let jump = self.world.now_us - before > 100_000 && self.world.rng.one_in(4);
            if due || jump {
                self.fault();
            }
        }
    }

    fn step(&mut self) {
        if !self.world.step() {
            self.world.fail("nothing will ever happen again");
        }
        if self.world.steps.is_multiple_of(512) {
            self.world.check_stuck();
        }
        let now_us = self.world.now_us;
        if self.partitions.iter().any(|(_, until)| *until <= now_us) {
            self.partitions.retain(|(_, until)| *until > now_us);
            self.world.network.partitions = self.partitions.iter().map(|(pair, _)| *pair).collect();
        }
        self.watch_heir();
        self.assign();
    }

    /// Notices what became of a FAILOVER.
    fn watch_heir(&mut self) {
        let (Some(heir), Some(old)) = (self.heir, self.world.primary) else {
            return;
        };
        let is_replica = |process: usize| {
            let running = self.world.processes[process].running.as_ref();
            running.is_none_or(|running| running.shared.is_replica.load(Ordering::Relaxed))
        };
        let log = |process: usize| {
            let running = self.world.processes[process].running.as_ref();
            running.map(|running| {
                let merged = running.log.lock();
                (merged.replid.clone(), merged.failover)
            })
        };
        let has_lineage = |(replid, _): (String, FailoverState)| replid == self.world.lineage;
        if !is_replica(heir) && log(heir).is_some_and(has_lineage) {
            self.heir = None;
            self.handed_over += 1;
            self.failovers += 1;
            let world = &mut self.world;
            // What is read at the old one from here on is the past. All else goes on: no write may
            // be lost.
            world.histories.forget_reads();
            world.primary = Some(heir);
            world.processes[old].upstream = Some(heir);
            world.processes[heir].upstream = None;
            world.note(
                || format!("{old} has handed over to {heir}"),
                &[24, old as u64, heir as u64],
            );
            return;
        }
        let answered = self.world.clients[self.admin].job.is_none() && self.jobs.is_empty();
        let over = log(old).is_some_and(|(_, state)| state == FailoverState::No);
        if answered && over && !is_replica(old) {
            self.heir = None;
        }
    }

    /// Gives the admin its next job, and notices what the last one did.
    fn assign(&mut self) {
        if self.world.clients[self.admin].job.is_some() {
            return;
        }
        if let Some(successor) = self.successor
            && !self.jobs.iter().any(|job| is_promotion(&job.1))
        {
            self.promoted(successor);
        }
        self.world.clients[self.admin].job = self.jobs.pop_front();
    }

    fn promoted(&mut self, successor: usize) {
        self.successor = None;
        self.world.primary = Some(successor);
        let lineage = &self.world.lineages[&self.world.lineage];
        let mut cursor = crate::model::Cursor::default();
        let model = cursor.seek(&self.world.lineage, lineage, lineage.end);
        let model = model.expect("the end is the end of a unit").clone();
        self.world.judge_histories(&model);
        self.world.note(
            || format!("{successor} is the primary"),
            &[20, successor as u64],
        );
    }

    fn replica_of(&mut self, replica: usize, upstream: usize) {
        self.world.witness(replica);
        self.world.processes[replica].upstream = Some(upstream);
        let port = PORT + upstream as u16;
        self.jobs
            .push_back((replica, format!("REPLICAOF 10.0.0.1 {port}")));
    }

    fn fault(&mut self) {
        self.world.faults += 1;
        let now_us = self.world.now_us;
        match self.world.rng.below(16) {
            0..=4 => self.cut(true),
            5 => self.cut(false),
            6..=7 => {
                let until = now_us + self.world.rng.range(5_000, 400_000);
                if let Some(wire) = self.pick_wire(true) {
                    self.world.network.stall(wire, until);
                    self.world
                        .note(|| format!("wire {wire} stalls"), &[21, wire]);
                }
            }
            8..=9 => self.partition(),
            10..=11 => {
                let process = self.world.rng.below(PROCESSES);
                let until = now_us + self.world.rng.range(5_000, 500_000);
                self.world.processes[process].frozen_us = until;
                self.world.note(
                    || format!("process {process} freezes"),
                    &[22, process as u64],
                );
            }
            12 if self.orderly && self.world.rng.one_in(2) => self.shut_down(),
            12 => self.crash_replica(),
            13 => self.replace_primary(true),
            14 if self.orderly && self.world.rng.one_in(2) => self.hand_over(),
            14 => self.replace_primary(false),
            _ => self.reparent(),
        }
    }

    fn pick_wire(&mut self, between_processes: bool) -> Option<Wire> {
        let is_client = |end: &End| matches!(end, End::Client(_));
        let wires: Vec<Wire> = (self.world.network.wires())
            .filter(|(_, ends)| ends.iter().any(is_client) != between_processes)
            .map(|(wire, _)| wire)
            .collect();
        (!wires.is_empty()).then(|| *self.world.rng.pick(&wires))
    }

    fn cut(&mut self, between_processes: bool) {
        if let Some(wire) = self.pick_wire(between_processes) {
            self.world.cut(wire);
        }
    }

    fn partition(&mut self) {
        let a = self.world.rng.below(PROCESSES - 1);
        let b = self.world.rng.range(a as u64 + 1, PROCESSES as u64 - 1) as usize;
        let until = self.world.now_us + self.world.rng.range(20_000, 3_000_000);
        self.partitions.push(((a, b), until));
        self.world.network.partitions.push((a, b));
        self.world.note(
            || format!("{a} and {b} are parted"),
            &[23, a as u64, b as u64],
        );
    }

    /// A process that runs and neither is the primary nor becomes it.
    fn pick_replica(&mut self) -> Option<usize> {
        let process = self.world.rng.below(PROCESSES);
        let spared = [self.world.primary, self.successor].contains(&Some(process));
        let runs = self.world.processes[process].running.is_some();
        (runs && !spared).then_some(process)
    }

    fn crash_replica(&mut self) {
        if let Some(process) = self.pick_replica() {
            let back = self.world.now_us + self.world.rng.range(1_000, 1_500_000);
            self.world.crash(process, back);
        }
    }

    /// A replica ends in peace, and comes back with what it saved.
    fn shut_down(&mut self) {
        if let Some(process) = self.pick_replica().filter(|_| !self.admin_is_busy()) {
            self.jobs.push_back((process, SHUTDOWN.to_owned()));
        }
    }

    /// The primary hands over to a replica of its own.
    fn hand_over(&mut self) {
        let Some(old) = self.world.primary.filter(|_| !self.admin_is_busy()) else {
            return;
        };
        let follows = |at: &usize| self.world.processes[*at].upstream == Some(old);
        let heirs: Vec<usize> = (0..PROCESSES)
            .filter(|at| *at != DELAYED && follows(at))
            .collect();
        if heirs.is_empty() {
            return;
        }
        let heir = *self.world.rng.pick(&heirs);
        let (port, timeout) = (PORT + heir as u16, self.world.rng.range(20, 3_000));
        self.heir = Some(heir);
        self.jobs.push_back((
            old,
            format!("FAILOVER TO 127.0.0.1 {port} TIMEOUT {timeout}"),
        ));
    }

    /// The primary dies, or is made a replica; the furthest replica, or any, takes its place.
    fn replace_primary(&mut self, dies: bool) {
        let Some(old) = self.world.primary.filter(|_| !self.admin_is_busy()) else {
            return;
        };
        let world = &mut self.world;
        let mut able: Vec<(u64, usize)> = Vec::new();
        for process in &world.processes {
            let Some(running) = &process.running else {
                continue;
            };
            let merged = running.log.lock();
            let streams = running.nodes[0].applied_offset().is_some();
            let heir = process.id != old && process.id != DELAYED;
            if heir && merged.enabled && merged.replid == world.lineage && streams {
                able.push((merged.end(), process.id));
            }
        }
        let furthest = able.iter().max().map(|able| able.1);
        let Some(furthest) = furthest else {
            return;
        };
        let successor = if world.rng.one_in(3) {
            world.rng.pick(&able).1
        } else {
            furthest
        };
        let back = world.now_us + world.rng.range(1_000, 1_500_000);
        world.primary = None;
        world.witness(successor);
        if dies {
            world.crash(old, back);
        } else {
            world.histories.forget_reads();
            // It follows its own replica until that is promoted.
            let port = PORT + successor as u16;
            self.jobs
                .push_back((old, format!("REPLICAOF 10.0.0.1 {port}")));
        }
        world.processes[old].upstream = Some(successor);
        world.processes[successor].upstream = None;
        self.failovers += 1;
        self.successor = Some(successor);
        self.jobs
            .push_back((successor, "REPLICAOF NO ONE".to_owned()));
        for at in 0..PROCESSES {
            if at != old && self.world.processes[at].upstream == Some(old) {
                self.replica_of(at, successor);
            }
        }
    }

    fn reparent(&mut self) {
        let primary = self.world.primary;
        let replica = self.world.rng.below(PROCESSES);
        if self.admin_is_busy() || primary.is_none() || primary == Some(replica) {
            return;
        }
        let able: Vec<usize> = (0..PROCESSES)
            .filter(|at| *at != replica && !self.is_below(*at, replica))
            .collect();
        if !able.is_empty() {
            let upstream = *self.world.rng.pick(&able);
            self.replica_of(replica, upstream);
        }
    }

    fn admin_is_busy(&self) -> bool {
        let job = &self.world.clients[self.admin].job;
        let changes = self.successor.is_some() || self.heir.is_some();
        job.is_some() || changes || !self.jobs.is_empty()
    }

    fn is_below(&self, process: usize, above: usize) -> bool {
        let mut at = Some(process);
        while let Some(process) = at {
            if process == above {
                return true;
            }
            at = self.world.processes[process].upstream;
        }
        false
    }

    /// Faults stop. Everybody must come to the same state.
    fn settle(&mut self) {
        self.world.quiet = true;
        self.partitions.clear();
        self.world.network.partitions.clear();
        let until = self.world.now_us + SETTLE_US;
        while !self.is_settled() {
            if self.world.now_us > until {
                self.world.fail("the tree does not settle");
            }
            self.step();
        }
        let end = self.world.lineages[&self.world.lineage].end;
        let primary = self.world.primary.expect("a settled tree has one");
        let data = self.world.processes[primary].dataset();
        for at in 0..PROCESSES {
            assert!(self.world.compare(at), "process {at} rests");
            if self.world.processes[at].dataset() != data {
                self.world
                    .fail(&format!("process {at} differs from the primary at {end}"));
            }
        }
        self.world.judge_histories(&data);
        self.compare_digests();
    }

    fn compare_digests(&mut self) {
        // Keys still expire: digests of one moment are those between which the stream stands still.
        for _ in 0..100 {
            let before = self.world.lineages[&self.world.lineage].end;
            self.world.digests.clear();
            for at in 0..PROCESSES {
                self.jobs.push_back((at, "DEBUG DIGEST".to_owned()));
            }
            while self.world.digests.len() < PROCESSES {
                self.step();
            }
            while !self.is_settled() {
                self.step();
            }
            if self.world.lineages[&self.world.lineage].end == before {
                break;
            }
        }
        let digests = &self.world.digests;
        assert!(
            digests.iter().all(|digest| *digest == digests[0]),
            "{digests:?}"
        );
    }

    fn is_settled(&self) -> bool {
        let world = &self.world;
        let changes = self.successor.is_some() || self.heir.is_some();
        let admin_rests = self.jobs.is_empty() && !changes;
        if !admin_rests || !world.clients_are_idle() || world.primary.is_none() {
            return false;
        }
        let end = world.lineages[&world.lineage].end;
        world.processes.iter().all(|process| {
            let Some(running) = process.running.as_ref().filter(|_| process.is_at_rest()) else {
                return false;
            };
            let settled = running.nodes[0].settled_offset();
            let is_primary = world.primary == Some(process.id);
            let merged = running.log.lock();
            merged.replid == world.lineage
                && merged.end() == end
                && (is_primary || settled == Some(end))
        })
    }

    fn report(&self) -> Report {
        let world = &self.world;
        let counts = (world.processes.iter())
            .filter_map(|process| process.running.as_ref())
            .map(|running| {
                let merged = running.log.lock();
                (merged.sync_full, merged.sync_partial_ok)
            });
        let (full_syncs, partial_syncs) =
            counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        Report {
            hash: world.trace.hash,
            commands: world.commands,
            faults: world.faults,
            checks: world.checks,
            steps: world.steps,
            virtual_ms: world.now_us / 1000,
            full_syncs,
            partial_syncs,
            failovers: self.failovers,
            handed_over: self.handed_over,
            loads: world.processes.iter().map(|process| process.loads).sum(),
        }
    }
}

fn is_promotion(command: &str) -> bool {
    command.ends_with("NO ONE")
}
