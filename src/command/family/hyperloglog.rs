//! HyperLogLog: PFADD PFCOUNT PFMERGE PFDEBUG PFSELFTEST.

use crate::command::notify::Class;
use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Error, Origin, Outcome};
use crate::keyspace::Entry;
use crate::protocol::Args;
use crate::value::hyperloglog::{self as hll, Corrupt, Form, Union};
use crate::value::{Value, ValueRef};

const NOT_ONE: Error = Error::text("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPT: Error = Error::text("INVALIDOBJ Corrupted HLL object detected");

const STORE: Flags = Flags::WRITE.or(Flags::DENYOOM);

type Handler = fn(&mut Ctx<'_>, Args<'_>) -> Outcome;

const fn row(
    name: &'static str,
    arity: i16,
    (flags, keys, access): (Flags, Keys, KeyAccess),
    doc: Doc,
    handler: Handler,
) -> Command {
    Command {
        name,
        full_name: name,
        arity,
        flags,
        categories: &["@hyperloglog"],
        keys,
        access,
        doc,
        run: Run::Data(handler),
        ..Command::ROW
    }
}

const fn keys(first: u8, last: i8) -> Keys {
    Keys::Range {
        first,
        last,
        step: 1,
    }
}

const fn doc(complexity: &'static str, summary: &'static str) -> Doc {
    Doc {
        summary,
        since: "2.8.9",
        group: "hyperloglog",
        complexity,
    }
}

/// The rows of this family.
pub static COMMANDS: &[Command] = &[
    row(
        "pfadd",
        -2,
        (STORE.or(Flags::FAST), keys(1, 1), KeyAccess::Insert),
        doc(
            "O(1) for each element",
            "Adds elements to a HyperLogLog, which is created if need be.",
        ),
        pfadd,
    ),
    row(
        "pfcount",
        -2,
        (
            Flags::READONLY.or(Flags::EXCLUSIVE),
            keys(1, -1),
            KeyAccess::ReadAndRefresh,
        ),
        doc(
            "O(1) for one key whose count is known; O(N) with a large constant for N keys",
            "Estimates how many different elements were added to HyperLogLogs.",
        ),
        pfcount,
    ),
    row(
        "pfdebug",
        3,
        (
            STORE.or(Flags::ADMIN),
            keys(2, 2),
            KeyAccess::ReadAndRefresh,
        ),
        doc("N/A", "Shows or converts the inside of a HyperLogLog."),
        pfdebug,
    ),
    row(
        "pfmerge",
        -2,
        (
            STORE,
            keys(1, -1),
            KeyAccess::FirstAndRest(&KeyAccess::ReadAndInsert, &KeyAccess::Read),
        ),
        doc(
            "O(N) with a large constant for N keys",
            "Merges HyperLogLogs into the first one.",
        ),
        pfmerge,
    ),
    row(
        "pfselftest",
        1,
        (Flags::ADMIN, Keys::None, KeyAccess::Read),
        doc("N/A", "Tests the HyperLogLog code."),
        pfselftest,
    ),
];

impl From<Corrupt> for Error {
    fn from(_: Corrupt) -> Self {
        CORRUPT
    }
}

/// The bytes of a HyperLogLog.
fn view(value: ValueRef<'_>) -> Result<(&[u8], Form), Error> {
    match value {
        ValueRef::Bytes(bytes) => match Form::of(bytes) {
            Some(form) => Ok((bytes, form)),
            None => Err(NOT_ONE),
        },
        ValueRef::Int(_) => Err(NOT_ONE),
        _ => Err(Error::WrongType),
    }
}

/// The entry of a HyperLogLog that a command is to change.
fn find_mut<'a>(ctx: &'a mut Ctx<'_>, key: &[u8]) -> Result<Option<&'a mut Entry>, Error> {
    let Some(entry) = ctx.find_mut(key) else {
        return Ok(None);
    };
    view(entry.value())?;
    Ok(Some(entry))
}

/// `PFADD key [element …]`: replies whether a register changed or the key was created.
fn pfadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    let len_max = ctx.settings().hll_sparse_len_max;
    let add_all = |bytes: &mut Vec<u8>, created: bool| {
        let (mut updates, mut outcome) = (u64::from(created), Ok(()));
        for element in args.iter().skip(2) {
            match hll::add(bytes, element, len_max) {
                Ok(changed) => updates += u64::from(changed),
                Err(corrupt) => {
                    outcome = Err(corrupt);
                    break;
                }
            }
        }
        if updates > 0 {
            hll::invalidate(bytes);
        }
        (updates, outcome)
    };
    let (updates, outcome) = match find_mut(ctx, key)? {
        Some(entry) => {
            let changed = entry.string_mut(|bytes| add_all(bytes, false));
            changed.ok_or(Error::WrongType)?
        }
        None => {
            let mut bytes = hll::empty();
            let changed = add_all(&mut bytes, true);
            ctx.set_value(key, Value::Raw(bytes), None);
            changed
        }
    };
    if updates > 0 {
        // Also where a later element met something corrupt: it does on replicas, too.
        ctx.changed(key, updates);
        ctx.notify(Class::STRING, "pfadd", key);
    }
    outcome?;
    ctx.reply.integer(i64::from(updates > 0));
    Ok(())
}

