//! Client-side caching over one and several shards.

use crate::shard::testing::{Conn, World, request};

const SHARDS: [usize; 3] = [1, 2, 3];

/// A connection of RESP3 that tracks.
fn tracker(world: &mut World, shard: usize, options: &str) -> Conn {
    let conn = world.connect(shard);
    world.call(conn, "HELLO 3");
    let on = world.text(conn, &format!("CLIENT TRACKING ON {options}"));
    assert_eq!(on, "+OK", "{options}");
    conn
}

/// What a connection got, line ends as blanks.
fn got(world: &mut World, conn: Conn) -> String {
    let bytes = world.take(conn);
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", " ");
    text.trim_end().to_owned()
}

/// The frame that tells of keys.
fn gone(keys: &[&str]) -> String {
    let mut frame = format!(">2 $10 invalidate *{}", keys.len());
    for key in keys {
        frame.push_str(&format!(" ${} {key}", key.len()));
    }
    frame
}

/// Runs one tick of each of these shards, in this order.
fn ticks(world: &mut World, shards: &[usize]) {
    shards.iter().for_each(|shard| world.tick(*shard));
}

#[test]
fn whoever_has_read_a_key_is_told_once_when_it_changes() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let conn = tracker(&mut world, 0, "");
        let writer = world.connect(shards - 1);
        for shard in 0..shards {
            let (a, b) = (world.key(shard, 0), world.key(shard, 1));
            world.text(conn, &format!("GET {a}"));
            world.text(writer, &format!("SET {b} 1"));
            assert_eq!(got(&mut world, conn), "");
            world.text(writer, &format!("SET {a} 1"));
            assert_eq!(got(&mut world, conn), gone(&[&a]));
            world.text(writer, &format!("DEL {a}"));
            assert_eq!(got(&mut world, conn), "");
            // Its own change comes behind the reply, unless it does not want to hear of it.
            world.text(conn, &format!("EXISTS {a}"));
            let reply = world.text(conn, &format!("SET {a} 2"));
            assert_eq!(reply, format!("+OK {}", gone(&[&a])));
        }
    }
}

#[test]
fn keys_of_several_shards_are_told_by_the_one_that_ran_the_command() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let conn = tracker(&mut world, 0, "");
        let writer = world.connect(shards - 1);
        let (a, b) = (world.key(0, 0), world.key(shards - 1, 1));
        world.text(conn, &format!("MGET {a} {b}"));
        world.text(writer, &format!("MSET {a} 1 {b} 2"));
        let want = format!("{} {}", gone(&[&a]), gone(&[&b]));
        assert_eq!(got(&mut world, conn), want);
        world.text(conn, &format!("MGET {a} {b}"));
        world.text(writer, &format!("RENAME {a} {b}"));
        assert_eq!(got(&mut world, conn), want);
        // What EXEC reads is remembered from then on, unless it changes it itself afterwards.
        let reply = world.pipeline(
            conn,
            &format!("MULTI\nSET {a} 1\nGET {a}\nGET {b}\nSET {b} 1\nEXEC"),
        );
        assert_eq!(
            reply,
            format!(
                "+OK +QUEUED +QUEUED +QUEUED +QUEUED *4 +OK $1 1 $1 1 +OK {}",
                gone(&[&b])
            )
        );
        world.text(writer, &format!("MSET {a} 1 {b} 2"));
        assert_eq!(got(&mut world, conn), gone(&[&a]));
        assert!(
            world
                .shards
                .iter()
                .all(|shard| shard.tracked.table.is_empty())
        );
        assert!(
            world
                .shards
                .iter()
                .all(|shard| !shard.data.watched.has_changes())
        );
    }
}

#[test]
fn an_invalidation_never_comes_before_the_reply_that_it_is_about() {
    let mut world = World::new(3);
    let conn = tracker(&mut world, 0, "");
    let (near, far) = (world.connect(0), world.connect(2));
    let (a, b) = (world.key(1, 0), world.key(1, 1));
    world.text(near, &format!("MSET {a} old {b} old"));
    // The read and the write run in one tick of the owner, whose messages about keys go first.
    world.send(conn, &request(&format!("GET {a}")));
    world.send(conn, &request(&format!("GET {b}")));
    world.tick(0);
    world.send(far, &request(&format!("SET {a} new")));
    ticks(&mut world, &[2, 1, 0]);
    assert_eq!(
        got(&mut world, conn),
        format!("$3 old {} $3 old", gone(&[&a]))
    );
    world.run();
    world.text(far, &format!("SET {b} new"));
    assert_eq!(got(&mut world, conn), gone(&[&b]));
}

