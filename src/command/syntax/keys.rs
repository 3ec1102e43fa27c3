//! Arguments of the commands for keys of any type.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    (
        "copy",
        "source:key destination:key1 [DB=destination-db:integer] [REPLACE]",
    ),
    ("del", "key..."),
    ("dump", "key"),
    ("exists", "key..."),
    (
        "expire",
        "key seconds:integer [condition(NX | XX | GT | LT)@7.0.0]",
    ),
    (
        "expireat",
        "key unix-time-seconds:time [condition(NX | XX | GT | LT)@7.0.0]",
    ),
    ("expiretime", "key"),
    ("keys", "pattern:pattern"),
    ("move", "key db:integer"),
    ("object|encoding", "key"),
    ("object|freq", "key"),
    ("object|help", ""),
    ("object|idletime", "key"),
    ("object|refcount", "key"),
    ("persist", "key"),
    (
        "pexpire",
        "key milliseconds:integer [condition(NX | XX | GT | LT)@7.0.0]",
    ),
    (
        "pexpireat",
        "key unix-time-milliseconds:time [condition(NX | XX | GT | LT)@7.0.0]",
    ),
    ("pexpiretime", "key"),
    ("pttl", "key"),
    ("randomkey", ""),
    ("rename", "key newkey:key1"),
    ("renamenx", "key newkey:key1"),
    (
        "restore",
        "key ttl:integer serialized-value [REPLACE@3.0.0] [ABSTTL@5.0.0] \
         [IDLETIME=seconds:integer@5.0.0] [FREQ=frequency:integer@5.0.0]",
    ),
    (
        "scan",
        "cursor:integer [MATCH=pattern:pattern] [COUNT=count:integer] [TYPE=type@6.0.0]",
    ),
    (
        "sort",
        "key [BY=by-pattern\"pattern\":pattern1] [LIMIT=limit{offset:integer count:integer}] \
         [GET=get-pattern\"pattern\":pattern1+...] [order(ASC | DESC)] [ALPHA=sorting:token] \
         [STORE=destination:key2]",
    ),
    (
        "sort_ro",
        "key [BY=by-pattern\"pattern\":pattern1] [LIMIT=limit{offset:integer count:integer}] \
         [GET=get-pattern\"pattern\":pattern1+...] [order(ASC | DESC)] [ALPHA=sorting:token]",
    ),
    ("touch", "key..."),
    ("ttl", "key"),
    ("type", "key"),
    ("unlink", "key..."),
    ("wait", "numreplicas:integer timeout:integer"),
];
