//! What two strings have in common: LCS.

use super::integer;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Entry;
use crate::protocol::{Args, Reply};
use crate::value::subsequence::{self, Subsequence};
use crate::value::{Kind, ValueRef};

#[derive(Clone, Copy, Default)]
struct Options {
    /// LEN: the length only.
    length: bool,
    /// IDX: the ranges.
    ranges: bool,
    /// WITHMATCHLEN: each range with its length.
    lengths: bool,
    /// MINMATCHLEN: shorter ranges are left out.
    length_min: usize,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Options, Error> {
        const BOTH: Error =
            Error::text("ERR If you want both the length and indexes, please just use IDX.");
        let mut options = Options::default();
        let mut at = 0;
        while let Some(word) = args.get(at) {
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            match () {
                () if is(b"idx") => options.ranges = true,
                () if is(b"len") => options.length = true,
                () if is(b"withmatchlen") => options.lengths = true,
                () if is(b"minmatchlen") && at + 1 < args.len() => {
                    at += 1;
                    let number = integer(&args[at])?.max(0);
                    options.length_min = usize::try_from(number).unwrap_or(usize::MAX);
                }
                () => return Err(Error::Syntax),
            }
            at += 1;
        }
        match options.length && options.ranges {
            true => Err(BOTH),
            false => Ok(options),
        }
    }
}

/// `LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]`
pub(super) fn lcs(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const NOT_STRINGS: Error = Error::text("ERR The specified keys must contain string values");
    // Both are looked up, and so counted, before either is looked into.
    let found = [&args[1], &args[2]].map(|key| ctx.find(key).map(Entry::kind));
    if (found.iter().flatten()).any(|kind| *kind != Kind::String) {
        return Err(NOT_STRINGS);
    }
    let found = found.map(|kind| kind.is_some());
    let options = Options::parse(args.tail(3))?;
    let database = ctx.keyspace.db(ctx.db);
    let value = |found: bool, key| database.get(key).filter(|_| found).map(Entry::value);
    let mut digits = [itoa::Buffer::new(), itoa::Buffer::new()];
    let [first, second] = &mut digits;
    let a = text(value(found[0], &args[1]), first);
    let b = text(value(found[1], &args[2]), second);
    check_size(a.len(), b.len(), ctx.settings().string_len_max)?;
    if options.ranges {
        write_ranges(ctx.reply, a, b, options);
    } else if options.length {
        ctx.reply.integer(subsequence::length(a, b) as i64);
    } else {
        ctx.reply.bulk(&Subsequence::new(a, b).bytes());
    }
    Ok(())
}

fn text<'a>(value: Option<ValueRef<'a>>, digits: &'a mut itoa::Buffer) -> &'a [u8] {
    match value {
        Some(ValueRef::Bytes(bytes)) => bytes,
        Some(ValueRef::Int(number)) => digits.format(number).as_bytes(),
        _ => b"",
    }
}

/// Redis needs four bytes for each pair of bytes; we a thirty-second of that, but what is refused
/// there is refused here.
fn check_size(a: usize, b: usize, bytes_max: usize) -> Result<(), Error> {
    const TOO_LONG: Error = Error::text("ERR String too long for LCS");
    const TOO_MUCH: Error =
        Error::text("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    if a.max(b) >= u32::MAX as usize - 1 {
        return Err(TOO_LONG);
    }
    let needed = (a as u128 + 1) * (b as u128 + 1) * 4;
    match needed > bytes_max as u128 {
        true => Err(TOO_MUCH),
        false => Ok(()),
    }
}

fn write_ranges(reply: &mut Reply, a: &[u8], b: &[u8], options: Options) {
    let table = Subsequence::new(a, b);
    let range = |reply: &mut Reply, (first, last): (usize, usize)| {
        reply.array(2);
        reply.integer(first as i64);
        reply.integer(last as i64);
    };
    reply.map(2);
    reply.bulk_str("matches");
    let matches = reply.begin_array();
    let mut count = 0;
    table.for_each_match(|found| {
        if found.length() < options.length_min {
            return;
        }
        count += 1;
        reply.array(2 + usize::from(options.lengths));
        range(reply, found.a);
        range(reply, found.b);
        if options.lengths {
            reply.integer(found.length() as i64);
        }
    });
    reply.finish(matches, count);
    reply.bulk_str("len");
    reply.integer(table.length() as i64);
}
