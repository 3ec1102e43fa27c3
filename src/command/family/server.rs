//! Rows of the server's commands; the shard runs them.

use super::{databases, keys, lists};
use crate::command::session::{Observe, SessionOp};
use crate::command::table::{Command, Doc, Flags, Run};

const ANYWHERE: Flags = Flags::LOADING.or(Flags::STALE);
const QUICK: Flags = ANYWHERE.or(Flags::FAST);
const ADMIN: Flags = ANYWHERE.or(Flags::ADMIN).or(Flags::NOSCRIPT);
const DEBUG_FLAGS: Flags = ADMIN.or(Flags::PROTECTED);

const ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const VARIES: &[&str] = &["nondeterministic_output"];
const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];

const fn row(
    (name, full_name): (&'static str, &'static str),
    arity: i16,
    op: SessionOp,
    flags: Flags,
    (summary, since, complexity): (&'static str, &'static str, &'static str),
) -> Command {
    Command {
        name,
        full_name,
        arity,
        flags,
        doc: Doc {
            summary,
            since,
            group: "server",
            complexity,
        },
        run: Run::Session(op),
        ..Command::ROW
    }
}

const fn container(
    name: &'static str,
    flags: Flags,
    (summary, since): (&'static str, &'static str),
    subcommands: &'static [Command],
) -> Command {
    Command {
        name,
        full_name: name,
        arity: -2,
        flags,
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

const fn with_tips(row: Command, tips: &'static [&'static str]) -> Command {
    Command { tips, ..row }
}

const fn with_categories(row: Command, categories: &'static [&'static str]) -> Command {
    Command { categories, ..row }
}

/// The rows.
pub static COMMANDS: &[Command] = &[
    COMMAND,
    container(
        "config",
        Flags::NONE,
        ("Holds the commands about the configuration.", "2.0.0"),
        CONFIG_SUBCOMMANDS,
    ),
    container(
        "debug",
        DEBUG_FLAGS,
        ("Holds commands for tests of the server itself.", "1.0.0"),
        DEBUG_SUBCOMMANDS,
    ),
    with_categories(
        with_tips(
            row(
                ("info", "info"),
                -1,
                SessionOp::Info,
                ANYWHERE,
                (
                    "Gives figures about the server, by section.",
                    "1.0.0",
                    "O(1)",
                ),
            ),
            &[
                "nondeterministic_output",
                "request_policy:all_shards",
                "response_policy:special",
            ],
        ),
        &["@dangerous"],
    ),
    with_categories(
        with_tips(
            row(
                ("lastsave", "lastsave"),
                1,
                SessionOp::LastSave,
                QUICK,
                (
                    "Tells when the dataset was last saved, in Unix seconds.",
                    "1.0.0",
                    "O(1)",
                ),
            ),
            VARIES,
        ),
        &["@admin", "@dangerous"],
    ),
    row(
        ("lolwut", "lolwut"),
        -1,
        SessionOp::Observe(Observe::Lolwut),
        Flags::READONLY.or(Flags::FAST),
        ("Draws a banyan, and tells the version.", "5.0.0", ""),
    ),
    row(
        ("monitor", "monitor"),
        1,
        SessionOp::Monitor,
        Flags::ADMIN
            .or(Flags::NOSCRIPT)
            .or(Flags::LOADING)
            .or(Flags::STALE),
        ("Shows every command that is run.", "1.0.0", ""),
    ),
    with_categories(
        row(
            ("role", "role"),
            1,
            SessionOp::Role,
            QUICK.or(Flags::NOSCRIPT),
            ("Tells the server's place in replication.", "2.8.12", "O(1)"),
        ),
        &["@admin", "@dangerous"],
    ),
    row(
        ("shutdown", "shutdown"),
        -1,
        SessionOp::Shutdown,
        ADMIN.or(Flags::NO_MULTI).or(Flags::ALLOW_BUSY),
        (
            "Ends the server.",
            "1.0.0",
            "O(N) when saving, where N is the total number of keys in all databases when saving \
             data, otherwise O(1)",
        ),
    ),
    with_tips(
        row(
            ("time", "time"),
            1,
            SessionOp::Time,
            QUICK,
            (
                "Tells the server's time: Unix seconds and microseconds.",
                "2.6.0",
                "O(1)",
            ),
        ),
        VARIES,
    ),
];

const COMMAND: Command = Command {
    subcommands: COMMAND_SUBCOMMANDS,
    ..with_categories(
        with_tips(
            row(
                ("command", "command"),
                -1,
                SessionOp::Command,
                ANYWHERE,
                (
                    "Describes all commands.",
                    "2.8.13",
                    "O(N) where N is the total number of Redis commands",
                ),
            ),
            ANY_ORDER,
        ),
        &["@connection"],
    )
};

const fn command_row(
    names: (&'static str, &'static str),
    arity: i16,
    op: SessionOp,
    tips: &'static [&'static str],
    doc: (&'static str, &'static str, &'static str),
) -> Command {
    Command {
        tips,
        categories: &["@connection"],
        ..row(names, arity, op, ANYWHERE, doc)
    }
}

static COMMAND_SUBCOMMANDS: &[Command] = &[
    command_row(
        ("count", "command|count"),
        2,
        SessionOp::CommandCount,
        &[],
        ("Counts the commands.", "2.8.13", "O(1)"),
    ),
    command_row(
        ("docs", "command|docs"),
        -2,
        SessionOp::CommandDocs,
        ANY_ORDER,
        (
            "Gives the documentation of commands.",
            "7.0.0",
            "O(N) where N is the number of commands to look up",
        ),
    ),
    command_row(
        ("getkeys", "command|getkeys"),
        -3,
        SessionOp::CommandGetKeys,
        &[],
        (
            "Picks the keys out of a command.",
            "2.8.13",
            "O(N) where N is the number of arguments to the command",
        ),
    ),
    command_row(
        ("getkeysandflags", "command|getkeysandflags"),
        -3,
        SessionOp::CommandGetKeysAndFlags,
        &[],
        (
            "Picks the keys out of a command and tells how it uses each.",
            "7.0.0",
            "O(N) where N is the number of arguments to the command",
        ),
    ),
    command_row(
        ("help", "command|help"),
        2,
        SessionOp::CommandHelp,
        &[],
        ("Lists the subcommands.", "5.0.0", "O(1)"),
    ),
    command_row(
        ("info", "command|info"),
        -2,
        SessionOp::CommandInfo,
        ANY_ORDER,
        (
            "Describes the commands named, or all.",
            "2.8.13",
            "O(N) where N is the number of commands to look up",
        ),
    ),
    command_row(
        ("list", "command|list"),
        -2,
        SessionOp::CommandList,
        ANY_ORDER,
        (
            "Names all commands, or those that pass a filter.",
            "7.0.0",
            "O(N) where N is the total number of Redis commands",
        ),
    ),
];

static CONFIG_SUBCOMMANDS: &[Command] = &[
    row(
        ("get", "config|get"),
        -3,
        SessionOp::ConfigGet,
        ADMIN,
        (
            "Gives the directives that match, with their values.",
            "2.0.0",
            "O(N) when N is the number of configuration parameters provided",
        ),
    ),
    row(
        ("help", "config|help"),
        2,
        SessionOp::ConfigHelp,
        ANYWHERE,
        ("Lists the subcommands.", "5.0.0", "O(1)"),
    ),
    with_tips(
        row(
            ("resetstat", "config|resetstat"),
            2,
            SessionOp::ConfigResetStat,
            ADMIN,
            (
                "Sets the counters that INFO shows to zero.",
                "2.0.0",
                "O(1)",
            ),
        ),
        ALL_NODES,
    ),
    with_tips(
        row(
            ("rewrite", "config|rewrite"),
            2,
            SessionOp::ConfigRewrite,
            ADMIN,
            (
                "Writes the values in force to the configuration file.",
                "2.8.0",
                "O(1)",
            ),
        ),
        ALL_NODES,
    ),
    with_tips(
        row(
            ("set", "config|set"),
            -4,
            SessionOp::ConfigSet,
            ADMIN,
            (
                "Changes directives while the server runs, all or none.",
                "2.0.0",
                "O(N) when N is the number of configuration parameters provided",
            ),
        ),
        ALL_NODES,
    ),
];

/// A subcommand of DEBUG that another family runs.
const fn debug(row: Command) -> Command {
    Command {
        flags: DEBUG_FLAGS,
        ..row
    }
}

/// Not shown by COMMAND: to clients DEBUG is one command with free arguments.
static DEBUG_SUBCOMMANDS: &[Command] = &[
    debug(databases::DIGEST_ROW),
    debug(lists::LISTPACK_ROW),
    debug(lists::QUICKLIST_ROW),
    debug(keys::DIGEST_VALUE_ROW),
    debug(keys::OBJECT_ROW),
    debug(databases::RELOAD_ROW),
    row(
        ("change-repl-id", "debug|change-repl-id"),
        2,
        SessionOp::DebugChangeReplId,
        DEBUG_FLAGS,
        (
            "Gives the history a new replication id: no replica can go on from it.",
            "3.2.0",
            "O(1)",
        ),
    ),
    row(
        ("log", "debug|log"),
        3,
        SessionOp::DebugLog,
        DEBUG_FLAGS,
        ("Writes a line to the server's log.", "3.2.0", "O(1)"),
    ),
    row(
        ("protocol", "debug|protocol"),
        3,
        SessionOp::DebugProtocol,
        DEBUG_FLAGS,
        ("Answers with a reply of the type named.", "6.0.0", "O(1)"),
    ),
    row(
        ("stringmatch-test", "debug|stringmatch-test"),
        2,
        SessionOp::DebugStringmatchTest,
        DEBUG_FLAGS,
        ("Matches random patterns.", "6.0.0", "O(1)"),
    ),
    row(
        ("error", "debug|error"),
        3,
        SessionOp::DebugError,
        DEBUG_FLAGS,
        ("Answers with an error of this text.", "3.2.0", "O(1)"),
    ),
    row(
        ("help", "debug|help"),
        2,
        SessionOp::DebugHelp,
        DEBUG_FLAGS,
        ("Lists the subcommands.", "5.0.0", "O(1)"),
    ),
    row(
        ("panic", "debug|panic"),
        2,
        SessionOp::DebugPanic,
        DEBUG_FLAGS,
        ("Ends the server by a panic.", "3.2.0", "O(1)"),
    ),
    row(
        ("populate", "debug|populate"),
        -3,
        SessionOp::DebugPopulate,
        DEBUG_FLAGS,
        (
            "Makes keys, without telling replicas.",
            "2.6.0",
            "O(N) where N is the number of keys",
        ),
    ),
    row(
        (
            "quicklist-packed-threshold",
            "debug|quicklist-packed-threshold",
        ),
        3,
        SessionOp::DebugQuicklistPackedThreshold,
        DEBUG_FLAGS,
        (
            "Sets from which length on an element of a list gets a node of its own.",
            "7.0.0",
            "O(1)",
        ),
    ),
    row(
        ("set-active-expire", "debug|set-active-expire"),
        3,
        SessionOp::DebugSetActiveExpire,
        DEBUG_FLAGS,
        (
            "Turns the deletion of expired keys that nobody reads on or off.",
            "2.6.0",
            "O(1)",
        ),
    ),
    row(
        ("sleep", "debug|sleep"),
        3,
        SessionOp::DebugSleep,
        DEBUG_FLAGS,
        ("Makes this connection wait.", "2.6.0", "O(1)"),
    ),
];
