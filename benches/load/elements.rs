//! Resident memory per element of each data type, in its small and its large form.

use std::io;
use std::thread;
use std::time::Duration;

use crate::Bench;
use crate::report::{Reading, Results};
use crate::server::{Kind, Options, Server};

const KINDS: [Kind; 3] = [Kind::Banyan, Kind::Redis, Kind::Valkey];
/// A small value has this many elements: all types stay in their compact form.
const SMALL_ELEMENTS: u64 = 20;
const SMALL_VALUES: u64 = 100_000;
const LARGE_ELEMENTS: u64 = 2_000_000;
/// Elements given in one command.
const BATCH: u64 = 500;

/// How elements of a type are added.
struct Type {
    small: &'static str,
    large: &'static str,
    /// Words before the elements; the key goes behind the first.
    command: &'static [&'static str],
    /// The words of one element.
    element: fn(u64) -> Vec<String>,
    /// Elements may be given together in one command.
    together: bool,
}

const TYPES: &[Type] = &[
    Type {
        small: "mem_list_small",
        large: "mem_list_large",
        command: &["RPUSH"],
        element: |n| vec![format!("element:{n:08}")],
        together: true,
    },
    Type {
        small: "mem_set_small",
        large: "mem_set_large",
        command: &["SADD"],
        element: |n| vec![format!("element:{n:08}")],
        together: true,
    },
    Type {
        small: "mem_intset_small",
        large: "mem_intset_large",
        command: &["SADD"],
        element: |n| vec![(n * 3).to_string()],
        together: true,
    },
    Type {
        small: "mem_hash_small",
        large: "mem_hash_large",
        command: &["HSET"],
        element: |n| vec![format!("field:{n:08}"), format!("value:{n:08}")],
        together: true,
    },
    Type {
        small: "mem_zset_small",
        large: "mem_zset_large",
        command: &["ZADD"],
        element: |n| vec![(n * 7 % 1_000_003).to_string(), format!("element:{n:08}")],
        together: true,
    },
    Type {
        small: "mem_stream_small",
        large: "mem_stream_large",
        command: &["XADD"],
        element: |n| {
            vec![
                format!("{}-0", n + 1),
                "field".to_owned(),
                format!("value:{n:08}"),
            ]
        },
        together: false,
    },
];

/// Each form on a server of its own: what it holds, less what it held when it was empty.
pub fn memory(bench: &Bench, results: &mut Results) {
    for kind in bench.installed_kinds(&KINDS) {
        for of in TYPES {
            let (values, large) = match bench.quick {
                true => (SMALL_VALUES / 5, LARGE_ELEMENTS / 5),
                false => (SMALL_VALUES, LARGE_ELEMENTS),
            };
            if bench.wants(of.small) {
                results.add(
                    of.small,
                    kind,
                    weigh(bench, kind, of, values, SMALL_ELEMENTS),
                );
            }
            if bench.wants(of.large) {
                results.add(of.large, kind, weigh(bench, kind, of, 1, large));
            }
        }
    }
}

fn weigh(bench: &Bench, kind: Kind, of: &Type, values: u64, elements: u64) -> io::Result<Reading> {
    let server = Server::start(&bench.installed, kind, &Options::on(&bench.server_cpu))?;
    warm_up(&server)?;
    let empty = server.resident()?;
    fill(&server, of, values, elements)?;
    // Incremental rehashing ends.
    thread::sleep(Duration::from_secs(1));
    let bytes = server.resident()?.saturating_sub(empty);
    let note = match values {
        1 => format!("one of {elements}"),
        _ => format!("{values} of {elements}"),
    };
    Ok(Reading {
        note,
        ..Reading::of(bytes as f64 / (values * elements) as f64)
    })
}

/// Has the server touch the buffers that the load needs: they are no part of what it holds.
fn warm_up(server: &Server) -> io::Result<()> {
    let payload = vec![b'x'; 16 * 1024];
    let mut client = server.client()?;
    for _ in 0..64 {
        for _ in 0..64 {
            client.push(&[b"ECHO", &payload]);
        }
        client.flush()?;
        client.skip_replies(64)?;
    }
    Ok(())
}

fn fill(server: &Server, of: &Type, values: u64, elements: u64) -> io::Result<()> {
    /// Commands in flight.
    const AWAITED_MAX: usize = 64;
    let mut client = server.client()?;
    let mut awaited = 0;
    let batch = if of.together { BATCH } else { 1 };
    for value in 0..values {
        let key = format!("key:{value:012}");
        let mut next = 0;
        while next < elements {
            let end = (next + batch).min(elements);
            let words: Vec<String> = (next..end).flat_map(|n| (of.element)(n)).collect();
            let mut arguments: Vec<&[u8]> = of.command.iter().map(|word| word.as_bytes()).collect();
            arguments.push(key.as_bytes());
            arguments.extend(words.iter().map(String::as_bytes));
            client.push(&arguments);
            awaited += 1;
            if awaited == AWAITED_MAX {
                client.flush()?;
                client.skip_replies(std::mem::take(&mut awaited))?;
            }
            next = end;
        }
    }
    client.flush()?;
    client.skip_replies(awaited)
}
