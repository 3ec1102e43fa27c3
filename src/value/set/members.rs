//! The table encoding of a set: members packed by length, found through a hash table of 8-byte
//! slots.
//!
//! ```text
//!   table                         lanes: members of one length each
//!   +------+------+------+        6: | member | foobar | abcdef |
//!   | slot |      | slot |  --->  9: | something |
//!   +------+------+------+        longer than 64: one allocation each
//!
//!   slot  63   62 .. 56   55 ... 48   47 ........ 16   15 ....... 0
//!         |1|  |- 0 -|    |- lane -|  |-- place ---|   |- low bits -|
//! ```
//!
//! A lane has no gaps: when a member goes, the lane's last one moves into its place. So there is
//! neither an allocation nor rounding per member, a random member is a random place, and going
//! through all of them reads memory in order.

use super::super::table::{Note, Slot, Table};
use super::super::{Garbage, HashSeed};
use super::allocated;
use std::num::NonZeroU64;

/// Longest member that is kept in a lane of its length.
const PACKED_LEN_MAX: usize = 64;
/// Members in a chunk of a lane: growing never moves more than that.
const CHUNK_LEN: usize = 1024;
/// The lane of members that are longer than [`PACKED_LEN_MAX`].
const LONG: usize = 0;
/// Marks a length that has no lane yet.
const NO_LANE: u8 = u8::MAX;

const PLACE_SHIFT: u32 = 16;
const LANE_SHIFT: u32 = 48;

/// A slot of the table; the layout is at the top of this file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Member(NonZeroU64);

// A slot of the table is an optional member, and must not be larger than one.
const _: () = assert!(size_of::<Option<Member>>() == 8);

/// Where a member is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Address {
    lane: usize,
    place: usize,
}

impl Member {
    fn new(hash: u64, address: Address) -> Self {
        let place = u32::try_from(address.place).expect("fewer than 2^32 members of one length");
        let word = (hash & 0xFFFF)
            | u64::from(place) << PLACE_SHIFT
            | (address.lane as u64) << LANE_SHIFT
            | 1 << 63;
        Self(NonZeroU64::new(word).expect("the highest bit is set"))
    }

    #[inline]
    fn address(self) -> Address {
        let word = self.0.get();
        Address {
            lane: (word >> LANE_SHIFT) as usize & 0xFF,
            place: (word >> PLACE_SHIFT) as u32 as usize,
        }
    }

    #[inline]
    fn low_bits(self) -> u16 {
        self.0.get() as u16
    }
}

/// Tells the table that slots hold the low bits of hashes.
#[derive(Default)]
struct LowBits;

impl Note<Member> for LowBits {
    const STORES_LOW_BITS: bool = true;

    #[inline]
    fn low_bits(member: &Member) -> u16 {
        member.low_bits()
    }
}

/// The members of a set.
pub(super) struct Members {
    table: Table<Member, LowBits>,
    store: Store,
    seed: HashSeed,
}

