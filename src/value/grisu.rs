//! The decimal digits of a double as `fpconv` finds them, the library by which Redis 7.2 prints
//! scores: Grisu2 (Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with
//! Integers", 2010).
//!
//! The digits always read back to the same double. About one double in a thousand gets one digit
//! more than it needs; what is compared with Redis byte for byte, or hashed (DEBUG DIGEST), must
//! have that digit too.

/// The most digits that a double gets.
const DIGITS_MAX: usize = 18;

/// Significant digits, and the power of ten of the last of them.
pub(super) struct Digits {
    text: [u8; DIGITS_MAX],
    len: usize,
    pub(super) last: i32,
}

impl Digits {
    /// In ASCII, the first not `0`.
    pub(super) fn text(&self) -> &[u8] {
        &self.text[..self.len]
    }

    fn push(&mut self, digit: u64) {
        // Zeros in front are none.
        if self.len > 0 || digit > 0 {
            self.text[self.len] = b'0' + digit as u8;
            self.len += 1;
        }
    }
}

/// `significand * 2^exponent`
#[derive(Clone, Copy)]
struct Float {
    significand: u64,
    exponent: i32,
}

/// Bits of a double's fraction.
const FRACTION_BITS: u32 = 52;
const HIDDEN_BIT: u64 = 1 << FRACTION_BITS;

impl Float {
    fn of(magnitude: f64) -> Self {
        let bits = magnitude.to_bits();
        let (biased, fraction) = (
            (bits >> FRACTION_BITS) as i32 & 0x7ff,
            bits & (HIDDEN_BIT - 1),
        );
        match biased {
            0 => Float {
                significand: fraction,
                exponent: -1074,
            },
            _ => Float {
                significand: fraction | HIDDEN_BIT,
                exponent: biased - 1075,
            },
        }
    }

    /// With the highest bit set; not for zero.
    fn normalized(self) -> Self {
        let shift = self.significand.leading_zeros();
        Float {
            significand: self.significand << shift,
            exponent: self.exponent - shift as i32,
        }
    }

    /// Half way to the next doubles below and above, both with the exponent of the latter.
    fn boundaries(self) -> (Self, Self) {
        let upper = Float {
            significand: (self.significand << 1) + 1,
            exponent: self.exponent - 1,
        }
        .normalized();
        // Below a power of two the doubles are twice as dense.
        let closer = 1 + u32::from(self.significand == HIDDEN_BIT);
        let below = (self.significand << closer) - 1;
        let lower = Float {
            significand: below << (self.exponent - closer as i32 - upper.exponent),
            exponent: upper.exponent,
        };
        (lower, upper)
    }

    fn times(self, other: Self) -> Self {
        let product = u128::from(self.significand) * u128::from(other.significand);
        Float {
            significand: ((product + (1 << 63)) >> 64) as u64,
            exponent: self.exponent + other.exponent + 64,
        }
    }
}

/// The power of ten of the first entry of [`POWERS`], and the step from one to the next.
const FIRST_POWER: i32 = -348;
const POWER_STEP: i32 = 8;

