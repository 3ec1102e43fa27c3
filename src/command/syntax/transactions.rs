//! Arguments of the commands for transactions.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    ("discard", ""),
    ("exec", ""),
    ("multi", ""),
    ("unwatch", ""),
    ("watch", "key..."),
];
