//! Real processes in network namespaces under faults that overlap: cables taken out, links that
//! stall in one direction or are slow, SIGKILL and SIGSTOP of any node, failovers, new parents,
//! under writers. Needs root.
//!
//! `BANYAN_CHAOS_S` sets for how many seconds.

#[path = "../support/mod.rs"]
mod support;

mod cluster;
mod storm;

use std::time::Duration;
use support::netns::{Hub, Namespaces};
use support::server::Kind;

/// For how long faults happen.
fn length() -> Duration {
    let asked = std::env::var("BANYAN_CHAOS_S").ok();
    let seconds = asked.map_or(30, |text| text.parse().expect("BANYAN_CHAOS_S is a number"));
    Duration::from_secs(seconds)
}

/// The test runs once more within the hub, so that the namespaces are removed whatever becomes
/// of it there.
fn in_namespaces(test: &str, real: Kind) {
    if let Some(hub) = Hub::here() {
        storm::run(hub, real, length(), support::seed());
        return;
    }
    let namespaces = Namespaces::make(cluster::NODES);
    let status = namespaces.run_within(test, length() + Duration::from_secs(500));
    assert!(status.success(), "within the namespaces: {status}");
}

#[test]
fn banyan_and_redis_in_namespaces_outlive_a_storm_of_faults() {
    in_namespaces(
        "banyan_and_redis_in_namespaces_outlive_a_storm_of_faults",
        Kind::Redis,
    );
}

#[test]
fn banyan_and_valkey_in_namespaces_outlive_a_storm_of_faults() {
    in_namespaces(
        "banyan_and_valkey_in_namespaces_outlive_a_storm_of_faults",
        Kind::Valkey,
    );
}
