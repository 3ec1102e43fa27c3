//! What a blocking command leaves behind when it found nothing: on what it waits, and for how long.
//!
//! The command does not suspend. It ends, and the shard runs it again from the start whenever one
//! of its keys may hold what it waits for; so a command looks at all its keys each time, and
//! acts on the first that serves it.

use super::Error;
use crate::protocol::Reply;
use crate::value::Kind;
use crate::value::long_double::LongDouble;

/// A wait for keys.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Only a key that holds this type wakes it.
    pub kind: Kind,
    /// The command is also run again when one of its keys is deleted or overwritten with another
    /// type (XREADGROUP, which then fails).
    pub wakes_on_loss: bool,
    /// How long, milliseconds; 0 for ever.
    pub timeout_ms: u64,
    /// The request to run again, if it is not the one received (XREAD's `$` stands for an id that
    /// was read when it came).
    pub retry: Option<Vec<Vec<u8>>>,
    /// Writes the reply after the timeout, and where waiting is not allowed (within MULTI).
    pub on_timeout: fn(&mut Reply),
}

/// A timeout in seconds, as blocking commands take it, in milliseconds: rounded up, 0 for ever.
///
/// # Errors
/// Redis's, for what is no number, negative, or ends after the end of time.
pub fn timeout_ms(text: &[u8], now_ms: u64) -> Result<u64, Error> {
    const NOT_FLOAT: Error = Error::text("ERR timeout is not a float or out of range");
    const RANGE: Error = Error::text("ERR timeout is out of range");
    const NEGATIVE: Error = Error::text("ERR timeout is negative");
    let seconds = LongDouble::parse(text).ok_or(NOT_FLOAT)?;
    let timeout_ms = u64::try_from(seconds.times_ceil(1000)).map_err(|_| NEGATIVE)?;
    let end_ms = timeout_ms.checked_add(now_ms);
    match end_ms.is_some_and(|end| i64::try_from(end).is_ok()) || timeout_ms == 0 {
        true => Ok(timeout_ms),
        false => Err(RANGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_redis_reads_them() {
        let now = 1_700_000_000_000;
        for (text, want) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("-0.0005", Ok(0)),
            ("5", Ok(5000)),
            ("0.0001", Ok(1)),
            ("0.001", Ok(1)),
            ("1.0005", Ok(1001)),
            ("1e3", Ok(1_000_000)),
            ("0x10", Ok(16_000)),
            ("9223372036854774", Err("ERR timeout is out of range")),
            ("1e400", Err("ERR timeout is out of range")),
            ("inf", Err("ERR timeout is out of range")),
            ("-inf", Err("ERR timeout is negative")),
            ("-1", Err("ERR timeout is negative")),
            ("-1e400", Err("ERR timeout is negative")),
            ("nan", Err("ERR timeout is not a float or out of range")),
            ("", Err("ERR timeout is not a float or out of range")),
            (" 1", Err("ERR timeout is not a float or out of range")),
            ("1x", Err("ERR timeout is not a float or out of range")),
        ] {
            let got = timeout_ms(text.as_bytes(), now).map_err(|error| error.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{text}");
        }
    }
}
