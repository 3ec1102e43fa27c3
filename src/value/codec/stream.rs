//! The payload of a stream.
//!
//! ```text
//! count { node key: string of 16 bytes, listpack: string }*
//! entries  last ms  last seq                                    lengths, as all below but times
//! [first ms  first seq  deleted ms  deleted seq  entries added]          types 19 and 21
//! count { group: string  last ms  last seq  [entries read]
//!         count { id: 16 bytes, delivered: i64, deliveries }*            pending entries
//!         count { consumer: string  seen: i64  [active: i64]             [active]: type 21
//!                 count { id: 16 bytes }*                                its pending entries
//!       }* }*
//! ```
//!
//! Ids as bytes are big-endian, times are Unix milliseconds, little-endian. Entries read are -1
//! where they are not known.

use super::{CodecError, Compression, Reader, kind, write_len, write_string_with};
use crate::value::listpack::Listpack;
use crate::value::stream::{ConsumerKey, Group, Head, Loader, Pending, Stream, StreamId};

/// Elements that are written between two looks at the budget.
const ELEMENTS_A_LOOK: usize = 64;

/// Appends the payload of type 19.
pub(super) fn write(out: &mut Vec<u8>, stream: &Stream, compression: Compression) {
    let mut place = Place::default();
    while place.write_part(out, stream, compression) {}
}

/// How far a stream has been written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Place {
    stage: Stage,
    /// The node, or the pending entry, to go on with; `None` if none can follow.
    from: Option<StreamId>,
    /// How many groups are written, and how many consumers of the one that follows.
    groups: usize,
    consumers: usize,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    #[default]
    Begin,
    Nodes,
    Group,
    Pending,
    Consumer,
    /// The pending entries of a consumer.
    Own,
}

impl Place {
    /// Appends some of the payload, about `budget_bytes` of it; whether it is whole now.
    pub fn write_slice(
        &mut self,
        out: &mut Vec<u8>,
        stream: &Stream,
        budget_bytes: usize,
        compression: Compression,
    ) -> bool {
        let end = out.len().saturating_add(budget_bytes);
        while self.write_part(out, stream, compression) {
            if out.len() >= end {
                return false;
            }
        }
        true
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.from = Some(StreamId::MIN);
    }

    /// Appends the next part; false if there was none left.
    fn write_part(&mut self, out: &mut Vec<u8>, stream: &Stream, compression: Compression) -> bool {
        let group = stream.groups().nth(self.groups);
        match (self.stage, group) {
            (Stage::Begin, _) => {
                write_len(out, stream.node_count() as u64);
                self.enter(Stage::Nodes);
            }
            (Stage::Nodes, _) => self.write_node(out, stream, compression),
            (_, None) => return false,
            (Stage::Group, Some((name, group))) => {
                write_group_head(out, name, group, compression);
                self.enter(Stage::Pending);
            }
            (Stage::Pending, Some((_, group))) => self.write_pending(out, group),
            (Stage::Consumer, Some((_, group))) => self.write_consumer(out, group, compression),
            (Stage::Own, Some((_, group))) => self.write_own(out, group),
        }
        true
    }

    fn write_node(&mut self, out: &mut Vec<u8>, stream: &Stream, compression: Compression) {
        let node = self.from.and_then(|from| stream.nodes_from(from).next());
        match node {
            Some((key, listpack)) => {
                write_node(out, key, listpack, compression);
                self.from = key.next();
            }
            None => {
                write_head(out, stream);
                self.stage = Stage::Group;
            }
        }
    }

    fn write_pending(&mut self, out: &mut Vec<u8>, group: &Group) {
        let rest = self.from.into_iter();
        let rest = rest.flat_map(|from| group.pending_between(from, StreamId::MAX));
        let mut count = 0;
        for (id, pending) in rest.take(ELEMENTS_A_LOOK) {
            out.extend_from_slice(&id.to_bytes());
            out.extend_from_slice(&pending.delivered_ms.to_le_bytes());
            write_len(out, pending.count);
            self.from = id.next();
            count += 1;
        }
        if count < ELEMENTS_A_LOOK {
            write_len(out, group.consumer_count() as u64);
            self.consumers = 0;
            self.stage = Stage::Consumer;
        }
    }

