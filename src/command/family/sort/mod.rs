//! SORT and SORT_RO: the elements of a list, set or sorted set in some order.
//!
//! With BY and GET the order, and what is replied, come from keys whose names are made of a pattern
//! and an element. Such keys are not among the arguments: see [`FURTHER`].

mod options;
mod order;
#[cfg(test)]
mod tests;

use crate::command::notify::Class;
use crate::command::table::{Command, Doc, Flags, Further, KeyAccess, Keys, Run};
use crate::command::{Ctx, Error, Outcome};
use crate::keyspace::Entry;
use crate::protocol::Args;
use crate::value::list::{Builder, Direction, List};
use crate::value::sorted_set::SortedSet;
use crate::value::{Collection, Kind, ValueRef};
use options::{Options, Pattern};
use order::{Element, Elements};
use std::ops::Range;

const CATEGORIES: &[&str] = &["@set", "@sortedset", "@list", "@dangerous"];
const COMPLEXITY: &str = "O(N+M*log(M)) with N the elements and M those given; O(N) if nothing is \
                          to be sorted";

/// The keys that patterns lead to.
pub const FURTHER: Further = Further {
    applies: |args| Options::parse(args).is_ok_and(|options| options.follows_keys()),
    keys: further_keys,
};

/// The rows.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "sort",
        full_name: "sort",
        arity: -2,
        flags: Flags::WRITE.or(Flags::DENYOOM).or(Flags::MOVABLEKEYS),
        categories: CATEGORIES,
        keys: Keys::Sort { store: true },
        access: KeyAccess::Read,
        doc: Doc {
            summary: "Sorts the elements of a list, set or sorted set, and stores them on request.",
            since: "1.0.0",
            group: "generic",
            complexity: COMPLEXITY,
        },
        run: Run::Data(sort),
        further: Some(FURTHER),
        ..Command::ROW
    },
    Command {
        name: "sort_ro",
        full_name: "sort_ro",
        arity: -2,
        flags: Flags::READONLY.or(Flags::MOVABLEKEYS),
        categories: CATEGORIES,
        keys: Keys::Sort { store: false },
        access: KeyAccess::Read,
        doc: Doc {
            summary: "Gives the elements of a list, set or sorted set sorted.",
            since: "7.0.0",
            group: "generic",
            complexity: COMPLEXITY,
        },
        run: Run::Data(sort),
        further: Some(FURTHER),
        ..Command::ROW
    },
];

fn sort(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let mut options = Options::parse(args)?;
    let (mut elements, range) = match ctx.find(&args[1]) {
        Some(entry) => load(entry, &mut options)?,
        None => (Elements::default(), 0..0),
    };
    enlarge_sorted_set(ctx, &args[1]);
    if let Some(by @ Pattern::Key(_)) = options.by {
        read_keys_of_order(ctx, by, &mut elements);
    }
    elements.sort(&options, range.end)?;
    match options.store {
        Some(target) => store(ctx, &options, &elements, range, target),
        None => reply(ctx, &options, &elements, range),
    }
    Ok(())
}

/// Redis turns a small sorted set that it sorts into the large form, and leaves it so.
fn enlarge_sorted_set(ctx: &mut Ctx<'_>, key: &[u8]) {
    let db = ctx.db;
    let small = match ctx.keyspace.db(db).get(key).map(Entry::value) {
        Some(ValueRef::SortedSet(set)) => set.as_listpack().is_some(),
        _ => false,
    };
    if small
        && let Some(entry) = ctx.keyspace.db_mut(db).get_mut(key)
        && let Some(set) = entry.collection_mut::<SortedSet>()
    {
        set.enlarge(&ctx.state.settings.seed);
    }
}

/// The elements, and which of them are wanted once they are sorted. Where nothing is to be sorted
/// and the value has an order, only those are taken.
fn load(entry: &Entry, options: &mut Options<'_>) -> Result<(Elements, Range<usize>), Error> {
    let value = entry.value();
    let len = match value {
        ValueRef::List(list) => list.len(),
        ValueRef::Set(set) => set.len(),
        ValueRef::SortedSet(set) => set.len(),
        _ => return Err(Error::WrongType),
    };
    if options.by == Some(Pattern::Nothing) && value.kind() == Kind::Set && options.store.is_some()
    {
        // So that replicas store the same, whatever the order of their sets is.
        options.by = None;
        options.alpha = true;
    }
    let range = options.range(len);
    let unsorted = options.by == Some(Pattern::Nothing);
    let mut elements = Elements::of(value.kind() == Kind::List);
    match value {
        ValueRef::List(list) if unsorted => {
            let (start, direction) = match options.descending {
                true => (len - 1 - range.start.min(len - 1), Direction::Backward),
                false => (range.start, Direction::Forward),
            };
            list.walk_some(start, range.len(), direction, |element| {
                elements.push(element)
            });
        }
        ValueRef::List(list) => list.for_each(|element| elements.push(element)),
        ValueRef::SortedSet(set) if unsorted => {
            let ranks = match options.descending {
                true => len - range.end..len - range.start,
                false => range.clone(),
            };
            set.walk(ranks, options.descending, |element, _| {
                elements.push(element)
            });
        }
        ValueRef::SortedSet(set) => set.for_each(|element, _| elements.push(element)),
        ValueRef::Set(set) => set.iter().for_each(|element| elements.push(element)),
        _ => {}
    }
    match unsorted && value.kind() != Kind::Set {
        true => Ok((elements, 0..range.len())),
        false => Ok((elements, range)),
    }
}

