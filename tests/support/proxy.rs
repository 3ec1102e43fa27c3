//! A TCP proxy that can be paused, slowed and cut at any byte.

use super::client::local;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often a pump looks at its switches.
const LOOK: Duration = Duration::from_millis(10);

/// The longest that a target which does not answer may keep others waiting.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// Switches of one direction.
#[derive(Default)]
struct Direction {
    stalled: AtomicBool,
    /// Bytes a second; 0 is no limit.
    rate: AtomicU64,
    /// Bytes until the link is cut; negative is never.
    budget: AtomicI64,
    passed: AtomicU64,
}

struct Switches {
    /// From the client to the server.
    up: Direction,
    /// From the server to the client.
    down: Direction,
    /// Where new links go.
    target: Mutex<SocketAddr>,
    refusing: AtomicBool,
    ending: AtomicBool,
    accepted: AtomicUsize,
    links: Mutex<Vec<(TcpStream, TcpStream)>>,
}

/// Listens on a port of its own and forwards to another one. Stops when dropped.
pub struct Proxy {
    pub port: u16,
    switches: Arc<Switches>,
}

/// A direction through the proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    ToServer,
    ToClient,
}

impl Proxy {
    pub fn to(target: u16) -> Proxy {
        Proxy::between(Ipv4Addr::LOCALHOST, local(target))
    }

    /// A proxy that listens at another address than loopback, to another one.
    pub fn between(listens: Ipv4Addr, target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind((listens, 0)).expect("a port for the proxy");
        listener
            .set_nonblocking(true)
            .expect("a listener that can be polled");
        let port = listener.local_addr().expect("a bound listener").port();
        let switches = Arc::new(Switches {
            up: Direction::default(),
            down: Direction::default(),
            target: Mutex::new(target),
            refusing: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            links: Mutex::new(Vec::new()),
        });
        switches.up.budget.store(-1, SeqCst);
        switches.down.budget.store(-1, SeqCst);
        let shared = Arc::clone(&switches);
        std::thread::spawn(move || accept_all(&listener, &shared));
        Proxy { port, switches }
    }

    fn way(&self, way: Way) -> &Direction {
        match way {
            Way::ToServer => &self.switches.up,
            Way::ToClient => &self.switches.down,
        }
    }

    /// Links made from now on go to another port, as when a name or an address moves.
    pub fn retarget(&self, target: u16) {
        *self.switches.target.lock().expect("it is only assigned") = local(target);
    }

    /// Cuts every link now. New ones are still accepted.
    pub fn cut(&self) {
        for (a, b) in self
            .switches
            .links
            .lock()
            .expect("no pump panics")
            .drain(..)
        {
            // A link that is already down needs no cut.
            let _ = a.shutdown(Shutdown::Both);
            let _ = b.shutdown(Shutdown::Both);
        }
    }

    /// Cuts every link once `bytes` more have passed in that direction, to the byte.
    pub fn cut_after(&self, way: Way, bytes: u64) {
        self.way(way).budget.store(bytes as i64, SeqCst);
    }

    /// True once a cut ordered by `cut_after` has happened.
    pub fn was_cut(&self, way: Way) -> bool {
        self.way(way).budget.load(SeqCst) < 0
    }

    /// Holds back all bytes of one direction, or lets them go on.
    pub fn stall(&self, way: Way, on: bool) {
        self.way(way).stalled.store(on, SeqCst);
    }

    /// Limits one direction to so many bytes a second; 0 lifts the limit.
    pub fn limit(&self, way: Way, bytes_per_second: u64) {
        self.way(way).rate.store(bytes_per_second, SeqCst);
    }

    /// Closes new links at once, or accepts them again.
    pub fn refuse(&self, on: bool) {
        self.switches.refusing.store(on, SeqCst);
    }

    /// Links accepted so far, refused ones not counted.
    pub fn accepted(&self) -> usize {
        self.switches.accepted.load(SeqCst)
    }

    /// Bytes passed on so far.
    pub fn passed(&self, way: Way) -> u64 {
        self.way(way).passed.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.switches.ending.store(true, SeqCst);
        self.cut();
    }
}

fn accept_all(listener: &TcpListener, switches: &Arc<Switches>) {
    while !switches.ending.load(SeqCst) {
        let Ok((client, _)) = listener.accept() else {
            super::pause(5);
            continue;
        };
        if switches.refusing.load(SeqCst) {
            continue;
        }
        let target = *switches.target.lock().expect("it is only assigned");
        let Ok(server) = TcpStream::connect_timeout(&target, CONNECT_MAX) else {
            continue;
        };
        if let Err(e) = link(client, server, switches) {
            eprintln!("proxy: {e}");
        }
    }
}

fn link(client: TcpStream, server: TcpStream, switches: &Arc<Switches>) -> std::io::Result<()> {
    for stream in [&client, &server] {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
    }
    let pair = (client.try_clone()?, server.try_clone()?);
    switches.links.lock().expect("no pump panics").push(pair);
    switches.accepted.fetch_add(1, SeqCst);
    let up = (
        client.try_clone()?,
        server.try_clone()?,
        Arc::clone(switches),
    );
    let down = (server, client, Arc::clone(switches));
    std::thread::spawn(move || pump(up.0, up.1, &up.2, |s| &s.up));
    std::thread::spawn(move || pump(down.0, down.1, &down.2, |s| &s.down));
    Ok(())
}

/// Moves bytes one way until either end closes.
fn pump(
    mut from: TcpStream,
    mut to: TcpStream,
    switches: &Switches,
    way: fn(&Switches) -> &Direction,
) {
    let way = way(switches);
    let mut chunk = vec![0; 64 * 1024];
    while !switches.ending.load(SeqCst) {
        if way.stalled.load(SeqCst) {
            super::pause(5);
            continue;
        }
        let rate = way.rate.load(SeqCst);
        // A limited pump moves a fiftieth of a second's share at a time.
        let share = if rate == 0 {
            chunk.len()
        } else {
            (rate as usize / 50).clamp(1, 64 * 1024)
        };
        let count = match from.read(&mut chunk[..share]) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                continue;
            }
            Err(_) => break,
        };
        while way.stalled.load(SeqCst) && !switches.ending.load(SeqCst) {
            super::pause(5);
        }
        let budget = way.budget.load(SeqCst);
        let allowed = if budget < 0 {
            count
        } else {
            count.min(budget as usize)
        };
        if to.write_all(&chunk[..allowed]).is_err() {
            break;
        }
        way.passed.fetch_add(allowed as u64, SeqCst);
        if budget >= 0 {
            let cut_now = allowed as i64 == budget;
            way.budget
                .store(if cut_now { -1 } else { budget - allowed as i64 }, SeqCst);
            if cut_now {
                break;
            }
        }
        if rate != 0 {
            super::pause(20);
        }
    }
    // What was written before still goes out: a shutdown is not a reset.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
