//! Waiting, over one shard and several.

use crate::command::Rng;
use crate::shard::testing::{Conn, World, request};
use std::collections::BTreeMap;

/// A connection to each shard, and some more.
fn connect(world: &mut World, count: usize) -> Vec<Conn> {
    let shards = world.shards.len();
    (0..count).map(|n| world.connect(n % shards)).collect()
}

/// One key of each shard; three of the only one.
fn keys(world: &World) -> Vec<String> {
    let shards = world.shards.len();
    (0..3).map(|n| world.key(n % shards, n / shards)).collect()
}

fn got(key: &str, element: &str) -> String {
    format!("*2 ${} {key} ${} {element}", key.len(), element.len())
}

/// What a connection got, as `World::text` shows it.
fn taken(world: &mut World, conn: Conn) -> String {
    let text = String::from_utf8_lossy(&world.take(conn)).replace("\r\n", " ");
    text.trim_end().to_owned()
}

#[test]
fn an_element_that_comes_is_given_to_who_waits_and_published_behind_the_push() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect(&mut world, 4);
        for key in keys(&world) {
            assert_eq!(world.text(conns[0], &format!("BLPOP {key} 0")), "");
            assert_eq!(world.text(conns[1], &format!("RPUSH {key} a b")), ":2");
            assert_eq!(taken(&mut world, conns[0]), got(&key, "a"));
            let published = world.published();
            let text: Vec<&str> = published.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(text.join("; "), format!("RPUSH {key} a b; LPOP {key}"));
            assert_eq!(
                world.text(conns[2], &format!("BRPOP {key} 0")),
                got(&key, "b")
            );
            world.published();
        }
    }
}

#[test]
fn whoever_came_first_is_served_first_on_whatever_shard() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect(&mut world, 6);
        let key = &keys(&world)[1];
        for conn in &conns[..5] {
            assert_eq!(world.text(*conn, &format!("BLPOP {key} 0")), "");
        }
        assert_eq!(world.text(conns[5], &format!("RPUSH {key} 1 2 3")), ":3");
        assert_eq!(world.text(conns[5], &format!("RPUSH {key} 4 5 6")), ":3");
        for (n, conn) in conns[..5].iter().enumerate() {
            assert_eq!(taken(&mut world, *conn), got(key, &format!("{}", n + 1)));
        }
        assert_eq!(
            world.text(conns[5], &format!("LRANGE {key} 0 -1")),
            "*1 $1 6"
        );
    }
}

#[test]
fn a_wait_for_keys_of_several_shards_ends_with_the_first_that_has_something() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect(&mut world, 4);
        let keys = keys(&world);
        let blpop = format!("BLPOP {} 0", keys.join(" "));
        for served in [2, 0, 1] {
            assert_eq!(world.text(conns[0], &blpop), "");
            let push = format!("RPUSH {} x", keys[served]);
            assert_eq!(world.text(conns[3], &push), ":1");
            assert_eq!(taken(&mut world, conns[0]), got(&keys[served], "x"));
            // It waits nowhere any more.
            for key in &keys {
                assert_eq!(world.text(conns[2], &format!("RPUSH {key} left")), ":1");
                assert_eq!(world.text(conns[2], &format!("DEL {key}")), ":1");
            }
            assert_eq!(taken(&mut world, conns[0]), "");
        }
        assert!(world.shards.iter().all(|shard| shard.is_at_rest()));
    }
}

#[test]
fn what_is_moved_on_serves_the_next_in_the_chain() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect(&mut world, 4);
        let [a, b, c] = &keys(&world)[..] else {
            unreachable!("there are three")
        };
        assert_eq!(world.text(conns[2], &format!("BLPOP {c} 0")), "");
        assert_eq!(
            world.text(conns[1], &format!("BLMOVE {b} {c} LEFT RIGHT 0")),
            ""
        );
        assert_eq!(world.text(conns[0], &format!("BRPOPLPUSH {a} {b} 0")), "");
        assert_eq!(world.text(conns[3], &format!("LPUSH {a} x")), ":1");
        world.run();
        assert_eq!(taken(&mut world, conns[0]), "$1 x");
        assert_eq!(taken(&mut world, conns[1]), "$1 x");
        assert_eq!(taken(&mut world, conns[2]), got(c, "x"));
        let exists = format!("EXISTS {a} {b} {c}");
        assert_eq!(world.text(conns[3], &exists), ":0");
    }
}

