// SPDX-License-Identifier: GPL-2.0-only

//! The C interface of `container.c`: `/dev/vfio/vfio`, and the registration of IOMMU drivers.

use crate::{
    bindings,
    container::{self, Container},
    kapi::{cdev::FileOperations, miscdevice::Template, series::this_module, to_int},
    shared::{vfio::iommu_driver::RegisteredDriver, OwnerModule},
    uapi,
};
use kernel::{
    fs::LocalFile,
    prelude::*,
    sync::{Arc, ArcBorrow},
    types::ForeignOwnable,
    uaccess::UserPtr,
};

#[cfg(CONFIG_VFIO_CONTAINER)]
super::check_prototypes!(vfio_register_iommu_driver, vfio_unregister_iommu_driver);

/// The device `/dev/vfio/vfio`, which all users may open.
pub(crate) static NODE: Template = Template {
    minor: bindings::VFIO_MINOR,
    name: c"vfio",
    nodename: c"vfio/vfio",
    mode: 0o666,
    fops: &FOPS,
};

// The VFS lets any number of threads use a file at the same time.
const _: () = super::assert_shared::<Container>();

/// The operations of a container file.
// SAFETY: The functions follow the contracts of the VFS.
static FOPS: FileOperations = unsafe {
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
/// The VFS calls this.
unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    match Container::new() {
        Ok(container) => {
            // SAFETY: `file` is being opened, so this function owns it.
            unsafe { (*file).private_data = container.into_foreign() };
            0
        }
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// The VFS calls this once, for a file that has no users any more.
unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: `open()` stored the pointer.
    drop(unsafe { Arc::<Container>::from_foreign((*file).private_data) });
    0
}

/// # Safety
///
/// The VFS calls this.
unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
    // SAFETY: The file is open with the operations of this file.
    let container = unsafe { Arc::<Container>::borrow((*file).private_data) };
    match cmd {
        uapi::GET_API_VERSION => uapi::API_VERSION,
        uapi::CHECK_EXTENSION => container.check_extension(arg),
        // CAST: The conversions widen.
        uapi::SET_IOMMU => to_int(container.set_iommu(arg)) as c_long,
        uapi::BIND_PROCESS => to_int(container.bind_process(UserPtr::from_addr(arg))) as c_long,
        uapi::UNBIND_PROCESS => to_int(container.unbind_process(UserPtr::from_addr(arg))) as c_long,
        _ => container.ioctl(cmd, UserPtr::from_addr(arg)),
    }
}

/// Returns the container of a container file; None for any other file.
pub(super) fn of_file(file: &LocalFile) -> Option<Arc<Container>> {
    let file = file.as_ptr();
    // SAFETY: The caller holds the file; `private_data` of a file with these operations came from `open()`.
    let container: ArcBorrow<'_, Container> = unsafe {
        core::ptr::eq((*file).f_op, FOPS.as_raw())
            .then(|| Arc::<Container>::borrow((*file).private_data))
    }?;
    Some(container.into())
}

/// # Safety
///
/// IOMMU drivers call this.  `ops` is valid until the driver is unregistered, and after that while a
/// reference on its module is held.
#[no_mangle]
unsafe extern "C" fn vfio_register_iommu_driver(
    ops: *const bindings::vfio_iommu_driver_ops,
) -> c_int {
    // SAFETY: By the caller's promise.
    to_int(unsafe { RegisteredDriver::new(ops) }.and_then(container::add_driver))
}

/// # Safety
///
/// No requirements.
#[no_mangle]
unsafe extern "C" fn vfio_unregister_iommu_driver(ops: *const bindings::vfio_iommu_driver_ops) {
    container::remove_driver(ops.addr());
}
