// SPDX-License-Identifier: GPL-2.0-only

//! Completions.

use super::Monitor;
use pinned_init::PinInit;

/// An event that tasks wait for.
pub struct Completion(Monitor<bool>);

impl Completion {
    /// Makes the event, which has not happened.
    pub fn new() -> impl PinInit<Self> {
        Self(Monitor::new(false))
    }

    /// The event happens.
    pub fn complete_all(&self) {
        self.0.change(|done| *done = true);
    }

    /// Waits until the event happens.
    pub fn wait_for_completion(&self) {
        self.0.wait_until(|done| *done);
    }
}
