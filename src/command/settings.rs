//! The settings that commands read; each shard holds its own copy.

use crate::value::hash::HashLimits;
use crate::value::list::ListLimits;
use crate::value::set::SetLimits;
use crate::value::sorted_set::SortedSetLimits;
use crate::value::stream::StreamLimits;

/// Data settings, refreshed when the configuration changes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Number of databases.
    pub databases: usize,
    /// Longest string, bytes (`proto-max-bulk-len`).
    pub string_len_max: usize,
    /// Thresholds of the listpack form of hashes.
    pub hash_limits: HashLimits,
    /// How large the nodes of a list are.
    pub list_limits: ListLimits,
    /// Thresholds of the encodings of sets.
    pub set_limits: SetLimits,
    /// Bytes above which a HyperLogLog becomes dense (`hll-sparse-max-bytes`).
    pub hll_sparse_len_max: usize,
    /// Thresholds of the listpack form of sorted sets.
    pub sorted_set_limits: SortedSetLimits,
    /// Size of a stream's nodes.
    pub stream_limits: StreamLimits,
    /// Whether DUMP compresses strings (`rdbcompression`).
    pub compression: crate::value::codec::Compression,
    /// Deletes triggered by the server are propagated as UNLINK (`lazyfree-lazy-expire`).
    pub lazy_expire: bool,
    /// Evictions are propagated as UNLINK (`lazyfree-lazy-eviction`).
    pub lazy_eviction: bool,
    /// `DEL` acts as `UNLINK` (`lazyfree-lazy-user-del`).
    pub lazy_user_del: bool,
    /// As `lazy_expire`, for deletes that a write implies (`lazyfree-lazy-server-del`).
    pub lazy_server_del: bool,
    /// The eviction policy is one of least frequent use (`maxmemory-policy`).
    pub lfu: bool,
    /// Classes of events that are noted (`notify-keyspace-events`); none unless somebody is told of
    /// them, by key or by event.
    pub notify: super::notify::Class,
    /// Seed of the hash functions of large values; an input of the process.
    pub seed: crate::value::HashSeed,
}
