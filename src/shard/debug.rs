//! DEBUG.

use std::sync::atomic::Ordering;

use crate::command::Rng;
use crate::command::error::SUBCOMMAND_SHOWN_MAX;
use crate::command::session::SessionOp;
use crate::keyspace::Entry;
use crate::protocol::{Args, Reply, Version, quote};
use crate::value::glob::glob_match;
use crate::value::number::parse_i64;

use super::Shard;
use super::client::{Client, Waiting};
use super::clients::help;
use super::dispatch::unknown_or_misused;
use super::gather::Question;
use super::locks::TxId;
use super::session::Purpose;

impl Shard {
    pub(super) fn debug_command(&mut self, client: &mut Client, op: SessionOp, args: Args<'_>) {
        match op {
            SessionOp::DebugSetActiveExpire => {
                let on = leading_integer(&args[2]) != 0;
                self.shared.active_expire.store(on, Ordering::Relaxed);
                self.answer(client, Reply::ok);
            }
            SessionOp::DebugQuicklistPackedThreshold => self.set_plain_len_min(client, &args[2]),
            SessionOp::DebugError => {
                self.answer(client, |reply| reply.error_bytes(&args[2]));
            }
            SessionOp::DebugLog => {
                let line = String::from_utf8_lossy(&args[2]);
                tracing::warn!("DEBUG LOG: {line}");
                self.answer(client, Reply::ok);
            }
            SessionOp::DebugProtocol => self.answer(client, |reply| protocol(reply, &args[2])),
            SessionOp::DebugStringmatchTest => {
                match_random_patterns(&mut self.data.rng);
                self.answer(client, |reply| {
                    reply.simple("Apparently the server did not crash: test passed");
                });
            }
            // For tests of what becomes of the process.
            SessionOp::DebugPanic => panic!("DEBUG PANIC was called"),
            SessionOp::DebugHelp => self.answer(client, |reply| help(reply, "DEBUG", HELP)),
            _ => {
                let name = quote(&args[1], SUBCOMMAND_SHOWN_MAX);
                let text = unknown_or_misused(&name, "DEBUG");
                self.answer(client, |reply| reply.error(&text));
            }
        }
    }

    /// DEBUG QUICKLIST-PACKED-THRESHOLD: other shards follow with their next tick.
    fn set_plain_len_min(&mut self, client: &mut Client, text: &[u8]) {
        /// A listpack of one element is below 4 GiB.
        const MAX: u64 = (1 << 32) - (1 << 20);
        let bytes = crate::config::memory(text).filter(|bytes| *bytes <= MAX);
        let Some(bytes) = bytes.and_then(|bytes| usize::try_from(bytes).ok()) else {
            return self.answer(client, |reply| {
                reply.error(
                    "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
                );
            });
        };
        self.shared
            .list_plain_len_min
            .store(bytes, Ordering::Relaxed);
        self.data.settings.list_limits.plain_len_min = bytes;
        // A new version of the configuration is what the shards look at.
        let unchanged = |_: &mut crate::config::Config| Ok::<(), std::convert::Infallible>(());
        let Ok(()) = self.shared.config.update(unchanged);
        self.answer(client, Reply::ok);
    }

    /// DEBUG POPULATE count [prefix] [size]: every shard makes the keys that it owns.
    pub(super) fn debug_populate(&mut self, client: &mut Client, args: Args<'_>) {
        let positive = |at: usize| {
            args.get(at)
                .map(|arg| parse_i64(arg).and_then(|number| u64::try_from(number).ok()))
        };
        // Redis looks at the size only if it is the last argument.
        let size = if args.len() == 5 { positive(4) } else { None };
        let (Some(Some(count)), None | Some(Some(_))) = (positive(2), size) else {
            return self.answer(client, |reply| {
                reply.error("ERR value is out of range, must be positive");
            });
        };
        let size = size.flatten().filter(|size| *size > 0);
        let too_long = |size: &u64| *size > self.data.settings.string_len_max as u64;
        if size.as_ref().is_some_and(too_long) {
            return self.answer(client, |reply| {
                reply.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
            });
        }
        let question = Question::Populate {
            db: client.db,
            count,
            prefix: args.get(3).unwrap_or(b"key").to_vec(),
            size: size.map(|size| size as usize),
            tx: match client.waiting {
                Waiting::Transaction(tx) => Some(tx),
                _ => None,
            },
        };
        self.ask(client, Purpose::Ok, &question);
    }

