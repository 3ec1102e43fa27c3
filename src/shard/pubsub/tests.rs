//! Pub/sub over one and several shards.

use crate::command::pubsub::Space;
use crate::shard::testing::{Conn, World, request};

use super::channel_owner;

/// A channel that a shard owns; another for another `n`.
fn channel(world: &World, shard: usize, n: usize) -> String {
    (0..)
        .map(|i| format!("ch:{i}"))
        .filter(|name| channel_owner(&world.shared, Space::Channel, name.as_bytes()) == shard)
        .nth(n)
        .expect("every shard owns channels")
}

fn got(world: &mut World, conn: Conn) -> String {
    let bytes = world.take(conn);
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", " ");
    text.trim_end().to_owned()
}

/// Nobody listens to anything, and nobody remembers that anybody did.
fn assert_forgotten(world: &World) {
    for shard in &world.shards {
        assert!(shard.data.pubsub.directory.is_empty());
        assert!(shard.registry.is_empty());
        assert!(shard.late.is_empty());
    }
    let listeners = &world.shared.event_listeners;
    assert_eq!(listeners.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a_message_reaches_subscribers_on_every_shard_and_is_counted() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        for owner in 0..shards {
            let name = channel(&world, owner, 0);
            let listeners: Vec<Conn> = (0..2 * shards).map(|n| world.connect(n % shards)).collect();
            for conn in &listeners {
                let want = format!("*3 $9 subscribe ${} {name} :1", name.len());
                assert_eq!(world.text(*conn, &format!("SUBSCRIBE {name}")), want);
            }
            let patterns = world.connect(0);
            world.text(patterns, &format!("PSUBSCRIBE {name}* ch:* nothing"));
            for home in 0..shards {
                let speaker = world.connect(home);
                let want = format!(":{}", 2 * shards + 2);
                assert_eq!(world.text(speaker, &format!("PUBLISH {name} hi")), want);
                let len = name.len();
                for conn in &listeners {
                    let want = format!("*3 $7 message ${len} {name} $2 hi");
                    assert_eq!(got(&mut world, *conn), want);
                }
                let mut frames = [
                    format!("*4 $8 pmessage ${} {name}* ${len} {name} $2 hi", len + 1),
                    format!("*4 $8 pmessage $4 ch:* ${len} {name} $2 hi"),
                ];
                let text = got(&mut world, patterns);
                frames.sort();
                let joined = frames.join(" ");
                let turned = format!("{} {}", frames[1], frames[0]);
                assert!(text == joined || text == turned, "{text}");
                assert_eq!(world.text(speaker, &format!("SPUBLISH {name} hi")), ":0");
            }
            for conn in listeners.into_iter().chain([patterns]) {
                world.disconnect(conn);
            }
            world.run();
            let speaker = world.connect(0);
            assert_eq!(world.text(speaker, &format!("PUBLISH {name} hi")), ":0");
            assert_forgotten(&world);
        }
    }
}

#[test]
fn who_has_the_confirmation_gets_every_later_message() {
    // The subscriber, the owner and the publisher each on a shard of its own; the shards' ticks
    // come in any order.
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let mut world = World::new(3);
        let name = channel(&world, 1, 0);
        let (listener, speaker) = (world.connect(0), world.connect(2));
        world.send(listener, &request(&format!("SUBSCRIBE {name}")));
        let mut confirmed = false;
        for round in 0..10 {
            for shard in order {
                world.tick(shard);
            }
            confirmed |= !world.take(listener).is_empty();
            if confirmed {
                assert_eq!(
                    world.text(speaker, &format!("PUBLISH {name} {round}")),
                    ":1"
                );
                let want = format!("*3 $7 message ${} {name} $1 {round}", name.len());
                assert_eq!(got(&mut world, listener), want);
            }
        }
        assert!(confirmed);
    }
}

#[test]
fn messages_that_come_before_the_confirmation_follow_it() {
    let mut world = World::new(3);
    let (near, far) = (channel(&world, 0, 0), channel(&world, 1, 0));
    let (listener, speaker) = (world.connect(0), world.connect(0));
    world.send(listener, &request(&format!("SUBSCRIBE {near} {far}")));
    world.send(speaker, &request(&format!("PUBLISH {near} x")));
    world.tick(0);
    // The near owner has counted it, the far one has not heard of it.
    assert_eq!(got(&mut world, speaker), ":1");
    assert_eq!(got(&mut world, listener), "");
    world.run();
    let (n, f) = (near.len(), far.len());
    let want = format!(
        "*3 $9 subscribe ${n} {near} :1 *3 $9 subscribe ${f} {far} :2 *3 $7 message ${n} {near} \
         $1 x"
    );
    assert_eq!(got(&mut world, listener), want);
}

