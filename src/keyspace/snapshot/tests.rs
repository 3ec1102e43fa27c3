use super::*;
use crate::keyspace::{Db, Seed, SetExpiry};
use crate::value::codec::{Collections, Compression, Reader, kind, read_value};
use crate::value::hash::{Hash, HashLimits};
use crate::value::{Value, ValueRef};
use std::collections::BTreeMap;

const SEED: Seed = Seed([5, 6, 7, 8]);
const DATABASES: usize = 3;

/// (database, key) to (value, expiry).
type Content = BTreeMap<(usize, Vec<u8>), (String, Option<u64>)>;

struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040);
        (self.0 >> 33) % below
    }
}

fn describe(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Int(int) => int.to_string(),
        ValueRef::Bytes(bytes) => bytes.escape_ascii().to_string(),
        ValueRef::Hash(hash) => {
            let mut pairs = Vec::new();
            for (field, value) in hash.iter() {
                field.with_bytes(|f| value.with_bytes(|v| pairs.push((f.to_vec(), v.to_vec()))));
            }
            pairs.sort();
            format!("{pairs:?}")
        }
        other => format!("{other:?}"),
    }
}

fn content(keyspace: &Keyspace) -> Content {
    let mut content = Content::new();
    for index in 0..keyspace.databases() {
        for entry in keyspace.db(index).iter() {
            let value = (describe(entry.value()), entry.expire_at());
            content.insert((index, entry.key().to_vec()), value);
        }
    }
    content
}

/// Decodes a fragment into `content`; a key that is there already was serialised twice.
fn decode(fragment: &[u8], content: &mut Content) {
    let collections = Collections {
        list_limits: Default::default(),
        hash_limits: HashLimits::default(),
        set_limits: Default::default(),
        sorted_set_limits: Default::default(),
        seed: SEED,
    };
    let mut reader = Reader::new(fragment);
    let mut database = None;
    while reader.remaining() > 0 {
        let mut byte = reader.u8().unwrap();
        if byte == RDB_OPCODE_SELECTDB {
            database = Some(reader.plain_len().unwrap() as usize);
            continue;
        }
        let mut expiry = None;
        if byte == RDB_OPCODE_EXPIRETIME_MS {
            expiry = Some(reader.u64_le().unwrap());
            byte = reader.u8().unwrap();
        }
        let key = reader.string().unwrap().into_bytes();
        let value = read_value(byte, &mut reader, &collections).unwrap();
        let place = (database.expect("a fragment starts with its database"), key);
        let twice = content.insert(place.clone(), (describe(value.borrow()), expiry));
        assert!(twice.is_none(), "{place:?} is there twice");
    }
}

fn key(n: u64) -> Vec<u8> {
    format!("k{n}").into_bytes()
}

fn some_value(random: &mut Random) -> Value {
    match random.next(4) {
        0 => Value::Int(random.next(1000) as i64),
        1 => Value::Bytes(vec![
            b'a' + random.next(26) as u8;
            1 + random.next(300) as usize
        ]),
        2 => Value::Raw(vec![b'r'; random.next(2000) as usize]),
        _ => {
            let mut hash = Box::new(crate::value::hash::Hash::new());
            for n in 0..1 + random.next(8) {
                hash.set(&key(n), &key(random.next(9)), &HashLimits::default(), &SEED);
            }
            Value::Hash(hash)
        }
    }
}

fn some_expiry(random: &mut Random) -> Option<u64> {
    (random.next(3) == 0).then(|| 1 + random.next(1000))
}

