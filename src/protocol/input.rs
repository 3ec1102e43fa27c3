//! A connection's query buffer and the resumable request parser over it.
//!
//! ```text
//! buf:   | consumed requests | request in progress                | not looked at |
//!                            ^ start        ^ start + at (parsed up to here)
//! ```
//!
//! Spans and positions of the request in progress are relative to `start`, so that the buffer can
//! be compacted under it. Whatever is parsed is never looked at again: the cost of a byte does
//! not depend on how the peer cuts its stream.

use memchr::{memchr, memchr2};

use super::args::{Args, Span};
use super::error::ProtocolError;
use super::inline;
use crate::value::number::parse_i64;

/// Longest line in bytes without its end: an inline request, or a length (`PROTO_INLINE_MAX_SIZE`).
const LINE_LEN_MAX: usize = 64 * 1024;
/// A bulk larger than this gets the buffer space that it lacks at once (`PROTO_MBULK_BIG_ARG`).
const BIG_BULK_LEN: usize = 32 * 1024;
/// Limits before authentication: arguments of a request, and bytes of a bulk.
const UNAUTHENTICATED_ARGS_MAX: usize = 10;
const UNAUTHENTICATED_BULK_LEN_MAX: usize = 16 * 1024;
/// An empty buffer keeps at most this capacity in bytes; an idle connection costs no more.
const IDLE_CAPACITY_MAX: usize = 16 * 1024;
/// A buffer that holds a partial request is moved to a smaller one only above this capacity in
/// bytes.
const PARTIAL_CAPACITY_MAX: usize = 1024 * 1024;
/// Capacity in bytes of a buffer's first allocation.
const CAPACITY_MIN: usize = 512;
/// Capacity of the spans, in arguments, that survives a request.
const IDLE_SPANS_MAX: usize = 1024;
/// Longest argument in bytes of what [`Input::small_request`] reads.
const SMALL_BULK_LEN_MAX: usize = 99;
/// Digits that the fast path reads; whatever is longer or odd takes the slow one.
const FAST_DIGITS_MAX: usize = 9;

/// What a connection's requests may cost. May change between calls of [`Input::next`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest argument in bytes: `proto-max-bulk-len`. Values of 4 GiB and more count as just
    /// below 4 GiB.
    pub bulk_len_max: usize,
    /// Most arguments of one request.
    pub args_max: usize,
    /// Largest request in bytes, complete or not: `client-query-buffer-limit`. At most 4 GiB - 1
    /// has effect. (Redis bounds the part that it has not parsed yet, so that a request of many
    /// large arguments has no bound there.)
    pub query_buffer_max: usize,
    /// Whether the peer has authenticated, or need not. Before that a request has at most 10
    /// arguments, of at most 16384 bytes.
    pub authenticated: bool,
}

impl Default for Limits {
    /// Redis's defaults: 512 MiB, 1048576 arguments, 1 GiB, authenticated.
    fn default() -> Self {
        Self {
            bulk_len_max: 512 * 1024 * 1024,
            args_max: 1024 * 1024,
            query_buffer_max: 1024 * 1024 * 1024,
            authenticated: true,
        }
    }
}

impl Limits {
    /// Spans are of 32 bits, whatever the configuration says.
    fn request_len_max(&self) -> usize {
        self.query_buffer_max.min(u32::MAX as usize)
    }
}

/// A parsed request. Borrows the [`Input`] that it came from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// At least one argument.
    pub args: Args<'a>,
    /// The bytes as received, if they are exactly what [`super::encode`] makes of `args`; `None`
    /// for an inline request and for sloppy line ends, which Redis accepts.
    pub verbatim: Option<&'a [u8]>,
}

/// A request with the buffer that it came in.
#[derive(Debug)]
pub struct Taken {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Its arguments within `data`.
    pub spans: Vec<Span>,
    /// Whether `data` is exactly what [`super::encode`] makes of the arguments.
    pub canonical: bool,
}

/// A whole request at `buf[start..end]`, as found by the parser.
struct Found {
    start: usize,
    end: usize,
    canonical: bool,
    /// Its arguments: `spans[first..first + count]`.
    first: usize,
    count: usize,
}

/// A length line, by the fast path.
enum Line {
    /// A canonical number; `end` is relative to the sigil and behind the line.
    Length {
        value: usize,
        end: usize,
        canonical: bool,
    },
    /// Nothing wrong so far.
    Partial,
    /// Negative, long or malformed.
    Odd,
}

