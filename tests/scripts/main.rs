//! The scripts that people run: `scripts/tree`.

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use support::server::banyan_binary;
use support::{wait_for, wait_until};

fn script() -> Command {
    let mut command = Command::new("python3");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    command.arg(root.join("scripts/tree"));
    // Standard output is a file here, so every refresh must come out at once as lines.
    command.env("BANYAN_BIN", banyan_binary());
    command
}

/// A tree under way. Ended when dropped; what it has printed is shown if the test is failing then.
struct Tree {
    child: Child,
    output: PathBuf,
}

impl Tree {
    fn start(args: &[&str], dir: &Path) -> Tree {
        let output = dir.join("output");
        let file = File::create(&output).expect("a file of our own");
        let child = script()
            .args(args)
            // A killed script cannot remove its own directory.
            .env("TMPDIR", dir)
            .stdin(Stdio::null())
            .stderr(file.try_clone().expect("a second handle"))
            .stdout(file)
            .spawn();
        let child = child.expect("python3 runs");
        Tree { child, output }
    }

    /// The lines of the last whole table.
    fn table(&self, nodes: usize) -> Vec<String> {
        let text = fs::read_to_string(&self.output).expect("its output");
        let lines: Vec<&str> = text.lines().collect();
        let heads = lines.iter().enumerate();
        let heads = heads.filter(|(_, line)| line.starts_with("node "));
        let whole = heads.map(|(at, _)| &lines[at + 1..]);
        let mut whole = whole.filter(|rows| rows.len() >= nodes);
        let last = whole.next_back().unwrap_or(&[]);
        last.iter()
            .take(nodes)
            .map(|row| (*row).to_owned())
            .collect()
    }

    /// Waits until all nodes are shown with their links up; gives the rows.
    fn await_links(&mut self, nodes: usize) -> Vec<String> {
        wait_for(
            "all nodes of the tree to be shown with their links up",
            || {
                assert!(
                    matches!(self.child.try_wait(), Ok(None)),
                    "the script ended"
                );
                let rows = self.table(nodes);
                let linked = rows.iter().filter(|row| words(row)[3] == "up").count();
                (rows.len() == nodes && linked == nodes - 1).then_some(rows)
            },
        )
    }

    /// Sends a signal and waits for the end; gives the exit code.
    fn signal(&mut self, name: &str) -> Option<i32> {
        let status = Command::new("kill")
            .args([name, &self.child.id().to_string()])
            .status();
        assert!(status.is_ok_and(|s| s.success()), "kill {name}");
        wait_for("the script to end", || self.child.try_wait().ok()?).code()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Its servers end with it. Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(&self.output).unwrap_or_default());
        }
    }
}

fn words(row: &str) -> Vec<&str> {
    row.split_whitespace().collect()
}

fn ports(rows: &[String]) -> Vec<u16> {
    let port = |row: &String| words(row)[1].parse().expect("a port");
    rows.iter().map(port).collect()
}

fn await_ends(ports: &[u16]) {
    wait_until("all servers of the tree to end", || {
        ports
            .iter()
            .all(|port| TcpStream::connect(("127.0.0.1", *port)).is_err())
    });
}

fn dir() -> tempfile::TempDir {
    let dir = tempfile::Builder::new()
        .prefix("banyan-tree-test-")
        .tempdir();
    dir.expect("a temporary directory")
}

/// Python's own parser says whether this is XML, and how many of each element it has.
fn elements(picture: &Path, name: &str) -> usize {
    let count = "import sys, xml.etree.ElementTree as tree\n\
        print(len(tree.parse(sys.argv[1]).findall('.//{*}' + sys.argv[2])))";
    let output = Command::new("python3")
        .args(["-c", count])
        .arg(picture)
        .arg(name)
        .output();
    let output = output.expect("python3 runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", picture.display());
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("a number")
}

