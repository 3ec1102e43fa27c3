//! A group as people run it: one primary with replicas, and three of Debian's redis-sentinel that
//! watch it. Every server has a configuration file, since Sentinel has it rewritten.

use super::client::Client;
use super::proxy::Proxy;
use super::resp::Value;
use super::server::{Kind, Port, Server};
use super::sync::{digest, linked};
use super::{PATIENCE, pause, wait_for, wait_until};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// Name under which the sentinels watch the group.
pub const NAME: &str = "banyan";
/// How many sentinels watch; two must agree.
const SENTINELS: usize = 3;
/// Sentinel waits for whole seconds between its looks; a test need not. Its own command for tests
/// sets these, in milliseconds. While the primary is down it asks replicas for INFO once a second
/// whatever is set, and promotes none whose INFO is older than five times the period of PING.
const PERIODS: &[(&str, u32)] = &[
    ("info-period", 500),
    ("ping-period", 300),
    ("publish-period", 200),
    ("ask-period", 100),
];
/// After so long without an answer a server is taken for down.
const DOWN_AFTER_MS: u32 = 1_000;

/// A running redis-sentinel. Killed when dropped; its log is shown if the test is failing then.
pub struct Sentinel {
    pub port: u16,
    child: Child,
    dir: TempDir,
    _reserved: Port,
}

impl Sentinel {
    fn start(lines: &[String]) -> Sentinel {
        let dir = tempfile::Builder::new()
            .prefix("banyan-sentinel-")
            .tempdir();
        let dir = dir.expect("a temporary directory");
        let reserved = Port::reserve();
        let port = reserved.number;
        let log = File::create(dir.path().join("log")).expect("a log in our own directory");
        let path = dir.path().join("sentinel.conf");
        let own = [
            format!("port {port}"),
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", dir.path().display()),
        ];
        let text = [&own, lines].concat().join("\n") + "\n";
        fs::write(&path, text).expect("a file in our own directory");
        let child = Command::new("redis-sentinel")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        let child = child.unwrap_or_else(|e| {
            panic!("redis-sentinel cannot be run ({e}): scripts/install-servers installs it")
        });
        let sentinel = Sentinel {
            port,
            child,
            dir,
            _reserved: reserved,
        };
        let deadline = Instant::now() + PATIENCE;
        while Client::try_connect(port)
            .and_then(|mut client| client.try_run(&["PING"]))
            .is_err()
        {
            assert!(Instant::now() < deadline, "no answer of {}", sentinel.log());
            pause(10);
        }
        let mut client = sentinel.client();
        for (name, ms) in PERIODS {
            client.must(&format!("SENTINEL DEBUG {name} {ms}"));
        }
        sentinel
    }

    pub fn client(&self) -> Client {
        Client::connect(self.port)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The port of the primary, as this sentinel tells clients.
    pub fn primary(&self) -> u16 {
        let address = self
            .client()
            .call(&format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}"));
        let port = address.items()[1].text();
        port.parse().expect("a port")
    }

    /// What this sentinel knows of the primary.
    pub fn master(&self) -> Fields {
        fields(&self.client().call(&format!("SENTINEL MASTER {NAME}")))
    }

    /// What this sentinel knows of each replica, by port.
    pub fn replicas(&self) -> BTreeMap<u16, Fields> {
        self.by_port("REPLICAS")
    }

    /// The other sentinels that this one knows, by port.
    pub fn sentinels(&self) -> BTreeMap<u16, Fields> {
        self.by_port("SENTINELS")
    }

    fn by_port(&self, what: &str) -> BTreeMap<u16, Fields> {
        let all = self.client().call(&format!("SENTINEL {what} {NAME}"));
        let all = all.items().iter().map(fields);
        all.map(|f| (f["port"].parse().expect("a port"), f))
            .collect()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // Errors mean that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- log of sentinel {} ----\n{}", self.port, self.log());
        }
    }
}

/// What Sentinel tells of one server.
pub type Fields = BTreeMap<String, String>;

fn fields(value: &Value) -> Fields {
    let words: Vec<String> = value.items().iter().map(Value::text).collect();
    let pairs = words.chunks_exact(2);
    pairs.map(|p| (p[0].clone(), p[1].clone())).collect()
}

