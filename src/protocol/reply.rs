//! Writing replies.

use super::args::OwnedArgs;
use super::error::ProtocolError;
use super::{Version, encode, integer};
use crate::value::number::write_f64;

/// An aggregate that was begun and whose number of elements is not known yet.
///
/// Hand it back to [`Reply::finish`]. Nested aggregates are finished from the inside out.
#[must_use = "the aggregate has no length until it is finished"]
#[derive(Debug)]
pub struct Deferred {
    /// Where the header is.
    at: usize,
    /// Elements on the wire per element counted: 2 for a map in RESP2.
    factor: usize,
}

/// A writer of replies over a growing buffer. Each call appends one reply, or the header of an
/// aggregate, in the form of the connection's [`Version`].
#[derive(Debug, Default)]
pub struct Reply {
    out: Vec<u8>,
    version: Version,
    /// Bytes beyond which no more strings are written; 0: no limit.
    limit: usize,
    overrun: bool,
}

impl Reply {
    /// An empty writer; allocates nothing.
    pub fn new(version: Version) -> Self {
        Self::with_buffer(Vec::new(), version)
    }

    /// Appends to `buffer`.
    pub fn with_buffer(buffer: Vec<u8>, version: Version) -> Self {
        Self {
            out: buffer,
            version,
            limit: 0,
            overrun: false,
        }
    }

    /// From now on strings that would make the buffer longer than `limit` bytes are left out, and
    /// [`overrun`](Self::overrun) tells so; 0: no limit. The memory of a reply that nobody will get
    /// is not spent first and counted later.
    #[inline]
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether something was left out: what was written is no reply, and the connection must end.
    #[inline]
    pub fn overrun(&self) -> bool {
        self.overrun
    }

    /// Notes that a part of the reply was left out elsewhere.
    pub fn set_overrun(&mut self) {
        self.overrun = true;
    }

    /// Whether `len` more bytes are within the limit; notes it if not.
    #[inline]
    fn admits(&mut self, len: usize) -> bool {
        let within = self.limit == 0 || self.out.len().saturating_add(len) <= self.limit;
        self.overrun |= !within;
        within
    }

    /// The version in which it writes.
    #[inline]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Writes in `version` from now on.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Bytes written and not taken.
    #[inline]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// What was written.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Takes what was written and goes on writing into `buffer`, which must be empty.
    pub fn swap(&mut self, buffer: Vec<u8>) -> Vec<u8> {
        debug_assert!(buffer.is_empty(), "a recycled buffer is cleared");
        std::mem::replace(&mut self.out, buffer)
    }

    /// Moves the buffer out; the writer is empty after.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Forgets what was written, keeps the memory.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Forgets what was written behind the first `len` bytes: a command failed half-way.
    pub fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// `+OK`
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A status. `text` is ours and has no line end.
    pub fn simple(&mut self, text: &str) {
        debug_assert!(!text.contains(['\r', '\n']));
        self.line(b'+', text.as_bytes());
    }

