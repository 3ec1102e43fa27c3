//! The latency monitor: the worst of what happened in each second, by kind of event.

use std::collections::VecDeque;
use std::fmt::Write;

use super::Shard;

/// Samples that are kept of each event, as in Redis.
const SAMPLES_MAX: usize = 160;

/// The worst latency of one second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    pub unix_s: u64,
    pub ms: u64,
}

/// What is known of one kind of event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// The oldest first; at most [`SAMPLES_MAX`].
    samples: VecDeque<Sample>,
    /// The worst ever, milliseconds.
    max_ms: u64,
}

/// All events of a shard, or of all shards together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events(Vec<(&'static str, Series)>);

impl Series {
    fn add(&mut self, sample: Sample) {
        self.max_ms = self.max_ms.max(sample.ms);
        match self.samples.back_mut() {
            Some(last) if last.unix_s == sample.unix_s => last.ms = last.ms.max(sample.ms),
            _ => self.samples.push_back(sample),
        }
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    /// Both series in the order of time.
    fn merge(&mut self, other: &Series) {
        let mut all: Vec<Sample> = self.samples.drain(..).collect();
        all.extend(&other.samples);
        all.sort_by_key(|sample| sample.unix_s);
        all.into_iter().for_each(|sample| self.add(sample));
        self.max_ms = self.max_ms.max(other.max_ms);
    }

    /// The samples, the oldest first.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + '_ {
        self.samples.iter().copied()
    }

    /// The newest sample, and the worst latency ever in milliseconds.
    pub fn latest(&self) -> Option<(Sample, u64)> {
        self.samples.back().map(|last| (*last, self.max_ms))
    }

    fn mean(&self, of: impl Fn(&Sample) -> u64) -> u64 {
        let sum: u64 = self.samples.iter().map(of).sum();
        sum / (self.samples.len() as u64).max(1)
    }
}

impl Events {
    fn add(&mut self, event: &'static str, sample: Sample) {
        self.series_mut(event).add(sample);
    }

    fn series_mut(&mut self, event: &'static str) -> &mut Series {
        let at = self.0.binary_search_by_key(&event, |(name, _)| name);
        let at = at.unwrap_or_else(|at| {
            self.0.insert(at, (event, Series::default()));
            at
        });
        &mut self.0[at].1
    }

    /// Adds another shard's events.
    pub fn merge(&mut self, other: &Events) {
        for (event, series) in &other.0 {
            self.series_mut(event).merge(series);
        }
    }

    /// Events by name, with their series.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'static str, &Series)> {
        self.0.iter().map(|(event, series)| (*event, series))
    }

    /// One event's series.
    pub fn get(&self, event: &[u8]) -> Option<(&'static str, &Series)> {
        self.iter().find(|(name, _)| name.as_bytes() == event)
    }

    /// Forgets the events named, or all if none is. Which those were.
    pub fn reset(&mut self, names: &[Vec<u8>]) -> Vec<&'static str> {
        let (forgotten, kept) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(event, _)| {
                names.is_empty() || names.iter().any(|name| name == event.as_bytes())
            });
        self.0 = kept;
        let forgotten: Vec<(&'static str, Series)> = forgotten;
        forgotten.into_iter().map(|(event, _)| event).collect()
    }
}

impl Shard {
    /// Something took `ms` milliseconds.
    #[inline]
    pub(super) fn note_latency(&mut self, event: &'static str, ms: u64) {
        let threshold_ms = self.config.latency_monitor_threshold;
        if threshold_ms > 0 && ms >= threshold_ms {
            let unix_s = self.now.unix_ms / 1000;
            self.latency.add(event, Sample { unix_s, ms });
        }
    }
}

/// Rows of a graph.
const GRAPH_ROWS: u64 = 4;
/// How a column's top is drawn, from low to high.
const TOPS: [char; 3] = ['_', 'o', '#'];

