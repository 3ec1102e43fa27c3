//! Fixed cases: wrong arity of every command, and edges that random commands meet too rarely.

use super::compare::differ;
use super::generate::Check;
use super::run::{REFERENCE_ARGS, subject_args};
use crate::support::cases;
use crate::support::resp::Value;
use crate::support::server::Server;

/// Commands without an upper limit of arguments or with an effect on the process: only sent with
/// too few.
const TOO_FEW_ONLY: &[&str] = &["HELLO", "CLIENT", "DEBUG", "OBJECT", "MEMORY"];

/// Commands that are right without any argument: only sent with too many.
const TOO_MANY_ONLY: &[&str] = &[
    "DBSIZE",
    "DISCARD",
    "EXEC",
    "FLUSHALL",
    "FLUSHDB",
    "HELLO",
    "LASTSAVE",
    "MULTI",
    "PING",
    "RANDOMKEY",
    "RESET",
    "ROLE",
    "TIME",
    "UNWATCH",
];

/// Edges, from empty databases, all through one connection. `;` separates commands.
#[rustfmt::skip]
const EDGES: &[&str] = &[
    // Numbers.
    "SET n 9223372036854775807; INCR n; DECRBY n -1; INCRBY n 1; DECRBY n -9223372036854775808",
    "SET n -9223372036854775808; DECR n; INCRBY n -1; DECRBY n 1; INCR n; OBJECT ENCODING n",
    "SET n 0.1; INCRBYFLOAT n 0.2; INCRBYFLOAT n 1e300; INCRBYFLOAT n 1e4932; INCRBYFLOAT n -1e-30",
    "SET n 3.0e3; INCRBYFLOAT n 200; OBJECT ENCODING n; INCRBYFLOAT n nan; INCRBYFLOAT n inf",
    "SET n 5.0e3; INCRBYFLOAT n 2.0e2; SET n 1; INCRBYFLOAT n 17976931348623157e300; STRLEN n",
    "SET n 10.50; INCRBYFLOAT n 0.1; INCRBYFLOAT n -5; SET n abc; INCRBYFLOAT n 1",
    "HSET h f 10.50; HINCRBYFLOAT h f 0.1; HINCRBYFLOAT h f 5.0e3; HINCRBYFLOAT h g nan; HSET h s x; HINCRBYFLOAT h s 1; HINCRBY h s 1",
    "HSET h f 9223372036854775807; HINCRBY h f 1; HINCRBY h f -1; HINCRBY h f 1.5; HINCRBY h f",
    // Ranges.
    "SETRANGE s 0 \"\"; EXISTS s; SETRANGE s 536870911 xx; SETRANGE s -1 x; SETRANGE s 5 x; GET s",
    "SET s Hello; GETRANGE s 0 -1; GETRANGE s -3 -1; GETRANGE s 3 1; GETRANGE s -100 100; GETRANGE s 5 9; GETRANGE s -1 -100",
    "SET n 12345; GETRANGE n 1 3; STRLEN n; APPEND n 6; OBJECT ENCODING n; SETRANGE n 0 9; OBJECT ENCODING n; GET n",
    // Expiry arguments.
    "SET s v EX 9223372036854775807; SET s v PX 9223372036854775807; SET s v EX 9223372036854775; SET s v EXAT 9223372036854775; SETEX s 9223372036854775807 v; GETEX s EX 9223372036854775807",
    "SET s v; EXPIRE s 9223372036854775807; EXPIRE s 9223372036854775; PEXPIRE s 9223372036854775807; EXPIREAT s 9223372036854775; PEXPIREAT s 9223372036854775807; PEXPIRETIME s",
    "SET s v; EXPIRE s -9223372036854775808; EXISTS s",
    "SET s v; EXPIREAT s 7000000000; EXPIRETIME s; EXPIREAT s 7000000001 GT; EXPIREAT s 7000000000 GT; EXPIREAT s 6999999999 LT; PEXPIRETIME s",
    "SET s v; EXPIRE s 10000 NX XX; EXPIRE s 10000 GT LT; EXPIRE s 10000 NX GT; EXPIRE s 10000 XX LT; EXPIRE s 10000 XX GT; EXPIRE s foo NX",
    "SET s v EX 100000; SET s w KEEPTTL; TTL s; SET s w; TTL s; GETSET s x; TTL s; TTL none; PTTL none; EXPIRETIME s",
    // Encodings at their limits.
    "SET s 12345678901234567890123456789012345678901234; OBJECT ENCODING s; APPEND s x; OBJECT ENCODING s; SET s 123456789012345678901234567890123456789012345; OBJECT ENCODING s",
    "SET s 1; OBJECT REFCOUNT s; SET s 9999; OBJECT REFCOUNT s; SET s 10000; OBJECT REFCOUNT s; INCR s; OBJECT ENCODING s",
    "HSET h f 1234567890123456789012345678901234567890123456789012345678901234; OBJECT ENCODING h; HSET h f 12345678901234567890123456789012345678901234567890123456789012345; OBJECT ENCODING h; HDEL h f; EXISTS h",
    "HSETNX h 12345678901234567890123456789012345678901234567890123456789012345 1; OBJECT ENCODING h; HSETNX h g 1",
    // Copies of one key, or none.
    "SET a 1; RENAME a a; RENAMENX a a; COPY a a; COPY a b DB 0; COPY a a DB 1; COPY none b; RENAME none a; MOVE a 0; MOVE a 16; MOVE a foo; COPY a b DB 16; COPY a b DB foo",
    "SWAPDB 0 0; SWAPDB 0 16; SWAPDB foo 0; SWAPDB 0 foo; SELECT 16; SELECT -1; SELECT foo; SELECT 0",
    "MSETNX a 1 a 2; GET a; MSETNX b 1 a 2; EXISTS b; MSET a 1 b; MSETNX a 1 b; HSET h f; HMSET h f; HMSET h f v g",
    "EXISTS a a a; SET a 1; EXISTS a a a; TOUCH a a none; DEL a a; MGET a a",
    "HSET h f v f w; HGETALL h; HSET h f x g y; HDEL h f f; HMGET h f g none; HMGET none f; HSTRLEN h g; HSTRLEN none f",
    "SET s v; HGET s f; HSET s f v; HGETALL s; HDEL s f; HLEN s; HMGET s f; HRANDFIELD s; HSCAN s 0; HSTRLEN s f; HKEYS s; HVALS s; HEXISTS s f; HINCRBY s f 1; HSETNX s f v; HMSET s f v",
    "HSET h f v; GET h; SET h x GET; GETSET h x; GETDEL h; GETEX h; APPEND h x; STRLEN h; SETRANGE h 0 x; GETRANGE h 0 1; INCR h; INCRBYFLOAT h 1; MGET h; SETNX h x; SET h x NX GET; GETEX h EX 5",
    "SET s v NX XX; SET s v EX 10 PX 10; SET s v EX; SET s v EX foo; SET s v EX 0; SET s v PX -1; SET s v KEEPTTL EX 100; SET s v FOO; SET s v GET GET; SET s v NX NX; SET s v nx get",
    "GETEX s EX; GETEX s EX 0; GETEX s PERSIST EX 10; GETEX s FOO; GETEX s EX 10 PX 10; GETEX none PERSIST",
    "OBJECT; OBJECT ENCODING; OBJECT ENCODING none; OBJECT FREQ none; OBJECT IDLETIME none; OBJECT REFCOUNT none; OBJECT FOO a; OBJECT ENCODING a b",
    // Transactions.
    "EXEC; DISCARD; MULTI; MULTI; WATCH a; EXEC; MULTI; SET a; SET a 1; EXEC; MULTI; NOSUCH; EXEC; MULTI; DISCARD; MULTI; EXEC",
    "MULTI; SET a 1; INCR a; HSET a f v; GET a; EXEC; WATCH a; SET a 5; MULTI; GET a; EXEC; MULTI; GET a; EXEC",
    "WATCH a; SET a 1; UNWATCH; MULTI; PING; EXEC; WATCH a; MULTI; DISCARD; SET a 2; MULTI; PING; EXEC",
    "SET a 1; WATCH a; FLUSHALL; MULTI; PING; EXEC; WATCH a; FLUSHALL; MULTI; PING; EXEC; SET a 1; WATCH a; SWAPDB 0 1; MULTI; PING; EXEC; FLUSHALL",
    "WATCH none; DEL none; MULTI; PING; EXEC; SET a 1; WATCH a; EXPIRE a 10000; MULTI; PING; EXEC; WATCH a; TOUCH a; MULTI; PING; EXEC; WATCH a; SET a 1; SET a 1; MULTI; PING; EXEC",
    "MULTI; SELECT 1; SET a 1; EXEC; GET a; SELECT 0; GET a; MULTI; RESET; EXEC; SELECT 1; FLUSHDB; SELECT 0",
    "MULTI; ECHO; EXEC; MULTI; HELLO 2 AUTH; EXEC; MULTI; CLIENT REPLY; EXEC; MULTI; CLIENT NOSUCH; EXEC",
    "MULTI; KEYS *; DBSIZE; RANDOMKEY; FLUSHALL; DBSIZE; EXEC; MULTI; SWAPDB 0 1; SET k v; EXEC; SELECT 1; EXISTS k; SELECT 0; EXISTS k; FLUSHALL",
    // Connections.
    "PING; PING x; PING x y; ECHO; ECHO x; SELECT; CLIENT; CLIENT NOSUCH; CLIENT GETNAME; CLIENT SETNAME ok; CLIENT GETNAME; CLIENT SETNAME; RESET; CLIENT GETNAME",
    "CLIENT KILL; CLIENT KILL 1.2.3.4:5; CLIENT KILL ID foo; CLIENT KILL ID 0; CLIENT KILL TYPE foo; CLIENT KILL SKIPME foo; CLIENT KILL FOO bar; CLIENT KILL ID 99999; CLIENT KILL LADDR 1.2.3.4:5 ID 99999; CLIENT KILL MAXAGE 1000000",
    "CLIENT REPLY; CLIENT REPLY foo; CLIENT PAUSE; CLIENT PAUSE foo; CLIENT PAUSE 0 FOO; CLIENT PAUSE -1; CLIENT UNPAUSE; CLIENT UNBLOCK; CLIENT UNBLOCK foo; CLIENT UNBLOCK 999 FOO; CLIENT UNBLOCK 999 ERROR; CLIENT NO-EVICT; CLIENT NO-EVICT foo; CLIENT NO-TOUCH foo; CLIENT SETINFO; CLIENT SETINFO LIB-NAME; CLIENT SETINFO FOO x; CLIENT LIST TYPE foo; CLIENT LIST ID; CLIENT LIST ID foo; CLIENT LIST FOO",
    "AUTH; AUTH x; AUTH default x; AUTH nobody x; AUTH a b c; HELLO 2 AUTH nobody x; HELLO 9; HELLO foo; HELLO 2 FOO; HELLO 2 SETNAME; NOSUCH; NOSUCH a b; CONFIG NOSUCH",
    "REPLICAOF NO; REPLICAOF NO ONE; SLAVEOF NO ONE; REPLICAOF 127.0.0.1 foo; REPLICAOF 127.0.0.1 99999; ROLE; WAIT 0 0; WAIT foo 0; WAIT 0 foo; WAIT 0 -1; REPLCONF; REPLCONF foo; REPLCONF foo bar; PSYNC; FLUSHALL foo; FLUSHDB SYNC x",
    "SCAN; SCAN foo; SCAN 0 COUNT; SCAN 0 COUNT 0; SCAN 0 COUNT -5; SCAN 0 COUNT foo; SCAN 0 MATCH; SCAN 0 FOO; SCAN 0 TYPE string COUNT 5; SCAN 1.5; HSCAN none 0; HSCAN none foo; SCAN 0 MATCH a MATCH b",
    "ZADD z 1 a; ZADD z; ZADD z 1; ZADD z NX XX 1 a; ZADD z GT LT 1 a; ZADD z NX GT 1 a; ZADD z INCR 1 a 2 b; ZADD z foo a; ZADD z 1 a foo b; ZADD z nan a; ZADD z NX; ZADD z CH INCR; ZINCRBY z foo a; ZADD i inf a; ZINCRBY i -inf a; ZADD i INCR -inf a; ZSCORE i a; ZADD i 1e400 b; ZADD i -0 c 0x10 d 1e-5 e 1e21 f 123456789012345680000 g 0.1 h; ZRANGE i 0 -1 WITHSCORES",
    "ZADD z 1 a 2 b 3 c; ZRANK z b; ZRANK z b WITHSCORE; ZRANK z none; ZRANK z none WITHSCORE; ZRANK none b WITHSCORE; ZRANK z b FOO; ZRANK z b WITHSCORE x; ZREVRANK z b; ZREVRANK z a WITHSCORE; ZMSCORE none a b; ZMSCORE z a none; ZCOUNT z 1 2; ZCOUNT z (1 2; ZCOUNT z foo 2; ZCOUNT z 2 1; ZCOUNT z nan 1; ZLEXCOUNT z foo +; ZLEXCOUNT z [a [b; ZLEXCOUNT z + -",
    "ZADD z 1 a 2 b 3 c 4 d; ZRANGE z 0 -1 LIMIT 0 1; ZRANGE z 0 -1 LIMIT 0 -1; ZRANGE z - + BYLEX WITHSCORES; ZRANGE z foo -1; ZRANGE z 0 foo; ZRANGE z 0 -1 FOO; ZRANGE z 1 3 BYSCORE LIMIT 1; ZRANGE z 1 3 BYSCORE LIMIT foo 1; ZRANGEBYSCORE z 1 4 LIMIT -1 5; ZRANGEBYSCORE z 1 4 LIMIT 1 -5; ZREVRANGEBYSCORE z 4 1 LIMIT -2 5; ZRANGEBYSCORE z foo 4; ZRANGEBYSCORE z \"\" 4; ZRANGEBYSCORE z ( 4; ZRANGEBYLEX z foo +; ZREVRANGE z 0 -1 REV; ZRANGESTORE d z 0 -1 WITHSCORES; ZRANGESTORE d none 0 -1; ZRANGESTORE d z foo 1",
    "ZADD z 1 a 2 b 3 c; ZPOPMIN z foo; ZPOPMIN z -1; ZPOPMIN z 1 2; ZPOPMIN z 0; ZPOPMIN none 0; ZPOPMIN none; ZPOPMIN z; ZPOPMAX z 1; ZMPOP 0 z MIN; ZMPOP foo z MIN; ZMPOP 2 z MIN; ZMPOP 1 z FOO; ZMPOP 1 z MIN COUNT 0; ZMPOP 1 z MIN COUNT 1 COUNT 1; ZMPOP 1 z MIN COUNT foo; ZMPOP 1 z MIN COUNT; ZMPOP 1 none MAX; ZMPOP 1 z MAX; EXISTS z",
    "ZADD z 1 a 2 b 3 c; BZPOPMIN none z 0; BZPOPMAX z 0; BZMPOP 0 1 z MIN; BZPOPMIN z foo; BZPOPMIN z -1; BZPOPMIN z 1e300; BZPOPMIN z inf; BZMPOP foo 1 z MIN; BZMPOP 1 0 z MIN; BZMPOP 1 1 z FOO; BZMPOP -1 1 z MIN; BZPOPMIN none 0.01; BZMPOP 0.01 1 none MIN",
    "ZADD a 1 x 2 y; ZADD b 10 y 20 z; ZUNION 0 a; ZUNION foo a; ZUNION 3 a b; ZUNION 1 a WEIGHTS; ZUNION 1 a WEIGHTS foo; ZUNION 1 a AGGREGATE foo; ZUNION 1 a AGGREGATE; ZDIFF 1 a WEIGHTS 1; ZUNIONSTORE d 0 a; ZUNIONSTORE d 1 a WITHSCORES; ZINTERCARD 1 a LIMIT -1; ZINTERCARD 1 a LIMIT foo; ZINTERCARD 0 a; ZINTERCARD 1 a LIMIT 1 LIMIT 5; ZUNION 2 a b WITHSCORES; ZINTER 2 a b WEIGHTS 2 3 AGGREGATE MAX WITHSCORES; ZDIFF 2 a b WITHSCORES; ZUNION 9223372036854775808 a",
    "ZADD a inf x; ZADD b -inf x; ZUNION 2 a b WITHSCORES; ZINTER 2 a b WITHSCORES; ZINTER 2 a b AGGREGATE MIN WEIGHTS 0 1 WITHSCORES; ZINTER 2 a b AGGREGATE MIN WEIGHTS 1 0 WITHSCORES; ZUNION 2 a b AGGREGATE MAX WEIGHTS 0 1 WITHSCORES",
    "SET s v; ZADD s 1 a; ZADD s 1 a foo b; ZINCRBY s 1 a; ZREM s a; ZSCORE s a; ZMSCORE s a; ZRANK s a; ZCARD s; ZCOUNT s 1 2; ZLEXCOUNT s - +; ZRANGE s 0 -1; ZRANGEBYSCORE s 1 2; ZREMRANGEBYRANK s 0 1; ZREMRANGEBYRANK s foo 1; ZREMRANGEBYSCORE s 0 1; ZREMRANGEBYLEX s - +; ZPOPMIN s; ZPOPMIN s 0; ZMPOP 1 s MIN; BZPOPMIN s 0; BZMPOP 0 1 s MIN; ZRANDMEMBER s; ZRANDMEMBER s 1; ZUNION 1 s; ZUNION 1 s FOO; ZUNIONSTORE d 1 s; ZINTER 2 none s; ZINTERCARD 1 s; ZDIFF 1 s; ZSCAN s 0; ZSCAN s foo; ZRANGESTORE d s 0 -1; ZADD z 1 a; ZRANGESTORE s z 0 -1; TYPE s",
    "ZADD z 1 a; ZSCAN z 0; ZSCAN z 5; ZSCAN z foo; ZSCAN z 0 COUNT 0; ZSCAN z 0 MATCH; ZSCAN z 0 NOSCORES; ZSCAN none 0 FOO; ZSCAN z 0 MATCH b*; ZRANDMEMBER z; ZRANDMEMBER z 3 WITHSCORES; ZRANDMEMBER z -2 WITHSCORES; ZRANDMEMBER z 0; ZRANDMEMBER z foo; ZRANDMEMBER z 1 FOO; ZRANDMEMBER z -9223372036854775808; ZRANDMEMBER z 4611686018427387904 WITHSCORES; ZRANDMEMBER none; ZRANDMEMBER none 2",
    "ZADD z 1 1234567890123456789012345678901234567890123456789012345678901234; OBJECT ENCODING z; ZADD z 1 12345678901234567890123456789012345678901234567890123456789012345; OBJECT ENCODING z; ZREM z 12345678901234567890123456789012345678901234567890123456789012345; OBJECT ENCODING z; ZUNIONSTORE u 1 z; OBJECT ENCODING u; ZRANGESTORE r z 0 -1; OBJECT ENCODING r; COPY z c; OBJECT ENCODING c; ZADD n 1 12345678901234567890123456789012345678901234567890123456789012345; OBJECT ENCODING n; ZINTERSTORE i 1 n; OBJECT ENCODING i; ZRANGESTORE r n 0 -1; OBJECT ENCODING r",
    "SET d v EX 100000; ZADD z 1 a; ZUNIONSTORE d 1 z; TTL d; ZINTERSTORE d 1 none; EXISTS d; ZRANGESTORE d z 5 6; ZDIFFSTORE d 2 z z; ZREM z a a; EXISTS z; ZADD z 1 a; ZREMRANGEBYSCORE z 1 1; EXISTS z",
    "HRANDFIELD none; HRANDFIELD none 5; HRANDFIELD none -5 WITHVALUES; HSET h f v; HRANDFIELD h; HRANDFIELD h 5; HRANDFIELD h -3; HRANDFIELD h 2 WITHVALUES; HRANDFIELD h -2 WITHVALUES; HRANDFIELD h 0; HRANDFIELD h foo; HRANDFIELD h 1 FOO; HRANDFIELD h -9223372036854775808; HRANDFIELD h -4611686018427387905 WITHVALUES",
    "SET a 1; DEBUG SET-ACTIVE-EXPIRE 0; SET a 1 PXAT 1000; TTL a; EXISTS a; DBSIZE; SET a 1 PXAT 1000; DBSIZE; KEYS *; DBSIZE; SET a 1 PXAT 1000; RANDOMKEY; DBSIZE; SET a 1 PXAT 1000; SCAN 0; DBSIZE; SET a 1 PXAT 1000; PERSIST a; SET a 1 PXAT 1000; RENAME a b; SET a 1 PXAT 1000; COPY a b; SET a 1 PXAT 1000; OBJECT ENCODING a; TYPE a; DUMP a; SET a 1 PXAT 1000; MOVE a 1; DBSIZE; TOUCH a",
    "RESTORE a 0 foo; RESTORE a -1 foo; RESTORE a foo foo; RESTORE a 0 foo FOO; RESTORE a 0 foo FREQ 256; RESTORE a 0 foo FREQ; RESTORE a 0 foo IDLETIME -1; RESTORE a 0 \"\"; SET a 1; RESTORE a 0 foo",
];