/// How a group is set up.
#[derive(Clone)]
pub struct Plan {
    /// Kind and `replica-priority` of each server; the first is the primary.
    pub servers: Vec<(Kind, u32)>,
    /// The password of all servers.
    pub password: Option<&'static str>,
    /// Others reach the primary through a proxy.
    pub proxied: bool,
}

impl Plan {
    /// A Banyan primary with two Banyan replicas and one redis-server replica.
    pub fn usual() -> Plan {
        let kinds = [Kind::Banyan, Kind::Banyan, Kind::Banyan, Kind::Redis];
        Plan {
            servers: kinds.map(|kind| (kind, 100)).to_vec(),
            password: None,
            proxied: false,
        }
    }

    /// With these priorities of the replicas.
    pub fn with_priorities(mut self, priorities: [u32; 3]) -> Plan {
        for (server, priority) in self.servers[1..].iter_mut().zip(priorities) {
            server.1 = priority;
        }
        self
    }
}

/// Servers and the sentinels that watch them.
pub struct Group {
    pub servers: Vec<Server>,
    pub sentinels: Vec<Sentinel>,
    /// What others reach the first primary through.
    pub proxy: Option<Proxy>,
    password: Option<&'static str>,
}

/// Index of a server in its group.
pub type Place = usize;

/// Where the primary is at first.
pub const FIRST: Place = 0;

impl Group {
    /// Starts the servers, waits until the replicas follow, and starts the sentinels.
    pub fn start(plan: &Plan) -> Group {
        let mut group = Group {
            servers: Vec::new(),
            sentinels: Vec::new(),
            proxy: None,
            password: plan.password,
        };
        for (kind, priority) in &plan.servers {
            let lines = group.lines(*priority);
            group.servers.push(Server::with_file(*kind, &lines));
            if plan.proxied && group.proxy.is_none() {
                let proxy = Proxy::to(group.servers[FIRST].port);
                let announce = format!("CONFIG SET replica-announce-port {}", proxy.port);
                group.client(FIRST).must(&announce);
                group.proxy = Some(proxy);
            }
        }
        for place in 1..group.servers.len() {
            let mut client = group.client(place);
            wait_until("the first link", || linked(&mut client));
        }
        let lines = group.sentinel_lines();
        for _ in 0..SENTINELS {
            group.sentinels.push(Sentinel::start(&lines));
        }
        group.await_discovery();
        group
    }

    fn lines(&self, priority: u32) -> Vec<String> {
        let mut lines = vec![
            "repl-diskless-sync yes".to_owned(),
            "repl-diskless-sync-delay 0".to_owned(),
            format!("replica-priority {priority}"),
        ];
        if let Some(password) = self.password {
            lines.push(format!("requirepass {password}"));
            lines.push(format!("masterauth {password}"));
        }
        if !self.servers.is_empty() {
            lines.push(format!("replicaof 127.0.0.1 {}", self.port(FIRST)));
        }
        lines
    }

