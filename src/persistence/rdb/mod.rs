//! RDB: the snapshot format of Redis, as a file and as the body of a full sync.
//!
//! ```text
//! "REDIS" version:4 digits
//! { record }*            opcode or type of a value, then its content
//! 255  crc64 of all before:u64 little-endian (0: not computed)
//! ```
//!
//! Neither side does I/O: the writer gives bytes, the reader is given bytes in pieces of any
//! size. The records of keys are made by the keyspace, each value by
//! [`codec`](crate::value::codec).

mod reader;
mod writer;

pub use reader::{Checksum, Entry, Event, RdbError, Reader};
pub use writer::{Framer, Preamble, ReplicationInfo, write_function, write_resize_db};
