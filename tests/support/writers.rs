//! Writers that go on through lost primaries: they write of every type, as much as they are
//! allowed, to whichever port they are pointed at, and keep account of what WAIT has confirmed.

use super::client::Client;
use super::random::Random;
use super::resp::{Value, show};
use super::wait_until;
use socket2::SockRef;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// More than any run writes.
const UNLIMITED: i64 = i64::MAX / 2;
/// Registers of each writer that it has confirmed.
const SLOTS: usize = 16;

/// How writers behave.
#[derive(Clone, Copy)]
pub struct Manners {
    pub writers: usize,
    /// If not 0: now and then a write is confirmed by a WAIT for so many replicas.
    pub confirmed_by: usize,
    /// The longest wait for a reply before the server counts as lost.
    pub timeout: Duration,
}

impl Default for Manners {
    fn default() -> Self {
        Manners {
            writers: 3,
            confirmed_by: 0,
            timeout: super::PATIENCE,
        }
    }
}

struct Shared {
    target: Mutex<SocketAddr>,
    stop: AtomicBool,
    /// Bytes of requests that may still be sent.
    credit: AtomicI64,
    /// Writers that are not known to be idle.
    busy: AtomicUsize,
    written: AtomicU64,
    confirmations: AtomicU64,
    /// The largest confirmed value of each register.
    confirmed: Mutex<BTreeMap<String, u64>>,
}

/// Writers in threads of their own, at first idle. They end when this is dropped.
pub struct Writers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    pub fn start(target: SocketAddr, seed: u64, manners: Manners) -> Writers {
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            stop: AtomicBool::new(false),
            credit: AtomicI64::new(0),
            busy: AtomicUsize::new(0),
            written: AtomicU64::new(0),
            confirmations: AtomicU64::new(0),
            confirmed: Mutex::new(BTreeMap::new()),
        });
        let threads = (0..manners.writers)
            .map(|number| {
                let writer = Writer {
                    shared: Arc::clone(&shared),
                    random: Random::new(seed.wrapping_add(number as u64)),
                    manners,
                    number,
                    sequence: 0,
                };
                std::thread::spawn(move || writer.run())
            })
            .collect();
        Writers { shared, threads }
    }

    /// Lets them write without end.
    pub fn resume(&self) {
        self.shared.credit.store(UNLIMITED, SeqCst);
    }

    /// Lets them write about so many bytes more, and waits until they have.
    pub fn write(&self, bytes: usize) {
        self.allow(bytes);
        wait_until("the writers to write what they may", || {
            self.shared.credit.load(SeqCst) <= 0 || self.ended()
        });
        self.pause();
    }

    /// Lets them write about so many bytes, in their own time.
    pub fn allow(&self, bytes: usize) {
        self.shared.credit.store(bytes as i64, SeqCst);
    }

    /// Lets them write no more, and waits until no request is under way.
    pub fn pause(&self) {
        self.shared.credit.store(0, SeqCst);
        wait_until("the writers to pause", || {
            self.shared.busy.load(SeqCst) == 0 || self.ended()
        });
        assert!(!self.ended(), "a writer failed");
    }

    /// True once what was allowed is used up.
    pub fn is_idle(&self) -> bool {
        self.shared.credit.load(SeqCst) <= 0
    }

    /// Points them at another server.
    pub fn point_at(&self, target: SocketAddr) {
        *self.shared.target.lock().expect("no writer holds it") = target;
    }

    /// Requests answered so far.
    pub fn written(&self) -> u64 {
        self.shared.written.load(SeqCst)
    }

    /// Waits until so many more requests are answered.
    pub fn await_written(&self, more: u64) {
        let from = self.written();
        wait_until("the writers to go on", || {
            self.written() >= from + more || self.ended()
        });
        assert!(!self.ended(), "a writer failed");
    }

    /// How often WAIT confirmed a write.
    pub fn confirmations(&self) -> u64 {
        self.shared.confirmations.load(SeqCst)
    }

    fn ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Panics if a write that WAIT had confirmed is not in this server's data.
    pub fn assert_kept(&self, client: &mut Client) {
        let confirmed = self.shared.confirmed.lock().expect("no writer panics");
        let confirmed = confirmed.clone();
        client.must("SELECT 0");
        for (key, least) in confirmed {
            let value = client.run(&["GET", &key]);
            let found: Option<u64> = match &value {
                Value::Bulk(text) => String::from_utf8_lossy(text).parse().ok(),
                _ => None,
            };
            assert!(
                found.is_some_and(|found| found >= least),
                "{key} is {value:?}, WAIT had confirmed {least}"
            );
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        for thread in self.threads.drain(..) {
            let failed = thread.join().is_err();
            assert!(!failed || std::thread::panicking(), "a writer failed");
        }
    }
}

