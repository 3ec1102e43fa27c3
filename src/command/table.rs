//! The sole declaration of every command: dispatch, arity, flags, key positions, ACL categories and
//! documentation all come from here. One row file per family keeps each list short.

use std::sync::OnceLock;

use hashbrown::HashMap;

use super::pubsub::Space;
use super::session::SessionOp;
use super::{Ctx, Outcome, Part, family, syntax};
use crate::keyspace::Entry;
use crate::protocol::{Args, Reply};

/// Bits of `COMMAND INFO`'s flags, named as there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(pub u32);

impl Flags {
    pub const NONE: Flags = Flags(0);
    pub const WRITE: Flags = Flags(1 << 0);
    pub const READONLY: Flags = Flags(1 << 1);
    pub const DENYOOM: Flags = Flags(1 << 2);
    pub const ADMIN: Flags = Flags(1 << 3);
    pub const PUBSUB: Flags = Flags(1 << 4);
    pub const NOSCRIPT: Flags = Flags(1 << 5);
    pub const BLOCKING: Flags = Flags(1 << 6);
    pub const LOADING: Flags = Flags(1 << 7);
    pub const STALE: Flags = Flags(1 << 8);
    pub const SKIP_MONITOR: Flags = Flags(1 << 9);
    pub const SKIP_SLOWLOG: Flags = Flags(1 << 10);
    pub const FAST: Flags = Flags(1 << 11);
    pub const NO_AUTH: Flags = Flags(1 << 12);
    pub const MAY_REPLICATE: Flags = Flags(1 << 13);
    pub const NO_MULTI: Flags = Flags(1 << 14);
    pub const MOVABLEKEYS: Flags = Flags(1 << 15);
    pub const ALLOW_BUSY: Flags = Flags(1 << 16);
    pub const NO_ASYNC_LOADING: Flags = Flags(1 << 17);
    pub const NO_MANDATORY_KEYS: Flags = Flags(1 << 18);
    pub const PROTECTED: Flags = Flags(1 << 19);
    /// May write keys that its arguments do not name (not shown by COMMAND INFO).
    pub const TOUCHES_ARBITRARY_KEYS: Flags = Flags(1 << 20);
    /// Reads, and may leave what it computed in the value: its keys are locked like those of a
    /// write (not shown by COMMAND INFO).
    pub const EXCLUSIVE: Flags = Flags(1 << 21);

    /// Both sets.
    pub const fn or(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Whether any bit of `other` is set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    /// The names in COMMAND INFO's order. `protected` and `may_replicate` are not shown there.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [(Flags, &str); 18] = [
            (Flags::WRITE, "write"),
            (Flags::READONLY, "readonly"),
            (Flags::DENYOOM, "denyoom"),
            (Flags::ADMIN, "admin"),
            (Flags::PUBSUB, "pubsub"),
            (Flags::NOSCRIPT, "noscript"),
            (Flags::BLOCKING, "blocking"),
            (Flags::LOADING, "loading"),
            (Flags::STALE, "stale"),
            (Flags::SKIP_MONITOR, "skip_monitor"),
            (Flags::SKIP_SLOWLOG, "skip_slowlog"),
            (Flags::FAST, "fast"),
            (Flags::NO_AUTH, "no_auth"),
            (Flags::NO_MANDATORY_KEYS, "no_mandatory_keys"),
            (Flags::NO_ASYNC_LOADING, "no_async_loading"),
            (Flags::NO_MULTI, "no_multi"),
            (Flags::MOVABLEKEYS, "movablekeys"),
            (Flags::ALLOW_BUSY, "allow_busy"),
        ];
        let names = NAMES.iter().filter(move |(flag, _)| self.has(*flag));
        names.map(|(_, name)| *name)
    }
}

