//! Behaviour of shards as their clients see it, with one shard and with several.

use super::Event;
use super::testing::{Conn, World};

fn connect_all(world: &mut World) -> Vec<Conn> {
    (0..world.shards.len())
        .map(|shard| world.connect(shard))
        .collect()
}

/// One key of each shard, twice over if there is but one shard.
fn keys(world: &World) -> Vec<String> {
    let shards = world.shards.len();
    (0..3).map(|n| world.key(n % shards, n / shards)).collect()
}

#[test]
fn a_value_is_found_from_every_shard() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect_all(&mut world);
        for key in keys(&world) {
            assert_eq!(world.text(conns[0], &format!("SET {key} v")), "+OK");
            for conn in &conns {
                assert_eq!(world.text(*conn, &format!("GET {key}")), "$1 v");
            }
        }
    }
}

#[test]
fn one_command_over_several_shards_is_one_effect_of_its_home() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect_all(&mut world);
        let keys = keys(&world);
        let mset = format!("MSET {} 1 {} 2 {} 3", keys[0], keys[1], keys[2]);
        assert_eq!(world.text(conns[0], &mset), "+OK");
        assert_eq!(world.published(), [(0, mset)]);
        let mget = format!("MGET {} nosuch {} {}", keys[2], keys[1], keys[0]);
        for conn in conns {
            assert_eq!(world.text(conn, &mget), "*4 $1 3 $-1 $1 2 $1 1");
        }
        assert!(world.published().is_empty());
    }
}

#[test]
fn writers_of_the_same_keys_on_several_shards_never_mix() {
    let mut world = World::new(3);
    let conns = connect_all(&mut world);
    let keys = keys(&world);
    for round in 0..50 {
        for (number, conn) in conns.iter().enumerate() {
            // Each asks the shards in its own order: their locks meet crosswise.
            let at = |i: usize| &keys[(i + number) % 3];
            let value = format!("{round}:{number}");
            let mset = format!("MSET {} {value} {} {value} {} {value}", at(0), at(1), at(2));
            world.send(*conn, &super::testing::request(&mset));
        }
        world.run();
        for conn in &conns {
            assert_eq!(world.take(*conn), b"+OK\r\n");
        }
        let text = world.text(
            conns[0],
            &format!("MGET {} {} {}", keys[0], keys[1], keys[2]),
        );
        let values: Vec<_> = text.split(' ').filter(|word| word.contains(':')).collect();
        assert_eq!(values.len(), 3, "{text}");
        assert!(values.iter().all(|value| *value == values[0]), "{text}");
        assert_eq!(world.published().len(), 3);
    }
    assert!(world.shards.iter().all(|shard| shard.locks.is_empty()));
}

#[test]
fn a_transaction_over_several_shards_runs_as_one() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect_all(&mut world);
        let keys = keys(&world);
        let (a, b, c) = (&keys[0], &keys[1], &keys[2]);
        let commands =
            format!("MULTI\nSET {a} 1\nSET {b} 2\nGET {c}\nPING\nSET {c} 3\nGET {c}\nEXEC");
        let want =
            "+OK +QUEUED +QUEUED +QUEUED +QUEUED +QUEUED +QUEUED *6 +OK +OK $-1 +PONG +OK $1 3";
        assert_eq!(world.pipeline(conns[0], &commands), want);
        let effects = format!("MULTI; SET {a} 1; SET {b} 2; SET {c} 3; EXEC");
        assert_eq!(world.published(), [(0, effects)]);
        assert_eq!(
            world.text(*conns.last().unwrap(), &format!("GET {b}")),
            "$1 2"
        );
    }
}

#[test]
fn select_within_a_transaction_moves_the_commands_after_it() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conn = world.connect(0);
        let keys = keys(&world);
        let (a, b) = (&keys[1], &keys[2]);
        let commands = format!("MULTI\nSET {a} 0\nSELECT 4\nSET {a} 4\nSELECT 99\nSET {b} 4\nEXEC");
        let text = world.pipeline(conn, &commands);
        let want = "*5 +OK +OK +OK -ERR DB index is out of range +OK";
        assert!(text.ends_with(want), "{text}");
        assert_eq!(world.text(conn, &format!("MGET {a} {b}")), "*2 $1 4 $1 4");
        assert_eq!(world.text(conn, "SELECT 0"), "+OK");
        assert_eq!(world.text(conn, &format!("MGET {a} {b}")), "*2 $1 0 $-1");
    }
}

