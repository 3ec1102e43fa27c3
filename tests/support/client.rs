//! A blocking client with a limit on every wait.

use super::resp::{self, Fault, Value};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A port of this machine, as an address.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    at: usize,
    timeout: Duration,
}

impl Client {
    /// Connects to a local port; panics if nobody listens.
    pub fn connect(port: u16) -> Client {
        Client::try_connect(port).unwrap_or_else(|e| panic!("cannot connect to {port}: {e}"))
    }

    pub fn try_connect(port: u16) -> io::Result<Client> {
        Client::connect_within(local(port), super::PATIENCE)
    }

    /// Connects to any address, which may not answer at all.
    pub fn connect_within(address: SocketAddr, limit: Duration) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_nodelay(true)?;
        let timeout = super::PATIENCE;
        Ok(Client {
            stream,
            input: Vec::new(),
            at: 0,
            timeout,
        })
    }

    /// The longest wait for one reply.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Runs a command written as words between blanks; panics if the link breaks.
    pub fn call(&mut self, words: &str) -> Value {
        let args: Vec<&str> = words.split_whitespace().collect();
        self.run(&args)
    }

    /// Runs a command; panics if the link breaks.
    pub fn run<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        match self.try_run(args) {
            Ok(reply) => reply,
            Err(e) => panic!("no reply to {}: {e}", resp::show(args)),
        }
    }

    pub fn try_run<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<Value> {
        self.send(&resp::request(args))?;
        self.read()
    }

    /// Runs a command that must answer `+OK`.
    pub fn must(&mut self, words: &str) {
        assert_eq!(self.call(words), Value::ok(), "reply to {words}");
    }

    /// Sends all commands at once and reads one reply for each.
    pub fn pipeline<A: AsRef<[u8]>>(&mut self, commands: &[Vec<A>]) -> io::Result<Vec<Value>> {
        let mut out = Vec::new();
        for command in commands {
            out.extend_from_slice(&resp::request(command));
        }
        self.exchange(&out, commands.len())
    }

    /// Sends bytes while reading `replies` replies, so that neither side's buffer can fill up
    /// and stop both.
    pub fn exchange(&mut self, bytes: &[u8], replies: usize) -> io::Result<Vec<Value>> {
        const CHUNK: usize = 32 * 1024;
        let mut values = Vec::with_capacity(replies);
        for chunk in bytes.chunks(CHUNK) {
            self.send(chunk)?;
            while let Some(value) = self.take_buffered()? {
                values.push(value);
            }
            self.fill_now()?;
        }
        while values.len() < replies {
            values.push(self.read()?);
        }
        Ok(values)
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.set_write_timeout(Some(self.timeout))?;
        self.stream.write_all(bytes)
    }

    /// The next reply; an error at end of stream or when the timeout is over.
    pub fn read(&mut self) -> io::Result<Value> {
        let deadline = Instant::now() + self.timeout;
        // A big value is not parsed anew for every packet.
        let mut wanted = 0;
        loop {
            if self.input.len() >= wanted {
                if let Some(value) = self.take_buffered()? {
                    return Ok(value);
                }
                wanted = self.wanted_more();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no reply in time"));
            }
            self.fill(left)?;
        }
    }

    /// How long the input must become before another try at parsing a bulk string makes sense.
    fn wanted_more(&self) -> usize {
        let head = &self.input[self.at..];
        if head.first() == Some(&b'$')
            && let Some(end) = head.iter().position(|&b| b == b'\r')
            && let Some(len) = std::str::from_utf8(&head[1..end])
                .ok()
                .and_then(|t| t.parse().ok())
        {
            let len: usize = len;
            return self.at + end + 2 + len + 2;
        }
        0
    }

    fn take_buffered(&mut self) -> io::Result<Option<Value>> {
        match resp::parse(&self.input, self.at) {
            Ok((value, end)) => {
                self.at = end;
                if self.at == self.input.len() {
                    self.input.clear();
                    self.at = 0;
                }
                Ok(Some(value))
            }
            Err(Fault::Incomplete) => Ok(None),
            Err(Fault::Malformed(text)) => Err(io::Error::new(io::ErrorKind::InvalidData, text)),
        }
    }

    /// Reads once, waiting at most `wait`.
    fn fill(&mut self, wait: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(wait))?;
        let mut chunk = vec![0; 256 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "closed by the server",
            )),
            Ok(n) => {
                self.input.extend_from_slice(&chunk[..n]);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "no reply in time"))
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Takes what has already arrived, without waiting.
    fn fill_now(&mut self) -> io::Result<()> {
        self.stream.set_nonblocking(true)?;
        let mut chunk = vec![0; 64 * 1024];
        let result = loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => break Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed")),
                Ok(n) => self.input.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(e) => break Err(e),
            }
        };
        self.stream.set_nonblocking(false)?;
        result
    }

    /// True once the server has closed the connection; waits for it within the timeout and drops
    /// what still arrives.
    pub fn closed_by_server(&mut self) -> bool {
        let deadline = Instant::now() + self.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            match self.fill(left) {
                Ok(()) => {
                    self.input.clear();
                    self.at = 0;
                }
                Err(e) if e.kind() == io::ErrorKind::TimedOut => return false,
                Err(_) => return true,
            }
        }
    }

    /// Everything that arrives until the server closes, as bytes.
    pub fn read_to_close(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the server did not close the connection");
            if let Err(e) = self.fill(left) {
                assert_ne!(
                    e.kind(),
                    io::ErrorKind::TimedOut,
                    "the server did not close"
                );
                return self.input.split_off(self.at);
            }
        }
    }

    /// Bytes that have arrived and are no part of a reply that was read; takes them.
    pub fn take_raw(&mut self) -> Vec<u8> {
        let rest = self.input.split_off(self.at);
        self.input.clear();
        self.at = 0;
        rest
    }

    /// Reads at least one more byte into the buffer that `take_raw` empties.
    pub fn fill_raw(&mut self, wait: Duration) -> io::Result<()> {
        self.fill(wait)
    }

    pub fn shutdown(&self, how: Shutdown) {
        // The server may have closed first; then there is nothing left to shut down.
        let _ = self.stream.shutdown(how);
    }

    /// The value of a field of `INFO`, or none.
    pub fn info(&mut self, section: &str, field: &str) -> Option<String> {
        let text = self.run(&["INFO", section]).text();
        let prefix = format!("{field}:");
        text.lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .map(|v| v.trim().to_owned())
    }

    /// A field of `INFO replication`; panics if it is missing.
    pub fn replication(&mut self, field: &str) -> String {
        self.info("replication", field)
            .unwrap_or_else(|| panic!("INFO replication without {field}"))
    }
}
