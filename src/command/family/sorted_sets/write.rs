//! Adding, changing and removing members.

use super::{LEX_RANGE, SCORE_RANGE, integer};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::number::parse_f64;
use crate::value::sorted_set::{LexRange, ScoreRange, SortedSet};
use std::ops::Range;

const NAN: Error = Error::text("ERR resulting score is not a number (NaN)");

/// The options of ZADD.
#[derive(Clone, Copy, Default)]
pub(in crate::command::family) struct AddOptions {
    /// Only new members.
    pub(in crate::command::family) new_only: bool,
    /// Only members that are there.
    pub(in crate::command::family) old_only: bool,
    /// Only to a higher score.
    greater: bool,
    /// Only to a lower one.
    less: bool,
    /// Reply with the number of changes, not of new members.
    pub(in crate::command::family) changes: bool,
    /// Add the score to the one that is there.
    increment: bool,
}

impl AddOptions {
    /// The options before the scores, and how many words they are.
    fn parse(words: Args<'_>) -> (Self, usize) {
        let mut options = Self::default();
        for (at, word) in words.iter().enumerate() {
            let option = match () {
                () if word.eq_ignore_ascii_case(b"nx") => &mut options.new_only,
                () if word.eq_ignore_ascii_case(b"xx") => &mut options.old_only,
                () if word.eq_ignore_ascii_case(b"ch") => &mut options.changes,
                () if word.eq_ignore_ascii_case(b"incr") => &mut options.increment,
                () if word.eq_ignore_ascii_case(b"gt") => &mut options.greater,
                () if word.eq_ignore_ascii_case(b"lt") => &mut options.less,
                () => return (options, at),
            };
            *option = true;
        }
        (options, words.len())
    }

