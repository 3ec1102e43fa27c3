//! The rows of the command table.

use super::{claim, edit, group, info, pending, range, read};
use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Outcome};
use crate::protocol::Args;

type Handler = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = Flags::READONLY.or(Flags::FAST);
const WRITE: Flags = Flags::WRITE;
const WRITE_FAST: Flags = Flags::WRITE.or(Flags::FAST);
const STORE: Flags = WRITE.or(Flags::DENYOOM);
const STORE_FAST: Flags = WRITE_FAST.or(Flags::DENYOOM);
const STREAM: &[&str] = &["@stream"];
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];

/// A row with one key, its first argument.
const fn row(
    name: &'static str,
    arity: i16,
    (flags, access): (Flags, KeyAccess),
    doc: Doc,
    handler: Handler,
) -> Command {
    Command {
        name,
        full_name: name,
        arity,
        flags,
        categories: STREAM,
        keys: key_at(1),
        access,
        doc,
        run: Run::Data(handler),
        ..Command::ROW
    }
}

/// A subcommand, whose key is its second argument.
const fn subcommand(
    (name, full_name): (&'static str, &'static str),
    arity: i16,
    (flags, access): (Flags, KeyAccess),
    doc: Doc,
    handler: Handler,
) -> Command {
    Command {
        name,
        full_name,
        keys: key_at(2),
        ..row(name, arity, (flags, access), doc, handler)
    }
}

/// The HELP of a container.
const fn help(full_name: &'static str, doc: Doc, handler: Handler) -> Command {
    const ANYTIME: Flags = Flags::LOADING.or(Flags::STALE);
    Command {
        keys: Keys::None,
        ..subcommand(
            ("help", full_name),
            2,
            (ANYTIME, KeyAccess::Read),
            doc,
            handler,
        )
    }
}

const fn container(name: &'static str, doc: Doc, subcommands: &'static [Command]) -> Command {
    Command {
        name,
        full_name: name,
        arity: -2,
        doc,
        run: Run::Container,
        subcommands,
        ..Command::ROW
    }
}

const fn key_at(at: u8) -> Keys {
    Keys::Range {
        first: at,
        last: at as i8,
        step: 1,
    }
}

const fn with_tips(row: Command) -> Command {
    Command {
        tips: ANY_OUTPUT,
        ..row
    }
}

const fn doc(since: &'static str, complexity: &'static str, summary: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: "stream",
        complexity,
    }
}

const PER_ENTRY: &str = "O(N) with N the entries given; O(1) for any constant N";

