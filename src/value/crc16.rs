//! CRC-16/XMODEM and the hash slot of a key, as the Redis Cluster specification defines them.

/// Number of hash slots, and so one above the largest slot.
pub const SLOTS: u16 = 16_384;

/// Bytes that are worked off in one step: what follows a byte no longer waits for it.
const STEP: usize = 8;

/// `TABLES[n][byte]` is the effect of a byte that `n` bytes follow in its step.
const TABLES: [[u16; 256]; STEP] = tables();

const fn tables() -> [[u16; 256]; STEP] {
    let mut tables = [[0u16; 256]; STEP];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 * STEP {
            crc = if crc & 0x8000 != 0 {
                (crc << 1) ^ 0x1021
            } else {
                crc << 1
            };
            bit += 1;
            if bit % 8 == 0 {
                tables[bit / 8 - 1][byte] = crc;
            }
        }
        byte += 1;
    }
    tables
}

/// CRC-16/XMODEM: polynomial 0x1021, initial value 0, not reflected.
///
/// Source of the way in steps: M. Kounavis and F. Berry, "A Systematic Approach to Building High
/// Performance Software-Based CRC Generators", ISCC 2005.
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let crc = steps.iter().fold(0u16, |crc, step| {
        let [high, low] = crc.to_be_bytes();
        let mut after = 0;
        for (at, &byte) in step.iter().enumerate() {
            let before = match at {
                0 => high,
                1 => low,
                _ => 0,
            };
            after ^= TABLES[STEP - 1 - at][usize::from(byte ^ before)];
        }
        after
    });
    rest.iter().fold(crc, |crc, &byte| {
        let [high, _] = crc.to_be_bytes();
        (crc << 8) ^ TABLES[0][usize::from(high ^ byte)]
    })
}

/// The part of `key` that decides on its slot: what stands between the first `{` and the first `}`
/// after it, or the whole key where there is no such pair or nothing between them.
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else {
        return key;
    };
    let after = &key[open + 1..];
    match memchr::memchr(b'}', after) {
        Some(len) if len > 0 => &after[..len],
        _ => key,
    }
}

/// The hash slot of `key`: 0 to 16,383.
#[inline]
pub fn key_slot(key: &[u8]) -> u16 {
    crc16(hash_tag(key)) & (SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_specification_holds() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(crc16(b""), 0);
    }

    #[test]
    fn any_length_gives_what_bit_by_bit_gives() {
        let bytes: Vec<u8> = (0..100u32).map(|i| (i * i + 7 * i) as u8).collect();
        for len in 0..bytes.len() {
            let bits = bytes[..len]
                .iter()
                .flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1));
            let slow = bits.fold(0u16, |crc, bit| {
                let carry = (crc >> 15) ^ u16::from(bit);
                (crc << 1) ^ (carry * 0x1021)
            });
            assert_eq!(crc16(&bytes[..len]), slow, "{len} bytes");
        }
    }

    #[test]
    fn slots_are_those_of_cluster_keyslot() {
        assert_eq!(key_slot(b"foo"), 12_182);
        assert_eq!(key_slot(b"bar"), 5_061);
        assert_eq!(key_slot(b""), 0);
    }

    #[test]
    fn only_the_first_tag_counts_and_an_empty_one_does_not() {
        assert_eq!(hash_tag(b"{user1000}.following"), b"user1000");
        assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(hash_tag(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(hash_tag(b"foo{bar}{zap}"), b"bar");
        assert_eq!(hash_tag(b"foo{bar"), b"foo{bar");
        assert_eq!(hash_tag(b"}foo{bar}"), b"bar");
    }
}
