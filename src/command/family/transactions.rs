//! Rows of MULTI and its kin; the shard runs them.

use crate::command::session::SessionOp;
use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};

const SESSION: Flags = Flags::NOSCRIPT.or(Flags::LOADING).or(Flags::STALE);
const QUICK: Flags = SESSION.or(Flags::FAST).or(Flags::ALLOW_BUSY);
const QUICK_NO_MULTI: Flags = QUICK.or(Flags::NO_MULTI);

const fn row(
    name: &'static str,
    arity: i16,
    op: SessionOp,
    flags: Flags,
    (summary, since): (&'static str, &'static str),
    complexity: &'static str,
) -> Command {
    Command {
        name,
        full_name: name,
        arity,
        flags,
        categories: &["@transaction"],
        doc: Doc {
            summary,
            since,
            group: "transactions",
            complexity,
        },
        run: Run::Session(op),
        ..Command::ROW
    }
}

/// The rows.
pub static COMMANDS: &[Command] = &[
    row(
        "discard",
        1,
        SessionOp::Discard,
        QUICK,
        ("Forgets the commands queued since MULTI.", "2.0.0"),
        "O(N), when N is the number of queued commands",
    ),
    row(
        "exec",
        1,
        SessionOp::Exec,
        SESSION.or(Flags::SKIP_SLOWLOG),
        ("Runs the commands queued since MULTI as one.", "1.2.0"),
        "Depends on commands in the transaction",
    ),
    row(
        "multi",
        1,
        SessionOp::Multi,
        QUICK_NO_MULTI,
        ("Begins to queue commands for EXEC.", "1.2.0"),
        "O(1)",
    ),
    row(
        "unwatch",
        1,
        SessionOp::Unwatch,
        QUICK,
        ("Forgets all watched keys.", "2.2.0"),
        "O(1)",
    ),
    Command {
        keys: Keys::Range {
            first: 1,
            last: -1,
            step: 1,
        },
        access: KeyAccess::Inspect,
        ..row(
            "watch",
            -2,
            SessionOp::Watch,
            QUICK_NO_MULTI,
            (
                "Makes the next EXEC fail if one of these keys has changed.",
                "2.2.0",
            ),
            "O(1) for every key.",
        )
    },
];