/// LATENCY GRAPH: a column for each sample, the oldest on the left, with its age below.
pub(super) fn graph(event: &str, series: &Series, now_s: u64) -> String {
    const COLUMNS: usize = 80;
    let values = || series.samples().map(|sample| sample.ms);
    let (low, high) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
    let mut text = format!(
        "{event} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        series.max_ms,
        "-".repeat(COLUMNS)
    );
    let samples: Vec<Sample> = series.samples().collect();
    for line in samples.chunks(COLUMNS) {
        columns(&mut text, line, low, high);
        ages(&mut text, line, now_s);
    }
    text
}

fn columns(text: &mut String, line: &[Sample], low: u64, high: u64) {
    let steps = GRAPH_ROWS * TOPS.len() as u64;
    let span = (high - low).max(1);
    for row in (0..GRAPH_ROWS).rev() {
        for sample in line {
            let step = ((sample.ms - low) * steps / span).min(steps - 1);
            let below = row * TOPS.len() as u64;
            text.push(match step.checked_sub(below) {
                None => ' ',
                Some(height) => TOPS.get(height as usize).copied().unwrap_or('|'),
            });
        }
        text.push('\n');
    }
}

/// The age of each sample, written downwards.
fn ages(text: &mut String, line: &[Sample], now_s: u64) {
    let labels: Vec<Vec<char>> = (line.iter())
        .map(|sample| age(now_s.saturating_sub(sample.unix_s)).chars().collect())
        .collect();
    let height = labels.iter().map(Vec::len).max().unwrap_or(0);
    text.extend(std::iter::repeat_n(' ', line.len()));
    text.push('\n');
    for row in 0..height {
        text.extend(labels.iter().map(|label| label.get(row).unwrap_or(&' ')));
        text.push('\n');
    }
}

