//! Commands that read entries by their ids.

use super::{integer, range_end, range_start, write_entries};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::stream::Stream;

pub(super) fn xlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (stream, reply) = ctx.find_collection_and_reply::<Stream>(&args[1])?;
    reply.integer(stream.map_or(0, Stream::len) as i64);
    Ok(())
}

pub(super) fn xrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    range(ctx, args, (2, 3), false)
}

pub(super) fn xrevrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    range(ctx, args, (3, 2), true)
}

fn range(ctx: &mut Ctx<'_>, args: Args<'_>, (start, end): (usize, usize), back: bool) -> Outcome {
    let (start, end) = (range_start(&args[start])?, range_end(&args[end])?);
    let mut count = None;
    let mut at = 4;
    while let Some(word) = args.get(at) {
        match args.get(at + 1) {
            Some(value) if word.eq_ignore_ascii_case(b"count") => {
                let most = integer(value)?.max(0);
                count = Some(usize::try_from(most).unwrap_or(usize::MAX));
            }
            _ => return Err(Error::Syntax),
        }
        at += 2;
    }
    let (stream, reply) = ctx.find_collection_and_reply::<Stream>(&args[1])?;
    match stream {
        None => reply.array(0),
        Some(_) if count == Some(0) => reply.null_array(),
        Some(stream) if back => write_entries(reply, stream.range_back(start, end), count),
        Some(stream) => write_entries(reply, stream.range(start, end), count),
    }
    Ok(())
}
