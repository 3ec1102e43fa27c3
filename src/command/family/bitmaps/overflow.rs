//! What becomes of a number that its field cannot hold.

/// What to do where a result does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Overflow {
    /// Keep the lowest bits.
    Wrap,
    /// The nearest number that fits.
    Saturate,
    /// Write nothing.
    Fail,
}

impl Overflow {
    /// The overflow that a word of the request means.
    pub fn parse(word: &[u8]) -> Option<Overflow> {
        const WORDS: [(&[u8], Overflow); 3] = [
            (b"wrap", Overflow::Wrap),
            (b"sat", Overflow::Saturate),
            (b"fail", Overflow::Fail),
        ];
        let found = WORDS
            .iter()
            .find(|(name, _)| word.eq_ignore_ascii_case(name));
        found.map(|(_, overflow)| *overflow)
    }
}

/// The type of a field: `i5`, `u63` …
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Type {
    pub signed: bool,
    /// 1 to 64, or to 63 without a sign.
    pub bits: u32,
}

impl Type {
    /// Parses `i` or `u` and a number of bits.
    pub fn parse(text: &[u8]) -> Option<Type> {
        let (signed, digits) = match text.split_first()? {
            (b'i', digits) => (true, digits),
            (b'u', digits) => (false, digits),
            _ => return None,
        };
        let bits = crate::value::number::parse_i64(digits)?;
        let bits_max = if signed { 64 } else { 63 };
        (1..=bits_max).contains(&bits).then_some(Type {
            signed,
            bits: bits as u32,
        })
    }

    /// The least and the greatest number.
    fn limits(self) -> (i128, i128) {
        match self.signed {
            true => (-1 << (self.bits - 1), (1 << (self.bits - 1)) - 1),
            false => (0, (1 << self.bits) - 1),
        }
    }

    /// The lowest bits of the number to write, or nothing, if `overflow` says so.
    pub fn fit(self, number: i128, overflow: Overflow) -> Option<u64> {
        let (least, most) = self.limits();
        let number = match overflow {
            _ if (least..=most).contains(&number) => number,
            Overflow::Wrap => number,
            Overflow::Saturate => number.clamp(least, most),
            Overflow::Fail => return None,
        };
        Some(number as u64 & u64::MAX >> (64 - self.bits))
    }

    /// What a number in the field stands for, as it is replied.
    pub fn read(self, bits: u64) -> i64 {
        let unused = 64 - self.bits;
        match self.signed {
            true => (bits << unused) as i64 >> unused,
            // At most 63 bits.
            false => bits as i64,
        }
    }

    /// What a number of the request stands for if it is to be stored: without a sign, a negative
    /// one is a very large one. With a sign, so is one that is farther below the greatest of the
    /// field than 64 bits can say: Redis saturates it to the wrong side, and replicas run the
    /// request as it was sent. Its lowest bits stay the same.
    pub fn to_store(self, number: i64) -> i128 {
        let wide = i128::from(number);
        let too_far = self.bits < 64 && self.limits().1 - wide > i128::from(i64::MAX);
        match self.signed {
            true if !too_far => wide,
            true => wide + (1 << 64),
            false => (number as u64).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_a_letter_and_one_to_64_bits() {
        for (text, signed, bits) in [
            (&b"i1"[..], true, 1),
            (b"i64", true, 64),
            (b"u63", false, 63),
        ] {
            assert_eq!(Type::parse(text), Some(Type { signed, bits }));
        }
        for text in [
            &b""[..],
            b"u",
            b"u0",
            b"u64",
            b"i65",
            b"i-1",
            b"I8",
            b"x8",
            b"u08",
            b"u8 ",
        ] {
            assert_eq!(Type::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_number_farther_off_than_64_bits_can_say_saturates_upwards_as_in_redis() {
        let kind = Type::parse(b"i9").unwrap();
        for (number, stored) in [
            (i64::MIN, 255),
            (i64::MIN + 255, 255),
            (i64::MIN + 256, -256),
            (-257, -256),
        ] {
            let bits = kind.fit(kind.to_store(number), Overflow::Saturate).unwrap();
            assert_eq!(kind.read(bits), stored, "{number}");
            let wrapped = kind.fit(kind.to_store(number), Overflow::Wrap).unwrap();
            assert_eq!(wrapped, number as u64 & 0x1ff);
        }
        let widest = Type::parse(b"i64").unwrap();
        assert_eq!(widest.to_store(i64::MIN), i128::from(i64::MIN));
    }

    #[test]
    fn numbers_at_the_limits_fit_and_those_beyond_overflow() {
        for (text, least, most) in [
            ("u1", 0, 1),
            ("u8", 0, 255),
            ("u63", 0, i128::from(i64::MAX)),
            ("i1", -1, 0),
            ("i8", -128, 127),
            ("i64", i128::from(i64::MIN), i128::from(i64::MAX)),
        ] {
            let kind = Type::parse(text.as_bytes()).unwrap();
            for number in [least, most] {
                let bits = kind.fit(number, Overflow::Fail).unwrap();
                assert_eq!(i128::from(kind.read(bits)), number, "{text}");
            }
            for (beyond, nearest, wrapped) in [(least - 1, least, most), (most + 1, most, least)] {
                assert_eq!(kind.fit(beyond, Overflow::Fail), None);
                let read = |overflow| i128::from(kind.read(kind.fit(beyond, overflow).unwrap()));
                assert_eq!(read(Overflow::Saturate), nearest, "{text}");
                assert_eq!(read(Overflow::Wrap), wrapped, "{text}");
            }
        }
    }
}
