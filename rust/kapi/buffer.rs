// SPDX-License-Identifier: GPL-2.0-only

//! Buffers of C code that are passed on to other C code.

use crate::bindings;
use core::{marker::PhantomData, ptr::NonNull};
use kernel::prelude::*;

/// A driver's buffer for a copy from or to user memory.  It is not a slice, because a buffer that is to be
/// filled need not be initialised, and because other code of the driver can access it at the same time.
///
/// # Invariants
///
/// `len` bytes at `ptr` may be read and written for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct DriverBuffer<'a> {
    ptr: NonNull<c_void>,
    len: usize,
    _owner: PhantomData<&'a [u8]>,
}

impl DriverBuffer<'_> {
    /// Returns the buffer, or None if `ptr` is NULL.
    ///
    /// # Safety
    ///
    /// `ptr` is NULL, or satisfies the type's invariants.
    pub(crate) unsafe fn from_raw(ptr: *mut c_void, len: usize) -> Option<Self> {
        Some(Self {
            ptr: NonNull::new(ptr)?,
            len,
            _owner: PhantomData,
        })
    }

    /// Tells whether the buffer is empty.
    pub(crate) fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Returns the length in bytes.
    pub(crate) fn len(self) -> usize {
        self.len
    }

    pub(crate) fn as_ptr(self) -> *mut c_void {
        self.ptr.as_ptr()
    }
}

/// A driver's array that receives a pointer to each page that is pinned for the driver.
///
/// # Invariants
///
/// There is space for `count` page pointers at `ptr` for `'a`.  A negative count means no space.
pub(crate) struct PageArray<'a> {
    ptr: NonNull<*mut bindings::page>,
    count: c_int,
    _owner: PhantomData<&'a mut [*mut bindings::page]>,
}

impl PageArray<'_> {
    /// Returns the array, or None if `ptr` is NULL.
    ///
    /// # Safety
    ///
    /// `ptr` is NULL, or satisfies the type's invariants.
    pub(crate) unsafe fn from_raw(ptr: *mut *mut bindings::page, count: c_int) -> Option<Self> {
        Some(Self {
            ptr: NonNull::new(ptr)?,
            count,
            _owner: PhantomData,
        })
    }

    /// Returns the number of requested pages, as the driver passed it: it can be negative.
    pub(crate) fn count(&self) -> c_int {
        self.count
    }

    pub(crate) fn as_ptr(&self) -> *mut *mut bindings::page {
        self.ptr.as_ptr()
    }
}
