//! Decimal integers as the protocol writes them.

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