/// Where a command's keys are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keys {
    /// It names no key.
    None,
    /// Arguments `first..=last` in steps; a negative `last` counts from the end (-1: the last).
    Range { first: u8, last: i8, step: u8 },
    /// SORT: the first argument and, if it may store, what the last STORE names.
    Sort { store: bool },
    /// `at` holds the number of keys that follow it; `extra` is a further single key (a
    /// destination), or 0.
    Counted { at: u8, extra: u8 },
    /// The first argument is a channel, which decides where the command runs and which a
    /// transaction locks, but no key. COMMAND INFO shows that of some.
    Channel { shown: bool },
    /// All arguments are channels; COMMAND INFO shows them.
    Channels,
    /// The first argument; and the one behind the last STORE or STOREDIST from `from` on
    /// (GEORADIUS).
    Stored { from: u8 },
    /// Behind the word STREAMS, as many keys as there are ids behind them (XREAD). Redis says that
    /// the word is looked for from argument `from` on.
    Streams { from: u8 },
}

/// How a command's keys are accessed, for COMMAND INFO's key specifications.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyAccess {
    /// `RO access`.
    Read,
    /// `RO` without looking at the value (EXISTS, TTL …).
    Inspect,
    /// `RW access update`: what it returns depends on the value that it changes.
    ReadWrite,
    /// `RW update`: changes a value without returning any of it.
    Update,
    /// `RW insert`: adds to a value without returning any of it.
    Insert,
    /// `RW delete`: takes parts out of a value without returning them.
    Shrink,
    /// `RW access delete`: returns or moves the value, and removes the key.
    Take,
    /// `OW update`: overwrites whatever is there.
    Overwrite,
    /// `OW insert`: writes only where nothing is.
    Create,
    /// `RM delete`.
    Remove,
    /// SET: overwrites, and with GET reads too.
    Set,
    /// It is a channel.
    NotKey,
    /// BITFIELD: reads and updates, or only reads if it says nothing but GET.
    BitField,
    /// `RW access`: reads, and may write the value in another form.
    ReadAndRefresh,
    /// `RW access insert`: adds to a value that it reads.
    ReadAndInsert,
    /// The first key, and all further ones.
    FirstAndRest(&'static KeyAccess, &'static KeyAccess),
    /// Two keys, each with an access of its own.
    Two(&'static KeyAccess, &'static KeyAccess),
}

impl KeyAccess {
    /// The names of its flags in a key specification: of the first key, if there are two.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            KeyAccess::Read => &["RO", "access"],
            KeyAccess::Inspect => &["RO"],
            KeyAccess::ReadWrite => &["RW", "access", "update"],
            KeyAccess::Update => &["RW", "update"],
            KeyAccess::Insert => &["RW", "insert"],
            KeyAccess::Shrink => &["RW", "delete"],
            KeyAccess::Take => &["RW", "access", "delete"],
            KeyAccess::Overwrite => &["OW", "update"],
            KeyAccess::Create => &["OW", "insert"],
            KeyAccess::Remove => &["RM", "delete"],
            KeyAccess::NotKey => &["not_key"],
            KeyAccess::Set | KeyAccess::BitField => &["RW", "access", "update", "variable_flags"],
            KeyAccess::ReadAndRefresh => &["RW", "access"],
            KeyAccess::ReadAndInsert => &["RW", "access", "insert"],
            KeyAccess::Two(first, _) | KeyAccess::FirstAndRest(first, _) => first.names(),
        }
    }
}

/// Documentation of a command, in our words.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    pub summary: &'static str,
    pub since: &'static str,
    pub group: &'static str,
    pub complexity: &'static str,
}

