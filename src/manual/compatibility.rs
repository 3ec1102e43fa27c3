//! What works, and where Banyan differs from Redis.
//!
//! The measure is Redis 7.2: replies, error texts, the data, and the stream that replicas get.
//! `tests/differential` compares all of them with valkey-server 8.0.1; `tests/replication` uses
//! real redis-server 7.0 replicas and primaries, and valkey-server where it is installed.
//!
//! # What works
//!
//! - Protocol: RESP2, RESP3 (HELLO), inline commands, pipelines of any length, split at any
//!   byte.
//! - Strings, bitmaps, HyperLogLog: all commands.
//! - Keys: DEL UNLINK EXISTS TOUCH TYPE, the EXPIRE, TTL and PERSIST commands with their
//!   options, RENAME RENAMENX COPY MOVE, KEYS SCAN RANDOMKEY DBSIZE, OBJECT, DUMP RESTORE,
//!   MEMORY with all subcommands.
//! - Hashes: all commands but TTLs of fields.
//! - Lists, sets, sorted sets, geo: all commands.
//! - Streams: all commands, consumer groups included.
//! - Blocking commands, over keys of any shards.
//! - Pub/sub: all commands; keyspace notifications of all classes
//!   ([`pubsub`](super::pubsub)).
//! - SORT and SORT_RO, with BY, GET and STORE over keys of any shards.
//! - Databases: SELECT SWAPDB FLUSHDB FLUSHALL.
//! - Transactions: MULTI EXEC DISCARD WATCH UNWATCH, over any keys.
//! - Connections: AUTH and HELLO with `requirepass`; CLIENT with all subcommands, client-side
//!   caching in all modes.
//! - Server: INFO, CONFIG, COMMAND, TIME, ROLE, LASTSAVE, SHUTDOWN, SLOWLOG, LATENCY, MONITOR,
//!   some of DEBUG.
//! - Replication, upstream side: PSYNC and SYNC, full and partial, diskless (`$EOF:`) and by way
//!   of a file; WAIT; `min-replicas-to-write`; FAILOVER.
//! - Replication, replica side: REPLICAOF; of redis-server, valkey-server and Banyan; chains,
//!   with any shard counts; all of `repl-diskless-load`; delayed application, which no other has.
//! - RDB: written in version 10; read up to version 12.
//!
//! # What does not yet
//!
//! Scripts and functions; ACL users; TLS; cluster mode; persistence but for a file at the end
//! ([`durability`](super::durability)).
//!
//! Of directives whose absence would be dangerous or misleading, any value but *off* is refused:
//! `save`, `appendonly`, `aclfile`. Others that mean nothing here are accepted and named once at
//! the start.
//!
//! A replica whose upstream sends a command that is not there logs an error, skips it, and goes
//! on: its data then differs from the upstream's. In a full sync a type that is not there is an
//! error that names key and type, and the old data stays.
//!
//! # Deliberate differences
//!
//! - **SORT where nothing decides.** Elements whose weights are equal as text (BY with ALPHA) keep
//!   the order of their list, and come in that of their bytes from a set or sorted set. In Redis
//!   the sorting algorithm and the seed of the hashes decide. What is stored of such elements is
//!   propagated as DEL and RPUSH, so that replicas of every kind hold the same.
//! - **SORT and numbers out of range.** Redis refuses right numbers if an earlier command of the
//!   same pipeline met one that was out of range, whose error it finds; Banyan does not.
//! - **Order between shards on a replica.** A Banyan replica shows each shard's writes in order,
//!   but not the order between shards ([`replication`](super::replication)). A redis-server that
//!   replicates Banyan has one thread and shows the stream's order.
//! - **SCAN cursors** name a shard and a position in it; a call looks at one shard. They stay
//!   valid as long as the server runs.
//! - **Strings above 1 MiB** are not compressed in dumps and snapshots: that would stall a shard.
//! - **BITFIELD** whose writes all fail (`OVERFLOW FAIL`), but whose string was created or grew, is
//!   sent to replicas. Valkey forgets it, and its replicas then differ.
//! - **PFADD of several elements** to a corrupt string may fail after some of them. What they
//!   changed is sent to replicas; Valkey changes it, too, and does not send it.
//! - **PFCOUNT on a replica** leaves the cardinality in the string's header as the upstream has it.
//! - **PFSELFTEST** makes a smaller test that does not stop the server for seconds.
//! - **HRANDFIELD** with a negative count refuses more than 16,777,216 repetitions. Redis
//!   answers until its memory ends.
//! - **LSET** refuses an index beyond 32 bits. Valkey cuts it off there, and sets another element.
//! - **`list-compress-depth`** leaves elements above 1 MiB uncompressed.
//! - **DEBUG LISTPACK and QUICKLIST** show what they found in the log.
//! - **SWAPDB** makes connections that track forget all keys; Redis does not tell them, and they go
//!   on with values of the other database.
//! - **DEBUG RELOAD** renews values in their places: no watched key changes by it, and connections
//!   that track keep what they have. Redis empties the databases in between.
//! - **CLIENT TRACKING with overlapping prefixes** is refused. Redis refuses some of them and then
//!   turns it on all the same, with a second reply.
//! - **UNSUBSCRIBE without subscriptions** is confirmed, as by Redis; Valkey 8 answers with an
//!   error.
//! - **A client that subscribes while a message is published** may get it without being counted in
//!   PUBLISH's reply.
//! - **Keyspace notifications** keep the order of each key; between keys of different shards
//!   there is none.
//! - **MONITOR** shows the commands of a connection in their order. Those of different connections
//!   that are under way at the same time may be shown in another order than they ran in; a
//!   transaction over several shards is shown when it has ended. Times are exact to the
//!   millisecond.
//! - **XGROUP DESTROY** is a change to who watches the key.
//! - **XADD** of an entry above 1 GiB fails without leaving an empty stream behind.
//! - **Streams from a payload** must have ascending nodes and entries, right counts and a last id
//!   that is not below an entry's. Redis looks at less; no command of it makes others.
//! - **`client-query-buffer-limit`** bounds one request, whole or not; Redis bounds the part
//!   that it has not parsed. Above 4 GiB - 1 it has no further effect, nor has
//!   `proto-max-bulk-len`.
//! - **INFO** gathers its figures from the shards one after the other; it shows no single
//!   moment.
//! - **COMMAND DOCS** has neither the history of a command nor the notes of its key
//!   specifications: prose about other servers' versions.
//! - **Times of short commands** are those of their neighbours too
//!   ([`observation`](super::observation)).
//! - **REPLICAOF within MULTI** shows in the configuration at once, and takes effect right after
//!   EXEC.
//! - **`maxmemory`** leaves the whole backlog out of what counts; Redis only what is beyond
//!   `repl-backlog-size`. How long an eviction may go on at a time is bounded by keys, not by time.
//!   A snapshot for replicas does not carry idle times and counters.
//! - **SHUTDOWN** waits for replicas as Redis 7 does, and can be aborted until it saves. SAVE
//!   writes the dataset's file, which the next start loads; without it nothing is saved, for
//!   there are no save points. SAVE and BGSAVE are not there, and LASTSAVE tells when the server
//!   started. A relay that ends reads no more of its upstream's stream, so that those below it
//!   catch up.
//! - **`repl-diskless-load disabled`** goes by way of a file only where there is data to protect;
//!   an empty replica loads from the socket, as with `on-empty-db`. The file has no name.
//! - **`lazyfree-lazy-user-flush`** makes no difference: what goes is freed in slices.
//! - **REPLICAOF** takes `NO ONE UNTIL <unix-ms>` besides, so COMMAND INFO gives its arity as -3.
//! - **FAILOVER within MULTI** is refused. `PSYNC … FAILOVER` to a server that has already taken
//!   over from the one that asks is answered once more, not refused.
//! - **INFO replication** also shows `depth` and, on a replica, `upstream`; on a delayed replica
//!   `replica_apply_delay_ms`, `replica_apply_pending_bytes`, `replica_apply_spooled_bytes` and
//!   `replica_apply_last_unix_ms`. The depth is known as far as all upstreams are Banyans; another
//!   one counts as the top.
//! - **DEBUG SLEEP** holds back the connection that sent it, not the server.
//! - **WAIT** may wait for a little more of the stream than the client's own writes.
//! - **Two transactions that find the same key expired** may each send its deletion to replicas,
//!   which is harmless.
//! - **`repl-diskless-sync no`** writes the snapshot to a file without a name, of no use to anybody
//!   but the replicas that wait for it; `rdb-del-sync-files` has nothing to delete.
//! - **A replica below that is still receiving** is shown with the offset 0 until it acknowledges.
//!
//! # Known gaps
//!
//! Where this version does not yet keep what its design promises:
//!
//! - *Large collections under a whole-shard lock.* A command that locks whole shards and then
//!   changes a collection above 1 MiB which a snapshot has not reached saves it in one go.
//! - *Eight shards on two cores* cost more per command than the bounds that we set ourselves;
//!   see the README's table.
