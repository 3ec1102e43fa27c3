//! One key with its value and expiry, in one allocation; behind an 8-byte word.
//!
//! This file and `entry/layout.rs` are the only ones of the keyspace with `unsafe` code. What it
//! buys is memory: a 16-byte key with a 64-byte value takes 96 bytes, where separate objects for
//! key, value and expiry take more than 150, and a key moves between cores as one word.
//!
//! ```text
//!    the word      63 ........ 48 47 ....................... 3 2 1 0
//!                  |-- order ---| |------- address ----------|     ^-- has an expiry
//!
//!    allocation    0      1      2      4        8          8 or 16
//!                  +------+------+------+--------+----------+---------+-----+---------+
//!                  | form | size | epoch| access | [expiry] | key len | key | value   |
//!                  |  u8  |  u8  |  u16 |  u32   |  [u64]   | varint  |     |         |
//!                  +------+------+------+--------+----------+---------+-----+---------+
//!
//!    value         Int      i64
//!                  Inline   length varint, bytes         strings up to 1 KiB
//!                  Heap     pointer, length, capacity    longer ones: appending is amortised
//!                  Hash, List, Set, SortedSet, Stream      pointer to the collection
//! ```
//!
//! * `order`: 16 bits of the key's hash. Most comparisons with another key, and the order of a scan
//!   within its segment, are decided by the word alone, without touching the allocation.
//! * `form`: which value follows, and whether a string reports the encoding `raw`.
//! * `size`: the size class of the allocation. Classes are those of jemalloc (four per doubling),
//!   so a value can be overwritten in place with whatever the class has room for.
//! * varints are LEB128. Fields beyond the first eight bytes are not aligned. All are
//!   native-endian.

mod layout;

pub use layout::prefetch_address;
pub(super) use layout::prefetch_line;

use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::set::Set;
use crate::value::sorted_set::SortedSet;
use crate::value::stream::Stream;
use crate::value::{Collection, Kind, Value, ValueRef, number};
use layout::{CACHE_LINE, class_of, class_size, layout_of, read_varint, varint_size, write_varint};
use std::alloc::{alloc, dealloc, handle_alloc_error};
use std::mem::{ManuallyDrop, size_of};
use std::ptr::{self, NonNull};
use std::{fmt, slice};

/// Longest string that is kept in the entry's own allocation, in bytes.
pub const INLINE_LEN_MAX: usize = 1024;
/// Longest string that reports `embstr`, in bytes (`OBJ_ENCODING_EMBSTR_SIZE_LIMIT`).
const EMBSTR_LEN_MAX: usize = 44;

/// Elements of a collection that are freed at once; a larger one is freed in slices.
const FREE_AT_ONCE_MAX: usize = 512;

const ORDER_SHIFT: u32 = 48;
const EXPIRY_TAG: usize = 1;
const ADDRESS: usize = (1 << ORDER_SHIFT) - 1 - 7;

const SIZE_CLASS: usize = 1;
const EPOCH: usize = 2;
const ACCESS: usize = 4;
const EXPIRY: usize = 8;
const HEADER_LEN: usize = 8;
const EXPIRY_LEN: usize = 8;
const FORM_INT: u8 = 0;
const FORM_INLINE: u8 = 1;
const FORM_HEAP: u8 = 2;
const FORM_HASH: u8 = 3;
const FORM_LIST: u8 = 4;
const FORM_SET: u8 = 5;
const FORM_SORTED_SET: u8 = 6;
const FORM_STREAM: u8 = 7;
const FORM_MASK: u8 = 7;
const FORM_RAW: u8 = 8;

/// A key, its value and its expiry. 8 bytes; the rest is one allocation that it owns.
pub struct Entry {
    word: NonNull<u8>,
}

// SAFETY: the entry owns its allocation alone and hands out references only through itself. What
// it can own in turn (`Vec<u8>`, collections) is `Send`, which `assert_send` below holds the
// compiler to.
unsafe impl Send for Entry {}

// A slot of the table is an optional entry, and must not be larger than one.
const _: () = assert!(size_of::<Option<Entry>>() == 8);

const _: () = {
    const fn assert_send<T: Send>() {}
    assert_send::<Value>();
};