/// One thread's part.
struct Writer {
    shared: Arc<Shared>,
    random: Random,
    manners: Manners,
    number: usize,
    sequence: u64,
}

type Batch = Vec<Vec<Vec<u8>>>;

impl Writer {
    fn run(mut self) {
        let mut link: Option<(SocketAddr, Client)> = None;
        while !self.shared.stop.load(SeqCst) {
            self.shared.busy.fetch_add(1, SeqCst);
            let wrote = self.shared.credit.load(SeqCst) > 0 && self.write_batch(&mut link);
            self.shared.busy.fetch_sub(1, SeqCst);
            if !wrote {
                super::pause(5);
            }
        }
    }

    /// Whether a batch was answered; a link that fails is made anew the next time.
    fn write_batch(&mut self, link: &mut Option<(SocketAddr, Client)>) -> bool {
        let target = *self.shared.target.lock().expect("it is only assigned");
        if link.as_ref().is_none_or(|(to, _)| *to != target) {
            *link = self.connect(target).map(|client| (target, client));
        }
        let Some((_, client)) = link else {
            return false;
        };
        let confirms = self.manners.confirmed_by > 0 && self.random.one_in(4);
        let answered = if confirms {
            confirm(
                client,
                &self.shared,
                self.number,
                &mut self.sequence,
                self.manners,
            )
        } else {
            let batch = mixed_batch(&mut self.random);
            let bytes: usize = batch.iter().flatten().map(|word| word.len() + 8).sum();
            self.shared.credit.fetch_sub(bytes as i64, SeqCst);
            send(client, &batch)
        };
        match answered {
            Some(count) => {
                self.shared.written.fetch_add(count as u64, SeqCst);
                true
            }
            None => {
                *link = None;
                false
            }
        }
    }

    fn connect(&mut self, target: SocketAddr) -> Option<Client> {
        let mut client = Client::connect_within(target, self.manners.timeout).ok()?;
        client.set_timeout(self.manners.timeout);
        // Without it the system goes on sending what a link was given before it was cut, and an
        // old write would come after those of the next link, and undo them.
        let socket = SockRef::from(client.stream());
        socket.set_linger(Some(Duration::ZERO)).ok()?;
        let select = format!("SELECT {}", if self.number == 1 { 3 } else { 0 });
        let words: Vec<&str> = select.split(' ').collect();
        let reply = client.try_run(&words).ok()?;
        (!reply.is_error()).then_some(client)
    }
}

/// What a server that just lost its role or its data may answer.
fn is_passing(reply: &Value) -> bool {
    let text = reply.text();
    [
        "READONLY",
        "LOADING",
        "NOREPLICAS",
        "MASTERDOWN",
        "ERR WAIT",
    ]
    .iter()
    .any(|start| text.starts_with(start))
        || text.starts_with("EXECABORT")
        || text.starts_with("UNBLOCKED")
}

/// Runs the batch; the number of replies, or none if the link or the role was lost.
fn send(client: &mut Client, batch: &Batch) -> Option<usize> {
    let replies = client.pipeline(batch).ok()?;
    for (reply, command) in replies.iter().zip(batch) {
        if reply.is_error() {
            assert!(is_passing(reply), "{}: {reply:?}", show(command));
            return None;
        }
    }
    Some(replies.len())
}

