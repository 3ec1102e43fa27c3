//! The templates of random commands, one file per family.
//!
//! A template is a command as typed, with two kinds of holes: `[a|b|]` picks one alternative, and
//! `$name` draws an argument (see `Generator::draw`). A name ending in `+` draws several.

mod bitmaps;
mod connection;
mod geo;
mod hashes;
mod hyperloglog;
mod keys;
mod lists;
mod pubsub;
mod sets;
mod sorted_sets;
mod streams;
mod strings;

/// How the replies of a template are compared; see `Check`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    Exact,
    Unordered,
    Seconds,
    Millis,
    Shape,
    Dump,
    Hello,
    Cursor,
    Times,
}

const EXACT: How = How::Exact;

/// Weight, comparison, command.
pub type Template = (usize, How, &'static str);

const FAMILIES: &[&[Template]] = &[
    bitmaps::TEMPLATES,
    connection::TEMPLATES,
    geo::TEMPLATES,
    hashes::TEMPLATES,
    hyperloglog::TEMPLATES,
    keys::TEMPLATES,
    lists::TEMPLATES,
    pubsub::TEMPLATES,
    sorted_sets::TEMPLATES,
    sets::TEMPLATES,
    streams::TEMPLATES,
    strings::TEMPLATES,
];

/// All templates.
pub fn templates() -> impl Iterator<Item = &'static Template> {
    FAMILIES.iter().flat_map(|family| family.iter())
}
