//! What runs where.
//!
//! # Shape
//!
//! ```text
//!   clients        clients        clients          TCP and Unix sockets
//!      |              |              |
//!  +--------+     +--------+     +--------+
//!  | driver |     | driver |     | driver |        net: io_uring or epoll, one per shard
//!  +--------+     +--------+     +--------+
//!  |  node  |     |  node  |     |  node  |        replication: a shard with its feeds
//!  | shard 0|<--->| shard 1|<--->| shard 2|        shard: keys, connections, locks
//!  +--------+     +--------+     +--------+
//!      |  \___________|______________/             mailboxes: one queue per receiver
//!      v              v              v
//!  ========================================
//!   the merged log                                 replication/log.rs
//!  ========================================
//! ```
//!
//! - One process, one thread per shard, pinned where there are enough cores
//!   ([`server::executor`](crate::server::executor)).
//! - A key belongs to the shard of its Redis hash slot: CRC16 of the key or of its `{tag}`,
//!   16,384 slots, in contiguous ranges whose sizes differ by at most one
//!   ([`owner_of_slot`](crate::shard::shared::owner_of_slot)).
//! - A connection belongs to one shard for its whole life. Shard 0 accepts and gives each
//!   connection to the shard with the fewest open ones (`net/balance.rs`).
//!
//! # Layers
//!
//! ```text
//!   protocol, value -> keyspace -> command -> shard -> replication, persistence -> net -> server
//! ```
//!
//! What stands left knows nothing of what stands right. `tests/tidy.rs` enforces it, and that
//! the core (`protocol` to `replication`) names no socket, file, thread, clock or random source.
//! Bytes, messages, time and random seeds come in; bytes, messages and batches go out, through
//! the trait [`Shell`](crate::shard::shell::Shell). So the same core runs in unit tests with a
//! clock that the test turns ([`shard`](crate::shard)).
//!
//! **Invariant: no `async` and no waker below `net`.** Commands run synchronously, to their end.
//!
//! # A tick
//!
//! The driver makes one turn, in this order ([`net`](crate::net)):
//!
//! 1. It enters the kernel once: to submit what is queued and, if there is nothing else to do,
//!    to block until something completes, the timer ends or another shard wakes it.
//! 2. It delivers completions: bytes from peers, sent bytes, new and ended connections.
//! 3. It calls the core's tick.
//! 4. It turns what the core asked for into kernel operations, which the next turn submits.
//!
//! The core's tick ([`Node::tick`](crate::replication::Node::tick)):
//!
//! ```text
//!   run ready connections ---+
//!   drain the mailbox        |  again, until nothing more can be done at once
//!   handle events            |
//!   on shard 0: the link, the snapshot, changes of role
//!   ------------------------+
//!   a slice of background work: expiry, freeing, the snapshot
//!   PUBLISH                     what this tick wrote is pushed to the merged log
//!   merge (shard 0), feed the replicas of this shard
//!   messages to other shards    one envelope per receiver; it is woken only if it sleeps
//!   replies                     one chunk per connection that has output
//! ```
//!
//! **Invariant: publish before anything leaves.** Messages are pushed to other mailboxes in one
//! place, at the end of the tick, after the publish. Output that is queued during a tick reaches
//! the kernel only after the tick. So whatever anybody does because of a write comes later in
//! the merged order than the write (`Shard::end_tick`). This is the invariant that makes one
//! stream out of many without a lock around every write.
//!
//! # What shards share
//!
//! Almost nothing, and nothing per command on the shard's own keys:
//!
//! - Mailboxes: an unbounded queue per receiver ([`queue`](crate::shard::queue)): once per
//!   receiver and tick that has messages.
//! - The inbox of the merged log, the same queue: once per tick that wrote, if anything is
//!   logged.
//! - The merged log behind a mutex: by shard 0 to merge; by a shard that feeds replicas; by
//!   INFO, ROLE and WAIT; by a writer only while more than 8 MiB wait to be merged.
//! - The configuration behind a read-write lock: a version number is read once a tick; the lock
//!   only when that changed.
//! - Flags and counters ([`Shared`](crate::shard::shared::Shared)): single atomic words.
//! - Connections handed over by the accepting shard, behind a mutex: once per connection.
//!
//! **Invariant: a push to a queue never blocks and never fails.** It is one allocation and a
//! compare-and-swap. Queues are unbounded, because a bounded one could wait for itself; what
//! bounds them is that a connection has at most one run of 1,024 commands or about 1 MiB under
//! way.
//!
//! # Sleeping and waking
//!
//! A shard that has nothing to do blocks in its own ring (or in epoll). One atomic word per
//! shard says awake, asleep or notified. A waker first puts its message where it belongs, then
//! swaps in *notified*, and writes to the shard's eventfd only if it replaced *asleep*. A shard
//! goes to sleep by compare-and-exchange from *awake* to *asleep*, so a message that came in
//! between keeps it awake. Why no wake-up is lost is argued, and checked by a model checker, in
//! `net/waker.rs`.
//!
//! # The io_uring driver
//!
//! - One ring per shard, made and used by its own thread, with every flag that the kernel knows
//!   (SINGLE_ISSUER, DEFER_TASKRUN, COOP_TASKRUN, TASKRUN_FLAG, SUBMIT_ALL) and a registered
//!   descriptor. Linux 6.0 is the oldest on which it runs.
//! - Accepting and receiving are multishot. Received bytes come in buffers that the kernel takes
//!   from a ring and gets back right after delivery.
//! - **Invariant: one place starts operations.** `reconcile` compares what a connection needs
//!   with what is in the kernel. Whatever ends a receive (cancelled, no buffers, a full queue),
//!   the connection is put on a list and looked at again; it stays on the list until all that it
//!   needs could be queued.
//! - **Invariant: memory in the kernel's hands is neither moved nor freed before its
//!   completion**, and a descriptor is closed only after all its operations completed. If that
//!   cannot be reached when the driver ends, the memory is leaked.
//! - At most one send per connection is in the kernel, so bytes never overtake each other.
//! - A receive that ends with no bytes although the socket is said to hold some asks the socket
//!   itself whether this is the end ([`design_changes`](super::design_changes)).
//!
//! Where io_uring is missing or forbidden the same core runs on the epoll driver, on plain
//! threads.
//!
//! # Keys and values
//!
//! - A database of a shard is an extendible hash table of small segments
//!   ([`value::table`](crate::value::table)): no operation rehashes more than one segment.
//! - A key, its value and its expiry are one allocation ([`Entry`](crate::keyspace::Entry)),
//!   behind an 8-byte word that also holds 16 bits of the key's hash. A key moves between shards
//!   as that word.
//!
//! ```text
//!    0      1      2       4        8          8 or 16
//!    +------+------+-------+--------+----------+---------+-----+---------+
//!    | form | size | epoch | access | [expiry] | key len | key | value   |
//!    +------+------+-------+--------+----------+---------+-----+---------+
//! ```
//!
//! - Whatever is large is freed in slices: flushed tables and replaced hashes of more than 512
//!   fields go to a list that background slices empty (`keyspace/garbage.rs`).
//! - `maxmemory` goes by what the threads have allocated and freed, by the allocator: exact,
//!   and two loads to read (`shard/evict.rs`, which also says who evicts). The access word of an
//!   entry is Redis's LRU clock or LFU counter (`keyspace/access.rs`).
//! - SCAN's cursor is `position * shards + shard`; a call goes to one shard only.
//!
//! # When something breaks
//!
//! A panic in one shard ends the process: a shard that is gone takes its part of the data with
//! it, and the others would wait for it for ever. Arithmetic overflow panics also in release
//! builds. Hence the rule that assertions are about our own state; what a peer or a file says is
//! answered with an error.
//!
//! # Where `unsafe` is
//!
//! In `net/`, `server/` (raw system calls), `keyspace/entry.rs` and `shard/queue.rs`, nowhere
//! else of the library; `tests/tidy.rs` enforces it. Each block says why it is sound. No data type
//! has any: what peers send is validated by safe code. The tests of entries and tables are cut
//! short where Miri runs them.
//!
//! `fuzz/` has a target for the validator of each type, for those who have cargo-fuzz; the suites
//! put seeded mutations of real payloads, hundreds of thousands, through the same code.
//!
//! # Work that blocks
//!
//! No shard waits for a resolver or a disk. What may block is done by helper threads
//! (`server/helpers.rs`): looking an upstream's name up, at every attempt to connect, and writing
//! the file of CONFIG REWRITE. The shell starts the work; its outcome is put into the shard's inbox
//! and the shard is woken, as for a message. The core sees an event, and in the simulator there are
//! no threads at all.
