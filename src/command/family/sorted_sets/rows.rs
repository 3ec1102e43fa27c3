//! The rows of the sorted set commands.

use super::{algebra, pop, range, read, write};
use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Outcome};
use crate::protocol::Args;

type Handler = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = READ.or(Flags::FAST);
const WRITE: Flags = Flags::WRITE;
const WRITE_FAST: Flags = WRITE.or(Flags::FAST);
const WAIT: Flags = WRITE.or(Flags::BLOCKING);
const WAIT_FAST: Flags = WAIT.or(Flags::FAST);
const STORE: Flags = WRITE.or(Flags::DENYOOM);
const STORE_FAST: Flags = STORE.or(Flags::FAST);

const ONE: Keys = Keys::Range {
    first: 1,
    last: 1,
    step: 1,
};
/// The destination and the source.
const BOTH: Keys = Keys::Range {
    first: 1,
    last: 2,
    step: 1,
};
/// The last argument is a timeout.
const ALL_BUT_LAST: Keys = Keys::Range {
    first: 1,
    last: -2,
    step: 1,
};
const COUNTED: Keys = Keys::Counted { at: 1, extra: 0 };
const COUNTED_AT_2: Keys = Keys::Counted { at: 2, extra: 0 };
/// A destination before them.
const STORED: Keys = Keys::Counted { at: 2, extra: 1 };

const TWO: KeyAccess = KeyAccess::Two(&KeyAccess::Overwrite, &KeyAccess::Read);

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
        categories: &["@sortedset"],
        keys,
        access,
        doc,
        run: Run::Data(handler),
        ..Command::ROW
    }
}

const fn random(row: Command) -> Command {
    Command {
        tips: &["nondeterministic_output"],
        ..row
    }
}

const fn doc(since: &'static str, complexity: &'static str, summary: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: "sorted-set",
        complexity,
    }
}

const LOG: &str = "O(log N) with N the members";
const PER_MEMBER: &str = "O(log N) for each of the members named, with N those there";
const PER_RANGE: &str = "O(log N + M) with N the members and M those given";
const PER_REMOVED: &str = "O(log N + M) with N the members and M those removed";
const PER_POPPED: &str = "O(M log N) with N the members and M those taken";
const PER_INTER: &str =
    "O(N K) for K inputs of which the smallest has N members, and O(M log M) for M in the result";
const PER_UNION: &str = "O(N + M log M) with N the members of all inputs and M those of the result";
const PER_DIFF: &str =
    "O(N K + M log M) with N the members of the first of K inputs and M those of the result";
const PER_KEYS: &str = "O(K + M log N) with K keys, N the members and M those taken";

