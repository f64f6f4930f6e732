// SPDX-License-Identifier: GPL-2.0-only

//! The minors of a range of character devices, and the objects they stand for.
//!
//! C counterpart: the two idas, and the cdev that each object embeds there.

use crate::kapi::cdev::MINORS;
use kernel::{id_pool::IdPool, prelude::*, sync::Arc};

/// What open finds under a minor.
enum Slot<T> {
    /// Nothing has been published since the minor was taken, or it is free.
    Empty,
    Published(Arc<T>),
    /// The object is on its way out.
    Retracted,
}

/// Which minors are taken, and what is published under them.
///
/// A minor is taken from the allocation of an object to its end; it is published, so that open
/// finds it, for a part of that time.
pub(crate) struct Minors<T> {
    taken: IdPool,
    slots: KVVec<Slot<T>>,
}

impl<T> Minors<T> {
    /// None taken.
    pub(crate) fn new() -> Self {
        Self {
            taken: IdPool::new(),
            slots: KVVec::new(),
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
        while self.slots.len() <= id.as_usize() {
            self.slots.push(Slot::Empty, GFP_KERNEL)?;
        }
        id.acquire();
        Ok(minor)
    }

    /// Gives back a minor that is not published.
    pub(crate) fn give_back(&mut self, minor: u32) {
        self.swap(minor, Slot::Empty);
        self.taken.release_id(minor as usize);
    }

    /// Lets open find `object` under a minor that it has taken.
    pub(crate) fn publish(&mut self, minor: u32, object: Arc<T>) {
        self.swap(minor, Slot::Published(object));
    }

    /// The end of [`publish`](Self::publish), if that was.  The caller drops the result without a
    /// lock that the object's end takes.
    pub(crate) fn retract(&mut self, minor: u32) -> Option<Arc<T>> {
        match self.swap(minor, Slot::Retracted)? {
            Slot::Published(object) => Some(object),
            other => {
                self.swap(minor, other);
                None
            }
        }
    }

    fn swap(&mut self, minor: u32, new: Slot<T>) -> Option<Slot<T>> {
        let slot = self.slots.get_mut(minor as usize)?;
        Some(core::mem::replace(slot, new))
    }

    /// What is published under a minor.
    ///
    /// # Errors
    ///
    /// `ENXIO` when nothing is; `ENODEV` when something was and still exists.
    pub(crate) fn get(&self, minor: u32) -> Result<Arc<T>> {
        match self.slots.get(minor as usize) {
            Some(Slot::Published(object)) => Ok(object.clone()),
            Some(Slot::Retracted) => Err(ENODEV),
            Some(Slot::Empty) | None => Err(ENXIO),
        }
    }
}
