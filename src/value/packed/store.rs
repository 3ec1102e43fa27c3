//! Where packed records are: in lanes of one length each.
//!
//! A lane has no gaps: when a record goes, the lane's last one moves into its place. So there is
//! neither an allocation nor rounding per record, a random record is a random place, and going
//! through all of them reads memory in order.

use super::super::allocated;

/// Longest record that is kept in a lane of its length, bytes.
const PACKED_LEN_MAX: usize = 128;
/// Records in a chunk of a lane: growing never moves more than that.
const CHUNK_LEN: usize = 1024;
/// The lane of records that are longer than [`PACKED_LEN_MAX`].
pub(super) const LONG: usize = 0;
/// Marks a length that has no lane yet.
const NO_LANE: u8 = u8::MAX;

/// Where a record is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Address {
    pub(super) lane: usize,
    pub(super) place: usize,
}

/// Records, packed by length.
#[derive(Clone)]
pub(super) struct Store {
    /// Lane of each length, counted from 1.
    lane_of_len: [u8; PACKED_LEN_MAX + 1],
    packed: Vec<Lane>,
    /// Lane 0: chunks of records that are longer.
    long: Vec<Vec<Box<[u8]>>>,
    long_len: usize,
    /// Allocated bytes of those.
    long_bytes: usize,
}

/// Records of one length.
#[derive(Clone)]
struct Lane {
    width: usize,
    len: usize,
    chunks: Vec<Vec<u8>>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            lane_of_len: [NO_LANE; PACKED_LEN_MAX + 1],
            packed: Vec::new(),
            long: Vec::new(),
            long_len: 0,
            long_bytes: 0,
        }
    }

    #[inline]
    pub(super) fn get(&self, address: Address) -> &[u8] {
        let (chunk, at) = (address.place / CHUNK_LEN, address.place % CHUNK_LEN);
        match address.lane.checked_sub(1) {
            Some(lane) => {
                let lane = &self.packed[lane];
                &lane.chunks[chunk][at * lane.width..][..lane.width]
            }
            None => &self.long[chunk][at],
        }
    }

    /// Stores a record, given in parts.
    pub(super) fn push(&mut self, parts: &[&[u8]]) -> Address {
        let len = parts.iter().map(|part| part.len()).sum();
        let Some(&lane) = self.lane_of_len.get(len) else {
            return self.push_long(parts, len);
        };
        let mut lane = usize::from(lane);
        if lane == usize::from(NO_LANE) {
            self.packed.push(Lane {
                width: len,
                len: 0,
                chunks: Vec::new(),
            });
            lane = self.packed.len();
            self.lane_of_len[len] = lane as u8;
        }
        Address {
            lane,
            place: self.packed[lane - 1].push(parts),
        }
    }

    /// Replaces a record in its place, if another of that length takes its place; whether it does.
    pub(super) fn overwrite(&mut self, address: Address, parts: &[&[u8]]) -> bool {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let (chunk, at) = (address.place / CHUNK_LEN, address.place % CHUNK_LEN);
        let Some(lane) = address.lane.checked_sub(1) else {
            if len <= PACKED_LEN_MAX {
                return false;
            }
            let record = &mut self.long[chunk][at];
            self.long_bytes += allocated(len);
            self.long_bytes -= allocated(record.len());
            *record = parts.concat().into();
            return true;
        };
        let lane = &mut self.packed[lane];
        if lane.width != len {
            return false;
        }
        let mut rest = &mut lane.chunks[chunk][at * len..][..len];
        for part in parts {
            let (here, behind) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        }
        true
    }

    /// The first record at `next` or behind it; `None` at the end.
    #[inline]
    pub(super) fn settle(&self, mut next: Address) -> Option<Address> {
        while next.lane != LONG {
            match self.packed.get(next.lane - 1) {
                Some(lane) if next.place < lane.len => return Some(next),
                Some(_) => next.lane += 1,
                None => next.lane = LONG,
            }
            next.place = 0;
        }
        (next.place < self.long_len).then_some(next)
    }

    /// Takes it apart in steps.
    pub(super) fn into_garbage(self) -> impl Iterator<Item = usize> {
        let packed = self.packed.into_iter().flat_map(|lane| lane.chunks);
        let packed = packed.map(|chunk| {
            drop(chunk);
            1
        });
        packed.chain(self.long.into_iter().map(|chunk| chunk.len()))
    }

    fn push_long(&mut self, parts: &[&[u8]], len: usize) -> Address {
        let place = self.long_len;
        if place.is_multiple_of(CHUNK_LEN) {
            self.long.push(Vec::new());
        }
        let chunk = self.long.last_mut().expect("one was pushed");
        make_room(chunk, 1);
        chunk.push(parts.concat().into());
        self.long_len += 1;
        self.long_bytes += allocated(len);
        Address { lane: LONG, place }
    }

    /// Removes what is at `gap`. The last of the lane moves there: where it was, or `None` if it
    /// was itself the last.
    pub(super) fn remove(&mut self, gap: Address) -> Option<Address> {
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
        let chunk = self.long.last_mut().expect("it holds this record");
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

    /// The address of record `index` in the order of lanes.
    pub(super) fn address(&self, mut index: usize) -> Option<Address> {
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

    pub(super) fn memory(&self) -> usize {
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
    fn push(&mut self, parts: &[&[u8]]) -> usize {
        let place = self.len;
        if place.is_multiple_of(CHUNK_LEN) {
            self.chunks.push(Vec::new());
        }
        let chunk = self.chunks.last_mut().expect("one was pushed");
        make_room(chunk, self.width);
        for part in parts {
            chunk.extend_from_slice(part);
        }
        self.len += 1;
        place
    }

    /// Removes the record at `place`; where the one stood that is there now.
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
