// SPDX-License-Identifier: GPL-2.0-only

//! A range of character devices with one set of file operations (`include/linux/cdev.h`).
//!
//! One `struct cdev`, owned by the module, covers the whole range; which object a minor stands
//! for is looked up at open.  An open file therefore pins the module and nothing else, where a
//! cdev inside an object would pin that object until after the file's release.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{error::to_result, prelude::*};

/// Number of minors of a range: all that a major has.
pub(crate) const MINORS: u32 = 1 << MINORBITS;
const MINORBITS: u32 = 20;

/// The file operations of a range, as a static.
#[repr(transparent)]
pub(crate) struct FileOperations(bindings::file_operations);

// SAFETY: The VFS only reads file operations.
unsafe impl Sync for FileOperations {}

impl FileOperations {
    /// # Safety
    ///
    /// The functions must follow the VFS's contracts and `owner` must be this module.
    pub(crate) const unsafe fn new(fops: bindings::file_operations) -> Self {
        Self(fops)
    }

    pub(crate) fn as_raw(&self) -> *const bindings::file_operations {
        &raw const self.0
    }
}

/// A registered range with its cdev; gone when dropped.
pub(crate) struct CharRegion {
    cdev: NonNull<bindings::cdev>,
    devt: bindings::dev_t,
}

// SAFETY: The char device core does its own locking.
unsafe impl Send for CharRegion {}
// SAFETY: As above.
unsafe impl Sync for CharRegion {}

impl CharRegion {
    /// Takes a major of its own, shown as `name` in /proc/devices.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EBUSY` when no major is left.
    pub(crate) fn register(name: &'static CStr, fops: &'static FileOperations) -> Result<Self> {
        let mut devt = 0;
        // SAFETY: `devt` is written, `name` is static.
        to_result(unsafe {
            bindings::alloc_chrdev_region(&mut devt, 0, MINORS, name.as_char_ptr())
        })?;
        // SAFETY: No requirements.
        let Some(cdev) = NonNull::new(unsafe { bindings::cdev_alloc() }) else {
            // SAFETY: The region was registered above.
            unsafe { bindings::unregister_chrdev_region(devt, MINORS) };
            return Err(ENOMEM);
        };
        let region = Self { cdev, devt };
        // SAFETY: The cdev is new and not yet visible; `fops` is static.
        unsafe {
            (*cdev.as_ptr()).ops = fops.as_raw();
            (*cdev.as_ptr()).owner = fops.0.owner;
        }
        // SAFETY: The cdev is set up, the region is ours.  When this fails, the drop of `region`
        // puts the cdev, for which `cdev_del()` is right as well.
        to_result(unsafe { bindings::cdev_add(cdev.as_ptr(), devt, MINORS) })?;
        Ok(region)
    }

    /// The device number of a minor.
    pub(crate) fn devt(&self, minor: u32) -> bindings::dev_t {
        self.devt | minor
    }
}

impl Drop for CharRegion {
    fn drop(&mut self) {
        // SAFETY: `register()` made both.
        unsafe {
            bindings::cdev_del(self.cdev.as_ptr());
            bindings::unregister_chrdev_region(self.devt, MINORS);
        }
    }
}

/// The minor of a device node's inode.
///
/// # Safety
///
/// `inode` must be valid.
pub(crate) unsafe fn minor(inode: *const bindings::inode) -> u32 {
    // SAFETY: By the caller's promise; `i_rdev` does not change.
    unsafe { (*inode).i_rdev & (MINORS - 1) }
}
