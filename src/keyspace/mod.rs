//! The keys of one shard: entries, the tables that hold them, expiry bookkeeping and snapshots.
//!
//! Plain state, driven by calls: no clock, no random source, no I/O. Times are Unix milliseconds
//! that the caller passes in.

mod entry;

pub use entry::{Entry, INLINE_LEN_MAX};