#[test]
fn every_subscriber_of_a_channel_sees_the_same_order() {
    let mut world = World::new(4);
    let name = channel(&world, 2, 0);
    let listeners: Vec<Conn> = (0..4).map(|shard| world.connect(shard)).collect();
    for (n, conn) in listeners.iter().enumerate() {
        let command = match n {
            3 => "PSUBSCRIBE ch:*".to_owned(),
            _ => format!("SUBSCRIBE {name}"),
        };
        world.text(*conn, &command);
    }
    let speakers: Vec<Conn> = (0..4).map(|shard| world.connect(shard)).collect();
    for (n, conn) in speakers.iter().enumerate() {
        for i in 0..20 {
            world.send(*conn, &request(&format!("PUBLISH {name} {n}-{i}")));
            if i % 3 == n % 3 {
                world.tick((n + i) % 4);
            }
        }
    }
    world.run();
    let payloads: Vec<Vec<String>> = (listeners.iter())
        .map(|conn| {
            let text = got(&mut world, *conn);
            let words = text.split(' ').filter(|word| word.contains('-'));
            words.map(str::to_owned).collect()
        })
        .collect();
    assert_eq!(payloads[0].len(), 80);
    assert!(payloads.iter().all(|other| *other == payloads[0]));
    for n in 0..4 {
        let mine: Vec<_> = (payloads[0].iter())
            .filter(|payload| payload.starts_with(&format!("{n}-")))
            .collect();
        assert!(
            mine.iter()
                .enumerate()
                .all(|(i, p)| **p == format!("{n}-{i}"))
        );
    }
}

#[test]
fn subscribers_of_resp2_may_only_do_what_concerns_them() {
    let mut world = World::new(2);
    let conn = world.connect(0);
    for (command, want) in [
        ("UNSUBSCRIBE", "*3 $11 unsubscribe $-1 :0"),
        ("SUNSUBSCRIBE x", "*3 $12 sunsubscribe $1 x :0"),
        (
            "SUBSCRIBE a b a",
            "*3 $9 subscribe $1 a :1 *3 $9 subscribe $1 b :2 *3 $9 subscribe $1 a :2",
        ),
        ("PSUBSCRIBE p*", "*3 $10 psubscribe $2 p* :3"),
        ("SSUBSCRIBE s", "*3 $10 ssubscribe $1 s :1"),
        (
            "CLIENT ID",
            "-ERR Can't execute 'client|id': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT \
             / RESET are allowed in this context",
        ),
        (
            "SUBSCRIBE",
            "-ERR wrong number of arguments for 'subscribe' command",
        ),
        ("PING", "*2 $4 pong $0"),
        ("PING hi", "*2 $4 pong $2 hi"),
        (
            "PING a b",
            "-ERR wrong number of arguments for 'ping' command",
        ),
        ("UNSUBSCRIBE b", "*3 $11 unsubscribe $1 b :2"),
        ("PUNSUBSCRIBE", "*3 $12 punsubscribe $2 p* :1"),
        (
            "UNSUBSCRIBE a q",
            "*3 $11 unsubscribe $1 a :0 *3 $11 unsubscribe $1 q :0",
        ),
        ("SUNSUBSCRIBE", "*3 $12 sunsubscribe $1 s :0"),
        ("PING", "+PONG"),
        ("SUBSCRIBE a", "*3 $9 subscribe $1 a :1"),
        ("RESET", "+RESET"),
        ("PUBLISH a x", ":0"),
    ] {
        assert_eq!(world.text(conn, command), want, "{command}");
    }
    assert_forgotten(&world);
}

#[test]
fn subscribers_of_resp3_get_messages_out_of_band_after_their_own_reply() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conn = world.connect(0);
        let name = channel(&world, shards - 1, 0);
        let n = name.len();
        world.text(conn, "HELLO 3");
        let want = format!(">3 $9 subscribe ${n} {name} :1");
        assert_eq!(world.text(conn, &format!("SUBSCRIBE {name}")), want);
        let said = format!(">3 $7 message ${n} {name} $1 x");
        let commands = format!("PUBLISH {name} x\nGET none");
        assert_eq!(world.pipeline(conn, &commands), format!(":1 {said} _"));
        let commands = format!("MULTI\nPUBLISH {name} x\nGET none\nEXEC");
        let want = format!("+OK +QUEUED +QUEUED *2 :1 _ {said}");
        assert_eq!(world.pipeline(conn, &commands), want);
        let commands = format!("CLIENT REPLY OFF\nPUBLISH {name} x\nGET none");
        assert_eq!(world.pipeline(conn, &commands), said);
        let line = "CLIENT REPLY ON\nCLIENT INFO";
        assert!(
            world
                .pipeline(conn, line)
                .contains(" flags=P db=0 sub=1 psub=0 ssub=0 ")
        );
    }
}

