//! PING, ECHO, SELECT, AUTH, HELLO, QUIT and RESET.

use crate::command::session::SessionOp;
use crate::protocol::{Args, Reply, Version, quote};
use crate::value::number::parse_i64;

use super::Shard;
use super::client::{Class, Client, ReplyMode};
use super::pubsub::only_listens;
use super::pubsub::subscribe::pong;

/// The version of Redis whose commands and replies these are.
pub(super) const REDIS_VERSION: &str = "7.2.4";

const WRONG_PASSWORD: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD_SET: &str = "ERR AUTH <password> called without any password configured for the \
default user. Are you sure your configuration is correct?";
const HELLO_NEEDS_AUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, \
otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
select the RESP protocol version at the same time";
const BAD_NAME: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

/// What HELLO's arguments ask for.
#[derive(Default)]
struct Hello<'a> {
    version: Option<Version>,
    user: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

impl Shard {
    pub(super) fn connection_command(
        &mut self,
        client: &mut Client,
        op: SessionOp,
        args: Args<'_>,
    ) {
        match op {
            SessionOp::Ping => self.ping(client, args),
            SessionOp::Echo => self.answer(client, |reply| reply.bulk(&args[1])),
            SessionOp::Select => self.select(client, args),
            SessionOp::Auth => self.auth(client, args),
            SessionOp::Hello => self.hello(client, args),
            SessionOp::Quit => {
                self.answer(client, Reply::ok);
                self.close_client(client);
            }
            SessionOp::Reset => self.reset(client),
            other => unreachable!("not a connection command: {other:?}"),
        }
    }

    fn ping(&mut self, client: &mut Client, args: Args<'_>) {
        let subscriber = only_listens(client);
        self.answer(client, |reply| match args.len() {
            1 | 2 if subscriber => pong(reply, args),
            1 => reply.simple("PONG"),
            2 => reply.bulk(&args[1]),
            _ => reply.error("ERR wrong number of arguments for 'ping' command"),
        });
    }

    fn select(&mut self, client: &mut Client, args: Args<'_>) {
        let chosen = parse_i64(&args[1]);
        let text = match chosen {
            None => Some("ERR value is not an integer or out of range"),
            Some(db) if i32::try_from(db).is_err() => {
                Some("ERR value is out of range, value must between -2147483648 and 2147483647")
            }
            Some(db) => match usize::try_from(db) {
                Ok(db) if db < self.data.settings.databases => {
                    client.db = db;
                    None
                }
                _ => Some("ERR DB index is out of range"),
            },
        };
        self.answer(client, |reply| match text {
            Some(text) => reply.error(text),
            None => reply.ok(),
        });
    }

    fn auth(&mut self, client: &mut Client, args: Args<'_>) {
        let result = match args.len() {
            2 if self.config.requirepass.is_empty() => Err(NO_PASSWORD_SET),
            2 => self.check_password(b"default", &args[1]),
            3 => self.check_password(&args[1], &args[2]),
            _ => Err("ERR syntax error"),
        };
        client.authenticated |= result.is_ok();
        self.answer(client, |reply| match result {
            Ok(()) => reply.ok(),
            Err(text) => reply.error(text),
        });
    }

