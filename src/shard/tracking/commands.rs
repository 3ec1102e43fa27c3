//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO.

use crate::command::pubsub::Name;
use crate::command::session::SessionOp;
use crate::protocol::{Args, Reply, quote};
use crate::value::number::parse_i64;

use super::Tracking;
use crate::shard::Shard;
use crate::shard::client::{Client, Waiting};
use crate::shard::gather::Question;
use crate::shard::session::Purpose;

const SYNTAX: &str = "ERR syntax error";
const NO_SUCH_CLIENT: &str = "ERR The client ID you want redirect to does not exist";
const TWO_REDIRECTS: &str = "ERR A client can only redirect to a single other client";
const NO_MODE: &str = "ERR CLIENT CACHING can be called only when the client is in tracking mode \
with OPTIN or OPTOUT mode enabled";
const NO_OPTIN: &str =
    "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
const NO_OPTOUT: &str =
    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
const OTHER_BCAST: &str = "ERR You can't switch BCAST mode on/off before disabling tracking for \
this client, and then re-enabling it with a different mode.";
const OTHER_OPT: &str = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this \
client, and then re-enabling it with a different mode.";

/// What CLIENT TRACKING asks for.
#[derive(Clone, Debug, Default)]
pub(in crate::shard) struct Asked {
    on: bool,
    bcast: bool,
    optin: bool,
    optout: bool,
    noloop: bool,
    prefixes: Vec<Name>,
}

/// Where invalidations are to go, if that was said, and the rest: Redis looks for the connection
/// as soon as it is named, and finds what is wrong behind it only if it is there.
type Parsed = (Option<u64>, Result<Asked, String>);

fn parse(args: Args<'_>) -> Parsed {
    let (mut to, mut asked) = (None, Asked::default());
    let mut at = 3;
    while let Some(option) = args.get(at) {
        let value = args.get(at + 1);
        let error = match (option.to_ascii_lowercase().as_slice(), value) {
            (b"redirect", Some(_)) if to.is_some() => Some(TWO_REDIRECTS),
            (b"redirect", Some(id)) => {
                at += 1;
                match parse_i64(id).map(u64::try_from) {
                    None => Some("ERR value is not an integer or out of range"),
                    Some(Err(_)) => Some(NO_SUCH_CLIENT),
                    Some(Ok(id)) => {
                        to = Some(id);
                        None
                    }
                }
            }
            (b"prefix", Some(prefix)) => {
                asked.prefixes.push(prefix.into());
                at += 1;
                None
            }
            (b"bcast", _) => set(&mut asked.bcast),
            (b"optin", _) => set(&mut asked.optin),
            (b"optout", _) => set(&mut asked.optout),
            (b"noloop", _) => set(&mut asked.noloop),
            _ => Some(SYNTAX),
        };
        if let Some(text) = error {
            return (to, Err(text.to_owned()));
        }
        at += 1;
    }
    asked.on = args[2].eq_ignore_ascii_case(b"on");
    if !asked.on && !args[2].eq_ignore_ascii_case(b"off") {
        return (to, Err(SYNTAX.to_owned()));
    }
    (to, Ok(asked))
}

fn set(option: &mut bool) -> Option<&'static str> {
    *option = true;
    None
}

impl Asked {
    /// Whether it fits what is on already.
    fn check(&self, current: Option<&Tracking>) -> Result<(), String> {
        if !self.bcast && !self.prefixes.is_empty() {
            return Err("ERR PREFIX option requires BCAST mode to be enabled".to_owned());
        }
        if current.is_some_and(|current| current.bcast != self.bcast) {
            return Err(OTHER_BCAST.to_owned());
        }
        if self.bcast && (self.optin || self.optout) {
            return Err("ERR OPTIN and OPTOUT are not compatible with BCAST".to_owned());
        }
        if self.optin && self.optout {
            return Err("ERR You can't specify both OPTIN mode and OPTOUT mode".to_owned());
        }
        let switches =
            |current: &Tracking| (self.optin && current.optout) || (self.optout && current.optin);
        if current.is_some_and(switches) {
            return Err(OTHER_OPT.to_owned());
        }
        let known = current.map_or(&[][..], |current| &current.prefixes);
        self.check_prefixes(known)
    }

    fn check_prefixes(&self, known: &[Name]) -> Result<(), String> {
        let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
        let error = |a: &[u8], b: &[u8], which: &str| {
            let (a, b) = (quote(a, usize::MAX), quote(b, usize::MAX));
            format!(
                "ERR Prefix '{a}' overlaps with {which} prefix '{b}'. Prefixes for a single client \
                 must not overlap."
            )
        };
        for (at, prefix) in self.prefixes.iter().enumerate() {
            if let Some(other) = known.iter().find(|other| overlap(prefix, other)) {
                return Err(error(prefix, other, "an existing"));
            }
            let rest = &self.prefixes[at + 1..];
            if let Some(other) = rest.iter().find(|other| overlap(prefix, other)) {
                return Err(error(prefix, other, "another provided"));
            }
        }
        Ok(())
    }
}

