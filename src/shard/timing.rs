//! How long commands take: see the chapter [`crate::manual::observation`].
//!
//! The clock costs more than a short command may, so it is not read for each. Quick commands that
//! follow each other share a *lap*: one reading at its beginning, one at its end, the time divided
//! evenly among them. Any other command is timed by itself; it ends the lap before it, and its own
//! end begins the next.
//!
//! ```text
//!        GET SET GET GET        SORT          GET GET        (end of the connections' turn)
//!   read ─────────────── read ───────── read ───────── read
//! ```

use crate::command::{Command, Flags};
use crate::protocol::Args;

use super::Shard;

/// Commands of one lap.
const LAP_COMMANDS_MAX: u32 = 64;
/// Different commands that follow each other in one lap; the same one many times counts once.
const LAP_KINDS_MAX: usize = 16;
/// A command with more arguments than this is timed by itself.
const QUICK_ARGS_MAX: usize = 8;
/// A request of more bytes than this is timed by itself.
const QUICK_BYTES_MAX: usize = 4096;
/// A reply of more bytes than this ends the lap, as its command may have taken long.
const QUICK_REPLY_BYTES_MAX: usize = 16 << 10;
/// Below this threshold of the slow log, microseconds, every command is timed by itself.
const SLOW_LAP_MIN_US: i64 = 1000;

/// Reads the clock for a shard, and gathers the commands of the lap under way.
#[derive(Default)]
pub(super) struct Stopwatch {
    /// When the lap began, nanoseconds; meaningful while it runs.
    began_ns: u64,
    running: bool,
    /// Every command is timed by itself.
    singly: bool,
    histograms: bool,
    count: u32,
    kinds: usize,
    lap: [(u16, u16); LAP_KINDS_MAX],
}

/// How a command is being timed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timed {
    /// As one of its lap.
    InLap,
    /// By itself, since this reading.
    Since(u64),
}

impl Shard {
    /// The settings of the configuration that concern timing.
    pub(super) fn configure_timing(&mut self) {
        let threshold_us = self.config.slowlog_log_slower_than;
        self.watch.singly = (0..SLOW_LAP_MIN_US).contains(&threshold_us);
        self.watch.histograms = self.config.latency_tracking;
    }

    /// The monotonic clock, nanoseconds. Where the process has none (in the simulator), time
    /// stands still within a tick.
    pub(super) fn clock_ns(&self) -> u64 {
        match self.shared.process.clock {
            Some(clock) => clock(),
            None => self.now.mono_ns,
        }
    }

    /// A command is about to run.
    #[inline]
    pub(super) fn start_timing(
        &mut self,
        command: &Command,
        args: Args<'_>,
        raw: Option<&[u8]>,
    ) -> Timed {
        let quick = command.quick
            && !self.watch.singly
            && args.len() <= QUICK_ARGS_MAX
            && raw.is_some_and(|raw| raw.len() <= QUICK_BYTES_MAX);
        if !quick {
            return Timed::Since(self.end_lap());
        }
        if !self.watch.running {
            self.watch.running = true;
            self.watch.began_ns = self.clock_ns();
        }
        Timed::InLap
    }

    /// A command has run, and made a reply of `reply_bytes`.
    #[inline]
    pub(super) fn stop_timing(
        &mut self,
        timed: Timed,
        command: &'static Command,
        args: Args<'_>,
        reply_bytes: usize,
    ) {
        match timed {
            Timed::InLap => {
                self.add_to_lap(command.number);
                if reply_bytes > QUICK_REPLY_BYTES_MAX {
                    self.end_lap_by(command, args);
                } else if self.watch.count >= LAP_COMMANDS_MAX || self.watch.kinds == LAP_KINDS_MAX
                {
                    self.end_lap();
                }
            }
            Timed::Since(began_ns) => self.stop_timing_alone(began_ns, command, args),
        }
    }

    #[inline]
    fn add_to_lap(&mut self, number: u16) {
        let watch = &mut self.watch;
        watch.count += 1;
        match watch.kinds.checked_sub(1).map(|last| &mut watch.lap[last]) {
            Some((same, times)) if *same == number => *times += 1,
            _ => {
                watch.lap[watch.kinds] = (number, 1);
                watch.kinds += 1;
            }
        }
    }

    /// Reads the clock, shares out the lap that ends, and begins another. The reading.
    pub(super) fn end_lap(&mut self) -> u64 {
        let now_ns = self.clock_ns();
        let watch = &mut self.watch;
        let (began_ns, kinds, count) = (watch.began_ns, watch.kinds, watch.count);
        watch.began_ns = now_ns;
        watch.running = true;
        watch.kinds = 0;
        watch.count = 0;
        if count > 0 {
            let lap_ns = now_ns.saturating_sub(began_ns);
            let each_ns = lap_ns / u64::from(count);
            for at in 0..kinds {
                let (number, times) = self.watch.lap[at];
                self.record(usize::from(number), each_ns, u64::from(times));
            }
            // Which of them was held up is not known, but all are quick by themselves.
            self.note_latency("fast-command", lap_ns / 1_000_000);
        }
        now_ns
    }

