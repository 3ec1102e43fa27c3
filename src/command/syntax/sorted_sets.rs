//! Arguments of the commands for sorted sets.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    (
        "bzmpop",
        "timeout:double numkeys:integer key... where(MIN | MAX) [COUNT=count:integer]",
    ),
    ("bzpopmax", "key... timeout:double"),
    ("bzpopmin", "key... timeout:double"),
    (
        "zadd",
        "key [condition(NX | XX)@3.0.2] [comparison(GT | LT)@6.2.0] [CH=change:token@3.0.2] \
         [INCR=increment:token@3.0.2] data{score:double member}...",
    ),
    ("zcard", "key"),
    ("zcount", "key min:double max:double"),
    ("zdiff", "numkeys:integer key... [WITHSCORES]"),
    ("zdiffstore", "destination:key numkeys:integer key:key1..."),
    ("zincrby", "key increment:integer member"),
    (
        "zinter",
        "numkeys:integer key... [WEIGHTS=weight:integer...] [AGGREGATE=aggregate(SUM | MIN | \
         MAX)] [WITHSCORES]",
    ),
    ("zintercard", "numkeys:integer key... [LIMIT=limit:integer]"),
    (
        "zinterstore",
        "destination:key numkeys:integer key:key1... [WEIGHTS=weight:integer...] \
         [AGGREGATE=aggregate(SUM | MIN | MAX)]",
    ),
    ("zlexcount", "key min max"),
    (
        "zmpop",
        "numkeys:integer key... where(MIN | MAX) [COUNT=count:integer]",
    ),
    ("zmscore", "key member..."),
    ("zpopmax", "key [count:integer]"),
    ("zpopmin", "key [count:integer]"),
    ("zrandmember", "key [options{count:integer [WITHSCORES]}]"),
    (
        "zrange",
        "key start stop [sortby(BYSCORE | BYLEX)@6.2.0] [REV@6.2.0] \
         [LIMIT=limit{offset:integer count:integer}@6.2.0] [WITHSCORES]",
    ),
    (
        "zrangebylex",
        "key min max [LIMIT=limit{offset:integer count:integer}]",
    ),
    (
        "zrangebyscore",
        "key min:double max:double [WITHSCORES@2.0.0] [LIMIT=limit{offset:integer \
         count:integer}]",
    ),
    (
        "zrangestore",
        "dst:key src:key1 min max [sortby(BYSCORE | BYLEX)] [REV] [LIMIT=limit{offset:integer \
         count:integer}]",
    ),
    ("zrank", "key member [WITHSCORE]"),
    ("zrem", "key member..."),
    ("zremrangebylex", "key min max"),
    ("zremrangebyrank", "key start:integer stop:integer"),
    ("zremrangebyscore", "key min:double max:double"),
    ("zrevrange", "key start:integer stop:integer [WITHSCORES]"),
    (
        "zrevrangebylex",
        "key max min [LIMIT=limit{offset:integer count:integer}]",
    ),
    (
        "zrevrangebyscore",
        "key max:double min:double [WITHSCORES] [LIMIT=limit{offset:integer count:integer}]",
    ),
    ("zrevrank", "key member [WITHSCORE]"),
    (
        "zscan",
        "key cursor:integer [MATCH=pattern:pattern] [COUNT=count:integer] [NOSCORES]",
    ),
    ("zscore", "key member"),
    (
        "zunion",
        "numkeys:integer key... [WEIGHTS=weight:integer...] [AGGREGATE=aggregate(SUM | MIN | \
         MAX)] [WITHSCORES]",
    ),
    (
        "zunionstore",
        "destination:key numkeys:integer key:key1... [WEIGHTS=weight:integer...] \
         [AGGREGATE=aggregate(SUM | MIN | MAX)]",
    ),
];
