// SPDX-License-Identifier: GPL-2.0-only

//! Timed waits on a C completion (`include/linux/completion.h`).

use crate::bindings;
use kernel::{time::Jiffies, types::Opaque};

/// A `struct completion` that C code initialised or shares.
#[repr(transparent)]
pub(crate) struct Completion(Opaque<bindings::completion>);

/// The result of a wait.
pub(crate) enum Wait {
    /// The wait has consumed one call of [`complete`](Completion::complete).
    Done,
    /// The timeout has expired.
    TimedOut,
    /// A signal interrupted the wait.
    Interrupted,
}

impl Completion {
    /// # Safety
    ///
    /// `ptr` points to an initialised completion that outlives `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::completion) -> &'a Self {
        // SAFETY: By the caller's promise; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    /// Completes once: wakes one waiter.  If no task waits, the next wait returns at once.
    pub(crate) fn complete(&self) {
        // SAFETY: `self` is initialised.
        unsafe { bindings::complete(self.0.get()) }
    }

    /// Consumes one completion, if there is one.  Returns whether there was one.  Does not sleep.
    pub(crate) fn try_wait(&self) -> bool {
        // SAFETY: `self` is initialised.
        unsafe { bindings::try_wait_for_completion(self.0.get()) }
    }

    /// Waits at most `timeout`, uninterruptibly.
    pub(crate) fn wait_timeout(&self, timeout: Jiffies) -> Wait {
        // SAFETY: `self` is initialised; the caller may sleep.
        match unsafe { bindings::wait_for_completion_timeout(self.0.get(), timeout) } {
            0 => Wait::TimedOut,
            _ => Wait::Done,
        }
    }

    /// Waits at most `timeout`; a signal interrupts the wait.
    pub(crate) fn wait_interruptible_timeout(&self, timeout: Jiffies) -> Wait {
        // SAFETY: `self` is initialised; the caller may sleep.
        let ret =
            unsafe { bindings::wait_for_completion_interruptible_timeout(self.0.get(), timeout) };
        match ret {
            0 => Wait::TimedOut,
            ret if ret < 0 => Wait::Interrupted,
            _ => Wait::Done,
        }
    }
}

// SAFETY: Any number of tasks may use a completion at the same time.
unsafe impl Sync for Completion {}
