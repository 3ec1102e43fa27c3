//! The manual: how Banyan works, and why it is built so.
//!
//! Each page explains one mechanism and names its invariants, with the file that keeps them. The
//! pages describe the code as it is; what is planned is said to be planned.
//!
//! - [`architecture`]: What runs where, what one tick of a shard does, how the core and the
//!   shell are kept apart.
//! - [`transactions`]: How commands over several shards are atomic; locks, lending, pipelines,
//!   WATCH.
//! - [`pubsub`]: Channels, one order for each; subscribers; messages and transactions.
//! - [`tracking`]: Client-side caching: reads that are remembered, and the order of what is told.
//! - [`replication`]: How many streams become one; backlog, full sync without fork, being a
//!   replica.
//! - [`durability`]: What survives a crash (today: nothing but what replicas hold).
//! - [`observation`]: Times of commands without a clock reading for each; the slow log and the
//!   latency monitor.
//! - [`compatibility`]: What works, and where Banyan differs from Redis on purpose.
//! - [`vulnerabilities`]: Known weaknesses of servers of this kind, and what stops each here.
//! - [`design_changes`]: Where the code left the first design, and the reason.
//!
//! # Words
//!
//! - **Shard**: one thread with its part of the keys and its connections.
//! - **Home** of a connection or of a transaction: the shard that owns the connection.
//! - **Owner** of a key: the shard that holds it.
//! - **Tick**: one turn of a shard. What it wrote in a tick is one **batch**, or a few where
//!   something had to be published within the tick.
//! - **Unit**: what one command, or one EXEC, leaves for replicas. It is never cut in two.
//! - **Merged log**: the one replication stream, and the memory of its recent part (the
//!   backlog).
//! - **Coordinator**: a role of shard 0: it merges, and it knows the replicas.
//! - **Barrier**: an exclusive lock on every whole shard.
//! - **Cut**: the moment, under a barrier, that a snapshot shows.
//! - **Upstream**: the server that this one is a replica of.
//! - **Feed**: a replica's cursor over the merged log, at the replica's home.

pub mod architecture;
pub mod compatibility;
pub mod design_changes;
pub mod durability;
pub mod observation;
pub mod pubsub;
pub mod replication;
pub mod tracking;
pub mod transactions;
pub mod vulnerabilities;
