//! When a key expires.

use std::borrow::Cow;

use super::{inspect, integer};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Origin, Outcome};
use crate::keyspace::Entry;
use crate::protocol::{Args, quote};

/// How a command of the EXPIRE family gives its time.
struct Form {
    name: &'static str,
    seconds: bool,
    /// The time counts from now.
    relative: bool,
}

pub(super) fn expire(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let form = Form {
        name: "expire",
        seconds: true,
        relative: true,
    };
    set_expiry(ctx, args, &form)
}

pub(super) fn pexpire(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let form = Form {
        name: "pexpire",
        seconds: false,
        relative: true,
    };
    set_expiry(ctx, args, &form)
}

pub(super) fn expireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let form = Form {
        name: "expireat",
        seconds: true,
        relative: false,
    };
    set_expiry(ctx, args, &form)
}

pub(super) fn pexpireat(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let form = Form {
        name: "pexpireat",
        seconds: false,
        relative: false,
    };
    set_expiry(ctx, args, &form)
}

/// The conditions NX, XX, GT and LT.
#[derive(Clone, Copy, Default)]
struct Conditions {
    absent: bool,
    present: bool,
    greater: bool,
    less: bool,
}

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut set = Conditions::default();
        for arg in args.iter().skip(3) {
            match arg {
                _ if arg.eq_ignore_ascii_case(b"nx") => set.absent = true,
                _ if arg.eq_ignore_ascii_case(b"xx") => set.present = true,
                _ if arg.eq_ignore_ascii_case(b"gt") => set.greater = true,
                _ if arg.eq_ignore_ascii_case(b"lt") => set.less = true,
                _ => {
                    let arg = quote(arg, usize::MAX);
                    return Err(Error::Text(format!("ERR Unsupported option {arg}").into()));
                }
            }
        }
        if set.absent && (set.present || set.greater || set.less) {
            return Err(Error::text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if set.greater && set.less {
            return Err(Error::text(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(set)
    }

    /// Whether an expiry `new` may replace `old`; having none counts as infinitely late.
    fn allow(self, old: Option<i64>, new: i64) -> bool {
        match old {
            None => !self.present && !self.greater,
            Some(old) => !self.absent && (!self.greater || new > old) && (!self.less || new < old),
        }
    }
}

/// The time that the arguments name, in Unix milliseconds; may be negative.
fn time_ms(ctx: &Ctx<'_>, args: Args<'_>, form: &Form) -> Result<i64, Error> {
    let overflow = || Error::InvalidExpire(Cow::Borrowed(form.name));
    let mut at = integer(args, 2)?;
    if form.seconds {
        at = at.checked_mul(1000).ok_or_else(overflow)?;
    }
    if form.relative {
        let now_ms = i64::try_from(ctx.now_ms).unwrap_or(i64::MAX);
        at = at.checked_add(now_ms).ok_or_else(overflow)?;
    }
    Ok(at)
}

/// An entry's expiry as Redis counts it.
fn signed(at_ms: u64) -> i64 {
    i64::try_from(at_ms).unwrap_or(i64::MAX)
}

fn set_expiry(ctx: &mut Ctx<'_>, args: Args<'_>, form: &Form) -> Outcome {
    let conditions = Conditions::parse(args)?;
    let at = time_ms(ctx, args, form)?;
    let key = &args[1];
    let Some(old) = ctx.find_mut(key).map(|entry| entry.expire_at()) else {
        ctx.reply.integer(0);
        return Ok(());
    };
    if !conditions.allow(old.map(signed), at) {
        ctx.reply.integer(0);
        return Ok(());
    }
    // Replicas wait for the primary's word.
    let over = ctx.origin == Origin::Primary && at <= signed(ctx.now_ms);
    if over {
        ctx.remove(key);
        let name: &[u8] = if ctx.settings().lazy_expire {
            b"UNLINK"
        } else {
            b"DEL"
        };
        ctx.propagate_as(&[name, key]);
    } else {
        let at = u64::try_from(at).unwrap_or(0);
        ctx.database().set_expiry(key, Some(at));
        if form.seconds || form.relative {
            propagate_time(ctx, args, at);
        }
    }
    ctx.changed(key, 1);
    let event = if over { "del" } else { "expire" };
    ctx.notify(Class::GENERIC, event, key);
    ctx.reply.integer(1);
    Ok(())
}

/// Propagates the request with its time made absolute; conditions stay, as in Redis.
fn propagate_time(ctx: &mut Ctx<'_>, args: Args<'_>, at_ms: u64) {
    let mut digits = itoa::Buffer::new();
    let at = digits.format(at_ms).as_bytes();
    if args.len() == 3 {
        ctx.propagate_as(&[b"PEXPIREAT", &args[1], at]);
    } else {
        let mut request: Vec<&[u8]> = vec![b"PEXPIREAT", &args[1], at];
        request.extend(args.iter().skip(3));
        ctx.propagate_as(&request);
    }
}

/// What a command of the TTL family answers for a key.
enum Expiry {
    NoKey,
    Never,
    At(i64),
}

fn expiry(ctx: &mut Ctx<'_>, args: Args<'_>) -> Expiry {
    match inspect(ctx, &args[1], Entry::expire_at) {
        None => Expiry::NoKey,
        Some(None) => Expiry::Never,
        Some(Some(at)) => Expiry::At(signed(at)),
    }
}

fn answer(ctx: &mut Ctx<'_>, args: Args<'_>, f: impl FnOnce(i64, i64) -> i64) -> Outcome {
    let number = match expiry(ctx, args) {
        Expiry::NoKey => -2,
        Expiry::Never => -1,
        Expiry::At(at) => f(at, signed(ctx.now_ms)),
    };
    ctx.reply.integer(number);
    Ok(())
}

/// Milliseconds to the nearest second.
fn rounded(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

pub(super) fn ttl(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    answer(ctx, args, |at, now| rounded(at.saturating_sub(now).max(0)))
}

pub(super) fn pttl(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    answer(ctx, args, |at, now| at.saturating_sub(now).max(0))
}

pub(super) fn expiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    answer(ctx, args, |at, _| rounded(at))
}

pub(super) fn pexpiretime(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    answer(ctx, args, |at, _| at)
}

pub(super) fn persist(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    let expires = ctx
        .find_mut(key)
        .is_some_and(|entry| entry.expire_at().is_some());
    if expires {
        ctx.database().set_expiry(key, None);
        ctx.changed(key, 1);
        ctx.notify(Class::GENERIC, "persist", key);
    }
    ctx.reply.integer(i64::from(expires));
    Ok(())
}
