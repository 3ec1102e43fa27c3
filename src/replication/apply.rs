//! The upstream's stream: framed into units, logged as received, applied by the owners of the keys.
//!
//! A *unit* is a command, or MULTI up to EXEC. The bytes of whole units go into the merged log
//! verbatim, for our own replicas, whether they are applied yet or not. A unit whose keys live on
//! one shard is sent there, in order. Any other is a rendezvous: it waits until all before it are
//! applied, runs as a transaction, and everything behind it waits.

use bytes::BytesMut;

use super::Node;
use super::link::{Link, State};
use crate::command::table::{self, Command, Keys, Run as Runs};
use crate::protocol::{Args, Input, Limits};
use crate::shard::message::OwnedRequest;
use crate::shard::shell::Shell;
use crate::shard::transaction::Kind;

/// Units under way on other shards before the stream is read on.
const UNDER_WAY_MAX: usize = 16 * 1024;

/// A unit sent to its shard.
struct UnderWay {
    number: u64,
    /// Offset of its last byte.
    end: u64,
    /// `None`: nothing is to be waited for but those before it.
    shard: Option<usize>,
}

/// The stream's side of the link.
#[derive(Default)]
pub(super) struct Applier {
    input: Input,
    /// Bytes received of units that are not logged yet.
    pending: BytesMut,
    /// Offset of the last byte given to `input`.
    pushed: u64,
    /// Offset at the end of the last whole unit.
    whole: u64,
    /// Database selected there.
    whole_db: usize,
    /// Database selected at what is read, which may be in the middle of a unit.
    db: usize,
    multi: Option<Vec<OwnedRequest>>,
    under_way: std::collections::VecDeque<UnderWay>,
    acked: Vec<u64>,
    next_number: u64,
    /// Offset up to which everything is applied.
    pub applied: u64,
    /// A unit that runs as a transaction, and its end.
    running: Option<(u64, u64)>,
    /// A unit that waits to be alone, and its end.
    waiting: Option<(Vec<OwnedRequest>, u64)>,
    /// A barrier wants everything before it applied and nothing more read.
    held: bool,
    /// The input ends within a request: nothing can be done before more arrives.
    starved: bool,
}

impl Applier {
    /// What becomes of a command that changes nothing.
    fn without_effect(&self) -> Parsed {
        match self.multi {
            Some(_) => Parsed::Inside,
            None => Parsed::Nothing,
        }
    }

    /// Starts at `offset`, with `db` selected.
    pub fn new(offset: u64, db: usize, shards: usize) -> Self {
        Applier {
            db,
            applied: offset,
            whole: offset,
            whole_db: db,
            pushed: offset,
            acked: vec![0; shards],
            next_number: 1,
            ..Applier::default()
        }
    }

    /// The link was cut: what is not a whole unit will come again.
    pub fn cut(&mut self) {
        self.input = Input::new();
        self.pending.clear();
        self.pushed = self.whole;
        self.db = self.whole_db;
        self.multi = None;
        self.starved = false;
    }

    /// Gives back what is not logged yet, as if it had not come.
    pub fn take_unlogged(&mut self) -> BytesMut {
        let rest = std::mem::take(&mut self.pending);
        self.cut();
        rest
    }

    /// Takes a part of the stream that is logged already.
    pub fn hand(&mut self, units: &[u8]) {
        self.input.push(units);
        self.pushed += units.len() as u64;
        self.starved = false;
    }

    /// Takes the beginning of a unit, which is not logged before it is whole.
    pub fn take_back(&mut self, partial: &[u8]) {
        self.pending.extend_from_slice(partial);
        self.hand(partial);
    }

    /// Bytes that are not parsed yet.
    pub fn unparsed(&self) -> usize {
        self.input.buffered()
    }

    /// Whether all that came is parsed, as far as it is whole.
    pub fn has_parsed_all(&self) -> bool {
        self.unparsed() == 0 || self.starved
    }

    /// Offset at the end of the last whole unit.
    pub fn whole(&self) -> u64 {
        self.whole
    }

    fn is_quiet(&self) -> bool {
        self.under_way.is_empty() && self.running.is_none() && self.waiting.is_none()
    }

