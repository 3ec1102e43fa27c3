//! SLOWLOG, LATENCY and MEMORY: what each shard has seen, put together by the asker's home.

use crate::command::session::Observe;
use crate::protocol::{Args, Reply, quote};
use crate::value::number::parse_i64;

use crate::command::error::SUBCOMMAND_SHOWN_MAX;
use crate::command::table;

use super::Shard;
use super::client::Client;
use super::clients::help;
use super::dispatch::unknown_or_misused;
use super::gather::{Question, ShardFigures};
use super::histogram::Histogram;
use super::introspection::{lookup, subcommands};
use super::latency::{self, Events};
use super::lolwut;
use super::memory::MemoryFigures;
use super::session::Purpose;
use super::shell::Shell;
use super::slow_log::{self, SlowEntry};

/// Entries that SLOWLOG GET shows if no number is given.
const SLOW_ENTRIES_DEFAULT: usize = 10;

/// One shard's part of a report, or all shards' together.
#[derive(Debug, Default)]
pub struct Observed {
    pub slow: Vec<SlowEntry>,
    pub events: Events,
    /// Events that LATENCY RESET made a shard forget.
    pub forgotten: Vec<&'static str>,
    /// For what is added up from INFO's figures.
    pub figures: Vec<ShardFigures>,
}

/// What the shards are asked for.
#[derive(Clone, Debug)]
pub enum Wanted {
    Slow,
    ResetSlow,
    Events,
    /// Forget these events, or all if none is named.
    ResetEvents(Vec<Vec<u8>>),
    Figures,
}

/// What is made of the answers.
#[derive(Clone, Debug)]
pub enum Report {
    SlowEntries {
        count: usize,
    },
    SlowLen,
    Ok,
    Latest,
    History(Vec<u8>),
    Graph(Vec<u8>),
    Doctor,
    Forgotten,
    /// Of these commands, or of all if none is named.
    Histograms(Vec<Vec<u8>>),
    MemoryStats,
    MemoryDoctor,
}

impl Observed {
    /// Adds another shard's part.
    pub fn merge(&mut self, other: Observed) {
        self.slow.extend(other.slow);
        self.events.merge(&other.events);
        for event in other.forgotten {
            if !self.forgotten.contains(&event) {
                self.forgotten.push(event);
            }
        }
        self.figures.extend(other.figures);
    }
}

/// What to ask the shards for, and what to make of it; or the answer.
fn plan(op: Observe, args: Args<'_>) -> Result<(Wanted, Report), String> {
    let named = || args.iter().skip(2).map(<[u8]>::to_vec).collect();
    Ok(match op {
        Observe::SlowlogGet => (Wanted::Slow, slow_entries(args)?),
        Observe::SlowlogLen => (Wanted::Slow, Report::SlowLen),
        Observe::SlowlogReset => (Wanted::ResetSlow, Report::Ok),
        Observe::LatencyLatest => (Wanted::Events, Report::Latest),
        Observe::LatencyHistory => (Wanted::Events, Report::History(args[2].to_vec())),
        Observe::LatencyGraph => (Wanted::Events, Report::Graph(args[2].to_vec())),
        Observe::LatencyDoctor => (Wanted::Events, Report::Doctor),
        Observe::LatencyReset => (Wanted::ResetEvents(named()), Report::Forgotten),
        Observe::LatencyHistogram => (Wanted::Figures, Report::Histograms(named())),
        Observe::MemoryStats => (Wanted::Figures, Report::MemoryStats),
        Observe::MemoryDoctor => (Wanted::Figures, Report::MemoryDoctor),
        Observe::SlowlogHelp
        | Observe::LatencyHelp
        | Observe::MemoryMallocStats
        | Observe::MemoryPurge
        | Observe::Lolwut => {
            unreachable!("these are answered without asking anybody")
        }
    })
}

fn slow_entries(args: Args<'_>) -> Result<Report, String> {
    const RANGE: &str = "ERR count should be greater than or equal to -1";
    if args.len() > 3 {
        let name = quote(&args[1], SUBCOMMAND_SHOWN_MAX);
        return Err(unknown_or_misused(&name, "SLOWLOG"));
    }
    let count = match args.get(2) {
        None => SLOW_ENTRIES_DEFAULT,
        Some(number) => match parse_i64(number).ok_or(RANGE)? {
            -1 => usize::MAX,
            count => usize::try_from(count).map_err(|_| RANGE)?,
        },
    };
    Ok(Report::SlowEntries { count })
}

