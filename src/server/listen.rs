//! The listening sockets: TCP on IPv4 and IPv6, and the Unix socket with its permissions.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Config;
use crate::net::Listeners;

/// Opens every listening socket of the configuration.
///
/// # Errors
/// One line for the user: which address, and why.
pub fn open(config: &Config) -> Result<Listeners, String> {
    let mut listeners = Listeners::default();
    if config.port != 0 {
        for word in &config.bind {
            // As in Redis, an address with a leading '-' may be missing.
            let (optional, word) = match word.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, word.as_str()),
            };
            let Some(address) = address(word, config.port) else {
                if optional {
                    continue;
                }
                return Err(format!("bind: '{word}' is no address and no known name"));
            };
            match patiently(|| tcp(address, config.tcp_backlog)) {
                Ok(listener) => listeners.tcp.push(listener),
                Err(error) if optional && is_unavailable(&error) => {}
                Err(error) => {
                    return Err(format!(
                        "Could not create server TCP listening socket {address}: {error}"
                    ));
                }
            }
        }
    }
    if !config.unixsocket.is_empty() {
        let listener = unix(config)
            .map_err(|error| format!("Opening Unix socket {}: {error}", config.unixsocket))?;
        listeners.unix = Some(listener);
    }
    if listeners.tcp.is_empty() && listeners.unix.is_none() {
        return Err("Configured to not listen anywhere, exiting.".to_owned());
    }
    Ok(listeners)
}

/// The kernel closes the sockets of a ring whose process was killed a little after the process is
/// gone, so a quick restart may find its own port still taken: on a busy machine for longer than a
/// second.
const PORT_TAKEN_PATIENCE: Duration = Duration::from_secs(5);

fn patiently(mut open: impl FnMut() -> io::Result<TcpListener>) -> io::Result<TcpListener> {
    let began = Instant::now();
    loop {
        match open() {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && began.elapsed() < PORT_TAKEN_PATIENCE =>
            {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}

/// The address of one word of `bind`: an address, a wildcard, or a name that the system knows.
fn address(word: &str, port: u16) -> Option<SocketAddr> {
    match word {
        "*" => Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)),
        "::*" => Some(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)),
        word => (word, port).to_socket_addrs().ok()?.next(),
    }
}

fn is_unavailable(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [
        libc::EADDRNOTAVAIL,
        libc::EAFNOSUPPORT,
        libc::EPROTONOSUPPORT,
        libc::ENOPROTOOPT,
    ]
    .iter()
    .any(|known| code == Some(*known))
}

fn tcp(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// The permissions are in force before anybody can connect: the socket listens only after they are
/// set.
fn unix(config: &Config) -> io::Result<UnixListener> {
    let path = &config.unixsocket;
    let _ = std::fs::remove_file(path);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    if config.unixsocketperm != 0 {
        let mode = std::fs::Permissions::from_mode(config.unixsocketperm);
        std::fs::set_permissions(path, mode)?;
    }
    socket.listen(i32::try_from(config.tcp_backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}
