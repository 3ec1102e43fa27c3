//! The stream that Banyan sends to a replica against the one that Valkey sends, as parsed
//! commands in their order.

use super::generate::{Generator, POPPED, Step};
use super::run::Pair;
use crate::support::client::Client;
use crate::support::replica::{Replica, Unit, units};
use std::collections::BTreeSet;

/// Cases: what prepares the data, and the commands whose effects are compared. Commands are
/// separated by `;`. `@past` is a time long gone, `@ms` and `@s` one far ahead; `@dump` is the
/// payload of `DUMP` of the key `dumped`.
#[rustfmt::skip]
const CASES: &[(&str, &str)] = &[
    ("", "SET a 1"),
    ("", "SET a 1 EX 100000; SET a 1 PX 100000000; SET a 1 EXAT @s; SET a 1 PXAT @ms"),
    ("SET a 0", "SET a 1 GET; SET a 2 NX; SET a 3 XX GET; SET b 1 XX; SET a 4 KEEPTTL"),
    ("SET a 0", "SET a 1 EX 100000 GET; SET a 2 XX EX 50000; SET c 2 NX PX 90000000 GET"),
    ("SET a 0", "SET a 1 PXAT @past; GET a"),
    ("SET a 0", "SET a 1 EXAT @past XX GET; EXISTS a"),
    ("SET a 1", "SETNX a 2; SETNX b 2"),
    ("", "SETEX a 100000 v; PSETEX a 100000000 v"),
    ("SET a 1", "GETSET a 2; GETSET b 3"),
    ("SET a 1", "GETDEL a; GETDEL a"),
    ("SET a 1", "GETEX a; GETEX a EX 100000; GETEX a PXAT @ms; GETEX a PERSIST; GETEX a PERSIST"),
    ("SET a 1; SET b 1", "GETEX a PXAT @past; GETEX b EXAT @past; GETEX none EX 5"),
    ("SET a 1", "APPEND a 2; APPEND b x; APPEND b \"\"; SETRANGE a 5 y; SETRANGE none 0 \"\""),
    ("SET a 1", "INCR a; DECR a; INCRBY a 5; DECRBY a 7; INCR new; INCRBY a 0"),
    ("SET a 1", "INCRBYFLOAT a 0.5; INCRBYFLOAT new 3e3; INCRBYFLOAT a 0"),
    ("SET a 1 EX 100000", "INCRBYFLOAT a 0.5; INCR a; APPEND a 1; SETRANGE a 0 9"),
    ("SET s text; HSET h f v", "INCR s; INCRBYFLOAT s 1; APPEND h x; HINCRBY h f 1; HSET s f v"),
    ("", "MSET a 1 b 2 c 3; MSET x 1 x 2; MSETNX a 1 new 2; MSETNX n1 1 n2 2"),
    ("SET a 1; SET b 2; HSET h f v", "DEL a none; DEL none; UNLINK b h; DEL a a"),
    ("SET a 1; SET b 1; SET c 1; SET d 1", "EXPIRE a 100000; PEXPIRE b 90000000; EXPIREAT c @s; PEXPIREAT d @ms"),
    ("SET a 1; SET b 1; SET c 1; SET d 1", "EXPIRE a 0; PEXPIRE b -1; EXPIREAT c @past; PEXPIREAT d @past"),
    ("SET a 1", "EXPIRE a 100000 XX; EXPIRE a 100000 NX; EXPIRE a 900000 GT; EXPIRE a 50 GT; PERSIST a; PERSIST a"),
    ("SET a 1", "EXPIRE none 100; EXPIRE a 100000 LT; PEXPIREAT a @past LT"),
    ("SET a 1; SET b 2 EX 100000", "RENAME a c; RENAME b c; RENAMENX c d; SET c 1; RENAMENX c d; RENAME d d"),
    ("SET a 1 EX 100000; HSET h f v", "COPY a b; COPY a b; COPY a b REPLACE; COPY h g DB 3; COPY h h"),
    ("SET a 1; HSET h f v", "MOVE a 5; MOVE none 5; MOVE h 5; SELECT 5; DEL a"),
    ("SET a 1", "SWAPDB 0 3; SET a 2; SELECT 3; SET a 3; SWAPDB 3 3; SELECT 0"),
    ("SET a 1; SELECT 4; SET b 1; SELECT 0", "FLUSHDB; FLUSHDB ASYNC; FLUSHALL SYNC; FLUSHALL"),
    ("", "SELECT 2; FLUSHDB; FLUSHALL ASYNC; SET a 1; SELECT 0; SET a 2"),
    ("", "HSET h f v g w; HSET h f v; HMSET h x 1; HSETNX h f 2; HSETNX h new 2"),
    ("HSET h f 1 g 2", "HDEL h f none; HDEL h none; HDEL h g; HDEL h g"),
    ("HSET h f 1", "HINCRBY h f 5; HINCRBY h new 1; HINCRBYFLOAT h f 0.25; HINCRBYFLOAT h n 1e2"),
    ("", "ZADD z 1 a 2 b; ZADD z 1 a; ZADD z NX 5 a; ZADD z CH 3 a; ZADD z INCR 2 a; ZADD z XX INCR 1 none; ZADD z GT 1 a"),
    ("ZADD z 1 a 2 b", "ZINCRBY z 0.5 a; ZINCRBY z 0 a; ZINCRBY new 1 x; ZINCRBY z inf a; ZINCRBY z -inf a"),
    ("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", "ZREM z a none; ZREM z none; ZREMRANGEBYRANK z 0 0; ZREMRANGEBYSCORE z 3 3; ZREMRANGEBYSCORE z 9 9; ZREM z d e f; ZREM z d"),
    ("ZADD z 0 a 0 b 0 c", "ZREMRANGEBYLEX z [a (c; ZREMRANGEBYLEX z [x +; ZREMRANGEBYLEX z - +; ZREMRANGEBYRANK z 0 -1"),
    ("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", "ZPOPMIN z; ZPOPMAX z 2; ZPOPMIN z 0; ZPOPMIN none; ZMPOP 2 none z MIN; ZMPOP 1 z MAX COUNT 10; ZMPOP 1 z MAX"),
    ("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", "BZPOPMIN none z 0; BZPOPMAX z 0; BZMPOP 0 2 none z MIN COUNT 2; BZMPOP 0 1 z MAX COUNT 9"),
    ("ZADD z 1 a 2 b 3 c", "MULTI; BZPOPMIN none 0; BZPOPMIN z 0; ZPOPMAX z; BZMPOP 0 1 none MIN; EXEC"),
    ("ZADD z 1 a 2 b; ZADD y 5 b 6 c; SET d 1", "ZUNIONSTORE d 2 z y; ZINTERSTORE d 2 z y WEIGHTS 2 3; ZDIFFSTORE d 2 z y; ZDIFFSTORE d 2 z z; ZDIFFSTORE d 2 z z; ZUNIONSTORE none 1 none2; ZUNIONSTORE z 2 z y"),
    ("ZADD z 1 a 2 b; SET d 1", "ZRANGESTORE d z 0 0; ZRANGESTORE d z 5 6; ZRANGESTORE d z 5 6; ZRANGESTORE d z 0 5 BYSCORE LIMIT 0 1; ZRANGESTORE z z 0 0"),
    ("ZADD z 1 a; ZADD d 1 a; PEXPIREAT d @past; PEXPIREAT z @past", "ZUNIONSTORE d 1 d; ZADD z 1 b; ZADD z 1 c"),
    ("ZADD d 1 a; SET e 1 PXAT @past; ZADD z 1 a; PEXPIREAT z @past", "ZUNIONSTORE e 1 d; ZPOPMIN z; ZRANGESTORE e none 0 -1"),
    ("ZADD dumped 1 a 2.5 b inf c", "RESTORE a 0 @dump; COPY a b; RENAME b c; DEL a"),
    ("SADD g a", "SADD g b 1 b; SADD g b; SADD new 1 2 3; SREM g a none; SREM g none; SREM g b 1 z"),
    ("SADD g a b 1; SADD f 1", "SMOVE g f a; SMOVE g f 1; SMOVE g new b; SMOVE none f x; SMOVE f f a; SMOVE f g none"),
    ("SADD g popped:1 popped:2 popped:3", "SPOP g; SPOP g 1; SPOP g; SPOP g; SPOP g 5; SPOP g 0"),
    ("SADD g a b c", "SPOP g 0; SPOP g 5; SADD g a; MULTI; SPOP g 1; SADD g x; EXEC"),
    ("SADD g 1 2 x; SADD f 2 3 x; SET d 1", "SINTERSTORE d g f; SUNIONSTORE d g f; SDIFFSTORE d g f; SINTERSTORE d g none; SDIFFSTORE d none g; SUNIONSTORE none none2; SUNIONSTORE g g f"),
    ("SADD g 1; SADD d 1; PEXPIREAT d @past; SET e 1 PXAT @past", "SINTERSTORE d g g; SUNIONSTORE e none"),
    ("SADD g a; SADD f a; PEXPIREAT g @past; PEXPIREAT f @past", "SPOP g; SMOVE f h a; SADD g x; SREM f a"),
    ("SADD dumped 1 2 a", "RESTORE a 0 @dump; COPY a b; RENAME b c; DEL a"),
    ("", "SETBIT a 7 1; SETBIT a 7 1; SETBIT a 100 0; SETBIT a 100 0; SETBIT a 3 x"),
    ("SET a 1; SET n 5 EX 100000", "BITOP OR d a none; BITOP OR d none; BITOP OR d none; BITOP NOT n n; BITOP XOR d a n"),
    ("SETBIT c 1 1", "BITFIELD c SET u8 0 64; BITFIELD c SET u8 100 0; BITFIELD c GET u8 0; BITFIELD c INCRBY u8 0 0; BITFIELD c INCRBY u8 0 5"),
    ("", "BITFIELD c OVERFLOW FAIL SET u8 0 300 SET u8 0 5; BITFIELD c OVERFLOW FAIL SET u8 0 300; BITFIELD_RO c GET u8 0"),
    ("", "PFADD h; PFADD h; PFADD h a b c; PFADD h a b c; PFADD i c d"),
    ("PFADD h a b; PFADD i b c", "PFCOUNT h; PFCOUNT h; PFCOUNT h i; PFADD h a; PFCOUNT h; PFADD h z; PFCOUNT h; PFCOUNT none"),
    ("PFADD h a b; PFADD i b c", "PFMERGE m h i; PFMERGE m h i; PFCOUNT m; PFCOUNT m; PFMERGE e; PFMERGE e none"),
    ("PFADD h a b; PFADD i b c; PFADD j x", "PFDEBUG TODENSE h; PFDEBUG TODENSE h; PFDEBUG GETREG i; PFDEBUG GETREG i; PFDEBUG DECODE j; PFDEBUG ENCODING j"),
    ("PFADD h a b; PFADD i b c", "MULTI; PFCOUNT h; SET x 1; PFCOUNT i; PFADD i z; EXEC; PFCOUNT h; PFCOUNT i"),
    ("SET s text; HSET h f v", "PFADD s x; PFADD h x; PFMERGE s; PFCOUNT s; SETBIT h 1 1; BITOP AND h h; BITFIELD h SET u8 0 1; SET end 1"),
    ("", "GEOADD q 13.361389 38.115556 a 15.087269 37.502669 b; GEOADD q NX 1 1 a; GEOADD q XX CH 13 38 a; GEOADD q 15.087269 37.502669 b"),
    ("GEOADD q 13.361389 38.115556 a 15.087269 37.502669 b", "GEORADIUS q 15 37 100 km STORE d; GEORADIUS q 15 37 200 km ASC STOREDIST e; GEORADIUS q 15 37 200 km; GEORADIUSBYMEMBER q a 1 km STORE d; GEORADIUS q 0 0 1 m STORE d; GEORADIUS q 0 0 1 m STORE d; GEORADIUS none 0 0 1 m STORE e"),
    ("GEOADD q 13.361389 38.115556 a 15.087269 37.502669 b", "GEOSEARCHSTORE d q FROMLONLAT 15 37 BYRADIUS 200 km; GEOSEARCHSTORE d q FROMMEMBER a BYBOX 1 1 m STOREDIST; GEOSEARCHSTORE d none FROMMEMBER a BYBOX 1 1 m; GEOSEARCHSTORE d none FROMMEMBER a BYBOX 1 1 m"),
    ("SET dumped text", "RESTORE a 0 @dump; RESTORE b 100000000 @dump; RESTORE c @ms @dump ABSTTL; RESTORE a 0 @dump REPLACE"),
    ("SET dumped text", "RESTORE a @past @dump ABSTTL; RESTORE b 0 @dump FREQ 5; RESTORE c 0 @dump IDLETIME 5"),
    ("SET a 1; SET dumped text", "RESTORE a @past @dump ABSTTL REPLACE"),
    ("", "RPUSH l a b c; LPUSH l d e; LPUSHX l f; RPUSHX l g; LPUSHX none x; RPUSHX none x"),
    ("RPUSH l a b c d e f", "LPOP l; RPOP l; LPOP l 2; RPOP l 0; LPOP none; RPOP none 2; RPOP l 9; LPOP l"),
    ("RPUSH l a b c a b c", "LSET l 0 x; LINSERT l BEFORE b y; LINSERT l AFTER none y; LREM l 1 c; LREM l 0 none; LTRIM l 0 -1; LTRIM l 1 -2; LTRIM l 9 10; LTRIM l 0 1"),
    ("RPUSH l a b c; RPUSH m 1", "LMOVE l m LEFT RIGHT; RPOPLPUSH l m; LMOVE l l left right; LMOVE l m LEFT LEFT; LMOVE l m LEFT LEFT; RPOPLPUSH none l"),
    ("RPUSH l a b c d e f", "LMPOP 2 none l LEFT; LMPOP 2 l none RIGHT COUNT 2; LMPOP 1 l LEFT COUNT 10; LMPOP 1 none LEFT"),
    ("RPUSH l a b c d e f", "BLPOP none l 0; BRPOP l 1.5; BLMPOP 0 2 none l LEFT COUNT 2; BLMPOP 5 1 l RIGHT; BLPOP l 0.001; RPUSH l x; BLPOP none 0.001"),
    ("RPUSH l a b; RPUSH m 1", "BLMOVE l m LEFT right 0; BRPOPLPUSH l m 5; MULTI; BLMOVE l m LEFT RIGHT 0; BRPOPLPUSH l m 0; BLPOP l 0; BLMPOP 0 1 l LEFT; EXEC"),
    ("RPUSH l a b c", "MULTI; BLPOP l 0; LPUSH l x; BRPOP l 0; BLMOVE l l LEFT RIGHT 0; BLMPOP 0 1 l LEFT COUNT 9; EXEC"),
    ("RPUSH l a; PEXPIREAT l @past", "LPUSHX l b; RPUSH l c; LLEN l"),
    ("RPUSH l a; PEXPIREAT l @past", "BLPOP l 0.001"),
    ("RPUSH l a b; PEXPIREAT l @ms", "LPUSH l x; LPOP l 3; RENAME l m; RPUSH l a; COPY l m; RENAME l n; DEL m n"),
    ("", "MULTI; SET a 1; SET b 2; EXEC"),
    ("", "MULTI; SET a 1; EXEC; MULTI; EXEC; MULTI; GET a; EXEC; MULTI; SET a 1; DISCARD"),
    ("SET s x", "MULTI; SET a 1; INCR s; SET b 2; EXEC"),
    ("", "MULTI; SET a 1; SELECT 3; SET a 2; SELECT 0; SET b 3; EXEC; SET c 1"),
    ("", "SELECT 7; MULTI; SET a 1; SET b 1; EXEC; SELECT 0; SET a 1"),
    ("", "MULTI; MSET a 1 b 2; DEL a; EXEC; MULTI; MSET a 1 b 2; EXEC"),
    ("", "WATCH w; MULTI; SET w 1; EXEC; WATCH w; SET w 2; MULTI; SET w 3; EXEC"),
    ("", "MULTI; SET a 1; NOSUCH; EXEC; SET after 1"),
    ("", "MULTI; SET a 1 EX 100000; GETEX a PERSIST; GETDEL a; EXEC"),
    ("SET a 1 PXAT @past", "GET a"),
    ("", "PUBLISH c hello; SET a 1; SPUBLISH c \"\""),
    ("", "SELECT 3; PUBLISH c x; MULTI; SET a 1; PUBLISH c y; EXEC; MULTI; PUBLISH c z; EXEC"),
    ("SET a 1 PXAT @past", "EXISTS a; TTL a"),
    ("SET a 1 PXAT @past", "SET a 2"),
    ("SET a 1 PXAT @past", "INCR a"),
    ("SET a 1 PXAT @past; SET b 2", "RENAME b a"),
    ("SET a 1 PXAT @past", "DEL a"),
    ("SET a 1 PXAT @past", "SETNX a 3; MGET a a"),
    ("SET a 1 PXAT @past; SET b 2 PXAT @past", "MGET a b c"),
    ("SET a 1 PXAT @past; SET b 1", "MULTI; GET a; SET b 2; EXEC"),
    ("SET a 1 PXAT @past", "MULTI; GET a; EXEC"),
    ("SET a 1 PXAT @past; SET b 2", "COPY b a; COPY a c"),
    ("HSET h f 1; PEXPIREAT h @ms", "HSET h f 2; HDEL h f; HSET h f 3; SET h x"),
    ("", "XADD s 1-1 f v; XADD s 2-* f v; XADD s * f v; XADD s MAXLEN 3 * f v; XADD none NOMKSTREAM * f v"),
    ("", "XADD s MAXLEN ~ 2 5-* f v; XADD s MINID ~ 1-1 LIMIT 10 6 f v; XADD s MINID = 2 7-* f v; XADD s MINID ~ 99 8-1 f v"),
    ("XADD s 1-1 f v; XADD s 2-1 f v; XADD s 3-1 f v", "XTRIM s MAXLEN ~ 0 LIMIT 1; XTRIM s MAXLEN 2; XTRIM s MAXLEN 2; XDEL s 2-1 9; XDEL s 9; XTRIM s MAXLEN ~ 0; XTRIM s MINID 5"),
    ("XADD s 1-1 f v", "XTRIM s MINID ~ 9 LIMIT 0; XADD s 2-1 f v; XTRIM s MINID = 9; XSETID s 9-9 ENTRIESADDED 20 MAXDELETEDID 2-2; XSETID s 3"),
    ("XADD s 1-1 f v", "XGROUP CREATE s g 0; XGROUP CREATE s g 0; XGROUP CREATE m g $ MKSTREAM; XGROUP CREATECONSUMER s g a; XGROUP CREATECONSUMER s g a; XGROUP SETID s g $; XGROUP SETID s g 0 ENTRIESREAD 3; XGROUP DELCONSUMER s g a; XGROUP DELCONSUMER s g a; XGROUP DESTROY s g; XGROUP DESTROY s g"),
    ("XADD s 1-1 f v; XADD s 2-1 f v; XADD s 3-1 f v; XGROUP CREATE s g 0", "XREADGROUP GROUP g a COUNT 1 STREAMS s >; XREADGROUP GROUP g b STREAMS s 0; XREADGROUP GROUP g b STREAMS s >; XREADGROUP GROUP g c STREAMS s >; XREADGROUP GROUP g a STREAMS s 0"),
    ("XADD s 1-1 f v; XADD s 2-1 f v; XGROUP CREATE s g 0", "XREADGROUP GROUP g a NOACK COUNT 1 STREAMS s >; XREADGROUP GROUP g a NOACK STREAMS s >; XREADGROUP GROUP g b NOACK STREAMS s >; XREADGROUP GROUP g c BLOCK 1 STREAMS s >"),
    ("XADD {k}s 1-1 f v; XADD {k}t 2-1 f v; XGROUP CREATE {k}s g 0; XGROUP CREATE {k}t g 0", "XREADGROUP GROUP g a STREAMS {k}s {k}t {k}s > > >"),
    ("XADD s 1-1 f v; XADD t 2-1 f v; XGROUP CREATE s g 0; XGROUP CREATE t g 0", "XREADGROUP GROUP g a STREAMS s t > >; XREADGROUP GROUP g a STREAMS s t > 0"),
    ("XADD s 1-1 f v; XADD s 2-1 f v; XADD s 3-1 f v; XADD s 4-1 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g a COUNT 3 STREAMS s >", "XACK s g 1-1 99; XACK s g 99; XCLAIM s g b 0 2-1; XCLAIM s g c 0 99-1; XCLAIM s g b 0 2-1 3-1 RETRYCOUNT 5 IDLE 1000; XCLAIM s g b 0 99-9 LASTID 20-20; XCLAIM s g b 1000000 2-1 LASTID 21-21; XCLAIM s g d 0 4-1 FORCE LASTID 30-30 JUSTID"),
    ("XADD s 1-1 f v; XADD s 2-1 f v; XADD s 3-1 f v; XGROUP CREATE s g 0; XREADGROUP GROUP g a STREAMS s >", "XDEL s 1-1; XCLAIM s g b 0 1-1; XDEL s 2-1; XAUTOCLAIM s g c 0 0 COUNT 1; XAUTOCLAIM s g c 0 0; XAUTOCLAIM s g d 0 99"),
    ("XADD s 1-1 f v; XADD s 2-1 f v; XGROUP CREATE s g 0", "MULTI; XADD s * f v; XREADGROUP GROUP g a STREAMS s >; XACK s g 1-1; EXEC; COPY s t; RENAME t u"),
];

