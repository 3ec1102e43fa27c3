//! An extendible hash table of small segments: no operation ever rehashes more than one segment.
//!
//! A plain hash table doubles as a whole, which at 100 million keys stops a shard for seconds.
//! Here a *directory*, indexed by the top bits of the hash, leads to *segments* of at most 1024
//! slots, each a small table of open addressing (`slots.rs`). A full segment splits in two by the
//! next bit of the hash; a nearly empty one merges with its buddy. The directory alone is ever
//! doubled or halved, and it holds four bytes per segment (Fagin et al., "Extendible Hashing",
//! 1979).
//!
//! ```text
//!    hash  63 ........ 36 35 ........ 16 15 ... 10 9 ........ 0
//!          |-- prefix --|                          |- slot ---|
//!                                        |---- low bits ------|
//!
//!    prefix     up to 28 bits, the directory's index
//!    slot       where in its segment the search for an element begins
//!    low bits   tell elements apart before they are touched; `Entry` stores them. They are also
//!               the caller's order of a scan within a segment
//! ```

mod slots;

pub use slots::{ElementsMut, IntoElements};

use slots::{Probe, Slots};
use std::{iter, mem, vec};

/// Slots of a full-grown segment.
const BUCKETS_MAX: usize = 1024;
/// Elements that such a segment holds.
const SEGMENT_LEN_MAX: usize = slots::room(BUCKETS_MAX);
/// Two buddies that together hold no more than this merge. Far below half a segment, so that a
/// table which swings around one size does not split and merge in turn.
const MERGE_LEN_MAX: usize = SEGMENT_LEN_MAX / 4;
/// Hash bits that the directory may use.
const DEPTH_MAX: u32 = 28;
/// First position after the last, in units of the deepest prefix.
const POSITION_END: u32 = 1 << DEPTH_MAX;
/// The directory may always have this many slots, and beyond it [`DIRECTORY_PER_SEGMENT`].
const DIRECTORY_FREE: usize = 64;
/// Directory slots per live segment. With a good hash there are at most four; the limit is what
/// keeps chosen or broken hashes from doubling the directory up to 2^28 slots.
const DIRECTORY_PER_SEGMENT: usize = 16;
/// Segments per arena chunk: the arena grows by chunks, never by moving all its segments.
const CHUNK_LEN: usize = 256;
/// Slots from which on a segment splits early, see [`Table::expect`].
const EARLY_SPLIT_SLOTS: usize = 16;
/// Elements per segment once all that were expected are there; well below what a segment holds,
/// since not all get as many.
const EXPECTED_PER_SEGMENT: usize = 600;
/// Segments that one scan step visits at most beyond what its `count` asks for.
const SCAN_SEGMENTS_MAX: usize = 16;

/// What the owner of a table wants to know per segment, kept up to date by the table.
///
/// A segment's note is rebuilt with [`Note::added`] when the segment splits or merges. A change
/// of an element in place is the owner's to note ([`Table::find_with_note`]).
pub trait Note<T>: Default {
    /// `element` came into the segment.
    fn added(&mut self, _element: &T) {}
    /// `element` left the segment.
    fn removed(&mut self, _element: &T) {}

    /// What `element` points to will be needed soon: the time to prefetch it, if it is elsewhere.
    fn announced(_element: &T) {}

    /// Whether elements store the 16 low bits of their hash. They must then do so from before
    /// they come into the table until they leave it.
    const STORES_LOW_BITS: bool = false;

    /// Bits 0 to 15 of the element's hash, if elements store them; not called otherwise.
    fn low_bits(_element: &T) -> u16 {
        0
    }
}

impl<T> Note<T> for () {}

/// The table. `N` is the note kept per segment; most tables need none.
///
/// Hashes are the caller's: the same element must always hash alike, over all 64 bits.
pub struct Table<T, N = ()> {
    /// Segment of each hash prefix; a power of two of slots, or none while nothing was inserted.
    directory: Vec<u32>,
    segments: Arena<Segment<T, N>>,
    /// Arena slots that merges left unused.
    free: Vec<u32>,
    /// Live segments per depth. The last is the directory's depth and is never zero.
    depths: Vec<u32>,
    len: usize,
    /// Elements that are said to come, 0 for no idea.
    expected: usize,
}

