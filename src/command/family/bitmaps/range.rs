//! Looking through a range of bits: BITCOUNT, BITPOS.

use super::text;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Entry;
use crate::protocol::Args;
use crate::value::bits;
use crate::value::number::parse_i64;

/// A range as given: both ends included, negative ones counted from the end.
#[derive(Clone, Copy)]
struct Range {
    start: i64,
    end: Option<i64>,
    unit: Unit,
}

/// What the ends of a range count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Bits,
}

impl Unit {
    fn parse(text: Option<&[u8]>) -> Result<Unit, Error> {
        match text {
            None => Ok(Unit::Bytes),
            Some(text) if text.eq_ignore_ascii_case(b"byte") => Ok(Unit::Bytes),
            Some(text) if text.eq_ignore_ascii_case(b"bit") => Ok(Unit::Bits),
            Some(_) => Err(Error::Syntax),
        }
    }
}

impl Range {
    /// The first and the last bit of it in a string of `len` bytes; `None` if it is empty.
    fn bits(self, len: usize) -> Option<(u64, u64)> {
        let (total, scale) = match self.unit {
            Unit::Bytes => (len as i64, 8),
            Unit::Bits => (len as i64 * 8, 1),
        };
        // The sum of a negative and a positive number does not overflow.
        let absolute = |at: i64| if at < 0 { (total + at).max(0) } else { at };
        let start = absolute(self.start);
        let end = absolute(self.end.unwrap_or(-1)).min(total - 1);
        (start <= end).then(|| (start as u64 * scale, end as u64 * scale + scale - 1))
    }

    /// Whether both ends count from the end and are in the wrong order: BITCOUNT finds nothing
    /// then, even where both are before the start.
    fn is_reversed(self) -> bool {
        let end = self.end.unwrap_or(-1);
        self.start < 0 && end < 0 && self.start > end
    }
}

fn integer(text: &[u8]) -> Result<i64, Error> {
    parse_i64(text).ok_or(Error::NotInteger)
}

/// `BITCOUNT key [start [end [BYTE|BIT]]]`
pub(super) fn bitcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let range = match args.len() {
        2 => None,
        3..=5 => {
            let start = integer(&args[2])?;
            let unit = Unit::parse(args.get(4))?;
            let end = args.get(3).map(integer).transpose()?;
            Some(Range { start, end, unit })
        }
        _ => return Err(Error::Syntax),
    };
    let (entry, reply) = ctx.find_string_and_reply(&args[1])?;
    let mut digits = itoa::Buffer::new();
    let bytes = text(entry.map(Entry::value), &mut digits);
    let count = match range {
        None => bits::count(bytes),
        Some(range) if range.is_reversed() => 0,
        Some(range) => (range.bits(bytes.len()))
            .map_or(0, |(first, last)| bits::count_range(bytes, first, last)),
    };
    reply.integer(count as i64);
    Ok(())
}

/// `BITPOS key bit [start [end [BYTE|BIT]]]`
pub(super) fn bitpos(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const NOT_A_BIT: Error = Error::text("ERR The bit argument must be 1 or 0.");
    let wanted = match integer(&args[2])? {
        0 => false,
        1 => true,
        _ => return Err(NOT_A_BIT),
    };
    if args.len() > 6 {
        return Err(Error::Syntax);
    }
    let start = args.get(3).map(integer).transpose()?.unwrap_or(0);
    let unit = Unit::parse(args.get(5))?;
    let end = args.get(4).map(integer).transpose()?;
    let range = Range { start, end, unit };
    let (entry, reply) = ctx.find_string_and_reply(&args[1])?;
    if entry.is_none() {
        reply.integer(if wanted { -1 } else { 0 });
        return Ok(());
    }
    let mut digits = itoa::Buffer::new();
    let bytes = text(entry.map(Entry::value), &mut digits);
    let found = range.bits(bytes.len()).and_then(|(first, last)| {
        // Without an end the string counts as followed by zeros.
        let beyond = (!wanted && end.is_none()).then_some(bytes.len() as u64 * 8);
        bits::find(bytes, wanted, first, last).or(beyond)
    });
    reply.integer(found.map_or(-1, |at| at as i64));
    Ok(())
}
