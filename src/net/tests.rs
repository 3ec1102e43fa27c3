//! Both drivers, driven over real sockets; most tests run over each kind.

// Silence on a socket is what these tests wait for: there is nothing to poll.
#![allow(clippy::disallowed_methods)]
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

use super::*;

/// What the driver told the handler.
enum Event<'a> {
    Accepted(ConnId, Peer),
    Connected(ConnId, io::Result<()>),
    Received(ConnId, &'a [u8]),
    Sent(ConnId, usize),
    Finished(ConnId),
    Closed(ConnId),
    Tick,
}

/// A handler made of a closure; what it returns matters for ticks only, where `None` is for ever.
struct Script<F> {
    react: F,
    hold: bool,
    stop: Arc<AtomicBool>,
}

impl<F: FnMut(&mut Io, Event<'_>) -> Option<Sleep>> Handler for Script<F> {
    fn accepted(&mut self, io: &mut Io, conn: ConnId, peer: Peer) {
        (self.react)(io, Event::Accepted(conn, peer));
    }
    fn connected(&mut self, io: &mut Io, conn: ConnId, result: io::Result<()>) {
        (self.react)(io, Event::Connected(conn, result));
    }
    fn received(&mut self, io: &mut Io, conn: ConnId, data: &[u8]) {
        assert!(!data.is_empty());
        (self.react)(io, Event::Received(conn, data));
    }
    fn sent(&mut self, io: &mut Io, conn: ConnId, bytes: usize) {
        (self.react)(io, Event::Sent(conn, bytes));
    }
    fn finished(&mut self, io: &mut Io, conn: ConnId) -> bool {
        (self.react)(io, Event::Finished(conn));
        self.hold
    }
    fn closed(&mut self, io: &mut Io, conn: ConnId) {
        (self.react)(io, Event::Closed(conn));
    }
    fn tick(&mut self, io: &mut Io, _: Now) -> Sleep {
        let sleep = (self.react)(io, Event::Tick).unwrap_or(Sleep::Forever);
        if self.stop.load(Ordering::Acquire) {
            Sleep::Exit
        } else {
            sleep
        }
    }
}

/// One running driver; stops when dropped.
struct Server {
    address: SocketAddr,
    waker: Waker,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
        }
    }
}

/// Small sizes, so that every queue and ring overflows in any test that works it a little.
fn small(config: &mut DriverConfig) {
    config.queue_entries = 2;
    config.recv_buffers = 2;
    config.recv_buffer_len = 512;
}

