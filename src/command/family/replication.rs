//! Rows of the replication commands; the layer above the shard runs them.

use crate::command::session::SessionOp;
use crate::command::table::{Command, Doc, Flags, Run};

const ADMIN: Flags = Flags::ADMIN.or(Flags::NOSCRIPT);
const SYNC: Flags = ADMIN.or(Flags::NO_ASYNC_LOADING).or(Flags::NO_MULTI);
const UPSTREAM: Flags = ADMIN.or(Flags::STALE).or(Flags::NO_ASYNC_LOADING);

const fn row(
    name: &'static str,
    arity: i16,
    op: SessionOp,
    flags: Flags,
    (summary, since): (&'static str, &'static str),
) -> Command {
    Command {
        name,
        full_name: name,
        arity,
        flags,
        doc: Doc {
            summary,
            since,
            group: "server",
            complexity: "O(1)",
        },
        run: Run::Session(op),
        ..Command::ROW
    }
}

/// What a synchronisation costs depends on the dataset and the stream: no order is given.
const fn unbounded(row: Command) -> Command {
    Command {
        doc: Doc {
            complexity: "",
            ..row.doc
        },
        ..row
    }
}

/// The rows.
pub static COMMANDS: &[Command] = &[
    row(
        "failover",
        -1,
        SessionOp::Failover,
        ADMIN.or(Flags::STALE),
        ("Hands the role of the primary over to a replica.", "6.2.0"),
    ),
    unbounded(row(
        "psync",
        -3,
        SessionOp::Psync,
        SYNC,
        (
            "Asks for the replication stream from an offset on.",
            "2.8.0",
        ),
    )),
    row(
        "replconf",
        -1,
        SessionOp::ReplConf,
        ADMIN
            .or(Flags::LOADING)
            .or(Flags::STALE)
            .or(Flags::ALLOW_BUSY),
        ("Tells an upstream about a replica.", "3.0.0"),
    ),
    row(
        "replicaof",
        -3,
        SessionOp::ReplicaOf,
        UPSTREAM,
        (
            "Makes the server a replica of another, or a primary.",
            "5.0.0",
        ),
    ),
    row(
        "slaveof",
        -3,
        SessionOp::ReplicaOf,
        UPSTREAM,
        ("The old name of REPLICAOF.", "1.0.0"),
    ),
    unbounded(row(
        "sync",
        1,
        SessionOp::Sync,
        SYNC,
        (
            "Asks for a snapshot and the replication stream after it.",
            "1.0.0",
        ),
    )),
    Command {
        categories: &["@connection"],
        tips: &["request_policy:all_shards", "response_policy:agg_min"],
        doc: Doc {
            summary: "Waits until replicas have acknowledged this connection's writes.",
            since: "3.0.0",
            group: "generic",
            complexity: "O(1)",
        },
        ..row("wait", 3, SessionOp::Wait, Flags::BLOCKING, ("", ""))
    },
];
