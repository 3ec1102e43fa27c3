//! Numbers in decimal: the strict parsers and the formatters that replies and values use.

use super::grisu;

/// Longest text that [`parse_i64`] can accept, in bytes: `-9223372036854775808`.
pub const I64_LEN_MAX: usize = 20;

/// Parses the canonical decimal form of a signed 64-bit integer: what printing the result gives
/// back byte for byte. No sign but `-`, no leading zero, no space, no `-0` (Redis's `string2ll`).
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    if text == b"0" {
        return Some(0);
    }
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) || digits.len() >= I64_LEN_MAX {
        return None;
    }
    // At most 19 digits: no overflow of 64 unsigned bits.
    let mut magnitude: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative {
        0i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// Appends `value` in decimal.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Length of `value` in decimal, in bytes.
#[inline]
pub fn i64_len(value: i64) -> usize {
    let digits = value
        .unsigned_abs()
        .checked_ilog10()
        .map_or(1, |log| log as usize + 1);
    digits + usize::from(value < 0)
}

/// Parses a double as Redis 7.2's `string2d` does: what C's `strtod` takes (decimal, hexadecimal
/// with `0x`, `inf`, `infinity`, any case, a sign), the whole text, no space before it. Not a
/// number, an overflow, and an underflow to zero are refused.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let (negative, unsigned) = split_sign(text);
    let value = if let Some(hex) = HexFloat::parse(unsigned)? {
        let value = hex.to_f64();
        if value.is_infinite() || (value == 0.0 && hex.mantissa != 0) {
            return None;
        }
        value
    } else {
        // A second sign must not reach the parser.
        if matches!(unsigned.first(), Some(b'+' | b'-')) {
            return None;
        }
        let value: f64 = std::str::from_utf8(unsigned).ok()?.parse().ok()?;
        let named = unsigned.first().is_some_and(u8::is_ascii_alphabetic);
        if value.is_nan() || (value.is_infinite() && !named) {
            return None;
        }
        if value == 0.0 && has_nonzero_digit(unsigned) {
            return None;
        }
        value
    };
    Some(if negative { -value } else { value })
}

/// Parses a double as C's `strtod` does where the result is only refused if it is not a number:
/// the text up to a NUL, space before it skipped, an overflow infinite, nothing at all zero.
pub fn parse_f64_lenient(text: &[u8]) -> Option<f64> {
    let text = strtod_text(text)?;
    if text.is_empty() {
        return Some(0.0);
    }
    let (negative, unsigned) = split_sign(text);
    let value = if let Some(hex) = HexFloat::parse(unsigned)? {
        hex.to_f64()
    } else if matches!(unsigned.first(), Some(b'+' | b'-')) {
        return None;
    } else {
        let value: f64 = std::str::from_utf8(unsigned).ok()?.parse().ok()?;
        if value.is_nan() {
            return None;
        }
        value
    };
    Some(if negative { -value } else { value })
}

/// What C's `strtod` looks at: the text up to a NUL, without the space before it. `None` if there
/// is nothing but space.
pub fn strtod_text(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| *byte == 0);
    let text = &text[..end.unwrap_or(text.len())];
    if text.is_empty() {
        return Some(text);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
    let start = text.iter().position(|byte| !is_space(byte))?;
    Some(&text[start..])
}

/// Splits an optional sign off; true for `-`.
pub(super) fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

fn has_nonzero_digit(decimal: &[u8]) -> bool {
    decimal
        .iter()
        .take_while(|byte| !matches!(byte, b'e' | b'E'))
        .any(|byte| matches!(byte, b'1'..=b'9'))
}

/// An unsigned hexadecimal floating-point constant of C: `mantissa * 2^exponent`.
#[derive(Clone, Copy, Debug)]
pub(super) struct HexFloat {
    /// The leading significant bits; the lowest bit also stands for any non-zero bit left out.
    pub(super) mantissa: u128,
    pub(super) exponent: i64,
}

/// Exponents are clamped to this magnitude: far beyond every format, far from overflow.
pub(super) const EXPONENT_MAX: i64 = 1 << 40;

impl HexFloat {
    /// `Some(None)` if `text` does not begin with `0x`; `None` if it does but is malformed.
    pub(super) fn parse(text: &[u8]) -> Option<Option<Self>> {
        let [b'0', b'x' | b'X', digits @ ..] = text else {
            return Some(None);
        };
        let (mut mantissa, mut exponent) = (0u128, 0i64);
        let (mut seen_digit, mut seen_point) = (false, false);
        let mut at = 0;
        while let Some(&byte) = digits.get(at) {
            if byte == b'.' && !seen_point {
                seen_point = true;
            } else if let Some(digit) = char::from(byte).to_digit(16) {
                seen_digit = true;
                if mantissa >> 120 == 0 {
                    mantissa = mantissa << 4 | u128::from(digit);
                    exponent -= if seen_point { 4 } else { 0 };
                } else {
                    mantissa |= u128::from(digit != 0);
                    exponent += if seen_point { 0 } else { 4 };
                }
            } else {
                break;
            }
            at += 1;
        }
        let suffix = match digits.get(at..)? {
            [] => 0,
            [b'p' | b'P', exponent @ ..] => parse_exponent(exponent)?,
            _ => return None,
        };
        seen_digit.then_some(Some(Self {
            mantissa,
            exponent: exponent + suffix,
        }))
    }

