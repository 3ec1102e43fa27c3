//! The hash data type.

/// A hash: fields, each with a value.
#[derive(Clone, Debug, Default)]
pub struct Hash {}