#[test]
fn a_transaction_speaks_with_its_effects_and_in_the_order_of_the_stream() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let (name, key) = (channel(&world, shards - 1, 0), world.key(shards / 2, 0));
        let (listener, speaker) = (world.connect(0), world.connect(0));
        world.text(listener, &format!("SUBSCRIBE {name}"));
        world.published();
        let commands = format!("MULTI\nSET {key} 1\nPUBLISH {name} a\nPUBLISH {name} b\nEXEC");
        let want = "+OK +QUEUED +QUEUED +QUEUED *3 +OK :1 :1";
        assert_eq!(world.pipeline(speaker, &commands), want);
        let message = |payload| format!("*3 $7 message ${} {name} $1 {payload}", name.len());
        let want = format!("{} {}", message("a"), message("b"));
        assert_eq!(got(&mut world, listener), want);
        let unit = format!("MULTI; SET {key} 1; PUBLISH {name} a; PUBLISH {name} b; EXEC");
        assert_eq!(world.published(), [(0, unit)]);
        world.text(speaker, &format!("PUBLISH {name} c"));
        let want = (shards as u32 - 1, format!("PUBLISH {name} c"));
        assert_eq!(world.published(), [want]);
    }
}

#[test]
fn a_pipeline_publishes_in_the_order_sent() {
    let mut world = World::new(3);
    let (one, two) = (channel(&world, 1, 0), channel(&world, 2, 0));
    let (a, b) = (world.key(1, 0), world.key(2, 0));
    let conn = world.connect(0);
    world.text(conn, "HELLO 3");
    world.text(conn, &format!("SUBSCRIBE {one} {two}"));
    world.published();
    let commands = format!(
        "SET {a} 1\nPUBLISH {one} 1\nPUBLISH {one} 2\nPUBLISH {two} 3\nSET {b} 4\nPUBLISH {one} 5"
    );
    world.pipeline(conn, &commands);
    let order: Vec<String> = (world.published().into_iter())
        .flat_map(|(_, text)| text.split("; ").map(str::to_owned).collect::<Vec<_>>())
        .map(|text| text.chars().last().unwrap().to_string())
        .collect();
    assert_eq!(order.concat(), "112345");
}

#[test]
fn subscribing_within_exec_makes_the_whole_reply_wait() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let (name, key) = (channel(&world, shards - 1, 0), world.key(shards / 2, 0));
        let (listener, speaker) = (world.connect(0), world.connect(shards - 1));
        world.text(listener, "HELLO 3");
        let n = name.len();
        let commands = format!("MULTI\nSUBSCRIBE {name}\nSET {key} 1\nEXEC");
        let want = format!("+OK +QUEUED +QUEUED *2 >3 $9 subscribe ${n} {name} :1 +OK");
        assert_eq!(world.pipeline(listener, &commands), want);
        assert_eq!(world.text(speaker, &format!("PUBLISH {name} x")), ":1");
        let want = format!(">3 $7 message ${n} {name} $1 x");
        assert_eq!(got(&mut world, listener), want);
        let commands = "MULTI\nUNSUBSCRIBE\nPING\nEXEC";
        let want = format!("+OK +QUEUED +QUEUED *2 >3 $11 unsubscribe ${n} {name} :0 +PONG");
        assert_eq!(world.pipeline(listener, commands), want);
        assert_forgotten(&world);
    }
}

