//! What the servers tell of what they have done: the slow log's entries.

use super::run::{REFERENCE_ARGS, subject_args};
use crate::support::resp::Value;
use crate::support::server::Server;

/// Commands that are logged, in order. `LONG` stands for a long argument, `MANY` for many.
const COMMANDS: &[&str] = &[
    "SET a 1",
    "CLIENT SETNAME bob",
    "SET a LONG",
    "GET a",
    "get nosuch",
    "INCR a",
    "NOSUCH a",
    "GET",
    "DEL MANY",
    "MSET a 1 b 2 c 3",
    "MULTI",
    "GET a",
    "MSET a 1 b 2",
    "PING",
    "EXEC",
    "DISCARD",
    "AUTH default secret",
    "AUTH secret",
    "HELLO 2 AUTH default secret",
    "CONFIG SET maxclients 100 masterauth secret",
    "CONFIG SET requirepass \"\"",
    "KEYS nosuch",
    "DBSIZE",
    "SLOWLOG LEN",
    "SLOWLOG GET 2",
    "INFO server",
    "CLIENT KILL ID 99999",
    "FLUSHALL",
];

/// A command's words, spelt out.
fn words(command: &str) -> Vec<Vec<u8>> {
    let spell = |word: &str| match word {
        "LONG" => vec![vec![b'x'; 200]],
        "MANY" => (0..40).map(|n: u32| n.to_string().into_bytes()).collect(),
        "\"\"" => vec![Vec::new()],
        word => vec![word.as_bytes().to_vec()],
    };
    command.split(' ').flat_map(spell).collect()
}

/// Entries as both servers must show them: number counted from the first, arguments and name.
fn entries(reply: &Value) -> Vec<(i64, Value, Value)> {
    let entries = reply.items();
    let first = entries.last().map_or(0, |oldest| oldest.items()[0].int());
    let shown = entries.iter().map(|entry| {
        let fields = entry.items();
        assert_eq!(fields.len(), 6);
        assert!(fields[4].text().starts_with("127.0.0.1:"));
        (
            fields[0].int() - first,
            fields[3].clone(),
            fields[5].clone(),
        )
    });
    shown.collect()
}

/// Logs every command, and compares the logs.
pub fn compare_slow_logs(shards: usize) {
    let servers = [
        Server::valkey(REFERENCE_ARGS),
        Server::banyan(shards, subject_args()),
    ];
    let mut logs = servers.each_ref().map(|server| {
        let mut client = server.client();
        client.must("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 1000");
        client.must("SLOWLOG RESET");
        for command in COMMANDS {
            client.run(&words(command));
        }
        let log = entries(&client.call("SLOWLOG GET -1"));
        assert_eq!(client.call("SLOWLOG GET 3").items().len(), 3);
        client.must("CONFIG SET slowlog-max-len 5");
        client.must("SLOWLOG RESET");
        client.must("CONFIG SET slowlog-log-slower-than -1");
        log
    });
    let [reference, subject] = &mut logs;
    assert!(reference.len() > 20, "the commands were logged");
    for (a, b) in reference.iter().zip(subject.iter()) {
        assert_eq!(a, b);
    }
    assert_eq!(reference.len(), subject.len());
}