struct Segment<T, N> {
    table: Slots<T, N>,
    /// Hash bits that all elements here have in common.
    depth: u32,
    note: N,
}

/// The place of a hash in the table: taken, or ready to be filled without another probe.
pub enum Slot<'a, T, N = ()> {
    /// The element is there.
    Occupied(Occupied<'a, T, N>),
    /// It is not.
    Vacant(Vacant<'a, T, N>),
}

/// An element found by [`Table::entry`], with its segment's note.
pub struct Occupied<'a, T, N> {
    /// The element. Its hash must stay what it is.
    pub element: &'a mut T,
    /// The note of its segment.
    pub note: &'a mut N,
}

/// A free place found by [`Table::entry`].
pub struct Vacant<'a, T, N> {
    table: &'a mut Slots<T, N>,
    slot: usize,
    hash: u64,
    note: &'a mut N,
    len: &'a mut usize,
}

impl<'a, T, N: Note<T>> Vacant<'a, T, N> {
    /// Fills the place. `element` must have the hash that was asked for.
    pub fn insert(self, element: T) -> &'a mut T {
        self.note.added(&element);
        *self.len += 1;
        self.table.fill(self.slot, self.hash, element)
    }
}

impl<T, N: Note<T>> Default for Table<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, N: Note<T>> Table<T, N> {
    /// An empty table; allocates nothing.
    pub const fn new() -> Self {
        Self {
            directory: Vec::new(),
            segments: Arena::new(),
            free: Vec::new(),
            depths: Vec::new(),
            len: 0,
            expected: 0,
        }
    }

    /// Says that the table will hold about `len` elements before the first is removed. Segments
    /// then split while they are small, not when they are full, which spares most of the hashing.
    ///
    /// Memory is taken for what comes, whatever was said: `len` need not be trusted.
    pub const fn expect(&mut self, len: usize) {
        self.expected = len;
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element with this hash that `eq` accepts.
    pub fn find(&self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&T> {
        let index = self.segment_index(hash)?;
        self.segments.get(index).table.find(hash, eq)
    }

    /// Where a look-up of this hash begins, for the caller to prefetch; `None` if the table is
    /// empty.
    pub fn home_slot(&self, hash: u64) -> Option<&Option<T>> {
        let index = self.segment_index(hash)?;
        self.segments.get(index).table.home_slot(hash)
    }

    /// As [`Table::find`]. The element's hash must stay what it is.
    pub fn find_mut(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let index = self.segment_index(hash)?;
        self.segments.get_mut(index).table.find_mut(hash, eq)
    }

    /// As [`Table::find_mut`], with the note of the segment that holds the element.
    pub fn find_with_note(
        &mut self,
        hash: u64,
        eq: impl FnMut(&T) -> bool,
    ) -> Option<Occupied<'_, T, N>> {
        let index = self.segment_index(hash)?;
        let segment = self.segments.get_mut(index);
        let element = segment.table.find_mut(hash, eq)?;
        Some(Occupied {
            element,
            note: &mut segment.note,
        })
    }

    /// Finds the element or the place for it, in one probe.
    ///
    /// May split or grow the one segment that is concerned, whether or not an element follows.
    pub fn entry(
        &mut self,
        hash: u64,
        eq: impl FnMut(&T) -> bool,
        hasher: impl Fn(&T) -> u64,
    ) -> Slot<'_, T, N> {
        let index = self.segment_with_room(hash, &hasher);
        let segment = self.segments.get_mut(index);
        let note = &mut segment.note;
        match segment.table.probe(hash, eq) {
            Some(Probe::Found(slot)) => {
                let element = segment.table.get_bucket_mut(slot);
                Slot::Occupied(Occupied {
                    element: element.expect("an element was just found in this slot"),
                    note,
                })
            }
            Some(Probe::Free(slot)) => Slot::Vacant(Vacant {
                table: &mut segment.table,
                slot,
                hash,
                note,
                len: &mut self.len,
            }),
            None => unreachable!("a segment with room has slots"),
        }
    }

