//! Network namespaces of a test: a hub, in which the test itself runs, and one for each node,
//! joined to the hub by a pair of virtual Ethernet devices. Nothing outside of them is touched.
//!
//! ```text
//!            hub: v0 10.77.0.1   v1 10.77.1.1   …
//!                   |              |
//!   node 0: eth0 10.77.0.2   node 1: eth0 10.77.1.2   …
//! ```

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::server::Place;

/// Begins the name of every namespace; the process id of the maker and a number follow.
const PREFIX: &str = "banyan-chaos";
/// Tells the test within the hub where it is.
const WITHIN: &str = "BANYAN_CHAOS_WITHIN";

/// The namespaces, seen from outside. They are removed, with whatever still runs in them, when
/// this is dropped.
pub struct Namespaces {
    prefix: String,
    nodes: usize,
}

impl Namespaces {
    /// Makes a hub and so many nodes; panics, saying what is needed, where that is not allowed.
    pub fn make(nodes: usize) -> Namespaces {
        // Tests of one process may run side by side.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        assert_allowed();
        remove_left_over();
        let number = MADE.fetch_add(1, Relaxed);
        let prefix = format!("{PREFIX}-{}-{number}", std::process::id());
        let made = Namespaces { prefix, nodes };
        let hub = hub(&made.prefix);
        ip(&["netns", "add", &hub]);
        ip(&["-n", &hub, "link", "set", "lo", "up"]);
        for node in 0..nodes {
            let space = space(&made.prefix, node);
            let (device, ours) = (device(node), format!("10.77.{node}.1"));
            ip(&["netns", "add", &space]);
            let pair = [
                "link", "add", &device, "type", "veth", "peer", "name", "eth0",
            ];
            ip(&[&["-n", &hub], &pair[..], &["netns", &space]].concat());
            ip(&[
                "-n",
                &hub,
                "addr",
                "add",
                &format!("{ours}/30"),
                "dev",
                &device,
            ]);
            ip(&["-n", &hub, "link", "set", &device, "up"]);
            let theirs = format!("{}/30", address(node));
            ip(&["-n", &space, "addr", "add", &theirs, "dev", "eth0"]);
            ip(&["-n", &space, "link", "set", "lo", "up"]);
            ip(&["-n", &space, "link", "set", "eth0", "up"]);
            ip(&["-n", &space, "route", "add", "default", "via", &ours]);
        }
        // Nodes reach each other through the hub.
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        ip(&["netns", "exec", &hub, "sh", "-c", forward]);
        made
    }

    /// Runs a test of this binary within the hub and gives its outcome; it is ended after `limit`.
    pub fn run_within(&self, test: &str, limit: Duration) -> ExitStatus {
        let program = std::env::current_exe().expect("the path of the test");
        let mut child = Command::new("ip")
            .args(["netns", "exec", &hub(&self.prefix)])
            .arg(program)
            .args(["--exact", test, "--nocapture"])
            .env(WITHIN, &self.prefix)
            .spawn()
            .expect("ip netns exec can be run");
        let deadline = Instant::now() + limit;
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return status;
            }
            if Instant::now() > deadline {
                // It may have ended in this moment.
                let _ = child.kill();
                return child.wait().expect("its end can be awaited");
            }
            super::pause(100);
        }
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for node in 0..self.nodes {
            remove(&space(&self.prefix, node));
        }
        remove(&hub(&self.prefix));
    }
}

/// The namespaces, seen from within the hub.
pub struct Hub {
    prefix: String,
}

impl Hub {
    /// The hub that this process runs in, or none if it runs in no such thing.
    pub fn here() -> Option<Hub> {
        let prefix = std::env::var(WITHIN).ok()?;
        Some(Hub { prefix })
    }

    pub fn place(&self, node: usize) -> Place {
        Place {
            namespace: space(&self.prefix, node),
            address: address(node),
        }
    }

    /// The hub's own address on the side of a node.
    pub fn address(&self, node: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, node as u8, 1)
    }

    /// Takes the cable of a node out, or puts it in again.
    pub fn cable(&self, node: usize, up: bool) {
        let state = if up { "up" } else { "down" };
        ip(&["link", "set", &device(node), state]);
    }

    /// Limits what goes to a node to so many kilobits a second.
    pub fn limit(&self, node: usize, kbit: u64) {
        let (device, rate) = (device(node), format!("{kbit}kbit"));
        let what = ["qdisc", "add", "dev", &device, "root", "tbf", "rate", &rate];
        tool(
            "tc",
            &[&what[..], &["burst", "16kbit", "latency", "400ms"]].concat(),
        );
    }

    pub fn lift_limit(&self, node: usize) {
        tool("tc", &["qdisc", "del", "dev", &device(node), "root"]);
    }
}

fn hub(prefix: &str) -> String {
    format!("{prefix}-hub")
}

fn space(prefix: &str, node: usize) -> String {
    format!("{prefix}-{node}")
}

fn device(node: usize) -> String {
    format!("v{node}")
}

fn address(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, node as u8, 2)
}

fn assert_allowed() {
    const NEEDED: &str = "this suite makes network namespaces: it needs root and iproute2 \
                          (scripts/install-servers installs it)";
    let listed = Command::new("ip").args(["netns", "list"]).output();
    assert!(listed.is_ok_and(|o| o.status.success()), "{NEEDED}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = status
        .lines()
        .filter_map(|line| line.strip_prefix("Uid:"))
        .any(|ids| ids.split_whitespace().nth(1) == Some("0"));
    assert!(root, "{NEEDED}");
}

/// Removes namespaces whose makers are gone: one that was killed could not.
fn remove_left_over() {
    let names = Command::new("ip").args(["netns", "list"]).output();
    let names = names.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    for line in names.unwrap_or_default().lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let rest = name.strip_prefix(PREFIX).and_then(|r| r.strip_prefix('-'));
        let maker = rest.and_then(|rest| rest.split('-').next());
        if maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(name);
        }
    }
}

/// Ends what runs in a namespace of ours and removes it. Errors mean that it is gone already.
fn remove(name: &str) {
    if let Ok(pids) = Command::new("ip").args(["netns", "pids", name]).output() {
        for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
            let _ = Command::new("kill").args(["-KILL", pid]).status();
        }
    }
    let _ = Command::new("ip").args(["netns", "del", name]).status();
}

fn ip(args: &[&str]) {
    tool("ip", args);
}

fn tool(name: &str, args: &[&str]) {
    let output = Command::new(name).args(args).output();
    let output = output.unwrap_or_else(|e| panic!("{name} cannot be run: {e}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name} {}: {error}",
        args.join(" ")
    );
}
