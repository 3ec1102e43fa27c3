//! Work that blocks, off the shards' threads: looking names up, writing the configuration, spool
//! files.
//!
//! A shard asks and goes on; the outcome is put into the shard's inbox, and the shard is woken.
//! Names are looked up by a thread each, since the system's resolver may take as long as it
//! likes; there are at most [`LOOKUPS_MAX`] at a time. Files are written by one thread, in the
//! order in which they were asked for.

use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::Builder;

use crate::config::Config;
use crate::net::Waker;
use crate::server::spool::Spooler;
use crate::shard::shell::{Spool, Spooled};

/// Names that are looked up at a time. The link to the upstream asks for one.
const LOOKUPS_MAX: usize = 8;

/// What became of a shard's wish.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Numeric addresses of a host, or why there are none.
    Resolved {
        token: u64,
        addresses: Result<Vec<String>, String>,
    },
    /// The configuration was written, or why not.
    Rewritten {
        token: u64,
        result: Result<(), String>,
    },
    /// What became of a wish about a spool file.
    Spooled { file: u64, outcome: Spooled },
}

/// Finds the addresses of a name.
type Resolver = fn(&str) -> std::io::Result<Vec<IpAddr>>;
/// Writes a configuration to the process's file.
pub type Rewriter = Box<dyn Fn(&Config) -> Result<(), String> + Send>;

struct Inbox {
    has: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
    waker: Waker,
}

struct Rewrite {
    shard: usize,
    token: u64,
    config: Arc<Config>,
}

/// The helpers of a process, and the shards' inboxes.
pub struct Helpers {
    inboxes: Vec<Inbox>,
    resolver: Resolver,
    lookups: AtomicUsize,
    files: Mutex<Option<mpsc::Sender<Rewrite>>>,
    spooler: OnceLock<Spooler>,
}

impl Helpers {
    /// Helpers for shards that `wakers` wake.
    pub fn new(wakers: &[Waker]) -> Arc<Self> {
        Self::with_resolver(wakers, look_up)
    }

    fn with_resolver(wakers: &[Waker], resolver: Resolver) -> Arc<Self> {
        let inboxes = wakers.iter().map(|waker| Inbox {
            has: AtomicBool::new(false),
            outcomes: Mutex::new(Vec::new()),
            waker: waker.clone(),
        });
        Arc::new(Helpers {
            inboxes: inboxes.collect(),
            resolver,
            lookups: AtomicUsize::new(0),
            files: Mutex::new(None),
            spooler: OnceLock::new(),
        })
    }

    /// Starts the thread that writes the configuration.
    ///
    /// # Errors
    /// The system's, if it gives no thread.
    pub fn write_with(self: &Arc<Self>, rewriter: Rewriter) -> std::io::Result<()> {
        let (sender, wishes) = mpsc::channel::<Rewrite>();
        let helpers = self.clone();
        Builder::new().name("files".to_owned()).spawn(move || {
            for wish in wishes {
                let result = rewriter(&wish.config);
                let token = wish.token;
                helpers.put(wish.shard, Outcome::Rewritten { token, result });
            }
        })?;
        *self.files.lock().expect("no holder panics") = Some(sender);
        Ok(())
    }

    /// Looks a host up for a shard. What is an address already is answered at once.
    pub fn resolve(self: &Arc<Self>, shard: usize, token: u64, host: &str) {
        if let Ok(address) = host.parse::<IpAddr>() {
            let addresses = Ok(vec![address.to_string()]);
            return self.put(shard, Outcome::Resolved { token, addresses });
        }
        if self.lookups.fetch_add(1, Ordering::AcqRel) >= LOOKUPS_MAX {
            self.lookups.fetch_sub(1, Ordering::AcqRel);
            let addresses = Err("too many names are being looked up".to_owned());
            return self.put(shard, Outcome::Resolved { token, addresses });
        }
        let (helpers, host) = (self.clone(), host.to_owned());
        let look_up = move || {
            let found = (helpers.resolver)(&host).map_err(|error| error.to_string());
            helpers.lookups.fetch_sub(1, Ordering::AcqRel);
            let addresses = found.and_then(|found| match found.is_empty() {
                true => Err("the name has no address".to_owned()),
                false => Ok(found.iter().map(IpAddr::to_string).collect()),
            });
            helpers.put(shard, Outcome::Resolved { token, addresses });
        };
        if let Err(error) = Builder::new().name("names".to_owned()).spawn(look_up) {
            self.lookups.fetch_sub(1, Ordering::AcqRel);
            let addresses = Err(error.to_string());
            self.put(shard, Outcome::Resolved { token, addresses });
        }
    }

    /// Writes the configuration for a shard.
    pub fn rewrite(&self, shard: usize, token: u64, config: Arc<Config>) {
        let files = self.files.lock().expect("no holder panics").clone();
        let wish = Rewrite {
            shard,
            token,
            config,
        };
        if files.is_none_or(|files| files.send(wish).is_err()) {
            let result = Err("nobody writes files".to_owned());
            self.put(shard, Outcome::Rewritten { token, result });
        }
    }

