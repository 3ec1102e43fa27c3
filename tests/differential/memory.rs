//! Out of memory: which commands are refused, and with what words.

use crate::support::client::Client;
use crate::support::resp::Value;
use crate::support::server::Server;

const COMMANDS: &[&str] = &[
    "SET a b",
    "GET a",
    "APPEND a x",
    "SETRANGE a 0 x",
    "INCR n",
    "GETSET a c",
    "SETEX a 100 c",
    "MSET x 1 y 2 z 3",
    "MSETNX x 1 y 2 z 3",
    "HSET h f v",
    "HINCRBY h n 1",
    "HGET h f",
    "HDEL h f",
    "COPY a c",
    "RENAME h g",
    "EXPIRE a 100",
    "PERSIST a",
    "RESTORE r 0 x",
    "DEL g",
    "EXISTS a g x y z",
    "SET",
    "MULTI",
    "GET a",
    "DEL x",
    "EXEC",
    "MULTI",
    "GET a",
    "SET a b",
    "EXEC",
    "MULTI",
    "HSET h f v",
    "DISCARD",
    "PING",
    "GETDEL a",
    "DBSIZE",
    "FLUSHALL",
    "SET a b",
];

fn replies(server: &Server, policy: &str) -> Vec<Value> {
    let mut client: Client = server.client();
    client.must("SET a 1");
    assert_eq!(client.call("HSET h f v").int(), 1);
    client.must(&format!("CONFIG SET maxmemory-policy {policy}"));
    // No process is so small.
    client.must("CONFIG SET maxmemory 1000");
    let replies = COMMANDS
        .iter()
        .map(|command| client.call(command))
        .collect();
    client.must("CONFIG SET maxmemory 0");
    client.must("SET a 1");
    replies
}

#[test]
fn without_memory_the_same_commands_are_refused() {
    let real = Server::valkey(&[]);
    for policy in ["noeviction", "volatile-lru", "allkeys-random"] {
        let want = replies(&real, policy);
        for shards in [1, 2, 7] {
            let server = Server::banyan(shards, &[]);
            let got = replies(&server, policy);
            for ((command, want), got) in COMMANDS.iter().zip(&want).zip(&got) {
                assert_eq!(got, want, "{command} with {policy} on {shards} shards");
            }
        }
    }
}
