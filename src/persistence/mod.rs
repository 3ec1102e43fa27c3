//! What outlives the process or leaves it as a file: the RDB format.

pub mod rdb;
