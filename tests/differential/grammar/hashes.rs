use super::{EXACT, How, Template};

#[rustfmt::skip]
pub const TEMPLATES: &[Template] = &[
    (50, EXACT, "HSET $h $fv+"),
    (12, EXACT, "HSET $H $FV+"),
    (8, EXACT, "HMSET $h $fv+"),
    (8, EXACT, "HSETNX $h $f $v"),
    (14, EXACT, "HGET $h $f"),
    (10, EXACT, "HMGET $h $f+"),
    (14, EXACT, "HDEL $h $f+"),
    (6, EXACT, "HDEL $H $F"),
    (8, EXACT, "HLEN $h"),
    (8, EXACT, "HSTRLEN $h $f"),
    (8, EXACT, "HEXISTS $h $f"),
    (12, EXACT, "HINCRBY $h $f $I"),
    (12, EXACT, "HINCRBYFLOAT $h $f $d"),
    (4, How::Unordered, "[HKEYS|HVALS|HGETALL] $k"),
    (3, How::Shape, "HRANDFIELD $h"),
    (4, How::Shape, "HRANDFIELD $h [-5|-1|0|-20]"),
    (4, How::Shape, "HRANDFIELD $h [1000|3|1] [|WITHVALUES]"),
    (4, How::Shape, "HRANDFIELD $h -7 WITHVALUES"),
    (2, How::Shape, "HRANDFIELD $h [$bad|9223372036854775807 WITHVALUES|-9223372036854775808 WITHVALUES|3 FOO|3 WITHVALUES FOO]"),
    (2, How::Cursor, "HSCAN $h [foo|0 COUNT 0|0 COUNT foo|0 MATCH|0 FOO BAR]"),
];