#[test]
fn exec_fails_after_a_refused_command_and_without_multi() {
    let mut world = World::new(3);
    let conn = world.connect(0);
    let aborted = "-EXECABORT Transaction discarded because of previous errors.";
    for wrong in ["NOSUCH", "GET", "SHUTDOWN", "PSYNC ? -1"] {
        let text = world.pipeline(conn, &format!("MULTI\nSET a 1\n{wrong}\nEXEC"));
        assert!(text.ends_with(aborted), "{wrong}: {text}");
    }
    assert_eq!(world.text(conn, "GET a"), "$-1");
    assert_eq!(world.text(conn, "EXEC"), "-ERR EXEC without MULTI");
    assert_eq!(world.text(conn, "DISCARD"), "-ERR DISCARD without MULTI");
    let refused = "-ERR Command not allowed inside a transaction";
    let nested = world.pipeline(conn, "MULTI\nMULTI\nPING\nEXEC");
    assert_eq!(nested, format!("+OK {refused} +QUEUED {aborted}"));
    let watching = world.pipeline(conn, "MULTI\nWATCH a\nDISCARD");
    assert_eq!(watching, format!("+OK {refused} +OK"));
    let exec = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' \
        command";
    let wrong = world.pipeline(conn, "MULTI\nSET a 1\nEXEC now\nEXEC");
    assert_eq!(wrong, format!("+OK +QUEUED {exec} -ERR EXEC without MULTI"));
    assert_eq!(
        world.pipeline(conn, "MULTI\nSET a 1\nDISCARD\nGET a"),
        "+OK +QUEUED +OK $-1"
    );
    assert_eq!(
        world.pipeline(conn, "MULTI\nSET a 1\nRESET\nGET a"),
        "+OK +QUEUED +RESET $-1"
    );
}

#[test]
fn a_watched_key_that_changed_stops_exec() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns = connect_all(&mut world);
        let (conn, other) = (conns[0], *conns.last().unwrap());
        for key in keys(&world) {
            let watch = format!("WATCH {key} unrelated");
            let commands = format!("MULTI\nSET {key} mine\nSET other mine\nEXEC");
            assert_eq!(world.text(conn, &watch), "+OK");
            world.text(other, &format!("SET {key} theirs"));
            let text = world.pipeline(conn, &commands);
            assert!(text.ends_with(" *-1"), "{text}");
            assert_eq!(world.text(conn, &format!("GET {key}")), "$6 theirs");
            // EXEC has forgotten the keys: the next one runs.
            assert!(world.pipeline(conn, &commands).ends_with(" *2 +OK +OK"));
            // UNWATCH, DISCARD and one's own unchanged keys let it run too.
            world.text(conn, &watch);
            world.text(other, &format!("SET {key} theirs"));
            world.text(conn, "UNWATCH");
            assert!(world.pipeline(conn, &commands).ends_with(" *2 +OK +OK"));
            world.text(conn, &watch);
            assert!(world.pipeline(conn, &commands).ends_with(" *2 +OK +OK"));
        }
        assert!(
            world
                .shards
                .iter()
                .all(|shard| shard.data.watched.is_empty())
        );
        world.text(conn, "WATCH a b c d");
        world.disconnect(conn);
        world.run();
        assert!(
            world
                .shards
                .iter()
                .all(|shard| shard.data.watched.is_empty())
        );
    }
}

#[test]
fn a_strict_pipeline_publishes_its_writes_in_the_order_sent() {
    let mut world = World::with_config(3, &[("pipeline-order", "strict")]);
    let conn = world.connect(0);
    let keys = keys(&world);
    let (a, b, c) = (&keys[1], &keys[2], &keys[0]);
    let commands = format!("SET {a} 1\nSET {b} 2\nGET {a}\nSET {c} 3\nSET {a} 4\nGET {c}");
    assert_eq!(world.pipeline(conn, &commands), "+OK +OK $1 1 +OK +OK $1 3");
    let effects = format!("SET {a} 1; SET {b} 2; SET {c} 3; SET {a} 4");
    assert_eq!(world.published(), [(0, effects)]);
    // One shard's writes need no transaction: the owner publishes them.
    let commands = format!("SET {a} 5\nGET {b}\nSET {a} 6");
    assert_eq!(world.pipeline(conn, &commands), "+OK $1 2 +OK");
    assert_eq!(world.published(), [(1, format!("SET {a} 5; SET {a} 6"))]);
}

