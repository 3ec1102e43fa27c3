//! Doubles as text.

/// Upper bound of the length of a [`DoubleText`] in bytes: sign, 17 digits, point, `e`, sign and
/// 3 digits.
pub const DOUBLE_TEXT_MAX: usize = 32;

/// A double in the form in which Redis 7.2 prints it (`d2string`): the shortest digits that read
/// back as the same double, plain if the exponent is moderate and scientific otherwise.
///
/// `inf`, `-inf`, `nan` and `-0` as such; whole numbers below 2^52 in magnitude as integers.
///
/// Redis generates the digits with Grisu2, which misses the shortest form for about one double in
/// a thousand and then prints a digit more. That surplus is not reproduced: both texts read back
/// as the same double.
pub struct DoubleText {
    buf: [u8; DOUBLE_TEXT_MAX],
    len: usize,
}

impl DoubleText {
    /// Formats `value`.
    pub fn new(value: f64) -> Self {
        /// Up to here every whole double converts to an integer exactly.
        const WHOLE_MAX: f64 = 4_503_599_627_370_496.0;
        let mut text = Self {
            buf: [0; DOUBLE_TEXT_MAX],
            len: 0,
        };
        if value.is_nan() {
            text.push(b"nan");
        } else if value.is_infinite() {
            text.push(if value < 0.0 { b"-inf" } else { b"inf" });
        } else if value == 0.0 {
            text.push(if value.is_sign_negative() {
                b"-0"
            } else {
                b"0"
            });
        } else if value.abs() < WHOLE_MAX && value.fract() == 0.0 {
            text.push(itoa::Buffer::new().format(value as i64).as_bytes());
        } else {
            text.shortest(value);
        }
        text
    }

    /// The text; ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buf[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn zeros(&mut self, n: usize) {
        self.buf[self.len..self.len + n].fill(b'0');
        self.len += n;
    }

    /// Lays out the shortest digits by the rules of `fpconv`: plain for a whole number with at
    /// most seven zeros to append or a fraction with few digits or leading zeros, else
    /// scientific.
    fn shortest(&mut self, value: f64) {
        let (digits, digits_len, exponent) = decompose(value.abs());
        let digits = &digits[..digits_len];
        let count = digits_len as i32;
        // The value is the digits, read as an integer, times ten to this power.
        let power = exponent - (count - 1);
        if value < 0.0 {
            self.push(b"-");
        }
        if power >= 0 && exponent.abs() < count + 7 {
            self.push(digits);
            self.zeros(power as usize);
        } else if power < 0 && (power > -7 || exponent.abs() < 4) {
            let point = count + power;
            if point <= 0 {
                self.push(b"0.");
                self.zeros(point.unsigned_abs() as usize);
                self.push(digits);
            } else {
                let (whole, fraction) = digits.split_at(point as usize);
                self.push(whole);
                self.push(b".");
                self.push(fraction);
            }
        } else {
            self.push(&digits[..1]);
            if count > 1 {
                self.push(b".");
                self.push(&digits[1..]);
            }
            self.push(if exponent < 0 { b"e-" } else { b"e+" });
            self.push(
                itoa::Buffer::new()
                    .format(exponent.unsigned_abs())
                    .as_bytes(),
            );
        }
    }
}

/// The shortest digits of a positive finite double, how many they are, and the decimal exponent
/// of the first.
fn decompose(value: f64) -> ([u8; 17], usize, i32) {
    use std::io::Write;
    // "1.2345e-7" is at most 17 digits, a point, and an exponent of five bytes.
    let mut text = [0u8; DOUBLE_TEXT_MAX];
    let mut rest = &mut text[..];
    write!(rest, "{value:e}").expect("a double fits");
    let used = DOUBLE_TEXT_MAX - rest.len();

    let (mut digits, mut len) = ([0u8; 17], 0);
    let mut exponent = 0;
    let mut negative = false;
    let mut in_exponent = false;
    for &byte in &text[..used] {
        match byte {
            b'e' => in_exponent = true,
            b'-' => negative = true,
            b'0'..=b'9' if in_exponent => exponent = exponent * 10 + i32::from(byte - b'0'),
            b'0'..=b'9' => {
                digits[len] = byte;
                len += 1;
            }
            _ => {}
        }
    }
    (digits, len, if negative { -exponent } else { exponent })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_look_as_redis_prints_them() {
        let table: [(f64, &str); 29] = [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (3.5, "3.5"),
            (0.1, "0.1"),
            (-0.1, "-0.1"),
            (0.30000000000000004, "0.30000000000000004"),
            (2.6457513110645907, "2.6457513110645907"),
            (0.001, "0.001"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (0.0012345678, "0.0012345678"),
            (0.00012345678, "1.2345678e-4"),
            (0.000012345678, "1.2345678e-5"),
            (1e15, "1000000000000000"),
            (4503599627370495.0, "4503599627370495"),
            (4503599627370496.0, "4503599627370496"),
            (1e16, "1e+16"),
            (1.5e16, "1.5e+16"),
            (12345678901234567000.0, "12345678901234567000"),
            (1e20, "1e+20"),
            (1e22, "1e+22"),
            (1e300, "1e+300"),
            (-1e300, "-1e+300"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, text) in table {
            assert_eq!(
                DoubleText::new(value).as_bytes(),
                text.as_bytes(),
                "{value:e}"
            );
        }
        assert_eq!(DoubleText::new(f64::NAN).as_bytes(), b"nan");
        assert_eq!(DoubleText::new(-f64::NAN).as_bytes(), b"nan");
    }

    proptest! {
        #[test]
        fn every_double_fits_and_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            let text = DoubleText::new(value);
            let text = std::str::from_utf8(text.as_bytes()).unwrap();
            let back: f64 = text.parse().unwrap();
            prop_assert!(back.to_bits() == bits || (value.is_nan() && back.is_nan()), "{text}");
        }
    }
}
