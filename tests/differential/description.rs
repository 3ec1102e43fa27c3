//! What COMMAND INFO and COMMAND DOCS say of every command of ours is what Valkey says.

use super::run::{REFERENCE_ARGS, subject_args};
use crate::support::client::Client;
use crate::support::resp::Value;
use crate::support::server::Server;
use banyan::command::table;

/// Fields of COMMAND INFO.
const INFO_FIELDS: [&str; 9] = [
    "name",
    "arity",
    "flags",
    "first key",
    "last key",
    "step",
    "categories",
    "tips",
    "key specifications",
];

/// Commands and fields in which we differ from Valkey, each with its reason.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("replicaof", "arity", NO_ONE_UNTIL),
    ("slaveof", "arity", NO_ONE_UNTIL),
];
const NO_ONE_UNTIL: &str = "REPLICAOF NO ONE UNTIL <offset> is ours";

fn is_expected(command: &str, field: &str) -> bool {
    DIFFERENT
        .iter()
        .any(|(name, what, reason)| *name == command && *what == field && !reason.is_empty())
}

/// All commands and subcommands that clients are shown, by their full names.
fn names() -> Vec<&'static str> {
    let all = (0..table::count_with_subcommands()).map(table::by_number);
    all.map(|command| command.full_name)
        .filter(|name| !name.starts_with("debug|"))
        .collect()
}

/// A map's entries, in RESP2's form too.
fn entries(map: &Value) -> Vec<(Value, Value)> {
    match map {
        Value::Map(entries) => entries.clone(),
        flat => (flat.items().chunks(2))
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect(),
    }
}

/// A map without one of its entries.
fn without(map: &Value, left_out: &str) -> Value {
    let mut entries = entries(map);
    entries.retain(|(name, _)| name.text() != left_out);
    Value::Map(entries)
}

/// COMMAND INFO of one command, without its subcommands, which are asked for by themselves.
fn info(client: &mut Client, name: &str) -> Option<Vec<Value>> {
    let reply = client.run(&["COMMAND", "INFO", name]);
    let one = &reply.items()[0];
    if one.is_null() {
        return None;
    }
    let mut fields = one.items()[..INFO_FIELDS.len()].to_vec();
    // What a key specification notes is prose for people.
    let specs = fields.last_mut().expect("a command has all fields");
    *specs = Value::Set((specs.items().iter().map(|spec| without(spec, "notes"))).collect());
    Some(fields)
}

/// COMMAND DOCS of one command, field by field. Texts in prose are only compared in that they are
/// there; the history of another server's versions is not ours to tell.
fn docs(client: &mut Client, name: &str) -> Vec<(String, Value)> {
    let reply = client.run(&["COMMAND", "DOCS", name]);
    let found = entries(&reply);
    let Some((_, doc)) = found.first() else {
        return Vec::new();
    };
    let fields = entries(doc).into_iter().filter_map(|(field, value)| {
        let field = field.text();
        match field.as_str() {
            "history" | "subcommands" => None,
            "summary" | "complexity" => Some((field, Value::Bool(!value.bytes().is_empty()))),
            _ => Some((field, value)),
        }
    });
    fields.collect()
}

