// SPDX-License-Identifier: GPL-2.0-only

//! Files in debugfs that speak of a device (`debugfs_create_devm_seqfile()`).

use super::{Device, Owner, Registered};
use crate::{bindings, kapi::debugfs::Dir};
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

impl Owner<'_> {
    /// Adds a file to a folder that is removed before the class device is.  Failure is, by
    /// debugfs's own rules, not looked at.
    pub(crate) fn add_debug_file<T: Show>(&self, name: &CStr, dir: &Dir) {
        // SAFETY: The class device has been added; the name is copied.
        unsafe {
            bindings::vfio_helper_debugfs_create_devm_seqfile(
                &raw mut (*self.as_raw()).device,
                name.as_char_ptr(),
                dir.as_raw(),
                Some(read::<T>),
            )
        }
    }
}

/// # Safety
///
/// Called by debugfs for a file that [`Owner::add_debug_file`] added.
unsafe extern "C" fn read<T: Show>(m: *mut bindings::seq_file, _data: *mut c_void) -> c_int {
    // SAFETY: `private` is the class device.  The file is removed, which waits for readers, before
    // the registration ends.
    let (device, m) = unsafe {
        let dev = (*m).private.cast::<bindings::device>();
        (
            Device::from_raw(super::from_class_device(dev)),
            SeqFile::from_raw(m),
        )
    };
    crate::kapi::to_int(T::show(device, m))
}