    /// Inserts an element that must be absent; a duplicate would be found at random.
    pub fn insert(&mut self, hash: u64, element: T, hasher: impl Fn(&T) -> u64) -> &mut T {
        let index = self.segment_with_room(hash, &hasher);
        let segment = self.segments.get_mut(index);
        segment.note.added(&element);
        self.len += 1;
        segment.table.insert_unique(hash, element, &hasher)
    }

    /// Takes out the element with this hash that `eq` accepts. The hasher serves the merge or the
    /// shrinking of a segment that becomes nearly empty.
    pub fn remove(
        &mut self,
        hash: u64,
        eq: impl FnMut(&T) -> bool,
        hasher: impl Fn(&T) -> u64,
    ) -> Option<T> {
        let index = self.segment_index(hash)?;
        let segment = self.segments.get_mut(index);
        let Probe::Found(slot) = segment.table.probe(hash, eq)? else {
            return None;
        };
        let element = segment.table.take(slot, &hasher)?;
        segment.note.removed(&element);
        self.len -= 1;
        if segment.table.len() <= MERGE_LEN_MAX {
            self.condense(index, hash, &hasher);
        }
        Some(element)
    }

    /// All elements, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments
            .iter()
            .flat_map(|segment| segment.table.iter())
    }

    /// All elements, to be changed in place; their hashes must stay what they are, and segments'
    /// notes are not updated.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.segments
            .iter_mut()
            .flat_map(|segment| segment.table.iter_mut())
    }

    /// Some element, chosen by the random number `r`; nearly uniform. `None` only if empty.
    pub fn random(&self, r: u64) -> Option<&T> {
        if self.is_empty() {
            return None;
        }
        // Merging leaves no long run of empty segments, so few steps are enough.
        let start = position_of(r);
        let (mut position, mut wrapped) = (start, false);
        let table = loop {
            let segment = self.segments.get(self.index_at(position)?);
            if !segment.table.is_empty() {
                break &segment.table;
            }
            position = align(position, segment.depth) + span(segment.depth);
            if position >= POSITION_END {
                assert!(!wrapped, "a table that counts elements holds none");
                (position, wrapped) = (0, true);
            }
        };
        let mask = table.num_buckets() - 1;
        let first = r as usize & mask;
        // A few independent tries keep the choice even; the walk after them is bounded by the
        // segment and finds something for certain.
        (0..8)
            .filter_map(|round| table.get_bucket((r >> (round * 5)) as usize & mask))
            .chain((0..=mask).filter_map(|step| table.get_bucket((first + step) & mask)))
            .next()
    }

    /// Bytes of the table itself: directory, segment heads and buckets. O(segments).
    pub fn memory(&self) -> usize {
        let buckets: usize = self
            .segments
            .iter()
            .map(|s| s.table.allocation_size())
            .sum();
        let vectors = (self.directory.capacity() + self.free.capacity() + self.depths.capacity())
            * mem::size_of::<u32>();
        vectors + self.segments.memory() + buckets
    }

    /// Takes the table apart segment by segment, so that a huge one can be freed in slices.
    pub fn into_segments(self) -> IntoSegments<T, N> {
        IntoSegments(self.segments.into_values())
    }
}

/// The segments of a table taken apart: an iterator over their elements for each.
pub struct IntoSegments<T, N = ()>(iter::Flatten<vec::IntoIter<Vec<Segment<T, N>>>>);

impl<T, N: Note<T>> Iterator for IntoSegments<T, N> {
    type Item = IntoElements<T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|segment| segment.table.into_elements())
    }
}