/// `PFCOUNT key [key …]`: of several keys the number of different elements in all of them.
fn pfcount(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    if args.len() == 2 {
        return count_one(ctx, &args[1]);
    }
    let mut union = Union::new();
    for key in args.iter().skip(1) {
        if let Some(entry) = ctx.find(key) {
            union.add(view(entry.value())?.0)?;
        }
    }
    ctx.reply.integer(shown(union.estimate()));
    Ok(())
}

/// A count of one key is kept in its header until something is added.
fn count_one(ctx: &mut Ctx<'_>, key: &[u8]) -> Outcome {
    let Some(entry) = ctx.find(key) else {
        ctx.reply.integer(0);
        return Ok(());
    };
    let (bytes, _) = view(entry.value())?;
    let (cached, raw) = (hll::cached(bytes), entry.is_raw());
    let count = match cached {
        Some(count) => count,
        None => hll::estimate(bytes)?,
    };
    ctx.reply.integer(shown(count));
    // A replica leaves its data as its upstream has it.
    if ctx.origin == Origin::Replica || cached.is_some() && raw {
        return Ok(());
    }
    // This also turns a short string into a raw one, as in Redis.
    if let Some(bytes) = ctx.find_mut(key).and_then(Entry::bytes_mut) {
        hll::set_cached(bytes, count);
    }
    if cached.is_none() {
        ctx.changed(key, 1);
    }
    Ok(())
}

/// A count as it is replied: what a client wrote into a header may be anything.
fn shown(count: u64) -> i64 {
    count as i64
}

/// `PFMERGE destination [key …]`
fn pfmerge(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut union = Union::new();
    for key in args.iter().skip(1) {
        if let Some(entry) = ctx.find(key) {
            union.add(view(entry.value())?.0)?;
        }
    }
    let key = &args[1];
    let len_max = ctx.settings().hll_sparse_len_max;
    match find_mut(ctx, key)? {
        Some(entry) => {
            let stored = entry.string_mut(|bytes| union.store(bytes, len_max));
            stored.ok_or(Error::WrongType)??;
        }
        None => {
            let mut bytes = hll::empty();
            union.store(&mut bytes, len_max)?;
            ctx.set_value(key, Value::Raw(bytes), None);
        }
    }
    ctx.changed(key, 1);
    ctx.notify(Class::STRING, "pfadd", key);
    ctx.reply.ok();
    Ok(())
}

