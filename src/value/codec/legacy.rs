//! Readers of the compact encodings that hashes had before Redis 7.
//!
//! ```text
//! zipmap   count:u8  { len key len free:u8 value unused[free] }*  0xff
//! len      u8 below 254, or 254 and u32 little-endian
//!
//! ziplist  bytes:u32  tail:u32  count:u16  entry*  0xff            (little-endian)
//! entry    size of the entry before: u8 below 254, or 254 and u32 little-endian
//!          00LLLLLL                       string of 6 bits of length
//!          01LLLLLL LLLLLLLL              string of 14 bits of length
//!          10000000 + 4 bytes big-endian  string of 32 bits of length
//!          11000000 i16 | 11010000 i32 | 11100000 i64 | 11110000 i24 | 11111110 i8
//!          1111VVVV, V in 1..=13          the number V-1
//! ```

use super::{CodecError, Reader, Text};

const END: u8 = 0xff;
const WIDE: u8 = 0xfe;
const ZIPLIST_HEADER_LEN: usize = 10;

fn truncated(_: CodecError) -> CodecError {
    CodecError::Corrupt("a compact encoding ends early")
}

/// Calls `pair` with each key and value of a zipmap, in order.
///
/// Fails where the zipmap is malformed, empty, or `pair` fails; pairs before that were given.
pub(super) fn read_zipmap(
    data: &[u8],
    mut pair: impl FnMut(&[u8], &[u8]) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let mut reader = Reader::new(data);
    let claimed = reader.u8().map_err(truncated)?;
    let mut count = 0u64;
    while let Some(key) = zipmap_len(&mut reader)? {
        let key = reader.bytes(key).map_err(truncated)?;
        let value =
            zipmap_len(&mut reader)?.ok_or(CodecError::Corrupt("a zipmap ends behind a key"))?;
        let unused = reader.u8().map_err(truncated)?;
        let value = reader.bytes(value).map_err(truncated)?;
        reader.bytes(u64::from(unused)).map_err(truncated)?;
        pair(key, value)?;
        count += 1;
    }
    if reader.remaining() > 0 {
        return Err(CodecError::Corrupt("data behind the end of a zipmap"));
    }
    if claimed < WIDE && u64::from(claimed) != count {
        return Err(CodecError::Corrupt("wrong count in a zipmap"));
    }
    Ok(())
}

fn zipmap_len(reader: &mut Reader<'_>) -> Result<Option<u64>, CodecError> {
    Ok(match reader.u8().map_err(truncated)? {
        END => None,
        WIDE => Some(u64::from(reader.u32_le().map_err(truncated)?)),
        len => Some(u64::from(len)),
    })
}

/// Calls `element` with each element of a ziplist, in order.
///
/// Fails where the ziplist is malformed or `element` fails; elements before that were given.
pub(super) fn read_ziplist<'a>(
    data: &'a [u8],
    mut element: impl FnMut(Text<'a>) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let mut reader = Reader::new(data);
    let bytes = reader.u32_le().map_err(truncated)?;
    let tail = reader.u32_le().map_err(truncated)?;
    let claimed = u16::from_le_bytes([
        reader.u8().map_err(truncated)?,
        reader.u8().map_err(truncated)?,
    ]);
    if bytes as usize != data.len() {
        return Err(CodecError::Corrupt("wrong size in a ziplist"));
    }
    let mut count = 0u64;
    let mut last = ZIPLIST_HEADER_LEN;
    let mut before_len = 0;
    loop {
        let start = data.len() - reader.remaining();
        let before = match reader.u8().map_err(truncated)? {
            END => break,
            WIDE => reader.u32_le().map_err(truncated)?,
            len => u32::from(len),
        };
        if before as usize != before_len {
            return Err(CodecError::Corrupt("wrong back link in a ziplist"));
        }
        element(ziplist_element(&mut reader)?)?;
        last = start;
        before_len = data.len() - reader.remaining() - start;
        count += 1;
    }
    if reader.remaining() > 0 {
        return Err(CodecError::Corrupt("data behind the end of a ziplist"));
    }
    if tail as usize != last {
        return Err(CodecError::Corrupt("wrong tail in a ziplist"));
    }
    if claimed != u16::MAX && u64::from(claimed) != count {
        return Err(CodecError::Corrupt("wrong count in a ziplist"));
    }
    Ok(())
}

fn ziplist_element<'a>(reader: &mut Reader<'a>) -> Result<Text<'a>, CodecError> {
    let encoding = reader.u8().map_err(truncated)?;
    let len = match encoding >> 6 {
        0 => u64::from(encoding),
        1 => u64::from(encoding & 0x3f) << 8 | u64::from(reader.u8().map_err(truncated)?),
        // Redis looks at the two high bits only.
        2 => u64::from(reader.u32_le().map_err(truncated)?.swap_bytes()),
        _ => return ziplist_integer(encoding, reader).map(Text::Int),
    };
    reader.bytes(len).map(Text::Bytes).map_err(truncated)
}

