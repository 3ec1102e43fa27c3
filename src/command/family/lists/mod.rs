//! List commands.
//!
//! | File | What |
//! |---|---|
//! | `rows` | the rows of the command table |
//! | `push`, `pop` | both ends; LMPOP; BLPOP, BRPOP and BLMPOP |
//! | `transfer` | LMOVE and its kin |
//! | `read` | LLEN, LINDEX, LRANGE, LPOS |
//! | `edit` | LSET, LINSERT, LREM, LTRIM |
//! | `debug` | DEBUG LISTPACK and QUICKLIST |

mod debug;
mod edit;
mod pop;
mod push;
mod read;
mod rows;
#[cfg(test)]
mod tests;
mod transfer;

pub use rows::{COMMANDS, LISTPACK_ROW, QUICKLIST_ROW};

use crate::command::Error;
use crate::protocol::Reply;
use crate::value::list::End;
use crate::value::listpack::Element;
use crate::value::number::parse_i64;

/// Replies with an element.
#[inline]
fn write_element(reply: &mut Reply, element: Element<'_>) {
    match element {
        Element::Int(number) => reply.bulk_integer(number),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// An integer argument of any sign.
fn integer(text: &[u8]) -> Result<i64, Error> {
    parse_i64(text).ok_or(Error::NotInteger)
}

/// An integer argument that is at least `min`, with one error for all that is none.
fn range_integer(text: &[u8], min: i64, error: Error) -> Result<usize, Error> {
    let number = parse_i64(text).filter(|number| *number >= min);
    number
        .and_then(|number| usize::try_from(number).ok())
        .ok_or(error)
}

/// The index that `index`, which counts from the back if it is negative, means in a list of `len`
/// elements.
fn index_of(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index + len as i64 } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

/// LEFT or RIGHT.
fn end_named(word: &[u8]) -> Result<End, Error> {
    if word.eq_ignore_ascii_case(b"left") {
        Ok(End::Front)
    } else if word.eq_ignore_ascii_case(b"right") {
        Ok(End::Back)
    } else {
        Err(Error::Syntax)
    }
}
