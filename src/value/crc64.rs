//! CRC-64 as Redis computes it: the "Jones" polynomial 0xad93d23594c935a9, reflected, initial
//! value 0, no final xor. It ends every RDB file and every DUMP payload (little-endian).
//!
//! The work is done by `crc-fast` (carry-less multiplication where the processor has it); the
//! tests hold it against an independent table-driven implementation.

use crc_fast::{CrcAlgorithm, Digest};

/// The checksum of `data` in one go.
pub fn checksum(data: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Redis, data)
}

/// A checksum over data that arrives in pieces. How it is cut does not change the result.
#[derive(Clone, Debug)]
pub struct Crc64(Digest);

impl Crc64 {
    /// The checksum of nothing, which is 0.
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Redis))
    }

    /// Adds `data` behind everything added before.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The checksum of everything added so far; more may be added afterwards.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_check_value_is_that_of_redis() {
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(checksum(b""), 0);
        assert_eq!(Crc64::new().value(), 0);
    }

    #[test]
    fn every_length_up_to_two_kilobytes_agrees_with_the_reference() {
        let data: Vec<u8> = (0..2048u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for len in 0..data.len() {
            assert_eq!(
                checksum(&data[..len]),
                crc64::crc64(0, &data[..len]),
                "{len} bytes"
            );
        }
    }

    proptest! {
        #[test]
        fn any_split_of_any_data_agrees_with_the_reference(
            data in proptest::collection::vec(any::<u8>(), 0..5000),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let expected = crc64::crc64(0, &data);
            let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(data.len() + 1)).collect();
            cuts.sort_unstable();
            let mut crc = Crc64::new();
            let mut start = 0;
            for cut in cuts {
                crc.update(&data[start..cut]);
                prop_assert_eq!(crc.value(), crc64::crc64(0, &data[..cut]));
                start = cut;
            }
            crc.update(&data[start..]);
            prop_assert_eq!(crc.value(), expected);
            prop_assert_eq!(checksum(&data), expected);
        }
    }
}
