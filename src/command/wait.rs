//! What a blocking command leaves behind when it found nothing: on what it waits, and for how long.
//!
//! The command does not suspend. It ends, and the shard runs it again from the start whenever one
//! of its keys may hold what it waits for; so a command looks at all its keys each time, and
//! acts on the first that serves it.

use crate::protocol::Reply;
use crate::value::Kind;

/// A wait for keys.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Only a key that holds this type wakes it.
    pub kind: Kind,
    /// The command is also run again when one of its keys is deleted or overwritten with another
    /// type (XREADGROUP, which then fails).
    pub wakes_on_loss: bool,
    /// How long, milliseconds; 0 for ever.
    pub timeout_ms: u64,
    /// The request to run again, if it is not the one received (XREAD's `$` stands for an id that
    /// was read when it came).
    pub retry: Option<Vec<Vec<u8>>>,
    /// Writes the reply after the timeout, and where waiting is not allowed (within MULTI).
    pub on_timeout: fn(&mut Reply),
}
