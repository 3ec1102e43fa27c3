//! Single-shard commands that wait for a key another transaction has locked.

use crate::command::Command;
use crate::protocol::{Args, Span};

use super::Shard;
use super::blocking::Block;
use super::message::{Envelope, RunItem, append_request};
use super::shell::Shell;

/// What waits: a client's command, or one of the upstream's stream.
pub(super) enum Waiting {
    Run(RunItem),
    Block(Box<Block>),
    Apply {
        number: u64,
        db: usize,
        command: &'static Command,
    },
}

/// A command with its own copy of its bytes.
pub(super) struct Parked {
    from: usize,
    item: Waiting,
    data: Vec<u8>,
    spans: Vec<Span>,
}

impl Parked {
    fn args(&self) -> Args<'_> {
        match &self.item {
            Waiting::Run(item) => item.args(&self.data, &self.spans),
            Waiting::Block(block) => block.request.args(),
            Waiting::Apply { .. } => Args::new(&self.data, &self.spans),
        }
    }

    fn command(&self) -> &'static Command {
        match &self.item {
            Waiting::Run(item) => item.command,
            Waiting::Block(block) => block.request.command,
            Waiting::Apply { command, .. } => command,
        }
    }

    fn db(&self) -> usize {
        match &self.item {
            Waiting::Run(item) => item.db as usize,
            Waiting::Block(block) => block.request.db,
            Waiting::Apply { db, .. } => *db,
        }
    }

    fn is_apply(&self) -> bool {
        matches!(self.item, Waiting::Apply { .. })
    }

    fn is_of_run(&self, from: usize, item: &RunItem) -> bool {
        let Waiting::Run(mine) = &self.item else {
            return false;
        };
        self.from == from && mine.conn == item.conn && mine.run == item.run
    }

    /// Whether `other` must stay behind this one: both are of one run, or of the stream.
    fn precedes(&self, other: &Parked) -> bool {
        match &other.item {
            Waiting::Run(item) => self.is_of_run(other.from, item),
            // Its client sends nothing else meanwhile.
            Waiting::Block(_) => false,
            Waiting::Apply { .. } => self.is_apply(),
        }
    }
}

/// Whether any key of a command is locked against it.
pub(super) fn blocked(
    command: &Command,
    args: Args<'_>,
    mut locked: impl FnMut(&[u8], bool) -> bool,
) -> bool {
    let mut hit = (command.channel(args)).is_some_and(|(_, name)| locked(name, true));
    command.for_each_key(args, |at| {
        if let Some(key) = args.get(at) {
            hit |= locked(key, command.is_exclusive());
        }
    });
    hit
}

impl Shard {
    /// Whether no command has to wait: nothing is locked, and no value is to be saved first.
    #[inline]
    pub(super) fn admits_all(&self) -> bool {
        self.locks.is_idle() && self.parked.is_empty() && !self.keyspace.snapshot_active()
    }

    /// Whether an arriving command must wait: its key is locked or queued for, or an earlier
    /// command of its run waits here.
    pub(super) fn must_park(&mut self, from: usize, item: &RunItem, args: Args<'_>) -> bool {
        if self.admits_all() {
            return false;
        }
        !self.may_run_now(item.command, item.db as usize, args)
            || self
                .parked
                .iter()
                .any(|parked| parked.is_of_run(from, item))
    }

    /// As [`Shard::must_park`], for a command of the upstream's stream.
    pub(super) fn must_park_apply(&mut self, command: &Command, db: usize, args: Args<'_>) -> bool {
        if self.admits_all() {
            return false;
        }
        !self.may_run_now(command, db, args) || self.parked.iter().any(Parked::is_apply)
    }

    /// Puts a command aside.
    pub(super) fn park(&mut self, from: usize, item: RunItem, envelope: &Envelope) {
        if item.own.is_some() {
            self.parked.push_back(Parked {
                from,
                item: Waiting::Run(item),
                data: Vec::new(),
                spans: Vec::new(),
            });
            return;
        }
        let args = item.args(&envelope.data, &envelope.spans);
        let raw = item.raw(&envelope.data);
        let (mut data, mut own) = (Vec::new(), Vec::with_capacity(args.len()));
        append_request(&mut data, &mut own, args, raw);
        let verbatim = if raw.is_some() {
            (0, data.len() as u32)
        } else {
            (0, 0)
        };
        let item = Waiting::Run(RunItem {
            spans: (0, own.len() as u32),
            verbatim,
            ..item
        });
        self.parked.push_back(Parked {
            from,
            item,
            data,
            spans: own,
        });
    }

    /// Puts a command aside that may wait.
    pub(super) fn park_block(&mut self, from: usize, block: Block) {
        self.parked.push_back(Parked {
            from,
            item: Waiting::Block(Box::new(block)),
            data: Vec::new(),
            spans: Vec::new(),
        });
    }

    /// Forgets such a command, if it is still there.
    pub(super) fn forget_parked_block(&mut self, from: usize, token: u64) {
        self.parked.retain(|parked| match &parked.item {
            Waiting::Block(block) => parked.from != from || block.token != token,
            _ => true,
        });
    }

    /// Puts a command of the upstream's stream aside.
    pub(super) fn park_apply(
        &mut self,
        from: usize,
        number: u64,
        db: usize,
        command: &'static Command,
        args: Args<'_>,
    ) {
        let (mut data, mut spans) = (Vec::new(), Vec::with_capacity(args.len()));
        append_request(&mut data, &mut spans, args, None);
        let item = Waiting::Apply {
            number,
            db,
            command,
        };
        self.parked.push_back(Parked {
            from,
            item,
            data,
            spans,
        });
    }

    /// After a release: runs, in order of arrival, what no held lock stops, then grants the claims
    /// that have waited. Commands that came before go first, so neither starves the other.
    pub(super) fn unlock(&mut self, shell: &mut dyn Shell) {
        self.serve_waiters();
        for parked in std::mem::take(&mut self.parked) {
            if self.keyspace.snapshot_active() {
                self.hold_large_of(parked.command(), parked.db(), parked.args());
            }
            let held = |key: &[u8], writes| self.locks.held_against(key, writes);
            let stopped = blocked(parked.command(), parked.args(), held)
                || self.locks.whole_held()
                || self.parked.iter().any(|other| other.precedes(&parked));
            if stopped {
                self.parked.push_back(parked);
                continue;
            }
            match parked.item {
                Waiting::Block(block) => self.run_block(parked.from, *block),
                Waiting::Run(ref item) => {
                    self.run_item(parked.from, item, parked.args(), item.raw(&parked.data));
                }
                Waiting::Apply {
                    number,
                    db,
                    command,
                } => {
                    self.apply(command, db, parked.args());
                    self.applied = Some((parked.from as u32, number));
                }
            }
        }
        self.report_applied();
        for tx in self.locks.grant_waiting() {
            self.grant(shell, tx);
        }
    }
}
