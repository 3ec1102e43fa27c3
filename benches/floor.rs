//! The bare-ring floor: the least that a server with the techniques of this project can cost on a
//! machine.
//!
//! One thread, one ring, a flat hash map, no features, no checks beyond safety: `floor --port N
//! --cpu N`. The load comparisons run it beside the real server; the difference is the price of
//! everything else. It shares no code with `src/net` on purpose.

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};

use hashbrown::HashMap;
use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, cqueue, opcode, squeue};

const BUFFERS: u16 = 256;
const BUFFER_LEN: usize = 16 * 1024;
const STRIDE: usize = BUFFER_LEN + 192;
const PAGE: usize = 4096;

const ACCEPT: u64 = 0;
const RECV: u64 = 1;
const SEND: u64 = 2;

type Hash = ahash::RandomState;
type Map = HashMap<Vec<u8>, Vec<u8>, Hash>;

/// Receive buffers that the kernel picks itself.
struct Buffers {
    base: *mut u8,
    tail: u16,
}

impl Buffers {
    fn new(ring: &IoUring) -> Self {
        let len = PAGE + usize::from(BUFFERS) * STRIDE;
        let (access, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_ANONYMOUS | libc::MAP_PRIVATE,
        );
        // SAFETY: a new anonymous mapping, never unmapped; the ring's 256 entries fill its first
        // page.
        let base = unsafe {
            let base = libc::mmap(std::ptr::null_mut(), len, access, flags, -1, 0);
            assert!(base != libc::MAP_FAILED);
            let done = ring
                .submitter()
                .register_buf_ring_with_flags(base as u64, BUFFERS, 0, 0);
            done.expect("buffer ring");
            base.cast()
        };
        let mut buffers = Buffers { base, tail: 0 };
        (0..BUFFERS).for_each(|id| buffers.give_back(id));
        buffers
    }

    fn offset(id: u16) -> usize {
        assert!(id < BUFFERS);
        PAGE + usize::from(id) * STRIDE
    }

    fn data(&self, id: u16, len: usize) -> &[u8] {
        assert!(len <= BUFFER_LEN);
        // SAFETY: in bounds of the mapping; the kernel owns the buffer only after `give_back`,
        // which ends the borrow.
        unsafe { std::slice::from_raw_parts(self.base.add(Self::offset(id)), len) }
    }

    fn give_back(&mut self, id: u16) {
        let ring = self.base.cast::<BufRingEntry>();
        // SAFETY: the entry is within the ring and not the kernel's before the tail passes it; the
        // tail is the last field of the first entry.
        unsafe {
            let entry = &mut *ring.add(usize::from(self.tail % BUFFERS));
            entry.set_addr(self.base.add(Self::offset(id)) as u64);
            entry.set_len(BUFFER_LEN as u32);
            entry.set_bid(id);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(ring).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}

#[derive(Default)]
struct Conn {
    fd: Option<OwnedFd>,
    input: Vec<u8>,
    /// Replies of this tick.
    out: Vec<u8>,
    /// In the kernel's hands, sent up to `done`.
    sending: Vec<u8>,
    done: usize,
    /// A send is in the kernel; `quiet` says that it completes only if it fails.
    in_flight: bool,
    quiet: bool,
    listed: bool,
}

struct Floor {
    ring: IoUring,
    conns: Vec<Conn>,
    /// Connections with something to send.
    ready: Vec<usize>,
    quiet: Vec<usize>,
    map: Map,
}

fn main() {
    let mut args = std::env::args();
    let (mut port, mut cpu) = (None, None);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--port" => port = args.next().and_then(|value| value.parse::<u16>().ok()),
            "--cpu" => cpu = args.next().and_then(|value| value.parse::<usize>().ok()),
            _ => {}
        }
    }
    // Run by `cargo bench` or `cargo test`: there is nothing to measure without a load.
    let Some(port) = port else { return };
    if let Some(cpu) = cpu.filter(|&cpu| cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: zeros are the empty set, and the CPU is within it.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut set);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("bind");
    let mut builder: io_uring::Builder<squeue::Entry, cqueue::Entry> = IoUring::builder();
    builder
        .setup_submit_all()
        .setup_coop_taskrun()
        .setup_taskrun_flag();
    let ring = builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(8192)
        .build(1024);
    let ring = ring.expect("io_uring with DEFER_TASKRUN (Linux 6.1)");
    let map = Map::with_hasher(Hash::with_seeds(1, 2, 3, 4));
    let (conns, ready, quiet) = (Vec::new(), Vec::new(), Vec::new());
    Floor {
        ring,
        conns,
        ready,
        quiet,
        map,
    }
    .serve(&listener);
}

