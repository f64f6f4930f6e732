// SPDX-License-Identifier: GPL-2.0-only

//! The debugfs files of a device (`debugfs_create_devm_seqfile()`).

use super::{Device, Registered, State};
use crate::{
    bindings,
    kapi::debugfs::{DirOf, DirRef},
};
use core::ptr::NonNull;
use kernel::{prelude::*, seq_file::SeqFile};

/// The content of a debugfs file.
pub(crate) trait ShowDevice {
    /// Prints the content.
    ///
    /// # Errors
    ///
    /// The errno that the read of the file returns.
    fn show(device: &Device<Registered>, m: &SeqFile) -> Result;
}

/// The debugfs directory of a registered device, in which drivers make their own files.  On drop, the driver's
/// pointer to the directory is cleared and the directory is removed.
///
/// # Invariants
///
/// Part of the [`Added`](super::Added) of `device`.  The class device of `device` is removed after the directory.
pub(crate) struct DebugRoot {
    device: NonNull<Device>,
    dir: DirOf<State>,
}

// SAFETY: Any task may use the device.
unsafe impl Send for DebugRoot {}
// SAFETY: As above.
unsafe impl Sync for DebugRoot {}

impl DebugRoot {
    /// Makes the directory, and points `debug_root` of the device to it until the result is dropped.
    ///
    /// # Safety
    ///
    /// The caller stores the result in the device's [`Added`](super::Added), which has no directory.
    pub(super) unsafe fn new(device: &Device, dir: DirOf<State>) -> Self {
        // SAFETY: Only registration and unregistration write the field, and they own `Added`.
        unsafe { (*device.as_raw()).debug_root = dir.as_dir().as_raw() };
        // INVARIANT: By the caller's promise.
        Self {
            device: device.into(),
            dir,
        }
    }

    /// Returns the directory.
    pub(crate) fn dir(&self) -> DebugDir<'_> {
        DebugDir {
            device: self.device,
            dir: self.dir.as_dir(),
        }
    }
}

impl Drop for DebugRoot {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants the device is valid, and the task that drops this owns `Added`.
        unsafe { (*self.device.as_ref().as_raw()).debug_root = core::ptr::null_mut() }
    }
}

/// The debugfs directory of a device, or a directory below it.
#[derive(Clone, Copy)]
pub(crate) struct DebugDir<'a> {
    device: NonNull<Device>,
    dir: DirRef<'a>,
}

impl DebugDir<'_> {
    /// Makes a subdirectory, which is removed with this directory.
    pub(crate) fn subdir(self, name: &CStr) -> Self {
        Self {
            dir: self.dir.subdir(name),
            ..self
        }
    }

    /// Adds a file.  A failure is ignored, as the rules of debugfs require.
    pub(crate) fn add_file<T: ShowDevice>(self, name: &CStr) {
        // SAFETY: By the invariants of `DebugRoot` the class device is added, and is removed after the
        // directory; the name is copied.
        unsafe {
            bindings::vfio_helper_debugfs_create_devm_seqfile(
                &raw mut (*self.device.as_ref().as_raw()).device,
                name.as_char_ptr(),
                self.dir.as_raw(),
                Some(read::<T>),
            )
        }
    }
}

/// # Safety
///
/// debugfs calls this for a file that [`DebugDir::add_file`] added.
unsafe extern "C" fn read<T: ShowDevice>(m: *mut bindings::seq_file, _data: *mut c_void) -> c_int {
    // SAFETY: `private` is the class device.  The removal of the directory removes the file, and waits for
    // readers.  Until the directory is removed, the `Added` that owns it holds the registration.
    let (device, m) = unsafe {
        let dev = (*m).private.cast::<bindings::device>();
        (
            Device::from_raw(super::from_class_device(dev)),
            SeqFile::from_raw(m),
        )
    };
    crate::kapi::to_int(T::show(device, m))
}
