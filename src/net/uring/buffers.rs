//! The provided-buffer ring: receive buffers that the kernel picks itself when data arrives.
//!
//! ```text
//! one mapping:  | ring: entries x 16 bytes, whole pages | buffer 0 | pad | buffer 1 | pad | ...
//! ring entry:   | address u64 | length u32 | id u16 | resv u16 |   entry 0's resv: the ring's tail
//! ```
//!
//! The kernel owns a buffer from the store of the tail that offers it until the completion that
//! names it; then the driver owns it until it gives it back. The ring is first in, first out, so
//! all buffers come round in turn: the pad keeps their first lines out of the same cache sets,
//! where a stride of 16 KiB would put them.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

const PAGE: usize = 4096;
const PAD: usize = 192;
/// The only buffer group of a ring.
pub(super) const GROUP: u16 = 0;

/// A ring of `entries` receive buffers of `len` bytes each.
pub(super) struct BufferRing {
    base: NonNull<u8>,
    mapped: usize,
    first: usize,
    entries: u16,
    len: usize,
    tail: u16,
}

impl BufferRing {
    /// Maps the memory. Pages are touched only when the kernel fills them.
    pub(super) fn new(entries: u16, len: u32) -> io::Result<Self> {
        let entries = entries.clamp(1, 1 << 15).next_power_of_two();
        let len = (len as usize).clamp(64, 1 << 24);
        let first = (usize::from(entries) * size_of::<BufRingEntry>()).next_multiple_of(PAGE);
        let mapped = first + usize::from(entries) * (len + PAD);
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing
        // memory.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                mapped,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_ANONYMOUS | libc::MAP_PRIVATE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut ring = BufferRing {
            base,
            mapped,
            first,
            entries,
            len,
            tail: 0,
        };
        for id in 0..entries {
            ring.give_back(id);
        }
        Ok(ring)
    }

    /// Gives the buffers to `ring`.
    ///
    /// # Safety
    /// `self` must outlive the ring's use of the buffers: see [`unregister`](Self::unregister).
    pub(super) unsafe fn register(&self, ring: &IoUring) -> io::Result<()> {
        let address = self.base.as_ptr() as u64;
        // SAFETY: the mapping is page-aligned and long enough for `entries` entries; the caller
        // keeps it alive.
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(address, self.entries, GROUP, 0)
        }
    }

    /// Takes the buffers back: no receive picks one afterwards.
    pub(super) fn unregister(&self, ring: &IoUring) -> io::Result<()> {
        ring.submitter().unregister_buf_ring(GROUP)
    }

    /// Keeps the memory mapped for ever, for the case that the kernel could not be made to let it
    /// go.
    pub(super) fn leak(&mut self) {
        self.mapped = 0;
    }

    fn offset(&self, id: u16) -> usize {
        self.first + usize::from(id) * (self.len + PAD)
    }

    /// The first `len` bytes of a buffer.
    ///
    /// # Safety
    /// A completion named `id`, and it was not given back since.
    pub(super) unsafe fn data(&self, id: u16, len: usize) -> &[u8] {
        assert!(
            id < self.entries && len <= self.len,
            "the kernel names buffers that it was given"
        );
        // SAFETY: in bounds by the assertion; initialised because the mapping was zeroed; the
        // kernel does not write it while the driver owns it; giving it back needs `&mut self`,
        // which ends this borrow.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(self.offset(id)), len) }
    }

    /// Offers a buffer to the kernel again.
    pub(super) fn give_back(&mut self, id: u16) {
        assert!(id < self.entries);
        let entries = self.base.as_ptr().cast::<BufRingEntry>();
        let at = usize::from(self.tail & (self.entries - 1));
        // SAFETY: `at` is within the ring; the kernel does not read that entry before the tail
        // passes it, because at most `entries` buffers exist. The entry is plain old data,
        // zero-initialised, and its `resv` is not written here, which in entry 0 is the tail.
        unsafe {
            let entry = &mut *entries.add(at);
            entry.set_addr(self.base.as_ptr().add(self.offset(id)) as u64);
            entry.set_len(self.len as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: `entries` is the address of the ring's first entry, whose last field is the tail:
        // aligned, alive, and shared with the kernel, which only reads it. Release publishes the
        // entry written above.
        unsafe {
            let tail = BufRingEntry::tail(entries).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        if self.mapped == 0 {
            return;
        }
        // SAFETY: the mapping was made by `new`, and the driver unregistered it before dropping it.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.mapped) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_ring_comes_round_and_offers_each_buffer_once() {
        let mut ring = BufferRing::new(3, 100).unwrap();
        assert_eq!((ring.entries, ring.tail), (4, 4));
        for turn in 0..100_000u32 {
            ring.give_back((turn % 4) as u16);
        }
        let entries = ring.base.as_ptr().cast::<BufRingEntry>();
        let mut ids: Vec<u16> = (0..4)
            // SAFETY: the ring has four entries and no kernel uses it.
            .map(|i| unsafe { (*entries.add(i)).bid() })
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 1, 2, 3]);
    }

    #[test]
    #[should_panic(expected = "names buffers that it was given")]
    fn a_length_beyond_the_buffer_is_refused() {
        let ring = BufferRing::new(4, 100).unwrap();
        // SAFETY: no kernel uses the ring.
        let _ = unsafe { ring.data(0, 101) };
    }
}