impl Members {
    pub(super) fn new(seed: HashSeed) -> Self {
        Self {
            table: Table::new(),
            store: Store::new(),
            seed,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub(super) fn contains(&self, text: &[u8]) -> bool {
        let hash = self.seed.hash(text);
        let found = self
            .table
            .find(hash, |m| self.store.get(m.address()) == text);
        found.is_some()
    }

    /// Adds a member; whether it is new.
    #[inline]
    pub(super) fn insert(&mut self, text: &[u8]) -> bool {
        let (seed, store) = (&self.seed, &self.store);
        let hash = seed.hash(text);
        let place = self.table.entry(
            hash,
            |m| store.get(m.address()) == text,
            |m| seed.hash(store.get(m.address())),
        );
        match place {
            Slot::Occupied(_) => false,
            Slot::Vacant(place) => {
                place.insert(Member::new(hash, self.store.push(text)));
                true
            }
        }
    }

    /// Removes a member; whether it was there.
    pub(super) fn remove(&mut self, text: &[u8]) -> bool {
        let hash = self.seed.hash(text);
        let (seed, store) = (&self.seed, &self.store);
        let removed = self.table.remove(
            hash,
            |m| store.get(m.address()) == text,
            |m| seed.hash(store.get(m.address())),
        );
        match removed {
            Some(member) => {
                self.close_gap(member.address());
                true
            }
            None => false,
        }
    }

    /// Removes the member at `index`, see [`Members::at`]; calls `f` with it before.
    pub(super) fn remove_at(&mut self, index: usize, f: impl FnOnce(&[u8])) -> bool {
        let Some(address) = self.store.address(index) else {
            return false;
        };
        let (seed, store) = (&self.seed, &self.store);
        let text = store.get(address);
        f(text);
        let removed = self.table.remove(
            seed.hash(text),
            |m| m.address() == address,
            |m| seed.hash(store.get(m.address())),
        );
        assert!(removed.is_some(), "a stored member is in the table");
        self.close_gap(address);
        true
    }

    /// Takes a member that left the table out of its lane.
    fn close_gap(&mut self, gap: Address) {
        let Some(moved_from) = self.store.remove(gap) else {
            return;
        };
        let hash = self.seed.hash(self.store.get(gap));
        let member = self.table.find_mut(hash, |m| m.address() == moved_from);
        *member.expect("a stored member is in the table") = Member::new(hash, gap);
    }

    /// The member at `index`, from 0 to the number of members. The order changes with removals.
    pub(super) fn at(&self, index: usize) -> Option<&[u8]> {
        Some(self.store.get(self.store.address(index)?))
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        Iter {
            store: &self.store,
            next: Address {
                lane: LONG + 1,
                place: 0,
            },
        }
    }

    /// See [`Table::scan`].
    pub(super) fn scan(&self, cursor: u64, count: usize, f: &mut impl FnMut(&[u8])) -> u64 {
        self.table.scan(
            cursor,
            count,
            |m| m.low_bits(),
            |m| {
                f(self.store.get(m.address()));
            },
        )
    }

    /// Bytes allocated.
    pub(super) fn memory(&self) -> usize {
        self.table.memory() + self.store.memory()
    }

    /// Takes it apart in steps.
    pub(super) fn into_garbage(self) -> Garbage {
        // Slots own nothing, so a segment is one deallocation, whatever it holds.
        let slots = self.table.into_segments().map(|_| 1);
        let packed = self.store.packed.into_iter().flat_map(|lane| lane.chunks);
        let packed = packed.map(|chunk| {
            drop(chunk);
            1
        });
        let long = self.store.long.into_iter().map(|chunk| chunk.len());
        Box::new(slots.chain(packed).chain(long))
    }
}

impl Clone for Members {
    fn clone(&self) -> Self {
        let seed = self.seed;
        let store = self.store.clone();
        let mut table = Table::new();
        for index in 0..self.len() {
            let address = store.address(index).expect("as many are stored");
            let hash = seed.hash(store.get(address));
            table.insert(hash, Member::new(hash, address), |m: &Member| {
                seed.hash(store.get(m.address()))
            });
        }
        Self { table, store, seed }
    }
}

/// All members, in the order of their lanes; those without a lane come last.
pub(super) struct Iter<'a> {
    store: &'a Store,
    next: Address,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        while self.next.lane != LONG {
            match self.store.packed.get(self.next.lane - 1) {
                Some(lane) if self.next.place < lane.len => break,
                Some(_) => self.next.lane += 1,
                None => self.next.lane = LONG,
            }
            self.next.place = 0;
        }
        if self.next.lane == LONG && self.next.place >= self.store.long_len {
            return None;
        }
        let text = self.store.get(self.next);
        self.next.place += 1;
        Some(text)
    }
}

/// Members, packed by length.
#[derive(Clone)]
struct Store {
    /// Lane of each length, counted from 1.
    lane_of_len: [u8; PACKED_LEN_MAX + 1],
    packed: Vec<Lane>,
    /// Lane 0: chunks of members that are longer.
    long: Vec<Vec<Box<[u8]>>>,
    long_len: usize,
    /// Allocated bytes of those.
    long_bytes: usize,
}

/// Members of one length.
#[derive(Clone)]
struct Lane {
    width: usize,
    len: usize,
    chunks: Vec<Vec<u8>>,
}

impl Store {
    fn new() -> Self {
        Self {
            lane_of_len: [NO_LANE; PACKED_LEN_MAX + 1],
            packed: Vec::new(),
            long: Vec::new(),
            long_len: 0,
            long_bytes: 0,
        }
    }

    #[inline]
    fn get(&self, address: Address) -> &[u8] {
        let (chunk, at) = (address.place / CHUNK_LEN, address.place % CHUNK_LEN);
        match address.lane.checked_sub(1) {
            Some(lane) => {
                let lane = &self.packed[lane];
                &lane.chunks[chunk][at * lane.width..][..lane.width]
            }
            None => &self.long[chunk][at],
        }
    }

    fn push(&mut self, text: &[u8]) -> Address {
        let Some(&lane) = self.lane_of_len.get(text.len()) else {
            return self.push_long(text);
        };
        let mut lane = usize::from(lane);
        if lane == usize::from(NO_LANE) {
            self.packed.push(Lane {
                width: text.len(),
                len: 0,
                chunks: Vec::new(),
            });
            lane = self.packed.len();
            self.lane_of_len[text.len()] = lane as u8;
        }
        Address {
            lane,
            place: self.packed[lane - 1].push(text),
        }
    }

