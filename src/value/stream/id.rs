//! Ids of stream entries: 128 bits, written `<milliseconds>-<sequence>`.

/// Longest text that is looked at as an id, in bytes.
const TEXT_LEN_MAX: usize = 127;

/// The id of an entry. Ids of a stream ascend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct StreamId {
    /// By convention Unix time in milliseconds.
    pub ms: u64,
    /// Tells entries of the same millisecond apart.
    pub seq: u64,
}

/// An id as XADD takes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdText {
    /// `ms-seq`, or `ms` with what is missing filled in.
    Whole(StreamId),
    /// `ms-*`: the sequence is to be found.
    Milliseconds(u64),
}

impl StreamId {
    /// The id before all others. No entry has it.
    pub const MIN: StreamId = StreamId::new(0, 0);
    /// The greatest id.
    pub const MAX: StreamId = StreamId::new(u64::MAX, u64::MAX);

    /// An id of its two halves.
    pub const fn new(ms: u64, seq: u64) -> Self {
        StreamId { ms, seq }
    }

    /// The id after this one; `None` after the greatest.
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self::new(self.ms.checked_add(1)?, 0)),
        }
    }

    /// The id before this one; `None` before the least.
    pub fn previous(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { seq, ..self }),
            None => Some(Self::new(self.ms.checked_sub(1)?, u64::MAX)),
        }
    }

    /// The bytes of RDB: both halves big-endian, so that they sort as the ids do.
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The id of those bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
        Self::new(
            u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            u64::from_be_bytes(rest),
        )
    }

    /// Reads `ms-seq` or `ms`; a sequence that is missing is `missing_seq`.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<Self> {
        match parse_halves(text)? {
            (ms, None) => Some(Self::new(ms, missing_seq)),
            (ms, Some(seq)) => Some(Self::new(ms, parse_u64(seq)?)),
        }
    }

    /// As [`StreamId::parse`], and also takes `-` for the least and `+` for the greatest id.
    pub fn parse_bound(text: &[u8], missing_seq: u64) -> Option<Self> {
        match until_nul(text)? {
            b"-" => Some(Self::MIN),
            b"+" => Some(Self::MAX),
            _ => Self::parse(text, missing_seq),
        }
    }

    /// Appends the id's text.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text().bytes());
    }

    /// The id's text.
    pub fn text(self) -> Text {
        let mut text = Text {
            bytes: [0; Text::LEN_MAX],
            len: 0,
        };
        let mut digits = itoa::Buffer::new();
        text.push(digits.format(self.ms).as_bytes());
        text.push(b"-");
        text.push(digits.format(self.seq).as_bytes());
        text
    }
}

impl IdText {
    /// Reads the id of a new entry; a sequence that is missing is 0.
    pub fn parse(text: &[u8]) -> Option<Self> {
        match parse_halves(text)? {
            (ms, Some(b"*")) => Some(Self::Milliseconds(ms)),
            _ => StreamId::parse(text, 0).map(Self::Whole),
        }
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text of an id, without an allocation.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; Text::LEN_MAX],
    len: usize,
}

impl Text {
    /// Two numbers of up to 20 digits.
    const LEN_MAX: usize = 41;

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }
}

/// Redis reads ids as C strings: what follows a zero byte does not count.
fn until_nul(text: &[u8]) -> Option<&[u8]> {
    let text = text.get(..text.len().min(TEXT_LEN_MAX + 1))?;
    if text.len() > TEXT_LEN_MAX {
        return None;
    }
    text.split(|byte| *byte == 0).next()
}

/// The milliseconds, and what stands behind the first dash.
fn parse_halves(text: &[u8]) -> Option<(u64, Option<&[u8]>)> {
    let text = until_nul(text)?;
    match text.iter().position(|byte| *byte == b'-') {
        None => Some((parse_u64(text)?, None)),
        Some(dash) => Some((parse_u64(&text[..dash])?, Some(&text[dash + 1..]))),
    }
}

/// A number as Redis's `string2ull` takes it: also with what C's `strtoull` skips or applies,
/// space, a sign and zeros before it. (A minus sign before zeros wraps around.)
fn parse_u64(text: &[u8]) -> Option<u64> {
    if matches!(text, [b'-', b'1'..=b'9', ..]) {
        // Most are out of range to Redis too; those that are not wrap around, which nobody wants.
        return None;
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | 0x09..=0x0d);
    let start = text.iter().position(|byte| !is_space(byte))?;
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })?;
    Some(match negative {
        true => number.wrapping_neg(),
        false => number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64, seq: u64) -> Option<StreamId> {
        Some(StreamId::new(ms, seq))
    }

    #[test]
    fn ids_are_read_in_all_forms_that_redis_takes() {
        for (text, want) in [
            (&b"1-2"[..], id(1, 2)),
            (b"5", id(5, 7)),
            (
                b"18446744073709551615-18446744073709551615",
                Some(StreamId::MAX),
            ),
            (b"18446744073709551616-0", None),
            (b"1-18446744073709551616", None),
            (b"01- 2", id(1, 2)),
            (b"+1-+2", id(1, 2)),
            (b"1--02", id(1, u64::MAX - 1)),
            (b"1--2", None),
            (b"-1", None),
            (b"-", None),
            (b"+", None),
            (b"*", None),
            (b"1-*", None),
            (b"", None),
            (b"1-", None),
            (b"1-2-3", None),
            (b"x", None),
            (b"1-2 ", None),
            (b"1-2\0rest", id(1, 2)),
            (b"7\0-9", id(7, 7)),
            (b"1-\0", None),
            (&[b'0'; 127], id(0, 7)),
            (&[b'0'; 128], None),
        ] {
            assert_eq!(StreamId::parse(text, 7), want, "{:?}", text.escape_ascii());
        }
        assert_eq!(StreamId::parse_bound(b"-", 7), id(0, 0));
        assert_eq!(StreamId::parse_bound(b"+", 7), Some(StreamId::MAX));
        assert_eq!(StreamId::parse_bound(b"3", 7), id(3, 7));
        assert_eq!(IdText::parse(b"3-*"), Some(IdText::Milliseconds(3)));
        assert_eq!(IdText::parse(b"3"), id(3, 0).map(IdText::Whole));
        assert_eq!(IdText::parse(b"3-**"), None);
    }

    #[test]
    fn neighbours_carry_over_between_the_halves() {
        assert_eq!(StreamId::new(1, u64::MAX).next(), id(2, 0));
        assert_eq!(StreamId::new(2, 0).previous(), id(1, u64::MAX));
        assert_eq!(StreamId::new(2, 5).next(), id(2, 6));
        assert_eq!(StreamId::new(2, 5).previous(), id(2, 4));
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::MIN.previous(), None);
    }

    #[test]
    fn bytes_and_text_give_the_id_back() {
        for id in [StreamId::MIN, StreamId::new(1 << 40, 3), StreamId::MAX] {
            assert_eq!(StreamId::from_bytes(id.to_bytes()), id);
            assert_eq!(StreamId::parse(id.text().bytes(), 9), Some(id));
            assert_eq!(id.to_string().as_bytes(), id.text().bytes());
        }
    }
}
