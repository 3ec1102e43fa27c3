//! A client program under test.

use crate::support::{PATIENCE, wait_for, wait_until};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// Which library a program uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Library {
    RedisPy,
    Ioredis,
}

pub const LIBRARIES: [Library; 2] = [Library::RedisPy, Library::Ioredis];

impl Library {
    /// What the keys that it writes begin with.
    fn prefix(self) -> &'static str {
        match self {
            Library::RedisPy => "py",
            Library::Ioredis => "js",
        }
    }

    /// The key of one of its writes.
    pub fn key(self, number: u64) -> String {
        format!("{}:{number}", self.prefix())
    }
}

/// Where `scripts/install-servers` puts the libraries.
fn installed() -> PathBuf {
    let tmp = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().expect("the target directory").join("clients")
}

fn command(library: Library) -> Command {
    let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let (program, script) = match library {
        Library::RedisPy => (installed().join("venv/bin/python3"), "writer.py"),
        Library::Ioredis => (PathBuf::from("node"), "writer.js"),
    };
    let mut command = Command::new(program);
    command.arg(scripts.join(script));
    command.env("NODE_PATH", installed().join("node_modules"));
    command
}

/// A program that writes and prints what it has written. Killed when dropped.
pub struct Writer {
    library: Library,
    child: Child,
    written: Arc<AtomicU64>,
    last_line: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
    dir: TempDir,
}

/// What a program says at its end.
#[derive(Debug)]
pub struct Summary {
    pub written: u64,
    /// Numbers that at least two replicas had acknowledged.
    pub confirmed: Vec<u64>,
    /// Reads answered by replicas.
    pub read: u64,
}

impl Writer {
    /// Starts a program with these arguments.
    pub fn start(library: Library, args: &[&str]) -> Writer {
        let dir = tempfile::Builder::new().prefix("banyan-client-").tempdir();
        let dir = dir.expect("a temporary directory");
        let errors = File::create(dir.path().join("stderr")).expect("a file of our own");
        let child = command(library)
            .arg(library.prefix())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn();
        let mut child = child.unwrap_or_else(|e| {
            panic!("{library:?} cannot be run ({e}): scripts/install-servers installs it")
        });
        let output = child.stdout.take().expect("it is piped");
        let written = Arc::new(AtomicU64::new(0));
        let last_line = Arc::new(Mutex::new(String::new()));
        let (count, last) = (Arc::clone(&written), Arc::clone(&last_line));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(number) = line.strip_prefix("wrote ") {
                    count.store(number.parse().expect("a number"), SeqCst);
                }
                *last.lock().expect("nobody panics with it") = line;
            }
        });
        Writer {
            library,
            child,
            written,
            last_line,
            reader: Some(reader),
            dir,
        }
    }

    pub fn written(&self) -> u64 {
        self.written.load(SeqCst)
    }

    /// Waits until so many more writes have been answered than now.
    pub fn await_more(&mut self, count: u64) {
        let wanted = self.written() + count;
        wait_until("the client to go on writing", || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{:?} ended with {status}\n{}", self.library, self.errors());
            }
            self.written() >= wanted
        });
    }

    fn errors(&self) -> String {
        let mut text = String::new();
        let file = File::open(self.dir.path().join("stderr"));
        file.and_then(|mut file| file.read_to_string(&mut text))
            .expect("a file of our own");
        text
    }

    /// Ends the program as it is meant to end, and gives what it says.
    pub fn finish(mut self) -> Summary {
        drop(self.child.stdin.take());
        let status = wait_for("the client to end", || self.child.try_wait().ok()?);
        assert!(
            status.success(),
            "{:?} ended with {status} within {PATIENCE:?}\n{}",
            self.library,
            self.errors()
        );
        let reader = self.reader.take().expect("it is taken once");
        reader.join().expect("its lines are as agreed");
        let line = self
            .last_line
            .lock()
            .expect("nobody panics with it")
            .clone();
        Summary {
            written: number(&line, "written"),
            confirmed: list(&line, "confirmed"),
            read: number(&line, "read"),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let errors = self.errors();
            eprintln!("---- errors of {:?} ----\n{errors}", self.library);
        }
    }
}

/// What follows a name in one line of JSON without nesting but for one list of numbers.
fn after<'a>(line: &'a str, name: &str) -> &'a str {
    let key = format!("\"{name}\":");
    let at = line.find(&key);
    let at = at.unwrap_or_else(|| panic!("no {name} in {line:?}"));
    line[at + key.len()..].trim_start()
}

fn number(line: &str, name: &str) -> u64 {
    let rest = after(line, name);
    let end = rest.find(|c: char| !c.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().expect("a number")
}

fn list(line: &str, name: &str) -> Vec<u64> {
    let rest = after(line, name).strip_prefix('[').expect("a list");
    let end = rest.find(']').expect("the end of a list");
    let items = rest[..end].split(',').map(str::trim);
    let items = items.filter(|item| !item.is_empty());
    items.map(|item| item.parse().expect("a number")).collect()
}