    /// Starts the thread that has the spool files.
    ///
    /// # Errors
    /// The system's, if it gives no thread.
    pub fn spool_in(self: &Arc<Self>, dir: &Path) -> std::io::Result<()> {
        let helpers = self.clone();
        let report = move |shard, file, outcome| {
            helpers.put(shard, Outcome::Spooled { file, outcome });
        };
        let spooler = Spooler::start(dir, Box::new(report))?;
        // Started once: a second thread would end at once.
        let _ = self.spooler.set(spooler);
        Ok(())
    }

    /// Does something with a shard's spool file.
    pub fn spool(&self, shard: usize, file: u64, wish: Spool) {
        match self.spooler.get() {
            Some(spooler) => spooler.wish(shard, file, wish),
            None => {
                let outcome = Spooled::Failed("nobody spools".to_owned());
                self.put(shard, Outcome::Spooled { file, outcome });
            }
        }
    }

    fn put(&self, shard: usize, outcome: Outcome) {
        let inbox = &self.inboxes[shard];
        let mut outcomes = inbox.outcomes.lock().expect("no holder panics");
        outcomes.push(outcome);
        inbox.has.store(true, Ordering::Release);
        drop(outcomes);
        inbox.waker.wake();
    }

    /// What has come for a shard. One load if nothing has.
    pub fn take(&self, shard: usize) -> Vec<Outcome> {
        let inbox = &self.inboxes[shard];
        if !inbox.has.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut outcomes = inbox.outcomes.lock().expect("no holder panics");
        inbox.has.store(false, Ordering::Release);
        std::mem::take(&mut outcomes)
    }
}

/// Asks the system's resolver.
fn look_up(host: &str) -> std::io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> = Vec::new();
    for address in (host, 0).to_socket_addrs()? {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Condvar;

    static GATE: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    /// A resolver that does not answer before the gate opens.
    fn slow(host: &str) -> std::io::Result<Vec<IpAddr>> {
        let mut open = GATE.0.lock().unwrap();
        while !*open {
            open = GATE.1.wait(open).unwrap();
        }
        match host {
            "nobody" => Ok(Vec::new()),
            _ => Ok(vec![IpAddr::from([10, 0, 0, 1])]),
        }
    }

    /// The next `count` outcomes of a shard.
    fn wait_for(helpers: &Helpers, shard: usize, count: usize) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        // Threads of their own put them there; there is nothing to wait on but the inbox.
        while outcomes.len() < count {
            outcomes.extend(helpers.take(shard));
            std::thread::yield_now();
        }
        outcomes
    }

    #[test]
    fn a_slow_resolver_holds_nobody_else_up() {
        let (waker, _sleeper) = Waker::new().unwrap();
        let helpers = Helpers::with_resolver(&[waker.clone(), waker], slow);
        let written: Rewriter = Box::new(|config| match config.maxclients {
            1 => Err("disk full".to_owned()),
            _ => Ok(()),
        });
        helpers.write_with(written).unwrap();
        helpers.resolve(0, 1, "upstream.example");
        // Addresses need no resolver, and files have a thread of their own.
        helpers.resolve(1, 2, "::1");
        let addresses = Ok(vec!["::1".to_owned()]);
        let token = 2;
        assert_eq!(helpers.take(1), [Outcome::Resolved { token, addresses }]);
        for (maxclients, want) in [(7, Ok(())), (1, Err("disk full".to_owned()))] {
            let mut config = Config::default();
            config.maxclients = maxclients;
            helpers.rewrite(1, 3, Arc::new(config));
            let (token, result) = (3, want);
            let outcome = Outcome::Rewritten { token, result };
            assert_eq!(wait_for(&helpers, 1, 1), [outcome]);
        }
        (1..LOOKUPS_MAX).for_each(|_| helpers.resolve(0, 4, "nobody"));
        assert!(helpers.take(0).is_empty());
        helpers.resolve(0, 5, "one-too-many");
        let refused = helpers.take(0);
        assert!(matches!(
            refused.as_slice(),
            [Outcome::Resolved {
                token: 5,
                addresses: Err(_)
            }]
        ));
        *GATE.0.lock().unwrap() = true;
        GATE.1.notify_all();
        let found: Vec<_> = (wait_for(&helpers, 0, LOOKUPS_MAX).into_iter())
            .filter_map(|outcome| match outcome {
                Outcome::Resolved { token, addresses } => Some((token, addresses)),
                Outcome::Rewritten { .. } | Outcome::Spooled { .. } => None,
            })
            .collect();
        let of_upstream = found.iter().find(|(token, _)| *token == 1).unwrap();
        assert_eq!(of_upstream.1, Ok(vec!["10.0.0.1".to_owned()]));
        let failed = found.iter().filter(|(_, addresses)| addresses.is_err());
        assert_eq!(failed.count(), LOOKUPS_MAX - 1);
    }

    #[test]
    fn the_systems_resolver_knows_this_host() {
        let found = look_up("localhost").unwrap();
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty());
        assert!(look_up("no such host.invalid").is_err());
    }
}