    fn write_consumer(&mut self, out: &mut Vec<u8>, group: &Group, compression: Compression) {
        let Some(consumer) = group.consumer_at(self.consumers) else {
            self.groups += 1;
            self.stage = Stage::Group;
            return;
        };
        write_string_with(out, consumer.name(), compression);
        out.extend_from_slice(&consumer.seen_ms.to_le_bytes());
        write_len(out, consumer.pending().len() as u64);
        self.enter(Stage::Own);
    }

    fn write_own(&mut self, out: &mut Vec<u8>, group: &Group) {
        let own = self.from.zip(group.consumer_at(self.consumers));
        let own = own.into_iter();
        let own = own.flat_map(|(from, consumer)| consumer.pending().range(from..));
        let mut count = 0;
        for id in own.take(ELEMENTS_A_LOOK) {
            out.extend_from_slice(&id.to_bytes());
            self.from = id.next();
            count += 1;
        }
        if count < ELEMENTS_A_LOOK {
            self.consumers += 1;
            self.stage = Stage::Consumer;
        }
    }
}

/// A node with its key.
fn write_node(out: &mut Vec<u8>, key: StreamId, listpack: &[u8], compression: Compression) {
    // Sixteen bytes: neither compressed nor a number.
    write_len(out, 16);
    out.extend_from_slice(&key.to_bytes());
    write_string_with(out, listpack, compression);
}

/// What stands between the nodes and the groups, with the number of groups.
fn write_head(out: &mut Vec<u8>, stream: &Stream) {
    write_len(out, stream.len() as u64);
    for id in [stream.last_id(), stream.first_id(), stream.max_deleted_id()] {
        write_id(out, id);
    }
    write_len(out, stream.entries_added());
    write_len(out, stream.groups().len() as u64);
}

/// A group up to its pending entries.
fn write_group_head(out: &mut Vec<u8>, name: &[u8], group: &Group, compression: Compression) {
    write_string_with(out, name, compression);
    write_id(out, group.last_id);
    write_len(out, group.entries_read.unwrap_or(u64::MAX));
    write_len(out, group.pending().len() as u64);
}

fn write_id(out: &mut Vec<u8>, id: StreamId) {
    write_len(out, id.ms);
    write_len(out, id.seq);
}

/// Reads the payload of one of the three types.
pub(super) fn read(kind: u8, reader: &mut Reader<'_>) -> Result<Stream, CodecError> {
    let mut loader = Loader::new();
    for _ in 0..reader.plain_len()? {
        let key = reader.string()?.with(|key| key.try_into().ok());
        let key = key.ok_or(CodecError::Corrupt("a node key that is no id"))?;
        let listpack = Listpack::from_bytes(reader.string()?.into_bytes())
            .map_err(|_| CodecError::Corrupt("malformed listpack"))?;
        loader
            .node(StreamId::from_bytes(key), listpack)
            .map_err(CodecError::Corrupt)?;
    }
    let (len, last_id) = (reader.plain_len()?, read_id(reader)?);
    let counters = if kind == kind::STREAM {
        None
    } else {
        // The first id follows from the nodes.
        read_id(reader)?;
        Some((read_id(reader)?, reader.plain_len()?))
    };
    let head = Head {
        len,
        last_id,
        counters,
    };
    let mut stream = loader.finish(head).map_err(CodecError::Corrupt)?;
    for _ in 0..reader.plain_len()? {
        let name = reader.string()?;
        let group = read_group(kind, reader, &stream)?;
        name.with(|name| Loader::group(&mut stream, name, group))
            .map_err(CodecError::Corrupt)?;
    }
    Ok(stream)
}

fn read_id(reader: &mut Reader<'_>) -> Result<StreamId, CodecError> {
    Ok(StreamId::new(reader.plain_len()?, reader.plain_len()?))
}

fn read_raw_id(reader: &mut Reader<'_>) -> Result<StreamId, CodecError> {
    let bytes = reader.bytes(16)?;
    let bytes = bytes.try_into().map_err(|_| CodecError::Truncated)?;
    Ok(StreamId::from_bytes(bytes))
}

