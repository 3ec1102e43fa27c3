//! Random commands, drawn from the templates of `grammar`.

mod lists;
mod sorted_sets;
mod streams;

use crate::grammar::{How, templates};
use crate::support::random::Random;
use streams::{STREAMS_WATCHED, Streams};

/// How the two replies to a command are compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Check {
    Exact,
    /// The same elements in any order.
    Unordered,
    /// The same pairs in any order.
    UnorderedPairs,
    /// Exact if the reply to the command before it, OBJECT ENCODING, says listpack.
    Ordered(Box<Check>),
    /// Two integers that time may have moved apart by this much; negative ones are exact.
    Near(i64),
    /// The same kinds of values and the same lengths: the values are random.
    Shape,
    /// A payload of DUMP: the same but for version and checksum where the encoding has one form.
    Dump,
    /// The server's name, version and the connection's id are its own.
    Hello,
    /// An error, exact, or one step of an iteration, whose content is the server's own.
    Cursor,
    /// Exact but for times and idle times of pending entries and consumers.
    Times,
    /// The results of a transaction.
    Exec(Vec<Check>),
    /// No reply at all.
    Silent,
}

#[derive(Clone, Debug)]
pub struct Command {
    pub args: Vec<Vec<u8>>,
    pub check: Check,
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    /// One pipeline of one connection.
    Batch {
        client: usize,
        commands: Vec<Command>,
    },
    /// A full iteration with SCAN, or with HSCAN and the like of a key.
    Scan {
        client: usize,
        /// The command and how many strings of its reply make an element.
        of: Option<(&'static str, usize)>,
        key: Option<Vec<u8>>,
        options: Vec<Vec<u8>>,
    },
    /// RESTORE, on both servers, of what one of them dumped.
    CrossDump {
        client: usize,
        from_reference: bool,
        key: Vec<u8>,
        dest: Vec<u8>,
    },
    Digest,
}

impl Step {
    pub fn len(&self) -> usize {
        match self {
            Step::Batch { commands, .. } => commands.len(),
            _ => 1,
        }
    }
}

/// Two plain RESP2 connections and one that starts in RESP3.
pub const CLIENTS: usize = 3;

/// Seconds, or thousands of milliseconds, by which busy machines may drift apart.
const DRIFT: i64 = 60;

/// How members begin that are popped at random.
pub const POPPED: &[u8] = b"popped:";

/// Commands whose replies are random but for their shape.
const DRAWING: &[&str] = &["HRANDFIELD", "SRANDMEMBER", "ZRANDMEMBER"];

/// Commands whose steps are built by hand below rather than by a template.
const BY_HAND: &[&str] = &["MULTI", "WATCH"];

/// The commands that the grammar can send, in upper case.
pub fn covered() -> std::collections::BTreeSet<String> {
    let mut names: std::collections::BTreeSet<String> =
        BY_HAND.iter().map(|n| (*n).to_owned()).collect();
    for (_, _, template) in templates() {
        let first = template
            .split(' ')
            .next()
            .expect("a template has a first word");
        let first = first.trim_start_matches('[').trim_end_matches(']');
        names.extend(
            first
                .split('|')
                .filter(|n| !n.starts_with('$'))
                .map(str::to_owned),
        );
    }
    names
}

/// Whether this is a ZADD to a key whose members all have one score.
fn one_score(name: &str, args: &[Vec<u8>]) -> bool {
    let key = args.get(1).and_then(|key| key.first());
    name == "ZADD" && key.is_some_and(|first| first.eq_ignore_ascii_case(&b'y'))
}

pub struct Generator {
    pub random: Random,
    total_weight: usize,
    streams: Streams,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let total_weight = templates().map(|t| t.0).sum();
        Generator {
            random: Random::new(seed),
            total_weight,
            streams: Streams::default(),
        }
    }

