//! One stream out of many shards, and back.
//!
//! # The merge
//!
//! ```text
//!   shard 0          shard 1          shard 2
//!   batch 17         batch 9          batch 30       what one tick wrote, as RESP requests
//!      |                |                |
//!      +------- push (compare-and-swap) -+           the order of the pushes is the order
//!                       v                            of the stream
//!                inbox of the log
//!                       | taken all at once, by shard 0 as a rule
//!                       v
//!   =====================================================
//!    … | b 30 | SELECT 3 | b 17 | b 9 | …                segments: offset + reference
//!   =====================================================
//!    ^ backlog begins     ^ cursor of a feed      ^ end = master_repl_offset
//! ```
//!
//! - [`Effects`](crate::command::Effects): commands record what replicas must do, verbatim
//!   requests where Redis propagates them verbatim, rewritten ones otherwise. A unit of more
//!   than one operation is wrapped in MULTI and EXEC. SELECT is written where the database
//!   changes.
//! - **Invariant: a unit is never cut.** A batch is sealed between units only; it is asserted.
//! - **Invariant: the order of the pushes is the order of the stream.** There is no ticket and
//!   no gap to wait for. Since a shard pushes before it lets anything out of its tick
//!   ([`architecture`](super::architecture)), whatever another shard does because of it is
//!   pushed later.
//! - **Invariant: merging moves references, not bytes.** The buffer that a shard wrote is what
//!   is kept as backlog and what is handed to every replica's socket. Only a SELECT is added,
//!   where the database differs between one batch and the next.
//! - Shard 0 merges in its ticks. Any shard does when more than 8 MiB wait, and whenever
//!   somebody asks for an offset. The log's mutex is held for a merge or for one read of a
//!   feed, both short.
//! - **Offsets are read through the merge**: INFO, ROLE and WAIT merge first, then look.
//!
//! Nothing is logged before a replica asks for the first time. Then recording is turned on in
//! all shards under a barrier, and stays on as long as this is a primary.
//!
//! # Offsets, ids, backlog
//!
//! The backlog is the tail of the log: at least `repl-backlog-size` bytes, and besides whatever
//! a feed or a full sync still needs (a *pin*). A replica continues if its id is ours, or the
//! former one within what that covers, and its offset is still in the log
//! ([`Merged::can_continue`]).
//!
//! A client remembers, per shard, the number of the batch that holds its last write. WAIT looks
//! up where those batches ended, and waits until enough replicas have acknowledged the largest
//! of these offsets. Where the end of a batch is no longer known, a later end is taken: WAIT may
//! wait for too much, never for too little.
//!
//! [`Merged::can_continue`]: crate::replication::log::Merged::can_continue
//!
//! # Feeds
//!
//! A replica's connection lives on some shard, like any other. Its feed *pulls*: while less than
//! 1 MiB is queued on the connection it reads on in the log. What a slow replica has not taken
//! stays in the log and costs no writer anything. When the part that it is behind and its output
//! together exceed `client-output-buffer-limit replica` (never taken as less than the backlog)
//! that replica alone is closed, and resumes partially if the backlog still reaches.
//!
//! # Full sync without fork
//!
//! 1. Replicas that ask within `repl-diskless-sync-delay` share one snapshot; later ones share
//!    the next.
//! 2. **The cut.** A barrier stops every shard. Each publishes what it executed, and opens a new
//!    *epoch*. When all have, the end of the merged log is the offset of `+FULLRESYNC`. All go
//!    on.
//! 3. **The walk.** Each shard writes its own part in the background, in fragments of about 64
//!    KiB. Every entry carries the epoch in which it was last written or saved:
//!
//!    ```text
//!      epoch of the entry      a write comes                 the walk comes
//!      older                   save it first, then stamp     save it, stamp it
//!      current                 nothing                       pass
//!    ```
//!
//!    New entries are born in the current epoch. **Invariant: each entry of the cut is saved
//!    exactly once**, whatever splits, is renamed, expires or is lent meanwhile: the stamp
//!    decides, not the place.
//!    **What is large** (1 MiB) is neither saved in one step nor copied as a pre-image: its key is
//!    locked for readers only while it is saved in slices, so a writer waits for that key alone.
//!    While somebody waits, the slices are made whether the replicas have room or not
//!    (`keyspace/snapshot/large.rs`, `shard/slicing.rs`). A record may thus go on over several
//!    fragments; those of other shards then wait at shard 0.
//! 4. **One RDB.** Shard 0 puts the fragments behind each other, adds head, checksum and end,
//!    and sends it to all members. Each shard may have four fragments under way; when a member
//!    owes 64, nobody gets more. A slow replica thus stops the walk, never a writer.
//! 5. Each replica goes on with the stream after the cut, which its pin kept.
//!
//! - A flushed database is handed to the snapshot and walked on; a swapped one keeps its number
//!   of the cut. FLUSHALL, or a new dataset from the upstream, ends the snapshot: its members
//!   are disconnected and ask again.
//! - When the last member leaves, the snapshot ends.
//! - A member that takes nothing for `repl-timeout` is closed.
//! - A replica that does not know the `$EOF:` form must get the length first. For it, and with
//!   `repl-diskless-sync no` for all, the RDB goes to a *spool file* first and is sent from there
//!   (`replication/dump_file.rs`). The shards wait while the disk is 16 MiB behind. A disk that is
//!   full ends that sync with a log line; writers notice nothing.
//! - A replica is online when what was sent has left, and counts for WAIT when it acknowledges:
//!   having been sent a snapshot is not having loaded it.
//! - **No loop in silence**: whoever asks for a second full sync within ten minutes is named in the
//!   log, with the reason why it could not go on and the directives that may help.
//! - The RDB is of version 10 with the types of Redis 7.0.
//!
//! # Being a replica
//!
//! ```text
//!   upstream --bytes--> link (shard 0) --whole units, verbatim--> merged log --> our own replicas
//!                          |
//!                          +--> unit of one shard: to its owner, in order
//!                          +--> any other unit: a rendezvous, a transaction by itself
//! ```
//!
//! - **Invariant: the log of a replica is its upstream's stream**: the same id, the same
//!   offsets, the same bytes. Only whole units enter it (a command, or MULTI up to EXEC), so a
//!   link that breaks within a command leaves nothing half written; the rest is asked for again.
//!   A replica adds no PING and no SELECT.
//! - Two offsets. *Logged*: what can be forwarded, and where the next PSYNC asks to go on.
//!   *Applied*: up to where the shards have reported every unit; it is what REPLCONF ACK says.
//! - A unit is in the log before it is applied, so a chain passes it on at once.
//! - A **rendezvous** waits until all units before it are applied, runs with its keys locked,
//!   and everything behind it waits. Between two of them each shard is ahead or behind by
//!   itself: a reader of a replica sees each shard's writes in order, not the order between
//!   shards. There is no rendezvous by the clock: without units over several shards, and without
//!   barriers, none happens.
//! - A replica deletes no key because of its expiry: reads hide it until the upstream deletes it.
//!   (Only a local write on a writable replica removes an expired key that is in its way.)
//!
//! A full sync comes in one of two ways (`replication/dataset.rs`). *Beside* (`swapdb`, and
//! wherever there is no data to lose): key by key as it arrives, beside the data in use, whose
//! place it takes on all shards under a barrier once it is whole; the price is memory for both.
//! *Spooled* (`disabled`, `on-empty-db`): into a spool file, while every record is read and dropped
//! again; when the last byte has proved sound, a barrier empties the shards and the file is loaded,
//! with `-LOADING` for clients. Either way a link that breaks, a damaged RDB, a full disk or a type
//! that is not there yet leaves the old data as it was.
//!
//! **Spool files** are made in `dir` and lose their names at once, so whatever ends the process
//! gives the space back. One thread serves them in the order of the wishes; the core only says what
//! it wants and takes the outcome as an event, so the simulator has them too.
//!
//! # Applied later
//!
//! ```text
//!   link --> framer --> merged log --> our own replicas           at once
//!                 \--> pending (memory, then spool files)
//!                          | older than replica-apply-delay
//!                          v
//!                        applier --> shards                        later
//! ```
//!
//! - **Invariant: the log is ahead, the dataset is behind, and each is told by its own offset.**
//!   `master_repl_offset` is what was received; ACK, `slave_repl_offset` and the offset of a full
//!   sync given below are what is applied.
//! - **Invariant: nothing is promised that a promotion would drop.** What is held back is not
//!   acknowledged, and the priority is 0 while the delay is set. A promotion cuts the log at
//!   *applied* before it shifts the ids; sub-replicas that have more need a full sync, the one
//!   exception from "no full sync within a tree".
//! - What waits belongs to the history, not to the connection: it outlives a cut and a change of
//!   parent, and ends with a full sync or a promotion.
//! - Memory up to `replica-apply-delay-memory`, then files up to `replica-apply-delay-disk`. Beyond
//!   both, or on a disk that fails, the oldest is applied early and the log says so: a shorter past
//!   is better than a lost one. A disk that is only slow makes the upstream wait.
//! - A full sync from a delayed replica is of *applied*, and needs a backlog that reaches back to
//!   it; otherwise it is refused, and the log says why.
//!
//! **The way back from a mistake.** Somebody sent FLUSHALL to the primary at 10:15:00. On the
//! delayed replica, before the delay is over:
//!
//! ```text
//!   REPLICAOF NO ONE UNTIL 1795601699000       # 10:14:59 in milliseconds; date -d ... +%s%3N
//!   INFO replication                           # role:master
//! ```
//!
//! Everything that *arrived* there until then is applied, nothing after it, and the replica is a
//! primary with the data of that moment. The others follow it with REPLICAOF. The time is that of
//! the replica's clock; a time that is applied already, or still to come, is refused, and then
//! nothing has changed.
//!
//! # Changes of role
//!
//! REPLICAOF, promotion and the arrival of a dataset are carried out one after the other, each
//! under a barrier, with the link held: what was taken from the stream is applied first
//! (`replication/role.rs`).
//!
//! - *Promotion*: a new id; the old one is kept as second id, valid up to here. The next batch
//!   begins with SELECT. Replicas are disconnected and resume partially.
//! - *FAILOVER* (`replication/failover.rs`): writes pause, which also stops expiry and heartbeats;
//!   when the heir has acknowledged the end of the stream a barrier is taken, and under it that is
//!   looked at once more. Then this follows the heir, with `PSYNC … FAILOVER`; the heir promotes
//!   itself and answers `+CONTINUE`. **Invariant: an unforced hand-over loses no write**, for none
//!   is acknowledged between the last look and the change of role. If the heir refuses, the role
//!   is taken back; if it cannot be reached it is asked until FAILOVER ABORT, as it may have taken
//!   over. An heir that has taken over and is asked again, because its answer was lost, gives it
//!   again; a Redis refuses then, which leaves two primaries.
//! - *Depth*: a replica learns from an upstream of our kind how deep in the tree that is. When it
//!   changes, sub-replicas that were told are disconnected once and resume partially.
//! - *Following*: our own history is offered to the upstream. If it shares it, the stream goes
//!   on from there and no data moves.
//! - *The upstream changed its id* (it was promoted, or got another parent): we take it over,
//!   keep ours as second id, and disconnect our replicas, so that they learn it too.
//!
//! Recording of effects is on in a primary whose log is enabled, and off in a replica: what a
//! writable replica writes itself stays with it.
//!
//! # An end and a new start
//!
//! The file that a shutdown saves names its place in the stream (`repl-id`, `repl-offset`,
//! `repl-stream-db`). *The dataset in it is that of exactly this offset, and nothing beyond it has
//! left the process.* The shutdown waits for its replicas with the stream at rest; then it takes a
//! barrier and keeps it to the end. Under it every shard makes its cut, nothing is executed,
//! nothing expires, and nothing of an upstream's stream is read. If the file cannot be written, the
//! barrier is let go, and all goes on as if nothing had been.
//!
//! A start that finds the file is at that place before it accepts its first write:
//!
//! - A replica asks its upstream to go on from there (`PSYNC <repl-id> <offset + 1>`), which costs
//!   no full sync within the upstream's backlog. Its own backlog begins empty at that offset, where
//!   those below it stand too: they go on partially as soon as its link is up.
//! - A primary goes on under an id of its own, with the file's as its second one up to that offset.
//!   Keys that expired meanwhile it deletes by its stream, for its replicas hold them still.
//!
//! A delayed replica's file stands where it had applied, which is before the end of what it had
//! passed on: those below it need a full sync.
