//! Commands that add and remove entries.

use super::options::Options;
use super::{id, ids, integer, with_stream};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Outcome};
use crate::protocol::Args;
use crate::value::Kind;
use crate::value::stream::{AppendError, Keep, NewId, Stream, StreamId, Trim};

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Self {
        Error::text(match error {
            AppendError::Exhausted => {
                "ERR The stream has exhausted the last possible ID, unable to add more items"
            }
            AppendError::NotGreater => {
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
            }
            AppendError::TooLarge => "ERR Elements are too large to be stored",
        })
    }
}

/// What XADD did.
struct Added {
    id: StreamId,
    trimmed: u64,
    /// By which threshold trimming without `~` removes as much.
    exact: Option<Threshold>,
}

/// A threshold of trimming as text.
struct Threshold(Vec<u8>);

impl Threshold {
    /// Of a stream that was just trimmed.
    fn of(trim: &Trim, stream: &Stream) -> Self {
        let mut text = Vec::new();
        match trim.keep {
            Keep::Entries(_) => {
                text.extend_from_slice(itoa::Buffer::new().format(stream.len()).as_bytes());
            }
            Keep::From(_) => stream
                .first_stored_id()
                .unwrap_or(StreamId::MAX)
                .write(&mut text),
        }
        Self(text)
    }
}

pub(super) fn xadd(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = Options::of_add(ctx, args)?;
    let pairs = args.tail(options.id_at + 1);
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(Error::Arity("xadd".into()));
    }
    if options.id == NewId::Exactly(StreamId::MIN) {
        return Err(Error::text(
            "ERR The ID specified in XADD must be greater than 0-0",
        ));
    }
    let key = &args[1];
    if options.no_create && !ctx.check_kind(key, Kind::Stream)? {
        ctx.reply.null();
        return Ok(());
    }
    let limits = ctx.settings().stream_limits;
    let propagates = ctx.effects.enabled();
    let added = with_stream(ctx, key, |stream| {
        let id = stream.append(options.id, pairs.iter(), &limits)?;
        let trimmed = options.trim.as_ref().map_or(0, |trim| stream.trim(trim));
        let inexact = options.trim.filter(|trim| trim.approximate && propagates);
        Ok(Added {
            id,
            trimmed,
            exact: inexact.map(|trim| Threshold::of(&trim, stream)),
        })
    })?;
    let text = added.id.text();
    ctx.reply.bulk(text.bytes());
    ctx.changed(key, 1);
    ctx.notify(Class::STREAM, "xadd", key);
    if added.trimmed > 0 {
        ctx.notify(Class::STREAM, "xtrim", key);
    }
    let chosen = match options.id {
        NewId::Exactly(_) => None,
        _ => Some((options.id_at, text.bytes())),
    };
    if propagates && (added.exact.is_some() || chosen.is_some()) {
        propagate_exactly(ctx, args, &options, added.exact, chosen);
    }
    Ok(())
}

pub(super) fn xtrim(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = Options::of_trim(ctx, args)?;
    let key = &args[1];
    let propagates = ctx.effects.enabled();
    let mut exact = None;
    let mut removed = 0;
    if let (Some(stream), Some(trim)) = (ctx.find_collection_mut::<Stream>(key)?, options.trim) {
        removed = stream.trim(&trim);
        if trim.approximate && propagates {
            exact = Some(Threshold::of(&trim, stream));
        }
    }
    if removed > 0 {
        ctx.changed(key, removed);
        ctx.notify(Class::STREAM, "xtrim", key);
        if exact.is_some() {
            propagate_exactly(ctx, args, &options, exact, None);
        }
    }
    ctx.reply.integer(removed.cast_signed());
    Ok(())
}

/// Propagates the request with the id that was chosen, and with `=` and the threshold that gives
/// the same result instead of `~`.
fn propagate_exactly(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    options: &Options,
    exact: Option<Threshold>,
    id: Option<(usize, &[u8])>,
) {
    let mut request: Vec<&[u8]> = args.iter().collect();
    if let Some(Threshold(text)) = &exact {
        request[options.threshold_at - 1] = b"=";
        request[options.threshold_at] = text;
    }
    if let Some((at, text)) = id {
        request[at] = text;
    }
    ctx.propagate_as(&request);
}

pub(super) fn xdel(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    let ids = ids(args.tail(2));
    let deleted = match ctx.find_collection_mut::<Stream>(key)? {
        Some(stream) => stream.delete(ids?.into_iter()),
        None => 0,
    };
    if deleted > 0 {
        ctx.changed(key, deleted);
        ctx.notify(Class::STREAM, "xdel", key);
    }
    ctx.reply.integer(deleted.cast_signed());
    Ok(())
}

pub(super) fn xsetid(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    let last_id = id(&args[2])?;
    let (added, max_deleted) = set_id_options(args, last_id)?;
    let stream = ctx.find_collection_mut::<Stream>(key)?;
    let stream = stream.ok_or(Error::NoSuchKey)?;
    if last_id < stream.max_deleted_id() {
        return Err(Error::text(
            "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
        ));
    }
    if !stream.is_empty() {
        if last_id < stream.last_live_id() {
            return Err(Error::text(
                "ERR The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        if added.is_some_and(|added| added < stream.len() as u64) {
            return Err(Error::text(
                "ERR The entries_added specified in XSETID is smaller than the target stream \
                 length",
            ));
        }
    }
    stream.set_ids(last_id, added, max_deleted);
    ctx.reply.ok();
    // Not a change that WATCH sees.
    ctx.count_dirty(1);
    ctx.notify(Class::STREAM, "xsetid", key);
    Ok(())
}

/// ENTRIESADDED and MAXDELETEDID, as far as they were given.
fn set_id_options(
    args: Args<'_>,
    last_id: StreamId,
) -> Result<(Option<u64>, Option<StreamId>), Error> {
    let (mut added, mut max_deleted) = (None, None);
    let mut at = 3;
    while let Some(word) = args.get(at) {
        let value = args.get(at + 1).ok_or(Error::Syntax)?;
        if word.eq_ignore_ascii_case(b"entriesadded") {
            let count = u64::try_from(integer(value)?);
            added = Some(count.map_err(|_| Error::text("ERR entries_added must be positive"))?);
        } else if word.eq_ignore_ascii_case(b"maxdeletedid") {
            let deleted = id(value)?;
            if last_id < deleted {
                return Err(Error::text(
                    "ERR The ID specified in XSETID is smaller than the provided \
                     max_deleted_entry_id",
                ));
            }
            max_deleted = Some(deleted);
        } else {
            return Err(Error::Syntax);
        }
        at += 2;
    }
    // Zero is as good as none.
    Ok((added, max_deleted.filter(|id| *id > StreamId::MIN)))
}
