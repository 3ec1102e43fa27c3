//! A histogram of durations with a relative error below one in a hundred and bounded memory.
//!
//! Values below 256 have a counter each; above that, every doubling is divided into 128 counters
//! of equal width, as in an HDR histogram of two significant digits:
//!
//! ```text
//!   chunk 0      0 .. 128    width 1
//!   chunk 1    128 .. 256    width 1
//!   chunk 2    256 .. 512    width 2
//!   chunk n   2^(n+6) .. 2^(n+7)   width 2^(n-1)
//! ```
//!
//! A chunk is allocated when the first of its counters is used: a command whose times span a
//! hundredfold takes about 8 KiB, and none can take more than [`CHUNKS`] KiB.

/// Counters of a chunk.
const CHUNK: usize = 128;
/// Chunks of a histogram: values up to [`NANOS_MAX`].
pub const CHUNKS: usize = 24;
/// Durations above a second are counted as a second, as in Redis.
pub const NANOS_MAX: u64 = 1_000_000_000;
/// The first edge of the histogram that clients are shown; each further one is twice as high.
const FIRST_EDGE_NS: u64 = 1024;

/// How often each duration occurred, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    chunks: [Option<Box<[u64; CHUNK]>>; CHUNKS],
    total: u64,
}

/// The counter of a value.
fn index_of(nanos: u64) -> usize {
    // The width of the value's chunk is `1 << shift`.
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(8);
    shift as usize * CHUNK + (nanos >> shift) as usize
}

/// The highest value that a counter stands for.
fn highest_of(index: usize) -> u64 {
    let shift = (index / CHUNK).saturating_sub(1);
    let lowest = ((index - shift * CHUNK) as u64) << shift;
    lowest + (1 << shift) - 1
}

impl Histogram {
    /// Counts `times` durations of `nanos` each.
    pub fn record(&mut self, nanos: u64, times: u64) {
        let index = index_of(nanos.clamp(1, NANOS_MAX));
        let chunk = self.chunks[index / CHUNK].get_or_insert_with(|| Box::new([0; CHUNK]));
        chunk[index % CHUNK] += times;
        self.total += times;
    }

    /// Number of durations counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: &Histogram) {
        for (mine, theirs) in self.chunks.iter_mut().zip(&other.chunks) {
            match (mine, theirs) {
                (_, None) => {}
                (mine @ None, Some(theirs)) => *mine = Some(theirs.clone()),
                (Some(mine), Some(theirs)) => {
                    mine.iter_mut()
                        .zip(theirs.iter())
                        .for_each(|(a, b)| *a += b);
                }
            }
        }
        self.total += other.total;
    }

    /// Counters that are not zero, by value.
    fn counts(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let chunks = self.chunks.iter().enumerate();
        chunks
            .filter_map(|(at, chunk)| Some((at * CHUNK, chunk.as_ref()?)))
            .flat_map(|(first, chunk)| chunk.iter().enumerate().map(move |(i, n)| (first + i, *n)))
            .filter(|(_, count)| *count > 0)
    }

    /// The duration below which this share of all durations is, in percent: nanoseconds, rounded up
    /// to the end of its counter. 0 if nothing was counted.
    pub fn percentile(&self, percent: f64) -> u64 {
        let share = percent.clamp(0.0, 100.0) / 100.0 * self.total as f64;
        let wanted = ((share + 0.5) as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts() {
            seen += count;
            if seen >= wanted {
                return highest_of(index);
            }
        }
        0
    }

    /// Durations up to each edge that has more below it than the edge before: (microseconds,
    /// count), as LATENCY HISTOGRAM shows them.
    pub fn edges(&self) -> Vec<(u64, u64)> {
        let mut edges = Vec::new();
        let (mut edge, mut seen) = (FIRST_EDGE_NS, 0);
        let mut counts = self.counts().peekable();
        while counts.peek().is_some() {
            let before = seen;
            let last = index_of(edge);
            while let Some((_, count)) = counts.next_if(|(index, _)| *index <= last) {
                seen += count;
            }
            if seen > before {
                edges.push((highest_of(last) / 1000, seen));
            }
            edge *= 2;
        }
        edges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_cover_all_values_without_gaps_and_within_a_hundredth() {
        let mut next = 0;
        for index in 0..CHUNKS * CHUNK {
            assert_eq!(index_of(next), index);
            let highest = highest_of(index);
            assert_eq!(index_of(highest), index);
            assert!((highest - next) as f64 <= next as f64 / 100.0, "{next}");
            next = highest + 1;
        }
        assert!(next > NANOS_MAX);
    }

    #[test]
    fn percentiles_agree_with_a_sorted_list() {
        let mut rng = crate::command::Rng::new(7);
        let (mut histogram, mut list) = (Histogram::default(), Vec::new());
        for _ in 0..5000 {
            let nanos = rng.next_u64() >> (34 + rng.next_u64() % 20);
            let nanos = nanos.clamp(1, NANOS_MAX);
            histogram.record(nanos, 1);
            list.push(nanos);
        }
        list.sort_unstable();
        for percent in [0.0, 1.0, 50.0, 99.0, 99.9, 100.0] {
            let rank = ((percent / 100.0 * 5000.0 + 0.5) as usize).max(1);
            let exact = list[rank - 1];
            let shown = histogram.percentile(percent);
            assert_eq!(index_of(shown), index_of(exact), "{percent}");
        }
        assert_eq!(Histogram::default().percentile(50.0), 0);
    }

    #[test]
    fn edges_are_cumulative_and_skip_what_is_empty() {
        let mut histogram = Histogram::default();
        assert!(histogram.edges().is_empty());
        histogram.record(0, 1);
        histogram.record(1031, 2);
        histogram.record(1032, 1);
        histogram.record(40_000, 1);
        histogram.record(u64::MAX, 1);
        assert_eq!(histogram.edges(), [(1, 3), (2, 4), (66, 5), (1_082_130, 6)]);
        assert_eq!(histogram.total(), 6);
    }

    #[test]
    fn histograms_of_several_shards_are_added_up() {
        let (mut a, mut b) = (Histogram::default(), Histogram::default());
        a.record(10, 3);
        b.record(10, 2);
        b.record(5_000_000, 1);
        a.add(&b);
        assert_eq!(a.total(), 6);
        assert_eq!(a.percentile(80.0), 10);
        assert!(a.percentile(100.0) >= 5_000_000);
    }
}
