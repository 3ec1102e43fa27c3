//! The payloads of the types that this version holds.

use super::legacy::{read_ziplist, read_zipmap};
use super::lists::{read_list, write_list};
use super::primitive::write_integer;
use super::sorted_set;
use super::{
    CodecError, Compression, Frame, Progress, Reader, Text, kind, sets, stream, write_len,
    write_string_with,
};
use crate::value::hash::{Hash, HashError, HashLimits};
use crate::value::list::ListLimits;
use crate::value::listpack::Listpack;
use crate::value::set::SetLimits;
use crate::value::sorted_set::SortedSetLimits;
use crate::value::{HashSeed, Value, ValueRef, number};

/// What collections are built with when they are read.
#[derive(Clone, Copy, Debug)]
pub struct Collections {
    /// When a hash is no longer a listpack.
    pub hash_limits: HashLimits,
    /// How large the nodes of a list are.
    pub list_limits: ListLimits,
    /// When a set changes its encoding.
    pub set_limits: SetLimits,
    /// When a sorted set is no longer a listpack.
    pub sorted_set_limits: SortedSetLimits,
    /// The keys of the hash function.
    pub seed: HashSeed,
}

/// The type byte that `value` is written under.
pub fn type_byte(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Int(_) | ValueRef::Bytes(_) => kind::STRING,
        ValueRef::Hash(hash) if hash.as_listpack().is_some() => kind::HASH_LISTPACK,
        ValueRef::Hash(_) => kind::HASH,
        ValueRef::List(_) => kind::LIST_QUICKLIST_2,
        ValueRef::Set(set) => sets::type_byte(set),
        ValueRef::SortedSet(set) if set.as_listpack().is_some() => kind::SORTED_SET_LISTPACK,
        ValueRef::SortedSet(_) => kind::SORTED_SET_2,
        ValueRef::Stream(_) => kind::STREAM_2,
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
        ValueRef::Hash(hash) => write_hash(out, hash, compression),
        ValueRef::List(list) => write_list(out, list, compression),
        ValueRef::Set(set) => sets::write(out, set, compression),
        ValueRef::SortedSet(set) => sorted_set::write(out, set, compression),
        ValueRef::Stream(stream) => stream::write(out, stream, compression),
    }
}

fn write_hash(out: &mut Vec<u8>, hash: &Hash, compression: Compression) {
    if let Some(listpack) = hash.as_listpack() {
        return write_string_with(out, listpack.bytes(), compression);
    }
    write_len(out, hash.len() as u64);
    for (field, value) in hash.iter() {
        field.with_bytes(|field| write_string_with(out, field, compression));
        value.with_bytes(|value| write_string_with(out, value, compression));
    }
}

