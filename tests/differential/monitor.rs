//! What MONITOR shows on both servers, for the same random commands.

use super::generate::{Generator, Step};
use super::run::Pair;
use crate::support::client::Client;
use crate::support::resp;
use crate::support::server::Server;
use crate::support::{PATIENCE, pause};
use std::time::Instant;

/// The next line as it is, but for the time and for who sent it, which is a number among `senders`.
fn line(monitor: &mut Client, senders: &[String]) -> String {
    let value = monitor.read().expect("the monitor is shown as much");
    let text = value.text();
    let (time, rest) = text.split_once(" [").expect("a line has a sender");
    let (seconds, micros) = time.split_once('.').expect("a time has a point");
    assert!(micros.len() == 6 && seconds.len() == 10, "{text}");
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    assert!(digits(seconds) && digits(micros), "{text}");
    let (sender, words) = rest.split_once("] ").expect("a sender ends");
    let (db, address) = sender.split_once(' ').expect("a sender has a database");
    let sender = senders.iter().position(|known| known == address);
    format!("[{db} {sender:?}] {words}")
}

/// What a monitor of the reference is shown until the fence.
fn until_fence(fence: &mut Client, monitor: &mut Client, senders: &[String]) -> Vec<String> {
    fence.run(&["ECHO", "fence"]);
    let mut lines = Vec::new();
    loop {
        let line = line(monitor, senders);
        if line.ends_with("\"ECHO\" \"fence\"") {
            return lines;
        }
        lines.push(line);
    }
}

/// Runs random commands; the monitors of both must be shown the same, in the same order.
pub fn compare_random(shards: usize, seed: u64, commands: usize) {
    let mut pair = Pair::start(shards, &[]);
    let mut fence = pair.reference.client();
    let (mut reference, mut subject) = (pair.reference.client(), pair.subject.client());
    let senders = pair.addresses();
    for monitor in [&mut reference, &mut subject] {
        monitor.must("MONITOR");
    }
    let mut generator = Generator::new(seed);
    let (mut sent, mut shown) = (0, 0);
    while sent < commands {
        let step = generator.step();
        let Step::Batch {
            commands: batch, ..
        } = &step
        else {
            continue;
        };
        sent += batch.len();
        if let Err(text) = pair.step(&step) {
            panic!("BANYAN_SEED={seed}: {text}");
        }
        let wanted = until_fence(&mut fence, &mut reference, &senders.0);
        shown += wanted.len();
        for (at, want) in wanted.iter().enumerate() {
            let got = line(&mut subject, &senders.1);
            if got != *want {
                let batch: Vec<String> = batch.iter().map(|c| resp::show(&c.args)).collect();
                panic!(
                    "BANYAN_SEED={seed}\n{}\nafter {:?}\nreference {want}\n   banyan {got}",
                    batch.join("\n"),
                    &wanted[at.saturating_sub(3)..at],
                );
            }
        }
    }
    println!("{shown} lines about {sent} commands compared");
    assert!(shown * 2 > sent, "too little is shown to mean anything");
    // Nothing more has come than was compared.
    pair.subject.client().run(&["ECHO", "end"]);
    assert!(line(&mut subject, &senders.1).ends_with("\"ECHO\" \"end\""));
}