impl Shard {
    pub(in crate::shard) fn tracking_command(
        &mut self,
        client: &mut Client,
        op: SessionOp,
        args: Args<'_>,
    ) {
        match op {
            SessionOp::ClientTracking => self.client_tracking(client, args),
            SessionOp::ClientCaching => self.client_caching(client, args),
            SessionOp::ClientGetredir => {
                let to = (client.tracking.as_ref()).map_or(-1, |own| own.redirect() as i64);
                self.answer(client, |reply| reply.integer(to));
            }
            _ => self.tracking_info(client),
        }
    }

    fn client_tracking(&mut self, client: &mut Client, args: Args<'_>) {
        match parse(args) {
            (None, asked) => self.turn_tracking(client, asked, None),
            (Some(id), asked) => {
                let question = Question::FindClient { id };
                let purpose = Purpose::Redirect(id, Box::new(asked));
                self.ask(client, purpose, &question);
            }
        }
    }

    /// The connection to redirect to was looked for; its home, if it is there.
    pub(in crate::shard) fn redirect_found(
        &mut self,
        client: &mut Client,
        id: u64,
        home: Option<usize>,
        asked: Result<Asked, String>,
    ) {
        match home {
            None => self.answer(client, |reply| reply.error(NO_SUCH_CLIENT)),
            Some(home) => self.turn_tracking(client, asked, Some((id, home))),
        }
    }

    fn turn_tracking(
        &mut self,
        client: &mut Client,
        asked: Result<Asked, String>,
        redirect: Option<(u64, usize)>,
    ) {
        let mark = client.reply.len();
        let checked = asked.and_then(|asked| {
            if asked.on {
                asked.check(client.tracking.as_deref())?;
            }
            Ok(asked)
        });
        match checked {
            Err(text) => return self.answer(client, |reply| reply.error(&text)),
            Ok(asked) if asked.on => self.start_tracking(client, asked, redirect),
            Ok(_) => self.stop_tracking(client, true),
        }
        self.answer(client, Reply::ok);
        // Within EXEC the whole reply waits.
        if !matches!(client.waiting, Waiting::Transaction(_)) {
            self.hold_reply(client, mark, true);
        }
    }

    fn start_tracking(
        &mut self,
        client: &mut Client,
        asked: Asked,
        redirect: Option<(u64, usize)>,
    ) {
        self.tracked.clients += usize::from(client.tracking.is_none());
        let own = client.tracking.get_or_insert_default();
        own.bcast = asked.bcast;
        own.optin = asked.optin;
        own.optout = asked.optout;
        own.noloop = asked.noloop;
        own.redirect = redirect;
        own.broken = false;
        let mut fresh = asked.prefixes;
        if own.bcast && fresh.is_empty() {
            fresh.push(Name::from(&b""[..]));
        }
        fresh.retain(|prefix| !own.prefixes.contains(prefix));
        own.prefixes.extend(fresh.iter().cloned());
        own.prefixes.sort();
        self.change_prefixes(client, &fresh, true, true);
    }

    /// CLIENT TRACKING OFF, RESET, or the connection is gone.
    pub(in crate::shard) fn stop_tracking(&mut self, client: &mut Client, waits: bool) {
        if let Some(own) = client.tracking.take() {
            self.tracked.clients -= 1;
            self.change_prefixes(client, &own.prefixes, false, waits);
        }
    }

    fn client_caching(&mut self, client: &mut Client, args: Args<'_>) {
        let (yes, no) = (
            args[2].eq_ignore_ascii_case(b"yes"),
            args[2].eq_ignore_ascii_case(b"no"),
        );
        let error = match &mut client.tracking {
            None => Some(NO_MODE),
            Some(own) if (yes && own.optin) || (no && own.optout) => {
                own.caching = true;
                None
            }
            Some(_) if yes => Some(NO_OPTIN),
            Some(_) if no => Some(NO_OPTOUT),
            Some(_) => Some(SYNTAX),
        };
        self.answer(client, |reply| match error {
            None => reply.ok(),
            Some(text) => reply.error(text),
        });
    }

    fn tracking_info(&mut self, client: &mut Client) {
        let mut flags = Vec::new();
        let (mut redirect, mut prefixes) = (-1, Vec::new());
        match &client.tracking {
            None => flags.push("off"),
            Some(own) => {
                flags.push("on");
                let mut flag = |on: bool, name| flags.extend(on.then_some(name));
                flag(own.bcast, "bcast");
                flag(own.optin, "optin");
                flag(own.optin && own.caching, "caching-yes");
                flag(own.optout, "optout");
                flag(own.optout && own.caching, "caching-no");
                flag(own.noloop, "noloop");
                flag(own.broken, "broken_redirect");
                redirect = own.redirect() as i64;
                prefixes.clone_from(&own.prefixes);
            }
        }
        self.answer(client, |reply| {
            reply.map(3);
            reply.bulk_str("flags");
            reply.set(flags.len());
            flags.iter().for_each(|flag| reply.bulk_str(flag));
            reply.bulk_str("redirect");
            reply.integer(redirect);
            reply.bulk_str("prefixes");
            reply.array(prefixes.len());
            prefixes.iter().for_each(|prefix| reply.bulk(prefix));
        });
    }
}
