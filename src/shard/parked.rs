//! Single-shard commands that wait for a key another transaction has locked.

use crate::command::Command;
use crate::protocol::Args;

use super::Shard;
use super::message::{Envelope, RunItem};
use super::shell::Shell;

/// A command with its own copy of its bytes.
pub(super) struct Parked {
    pub from: usize,
    pub item: RunItem,
    pub data: Vec<u8>,
    pub spans: Vec<crate::protocol::Span>,
}

impl Parked {
    pub fn args(&self) -> Args<'_> {
        Args::new(&self.data, &self.spans)
    }

    fn same_run(&self, from: usize, item: &RunItem) -> bool {
        self.from == from && self.item.conn == item.conn && self.item.run == item.run
    }
}

/// Whether any key of a command is locked against it.
pub(super) fn blocked(
    command: &Command,
    args: Args<'_>,
    mut locked: impl FnMut(&[u8], bool) -> bool,
) -> bool {
    let mut hit = false;
    command.for_each_key(args, |at| {
        if let Some(key) = args.get(at) {
            hit |= locked(key, command.writes());
        }
    });
    hit
}

impl Shard {
    /// Whether an arriving command must wait: its key is locked or queued for, or an earlier command
    /// of its run waits here.
    pub(super) fn must_park(&self, from: usize, item: &RunItem, args: Args<'_>) -> bool {
        if self.locks.is_idle() && self.parked.is_empty() {
            return false;
        }
        blocked(item.command, args, |key, writes| {
            self.locks.blocks(key, writes)
        }) || (item.command.keys == crate::command::table::Keys::None && self.locks.whole_claimed())
            || self.parked.iter().any(|parked| parked.same_run(from, item))
    }

    /// Puts a command aside.
    pub(super) fn park(&mut self, from: usize, item: RunItem, envelope: &Envelope) {
        let spans = &envelope.spans[item.spans.0 as usize..][..item.spans.1 as usize];
        let args = Args::new(&envelope.data, spans);
        let raw = (item.verbatim.1 > 0)
            .then(|| &envelope.data[item.verbatim.0 as usize..][..item.verbatim.1 as usize]);
        let (mut data, mut own) = (Vec::new(), Vec::with_capacity(spans.len()));
        super::message::append_request(&mut data, &mut own, args, raw);
        let verbatim = if raw.is_some() {
            (0, data.len() as u32)
        } else {
            (0, 0)
        };
        let item = RunItem {
            spans: (0, own.len() as u32),
            verbatim,
            ..item
        };
        self.parked.push_back(Parked {
            from,
            item,
            data,
            spans: own,
        });
    }

    /// After a release: runs, in order of arrival, what no held lock stops, then grants the claims that
    /// have waited. Commands that came before go first, so neither starves the other.
    pub(super) fn unlock(&mut self, shell: &mut dyn Shell) {
        if !self.parked.is_empty() {
            let waiting = std::mem::take(&mut self.parked);
            for parked in waiting {
                let stopped = blocked(parked.item.command, parked.args(), |key, writes| {
                    self.locks.held_against(key, writes)
                }) || self.locks.whole_held()
                    || self
                        .parked
                        .iter()
                        .any(|other| other.same_run(parked.from, &parked.item));
                if stopped {
                    self.parked.push_back(parked);
                } else {
                    let Parked {
                        from,
                        item,
                        data,
                        spans,
                    } = parked;
                    self.run_item(from, &item, &data, Args::new(&data, &spans));
                }
            }
        }
        for tx in self.locks.grant_waiting() {
            self.grant(shell, tx);
        }
    }
}
