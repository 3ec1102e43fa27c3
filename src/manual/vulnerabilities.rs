//! Known weaknesses of servers of this kind, and what stops each here.
//!
//! Grouped by cause. Each claim names the file that keeps it, or a test that tries it.
//!
//! # Lengths and overflow
//!
//! CVE-2021-21309, CVE-2021-41099 (string lengths with a large `proto-max-bulk-len`),
//! CVE-2022-35977, CVE-2023-25155 (SETRANGE, random-member commands), CVE-2023-22458 (HRANDFIELD
//! with the smallest integer), CVE-2023-41056 (resizing of buffers), CVE-2021-29477 (the table of
//! LCS), CVE-2021-32761 (offsets of bits).
//!
//! - Outside of the files listed in [`architecture`](super::architecture) there is no `unsafe`,
//!   so a wrong length is an error or a panic, not a write elsewhere. Overflow checks are on in
//!   release builds.
//! - The length of a string after APPEND and SETRANGE is computed with checked additions and
//!   compared with the limit before anything is changed (`command/family/strings`).
//! - Spans of a request have 32 bits; a length that does not fit closes the connection
//!   ([`protocol::Limits`](crate::protocol::Limits)).
//! - HRANDFIELD refuses the smallest integer, and more than 2^24 repetitions
//!   (`command/family/hashes/sample.rs`).
//! - The size of LCS's table is computed in 128 bits, offsets of bits in 64, and both are compared
//!   with the limit before anything is allocated (`command/family/strings/lcs.rs`,
//!   `command/family/bitmaps/mod.rs`).
//!
//! # Crafted payloads
//!
//! CVE-2021-32627, CVE-2021-32628, CVE-2021-32687 (streams, ziplists, intsets by way of RESTORE
//! or replication), CVE-2019-10192, CVE-2019-10193, CVE-2025-32023 (HyperLogLogs written as
//! strings).
//!
//! - **A payload is validated to the last byte, always**; `sanitize-dump-payload` has no effect.
//!   Listpacks are walked in whole: every element lies inside, every back link fits, the count
//!   is right. Ziplists and zipmaps are read into hashes and never kept. A field that is there
//!   twice is an error ([`value::codec`](crate::value::codec)).
//! - The checksum of DUMP protects against accidents only and is not relied upon.
//! - **What a payload claims is not allocated for.** LZF data that is too short for the length
//!   that it claims is refused before memory is taken; the RDB reader holds what was received,
//!   no more.
//! - A HyperLogLog is a string that anybody may write. Its runs of registers are read one by one,
//!   each checked to be whole and to end within the last register
//!   (`value/hyperloglog/sparse.rs`; `any_string_is_taken_or_refused_and_never_overrun`).
//!
//! # Memory before authentication
//!
//! CVE-2021-32675, CVE-2025-21605.
//!
//! - Before authentication a request has at most 10 arguments of at most 16 KiB
//!   (`protocol/input.rs`; `tests/hostile`).
//! - A count of arguments or a length of a bulk is a peer's word. Room for at most 1,024
//!   arguments is made at once. After authentication, the buffer's *address space* for a bulk
//!   above 32 KiB is reserved at once; the system gives memory for what arrives
//!   (`a_promised_value_takes_no_memory_before_it_comes`).
//! - After a tick that leaves more than 1 MiB queued for a connection it is no longer read from,
//!   authenticated or not (`shard/output.rs`). Before authentication replies are short errors,
//!   so that bounds them.
//!
//! # State that is left behind
//!
//! CVE-2026-27623 (an empty request).
//!
//! - The parser's state is set anew where a request begins, and an empty one is consumed like
//!   any other (`Input::begin`, `Input::consume`). After an error every call gives the same
//!   error.
//! - A connection is named by a slot and a generation, so that a late message for a connection
//!   that ended reaches nobody ([`ConnId`](crate::shard::shell::ConnId)).
//!
//! # Patterns
//!
//! CVE-2022-36021 (exponential time), CVE-2024-31228 (recursion).
//!
//! - Matching takes at most `pattern × string` steps, without recursion and without memory
//!   ([`value::glob`](crate::value::glob)). A long pattern on many long keys is still that much
//!   work.
//!
//! # Keys named twice
//!
//! CVE-2023-28425 (MSETNX).
//!
//! - MSETNX first checks all keys, then sets all; a second value for a key replaces the first. A
//!   key named twice in a transaction has one lock, the stronger, and is lent once.
//!
//! # Chosen keys
//!
//! Hash flooding.
//!
//! - Every hash of the process is keyed with a random seed. Where even that fails, the table's
//!   directory is limited by the number of its segments ([`value::table`](crate::value::table)).
//! - Hash *slots* are not keyed, as the cluster specification demands: whoever chooses keys can
//!   put all of them on one shard. That costs balance, not safety.
//!
//! # Access
//!
//! CVE-2023-45145 (the Unix socket before its permissions).
//!
//! - The Unix socket is bound, gets its permissions, and only then listens: before that nobody
//!   can connect (`server/listen.rs`).
//! - Protected mode as in Redis: without a password, connections from elsewhere are refused.
//!   IPv4 addresses within IPv6 are unwrapped before that is judged (`server/shell.rs`). DEBUG
//!   is off unless `enable-debug-command` allows it.
//!
//! # Replication that loses or repeats data
//!
//! - A link cut in the middle of a command corrupts a chain (redis#3899). *Here*: Only whole
//!   units enter the log; what is not whole is discarded with the link and asked for again
//!   (`Applier::cut`; test `cuts_at_any_byte_lose_nothing`).
//! - A chained replica resumes after its upstream changed its parent (redis#2694). *Here*: When
//!   the id changes, sub-replicas are disconnected and judged anew (`Node::continues`; test
//!   `a_new_parent_of_the_middle_costs_the_bottom_no_full_sync`).
//! - PINGs after detachment push a sub-chain past the second offset (redis#6718). *Here*: A
//!   replica adds nothing to the log; promotion shifts the id under a barrier, at the log's end.
//! - A split of the table moves entries behind the snapshot's cursor (dragonfly#8153). *Here*:
//!   The stamp of the entry decides, not its place; a segment that changed is walked again
//!   (`keyspace/snapshot.rs`).
//! - A frozen replica blocks writers (dragonfly#2191, #3606). *Here*: Feeds pull; nothing that a
//!   replica does not take is waited for (test
//!   `a_frozen_replica_slows_nobody_and_is_dropped_at_its_limit`).
//! - An output limit below the traffic of a full sync gives endless full syncs (redis#2315,
//!   #11534). *Here*: The limit counts the stream and the connection's queue after the sync, not
//!   the RDB. A stream that outgrows the limit during the sync still ends it: the log line says
//!   what to raise.
//! - A value that is too large for the buffers loops PSYNC (redis#11667). *Here*: A value longer
//!   than the backlog is kept whole as long as it is in reach of it (test
//!   `a_value_longer_than_the_backlog_does_not_loop`). One longer than both the output limit and
//!   the backlog is a known gap ([`compatibility`](super::compatibility)).
//! - A dropped replica leaves the snapshot running (redis#7717). *Here*: The last member to
//!   leave during the walk ends it (test
//!   `a_replica_lost_during_its_snapshot_leaves_none_running`).
//!
//! # Not applicable yet
//!
//! Weaknesses of scripts, functions, ACL rules, sorting, cluster bus and modules:
//! none of these is there.
