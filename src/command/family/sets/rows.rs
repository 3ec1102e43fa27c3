//! The rows of the set commands.

use super::{combine, sample};
use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Outcome};
use crate::protocol::Args;

type Handler = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = Flags::READONLY.or(Flags::FAST);
const WRITE_FAST: Flags = Flags::WRITE.or(Flags::FAST);
const STORE: Flags = Flags::WRITE.or(Flags::DENYOOM);
const STORE_FAST: Flags = STORE.or(Flags::FAST);

const MOVE: KeyAccess = KeyAccess::Two(&KeyAccess::Take, &KeyAccess::Insert);
const STORE_RESULT: KeyAccess = KeyAccess::FirstAndRest(&KeyAccess::Overwrite, &KeyAccess::Read);

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
        categories: &["@set"],
        keys: Keys::Range {
            first: 1,
            last: 1,
            step: 1,
        },
        access,
        doc,
        run: Run::Data(handler),
        ..Command::ROW
    }
}

/// The same with the keys up to `last`.
const fn with_keys(row: Command, last: i8) -> Command {
    let keys = Keys::Range {
        first: 1,
        last,
        step: 1,
    };
    Command { keys, ..row }
}

const fn with_tips(row: Command, tips: &'static [&'static str]) -> Command {
    Command { tips, ..row }
}

const fn doc(since: &'static str, complexity: &'static str, summary: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: "set",
        complexity,
    }
}

const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];
const PER_MEMBER: &str = "O(N) with N the number of members named";
const PER_SET: &str = "O(N) with N the members of the set";
const INTERSECTION: &str =
    "O(N*M) at worst with N the members of the smallest set and M the number of sets";
const ALL_MEMBERS: &str = "O(N) with N the members of all sets";

/// The rows.
pub static COMMANDS: &[Command] = &[
    row(
        "sadd",
        -3,
        (STORE_FAST, KeyAccess::Insert),
        doc(
            "1.0.0",
            PER_MEMBER,
            "Adds members to a set, which is created if need be.",
        ),
        super::sadd,
    ),
    row(
        "scard",
        2,
        (READ_FAST, KeyAccess::Inspect),
        doc("1.0.0", "O(1)", "Counts the members of a set."),
        super::scard,
    ),
    with_tips(
        with_keys(
            row(
                "sdiff",
                -2,
                (READ, KeyAccess::Read),
                doc(
                    "1.0.0",
                    ALL_MEMBERS,
                    "Gives the members of the first set that no other set has.",
                ),
                combine::sdiff,
            ),
            -1,
        ),
        ANY_ORDER,
    ),
    with_keys(
        row(
            "sdiffstore",
            -3,
            (STORE, STORE_RESULT),
            doc(
                "1.0.0",
                ALL_MEMBERS,
                "Stores the members of the first set that no other set has.",
            ),
            combine::sdiffstore,
        ),
        -1,
    ),
    with_tips(
        with_keys(
            row(
                "sinter",
                -2,
                (READ, KeyAccess::Read),
                doc(
                    "1.0.0",
                    INTERSECTION,
                    "Gives the members that all sets have.",
                ),
                combine::sinter,
            ),
            -1,
        ),
        ANY_ORDER,
    ),
    Command {
        keys: Keys::Counted { at: 1, extra: 0 },
        ..row(
            "sintercard",
            -3,
            (READ, KeyAccess::Read),
            doc(
                "7.0.0",
                INTERSECTION,
                "Counts the members that all sets have, on request up to a limit.",
            ),
            combine::sintercard,
        )
    },
    with_keys(
        row(
            "sinterstore",
            -3,
            (STORE, STORE_RESULT),
            doc(
                "1.0.0",
                INTERSECTION,
                "Stores the members that all sets have.",
            ),
            combine::sinterstore,
        ),
        -1,
    ),
    row(
        "sismember",
        3,
        (READ_FAST, KeyAccess::Inspect),
        doc("1.0.0", "O(1)", "Says whether a set has a member."),
        super::sismember,
    ),
    with_tips(
        row(
            "smembers",
            2,
            (READ, KeyAccess::Read),
            doc("1.0.0", PER_SET, "Gives all members of a set."),
            super::smembers,
        ),
        ANY_ORDER,
    ),
    row(
        "smismember",
        -3,
        (READ_FAST, KeyAccess::Read),
        doc("6.2.0", PER_MEMBER, "Says which members a set has."),
        super::smismember,
    ),
    with_keys(
        row(
            "smove",
            4,
            (WRITE_FAST, MOVE),
            doc("1.0.0", "O(1)", "Moves a member from one set to another."),
            super::smove,
        ),
        2,
    ),
    with_tips(
        row(
            "spop",
            -2,
            (WRITE_FAST, KeyAccess::Take),
            doc(
                "1.0.0",
                "O(N) with N the members popped",
                "Removes random members and gives them, and the key with the last one.",
            ),
            sample::spop,
        ),
        ANY_OUTPUT,
    ),
    with_tips(
        row(
            "srandmember",
            -2,
            (READ, KeyAccess::Read),
            doc(
                "1.0.0",
                "O(N) with N the members given",
                "Gives random members.",
            ),
            sample::srandmember,
        ),
        ANY_OUTPUT,
    ),
    row(
        "srem",
        -3,
        (WRITE_FAST, KeyAccess::Shrink),
        doc(
            "1.0.0",
            PER_MEMBER,
            "Removes members, and the key with the last one.",
        ),
        super::srem,
    ),
    with_tips(
        row(
            "sscan",
            -3,
            (READ, KeyAccess::Read),
            doc(
                "2.8.0",
                "O(1) a call, O(N) for all N members of the set",
                "Walks through the members of a set, some at a call.",
            ),
            sample::sscan,
        ),
        ANY_OUTPUT,
    ),
    with_tips(
        with_keys(
            row(
                "sunion",
                -2,
                (READ, KeyAccess::Read),
                doc("1.0.0", ALL_MEMBERS, "Gives the members that any set has."),
                combine::sunion,
            ),
            -1,
        ),
        ANY_ORDER,
    ),
    with_keys(
        row(
            "sunionstore",
            -3,
            (STORE, STORE_RESULT),
            doc("1.0.0", ALL_MEMBERS, "Stores the members that any set has."),
            combine::sunionstore,
        ),
        -1,
    ),
];
