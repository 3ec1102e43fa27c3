//! Unsigned integers of any length: just what correct rounding between decimal and binary needs.

use std::cmp::Ordering;

const LIMB_BITS: u64 = 64;

/// The most decimal digits that fit a limb.
const CHUNK_DIGITS: usize = 19;
/// And their power of ten. Its top bit is set, which [`divide_by_chunk`] needs.
const CHUNK: u64 = 10u64.pow(CHUNK_DIGITS as u32);
/// `(2^128 - 1) / CHUNK - 2^64`.
const CHUNK_RECIPROCAL: u64 = (u128::MAX / CHUNK as u128 - (1 << LIMB_BITS)) as u64;

/// An unsigned integer.
pub(super) struct BigInteger {
    /// Base 2^64, the lowest first, without zeros at the top.
    limbs: Vec<u64>,
}

impl From<u64> for BigInteger {
    fn from(value: u64) -> Self {
        let limbs = if value == 0 { Vec::new() } else { vec![value] };
        Self { limbs }
    }
}

impl BigInteger {
    /// From decimal digits as numbers, the highest first.
    pub(super) fn from_digits(digits: &[u8]) -> Self {
        let mut value = Self {
            limbs: Vec::with_capacity(digits.len() / CHUNK_DIGITS + 1),
        };
        for chunk in digits.chunks(CHUNK_DIGITS) {
            let (power, number) = chunk.iter().fold((1, 0), |(power, number), &digit| {
                (power * 10, number * 10 + u64::from(digit))
            });
            value.multiply_add(power, number);
        }
        value
    }

    /// `self = self * factor + addend`.
    fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = addend;
        for limb in &mut self.limbs {
            let product = u128::from(*limb) * u128::from(factor) + u128::from(carry);
            *limb = product as u64;
            carry = (product >> LIMB_BITS) as u64;
        }
        if carry != 0 {
            self.limbs.push(carry);
        }
    }

    pub(super) fn multiply_by_power_of_five(&mut self, exponent: u64) {
        // 5^27 is the largest power in a limb.
        for _ in 0..exponent / 27 {
            self.multiply_add(5u64.pow(27), 0);
        }
        self.multiply_add(5u64.pow((exponent % 27) as u32), 0);
    }

    pub(super) fn shift_left(&mut self, bits: u64) {
        if self.limbs.is_empty() {
            return;
        }
        if !bits.is_multiple_of(LIMB_BITS) {
            self.multiply_add(1 << (bits % LIMB_BITS), 0);
        }
        let zeros = (bits / LIMB_BITS) as usize;
        self.limbs.splice(0..0, std::iter::repeat_n(0, zeros));
    }

    fn bit_length(&self) -> i64 {
        let top = self.limbs.last().map_or(0, |limb| limb.leading_zeros());
        self.limbs.len() as i64 * LIMB_BITS as i64 - i64::from(top)
    }

    /// The highest 128 bits as `(mantissa, exponent)`. The lowest of them also stands for any bit
    /// left out: it must lie well below the place that is rounded to.
    pub(super) fn leading_bits(mut self) -> (u128, i64) {
        let unused = self.limbs.last().map_or(0, |limb| limb.leading_zeros());
        self.shift_left(u64::from(unused));
        let (below, top) = self.limbs.split_at(self.limbs.len().saturating_sub(2));
        let mantissa = top
            .iter()
            .rev()
            .fold(0, |bits, &limb| (bits << LIMB_BITS) | u128::from(limb));
        let lost = below.iter().any(|&limb| limb != 0);
        let exponent = below.len() as i64 * LIMB_BITS as i64 - i64::from(unused);
        (mantissa | u128::from(lost), exponent)
    }

    /// `self / denominator` as `(mantissa, exponent)` with at least `bits` significant bits, and
    /// one more that stands for any remainder. Neither may be zero.
    pub(super) fn divide(mut self, mut denominator: Self, bits: u32) -> (u128, i64) {
        let shift = denominator.bit_length() - self.bit_length();
        if shift >= 0 {
            self.shift_left(shift.unsigned_abs());
        } else {
            denominator.shift_left(shift.unsigned_abs());
        }
        // Now the quotient is between 1/2 and 2. One bit a step: there are few, and the textbook's
        // division by limbs has too many corners for what it would save.
        let mut quotient = 0u128;
        for _ in 0..=bits {
            let fits = self.compare(&denominator) != Ordering::Less;
            if fits {
                self.subtract(&denominator);
            }
            quotient = quotient << 1 | u128::from(fits);
            self.shift_left(1);
        }
        let remainder = u128::from(!self.limbs.is_empty());
        (quotient << 1 | remainder, -i64::from(bits) - 1 - shift)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_length = self.limbs.len().cmp(&other.limbs.len());
        by_length.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }

    /// `self -= other`, which must not be larger.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        let others = other.limbs.iter().copied().chain(std::iter::repeat(0));
        for (limb, other) in self.limbs.iter_mut().zip(others) {
            let (difference, first) = limb.overflowing_sub(other);
            let (difference, second) = difference.overflowing_sub(u64::from(borrow));
            *limb = difference;
            borrow = first || second;
        }
        assert!(!borrow, "the subtrahend is not larger");
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }

    /// Appends the number in decimal.
    pub(super) fn write_decimal(mut self, out: &mut Vec<u8>) {
        let mut chunks = Vec::with_capacity(self.limbs.len() + self.limbs.len() / 64 + 1);
        while !self.limbs.is_empty() {
            let mut rest = 0;
            for limb in self.limbs.iter_mut().rev() {
                (*limb, rest) = divide_by_chunk(rest, *limb);
            }
            chunks.push(rest);
            while self.limbs.last() == Some(&0) {
                self.limbs.pop();
            }
        }
        let mut buffer = itoa::Buffer::new();
        let first = chunks.pop().unwrap_or(0);
        out.extend_from_slice(buffer.format(first).as_bytes());
        for &chunk in chunks.iter().rev() {
            let digits = buffer.format(chunk).as_bytes();
            out.extend(std::iter::repeat_n(b'0', CHUNK_DIGITS - digits.len()));
            out.extend_from_slice(digits);
        }
    }
}

