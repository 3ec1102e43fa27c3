//! DEBUG.

use crate::command::session::SessionOp;
use crate::protocol::{Args, Reply};

use super::Shard;
use super::client::Client;

impl Shard {
    pub(super) fn debug_command(&mut self, client: &mut Client, op: SessionOp, args: Args<'_>) {
        let _ = (op, args);
        self.answer(client, Reply::ok);
    }
    pub(super) fn debug_populate(&mut self, client: &mut Client, args: Args<'_>) {
        let _ = args;
        self.answer(client, Reply::ok);
    }
    pub(super) fn debug_sleep(&mut self, client: &mut Client, args: Args<'_>) {
        let _ = args;
        self.answer(client, Reply::ok);
    }
    /// This shard's part of DEBUG POPULATE.
    pub(super) fn populate(&mut self, count: u64, prefix: &[u8], size: Option<usize>) {
        let _ = (count, prefix, size);
    }
}
