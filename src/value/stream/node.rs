//! A node of a stream: a listpack of some hundred entries at most, in exactly Redis's layout.
//!
//! ```text
//!  master   | count | deleted | fields | field 1 | … | field N | 0 |
//!
//!  entry    | flags | ms | seq | fields | field 1 | value 1 | … | value N | elements |
//!  entry    | flags | ms | seq | value 1 | … | value N | elements |      same fields as the master
//! ```
//!
//! The master entry counts the live and the deleted entries, and has the fields of the first entry.
//! `ms` and `seq` are distances from the node's key, the *master id*, which is the id of its first
//! entry. `elements` counts those of the entry, so that it can be read backwards; the master's 0
//! ends that. A deleted entry stays as it is, but for a flag.

use super::StreamId;
use crate::value::listpack::{Element, Growing, Iter, Listpack, Offset};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// Largest node that is allocated in one piece before it is filled, bytes; as in Redis.
const CAPACITY_MAX: usize = 4096;

/// A node. It has at least one live entry.
#[derive(Clone)]
pub(super) struct Node(Growing);

/// An entry as it is stored.
#[derive(Clone)]
pub struct Entry<'a> {
    /// Its id.
    pub id: StreamId,
    /// The master's fields, if the entry has the same.
    fields: Option<Iter<'a>>,
    body: Iter<'a>,
    len: usize,
}

impl<'a> Entry<'a> {
    /// Number of fields.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no field; XADD makes no such entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fields with their values, in the order given to XADD.
    pub fn pairs(&self) -> impl Iterator<Item = (Element<'a>, Element<'a>)> + use<'a> {
        let mut fields = self.fields.clone();
        let mut body = self.body.clone();
        std::iter::from_fn(move || {
            let field = match &mut fields {
                Some(fields) => fields.next()?,
                None => body.next()?,
            };
            Some((field, body.next()?))
        })
    }
}

/// A walk over a node's entries, from either end.
#[derive(Clone)]
pub(super) struct Walk<'a> {
    master: StreamId,
    fields: Iter<'a>,
    field_count: u64,
    entries: Iter<'a>,
}

/// The master entry.
struct Master<'a> {
    count: i64,
    deleted: i64,
    field_count: u64,
    fields: Iter<'a>,
    /// All after the master entry.
    entries: Iter<'a>,
}

impl<'a> Master<'a> {
    fn read(mut rest: Iter<'a>) -> Option<Self> {
        let count = rest.next()?.as_i64()?;
        let deleted = rest.next()?.as_i64()?;
        let field_count = u64::try_from(rest.next()?.as_i64()?).ok()?;
        let fields = rest.split_front(field_count)?;
        let end = rest.next()?.as_i64()?;
        (end == 0).then_some(Self {
            count,
            deleted,
            field_count,
            fields,
            entries: rest,
        })
    }
}

/// The id at these distances from a node's key. The sequence may be smaller than the key's.
fn id_at(master: StreamId, ms: i64, seq: i64) -> StreamId {
    StreamId::new(
        master.ms.wrapping_add_signed(ms),
        master.seq.wrapping_add_signed(seq),
    )
}

impl<'a> Walk<'a> {
    /// The next entry, and whether it is deleted.
    pub fn next(&mut self) -> Option<(Entry<'a>, bool)> {
        let head = self.head()?;
        let body = self.entries.split_front(head.elements)?;
        self.entries.next()?;
        Some(self.entry(head, body))
    }

    /// The last entry, and whether it is deleted.
    pub fn next_back(&mut self) -> Option<(Entry<'a>, bool)> {
        let count = u64::try_from(self.entries.next_back()?.as_i64()?).ok()?;
        let mut inner = Walk {
            entries: self.entries.split_back(count)?,
            ..self.clone()
        };
        let head = inner.head()?;
        Some(self.entry(head, inner.entries))
    }

    #[inline]
    fn head(&mut self) -> Option<Head> {
        let flags = self.entries.next()?.as_i64()?;
        let ms = self.entries.next()?.as_i64()?;
        let seq = self.entries.next()?.as_i64()?;
        let (len, elements) = if flags & SAME_FIELDS != 0 {
            (self.field_count, self.field_count)
        } else {
            let len = u64::try_from(self.entries.next()?.as_i64()?).ok()?;
            (len, len.checked_mul(2)?)
        };
        Some(Head {
            flags,
            id: id_at(self.master, ms, seq),
            len: usize::try_from(len).ok()?,
            elements,
        })
    }

