//! Real processes under faults: every way of losing a link between Banyan and the real servers,
//! and random trees of them.
//!
//! `BANYAN_MATRIX=full` runs every cell of the matrix, not only those chosen for a change;
//! `BANYAN_CYCLES` sets the number of changes to the random trees.
//!
//! Ways in which replication is known to have failed elsewhere, each with its test
//! (`tests/tidy.rs` checks that these exist):
//!
//! | Where | What failed | File | Test |
//! |---|---|---|---|
//! | redis#3899 | a link cut mid-command corrupted the middle of a chain | `tests/trees/known.rs` | `a_link_cut_mid_command_leaves_the_middle_of_a_chain_whole` |
//! | redis#2694 | a chained replica did not resume after its upstream changed its parent | `tests/replication/chain.rs` | `a_new_parent_of_the_middle_costs_the_bottom_no_full_sync` |
//! | redis#6718 | PINGs after a detachment pushed a sub-chain past the second offset | `tests/trees/known.rs` | `nothing_moves_a_sub_chain_while_its_middle_has_no_upstream` |
//! | dragonfly#8153 | a table split moved entries behind the snapshot's cursor | `src/keyspace/snapshot/tests.rs` | `segments_that_split_under_the_walk_neither_lose_nor_double_a_key` |
//! | dragonfly#5727 | a takeover lost what was received and not applied | `tests/trees/known.rs` | `a_takeover_loses_nothing_that_was_received` |
//! | dragonfly#2191, dragonfly#3606 | a frozen replica blocked the primary's writers | `tests/replication/partial.rs` | `a_frozen_replica_slows_nobody_and_is_dropped_at_its_limit` |
//! | redis#2315, redis#11534 | an output limit below the traffic of a full sync gave endless ones | `tests/trees/known.rs` | `endless_full_syncs_name_the_limit_and_end_once_it_is_raised` |
//! | redis#11667 | one value larger than the limit looped partial resyncs | `tests/trees/known.rs` | `one_value_larger_than_the_output_limit_loops_nobody` |
//! | redis#7717 | a lost replica left its snapshot running | `tests/replication/full.rs` | `a_replica_lost_during_its_snapshot_leaves_none_running` |

#[path = "../support/mod.rs"]
mod support;

mod known;
mod matrix;
mod promise;
mod random;
mod tree;

use support::server::{Kind, Server};

/// A full synchronisation begins at once, and nothing moves an offset but what is written.
const QUIET: &[&str] = &[
    "--repl-diskless-sync",
    "yes",
    "--repl-diskless-sync-delay",
    "0",
    "--repl-ping-replica-period",
    "3600",
];

/// A server of a kind; the number of shards counts for Banyan.
fn start(kind: Kind, shards: usize, more: &[&str]) -> Server {
    let args = [QUIET, more].concat();
    match kind {
        Kind::Banyan => Server::banyan(shards, &args),
        other => Server::of(other, &args),
    }
}
