//! A small blocking RESP2 client: enough to load keys, ask for INFO and time single commands.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a server may take over one reply before the measurement fails.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// One connection.
pub struct Client {
    stream: Stream,
    output: Vec<u8>,
    input: Vec<u8>,
    /// Bytes of `input` that were consumed as replies.
    consumed: usize,
    /// Poll the socket instead of sleeping in it: no wake-up latency of our own in what is timed.
    spin: bool,
}

impl Client {
    /// Connects to `port` on the loopback address.
    ///
    /// # Errors
    /// As connect(2).
    pub fn tcp(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Self::over(Stream::Tcp(stream)))
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    /// As connect(2).
    pub fn unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Self::over(Stream::Unix(stream)))
    }

    fn over(stream: Stream) -> Self {
        Self {
            stream,
            output: Vec::new(),
            input: Vec::new(),
            consumed: 0,
            spin: false,
        }
    }

    /// From now on polls for replies. Only for one request of bounded size at a time.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn set_spin(&mut self) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_nonblocking(true)?,
            Stream::Unix(stream) => stream.set_nonblocking(true)?,
        }
        self.spin = true;
        Ok(())
    }

    /// Subscribes to a channel and gives the connection away, for what comes to be read without
    /// waiting.
    ///
    /// # Errors
    /// As [`Client::skip_replies`].
    pub fn subscribe(mut self, channel: &str) -> io::Result<TcpStream> {
        self.call(&["SUBSCRIBE", channel])?;
        let stream = self.into_tcp()?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }

    /// Gives the connection away, at a moment when every reply has been read.
    ///
    /// # Errors
    /// It is a Unix socket's.
    pub fn into_tcp(self) -> io::Result<TcpStream> {
        match self.stream {
            Stream::Tcp(stream) => Ok(stream),
            Stream::Unix(_) => Err(io::Error::other("the connection is not TCP")),
        }
    }

    /// Queues one request.
    pub fn push(&mut self, arguments: &[&[u8]]) {
        // Writing into a Vec cannot fail.
        let _ = write!(self.output, "*{}\r\n", arguments.len());
        for argument in arguments {
            let _ = write!(self.output, "${}\r\n", argument.len());
            self.output.extend_from_slice(argument);
            self.output.extend_from_slice(b"\r\n");
        }
    }

    /// Sends all that is queued.
    ///
    /// # Errors
    /// As write(2).
    pub fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        while written < self.output.len() {
            let rest = &self.output[written..];
            let result = match &mut self.stream {
                Stream::Tcp(stream) => stream.write(rest),
                Stream::Unix(stream) => stream.write(rest),
            };
            match result {
                Ok(count) => written += count,
                Err(error) if self.spin && error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        Ok(())
    }

    /// Reads `count` replies and drops them.
    ///
    /// # Errors
    /// As read(2), end of file, or the text of an error reply.
    pub fn skip_replies(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count {
            self.reply()?;
        }
        Ok(())
    }

    /// One request and its reply, as raw RESP.
    ///
    /// # Errors
    /// As [`Client::skip_replies`].
    pub fn call(&mut self, arguments: &[&str]) -> io::Result<Vec<u8>> {
        let arguments: Vec<&[u8]> = arguments
            .iter()
            .map(|argument| argument.as_bytes())
            .collect();
        self.push(&arguments);
        self.flush()?;
        self.reply().map(<[u8]>::to_vec)
    }

    /// The value of `field` in a section of INFO.
    ///
    /// # Errors
    /// As [`Client::skip_replies`], or the field is not there.
    pub fn info(&mut self, section: &str, field: &str) -> io::Result<String> {
        let reply = self.call(&["INFO", section])?;
        let text = String::from_utf8_lossy(&reply);
        text.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
            .ok_or_else(|| io::Error::other(format!("INFO {section} has no {field}")))
    }

    /// One whole reply as raw RESP; an error reply is an error.
    fn reply(&mut self) -> io::Result<&[u8]> {
        let end = loop {
            if let Some(length) = reply_length(&self.input[self.consumed..])? {
                break self.consumed + length;
            }
            self.fill()?;
        };
        let start = std::mem::replace(&mut self.consumed, end);
        let reply = &self.input[start..end];
        if reply[0] == b'-' {
            return Err(io::Error::other(
                String::from_utf8_lossy(reply).trim().to_owned(),
            ));
        }
        Ok(reply)
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.consumed == self.input.len() {
            self.input.clear();
        } else {
            self.input.drain(..self.consumed);
        }
        self.consumed = 0;
        let mut chunk = [0; 16 * 1024];
        let started = Instant::now();
        loop {
            let result = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(&mut chunk),
                Stream::Unix(stream) => stream.read(&mut chunk),
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.input.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) if self.spin && error.kind() == io::ErrorKind::WouldBlock => {
                    if started.elapsed() > REPLY_TIMEOUT {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Length of the reply at the start of `input`, or None if it is incomplete.
///
/// # Errors
/// It is no RESP2 reply.
pub fn reply_length(input: &[u8]) -> io::Result<Option<usize>> {
    let Some(end) = input.windows(2).position(|pair| pair == b"\r\n") else {
        return Ok(None);
    };
    let line = end + 2;
    let number = || -> io::Result<i64> {
        let digits = std::str::from_utf8(&input[1..end])
            .ok()
            .and_then(|text| text.parse().ok());
        digits.ok_or_else(|| io::Error::other("a reply with a bad length"))
    };
    match input.first() {
        Some(b'+' | b'-' | b':') => Ok(Some(line)),
        Some(b'$') => {
            let Ok(length) = usize::try_from(number()?) else {
                return Ok(Some(line));
            };
            Ok((input.len() >= line + length + 2).then_some(line + length + 2))
        }
        Some(b'*') => {
            let mut length = line;
            for _ in 0..number()?.max(0) {
                match reply_length(&input[length..])? {
                    Some(element) => length += element,
                    None => return Ok(None),
                }
            }
            Ok(Some(length))
        }
        _ => Err(io::Error::other("a reply of unknown type")),
    }
}

/// The 16-byte key with this number, the form that redis-benchmark uses.
pub fn write_key(number: u64, key: &mut [u8; 16]) {
    key.copy_from_slice(b"key:000000000000");
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// The value of every key: 64 bytes that are no number.
pub const VALUE: [u8; 64] = [b'x'; 64];

/// Sets keys `0..count`, in deep pipelines.
///
/// # Errors
/// As [`Client::skip_replies`].
pub fn load_keys(port: u16, count: u64) -> io::Result<()> {
    const BATCH: u64 = 512;
    let mut client = Client::tcp(port)?;
    let mut key = [0; 16];
    let mut awaited = 0;
    let mut next = 0;
    while next < count {
        let end = (next + BATCH).min(count);
        for number in next..end {
            write_key(number, &mut key);
            client.push(&[b"SET", &key, &VALUE]);
        }
        client.flush()?;
        // One batch stays in flight, so that the server never waits for us.
        client.skip_replies(awaited)?;
        awaited = (end - next) as usize;
        next = end;
    }
    client.skip_replies(awaited)
}
