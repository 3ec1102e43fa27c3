//! The slow log of one shard: commands of its connections that took long.
//!
//! A command may run on another shard than its connection lives on. The shard that timed it makes
//! the entry, with a number from the whole process's count; the connection's home adds who sent it
//! and keeps it. So each home's log holds its own connections' entries, and all homes' entries
//! together are in order of their numbers.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::Ordering;

use crate::command::{Command, Flags};
use crate::protocol::{Args, Reply};

use super::Shard;
use super::client::Client;
use super::message::Item;
use super::shell::ConnId;

/// Arguments of an entry, with the note of how many more there were.
const ARGS_MAX: usize = 32;
/// Bytes of an argument that are kept.
const ARG_BYTES_MAX: usize = 128;
/// What a secret is replaced by.
pub(super) const REDACTED: &[u8] = b"(redacted)";
/// Directives whose values are secrets.
const SECRETS: [&str; 3] = ["requirepass", "masterauth", "primaryauth"];

/// A command that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowEntry {
    /// Ascending over the whole process.
    pub id: u64,
    /// When it had run.
    pub unix_s: u64,
    pub micros: u64,
    /// Shortened, and without secrets.
    pub args: Vec<Vec<u8>>,
    /// Who sent it: `ip:port`, and the name it gave itself.
    pub peer: String,
    pub name: Vec<u8>,
}

/// The entries of a home, the newest first.
#[derive(Default)]
pub(super) struct SlowLog {
    entries: VecDeque<SlowEntry>,
    /// Made here just now; who sent them is still to be added.
    pub(super) unclaimed: Vec<SlowEntry>,
}

impl SlowLog {
    fn push(&mut self, entry: SlowEntry, len_max: usize) {
        self.entries.push_front(entry);
        self.entries.truncate(len_max);
    }
}

impl Shard {
    /// Makes an entry of a command that ran on this shard.
    #[cold]
    pub(super) fn note_slow(&mut self, command: &Command, args: Args<'_>, micros: u64) {
        if command.flags.has(Flags::SKIP_SLOWLOG) || self.config.slowlog_max_len == 0 {
            return;
        }
        self.slow_log.unclaimed.push(SlowEntry {
            id: self.shared.next_slow.fetch_add(1, Ordering::Relaxed),
            unix_s: self.now.unix_ms / 1000,
            micros,
            args: shown_args(command, args),
            peer: String::new(),
            name: Vec::new(),
        });
    }

    /// The commands that just ran were sent by `client`.
    #[inline]
    pub(super) fn claim_slow(&mut self, client: &Client) {
        if !self.slow_log.unclaimed.is_empty() {
            let entries = std::mem::take(&mut self.slow_log.unclaimed);
            self.keep_slow(entries, &client.peer, &client.name);
        }
    }

    /// The commands that just ran were sent by a connection of the shard `home`, or by nobody: the
    /// upstream's stream.
    #[inline]
    pub(super) fn claim_slow_of(&mut self, home: usize, conn: Option<ConnId>) {
        if self.slow_log.unclaimed.is_empty() {
            return;
        }
        let entries = std::mem::take(&mut self.slow_log.unclaimed);
        match conn {
            Some(conn) if home != self.id => {
                let entries = Box::new(entries);
                self.post(home, Item::Slow { conn, entries });
            }
            Some(conn) => self.receive_slow(conn, entries),
            None => self.keep_slow(entries, "?:0", b""),
        }
    }

    /// Takes away what is not claimed yet, while a command of another connection runs in between.
    #[inline]
    pub(super) fn set_slow_aside(&mut self) -> Vec<SlowEntry> {
        std::mem::take(&mut self.slow_log.unclaimed)
    }

    /// Puts back what was set aside.
    #[inline]
    pub(super) fn put_slow_back(&mut self, entries: Vec<SlowEntry>) {
        self.slow_log.unclaimed = entries;
    }

    /// Home's side: commands of one of its connections took long elsewhere.
    pub(super) fn receive_slow(&mut self, conn: ConnId, entries: Vec<SlowEntry>) {
        // A connection that is gone has neither address nor name any more.
        let who = self
            .client(conn)
            .map(|client| (client.peer.clone(), client.name.clone()));
        let (peer, name) = who.unwrap_or_default();
        self.keep_slow(entries, &peer, &name);
    }