#[test]
fn an_invalidation_of_an_earlier_read_does_not_wait_for_a_run() {
    let mut world = World::new(3);
    let conn = tracker(&mut world, 0, "");
    let far = world.connect(1);
    let (a, b) = (world.key(1, 0), world.key(2, 0));
    world.text(conn, &format!("GET {a}"));
    world.send(conn, &request(&format!("GET {b}")));
    world.tick(0);
    world.send(far, &request(&format!("SET {a} 1")));
    ticks(&mut world, &[1, 0]);
    assert_eq!(got(&mut world, conn), gone(&[&a]));
    world.run();
    assert_eq!(got(&mut world, conn), "_");
}

#[test]
fn no_effect_of_a_write_is_seen_before_its_invalidations() {
    // The writer of `a` lives with its owner, hears +OK, and sets a flag elsewhere; whoever then
    // reads the flag has been told of `a`, whatever order the shards run in.
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        for command in ["SET {a} 1", "MSET {a} 1 {b} 1"] {
            let mut world = World::new(3);
            let conn = tracker(&mut world, 2, "");
            let writer = world.connect(1);
            let (a, b, flag) = (world.key(0, 0), world.key(1, 0), world.key(1, 1));
            world.text(conn, &format!("MGET {a} {b}"));
            let command = command.replace("{a}", &a).replace("{b}", &b);
            world.send(writer, &request(&command));
            for _ in 0..10 {
                ticks(&mut world, &order);
                if got(&mut world, writer) == "+OK" {
                    break;
                }
            }
            world.send(writer, &request(&format!("SET {flag} 1")));
            world.tick(1);
            // The reader's shard has not had another tick since.
            world.send(conn, &request(&format!("GET {flag}")));
            world.run();
            let text = got(&mut world, conn);
            assert!(text.starts_with(&gone(&[&a])), "{order:?} {command} {text}");
            assert!(text.ends_with("$1 1"), "{text}");
        }
    }
}

#[test]
fn whatever_is_asked_after_a_write_was_answered_is_answered_behind_its_invalidation() {
    let mut world = World::new(2);
    let conn = tracker(&mut world, 0, "");
    let writer = world.connect(1);
    let key = world.key(1, 0);
    world.text(conn, &format!("GET {key}"));
    world.send(writer, &request(&format!("SET {key} 1")));
    world.tick(1);
    assert_eq!(got(&mut world, writer), "+OK");
    world.send(conn, &request("PING"));
    world.tick(0);
    assert_eq!(got(&mut world, conn), format!("{} +PONG", gone(&[&key])));
}

#[test]
fn a_key_watched_behind_a_transaction_of_ones_own_has_not_changed_since() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let conn = tracker(&mut world, 0, "");
        let (a, b) = (world.key(0, 0), world.key(shards - 1, 1));
        let commands = format!("MSET {a} 1 {b} 2\nWATCH {a} {b}\nMULTI\nPING\nEXEC");
        let reply = world.pipeline(conn, &commands);
        assert_eq!(reply, "+OK +OK +OK +QUEUED *1 +PONG");
    }
}

#[test]
fn prefixes_are_told_of_all_keys_of_a_tick_at_once() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let conn = tracker(&mut world, 0, "BCAST PREFIX k PREFIX other");
        let all = tracker(&mut world, shards - 1, "BCAST");
        let writer = world.connect(shards - 1);
        let (a, b) = (world.key(0, 0), world.key(0, 1));
        world.text(writer, &format!("MSET {b} 1 {a} 1 x{{{a}}} 1"));
        let mut keys = [&a[..], &b[..]];
        keys.sort_unstable();
        assert_eq!(got(&mut world, conn), gone(&keys));
        let x = format!("x{{{a}}}");
        assert_eq!(got(&mut world, all), gone(&[keys[0], keys[1], &x]));
        assert_eq!(world.text(conn, "CLIENT TRACKING OFF"), "+OK");
        assert_eq!(world.text(all, "RESET"), "+RESET");
        world.text(writer, &format!("MSET {b} 1 {a} 1"));
        assert_eq!(got(&mut world, conn), "");
        assert_eq!(got(&mut world, all), "");
        for shard in &world.shards {
            assert!(!shard.tracked.is_on());
            let directory = &shard.data.pubsub.directory;
            assert_eq!(directory.len(crate::command::pubsub::Space::Prefix), 0);
        }
    }
}

