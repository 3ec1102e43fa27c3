//! The RDB encoding of one value, as RDB files and DUMP hold it.
//!
//! | File | What |
//! |---|---|
//! | `primitive` | lengths and strings |
//! | `lzf` | the compression of strings |
//! | `frame` | where a value of any type ends, found over any split of the bytes |
//! | `legacy` | zipmaps and ziplists, the compact collections before Redis 7 |
//! | `payload` | the types that this version holds; strings and hashes themselves |
//! | `lists` | lists |
//! | `sets` | sets |
//! | `slices` | a large value, written bit by bit |
//! | `sorted_set` | sorted sets |
//! | `stream` | a stream's nodes, groups and consumers |
//! | `dump` | the framing of DUMP and RESTORE |
//!
//! Everything that is read is validated to the last byte: lengths, counts, back links,
//! duplicates. What a payload claims is never believed before the bytes are there, so memory
//! stays in proportion to what was received.
//!
//! The format has no standard; the reference is `rdb.h` and `rdb.c` of Redis 7.

mod dump;
mod frame;
mod legacy;
mod lists;
pub(in crate::value) mod lzf;
mod payload;
mod primitive;
mod sets;
mod slices;
mod sorted_set;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

pub use dump::{DUMP_VERSION_MAX, RestoreError, dump, restore};
pub use frame::{Frame, Progress, Unit};
pub use payload::{Collections, read_value, type_byte, write_value, write_value_with};
pub use primitive::{
    Reader, STRING_LEN_MAX, Text, write_integer, write_len, write_string, write_string_with,
};
pub use slices::{Position, write_slice};

/// The RDB version that is written: every Redis from 7.0 on and every Valkey reads it.
pub const RDB_VERSION: u16 = 10;

/// Whether strings above 20 bytes are compressed (the directive `rdbcompression`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// Written as they are.
    None,
    /// Written as LZF where that is shorter.
    #[default]
    Lzf,
}

/// The byte before a record of an RDB file that says what the record is, as far as it is not the
/// type of a value.
pub mod opcode {
    /// Slot number, its keys and its keys with an expiry (hints).
    pub const SLOT_INFO: u8 = 244;
    /// A function library.
    pub const FUNCTION: u8 = 245;
    /// A function library as release candidates of Redis 7.0 wrote it.
    pub const FUNCTION_PRE_RELEASE: u8 = 246;
    /// Data of a module outside any key.
    pub const MODULE_AUX: u8 = 247;
    /// The next key's idle time in seconds, a length.
    pub const IDLE: u8 = 248;
    /// The next key's LFU counter, a byte.
    pub const FREQ: u8 = 249;
    /// A name and a value about the file.
    pub const AUX: u8 = 250;
    /// Keys and keys with an expiry of the current database (hints).
    pub const RESIZE_DB: u8 = 251;
    /// The next key's expiry, Unix time in milliseconds, 8 bytes little-endian.
    pub const EXPIRE_MS: u8 = 252;
    /// The next key's expiry, Unix time in seconds, 4 bytes little-endian.
    pub const EXPIRE_S: u8 = 253;
    /// The database of the keys that follow, a length.
    pub const SELECT_DB: u8 = 254;
    /// The end; the checksum follows.
    pub const END: u8 = 255;
}

/// The types of values (`RDB_TYPE_*`).
pub mod kind {
    /// A string.
    pub const STRING: u8 = 0;
    /// A list of strings.
    pub const LIST: u8 = 1;
    /// A set of strings.
    pub const SET: u8 = 2;
    /// A sorted set with scores as text.
    pub const SORTED_SET: u8 = 3;
    /// A hash of strings.
    pub const HASH: u8 = 4;
    /// A sorted set with binary scores.
    pub const SORTED_SET_2: u8 = 5;
    /// A module's value, whose end only the module knows.
    pub const MODULE: u8 = 6;
    /// A module's value that says where it ends.
    pub const MODULE_2: u8 = 7;
    /// A hash as zipmap.
    pub const HASH_ZIPMAP: u8 = 9;
    /// A list as ziplist.
    pub const LIST_ZIPLIST: u8 = 10;
    /// A set as intset.
    pub const SET_INTSET: u8 = 11;
    /// A sorted set as ziplist.
    pub const SORTED_SET_ZIPLIST: u8 = 12;
    /// A hash as ziplist.
    pub const HASH_ZIPLIST: u8 = 13;
    /// A list as quicklist of ziplists.
    pub const LIST_QUICKLIST: u8 = 14;
    /// A stream.
    pub const STREAM: u8 = 15;
    /// A hash as listpack.
    pub const HASH_LISTPACK: u8 = 16;
    /// A sorted set as listpack.
    pub const SORTED_SET_LISTPACK: u8 = 17;
    /// A list as quicklist of listpacks and large elements.
    pub const LIST_QUICKLIST_2: u8 = 18;
    /// A stream of Redis 7.0.
    pub const STREAM_2: u8 = 19;
    /// A set as listpack.
    pub const SET_LISTPACK: u8 = 20;
    /// A stream of Redis 7.2.
    pub const STREAM_3: u8 = 21;
    /// A hash with field TTLs as release candidates of Redis 7.4 wrote it.
    pub const HASH_METADATA_PRE_RELEASE: u8 = 22;
    /// The same as listpack.
    pub const HASH_LISTPACK_EX_PRE_RELEASE: u8 = 23;
    /// A hash with field TTLs.
    pub const HASH_METADATA: u8 = 24;
    /// A hash with field TTLs as listpack.
    pub const HASH_LISTPACK_EX: u8 = 25;

    /// What a value of this type is called, or `None` if there is no such type.
    pub fn name(kind: u8) -> Option<&'static str> {
        Some(match kind {
            STRING => "string",
            LIST | LIST_ZIPLIST | LIST_QUICKLIST | LIST_QUICKLIST_2 => "list",
            SET | SET_INTSET | SET_LISTPACK => "set",
            SORTED_SET | SORTED_SET_2 | SORTED_SET_ZIPLIST | SORTED_SET_LISTPACK => "zset",
            HASH | HASH_ZIPMAP | HASH_ZIPLIST | HASH_LISTPACK => "hash",
            MODULE | MODULE_2 => "module",
            STREAM | STREAM_2 | STREAM_3 => "stream",
            HASH_METADATA_PRE_RELEASE
            | HASH_LISTPACK_EX_PRE_RELEASE
            | HASH_METADATA
            | HASH_LISTPACK_EX => "hash with field TTLs",
            _ => return None,
        })
    }

    /// Whether this version holds values of this type.
    pub fn is_supported(kind: u8) -> bool {
        matches!(
            name(kind),
            Some("string" | "hash" | "list" | "set" | "zset" | "stream")
        )
    }
}

/// Why bytes are not a value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CodecError {
    /// The payload ends within the value.
    #[error("the data ends within a value")]
    Truncated,
    /// The bytes contradict the format or each other.
    #[error("{0}")]
    Corrupt(&'static str),
    /// A string of more than [`STRING_LEN_MAX`] bytes.
    #[error("a string of more than 4 GiB")]
    TooLong,
    /// A collection without elements, which no key may hold.
    #[error("a collection without elements")]
    Empty,
    /// A type that the format has but this version does not hold.
    #[error("values of type {0} are not supported")]
    Unsupported(&'static str),
    /// A type that the format does not have.
    #[error("unknown type {0} of a value")]
    UnknownType(u8),
}
