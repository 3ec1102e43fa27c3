//! Arguments of the commands for lists.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    (
        "blmove",
        "source:key destination:key1 wherefrom(LEFT | RIGHT) whereto(LEFT | RIGHT) \
         timeout:double",
    ),
    (
        "blmpop",
        "timeout:double numkeys:integer key... where(LEFT | RIGHT) [COUNT=count:integer]",
    ),
    ("blpop", "key... timeout:double"),
    ("brpop", "key... timeout:double"),
    ("brpoplpush", "source:key destination:key1 timeout:double"),
    ("lindex", "key index:integer"),
    ("linsert", "key where(BEFORE | AFTER) pivot element"),
    ("llen", "key"),
    (
        "lmove",
        "source:key destination:key1 wherefrom(LEFT | RIGHT) whereto(LEFT | RIGHT)",
    ),
    (
        "lmpop",
        "numkeys:integer key... where(LEFT | RIGHT) [COUNT=count:integer]",
    ),
    ("lpop", "key [count:integer@6.2.0]"),
    (
        "lpos",
        "key element [RANK=rank:integer] [COUNT=num-matches:integer] [MAXLEN=len:integer]",
    ),
    ("lpush", "key element..."),
    ("lpushx", "key element..."),
    ("lrange", "key start:integer stop:integer"),
    ("lrem", "key count:integer element"),
    ("lset", "key index:integer element"),
    ("ltrim", "key start:integer stop:integer"),
    ("rpop", "key [count:integer@6.2.0]"),
    ("rpoplpush", "source:key destination:key1"),
    ("rpush", "key element..."),
    ("rpushx", "key element..."),
];
