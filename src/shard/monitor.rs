//! MONITOR: every command, as a line, to whoever asked for it.
//!
//! A connection that monitors is counted by every shard, by the ways of a subscription
//! (`shard/pubsub`). While nobody does, a command costs a look at one flag of its shard. The line
//! is made at the home of the command's connection when the command has run: what it changed has
//! then been published, or is before the line leaves.

use crate::command::pubsub::{Message, Space};
use crate::command::session::SessionOp;
use crate::command::table::Run;
use crate::command::{Command, Flags};
use crate::config::words::quote;
use crate::protocol::{Args, Reply};

use super::Shard;
use super::client::Client;
use super::shell::{ConnId, Now};
use super::slow_log::{REDACTED, secrets};

/// Commands that are too dangerous to be shown, or say of themselves that they are not.
const HIDDEN: Flags = Flags::SKIP_MONITOR.or(Flags::ADMIN);

impl Shard {
    /// MONITOR: the reply waits until every shard knows.
    pub(super) fn monitor(&mut self, client: &mut Client) {
        if client.is_monitor() {
            return;
        }
        let mark = client.reply.len();
        self.answer(client, Reply::ok);
        self.begin_monitoring(client, mark);
    }

    /// Shows a command of `client` to the connections that monitor, if there are any.
    #[inline]
    pub(super) fn show(&mut self, client: &Client, command: &Command, db: usize, args: Args<'_>) {
        if self.monitored {
            self.show_now(client, command, db, args);
        }
    }

    /// Of commands that are refused only EXEC is shown: what MULTI began is over.
    #[inline]
    pub(super) fn show_refused(
        &mut self,
        client: &Client,
        command: Option<&Command>,
        args: Args<'_>,
    ) {
        if self.monitored
            && let Some(command) = command
            && matches!(command.run, Run::Session(SessionOp::Exec))
        {
            self.show_now(client, command, client.db, args);
        }
    }

    #[cold]
    fn show_now(&mut self, client: &Client, command: &Command, db: usize, args: Args<'_>) {
        if command.flags.has(HIDDEN) {
            return;
        }
        let line = Message::line(line(&self.now, client, command, db, args));
        let targets = self.targets(Space::Monitor, b"");
        self.hand_out(line, targets);
    }

    /// Shows a command of the upstream's stream, as it was read from connection `conn`.
    #[inline]
    pub fn show_upstream(&mut self, conn: ConnId, command: &Command, db: usize, args: Args<'_>) {
        if self.monitored
            && let Some(client) = self.take_client(conn)
        {
            self.show_now(&client, command, db, args);
            self.slots[conn.index as usize] = Some(client);
        }
    }
}

