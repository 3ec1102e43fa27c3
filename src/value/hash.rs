//! The hash data type: fields, each with a value, in one of two encodings.
//!
//! A small hash is a [`Listpack`] of field, value, field, value in the order of insertion. It turns
//! into a table under exactly Redis's conditions (`OBJECT ENCODING` shows which it is, and DUMP
//! carries it), and never back.
//!
//! In the table each field is a [packed](super::packed) record:
//!
//! ```text
//!  +---------------------------------+-------+-------+
//!  | field length, 7 bits a byte, LE | field | value |
//!  +---------------------------------+-------+-------+
//! ```

#[cfg(test)]
mod tests;

use super::listpack::{Element, Listpack};
use super::packed::{Keyed, Packed};
use super::sample::{below, draw};
use super::scattered::{SCATTERED_LEN_MIN, Scattered};
use super::{Collection, Garbage, HashSeed, Kind, Value, ValueRef, allocated};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// When a hash leaves the listpack encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HashLimits {
    /// `hash-max-listpack-entries`: the most fields.
    pub entries_max: usize,
    /// `hash-max-listpack-value`: the longest field or value, in bytes.
    pub value_len_max: usize,
}

impl Default for HashLimits {
    fn default() -> Self {
        Self {
            entries_max: 512,
            value_len_max: 64,
        }
    }
}

/// Why a listpack from outside is no hash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HashError {
    /// No field: Redis never stores an empty hash.
    #[error("hash is empty")]
    Empty,
    /// The last field has no value.
    #[error("hash has a field without a value")]
    Odd,
    /// A field is there twice.
    #[error("hash has a duplicate field")]
    Duplicate,
}

/// A hash.
#[derive(Clone)]
pub struct Hash(Encoding);

#[derive(Clone)]
enum Encoding {
    Listpack(Listpack),
    Table(Box<Packed<Field>>),
}

/// A field and its value, as they are stored.
pub type Pair<'a> = (Element<'a>, Element<'a>);

impl Hash {
    /// An empty hash, in the listpack encoding.
    pub fn new() -> Self {
        Self(Encoding::Listpack(Listpack::new()))
    }

    /// Takes a listpack of fields and values, and converts it if it holds more than the limit of
    /// fields. As in Redis, the length of fields and values is not checked here.
    pub fn from_listpack(
        listpack: Listpack,
        limits: &HashLimits,
        seed: &HashSeed,
    ) -> Result<Self, HashError> {
        let len = listpack.len();
        if len == 0 {
            return Err(HashError::Empty);
        }
        if !len.is_multiple_of(2) {
            return Err(HashError::Odd);
        }
        // Not by searching for each: the limit may be set high, and the sender may be hostile.
        let mut seen = BTreeSet::new();
        for field in listpack.iter().step_by(2) {
            let text = match field {
                Element::Int(_) => Cow::Owned(field.to_vec()),
                Element::Bytes(bytes) => Cow::Borrowed(bytes),
            };
            if !seen.insert(text) {
                return Err(HashError::Duplicate);
            }
        }
        let mut hash = Self(Encoding::Listpack(listpack));
        if len / 2 > limits.entries_max {
            hash.convert(seed);
        }
        Ok(hash)
    }