fn start<F>(kind: IoKind, sizes: impl FnOnce(&mut DriverConfig), hold: bool, react: F) -> Server
where
    F: FnMut(&mut Io, Event<'_>) -> Option<Sleep> + Send + 'static,
{
    let (waker, sleeper) = Waker::new().unwrap();
    let mut config = DriverConfig::new(0, Arc::new(Balance::new(vec![waker.clone()])));
    sizes(&mut config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listeners = Listeners {
        tcp: vec![listener],
        unix: None,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut script = Script {
        react,
        hold,
        stop: stop.clone(),
    };
    let thread = std::thread::spawn(move || {
        run(kind, config, listeners, sleeper, &mut script).unwrap();
    });
    Server {
        address,
        waker,
        stop,
        thread: Some(thread),
    }
}

fn echo(io: &mut Io, event: Event<'_>) -> Option<Sleep> {
    if let Event::Received(conn, data) = event {
        let mut buffer = io.buffer();
        buffer.extend_from_slice(data);
        io.send(conn, buffer);
    }
    None
}

/// Bytes in which a lost, doubled or moved piece shows.
fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|i| ((i + seed).wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect()
}

fn read_exactly(stream: &mut impl Read, len: usize) -> Vec<u8> {
    let mut data = vec![0; len];
    stream.read_exact(&mut data).unwrap();
    data
}

/// Runs each test over both drivers, or over epoll alone where io_uring is not to be had.
macro_rules! over_both {
    ($($name:ident($kind:ident) $body:block)*) => {$(
        mod $name {
            use super::*;
            fn body($kind: IoKind) $body
            #[test]
            fn uring() {
                if probe().uring {
                    body(IoKind::Uring);
                }
            }
            #[test]
            fn epoll() {
                body(IoKind::Epoll);
            }
        }
    )*};
}

over_both! {
    bytes_come_back_in_order(kind) {
        let server = start(kind, |_| (), false, echo);
        let mut stream = server.connect();
        for len in [1, 100, 16 * 1024, 16 * 1024 + 1, 300_000] {
            let data = pattern(len, len);
            let mut writer = stream.try_clone().unwrap();
            let expected = data.clone();
            let thread = std::thread::spawn(move || writer.write_all(&data).unwrap());
            assert!(read_exactly(&mut stream, len) == expected);
            thread.join().unwrap();
        }
    }

    a_full_submission_queue_forgets_no_rearm_and_no_send(kind) {
        // 100 connections on a queue of two entries: arming, cancelling and sending all find it
        // full.
        let server = start(kind, small, false, echo);
        let mut streams: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
        for round in 0..20 {
            for (i, stream) in streams.iter_mut().enumerate() {
                stream.write_all(&pattern(64, i + round)).unwrap();
            }
            for (i, stream) in streams.iter_mut().enumerate() {
                assert_eq!(read_exactly(stream, 64), pattern(64, i + round));
            }
        }
    }

    large_values_arrive_although_the_buffers_run_out(kind) {
        // Four peers push far more than the two buffers of 512 bytes, so that receives end for lack
        // of buffers in the middle of a value, over and over.
        const LEN: usize = 2 << 20;
        let mut input: HashMap<ConnId, Vec<u8>> = HashMap::new();
        let server = start(kind, small, false, move |io, event| {
            if let Event::Received(conn, data) = event {
                let value = input.entry(conn).or_default();
                value.extend_from_slice(data);
                if value.len() == LEN {
                    let ok = value[1..] == pattern(LEN - 1, usize::from(value[0]));
                    io.send(conn, vec![u8::from(ok)]);
                }
            }
            None
        });
        let threads: Vec<_> = (0..4u8)
            .map(|seed| {
                let mut stream = server.connect();
                std::thread::spawn(move || {
                    stream.write_all(&[seed]).unwrap();
                    stream.write_all(&pattern(LEN - 1, seed.into())).unwrap();
                    read_exactly(&mut stream, 1)[0]
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 1);
        }
    }

    a_pause_loses_no_byte_and_keeps_the_order(kind) {
        // Each delivery pauses; a thread resumes through the waker, again and again.
        const LEN: usize = 400_000;
        let (mut value, mut paused) = (Vec::new(), None);
        let (done, result) = mpsc::channel();
        let server = start(kind, small, false, move |io, event| match event {
            Event::Received(conn, data) => {
                assert!(paused.is_none(), "a paused connection delivers nothing");
                value.extend_from_slice(data);
                if value.len() == LEN {
                    done.send(value == pattern(LEN, 7)).unwrap();
                }
                io.pause(conn);
                paused = Some((conn, value.len() % 3));
                None
            }
            Event::Tick => match paused {
                Some((conn, 0)) => {
                    io.resume(conn);
                    paused = None;
                    None
                }
                // Several turns pass, so that the pause takes effect in the kernel.
                Some((conn, turns)) => {
                    paused = Some((conn, turns - 1));
                    Some(Sleep::Poll)
                }
                None => None,
            },
            _ => None,
        });
        let mut stream = server.connect();
        stream.write_all(&pattern(LEN, 7)).unwrap();
        assert!(result.recv_timeout(Duration::from_secs(20)).unwrap());
    }

    a_paused_connection_makes_the_peer_wait_and_then_hears_its_end(kind) {
        let (seen, events) = mpsc::channel();
        let go = Arc::new(AtomicBool::new(false));
        let going = go.clone();
        let (mut conns, mut received) = (None, 0);
        let server = start(kind, |_| (), false, move |io, event| {
            match event {
                Event::Accepted(conn, _) => {
                    io.pause(conn);
                    conns = Some(conn);
                }
                Event::Received(_, data) => received += data.len(),
                Event::Closed(_) => seen.send(received).unwrap(),
                Event::Tick if going.load(Ordering::Acquire) => {
                    if let Some(conn) = conns {
                        io.resume(conn);
                    }
                }
                _ => {}
            }
            None
        });
        let mut stream = server.connect();
        stream.set_nonblocking(true).unwrap();
        // The socket's buffers fill, and then nobody takes more.
        let data = vec![1; 1 << 16];
        let (mut written, mut refused) = (0, 0);
        while refused < 20 {
            match stream.write(&data) {
                Ok(count) => (written, refused) = (written + count, 0),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    refused += 1;
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            assert!(written < 256 << 20, "the pause has no effect");
        }
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(events.try_recv().is_err());
        go.store(true, Ordering::Release);
        server.waker.wake();
        assert_eq!(events.recv_timeout(Duration::from_secs(20)).unwrap(), written);
    }

    partial_sends_of_mixed_chunks_continue_where_they_stopped(kind) {
        // Far more than a socket takes, in more chunks than one send takes, to a reader that starts
        // late.
        let shared = Bytes::from(pattern(100_000, 1));
        let mut expected = Vec::new();
        for i in 0..300 {
            expected.extend(pattern(i * 37, i));
            expected.extend_from_slice(&shared[i..][..50_000]);
        }
        let total = expected.len();
        let (told, sums) = mpsc::channel();
        let mut sent = 0;
        let server = start(kind, small, false, move |io, event| {
            match event {
                Event::Received(conn, _) => {
                    for i in 0..300 {
                        io.send(conn, pattern(i * 37, i));
                        io.send(conn, shared.slice(i..i + 50_000));
                    }
                    assert_eq!(io.queued(conn), total);
                }
                Event::Sent(conn, bytes) => {
                    sent += bytes;
                    assert_eq!(io.queued(conn), total - sent);
                    if sent == total {
                        told.send(()).unwrap();
                    }
                }
                _ => {}
            }
            None
        });
        let mut stream = server.connect();
        stream.write_all(b"go").unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert!(read_exactly(&mut stream, total) == expected);
        sums.recv_timeout(Duration::from_secs(20)).unwrap();
    }

    short_replies_to_a_reader_that_sleeps_are_neither_lost_nor_stuck(kind) {
        // Many short replies fill the socket's buffer, so that a quiet send fails in part or whole.
        let server = start(kind, |_| (), false, echo);
        let mut stream = server.connect();
        let mut writer = stream.try_clone().unwrap();
        let data = pattern(24 << 20, 3);
        let expected = data.clone();
        let thread = std::thread::spawn(move || {
            for piece in data.chunks(1000) {
                writer.write_all(piece).unwrap();
            }
        });
        std::thread::sleep(Duration::from_millis(300));
        assert!(read_exactly(&mut stream, expected.len()) == expected);
        thread.join().unwrap();
    }

    closing_after_the_flush_sends_everything_and_tells_once(kind) {
        let (told, closed) = mpsc::channel();
        let server = start(kind, |_| (), false, move |io, event| {
            match event {
                Event::Received(conn, _) => {
                    io.send(conn, pattern(3_000_000, 5));
                    io.close_after_flush(conn);
                    io.send(conn, b"after the end".to_vec());
                }
                Event::Closed(conn) => told.send(conn).unwrap(),
                _ => {}
            }
            None
        });
        let mut stream = server.connect();
        stream.write_all(b"x").unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert!(all == pattern(3_000_000, 5));
        let conn = closed.recv_timeout(Duration::from_secs(20)).unwrap();
        drop(server);
        assert_eq!(closed.iter().count(), 0, "{conn:?} was told twice");
    }

    closing_now_closes_the_socket_with_output_in_flight(kind) {
        let (told, closed) = mpsc::channel();
        let server = start(kind, small, false, move |io, event| {
            match event {
                Event::Received(conn, b"x") => io.send(conn, vec![0; 64 << 20]),
                Event::Received(conn, _) => {
                    assert!(io.queued(conn) > 0);
                    io.close_now(conn);
                    assert_eq!(io.queued(conn), 0);
                }
                Event::Closed(conn) => told.send(conn).unwrap(),
                _ => {}
            }
            None
        });
        for _ in 0..20 {
            let mut stream = server.connect();
            stream.write_all(b"x").unwrap();
            read_exactly(&mut stream, 10);
            stream.write_all(b"yy").unwrap();
            // The end or a reset, which both need that the descriptor is closed.
            let _ = io::copy(&mut stream, &mut io::sink());
        }
        drop(server);
        assert_eq!(closed.iter().count(), 0);
    }

    a_dead_id_does_not_reach_the_next_connection_of_its_slot(kind) {
        let mut ids: Vec<ConnId> = Vec::new();
        let server = start(kind, |_| (), false, move |io, event| {
            match event {
                Event::Accepted(conn, _) => ids.push(conn),
                Event::Received(conn, _) => {
                    for &id in ids.iter().filter(|&&id| id != conn) {
                        assert_eq!(id.index, conn.index, "the slot is reused");
                        io.send(id, b"for the dead".to_vec());
                        io.close_now(id);
                        assert!(io.peer(id).is_err());
                    }
                    io.send(conn, b"ok".to_vec());
                }
                _ => {}
            }
            None
        });
        for _ in 0..5 {
            let mut stream = server.connect();
            stream.write_all(b"x").unwrap();
            assert_eq!(read_exactly(&mut stream, 2), b"ok");
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
        }
    }

    a_peer_that_ended_its_half_still_gets_its_replies(kind) {
        let server = start(kind, |_| (), false, echo);
        for _ in 0..20 {
            let mut stream = server.connect();
            stream.write_all(&pattern(200_000, 2)).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            assert!(all == pattern(200_000, 2));
        }
    }

    a_held_connection_answers_after_the_peers_end(kind) {
        let mut waiting = None;
        let server = start(kind, |_| (), true, move |io, event| match event {
            Event::Finished(conn) => {
                waiting = Some((conn, 3));
                None
            }
            Event::Tick => match waiting.take() {
                Some((conn, 0)) => {
                    io.send(conn, b"late".to_vec());
                    io.close_after_flush(conn);
                    None
                }
                Some((conn, turns)) => {
                    waiting = Some((conn, turns - 1));
                    Some(Sleep::For(Duration::from_millis(2)))
                }
                None => None,
            },
            _ => None,
        });
        let mut stream = server.connect();
        stream.write_all(b"x").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"late");
    }

    a_reset_is_told_as_closed(kind) {
        let (told, closed) = mpsc::channel();
        let server = start(kind, |_| (), false, move |io, event| {
            if let Event::Closed(conn) = event {
                told.send(conn).unwrap();
            }
            echo(io, event)
        });
        let mut stream = server.connect();
        stream.write_all(b"x").unwrap();
        read_exactly(&mut stream, 1);
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        closed.recv_timeout(Duration::from_secs(20)).unwrap();
    }

    every_wake_up_reaches_a_tick_and_time_passes(kind) {
        let mail = Arc::new(AtomicUsize::new(0));
        let (box_, (answers, answer)) = (mail.clone(), mpsc::channel());
        let mut seen = 0;
        let server = start(kind, |_| (), false, move |_, event| {
            if let Event::Tick = event {
                let now = box_.load(Ordering::Relaxed);
                if now != seen {
                    seen = now;
                    answers.send(now).unwrap();
                }
            }
            None
        });
        for message in 1..5000 {
            mail.store(message, Ordering::Relaxed);
            server.waker.wake();
            assert_eq!(answer.recv_timeout(Duration::from_secs(20)).unwrap(), message);
        }
        let (ticked, ticks) = mpsc::channel();
        let _timed = start(kind, |_| (), false, move |_, event| {
            if let Event::Tick = event {
                let _ = ticked.send(());
            }
            Some(Sleep::For(Duration::from_micros(1500)))
        });
        for _ in 0..50 {
            ticks.recv_timeout(Duration::from_secs(20)).unwrap();
        }
    }

    outgoing_connections_succeed_or_tell_why_not(kind) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let unix = UnixListener::bind(&path).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = tcp.local_addr().unwrap();
        let refused = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        };
        let (told, outcomes) = mpsc::channel();
        let mut targets = vec![
            Target::Tcp(open),
            Target::Unix(path),
            Target::Tcp(refused),
            Target::Unix(dir.path().join("nobody")),
        ];
        let mut started: Vec<ConnId> = Vec::new();
        let _server = start(kind, small, false, move |io, event| {
            match event {
                Event::Tick => {
                    for target in targets.drain(..) {
                        started.push(io.connect(target, ConnectOptions::default()));
                        io.send(*started.last().unwrap(), b"hello".to_vec());
                    }
                }
                Event::Connected(conn, outcome) => {
                    let which = started.iter().position(|&id| id == conn).unwrap();
                    told.send((which, outcome.map_err(|error| error.kind()))).unwrap();
                }
                _ => {}
            }
            None
        });
        let mut results: Vec<_> =
            (0..4).map(|_| outcomes.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
        results.sort_by_key(|result| result.0);
        assert_eq!(results, [
            (0, Ok(())),
            (1, Ok(())),
            (2, Err(io::ErrorKind::ConnectionRefused)),
            (3, Err(io::ErrorKind::NotFound)),
        ]);
        assert_eq!(read_exactly(&mut tcp.accept().unwrap().0, 5), b"hello");
        assert_eq!(read_exactly(&mut unix.accept().unwrap().0, 5), b"hello");
    }

    unix_clients_are_served_and_named_by_the_servers_path(kind) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let (waker, sleeper) = Waker::new().unwrap();
        let config = DriverConfig::new(0, Arc::new(Balance::new(vec![waker.clone()])));
        let listeners =
            Listeners { tcp: Vec::new(), unix: Some(UnixListener::bind(&path).unwrap()) };
        let stop = Arc::new(AtomicBool::new(false));
        let (told, peers) = mpsc::channel();
        let react = move |io: &mut Io, event: Event<'_>| {
            if let Event::Accepted(_, peer) = &event {
                told.send(peer.clone()).unwrap();
            }
            echo(io, event)
        };
        let mut script = Script { react, hold: false, stop: stop.clone() };
        let thread =
            std::thread::spawn(move || run(kind, config, listeners, sleeper, &mut script));
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"hello").unwrap();
        assert_eq!(read_exactly(&mut stream, 5), b"hello");
        assert_eq!(peers.recv().unwrap(), Peer::Unix(path));
        stop.store(true, Ordering::Release);
        waker.wake();
        thread.join().unwrap().unwrap();
    }

    sixty_four_connections_are_spread_evenly_over_four_shards(kind) {
        const SHARDS: usize = 4;
        let (wakers, sleepers): (Vec<_>, Vec<_>) =
            (0..SHARDS).map(|_| Waker::new().unwrap()).unzip();
        let balance = Arc::new(Balance::new(wakers.clone()));
        let stop = Arc::new(AtomicBool::new(false));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut listeners = Some(Listeners { tcp: vec![listener], unix: None });
        let threads: Vec<_> = (0..SHARDS)
            .zip(sleepers)
            .map(|(shard, sleeper)| {
                let config = DriverConfig::new(shard, balance.clone());
                let listeners = listeners.take().unwrap_or_default();
                let stop = stop.clone();
                std::thread::spawn(move || {
                    let react = move |io: &mut Io, event: Event<'_>| {
                        if let Event::Received(conn, _) = event {
                            io.send(conn, vec![shard as u8]);
                        }
                        None
                    };
                    let mut script = Script { react, hold: false, stop };
                    run(kind, config, listeners, sleeper, &mut script).unwrap();
                })
            })
            .collect();
        let mut served = [0; SHARDS];
        let mut streams = Vec::new();
        for _ in 0..64 {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"?").unwrap();
            streams.push(stream);
        }
        for stream in &mut streams {
            served[usize::from(read_exactly(stream, 1)[0])] += 1;
        }
        assert_eq!(served, [16; SHARDS]);
        // Those that end make room on their shards.
        streams.clear();
        let patience = std::time::Instant::now() + Duration::from_secs(20);
        while std::time::Instant::now() < patience
            && (0..SHARDS).any(|shard| balance.open(shard) != 0) {
            std::thread::yield_now();
        }
        assert_eq!((0..SHARDS).map(|shard| balance.open(shard)).sum::<usize>(), 0);
        stop.store(true, Ordering::Release);
        wakers.iter().for_each(Waker::wake);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn output_chunks_that_fit_behind_each_other_become_one() {
    let mut io = Io::new();
    let conn = io.open(None, super::io::Phase::Open);
    let mut first = Vec::with_capacity(64);
    first.extend_from_slice(b"first ");
    io.send(conn, first);
    io.send(conn, b"second ".to_vec());
    io.send(conn, Bytes::from_static(b"third"));
    io.send(conn, b"fourth".to_vec());
    let parts: Vec<&[u8]> = io.slot(conn.index).unsent().collect();
    assert_eq!(parts, [&b"first second "[..], b"third", b"fourth"]);
    // In the kernel's hands nothing is appended to.
    io.slot(conn.index).pinned = 3;
    io.send(conn, b"5".to_vec());
    assert_eq!(io.slot(conn.index).unsent().len(), 4);
    io.advance(conn.index, 14);
    let parts: Vec<&[u8]> = io.slot(conn.index).unsent().collect();
    assert_eq!(parts, [&b"hird"[..], b"fourth", b"5"]);
    assert_eq!(io.queued(conn), 11);
}

#[test]
fn sent_buffers_come_back_empty_and_huge_ones_do_not() {
    let mut io = Io::new();
    let conn = io.open(None, super::io::Phase::Open);
    let mut small = io.buffer();
    small.extend_from_slice(&[1; 100]);
    let capacity = small.capacity();
    io.send(conn, small);
    io.send(conn, vec![0; 65 * 1024]);
    io.advance(conn.index, 100 + 65 * 1024);
    assert_eq!(io.buffer(), Vec::<u8>::new());
    assert_eq!(io.buffer().capacity(), 0, "only one of the two was kept");
    io.recycle(Vec::with_capacity(capacity));
    assert!(io.buffer().capacity() >= capacity);
}
