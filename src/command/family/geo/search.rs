//! Searching for places around another one.

use super::options::{Form, Request, Sort};
use super::{write_distance, write_place};
use crate::command::family::sorted_sets::{store_changed, write_element};
use crate::command::{Ctx, Outcome};
use crate::protocol::{Args, Reply};
use crate::value::geohash::{Place, Shape};
use crate::value::listpack::Element;
use crate::value::sorted_set::{ScoreRange, SortedSet};

/// A place that was found.
#[derive(Clone, Copy)]
struct Found<'a> {
    member: Element<'a>,
    score: f64,
    /// From the centre, metres.
    distance_m: f64,
    place: Place,
}

pub(super) fn georadius(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    search(ctx, args, radius(false, true), &args[1])
}

pub(super) fn georadius_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    search(ctx, args, radius(false, false), &args[1])
}

pub(super) fn georadiusbymember(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    search(ctx, args, radius(true, true), &args[1])
}

pub(super) fn georadiusbymember_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    search(ctx, args, radius(true, false), &args[1])
}

pub(super) fn geosearch(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    search(ctx, args, Form::Search { name: &args[0] }, &args[1])
}

pub(super) fn geosearchstore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    search(ctx, args, Form::SearchStore { name: &args[0] }, &args[2])
}

const fn radius(by_member: bool, may_store: bool) -> Form<'static> {
    Form::Radius {
        by_member,
        may_store,
    }
}

fn search(ctx: &mut Ctx<'_>, args: Args<'_>, form: Form<'_>, source: &[u8]) -> Outcome {
    let (limits, seed) = (ctx.settings().sorted_set_limits, ctx.settings().seed);
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(source)?;
    let request = Request::parse(args, form, set)?;
    let mut found = match (set, request.centre, request.shape) {
        (Some(set), Some(centre), Some(shape)) => places(set, centre, shape, &request),
        _ => Vec::new(),
    };
    sort(&mut found, &request);
    let Some(key) = request.store else {
        write(reply, &found, &request);
        return Ok(());
    };
    let mut result = SortedSet::new_large(&seed);
    for one in &found {
        let score = match request.store_distance {
            true => one.distance_m / request.unit.metres,
            false => one.score,
        };
        one.member
            .with_bytes(|member| result.set(member, score, &limits, &seed));
    }
    result.compact(&limits);
    let event = match form {
        Form::Radius { .. } => "georadiusstore",
        _ => "geosearchstore",
    };
    let changes = result.len() as u64;
    store_changed(ctx, key, event, result, changes);
    Ok(())
}

/// The places within the shape: those of one cell after the other.
fn places<'a>(
    set: &'a SortedSet,
    centre: Place,
    shape: Shape,
    request: &Request<'_>,
) -> Vec<Found<'a>> {
    let enough = if request.any {
        request.count
    } else {
        usize::MAX
    };
    let mut found = Vec::new();
    for (start, end) in shape.ranges(centre) {
        if found.len() >= enough {
            break;
        }
        let range = ScoreRange {
            min: start as f64,
            max: end as f64,
            after_min: false,
            before_max: true,
        };
        set.walk(set.ranks_by_score(&range), false, |member, score| {
            if found.len() >= enough {
                return;
            }
            let place = Place::from_score(score);
            if let Some(distance_m) = shape.distance_within(centre, place) {
                found.push(Found {
                    member,
                    score,
                    distance_m,
                    place,
                });
            }
        });
    }
    found
}

fn sort(found: &mut Vec<Found<'_>>, request: &Request<'_>) {
    match request.sort {
        Sort::None => {}
        Sort::Near => found.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m)),
        Sort::Far => found.sort_by(|a, b| b.distance_m.total_cmp(&a.distance_m)),
    }
    if request.count > 0 {
        found.truncate(request.count);
    }
}

fn write(reply: &mut Reply, found: &[Found<'_>], request: &Request<'_>) {
    let options = [request.with_distance, request.with_hash, request.with_place];
    let options = options.into_iter().filter(|on| *on).count();
    reply.array(found.len());
    for one in found {
        if options > 0 {
            reply.array(options + 1);
        }
        write_element(reply, one.member);
        if request.with_distance {
            write_distance(reply, one.distance_m / request.unit.metres);
        }
        if request.with_hash {
            reply.integer(one.score as i64);
        }
        if request.with_place {
            write_place(reply, one.place);
        }
    }
}
