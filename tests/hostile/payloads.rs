//! RESTORE of dumps that were damaged but signed again, so that it is the validators that must
//! refuse them: the old value stays, the server lives, and no length is believed.

use super::assert_serving;
use crate::support::client::Client;
use crate::support::random::Random;
use crate::support::resp::{Value, show};
use crate::support::seed;
use crate::support::server::Server;
use std::collections::HashMap;

/// Damaged payloads in one run.
const PAYLOADS: usize = 100_000;
/// Payloads in one pipeline.
const BATCH: usize = 100;
/// What the run may add to the server's memory; a length that is believed adds gigabytes.
const GROWTH_MAX: u64 = 96 << 20;
/// Version and checksum.
const FOOTER: usize = 10;
const BAD_FORMAT: &str = "ERR Bad data format";
const BAD_CHECKSUM: &str = "ERR DUMP payload version or checksum are wrong";

/// A key's name is that of its encoding as OBJECT ENCODING tells it, up to the first dot.
const MAKES: &[&str] = &[
    "SET int.8 12",
    "SET int.16 -3000",
    "SET int.32 2000000000",
    "SET embstr.x text",
    "SET raw.long a-text-of-more-than-forty-four-bytes-that-does-not-repeat-itself",
    "SETRANGE raw.lzf 300 end",
    "PFADD raw.hll a b c d e f g",
    "RPUSH listpack.list 1 -2 300 70000 5000000000 text",
    "RPUSH quicklist.list @long a @long b @long 1 @long 2 @long",
    "RPUSH quicklist.many 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "SADD intset.16 1 2 -3 400",
    "SADD intset.32 1 2 70000 -70000",
    "SADD intset.64 1 5000000000 -5000000000",
    "SADD listpack.set a b 1 70000 c",
    "SADD hashtable.set a b @long 17",
    "HSET listpack.hash a 1 b text c 70000",
    "HSET hashtable.hash a 1 b @long c 70000",
    "ZADD listpack.zset 1 a 2.5 b -inf c inf d 70000 e",
    "ZADD skiplist.zset 1 a 2.5 b -inf c inf @long 1 f",
    "GEOADD listpack.geo 13.36 38.11 Palermo 15.08 37.5 Catania",
    "XADD stream.plain 1-1 a 1 b 2",
    "XADD stream.plain 1-2 a 3 b 4",
    "XADD stream.plain 7-0 other 3",
    "XADD stream.groups 1-1 a 1",
    "XADD stream.groups 2-1 a 2",
    "XADD stream.groups 3-1 b 3",
    "XDEL stream.groups 2-1",
    "XGROUP CREATE stream.groups g 0",
    "XGROUP CREATE stream.groups h 1-1",
    "XREADGROUP GROUP g one COUNT 1 STREAMS stream.groups >",
    "XREADGROUP GROUP g two STREAMS stream.groups >",
    "XREADGROUP GROUP h two STREAMS stream.groups >",
];

/// What is done to a value that was accepted: whatever its type, some of these reach into it.
const USES: &[&str] = &[
    "APPEND copy x",
    "PFADD copy a b c",
    "PFCOUNT copy",
    "LPUSH copy a",
    "LSET copy -1 b",
    "LTRIM copy 1 -2",
    "SADD copy 12 99999999999",
    "SREM copy 12",
    "SPOP copy",
    "HSET copy a 2",
    "HDEL copy b",
    "ZADD copy 5 a 1.5 new",
    "ZRANGE copy 0 -1 WITHSCORES",
    "ZPOPMIN copy",
    "XADD copy * a 1",
    "XREADGROUP GROUP g one COUNT 2 STREAMS copy >",
    "XAUTOCLAIM copy g two 0 0",
    "XINFO STREAM copy FULL",
    "XTRIM copy MAXLEN 1",
];

fn words(command: &str) -> Vec<Vec<u8>> {
    let long = "long-".repeat(20);
    let word = |word: &str| match word {
        "@long" => long.clone().into_bytes(),
        other => other.as_bytes().to_vec(),
    };
    command.split(' ').map(word).collect()
}

/// A dump without its checksum and version.
struct Body {
    name: String,
    bytes: Vec<u8>,
    version: [u8; 2],
}

