//! Changing fields.

use super::integer;
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::hash::Hash;
use crate::value::listpack::Element;
use crate::value::long_double::LongDouble;

pub(super) fn hset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let added = set_all(ctx, "hset", args)?;
    ctx.reply.integer(added);
    Ok(())
}

pub(super) fn hmset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    set_all(ctx, "hmset", args)?;
    ctx.reply.ok();
    Ok(())
}

/// Sets all fields of the request; how many are new.
fn set_all(ctx: &mut Ctx<'_>, name: &'static str, args: Args<'_>) -> Result<i64, Error> {
    if !args.len().is_multiple_of(2) {
        return Err(Error::Arity(name.into()));
    }
    let key = &args[1];
    let (limits, seed) = (ctx.settings().hash_limits, ctx.settings().seed);
    let pairs = args.tail(2);
    let added = ctx.with_collection(key, |hash: &mut Hash| {
        hash.prepare(pairs.iter(), &limits, &seed);
        let firsts = (0..pairs.len()).step_by(2);
        let new = firsts.filter(|at| hash.set(&pairs[*at], &pairs[at + 1], &limits, &seed));
        new.count()
    })?;
    ctx.changed(key, (pairs.len() / 2) as u64);
    ctx.notify(Class::HASH, "hset", key);
    Ok(added as i64)
}

pub(super) fn hsetnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, field, value) = (&args[1], &args[2], &args[3]);
    let found = ctx.find_collection_mut::<Hash>(key)?;
    if found.is_some_and(|hash| hash.contains(field)) {
        ctx.reply.integer(0);
        return Ok(());
    }
    let (limits, seed) = (ctx.settings().hash_limits, ctx.settings().seed);
    ctx.with_collection(key, |hash: &mut Hash| {
        hash.set(field, value, &limits, &seed)
    })?;
    ctx.changed(key, 1);
    ctx.notify(Class::HASH, "hset", key);
    ctx.reply.integer(1);
    Ok(())
}

pub(super) fn hdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    let fields = args.tail(2);
    let (mut deleted, mut emptied) = (0u32, false);
    if let Some(hash) = ctx.find_collection_mut::<Hash>(key)? {
        for field in fields.iter() {
            deleted += u32::from(hash.delete(field));
            if hash.is_empty() {
                emptied = true;
                break;
            }
        }
    }
    if emptied {
        ctx.remove(key);
    }
    if deleted > 0 {
        ctx.changed(key, deleted.into());
        ctx.notify(Class::HASH, "hdel", key);
    }
    if emptied {
        ctx.notify(Class::GENERIC, "del", key);
    }
    ctx.reply.integer(deleted.into());
    Ok(())
}

pub(super) fn hincrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const NOT_INTEGER: Error = Error::text("ERR hash value is not an integer");
    let (key, field) = (&args[1], &args[2]);
    let by = integer(&args[3])?;
    let old = match field_of(ctx, key, field)? {
        Some(value) => value.as_i64().ok_or(NOT_INTEGER)?,
        None => 0,
    };
    let sum = old.checked_add(by).ok_or(Error::Overflow)?;
    let mut digits = itoa::Buffer::new();
    let text = digits.format(sum).as_bytes();
    let (limits, seed) = (ctx.settings().hash_limits, ctx.settings().seed);
    ctx.with_collection(key, |hash: &mut Hash| hash.set(field, text, &limits, &seed))?;
    ctx.changed(key, 1);
    ctx.notify(Class::HASH, "hincrby", key);
    ctx.reply.integer(sum);
    Ok(())
}

pub(super) fn hincrbyfloat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const NOT_FLOAT: Error = Error::text("ERR hash value is not a float");
    const INFINITE: Error = Error::text("ERR value is NaN or Infinity");
    let (key, field) = (&args[1], &args[2]);
    let by = LongDouble::parse(&args[3]).ok_or(Error::NotFloat)?;
    if !by.is_finite() {
        return Err(INFINITE);
    }
    let old = match field_of(ctx, key, field)? {
        Some(Element::Int(number)) => number.into(),
        Some(Element::Bytes(bytes)) => LongDouble::parse(bytes).ok_or(NOT_FLOAT)?,
        None => 0.into(),
    };
    let sum = old + by;
    if !sum.is_finite() {
        return Err(Error::NanOrInfinity);
    }
    let mut text = Vec::new();
    sum.write(&mut text);
    let (limits, seed) = (ctx.settings().hash_limits, ctx.settings().seed);
    ctx.with_collection(key, |hash: &mut Hash| {
        hash.set(field, &text, &limits, &seed)
    })?;
    ctx.changed(key, 1);
    ctx.notify(Class::HASH, "hincrbyfloat", key);
    // Replicas get the result, so that they need not round as we do.
    ctx.propagate_as(&[b"HSET", key, field, &text]);
    ctx.reply.bulk(&text);
    Ok(())
}

/// The value of a field that is about to be replaced.
fn field_of<'c>(
    ctx: &'c mut Ctx<'_>,
    key: &[u8],
    field: &[u8],
) -> Result<Option<Element<'c>>, Error> {
    let hash = ctx.find_collection_mut::<Hash>(key)?;
    Ok(hash.and_then(|hash| hash.get(field)))
}
