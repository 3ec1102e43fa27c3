//! CRC-64 of RDB and DUMP, by size of the data.

use banyan::value::crc64::checksum;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn crc64(c: &mut Criterion) {
    let mut group = c.benchmark_group("crc64");
    for len in [16, 128, 1 << 10, 16 << 10, 1 << 20] {
        let data: Vec<u8> = (0..len).map(|i: u32| (i * 31) as u8).collect();
        group.throughput(Throughput::Bytes(data.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(len), &data, |b, data| {
            b.iter(|| checksum(black_box(data)));
        });
    }
    group.finish();
}

criterion_group!(benches, crc64);
criterion_main!(benches);
