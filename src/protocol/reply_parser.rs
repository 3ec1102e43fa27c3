//! Parsing replies: what a primary answers to a replica's handshake, and what the tests read.
//!
//! Incremental at any byte, in time linear in the bytes, and bounded by [`ReplyLimits`]; no input
//! makes it panic.

use memchr::memchr;

use crate::value::number::parse_i64;

/// An empty buffer keeps at most this capacity in bytes.
const IDLE_CAPACITY_MAX: usize = 64 * 1024;

/// One reply.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// `+text`
    Simple(Vec<u8>),
    /// `-text`, or the binary-safe `!` of RESP3.
    Error(Vec<u8>),
    /// `:n`
    Integer(i64),
    /// `$`
    Bulk(Vec<u8>),
    /// `$-1`, `*-1` or `_`.
    Null,
    /// `*`
    Array(Vec<Value>),
    /// `%`, pairs in the order of the wire.
    Map(Vec<(Value, Value)>),
    /// `~`, in the order of the wire.
    Set(Vec<Value>),
    /// `>`
    Push(Vec<Value>),
    /// `,`
    Double(f64),
    /// `#t` or `#f`.
    Boolean(bool),
    /// `(`, decimal with an optional minus sign.
    BigNumber(Vec<u8>),
    /// `=`
    Verbatim {
        /// `txt` or `mkd`.
        format: [u8; 3],
        /// The text without the format.
        data: Vec<u8>,
    },
}

/// Bounds of one reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReplyLimits {
    /// Aggregates within each other.
    pub depth_max: usize,
    /// Elements of all aggregates of one reply together.
    pub elements_max: usize,
    /// Longest line in bytes without its end.
    pub line_len_max: usize,
    /// Longest bulk in bytes.
    pub bulk_len_max: usize,
}

impl Default for ReplyLimits {
    /// 32 levels, 2^24 elements, lines of 64 KiB, bulks of 512 MiB.
    fn default() -> Self {
        Self {
            depth_max: 32,
            elements_max: 1 << 24,
            line_len_max: 64 * 1024,
            bulk_len_max: 512 * 1024 * 1024,
        }
    }
}

/// Why bytes are no reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplyError {
    /// A reply starts with this byte.
    #[error("unknown reply type {:?}", char::from(*.0))]
    UnknownType(u8),
    /// A number, boolean or format that is none.
    #[error("malformed reply")]
    Malformed,
    /// One of [`ReplyLimits`] is exceeded.
    #[error("reply exceeds a limit")]
    Limit,
}

/// An aggregate of which elements are missing.
struct Frame {
    sigil: u8,
    missing: usize,
    elements: Vec<Value>,
}

/// One step of the parser.
enum Token {
    Value(Value),
    Aggregate { sigil: u8, elements: usize },
}

/// An incremental parser of a stream of replies.
pub struct ReplyParser {
    limits: ReplyLimits,
    buf: Vec<u8>,
    /// Parsed up to here.
    at: usize,
    /// Bytes from `at` on that hold no line feed.
    scanned: usize,
    stack: Vec<Frame>,
    /// Elements announced in the reply in progress.
    elements: usize,
    failed: Option<ReplyError>,
}

impl ReplyParser {
    /// An empty parser; allocates nothing.
    pub fn new(limits: ReplyLimits) -> Self {
        Self {
            limits,
            buf: Vec::new(),
            at: 0,
            scanned: 0,
            stack: Vec::new(),
            elements: 0,
            failed: None,
        }
    }

    /// Appends bytes from the peer.
    pub fn push(&mut self, data: &[u8]) {
        if self.at == self.buf.len() {
            self.buf.clear();
            self.at = 0;
            if self.buf.capacity() > IDLE_CAPACITY_MAX {
                self.buf = Vec::new();
            }
        } else if self.at > self.buf.len() / 2 {
            self.buf.drain(..self.at);
            self.at = 0;
        }
        self.buf.extend_from_slice(data);
    }

