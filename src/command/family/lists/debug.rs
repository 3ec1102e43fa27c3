//! DEBUG LISTPACK and DEBUG QUICKLIST: how a value is stored, shown in the log.

use crate::command::error::SUBCOMMAND_SHOWN_MAX;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::{Entry, Keyspace};
use crate::protocol::{Args, quote};
use crate::value::ValueRef;
use crate::value::list::List;

/// Bytes of a listpack that the log shows.
const BYTES_SHOWN_MAX: usize = 1024;

fn entry<'k>(
    keyspace: &'k Keyspace,
    db: usize,
    args: Args<'_>,
    args_max: usize,
) -> Result<&'k Entry, Error> {
    if !(3..=args_max).contains(&args.len()) {
        let name = quote(&args[1], SUBCOMMAND_SHOWN_MAX);
        return Err(Error::Subcommand(name, "DEBUG"));
    }
    let entry = keyspace.db(db).get(&args[2]);
    entry.ok_or(Error::NoSuchKey)
}

fn shown(bytes: &[u8]) -> impl std::fmt::Display {
    bytes[..bytes.len().min(BYTES_SHOWN_MAX)].escape_ascii()
}

pub(super) fn listpack(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let entry = entry(ctx.keyspace, ctx.db, args, 3)?;
    if entry.encoding() != "listpack" {
        return Err(Error::text("ERR Not a listpack encoded object."));
    }
    let key = shown(entry.key());
    let bytes = match entry.value() {
        ValueRef::List(list) => list.node(0).map(|node| node.bytes),
        ValueRef::Hash(hash) => hash.as_listpack().map(|listpack| listpack.bytes()),
        _ => None,
    };
    match bytes {
        Some(bytes) => {
            let (len, bytes) = (bytes.len(), shown(bytes));
            tracing::info!(%key, len, "listpack: {bytes}");
        }
        None => tracing::info!(%key, memory = entry.memory(), "listpack"),
    }
    ctx.reply.simple("Listpack structure printed on stdout");
    Ok(())
}

pub(super) fn quicklist(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let in_full = args.get(3).is_some_and(|level| level != b"0");
    let entry = entry(ctx.keyspace, ctx.db, args, 4)?;
    let shape = match entry.value() {
        ValueRef::List(list) => list.shape().map(|shape| (list, shape)),
        _ => None,
    };
    let (list, shape) = shape.ok_or(Error::text("ERR Not a quicklist encoded object."))?;
    let key = shown(entry.key());
    tracing::info!(%key, elements = list.len(), ?shape, "quicklist");
    if in_full {
        log_nodes(list);
    }
    ctx.reply.simple("Quicklist structure printed on stdout");
    Ok(())
}

fn log_nodes(list: &List) {
    const NODES_SHOWN_MAX: usize = 100;
    for at in 0..list.node_count().min(NODES_SHOWN_MAX) {
        if let Some(node) = list.node(at) {
            let (plain, unpacked_len) = (node.is_plain, node.unpacked_len);
            let (len, bytes) = (node.bytes.len(), shown(node.bytes));
            tracing::info!(at, plain, len, ?unpacked_len, "node: {bytes}");
        }
    }
}
