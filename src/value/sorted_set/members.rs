//! The members of a large sorted set: each with its score in a slot of 32 bytes, known to the tree
//! and to the index by a handle of four. So the bytes of a member are stored once.
//!
//! ```text
//!  0       8    9     10                    32
//!  +-------+----+-----+---------------------+
//!  | score | 1  | len | up to 22 bytes      |    a short member
//!  | score | 2  |     . pointer  | length   |    a longer one, in an allocation of its own
//!  |       | 0  |     . previous | next     |    a free slot
//!  +-------+----+-----+---------------------+
//! ```
//!
//! Slots are in chunks, so that growth never copies more than one of them. The free ones are
//! linked. When only a quarter is in use the owner moves members from the end into free slots
//! ([`Members::surplus`]), a few with every removal, so memory follows the size without a stall.

use std::num::NonZeroU32;

/// Slots of a chunk.
const CHUNK_LEN: usize = 1024;
/// The longest member within a slot, bytes.
const INLINE_LEN_MAX: usize = 22;
/// Slots per member above which the slots are to be condensed.
const SLOTS_PER_MEMBER_MAX: usize = 4;

/// The name of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Handle(NonZeroU32);

impl Handle {
    /// Some handle, for places that are not read.
    pub(super) const DUMMY: Handle = Handle(NonZeroU32::MIN);

    fn new(slot: usize) -> Self {
        let number = u32::try_from(slot + 1).ok().and_then(NonZeroU32::new);
        Handle(number.expect("fewer than 2^32 members"))
    }

    fn slot(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[derive(Clone)]
enum Text {
    Free {
        previous: Option<Handle>,
        next: Option<Handle>,
    },
    Inline {
        len: u8,
        bytes: [u8; INLINE_LEN_MAX],
    },
    Heap(Box<[u8]>),
}

#[derive(Clone)]
struct Slot {
    score: f64,
    text: Text,
}

/// A short member as numbers that compare as its bytes do. (Behind its end are zeros; a member
/// that has such bytes of its own is the longer one.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Short {
    first: u128,
    rest: u64,
    len: u8,
}

impl Short {
    #[inline]
    fn new(bytes: &[u8; INLINE_LEN_MAX], len: u8) -> Self {
        // Together these read all of the bytes, and two of them twice.
        let first = bytes.first_chunk().map(|bytes| u128::from_be_bytes(*bytes));
        let rest = bytes.last_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        Short {
            first: first.unwrap_or(0),
            rest: rest.unwrap_or(0),
            len,
        }
    }
}

/// A member to compare others with.
pub(super) struct Sought<'a> {
    bytes: &'a [u8],
    short: Option<Short>,
}

impl<'a> Sought<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let short = (bytes.len() <= INLINE_LEN_MAX).then(|| {
            let mut padded = [0; INLINE_LEN_MAX];
            padded[..bytes.len()].copy_from_slice(bytes);
            Short::new(&padded, bytes.len() as u8)
        });
        Sought { bytes, short }
    }
}

const _: () = assert!(size_of::<Slot>() == 32 && size_of::<Option<Handle>>() == 4);

/// The slots.
#[derive(Clone, Default)]
pub(super) struct Members {
    chunks: Vec<Vec<Slot>>,
    /// The first free slot.
    free: Option<Handle>,
    len: usize,
    /// Bytes allocated for long members.
    heap_bytes: usize,
}

impl Members {
    /// The bytes of a member.
    #[inline]
    pub(super) fn bytes(&self, handle: Handle) -> &[u8] {
        match &self.slot(handle).text {
            Text::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Text::Heap(bytes) => bytes,
            Text::Free { .. } => unreachable!("a handle leads to a member"),
        }
    }

    /// Whether a member's bytes come before those of another one.
    #[inline]
    pub(super) fn precedes(&self, handle: Handle, sought: &Sought) -> bool {
        match (&self.slot(handle).text, &sought.short) {
            (Text::Inline { len, bytes }, Some(short)) => Short::new(bytes, *len) < *short,
            _ => self.bytes(handle) < sought.bytes,
        }
    }

    /// Where in memory it is.
    pub(super) fn address(&self, handle: Handle) -> *const u8 {
        std::ptr::from_ref(self.slot(handle)).cast()
    }

    /// Its score.
    #[inline]
    pub(super) fn score(&self, handle: Handle) -> f64 {
        self.slot(handle).score
    }

    /// Changes its score.
    pub(super) fn set_score(&mut self, handle: Handle, score: f64) {
        self.slot_mut(handle).score = score;
    }

