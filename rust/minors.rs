// SPDX-License-Identifier: GPL-2.0-only

//! The allocation of minors in a device number range.
//!
//! C counterpart: the two IDAs, `device_ida` and `group_ida`.

use crate::kapi::{cdev::MINORS, ida::Ida};
use kernel::{
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, Atomic, AtomicFlag},
        Arc,
    },
};

/// The maximum number of minors of a range that are kept for the open files of devices that are gone.  Users
/// can have any number of files, but the minors are limited.
const MAX_KEPT: u32 = 1024;

/// The minors of a range.
#[pin_data]
pub(crate) struct Minors {
    #[pin]
    allocated: Ida,
    /// The number of minors that are kept for the files of devices that are gone.
    kept: Atomic<u32>,
}

impl Minors {
    /// Returns a range in which all minors are free.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let minors = pin_init!(Self {
            allocated <- Ida::new(),
            kept: Atomic::new(0),
        });
        Arc::pin_init(minors, GFP_KERNEL)
    }

    /// Allocates the lowest free minor.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOSPC`: all 2^20 minors are allocated.
    /// - `ENOMEM`: out of memory.
    pub(crate) fn take(self: Arc<Self>) -> Result<Minor> {
        let number = self.allocated.alloc(MINORS - 1)?;
        Ok(Minor {
            range: self,
            number,
            kept: AtomicFlag::new(false),
            released: AtomicFlag::new(false),
        })
    }

    /// Counts one more minor that is kept.  Returns false if [`MAX_KEPT`] minors are kept.
    fn keep(&self) -> bool {
        // Above the limit, each task adds 1 only for a moment, so the count cannot overflow.
        let is_below = self.kept.fetch_add(1, Relaxed) < MAX_KEPT;
        if !is_below {
            self.kept.fetch_sub(1, Relaxed);
        }
        is_below
    }
}

/// An allocated minor.  It is released on drop, unless it was released before.
pub(crate) struct Minor {
    range: Arc<Minors>,
    number: u32,
    /// The minor is counted in [`Minors::kept`].  Written by [`leave_to_files`](Self::leave_to_files), and read
    /// by the drop.
    kept: AtomicFlag,
    /// The minor is released.  Written and read by the same functions as `kept`.
    released: AtomicFlag,
}

impl Minor {
    /// Returns the number.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Handles the end of the device.  If the device has open files, they keep the minor until this value is
    /// dropped.  If there are no files, or if too many minors are kept already, the minor is released now.
    /// Called at most once.
    pub(crate) fn leave_to_files(&self, has_files: bool) {
        if has_files && self.range.keep() {
            self.kept.store(true, Relaxed);
        } else {
            self.range.allocated.remove(self.number);
            self.released.store(true, Relaxed);
        }
    }
}

impl Drop for Minor {
    fn drop(&mut self) {
        if self.released.load(Relaxed) {
            return;
        }
        if self.kept.load(Relaxed) {
            self.range.kept.fetch_sub(1, Relaxed);
        }
        self.range.allocated.remove(self.number);
    }
}
