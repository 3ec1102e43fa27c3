//! SCAN: an iteration over all keys of a database, shard by shard.
//!
//! A cursor is `position * shards + shard`, where `position` is that of the shard's table. When a
//! shard is finished the next cursor names the following one at position 0; after the last it is
//! 0, which also begins. So a call goes to one shard only (`table::cursor_shard`).

use super::integer;
use crate::command::{Ctx, Error, Origin, Outcome};
use crate::protocol::{Args, Reply, quote};
use crate::value::Kind;
use crate::value::glob::glob_match;

/// Keys that a call looks at unless COUNT says otherwise.
const COUNT_DEFAULT: usize = 10;

struct Options<'a> {
    count: usize,
    /// `None`: every key.
    pattern: Option<&'a [u8]>,
    kind: Option<Kind>,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut options = Options {
            count: COUNT_DEFAULT,
            pattern: None,
            kind: None,
        };
        for at in (2..args.len()).step_by(2) {
            let Some(value) = args.get(at + 1) else {
                return Err(Error::Syntax);
            };
            match args.at(at) {
                name if name.eq_ignore_ascii_case(b"count") => {
                    let count = usize::try_from(integer(args, at + 1)?);
                    options.count = count.ok().filter(|n| *n > 0).ok_or(Error::Syntax)?;
                }
                name if name.eq_ignore_ascii_case(b"match") => {
                    options.pattern = Some(value).filter(|pattern| *pattern != b"*");
                }
                name if name.eq_ignore_ascii_case(b"type") => {
                    let kind = Kind::from_name(value).ok_or_else(|| unknown_type(value))?;
                    options.kind = Some(kind);
                }
                _ => return Err(Error::Syntax),
            }
        }
        Ok(options)
    }

    fn accepts(&self, key: &[u8], kind: impl FnOnce() -> Kind) -> bool {
        let named = self
            .pattern
            .is_none_or(|pattern| glob_match(pattern, key, false));
        named && self.kind.is_none_or(|only| only == kind())
    }
}

/// Valkey 8 refuses what Redis 7.2 took for a type that no key has.
fn unknown_type(name: &[u8]) -> Error {
    let name = quote(name, usize::MAX);
    Error::Text(format!("ERR unknown type name '{name}'").into())
}

pub(super) fn scan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    // Parsed as `table::cursor_shard` does.
    let cursor = std::str::from_utf8(&args[1]).ok();
    let cursor = cursor.and_then(|text| text.parse::<u64>().ok());
    let cursor = cursor.ok_or(Error::text("ERR invalid cursor"))?;
    let options = Options::parse(args)?;
    let shards = u64::from(ctx.shard.1);
    let (position, shard) = (cursor / shards, cursor % shards);

    let mut keys = Reply::new(ctx.reply.version());
    let mut found = 0;
    let mut expired: Vec<Box<[u8]>> = Vec::new();
    let database = ctx.keyspace.db(ctx.db);
    let position = database.scan(position, options.count, |entry| {
        if !options.accepts(entry.key(), || entry.kind()) {
            return;
        }
        if ctx.shows(entry) {
            keys.bulk(entry.key());
            found += 1;
        } else {
            expired.push(entry.key().into());
        }
    });
    if ctx.origin == Origin::Primary {
        expired.iter().for_each(|key| ctx.expire(ctx.db, key));
    }
    let next = match position {
        0 if shard + 1 < shards => shard + 1,
        0 => 0,
        _ => position * shards + shard,
    };
    ctx.reply.array(2);
    ctx.reply.bulk_str(itoa::Buffer::new().format(next));
    ctx.reply.array(found);
    ctx.reply.raw(keys.bytes());
    Ok(())
}