#[test]
fn a_relaxed_pipeline_is_published_by_each_owner() {
    let mut world = World::with_config(3, &[("pipeline-order", "relaxed")]);
    let conn = world.connect(0);
    let keys = keys(&world);
    let (a, b) = (&keys[1], &keys[2]);
    let commands = format!("SET {a} 1\nSET {b} 2\nGET {a}\nSET {a} 3\nGET {b}\nGET {a}");
    assert_eq!(
        world.pipeline(conn, &commands),
        "+OK +OK $1 1 +OK $1 2 $1 3"
    );
    let mut published = world.published();
    published.sort();
    let want = [
        (1, format!("SET {a} 1; SET {a} 3")),
        (2, format!("SET {b} 2")),
    ];
    assert_eq!(published, want);
}

#[test]
fn long_pipelines_keep_their_order() {
    for (shards, order) in [(1, "strict"), (3, "strict"), (3, "relaxed")] {
        let mut world = World::with_config(shards, &[("pipeline-order", order)]);
        let conn = world.connect(0);
        let count = 3000;
        let commands: Vec<_> = (0..count)
            .map(|i| format!("SET key:{} {i}\nGET key:{}\nECHO {i}", i % 100, i % 100))
            .collect();
        let text = world.pipeline(conn, &commands.join("\n"));
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!(words.len(), count * 5);
        for (i, reply) in words.chunks(5).enumerate() {
            let (value, len) = (i.to_string(), format!("${}", i.to_string().len()));
            assert_eq!(reply, ["+OK", &len, &value, &len, &value]);
        }
    }
}

#[test]
fn client_reply_silences_commands_wherever_they_run() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let keys = keys(&world);
        let mset = format!("MSET {} 1 {} 1", keys[1], keys[2]);
        let get = format!("GET {}", keys[2]);
        for (commands, want) in [
            ("CLIENT REPLY OFF\nPING\nCLIENT REPLY ON\nPING", "+OK +PONG"),
            ("CLIENT REPLY SKIP\nPING\nPING", "+PONG"),
            ("CLIENT REPLY SKIP\nCLIENT REPLY SKIP\nPING\nPING", "+PONG"),
            ("CLIENT REPLY OFF\nCLIENT REPLY SKIP\nPING\nPING", ""),
            ("CLIENT REPLY SKIP\nCLIENT REPLY ON\nPING", "+OK +PONG"),
            ("CLIENT REPLY SKIP\nMULTI\nPING\nEXEC", "+QUEUED *1 +PONG"),
            ("CLIENT REPLY OFF\nRESET\nPING", "+RESET +PONG"),
            (&format!("CLIENT REPLY SKIP\n{mset}\n{get}"), "$1 1"),
            (&format!("CLIENT REPLY SKIP\n{get}\n{get}"), "$1 1"),
            (
                &format!("{get}\nCLIENT REPLY SKIP\n{mset}\nPING"),
                "$1 1 +PONG",
            ),
            ("CLIENT REPLY SKIP\nCLIENT LIST\nPING", "+PONG"),
            ("CLIENT REPLY SKIP\nCONFIG RESETSTAT\nPING", "+PONG"),
            ("CLIENT REPLY foo", "-ERR syntax error"),
        ] {
            let conn = world.connect(0);
            assert_eq!(world.pipeline(conn, commands), want, "{commands}");
        }
    }
}

fn ids(text: &str) -> Vec<u64> {
    text.split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix("id=")?.parse().ok())
        .collect()
}

#[test]
fn client_list_shows_the_connections_of_all_shards() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns: Vec<_> = (0..4).map(|n| world.connect(n % shards)).collect();
        assert_eq!(ids(&world.text(conns[0], "CLIENT LIST")), [1, 2, 3, 4]);
        assert_eq!(
            ids(&world.text(conns[0], "CLIENT LIST ID 3 99 -1 1")),
            [3, 1]
        );
        assert_eq!(
            ids(&world.text(conns[0], "CLIENT LIST TYPE NORMAL")),
            [1, 2, 3, 4]
        );
        assert!(ids(&world.text(conns[0], "CLIENT LIST TYPE replica")).is_empty());
        for (command, want) in [
            ("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'"),
            ("CLIENT LIST TYPE", "-ERR syntax error"),
            ("CLIENT LIST ID", "-ERR syntax error"),
            ("CLIENT LIST ID 1 x", "-ERR Invalid client ID"),
            ("CLIENT LIST foo bar", "-ERR syntax error"),
        ] {
            assert_eq!(world.text(conns[0], command), want);
        }
    }
}

