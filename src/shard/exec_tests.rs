//! Session commands within EXEC: those that ask every shard, and those of the layer above.

use super::Event;
use super::shared::{ReplicaView, ReplicationView};
use super::testing::{Conn, World};
use crate::command::session::SessionOp;

fn exec(world: &mut World, conn: Conn, commands: &str) -> String {
    let count = commands.lines().count();
    let text = world.pipeline(conn, &format!("MULTI\n{commands}\nEXEC"));
    let queued = format!("+OK {}", "+QUEUED ".repeat(count));
    text.strip_prefix(&queued).expect(&text).to_owned()
}

#[test]
fn clients_of_all_shards_are_listed_and_killed_within_exec() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conns: Vec<Conn> = (0..6).map(|n| world.connect(n % shards)).collect();
        let text = exec(&mut world, conns[0], "PING\nCLIENT LIST\nECHO x");
        assert!(text.starts_with("*3 +PONG $"), "{text}");
        assert!(text.ends_with("$1 x"), "{text}");
        for id in 1..=6 {
            assert!(text.contains(&format!("id={id} ")), "{id}: {text}");
        }
        let kill = "CLIENT KILL TYPE normal\nCLIENT KILL TYPE pubsub\nCLIENT KILL ID 99";
        assert_eq!(exec(&mut world, conns[0], kill), "*3 :5 :0 :0");
        assert_eq!(world.closed.len(), 5);
        assert!(!world.closed.contains(&conns[0]));
        assert_eq!(world.text(conns[0], "PING"), "+PONG");
    }
}

#[test]
fn a_client_that_kills_itself_within_exec_gets_the_whole_reply_first() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conn = world.connect(0);
        let text = exec(
            &mut world,
            conn,
            "CLIENT KILL ID 1 SKIPME no\nINFO cluster\nPING",
        );
        assert!(
            text.starts_with(":3 ") || text.starts_with("*3 :1 $"),
            "{text}"
        );
        assert!(text.ends_with("+PONG"), "{text}");
        assert_eq!(world.closed, [conn]);
    }
}

#[test]
fn questions_see_what_the_commands_before_them_did() {
    for shards in [1, 3] {
        let mut world = World::new(shards);
        let conn = world.connect(0);
        let keys: Vec<String> = (0..shards).map(|shard| world.key(shard, 0)).collect();
        let writes: String = keys.iter().map(|key| format!("SET {key} v\n")).collect();
        let commands = format!(
            "{writes}INFO keyspace\nDEBUG POPULATE 40 fresh\nGET fresh:39\nDBSIZE\n\
             CONFIG SET maxclients 77\nCONFIG GET maxclients\nCONFIG RESETSTAT\nCLIENT UNPAUSE"
        );
        let text = exec(&mut world, conn, &commands);
        let keyspace = format!("db0:keys={shards},expires=0");
        assert!(text.contains(&keyspace), "{text}");
        let rest = format!(
            "+OK $8 value:39 :{} +OK *2 $10 maxclients $2 77 +OK +OK",
            40 + shards
        );
        assert!(text.ends_with(&rest), "{text}");
        assert!(world.shards.iter().all(|s| s.config.maxclients == 77));
        assert!(world.shards.iter().all(|s| s.is_at_rest()));
        // The writes are one piece of the stream, whatever came between them.
        let published = world.published();
        assert_eq!(published.len(), 1, "{published:?}");
    }
}

#[test]
fn errors_of_questions_within_exec_are_those_outside() {
    let mut world = World::new(2);
    let conn = world.connect(1);
    for (command, want) in [
        ("CLIENT LIST TYPE x", "-ERR Unknown client type 'x'"),
        (
            "CLIENT KILL ID 0",
            "-ERR client-id should be greater than 0",
        ),
        ("CLIENT UNBLOCK 7", ":0"),
        (
            "DEBUG POPULATE -1",
            "-ERR value is out of range, must be positive",
        ),
        (
            "CONFIG SET nosuch 1",
            "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'",
        ),
        ("SLAVEOF a b", "-ERR Invalid master port"),
        ("WAIT x 0", "-ERR value is not an integer or out of range"),
        ("WAIT 0 -1", "-ERR timeout is negative"),
    ] {
        assert_eq!(exec(&mut world, conn, command), format!("*1 {want}"));
        let both = format!("*2 {want} +PONG");
        assert_eq!(exec(&mut world, conn, &format!("{command}\nPING")), both);
    }
}

#[test]
fn a_watched_key_that_changed_stops_a_transaction_of_questions() {
    let mut world = World::new(3);
    let (conn, other) = (world.connect(0), world.connect(1));
    let key = world.key(2, 0);
    world.text(conn, &format!("WATCH {key}"));
    world.text(other, &format!("SET {key} v"));
    assert_eq!(exec(&mut world, conn, "CLIENT KILL TYPE normal"), "*-1");
    assert!(world.closed.is_empty());
    world.text(conn, &format!("WATCH {key}"));
    assert_eq!(exec(&mut world, conn, "CLIENT KILL TYPE normal"), "*1 :1");
}

#[test]
fn a_client_that_goes_while_its_transaction_asks_leaves_nothing_behind() {
    let mut world = World::new(3);
    let (conn, key) = (world.connect(0), world.key(2, 0));
    let text = format!("MULTI\nSET {key} v\nCLIENT LIST\nSET {key} w\nEXEC");
    for line in text.lines() {
        world.send(conn, &super::testing::request(line));
    }
    for _ in 0..4 {
        world.tick(0);
        world.tick(2);
    }
    world.disconnect(conn);
    world.run();
    assert!(world.shards.iter().all(|shard| shard.is_at_rest()));
    let other = world.connect(1);
    assert_eq!(world.text(other, &format!("GET {key}")), "$1 w");
}

#[test]
fn replicaof_within_exec_shows_in_the_configuration_at_once() {
    let mut world = World::new(2);
    let (conn, other) = (world.connect(0), world.connect(1));
    let commands = "SLAVEOF 10.0.0.1 7000\nCONFIG GET replicaof\nSLAVEOF 10.0.0.1 7000\n\
                    CLIENT KILL TYPE normal";
    let want = "*4 +OK *2 $9 replicaof $13 10.0.0.1 7000 \
                +OK Already connected to specified master :1";
    assert_eq!(exec(&mut world, conn, commands), want);
    assert_eq!(world.closed, [other]);
    let events = std::mem::take(&mut world.shards[0].events);
    let asked = |event: &Event| {
        matches!(event, Event::Command { op: SessionOp::ReplicaOf, request, .. }
            if &request.args()[1] == b"10.0.0.1")
    };
    assert_eq!(events.iter().filter(|event| asked(event)).count(), 1);
}

#[test]
fn wait_within_exec_counts_who_has_the_writes_before_it_and_never_blocks() {
    let mut world = World::new(2);
    let conn = world.connect(0);
    let key = world.key(1, 0);
    world.text(conn, &format!("SET {key} v"));
    let replica = |offset| ReplicaView {
        state: "online",
        offset,
        ..ReplicaView::default()
    };
    *world.stream.view.lock().unwrap() = ReplicationView {
        replicas: vec![replica(0), replica(1), replica(7)],
        ..ReplicationView::default()
    };
    assert_eq!(exec(&mut world, conn, "WAIT 5 0\nPING"), "*2 :2 +PONG");
}
