//! Reading some of the fields: HRANDFIELD and HSCAN.

use super::scanning::{SCAN_STEPS_MAX, ScanOptions, parse_cursor};
use super::{integer, write_element};
use crate::command::{Ctx, Error, Outcome, Rng};
use crate::protocol::{Args, Reply, Version};
use crate::value::glob::glob_match;
use crate::value::hash::{Hash, Pair};

/// Most fields that HRANDFIELD draws with repetition. Redis sets no limit, and a count of 2^62
/// makes it reply until it runs out of memory.
const REPEATED_MAX: u64 = 1 << 24;

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

pub(super) fn hscan(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut cursor = parse_cursor(&args[2]).ok_or(Error::text("ERR invalid cursor"))?;
    let (hash, reply) = ctx.find_collection_and_reply::<Hash>(&args[1])?;
    reply.array(2);
    let Some(hash) = hash else {
        reply.bulk(b"0");
        reply.array(0);
        return Ok(());
    };
    let options = ScanOptions::parse(args.tail(3), true)?;
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