#[test]
fn noloop_leaves_out_what_the_connection_changed_itself() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let (a, b) = (world.key(0, 0), world.key(shards - 1, 1));
        let conn = tracker(&mut world, 0, "NOLOOP");
        let broad = tracker(&mut world, 0, "BCAST NOLOOP");
        let writer = world.connect(shards - 1);
        for conn in [conn, broad] {
            world.text(conn, &format!("MGET {a} {b}"));
            for command in [
                format!("SET {a} 1"),
                format!("SET {b} 1"),
                format!("MSET {a} 1 {b} 2"),
            ] {
                assert_eq!(world.text(conn, &command), "+OK");
                assert_eq!(got(&mut world, conn), "");
            }
            world.text(conn, &format!("MGET {a} {b}"));
            world.take(broad);
            world.text(writer, &format!("SET {b} 1"));
            assert_eq!(got(&mut world, conn), gone(&[&b]));
        }
        // Nobody's command changes what expires.
        world.text(broad, &format!("SET {a} 1 PX 5"));
        world.advance(1000);
        assert_eq!(got(&mut world, broad), gone(&[&a]));
    }
}

#[test]
fn flushes_and_swaps_and_a_new_dataset_make_everybody_forget() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let key = world.key(shards - 1, 0);
        let conn = tracker(&mut world, 0, "NOLOOP");
        let broad = tracker(&mut world, shards - 1, "BCAST");
        let writer = world.connect(shards - 1);
        let forget = ">2 $10 invalidate _";
        for command in ["FLUSHALL", "FLUSHDB ASYNC", "SWAPDB 0 1"] {
            world.text(conn, &format!("GET {key}"));
            assert_eq!(world.text(writer, command), "+OK");
            assert_eq!(got(&mut world, conn), forget, "{command}");
            assert_eq!(got(&mut world, broad), forget, "{command}");
            assert!(
                world
                    .shards
                    .iter()
                    .all(|shard| shard.tracked.table.is_empty())
            );
            // Its own, behind the reply.
            assert_eq!(world.text(conn, command), format!("+OK {forget}"));
            world.take(broad);
        }
        let commands = format!("MULTI\nFLUSHALL\nGET {key}\nEXEC");
        let reply = world.pipeline(conn, &commands);
        assert_eq!(reply, format!("+OK +QUEUED +QUEUED *2 +OK _ {forget}"));
        world.text(writer, &format!("SET {key} 1"));
        assert_eq!(got(&mut world, conn), gone(&[&key]));
        world.text(conn, &format!("GET {key}"));
        world.take(broad);
        world
            .shards
            .iter_mut()
            .for_each(super::super::Shard::dataset_replaced);
        world.run();
        assert_eq!(got(&mut world, conn), forget);
        assert_eq!(
            world
                .shared
                .tracked_keys
                .load(std::sync::atomic::Ordering::Relaxed),
            0
        );
    }
}

#[test]
fn what_expires_or_is_evicted_is_told_too() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let conn = tracker(&mut world, 0, "");
        let writer = world.connect(shards - 1);
        let (a, b) = (world.key(shards - 1, 0), world.key(0, 1));
        world.text(writer, &format!("SET {a} 1 PX 5"));
        world.text(writer, &format!("SET {b} 1 PX 5"));
        world.text(writer, "DEBUG SET-ACTIVE-EXPIRE 0");
        world.text(conn, &format!("MGET {a} {b}"));
        world.now.unix_ms += 1000;
        // A copy that expires under a reader, where the keys are on several shards.
        let reply = world.text(writer, &format!("MGET {a} {b}"));
        assert!(reply.starts_with("*2"), "{reply}");
        let text = got(&mut world, conn);
        assert!(
            text.contains(&gone(&[&a])) && text.contains(&gone(&[&b])),
            "{text}"
        );
    }
    let limits = [
        ("maxmemory", "20000"),
        ("maxmemory-policy", "allkeys-random"),
    ];
    let mut world = World::with_config(2, &limits);
    let conn = tracker(&mut world, 0, "");
    let writer = world.connect(1);
    let value = "v".repeat(400);
    for at in 0..100 {
        world.text(writer, &format!("SET key:{at} {value}"));
        world.text(conn, &format!("EXISTS key:{at}"));
    }
    let gone = (0..100).filter(|at| world.text(writer, &format!("EXISTS key:{at}")) == ":0");
    let gone = gone.count();
    assert!(gone > 30, "{gone}");
    world.text(writer, "FLUSHALL");
    let left = world
        .shared
        .tracked_keys
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(left, 0);
}

