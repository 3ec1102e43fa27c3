//! What the server tells about itself: times of commands, the slow log, the latency monitor,
//! MONITOR.
//!
//! Figures are plain integers of one shard, added up only when somebody asks; nothing is shared
//! between shards but the number of the slow log's next entry, which only slow commands touch.
//!
//! # The times of commands
//!
//! `cmdstat_*`, `latency_percentiles_usec_*`, LATENCY HISTOGRAM, the slow log and the events
//! `command` and `fast-command` of the latency monitor all come from one place,
//! `shard/timing.rs`.
//!
//! A short command takes about as long as a few readings of the clock: a pipelined SET takes 0.6
//! microseconds, a reading 25 nanoseconds. So the clock is not read for each command.
//!
//! - A command is *quick* if its row says that it takes a constant time (it is flagged `fast`, or
//!   its complexity is O(1)), it does not block, and this request of it is small: at most 8
//!   arguments and 4 KiB.
//! - Quick commands that follow each other share a **lap**: a reading at its beginning, one at
//!   its end, and the time divided evenly. A lap ends after 64 commands, after 16 different ones,
//!   before a command that is not quick, and with the turn of the connections or of the mailbox.
//! - Any other command is timed by itself: two readings, of which the second begins the next lap.
//! - A quick command with a reply above 16 KiB ends its lap, and is charged with it if it took
//!   long: the others are short by what they are.
//!
//! **Invariant: quick commands cost at most two readings a turn, and one for every 16 of
//! them.** For a pipeline of 16 SETs that is 2 readings, 3 nanoseconds a command, and about as
//! much again for the bookkeeping: 1 % of what the command takes. With one command a turn it is
//! two readings of 25 nanoseconds in about 5 microseconds.
//!
//! What follows from it:
//!
//! - The time of a quick command includes its share of parsing, routing and the output list; Redis
//!   counts the command's own code alone.
//! - A quick command that is held up (by the scheduler, by a page fault) shares the delay with its
//!   lap. The latency monitor shows the lap as `fast-command`; the slow log, which must name the
//!   one command, does not. With `slowlog-log-slower-than` below 1,000 microseconds every command
//!   is timed by itself, and then nothing is missed.
//! - A command that asks all shards is charged with its home's part; one that runs on all shards
//!   (KEYS, FLUSHALL) with the time until its last part has come back.
//!
//! The clock is a function that the process hands in ([`Process`](crate::shard::shared::Process)),
//! so the core names none. In the simulator there is none, and time stands still within a tick.
//!
//! # Histograms
//!
//! Per shard and command that was called, with the resolution of an HDR histogram of two
//! significant digits, as in Redis, so percentiles are rounded the same way. They are allocated by
//! the doubling: usually about 8 KiB for a command, at most 24 KiB
//! ([`Histogram`](crate::shard::histogram::Histogram)). `latency-tracking no` makes none.
//!
//! # The slow log
//!
//! The shard that ran the command makes the entry, numbers it from the process's counter and
//! shortens it (32 arguments of 128 bytes, passwords replaced); the connection's home adds address
//! and name and keeps it. SLOWLOG GET asks every shard and shows the newest by number. So each
//! home keeps up to `slowlog-max-len` entries, and that many are shown.
//!
//! # The latency monitor
//!
//! Each shard keeps, by event, the worst of each second, 160 samples at most; LATENCY shows all
//! shards' samples merged by second. Events are `command`, `fast-command` and `expire-cycle`.
//!
//! # MONITOR
//!
//! A connection that monitors is counted by every shard, by the ways of a subscription
//! ([`pubsub`](super::pubsub)). While there is none, a command costs a look at one flag of its
//! shard.
//!
//! - The line of a command is made where its connection lives, when it has run: a pipelined run or
//!   a transaction shows its commands, in order, when it ends; a command that may wait is shown
//!   when it comes. The line leaves after the tick's publish, as any message.
//! - Commands that are flagged `admin` or `skip_monitor` are not shown, nor are refused ones, EXEC
//!   excepted. Passwords are replaced.
//! - Commands of an upstream's stream are shown by the shard that reads the stream, with the
//!   upstream's address.
//! - A monitor may not touch keys; RESET makes it an ordinary client. It falls under
//!   `client-output-buffer-limit normal`.
