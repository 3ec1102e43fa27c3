use super::{EXACT, Template};

#[rustfmt::skip]
pub const TEMPLATES: &[Template] = &[
    (30, EXACT, "PFADD $p $e+"),
    (3, EXACT, "PFADD $p"),
    (1, EXACT, "PFADD $k $e"),
    (12, EXACT, "PFCOUNT $p"),
    (6, EXACT, "PFCOUNT $p $p [$p|]"),
    (1, EXACT, "PFCOUNT $k [$p|]"),
    (6, EXACT, "PFMERGE $p $p [$p|]"),
    (2, EXACT, "PFMERGE $p [$k|]"),
    (3, EXACT, "PFDEBUG [ENCODING|DECODE] $p"),
    (1, EXACT, "PFDEBUG [TODENSE|GETREG|FOO|encoding] $p"),
    (6, EXACT, "GET $p"),
    (3, EXACT, "DEL $p"),
    // What is corrupt gets one element at a time: of several, the first may find its register
    // and the second not, and then only Banyan tells its replicas.
    (4, EXACT, "PFADD q$ $e"),
    (1, EXACT, "SETRANGE q$ $off [A|value]"),
    (1, EXACT, "SETBIT q$ $bit [0|1]"),
    (3, EXACT, "PFCOUNT q$ [$p|]"),
    (1, EXACT, "PFMERGE $p q$"),
    (1, EXACT, "PFDEBUG [DECODE|ENCODING|TODENSE] q$"),
    (2, EXACT, "[DEL|GET] q$"),
];
