//! Commands on whole databases: they run on every shard, and their parts are merged at home.

use crate::command::digest;
use crate::command::error::SUBCOMMAND_SHOWN_MAX;
use crate::command::table::{Command, Doc, Flags, Keys, Run};
use crate::command::watched::Touch;
use crate::command::{Ctx, Error, Outcome, Part, Settings};
use crate::keyspace::Entry;
use crate::protocol::{Args, Reply, quote};
use crate::value::codec::{self, Collections, Compression};
use crate::value::glob::glob_match;
use crate::value::number;

type Check = fn(&Settings, Args<'_>) -> Outcome;
type MakePart = fn(&mut Ctx<'_>, Args<'_>) -> Part;
type Merge = fn(Vec<Part>, Args<'_>, &mut Reply) -> Outcome;

const fn everywhere(check: Check, part: MakePart, merge: Merge) -> Run {
    Run::Everywhere { check, part, merge }
}

const fn doc(summary: &'static str, since: &'static str, complexity: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: "server",
        complexity,
    }
}

const fn generic(summary: &'static str, since: &'static str, complexity: &'static str) -> Doc {
    Doc {
        group: "generic",
        ..doc(summary, since, complexity)
    }
}

const ALL_SUCCEEDED: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

/// The rows.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "dbsize",
        full_name: "dbsize",
        arity: 1,
        flags: Flags::READONLY.or(Flags::FAST),
        categories: &["@keyspace"],
        doc: doc("Counts the keys of the database.", "1.0.0", "O(1)"),
        run: everywhere(no_check, dbsize, merge_counts),
        tips: &["request_policy:all_shards", "response_policy:agg_sum"],
        ..Command::ROW
    },
    Command {
        name: "keys",
        full_name: "keys",
        arity: 2,
        flags: Flags::READONLY,
        categories: &["@keyspace", "@dangerous"],
        doc: generic(
            "Lists all keys that match a pattern.",
            "1.0.0",
            "O(N) in the number of keys of the database",
        ),
        run: everywhere(no_check, keys, merge_keys),
        tips: &["request_policy:all_shards", "nondeterministic_output_order"],
        ..Command::ROW
    },
    Command {
        name: "randomkey",
        full_name: "randomkey",
        arity: 1,
        flags: Flags::READONLY.or(Flags::TOUCHES_ARBITRARY_KEYS),
        categories: &["@keyspace"],
        doc: generic("Picks some key of the database.", "1.0.0", "O(1)"),
        run: everywhere(no_check, randomkey, merge_candidates),
        tips: &[
            "request_policy:all_shards",
            "response_policy:special",
            "nondeterministic_output",
        ],
        ..Command::ROW
    },
    Command {
        name: "flushdb",
        full_name: "flushdb",
        arity: -1,
        flags: Flags::WRITE,
        categories: &["@keyspace", "@dangerous"],
        doc: doc(
            "Deletes every key of the database.",
            "1.0.0",
            "O(1); memory is freed in the background",
        ),
        run: everywhere(check_flush, flushdb, merge_ok),
        tips: ALL_SUCCEEDED,
        ..Command::ROW
    },
    Command {
        name: "flushall",
        full_name: "flushall",
        arity: -1,
        flags: Flags::WRITE,
        categories: &["@keyspace", "@dangerous"],
        doc: doc(
            "Deletes every key of every database.",
            "1.0.0",
            "O(1); memory is freed in the background",
        ),
        run: everywhere(check_flush, flushall, merge_ok),
        tips: ALL_SUCCEEDED,
        ..Command::ROW
    },
    Command {
        name: "swapdb",
        full_name: "swapdb",
        arity: 3,
        flags: Flags::WRITE.or(Flags::FAST),
        categories: &["@keyspace", "@dangerous"],
        doc: doc(
            "Exchanges the contents of two databases.",
            "4.0.0",
            "O(N) in the number of watched keys",
        ),
        run: everywhere(check_swapdb, swapdb, merge_ok),
        ..Command::ROW
    },
];

