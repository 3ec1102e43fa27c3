//! Adding elements at an end.

use crate::command::notify::Class;
use crate::command::{Ctx, Outcome};
use crate::protocol::Args;
use crate::value::list::{End, List};

/// The event of a push.
pub(super) fn push_event(end: End) -> &'static str {
    match end {
        End::Front => "lpush",
        End::Back => "rpush",
    }
}

pub(super) fn lpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    push(ctx, args, End::Front)
}

pub(super) fn rpush(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    push(ctx, args, End::Back)
}

pub(super) fn lpushx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    push_to_existing(ctx, args, End::Front)
}

pub(super) fn rpushx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    push_to_existing(ctx, args, End::Back)
}

fn push_to_existing(ctx: &mut Ctx<'_>, args: Args<'_>, end: End) -> Outcome {
    if ctx.find_collection_mut::<List>(&args[1])?.is_none() {
        ctx.reply.integer(0);
        return Ok(());
    }
    push(ctx, args, end)
}

fn push(ctx: &mut Ctx<'_>, args: Args<'_>, end: End) -> Outcome {
    let key = &args[1];
    let limits = ctx.settings().list_limits;
    let elements = args.tail(2);
    let len = ctx.with_collection(key, |list: &mut List| {
        let bytes = elements.iter().map(<[u8]>::len).sum();
        list.prepare(bytes, elements.len(), &limits);
        for element in elements.iter() {
            list.push(end, element, &limits);
        }
        list.len()
    })?;
    ctx.changed(key, elements.len() as u64);
    ctx.notify(Class::LIST, push_event(end), key);
    ctx.reply.integer(len as i64);
    Ok(())
}
