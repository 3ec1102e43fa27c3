//! Banyan among real servers: redis-server 7.0.15 and valkey-server 8.0.1 as its replicas and as
//! its primaries. Whenever offsets agree, digests must.

#[path = "../support/mod.rs"]
mod support;

mod chain;
mod dataset;
mod delayed;
mod failover;
mod full;
mod operations;
mod partial;
mod publish;
mod restart;
mod stream;

use support::server::Server;

/// A primary that starts a full synchronisation at once.
const QUICK: &[&str] = &[
    "--repl-diskless-sync",
    "yes",
    "--repl-diskless-sync-delay",
    "0",
];

fn quick(more: &[&'static str]) -> Vec<&'static str> {
    [QUICK, more].concat()
}

fn banyan(shards: usize, more: &[&'static str]) -> Server {
    Server::banyan(shards, &quick(more))
}

fn redis(more: &[&'static str]) -> Server {
    Server::redis(&quick(more))
}

fn valkey(more: &[&'static str]) -> Server {
    Server::valkey(&quick(more))
}
