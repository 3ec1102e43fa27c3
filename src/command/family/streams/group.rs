//! XGROUP: making, changing and removing consumer groups.

use super::{id, integer, no_group, now, quoted};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::stream::{Group, Stream, StreamId};
use crate::value::{Collection, Kind};

const NEEDS_KEY: Error = Error::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use \
     the MKSTREAM option to create an empty stream automatically.",
);

/// The options of CREATE and SETID.
#[derive(Default)]
struct Options {
    make_stream: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn parse(args: Args<'_>, creates: bool) -> Result<Self, Error> {
        let mut options = Options::default();
        let mut at = 5;
        while let Some(word) = args.get(at) {
            match args.get(at + 1) {
                _ if creates && word.eq_ignore_ascii_case(b"mkstream") => {
                    options.make_stream = true;
                }
                Some(value) if word.eq_ignore_ascii_case(b"entriesread") => {
                    let read = integer(value)?;
                    options.entries_read = u64::try_from(read).ok();
                    if read < -1 {
                        return Err(Error::text(
                            "ERR value for ENTRIESREAD must be positive or -1",
                        ));
                    }
                    at += 1;
                }
                _ => return Err(Error::Subcommand(quoted(&args[1]), "XGROUP")),
            }
            at += 1;
        }
        Ok(options)
    }
}

/// The position of a group: an id, or `$` for the last one.
fn position(text: &[u8], stream: Option<&Stream>) -> Result<StreamId, Error> {
    match text {
        b"$" => Ok(stream.map_or(StreamId::MIN, Stream::last_id)),
        text => id(text),
    }
}

/// The stream that the subcommand is about.
fn stream_of<'c>(ctx: &'c mut Ctx<'_>, args: Args<'_>) -> Result<&'c mut Stream, Error> {
    let stream = ctx.find_collection_mut::<Stream>(&args[2])?;
    stream.ok_or(NEEDS_KEY)
}

/// The group that the subcommand is about.
fn group_of<'c>(ctx: &'c mut Ctx<'_>, args: Args<'_>) -> Result<&'c mut Group, Error> {
    let group = stream_of(ctx, args)?.group_mut(&args[3]);
    group.ok_or_else(|| no_group(&args[2], &args[3]))
}

/// Notes a change that WATCH does not see.
fn changed(ctx: &mut Ctx<'_>, event: &'static str, key: &[u8]) {
    ctx.count_dirty(1);
    ctx.notify(Class::STREAM, event, key);
}

pub(super) fn create(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const BUSY: Error = Error::text("BUSYGROUP Consumer Group name already exists");
    let options = Options::parse(args, true)?;
    let (key, name) = (&args[2], &args[3]);
    let there = ctx.check_kind(key, Kind::Stream)?;
    if !there && !options.make_stream {
        return Err(NEEDS_KEY);
    }
    if there {
        let stream = stream_of(ctx, args)?;
        let last_id = position(&args[4], Some(stream))?;
        if !stream.create_group(name, Group::new(last_id, options.entries_read)) {
            return Err(BUSY);
        }
    } else {
        let last_id = position(&args[4], None)?;
        let mut stream = Box::new(Stream::new());
        stream.create_group(name, Group::new(last_id, options.entries_read));
        ctx.set_value(key, stream.wrap(), None);
        ctx.changed(key, 0);
    }
    ctx.reply.ok();
    changed(ctx, "xgroup-create", key);
    Ok(())
}

pub(super) fn set_id(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = Options::parse(args, false)?;
    group_of(ctx, args)?;
    let stream = stream_of(ctx, args)?;
    let last_id = position(&args[4], Some(stream))?;
    let group = group_of(ctx, args)?;
    group.last_id = last_id;
    group.entries_read = options.entries_read;
    ctx.reply.ok();
    changed(ctx, "xgroup-setid", &args[2]);
    Ok(())
}

pub(super) fn destroy(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[2];
    let removed = stream_of(ctx, args)?.remove_group(&args[3]);
    if removed {
        // Those who wait for the group have to learn of it, hence a change of the key; Redis does
        // not show it to WATCH.
        ctx.changed(key, 1);
        ctx.notify(Class::STREAM, "xgroup-destroy", key);
    }
    ctx.reply.integer(removed.into());
    Ok(())
}

pub(super) fn create_consumer(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let now_ms = now(ctx);
    let created = group_of(ctx, args)?.create_consumer(&args[4], now_ms);
    if created.is_some() {
        changed(ctx, "xgroup-createconsumer", &args[2]);
    }
    ctx.reply.integer(created.is_some().into());
    Ok(())
}

pub(super) fn delete_consumer(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let deleted = group_of(ctx, args)?.delete_consumer(&args[4]);
    if deleted.is_some() {
        changed(ctx, "xgroup-delconsumer", &args[2]);
    }
    ctx.reply.integer(deleted.unwrap_or(0) as i64);
    Ok(())
}

pub(super) fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Outcome {
    super::info::write_help(
        ctx,
        &[
            "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
            "CREATE <key> <group> <id|$> [MKSTREAM] [ENTRIESREAD <count>]",
            "    Make a group that reads entries after <id>, or after the last one.",
            "    MKSTREAM makes the stream too; ENTRIESREAD says how many were read.",
            "CREATECONSUMER <key> <group> <consumer>",
            "    Make a consumer.",
            "DELCONSUMER <key> <group> <consumer>",
            "    Delete a consumer with its pending entries.",
            "DESTROY <key> <group>",
            "    Delete a group.",
            "SETID <key> <group> <id|$> [ENTRIESREAD <count>]",
            "    Let a group read on after <id>, or after the last entry.",
            "HELP",
            "    Shows this text.",
        ],
    )
}