    /// A home's connection has its answers from all shards: only now was its command run.
    pub(super) fn keep_slow(&mut self, entries: Vec<SlowEntry>, peer: &str, name: &[u8]) {
        let len_max = usize::try_from(self.config.slowlog_max_len).unwrap_or(usize::MAX);
        for mut entry in entries {
            entry.peer = peer.to_owned();
            entry.name = name.to_vec();
            self.slow_log.push(entry, len_max);
        }
    }

    /// This home's entries, at most as many as the log may have.
    pub(super) fn slow_entries(&self) -> Vec<SlowEntry> {
        self.slow_log.entries.iter().cloned().collect()
    }

    pub(super) fn reset_slow_log(&mut self) {
        self.slow_log.entries.clear();
    }
}

/// The newest entries of all homes, the newest first.
pub(super) fn newest(mut entries: Vec<SlowEntry>, len_max: usize) -> Vec<SlowEntry> {
    entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.id));
    entries.truncate(len_max);
    entries
}

/// SLOWLOG GET's answer.
pub(super) fn show(reply: &mut Reply, entries: &[SlowEntry]) {
    reply.array(entries.len());
    for entry in entries {
        reply.array(6);
        reply.integer(entry.id as i64);
        reply.integer(entry.unix_s as i64);
        reply.integer(entry.micros as i64);
        reply.array(entry.args.len());
        entry.args.iter().for_each(|arg| reply.bulk(arg));
        reply.bulk_str(&entry.peer);
        reply.bulk(&entry.name);
    }
}

