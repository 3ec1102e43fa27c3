//! Commands that bring a value under another key, or out of the server and back.

use super::{database, integer};
use crate::command::notify::Class;
use crate::command::{Ctx, Error, Origin, Outcome};
use crate::keyspace::Entry;
use crate::keyspace::access::Clock;
use crate::protocol::Args;
use crate::value::codec::{self, Collections};

/// Puts an entry into a database under `key`; what was there is freed without stalling. It is a
/// new key, also where there was one.
fn put(ctx: &mut Ctx<'_>, db: usize, key: &[u8], entry: Entry) {
    ctx.notify_in(db, Class::NEW, "new", key);
    let database = ctx.keyspace.db_mut(db);
    if let Some(old) = database.insert(entry) {
        database.discard(old);
    }
}

pub(super) fn rename(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    rename_unless(ctx, args, |_| false)?;
    ctx.reply.ok();
    Ok(())
}

pub(super) fn renamenx(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let renamed = rename_unless(ctx, args, |target_exists| target_exists)?;
    ctx.reply.integer(i64::from(renamed));
    Ok(())
}

/// Renames unless `refuses`, given whether the target exists, says otherwise; whether it did.
fn rename_unless(
    ctx: &mut Ctx<'_>,
    args: Args<'_>,
    refuses: impl FnOnce(bool) -> bool,
) -> Result<bool, Error> {
    let (from, to) = (&args[1], &args[2]);
    if !ctx.exists_for_write(from) {
        return Err(Error::NoSuchKey);
    }
    if from == to {
        return Ok(false);
    }
    let target_exists = ctx.exists_for_write(to);
    if refuses(target_exists) {
        return Ok(false);
    }
    let entry = ctx.database().remove(from).ok_or(Error::NoSuchKey)?;
    let (expire_at, access) = (entry.expire_at(), entry.access());
    let mut renamed = Entry::new(to, entry.into_value(), expire_at);
    renamed.set_access(access);
    put(ctx, ctx.db, to, renamed);
    ctx.changed(from, 1);
    ctx.changed(to, 0);
    ctx.notify(Class::GENERIC, "rename_from", from);
    ctx.notify(Class::GENERIC, "rename_to", to);
    Ok(true)
}

pub(super) fn move_key(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let key = &args[1];
    let target = database(ctx, args, 2)?;
    if target == ctx.db {
        return Err(Error::SameObject);
    }
    let movable = ctx.exists_for_write(key) && {
        ctx.prepare_write(target, key);
        ctx.keyspace.db(target).get(key).is_none()
    };
    let entry = if movable {
        ctx.database().remove(key)
    } else {
        None
    };
    let moved = entry.is_some();
    if let Some(entry) = entry {
        put(ctx, target, key, entry);
        ctx.changed(key, 1);
        ctx.changed_in(target, key, 0);
        ctx.notify(Class::GENERIC, "move_from", key);
        ctx.notify_in(target, Class::GENERIC, "move_to", key);
    }
    ctx.reply.integer(i64::from(moved));
    Ok(())
}

pub(super) fn copy(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (from, to) = (&args[1], &args[2]);
    let (mut target, mut replace) = (ctx.db, false);
    let mut at = 3;
    while let Some(option) = args.get(at) {
        if option.eq_ignore_ascii_case(b"replace") {
            replace = true;
        } else if option.eq_ignore_ascii_case(b"db") && at + 1 < args.len() {
            at += 1;
            target = database(ctx, args, at)?;
        } else {
            return Err(Error::Syntax);
        }
        at += 1;
    }
    if target == ctx.db && from == to {
        return Err(Error::SameObject);
    }
    let found = ctx.find(from).is_some();
    if found {
        ctx.prepare_write(target, to);
    }
    let blocked = !replace && ctx.keyspace.db(target).get(to).is_some();
    let source = match ctx.keyspace.db(ctx.db).get(from) {
        Some(entry) if found && !blocked => Entry::new(to, entry.to_value(), entry.expire_at()),
        _ => {
            ctx.reply.integer(0);
            return Ok(());
        }
    };
    put(ctx, target, to, source);
    ctx.changed_in(target, to, 1);
    ctx.notify_in(target, Class::GENERIC, "copy_to", to);
    ctx.reply.integer(1);
    Ok(())
}

