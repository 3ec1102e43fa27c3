//! Stream commands.
//!
//! Commands that change a group run in three steps, because a context lends either the stream or
//! its reply: they change the stream and note what came of it, write the reply from the stream as
//! it then is, and propagate what was noted.

mod claim;
mod edit;
mod group;
mod info;
mod options;
mod pending;
mod range;
mod read;
mod rows;
#[cfg(test)]
mod tests;

pub use rows::COMMANDS;

use crate::command::{Ctx, Error};
use crate::protocol::{Args, Reply, quote};
use crate::value::listpack::Element;
use crate::value::stream::{Entry, Group, Pending, Stream, StreamId};
use crate::value::{Collection, number};

const INVALID_ID: Error = Error::text("ERR Invalid stream ID specified as stream command argument");
const BAD_START: Error = Error::text("ERR invalid start ID for the interval");
const BAD_END: Error = Error::text("ERR invalid end ID for the interval");

/// An integer argument of any sign.
fn integer(text: &[u8]) -> Result<i64, Error> {
    number::parse_i64(text).ok_or(Error::NotInteger)
}

/// An integer argument, with an error of its own.
fn integer_or(text: &[u8], error: &'static str) -> Result<i64, Error> {
    number::parse_i64(text).ok_or(Error::text(error))
}

/// The id of an entry; without a sequence it is the first of its milliseconds.
fn id(text: &[u8]) -> Result<StreamId, Error> {
    StreamId::parse(text, 0).ok_or(INVALID_ID)
}

/// All arguments, as ids.
fn ids(args: Args<'_>) -> Result<Vec<StreamId>, Error> {
    args.iter().map(id).collect()
}

/// The id from which a range goes on, and the one at which it ends: `-`, `+`, and with `(` before
/// an id that is not part of it.
fn range_start(text: &[u8]) -> Result<StreamId, Error> {
    match text {
        [b'(', text @ ..] if !text.is_empty() => id(text)?.next().ok_or(BAD_START),
        text => StreamId::parse_bound(text, 0).ok_or(INVALID_ID),
    }
}

/// See [`range_start`].
fn range_end(text: &[u8]) -> Result<StreamId, Error> {
    let last = |text| StreamId::parse(text, u64::MAX).ok_or(INVALID_ID);
    match text {
        [b'(', text @ ..] if !text.is_empty() => last(text)?.previous().ok_or(BAD_END),
        text => StreamId::parse_bound(text, u64::MAX).ok_or(INVALID_ID),
    }
}

/// A part of an error's text that the client sent.
fn quoted(text: &[u8]) -> String {
    quote(text, text.len())
}

/// The error of a group that is not there, or is not because the key is not.
fn no_key_or_group(key: &[u8], group: &[u8]) -> Error {
    let (key, group) = (quoted(key), quoted(group));
    Error::Text(format!("NOGROUP No such key '{key}' or consumer group '{group}'").into())
}

/// The error of a group that is not there in a stream that is.
fn no_group(key: &[u8], group: &[u8]) -> Error {
    let (key, group) = (quoted(key), quoted(group));
    Error::Text(format!("NOGROUP No such consumer group '{group}' for key name '{key}'").into())
}

/// The clock as streams keep it.
fn now(ctx: &Ctx<'_>) -> i64 {
    i64::try_from(ctx.now_ms).unwrap_or(i64::MAX)
}

/// Calls `f` with the stream at `key`, or with a new one, which is then stored also without
/// entries, unless `f` fails.
fn with_stream<R>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    f: impl FnOnce(&mut Stream) -> Result<R, Error>,
) -> Result<R, Error> {
    if let Some(stream) = ctx.find_collection_mut::<Stream>(key)? {
        return f(stream);
    }
    let mut stream = Box::new(Stream::new());
    let result = f(&mut stream)?;
    ctx.set_value(key, stream.wrap(), None);
    Ok(result)
}

fn write_id(reply: &mut Reply, id: StreamId) {
    reply.bulk(id.text().bytes());
}

fn write_element(reply: &mut Reply, element: Element<'_>) {
    match element {
        Element::Int(number) => reply.bulk_integer(number),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}

/// An entry: its id and its fields with their values.
fn write_entry(reply: &mut Reply, entry: &Entry<'_>) {
    reply.array(2);
    write_id(reply, entry.id);
    reply.array(entry.len() * 2);
    for (field, value) in entry.pairs() {
        write_element(reply, field);
        write_element(reply, value);
    }
}

/// An array of entries, `count_max` at most.
fn write_entries<'a>(
    reply: &mut Reply,
    entries: impl Iterator<Item = Entry<'a>>,
    count_max: Option<usize>,
) {
    let array = reply.begin_array();
    let mut count = 0;
    for entry in entries.take(count_max.unwrap_or(usize::MAX)) {
        write_entry(reply, &entry);
        count += 1;
    }
    reply.finish(array, count);
}

/// A COUNT that limits a reply; without one, or with 0 where that means none, there is no limit.
fn count_max(count: i64) -> Option<usize> {
    match count {
        ..=0 => None,
        count => Some(usize::try_from(count).unwrap_or(usize::MAX)),
    }
}

/// Propagates that an entry is pending as it now is, or is to be dropped by whoever finds that it
/// is no longer in the stream.
fn propagate_claim(
    ctx: &mut Ctx<'_>,
    [key, group, consumer]: [&[u8]; 3],
    id: StreamId,
    (delivered_ms, count): (i64, u64),
    last_id: StreamId,
) {
    let (mut time, mut times) = (itoa::Buffer::new(), itoa::Buffer::new());
    ctx.propagate_as(&[
        b"XCLAIM",
        key,
        group,
        consumer,
        b"0",
        id.text().bytes(),
        b"TIME",
        time.format(delivered_ms).as_bytes(),
        b"RETRYCOUNT",
        times.format(count.cast_signed()).as_bytes(),
        b"FORCE",
        b"JUSTID",
        b"LASTID",
        last_id.text().bytes(),
    ]);
}

/// Propagates how far a group has read.
fn propagate_position(ctx: &mut Ctx<'_>, key: &[u8], name: &[u8], group: (StreamId, Option<u64>)) {
    let (last_id, read) = group;
    let mut digits = itoa::Buffer::new();
    ctx.propagate_as(&[
        b"XGROUP",
        b"SETID",
        key,
        name,
        last_id.text().bytes(),
        b"ENTRIESREAD",
        digits.format(entries_read(read)).as_bytes(),
    ]);
}

/// Entries read as they are shown and propagated: -1 if that is not known.
fn entries_read(read: Option<u64>) -> i64 {
    read.map_or(-1, u64::cast_signed)
}

/// Milliseconds since an entry was delivered. Not negative, whatever a peer claims.
fn idle_ms(pending: &Pending, now_ms: i64) -> i64 {
    now_ms.saturating_sub(pending.delivered_ms).max(0)
}

/// The group of this name in the stream at a key, or the error that says which of both is missing.
fn group_of<'s>(
    stream: Option<&'s mut Stream>,
    key: &[u8],
    name: &[u8],
) -> Result<&'s mut Group, Error> {
    let group = stream.and_then(|stream| stream.group_mut(name));
    group.ok_or_else(|| no_key_or_group(key, name))
}