fn read_time(reader: &mut Reader<'_>) -> Result<i64, CodecError> {
    Ok(reader.u64_le()?.cast_signed())
}

fn read_group(kind: u8, reader: &mut Reader<'_>, stream: &Stream) -> Result<Group, CodecError> {
    let last_id = read_id(reader)?;
    let entries_read = if kind == kind::STREAM {
        // As a new group of this last id would have it.
        stream.entries_up_to(last_id)
    } else {
        // Negative where it is not known.
        Some(reader.plain_len()?).filter(|read| i64::try_from(*read).is_ok())
    };
    // Not yet anybody's: an id is taken out when its consumer is read, so each has exactly one.
    let mut orphans = std::collections::BTreeMap::new();
    for _ in 0..reader.plain_len()? {
        let id = read_raw_id(reader)?;
        let (delivered_ms, count) = (read_time(reader)?, reader.plain_len()?);
        if orphans.insert(id, (delivered_ms, count)).is_some() {
            return Err(CodecError::Corrupt("an entry pending twice in a group"));
        }
    }
    let mut group = Group::new(last_id, entries_read);
    for _ in 0..reader.plain_len()? {
        let name = reader.string()?;
        let seen_ms = read_time(reader)?;
        let consumer = name.with(|name| group.create_consumer(name, seen_ms));
        let consumer = consumer.ok_or(CodecError::Corrupt("a consumer twice in a group"))?;
        group.consumer_mut(consumer).active_ms = match kind {
            // Negative if it never got anything.
            kind::STREAM_3 => Some(read_time(reader)?).filter(|active| *active >= 0),
            _ => Some(seen_ms),
        };
        read_pending(reader, &mut group, consumer, &mut orphans)?;
    }
    match orphans.is_empty() {
        true => Ok(group),
        false => Err(CodecError::Corrupt("an entry pending for no consumer")),
    }
}