/// What runs a command.
#[derive(Clone, Copy)]
pub enum Run {
    /// Runs against the database that holds its keys, synchronously to its end.
    Data(fn(&mut Ctx<'_>, Args<'_>) -> Outcome),
    /// Needs every shard, under whole-shard locks: `part` on each, `merge` at home.
    Everywhere {
        check: fn(&super::Settings, Args<'_>) -> Outcome,
        part: fn(&mut Ctx<'_>, Args<'_>) -> Part,
        merge: fn(Vec<Part>, Args<'_>, &mut Reply) -> Outcome,
    },
    /// Belongs to the connection or the server; the shard runs it at home.
    Session(SessionOp),
    /// Only a container of subcommands.
    Container,
}

/// How a command finds keys that its arguments do not name. What holds its entries asks for them
/// once the named ones are there, so every key that the command looks up is known before it runs.
#[derive(Clone, Copy)]
pub struct Further {
    /// Whether a request looks for any.
    pub applies: fn(Args<'_>) -> bool,
    /// The keys to which the entry of the first key leads; the same in every call.
    pub keys: fn(&Entry, Args<'_>) -> Vec<Box<[u8]>>,
}

/// One command, or one subcommand of a container.
#[derive(Clone, Copy)]
pub struct Command {
    /// Lower case; a subcommand's own word only (`id` of `client`).
    pub name: &'static str,
    /// Full name as in errors and COMMAND: `client|id`.
    pub full_name: &'static str,
    /// Number of arguments with the name; negative: at least that many.
    pub arity: i16,
    pub flags: Flags,
    /// ACL categories beyond those that follow from the flags, e.g. `@string`.
    pub categories: &'static [&'static str],
    pub keys: Keys,
    pub access: KeyAccess,
    pub doc: Doc,
    pub run: Run,
    /// For a command that reads keys which it finds in a value.
    pub further: Option<Further>,
    pub subcommands: &'static [Command],
    /// Hints for proxies, as in COMMAND INFO.
    pub tips: &'static [&'static str],
    /// Its arguments in the notation of [`super::syntax`]; joined to the row when the table is
    /// first used.
    pub syntax: &'static str,
    /// Takes a time that does not grow with the data, unless its arguments are many or large: such
    /// commands share the readings of the clock. It follows from the row when the table is first
    /// used.
    pub quick: bool,
    /// Dense number, for per-command statistics; given when the table is first used.
    pub number: u16,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.full_name)
    }
}

impl Command {
    /// What a row leaves unsaid.
    pub const ROW: Command = Command {
        name: "",
        full_name: "",
        arity: 0,
        flags: Flags::NONE,
        categories: &[],
        keys: Keys::None,
        access: KeyAccess::Read,
        doc: Doc {
            summary: "",
            since: "1.0.0",
            group: "generic",
            complexity: "O(1)",
        },
        run: Run::Container,
        further: None,
        subcommands: &[],
        tips: &[],
        syntax: "",
        quick: false,
        number: 0,
    };

    /// Whether `argc` arguments, the name included, are acceptable.
    pub fn arity_fits(&self, argc: usize) -> bool {
        let argc = argc as i64;
        let arity = i64::from(self.arity);
        if arity >= 0 {
            argc == arity
        } else {
            argc >= -arity
        }
    }

    /// Its place in statistics tables of [`count_with_subcommands`] entries.
    #[inline]
    pub fn number(&self) -> usize {
        usize::from(self.number)
    }

    /// Whether it may change the dataset.
    pub fn writes(&self) -> bool {
        self.flags.has(Flags::WRITE)
    }

    /// Whether it may change its keys, if only by what it computed: they are locked against all
    /// other commands, and its effects have a place in the stream.
    pub fn is_exclusive(&self) -> bool {
        self.flags.has(Flags::WRITE.or(Flags::EXCLUSIVE))
    }

    /// Whether it changes keys of whole databases: nothing that was read of any of them counts any
    /// more.
    pub fn replaces_databases(&self) -> bool {
        matches!(self.full_name, "flushall" | "flushdb" | "swapdb")
    }

    /// Whether it reads keys that its arguments do not name, on the one shard that
    /// [`cursor_shard`] tells: SCAN.
    pub fn walks(&self) -> bool {
        matches!(self.run, Run::Data(_)) && self.flags.has(Flags::TOUCHES_ARBITRARY_KEYS)
    }

    /// Whether a request reads keys that it does not name, on whatever shard they are: SORT with
    /// BY or GET. It needs all shards, like commands that run everywhere, but runs at home.
    pub fn follows(&self, args: Args<'_>) -> bool {
        self.further.is_some_and(|further| (further.applies)(args))
    }

