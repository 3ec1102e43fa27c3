//! Bit commands: strings as arrays of bits and of small integers.
//!
//! | File | Commands |
//! |---|---|
//! | `bit` | SETBIT GETBIT |
//! | `range` | BITCOUNT BITPOS |
//! | `operate` | BITOP |
//! | `field`, `overflow` | BITFIELD BITFIELD_RO |

mod bit;
mod field;
mod operate;
mod overflow;
mod range;
#[cfg(test)]
mod tests;

use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Error, Origin, Outcome};
use crate::protocol::Args;
use crate::value::codec::STRING_LEN_MAX;
use crate::value::number::parse_i64;
use crate::value::{Kind, Value, ValueRef};

const OFFSET_RANGE: Error = Error::text("ERR bit offset is not an integer or out of range");

const READ: Flags = Flags::READONLY;
const READ_FAST: Flags = Flags::READONLY.or(Flags::FAST);
const STORE: Flags = Flags::WRITE.or(Flags::DENYOOM);

type Handler = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

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
        categories: &["@bitmap"],
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
        group: "bitmap",
        complexity,
    }
}

/// The rows of this family.
pub static COMMANDS: &[Command] = &[
    row(
        "bitcount",
        -2,
        (READ, KeyAccess::Read),
        doc("2.6.0", "O(N)", "Counts the bits of a string that are set."),
        range::bitcount,
    ),
    row(
        "bitfield",
        -2,
        (STORE, KeyAccess::BitField),
        doc(
            "3.2.0",
            "O(1) for each subcommand",
            "Reads and writes integers of any width within a string.",
        ),
        field::bitfield,
    ),
    row(
        "bitfield_ro",
        -2,
        (READ_FAST, KeyAccess::Read),
        doc(
            "6.0.0",
            "O(1) for each subcommand",
            "Reads integers of any width within a string.",
        ),
        field::bitfield_ro,
    ),
    Command {
        keys: Keys::Range {
            first: 2,
            last: -1,
            step: 1,
        },
        ..row(
            "bitop",
            -4,
            (
                STORE,
                KeyAccess::FirstAndRest(&KeyAccess::Overwrite, &KeyAccess::Read),
            ),
            doc(
                "2.6.0",
                "O(N)",
                "Combines strings bit by bit and stores the result.",
            ),
            operate::bitop,
        )
    },
    row(
        "bitpos",
        -3,
        (READ, KeyAccess::Read),
        doc(
            "2.8.7",
            "O(N)",
            "Finds the first bit of a string that is set, or that is not.",
        ),
        range::bitpos,
    ),
    row(
        "getbit",
        3,
        (READ_FAST, KeyAccess::Read),
        doc("2.2.0", "O(1)", "Gives one bit of a string."),
        bit::getbit,
    ),
    row(
        "setbit",
        4,
        (STORE, KeyAccess::ReadWrite),
        doc(
            "2.2.0",
            "O(1)",
            "Sets or clears one bit of a string, which grows if need be.",
        ),
        bit::setbit,
    ),
];

/// The bytes of a string; `digits` holds those of an integer. None is the empty string.
fn text<'a>(value: Option<ValueRef<'a>>, digits: &'a mut itoa::Buffer) -> &'a [u8] {
    match value {
        Some(ValueRef::Bytes(bytes)) => bytes,
        Some(ValueRef::Int(number)) => digits.format(number).as_bytes(),
        _ => b"",
    }
}

/// The offset of a bit, which must be within the longest string. `width`: the bits of a field, by
/// which the number behind a `#` is multiplied.
fn offset(ctx: &Ctx<'_>, text: &[u8], width: Option<u32>) -> Result<u64, Error> {
    let (number, scale) = match (text.strip_prefix(b"#"), width) {
        (Some(number), Some(width)) => (number, i64::from(width)),
        _ => (text, 1),
    };
    let len_max = match ctx.origin {
        // What the upstream took, its replicas take, as far as a string can be stored.
        Origin::Upstream => STRING_LEN_MAX,
        _ => ctx.settings().string_len_max as u64,
    };
    let number = parse_i64(number).ok_or(OFFSET_RANGE)?;
    // A product that does not fit wraps around, as it does in Redis.
    u64::try_from(number.wrapping_mul(scale))
        .ok()
        .filter(|offset| offset / 8 < len_max)
        .ok_or(OFFSET_RANGE)
}

/// Calls `f` with the bytes of the string at `key`, which is created and extended with zeros to
/// `len` bytes first. Gives what `f` gives and whether the string grew. A string that is long
/// enough is changed in place.
fn change<R>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    len: usize,
    f: impl FnOnce(&mut [u8]) -> R,
) -> Result<(R, bool), Error> {
    let Some(entry) = ctx.find_mut(key) else {
        let mut bytes = vec![0; len];
        let result = f(&mut bytes);
        ctx.set_value(key, Value::Raw(bytes), None);
        return Ok((result, true));
    };
    if entry.kind() != Kind::String {
        return Err(Error::WrongType);
    }
    if entry.bytes_mut().is_some_and(|bytes| bytes.len() >= len)
        && let Some(bytes) = entry.bytes_mut()
    {
        return Ok((f(bytes), false));
    }
    let extend = |bytes: &mut Vec<u8>| {
        let grows = bytes.len() < len;
        if grows {
            bytes.resize(len, 0);
        }
        (f(bytes), grows)
    };
    entry.string_mut(extend).ok_or(Error::WrongType)
}
