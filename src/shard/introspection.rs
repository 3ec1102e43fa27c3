//! COMMAND and its subcommands: the table of commands, told to clients.

use crate::command::Command;
use crate::command::session::SessionOp;
use crate::command::table::{self, Flags, KeyAccess, Keys};
use crate::protocol::{Args, Reply};
use crate::value::glob::glob_match;

use super::Shard;
use super::client::Client;
use super::clients::help;
use super::documentation;

/// ACL categories in the order in which Redis lists them.
const CATEGORIES: [&str; 21] = [
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@geo",
    "@stream",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
    "@scripting",
];

/// COMMAND LIST's filter.
enum ListFilter<'a> {
    All,
    /// There are no modules.
    Module,
    Category(&'a [u8]),
    Pattern(&'a [u8]),
}

impl Shard {
    pub(super) fn introspection_command(
        &mut self,
        client: &mut Client,
        op: SessionOp,
        args: Args<'_>,
    ) {
        self.answer(client, |reply| match op {
            SessionOp::Command => describe_all(reply),
            SessionOp::CommandCount => reply.integer(table::all().count() as i64),
            SessionOp::CommandInfo if args.len() == 2 => describe_all(reply),
            SessionOp::CommandInfo => {
                reply.array(args.len() - 2);
                for name in args.iter().skip(2) {
                    match lookup(name) {
                        Some(command) => describe(reply, command),
                        None => reply.null(),
                    }
                }
            }
            SessionOp::CommandDocs => documentation::of_named(reply, args),
            SessionOp::CommandGetKeys => keys_of(reply, args, false),
            SessionOp::CommandGetKeysAndFlags => keys_of(reply, args, true),
            SessionOp::CommandList => list(reply, args),
            SessionOp::CommandHelp => help(reply, "COMMAND", HELP),
            other => unreachable!("not a subcommand of COMMAND: {other:?}"),
        });
    }
}

/// The subcommands that clients are shown: DEBUG's words are arguments to them.
pub(super) fn subcommands(command: &Command) -> &'static [Command] {
    if command.name == "debug" {
        &[]
    } else {
        command.subcommands
    }
}

/// A command by `name` or `container|name`.
pub(super) fn lookup(name: &[u8]) -> Option<&'static Command> {
    match name.iter().position(|byte| *byte == b'|') {
        None => table::find(name),
        Some(bar) => {
            let container = table::find(&name[..bar])?;
            (subcommands(container).iter())
                .find(|sub| sub.name.as_bytes().eq_ignore_ascii_case(&name[bar + 1..]))
        }
    }
}

/// Flags with those that follow from the row.
fn flags(command: &Command) -> Flags {
    match command.keys {
        Keys::Counted { .. } | Keys::Stored { .. } | Keys::Streams { .. } => {
            command.flags.or(Flags::MOVABLEKEYS)
        }
        _ => command.flags,
    }
}

/// All ACL categories of a command: its own and those that its flags imply.
pub(super) fn categories(command: &Command) -> impl Iterator<Item = &'static str> + use<'_> {
    CATEGORIES.into_iter().filter(|category| {
        let has = |flag| command.flags.has(flag);
        let scripting = command.categories.contains(&"@scripting");
        command.categories.contains(category)
            || match *category {
                "@write" => has(Flags::WRITE),
                "@read" => has(Flags::READONLY) && !scripting,
                "@admin" | "@dangerous" => has(Flags::ADMIN),
                "@pubsub" => has(Flags::PUBSUB),
                "@fast" => has(Flags::FAST),
                "@slow" => !has(Flags::FAST),
                "@blocking" => has(Flags::BLOCKING),
                _ => false,
            }
    })
}

pub(super) fn set_of(reply: &mut Reply, names: impl Iterator<Item = &'static str>) {
    let set = reply.begin_set();
    let mut count = 0;
    for name in names {
        reply.simple(name);
        count += 1;
    }
    reply.finish(set, count);
}

