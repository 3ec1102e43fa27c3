//! Walks over the live entries of a stream, in either direction.

use std::collections::btree_map;
use std::iter::Rev;

use super::node::{Entry, Node, Walk};
use super::{Stream, StreamId};

/// The live entries from one id to another, ascending.
pub struct Ascending<'a> {
    nodes: btree_map::Range<'a, StreamId, Node>,
    node: Option<Walk<'a>>,
    start: StreamId,
    end: StreamId,
}

/// The same, descending.
pub struct Descending<'a> {
    nodes: Rev<btree_map::Range<'a, StreamId, Node>>,
    node: Option<Walk<'a>>,
    start: StreamId,
    end: StreamId,
}

impl Stream {
    /// Live entries with ids from `start` to `end`, both included, ascending.
    pub fn range(&self, start: StreamId, end: StreamId) -> Ascending<'_> {
        // The first may be within the node that begins before it.
        let before = self.nodes.range(..=start).next_back();
        let from = before.map_or(start, |(key, _)| *key);
        Ascending {
            nodes: self.nodes.range(from..),
            node: None,
            start,
            end,
        }
    }

    /// The same, descending.
    pub fn range_back(&self, start: StreamId, end: StreamId) -> Descending<'_> {
        Descending {
            nodes: self.nodes.range(..=end).rev(),
            node: None,
            start,
            end,
        }
    }
}

impl<'a> Iterator for Ascending<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some(walk) = &mut self.node else {
                let (key, node) = self.nodes.next().filter(|(key, _)| **key <= self.end)?;
                self.node = Some(node.walk(*key));
                continue;
            };
            match walk.next() {
                None => self.node = None,
                Some((_, true)) => {}
                Some((entry, false)) if entry.id < self.start => {}
                Some((entry, false)) => return (entry.id <= self.end).then_some(entry),
            }
        }
    }
}

impl<'a> Iterator for Descending<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let Some(walk) = &mut self.node else {
                let (key, node) = self.nodes.next()?;
                self.node = Some(node.walk(*key));
                continue;
            };
            match walk.next_back() {
                None => self.node = None,
                Some((_, true)) => {}
                Some((entry, false)) if entry.id > self.end => {}
                Some((entry, false)) => return (entry.id >= self.start).then_some(entry),
            }
        }
    }
}