/// A value on its way into an entry.
enum Payload<'a> {
    Int(i64),
    Inline(&'a [u8]),
    Heap(Vec<u8>),
    Hash(Box<Hash>),
    List(Box<List>),
    Set(Box<Set>),
    SortedSet(Box<SortedSet>),
    Stream(Box<Stream>),
}

/// A collection that an entry owns through a pointer. Only this file implements it: a form belongs
/// to one type.
pub trait Boxed: Collection + sealed::Form {}

mod sealed {
    /// The form of entries whose value is a pointer to this type.
    pub trait Form {
        const FORM: u8;
    }
}

macro_rules! boxed {
    ($($collection:ty = $form:expr),*) => {$(
        impl sealed::Form for $collection {
            const FORM: u8 = $form;
        }
        impl Boxed for $collection {}
    )*};
}

boxed!(
    Hash = FORM_HASH,
    List = FORM_LIST,
    Set = FORM_SET,
    SortedSet = FORM_SORTED_SET,
    Stream = FORM_STREAM
);

/// The three words of a `Vec<u8>`.
#[derive(Clone, Copy)]
#[repr(C)]
struct HeapString {
    pointer: *mut u8,
    len: usize,
    capacity: usize,
}

impl Entry {
    /// An entry of `key` and `value`. `expire_at_ms` is in Unix milliseconds.
    pub fn new(key: &[u8], value: Value, expire_at_ms: Option<u64>) -> Self {
        let mut text = Vec::new();
        let (payload, raw) = Payload::of(value, &mut text);
        Self::build(key, payload, raw, expire_at_ms)
    }

    /// An entry of `key` and a string, held as an integer if it is a canonical one.
    pub fn string(key: &[u8], value: &[u8], expire_at_ms: Option<u64>) -> Self {
        Self::build(key, Payload::string(value), false, expire_at_ms)
    }

    fn build(key: &[u8], payload: Payload<'_>, raw: bool, expire_at_ms: Option<u64>) -> Self {
        let expiry_len = if expire_at_ms.is_some() {
            EXPIRY_LEN
        } else {
            0
        };
        let key_start = HEADER_LEN + expiry_len;
        let key_len_size = varint_size(key.len());
        let value_start = key_start + key_len_size + key.len();
        let mut entry = Self::allocate(value_start + payload.size(), expire_at_ms.is_some());
        let base = entry.base();
        // SAFETY: the allocation holds at least `value_start + payload.size()` bytes, which is
        // where the writes below end; `key` is a borrowed slice and cannot overlap it.
        unsafe {
            base.add(EPOCH).write_bytes(0, HEADER_LEN - EPOCH);
            write_varint(base.add(key_start), key.len());
            let key_at = base.add(key_start + key_len_size);
            ptr::copy_nonoverlapping(key.as_ptr(), key_at, key.len());
            entry.put_payload(value_start, payload, raw);
        }
        if let Some(at) = expire_at_ms {
            entry.write_expiry(at);
        }
        entry
    }

    /// Memory for `size` bytes, with only the size class set.
    fn allocate(size: usize, has_expiry: bool) -> Self {
        let class = class_of(size);
        let layout = layout_of(class);
        // SAFETY: the layout's size is a class size, which is never zero.
        let base = unsafe { alloc(layout) };
        let Some(base) = NonNull::new(base) else {
            handle_alloc_error(layout)
        };
        assert_eq!(
            base.addr().get() & !ADDRESS,
            0,
            "an address needs more than 48 bits"
        );
        // SAFETY: the smallest class has 16 bytes.
        unsafe { base.add(SIZE_CLASS).write(class) };
        let tag = if has_expiry { EXPIRY_TAG } else { 0 };
        Self {
            word: base.map_addr(|address| address | tag),
        }
    }

