//! Reading strings, and what is combined with it.

use super::options::{Accepts, Lifetime, Options};
use super::{integer, string_len, write_string};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Entry;
use crate::protocol::Args;
use crate::value::ValueRef;

pub(super) fn get(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    reply_with(ctx, &args[1]).map(|_| ())
}

/// GET itself; whether the key exists.
pub(super) fn reply_with(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<bool, Error> {
    let (entry, reply) = ctx.find_string_and_reply(key)?;
    let exists = entry.is_some();
    write_string(reply, entry.map(Entry::value));
    Ok(exists)
}

pub(super) fn mget(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let keys = args.tail(1);
    ctx.reply.array(keys.len());
    for key in keys.iter() {
        let (entry, reply) = ctx.find_and_reply(key);
        write_string(reply, entry.map(Entry::value));
    }
    Ok(())
}

pub(super) fn strlen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (entry, reply) = ctx.find_string_and_reply(&args[1])?;
    let len = entry.map_or(0, |entry| string_len(entry.value()));
    reply.integer(len as i64);
    Ok(())
}

pub(super) fn getrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (start, end) = (integer(&args[2])?, integer(&args[3])?);
    let (entry, reply) = ctx.find_string_and_reply(&args[1])?;
    let mut digits = itoa::Buffer::new();
    let text = match entry.map(Entry::value) {
        Some(ValueRef::Bytes(bytes)) => bytes,
        Some(ValueRef::Int(number)) => digits.format(number).as_bytes(),
        _ => b"",
    };
    reply.bulk(slice(text, start, end));
    Ok(())
}

/// The bytes from offset `start` to offset `end`, that one included; a negative offset counts from
/// the end, and one outside is moved to the border.
fn slice(text: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < 0 && start > end {
        return b"";
    }
    let len = text.len() as i64;
    let absolute = |offset: i64| {
        let offset = if offset < 0 { len + offset } else { offset };
        offset.max(0)
    };
    let (start, end) = (absolute(start), absolute(end).min(len - 1));
    if start > end {
        return b"";
    }
    // Both are within the text: 0 <= start <= end < len.
    &text[start as usize..=end as usize]
}

pub(super) fn getdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    if reply_with(ctx, key)? && ctx.remove(key) {
        ctx.changed(key, 1);
        ctx.notify(Class::GENERIC, "del", key);
        ctx.propagate_as(&[b"DEL", key]);
    }
    Ok(())
}

pub(super) fn getex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = Options::parse(args.tail(2), Accepts::Getex)?;
    let key = &args[1];
    // The key comes before the time: without one, a bad time is no error.
    if ctx.find_string(key)?.is_none() {
        ctx.reply.null();
        return Ok(());
    }
    let at = match options.lifetime {
        Lifetime::Until(time) => Some(time.at_ms(ctx.now_ms, "getex")?),
        _ => None,
    };
    let entry = ctx.keyspace.db(ctx.db).get(key);
    let persistent = entry.is_none_or(|entry| entry.expire_at().is_none());
    write_string(ctx.reply, entry.map(Entry::value));
    let mut digits = itoa::Buffer::new();
    match (options.lifetime, at) {
        (_, Some(at)) if ctx.is_over(at) => {
            ctx.remove_expired(key);
            return Ok(());
        }
        (_, Some(at)) => {
            ctx.database().set_expiry(key, Some(at));
            ctx.notify(Class::GENERIC, "expire", key);
            ctx.propagate_as(&[b"PEXPIREAT", key, digits.format(at).as_bytes()]);
        }
        (Lifetime::Persist, None) if !persistent => {
            ctx.database().set_expiry(key, None);
            ctx.notify(Class::GENERIC, "persist", key);
            ctx.propagate_as(&[b"PERSIST", key]);
        }
        _ => return Ok(()),
    }
    ctx.changed(key, 1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::slice;

    #[test]
    fn offsets_outside_of_the_text_are_moved_to_its_border() {
        let text = b"hello";
        for (start, end, want) in [
            (0, -1, &b"hello"[..]),
            (1, 3, b"ell"),
            (-3, -2, b"ll"),
            (-2, -3, b""),
            (-100, 1, b"he"),
            (3, 100, b"lo"),
            (5, 10, b""),
            (0, -100, b"h"),
            (-100, -50, b"h"),
            (i64::MIN, i64::MAX, b"hello"),
            (i64::MAX, i64::MIN, b""),
        ] {
            assert_eq!(slice(text, start, end), want, "{start} {end}");
            assert_eq!(slice(b"", start, end), b"");
        }
    }
}
