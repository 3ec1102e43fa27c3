//! Arguments of the commands for bitmaps.

/// Full names and syntaxes.
pub(super) const SYNTAXES: &[(&str, &str)] = &[
    (
        "bitcount",
        "key [range{start:integer [end-unit-block{end:integer [unit(BYTE | BIT)@7.0.0]}]}]",
    ),
    (
        "bitfield",
        "key [operation(GET=get-block{encoding offset:integer} | \
         write{[OVERFLOW=overflow-block(WRAP | SAT | FAIL)] \
         write-operation(SET=set-block{encoding offset:integer value:integer} | \
         INCRBY=incrby-block{encoding offset:integer increment:integer})})...]",
    ),
    (
        "bitfield_ro",
        "key [GET=get-block{encoding offset:integer}+...]",
    ),
    (
        "bitop",
        "operation(AND | OR | XOR | NOT) destkey:key key:key1...",
    ),
    (
        "bitpos",
        "key bit:integer [range{start:integer [end-unit-block{end:integer [unit(BYTE | \
         BIT)@7.0.0]}]}]",
    ),
    ("getbit", "key offset:integer"),
    ("setbit", "key offset:integer value:integer"),
];
