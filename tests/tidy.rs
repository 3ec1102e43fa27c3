//! Rules of style and structure that no compiler checks: sizes, the dependency arrow, where
//! `unsafe` may be, what the core may not name, and that every command is covered by a suite.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "support/cases.rs"]
mod cases;
#[path = "support/wrong_types.rs"]
mod wrong_types;

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Functions that may be longer, as `file:function`, each with its reason.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

/// Files that may have longer lines, each with its reason.
const WIDE_FILES: &[(&str, &str)] = &[
    (
        "tests/differential/grammar/bitmaps.rs",
        "one template a line",
    ),
    (
        "tests/differential/grammar/connection.rs",
        "one template a line",
    ),
    (
        "tests/differential/grammar/hashes.rs",
        "one template a line",
    ),
    ("tests/differential/grammar/geo.rs", "one template a line"),
    ("tests/differential/grammar/keys.rs", "one template a line"),
    ("tests/differential/grammar/lists.rs", "one template a line"),
    ("tests/differential/grammar/sets.rs", "one template a line"),
    ("tests/differential/grammar/sort.rs", "one template a line"),
    (
        "tests/differential/grammar/pubsub.rs",
        "one template a line",
    ),
    (
        "tests/differential/grammar/sorted_sets.rs",
        "one template a line",
    ),
    (
        "tests/differential/grammar/streams.rs",
        "one template a line",
    ),
    (
        "tests/differential/grammar/strings.rs",
        "one template a line",
    ),
    ("tests/differential/propagation.rs", "one case a line"),
    ("tests/differential/table.rs", "one case a line"),
    ("tests/trees/main.rs", "one row of a table a line"),
];

/// Where `unsafe` may be: DESIGN.md section 9.
const UNSAFE_ALLOWED: &[&str] = &[
    "src/net/",
    "src/server/",
    "src/keyspace/entry.rs",
    "src/keyspace/entry/layout.rs",
    "src/shard/queue.rs",
    "benches/",
    // Installs a system call filter in a child.
    "tests/process/forbidden.rs",
    // Lowers the process's limit of descriptors.
    "tests/net.rs",
];

/// What each layer may name, beside itself. Layers that are not listed are free.
const ARROW: &[(&str, &[&str])] = &[
    ("value", &[]),
    ("protocol", &["value"]),
    ("config", &["protocol", "value"]),
    ("keyspace", &["protocol", "value"]),
    ("command", &["protocol", "value", "keyspace"]),
    (
        "shard",
        &["protocol", "value", "config", "keyspace", "command"],
    ),
    (
        "replication",
        &[
            "protocol",
            "value",
            "config",
            "keyspace",
            "command",
            "shard",
            "persistence",
        ],
    ),
    (
        "persistence",
        &[
            "protocol",
            "value",
            "config",
            "keyspace",
            "command",
            "shard",
            "replication",
        ],
    ),
    (
        "net",
        &[
            "protocol",
            "value",
            "config",
            "keyspace",
            "command",
            "shard",
            "replication",
            "persistence",
        ],
    ),
];

/// The layers that are driven from outside, and what they therefore do not name.
const CORE: &[&str] = &[
    "protocol",
    "value",
    "keyspace",
    "command",
    "shard",
    "replication",
];
const OUTSIDE: &[&str] = &[
    "std::net",
    "std::fs",
    "std::thread",
    "std::env",
    "std::process",
    "Instant::now",
    "SystemTime",
    "thread::spawn",
    "thread::sleep",
    "io_uring",
    "glommio",
    "socket2",
    "libc::",
    // Hashing seeded from outside of the core; `with_seeds` is fine.
    "RandomState::new",
    "RandomState::default",
    "hash_map::RandomState",
    "std::hash::RandomState",
];

struct Source {
    /// Relative to the package, with forward slashes.
    name: String,
    text: String,
}

impl Source {
    fn new(name: &str, text: &str) -> Source {
        Source {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The layer that a file of `src` belongs to.
    fn layer(&self) -> Option<&str> {
        self.name
            .strip_prefix("src/")?
            .split('/')
            .next()?
            .strip_suffix(".rs")
            .or_else(|| {
                self.name
                    .strip_prefix("src/")
                    .and_then(|n| n.split_once('/'))
                    .map(|(layer, _)| layer)
            })
    }

    /// Lines of code with their numbers: comments cut off.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| {
            let end = line.find("//").unwrap_or(line.len());
            (i + 1, &line[..end])
        })
    }

    /// The code before the unit tests at the end of the file.
    fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let names = ["/tests.rs", "_tests.rs", "/testing.rs"];
        let tests = names.iter().any(|name| self.name.ends_with(name));
        let tests = tests || self.name.contains("/tests/");
        self.code().take_while(move |(_, line)| {
            !tests && !line.contains("#[cfg(test)]") && !line.contains("#[cfg(all(test")
        })
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root.join(folder), &mut paths);
    }
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root).expect("a path below the package");
        let text = fs::read_to_string(path).expect("a source is text");
        Source::new(&name.to_string_lossy().replace('\\', "/"), &text)
    };
    paths.iter().map(read).collect()
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn all() -> Vec<Source> {
    let all = sources(&["src", "tests", "benches"]);
    assert!(all.len() > 5, "the sources are where they were");
    all
}

