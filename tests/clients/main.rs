//! Clients as people use them, through failovers: redis-py and ioredis, whose own retrying is all
//! that keeps them going. `scripts/install-servers` puts both in place.

#[path = "../support/mod.rs"]
mod support;

mod by_hand;
mod with_sentinel;
mod writer;