impl Shard {
    /// SLOWLOG, LATENCY, MEMORY or LOLWUT.
    pub(super) fn observe(&mut self, client: &mut Client, op: Observe, args: Args<'_>) {
        match op {
            Observe::SlowlogHelp => {
                self.answer(client, |reply| help(reply, "SLOWLOG", SLOWLOG_HELP));
                return;
            }
            Observe::LatencyHelp => {
                self.answer(client, |reply| help(reply, "LATENCY", LATENCY_HELP));
                return;
            }
            Observe::Lolwut => {
                self.answer(client, |reply| lolwut::lolwut(reply, args));
                return;
            }
            Observe::MemoryMallocStats | Observe::MemoryPurge => {
                self.ask_allocator(client, op);
                return;
            }
            _ => {}
        }
        match plan(op, args) {
            Err(text) => self.answer(client, |reply| reply.error(&text)),
            Ok((wanted, report)) => {
                self.ask(client, Purpose::Report(report), &Question::Observe(wanted));
            }
        }
    }

    /// MEMORY MALLOC-STATS and MEMORY PURGE: the allocator is the process's.
    fn ask_allocator(&mut self, client: &mut Client, op: Observe) {
        let shared = self.shared.clone();
        let allocator = shared.process.allocator.as_ref();
        self.answer(client, |reply| match (op, allocator) {
            (Observe::MemoryPurge, allocator) => {
                if let Some(allocator) = allocator {
                    (allocator.purge)();
                }
                reply.ok();
            }
            (_, Some(allocator)) => reply.verbatim("txt", (allocator.report)().as_bytes()),
            (_, None) => reply.bulk_str("Stats not supported for the current allocator"),
        });
    }

    /// This shard's part.
    pub(super) fn observed(&mut self, wanted: &Wanted, shell: &dyn Shell) -> Observed {
        let mut observed = Observed::default();
        match wanted {
            Wanted::Slow => observed.slow = self.slow_entries(),
            Wanted::ResetSlow => self.reset_slow_log(),
            Wanted::Events => observed.events = self.latency.clone(),
            Wanted::ResetEvents(names) => observed.forgotten = self.latency.reset(names),
            Wanted::Figures => observed.figures = vec![self.figures(shell)],
        }
        observed
    }

    /// Makes the reply from all shards' parts.
    pub(super) fn show_report(&mut self, client: &mut Client, report: &Report, all: Observed) {
        let now_s = self.now.unix_ms / 1000;
        let len_max = usize::try_from(self.config.slowlog_max_len).unwrap_or(usize::MAX);
        let (threshold_ms, slow_log_us) = (
            self.config.latency_monitor_threshold,
            self.config.slowlog_log_slower_than,
        );
        let memory = match report {
            Report::MemoryStats | Report::MemoryDoctor => {
                Some(MemoryFigures::new(self, &all.figures))
            }
            _ => None,
        };
        self.answer(client, |reply| match report {
            Report::MemoryStats => memory.iter().for_each(|memory| memory.show(reply)),
            Report::MemoryDoctor => memory.iter().for_each(|memory| {
                reply.verbatim("txt", memory.diagnosis().as_bytes());
            }),
            Report::SlowEntries { count } => {
                slow_log::show(reply, &slow_log::newest(all.slow, len_max.min(*count)));
            }
            Report::SlowLen => reply.integer(all.slow.len().min(len_max) as i64),
            Report::Ok => reply.ok(),
            Report::Latest => latest(reply, &all.events),
            Report::History(event) => history(reply, &all.events, event),
            Report::Graph(event) => match all.events.get(event) {
                Some((event, series)) => {
                    let text = latency::graph(event, series, now_s);
                    reply.verbatim("txt", text.as_bytes());
                }
                None => {
                    let event = quote(event, usize::MAX);
                    reply.error(&format!("ERR No samples available for event '{event}'"));
                }
            },
            Report::Doctor => {
                let text = latency::diagnosis(&all.events, threshold_ms, slow_log_us);
                reply.verbatim("txt", text.as_bytes());
            }
            Report::Forgotten => reply.integer(all.forgotten.len() as i64),
            Report::Histograms(names) => histograms(reply, &all.figures, names),
        });
    }
}

fn latest(reply: &mut Reply, events: &Events) {
    let known = events.iter().filter_map(|(event, series)| {
        let (last, max_ms) = series.latest()?;
        Some((event, last, max_ms))
    });
    let known: Vec<_> = known.collect();
    reply.array(known.len());
    for (event, last, max_ms) in known {
        reply.array(4);
        reply.bulk_str(event);
        reply.integer(last.unix_s as i64);
        reply.integer(last.ms as i64);
        reply.integer(max_ms as i64);
    }
}