#[test]
fn a_surplus_of_keys_is_forgotten_and_told() {
    for shards in SHARDS {
        let mut world = World::with_config(shards, &[("tracking-table-max-keys", "10")]);
        let conn = tracker(&mut world, 0, "");
        for at in 0..30 {
            world.text(conn, &format!("GET key:{at}"));
        }
        let info = world.text(conn, "INFO");
        assert!(info.contains("tracking_total_keys:10 "), "{info}");
        assert!(info.contains("tracking_total_items:10 "), "{info}");
        assert!(info.contains("tracking_clients:1 "), "{info}");
        assert!(info.contains("tracking_total_prefixes:0 "), "{info}");
        world.text(conn, "CONFIG SET tracking-table-max-keys 1");
        world.run();
        let left = world
            .shared
            .tracked_keys
            .load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(left, 1);
    }
}

#[test]
fn a_connection_of_resp2_is_told_through_another_one() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let key = world.key(shards - 1, 0);
        let (conn, ear, writer) = (
            world.connect(0),
            world.connect(shards - 1),
            world.connect(0),
        );
        world.text(ear, "SUBSCRIBE __redis__:invalidate");
        let id = world.shards[ear.shard].client(ear.id).unwrap().id;
        assert_eq!(world.text(conn, "CLIENT GETREDIR"), ":-1");
        let on = world.text(conn, &format!("CLIENT TRACKING ON REDIRECT {id}"));
        assert_eq!(on, "+OK");
        assert_eq!(world.text(conn, "CLIENT GETREDIR"), format!(":{id}"));
        world.text(conn, &format!("GET {key}"));
        world.text(writer, &format!("SET {key} 1"));
        let head = "*3 $7 message $20 __redis__:invalidate";
        let frame = format!("{head} *1 ${} {key}", key.len());
        assert_eq!(got(&mut world, ear), frame);
        world.text(writer, "FLUSHALL");
        assert_eq!(got(&mut world, ear), format!("{head} $-1"));
        world.text(ear, "UNSUBSCRIBE");
        world.text(ear, "HELLO 3");
        world.text(conn, &format!("GET {key}"));
        world.text(writer, &format!("SET {key} 1"));
        assert_eq!(got(&mut world, ear), gone(&[&key]));
        assert_eq!(got(&mut world, conn), "");
        world.call(conn, "HELLO 3");
        world.text(conn, &format!("GET {key}"));
        world.disconnect(ear);
        world.text(writer, &format!("SET {key} 2"));
        let broken = format!(">2 $21 tracking-redir-broken :{id}");
        assert_eq!(got(&mut world, conn), broken);
        let info = world.text(conn, "CLIENT TRACKINGINFO");
        assert!(info.starts_with("%3 $5 flags ~2 $2 on $15 broken_redirect $8 redirect"));
        let line = world.text(conn, "CLIENT INFO");
        assert!(line.contains(" flags=tR ") && line.contains(&format!(" redir={id} ")));
    }
}

