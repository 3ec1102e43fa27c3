//! Publish and subscribe. The shard runs the commands of subscribers, who are connections.

use crate::command::error::SUBCOMMAND_SHOWN_MAX;
use crate::command::pubsub::{Message, Space};
use crate::command::session::SessionOp;
use crate::command::table::{Command, Doc, Flags, KeyAccess, Keys, Run};
use crate::command::{Ctx, Error, Outcome, Part, Settings};
use crate::protocol::{Args, Reply, quote};
use crate::value::glob::glob_match;

const ANYWHERE: Flags = Flags::LOADING.or(Flags::STALE);
const ASKS: Flags = Flags::PUBSUB.or(ANYWHERE);
const SUBSCRIBES: Flags = ASKS.or(Flags::NOSCRIPT);
const SPEAKS: Flags = ASKS.or(Flags::FAST).or(Flags::MAY_REPLICATE);

const fn doc(summary: &'static str, since: &'static str, complexity: &'static str) -> Doc {
    Doc {
        summary,
        since,
        group: "pubsub",
        complexity,
    }
}

const fn subscriber(
    name: &'static str,
    arity: i16,
    op: SessionOp,
    keys: Keys,
    doc: Doc,
) -> Command {
    Command {
        name,
        full_name: name,
        arity,
        flags: SUBSCRIBES,
        keys,
        access: KeyAccess::NotKey,
        doc,
        run: Run::Session(op),
        ..Command::ROW
    }
}

