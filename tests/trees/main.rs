//! Real processes under faults: every way of losing a link between Banyan and the real servers,
//! and random trees of them.
//!
//! `BANYAN_MATRIX=full` runs every cell of the matrix, not only those chosen for a change;
//! `BANYAN_CYCLES` sets the number of changes to the random trees.

#[path = "../support/mod.rs"]
mod support;

mod known;
mod matrix;
mod promise;
mod random;
mod tree;

use support::server::{Kind, Server};

/// A full synchronisation begins at once, and nothing moves an offset but what is written.
const QUIET: &[&str] = &[
    "--repl-diskless-sync",
    "yes",
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "3600",
];

/// A server of a kind; the number of shards counts for Banyan.
fn start(kind: Kind, shards: usize, more: &[&str]) -> Server {
    let args = [QUIET, more].concat();
    match kind {
        Kind::Banyan => Server::banyan(shards, &args),
        other => Server::of(other, &args),
    }
}