    /// The name that OBJECT ENCODING reports.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Encoding::Listpack(_) => "listpack",
            Encoding::Table(_) => "hashtable",
        }
    }

    /// The listpack, if that is the encoding.
    pub fn as_listpack(&self) -> Option<&Listpack> {
        match &self.0 {
            Encoding::Listpack(listpack) => Some(listpack),
            Encoding::Table(_) => None,
        }
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        match &self.0 {
            Encoding::Listpack(listpack) => listpack.len() / 2,
            Encoding::Table(fields) => fields.len(),
        }
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Encoding::Listpack(listpack) => listpack.is_empty(),
            Encoding::Table(fields) => fields.is_empty(),
        }
    }

    /// The value of `field`.
    #[inline]
    pub fn get(&self, field: &[u8]) -> Option<Element<'_>> {
        match &self.0 {
            Encoding::Listpack(listpack) => listpack.get(listpack.next(listpack.find(field, 1)?)?),
            Encoding::Table(fields) => Some(Element::Bytes(parts(fields.get(field)?).1)),
        }
    }

    /// Whether `field` is there.
    #[inline]
    pub fn contains(&self, field: &[u8]) -> bool {
        match &self.0 {
            Encoding::Listpack(listpack) => listpack.find(field, 1).is_some(),
            Encoding::Table(fields) => fields.get(field).is_some(),
        }
    }

    /// The fields, if they are many and scattered in memory: see [`ValueRef::scattered`].
    pub(super) fn scattered(&self) -> Option<Scattered<'_>> {
        match &self.0 {
            Encoding::Table(fields) if fields.len() >= SCATTERED_LEN_MIN => {
                Some(Scattered::Fields(fields))
            }
            _ => None,
        }
    }

    /// To be called with all fields and values that a command is about to set, before the first
    /// is: converts if there are too many, if one is too long, or if together they could grow the
    /// listpack above 1 GiB (Redis's `hashTypeTryConversion`; duplicates among them count).
    pub fn prepare<'a>(
        &mut self,
        args: impl ExactSizeIterator<Item = &'a [u8]>,
        limits: &HashLimits,
        seed: &HashSeed,
    ) {
        let Encoding::Listpack(listpack) = &self.0 else {
            return;
        };
        if args.len() / 2 > limits.entries_max || !listpack_takes(listpack, args, limits) {
            self.convert(seed);
        }
    }

    /// Sets `field`; true if it is new. Converts when this passes a limit.
    pub fn set(
        &mut self,
        field: &[u8],
        value: &[u8],
        limits: &HashLimits,
        seed: &HashSeed,
    ) -> bool {
        if let Encoding::Listpack(listpack) = &self.0
            && !listpack_takes(listpack, [field, value].into_iter(), limits)
        {
            self.convert(seed);
        }
        let listpack = match &mut self.0 {
            Encoding::Listpack(listpack) => listpack,
            Encoding::Table(fields) => return set(fields, field, value),
        };
        let found = listpack.find(field, 1);
        if let Some(position) = found.and_then(|found| listpack.next(found)) {
            listpack.replace(position, value);
            return false;
        }
        listpack.push_back(field);
        listpack.push_back(value);
        if listpack.len() / 2 > limits.entries_max {
            self.convert(seed);
        }
        true
    }

    /// Removes `field`; whether it was there. A hash that is left empty is the caller's to remove.
    pub fn delete(&mut self, field: &[u8]) -> bool {
        match &mut self.0 {
            Encoding::Listpack(listpack) => match listpack.find(field, 1) {
                Some(position) => listpack.delete(position, 2) == 2,
                None => false,
            },
            Encoding::Table(fields) => fields.remove(field),
        }
    }

    /// All fields with their values: a listpack's in the order of insertion, a table's in none.
    pub fn iter(&self) -> impl Iterator<Item = Pair<'_>> {
        match &self.0 {
            Encoding::Listpack(listpack) => {
                let mut elements = listpack.iter();
                Either::Left(std::iter::from_fn(move || {
                    Some((elements.next()?, elements.next()?))
                }))
            }
            Encoding::Table(fields) => Either::Right(fields.iter().map(pair)),
        }
    }

    /// Some field, chosen by the random number `r`. `None` only if there is none.
    pub fn random(&self, r: u64) -> Option<Pair<'_>> {
        match &self.0 {
            Encoding::Listpack(listpack) => {
                let index = below(r, listpack.len() / 2)?;
                let field = listpack.seek(i64::try_from(index * 2).ok()?)?;
                Some((listpack.get(field)?, listpack.get(listpack.next(field)?)?))
            }
            Encoding::Table(fields) => random(fields, r),
        }
    }

    /// Calls `f` with `count` random fields, each drawn from all of them (HRANDFIELD with a
    /// negative count). `next` gives random numbers.
    pub fn random_repeated<'a>(
        &'a self,
        count: usize,
        mut next: impl FnMut() -> u64,
        mut f: impl FnMut(Pair<'a>),
    ) {
        match &self.0 {
            Encoding::Listpack(_) => {
                // One walk instead of one per draw.
                let pairs: Vec<_> = self.iter().collect();
                for _ in 0..count {
                    below(next(), pairs.len())
                        .into_iter()
                        .for_each(|index| f(pairs[index]));
                }
            }
            Encoding::Table(fields) => {
                for _ in 0..count {
                    random(fields, next()).into_iter().for_each(&mut f);
                }
            }
        }
    }

    /// Calls `f` with `count` different random fields, or with all if there are fewer (HRANDFIELD
    /// with a positive count). `next` gives random numbers.
    ///
    /// Takes time and memory for `count` fields; of a listpack, for all.
    pub fn random_distinct<'a>(
        &'a self,
        count: usize,
        next: impl FnMut() -> u64,
        mut f: impl FnMut(Pair<'a>),
    ) {
        let len = self.len();
        if count >= len {
            return self.iter().for_each(f);
        }
        match &self.0 {
            Encoding::Listpack(_) => {
                // One walk instead of one per draw.
                let pairs: Vec<_> = self.iter().collect();
                draw(count, len, next, |index| f(pairs[index]));
            }
            Encoding::Table(fields) => draw(count, len, next, |index| {
                fields.at(index).map(pair).into_iter().for_each(&mut f);
            }),
        }
    }

    /// One step of HSCAN: calls `f` with about `count` fields and returns the next cursor, 0 at the
    /// end. Begin with 0. What is in the hash from the first step to the last is given at least
    /// once. A listpack is given whole, whatever the cursor.
    pub fn scan(&self, cursor: u64, count: usize, mut f: impl FnMut(Pair<'_>)) -> u64 {
        match &self.0 {
            Encoding::Listpack(_) => {
                self.iter().for_each(f);
                0
            }
            Encoding::Table(fields) => fields.scan(cursor, count, &mut |record| f(pair(record))),
        }
    }

    /// Allocated bytes, this struct included. Estimates what the allocator rounds up.
    pub fn memory(&self) -> usize {
        let inside = match &self.0 {
            Encoding::Listpack(listpack) => allocated(listpack.memory()),
            Encoding::Table(fields) => allocated(size_of::<Packed<Field>>()) + fields.memory(),
        };
        size_of::<Self>() + inside
    }

    /// See [`Collection::into_garbage`].
    pub fn into_garbage(self) -> Garbage {
        match self.0 {
            Encoding::Listpack(listpack) => Box::new(std::iter::once(listpack.len() / 2)),
            Encoding::Table(fields) => fields.into_garbage(),
        }
    }

    fn convert(&mut self, seed: &HashSeed) {
        let Encoding::Listpack(listpack) = &self.0 else {
            return;
        };
        let mut fields = Box::new(Packed::new(*seed));
        let mut elements = listpack.iter();
        while let (Some(field), Some(value)) = (elements.next(), elements.next()) {
            field.with_bytes(|field| value.with_bytes(|value| set(&mut fields, field, value)));
        }
        self.0 = Encoding::Table(fields);
    }
}