    /// The channel that it speaks on: PUBLISH and SPUBLISH.
    #[inline]
    pub fn channel<'a>(&self, args: Args<'a>) -> Option<(Space, &'a [u8])> {
        let Keys::Channel { shown } = self.keys else {
            return None;
        };
        let space = if shown { Space::Shard } else { Space::Channel };
        args.get(1).map(|name| (space, name))
    }

    /// Calls `f` with the index of every key among `args`; malformed counts yield none.
    pub fn for_each_key(&self, args: Args<'_>, mut f: impl FnMut(usize)) {
        match self.keys {
            Keys::None | Keys::Channel { .. } | Keys::Channels => {}
            Keys::Range { first, last, step } => {
                let last = if last < 0 {
                    args.len() as i64 + i64::from(last)
                } else {
                    i64::from(last)
                };
                let mut at = i64::from(first);
                while at <= last && (at as usize) < args.len() {
                    f(at as usize);
                    at += i64::from(step);
                }
            }
            Keys::Sort { store } => {
                if args.len() > 1 {
                    f(1);
                }
                if store && let Some(target) = sort_target(args) {
                    f(target);
                }
            }
            Keys::Stored { from } => {
                f(1);
                stored_key(args, usize::from(from)).map(f);
            }
            Keys::Counted { at, extra } => {
                if extra != 0 && usize::from(extra) < args.len() {
                    f(usize::from(extra));
                }
                let count = args
                    .get(usize::from(at))
                    .and_then(crate::value::number::parse_i64);
                let first = usize::from(at) + 1;
                if let Some(count) = count.and_then(|c| usize::try_from(c).ok())
                    && count <= args.len().saturating_sub(first)
                {
                    (first..first + count).for_each(f);
                }
            }
            Keys::Streams { from } => {
                if let Some(first) = first_stream(args, usize::from(from)) {
                    (first..first + (args.len() - first) / 2).for_each(f);
                }
            }
        }
    }
}

/// The argument that names where SORT stores: of several the last counts.
fn sort_target(args: Args<'_>) -> Option<usize> {
    let (mut at, mut target) = (2, None);
    while let Some(word) = args.get(at) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        at += match () {
            () if is("limit") => 3,
            () if is("by") || is("get") => 2,
            () if is("store") && at + 1 < args.len() => {
                target = Some(at + 1);
                2
            }
            () => 1,
        };
    }
    target
}

/// Where GEORADIUS names the key of its result: the last of several counts.
pub fn stored_key(args: Args<'_>, from: usize) -> Option<usize> {
    let (mut at, mut last) = (from, None);
    while at + 1 < args.len() {
        let names = [&b"store"[..], b"storedist"];
        if names.iter().any(|name| args[at].eq_ignore_ascii_case(name)) {
            at += 1;
            last = Some(at);
        }
        at += 1;
    }
    last
}

/// The argument behind STREAMS. As the commands themselves find it: a group may have that name too.
/// Where they would find none, the first such word from argument `from` on counts.
fn first_stream(args: Args<'_>, from: usize) -> Option<usize> {
    let is = |at: usize, word: &[u8]| {
        args.get(at)
            .is_some_and(|arg| arg.eq_ignore_ascii_case(word))
    };
    let mut at = 1;
    loop {
        at += match at {
            at if is(at, b"streams") => return Some(at + 1).filter(|at| *at < args.len()),
            at if is(at, b"count") || is(at, b"block") => 2,
            at if is(at, b"group") => 3,
            at if is(at, b"noack") => 1,
            _ => break,
        };
    }
    let found = (from..args.len()).find(|at| is(*at, b"streams"))?;
    Some(found + 1).filter(|at| *at < args.len())
}

/// The second database that a request names, and which argument is its key there: MOVE and COPY DB.
pub fn other_database(command: &Command, args: Args<'_>) -> Option<(usize, usize)> {
    let number = |at: usize| {
        let value = crate::value::number::parse_i64(args.get(at)?)?;
        usize::try_from(value).ok()
    };
    match command.full_name {
        "move" => Some((1, number(2)?)),
        "copy" => {
            // As COPY itself reads them: of several the last counts.
            let (mut at, mut last) = (3, None);
            while at + 1 < args.len() {
                if args[at].eq_ignore_ascii_case(b"db") {
                    at += 1;
                    last = Some(at);
                }
                at += 1;
            }
            Some((2, number(last?)?))
        }
        _ => None,
    }
}