    fn check(self, pairs: usize) -> Result<(), Error> {
        if self.new_only && self.old_only {
            return Err(Error::text(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        if [self.greater, self.less, self.new_only]
            .iter()
            .filter(|on| **on)
            .count()
            > 1
        {
            return Err(Error::text(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.increment && pairs > 1 {
            return Err(Error::text(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok(())
    }

    /// The score that a member gets which has `old`, if any; `None` if it stays as it is.
    #[inline]
    fn decide(self, old: Option<f64>, score: f64) -> Option<f64> {
        let Some(old) = old else {
            return (!self.old_only).then_some(score);
        };
        let score = if self.increment { old + score } else { score };
        let stays = self.new_only
            || score.is_nan()
            || (self.greater && score <= old)
            || (self.less && score >= old);
        (!stays).then_some(score)
    }

    /// Whether an increment of `old` gives no number. What is left alone is not incremented.
    fn is_nan(self, old: f64, score: f64) -> bool {
        self.increment && !self.new_only && (old + score).is_nan()
    }
}

/// What came of adding.
#[derive(Default)]
struct Added {
    new: u64,
    changed: u64,
    /// The score of the last member that was not left alone.
    score: Option<f64>,
    /// An increment gave no number.
    nan: bool,
}

pub(super) fn zadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (options, count) = AddOptions::parse(args.tail(2));
    let pairs = args.tail(2 + count);
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(Error::Syntax);
    }
    options.check(pairs.len() / 2)?;
    // One pair is the common case, and needs no memory for its scores.
    if pairs.len() == 2 {
        let score = parse_f64(&pairs[0]).ok_or(Error::NotFloat)?;
        return add(ctx, &args[1], options, 1, |_| (score, &pairs[1])).map(drop);
    }
    let scores: Option<Vec<f64>> = pairs.iter().step_by(2).map(parse_f64).collect();
    let scores = scores.ok_or(Error::NotFloat)?;
    add(ctx, &args[1], options, scores.len(), |at| {
        (scores[at], &pairs[2 * at + 1])
    })
    .map(drop)
}

pub(super) fn zincrby(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = AddOptions {
        increment: true,
        ..AddOptions::default()
    };
    // To Redis it is a ZADD with INCR: an option here leaves a member without a score.
    let score = parse_f64(&args[2]).ok_or_else(|| match AddOptions::parse(args.tail(2)) {
        (_, 0) => Error::NotFloat,
        _ => Error::Syntax,
    })?;
    add(ctx, &args[1], options, 1, |_| (score, &args[3])).map(drop)
}

/// Adds `count` members, of which `pair` gives the scores and names, and replies. Whether anything
/// changed.
pub(in crate::command::family) fn add<'a>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    options: AddOptions,
    count: usize,
    pair: impl Fn(usize) -> (f64, &'a [u8]),
) -> Result<bool, Error> {
    let (limits, seed) = (ctx.settings().sorted_set_limits, ctx.settings().seed);
    let into = |set: &mut SortedSet| {
        let mut added = Added::default();
        let longest = (0..count).map(|at| pair(at).1.len()).max().unwrap_or(0);
        set.prepare(count, longest, &limits, &seed);
        for (score, member) in (0..count).map(&pair) {
            set.upsert(member, &limits, &seed, |old| {
                let decided = options.decide(old, score);
                match (old, decided) {
                    (None, Some(_)) => added.new += 1,
                    (Some(old), Some(score)) if score != old => added.changed += 1,
                    (Some(old), None) if options.is_nan(old, score) => {
                        added.nan = true;
                    }
                    _ => {}
                }
                added.score = decided.or(added.score);
                decided
            });
        }
        added
    };
    // Without a key XX adds nothing, and must not leave an empty one.
    let added = match options.old_only {
        true => ctx.find_collection_mut(key)?.map(into).unwrap_or_default(),
        false => ctx.with_collection(key, into)?,
    };
    if added.nan {
        return Err(NAN);
    }
    if added.new + added.changed > 0 {
        ctx.changed(key, added.new + added.changed);
        let event = if options.increment { "zincr" } else { "zadd" };
        ctx.notify(Class::SORTED_SET, event, key);
    }
    match added.score {
        _ if !options.increment => {
            let changed = if options.changes { added.changed } else { 0 };
            ctx.reply.integer((added.new + changed) as i64);
        }
        Some(score) => ctx.reply.double(score),
        None => ctx.reply.null(),
    }
    Ok(added.new + added.changed > 0)
}

pub(super) fn zrem(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    let mut removed = 0u32;
    if let Some(set) = ctx.find_collection_mut::<SortedSet>(key)? {
        for member in args.tail(2).iter() {
            removed += u32::from(set.remove(member));
            if set.is_empty() {
                break;
            }
        }
    }
    finish_removal(ctx, key, "zrem", removed.into());
    ctx.reply.integer(removed.into());
    Ok(())
}

/// Notes that members were removed, and removes the key with the last one.
pub(super) fn finish_removal(ctx: &mut Ctx<'_>, key: &[u8], event: &'static str, removed: u64) {
    if removed == 0 {
        return;
    }
    ctx.notify(Class::SORTED_SET, event, key);
    let left = ctx.find_collection_mut::<SortedSet>(key);
    if left.is_ok_and(|set| set.is_some_and(|set| set.is_empty())) {
        ctx.remove(key);
        ctx.notify(Class::GENERIC, "del", key);
    }
    ctx.changed(key, removed);
}

pub(super) fn zremrangebyrank(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (start, end) = (integer(&args[2])?, integer(&args[3])?);
    remove_ranks(ctx, &args[1], "zremrangebyrank", |set| {
        super::range::clamp(start, end, set.len())
    })
}

pub(super) fn zremrangebyscore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let range = ScoreRange::parse(&args[2], &args[3]).ok_or(SCORE_RANGE)?;
    remove_ranks(ctx, &args[1], "zremrangebyscore", |set| {
        set.ranks_by_score(&range)
    })
}

pub(super) fn zremrangebylex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let range = LexRange::parse(&args[2], &args[3]).ok_or(LEX_RANGE)?;
    remove_ranks(ctx, &args[1], "zremrangebylex", |set| {
        set.ranks_by_member(&range, false)
    })
}

fn remove_ranks(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    event: &'static str,
    ranks: impl FnOnce(&SortedSet) -> Range<usize>,
) -> Outcome {
    let removed = match ctx.find_collection_mut::<SortedSet>(key)? {
        Some(set) => {
            let ranks = ranks(set);
            set.remove_ranks(ranks)
        }
        None => 0,
    };
    finish_removal(ctx, key, event, removed as u64);
    ctx.reply.integer(removed as i64);
    Ok(())
}
