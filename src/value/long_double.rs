//! The 80-bit extended doubles of x87, in which Redis computes INCRBYFLOAT and HINCRBYFLOAT.
//!
//! Redis parses with `strtold`, adds two `long double`s, and prints with `%.17Lf` without trailing
//! zeros. The result goes to replicas and files as text, so it has to be the same byte for byte.
//! Here all three steps are exact integer arithmetic with one rounding each, to nearest and ties
//! to even, which is what the C library and the processor do.
//!
//! A finite value is `mantissa * 2^exponent` with a mantissa of 64 bits and an exponent from
//! -16,445 to 16,320; its top bit is set unless the exponent is the smallest (denormals and zero).
//! Whatever the text, the work is bounded by its length, at most [`TEXT_LEN_MAX`], and by the
//! range of exponents: a few hundred microseconds at worst.

mod big_integer;
#[cfg(test)]
mod tests;

use super::number::{HexFloat, parse_exponent, round_shift, split_sign};
use big_integer::BigInteger;

/// Longest text that [`LongDouble::parse`] takes, in bytes (`MAX_LONG_DOUBLE_CHARS` in Redis).
pub const TEXT_LEN_MAX: usize = 5 * 1024 - 1;

/// Digits behind the point that are printed.
const DECIMALS: u32 = 17;
const DECIMALS_POWER: u128 = 10u128.pow(DECIMALS);

const EXPONENT_MIN: i64 = -16_445;
const EXPONENT_MAX: i64 = 16_320;

/// Power of ten of the leading digit above which every number overflows: the largest is 1.19e4932.
const LEADING_DIGIT_MAX: i64 = 4_932;
/// And below which every number underflows to zero: half of the smallest is 1.8e-4951.
const LEADING_DIGIT_MIN: i64 = -4_951;

/// Quotient bits to compute: 64, one to round by, and one because the first may be zero. What is
/// left of the remainder goes into one more.
const QUOTIENT_BITS: u32 = 66;

/// An 80-bit extended double.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Magnitude {
    Finite { mantissa: u64, exponent: i64 },
    Infinite,
    NotANumber,
}

impl LongDouble {
    /// Parses as Redis's `string2ld` does: what C's `strtold` takes (decimal, hexadecimal with
    /// `0x`, `inf`, `infinity`, any case, a sign), the whole text, no space before it, at most
    /// [`TEXT_LEN_MAX`] bytes. Not a number, an overflow, and an underflow to zero are refused.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > TEXT_LEN_MAX {
            return None;
        }
        let (negative, unsigned) = split_sign(text);
        let named = [&b"inf"[..], b"infinity"];
        let magnitude = if named.iter().any(|name| unsigned.eq_ignore_ascii_case(name)) {
            Magnitude::Infinite
        } else if let Some(hex) = HexFloat::parse(unsigned)? {
            in_range(
                hex.mantissa == 0,
                Magnitude::rounded(hex.mantissa, hex.exponent),
            )?
        } else {
            let decimal = Decimal::parse(unsigned)?;
            in_range(decimal.digits.is_empty(), decimal.round())?
        };
        Some(Self {
            negative,
            magnitude,
        })
    }

    /// Whether this is neither infinite nor not a number.
    pub fn is_finite(self) -> bool {
        matches!(self.magnitude, Magnitude::Finite { .. })
    }

    /// `factor` times the number, rounded as the processor does, then up to an integer; the
    /// nearest `i64` if that is none. 0 for not a number.
    pub fn times_ceil(self, factor: u32) -> i64 {
        let product = match self.magnitude {
            Magnitude::Finite { mantissa, exponent } => {
                Magnitude::rounded(u128::from(mantissa) * u128::from(factor), exponent)
            }
            other => other,
        };
        let magnitude = match product {
            Magnitude::Finite { mantissa, exponent } if exponent >= 0 => {
                let shift = u32::try_from(exponent).unwrap_or(u32::MAX);
                let wide = i128::from(mantissa);
                match wide == 0 || shift < 64 {
                    true => wide.checked_shl(shift).unwrap_or(0),
                    false => i128::MAX,
                }
            }
            Magnitude::Finite { mantissa, exponent } => {
                let shift = u32::try_from(-exponent).unwrap_or(u32::MAX);
                let whole = mantissa.checked_shr(shift).unwrap_or(0);
                let exact = whole.checked_shl(shift) == Some(mantissa) || mantissa == 0;
                // Up: away from zero for positive numbers only.
                i128::from(whole) + i128::from(!exact && !self.negative)
            }
            Magnitude::Infinite => i128::MAX,
            Magnitude::NotANumber => 0,
        };
        let signed = if self.negative { -magnitude } else { magnitude };
        let nearest = signed.clamp(i64::MIN.into(), i64::MAX.into());
        i64::try_from(nearest).unwrap_or(i64::MAX)
    }

    /// Appends the text: `%.17Lf` without trailing zeros, never `-0`; `inf`, `-inf` or `nan`.
    /// At most 4,952 bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        let start = out.len();
        if self.negative {
            out.push(b'-');
        }
        match self.magnitude {
            Magnitude::Finite { mantissa, exponent } if exponent >= 0 => {
                let mut integer = BigInteger::from(mantissa);
                integer.shift_left(exponent.unsigned_abs());
                integer.write_decimal(out);
            }
            Magnitude::Finite { mantissa, exponent } => {
                // 64 bits and 57 bits fit.
                let scaled = u128::from(mantissa) * DECIMALS_POWER;
                write_fixed_point(out, round_shift(scaled, -exponent).unwrap_or(0));
            }
            Magnitude::Infinite => out.extend_from_slice(b"inf"),
            Magnitude::NotANumber => {
                out.truncate(start);
                out.extend_from_slice(b"nan");
            }
        }
        if &out[start..] == b"-0" {
            out.remove(start);
        }
    }
}

