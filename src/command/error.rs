//! The errors that data commands give, with Redis's texts.

use std::borrow::Cow;

/// An error reply. `Display` gives the text with its code word, as it goes on the wire after `-`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("ERR syntax error")]
    Syntax,
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    #[error("ERR value is not a valid float")]
    NotFloat,
    #[error("ERR value is out of range")]
    OutOfRange,
    #[error("ERR value is out of range, must be positive")]
    MustBePositive,
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    #[error("ERR increment would produce NaN or Infinity")]
    NanOrInfinity,
    #[error("ERR no such key")]
    NoSuchKey,
    #[error("ERR index out of range")]
    IndexRange,
    #[error("ERR offset is out of range")]
    OffsetRange,
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    StringTooLong,
    #[error("ERR source and destination objects are the same")]
    SameObject,
    #[error("ERR DB index is out of range")]
    DbRange,
    #[error("ERR invalid DB index")]
    DbInvalid,
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpire(Cow<'static, str>),
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(Cow<'static, str>),
    #[error("ERR unknown subcommand or wrong number of arguments for '{0}'. Try {1} HELP.")]
    Subcommand(String, &'static str),
    /// Any other text, code word included.
    #[error("{0}")]
    Text(Cow<'static, str>),
}

/// Bytes of a subcommand's name that an error shows.
pub const SUBCOMMAND_SHOWN_MAX: usize = 128;

impl Error {
    /// An error with a fixed text, code word included.
    pub const fn text(text: &'static str) -> Self {
        Error::Text(Cow::Borrowed(text))
    }

    /// The code word, for `INFO errorstats`.
    pub fn code(text: &str) -> &str {
        text.split(' ').next().unwrap_or("ERR")
    }
}
