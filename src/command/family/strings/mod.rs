//! String commands.

mod edit;
mod get;
mod lcs;
mod numeric;
mod options;
mod set;
#[cfg(test)]
mod tests;

use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Error, Origin, Outcome};
use crate::protocol::{Args, Reply};
use crate::value::ValueRef;

type Handler = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = Flags::READONLY.or(Flags::FAST);
const WRITE_FAST: Flags = Flags::WRITE.or(Flags::FAST);
const STORE: Flags = Flags::WRITE.or(Flags::DENYOOM);
const STORE_FAST: Flags = STORE.or(Flags::FAST);

/// A row of a command with one key, its first argument.
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
        categories: &["@string"],
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

const fn doc(since: &'static str, complexity: &'static str, summary: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: "string",
        complexity,
    }
}

/// The rows.
pub static COMMANDS: &[Command] = &[
    row(
        "append",
        3,
        (STORE_FAST, KeyAccess::Insert),
        doc(
            "2.0.0",
            "O(1), amortised over many appends",
            "Adds to the end of a string, which is created if need be.",
        ),
        edit::append,
    ),
    row(
        "decr",
        2,
        (STORE_FAST, KeyAccess::ReadWrite),
        doc(
            "1.0.0",
            "O(1)",
            "Takes one from an integer; none counts as 0.",
        ),
        numeric::decr,
    ),
    row(
        "decrby",
        3,
        (STORE_FAST, KeyAccess::ReadWrite),
        doc(
            "1.0.0",
            "O(1)",
            "Takes a number from an integer; none counts as 0.",
        ),
        numeric::decrby,
    ),
    row(
        "get",
        2,
        (READ_FAST, KeyAccess::Read),
        doc("1.0.0", "O(1)", "Gives the string stored at a key."),
        get::get,
    ),
    row(
        "getdel",
        2,
        (WRITE_FAST, KeyAccess::Take),
        doc("6.2.0", "O(1)", "Gives a string and deletes its key."),
        get::getdel,
    ),
    row(
        "getex",
        -2,
        (WRITE_FAST, KeyAccess::ReadWrite),
        doc(
            "6.2.0",
            "O(1)",
            "Gives a string and sets or clears the expiry of its key.",
        ),
        get::getex,
    ),
    row(
        "getrange",
        4,
        (READ, KeyAccess::Read),
        doc(
            "2.4.0",
            "O(N) with N the bytes given",
            "Gives the bytes of a string between two offsets.",
        ),
        get::getrange,
    ),
    row(
        "getset",
        3,
        (STORE_FAST, KeyAccess::ReadWrite),
        doc("1.0.0", "O(1)", "Stores a string and gives the one before."),
        set::getset,
    ),
    row(
        "incr",
        2,
        (STORE_FAST, KeyAccess::ReadWrite),
        doc("1.0.0", "O(1)", "Adds one to an integer; none counts as 0."),
        numeric::incr,
    ),
    row(
        "incrby",
        3,
        (STORE_FAST, KeyAccess::ReadWrite),
        doc(
            "1.0.0",
            "O(1)",
            "Adds a number to an integer; none counts as 0.",
        ),
        numeric::incrby,
    ),
    row(
        "incrbyfloat",
        3,
        (STORE_FAST, KeyAccess::ReadWrite),
        doc(
            "2.6.0",
            "O(1)",
            "Adds a decimal fraction to a number; none counts as 0.",
        ),
        numeric::incrbyfloat,
    ),
    Command {
        keys: Keys::Range {
            first: 1,
            last: 2,
            step: 1,
        },
        ..row(
            "lcs",
            -3,
            (READ, KeyAccess::Read),
            doc(
                "7.0.0",
                "O(N*M) with N and M the lengths of the strings",
                "Finds the longest sequence of bytes that two strings have in common.",
            ),
            lcs::lcs,
        )
    },
    Command {
        keys: Keys::Range {
            first: 1,
            last: -1,
            step: 1,
        },
        tips: &["request_policy:multi_shard"],
        ..row(
            "mget",
            -2,
            (READ_FAST, KeyAccess::Read),
            doc(
                "1.0.0",
                "O(N) with N the number of keys",
                "Gives the strings of several keys, as of one moment.",
            ),
            get::mget,
        )
    },
    Command {
        keys: EVERY_OTHER,
        tips: &[
            "request_policy:multi_shard",
            "response_policy:all_succeeded",
        ],
        ..row(
            "mset",
            -3,
            (STORE, KeyAccess::Overwrite),
            doc(
                "1.0.1",
                "O(N) with N the number of keys",
                "Stores several strings at once.",
            ),
            set::mset,
        )
    },
    Command {
        keys: EVERY_OTHER,
        ..row(
            "msetnx",
            -3,
            (STORE, KeyAccess::Create),
            doc(
                "1.0.1",
                "O(N) with N the number of keys",
                "Stores several strings at once if none of the keys exists.",
            ),
            set::msetnx,
        )
    },
    row(
        "psetex",
        4,
        (STORE, KeyAccess::Overwrite),
        doc(
            "2.6.0",
            "O(1)",
            "Stores a string that expires after some milliseconds.",
        ),
        set::psetex,
    ),
    row(
        "set",
        -3,
        (STORE, KeyAccess::Set),
        doc(
            "1.0.0",
            "O(1)",
            "Stores a string at a key, whatever was there.",
        ),
        set::set,
    ),
    row(
        "setex",
        4,
        (STORE, KeyAccess::Overwrite),
        doc(
            "2.0.0",
            "O(1)",
            "Stores a string that expires after some seconds.",
        ),
        set::setex,
    ),
    row(
        "setnx",
        3,
        (STORE_FAST, KeyAccess::Create),
        doc(
            "1.0.0",
            "O(1)",
            "Stores a string unless the key exists already.",
        ),
        set::setnx,
    ),
    row(
        "setrange",
        4,
        (STORE, KeyAccess::Update),
        doc(
            "2.2.0",
            "O(N) with N the bytes written, padding included",
            "Writes over a part of a string, which is padded with zero bytes if it is too short.",
        ),
        edit::setrange,
    ),
    row(
        "strlen",
        2,
        (READ_FAST, KeyAccess::Inspect),
        doc("2.2.0", "O(1)", "Gives the length of a string, in bytes."),
        get::strlen,
    ),
    row(
        "substr",
        4,
        (READ, KeyAccess::Read),
        doc(
            "1.0.0",
            "O(N) with N the bytes given",
            "The old name of GETRANGE.",
        ),
        get::getrange,
    ),
];

