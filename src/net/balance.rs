//! Spreading accepted connections over the shards.
//!
//! One shard accepts. Each accepted connection goes to the shard with the fewest open ones, so that
//! connections that stay open are spread evenly, which neither `SO_REUSEPORT` (a hash) nor a round
//! robin (blind to ends) gives.

use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::seam::Peer;
use super::waker::Waker;

/// An accepted connection on its way to its shard.
pub(super) type Handed = (OwnedFd, Peer);

// A line of its own: each shard counts down on its own.
#[repr(align(128))]
struct Lane {
    open: AtomicUsize,
    handed: Mutex<Vec<Handed>>,
    waker: Waker,
}

/// Open client connections per shard, and the queues in which the accepting shard hands connections
/// over.
pub struct Balance {
    lanes: Box<[Lane]>,
}

impl Balance {
    /// One lane per shard, in the order of the shards' wakers.
    pub fn new(wakers: Vec<Waker>) -> Self {
        let lane = |waker| Lane {
            open: AtomicUsize::new(0),
            handed: Mutex::default(),
            waker,
        };
        Balance {
            lanes: wakers.into_iter().map(lane).collect(),
        }
    }

    /// Client connections that are open on a shard or on their way to it.
    pub fn open(&self, shard: usize) -> usize {
        self.lanes
            .get(shard)
            .map_or(0, |lane| lane.open.load(Ordering::Relaxed))
    }

    /// Counts one more connection on the emptiest shard and returns that shard; `own` wins ties.
    pub(super) fn assign(&self, own: usize) -> usize {
        // Only the accepting shard counts up, so that a plain read is at worst too high.
        let fewest = |&shard: &usize| (self.open(shard), shard != own);
        let shard = (0..self.lanes.len()).min_by_key(fewest).unwrap_or(own);
        if let Some(lane) = self.lanes.get(shard) {
            lane.open.fetch_add(1, Ordering::Relaxed);
        }
        shard
    }

    /// Counts one connection less.
    pub(super) fn released(&self, shard: usize) {
        if let Some(lane) = self.lanes.get(shard) {
            lane.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Gives a connection to the shard that [`assign`](Self::assign) chose.
    pub(super) fn hand(&self, shard: usize, connection: Handed) {
        if let Some(lane) = self.lanes.get(shard) {
            lane.handed
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .push(connection);
            lane.waker.wake();
        }
    }

    /// Takes what was handed to a shard. To be called after each wake-up by a waker.
    pub(super) fn take(&self, shard: usize) -> Vec<Handed> {
        let Some(lane) = self.lanes.get(shard) else {
            return Vec::new();
        };
        std::mem::take(&mut *lane.handed.lock().unwrap_or_else(|e| e.into_inner()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(shards: usize) -> Balance {
        Balance::new((0..shards).map(|_| Waker::new().unwrap().0).collect())
    }

    #[test]
    fn sixty_four_connections_differ_by_at_most_one_on_any_number_of_shards() {
        for shards in 1..=16 {
            let balance = balance(shards);
            for _ in 0..64 {
                balance.assign(0);
            }
            let counts: Vec<usize> = (0..shards).map(|shard| balance.open(shard)).collect();
            assert_eq!(counts.iter().sum::<usize>(), 64);
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn the_shard_that_lost_connections_gets_the_next_ones() {
        let balance = balance(3);
        for _ in 0..9 {
            balance.assign(0);
        }
        balance.released(1);
        balance.released(1);
        assert_eq!((balance.assign(0), balance.assign(0)), (1, 1));
    }
}
