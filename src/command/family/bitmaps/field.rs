//! Integers within a string: BITFIELD, BITFIELD_RO.

use super::overflow::{Overflow, Type};
use super::{change, offset, text};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Entry;
use crate::protocol::Args;
use crate::value::bits::Field;
use crate::value::number::parse_i64;

/// One GET, SET or INCRBY.
#[derive(Clone, Copy, Debug)]
struct Step {
    action: Action,
    kind: Type,
    offset: u64,
    overflow: Overflow,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

impl Step {
    fn field(self) -> Field {
        Field {
            offset: self.offset,
            bits: self.kind.bits,
        }
    }

    /// Its reply, and whether it changed anything. Null where an overflow forbids to write.
    fn run(self, bytes: &mut [u8]) -> (Option<i64>, bool) {
        let before = self.field().get(bytes);
        let old = self.kind.read(before);
        let wanted = match self.action {
            Action::Get => return (Some(old), false),
            Action::Set(number) => self.kind.to_store(number),
            Action::Add(number) => i128::from(old) + i128::from(number),
        };
        let Some(after) = self.kind.fit(wanted, self.overflow) else {
            return (None, false);
        };
        self.field().set(bytes, after);
        let reply = match self.action {
            Action::Set(_) => old,
            _ => self.kind.read(after),
        };
        (Some(reply), before != after)
    }
}

/// Parses what follows the key.
fn steps(ctx: &Ctx<'_>, args: Args<'_>) -> Result<Vec<Step>, Error> {
    const BAD_TYPE: Error = Error::text(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but \
         i64 is.",
    );
    const BAD_OVERFLOW: Error = Error::text("ERR Invalid OVERFLOW type specified");
    let mut steps = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut at = 0;
    while let Some(word) = args.get(at) {
        let rest = args.tail(at + 1);
        let is = |name: &[u8], operands: usize| {
            word.eq_ignore_ascii_case(name) && rest.len() >= operands
        };
        if is(b"overflow", 1) {
            overflow = Overflow::parse(&rest[0]).ok_or(BAD_OVERFLOW)?;
            at += 2;
            continue;
        }
        let action: Option<fn(i64) -> Action> = match () {
            () if is(b"get", 2) => None,
            () if is(b"set", 3) => Some(Action::Set),
            () if is(b"incrby", 3) => Some(Action::Add),
            () => return Err(Error::Syntax),
        };
        let kind = Type::parse(&rest[0]).ok_or(BAD_TYPE)?;
        let offset = offset(ctx, &rest[1], Some(kind.bits))?;
        at += 3;
        let action = match action {
            None => Action::Get,
            Some(action) => {
                at += 1;
                action(parse_i64(&rest[2]).ok_or(Error::NotInteger)?)
            }
        };
        steps.push(Step {
            action,
            kind,
            offset,
            overflow,
        });
    }
    Ok(steps)
}

/// `BITFIELD key [OVERFLOW WRAP|SAT|FAIL | GET type offset | SET type offset value |
/// INCRBY type offset increment …]`
pub(super) fn bitfield(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let steps = steps(ctx, args.tail(2))?;
    let key = &args[1];
    let writes = steps.iter().filter(|step| step.action != Action::Get);
    let Some(len) = writes.map(|step| step.field().end_byte()).max() else {
        return read(ctx, key, &steps);
    };
    // `offset` has checked that it is within a string, or nearly so.
    let run = |bytes: &mut [u8]| -> Vec<_> { steps.iter().map(|step| step.run(bytes)).collect() };
    let (results, grew) = change(ctx, key, len as usize, run)?;
    let wrote = |(step, (reply, changed)): &(&Step, &(Option<i64>, bool))| {
        *changed || grew && step.action != Action::Get && reply.is_some()
    };
    let changes = steps.iter().zip(&results).filter(wrote).count();
    if changes > 0 {
        ctx.changed(key, changes as u64);
        ctx.notify(Class::STRING, "setbit", key);
    } else if grew {
        // Nothing could be written, but the string is there or longer: replicas must know.
        ctx.changed(key, 1);
    }
    ctx.reply.array(results.len());
    for (reply, _) in results {
        match reply {
            Some(number) => ctx.reply.integer(number),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

/// `BITFIELD_RO key [GET type offset …]`
pub(super) fn bitfield_ro(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    const ONLY_GET: Error = Error::text("ERR BITFIELD_RO only supports the GET subcommand");
    let steps = steps(ctx, args.tail(2))?;
    if steps.iter().any(|step| step.action != Action::Get) {
        return Err(ONLY_GET);
    }
    read(ctx, &args[1], &steps)
}

fn read(ctx: &mut Ctx<'_>, key: &[u8], steps: &[Step]) -> Outcome {
    let (entry, reply) = ctx.find_string_and_reply(key)?;
    let mut digits = itoa::Buffer::new();
    let bytes = text(entry.map(Entry::value), &mut digits);
    reply.array(steps.len());
    for step in steps {
        reply.integer(step.kind.read(step.field().get(bytes)));
    }
    Ok(())
}