const EVERY_OTHER: Keys = Keys::Range {
    first: 1,
    last: -1,
    step: 2,
};

/// Replies with a string's text, or with null for what is no string or not there.
fn write_string(reply: &mut Reply, value: Option<ValueRef<'_>>) {
    match value {
        Some(ValueRef::Bytes(bytes)) => reply.bulk(bytes),
        Some(ValueRef::Int(number)) => reply.bulk_integer(number),
        _ => reply.null(),
    }
}

/// Length of a string's text in bytes; 0 for what is no string.
fn string_len(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Bytes(bytes) => bytes.len(),
        ValueRef::Int(number) => crate::value::number::i64_len(number),
        _ => 0,
    }
}

/// Checks that a string of `size + more` bytes is allowed, and gives that sum. A replica obeys its
/// upstream, whatever the limit here.
fn checked_len(ctx: &Ctx<'_>, size: u64, more: usize) -> Result<usize, Error> {
    let total = usize::try_from(size)
        .ok()
        .and_then(|size| size.checked_add(more))
        .filter(|total| i64::try_from(*total).is_ok())
        .ok_or(Error::StringTooLong)?;
    if ctx.origin != Origin::Upstream && total > ctx.settings().string_len_max {
        return Err(Error::StringTooLong);
    }
    Ok(total)
}

/// An integer argument of any sign.
fn integer(text: &[u8]) -> Result<i64, Error> {
    crate::value::number::parse_i64(text).ok_or(Error::NotInteger)
}
