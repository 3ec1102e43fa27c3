//! Arguments of the commands for HyperLogLogs.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    ("pfadd", "key [element...]"),
    ("pfcount", "key..."),
    ("pfdebug", "subcommand key"),
    ("pfmerge", "destkey:key [sourcekey:key1...]"),
    ("pfselftest", ""),
];