/// Raises two registers, on whatever shards they are, and has WAIT confirm it.
fn confirm(
    client: &mut Client,
    shared: &Shared,
    number: usize,
    sequence: &mut u64,
    manners: Manners,
) -> Option<usize> {
    *sequence += 1;
    let slot = *sequence as usize % SLOTS;
    let keys = ["a", "b"].map(|part| format!("promise:{number}:{slot}:{part}"));
    let count = manners.confirmed_by.to_string();
    let batch: Vec<String> = vec![
        "SELECT 0".into(),
        format!("MSET {} {sequence} {} {sequence}", keys[0], keys[1]),
        format!("WAIT {count} 500"),
    ];
    let batch: Batch = batch.iter().map(|line| words(line)).collect();
    shared.credit.fetch_sub(200, SeqCst);
    let replies = client.pipeline(&batch).ok()?;
    for (reply, command) in replies.iter().zip(&batch) {
        if reply.is_error() {
            assert!(is_passing(reply), "{}: {reply:?}", show(command));
            return None;
        }
    }
    if matches!(replies[2], Value::Int(n) if n >= manners.confirmed_by as i64) {
        shared.confirmations.fetch_add(1, SeqCst);
        let mut confirmed = shared.confirmed.lock().expect("no reader panics with it");
        for key in keys {
            confirmed.insert(key, *sequence);
        }
    }
    Some(replies.len())
}

fn words(line: &str) -> Vec<Vec<u8>> {
    line.split(' ').map(|w| w.as_bytes().to_vec()).collect()
}

/// A few writes, some of them as one transaction.
fn mixed_batch(random: &mut Random) -> Batch {
    let count = random.below(12) + 1;
    let mut batch: Batch = (0..count).flat_map(|_| mixed_write(random)).collect();
    if random.one_in(4) {
        batch.insert(0, words("MULTI"));
        batch.push(words("EXEC"));
    }
    batch
}

/// A write to a key of its type, or a message. The dataset stays bounded.
fn mixed_write(random: &mut Random) -> Batch {
    let value = random.next();
    let mut key = |prefix: &str, count: usize| format!("{prefix}:{}", random.below(count));
    let (a, b, c) = (key("s", 3_000), key("s", 3_000), key("s", 3_000));
    let (hash, list, set, sorted) = (key("h", 200), key("l", 100), key("t", 100), key("z", 100));
    let short = key("e", 500);
    let member = random.below(200);
    let lines = match random.below(20) {
        0..=3 => vec![format!("SET {a} value-{value}")],
        4 => vec![format!("SET {a} {value} EX 100000")],
        5 => vec![format!("SET {short} {value} PX {}", 1 + random.below(400))],
        6 => vec![format!("INCRBY n:{} {member}", random.below(50))],
        7 => vec![format!("HSET {hash} f{member} {value} g {member}")],
        8 => vec![format!("HDEL {hash} f{member}")],
        9 => vec![
            format!("RPUSH {list} {value} {member}"),
            format!("LTRIM {list} -100 -1"),
        ],
        10 => vec![format!("LPOP {list}")],
        11 => vec![format!("SADD {set} {member} m{member}")],
        12 => vec![format!("SREM {set} {member}")],
        13 => vec![format!("SPOP {set}")],
        14 => vec![format!("ZADD {sorted} {member} m{}", value % 200)],
        15 => vec![format!("ZINCRBY {sorted} 1.5 m{member}")],
        16 => vec![format!("MSET {a} {value} {b} {value} {c} {member}")],
        17 => vec![format!("DEL {a} {b} {hash}")],
        18 => vec![format!("PUBLISH news:{member} {value}")],
        _ => vec![format!("PEXPIRE {a} {}", 1 + random.below(600))],
    };
    lines.iter().map(|line| words(line)).collect()
}