/// A command's arguments as an entry keeps them.
fn shown_args(command: &Command, args: Args<'_>) -> Vec<Vec<u8>> {
    let kept = match args.len() {
        few if few <= ARGS_MAX => few,
        _ => ARGS_MAX - 1,
    };
    let secrets = secrets(command, args);
    let is_secret = |at: usize| secrets.contains(&at) || is_secret_value(command, args, at);
    let mut shown: Vec<Vec<u8>> = (args.iter().take(kept).enumerate())
        .map(|(at, arg)| match is_secret(at) {
            true => REDACTED.to_vec(),
            false => shortened(arg),
        })
        .collect();
    if kept < args.len() {
        shown.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    shown
}

fn shortened(arg: &[u8]) -> Vec<u8> {
    let mut shown = arg[..arg.len().min(ARG_BYTES_MAX)].to_vec();
    if arg.len() > ARG_BYTES_MAX {
        let more = format!("... ({} more bytes)", arg.len() - ARG_BYTES_MAX);
        shown.extend_from_slice(more.as_bytes());
    }
    shown
}

/// The arguments that are a password, with the user's name beside it.
pub(super) fn secrets(command: &Command, args: Args<'_>) -> Range<usize> {
    match command.full_name {
        "auth" => 1..args.len(),
        "hello" => {
            let is = |at: usize, word: &[u8]| {
                args.get(at)
                    .is_some_and(|arg| arg.eq_ignore_ascii_case(word))
            };
            let mut at = 2;
            while is(at, b"setname") {
                at += 2;
            }
            match is(at, b"auth") {
                true => at + 1..at + 3,
                false => 0..0,
            }
        }
        _ => 0..0,
    }
}

/// Whether argument `at` is the value of a directive that is a secret.
fn is_secret_value(command: &Command, args: Args<'_>, at: usize) -> bool {
    let names =
        |name: &[u8]| (SECRETS.iter()).any(|secret| secret.as_bytes().eq_ignore_ascii_case(name));
    command.full_name == "config|set"
        && at > 2
        && at % 2 == 1
        && args.get(at - 1).is_some_and(names)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Conn, World};

    /// A world that logs every command.
    fn world(shards: usize) -> (World, Conn) {
        let mut world = World::with_config(shards, &[("slowlog-log-slower-than", "0")]);
        let conn = world.connect(0);
        world.text(conn, "SLOWLOG RESET");
        (world, conn)
    }

    #[test]
    fn an_entry_tells_what_ran_when_and_who_sent_it() {
        let (mut world, conn) = world(1);
        world.text(conn, "CLIENT SETNAME bob");
        world.text(conn, "GET a");
        let want = "*2 *6 :2 :1700000000 :0 *2 $3 GET $1 a $15 127.0.0.1:50000 $3 bob \
            *6 :1 :1700000000 :0 *3 $6 CLIENT $7 SETNAME $3 bob $15 127.0.0.1:50000 $3 bob";
        let text = world.text(conn, "SLOWLOG GET 2");
        assert_eq!(text, want);
    }

    #[test]
    fn long_arguments_and_long_lists_are_shortened() {
        let (mut world, conn) = world(1);
        let long = "x".repeat(130);
        world.text(conn, &format!("SET a {long}"));
        let shown = format!("$146 {}... (2 more bytes)", "x".repeat(128));
        let text = world.text(conn, "SLOWLOG GET 1");
        assert!(text.contains(&shown), "{text}");
        for (count, last) in [(31, "$2 31"), (32, "$22 ... (2 more arguments)")] {
            let keys: Vec<String> = (1..=count).map(|n| n.to_string()).collect();
            world.text(conn, &format!("DEL {}", keys.join(" ")));
            let text = world.text(conn, "SLOWLOG GET 1");
            assert!(text.contains(" *32 $3 DEL "), "{text}");
            assert!(text.contains(last), "{text}");
        }
    }

    #[test]
    fn passwords_are_never_kept() {
        let (mut world, conn) = world(1);
        for command in [
            "AUTH bob secret",
            "HELLO 3 AUTH bob secret SETNAME x",
            "CONFIG SET maxclients 9 requirepass secret",
            "CONFIG SET requirepass secret maxclients 9",
        ] {
            world.text(conn, command);
            world.text(conn, "AUTH secret");
        }
        world.pipeline(conn, "MULTI\nCONFIG SET requirepass secret\nEXEC");
        let text = world.text(conn, "SLOWLOG GET -1");
        assert!(
            !text.contains("secret") && text.contains("(redacted)"),
            "{text}"
        );
        assert!(text.contains("$10 maxclients $1 9"), "{text}");
    }

    #[test]
    fn all_shards_logs_are_shown_as_one_in_order() {
        let (mut world, conn) = world(3);
        let other = world.connect(1);
        for shard in [2, 0, 1] {
            let key = world.key(shard, 0);
            world.text(conn, &format!("SET {key} {shard}"));
            world.text(other, &format!("GET {key}"));
        }
        let text = world.text(conn, "SLOWLOG GET -1");
        let names: Vec<&str> = (text.split(' '))
            .filter(|w| ["SET", "GET"].contains(w))
            .collect();
        assert_eq!(names, ["GET", "SET", "GET", "SET", "GET", "SET"]);
        assert!(text.contains("127.0.0.1:50000") && text.contains("127.0.0.1:51000"));
        let len: i64 = world.text(conn, "SLOWLOG LEN")[1..].parse().unwrap();
        assert!(len >= 7);
        world.text(conn, "CONFIG SET slowlog-max-len 3");
        assert_eq!(world.text(conn, "SLOWLOG LEN"), ":3");
        assert!(world.text(conn, "SLOWLOG GET").starts_with("*3 "));
        world.text(conn, "CONFIG SET slowlog-log-slower-than -1");
        assert_eq!(world.text(conn, "SLOWLOG RESET"), "+OK");
        assert_eq!(world.text(conn, "SLOWLOG GET"), "*0");
    }

    #[test]
    fn commands_of_a_transaction_are_entries_of_their_own() {
        for shards in [1, 3] {
            let (mut world, conn) = world(shards);
            let keys = [0, shards - 1].map(|shard| world.key(shard, 0));
            let [a, b] = &keys;
            world.pipeline(conn, &format!("MULTI\nSET {a} 1\nPING\nSET {b} 2\nEXEC"));
            let text = world.text(conn, "SLOWLOG GET 3");
            let names: Vec<&str> = (text.split(' '))
                .filter(|word| ["SET", "PING", "EXEC", "MULTI"].contains(word))
                .collect();
            assert_eq!(names, ["SET", "PING", "SET"], "{text}");
            assert_eq!(text.matches("127.0.0.1:50000").count(), 3);
        }
    }
}
