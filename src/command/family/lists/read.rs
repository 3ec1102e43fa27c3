//! Reading elements by their index, and finding the index of elements.

use super::{index_of, integer, write_element};
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::list::{Direction, List, Needle};
use std::ops::ControlFlow;

pub(super) fn llen(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (list, reply) = ctx.find_collection_and_reply::<List>(&args[1])?;
    reply.integer(list.map_or(0, List::len) as i64);
    Ok(())
}

pub(super) fn lindex(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (list, reply) = ctx.find_collection_and_reply::<List>(&args[1])?;
    let Some(list) = list else {
        reply.null();
        return Ok(());
    };
    let found = index_of(integer(&args[2])?, list.len())
        .and_then(|index| list.get(index, |element| write_element(reply, element)));
    if found.is_none() {
        reply.null();
    }
    Ok(())
}

/// The first index and the number of elements of a range whose ends may count from the back.
pub(super) fn clip(first: i64, last: i64, len: usize) -> Option<(usize, usize)> {
    let len = len as i64;
    let absolute = |index: i64| if index < 0 { index + len } else { index };
    let first = absolute(first).max(0);
    let last = absolute(last).clamp(-1, len - 1);
    let count = usize::try_from(last - first + 1).ok()?;
    (count > 0).then_some((usize::try_from(first).ok()?, count))
}

pub(super) fn lrange(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (first, last) = (integer(&args[2])?, integer(&args[3])?);
    let (list, reply) = ctx.find_collection_and_reply::<List>(&args[1])?;
    let range = list.and_then(|list| Some((list, clip(first, last, list.len())?)));
    let Some((list, (index, count))) = range else {
        reply.array(0);
        return Ok(());
    };
    reply.array(count);
    list.walk_some(index, count, Direction::Forward, |element| {
        write_element(reply, element);
    });
    Ok(())
}

/// The options of LPOS.
struct Search {
    /// Which match is the first that counts, from 1.
    rank: u64,
    direction: Direction,
    /// The most matches, 0 for all; without it a single one is given, not in an array.
    count: Option<usize>,
    /// The most comparisons; 0 for no limit.
    compared_max: usize,
}

impl Search {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        const RANK: Error = Error::text(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
             or use negative to start from the end of the list",
        );
        const RANGE: Error = Error::text(
            "ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        );
        let mut search = Search {
            rank: 1,
            direction: Direction::Forward,
            count: None,
            compared_max: 0,
        };
        let positive = |text: &[u8], error: &'static str| {
            let number = crate::value::number::parse_i64(text);
            let number = number.and_then(|number| usize::try_from(number).ok());
            number.ok_or(Error::text(error))
        };
        let mut at = 0;
        while let Some(option) = args.get(at) {
            let value = args.get(at + 1).ok_or(Error::Syntax)?;
            if option.eq_ignore_ascii_case(b"rank") {
                search.direction = match integer(value)? {
                    0 => return Err(RANK),
                    i64::MIN => return Err(RANGE),
                    1.. => Direction::Forward,
                    _ => Direction::Backward,
                };
                search.rank = integer(value)?.unsigned_abs();
            } else if option.eq_ignore_ascii_case(b"count") {
                search.count = Some(positive(value, "ERR COUNT can't be negative")?);
            } else if option.eq_ignore_ascii_case(b"maxlen") {
                search.compared_max = positive(value, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(Error::Syntax);
            }
            at += 2;
        }
        Ok(search)
    }

    /// Calls `f` with the index of every match that counts.
    fn run(&self, list: &List, needle: &Needle<'_>, mut f: impl FnMut(usize)) {
        let len = list.len();
        let (mut compared, mut matches, mut given) = (0, 0u64, 0);
        let most = self.count.unwrap_or(1);
        let start = match self.direction {
            Direction::Forward => 0,
            Direction::Backward => len.saturating_sub(1),
        };
        list.walk(start, self.direction, |element| {
            if needle.matches(element) {
                matches += 1;
                if matches >= self.rank {
                    f(match self.direction {
                        Direction::Forward => compared,
                        Direction::Backward => len - 1 - compared,
                    });
                    given += 1;
                }
            }
            compared += 1;
            let done = given == most && most > 0 || compared == self.compared_max;
            match done {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
    }
}

pub(super) fn lpos(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let search = Search::parse(args.tail(3))?;
    let (list, reply) = ctx.find_collection_and_reply::<List>(&args[1])?;
    let needle = Needle::new(&args[2]);
    if search.count.is_none() {
        let mut found = None;
        if let Some(list) = list {
            search.run(list, &needle, |index| found = Some(index));
        }
        match found {
            Some(index) => reply.integer(index as i64),
            None => reply.null(),
        }
        return Ok(());
    }
    let array = reply.begin_array();
    let mut found = 0;
    if let Some(list) = list {
        search.run(list, &needle, |index| {
            reply.integer(index as i64);
            found += 1;
        });
    }
    reply.finish(array, found);
    Ok(())
}
