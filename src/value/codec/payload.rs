//! The payloads of the types that this version holds.

use super::primitive::write_integer;
use super::{CodecError, Compression, Frame, Progress, Reader, Text, kind, write_string_with};
use crate::value::{Value, ValueRef, number};

/// What collections are built with when they are read.
#[derive(Clone, Copy, Debug)]
pub struct Collections {}

/// The type byte that `value` is written under.
pub fn type_byte(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Int(_) | ValueRef::Bytes(_) => kind::STRING,
        ValueRef::Hash(_) => kind::HASH,
    }
}

/// Appends the payload of `value`, strings compressed where that is shorter.
pub fn write_value(out: &mut Vec<u8>, value: ValueRef<'_>) {
    write_value_with(out, value, Compression::Lzf);
}

/// As [`write_value`], with the choice of compression.
pub fn write_value_with(out: &mut Vec<u8>, value: ValueRef<'_>, compression: Compression) {
    match value {
        ValueRef::Int(value) => write_integer(out, value),
        ValueRef::Bytes(bytes) => write_string_with(out, bytes, compression),
        ValueRef::Hash(_) => {}
    }
}

/// Reads a value of type `kind`; the reader stands behind it afterwards.
///
/// A value of a type that the format has but this version does not hold is passed over, and
/// [`CodecError::Unsupported`] names the type.
pub fn read_value(
    kind: u8,
    reader: &mut Reader<'_>,
    _collections: &Collections,
) -> Result<Value, CodecError> {
    match kind {
        kind::STRING => Ok(read_string(reader.string()?)),
        _ => Err(pass_over(kind, reader)),
    }
}

fn read_string(text: Text<'_>) -> Value {
    match text {
        Text::Int(value) => Value::Int(value),
        Text::Bytes(bytes) => Value::string(bytes),
        Text::Unpacked(bytes) => match number::parse_i64(&bytes) {
            Some(value) => Value::Int(value),
            None => Value::Bytes(bytes),
        },
    }
}

/// Moves `reader` behind a value that cannot be held; gives the reason.
fn pass_over(kind: u8, reader: &mut Reader<'_>) -> CodecError {
    let mut frame = match Frame::of_value(kind) {
        Ok(frame) => frame,
        Err(error) => return error,
    };
    match reader.advance(&mut frame) {
        Ok(Progress::Done(_)) => CodecError::Unsupported(kind::name(kind).unwrap_or("unknown")),
        Ok(Progress::More(_)) => CodecError::Truncated,
        Err(error) => error,
    }
}