pub(super) fn dump(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let compression = ctx.settings().compression;
    match ctx.find_and_reply(&args[1]) {
        (Some(entry), reply) => reply.bulk(&codec::dump(entry.value(), compression)),
        (None, reply) => reply.null(),
    }
    Ok(())
}

/// The options of RESTORE.
#[derive(Default)]
struct RestoreOptions {
    replace: bool,
    absolute: bool,
    idle_s: Option<i64>,
    frequency: Option<i64>,
}

impl RestoreOptions {
    fn parse(args: Args<'_>) -> Result<Self, Error> {
        let mut options = RestoreOptions::default();
        let mut at = 4;
        while let Some(option) = args.get(at) {
            let has_value = at + 1 < args.len();
            if option.eq_ignore_ascii_case(b"replace") {
                options.replace = true;
            } else if option.eq_ignore_ascii_case(b"absttl") {
                options.absolute = true;
            } else if option.eq_ignore_ascii_case(b"idletime")
                && has_value
                && options.frequency.is_none()
            {
                at += 1;
                let idle = integer(args, at)?;
                if idle < 0 {
                    return Err(Error::text("ERR Invalid IDLETIME value, must be >= 0"));
                }
                options.idle_s = Some(idle);
            } else if option.eq_ignore_ascii_case(b"freq") && has_value && options.idle_s.is_none()
            {
                at += 1;
                let frequency = integer(args, at)?;
                if !(0..=255).contains(&frequency) {
                    return Err(Error::text(
                        "ERR Invalid FREQ value, must be >= 0 and <= 255",
                    ));
                }
                options.frequency = Some(frequency);
            } else {
                return Err(Error::Syntax);
            }
            at += 1;
        }
        Ok(options)
    }
}

pub(super) fn restore(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let options = RestoreOptions::parse(args)?;
    let key = &args[1];
    if !options.replace && ctx.exists_for_write(key) {
        return Err(Error::text("BUSYKEY Target key name already exists."));
    }
    let Ok(ttl) = u64::try_from(integer(args, 2)?) else {
        return Err(Error::text("ERR Invalid TTL value, must be >= 0"));
    };
    let collections = Collections {
        hash_limits: ctx.settings().hash_limits,
        list_limits: ctx.settings().list_limits,
        set_limits: ctx.settings().set_limits,
        sorted_set_limits: ctx.settings().sorted_set_limits,
        seed: ctx.settings().seed,
    };
    let value = codec::restore(&args[3], &collections)
        .map_err(|error| Error::Text(format!("ERR {error}").into()))?;
    let expire_at = match ttl {
        0 => None,
        _ if options.absolute => Some(ttl),
        _ => Some(ttl.saturating_add(ctx.now_ms).min(i64::MAX as u64)),
    };
    let deleted = options.replace && ctx.remove(key);
    ctx.reply.ok();
    if ctx.origin == Origin::Primary && expire_at.is_some_and(|at| at <= ctx.now_ms) {
        // It would have expired already: only the old key goes.
        if deleted {
            let lazy = ctx.settings().lazy_server_del;
            let name: &[u8] = if lazy { b"UNLINK" } else { b"DEL" };
            ctx.propagate_as(&[name, key]);
            ctx.changed(key, 1);
            ctx.notify(Class::GENERIC, "del", key);
        }
        return Ok(());
    }
    let mut entry = Entry::new(key, value, expire_at);
    let idle_s = options.idle_s.and_then(|idle_s| u64::try_from(idle_s).ok());
    let count = options.frequency.and_then(|count| u8::try_from(count).ok());
    let clock = Clock {
        seconds: (ctx.now_ms / 1000) as u32,
        ..ctx.keyspace.clock()
    };
    if let Some(word) = clock.restored(idle_s, count) {
        entry.set_access(word);
    }
    put(ctx, ctx.db, key, entry);
    if let Some(at) = expire_at.filter(|_| !options.absolute) {
        let mut digits = itoa::Buffer::new();
        let mut request: Vec<&[u8]> = args.iter().collect();
        request[2] = digits.format(at).as_bytes();
        request.push(b"ABSTTL");
        ctx.propagate_as(&request);
    }
    ctx.changed(key, 1);
    ctx.notify(Class::GENERIC, "restore", key);
    Ok(())
}
