//! Real server processes, each on a port and in a directory of its own.

use super::client::{Client, local};
use super::{PATIENCE, pause, random::Random};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// How many lines of its log a server shows when its test fails.
const LOG_LINES_SHOWN: usize = 60;

/// What kind of server a process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Banyan,
    Redis,
    Valkey,
}

/// Where a server listens that is not simply on this machine's loopback.
#[derive(Clone, Debug)]
pub struct Place {
    /// The network namespace that it runs in.
    pub namespace: String,
    pub address: Ipv4Addr,
}

/// A running server. Killed when dropped; its log is shown if the test is failing then.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    /// Banyan's number of shards; 0 for the others.
    pub shards: usize,
    child: Child,
    stopped: bool,
    args: Vec<String>,
    place: Option<Place>,
    dir: TempDir,
    _reserved: Port,
}

/// Name of a server's configuration file in its directory, if it has one.
const FILE: &str = "server.conf";

/// The binary under test: `BANYAN_BIN`, else the one that cargo built beside the test. Given as
/// a redis-server or valkey-server it checks the suites themselves.
pub fn banyan_binary() -> PathBuf {
    match std::env::var_os("BANYAN_BIN") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env!("CARGO_BIN_EXE_banyan")),
    }
}

/// True if a Redis or Valkey stands in for Banyan: directives of Banyan's own are left out and
/// checks of what only Banyan does are void.
pub fn stand_in() -> bool {
    let binary = banyan_binary();
    let name = binary
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    name.contains("redis") || name.contains("valkey")
}

/// How many shards a Banyan is to have, and the flags that say so, as the environment asks.
fn own_directives(shards: usize) -> (usize, Vec<String>) {
    let asked = std::env::var("BANYAN_SHARDS").ok();
    let shards = asked.map_or(shards, |text| {
        text.parse().expect("BANYAN_SHARDS is a number")
    });
    if stand_in() {
        return (shards, Vec::new());
    }
    let mut flags = vec!["--shards".to_owned(), shards.to_string()];
    if let Ok(io) = std::env::var("BANYAN_IO") {
        flags.extend(["--io".to_owned(), io]);
    }
    (shards, flags)
}

impl Server {
    /// Banyan with the given number of shards and further arguments. `BANYAN_SHARDS` sets another
    /// number and `BANYAN_IO` the driver (`uring` or `epoll`), so that a suite runs over them.
    pub fn banyan(shards: usize, args: &[&str]) -> Server {
        Server::banyan_at(None, shards, args)
    }

    fn banyan_at(place: Option<Place>, shards: usize, args: &[&str]) -> Server {
        let (shards, mut all) = own_directives(shards);
        all.extend(args.iter().map(|a| (*a).to_owned()));
        let mut server = Server::start(Kind::Banyan, all, place);
        server.shards = shards;
        server
    }

    /// Debian's redis-server 7.0.15.
    pub fn redis(args: &[&str]) -> Server {
        Server::real(Kind::Redis, args, None)
    }

    /// valkey-server 8.0.1.
    pub fn valkey(args: &[&str]) -> Server {
        Server::real(Kind::Valkey, args, None)
    }

    fn real(kind: Kind, args: &[&str], place: Option<Place>) -> Server {
        Server::start(kind, args.iter().map(|a| (*a).to_owned()).collect(), place)
    }

    /// A server in a network namespace; the number of shards counts for Banyan.
    pub fn placed(place: Place, kind: Kind, shards: usize, args: &[&str]) -> Server {
        match kind {
            Kind::Banyan => Server::banyan_at(Some(place), shards, args),
            other => Server::real(other, args, Some(place)),
        }
    }

    pub fn of(kind: Kind, args: &[&str]) -> Server {
        match kind {
            Kind::Banyan => Server::banyan(2, args),
            Kind::Redis => Server::redis(args),
            Kind::Valkey => Server::valkey(args),
        }
    }

    /// A server with a configuration file of these lines, which CONFIG REWRITE changes and which
    /// is read again after a restart.
    pub fn with_file(kind: Kind, lines: &[String]) -> Server {
        let (shards, args) = match kind {
            Kind::Banyan => own_directives(2),
            Kind::Redis | Kind::Valkey => (0, Vec::new()),
        };
        let file = lines.join("\n") + "\n";
        let mut server = Server::start_with(kind, args, Some(&file), None);
        server.shards = shards;
        server
    }