    /// Writes a payload and the form that goes with it. Does not drop what was there before.
    ///
    /// # Safety
    /// `value_start` must be where this entry's value starts, and the allocation must have room
    /// for the payload there.
    unsafe fn put_payload(&mut self, value_start: usize, payload: Payload<'_>, raw: bool) {
        let base = self.base();
        // SAFETY: by the contract of this function, all writes are inside the allocation; those
        // of more than a byte are unaligned ones.
        unsafe {
            let at = base.add(value_start);
            let form = match payload {
                Payload::Int(int) => {
                    at.cast::<i64>().write_unaligned(int);
                    FORM_INT
                }
                Payload::Inline(bytes) => {
                    let size = write_varint(at, bytes.len());
                    ptr::copy_nonoverlapping(bytes.as_ptr(), at.add(size), bytes.len());
                    FORM_INLINE
                }
                Payload::Heap(bytes) => {
                    at.cast::<HeapString>()
                        .write_unaligned(HeapString::of(bytes));
                    FORM_HEAP
                }
                Payload::Hash(hash) => put_box(at, hash),
                Payload::List(list) => put_box(at, list),
                Payload::Set(set) => put_box(at, set),
                Payload::SortedSet(set) => put_box(at, set),
                Payload::Stream(stream) => put_box(at, stream),
            };
            base.write(form | if raw { FORM_RAW } else { 0 });
        }
    }
}

/// Reading.
impl Entry {
    fn base(&self) -> *mut u8 {
        self.word.as_ptr().map_addr(|word| word & ADDRESS)
    }

    fn form(&self) -> u8 {
        // SAFETY: the first byte of the allocation is always initialised.
        unsafe { self.base().read() }
    }

    fn class(&self) -> u8 {
        // SAFETY: as is the second.
        unsafe { self.base().add(SIZE_CLASS).read() }
    }

    fn has_expiry(&self) -> bool {
        self.word.addr().get() & EXPIRY_TAG != 0
    }

    fn key_start(&self) -> usize {
        HEADER_LEN + if self.has_expiry() { EXPIRY_LEN } else { 0 }
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        // SAFETY: a varint and that many bytes were written there when the entry was built, and
        // stay unchanged as long as `self` is borrowed.
        unsafe {
            let at = self.base().add(self.key_start());
            let (len, size) = read_varint(at);
            slice::from_raw_parts(at.add(size), len)
        }
    }

    fn value_start(&self) -> usize {
        let len = self.key().len();
        self.key_start() + varint_size(len) + len
    }

    /// Where the value starts.
    fn value_at(&self) -> *mut u8 {
        // SAFETY: the value starts inside the allocation.
        unsafe { self.base().add(self.value_start()) }
    }

    fn heap_string(&self) -> HeapString {
        debug_assert_eq!(self.form() & FORM_MASK, FORM_HEAP);
        // SAFETY: with this form, a `HeapString` was written there.
        unsafe { self.value_at().cast::<HeapString>().read_unaligned() }
    }

    /// The pointer to the collection.
    ///
    /// # Panics
    /// If the entry holds another type.
    fn pointer<T: Boxed>(&self) -> *mut T {
        assert_eq!(self.form() & FORM_MASK, T::FORM, "the form tells the type");
        // SAFETY: with this form, the pointer of a leaked box was written there.
        unsafe { self.value_at().cast::<*mut T>().read_unaligned() }
    }

