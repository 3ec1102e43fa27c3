//! Keyspace notifications over one and several shards.

use crate::shard::testing::{Conn, World, request};

/// What a connection was told, whichever way it listens: `key=event` or `event=key`.
fn events(world: &mut World, conn: Conn) -> Vec<String> {
    let bytes = world.take(conn);
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", " ");
    let words: Vec<&str> = text.split(' ').collect();
    // The channel's name, the payload's length and the payload; a pattern is no channel's name.
    (words.windows(3))
        .filter(|words| words[0].starts_with("__key") && words[1].starts_with('$'))
        .filter_map(|words| {
            let (_, name) = words[0].split_once("__:")?;
            (!name.contains('*')).then(|| format!("{name}={}", words[2]))
        })
        .collect()
}

#[test]
fn events_come_by_key_and_by_event_in_the_order_of_the_changes() {
    for shards in [1, 3] {
        let mut world = World::with_config(shards, &[("notify-keyspace-events", "KEAn")]);
        let (listener, conn) = (world.connect(0), world.connect(shards - 1));
        world.text(listener, "PSUBSCRIBE __key*__:*");
        for shard in 0..shards {
            let (a, b) = (world.key(shard, 0), world.key((shard + 1) % shards, 1));
            world.pipeline(
                conn,
                &format!("SET {a} 1 EX 100\nINCR {a}\nRENAME {a} {b}\nDEL {b}"),
            );
            let got = events(&mut world, listener);
            let of = |key: &str| -> Vec<String> {
                let prefix = format!("{key}=");
                let mine = got.iter().filter_map(|event| event.strip_prefix(&prefix));
                mine.map(str::to_owned).collect()
            };
            assert_eq!(of(&a), ["new", "set", "expire", "incrby", "rename_from"]);
            assert_eq!(of(&b), ["new", "rename_to", "del"]);
            let by_event: Vec<&String> = (got.iter())
                .filter(|event| event.ends_with(&format!("={a}")))
                .collect();
            let want = ["new", "set", "expire", "incrby", "rename_from"];
            let want: Vec<String> = want.iter().map(|name| format!("{name}={a}")).collect();
            assert!(by_event.iter().copied().eq(want.iter()), "{by_event:?}");
        }
    }
}

#[test]
fn a_transaction_tells_of_its_keys_and_expiry_of_what_it_deletes() {
    for shards in [1, 3] {
        let mut world = World::with_config(shards, &[("notify-keyspace-events", "Kg$xm")]);
        let (listener, conn) = (world.connect(0), world.connect(0));
        world.text(listener, "PSUBSCRIBE __keyspace@0__:*");
        let (a, b) = (world.key(0, 0), world.key(shards - 1, 1));
        let commands = format!("MULTI\nSET {a} 1\nSET {b} 1 PX 5\nGET {a}\nDEL {a}\nEXEC");
        world.pipeline(conn, &commands);
        let mut got = events(&mut world, listener);
        got.sort();
        let mut want = vec![
            format!("{a}=set"),
            format!("{a}=del"),
            format!("{b}=set"),
            format!("{b}=expire"),
        ];
        want.sort();
        assert_eq!(got, want);
        world.advance(1000);
        world.run();
        assert_eq!(events(&mut world, listener), [format!("{b}=expired")]);
        world.text(conn, &format!("GET {b}"));
        assert_eq!(events(&mut world, listener), [format!("{b}=keymiss")]);
    }
}

#[test]
fn nothing_is_noted_while_it_is_off_or_nobody_listens() {
    let mut world = World::new(2);
    let (listener, conn) = (world.connect(0), world.connect(0));
    world.text(listener, "PSUBSCRIBE *");
    world.text(conn, "SET a 1");
    assert!(world.take(listener).is_empty());
    world.text(conn, "CONFIG SET notify-keyspace-events KEA");
    world.text(conn, "SET a 1");
    assert!(!world.take(listener).is_empty());
    world.text(listener, "PUNSUBSCRIBE");
    let before: u64 = world.shards.iter().map(|shard| shard.stats.messages).sum();
    let key = world.key(0, 0);
    world.text(conn, &format!("SET {key} 1"));
    let after: u64 = world.shards.iter().map(|shard| shard.stats.messages).sum();
    assert_eq!(before, after);
    assert!(
        world
            .shards
            .iter()
            .all(|shard| shard.data.notifications.is_empty())
    );
}

#[test]
fn a_key_that_two_transactions_see_expired_is_told_of_once() {
    let mut world = World::with_config(3, &[("notify-keyspace-events", "KEx")]);
    let (listener, conns) = (world.connect(0), [world.connect(0), world.connect(2)]);
    world.text(conns[0], "DEBUG SET-ACTIVE-EXPIRE 0");
    world.text(listener, "PSUBSCRIBE __key*__:*");
    let (a, b) = (world.key(1, 0), world.key(2, 1));
    world.text(conns[0], &format!("SET {a} 1 PX 5"));
    world.advance(1000);
    for conn in conns {
        world.send(conn, &request(&format!("MGET {a} {b}")));
    }
    world.run();
    let want = [format!("{a}=expired"), format!("expired={a}")];
    assert_eq!(events(&mut world, listener), want);
}

#[test]
fn a_channel_of_events_is_counted_where_it_is_owned_and_heard_from_everywhere() {
    let mut world = World::with_config(3, &[("notify-keyspace-events", "E$")]);
    let (listener, conn) = (world.connect(0), world.connect(1));
    let name = "__keyevent@0__:set";
    world.text(listener, &format!("SUBSCRIBE {name} other"));
    let want = format!("*2 $18 {name} :1");
    assert_eq!(world.text(conn, &format!("PUBSUB NUMSUB {name}")), want);
    let want = format!("*1 $18 {name}");
    assert_eq!(world.text(conn, "PUBSUB CHANNELS __*"), want);
    assert_eq!(world.text(conn, &format!("PUBLISH {name} x")), ":1");
    world.take(listener);
    for shard in 0..3 {
        let key = world.key(shard, 0);
        world.text(conn, &format!("SET {key} 1"));
        assert_eq!(events(&mut world, listener), [format!("set={key}")]);
    }
    world.text(listener, &format!("UNSUBSCRIBE {name}"));
    world.text(conn, "SET x 1");
    assert!(world.take(listener).is_empty());
    world.text(listener, "UNSUBSCRIBE");
    let forgotten = |shard: &crate::shard::Shard| shard.data.pubsub.directory.is_empty();
    assert!(world.shards.iter().all(forgotten));
}

#[test]
fn evicted_keys_are_told_of() {
    for shards in [1, 3] {
        let directives = [
            ("notify-keyspace-events", "Ee"),
            ("maxmemory-policy", "allkeys-random"),
        ];
        let mut world = World::with_config(shards, &directives);
        let (listener, conn) = (world.connect(0), world.connect(0));
        world.text(listener, "SUBSCRIBE __keyevent@0__:evicted");
        let keys: Vec<String> = (0..shards).map(|shard| world.key(shard, 0)).collect();
        for key in &keys {
            world.text(conn, &format!("SET {key} 1"));
        }
        world.text(conn, "CONFIG SET maxmemory 1");
        world.advance(1000);
        let mut got = events(&mut world, listener);
        got.sort();
        let mut want: Vec<String> = keys.iter().map(|key| format!("evicted={key}")).collect();
        want.sort();
        assert_eq!(got, want);
    }
}
