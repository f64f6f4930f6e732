// SPDX-License-Identifier: GPL-2.0-only

//! `group.c`: the class of groups, and questions about their files.

use super::fops::group_of;
use crate::{
    bindings,
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

/// `/sys/class/vfio`.
// SAFETY: `devnode` follows the contract.
pub(crate) static CLASS: Class = unsafe { Class::new(c"vfio", devnode) };

/// # Safety
///
/// Called by the driver core with a device of the class.
unsafe extern "C" fn devnode(
    dev: *const bindings::device,
    _mode: *mut bindings::umode_t,
) -> *mut c_char {
    // SAFETY: `dev` is valid; the format matches.
    unsafe { node_name(c"vfio/%s", dev) }
}

/// # Safety
///
/// Called with a file that is held.
#[no_mangle]
unsafe extern "C" fn vfio_file_is_group(file: *mut bindings::file) -> bool {
    // SAFETY: By the caller's promise.
    unsafe { group_of(file) }.is_some()
}

/// # Safety
///
/// Called by drivers with a file that is held and a device that is valid.
#[no_mangle]
unsafe extern "C" fn vfio_file_has_dev(
    file: *mut bindings::file,
    device: *mut bindings::vfio_device,
) -> bool {
    // SAFETY: By the caller's promise.
    let (group, device) = unsafe { (group_of(file), Device::from_raw(device)) };
    let device: &Device = device;
    group.is_some_and(|group| device.state().is_in_group(&group))
}

/// Only KVM on PowerPC asks, whose IOMMU this module does not serve: it does not build there.
///
/// # Safety
///
/// Called with a file that is held.
#[no_mangle]
unsafe extern "C" fn vfio_file_iommu_group(
    _file: *mut bindings::file,
) -> *mut bindings::iommu_group {
    core::ptr::null_mut()
}
