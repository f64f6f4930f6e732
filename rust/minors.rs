// SPDX-License-Identifier: GPL-2.0-only

//! The minors of a range of character devices, and the objects they stand for.
//!
//! C counterpart: the two idas, and the cdev that each object embeds there.

use crate::kapi::cdev::MINORS;
use kernel::{id_pool::IdPool, prelude::*, sync::Arc};

/// Which minors are taken, and what is published under them.
///
/// A minor is taken from the allocation of an object to its end; it is published, so that open
/// finds it, for a part of that time.
pub(crate) struct Minors<T> {
    taken: IdPool,
    published: KVVec<Option<Arc<T>>>,
}

impl<T> Minors<T> {
    /// None taken.
    pub(crate) fn new() -> Self {
        Self {
            taken: IdPool::new(),
            published: KVVec::new(),
        }
    }

    /// Takes the lowest free minor, and the memory that publishing it needs.
    ///
    /// # Errors
    ///
    /// `ENOSPC` when all 2^20 are taken, `ENOMEM`.
    pub(crate) fn take(&mut self) -> Result<u32> {
        if self.taken.find_unused_id(0).is_none() {
            let request = self.taken.grow_request().ok_or(ENOSPC)?;
            self.taken.grow(request.realloc(GFP_KERNEL)?);
        }
        let id = self.taken.find_unused_id(0).ok_or(ENOSPC)?;
        let minor = id.as_u32();
        if minor >= MINORS {
            return Err(ENOSPC);
        }
        while self.published.len() <= id.as_usize() {
            self.published.push(None, GFP_KERNEL)?;
        }
        id.acquire();
        Ok(minor)
    }

    /// Gives back a minor that is not published.
    pub(crate) fn give_back(&mut self, minor: u32) {
        self.taken.release_id(minor as usize);
    }

    /// Lets open find `object` under a minor that it has taken.
    pub(crate) fn publish(&mut self, minor: u32, object: Arc<T>) {
        if let Some(slot) = self.published.get_mut(minor as usize) {
            *slot = Some(object);
        }
    }

    /// The end of [`publish`](Self::publish).
    pub(crate) fn retract(&mut self, minor: u32) -> Option<Arc<T>> {
        self.published.get_mut(minor as usize)?.take()
    }

    /// What is published under a minor.
    ///
    /// # Errors
    ///
    /// `ENXIO` when there is no such object; `ENODEV` when there is, and it cannot be opened.
    pub(crate) fn get(&mut self, minor: u32) -> Result<Arc<T>> {
        let minor = minor as usize;
        if let Some(Some(object)) = self.published.get(minor) {
            return Ok(object.clone());
        }
        let free = self.taken.find_unused_id(minor);
        match free.is_none_or(|id| id.as_usize() == minor) {
            true => Err(ENXIO),
            false => Err(ENODEV),
        }
    }
}
