//! XCLAIM and XAUTOCLAIM: pending entries change their consumer.

use super::pending::leading_ids;
use super::{
    group_of, id, integer_or, now, propagate_claim, propagate_position, range_start, write_entry,
    write_id,
};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::number::parse_i64;
use crate::value::stream::{ConsumerKey, Group, Pending, Stream, StreamId};

/// Entries that XAUTOCLAIM claims at most unless told otherwise.
const COUNT_DEFAULT: i64 = 100;
/// The greatest COUNT, and how many pending entries are looked at for each that is wanted.
const COUNT_MAX: i64 = i64::MAX / 16;
const ATTEMPTS_FACTOR: i64 = 10;
/// A COUNT for whose ids Redis finds no memory.
const COUNT_ABSURD: i64 = 1 << 42;

/// What became of a pending entry.
struct Step {
    id: StreamId,
    pending: Pending,
    /// It is no longer in the stream and so no longer pending; this consumer had it.
    dropped_from: Option<Box<[u8]>>,
}

/// How claimed entries are marked.
#[derive(Default)]
struct Marks {
    delivered_ms: i64,
    /// How often they were delivered, if that is given.
    retries: Option<u64>,
    /// Reply ids only, and do not count a delivery.
    just_ids: bool,
}

impl Marks {
    fn count(&self, before: u64) -> u64 {
        match self.retries {
            Some(retries) => retries,
            None if self.just_ids => before,
            None => before.wrapping_add(1),
        }
    }
}

/// The options of XCLAIM.
struct Options {
    marks: Marks,
    force: bool,
    last_id: StreamId,
}

impl Options {
    fn parse(args: Args<'_>, mut at: usize, now_ms: i64) -> Result<Self, Error> {
        let mut options = Options {
            marks: Marks::default(),
            force: false,
            last_id: StreamId::MIN,
        };
        // -1 is as good as none.
        let (mut delivered_ms, mut retries) = (-1, -1);
        while let Some(word) = args.get(at) {
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            let value = args.get(at + 1);
            at += 1 + usize::from(!is(b"force") && !is(b"justid"));
            match value {
                _ if is(b"force") => options.force = true,
                _ if is(b"justid") => options.marks.just_ids = true,
                Some(value) if is(b"idle") => {
                    const INVALID: &str = "ERR Invalid IDLE option argument for XCLAIM";
                    delivered_ms = now_ms.saturating_sub(integer_or(value, INVALID)?);
                }
                Some(value) if is(b"time") => {
                    const INVALID: &str = "ERR Invalid TIME option argument for XCLAIM";
                    delivered_ms = integer_or(value, INVALID)?;
                }
                Some(value) if is(b"retrycount") => {
                    const INVALID: &str = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
                    retries = integer_or(value, INVALID)?;
                }
                Some(value) if is(b"lastid") => options.last_id = id(value)?,
                _ => {
                    let text = format!("ERR Unrecognized XCLAIM option '{}'", super::quoted(word));
                    return Err(Error::Text(text.into()));
                }
            }
        }
        // A time in the future is a client's whose clock is ahead.
        let sane = (0..=now_ms).contains(&delivered_ms);
        options.marks.delivered_ms = if sane { delivered_ms } else { now_ms };
        options.marks.retries = u64::try_from(retries).ok();
        Ok(options)
    }
}

/// An idle time that entries must have at least, milliseconds.
fn idle_ms_min(text: &[u8], error: &'static str) -> Result<i64, Error> {
    Ok(integer_or(text, error)?.max(0))
}

fn is_idle(pending: &Pending, idle_ms_min: i64, now_ms: i64) -> bool {
    idle_ms_min == 0 || now_ms.saturating_sub(pending.delivered_ms) >= idle_ms_min
}

/// The consumer of this name, made if need be, and whether it was made. It is seen now.
fn consumer_of(group: &mut Group, name: &[u8], now_ms: i64) -> Option<(ConsumerKey, bool)> {
    let found = group.find_consumer(name);
    let key = found.or_else(|| group.create_consumer(name, now_ms))?;
    group.consumer_mut(key).seen_ms = now_ms;
    Some((key, found.is_none()))
}