const fn asks(
    (name, full_name): (&'static str, &'static str),
    arity: i16,
    part: fn(&mut Ctx<'_>, Args<'_>) -> Part,
    merge: fn(Vec<Part>, Args<'_>, &mut Reply) -> Outcome,
    doc: Doc,
) -> Command {
    Command {
        name,
        full_name,
        arity,
        flags: ASKS,
        doc,
        run: Run::Everywhere { check, part, merge },
        ..Command::ROW
    }
}

/// The rows.
pub static COMMANDS: &[Command] = &[
    subscriber(
        "psubscribe",
        -2,
        SessionOp::Subscribe(Space::Pattern),
        Keys::None,
        doc(
            "Begins to listen to all channels that fit patterns.",
            "2.0.0",
            "O(N) where N is the number of patterns to subscribe to.",
        ),
    ),
    Command {
        name: "publish",
        full_name: "publish",
        arity: 3,
        flags: SPEAKS,
        keys: Keys::Channel { shown: false },
        access: KeyAccess::NotKey,
        doc: doc(
            "Says something on a channel.",
            "2.0.0",
            "O(N+M) where N is the number of clients subscribed to the receiving channel and M is \
             the total number of subscribed patterns (by any client).",
        ),
        run: Run::Data(publish),
        ..Command::ROW
    },
    PUBSUB,
    subscriber(
        "punsubscribe",
        -1,
        SessionOp::Unsubscribe(Space::Pattern),
        Keys::None,
        doc(
            "Ends to listen to patterns of channels.",
            "2.0.0",
            "O(N) where N is the number of patterns to unsubscribe.",
        ),
    ),
    Command {
        name: "spublish",
        full_name: "spublish",
        arity: 3,
        flags: SPEAKS,
        keys: Keys::Channel { shown: true },
        access: KeyAccess::NotKey,
        doc: doc(
            "Says something on a channel of a cluster's shard.",
            "7.0.0",
            "O(N) where N is the number of clients subscribed to the receiving shard channel.",
        ),
        run: Run::Data(spublish),
        ..Command::ROW
    },
    subscriber(
        "ssubscribe",
        -2,
        SessionOp::Subscribe(Space::Shard),
        Keys::Channels,
        doc(
            "Begins to listen to channels of a cluster's shard.",
            "7.0.0",
            "O(N) where N is the number of shard channels to subscribe to.",
        ),
    ),
    subscriber(
        "subscribe",
        -2,
        SessionOp::Subscribe(Space::Channel),
        Keys::None,
        doc(
            "Begins to listen to channels.",
            "2.0.0",
            "O(N) where N is the number of channels to subscribe to.",
        ),
    ),
    subscriber(
        "sunsubscribe",
        -1,
        SessionOp::Unsubscribe(Space::Shard),
        Keys::Channels,
        doc(
            "Ends to listen to channels of a cluster's shard.",
            "7.0.0",
            "O(N) where N is the number of shard channels to unsubscribe.",
        ),
    ),
    subscriber(
        "unsubscribe",
        -1,
        SessionOp::Unsubscribe(Space::Channel),
        Keys::None,
        doc(
            "Ends to listen to channels.",
            "2.0.0",
            "O(N) where N is the number of channels to unsubscribe.",
        ),
    ),
];

const PUBSUB: Command = Command {
    name: "pubsub",
    full_name: "pubsub",
    arity: -2,
    doc: doc(
        "Holds the commands about channels.",
        "2.8.0",
        "Depends on subcommand.",
    ),
    run: Run::Container,
    subcommands: SUBCOMMANDS,
    ..Command::ROW
};

static SUBCOMMANDS: &[Command] = &[
    asks(
        ("channels", "pubsub|channels"),
        -2,
        channels,
        merge_names,
        doc(
            "Lists the channels that somebody listens to.",
            "2.8.0",
            "O(N) where N is the number of active channels, and assuming constant time pattern \
             matching (relatively short channels and patterns)",
        ),
    ),
    Command {
        name: "help",
        full_name: "pubsub|help",
        arity: 2,
        flags: ANYWHERE,
        doc: doc("Lists the subcommands.", "6.2.0", "O(1)"),
        run: Run::Data(help),
        ..Command::ROW
    },
    asks(
        ("numpat", "pubsub|numpat"),
        2,
        pattern_count,
        merge_count,
        doc("Counts the patterns listened to.", "2.8.0", "O(1)"),
    ),
    asks(
        ("numsub", "pubsub|numsub"),
        -2,
        subscriber_counts,
        merge_counts,
        doc(
            "Counts who listens to channels.",
            "2.8.0",
            "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
        ),
    ),
    asks(
        ("shardchannels", "pubsub|shardchannels"),
        -2,
        shard_channels,
        merge_names,
        doc(
            "Lists the channels of a cluster's shard that somebody listens to.",
            "7.0.0",
            "O(N) where N is the number of active shard channels, and assuming constant time \
             pattern matching (relatively short shard channels).",
        ),
    ),
    asks(
        ("shardnumsub", "pubsub|shardnumsub"),
        -2,
        shard_subscriber_counts,
        merge_counts,
        doc(
            "Counts who listens to channels of a cluster's shard.",
            "7.0.0",
            "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard \
             channels",
        ),
    ),
];

fn publish(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    say(ctx, args, Space::Channel)
}

fn spublish(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    say(ctx, args, Space::Shard)
}

/// Runs at the channel's owner, or while the channel is locked for a transaction.
fn say(ctx: &mut Ctx<'_>, args: Args<'_>, space: Space) -> Outcome {
    let pubsub = &mut ctx.state.pubsub;
    let receivers = pubsub.receivers(space, &args[1]);
    if receivers > 0 {
        let message = Message::new(space, &args[1], &args[2]);
        pubsub.outgoing.push(message);
    }
    ctx.propagate_always();
    ctx.reply.integer(receivers as i64);
    Ok(())
}

/// CHANNELS and SHARDCHANNELS take one pattern.
fn check(_: &Settings, args: Args<'_>) -> Outcome {
    let lists = [&b"channels"[..], b"shardchannels"];
    let is_list = lists.iter().any(|name| args[1].eq_ignore_ascii_case(name));
    if is_list && args.len() > 3 {
        let name = quote(&args[1], SUBCOMMAND_SHOWN_MAX);
        return Err(Error::Subcommand(name, "PUBSUB"));
    }
    Ok(())
}

fn channels(ctx: &mut Ctx<'_>, args: Args<'_>) -> Part {
    names(ctx, args, Space::Channel)
}

fn shard_channels(ctx: &mut Ctx<'_>, args: Args<'_>) -> Part {
    names(ctx, args, Space::Shard)
}

fn names(ctx: &mut Ctx<'_>, args: Args<'_>, space: Space) -> Part {
    let fits = |name: &[u8]| (args.get(2)).is_none_or(|pattern| glob_match(pattern, name, false));
    let names = ctx.state.pubsub.directory.names(space);
    Part::Keys(
        names
            .filter(|name| fits(name))
            .map(|name| name[..].into())
            .collect(),
    )
}

fn merge_names(parts: Vec<Part>, _: Args<'_>, reply: &mut Reply) -> Outcome {
    let lists = parts.iter().filter_map(|part| match part {
        Part::Keys(names) => Some(names),
        _ => None,
    });
    reply.array(lists.clone().map(Vec::len).sum());
    lists.flatten().for_each(|name| reply.bulk(name));
    Ok(())
}

/// Every shard knows all patterns: one of them counts.
fn pattern_count(ctx: &mut Ctx<'_>, _: Args<'_>) -> Part {
    match ctx.shard.0 {
        0 => Part::Count(ctx.state.pubsub.directory.len(Space::Pattern) as u64),
        _ => Part::Count(0),
    }
}

fn merge_count(parts: Vec<Part>, _: Args<'_>, reply: &mut Reply) -> Outcome {
    let counts = parts.iter().map(|part| match part {
        Part::Count(count) => *count,
        _ => 0,
    });
    reply.integer(counts.sum::<u64>() as i64);
    Ok(())
}

fn subscriber_counts(ctx: &mut Ctx<'_>, args: Args<'_>) -> Part {
    counts(ctx, args, Space::Channel)
}

fn shard_subscriber_counts(ctx: &mut Ctx<'_>, args: Args<'_>) -> Part {
    counts(ctx, args, Space::Shard)
}

/// Only the owner of a channel has listeners of it in its directory.
fn counts(ctx: &mut Ctx<'_>, args: Args<'_>, space: Space) -> Part {
    let directory = &ctx.state.pubsub.directory;
    let count = |name: &[u8]| {
        let listeners = directory.listeners(space, name).iter();
        listeners.map(|(_, count)| u64::from(*count)).sum()
    };
    Part::Counts(args.iter().skip(2).map(count).collect())
}

fn merge_counts(parts: Vec<Part>, args: Args<'_>, reply: &mut Reply) -> Outcome {
    reply.array(2 * args.len().saturating_sub(2));
    for (at, name) in args.iter().skip(2).enumerate() {
        let count = parts.iter().map(|part| match part {
            Part::Counts(counts) => counts.get(at).copied().unwrap_or(0),
            _ => 0,
        });
        reply.bulk(name);
        reply.integer(count.sum::<u64>() as i64);
    }
    Ok(())
}

fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Outcome {
    const LINES: [&str; 13] = [
        "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANNELS [<pattern>]",
        "    The channels that somebody listens to, those that fit <pattern> if one is given.",
        "NUMPAT",
        "    How many patterns are listened to.",
        "NUMSUB [<channel> ...]",
        "    How many connections listen to each channel, patterns left aside.",
        "SHARDCHANNELS [<pattern>]",
        "    As CHANNELS, for the channels of SSUBSCRIBE.",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    As NUMSUB, for the channels of SSUBSCRIBE.",
        "HELP",
        "    Print this help.",
    ];
    ctx.reply.array(LINES.len());
    LINES.iter().for_each(|line| ctx.reply.simple(line));
    Ok(())
}