/// The query buffer and parser of one connection.
///
/// Feed it with [`Self::push`], then call [`Self::next`] until it returns `Ok(None)`; only then
/// does it give back memory.
#[derive(Default)]
pub struct Input {
    buf: Vec<u8>,
    /// Where the request in progress starts in `buf`.
    start: usize,
    /// How far it is parsed, relative to `start`.
    at: usize,
    /// Bytes from `at` on that are known to hold no line end.
    scanned: usize,
    /// Arguments parsed so far: those of `ready`, then those of the request in progress.
    spans: Vec<Span>,
    /// Where the arguments of the request in progress begin.
    first_span: usize,
    /// Requests found by [`Input::look_ahead`], of which `taken` were returned.
    ready: Vec<Found>,
    taken: usize,
    /// Arguments still to come; 0 between requests.
    missing: usize,
    /// Length of the argument at `at`, once its header is parsed.
    bulk_len: Option<usize>,
    /// Whether every line end so far was CR LF.
    canonical: bool,
    /// The error that ended the stream.
    failed: Option<ProtocolError>,
}

impl Input {
    /// An empty buffer; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes received and not yet returned as part of a request.
    pub fn buffered(&self) -> usize {
        self.buf.len() - self.head()
    }

    /// Where the first request begins that was not returned.
    #[inline]
    fn head(&self) -> usize {
        self.ready
            .get(self.taken)
            .map_or(self.start, |found| found.start)
    }

    /// Bytes of heap memory held.
    pub fn capacity(&self) -> usize {
        self.buf.capacity() + self.spans.capacity() * size_of::<Span>()
    }

    /// Appends bytes from the peer.
    pub fn push(&mut self, data: &[u8]) {
        let unread = self.buffered();
        if unread == 0 {
            self.buf.clear();
            self.start = 0;
        } else if self.buf.capacity() - self.buf.len() < data.len() && self.head() >= unread {
            // Moves no more bytes than were consumed since the last time, so the cost per byte is
            // constant.
            self.compact();
        }
        if self.buf.capacity() == 0 {
            self.buf.reserve_exact(data.len().max(CAPACITY_MIN));
        }
        self.buf.extend_from_slice(data);
    }

    /// Takes out all bytes that no request was made of: the connection goes on in another protocol.
    pub fn take_unread(&mut self) -> Vec<u8> {
        self.compact();
        std::mem::take(self).buf
    }