    /// There is one user, `default`; without `requirepass` any password is his.
    fn check_password(&self, user: &[u8], password: &[u8]) -> Result<(), &'static str> {
        let wanted = &self.config.requirepass;
        let matches = wanted.is_empty() || same_secret(wanted, password);
        if user == b"default" && matches {
            Ok(())
        } else {
            Err(WRONG_PASSWORD)
        }
    }

    fn hello(&mut self, client: &mut Client, args: Args<'_>) {
        let hello = match parse_hello(args) {
            Ok(hello) => hello,
            Err(text) => return self.answer(client, |reply| reply.error(&text)),
        };
        if let Some((user, password)) = hello.user {
            if let Err(text) = self.check_password(user, password) {
                return self.answer(client, |reply| reply.error(text));
            }
            client.authenticated = true;
        }
        if !client.authenticated {
            return self.answer(client, |reply| reply.error(HELLO_NEEDS_AUTH));
        }
        if let Some(name) = hello.name {
            client.name = name.to_vec();
        }
        if let Some(version) = hello.version {
            client.reply.set_version(version);
        }
        let (id, replica) = (client.id, self.origin() == crate::command::Origin::Replica);
        self.answer(client, |reply| {
            reply.map(7);
            reply.bulk_str("server");
            reply.bulk_str("redis");
            reply.bulk_str("version");
            reply.bulk_str(REDIS_VERSION);
            reply.bulk_str("proto");
            reply.integer(if reply.version() == Version::Resp3 {
                3
            } else {
                2
            });
            reply.bulk_str("id");
            reply.integer(id as i64);
            reply.bulk_str("mode");
            reply.bulk_str("standalone");
            reply.bulk_str("role");
            reply.bulk_str(if replica { "replica" } else { "master" });
            reply.bulk_str("modules");
            reply.array(0);
        });
    }

    fn reset(&mut self, client: &mut Client) {
        if client.class != Class::Normal {
            return self.answer(client, |reply| {
                reply.error("ERR can only reset normal client connections");
            });
        }
        let mark = client.reply.len();
        client.multi = None;
        self.leave_all(client, true);
        self.stop_tracking(client, true);
        self.unwatch(client);
        client.db = 0;
        client.reply.set_version(Version::Resp2);
        client.authenticated = self.config.requirepass.is_empty();
        client.name.clear();
        client.reply_mode = ReplyMode::On;
        client.no_evict = false;
        client.no_touch = false;
        self.answer(client, |reply| reply.simple("RESET"));
        self.hold_reply(client, mark, false);
    }
}

fn parse_hello(args: Args<'_>) -> Result<Hello<'_>, String> {
    let mut hello = Hello::default();
    if let Some(version) = args.get(1) {
        hello.version = Some(match parse_i64(version) {
            Some(2) => Version::Resp2,
            Some(3) => Version::Resp3,
            Some(_) => return Err("NOPROTO unsupported protocol version".to_owned()),
            None => {
                return Err("ERR Protocol version is not an integer or out of range".to_owned());
            }
        });
    }
    let mut at = 2;
    while let Some(option) = args.get(at) {
        match (args.get(at + 1), args.get(at + 2)) {
            (Some(user), Some(password)) if option.eq_ignore_ascii_case(b"auth") => {
                hello.user = Some((user, password));
                at += 3;
            }
            (Some(name), _) if option.eq_ignore_ascii_case(b"setname") => {
                if !is_plain(name) {
                    return Err(BAD_NAME.to_owned());
                }
                hello.name = Some(name);
                at += 2;
            }
            _ => {
                let option = quote(option, usize::MAX);
                return Err(format!("ERR Syntax error in HELLO option '{option}'"));
            }
        }
    }
    Ok(hello)
}

/// Whether a name for CLIENT LIST has only visible ASCII characters; it may be empty. As in Redis
/// it ends at a NUL, for this check and where it is shown.
pub(super) fn is_plain(name: &[u8]) -> bool {
    let mut shown = name.iter().take_while(|byte| **byte != 0);
    shown.all(|byte| (b'!'..=b'~').contains(byte))
}

/// CLIENT SETNAME's check.
pub(super) fn check_name(name: &[u8]) -> Result<(), &'static str> {
    if is_plain(name) {
        Ok(())
    } else {
        Err(BAD_NAME)
    }
}

