//! Arguments of the commands for publish and subscribe.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    ("psubscribe", "pattern:pattern..."),
    ("publish", "channel message"),
    ("pubsub|channels", "[pattern:pattern]"),
    ("pubsub|help", ""),
    ("pubsub|numpat", ""),
    ("pubsub|numsub", "[channel...]"),
    ("pubsub|shardchannels", "[pattern:pattern]"),
    ("pubsub|shardnumsub", "[shardchannel...]"),
    ("punsubscribe", "[pattern:pattern...]"),
    ("spublish", "shardchannel message"),
    ("ssubscribe", "shardchannel..."),
    ("subscribe", "channel..."),
    ("sunsubscribe", "[shardchannel...]"),
    ("unsubscribe", "[channel...]"),
];
