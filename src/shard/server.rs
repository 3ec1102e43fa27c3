//! CONFIG, TIME, ROLE, LASTSAVE, SHUTDOWN.

use std::sync::atomic::Ordering;

use crate::command::session::SessionOp;
use crate::config::{SetContext, SetError, ShutdownWords};
use crate::protocol::{Args, Reply};

use super::Shard;
use super::client::Client;
use super::clients::help;
use super::dispatch::Parsed;
use super::gather::{Answer, Question};
use super::session::Purpose;
use super::shared::ReplicationView;
use super::shell::Shell;

/// A shutdown that does not come about.
pub const SHUTDOWN_FAILED: &str = "ERR Errors trying to SHUTDOWN. Check logs.";

/// SHUTDOWN's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownOptions {
    nosave: bool,
    /// Write the dataset to its file first.
    pub save: bool,
    /// Do not wait for replicas.
    pub now: bool,
    /// End even if the dataset cannot be saved.
    pub force: bool,
    /// End the wait of a shutdown, and go on serving.
    pub abort: bool,
}

impl ShutdownOptions {
    /// What `shutdown-on-sigterm` and `shutdown-on-sigint` say.
    pub fn of_signal(ShutdownWords(words): &ShutdownWords) -> Self {
        let says = |word| words.contains(&word);
        ShutdownOptions {
            nosave: says("nosave"),
            save: says("save"),
            now: says("now"),
            force: says("force"),
            abort: false,
        }
    }

    /// Reads the words; `None` if they make no sense.
    pub fn parse(args: Args<'_>) -> Option<Self> {
        let mut options = ShutdownOptions::default();
        for word in args.iter().skip(1) {
            match word.to_ascii_lowercase().as_slice() {
                b"nosave" => options.nosave = true,
                b"save" => options.save = true,
                b"now" => options.now = true,
                b"force" => options.force = true,
                b"abort" => options.abort = true,
                _ => return None,
            }
        }
        let others = options.nosave || options.save || options.now || options.force;
        let contradicts = (options.abort && others) || (options.save && options.nosave);
        (!contradicts).then_some(options)
    }
}

impl Shard {
    pub(super) fn server_command(&mut self, client: &mut Client, op: SessionOp, args: Args<'_>) {
        match op {
            SessionOp::Time => {
                let now_ms = self.now.unix_ms;
                self.answer(client, |reply| {
                    reply.array(2);
                    reply.bulk_integer((now_ms / 1000) as i64);
                    reply.bulk_integer((now_ms % 1000 * 1000) as i64);
                });
            }
            SessionOp::Role => {
                let view = self.shared.stream.view();
                self.answer(client, |reply| role(reply, &view));
            }
            SessionOp::LastSave => {
                let at = self.last_save_unix_s();
                self.answer(client, |reply| reply.integer(at as i64));
            }
            SessionOp::ConfigGet => {
                let patterns: Vec<&[u8]> = args.iter().skip(2).collect();
                let found = self.config.get(&patterns);
                self.answer(client, |reply| {
                    reply.map(found.len());
                    for (name, value) in &found {
                        reply.bulk(name);
                        reply.bulk(value);
                    }
                });
            }
            SessionOp::ConfigHelp => self.answer(client, |reply| help(reply, "CONFIG", HELP)),
            other => unreachable!("not a command of the server: {other:?}"),
        }
    }

    /// When the dataset was last saved: never since the start, which is what Redis shows then.
    pub(super) fn last_save_unix_s(&self) -> u64 {
        self.shared.process.started_unix_ms / 1000
    }

    /// CONFIG SET: OK once every shard goes by the new values.
    pub(super) fn config_set(&mut self, client: &mut Client, args: Args<'_>) {
        match self.set_config(client, args) {
            Ok(()) => self.ask(client, Purpose::Ok, &Question::Refresh),
            Err(error) => self.answer(client, |reply| reply.error(&error.to_string())),
        }
    }

    fn set_config(&mut self, client: &Client, args: Args<'_>) -> Result<(), SetError> {
        let pairs: Vec<&[u8]> = args.iter().skip(2).collect();
        let context = SetContext {
            local_client: client.is_local,
            loading: self.shared.loading.load(Ordering::Relaxed),
        };
        let shared = self.shared.clone();
        shared
            .config
            .update(|config| config.set(&pairs, context).map(|_| ()))?;
        self.refresh_config();
        Ok(())
    }