/// Quotient and remainder of `high * 2^64 + low` by `CHUNK`, where `high` is below `CHUNK`.
///
/// By a reciprocal (Moeller and Granlund, "Improved division by invariant integers", 2011,
/// algorithm 4): printing a number of 4,932 digits takes some thirty thousand of these steps, and
/// a division instruction for each would stall the shard for too long.
fn divide_by_chunk(high: u64, low: u64) -> (u64, u64) {
    let dividend = (u128::from(high) << LIMB_BITS) | u128::from(low);
    let estimate = dividend.wrapping_add(u128::from(CHUNK_RECIPROCAL) * u128::from(high));
    let fraction = estimate as u64;
    let mut quotient = ((estimate >> LIMB_BITS) as u64).wrapping_add(1);
    let mut rest = low.wrapping_sub(quotient.wrapping_mul(CHUNK));
    if rest > fraction {
        quotient = quotient.wrapping_sub(1);
        rest = rest.wrapping_add(CHUNK);
    }
    if rest >= CHUNK {
        quotient = quotient.wrapping_add(1);
        rest -= CHUNK;
    }
    (quotient, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn division_by_the_reciprocal_is_exact(high in 0..CHUNK, low: u64, near in 0u64..3) {
            for high in [high, CHUNK - 1 - near, near] {
                for low in [low, u64::MAX - near, near] {
                    let dividend = u128::from(high) << 64 | u128::from(low);
                    let (quotient, rest) = divide_by_chunk(high, low);
                    prop_assert_eq!(u128::from(quotient), dividend / u128::from(CHUNK));
                    prop_assert_eq!(u128::from(rest), dividend % u128::from(CHUNK));
                }
            }
        }
    }
}