    /// DEBUG SLEEP: in Redis the server stands still; here only this connection does.
    pub(super) fn debug_sleep(&mut self, client: &mut Client, args: Args<'_>) {
        let seconds = std::str::from_utf8(&args[2]).ok();
        let seconds = seconds.and_then(|text| text.trim().parse::<f64>().ok());
        let sleep_ns = seconds.map_or(0, |seconds| (seconds * 1e9) as u64);
        if sleep_ns == 0 {
            return self.answer(client, Reply::ok);
        }
        let until_ns = self.now.mono_ns.saturating_add(sleep_ns);
        client.waiting = Waiting::Sleep { until_ns };
        self.sleepers.push(client.conn);
    }

    /// This shard's part of DEBUG POPULATE. Keys that are there stay, replicas are not told.
    /// Keys that others have locked stay as they are, for they may be lent out.
    pub(super) fn populate(
        &mut self,
        db: usize,
        count: u64,
        (prefix, size): (&[u8], Option<usize>),
        tx: Option<TxId>,
    ) {
        let all_mine = tx.is_some_and(|tx| self.locks.holds_whole(tx));
        let now_ms = self.now.unix_ms;
        let mut key = Vec::with_capacity(prefix.len() + 21);
        let mut value = Vec::new();
        let mut digits = itoa::Buffer::new();
        for number in 0..count {
            let number = digits.format(number).as_bytes();
            key.clear();
            key.extend_from_slice(prefix);
            key.push(b':');
            key.extend_from_slice(number);
            let locked = !all_mine && self.locks.holds(&key);
            if self.shared.owner(&key) != self.id || locked {
                continue;
            }
            let there = self.keyspace.db(db).get(&key);
            if there.is_some_and(|entry| !entry.is_expired(now_ms)) {
                continue;
            }
            value.clear();
            value.extend_from_slice(b"value:");
            value.extend_from_slice(number);
            if let Some(size) = size {
                value.resize(size, 0);
            }
            let entry = Entry::string(&key, &value, None);
            self.keyspace.db_mut(db).insert(entry);
            self.data.watched.touch(db, &key);
        }
    }
}

/// DEBUG PROTOCOL: a reply of each type, for tests of clients.
fn protocol(reply: &mut Reply, kind: &[u8]) {
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk_str("Hello World"),
        b"integer" => reply.integer(12345),
        b"double" => reply.double(3141.0 / 1000.0),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.integer(number);
                reply.boolean(number == 1);
            }
        }
        b"attrib" => {
            if reply.version() == Version::Resp3 {
                reply.attribute(1);
                reply.bulk_str("key-popularity");
                reply.array(2);
                reply.bulk_str("key:123");
                reply.integer(90);
            }
            reply.bulk_str("Some real reply following the attribute");
        }
        b"push" if reply.version() == Version::Resp2 => {
            reply.error("ERR RESP2 is not supported by this command");
        }
        b"push" => {
            reply.push(2);
            reply.bulk_str("server-cpu-usage");
            reply.integer(42);
        }
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        _ => reply.error(
            "ERR Wrong protocol type name. Please use one of the following: \
             string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
        ),
    }
}

/// DEBUG STRINGMATCH-TEST: a pattern is a peer's, so none may hang or panic.
fn match_random_patterns(rng: &mut Rng) {
    const ROUNDS: usize = 10_000;
    const LEN_MAX: u64 = 32;
    const LETTERS: &[u8] = b"ab*?[]^-\\";
    let mut text = || -> Vec<u8> {
        let len = rng.next_u64() % LEN_MAX;
        let letter = |_| LETTERS[(rng.next_u64() % LETTERS.len() as u64) as usize];
        (0..len).map(letter).collect()
    };
    for _ in 0..ROUNDS {
        let (pattern, subject) = (text(), text());
        glob_match(&pattern, &subject, false);
    }
}