    /// CONFIG REWRITE: the client waits until the file is written.
    pub(super) fn config_rewrite(&mut self, shell: &mut dyn Shell, client: &mut Client) {
        if self.shared.process.config_file.is_empty() {
            let text = "ERR The server is running without a config file";
            return self.answer(client, |reply| reply.error(text));
        }
        let token = self.await_answers(client, Purpose::Rewritten, 1);
        // Not what this shard has seen last, but what is in force.
        shell.rewrite(token, self.shared.config.get());
    }

    /// The configuration was written, or not.
    pub fn rewritten(&mut self, shell: &mut dyn Shell, token: u64, result: Result<(), String>) {
        match &result {
            Ok(()) => tracing::info!("CONFIG REWRITE executed with success"),
            Err(reason) => tracing::warn!(%reason, "CONFIG REWRITE failed"),
        }
        self.receive_answer(token, Answer::Rewritten(result), shell);
    }

    /// SHUTDOWN: the coordinator ends the process, and with it the connection; there is no reply
    /// then.
    pub(super) fn shutdown(&mut self, client: &mut Client, parsed: Parsed<'_>) {
        let Some(options) = ShutdownOptions::parse(parsed.args) else {
            return self.answer(client, |reply| reply.error("ERR syntax error"));
        };
        if !options.abort {
            tracing::info!(client = client.id, "User requested shutdown...");
        }
        self.hand_up(client, SessionOp::Shutdown, parsed);
    }
}

/// ROLE's answer.
fn role(reply: &mut Reply, view: &ReplicationView) {
    if let Some(upstream) = &view.upstream {
        reply.array(5);
        reply.bulk_str("slave");
        reply.bulk_str(&upstream.host);
        reply.integer(i64::from(upstream.port));
        reply.bulk_str(upstream.state);
        reply.integer(upstream.applied_offset);
        return;
    }
    let online = || {
        view.replicas
            .iter()
            .filter(|replica| replica.state == "online")
    };
    reply.array(3);
    reply.bulk_str("master");
    reply.integer(view.offset as i64);
    reply.array(online().count());
    for replica in online() {
        reply.array(3);
        reply.bulk_str(&replica.ip);
        reply.bulk_integer(i64::from(replica.port));
        reply.bulk_integer(replica.offset as i64);
    }
}