    /// The configuration file as it is now, for a server that has one.
    pub fn file(&self) -> String {
        fs::read_to_string(self.dir.path().join(FILE)).expect("a configuration file")
    }

    fn start(kind: Kind, args: Vec<String>, place: Option<Place>) -> Server {
        Server::start_with(kind, args, None, place)
    }

    fn start_with(
        kind: Kind,
        args: Vec<String>,
        file: Option<&str>,
        place: Option<Place>,
    ) -> Server {
        // Another process may take the port between our look and the server's bind.
        const TRIES: usize = 5;
        for left in (0..TRIES).rev() {
            let dir = tempfile::Builder::new().prefix("banyan-test-").tempdir();
            let dir = dir.expect("a temporary directory");
            if let Some(text) = file {
                fs::write(dir.path().join(FILE), text).expect("a file in a directory of our own");
            }
            let reserved = Port::reserve();
            let port = reserved.number;
            let child = spawn(kind, port, dir.path(), &args, place.as_ref());
            let mut server = Server {
                kind,
                port,
                shards: 0,
                child,
                stopped: false,
                args: args.clone(),
                place: place.clone(),
                dir,
                _reserved: reserved,
            };
            match server.wait_ready() {
                Ok(()) => return server,
                Err(reason) => {
                    let log = tail(&server.dir().join("log"));
                    let taken = log.to_lowercase().contains("address already in use");
                    assert!(taken && left > 0, "{kind:?} did not start: {reason}\n{log}");
                }
            }
        }
        unreachable!("the last try either returns or fails")
    }

    /// Polls until the server answers PING, with whatever answer.
    fn wait_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            let reply = Client::connect_within(self.address(), PATIENCE);
            let reply = reply.and_then(|mut c| c.try_run(&["PING"]));
            match reply {
                Ok(reply) if reply.is_error() && reply.text().starts_with("LOADING") => {}
                Ok(_) => return Ok(()),
                Err(_) => {}
            }
            if Instant::now() > deadline {
                return Err(format!("no answer on port {} in {PATIENCE:?}", self.port));
            }
            pause(10);
        }
    }

    /// Where it is reached.
    pub fn address(&self) -> SocketAddr {
        match &self.place {
            Some(place) => SocketAddr::from((place.address, self.port)),
            None => local(self.port),
        }
    }

    pub fn client(&self) -> Client {
        let address = self.address();
        Client::connect_within(address, PATIENCE)
            .unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"))
    }

    /// A client that speaks RESP3.
    pub fn client3(&self) -> Client {
        let mut client = self.client();
        let reply = client.call("HELLO 3");
        assert!(!reply.is_error(), "HELLO 3: {reply:?}");
        client
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most resident memory so far, in bytes.
    pub fn peak_resident(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = fs::read_to_string(path).expect("the status of a running server");
        let line = status.lines().find(|line| line.starts_with(field));
        let word = line.and_then(|line| line.split_whitespace().nth(1));
        let kib: u64 = word.and_then(|n| n.parse().ok()).expect("KiB");
        kib * 1024
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([name, &self.pid().to_string()])
            .status();
        assert!(
            status.is_ok_and(|s| s.success()),
            "kill {name} {}",
            self.pid()
        );
    }

    /// SIGSTOP: the process keeps its sockets and does nothing.
    pub fn freeze(&mut self) {
        self.signal("-STOP");
        self.stopped = true;
    }

    /// SIGCONT.
    pub fn thaw(&mut self) {
        self.signal("-CONT");
        self.stopped = false;
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        self.child
            .kill()
            .expect("a process of our own can be killed");
        self.child.wait().expect("its end can be awaited");
    }

    /// SIGTERM, and waits for the end; gives the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("-TERM");
        super::wait_for("the server to end after SIGTERM", || {
            self.child.try_wait().ok()?
        })
        .code()
    }

    /// SHUTDOWN SAVE, and waits for the end, which must be a success.
    pub fn shutdown_save(&mut self) {
        let mut client = self.client();
        client
            .send(b"*2\r\n$8\r\nSHUTDOWN\r\n$4\r\nSAVE\r\n")
            .expect("a short request");
        assert_eq!(self.await_end(), Some(0), "{:?}\n{}", self.kind, self.log());
    }

    /// Waits for the end; gives the exit code.
    pub fn await_end(&mut self) -> Option<i32> {
        let end = || self.child.try_wait().expect("a process of our own");
        super::wait_for("the server to end", end).code()
    }

    /// SIGINT.
    pub fn interrupt(&self) {
        self.signal("-INT");
    }

    fn start_again(&mut self) {
        let place = self.place.as_ref();
        self.child = spawn(self.kind, self.port, self.dir.path(), &self.args, place);
    }

    /// Starts the same server again, which is not to come up; gives the exit code.
    pub fn fail_to_start(&mut self) -> Option<i32> {
        self.start_again();
        self.await_end()
    }

    /// Starts the same server again on the same port and in the same directory.
    pub fn restart(&mut self) {
        if self.running() {
            self.kill();
        }
        self.start_again();
        if let Err(reason) = self.wait_ready() {
            panic!("{:?} did not start again: {reason}", self.kind);
        }
    }

    /// Starts the same server again as a replica from its first moment, without anything that it
    /// may have left on its disk.
    pub fn restart_following(&mut self, upstream: SocketAddr) {
        self.kill();
        self.forget_disk();
        self.follow_at_start(upstream);
        self.restart();
    }

    /// The directive by which the next start makes this a replica.
    pub fn follow_at_start(&mut self, upstream: SocketAddr) {
        if let Some(at) = self.args.iter().position(|arg| arg == "--replicaof") {
            self.args.drain(at..at + 3);
        }
        let words = [
            "--replicaof".to_owned(),
            upstream.ip().to_string(),
            upstream.port().to_string(),
        ];
        self.args.extend(words);
    }

    /// Removes the snapshot that a real server keeps of its last full synchronisation, from which
    /// it would go on after a restart.
    pub fn forget_disk(&self) {
        // There is none unless such a synchronisation took place.
        let _ = fs::remove_file(self.dir().join("dump.rdb"));
    }

    pub fn running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A frozen process takes SIGKILL too. Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = tail(&self.dir.path().join("log"));
            if !log.is_empty() {
                eprintln!(
                    "---- log of {:?} on port {} ----\n{log}",
                    self.kind, self.port
                );
            }
        }
    }
}

