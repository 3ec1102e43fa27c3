//! The one cross-core primitive: an unbounded queue that many cores push to and one drains.
//!
//! Pushing never blocks and never fails. A push is one compare-and-swap, of a value that is boxed
//! already ([`Parcel`]) or is boxed for it, so callers push batches (all of a tick's messages for
//! one peer, one sealed batch of effects), not single messages. Draining takes everything there is
//! at once and returns it oldest first *per producer*; between producers the order is that of
//! their compare-and-swaps.
//!
//! Source: R. K. Treiber, "Systems Programming: Coping with Parallelism", IBM RJ 5118, 1986 (the
//! stack); taking the whole list at once removes its ABA problem.

#[cfg(banyan_loom)]
use loom::sync::atomic::{AtomicPtr, Ordering};
use std::ops::{Deref, DerefMut};
use std::ptr;
#[cfg(not(banyan_loom))]
use std::sync::atomic::{AtomicPtr, Ordering};

struct Node<T> {
    value: T,
    next: *mut Node<T>,
}

/// A value in the box in which it travels: whoever uses the box again saves an allocation here and
/// a free on another core.
pub struct Parcel<T>(Box<Node<T>>);

impl<T> Parcel<T> {
    /// Boxes a value.
    pub fn new(value: T) -> Self {
        Parcel(Box::new(Node {
            value,
            next: ptr::null_mut(),
        }))
    }
}

impl<T> Deref for Parcel<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> DerefMut for Parcel<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.value
    }
}

// SAFETY: the pointer in a node is used only while the node is in a queue; a parcel is its value.
unsafe impl<T: Send> Send for Parcel<T> {}

/// A multi-producer queue whose consumer takes all there is.
pub struct Queue<T> {
    head: AtomicPtr<Node<T>>,
}

// SAFETY: nodes are owned by the queue and handed over whole; T crosses threads, so it must be
// Send.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: all shared access goes through the atomic head; a node is reachable from one place at a
// time.
unsafe impl<T: Send> Sync for Queue<T> {}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Queue {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Adds a value; says whether the queue was empty before, that is, whether a sleeping consumer
    /// must be woken.
    pub fn push(&self, value: T) -> bool {
        self.send(Parcel::new(value))
    }

    /// As [`push`](Self::push), without an allocation.
    pub fn send(&self, parcel: Parcel<T>) -> bool {
        let node = Box::into_raw(parcel.0);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the node is not yet published; we alone own it.
            unsafe { (*node).next = head };
            // SeqCst pairs with `is_empty` after a consumer announced its sleep: one of the two
            // sees the other. Release publishes the node's contents.
            match self
                .head
                .compare_exchange_weak(head, node, Ordering::SeqCst, Ordering::Relaxed)
            {
                Ok(_) => return head.is_null(),
                Err(now) => head = now,
            }
        }
    }

    /// Whether nothing is queued at this moment.
    pub fn is_empty(&self) -> bool {
        self.head.load(Ordering::SeqCst).is_null()
    }

    /// Takes everything that is queued, oldest first, and calls `f` with each value.
    pub fn drain(&self, mut f: impl FnMut(T)) {
        self.receive(|parcel| f(parcel.0.value));
    }

    /// As [`drain`](Self::drain), with the boxes.
    pub fn receive(&self, mut f: impl FnMut(Parcel<T>)) {
        if self.head.load(Ordering::Relaxed).is_null() {
            return;
        }
        let mut newest = self.head.swap(ptr::null_mut(), Ordering::AcqRel);
        // The list runs newest to oldest: turn it round.
        let mut oldest: *mut Node<T> = ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: the swap made the whole list ours; Acquire made its contents visible.
            let next = unsafe { (*newest).next };
            // SAFETY: as above; the node stays allocated until it is boxed again below.
            unsafe { (*newest).next = oldest };
            oldest = newest;
            newest = next;
        }
        let mut rest = Rest(oldest);
        while let Some(parcel) = rest.pop() {
            f(parcel);
        }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        self.drain(drop);
    }
}

/// A private list being handed out; what is left is freed even if the caller's closure panics.
struct Rest<T>(*mut Node<T>);