fn describe_all(reply: &mut Reply) {
    reply.array(table::all().count());
    table::all().for_each(|command| describe(reply, command));
}

/// One entry of COMMAND INFO.
fn describe(reply: &mut Reply, command: &Command) {
    let (first, last, step) = match command.keys {
        Keys::None | Keys::Streams { .. } => (0, 0, 0),
        Keys::Range { first, last, step } => (i64::from(first), i64::from(last), i64::from(step)),
        Keys::Channel { shown: true } => (1, 1, 1),
        Keys::Channels => (1, -1, 1),
        Keys::Counted { extra: 0, .. } | Keys::Channel { .. } => (0, 0, 0),
        Keys::Stored { .. } => (1, 1, 1),
        Keys::Counted { extra, .. } => (i64::from(extra), i64::from(extra), 1),
    };
    reply.array(10);
    reply.bulk_str(command.full_name);
    reply.integer(i64::from(command.arity));
    set_of(reply, flags(command).names());
    reply.integer(first);
    reply.integer(last);
    reply.integer(step);
    set_of(reply, categories(command));
    reply.set(command.tips.len());
    command.tips.iter().for_each(|tip| reply.bulk_str(tip));
    key_specs(reply, command);
    let subcommands = subcommands(command);
    // As Redis does: a set if there are none, an array otherwise.
    match subcommands.len() {
        0 => reply.set(0),
        count => reply.array(count),
    }
    subcommands.iter().for_each(|sub| describe(reply, sub));
}

/// Channels from the first argument on, which are no keys.
fn channel_spec(reply: &mut Reply, last: i64) {
    reply.set(1);
    begin_spec(reply, KeyAccess::NotKey, 1);
    range(reply, last, 1);
}

fn key_specs(reply: &mut Reply, command: &Command) {
    match command.keys {
        Keys::None | Keys::Channel { shown: false } => reply.set(0),
        Keys::Channel { .. } => channel_spec(reply, 0),
        Keys::Channels => channel_spec(reply, -1),
        Keys::Range { first, last, step } => {
            let (first, last) = (i64::from(first), i64::from(last));
            if let KeyAccess::Two(source, target) = command.access {
                reply.set(2);
                for (key, access) in [(first, source), (last, target)] {
                    begin_spec(reply, *access, key);
                    range(reply, 0, 1);
                }
                return;
            }
            if let KeyAccess::FirstAndRest(target, sources) = command.access {
                reply.set(2);
                begin_spec(reply, *target, first);
                range(reply, 0, 1);
                begin_spec(reply, *sources, first + 1);
                range(reply, last, i64::from(step));
                return;
            }
            // From the first key on, unless it counts from the end.
            let last = if last < 0 { last } else { last - first };
            reply.set(1);
            begin_spec(reply, command.access, first);
            range(reply, last, i64::from(step));
        }
        Keys::Stored { from } => {
            reply.set(3);
            begin_spec(reply, command.access, 1);
            range(reply, 0, 1);
            for word in ["STORE", "STOREDIST"] {
                begin_keyword_spec(reply, KeyAccess::Overwrite, word, i64::from(from));
                range(reply, 0, 1);
            }
        }
        Keys::Counted { at, extra } => {
            reply.set(1 + usize::from(extra != 0));
            if extra != 0 {
                begin_spec(reply, KeyAccess::Overwrite, i64::from(extra));
                range(reply, 0, 1);
            }
            // Where one key is written, the counted ones are only read.
            let access = match extra {
                0 => command.access,
                _ => KeyAccess::Read,
            };
            begin_spec(reply, access, i64::from(at));
            reply.map(2);
            pair(reply, "type", "keynum");
            reply.bulk_str("spec");
            reply.map(3);
            numbers(reply, &[("keynumidx", 0), ("firstkey", 1), ("keystep", 1)]);
        }
        Keys::Streams { from } => {
            reply.set(1);
            begin_keyword_spec(reply, command.access, "STREAMS", i64::from(from));
            // Half of what follows the word.
            limited_range(reply, (-1, 1, 2));
        }
    }
}

