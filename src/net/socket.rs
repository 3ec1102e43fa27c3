//! Sockets: names, options, and outgoing connections before they are connected.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::seam::{ConnectOptions, Now, Peer, Target};

/// Prepares a socket that was just accepted: without Nagle's delay for TCP.
///
/// # Errors
/// When the peer is gone already.
pub(super) fn prepare(fd: &OwnedFd) -> io::Result<Peer> {
    let peer = peer(fd.as_fd())?;
    if let Peer::Tcp(..) = peer {
        SockRef::from(fd).set_tcp_nodelay(true)?;
    }
    Ok(peer)
}

/// Both ends of a connected socket.
pub(super) fn peer(fd: BorrowedFd<'_>) -> io::Result<Peer> {
    let socket = SockRef::from(&fd);
    let local = socket.local_addr()?;
    match local.as_socket() {
        Some(local) => {
            let remote = socket.peer_addr()?.as_socket();
            let remote = remote.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
            Ok(Peer::Tcp(remote, local))
        }
        None => Ok(Peer::Unix(
            local.as_pathname().map_or_else(PathBuf::new, Into::into),
        )),
    }
}

/// Sends probes after `seconds` of silence, then every third of it; three unanswered ones end the
/// connection (as Redis's `anetKeepAlive`). 0 turns probes off.
pub(super) fn set_keepalive(fd: BorrowedFd<'_>, seconds: u32) -> io::Result<()> {
    let socket = SockRef::from(&fd);
    if seconds == 0 {
        return socket.set_keepalive(false);
    }
    let interval = (seconds / 3).max(1);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(seconds.into()))
        .with_interval(Duration::from_secs(interval.into()))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)
}

/// Turns Nagle's delay off or on. Unix sockets have none.
pub(super) fn set_nodelay(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let socket = SockRef::from(&fd);
    match socket.local_addr()?.as_socket() {
        Some(_) => socket.set_tcp_nodelay(on),
        None => Ok(()),
    }
}

/// Makes the socket of an outgoing connection, and the address to connect it to. io_uring takes a
/// non-blocking socket as a wish for EAGAIN, so only epoll's are.
pub(super) fn dial(
    target: &Target,
    options: &ConnectOptions,
    nonblocking: bool,
) -> io::Result<(Socket, SockAddr)> {
    let mut kind = Type::STREAM.cloexec();
    if nonblocking {
        kind = kind.nonblocking();
    }
    match target {
        Target::Tcp(address) => {
            let socket = Socket::new(Domain::for_address(*address), kind, Some(Protocol::TCP))?;
            socket.set_tcp_nodelay(true)?;
            if let Some(source) = options.source
                && let Err(error) = socket.bind(&std::net::SocketAddr::new(source, 0).into())
            {
                // As in Redis: better from another address than not at all.
                tracing::warn!(%source, %error, "cannot connect from bind-source-addr");
            }
            Ok((socket, (*address).into()))
        }
        Target::Unix(path) => Ok((
            Socket::new(Domain::UNIX, kind, None)?,
            SockAddr::unix(path)?,
        )),
    }
}

/// The clocks of [`Now`].
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Clock {
            start: Instant::now(),
        }
    }

    /// Reads both clocks. A wall clock before 1970 reads as 0.
    pub(super) fn now(&self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            unix_ms: unix.as_millis() as u64,
            mono_ns: self.start.elapsed().as_nanos() as u64,
        }
    }
}

/// What an error of accepting asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AcceptFailure {
    /// This one connection failed, or was none; go on at once.
    Skip,
    /// The process or the system lacks something; go on after a pause, or the listener would spin.
    Backoff,
}

impl AcceptFailure {
    /// Sorts an errno. What is not known to concern a single connection is answered with a pause:
    /// nothing ends accepting, nothing spins.
    pub(super) fn of(errno: i32) -> Self {
        match errno {
            libc::EAGAIN | libc::EINTR | libc::ECONNABORTED | libc::EPROTO | libc::EPERM => {
                AcceptFailure::Skip
            }
            _ => AcceptFailure::Backoff,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    #[test]
    fn nagles_delay_is_turned_on_and_off() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for on in [true, false, true] {
            set_nodelay(client.as_fd(), on).unwrap();
            assert_eq!(client.nodelay().unwrap(), on);
        }
        let (unix, _other) = UnixStream::pair().unwrap();
        set_nodelay(unix.as_fd(), true).unwrap();
    }

    #[test]
    fn a_connection_comes_from_its_source_address_if_that_is_possible() {
        let target = Target::Tcp(SocketAddr::from(([127, 0, 0, 1], 9)));
        let dialled = |source: IpAddr| {
            let options = ConnectOptions {
                source: Some(source),
            };
            let (socket, _) = dial(&target, &options, true).unwrap();
            socket.local_addr().unwrap().as_socket().unwrap().ip()
        };
        let source = IpAddr::from([127, 0, 0, 5]);
        assert_eq!(dialled(source), source);
        // Not one of this host's addresses, and of another family.
        let elsewhere = IpAddr::from([192, 0, 2, 1]);
        assert!(dialled(elsewhere).is_unspecified());
        assert!(dialled(IpAddr::from([0u16; 8])).is_unspecified());
    }
}
