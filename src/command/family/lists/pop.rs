//! Taking elements from an end, from the first of several lists that there is, and the same for
//! those who wait for one.

use super::{end_named, range_integer, write_element};
use crate::command::notify::Class;
use crate::command::wait::{Wait, timeout_ms};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::{Args, Reply};
use crate::value::Kind;
use crate::value::list::{Direction, End, List};

/// The event of a pop.
fn pop_event(end: End) -> &'static str {
    match end {
        End::Front => "lpop",
        End::Back => "rpop",
    }
}

/// The request by which a pop is propagated.
fn pop_name(end: End) -> &'static [u8] {
    match end {
        End::Front => b"LPOP",
        End::Back => b"RPOP",
    }
}

/// What follows once `count` elements were taken from a list: the event, and the key goes with the
/// last of them.
pub(super) fn taken(ctx: &mut Ctx<'_>, key: &[u8], event: &'static str, count: u64, emptied: bool) {
    ctx.notify(Class::LIST, event, key);
    if emptied {
        ctx.remove(key);
        ctx.notify(Class::GENERIC, "del", key);
    }
    ctx.changed(key, count);
}

pub(super) fn popped(ctx: &mut Ctx<'_>, key: &[u8], end: End, count: u64, emptied: bool) {
    taken(ctx, key, pop_event(end), count, emptied);
}

/// Pops one element, after `reply` has seen it; whether there was one.
fn pop_one(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
    begin: impl FnOnce(&mut Reply),
) -> Result<bool, Error> {
    let limits = ctx.settings().list_limits;
    let (Some(list), reply) = ctx.find_collection_mut_and_reply::<List>(key)? else {
        return Ok(false);
    };
    begin(reply);
    list.pop(end, |element| write_element(reply, element));
    let emptied = list.is_empty();
    if !emptied {
        list.shrink(&limits);
    }
    popped(ctx, key, end, 1, emptied);
    Ok(true)
}

/// Pops up to `count` elements and replies with an array of them, after `begin` has written what
/// stands before it; how many there were, 0 if there is no list.
fn pop_some(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
    count: usize,
    begin: impl FnOnce(&mut Reply),
) -> Result<usize, Error> {
    let limits = ctx.settings().list_limits;
    let (Some(list), reply) = ctx.find_collection_mut_and_reply::<List>(key)? else {
        return Ok(0);
    };
    begin(reply);
    let len = list.len();
    let count = count.min(len);
    reply.array(count);
    let (from, direction, first) = match end {
        End::Front => (0, Direction::Forward, 0),
        End::Back => (len - 1, Direction::Backward, len - count),
    };
    list.walk_some(from, count, direction, |element| {
        write_element(reply, element);
    });
    let emptied = count == len;
    if !emptied {
        list.remove_range(first, count);
        list.shrink(&limits);
    }
    popped(ctx, key, end, count as u64, emptied);
    Ok(count)
}

pub(super) fn lpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    pop(ctx, args, "lpop", End::Front)
}

pub(super) fn rpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    pop(ctx, args, "rpop", End::Back)
}

fn pop(ctx: &mut Ctx<'_>, args: Args<'_>, name: &'static str, end: End) -> Outcome {
    let key = &args[1];
    if args.len() > 3 {
        return Err(Error::Arity(name.into()));
    }
    let Some(count) = args.get(2) else {
        if !pop_one(ctx, key, end, |_| {})? {
            ctx.reply.null();
        }
        return Ok(());
    };
    let count = range_integer(count, 0, Error::MustBePositive)?;
    if count == 0 && ctx.check_kind(key, Kind::List)? {
        ctx.reply.array(0);
    } else if pop_some(ctx, key, end, count, |_| {})? == 0 {
        ctx.reply.null_array();
    }
    Ok(())
}

/// The keys, the end and the count of LMPOP and BLMPOP, which begin with the number of keys.
fn parse_mpop(args: Args<'_>) -> Result<(Args<'_>, End, usize), Error> {
    const KEYS: Error = Error::text("ERR numkeys should be greater than 0");
    const COUNT: Error = Error::text("ERR count should be greater than 0");
    let keys = range_integer(&args[0], 1, KEYS)?;
    let end = args.get(keys.saturating_add(1)).ok_or(Error::Syntax)?;
    let end = end_named(end)?;
    let options = args.tail(keys + 2);
    let count = match options.len() {
        0 => 1,
        1 => return Err(Error::Syntax),
        _ if !options[0].eq_ignore_ascii_case(b"count") => return Err(Error::Syntax),
        _ => range_integer(&options[1], 1, COUNT)?,
    };
    if options.len() > 2 {
        return Err(Error::Syntax);
    }
    Ok((args.take(1, keys), end, count))
}

/// Pops from the first list that there is; whether there is one.
fn pop_first(ctx: &mut Ctx<'_>, keys: Args<'_>, end: End, count: usize) -> Result<bool, Error> {
    for key in keys.iter() {
        let popped = pop_some(ctx, key, end, count, |reply| {
            reply.array(2);
            reply.bulk(key);
        })?;
        if popped > 0 {
            let mut digits = itoa::Buffer::new();
            let popped = digits.format(popped).as_bytes();
            ctx.propagate_as(&[pop_name(end), key, popped]);
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn lmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (keys, end, count) = parse_mpop(args.tail(1))?;
    if !pop_first(ctx, keys, end, count)? {
        ctx.reply.null_array();
    }
    Ok(())
}

/// A wait for a list.
pub(super) fn list_wait(timeout_ms: u64) -> Wait {
    Wait {
        kind: Kind::List,
        wakes_on_loss: false,
        timeout_ms,
        retry: None,
        on_timeout: Reply::null_array,
    }
}

pub(super) fn blmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (keys, end, count) = parse_mpop(args.tail(2))?;
    let timeout_ms = timeout_ms(&args[1], ctx.now_ms)?;
    if !pop_first(ctx, keys, end, count)? {
        ctx.wait(list_wait(timeout_ms));
    }
    Ok(())
}

pub(super) fn blpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    blocking_pop(ctx, args, End::Front)
}

pub(super) fn brpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    blocking_pop(ctx, args, End::Back)
}

fn blocking_pop(ctx: &mut Ctx<'_>, args: Args<'_>, end: End) -> Outcome {
    let last = args.len() - 1;
    let timeout_ms = timeout_ms(&args[last], ctx.now_ms)?;
    for key in args.take(1, last - 1).iter() {
        let popped = pop_one(ctx, key, end, |reply| {
            reply.array(2);
            reply.bulk(key);
        })?;
        if popped {
            ctx.propagate_as(&[pop_name(end), key]);
            return Ok(());
        }
    }
    ctx.wait(list_wait(timeout_ms));
    Ok(())
}
