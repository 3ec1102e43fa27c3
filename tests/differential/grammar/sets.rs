use super::{EXACT, How, Template};

#[rustfmt::skip]
pub const TEMPLATES: &[Template] = &[
    (40, EXACT, "SADD $set $mem+"),
    (14, EXACT, "SADD $SET $MEM+"),
    (4, EXACT, "SADD $k $mem+"),
    (16, EXACT, "SREM $set $mem+"),
    (6, EXACT, "SREM $SET $MEM+"),
    (10, EXACT, "SISMEMBER $set $mem"),
    (6, EXACT, "SMISMEMBER $set $mem+"),
    (8, EXACT, "SCARD $set"),
    (8, How::Unordered, "SMEMBERS $set"),
    (10, EXACT, "SMOVE $set $set $mem"),
    (4, EXACT, "SMOVE $SET $set $MEM"),
    // What is popped in part is random; `Generator::pop_some` sends that.
    (4, How::Unordered, "SPOP $set [100000|0]"),
    (2, EXACT, "SPOP $set [-1|$bad|1 2]"),
    (3, How::Shape, "SRANDMEMBER $set"),
    (6, How::Shape, "SRANDMEMBER $set [1|3|-5|0|1000|-20]"),
    (2, EXACT, "SRANDMEMBER $set [$bad|-9223372036854775808|1 2]"),
    (10, How::Unordered, "[SINTER|SUNION|SDIFF] $set $set"),
    (6, How::Unordered, "[SINTER|SUNION|SDIFF] $set+"),
    (2, How::Unordered, "[SINTER|SUNION|SDIFF] $k+"),
    (14, EXACT, "[SINTERSTORE|SUNIONSTORE|SDIFFSTORE] $set $set $set"),
    (6, EXACT, "[SINTERSTORE|SUNIONSTORE|SDIFFSTORE] $k $set+"),
    (6, EXACT, "SINTERCARD [1 $set|2 $set $set|3 $set $set $SET] [|LIMIT 0|LIMIT 3|LIMIT $i LIMIT $i]"),
    (3, EXACT, "SINTERCARD [0 $set|-1 $set|$bad $set|3 $set $set|2 $set $set LIMIT|2 $set $set LIMIT -1|1 $set LIMIT $bad|1 $set FOO 1]"),
    (2, How::Cursor, "SSCAN $set [foo|0 COUNT 0|0 COUNT foo|0 MATCH|0 FOO BAR|0 NOVALUES|0 TYPE set]"),
];
