//! Adding places, and looking at single ones.

use super::{Unit, place, write_distance, write_place};
use crate::command::family::sorted_sets::write::{AddOptions, add};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::geohash::Place;
use crate::value::sorted_set::SortedSet;

pub(super) fn geoadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut options = AddOptions::default();
    let mut at = 2;
    while let Some(word) = args.get(at) {
        let option = match () {
            () if word.eq_ignore_ascii_case(b"nx") => &mut options.new_only,
            () if word.eq_ignore_ascii_case(b"xx") => &mut options.old_only,
            () if word.eq_ignore_ascii_case(b"ch") => &mut options.changes,
            () => break,
        };
        *option = true;
        at += 1;
    }
    let places = args.tail(at);
    if !places.len().is_multiple_of(3) || (options.new_only && options.old_only) {
        return Err(Error::Syntax);
    }
    let mut scores = Vec::with_capacity(places.len() / 3);
    for at in (0..places.len()).step_by(3) {
        scores.push(place(&places[at], &places[at + 1])?.to_bits());
    }
    if scores.is_empty() {
        return Err(Error::Syntax);
    }
    // Replicas get what was computed here.
    let texts: Vec<String> = scores.iter().map(u64::to_string).collect();
    let mut request: Vec<&[u8]> = vec![b"ZADD"];
    request.extend(args.iter().take(at).skip(1));
    for (text, member) in texts.iter().zip(places.iter().skip(2).step_by(3)) {
        request.extend([text.as_bytes(), member]);
    }
    let changed = add(ctx, &args[1], options, scores.len(), |at| {
        (scores[at] as f64, &places[3 * at + 2])
    })?;
    if changed {
        ctx.propagate_as(&request);
    }
    Ok(())
}

pub(super) fn geopos(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    let members = args.tail(2);
    reply.array(members.len());
    for member in members.iter() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => write_place(reply, Place::from_score(score)),
            None => reply.null_array(),
        }
    }
    Ok(())
}

pub(super) fn geohash(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    let members = args.tail(2);
    reply.array(members.len());
    for member in members.iter() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => reply.bulk(&Place::from_score(score).geohash()),
            None => reply.null(),
        }
    }
    Ok(())
}

pub(super) fn geodist(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let unit = match args.get(4) {
        _ if args.len() > 5 => return Err(Error::Syntax),
        Some(word) => Unit::parse(word)?,
        None => Unit::METRE,
    };
    let (set, reply) = ctx.find_collection_and_reply::<SortedSet>(&args[1])?;
    let place = |member| set.and_then(|set| set.score(member)).map(Place::from_score);
    match (place(&args[2]), place(&args[3])) {
        (Some(from), Some(to)) => write_distance(reply, from.distance_m(to) / unit.metres),
        _ => reply.null(),
    }
    Ok(())
}