impl Floor {
    fn push(&mut self, entry: squeue::Entry, user_data: u64) {
        let entry = entry.user_data(user_data);
        // SAFETY: entries point to `sending`, whose heap memory is untouched while `in_flight`.
        while unsafe { self.ring.submission().push(&entry).is_err() } {
            self.ring.submit().expect("submit");
        }
    }

    fn serve(&mut self, listener: &TcpListener) {
        let mut buffers = Buffers::new(&self.ring);
        let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).build();
        self.push(accept.clone(), ACCEPT);
        let mut completions = Vec::new();
        loop {
            if let Err(error) = self.ring.submit_and_wait(1) {
                assert!(error.raw_os_error() == Some(libc::EINTR), "{error}");
            }
            let parts = |entry: cqueue::Entry| (entry.user_data(), entry.result(), entry.flags());
            completions.extend(self.ring.completion().map(parts));
            for &(data, result, _) in completions.iter().filter(|entry| entry.0 & 3 == SEND) {
                self.on_send((data >> 2) as usize, result);
            }
            self.conclude_quiet();
            for (data, result, flags) in completions.drain(..) {
                match data & 3 {
                    ACCEPT => {
                        if result >= 0 {
                            self.on_accept(result);
                        }
                        if !cqueue::more(flags) {
                            self.push(accept.clone(), ACCEPT);
                        }
                    }
                    RECV => self.on_recv(&mut buffers, (data >> 2) as usize, result, flags),
                    _ => {}
                }
            }
            let mut ready = std::mem::take(&mut self.ready);
            for index in ready.drain(..) {
                self.conns[index].listed = false;
                self.send(index);
            }
            self.ready = ready;
        }
    }

    fn on_accept(&mut self, fd: i32) {
        // SAFETY: the kernel gave this descriptor to us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let _ = socket2::SockRef::from(&fd).set_tcp_nodelay(true);
        let free = |conn: &Conn| conn.fd.is_none() && !conn.in_flight;
        let index = self.conns.iter().position(free).unwrap_or_else(|| {
            self.conns.push(Conn::default());
            self.conns.len() - 1
        });
        let recv = opcode::RecvMulti::new(Fd(fd.as_raw_fd()), 0).build();
        self.conns[index] = Conn {
            fd: Some(fd),
            ..Conn::default()
        };
        self.push(recv, (index as u64) << 2 | RECV);
    }

    fn on_recv(&mut self, buffers: &mut Buffers, index: usize, result: i32, flags: u32) {
        let conn = &mut self.conns[index];
        if let Some(id) = cqueue::buffer_select(flags) {
            let data = buffers.data(id, result.max(0) as usize);
            if conn.input.is_empty() {
                let used = execute(data, &mut self.map, &mut conn.out);
                conn.input.extend_from_slice(&data[used..]);
            } else {
                conn.input.extend_from_slice(data);
                let used = execute(&conn.input, &mut self.map, &mut conn.out);
                conn.input.drain(..used);
            }
            buffers.give_back(id);
            if !conn.out.is_empty() && !conn.listed {
                conn.listed = true;
                self.ready.push(index);
            }
        }
        if cqueue::more(flags) {
            return;
        }
        match (&conn.fd, result > 0 || result == -libc::ENOBUFS) {
            (Some(fd), true) => {
                let recv = opcode::RecvMulti::new(Fd(fd.as_raw_fd()), 0).build();
                self.push(recv, (index as u64) << 2 | RECV);
            }
            _ => conn.fd = None,
        }
    }

    fn send(&mut self, index: usize) {
        let conn = &mut self.conns[index];
        let Some(fd) = &conn.fd else { return };
        let rest = conn.done < conn.sending.len();
        if conn.in_flight || (conn.out.is_empty() && !rest) {
            return;
        }
        if !rest {
            conn.sending.clear();
            conn.done = 0;
            std::mem::swap(&mut conn.sending, &mut conn.out);
        }
        let part = &conn.sending[conn.done..];
        let send = opcode::Send::new(Fd(fd.as_raw_fd()), part.as_ptr(), part.len() as u32);
        // A send of fresh output is over when the kernel returns, and completes only if it failed.
        let quiet = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT | libc::MSG_WAITALL;
        (conn.in_flight, conn.quiet) = (true, !rest);
        let entry = if rest {
            send.flags(libc::MSG_NOSIGNAL).build()
        } else {
            self.quiet.push(index);
            send.flags(quiet).build().flags(squeue::Flags::SKIP_SUCCESS)
        };
        self.push(entry, (index as u64) << 2 | SEND);
    }

    fn on_send(&mut self, index: usize, result: i32) {
        let conn = &mut self.conns[index];
        (conn.in_flight, conn.quiet) = (false, false);
        if result >= 0 || result == -libc::EAGAIN {
            conn.done += result.max(0) as usize;
        } else {
            conn.done = conn.sending.len();
            conn.out.clear();
        }
        let more = conn.done < conn.sending.len() || !conn.out.is_empty();
        if more && !conn.listed {
            conn.listed = true;
            self.ready.push(index);
        }
    }

    fn conclude_quiet(&mut self) {
        let mut quiet = std::mem::take(&mut self.quiet);
        for index in quiet.drain(..) {
            let conn = &mut self.conns[index];
            if conn.quiet {
                let sent = conn.sending.len() - conn.done;
                self.on_send(index, sent as i32);
            }
        }
        self.quiet = quiet;
    }
}

