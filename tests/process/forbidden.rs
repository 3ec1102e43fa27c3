//! Systems that do not let us have io_uring: a system call filter plays them.

use super::{Process, directory, said};
use crate::support::server::banyan_binary;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Forbids `io_uring_setup` in the process that is about to start, as Docker's profile does.
fn forbid_io_uring(command: &mut Command) {
    let instruction = |code: u32, jump_false: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: jump_false,
        k,
    };
    // The number of the system call is the first word of what a filter sees.
    let load = instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0);
    let number = libc::SYS_io_uring_setup as u32;
    let compare = instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, number);
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let answer = |k| instruction(libc::BPF_RET | libc::BPF_K, 0, k);
    let filter = [
        load,
        compare,
        answer(refuse),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_ptr().cast_mut(),
        };
        // SAFETY: the calls read the program, which lives until they return.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(
                    libc::PR_SET_SECCOMP,
                    libc::SECCOMP_MODE_FILTER,
                    &raw const program,
                ) == 0
        };
        if done {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    };
    // SAFETY: between fork and exec only two system calls are made; nothing is allocated.
    unsafe { command.pre_exec(install) };
}

#[test]
fn without_io_uring_the_server_runs_on_epoll_and_says_so_once() {
    let dir = directory();
    let process = Process::prepared(dir.path(), &["--shards", "3"], b"", forbid_io_uring);
    let mut client = process.client().expect("it serves");
    client.must("MSET a 1 b 2 c 3");
    assert_eq!(
        client.info("server", "multiplexing_api").as_deref(),
        Some("epoll")
    );
    let said = said(dir.path());
    let lines = said
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("io_uring"));
    assert_eq!(lines.count(), 1, "{said}");
}

#[test]
fn without_io_uring_a_server_that_must_have_it_does_not_start() {
    let dir = directory();
    let mut command = Command::new(banyan_binary());
    command
        .args(["--io", "uring", "--port", "0", "--unixsocket", "s"])
        .current_dir(dir.path());
    forbid_io_uring(&mut command);
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    assert!(text.contains("io_uring is missing or forbidden"), "{text}");
}

#[test]
fn epoll_can_be_asked_for_without_a_warning() {
    let dir = directory();
    let process = Process::start(dir.path(), &["--io", "epoll", "--shards", "2"]);
    let mut client = process.client().expect("it serves");
    assert_eq!(
        client.info("server", "multiplexing_api").as_deref(),
        Some("epoll")
    );
    let said = said(dir.path());
    assert!(!said.contains("io_uring"), "{said}");
}