/// Words of the cases that write nothing by themselves.
#[rustfmt::skip]
const NOT_WRITES: &[&str] = &[
    "BITFIELD_RO", "DISCARD", "EXEC", "EXISTS", "GET", "LLEN", "MGET", "MULTI", "NOSUCH", "PFCOUNT", "SELECT",
    "TTL", "WATCH",
];

/// The write commands that the cases send.
pub fn covered() -> BTreeSet<String> {
    let commands = CASES.iter().flat_map(|case| case.1.split(';'));
    let names = commands.filter_map(|c| c.split_whitespace().next());
    names
        .filter(|n| !NOT_WRITES.contains(n))
        .map(str::to_owned)
        .collect()
}

fn run_script(client: &mut Client, script: &str, dump: &[u8]) {
    for command in script.split(';') {
        let args: Vec<Vec<u8>> = command
            .split_whitespace()
            .map(|word| match word {
                "@past" => b"1000000".to_vec(),
                "@ms" => b"7000000000000".to_vec(),
                "@s" => b"7000000000".to_vec(),
                "@dump" => dump.to_vec(),
                "\"\"" => Vec::new(),
                word => word.into(),
            })
            .collect();
        if !args.is_empty() {
            client.run(&args);
        }
    }
}

/// Runs the cases, each from empty databases, and holds each stream to the reference's.
pub fn compare_cases(shards: usize) {
    let mut pair = Pair::start(shards, &[]);
    let mut replicas = [
        Replica::full(pair.reference.port),
        Replica::full(pair.subject.port),
    ];
    let mut payload = None;
    let mut wrong = Vec::new();
    for (i, (prepare, script)) in CASES.iter().enumerate() {
        pair.reset();
        let mut streams = Vec::new();
        for (server, replica) in [&pair.reference, &pair.subject].iter().zip(&mut replicas) {
            let mut client = server.client();
            run_script(&mut client, prepare, &[]);
            if payload.is_none() && prepare.contains("dumped") {
                // One payload for both: a dump names the version of its writer.
                payload = Some(client.call("DUMP dumped").bytes().to_vec());
            }
            client.call("SELECT 0");
            let start = format!("start-{i}");
            client.must(&format!("SET {start} x"));
            replica.until(&start);
            run_script(&mut client, script, payload.as_deref().unwrap_or_default());
            let end = format!("end-{i}");
            client.must("SELECT 0");
            client.must(&format!("SET {end} x"));
            streams.push(units(&replica.until(&end)));
        }
        if let Some(text) = differ(&streams[0], &streams[1]) {
            wrong.push(format!("case {i}: {prepare} | {script}\n{text}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of the streams differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Random pipelines with a replica attached to each side: the whole streams must agree, since one
/// connection's writes keep their order whatever shards they go to.
pub fn compare_random(shards: usize, seed: u64, commands: usize) {
    let mut pair = Pair::start(shards, &[]);
    let mut replicas = [
        Replica::full(pair.reference.port),
        Replica::full(pair.subject.port),
    ];
    let mut generator = Generator::new(seed);
    let mut sent = 0;
    let mut round = 0;
    while sent < commands {
        let mut steps: Vec<Step> = Vec::new();
        while steps.len() < 40 {
            let step = generator.step();
            if matches!(step, Step::Batch { .. } | Step::CrossDump { .. }) {
                sent += step.len();
                steps.push(step);
            }
        }
        if let Err(failure) = pair.run(&steps) {
            panic!("replies differ, BANYAN_SEED={seed}: {}", failure.text);
        }
        round += 1;
        let marker = format!("round-{round}");
        let mut streams = Vec::new();
        for (server, replica) in [&pair.reference, &pair.subject].iter().zip(&mut replicas) {
            server.client().must(&format!("SET {marker} x"));
            streams.push(units(&replica.until(&marker)));
        }
        if let Some(text) = differ(&streams[0], &streams[1]) {
            panic!("after {sent} commands, BANYAN_SEED={seed}, streams differ\n{text}");
        }
    }
}

/// Says where two streams part, or nothing.
fn differ(reference: &[Unit], subject: &[Unit]) -> Option<String> {
    const BEFORE: usize = 5;
    let longest = reference.len().max(subject.len());
    let same = |i: usize| match (reference.get(i), subject.get(i)) {
        (Some(a), Some(b)) => same_unit(a, b),
        _ => false,
    };
    let at = (0..longest).find(|&i| !same(i))?;
    let show = |units: &[Unit]| -> String {
        let from = at.saturating_sub(BEFORE);
        let to = (at + 3).min(units.len());
        let lines = units.get(from..to).unwrap_or_default().iter();
        lines.map(|u| format!("    {}\n", u.show())).collect()
    };
    Some(format!(
        "  unit {at}\n  reference sends\n{}  banyan sends\n{}",
        show(reference),
        show(subject)
    ))
}

fn same_unit(a: &Unit, b: &Unit) -> bool {
    a.whole == b.whole
        && a.commands.len() == b.commands.len()
        && a.commands
            .iter()
            .zip(&b.commands)
            .all(|(x, y)| x.0 == y.0 && same_args(&x.1, &y.1))
}

/// Equal, but for times in milliseconds that each side read from its own clock.
fn same_args(a: &[Vec<u8>], b: &[Vec<u8>]) -> bool {
    const DRIFT_MS: u64 = 60_000;
    let clock = |arg: &[u8]| -> Option<u64> {
        let text = std::str::from_utf8(arg).ok()?;
        // The id of a stream's entry, which each server makes of its own clock.
        let text = match text.split_once('-') {
            Some((ms, seq)) if seq.parse::<u64>().is_ok() => ms,
            _ => text,
        };
        (13..=19)
            .contains(&text.len())
            .then(|| text.parse().ok())
            .flatten()
    };
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .enumerate()
            .all(|(i, (x, y))| match (clock(x), clock(y)) {
                // What is popped is random.
                _ if x.starts_with(POPPED) && y.starts_with(POPPED) => true,
                (Some(x), Some(y)) => x.abs_diff(y) <= DRIFT_MS,
                // Replicas read a command's name in either case.
                _ if i == 0 => x.eq_ignore_ascii_case(y),
                _ => x == y,
            })
}
