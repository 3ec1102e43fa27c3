//! Arguments of the commands for hashes.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    ("hdel", "key field..."),
    ("hexists", "key field"),
    ("hget", "key field"),
    ("hgetall", "key"),
    ("hincrby", "key field increment:integer"),
    ("hincrbyfloat", "key field increment:double"),
    ("hkeys", "key"),
    ("hlen", "key"),
    ("hmget", "key field..."),
    ("hmset", "key data{field value}..."),
    ("hrandfield", "key [options{count:integer [WITHVALUES]}]"),
    (
        "hscan",
        "key cursor:integer [MATCH=pattern:pattern] [COUNT=count:integer] [NOVALUES]",
    ),
    ("hset", "key data{field value}..."),
    ("hsetnx", "key field value"),
    ("hstrlen", "key field"),
    ("hvals", "key"),
];