    /// The next whole request, or `Ok(None)` if more bytes are needed.
    ///
    /// Empty lines and requests of no arguments are skipped, as in Redis.
    ///
    /// # Errors
    /// After an error the stream has no more requests; every later call returns the same error.
    #[allow(clippy::should_implement_trait)] // a request borrows the input
    #[inline]
    pub fn next(&mut self, limits: &Limits) -> Result<Option<Request<'_>>, ProtocolError> {
        if self.taken < self.ready.len() {
            self.taken += 1;
            return Ok(Some(self.request(&self.ready[self.taken - 1])));
        }
        self.forget_ready();
        let found = match self.advance(limits) {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.settle();
                return Ok(None);
            }
            Err(error) => {
                self.failed = Some(error);
                return Err(error);
            }
        };
        Ok(Some(self.request(&found)))
    }

    /// As [`Self::next`] for a request of at least `len_min` bytes that is the last one found by
    /// [`Self::look_ahead`]: the buffer itself is given away, so that a large value is not copied.
    /// `None`: take it by [`Self::next`].
    pub fn take_large(&mut self, len_min: usize) -> Option<Taken> {
        let found = match &self.ready[self.taken..] {
            [last] if last.end - last.start >= len_min => last,
            _ => return None,
        };
        let (start, end, canonical) = (found.start, found.end, found.canonical);
        // What follows is moved, which must not cost more than the copy that it saves.
        if self.buf.len() - end > end - start {
            return None;
        }
        let spans = self.spans[found.first..found.first + found.count].to_vec();
        self.forget_ready();
        self.start -= end;
        let mut rest = Vec::new();
        if let Some(len) = self.bulk_len.filter(|len| *len > BIG_BULK_LEN) {
            // As `reserve_bulk`: address space, if there is any.
            let _ = rest.try_reserve_exact(self.start + self.at + len + 2);
        }
        rest.extend_from_slice(&self.buf[end..]);
        let mut data = std::mem::replace(&mut self.buf, rest);
        data.truncate(end);
        data.drain(..start);
        Some(Taken {
            data,
            spans,
            canonical,
        })
    }

    #[inline]
    fn request(&self, found: &Found) -> Request<'_> {
        let bytes = &self.buf[found.start..found.end];
        let verbatim = found.canonical.then_some(bytes);
        let spans = &self.spans[found.first..found.first + found.count];
        Request {
            args: Args::new(bytes, spans),
            verbatim,
        }
    }

    /// Parses up to `max` whole requests that are there, for [`Self::next`] to return later, so
    /// that the caller can see what is coming: [`Self::ahead`]. Gives how many it found; 0 while
    /// some are left from the last time. An error behind them waits for its turn.
    pub fn look_ahead(&mut self, limits: &Limits, max: usize) -> usize {
        if self.taken < self.ready.len() {
            return 0;
        }
        self.forget_ready();
        while self.ready.len() < max {
            match self.advance(limits) {
                Ok(Some(found)) => {
                    self.first_span = self.spans.len();
                    self.ready.push(found);
                }
                Ok(None) => break,
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        self.ready.len()
    }

    /// The requests found by [`Self::look_ahead`] and not returned yet.
    pub fn ahead(&self) -> impl Iterator<Item = Request<'_>> {
        self.ready[self.taken..]
            .iter()
            .map(|found| self.request(found))
    }

    /// All that was ready is returned: the spans of the request in progress move to the front.
    #[inline]
    fn forget_ready(&mut self) {
        if !self.ready.is_empty() {
            self.spans.drain(..self.first_span);
            self.first_span = 0;
            self.ready.clear();
            self.taken = 0;
        }
    }

    fn advance(&mut self, limits: &Limits) -> Result<Option<Found>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.missing == 0
            && let Some(len) = self.small_request(limits)
        {
            self.at = len;
            self.canonical = true;
            return Ok(Some(self.consume()));
        }
        loop {
            if self.missing == 0 {
                let begun = match self.buf.get(self.start) {
                    None => false,
                    Some(b'*') => self.begin(limits)?,
                    Some(_) => match self.inline(limits)? {
                        Some(found) if found.count == 0 => {
                            debug_assert_eq!(self.start, found.end);
                            continue;
                        }
                        found => return Ok(found),
                    },
                };
                if !begun {
                    return self.incomplete(limits);
                }
                if self.missing == 0 {
                    self.consume();
                    continue;
                }
            }
            if !self.bulks(limits)? {
                return self.incomplete(limits);
            }
            if self.at > limits.request_len_max() {
                return Err(ProtocolError::QueryBufferLimit);
            }
            return Ok(Some(self.consume()));
        }
    }

    /// Parses a request of few small arguments that is there as a whole, in canonical form: almost
    /// all of them, at a fraction of the cost. Gives its length in bytes. `None`: it is something
    /// else, or something is wrong with it, which the resumable parser finds out.
    #[inline]
    fn small_request(&mut self, limits: &Limits) -> Option<usize> {
        if limits.bulk_len_max < SMALL_BULK_LEN_MAX {
            return None;
        }
        let bytes = self.buf.get(self.start..)?;
        let (&[b'*', count @ b'1'..=b'9', b'\r', b'\n'], _) = bytes.split_first_chunk()? else {
            return None;
        };
        self.spans.truncate(self.first_span);
        let mut at = 4;
        for _ in b'0'..count {
            let (len, start) = match bytes.get(at..)?.first_chunk()? {
                [b'$', ones @ b'0'..=b'9', b'\r', b'\n', _] => (digit(*ones), at + 4),
                [b'$', tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', b'\n'] => {
                    (10 * digit(*tens) + digit(*ones), at + 5)
                }
                _ => return None,
            };
            let end = start + len as usize;
            if bytes.get(end..end + 2)? != b"\r\n" {
                return None;
            }
            // A request of so few and small arguments is far shorter than 4 GiB.
            let start = start as u32;
            self.spans.push(Span { start, len });
            at = end + 2;
        }
        (at <= limits.request_len_max()).then_some(at)
    }

    /// What to return when bytes are missing.
    fn incomplete(&self, limits: &Limits) -> Result<Option<Found>, ProtocolError> {
        if self.buffered() > limits.request_len_max() {
            return Err(ProtocolError::QueryBufferLimit);
        }
        Ok(None)
    }

    /// Steps behind the request in progress.
    #[inline]
    fn consume(&mut self) -> Found {
        let start = self.start;
        self.start += self.at;
        self.at = 0;
        self.scanned = 0;
        Found {
            start,
            end: self.start,
            canonical: self.canonical,
            first: self.first_span,
            count: self.spans.len() - self.first_span,
        }
    }

    /// Parses the `*` line of a request. Returns whether it is whole.
    #[inline]
    fn begin(&mut self, limits: &Limits) -> Result<bool, ProtocolError> {
        self.spans.truncate(self.first_span);
        self.canonical = true;
        let line = &self.buf[self.start..];
        let (count, end) = match length_line(line) {
            Line::Length {
                value,
                end,
                canonical,
            } => {
                self.canonical = canonical;
                (value, end)
            }
            Line::Partial => return Ok(false),
            Line::Odd => {
                let Some(end) = self.line_end(ProtocolError::BigCountLine)? else {
                    return Ok(false);
                };
                let digits = &self.buf[self.start + 1..self.start + end - 2];
                let count = parse_i64(digits).ok_or(ProtocolError::InvalidCount)?;
                self.canonical = self.buf[self.start + end - 1] == b'\n';
                // A negative count is a request of no arguments.
                (usize::try_from(count).unwrap_or(0), end)
            }
        };
        if count > limits.args_max {
            return Err(ProtocolError::InvalidCount);
        }
        if count > UNAUTHENTICATED_ARGS_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedCount);
        }
        self.at = end;
        self.missing = count;
        self.bulk_len = None;
        // The count is a peer's word: room for more than a thousand is made as they come.
        self.spans.reserve(count.min(IDLE_SPANS_MAX));
        Ok(true)
    }

    /// Parses arguments. Returns whether the last one is there.
    #[inline]
    fn bulks(&mut self, limits: &Limits) -> Result<bool, ProtocolError> {
        while self.missing > 0 {
            let len = match self.bulk_len {
                Some(len) => len,
                None => match self.bulk_header(limits)? {
                    Some(len) => len,
                    None => return Ok(false),
                },
            };
            // Neither addition overflows: a position in memory, and a length checked against 32
            // bits.
            let end = self.at + len;
            let Some(line_end) = self.buf[self.start..].get(end..end + 2) else {
                if self.bulk_len.is_none() && len > BIG_BULK_LEN {
                    self.reserve_bulk(end + 2, limits);
                }
                self.bulk_len = Some(len);
                return Ok(false);
            };
            // Redis skips two bytes here, whatever they are.
            self.canonical &= line_end == b"\r\n";
            let start = u32::try_from(self.at).map_err(|_| ProtocolError::QueryBufferLimit)?;
            let len = u32::try_from(len).map_err(|_| ProtocolError::QueryBufferLimit)?;
            self.spans.push(Span { start, len });
            self.at = end + 2;
            self.bulk_len = None;
            self.missing -= 1;
        }
        Ok(true)
    }

    /// Parses the `$` line of an argument: its length, or `None` if the line is not whole.
    #[inline]
    fn bulk_header(&mut self, limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let line = &self.buf[self.start + self.at..];
        let odd = line.first().is_some_and(|&byte| byte != b'$');
        let (len, end) = match if odd { Line::Odd } else { length_line(line) } {
            Line::Length {
                value,
                end,
                canonical,
            } => {
                self.canonical &= canonical;
                (value, end)
            }
            Line::Partial => return Ok(None),
            Line::Odd => match self.odd_bulk_header()? {
                Some(header) => header,
                None => return Ok(None),
            },
        };
        if len > limits.bulk_len_max || u32::try_from(len).is_err() {
            return Err(ProtocolError::InvalidBulkLen);
        }
        if len > UNAUTHENTICATED_BULK_LEN_MAX && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedBulkLen);
        }
        self.at += end;
        self.scanned = 0;
        Ok(Some(len))
    }

    /// The slow path of [`Self::bulk_header`]: the length and the end of the line relative to its
    /// start.
    #[cold]
    fn odd_bulk_header(&mut self) -> Result<Option<(usize, usize)>, ProtocolError> {
        let Some(end) = self.line_end(ProtocolError::BigBulkLine)? else {
            return Ok(None);
        };
        let line = &self.buf[self.start + self.at..][..end];
        if line[0] != b'$' {
            return Err(ProtocolError::ExpectedBulk(line[0]));
        }
        // An empty length leaves CR right behind the sigil, so the range is never inverted.
        let len = parse_i64(&line[1..end - 2])
            .and_then(|len| usize::try_from(len).ok())
            .ok_or(ProtocolError::InvalidBulkLen)?;
        self.canonical &= line[end - 1] == b'\n';
        Ok(Some((len, end)))
    }

    /// Finds the end of the line at `at`, relative to it: behind the CR and the byte that
    /// follows, which Redis does not look at. `None` if it is not there yet.
    #[cold]
    fn line_end(&mut self, too_long: ProtocolError) -> Result<Option<usize>, ProtocolError> {
        let line = &self.buf[self.start + self.at..];
        // Redis searches with `strchr`, so that nothing is found behind a NUL until the line is
        // too long.
        let found = memchr2(b'\r', 0, &line[self.scanned..]).map(|i| self.scanned + i);
        self.scanned = found.unwrap_or(line.len());
        match found {
            Some(end) if end > LINE_LEN_MAX => Err(too_long),
            Some(end) if line[end] == b'\r' => Ok((end + 1 < line.len()).then_some(end + 2)),
            _ if line.len() > LINE_LEN_MAX => Err(too_long),
            _ => Ok(None),
        }
    }

    /// Parses an inline request, which may turn out to have no arguments.
    fn inline(&mut self, limits: &Limits) -> Result<Option<Found>, ProtocolError> {
        let line = &self.buf[self.start..];
        let found = memchr2(b'\n', 0, &line[self.scanned..]).map(|i| self.scanned + i);
        self.scanned = found.unwrap_or(line.len());
        let end = match found {
            Some(end) if end > LINE_LEN_MAX => return Err(ProtocolError::BigInline),
            Some(end) if line[end] == b'\n' => end,
            _ if line.len() > LINE_LEN_MAX => return Err(ProtocolError::BigInline),
            _ => return self.incomplete(limits),
        };
        debug_assert!(memchr(b'\n', &line[..end]).is_none());
        let text = &mut self.buf[self.start..self.start + end];
        let text_len = text.len() - usize::from(text.last() == Some(&b'\r'));
        self.spans.truncate(self.first_span);
        inline::split(&mut text[..text_len], &mut self.spans)
            .ok_or(ProtocolError::UnbalancedQuotes)?;
        self.canonical = false;
        self.at = end + 1;
        Ok(Some(self.consume()))
    }

    /// Makes room for a large bulk that was announced: the request will be `needed` bytes long up
    /// to its end.
    ///
    /// This reserves address space, which costs memory only as bytes arrive.
    #[cold]
    fn reserve_bulk(&mut self, needed: usize, limits: &Limits) {
        let needed = needed.min(limits.request_len_max());
        if self.buf.capacity() - self.start >= needed {
            return;
        }
        self.compact();
        let lacking = (self.start + needed).saturating_sub(self.buf.len());
        // Exact only where it at least doubles the buffer: many bulks of one request must not
        // move it once each. If there is no memory, the bulk may still turn out to end early.
        let _ = if needed / 2 >= self.buf.capacity() {
            self.buf.try_reserve_exact(lacking)
        } else {
            self.buf.try_reserve(lacking)
        };
    }

    /// Moves the first request that was not returned to the front.
    fn compact(&mut self) {
        let head = self.head();
        self.buf.drain(..head);
        self.start -= head;
        for found in &mut self.ready[self.taken..] {
            found.start -= head;
            found.end -= head;
        }
    }

    /// Gives back memory that the requests returned so far needed and the next one does not.
    fn settle(&mut self) {
        let unread = self.buffered();
        if unread == 0 {
            self.buf.clear();
            self.start = 0;
            if self.buf.capacity() > IDLE_CAPACITY_MAX {
                self.buf = Vec::new();
            }
        } else if self.start >= unread && self.buf.capacity() > PARTIAL_CAPACITY_MAX {
            let wanted = (self.at + self.bulk_len.unwrap_or(0)).max(unread);
            if wanted <= self.buf.capacity() / 4 {
                let mut smaller = Vec::with_capacity(wanted.max(CAPACITY_MIN));
                smaller.extend_from_slice(&self.buf[self.start..]);
                self.buf = smaller;
                self.start = 0;
            }
        }
        if self.missing == 0 && self.spans.capacity() > IDLE_SPANS_MAX {
            self.spans = Vec::new();
        }
    }
}

/// The value of a decimal digit.
#[inline(always)]
fn digit(byte: u8) -> u32 {
    u32::from(byte - b'0')
}

/// Reads a sigil (not looked at), a canonical number of few digits, CR and one more byte.
#[inline(always)]
fn length_line(line: &[u8]) -> Line {
    let mut value = 0usize;
    let mut at = 1;
    // Wrapping, for the digits are too few to overflow and this is the hottest loop.
    loop {
        let Some(&byte) = line.get(at) else {
            return Line::Partial;
        };
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if at > FAST_DIGITS_MAX || (at > 1 && value == 0) {
            return Line::Odd;
        }
        value = value.wrapping_mul(10).wrapping_add(usize::from(digit));
        at += 1;
    }
    if at == 1 || line[at] != b'\r' {
        return Line::Odd;
    }
    match line.get(at + 1) {
        Some(&byte) => Line::Length {
            value,
            end: at + 2,
            canonical: byte == b'\n',
        },
        None => Line::Partial,
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