/// Walking in hash order.
impl<T, N: Note<T>> Table<T, N> {
    /// One step of a scan with Redis's SCAN guarantee: what is in the table from the first step
    /// (`cursor` 0) to the last (which returns 0) is seen at least once, whatever is inserted or
    /// removed in between. `f` sees about `count` elements, at most some hundreds more.
    ///
    /// `order` gives 16 bits of an element that never change, best bits 0 to 15 of its hash. Any
    /// cursor is safe; one that no scan returned starts somewhere. Cursors are below 2^49:
    ///
    /// ```text
    ///    48 ......... 21 20 ... 16 15 ........ 0
    ///    |- position --| |- depth -| |- order --|
    ///
    ///    position   everything before this prefix is done
    ///    depth, order   of the prefixes that agree with `position` in `depth` bits, those not
    ///                   before it are done up to, not including, `order`
    /// ```
    ///
    /// The depth matters when the segment split since: its parts are then finished one by one.
    pub fn scan(
        &self,
        cursor: u64,
        count: usize,
        order: impl Fn(&T) -> u16,
        mut f: impl FnMut(&T),
    ) -> u64 {
        let mut cursor = Cursor::decode(cursor);
        let mut picked = Vec::new();
        let mut left = count.max(1);
        for _ in 0..SCAN_SEGMENTS_MAX + count / (SEGMENT_LEN_MAX / 2) {
            let Some(index) = self.index_at(cursor.position) else {
                return 0;
            };
            let segment = self.segments.get(index);
            let whole = cursor.enter(segment.depth);
            pick(&segment.table, cursor.order, &order, &mut picked);
            let take = if whole { picked.len() } else { left };
            let next = first_in_order(&mut picked, take);
            for &(_, bucket) in &picked {
                segment
                    .table
                    .get_bucket(bucket as usize)
                    .into_iter()
                    .for_each(&mut f);
            }
            left = left.saturating_sub(picked.len());
            match next {
                Some(order) => cursor.order = order,
                None => cursor.leave(segment.depth),
            }
            if left == 0 || cursor.position >= POSITION_END {
                break;
            }
        }
        cursor.encode()
    }

    /// One step of a walk in hash order that may change elements in place. As [`Table::scan`],
    /// except that a step walks one segment at most, that `f` ends it by returning `false` (the
    /// element counts as seen, and those of equal order still follow), and that a segment which
    /// split or merged since the last step is walked again from its beginning. So `f` has to
    /// recognise what it has seen, and no step is longer than `f` wants.
    pub fn walk(
        &mut self,
        cursor: u64,
        order: impl Fn(&T) -> u16,
        mut f: impl FnMut(&mut T) -> bool,
    ) -> u64 {
        let mut cursor = Cursor::decode(cursor);
        let Some(index) = self.index_at(cursor.position) else {
            return 0;
        };
        let segment = self.segments.get_mut(index);
        if cursor.enter(segment.depth) {
            cursor.order = 0;
            cursor.depth = segment.depth;
        }
        let mut picked = Vec::new();
        pick(&segment.table, cursor.order, &order, &mut picked);
        picked.sort_unstable();
        let mut stopped_at = None;
        for (at, &(order, bucket)) in picked.iter().enumerate() {
            if let Some(&(_, later)) = picked.get(at + slots::ANNOUNCED_AHEAD) {
                let later = segment.table.get_bucket(later as usize);
                later.into_iter().for_each(N::announced);
            }
            // Elements of equal order are not told apart by a cursor, so they go together.
            if stopped_at.is_some_and(|stop| order > stop) {
                cursor.order = order;
                return cursor.encode();
            }
            if let Some(element) = segment.table.get_bucket_mut(bucket as usize)
                && !f(element)
                && stopped_at.is_none()
            {
                stopped_at = Some(order);
            }
        }
        cursor.leave(segment.depth);
        cursor.encode()
    }

    /// A position for [`Table::visit`], chosen by the random number `r`.
    pub const fn position(r: u64) -> u32 {
        position_of(r)
    }

