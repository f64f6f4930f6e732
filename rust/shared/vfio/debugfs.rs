// SPDX-License-Identifier: GPL-2.0-only

//! The debugfs files of a device (`debugfs_create_devm_seqfile()`).

use super::{Device, Registered, State};
use crate::{
    bindings,
    kapi::debugfs::{DirOf, Folder},
};
use core::ptr::NonNull;
use kernel::{prelude::*, seq_file::SeqFile};

/// The content of a debugfs file.
pub(crate) trait Show {
    /// Prints the content.
    ///
    /// # Errors
    ///
    /// The errno that the read of the file returns.
    fn show(device: &Device<Registered>, m: &SeqFile) -> Result;
}

/// The debugfs folder of a registered device, in which drivers make their own files.  On drop, the driver's
/// pointer to the folder is cleared and the folder is removed.
///
/// # Invariants
///
/// Part of the [`Added`] of `device`.  The class device of `device` is removed after the folder.
pub(crate) struct DebugRoot {
    device: NonNull<Device>,
    dir: DirOf<State>,
}

// SAFETY: Any task may use the device.
unsafe impl Send for DebugRoot {}
// SAFETY: As above.
unsafe impl Sync for DebugRoot {}

impl DebugRoot {
    /// Makes the folder, and points `debug_root` of the device to it until the result is dropped.
    ///
    /// # Safety
    ///
    /// The caller stores the result in the device's [`Added`](super::Added), which has no folder.
    pub(super) unsafe fn new(device: &Device, dir: DirOf<State>) -> Self {
        // SAFETY: Only registration and unregistration write the field, and they own `Added`.
        unsafe { (*device.as_raw()).debug_root = dir.folder().as_raw() };
        // INVARIANT: By the caller's promise.
        Self {
            device: device.into(),
            dir,
        }
    }

    /// Returns the folder.
    pub(crate) fn folder(&self) -> DebugFolder<'_> {
        DebugFolder {
            device: self.device,
            folder: self.dir.folder(),
        }
    }
}

impl Drop for DebugRoot {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants the device is valid, and the task that drops this owns `Added`.
        unsafe { (*self.device.as_ref().as_raw()).debug_root = core::ptr::null_mut() }
    }
}

/// The debugfs folder of a device, or a folder below it.
#[derive(Clone, Copy)]
pub(crate) struct DebugFolder<'a> {
    device: NonNull<Device>,
    folder: Folder<'a>,
}

impl DebugFolder<'_> {
    /// Makes a subfolder, which is removed with this folder.
    pub(crate) fn subdir(self, name: &CStr) -> Self {
        Self {
            folder: self.folder.subdir(name),
            ..self
        }
    }

    /// Adds a file.  A failure is ignored, as the rules of debugfs require.
    pub(crate) fn add_file<T: Show>(self, name: &CStr) {
        // SAFETY: By the invariants of `DebugRoot` the class device is added, and is removed after the
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
/// debugfs calls this for a file that [`DebugFolder::add_file`] added.
unsafe extern "C" fn read<T: Show>(m: *mut bindings::seq_file, _data: *mut c_void) -> c_int {
    // SAFETY: `private` is the class device.  The removal of the folder removes the file, and waits for
    // readers.  Until the folder is removed, the `Added` that owns it holds the registration.
    let (device, m) = unsafe {
        let dev = (*m).private.cast::<bindings::device>();
        (
            Device::from_raw(super::from_class_device(dev)),
            SeqFile::from_raw(m),
        )
    };
    crate::kapi::to_int(T::show(device, m))
}
