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
    "PFSELFTEST",
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
    // Bits.
    "SETBIT a -1 1; SETBIT a 4294967296 1; SETBIT a x 1; SETBIT a 1 2; SETBIT a 1 x; SETBIT a 7 1; OBJECT ENCODING a; STRLEN a; SET i 12345; SETBIT i 7 1; OBJECT ENCODING i; SET i 12345; GETBIT i 3; GETBIT i 1000; GETBIT i -1; GETBIT i 4294967295; GETBIT i 4294967296; OBJECT ENCODING i; SETBIT i 0 0; OBJECT ENCODING i; GET i",
    "SET i 12345; BITCOUNT i; BITCOUNT i 0; BITCOUNT i 0 0; BITCOUNT i 0 0 BYTE; BITCOUNT i 0 0 BIT; BITCOUNT i 0 0 FOO; BITCOUNT i 0 0 BIT X; BITCOUNT none 0 x; BITCOUNT none 0; BITCOUNT i x 0; BITCOUNT i x 0 FOO; BITCOUNT i -1 -2; BITCOUNT i -100 -50; BITCOUNT i -50 -100; BITCOUNT i 0 -9223372036854775808; BITCOUNT i -9223372036854775808 9223372036854775807 BIT; BITCOUNT i 3 -5 BIT",
    "SET i 12345; BITPOS i 1; BITPOS i 0; BITPOS i 2; BITPOS i x; BITPOS none 1; BITPOS none 0; BITPOS none 0 x; BITPOS i 1 0 x FOO; BITPOS i 1 x 0 FOO; BITPOS i 1 0 1 FOO; BITPOS i 1 0 1 BIT X; BITPOS i 1 100; BITPOS i 0 100; BITPOS i 1 3 2; BITPOS i 1 -1 -2; BITPOS i 1 -50 -100; BITPOS i 1 3 7 BIT",
    "SETRANGE e 0 x; BITFIELD e SET u8 0 255 SET u8 8 255; BITPOS e 0; BITPOS e 0 0; BITPOS e 0 1; BITPOS e 0 0 -1; BITPOS e 0 0 -1 BIT; BITPOS e 1 5; APPEND g \"\"; BITPOS g 0; BITPOS g 1; BITPOS g 0 0 -1; BITCOUNT g 0 -1",
    "SET i 12345; BITOP NOT d a b; BITOP FOO d a; BITOP AND d none; EXISTS d; SET d x; BITOP OR d none none2; EXISTS d; BITOP NOT d i; GET d; OBJECT ENCODING d; BITOP OR d i; OBJECT ENCODING d; GET d; BITOP AND d i none; GET d; HSET h f v; BITOP OR d i h; GET d; SET t x EX 100000; BITOP OR t i; TTL t",
    "BITFIELD b; EXISTS b; BITFIELD b GET u8; BITFIELD b GET u64 0; BITFIELD b GET i65 0; BITFIELD b GET u0 0; BITFIELD b GET i64 0; BITFIELD b GET x8 0; BITFIELD b GET U8 0; BITFIELD b GET u08 0; BITFIELD b GET u 0; BITFIELD b GET u8 -1; BITFIELD b GET u8 #-1; BITFIELD b GET u8 #; BITFIELD b GET u8 #x; BITFIELD b GET u8 4294967295; BITFIELD b GET u8 4294967296; BITFIELD b GET u8 #536870911; BITFIELD b GET u8 #536870912; BITFIELD b GET u8 #9223372036854775807; BITFIELD b GET u8 #2305843009213693952; EXISTS b",
    "BITFIELD b SET u8 0; BITFIELD b SET u8 0 x; BITFIELD b SET u8 0 300 GET u8 0; BITFIELD b SET u8 0 -1; BITFIELD b SET i8 0 200; BITFIELD b GET i8 0; BITFIELD b OVERFLOW FOO; BITFIELD b OVERFLOW; BITFIELD none OVERFLOW SAT; EXISTS none; BITFIELD b OVERFLOW SAT INCRBY u8 0 300 OVERFLOW FAIL INCRBY u8 0 1 INCRBY u8 0 -300 OVERFLOW WRAP INCRBY u8 0 1; BITFIELD c OVERFLOW FAIL SET u8 100 300 GET u8 0; STRLEN c",
    "BITFIELD b INCRBY i64 0 9223372036854775807 INCRBY i64 0 9223372036854775807 INCRBY i64 0 -9223372036854775808 OVERFLOW SAT INCRBY i64 0 -9223372036854775808 INCRBY i64 0 -9223372036854775808; BITFIELD b SET u63 1 -1 INCRBY u63 1 1; BITFIELD b SET u63 1 -9223372036854775808 GET u63 1; BITFIELD b OVERFLOW SAT SET u8 0 -5 SET i8 0 -500 SET i8 0 500; BITFIELD_RO b GET u8 0 GET i5 3; BITFIELD_RO b SET u8 0 1; BITFIELD_RO b OVERFLOW SAT; BITFIELD_RO b; BITFIELD_RO b FOO; SET i 123; BITFIELD i GET u8 0; OBJECT ENCODING i; BITFIELD i INCRBY u8 0 0; OBJECT ENCODING i",
    "HSET l f v; SETBIT l 1 1; SETBIT l x 1; GETBIT l 1; GETBIT l x; BITCOUNT l; BITCOUNT l 0 0 FOO; BITCOUNT l x 1; BITPOS l 1; BITPOS l x; BITOP AND d l; BITFIELD l GET u8 0; BITFIELD l SET u8 0 x; BITFIELD l SET u8 0 1; BITFIELD l FOO; BITFIELD_RO l GET u8 0; BITFIELD_RO l; LCS l l; LCS l a FOO; PFADD l x; PFCOUNT l; PFCOUNT none l; PFMERGE l; PFMERGE x l; PFDEBUG ENCODING l; PFDEBUG FOO l",
    "MSET a ohmytext b mynewtext; LCS a b; LCS a b LEN; LCS a b IDX; LCS a b IDX MINMATCHLEN 4; LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN; LCS a b IDX WITHMATCHLEN; LCS a b IDX LEN; LCS a b FOO; LCS a b MINMATCHLEN; LCS a b MINMATCHLEN x; LCS a b MINMATCHLEN -5 IDX; LCS a b WITHMATCHLEN; LCS a none; LCS a none LEN; LCS none none2 IDX; LCS a a IDX; SET n 12345; LCS n n LEN; SETRANGE l 20000 x; LCS l l LEN; LCS l a LEN",
    "PFADD h; PFADD h; GET h; PFADD h a b c; GET h; PFCOUNT h; GET h; OBJECT ENCODING h; PFADD i c d; PFCOUNT h i none; PFMERGE m h i; GET m; PFDEBUG DECODE m; PFDEBUG ENCODING m; PFDEBUG TODENSE m; PFDEBUG TODENSE m; PFDEBUG DECODE m; STRLEN m; PFMERGE h m; PFDEBUG ENCODING h; GET h; PFDEBUG FOO h; PFDEBUG FOO none; PFDEBUG GETREG none; PFMERGE e; GET e; PFADD h \"\"",
    "SET a x; SET n 5; PFADD a x; PFCOUNT a; PFCOUNT none a; PFMERGE x a; PFMERGE a; PFDEBUG GETREG a; PFADD n x; PFCOUNT n; PFADD h a b c d; SETRANGE h 16 A; PFADD h x; PFCOUNT h; PFDEBUG DECODE h; PFDEBUG TODENSE h; PFDEBUG GETREG h; PFMERGE x h; PFMERGE h; EXISTS x; GET h; PFADD i a; PFDEBUG TODENSE i; APPEND i x; PFCOUNT i; PFADD i x; PFADD j a; SETRANGE j 4 x; PFCOUNT j; SETRANGE j 0 HYLK; PFCOUNT j",
    // Compression.
    "SET s aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; DUMP s; CONFIG SET rdbcompression no; DUMP s; HSET h f aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa g aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; DUMP h; CONFIG SET rdbcompression yes; DUMP h; SETRANGE z 100000 zz; DUMP z; SET e aaaaaaaaaaaaaaaaaaaa; DUMP e; APPEND e a; DUMP e; SET n 123456789012345678901; DUMP n",
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
    "PFADD h a; WATCH h; PFDEBUG TODENSE h; MULTI; PING; EXEC; WATCH h; PFCOUNT h; MULTI; PING; EXEC; WATCH h; PFCOUNT h; MULTI; PING; EXEC",
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
    "SADD g 1 2 3 4 a; SRANDMEMBER g 100 x; SRANDMEMBER g foo; SRANDMEMBER g -9223372036854775808; SRANDMEMBER none; SRANDMEMBER none 3; SRANDMEMBER g 0; SPOP none; SPOP none 0; SPOP none 3; SPOP g 0; SPOP g -1; SPOP g foo; SPOP g 1 2; SPOP none foo",
    "SADD g 1; SPOP g; EXISTS g; SADD g 1; SPOP g 3; EXISTS g; SADD g x; SRANDMEMBER g; SRANDMEMBER g 4; SRANDMEMBER g -4; SMEMBERS g; SINTER g g; SUNION g; SDIFF g none; SDIFF g g",
    "SADD g 1 2 3; OBJECT ENCODING g; SADD g a; OBJECT ENCODING g; SREM g a; OBJECT ENCODING g; SUNIONSTORE u g; OBJECT ENCODING u; SINTERSTORE i g g; OBJECT ENCODING i; SDIFFSTORE d g none; OBJECT ENCODING d; COPY g c; OBJECT ENCODING c; SMOVE g w 1; OBJECT ENCODING w; SMOVE g w 2; SMOVE g w 3; EXISTS g",
    "SADD g 1234567890123456789012345678901234567890123456789012345678901234; OBJECT ENCODING g; SADD g 12345678901234567890123456789012345678901234567890123456789012345; OBJECT ENCODING g; SADD i 1 12345678901234567890123456789012345678901234567890123456789012345; OBJECT ENCODING i; SADD j 9223372036854775807 -9223372036854775808 9223372036854775808; OBJECT ENCODING j; SISMEMBER j 9223372036854775808",
    "SINTERCARD 0 g; SINTERCARD foo g; SINTERCARD -1 g; SINTERCARD 2 g; SINTERCARD 9223372036854775808 g; SINTERCARD 1 g LIMIT; SINTERCARD 1 g LIMIT -1; SINTERCARD 1 g LIMIT foo; SINTERCARD 1 g FOO 1; SADD g a b c; SINTERCARD 1 g LIMIT 2; SINTERCARD 2 g g LIMIT 0; SINTERCARD 2 g none; SINTERCARD 1 g LIMIT 1 LIMIT 5",
    "SET s v; SADD s x; SREM s x; SISMEMBER s x; SMISMEMBER s x; SCARD s; SMEMBERS s; SPOP s; SPOP s 1; SPOP s 0; SRANDMEMBER s; SRANDMEMBER s 1; SMOVE s g x; SADD g x; SMOVE g s x; SMOVE none s x; SINTER none s; SINTER s; SINTERCARD 2 none s; SINTERSTORE d none s; SUNION g s; SUNIONSTORE d s; SDIFF none s; SDIFF g s; SDIFFSTORE d g s; SSCAN s 0; SUNIONSTORE s g; TYPE s",
    "SADD g a; SSCAN g 0; SSCAN g 5; SSCAN g foo; SSCAN g 0 COUNT 0; SSCAN g 0 COUNT foo; SSCAN g 0 MATCH; SSCAN g 0 FOO; SSCAN g 0 NOVALUES; SSCAN g 0 TYPE set; SSCAN none 0 FOO; SSCAN none foo; SSCAN g 0 MATCH b*; SSCAN g 0 MATCH a COUNT 5; SET s v; GET g; HGET g f; APPEND g x; SET g x GET",
    "SET d v EX 100000; SADD g 1 2; SUNIONSTORE d g; TTL d; SINTERSTORE d none g; EXISTS d; SDIFFSTORE d none; SUNIONSTORE d none none; SMOVE g g 1; SMOVE g g 9; SMOVE g h 9; EXISTS h; SREM g 1 1 2 2; EXISTS g",
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
                let check = match name.as_str() {
                    "DUMP" => Check::Dump,
                    _ if loose => Check::Cursor,
                    _ => Check::Exact,
                };
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
