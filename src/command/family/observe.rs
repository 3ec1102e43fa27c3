//! Rows of the commands that look at what the server has done: the slow log, the latency
//! monitor and the memory in use. The shard runs them.

use crate::command::session::{Observe, SessionOp};
use crate::command::table::{Command, Doc, Flags, Run};

const ANYWHERE: Flags = Flags::LOADING.or(Flags::STALE);
const SLOW_LOG: Flags = ANYWHERE.or(Flags::ADMIN);
const LATENCY: Flags = SLOW_LOG.or(Flags::NOSCRIPT);

const VARIES_PER_NODE: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_nodes",
    "response_policy:special",
];

const fn row(
    (name, full_name): (&'static str, &'static str),
    arity: i16,
    op: Observe,
    flags: Flags,
    tips: &'static [&'static str],
    (summary, since, complexity): (&'static str, &'static str, &'static str),
) -> Command {
    Command {
        name,
        full_name,
        arity,
        flags,
        tips,
        doc: Doc {
            summary,
            since,
            group: "server",
            complexity,
        },
        run: Run::Session(SessionOp::Observe(op)),
        ..Command::ROW
    }
}

const fn container(
    name: &'static str,
    (summary, since): (&'static str, &'static str),
    subcommands: &'static [Command],
) -> Command {
    Command {
        name,
        full_name: name,
        arity: -2,
        doc: Doc {
            summary,
            since,
            group: "server",
            complexity: "Depends on subcommand.",
        },
        run: Run::Container,
        subcommands,
        ..Command::ROW
    }
}

/// A subcommand of MEMORY, for the container.
const fn memory(
    names: (&'static str, &'static str),
    op: Observe,
    tips: &'static [&'static str],
    summary: &'static str,
    complexity: &'static str,
) -> Command {
    let doc = (summary, "4.0.0", complexity);
    row(names, 2, op, Flags::NONE, tips, doc)
}

const PER_SHARD: &[&str] = &[
    "nondeterministic_output",
    "request_policy:all_shards",
    "response_policy:special",
];

/// MEMORY DOCTOR.
pub const MEMORY_DOCTOR_ROW: Command = memory(
    ("doctor", "memory|doctor"),
    Observe::MemoryDoctor,
    PER_SHARD,
    "Tells in words what is unusual about the memory in use.",
    "O(1)",
);

/// MEMORY MALLOC-STATS.
pub const MEMORY_MALLOC_STATS_ROW: Command = memory(
    ("malloc-stats", "memory|malloc-stats"),
    Observe::MemoryMallocStats,
    PER_SHARD,
    "Gives the allocator's own report.",
    "Depends on how much memory is allocated",
);

/// MEMORY PURGE.
pub const MEMORY_PURGE_ROW: Command = memory(
    ("purge", "memory|purge"),
    Observe::MemoryPurge,
    &["request_policy:all_shards", "response_policy:all_succeeded"],
    "Gives memory that is free back to the system.",
    "Depends on how much memory is allocated",
);

/// MEMORY STATS.
pub const MEMORY_STATS_ROW: Command = memory(
    ("stats", "memory|stats"),
    Observe::MemoryStats,
    PER_SHARD,
    "Tells where the memory is.",
    "O(1)",
);

/// The rows.
pub static COMMANDS: &[Command] = &[
    container(
        "latency",
        ("Holds the commands about the latency monitor.", "2.8.13"),
        LATENCY_SUBCOMMANDS,
    ),
    container(
        "slowlog",
        ("Holds the commands about the slow log.", "2.2.12"),
        SLOWLOG_SUBCOMMANDS,
    ),
];

static LATENCY_SUBCOMMANDS: &[Command] = &[
    row(
        ("doctor", "latency|doctor"),
        2,
        Observe::LatencyDoctor,
        LATENCY,
        VARIES_PER_NODE,
        ("Tells in words what took long.", "2.8.13", "O(1)"),
    ),
    row(
        ("graph", "latency|graph"),
        3,
        Observe::LatencyGraph,
        LATENCY,
        VARIES_PER_NODE,
        ("Draws the samples of an event.", "2.8.13", "O(1)"),
    ),
    row(
        ("help", "latency|help"),
        2,
        Observe::LatencyHelp,
        ANYWHERE,
        &[],
        ("Lists the subcommands.", "2.8.13", "O(1)"),
    ),
    row(
        ("histogram", "latency|histogram"),
        -2,
        Observe::LatencyHistogram,
        LATENCY,
        VARIES_PER_NODE,
        (
            "Tells how many calls of commands took how long.",
            "7.0.0",
            "O(N) in the number of commands",
        ),
    ),
    row(
        ("history", "latency|history"),
        3,
        Observe::LatencyHistory,
        LATENCY,
        VARIES_PER_NODE,
        ("Gives the samples of an event.", "2.8.13", "O(1)"),
    ),
    row(
        ("latest", "latency|latest"),
        2,
        Observe::LatencyLatest,
        LATENCY,
        VARIES_PER_NODE,
        ("Gives the newest sample of each event.", "2.8.13", "O(1)"),
    ),
    row(
        ("reset", "latency|reset"),
        -2,
        Observe::LatencyReset,
        LATENCY,
        &["request_policy:all_nodes", "response_policy:agg_sum"],
        ("Forgets the samples of events.", "2.8.13", "O(1)"),
    ),
];

static SLOWLOG_SUBCOMMANDS: &[Command] = &[
    row(
        ("get", "slowlog|get"),
        -2,
        Observe::SlowlogGet,
        SLOW_LOG,
        &["request_policy:all_nodes", "nondeterministic_output"],
        (
            "Gives the newest entries of the slow log.",
            "2.2.12",
            "O(N) in the number of entries",
        ),
    ),
    row(
        ("help", "slowlog|help"),
        2,
        Observe::SlowlogHelp,
        ANYWHERE,
        &[],
        ("Lists the subcommands.", "6.2.0", "O(1)"),
    ),
    row(
        ("len", "slowlog|len"),
        2,
        Observe::SlowlogLen,
        SLOW_LOG,
        &[
            "request_policy:all_nodes",
            "response_policy:agg_sum",
            "nondeterministic_output",
        ],
        ("Counts the entries of the slow log.", "2.2.12", "O(1)"),
    ),
    row(
        ("reset", "slowlog|reset"),
        2,
        Observe::SlowlogReset,
        SLOW_LOG,
        &["request_policy:all_nodes", "response_policy:all_succeeded"],
        (
            "Empties the slow log.",
            "2.2.12",
            "O(N) in the number of entries",
        ),
    ),
];
