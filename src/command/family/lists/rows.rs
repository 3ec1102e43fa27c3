//! The rows of the command table.

use super::{debug, edit, pop, push, read, transfer};
use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Outcome};
use crate::protocol::Args;

type Handler = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

const READ: Flags = Flags::READONLY;
const WRITE: Flags = Flags::WRITE;
const STORE: Flags = WRITE.or(Flags::DENYOOM);
const PUSH: Flags = STORE.or(Flags::FAST);
const FAST: Flags = Flags::FAST;
const WAITS: Flags = Flags::BLOCKING;

const FIRST: Keys = range(1);
/// A source, and a destination.
const BOTH: Keys = range(2);
const MOVES: KeyAccess = KeyAccess::Two(&KeyAccess::Take, &KeyAccess::Insert);

const fn range(last: i8) -> Keys {
    Keys::Range {
        first: 1,
        last,
        step: 1,
    }
}

const fn row(
    name: &'static str,
    arity: i16,
    flags: Flags,
    (keys, access): (Keys, KeyAccess),
    doc: Doc,
    handler: Handler,
) -> Command {
    Command {
        name,
        full_name: name,
        arity,
        flags,
        categories: &["@list"],
        keys,
        access,
        doc,
        run: Run::Data(handler),
        ..Command::ROW
    }
}

const fn doc(since: &'static str, complexity: &'static str, summary: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: "list",
        complexity,
    }
}

const PER_ELEMENT: &str = "O(N) with N the number of elements given";
const PER_KEY: &str = "O(N) with N the number of keys named";
const PER_KEY_AND_ELEMENT: &str = "O(N+M) with N the number of keys named and M of elements given";
const TO_THE_PLACE: &str =
    "O(N) with N the number of elements between the place and an end; O(1) at the ends";

