//! Banyan: a Redis-compatible, thread-per-core, shared-nothing in-memory server.
//!
//! # Code map
//!
//! Dependencies point to the left only: `value → protocol → keyspace → command → shard →
//! replication, persistence → net → server`; `tests/tidy.rs` enforces it. `config` may be used by
//! `shard` and everything right of it.
//!
//! - [`protocol`]: RESP2 and RESP3, limits. No I/O.
//! - [`value`]: the data types, their encodings, numbers, hashes.
//! - [`keyspace`]: the table of a database, entries, expiry, the snapshot cursor.
//! - [`command`]: the table of commands and what each does to a keyspace.
//! - [`shard`]: the state machine of one core: connections, dispatch, locks, transactions.
//! - [`replication`]: the merged log, the primary's and the replica's side.
//! - [`persistence`]: RDB writing and reading.
//! - [`net`]: the io_uring and epoll drivers.
//! - [`server`]: the process: executors, pinning, start, shutdown, signals.
//! - [`config`]: the table of directives.
//! - [`manual`]: how all of this works together, and why; documentation only.
pub mod command;
pub mod config;
pub mod keyspace;
pub mod manual;
pub mod net;
pub mod persistence;
pub mod protocol;
pub mod replication;
pub mod server;
pub mod shard;
pub mod value;
