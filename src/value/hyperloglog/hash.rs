//! The hash of an element: MurmurHash64A, with the seed that Redis uses, so that all servers agree
//! on an element's register.

use super::{REGISTER_BITS, REGISTERS};

const SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

/// The register of an element, and the value that the element raises it to: how far from the end
/// the lowest set bit of the rest of its hash is, counted from 1.
pub(super) fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur(element, SEED);
    let register = hash as usize % REGISTERS;
    // A bit behind the last makes sure that there is one.
    let rest = hash >> REGISTER_BITS | 1 << (64 - REGISTER_BITS);
    (register, rest.trailing_zeros() as u8 + 1)
}

/// MurmurHash64A by Austin Appleby, which reads words in little-endian order.
fn murmur(data: &[u8], seed: u64) -> u64 {
    let mut hash = seed ^ (data.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = data.as_chunks::<8>();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        word ^= word >> SHIFT;
        hash = (hash ^ word.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(MULTIPLIER);
    hash ^ hash >> SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::hyperloglog::RANK_MAX;

    #[test]
    fn places_are_those_that_valkey_8_0_1_gives() {
        for (element, register, rank) in [
            (&b""[..], 5938, 2),
            (b"a", 12711, 2),
            (b"hello", 9216, 1),
            (b"12345678", 10579, 3),
            (b"123456789", 9293, 2),
            (b"0123456789abcdef", 5949, 1),
            (b"\xff\x00\xfe", 8413, 1),
            (b"the quick brown fox", 15795, 1),
        ] {
            assert_eq!(place(element), (register, rank), "{element:?}");
        }
    }

    #[test]
    fn a_rank_is_from_1_to_51() {
        let mut seen = [0; RANK_MAX as usize + 1];
        for i in 0..100_000u32 {
            seen[usize::from(place(&i.to_le_bytes()).1)] += 1;
        }
        assert_eq!(seen[0], 0);
        assert!((45_000..55_000).contains(&seen[1]), "{}", seen[1]);
        assert!((20_000..30_000).contains(&seen[2]), "{}", seen[2]);
    }
}
