//! Banyan: a Redis-compatible, thread-per-core server.
pub mod config;
pub mod keyspace;
pub mod net;
pub mod protocol;
pub mod server;
pub mod value;