/// Commands whose reply each server makes of its own.
const OWN_REPLY: &[&str] = &["LASTSAVE", "TIME", "HELLO", "RANDOMKEY", "KEYS"];

fn words(command: &str) -> Vec<Vec<u8>> {
    command
        .split_whitespace()
        .map(|w| if w == "\"\"" { Vec::new() } else { w.into() })
        .collect()
}

/// The fixed edges, over RESP2 and RESP3.
pub fn compare_cases(shards: usize) {
    let reference = Server::valkey(REFERENCE_ARGS);
    let subject = Server::banyan(shards, subject_args());
    let mut wrong = Vec::new();
    for edge in EDGES {
        for version in [2, 3] {
            let mut clients = [reference.client(), subject.client()];
            for client in &mut clients {
                client.must("FLUSHALL");
                client.call(&format!("HELLO {version}"));
            }
            for command in edge.split(';') {
                let args = words(command);
                let [a, b] = [0, 1].map(|i| clients[i].run(&args));
                let name = String::from_utf8_lossy(&args[0]).to_uppercase();
                let own = OWN_REPLY.contains(&name.as_str());
                let loose = own || name == "SCAN" || name == "HRANDFIELD";
                let check = if loose { Check::Cursor } else { Check::Exact };
                if let Some(text) = differ(&check, None, &a, &b)
                    && !(own && kind_of(&a) == kind_of(&b))
                {
                    wrong.push(format!("{command} (RESP{version}) in {edge}\n{text}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} replies differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn kind_of(value: &Value) -> std::mem::Discriminant<Value> {
    std::mem::discriminant(value)
}

/// Every command of the list with no argument, and with twenty.
pub fn compare_arity(shards: usize) {
    let reference = Server::valkey(REFERENCE_ARGS);
    let subject = Server::banyan(shards, subject_args());
    let mut wrong = Vec::new();
    for name in cases::ARITY {
        for count in [0, 20] {
            let skip = if count == 0 {
                TOO_MANY_ONLY
            } else {
                TOO_FEW_ONLY
            };
            if skip.contains(name) {
                continue;
            }
            // Nothing that a command leaves behind may reach the next one.
            let mut clients = [reference.client(), subject.client()];
            let mut args = vec![name.to_string()];
            args.extend((0..count).map(|i| format!("a{i}")));
            let [a, b] = [0, 1].map(|i| clients[i].run(&args));
            if a != b {
                wrong.push(format!("{name} with {count} arguments: {a:?} {b:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} replies differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
