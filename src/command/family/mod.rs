//! The rows of the command table and the commands themselves, one file or folder per family.

pub mod bitmaps;
pub mod connection;
pub mod databases;
pub mod geo;
pub mod hashes;
pub mod hyperloglog;
pub mod keys;
pub mod lists;
pub mod observe;
pub mod pubsub;
pub mod replication;
pub mod server;
pub mod sets;
pub mod sorted_sets;
pub mod streams;
pub mod strings;
pub mod transactions;

use super::table::Command;

/// All families.
pub static ALL: &[&[Command]] = &[
    bitmaps::COMMANDS,
    connection::COMMANDS,
    databases::COMMANDS,
    geo::COMMANDS,
    hashes::COMMANDS,
    hyperloglog::COMMANDS,
    keys::COMMANDS,
    lists::COMMANDS,
    observe::COMMANDS,
    pubsub::COMMANDS,
    replication::COMMANDS,
    server::COMMANDS,
    sorted_sets::COMMANDS,
    sets::COMMANDS,
    streams::COMMANDS,
    strings::COMMANDS,
    transactions::COMMANDS,
];