    /// Rounds to nearest, ties to even.
    fn to_f64(self) -> f64 {
        if self.mantissa == 0 {
            return 0.0;
        }
        let bits = 128 - i64::from(self.mantissa.leading_zeros());
        // The exponent of the lowest bit that the result keeps: 53 bits, fewer below the normals.
        let lowest = (self.exponent + bits - 53).max(-1074);
        let Some(mut kept) = round_shift(self.mantissa, lowest - self.exponent) else {
            return 0.0;
        };
        let mut lowest = lowest;
        if kept == 1 << 53 {
            kept >>= 1;
            lowest += 1;
        }
        if lowest > 971 {
            return f64::INFINITY;
        }
        let biased = if kept >> 52 == 0 { 0 } else { lowest + 1075 };
        let fraction = kept & ((1 << 52) - 1);
        // Both fit: `biased` is at most 2046 and `fraction` has 52 bits.
        f64::from_bits((biased as u64) << 52 | fraction as u64)
    }
}

/// `value / 2^shift` rounded to nearest, ties to even (a negative shift goes left and must fit);
/// `None` if the result is certainly zero.
pub(super) fn round_shift(value: u128, shift: i64) -> Option<u128> {
    if shift <= 0 {
        return Some(value << (-shift).min(127));
    }
    if shift > 128 {
        return None;
    }
    let kept = if shift == 128 { 0 } else { value >> shift };
    let half = 1u128 << (shift - 1);
    let rest = value & (half | (half - 1));
    let up = rest > half || (rest == half && kept & 1 == 1);
    Some(kept + u128::from(up))
}

/// The digits behind `e` or `p`, with an optional sign; at least one. Clamped.
pub(super) fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0i64, |value, digit| {
        (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX)
    });
    Some(if negative { -magnitude } else { magnitude })
}

/// Formats a double as Redis 7.2's `d2string` does (see [`write_f64`]).
pub fn format_f64(value: f64) -> String {
    let mut out = Vec::with_capacity(32);
    write_f64(&mut out, value);
    // Only ASCII was written.
    String::from_utf8(out).unwrap_or_default()
}

/// Appends a double as Redis 7.2's `d2string` does: `nan`, `inf`, `-inf`, `-0`; an integer of up to
/// 62 bits in full; everything else with the digits and in the layout of the `fpconv` library.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let magnitude = value.abs();
    if magnitude.is_infinite() {
        return out.extend_from_slice(b"inf");
    }
    const INTEGER_MAX: f64 = (1u64 << 62) as f64;
    if magnitude <= INTEGER_MAX && magnitude.fract() == 0.0 {
        return write_i64(out, magnitude as i64);
    }
    let digits = grisu::digits(magnitude);
    layout(out, digits.text(), digits.last);
}

/// Formats a double as `fpconv` alone does: as [`write_f64`], but also integers with an exponent
/// where they have many zeros. DEBUG DIGEST hashes scores in this form.
pub fn format_fpconv(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return format_f64(value);
    }
    let mut out = Vec::with_capacity(32);
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let digits = grisu::digits(value.abs());
    layout(&mut out, digits.text(), digits.last);
    // Only ASCII was written.
    String::from_utf8(out).unwrap_or_default()
}

