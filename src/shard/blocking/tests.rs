//! Waiting, over one shard and several.