/// Significands of 64 bits and exponents of the powers of ten, rounded to nearest.
#[rustfmt::skip]
const POWERS: [(u64, i32); 87] = [
    (0xfa8fd5a0081c0288, -1220),
    (0xbaaee17fa23ebf76, -1193),
    (0x8b16fb203055ac76, -1166),
    (0xcf42894a5dce35ea, -1140),
    (0x9a6bb0aa55653b2d, -1113),
    (0xe61acf033d1a45df, -1087),
    (0xab70fe17c79ac6ca, -1060),
    (0xff77b1fcbebcdc4f, -1034),
    (0xbe5691ef416bd60c, -1007),
    (0x8dd01fad907ffc3c, -980),
    (0xd3515c2831559a83, -954),
    (0x9d71ac8fada6c9b5, -927),
    (0xea9c227723ee8bcb, -901),
    (0xaecc49914078536d, -874),
    (0x823c12795db6ce57, -847),
    (0xc21094364dfb5637, -821),
    (0x9096ea6f3848984f, -794),
    (0xd77485cb25823ac7, -768),
    (0xa086cfcd97bf97f4, -741),
    (0xef340a98172aace5, -715),
    (0xb23867fb2a35b28e, -688),
    (0x84c8d4dfd2c63f3b, -661),
    (0xc5dd44271ad3cdba, -635),
    (0x936b9fcebb25c996, -608),
    (0xdbac6c247d62a584, -582),
    (0xa3ab66580d5fdaf6, -555),
    (0xf3e2f893dec3f126, -529),
    (0xb5b5ada8aaff80b8, -502),
    (0x87625f056c7c4a8b, -475),
    (0xc9bcff6034c13053, -449),
    (0x964e858c91ba2655, -422),
    (0xdff9772470297ebd, -396),
    (0xa6dfbd9fb8e5b88f, -369),
    (0xf8a95fcf88747d94, -343),
    (0xb94470938fa89bcf, -316),
    (0x8a08f0f8bf0f156b, -289),
    (0xcdb02555653131b6, -263),
    (0x993fe2c6d07b7fac, -236),
    (0xe45c10c42a2b3b06, -210),
    (0xaa242499697392d3, -183),
    (0xfd87b5f28300ca0e, -157),
    (0xbce5086492111aeb, -130),
    (0x8cbccc096f5088cc, -103),
    (0xd1b71758e219652c, -77),
    (0x9c40000000000000, -50),
    (0xe8d4a51000000000, -24),
    (0xad78ebc5ac620000, 3),
    (0x813f3978f8940984, 30),
    (0xc097ce7bc90715b3, 56),
    (0x8f7e32ce7bea5c70, 83),
    (0xd5d238a4abe98068, 109),
    (0x9f4f2726179a2245, 136),
    (0xed63a231d4c4fb27, 162),
    (0xb0de65388cc8ada8, 189),
    (0x83c7088e1aab65db, 216),
    (0xc45d1df942711d9a, 242),
    (0x924d692ca61be758, 269),
    (0xda01ee641a708dea, 295),
    (0xa26da3999aef774a, 322),
    (0xf209787bb47d6b85, 348),
    (0xb454e4a179dd1877, 375),
    (0x865b86925b9bc5c2, 402),
    (0xc83553c5c8965d3d, 428),
    (0x952ab45cfa97a0b3, 455),
    (0xde469fbd99a05fe3, 481),
    (0xa59bc234db398c25, 508),
    (0xf6c69a72a3989f5c, 534),
    (0xb7dcbf5354e9bece, 561),
    (0x88fcf317f22241e2, 588),
    (0xcc20ce9bd35c78a5, 614),
    (0x98165af37b2153df, 641),
    (0xe2a0b5dc971f303a, 667),
    (0xa8d9d1535ce3b396, 694),
    (0xfb9b7cd9a4a7443c, 720),
    (0xbb764c4ca7a44410, 747),
    (0x8bab8eefb6409c1a, 774),
    (0xd01fef10a657842c, 800),
    (0x9b10a4e5e9913129, 827),
    (0xe7109bfba19c0c9d, 853),
    (0xac2820d9623bf429, 880),
    (0x80444b5e7aa7cf85, 907),
    (0xbf21e44003acdd2d, 933),
    (0x8e679c2f5e44ff8f, 960),
    (0xd433179d9c8cb841, 986),
    (0x9e19db92b4e31ba9, 1013),
    (0xeb96bf6ebadf77d9, 1039),
    (0xaf87023b9bf0ee6b, 1066),
];

/// The power of ten that brings a number of this exponent into the range in which
/// [`generate`] works, and which one it is.
fn power_for(exponent: i32) -> (Float, i32) {
    // Of the product.
    const EXPONENTS: std::ops::RangeInclusive<i32> = -60..=-32;
    let wanted = f64::from(-(exponent + POWERS.len() as i32)) * std::f64::consts::LOG10_2;
    let mut at = (wanted as i32 - FIRST_POWER) / POWER_STEP;
    loop {
        let (significand, power_exponent) = POWERS[at as usize];
        let product = exponent + power_exponent + 64;
        if product < *EXPONENTS.start() {
            at += 1;
        } else if product > *EXPONENTS.end() {
            at -= 1;
        } else {
            let power = Float {
                significand,
                exponent: power_exponent,
            };
            return (power, FIRST_POWER + at * POWER_STEP);
        }
    }
}

