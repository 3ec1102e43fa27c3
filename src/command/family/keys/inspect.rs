//! Commands that look at how a key is stored.

use super::{inspect_quietly, integer};
use crate::command::digest::Digest;
use crate::command::error::SUBCOMMAND_SHOWN_MAX;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Entry;
use crate::protocol::{Args, quote};
use crate::value::{ValueRef, codec, crc64};

/// Integers that Redis shares between keys, and the reference count that it then reports.
const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;
const SHARED_REFERENCES: i64 = i32::MAX as i64;

/// The reference count that Redis would report. Nothing is shared here; clients that look at it
/// do so to tell small integers.
fn references(entry: &Entry) -> i64 {
    match entry.value() {
        ValueRef::Int(int) if SHARED_INTEGERS.contains(&int) => SHARED_REFERENCES,
        _ => 1,
    }
}

/// Seconds since the last access.
fn idle_s(entry: &Entry, now_ms: u64) -> u32 {
    ((now_ms / 1000) as u32).saturating_sub(entry.access())
}

pub(super) fn object_encoding(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match inspect_quietly(ctx, &args[2], Entry::encoding) {
        Some(encoding) => ctx.reply.bulk_str(encoding),
        None => ctx.reply.null(),
    }
    Ok(())
}

pub(super) fn object_refcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match inspect_quietly(ctx, &args[2], references) {
        Some(count) => ctx.reply.integer(count),
        None => ctx.reply.null(),
    }
    Ok(())
}

pub(super) fn object_idletime(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let now_ms = ctx.now_ms;
    let Some(idle) = inspect_quietly(ctx, &args[2], |entry| idle_s(entry, now_ms)) else {
        ctx.reply.null();
        return Ok(());
    };
    if ctx.settings().lfu {
        return Err(Error::text(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that \
             when switching between policies at runtime LRU and LFU data will take some time to \
             adjust.",
        ));
    }
    ctx.reply.integer(i64::from(idle));
    Ok(())
}

pub(super) fn object_freq(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let clock = ctx.keyspace.clock();
    let Some(count) = inspect_quietly(ctx, &args[2], |entry| clock.count(entry.access())) else {
        ctx.reply.null();
        return Ok(());
    };
    if !ctx.settings().lfu {
        return Err(Error::text(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please \
             note that when switching between policies at runtime LRU and LFU data will take \
             some time to adjust.",
        ));
    }
    ctx.reply.integer(i64::from(count));
    Ok(())
}

fn help(ctx: &mut Ctx<'_>, lines: &[&str]) -> Outcome {
    ctx.reply.array(lines.len());
    lines.iter().for_each(|line| ctx.reply.simple(line));
    Ok(())
}

pub(super) fn object_help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Outcome {
    let lines = [
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    How the value of <key> is stored.",
        "FREQ <key>",
        "    How often <key> is used, on a logarithmic scale (LFU policies only).",
        "IDLETIME <key>",
        "    Seconds since <key> was last used (not with an LFU policy).",
        "REFCOUNT <key>",
        "    How many references there are to the value of <key>.",
        "HELP",
        "    Shows this text.",
    ];
    help(ctx, &lines)
}

pub(super) fn memory_help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Outcome {
    let lines = [
        "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    What is unusual about the memory in use, in words.",
        "MALLOC-STATS",
        "    The allocator's own report.",
        "PURGE",
        "    Gives memory that is free back to the system.",
        "STATS",
        "    Where the memory is.",
        "USAGE <key> [SAMPLES <count>]",
        "    Bytes that <key> and its value take.",
        "HELP",
        "    Shows this text.",
    ];
    help(ctx, &lines)
}

/// SAMPLES is checked but changes nothing: the size of a collection is known or estimated without.
pub(super) fn memory_usage(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    for at in (3..args.len()).step_by(2) {
        if !args[at].eq_ignore_ascii_case(b"samples") || at + 1 >= args.len() {
            return Err(Error::Syntax);
        }
        if integer(args, at + 1)? < 0 {
            return Err(Error::Syntax);
        }
    }
    match ctx.keyspace.db(ctx.db).get(&args[2]) {
        Some(entry) => {
            let bytes = entry.memory() + size_of::<Entry>();
            ctx.reply.integer(bytes as i64);
        }
        None => ctx.reply.null(),
    }
    Ok(())
}

fn unknown_debug(args: Args<'_>) -> Error {
    let name = quote(&args[1], SUBCOMMAND_SHOWN_MAX);
    Error::Subcommand(name, "DEBUG")
}

/// What DEBUG OBJECT adds for a large list; the last field costs a walk over the nodes.
fn quicklist_fields(entry: &Entry, fast: bool) -> String {
    let ValueRef::List(list) = entry.value() else {
        return String::new();
    };
    let Some(shape) = list.shape() else {
        return String::new();
    };
    let mut text = format!(
        " ql_nodes:{} ql_avg_node:{:.2} ql_listpack_max:{} ql_compressed:{}",
        shape.nodes,
        list.len() as f64 / shape.nodes as f64,
        shape.node_size,
        u8::from(shape.compresses),
    );
    if !fast {
        text.push_str(&format!(" ql_uncompressed_size:{}", shape.bytes));
    }
    text
}

/// The address is made up from the key: the same in every run, and of no use to an attacker.
pub(super) fn debug_object(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if !(3..=4).contains(&args.len()) {
        return Err(unknown_debug(args));
    }
    let fast = args.get(3).is_some_and(|a| a.eq_ignore_ascii_case(b"fast"));
    let compression = ctx.settings().compression;
    let entry = ctx.keyspace.db(ctx.db).get(&args[2]);
    let entry = entry.ok_or(Error::NoSuchKey)?;
    let length = if fast {
        String::new()
    } else {
        let mut payload = Vec::new();
        codec::write_value_with(&mut payload, entry.value(), compression);
        format!(" serializedlength:{}", payload.len())
    };
    let text = format!(
        "Value at:0x{:x} refcount:{} encoding:{}{length} lru:{} lru_seconds_idle:{}{}",
        crc64::checksum(entry.key()) & 0x7fff_ffff_fff0,
        references(entry),
        entry.encoding(),
        entry.access() & 0x00ff_ffff,
        idle_s(entry, ctx.now_ms),
        quicklist_fields(entry, fast),
    );
    ctx.reply.simple(&text);
    Ok(())
}

pub(super) fn debug_digest_value(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    ctx.reply.array(args.len() - 2);
    for key in args.iter().skip(2) {
        let mut digest = Digest::default();
        if let Some(entry) = ctx.keyspace.db(ctx.db).get(key) {
            digest.mix_entry(entry);
        }
        ctx.reply.simple(&digest.to_string());
    }
    Ok(())
}
