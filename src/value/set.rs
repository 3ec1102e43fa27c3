//! The set data type.

use super::{Collection, Garbage, Kind, Value, ValueRef};

/// A set. Not there yet: no value of it exists.
#[derive(Clone, Debug)]
pub enum Set {}

impl Collection for Set {
    const KIND: Kind = Kind::Set;

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
            ValueRef::Set(value) => Some(value),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Value {
        Value::Set(self)
    }
}