/// Commands of two connections, the second of lines that begin with `@`; one line is one pipeline,
/// its commands divided by `;`. What waits (`~`) is answered later.
const SCRIPT: &[&str] = &[
    "GET k",
    "~BLPOP l 0",
    "@RPUSH l x y",
    "MULTI; SET k 1; SELECT 1; SET k 2; BLPOP l 0; exec",
    "SELECT 0",
    "WATCH k",
    "@SET k 5",
    "MULTI; SET k 4; EXEC",
    "MULTI; GET; EXEC",
    "EXEC",
    "EXEC now",
    "MULTI; DISCARD",
    "BLPOP q 0.01",
    "~BLPOP q1 q2 q3 0",
    "@MULTI; RPUSH q2 x; LPOP q2; RPUSH q2 y; EXEC",
    "~BLMOVE z1 z2 LEFT RIGHT 0",
    "@RPUSH z1 q",
    "~XREAD BLOCK 0 STREAMS s $",
    "@XADD s 1-1 a b",
    "CLIENT SETNAME x",
    "CONFIG GET x",
    "INFO none",
    "PUBLISH a b",
    "WAIT 0 0",
    "AUTH x",
    "AUTH x y",
    "hello 3 foo",
    "HELLO 2 AUTH default pw SETNAME x",
    "HELLO 2 SETNAME auth AUTH default pw",
    "HELLO 2 SETNAME auth",
    "NOSUCH x",
    "SLOWLOG LEN",
    "COMMAND COUNT",
    "PING; ECHO x; SELECT 1; GET k; SELECT 0; GET k",
    "SUBSCRIBE c; PSUBSCRIBE d; UNSUBSCRIBE; PUNSUBSCRIBE; PING",
    "RESET",
    "TIME; ROLE; LASTSAVE; KEYS *; DBSIZE; SWAPDB 0 1; SWAPDB 0 1; RANDOMKEY",
    "FLUSHALL nonsense",
    "OBJECT ENCODING k; OBJECT HELP; OBJECT; MEMORY USAGE k; LATENCY RESET",
    "MULTI; CLIENT ID; AUTH x; INFO none; CONFIG GET none; LOLWUT; EXEC",
    "MSET a 1 b 2 c 3 d 4; MGET a b c d; DEL a b c d",
    "FLUSHALL",
    "QUIT",
];

fn until_blocked(client: &mut Client) {
    let deadline = Instant::now() + PATIENCE;
    while client.info("clients", "blocked_clients").as_deref() != Some("1") {
        assert!(Instant::now() < deadline, "nobody waits");
        pause(5);
    }
}

/// Two connections that run the script, one that monitors it, and one that looks on.
struct Stage {
    clients: [Client; 2],
    senders: Vec<String>,
    monitor: Client,
    onlooker: Client,
    /// The first connection has not been answered yet.
    waits: bool,
}

impl Stage {
    fn new(server: &Server) -> Stage {
        let clients = [server.client(), server.client()];
        let addresses = clients.iter().map(|client| client.stream().local_addr());
        let addresses = addresses.map(|address| address.expect("it is connected").to_string());
        let senders = addresses.collect();
        let (mut monitor, onlooker) = (server.client(), server.client());
        monitor.must("MONITOR");
        Stage {
            clients,
            senders,
            monitor,
            onlooker,
            waits: false,
        }
    }

    fn play(&mut self, step: &str) {
        let (who, text) = match step.strip_prefix('@') {
            Some(text) => (1, text),
            None => (0, step),
        };
        let waits = text.starts_with('~');
        let commands: Vec<Vec<&str>> = (text.trim_start_matches('~').split("; "))
            .map(|command| command.split(' ').collect())
            .collect();
        let bytes: Vec<u8> = commands.iter().flat_map(|c| resp::request(c)).collect();
        self.clients[who].send(&bytes).expect("it reads");
        if waits {
            until_blocked(&mut self.onlooker);
        } else {
            for _ in &commands {
                self.clients[who].read().expect("it answers");
            }
        }
        if std::mem::replace(&mut self.waits, waits) {
            self.clients[0].read().expect("who waited is answered");
        }
    }

    /// The next line of one of the two.
    fn line(&mut self) -> String {
        loop {
            let line = line(&mut self.monitor, &self.senders);
            if !line.contains(" None] ") {
                return line;
            }
        }
    }
}

/// Runs a script on both; they must show the same, in the same order.
pub fn compare_script(shards: usize) {
    let pair = Pair::start(shards, &[]);
    let mut reference = Stage::new(&pair.reference);
    let mut subject = Stage::new(&pair.subject);
    for step in SCRIPT {
        reference.play(step);
        subject.play(step);
        let Stage {
            onlooker,
            monitor,
            senders,
            ..
        } = &mut reference;
        let mut wanted = until_fence(onlooker, monitor, senders);
        wanted.retain(|line| !line.contains(" None] "));
        for want in &wanted {
            assert_eq!(subject.line(), *want, "{step}");
        }
    }
}