    pub fn step(&mut self) -> Step {
        let client = self.random.below(CLIENTS);
        match self.random.below(100) {
            0 => Step::Scan {
                client,
                of: None,
                key: None,
                options: self.scan_options(true),
            },
            1 => {
                let (name, strings, key) = match self.random.below(3) {
                    0 => ("HSCAN", 2, self.hash_key()),
                    1 => ("SSCAN", 1, self.set_key()),
                    _ => ("ZSCAN", 2, self.sorted_set_key()),
                };
                Step::Scan {
                    client,
                    of: Some((name, strings)),
                    key: Some(key),
                    options: self.scan_options(false),
                }
            }
            2 | 3 => {
                let from_reference = self.random.one_in(2);
                Step::CrossDump {
                    client,
                    from_reference,
                    key: self.key(),
                    dest: self.key(),
                }
            }
            _ => self.batch(client),
        }
    }

    fn scan_options(&mut self, types: bool) -> Vec<Vec<u8>> {
        let mut words = Vec::new();
        if self.random.one_in(2) {
            words.extend([
                b"COUNT".to_vec(),
                self.random.between(1, 500).to_string().into_bytes(),
            ]);
        }
        if self.random.one_in(3) {
            words.extend([b"MATCH".to_vec(), self.pattern()]);
        }
        if types && self.random.one_in(3) {
            let kinds = ["string", "hash", "HASH", "list", "set", "zset", "stream"];
            let kind = self.random.pick(&kinds);
            words.extend([b"TYPE".to_vec(), kind.as_bytes().to_vec()]);
        }
        words
    }

    fn batch(&mut self, client: usize) -> Step {
        let wanted = match self.random.below(10) {
            0..=3 => 1,
            4..=7 => self.random.below(10) + 2,
            8 => self.random.below(40) + 10,
            _ => self.random.below(100) + 50,
        };
        let mut commands = Vec::new();
        while commands.len() < wanted {
            match self.random.below(60) {
                0 => self.transaction(&mut commands),
                1 => self.watch(&mut commands),
                2 => self.ordered_read(&mut commands),
                3 => self.expire_now(&mut commands),
                4 if self.random.one_in(4) => self.unanswered(&mut commands),
                5 if self.random.one_in(3) => self.pop_some(&mut commands),
                _ => {
                    let command = self.command();
                    commands.push(command);
                }
            }
        }
        Step::Batch { client, commands }
    }

    fn transaction(&mut self, out: &mut Vec<Command>) {
        if self.random.one_in(3) {
            self.watch(out);
        }
        out.push(exact(["MULTI"]));
        let mut checks = Vec::new();
        for _ in 0..self.random.below(6) {
            let mut command = self.command();
            // Within a transaction these act on the connection in ways that break the pairing
            // of results and checks.
            let name = command.args[0].to_ascii_uppercase();
            if matches!(
                name.as_slice(),
                b"RESET" | b"HELLO" | b"EXEC" | b"DISCARD" | b"UNWATCH"
            ) {
                continue;
            }
            checks.push(std::mem::replace(&mut command.check, Check::Exact));
            out.push(command);
        }
        if self.random.one_in(8) {
            out.push(exact(["DISCARD"]));
        } else {
            let args = vec![b"EXEC".to_vec()];
            out.push(Command {
                args,
                check: Check::Exec(checks),
            });
        }
    }

    /// The watch outlives the batch, so that another connection can spoil it.
    fn watch(&mut self, out: &mut Vec<Command>) {
        let mut args = vec![b"WATCH".to_vec()];
        for _ in 0..=self.random.below(3) {
            args.push(self.key());
        }
        out.push(Command {
            args,
            check: Check::Exact,
        });
    }

    /// A read of a whole hash, whose order is part of the reply while it is a listpack.
    fn ordered_read(&mut self, out: &mut Vec<Command>) {
        let key = self.hash_key();
        let (name, check) = match self.random.below(3) {
            0 => ("HKEYS", Check::Unordered),
            1 => ("HVALS", Check::Unordered),
            _ => ("HGETALL", Check::UnorderedPairs),
        };
        out.push(Command {
            args: vec![b"OBJECT".to_vec(), b"ENCODING".to_vec(), key.clone()],
            check: Check::Exact,
        });
        let check = Check::Ordered(Box::new(check));
        out.push(Command {
            args: vec![name.into(), key],
            check,
        });
    }