/// The digits of a positive, finite double.
pub(super) fn digits(magnitude: f64) -> Digits {
    let float = Float::of(magnitude);
    let (lower, upper) = float.boundaries();
    let (power, number) = power_for(upper.exponent);
    // What the products may be wrong by is left out at both ends.
    let mut upper = upper.times(power);
    let mut lower = lower.times(power);
    lower.significand += 1;
    upper.significand -= 1;
    generate(float.normalized().times(power), lower, upper, -number)
}

/// The fewest digits of a number between `lower` and `upper`, as near to `value` as these allow.
/// All three have exponents from -60 to -32; `last` is the power of ten of their units.
fn generate(value: Float, lower: Float, upper: Float, last: i32) -> Digits {
    let fraction_bits = -upper.exponent as u32;
    let one = 1u64 << fraction_bits;
    let above = upper.significand - value.significand;
    let mut delta = upper.significand - lower.significand;
    let mut whole = upper.significand >> fraction_bits;
    let mut fraction = upper.significand & (one - 1);
    let mut digits = Digits {
        text: [0; DIGITS_MAX],
        len: 0,
        last,
    };
    for power in (0..10).rev() {
        let unit = 10u64.pow(power);
        digits.push(whole / unit);
        whole %= unit;
        let rest = (whole << fraction_bits) + fraction;
        if rest <= delta {
            digits.last += power as i32;
            approach(&mut digits, delta, rest, unit << fraction_bits, above);
            return digits;
        }
    }
    let mut scale = 1u64;
    loop {
        (fraction, delta) = (fraction * 10, delta * 10);
        scale = scale.wrapping_mul(10);
        digits.push(fraction >> fraction_bits);
        digits.last -= 1;
        fraction &= one - 1;
        if fraction < delta {
            let above = above.wrapping_mul(scale);
            approach(&mut digits, delta, fraction, one, above);
            return digits;
        }
    }
}

/// Lowers the last digit, worth `unit`, as long as that brings the number nearer to the one sought,
/// which is `above` below the upper end; `rest` is how far the digits are below that end.
fn approach(digits: &mut Digits, delta: u64, mut rest: u64, unit: u64, above: u64) {
    while rest < above
        && delta - rest >= unit
        && (rest + unit < above || above - rest > rest + unit - above)
    {
        digits.text[digits.len - 1] -= 1;
        rest += unit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(magnitude: f64) -> (String, i32) {
        let digits = digits(magnitude);
        let text = String::from_utf8(digits.text().to_vec()).expect("digits");
        (text, digits.last)
    }

    #[test]
    fn digits_are_those_of_fpconv() {
        // Taken from valkey-server 8.0.1, by ZADD and ZSCORE. The third and the fifth are longer
        // than they need be.
        for (value, text, last) in [
            (1.0, "1", 0),
            (0.1, "1", -1),
            (1e23, "9999999999999999", 7),
            (9007199254740993.0, "9007199254740992", 0),
            (27807664089430808.0, "27807664089430808", 0),
            (5e-324, "5", -324),
            (f64::MAX, "17976931348623157", 292),
            (f64::MIN_POSITIVE, "22250738585072014", -324),
        ] {
            assert_eq!(shown(value), (text.to_owned(), last), "{value:e}");
        }
    }

    proptest! {
        #[test]
        fn digits_read_back_to_the_same_double(bits in 1u64..0x7ff0_0000_0000_0000) {
            let value = f64::from_bits(bits);
            let (text, last) = shown(value);
            prop_assert!(!text.starts_with('0'));
            prop_assert_eq!(format!("{text}e{last}").parse::<f64>(), Ok(value));
        }

        #[test]
        fn integers_read_back_too(integer in 1u64..1 << 62) {
            let value = integer as f64;
            let (text, last) = shown(value);
            prop_assert_eq!(format!("{text}e{last}").parse::<f64>(), Ok(value));
        }
    }
}
