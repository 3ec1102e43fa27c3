//! Hash commands.

mod read;
mod sample;
pub(super) mod scanning;
#[cfg(test)]
mod tests;
mod write;

use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::{Args, Reply};
use crate::value::listpack::Element;

type Handler = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = Flags::READONLY.or(Flags::FAST);
const WRITE_FAST: Flags = Flags::WRITE.or(Flags::FAST);
const STORE_FAST: Flags = WRITE_FAST.or(Flags::DENYOOM);

/// A row: all hash commands have one key, their first argument.
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
        categories: &["@hash"],
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

const fn with_tips(row: Command, tips: &'static [&'static str]) -> Command {
    Command { tips, ..row }
}

const fn doc(since: &'static str, complexity: &'static str, summary: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: "hash",
        complexity,
    }
}

const ANY_ORDER: &[&str] = &["nondeterministic_output_order"];
const ANY_OUTPUT: &[&str] = &["nondeterministic_output"];
const PER_FIELD: &str = "O(N) with N the number of fields named";
const PER_HASH: &str = "O(N) with N the fields of the hash";

/// The rows.
pub static COMMANDS: &[Command] = &[
    row(
        "hdel",
        -3,
        (WRITE_FAST, KeyAccess::Shrink),
        doc(
            "2.0.0",
            PER_FIELD,
            "Deletes fields, and the key with the last one.",
        ),
        write::hdel,
    ),
    row(
        "hexists",
        3,
        (READ_FAST, KeyAccess::Inspect),
        doc("2.0.0", "O(1)", "Says whether a hash has a field."),
        read::hexists,
    ),
    row(
        "hget",
        3,
        (READ_FAST, KeyAccess::Read),
        doc("2.0.0", "O(1)", "Gives the value of a field."),
        read::hget,
    ),
    with_tips(
        row(
            "hgetall",
            2,
            (READ, KeyAccess::Read),
            doc("2.0.0", PER_HASH, "Gives all fields with their values."),
            read::hgetall,
        ),
        ANY_ORDER,
    ),
    row(
        "hincrby",
        4,
        (STORE_FAST, KeyAccess::ReadWrite),
        doc(
            "2.0.0",
            "O(1)",
            "Adds a number to the integer in a field; none counts as 0.",
        ),
        write::hincrby,
    ),
    row(
        "hincrbyfloat",
        4,
        (STORE_FAST, KeyAccess::ReadWrite),
        doc(
            "2.6.0",
            "O(1)",
            "Adds a decimal fraction to the number in a field; none counts as 0.",
        ),
        write::hincrbyfloat,
    ),
    with_tips(
        row(
            "hkeys",
            2,
            (READ, KeyAccess::Read),
            doc("2.0.0", PER_HASH, "Gives the names of all fields."),
            read::hkeys,
        ),
        ANY_ORDER,
    ),
    row(
        "hlen",
        2,
        (READ_FAST, KeyAccess::Inspect),
        doc("2.0.0", "O(1)", "Counts the fields of a hash."),
        read::hlen,
    ),
    row(
        "hmget",
        -3,
        (READ_FAST, KeyAccess::Read),
        doc("2.0.0", PER_FIELD, "Gives the values of several fields."),
        read::hmget,
    ),
    row(
        "hmset",
        -4,
        (STORE_FAST, KeyAccess::Update),
        doc(
            "2.0.0",
            PER_FIELD,
            "The old form of HSET, which replies OK.",
        ),
        write::hmset,
    ),
    with_tips(
        row(
            "hrandfield",
            -2,
            (READ, KeyAccess::Read),
            doc(
                "6.2.0",
                "O(N) with N the fields given",
                "Gives random fields, on request with their values.",
            ),
            sample::hrandfield,
        ),
        ANY_OUTPUT,
    ),
    with_tips(
        row(
            "hscan",
            -3,
            (READ, KeyAccess::Read),
            doc(
                "2.8.0",
                "O(1) a call, O(N) for all N fields of the hash",
                "Walks through the fields of a hash, some at a call.",
            ),
            sample::hscan,
        ),
        ANY_OUTPUT,
    ),
    row(
        "hset",
        -4,
        (STORE_FAST, KeyAccess::Update),
        doc(
            "2.0.0",
            PER_FIELD,
            "Sets fields of a hash, which is created if need be.",
        ),
        write::hset,
    ),
    row(
        "hsetnx",
        4,
        (STORE_FAST, KeyAccess::Insert),
        doc("2.0.0", "O(1)", "Sets a field unless it is there already."),
        write::hsetnx,
    ),
    row(
        "hstrlen",
        3,
        (READ_FAST, KeyAccess::Inspect),
        doc(
            "3.2.0",
            "O(1)",
            "Gives the length of a field's value, in bytes.",
        ),
        read::hstrlen,
    ),
    with_tips(
        row(
            "hvals",
            2,
            (READ, KeyAccess::Read),
            doc("2.0.0", PER_HASH, "Gives the values of all fields."),
            read::hvals,
        ),
        ANY_ORDER,
    ),
];

/// Replies with a field or a value.
fn write_element(reply: &mut Reply, element: Element<'_>) {
    match element {
        Element::Int(number) => reply.bulk_integer(number),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// An integer argument of any sign.
fn integer(text: &[u8]) -> Result<i64, Error> {
    crate::value::number::parse_i64(text).ok_or(Error::NotInteger)
}