#[test]
fn optin_and_optout_turn_on_caching_said_for_the_next_command() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let (a, b) = (world.key(shards - 1, 0), world.key(0, 1));
        let writer = world.connect(0);
        let conn = tracker(&mut world, 0, "OPTIN");
        let told = |world: &mut World, commands: &str| {
            world.pipeline(conn, commands);
            world.text(writer, &format!("SET {a} 1"));
            world.text(writer, &format!("SET {b} 1"));
            let text = got(world, conn);
            (text.contains(&gone(&[&a])), text.contains(&gone(&[&b])))
        };
        let mut check = |commands: &str, want: (bool, bool)| {
            let commands = commands.replace("{a}", &a).replace("{b}", &b);
            assert_eq!(told(&mut world, &commands), want, "{commands}");
        };
        check("GET {a}\nGET {b}", (false, false));
        check("CLIENT CACHING YES\nGET {a}\nGET {b}", (true, false));
        check("CLIENT CACHING YES\nMGET {a} {b}", (true, true));
        check("CLIENT CACHING YES\nPING\nGET {a}", (false, false));
        check("CLIENT CACHING YES\nNONE\nGET {a}", (false, false));
        check("CLIENT CACHING YES\nCLIENT ID\nGET {a}", (true, false));
        check(
            "CLIENT CACHING YES\nMULTI\nGET {a}\nGET {b}\nEXEC\nGET {b}",
            (true, true),
        );
        check(
            "MULTI\nGET {a}\nCLIENT CACHING YES\nGET {b}\nEXEC\nGET {a}",
            (false, true),
        );
        check(
            "CLIENT TRACKING OFF\nCLIENT TRACKING ON OPTOUT",
            (false, false),
        );
        check("GET {a}\nGET {b}", (true, true));
        check("CLIENT CACHING NO\nGET {a}\nGET {b}", (false, true));
    }
}

#[test]
fn a_blocked_reader_is_told_and_remembered_again() {
    for shards in SHARDS {
        let mut world = World::new(shards);
        let conn = tracker(&mut world, 0, "");
        let writer = world.connect(shards - 1);
        let (a, b) = (world.key(shards - 1, 0), world.key(0, 1));
        for command in [
            format!("XREAD BLOCK 0 STREAMS {a} $"),
            format!("XREAD BLOCK 0 STREAMS {a} {b} $ $"),
        ] {
            world.send(conn, &request(&command));
            world.run();
            assert_eq!(got(&mut world, conn), "");
            world.text(writer, &format!("XADD {a} * f v"));
            let text = got(&mut world, conn);
            assert!(
                text.contains(&gone(&[&a])) && text.contains("%1 $5"),
                "{text}"
            );
            world.text(writer, &format!("XADD {a} * f v"));
            assert_eq!(got(&mut world, conn), gone(&[&a]));
        }
    }
}

#[test]
fn modes_that_exclude_each_other_are_refused() {
    let mut world = World::new(2);
    let conn = world.connect(0);
    let mut say = |command: &str, want: &str| {
        assert_eq!(world.text(conn, command), want, "{command}");
    };
    say("CLIENT TRACKING maybe", "-ERR syntax error");
    say("CLIENT TRACKING on REDIRECT", "-ERR syntax error");
    let unknown = "-ERR The client ID you want redirect to does not exist";
    say("CLIENT TRACKING on REDIRECT 999 NONE", unknown);
    say("CLIENT TRACKING on NONE REDIRECT 999", "-ERR syntax error");
    say("CLIENT TRACKING off REDIRECT 0", unknown);
    say(
        "CLIENT TRACKING on REDIRECT 1 REDIRECT 1",
        "-ERR A client can only redirect to a single other client",
    );
    say(
        "CLIENT TRACKING on BCAST PREFIX a PREFIX bb PREFIX b",
        "-ERR Prefix 'bb' overlaps with another provided prefix 'b'. Prefixes for a single client \
         must not overlap.",
    );
    say(
        "CLIENT TRACKINGINFO",
        "*6 $5 flags *1 $3 off $8 redirect :-1 $8 prefixes *0",
    );
    say("CLIENT TRACKING on BCAST PREFIX b PREFIX a NOLOOP", "+OK");
    say(
        "CLIENT TRACKING on BCAST PREFIX ab",
        "-ERR Prefix 'ab' overlaps with an existing prefix 'a'. Prefixes for a single client must \
         not overlap.",
    );
    say("CLIENT TRACKING on BCAST REDIRECT 1", "+OK");
    say(
        "CLIENT TRACKINGINFO",
        "*6 $5 flags *2 $2 on $5 bcast $8 redirect :1 $8 prefixes *3 $0  $1 a $1 b",
    );
    say("CLIENT TRACKING off", "+OK");
    say("MULTI", "+OK");
    say("CLIENT TRACKING on REDIRECT 7", "+QUEUED");
    say("CLIENT TRACKING on BCAST PREFIX z", "+QUEUED");
    say("CLIENT TRACKING on REDIRECT 1 BCAST", "+QUEUED");
    say("EXEC", &format!("*3 {unknown} +OK +OK"));
}