    fn push_long(&mut self, text: &[u8]) -> Address {
        let place = self.long_len;
        if place.is_multiple_of(CHUNK_LEN) {
            self.long.push(Vec::new());
        }
        let chunk = self.long.last_mut().expect("one was pushed");
        make_room(chunk, 1);
        chunk.push(text.into());
        self.long_len += 1;
        self.long_bytes += allocated(text.len());
        Address { lane: LONG, place }
    }

    /// Removes what is at `gap`. The last of the lane moves there: where it was, or `None` if it
    /// was itself the last.
    fn remove(&mut self, gap: Address) -> Option<Address> {
        let last = match gap.lane.checked_sub(1) {
            Some(lane) => self.packed[lane].remove(gap.place),
            None => self.remove_long(gap.place),
        };
        let moved_from = Address {
            lane: gap.lane,
            place: last,
        };
        (moved_from != gap).then_some(moved_from)
    }

    fn remove_long(&mut self, place: usize) -> usize {
        self.long_len -= 1;
        let chunk = self.long.last_mut().expect("it holds this member");
        let last = chunk.pop().expect("a chunk is not empty");
        shed(chunk);
        if chunk.is_empty() {
            self.long.pop();
        }
        let removed = match place == self.long_len {
            true => last,
            false => {
                let slot = &mut self.long[place / CHUNK_LEN][place % CHUNK_LEN];
                std::mem::replace(slot, last)
            }
        };
        self.long_bytes -= allocated(removed.len());
        self.long_len
    }

    /// The address of member `index` in the order of lanes.
    fn address(&self, mut index: usize) -> Option<Address> {
        for (number, lane) in self.packed.iter().enumerate() {
            if index < lane.len {
                return Some(Address {
                    lane: number + 1,
                    place: index,
                });
            }
            index -= lane.len;
        }
        (index < self.long_len).then_some(Address {
            lane: LONG,
            place: index,
        })
    }

    fn memory(&self) -> usize {
        let packed: usize = self.packed.iter().map(Lane::memory).sum();
        let long: usize = self
            .long
            .iter()
            .map(|chunk| allocated(chunk.capacity() * size_of::<Box<[u8]>>()))
            .sum();
        packed
            + allocated(self.packed.capacity() * size_of::<Lane>())
            + long
            + allocated(self.long.capacity() * size_of::<Vec<Box<[u8]>>>())
            + self.long_bytes
    }
}

impl Lane {
    fn push(&mut self, text: &[u8]) -> usize {
        let place = self.len;
        if place.is_multiple_of(CHUNK_LEN) {
            self.chunks.push(Vec::new());
        }
        let chunk = self.chunks.last_mut().expect("one was pushed");
        make_room(chunk, self.width);
        chunk.extend_from_slice(text);
        self.len += 1;
        place
    }

    /// Removes the member at `place`; where the one stood that is there now.
    fn remove(&mut self, place: usize) -> usize {
        self.len -= 1;
        let (last, width) = (self.len, self.width);
        let end = self.chunks.len() - 1;
        let from = last % CHUNK_LEN * width;
        if place != last {
            let (chunk, to) = (place / CHUNK_LEN, place % CHUNK_LEN * width);
            if chunk == end {
                self.chunks[end].copy_within(from..from + width, to);
            } else {
                let (before, tail) = self.chunks.split_at_mut(end);
                before[chunk][to..to + width].copy_from_slice(&tail[0][from..from + width]);
            }
        }
        self.chunks[end].truncate(from);
        shed(&mut self.chunks[end]);
        if last.is_multiple_of(CHUNK_LEN) {
            self.chunks.pop();
        }
        last
    }

    fn memory(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1) * allocated(CHUNK_LEN * self.width);
        let last = self.chunks.last().map_or(0, |c| allocated(c.capacity()));
        full + last + allocated(self.chunks.capacity() * size_of::<Vec<u8>>())
    }
}

/// Makes room for one more element of `width` items, with little slack and within a full chunk.
fn make_room<T>(chunk: &mut Vec<T>, width: usize) {
    if chunk.capacity() - chunk.len() >= width {
        return;
    }
    let len = chunk.len() / width.max(1);
    let more = (len / 4).clamp(4, 128).min(CHUNK_LEN - len);
    chunk.reserve_exact(more * width);
}

/// Gives memory back when a chunk has become rather empty.
fn shed<T>(chunk: &mut Vec<T>) {
    if chunk.len() < chunk.capacity() / 4 {
        chunk.shrink_to(chunk.len() * 2);
    }
}
