//! Commands that work on keys of any type.
//!
//! | File | What |
//! |---|---|
//! | `rows` | the table rows |
//! | `expiry` | EXPIRE and its kin, TTL and its kin, PERSIST |
//! | `transfer` | RENAME, MOVE, COPY, DUMP, RESTORE |
//! | `inspect` | OBJECT, MEMORY USAGE, DEBUG OBJECT and DIGEST-VALUE |
//! | `scan` | SCAN |

mod expiry;
mod inspect;
mod rows;
mod scan;
mod transfer;

pub use rows::{COMMANDS, DIGEST_VALUE_ROW, OBJECT_ROW};

use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Entry;
use crate::protocol::Args;
use crate::value::number;

/// Looks a key up for a reader to whom its value does not matter: counts a hit or a miss, but the
/// access clock stays.
fn inspect<R>(ctx: &mut Ctx<'_>, key: &[u8], f: impl FnOnce(&Entry) -> R) -> Option<R> {
    let found = ctx.peek(key).map(f);
    match found {
        Some(_) => ctx.state.stats.keyspace_hits += 1,
        None => ctx.missed(key),
    }
    found
}

/// As [`inspect`], but a miss is only counted, not told of.
fn inspect_quietly<R>(ctx: &mut Ctx<'_>, key: &[u8], f: impl FnOnce(&Entry) -> R) -> Option<R> {
    let found = ctx.peek(key).map(f);
    match found {
        Some(_) => ctx.state.stats.keyspace_hits += 1,
        None => ctx.state.stats.keyspace_misses += 1,
    }
    found
}

/// An argument that is an integer.
fn integer(args: Args<'_>, at: usize) -> Result<i64, Error> {
    let number = args.get(at).and_then(number::parse_i64);
    number.ok_or(Error::NotInteger)
}

/// An argument that is the number of a database.
fn database(ctx: &Ctx<'_>, args: Args<'_>, at: usize) -> Result<usize, Error> {
    let number = integer(args, at)?;
    if i32::try_from(number).is_err() {
        return Err(Error::text(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ));
    }
    let index = usize::try_from(number).ok();
    let index = index.filter(|index| *index < ctx.keyspace.databases());
    index.ok_or(Error::DbRange)
}

/// DEL and UNLINK: both free large values in the background.
fn del(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut deleted = 0;
    for key in args.iter().skip(1) {
        if ctx.remove(key) {
            ctx.changed(key, 1);
            ctx.notify(Class::GENERIC, "del", key);
            deleted += 1;
        }
    }
    ctx.reply.integer(deleted);
    Ok(())
}

fn exists(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let keys = args.iter().skip(1);
    let found = keys.filter(|key| inspect(ctx, key, |_| ()).is_some());
    let found = found.count();
    ctx.reply.integer(found as i64);
    Ok(())
}

fn touch(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    // That is what it is for, even for a client that asked for NO-TOUCH.
    ctx.no_touch = false;
    let keys = args.iter().skip(1);
    let found = keys.filter(|key| ctx.find(key).is_some()).count();
    ctx.reply.integer(found as i64);
    Ok(())
}

fn kind(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let kind = inspect(ctx, &args[1], Entry::kind);
    ctx.reply.simple(kind.map_or("none", |kind| kind.name()));
    Ok(())
}

#[cfg(test)]
mod tests;
