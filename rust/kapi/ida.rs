// SPDX-License-Identifier: GPL-2.0-only

//! ID allocators (`struct ida`, `include/linux/idr.h`).

#[cfg(CONFIG_IOMMUFD)]
use super::to_result;
use crate::bindings;
use core::pin::Pin;
use kernel::{prelude::*, types::Opaque};

/// The number of ids in a bitmap.
#[cfg(CONFIG_IOMMUFD)]
const BITMAP_BITS: u32 = (size_of::<bindings::ida_bitmap>() * 8) as u32;

/// A C `struct ida`.
///
/// # Invariants
///
/// The structure is initialised.
#[pin_data(PinnedDrop)]
#[repr(transparent)]
pub(crate) struct Ida {
    #[pin]
    ida: Opaque<bindings::ida>,
}

// SAFETY: The lock of the structure protects it, and a value may be used on any CPU.
unsafe impl Send for Ida {}
// SAFETY: As above.
unsafe impl Sync for Ida {}

impl Ida {
    /// Returns an empty set.
    pub(crate) fn new() -> impl PinInit<Self> {
        // INVARIANT: The helper initialises the structure.
        pin_init!(Self {
            // SAFETY: The pointer is valid, and the value is pinned.
            ida <- Opaque::ffi_init(|ida| unsafe { bindings::vfio_helper_ida_init(ida) }),
        })
    }

    /// Adds the smallest number that is not a member.  Returns the number, which is at most `max`.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - `ENOSPC`: all numbers up to `max` are members.
    pub(crate) fn alloc(&self, max: u32) -> Result<u32> {
        // SAFETY: `self` is initialised.
        let ret =
            unsafe { bindings::ida_alloc_range(self.ida.get(), 0, max, bindings::GFP_KERNEL) };
        u32::try_from(ret).map_err(|_| Error::from_errno(ret))
    }

    /// Removes `id`, which must be a member: otherwise the kernel warns.
    pub(crate) fn remove(&self, id: u32) {
        // SAFETY: `self` is initialised.
        unsafe { bindings::ida_free(self.ida.get(), id) }
    }
}

/// The methods for a set that C code has initialised, such as the PASIDs of a device.
#[cfg(CONFIG_IOMMUFD)]
impl Ida {
    /// # Safety
    ///
    /// `ptr` points to an initialised `struct ida` that outlives `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::ida) -> &'a Self {
        // SAFETY: By the caller's promise; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    /// Adds `id`.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - `ENOSPC`: `id` is already a member, or is above `i32::MAX`.
    pub(crate) fn insert(&self, id: u32) -> Result {
        // SAFETY: `self` is initialised.
        let ret =
            unsafe { bindings::ida_alloc_range(self.ida.get(), id, id, bindings::GFP_KERNEL) };
        to_result(ret.min(0))
    }

    /// Tells whether `id` is a member.
    #[inline]
    pub(crate) fn contains(&self, id: u32) -> bool {
        // SAFETY: `self` is initialised.
        !self.is_empty() && unsafe { bindings::ida_find_first_range(self.ida.get(), id, id) >= 0 }
    }

    /// Tells whether there are no members.  Takes no lock.
    #[inline]
    fn is_empty(&self) -> bool {
        // SAFETY: `self` is initialised; the pointer is read with one load.
        unsafe {
            (&raw const (*self.ida.get()).xa.xa_head)
                .read_volatile()
                .is_null()
        }
    }

    /// Returns the smallest member.
    #[inline]
    pub(crate) fn first(&self) -> Option<u32> {
        match self.is_empty() {
            true => None,
            false => self.find(0, c_int::MAX as u32),
        }
    }

    /// Returns the smallest member in the range `min..=max`.
    pub(crate) fn next(&self, min: u32, max: u32) -> Option<u32> {
        self.find(min, max).or_else(|| {
            // `ida_find_first_range()` searches one bitmap: the first bitmap with members, starting at the
            // bitmap of `min`.  If this is the bitmap of `min`, its members can all be below `min`.  The
            // second search begins at the start of the following bitmap, so no member that it meets is below
            // its minimum.
            let next = (min / BITMAP_BITS)
                .checked_add(1)?
                .checked_mul(BITMAP_BITS)?;
            (next <= max).then(|| self.find(next, max)).flatten()
        })
    }

    /// Returns the smallest member in the range `min..=max`.  Also returns None if the bitmap of `min` has
    /// members, and all of them are smaller than `min`.
    fn find(&self, min: u32, max: u32) -> Option<u32> {
        // SAFETY: `self` is initialised.
        let id = unsafe { bindings::ida_find_first_range(self.ida.get(), min, max) };
        u32::try_from(id).ok()
    }
}

#[pinned_drop]
impl PinnedDrop for Ida {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: `self` is initialised, and this is its last use.
        unsafe { bindings::ida_destroy(self.ida.get()) }
    }
}
