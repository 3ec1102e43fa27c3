//! The messages that a shard has for the others until its tick ends, and the envelopes for them.
//!
//! Requests and replies go the same ways there and back, so the envelopes that a shard has opened
//! serve for what it sends: in a steady state none is allocated, and none is freed on a core that
//! did not allocate it.

use super::message::{ENVELOPE_BYTES_MAX, Envelope, Item};
use super::queue::Parcel;

/// An envelope whose buffers have grown beyond this many bytes, or items, is not kept.
const KEPT_BYTES_MAX: usize = 64 << 10;
const KEPT_ITEMS_MAX: usize = 1 << 10;
/// Envelopes kept for each other shard.
const KEPT_PER_SHARD: usize = 2;

/// See the module's page.
pub(super) struct Mail {
    /// By receiver; the last of a row is being filled.
    outgoing: Vec<Vec<Parcel<Envelope>>>,
    empty: Vec<Parcel<Envelope>>,
}

impl Mail {
    pub fn new(shards: usize) -> Self {
        Mail {
            outgoing: (0..shards).map(|_| Vec::new()).collect(),
            empty: Vec::new(),
        }
    }

    /// The envelope to a shard that is being filled.
    #[inline]
    pub fn to(&mut self, to: usize) -> &mut Envelope {
        let Mail { outgoing, empty } = self;
        let row = &mut outgoing[to];
        if row
            .last()
            .is_none_or(|last| last.data.len() > ENVELOPE_BYTES_MAX)
        {
            row.push(
                empty
                    .pop()
                    .unwrap_or_else(|| Parcel::new(Envelope::default())),
            );
        }
        row.last_mut().expect("one was pushed")
    }

    /// Adds a message.
    pub fn post(&mut self, to: usize, item: Item) {
        self.to(to).items.push(item);
    }

    /// What is to go to a shard; give the row back by [`Mail::put_row`].
    pub fn take_row(&mut self, to: usize) -> Vec<Parcel<Envelope>> {
        std::mem::take(&mut self.outgoing[to])
    }

    /// Keeps a row that was emptied for its memory, if nothing has come into its place.
    pub fn put_row(&mut self, to: usize, row: Vec<Parcel<Envelope>>) {
        if self.outgoing[to].is_empty() {
            self.outgoing[to] = row;
        }
    }

    /// Whether nothing is to go to a shard.
    pub fn is_empty_to(&self, to: usize) -> bool {
        self.outgoing[to].is_empty()
    }

    /// Whether nothing is to go anywhere.
    pub fn is_empty(&self) -> bool {
        self.outgoing.iter().all(Vec::is_empty)
    }

    /// Keeps an envelope that was read, to be used again.
    pub fn recycle(&mut self, mut envelope: Parcel<Envelope>) {
        let fits = envelope.data.capacity() <= KEPT_BYTES_MAX
            && envelope.items.capacity() <= KEPT_ITEMS_MAX
            && envelope.spans.capacity() <= KEPT_ITEMS_MAX * 8;
        if fits && self.empty.len() < KEPT_PER_SHARD * self.outgoing.len() {
            envelope.data.clear();
            envelope.spans.clear();
            envelope.items.clear();
            self.empty.push(envelope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_that_was_read_is_filled_again_and_a_huge_one_is_not_kept() {
        let mut mail = Mail::new(2);
        mail.to(1).data.extend_from_slice(b"request");
        let kept = mail.to(1).data.as_ptr();
        let mut row = mail.take_row(1);
        mail.recycle(row.pop().expect("one is filled"));
        mail.put_row(1, row);
        assert!(mail.is_empty());
        assert!(mail.to(0).data.is_empty());
        assert_eq!(mail.to(0).data.as_ptr(), kept);

        mail.to(1).data.reserve(KEPT_BYTES_MAX + 1);
        let huge = mail.take_row(1).pop().expect("one is filled");
        mail.recycle(huge);
        assert!(mail.empty.is_empty());
    }

    #[test]
    fn no_more_envelopes_are_kept_than_the_shards_need() {
        let mut mail = Mail::new(3);
        for _ in 0..100 {
            mail.recycle(Parcel::new(Envelope::default()));
        }
        assert_eq!(mail.empty.len(), 3 * KEPT_PER_SHARD);
    }
}
