//! String commands.

use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Outcome};
use crate::keyspace::SetExpiry;
use crate::protocol::Args;
use crate::value::ValueRef;

/// The rows.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "get",
        full_name: "get",
        arity: 2,
        flags: Flags::READONLY.or(Flags::FAST),
        categories: &["@string"],
        keys: Keys::Range {
            first: 1,
            last: 1,
            step: 1,
        },
        access: KeyAccess::Read,
        doc: Doc {
            summary: "Gives the string stored at a key.",
            since: "1.0.0",
            group: "string",
            complexity: "O(1)",
        },
        run: Run::Data(get),
        ..Command::ROW
    },
    Command {
        name: "set",
        full_name: "set",
        arity: -3,
        flags: Flags::WRITE.or(Flags::DENYOOM),
        categories: &["@string"],
        keys: Keys::Range {
            first: 1,
            last: 1,
            step: 1,
        },
        access: KeyAccess::Overwrite,
        doc: Doc {
            summary: "Stores a string at a key, whatever was there.",
            since: "1.0.0",
            group: "string",
            complexity: "O(1)",
        },
        run: Run::Data(set),
        ..Command::ROW
    },
];

fn get(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (entry, reply) = ctx.find_string_and_reply(&args[1])?;
    match entry.map(crate::keyspace::Entry::value) {
        Some(ValueRef::Bytes(bytes)) => reply.bulk(bytes),
        Some(ValueRef::Int(number)) => reply.bulk_integer(number),
        Some(ValueRef::Hash(_)) | None => reply.null(),
    }
    Ok(())
}

fn set(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    ctx.set_string(&args[1], &args[2], SetExpiry::Clear);
    ctx.changed(&args[1], 1);
    ctx.reply.ok();
    Ok(())
}