/// Seconds in the largest unit that fits.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// LATENCY DOCTOR: what was seen, and what to do about it. `threshold_ms` is that of the monitor.
pub(super) fn diagnosis(events: &Events, threshold_ms: u64, slow_log_us: i64) -> String {
    if threshold_ms == 0 {
        return "The latency monitor is off. \"CONFIG SET latency-monitor-threshold \
            <milliseconds>\" turns it on.\n"
            .to_owned();
    }
    if events.iter().len() == 0 {
        return format!("Nothing has taken {threshold_ms} ms or longer since the monitor began.\n");
    }
    let mut text = "Spikes of latency were seen:\n\n".to_owned();
    for (number, (event, series)) in events.iter().enumerate() {
        let mean = series.mean(|sample| sample.ms);
        let deviation = series.mean(|sample| sample.ms.abs_diff(mean));
        let first = series.samples().next().map_or(0, |sample| sample.unix_s);
        let last = series.latest().map_or(0, |(sample, _)| sample.unix_s);
        let period = (last - first + 1) as f64 / series.samples().len() as f64;
        writeln!(
            text,
            "{}. {event}: {} spikes (mean {mean} ms, mean deviation {deviation} ms, one in \
             {period:.2} s). The worst ever took {} ms.",
            number + 1,
            series.samples().len(),
            series.max_ms
        )
        .expect("a String takes everything");
    }
    text.push_str("\nWhat may help:\n\n");
    let seen = |event: &str| events.get(event.as_bytes()).is_some();
    if seen("command") {
        match slow_log_us {
            0.. => text.push_str("- SLOWLOG GET shows which commands took long.\n"),
            _ => text.push_str(
                "- Turn the slow log on (slowlog-log-slower-than): it shows which commands took \
                 long.\n",
            ),
        }
        text.push_str(
            "- Commands that walk a whole collection or all keys: use the SCAN family.\n",
        );
    }
    if seen("fast-command") {
        text.push_str(
            "- Even short commands were delayed: look for other load on the cores of the shards, \
             swapping, and a hypervisor that takes time away.\n",
        );
    }
    if seen("expire-cycle") {
        text.push_str("- Many keys expire at the same moment: spread their times.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn series(samples: &[(u64, u64)]) -> Series {
        let mut series = Series::default();
        for (unix_s, ms) in samples {
            series.add(Sample {
                unix_s: *unix_s,
                ms: *ms,
            });
        }
        series
    }

    #[test]
    fn a_second_has_one_sample_its_worst_and_old_ones_are_forgotten() {
        let one = series(&[(5, 10), (5, 30), (5, 20), (6, 1)]);
        assert_eq!(one.samples().len(), 2);
        assert_eq!(one.latest(), Some((Sample { unix_s: 6, ms: 1 }, 30)));
        let many: Vec<(u64, u64)> = (0..500).map(|at| (at, 500 - at)).collect();
        let many = series(&many);
        assert_eq!(many.samples().len(), SAMPLES_MAX);
        assert_eq!(many.latest().unwrap().1, 500);
    }

    #[test]
    fn shards_series_are_merged_by_time() {
        let mut all = Events::default();
        for samples in [[(1, 5), (3, 9)], [(2, 7), (3, 20)]] {
            let mut events = Events::default();
            events.series_mut("command").merge(&series(&samples));
            all.merge(&events);
        }
        let (_, merged) = all.get(b"command").unwrap();
        assert_eq!(*merged, series(&[(1, 5), (2, 7), (3, 20)]));
        assert!(all.get(b"fork").is_none());
    }

    #[test]
    fn a_graph_has_a_column_for_each_sample() {
        let text = graph("command", &series(&[(10, 0), (100, 12), (3700, 6)]), 3701);
        let want = format!(
            "command - high 12 ms, low 0 ms (all time high 12 ms)\n{}\n{}",
            "-".repeat(80),
            " # \n |_\n ||\n_||\n   \n111\nhhs\n"
        );
        assert_eq!(text, want);
    }

    #[test]
    fn latencies_are_noted_from_the_threshold_on_and_can_be_forgotten() {
        let mut world = World::with_config(1, &[("latency-monitor-threshold", "5")]);
        let conn = world.connect(0);
        world.shards[0].note_latency("command", 4);
        assert_eq!(world.text(conn, "LATENCY LATEST"), "*0");
        world.shards[0].note_latency("command", 5);
        world.shards[0].note_latency("fast-command", 8);
        let want = "*2 *4 $7 command :1700000000 :5 :5 *4 $12 fast-command :1700000000 :8 :8";
        assert_eq!(world.text(conn, "LATENCY LATEST"), want);
        let want = "*1 *2 :1700000000 :5";
        assert_eq!(world.text(conn, "LATENCY HISTORY command"), want);
        assert_eq!(world.text(conn, "LATENCY HISTORY nosuch"), "*0");
        let want = "-ERR No samples available for event 'nosuch'";
        assert_eq!(world.text(conn, "LATENCY GRAPH nosuch"), want);
        assert!(world.text(conn, "LATENCY DOCTOR").contains("SLOWLOG GET"));
        assert_eq!(world.text(conn, "LATENCY RESET nosuch command x"), ":1");
        assert_eq!(world.text(conn, "LATENCY RESET"), ":1");
        assert_eq!(world.text(conn, "LATENCY LATEST"), "*0");
    }

    #[test]
    fn events_of_several_shards_are_one() {
        let mut world = World::with_config(3, &[("latency-monitor-threshold", "1")]);
        let conn = world.connect(0);
        world.run();
        for (shard, ms) in [(0, 4), (1, 9), (2, 6)] {
            world.shards[shard].note_latency("command", ms);
        }
        let want = "*1 *4 $7 command :1700000000 :9 :9";
        assert_eq!(world.text(conn, "LATENCY LATEST"), want);
        assert_eq!(world.text(conn, "LATENCY RESET command"), ":1");
    }

    #[test]
    fn the_doctor_says_when_there_is_nothing_to_see() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        let text = world.text(conn, "LATENCY DOCTOR");
        assert!(text.contains("latency-monitor-threshold"), "{text}");
        world.text(conn, "CONFIG SET latency-monitor-threshold 100");
        let text = world.text(conn, "LATENCY DOCTOR");
        assert!(text.contains("Nothing has taken 100 ms"), "{text}");
    }
}
