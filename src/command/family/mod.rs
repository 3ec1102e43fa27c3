//! The rows of the command table and the commands themselves, one file or folder per family.

pub mod connection;
pub mod hashes;
pub mod strings;

use super::table::Command;

/// All families.
pub static ALL: &[&[Command]] = &[connection::COMMANDS, strings::COMMANDS, hashes::COMMANDS];
