//! The reader against files of a real server, cut and damaged in every way.

use super::*;
use crate::persistence::rdb::{Framer, Preamble, ReplicationInfo, write_function, write_resize_db};
use crate::value::codec::tests::Random;
use crate::value::codec::{write_len, write_string};
use crate::value::hash::HashLimits;
use crate::value::{HashSeed, ValueRef};

const ALL_TYPES: &[u8] = include_bytes!("../fixtures/redis-7.0.15-all-types.bin");
const STRINGS_HASHES: &[u8] = include_bytes!("../fixtures/redis-7.0.15-strings-hashes.bin");
const LFU: &[u8] = include_bytes!("../fixtures/redis-7.0.15-lfu-uncompressed.bin");
const EMPTY: &[u8] = include_bytes!("../fixtures/redis-7.0.15-empty.bin");

fn reader() -> Reader {
    Reader::new(Collections {
        list_limits: Default::default(),
        hash_limits: HashLimits {
            entries_max: 512,
            value_len_max: 64,
        },
        set_limits: Default::default(),
        sorted_set_limits: Default::default(),
        seed: HashSeed([1, 2, 3, 4]),
    })
}

/// What a reader said: events, and errors after which it went on, in a comparable form.
#[derive(Default, PartialEq, Eq, Debug)]
struct Transcript(Vec<String>);

