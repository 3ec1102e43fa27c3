//! Intersection, union and difference of several sets.

use super::{integer, write_element};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Keyspace;
use crate::protocol::Args;
use crate::value::set::{self, Set};
use crate::value::{Collection, Kind};

/// The sets that a request names, once they are known to be sets or absent. They are looked up
/// twice: first each by itself, for expiry and statistics, then all together.
struct Sources<'a> {
    keys: Args<'a>,
    db: usize,
    /// Which of them may be seen.
    found: Vec<bool>,
}

impl<'a> Sources<'a> {
    fn find(ctx: &mut Ctx<'_>, keys: Args<'a>) -> Result<Self, Error> {
        let mut found = Vec::with_capacity(keys.len());
        for key in keys.iter() {
            found.push(match ctx.find(key) {
                Some(entry) if entry.kind() != Kind::Set => return Err(Error::WrongType),
                entry => entry.is_some(),
            });
        }
        Ok(Self {
            keys,
            db: ctx.db,
            found,
        })
    }

    /// All of them, in the order named.
    fn sets<'k>(&self, keyspace: &'k Keyspace) -> impl Iterator<Item = Option<&'k Set>> {
        let named = self.keys.iter().zip(&self.found);
        named.map(move |(key, found)| {
            let entry = keyspace.db(self.db).get(key).filter(|_| *found)?;
            Set::view(entry.value())
        })
    }

    /// Those that exist.
    fn existing<'k>(&self, keyspace: &'k Keyspace) -> Vec<&'k Set> {
        self.sets(keyspace).flatten().collect()
    }

    /// The first, if it exists, and those of the others that do.
    fn first_and_others<'k>(&self, keyspace: &'k Keyspace) -> (Option<&'k Set>, Vec<&'k Set>) {
        let mut sets = self.sets(keyspace);
        let first = sets.next().flatten();
        (first, sets.flatten().collect())
    }

    /// All, unless one is missing: then their intersection is empty.
    fn complete<'k>(&self, keyspace: &'k Keyspace) -> Vec<&'k Set> {
        let all: Option<Vec<_>> = self.sets(keyspace).collect();
        all.unwrap_or_default()
    }
}

pub(super) fn sinter(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sources = Sources::find(ctx, args.tail(1))?;
    let mut sets = sources.complete(ctx.keyspace);
    let reply = &mut *ctx.reply;
    let begun = reply.begin_set();
    let mut count = 0;
    set::intersect(&mut sets, |member| {
        write_element(reply, member);
        count += 1;
        true
    });
    reply.finish(begun, count);
    Ok(())
}

pub(super) fn sintercard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const NUMKEYS: Error = Error::text("ERR numkeys should be greater than 0");
    const TOO_MANY: Error = Error::text("ERR Number of keys can't be greater than number of args");
    const LIMIT: Error = Error::text("ERR LIMIT can't be negative");
    let keys = integer(&args[1]).ok().filter(|n| *n > 0).ok_or(NUMKEYS)?;
    let keys = usize::try_from(keys).ok();
    let keys = keys.filter(|n| *n <= args.len() - 2).ok_or(TOO_MANY)?;
    let mut limit = 0;
    let options = args.tail(2 + keys);
    for at in (0..options.len()).step_by(2) {
        match options.get(at + 1) {
            Some(value) if options[at].eq_ignore_ascii_case(b"limit") => {
                let value = integer(value).ok().and_then(|n| u64::try_from(n).ok());
                limit = value.ok_or(LIMIT)?;
            }
            _ => return Err(Error::Syntax),
        }
    }
    let named: Vec<&[u8]> = args.iter().skip(2).take(keys).collect();
    let named = crate::protocol::OwnedArgs::new(&named);
    let sources = Sources::find(ctx, named.as_args())?;
    let mut count = 0;
    set::intersect(&mut sources.complete(ctx.keyspace), |_| {
        count += 1;
        limit == 0 || count < limit
    });
    ctx.reply.integer(count as i64);
    Ok(())
}

pub(super) fn sinterstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sources = Sources::find(ctx, args.tail(2))?;
    let (limits, seed) = (ctx.settings().set_limits, ctx.settings().seed);
    let result = set::intersection_of(&mut sources.complete(ctx.keyspace), &limits, &seed);
    store(ctx, &args[1], result, "sinterstore")
}

pub(super) fn sunion(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sources = Sources::find(ctx, args.tail(1))?;
    let (limits, seed) = (ctx.settings().set_limits, ctx.settings().seed);
    let sets = sources.existing(ctx.keyspace);
    let reply = &mut *ctx.reply;
    let begun = reply.begin_set();
    let mut count = 0;
    set::union(&sets, &limits, &seed, |member| {
        write_element(reply, member);
        count += 1;
    });
    reply.finish(begun, count);
    Ok(())
}

pub(super) fn sunionstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sources = Sources::find(ctx, args.tail(2))?;
    let (limits, seed) = (ctx.settings().set_limits, ctx.settings().seed);
    let result = set::union_of(&sources.existing(ctx.keyspace), &limits, &seed);
    store(ctx, &args[1], result, "sunionstore")
}

pub(super) fn sdiff(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sources = Sources::find(ctx, args.tail(1))?;
    let (limits, seed) = (ctx.settings().set_limits, ctx.settings().seed);
    let (first, others) = sources.first_and_others(ctx.keyspace);
    let reply = &mut *ctx.reply;
    let begun = reply.begin_set();
    let mut count = 0;
    if let Some(first) = first {
        set::difference(first, others, &limits, &seed, |member| {
            write_element(reply, member);
            count += 1;
        });
    }
    reply.finish(begun, count);
    Ok(())
}

pub(super) fn sdiffstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let sources = Sources::find(ctx, args.tail(2))?;
    let (limits, seed) = (ctx.settings().set_limits, ctx.settings().seed);
    let result = match sources.first_and_others(ctx.keyspace) {
        (Some(first), others) => set::difference_of(first, others, &limits, &seed),
        (None, _) => Set::new(),
    };
    store(ctx, &args[1], result, "sdiffstore")
}

/// Stores a result over whatever was there; an empty one leaves nothing.
fn store(ctx: &mut Ctx<'_>, key: &[u8], result: Set, event: &'static str) -> Outcome {
    let count = result.len();
    ctx.reply.integer(count as i64);
    if count > 0 {
        ctx.prepare_write(ctx.db, key);
        ctx.set_value(key, Box::new(result).wrap(), None);
        ctx.changed(key, 1);
        ctx.notify(Class::SET, event, key);
    } else if ctx.remove_unexamined(key) {
        ctx.changed(key, 1);
        ctx.notify(Class::GENERIC, "del", key);
    }
    Ok(())
}
