//! Merging the shards' batches into one stream: publish from one thread, merge, trim the backlog.

use banyan::command::effects::Sealed;
use banyan::replication::log::Log;
use banyan::shard::shared::Stream;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

/// Batches in one merge.
const BATCHES: u64 = 64;
/// Bytes of a batch: sixteen SETs of 64 bytes or so.
const BATCH_BYTES: usize = 1600;

fn merge(c: &mut Criterion) {
    let mut group = c.benchmark_group("merge");
    group.throughput(Throughput::Elements(BATCHES));
    let log = Log::new(8, "0".repeat(40), 1 << 20);
    log.reset(|merged| merged.enabled = true);
    let mut number = 0;
    group.bench_function("64 batches of 8 shards", |b| {
        b.iter_batched(
            || -> Vec<Sealed> {
                let bytes = || vec![b'x'; BATCH_BYTES];
                (0..BATCHES)
                    .map(|_| Sealed {
                        bytes: bytes(),
                        first_db: 0,
                        last_db: 0,
                    })
                    .collect()
            },
            |batches| {
                for (shard, sealed) in batches.into_iter().enumerate() {
                    number += 1;
                    log.publish((shard % 8) as u32, number, sealed);
                }
                log.merge().end()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, merge);
criterion_main!(benches);
