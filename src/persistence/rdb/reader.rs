//! The incremental reader of RDB.

use crate::value::Value;
use crate::value::codec::{
    self, CodecError, Collections, Frame, Progress, Unit, kind, opcode, read_value,
};
use crate::value::crc64::Crc64;

/// The greatest version that is read: that of Redis 7.4 and 8.0.
const VERSION_MAX: u16 = 12;
/// The first version that ends with a checksum.
const VERSION_CHECKSUM: u16 = 5;
const MAGIC: &[u8] = b"REDIS";
/// From Valkey 9.0 on, whose versions begin with 80.
const MAGIC_VALKEY: &[u8] = b"VALKEY";
const HEADER_LEN: usize = 9;
const CHECKSUM_LEN: usize = 8;
/// The most that one record may take unless told otherwise: the longest string and its key.
const RECORD_BYTES_MAX: u64 = (1 << 32) + (1 << 20);
/// A buffer above this size is given back once what it held was read.
const BUFFER_KEPT_BYTES: usize = 1 << 20;
/// How much of a key an error message shows.
const KEY_SHOWN_BYTES: usize = 128;

/// What an RDB says, in its order.
#[derive(Clone, Debug)]
pub enum Event {
    /// A name and a value about the file. Unknown names are to be ignored.
    Aux {
        /// For example `repl-id`.
        name: Vec<u8>,
        /// As text, also for numbers.
        value: Vec<u8>,
    },
    /// The keys that follow belong to this database.
    SelectDb(usize),
    /// A hint about the current database.
    ResizeDb {
        /// Its keys.
        keys: u64,
        /// Those of them that have an expiry.
        expires: u64,
    },
    /// A key.
    Entry(Entry),
    /// The source code of a function library.
    Function(Vec<u8>),
    /// The end. No more events follow.
    End {
        /// Whether the bytes were found to be what was written.
        checksum: Checksum,
    },
}

/// A key with its value and attributes.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The database.
    pub db: usize,
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Value,
    /// When the key expires, Unix time in milliseconds; may lie in the past.
    pub expire_at_ms: Option<u64>,
    /// For how many seconds the key was not used.
    pub idle_s: Option<u64>,
    /// The key's LFU counter.
    pub freq: Option<u8>,
}

/// What became of the checksum. A wrong one is an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksum {
    /// It was there, and right.
    Verified,
    /// The writer did not compute it, or the version has none.
    Absent,
}

/// Why an RDB is not read on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RdbError {
    /// The first bytes are not those of an RDB.
    #[error("not an RDB: wrong signature")]
    Signature,
    /// A version that this reader does not know.
    #[error("RDB version {0} is not supported (1 to {VERSION_MAX} are)")]
    Version(String),
    /// A key holds a type that this version does not hold. The only error after which reading
    /// may go on: behind that key.
    #[error("key '{key}' holds a {type_name}, which is not supported yet")]
    UnsupportedType {
        /// The key, made printable and cut to a readable length.
        key: String,
        /// For example `stream`.
        type_name: &'static str,
    },
    /// Libraries as release candidates of Redis 7.0 wrote them.
    #[error("functions in a pre-release format are not supported")]
    PreReleaseFunction,
    /// The bytes contradict the format.
    #[error("RDB corrupt at byte {offset}: {source}")]
    Corrupt {
        /// Where the record begins, counted from the start of the RDB.
        offset: u64,
        /// What is wrong.
        source: CodecError,
    },
    /// A record longer than the limit.
    #[error("the RDB record at byte {offset} is longer than {limit_bytes} bytes")]
    RecordTooLong {
        /// Where the record begins.
        offset: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The checksum at the end does not match.
    #[error("wrong RDB checksum: {found:016x}, but the content gives {computed:016x}")]
    WrongChecksum {
        /// As written.
        found: u64,
        /// As computed.
        computed: u64,
    },
    /// The bytes ended before the RDB.
    #[error("the RDB ends early, after {0} bytes")]
    Truncated(u64),
}

