//! Combining strings bit by bit: BITOP.

use super::text;
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Entry;
use crate::protocol::Args;
use crate::value::Value;
use crate::value::bits::{self, Operation};

/// `BITOP AND|OR|XOR|NOT destination key [key …]`: replies with the length of the result.
pub(super) fn bitop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const ONE_SOURCE: Error = Error::text("ERR BITOP NOT must be called with a single source key.");
    let is = |name: &[u8]| args[1].eq_ignore_ascii_case(name);
    // NOT is that of the one source: nothing to combine.
    let (operation, invert) = match () {
        () if is(b"and") => (Operation::And, false),
        () if is(b"or") => (Operation::Or, false),
        () if is(b"xor") => (Operation::Xor, false),
        () if is(b"not") => (Operation::Or, true),
        () => return Err(Error::Syntax),
    };
    if invert && args.len() != 4 {
        return Err(ONE_SOURCE);
    }
    let (target, sources) = (&args[2], args.tail(3));
    let mut len = 0;
    let mut digits = itoa::Buffer::new();
    for key in sources.iter() {
        let entry = ctx.find_string(key)?;
        len = len.max(text(entry.map(Entry::value), &mut digits).len());
    }
    let mut result = Vec::new();
    for (i, key) in sources.iter().enumerate() {
        let source = text(ctx.peek(key).map(Entry::value), &mut digits);
        if i > 0 {
            bits::combine(&mut result, operation, source);
            continue;
        }
        result.reserve_exact(len);
        result.extend_from_slice(source);
        result.resize(len, 0);
    }
    if invert {
        bits::invert(&mut result);
    }
    store(ctx, target, result);
    ctx.reply.integer(len as i64);
    Ok(())
}

/// Stores a result; an empty one deletes the key.
fn store(ctx: &mut Ctx<'_>, key: &[u8], result: Vec<u8>) {
    if !result.is_empty() {
        ctx.prepare_write(ctx.db, key);
        ctx.set_value(key, Value::Raw(result), None);
        ctx.changed(key, 1);
        ctx.notify(Class::STRING, "set", key);
    } else if ctx.remove(key) {
        ctx.changed(key, 1);
        ctx.notify(Class::GENERIC, "del", key);
    }
}