    /// A key that is born dead, and a look at it: its deletion is lazy but certain.
    fn expire_now(&mut self, out: &mut Vec<Command>) {
        let key = self.string_key();
        let unit = self.random.pick(&["PXAT", "EXAT"]).as_bytes().to_vec();
        let value = self.value();
        let args = vec![b"SET".to_vec(), key.clone(), value, unit, b"1000".to_vec()];
        out.push(Command {
            args,
            check: Check::Exact,
        });
        let look = self
            .random
            .pick(&["GET", "EXISTS", "TTL", "TYPE", "INCR", "DEL", "PERSIST"]);
        out.push(Command {
            args: vec![look.into(), key],
            check: Check::Exact,
        });
    }

    /// A set whose members are alike to the comparison of streams; some are popped at random, and
    /// what is left goes before it can make a difference.
    fn pop_some(&mut self, out: &mut Vec<Command>) {
        let key = self.set_key();
        let len = match self.random.below(10) {
            0 => 1_500 + self.random.below(2_000),
            1..4 => 100 + self.random.below(200),
            _ => 1 + self.random.below(20),
        };
        let mut send = |args: Vec<Vec<u8>>, check| out.push(Command { args, check });
        send(vec![b"DEL".to_vec(), key.clone()], Check::Exact);
        let mut add = vec![b"SADD".to_vec(), key.clone()];
        add.extend((0..len).map(|n| [POPPED, n.to_string().as_bytes()].concat()));
        send(add, Check::Exact);
        for _ in 0..=self.random.below(3) {
            let mut pop = vec![b"SPOP".to_vec(), key.clone()];
            if self.random.one_in(2) {
                pop.push(self.random.below(len + 2).to_string().into_bytes());
            }
            send(pop, Check::Shape);
            send(vec![b"SCARD".to_vec(), key.clone()], Check::Exact);
        }
        send(vec![b"DEL".to_vec(), key], Check::Exact);
    }

    fn unanswered(&mut self, out: &mut Vec<Command>) {
        let client = |word: &str, check| Command {
            args: vec![b"CLIENT".to_vec(), b"REPLY".to_vec(), word.into()],
            check,
        };
        if self.random.one_in(2) {
            out.push(client("SKIP", Check::Silent));
            out.push(Command {
                check: Check::Silent,
                ..self.plain_set()
            });
        } else {
            out.push(client("OFF", Check::Silent));
            for _ in 0..self.random.below(4) {
                out.push(Command {
                    check: Check::Silent,
                    ..self.plain_set()
                });
            }
            out.push(client("ON", Check::Exact));
        }
    }

    fn plain_set(&mut self) -> Command {
        let args = vec![b"SET".to_vec(), self.string_key(), self.value()];
        Command {
            args,
            check: Check::Exact,
        }
    }

    /// One command from the templates, sometimes spoilt.
    pub fn command(&mut self) -> Command {
        let mut ticket = self.random.below(self.total_weight);
        let (_, how, template) = templates()
            .find(|t| match ticket.checked_sub(t.0) {
                Some(rest) => {
                    ticket = rest;
                    false
                }
                None => true,
            })
            .expect("weights add up");
        let mut args = self.expand(template);
        let name = String::from_utf8_lossy(&args[0]).to_uppercase();
        let mut check = match how {
            How::Exact => Check::Exact,
            How::Unordered if name == "HGETALL" => Check::UnorderedPairs,
            How::Unordered => Check::Unordered,
            How::Seconds => Check::Near(DRIFT),
            How::Millis => Check::Near(DRIFT * 1000),
            How::Shape => Check::Shape,
            How::Dump => Check::Dump,
            How::Hello => Check::Hello,
            How::Cursor => Check::Cursor,
            How::Times => Check::Times,
        };
        // What a spoilt SPOP removes is random, and ranges of members mean nothing once a spoilt
        // ZADD gave a member another score.
        let whole = name.starts_with("FLUSH") || name == "SPOP" || one_score(&name, &args);
        if self.random.one_in(30) && !whole {
            self.spoil(&mut args);
            // What was meant to fail may be right by now, and draw at random.
            if check == Check::Exact && DRAWING.contains(&name.as_str()) {
                check = Check::Shape;
            }
        }
        if self.random.one_in(10) {
            args[0].make_ascii_lowercase();
        }
        Command { args, check }
    }