    /// The value, in place.
    pub fn value(&self) -> ValueRef<'_> {
        // SAFETY: the form says what was written there. Heap strings and collections live until the
        // entry drops or replaces them, for which it must be borrowed mutably.
        unsafe {
            match self.form() & FORM_MASK {
                FORM_INT => ValueRef::Int(self.value_at().cast::<i64>().read_unaligned()),
                FORM_INLINE => {
                    let at = self.value_at();
                    let (len, size) = read_varint(at);
                    ValueRef::Bytes(slice::from_raw_parts(at.add(size), len))
                }
                FORM_HEAP => {
                    let string = self.heap_string();
                    ValueRef::Bytes(slice::from_raw_parts(string.pointer, string.len))
                }
                FORM_HASH => ValueRef::Hash(&*self.pointer()),
                FORM_LIST => ValueRef::List(&*self.pointer()),
                FORM_SET => ValueRef::Set(&*self.pointer()),
                FORM_SORTED_SET => ValueRef::SortedSet(&*self.pointer()),
                _ => ValueRef::Stream(&*self.pointer()),
            }
        }
    }

    /// A deep copy of the value.
    pub fn to_value(&self) -> Value {
        match self.value() {
            ValueRef::Bytes(bytes) if self.is_raw() => Value::Raw(bytes.to_vec()),
            value => value.to_value(),
        }
    }

    /// The data type.
    pub fn kind(&self) -> Kind {
        self.value().kind()
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(&self) -> &'static str {
        match self.value() {
            ValueRef::Int(_) => "int",
            ValueRef::Bytes(bytes) if self.is_raw() || bytes.len() > EMBSTR_LEN_MAX => "raw",
            ValueRef::Bytes(_) => "embstr",
            ValueRef::Hash(hash) => hash.encoding(),
            ValueRef::List(list) => list.encoding(),
            ValueRef::Set(set) => set.encoding(),
            ValueRef::SortedSet(set) => set.encoding(),
            ValueRef::Stream(stream) => stream.encoding(),
        }
    }

    /// Whether this is a string that must report `raw` although it may be short: APPEND and
    /// SETRANGE leave such strings behind.
    pub fn is_raw(&self) -> bool {
        self.form() & FORM_RAW != 0
    }

    /// When the key expires, in Unix milliseconds. Does not touch memory if it never does.
    pub fn expire_at(&self) -> Option<u64> {
        // SAFETY: with the tag set, an expiry was written there.
        self.has_expiry()
            .then(|| unsafe { self.base().add(EXPIRY).cast::<u64>().read() })
    }

    /// Whether the key's time was over at `now_ms`: strictly later than its expiry, as in Redis.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expire_at().is_some_and(|at| now_ms > at)
    }

    /// The access word of LRU or LFU; its meaning is the eviction policy's.
    pub fn access(&self) -> u32 {
        // SAFETY: initialised when the entry was built; aligned to 4.
        unsafe { self.base().add(ACCESS).cast::<u32>().read() }
    }

    /// Sets the access word.
    pub fn set_access(&mut self, access: u32) {
        // SAFETY: inside the header; aligned to 4.
        unsafe { self.base().add(ACCESS).cast::<u32>().write(access) }
    }

    /// The snapshot epoch in which the entry was last written or serialised.
    pub(super) fn epoch(&self) -> u16 {
        // SAFETY: initialised when the entry was built; aligned to 2.
        unsafe { self.base().add(EPOCH).cast::<u16>().read() }
    }

    pub(super) fn set_epoch(&mut self, epoch: u16) {
        // SAFETY: inside the header; aligned to 2.
        unsafe { self.base().add(EPOCH).cast::<u16>().write(epoch) }
    }

    /// The 16 hash bits in the word; 0 until a database sets them.
    pub(super) fn order(&self) -> u16 {
        (self.word.addr().get() >> ORDER_SHIFT) as u16
    }

    pub(super) fn set_order(&mut self, order: u16) {
        let rest = (1 << ORDER_SHIFT) - 1;
        self.change_word(|word| word & rest | usize::from(order) << ORDER_SHIFT);
    }

    fn change_word(&mut self, f: impl FnOnce(usize) -> usize) {
        let word = self.word.as_ptr().map_addr(f);
        self.word = NonNull::new(word).expect("the address in the word is not zero");
    }

    /// Asks the processor for the first two cache lines, without waiting for them; a usual small
    /// entry reaches into the second.
    pub(super) fn prefetch(&self) {
        let base = self.base().cast_const();
        prefetch_address(base);
        prefetch_address(base.wrapping_add(CACHE_LINE));
    }

    /// Bytes allocated for the entry and its value. For a collection: O(1) or a sample of it, as
    /// the collection's own `memory` says.
    pub fn memory(&self) -> usize {
        let value = match self.form() & FORM_MASK {
            FORM_HEAP => self.heap_string().capacity,
            _ => match self.value() {
                ValueRef::Int(_) | ValueRef::Bytes(_) => 0,
                ValueRef::Hash(hash) => hash.memory(),
                ValueRef::List(list) => list.memory(),
                ValueRef::Set(set) => set.memory(),
                ValueRef::SortedSet(set) => set.memory(),
                ValueRef::Stream(stream) => stream.memory(),
            },
        };
        class_size(self.class()) + value
    }
}

/// Writing.
impl Entry {
    /// Whether dropping the entry takes longer than a shard may stall. Touches one cache line
    /// unless it is a collection.
    pub(super) fn is_slow_to_free(&self) -> bool {
        self.elements() > FREE_AT_ONCE_MAX
    }

    /// Elements of a collection; 0 for a string.
    fn elements(&self) -> usize {
        match self.value() {
            ValueRef::Int(_) | ValueRef::Bytes(_) => 0,
            ValueRef::Hash(hash) => hash.len(),
            ValueRef::List(list) => list.len(),
            ValueRef::Set(set) => set.len(),
            ValueRef::SortedSet(set) => set.len(),
            ValueRef::Stream(stream) => stream.elements(),
        }
    }

