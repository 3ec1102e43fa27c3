//! Connection commands; the shard runs them.

use crate::command::session::SessionOp;
use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};

/// The rows.
pub static COMMANDS: &[Command] = &[Command {
    name: "ping",
    full_name: "ping",
    arity: -1,
    flags: Flags::FAST,
    categories: &["@connection"],
    keys: Keys::None,
    access: KeyAccess::Read,
    doc: Doc {
        summary: "Answers PONG, or its argument.",
        since: "1.0.0",
        group: "connection",
        complexity: "O(1)",
    },
    run: Run::Session(SessionOp::Ping),
    ..Command::ROW
}];