/// Compares in a time that does not tell how much of a guess is right.
fn same_secret(secret: &[u8], guess: &[u8]) -> bool {
    let mut difference = u8::from(secret.len() != guess.len());
    for (at, byte) in guess.iter().enumerate() {
        difference |= byte ^ secret[at % secret.len()];
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::same_secret;

    #[test]
    fn secrets_are_equal_only_if_all_of_them_is() {
        assert!(same_secret(b"abc", b"abc"));
        for guess in [&b"abd"[..], b"ab", b"abcabc", b"", b"abcd"] {
            assert!(!same_secret(b"abc", guess));
        }
    }

    #[test]
    fn commands_of_a_connection_answer_as_redis_does() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        for (command, want) in [
            ("PING", "+PONG"),
            ("PING hi", "$2 hi"),
            (
                "PING a b",
                "-ERR wrong number of arguments for 'ping' command",
            ),
            ("ECHO x", "$1 x"),
            ("ECHO", "-ERR wrong number of arguments for 'echo' command"),
            ("SELECT 15", "+OK"),
            ("SELECT 16", "-ERR DB index is out of range"),
            ("SELECT -1", "-ERR DB index is out of range"),
            ("SELECT x", "-ERR value is not an integer or out of range"),
            (
                "SELECT 2147483648",
                "-ERR value is out of range, value must between -2147483648 and 2147483647",
            ),
            ("AUTH a b c", "-ERR syntax error"),
            ("AUTH default anything", "+OK"),
            (
                "AUTH other x",
                "-WRONGPASS invalid username-password pair or user is disabled.",
            ),
            ("HELLO 4", "-NOPROTO unsupported protocol version"),
            (
                "HELLO x",
                "-ERR Protocol version is not an integer or out of range",
            ),
            ("HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'"),
            ("HELLO 3 foo", "-ERR Syntax error in HELLO option 'foo'"),
            (
                "HELLO 3 SETNAME \u{7f}",
                "-ERR Client names cannot contain spaces, newlines or special characters.",
            ),
            (
                "HELLO 3 SETNAME me",
                "%7 $6 server $5 redis $7 version $5 7.2.4 $5 proto :3 $2 id :1 $4 mode \
                 $10 standalone $4 role $6 master $7 modules *0",
            ),
            ("CLIENT GETNAME", "$2 me"),
            ("GET nothing", "_"),
            ("RESET", "+RESET"),
            ("CLIENT GETNAME", "$-1"),
            (
                "NOSUCH a b",
                "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b'",
            ),
        ] {
            assert_eq!(world.text(conn, command), want, "{command}");
        }
        assert_eq!(world.pipeline(conn, "QUIT\nPING"), "+OK");
        assert_eq!(world.closed, [conn]);
    }

    #[test]
    fn a_password_guards_every_command_but_a_few() {
        let mut world = World::with_config(1, &[("requirepass", "secret")]);
        let conn = world.connect(0);
        assert_eq!(
            world.text(conn, "GET a"),
            "-NOAUTH Authentication required."
        );
        assert!(
            world
                .text(conn, "HELLO 3")
                .starts_with("-NOAUTH HELLO must be called")
        );
        assert!(world.text(conn, "AUTH wrong").starts_with("-WRONGPASS"));
        assert!(
            world
                .text(conn, "AUTH default wrong")
                .starts_with("-WRONGPASS")
        );
        assert_eq!(
            world.text(conn, "GET a"),
            "-NOAUTH Authentication required."
        );
        assert_eq!(world.text(conn, "AUTH secret"), "+OK");
        assert_eq!(world.text(conn, "GET a"), "$-1");
        assert_eq!(world.text(conn, "RESET"), "+RESET");
        assert_eq!(
            world.text(conn, "GET a"),
            "-NOAUTH Authentication required."
        );
        assert!(
            world
                .text(conn, "HELLO 2 AUTH default secret")
                .starts_with("*14")
        );
        // Who is not authenticated may go on when the password is taken away.
        let other = world.connect(0);
        assert_eq!(
            world.text(other, "GET a"),
            "-NOAUTH Authentication required."
        );
        assert_eq!(
            world.call_args(conn, &[b"CONFIG", b"SET", b"requirepass", b""]),
            b"+OK\r\n"
        );
        assert_eq!(world.text(other, "GET a"), "$-1");
        assert!(
            world
                .text(other, "AUTH x")
                .starts_with("-ERR AUTH <password> called without")
        );
    }

    #[test]
    fn pings_keep_their_place_among_commands_of_other_shards() {
        let mut world = World::new(3);
        let conn = world.connect(0);
        let (a, b) = (world.key(1, 0), world.key(2, 0));
        let commands = format!("SET {a} 1\nPING\nSELECT 99\nSET {b} 2\nECHO x\nGET {a}\nGET {b}");
        let want = "+OK +PONG -ERR DB index is out of range +OK $1 x $1 1 $1 2";
        assert_eq!(world.pipeline(conn, &commands), want);
    }
}
