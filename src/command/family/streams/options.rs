//! The options of XADD and XTRIM.

use super::{id, integer};
use crate::command::{Ctx, Error, Origin};
use crate::protocol::Args;
use crate::value::stream::{IdText, Keep, NewId, Trim};

/// Entries that trimming by whole nodes removes at most if nothing else is said: so many nodes.
const NODES_TRIMMED_MAX: u64 = 100;
/// The same where nodes have no limit of entries, and the most that ever follows from one.
const ENTRIES_TRIMMED: u64 = 10_000;
const ENTRIES_TRIMMED_MAX: u64 = 1_000_000;

/// What stands before the fields of XADD, or all of XTRIM.
pub(super) struct Options {
    pub trim: Option<Trim>,
    /// Which argument is the threshold of trimming.
    pub threshold_at: usize,
    /// Do not create the stream.
    pub no_create: bool,
    pub id: NewId,
    /// Which argument is the id; the number of arguments if there is none.
    pub id_at: usize,
}

struct Parser<'a> {
    args: Args<'a>,
    at: usize,
    keep: Option<(Keep, bool)>,
    threshold_at: usize,
    limit: Option<u64>,
    no_create: bool,
}

impl Options {
    /// Of XADD, which needs an id. What follows it is not looked at.
    pub fn of_add(ctx: &Ctx<'_>, args: Args<'_>) -> Result<Self, Error> {
        let mut parser = Parser::new(args);
        let mut new = NewId::Now(ctx.now_ms);
        while let Some(word) = args.get(parser.at) {
            if word == b"*" {
                break;
            }
            if parser.option(word)? {
                continue;
            }
            if word.eq_ignore_ascii_case(b"nomkstream") {
                parser.no_create = true;
                parser.at += 1;
                continue;
            }
            new = match IdText::parse(word).ok_or(super::INVALID_ID)? {
                IdText::Whole(id) => NewId::Exactly(id),
                IdText::Milliseconds(ms) => NewId::Milliseconds(ms),
            };
            break;
        }
        parser.finish(ctx, new)
    }

    /// Of XTRIM.
    pub fn of_trim(ctx: &Ctx<'_>, args: Args<'_>) -> Result<Self, Error> {
        let mut parser = Parser::new(args);
        while let Some(word) = args.get(parser.at) {
            if !parser.option(word)? {
                return Err(Error::Syntax);
            }
        }
        // What is wrong with a LIMIT that limits nothing is said first.
        if parser.keep.is_none() && parser.limit.is_none_or(|limit| limit == 0) {
            return Err(Error::text(
                "ERR syntax error, XTRIM must be called with a trimming strategy",
            ));
        }
        parser.finish(ctx, NewId::Now(0))
    }
}

impl<'a> Parser<'a> {
    fn new(args: Args<'a>) -> Self {
        Self {
            args,
            at: 2,
            keep: None,
            threshold_at: 0,
            limit: None,
            no_create: false,
        }
    }

    /// Reads an option that both commands have, if `word` is one that something follows.
    fn option(&mut self, word: &[u8]) -> Result<bool, Error> {
        let more = self.args.len() - 1 - self.at;
        if more == 0 {
            return Ok(false);
        }
        if word.eq_ignore_ascii_case(b"maxlen") {
            let text = self.threshold(more)?;
            let entries = integer(text)?;
            let entries = u64::try_from(entries)
                .map_err(|_| Error::text("ERR The MAXLEN argument must be >= 0."))?;
            self.set_keep(Keep::Entries(entries));
        } else if word.eq_ignore_ascii_case(b"minid") {
            let text = self.threshold(more)?;
            self.set_keep(Keep::From(id(text)?));
        } else if word.eq_ignore_ascii_case(b"limit") {
            let limit = integer(&self.args[self.at + 1])?;
            let limit = u64::try_from(limit)
                .map_err(|_| Error::text("ERR The LIMIT argument must be >= 0."))?;
            self.limit = Some(limit);
            self.at += 2;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Passes `=` or `~`; gives the threshold behind it.
    fn threshold(&mut self, more: usize) -> Result<&'a [u8], Error> {
        if self.keep.is_some() {
            return Err(Error::text(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let sign = self.args.at(self.at + 1);
        let signed = more >= 2 && matches!(sign, b"~" | b"=");
        self.keep = Some((Keep::Entries(0), signed && sign == b"~"));
        self.threshold_at = self.at + 1 + usize::from(signed);
        self.at = self.threshold_at + 1;
        Ok(self.args.at(self.threshold_at))
    }

    fn set_keep(&mut self, keep: Keep) {
        if let Some((place, _)) = &mut self.keep {
            *place = keep;
        }
    }

    fn finish(self, ctx: &Ctx<'_>, id: NewId) -> Result<Options, Error> {
        if self.keep.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(Error::text(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            ));
        }
        let approximate = matches!(self.keep, Some((_, true)));
        // An upstream sends what it trimmed to exactly, and leaves the LIMIT where it was.
        let limit = match self.limit {
            _ if ctx.origin == Origin::Upstream => None,
            Some(_) if !approximate => {
                return Err(Error::text(
                    "ERR syntax error, LIMIT cannot be used without the special ~ option",
                ));
            }
            Some(limit) => Some(limit).filter(|limit| *limit > 0),
            None if approximate => Some(usual_limit(ctx)),
            None => None,
        };
        Ok(Options {
            trim: self.keep.map(|(keep, approximate)| Trim {
                keep,
                approximate,
                limit,
            }),
            threshold_at: self.threshold_at,
            no_create: self.no_create,
            id,
            id_at: self.at,
        })
    }
}

fn usual_limit(ctx: &Ctx<'_>) -> u64 {
    let entries = ctx.settings().stream_limits.node_entries_max;
    match entries.saturating_mul(NODES_TRIMMED_MAX) {
        0 => ENTRIES_TRIMMED,
        limit => limit.min(ENTRIES_TRIMMED_MAX),
    }
}