fn ziplist_integer(encoding: u8, reader: &mut Reader<'_>) -> Result<i64, CodecError> {
    let len = match encoding {
        0xfe => 1,
        0xc0 => 2,
        0xf0 => 3,
        0xd0 => 4,
        0xe0 => 8,
        0xf1..=0xfd => return Ok(i64::from(encoding & 0x0f) - 1),
        _ => return Err(CodecError::Corrupt("unknown encoding in a ziplist")),
    };
    let bytes = reader.bytes(len).map_err(truncated)?;
    // The bytes go to the top, so that the shift back extends the sign.
    let mut wide = [0; 8];
    wide[8 - bytes.len()..].copy_from_slice(bytes);
    Ok(i64::from_le_bytes(wide) >> (64 - 8 * bytes.len()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn zipmap(data: &[u8]) -> Result<Pairs, CodecError> {
        let mut pairs = Pairs::new();
        read_zipmap(data, |key, value| {
            pairs.push((key.to_vec(), value.to_vec()));
            Ok(())
        })?;
        Ok(pairs)
    }

    fn ziplist(data: &[u8]) -> Result<Vec<Vec<u8>>, CodecError> {
        let mut elements = Vec::new();
        read_ziplist(data, |text| {
            elements.push(text.into_bytes());
            Ok(())
        })?;
        Ok(elements)
    }

    /// A ziplist of entries that are given without their back links.
    pub(in crate::value::codec) fn build_ziplist(entries: &[&[u8]]) -> Vec<u8> {
        let mut out = vec![0; ZIPLIST_HEADER_LEN];
        let mut tail = ZIPLIST_HEADER_LEN;
        let mut before = 0;
        for entry in entries {
            tail = out.len();
            match u8::try_from(before) {
                Ok(before) if before < WIDE => out.push(before),
                _ => {
                    out.push(WIDE);
                    out.extend_from_slice(&(before as u32).to_le_bytes());
                }
            }
            out.extend_from_slice(entry);
            before = out.len() - tail;
        }
        out.push(END);
        let len = out.len() as u32;
        out[..4].copy_from_slice(&len.to_le_bytes());
        out[4..8].copy_from_slice(&(tail as u32).to_le_bytes());
        out[8..10].copy_from_slice(&(entries.len() as u16).to_le_bytes());
        out
    }

    #[test]
    fn a_zipmap_gives_its_pairs_and_skips_unused_bytes() {
        let long = [b"\xfe\x2c\x01\0\0".as_slice(), &[b'k'; 300]].concat();
        let data = [b"\x02\x01a\x02\x03xy---".as_slice(), &long, b"\x00\x00\xff"].concat();
        assert_eq!(
            zipmap(&data),
            Ok(vec![
                (b"a".to_vec(), b"xy".to_vec()),
                (vec![b'k'; 300], Vec::new())
            ])
        );
        for end in 0..data.len() {
            assert!(zipmap(&data[..end]).is_err());
        }
    }

    #[test]
    fn a_zipmap_with_a_wrong_count_or_more_behind_it_is_refused() {
        assert!(zipmap(b"\x01\x01a\x01\x00b\xff").is_ok());
        assert!(zipmap(b"\xfe\x01a\x01\x00b\xff").is_ok());
        assert!(zipmap(b"\x02\x01a\x01\x00b\xff").is_err());
        assert!(zipmap(b"\x01\x01a\x01\x00b\xff\xff").is_err());
        assert!(zipmap(b"\x01\x01a\xff").is_err());
        assert!(zipmap(b"\x01\xfe\xff\xff\xff\xffa\xff").is_err());
    }

    #[test]
    fn a_ziplist_gives_every_kind_of_element() {
        let long = [b"\x41\x2c".as_slice(), &[b'x'; 300]].concat();
        let wide = [b"\x80\0\0\x01\x2c".as_slice(), &[b'y'; 300]].concat();
        let data = build_ziplist(&[
            b"\x02ab",
            &long,
            &wide,
            b"\xf1",
            b"\xfd",
            b"\xfe\xff",
            b"\xc0\x00\x80",
            b"\xf0\x00\x00\x80",
            b"\xd0\xff\xff\xff\x7f",
            b"\xe0\0\0\0\0\0\0\0\x80",
        ]);
        let elements = ziplist(&data).unwrap();
        assert_eq!(elements[0], b"ab");
        assert_eq!(elements[1], [b'x'; 300]);
        assert_eq!(elements[2], [b'y'; 300]);
        let numbers: Vec<String> = elements[3..]
            .iter()
            .map(|text| String::from_utf8_lossy(text).into())
            .collect();
        assert_eq!(
            numbers,
            [
                "0",
                "12",
                "-1",
                "-32768",
                "-8388608",
                "2147483647",
                "-9223372036854775808"
            ]
        );
        for end in 0..data.len() {
            assert!(ziplist(&data[..end]).is_err());
        }
    }

    #[test]
    fn a_ziplist_that_contradicts_itself_is_refused() {
        let good = build_ziplist(&[b"\x01a", b"\x01b"]);
        assert_eq!(ziplist(&good), Ok(vec![b"a".to_vec(), b"b".to_vec()]));
        // Size, tail, count, first and second back link, length beyond the end.
        for (at, value) in [
            (0, 99),
            (4, 10),
            (8, 3),
            (10, 1),
            (13, 9),
            (14, 0x3f),
            (14, 0xf0),
        ] {
            let mut bad = good.clone();
            bad[at] = value;
            assert!(ziplist(&bad).is_err(), "byte {at} set to {value}");
        }
        let mut uncounted = good.clone();
        uncounted[8..10].fill(0xff);
        assert!(ziplist(&uncounted).is_ok());
        assert!(ziplist(&[&good[..], b"\xff"].concat()).is_err());
        assert_eq!(ziplist(&build_ziplist(&[])), Ok(vec![]));
    }
}