    #[inline]
    fn entry(&self, head: Head, body: Iter<'a>) -> (Entry<'a>, bool) {
        let same = head.flags & SAME_FIELDS != 0;
        let entry = Entry {
            id: head.id,
            fields: same.then(|| self.fields.clone()),
            body,
            len: head.len,
        };
        (entry, head.flags & DELETED != 0)
    }
}

/// The first elements of an entry.
struct Head {
    flags: i64,
    id: StreamId,
    /// Number of fields.
    len: usize,
    /// Elements that hold them.
    elements: u64,
}

/// What became of an entry that was to be deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Deletion {
    /// There is none, or it was deleted before.
    NotFound,
    Deleted,
    /// It was the last live one: the node must go.
    Emptied,
}

impl Node {
    /// A node without entries, whose master entry has these fields. The first entry must follow.
    pub fn new<'a>(fields: impl Iterator<Item = &'a [u8]> + Clone, capacity: usize) -> Self {
        let mut pack = Growing::with_capacity(capacity.min(CAPACITY_MAX));
        let len = fields.clone().map(<[u8]>::len).sum();
        let count = fields.clone().count();
        pack.append(count + 4, len, |out| {
            out.integer(0);
            out.integer(0);
            out.integer(count as i64);
            fields.for_each(|field| out.string(field));
            out.integer(0);
        });
        Self(pack)
    }

    /// The listpack, as RDB carries it.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// Allocated bytes, without this struct.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    pub fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }

    fn master(&self) -> Master<'_> {
        Master::read(self.0.iter()).expect("a node begins with its master entry")
    }

    /// Live and deleted entries.
    pub fn counts(&self) -> (u64, u64) {
        let mut rest = self.0.iter();
        let mut next = || {
            rest.next()
                .and_then(Element::as_i64)
                .map(i64::cast_unsigned)
        };
        let counts = next().zip(next());
        counts.expect("a node begins with its counts")
    }

    /// All entries, deleted ones too. `id` is the node's key.
    pub fn walk(&self, id: StreamId) -> Walk<'_> {
        let master = self.master();
        Walk {
            master: id,
            fields: master.fields,
            field_count: master.field_count,
            entries: master.entries,
        }
    }

    /// Appends an entry of `pairs`, fields and values in turn, of `content_len` bytes in all.
    pub fn append<'a>(
        &mut self,
        key: StreamId,
        id: StreamId,
        pairs: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
        content_len: usize,
    ) {
        let master = self.master();
        let (count, len) = (master.count, pairs.len() / 2);
        let same = master.field_count == len as u64 && same_fields(&master.fields, pairs.clone());
        let elements = pairs.len();
        self.0.append(elements + 5, content_len, |out| {
            out.integer(if same { SAME_FIELDS } else { 0 });
            out.integer(id.ms.wrapping_sub(key.ms).cast_signed());
            out.integer(id.seq.wrapping_sub(key.seq).cast_signed());
            if same {
                pairs.skip(1).step_by(2).for_each(|value| out.string(value));
                out.integer((len + 3) as i64);
            } else {
                out.integer(len as i64);
                pairs.for_each(|text| out.string(text));
                out.integer((len * 2 + 4) as i64);
            }
        });
        self.set_counts(count + 1, None);
    }

    /// Marks the entry `id` as deleted. `key` is the node's key.
    pub fn delete(&mut self, key: StreamId, id: StreamId) -> Deletion {
        let mut walk = self.walk(key);
        let found = loop {
            let offset = self.0.offset(&walk.entries);
            match walk.next() {
                Some((entry, false)) if entry.id == id => break (offset, entry.fields.is_some()),
                Some(_) => {}
                None => return Deletion::NotFound,
            }
        };
        let (live, deleted) = self.counts();
        if live <= 1 {
            return Deletion::Emptied;
        }
        self.mark(found);
        self.set_counts(live as i64 - 1, Some(deleted as i64 + 1));
        Deletion::Deleted
    }

    /// Marks entries as deleted from the first one on, until `stops` is told the number that were
    /// marked and an id at which it says so. Gives the number of those that were live.
    ///
    /// At least one live entry must be left.
    pub fn delete_front(
        &mut self,
        key: StreamId,
        mut stops: impl FnMut(u64, StreamId) -> bool,
    ) -> u64 {
        let mut walk = self.walk(key);
        let mut marked = Vec::new();
        loop {
            let offset = self.0.offset(&walk.entries);
            match walk.next() {
                Some((entry, _)) if stops(marked.len() as u64, entry.id) => break,
                Some((entry, false)) => marked.push((offset, entry.fields.is_some())),
                Some((_, true)) => {}
                None => break,
            }
        }
        let count = marked.len() as u64;
        let (live, deleted) = self.counts();
        assert!(count < live, "a node without live entries goes as a whole");
        marked.into_iter().for_each(|place| self.mark(place));
        self.set_counts((live - count) as i64, Some((deleted + count) as i64));
        count
    }

    /// Sets the flag of the entry at this offset, which has the master's fields or not.
    fn mark(&mut self, (offset, same): (Offset, bool)) {
        let flags = DELETED | if same { SAME_FIELDS } else { 0 };
        self.0.set_integer(offset, flags);
    }

    fn set_counts(&mut self, count: i64, deleted: Option<i64>) {
        let mut rest = self.0.iter();
        let first = self.0.offset(&rest);
        if let Some(deleted) = deleted {
            rest.next();
            let second = self.0.offset(&rest);
            self.0.set_integer(second, deleted);
        }
        self.0.set_integer(first, count);
    }

    /// Takes a listpack from a file or a peer. Gives the node and the ids of its first and last
    /// live entries, or what is wrong with it.
    ///
    /// # Errors
    /// If any entry is not exactly as described at the top of this file, if the counts are not
    /// those of the entries, if none is live, or if the live ones do not ascend from the key on.
    pub fn from_listpack(
        key: StreamId,
        listpack: Listpack,
    ) -> Result<(Self, StreamId, StreamId), &'static str> {
        const MALFORMED: &str = "malformed entry of a stream";
        let node = Self(listpack.into());
        let master = Master::read(node.0.iter()).ok_or("malformed master entry of a stream")?;
        let mut walk = Walk {
            master: key,
            fields: master.fields,
            field_count: master.field_count,
            entries: master.entries,
        };
        let (mut live, mut deleted) = (0, 0);
        let (mut first, mut last) = (None, None);
        while walk.entries.clone().next().is_some() {
            let head = walk.head().ok_or(MALFORMED)?;
            if head.flags & !(DELETED | SAME_FIELDS) != 0 {
                return Err(MALFORMED);
            }
            walk.entries.split_front(head.elements).ok_or(MALFORMED)?;
            let stated = walk.entries.next().and_then(Element::as_i64);
            let before = if head.flags & SAME_FIELDS != 0 { 3 } else { 4 };
            if stated.and_then(|stated| u64::try_from(stated).ok()) != Some(head.elements + before)
            {
                return Err(MALFORMED);
            }
            if head.flags & DELETED != 0 {
                deleted += 1;
                continue;
            }
            live += 1;
            if head.id < key || last.is_some_and(|last| last >= head.id) {
                return Err("entries of a stream that do not ascend");
            }
            first = first.or(Some(head.id));
            last = Some(head.id);
        }
        if (live, deleted) != (master.count, master.deleted) {
            return Err("wrong count of entries in a stream");
        }
        match (first, last) {
            (Some(first), Some(last)) => Ok((node, first, last)),
            _ => Err("a node of a stream without entries"),
        }
    }
}

/// Whether the fields of an entry, given with the values in turn, are those of the master.
fn same_fields<'a>(master: &Iter<'_>, pairs: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut fields = pairs.step_by(2);
    master.clone().all(|stored| match (stored, fields.next()) {
        (Element::Bytes(stored), Some(field)) => stored == field,
        (Element::Int(int), Some(field)) => crate::value::number::parse_i64(field) == Some(int),
        (_, None) => false,
    })
}