#[test]
fn a_wait_ends_after_its_time_with_the_commands_own_nothing() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect(&mut world, 3);
        let keys = keys(&world);
        let (key, all) = (&keys[1], keys.join(" "));
        assert_eq!(world.text(conns[0], &format!("BLPOP {key} 0.5")), "");
        assert_eq!(world.text(conns[1], &format!("BLPOP {all} 0.7")), "");
        let blmove = format!("BLMOVE {} {} LEFT LEFT 0.9", keys[0], keys[1]);
        assert_eq!(world.text(conns[2], &blmove), "");
        world.advance(499);
        assert_eq!(taken(&mut world, conns[0]), "");
        world.advance(1);
        assert_eq!(taken(&mut world, conns[0]), "*-1");
        world.advance(200);
        assert_eq!(taken(&mut world, conns[1]), "*-1");
        world.advance(200);
        assert_eq!(taken(&mut world, conns[2]), "*-1");
        for key in &keys {
            assert_eq!(world.text(conns[0], &format!("RPUSH {key} x")), ":1");
        }
        assert_eq!(world.text(conns[0], &format!("EXISTS {all}")), ":3");
    }
}

#[test]
fn a_client_is_unblocked_by_its_number_and_goes_on_with_its_pipeline() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect(&mut world, 3);
        let keys = keys(&world);
        for wanted in [keys[1].clone(), keys.join(" ")] {
            assert_eq!(
                world.pipeline(conns[0], &format!("BLPOP {wanted} 0\nPING")),
                ""
            );
            assert_eq!(world.text(conns[2], "CLIENT UNBLOCK 1"), ":1");
            assert_eq!(taken(&mut world, conns[0]), "*-1 +PONG");
            assert_eq!(world.text(conns[0], &format!("BLPOP {wanted} 0")), "");
            assert_eq!(world.text(conns[2], "CLIENT UNBLOCK 1 ERROR"), ":1");
            let text = "-UNBLOCKED client unblocked via CLIENT UNBLOCK";
            assert_eq!(taken(&mut world, conns[0]), text);
            assert_eq!(world.text(conns[2], "CLIENT UNBLOCK 1"), ":0");
        }
    }
}

#[test]
fn a_client_that_is_gone_takes_nothing() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect(&mut world, 3);
        let keys = keys(&world);
        assert_eq!(world.text(conns[0], &format!("BLPOP {} 0", keys[1])), "");
        assert_eq!(
            world.text(conns[1], &format!("BLPOP {} 0", keys.join(" "))),
            ""
        );
        world.disconnect(conns[0]);
        world.disconnect(conns[1]);
        world.run();
        for key in &keys {
            assert_eq!(world.text(conns[2], &format!("RPUSH {key} x")), ":1");
        }
        world.run();
        assert_eq!(
            world.text(conns[2], &format!("EXISTS {}", keys.join(" "))),
            ":3"
        );
    }
}

#[test]
fn within_a_transaction_nobody_waits_and_its_pushes_count_when_it_ends() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect(&mut world, 3);
        let keys = keys(&world);
        let lines = format!(
            "MULTI\nBLPOP {} 0\nBLMOVE {} {} LEFT LEFT 0\nEXEC",
            keys[0], keys[1], keys[2]
        );
        let want = "+OK +QUEUED +QUEUED *2 *-1 $-1";
        assert_eq!(world.pipeline(conns[0], &lines), want);
        assert_eq!(world.text(conns[1], &format!("BLPOP {} 0", keys[1])), "");
        // Redis serves only when the transaction is over, and then there is nothing.
        let lines = format!("MULTI\nRPUSH {0} a\nLPOP {0}\nEXEC", keys[1]);
        world.pipeline(conns[0], &lines);
        assert_eq!(taken(&mut world, conns[1]), "");
        let lines = format!(
            "MULTI\nRPUSH {0} a\nRPUSH {1} b\nLPUSH {0} c\nEXEC",
            keys[1], keys[2]
        );
        world.pipeline(conns[0], &lines);
        assert_eq!(taken(&mut world, conns[1]), got(&keys[1], "c"));
    }
}

#[test]
fn a_key_may_appear_in_any_way() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect(&mut world, 3);
        let [key, other, _] = &keys(&world)[..] else {
            unreachable!("there are three")
        };
        for ways in [
            format!("RPUSH {other} x\nRENAME {other} {key}"),
            format!("RPUSH {other} x\nCOPY {other} {key}"),
            format!("SELECT 1\nRPUSH {key} x\nMOVE {key} 0\nSELECT 0"),
            format!("SELECT 1\nRPUSH {key} x\nSWAPDB 0 1\nSELECT 0"),
            format!("RPUSH {other} x\nLMOVE {other} {key} LEFT LEFT"),
            format!("RPUSH {other} x\nMULTI\nRENAME {other} {key}\nEXEC"),
        ] {
            world.call(conns[1], "FLUSHALL");
            assert_eq!(world.text(conns[0], &format!("BLPOP {key} 0")), "");
            world.pipeline(conns[1], &ways);
            assert_eq!(taken(&mut world, conns[0]), got(key, "x"), "{ways}");
        }
        // A value of another type is not what it waits for.
        assert_eq!(world.text(conns[0], &format!("BLPOP {key} 0")), "");
        assert_eq!(world.text(conns[1], &format!("SET {key} text")), "+OK");
        assert_eq!(world.text(conns[1], &format!("DEL {key}")), ":1");
        assert_eq!(world.text(conns[1], &format!("RPUSH {key} y")), ":1");
        assert_eq!(taken(&mut world, conns[0]), got(key, "y"));
    }
}

