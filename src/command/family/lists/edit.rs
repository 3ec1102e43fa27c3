//! Changing, inserting and removing elements anywhere.

use super::pop::taken;
use super::read::clip;
use super::{index_of, integer};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::list::{Direction, List, Needle};

pub(super) fn lset(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, value) = (&args[1], &args[3]);
    let limits = ctx.settings().list_limits;
    let list = ctx.find_collection_mut::<List>(key)?;
    let list = list.ok_or(Error::NoSuchKey)?;
    let index = integer(&args[2])?;
    list.prepare(value.len(), 1, &limits);
    let index = index_of(index, list.len()).ok_or(Error::IndexRange)?;
    if !list.set(index, value, &limits) {
        return Err(Error::IndexRange);
    }
    list.shrink(&limits);
    ctx.changed(key, 1);
    ctx.notify(Class::LIST, "lset", key);
    ctx.reply.ok();
    Ok(())
}

pub(super) fn linsert(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let after = if args[2].eq_ignore_ascii_case(b"after") {
        true
    } else if args[2].eq_ignore_ascii_case(b"before") {
        false
    } else {
        return Err(Error::Syntax);
    };
    let (key, value) = (&args[1], &args[4]);
    let limits = ctx.settings().list_limits;
    let Some(list) = ctx.find_collection_mut::<List>(key)? else {
        ctx.reply.integer(0);
        return Ok(());
    };
    list.prepare(value.len(), 1, &limits);
    let inserted = list.insert(&Needle::new(&args[3]), after, value, &limits);
    let len = list.len();
    if !inserted {
        ctx.reply.integer(-1);
        return Ok(());
    }
    ctx.changed(key, 1);
    ctx.notify(Class::LIST, "linsert", key);
    ctx.reply.integer(len as i64);
    Ok(())
}

pub(super) fn lrem(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const RANGE: Error = Error::text(
        "ERR value is out of range, value must between -9223372036854775807 and \
         9223372036854775807",
    );
    let key = &args[1];
    let (count, direction) = match integer(&args[2])? {
        i64::MIN => return Err(RANGE),
        0 => (usize::MAX, Direction::Forward),
        count @ 1.. => (count as usize, Direction::Forward),
        count => (count.unsigned_abs() as usize, Direction::Backward),
    };
    let limits = ctx.settings().list_limits;
    let (mut removed, mut emptied) = (0, false);
    if let Some(list) = ctx.find_collection_mut::<List>(key)? {
        removed = list.remove_equal(&Needle::new(&args[3]), count, direction);
        emptied = list.is_empty();
        if !emptied && removed > 0 {
            list.shrink(&limits);
        }
    }
    if removed > 0 {
        taken(ctx, key, "lrem", removed as u64, emptied);
    }
    ctx.reply.integer(removed as i64);
    Ok(())
}

pub(super) fn ltrim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    let (first, last) = (integer(&args[2])?, integer(&args[3])?);
    let limits = ctx.settings().list_limits;
    let Some(list) = ctx.find_collection_mut::<List>(key)? else {
        ctx.reply.ok();
        return Ok(());
    };
    let len = list.len();
    let kept = clip(first, last, len);
    if let Some((first, count)) = kept {
        list.remove_range(first + count, len - first - count);
        list.remove_range(0, first);
        list.shrink(&limits);
    }
    let removed = len - kept.map_or(0, |(_, count)| count);
    // As in Redis, also if nothing was removed: whoever watches the key sees a change.
    taken(ctx, key, "ltrim", removed as u64, kept.is_none());
    ctx.reply.ok();
    Ok(())
}
