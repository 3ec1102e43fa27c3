//! From the start to the end of a process.

use super::{Process, directory, said};
use crate::support::server::{Port, banyan_binary};
use crate::support::wait_until;
use crate::support::{client::Client, wait_for};
use std::fs;
use std::process::Command;

#[test]
fn every_way_to_stop_is_clean_with_any_number_of_shards() {
    for shards in ["1", "7"] {
        for how in ["-TERM", "-INT", "SHUTDOWN", "SHUTDOWN NOSAVE"] {
            let dir = directory();
            let args = [
                "--shards",
                shards,
                "--pidfile",
                "pid",
                "--unixsocket",
                "socket",
            ];
            let mut process = Process::start(dir.path(), &args);
            let pid = fs::read_to_string(dir.path().join("pid")).expect("the pid file");
            assert_eq!(pid, format!("{}\n", process.child.id()));
            let mut client = process.client().expect("it serves");
            if how.starts_with('-') {
                process.signal(how);
            } else {
                let words: Vec<&str> = how.split(' ').collect();
                let end = client.try_run(&words);
                assert!(end.is_err(), "{how} is not answered: {end:?}");
            }
            assert_eq!(process.ended(), Some(0), "{how} with {shards} shards");
            let said = said(dir.path());
            assert!(said.contains("bye bye"), "{said}");
            for file in ["pid", "socket"] {
                assert!(!dir.path().join(file).exists(), "{file} is left behind");
            }
        }
    }
}

#[test]
fn a_second_sigterm_does_not_spoil_a_clean_stop() {
    let dir = directory();
    let mut process = Process::start(dir.path(), &["--shards", "3"]);
    process.signal("-TERM");
    // The process may already be gone.
    let pid = process.child.id().to_string();
    let _ = Command::new("kill").args(["-TERM", &pid]).output();
    assert_eq!(process.ended(), Some(0));
}

#[test]
fn sighup_and_broken_pipes_end_nothing() {
    let dir = directory();
    let process = Process::start(dir.path(), &["--shards", "1"]);
    process.signal("-HUP");
    process.signal("-PIPE");
    let mut client = process.client().expect("it serves");
    client.must("SET a 1");
}

#[test]
fn a_daemon_leaves_its_parent_and_logs_to_its_file() {
    let dir = directory();
    let port = Port::reserve();
    let number = port.number.to_string();
    let parent = Command::new(banyan_binary())
        .args(["--port", &number, "--daemonize", "yes", "--pidfile", "pid"])
        .args(["--logfile", "log", "--shards", "2"])
        .current_dir(dir.path())
        .output()
        .expect("the binary runs");
    assert!(parent.status.success());
    assert_eq!((parent.stdout.len(), parent.stderr.len()), (0, 0));
    let mut client = wait_for("the daemon", || Client::try_connect(port.number).ok());
    let pid = fs::read_to_string(dir.path().join("pid")).expect("the pid file");
    assert_eq!(
        client.info("server", "process_id").as_deref(),
        Some(pid.trim())
    );
    assert!(client.try_run(&["SHUTDOWN"]).is_err());
    wait_until("the daemon's end", || !dir.path().join("pid").exists());
    let log = fs::read_to_string(dir.path().join("log")).expect("the log file");
    assert!(log.contains("ready to accept connections"), "{log}");
    wait_until("its last line", || {
        let log = fs::read_to_string(dir.path().join("log")).expect("the log file");
        log.contains("bye bye")
    });
}

#[test]
fn a_failed_start_is_told_in_the_log_file_too() {
    let dir = directory();
    let taken = Process::start(dir.path(), &["--shards", "1"]);
    let number = taken.port.number.to_string();
    let said = super::refused(dir.path(), &["--port", &number, "--logfile", "log"]);
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    let log = fs::read_to_string(dir.path().join("log")).expect("the log file");
    assert!(log.contains("in use"), "{log}");
}

#[test]
fn more_shards_than_cores_serve_unpinned_and_chosen_cpus_are_kept_to() {
    let dir = directory();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let many = (2 * cores + 1).to_string();
    let process = Process::start(dir.path(), &["--shards", &many]);
    let all = allowed("self", |_| true);
    for cpus in allowed(&process.child.id().to_string(), |name| {
        name.starts_with("shard-")
    }) {
        assert_eq!(Some(&cpus), all.first(), "a shard is pinned");
    }
    drop(process);
    let first = all[0].split([',', '-']).next().expect("a CPU").to_owned();
    let process = Process::start(dir.path(), &["--shard-cpus", &first]);
    // The threads that help a shard go to its CPU by themselves, a moment after their start.
    wait_until("all threads of the shard to be on its CPU", || {
        let shards = allowed(&process.child.id().to_string(), |name| {
            name.starts_with("shard-")
        });
        !shards.is_empty() && shards.iter().all(|cpus| *cpus == first)
    });
}

/// The CPUs on which the threads of a process that fit may run, as the kernel writes them.
fn allowed(pid: &str, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let statuses =
        tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("status")).ok());
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    statuses
        .filter(|status| fits(&field(status, "Name:")))
        .map(|status| field(&status, "Cpus_allowed_list:"))
        .collect()
}

#[test]
fn a_panic_in_one_shard_ends_the_whole_process_loudly() {
    let dir = directory();
    let mut process = Process::start(
        dir.path(),
        &["--shards", "3", "--enable-debug-command", "yes"],
    );
    let mut client = process.client().expect("it serves");
    assert!(client.try_run(&["DEBUG", "PANIC"]).is_err());
    let ended = process.ended();
    assert_ne!(ended, Some(0));
    let said = said(dir.path());
    assert!(
        said.contains("panic") && said.contains("DEBUG PANIC"),
        "{said}"
    );
}