/// Reads a value of type `kind`; the reader stands behind it afterwards.
///
/// A value of a type that the format has but this version does not hold is passed over, and
/// [`CodecError::Unsupported`] names the type.
pub fn read_value(
    kind: u8,
    reader: &mut Reader<'_>,
    collections: &Collections,
) -> Result<Value, CodecError> {
    let hash = match kind {
        kind::STRING => return Ok(read_string(reader.string()?)),
        kind::SET | kind::SET_INTSET | kind::SET_LISTPACK => {
            let set = sets::read(kind, reader, collections)?;
            return Ok(Value::Set(Box::new(set)));
        }
        kind::HASH => read_hash(reader, collections)?,
        kind::HASH_LISTPACK => read_hash_listpack(reader.string()?, collections)?,
        kind::HASH_ZIPLIST => reader
            .string()?
            .with(|ziplist| read_hash_ziplist(ziplist, collections))?,
        kind::HASH_ZIPMAP => reader
            .string()?
            .with(|zipmap| read_hash_zipmap(zipmap, collections))?,
        kind::LIST | kind::LIST_ZIPLIST | kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => {
            let list = read_list(kind, reader, &collections.list_limits)?;
            return Ok(Value::List(Box::new(list)));
        }
        kind::STREAM | kind::STREAM_2 | kind::STREAM_3 => {
            return Ok(Value::Stream(Box::new(stream::read(kind, reader)?)));
        }
        kind::SORTED_SET
        | kind::SORTED_SET_2
        | kind::SORTED_SET_ZIPLIST
        | kind::SORTED_SET_LISTPACK => {
            let set = sorted_set::read(kind, reader, collections)?;
            return Ok(Value::SortedSet(Box::new(set)));
        }
        _ => return Err(pass_over(kind, reader)),
    };
    Ok(Value::Hash(Box::new(hash)))
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

fn read_hash(reader: &mut Reader<'_>, collections: &Collections) -> Result<Hash, CodecError> {
    let count = reader.plain_len()?;
    let small = usize::try_from(count).is_ok_and(|n| n <= collections.hash_limits.entries_max);
    let mut hash = match small {
        true => Builder::small(collections, collections.hash_limits.value_len_max),
        false => Builder::large(collections),
    };
    for _ in 0..count {
        let field = reader.string()?;
        let value = reader.string()?;
        field.with(|field| value.with(|value| hash.add(field, value)))?;
    }
    hash.finish()
}

fn read_hash_listpack(text: Text<'_>, collections: &Collections) -> Result<Hash, CodecError> {
    let listpack = Listpack::from_bytes(text.into_bytes())
        .map_err(|_| CodecError::Corrupt("malformed listpack"))?;
    Ok(Hash::from_listpack(
        listpack,
        &collections.hash_limits,
        &collections.seed,
    )?)
}

fn read_hash_ziplist(data: &[u8], collections: &Collections) -> Result<Hash, CodecError> {
    // As in Redis the length of values does not matter here, as it does not for listpacks.
    let mut hash = Builder::small(collections, usize::MAX);
    let mut field = None;
    read_ziplist(data, |element| match field.take() {
        None => {
            field = Some(element);
            Ok(())
        }
        Some(field) => field.with(|field| element.with(|value| hash.add(field, value))),
    })?;
    if field.is_some() {
        return Err(HashError::Odd.into());
    }
    hash.finish()
}

fn read_hash_zipmap(data: &[u8], collections: &Collections) -> Result<Hash, CodecError> {
    let mut hash = Builder::small(collections, collections.hash_limits.value_len_max);
    read_zipmap(data, |field, value| hash.add(field, value))?;
    hash.finish()
}

/// Builds a hash of pairs that may be hostile: duplicates are found without comparing each with
/// each, however high the limits are set.
struct Builder<'a> {
    collections: &'a Collections,
    value_len_max: usize,
    state: State,
}

enum State {
    /// Not searched for duplicates yet: that is done once, for all.
    Small(Listpack),
    Large(Hash),
}

impl<'a> Builder<'a> {
    /// Begins a hash that is a listpack as long as the limits allow.
    fn small(collections: &'a Collections, value_len_max: usize) -> Self {
        Self {
            collections,
            value_len_max,
            state: State::Small(Listpack::new()),
        }
    }

    /// Begins a hash that has too many fields for a listpack.
    fn large(collections: &'a Collections) -> Self {
        Self {
            collections,
            value_len_max: 0,
            state: State::Large(Hash::new()),
        }
    }

    fn add(&mut self, field: &[u8], value: &[u8]) -> Result<(), CodecError> {
        if let State::Small(listpack) = &mut self.state {
            if field.len().max(value.len()) <= self.value_len_max
                && listpack.fits(field.len().saturating_add(value.len()))
            {
                listpack.push_back(field);
                listpack.push_back(value);
                return Ok(());
            }
            self.state = State::Large(match listpack.is_empty() {
                true => Hash::new(),
                false => small_hash(std::mem::take(listpack), self.collections)?,
            });
        }
        let State::Large(hash) = &mut self.state else {
            return Ok(());
        };
        // With this limit the first field already makes it a table.
        let limits = HashLimits {
            entries_max: 0,
            ..self.collections.hash_limits
        };
        match hash.set(field, value, &limits, &self.collections.seed) {
            true => Ok(()),
            false => Err(HashError::Duplicate.into()),
        }
    }

    fn finish(self) -> Result<Hash, CodecError> {
        match self.state {
            State::Small(listpack) => small_hash(listpack, self.collections),
            State::Large(hash) if hash.is_empty() => Err(CodecError::Empty),
            State::Large(hash) => Ok(hash),
        }
    }
}

fn small_hash(listpack: Listpack, collections: &Collections) -> Result<Hash, CodecError> {
    Ok(Hash::from_listpack(
        listpack,
        &collections.hash_limits,
        &collections.seed,
    )?)
}

impl From<HashError> for CodecError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Empty => CodecError::Empty,
            HashError::Odd => CodecError::Corrupt("a field of a hash without a value"),
            HashError::Duplicate => CodecError::Corrupt("a hash with a field twice"),
        }
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
