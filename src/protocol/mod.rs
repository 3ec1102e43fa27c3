//! The wire layer: RESP2 and RESP3 requests and replies, and their limits.
//!
//! Bytes in, requests out; values in, bytes out. Specified by
//! <https://redis.io/docs/reference/protocol-spec/> and, where that is silent, by what Redis 7.2
//! and Valkey 8.0 do.
//!
//! **Architecture invariant:** nothing here knows a command, a connection, a socket or a clock,
//! and nothing is `unsafe`. Whatever a peer sends yields requests or a [`ProtocolError`], never a
//! panic, and memory is bounded by [`Limits`].

mod args;
pub mod encode;
mod error;
mod inline;
mod input;
mod integer;
mod reply;
pub mod reply_parser;

pub use args::{Args, OwnedArgs, Span};
pub use error::ProtocolError;
pub use input::{Input, Limits, Request, Taken};
pub use reply::{Deferred, Reply, quote};

/// The protocol version of a connection, as negotiated with `HELLO`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Version {
    /// What every connection starts with.
    #[default]
    Resp2,
    /// Adds maps, sets, pushes, doubles, booleans, nulls and more as types of their own.
    Resp3,
}
