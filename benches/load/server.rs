//! The servers under test: where they are, how they are started, and that they end.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::process;

/// How long a server may take from its start to its first reply.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A kind of server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Banyan,
    Redis,
    Valkey,
    Kevy,
    /// The least that a server must do: `benches/floor.rs`.
    Floor,
}

impl Kind {
    pub const ALL: [Self; 5] = [
        Self::Banyan,
        Self::Redis,
        Self::Valkey,
        Self::Kevy,
        Self::Floor,
    ];

    /// Name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Banyan => "banyan",
            Self::Redis => "redis-server",
            Self::Valkey => "valkey-server",
            Self::Kevy => "kevy",
            Self::Floor => "floor",
        }
    }

    /// The program: the path in the environment variable, or its usual name on PATH.
    fn program(self) -> Option<PathBuf> {
        let (variable, name) = match self {
            Self::Banyan => ("BANYAN_BIN", "target/release/banyan"),
            Self::Redis => ("REDIS_BIN", "redis-server"),
            Self::Valkey => ("VALKEY_BIN", "valkey-server"),
            Self::Kevy => ("KEVY_BIN", "kevy"),
            Self::Floor => ("FLOOR_BIN", ""),
        };
        match std::env::var(variable) {
            Ok(path) if !path.is_empty() => process::find_program(&path),
            _ if name.is_empty() => None,
            _ => process::find_program(name),
        }
    }
}

/// The servers that this machine has.
pub struct Installed {
    programs: Vec<(Kind, PathBuf)>,
}

impl Installed {
    pub fn find() -> Self {
        let programs = Kind::ALL
            .iter()
            .filter_map(|&kind| Some((kind, kind.program()?)));
        Self {
            programs: programs.collect(),
        }
    }

    /// Path of the program of `kind`.
    pub fn program(&self, kind: Kind) -> Option<&Path> {
        self.programs
            .iter()
            .find(|(known, _)| *known == kind)
            .map(|(_, path)| path.as_path())
    }

    /// What the program says about its version, in one line.
    pub fn version(&self, kind: Kind) -> String {
        let Some(program) = self.program(kind) else {
            return "not installed".to_owned();
        };
        if kind == Kind::Floor {
            return "the floor server of this tree".to_owned();
        }
        let output = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let line = String::from_utf8_lossy(&text)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        if line.is_empty() {
            "installed, version unknown".to_owned()
        } else {
            line
        }
    }
}

/// How a server is started, beyond its kind.
#[derive(Clone, Debug)]
pub struct Options {
    /// Cores, as taskset(1) takes them.
    pub cpus: String,
    /// Number of shards (Banyan only).
    pub shards: usize,
    /// Further arguments.
    pub extra: Vec<String>,
    /// Run it only when nothing else wants its core (SCHED_IDLE).
    pub idle_class: bool,
    /// Also listen on a Unix socket, [`Server::socket`].
    pub unix_socket: bool,
}

impl Options {
    /// One shard on `cpus`.
    pub fn on(cpus: &str) -> Self {
        let cpus = cpus.to_owned();
        Self {
            cpus,
            shards: 1,
            extra: Vec::new(),
            idle_class: false,
            unix_socket: false,
        }
    }

    /// Adds arguments.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.extra
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }
}

/// A running server; dropping it ends it and removes its files.
pub struct Server {
    pub kind: Kind,
    pub port: u16,
    child: Child,
    dir: PathBuf,
}

impl Server {
    /// Starts a server and waits for its first reply.
    ///
    /// # Errors
    /// The program is missing, ends at once (with the last line of its log) or answers nothing.
    pub fn start(installed: &Installed, kind: Kind, options: &Options) -> io::Result<Self> {
        // Not resolved further: which program redis-server is depends on the name it is called by.
        let program = installed
            .program(kind)
            .ok_or_else(|| io::Error::other(format!("{} is not installed", kind.name())))?;
        // Free now; whoever might take it in between makes the start fail, not the figures wrong.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let dir = std::env::temp_dir().join(format!("banyan-bench-{}-{port}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let log = File::create(dir.join("log"))?;
        // Each of these becomes the next by exec: the child's pid is the server's. The first makes
        // the kernel end the server if this process is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if options.idle_class {
            command.args(["chrt", "-i", "0"]);
        }
        command
            .args(["taskset", "-c"])
            .arg(&options.cpus)
            .arg(std::path::absolute(program)?);
        command
            .args(arguments(kind, port, &dir, options))
            .args(&options.extra);
        command
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = command.spawn()?;
        let mut server = Self {
            kind,
            port,
            child,
            dir,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!(
                    "{} ended at its start ({status}): {}",
                    self.kind.name(),
                    self.log().lines().last().unwrap_or("its log is empty")
                )));
            }
            // GET, since the floor server knows little else.
            let answer =
                Client::tcp(self.port).and_then(|mut client| client.call(&["GET", "none"]));
            match answer {
                Ok(_) => return Ok(()),
                Err(error) if started.elapsed() > START_TIMEOUT => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Path of the Unix socket.
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.dir)
    }

    /// All that the server has printed.
    pub fn log(&self) -> String {
        fs::read(self.dir.join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// A new connection to it.
    ///
    /// # Errors
    /// As connect(2).
    pub fn client(&self) -> io::Result<Client> {
        Client::tcp(self.port)
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// The server is gone.
    pub fn resident(&self) -> io::Result<u64> {
        process::resident(self.pid())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // By its own pid; nothing is to be saved.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn socket_in(dir: &Path) -> PathBuf {
    dir.join("socket")
}

fn arguments(kind: Kind, port: u16, dir: &Path, options: &Options) -> Vec<String> {
    let port = port.to_string();
    let dir_text = dir.display().to_string();
    let mut arguments: Vec<&str> = match kind {
        Kind::Floor => vec!["--port", &port, "--cpu", &options.cpus],
        Kind::Kevy => {
            vec![
                "--bind",
                "127.0.0.1",
                "--port",
                &port,
                "--threads",
                "1",
                "--no-aof",
                "--dir",
            ]
        }
        Kind::Banyan | Kind::Redis | Kind::Valkey => {
            vec!["--port", &port, "--save", "", "--appendonly", "no", "--dir"]
        }
    };
    if kind != Kind::Floor {
        arguments.push(&dir_text);
    }
    let shards = options.shards.to_string();
    if kind == Kind::Banyan {
        arguments.extend(["--shards", &shards]);
        // More shards than cores cannot each have one: those are confined by taskset alone.
        if options.shards == 1 {
            arguments.extend(["--shard-cpus", &options.cpus]);
        }
    }
    let socket = socket_in(dir).display().to_string();
    if options.unix_socket {
        arguments.extend(["--unixsocket", &socket]);
    }
    arguments.into_iter().map(str::to_owned).collect()
}
