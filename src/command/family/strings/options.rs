//! The options of SET and GETEX.

use crate::command::Error;
use crate::protocol::Args;
use crate::value::number::parse_i64;

/// Which command the options belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Accepts {
    Set,
    Getex,
}

/// When SET acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    /// NX
    Absent,
    /// XX
    Present,
}

/// What the options say of the key's expiry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lifetime<'a> {
    /// Nothing.
    Unsaid,
    /// KEEPTTL
    Keep,
    /// PERSIST
    Persist,
    /// EX, PX, EXAT or PXAT
    Until(Time<'a>),
}

/// An expiry time as the peer wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Time<'a> {
    pub unit: Unit,
    pub text: &'a [u8],
}

/// What an expiry time counts, and from when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    UnixSeconds,
    UnixMilliseconds,
}

impl Time<'_> {
    /// Whether it counts from 1970 and not from now.
    pub fn is_absolute(self) -> bool {
        matches!(self.unit, Unit::UnixSeconds | Unit::UnixMilliseconds)
    }

    /// The time in Unix milliseconds, as `command` understands it.
    ///
    /// # Errors
    /// It is no integer, not positive, or too far off.
    pub fn at_ms(self, now_ms: u64, command: &'static str) -> Result<u64, Error> {
        let number = parse_i64(self.text).ok_or(Error::NotInteger)?;
        let scale = match self.unit {
            Unit::Seconds | Unit::UnixSeconds => 1000,
            Unit::Milliseconds | Unit::UnixMilliseconds => 1,
        };
        let base = if self.is_absolute() { 0 } else { now_ms };
        u64::try_from(number)
            .ok()
            .filter(|number| *number > 0)
            .and_then(|number| number.checked_mul(scale)?.checked_add(base))
            .filter(|at| i64::try_from(*at).is_ok())
            .ok_or(Error::InvalidExpire(command.into()))
    }
}

/// The options of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Options<'a> {
    pub condition: Option<Condition>,
    /// SET … GET: reply with the value before.
    pub get: bool,
    pub lifetime: Lifetime<'a>,
}

impl<'a> Options<'a> {
    /// None.
    pub const NONE: Options<'static> = Options {
        condition: None,
        get: false,
        lifetime: Lifetime::Unsaid,
    };

    /// Parses what follows the fixed arguments.
    ///
    /// # Errors
    /// A syntax error for an option that is unknown, lacks its argument or contradicts another.
    /// The same option twice is allowed: of times, the last counts.
    pub fn parse(args: Args<'a>, accepts: Accepts) -> Result<Self, Error> {
        let mut options: Options<'a> = Options::NONE;
        let mut at = 0;
        while let Some(word) = args.get(at) {
            at += 1;
            if let Some(unit) = unit(word) {
                let text = args.get(at).ok_or(Error::Syntax)?;
                at += 1;
                options.set_time(Time { unit, text })?;
            } else {
                options.set_word(word, accepts)?;
            }
        }
        Ok(options)
    }

    fn set_time(&mut self, time: Time<'a>) -> Result<(), Error> {
        match self.lifetime {
            Lifetime::Unsaid => {}
            Lifetime::Until(earlier) if earlier.unit == time.unit => {}
            _ => return Err(Error::Syntax),
        }
        self.lifetime = Lifetime::Until(time);
        Ok(())
    }

    fn set_word(&mut self, word: &[u8], accepts: Accepts) -> Result<(), Error> {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let lifetime = match accepts {
            Accepts::Set if is("get") => {
                self.get = true;
                return Ok(());
            }
            Accepts::Set if is("nx") => return self.set_condition(Condition::Absent),
            Accepts::Set if is("xx") => return self.set_condition(Condition::Present),
            Accepts::Set if is("keepttl") => Lifetime::Keep,
            Accepts::Getex if is("persist") => Lifetime::Persist,
            _ => return Err(Error::Syntax),
        };
        if self.lifetime != Lifetime::Unsaid && self.lifetime != lifetime {
            return Err(Error::Syntax);
        }
        self.lifetime = lifetime;
        Ok(())
    }

    fn set_condition(&mut self, condition: Condition) -> Result<(), Error> {
        match self.condition {
            Some(earlier) if earlier != condition => Err(Error::Syntax),
            _ => {
                self.condition = Some(condition);
                Ok(())
            }
        }
    }
}

fn unit(word: &[u8]) -> Option<Unit> {
    const UNITS: [(&[u8], Unit); 4] = [
        (b"ex", Unit::Seconds),
        (b"px", Unit::Milliseconds),
        (b"exat", Unit::UnixSeconds),
        (b"pxat", Unit::UnixMilliseconds),
    ];
    let found = UNITS
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name));
    found.map(|(_, unit)| *unit)
}