/// Runs all whole requests; returns the bytes that they took.
fn execute(data: &[u8], map: &mut Map, out: &mut Vec<u8>) -> usize {
    let mut used = 0;
    while let Some(len) = request(&data[used..], map, out) {
        used += len;
    }
    used
}

/// A decimal line after one sign byte; its value and its length with CRLF.
fn line(data: &[u8], sign: u8) -> Option<(usize, usize)> {
    let end = memchr::memchr(b'\n', data)?;
    assert!(
        data[0] == sign && end > 1,
        "the floor speaks only plain RESP"
    );
    let digits = &data[1..end - 1];
    Some((
        digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + usize::from(digit & 15)),
        end + 1,
    ))
}

/// The argument at `at`, and where the next one starts.
fn argument(data: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (len, head) = line(data.get(at..)?, b'$')?;
    let start = at + head;
    let whole = data.get(start..start + len + 2)?;
    Some((&whole[..len], start + len + 2))
}

/// Runs one request if it is whole; its length.
fn request(data: &[u8], map: &mut Map, out: &mut Vec<u8>) -> Option<usize> {
    let (count, start) = line(data, b'*')?;
    let mut args: [&[u8]; 3] = [b""; 3];
    let mut end = start;
    for i in 0..count {
        let (arg, next) = argument(data, end)?;
        if let Some(place) = args.get_mut(i) {
            *place = arg;
        }
        end = next;
    }
    let [name, first, second] = args;
    if name.eq_ignore_ascii_case(b"get") {
        match map.get(first) {
            Some(value) => bulk(out, value),
            None => out.extend_from_slice(b"$-1\r\n"),
        }
    } else if name.eq_ignore_ascii_case(b"set") {
        set(map, first, second);
        out.extend_from_slice(b"+OK\r\n");
    } else if name.eq_ignore_ascii_case(b"mset") {
        let (_, mut at) = argument(data, start)?;
        while at < end {
            let (key, next) = argument(data, at)?;
            let (value, next) = argument(data, next)?;
            set(map, key, value);
            at = next;
        }
        out.extend_from_slice(b"+OK\r\n");
    } else if name.eq_ignore_ascii_case(b"incr") {
        let value = map.entry_ref(first).or_default();
        let number = str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        let number = number.unwrap_or(0) + 1;
        value.clear();
        let _ = write!(value, "{number}");
        let _ = write!(out, ":{number}\r\n");
    } else if name.eq_ignore_ascii_case(b"ping") {
        out.extend_from_slice(b"+PONG\r\n");
    } else if name.eq_ignore_ascii_case(b"config") {
        out.extend_from_slice(b"*2\r\n");
        bulk(out, second);
        bulk(out, b"");
    } else {
        // COMMAND, and whatever else.
        out.extend_from_slice(b"*0\r\n");
    }
    Some(end)
}

fn set(map: &mut Map, key: &[u8], value: &[u8]) {
    let place = map.entry_ref(key).or_default();
    place.clear();
    place.extend_from_slice(value);
}

fn bulk(out: &mut Vec<u8>, data: &[u8]) {
    let mut digits = itoa::Buffer::new();
    out.push(b'$');
    out.extend_from_slice(digits.format(data.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}
