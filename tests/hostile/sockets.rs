//! Connections that are too many, half closed, idle, or gone.

use super::assert_serving;
use crate::support::client::Client;
use crate::support::resp::{self, Value};
use crate::support::server::{Server, stand_in};
use crate::support::{pause, wait_until};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[test]
fn connections_beyond_maxclients_are_told_so_and_closed() {
    let mut server = Server::banyan(2, &["--maxclients", "50"]);
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..50 {
        let mut client = server.client();
        assert_eq!(client.call("PING"), Value::Simple(b"PONG".to_vec()));
        clients.push(client);
    }
    for _ in 0..200 {
        let mut extra = server.client();
        let answer = extra.read_to_close();
        let text = "-ERR max number of clients reached\r\n";
        assert_eq!(String::from_utf8_lossy(&answer), text);
    }
    for client in &mut clients {
        assert_eq!(client.call("PING"), Value::Simple(b"PONG".to_vec()));
    }
    let rejected = clients[0].info("stats", "rejected_connections");
    assert_eq!(rejected.as_deref(), Some("200"));
    drop(clients);
    wait_until("a place to be free again", || {
        let reply = server.client().try_run(&["PING"]);
        reply.is_ok_and(|r| !r.is_error())
    });
    assert_serving(&mut server);
}

#[test]
fn a_flood_of_connections_that_leave_at_once_is_survived() {
    let mut server = Server::banyan(2, &[]);
    for round in 0..4_000 {
        let mut client = server.client();
        match round % 4 {
            0 => drop(client),
            1 => client.shutdown(Shutdown::Both),
            2 => {
                client.send(b"*3\r\n$3\r\nSET\r\n$1\r\na").expect("sent");
            }
            _ => {
                // Leaves without reading its replies: the kernel answers with a reset.
                client
                    .send(&resp::request(&["PING"]).repeat(10))
                    .expect("sent");
            }
        }
    }
    let mut client = server.client();
    wait_until("all of them to be forgotten", || {
        client.info("clients", "connected_clients").as_deref() == Some("1")
    });
    assert_serving(&mut server);
}

#[test]
fn a_half_closed_connection_has_run_all_that_it_sent() {
    let mut server = Server::banyan(7, &[]);
    let mut client = server.client();
    let mut bytes = Vec::new();
    for i in 0..100 {
        bytes.extend_from_slice(&resp::request(&["INCR", &format!("n{}", i % 7)]));
    }
    client.send(&bytes).expect("sent");
    client.shutdown(Shutdown::Write);
    assert!(client.closed_by_server());
    let total: i64 = (0..7)
        .map(|i| {
            let value = server.client().call(&format!("GET n{i}")).text();
            value.parse::<i64>().expect("a counter")
        })
        .sum();
    assert_eq!(total, 100, "all commands sent before the half-close ran");
    assert_serving(&mut server);
}

#[test]
fn idle_connections_are_closed_and_busy_ones_kept() {
    let server = Server::banyan(2, &["--timeout", "2"]);
    let mut idle = server.client();
    idle.call("PING");
    let mut silent = server.client();
    let mut busy = server.client();
    let mut half = server.client();
    half.send(b"*2\r\n$3\r\nGET\r\n").expect("sent");
    for _ in 0..40 {
        busy.call("PING");
        pause(100);
    }
    for client in [&mut idle, &mut silent, &mut half] {
        assert!(client.closed_by_server());
    }
    assert_eq!(busy.call("PING"), Value::Simple(b"PONG".to_vec()));
}

#[test]
fn a_killed_connection_is_closed_and_its_watch_forgotten() {
    let mut server = Server::banyan(7, &[]);
    let mut victim = server.client();
    let id = victim.call("CLIENT ID").int();
    victim.must("WATCH a b c");
    victim.must("MULTI");
    victim.call("SET a 1");
    let mut client = server.client();
    assert_eq!(client.call(&format!("CLIENT KILL ID {id}")), Value::Int(1));
    assert!(victim.closed_by_server());
    client.must("SET a 2");
    assert_eq!(client.call("GET a"), Value::bulk("2"));
    assert_serving(&mut server);
}

#[test]
fn connections_lost_in_the_middle_of_a_transaction_over_shards_hold_no_lock() {
    let mut server = Server::banyan(7, &[]);
    for round in 0..500 {
        let mut client = server.client();
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&resp::request(&["WATCH", "a", "b", "c", "d", "e"]));
        bytes.extend_from_slice(&resp::request(&["MULTI"]));
        bytes.extend_from_slice(&resp::request(&[
            "MSET", "a", "1", "b", "2", "c", "3", "d", "4",
        ]));
        bytes.extend_from_slice(&resp::request(&["EXEC"]));
        bytes.extend_from_slice(&resp::request(&["MSET", "e", "1", "f", "2", "g", "3"]));
        let sent = bytes.len() - round % 60;
        client.send(&bytes[..sent]).expect("sent");
        drop(client);
    }
    let mut client = server.client();
    client.set_timeout(Duration::from_secs(30));
    client.must("MSET a 1 b 2 c 3 d 4 e 5 f 6 g 7");
    client.must("FLUSHALL");
    assert_serving(&mut server);
}

#[test]
fn connections_are_spread_evenly_over_the_shards() {
    let server = Server::banyan(4, &[]);
    if stand_in() {
        return;
    }
    let mut clients: Vec<Client> = (0..63).map(|_| server.client()).collect();
    // A connection counts where it was handed to as soon as it has been answered there.
    for client in &mut clients {
        assert_eq!(client.call("PING").text(), "PONG");
    }
    let mut client = server.client();
    // One line a shard: `shard0:clients=16,…`
    let text = client.call("INFO shards").text();
    let counts: Vec<u64> = text
        .lines()
        .filter(|l| l.starts_with("shard") && l.contains("clients="))
        .filter_map(|l| {
            l.split("clients=")
                .nth(1)?
                .split(',')
                .next()?
                .trim()
                .parse()
                .ok()
        })
        .collect();
    assert_eq!(
        counts.len(),
        server.shards,
        "INFO shards names the clients of each: {text}"
    );
    assert_eq!(counts.iter().sum::<u64>(), 64);
    let mean = 64 / server.shards as u64;
    assert!(counts.iter().all(|&n| n <= mean + 1), "{counts:?}");
    drop(clients);
}

#[test]
fn the_unix_socket_serves_with_the_permissions_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("socket");
    let text = path.to_str().expect("a plain path");
    let mut server = Server::banyan(2, &["--unixsocket", text, "--unixsocketperm", "700"]);
    let mode = std::fs::metadata(&path)
        .expect("the socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    let mut stream = UnixStream::connect(&path).expect("the socket listens");
    std::io::Write::write_all(&mut stream, b"PING\r\n").expect("sent");
    let mut reply = [0; 7];
    std::io::Read::read_exact(&mut stream, &mut reply).expect("a reply");
    assert_eq!(&reply, b"+PONG\r\n");
    assert_serving(&mut server);
}

#[test]
fn a_taken_port_is_one_clear_line_and_exit_code_one() {
    let server = Server::banyan(1, &[]);
    let mut command = std::process::Command::new(crate::support::server::banyan_binary());
    command.args([
        "--port",
        &server.port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ]);
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).to_lowercase();
    assert!(said.contains("in use"), "{said}");
}

#[test]
fn sigterm_ends_the_server_cleanly() {
    let mut server = Server::banyan(7, &[]);
    let mut client = server.client();
    client.must("SET a 1");
    assert_eq!(server.terminate(), Some(0));
    assert!(client.closed_by_server());
}