#[test]
fn a_clients_line_has_redis_fields_in_redis_order() {
    let mut world = World::new(1);
    let conn = world.connect(0);
    world.text(conn, "CLIENT SETNAME me");
    world.text(conn, "CLIENT SETINFO lib-name lib");
    world.text(conn, "CLIENT SETINFO LIB-VER 1.2");
    world.text(conn, "CLIENT NO-EVICT on");
    world.text(conn, "CLIENT NO-TOUCH on");
    world.text(conn, "SELECT 3");
    world.text(conn, "WATCH a b");
    world.advance(5000);
    let line = world.text(conn, "CLIENT INFO");
    let names: Vec<_> = line
        .split(' ')
        .filter_map(|word| Some(word.split_once('=')?.0))
        .collect();
    let want = "id addr laddr fd name age idle flags db sub psub ssub multi watch qbuf qbuf-free \
        argv-mem \
        multi-mem rbs rbp obl oll omem tot-mem events cmd user redir resp lib-name lib-ver \
        tot-net-in tot-net-out tot-cmds";
    assert_eq!(names.join(" "), want);
    for field in [
        " addr=127.0.0.1:50000 laddr=127.0.0.1:6379 ",
        " name=me age=5 idle=0 flags=eT db=3 ",
        " multi=-1 watch=2 ",
        " events=r cmd=client|info user=default redir=-1 resp=2 lib-name=lib lib-ver=1.2",
    ] {
        assert!(line.contains(field), "{field}: {line}");
    }
    let other = world.connect(0);
    world.pipeline(conn, "MULTI\nPING\nPING");
    let line = world.text(other, "CLIENT LIST ID 1");
    assert!(
        line.contains(" flags=xeT ") && line.contains(" multi=2 "),
        "{line}"
    );
    assert!(line.contains(" cmd=ping "), "{line}");
}

#[test]
fn client_kill_reaches_every_shard_and_the_caller_gets_its_reply() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns: Vec<_> = (0..4).map(|n| world.connect(n % shards)).collect();
        let caller = conns[0];
        for (command, want) in [
            ("ID x", "-ERR client-id should be greater than 0"),
            ("ID 0", "-ERR client-id should be greater than 0"),
            ("TYPE foo", "-ERR Unknown client type 'foo'"),
            ("USER nobody", "-ERR No such user 'nobody'"),
            ("SKIPME x", "-ERR syntax error"),
            ("MAXAGE x", "-ERR maxage is not an integer or out of range"),
            ("MAXAGE 0", "-ERR maxage should be greater than 0"),
            ("ID 1 TYPE", "-ERR syntax error"),
            ("foo bar", "-ERR syntax error"),
            ("1.2.3.4:5", "-ERR No such client"),
            ("ID 99", ":0"),
            ("ID 1", ":0"),
            ("MAXAGE 10", ":0"),
        ] {
            assert_eq!(world.text(caller, &format!("CLIENT KILL {command}")), want);
        }
        assert!(world.closed.is_empty());
        assert_eq!(world.text(caller, "CLIENT KILL ID 2"), ":1");
        assert_eq!(world.closed, [conns[1]]);
        let addr = format!(
            "127.0.0.1:{}",
            50000 + 1000 * conns[2].shard as u32 + conns[2].id.index
        );
        assert_eq!(world.text(caller, &format!("CLIENT KILL {addr}")), "+OK");
        assert_eq!(world.closed, [conns[1], conns[2]]);
        world.advance(10_000);
        let text = world.text(
            caller,
            "CLIENT KILL MAXAGE 10 USER default TYPE normal SKIPME no",
        );
        assert_eq!(text, ":2");
        assert_eq!(world.closed.len(), 4);
        assert_eq!(
            world
                .shared
                .clients
                .load(std::sync::atomic::Ordering::Relaxed),
            0
        );
    }
}