/// One random change, by every way that there is.
fn change(keyspace: &mut Keyspace, scratch: &mut Db, keys: u64, random: &mut Random) {
    let index = random.next(DATABASES as u64) as usize;
    let key = key(random.next(keys));
    let other = self::key(random.next(keys));
    let db = keyspace.db_mut(index);
    match random.next(100) {
        0..20 => {
            let value = random.next(100_000).to_string();
            db.set_string(&key, value.as_bytes(), SetExpiry::Keep);
        }
        20..40 => {
            db.insert(Entry::new(&key, some_value(random), some_expiry(random)));
        }
        40..55 => drop(db.remove(&key)),
        55..65 => {
            if let Some(entry) = db.get_mut(&key)
                && entry.string_mut(|text| text.push(b'+')).is_none()
            {
                let hash = entry.collection_mut::<Hash>().unwrap();
                hash.set(b"new", b"value", &HashLimits::default(), &SEED);
            }
        }
        65..75 => drop(db.set_expiry(&key, some_expiry(random))),
        75..85 => {
            // Rename, possibly to another database and over another key.
            if let Some(entry) = db.remove(&key) {
                let expiry = entry.expire_at();
                let renamed = Entry::new(&other, entry.into_value(), expiry);
                let to = random.next(DATABASES as u64) as usize;
                keyspace.db_mut(to).insert(renamed);
            }
        }
        85..93 => {
            // Lent to another shard's transaction, which may change it.
            if let Some(entry) = db.remove(&key) {
                assert!(scratch.insert(entry).is_none());
                if random.next(2) == 0 {
                    scratch.set_string(&key, b"changed elsewhere", SetExpiry::Clear);
                }
                let entry = scratch.remove(&key).unwrap();
                keyspace.db_mut(index).insert(entry);
            }
        }
        93..97 => keyspace.swap(index, random.next(DATABASES as u64) as usize),
        97 => keyspace.flush(index),
        _ => drop(keyspace.free_slice(50)),
    }
}

fn run(seed: u64, keys: u64, changes_per_step: u64, budget: usize) {
    let mut random = Random(seed);
    let mut keyspace = Keyspace::new(DATABASES, &SEED);
    let mut scratch = Db::new(&SEED);
    for _ in 0..keys * 2 {
        change(&mut keyspace, &mut scratch, keys, &mut random);
    }
    for round in 0..4 {
        let cut = content(&keyspace);
        keyspace.begin_snapshot();
        let mut seen = Content::new();
        let abort_at = if round % 2 == 1 {
            random.next(20)
        } else {
            u64::MAX
        };
        let mut steps = 0;
        loop {
            for _ in 0..random.next(changes_per_step + 1) {
                change(&mut keyspace, &mut scratch, keys * 2, &mut random);
            }
            let mut fragment = Vec::new();
            let progress = keyspace
                .snapshot_step(&mut fragment, budget, &mut |_| true)
                .progress;
            decode(&fragment, &mut seen);
            if progress == Progress::Done {
                assert_eq!(seen, cut, "seed {seed}");
                break;
            }
            steps += 1;
            if steps == abort_at {
                keyspace.abort_snapshot();
                assert_eq!(keyspace.preimage_bytes(), 0);
                assert!(seen.iter().all(|(key, value)| cut.get(key) == Some(value)));
                break;
            }
        }
        assert!(!keyspace.snapshot_active());
        for _ in 0..keys {
            change(&mut keyspace, &mut scratch, keys, &mut random);
        }
    }
}

#[test]
fn strings_are_compressed_as_the_snapshot_was_told_when_it_began() {
    let mut keyspace = Keyspace::new(DATABASES, &SEED);
    let key = [b'k'; 50];
    keyspace
        .db_mut(0)
        .set_string(&key, &[b'v'; 500], SetExpiry::Clear);
    let mut lengths = Vec::new();
    for compression in [Compression::Lzf, Compression::None] {
        keyspace.set_compression(compression);
        keyspace.begin_snapshot();
        // What changes afterwards is for the next one.
        keyspace.set_compression(Compression::Lzf);
        let mut fragment = Vec::new();
        let step = keyspace.snapshot_step(&mut fragment, 1 << 20, &mut |_| true);
        assert_eq!(step.progress, Progress::Done);
        decode(&fragment, &mut Content::new());
        lengths.push(fragment.len());
    }
    assert!(lengths[0] < 60 && lengths[1] > 550, "{lengths:?}");
}