/// Reads the ids of a consumer's pending entries, whose data `orphans` has.
fn read_pending(
    reader: &mut Reader<'_>,
    group: &mut Group,
    consumer: ConsumerKey,
    orphans: &mut std::collections::BTreeMap<StreamId, (i64, u64)>,
) -> Result<(), CodecError> {
    for _ in 0..reader.plain_len()? {
        let id = read_raw_id(reader)?;
        let (delivered_ms, count) = orphans.remove(&id).ok_or(CodecError::Corrupt(
            "an entry pending for two consumers, or not in the group",
        ))?;
        let pending = Pending {
            consumer,
            delivered_ms,
            count,
        };
        group.assign(id, pending);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::collections;
    use super::super::{RestoreError, dump, restore};
    use super::*;
    use crate::value::{Value, ValueRef, crc64};

    /// DUMPs of redis-server 7.0.15, type 19: the keys of `stream_samples`, in order.
    const REDIS: [&[u8]; 2] = [
        b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01@LL\x00\
          \x00\x00\x1d\x00\x03\x01\x01\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81v\
          \x02\x04\x01\x01\x01\x01\x01\x00\x01\x02\x01\x81f\x02\x82v2\x03\x81g\x02\x81w\x02\x08\
          \x01\x02\x01\x02\x01\x00\x01\x82v3\x03\x04\x01\x02\x01\x02\x01\x01\x01\xf190\x03\x04\
          \x01\xff\x03\x03\x02\x01\x01\x02\x01\x04\x02\x02g1\x03\x01\x81\xff\xff\xff\xff\xff\xff\
          \xff\xff\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x9f\xddc\
          \x10\xa2\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\
          \x01\x9f\xddc\x10\xa2\x01\x00\x00\x01\x02\x05alice\x9f\xddc\x10\xa2\x01\x00\x00\x01\x00\
          \x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x03bob\x9f\xddc\x10\xa2\
          \x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x01\x02g2\
          \x03\x02\x81\xff\xff\xff\xff\xff\xff\xff\xff\x00\x01\x04idle\x9f\xddc\x10\xa2\x01\x00\
          \x00\x00\x0a\x00\x07\x88{\x14\x08\xd6\xb1\x1c",
        b"\x13\x00\x00\x09\x09\x00\x00\x08\x08\x07\x01\x01g\x05\x00\x81\xff\xff\xff\xff\xff\xff\
          \xff\xff\x00\x00\x0a\x00\x8d\xee}\x82\x91-\xbd^",
    ];

    /// The same of valkey-server 8.0.1, type 21; its clock stood elsewhere.
    const VALKEY: &[u8] =
        b"\x15\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\
        \x01@LL\x00\x00\x00\x1d\x00\x03\x01\x01\x01\x01\x01\x81f\x02\x00\x01\x02\x01\x00\x01\x00\
        \x01\x81v\x02\x04\x01\x01\x01\x01\x01\x00\x01\x02\x01\x81f\x02\x82v2\x03\x81g\x02\x81w\
        \x02\x08\x01\x02\x01\x02\x01\x00\x01\x82v3\x03\x04\x01\x02\x01\x02\x01\x01\x01\xf190\x03\
        \x04\x01\xff\x03\x03\x02\x01\x01\x02\x01\x04\x02\x02g1\x03\x01\x81\xff\xff\xff\xff\xff\
        \xff\xff\xff\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\xab\
        \xddc\x10\xa2\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\
        \x00\x01\xac\xddc\x10\xa2\x01\x00\x00\x01\x02\x05alice\xab\xddc\x10\xa2\x01\x00\x00\xab\
        \xddc\x10\xa2\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\
        \x00\x01\x03bob\xac\xddc\x10\xa2\x01\x00\x00\xac\xddc\x10\xa2\x01\x00\x00\x01\x00\x00\
        \x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x01\x02g2\x03\x02\x81\xff\xff\xff\
        \xff\xff\xff\xff\xff\x00\x01\x04idle\xac\xddc\x10\xa2\x01\x00\x00\xff\xff\xff\xff\xff\
        \xff\xff\xff\x00\x0b\x00T\xa31,\xebM\xbe\xc3";

    fn stream(payload: &[u8]) -> Stream {
        match restore(payload, &collections()) {
            Ok(Value::Stream(stream)) => *stream,
            other => panic!("no stream: {other:?}"),
        }
    }

    fn id(ms: u64, seq: u64) -> StreamId {
        StreamId::new(ms, seq)
    }

    #[test]
    fn dumps_of_a_real_server_are_read_and_written_byte_for_byte() {
        for payload in REDIS {
            let again = dump(ValueRef::Stream(&stream(payload)), Compression::Lzf);
            assert_eq!(again, payload);
        }
        let (old, new) = (stream(REDIS[0]), stream(VALKEY));
        for stream in [&old, &new] {
            assert_eq!((stream.len(), stream.entries_added()), (3, 4));
            assert_eq!((stream.first_id(), stream.last_id()), (id(1, 1), id(3, 2)));
            assert_eq!(stream.max_deleted_id(), id(2, 1));
            let group = stream.group(b"g1").unwrap();
            assert_eq!((group.last_id, group.entries_read), (id(3, 1), None));
            let names: Vec<_> = group.consumers().map(|c| c.name()).collect();
            assert_eq!(names, [b"alice".as_slice(), b"bob"]);
            let owner = |id| group.consumer(group.pending()[&id].consumer).name();
            assert_eq!(
                (owner(id(1, 1)), owner(id(3, 1))),
                (&b"alice"[..], &b"bob"[..])
            );
        }
        // Type 19 does not tell whether a consumer was ever active.
        let idle = |stream: &Stream| stream.group(b"g2").unwrap().consumers().next().cloned();
        assert!(idle(&old).unwrap().active_ms.is_some());
        assert_eq!(idle(&new).unwrap().active_ms, None);
        let nodes = |stream: &Stream| {
            let nodes = stream.nodes_from(StreamId::MIN);
            nodes
                .map(|(key, node)| (key, node.to_vec()))
                .collect::<Vec<_>>()
        };
        assert_eq!(nodes(&old), nodes(&new));
        assert_eq!(stream(REDIS[1]).max_deleted_id(), id(8, 8));
    }

    #[test]
    fn a_stream_in_slices_is_the_same_stream() {
        let mut large = stream(VALKEY);
        let limits = crate::value::stream::StreamLimits::default();
        for n in 0..2000u64 {
            let text = n.to_string();
            let pairs = [b"f".as_slice(), text.as_bytes()];
            let new = crate::value::stream::NewId::Now(10 + n);
            large.append(new, pairs.into_iter(), &limits).unwrap();
            let group = large.group_mut(b"g1").unwrap();
            let name: &[u8] = [b"alice".as_slice(), b"bob"][n as usize % 2];
            let pending = Pending {
                consumer: group.find_consumer(name).unwrap(),
                delivered_ms: 5,
                count: n,
            };
            group.assign(id(10 + n, 0), pending);
        }
        for stream in [large, stream(REDIS[0]), stream(REDIS[1])] {
            let (mut whole, mut out) = (Vec::new(), Vec::new());
            write(&mut whole, &stream, Compression::Lzf);
            let (mut place, mut slices) = (Place::default(), 1);
            while !place.write_slice(&mut out, &stream, 100, Compression::Lzf) {
                slices += 1;
            }
            assert_eq!(out, whole);
            assert!(slices > stream.elements() / 100);
            let mut reader = Reader::new(&out);
            let again = read(kind::STREAM_2, &mut reader).unwrap();
            assert_eq!(
                (reader.remaining(), again.elements()),
                (0, stream.elements())
            );
        }
    }

    /// A payload of one node with these elements, and what follows it.
    fn payload(kind: u8, elements: &[&str], tail: &[u8]) -> Vec<u8> {
        let mut listpack = Listpack::new();
        elements
            .iter()
            .for_each(|e| listpack.push_back(e.as_bytes()));
        let mut out = vec![kind, 1];
        write_node(&mut out, id(1, 1), listpack.bytes(), Compression::None);
        out.extend_from_slice(tail);
        out
    }

    fn restored(payload: &[u8]) -> Result<Value, RestoreError> {
        let mut out = [payload, &10u16.to_le_bytes()].concat();
        out.extend_from_slice(&crc64::checksum(&out).to_le_bytes());
        restore(&out, &collections())
    }

    const GOOD: &[&str] = &[
        "2", "0", "1", "f", "0", "2", "0", "0", "v", "4", "0", "1", "0", "1", "g", "w", "6",
    ];

    #[test]
    fn the_oldest_type_gets_what_it_lacks() {
        let tail = b"\x02\x02\x01\x01\x01g\x01\x00\x00\x00";
        let Ok(Value::Stream(stream)) = restored(&payload(kind::STREAM, GOOD, tail)) else {
            panic!("no stream");
        };
        assert_eq!(
            (stream.entries_added(), stream.max_deleted_id()),
            (2, StreamId::MIN)
        );
        assert_eq!(stream.first_id(), id(1, 1));
        assert_eq!(stream.group(b"g").unwrap().entries_read, Some(0));
    }

    #[test]
    fn nodes_that_contradict_themselves_are_refused() {
        let tail = b"\x02\x02\x01\x00";
        assert!(restored(&payload(kind::STREAM, GOOD, tail)).is_ok());
        // Each element in turn is another one, is missing, or is there twice.
        for at in 0..GOOD.len() {
            for other in ["3", "-1", "text", "9223372036854775807"] {
                let mut elements = GOOD.to_vec();
                elements[at] = other;
                // The names and values of fields are free; so is a greater distance in time.
                let free = [3, 8, 14, 15].contains(&at) || (at == 11 && other == "3");
                let free = free || (at == 12 && other != "text") || (at == 7 && other != "text");
                let result = restored(&payload(kind::STREAM, &elements, tail));
                assert!(free || result.is_err(), "{at} {other}: {result:?}");
            }
            let (mut fewer, mut more) = (GOOD.to_vec(), GOOD.to_vec());
            fewer.remove(at);
            more.insert(at, GOOD[at]);
            for elements in [fewer, more] {
                assert!(
                    restored(&payload(kind::STREAM, &elements, tail)).is_err(),
                    "{at}"
                );
            }
        }
        for tail in [
            &b"\x01\x02\x01\x00"[..],
            b"\x03\x02\x01\x00",
            b"\x02\x01\x00\x00",
            b"\x02\x02\x01",
            b"\x02\x02\x01\x00\x00",
            b"\x02\x02\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(
                restored(&payload(kind::STREAM, GOOD, tail)).is_err(),
                "{tail:?}"
            );
        }
        assert!(restored(&payload(kind::STREAM, &[], b"\x00\x02\x01\x00")).is_err());
        // All entries deleted.
        let deleted = ["0", "1", "1", "f", "0", "3", "0", "0", "v", "4"];
        assert!(restored(&payload(kind::STREAM, &deleted, b"\x00\x02\x01\x00")).is_err());
        // A key that is no id, and the same node twice.
        assert!(restored(b"\x0f\x01\x03abc").is_err());
        let twice = payload(kind::STREAM, GOOD, &payload(kind::STREAM, GOOD, tail)[2..]);
        let twice = [&[kind::STREAM, 2], &twice[2..]].concat();
        assert!(restored(&twice).is_err());
    }

    #[test]
    fn groups_whose_pending_entries_do_not_fit_their_consumers_are_refused() {
        let raw = |n: u64| id(n, 0).to_bytes().to_vec();
        let time = [0u8; 8];
        let nack = |n| [&raw(n)[..], &time, b"\x01"].concat();
        let consumer = |name: &[u8], ids: &[u64]| {
            let mut out = [&[name.len() as u8], name, &time, &[ids.len() as u8]].concat();
            ids.iter().for_each(|n| out.extend(raw(*n)));
            out
        };
        let group = |nacks: &[u64], consumers: &[Vec<u8>]| {
            let mut out = b"\x01g\x00\x00".to_vec();
            out.push(nacks.len() as u8);
            nacks.iter().for_each(|n| out.extend(nack(*n)));
            out.push(consumers.len() as u8);
            out.extend(consumers.concat());
            out
        };
        let whole = |groups: &[Vec<u8>]| {
            let mut out = b"\x0f\x00\x00\x09\x00".to_vec();
            out.push(groups.len() as u8);
            out.extend(groups.concat());
            restored(&out)
        };
        let fits = group(&[1, 2, 3], &[consumer(b"a", &[1, 3]), consumer(b"b", &[2])]);
        assert!(whole(std::slice::from_ref(&fits)).is_ok());
        for wrong in [
            vec![fits.clone(), fits],
            // Twice in the group; in no consumer; in two; in one but not in the group.
            vec![group(&[1, 1], &[consumer(b"a", &[1])])],
            vec![group(&[1, 2], &[consumer(b"a", &[1])])],
            vec![group(&[1], &[consumer(b"a", &[1]), consumer(b"b", &[1])])],
            vec![group(&[1], &[consumer(b"a", &[1, 1])])],
            vec![group(&[], &[consumer(b"a", &[1])])],
            vec![group(&[1], &[consumer(b"a", &[1]), consumer(b"a", &[])])],
        ] {
            assert!(whole(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn mutated_streams_are_streams_or_errors() {
        let mut random = super::super::tests::Random(0x57e4);
        let (mut values, mut errors) = (0, 0);
        let samples = [REDIS[0], VALKEY];
        for round in 0..60_000 {
            let sample = samples[round % 2];
            let mut data = sample[..sample.len() - 10].to_vec();
            random.mutate(&mut data);
            match restored(&data) {
                Ok(value) => {
                    values += 1;
                    if let Value::Stream(stream) = &value {
                        let back = stream.range_back(StreamId::MIN, StreamId::MAX);
                        assert_eq!(back.count(), stream.len());
                    }
                    let again = dump(value.borrow(), Compression::Lzf);
                    let again = restore(&again, &collections()).unwrap();
                    let entries = |value: &Value| format!("{value:?}");
                    assert_eq!(entries(&again), entries(&value));
                }
                Err(_) => errors += 1,
            }
        }
        assert!(values > 1000 && errors > 20_000, "{values} {errors}");
    }
}
