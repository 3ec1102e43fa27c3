//! Where directives come from, and what becomes of wrong ones.

use super::{Process, directory, refused, said};
use crate::support::client::Client;
use crate::support::resp::Value;
use std::fs;
use std::net::{TcpStream, UdpSocket};

#[test]
fn the_file_then_standard_input_then_flags_and_the_last_counts() {
    let dir = directory();
    let file = "# a comment\n\nmaxclients 11\ntimeout 11\ndatabases 11\n";
    fs::write(dir.path().join("redis.conf"), file).expect("written");
    let input = b"timeout 22\ndatabases 22\n";
    let args = ["redis.conf", "--databases", "33", "--shards", "1", "-"];
    let process = Process::prepared(dir.path(), &args, input, |_| {});
    assert_eq!(process.value("maxclients"), "11");
    assert_eq!(process.value("timeout"), "22");
    assert_eq!(process.value("databases"), "33");
}

#[test]
fn a_rewritten_file_keeps_what_was_set() {
    let dir = directory();
    let path = dir.path().join("redis.conf");
    fs::write(&path, "# mine\nmaxclients 11\n").expect("written");
    let process = Process::start(dir.path(), &["redis.conf", "--shards", "2", "--dir", "/"]);
    let mut client = process.client().expect("it serves");
    client.must("CONFIG SET maxclients 12 timeout 7");
    client.must("CONFIG REWRITE");
    let text = fs::read_to_string(&path).expect("the file is still there");
    assert!(text.starts_with("# mine\nmaxclients 12\n"), "{text}");
    assert!(text.contains("\ntimeout 7\n"), "{text}");
    drop(process);
    let process = Process::start(dir.path(), &["redis.conf"]);
    assert_eq!(process.value("timeout"), "7");
}

#[test]
fn a_number_of_shards_that_nobody_gave_is_not_written_down() {
    // On a machine with more cores the same file must give more shards.
    let dir = directory();
    let path = dir.path().join("redis.conf");
    fs::write(&path, "maxclients 11\n").expect("written");
    let process = Process::start(dir.path(), &["redis.conf"]);
    assert_eq!(process.value("shards"), "0");
    let mut client = process.client().expect("it serves");
    let shards: u32 = client
        .info("server", "shards")
        .and_then(|n| n.parse().ok())
        .expect("INFO says how many there are");
    assert!(shards > 0);
    client.must("CONFIG REWRITE");
    let text = fs::read_to_string(&path).expect("the file is still there");
    assert!(!text.contains("shards"), "{text}");
}

#[test]
fn a_wrong_line_is_named_with_its_file_and_number() {
    let dir = directory();
    let path = dir.path().join("bad.conf");
    for (text, line, reason) in [
        ("port 1\n\nnosuch 1\n", "line 3", "Bad directive"),
        ("maxclients many\n", "line 1", "integer"),
        ("# x\nsave 900 1\n", "line 2", "not supported yet"),
        ("appendonly yes\n", "line 1", "not supported yet"),
        ("logfile \"x\n", "line 1", "Unbalanced quotes"),
    ] {
        fs::write(&path, text).expect("written");
        let said = refused(dir.path(), &["bad.conf"]);
        assert!(
            said.contains(&format!("{line} of bad.conf")),
            "{text}: {said}"
        );
        assert!(said.contains(reason), "{text}: {said}");
    }
    let said = refused(dir.path(), &["--nosuch", "1"]);
    assert!(
        said.contains("command line") && said.contains("--nosuch"),
        "{said}"
    );
    assert!(refused(dir.path(), &["none.conf"]).contains("none.conf"));
}

#[test]
fn directives_without_effect_are_reported_once() {
    let dir = directory();
    fs::write(
        dir.path().join("redis.conf"),
        "hz 10\nio-threads 4\nhz 20\n",
    )
    .expect("written");
    let _process = Process::start(dir.path(), &["redis.conf", "--activerehashing", "no"]);
    let said = said(dir.path());
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("no effect"))
        .collect();
    assert_eq!(lines.len(), 1, "{said}");
    assert!(
        lines[0].ends_with("hz, io-threads, activerehashing"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_opened_or_used_is_one_line() {
    let dir = directory();
    for (args, word) in [
        (["--dir", "/nonexistent"], "/nonexistent"),
        (["--logfile", "/nonexistent/log"], "log file"),
        (
            ["--unixsocket", "/nonexistent/socket"],
            "/nonexistent/socket",
        ),
        (["--bind", "no.such.name.invalid"], "no.such.name.invalid"),
        (["--bind", "192.0.2.1"], "192.0.2.1"),
        (["--port", "0"], "not listen anywhere"),
        (["--shard-cpus", "1000"], "CPU 1000"),
    ] {
        let said = refused(dir.path(), &args);
        assert_eq!(said.trim_end().lines().count(), 1, "{args:?}: {said}");
        assert!(said.contains(word), "{args:?}: {said}");
    }
}

#[test]
fn every_bound_address_serves_and_missing_optional_ones_are_left_out() {
    let dir = directory();
    let args = ["--bind", "127.0.0.1", "-::1", "-192.0.2.1", "--shards", "3"];
    let process = Process::start(dir.path(), &args);
    assert_eq!(process.value("bind"), "127.0.0.1 -::1 -192.0.2.1");
    // A host without IPv6 must serve all the same.
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let mut stream = TcpStream::connect(("::1", process.port.number)).expect("IPv6 serves");
        std::io::Write::write_all(&mut stream, b"CLIENT INFO\r\n").expect("sent");
        let mut reply = [0; 256];
        let len = std::io::Read::read(&mut stream, &mut reply).expect("a reply");
        let text = String::from_utf8_lossy(&reply[..len]).into_owned();
        assert!(text.contains("addr=[::1]:"), "{text}");
    }
}

#[test]
fn protected_mode_turns_away_all_but_local_clients() {
    let dir = directory();
    let Some(address) = own_address() else {
        return; // a host with nothing but its loopback interface has nobody to turn away
    };
    let process = Process::start(dir.path(), &["--bind", "*", "--shards", "1"]);
    let connect = || TcpStream::connect((address, process.port.number)).expect("it listens");
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut connect(), &mut answer).expect("an answer and the end");
    assert!(answer.starts_with("-DENIED "), "{answer}");
    let mut client = process.client().expect("local clients are served");
    client.must("CONFIG SET protected-mode no");
    let mut stream = connect();
    std::io::Write::write_all(&mut stream, b"PING\r\n").expect("sent");
    let mut reply = [0; 7];
    std::io::Read::read_exact(&mut stream, &mut reply).expect("a reply");
    assert_eq!(&reply, b"+PONG\r\n");
}

/// An address of this host on a real interface. Nothing is sent.
fn own_address() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback()).then_some(address)
}

#[test]
fn a_password_is_asked_for_on_every_shard() {
    let dir = directory();
    let process = Process::start(dir.path(), &["--requirepass", "sesame", "--shards", "3"]);
    for _ in 0..6 {
        let mut client = Client::connect(process.port.number);
        let noauth = Value::error("NOAUTH Authentication required.");
        assert_eq!(client.call("GET a"), noauth);
        let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
        assert_eq!(client.call("AUTH nonsense"), Value::error(wrong));
        assert_eq!(client.call("GET a"), noauth);
        client.must("AUTH sesame");
        client.must("SET a 1");
    }
}