#[test]
fn every_key_of_the_cut_is_serialised_exactly_once_whatever_happens_meanwhile() {
    if cfg!(miri) {
        return run(1, 15, 4, 300);
    }
    for seed in 0..60 {
        run(seed, 200, 20, 500);
    }
    for seed in 0..6 {
        run(seed, 6_000, 400, 20_000);
    }
}

#[test]
#[cfg_attr(miri, ignore = "many keys, no unsafe code of its own")]
fn segments_that_split_under_the_walk_neither_lose_nor_double_a_key() {
    let mut keyspace = Keyspace::new(1, &SEED);
    for n in 0..800 {
        keyspace
            .db_mut(0)
            .set_string(&key(n), b"v", SetExpiry::Clear);
    }
    let cut = content(&keyspace);
    keyspace.begin_snapshot();
    let (mut seen, mut fresh) = (Content::new(), 1000);
    loop {
        let mut fragment = Vec::new();
        let progress = keyspace
            .snapshot_step(&mut fragment, 2_000, &mut |_| true)
            .progress;
        assert!(
            fragment.len() < 4_000,
            "a step keeps to its budget across splits"
        );
        decode(&fragment, &mut seen);
        if progress == Progress::Done {
            break;
        }
        for _ in 0..100 {
            keyspace
                .db_mut(0)
                .set_string(&key(fresh), b"new", SetExpiry::Clear);
            fresh += 1;
        }
    }
    assert_eq!(seen, cut);
}

#[test]
fn a_change_is_preserved_first_and_only_once() {
    let mut keyspace = Keyspace::new(2, &SEED);
    keyspace
        .db_mut(1)
        .set_string(b"k", b"before", SetExpiry::At(7));
    keyspace.begin_snapshot();
    assert_eq!(keyspace.preimage_bytes(), 0);
    keyspace
        .db_mut(1)
        .set_string(b"k", b"after", SetExpiry::Clear);
    let bytes = keyspace.preimage_bytes();
    assert!(bytes > 0);
    keyspace
        .db_mut(1)
        .set_string(b"k", b"again", SetExpiry::Clear);
    drop(keyspace.db_mut(1).remove(b"k"));
    assert_eq!(keyspace.preimage_bytes(), bytes);
    let mut fragment = Vec::new();
    assert_eq!(
        keyspace
            .snapshot_step(&mut fragment, 10_000, &mut |_| true)
            .progress,
        Progress::Done
    );
    assert_eq!(
        &fragment[..3],
        [RDB_OPCODE_SELECTDB, 1, RDB_OPCODE_EXPIRETIME_MS]
    );
    assert_eq!(fragment[11], kind::STRING);
    let mut seen = Content::new();
    decode(&fragment, &mut seen);
    let expected = ((1, b"k".to_vec()), ("before".to_owned(), Some(7)));
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [expected]);
}

#[test]
fn reads_leave_no_preimage_and_an_empty_keyspace_is_done_at_once() {
    let mut keyspace = Keyspace::new(2, &SEED);
    keyspace.begin_snapshot();
    keyspace
        .db_mut(0)
        .set_string(b"new", b"v", SetExpiry::Clear);
    let mut fragment = Vec::new();
    assert_eq!(
        keyspace
            .snapshot_step(&mut fragment, 1, &mut |_| true)
            .progress,
        Progress::Done
    );
    assert!(fragment.is_empty());
    keyspace.begin_snapshot();
    assert!(keyspace.db_mut(0).get_touch(b"new").is_some());
    assert!(keyspace.db(0).get(b"new").is_some());
    assert_eq!(keyspace.preimage_bytes(), 0);
}

#[test]
#[cfg_attr(miri, ignore = "many keys, no unsafe code of its own")]
fn a_flushed_database_belongs_to_the_snapshot_until_it_is_serialised() {
    let mut keyspace = Keyspace::new(2, &SEED);
    for n in 0..2_000 {
        keyspace
            .db_mut(0)
            .set_string(&key(n), b"v", SetExpiry::Clear);
    }
    let cut = content(&keyspace);
    keyspace.begin_snapshot();
    keyspace.swap(0, 1);
    keyspace.flush(1);
    keyspace
        .db_mut(1)
        .set_string(&key(1), b"after", SetExpiry::Clear);
    keyspace.flush_all();
    assert_eq!(keyspace.total_len(), 0);
    let (mut seen, mut steps) = (Content::new(), 0);
    loop {
        let mut fragment = Vec::new();
        let progress = keyspace
            .snapshot_step(&mut fragment, 1_000, &mut |_| true)
            .progress;
        decode(&fragment, &mut seen);
        steps += 1;
        if progress == Progress::Done {
            break;
        }
    }
    assert!(steps > 10);
    assert_eq!(seen, cut);
    while keyspace.free_slice(100) {}
}

