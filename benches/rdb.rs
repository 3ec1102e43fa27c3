//! RDB: writing and reading records, DUMP and RESTORE, and LZF.

use banyan::persistence::rdb::{Event, Framer, Preamble, Reader};
use banyan::value::codec::{self, Collections, Compression};
use banyan::value::hash::{Hash, HashLimits};
use banyan::value::{HashSeed, ValueRef};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const KEYS: usize = 10_000;

fn collections() -> Collections {
    Collections {
        list_limits: Default::default(),
        hash_limits: HashLimits::default(),
        set_limits: Default::default(),
        sorted_set_limits: Default::default(),
        seed: HashSeed([1, 2, 3, 4]),
    }
}

/// A hash of 20 short fields.
fn small_hash() -> Hash {
    let Collections {
        hash_limits, seed, ..
    } = collections();
    let mut hash = Hash::new();
    for i in 0..20 {
        let field = format!("field:{i}");
        hash.set(field.as_bytes(), b"a value", &hash_limits, &seed);
    }
    hash
}

/// A whole RDB of the same value under many keys.
fn file(value: ValueRef<'_>) -> Vec<u8> {
    let mut framer = Framer::new(true);
    let mut out = Vec::new();
    framer.begin(&mut out, &Preamble::default());
    let records = out.len();
    for i in 0..KEYS {
        out.push(codec::type_byte(value));
        codec::write_string(&mut out, format!("key:{i:012}").as_bytes());
        codec::write_value(&mut out, value);
    }
    framer.fragment(&out[records..]);
    framer.end(&mut out);
    out
}

fn read(file: &[u8], piece_len: usize) -> usize {
    let mut reader = Reader::new(collections());
    let mut entries = 0;
    for piece in file.chunks(piece_len) {
        reader.push(piece);
        while let Ok(Some(event)) = reader.next() {
            entries += usize::from(matches!(event, Event::Entry(_)));
        }
    }
    assert!(reader.is_done());
    entries
}

fn files(c: &mut Criterion) {
    let noise: Vec<u8> = (0..64u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as u8)
        .collect();
    let hash = small_hash();
    for (name, value) in [
        ("strings", ValueRef::Bytes(&noise)),
        ("hashes", ValueRef::Hash(&hash)),
    ] {
        let data = file(value);
        let mut group = c.benchmark_group(format!("rdb/{name}"));
        group.throughput(Throughput::Elements(KEYS as u64));
        group.bench_function("write", |b| b.iter(|| file(black_box(value)).len()));
        for piece_len in [1 << 10, 64 << 10] {
            group.bench_function(format!("read in pieces of {piece_len}"), |b| {
                b.iter(|| read(black_box(&data), piece_len));
            });
        }
        group.finish();
    }
}

fn dumps(c: &mut Criterion) {
    let hash = small_hash();
    let dump = codec::dump(ValueRef::Hash(&hash), codec::Compression::Lzf);
    c.bench_function("dump/hash of 20", |b| {
        b.iter(|| codec::dump(black_box(ValueRef::Hash(&hash)), codec::Compression::Lzf));
    });
    c.bench_function("restore/hash of 20", |b| {
        b.iter(|| codec::restore(black_box(&dump), &collections()));
    });
}

fn compression(c: &mut Criterion) {
    let text = b"the quick brown fox jumps over the lazy dog ".repeat(100);
    let noise: Vec<u8> = (0..4400u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let mut group = c.benchmark_group("lzf");
    for (name, data) in [("text", &text), ("noise", &noise)] {
        group.throughput(Throughput::Bytes(data.len() as u64));
        let mut out = Vec::new();
        group.bench_function(format!("compress {name}"), |b| {
            b.iter(|| {
                out.clear();
                codec::write_string_with(&mut out, black_box(data), Compression::Lzf);
                out.len()
            });
        });
    }
    let mut packed = Vec::new();
    codec::write_string(&mut packed, &text);
    group.bench_function("decompress text", |b| {
        b.iter(|| codec::Reader::new(black_box(&packed)).string());
    });
    group.finish();
}

criterion_group!(benches, files, dumps, compression);
criterion_main!(benches);