fn assert_none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn allowed(list: &[(&str, &str)], name: &str) -> bool {
    list.iter()
        .any(|(allowed, reason)| *allowed == name && !reason.is_empty())
}

fn long_files(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let long = lines > FILE_LINES_MAX && !allowed(LONG_FILES, &source.name);
    long.then(|| format!("{}: {lines} lines", source.name))
        .into_iter()
        .collect()
}

fn wide_lines(source: &Source) -> Vec<String> {
    if allowed(WIDE_FILES, &source.name) {
        return Vec::new();
    }
    let wide = source.text.lines().enumerate().filter(|(_, line)| {
        // A link cannot be broken.
        line.chars().count() > COLUMNS_MAX && !line.contains("://")
    });
    wide.map(|(i, line)| {
        format!(
            "{}:{}: {} columns",
            source.name,
            i + 1,
            line.chars().count()
        )
    })
    .collect()
}

/// Functions over the limit. Formatted code closes a body with a brace in the column where the
/// function began.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut wrong = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let close = format!("{}}}", " ".repeat(indent));
        let rest = &lines[start..];
        // A declaration without a body ends before the next line that goes back out.
        let end = rest.iter().position(|l| *l == close).unwrap_or(0);
        let bodiless = rest[..end]
            .iter()
            .any(|l| l.len() - l.trim_start().len() == indent && l.trim_end().ends_with(';'));
        let id = format!("{}:{name}", source.name);
        if end + 1 > FUNCTION_LINES_MAX && !bodiless && !allowed(LONG_FUNCTIONS, &id) {
            wrong.push(format!(
                "{}:{}: {name} has {} lines",
                source.name,
                start + 1,
                end + 1
            ));
        }
    }
    wrong
}

fn function_name(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let at = if code.starts_with("fn ") {
        0
    } else {
        code.find(" fn ")? + 1
    };
    let before = &code[..at];
    let words = ["pub", "const", "async", "unsafe", "extern", "default"];
    let modifiers = before.split_whitespace().all(|word| {
        words.iter().any(|w| word == *w || word.starts_with("pub(")) || word.starts_with('"')
    });
    let name = code[at + 3..].split(['(', '<']).next()?;
    modifiers.then_some(name)
}

fn against_the_arrow(source: &Source) -> Vec<String> {
    let Some(layer) = source.layer() else {
        return Vec::new();
    };
    let Some((_, may)) = ARROW.iter().find(|(name, _)| *name == layer) else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    for (number, line) in source.code() {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let ends = |c: char| !c.is_alphanumeric() && c != '_';
            let named: Vec<&str> = match rest.strip_prefix('{') {
                Some(group) => top_names(group),
                None => rest.split(ends).next().into_iter().collect(),
            };
            for name in named {
                let known = ARROW.iter().any(|(l, _)| *l == name) || name == "server";
                if known && name != layer && !may.contains(&name) {
                    wrong.push(format!("{}:{number}: {layer} names {name}", source.name));
                }
            }
        }
    }
    wrong
}

/// The first names within `use crate::{a::b, c::{d, e}}`, as far as one line shows them.
fn top_names(group: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut names = Vec::new();
    let mut start = Some(0);
    for (i, c) in group.char_indices() {
        let part_of_name = c.is_alphanumeric() || c == '_';
        if let Some(from) = start
            && !part_of_name
            && i > from
        {
            names.push(&group[from..i]);
            start = None;
        }
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = Some(i + 1),
            ' ' if start == Some(i) => start = Some(i + 1),
            _ => {}
        }
    }
    names
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|w| w == word)
}

fn unsafe_elsewhere(source: &Source) -> Vec<String> {
    if UNSAFE_ALLOWED
        .iter()
        .any(|place| source.name.starts_with(place))
    {
        return Vec::new();
    }
    // Spelt in two so that this file does not find itself; a quoted word is no code.
    let word = concat!("un", "safe");
    let found = source
        .code()
        .filter(|(_, line)| has_word(line, word) && !line.contains('"'));
    found
        .map(|(number, _)| format!("{}:{number}: {word}", source.name))
        .collect()
}

fn leftovers(source: &Source) -> Vec<String> {
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("db", "g!("),
        concat!("#[ig", "nore"),
    ];
    let mut wrong = Vec::new();
    for (number, line) in source.code() {
        for mark in marks {
            if line.contains(mark) {
                wrong.push(format!("{}:{number}: {mark}", source.name));
            }
        }
    }
    wrong
}

