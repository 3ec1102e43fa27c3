use super::{EXACT, How, Template};

// Where nothing decides between two elements, the real server leaves their order to its sorting
// algorithm: weights that are compared as text (BY with ALPHA) are only asked for of lists and
// without a limit, where that is stable, and never stored: we propagate such a result itself. What a set that is not sorted gives is in no order.
#[rustfmt::skip]
pub const TEMPLATES: &[Template] = &[
    (10, EXACT, "RPUSH n:[0|1|2] $i $i -$i $i"),
    (3, EXACT, "RPUSH n:[0|1] [1.5|-0|+3|.5|0x10|inf|1e3|007]"),
    (3, EXACT, "LTRIM n:[0|1|2] 0 [5|9|20]"),
    (1, EXACT, "DEL n:[0|1|2]"),
    (4, EXACT, "SADD n:s $i $i $i"),
    (4, EXACT, "ZADD n:z $i $i -$i $i"),
    (1, EXACT, "DEL n:z"),
    (1, EXACT, "SREM n:s $i"),
    (10, EXACT, "SET w:$i [$i|$i|-$i|$i|1.25|]$i"),
    (1, EXACT, "SET w:$i [$bad|$v]"),
    (1, EXACT, "SET w:$i $i PXAT 1000"),
    (1, EXACT, "DEL w:$i"),
    (6, EXACT, "HSET o:$i f $i g $v"),
    (1, EXACT, "HDEL o:$i [f|g]"),
    (12, EXACT, "[SORT|SORT_RO] n:[0|1|2|s|z] [|ASC|DESC|DESC ASC|ALPHA DESC|ALPHA] [|LIMIT 0 5|LIMIT $i $i|LIMIT -1 3|LIMIT 2 -1|LIMIT 0 0]"),
    (12, EXACT, "[SORT|SORT_RO] n:[0|1|2|s|z] BY [w:*|w:*|o:*->f] [|DESC] [|LIMIT 0 5|LIMIT $i $i|LIMIT 2 -1] [|GET #|GET w:*|GET o:*->g GET #|GET o:* GET fixed GET w:*->f]"),
    (6, EXACT, "[SORT|SORT_RO] n:[0|1|2] BY [w:*|o:*->g] ALPHA [|DESC] [|GET # GET w:*]"),
    (8, EXACT, "[SORT|SORT_RO] n:[0|1|2|z] BY [nosort|nosort|#|w] [|DESC] [|LIMIT 0 5|LIMIT $i $i|LIMIT 2 -1|LIMIT 100 1] [|GET # GET w:*]"),
    (4, EXACT, "ZADD n:Z $SM+"),
    (4, EXACT, "RPUSH n:L $v $v $v $v $v $v $v"),
    (1, EXACT, "LTRIM n:L [0|5] 250"),
    (2, EXACT, "SORT [n:Z|n:L] BY nosort [|DESC] [|LIMIT $i $i]"),
    (2, How::Unordered, "[SORT|SORT_RO] [n:s|$set] BY nosort [|DESC|GET #]"),
    (4, EXACT, "[SORT|SORT_RO] [$l|$L|$set|$SET|$z|$Z] ALPHA [|DESC] [|LIMIT $i $i|LIMIT 0 3]"),
    (8, EXACT, "SORT n:[0|1|2|s|z] [|BY w:*|BY o:*->f|BY nosort] [|DESC] [|LIMIT 0 5|LIMIT $i 3] STORE n:[0|1|2]"),
    (4, EXACT, "SORT n:[0|1|s|z] [|BY w:*|BY nosort|ALPHA|BY nosort ALPHA] [|LIMIT 0 5] GET [#|w:*|o:*->g GET #] STORE [$l|$l|$k]"),
    (2, EXACT, "SORT [$set BY nosort|$z BY nosort|$l BY nosort LIMIT 0 9|$l ALPHA] STORE $l"),
    (2, EXACT, "SORT [none|n:0 LIMIT 0 0|n:z LIMIT 100 1] STORE n:[1|2]"),
    (2, EXACT, "[SORT|SORT_RO] $k"),
    (1, EXACT, "[SORT|SORT_RO] n:[0|s|z] [FOO|BY|GET|LIMIT 1|LIMIT $bad 1|LIMIT 1 $bad FOO|ASC FOO|STORE|BY w:* LIMIT]"),
    (1, EXACT, "SORT_RO n:0 STORE n:1"),
];
