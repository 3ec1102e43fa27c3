//! Unsigned integers of any length: just what correct rounding between decimal and binary needs.

use std::cmp::Ordering;

const LIMB_BITS: u64 = 64;

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
        const CHUNK: usize = 19;
        let mut value = Self {
            limbs: Vec::with_capacity(digits.len() / CHUNK + 1),
        };
        for chunk in digits.chunks(CHUNK) {
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
        if bits % LIMB_BITS != 0 {
            self.multiply_add(1 << (bits % LIMB_BITS), 0);
        }
        let zeros = (bits / LIMB_BITS) as usize;
        self.limbs.splice(0..0, std::iter::repeat_n(0, zeros));
    }

    fn bit_length(&self) -> i64 {
        let top = self.limbs.last().map_or(0, |limb| limb.leading_zeros());
        self.limbs.len() as i64 * LIMB_BITS as i64 - i64::from(top)
    }

    /// The highest bits as `(mantissa, exponent)`, between 65 and 128 of them where there are that
    /// many. The lowest bit of the mantissa also stands for any bit left out.
    pub(super) fn leading_bits(&self) -> (u128, i64) {
        let (below, top) = self.limbs.split_at(self.limbs.len().saturating_sub(2));
        let mantissa = top
            .iter()
            .rev()
            .fold(0, |bits, &limb| bits << LIMB_BITS | u128::from(limb));
        let lost = below.iter().any(|&limb| limb != 0);
        (
            mantissa | u128::from(lost),
            below.len() as i64 * LIMB_BITS as i64,
        )
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
        // Nine digits at a time: a constant divisor below 2^32 costs no division instruction.
        const CHUNK: u64 = 1_000_000_000;
        let mut chunks = Vec::with_capacity(self.limbs.len() * 3);
        while !self.limbs.is_empty() {
            let mut rest = 0;
            for limb in self.limbs.iter_mut().rev() {
                let high = rest << 32 | *limb >> 32;
                let low = (high % CHUNK) << 32 | (*limb & 0xFFFF_FFFF);
                *limb = (high / CHUNK) << 32 | low / CHUNK;
                rest = low % CHUNK;
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
            out.extend(std::iter::repeat_n(b'0', 9 - digits.len()));
            out.extend_from_slice(digits);
        }
    }
}
