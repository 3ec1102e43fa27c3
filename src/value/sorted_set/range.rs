//! Ranges of scores and of members, as commands name them.

use crate::value::number::parse_f64_lenient;

/// A range of scores.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScoreRange {
    pub min: f64,
    pub max: f64,
    /// Whether the range begins behind `min`.
    pub after_min: bool,
    /// Whether the range ends before `max`.
    pub before_max: bool,
}

impl ScoreRange {
    /// From the texts of two bounds: a number, or `(` and a number that is itself left out.
    /// `None` if one is no number.
    pub fn parse(min: &[u8], max: &[u8]) -> Option<Self> {
        let bound = |text: &[u8]| match text {
            [b'(', number @ ..] => Some((parse_f64_lenient(number)?, true)),
            number => Some((parse_f64_lenient(number)?, false)),
        };
        let (min, after_min) = bound(min)?;
        let (max, before_max) = bound(max)?;
        Some(Self {
            min,
            max,
            after_min,
            before_max,
        })
    }

    /// Whether a score lies before the range.
    #[inline]
    pub(super) fn is_after(&self, score: f64) -> bool {
        score < self.min || (self.after_min && score == self.min)
    }

    /// Whether a score lies before the range's end.
    #[inline]
    pub(super) fn ends_after(&self, score: f64) -> bool {
        score < self.max || (!self.before_max && score == self.max)
    }
}

/// One end of a range of members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LexBound<'a> {
    /// Before all members: `-`.
    Lowest,
    /// After all members: `+`.
    Highest,
    /// This one, itself within the range: `[member`.
    Including(&'a [u8]),
    /// This one, itself left out: `(member`.
    Excluding(&'a [u8]),
}

impl<'a> LexBound<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        match text {
            // What follows the sign must be the end, or what C takes for it.
            [b'-'] | [b'-', 0, ..] => Some(Self::Lowest),
            [b'+'] | [b'+', 0, ..] => Some(Self::Highest),
            [b'[', member @ ..] => Some(Self::Including(member)),
            [b'(', member @ ..] => Some(Self::Excluding(member)),
            _ => None,
        }
    }
}

/// A range of members, in the order of their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LexRange<'a> {
    pub min: LexBound<'a>,
    pub max: LexBound<'a>,
}

impl<'a> LexRange<'a> {
    /// From the texts of two bounds; `None` if one is malformed.
    pub fn parse(min: &'a [u8], max: &'a [u8]) -> Option<Self> {
        Some(Self {
            min: LexBound::parse(min)?,
            max: LexBound::parse(max)?,
        })
    }

    /// Whether a member lies before the range.
    #[inline]
    pub(super) fn is_after(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::Including(min) => member < min,
            LexBound::Excluding(min) => member <= min,
        }
    }

    /// Whether a member lies before the range's end.
    #[inline]
    pub(super) fn ends_after(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::Including(max) => member <= max,
            LexBound::Excluding(max) => member < max,
        }
    }
}
