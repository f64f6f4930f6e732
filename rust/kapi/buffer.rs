// SPDX-License-Identifier: GPL-2.0-only

//! Memory of C code that is handed through to other C code.

use crate::bindings;
use core::{marker::PhantomData, ptr::NonNull};
use kernel::prelude::*;

/// A driver's buffer for a copy from or to the user's memory.  No slice: what is to be filled need not
/// have been written before, and the driver may share it.
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
    /// None when `ptr` is NULL.
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

    /// Whether there is nothing to copy.
    pub(crate) fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Its length in bytes.
    pub(crate) fn len(self) -> usize {
        self.len
    }

    pub(crate) fn as_ptr(self) -> *mut c_void {
        self.ptr.as_ptr()
    }
}

/// A driver's array that is filled with pages which are pinned for it.
///
/// # Invariants
///
/// There is room for `count` pages at `ptr` for `'a`.  A negative count is room for none.
pub(crate) struct PageArray<'a> {
    ptr: NonNull<*mut bindings::page>,
    count: c_int,
    _owner: PhantomData<&'a mut [*mut bindings::page]>,
}

impl PageArray<'_> {
    /// None when `ptr` is NULL.
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

    /// How many pages are wanted.
    pub(crate) fn count(&self) -> c_int {
        self.count
    }

    pub(crate) fn as_ptr(&self) -> *mut *mut bindings::page {
        self.ptr.as_ptr()
    }
}
