//! SET and its older relatives.

use super::get::reply_with;
use super::options::{Accepts, Condition, Lifetime, Options, Time, Unit};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::SetExpiry;
use crate::protocol::Args;

pub(super) fn set(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if args.len() == 3 {
        ctx.set_string(&args[1], &args[2], SetExpiry::Clear);
        ctx.changed(&args[1], 1);
        ctx.notify(Class::STRING, "set", &args[1]);
        ctx.reply.ok();
        return Ok(());
    }
    let options = Options::parse(args.tail(3), Accepts::Set)?;
    let stored = store(ctx, "set", &args[1], &args[2], options)?;
    if !options.get {
        match stored {
            true => ctx.reply.ok(),
            false => ctx.reply.null(),
        }
    } else if stored && !matches!(options.lifetime, Lifetime::Until(_)) {
        let is_get = |arg: &[u8]| arg.eq_ignore_ascii_case(b"get");
        let kept = args
            .iter()
            .enumerate()
            .filter(|(at, arg)| *at < 3 || !is_get(arg));
        let request: Vec<&[u8]> = kept.map(|(_, arg)| arg).collect();
        ctx.propagate_as(&request);
    }
    Ok(())
}

pub(super) fn setnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = Options {
        condition: Some(Condition::Absent),
        ..Options::NONE
    };
    let stored = store(ctx, "setnx", &args[1], &args[2], options)?;
    ctx.reply.integer(stored.into());
    Ok(())
}

pub(super) fn setex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    set_for(ctx, "setex", args, Unit::Seconds)
}

pub(super) fn psetex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    set_for(ctx, "psetex", args, Unit::Milliseconds)
}

fn set_for(ctx: &mut Ctx<'_>, name: &'static str, args: Args<'_>, unit: Unit) -> Outcome {
    let text = &args[2];
    let options = Options {
        lifetime: Lifetime::Until(Time { unit, text }),
        ..Options::NONE
    };
    store(ctx, name, &args[1], &args[3], options)?;
    ctx.reply.ok();
    Ok(())
}

/// Stores a string as the options say; whether their condition held. With `get` the reply is
/// written here, else it is left to the caller.
fn store(
    ctx: &mut Ctx<'_>,
    name: &'static str,
    key: &[u8],
    value: &[u8],
    options: Options<'_>,
) -> Result<bool, Error> {
    let expiry = match options.lifetime {
        Lifetime::Until(time) => SetExpiry::At(time.at_ms(ctx.now_ms, name)?),
        Lifetime::Keep => SetExpiry::Keep,
        Lifetime::Unsaid | Lifetime::Persist => SetExpiry::Clear,
    };
    if options.get {
        reply_with(ctx, key)?;
    }
    if let Some(condition) = options.condition
        && ctx.exists_for_write(key) != (condition == Condition::Present)
    {
        return Ok(false);
    }
    if let SetExpiry::At(at) = expiry
        && ctx.is_over(at)
    {
        ctx.remove_expired(key);
        return Ok(true);
    }
    ctx.set_string(key, value, expiry);
    ctx.changed(key, 1);
    ctx.notify(Class::STRING, "set", key);
    if let SetExpiry::At(_) = expiry {
        ctx.notify(Class::GENERIC, "expire", key);
    }
    if let (SetExpiry::At(at), Lifetime::Until(time)) = (expiry, options.lifetime)
        && time.unit != Unit::UnixMilliseconds
    {
        let mut digits = itoa::Buffer::new();
        let at = digits.format(at).as_bytes();
        ctx.propagate_as(&[b"SET", key, value, b"PXAT", at]);
    }
    Ok(true)
}

pub(super) fn getset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, value) = (&args[1], &args[2]);
    reply_with(ctx, key)?;
    ctx.set_string(key, value, SetExpiry::Clear);
    ctx.changed(key, 1);
    ctx.notify(Class::STRING, "set", key);
    ctx.propagate_as(&[b"SET", key, value]);
    Ok(())
}

pub(super) fn mset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err(Error::Arity("mset".into()));
    }
    set_all(ctx, args);
    ctx.reply.ok();
    Ok(())
}

pub(super) fn msetnx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if args.len().is_multiple_of(2) {
        return Err(Error::Arity("msetnx".into()));
    }
    for at in (1..args.len()).step_by(2) {
        if ctx.exists_for_write(&args[at]) {
            ctx.reply.integer(0);
            return Ok(());
        }
    }
    // The same key may be there twice; the last value stays, and each counts as a change.
    set_all(ctx, args);
    ctx.reply.integer(1);
    Ok(())
}

fn set_all(ctx: &mut Ctx<'_>, args: Args<'_>) {
    for at in (1..args.len()).step_by(2) {
        ctx.set_string(&args[at], &args[at + 1], SetExpiry::Clear);
        ctx.changed(&args[at], 1);
        ctx.notify(Class::STRING, "set", &args[at]);
    }
}
