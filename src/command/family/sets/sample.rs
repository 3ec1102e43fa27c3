//! Some of the members: SPOP, SRANDMEMBER and SSCAN.

use super::super::hashes::scanning::{SCAN_STEPS_MAX, ScanOptions, parse_cursor};
use super::{integer, remove_emptied, write_element};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome, Rng};
use crate::protocol::{Args, Reply};
use crate::value::glob::glob_match;
use crate::value::set::Set;

/// Most members that SRANDMEMBER draws with repetition. Redis sets no limit, and a count of 2^62
/// makes it reply until it runs out of memory.
const REPEATED_MAX: u64 = 1 << 24;
/// Members in one SREM of those by which SPOP is propagated; as in Redis.
const POPPED_BATCH_LEN: usize = 1024;

pub(super) fn spop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match args.len() {
        2 => pop_one(ctx, &args[1]),
        3 => {
            let count = integer(&args[2]).ok();
            let count = count.and_then(|count| usize::try_from(count).ok());
            pop_many(ctx, &args[1], count.ok_or(Error::MustBePositive)?)
        }
        _ => Err(Error::Syntax),
    }
}

fn pop_one(ctx: &mut Ctx<'_>, key: &[u8]) -> Outcome {
    let (db, r) = (ctx.db, ctx.state.rng.next_u64());
    ctx.prepare_write(db, key);
    let Some(entry) = ctx.keyspace.db_mut(db).get_mut(key) else {
        ctx.reply.null();
        return Ok(());
    };
    let set: &mut Set = entry.collection_mut().ok_or(Error::WrongType)?;
    let (reply, effects) = (&mut *ctx.reply, &mut *ctx.effects);
    set.pop(
        1,
        || r,
        |member| {
            write_element(reply, member);
            member.with_bytes(|member| effects.request(db as u32, &[b"SREM", key, member]));
        },
    );
    let emptied = set.is_empty();
    ctx.propagate_nothing();
    ctx.notify(Class::SET, "spop", key);
    if emptied {
        remove_emptied(ctx, key);
    }
    ctx.changed(key, 1);
    Ok(())
}

fn pop_many(ctx: &mut Ctx<'_>, key: &[u8], count: usize) -> Outcome {
    let mut rng = Rng::new(ctx.state.rng.next_u64());
    let Some(set) = ctx.find_collection_mut::<Set>(key)?.filter(|_| count > 0) else {
        ctx.reply.set(0);
        return Ok(());
    };
    let len = set.len();
    if count >= len {
        return pop_all(ctx, key, len);
    }
    let mut popped = Vec::with_capacity(count);
    set.pop(
        count,
        || rng.next_u64(),
        |member| popped.push(member.to_vec()),
    );
    ctx.notify(Class::SET, "spop", key);
    ctx.reply.set(count);
    for batch in popped.chunks(POPPED_BATCH_LEN) {
        let mut request: Vec<&[u8]> = vec![b"SREM", key];
        for member in batch {
            ctx.reply.bulk(member);
            request.push(member);
        }
        ctx.propagate_as(&request);
    }
    ctx.changed(key, count as u64);
    Ok(())
}

fn pop_all(ctx: &mut Ctx<'_>, key: &[u8], len: usize) -> Outcome {
    let reply = &mut *ctx.reply;
    reply.set(len);
    let entry = ctx.keyspace.db(ctx.db).get(key);
    for member in entry
        .and_then(|entry| as_set(entry.value()))
        .into_iter()
        .flat_map(Set::iter)
    {
        write_element(reply, member);
    }
    ctx.notify(Class::SET, "spop", key);
    remove_emptied(ctx, key);
    let lazy = ctx.settings().lazy_server_del;
    let name: &[u8] = if lazy { b"UNLINK" } else { b"DEL" };
    ctx.propagate_as(&[name, key]);
    ctx.changed(key, len as u64);
    Ok(())
}

fn as_set(value: crate::value::ValueRef<'_>) -> Option<&Set> {
    <Set as crate::value::Collection>::view(value)
}

pub(super) fn srandmember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    match args.len() {
        2 => {
            let r = ctx.state.rng.next_u64();
            let (set, reply) = ctx.find_collection_and_reply::<Set>(&args[1])?;
            match set.and_then(|set| set.random(r)) {
                Some(member) => write_element(reply, member),
                None => reply.null(),
            }
            Ok(())
        }
        3 => sample(ctx, args),
        _ => Err(Error::Syntax),
    }
}

fn sample(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const RANGE: Error = Error::text(
        "ERR value is out of range, value must between -9223372036854775807 and \
         9223372036854775807",
    );
    let mut rng = Rng::new(ctx.state.rng.next_u64());
    let count = integer(&args[2])?;
    if count == i64::MIN {
        return Err(RANGE);
    }
    let (set, reply) = ctx.find_collection_and_reply::<Set>(&args[1])?;
    let Some(set) = set.filter(|_| count != 0) else {
        reply.array(0);
        return Ok(());
    };
    if count > 0 {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(set.len());
        reply.array(count);
        set.random_distinct(
            count,
            || rng.next_u64(),
            |member| write_element(reply, member),
        );
    } else {
        let count = count.unsigned_abs();
        if count > REPEATED_MAX {
            return Err(Error::OutOfRange);
        }
        reply.array(count as usize);
        set.random_repeated(
            count as usize,
            || rng.next_u64(),
            |member| write_element(reply, member),
        );
    }
    Ok(())
}

pub(super) fn sscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut cursor = parse_cursor(&args[2]).ok_or(Error::text("ERR invalid cursor"))?;
    let (set, reply) = ctx.find_collection_and_reply::<Set>(&args[1])?;
    reply.array(2);
    let Some(set) = set else {
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args.tail(3), false)?;
    // The cursor goes out before the members but is known after them.
    let mut members = Reply::new(reply.version());
    let mut found = 0;
    for _ in 0..SCAN_STEPS_MAX {
        cursor = set.scan(cursor, options.count, |member| {
            let matches = |pattern| member.with_bytes(|text| glob_match(pattern, text, false));
            if options.pattern.is_none_or(matches) {
                found += 1;
                write_element(&mut members, member);
            }
        });
        if cursor == 0 || found >= options.count {
            break;
        }
    }
    reply.bulk_str(itoa::Buffer::new().format(cursor));
    reply.array(found);
    reply.raw(members.bytes());
    Ok(())
}