    /// The collection, to be changed in place. `None` if the entry holds another type.
    pub fn collection_mut<T: Boxed>(&mut self) -> Option<&mut T> {
        if self.form() & FORM_MASK != T::FORM {
            return None;
        }
        // SAFETY: the pointer is that of a box leaked into this entry, which is borrowed mutably
        // for as long as the reference lives.
        Some(unsafe { &mut *self.pointer() })
    }

    /// Changes a string through a `Vec`, after which it is `raw`: APPEND, SETRANGE. A string above
    /// [`INLINE_LEN_MAX`] is not copied. `None`, without calling `f`, if it is not a string.
    pub fn string_mut<R>(&mut self, f: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        let mut bytes = match self.value() {
            ValueRef::Int(int) => {
                let mut text = Vec::new();
                number::write_i64(&mut text, int);
                text
            }
            ValueRef::Bytes(bytes) if self.form() & FORM_MASK == FORM_INLINE => bytes.to_vec(),
            ValueRef::Bytes(_) => {
                let string = self.heap_string();
                // An empty string takes the place of the one that is lent out: should `f` panic,
                // nothing is freed twice.
                // SAFETY: the form stays the same, so there is room; the old parts become a `Vec`
                // again, exactly once.
                unsafe {
                    self.put_payload(self.value_start(), Payload::Heap(Vec::new()), true);
                    string.into_vec()
                }
            }
            _ => return None,
        };
        let result = f(&mut bytes);
        self.replace(Payload::bytes(&mut bytes), true, self.expire_at());
        Some(result)
    }