    fn spoil(&mut self, args: &mut Vec<Vec<u8>>) {
        let garbage: Vec<u8> = self
            .random
            .pick(&[
                "foo",
                "",
                "-1",
                "9223372036854775808",
                "1.5",
                "NX",
                "\0",
                "*",
            ])
            .into();
        // As the id of a new entry this one would be the clock's.
        let clock = garbage == b"*" && args[0].eq_ignore_ascii_case(b"xadd");
        let garbage = if clock { b"foo".to_vec() } else { garbage };
        let at = 1 + self.random.below(args.len());
        match self.random.below(3) {
            0 if at < args.len() => {
                args.remove(at);
            }
            1 if at < args.len() => args[at] = garbage,
            _ => args.push(garbage),
        }
    }

    fn expand(&mut self, template: &str) -> Vec<Vec<u8>> {
        let mut text = String::new();
        let mut rest = template;
        while let Some(open) = rest.find('[') {
            let close = open + rest[open..].find(']').expect("a bracket is closed");
            let options: Vec<&str> = rest[open + 1..close].split('|').collect();
            text.push_str(&rest[..open]);
            text.push_str(options[self.random.below(options.len())]);
            rest = &rest[close + 1..];
        }
        text.push_str(rest);
        let mut args = Vec::new();
        for word in text.split_whitespace() {
            self.draw(word, &mut args);
        }
        args
    }

    fn draw(&mut self, word: &str, out: &mut Vec<Vec<u8>>) {
        if self.draw_of_set(word, out)
            || self.draw_of_sorted_set(word, out)
            || self.draw_of_stream(word, out)
            || self.draw_of_list(word, out)
        {
            return;
        }
        let number = |n: i64| n.to_string().into_bytes();
        let one = match word {
            "$k" => self.key(),
            "$s" => self.string_key(),
            "$h" => self.hash_key(),
            "$H" => self.big_hash_key(),
            "$b" => number_after(b"b", self.random.below(8)),
            "$p" => number_after(b"p", self.random.below(6)),
            "$e" => number_after(b"e", self.random.below(2000)),
            "$bit" => number(match self.random.below(4) {
                0 => self.random.between(0, 2900),
                _ => self.random.between(0, 130),
            }),
            "$f" => self.field(),
            "$F" => self.big_field(),
            "$v" => self.value(),
            "$i" => number(self.random.between(0, 9)),
            "$I" => self.integer(),
            "$d" => self.float(),
            "$sec" => number(self.random.between(10_000, 100_000_000)),
            "$ms" => number(self.random.between(10_000_000, 100_000_000_000)),
            "$SEC" => number(self.random.between(4_000_000_000, 9_000_000_000)),
            "$MS" => number(self.random.between(4_000_000_000_000, 9_000_000_000_000)),
            "$past" => number(self.random.between(1, 1_000_000_000)),
            "$past-" => number(-self.random.between(1, 1_000_000_000)),
            "$db" => number(match self.random.below(12) {
                0 => 15,
                1 => self.random.between(-1, 17),
                _ => self.random.between(0, 2),
            }),
            "$off" => number(self.random.between(0, 200)),
            "$idx" => self.index(),
            "$pat" => self.pattern(),
            "$bad" => self
                .random
                .pick(&["foo", "", "1.5", "nan", "0x10", "\r\n"])
                .into(),
            "$e+" => {
                let most = if self.random.one_in(5) { 60 } else { 4 };
                let count = 1 + self.random.below(most);
                let element = |_| number_after(b"e", self.random.below(2000));
                out.extend((0..count).map(element));
                return;
            }
            "$k+" => return self.several(out, |g, out| out.push(g.key())),
            "$f+" => return self.several(out, |g, out| out.push(g.field())),
            "$kv+" => return self.several(out, |g, out| out.extend([g.key(), g.value()])),
            "$fv+" => return self.several(out, |g, out| out.extend([g.field(), g.value()])),
            "$FV+" => {
                for _ in 0..self.random.below(40) {
                    out.extend([self.big_field(), number(self.random.between(0, 99))]);
                }
                out.extend([self.big_field(), self.value()]);
                return;
            }
            literal => match literal.split_once('$') {
                Some((head, _)) => [head.as_bytes(), &number(self.random.between(0, 9))].concat(),
                None => literal.into(),
            },
        };
        out.push(one);
    }

