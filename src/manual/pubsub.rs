//! Pub/sub: what shards tell clients that did not ask.
//!
//! # One owner per channel
//!
//! ```text
//!   PUBLISH ch ----> home ----> owner of ch ----+----> shard with subscribers of ch
//!                                  |            +----> shard with a pattern that fits
//!                                  +--> the stream
//! ```
//!
//! - A channel belongs to the shard of its hash slot, as a key does. PUBLISH runs there, by the
//!   same ways as a command on a key: at once, in a run, parked, within a transaction
//!   ([`command::pubsub`](crate::command::pubsub), `command/family/pubsub.rs`).
//! - A connection's subscriptions are registered where the connection lives (`shard/pubsub`). The
//!   owner of a channel knows how many connections of which shards listen to it; every shard knows
//!   that of all patterns. So PUBLISH answers with the number of receivers without asking, and a
//!   message goes only to shards where somebody gets it.
//! - **Invariant: all messages of a channel leave its owner in one order.** Mailboxes keep the
//!   order of each pair of shards, so every subscriber sees that order.
//! - The message's end (channel and payload) is encoded once and shared by all shards; what stands
//!   before it depends on the protocol's version and on the pattern. Small messages are copied into
//!   each connection's replies; from 16 KiB on all connections send the same memory.
//!
//! # Beginning and ending to listen
//!
//! - **Invariant: a confirmation waits until every shard concerned has counted the change.** So
//!   whoever publishes after it was seen is heard, or not heard any more.
//! - A connection listens from before it is first counted until after it is last counted: it is
//!   given everything that it was counted for. (The other way round, it may get a message that was
//!   published while it came or went and not be counted for it.)
//! - Messages that come before the confirmation of SUBSCRIBE are kept and follow it. Within EXEC
//!   the whole reply waits.
//! - A connection that ends leaves without waiting.
//!
//! # Order with the rest
//!
//! - **Invariant: no message is sent to a client, or to another shard, before the tick's publish**
//!   ([`architecture`](super::architecture)): messages are posted, and written into replies, which
//!   leave after it.
//! - PUBLISH is recorded in the stream, verbatim, by the channel's owner, in the order in which it
//!   is sent to subscribers. On a replica it is a rendezvous, so replicas' subscribers see the
//!   upstream's order too.
//! - A transaction locks the channels that it speaks on, at their owners. The claim's grant tells
//!   the number of receivers. The message goes out with the release, before the channel is
//!   unlocked: **the order of a channel is that of the stream, transactions included.**
//! - In a pipeline PUBLISH waits for all before it, and what follows waits for it. Only messages of
//!   channels of one owner need no waiting among themselves.
//! - A connection that is itself the publisher gets its own message after the reply of the command,
//!   or of EXEC, as from Redis.
//!
//! # Keyspace notifications
//!
//! - Commands note events as they change keys, in the order in which Redis announces them
//!   ([`command::notify`](crate::command::notify)). A class that is off costs a look at one word
//!   of the shard's settings; while nobody listens to anything that could tell of keys, events are
//!   dropped before a message is made.
//! - The channel of a key (`__keyspace@0__:key`) is owned by the shard of the key. The channels of
//!   kinds of events (`__keyevent@0__:set`) are counted by every shard, as patterns are. So the
//!   shard of a key sends its events by itself, straight to where somebody listens.
//! - **Invariant: what happens to a key is told in the order in which it happened, over all
//!   kinds of channels.** All events of a key leave its shard: what a transaction did to keys that
//!   were lent to it goes back with them, and is told before they are unlocked.
//! - Between keys of different shards there is no order, and two subscribers may see them
//!   differently.
//! - One change is told of once. Two readers that saw a copy of the same key expire both report
//!   it; the owner deletes the key once, and tells of it once.
//! - A replica tells of what it applies, as Redis does; an expired key there is told of when its
//!   deletion comes down the stream, as `del`.
//!
//! # Slow subscribers
//!
//! A connection that listens falls under `client-output-buffer-limit pubsub`, checked in every tick
//! in which it is given something. Past the limit it alone is closed.
