// SPDX-License-Identifier: GPL-2.0-only

//! Device functions that the kernel crate's `Device` lacks (`include/linux/device.h`,
//! `include/linux/kobject.h`).

use crate::bindings;
use kernel::{device::Device, prelude::*};

/// Returns the C structure of a device.
pub(crate) fn as_raw(dev: &Device) -> *mut bindings::device {
    // CAST: `Device` is a transparent wrapper of `struct device`.
    core::ptr::from_ref(dev)
        .cast::<bindings::device>()
        .cast_mut()
}

/// Tells whether the device is behind an IOMMU (`dev->iommu`).  The answer is stable while a driver is bound to the
/// device.
pub(crate) fn has_iommu(dev: &Device) -> bool {
    // SAFETY: `dev` is valid.  The pointer is read once, and is not followed.
    !unsafe { (&raw const (*as_raw(dev)).iommu).read_volatile() }.is_null()
}

/// The path of a device below `/sys`, in allocated memory.
pub(crate) struct SysfsPath(*mut c_char);

impl SysfsPath {
    /// Returns the path.  None if memory is short.  May sleep.
    pub(crate) fn of(dev: &Device) -> Option<Self> {
        // SAFETY: `dev` is valid, and with it its kobject.
        let path = unsafe {
            bindings::kobject_get_path(&raw const (*as_raw(dev)).kobj, bindings::GFP_KERNEL)
        };
        (!path.is_null()).then(|| Self(path))
    }

    /// Returns the path, with its leading slash.
    pub(crate) fn as_c_str(&self) -> &CStr {
        // SAFETY: `kobject_get_path()` returned a string.
        unsafe { CStr::from_char_ptr(self.0) }
    }
}

impl Drop for SysfsPath {
    fn drop(&mut self) {
        // SAFETY: `kobject_get_path()` allocated the path with kmalloc; `self` owns it.
        unsafe { bindings::kfree(self.0.cast()) }
    }
}
