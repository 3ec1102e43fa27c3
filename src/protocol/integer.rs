//! Decimal integers as the protocol writes them.

/// Parses a canonical decimal, the only form in which Redis accepts a length: no plus sign, no
/// leading zero, no `-0`, no blank, and within the range of `i64`.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] => {}
        _ => return None,
    }
    let mut value: i64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Accumulated below zero, where the range is larger by one.
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative {
        Some(value)
    } else {
        value.checked_neg()
    }
}

/// Appends `sigil`, `value` in decimal, CR and LF: the header of most types.
#[inline]
pub(super) fn line(out: &mut Vec<u8>, sigil: u8, value: i64) {
    // Single digits are most lengths of a pipeline, and the lengths of nearly all aggregates.
    if let digit @ 0..=9 = value {
        out.extend_from_slice(&[sigil, b'0' + digit as u8, b'\r', b'\n']);
        return;
    }
    out.push(sigil);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends a header whose number is a length.
#[inline]
pub(super) fn length_line(out: &mut Vec<u8>, sigil: u8, len: usize) {
    line(
        out,
        sigil,
        i64::try_from(len).expect("a length in memory is below 2^63"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_integers_are_accepted() {
        for value in [0, 1, 9, 10, -1, -10, 1_048_576, i64::MAX, i64::MIN] {
            assert_eq!(parse(value.to_string().as_bytes()), Some(value));
        }
        let refused: [&[u8]; 15] = [
            b"",
            b"-",
            b"+1",
            b"-0",
            b"00",
            b"01",
            b"-01",
            b" 1",
            b"1 ",
            b"1a",
            b"a",
            b"0x1",
            b"1\0",
            b"9223372036854775808",
            b"-9223372036854775809",
        ];
        for text in refused {
            assert_eq!(parse(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_line_is_sigil_decimal_and_line_end() {
        let mut out = Vec::new();
        for value in [0, 9, 10, -1, i64::MIN] {
            line(&mut out, b':', value);
        }
        length_line(&mut out, b'*', 12);
        assert_eq!(
            out,
            b":0\r\n:9\r\n:10\r\n:-1\r\n:-9223372036854775808\r\n*12\r\n"
        );
    }
}
