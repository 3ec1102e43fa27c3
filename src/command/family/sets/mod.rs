//! Set commands.

mod combine;
mod rows;
mod sample;
#[cfg(test)]
mod tests;

pub use rows::COMMANDS;

use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::{Args, Reply};
use crate::value::Kind;
use crate::value::listpack::Element;
use crate::value::set::Set;

/// Replies with a member.
fn write_element(reply: &mut Reply, member: Element<'_>) {
    match member {
        Element::Int(number) => reply.bulk_integer(number),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// An integer argument of any sign.
fn integer(text: &[u8]) -> Result<i64, Error> {
    crate::value::number::parse_i64(text).ok_or(Error::NotInteger)
}

fn sadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (key, members) = (&args[1], args.tail(2));
    let (limits, seed) = (ctx.settings().set_limits, ctx.settings().seed);
    let added = ctx.with_collection(key, |set: &mut Set| {
        set.prepare(&members[0], members.len(), &limits, &seed);
        let new = members.iter();
        new.filter(|member| set.insert(member, &limits, &seed))
            .count()
    })?;
    if added > 0 {
        ctx.changed(key, added as u64);
        ctx.notify(Class::SET, "sadd", key);
    }
    ctx.reply.integer(added as i64);
    Ok(())
}

fn srem(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    let (mut removed, mut emptied) = (0u32, false);
    if let Some(set) = ctx.find_collection_mut::<Set>(key)? {
        for member in args.tail(2).iter() {
            if set.remove(member) {
                removed += 1;
                if set.is_empty() {
                    emptied = true;
                    break;
                }
            }
        }
    }
    if removed > 0 {
        ctx.notify(Class::SET, "srem", key);
        if emptied {
            remove_emptied(ctx, key);
        }
        ctx.changed(key, removed.into());
    }
    ctx.reply.integer(removed.into());
    Ok(())
}

/// Removes the key of a set whose last member is gone.
fn remove_emptied(ctx: &mut Ctx<'_>, key: &[u8]) {
    ctx.remove(key);
    ctx.notify(Class::GENERIC, "del", key);
}

fn sismember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (set, reply) = ctx.find_collection_and_reply::<Set>(&args[1])?;
    reply.integer(set.is_some_and(|set| set.contains(&args[2])).into());
    Ok(())
}

fn smismember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (set, reply) = ctx.find_collection_and_reply::<Set>(&args[1])?;
    let members = args.tail(2);
    reply.array(members.len());
    for member in members.iter() {
        reply.integer(set.is_some_and(|set| set.contains(member)).into());
    }
    Ok(())
}

fn scard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (set, reply) = ctx.find_collection_and_reply::<Set>(&args[1])?;
    reply.integer(set.map_or(0, Set::len) as i64);
    Ok(())
}

fn smembers(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (set, reply) = ctx.find_collection_and_reply::<Set>(&args[1])?;
    reply.set(set.map_or(0, Set::len));
    for member in set.into_iter().flat_map(Set::iter) {
        write_element(reply, member);
    }
    Ok(())
}

fn smove(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (from, to, member) = (&args[1], &args[2], &args[3]);
    ctx.prepare_write(ctx.db, from);
    ctx.prepare_write(ctx.db, to);
    // Without a source it does not matter what the target holds.
    if !ctx.exists_for_write(from) {
        ctx.reply.integer(0);
        return Ok(());
    }
    ctx.check_kind(from, Kind::Set)?;
    ctx.check_kind(to, Kind::Set)?;
    let source = ctx.find_collection_mut::<Set>(from)?;
    if from == to {
        let there = source.is_some_and(|set| set.contains(member));
        ctx.reply.integer(there.into());
        return Ok(());
    }
    let mut emptied = false;
    let removed = source.is_some_and(|set| {
        let removed = set.remove(member);
        emptied = removed && set.is_empty();
        removed
    });
    ctx.reply.integer(removed.into());
    if !removed {
        return Ok(());
    }
    ctx.notify(Class::SET, "srem", from);
    if emptied {
        remove_emptied(ctx, from);
    }
    ctx.changed(from, 1);
    let (limits, seed) = (ctx.settings().set_limits, ctx.settings().seed);
    let added = ctx.with_collection(to, |set: &mut Set| {
        if set.is_empty() {
            set.prepare(member, 1, &limits, &seed);
        }
        set.insert(member, &limits, &seed)
    })?;
    if added {
        ctx.changed(to, 1);
        ctx.notify(Class::SET, "sadd", to);
    }
    Ok(())
}
