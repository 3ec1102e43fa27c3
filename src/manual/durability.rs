//! What survives.
//!
//! **Nothing is persisted yet.** When the process ends, its data is gone, except for what
//! replicas hold. A configuration that asks for more (`save` with points, `appendonly yes`) is
//! refused at the start and by CONFIG SET, in one line. SHUTDOWN SAVE is refused unless FORCE is
//! given; then nothing is saved.
//!
//! What there is today for those who must not lose writes:
//!
//! - replicas, which may be redis-server or valkey-server with persistence of their own;
//! - WAIT, which tells how many of them have acknowledged a client's writes;
//! - `min-replicas-to-write`, which refuses writes while too few replicas keep up.
//!
//! # Planned
//!
//! Both build on mechanisms that are there ([`replication`](super::replication)):
//!
//! - *RDB files*: the snapshot that a full sync sends, written to a file instead.
//! - *The append-only file*: the merged log, written as it is, behind such a snapshot. With
//!   `appendfsync always` a tick's replies would wait until the log is on disk up to what they
//!   could have seen.
