//! What HSCAN shares with SSCAN: cursor and options.

use super::integer;
use crate::command::Error;
use crate::protocol::Args;

/// Steps of the walk that one call makes at most, if its pattern matches little; as in Redis.
pub(in crate::command::family) const SCAN_STEPS_MAX: usize = 10;
/// COUNT unless the request says otherwise.
const SCAN_COUNT_DEFAULT: usize = 10;

const NOVALUES: Error = Error::text("ERR NOVALUES option can only be used in HSCAN");

/// The options of HSCAN and SSCAN.
pub(in crate::command::family) struct ScanOptions<'a> {
    pub count: usize,
    /// `None`: everything.
    pub pattern: Option<&'a [u8]>,
    /// Not so with NOVALUES, which only HSCAN takes.
    pub values: bool,
}

impl<'a> ScanOptions<'a> {
    /// The options; NOVALUES is an error unless `of_hash`.
    pub fn parse(args: Args<'a>, of_hash: bool) -> Result<Self, Error> {
        let mut options = ScanOptions {
            count: SCAN_COUNT_DEFAULT,
            pattern: None,
            values: true,
        };
        let mut at = 0;
        while let Some(word) = args.get(at) {
            at += 1;
            if word.eq_ignore_ascii_case(b"novalues") {
                if !of_hash {
                    return Err(NOVALUES);
                }
                options.values = false;
                continue;
            }
            let argument = args.get(at).ok_or(Error::Syntax)?;
            at += 1;
            if word.eq_ignore_ascii_case(b"count") {
                let count = usize::try_from(integer(argument)?).map_err(|_| Error::Syntax)?;
                if count == 0 {
                    return Err(Error::Syntax);
                }
                options.count = count;
            } else if word.eq_ignore_ascii_case(b"match") {
                options.pattern = Some(argument).filter(|pattern| *pattern != b"*");
            } else {
                return Err(Error::Syntax);
            }
        }
        Ok(options)
    }
}

/// A cursor, in all forms that Redis takes: also with what C's `strtoull` skips or applies, space
/// and a plus sign or zeros before it. (A minus sign before zeros, too, which wraps around.)
pub(in crate::command::family) fn parse_cursor(text: &[u8]) -> Option<u64> {
    if matches!(text, [b'-', b'1'..=b'9', ..]) {
        return None;
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
    let start = text.iter().position(|byte| !is_space(byte))?;
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })?;
    Some(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

#[cfg(test)]
mod tests {
    use super::parse_cursor;

    #[test]
    fn cursors_are_taken_in_the_forms_of_strtoull() {
        for (text, want) in [
            ("0", Some(0)),
            (" 1", Some(1)),
            ("+1", Some(1)),
            ("-1", None),
            ("-01", Some(u64::MAX)),
            ("01", Some(1)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            (" ", None),
            ("+", None),
            ("1 ", None),
            ("x", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()), want, "{text:?}");
        }
    }
}
