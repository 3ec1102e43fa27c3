//! Size classes, variable-length integers and prefetching: how an entry lies in memory.

use std::alloc::Layout;
use std::ptr;

/// Alignment of every allocation, bytes.
const ALIGN: usize = 8;

/// Smallest size class of `size` bytes: multiples of 16 up to 128, then four per doubling.
pub(super) fn class_of(size: usize) -> u8 {
    if size <= 128 {
        return size.div_ceil(16).max(1) as u8;
    }
    let log = (size - 1).ilog2();
    let quarter = ((size - 1) >> (log - 2)) & 3;
    u8::try_from(9 + (log as usize - 7) * 4 + quarter).expect("fewer classes than 256")
}

/// Bytes of a size class.
pub(super) const fn class_size(class: u8) -> usize {
    let class = class as usize;
    if class <= 8 {
        return class * 16;
    }
    let (log, quarter) = (7 + (class - 9) / 4, (class - 9) % 4);
    (1 << log) + (quarter + 1) * (1 << (log - 2))
}

pub(super) fn layout_of(class: u8) -> Layout {
    Layout::from_size_align(class_size(class), ALIGN).expect("keys are below 2^40 bytes")
}

/// Bytes that the processor fetches at once.
pub(super) const CACHE_LINE: usize = 64;

/// Asks the processor for the cache line where `at` begins, without waiting for it.
pub(in crate::keyspace) fn prefetch_line<T>(at: &T) {
    prefetch_address(ptr::from_ref(at).cast());
}

/// The same for an address, which may be any.
#[inline]
pub fn prefetch_address(address: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch changes nothing and never faults, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = address;
}

pub(super) const fn varint_size(value: usize) -> usize {
    if value < 0x80 {
        return 1;
    }
    (usize::BITS - value.leading_zeros()).div_ceil(7) as usize
}

/// Writes LEB128 and returns its size.
///
/// # Safety
/// `at` must be valid for writes of [`varint_size`] bytes.
pub(super) unsafe fn write_varint(at: *mut u8, mut value: usize) -> usize {
    let mut size = 0;
    loop {
        let more = value >= 0x80;
        let byte = (value & 0x7f) as u8 | if more { 0x80 } else { 0 };
        // SAFETY: by the contract of this function.
        unsafe { at.add(size).write(byte) };
        size += 1;
        value >>= 7;
        if !more {
            return size;
        }
    }
}

/// Reads LEB128: the value and its size.
///
/// # Safety
/// At `at` there must be what [`write_varint`] wrote.
pub(super) unsafe fn read_varint(at: *const u8) -> (usize, usize) {
    // SAFETY: by the contract of this function, here and below.
    let first = unsafe { at.read() };
    if first < 0x80 {
        return (usize::from(first), 1);
    }
    let (mut value, mut size) = (usize::from(first & 0x7f), 1);
    loop {
        // SAFETY: the byte before had its continuation bit set.
        let byte = unsafe { at.add(size).read() };
        value |= usize::from(byte & 0x7f) << (7 * size);
        size += 1;
        if byte < 0x80 {
            return (value, size);
        }
    }
}