fn core_names_outside(source: &Source) -> Vec<String> {
    if !source.layer().is_some_and(|layer| CORE.contains(&layer)) {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    for (number, line) in source.production() {
        for name in OUTSIDE.iter().filter(|name| line.contains(**name)) {
            wrong.push(format!("{}:{number}: the core names {name}", source.name));
        }
    }
    wrong
}

/// Commands of the table that no list of cases names, and names in the lists that are no commands.
/// Write commands must also be among the cases of the stream.
fn uncovered(table: &[&str], writes: &[&str]) -> Vec<String> {
    let lists = [
        cases::DIFFERENTIAL,
        cases::PROPAGATION,
        cases::ARITY,
        cases::ELSEWHERE,
    ];
    let has = |list: &[&str], name: &str| list.iter().any(|n| n.eq_ignore_ascii_case(name));
    let mut wrong = Vec::new();
    for name in table
        .iter()
        .filter(|name| !lists.iter().any(|list| has(list, name)))
    {
        wrong.push(format!("{name}: no suite covers it"));
    }
    for name in writes.iter().filter(|name| !has(cases::PROPAGATION, name)) {
        wrong.push(format!(
            "{name}: it writes, and no case compares its stream"
        ));
    }
    for name in lists
        .iter()
        .flat_map(|list| list.iter())
        .filter(|name| !has(table, name))
    {
        wrong.push(format!("{name}: covered, and no command"));
    }
    wrong
}

#[test]
fn files_are_short() {
    assert_none(all().iter().flat_map(long_files).collect());
}

#[test]
fn lines_fit_in_a_hundred_columns() {
    assert_none(all().iter().flat_map(wide_lines).collect());
}

#[test]
fn functions_are_short() {
    assert_none(all().iter().flat_map(long_functions).collect());
}

#[test]
fn layers_follow_the_dependency_arrow() {
    assert_none(
        sources(&["src"])
            .iter()
            .flat_map(against_the_arrow)
            .collect(),
    );
}

#[test]
fn the_core_names_no_socket_file_thread_or_clock() {
    assert_none(
        sources(&["src"])
            .iter()
            .flat_map(core_names_outside)
            .collect(),
    );
}

#[test]
fn unsafe_code_stays_in_its_places() {
    assert_none(all().iter().flat_map(unsafe_elsewhere).collect());
}

/// Commands that no list of cases names at all, though each must have one there.
fn without(what: &str, table: &[&str], cases: &[&str]) -> Vec<String> {
    let has = |name: &str| cases.iter().any(|case| case.eq_ignore_ascii_case(name));
    let lacking = table.iter().filter(|name| !has(name));
    lacking
        .map(|name| format!("{name}: no case of {what}"))
        .collect()
}

#[test]
fn every_command_is_sent_with_too_few_and_too_many_arguments() {
    let names: Vec<&str> = banyan::command::table::all()
        .map(|command| command.name)
        .collect();
    let cases = [cases::ARITY, cases::ANY_ARITY].concat();
    assert_none(without("its arity", &names, &cases));
    assert_eq!(without("its arity", &["NOSUCH", "GET"], &cases).len(), 1);
}

#[test]
fn every_command_with_keys_is_sent_with_one_of_every_type() {
    let with_keys: Vec<&str> = banyan::command::table::all()
        .filter(|command| command.keys != banyan::command::table::Keys::None)
        .map(|command| command.name)
        .collect();
    assert!(with_keys.len() > 100, "the table declares what has keys");
    let requests = wrong_types::REQUESTS.iter();
    let names = requests.map(|request| request.split(' ').next().expect("a name"));
    let cases: Vec<&str> = names.chain(wrong_types::CHANNELS.iter().copied()).collect();
    assert_none(without("a key of a wrong type", &with_keys, &cases));
}

#[test]
fn every_command_is_covered_by_a_suite() {
    let commands: Vec<_> = banyan::command::table::all().collect();
    let names: Vec<&str> = commands.iter().map(|command| command.name).collect();
    let writes = commands.iter().filter(|command| command.writes());
    let writes: Vec<&str> = writes.map(|command| command.name).collect();
    assert!(writes.len() > 30, "the table declares what writes");
    assert_none(uncovered(&names, &writes));
}

/// Where replication is known to have failed: rows of the table in `tests/trees/main.rs`.
const KNOWN_FAILURES: &[&str] = &[
    "redis#3899",
    "redis#2694",
    "redis#6718",
    "dragonfly#8153",
    "dragonfly#5727",
    "dragonfly#2191",
    "dragonfly#3606",
    "redis#2315",
    "redis#11534",
    "redis#11667",
    "redis#7717",
];

/// What is wrong with a table of known failures: failures without a row, rows without a test.
fn known_failures_without_test(table: &str, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "))
        .map(|row| row.split('|').map(str::trim).collect())
        .collect();
    let mut wrong = Vec::new();
    for failure in KNOWN_FAILURES {
        let names = |row: &&Vec<&str>| row[0].split(", ").any(|name| name == *failure);
        let Some([_, _, file, test, ..]) = rows.iter().find(names).map(Vec::as_slice) else {
            wrong.push(format!("{failure} has no row"));
            continue;
        };
        let (file, test) = (file.trim_matches('`'), test.trim_matches('`'));
        let text = read(file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let declared = format!("fn {test}(");
        let at = lines.iter().position(|line| line.starts_with(&declared));
        let is_test = |at: usize| lines[at.saturating_sub(3)..at].contains(&"#[test]");
        if !at.is_some_and(is_test) {
            wrong.push(format!("{failure}: {file} has no test {test}"));
        }
    }
    wrong
}

#[test]
fn every_known_failure_of_replication_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).ok();
    let table = read("tests/trees/main.rs").expect("it is there");
    assert_none(known_failures_without_test(&table, read));
    let gone = known_failures_without_test(&table, |_| Some("fn other() {".to_owned()));
    assert_eq!(gone.len(), KNOWN_FAILURES.len(), "a missing test is found");
    let empty = known_failures_without_test("", read);
    assert_eq!(empty.len(), KNOWN_FAILURES.len(), "a missing row is found");
}

