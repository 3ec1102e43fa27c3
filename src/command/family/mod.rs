//! The rows of the command table and the commands themselves, one file or folder per family.

pub mod connection;
pub mod databases;
pub mod hashes;
pub mod keys;
pub mod replication;
pub mod server;
pub mod sorted_sets;
pub mod strings;
pub mod transactions;

use super::table::Command;

/// All families.
pub static ALL: &[&[Command]] = &[
    connection::COMMANDS,
    databases::COMMANDS,
    hashes::COMMANDS,
    keys::COMMANDS,
    replication::COMMANDS,
    server::COMMANDS,
    sorted_sets::COMMANDS,
    strings::COMMANDS,
    transactions::COMMANDS,
];
