//! Banyan against valkey-server 8.0.1, which speaks for Redis 7.2: the same random commands must
//! get the same replies, leave the same data, and send the same stream to a replica.
//!
//! A failure prints its seed; `BANYAN_SEED=<seed> cargo test --test differential` replays it.

#[path = "../support/mod.rs"]
mod support;

mod compare;
mod description;
mod doubles;
mod events;
mod generate;
mod grammar;
mod memory;
mod monitor;
mod observation;
mod propagation;
mod pubsub;
mod run;
mod table;
mod tracking;
mod wrong_types;

use run::{Pair, compare_random};
use std::collections::BTreeSet;

/// Commands for each number of shards.
const COMMANDS: usize = 67_000;

#[test]
fn one_shard_answers_as_valkey_does() {
    compare_random(&mut Pair::start(1, &[]), support::seed(), COMMANDS);
}

#[test]
fn two_shards_answer_as_valkey_does() {
    compare_random(&mut Pair::start(2, &[]), support::seed(), COMMANDS);
}

#[test]
fn seven_shards_answer_as_valkey_does() {
    compare_random(&mut Pair::start(7, &[]), support::seed(), COMMANDS);
}

#[test]
fn seven_shards_in_relaxed_order_answer_as_valkey_does() {
    let mut pair = Pair::start(7, &["--pipeline-order", "relaxed"]);
    compare_random(&mut pair, support::seed(), COMMANDS / 3);
}

#[test]
fn doubles_are_printed_as_by_valkey() {
    doubles::compare_random(support::seed(), 50_000);
}

#[test]
fn subscribers_get_what_they_get_of_valkey() {
    for shards in [1, 2, 7] {
        pubsub::compare_random(shards, support::seed(), 1_500);
    }
}

#[test]
fn events_of_keys_are_those_of_valkey() {
    for shards in [1, 2, 7] {
        events::compare_random(shards, support::seed(), 5_000);
    }
}

#[test]
fn connections_that_track_are_told_of_the_keys_that_valkey_tells_of() {
    for shards in [1, 2, 7] {
        tracking::compare_random(shards, support::seed(), 8_000);
    }
}

#[test]
fn monitors_are_shown_what_they_are_shown_by_valkey() {
    for shards in [1, 2, 7] {
        monitor::compare_script(shards);
        monitor::compare_random(shards, support::seed(), 5_000);
    }
}

#[test]
fn the_grammar_covers_what_its_list_claims() {
    let listed: BTreeSet<String> = support::cases::DIFFERENTIAL
        .iter()
        .map(|n| (*n).to_owned())
        .collect();
    assert_eq!(generate::covered(), listed);
}

#[test]
fn one_shard_sends_the_stream_that_valkey_sends() {
    propagation::compare_cases(1);
}

#[test]
fn seven_shards_send_the_stream_that_valkey_sends() {
    propagation::compare_cases(7);
}

#[test]
fn random_pipelines_leave_the_stream_that_valkey_sends() {
    let seed = support::seed();
    propagation::compare_random(1, seed, 8_000);
    propagation::compare_random(3, seed, 8_000);
}

#[test]
fn the_stream_cases_cover_what_their_list_claims() {
    let listed: BTreeSet<String> = support::cases::PROPAGATION
        .iter()
        .map(|n| (*n).to_owned())
        .collect();
    assert_eq!(propagation::covered(), listed);
}

#[test]
fn errors_of_arity_and_syntax_are_those_of_valkey() {
    table::compare_arity(2);
    table::compare_cases(2);
}

#[test]
fn keys_of_the_wrong_type_are_refused_as_valkey_refuses_them() {
    wrong_types::compare(1);
    wrong_types::compare(7);
}

#[test]
fn every_command_is_described_as_valkey_describes_it() {
    description::compare();
}

#[test]
fn commands_are_listed_as_valkey_lists_them() {
    description::compare_lists();
}

#[test]
fn the_slow_log_holds_what_that_of_valkey_holds() {
    observation::compare_slow_logs(1);
    observation::compare_slow_logs(3);
}