/// `PFDEBUG GETREG|DECODE|ENCODING|TODENSE key`
fn pfdebug(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const NO_KEY: Error = Error::text("ERR The specified key does not exist");
    const NOT_SPARSE: Error = Error::text("ERR HLL encoding is not sparse");
    let (word, key) = (&args[1], &args[2]);
    let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
    let entry = find_mut(ctx, key)?.ok_or(NO_KEY)?;
    if entry.bytes_mut().is_none() {
        return Err(Error::WrongType);
    }
    let converted = match is(b"getreg") || is(b"todense") {
        true => entry
            .string_mut(hll::make_dense)
            .ok_or(Error::WrongType)??,
        false => false,
    };
    if converted {
        // Sent to replicas, but no change to those who watch the key: it means the same.
        ctx.count_dirty(1);
    }
    let entry = ctx.keyspace.db(ctx.db).get(key).ok_or(NO_KEY)?;
    let (bytes, form) = view(entry.value())?;
    if is(b"getreg") {
        ctx.reply.array(hll::REGISTERS);
        hll::for_each_register(bytes, |value| ctx.reply.integer(value.into()));
    } else if is(b"decode") {
        let runs = hll::describe(bytes).ok_or(NOT_SPARSE)?;
        ctx.reply.bulk_str(&runs);
    } else if is(b"encoding") {
        ctx.reply.simple(form.name());
    } else if is(b"todense") {
        ctx.reply.integer(converted.into());
    } else {
        // As a C string: it ends at the first NUL.
        let word = word.split(|byte| *byte == 0).next().unwrap_or_default();
        let word = String::from_utf8_lossy(word);
        return Err(Error::Text(
            format!("ERR Unknown PFDEBUG subcommand '{word}'").into(),
        ));
    }
    Ok(())
}