impl Transcript {
    /// Takes all that `reader` has to say now.
    fn drain(&mut self, reader: &mut Reader) -> Result<(), RdbError> {
        loop {
            match reader.next() {
                Ok(None) => return Ok(()),
                Ok(Some(event)) => self.0.push(format!("{event:?}")),
                Err(error @ RdbError::UnsupportedType { .. }) => self.0.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
    }
}

fn read_in_pieces<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Transcript, RdbError> {
    let mut reader = reader();
    let mut transcript = Transcript::default();
    for piece in pieces {
        reader.push(piece);
        transcript.drain(&mut reader)?;
    }
    reader.finish()?;
    Ok(transcript)
}

fn read(data: &[u8]) -> Result<Transcript, RdbError> {
    read_in_pieces(std::iter::once(data))
}

fn entries(data: &[u8]) -> Vec<Entry> {
    let mut reader = reader();
    reader.push(data);
    let mut entries = Vec::new();
    while let Some(event) = reader.next().unwrap() {
        if let Event::Entry(entry) = event {
            entries.push(entry);
        }
    }
    reader.finish().unwrap();
    entries
}

/// A file of version 10 with these records and no checksum.
fn file(records: &[u8]) -> Vec<u8> {
    [b"REDIS0010".as_slice(), records, b"\xff\0\0\0\0\0\0\0\0"].concat()
}

/// `data` with its checksum set to "not computed", so that damage reaches the parser.
fn unsigned(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let footer = data.len() - CHECKSUM_LEN;
    data[footer..].fill(0);
    data
}

#[test]
fn a_file_of_a_real_server_gives_its_keys() {
    let entries = entries(STRINGS_HASHES);
    assert_eq!(entries.len(), 25);
    let find = |db: usize, key: &[u8]| {
        entries
            .iter()
            .find(|entry| entry.db == db && entry.key == key)
            .unwrap()
    };
    assert!(matches!(find(0, b"s:int64").value, Value::Int(i64::MAX)));
    assert!(matches!(find(0, b"s:int8").value, Value::Int(-5)));
    assert!(matches!(&find(0, b"s:empty").value, Value::Bytes(bytes) if bytes.is_empty()));
    assert!(matches!(&find(0, b"12345").value, Value::Bytes(bytes) if bytes == b"integer key"));
    let text = b"the quick brown fox ".repeat(40);
    assert!(matches!(&find(0, b"s:lzf").value, Value::Bytes(bytes) if *bytes == text));
    assert_eq!(find(0, b"s:expiry").expire_at_ms, Some(4_102_444_800_123));
    assert_eq!(find(0, b"s:lzf").expire_at_ms, None);
    let ValueRef::Hash(hash) = find(0, b"h:big").value.borrow() else {
        panic!("not a hash");
    };
    assert_eq!((hash.len(), hash.encoding()), (200, "listpack"));
    let ValueRef::Hash(hash) = find(0, b"h:table").value.borrow() else {
        panic!("not a hash");
    };
    assert_eq!((hash.len(), hash.encoding()), (3, "hashtable"));
    assert_eq!(
        hash.get(b"int").map(|value| value.to_vec()),
        Some(b"7".to_vec())
    );
    assert!(matches!(&find(5, b"in db 5").value, Value::Bytes(bytes) if bytes == b"v"));
}

#[test]
fn a_file_of_a_real_server_gives_what_stands_around_its_keys() {
    let Transcript(said) = read(STRINGS_HASHES).unwrap();
    let is_there = |part: &str| said.iter().filter(|event| event.contains(part)).count();
    assert_eq!(is_there("Aux"), 5);
    assert_eq!(is_there("ResizeDb { keys: 23, expires: 1 }"), 1);
    assert_eq!(is_there("SelectDb(5)"), 1);
    assert_eq!(is_there("Function("), 1);
    assert_eq!(said.last().unwrap(), "End { checksum: Verified }");
    let Transcript(said) = read(EMPTY).unwrap();
    assert_eq!(said.len(), 6);
}

#[test]
fn lfu_counters_come_with_their_keys_and_only_with_them() {
    assert!(
        entries(LFU)
            .iter()
            .all(|entry| entry.freq.is_some() && entry.idle_s.is_none())
    );
    assert!(
        entries(STRINGS_HASHES)
            .iter()
            .all(|entry| entry.freq.is_none())
    );
    let entries = entries(&file(
        b"\xf8\x40\x50\xf9\x07\xfc\x01\0\0\0\0\0\0\0\0\x01a\x01b\0\x01c\x01d",
    ));
    let attributes = |entry: &Entry| (entry.idle_s, entry.freq, entry.expire_at_ms);
    assert_eq!(attributes(&entries[0]), (Some(0x50), Some(7), Some(1)));
    assert_eq!(attributes(&entries[1]), (None, None, None));
}

#[test]
fn all_types_of_a_file_are_held() {
    let Transcript(all) = read(ALL_TYPES).unwrap();
    let unsupported: Vec<_> = all
        .iter()
        .filter(|said| said.contains("not supported"))
        .collect();
    assert!(unsupported.is_empty(), "{unsupported:?}");
    // What was held before other types were is the same, in whatever order the server wrote it.
    let Transcript(expected) = read(STRINGS_HASHES).unwrap();
    let mut expected = expected.iter().filter(|said| said.starts_with("Entry"));
    assert!(expected.all(|said| all.contains(said)));
    // A hash whose fields have expiries, of Redis 7.4, between two strings.
    let Transcript(said) = read(&file(
        b"\0\x01a\x01b\x18\x01h\0\0\0\0\0\0\0\0\x01\0\x01f\x01v\0\x01c\x01d",
    ))
    .unwrap();
    let text = "key 'h' holds a hash with field TTLs, which is not supported yet";
    assert!(said.iter().any(|said| said == text), "{said:?}");
    let entries = said.iter().filter(|said| said.starts_with("Entry"));
    assert_eq!(entries.count(), 2);
}

#[test]
fn a_file_cut_in_two_anywhere_reads_the_same() {
    for data in [ALL_TYPES, LFU, EMPTY] {
        let expected = read(data).unwrap();
        for cut in 0..=data.len() {
            let pieces = [&data[..cut], &data[cut..]];
            assert_eq!(
                read_in_pieces(pieces.into_iter()),
                Ok(Transcript(expected.0.clone()))
            );
        }
    }
}

#[test]
fn a_file_in_pieces_of_any_size_reads_the_same() {
    let expected = read(ALL_TYPES).unwrap();
    for size in [1, 2, 3, 5, 7, 11, 64, 100, 1000, 4096] {
        assert_eq!(
            read_in_pieces(ALL_TYPES.chunks(size)).as_ref(),
            Ok(&expected),
            "{size}"
        );
    }
}

#[test]
fn a_file_that_ends_early_is_never_taken_for_a_whole_one() {
    for data in [ALL_TYPES, STRINGS_HASHES] {
        for end in 0..data.len() {
            assert_eq!(read(&data[..end]), Err(RdbError::Truncated(end as u64)));
        }
    }
}

#[test]
fn every_changed_byte_is_found_by_the_checksum_if_by_nothing_else() {
    for at in 0..STRINGS_HASHES.len() {
        let mut data = STRINGS_HASHES.to_vec();
        data[at] ^= 0x10;
        assert!(read(&data).is_err(), "byte {at}");
    }
}

#[test]
fn the_checksum_is_compared_unless_it_is_zero() {
    let mut data = EMPTY.to_vec();
    *data.last_mut().unwrap() ^= 1;
    assert!(matches!(read(&data), Err(RdbError::WrongChecksum { .. })));
    let Transcript(said) = read(&unsigned(EMPTY)).unwrap();
    assert_eq!(said.last().unwrap(), "End { checksum: Absent }");
}

#[test]
fn thirty_thousand_damaged_files_give_events_or_errors() {
    let seed = 0x7ead_e125;
    let mut random = Random(seed);
    let (all, few) = (unsigned(ALL_TYPES), unsigned(STRINGS_HASHES));
    let mut ended = 0;
    for round in 0..30_000 {
        let mut data = if round % 10 == 0 {
            all.clone()
        } else {
            few.clone()
        };
        random.mutate(&mut data);
        let size = 1 + random.below(2000);
        let mut reader = reader();
        for piece in data.chunks(size) {
            reader.push(piece);
            while let Ok(Some(_)) | Err(RdbError::UnsupportedType { .. }) = reader.next() {}
            assert!(
                reader.buffer_bytes() < 64 * 1024,
                "seed {seed:#x}, round {round}"
            );
        }
        ended += usize::from(reader.finish().is_ok());
    }
    assert!(
        (100..29_000).contains(&ended),
        "{ended} files were read to their end"
    );
}

#[test]
fn versions_from_1_to_12_are_read() {
    for version in 1..=12 {
        let footer: &[u8] = if version >= 5 {
            b"\0\0\0\0\0\0\0\0"
        } else {
            b""
        };
        let head = format!("REDIS{version:04}");
        let data = [head.as_bytes(), b"\xfe\x00\x00\x01a\x01b\xff", footer].concat();
        assert_eq!(entries(&data).len(), 1, "version {version}");
    }
}

#[test]
fn other_versions_and_other_files_are_refused_by_name() {
    for (head, text) in [
        (
            "REDIS0013",
            "RDB version 13 (REDIS0013) is not supported (1 to 12 are)",
        ),
        (
            "REDIS0000",
            "RDB version 0 (REDIS0000) is not supported (1 to 12 are)",
        ),
        (
            "REDIS0080",
            "RDB version 80 (REDIS0080) is not supported (1 to 12 are)",
        ),
        (
            "VALKEY080",
            "RDB version 80 (VALKEY080) is not supported (1 to 12 are)",
        ),
        (
            "VALKEY011",
            "RDB version 11 (VALKEY011) is not supported (1 to 12 are)",
        ),
        ("REDIS00x1", "not an RDB: wrong signature"),
        ("REDIT", "not an RDB: wrong signature"),
        ("*", "not an RDB: wrong signature"),
    ] {
        assert_eq!(read(head.as_bytes()).unwrap_err().to_string(), text);
    }
    assert_eq!(read(b"VALK"), Err(RdbError::Truncated(4)));
}

#[test]
fn what_only_modules_or_clusters_write_is_passed_over() {
    let records = b"\xf7\x81\x01\x02\x03\x04\x05\x06\x07\x08\x02\x02\x02\x40\x50\x05\x03abc\x00\
                    \xf4\x05\x01\x00\x00\x01a\x01b";
    let data = file(records);
    assert_eq!(entries(&data).len(), 1);
    let expected = read(&data).unwrap();
    assert_eq!(read_in_pieces(data.chunks(1)), Ok(expected));
}

#[test]
fn a_module_value_without_an_end_stops_the_reader() {
    let mut reader = reader();
    reader.push(&file(b"\x06\x03key\x01\x02\x03"));
    let named = RdbError::UnsupportedType {
        key: "key".into(),
        type_name: "module",
    };
    assert_eq!(reader.next().unwrap_err(), named);
    assert!(matches!(reader.next(), Err(RdbError::Corrupt { .. })));
    assert!(reader.finish().is_err());
    let Transcript(said) = read(&file(b"\x07\x01m\x01\x02\x02\x00\x00\x01a\x01b")).unwrap();
    assert_eq!(
        said.len(),
        3,
        "a module's value that says where it ends is passed over"
    );
}

#[test]
fn contradictions_are_reported_with_their_place() {
    let cases: [(&[u8], &str); 6] = [
        (b"\x08\x01a", "unknown type 8 of a value"),
        (b"\xc8\x01a", "unknown type 200 of a value"),
        (
            b"\xfe\x81\0\0\0\0\x80\0\0\0",
            "a database number out of range",
        ),
        (b"\x00\x01a\xc4", "unknown encoding of a string"),
        (b"\x10\x01a\x01b", "malformed listpack"),
        (b"\x00\x81\0\0\0\x01\0\0\0\0", "a string of more than 4 GiB"),
    ];
    for (record, text) in cases {
        let data = file(&[b"\x00\x01a\x01b", record].concat());
        let text = format!("RDB corrupt at byte 14: {text}");
        assert_eq!(read(&data).unwrap_err().to_string(), text);
    }
    assert_eq!(read(&file(b"\xf6\x01a")), Err(RdbError::PreReleaseFunction));
}

#[test]
fn an_error_stays() {
    let mut reader = reader();
    reader.push(b"REDIS0010\x08");
    let error = reader.next().unwrap_err();
    reader.push(b"\x00\x01a\x01b");
    assert_eq!(reader.next().unwrap_err(), error);
    assert_eq!(reader.finish(), Err(error));
}

#[test]
fn collections_without_elements_are_left_out() {
    let data = file(b"\xfc\x01\0\0\0\0\0\0\0\x04\x01h\x00\x00\x01a\x01b");
    let mut reader = reader();
    reader.push(&data);
    let entry = match reader.next() {
        Ok(Some(Event::Entry(entry))) => entry,
        other => panic!("{other:?}"),
    };
    assert_eq!((entry.key, entry.expire_at_ms), (b"a".to_vec(), None));
    assert_eq!(reader.empty_keys(), 1);
}

#[test]
fn expiries_before_1970_are_expired_and_minus_one_is_none() {
    let expiry =
        |record: &[u8]| entries(&file(&[record, b"\x00\x01a\x01b"].concat()))[0].expire_at_ms;
    assert_eq!(expiry(b"\xfc\xff\xff\xff\xff\xff\xff\xff\xff"), None);
    assert_eq!(expiry(b"\xfc\xfe\xff\xff\xff\xff\xff\xff\xff"), Some(0));
    assert_eq!(expiry(b"\xfd\x10\0\0\0"), Some(16_000));
    assert_eq!(expiry(b"\xfd\xff\xff\xff\xff"), Some(0));
}

#[test]
fn what_stands_behind_the_end_is_kept() {
    let mut reader = reader();
    reader.push(&[EMPTY, b"*1\r\n"].concat());
    let mut transcript = Transcript::default();
    transcript.drain(&mut reader).unwrap();
    assert!(reader.is_done());
    assert_eq!(reader.offset(), EMPTY.len() as u64);
    reader.push(b"$4\r\n");
    assert_eq!(reader.rest(), b"*1\r\n$4\r\n");
    assert!(matches!(reader.next(), Ok(None)));
}

#[test]
fn a_claimed_length_takes_no_memory() {
    let mut reader = reader();
    reader.push(b"REDIS0010\x00\x01a\x80\xff\xff\xff\xff");
    for _ in 0..10 {
        reader.push(b"0123456789");
        assert!(matches!(reader.next(), Ok(None)));
    }
    assert!(
        reader.buffer_bytes() < 1000,
        "{} bytes",
        reader.buffer_bytes()
    );
}

#[test]
fn a_large_record_is_walked_once_and_given_back() {
    let mut record = b"\x04\x01h".to_vec();
    write_len(&mut record, 20_000);
    for i in 0..20_000 {
        write_string(&mut record, format!("field {i}").as_bytes());
        write_string(&mut record, &[b'0' + (i % 10) as u8; 40]);
    }
    let mut reader = reader();
    reader.push(b"REDIS0010\xfe\x00");
    assert!(matches!(reader.next(), Ok(Some(Event::SelectDb(0)))));
    for (i, piece) in record.chunks(997).enumerate() {
        reader.push(piece);
        let event = reader.next().unwrap();
        let received = (i * 997 + piece.len()).min(record.len());
        if received < record.len() {
            assert!(event.is_none());
            // All but a length that is cut in two was walked over, and stays so.
            assert!(
                received - reader.walked < 19,
                "{} of {received}",
                reader.walked
            );
        } else {
            assert!(matches!(event, Some(Event::Entry(_))));
        }
    }
    for _ in 0..10 {
        reader.push(b"\x00\x01a\x01b");
        assert!(matches!(reader.next(), Ok(Some(Event::Entry(_)))));
    }
    assert!(
        reader.buffer_bytes() <= BUFFER_KEPT_BYTES,
        "{} bytes",
        reader.buffer_bytes()
    );
}

#[test]
fn what_is_passed_over_is_not_kept() {
    let mut reader = reader();
    reader.push(b"REDIS0010\x18\x04hash12345678\x80\x00\x01\x00\x00");
    assert!(matches!(
        reader.next(),
        Err(RdbError::UnsupportedType { .. })
    ));
    let element = [b"\x00\x01f\x43\xe8".as_slice(), &[b'x'; 1000]].concat();
    for _ in 0..65_536 {
        assert!(matches!(reader.next(), Ok(None)));
        reader.push(&element);
    }
    assert!(
        reader.buffer_bytes() < 10_000,
        "{} bytes",
        reader.buffer_bytes()
    );
    reader.push(b"\x00\x01a\x01b");
    assert!(matches!(reader.next(), Ok(Some(Event::Entry(_)))));
}

#[test]
fn a_record_above_the_limit_is_refused() {
    let (mut reader, mut at_once) = (reader(), reader());
    reader.set_record_limit(100);
    let record = [b"\x00\x01a\x40\x5f".as_slice(), &[b'x'; 95]].concat();
    reader.push(b"REDIS0010");
    reader.push(&record);
    assert!(matches!(reader.next(), Ok(Some(Event::Entry(_)))));
    let error = RdbError::RecordTooLong {
        offset: 109,
        limit_bytes: 100,
    };
    at_once.set_record_limit(100);
    let record = [b"\x00\x01a\x40\x60".as_slice(), &[b'x'; 96]].concat();
    at_once.push(&[b"REDIS0010".as_slice(), &record].concat());
    let refused = at_once.next().unwrap_err();
    assert!(matches!(
        refused,
        RdbError::RecordTooLong {
            limit_bytes: 100,
            ..
        }
    ));

    reader.push(b"\x00\x01a\x40\x60");
    assert!(matches!(reader.next(), Ok(None)));
    reader.push(&[b'x'; 96]);
    assert_eq!(reader.next().unwrap_err(), error);
}

#[test]
fn a_hostile_key_is_shown_in_a_readable_form() {
    let mut record = b"\x18".to_vec();
    write_string(
        &mut record,
        &[b"\r\n\x1b\xff'".as_slice(), &[b'k'; 500]].concat(),
    );
    let record = [&record[..], b"12345678\x00"].concat();
    let text = read(&file(&record)).unwrap().0[0].clone();
    assert!(text.starts_with("key '\\r\\n\\x1b\\xff\\'kkk"), "{text}");
    assert!(
        text.contains("k...' holds a hash with field TTLs") && text.len() < 250,
        "{text}"
    );
}

#[test]
fn what_the_writer_frames_is_read_back() {
    let preamble = Preamble {
        created_s: 1_700_000_000,
        used_memory_bytes: 12_345,
        replication: Some(ReplicationInfo {
            selected_db: Some(3),
            id: "0123456789abcdef0123456789abcdef01234567".into(),
            offset: 99_999_999_999,
        }),
        aof_base: false,
    };
    for (with_checksum, checksum) in [(true, Checksum::Verified), (false, Checksum::Absent)] {
        let mut framer = Framer::new(with_checksum);
        let mut data = Vec::new();
        framer.begin(&mut data, &preamble);
        let mut fragment = Vec::new();
        write_function(&mut fragment, b"#!lua name=lib");
        fragment.extend_from_slice(b"\xfe\x03");
        write_resize_db(&mut fragment, 70_000, 1);
        fragment.extend_from_slice(b"\x00\x01a\x01b");
        framer.fragment(&fragment[..7]);
        framer.fragment(&fragment[7..]);
        data.extend_from_slice(&fragment);
        framer.end(&mut data);
        let mut reader = reader();
        reader.push(&data);
        let mut aux = Vec::new();
        let mut others = Vec::new();
        while let Some(event) = reader.next().unwrap() {
            match event {
                Event::Aux { name, value } => {
                    aux.push([name, value].map(|text| String::from_utf8(text).unwrap()))
                }
                other => others.push(other),
            }
        }
        let names: Vec<_> = aux.iter().map(|[name, _]| name.as_str()).collect();
        let expected = "redis-ver redis-bits ctime used-mem repl-stream-db repl-id repl-offset \
                        aof-base";
        assert_eq!(names.join(" "), expected);
        assert_eq!(aux[4][1], "3");
        assert_eq!(aux[5][1], "0123456789abcdef0123456789abcdef01234567");
        assert_eq!(aux[6][1], "99999999999");
        assert!(matches!(&others[0], Event::Function(code) if code == b"#!lua name=lib"));
        assert!(matches!(others[1], Event::SelectDb(3)));
        assert!(matches!(
            others[2],
            Event::ResizeDb {
                keys: 70_000,
                expires: 1
            }
        ));
        assert!(matches!(&others[3], Event::Entry(entry) if entry.db == 3));
        assert!(matches!(others[4], Event::End { checksum: found } if found == checksum));
    }
}

#[test]
fn an_empty_file_is_laid_out_as_a_real_server_lays_it_out() {
    let Transcript(theirs) = read(EMPTY).unwrap();
    let mut ours = Vec::new();
    let mut framer = Framer::new(true);
    framer.begin(&mut ours, &Preamble::default());
    framer.end(&mut ours);
    let Transcript(ours) = read(&ours).unwrap();
    let names = |said: &[String]| -> Vec<String> {
        said.iter()
            .map(|s| s.split("value").next().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(names(&ours), names(&theirs));
}