    /// The applied offset, if nothing is under way.
    pub fn settled(&self) -> Option<u64> {
        self.is_quiet().then_some(self.applied)
    }

    fn must_wait(&self) -> bool {
        self.held
            || self.running.is_some()
            || self.waiting.is_some()
            || self.under_way.len() >= UNDER_WAY_MAX
    }

    /// A unit ends here.
    fn end_unit(&mut self, end: u64) {
        self.whole = end;
        self.whole_db = self.db;
    }

    /// Database selected at the end of the last whole unit.
    pub fn whole_db(&self) -> usize {
        self.whole_db
    }

    fn note_applied(&mut self) {
        while let Some(front) = self.under_way.front() {
            if front
                .shard
                .is_some_and(|shard| self.acked[shard] < front.number)
            {
                return;
            }
            self.applied = front.end;
            self.under_way.pop_front();
        }
    }

    /// A unit ends at `end`; `shard` has still to apply it. Its number.
    fn push_unit(&mut self, end: u64, shard: Option<usize>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        if shard.is_none() && self.under_way.is_empty() {
            self.applied = end;
        } else {
            self.under_way.push_back(UnderWay { number, end, shard });
        }
        number
    }
}

impl Node {
    /// Reads and applies what is there.
    pub(super) fn drive_stream(&mut self, shell: &mut dyn Shell) {
        if self.delay.active {
            // It has its own way to the applier.
            return;
        }
        let Some(link) = &mut self.link else { return };
        let applier = &mut link.applier;
        if !link.received.is_empty() {
            applier.input.push(&link.received);
            applier.pending.extend_from_slice(&link.received);
            applier.pushed += link.received.len() as u64;
            applier.starved = false;
            link.received.clear();
        }
        self.run_waiting(shell);
        self.read_stream(shell);
        self.log_whole_units();
    }

    /// Runs the unit that waits to be alone, once it is; also while the link is down.
    pub(super) fn run_waiting(&mut self, shell: &mut dyn Shell) {
        let Some(link) = &mut self.link else { return };
        let applier = &mut link.applier;
        if applier.running.is_none()
            && applier.under_way.is_empty()
            && let Some((unit, end)) = applier.waiting.take()
        {
            self.rendezvous(shell, unit, end);
        }
    }

    pub(super) fn read_stream(&mut self, shell: &mut dyn Shell) {
        let limits = Limits {
            authenticated: true,
            ..Limits::default()
        };
        let Some(link) = &mut self.link else { return };
        let mut input = std::mem::take(&mut link.applier.input);
        let (mut failed, mut starved) = (None, false);
        while let Some(link) = &self.link
            && !link.applier.must_wait()
        {
            // The position is known only after the request is parsed, and the request borrows the
            // input.
            match input.next(&limits) {
                Ok(Some(request)) => {
                    let (args, raw) = (request.args, request.verbatim);
                    let pushed = link.applier.pushed;
                    let parsed = self.take_command(shell, args, raw);
                    let end = pushed - input.buffered() as u64;
                    self.end_command(shell, parsed, end);
                }
                Ok(None) => {
                    starved = true;
                    break;
                }
                Err(error) => {
                    failed = Some(format!("the upstream's stream: {error}"));
                    break;
                }
            }
        }
        if let Some(link) = &mut self.link {
            link.applier.input = input;
            link.applier.starved = starved;
        }
        if let Some(reason) = failed {
            self.link_failed(shell, &reason);
        }
    }

    /// Moves the bytes of whole units into the log.
    fn log_whole_units(&mut self) {
        let Some(link) = &mut self.link else { return };
        let applier = &mut link.applier;
        let unlogged = applier.pushed - applier.pending.len() as u64;
        if applier.whole > unlogged {
            let bytes = applier
                .pending
                .split_to((applier.whole - unlogged) as usize)
                .freeze();
            self.log.append_received(bytes);
            self.delay.last_applied_ms = self.shard.now.unix_ms;
        }
    }

