//! A stream of parts that a file or a peer gave: nothing in them is believed.

use super::node::Node;
use super::{Group, Stream, StreamId, allocated};
use crate::value::listpack::Listpack;

/// What stands beside the nodes of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Number of live entries.
    pub len: u64,
    /// See [`Stream::last_id`].
    pub last_id: StreamId,
    /// The greatest deleted id and the number of entries ever added, which older formats lack.
    pub counters: Option<(StreamId, u64)>,
}

/// Puts a stream together: nodes, then the head, then groups.
#[derive(Default)]
pub struct Loader {
    stream: Stream,
    last_live: Option<StreamId>,
}

impl Loader {
    /// A stream without nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node.
    ///
    /// # Errors
    /// What is wrong with it: its form, its counts, or entries that do not come after those of the
    /// nodes before it.
    pub fn node(&mut self, key: StreamId, listpack: Listpack) -> Result<(), &'static str> {
        let (mut node, first, last) = Node::from_listpack(key, listpack)?;
        node.shrink_to_fit();
        let stream = &mut self.stream;
        let after = stream.nodes.last_key_value();
        if self.last_live.is_some_and(|before| before >= first)
            || after.is_some_and(|(before, _)| *before >= key)
        {
            return Err("nodes of a stream that do not ascend");
        }
        if self.last_live.is_none() {
            stream.first_id = first;
        }
        self.last_live = Some(last);
        stream.len += node.counts().0;
        stream.node_bytes += allocated(node.memory());
        stream.nodes.insert(key, node);
        Ok(())
    }

    /// Ends the nodes: gives the stream, to which groups are still to be added.
    ///
    /// # Errors
    /// If the head contradicts the nodes.
    pub fn finish(self, head: Head) -> Result<Stream, &'static str> {
        let mut stream = self.stream;
        if head.len != stream.len {
            return Err("wrong length of a stream");
        }
        if self.last_live.is_some_and(|last| last > head.last_id) {
            return Err("a stream's last id is below that of an entry");
        }
        stream.last_id = head.last_id;
        (stream.max_deleted_id, stream.entries_added) =
            head.counters.unwrap_or((StreamId::MIN, stream.len));
        Ok(stream)
    }

    /// Adds a group.
    ///
    /// # Errors
    /// If there is one of its name.
    pub fn group(stream: &mut Stream, name: &[u8], group: Group) -> Result<(), &'static str> {
        match stream.create_group(name, group) {
            true => Ok(()),
            false => Err("a stream with a group twice"),
        }
    }
}