/// The rows.
pub static COMMANDS: &[Command] = &[
    row(
        "blmove",
        6,
        STORE.or(WAITS),
        (BOTH, MOVES),
        doc("6.2.0", "O(1)", "LMOVE, which waits for an element."),
        transfer::blmove,
    ),
    row(
        "blmpop",
        -5,
        WRITE.or(WAITS).or(Flags::MOVABLEKEYS),
        (Keys::Counted { at: 2, extra: 0 }, KeyAccess::Take),
        doc(
            "7.0.0",
            PER_KEY_AND_ELEMENT,
            "LMPOP, which waits for an element.",
        ),
        pop::blmpop,
    ),
    row(
        "blpop",
        -3,
        WRITE.or(WAITS),
        (range(-2), KeyAccess::Take),
        doc(
            "2.0.0",
            PER_KEY,
            "Takes the first element of the first list that has one; waits for one.",
        ),
        pop::blpop,
    ),
    row(
        "brpop",
        -3,
        WRITE.or(WAITS),
        (range(-2), KeyAccess::Take),
        doc(
            "2.0.0",
            PER_KEY,
            "Takes the last element of the first list that has one; waits for one.",
        ),
        pop::brpop,
    ),
    row(
        "brpoplpush",
        4,
        STORE.or(WAITS),
        (BOTH, MOVES),
        doc("2.2.0", "O(1)", "RPOPLPUSH, which waits for an element."),
        transfer::brpoplpush,
    ),
    row(
        "lindex",
        3,
        READ,
        (FIRST, KeyAccess::Read),
        doc("1.0.0", TO_THE_PLACE, "Gives the element at an index."),
        read::lindex,
    ),
    row(
        "linsert",
        5,
        STORE,
        (FIRST, KeyAccess::Insert),
        doc(
            "2.2.0",
            "O(N) with N the number of elements before the one sought",
            "Puts an element before or behind another one.",
        ),
        edit::linsert,
    ),
    row(
        "llen",
        2,
        READ.or(FAST),
        (FIRST, KeyAccess::Inspect),
        doc("1.0.0", "O(1)", "Counts the elements of a list."),
        read::llen,
    ),
    row(
        "lmove",
        5,
        STORE,
        (BOTH, MOVES),
        doc(
            "6.2.0",
            "O(1)",
            "Takes an element from an end of a list and puts it at an end of another.",
        ),
        transfer::lmove,
    ),
    row(
        "lmpop",
        -4,
        WRITE.or(Flags::MOVABLEKEYS),
        (Keys::Counted { at: 1, extra: 0 }, KeyAccess::Take),
        doc(
            "7.0.0",
            PER_KEY_AND_ELEMENT,
            "Takes elements from an end of the first list that has any.",
        ),
        pop::lmpop,
    ),
    row(
        "lpop",
        -2,
        WRITE.or(FAST),
        (FIRST, KeyAccess::Take),
        doc("1.0.0", PER_ELEMENT, "Takes the first elements of a list."),
        pop::lpop,
    ),
    row(
        "lpos",
        -3,
        READ,
        (FIRST, KeyAccess::Read),
        doc(
            "6.0.6",
            "O(N) with N the number of elements compared",
            "Finds the indexes of elements that are equal to one given.",
        ),
        read::lpos,
    ),
    row(
        "lpush",
        -3,
        PUSH,
        (FIRST, KeyAccess::Insert),
        doc(
            "1.0.0",
            PER_ELEMENT,
            "Puts elements before the first one, one by one.",
        ),
        push::lpush,
    ),
    row(
        "lpushx",
        -3,
        PUSH,
        (FIRST, KeyAccess::Insert),
        doc("2.2.0", PER_ELEMENT, "LPUSH, if the list is there already."),
        push::lpushx,
    ),
    row(
        "lrange",
        4,
        READ,
        (FIRST, KeyAccess::Read),
        doc(
            "1.0.0",
            "O(S+N) with S the distance of the first element from an end and N the elements given",
            "Gives the elements between two indexes.",
        ),
        read::lrange,
    ),
    row(
        "lrem",
        4,
        WRITE,
        (FIRST, KeyAccess::Shrink),
        doc(
            "1.0.0",
            "O(N) with N the elements of the list",
            "Removes elements that are equal to one given.",
        ),
        edit::lrem,
    ),
    row(
        "lset",
        4,
        STORE,
        (FIRST, KeyAccess::Update),
        doc("1.0.0", TO_THE_PLACE, "Replaces the element at an index."),
        edit::lset,
    ),
    row(
        "ltrim",
        4,
        WRITE,
        (FIRST, KeyAccess::Shrink),
        doc(
            "1.0.0",
            "O(N) with N the number of elements removed",
            "Keeps only the elements between two indexes.",
        ),
        edit::ltrim,
    ),
    row(
        "rpop",
        -2,
        WRITE.or(FAST),
        (FIRST, KeyAccess::Take),
        doc("1.0.0", PER_ELEMENT, "Takes the last elements of a list."),
        pop::rpop,
    ),
    row(
        "rpoplpush",
        3,
        STORE,
        (BOTH, MOVES),
        doc(
            "1.2.0",
            "O(1)",
            "Takes the last element of a list and puts it before the first one of another.",
        ),
        transfer::rpoplpush,
    ),
    row(
        "rpush",
        -3,
        PUSH,
        (FIRST, KeyAccess::Insert),
        doc(
            "1.0.0",
            PER_ELEMENT,
            "Puts elements behind the last one, one by one.",
        ),
        push::rpush,
    ),
    row(
        "rpushx",
        -3,
        PUSH,
        (FIRST, KeyAccess::Insert),
        doc("2.2.0", PER_ELEMENT, "RPUSH, if the list is there already."),
        push::rpushx,
    ),
];

const fn debug_row(
    (name, full_name): (&'static str, &'static str),
    summary: &'static str,
    handler: Handler,
) -> Command {
    Command {
        name,
        full_name,
        arity: -2,
        keys: Keys::Range {
            first: 2,
            last: 2,
            step: 1,
        },
        access: KeyAccess::Inspect,
        doc: Doc {
            summary,
            since: "1.0.0",
            group: "server",
            complexity: "O(N) in the size of the value",
        },
        run: Run::Data(handler),
        ..Command::ROW
    }
}

/// DEBUG LISTPACK, for the container.
pub const LISTPACK_ROW: Command = debug_row(
    ("listpack", "debug|listpack"),
    "Shows the bytes of a listpack in the log.",
    debug::listpack,
);

/// DEBUG QUICKLIST, for the container.
pub const QUICKLIST_ROW: Command = debug_row(
    ("quicklist", "debug|quicklist"),
    "Shows the nodes of a large list in the log.",
    debug::quicklist,
);
