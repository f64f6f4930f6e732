// SPDX-License-Identifier: GPL-2.0-only

//! Values that are set once.

use loom::{
    cell::UnsafeCell,
    sync::atomic::{
        AtomicU32,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// A value that is set at most once.
pub struct SetOnce<T> {
    /// 0: not set; 1: being set; 2: set.
    init: AtomicU32,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: As in the kernel: the value is written once, before it is read.
unsafe impl<T: Send> Send for SetOnce<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}

impl<T> SetOnce<T> {
    /// Returns a cell that is not set.
    pub fn new() -> Self {
        Self {
            init: AtomicU32::new(0),
            value: UnsafeCell::new(None),
        }
    }

    /// Returns the value, if it is set.
    pub fn as_ref(&self) -> Option<&T> {
        if self.init.load(Acquire) != 2 {
            return None;
        }
        // SAFETY: The value does not change any more.
        self.value.with(|value| unsafe { (*value).as_ref() })
    }

    /// Sets the value, unless it is set.
    pub fn populate(&self, value: T) -> bool {
        if self.init.compare_exchange(0, 1, Relaxed, Relaxed).is_err() {
            return false;
        }
        // SAFETY: Only one thread gets here, and nobody reads the value yet.
        self.value.with_mut(|slot| unsafe { *slot = Some(value) });
        self.init.store(2, Release);
        true
    }
}
