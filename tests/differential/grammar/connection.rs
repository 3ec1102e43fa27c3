use super::{EXACT, How, Template};

#[rustfmt::skip]
pub const TEMPLATES: &[Template] = &[
    (8, EXACT, "SELECT $db"),
    (1, EXACT, "SELECT $bad"),
    (4, EXACT, "PING [|$v]"),
    (3, EXACT, "ECHO $v"),
    (1, EXACT, "CLIENT [GETNAME|SETNAME n$i|SETNAME|SETNAME \"|UNPAUSE|UNBLOCK 999999|UNBLOCK $bad]"),
    (1, EXACT, "CLIENT [SETINFO LIB-NAME l$i|SETINFO LIB-VER $i|SETINFO FOO x|NO-EVICT ON|NO-EVICT OFF|NO-TOUCH OFF|NO-TOUCH foo|$bad]"),
    (1, How::Shape, "CLIENT [ID|GETNAME]"),
    (1, How::Hello, "HELLO [|2|3]"),
    (1, How::Hello, "HELLO [1|4|foo|2 AUTH|2 SETNAME|3 FOO]"),
    (1, EXACT, "RESET"),
    (1, EXACT, "UNWATCH"),
    (1, EXACT, "[EXEC|DISCARD]"),
    (1, EXACT, "$bad $v $v"),
];
