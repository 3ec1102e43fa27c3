//! Frames that are no requests.

use super::assert_serving;
use crate::support::client::Client;
use crate::support::random::Random;
use crate::support::resp::{self, Value};
use crate::support::server::{Server, stand_in};
use crate::support::{pause, seed};
use std::net::Shutdown;
use std::time::Duration;

/// Bytes, and the error that ends the connection.
#[rustfmt::skip]
const FATAL: &[(&[u8], &str)] = &[
    (b"*abc\r\n", "Protocol error: invalid multibulk length"),
    (b"*2147483648\r\n", "Protocol error: invalid multibulk length"),
    (b"*9223372036854775808\r\n", "Protocol error: invalid multibulk length"),
    (b"*\r\n", "Protocol error: invalid multibulk length"),
    (b"*1 \r\n", "Protocol error: invalid multibulk length"),
    (b"*+1\r\n", "Protocol error: invalid multibulk length"),
    (b"*01\r\n", "Protocol error: invalid multibulk length"),
    (b"*1\r\nGET\r\n", "Protocol error: expected '$', got 'G'"),
    (b"*1\r\n:5\r\n", "Protocol error: expected '$', got ':'"),
    (b"*2\r\n$3\r\nGET\r\n*1\r\n", "Protocol error: expected '$', got '*'"),
    (b"*1\r\n$abc\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$536870913\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$9223372036854775807\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$99999999999999999999\r\n", "Protocol error: invalid bulk length"),
    (b"*1\r\n$\r\n", "Protocol error: invalid bulk length"),
    (b"SET \"a b\r\n", "Protocol error: unbalanced quotes in request"),
    (b"SET 'a' 'b\r\n", "Protocol error: unbalanced quotes in request"),
    (b"SET \"a\"b\r\n", "Protocol error: unbalanced quotes in request"),
];

