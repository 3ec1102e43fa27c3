//! Arguments of the commands for strings.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    ("append", "key value"),
    ("decr", "key"),
    ("decrby", "key decrement:integer"),
    ("get", "key"),
    ("getdel", "key"),
    (
        "getex",
        "key [expiration(EX=seconds:integer | PX=milliseconds:integer | \
         EXAT=unix-time-seconds:time | PXAT=unix-time-milliseconds:time | PERSIST)]",
    ),
    ("getrange", "key start:integer end:integer"),
    ("getset", "key value"),
    ("incr", "key"),
    ("incrby", "key increment:integer"),
    ("incrbyfloat", "key increment:double"),
    (
        "lcs",
        "key1:key key2:key [LEN] [IDX] [MINMATCHLEN=min-match-len:integer] [WITHMATCHLEN]",
    ),
    ("mget", "key..."),
    ("mset", "data{key value}..."),
    ("msetnx", "data{key value}..."),
    ("psetex", "key milliseconds:integer value"),
    (
        "set",
        "key value [condition(NX | XX)@2.6.12] [GET@6.2.0] \
         [expiration(EX=seconds:integer@2.6.12 | PX=milliseconds:integer@2.6.12 | \
         EXAT=unix-time-seconds:time@6.2.0 | PXAT=unix-time-milliseconds:time@6.2.0 | \
         KEEPTTL@6.0.0)]",
    ),
    ("setex", "key seconds:integer value"),
    ("setnx", "key value"),
    ("setrange", "key offset:integer value"),
    ("strlen", "key"),
    ("substr", "key start:integer end:integer"),
];
