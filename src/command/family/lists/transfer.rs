//! Moving an element from one list to another, or from one end to the other.

use super::pop::{list_wait, popped};
use super::push::push_event;
use super::{end_named, write_element};
use crate::command::notify::Class;
use crate::command::wait::timeout_ms;
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::Kind;
use crate::value::list::{End, List};
use crate::value::listpack::Element;

/// Moves an element of the list at `from` to the one at `to`, and replies with it; whether there is
/// a list at `from`.
fn move_element(
    ctx: &mut Ctx<'_>,
    (from, from_end): (&[u8], End),
    (to, to_end): (&[u8], End),
) -> Result<bool, Error> {
    let limits = ctx.settings().list_limits;
    if !ctx.check_kind(from, Kind::List)? {
        return Ok(false);
    }
    ctx.check_kind(to, Kind::List)?;
    let (Some(list), reply) = ctx.find_collection_mut_and_reply::<List>(from)? else {
        return Ok(false);
    };
    let popped_element = list.pop(from_end, |element| {
        write_element(reply, element);
        // Redis counts no bytes for an integer when it decides whether a listpack is too large.
        let counted = match element {
            Element::Int(_) => 0,
            Element::Bytes(bytes) => bytes.len(),
        };
        (element.to_vec(), counted)
    });
    let Some((element, counted)) = popped_element else {
        return Ok(false);
    };
    ctx.with_collection(to, |list: &mut List| {
        list.prepare(counted, 1, &limits);
        list.push(to_end, &element, &limits);
    })?;
    ctx.changed(to, 0);
    ctx.notify(Class::LIST, push_event(to_end), to);
    let mut emptied = false;
    if let Some(list) = ctx.find_collection_mut::<List>(from)? {
        emptied = list.is_empty();
        if !emptied {
            list.shrink(&limits);
        }
    }
    popped(ctx, from, from_end, 1, emptied);
    Ok(true)
}

pub(super) fn lmove(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let ends = (end_named(&args[3])?, end_named(&args[4])?);
    if !move_element(ctx, (&args[1], ends.0), (&args[2], ends.1))? {
        ctx.reply.null();
    }
    Ok(())
}

pub(super) fn rpoplpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if !move_element(ctx, (&args[1], End::Back), (&args[2], End::Front))? {
        ctx.reply.null();
    }
    Ok(())
}

pub(super) fn blmove(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let ends = (end_named(&args[3])?, end_named(&args[4])?);
    let timeout_ms = timeout_ms(&args[5], ctx.now_ms)?;
    if move_element(ctx, (&args[1], ends.0), (&args[2], ends.1))? {
        ctx.propagate_as(&[b"LMOVE", &args[1], &args[2], &args[3], &args[4]]);
    } else {
        wait_for_element(ctx, timeout_ms);
    }
    Ok(())
}

pub(super) fn brpoplpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let timeout_ms = timeout_ms(&args[3], ctx.now_ms)?;
    if move_element(ctx, (&args[1], End::Back), (&args[2], End::Front))? {
        ctx.propagate_as(&[b"RPOPLPUSH", &args[1], &args[2]]);
    } else {
        wait_for_element(ctx, timeout_ms);
    }
    Ok(())
}

/// In Redis, who may not wait gets another null than who has waited in vain.
fn wait_for_element(ctx: &mut Ctx<'_>, timeout_ms: u64) {
    if ctx.may_wait() {
        ctx.wait(list_wait(timeout_ms));
    } else {
        ctx.reply.null();
    }
}
