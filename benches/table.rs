//! The keyspace alone: nanoseconds per operation at a million keys, the longest single insert on
//! the way to five million, and bytes per key. Run with `cargo bench --bench table`.

use banyan::keyspace::{Db, Seed, SetExpiry};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

/// What the server allocates with; it decides what a key really costs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const KEYS: u64 = 1_000_000;
const KEYS_LONGEST_INSERT: u64 = 5_000_000;
const SEED: Seed = Seed([11, 22, 33, 44]);
const VALUE: [u8; 64] = [b'x'; 64];

/// A 16-byte key.
fn key(buffer: &mut [u8; 16], n: u64) -> &[u8] {
    write!(&mut buffer[..], "key:{n:012}").expect("16 bytes");
    buffer
}

/// Visits all numbers below `KEYS` in an order that no cache foresees.
struct Shuffled(u64);

impl Shuffled {
    fn next(&mut self) -> u64 {
        self.0 = (self.0 + 618_033) % KEYS;
        self.0
    }
}

fn filled(keys: u64) -> Db {
    let mut db = Db::new(&SEED);
    let mut buffer = [0; 16];
    for n in 0..keys {
        db.set_string(key(&mut buffer, n), &VALUE, SetExpiry::Clear);
    }
    db
}

fn operations(c: &mut Criterion) {
    let mut group = c.benchmark_group("keyspace");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3));

    group.throughput(Throughput::Elements(KEYS));
    group.bench_function("insert a million", |b| {
        b.iter_batched(|| (), |()| filled(KEYS), BatchSize::PerIteration);
    });

    let mut db = filled(KEYS);
    let (mut buffer, mut order) = ([0; 16], Shuffled(0));
    group.throughput(Throughput::Elements(1));
    group.bench_function("get hit", |b| {
        b.iter(|| black_box(db.get(key(&mut buffer, order.next())).is_some()));
    });
    group.bench_function("get miss", |b| {
        b.iter(|| black_box(db.get(key(&mut buffer, KEYS + order.next())).is_some()));
    });
    group.bench_function("set_string over a value of the same size", |b| {
        b.iter(|| db.set_string(key(&mut buffer, order.next()), &VALUE, SetExpiry::Clear));
    });
    group.bench_function("write the key alone", |b| {
        b.iter(|| black_box(key(&mut buffer, order.next())[15]));
    });
    for count in [10, 1000] {
        let mut cursor = 0;
        group.bench_function(format!("scan step of {count}"), |b| {
            b.iter(|| cursor = db.scan(cursor, count, |entry| _ = black_box(entry.key())));
        });
    }
    group.finish();
}

/// Not criterion's kind of figure: extremes and memory, printed once.
fn extremes(_: &mut Criterion) {
    let allocated = || {
        tikv_jemalloc_ctl::epoch::advance().expect("jemalloc is the allocator");
        tikv_jemalloc_ctl::stats::allocated::read().expect("jemalloc is the allocator")
    };
    let before = allocated();
    let mut db = Db::new(&SEED);
    let (mut buffer, mut longest, mut slow) = ([0; 16], Duration::ZERO, 0);
    let start = Instant::now();
    for n in 1..=KEYS_LONGEST_INSERT {
        let key = key(&mut buffer, n);
        let begin = Instant::now();
        db.set_string(key, &VALUE, SetExpiry::Clear);
        let took = begin.elapsed();
        longest = longest.max(took);
        slow += u32::from(took > Duration::from_micros(500));
        if n.is_multiple_of(500_000) {
            let per_key = (allocated() - before) as f64 / n as f64;
            println!("{n} keys of 16 + 64 bytes: {per_key:.1} bytes allocated per key");
        }
    }
    println!(
        "longest of {KEYS_LONGEST_INSERT} inserts: {longest:?}; {slow} above 500 us; mean {:?}",
        start.elapsed() / KEYS_LONGEST_INSERT as u32
    );
}

criterion_group!(benches, operations, extremes);
criterion_main!(benches);
