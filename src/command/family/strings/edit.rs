//! Changing a part of a string.

use super::{checked_len, integer, string_len};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::SetExpiry;
use crate::protocol::Args;
use crate::value::{Kind, Value};

pub(super) fn append(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, tail) = (&args[1], &args[2]);
    let len = match current_len(ctx, key)? {
        None => {
            ctx.set_string(key, tail, SetExpiry::Clear);
            tail.len()
        }
        Some(len) => {
            let total = checked_len(ctx, len as u64, tail.len())?;
            if let Some(entry) = ctx.find_mut(key) {
                entry.string_mut(|bytes| bytes.extend_from_slice(tail));
            }
            total
        }
    };
    ctx.changed(key, 1);
    ctx.notify(Class::STRING, "append", key);
    ctx.reply.integer(len as i64);
    Ok(())
}

pub(super) fn setrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, part) = (&args[1], &args[3]);
    let offset = u64::try_from(integer(&args[2])?).map_err(|_| Error::OffsetRange)?;
    let len = current_len(ctx, key)?;
    if part.is_empty() {
        ctx.reply.integer(len.unwrap_or(0) as i64);
        return Ok(());
    }
    let end = checked_len(ctx, offset, part.len())?;
    let write = |bytes: &mut Vec<u8>| {
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[end - part.len()..end].copy_from_slice(part);
    };
    match ctx.find_mut(key) {
        Some(entry) => {
            entry.string_mut(write);
        }
        None => {
            let mut bytes = Vec::new();
            write(&mut bytes);
            ctx.set_value(key, Value::Raw(bytes), None);
        }
    }
    ctx.changed(key, 1);
    ctx.notify(Class::STRING, "setrange", key);
    ctx.reply.integer(len.unwrap_or(0).max(end) as i64);
    Ok(())
}

/// Length of the string at `key`, in bytes; `None` if there is no such key.
fn current_len(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<Option<usize>, Error> {
    if !ctx.check_kind(key, Kind::String)? {
        return Ok(None);
    }
    let entry = ctx.keyspace.db(ctx.db).get(key);
    Ok(entry.map(|entry| string_len(entry.value())))
}