#[test]
#[cfg_attr(miri, ignore = "65,536 rounds")]
fn a_snapshot_after_65535_aborted_ones_still_has_every_key() {
    for background in [false, true] {
        let mut keyspace = Keyspace::new(2, &SEED);
        for n in 0..50 {
            keyspace
                .db_mut(1)
                .set_string(&key(n), b"v", SetExpiry::Clear);
        }
        let cut = content(&keyspace);
        for _ in 0..65_535 + 1 {
            keyspace.begin_snapshot();
            keyspace.abort_snapshot();
            if background {
                let _more = keyspace.free_slice(10);
            }
        }
        assert!(keyspace.stale_epochs < if background { 40_000 } else { u16::MAX });
        keyspace.begin_snapshot();
        let (mut fragment, mut seen) = (Vec::new(), Content::new());
        assert_eq!(
            keyspace
                .snapshot_step(&mut fragment, 1 << 20, &mut |_| true)
                .progress,
            Progress::Done
        );
        decode(&fragment, &mut seen);
        assert_eq!(seen, cut);
        assert_eq!(keyspace.stale_epochs, 0);
    }
}

#[test]
#[cfg_attr(miri, ignore = "65,536 rounds")]
fn a_wrapped_epoch_never_meets_an_entry_that_carries_it() {
    // The entry is of epoch 0; 65,536 epochs later 0 comes again.
    let mut keyspace = Keyspace::new(1, &SEED);
    keyspace
        .db_mut(0)
        .set_string(b"old", b"v", SetExpiry::Clear);
    for _ in 0..1 << 16 {
        keyspace.begin_snapshot();
        let mut fragment = Vec::new();
        if keyspace.epoch == 0 {
            assert_eq!(
                keyspace
                    .snapshot_step(&mut fragment, 100, &mut |_| true)
                    .progress,
                Progress::Done
            );
            assert!(!fragment.is_empty(), "the entry was taken for a new one");
            return;
        }
        keyspace.abort_snapshot();
    }
    panic!("the epoch never wrapped");
}

/// Half of them hashes in the table encoding, which have slices of their own.
fn some_larger_value(random: &mut Random) -> Value {
    if random.next(2) == 0 {
        return some_value(random);
    }
    let limits = HashLimits {
        entries_max: 4,
        ..HashLimits::default()
    };
    let mut hash = Box::new(Hash::new());
    for n in 0..1 + random.next(200) {
        hash.set(&key(n), &key(random.next(9)), &limits, &SEED);
    }
    Value::Hash(hash)
}

/// A keyspace with a snapshot under way whose large values are held as a shard would hold them.
struct Sliced {
    keyspace: Keyspace,
    held: Vec<Vec<u8>>,
    /// An open record and what was given out of it.
    record: Vec<u8>,
    seen: Content,
}

impl Sliced {
    fn new(keyspace: Keyspace) -> Self {
        Sliced {
            keyspace,
            held: Vec::new(),
            record: Vec::new(),
            seen: Content::new(),
        }
    }

    /// One step; keys for which `refuses` holds cannot be held.
    fn step(&mut self, budget: usize, refuses: impl Fn(&[u8]) -> bool) -> Progress {
        let (mut fragment, held) = (Vec::new(), &mut self.held);
        let step = self
            .keyspace
            .snapshot_step(&mut fragment, budget, &mut |key| {
                if !refuses(key) {
                    held.push(key.to_vec());
                }
                !refuses(key)
            });
        self.record.extend_from_slice(&fragment);
        if !step.open {
            decode(&std::mem::take(&mut self.record), &mut self.seen);
        }
        self.let_go();
        step.progress
    }

