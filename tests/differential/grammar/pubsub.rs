use super::{EXACT, Template};

/// What subscribers do is compared by a suite of its own: messages come when they will.
#[rustfmt::skip]
pub const TEMPLATES: &[Template] = &[
    (3, EXACT, "[PUBLISH|SPUBLISH] $v $v"),
    (1, EXACT, "PUBSUB [NUMPAT|CHANNELS|CHANNELS $pat|SHARDCHANNELS|SHARDCHANNELS $pat|CHANNELS a b|SHARDCHANNELS a b|NUMPAT x|$bad]"),
    (1, EXACT, "PUBSUB [NUMSUB|SHARDNUMSUB] [|$v|$v $v]"),
];