#[test]
fn nothing_is_left_for_later() {
    assert_none(all().iter().flat_map(leftovers).collect());
}

#[test]
fn allow_lists_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = LONG_FILES.iter().chain(WIDE_FILES).map(|(name, _)| *name);
    let functions = LONG_FUNCTIONS
        .iter()
        .filter_map(|(name, _)| name.split(':').next());
    for name in files.chain(functions) {
        assert!(
            root.join(name).exists(),
            "{name} is allowed much and does not exist"
        );
    }
}

#[test]
fn checks_of_size_and_words_find_what_they_are_for() {
    let long = "    fn short() {\n    }\n    pub(crate) fn long<T>(\n        a: T,\n    ) {\n"
        .to_owned()
        + &"        work();\n".repeat(FUNCTION_LINES_MAX)
        + "    }\n";
    let found = long_functions(&Source::new("src/a.rs", &long));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("src/a.rs:3: long has"), "{found:?}");

    let text = concat!("un", "safe { x() }\n#![deny(un", "safe_code)]\n");
    assert_eq!(
        unsafe_elsewhere(&Source::new("src/value/a.rs", text)).len(),
        1
    );
    assert_eq!(
        unsafe_elsewhere(&Source::new("src/net/uring.rs", text)).len(),
        0
    );

    let text = concat!("to", "do!()\n#[ig", "nore = \"slow\"]\nfine();");
    assert_eq!(leftovers(&Source::new("tests/a.rs", text)).len(), 2);

    let text = "use std::net::TcpStream;\n#[cfg(test)]\nuse std::thread;\n";
    assert_eq!(
        core_names_outside(&Source::new("src/shard/a.rs", text)).len(),
        1
    );
    assert_eq!(
        core_names_outside(&Source::new("src/net/a.rs", text)).len(),
        0
    );

    let wide = "x".repeat(COLUMNS_MAX + 1);
    assert_eq!(wide_lines(&Source::new("src/a.rs", &wide)).len(), 1);
    assert_eq!(
        long_files(&Source::new("src/a.rs", &"\n".repeat(FILE_LINES_MAX + 1))).len(),
        1
    );
}

#[test]
fn checks_of_structure_find_what_they_are_for() {
    let text = "use crate::shard::Shard;\nuse crate::value::{a, b};\n// crate::net\n";
    let found = against_the_arrow(&Source::new("src/keyspace/db.rs", text));
    assert_eq!(found, ["src/keyspace/db.rs:1: keyspace names shard"]);
    let text = "use crate::{value::{net, x}, command::Y, keyspace};\n";
    let found = against_the_arrow(&Source::new("src/keyspace/db.rs", text));
    assert_eq!(found, ["src/keyspace/db.rs:1: keyspace names command"]);
    assert!(against_the_arrow(&Source::new("src/net/mod.rs", "use crate::shard;")).is_empty());
    assert_eq!(
        against_the_arrow(&Source::new("src/net.rs", "crate::server::run()")).len(),
        1
    );

    let found = uncovered(&["get", "NOSUCH"], &["NOSUCH"]);
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("NOSUCH: no suite")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("NOSUCH: it writes")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|line| line.starts_with("SET: covered, and no")),
        "{found:?}"
    );
    assert!(
        !found.iter().any(|line| line.starts_with("GET:")),
        "{found:?}"
    );
}
