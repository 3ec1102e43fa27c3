//! Reading some of the fields: HRANDFIELD and HSCAN.

use super::{integer, write_element};
use crate::command::{Ctx, Error, Outcome, Rng};
use crate::protocol::{Args, Reply, Version};
use crate::value::glob::glob_match;
use crate::value::hash::{Hash, Pair};

/// Most fields that HRANDFIELD draws with repetition. Redis sets no limit, and a count of 2^62
/// makes it reply until it runs out of memory.
const REPEATED_MAX: u64 = 1 << 24;

/// Steps of the walk that one HSCAN makes at most, if its pattern matches little; as in Redis.
const SCAN_STEPS_MAX: usize = 10;
/// COUNT unless the request says otherwise.
const SCAN_COUNT_DEFAULT: usize = 10;

pub(super) fn hrandfield(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut rng = Rng::new(ctx.state.rng.next_u64());
    if args.len() == 2 {
        let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
        match hash.and_then(|hash| hash.random(rng.next_u64())) {
            Some((field, _)) => write_element(reply, field),
            None => reply.null(),
        }
        return Ok(());
    }
    let (count, with_values) = sample_options(args)?;
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    let Some(hash) = hash.filter(|_| count != 0) else {
        reply.array(0);
        return Ok(());
    };
    if count > 0 {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(hash.len());
        begin_sample(reply, count, with_values);
        hash.random_distinct(
            count,
            || rng.next_u64(),
            |pair| write_sample(reply, pair, with_values),
        );
    } else {
        let count = count.unsigned_abs();
        if count > REPEATED_MAX {
            return Err(Error::OutOfRange);
        }
        let count = count as usize;
        begin_sample(reply, count, with_values);
        hash.random_repeated(
            count,
            || rng.next_u64(),
            |pair| write_sample(reply, pair, with_values),
        );
    }
    Ok(())
}

/// The count of HRANDFIELD and whether values are wanted.
fn sample_options(args: Args<'_>) -> Result<(i64, bool), Error> {
    const RANGE: Error = Error::text(
        "ERR value is out of range, value must between -9223372036854775807 and \
         9223372036854775807",
    );
    let count = integer(&args[2])?;
    if count == i64::MIN {
        return Err(RANGE);
    }
    match args.get(3) {
        None => Ok((count, false)),
        Some(word) if args.len() == 4 && word.eq_ignore_ascii_case(b"withvalues") => {
            if count.unsigned_abs() > i64::MAX as u64 / 2 {
                return Err(Error::OutOfRange);
            }
            Ok((count, true))
        }
        Some(_) => Err(Error::Syntax),
    }
}

/// RESP2 has one flat array, RESP3 an array of pairs.
fn begin_sample(reply: &mut Reply, count: usize, with_values: bool) {
    let flat = with_values && reply.version() == Version::Resp2;
    reply.array(if flat { count * 2 } else { count });
}

fn write_sample(reply: &mut Reply, (field, value): Pair<'_>, with_values: bool) {
    if with_values && reply.version() == Version::Resp3 {
        reply.array(2);
    }
    write_element(reply, field);
    if with_values {
        write_element(reply, value);
    }
}

/// The options of HSCAN.
struct ScanOptions<'a> {
    count: usize,
    pattern: Option<&'a [u8]>,
    values: bool,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Error> {
        let mut options = ScanOptions {
            count: SCAN_COUNT_DEFAULT,
            pattern: None,
            values: true,
        };
        let mut at = 0;
        while let Some(word) = args.get(at) {
            at += 1;
            if word.eq_ignore_ascii_case(b"novalues") {
                options.values = false;
                continue;
            }
            let argument = args.get(at).ok_or(Error::Syntax)?;
            at += 1;
            if word.eq_ignore_ascii_case(b"count") {
                let count = usize::try_from(integer(argument)?).map_err(|_| Error::Syntax)?;
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
}

pub(super) fn hscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut cursor = parse_cursor(&args[2]).ok_or(Error::text("ERR invalid cursor"))?;
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    reply.array(2);
    let Some(hash) = hash else {
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args.tail(3))?;
    // The cursor goes out before the fields but is known after them.
    let mut fields = Reply::new(reply.version());
    let mut found = 0;
    for _ in 0..SCAN_STEPS_MAX {
        cursor = hash.scan(cursor, options.count, |(field, value)| {
            let matches = |pattern| field.with_bytes(|text| glob_match(pattern, text, false));
            if options.pattern.is_none_or(matches) {
                found += 1;
                write_element(&mut fields, field);
                if options.values {
                    write_element(&mut fields, value);
                }
            }
        });
        if cursor == 0 || found >= options.count {
            break;
        }
    }
    reply.bulk_str(itoa::Buffer::new().format(cursor));
    reply.array(if options.values { found * 2 } else { found });
    reply.raw(fields.bytes());
    Ok(())
}

/// A cursor, in all forms that Redis takes: also with what C's `strtoull` skips or applies, space
/// and a plus sign or zeros before it. (A minus sign before zeros, too, which wraps around.)
pub(in crate::command::family) fn parse_cursor(text: &[u8]) -> Option<u64> {
    if matches!(text, [b'-', b'1'..=b'9', ..]) {
        return None;
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
    let start = text.iter().position(|byte| !is_space(byte))?;
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })?;
    Some(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

#[cfg(test)]
mod tests {
    use super::parse_cursor;

    #[test]
    fn cursors_are_taken_in_the_forms_of_strtoull() {
        for (text, want) in [
            ("0", Some(0)),
            (" 1", Some(1)),
            ("+1", Some(1)),
            ("-1", None),
            ("-01", Some(u64::MAX)),
            ("01", Some(1)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            (" ", None),
            ("+", None),
            ("1 ", None),
            ("x", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()), want, "{text:?}");
        }
    }
}