    /// Bytes received and not parsed.
    pub fn buffered(&self) -> usize {
        self.buf.len() - self.at
    }

    /// Takes out the bytes that are not parsed: behind `+FULLRESYNC` the stream is no sequence of
    /// replies any more.
    pub fn take_unread(&mut self) -> Vec<u8> {
        let unread = self.buf.split_off(self.at);
        self.buf = Vec::new();
        self.at = 0;
        self.scanned = 0;
        unread
    }

    /// The next whole reply, or `Ok(None)` if more bytes are needed.
    ///
    /// Attributes are skipped, and so are empty lines between replies, with which a primary keeps
    /// a link alive.
    ///
    /// # Errors
    /// After an error the stream has no more replies; every later call returns the same error.
    #[allow(clippy::should_implement_trait)] // fallible, and resumes after `None`
    pub fn next(&mut self) -> Result<Option<Value>, ReplyError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.advance();
        if let Err(error) = result {
            self.failed = Some(error);
            self.stack = Vec::new();
        }
        result
    }

    fn advance(&mut self) -> Result<Option<Value>, ReplyError> {
        loop {
            if self.stack.is_empty() {
                while matches!(self.buf.get(self.at), Some(b'\n')) {
                    self.at += 1;
                }
            }
            let mut value = match self.token()? {
                None => return Ok(None),
                Some(Token::Value(value)) => value,
                Some(Token::Aggregate { sigil, elements: 0 }) => match close(sigil, Vec::new()) {
                    Some(value) => value,
                    None => continue,
                },
                Some(Token::Aggregate { sigil, elements }) => {
                    self.open(sigil, elements)?;
                    continue;
                }
            };
            // The value completes its aggregate, which may complete the one around it.
            loop {
                let Some(frame) = self.stack.last_mut() else {
                    self.elements = 0;
                    return Ok(Some(value));
                };
                frame.elements.push(value);
                frame.missing -= 1;
                if frame.missing > 0 {
                    break;
                }
                let Some(frame) = self.stack.pop() else { break };
                match close(frame.sigil, frame.elements) {
                    Some(aggregate) => value = aggregate,
                    None => break,
                }
            }
        }
    }

    fn open(&mut self, sigil: u8, elements: usize) -> Result<(), ReplyError> {
        self.elements = self
            .elements
            .checked_add(elements)
            .ok_or(ReplyError::Limit)?;
        if self.elements > self.limits.elements_max || self.stack.len() >= self.limits.depth_max {
            return Err(ReplyError::Limit);
        }
        // The number is a peer's word: memory is allocated as elements come.
        let elements_now = Vec::with_capacity(elements.min(16));
        self.stack.push(Frame {
            sigil,
            missing: elements,
            elements: elements_now,
        });
        Ok(())
    }

    /// Parses one line, and the bulk behind it if it announces one.
    fn token(&mut self) -> Result<Option<Token>, ReplyError> {
        let rest = &self.buf[self.at..];
        let Some(&sigil) = rest.first() else {
            return Ok(None);
        };
        if !b"+-:$*%~>|,#(=!_".contains(&sigil) {
            return Err(ReplyError::UnknownType(sigil));
        }
        let Some(feed) = memchr(b'\n', &rest[self.scanned..]).map(|i| self.scanned + i) else {
            self.scanned = rest.len();
            // Room for the sigil and a CR.
            let too_long = rest.len() > self.limits.line_len_max.saturating_add(2);
            return if too_long {
                Err(ReplyError::Limit)
            } else {
                Ok(None)
            };
        };
        self.scanned = feed;
        let [_, line @ .., b'\r'] = &rest[..feed] else {
            return Err(ReplyError::Malformed);
        };
        if line.len() > self.limits.line_len_max {
            return Err(ReplyError::Limit);
        }
        let body = feed + 1;
        let (token, end) = match sigil {
            b'$' | b'=' | b'!' => match bulk(sigil, line, &rest[body..], self.limits.bulk_len_max)?
            {
                Some((value, len)) => (Token::Value(value), body + len),
                None => return Ok(None),
            },
            b'*' | b'%' | b'~' | b'>' | b'|' => (aggregate(sigil, line)?, body),
            _ => (Token::Value(scalar(sigil, line)?), body),
        };
        self.at += end;
        self.scanned = 0;
        Ok(Some(token))
    }
}

