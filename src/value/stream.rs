//! The stream data type.

use super::{Collection, Garbage, Kind, Value, ValueRef};

/// A stream. Not there yet: no value of it exists.
#[derive(Clone, Debug)]
pub enum Stream {}

impl Collection for Stream {
    const KIND: Kind = Kind::Stream;

    fn empty() -> Self {
        unreachable!("no command makes one yet")
    }

    fn len(&self) -> usize {
        match *self {}
    }

    fn encoding(&self) -> &'static str {
        match *self {}
    }

    fn memory(&self) -> usize {
        match *self {}
    }

    fn into_garbage(self) -> Garbage {
        match self {}
    }

    fn view(value: ValueRef<'_>) -> Option<&Self> {
        match value {
            ValueRef::Stream(value) => Some(value),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Value {
        Value::Stream(self)
    }
}
