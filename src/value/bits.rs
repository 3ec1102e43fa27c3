//! Strings as arrays of bits, the highest bit of the first byte first. What is beyond the end
//! counts as zeros.

/// An integer within a string: `bits` of it, from bit `offset` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Where it begins; it must end below 2^63.
    pub offset: u64,
    /// How wide it is, 1 to 64.
    pub bits: u32,
}

impl Field {
    /// Bytes that a string needs to hold the field.
    pub fn end_byte(self) -> u64 {
        (self.offset + u64::from(self.bits)).div_ceil(8)
    }

    /// The bytes that hold a part of the field, and how many bits of them follow it if the string
    /// were long enough: at most nine bytes.
    fn window(self) -> (usize, usize, u32) {
        let first = self.offset / 8;
        let count = self.end_byte() - first;
        let behind = count * 8 - self.offset % 8 - u64::from(self.bits);
        (
            usize::try_from(first).unwrap_or(usize::MAX),
            count as usize,
            behind as u32,
        )
    }

    fn mask(self) -> u128 {
        (1 << self.bits) - 1
    }

    /// Its value, without a sign.
    pub fn get(self, bytes: &[u8]) -> u64 {
        let (first, count, behind) = self.window();
        let mut word = 0u128;
        for i in 0..count {
            let byte = first.checked_add(i).and_then(|at| bytes.get(at));
            word = word << 8 | u128::from(byte.copied().unwrap_or(0));
        }
        (word >> behind & self.mask()) as u64
    }

    /// Writes the lowest bits of `value`. The string must be long enough.
    pub fn set(self, bytes: &mut [u8], value: u64) {
        let (first, count, behind) = self.window();
        let window = &mut bytes[first..first + count];
        let mask = self.mask() << behind;
        let new = u128::from(value) << behind & mask;
        for (i, byte) in window.iter_mut().rev().enumerate() {
            let shift = i * 8;
            *byte = *byte & !(mask >> shift) as u8 | (new >> shift) as u8;
        }
    }
}

/// How many bits are set.
pub fn count(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let ones = |word: &[u8; 8]| u64::from(u64::from_ne_bytes(*word).count_ones());
    words.iter().map(ones).sum::<u64>()
        + rest.iter().map(|b| u64::from(b.count_ones())).sum::<u64>()
}

/// How many bits are set among those from `first` to `last`, which must be within the string.
pub fn count_range(bytes: &[u8], first: u64, last: u64) -> u64 {
    let Some((whole, before, behind)) = trim(bytes, first, last) else {
        return 0;
    };
    let outside = (whole[0] & before).count_ones() + (whole[whole.len() - 1] & behind).count_ones();
    count(whole) - u64::from(outside)
}

/// The first bit that is `wanted` among those from `first` to `last`, which must be within the
/// string.
pub fn find(bytes: &[u8], wanted: bool, first: u64, last: u64) -> Option<u64> {
    let (whole, before, behind) = trim(bytes, first, last)?;
    // With all bits turned around it is always a one that is looked for.
    let flip = if wanted { 0 } else { 0xff };
    let base = first / 8;
    let at = |index: usize, byte: u8| (base + index as u64) * 8 + u64::from(byte.leading_zeros());
    let head = (whole[0] ^ flip) & !before;
    let end = whole.len() - 1;
    if end == 0 {
        let only = head & !behind;
        return (only != 0).then(|| at(0, only));
    }
    if head != 0 {
        return Some(at(0, head));
    }
    let inner = &whole[1..end];
    let (words, _) = inner.as_chunks::<8>();
    let plain = u64::from_ne_bytes([flip; 8]);
    let skipped = words
        .iter()
        .take_while(|word| u64::from_ne_bytes(**word) == plain)
        .count()
        * 8;
    let found = inner[skipped..].iter().position(|byte| *byte != flip);
    if let Some(more) = found {
        let index = skipped + more;
        return Some(at(1 + index, inner[index] ^ flip));
    }
    let tail = (whole[end] ^ flip) & !behind;
    (tail != 0).then(|| at(end, tail))
}