fn history(reply: &mut Reply, events: &Events, event: &[u8]) {
    let Some((_, series)) = events.get(event) else {
        return reply.array(0);
    };
    reply.array(series.samples().len());
    for sample in series.samples() {
        reply.array(2);
        reply.integer(sample.unix_s as i64);
        reply.integer(sample.ms as i64);
    }
}

/// LATENCY HISTOGRAM: of each command its calls and how many took up to which time. A container
/// stands for its subcommands; unknown names, and commands that were not called, are left out.
fn histograms(reply: &mut Reply, figures: &[ShardFigures], names: &[Vec<u8>]) {
    let mut numbers = Vec::new();
    for command in names.iter().filter_map(|name| lookup(name)) {
        match subcommands(command) {
            [] => numbers.push(command.number()),
            subs => numbers.extend(subs.iter().map(table::Command::number)),
        }
    }
    if names.is_empty() {
        numbers = (0..table::count_with_subcommands()).collect();
    }
    let mut shown: Vec<(&str, Histogram)> = Vec::new();
    for number in numbers {
        let mut sum = Histogram::default();
        for shard in figures {
            if let Some(histogram) = &shard.stats.histograms[number] {
                sum.add(histogram);
            }
        }
        if sum.total() > 0 {
            shown.push((table::by_number(number).full_name, sum));
        }
    }
    reply.map(shown.len());
    for (name, histogram) in shown {
        reply.bulk_str(name);
        reply.map(2);
        reply.bulk_str("calls");
        reply.integer(histogram.total() as i64);
        reply.bulk_str("histogram_usec");
        let edges = histogram.edges();
        reply.map(edges.len());
        for (micros, count) in edges {
            reply.integer(micros as i64);
            reply.integer(count as i64);
        }
    }
}

const SLOWLOG_HELP: &[&str] = &[
    "GET [<count>]",
    "    The newest entries, <count> of them (10 if not given, all if -1). An entry is its",
    "    number, when it ran, the microseconds it took, its arguments, and the address and",
    "    name of the client.",
    "LEN",
    "    The number of entries.",
    "RESET",
    "    Forget all entries.",
];

const LATENCY_HELP: &[&str] = &[
    "DOCTOR",
    "    What was seen, in words, and what may help.",
    "GRAPH <event>",
    "    The samples of <event> as a graph of characters.",
    "HISTORY <event>",
    "    The samples of <event>: time and milliseconds.",
    "LATEST",
    "    The newest sample of each event, and its worst ever.",
    "RESET [<event> ...]",
    "    Forget the samples of the events named, or of all.",
    "HISTOGRAM [<command> ...]",
    "    How many calls took how long, of the commands named or of all.",
];

#[cfg(test)]
mod tests {
    use super::super::testing::World;

    #[test]
    fn misuse_has_the_texts_of_redis() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        let range = "-ERR count should be greater than or equal to -1";
        for (command, want) in [
            ("SLOWLOG GET -2", range),
            ("SLOWLOG GET x", range),
            ("SLOWLOG GET 0", "*0"),
            (
                "SLOWLOG GET 1 2",
                "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
            ),
            (
                "LATENCY HISTORY",
                "-ERR wrong number of arguments for 'latency|history' command",
            ),
        ] {
            assert_eq!(world.text(conn, command), want, "{command}");
        }
        assert!(world.text(conn, "SLOWLOG HELP").starts_with("*11 +SLOWLOG"));
        assert!(world.text(conn, "LATENCY HELP").starts_with("*15 +LATENCY"));
    }

    #[test]
    fn a_container_stands_for_its_subcommands() {
        let mut world = World::new(2);
        let conn = world.connect(0);
        world.text(conn, "CLIENT SETNAME bob");
        world.text(conn, "CLIENT SETNAME eve");
        let want = "*2 $14 client|setname *4 $5 calls :2 $14 histogram_usec *2 :1 :2";
        assert_eq!(world.text(conn, "LATENCY HISTOGRAM client"), want);
        assert_eq!(world.text(conn, "LATENCY HISTOGRAM get"), "*0");
        world.text(conn, "HELLO 3");
        let want = "%1 $14 client|setname %2 $5 calls :2 $14 histogram_usec %1 :1 :2";
        assert_eq!(world.text(conn, "LATENCY HISTOGRAM client|setname"), want);
    }

    #[test]
    fn within_a_transaction_all_shards_answer_too() {
        let mut world = World::new(3);
        let conn = world.connect(0);
        let text = world.pipeline(conn, "MULTI\nSLOWLOG LEN\nLATENCY LATEST\nEXEC");
        assert_eq!(text, "+OK +QUEUED +QUEUED *2 :0 *0");
    }
}