/// The shard to which a command without keys goes: SCAN's cursor says (see `family::keys`).
pub fn cursor_shard(args: Args<'_>, shards: usize) -> usize {
    let cursor = args
        .get(1)
        .and_then(|arg| std::str::from_utf8(arg).ok()?.parse::<u64>().ok());
    cursor.map_or(0, |cursor| (cursor % shards as u64) as usize)
}

/// All top-level commands, by family and then as declared.
pub fn all() -> impl Iterator<Item = &'static Command> {
    index().top.iter()
}

/// Number of commands and subcommands: the size of a statistics table.
pub fn count_with_subcommands() -> usize {
    index().dense.len()
}

/// Every command and subcommand by its dense number.
pub fn by_number(number: usize) -> &'static Command {
    index().dense[number]
}

struct Index {
    top: &'static [Command],
    by_name: HashMap<&'static [u8], &'static Command, ahash::RandomState>,
    dense: Vec<&'static Command>,
}

/// Numbers the rows of a list and, after them, those of their containers, and completes them. To
/// clients DEBUG is one command, so all its words have its number, the `shared` one. The lists live
/// as long as the process.
fn numbered(
    rows: impl Iterator<Item = &'static Command>,
    next: &mut u16,
    shared: Option<u16>,
) -> &'static [Command] {
    let mut list: Vec<Command> = rows.copied().collect();
    for row in &mut list {
        row.number = shared.unwrap_or(*next);
        *next += u16::from(shared.is_none());
        let constant = row.flags.has(Flags::FAST)
            || (matches!(row.run, Run::Data(_)) && row.doc.complexity == "O(1)");
        row.quick = constant
            && !row
                .flags
                .has(Flags::BLOCKING.or(Flags::TOUCHES_ARBITRARY_KEYS));
        row.syntax = syntax::of(row.full_name).unwrap_or_default();
    }
    for row in &mut list {
        if !row.subcommands.is_empty() {
            let shared = row.flags.has(Flags::PROTECTED).then_some(row.number);
            row.subcommands = numbered(row.subcommands.iter(), next, shared);
        }
    }
    list.leak()
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut next = 0;
        let top = numbered(
            family::ALL.iter().flat_map(|rows| rows.iter()),
            &mut next,
            None,
        );
        // Names are ours, not a peer's: a fixed seed is no weakness.
        let mut by_name = HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
        let mut dense: Vec<&'static Command> = Vec::new();
        for command in top {
            assert!(
                by_name.insert(command.name.as_bytes(), command).is_none(),
                "declared twice"
            );
            dense.push(command);
            let subcommands = command.subcommands.iter();
            dense.extend(subcommands.filter(|sub| sub.number != command.number));
        }
        dense.sort_by_key(|command| command.number);
        Index {
            top,
            by_name,
            dense,
        }
    })
}

/// Longest command name that is looked up.
const NAME_LEN_MAX: usize = 32;

/// Finds a top-level command, in any letter case.
pub fn find(name: &[u8]) -> Option<&'static Command> {
    let mut lower = [0u8; NAME_LEN_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    index().by_name.get(&*lower).copied()
}

/// Finds a subcommand of a container, in any letter case.
pub fn find_subcommand(container: &'static Command, name: &[u8]) -> Option<&'static Command> {
    container
        .subcommands
        .iter()
        .find(|sub| sub.name.as_bytes().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_in_any_case() {
        for command in all() {
            let upper = command.name.to_ascii_uppercase();
            assert!(std::ptr::eq(find(upper.as_bytes()).unwrap(), command));
        }
        assert!(find(b"no-such-command").is_none());
        assert!(find(&[b'x'; 100]).is_none());
    }
}