pub(super) fn pair(reply: &mut Reply, name: &str, value: &str) {
    reply.bulk_str(name);
    reply.bulk_str(value);
}

fn numbers(reply: &mut Reply, pairs: &[(&str, i64)]) {
    for (name, value) in pairs {
        reply.bulk_str(name);
        reply.integer(*value);
    }
}

/// A key specification up to the value of `find_keys`.
fn begin_spec(reply: &mut Reply, access: KeyAccess, index: i64) {
    reply.map(3);
    reply.bulk_str("flags");
    set_of(reply, access.names().iter().copied());
    reply.bulk_str("begin_search");
    reply.map(2);
    pair(reply, "type", "index");
    reply.bulk_str("spec");
    reply.map(1);
    numbers(reply, &[("index", index)]);
    reply.bulk_str("find_keys");
}

/// As [`begin_spec`], for keys that a word stands before.
fn begin_keyword_spec(reply: &mut Reply, access: KeyAccess, keyword: &str, from: i64) {
    reply.map(3);
    reply.bulk_str("flags");
    set_of(reply, access.names().iter().copied());
    reply.bulk_str("begin_search");
    reply.map(2);
    pair(reply, "type", "keyword");
    reply.bulk_str("spec");
    reply.map(2);
    pair(reply, "keyword", keyword);
    numbers(reply, &[("startfrom", from)]);
    reply.bulk_str("find_keys");
}

fn range(reply: &mut Reply, last: i64, step: i64) {
    limited_range(reply, (last, step, 0));
}

fn limited_range(reply: &mut Reply, (last, step, limit): (i64, i64, i64)) {
    reply.map(2);
    pair(reply, "type", "range");
    reply.bulk_str("spec");
    reply.map(3);
    numbers(
        reply,
        &[("lastkey", last), ("keystep", step), ("limit", limit)],
    );
}

/// COMMAND GETKEYS and GETKEYSANDFLAGS of the command that begins at the third argument.
fn keys_of(reply: &mut Reply, args: Args<'_>, with_flags: bool) {
    let args = args.tail(2);
    let sub = |command: &'static Command, named: &[u8]| {
        (subcommands(command).iter()).find(|sub| sub.name.as_bytes().eq_ignore_ascii_case(named))
    };
    let named = match (table::find(&args[0]), args.get(1)) {
        (Some(command), Some(word)) if !subcommands(command).is_empty() => sub(command, word),
        (found, _) => found,
    };
    let Some(command) = named else {
        return reply.error("ERR Invalid command specified");
    };
    let no_keys = matches!(
        command.keys,
        Keys::None | Keys::Channel { .. } | Keys::Channels
    );
    if no_keys {
        return reply.error("ERR The command has no key arguments");
    }
    if !command.arity_fits(args.len()) {
        return reply.error("ERR Invalid number of arguments specified for command");
    }
    let mut found = Vec::new();
    command.for_each_key(args, |at| found.push(at));
    if found.is_empty() && !command.flags.has(Flags::NO_MANDATORY_KEYS) {
        return reply.error("ERR Invalid arguments specified for command");
    }
    reply.array(found.len());
    for at in found {
        if !with_flags {
            reply.bulk(&args[at]);
            continue;
        }
        reply.array(2);
        reply.bulk(&args[at]);
        set_of(reply, access_at(command, args, at).names().iter().copied());
    }
}

