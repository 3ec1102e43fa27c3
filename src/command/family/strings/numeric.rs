//! Strings that are numbers.

use super::integer;
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Entry;
use crate::protocol::Args;
use crate::value::long_double::LongDouble;
use crate::value::{Value, ValueRef};

pub(super) fn incr(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    add(ctx, &args[1], 1)
}

pub(super) fn decr(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    add(ctx, &args[1], -1)
}

pub(super) fn incrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let by = integer(&args[2])?;
    add(ctx, &args[1], by)
}

pub(super) fn decrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const NO_OPPOSITE: Error = Error::text("ERR decrement would overflow");
    let by = integer(&args[2])?.checked_neg().ok_or(NO_OPPOSITE)?;
    add(ctx, &args[1], by)
}

fn add(ctx: &mut Ctx<'_>, key: &[u8], by: i64) -> Outcome {
    let sum = match ctx.find_mut(key) {
        Some(entry) => {
            let old = match entry.value() {
                ValueRef::Int(number) => number,
                ValueRef::Bytes(bytes) => integer(bytes)?,
                _ => return Err(Error::WrongType),
            };
            let sum = old.checked_add(by).ok_or(Error::Overflow)?;
            entry.set_value(Value::Int(sum));
            sum
        }
        None => {
            ctx.set_value(key, Value::Int(by), None);
            by
        }
    };
    ctx.changed(key, 1);
    ctx.notify(Class::STRING, "incrby", key);
    ctx.reply.integer(sum);
    Ok(())
}

pub(super) fn incrbyfloat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    let old = match ctx.find_mut(key).map(|entry| Entry::value(entry)) {
        Some(ValueRef::Int(number)) => number.into(),
        Some(ValueRef::Bytes(bytes)) => LongDouble::parse(bytes).ok_or(Error::NotFloat)?,
        Some(_) => return Err(Error::WrongType),
        None => 0.into(),
    };
    let sum = old + LongDouble::parse(&args[2]).ok_or(Error::NotFloat)?;
    if !sum.is_finite() {
        return Err(Error::NanOrInfinity);
    }
    let mut text = Vec::new();
    sum.write(&mut text);
    ctx.reply.bulk(&text);
    // Replicas get the result, so that they need not round as we do.
    ctx.propagate_as(&[b"SET", key, &text, b"KEEPTTL"]);
    // As in Redis the result stays a text, also where it is an integer.
    let value = Value::Bytes(text);
    match ctx.find_mut(key) {
        Some(entry) => entry.set_value(value),
        None => ctx.set_value(key, value, None),
    }
    ctx.changed(key, 1);
    ctx.notify(Class::STRING, "incrbyfloat", key);
    Ok(())
}