#[test]
fn questions_are_answered_for_all_shards() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let names: Vec<String> = (0..shards).map(|n| channel(&world, n, 0)).collect();
        let conns: Vec<Conn> = (0..shards).map(|n| world.connect(n)).collect();
        let asker = world.connect(0);
        for conn in &conns {
            world.text(*conn, &format!("SUBSCRIBE {}", names[0]));
            world.text(*conn, "PSUBSCRIBE one*");
            world.text(*conn, &format!("SSUBSCRIBE {}", names[shards - 1]));
        }
        world.text(conns[0], &format!("PSUBSCRIBE two* {}", names[0]));
        let (first, last) = (&names[0], &names[shards - 1]);
        let (f, l) = (first.len(), last.len());
        for (command, want) in [
            ("PUBSUB NUMPAT".to_owned(), ":3".to_owned()),
            ("PUBSUB CHANNELS".to_owned(), format!("*1 ${f} {first}")),
            ("PUBSUB CHANNELS x*".to_owned(), "*0".to_owned()),
            (
                "PUBSUB SHARDCHANNELS ch:*".to_owned(),
                format!("*1 ${l} {last}"),
            ),
            (
                format!("PUBSUB NUMSUB {first} none"),
                format!("*4 ${f} {first} :{shards} $4 none :0"),
            ),
            ("PUBSUB NUMSUB".to_owned(), "*0".to_owned()),
            (
                format!("PUBSUB SHARDNUMSUB {last}"),
                format!("*2 ${l} {last} :{shards}"),
            ),
            (
                "PUBSUB CHANNELS a b".to_owned(),
                "-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB \
                 HELP."
                    .to_owned(),
            ),
        ] {
            assert_eq!(world.text(asker, &command), want, "{command}");
        }
        let info = world.text(asker, "INFO");
        for line in [
            "pubsub_channels:1 ",
            "pubsub_patterns:3 ",
            "pubsubshard_channels:1 ",
            &format!("pubsub_clients:{shards} "),
        ] {
            assert!(info.contains(line), "{line}");
        }
        let want = format!(":{shards}");
        assert_eq!(world.text(asker, "CLIENT KILL TYPE pubsub"), want);
        world.run();
        assert_forgotten(&world);
    }
}

#[test]
fn a_subscriber_that_takes_nothing_is_dropped_at_its_own_limit() {
    let limit = [("client-output-buffer-limit", "pubsub 1mb 0 0")];
    for shards in [1, 2] {
        let mut world = World::with_config(shards, &limit);
        let (slow, quick, speaker) = (
            world.connect(0),
            world.connect(0),
            world.connect(shards - 1),
        );
        world.text(slow, "SUBSCRIBE news");
        world.text(quick, "SUBSCRIBE news");
        world.shells[0].stuck = vec![(1 << 20) + 1];
        assert_eq!(world.text(speaker, "PUBLISH news x"), ":2");
        assert_eq!(world.closed, [slow]);
        assert!(!got(&mut world, quick).is_empty());
        assert_eq!(world.text(speaker, "PUBLISH news x"), ":1");
    }
}

#[test]
fn a_large_message_is_shared_and_whole() {
    for shards in [1, 2] {
        let mut world = World::new(shards);
        let listeners: Vec<Conn> = (0..4).map(|n| world.connect(n % shards)).collect();
        for conn in &listeners {
            world.text(*conn, "SUBSCRIBE news");
        }
        let speaker = world.connect(0);
        let payload = vec![b'x'; 100_000];
        world.call_args(speaker, &[b"PUBLISH", b"news", &payload]);
        world.call_args(speaker, &[b"PUBLISH", b"news", b"small"]);
        let mut want = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$100000\r\n".to_vec();
        want.extend_from_slice(&payload);
        want.extend_from_slice(b"\r\n*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nsmall\r\n");
        for conn in &listeners {
            assert!(world.take(*conn) == want);
        }
    }
}

/// A connection comes, listens, leaves or dies at any moment; in the end nothing is left of it, and
/// who stays gets exactly what was counted for it.
#[test]
fn random_subscribers_leave_nothing_behind() {
    let mut rng = crate::command::Rng::new(42);
    let mut below = move |n: u64| (rng.next_u64() % n) as usize;
    let mut world = World::new(3);
    let names: Vec<String> = (0..9).map(|n| channel(&world, n % 3, n / 3)).collect();
    let mut conns: Vec<Conn> = Vec::new();
    for _ in 0..3000 {
        if conns.len() < 6 {
            conns.push(world.connect(below(3)));
        }
        let at = below(conns.len() as u64);
        let conn = conns[at];
        let (one, two) = (&names[below(9)], &names[below(9)]);
        let command = match below(12) {
            0 => format!("PSUBSCRIBE {one} ch:*"),
            1 => "PUNSUBSCRIBE".to_owned(),
            2..5 => format!("SUBSCRIBE {one} {two}"),
            5 => format!("UNSUBSCRIBE {one} {two}"),
            6 => "UNSUBSCRIBE".to_owned(),
            7 => format!("SSUBSCRIBE {one}"),
            8 => "SUNSUBSCRIBE".to_owned(),
            9 => "RESET".to_owned(),
            10 => {
                world.disconnect(conn);
                conns.remove(at);
                continue;
            }
            _ => format!("PUBLISH {one} x"),
        };
        world.send(conn, &request(&command));
        world.tick(below(3));
    }
    world.run();
    for conn in conns {
        world.disconnect(conn);
    }
    world.run();
    assert_forgotten(&world);
}