/// How a request accesses the key that its argument `at` is.
fn access_at(command: &Command, args: Args<'_>, at: usize) -> KeyAccess {
    match (command.keys, command.access) {
        (Keys::Counted { extra, .. }, _) if extra != 0 && at == usize::from(extra) => {
            KeyAccess::Overwrite
        }
        (Keys::Counted { extra, .. }, _) if extra != 0 => KeyAccess::Read,
        (Keys::Stored { .. }, _) if at > 1 => KeyAccess::Overwrite,
        (
            Keys::Range { first, .. },
            KeyAccess::Two(one, other) | KeyAccess::FirstAndRest(one, other),
        ) => match i64::try_from(at) == Ok(i64::from(first)) {
            true => *one,
            false => *other,
        },
        (_, KeyAccess::BitField) => {
            let is = |word: &[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
            let mut words = args.iter().skip(2);
            match words.any(|word| is(word, b"set") || is(word, b"incrby")) {
                true => KeyAccess::ReadWrite,
                false => KeyAccess::Read,
            }
        }
        (_, KeyAccess::Set) => {
            let mut options = args.iter().skip(3);
            match options.any(|option| option.eq_ignore_ascii_case(b"get")) {
                true => KeyAccess::ReadWrite,
                false => KeyAccess::Overwrite,
            }
        }
        (_, access) => access,
    }
}

impl<'a> ListFilter<'a> {
    fn parse(args: Args<'a>) -> Option<Self> {
        if args.len() == 2 {
            return Some(ListFilter::All);
        }
        if args.len() != 5 || !args[2].eq_ignore_ascii_case(b"filterby") {
            return None;
        }
        match args[3].to_ascii_lowercase().as_slice() {
            b"module" => Some(ListFilter::Module),
            b"aclcat" => Some(ListFilter::Category(args.at(4))),
            b"pattern" => Some(ListFilter::Pattern(args.at(4))),
            _ => None,
        }
    }

    fn fits(&self, command: &Command) -> bool {
        match self {
            ListFilter::All => true,
            ListFilter::Module => false,
            ListFilter::Category(name) => categories(command)
                .any(|category| category.as_bytes()[1..].eq_ignore_ascii_case(name)),
            ListFilter::Pattern(pattern) => glob_match(pattern, command.full_name.as_bytes(), true),
        }
    }
}

fn list(reply: &mut Reply, args: Args<'_>) {
    let Some(filter) = ListFilter::parse(args) else {
        return reply.error("ERR syntax error");
    };
    let names: Vec<&str> = table::all()
        .flat_map(|command| std::iter::once(command).chain(subcommands(command)))
        .filter(|command| filter.fits(command))
        .map(|command| command.full_name)
        .collect();
    reply.array(names.len());
    names.into_iter().for_each(|name| reply.bulk_str(name));
}

const HELP: &[&str] = &[
    "(no subcommand)",
    "    Describe all commands.",
    "COUNT",
    "    Count the commands.",
    "DOCS [<command-name> ...]",
    "    The documentation of the commands named, or of all.",
    "GETKEYS <full-command>",
    "    The keys of a command.",
    "GETKEYSANDFLAGS <full-command>",
    "    The keys of a command, and how it uses each.",
    "INFO [<command-name> ...]",
    "    Describe the commands named, or all.",
    "LIST [FILTERBY (MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>)]",
    "    Names of all commands, or of those that pass the filter.",
];

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;

    fn world() -> (World, super::super::testing::Conn) {
        let mut world = World::new(1);
        let conn = world.connect(0);
        (world, conn)
    }

    #[test]
    fn command_info_has_the_shape_that_clients_parse() {
        let (mut world, conn) = world();
        let get = "*1 *10 $3 get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast *0 \
            *1 *6 $5 flags *2 +RO +access $12 begin_search *4 $4 type $5 index $4 spec *2 \
            $5 index :1 \
            $9 find_keys *4 $4 type $5 range $4 spec *6 $7 lastkey :0 $7 keystep :1 $5 limit :0 *0";
        assert_eq!(world.text(conn, "COMMAND INFO get"), get);
        world.text(conn, "HELLO 3");
        let get = "*1 *10 $3 get :2 ~2 +readonly +fast :1 :1 :1 ~3 +@read +@string +@fast ~0 \
            ~1 %3 $5 flags ~2 +RO +access $12 begin_search %2 $4 type $5 index $4 spec %1 \
            $5 index :1 \
            $9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :0 $7 keystep :1 $5 limit :0 ~0";
        assert_eq!(world.text(conn, "COMMAND INFO get"), get);
        assert_eq!(world.text(conn, "COMMAND INFO nosuch get|x"), "*2 _ _");
        let id = "*1 *10 $9 client|id :2 ~3 +noscript +loading +stale :0 :0 :0 ~2 +@slow \
            +@connection ~0 ~0 ~0";
        assert_eq!(world.text(conn, "COMMAND INFO CLIENT|ID"), id);
    }

    #[test]
    fn all_commands_are_counted_listed_and_described() {
        let (mut world, conn) = world();
        let count = table::all().count();
        assert_eq!(world.text(conn, "COMMAND COUNT"), format!(":{count}"));
        for command in ["COMMAND", "COMMAND INFO"] {
            assert!(
                world
                    .text(conn, command)
                    .starts_with(&format!("*{count} *10 "))
            );
        }
        assert!(
            world
                .text(conn, "COMMAND DOCS")
                .starts_with(&format!("*{} $", count * 2))
        );
        let text = world.text(conn, "COMMAND LIST");
        assert!(
            text.contains(" client|id ") && text.contains(" debug "),
            "{text}"
        );
        assert!(!text.contains("debug|"));
    }

    #[test]
    fn the_list_can_be_filtered() {
        let (mut world, conn) = world();
        assert_eq!(
            world.text(conn, "COMMAND LIST FILTERBY PATTERN aut*"),
            "*1 $4 auth"
        );
        assert_eq!(world.text(conn, "COMMAND LIST filterby MODULE x"), "*0");
        assert_eq!(
            world.text(conn, "COMMAND LIST FILTERBY ACLCAT nosuch"),
            "*0"
        );
        let want = "*5 $7 discard $4 exec $5 multi $7 unwatch $5 watch";
        assert_eq!(
            world.text(conn, "COMMAND LIST FILTERBY ACLCAT transaction"),
            want
        );
        for wrong in ["FILTERBY", "FILTERBY MODULE", "FOO", "FILTERBY FOO x"] {
            let reply = world.text(conn, &format!("COMMAND LIST {wrong}"));
            assert_eq!(reply, "-ERR syntax error", "{wrong}");
        }
    }

    #[test]
    fn keys_of_a_command_are_found_or_the_reason_why_not() {
        let (mut world, conn) = world();
        for (command, want) in [
            ("GETKEYS set a b", "*1 $1 a"),
            ("GETKEYS watch a b", "*2 $1 a $1 b"),
            ("GETKEYSANDFLAGS set a b", "*1 *2 $1 a *2 +OW +update"),
            ("GETKEYSANDFLAGS get a", "*1 *2 $1 a *2 +RO +access"),
            ("GETKEYS ping", "-ERR The command has no key arguments"),
            ("GETKEYS client id", "-ERR The command has no key arguments"),
            ("GETKEYS nosuch a", "-ERR Invalid command specified"),
            ("GETKEYS object nosuch a", "-ERR Invalid command specified"),
            (
                "GETKEYS get",
                "-ERR Invalid number of arguments specified for command",
            ),
            (
                "GETKEYS",
                "-ERR wrong number of arguments for 'command|getkeys' command",
            ),
        ] {
            assert_eq!(world.text(conn, &format!("COMMAND {command}")), want);
        }
    }

    #[test]
    fn every_row_is_documented_and_its_categories_are_known() {
        for command in table::all() {
            for row in std::iter::once(command).chain(command.subcommands) {
                assert!(!row.doc.summary.is_empty(), "{row:?}");
                assert!(row.arity != 0, "{row:?}");
                let known = |category: &&str| CATEGORIES.contains(category);
                assert!(row.categories.iter().all(known), "{row:?}");
                let (container, name) = row.full_name.split_once('|').unwrap_or(("", row.name));
                assert_eq!(name, row.name);
                assert!(container.is_empty() || container == command.name, "{row:?}");
            }
        }
    }
}