/// Compares what the two servers say of each command, in both protocols.
pub fn compare() {
    let reference = Server::valkey(REFERENCE_ARGS);
    let subject = Server::banyan(1, subject_args());
    let mut wrong = Vec::new();
    for version in [2, 3] {
        let mut clients = [reference.client(), subject.client()];
        for client in &mut clients {
            client.call(&format!("HELLO {version}"));
        }
        for name in names() {
            let [Some(a), Some(b)] = clients.each_mut().map(|client| info(client, name)) else {
                wrong.push(format!("{name}: not a command of both"));
                continue;
            };
            for (field, (a, b)) in INFO_FIELDS.iter().zip(a.iter().zip(&b)) {
                if a != b && !is_expected(name, field) {
                    wrong.push(format!(
                        "{name} (RESP{version}), {field}:\n  {a:?}\n  {b:?}"
                    ));
                }
            }
            let [a, b] = clients.each_mut().map(|client| docs(client, name));
            if a != b && !is_expected(name, "docs") {
                wrong.push(format!("{name} (RESP{version}), docs:\n  {a:?}\n  {b:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} descriptions differ, the reference first:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What is asked of COMMAND besides.
const QUESTIONS: &[&str] = &[
    "COMMAND FOO",
    "COMMAND COUNT x",
    "COMMAND INFO nosuch client|nosuch debug|object get|x | get|",
    "COMMAND DOCS nosuch client|nosuch",
    "COMMAND HELP x",
    "COMMAND LIST x",
    "COMMAND LIST FILTERBY",
    "COMMAND LIST FILTERBY MODULE",
    "COMMAND LIST FILTERBY MODULE nosuch",
    "COMMAND LIST FILTERBY ACLCAT nosuch",
    "COMMAND LIST FILTERBY ACLCAT @read",
    "COMMAND LIST FILTERBY ACLCAT read x",
    "COMMAND LIST FILTERBY PATTERN nosuch*",
    "COMMAND LIST FILTERBY foo x",
    "COMMAND GETKEYS",
    "COMMAND GETKEYSANDFLAGS",
];

/// Requests whose keys COMMAND GETKEYS and GETKEYSANDFLAGS are asked for.
const REQUESTS: &[&str] = &[
    "get",
    "get a",
    "get a b",
    "set a",
    "set a b",
    "set a b GET",
    "set a b nx get",
    "set a b ex 5",
    "getex a",
    "mset a b c d",
    "mset a b c",
    "msetnx a 1 b 2",
    "mget a b c",
    "del",
    "exists a b",
    "ping",
    "nosuch",
    "client",
    "client id",
    "client kill a",
    "object",
    "object encoding a",
    "object foo a",
    "object help",
    "memory usage a samples 5",
    "memory",
    "copy a b",
    "rename a b",
    "watch a b",
    "hset a b c",
    "hscan a 0",
    "scan 0",
    "wait 1 2",
    "failover",
    "config get a",
    "debug object a",
    "debug",
    "command getkeys get a",
    "swapdb 0 1",
    "move a 1",
    "restore a 0 x",
];

/// Compares the answers to a list of questions, and the lists that COMMAND LIST gives, as far as
/// both servers have the commands.
pub fn compare_lists() {
    let reference = Server::valkey(REFERENCE_ARGS);
    let subject = Server::banyan(1, subject_args());
    let mut clients = [reference.client(), subject.client()];
    let known = names();
    let keys_of = REQUESTS.iter().flat_map(|request| {
        ["GETKEYS", "GETKEYSANDFLAGS"].map(|word| format!("COMMAND {word} {request}"))
    });
    for question in QUESTIONS
        .iter()
        .map(|text| (*text).to_owned())
        .chain(keys_of)
    {
        let question = question.as_str();
        let [a, b] = clients.each_mut().map(|client| client.call(question));
        assert_eq!(a, b, "{question}");
    }
    let categories = [
        "keyspace",
        "read",
        "write",
        "string",
        "hash",
        "list",
        "set",
        "sortedset",
        "stream",
        "bitmap",
        "hyperloglog",
        "geo",
        "pubsub",
        "admin",
        "fast",
        "slow",
        "blocking",
        "dangerous",
        "connection",
        "transaction",
        "scripting",
        "FAST",
    ];
    let by_category = categories.map(|name| format!("COMMAND LIST FILTERBY ACLCAT {name}"));
    let patterns = ["*", "*get*", "client|*", "C*|g?t", "h[gs]et", "**"];
    let by_pattern = patterns.map(|pattern| format!("COMMAND LIST FILTERBY PATTERN {pattern}"));
    let all = ["COMMAND LIST".to_owned()];
    for question in by_category.iter().chain(&by_pattern).chain(&all) {
        let [a, b] = clients.each_mut().map(|client| {
            let reply = client.call(question);
            let names = reply.items().iter().map(Value::text);
            let mut names: Vec<_> = names
                .filter(|name| known.contains(&name.as_str()))
                .collect();
            names.sort();
            names
        });
        assert_eq!(a, b, "{question}");
    }
}