/// The group of the request's first arguments, for XCLAIM and XAUTOCLAIM.
fn lookup<'c>(ctx: &'c mut Ctx<'_>, args: Args<'_>) -> Result<&'c mut Stream, Error> {
    let (key, name) = (&args[1], &args[2]);
    let mut stream = ctx.find_collection_mut::<Stream>(key)?;
    group_of(stream.as_deref_mut(), key, name)?;
    stream.ok_or_else(|| super::no_key_or_group(key, name))
}

pub(super) fn xclaim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, name, consumer_name) = (&args[1], &args[2], &args[3]);
    // To Redis it is a reader: a hit or a miss, whatever follows.
    ctx.find(key);
    lookup(ctx, args)?;
    let now_ms = now(ctx);
    let idle_ms = idle_ms_min(&args[4], "ERR Invalid min-idle-time argument for XCLAIM")?;
    let (ids, at) = leading_ids(args, 5);
    let options = Options::parse(args, at, now_ms)?;
    ctx.propagate_nothing();
    let stream = lookup(ctx, args)?;
    let group = group_of(Some(stream), key, name)?;
    let moved = options.last_id > group.last_id;
    group.last_id = group.last_id.max(options.last_id);
    let position = (group.last_id, group.entries_read);
    let Some((consumer, created)) = consumer_of(group, consumer_name, now_ms) else {
        return Ok(());
    };
    let mut steps = Vec::new();
    for id in ids {
        let there = stream.get(id).is_some();
        let group = group_of(Some(stream), key, name)?;
        let pending = match group.pending().get(&id) {
            Some(pending) if !there => {
                steps.push(drop_pending(group, id, *pending));
                continue;
            }
            Some(pending) if !is_idle(pending, idle_ms, now_ms) => continue,
            Some(pending) => *pending,
            None if there && options.force => Pending {
                consumer,
                delivered_ms: now_ms,
                count: 1,
            },
            None => continue,
        };
        steps.push(take(group, id, pending, consumer, &options.marks));
        group.consumer_mut(consumer).active_ms = Some(now_ms);
    }
    if created {
        note_created(ctx, key);
    }
    write_claimed(ctx, key, &steps, options.marks.just_ids)?;
    propagate(ctx, [key, name, consumer_name], &steps, position.0);
    if moved && steps.is_empty() {
        propagate_position(ctx, key, name, position);
        ctx.count_dirty(1);
    }
    Ok(())
}

fn note_created(ctx: &mut Ctx<'_>, key: &[u8]) {
    ctx.count_dirty(1);
    ctx.notify(Class::STREAM, "xgroup-createconsumer", key);
}

/// Gives an entry to a consumer.
fn take(
    group: &mut Group,
    id: StreamId,
    before: Pending,
    consumer: ConsumerKey,
    marks: &Marks,
) -> Step {
    let pending = Pending {
        consumer,
        delivered_ms: marks.delivered_ms,
        count: marks.count(before.count),
    };
    group.assign(id, pending);
    Step {
        id,
        pending,
        dropped_from: None,
    }
}

/// Ends an entry's being pending because it is no longer in the stream.
fn drop_pending(group: &mut Group, id: StreamId, pending: Pending) -> Step {
    let owner = group.consumer(pending.consumer).name().into();
    group.release(id);
    Step {
        id,
        pending,
        dropped_from: Some(owner),
    }
}

/// Replies the entries that were claimed, or their ids.
fn write_claimed(ctx: &mut Ctx<'_>, key: &[u8], steps: &[Step], just_ids: bool) -> Outcome {
    let claimed = || steps.iter().filter(|step| step.dropped_from.is_none());
    let (stream, reply) = ctx.find_collection_and_reply::<Stream>(key)?;
    reply.array(claimed().count());
    for step in claimed() {
        match stream.and_then(|stream| stream.get(step.id)) {
            Some(entry) if !just_ids => write_entry(reply, &entry),
            _ => write_id(reply, step.id),
        }
    }
    Ok(())
}

fn propagate(
    ctx: &mut Ctx<'_>,
    [key, name, consumer]: [&[u8]; 3],
    steps: &[Step],
    last_id: StreamId,
) {
    ctx.count_dirty(steps.len() as u64);
    if !ctx.effects.enabled() {
        return;
    }
    for step in steps {
        let owner = step.dropped_from.as_deref().unwrap_or(consumer);
        let delivery = (step.pending.delivered_ms, step.pending.count);
        propagate_claim(ctx, [key, name, owner], step.id, delivery, last_id);
    }
}

