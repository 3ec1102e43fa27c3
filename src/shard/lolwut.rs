//! LOLWUT: the tree that gave the server its name, and the version.

use crate::protocol::{Args, Reply};
use crate::value::number::parse_i64;

use super::connection_commands::REDIS_VERSION;

const TREE: &str = r"
           .oOOo.oOOOo.oOOo.
        .oOOOOOOOOOOOOOOOOOOo.
      oOOOOOo\OOOO\|/OOOO/oOOOOo
      'OOO'| \ '\O\|/O/' / |'OOO'
        |  |  |   \|||/   |  |  |
        |  |  |    |||    |  |  |
        |  |  |    |||    |  |  |
   _____|__|__|____|||____|__|__|_____
      many roots, one trunk, a wide crown
";

/// VERSION chooses among drawings elsewhere; here there is one, but its number is checked.
pub(super) fn lolwut(reply: &mut Reply, args: Args<'_>) {
    let chosen = args
        .get(1)
        .filter(|word| word.eq_ignore_ascii_case(b"version"));
    let version = chosen.and_then(|_| args.get(2));
    if version.is_some_and(|version| parse_i64(version).is_none()) {
        return reply.error("ERR value is not an integer or out of range");
    }
    let text = format!(
        "{TREE}\nRedis ver. {REDIS_VERSION}, Banyan ver. {}\n",
        env!("CARGO_PKG_VERSION")
    );
    reply.verbatim("txt", text.as_bytes());
}