#[test]
fn a_pause_of_writes_holds_writes_back_on_every_shard() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns: Vec<_> = (0..3).map(|n| world.connect(n % shards)).collect();
        let (a, b) = (world.key(0, 0), world.key(shards - 1, 1));
        assert_eq!(world.text(conns[0], "CLIENT PAUSE 1000 WRITE"), "+OK");
        assert_eq!(
            world.pipeline(conns[1], &format!("GET {a}\nSET {a} 1\nGET {a}")),
            "$-1"
        );
        let exec = format!("MULTI\nGET {b}\nEXEC");
        assert_eq!(world.pipeline(conns[2], &exec), "+OK +QUEUED *1 $-1");
        assert_eq!(
            world.pipeline(conns[2], &format!("MULTI\nSET {b} 1\nEXEC")),
            "+OK"
        );
        let list = world.text(conns[0], "CLIENT LIST ID 2");
        assert!(list.contains(" flags=b "), "{list}");
        world.advance(999);
        assert!(world.take(conns[1]).is_empty());
        // Prolonged; a shorter pause changes nothing.
        assert_eq!(world.text(conns[0], "CLIENT PAUSE 500 WRITE"), "+OK");
        assert_eq!(world.text(conns[0], "CLIENT PAUSE 1 WRITE"), "+OK");
        world.advance(499);
        assert!(world.take(conns[1]).is_empty());
        world.advance(1);
        assert_eq!(world.take(conns[1]), b"+OK\r\n$1\r\n1\r\n");
        assert_eq!(world.take(conns[2]), b"+QUEUED\r\n*1\r\n+OK\r\n");
    }
}

#[test]
fn a_pause_of_everything_ends_with_unpause() {
    let mut world = World::new(3);
    let conns: Vec<_> = (0..3).map(|n| world.connect(n)).collect();
    assert_eq!(world.text(conns[0], "CLIENT PAUSE 100000"), "+OK");
    assert_eq!(world.text(conns[1], "PING"), "");
    assert_eq!(world.text(conns[2], "GET a"), "");
    assert_eq!(world.text(conns[0], "CLIENT UNPAUSE"), "+OK");
    assert_eq!(world.take(conns[1]), b"+PONG\r\n");
    assert_eq!(world.take(conns[2]), b"$-1\r\n");
    for (command, want) in [
        ("x", "-ERR timeout is not an integer or out of range"),
        ("-1", "-ERR timeout is negative"),
        ("1 foo", "-ERR CLIENT PAUSE mode must be WRITE or ALL"),
        (
            "1 write x",
            "-ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.",
        ),
    ] {
        assert_eq!(
            world.text(conns[0], &format!("CLIENT PAUSE {command}")),
            want
        );
    }
}

#[test]
fn unblock_ends_a_wait_on_any_shard() {
    let mut world = World::new(3);
    let conns: Vec<_> = (0..3).map(|n| world.connect(n)).collect();
    assert_eq!(world.text(conns[0], "CLIENT UNBLOCK 2"), ":0");
    assert_eq!(world.text(conns[1], "WAIT 1 0"), "");
    world.shards[1].events.clear();
    assert_eq!(world.text(conns[0], "CLIENT UNBLOCK 2 ERROR"), ":1");
    let events = std::mem::take(&mut world.shards[1].events);
    let [Event::Unblocked { conn, error: true }] = events[..] else {
        panic!("the layer above was not told");
    };
    assert_eq!(conn, conns[1].id);
    for (command, want) in [
        ("x", "-ERR value is not an integer or out of range"),
        ("99", ":0"),
        ("-1", ":0"),
        (
            "99 foo",
            "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR",
        ),
    ] {
        assert_eq!(
            world.text(conns[0], &format!("CLIENT UNBLOCK {command}")),
            want
        );
    }
}

#[test]
fn names_and_switches_of_a_client_are_checked() {
    let mut world = World::new(1);
    let conn = world.connect(0);
    for (command, want) in [
        ("ID", ":1"),
        ("GETNAME", "$-1"),
        (
            "SETNAME \u{e9}",
            "-ERR Client names cannot contain spaces, newlines or special characters.",
        ),
        ("SETINFO foo x", "-ERR Unrecognized option 'foo'"),
        (
            "SETINFO Lib-Name \u{e9}",
            "-ERR Lib-Name cannot contain spaces, newlines or special characters.",
        ),
        ("NO-EVICT x", "-ERR syntax error"),
        ("NO-TOUCH x", "-ERR syntax error"),
        ("FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
        (
            "KILL",
            "-ERR wrong number of arguments for 'client|kill' command",
        ),
    ] {
        assert_eq!(world.text(conn, &format!("CLIENT {command}")), want);
    }
    assert_eq!(
        world.text(conn, "CLIENT"),
        "-ERR wrong number of arguments for 'client' command"
    );
    let help = world.text(conn, "CLIENT HELP");
    let lines = help.matches('+').count();
    assert!(
        help.starts_with(&format!("*{lines} +CLIENT <subcommand> ")),
        "{help}"
    );
}