    /// Adds a member.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> Handle {
        let text = if member.len() <= INLINE_LEN_MAX {
            let mut bytes = [0; INLINE_LEN_MAX];
            bytes[..member.len()].copy_from_slice(member);
            Text::Inline {
                len: member.len() as u8,
                bytes,
            }
        } else {
            self.heap_bytes += super::allocated(member.len());
            Text::Heap(member.into())
        };
        self.len += 1;
        let slot = Slot { score, text };
        if let Some(handle) = self.free {
            self.unlink(handle);
            *self.slot_mut(handle) = slot;
            return handle;
        }
        let at = self.slots();
        if at.is_multiple_of(CHUNK_LEN) {
            // The first grows with what is in it: most sorted sets are not much larger.
            let room = if at == 0 { 0 } else { CHUNK_LEN };
            self.chunks.push(Vec::with_capacity(room));
        }
        self.chunks[at / CHUNK_LEN].push(slot);
        Handle::new(at)
    }

    /// Removes a member.
    pub(super) fn remove(&mut self, handle: Handle) {
        let free = self.free;
        let slot = self.slot_mut(handle);
        let old = std::mem::replace(
            &mut slot.text,
            Text::Free {
                previous: None,
                next: free,
            },
        );
        if let Some(next) = free {
            self.link(next).0.replace(handle);
        }
        self.free = Some(handle);
        self.len -= 1;
        match old {
            Text::Heap(bytes) => self.heap_bytes -= super::allocated(bytes.len()),
            Text::Inline { .. } => {}
            Text::Free { .. } => unreachable!("a member is removed once"),
        }
    }

    /// Whether far more slots than members are there.
    pub(super) fn surplus(&self) -> bool {
        let slots = self.slots();
        slots > CHUNK_LEN && slots / SLOTS_PER_MEMBER_MAX > self.len
    }

    /// The member in the last slot, if it is not free. Then it can be moved
    /// ([`Members::move_last`]); otherwise the slot is given up.
    pub(super) fn trim_last(&mut self) -> Option<Handle> {
        let last = Handle::new(self.slots().checked_sub(1)?);
        if !matches!(self.slot(last).text, Text::Free { .. }) {
            return Some(last);
        }
        self.unlink(last);
        self.pop();
        None
    }

    /// Moves the member in the last slot into a free one; its new handle. `None` if none is free.
    pub(super) fn move_last(&mut self) -> Option<Handle> {
        let to = self.free?;
        self.unlink(to);
        let slot = self.pop()?;
        *self.slot_mut(to) = slot;
        Some(to)
    }

    /// Allocated bytes.
    pub(super) fn memory(&self) -> usize {
        let slots = match self.chunks.as_slice() {
            [] => 0,
            [one] => one.capacity(),
            [first, rest @ ..] => first.capacity() + rest.len() * CHUNK_LEN,
        };
        let heads = self.chunks.capacity() * size_of::<Vec<Slot>>();
        super::allocated(slots * size_of::<Slot>()) + heads + self.heap_bytes
    }

    /// All members with their handles, in no order that means anything.
    pub(super) fn handles(&self) -> impl Iterator<Item = Handle> {
        let slots = self.chunks.iter().flatten().enumerate();
        let used = slots.filter(|(_, slot)| !matches!(slot.text, Text::Free { .. }));
        used.map(|(at, _)| Handle::new(at))
    }

    /// Frees the slots in steps; each gives how many it freed.
    pub(super) fn into_garbage(self) -> impl Iterator<Item = usize> {
        self.chunks.into_iter().map(|chunk| chunk.len())
    }

    fn slots(&self) -> usize {
        match self.chunks.last() {
            Some(last) => (self.chunks.len() - 1) * CHUNK_LEN + last.len(),
            None => 0,
        }
    }

    #[inline]
    fn slot(&self, handle: Handle) -> &Slot {
        &self.chunks[handle.slot() / CHUNK_LEN][handle.slot() % CHUNK_LEN]
    }

    #[inline]
    fn slot_mut(&mut self, handle: Handle) -> &mut Slot {
        &mut self.chunks[handle.slot() / CHUNK_LEN][handle.slot() % CHUNK_LEN]
    }

    /// Gives up the last slot.
    fn pop(&mut self) -> Option<Slot> {
        let chunk = self.chunks.last_mut()?;
        let slot = chunk.pop();
        if chunk.is_empty() {
            self.chunks.pop();
        }
        slot
    }

    fn link(&mut self, handle: Handle) -> (&mut Option<Handle>, &mut Option<Handle>) {
        match &mut self.slot_mut(handle).text {
            Text::Free { previous, next } => (previous, next),
            _ => unreachable!("only free slots are linked"),
        }
    }

    /// Takes a free slot off the list.
    fn unlink(&mut self, handle: Handle) {
        let (previous, next) = self.link(handle);
        let (previous, next) = (*previous, *next);
        match previous {
            Some(previous) => *self.link(previous).1 = next,
            None => self.free = next,
        }
        if let Some(next) = next {
            *self.link(next).0 = previous;
        }
    }
}
