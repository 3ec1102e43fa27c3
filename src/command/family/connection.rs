//! Rows of the connection's commands; the shard runs them.

use crate::command::session::SessionOp;
use crate::command::table::{Command, Doc, Flags, Run};

/// Allowed while a dataset loads and while the upstream is away, but not in scripts.
const SESSION: Flags = Flags::NOSCRIPT.or(Flags::LOADING).or(Flags::STALE);
const ADMIN: Flags = SESSION.or(Flags::ADMIN);
/// As well before AUTH, and while the server is busy.
const OPEN: Flags = SESSION
    .or(Flags::FAST)
    .or(Flags::NO_AUTH)
    .or(Flags::ALLOW_BUSY);
const ANYWHERE: Flags = Flags::LOADING.or(Flags::STALE);
const QUICK: Flags = ANYWHERE.or(Flags::FAST);

const ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const VARIES: &[&str] = &["nondeterministic_output"];

const fn row(
    (name, full_name): (&'static str, &'static str),
    arity: i16,
    op: SessionOp,
    flags: Flags,
    (summary, since): (&'static str, &'static str),
) -> Command {
    Command {
        name,
        full_name,
        arity,
        flags,
        categories: &["@connection"],
        doc: Doc {
            summary,
            since,
            group: "connection",
            complexity: "O(1)",
        },
        run: Run::Session(op),
        ..Command::ROW
    }
}

const fn top(
    name: &'static str,
    arity: i16,
    op: SessionOp,
    flags: Flags,
    doc: (&'static str, &'static str),
) -> Command {
    row((name, name), arity, op, flags, doc)
}

const fn with_tips(row: Command, tips: &'static [&'static str]) -> Command {
    Command { tips, ..row }
}

const fn with_complexity(row: Command, complexity: &'static str) -> Command {
    Command {
        doc: Doc {
            complexity,
            ..row.doc
        },
        ..row
    }
}

/// The rows.
pub static COMMANDS: &[Command] = &[
    top(
        "auth",
        -2,
        SessionOp::Auth,
        OPEN,
        (
            "Proves a password, of the default user or of the user named.",
            "1.0.0",
        ),
    ),
    CLIENT,
    top(
        "echo",
        2,
        SessionOp::Echo,
        QUICK,
        ("Sends its argument back.", "1.0.0"),
    ),
    top(
        "hello",
        -1,
        SessionOp::Hello,
        OPEN,
        (
            "Chooses the protocol's version and tells about the server.",
            "6.0.0",
        ),
    ),
    with_tips(
        top(
            "ping",
            -1,
            SessionOp::Ping,
            Flags::FAST,
            ("Answers PONG, or its argument.", "1.0.0"),
        ),
        ALL_SHARDS,
    ),
    top(
        "quit",
        -1,
        SessionOp::Quit,
        OPEN,
        ("Ends the connection.", "1.0.0"),
    ),
    top(
        "reset",
        1,
        SessionOp::Reset,
        OPEN,
        (
            "Puts the connection back into the state of a new one.",
            "6.2.0",
        ),
    ),
    top(
        "select",
        2,
        SessionOp::Select,
        QUICK,
        ("Chooses the connection's database.", "1.0.0"),
    ),
];

const CLIENT: Command = Command {
    name: "client",
    full_name: "client",
    arity: -2,
    doc: Doc {
        summary: "Holds the commands about connections.",
        since: "2.4.0",
        group: "connection",
        complexity: "Depends on subcommand.",
    },
    run: Run::Container,
    subcommands: CLIENT_SUBCOMMANDS,
    ..Command::ROW
};

