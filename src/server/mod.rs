//! The process: its threads and their places.

pub mod executor;
