//! Clients that write without pause until told to stop.

use super::client::Client;
use super::random::Random;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::JoinHandle;

/// Writers in threads of their own. Stops when dropped.
pub struct Load {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts `writers` connections to a port, each with its own random numbers.
    pub fn start(port: u16, writers: usize, seed: u64) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let threads = (0..writers)
            .map(|i| {
                let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
                let random = Random::new(seed.wrapping_add(i as u64));
                std::thread::spawn(move || write_until(port, &stop, &written, random))
            })
            .collect();
        Load {
            stop,
            written,
            threads,
        }
    }

    pub fn written(&self) -> u64 {
        self.written.load(SeqCst)
    }

    /// Stops the writers; gives how many commands were answered. Panics if a writer failed.
    pub fn stop(mut self) -> u64 {
        self.stop.store(true, SeqCst);
        for thread in self.threads.drain(..) {
            thread.join().expect("a writer failed");
        }
        self.written()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
    }
}

/// A random write: strings, counters, hashes, several keys at once, deletes, expiries that never
/// come, other databases.
pub fn random_write(random: &mut Random) -> Vec<Vec<u8>> {
    const KEYS: usize = 20_000;
    let number = random.below(KEYS);
    let key = format!("key:{number}");
    // Never the same key: COPY refuses that.
    let other = format!("key:{}", (number + 1 + random.below(KEYS - 1)) % KEYS);
    let value = format!("value:{}", random.next());
    let text = match random.below(14) {
        0..=3 => format!("SET {key} {value}"),
        4 => format!("SET {key} {value} EX 100000"),
        5 => format!("INCR counter:{}", random.below(100)),
        6 => format!(
            "HSET hash:{} f{} {value} g 1",
            random.below(500),
            random.below(200)
        ),
        7 => format!("HINCRBY hash:{} n 1", random.below(500)),
        8 => format!("MSET {key} a{value} {other} b{value} {{same}}{key} c"),
        9 => format!("DEL {key} {other}"),
        10 => format!("APPEND log:{} x", random.below(50)),
        11 => format!("COPY {key} {other} REPLACE"),
        12 => format!("PEXPIRE {key} 100000000"),
        _ => format!("HDEL hash:{} f{}", random.below(500), random.below(200)),
    };
    text.split(' ').map(|w| w.as_bytes().to_vec()).collect()
}

fn write_until(port: u16, stop: &AtomicBool, written: &AtomicU64, mut random: Random) {
    let mut client = Client::connect(port);
    client.must(&format!("SELECT {}", random.below(3)));
    while !stop.load(SeqCst) {
        let mut batch: Vec<Vec<Vec<u8>>> = (0..random.below(20) + 1)
            .map(|_| random_write(&mut random))
            .collect();
        if random.one_in(5) {
            batch.insert(0, vec![b"MULTI".to_vec()]);
            batch.push(vec![b"EXEC".to_vec()]);
        }
        let replies = client
            .pipeline(&batch)
            .expect("the server answers its writers");
        for (reply, command) in replies.iter().zip(&batch) {
            assert!(
                !reply.is_error(),
                "{}: {reply:?}",
                super::resp::show(command)
            );
        }
        written.fetch_add(batch.len() as u64, SeqCst);
    }
}

/// `count` random writes through one connection, pipelined.
pub fn write_some(client: &mut Client, count: usize, seed: u64) {
    const BATCH: usize = 200;
    let mut random = Random::new(seed);
    for _ in 0..count.div_ceil(BATCH) {
        let batch: Vec<Vec<Vec<u8>>> = (0..BATCH).map(|_| random_write(&mut random)).collect();
        client.pipeline(&batch).expect("the server answers");
    }
}

/// `count` keys `big:0` … with values of `len` bytes that no compression makes smaller.
pub fn write_big(client: &mut Client, count: usize, len: usize) {
    for i in 0..count {
        let value = Random::new(i as u64).bytes(len);
        let args = [b"SET".to_vec(), format!("big:{i}").into_bytes(), value];
        assert_eq!(client.run(&args), super::resp::Value::ok());
    }
}
