//! XREAD and XREADGROUP: reading on from an id, from several streams, and waiting for more.

use super::{
    count_max, id, integer, now, propagate_claim, propagate_position, quoted, write_entries,
    write_entry, write_id,
};
use crate::command::notify::Class;
use crate::command::wait::Wait;
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::{Args, Deferred, Reply, Version};
use crate::value::Kind;
use crate::value::stream::{ConsumerKey, Pending, Stream, StreamId};

/// The options of both commands.
#[derive(Default)]
struct Options<'a> {
    /// How long to wait, milliseconds, 0 for ever; `None` for not at all.
    block_ms: Option<u64>,
    count: Option<usize>,
    /// The group and the consumer.
    group: Option<(&'a [u8], &'a [u8])>,
    no_ack: bool,
    /// Which argument is the first key, and how many keys there are. As many ids follow.
    keys_at: usize,
    keys: usize,
}

impl<'a> Options<'a> {
    fn parse(now_ms: u64, args: Args<'a>, grouped: bool) -> Result<Self, Error> {
        let mut options = Options::default();
        let mut at = 1;
        while let Some(word) = args.get(at) {
            let more = args.len() - 1 - at;
            if word.eq_ignore_ascii_case(b"block") && more > 0 {
                at += 1;
                options.block_ms = Some(timeout(&args[at], now_ms)?);
            } else if word.eq_ignore_ascii_case(b"count") && more > 0 {
                at += 1;
                options.count = count_max(integer(&args[at])?);
            } else if word.eq_ignore_ascii_case(b"streams") && more > 0 {
                options.keys_at = at + 1;
                options.keys = more / 2;
                if !more.is_multiple_of(2) {
                    return Err(unbalanced(grouped));
                }
                break;
            } else if word.eq_ignore_ascii_case(b"group") && more >= 2 {
                if !grouped {
                    return Err(Error::text(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD \
                         instead.",
                    ));
                }
                options.group = Some((args.at(at + 1), args.at(at + 2)));
                at += 2;
            } else if word.eq_ignore_ascii_case(b"noack") {
                if !grouped {
                    return Err(Error::text(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD \
                         instead.",
                    ));
                }
                options.no_ack = true;
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        match options.keys_at {
            0 => Err(Error::Syntax),
            _ => Ok(options),
        }
    }

    fn key(&self, args: Args<'a>, index: usize) -> &'a [u8] {
        args.at(self.keys_at + index)
    }

    fn id(&self, args: Args<'a>, index: usize) -> &'a [u8] {
        args.at(self.keys_at + self.keys + index)
    }

    /// Ends a command that found nothing.
    fn finish_empty(
        &self,
        ctx: &mut Ctx<'_>,
        wakes_on_loss: bool,
        retry: impl FnOnce() -> Option<Vec<Vec<u8>>>,
    ) {
        match self.block_ms {
            None => ctx.reply.null_array(),
            Some(timeout_ms) => ctx.wait(Wait {
                kind: Kind::Stream,
                wakes_on_loss,
                timeout_ms,
                retry: retry(),
                on_timeout: Reply::null_array,
            }),
        }
    }
}

fn unbalanced(grouped: bool) -> Error {
    let (name, sign) = match grouped {
        true => ("xreadgroup", '>'),
        false => ("xread", '$'),
    };
    let text = format!(
        "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{sign}' must be \
         specified."
    );
    Error::Text(text.into())
}

/// A timeout in milliseconds.
fn timeout(text: &[u8], now_ms: u64) -> Result<u64, Error> {
    let timeout = super::integer_or(text, "ERR timeout is not an integer or out of range")?;
    let timeout = u64::try_from(timeout).map_err(|_| Error::text("ERR timeout is negative"))?;
    match now_ms.checked_add(timeout) {
        Some(end) if i64::try_from(end).is_ok() => Ok(timeout),
        _ => Err(Error::text("ERR timeout is out of range")),
    }
}

/// The reply of both commands: streams with their entries, if there is any.
#[derive(Default)]
struct Streams {
    begun: Option<Deferred>,
    count: usize,
}

impl Streams {
    /// Begins the reply's part of a stream; its entries follow.
    fn begin(&mut self, reply: &mut Reply, key: &[u8]) {
        let resp2 = reply.version() == Version::Resp2;
        if self.begun.is_none() {
            self.begun = Some(match resp2 {
                true => reply.begin_array(),
                false => reply.begin_map(),
            });
        }
        if resp2 {
            reply.array(2);
        }
        reply.bulk(key);
        self.count += 1;
    }

    /// Ends it; whether there was a stream.
    fn finish(self, reply: &mut Reply) -> bool {
        let Some(begun) = self.begun else {
            return false;
        };
        reply.finish(begun, self.count);
        true
    }
}

pub(super) fn xread(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = Options::parse(ctx.now_ms, args, false)?;
    let mut after = Vec::with_capacity(options.keys);
    for index in 0..options.keys {
        let stream = ctx.find_collection::<Stream>(options.key(args, index))?;
        after.push(match options.id(args, index) {
            b"$" => stream.map_or(StreamId::MIN, Stream::last_id),
            b"+" => before_last(stream)?,
            b">" => {
                return Err(Error::text(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP \
                     <group> <consumer> option.",
                ));
            }
            text => id(text)?,
        });
    }
    let mut streams = Streams::default();
    for (index, after) in after.iter().enumerate() {
        let key = options.key(args, index);
        let (stream, reply) = ctx.find_collection_and_reply::<Stream>(key)?;
        let next = after.next();
        if let (Some(stream), Some(next)) = (stream, next)
            && stream.last_id() > *after
            && stream.last_live_id() > *after
        {
            streams.begin(reply, key);
            write_entries(reply, stream.range(next, StreamId::MAX), options.count);
        }
    }
    if !streams.finish(ctx.reply) {
        options.finish_empty(ctx, false, || retry(args, &options, &after));
    }
    Ok(())
}

/// The id before the last one, so that the last entry is all there is to read.
fn before_last(stream: Option<&Stream>) -> Result<StreamId, Error> {
    let Some(stream) = stream else {
        return Ok(StreamId::MIN);
    };
    let before = stream.last_id().previous();
    before.ok_or(Error::text("ERR the stream last element ID is 0-0"))
}

/// The request with the ids for which `$` stood when it came.
fn retry(args: Args<'_>, options: &Options<'_>, after: &[StreamId]) -> Option<Vec<Vec<u8>>> {
    let ids = args.tail(options.keys_at + options.keys);
    if !ids.iter().any(|text| text == b"$") {
        return None;
    }
    let head = args.iter().take(args.len() - ids.len()).map(<[u8]>::to_vec);
    let ids = ids.iter().zip(after).map(|(text, id)| match text {
        b"$" => id.text().bytes().to_vec(),
        text => text.to_vec(),
    });
    Some(head.chain(ids).collect())
}

pub(super) fn xreadgroup(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = Options::parse(ctx.now_ms, args, true)?;
    let Some((name, consumer)) = options.group else {
        return Err(Error::text("ERR Missing GROUP option for XREADGROUP"));
    };
    // What it does is propagated command by command.
    ctx.propagate_nothing();
    let after = group_positions(ctx, args, &options, name)?;
    let mut streams = Streams::default();
    for (index, after) in after.into_iter().enumerate() {
        let key = options.key(args, index);
        let mut reading = Reading {
            key,
            name,
            consumer,
            count: options.count,
            no_ack: options.no_ack,
        };
        if let Some(read) = reading.read(ctx, after)? {
            streams.begin(ctx.reply, key);
            reading.reply(ctx, &read)?;
            ctx.count_dirty(1);
            reading.propagate(ctx, &read);
        }
    }
    if !streams.finish(ctx.reply) {
        options.finish_empty(ctx, true, || None);
    }
    Ok(())
}

/// From where each stream is read: an id of the consumer's history, or `None` for what the group
/// has not read yet. Checks that all groups are there.
fn group_positions(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    options: &Options<'_>,
    name: &[u8],
) -> Result<Vec<Option<StreamId>>, Error> {
    let mut positions = Vec::with_capacity(options.keys);
    for index in 0..options.keys {
        let key = options.key(args, index);
        let stream = ctx.find_collection::<Stream>(key)?;
        if stream.and_then(|stream| stream.group(name)).is_none() {
            let (key, name) = (quoted(key), quoted(name));
            let text = format!(
                "NOGROUP No such key '{key}' or consumer group '{name}' in XREADGROUP with GROUP \
                 option"
            );
            return Err(Error::Text(text.into()));
        }
        positions.push(match options.id(args, index) {
            b">" => None,
            sign @ (b"$" | b"+") => return Err(meaningless(char::from(sign[0]))),
            // Redis takes the greatest id for `>`.
            text => Some(id(text)?).filter(|id| *id != StreamId::MAX),
        });
    }
    Ok(positions)
}

fn meaningless(sign: char) -> Error {
    let text = format!(
        "ERR The {sign} ID is meaningless in the context of XREADGROUP: you want to read the \
         history of this consumer by specifying a proper ID, or use the > ID to get new messages. \
         The {sign} ID would just return an empty result set."
    );
    Error::Text(text.into())
}

/// A consumer that reads one stream.
struct Reading<'a> {
    key: &'a [u8],
    name: &'a [u8],
    consumer: &'a [u8],
    count: Option<usize>,
    no_ack: bool,
}

/// What it read.
struct Read {
    ids: Vec<StreamId>,
    /// From the consumer's own pending entries, some of which may have been deleted.
    history: bool,
    /// The group's position, if it moved.
    position: Option<(StreamId, Option<u64>)>,
}

impl Reading<'_> {
    /// Reads, and changes the group accordingly. `None` if there is nothing to reply.
    fn read(&mut self, ctx: &mut Ctx<'_>, after: Option<StreamId>) -> Result<Option<Read>, Error> {
        let now_ms = now(ctx);
        let Some(stream) = ctx.find_collection_mut::<Stream>(self.key)? else {
            return Ok(None);
        };
        let Some(group) = stream.group_mut(self.name) else {
            return Ok(None);
        };
        let found = group.find_consumer(self.consumer);
        let consumer = match found.or_else(|| group.create_consumer(self.consumer, now_ms)) {
            Some(consumer) => consumer,
            None => return Ok(None),
        };
        group.consumer_mut(consumer).seen_ms = now_ms;
        let read = match after {
            Some(after) => Some(self.read_history(stream, consumer, after, now_ms)),
            None => self.read_new(stream, consumer, now_ms),
        };
        if found.is_none() {
            ctx.count_dirty(1);
            ctx.notify(Class::STREAM, "xgroup-createconsumer", self.key);
            if self.no_ack {
                let (key, name) = (self.key, self.name);
                ctx.propagate_as(&[b"XGROUP", b"CREATECONSUMER", key, name, self.consumer]);
            }
        }
        Ok(read)
    }

    /// Entries that were delivered to the consumer before, each of which counts as delivered again
    /// if it is still there.
    fn read_history(
        &self,
        stream: &mut Stream,
        consumer: ConsumerKey,
        after: StreamId,
        now_ms: i64,
    ) -> Read {
        let mut ids = Vec::new();
        if let (Some(group), Some(next)) = (stream.group(self.name), after.next()) {
            let own = group.consumer(consumer).pending().range(next..);
            ids.extend(own.take(self.count.unwrap_or(usize::MAX)));
        }
        for id in &ids {
            if stream.get(*id).is_some()
                && let Some(group) = stream.group_mut(self.name)
            {
                group.deliver_again(*id, now_ms);
            }
        }
        Read {
            ids,
            history: true,
            position: None,
        }
    }

    /// Entries that the group has not read yet.
    fn read_new(&self, stream: &mut Stream, consumer: ConsumerKey, now_ms: i64) -> Option<Read> {
        let group = stream.group(self.name)?;
        let (mut last_id, mut read) = (group.last_id, group.entries_read);
        let entries = stream.range(last_id.next()?, StreamId::MAX);
        let entries = entries.take(self.count.unwrap_or(usize::MAX));
        let ids: Vec<StreamId> = entries.map(|entry| entry.id).collect();
        for id in &ids {
            read = match read {
                Some(read) if !stream.is_torn_after(*id) => Some(read.wrapping_add(1)),
                _ if stream.entries_added() > 0 => stream.entries_up_to(*id),
                read => read,
            };
            last_id = *id;
        }
        let group = stream.group_mut(self.name)?;
        (group.last_id, group.entries_read) = (last_id, read);
        if !self.no_ack {
            for id in &ids {
                let pending = Pending {
                    consumer,
                    delivered_ms: now_ms,
                    count: 1,
                };
                group.assign(*id, pending);
            }
            if !ids.is_empty() {
                group.consumer_mut(consumer).active_ms = Some(now_ms);
            }
        }
        let position = (!ids.is_empty()).then_some((last_id, read));
        position.map(|_| Read {
            ids,
            history: false,
            position,
        })
    }

    /// Writes the entries.
    fn reply(&self, ctx: &mut Ctx<'_>, read: &Read) -> Outcome {
        let (stream, reply) = ctx.find_collection_and_reply::<Stream>(self.key)?;
        let Some(stream) = stream else {
            return Ok(());
        };
        if !read.history {
            let (Some(first), Some(last)) = (read.ids.first(), read.ids.last()) else {
                return Ok(());
            };
            reply.array(read.ids.len());
            stream
                .range(*first, *last)
                .for_each(|entry| write_entry(reply, &entry));
            return Ok(());
        }
        reply.array(read.ids.len());
        for id in &read.ids {
            match stream.get(*id) {
                Some(entry) => write_entry(reply, &entry),
                None => {
                    reply.array(2);
                    write_id(reply, *id);
                    reply.null_array();
                }
            }
        }
        Ok(())
    }

    fn propagate(&self, ctx: &mut Ctx<'_>, read: &Read) {
        let Some(position) = read.position else {
            return;
        };
        if !ctx.effects.enabled() {
            return;
        }
        if !self.no_ack {
            let delivery = (now(ctx), 1);
            for id in &read.ids {
                let place = [self.key, self.name, self.consumer];
                propagate_claim(ctx, place, *id, delivery, *id);
            }
        }
        propagate_position(ctx, self.key, self.name, position);
    }
}
