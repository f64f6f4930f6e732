// SPDX-License-Identifier: GPL-2.0-only

//! The replacement for `iommufd.rs` on a kernel without iommufd (`CONFIG_IOMMUFD=n`).
//!
//! It has only the functions that are called on such a kernel.  The types have no values, and their
//! constructors fail.

use super::{
    buffer::{DriverBuffer, PageArray},
    series::{EBADFD, EOPNOTSUPP},
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    fs::LocalFile,
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
};

/// An iommufd, which cannot exist.
pub(crate) enum Ctx {}

// SAFETY: No value exists, so there are no references to count.
unsafe impl AlwaysRefCounted for Ctx {
    fn inc_ref(&self) {
        match *self {}
    }

    unsafe fn dec_ref(_obj: NonNull<Self>) {}
}

impl Ctx {
    /// # Errors
    ///
    /// - `EOPNOTSUPP`: always.
    pub(crate) fn from_fd(_fd: c_int) -> Result<ARef<Self>> {
        Err(EOPNOTSUPP)
    }

    /// # Errors
    ///
    /// - `EBADFD`: always, because no file is an iommufd.
    pub(crate) fn from_file(_file: &LocalFile) -> Result<ARef<Self>> {
        Err(EBADFD)
    }

    pub(crate) fn create_compat_ioas(&self) -> Result {
        match *self {}
    }

    pub(crate) fn set_compat_noiommu(&self) -> Result {
        match *self {}
    }

    pub(crate) fn compat_ioas(&self) -> Result<u32> {
        match *self {}
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::iommufd_ctx {
        match *self {}
    }
}

/// An emulated device's access to an iommufd, which cannot exist.
pub(crate) enum Access {}

impl Access {
    /// Always returns None.
    ///
    /// # Safety
    ///
    /// No requirements.
    pub(crate) unsafe fn from_raw<'a>(_raw: *mut bindings::iommufd_access) -> Option<&'a Self> {
        None
    }

    pub(crate) fn pin(&self, _iova: usize, _pages: PageArray<'_>, _write: bool) -> Result {
        match *self {}
    }

    pub(crate) fn unpin(&self, _iova: usize, _length: usize) {
        match *self {}
    }

    pub(crate) fn rw(&self, _iova: usize, _data: DriverBuffer<'_>, _write: bool) -> Result {
        match *self {}
    }
}