/// Bytes that look odd and are right, and the replies to them.
#[rustfmt::skip]
const HARMLESS: &[(&[u8], &[u8])] = &[
    (b"PING\r\n", b"+PONG\r\n"),
    (b"PING\n", b"+PONG\r\n"),
    (b"\r\n\r\n\n*0\r\n*-1\r\n*-5\r\nPING\r\n", b"+PONG\r\n"),
    (b"  ping   \"a b\"  \r\n", b"$3\r\na b\r\n"),
    (b"ECHO \"\\x00\\xff\\n\\\"\"\r\n", b"$4\r\n\x00\xff\n\"\r\n"),
    (b"ECHO 'a\\'b'\r\n", b"$3\r\na'b\r\n"),
    (b"ECHO \"\"\r\n", b"$0\r\n\r\n"),
    (b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", b"$0\r\n\r\n"),
    (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
    (b"*1\r\n$0\r\n\r\n", b"-ERR unknown command '', with args beginning with: \r\n"),
    (b"*1\r\n$4\r\nA\r\nB\r\n", b"-ERR unknown command 'A  B', with args beginning with: \r\n"),
];

#[test]
fn broken_frames_get_their_error_and_lose_the_connection() {
    let mut server = Server::banyan(2, &[]);
    for (bytes, text) in FATAL {
        let mut client = server.client();
        client.send(b"*1\r\n$4\r\nPING\r\n").expect("sent");
        client.send(bytes).expect("sent");
        let answer = client.read_to_close();
        let expected = format!("+PONG\r\n-ERR {text}\r\n");
        assert_eq!(
            String::from_utf8_lossy(&answer),
            expected,
            "answer to {}",
            bytes.escape_ascii()
        );
    }
    assert_serving(&mut server);
}

#[test]
fn odd_frames_that_are_right_are_answered() {
    let server = Server::banyan(2, &[]);
    for (bytes, expected) in HARMLESS {
        let mut client = server.client();
        client.send(bytes).expect("sent");
        client.send(b"*1\r\n$4\r\nQUIT\r\n").expect("sent");
        let answer = client.read_to_close();
        let expected = [expected, b"+OK\r\n".as_slice()].concat();
        assert_eq!(answer, expected, "answer to {}", bytes.escape_ascii());
    }
}

#[test]
fn lines_that_do_not_end_are_cut_at_their_limit() {
    let mut server = Server::banyan(2, &[]);
    let long = vec![b'x'; 70_000];
    let digits = [b"*".as_slice(), &vec![b'1'; 70_000]].concat();
    let bulk = [b"*1\r\n$".as_slice(), &vec![b'1'; 70_000]].concat();
    for (bytes, text) in [
        (&long, "Protocol error: too big inline request"),
        (&digits, "Protocol error: too big mbulk count string"),
        (&bulk, "Protocol error: too big bulk count string"),
    ] {
        let mut client = server.client();
        client.send(bytes).expect("sent");
        let answer = client.read().expect("an error before the end");
        assert_eq!(answer, Value::error(&format!("ERR {text}")));
        assert!(client.closed_by_server());
    }
    assert_serving(&mut server);
}

#[test]
fn an_error_in_a_pipeline_comes_after_the_replies_before_it() {
    let mut server = Server::banyan(7, &[]);
    let mut client = server.client();
    let mut bytes = Vec::new();
    for i in 0..200 {
        bytes.extend_from_slice(&resp::request(&["SET", &format!("k{i}"), "v"]));
    }
    bytes.extend_from_slice(b"*1\r\n$x\r\n");
    bytes.extend_from_slice(&resp::request(&["SET", "never", "v"]));
    client.send(&bytes).expect("sent");
    for _ in 0..200 {
        assert_eq!(client.read().expect("a reply"), Value::ok());
    }
    let error = client.read().expect("the error");
    assert_eq!(
        error,
        Value::error("ERR Protocol error: invalid bulk length")
    );
    assert!(client.closed_by_server());
    assert_eq!(server.client().call("EXISTS never"), Value::Int(0));
    assert_serving(&mut server);
}

#[test]
fn a_pipeline_may_be_split_at_every_byte() {
    let server = Server::banyan(7, &[]);
    let mut bytes = Vec::new();
    let mut expected = Vec::new();
    for (request, reply) in [
        (resp::request(&["SET", "a", "1\r\n2"]), "+OK\r\n"),
        (
            resp::request(&["MSET", "b", "2", "c", "", "d", "4"]),
            "+OK\r\n",
        ),
        (b"\r\nGET a\r\n".to_vec(), "$4\r\n1\r\n2\r\n"),
        (
            resp::request(&["MGET", "b", "c", "none"]),
            "*3\r\n$1\r\n2\r\n$0\r\n\r\n$-1\r\n",
        ),
        (resp::request(&["MULTI"]), "+OK\r\n"),
        (resp::request(&["DEL", "a", "b"]), "+QUEUED\r\n"),
        (resp::request(&["EXEC"]), "*1\r\n:2\r\n"),
        (
            b"*0\r\n*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n".to_vec(),
            "$2\r\n\r\n\r\n",
        ),
    ] {
        bytes.extend_from_slice(&request);
        expected.extend_from_slice(reply.as_bytes());
    }
    for split in 1..bytes.len() {
        let mut client = server.client();
        client.send(&bytes[..split]).expect("sent");
        // Long enough, most times, that the server sees the first part alone.
        pause(1);
        client.send(&bytes[split..]).expect("sent");
        client.send(&resp::request(&["QUIT"])).expect("sent");
        let answer = client.read_to_close();
        let wanted = [expected.as_slice(), b"+OK\r\n"].concat();
        assert_eq!(answer, wanted, "split at byte {split}");
    }
    // Every byte by itself.
    let mut client = server.client();
    for byte in &bytes {
        client.send(&[*byte]).expect("sent");
    }
    client.send(&resp::request(&["QUIT"])).expect("sent");
    assert_eq!(
        client.read_to_close(),
        [expected.as_slice(), b"+OK\r\n"].concat()
    );
}

#[test]
fn garbage_never_ends_the_server() {
    let mut server = Server::banyan(2, &[]);
    let mut random = Random::new(seed());
    let valid = resp::request(&["MSET", "a", "1", "b", "2", "c", "3"]);
    for round in 0..3_000 {
        let Ok(mut client) = Client::try_connect(server.port) else {
            panic!("no connection")
        };
        let mut bytes = match round % 3 {
            0 => {
                let len = random.below(200) + 1;
                random.bytes(len)
            }
            _ => valid.repeat(1 + random.below(3)),
        };
        for _ in 0..random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = *b"*$\r\n0123456789-:\0\xff"
                .get(random.below(18))
                .unwrap_or(&b'x');
        }
        // The server may close first; both are fine.
        let _ = client.send(&bytes);
        if random.one_in(2) {
            client.shutdown(Shutdown::Write);
            client.set_timeout(Duration::from_secs(20));
            assert!(
                client.closed_by_server(),
                "a half-closed connection must end"
            );
        }
    }
    assert_serving(&mut server);
}

#[test]
fn before_authentication_the_limits_are_small() {
    let mut server = Server::banyan(2, &["--requirepass", "secret"]);
    for (bytes, text) in [
        (
            b"*11\r\n".as_slice(),
            "Protocol error: unauthenticated multibulk length",
        ),
        (
            b"*1\r\n$16385\r\n",
            "Protocol error: unauthenticated bulk length",
        ),
    ] {
        let mut client = server.client();
        client.send(bytes).expect("sent");
        assert_eq!(
            client.read().expect("an error"),
            Value::error(&format!("ERR {text}"))
        );
        assert!(client.closed_by_server());
    }
    let mut client = server.client();
    let refused = Value::error("NOAUTH Authentication required.");
    assert_eq!(client.call("GET a"), refused);
    assert_eq!(client.call("NOSUCH"), refused_unknown());
    client.must("AUTH secret");
    let long = "x".repeat(20_000);
    assert_eq!(
        client.run(&["SET", "a", &long]),
        Value::ok(),
        "authenticated, the limits are wide"
    );
    assert!(server.running());
}

/// Redis looks a command up before it asks for the password.
fn refused_unknown() -> Value {
    Value::error("ERR unknown command 'NOSUCH', with args beginning with: ")
}

#[test]
fn more_than_a_mebi_of_arguments_is_refused() {
    let mut server = Server::banyan(2, &[]);
    if stand_in() {
        // Redis itself has given that limit up.
        return;
    }
    let mut client = server.client();
    client.send(b"*1048577\r\n").expect("sent");
    let text = "ERR Protocol error: invalid multibulk length";
    assert_eq!(client.read().expect("an error"), Value::error(text));
    assert!(client.closed_by_server());
    let mut args = vec!["DEL".to_owned()];
    args.extend((0..1_048_575).map(|i| format!("k{i}")));
    assert_eq!(
        server.client().run(&args),
        Value::Int(0),
        "the limit itself is allowed"
    );
    assert_serving(&mut server);
}
