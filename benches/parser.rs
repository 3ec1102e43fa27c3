//! Cost of a request on the wire: parsing pipelines of one buffer, and writing the replies.

use std::hint::black_box;

use banyan::protocol::{Input, Limits, Reply, Version, encode};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// `requests` times `SET key value`.
fn pipeline(requests: usize, value_len: usize) -> Vec<u8> {
    let value = vec![b'v'; value_len];
    let mut bytes = Vec::new();
    for i in 0..requests {
        let key = format!("key:{i:012}");
        encode::request(&mut bytes, &[b"SET", key.as_bytes(), &value]);
    }
    bytes
}

/// Pushes all bytes, then takes out all requests; the sum keeps the compiler honest.
fn drain(input: &mut Input, bytes: &[u8], limits: &Limits) -> usize {
    input.push(bytes);
    let mut sum = 0;
    while let Ok(Some(request)) = input.next(limits) {
        sum += request.args.at(1).len() + request.args.len();
    }
    sum
}

fn parse(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("parse");
    for (name, requests, value_len) in [
        ("set_3_bytes_pipeline_1", 1, 3),
        ("set_64_bytes_pipeline_16", 16, 64),
        ("set_64_bytes_pipeline_100", 100, 64),
        ("set_64_kib", 1, 64 * 1024),
    ] {
        let bytes = pipeline(requests, value_len);
        let mut input = Input::new();
        group.throughput(Throughput::Elements(requests as u64));
        group.bench_function(name, |b| {
            b.iter(|| drain(&mut input, black_box(&bytes), &limits));
        });
    }
    let bytes = b"SET key:000000000001 value\r\n".repeat(100);
    let mut input = Input::new();
    group.throughput(Throughput::Elements(100));
    group.bench_function("inline_pipeline_100", |b| {
        b.iter(|| drain(&mut input, black_box(&bytes), &limits));
    });
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    group.throughput(Throughput::Elements(100));
    let mut reply = Reply::new(Version::Resp2);
    let value = [b'v'; 64];
    group.bench_function("bulk_64_bytes_100", |b| {
        b.iter(|| {
            reply.clear();
            (0..100).for_each(|_| reply.bulk(black_box(&value)));
            reply.len()
        });
    });
    group.bench_function("deferred_array_100", |b| {
        b.iter(|| {
            reply.clear();
            let array = reply.begin_array();
            (0..100).for_each(|i| reply.integer(black_box(i)));
            reply.finish(array, 100);
            reply.len()
        });
    });
    group.finish();
}

criterion_group!(benches, parse, write);
criterion_main!(benches);