/// `PFSELFTEST`: whether estimates of known numbers are within six standard errors. Smaller than
/// Redis's, which stops the server for seconds.
fn pfselftest(ctx: &mut Ctx<'_>, _: Args<'_>) -> Outcome {
    const FAILED: Error = Error::text("ERR TESTFAILED an estimate is too far off");
    const ELEMENTS_MAX: u64 = 10_000;
    let (mut sparse, mut dense) = (hll::empty(), hll::empty());
    hll::make_dense(&mut dense)?;
    let mut at = 1;
    let seed = ctx.state.rng.next_u64();
    for count in 1..=ELEMENTS_MAX {
        let element = (seed ^ count).to_le_bytes();
        hll::add(&mut sparse, &element, ctx.settings().hll_sparse_len_max)?;
        hll::add(&mut dense, &element, 0)?;
        if count < at {
            continue;
        }
        at *= 10;
        let (a, b) = (hll::estimate(&sparse)?, hll::estimate(&dense)?);
        let error_max = 6.0 * 1.04 / (hll::REGISTERS as f64).sqrt() * count as f64;
        if a != b || a.abs_diff(count) as f64 > error_max.max(2.0) {
            return Err(FAILED);
        }
    }
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::Origin;
    use crate::command::testing::Bench;

    const NOT_ONE: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n";
    const CORRUPT: &str = "-INVALIDOBJ Corrupted HLL object detected\r\n";

    #[test]
    fn adding_counts_changes_and_counting_is_cached() {
        let mut bench = Bench::new();
        assert_eq!(bench.run("PFADD h"), ":1\r\n");
        assert_eq!(bench.run("PFADD h"), ":0\r\n");
        assert_eq!(bench.run("PFADD h a b c"), ":1\r\n");
        assert_eq!(bench.ran.dirty, 3);
        assert_eq!(bench.run("PFADD h c b a"), ":0\r\n");
        assert_eq!(bench.run("PFCOUNT h"), ":3\r\n");
        assert_eq!(bench.ran.dirty, 1);
        assert_eq!(bench.run("PFCOUNT h"), ":3\r\n");
        assert_eq!(bench.ran.dirty, 0);
        assert_eq!(bench.run("PFCOUNT none"), ":0\r\n");
        assert_eq!(bench.run("PFADD i c d"), ":1\r\n");
        assert_eq!(bench.run("PFCOUNT h none i"), ":4\r\n");
        let sent = ["PFADD h", "PFADD h a b c", "PFCOUNT h", "PFADD i c d"];
        assert_eq!(bench.propagated(), sent);
    }

    #[test]
    fn a_replica_counts_without_changing_its_data() {
        let mut bench = Bench::new();
        bench.run("PFADD h a b");
        let before = bench.run("GET h");
        bench.origin = Origin::Replica;
        assert_eq!(bench.run("PFCOUNT h"), ":2\r\n");
        assert_eq!((bench.ran.dirty, bench.run("GET h")), (0, before.clone()));
        bench.origin = Origin::Upstream;
        assert_eq!(bench.run("PFCOUNT h"), ":2\r\n");
        assert_ne!(bench.run("GET h"), before);
    }

    #[test]
    fn merging_takes_the_destination_in() {
        let mut bench = Bench::new();
        bench.run("PFADD a 1 2");
        bench.run("PFADD b 2 3");
        assert_eq!(bench.run("PFMERGE m a none b"), "+OK\r\n");
        assert_eq!(bench.run("PFMERGE a b"), "+OK\r\n");
        assert_eq!(bench.run("PFMERGE empty"), "+OK\r\n");
        for (key, count) in [("m", 3), ("a", 3), ("b", 2), ("empty", 0)] {
            assert_eq!(
                bench.run(&format!("PFCOUNT {key}")),
                format!(":{count}\r\n")
            );
        }
        bench.propagated();
        assert_eq!(bench.run("PFDEBUG TODENSE b"), ":1\r\n");
        assert_eq!(bench.propagated(), ["PFDEBUG TODENSE b"]);
        assert_eq!(bench.run("PFDEBUG TODENSE b"), ":0\r\n");
        assert_eq!(bench.run("PFMERGE a b"), "+OK\r\n");
        assert_eq!(bench.run("PFDEBUG ENCODING a"), "+dense\r\n");
        assert_eq!(bench.run("PFCOUNT a"), ":3\r\n");
    }

    #[test]
    fn what_is_no_hyperloglog_is_told_from_what_is_corrupt() {
        let mut bench = Bench::new();
        bench.run("SET text hello");
        bench.run("SET number 5");
        bench.run("HSET hash f v");
        bench.run(
            "SET cut \"HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80\\x7f\"",
        );
        bench.propagated();
        for (key, error) in [
            ("text", NOT_ONE),
            ("number", NOT_ONE),
            ("cut", CORRUPT),
            (
                "hash",
                "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
            ),
        ] {
            for line in [
                format!("PFADD {key} x"),
                format!("PFCOUNT {key}"),
                format!("PFCOUNT none {key}"),
                format!("PFMERGE m {key}"),
                format!("PFMERGE {key}"),
                format!("PFDEBUG GETREG {key}"),
            ] {
                assert_eq!(bench.run(&line), error, "{line}");
                assert_eq!(bench.ran.dirty, 0);
            }
        }
        assert!(bench.propagated().is_empty());
        assert!(!bench.holds("m"));
    }

    #[test]
    fn debug_shows_runs_and_registers() {
        let mut bench = Bench::new();
        bench.run("PFADD h hello");
        let runs = "Z:9216 v:1,1 Z:7167";
        let bulk = format!("${}\r\n{runs}\r\n", runs.len());
        assert_eq!(bench.run("PFDEBUG DECODE h"), bulk);
        assert_eq!(bench.run("PFDEBUG ENCODING h"), "+sparse\r\n");
        assert!(
            bench
                .run("PFDEBUG FOO h")
                .starts_with("-ERR Unknown PFDEBUG")
        );
        let registers = bench.run("PFDEBUG GETREG h");
        assert!(registers.starts_with("*16384\r\n:0\r\n"));
        assert_eq!(registers.matches(":1\r\n").count(), 1);
        let error = "-ERR HLL encoding is not sparse\r\n";
        assert_eq!(bench.run("PFDEBUG DECODE h"), error);
        let error = "-ERR The specified key does not exist\r\n";
        assert_eq!(bench.run("PFDEBUG FOO none"), error);
        assert_eq!(bench.run("PFSELFTEST"), "+OK\r\n");
    }
}
