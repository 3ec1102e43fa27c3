//! Byte streams between processes and clients: cut at random, delayed, in order within a wire.

use std::collections::{BTreeMap, VecDeque};

use banyan::shard::shell::ConnId;

use crate::random::Random;

/// A connection of the simulated network.
pub type Wire = u64;

/// Who is at an end of a wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Shard {
        process: usize,
        shard: usize,
        conn: ConnId,
    },
    Client(usize),
    Gone,
}

/// One direction.
#[derive(Default)]
struct Pipe {
    /// Written and not yet taken by the sender's kernel.
    out: VecDeque<u8>,
    flight: VecDeque<(u64, Vec<u8>)>,
    flight_bytes: usize,
    /// The sender closes once `out` is empty.
    finish: bool,
    /// The sender has closed: after what is in flight comes the end.
    closed: Option<u64>,
    paused: bool,
}

struct Connection {
    ends: [End; 2],
    pipes: [Pipe; 2],
    /// Nothing moves before this time: a congested link.
    stalled_us: u64,
}

/// Something that the network can do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    /// Takes bytes from the sender.
    Take(Wire, usize),
    /// Gives bytes to the receiver.
    Give(Wire, usize),
}

/// Bytes in flight in one direction at most.
const WINDOW: usize = 48 * 1024;

/// All connections.
#[derive(Default)]
pub struct Network {
    connections: BTreeMap<Wire, Connection>,
    next: Wire,
    /// Pairs of processes that cannot reach each other.
    pub partitions: Vec<(usize, usize)>,
}

impl Network {
    pub fn open(&mut self, a: End, b: End) -> Wire {
        self.next += 1;
        let connection = Connection {
            ends: [a, b],
            pipes: Default::default(),
            stalled_us: 0,
        };
        self.connections.insert(self.next, connection);
        self.next
    }

    /// Queues bytes that an end has written.
    pub fn send(&mut self, wire: Wire, side: usize, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&wire) {
            let pipe = &mut connection.pipes[side];
            if pipe.closed.is_none() && !pipe.finish {
                pipe.out.extend(bytes);
            }
        }
    }

    pub fn queued(&self, wire: Wire, side: usize) -> usize {
        let connection = self.connections.get(&wire);
        connection.map_or(0, |connection| connection.pipes[side].out.len())
    }

    pub fn pause(&mut self, wire: Wire, side: usize, paused: bool) {
        if let Some(connection) = self.connections.get_mut(&wire) {
            connection.pipes[1 - side].paused = paused;
        }
    }

    /// The sender closes after what is queued.
    pub fn finish(&mut self, wire: Wire, side: usize) {
        if let Some(connection) = self.connections.get_mut(&wire) {
            connection.pipes[side].finish = true;
        }
    }

    /// One end is gone; what is in flight from it still arrives.
    pub fn close(&mut self, wire: Wire, side: usize, now_us: u64) {
        let Some(connection) = self.connections.get_mut(&wire) else {
            return;
        };
        connection.ends[side] = End::Gone;
        let pipe = &mut connection.pipes[side];
        pipe.out.clear();
        pipe.closed = Some(now_us);
        if connection.ends[1 - side] == End::Gone {
            self.connections.remove(&wire);
        }
    }

    /// Cuts a wire: both ends that are still there, to be told; what is in flight is lost.
    pub fn cut(&mut self, wire: Wire) -> Vec<End> {
        let connection = self.connections.remove(&wire);
        let ends = connection.map_or([End::Gone; 2], |connection| connection.ends);
        ends.into_iter().filter(|end| *end != End::Gone).collect()
    }

    pub fn stall(&mut self, wire: Wire, until_us: u64) {
        if let Some(connection) = self.connections.get_mut(&wire) {
            connection.stalled_us = until_us;
        }
    }

    /// Open wires, with their ends.
    pub fn wires(&self) -> impl Iterator<Item = (Wire, [End; 2])> {
        self.connections.iter().map(|(wire, c)| (*wire, c.ends))
    }

    pub fn is_partitioned(&self, a: usize, b: usize) -> bool {
        self.partitions.contains(&(a.min(b), a.max(b)))
    }

    /// What can be done at `now_us`; otherwise when something can.
    pub fn moves(
        &self,
        now_us: u64,
        blocked: impl Fn(usize) -> bool,
        moves: &mut Vec<Move>,
    ) -> u64 {
        let mut next = u64::MAX;
        for (wire, connection) in &self.connections {
            if connection.stalled_us > now_us {
                next = next.min(connection.stalled_us);
                continue;
            }
            if self.ends_are_partitioned(connection) {
                continue;
            }
            for (side, pipe) in connection.pipes.iter().enumerate() {
                let from = connection.ends[side];
                if from != End::Gone
                    && (!pipe.out.is_empty() || pipe.finish)
                    && pipe.flight_bytes < WINDOW
                    && !is_blocked(from, &blocked)
                {
                    moves.push(Move::Take(*wire, side));
                }
                let due = pipe.flight.front().map(|flight| flight.0).or(pipe.closed);
                let Some(due) = due else { continue };
                if connection.ends[1 - side] == End::Gone || pipe.paused {
                    continue;
                }
                if due <= now_us {
                    if !is_blocked(connection.ends[1 - side], &blocked) {
                        moves.push(Move::Give(*wire, side));
                    }
                } else {
                    next = next.min(due);
                }
            }
        }
        next
    }

    fn ends_are_partitioned(&self, connection: &Connection) -> bool {
        match connection.ends {
            [End::Shard { process: a, .. }, End::Shard { process: b, .. }] => {
                self.is_partitioned(a, b)
            }
            _ => false,
        }
    }

    /// The sender's kernel takes some bytes. The sender, and whether it has now closed.
    pub fn take(&mut self, wire: Wire, side: usize, now_us: u64, rng: &mut Random) -> (End, bool) {
        let connection = self
            .connections
            .get_mut(&wire)
            .expect("a move names an open wire");
        let pipe = &mut connection.pipes[side];
        let from = connection.ends[side];
        if pipe.out.is_empty() {
            return (from, true);
        }
        let len = match rng.below(4) {
            0 => 1 + rng.below(pipe.out.len()),
            _ => pipe.out.len(),
        };
        let bytes: Vec<u8> = pipe.out.drain(..len.min(WINDOW)).collect();
        let delay = if rng.one_in(40) {
            rng.range(1_000, 30_000)
        } else {
            rng.range(5, 300)
        };
        let last = pipe.flight.back().map_or(0, |flight| flight.0);
        pipe.flight_bytes += bytes.len();
        pipe.flight.push_back((last.max(now_us + delay), bytes));
        (from, false)
    }

    /// Bytes for the receiver; none at the end of the stream.
    pub fn give(&mut self, wire: Wire, side: usize, rng: &mut Random) -> (End, Vec<u8>) {
        let connection = self
            .connections
            .get_mut(&wire)
            .expect("a move names an open wire");
        let to = connection.ends[1 - side];
        let pipe = &mut connection.pipes[side];
        let Some((due, mut bytes)) = pipe.flight.pop_front() else {
            return (to, Vec::new());
        };
        if bytes.len() > 1 && rng.one_in(6) {
            let rest = bytes.split_off(1 + rng.below(bytes.len() - 1));
            pipe.flight.push_front((due, rest));
        }
        pipe.flight_bytes -= bytes.len();
        (to, bytes)
    }
}

fn is_blocked(end: End, blocked: &impl Fn(usize) -> bool) -> bool {
    matches!(end, End::Shard { process, .. } if blocked(process))
}