/// A bulk and its length on the wire, or `None` if bytes are missing.
fn bulk(
    sigil: u8,
    line: &[u8],
    rest: &[u8],
    len_max: usize,
) -> Result<Option<(Value, usize)>, ReplyError> {
    let len = parse_i64(line).ok_or(ReplyError::Malformed)?;
    if len == -1 && sigil == b'$' {
        return Ok(Some((Value::Null, 0)));
    }
    let len = usize::try_from(len).map_err(|_| ReplyError::Malformed)?;
    let end = len
        .checked_add(2)
        .filter(|_| len <= len_max)
        .ok_or(ReplyError::Limit)?;
    let Some(framed) = rest.get(..end) else {
        return Ok(None);
    };
    let [data @ .., b'\r', b'\n'] = framed else {
        return Err(ReplyError::Malformed);
    };
    let value = match (sigil, data) {
        (b'$', data) => Value::Bulk(data.to_vec()),
        (b'!', data) => Value::Error(data.to_vec()),
        (_, [a, b, c, b':', text @ ..]) => Value::Verbatim {
            format: [*a, *b, *c],
            data: text.to_vec(),
        },
        _ => return Err(ReplyError::Malformed),
    };
    Ok(Some((value, end)))
}

fn aggregate(sigil: u8, line: &[u8]) -> Result<Token, ReplyError> {
    let len = parse_i64(line).ok_or(ReplyError::Malformed)?;
    if len == -1 && sigil == b'*' {
        return Ok(Token::Value(Value::Null));
    }
    let len = usize::try_from(len).map_err(|_| ReplyError::Malformed)?;
    let each = if matches!(sigil, b'%' | b'|') { 2 } else { 1 };
    let elements = len.checked_mul(each).ok_or(ReplyError::Limit)?;
    Ok(Token::Aggregate { sigil, elements })
}

fn scalar(sigil: u8, line: &[u8]) -> Result<Value, ReplyError> {
    let value = match (sigil, line) {
        (b'+', text) => Some(Value::Simple(text.to_vec())),
        (b'-', text) => Some(Value::Error(text.to_vec())),
        (b':', digits) => parse_i64(digits).map(Value::Integer),
        (b',', text) => std::str::from_utf8(text)
            .ok()
            .and_then(|s| s.parse().ok())
            .map(Value::Double),
        (b'#', b"t") => Some(Value::Boolean(true)),
        (b'#', b"f") => Some(Value::Boolean(false)),
        (b'(', text) => {
            let digits = text.strip_prefix(b"-").unwrap_or(text);
            let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            valid.then(|| Value::BigNumber(text.to_vec()))
        }
        (b'_', b"") => Some(Value::Null),
        _ => None,
    };
    value.ok_or(ReplyError::Malformed)
}

/// The aggregate of these elements; `None` for attributes.
fn close(sigil: u8, elements: Vec<Value>) -> Option<Value> {
    match sigil {
        b'%' => {
            let mut pairs = Vec::with_capacity(elements.len() / 2);
            let mut rest = elements.into_iter();
            while let (Some(key), Some(value)) = (rest.next(), rest.next()) {
                pairs.push((key, value));
            }
            Some(Value::Map(pairs))
        }
        b'~' => Some(Value::Set(elements)),
        b'>' => Some(Value::Push(elements)),
        b'|' => None,
        _ => Some(Value::Array(elements)),
    }
}

#[cfg(test)]
#[path = "reply_parser_tests.rs"]
mod tests;
