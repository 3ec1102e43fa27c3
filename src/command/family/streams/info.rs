//! XINFO: what a stream, its groups and their consumers look like.

use super::{entries_read, integer, no_group, now, quoted, write_entry, write_id};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::{Args, Reply};
use crate::value::stream::{Consumer, Group, Stream, StreamId};

/// Entries, and pending ones of each group and consumer, that FULL shows unless told otherwise.
const FULL_COUNT_DEFAULT: usize = 10;

pub(super) fn write_help(ctx: &mut Ctx<'_>, lines: &[&str]) -> Outcome {
    ctx.reply.array(lines.len());
    lines.iter().for_each(|line| ctx.reply.simple(line));
    Ok(())
}

pub(super) fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Outcome {
    write_help(
        ctx,
        &[
            "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "CONSUMERS <key> <group>",
            "    The consumers of a group.",
            "GROUPS <key>",
            "    The groups of a stream.",
            "STREAM <key> [FULL [COUNT <count>]]",
            "    A stream; with FULL also its entries, groups and consumers.",
            "HELP",
            "    Shows this text.",
        ],
    )
}

/// The stream that a subcommand is about, with the reply beside it.
fn stream_of<'c>(
    ctx: &'c mut Ctx<'_>,
    args: Args<'_>,
) -> Result<(&'c Stream, &'c mut Reply), Error> {
    let (stream, reply) = ctx.find_collection_and_reply::<Stream>(&args[2])?;
    Ok((stream.ok_or(Error::NoSuchKey)?, reply))
}

pub(super) fn stream(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (stream, reply) = stream_of(ctx, args)?;
    if args.len() == 3 {
        reply.map(10);
        write_head(reply, stream);
        number(reply, "groups", stream.groups().len() as i64);
        let mut forward = stream.range(StreamId::MIN, StreamId::MAX);
        let mut back = stream.range_back(StreamId::MIN, StreamId::MAX);
        for (name, entry) in [("first-entry", forward.next()), ("last-entry", back.next())] {
            reply.bulk_str(name);
            match entry {
                Some(entry) => write_entry(reply, &entry),
                None => reply.null(),
            }
        }
        return Ok(());
    }
    let count = full_count(args)?;
    reply.map(9);
    write_head(reply, stream);
    reply.bulk_str("entries");
    let entries = stream.range(StreamId::MIN, StreamId::MAX);
    super::write_entries(reply, entries, Some(count));
    reply.bulk_str("groups");
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        write_full_group(reply, stream, name, group, count);
    }
    Ok(())
}

/// How much FULL shows.
fn full_count(args: Args<'_>) -> Result<usize, Error> {
    let is = |at: usize, name: &[u8]| {
        args.get(at)
            .is_some_and(|word| word.eq_ignore_ascii_case(name))
    };
    match args.len() {
        4 if is(3, b"full") => Ok(FULL_COUNT_DEFAULT),
        6 if is(3, b"full") && is(4, b"count") => Ok(match integer(&args[5])? {
            0 => usize::MAX,
            count => usize::try_from(count).unwrap_or(FULL_COUNT_DEFAULT),
        }),
        _ => Err(Error::Subcommand(quoted(&args[1]), "XINFO")),
    }
}

fn number(reply: &mut Reply, name: &str, value: i64) {
    reply.bulk_str(name);
    reply.integer(value);
}

fn id(reply: &mut Reply, name: &str, value: StreamId) {
    reply.bulk_str(name);
    write_id(reply, value);
}

/// The seven pairs that both forms begin with.
fn write_head(reply: &mut Reply, stream: &Stream) {
    let (keys, nodes) = (stream.node_count(), stream.radix_node_count());
    number(reply, "length", stream.len() as i64);
    number(reply, "radix-tree-keys", keys as i64);
    number(reply, "radix-tree-nodes", nodes as i64);
    id(reply, "last-generated-id", stream.last_id());
    id(reply, "max-deleted-entry-id", stream.max_deleted_id());
    let added = stream.entries_added().cast_signed();
    number(reply, "entries-added", added);
    id(reply, "recorded-first-entry-id", stream.first_id());
}

fn write_reading(reply: &mut Reply, stream: &Stream, group: &Group) {
    reply.bulk_str("entries-read");
    match group.entries_read {
        Some(_) => reply.integer(entries_read(group.entries_read)),
        None => reply.null(),
    }
    reply.bulk_str("lag");
    match stream.lag(group) {
        Some(lag) => reply.integer(lag),
        None => reply.null(),
    }
}

fn write_full_group(reply: &mut Reply, stream: &Stream, name: &[u8], group: &Group, count: usize) {
    reply.map(7);
    reply.bulk_str("name");
    reply.bulk(name);
    id(reply, "last-delivered-id", group.last_id);
    write_reading(reply, stream, group);
    number(reply, "pel-count", group.pending().len() as i64);
    reply.bulk_str("pending");
    reply.array(group.pending().len().min(count));
    for (id, pending) in group.pending().iter().take(count) {
        reply.array(4);
        write_id(reply, *id);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.integer(pending.delivered_ms);
        reply.integer(pending.count.cast_signed());
    }
    reply.bulk_str("consumers");
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        write_full_consumer(reply, group, consumer, count);
    }
}

fn write_full_consumer(reply: &mut Reply, group: &Group, consumer: &Consumer, count: usize) {
    let own = consumer.pending();
    reply.map(5);
    reply.bulk_str("name");
    reply.bulk(consumer.name());
    number(reply, "seen-time", consumer.seen_ms);
    number(reply, "active-time", consumer.active_ms.unwrap_or(-1));
    number(reply, "pel-count", own.len() as i64);
    reply.bulk_str("pending");
    reply.array(own.len().min(count));
    for id in own.iter().take(count) {
        reply.array(3);
        write_id(reply, *id);
        let pending = group.pending().get(id);
        let (delivered_ms, times) = pending.map_or((0, 0), |p| (p.delivered_ms, p.count));
        reply.integer(delivered_ms);
        reply.integer(times.cast_signed());
    }
}

pub(super) fn groups(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (stream, reply) = stream_of(ctx, args)?;
    reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        reply.map(6);
        reply.bulk_str("name");
        reply.bulk(name);
        number(reply, "consumers", group.consumer_count() as i64);
        number(reply, "pending", group.pending().len() as i64);
        id(reply, "last-delivered-id", group.last_id);
        write_reading(reply, stream, group);
    }
    Ok(())
}

pub(super) fn consumers(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let now_ms = now(ctx);
    let (stream, reply) = stream_of(ctx, args)?;
    let group = stream.group(&args[3]);
    let group = group.ok_or_else(|| no_group(&args[2], &args[3]))?;
    reply.array(group.consumer_count());
    for consumer in group.consumers() {
        let since = |then_ms: i64| now_ms.saturating_sub(then_ms).max(0);
        reply.map(4);
        reply.bulk_str("name");
        reply.bulk(consumer.name());
        number(reply, "pending", consumer.pending().len() as i64);
        number(reply, "idle", since(consumer.seen_ms));
        number(reply, "inactive", consumer.active_ms.map_or(-1, since));
    }
    Ok(())
}