/// Finds what the elements are ordered by.
fn read_keys_of_order(ctx: &mut Ctx<'_>, by: Pattern<'_>, elements: &mut Elements) {
    let mut text = Vec::new();
    for at in 0..elements.len() {
        text.clear();
        if look_up(ctx, by, elements.text(at), &mut text) {
            elements.order_by(at, &text);
        }
    }
}

/// Appends what a pattern leads to for an element; whether there is anything.
fn look_up(ctx: &mut Ctx<'_>, pattern: Pattern<'_>, element: &[u8], out: &mut Vec<u8>) -> bool {
    let key = match pattern {
        Pattern::Element => {
            out.extend_from_slice(element);
            return true;
        }
        Pattern::Nothing => return false,
        Pattern::Key(key) => key,
    };
    let Some(entry) = ctx.find(&key.name(element)) else {
        return false;
    };
    match (entry.value(), key.field) {
        (ValueRef::Int(number), None) => Element::Int(number).write(out),
        (ValueRef::Bytes(bytes), None) => out.extend_from_slice(bytes),
        (ValueRef::Hash(hash), Some(field)) => match hash.get(field) {
            Some(value) => value.write(out),
            None => return false,
        },
        _ => return false,
    }
    true
}

fn reply(ctx: &mut Ctx<'_>, options: &Options<'_>, elements: &Elements, range: Range<usize>) {
    ctx.reply.array(range.len() * options.gets.len().max(1));
    let mut text = Vec::new();
    for at in range {
        let element = elements.text(at);
        if options.gets.is_empty() {
            ctx.reply.bulk(element);
        }
        for pattern in &options.gets {
            text.clear();
            match look_up(ctx, *pattern, element, &mut text) {
                true => ctx.reply.bulk(&text),
                false => ctx.reply.null(),
            }
        }
    }
}

/// Stores the result as a list over whatever was there; an empty one leaves nothing.
fn store(
    ctx: &mut Ctx<'_>,
    options: &Options<'_>,
    elements: &Elements,
    range: Range<usize>,
    target: &[u8],
) {
    let limits = ctx.settings().list_limits;
    let mut list = Builder::new(&limits);
    let mut text = Vec::new();
    for at in range {
        let element = elements.text(at);
        if options.gets.is_empty() {
            list.element(element);
        }
        for pattern in &options.gets {
            // What is missing is stored as an empty string.
            text.clear();
            look_up(ctx, *pattern, element, &mut text);
            list.element(&text);
        }
    }
    let list = list.finish();
    let count = list.as_ref().map_or(0, List::len);
    if let Some(list) = list {
        ctx.prepare_write(ctx.db, target);
        if elements.are_tied(options) {
            propagate_result(ctx, &list, target);
        }
        ctx.set_value(target, Box::new(list).wrap(), None);
        ctx.changed(target, count as u64);
        ctx.notify(Class::LIST, "sortstore", target);
    } else if ctx.remove_unexamined(target) {
        ctx.changed(target, 1);
        ctx.notify(Class::GENERIC, "del", target);
    }
    ctx.reply.integer(count as i64);
}

/// Replicas store what was stored here, not what their own sorting makes of elements among which
/// nothing decides.
fn propagate_result(ctx: &mut Ctx<'_>, list: &List, target: &[u8]) {
    let elements = list.to_vec();
    let mut push: Vec<&[u8]> = vec![b"RPUSH", target];
    push.extend(elements.iter().map(Vec::as_slice));
    ctx.propagate_as(&[b"DEL", target]);
    ctx.propagate_as(&push);
}

/// The keys to which the patterns of a request lead from the elements of `entry`.
fn further_keys(entry: &Entry, args: Args<'_>) -> Vec<Box<[u8]>> {
    let Ok(mut options) = Options::parse(args) else {
        return Vec::new();
    };
    let Ok((elements, range)) = load(entry, &mut options) else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    let sorted = options.by != Some(Pattern::Nothing);
    for at in 0..elements.len() {
        // Which elements a limit leaves is not known before they are sorted.
        let wanted = sorted || range.contains(&at);
        let gets = options.gets.iter().copied().filter(|_| wanted);
        for pattern in options.by.into_iter().chain(gets) {
            if let Pattern::Key(key) = pattern {
                keys.push(key.name(elements.text(at)).into());
            }
        }
    }
    keys
}
