//! A shard's statistics: plain integers, added up only when somebody asks.

use crate::command::table;

use super::histogram::Histogram;

/// Calls of one command.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandStats {
    pub calls: u64,
    /// Nanoseconds that all calls took together.
    pub nanos: u64,
    /// Refused before it ran (arity, auth, read-only …).
    pub rejected: u64,
    /// Ran and replied with an error.
    pub failed: u64,
}

/// Keys of one database.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyspaceLine {
    pub db: usize,
    pub keys: u64,
    pub expires: u64,
    pub avg_ttl_ms: u64,
    /// The hash table, without the entries.
    pub table_bytes: u64,
}

/// Counters of one shard.
#[derive(Clone, Debug)]
pub struct ShardStats {
    pub commands: Vec<CommandStats>,
    /// How long the calls of each command took; made when it is first called.
    pub histograms: Vec<Option<Box<Histogram>>>,
    /// Errors by their code word.
    pub errors: Vec<(String, u64)>,
    pub total_connections: u64,
    pub rejected_connections: u64,
    pub total_commands: u64,
    pub total_error_replies: u64,
    pub net_in_bytes: u64,
    pub net_out_bytes: u64,
    pub reads: u64,
    pub writes: u64,
    pub dirty: u64,
    pub query_buffer_limit_drops: u64,
    pub output_buffer_limit_drops: u64,
    /// Messages sent to other shards.
    pub messages: u64,
    /// Transactions begun, and begun again after a refusal.
    pub transactions: u64,
    pub transaction_retries: u64,
    /// Closed for `maxmemory-clients`.
    pub evicted_clients: u64,
    pub ticks: u64,
}

impl Default for ShardStats {
    fn default() -> Self {
        ShardStats {
            commands: vec![CommandStats::default(); table::count_with_subcommands()],
            histograms: vec![None; table::count_with_subcommands()],
            errors: Vec::new(),
            total_connections: 0,
            rejected_connections: 0,
            total_commands: 0,
            total_error_replies: 0,
            net_in_bytes: 0,
            net_out_bytes: 0,
            reads: 0,
            writes: 0,
            dirty: 0,
            query_buffer_limit_drops: 0,
            output_buffer_limit_drops: 0,
            messages: 0,
            transactions: 0,
            transaction_retries: 0,
            evicted_clients: 0,
            ticks: 0,
        }
    }
}

/// Different code words counted before all others are counted together.
const ERROR_CODES_MAX: usize = 128;

impl ShardStats {
    /// Counts an error reply by the first word of its text.
    pub fn count_error(&mut self, code: &str) {
        self.total_error_replies += 1;
        if let Some(count) = self.errors.iter_mut().find(|(name, _)| name == code) {
            count.1 += 1;
        } else if self.errors.len() < ERROR_CODES_MAX {
            self.errors.push((code.to_owned(), 1));
        }
    }

    /// Adds another shard's counters, for INFO.
    pub fn add(&mut self, other: &ShardStats) {
        for (mine, theirs) in self.commands.iter_mut().zip(&other.commands) {
            mine.calls += theirs.calls;
            mine.nanos += theirs.nanos;
            mine.rejected += theirs.rejected;
            mine.failed += theirs.failed;
        }
        for (mine, theirs) in self.histograms.iter_mut().zip(&other.histograms) {
            if let Some(theirs) = theirs {
                mine.get_or_insert_default().add(theirs);
            }
        }
        for (code, count) in &other.errors {
            match self.errors.iter_mut().find(|(name, _)| name == code) {
                Some(mine) => mine.1 += count,
                None => self.errors.push((code.clone(), *count)),
            }
        }
        self.total_connections += other.total_connections;
        self.rejected_connections += other.rejected_connections;
        self.total_commands += other.total_commands;
        self.total_error_replies += other.total_error_replies;
        self.net_in_bytes += other.net_in_bytes;
        self.net_out_bytes += other.net_out_bytes;
        self.reads += other.reads;
        self.writes += other.writes;
        self.dirty += other.dirty;
        self.query_buffer_limit_drops += other.query_buffer_limit_drops;
        self.output_buffer_limit_drops += other.output_buffer_limit_drops;
        self.messages += other.messages;
        self.transactions += other.transactions;
        self.transaction_retries += other.transaction_retries;
        self.evicted_clients += other.evicted_clients;
        self.ticks += other.ticks;
    }
}

/// Samples of a rate that are kept, as in Redis.
const SAMPLES: usize = 16;
/// Time between two samples, nanoseconds.
const SAMPLE_PERIOD_NS: u64 = 100_000_000;

/// Commands, bytes in and bytes out per second: means of the last samples.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    /// When the last sample was taken, and the counters then.
    last: Option<(u64, [u64; 3])>,
    samples: [[u64; 3]; SAMPLES],
    next: usize,
}

impl Rates {
    /// Takes a sample if it is time for one.
    pub fn sample(&mut self, now_ns: u64, stats: &ShardStats) {
        let counters = [
            stats.total_commands,
            stats.net_in_bytes,
            stats.net_out_bytes,
        ];
        let Some((then_ns, before)) = self.last else {
            self.last = Some((now_ns, counters));
            return;
        };
        let passed_ns = now_ns.saturating_sub(then_ns);
        if passed_ns < SAMPLE_PERIOD_NS {
            return;
        }
        self.last = Some((now_ns, counters));
        for (at, sample) in self.samples[self.next].iter_mut().enumerate() {
            let grown = u128::from(counters[at].saturating_sub(before[at]));
            *sample = (grown * 1_000_000_000 / u128::from(passed_ns)) as u64;
        }
        self.next = (self.next + 1) % SAMPLES;
    }

    /// The counters were set to zero.
    pub fn restart(&mut self) {
        *self = Rates::default();
    }

    /// The means.
    pub fn per_second(&self) -> [u64; 3] {
        std::array::from_fn(|at| {
            let sum: u64 = self.samples.iter().map(|sample| sample[at]).sum();
            sum / SAMPLES as u64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_mean_of_the_last_samples() {
        let mut rates = Rates::default();
        let mut stats = ShardStats::default();
        for tick in 0..40 {
            stats.total_commands = tick * 50;
            rates.sample(tick * SAMPLE_PERIOD_NS, &stats);
            // Too early for another.
            rates.sample(tick * SAMPLE_PERIOD_NS + 1, &stats);
        }
        assert_eq!(rates.per_second(), [500, 0, 0]);
        rates.restart();
        assert_eq!(rates.per_second(), [0, 0, 0]);
    }

    #[test]
    fn error_codes_are_counted_apart_and_bounded() {
        let mut stats = ShardStats::default();
        stats.count_error("ERR");
        stats.count_error("WRONGTYPE");
        stats.count_error("ERR");
        assert_eq!(
            stats.errors,
            [("ERR".to_owned(), 2), ("WRONGTYPE".to_owned(), 1)]
        );
        (0..1000).for_each(|i| stats.count_error(&format!("E{i}")));
        assert_eq!(stats.errors.len(), ERROR_CODES_MAX);
        assert_eq!(stats.total_error_replies, 1003);
    }
}