/// COUNT and JUSTID of XAUTOCLAIM.
fn automatic_options(args: Args<'_>) -> Result<(i64, bool), Error> {
    let (mut count, mut just_ids) = (COUNT_DEFAULT, false);
    let mut at = 6;
    while let Some(word) = args.get(at) {
        match args.get(at + 1) {
            Some(value) if word.eq_ignore_ascii_case(b"count") => {
                count = parse_i64(value)
                    .filter(|count| (1..=COUNT_MAX).contains(count))
                    .ok_or(Error::text("ERR COUNT must be > 0"))?;
                at += 1;
            }
            _ if word.eq_ignore_ascii_case(b"justid") => just_ids = true,
            _ => return Err(Error::Syntax),
        }
        at += 1;
    }
    Ok((count, just_ids))
}

pub(super) fn xautoclaim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, name, consumer_name) = (&args[1], &args[2], &args[3]);
    ctx.find(key);
    let idle_ms = idle_ms_min(
        &args[4],
        "ERR Invalid min-idle-time argument for XAUTOCLAIM",
    )?;
    let start = range_start(&args[5])?;
    let (count, just_ids) = automatic_options(args)?;
    let now_ms = now(ctx);
    ctx.propagate_nothing();
    let stream = lookup(ctx, args)?;
    if count >= COUNT_ABSURD {
        return Err(Error::text(
            "ERR Insufficient memory, failed allocating transient memory, COUNT too high.",
        ));
    }
    let group = group_of(Some(stream), key, name)?;
    let last_id = group.last_id;
    let Some((consumer, created)) = consumer_of(group, consumer_name, now_ms) else {
        return Ok(());
    };
    let marks = Marks {
        delivered_ms: now_ms,
        retries: None,
        just_ids,
    };
    let mut walk = Automatic {
        idle_ms,
        count,
        attempts: count.saturating_mul(ATTEMPTS_FACTOR),
        now_ms,
        steps: Vec::new(),
    };
    let cursor = walk.run(stream, name, start, consumer, &marks);
    if created {
        note_created(ctx, key);
    }
    let steps = walk.steps;
    ctx.reply.array(3);
    write_id(ctx.reply, cursor);
    write_claimed(ctx, key, &steps, just_ids)?;
    let dropped = || steps.iter().filter(|step| step.dropped_from.is_some());
    ctx.reply.array(dropped().count());
    dropped().for_each(|step| write_id(ctx.reply, step.id));
    propagate(ctx, [key, name, consumer_name], &steps, last_id);
    Ok(())
}

/// XAUTOCLAIM's walk over the pending entries.
struct Automatic {
    idle_ms: i64,
    /// Entries that may still be claimed or dropped.
    count: i64,
    /// Entries that may still be looked at.
    attempts: i64,
    now_ms: i64,
    steps: Vec<Step>,
}

impl Automatic {
    /// Gives where to go on, or the least id at the end.
    fn run(
        &mut self,
        stream: &mut Stream,
        name: &[u8],
        start: StreamId,
        consumer: ConsumerKey,
        marks: &Marks,
    ) -> StreamId {
        let next =
            |stream: &Stream, from: Option<StreamId>| stream.group(name)?.next_pending(from?);
        let mut from = Some(start);
        while self.attempts > 0 && self.count > 0 {
            let Some((id, pending)) = next(stream, from) else {
                return StreamId::MIN;
            };
            self.attempts -= 1;
            from = id.next();
            let there = stream.get(id).is_some();
            if there && !is_idle(&pending, self.idle_ms, self.now_ms) {
                continue;
            }
            let Some(group) = stream.group_mut(name) else {
                return StreamId::MIN;
            };
            self.count -= 1;
            if there {
                self.steps.push(take(group, id, pending, consumer, marks));
                group.consumer_mut(consumer).active_ms = Some(self.now_ms);
            } else {
                self.steps.push(drop_pending(group, id, pending));
            }
        }
        next(stream, from).map_or(StreamId::MIN, |(id, _)| id)
    }
}