static CLIENT_SUBCOMMANDS: &[Command] = &[
    row(
        ("caching", "client|caching"),
        3,
        SessionOp::ClientCaching,
        SESSION,
        (
            "Says whether the keys of the next command are tracked.",
            "6.0.0",
        ),
    ),
    row(
        ("getname", "client|getname"),
        2,
        SessionOp::ClientGetname,
        SESSION,
        ("Gives the connection's name.", "2.6.9"),
    ),
    row(
        ("getredir", "client|getredir"),
        2,
        SessionOp::ClientGetredir,
        SESSION,
        (
            "Gives the number of the connection that is told of changed keys instead.",
            "6.0.0",
        ),
    ),
    row(
        ("help", "client|help"),
        2,
        SessionOp::ClientHelp,
        ANYWHERE,
        ("Lists the subcommands.", "5.0.0"),
    ),
    row(
        ("id", "client|id"),
        2,
        SessionOp::ClientId,
        SESSION,
        ("Gives the connection's number, never used twice.", "5.0.0"),
    ),
    with_tips(
        row(
            ("info", "client|info"),
            2,
            SessionOp::ClientInfo,
            SESSION,
            ("Describes this connection in a line.", "6.2.0"),
        ),
        VARIES,
    ),
    with_complexity(
        row(
            ("kill", "client|kill"),
            -3,
            SessionOp::ClientKill,
            ADMIN,
            ("Closes connections.", "2.4.0"),
        ),
        "O(N) where N is the number of connections",
    ),
    with_complexity(
        with_tips(
            row(
                ("list", "client|list"),
                -2,
                SessionOp::ClientList,
                ADMIN,
                ("Describes connections, a line for each.", "2.4.0"),
            ),
            VARIES,
        ),
        "O(N) where N is the number of connections",
    ),
    row(
        ("no-evict", "client|no-evict"),
        3,
        SessionOp::ClientNoEvict,
        ADMIN,
        (
            "Exempts the connection from being closed for memory.",
            "7.0.0",
        ),
    ),
    row(
        ("no-touch", "client|no-touch"),
        3,
        SessionOp::ClientNoTouch,
        SESSION,
        (
            "Keeps the connection's reads from counting as use of a key.",
            "7.2.0",
        ),
    ),
    row(
        ("pause", "client|pause"),
        -3,
        SessionOp::ClientPause,
        ADMIN,
        (
            "Holds the commands of all connections back for a time.",
            "3.0.0",
        ),
    ),
    row(
        ("reply", "client|reply"),
        3,
        SessionOp::ClientReply,
        SESSION,
        ("Turns replies to this connection on or off.", "3.2.0"),
    ),
    with_tips(
        row(
            ("setinfo", "client|setinfo"),
            4,
            SessionOp::ClientSetinfo,
            SESSION,
            (
                "Tells the name or version of the client's library.",
                "7.2.0",
            ),
        ),
        ALL_NODES,
    ),
    with_tips(
        row(
            ("setname", "client|setname"),
            3,
            SessionOp::ClientSetname,
            SESSION,
            ("Names the connection.", "2.6.9"),
        ),
        ALL_NODES,
    ),
    with_complexity(
        row(
            ("tracking", "client|tracking"),
            -3,
            SessionOp::ClientTracking,
            SESSION,
            (
                "Turns on or off that the connection is told when keys change that it has read.",
                "6.0.0",
            ),
        ),
        "O(1). Some options may introduce additional complexity.",
    ),
    row(
        ("trackinginfo", "client|trackinginfo"),
        2,
        SessionOp::ClientTrackinginfo,
        SESSION,
        ("Tells how the connection tracks keys.", "6.2.0"),
    ),
    with_complexity(
        row(
            ("unblock", "client|unblock"),
            -3,
            SessionOp::ClientUnblock,
            ADMIN,
            ("Ends the wait of a blocked connection.", "5.0.0"),
        ),
        "O(log N) where N is the number of connections",
    ),
    with_complexity(
        row(
            ("unpause", "client|unpause"),
            2,
            SessionOp::ClientUnpause,
            ADMIN,
            ("Ends the pause that CLIENT PAUSE began.", "6.2.0"),
        ),
        "O(N) where N is the number of held back connections",
    ),
];