impl Collection for Hash {
    const KIND: Kind = Kind::Hash;

    fn empty() -> Self {
        Hash::new()
    }

    fn len(&self) -> usize {
        Hash::len(self)
    }

    fn encoding(&self) -> &'static str {
        Hash::encoding(self)
    }

    fn memory(&self) -> usize {
        Hash::memory(self)
    }

    fn into_garbage(self) -> Garbage {
        Hash::into_garbage(self)
    }

    fn view(value: ValueRef<'_>) -> Option<&Self> {
        match value {
            ValueRef::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Value {
        Value::Hash(self)
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.encoding())?;
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Whether these fields and values may be put into this listpack.
fn listpack_takes<'a>(
    listpack: &Listpack,
    mut args: impl Iterator<Item = &'a [u8]>,
    limits: &HashLimits,
) -> bool {
    let total = args.try_fold(0usize, |total, arg| {
        (arg.len() <= limits.value_len_max).then(|| total.saturating_add(arg.len()))
    });
    total.is_some_and(|total| listpack.fits(total))
}

/// A field with its value, as the table holds them; the layout is at the top of this file.
#[derive(Clone)]
pub struct Field;

impl Keyed for Field {
    #[inline]
    fn key(record: &[u8]) -> &[u8] {
        parts(record).0
    }
}

/// Bytes of the longest field length.
const LEN_BYTES_MAX: usize = 10;

/// Sets a field of the table; whether it is new.
#[inline]
fn set(fields: &mut Packed<Field>, field: &[u8], value: &[u8]) -> bool {
    let mut head = [0; LEN_BYTES_MAX];
    let (mut rest, mut len) = (field.len(), 0);
    while rest > 0x7F {
        head[len] = (rest & 0x7F) as u8 | 0x80;
        rest >>= 7;
        len += 1;
    }
    head[len] = rest as u8;
    fields.set(field, &[&head[..=len], field, value])
}

/// The field and the value of a record.
#[inline]
fn parts(record: &[u8]) -> (&[u8], &[u8]) {
    let (mut len, mut at) = (0, 0);
    loop {
        let byte = record[at];
        len |= usize::from(byte & 0x7F) << (7 * at);
        at += 1;
        if byte & 0x80 == 0 {
            return record[at..].split_at(len);
        }
    }
}

fn pair(record: &[u8]) -> Pair<'_> {
    let (field, value) = parts(record);
    (Element::Bytes(field), Element::Bytes(value))
}

fn random(fields: &Packed<Field>, r: u64) -> Option<Pair<'_>> {
    fields.at(below(r, fields.len())?).map(pair)
}

/// One of two iterators over the same items.
enum Either<A, B> {
    Left(A),
    Right(B),
}

impl<T, A: Iterator<Item = T>, B: Iterator<Item = T>> Iterator for Either<A, B> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self {
            Self::Left(iter) => iter.next(),
            Self::Right(iter) => iter.next(),
        }
    }
}