/// From an integer, exactly.
impl From<i64> for LongDouble {
    fn from(value: i64) -> Self {
        Self {
            negative: value < 0,
            magnitude: Magnitude::rounded(u128::from(value.unsigned_abs()), 0),
        }
    }
}

impl std::ops::Add for LongDouble {
    type Output = Self;

    /// The sum, rounded once. Infinities of unlike sign give what is not a number.
    fn add(self, other: Self) -> Self {
        use Magnitude::{Finite, Infinite, NotANumber};
        let (large, small) = match (self.magnitude, other.magnitude) {
            (NotANumber, _) => return self,
            (_, NotANumber) => return other,
            (Infinite, Infinite) if self.negative != other.negative => {
                return Self {
                    negative: false,
                    magnitude: NotANumber,
                };
            }
            (Infinite, _) => return self,
            (_, Infinite) => return other,
            (Finite { mantissa: 0, .. }, Finite { mantissa: 0, .. }) => {
                return Self {
                    negative: self.negative && other.negative,
                    ..self
                };
            }
            (Finite { mantissa: 0, .. }, _) => return other,
            (_, Finite { mantissa: 0, .. }) => return self,
            (Finite { exponent: a, .. }, Finite { exponent: b, .. }) => {
                if a >= b {
                    (self, other)
                } else {
                    (other, self)
                }
            }
        };
        add_finite(large, small)
    }
}

impl std::fmt::Display for LongDouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::new();
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Adds two values that are finite and not zero, the one with the larger exponent first.
fn add_finite(large: LongDouble, small: LongDouble) -> LongDouble {
    let (
        Magnitude::Finite {
            mantissa: large_mantissa,
            exponent,
        },
        Magnitude::Finite {
            mantissa: small_mantissa,
            exponent: small_exponent,
        },
    ) = (large.magnitude, small.magnitude)
    else {
        return large;
    };
    // Both are put 63 bits up, which leaves one for the carry. Bits of the smaller one that fall
    // out below count as one bit in the lowest place: far below the place that is rounded to.
    let a = u128::from(large_mantissa) << 63;
    let b = u128::from(small_mantissa) << 63;
    let distance = exponent - small_exponent;
    let b = match u32::try_from(distance) {
        Ok(distance @ 0..=127) => {
            let lost = b & ((1u128 << distance) - 1) != 0;
            b >> distance | u128::from(lost)
        }
        _ => 1,
    };
    if large.negative == small.negative {
        let magnitude = Magnitude::rounded(a + b, exponent - 63);
        return LongDouble {
            negative: large.negative,
            magnitude,
        };
    }
    LongDouble {
        negative: match a.cmp(&b) {
            std::cmp::Ordering::Greater => large.negative,
            std::cmp::Ordering::Less => small.negative,
            std::cmp::Ordering::Equal => false,
        },
        magnitude: Magnitude::rounded(a.abs_diff(b), exponent - 63),
    }
}