    /// The holes of templates of sets; whether `word` is one.
    fn draw_of_set(&mut self, word: &str, out: &mut Vec<Vec<u8>>) -> bool {
        match word {
            "$set" => out.push(self.set_key()),
            "$SET" => out.push(self.big_set_key()),
            "$mem" => out.push(self.member()),
            "$MEM" => out.push(self.big_member()),
            "$set+" => self.several(out, |g, out| out.push(g.set_key())),
            "$mem+" => self.several(out, |g, out| out.push(g.member())),
            "$MEM+" => {
                for _ in 0..=self.random.below(40) {
                    out.push(self.big_member());
                }
            }
            _ => return false,
        }
        true
    }

    fn several(&mut self, out: &mut Vec<Vec<u8>>, draw: fn(&mut Self, &mut Vec<Vec<u8>>)) {
        let count = if self.random.one_in(20) {
            12
        } else {
            1 + self.random.below(4)
        };
        for _ in 0..count {
            draw(self, out);
        }
    }

    fn key(&mut self) -> Vec<u8> {
        match self.random.below(26) {
            0..4 => self.hash_key(),
            4 => number_after(b"b", self.random.below(8)),
            5 => number_after(b"p", self.random.below(6)),
            6..8 => self.list_key(),
            8..11 => self.set_key(),
            11..14 => self.stream_key(STREAMS_WATCHED),
            14..17 => self.sorted_set_key(),
            _ => self.string_key(),
        }
    }

    fn string_key(&mut self) -> Vec<u8> {
        match self.random.below(40) {
            0 => Vec::new(),
            1 => b"\x00\xff\r\nkey".to_vec(),
            2 => format!("{{t}}{}", self.random.below(3)).into_bytes(),
            3 => format!("{{u}}{}", self.random.below(3)).into_bytes(),
            4 => self.hash_key(),
            5 => format!("h?[{}]*", self.random.below(3)).into_bytes(),
            _ => format!("s{}", self.random.below(30)).into_bytes(),
        }
    }

