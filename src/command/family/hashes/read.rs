//! Reading fields by name, or all of them.

use super::write_element;
use crate::command::{Ctx, Outcome};
use crate::protocol::{Args, Reply};
use crate::value::hash::Hash;
use crate::value::listpack::Element;

/// Replies with a value, or with null for a field that is not there.
fn write_field(reply: &mut Reply, value: Option<Element<'_>>) {
    match value {
        Some(value) => write_element(reply, value),
        None => reply.null(),
    }
}

pub(super) fn hget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    write_field(reply, hash.and_then(|hash| hash.get(&args[2])));
    Ok(())
}

pub(super) fn hmget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    let fields = args.tail(2);
    reply.array(fields.len());
    for field in fields.iter() {
        write_field(reply, hash.and_then(|hash| hash.get(field)));
    }
    Ok(())
}

pub(super) fn hexists(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    reply.integer(hash.is_some_and(|hash| hash.contains(&args[2])).into());
    Ok(())
}

pub(super) fn hlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    reply.integer(hash.map_or(0, Hash::len) as i64);
    Ok(())
}

pub(super) fn hstrlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    let value = hash.and_then(|hash| hash.get(&args[2]));
    reply.integer(value.map_or(0, Element::len) as i64);
    Ok(())
}

pub(super) fn hgetall(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    reply.map(hash.map_or(0, Hash::len));
    for (field, value) in hash.into_iter().flat_map(Hash::iter) {
        write_element(reply, field);
        write_element(reply, value);
    }
    Ok(())
}

pub(super) fn hkeys(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    reply.array(hash.map_or(0, Hash::len));
    for (field, _) in hash.into_iter().flat_map(Hash::iter) {
        write_element(reply, field);
    }
    Ok(())
}

pub(super) fn hvals(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    reply.array(hash.map_or(0, Hash::len));
    for (_, value) in hash.into_iter().flat_map(Hash::iter) {
        write_element(reply, value);
    }
    Ok(())
}
