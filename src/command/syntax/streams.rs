//! Arguments of the commands for streams.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    ("xack", "key group id..."),
    (
        "xadd",
        "key [NOMKSTREAM@6.2.0] [trim{strategy(MAXLEN | MINID@6.2.0) \
         [operator(\"=\"=equal:token | \"~\"=approximately:token)] threshold \
         [LIMIT=count:integer@6.2.0]}] id-selector(\"*\"=auto-id:token | id) data{field \
         value}...",
    ),
    (
        "xautoclaim",
        "key group consumer min-idle-time start [COUNT=count:integer] [JUSTID]",
    ),
    (
        "xclaim",
        "key group consumer min-idle-time id... [IDLE=ms:integer] \
         [TIME=unix-time-milliseconds:time] [RETRYCOUNT=count:integer] [FORCE] [JUSTID] \
         [LASTID=lastid]",
    ),
    ("xdel", "key id..."),
    (
        "xgroup|create",
        "key group id-selector(id | \"$\"=new-id:token) [MKSTREAM] \
         [ENTRIESREAD=entriesread\"entries-read\":integer]",
    ),
    ("xgroup|createconsumer", "key group consumer"),
    ("xgroup|delconsumer", "key group consumer"),
    ("xgroup|destroy", "key group"),
    ("xgroup|help", ""),
    (
        "xgroup|setid",
        "key group id-selector(id | \"$\"=new-id:token) \
         [ENTRIESREAD=entriesread\"entries-read\":integer]",
    ),
    ("xinfo|consumers", "key group"),
    ("xinfo|groups", "key"),
    ("xinfo|help", ""),
    (
        "xinfo|stream",
        "key [full-block{FULL [COUNT=count:integer]}]",
    ),
    ("xlen", "key"),
    (
        "xpending",
        "key group [filters{[IDLE=min-idle-time:integer@6.2.0] start end count:integer \
         [consumer]}]",
    ),
    ("xrange", "key start end [COUNT=count:integer]"),
    (
        "xread",
        "[COUNT=count:integer] [BLOCK=milliseconds:integer] STREAMS=streams{key... id...}",
    ),
    (
        "xreadgroup",
        "GROUP=group-block{group consumer} [COUNT=count:integer] [BLOCK=milliseconds:integer] \
         [NOACK] STREAMS=streams{key... id...}",
    ),
    ("xrevrange", "key end start [COUNT=count:integer]"),
    (
        "xsetid",
        "key last-id [ENTRIESADDED=entries-added:integer@7.0.0] \
         [MAXDELETEDID=max-deleted-id@7.0.0]",
    ),
    (
        "xtrim",
        "key trim{strategy(MAXLEN | MINID@6.2.0) [operator(\"=\"=equal:token | \
         \"~\"=approximately:token)] threshold [LIMIT=count:integer@6.2.0]}",
    ),
];