fn tail(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

fn spawn(kind: Kind, port: u16, dir: &Path, args: &[String], place: Option<&Place>) -> Child {
    let binary = match kind {
        Kind::Banyan => banyan_binary(),
        Kind::Redis => PathBuf::from("redis-server"),
        Kind::Valkey => PathBuf::from("valkey-server"),
    };
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"));
    let log = log.expect("a log file in the test's own directory");
    let mut command = match place {
        // It becomes the server itself, with the same process id.
        Some(place) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &place.namespace]);
            command.arg(&binary);
            command
        }
        None => Command::new(&binary),
    };
    let address = place.map_or(Ipv4Addr::LOCALHOST, |place| place.address);
    if dir.join(FILE).exists() {
        command.arg(dir.join(FILE));
    }
    command.args([
        "--port",
        &port.to_string(),
        "--bind",
        &address.to_string(),
        "--save",
        "",
    ]);
    command.args(["--appendonly", "no", "--enable-debug-command", "yes"]);
    command.arg("--dir").arg(dir);
    command.args(args);
    // Real servers sort text as the locale says.
    command.env("LC_ALL", "C");
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log);
    match command.spawn() {
        Ok(child) => child,
        Err(e) => panic!(
            "{} cannot be run ({e}): scripts/install-servers installs the reference servers, \
             cargo builds banyan, BANYAN_BIN names another one",
            binary.display()
        ),
    }
}

/// A port that no other test uses: a lock file holds it, because two servers that listen with
/// SO_REUSEPORT would not even notice each other.
pub struct Port {
    pub number: u16,
    _lock: File,
}

impl Port {
    pub fn reserve() -> Port {
        // Below the range from which the kernel takes the ports of outgoing connections.
        const FIRST: usize = 12_000;
        const COUNT: usize = 20_000;
        let dir = std::env::temp_dir().join("banyan-test-ports");
        fs::create_dir_all(&dir).expect("a directory for port locks");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let nanos = now.map(|d| d.as_nanos() as u64).unwrap_or_default();
        let mut random = Random::new(nanos ^ (u64::from(std::process::id()) << 40));
        for _ in 0..1_000 {
            let number = (FIRST + random.below(COUNT)) as u16;
            let path = dir.join(number.to_string());
            let Ok(lock) = File::options().create(true).append(true).open(path) else {
                continue;
            };
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Port {
                    number,
                    _lock: lock,
                };
            }
        }
        panic!("no free port among {COUNT} from {FIRST}")
    }
}
