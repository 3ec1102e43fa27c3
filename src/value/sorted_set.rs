//! The sorted set data type.

use super::{Collection, Garbage, Kind, Value, ValueRef};

/// A sorted set. Not there yet: no value of it exists.
#[derive(Clone, Debug)]
pub enum SortedSet {}

impl Collection for SortedSet {
    const KIND: Kind = Kind::SortedSet;

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
            ValueRef::SortedSet(value) => Some(value),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Value {
        Value::SortedSet(self)
    }
}