impl Body {
    /// The payload with `bytes` for a body, signed.
    fn signed(&self, bytes: &[u8]) -> Vec<u8> {
        let mut payload = bytes.to_vec();
        payload.extend_from_slice(&self.version);
        let sum = crc64::crc64(0, &payload);
        payload.extend_from_slice(&sum.to_le_bytes());
        payload
    }
}

/// Dumps of every type and encoding.
fn bodies(client: &mut Client) -> Vec<Body> {
    client.must("CONFIG SET list-max-listpack-size 8");
    client.must("CONFIG SET list-compress-depth 1");
    let mut names: Vec<String> = Vec::new();
    let mut make = |client: &mut Client, command: &str| {
        let args = words(command);
        let reply = client.run(&args);
        assert!(!reply.is_error(), "{command}: {reply:?}");
        let key = args.iter().map(|arg| String::from_utf8_lossy(arg));
        let key = key.skip(1).find(|word| word.contains('.')).expect("a key");
        if !names.iter().any(|name| *name == key) {
            names.push(key.into_owned());
        }
    };
    MAKES.iter().for_each(|command| make(client, command));
    client.must("CONFIG SET hll-sparse-max-bytes 0");
    make(client, "PFADD raw.dense a b c d e f g");
    let body = |name: String| {
        let encoding = client.run(&["OBJECT", "ENCODING", &name]).text();
        assert_eq!(Some(encoding.as_str()), name.split('.').next(), "{name}");
        let payload = client.run(&["DUMP", &name]).bytes().to_vec();
        let bytes = payload[..payload.len() - FOOTER].to_vec();
        let version = [payload[bytes.len()], payload[bytes.len() + 1]];
        let body = Body {
            name,
            bytes,
            version,
        };
        assert_eq!(body.signed(&body.bytes), payload, "the checksum of a dump");
        body
    };
    names.into_iter().map(body).collect()
}

/// A length or an integer as dumps write them, small or absurd.
fn length(random: &mut Random) -> Vec<u8> {
    let wide = match random.below(4) {
        0 => u64::MAX - random.next() % 9,
        1 => 1 << random.below(64),
        2 => random.next() % 100,
        _ => random.next() >> random.below(64),
    };
    match random.below(5) {
        0 => vec![wide as u8 & 0x3f],
        1 => vec![0x40 | wide as u8 & 0x3f, (wide >> 8) as u8],
        2 => [&[0x80], (wide as u32).to_be_bytes().as_slice()].concat(),
        3 => [&[0x81], wide.to_be_bytes().as_slice()].concat(),
        _ => vec![0xc0 | wide as u8 & 3, random.next() as u8],
    }
}

/// Damages `bytes` once; `other` is another dump to take parts from.
fn damage(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    const EDGES: [u8; 10] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc3, 0xf4, 0xfe, 0xff];
    if bytes.is_empty() {
        bytes.push(random.next() as u8);
    }
    let at = random.below(bytes.len());
    let end = at + random.below((bytes.len() - at).min(12)) + 1;
    match random.below(11) {
        0..=2 => bytes[at] ^= 1 << random.below(8),
        3 => bytes[at] = EDGES[random.below(EDGES.len())],
        4 => bytes[at] = bytes[at].wrapping_add(random.between(-2, 2) as u8),
        5 => bytes.truncate(at),
        6 => drop(bytes.drain(at..end)),
        7 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        8 => {
            let length = length(random);
            let end = if random.one_in(2) { at + 1 } else { at };
            bytes.splice(at..end, length);
        }
        9 => bytes[0] = other[0],
        _ => {
            let from = random.below(other.len());
            bytes.splice(at.., other[from..].iter().copied());
        }
    }
}

/// One try: what is restored where.
struct Try<'a> {
    from: &'a str,
    key: usize,
    payload: Vec<u8>,
    refused: Option<&'static str>,
}

impl Try<'_> {
    fn told(&self) -> String {
        format!("{} as k{}: {}", self.from, self.key, show(&[&self.payload]))
    }
}

