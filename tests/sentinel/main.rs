//! Debian's redis-sentinel, three of them, over a Banyan primary with two Banyan replicas and one
//! redis-server replica.

#[path = "../support/mod.rs"]
mod support;

mod discovery;
mod failover;
