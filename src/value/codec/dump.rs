//! The framing of DUMP and RESTORE.
//!
//! ```text
//! type:u8  payload  version:u16 little-endian  crc64 of all before:u64 little-endian
//! ```

use super::{
    CodecError, Collections, Compression, RDB_VERSION, Reader, read_value, type_byte,
    write_value_with,
};
use crate::value::{Value, ValueRef, crc64};

/// The greatest RDB version that a payload may name: that of Redis 7.2.
pub const DUMP_VERSION_MAX: u16 = 11;

/// Why RESTORE refuses a payload.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// The footer is missing, of a version above [`DUMP_VERSION_MAX`], or does not match.
    #[error("DUMP payload version or checksum are wrong")]
    VersionOrChecksum,
    /// The footer is right but the payload is not one value.
    #[error("Bad data format")]
    Data(#[from] CodecError),
}

/// The payload of DUMP for `value`.
pub fn dump(value: ValueRef<'_>, compression: Compression) -> Vec<u8> {
    let mut out = vec![type_byte(value)];
    write_value_with(&mut out, value, compression);
    out.extend_from_slice(&RDB_VERSION.to_le_bytes());
    let crc = crc64::checksum(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// The value of a payload made by DUMP of any Redis up to 7.2.
///
/// The checksum protects against accidents only, so the payload is validated as if it came from
/// an enemy. Memory stays in proportion to the payload (LZF expands at most 88 times).
pub fn restore(payload: &[u8], collections: &Collections) -> Result<Value, RestoreError> {
    let (signed, crc) = payload
        .split_last_chunk::<8>()
        .ok_or(RestoreError::VersionOrChecksum)?;
    let (data, version) = signed
        .split_last_chunk::<2>()
        .ok_or(RestoreError::VersionOrChecksum)?;
    if u16::from_le_bytes(*version) > DUMP_VERSION_MAX
        || u64::from_le_bytes(*crc) != crc64::checksum(signed)
    {
        return Err(RestoreError::VersionOrChecksum);
    }
    let mut reader = Reader::new(data);
    let kind = reader.u8()?;
    let value = read_value(kind, &mut reader, collections)?;
    if reader.remaining() > 0 {
        return Err(CodecError::Corrupt("data behind the end of a value").into());
    }
    Ok(value)
}
