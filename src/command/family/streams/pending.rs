//! XPENDING and XACK.

use super::{id, idle_ms, ids, integer, no_key_or_group, now, range_end, range_start, write_id};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::{Args, Reply};
use crate::value::stream::{Group, Pending, Stream, StreamId};

pub(super) fn xack(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let ids = ids(args.tail(3));
    let stream = ctx.read_collection_mut::<Stream>(&args[1])?;
    let group = stream.and_then(|stream| stream.group_mut(&args[2]));
    let released = match group {
        Some(group) => ids?.into_iter().filter(|id| group.release(*id)).count(),
        None => 0,
    };
    // Not a change that WATCH sees.
    ctx.count_dirty(released as u64);
    ctx.reply.integer(released as i64);
    Ok(())
}

/// The options of XPENDING's long form.
struct Filter<'a> {
    idle_ms_min: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    /// `None` for the short form.
    fn parse(args: Args<'a>) -> Result<Option<Self>, Error> {
        if args.len() == 3 {
            return Ok(None);
        }
        if !(6..=9).contains(&args.len()) {
            return Err(Error::Syntax);
        }
        let (mut at, mut idle_ms_min) = (3, 0);
        if args[3].eq_ignore_ascii_case(b"idle") {
            idle_ms_min = integer(&args[4])?;
            if args.len() < 8 {
                return Err(Error::Syntax);
            }
            at = 5;
        }
        let count = integer(&args[at + 2])?.max(0);
        Ok(Some(Filter {
            idle_ms_min,
            start: range_start(&args[at])?,
            end: range_end(&args[at + 1])?,
            count: usize::try_from(count).unwrap_or(usize::MAX),
            consumer: args.get(at + 3),
        }))
    }
}

pub(super) fn xpending(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let filter = Filter::parse(args)?;
    let now_ms = now(ctx);
    let (stream, reply) = ctx.find_collection_and_reply::<Stream>(&args[1])?;
    let group = stream.and_then(|stream| stream.group(&args[2]));
    let group = group.ok_or_else(|| no_key_or_group(&args[1], &args[2]))?;
    match filter {
        None => write_summary(reply, group),
        Some(filter) => write_filtered(reply, group, &filter, now_ms),
    }
    Ok(())
}

fn write_summary(reply: &mut Reply, group: &Group) {
    let pending = group.pending();
    reply.array(4);
    reply.integer(pending.len() as i64);
    let edges = pending.keys().next().zip(pending.keys().next_back());
    let Some((first, last)) = edges else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    write_id(reply, *first);
    write_id(reply, *last);
    let array = reply.begin_array();
    let busy = group.consumers().filter(|c| !c.pending().is_empty());
    let mut count = 0;
    for consumer in busy {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_integer(consumer.pending().len() as i64);
        count += 1;
    }
    reply.finish(array, count);
}

fn write_filtered(reply: &mut Reply, group: &Group, filter: &Filter<'_>, now_ms: i64) {
    let array = reply.begin_array();
    let mut count = 0;
    let mut write = |id: StreamId, pending: &Pending| {
        let idle = now_ms.saturating_sub(pending.delivered_ms);
        if count == filter.count || (filter.idle_ms_min != 0 && idle < filter.idle_ms_min) {
            return count < filter.count;
        }
        reply.array(4);
        write_id(reply, id);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.integer(idle_ms(pending, now_ms));
        reply.integer(pending.count.cast_signed());
        count += 1;
        true
    };
    match filter.consumer {
        None => {
            let mut all = group.pending_between(filter.start, filter.end);
            let _ = all.all(|(id, pending)| write(id, pending));
        }
        Some(name) if filter.start <= filter.end => {
            let key = group.find_consumer(name);
            let own = key.map(|key| {
                group
                    .consumer(key)
                    .pending()
                    .range(filter.start..=filter.end)
            });
            let own = own.into_iter().flatten();
            let mut own = own.filter_map(|id| Some((*id, group.pending().get(id)?)));
            let _ = own.all(|(id, pending)| write(id, pending));
        }
        Some(_) => {}
    }
    reply.finish(array, count);
}

/// The ids that an argument list begins with, and where they end.
pub(super) fn leading_ids(args: Args<'_>, from: usize) -> (Vec<StreamId>, usize) {
    let ids: Vec<_> = args
        .iter()
        .skip(from)
        .map_while(|text| id(text).ok())
        .collect();
    let end = from + ids.len();
    (ids, end)
}