fn line(now: &Now, client: &Client, command: &Command, db: usize, args: Args<'_>) -> Vec<u8> {
    let (seconds, micros) = (now.unix_ms / 1000, now.unix_ms % 1000 * 1000);
    let address = match client.is_unix {
        true => format!("unix:{}", client.local),
        false => client.peer.clone(),
    };
    let mut line = format!("+{seconds}.{micros:06} [{db} {address}]").into_bytes();
    let secrets = secrets(command, args);
    for (at, arg) in args.iter().enumerate() {
        line.push(b' ');
        let secret = secrets.contains(&at);
        line.extend_from_slice(quote(if secret { REDACTED } else { arg }).as_bytes());
    }
    line.extend_from_slice(b"\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::super::client::Class;
    use super::super::shell::ConnId;
    use super::super::testing::{Conn, World, request};
    use crate::config::words::quote;

    /// The lines that a connection got, without their times.
    fn lines(world: &mut World, conn: Conn) -> Vec<String> {
        let text = String::from_utf8(world.take(conn)).unwrap();
        (text.lines())
            .map(|line| {
                line.split_once(" [")
                    .map_or(line, |(_, rest)| rest)
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn arguments_are_quoted_as_redis_does() {
        let out = quote(b"\x00\x01\n\r\t\x07\x08\"\\ \xff~");
        assert_eq!(out, r#""\x00\x01\n\r\t\a\b\"\\ \xff~""#);
    }

    #[test]
    fn commands_of_every_shard_are_shown_after_they_ran() {
        for (shards, order) in [(1, "strict"), (3, "strict"), (3, "relaxed")] {
            let mut world = World::with_config(shards, &[("pipeline-order", order)]);
            let (conn, monitor) = (world.connect(0), world.connect(shards - 1));
            assert_eq!(world.text(monitor, "MONITOR"), "+OK");
            let keys: Vec<String> = (0..shards).map(|shard| world.key(shard, 0)).collect();
            let (a, b) = (&keys[0], &keys[shards - 1]);
            let commands = format!(
                "SET {a} 1\nGET {b}\nMGET {a} {b}\nCONFIG GET none\nMULTI\nSELECT 1\nSET {b} 2\n\
                 GET {a}\nEXEC\nDBSIZE\nAUTH secret\nHELLO 3 AUTH default pw SETNAME x\nGET"
            );
            world.pipeline(conn, &commands);
            let from = "127.0.0.1:50000]";
            let line = |db: u8, words: &str| {
                let words: Vec<String> = words.split(' ').map(|w| format!("\"{w}\"")).collect();
                format!("{db} {from} {}", words.join(" "))
            };
            let want = [
                line(0, &format!("SET {a} 1")),
                line(0, &format!("GET {b}")),
                line(0, &format!("MGET {a} {b}")),
                line(0, "MULTI"),
                line(1, "SELECT 1"),
                line(1, &format!("SET {b} 2")),
                line(1, &format!("GET {a}")),
                line(1, "EXEC"),
                line(1, "DBSIZE"),
                line(1, "AUTH (redacted)"),
                line(1, "HELLO 3 AUTH (redacted) (redacted) SETNAME x"),
            ];
            assert_eq!(lines(&mut world, monitor), want);
            let said = world.text(monitor, "GET x");
            assert_eq!(said, "-ERR Replica can't interact with the keyspace");
            let info = world.text(conn, "CLIENT LIST ID 2");
            assert!(info.contains(" flags=O "), "{info}");
            assert!(
                world
                    .text(monitor, "PING")
                    .starts_with("+PONG +1700000000.000000 [0 ")
            );
            assert_eq!(world.text(monitor, "RESET"), "+RESET");
            world.text(conn, "PING");
            assert!(lines(&mut world, monitor).is_empty());
            assert!(world.shards.iter().all(|shard| !shard.monitored));
            let said = world.pipeline(monitor, "MULTI\nMONITOR\nEXEC");
            assert!(said.ends_with("-ERR MONITOR isn't allowed for DENY BLOCKING client"));
            world.text(monitor, "MONITOR");
            world.disconnect(monitor);
            world.run();
            assert!(world.shards.iter().all(|shard| !shard.monitored));
        }
    }

    #[test]
    fn a_command_that_waits_is_shown_when_it_comes_and_a_refused_exec_at_all() {
        for shards in [1, 3] {
            let mut world = World::new(shards);
            let (conn, other) = (world.connect(0), world.connect(0));
            let monitor = world.connect(shards - 1);
            world.text(monitor, "MONITOR");
            let (a, b) = (world.key(0, 0), world.key(shards - 1, 1));
            let from = "127.0.0.1:50000]";
            for keys in [b.clone(), format!("{a} {b}")] {
                world.text(conn, &format!("BLPOP {keys} 0"));
                let quoted = keys.replace(' ', "\" \"");
                let want = format!("0 {from} \"BLPOP\" \"{quoted}\" \"0\"");
                assert_eq!(lines(&mut world, monitor), [want]);
                world.text(other, &format!("RPUSH {b} x"));
                assert_eq!(lines(&mut world, monitor).len(), 1, "{keys}");
            }
            world.text(conn, "exec now");
            let want = format!("0 {from} \"exec\" \"now\"");
            assert_eq!(lines(&mut world, monitor), [want]);
        }
    }

    #[test]
    fn large_requests_under_way_when_monitoring_begins_are_left_out() {
        let mut world = World::new(2);
        let (conn, monitor) = (world.connect(0), world.connect(0));
        let key = world.key(1, 0);
        let large = "x".repeat(200 << 10);
        world.send(monitor, &request("MONITOR"));
        world.send(conn, &request(&format!("SET {key} {large}")));
        world.run();
        assert_eq!(world.take(conn), b"+OK\r\n");
        world.take(monitor);
        world.send(conn, &request(&format!("SET {key} {large}")));
        world.run();
        let shown = lines(&mut world, monitor);
        assert_eq!(shown.len(), 1);
        assert!(shown[0].len() > large.len());
    }

    #[test]
    fn a_replica_shows_the_stream_with_its_source() {
        let mut world = World::new(2);
        let monitor = world.connect(1);
        world.text(monitor, "MONITOR");
        let conn = ConnId {
            index: 7,
            generation: 1,
        };
        let shard = &mut world.shards[0];
        shard.insert_upper(conn, Class::Upstream, "10.0.0.1:6379".to_owned());
        let command = crate::command::table::find(b"set").unwrap();
        let args = crate::protocol::OwnedArgs::new(&[b"SET", b"k", b"v"]);
        shard.show_upstream(conn, command, 3, args.as_args());
        world.run();
        let want = "3 10.0.0.1:6379] \"SET\" \"k\" \"v\"";
        assert_eq!(lines(&mut world, monitor), [want]);
    }

    #[test]
    fn a_monitor_is_never_idle() {
        let mut world = World::with_config(1, &[("timeout", "5")]);
        let (monitor, idle) = (world.connect(0), world.connect(0));
        world.text(monitor, "MONITOR");
        world.advance(20_000);
        world.advance(2_000);
        assert_eq!(world.closed, [idle]);
    }
}
