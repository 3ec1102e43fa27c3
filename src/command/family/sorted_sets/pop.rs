//! Taking members from either end, at once or when there are some.

use super::write::finish_removal;
use super::write_element;
use crate::command::wait::{Wait, timeout_ms};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::{Args, Version};
use crate::value::Kind;
use crate::value::number::parse_i64;
use crate::value::sorted_set::SortedSet;

/// Which end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    /// The event, and the command by which pops are propagated.
    fn name(self) -> &'static str {
        match self {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        }
    }
}

/// How what was popped is replied.
enum Form {
    /// Members with their scores, in RESP2 flat; in RESP3 as pairs, unless no count was given.
    Plain { counted: bool },
    /// The key, and pairs in any version.
    Multiple,
    /// The key, the member and its score: of one member.
    Blocking,
}

pub(super) fn zpopmin(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    plain(ctx, args, End::Min)
}

pub(super) fn zpopmax(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    plain(ctx, args, End::Max)
}

fn plain(ctx: &mut Ctx<'_>, args: Args<'_>, end: End) -> Outcome {
    if args.len() > 3 {
        return Err(Error::Syntax);
    }
    let count = match args.get(2) {
        Some(text) => parse_i64(text)
            .and_then(|count| usize::try_from(count).ok())
            .ok_or(Error::MustBePositive)?,
        None => 1,
    };
    let counted = args.len() == 3;
    if !ctx.check_kind(&args[1], Kind::SortedSet)? || count == 0 {
        ctx.reply.array(0);
        return Ok(());
    }
    pop(ctx, &args[1], end, count, Form::Plain { counted })?;
    Ok(())
}

/// Pops up to `count` members of a sorted set that is there, and replies; how many it were.
fn pop(ctx: &mut Ctx<'_>, key: &[u8], end: End, count: usize, form: Form) -> Result<usize, Error> {
    let (set, reply) = ctx.find_collection_mut_and_reply::<SortedSet>(key)?;
    let Some(set) = set else {
        return Ok(0);
    };
    let len = set.len();
    let popped = count.min(len);
    let ranks = match end {
        End::Min => 0..popped,
        End::Max => len - popped..len,
    };
    let flat = match form {
        Form::Plain { counted } => {
            let flat = !counted || reply.version() == Version::Resp2;
            reply.array(if flat { popped * 2 } else { popped });
            flat
        }
        Form::Multiple => {
            reply.array(2);
            reply.bulk(key);
            reply.array(popped);
            false
        }
        Form::Blocking => {
            reply.array(3);
            reply.bulk(key);
            true
        }
    };
    set.walk(ranks.clone(), end == End::Max, |member, score| {
        if !flat {
            reply.array(2);
        }
        write_element(reply, member);
        reply.double(score);
    });
    set.remove_ranks(ranks);
    finish_removal(ctx, key, end.name(), popped as u64);
    Ok(popped)
}

/// Pops from the first of the keys that has members; whether there was one.
fn pop_first<'a>(
    ctx: &mut Ctx<'_>,
    keys: impl Iterator<Item = &'a [u8]>,
    end: End,
    count: Option<usize>,
) -> Result<bool, Error> {
    for key in keys {
        if !ctx.check_kind(key, Kind::SortedSet)? {
            continue;
        }
        let form = match count {
            Some(_) => Form::Multiple,
            None => Form::Blocking,
        };
        let popped = pop(ctx, key, end, count.unwrap_or(1), form)?;
        let name = match end {
            End::Min => b"ZPOPMIN",
            End::Max => b"ZPOPMAX",
        };
        match count {
            Some(_) => {
                let mut digits = itoa::Buffer::new();
                ctx.propagate_as(&[name, key, digits.format(popped).as_bytes()]);
            }
            None => ctx.propagate_as(&[name, key]),
        }
        return Ok(true);
    }
    Ok(false)
}

/// What ZMPOP asks for behind its first words.
struct Multiple<'a> {
    keys: Args<'a>,
    /// How many of `keys` are keys.
    count_keys: usize,
    end: End,
    count: usize,
}

impl<'a> Multiple<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        const KEYS: Error = Error::text("ERR numkeys should be greater than 0");
        const COUNT: Error = Error::text("ERR count should be greater than 0");
        let positive = |text: &[u8]| {
            let number = usize::try_from(parse_i64(text)?).ok()?;
            (number > 0).then_some(number)
        };
        let count_keys = positive(&args[0]).ok_or(KEYS)?;
        let keys = args.tail(1);
        let end = match keys.get(count_keys) {
            Some(word) if word.eq_ignore_ascii_case(b"min") => End::Min,
            Some(word) if word.eq_ignore_ascii_case(b"max") => End::Max,
            _ => return Err(Error::Syntax),
        };
        let mut count = None;
        let mut at = count_keys + 1;
        while let Some(word) = keys.get(at) {
            if count.is_some() || !word.eq_ignore_ascii_case(b"count") {
                return Err(Error::Syntax);
            }
            count = Some(positive(keys.get(at + 1).ok_or(Error::Syntax)?).ok_or(COUNT)?);
            at += 2;
        }
        Ok(Multiple {
            keys,
            count_keys,
            end,
            count: count.unwrap_or(1),
        })
    }

    fn run(&self, ctx: &mut Ctx<'_>) -> Result<bool, Error> {
        let keys = self.keys.iter().take(self.count_keys);
        pop_first(ctx, keys, self.end, Some(self.count))
    }
}

pub(super) fn zmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if !Multiple::parse(args.tail(1))?.run(ctx)? {
        ctx.reply.null_array();
    }
    Ok(())
}

pub(super) fn bzmpop(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    // Redis looks at the timeout last.
    let request = Multiple::parse(args.tail(2))?;
    let timeout_ms = timeout_ms(&args[1], ctx.now_ms)?;
    if !request.run(ctx)? {
        wait(ctx, timeout_ms);
    }
    Ok(())
}

pub(super) fn bzpopmin(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    blocking(ctx, args, End::Min)
}

pub(super) fn bzpopmax(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    blocking(ctx, args, End::Max)
}

fn blocking(ctx: &mut Ctx<'_>, args: Args<'_>, end: End) -> Outcome {
    let last = args.len() - 1;
    let timeout_ms = timeout_ms(&args[last], ctx.now_ms)?;
    let keys = args.iter().take(last).skip(1);
    if !pop_first(ctx, keys, end, None)? {
        wait(ctx, timeout_ms);
    }
    Ok(())
}

fn wait(ctx: &mut Ctx<'_>, timeout_ms: u64) {
    ctx.wait(Wait {
        kind: Kind::SortedSet,
        wakes_on_loss: false,
        timeout_ms,
        retry: None,
        on_timeout: |reply| reply.null_array(),
    });
}
