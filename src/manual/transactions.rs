//! Commands over several shards: atomic, without a global lock.
//!
//! # Which way a command takes
//!
//! ```text
//!   all keys here, nothing locked ............ runs at once
//!   all keys on one other shard .............. is sent there, in a run (pipelines, below)
//!   keys on several shards ................... a transaction that locks keys
//!   EXEC, everything here .................... runs at once
//!   EXEC, otherwise .......................... one transaction for all its commands
//!   FLUSHALL, SWAPDB, KEYS, DBSIZE,
//!   SORT with BY or GET ...................... a transaction that locks whole shards
//! ```
//!
//! The code is `shard/dispatch.rs`, `shard/run.rs`, `shard/multi.rs`; transactions are
//! [`shard::transaction`](crate::shard::transaction) (the home's side) and `shard/owner.rs`.
//!
//! # Lending
//!
//! ```text
//!     home                         owner A                      owner B
//!      |---- claim, id 7 ----------->|                             |
//!      |---- claim, id 7 ------------------------------------------>|
//!      |                         locks keys                    locks keys
//!      |<--- grant + entries --------|                             |
//!      |<--- grant + entries --------------------------------------|
//!      |
//!   puts the entries into its scratch keyspace, runs the ordinary command code
//!   on it, takes them out again; effects go into the home's own batch
//!      |
//!   PUBLISH
//!      |---- release + entries ----->|                             |
//!      |---- release + entries ------------------------------------>|
//!   reply                        unlocks                        unlocks
//! ```
//!
//! - An entry travels as eight bytes; the data does not move. Strings that are only read are
//!   copied instead, so that readers can share a lock.
//! - Three messages per shard, and no command knows that it runs on borrowed entries: each
//!   command is written once ([`command`](crate::command)).
//! - **Invariant: a transaction's effects are one contiguous piece of the stream**, wrapped in
//!   MULTI and EXEC where they are more than one command. They are recorded into the home's
//!   batch in one go. Where whole shards are locked and the work takes several ticks, they are
//!   collected aside and appended in one piece at the end.
//! - **Invariant: locks are released by messages that leave after that piece was published.** So
//!   no later write to the same keys overtakes it in the stream.
//! - **Invariant: a key that is locked exclusively is read by nobody** until it is released: a
//!   command for it waits at its owner.
//! - One timestamp, that of the claim, serves all commands of a transaction.
//! - A transaction that touches a key that it had not named stops the process: the scratch
//!   keyspace must be empty afterwards.
//! - Active expiry leaves locked keys alone.
//!
//! # Locks, and why there is no deadlock
//!
//! [`shard::locks`](crate::shard::locks). Only transactions hold locks. Each has an id from one
//! ascending counter.
//!
//! **Invariant: a transaction waits only for older ones.** A claim that would have to wait for a
//! *younger* conflicting one is refused. Its home then withdraws it everywhere, gives everything
//! back and claims again, with a new id. Every wait goes from a larger id to a smaller one, so
//! there is no circle.
//!
//! - A snapshot locks a large value while it saves it in slices. Such a lock belongs to no
//!   transaction and counts as older than all: transactions queue behind it, and it is not taken
//!   where one of them holds or awaits the key.
//! - Nothing bounds how often a claim is refused; INFO counts the retries.
//! - The locks do not tell databases apart: the same key in two databases has one lock.
//! - A single-shard command waits while its key is locked, or queued for, by a conflicting
//!   transaction. Once it has waited, it goes before the transactions that are still queued:
//!   after a release the waiting commands that no held lock stops run first, in the order in
//!   which they came, then claims are granted. Neither starves the other.
//!
//! # Whole shards, and barriers
//!
//! A whole-shard lock conflicts with every key lock that conflicts in mode. It is granted only
//! when no conflicting key lock is held, and while it is held *or waited for* no new command is
//! admitted on that shard and nothing expires there.
//!
//! Under it, commands without a complete key list send their part to every shard, and the home
//! merges the answers. Other commands of the same EXEC fetch their entries, run, and give them
//! back, one command at a time.
//!
//! SORT with BY or GET looks up keys whose names are made of elements. Under the same lock, always
//! an exclusive one, its home first fetches the keys that it names, finds in them which others it
//! will want ([`Further`](crate::command::table::Further)), and fetches those; then it runs. All
//! shards are locked from its beginning, so both fetches are of one moment, and nothing can wait in
//! a circle. A process of one shard needs none of this while nothing is locked there.
//!
//! CLIENT LIST, INFO and other commands to which every shard has an answer may stand in an EXEC
//! too. It then runs command by command, and waits for the answers in between: under whole-shard
//! locks if it also has keys, for nothing may be lent out while it waits; without any lock if not.
//!
//! A **barrier** is such a lock, exclusive, on every shard, held by the replication layer while
//! it makes a snapshot's cut or changes the role ([`replication`](super::replication)). When it
//! is granted no entry is lent anywhere, because lending needs a lock.
//!
//! # WATCH
//!
//! The owner of a watched key counts the key's changes ([`watched`](crate::command::watched)).
//! WATCH brings the count to the client. EXEC compares.
//!
//! - In a transaction, watched keys are part of the claim, in shared mode; their owners compare
//!   when they grant. What a transaction changed on lent entries is told to the owners with the
//!   release.
//! - A key that had already expired when it was watched, and is then deleted by its owner, is no
//!   change.
//! - Expiry since WATCH makes the transaction fail, also if nobody deleted the key yet.
//!
//! # Pipelines
//!
//! A connection gathers the commands that follow each other in its input into a *run*, beginning
//! with the first that does not live here. A run has at most 1,024 commands or about 1 MiB. Its
//! commands go to their owners at once, run there side by side, and the replies are put back in
//! order. One run per connection is under way; commands after it wait.
//!
//! - **Invariant: the commands of a run for one shard run there in their order**, also if some
//!   must wait for a lock.
//! - Commands that are not tied to one shard, and session commands other than PING, ECHO and
//!   SELECT, wait for the run before them.
//!
//! `pipeline-order` decides what others see of a run that *writes on more than one shard*:
//!
//! - `strict` (default): The run becomes a transaction, without MULTI on the stream. Its writes
//!   are published by the home, in the order sent, before its keys are unlocked. After `SET
//!   job:1 …`, `LPUSH queue 1` in one pipeline nobody finds the queue entry without the job.
//! - `relaxed`: Each shard publishes its part by itself. Faster; the order between shards is
//!   open.
//!
//! Other runs need no transaction: their writes are all on one shard.
//!
//! # What this gives
//!
//! Commands that are not pipelined, EXEC included, are meant to take effect at one moment
//! between request and reply, in an order that the merged stream follows. The commands of one
//! pipelined run count as concurrent with each other, except that they keep their order on each
//! key and, in strict order, their writes keep theirs. Where this version still falls short is
//! listed under *Known gaps* in [`compatibility`](super::compatibility).
//!
//! Outside of it stand SCAN, which never showed one moment in Redis either, and figures that
//! INFO gathers from the shards one by one.
//!
//! # Waiting for keys
//!
//! A blocking command ([`shard::blocking`](crate::shard::blocking)) runs like any other. If it
//! finds nothing it leaves a [`Wait`](crate::command::wait::Wait), and is run again from its start
//! when one of its keys may serve it.
//!
//! - It is a run by itself: what stands before it in a pipeline has its reply, and nothing behind
//!   it is looked at meanwhile.
//! - If one shard owns all its keys, it waits there, runs there again within the step that changed
//!   a key, and its timeout is that shard's to decide: an element is never taken for a client
//!   that was already told of its timeout.
//! - Otherwise it was a transaction. The release of its locks leaves its name with every owner. The
//!   first whose key changes locks that shard's part for it in the same step, lends the entries to
//!   the home and so begins the transaction anew; the home claims the others.
//! - **Invariant: a key that changed is offered to its waiters before any other command sees it**,
//!   in the order in which they came. The lock for a waiter is taken under a number drawn when it
//!   began to wait, so it goes before all transactions that queued later. Only where the waiter's
//!   transaction meets a conflict on another shard, and begins again, may somebody come between;
//!   and while one of its shards is serving a waiter, another offers its key to the next in line.
//! - EXEC serves waiters when it is over, as Redis does; within it nobody waits.
