// SPDX-License-Identifier: GPL-2.0-only

//! `group.c`: `/dev/vfio/$GROUP`, and questions about files.

use super::{container, device_cdev};
use crate::{
    bindings,
    file::group as file,
    group::Group,
    kapi::{
        cdev::{Cdev, FileOperations},
        class::{node_name, Class},
        series::this_module,
    },
    shared::{vfio::Device, OwnerModule},
};
use kernel::{
    fs::{File, LocalFile},
    prelude::*,
    sync::{Arc, ArcBorrow},
    types::ForeignOwnable,
    uaccess::UserPtr,
};

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

// The VFS lets any number of threads use a file at once.
const _: () = super::assert_shared::<Group>();

/// The operations of a group's file.
// SAFETY: The functions follow the VFS's contracts.
pub(crate) static FOPS: FileOperations<Group> = unsafe {
    FileOperations::new(bindings::file_operations {
        owner: this_module::<OwnerModule>().as_ptr(),
        open: Some(open),
        release: Some(release),
        unlocked_ioctl: Some(ioctl),
        compat_ioctl: bindings::compat_ptr_ioctl,
        ..pin_init::zeroed()
    })
};

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
/// Called by the VFS.
unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: The inode is of a group in the range that has these operations.
    let group = unsafe { Cdev::<Group>::opened(inode) };
    crate::kapi::to_int(file::open(group).map(|()| {
        // SAFETY: `file` is being opened: it is ours.
        unsafe { (*file).private_data = group.clone().into_foreign() };
    }))
}

/// # Safety
///
/// Called by the VFS, once, with a file that nobody uses any more.
unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: `open()` stored it.
    file::release(unsafe { Arc::<Group>::from_foreign((*file).private_data) });
    0
}

/// # Safety
///
/// Called by the VFS.
unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
    // SAFETY: The file is open with our operations; an ioctl does not run inside `fdget_pos()`.
    let (group, file) = unsafe {
        let group = Arc::<Group>::borrow((*file).private_data);
        (group, File::from_raw_file(file))
    };
    let files = file::Files {
        make: device_cdev::into_file,
        container: container::of_file,
    };
    let result = file::ioctl(group, file, cmd, UserPtr::from_addr(arg), &files);
    // CAST: Both widen.
    result.unwrap_or_else(|e| e.to_errno()) as c_long
}

/// The group whose file it is, if it is one.
///
/// # Safety
///
/// `file` is valid, and open for `'a`.
pub(super) unsafe fn group_of<'a>(file: *mut bindings::file) -> Option<ArcBorrow<'a, Group>> {
    // SAFETY: By the caller's promise; a file with our operations carries what `open()` stored.
    unsafe {
        core::ptr::eq((*file).f_op, FOPS.as_raw())
            .then(|| Arc::<Group>::borrow((*file).private_data))
    }
}

/// As [`group_of`], of a file that is held.
pub(super) fn of_file(file: &LocalFile) -> Option<Arc<Group>> {
    // SAFETY: The file is held.
    unsafe { group_of(file.as_ptr()) }.map(Into::into)
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
