//! Where the code left the first design, and why.
//!
//! # Transactions lend entries to the home
//!
//! *Designed*: a transaction sends each command to the owners of its keys, they run their parts,
//! and return the effects to the home. *Built*: the owners lend the locked entries to the home,
//! which runs everything ([`transactions`](super::transactions)).
//!
//! An entry is eight bytes, so lending moves no data. It takes three messages per shard however
//! many commands there are; every command is written once, against one keyspace, and is atomic
//! over shards without knowing it; effects are born in the right order, in one buffer. Strict
//! pipelines use the same machinery and need no round of their own.
//!
//! # No tickets
//!
//! *Designed*: a batch takes a ticket from an atomic counter, and the coordinator merges by
//! ticket, dense and ascending. *Built*: a batch is pushed to one queue, and the order of the
//! compare-and-swaps on that queue is the order of the stream
//! ([`replication`](super::replication)).
//!
//! Between taking a ticket and handing the batch over, a thread can be descheduled; then all
//! later batches wait for the gap. A push is both at once, so nothing ever waits. A client
//! remembers (shard, number of the batch) of its last writes instead of a ticket, and WAIT looks
//! the offset up.
//!
//! # Zero bytes from a socket that is not empty
//!
//! *Designed*: a receive that ends with `res == 0` and F_SOCK_NONEMPTY is not the end of the
//! stream; start it again. *Built*: the driver then peeks at the socket.
//!
//! TCP counts an end that waits to be read as one byte. On Linux 6.18 a real end of the stream
//! came with that flag. So the flag tells nothing certain, and only the socket can: it is asked
//! in this rare case (`at_end` in `net/uring/conn.rs`).
//!
//! # Sleeping by a word and an eventfd
//!
//! *Designed*: wake a sleeping shard by its eventfd while polling rings. *Built*: one atomic
//! word per shard (awake, asleep, notified), and a write to an eventfd that is polled by the
//! shard's own ring only where the word said asleep.
//!
//! Waking a shard that is awake costs one atomic swap and no system call. All accesses are
//! read-modify-writes of one location, so there is no second look at the mailbox and no fence to
//! get wrong (`net/waker.rs`, checked with loom).
//!
//! # Quiet sends
//!
//! *Added*: a short send is submitted with MSG_DONTWAIT, MSG_WAITALL and CQE_SKIP_SUCCESS. It is
//! over when `io_uring_enter` returns, and leaves a completion only if not all bytes went out.
//!
//! With ordinary sends the call returns at once with their completions, and a second one is
//! needed to wait for input. So one system call per turn submits the replies *and* waits. That
//! the kernel behaves so is tested when a ring is made; where it does not, sends are ordinary.
//!
//! # A segment without control bytes
//!
//! *Designed*: a segment of the table is a `hashbrown::HashTable`. *Built*: open addressing over
//! the bare eight-byte entries (`value/table/slots.rs`).
//!
//! An entry carries 16 bits of its hash in its own word, so a look-up needs no control bytes: one
//! cache miss in the table instead of two. And the slot of a hash is known without reading
//! anything, so it can be prefetched for a whole batch of commands before the first is looked
//! up, and the entries after that. GET with a pipeline of 100 over a million keys took about half
//! of the user time of the table before, measured in alternating runs.
//!
//! # A turn for the others
//!
//! *Added*: a shard whose connections wait for other shards offers its core up to three times
//! (`sched_yield`) before it sleeps. With a core for each shard that returns at once; with more
//! shards than cores it is cheaper than a sleep and the wake-up from it.
//!
//! # Locks by name
//!
//! *Designed*: locks per key. *Built*: per 64 bits of the key's hash, which is the hash that the
//! keyspace knows it by: a transaction's home computes it once, and its owner locks, lends and
//! takes back by it. Two keys that share them are locked together, which is harmless, and no key
//! is copied for a lock.
//!
//! # Epochs and effects
//!
//! - The snapshot epoch of an entry has 16 bits, which fit the header beside form and size
//!   class. A counter of 16 bits comes round; the keyspace therefore counts the snapshots that
//!   began since all entries carried the same epoch, and stamps all of them anew, in the
//!   background, at half the range (`keyspace/snapshot.rs`).
//! - SELECT is not generated when a transaction is published but as effects are recorded; the
//!   batch knows its first and last database, and the merge adds what is missing between
//!   batches.
//! - Effects of a transaction that lasts several ticks are collected aside and appended in one
//!   piece.
//!
//! # Simpler than designed
//!
//! - maxmemory uses each shard's own counters of bytes, kept as entries change. *Built*: The
//!   allocator's counters of each thread. Nothing has to be counted at each change, and buffers and
//!   tables are in it; but only the sum over all shards means anything.
//! - A merged log that indexes each shard's own stream, with offsets of its own. *Built*: One
//!   list of references to the batches.
//! - A batch's memory returns to the shard that made it. *Built*: It is freed where its last
//!   reference ends.
//! - A replica's rendezvous at least once a millisecond or 64 KiB. *Built*: Only where a unit or
//!   a barrier needs one.
//! - CLIENT PAUSE is a lock on whole shards. *Built*: It is a word that every shard looks at before
//!   each client command; the answer comes when every shard has seen it and the commands of its
//!   clients that were under way then have ended. A lock would have let parked commands run after
//!   its release, that is, after the answer.
//! - FLUSHALL lets a snapshot begin anew. *Built*: Its members are disconnected and ask for a
//!   new one.
//! - Pre-images and the retained stream count together against the replicas' output limit.
//!   *Built*: Each by itself, the pre-images per shard.
//! - The network hot path is a task beside glommio's, with an eventfd while glommio has I/O.
//!   *Built*: glommio hosts the thread and has no I/O of its own yet; the driver blocks in its
//!   own ring.
//! - Zero-copy sends for feeds and large values. *Built*: Ordinary sends.