    /// The bytes of a string, to be changed in place, after which it is `raw`: SETBIT, PFCOUNT.
    /// `None` if it is an integer or not a string.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        let form = self.form() & FORM_MASK;
        if form != FORM_INLINE && form != FORM_HEAP {
            return None;
        }
        // SAFETY: with these forms the value is a string, inside the allocation or owned by it. It
        // stays where it is as long as the entry is borrowed mutably. The form keeps its meaning.
        unsafe {
            self.base().write(form | FORM_RAW);
            Some(match form {
                FORM_INLINE => {
                    let at = self.value_at();
                    let (len, size) = read_varint(at);
                    slice::from_raw_parts_mut(at.add(size), len)
                }
                _ => {
                    let string = self.heap_string();
                    slice::from_raw_parts_mut(string.pointer, string.len)
                }
            })
        }
    }

    /// Replaces the value; the expiry stays.
    pub fn set_value(&mut self, value: Value) {
        let mut text = Vec::new();
        let (payload, raw) = Payload::of(value, &mut text);
        self.replace(payload, raw, self.expire_at());
    }

    /// Replaces value and expiry by a string, within the allocation if it fits.
    pub(super) fn set_string(&mut self, value: &[u8], expire_at_ms: Option<u64>) {
        if value.len() > INLINE_LEN_MAX && self.form() & FORM_MASK == FORM_HEAP {
            let mut string = self.heap_string();
            let waste_ok = string.capacity / 2 <= value.len();
            if string.capacity >= value.len() && waste_ok && self.expire_at() == expire_at_ms {
                // SAFETY: there is room by the check; `value` cannot overlap what this entry owns,
                // because the entry is borrowed mutably. The form stays what it is.
                unsafe {
                    ptr::copy_nonoverlapping(value.as_ptr(), string.pointer, value.len());
                    string.len = value.len();
                    self.value_at().cast::<HeapString>().write_unaligned(string);
                    self.base().write(FORM_HEAP);
                }
                return;
            }
        }
        self.replace(Payload::string(value), false, expire_at_ms);
    }

    /// Sets or clears the expiry; the value stays.
    pub(super) fn set_expiry(&mut self, expire_at_ms: Option<u64>) {
        if self.has_expiry() != expire_at_ms.is_some() {
            let (from, to) = match self.has_expiry() {
                true => (HEADER_LEN + EXPIRY_LEN, HEADER_LEN),
                false => (HEADER_LEN, HEADER_LEN + EXPIRY_LEN),
            };
            let len = self.value_start() - from + self.value_size();
            self.make_room(from.max(to) + len, from + len);
            let base = self.base();
            // SAFETY: key and value are `len` bytes at `from`, and there is room for them at `to`.
            // Owned pointers among them are moved as bytes, which keeps them valid.
            unsafe { ptr::copy(base.add(from), base.add(to), len) };
            self.tag_expiry(expire_at_ms.is_some());
        }
        if let Some(at) = expire_at_ms {
            self.write_expiry(at);
        }
    }

    /// Takes the value out; the key and the expiry are gone.
    pub fn into_value(self) -> Value {
        let entry = ManuallyDrop::new(self);
        let raw = entry.is_raw();
        let value = match entry.form() & FORM_MASK {
            // SAFETY: the parts of a leaked `Vec` become one again, once: the entry is not dropped.
            FORM_HEAP => match unsafe { entry.heap_string().into_vec() } {
                bytes if raw => Value::Raw(bytes),
                bytes => Value::Bytes(bytes),
            },
            // SAFETY: likewise for a leaked box.
            form if form >= FORM_HASH => unsafe { entry.take_box() },
            _ => entry.to_value(),
        };
        // SAFETY: the allocation is this entry's, made with this layout, and not used again.
        unsafe { dealloc(entry.base(), layout_of(entry.class())) };
        value
    }

    /// Replaces value and expiry. The new value may not be borrowed from this entry.
    fn replace(&mut self, payload: Payload<'_>, raw: bool, expire_at_ms: Option<u64>) {
        self.drop_value();
        if self.has_expiry() != expire_at_ms.is_some() {
            if self.form() & FORM_MASK == FORM_INLINE {
                // Not worth moving. SAFETY: an empty string takes one byte, the least there is.
                unsafe { self.put_payload(self.value_start(), Payload::Inline(b""), false) };
            }
            self.set_expiry(expire_at_ms);
        } else if let Some(at) = expire_at_ms {
            self.write_expiry(at);
        }
        let value_start = self.value_start();
        self.make_room(value_start + payload.size(), value_start);
        // SAFETY: room was made for it; the old value owns nothing any more.
        unsafe { self.put_payload(value_start, payload, raw) };
    }

    /// Drops what the value owns and leaves the integer 0 in its place.
    fn drop_value(&mut self) {
        let owned = self.form() & FORM_MASK;
        if owned == FORM_HEAP {
            let string = self.heap_string();
            // SAFETY: the form changes before anything could drop the parts a second time. The
            // integer takes no more room than the string's three words.
            unsafe {
                self.put_payload(self.value_start(), Payload::Int(0), false);
                drop(string.into_vec());
            }
        } else if owned >= FORM_HASH {
            // SAFETY: likewise; an integer is as long as a pointer.
            unsafe {
                let value = self.take_box();
                self.put_payload(self.value_start(), Payload::Int(0), false);
                drop(value);
            }
        }
    }

    /// The collection as a value of its own.
    ///
    /// # Safety
    /// The entry must hold a collection, and its pointer must not be used again.
    unsafe fn take_box(&self) -> Value {
        // SAFETY: the form says what box was leaked into this entry; by the contract of this
        // function it becomes one again only once.
        unsafe {
            match self.form() & FORM_MASK {
                FORM_HASH => Value::Hash(Box::from_raw(self.pointer())),
                FORM_LIST => Value::List(Box::from_raw(self.pointer())),
                FORM_SET => Value::Set(Box::from_raw(self.pointer())),
                FORM_SORTED_SET => Value::SortedSet(Box::from_raw(self.pointer())),
                _ => Value::Stream(Box::from_raw(self.pointer())),
            }
        }
    }

    /// Makes the allocation fit for `size` bytes, keeping the first `keep` of them. It stays where
    /// it is if it is large enough and no more than twice too large.
    fn make_room(&mut self, size: usize, keep: usize) {
        let old_class = self.class();
        let (old, new) = (class_size(old_class), class_size(class_of(size)));
        if new <= old && old <= new * 2 {
            return;
        }
        let mut moved = Self::allocate(size, self.has_expiry());
        moved.set_order(self.order());
        // SAFETY: `keep` is within both allocations, which are distinct; the class in the second
        // byte is put back after the copy. The old allocation was made with its class's layout,
        // and the new word takes its place before it could be used again.
        unsafe {
            ptr::copy_nonoverlapping(self.base(), moved.base(), keep);
            moved.base().add(SIZE_CLASS).write(class_of(size));
            dealloc(self.base(), layout_of(old_class));
        }
        self.word = moved.word;
        std::mem::forget(moved);
    }

    /// Bytes that the value takes in this allocation.
    fn value_size(&self) -> usize {
        match (self.form() & FORM_MASK, self.value()) {
            (FORM_INLINE, ValueRef::Bytes(bytes)) => varint_size(bytes.len()) + bytes.len(),
            (FORM_HEAP, _) => size_of::<HeapString>(),
            _ => size_of::<u64>(),
        }
    }

    fn tag_expiry(&mut self, has_expiry: bool) {
        let tag = if has_expiry { EXPIRY_TAG } else { 0 };
        self.change_word(|word| word & !EXPIRY_TAG | tag);
    }

    fn write_expiry(&mut self, at: u64) {
        assert!(self.has_expiry(), "room was made for the expiry");
        // SAFETY: with the tag set, the field is there; aligned to 8.
        unsafe { self.base().add(EXPIRY).cast::<u64>().write(at) }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.drop_value();
        // SAFETY: the allocation is this entry's, made with this layout, and not used again.
        unsafe { dealloc(self.base(), layout_of(self.class())) };
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii().to_string())
            .field("value", &self.value())
            .field("expire_at", &self.expire_at())
            .finish_non_exhaustive()
    }
}

