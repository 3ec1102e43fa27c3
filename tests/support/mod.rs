//! What all test binaries share: real processes, a client that trusts nothing of the code under
//! test, a proxy that cuts links, and a replica made of a socket.
//!
//! Each binary uses its own part, so unused items are no sign of dead code here.
#![allow(dead_code)]

pub mod cases;
pub mod client;
pub mod load;
pub mod netns;
pub mod proxy;
pub mod random;
pub mod replica;
pub mod resp;
pub mod sentinel;
pub mod server;
pub mod sync;
pub mod writers;
pub mod wrong_types;

use std::time::{Duration, Instant};

/// The longest that anything expected to happen soon may take on two busy cores.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Lets other processes run between two looks at a condition.
#[allow(clippy::disallowed_methods)]
pub fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

/// Polls until `condition` gives something; panics with `what` once `PATIENCE` is over.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "gave up after {PATIENCE:?} waiting for {what}"
        );
        pause(10);
    }
}

/// Polls until `condition` holds; panics with `what` once `PATIENCE` is over.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// The seed of a random suite: `BANYAN_SEED` if set, else a new one. Printed either way.
pub fn seed() -> u64 {
    let seed = match std::env::var("BANYAN_SEED") {
        Ok(text) => text
            .trim()
            .parse()
            .expect("BANYAN_SEED is a decimal number"),
        Err(_) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            u64::from(now.expect("a clock after 1970").subsec_nanos())
                ^ (u64::from(std::process::id()) << 32)
        }
    };
    println!("BANYAN_SEED={seed}");
    seed
}