/// Formats a double as C's `%.17g` does.
pub fn format_g17(value: f64) -> String {
    const DIGITS: i32 = 17;
    if !value.is_finite() {
        return format_f64(value);
    }
    let text = format!("{value:.16e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..DIGITS).contains(&exponent) {
        let decimals = (DIGITS - 1 - exponent).unsigned_abs() as usize;
        let fixed = format!("{value:.decimals$}");
        return match fixed.contains('.') {
            true => fixed.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => fixed,
        };
    }
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// `fpconv`'s choice between plain and scientific notation.
fn layout(out: &mut Vec<u8>, digits: &[u8], last: i32) {
    let count = digits.len() as i32;
    let scientific = last + count - 1;
    if last >= 0 && scientific < count + 7 {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', last as usize));
    } else if last < 0 && (last > -7 || scientific.abs() < 4) {
        let whole = count + last;
        if whole <= 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', whole.unsigned_abs() as usize));
            out.extend_from_slice(digits);
        } else {
            let (before, after) = digits.split_at(whole as usize);
            out.extend_from_slice(before);
            out.push(b'.');
            out.extend_from_slice(after);
        }
    } else {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if scientific < 0 { b"e-" } else { b"e+" });
        write_i64(out, i64::from(scientific.abs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn integers_are_taken_in_canonical_form_only() {
        for (text, value) in [
            ("0", 0),
            ("7", 7),
            ("-1", -1),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), Some(value));
            assert_eq!(i64_len(value), text.len());
        }
        for text in [
            "",
            "-",
            "-0",
            "+1",
            "01",
            " 1",
            "1 ",
            "1a",
            "0x1",
            "--1",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "100000000000000000000000",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn doubles_are_taken_as_strtod_takes_them() {
        for (text, value) in [
            ("1", 1.0),
            ("+1.5", 1.5),
            ("-.5", -0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("1E-3", 0.001),
            ("inf", f64::INFINITY),
            ("-INFINITY", f64::NEG_INFINITY),
            ("0x10", 16.0),
            ("-0X.8p1", -1.0),
            ("0x1p-1074", 5e-324),
            ("0x1.8p-1075", 5e-324),
            ("0x1.fffffffffffff8p1022", 2f64.powi(1023)),
            (
                "0x123456789abcdef0123456789abcdef01p-100",
                305_419_896.604_444_44,
            ),
            ("4.9e-324", 5e-324),
            ("0e-999999999999999999999", 0.0),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "nan",
            "-nan",
            "nan(1)",
            " 1",
            "1 ",
            "1\0",
            "0x",
            "0x.",
            "0x1p",
            "0x1g",
            "--1",
            "+-1",
            "1e400",
            "-1e400",
            "1e-400",
            "0x1p1024",
            "0x1p-1076",
            "1_0",
            "infin",
            "0x1p99999999999999999999",
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn doubles_are_laid_out_as_fpconv_does() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000"),
            (4611686018427387904.0, "4611686018427387904"),
            (1e19, "1e+19"),
            (1.2345678e20, "1.2345678e+20"),
            (0.00001, "0.00001"),
            (1e-7, "1e-7"),
            (12345.678901234567, "1.2345678901234567e+4"),
            (1234567.891, "1234567.891"),
            (5e-324, "5e-324"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(format_f64(value), text);
        }
    }

    #[test]
    fn integers_with_many_zeros_are_short_in_the_form_of_digests() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (20_000_000.0, "20000000"),
            (-200_000_000.0, "-2e+8"),
            (123_456_789.0, "123456789"),
            (1e-5, "0.00001"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(format_fpconv(value), text);
        }
    }

    #[test]
    fn seventeen_digits_are_printed_as_by_c() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.10000000000000001"),
            (-2.5, "-2.5"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.5e300, "1.5000000000000001e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (123456.789, "123456.789"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(format_g17(value), text);
        }
    }

    #[test]
    fn bounds_of_ranges_are_read_as_by_c() {
        for (text, value) in [
            ("", 0.0),
            (" 7", 7.0),
            ("1e400", f64::INFINITY),
            ("-1e400", f64::NEG_INFINITY),
            ("1e-400", 0.0),
            ("0x10", 16.0),
            ("-infinity", f64::NEG_INFINITY),
            ("3\0x", 3.0),
        ] {
            assert_eq!(parse_f64_lenient(text.as_bytes()), Some(value), "{text}");
        }
        for text in [" ", "nan", "1 ", "x", "--1", "-+1", "0x", "("] {
            assert_eq!(parse_f64_lenient(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_integer_reads_back(value: i64) {
            let mut text = Vec::new();
            write_i64(&mut text, value);
            prop_assert_eq!(parse_i64(&text), Some(value));
            prop_assert_eq!(i64_len(value), text.len());
        }

        #[test]
        fn a_printed_double_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            if !value.is_nan() {
                let text = format_f64(value);
                prop_assert_eq!(parse_f64(text.as_bytes()), Some(value), "{}", text);
            }
        }

        #[test]
        fn a_hexadecimal_double_reads_back(bits: u64) {
            let value = f64::from_bits(bits & !(1 << 63));
            if value.is_finite() {
                let fraction = bits & ((1 << 52) - 1);
                let biased = (bits >> 52 & 0x7FF) as i64;
                let (lead, exponent) = if biased == 0 { (0, -1022) } else { (1, biased - 1023) };
                let text = format!("0x{lead}.{fraction:013x}p{exponent}");
                prop_assert_eq!(parse_f64(text.as_bytes()), Some(value), "{}", text);
            }
        }

        #[test]
        fn no_text_panics(text: Vec<u8>) {
            let _ = (parse_i64(&text), parse_f64(&text));
        }
    }
}
