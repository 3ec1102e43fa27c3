//! Blocking commands: clients that wait for keys, first come first served per key.
//!
//! ```text
//!   all keys on one shard                      keys on several shards
//!
//!   home ---- block ----> owner                home: a transaction, which finds nothing
//!                           | runs it            |--- await (with the release) ---> owners
//!                           | keeps it           |
//!                a key changes, it runs again    |<-- woken: keys locked, entries lent --- one
//!   home <--- unblocked ----|                  home: claims the other shards and runs it again
//! ```
//!
//! A command that finds nothing leaves a [`Wait`](crate::command::wait::Wait). Who waits is kept by
//! the owners of the keys ([`waiters`]); who is waited for, by the home of the connection
//! ([`home`]). Where one shard has all keys it also runs the command again, in the step in which a
//! key changed, so that nobody can come between; and it alone decides whether a timeout or an
//! element came first. Where keys are on several shards the home decides that.
//!
//! **Invariant: a key that changed is offered to its waiters before any other command sees it.** An
//! owner that wakes a home locks the waiter's keys in the same step, under an id that is older than
//! those of all transactions that may queue for them.

mod home;
#[cfg(test)]
mod tests;
mod waiters;

pub(super) use home::{Blocked, Blocking, may_wait};
pub(super) use waiters::Waiters;

use crate::protocol::{Reply, Version};
use crate::value::Kind;

use super::locks::TxId;
use super::message::{Grant, Keys, OwnedRequest};
use super::shell::ConnId;

/// A blocking command on its way to the one owner of its keys.
pub struct Block {
    /// What its home calls it.
    pub token: u64,
    pub conn: ConnId,
    pub request: OwnedRequest,
    pub version: Version,
    pub no_touch: bool,
    /// The keys that it reads are remembered for its connection.
    pub remembers: bool,
    /// The most bytes that its reply may have; 0 for any number.
    pub reply_bytes_max: usize,
}

/// A command that waits for keys of several shards, to one of them.
pub struct Await {
    pub token: u64,
    /// First of as many numbers as there are shards; see [`Waiters`].
    pub order: TxId,
    pub kind: Kind,
    pub wakes_on_loss: bool,
    /// The keys there.
    pub keys: Keys,
}

/// Why a wait ends without what was waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The client is gone, or was served by another shard: nothing is to be answered.
    Gone,
    /// As after its timeout (CLIENT UNBLOCK).
    Timeout,
    /// With an error (CLIENT UNBLOCK … ERROR).
    Error,
    /// With the error for a change of role, after which the connection ends.
    Role,
}

/// The error of CLIENT UNBLOCK … ERROR.
const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
/// The error of a change of role.
const ROLE_CHANGED: &str = "UNBLOCKED force unblock from blocking operation, instance state \
                            changed (master -> replica?)";

impl End {
    /// Writes the reply that goes with it.
    fn reply(self, reply: &mut Reply, on_timeout: fn(&mut Reply)) {
        match self {
            End::Gone => {}
            End::Timeout => on_timeout(reply),
            End::Error => reply.error(UNBLOCKED),
            End::Role => reply.error(ROLE_CHANGED),
        }
    }
}

/// The end of a wait that an owner reports.
pub struct Unblocked {
    pub token: u64,
    pub reply: Vec<u8>,
    /// The command changed something.
    pub wrote: bool,
    /// The reply was longer than the client's output limit, and is not whole.
    pub overrun: bool,
    /// The connection is to be closed behind it.
    pub closes: bool,
}

/// Messages about waiting.
pub enum Message {
    /// Run this; if it finds nothing, keep it.
    Block(Box<Block>),
    /// A [`Message::Block`] has its reply.
    Unblocked(Box<Unblocked>),
    /// Tell when a key may serve it.
    Await(Box<Await>),
    /// It may be served: the keys that were named are locked for this transaction.
    Woken {
        token: u64,
        tx: TxId,
        db: usize,
        grant: Box<Grant>,
    },
    /// To an owner: forget it, or answer it.
    End { token: u64, end: End },
    /// To the home itself: end the wait of one of its connections.
    EndHere { token: u64, end: End },
}