    /// One command of the stream: what becomes of it is decided before its end is known.
    fn take_command(
        &mut self,
        shell: &mut dyn Shell,
        args: Args<'_>,
        raw: Option<&[u8]>,
    ) -> Parsed {
        let Some(command) = resolve(args) else {
            let name = String::from_utf8_lossy(&args[0]).into_owned();
            tracing::error!(%name, "the upstream sent a command that is not known here");
            let link = self.link.as_ref();
            return link.map_or(Parsed::Nothing, |link| link.applier.without_effect());
        };
        let parsed = self.take_known(shell, command, args, raw);
        if let Some(link) = &self.link
            && let Some(conn) = link.conn
        {
            self.shard
                .show_upstream(conn, command, link.applier.db, args);
        }
        parsed
    }

    fn take_known(
        &mut self,
        shell: &mut dyn Shell,
        command: &'static Command,
        args: Args<'_>,
        raw: Option<&[u8]>,
    ) -> Parsed {
        let Some(link) = &mut self.link else {
            return Parsed::Nothing;
        };
        let applier = &mut link.applier;
        let db = applier.db;
        match command.full_name {
            "select" => {
                let chosen = args.get(1).and_then(crate::value::number::parse_i64);
                let chosen = chosen.and_then(|db| usize::try_from(db).ok());
                applier.db = chosen
                    .filter(|db| *db < self.shard.keyspace.databases())
                    .unwrap_or(db);
                return applier.without_effect();
            }
            "multi" => {
                applier.multi = Some(Vec::new());
                return Parsed::Inside;
            }
            "exec" => return Parsed::Unit(applier.multi.take().unwrap_or_default()),
            "replconf" => {
                if args
                    .get(1)
                    .is_some_and(|arg| arg.eq_ignore_ascii_case(b"getack"))
                {
                    // The acknowledgement excludes the request's own bytes.
                    link.ack_now = true;
                    if link.applier.is_quiet() {
                        self.acknowledge(shell);
                    }
                }
                return Parsed::Nothing;
            }
            _ => {}
        }
        if !matches!(command.run, Runs::Data(_) | Runs::Everywhere { .. }) {
            // PING and what else leaves the dataset alone.
            return applier.without_effect();
        }
        if let Some(multi) = &mut applier.multi {
            multi.push(OwnedRequest::new(command, db, args, raw));
            return Parsed::Inside;
        }
        match self.single_owner(command, args) {
            Some(owner) => {
                let number = link_number(&mut self.link);
                let direct = self.shard.apply_at(owner, command, db, args, number);
                Parsed::Sent {
                    shard: (!direct).then_some(owner),
                }
            }
            None => Parsed::Unit(vec![OwnedRequest::new(command, db, args, raw)]),
        }
    }

    /// Counts a command whose end is now known.
    fn end_command(&mut self, shell: &mut dyn Shell, parsed: Parsed, end: u64) {
        let Some(link) = &mut self.link else { return };
        match parsed {
            Parsed::Inside => {}
            Parsed::Nothing => {
                link.applier.end_unit(end);
                link.applier.push_unit(end, None);
            }
            Parsed::Sent { shard } => {
                link.applier.end_unit(end);
                link.applier.push_unit(end, shard);
            }
            Parsed::Unit(unit) => {
                link.applier.end_unit(end);
                self.take_unit(shell, unit, end);
            }
        }
    }

    /// The shard that owns all keys of a command, if it has keys and there is one.
    fn single_owner(&self, command: &Command, args: Args<'_>) -> Option<usize> {
        let keyless = matches!(command.keys, Keys::None | Keys::Channel { .. });
        if !matches!(command.run, Runs::Data(_)) || keyless {
            return None;
        }
        if command.follows(args) {
            let alone = self.shard.shared.shards == 1 && self.shard.admits_all();
            return alone.then_some(0);
        }
        let (mut owner, mut several) = (None, false);
        command.for_each_key(args, |at| {
            let shard = self.shard.shared.owner(&args[at]);
            several |= owner.is_some_and(|first| first != shard);
            owner = Some(shard);
        });
        if several { None } else { owner }
    }

