//! An allocator that counts what the current thread holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    /// Bytes held now and at most since `start`. What another thread frees goes below zero there, hence the sign.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// Begins to count.
pub(crate) fn start() {
    HELD.set((0, 0));
}

/// The most that was held at once since `start`, in bytes.
pub(crate) fn peak() -> usize {
    HELD.get().1.try_into().unwrap_or(0)
}

fn count(bytes: isize) {
    // A thread that is ending has no counter any more.
    let _ = HELD.try_with(|held| {
        let (now, peak) = held.get();
        held.set((now + bytes, peak.max(now + bytes)));
    });
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `dealloc`; all memory here is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn what_is_held_is_counted() {
    start();
    drop(vec![0u8; 1 << 20]);
    let held = vec![0u8; 1 << 16];
    assert!((1 << 20..(1 << 20) + 4096).contains(&peak()), "{}", peak());
    drop(held);
}