/// Reads an RDB that arrives in pieces of any size.
///
/// Memory holds the record that is being received and what was pushed behind it, never more
/// than was received: no length that the data claims is allocated for. Every byte is looked at
/// a bounded number of times, however it is cut.
///
/// After an error that is not [`RdbError::UnsupportedType`] every call gives the same error.
#[derive(Debug)]
pub struct Reader {
    collections: Collections,
    record_bytes_max: u64,
    /// Bytes received; those before `at` are read.
    buffer: Vec<u8>,
    /// Where the current record begins.
    at: usize,
    /// How far `stage` has walked into the current record, counted from `at`.
    walked: usize,
    /// Up to where the checksum covers the buffer; at most `at`.
    summed: usize,
    crc: Crc64,
    /// Offset in the RDB of the buffer's first byte.
    base: u64,
    stage: Stage,
    version: u16,
    db: usize,
    attributes: Attributes,
    empty_keys: u64,
    failed: Option<RdbError>,
}

#[derive(Debug)]
enum Stage {
    Header,
    /// The next byte says what the record is.
    Opcode,
    /// A record that is not a key.
    Record {
        opcode: u8,
        frame: Frame,
    },
    /// The key before a value.
    Key {
        kind: u8,
        frame: Frame,
    },
    /// A value; the key takes `key_len` bytes of the record.
    Value {
        kind: u8,
        key_len: usize,
        frame: Frame,
    },
    /// Something that nobody wants, thrown away as it comes.
    Unwanted {
        frame: Frame,
    },
    Footer,
    Done,
}

/// What was said about the next key.
#[derive(Clone, Copy, Debug, Default)]
struct Attributes {
    expire_at_ms: Option<u64>,
    idle_s: Option<u64>,
    freq: Option<u8>,
}

impl Reader {
    /// Collections are built as `collections` says.
    pub fn new(collections: Collections) -> Self {
        Self {
            collections,
            record_bytes_max: RECORD_BYTES_MAX,
            buffer: Vec::new(),
            at: 0,
            walked: 0,
            summed: 0,
            crc: Crc64::new(),
            base: 0,
            stage: Stage::Header,
            version: 0,
            db: 0,
            attributes: Attributes::default(),
            empty_keys: 0,
            failed: None,
        }
    }

    /// Changes the most bytes that one record may take, which is a little above 4 GiB.
    pub fn set_record_limit(&mut self, record_bytes_max: u64) {
        self.record_bytes_max = record_bytes_max;
    }

    /// Adds bytes behind those that were pushed before. Call [`next`](Reader::next) until it
    /// gives `None` before pushing more, or they pile up.
    pub fn push(&mut self, data: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        self.compact();
        self.buffer.extend_from_slice(data);
    }

