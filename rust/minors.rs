// SPDX-License-Identifier: GPL-2.0-only

//! The allocation of minors in a device number range.
//!
//! C counterpart: the two IDAs, `device_ida` and `group_ida`.
//!
//! Locks: the lock of a range is a leaf.

use crate::kapi::cdev::MINORS;
use kernel::{
    id_pool::IdPool,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, AtomicFlag},
        Arc, Mutex,
    },
};

/// The maximum number of minors of a range that are kept for the open files of devices that are gone.  Users
/// can have any number of files, but the minors are limited.
const MAX_KEPT: u32 = 1024;

/// The minors of a range.
#[pin_data]
pub(crate) struct Minors {
    #[pin]
    pool: Mutex<Pool>,
}

struct Pool {
    ids: IdPool,
    /// The number of minors that are kept for the files of devices that are gone.
    kept: u32,
}

impl Minors {
    /// Returns a range in which all minors are free.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let minors = pin_init!(Self {
            pool <- new_mutex!(Pool {
                ids: IdPool::new(),
                kept: 0,
            }, "Minors::pool"),
        });
        Arc::pin_init(minors, GFP_KERNEL)
    }

    /// Allocates the lowest free minor.  Takes the lock of the range.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOSPC`: all 2^20 minors are allocated.
    /// - `ENOMEM`: out of memory.
    pub(crate) fn take(self: Arc<Self>) -> Result<Minor> {
        let number = self.pool.lock().take()?;
        Ok(Minor {
            range: self,
            number,
            kept: AtomicFlag::new(false),
            released: AtomicFlag::new(false),
        })
    }
}

impl Pool {
    fn take(&mut self) -> Result<u32> {
        if self.ids.find_unused_id(0).is_none() {
            let request = self.ids.grow_request().ok_or(ENOSPC)?;
            self.ids.grow(request.realloc(GFP_KERNEL)?);
        }
        let id = self.ids.find_unused_id(0).ok_or(ENOSPC)?;
        let number = id.as_u32();
        if number >= MINORS {
            return Err(ENOSPC);
        }
        id.acquire();
        Ok(number)
    }
}

/// An allocated minor.  It is released on drop, unless it was released before.
pub(crate) struct Minor {
    range: Arc<Minors>,
    number: u32,
    /// The minor is counted in [`Pool::kept`].  Changed under the lock of the range.
    kept: AtomicFlag,
    /// The minor is released.  Changed under the lock of the range.
    released: AtomicFlag,
}

impl Minor {
    /// Returns the number.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Handles the end of the device.  If the device has open files, they keep the minor until this value is
    /// dropped.  If there are no files, or if too many minors are kept already, the minor is released now.
    /// Takes the lock of the range.  Called at most once.
    pub(crate) fn leave_to_files(&self, has_files: bool) {
        let mut pool = self.range.pool.lock();
        if has_files && pool.kept < MAX_KEPT {
            pool.kept += 1;
            self.kept.store(true, Relaxed);
        } else {
            pool.ids.release_id(self.number as usize);
            self.released.store(true, Relaxed);
        }
    }
}

impl Drop for Minor {
    fn drop(&mut self) {
        let mut pool = self.range.pool.lock();
        if self.released.load(Relaxed) {
            return;
        }
        if self.kept.load(Relaxed) {
            pool.kept = pool.kept.saturating_sub(1);
        }
        pool.ids.release_id(self.number as usize);
    }
}
