// SPDX-License-Identifier: GPL-2.0-only

//! Values that threads wait for.

use super::lock::expect_alive;
use loom::sync::{Condvar, Mutex, MutexGuard};

/// A value, and the threads that wait until it changes.
pub struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    /// Makes the value.
    pub fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            changed: Condvar::new(),
        }
    }

    /// Locks the value, for a change that no thread waits for.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        expect_alive(self.value.lock())
    }

    /// Changes the value, and wakes the threads that wait.
    pub fn change<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let result = f(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `f` returns true.
    pub fn wait_until(&self, mut f: impl FnMut(&mut T) -> bool) {
        let mut value = self.lock();
        while !f(&mut value) {
            value = expect_alive(self.changed.wait(value));
        }
    }
}
