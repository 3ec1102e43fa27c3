//! One process, without faults, and clients that send what they are told.

use banyan::protocol::encode;
use banyan::protocol::reply_parser::{ReplyLimits, ReplyParser, Value};

use crate::network::{End, Move, Network, Wire};
use crate::process::{Around, Connecting, Process};
use crate::random::Random;

/// Steps in which a stage must come to rest.
const STEPS_MAX: usize = 1_000_000;

/// A client: its replies in order.
pub struct Player {
    wire: Wire,
    parser: ReplyParser,
    pub got: Vec<Value>,
}

pub struct Stage {
    pub seed: u64,
    pub rng: Random,
    now_us: u64,
    process: Process,
    network: Network,
    connecting: Vec<Connecting>,
    pub players: Vec<Player>,
}

impl Stage {
    pub fn new(seed: u64, directives: &[(&'static str, &'static str)], players: usize) -> Self {
        let mut rng = Random::new(seed);
        let mut process = Process::new(0);
        process.directives = directives.to_vec();
        let strict = !rng.one_in(4);
        process.start(strict, 0, &mut rng);
        let mut stage = Stage {
            seed,
            rng,
            now_us: 0,
            process,
            network: Network::default(),
            connecting: Vec::new(),
            players: Vec::new(),
        };
        for at in 0..players {
            let wire =
                stage.with_process(|process, around| process.accept(End::Client(at), around));
            stage.players.push(Player {
                wire,
                parser: ReplyParser::new(ReplyLimits::default()),
                got: Vec::new(),
            });
        }
        stage
    }

    fn with_process<R>(&mut self, f: impl FnOnce(&mut Process, &mut Around<'_>) -> R) -> R {
        let mut around = Around {
            network: &mut self.network,
            connecting: &mut self.connecting,
            rng: &mut self.rng,
            now_us: self.now_us,
        };
        f(&mut self.process, &mut around)
    }

    /// Sends commands in one pipeline, words divided by blanks.
    pub fn send(&mut self, player: usize, commands: &[String]) {
        let mut bytes = Vec::new();
        for command in commands {
            let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            encode::request(&mut bytes, &words);
        }
        self.network.send(self.players[player].wire, 0, &bytes);
    }

    /// Something that can happen now happens, or time passes.
    pub fn step(&mut self) {
        let (mut due, mut moves) = (Vec::new(), Vec::new());
        let next = self.process.due(self.now_us, &mut due);
        let next = next.min(self.network.moves(self.now_us, |_| false, &mut moves));
        let total = due.len() + moves.len();
        if total == 0 {
            assert!(next < u64::MAX, "nothing will ever happen again");
            self.now_us = next.max(self.now_us + 1);
            return;
        }
        let pick = self.rng.below(total);
        self.now_us += self.rng.range(0, 12);
        match due.get(pick) {
            Some((_, shard)) => {
                let shard = *shard;
                self.with_process(|process, around| process.tick(shard, around));
            }
            None => self.network_step(moves[pick - due.len()]),
        }
    }

    /// A random number of steps, below `most`.
    pub fn some_steps(&mut self, most: usize) {
        for _ in 0..self.rng.below(most) {
            self.step();
        }
    }

    fn network_step(&mut self, step: Move) {
        match step {
            Move::Take(wire, side) => {
                let now_us = self.now_us;
                let (from, closed) = self.network.take(wire, side, now_us, &mut self.rng);
                assert!(!closed, "nobody leaves");
                if let End::Shard { shard, conn, .. } = from {
                    self.with_process(|process, around| process.sent(shard, conn, around));
                }
            }
            Move::Give(wire, side) => {
                let (to, bytes) = self.network.give(wire, side, &mut self.rng);
                assert!(!bytes.is_empty(), "nobody leaves, seed {}", self.seed);
                match to {
                    End::Shard { shard, conn, .. } => self.with_process(|process, around| {
                        process.received(shard, conn, &bytes, around);
                    }),
                    End::Client(at) => {
                        let player = &mut self.players[at];
                        player.parser.push(&bytes);
                        while let Some(reply) = player.parser.next().expect("servers send replies")
                        {
                            player.got.push(reply);
                        }
                    }
                    End::Gone => {}
                }
            }
        }
    }

    /// Goes on until nothing is under way any more.
    pub fn rest(&mut self) {
        for _ in 0..STEPS_MAX {
            let mut moves = Vec::new();
            let next = self.network.moves(self.now_us, |_| false, &mut moves);
            if moves.is_empty() && next == u64::MAX && self.process.is_at_rest() {
                return;
            }
            self.step();
        }
        panic!("the stage of seed {} does not come to rest", self.seed);
    }

    /// Goes on for so long.
    pub fn pass(&mut self, ms: u64) {
        let until = self.now_us + ms * 1000;
        while self.now_us < until {
            self.step();
        }
    }
}
