//! Client-side caching: who is told that a key changed which it may have kept.
//!
//! # Who knows what
//!
//! ```text
//!   GET k ------> home ---- "remember me" ----> owner of k: k was read by (home, connection)
//!   SET k ------> any home -------------------> owner of k ---- k is gone ----> homes of readers
//!   BCAST PREFIX p: every shard knows which shards have connections that asked for p
//! ```
//!
//! - The owner of a key keeps the connections that have read it since it last changed
//!   (`shard/tracking/table.rs`). A change takes them out and tells each of them once.
//! - A prefix is counted by every shard, by the ways of a subscription
//!   ([`pubsub`](super::pubsub)): CLIENT TRACKING is answered when all have counted. The shard that
//!   runs a command tells of it, at the end of its tick, all keys of a prefix at once.
//! - As in Redis, names of keys are told without their database, connections that are gone stay in
//!   the table until the key changes, and only commands that read and do not write count.
//! - Without anybody who tracks, a write costs nothing: the list of changes hangs behind the flag
//!   that WATCH has anyway ([`watched`](crate::command::watched)). A read costs a look at its own
//!   connection.
//!
//! # A read and what comes after it
//!
//! - **Invariant: a key is remembered in the same step in which it is read**, at its owner, by the
//!   request itself. No change falls in between.
//! - **Invariant: an invalidation comes behind the reply of the read that it is about.** The reader
//!   is kept with the place of its command, that is, number of the run and index in it. If that run
//!   is still under way at the home when the invalidation comes, it waits there for its place among
//!   the replies. One about an earlier read does not wait.
//! - What BCAST tells may be about anything, so it waits for the whole run. Redis, too, tells it
//!   behind the replies of its turn.
//! - What a connection changes itself it is told behind that command's reply, within EXEC behind
//!   all of it.
//!
//! # A write and what it lets others see
//!
//! - **Invariant: invalidations are in the mailboxes of all homes concerned before any other
//!   message or reply of the tick leaves** (`Shard::flush_first`). Whatever somebody does because
//!   he has seen a write, by its reply, by a read, by a message, comes later.
//! - **Invariant: a shard with connections that track looks into its mailbox before it looks at new
//!   requests.** So whatever is asked after a write was answered is answered behind the
//!   invalidation, on any connection: none can read a stale value from its own memory and a fresh
//!   one from the server in the wrong order.
//! - **A transaction borrows the readers with the entries.** Nobody else can read the keys while
//!   they are lent, so the home itself tells those who had read what it changed, in the tick that
//!   publishes, and gives the rest back with the release, with its own client where that has read.
//!   If owners told at the release, one shard could already show what another had not yet told.
//! - A blocked client that is served within the step of a write reads after it: the readers of what
//!   the write changed are set apart first, so that the new read stays remembered.
//! - FLUSHALL, FLUSHDB, and a full sync of a replica make every connection that tracks forget all
//!   keys (`null`). So does SWAPDB, of which Redis tells nothing. Where replies of a run are still
//!   to come it is told again behind them.
//!
//! # Redirection
//!
//! What a connection is told goes from its home to that of the other one, which is RESP3 or
//! subscribed to anything. Between two connections no order is promised. If the other one is gone
//! the first is told (`tracking-redir-broken`) when there is something to redirect.
//!
//! # Limits
//!
//! `tracking-table-max-keys` bounds the keys of all shards together. A shard that remembers one
//! more forgets others of its own, drawn at random, and tells their readers. After the limit was
//! lowered every shard works its surplus off in slices.
