//! The binary as its user meets it: configuration, start, drivers, placement, and the end.

#[path = "../support/mod.rs"]
mod support;

mod configuration;
mod forbidden;
mod lifetime;
mod memory;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use support::client::Client;
use support::server::{Port, banyan_binary};

/// A process that is started by hand; killed when dropped.
struct Process {
    child: Child,
    port: Port,
}

impl Process {
    /// Starts the binary in `dir` with its port; waits until it serves.
    fn start(dir: &Path, args: &[&str]) -> Process {
        Process::prepared(dir, args, b"", |_| {})
    }

    /// As [`Process::start`], with text for its standard input and changes to how it is started.
    fn prepared(
        dir: &Path,
        args: &[&str],
        input: &[u8],
        prepare: impl FnOnce(&mut Command),
    ) -> Process {
        let port = Port::reserve();
        let log = std::fs::File::create(dir.join("out")).expect("a file in the test's directory");
        let mut command = Command::new(banyan_binary());
        let number = port.number.to_string();
        // In front of a final `-`, which must stay the last.
        let at = args.len() - usize::from(args.last() == Some(&"-"));
        command.args(&args[..at]).args(["--port", &number]);
        command.args(&args[at..]).current_dir(dir);
        command
            .stdin(Stdio::piped())
            .stderr(log.try_clone().expect("a second handle"));
        command.stdout(log);
        prepare(&mut command);
        let mut child = command.spawn().expect("the binary runs");
        let mut stdin = child.stdin.take().expect("it was piped");
        stdin.write_all(input).expect("a short text fits");
        drop(stdin);
        let mut process = Process { child, port };
        support::wait_until("the server to serve", || {
            let ended = process.child.try_wait().expect("our own child");
            assert!(ended.is_none(), "it ended: {}", said(dir));
            process.client().is_some()
        });
        process
    }

    fn client(&self) -> Option<Client> {
        let mut client = Client::try_connect(self.port.number).ok()?;
        client.try_run(&["PING"]).ok()?;
        Some(client)
    }

    fn value(&self, directive: &str) -> String {
        let mut client = self.client().expect("it serves");
        let reply = client.run(&["CONFIG", "GET", directive]);
        match reply {
            support::resp::Value::Array(mut items) if items.len() == 2 => items.remove(1).text(),
            other => panic!("CONFIG GET {directive}: {other:?}"),
        }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([name, &pid]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill {name}");
    }

    /// The exit code, once it has ended.
    fn ended(&mut self) -> Option<i32> {
        let status = support::wait_for("the server to end", || self.child.try_wait().ok()?);
        status.code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process of this directory printed.
fn said(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("out")).unwrap_or_default()
}

/// Runs the binary to its end, which must come by itself.
fn refused(dir: &Path, args: &[&str]) -> String {
    let mut command = Command::new(banyan_binary());
    let output: Output = command
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    text
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}
