//! What survives.
//!
//! **Nothing is persisted while the server runs.** When the process ends, its data is gone, except
//! for what replicas hold, unless it is told to save: SHUTDOWN SAVE, or SIGTERM and SIGINT with
//! `shutdown-on-sigterm save` and `shutdown-on-sigint save`, write the dataset to `dbfilename` in
//! `dir`. The file is an RDB that redis-server reads, and one of redis-server's is read here. It
//! takes its name when all of it is on the disk. If it cannot be written, the log says why and the
//! server does not end, unless FORCE is given.
//!
//! The next start loads the file before anything else; clients get `-LOADING` until all is there. A
//! file that is damaged ends the start with exit code 1, and stays as it is.
//!
//! A configuration that asks for more (`save` with points, `appendonly yes`) is refused at the
//! start and by CONFIG SET, in one line.
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
//! - *RDB files while the server runs*: the snapshot that a full sync sends, written to a file.
//! - *The append-only file*: the merged log, written as it is, behind such a snapshot. With
//!   `appendfsync always` a tick's replies would wait until the log is on disk up to what they
//!   could have seen.
