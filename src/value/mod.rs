//! value
pub mod table;