/// The rows.
pub static COMMANDS: &[Command] = &[
    row(
        "xack",
        -4,
        (WRITE_FAST, KeyAccess::Update),
        doc(
            "5.0.0",
            "O(1) for each id",
            "Acknowledges entries, which are then no longer pending in their group.",
        ),
        pending::xack,
    ),
    with_tips(row(
        "xadd",
        -5,
        (STORE_FAST, KeyAccess::Update),
        doc(
            "5.0.0",
            "O(1) for the entry, O(N) with N the entries trimmed",
            "Appends an entry to a stream, which is created if need be, and may trim it.",
        ),
        edit::xadd,
    )),
    with_tips(row(
        "xautoclaim",
        -6,
        (WRITE_FAST, KeyAccess::Shrink),
        doc(
            "6.2.0",
            "O(1) if COUNT is small",
            "Gives entries that have been pending for long to another consumer of the group.",
        ),
        claim::xautoclaim,
    )),
    with_tips(row(
        "xclaim",
        -6,
        (WRITE_FAST, KeyAccess::Update),
        doc(
            "5.0.0",
            "O(log N) for each id, with N the pending entries of the group",
            "Gives pending entries to another consumer of the group.",
        ),
        claim::xclaim,
    )),
    row(
        "xdel",
        -3,
        (WRITE_FAST, KeyAccess::Shrink),
        doc("5.0.0", "O(1) for each id", "Deletes entries by their ids."),
        edit::xdel,
    ),
    container(
        "xgroup",
        doc(
            "5.0.0",
            "Depends on the subcommand.",
            "Groups the commands that manage consumer groups.",
        ),
        GROUP,
    ),
    container(
        "xinfo",
        doc(
            "5.0.0",
            "Depends on the subcommand.",
            "Groups the commands that look into streams.",
        ),
        INFO,
    ),
    row(
        "xlen",
        2,
        (READ_FAST, KeyAccess::Inspect),
        doc("5.0.0", "O(1)", "Counts the entries of a stream."),
        range::xlen,
    ),
    with_tips(row(
        "xpending",
        -3,
        (READ, KeyAccess::Read),
        doc(
            "5.0.0",
            "O(N) with N the entries given, or looked at with IDLE; O(N) with N the consumers for \
             the summary",
            "Shows what is pending in a group: a summary, or entry by entry.",
        ),
        pending::xpending,
    )),
    row(
        "xrange",
        -4,
        (READ, KeyAccess::Read),
        doc(
            "5.0.0",
            PER_ENTRY,
            "Gives the entries from one id to another.",
        ),
        range::xrange,
    ),
    Command {
        keys: Keys::Streams { from: 1 },
        ..row(
            "xread",
            -4,
            (READ.or(Flags::BLOCKING), KeyAccess::Read),
            doc(
                "5.0.0",
                // Valkey gives none.
                "",
                "Gives the entries after an id, of one or more streams; waits for them on request.",
            ),
            read::xread,
        )
    },
    Command {
        keys: Keys::Streams { from: 4 },
        ..row(
            "xreadgroup",
            -7,
            (WRITE.or(Flags::BLOCKING), KeyAccess::Read),
            doc(
                "5.0.0",
                PER_ENTRY,
                "Reads for a group: gives a consumer new entries, or those pending for it; waits \
                 for new ones on request.",
            ),
            read::xreadgroup,
        )
    },
    row(
        "xrevrange",
        -4,
        (READ, KeyAccess::Read),
        doc(
            "5.0.0",
            PER_ENTRY,
            "Gives the entries from one id back to another, the last one first.",
        ),
        range::xrevrange,
    ),
    row(
        "xsetid",
        -3,
        (STORE_FAST, KeyAccess::Update),
        doc(
            "5.0.0",
            "O(1)",
            "Sets a stream's last id and its counters; for replication.",
        ),
        edit::xsetid,
    ),
    with_tips(row(
        "xtrim",
        -4,
        (WRITE, KeyAccess::Shrink),
        doc(
            "5.0.0",
            "O(N) with N the entries removed; whole nodes of them go at once",
            "Removes entries from the front of a stream.",
        ),
        edit::xtrim,
    )),
];

static GROUP: &[Command] = &[
    subcommand(
        ("create", "xgroup|create"),
        -5,
        (STORE, KeyAccess::Insert),
        doc("5.0.0", "O(1)", "Makes a consumer group."),
        group::create,
    ),
    subcommand(
        ("createconsumer", "xgroup|createconsumer"),
        5,
        (STORE, KeyAccess::Insert),
        doc("6.2.0", "O(1)", "Makes a consumer in a group."),
        group::create_consumer,
    ),
    subcommand(
        ("delconsumer", "xgroup|delconsumer"),
        5,
        (WRITE, KeyAccess::Shrink),
        doc(
            "5.0.0",
            "O(1)",
            "Deletes a consumer and what is pending for it.",
        ),
        group::delete_consumer,
    ),
    subcommand(
        ("destroy", "xgroup|destroy"),
        4,
        (WRITE, KeyAccess::Shrink),
        doc(
            "5.0.0",
            "O(N) with N the pending entries",
            "Deletes a consumer group.",
        ),
        group::destroy,
    ),
    help(
        "xgroup|help",
        doc("5.0.0", "O(1)", "Shows the subcommands."),
        group::help,
    ),
    subcommand(
        ("setid", "xgroup|setid"),
        -5,
        (WRITE, KeyAccess::Update),
        doc("5.0.0", "O(1)", "Sets from where on a group reads."),
        group::set_id,
    ),
];

static INFO: &[Command] = &[
    with_tips(subcommand(
        ("consumers", "xinfo|consumers"),
        4,
        (READ, KeyAccess::Read),
        doc("5.0.0", "O(1)", "Shows the consumers of a group."),
        info::consumers,
    )),
    subcommand(
        ("groups", "xinfo|groups"),
        3,
        (READ, KeyAccess::Read),
        doc("5.0.0", "O(1)", "Shows the groups of a stream."),
        info::groups,
    ),
    help(
        "xinfo|help",
        doc("5.0.0", "O(1)", "Shows the subcommands."),
        info::help,
    ),
    subcommand(
        ("stream", "xinfo|stream"),
        -3,
        (READ, KeyAccess::Read),
        doc("5.0.0", "O(1)", "Shows a stream, on request in full."),
        info::stream,
    ),
];