/// The bytes with the bits from `first` to `last`; which bits of the first and of the last byte
/// are outside. `None` if the range is empty or not within the string.
fn trim(bytes: &[u8], first: u64, last: u64) -> Option<(&[u8], u8, u8)> {
    let range = usize::try_from(first / 8).ok()?..=usize::try_from(last / 8).ok()?;
    let whole = bytes
        .get(range)
        .filter(|whole| !whole.is_empty() && first <= last)?;
    let before = !(0xff >> (first % 8));
    let behind = (0x7f >> (last % 8)) as u8;
    Some((whole, before, behind))
}

/// How two strings become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    And,
    Or,
    Xor,
}

/// Combines `operand` into `result`, which is at least as long.
pub fn combine(result: &mut [u8], operation: Operation, operand: &[u8]) {
    let (common, beyond) = result.split_at_mut(operand.len());
    // Plain loops over bytes, which the compiler turns into ones over the widest words it has.
    let pairs = common.iter_mut().zip(operand);
    match operation {
        Operation::And => {
            pairs.for_each(|(a, b)| *a &= b);
            beyond.fill(0);
        }
        Operation::Or => pairs.for_each(|(a, b)| *a |= b),
        Operation::Xor => pairs.for_each(|(a, b)| *a ^= b),
    }
}

/// Turns every bit around.
pub fn invert(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bit(bytes: &[u8], at: u64) -> bool {
        let byte = bytes.get((at / 8) as usize).copied().unwrap_or(0);
        byte >> (7 - at % 8) & 1 == 1
    }

    /// Mostly long runs of equal bytes.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            (prop_oneof![Just(0u8), Just(0xff)], 0usize..40).prop_map(|(b, n)| vec![b; n]),
            proptest::collection::vec(any::<u8>(), 0..5),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_field_is_its_bits_one_by_one(
            mut bytes in bytes(),
            offset in 0u64..700,
            bits in 1u32..=64,
            value in any::<u64>(),
        ) {
            let field = Field { offset, bits };
            let slow = |bytes: &[u8]| {
                (0..u64::from(bits)).fold(0u64, |n, i| n << 1 | u64::from(bit(bytes, offset + i)))
            };
            prop_assert_eq!(field.get(&bytes), slow(&bytes));
            let end = field.end_byte() as usize;
            bytes.resize(bytes.len().max(end), 0);
            let before = bytes.clone();
            field.set(&mut bytes, value);
            prop_assert_eq!(field.get(&bytes), value & (u64::MAX >> (64 - bits)));
            for at in 0..bytes.len() as u64 * 8 {
                if !(offset..offset + u64::from(bits)).contains(&at) {
                    prop_assert_eq!(bit(&bytes, at), bit(&before, at));
                }
            }
        }

        #[test]
        fn counting_and_finding_look_at_every_bit_of_the_range(
            bytes in bytes(),
            a in 0u64..900,
            b in 0u64..900,
            wanted in any::<bool>(),
        ) {
            let total = bytes.len() as u64 * 8;
            prop_assert_eq!(count(&bytes), (0..total).filter(|at| bit(&bytes, *at)).count() as u64);
            if total > 0 {
                let (first, last) = (a % total, b % total);
                let range = || first..=last;
                let ones = range().filter(|at| bit(&bytes, *at)).count() as u64;
                prop_assert_eq!(count_range(&bytes, first, last), ones);
                let found = range().find(|at| bit(&bytes, *at) == wanted);
                prop_assert_eq!(find(&bytes, wanted, first, last), found);
            }
        }

        #[test]
        fn combining_pads_with_zeros(a in bytes(), b in bytes()) {
            let len = a.len().max(b.len());
            let padded = |bytes: &[u8], i: usize| bytes.get(i).copied().unwrap_or(0);
            for (operation, f) in [
                (Operation::And, (|a, b| a & b) as fn(u8, u8) -> u8),
                (Operation::Or, |a, b| a | b),
                (Operation::Xor, |a, b| a ^ b),
            ] {
                let mut result = a.clone();
                result.resize(len, 0);
                combine(&mut result, operation, &b);
                let slow: Vec<u8> = (0..len).map(|i| f(padded(&a, i), padded(&b, i))).collect();
                prop_assert_eq!(result, slow);
            }
        }
    }

    #[test]
    fn a_field_far_beyond_the_end_is_zero() {
        let field = Field {
            offset: i64::MAX as u64 - 64,
            bits: 64,
        };
        assert_eq!(field.get(b"abc"), 0);
        assert_eq!(find(b"", true, 0, 0), None);
        assert_eq!(count_range(b"", 0, 0), 0);
    }
}
