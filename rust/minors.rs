// SPDX-License-Identifier: GPL-2.0-only

//! The minors of a range of character devices.
//!
//! C counterpart: the two idas.

use crate::kapi::cdev::MINORS;
use kernel::{id_pool::IdPool, prelude::*};

/// Which minors are taken.
pub(crate) struct Minors(IdPool);

impl Minors {
    /// None taken.
    pub(crate) fn new() -> Self {
        Self(IdPool::new())
    }

    /// Takes the lowest free minor.
    ///
    /// # Errors
    ///
    /// `ENOSPC` when all 2^20 are taken, `ENOMEM`.
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

    /// Gives back a minor.
    pub(crate) fn give_back(&mut self, minor: u32) {
        self.0.release_id(minor as usize);
    }
}
