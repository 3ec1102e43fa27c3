//! A bench for tests of commands: runs them against a keyspace of its own, without a shard.

use super::session::SessionOp;
use super::table::{self, Run};
use super::watched::Watched;
use super::{DataState, DataStats, Effects, Env, Origin, Ran, Rng, Settings};
use crate::keyspace::{Keyspace, Seed};
use crate::protocol::{Args, Input, Limits, OwnedArgs, Reply, Version};
use crate::value::HashSeed;
use crate::value::hash::HashLimits;
use crate::value::set::SetLimits;

/// Where every bench's clock starts, in Unix milliseconds.
pub const START_MS: u64 = 1_700_000_000_000;

const DATABASES: usize = 16;
const SEED: [u64; 4] = [1, 2, 3, 4];

/// One keyspace and what commands need beside it. All fields may be changed between commands.
pub struct Bench {
    pub keyspace: Keyspace,
    pub state: DataState,
    pub effects: Effects,
    pub version: Version,
    /// Selected database.
    pub db: usize,
    pub now_ms: u64,
    pub origin: Origin,
    /// What the last command counted.
    pub ran: Ran,
    /// Whether blocking commands may wait; `ran.wait` then says on what.
    pub may_wait: bool,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// An empty keyspace of a primary, RESP2, recording effects.
    pub fn new() -> Self {
        let mut effects = Effects::default();
        effects.set_enabled(true);
        Bench {
            keyspace: Keyspace::new(DATABASES, &Seed(SEED)),
            state: DataState {
                settings: Settings {
                    databases: DATABASES,
                    string_len_max: 512 * 1024 * 1024,
                    // Small enough for tables that tests can fill.
                    hash_limits: HashLimits {
                        entries_max: 128,
                        ..HashLimits::default()
                    },
                    list_limits: Default::default(),
                    set_limits: SetLimits::default(),
                    hll_sparse_len_max: 3000,
                    sorted_set_limits: Default::default(),
                    stream_limits: Default::default(),
                    compression: Default::default(),
                    lazy_expire: false,
                    lazy_eviction: false,
                    lazy_user_del: false,
                    lazy_server_del: false,
                    lfu: false,
                    notify: Default::default(),
                    seed: HashSeed(SEED),
                },
                stats: DataStats::default(),
                rng: Rng::new(1),
                watched: Watched::new(ahash::RandomState::with_seeds(1, 2, 3, 4)),
                notifications: Vec::new(),
                pubsub: crate::command::pubsub::PubSub::new(&ahash::RandomState::with_seeds(
                    1, 2, 3, 4,
                )),
            },
            effects,
            version: Version::Resp2,
            db: 0,
            now_ms: START_MS,
            origin: Origin::Primary,
            ran: Ran::default(),
            may_wait: false,
        }
    }

    /// The same, replying in RESP3.
    pub fn resp3() -> Self {
        Bench {
            version: Version::Resp3,
            ..Bench::new()
        }
    }

    /// Runs a command written as in a terminal (`"quoted \x00"` arguments work) and gives its
    /// reply as it goes on the wire.
    pub fn run(&mut self, line: &str) -> String {
        String::from_utf8_lossy(&self.run_args(&words(line))).into_owned()
    }

    /// Runs a command given as arguments. Unknown commands panic; a wrong arity gets its error.
    pub fn run_args<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Vec<u8> {
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        let owned = OwnedArgs::new(&args);
        let mut reply = Reply::new(self.version);
        self.execute(owned.as_args(), &mut reply);
        reply.take()
    }

    fn execute(&mut self, args: Args<'_>, reply: &mut Reply) {
        let mut command = table::find(&args[0]).expect("a known command");
        if let Some(sub) = args.get(1).and_then(|n| table::find_subcommand(command, n)) {
            command = sub;
        }
        if !command.arity_fits(args.len()) {
            let name = command.full_name;
            return reply.error(&format!(
                "ERR wrong number of arguments for '{name}' command"
            ));
        }
        self.effects.begin_unit();
        match command.run {
            Run::Data(handler) => self.ran = super::run(handler, self.env(reply), args, None),
            Run::Everywhere { check, part, merge } => {
                // As on a shard, a part's effects go nowhere: its home sees to them.
                let effects = std::mem::take(&mut self.effects);
                self.effects.begin_unit();
                let outcome = check(&self.state.settings, args).and_then(|()| {
                    // Only for the context: the parts say what they found, `merge` replies.
                    let mut unused = Reply::new(Version::Resp2);
                    let part = part(&mut super::Ctx::new(self.env(&mut unused)), args);
                    merge(vec![part], args, reply)
                });
                self.effects = effects;
                if let Err(error) = outcome {
                    reply.error(&error.to_string());
                }
            }
            Run::Session(op) => not_for_a_bench(op),
            Run::Container => panic!("{} needs a subcommand", command.name),
        }
        self.effects.end_unit();
    }

    fn env<'a>(&'a mut self, reply: &'a mut Reply) -> Env<'a> {
        Env {
            keyspace: &mut self.keyspace,
            reply,
            effects: &mut self.effects,
            state: &mut self.state,
            db: self.db,
            now_ms: self.now_ms,
            origin: self.origin,
            shard: (0, 1),
            no_touch: false,
            may_wait: self.may_wait,
        }
    }

    /// What was recorded for replicas since the last call: one line a request, its arguments
    /// separated by single spaces and escaped where they are not plain text.
    pub fn propagated(&mut self) -> Vec<String> {
        let Some(sealed) = self.effects.seal() else {
            return Vec::new();
        };
        let mut input = Input::new();
        input.push(&sealed.bytes);
        let mut lines = Vec::new();
        while let Some(request) = input.next(&Limits::default()).expect("well formed") {
            let args: Vec<_> = request.args.iter().map(|a| a.escape_ascii()).collect();
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            lines.push(args.join(" "));
        }
        assert_eq!(input.buffered(), 0, "no request is cut");
        lines
    }

    /// OBJECT ENCODING of a key of the selected database.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn encoding(&self, key: &str) -> &'static str {
        let entry = self.keyspace.db(self.db).get(key.as_bytes());
        entry.expect("the key exists").encoding()
    }

    /// When a key of the selected database expires, in Unix milliseconds.
    pub fn expire_at(&self, key: &str) -> Option<u64> {
        self.keyspace.db(self.db).get(key.as_bytes())?.expire_at()
    }

    /// Whether a key of the selected database is stored, expired or not.
    pub fn holds(&self, key: &str) -> bool {
        self.keyspace.db(self.db).get(key.as_bytes()).is_some()
    }
}

fn not_for_a_bench(op: SessionOp) -> ! {
    panic!("{op:?} needs a shard")
}

/// The words of a line, split and unescaped as an inline request is.
fn words(line: &str) -> Vec<Vec<u8>> {
    let mut input = Input::new();
    input.push(line.as_bytes());
    input.push(b"\r\n");
    let request = input.next(&Limits::default()).expect("balanced quotes");
    let args = request.expect("a command").args;
    args.iter().map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_run_and_its_effect_recorded() {
        let mut bench = Bench::new();
        assert_eq!(bench.run("SET k \"a \\x01b\""), "+OK\r\n");
        assert_eq!(bench.run("GET k"), "$4\r\na \x01b\r\n");
        assert_eq!((bench.ran.dirty, bench.ran.failed), (0, false));
        assert_eq!(bench.propagated(), ["SET k a \\x01b"]);
        assert!(bench.propagated().is_empty());
        let arity = "-ERR wrong number of arguments for 'get' command\r\n";
        assert_eq!(bench.run("GET"), arity);
    }
}