    /// Visits the segment at `position` (0 is the first) and returns the next position, `None`
    /// after the last. `f` gets the note and the elements; it must keep the note right itself.
    /// Splits and merges between two visits can make a walk see a segment again or not at all.
    pub fn visit(
        &mut self,
        position: u32,
        f: impl FnOnce(&mut N, ElementsMut<'_, T>),
    ) -> Option<u32> {
        let index = self.index_at(position)?;
        let segment = self.segments.get_mut(index);
        f(&mut segment.note, segment.table.iter_mut());
        let next = align(position, segment.depth) + span(segment.depth);
        (next < POSITION_END).then_some(next)
    }

    /// Arena index of the segment that holds `position`.
    fn index_at(&self, position: u32) -> Option<usize> {
        self.segment_index(u64::from(position) << (u64::BITS - DEPTH_MAX))
    }
}

/// Growing and shrinking.
impl<T, N: Note<T>> Table<T, N> {
    /// Bits of the hash that the directory uses now.
    fn depth(&self) -> u32 {
        self.directory.len().trailing_zeros()
    }

    /// Directory slot of a hash; the directory must not be empty.
    fn slot(&self, hash: u64) -> usize {
        // Two shifts, because a shift by 64 is none.
        ((hash >> 1) >> (u64::BITS - 1 - self.depth())) as usize
    }

    fn segment_index(&self, hash: u64) -> Option<usize> {
        if self.directory.is_empty() {
            return None;
        }
        Some(self.directory[self.slot(hash)] as usize)
    }

    /// Arena index of the segment for `hash`, with room for one more element.
    fn segment_with_room(&mut self, hash: u64, hasher: &impl Fn(&T) -> u64) -> usize {
        if self.directory.is_empty() {
            let segment = Segment {
                table: Slots::default(),
                depth: 0,
                note: N::default(),
            };
            self.segments = Arena::new();
            self.directory = vec![self.segments.push(segment)];
            self.depths = vec![1];
        }
        loop {
            let index = self.directory[self.slot(hash)] as usize;
            let segment = self.segments.get_mut(index);
            if segment.table.has_room() {
                return index;
            }
            let depth = segment.depth;
            let slots = segment.table.num_buckets();
            let early = slots >= EARLY_SPLIT_SLOTS
                && self.live_segments() < self.expected / EXPECTED_PER_SEGMENT;
            if (early || slots >= BUCKETS_MAX) && self.may_split(depth) {
                self.split(index, hash, hasher);
            } else {
                // It is small; or its hashes are equal or nearly so and no split would help, so
                // this segment alone outgrows its size.
                self.segments.get_mut(index).table.grow(hasher);
            }
        }
    }

    fn live_segments(&self) -> usize {
        self.segments.len() - self.free.len()
    }

    fn may_split(&self, depth: u32) -> bool {
        let slots_max = DIRECTORY_FREE.max(self.live_segments() * DIRECTORY_PER_SEGMENT);
        depth < DEPTH_MAX && (depth < self.depth() || self.directory.len() * 2 <= slots_max)
    }

    /// Splits a segment by the next bit of the hash. Costs one hash per element.
    fn split(&mut self, index: usize, hash: u64, hasher: &impl Fn(&T) -> u64) {
        let low = self.segments.get_mut(index);
        let depth = low.depth;
        let old = mem::take(&mut low.table);
        let slots = old.num_buckets().min(BUCKETS_MAX);
        let mut halves = [(); 2].map(|()| Slots::with_room(0, slots));
        let mut notes = [N::default(), N::default()];
        old.take_all(|element| {
            let hash = hasher(&element);
            let half = (hash >> (u64::BITS - 1 - depth)) as usize & 1;
            notes[half].added(&element);
            halves[half].insert_unique(hash, element, hasher);
        });
        let [low_table, high_table] = halves;
        let [low_note, high_note] = notes;
        *low = Segment {
            table: low_table,
            depth: depth + 1,
            note: low_note,
        };
        let high = self.add(Segment {
            table: high_table,
            depth: depth + 1,
            note: high_note,
        });
        if depth == self.depth() {
            self.directory = self
                .directory
                .iter()
                .flat_map(|&segment| [segment; 2])
                .collect();
            self.depths.push(0);
        }
        self.depths[depth as usize] -= 1;
        self.depths[depth as usize + 1] += 2;
        let both = self.slots_of(hash, depth);
        let middle = both.start + both.len() / 2;
        self.directory[middle..both.end].fill(high);
    }

