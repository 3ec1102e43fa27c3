//! Ranges by rank, score or member: ZRANGE, its store form, and its older relatives.

use super::{LEX_RANGE, SCORE_RANGE, begin_pairs, integer, store, write_pair};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::sorted_set::{LexRange, ScoreRange, SortedSet};
use std::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Member,
}

/// What a command's name already says.
#[derive(Clone, Copy)]
struct Form {
    /// `None` where an option says it.
    by: Option<By>,
    reverse: Option<bool>,
    with_scores: bool,
}

/// A request for a range.
struct Request<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    with_scores: bool,
    offset: i64,
    /// Negative: no limit.
    limit: i64,
}

enum Bounds<'a> {
    Rank(i64, i64),
    Score(ScoreRange),
    Member(LexRange<'a>),
}

impl<'a> Request<'a> {
    /// From the two bounds and the options behind them.
    fn parse(args: Args<'a>, form: Form) -> Result<Self, Error> {
        const LIMIT: Error = Error::text(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        );
        const SCORES: Error =
            Error::text("ERR syntax error, WITHSCORES not supported in combination with BYLEX");
        let (mut by, mut reverse, mut with_scores) = (form.by, form.reverse, false);
        let (mut offset, mut limit) = (0, -1);
        let mut at = 2;
        while let Some(word) = args.get(at) {
            if form.with_scores && word.eq_ignore_ascii_case(b"withscores") {
                with_scores = true;
            } else if word.eq_ignore_ascii_case(b"limit") && at + 2 < args.len() {
                offset = integer(&args[at + 1])?;
                limit = integer(&args[at + 2])?;
                at += 2;
            } else if reverse.is_none() && word.eq_ignore_ascii_case(b"rev") {
                reverse = Some(true);
            } else if by.is_none() && word.eq_ignore_ascii_case(b"bylex") {
                by = Some(By::Member);
            } else if by.is_none() && word.eq_ignore_ascii_case(b"byscore") {
                by = Some(By::Score);
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(LIMIT);
        }
        if with_scores && by == By::Member {
            return Err(SCORES);
        }
        // In reverse the upper bound of scores and members comes first.
        let (min, max) = match reverse {
            true => (args.at(1), args.at(0)),
            false => (args.at(0), args.at(1)),
        };
        let bounds = match by {
            By::Rank => Bounds::Rank(integer(&args[0])?, integer(&args[1])?),
            By::Score => Bounds::Score(ScoreRange::parse(min, max).ok_or(SCORE_RANGE)?),
            By::Member => Bounds::Member(LexRange::parse(min, max).ok_or(LEX_RANGE)?),
        };
        Ok(Request {
            bounds,
            reverse,
            with_scores,
            offset,
            limit,
        })
    }

    /// The ranks that are asked for.
    fn ranks(&self, set: &SortedSet) -> Range<usize> {
        let len = set.len();
        let ranks = match &self.bounds {
            Bounds::Rank(start, end) => {
                let ranks = clamp(*start, *end, len);
                return match self.reverse {
                    true => len - ranks.end..len - ranks.start,
                    false => ranks,
                };
            }
            Bounds::Score(range) => set.ranks_by_score(range),
            Bounds::Member(range) => set.ranks_by_member(range, self.reverse),
        };
        let found = ranks.len();
        let skipped = match usize::try_from(self.offset) {
            Ok(offset) => offset.min(found),
            // Redis passes over all of a listpack, but in its large form counts from the far end.
            Err(_) if set.as_listpack().is_some() => found,
            Err(_) => {
                let back = usize::try_from(self.offset.unsigned_abs()).unwrap_or(usize::MAX);
                found.checked_sub(back).unwrap_or(found)
            }
        };
        let taken = usize::try_from(self.limit).map_or(found, |limit| limit.min(found));
        let taken = taken.min(found - skipped);
        match self.reverse {
            true => ranks.end - skipped - taken..ranks.end - skipped,
            false => ranks.start + skipped..ranks.start + skipped + taken,
        }
    }
}

/// The ranks from `start` to `end`, itself included; negative ones count from the end.
pub(super) fn clamp(start: i64, end: i64, len: usize) -> Range<usize> {
    let absolute = |index: i64| match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => {
            let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
            len.checked_sub(back)
        }
    };
    let start = absolute(start).unwrap_or(0).min(len);
    let end = absolute(end).map_or(0, |end| end.saturating_add(1).min(len));
    start..end.max(start)
}

const ANY: Form = Form {
    by: None,
    reverse: None,
    with_scores: true,
};

pub(super) fn zrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    reply_with(ctx, args, ANY)
}

pub(super) fn zrevrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    reply_with(ctx, args, fixed(By::Rank, true))
}

pub(super) fn zrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    reply_with(ctx, args, fixed(By::Score, false))
}

pub(super) fn zrevrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    reply_with(ctx, args, fixed(By::Score, true))
}

pub(super) fn zrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    reply_with(ctx, args, fixed(By::Member, false))
}

pub(super) fn zrevrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    reply_with(ctx, args, fixed(By::Member, true))
}

const fn fixed(by: By, reverse: bool) -> Form {
    Form {
        by: Some(by),
        reverse: Some(reverse),
        with_scores: true,
    }
}

fn reply_with(ctx: &mut Ctx<'_>, args: Args<'_>, form: Form) -> Outcome {
    let request = Request::parse(args.tail(2), form)?;
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    let Some(set) = set else {
        reply.array(0);
        return Ok(());
    };
    let ranks = request.ranks(set);
    begin_pairs(reply, ranks.len(), request.with_scores);
    set.walk(ranks, request.reverse, |member, score| {
        write_pair(reply, member, score, request.with_scores);
    });
    Ok(())
}

pub(super) fn zrangestore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let form = Form {
        with_scores: false,
        ..ANY
    };
    let request = Request::parse(args.tail(3), form)?;
    let (limits, seed) = (ctx.settings().sorted_set_limits, ctx.settings().seed);
    let mut result = SortedSet::new();
    if let Some(set) = ctx.find_collection::<SortedSet>(&args[2])? {
        let ranks = request.ranks(set);
        if matches!(request.bounds, Bounds::Rank(..)) {
            result.prepare(ranks.len(), 0, &limits, &seed);
        }
        set.walk(ranks, false, |member, score| {
            member.with_bytes(|member| result.set(member, score, &limits, &seed));
        });
    }
    store(ctx, &args[1], "zrangestore", result);
    Ok(())
}