/// Replies of BLPOP found in a text of replies: key and element of each.
fn pops(text: &str) -> Vec<(String, String)> {
    let words: Vec<&str> = text.split(' ').collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if words[at] == "*2" && words[at + 1].starts_with('$') {
            found.push((words[at + 2].to_owned(), words[at + 4].to_owned()));
            at += 5;
        } else {
            at += 1;
        }
    }
    found
}

/// Clients that wait and push at random.
struct Crowd {
    world: World,
    conns: Vec<Conn>,
    names: Vec<String>,
    rng: Rng,
    /// Keys for which a client waits.
    wanted: BTreeMap<usize, Vec<String>>,
    given: Vec<(String, String)>,
    /// The next element; each is pushed once.
    next: usize,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut world = World::new(1 + (rng.next_u64() % 4) as usize);
        let conns = connect(&mut world, 12);
        let shards = world.shards.len();
        let names = (0..5).map(|n| world.key(n % shards, n / shards)).collect();
        Crowd {
            world,
            conns,
            names,
            rng,
            wanted: BTreeMap::new(),
            given: Vec::new(),
            next: 0,
        }
    }

    fn below(&mut self, n: u64) -> usize {
        (self.rng.next_u64() % n) as usize
    }

    fn name(&mut self) -> String {
        let at = self.below(5);
        self.names[at].clone()
    }

    /// A client that does not wait does something.
    fn act(&mut self) {
        let client = self.below(self.conns.len() as u64);
        if self.wanted.contains_key(&client) {
            return;
        }
        let key = self.name();
        let lines = if self.below(2) == 0 {
            let mut some = vec![key];
            (0..self.below(3)).for_each(|_| some.push(self.name()));
            let blpop = format!("BLPOP {} 0", some.join(" "));
            self.wanted.insert(client, some);
            blpop
        } else if self.below(3) == 0 {
            let (other, n) = (self.name(), self.next);
            self.next += 2;
            format!("MULTI\nRPUSH {key} {n}\nRPUSH {other} {}\nEXEC", n + 1)
        } else {
            self.next += 1;
            format!("RPUSH {key} {}", self.next - 1)
        };
        let bytes: Vec<u8> = lines.lines().flat_map(request).collect();
        self.world.send(self.conns[client], &bytes);
    }

    /// Lets all come to rest and takes what was given.
    fn settle(&mut self) {
        self.world.run();
        for (client, conn) in self.conns.iter().enumerate() {
            for pop in pops(&taken(&mut self.world, *conn)) {
                assert!(self.wanted.remove(&client).is_some(), "it waited");
                self.given.push(pop);
            }
        }
        for key in self.wanted.values().flatten() {
            let owner = &self.world.shards[self.world.shared.owner(key.as_bytes())];
            let found = owner.keyspace.db(0).get(key.as_bytes());
            assert!(found.is_none(), "somebody waits for {key}, which is there");
        }
    }
}

#[test]
fn every_element_is_given_once_in_order_and_nobody_waits_beside_a_full_list() {
    for seed in 0..60 {
        let mut crowd = Crowd::new(seed);
        for _ in 0..300 {
            for _ in 0..1 + crowd.below(4) {
                crowd.act();
                // Some shards run ahead of others.
                let shard = crowd.below(crowd.world.shards.len() as u64);
                crowd.world.tick(shard);
            }
            crowd.settle();
        }
        let observer = crowd.world.connect(0);
        let mut left = 0;
        for key in &crowd.names {
            let text = crowd.world.text(observer, &format!("LLEN {key}"));
            left += text[1..].parse::<usize>().unwrap();
        }
        let given = crowd.given.len();
        assert_eq!(
            given + left,
            crowd.next,
            "seed {seed}: none is lost or doubled"
        );
        let mut numbers: Vec<&String> = crowd.given.iter().map(|(_, n)| n).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), given, "seed {seed}: none is given twice");
    }
}
