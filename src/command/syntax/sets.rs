//! Arguments of the commands for sets.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    ("sadd", "key member..."),
    ("scard", "key"),
    ("sdiff", "key..."),
    ("sdiffstore", "destination:key key:key1..."),
    ("sinter", "key..."),
    ("sintercard", "numkeys:integer key... [LIMIT=limit:integer]"),
    ("sinterstore", "destination:key key:key1..."),
    ("sismember", "key member"),
    ("smembers", "key"),
    ("smismember", "key member..."),
    ("smove", "source:key destination:key1 member"),
    ("spop", "key [count:integer@3.2.0]"),
    ("srandmember", "key [count:integer@2.6.0]"),
    ("srem", "key member..."),
    (
        "sscan",
        "key cursor:integer [MATCH=pattern:pattern] [COUNT=count:integer]",
    ),
    ("sunion", "key..."),
    ("sunionstore", "destination:key key:key1..."),
];
