//! Sorted set commands.

mod algebra;
mod pop;
mod range;
mod read;
mod rows;
#[cfg(test)]
mod tests;
pub(super) mod write;

pub use rows::COMMANDS;

use crate::command::notify::Class;
use crate::command::{Ctx, Error};
use crate::protocol::{Reply, Version};
use crate::value::Collection;
use crate::value::listpack::Element;
use crate::value::sorted_set::SortedSet;

const SCORE_RANGE: Error = Error::text("ERR min or max is not a float");
const LEX_RANGE: Error = Error::text("ERR min or max not valid string range item");

/// Replies with a member.
pub(super) fn write_element(reply: &mut Reply, element: Element<'_>) {
    match element {
        Element::Int(number) => reply.bulk_integer(number),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// Begins a list of members, on request with scores: RESP2 has one flat array, RESP3 an array of
/// pairs.
fn begin_pairs(reply: &mut Reply, count: usize, with_scores: bool) {
    let flat = with_scores && reply.version() == Version::Resp2;
    reply.array(if flat { count * 2 } else { count });
}

/// One of the list that [`begin_pairs`] began.
fn write_pair(reply: &mut Reply, member: Element<'_>, score: f64, with_scores: bool) {
    if with_scores && reply.version() == Version::Resp3 {
        reply.array(2);
    }
    write_element(reply, member);
    if with_scores {
        reply.double(score);
    }
}

/// Stores what a command computed over whatever is at `key`, or removes that if it is nothing, and
/// replies with the number of members.
fn store(ctx: &mut Ctx<'_>, key: &[u8], event: &'static str, result: SortedSet) {
    store_changed(ctx, key, event, result, 1);
}

/// As [`store`], counted as so many changes if anything is stored.
pub(super) fn store_changed(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    event: &'static str,
    result: SortedSet,
    changes: u64,
) {
    let len = result.len();
    if len > 0 {
        ctx.prepare_write(ctx.db, key);
        ctx.set_value(key, Box::new(result).wrap(), None);
        ctx.notify(Class::SORTED_SET, event, key);
        ctx.changed(key, changes);
    } else if ctx.remove(key) {
        ctx.notify(Class::GENERIC, "del", key);
        ctx.changed(key, 1);
    }
    ctx.reply.integer(len as i64);
}

/// An integer argument of any sign.
fn integer(text: &[u8]) -> Result<i64, Error> {
    crate::value::number::parse_i64(text).ok_or(Error::NotInteger)
}
