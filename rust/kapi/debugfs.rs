// SPDX-License-Identifier: GPL-2.0-only

//! Folders in debugfs (`include/linux/debugfs.h`).
//!
//! The kernel crate's `debugfs::Dir` does not give out its dentry, which drivers find in
//! `vfio_device::debug_root`.

use crate::bindings;
use core::mem::ManuallyDrop;
use kernel::prelude::*;

/// A folder, removed with all that is in it when dropped.
///
/// Failure to make one is, by debugfs's own rules, not looked at: the pointer may be an `ERR_PTR`,
/// which every function of debugfs takes and ignores.
pub(crate) struct Dir(*mut bindings::dentry);

// SAFETY: debugfs does its own locking.
unsafe impl Send for Dir {}
// SAFETY: debugfs does its own locking.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes `name` below `parent`, or at debugfs's top.
    pub(crate) fn new(name: &CStr, parent: Option<&Dir>) -> Self {
        let parent = parent.map_or(core::ptr::null_mut(), |p| p.0);
        // SAFETY: `name` is a string, `parent` NULL or the result of the same function.
        Self(unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), parent) })
    }

    /// Makes a folder that goes with this one.
    pub(crate) fn subdir(&self, name: &CStr) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self::new(name, Some(self)))
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::dentry {
        self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: `self` owns the folder.
        unsafe { bindings::debugfs_remove(self.0) }
    }
}