#[test]
fn a_tree_shows_all_its_servers_draws_them_and_ends_them() {
    const NODES: usize = 7;
    let dir = dir();
    let picture = dir.path().join("tree.svg");
    let shown = picture.to_str().expect("a plain path");
    let args = ["2", "2", "--load", "--seconds", "120", "--picture", shown];
    let mut tree = Tree::start(&args, dir.path());
    let rows = tree.await_links(NODES);
    let kinds: Vec<&str> = rows.iter().map(|row| words(row)[0]).collect();
    let real = kinds.iter().filter(|kind| **kind == "redis-server").count();
    assert_eq!((real, kinds[0]), (2, "banyan"), "{kinds:?}");
    let unique: BTreeSet<u16> = ports(&rows).into_iter().collect();
    assert_eq!(unique.len(), NODES);
    let roles: Vec<&str> = rows.iter().map(|row| words(row)[2]).collect();
    assert_eq!(roles[0], "master");
    assert!(roles[1..].iter().all(|role| *role == "slave"), "{roles:?}");
    // Each node has served a full synchronisation to each of its two replicas.
    let full = |row: &String| words(row)[6] == "2";
    assert_eq!(rows.iter().filter(|row| full(row)).count(), 3, "{rows:?}");
    wait_until("the load to reach every node", || {
        let offset = |row: &String| words(row)[4].replace(',', "").parse::<u64>();
        let far = |row: &String| offset(row).is_ok_and(|offset| offset > 100_000);
        let rows = tree.table(NODES);
        rows.len() == NODES && rows.iter().all(far)
    });
    assert_eq!(tree.signal("-INT"), Some(0));
    await_ends(&ports(&rows));
    // One frame around each node and one behind all; a line to each node but the top.
    assert_eq!(elements(&picture, "rect"), NODES + 1);
    assert_eq!(elements(&picture, "path"), NODES - 1);
    let text = fs::read_to_string(&picture).expect("a picture");
    for port in ports(&rows) {
        assert!(text.contains(&format!(":{port}<")), "no node {port}");
    }
}

#[test]
fn a_tree_ends_its_servers_when_it_is_terminated_or_killed() {
    for signal in ["-TERM", "-KILL"] {
        let dir = dir();
        let mut tree = Tree::start(&["2", "1", "--only-banyan"], dir.path());
        let rows = tree.await_links(3);
        assert!(rows.iter().all(|row| words(row)[0] == "banyan"), "{rows:?}");
        tree.signal(signal);
        await_ends(&ports(&rows));
    }
}

#[test]
fn a_tree_ends_by_itself_after_its_time() {
    let dir = dir();
    let mut tree = Tree::start(&["1", "1", "--seconds", "1"], dir.path());
    let status = wait_for("the script to end", || tree.child.try_wait().ok()?);
    assert!(status.success());
    let rows = tree.table(2);
    assert_eq!(rows.len(), 2);
    await_ends(&ports(&rows));
}

#[test]
fn a_tree_that_cannot_be_is_refused_with_a_reason() {
    let cases: &[(&[&str], &str)] = &[
        (&["2"], "the following arguments are required: DEPTH"),
        (&["two", "2"], "'two' is no whole number"),
        (&["0", "2"], "0 is not between 1 and 64"),
        (&["2", "7"], "7 is not between 1 and 6"),
        (&["9", "3"], "that would be 820 servers"),
        (
            &["2", "2", "--seconds", "0"],
            "0 is not between 1 and 86400",
        ),
        (
            &["2", "2", "--picture", "x.png"],
            "x.png should end with .svg",
        ),
        (
            &["2", "2", "--picture", "/no/x.svg"],
            "nothing can be written in /no",
        ),
        (
            &["2", "2", "--banyan", "/no/banyan"],
            "there is no /no/banyan",
        ),
    ];
    for (args, reason) in cases {
        let output = script().args(*args).output().expect("python3 runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(reason), "{args:?}: {error}");
    }
}