/// C's `atoi`: the number that a text begins with, or 0.
fn leading_integer(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let value = digits.fold(0i64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
    });
    sign * value
}

const HELP: &[&str] = &[
    "CHANGE-REPL-ID",
    "    Give the history a new replication id.",
    "DIGEST",
    "    A digest of the whole dataset.",
    "DIGEST-VALUE <key> [<key> [...]]",
    "    A digest of each key's value.",
    "ERROR <string>",
    "    Answer with the error <string>.",
    "LISTPACK <key>",
    "    Show the bytes of <key>, if it is a listpack, in the log.",
    "LOG <message>",
    "    Write <message> to the log.",
    "OBJECT <key>",
    "    How a key is stored.",
    "PANIC",
    "    End the server by a panic.",
    "POPULATE <count> [<prefix>] [<size>]",
    "    Make <count> strings named key:<num>, or <prefix>:<num>, that are not there yet.",
    "    Replicas are not told.",
    "QUICKLIST <key> [<0|1>]",
    "    Show how <key>, if it is a quicklist, is made up in the log; with 1 also its nodes.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    From which length on an element of a list gets a node of its own; 0 as by default.",
    "PROTOCOL <type>",
    "    Answer with a reply of <type>.",
    "RELOAD [MERGE] [NOFLUSH]",
    "    Write all values as a snapshot would, and read them back.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Turn the deletion of expired keys that nobody reads off or on.",
    "SLEEP <seconds>",
    "    Make this connection wait; fractions are allowed.",
    "STRINGMATCH-TEST",
    "    Match random patterns.",
];

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::leading_integer;

    #[test]
    fn texts_are_numbers_as_c_sees_them() {
        for (text, want) in [("12", 12), ("-3x", -3), (" +4", 4), ("x", 0), ("", 0)] {
            assert_eq!(leading_integer(text.as_bytes()), want);
        }
        assert_eq!(leading_integer(&[b'9'; 40]), i64::MAX);
    }

    #[test]
    fn debug_is_refused_unless_the_configuration_allows_it() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        let forbid = |config: &mut crate::config::Config| {
            config.enable_debug_command = crate::config::ProtectedAction::No;
            Ok::<(), ()>(())
        };
        world.shared.config.update(forbid).unwrap();
        let text = world.text(conn, "DEBUG SLEEP 0");
        assert!(
            text.starts_with("-ERR DEBUG command not allowed. If the"),
            "{text}"
        );
    }

    #[test]
    fn misuse_of_debug_has_one_text() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        for command in ["FOO", "SLEEP", "SLEEP 1 2", "JMAP", "HELP x"] {
            let name = command.split(' ').next().unwrap();
            let want = format!(
                "-ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP."
            );
            assert_eq!(world.text(conn, &format!("DEBUG {command}")), want);
        }
        assert_eq!(world.text(conn, "DEBUG ERROR abc"), "-abc");
        let want = "-ERR value is out of range, must be positive";
        assert_eq!(world.text(conn, "DEBUG POPULATE x"), want);
        assert_eq!(world.text(conn, "DEBUG POPULATE -1"), want);
        assert_eq!(world.text(conn, "DEBUG POPULATE 1 p x"), want);
    }

    #[test]
    fn digests_and_objects_are_asked_of_the_shards_that_own_them() {
        let mut digests = Vec::new();
        for shards in [1, 3] {
            let mut world = World::new(shards);
            let conn = world.connect(0);
            world.text(conn, "DEBUG POPULATE 50");
            digests.push(world.text(conn, "DEBUG DIGEST"));
            let key = world.key(shards - 1, 0);
            let text = world.text(conn, &format!("DEBUG OBJECT {key}"));
            assert!(text.starts_with("+Value at:"), "{text}");
            let text = world.text(conn, &format!("DEBUG DIGEST-VALUE {key} nosuch"));
            assert!(text.starts_with("*2 +"), "{text}");
        }
        assert_eq!(digests[0], digests[1]);
        assert_eq!(digests[0].len(), 41);
        assert_ne!(digests[0], format!("+{}", "0".repeat(40)));
    }

    #[test]
    fn reloading_keeps_the_data_and_its_times() {
        for shards in [1, 3] {
            let mut world = World::new(shards);
            let conn = world.connect(0);
            world.text(conn, "DEBUG POPULATE 50");
            world.text(conn, "HSET h f v g w");
            world.text(conn, "PEXPIREAT key:3 1800000000000");
            let before = world.text(conn, "DEBUG DIGEST");
            world.published();
            assert_eq!(world.text(conn, "DEBUG RELOAD NOFLUSH MERGE"), "+OK");
            assert_eq!(world.text(conn, "DEBUG DIGEST"), before);
            assert_eq!(world.text(conn, "PEXPIRETIME key:3"), ":1800000000000");
            assert!(world.published().is_empty());
            let text = world.text(conn, "DEBUG RELOAD x");
            assert!(text.starts_with("-ERR DEBUG RELOAD only"), "{text}");
            let text = world.text(conn, "DEBUG RELOAD NOSAVE");
            assert!(text.starts_with("-ERR Error trying to load"), "{text}");
        }
    }

    #[test]
    fn there_is_a_reply_of_each_type() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        for (kind, resp2, resp3) in [
            ("string", "$11 Hello World", "$11 Hello World"),
            ("double", "$5 3.141", ",3.141"),
            ("null", "$-1", "_"),
            ("set", "*3 :0 :1 :2", "~3 :0 :1 :2"),
            ("map", "*6 :0 :0 :1 :1 :2 :0", "%3 :0 #f :1 #t :2 #f"),
            ("true", ":1", "#t"),
        ] {
            for (version, want) in [(2, resp2), (3, resp3)] {
                world.text(conn, &format!("HELLO {version}"));
                assert_eq!(world.text(conn, &format!("DEBUG PROTOCOL {kind}")), want);
            }
        }
        let text = world.text(conn, "DEBUG STRINGMATCH-TEST");
        assert!(text.ends_with("test passed"), "{text}");
        assert_eq!(world.text(conn, "DEBUG LOG hello"), "+OK");
    }

    #[test]
    fn populating_makes_each_key_once_on_its_own_shard() {
        for shards in [1, 3] {
            let mut world = World::new(shards);
            let conn = world.connect(0);
            world.text(conn, "SET key:7 mine");
            world.published();
            assert_eq!(world.text(conn, "DEBUG POPULATE 100"), "+OK");
            let total: usize = world.shards.iter().map(|s| s.keyspace.db(0).len()).sum();
            assert_eq!(total, 100);
            assert_eq!(world.text(conn, "GET key:7"), "$4 mine");
            assert_eq!(world.text(conn, "GET key:99"), "$8 value:99");
            assert_eq!(world.text(conn, "SELECT 3"), "+OK");
            assert_eq!(world.text(conn, "DEBUG POPULATE 2 p 10"), "+OK");
            assert_eq!(world.text(conn, "GET p:1"), "$10 value:1\0\0\0");
            assert!(world.published().is_empty());
        }
    }

    #[test]
    fn a_sleeping_connection_waits_and_others_do_not() {
        let mut world = World::new(1);
        let (sleeper, other) = (world.connect(0), world.connect(0));
        assert_eq!(world.pipeline(sleeper, "DEBUG SLEEP 0.5\nPING"), "");
        assert_eq!(world.text(other, "PING"), "+PONG");
        world.advance(499);
        assert!(world.take(sleeper).is_empty());
        world.advance(1);
        assert_eq!(world.take(sleeper), b"+OK\r\n+PONG\r\n");
        assert_eq!(world.text(sleeper, "DEBUG SLEEP x"), "+OK");
    }
}
