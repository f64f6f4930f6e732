// SPDX-License-Identifier: GPL-2.0-only

//! The minors of a range of character devices.
//!
//! C counterpart: the two IDAs, `device_ida` and `group_ida`.
//!
//! Locks: none; the owner protects the value.

use crate::kapi::cdev::MINORS;
use kernel::{id_pool::IdPool, prelude::*};

/// The allocated minors.
pub(crate) struct Minors(IdPool);

impl Minors {
    /// Returns a value in which all minors are free.
    pub(crate) fn new() -> Self {
        Self(IdPool::new())
    }

    /// Allocates the lowest free minor.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOSPC`: all 2^20 minors are allocated.
    /// - `ENOMEM`: out of memory.
    pub(crate) fn take(&mut self) -> Result<u32> {
        if self.0.find_unused_id(0).is_none() {
            let request = self.0.grow_request().ok_or(ENOSPC)?;
            self.0.grow(request.realloc(GFP_KERNEL)?);
        }
        let id = self.0.find_unused_id(0).ok_or(ENOSPC)?;
        let minor = id.as_u32();
        if minor >= MINORS {
            return Err(ENOSPC);
        }
        id.acquire();
        Ok(minor)
    }

    /// Releases a minor.
    pub(crate) fn give_back(&mut self, minor: u32) {
        self.0.release_id(minor as usize);
    }
}
