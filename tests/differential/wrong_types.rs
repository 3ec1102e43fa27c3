//! Every command that names keys, on a key of every type: the reply, and what it leaves.

use super::run::{REFERENCE_ARGS, subject_args};
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::sync::digest;
use crate::support::wrong_types::REQUESTS;

/// What makes `K` one of each type, with one element, so that what is random is not.
const TYPES: &[&str] = &[
    "EXISTS K",
    "SET K text",
    "SET K 12",
    "RPUSH K 1",
    "SADD K m",
    "SADD K 1",
    "HSET K f v",
    "ZADD K 1 m",
    "XADD K 1-1 f v",
];

pub fn compare(shards: usize) {
    let reference = Server::valkey(REFERENCE_ARGS);
    let subject = Server::banyan(shards, subject_args());
    let mut clients = [reference.client(), subject.client()];
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for (of, request) in TYPES
        .iter()
        .flat_map(|of| REQUESTS.iter().map(move |request| (of, request)))
    {
        let [a, b] = clients
            .each_mut()
            .map(|client| outcome(client, of, request));
        refused += usize::from(a.contains("WRONGTYPE"));
        if a != b {
            wrong.push(format!("{of}; {request}\n  reference {a}\n     banyan {b}"));
        }
    }
    let found = wrong.join("\n");
    assert!(wrong.is_empty(), "{} differ:\n{found}", wrong.len());
    assert!(
        refused > REQUESTS.len() * 3,
        "{refused} were of the wrong type"
    );
}

/// The reply with what is there afterwards.
fn outcome(client: &mut Client, of: &str, request: &str) -> String {
    client.must("FLUSHALL");
    client.must("UNWATCH");
    client.call(of);
    let words: Vec<&str> = request.split(' ').collect();
    let reply = client.run(&words);
    // A dump ends with a version of its own, a cursor is the server's own.
    let shown = match words[0] {
        "DUMP" => String::new(),
        _ => format!("{reply:?}"),
    };
    format!("{shown} {}", digest(client))
}
