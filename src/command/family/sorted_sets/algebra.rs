//! Unions, intersections and differences of sorted sets and of sets, whose members count as of
//! score 1.

use super::{begin_pairs, store, write_pair};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::listpack::Element;
use crate::value::number::{parse_f64, parse_i64};
use crate::value::set::Set;
use crate::value::sorted_set::{SortedSet, SortedSetLimits};
use crate::value::{HashSeed, Kind, ValueRef};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the scores of a member that several inputs have.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(word: &[u8]) -> Option<Self> {
        match () {
            () if word.eq_ignore_ascii_case(b"sum") => Some(Aggregate::Sum),
            () if word.eq_ignore_ascii_case(b"min") => Some(Aggregate::Min),
            () if word.eq_ignore_ascii_case(b"max") => Some(Aggregate::Max),
            () => None,
        }
    }

    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            Aggregate::Sum => number(a + b),
            Aggregate::Min if b < a => b,
            Aggregate::Max if b > a => b,
            Aggregate::Min | Aggregate::Max => a,
        }
    }
}

/// What is no number counts as 0: infinity times 0, or less infinity.
fn number(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

/// One of the inputs, with its weight.
#[derive(Clone, Copy)]
struct Input<'a> {
    source: Source<'a>,
    weight: f64,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Missing,
    Set(&'a Set),
    Sorted(&'a SortedSet),
}

impl<'a> Source<'a> {
    fn len(self) -> usize {
        match self {
            Source::Missing => 0,
            Source::Set(set) => set.len(),
            Source::Sorted(set) => set.len(),
        }
    }

    fn score(self, member: Element<'_>) -> Option<f64> {
        match self {
            Source::Missing => None,
            Source::Set(set) => set.contains_element(member).then_some(1.0),
            Source::Sorted(set) => member.with_bytes(|member| set.score(member)),
        }
    }

    /// Calls `f` with all members and their scores until it returns false.
    fn try_each(self, mut f: impl FnMut(Element<'a>, f64) -> bool) {
        match self {
            Source::Missing => {}
            Source::Set(set) => drop(set.iter().all(|member| f(member, 1.0))),
            Source::Sorted(set) => {
                let mut goes_on = true;
                set.for_each(|member, score| goes_on = goes_on && f(member, score));
            }
        }
    }
}

/// A request, from the number of keys on.
struct Request<'a> {
    keys: Vec<&'a [u8]>,
    /// Empty: 1 for each.
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// 0: no limit.
    limit: usize,
}

/// Which options a command has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Reply,
    Store,
    Count,
}

impl<'a> Request<'a> {
    fn parse(
        ctx: &mut Ctx<'_>,
        args: Args<'a>,
        (operation, form): (Operation, Form),
        no_keys: Error,
    ) -> Result<Self, Error> {
        let count = parse_i64(&args[0]).ok_or(Error::NotInteger)?;
        if count < 1 {
            return Err(no_keys);
        }
        let keys = args.tail(1);
        let count = usize::try_from(count).map_err(|_| Error::Syntax)?;
        if count > keys.len() {
            return Err(Error::Syntax);
        }
        let mut request = Request {
            keys: keys.iter().take(count).collect(),
            weights: Vec::new(),
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: 0,
        };
        for key in &request.keys {
            match ctx.find(key).map(|entry| entry.kind()) {
                None | Some(Kind::Set | Kind::SortedSet) => {}
                Some(_) => return Err(Error::WrongType),
            }
        }
        request.parse_options(keys.tail(count), operation, form)?;
        Ok(request)
    }

    fn parse_options(
        &mut self,
        options: Args<'a>,
        operation: Operation,
        form: Form,
    ) -> Result<(), Error> {
        const WEIGHT: Error = Error::text("ERR weight value is not a float");
        const LIMIT: Error = Error::text("ERR LIMIT can't be negative");
        let count = self.keys.len();
        let weighs = operation != Operation::Difference && form != Form::Count;
        let mut at = 0;
        while let Some(word) = options.get(at) {
            let behind = options.len() - at - 1;
            at += 1;
            if weighs && behind >= count && word.eq_ignore_ascii_case(b"weights") {
                let weights = options.iter().skip(at).take(count).map(parse_f64);
                self.weights = weights.collect::<Option<_>>().ok_or(WEIGHT)?;
                at += count;
            } else if weighs && behind >= 1 && word.eq_ignore_ascii_case(b"aggregate") {
                self.aggregate = Aggregate::parse(&options[at]).ok_or(Error::Syntax)?;
                at += 1;
            } else if form == Form::Reply && word.eq_ignore_ascii_case(b"withscores") {
                self.with_scores = true;
            } else if form == Form::Count && behind >= 1 && word.eq_ignore_ascii_case(b"limit") {
                let limit = parse_i64(&options[at]).ok_or(LIMIT)?;
                self.limit = usize::try_from(limit).map_err(|_| LIMIT)?;
                at += 1;
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(())
    }

    fn inputs<'c>(&self, ctx: &'c Ctx<'_>) -> Vec<Input<'c>> {
        let db = ctx.keyspace.db(ctx.db);
        let sources = self.keys.iter().map(|key| {
            let entry = db.get(key).filter(|entry| ctx.shows(entry));
            match entry.map(|entry| entry.value()) {
                Some(ValueRef::Set(set)) => Source::Set(set),
                Some(ValueRef::SortedSet(set)) => Source::Sorted(set),
                _ => Source::Missing,
            }
        });
        let weights = self.weights.iter().copied().chain(std::iter::repeat(1.0));
        let inputs = sources.zip(weights);
        inputs
            .map(|(source, weight)| Input { source, weight })
            .collect()
    }

    /// The result, in the large form.
    fn compute(&self, ctx: &Ctx<'_>, operation: Operation) -> SortedSet {
        let (limits, seed) = (&ctx.settings().sorted_set_limits, &ctx.settings().seed);
        let mut inputs = self.inputs(ctx);
        if operation != Operation::Difference {
            // From the smallest on, as in Redis: the order decides how sums are rounded.
            inputs.sort_by_key(|input| input.source.len());
        }
        match operation {
            Operation::Union => union(&inputs, self.aggregate, limits, seed),
            Operation::Intersection => {
                let mut result = SortedSet::new_large(seed);
                intersect(&inputs, self.aggregate, |member, score| {
                    member.with_bytes(|member| result.set(member, score, limits, seed));
                    true
                });
                result
            }
            Operation::Difference => difference(&inputs, limits, seed),
        }
    }
}

fn union(
    inputs: &[Input<'_>],
    aggregate: Aggregate,
    limits: &SortedSetLimits,
    seed: &HashSeed,
) -> SortedSet {
    let mut result = SortedSet::new_large(seed);
    for input in inputs {
        input.source.try_each(|member, score| {
            let score = number(score * input.weight);
            member.with_bytes(|member| {
                let mut loses_sign = false;
                result.upsert(member, limits, seed, |old| match old {
                    Some(old) => {
                        let new = aggregate.apply(old, score);
                        loses_sign = new == old && new.is_sign_negative() != old.is_sign_negative();
                        Some(new)
                    }
                    None => Some(score),
                });
                // An update from -0 to 0 is none to a sorted set, but a sum's sign shows.
                if loses_sign {
                    result.remove(member);
                    result.upsert(member, limits, seed, |_| Some(0.0));
                }
            });
            true
        });
    }
    result
}

/// Calls `f` with what all inputs have until it returns false. Begins with the first, which should
/// be the smallest.
fn intersect(
    inputs: &[Input<'_>],
    aggregate: Aggregate,
    mut f: impl FnMut(Element<'_>, f64) -> bool,
) {
    let Some((first, others)) = inputs.split_first() else {
        return;
    };
    first.source.try_each(|member, score| {
        let start = number(score * first.weight);
        let score = others.iter().try_fold(start, |score, other| {
            let more = other.source.score(member)? * other.weight;
            Some(aggregate.apply(score, more))
        });
        score.is_none_or(|score| f(member, score))
    });
}

fn difference(inputs: &[Input<'_>], limits: &SortedSetLimits, seed: &HashSeed) -> SortedSet {
    let mut result = SortedSet::new_large(seed);
    let Some((first, others)) = inputs.split_first() else {
        return result;
    };
    first.source.try_each(|member, score| {
        if others
            .iter()
            .all(|other| other.source.score(member).is_none())
        {
            member.with_bytes(|member| result.set(member, score, limits, seed));
        }
        true
    });
    result
}

fn no_keys(name: &str) -> Error {
    Error::Text(format!("ERR at least 1 input key is needed for '{name}' command").into())
}

fn reply(ctx: &mut Ctx<'_>, args: Args<'_>, operation: Operation, name: &str) -> Outcome {
    let request = Request::parse(ctx, args.tail(1), (operation, Form::Reply), no_keys(name))?;
    let result = request.compute(ctx, operation);
    begin_pairs(ctx.reply, result.len(), request.with_scores);
    result.for_each(|member, score| write_pair(ctx.reply, member, score, request.with_scores));
    Ok(())
}

fn into_key(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    operation: Operation,
    name: &'static str,
) -> Outcome {
    let request = Request::parse(ctx, args.tail(2), (operation, Form::Store), no_keys(name))?;
    let mut result = request.compute(ctx, operation);
    result.compact(&ctx.settings().sorted_set_limits);
    store(ctx, &args[1], name, result);
    Ok(())
}

pub(super) fn zunion(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    reply(ctx, args, Operation::Union, "zunion")
}

pub(super) fn zinter(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    reply(ctx, args, Operation::Intersection, "zinter")
}

pub(super) fn zdiff(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    reply(ctx, args, Operation::Difference, "zdiff")
}

pub(super) fn zunionstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    into_key(ctx, args, Operation::Union, "zunionstore")
}

pub(super) fn zinterstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    into_key(ctx, args, Operation::Intersection, "zinterstore")
}

pub(super) fn zdiffstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    into_key(ctx, args, Operation::Difference, "zdiffstore")
}

pub(super) fn zintercard(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let what = (Operation::Intersection, Form::Count);
    let request = Request::parse(ctx, args.tail(1), what, no_keys("zintercard"))?;
    let mut inputs = request.inputs(ctx);
    inputs.sort_by_key(|input| input.source.len());
    let mut count = 0;
    intersect(&inputs, Aggregate::Sum, |_, _| {
        count += 1;
        count != request.limit
    });
    ctx.reply.integer(count as i64);
    Ok(())
}