    fn hash_key(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => format!("s{}", self.random.below(30)).into_bytes(),
            1 => format!("{{t}}h{}", self.random.below(2)).into_bytes(),
            2..=4 => self.big_hash_key(),
            _ => format!("h{}", self.random.below(12)).into_bytes(),
        }
    }

    fn big_hash_key(&mut self) -> Vec<u8> {
        format!("H{}", self.random.below(3)).into_bytes()
    }

    fn set_key(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => self.string_key(),
            1 => format!("{{t}}g{}", self.random.below(2)).into_bytes(),
            2..=4 => self.big_set_key(),
            _ => format!("g{}", self.random.below(12)).into_bytes(),
        }
    }

    fn big_set_key(&mut self) -> Vec<u8> {
        format!("G{}", self.random.below(4)).into_bytes()
    }

    fn member(&mut self) -> Vec<u8> {
        match self.random.below(30) {
            0 => Vec::new(),
            1 => self.value(),
            2 => self.integer(),
            3 => self.big_member(),
            4..=10 => format!("m{}", self.random.below(14)).into_bytes(),
            _ => self.random.between(-3, 12).to_string().into_bytes(),
        }
    }

    fn big_member(&mut self) -> Vec<u8> {
        match self.random.below(3) {
            0 => format!("member:{}", self.random.below(200)).into_bytes(),
            _ => self.random.below(300).to_string().into_bytes(),
        }
    }

    fn field(&mut self) -> Vec<u8> {
        match self.random.below(30) {
            0 => Vec::new(),
            1 => self.value(),
            2 => self.integer(),
            3 => self.big_field(),
            _ => format!("f{}", self.random.below(14)).into_bytes(),
        }
    }

    fn big_field(&mut self) -> Vec<u8> {
        format!("field:{}", self.random.below(300)).into_bytes()
    }

    fn index(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0 => self.integer(),
            _ => self.random.between(-60, 60).to_string().into_bytes(),
        }
    }

    fn pattern(&mut self) -> Vec<u8> {
        let patterns = [
            "*",
            "s*",
            "h?",
            "[sh][0-4]",
            "s[^3-7]",
            "*1*",
            "\\*",
            "h\\?*",
            "",
            "{t}*",
            "[",
            "s[",
            "*[0-9]",
            "field:*5",
            "f1?",
            "m1*",
            "1?",
            "**?",
            "[a-",
            "[^s]*",
            "s1",
            "nothing",
        ];
        self.random.pick(&patterns).into()
    }

    fn integer(&mut self) -> Vec<u8> {
        let odd = [
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "0",
            "-0",
            "+1",
            " 1",
            "1 ",
            "01",
            "",
            "1e3",
            "4611686018427387904",
            "-1",
            "2147483648",
            "4294967296",
            "00",
            "1\0",
            "-9223372036854775809",
        ];
        match self.random.below(5) {
            0 => self.random.pick(&odd).into(),
            1 => (self.random.next() as i64 >> self.random.below(64))
                .to_string()
                .into_bytes(),
            _ => self.random.between(-1000, 1000).to_string().into_bytes(),
        }
    }

    fn float(&mut self) -> Vec<u8> {
        let odd = [
            "3.0e3",
            "1e-10",
            "-0",
            "0.1",
            "inf",
            "-inf",
            "nan",
            "1e400",
            " 1",
            "1 ",
            "0x1p3",
            "1.",
            ".5",
            "1e17",
            "123456789.123456789",
            "-1.5e5",
            "",
            "foo",
            "1e-400",
            "5e-324",
            "99999999999999999999",
            "0.30000000000000004",
            "1e5000",
            "infinity",
            "+2",
        ];
        match self.random.below(4) {
            0 => self.random.pick(&odd).into(),
            1 => self.integer(),
            2 => format!(
                "{}.{}",
                self.random.between(-99, 99),
                self.random.below(1000)
            )
            .into(),
            _ => {
                let scaled = self.random.between(-1_000_000, 1_000_000) as f64 / 256.0;
                scaled.to_string().into_bytes()
            }
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.below(24) {
            0 => Vec::new(),
            1..=6 => self.integer(),
            7..=9 => self.float(),
            10 => {
                let len = 43 + self.random.below(3);
                self.random.bytes(len)
            }
            11 => {
                let len = 63 + self.random.below(3);
                vec![b'x'; len]
            }
            12 => {
                let len = self.random.below(300);
                self.random.bytes(len)
            }
            13 if self.random.one_in(8) => {
                let len = 1_000 + self.random.below(40_000);
                vec![b'z'; len]
            }
            14 => b"\r\n$5\r\n\0".to_vec(),
            15 if self.random.one_in(4) => {
                let len = 1_020 + self.random.below(10);
                vec![b'y'; len]
            }
            _ => format!("value{}", self.random.below(50)).into_bytes(),
        }
    }
}

fn number_after(head: &[u8], number: usize) -> Vec<u8> {
    [head, number.to_string().as_bytes()].concat()
}

fn exact<const N: usize>(words: [&str; N]) -> Command {
    Command {
        args: words.iter().map(|w| (*w).into()).collect(),
        check: Check::Exact,
    }
}