    /// An error: `text` begins with its code, as in `ERR syntax error`. CR and LF become spaces,
    /// at the end nothing. What [`quote`] put into the text goes out as the bytes that it stands
    /// for.
    pub fn error(&mut self, text: &str) {
        if text.is_ascii() {
            return self.error_bytes(text.as_bytes());
        }
        let mut bytes = Vec::with_capacity(text.len());
        for char in text.chars() {
            match u8::try_from(char) {
                Ok(byte) => bytes.push(byte),
                Err(_) => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.error_bytes(&bytes);
    }

    /// As [`Self::error`], for a text that quotes what the peer sent.
    pub fn error_bytes(&mut self, text: &[u8]) {
        let end = text
            .iter()
            .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
            .map_or(0, |i| i + 1);
        self.out.push(b'-');
        self.out.extend(text[..end].iter().map(|&byte| match byte {
            b'\r' | b'\n' => b' ',
            byte => byte,
        }));
        self.out.extend_from_slice(b"\r\n");
    }

    /// The error reply to a malformed request; nothing for an error that has none.
    pub fn protocol_error(&mut self, error: ProtocolError) {
        match error {
            // Redis echoes the byte as it is, be it UTF-8 or not.
            ProtocolError::ExpectedBulk(byte) => {
                let mut text = b"ERR Protocol error: expected '$', got '?'".to_vec();
                let at = text.len() - 2;
                text[at] = byte;
                self.error_bytes(&text);
            }
            error if error.has_reply() => self.error(&format!("ERR {error}")),
            _ => {}
        }
    }

    /// `:n`
    #[inline]
    pub fn integer(&mut self, value: i64) {
        integer::line(&mut self.out, b':', value);
    }

    /// A binary-safe string.
    #[inline]
    pub fn bulk(&mut self, data: &[u8]) {
        if self.admits(data.len()) {
            encode::bulk(&mut self.out, data);
        }
    }

    /// A text as a bulk.
    pub fn bulk_str(&mut self, text: &str) {
        self.bulk(text.as_bytes());
    }

    /// A number in decimal as a bulk: what GET replies for an integer.
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// No value where a bulk is expected: `$-1`, in RESP3 `_`.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.version {
            Version::Resp2 => b"$-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// No value where an array is expected: `*-1`, in RESP3 `_`.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.version {
            Version::Resp2 => b"*-1\r\n",
            Version::Resp3 => b"_\r\n",
        });
    }

    /// Header of an array; `len` replies follow.
    #[inline]
    pub fn array(&mut self, len: usize) {
        integer::length_line(&mut self.out, b'*', len);
    }

    /// Header of a map; `len` pairs of replies follow. In RESP2 an array of twice the length.
    pub fn map(&mut self, len: usize) {
        self.pairs(b'%', len);
    }

    /// Header of a set; `len` replies follow. In RESP2 an array.
    pub fn set(&mut self, len: usize) {
        self.aggregate(b'~', len);
    }

    /// Header of an out-of-band message; `len` replies follow. In RESP2 an array.
    pub fn push(&mut self, len: usize) {
        self.aggregate(b'>', len);
    }

    /// Header of attributes of the reply that comes after them; `len` pairs follow.
    ///
    /// RESP2 has none: write attributes in RESP3 only.
    pub fn attribute(&mut self, len: usize) {
        assert_eq!(self.version, Version::Resp3, "attributes are of RESP3");
        integer::length_line(&mut self.out, b'|', len);
    }

    /// A double, in RESP2 as a bulk; see [`write_f64`] for the form.
    pub fn double(&mut self, value: f64) {
        let mut text = Vec::with_capacity(32);
        write_f64(&mut text, value);
        match self.version {
            Version::Resp2 => self.bulk(&text),
            Version::Resp3 => self.line(b',', &text),
        }
    }

    /// An integer of any size in decimal, in RESP2 as a bulk.
    pub fn big_number(&mut self, decimal: &str) {
        debug_assert!(!decimal.contains(['\r', '\n']));
        match self.version {
            Version::Resp2 => self.bulk_str(decimal),
            Version::Resp3 => self.line(b'(', decimal.as_bytes()),
        }
    }

    /// `#t` or `#f`, in RESP2 `:1` or `:0`.
    pub fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.version, value) {
            (Version::Resp2, true) => b":1\r\n",
            (Version::Resp2, false) => b":0\r\n",
            (Version::Resp3, true) => b"#t\r\n",
            (Version::Resp3, false) => b"#f\r\n",
        });
    }

    /// A text for people with its format (`txt` or `mkd`, three bytes), in RESP2 a bulk of the
    /// text alone.
    pub fn verbatim(&mut self, format: &str, data: &[u8]) {
        assert_eq!(
            format.len(),
            3,
            "the format of a verbatim string has three bytes"
        );
        if self.version == Version::Resp2 {
            return self.bulk(data);
        }
        if !self.admits(data.len()) {
            return;
        }
        self.out.reserve(data.len() + 28);
        integer::length_line(&mut self.out, b'=', data.len() + 4);
        self.out.extend_from_slice(format.as_bytes());
        self.out.push(b':');
        self.out.extend_from_slice(data);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Bytes that are replies already.
    #[inline]
    pub fn raw(&mut self, replies: &[u8]) {
        if self.admits(replies.len()) {
            self.out.extend_from_slice(replies);
        }
    }

    /// Bytes that are replies already, in a buffer that is taken over if nothing was written yet.
    pub fn append(&mut self, replies: Vec<u8>) {
        if self.out.is_empty() && self.admits(replies.len()) {
            self.out = replies;
        } else {
            self.raw(&replies);
        }
    }

    /// A list of arguments as an array of bulks.
    pub fn args(&mut self, args: &OwnedArgs) {
        encode::write_request(&mut self.out, args.as_args().iter());
    }

    /// Begins an array whose length is not known yet.
    pub fn begin_array(&mut self) -> Deferred {
        self.begin(b'*', 1)
    }

    /// Begins a map whose length is not known yet.
    pub fn begin_map(&mut self) -> Deferred {
        match self.version {
            Version::Resp2 => self.begin(b'*', 2),
            Version::Resp3 => self.begin(b'%', 1),
        }
    }

    /// Begins a set whose length is not known yet.
    pub fn begin_set(&mut self) -> Deferred {
        self.begin(
            if self.version == Version::Resp2 {
                b'*'
            } else {
                b'~'
            },
            1,
        )
    }

    /// Writes the length of an aggregate whose elements have all been written since it was begun:
    /// elements, or pairs of a map. In place if it has one digit; otherwise the elements move by
    /// the further digits.
    ///
    /// The version must be the one that it was begun with.
    pub fn finish(&mut self, deferred: Deferred, len: usize) {
        let Deferred { at, factor } = deferred;
        assert!(at + 4 <= self.out.len(), "the aggregate was truncated away");
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(len * factor).as_bytes();
        if let [digit] = digits {
            self.out[at + 1] = *digit;
        } else {
            self.out.splice(at + 1..at + 2, digits.iter().copied());
        }
    }

    /// Reserves a header with room for one digit.
    fn begin(&mut self, sigil: u8, factor: usize) -> Deferred {
        let at = self.out.len();
        self.out.extend_from_slice(&[sigil, b'0', b'\r', b'\n']);
        Deferred { at, factor }
    }

    fn aggregate(&mut self, sigil: u8, len: usize) {
        let sigil = if self.version == Version::Resp2 {
            b'*'
        } else {
            sigil
        };
        integer::length_line(&mut self.out, sigil, len);
    }

    fn pairs(&mut self, sigil: u8, len: usize) {
        match self.version {
            Version::Resp2 => integer::length_line(&mut self.out, b'*', 2 * len),
            Version::Resp3 => integer::length_line(&mut self.out, sigil, len),
        }
    }

    fn line(&mut self, sigil: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.push(sigil);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }
}

/// What a peer sent, for use within the text of an error: at most `len_max` bytes, and none from
/// the first NUL on, because Redis prints it as a string of C. Each byte is one `char` of the same
/// number, so that a text can hold bytes that are no UTF-8 and [`Reply::error`] can give them back
/// unchanged.
pub fn quote(bytes: &[u8], len_max: usize) -> String {
    let quoted = bytes.iter().take(len_max).take_while(|byte| **byte != 0);
    quoted.map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
