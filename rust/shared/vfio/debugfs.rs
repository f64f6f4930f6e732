// SPDX-License-Identifier: GPL-2.0-only

//! Files in debugfs that speak of a device (`debugfs_create_devm_seqfile()`).

use super::{Device, Registered, State};
use crate::{
    bindings,
    kapi::debugfs::{DirOf, Folder},
};
use core::ptr::NonNull;
use kernel::{prelude::*, seq_file::SeqFile};

/// The content of a file.
pub(crate) trait Show {
    /// Prints it.
    ///
    /// # Errors
    ///
    /// Whatever the read is to fail with.
    fn show(device: &Device<Registered>, m: &SeqFile) -> Result;
}

/// The folder of a device that is registered, where drivers put their own files.  No longer theirs to
/// find, and removed, when dropped.
///
/// # Invariants
///
/// Part of the [`Added`] of `device`, whose class device goes later.
pub(crate) struct DebugRoot {
    device: NonNull<Device>,
    dir: DirOf<State>,
}

// SAFETY: The device may be used by any task.
unsafe impl Send for DebugRoot {}
// SAFETY: As above.
unsafe impl Sync for DebugRoot {}

impl DebugRoot {
    /// Lets the driver find the folder, from now on until the result is dropped.
    ///
    /// # Safety
    ///
    /// The result becomes part of the device's [`Added`](super::Added), which has none.
    pub(super) unsafe fn new(device: &Device, dir: DirOf<State>) -> Self {
        // SAFETY: Written by registration and unregistration alone, which have `Added`.
        unsafe { (*device.as_raw()).debug_root = dir.folder().as_raw() };
        // INVARIANT: By the caller's promise.
        Self {
            device: device.into(),
            dir,
        }
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> DebugFolder<'_> {
        DebugFolder {
            device: self.device,
            folder: self.dir.folder(),
        }
    }
}

impl Drop for DebugRoot {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants the device is there, and `Added` is the dropper's.
        unsafe { (*self.device.as_ref().as_raw()).debug_root = core::ptr::null_mut() }
    }
}

/// A folder of a device, or one below.
#[derive(Clone, Copy)]
pub(crate) struct DebugFolder<'a> {
    device: NonNull<Device>,
    folder: Folder<'a>,
}

impl DebugFolder<'_> {
    /// Makes a folder that goes with this one.
    pub(crate) fn subdir(self, name: &CStr) -> Self {
        Self {
            folder: self.folder.subdir(name),
            ..self
        }
    }

    /// Adds a file.  Failure is, by debugfs's own rules, not looked at.
    pub(crate) fn add_file<T: Show>(self, name: &CStr) {
        // SAFETY: By the invariants of `DebugRoot` the class device is added, and goes after the
        // folder; the name is copied.
        unsafe {
            bindings::vfio_helper_debugfs_create_devm_seqfile(
                &raw mut (*self.device.as_ref().as_raw()).device,
                name.as_char_ptr(),
                self.folder.as_raw(),
                Some(read::<T>),
            )
        }
    }
}

/// # Safety
///
/// Called by debugfs for a file that [`DebugFolder::add_file`] added.
unsafe extern "C" fn read<T: Show>(m: *mut bindings::seq_file, _data: *mut c_void) -> c_int {
    // SAFETY: `private` is the class device.  The file is removed, which waits for readers, with
    // the folder, whose `Added` holds the registration.
    let (device, m) = unsafe {
        let dev = (*m).private.cast::<bindings::device>();
        (
            Device::from_raw(super::from_class_device(dev)),
            SeqFile::from_raw(m),
        )
    };
    crate::kapi::to_int(T::show(device, m))
}