    fn take_unit(&mut self, shell: &mut dyn Shell, unit: Vec<OwnedRequest>, end: u64) {
        let mut owners = unit.iter().map(|r| self.single_owner(r.command, r.args()));
        let owner = owners.next().flatten();
        let same = owner.is_some() && owners.all(|other| other == owner);
        // Several commands may go one by one only where nothing can come between them.
        let owner =
            owner.filter(|owner| same && (unit.len() == 1 || self.shard.applies_now(*owner)));
        if unit.is_empty() {
            if let Some(link) = &mut self.link {
                link.applier.push_unit(end, None);
            }
        } else if let Some(owner) = owner {
            let number = link_number(&mut self.link);
            let mut direct = true;
            for request in &unit {
                let (command, db) = (request.command, request.db);
                direct &= self
                    .shard
                    .apply_at(owner, command, db, request.args(), number);
            }
            if let Some(link) = &mut self.link {
                link.applier.push_unit(end, (!direct).then_some(owner));
            }
        } else if self
            .link
            .as_ref()
            .is_some_and(|link| link.applier.under_way.is_empty())
        {
            self.rendezvous(shell, unit, end);
        } else if let Some(link) = &mut self.link {
            link.applier.waiting = Some((unit, end));
        }
    }

    fn rendezvous(&mut self, shell: &mut dyn Shell, unit: Vec<OwnedRequest>, end: u64) {
        let tx = self.shard.begin_upper(shell, Kind::Apply, unit);
        if let Some(link) = &mut self.link {
            link.applier.running = Some((tx, end));
        }
    }

    /// A rendezvous has run.
    pub(super) fn link_unit_done(&mut self, tx: u64) {
        let Some(link) = &mut self.link else { return };
        if let Some((running, end)) = link.applier.running
            && running == tx
        {
            link.applier.running = None;
            link.applier.applied = end;
        }
    }

    /// A shard has applied everything up to a unit.
    pub(super) fn link_applied(&mut self, from: usize, upto: u64) {
        let Some(link) = &mut self.link else { return };
        let acked = &mut link.applier.acked[from];
        *acked = upto.max(*acked);
        link.applier.note_applied();
    }

    /// Stops reading the stream; true once all that was read is applied.
    pub(super) fn hold_link(&mut self) -> bool {
        let Some(link) = &mut self.link else {
            return true;
        };
        link.applier.held = true;
        if link.applier.is_quiet() {
            self.log_whole_units();
            return true;
        }
        // A unit that waits for the others still has to run.
        link.applier.held = link.applier.waiting.is_none();
        false
    }

    /// Whether bytes were received that are not parsed although they could be.
    pub(super) fn has_unread_stream(&self) -> bool {
        if self.delay.active {
            // A promotion keeps what was applied.
            return self.awaits_delayed();
        }
        self.link.as_ref().is_some_and(|link| {
            let applier = &link.applier;
            link.state == State::Streaming
                && (!link.received.is_empty() || (applier.input.buffered() > 0 && !applier.starved))
        })
    }

    /// Reads on.
    pub(super) fn release_link(&mut self) {
        if let Some(link) = &mut self.link {
            link.applier.held = false;
        }
    }

    /// Whether the stream can be read on at once.
    pub(super) fn stream_is_waiting(&self) -> bool {
        self.delayed_is_due()
            || self.link.as_ref().is_some_and(|link| {
                let reads = link.state == State::Streaming || self.delay.active;
                (reads
                    && ((!link.received.is_empty() && link.state == State::Streaming)
                        || (link.applier.input.buffered() > 0
                            && !link.applier.starved
                            && !link.applier.must_wait())))
                    || (link.applier.waiting.is_some()
                        && link.applier.running.is_none()
                        && link.applier.under_way.is_empty())
            })
    }
}

/// What was done with a command whose end is not known yet.
enum Parsed {
    /// It is part of a transaction that has not ended.
    Inside,
    /// It changes nothing.
    Nothing,
    /// It was applied, or is on its way to a shard.
    Sent { shard: Option<usize> },
    /// A unit for `take_unit`.
    Unit(Vec<OwnedRequest>),
}

/// The number that the unit being sent will get.
fn link_number(link: &mut Option<Link>) -> u64 {
    link.as_ref().map_or(0, |link| link.applier.next_number)
}

fn resolve(args: Args<'_>) -> Option<&'static Command> {
    let command = table::find(args.get(0)?)?;
    match (command.subcommands.is_empty(), args.get(1)) {
        (false, Some(sub)) => table::find_subcommand(command, sub),
        _ => Some(command),
    }
    .filter(|command| command.arity_fits(args.len()))
}