impl<T> Rest<T> {
    fn pop(&mut self) -> Option<Parcel<T>> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: the list is private to us and each node came from Box::into_raw exactly once.
        let node = unsafe { Box::from_raw(self.0) };
        self.0 = node.next;
        Some(Parcel(node))
    }
}

impl<T> Drop for Rest<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

#[cfg(all(test, not(banyan_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn values_come_out_in_the_order_pushed() {
        let queue = Queue::new();
        assert!(queue.push(1));
        assert!(!queue.push(2));
        queue.push(3);
        let mut seen = Vec::new();
        queue.drain(|v| seen.push(v));
        assert_eq!(seen, [1, 2, 3]);
        assert!(queue.is_empty());
    }

    #[test]
    fn every_producer_keeps_its_order_and_nothing_is_lost() {
        let queue = Arc::new(Queue::new());
        let producers: Vec<_> = (0..3)
            .map(|p| {
                let queue = queue.clone();
                std::thread::spawn(move || {
                    for i in 0..1000 {
                        queue.push((p, i));
                    }
                })
            })
            .collect();
        let mut next = [0; 3];
        while next.iter().sum::<i32>() < 3000 {
            queue.drain(|(p, i): (usize, i32)| {
                assert_eq!(next[p], i);
                next[p] += 1;
            });
        }
        producers.into_iter().for_each(|p| p.join().unwrap());
    }

    #[test]
    fn a_parcel_travels_in_its_box_and_can_be_sent_again() {
        let queue = Queue::new();
        let mut parcel = Parcel::new(vec![1]);
        let at: *const Vec<i32> = &*parcel;
        for round in 2..5 {
            parcel.push(round);
            assert!(queue.send(parcel));
            let mut got = None;
            queue.receive(|parcel| got = Some(parcel));
            parcel = got.unwrap();
            assert!(std::ptr::eq(&*parcel, at));
        }
        assert_eq!(*parcel, [1, 2, 3, 4]);
    }

    #[test]
    fn what_was_never_drained_is_freed() {
        let value = Arc::new(());
        let queue = Queue::new();
        queue.push(value.clone());
        queue.push(value.clone());
        drop(queue);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}

#[cfg(all(test, banyan_loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn two_producers_and_a_draining_consumer_lose_nothing_and_keep_order() {
        loom::model(|| {
            let queue = Arc::new(Queue::new());
            let other = queue.clone();
            let producer = thread::spawn(move || {
                other.push((1, 0));
                other.push((1, 1));
            });
            queue.push((0, 0));
            let mut seen = Vec::new();
            queue.drain(|v| seen.push(v));
            producer.join().unwrap();
            queue.drain(|v| seen.push(v));
            let of = |p| {
                seen.iter()
                    .filter(|v| v.0 == p)
                    .map(|v| v.1)
                    .collect::<Vec<_>>()
            };
            assert_eq!(of(0), [0]);
            assert_eq!(of(1), [0, 1]);
        });
    }

    /// What the merged stream rests on: a push that happens after another comes after it, whoever
    /// made them. Two shards publish; the second does so because of what it heard from the first.
    #[test]
    fn a_push_caused_by_another_comes_after_it() {
        use loom::sync::atomic::{AtomicBool, Ordering};
        loom::model(|| {
            let inbox = Arc::new(Queue::new());
            let told = Arc::new(AtomicBool::new(false));
            let (first_inbox, first_told) = (inbox.clone(), told.clone());
            let first = thread::spawn(move || {
                first_inbox.push("cause");
                first_told.store(true, Ordering::Release);
            });
            let (second_inbox, second_told) = (inbox.clone(), told);
            let second = thread::spawn(move || {
                if second_told.load(Ordering::Acquire) {
                    second_inbox.push("effect");
                }
            });
            let mut seen = Vec::new();
            inbox.drain(|batch| seen.push(batch));
            first.join().unwrap();
            second.join().unwrap();
            inbox.drain(|batch| seen.push(batch));
            let at = |name| seen.iter().position(|batch| *batch == name);
            if let Some(effect) = at("effect") {
                assert!(at("cause").unwrap() < effect);
            }
        });
    }
}