    /// Shrinks a segment that became nearly empty, or merges it with its buddy.
    fn condense(&mut self, index: usize, hash: u64, hasher: &impl Fn(&T) -> u64) {
        // Or what merges here would split at once.
        self.expected = 0;
        let segment = self.segments.get_mut(index);
        let (depth, len) = (segment.depth, segment.table.len());
        if depth > 0 {
            let buddy_hash = hash ^ (1 << (u64::BITS - depth));
            let buddy_index = self.directory[self.slot(buddy_hash)] as usize;
            let buddy = self.segments.get(buddy_index);
            if buddy.depth == depth && buddy.table.len() + len <= MERGE_LEN_MAX {
                return self.merge(index, buddy_index, hash, hasher);
            }
        }
        let table = &mut self.segments.get_mut(index).table;
        if table.num_buckets() > 16 && len < table.num_buckets() / 8 {
            table.shrink_to(len * 2, hasher);
        }
    }

    /// Merges two buddies into the first. `hash` is one of either.
    fn merge(&mut self, index: usize, buddy_index: usize, hash: u64, hasher: &impl Fn(&T) -> u64) {
        let buddy = self.segments.get_mut(buddy_index);
        let moved = mem::take(&mut buddy.table);
        buddy.note = N::default();
        let segment = self.segments.get_mut(index);
        segment.table.reserve(moved.len(), hasher);
        for element in moved.into_elements() {
            segment.note.added(&element);
            segment
                .table
                .insert_unique(hasher(&element), element, hasher);
        }
        segment.depth -= 1;
        let depth = segment.depth;
        self.free.push(buddy_index as u32);
        self.depths[depth as usize] += 1;
        self.depths[depth as usize + 1] -= 2;
        let both = self.slots_of(hash, depth);
        self.directory[both].fill(index as u32);
        if self.depths.last() == Some(&0) {
            self.depths.pop();
            self.directory = self.directory.iter().copied().step_by(2).collect();
        }
    }

    /// Directory slots whose prefix agrees with `hash` in `depth` bits.
    fn slots_of(&self, hash: u64, depth: u32) -> std::ops::Range<usize> {
        let slots = 1 << (self.depth() - depth);
        let start = self.slot(hash) & !(slots - 1);
        start..start + slots
    }

    /// Puts a segment into a free arena slot.
    fn add(&mut self, segment: Segment<T, N>) -> u32 {
        match self.free.pop() {
            Some(index) => {
                *self.segments.get_mut(index as usize) = segment;
                index
            }
            None => self.segments.push(segment),
        }
    }
}

/// Position of a hash: its prefix at the greatest depth.
const fn position_of(hash: u64) -> u32 {
    (hash >> (u64::BITS - DEPTH_MAX)) as u32
}

/// Positions that a segment of this depth covers.
const fn span(depth: u32) -> u32 {
    1 << (DEPTH_MAX - depth)
}

/// First position of the segment of this depth around `position`.
const fn align(position: u32, depth: u32) -> u32 {
    position & !(span(depth) - 1)
}

/// Where a scan stands; the fields are explained at [`Table::scan`].
struct Cursor {
    position: u32,
    depth: u32,
    order: u16,
}

impl Cursor {
    const fn decode(cursor: u64) -> Self {
        let depth = (cursor >> 16) as u32 & 31;
        Self {
            position: (cursor >> 21) as u32 & (POSITION_END - 1),
            depth: if depth > DEPTH_MAX { DEPTH_MAX } else { depth },
            order: cursor as u16,
        }
    }

    /// 0 at the end. Never 0 before it: either something was passed or `order` is not zero.
    const fn encode(&self) -> u64 {
        if self.position >= POSITION_END {
            return 0;
        }
        (self.position as u64) << 21 | (self.depth as u64) << 16 | self.order as u64
    }

