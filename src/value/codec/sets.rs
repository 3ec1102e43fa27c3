//! The payloads of sets: types 2 (strings), 11 (intset) and, only read, 20 (listpack).

use super::primitive::write_integer;
use super::{CodecError, Collections, Compression, Reader, Text, kind};
use super::{write_len, write_string_with};
use crate::value::listpack::{Element, Listpack};
use crate::value::number;
use crate::value::set::intset::Intset;
use crate::value::set::{Duplicate, Set, SetLimits};

/// The type byte of a set. A listpack is written as strings: Redis 7.0 does not read it.
pub(super) fn type_byte(set: &Set) -> u8 {
    match set.as_intset() {
        Some(_) => kind::SET_INTSET,
        None => kind::SET,
    }
}

pub(super) fn write(out: &mut Vec<u8>, set: &Set, compression: Compression) {
    if let Some(intset) = set.as_intset() {
        return write_string_with(out, &intset.to_bytes(), compression);
    }
    write_len(out, set.len() as u64);
    for member in set.iter() {
        write_member(out, member, compression);
    }
}

pub(super) fn write_member(out: &mut Vec<u8>, member: Element<'_>, compression: Compression) {
    match member {
        Element::Int(int) => write_integer(out, int),
        Element::Bytes(bytes) => write_string_with(out, bytes, compression),
    }
}

/// Reads the payload of one of the three types.
pub(super) fn read(
    kind: u8,
    reader: &mut Reader<'_>,
    collections: &Collections,
) -> Result<Set, CodecError> {
    match kind {
        kind::SET_INTSET => reader
            .string()?
            .with(|bytes| read_intset(bytes, collections)),
        kind::SET_LISTPACK => read_listpack(reader.string()?, collections),
        _ => read_strings(reader, collections),
    }
}

fn read_intset(bytes: &[u8], collections: &Collections) -> Result<Set, CodecError> {
    let intset = Intset::from_bytes(bytes).map_err(|_| CodecError::Corrupt("malformed intset"))?;
    if intset.is_empty() {
        return Err(CodecError::Empty);
    }
    Ok(Set::from_intset(
        intset,
        &collections.set_limits,
        &collections.seed,
    ))
}

fn read_listpack(text: Text<'_>, collections: &Collections) -> Result<Set, CodecError> {
    let listpack = Listpack::from_bytes(text.into_bytes())
        .map_err(|_| CodecError::Corrupt("malformed listpack"))?;
    if listpack.is_empty() {
        return Err(CodecError::Empty);
    }
    Ok(Set::from_listpack(
        listpack,
        &collections.set_limits,
        &collections.seed,
    )?)
}

fn read_strings(reader: &mut Reader<'_>, collections: &Collections) -> Result<Set, CodecError> {
    let count = reader.plain_len()?;
    if count == 0 {
        return Err(CodecError::Empty);
    }
    let few = usize::try_from(count).is_ok_and(|n| n <= collections.set_limits.intset_len_max());
    let mut builder = Builder {
        collections,
        member_len_max: 0,
        bytes: 0,
        state: match few {
            true => State::Integers(Vec::new()),
            false => State::Table(Set::new()),
        },
    };
    for _ in 0..count {
        reader.string()?.with(|member| builder.add(member))?;
    }
    builder.finish()
}

/// Builds a set of members that may be hostile: duplicates are found without comparing each with
/// each, however high the limits are set.
struct Builder<'a> {
    collections: &'a Collections,
    /// The longest member so far.
    member_len_max: usize,
    /// Length of all members so far.
    bytes: usize,
    state: State,
}

/// The encoding so far.
enum State {
    /// In the order in which they came.
    Integers(Vec<i64>),
    /// Not searched for duplicates yet: that is done once, for all.
    Listpack(Listpack),
    Table(Set),
}

impl Builder<'_> {
    fn add(&mut self, member: &[u8]) -> Result<(), CodecError> {
        let limits = self.collections.set_limits;
        self.member_len_max = self.member_len_max.max(member.len());
        self.bytes = self.bytes.saturating_add(member.len());
        if let State::Integers(integers) = &mut self.state {
            if let Some(int) = number::parse_i64(member) {
                integers.push(int);
                return Ok(());
            }
            let small = integers.len() < limits.listpack_entries_max
                && self.member_len_max <= limits.listpack_value_len_max
                && Listpack::new().fits(self.bytes);
            let ascending = ascending(std::mem::take(integers))?;
            self.state = match small {
                true => State::Listpack(listpack_of(&ascending)),
                false => self.table(ascending.iter().copied().map(Element::Int))?,
            };
        }
        if let State::Listpack(listpack) = &mut self.state {
            if listpack.len() < limits.listpack_entries_max
                && member.len() <= limits.listpack_value_len_max
                && listpack.fits(member.len())
            {
                listpack.push_back(member);
                return Ok(());
            }
            let listpack = std::mem::take(listpack);
            self.state = self.table(listpack.iter())?;
        }
        let State::Table(set) = &mut self.state else {
            return Ok(());
        };
        insert(set, Element::Bytes(member), self.collections)
    }

    fn table<'e>(&self, members: impl Iterator<Item = Element<'e>>) -> Result<State, CodecError> {
        let mut set = Set::new();
        for member in members {
            insert(&mut set, member, self.collections)?;
        }
        Ok(State::Table(set))
    }

    fn finish(self) -> Result<Set, CodecError> {
        match self.state {
            State::Integers(integers) => {
                let ascending = ascending(integers)?;
                let intset = Intset::from_ascending(&ascending).map_err(|_| Duplicate)?;
                let Collections {
                    set_limits, seed, ..
                } = self.collections;
                Ok(Set::from_intset(intset, set_limits, seed))
            }
            State::Listpack(listpack) => Ok(Set::from_listpack(
                listpack,
                &self.collections.set_limits,
                &self.collections.seed,
            )?),
            State::Table(set) => Ok(set),
        }
    }
}

/// Adds a member to a set that is a table from its first member on.
fn insert(set: &mut Set, member: Element<'_>, collections: &Collections) -> Result<(), CodecError> {
    const TABLE: SetLimits = SetLimits {
        intset_entries_max: 0,
        listpack_entries_max: 0,
        listpack_value_len_max: 0,
    };
    match set.insert_element(member, &TABLE, &collections.seed) {
        true => Ok(()),
        false => Err(Duplicate.into()),
    }
}

fn ascending(mut integers: Vec<i64>) -> Result<Vec<i64>, Duplicate> {
    integers.sort_unstable();
    match integers.windows(2).any(|pair| pair[0] == pair[1]) {
        true => Err(Duplicate),
        false => Ok(integers),
    }
}

fn listpack_of(integers: &[i64]) -> Listpack {
    let mut listpack = Listpack::new();
    integers.iter().for_each(|&int| listpack.push_back_int(int));
    listpack
}

impl From<Duplicate> for CodecError {
    fn from(Duplicate: Duplicate) -> Self {
        CodecError::Corrupt("a set with a member twice")
    }
}

#[cfg(test)]
mod tests;