impl<'a> Payload<'a> {
    /// A string in its smallest form.
    fn string(bytes: &'a [u8]) -> Self {
        match number::parse_i64(bytes) {
            Some(int) => Self::Int(int),
            None if bytes.len() > INLINE_LEN_MAX => Self::Heap(bytes.to_vec()),
            None => Self::Inline(bytes),
        }
    }

    /// A string that is not an integer; empties `bytes` if they are too long for the allocation.
    fn bytes(bytes: &'a mut Vec<u8>) -> Self {
        if bytes.len() > INLINE_LEN_MAX {
            Self::Heap(std::mem::take(bytes))
        } else {
            Self::Inline(bytes)
        }
    }

    /// Any value, and whether it is `raw`. `text` keeps what the payload borrows.
    fn of(value: Value, text: &'a mut Vec<u8>) -> (Self, bool) {
        let raw = matches!(value, Value::Raw(_));
        match value {
            Value::Int(int) => (Self::Int(int), false),
            Value::Bytes(bytes) | Value::Raw(bytes) => {
                *text = bytes;
                (Self::bytes(text), raw)
            }
            Value::Hash(hash) => (Self::Hash(hash), false),
            Value::List(list) => (Self::List(list), false),
            Value::Set(set) => (Self::Set(set), false),
            Value::SortedSet(set) => (Self::SortedSet(set), false),
            Value::Stream(stream) => (Self::Stream(stream), false),
        }
    }

    /// Bytes that it takes in an entry's allocation.
    fn size(&self) -> usize {
        match self {
            Self::Inline(bytes) => varint_size(bytes.len()) + bytes.len(),
            Self::Heap(_) => size_of::<HeapString>(),
            // An integer or a pointer.
            _ => size_of::<u64>(),
        }
    }
}

impl HeapString {
    fn of(bytes: Vec<u8>) -> Self {
        let mut bytes = ManuallyDrop::new(bytes);
        Self {
            pointer: bytes.as_mut_ptr(),
            len: bytes.len(),
            capacity: bytes.capacity(),
        }
    }

    /// # Safety
    /// The parts must be those of a `Vec` that was given up, and become one again only once.
    unsafe fn into_vec(self) -> Vec<u8> {
        // SAFETY: by the contract of this function.
        unsafe { Vec::from_raw_parts(self.pointer, self.len, self.capacity) }
    }
}

/// Gives a box up to an entry; the form that goes with it.
///
/// # Safety
/// `at` must be valid for the write of a pointer.
unsafe fn put_box<T: Boxed>(at: *mut u8, collection: Box<T>) -> u8 {
    // SAFETY: by the contract of this function; the write is an unaligned one.
    unsafe {
        at.cast::<*mut T>()
            .write_unaligned(Box::into_raw(collection))
    };
    T::FORM
}

#[cfg(test)]
mod tests;