    /// Adapts to the segment now found at the position. Returns whether it is one of the parts of
    /// a segment that split after the cursor had entered it: the rest of such a part must be taken
    /// whole, because the cursor has no room for an order of its own for each part.
    const fn enter(&mut self, depth: u32) -> bool {
        let start = align(self.position, depth);
        if start != self.position || (self.order > 0 && depth < self.depth) {
            // Merged since. What was done of it is no longer known: all of it again.
            self.position = start;
            self.order = 0;
        }
        if self.order == 0 {
            self.depth = depth;
        }
        depth > self.depth
    }

    /// Passes the segment just finished.
    const fn leave(&mut self, depth: u32) {
        let end = align(self.position, self.depth) + span(self.depth);
        self.position = align(self.position, depth) + span(depth);
        if self.position >= end {
            self.order = 0;
            self.depth = 0;
        }
    }
}

/// Collects (order, slot) of the elements from `order_min` on.
fn pick<T, N: Note<T>>(
    table: &Slots<T, N>,
    order_min: u16,
    order: impl Fn(&T) -> u16,
    picked: &mut Vec<(u16, u32)>,
) {
    picked.clear();
    picked.reserve(table.len());
    for slot in 0..table.num_buckets() {
        if let Some(element) = table.get_bucket(slot) {
            let order = order(element);
            if order >= order_min {
                picked.push((order, slot as u32));
            }
        }
    }
}

/// Reduces `picked` to its first `count` in order, and those that equal the last of them. Returns
/// the order to go on from, `None` if nothing is left out.
fn first_in_order(picked: &mut Vec<(u16, u32)>, count: usize) -> Option<u16> {
    if picked.len() <= count {
        return None;
    }
    let (_, &mut (last, _), _) = picked.select_nth_unstable(count - 1);
    let next = picked
        .iter()
        .map(|&(order, _)| order)
        .filter(|&order| order > last)
        .min();
    picked.retain(|&(order, _)| order <= last);
    next
}

/// Values in chunks that never move once full, so that growth never copies them all.
struct Arena<S> {
    chunks: Vec<Vec<S>>,
}

impl<S> Arena<S> {
    const fn new() -> Self {
        Self { chunks: Vec::new() }
    }

    fn len(&self) -> usize {
        match self.chunks.last() {
            Some(last) => (self.chunks.len() - 1) * CHUNK_LEN + last.len(),
            None => 0,
        }
    }

    fn get(&self, index: usize) -> &S {
        &self.chunks[index / CHUNK_LEN][index % CHUNK_LEN]
    }

    fn get_mut(&mut self, index: usize) -> &mut S {
        &mut self.chunks[index / CHUNK_LEN][index % CHUNK_LEN]
    }

    fn push(&mut self, value: S) -> u32 {
        let index = self.len();
        if index.is_multiple_of(CHUNK_LEN) {
            // Most tables have a single segment, so the first chunk starts with room for one.
            if index == 0 {
                self.chunks = Vec::with_capacity(1);
            }
            self.chunks
                .push(Vec::with_capacity(if index == 0 { 1 } else { CHUNK_LEN }));
        }
        self.chunks[index / CHUNK_LEN].push(value);
        u32::try_from(index).expect("fewer than 2^32 segments")
    }

    fn iter(&self) -> impl Iterator<Item = &S> {
        self.chunks.iter().flatten()
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.chunks.iter_mut().flatten()
    }

    fn into_values(self) -> iter::Flatten<vec::IntoIter<Vec<S>>> {
        self.chunks.into_iter().flatten()
    }

    /// Bytes of the chunks.
    fn memory(&self) -> usize {
        let values: usize = self.chunks.iter().map(|chunk| chunk.capacity()).sum();
        values * mem::size_of::<S>() + self.chunks.capacity() * mem::size_of::<Vec<S>>()
    }
}

#[cfg(test)]
mod tests;