const HELP: &[&str] = &[
    "GET <pattern> [<pattern> [...]]",
    "    Show the directives that match, with their values.",
    "SET <directive> <value> [<directive> <value> [...]]",
    "    Change directives, all of them or none.",
    "RESETSTAT",
    "    Set the counters that INFO shows to zero.",
    "REWRITE",
    "    Write the values in force to the configuration file.",
];

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::super::shared::{ReplicaView, ReplicationView, UpstreamView};
    use super::super::testing::World;
    use crate::command::session::SessionOp;

    #[test]
    fn a_configuration_change_reaches_every_shard_before_the_answer() {
        let mut world = World::new(3);
        let conn = world.connect(0);
        assert_eq!(
            world.text(conn, "CONFIG SET maxclients 77 port 1"),
            "-ERR CONFIG SET failed (possibly related to argument 'port') - \
             can't set immutable config"
        );
        assert_eq!(world.text(conn, "CONFIG SET maxclients 77"), "+OK");
        for shard in &world.shards {
            assert_eq!(shard.config.maxclients, 77);
        }
        assert_eq!(
            world.text(conn, "CONFIG GET maxclients"),
            "*2 $10 maxclients $2 77"
        );
        world.text(conn, "HELLO 3");
        assert_eq!(
            world.text(conn, "CONFIG GET maxclients"),
            "%1 $10 maxclients $2 77"
        );
        assert_eq!(world.text(conn, "CONFIG SET a b c"), "-ERR syntax error");
        let want = "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'";
        assert_eq!(world.text(conn, "CONFIG SET nosuch 1"), want);
    }

    #[test]
    fn rewriting_needs_a_file_and_reports_why_it_failed() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        let want = "-ERR The server is running without a config file";
        assert_eq!(world.text(conn, "CONFIG REWRITE"), want);
        let mut world = World::with_file("/etc/banyan.conf");
        let (conn, other) = (world.connect(0), world.connect(0));
        assert_eq!(world.text(conn, "CONFIG SET maxclients 5"), "+OK");
        for (result, want) in [
            (Ok(()), "+OK"),
            (
                Err("disk full".to_owned()),
                "-ERR Rewriting config file: disk full",
            ),
        ] {
            assert_eq!(world.pipeline(conn, "CONFIG REWRITE\nPING"), "");
            // Whoever writes takes his time, and nobody else waits for him.
            assert_eq!(world.text(other, "PING"), "+PONG");
            let (token, config) = world.shells[0].rewrites.pop().unwrap();
            assert_eq!(config.maxclients, 5);
            world.rewritten(0, token, result);
            let text = String::from_utf8(world.take(conn)).unwrap();
            assert_eq!(text, format!("{want}\r\n+PONG\r\n"));
        }
    }

    #[test]
    fn rewriting_within_exec_comes_after_what_was_set_there() {
        let mut world = World::with_file("/etc/banyan.conf");
        let conn = world.connect(0);
        let commands = "MULTI\nCONFIG SET maxclients 9\nCONFIG REWRITE\nSET a b\nEXEC";
        let queued = "+OK +QUEUED +QUEUED +QUEUED";
        assert_eq!(world.pipeline(conn, commands), queued);
        let (token, config) = world.shells[0].rewrites.pop().unwrap();
        assert_eq!(config.maxclients, 9);
        world.rewritten(0, token, Ok(()));
        assert_eq!(world.take(conn), b"*3\r\n+OK\r\n+OK\r\n+OK\r\n");
    }

    #[test]
    fn shutdown_answers_nothing_and_refuses_what_makes_no_sense() {
        let mut world = World::new(2);
        let conn = world.connect(0);
        for (command, want) in [
            ("SHUTDOWN foo", "-ERR syntax error"),
            ("SHUTDOWN SAVE NOSAVE", "-ERR syntax error"),
            ("SHUTDOWN ABORT NOW", "-ERR syntax error"),
        ] {
            assert_eq!(world.text(conn, command), want, "{command}");
        }
        assert_eq!(world.pipeline(conn, "SHUTDOWN NOSAVE\nPING"), "");
        let is_shutdown = |event: &Event| {
            matches!(
                event,
                Event::Command {
                    op: SessionOp::Shutdown,
                    ..
                }
            )
        };
        let events = std::mem::take(&mut world.shards[0].events);
        assert_eq!(events.iter().filter(|event| is_shutdown(event)).count(), 1);
    }

    #[test]
    fn time_is_the_ticks_time() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        world.advance(1234);
        assert_eq!(world.text(conn, "TIME"), "*2 $10 1700000001 $6 234000");
        assert_eq!(world.text(conn, "LASTSAVE"), ":1700000000");
    }

    #[test]
    fn role_shows_online_replicas_or_the_upstream() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        assert_eq!(world.text(conn, "ROLE"), "*3 $6 master :0 *0");
        let replica = |state, port| ReplicaView {
            ip: "10.0.0.1".to_owned(),
            port,
            state,
            offset: 90,
            ..ReplicaView::default()
        };
        *world.stream.view.lock().unwrap() = ReplicationView {
            offset: 100,
            replicas: vec![replica("online", 1), replica("wait_bgsave", 2)],
            ..ReplicationView::default()
        };
        let want = "*3 $6 master :100 *1 *3 $8 10.0.0.1 $1 1 $2 90";
        assert_eq!(world.text(conn, "ROLE"), want);
        world.stream.view.lock().unwrap().upstream = Some(UpstreamView {
            host: "10.0.0.9".to_owned(),
            port: 6379,
            state: "connected",
            applied_offset: 95,
            ..UpstreamView::default()
        });
        let want = "*5 $5 slave $8 10.0.0.9 :6379 $9 connected :95";
        assert_eq!(world.text(conn, "ROLE"), want);
    }
}
