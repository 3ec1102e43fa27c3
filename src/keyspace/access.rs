//! The access word of an entry: when it was last used, or how often, for the eviction policies.
//!
//! ```text
//!    least recently used      31 ............................ 0
//!                             |------ seconds since 1970 -----|
//!
//!    least frequently used    31 .. 24 23 ............ 8 7 .. 0
//!                             |  0   | |-- minutes ----| |count|
//! ```
//!
//! The count grows the more slowly the larger it is (Redis's logarithmic counter), and falls by one
//! for every `lfu-decay-time` minutes without use; the minutes wrap, as Redis's do. A change of
//! policy leaves old words behind, which are read by the new meaning until they are used again:
//! that is so in Redis, too.

/// Count of a new key.
const COUNT_START: u32 = 5;
const COUNT_MAX: u32 = 255;
const MINUTES_MASK: u32 = 0xffff;
const MINUTES_SHIFT: u32 = 8;

/// What is kept in the access words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tracking {
    /// The time of the last use.
    #[default]
    Recency,
    /// A counter of uses.
    Frequency {
        /// `lfu-log-factor`: how slowly it grows.
        log_factor: u32,
        /// `lfu-decay-time`: minutes in which it falls by one; 0: it does not.
        decay_min: u32,
    },
}

/// What is stamped into the entries that are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Clock {
    /// Seconds since 1970.
    pub seconds: u32,
    pub tracking: Tracking,
}

impl Clock {
    fn minutes(self) -> u32 {
        (self.seconds / 60) & MINUTES_MASK
    }

    fn word(self, count: u32) -> u32 {
        self.minutes() << MINUTES_SHIFT | count
    }

    /// The word of a new entry.
    pub fn fresh(self) -> u32 {
        match self.tracking {
            Tracking::Recency => self.seconds,
            Tracking::Frequency { .. } => self.word(COUNT_START),
        }
    }

    /// The word of an entry that is used now. `random` is asked only where chance decides.
    #[inline]
    pub fn used(self, word: u32, random: impl FnOnce() -> u64) -> u32 {
        match self.tracking {
            Tracking::Recency => self.seconds,
            Tracking::Frequency { log_factor, .. } => {
                self.word(grown(self.count(word), log_factor, random))
            }
        }
    }

    /// How often an entry was used, as OBJECT FREQ shows it.
    pub fn count(self, word: u32) -> u32 {
        let decay_min = match self.tracking {
            Tracking::Frequency { decay_min, .. } => decay_min,
            Tracking::Recency => 0,
        };
        let then = word >> MINUTES_SHIFT & MINUTES_MASK;
        let passed = self.minutes().wrapping_sub(then) & MINUTES_MASK;
        let falls = passed.checked_div(decay_min).unwrap_or(0);
        (word & COUNT_MAX).saturating_sub(falls)
    }

    /// Seconds since an entry was last used.
    pub fn idle_s(self, word: u32) -> u32 {
        self.seconds.saturating_sub(word)
    }

    /// The word of an entry that comes with an idle time or a count (RESTORE, a snapshot). `None`
    /// if neither is what is tracked.
    pub fn restored(self, idle_s: Option<u64>, count: Option<u8>) -> Option<u32> {
        match self.tracking {
            Tracking::Recency => idle_s.map(|idle_s| {
                let idle_s = u32::try_from(idle_s).unwrap_or(u32::MAX);
                // 0 would say that it was never set.
                self.seconds.saturating_sub(idle_s).max(1)
            }),
            // As for a new entry, a word of 0 is none.
            Tracking::Frequency { .. } => count.map(|count| self.word(u32::from(count)).max(1)),
        }
    }
}

fn grown(count: u32, log_factor: u32, random: impl FnOnce() -> u64) -> u32 {
    if count >= COUNT_MAX {
        return COUNT_MAX;
    }
    let base = u64::from(count.saturating_sub(COUNT_START));
    let rarity = base * u64::from(log_factor) + 1;
    // With a probability of 1 / rarity.
    let hit = rarity == 1 || random().is_multiple_of(rarity);
    count + u32::from(hit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lfu(seconds: u32, log_factor: u32, decay_min: u32) -> Clock {
        Clock {
            seconds,
            tracking: Tracking::Frequency {
                log_factor,
                decay_min,
            },
        }
    }

    #[test]
    fn recency_is_the_time_of_the_last_use() {
        let clock = Clock {
            seconds: 1000,
            ..Clock::default()
        };
        assert_eq!(clock.fresh(), 1000);
        assert_eq!(clock.used(7, || unreachable!("no chance in it")), 1000);
        assert_eq!(clock.idle_s(400), 600);
        assert_eq!(clock.restored(Some(600), None), Some(400));
        assert_eq!(clock.restored(Some(u64::MAX), None), Some(1));
        assert_eq!(clock.restored(None, Some(9)), None);
    }

    #[test]
    fn a_count_falls_with_time_and_wraps_with_the_minutes() {
        let start = lfu(600, 10, 1);
        let word = start.fresh();
        assert_eq!(start.count(word), 5);
        for (seconds, decay_min, want) in [
            (659, 1, 5),
            (660, 1, 4),
            (900, 1, 0),
            (900, 2, 3),
            (100_000, 0, 5),
            // 65,536 minutes later the clock shows the same.
            (600 + 65_536 * 60, 1, 5),
        ] {
            assert_eq!(lfu(seconds, 10, decay_min).count(word), want, "{seconds}");
        }
        assert_eq!(
            start.restored(Some(3), Some(200)).map(|w| start.count(w)),
            Some(200)
        );
    }

    #[test]
    fn a_count_grows_ever_more_slowly_up_to_its_end() {
        let clock = lfu(600, 10, 1);
        let mut rng = 1u64;
        let mut random = || {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            rng >> 33
        };
        let (mut word, mut uses_at) = (clock.fresh(), Vec::new());
        for uses in 0..2_000_000u64 {
            let next = clock.used(word, &mut random);
            if clock.count(next) > clock.count(word) {
                uses_at.push(uses);
            }
            word = next;
        }
        // Redis's table for a factor of 10: about 18 after 1,000 hits, 142 after 100,000.
        let count_after = |uses| 5 + uses_at.iter().filter(|at| **at < uses).count();
        assert!(
            (12..30).contains(&count_after(1_000)),
            "{}",
            count_after(1_000)
        );
        assert!((110..180).contains(&count_after(100_000)));
        assert_eq!(clock.count(word), COUNT_MAX);
        // Below its start it grows with every use; without a factor it always does.
        assert_eq!(clock.count(clock.used(clock.word(2), || 1)), 3);
        let eager = lfu(600, 0, 1);
        assert_eq!(eager.count(eager.used(eager.word(100), || 1)), 101);
    }
}
