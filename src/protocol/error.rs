//! What can be wrong with a request on the wire.

/// A violation of the request protocol. The connection is closed after the reply; nothing behind
/// the error is parsed.
///
/// `Display` is Redis's text without the leading `-ERR `. Use
/// [`crate::protocol::Reply::protocol_error`] to send it: for [`Self::ExpectedBulk`] Redis echoes
/// a raw byte, which a `str` cannot hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProtocolError {
    /// No end of line within 64 KiB of a `*`.
    #[error("Protocol error: too big mbulk count string")]
    BigCountLine,
    /// The argument count is no canonical integer or exceeds `Limits::args_max`.
    #[error("Protocol error: invalid multibulk length")]
    InvalidCount,
    /// More than 10 arguments before authentication.
    #[error("Protocol error: unauthenticated multibulk length")]
    UnauthenticatedCount,
    /// No end of line within 64 KiB where a `$` line is due.
    #[error("Protocol error: too big bulk count string")]
    BigBulkLine,
    /// A line that starts with this byte where a `$` line is due.
    #[error("Protocol error: expected '$', got '{}'", printable(*.0))]
    ExpectedBulk(u8),
    /// The length of a bulk is no canonical integer, negative, or exceeds `Limits::bulk_len_max`.
    #[error("Protocol error: invalid bulk length")]
    InvalidBulkLen,
    /// A bulk of more than 16384 bytes before authentication.
    #[error("Protocol error: unauthenticated bulk length")]
    UnauthenticatedBulkLen,
    /// No line feed within 64 KiB of an inline request.
    #[error("Protocol error: too big inline request")]
    BigInline,
    /// A quote without its partner, or a closing quote that no space follows.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// One request is larger than `Limits::query_buffer_max`. Redis closes without a reply.
    #[error("Query buffer limit exceeded")]
    QueryBufferLimit,
}

impl ProtocolError {
    /// Whether the client is told before the connection is closed.
    pub fn has_reply(self) -> bool {
        self != Self::QueryBufferLimit
    }
}

/// Line ends are replaced as in every error reply.
fn printable(byte: u8) -> char {
    if matches!(byte, b'\r' | b'\n') {
        ' '
    } else {
        char::from(byte)
    }
}
