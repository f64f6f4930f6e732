// SPDX-License-Identifier: GPL-2.0-only

//! The C interface of `group.c`: the class of groups, and the queries about group files.

use super::data_of;
use crate::{
    bindings,
    group::Group,
    kapi::class::{node_name, Class},
    shared::vfio::Device,
};
use kernel::prelude::*;

#[cfg(CONFIG_SPAPR_TCE_IOMMU)]
compile_error!(
    "CONFIG_SPAPR_TCE_IOMMU is on: KVM would ask for the IOMMU group of a file, which \
     vfio_file_iommu_group() of this module does not tell, and fail to attach its tables"
);

#[cfg(CONFIG_VFIO_GROUP)]
super::check_prototypes!(vfio_file_has_dev, vfio_file_iommu_group, vfio_file_is_group);

/// The class `/sys/class/vfio`.
// SAFETY: `devnode` follows the contract of the driver core.
pub(crate) static CLASS: Class = unsafe { Class::new(c"vfio", devnode) };

/// # Safety
///
/// The driver core calls this with a device of the class.
unsafe extern "C" fn devnode(
    dev: *const bindings::device,
    _mode: *mut bindings::umode_t,
) -> *mut c_char {
    // SAFETY: `dev` is valid; the format matches its argument.
    unsafe { node_name(c"vfio/%s", dev) }
}

/// Tells whether the file is a group file.
///
/// # Safety
///
/// The caller holds the file.
#[no_mangle]
unsafe extern "C" fn vfio_file_is_group(file: *mut bindings::file) -> bool {
    // SAFETY: By the caller's promise.
    unsafe { data_of::<Group>(file) }.is_some()
}

/// Tells whether the file is the group file of the device's group.
///
/// # Safety
///
/// Drivers call this.  The caller holds the file, and `device` is valid.
#[no_mangle]
unsafe extern "C" fn vfio_file_has_dev(
    file: *mut bindings::file,
    device: *mut bindings::vfio_device,
) -> bool {
    // SAFETY: By the caller's promise.
    let (group, device) = unsafe { (data_of::<Group>(file), Device::from_raw(device)) };
    let device: &Device = device;
    group.is_some_and(|group| device.state().is_in_group(&group))
}

/// Always returns NULL.  Only KVM on PowerPC calls this.  The module does not support the PowerPC IOMMU, and
/// fails to build for it.
///
/// # Safety
///
/// The caller holds the file.
#[no_mangle]
unsafe extern "C" fn vfio_file_iommu_group(
    _file: *mut bindings::file,
) -> *mut bindings::iommu_group {
    core::ptr::null_mut()
}
