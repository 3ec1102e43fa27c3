//! Reading members by name, and counting them.

use super::{LEX_RANGE, SCORE_RANGE, write_element};
use crate::command::{Ctx, Error, Outcome, Rng};
use crate::protocol::{Args, Reply, Version};
use crate::value::glob::glob_match;
use crate::value::number::format_g17;
use crate::value::sorted_set::{LexRange, ScoreRange, SortedSet};
use std::collections::HashSet;

/// Most members that ZRANDMEMBER draws with repetition. Redis sets no limit, and a count of 2^62
/// makes it reply until it runs out of memory.
const REPEATED_MAX: u64 = 1 << 24;

/// Steps of the walk that one ZSCAN makes at most, if its pattern matches little; as in Redis.
const SCAN_STEPS_MAX: usize = 10;

pub(super) fn zcard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    reply.integer(set.map_or(0, SortedSet::len) as i64);
    Ok(())
}

pub(super) fn zscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    write_score(reply, set.and_then(|set| set.score(&args[2])));
    Ok(())
}

pub(super) fn zmscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    let members = args.tail(2);
    reply.array(members.len());
    for member in members.iter() {
        write_score(reply, set.and_then(|set| set.score(member)));
    }
    Ok(())
}

fn write_score(reply: &mut Reply, score: Option<f64>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

pub(super) fn zrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    rank(ctx, args, "zrank", |rank, _| rank)
}

pub(super) fn zrevrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    rank(ctx, args, "zrevrank", |rank, len| len - 1 - rank)
}

fn rank(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    name: &'static str,
    number: impl FnOnce(usize, usize) -> usize,
) -> Outcome {
    let with_score = match args.get(3) {
        _ if args.len() > 4 => return Err(Error::Arity(name.into())),
        Some(word) if !word.eq_ignore_ascii_case(b"withscore") => return Err(Error::Syntax),
        word => word.is_some(),
    };
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    let found = set.and_then(|set| Some((set.rank(&args[2])?, set.len())));
    match found {
        Some(((rank, score), len)) => {
            if with_score {
                reply.array(2);
            }
            reply.integer(number(rank, len) as i64);
            if with_score {
                reply.double(score);
            }
        }
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

pub(super) fn zcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let range = ScoreRange::parse(&args[2], &args[3]).ok_or(SCORE_RANGE)?;
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    let count = set.map_or(0, |set| set.ranks_by_score(&range).len());
    reply.integer(count as i64);
    Ok(())
}

pub(super) fn zlexcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let range = LexRange::parse(&args[2], &args[3]).ok_or(LEX_RANGE)?;
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    let count = set.map_or(0, |set| set.ranks_by_member(&range, false).len());
    reply.integer(count as i64);
    Ok(())
}

pub(super) fn zrandmember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut rng = Rng::new(ctx.state.rng.next_u64());
    let mut draw = move |len: usize| ((u128::from(rng.next_u64()) * len as u128) >> 64) as usize;
    if args.len() == 2 {
        let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
        match set.and_then(|set| set.get(draw(set.len()))) {
            Some((member, _)) => write_element(reply, member),
            None => reply.null(),
        }
        return Ok(());
    }
    let (count, with_scores) = sample_options(args)?;
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    let Some(set) = set.filter(|_| count != 0) else {
        reply.array(0);
        return Ok(());
    };
    let len = set.len();
    if count < 0 {
        let count = count.unsigned_abs();
        if count > REPEATED_MAX {
            return Err(Error::OutOfRange);
        }
        super::begin_pairs(reply, count as usize, with_scores);
        for _ in 0..count {
            write_rank(reply, set, draw(len), with_scores);
        }
        return Ok(());
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    super::begin_pairs(reply, count.min(len), with_scores);
    if count >= len {
        set.for_each(|member, score| super::write_pair(reply, member, score, with_scores));
        return Ok(());
    }
    // Floyd's way to draw distinct numbers: one draw for each.
    let mut drawn =
        HashSet::with_capacity_and_hasher(count, ahash::RandomState::with_seeds(1, 2, 3, 4));
    for last in len - count..len {
        let rank = draw(last + 1);
        let rank = if drawn.insert(rank) { rank } else { last };
        drawn.insert(rank);
        write_rank(reply, set, rank, with_scores);
    }
    Ok(())
}

fn write_rank(reply: &mut Reply, set: &SortedSet, rank: usize, with_scores: bool) {
    if let Some((member, score)) = set.get(rank) {
        super::write_pair(reply, member, score, with_scores);
    }
}

/// The count of ZRANDMEMBER and whether scores are wanted.
fn sample_options(args: Args<'_>) -> Result<(i64, bool), Error> {
    const RANGE: Error = Error::text(
        "ERR value is out of range, value must between -9223372036854775807 and \
         9223372036854775807",
    );
    let count = super::integer(&args[2])?;
    if count == i64::MIN {
        return Err(RANGE);
    }
    match args.get(3) {
        None => Ok((count, false)),
        Some(word) if args.len() == 4 && word.eq_ignore_ascii_case(b"withscores") => {
            if count.unsigned_abs() > i64::MAX as u64 / 2 {
                return Err(Error::OutOfRange);
            }
            Ok((count, true))
        }
        Some(_) => Err(Error::Syntax),
    }
}

pub(super) fn zscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut cursor = crate::command::family::hashes::scanning::parse_cursor(&args[2])
        .ok_or(Error::text("ERR invalid cursor"))?;
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    reply.array(2);
    let Some(set) = set else {
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let options = scan_options(args.tail(3))?;
    let exact = set.as_listpack().is_some();
    // The cursor goes out before the members but is known after them.
    let mut members = Reply::new(Version::Resp2);
    let mut found = 0;
    for _ in 0..SCAN_STEPS_MAX {
        cursor = set.scan(cursor, options.count, |member, score| {
            let matches = |pattern| member.with_bytes(|text| glob_match(pattern, text, false));
            if options.pattern.is_none_or(matches) {
                found += 1;
                write_element(&mut members, member);
                match exact {
                    _ if !options.scores => {}
                    true => members.double(score),
                    // As Redis prints them here, and only here.
                    false => members.bulk_str(&format_g17(score)),
                }
            }
        });
        if cursor == 0 || found >= options.count {
            break;
        }
    }
    reply.bulk_str(itoa::Buffer::new().format(cursor));
    reply.array(if options.scores { found * 2 } else { found });
    reply.raw(members.bytes());
    Ok(())
}

/// The options of ZSCAN.
struct ScanOptions<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    scores: bool,
}

fn scan_options(args: Args<'_>) -> Result<ScanOptions<'_>, Error> {
    let mut options = ScanOptions {
        count: 10,
        pattern: None,
        scores: true,
    };
    let mut at = 0;
    while let Some(word) = args.get(at) {
        at += 1;
        if word.eq_ignore_ascii_case(b"noscores") {
            options.scores = false;
            continue;
        }
        let argument = args.get(at).ok_or(Error::Syntax)?;
        at += 1;
        if word.eq_ignore_ascii_case(b"count") {
            let count = usize::try_from(super::integer(argument)?).map_err(|_| Error::Syntax)?;
            if count == 0 {
                return Err(Error::Syntax);
            }
            options.count = count;
        } else if word.eq_ignore_ascii_case(b"match") {
            options.pattern = Some(argument).filter(|pattern| *pattern != b"*");
        } else {
            return Err(Error::Syntax);
        }
    }
    Ok(options)
}
