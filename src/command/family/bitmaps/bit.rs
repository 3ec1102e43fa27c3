//! One bit: SETBIT, GETBIT.

use super::{change, offset, text};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Entry;
use crate::protocol::Args;
use crate::value::bits::Field;
use crate::value::number::parse_i64;

/// `SETBIT key offset value`: replies with the bit before.
pub(super) fn setbit(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const NOT_A_BIT: Error = Error::text("ERR bit is not an integer or out of range");
    let key = &args[1];
    let field = Field {
        offset: offset(ctx, &args[2], None)?,
        bits: 1,
    };
    let bit = parse_i64(&args[3]).and_then(|bit| u64::try_from(bit).ok());
    let bit = bit.filter(|bit| *bit <= 1).ok_or(NOT_A_BIT)?;
    // `offset` has checked that it is within a string.
    let len = field.end_byte() as usize;
    let (before, grew) = change(ctx, key, len, |bytes| {
        let before = field.get(bytes);
        field.set(bytes, bit);
        before
    })?;
    if grew || before != bit {
        ctx.changed(key, 1);
        ctx.notify(Class::STRING, "setbit", key);
    }
    ctx.reply.integer(before as i64);
    Ok(())
}

/// `GETBIT key offset`
pub(super) fn getbit(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let field = Field {
        offset: offset(ctx, &args[2], None)?,
        bits: 1,
    };
    let (entry, reply) = ctx.find_string_and_reply(&args[1])?;
    let bit = field.get(text(entry.map(Entry::value), &mut itoa::Buffer::new()));
    reply.integer(bit as i64);
    Ok(())
}