/// DEBUG DIGEST, for the container.
pub const DIGEST_ROW: Command = Command {
    name: "digest",
    full_name: "debug|digest",
    arity: -2,
    flags: Flags::ADMIN
        .or(Flags::NOSCRIPT)
        .or(Flags::LOADING)
        .or(Flags::STALE),
    keys: Keys::None,
    doc: doc(
        "Gives a digest of the whole dataset.",
        "1.0.0",
        "O(N) in the size of the dataset",
    ),
    run: everywhere(check_digest, debug_digest, merge_digests),
    ..Command::ROW
};

/// DEBUG RELOAD, for the container.
pub const RELOAD_ROW: Command = Command {
    name: "reload",
    full_name: "debug|reload",
    arity: -2,
    flags: Flags::ADMIN
        .or(Flags::NOSCRIPT)
        .or(Flags::LOADING)
        .or(Flags::STALE),
    keys: Keys::None,
    doc: doc(
        "Writes all values as a snapshot would, and reads them back.",
        "1.0.0",
        "O(N) in the size of the dataset",
    ),
    run: everywhere(check_reload, debug_reload, merge_ok),
    ..Command::ROW
};

/// NOSAVE asks for the file of an earlier save, of which there is none. The other options say what
/// becomes of keys that are in the file and in memory: here they are the same.
fn check_reload(_: &Settings, args: Args<'_>) -> Outcome {
    let mut from_file = false;
    for option in args.iter().skip(2) {
        match option.to_ascii_lowercase().as_slice() {
            b"nosave" => from_file = true,
            b"merge" | b"noflush" => {}
            _ => {
                return Err(Error::text(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    match from_file {
        true => Err(Error::text(
            "ERR Error trying to load the RDB dump, check server logs.",
        )),
        false => Ok(()),
    }
}

/// Every value goes through its form in an RDB and back, one after the other, in its place: so
/// neither a snapshot under way nor entries lent to a transaction are in the way.
fn debug_reload(ctx: &mut Ctx<'_>, _: Args<'_>) -> Part {
    let collections = Collections {
        hash_limits: ctx.settings().hash_limits,
        list_limits: ctx.settings().list_limits,
        set_limits: ctx.settings().set_limits,
        sorted_set_limits: ctx.settings().sorted_set_limits,
        seed: ctx.settings().seed,
    };
    for index in 0..ctx.keyspace.databases() {
        let db = ctx.keyspace.db_mut(index);
        let keys: Vec<Box<[u8]>> = db.iter().map(|entry| entry.key().into()).collect();
        for key in keys {
            let Some(entry) = db.get_mut(&key) else {
                continue;
            };
            let payload = codec::dump(entry.value(), Compression::Lzf);
            match codec::restore(&payload, &collections) {
                Ok(value) => entry.set_value(value),
                Err(error) => return Part::Failed(Error::Text(format!("ERR {error}").into())),
            }
        }
    }
    Part::Done
}

fn no_check(_: &Settings, _: Args<'_>) -> Outcome {
    Ok(())
}

fn merge_ok(parts: Vec<Part>, _: Args<'_>, reply: &mut Reply) -> Outcome {
    for part in parts {
        if let Part::Failed(error) = part {
            return Err(error);
        }
    }
    reply.ok();
    Ok(())
}

fn dbsize(ctx: &mut Ctx<'_>, _: Args<'_>) -> Part {
    Part::Count(ctx.database().len() as u64)
}

fn merge_counts(parts: Vec<Part>, _: Args<'_>, reply: &mut Reply) -> Outcome {
    let counts = parts.into_iter().map(|part| match part {
        Part::Count(count) => count,
        _ => 0,
    });
    reply.integer(counts.sum::<u64>() as i64);
    Ok(())
}

fn keys(ctx: &mut Ctx<'_>, args: Args<'_>) -> Part {
    let pattern = &args[1];
    // The empty key matches a lone star only here.
    let all = pattern == b"*";
    let mut found = Vec::new();
    for entry in ctx.keyspace.db(ctx.db).iter() {
        if (all || glob_match(pattern, entry.key(), false)) && ctx.shows(entry) {
            found.push(entry.key().into());
        }
    }
    Part::Keys(found)
}

fn merge_keys(parts: Vec<Part>, _: Args<'_>, reply: &mut Reply) -> Outcome {
    let lists: Vec<Vec<Box<[u8]>>> = (parts.into_iter())
        .filter_map(|part| match part {
            Part::Keys(keys) => Some(keys),
            _ => None,
        })
        .collect();
    reply.array(lists.iter().map(Vec::len).sum());
    lists.iter().flatten().for_each(|key| reply.bulk(key));
    Ok(())
}

/// Random tries of RANDOMKEY to find a key that has not expired; then entries looked at in a row.
const RANDOM_TRIES: usize = 100;
const RANDOM_SEARCH_LEN: usize = 10_000;

/// A part may not propagate, so expired keys are passed over and not deleted: active expiry sees
/// to it that they are few.
fn randomkey(ctx: &mut Ctx<'_>, _: Args<'_>) -> Part {
    let db = ctx.keyspace.db(ctx.db);
    let count = db.len() as u64;
    let mut found: Option<&Entry> = None;
    for _ in 0..RANDOM_TRIES {
        found = db.random(ctx.state.rng.next_u64());
        if found.is_none_or(|entry| ctx.shows(entry)) {
            break;
        }
    }
    let found = found.filter(|entry| ctx.shows(entry)).or_else(|| {
        let mut some = db.iter().take(RANDOM_SEARCH_LEN);
        some.find(|entry| ctx.shows(entry))
    });
    match found {
        None => Part::Done,
        Some(entry) => Part::Candidate {
            count,
            key: entry.key().into(),
            roll: ctx.state.rng.next_u64(),
        },
    }
}

/// Of uniform `u` the greatest `u^(1/count)` belongs to a shard with probability in proportion to
/// its count.
fn merge_candidates(parts: Vec<Part>, _: Args<'_>, reply: &mut Reply) -> Outcome {
    let mut best: Option<(f64, Box<[u8]>)> = None;
    for part in parts {
        if let Part::Candidate { count, roll, key } = part {
            // In (0, 1], so that the logarithm is finite.
            let uniform = (roll as f64 + 1.0) / (u64::MAX as f64 + 1.0);
            let rank = uniform.ln() / count.max(1) as f64;
            if best.as_ref().is_none_or(|(other, _)| rank > *other) {
                best = Some((rank, key));
            }
        }
    }
    match best {
        Some((_, key)) => reply.bulk(&key),
        None => reply.null(),
    }
    Ok(())
}

/// Both modes free memory in slices, so neither stalls a shard; they differ in name only.
fn check_flush(_: &Settings, args: Args<'_>) -> Outcome {
    match (args.get(1), args.get(2)) {
        (None, _) => Ok(()),
        (Some(mode), None)
            if mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async") =>
        {
            Ok(())
        }
        _ => Err(Error::Syntax),
    }
}

fn flush_one(ctx: &mut Ctx<'_>, db: usize) {
    let (database, now_ms) = (ctx.keyspace.db(db), ctx.now_ms);
    ctx.state
        .watched
        .touch_all(db, |key| match database.get(key) {
            None => Touch::None,
            Some(entry) if entry.is_expired(now_ms) => Touch::Expired,
            Some(_) => Touch::Changed,
        });
    ctx.keyspace.flush(db);
}

fn flushdb(ctx: &mut Ctx<'_>, _: Args<'_>) -> Part {
    flush_one(ctx, ctx.db);
    Part::Done
}

fn flushall(ctx: &mut Ctx<'_>, _: Args<'_>) -> Part {
    (0..ctx.keyspace.databases()).for_each(|db| flush_one(ctx, db));
    Part::Done
}

/// The two database numbers of SWAPDB.
fn swapdb_numbers(databases: usize, args: Args<'_>) -> Result<(usize, usize), Error> {
    let number = |at: usize, text: &'static str| {
        let number = args.get(at).and_then(number::parse_i64);
        let number = number.and_then(|number| i32::try_from(number).ok());
        number.ok_or(Error::text(text))
    };
    let first = number(1, "ERR invalid first DB index")?;
    let second = number(2, "ERR invalid second DB index")?;
    let index = |number: i32| {
        let index = usize::try_from(number).ok();
        index.filter(|index| *index < databases)
    };
    match (index(first), index(second)) {
        (Some(first), Some(second)) => Ok((first, second)),
        _ => Err(Error::DbRange),
    }
}

fn check_swapdb(settings: &Settings, args: Args<'_>) -> Outcome {
    swapdb_numbers(settings.databases, args).map(|_| ())
}

fn swapdb(ctx: &mut Ctx<'_>, args: Args<'_>) -> Part {
    let (first, second) = match swapdb_numbers(ctx.keyspace.databases(), args) {
        Ok(numbers) => numbers,
        Err(error) => return Part::Failed(error),
    };
    if first != second {
        let (a, b) = (ctx.keyspace.db(first), ctx.keyspace.db(second));
        let now_ms = ctx.now_ms;
        for (db, old, new) in [(first, a, b), (second, b, a)] {
            ctx.state.watched.touch_all(db, |key| {
                match (old.get(key), new.get(key)) {
                    // Absent before; absent or expired after.
                    (None, None) => Touch::None,
                    (None, Some(new)) if new.is_expired(now_ms) => Touch::None,
                    (Some(old), None) if old.is_expired(now_ms) => Touch::Expired,
                    (Some(_), Some(new)) if new.is_expired(now_ms) => Touch::Expired,
                    _ => Touch::Changed,
                }
            });
        }
        ctx.keyspace.swap(first, second);
    }
    Part::Done
}

fn check_digest(_: &Settings, args: Args<'_>) -> Outcome {
    match args.len() {
        2 => Ok(()),
        _ => Err(Error::Subcommand(
            quote(&args[1], SUBCOMMAND_SHOWN_MAX),
            "DEBUG",
        )),
    }
}

fn debug_digest(ctx: &mut Ctx<'_>, _: Args<'_>) -> Part {
    Part::Digest(digest::shard_sums(ctx.keyspace))
}

fn merge_digests(parts: Vec<Part>, _: Args<'_>, reply: &mut Reply) -> Outcome {
    let sums = parts.into_iter().flat_map(|part| match part {
        Part::Digest(sums) => sums,
        _ => Vec::new(),
    });
    reply.simple(&digest::dataset(sums.collect()).to_string());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Origin;
    use crate::command::testing::Bench;
    use crate::protocol::{OwnedArgs, Version};

    const OK: &str = "+OK\r\n";

    fn with(keys: &[(usize, &str)]) -> Bench {
        let mut bench = Bench::new();
        for (db, key) in keys {
            bench.db = *db;
            bench.run(&format!("SET {key} x"));
        }
        bench.db = 0;
        bench
    }

    #[test]
    fn keys_shows_what_matches_and_has_not_expired() {
        let mut bench = with(&[(0, "ab"), (0, "b"), (1, "ax")]);
        bench.run("SET aa x");
        bench.run("PEXPIRE aa 10");
        bench.now_ms += 11;
        assert_eq!(bench.run("KEYS a*"), "*1\r\n$2\r\nab\r\n");
        assert_eq!(bench.run("DBSIZE"), ":3\r\n");
        assert!(bench.run("KEYS *").starts_with("*2\r\n"));
        bench.origin = Origin::Upstream;
        assert!(bench.run("KEYS *").starts_with("*3\r\n"));
    }

    #[test]
    fn randomkey_gives_a_live_key_or_none() {
        let mut bench = Bench::new();
        assert_eq!(bench.run("RANDOMKEY"), "$-1\r\n");
        for key in 0..50 {
            bench.run(&format!("SET expired:{key} x"));
            bench.run(&format!("PEXPIRE expired:{key} 10"));
        }
        bench.run("SET live x");
        bench.now_ms += 11;
        assert_eq!(bench.run("RANDOMKEY"), "$4\r\nlive\r\n");
        bench.run("DEL live");
        assert_eq!(bench.run("RANDOMKEY"), "$-1\r\n");
    }

    #[test]
    fn shards_are_drawn_in_proportion_to_their_keys() {
        let mut rng = crate::command::Rng::new(7);
        let mut picked = [0u32; 2];
        let args = OwnedArgs::new(&[b"RANDOMKEY"]);
        for _ in 0..4000 {
            let mut candidate = |count: u64, name: &[u8]| Part::Candidate {
                count,
                roll: rng.next_u64(),
                key: name.into(),
            };
            let parts = vec![candidate(1, b"0"), Part::Done, candidate(3, b"1")];
            let mut reply = Reply::new(Version::Resp2);
            merge_candidates(parts, args.as_args(), &mut reply).unwrap();
            picked[usize::from(reply.bytes()[4] - b'0')] += 1;
        }
        // 1,000 are expected; the deviation is 27.
        assert!((850..1150).contains(&picked[0]), "{picked:?}");
    }

    #[test]
    fn flushdb_empties_one_database_and_flushall_every_one() {
        let mut bench = with(&[(0, "a"), (1, "b"), (2, "c")]);
        for line in ["FLUSHDB x", "FLUSHALL SYNC ASYNC"] {
            assert_eq!(bench.run(line), "-ERR syntax error\r\n");
        }
        assert_eq!(bench.keyspace.total_len(), 3);
        assert_eq!(bench.run("FLUSHDB async"), OK);
        assert_eq!((bench.holds("a"), bench.keyspace.total_len()), (false, 2));
        assert_eq!(bench.run("FLUSHALL SYNC"), OK);
        assert_eq!(bench.keyspace.total_len(), 0);
    }

    #[test]
    fn flushing_touches_only_watched_keys_that_are_there() {
        let mut bench = with(&[(0, "a"), (1, "a")]);
        let watched = &mut bench.state.watched;
        let tokens = [(0, "a"), (0, "nokey"), (1, "a")]
            .map(|(db, key)| (db, key, watched.add(db, key.as_bytes(), false)));
        bench.run("FLUSHDB");
        let dirty = tokens.map(|(db, key, token)| {
            let watched = &bench.state.watched;
            watched.is_dirty(db, key.as_bytes(), &token)
        });
        assert_eq!(dirty, [true, false, false]);
    }

    #[test]
    fn swapdb_exchanges_two_databases_and_touches_keys_of_either() {
        let mut bench = with(&[(0, "a"), (1, "b"), (2, "a")]);
        let watched = &mut bench.state.watched;
        let tokens = [(0, "a"), (0, "b"), (0, "nokey"), (1, "a"), (2, "a")]
            .map(|(db, key)| (db, key, watched.add(db, key.as_bytes(), false)));
        assert_eq!(bench.run("SWAPDB 1 0"), OK);
        assert!(bench.holds("b") && !bench.holds("a"));
        let dirty = tokens.map(|(db, key, token)| {
            let watched = &bench.state.watched;
            watched.is_dirty(db, key.as_bytes(), &token)
        });
        assert_eq!(dirty, [true, true, false, true, false]);
    }

    #[test]
    fn swapdb_names_the_number_that_is_wrong() {
        let mut bench = Bench::new();
        for (line, text) in [
            ("SWAPDB x y", "ERR invalid first DB index"),
            ("SWAPDB 99999999999 1", "ERR invalid first DB index"),
            ("SWAPDB 77 x", "ERR invalid second DB index"),
            ("SWAPDB 1 16", "ERR DB index is out of range"),
            ("SWAPDB -1 1", "ERR DB index is out of range"),
        ] {
            assert_eq!(bench.run(line), format!("-{text}\r\n"), "{line}");
        }
        assert_eq!(bench.run("SWAPDB 3 3"), OK);
    }
}