    /// The next event, or `None` if more bytes are needed for it or the end was reached.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would end where bytes do"
    )]
    pub fn next(&mut self) -> Result<Option<Event>, RdbError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.run();
        if let Err(error) = &result
            && !matches!(error, RdbError::UnsupportedType { .. })
        {
            let error = error.clone();
            self.fail(error);
        }
        result
    }

    /// Whether the end was reached.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// To be called when no more bytes will come: an error if the RDB has not ended.
    pub fn finish(&self) -> Result<(), RdbError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.is_done() => Ok(()),
            None => Err(RdbError::Truncated(self.base + self.buffer.len() as u64)),
        }
    }

    /// After the end: what was pushed behind it (commands, in an append-only file with an RDB
    /// as its head).
    pub fn rest(&self) -> &[u8] {
        if self.is_done() {
            &self.buffer[self.at..]
        } else {
            &[]
        }
    }

    /// How many bytes of the RDB were read.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// How many keys were left out because their collection had no elements: writers before
    /// Redis 7 could produce such.
    pub fn empty_keys(&self) -> u64 {
        self.empty_keys
    }

    /// Bytes of memory that the buffer takes.
    pub fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// Ends reading for good. What was received is of no more use.
    fn fail(&mut self, error: RdbError) {
        self.failed = Some(error);
        self.base = self.offset();
        self.buffer = Vec::new();
        (self.at, self.summed, self.walked) = (0, 0, 0);
    }

    /// Gives up the bytes that were read, once they are the greater part: each byte is moved
    /// a bounded number of times.
    fn compact(&mut self) {
        if self.at == 0 || self.at < self.buffer.len() - self.at {
            return;
        }
        self.sum();
        self.buffer.drain(..self.at);
        self.base += self.at as u64;
        self.at = 0;
        self.summed = 0;
        if self.buffer.capacity() > BUFFER_KEPT_BYTES && self.buffer.len() < BUFFER_KEPT_BYTES / 2 {
            self.buffer.shrink_to(BUFFER_KEPT_BYTES / 2);
        }
    }

    /// Brings the checksum up to the end of what was read.
    fn sum(&mut self) {
        self.crc.update(&self.buffer[self.summed..self.at]);
        self.summed = self.at;
    }

    fn run(&mut self) -> Result<Option<Event>, RdbError> {
        loop {
            let event = match &mut self.stage {
                Stage::Done => return Ok(None),
                Stage::Header => match self.received(HEADER_LEN) {
                    false => return self.header_prefix().map(|()| None),
                    true => self.read_header()?,
                },
                Stage::Opcode => match self.buffer.get(self.at) {
                    None => return Ok(None),
                    Some(&byte) => self.begin_record(byte)?,
                },
                Stage::Unwanted { frame } => {
                    let done = walk(frame, &self.buffer, self.at, &mut self.walked)
                        .map_err(|error| self.corrupt(error))?;
                    self.at += self.walked;
                    self.walked = 0;
                    if !done {
                        self.compact();
                        return Ok(None);
                    }
                    self.stage = Stage::Opcode;
                    None
                }
                Stage::Record { frame, .. }
                | Stage::Key { frame, .. }
                | Stage::Value { frame, .. } => {
                    let done = walk(frame, &self.buffer, self.at, &mut self.walked)
                        .map_err(|error| self.corrupt(error))?;
                    if self.walked as u64 > self.record_bytes_max {
                        return Err(RdbError::RecordTooLong {
                            offset: self.offset(),
                            limit_bytes: self.record_bytes_max,
                        });
                    }
                    if !done {
                        return Ok(None);
                    }
                    self.end_of_frame()?
                }
                Stage::Footer => match self.read_footer()? {
                    None => return Ok(None),
                    event => event,
                },
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn received(&self, len: usize) -> bool {
        self.buffer.len() - self.at >= len
    }

    /// Refuses what cannot become a header, as early as can be.
    fn header_prefix(&self) -> Result<(), RdbError> {
        let begins_like = |magic: &[u8]| magic.iter().zip(&self.buffer).all(|(a, b)| a == b);
        if begins_like(MAGIC) || begins_like(MAGIC_VALKEY) {
            return Ok(());
        }
        Err(RdbError::Signature)
    }

    fn read_header(&mut self) -> Result<Option<Event>, RdbError> {
        let header = &self.buffer[..HEADER_LEN];
        let digits = match (
            header.strip_prefix(MAGIC),
            header.strip_prefix(MAGIC_VALKEY),
        ) {
            (Some(digits), _) => digits,
            (None, Some(digits)) => digits,
            (None, None) => return Err(RdbError::Signature),
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(RdbError::Signature);
        }
        let version = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        if !(1..=VERSION_MAX).contains(&version) || digits.len() != 4 {
            let name = String::from_utf8_lossy(header);
            return Err(RdbError::Version(format!("{version} ({name})")));
        }
        self.version = version;
        self.end_record(HEADER_LEN);
        Ok(None)
    }

    /// Takes the byte that says what the record is.
    fn begin_record(&mut self, byte: u8) -> Result<Option<Event>, RdbError> {
        let units: &[Unit] = match byte {
            opcode::AUX => &[Unit::String, Unit::String],
            opcode::SELECT_DB | opcode::IDLE => &[Unit::Len],
            opcode::RESIZE_DB => &[Unit::Len, Unit::Len],
            opcode::EXPIRE_S => &[Unit::Bytes(4)],
            opcode::EXPIRE_MS => &[Unit::Bytes(8)],
            opcode::FREQ => &[Unit::Bytes(1)],
            opcode::FUNCTION => &[Unit::String],
            opcode::FUNCTION_PRE_RELEASE => return Err(RdbError::PreReleaseFunction),
            opcode::MODULE_AUX => {
                return Ok(self.begin_unwanted(&[Unit::Len, Unit::Len, Unit::Len, Unit::Module]));
            }
            opcode::SLOT_INFO => {
                return Ok(self.begin_unwanted(&[Unit::Len, Unit::Len, Unit::Len]));
            }
            opcode::END => {
                self.end_record(1);
                self.stage = Stage::Footer;
                return Ok(None);
            }
            kind => {
                if kind::name(kind).is_none() {
                    return Err(self.corrupt(CodecError::UnknownType(kind)));
                }
                if kind == kind::STRING
                    && let Some(event) = self.whole_string()
                {
                    return Ok(Some(event));
                }
                self.walked = 1;
                self.stage = Stage::Key {
                    kind,
                    frame: Frame::new(&[Unit::String]),
                };
                return Ok(None);
            }
        };
        self.walked = 1;
        self.stage = Stage::Record {
            opcode: byte,
            frame: Frame::new(units),
        };
        Ok(None)
    }

    /// A key that holds a string, in one go if all of it was received: most records of most
    /// snapshots. Whatever is unusual about one, a mistake too, is left to the walk.
    fn whole_string(&mut self) -> Option<Event> {
        let record = &self.buffer[self.at + 1..];
        let mut reader = codec::Reader::new(record);
        let key = reader.string().ok()?;
        let value = read_value(kind::STRING, &mut reader, &self.collections).ok()?;
        let len = 1 + record.len() - reader.remaining();
        if len as u64 > self.record_bytes_max {
            return None;
        }
        let key = key.into_bytes();
        self.end_record(len);
        Some(self.entry(key, value))
    }

    /// The event of a key, with what was said about it.
    fn entry(&mut self, key: Vec<u8>, value: Value) -> Event {
        let Attributes {
            expire_at_ms,
            idle_s,
            freq,
        } = std::mem::take(&mut self.attributes);
        Event::Entry(Entry {
            db: self.db,
            key,
            value,
            expire_at_ms,
            idle_s,
            freq,
        })
    }

    fn begin_unwanted(&mut self, units: &'static [Unit]) -> Option<Event> {
        self.end_record(1);
        self.stage = Stage::Unwanted {
            frame: Frame::new(units),
        };
        None
    }

    /// The record, key or value that `stage` walks over is complete.
    fn end_of_frame(&mut self) -> Result<Option<Event>, RdbError> {
        match self.stage {
            Stage::Key { kind, .. } => self.begin_value(kind),
            Stage::Record { opcode, .. } => {
                let event = self
                    .read_record(opcode)
                    .map_err(|error| self.corrupt(error))?;
                self.end_record(self.walked);
                Ok(event)
            }
            Stage::Value { kind, key_len, .. } => {
                let record = &self.buffer[self.at + 1..self.at + self.walked];
                let read = read_entry(kind, record, key_len, &self.collections);
                let (key, value) = match read {
                    Ok(read) => read,
                    Err(CodecError::Empty) => {
                        self.empty_keys += 1;
                        self.attributes = Attributes::default();
                        self.end_record(self.walked);
                        return Ok(None);
                    }
                    Err(error) => return Err(self.corrupt(error)),
                };
                self.end_record(self.walked);
                Ok(Some(self.entry(key, value)))
            }
            _ => Ok(None),
        }
    }

    /// The key is complete; its value follows.
    fn begin_value(&mut self, kind: u8) -> Result<Option<Event>, RdbError> {
        let frame = Frame::of_value(kind);
        if kind::is_supported(kind) {
            let frame = frame.map_err(|error| self.corrupt(error))?;
            self.stage = Stage::Value {
                kind,
                key_len: self.walked - 1,
                frame,
            };
            return Ok(None);
        }
        let mut reader = codec::Reader::new(&self.buffer[self.at + 1..self.at + self.walked]);
        let key = reader.string().map_err(|error| self.corrupt(error))?;
        let key = key.with(printable);
        self.end_record(self.walked);
        self.attributes = Attributes::default();
        match frame {
            Ok(frame) => self.stage = Stage::Unwanted { frame },
            // Nobody but the module knows where its value ends.
            Err(error) => {
                let error = self.corrupt(error);
                self.fail(error);
            }
        }
        let type_name = kind::name(kind).unwrap_or("unknown type");
        Err(RdbError::UnsupportedType { key, type_name })
    }

    /// Reads a complete record that is not a key.
    fn read_record(&mut self, opcode: u8) -> Result<Option<Event>, CodecError> {
        let record = &self.buffer[self.at + 1..self.at + self.walked];
        let mut reader = codec::Reader::new(record);
        let event = match opcode {
            opcode::AUX => Event::Aux {
                name: reader.string()?.into_bytes(),
                value: reader.string()?.into_bytes(),
            },
            opcode::FUNCTION => Event::Function(reader.string()?.into_bytes()),
            opcode::RESIZE_DB => Event::ResizeDb {
                keys: reader.plain_len()?,
                expires: reader.plain_len()?,
            },
            opcode::SELECT_DB => {
                // Redis holds the number in an int.
                self.db = i32::try_from(reader.plain_len()?)
                    .ok()
                    .and_then(|db| usize::try_from(db).ok())
                    .ok_or(CodecError::Corrupt("a database number out of range"))?;
                Event::SelectDb(self.db)
            }
            opcode::EXPIRE_S => {
                let at_s = i64::from(reader.u32_le()?.cast_signed());
                self.attributes.expire_at_ms = expiry(at_s * 1000);
                return Ok(None);
            }
            opcode::EXPIRE_MS => {
                self.attributes.expire_at_ms = expiry(reader.u64_le()?.cast_signed());
                return Ok(None);
            }
            opcode::IDLE => {
                self.attributes.idle_s = Some(reader.plain_len()?);
                return Ok(None);
            }
            opcode::FREQ => {
                self.attributes.freq = Some(reader.u8()?);
                return Ok(None);
            }
            _ => return Ok(None),
        };
        Ok(Some(event))
    }

    /// The current record ended after `len` bytes.
    fn end_record(&mut self, len: usize) {
        self.at += len;
        self.walked = 0;
        self.stage = Stage::Opcode;
    }

    fn read_footer(&mut self) -> Result<Option<Event>, RdbError> {
        self.sum();
        let computed = self.crc.value();
        let mut checksum = Checksum::Absent;
        if self.version >= VERSION_CHECKSUM {
            let Some(found) = self.buffer[self.at..].first_chunk::<CHECKSUM_LEN>() else {
                return Ok(None);
            };
            let found = u64::from_le_bytes(*found);
            if found != 0 {
                if found != computed {
                    return Err(RdbError::WrongChecksum { found, computed });
                }
                checksum = Checksum::Verified;
            }
            self.at += CHECKSUM_LEN;
            self.summed = self.at;
        }
        self.stage = Stage::Done;
        Ok(Some(Event::End { checksum }))
    }

    fn corrupt(&self, source: CodecError) -> RdbError {
        RdbError::Corrupt {
            offset: self.offset(),
            source,
        }
    }
}

/// Moves `frame` on over what was received of the record at `at`; whether it has ended.
fn walk(
    frame: &mut Frame,
    buffer: &[u8],
    at: usize,
    walked: &mut usize,
) -> Result<bool, CodecError> {
    let progress = frame.advance(&buffer[at + *walked..])?;
    let (Progress::More(passed) | Progress::Done(passed)) = progress;
    *walked += passed;
    Ok(matches!(progress, Progress::Done(_)))
}

/// Reads a complete key and value.
fn read_entry(
    kind: u8,
    record: &[u8],
    key_len: usize,
    collections: &Collections,
) -> Result<(Vec<u8>, Value), CodecError> {
    let mut reader = codec::Reader::new(record);
    let key = reader.string()?.into_bytes();
    if record.len() - reader.remaining() != key_len {
        return Err(CodecError::Corrupt("a key that ends elsewhere than it did"));
    }
    let value = read_value(kind, &mut reader, collections)?;
    if reader.remaining() > 0 {
        return Err(CodecError::Corrupt(
            "a value that ends elsewhere than it did",
        ));
    }
    Ok((key, value))
}

/// An expiry as written: -1 is none, and what lies before 1970 expired at its start.
fn expiry(at_ms: i64) -> Option<u64> {
    (at_ms != -1).then(|| u64::try_from(at_ms).unwrap_or(0))
}

/// A key as an error message shows it.
fn printable(key: &[u8]) -> String {
    let shown = &key[..key.len().min(KEY_SHOWN_BYTES)];
    let more = if shown.len() < key.len() { "..." } else { "" };
    format!("{}{more}", shown.escape_ascii())
}

#[cfg(test)]
mod tests;