    /// Ends a lap whose last command made a large reply. If that took long, it was that command:
    /// the others are short by what they are.
    #[cold]
    fn end_lap_by(&mut self, command: &'static Command, args: Args<'_>) {
        let began_ns = self.watch.began_ns;
        let now_ns = self.end_lap();
        self.note_duration(command, args, now_ns.saturating_sub(began_ns));
    }

    fn stop_timing_alone(&mut self, began_ns: u64, command: &'static Command, args: Args<'_>) {
        // Commands within this one (EXEC) may have left a lap.
        let now_ns = self.end_lap();
        let nanos = now_ns.saturating_sub(began_ns);
        self.record(command.number(), nanos, 1);
        self.note_duration(command, args, nanos);
    }

    /// The connections' turn, or the mailbox's, is over: what follows is no command's time.
    pub(super) fn stop_watch(&mut self) {
        if self.watch.count > 0 {
            self.end_lap();
        }
        self.watch.running = false;
    }

    fn record(&mut self, number: usize, nanos: u64, times: u64) {
        self.stats.commands[number].nanos += nanos * times;
        if self.watch.histograms {
            self.stats.histograms[number]
                .get_or_insert_default()
                .record(nanos, times);
        }
    }

    /// Tells the slow log and the latency monitor of a command that was timed by itself.
    #[inline]
    fn note_duration(&mut self, command: &'static Command, args: Args<'_>, nanos: u64) {
        let threshold_us = self.config.slowlog_log_slower_than;
        let micros = nanos / 1000;
        if u64::try_from(threshold_us).is_ok_and(|threshold| micros >= threshold) {
            self.note_slow(command, args, micros);
        }
        let event = match command.flags.has(Flags::FAST) {
            true => "fast-command",
            false => "command",
        };
        self.note_latency(event, micros / 1000);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use std::cell::Cell;

    thread_local! {
        static READINGS: Cell<u64> = const { Cell::new(0) };
    }

    /// A clock that moves by a microsecond whenever it is read.
    fn clock() -> u64 {
        READINGS.with(|readings| {
            readings.set(readings.get() + 1);
            readings.get() * 1000
        })
    }

    fn line(world: &mut World, conn: super::super::testing::Conn, name: &str) -> String {
        let text = world.text(conn, "INFO commandstats");
        let start = format!("cmdstat_{name}:");
        let line = text.split(' ').find(|line| line.starts_with(&start));
        line.unwrap_or_default().to_owned()
    }

    #[test]
    fn quick_commands_of_a_pipeline_share_two_readings() {
        let mut world = World::with_clock(1, clock);
        let conn = world.connect(0);
        world.text(conn, "SET a 1");
        let before = READINGS.get();
        world.pipeline(conn, &["GET a"; 60].join("\n"));
        assert_eq!(READINGS.get() - before, 2);
        let before = READINGS.get();
        world.pipeline(conn, &["GET a"; 200].join("\n"));
        assert!(READINGS.get() - before <= 5);
        let got = line(&mut world, conn, "get");
        assert!(got.contains("calls=260,usec="), "{got}");
    }

    #[test]
    fn other_commands_are_timed_by_themselves() {
        let mut world = World::with_clock(1, clock);
        let conn = world.connect(0);
        world.pipeline(conn, "MSET a 1 b 2\nMSET a 1 b 2\nMSET a 1 b 2");
        let mset = line(&mut world, conn, "mset");
        assert!(mset.contains("calls=3,usec=3,usec_per_call=1.00"), "{mset}");
        world.pipeline(conn, "MULTI\nGET a\nMSET a 1 b 2\nEXEC");
        let exec = line(&mut world, conn, "exec");
        assert!(exec.contains("calls=1,usec=3,usec_per_call=3.00"), "{exec}");
    }

    #[test]
    fn a_low_threshold_of_the_slow_log_times_every_command_by_itself() {
        let mut world = World::with_clock(1, clock);
        let conn = world.connect(0);
        world.text(conn, "CONFIG SET slowlog-log-slower-than 999");
        world.pipeline(conn, &["SET a 1"; 10].join("\n"));
        let set = line(&mut world, conn, "set");
        assert!(set.contains("calls=10,usec=10,usec_per_call=1.00"), "{set}");
    }

    #[test]
    fn without_a_clock_time_stands_still_within_a_tick() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        world.pipeline(conn, &["GET a"; 300].join("\n"));
        let get = line(&mut world, conn, "get");
        assert!(get.contains("calls=300,usec=0,"), "{get}");
    }

    #[test]
    fn percentiles_are_shown_for_what_was_called_and_only_if_tracked() {
        let mut world = World::with_clock(1, clock);
        let conn = world.connect(0);
        world.text(conn, "MSET a 1 b 2");
        let text = world.text(conn, "INFO latencystats");
        let want = "latency_percentiles_usec_mset:p50=1.003,p99=1.003,p99.9=1.003";
        assert!(text.contains(want), "{text}");
        let want = "*2 $4 mset *4 $5 calls :1 $14 histogram_usec *2 :1 :1";
        assert_eq!(world.text(conn, "LATENCY HISTOGRAM mset nosuch"), want);
        world.text(conn, "CONFIG SET latency-tracking no");
        let text = world.text(conn, "INFO latencystats");
        assert!(!text.contains("latency_percentiles_usec_mset"), "{text}");
    }
}