/// The next payload: signed, unless it is to be refused for its checksum.
fn next<'a>(random: &mut Random, bodies: &'a [Body]) -> Try<'a> {
    let body = &bodies[random.below(bodies.len())];
    let other = &bodies[random.below(bodies.len())];
    let mut bytes = body.bytes.clone();
    for _ in 0..=random.below(3) {
        damage(random, &mut bytes, &other.bytes);
    }
    let mut payload = body.signed(&bytes);
    let unsigned = random.one_in(40);
    if unsigned {
        let last = payload.len() - 1 - random.below(8);
        payload[last] ^= 1 << random.below(8);
    }
    Try {
        from: &body.name,
        key: random.below(16),
        payload,
        refused: unsigned.then_some(BAD_CHECKSUM),
    }
}

/// An accepted value is whole: its own dump gives it again, and every command can use it.
fn assert_usable(client: &mut Client, tried: &Try, dump: &Value, digest: &Value) {
    let Value::Bulk(dump) = dump else {
        panic!("DUMP answered {dump:?} for {}", tried.told());
    };
    let mut commands = vec![vec![b"RESTORE".to_vec(), b"copy".to_vec(), b"0".to_vec()]];
    commands[0].extend([dump.clone(), b"REPLACE".to_vec()]);
    commands.push(words("DEBUG DIGEST-VALUE copy"));
    commands.extend(USES.iter().map(|command| words(command)));
    commands.push(words("DEBUG DIGEST-VALUE copy"));
    let replies = client.pipeline(&commands);
    let replies = replies.unwrap_or_else(|e| panic!("{e} after {}", tried.told()));
    assert_eq!(replies[0], Value::ok(), "its dump, of {}", tried.told());
    assert_eq!(replies[1], *digest, "restored again: {}", tried.told());
}

#[test]
fn damaged_payloads_leave_the_old_value_and_the_server_as_they_were() {
    let mut random = Random::new(seed());
    let mut server = Server::banyan(3, &[]);
    let mut client = server.client();
    let bodies = bodies(&mut client);
    let before = server.peak_resident();
    let nothing = client.call("DEBUG DIGEST-VALUE nosuch");
    let mut digests: HashMap<usize, Value> = HashMap::new();
    let (mut accepted, mut refused) = (HashMap::new(), HashMap::new());
    for _ in 0..PAYLOADS / BATCH {
        let tries: Vec<Try> = (0..BATCH).map(|_| next(&mut random, &bodies)).collect();
        let commands = tries.iter().flat_map(|tried| {
            let key = format!("k{}", tried.key).into_bytes();
            let restore = [b"RESTORE", key.as_slice(), b"0", &tried.payload, b"REPLACE"];
            let digest: [&[u8]; 3] = [b"DEBUG", b"DIGEST-VALUE", &key];
            let dump: [&[u8]; 2] = [b"DUMP", &key];
            [&restore[..], &digest, &dump].map(|args| args.iter().map(|a| a.to_vec()).collect())
        });
        let commands: Vec<Vec<Vec<u8>>> = commands.collect();
        let replies = client.pipeline(&commands);
        let replies = replies.unwrap_or_else(|e| {
            let told: Vec<String> = tries.iter().map(Try::told).collect();
            panic!("{e} after one of\n{}", told.join("\n"));
        });
        for (tried, replies) in tries.iter().zip(replies.chunks(3)) {
            let [reply, digest, dump] = replies else {
                unreachable!("three commands a try");
            };
            if *reply == Value::ok() {
                assert_eq!(tried.refused, None, "{}", tried.told());
                *accepted.entry(tried.from).or_insert(0) += 1;
                assert_usable(&mut client, tried, dump, digest);
                digests.insert(tried.key, digest.items()[0].clone());
            } else {
                let error = Value::error(tried.refused.unwrap_or(BAD_FORMAT));
                assert_eq!(*reply, error, "{}", tried.told());
                *refused.entry(tried.from).or_insert(0) += 1;
                let old = digests.get(&tried.key).unwrap_or(&nothing.items()[0]);
                assert_eq!(digest.items()[0], *old, "{}", tried.told());
            }
        }
    }
    println!("accepted {accepted:?}\nrefused {refused:?}");
    // Each encoding must have been refused, and been near enough to right to be accepted.
    for body in &bodies {
        let counts = (accepted.get(&*body.name), refused.get(&*body.name));
        assert!(
            matches!(counts, (Some(1..), Some(1..))),
            "{}: {counts:?}",
            body.name
        );
    }
    let grown = server.peak_resident() - before;
    assert!(grown < GROWTH_MAX, "{grown} bytes more for small payloads");
    assert_serving(&mut server);
}