    fn sentinel_lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("sentinel monitor {NAME} 127.0.0.1 {} 2", self.port(FIRST)),
            format!("sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}"),
            format!("sentinel failover-timeout {NAME} 20000"),
            format!("sentinel parallel-syncs {NAME} 4"),
        ];
        if let Some(password) = self.password {
            lines.push(format!("sentinel auth-pass {NAME} {password}"));
        }
        lines
    }

    /// The port by which others reach a server.
    pub fn port(&self, place: Place) -> u16 {
        match &self.proxy {
            Some(proxy) if place == FIRST => proxy.port,
            _ => self.servers[place].port,
        }
    }

    /// Which server others reach by this port.
    pub fn place(&self, port: u16) -> Place {
        let found = (0..self.servers.len()).find(|place| self.port(*place) == port);
        found.unwrap_or_else(|| panic!("no server of the group is at {port}"))
    }

    /// A client of a server, not through the proxy.
    pub fn client(&self, place: Place) -> Client {
        let mut client = self.servers[place].client();
        if let Some(password) = self.password {
            client.must(&format!("AUTH {password}"));
        }
        client
    }

    /// Waits until every sentinel knows all replicas and the other sentinels, and none is in doubt.
    pub fn await_discovery(&self) {
        let replicas: Vec<u16> = (1..self.servers.len()).map(|p| self.port(p)).collect();
        self.await_replicas(&replicas);
        for sentinel in &self.sentinels {
            wait_until("the sentinels to find each other", || {
                let others = sentinel.sentinels();
                let clean = others.values().all(|f| f["flags"] == "sentinel");
                clean && others.len() == SENTINELS - 1 && sentinel.master()["flags"] == "master"
            });
        }
    }

    /// Waits until every sentinel lists exactly the servers at these ports as replicas, their
    /// links up and their flags clean.
    pub fn await_replicas(&self, ports: &[u16]) {
        let mut wanted = ports.to_vec();
        wanted.sort_unstable();
        for sentinel in &self.sentinels {
            wait_until("all sentinels to see all replicas well", || {
                let seen = sentinel.replicas();
                let well = |f: &Fields| f["flags"] == "slave" && f["master-link-status"] == "ok";
                seen.values().all(well) && seen.keys().copied().eq(wanted.iter().copied())
            });
        }
    }

    /// Waits until all sentinels name the same primary, another one than `old`, and it says so
    /// itself; gives its place.
    pub fn await_failover(&self, old: Place) -> Place {
        let old_port = self.port(old);
        let port = wait_for("all sentinels to agree on another primary", || {
            let named: Vec<u16> = self.sentinels.iter().map(Sentinel::primary).collect();
            let same = named.iter().all(|port| *port == named[0]);
            (same && named[0] != old_port).then_some(named[0])
        });
        let place = self.place(port);
        let mut client = self.client(place);
        wait_until("the promotion", || client.replication("role") == "master");
        place
    }

    /// Waits until a server follows another one with its link up.
    pub fn await_following(&self, place: Place, primary: Place) {
        let port = self.port(primary).to_string();
        wait_until("a server to follow the new primary", || {
            // Sentinel ends the connections of the servers that it moves.
            let field = |name: &str| {
                let mut client = Client::try_connect(self.servers[place].port).ok()?;
                if let Some(password) = self.password {
                    client.try_run(&["AUTH", password]).ok()?;
                }
                let text = client.try_run(&["INFO", "replication"]).ok()?.text();
                let prefix = format!("{name}:");
                let found = text.lines().find_map(|line| line.strip_prefix(&prefix));
                found.map(str::to_owned)
            };
            field("master_port").as_deref() == Some(&port)
                && field("master_link_status").as_deref() == Some("up")
        });
    }

    /// The replication directive that a server's configuration file holds: `replicaof …`, or none
    /// in that of a primary.
    pub fn recorded(&self, place: Place) -> Option<String> {
        let file = self.servers[place].file();
        let found = file
            .lines()
            .find(|line| line.starts_with("replicaof ") || line.starts_with("slaveof "));
        found.map(str::to_owned)
    }

    /// Waits until the file of each of these says whom it follows, and that of the primary that
    /// it follows nobody.
    pub fn await_recorded(&self, primary: Place, replicas: &[Place]) {
        let line = format!("replicaof 127.0.0.1 {}", self.port(primary));
        wait_until("the configuration files to say who follows whom", || {
            let all = replicas.iter();
            self.recorded(primary).is_none()
                && all
                    .clone()
                    .all(|place| self.recorded(*place).as_ref() == Some(&line))
        });
    }

    /// Writes at the primary until these replicas have applied it, and holds all to one digest.
    pub fn assert_same_data(&self, primary: Place, replicas: &[Place]) {
        let mut client = self.client(primary);
        let keys: i64 = client.call("DBSIZE").int();
        for i in 0..100 {
            client.must(&format!("SET key:{} {i}", keys + i));
        }
        wait_until("all replicas to acknowledge", || {
            client.call(&format!("WAIT {} 1000", replicas.len())).int() as usize == replicas.len()
        });
        let wanted = digest(&mut client);
        for place in replicas {
            let found = digest(&mut self.client(*place));
            assert_eq!(found, wanted, "data of server {place}");
        }
    }

    /// All places but this one.
    pub fn others(&self, place: Place) -> Vec<Place> {
        (0..self.servers.len()).filter(|p| *p != place).collect()
    }
}