/// Refuses what `strtold` reports as out of range: infinity, and zero from what is not zero.
fn in_range(exact_zero: bool, magnitude: Magnitude) -> Option<Magnitude> {
    match magnitude {
        Magnitude::Finite { mantissa: 0, .. } => exact_zero.then_some(magnitude),
        Magnitude::Finite { .. } => Some(magnitude),
        Magnitude::Infinite | Magnitude::NotANumber => None,
    }
}

impl Magnitude {
    const ZERO: Self = Self::Finite {
        mantissa: 0,
        exponent: EXPONENT_MIN,
    };

    /// `mantissa * 2^exponent`, rounded to nearest, ties to even.
    fn rounded(mantissa: u128, exponent: i64) -> Self {
        if mantissa == 0 {
            return Self::ZERO;
        }
        let bits = 128 - i64::from(mantissa.leading_zeros());
        let mut lowest = (exponent + bits - 64).max(EXPONENT_MIN);
        let Some(mut kept) = round_shift(mantissa, lowest - exponent) else {
            return Self::ZERO;
        };
        if kept >> 64 != 0 {
            kept >>= 1;
            lowest += 1;
        }
        match u64::try_from(kept) {
            Ok(0) => Self::ZERO,
            Ok(mantissa) if lowest <= EXPONENT_MAX => Self::Finite {
                mantissa,
                exponent: lowest,
            },
            _ => Self::Infinite,
        }
    }
}

/// An unsigned decimal number as it was written: `digits * 10^exponent`.
struct Decimal {
    /// Digits without their leading zeros, and without the point.
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut digits = Vec::new();
        let (mut exponent, mut seen_digit, mut seen_point) = (0, false, false);
        let mut rest = text;
        while let [byte, after @ ..] = rest {
            match byte {
                b'.' if !seen_point => seen_point = true,
                b'0'..=b'9' => {
                    seen_digit = true;
                    exponent -= i64::from(seen_point);
                    if !digits.is_empty() || *byte != b'0' {
                        digits.push(byte - b'0');
                    }
                }
                _ => break,
            }
            rest = after;
        }
        let suffix = match rest {
            [] => 0,
            [b'e' | b'E', exponent @ ..] => parse_exponent(exponent)?,
            _ => return None,
        };
        seen_digit.then_some(Self {
            digits,
            exponent: exponent + suffix,
        })
    }

    fn round(&self) -> Magnitude {
        let count = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        let leading = self.exponent.saturating_add(count - 1);
        if count == 0 || leading < LEADING_DIGIT_MIN {
            return Magnitude::ZERO;
        }
        if leading > LEADING_DIGIT_MAX {
            return Magnitude::Infinite;
        }
        // From here on the exponent is bounded by the length of the text and the range above.
        // A power of ten is one of five, the factors of two being left to the binary exponent.
        let mut numerator = BigInteger::from_digits(&self.digits);
        if self.exponent >= 0 {
            numerator.multiply_by_power_of_five(self.exponent.unsigned_abs());
            let (mantissa, exponent) = numerator.leading_bits();
            return Magnitude::rounded(mantissa, exponent + self.exponent);
        }
        let mut denominator = BigInteger::from(1);
        denominator.multiply_by_power_of_five(self.exponent.unsigned_abs());
        let (mantissa, exponent) = numerator.divide(denominator, QUOTIENT_BITS);
        Magnitude::rounded(mantissa, exponent + self.exponent)
    }
}

/// Appends `scaled / 10^DECIMALS` without trailing zeros.
fn write_fixed_point(out: &mut Vec<u8>, scaled: u128) {
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(scaled / DECIMALS_POWER).as_bytes());
    let mut fraction = scaled % DECIMALS_POWER;
    if fraction == 0 {
        return;
    }
    let mut width = DECIMALS as usize;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    let digits = buffer.format(fraction).as_bytes();
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', width - digits.len()));
    out.extend_from_slice(digits);
}