    fn let_go(&mut self) {
        for key in self.keyspace.take_released() {
            let place = self.held.iter().position(|held| *held == *key);
            self.held.swap_remove(place.expect("it was held"));
        }
    }

    /// Whether a key may be changed now; if it is large, it is asked for.
    fn may_change(&mut self, db: usize, key: &[u8]) -> bool {
        if self.held.iter().any(|held| held == key) {
            return false;
        }
        if self.keyspace.wants_slices(db, key, true, 0) {
            self.held.push(key.to_vec());
            self.keyspace.slice_first(db, key);
            return false;
        }
        true
    }

    fn change(&mut self, random: &mut Random) {
        let (index, key) = (random.next(DATABASES as u64) as usize, key(random.next(60)));
        match random.next(20) {
            // These need the whole shard, which is not to be had while a key is held.
            0 if self.held.is_empty() => {
                self.keyspace
                    .swap(index, random.next(DATABASES as u64) as usize);
            }
            1 if self.held.is_empty() && random.next(4) == 0 => self.keyspace.flush(index),
            2..=4 => drop(self.keyspace.slice_ahead(150)),
            5..=9 if self.may_change(index, &key) => {
                self.keyspace.db_mut(index).remove(&key);
            }
            _ if self.may_change(index, &key) => {
                let value = some_larger_value(random);
                let entry = Entry::new(&key, value, some_expiry(random));
                self.keyspace.db_mut(index).insert(entry);
            }
            _ => {}
        }
        self.let_go();
    }
}

#[test]
fn large_values_are_serialised_in_slices_exactly_once_and_unchanged() {
    let seeds = if cfg!(miri) { 1 } else { 80 };
    for seed in 0..seeds {
        let mut random = Random(seed);
        let mut keyspace = Keyspace::new(DATABASES, &SEED);
        keyspace.set_sliced_bytes_min(200);
        for index in 0..DATABASES {
            for n in 0..60 {
                let value = some_larger_value(&mut random);
                let entry = Entry::new(&key(n), value, some_expiry(&mut random));
                keyspace.db_mut(index).insert(entry);
            }
        }
        let cut = content(&keyspace);
        keyspace.begin_snapshot();
        let mut sliced = Sliced::new(keyspace);
        let mut steps = 0;
        loop {
            for _ in 0..random.next(6) {
                sliced.change(&mut random);
            }
            // Now and then somebody else has every key locked.
            let locked = random.next(3) == 0;
            if sliced.step(100, |_| locked) == Progress::Done {
                break;
            }
            steps += 1;
            assert!(steps < 100_000, "seed {seed}: it comes to an end");
        }
        assert_eq!(sliced.seen, cut, "seed {seed}");
        assert!(sliced.held.is_empty() && sliced.keyspace.preimage_bytes() == 0);
    }
}

#[test]
fn somebody_who_waits_for_a_large_value_needs_no_room_in_the_output() {
    let mut keyspace = Keyspace::new(1, &SEED);
    let mut hash = Box::new(Hash::new());
    for n in 0..40_000 {
        hash.set(&key(n), &[b'x'; 40], &HashLimits::default(), &SEED);
    }
    keyspace
        .db_mut(0)
        .insert(Entry::new(b"large", Value::Hash(hash), None));
    let cut = content(&keyspace);
    keyspace.begin_snapshot();
    let mut sliced = Sliced::new(keyspace);
    assert!(!sliced.may_change(0, b"large"));
    let mut slices = 0;
    while sliced.keyspace.slice_ahead(40_000) {
        sliced.let_go();
        slices += 1;
        assert!(slices < 1000, "it comes to an end");
    }
    assert!(slices > 10, "{slices} slices");
    assert!(sliced.may_change(0, b"large"), "it was let go");
    sliced.keyspace.db_mut(0).remove(b"large");
    while sliced.step(100_000, |_| false) == Progress::More {}
    assert_eq!(sliced.seen, cut);
}