/// The rows.
pub static COMMANDS: &[Command] = &[
    row(
        "bzmpop",
        -5,
        WAIT,
        (COUNTED_AT_2, KeyAccess::Take),
        doc(
            "7.0.0",
            PER_KEYS,
            "Takes members from the first sorted set that has any; waits if none has.",
        ),
        pop::bzmpop,
    ),
    row(
        "bzpopmax",
        -3,
        WAIT_FAST,
        (ALL_BUT_LAST, KeyAccess::Take),
        doc(
            "5.0.0",
            LOG,
            "Takes the last member of the first sorted set that has any; waits if none has.",
        ),
        pop::bzpopmax,
    ),
    row(
        "bzpopmin",
        -3,
        WAIT_FAST,
        (ALL_BUT_LAST, KeyAccess::Take),
        doc(
            "5.0.0",
            LOG,
            "Takes the first member of the first sorted set that has any; waits if none has.",
        ),
        pop::bzpopmin,
    ),
    row(
        "zadd",
        -4,
        STORE_FAST,
        (ONE, KeyAccess::Update),
        doc(
            "1.2.0",
            PER_MEMBER,
            "Adds members, or changes the scores of those that are there.",
        ),
        write::zadd,
    ),
    row(
        "zcard",
        2,
        READ_FAST,
        (ONE, KeyAccess::Inspect),
        doc("1.2.0", "O(1)", "Counts the members of a sorted set."),
        read::zcard,
    ),
    row(
        "zcount",
        4,
        READ_FAST,
        (ONE, KeyAccess::Read),
        doc("2.0.0", LOG, "Counts the members with scores in a range."),
        read::zcount,
    ),
    row(
        "zdiff",
        -3,
        READ,
        (COUNTED, KeyAccess::Read),
        doc(
            "6.2.0",
            PER_DIFF,
            "Gives what the first sorted set has and no other has.",
        ),
        algebra::zdiff,
    ),
    row(
        "zdiffstore",
        -4,
        STORE,
        (STORED, KeyAccess::Read),
        doc(
            "6.2.0",
            PER_DIFF,
            "Stores what the first sorted set has and no other has.",
        ),
        algebra::zdiffstore,
    ),
    row(
        "zincrby",
        4,
        STORE_FAST,
        (ONE, KeyAccess::ReadWrite),
        doc(
            "1.2.0",
            LOG,
            "Adds to the score of a member; none counts as 0.",
        ),
        write::zincrby,
    ),
    row(
        "zinter",
        -3,
        READ,
        (COUNTED, KeyAccess::Read),
        doc("6.2.0", PER_INTER, "Gives what all sorted sets have."),
        algebra::zinter,
    ),
    row(
        "zintercard",
        -3,
        READ,
        (COUNTED, KeyAccess::Read),
        doc(
            "7.0.0",
            "O(N K) for K inputs of which the smallest has N members",
            "Counts what all sorted sets have, up to a limit.",
        ),
        algebra::zintercard,
    ),
    row(
        "zinterstore",
        -4,
        STORE,
        (STORED, KeyAccess::Read),
        doc("2.0.0", PER_INTER, "Stores what all sorted sets have."),
        algebra::zinterstore,
    ),
    row(
        "zlexcount",
        4,
        READ_FAST,
        (ONE, KeyAccess::Read),
        doc(
            "2.8.9",
            LOG,
            "Counts the members in a range of names, if all scores are the same.",
        ),
        read::zlexcount,
    ),
    row(
        "zmpop",
        -4,
        WRITE,
        (COUNTED, KeyAccess::Take),
        doc(
            "7.0.0",
            PER_KEYS,
            "Takes members from the first sorted set that has any.",
        ),
        pop::zmpop,
    ),
    row(
        "zmscore",
        -3,
        READ_FAST,
        (ONE, KeyAccess::Read),
        doc(
            "6.2.0",
            "O(N) with N the number of members named",
            "Gives the scores of several members.",
        ),
        read::zmscore,
    ),
    row(
        "zpopmax",
        -2,
        WRITE_FAST,
        (ONE, KeyAccess::Take),
        doc(
            "5.0.0",
            PER_POPPED,
            "Takes the members with the highest scores.",
        ),
        pop::zpopmax,
    ),
    row(
        "zpopmin",
        -2,
        WRITE_FAST,
        (ONE, KeyAccess::Take),
        doc(
            "5.0.0",
            PER_POPPED,
            "Takes the members with the lowest scores.",
        ),
        pop::zpopmin,
    ),
    random(row(
        "zrandmember",
        -2,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "6.2.0",
            "O(N log M) with N the members given and M those there",
            "Gives random members, on request with their scores.",
        ),
        read::zrandmember,
    )),
    row(
        "zrange",
        -4,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "1.2.0",
            PER_RANGE,
            "Gives the members in a range of ranks, scores or names.",
        ),
        range::zrange,
    ),
    row(
        "zrangebylex",
        -4,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "2.8.9",
            PER_RANGE,
            "Gives the members in a range of names, if all scores are the same.",
        ),
        range::zrangebylex,
    ),
    row(
        "zrangebyscore",
        -4,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "1.0.5",
            PER_RANGE,
            "Gives the members with scores in a range.",
        ),
        range::zrangebyscore,
    ),
    row(
        "zrangestore",
        -5,
        STORE,
        (BOTH, TWO),
        doc(
            "6.2.0",
            PER_RANGE,
            "Stores the members in a range of ranks, scores or names.",
        ),
        range::zrangestore,
    ),
    row(
        "zrank",
        -3,
        READ_FAST,
        (ONE, KeyAccess::Read),
        doc("2.0.0", LOG, "Tells how many members come before one."),
        read::zrank,
    ),
    row(
        "zrem",
        -3,
        WRITE_FAST,
        (ONE, KeyAccess::Shrink),
        doc(
            "1.2.0",
            PER_MEMBER,
            "Removes members, and the key with the last one.",
        ),
        write::zrem,
    ),
    row(
        "zremrangebylex",
        4,
        WRITE,
        (ONE, KeyAccess::Shrink),
        doc(
            "2.8.9",
            PER_REMOVED,
            "Removes the members in a range of names, if all scores are the same.",
        ),
        write::zremrangebylex,
    ),
    row(
        "zremrangebyrank",
        4,
        WRITE,
        (ONE, KeyAccess::Shrink),
        doc(
            "2.0.0",
            PER_REMOVED,
            "Removes the members in a range of ranks.",
        ),
        write::zremrangebyrank,
    ),
    row(
        "zremrangebyscore",
        4,
        WRITE,
        (ONE, KeyAccess::Shrink),
        doc(
            "1.2.0",
            PER_REMOVED,
            "Removes the members with scores in a range.",
        ),
        write::zremrangebyscore,
    ),
    row(
        "zrevrange",
        -4,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "1.2.0",
            PER_RANGE,
            "Gives the members in a range of ranks, counted and ordered from the last.",
        ),
        range::zrevrange,
    ),
    row(
        "zrevrangebylex",
        -4,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "2.8.9",
            PER_RANGE,
            "Gives the members in a range of names from the last to the first.",
        ),
        range::zrevrangebylex,
    ),
    row(
        "zrevrangebyscore",
        -4,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "2.2.0",
            PER_RANGE,
            "Gives the members with scores in a range from the last to the first.",
        ),
        range::zrevrangebyscore,
    ),
    row(
        "zrevrank",
        -3,
        READ_FAST,
        (ONE, KeyAccess::Read),
        doc("2.0.0", LOG, "Tells how many members come after one."),
        read::zrevrank,
    ),
    random(row(
        "zscan",
        -3,
        READ,
        (ONE, KeyAccess::Read),
        doc(
            "2.8.0",
            "O(1) a call, O(N) for all N members",
            "Walks through the members of a sorted set, some at a call.",
        ),
        read::zscan,
    )),
    row(
        "zscore",
        3,
        READ_FAST,
        (ONE, KeyAccess::Read),
        doc("1.2.0", "O(1)", "Gives the score of a member."),
        read::zscore,
    ),
    row(
        "zunion",
        -3,
        READ,
        (COUNTED, KeyAccess::Read),
        doc("6.2.0", PER_UNION, "Gives what any of the sorted sets has."),
        algebra::zunion,
    ),
    row(
        "zunionstore",
        -4,
        STORE,
        (STORED, KeyAccess::Read),
        doc(
            "2.0.0",
            PER_UNION,
            "Stores what any of the sorted sets has.",
        ),
        algebra::zunionstore,
    ),
];
