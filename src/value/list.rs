//! The list data type.

use super::{Collection, Garbage, Kind, Value, ValueRef};

/// A list. Not there yet: no value of it exists.
#[derive(Clone, Debug)]
pub enum List {}

impl Collection for List {
    const KIND: Kind = Kind::List;

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
            ValueRef::List(value) => Some(value),
            _ => None,
        }
    }

    fn wrap(self: Box<Self>) -> Value {
        Value::List(self)
    }
}
