// SPDX-License-Identifier: GPL-2.0-only

//! Completions.

use loom::sync::{Condvar, Mutex};
use pinned_init::PinInit;

/// An event that tasks wait for.
pub struct Completion {
    done: Mutex<bool>,
    woken: Condvar,
}

impl Completion {
    /// Makes the event, which has not happened.
    pub fn new() -> impl PinInit<Self> {
        Self {
            done: Mutex::new(false),
            woken: Condvar::new(),
        }
    }

    /// The event happens.
    pub fn complete_all(&self) {
        *self
            .done
            .lock()
            .expect("a thread of the model has panicked") = true;
        self.woken.notify_all();
    }

    /// Waits until the event happens.
    pub fn wait_for_completion(&self) {
        let mut done = self
            .done
            .lock()
            .expect("a thread of the model has panicked");
        while !*done {
            done = self
                .woken
                .wait(done)
                .expect("a thread of the model has panicked");
        }
    }
}
