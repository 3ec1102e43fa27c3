use super::{EXACT, Template};

#[rustfmt::skip]
pub const TEMPLATES: &[Template] = &[
    (20, EXACT, "SETBIT $b $bit [0|1]"),
    (3, EXACT, "SETBIT [$s|$h] $bit [0|1|2|$bad]"),
    (1, EXACT, "SETBIT $b [-1|4294967296|$bad|9223372036854775807] 1"),
    (8, EXACT, "GETBIT $b $bit"),
    (4, EXACT, "GETBIT $k [$bit|-1|4294967295|$bad]"),
    (6, EXACT, "BITCOUNT [$b|$s|$k]"),
    (8, EXACT, "BITCOUNT [$b|$s] $idx $idx [|BYTE|BIT|bit|$bad]"),
    (2, EXACT, "BITCOUNT $b $idx"),
    (6, EXACT, "BITPOS [$b|$s|$k] [0|1]"),
    (8, EXACT, "BITPOS [$b|$s] [0|1] $idx $idx [|BYTE|BIT|byte|$bad]"),
    (4, EXACT, "BITPOS [$b|$s] [0|1|2|$bad] $idx"),
    (8, EXACT, "BITOP [AND|OR|XOR|xor] $b [$b|$s] [$b|$s|$k|]"),
    (3, EXACT, "BITOP [AND|OR|XOR] $s $k+"),
    (4, EXACT, "BITOP [NOT|not] $b [$b|$s]"),
    (1, EXACT, "BITOP [NOT|FOO|AND] $b $b $b"),
    (8, EXACT, "BITFIELD $b SET [u8|i8|u1|i64|u63|i13|u32] [$bit|#$] $I"),
    (8, EXACT, "BITFIELD $b INCRBY [u8|i8|u2|i64|u63|i5|u33] [$bit|#$] $I [GET u8 #$|GET i64 $bit|]"),
    (8, EXACT, "BITFIELD $b OVERFLOW [WRAP|SAT|sat] INCRBY [u8|i8|u4|i64|u63|i1] $bit $I SET [u3|i9] $bit $I"),
    // Where all is refused, and the string yet grows, Valkey does not tell its replicas: the
    // first step makes the string long enough.
    (6, EXACT, "BITFIELD $b SET u1 2999 [0|1] OVERFLOW FAIL INCRBY [u4|i8|i64] $bit $I SET [u5|i3] $bit $I OVERFLOW SAT INCRBY u7 $bit $I"),
    (6, EXACT, "BITFIELD [$b|$s] GET [u8|i8|u1|i64|u63|i13] [$bit|#$] GET [u7|i3] $bit"),
    (3, EXACT, "BITFIELD [$b|$k] [GET u64 0|GET u8|FOO|OVERFLOW FOO|OVERFLOW SAT|SET u8 0 foo|GET x8 0|GET u8 #x|GET u8 -1|]"),
    (6, EXACT, "BITFIELD_RO [$b|$s] GET [u8|i8|u1|i64|u63|i13] [$bit|#$]"),
    (2, EXACT, "BITFIELD_RO [$b|$k] [GET i5 3 GET u8 #1|SET u8 0 1|OVERFLOW SAT|FOO|]"),
];
