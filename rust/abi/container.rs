// SPDX-License-Identifier: GPL-2.0-only

//! `container.c`: `/dev/vfio/vfio`, and the registration of IOMMU drivers.

use crate::{
    bindings,
    container::{self, Container},
    kapi::{cdev::FileOperations, miscdevice::Template, series::this_module, to_int},
    shared::{vfio::iommu_driver::Offer, OwnerModule},
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

/// `/dev/vfio/vfio`, which everybody may open.
pub(crate) static NODE: Template = Template {
    minor: bindings::VFIO_MINOR,
    name: c"vfio",
    nodename: c"vfio/vfio",
    mode: 0o666,
    fops: &FOPS,
};

// The VFS lets any number of threads use a file at once.
const _: () = super::assert_shared::<Container>();

/// The operations of a container's file.
// SAFETY: The functions follow the VFS's contracts.
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
/// Called by the VFS.
unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    match Container::new() {
        Ok(container) => {
            // SAFETY: `file` is being opened: it is ours.
            unsafe { (*file).private_data = container.into_foreign() };
            0
        }
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// Called by the VFS, once, with a file that nobody uses any more.
unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: `open()` stored it.
    drop(unsafe { Arc::<Container>::from_foreign((*file).private_data) });
    0
}

/// # Safety
///
/// Called by the VFS.
unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
    // SAFETY: The file is open with our operations.
    let container = unsafe { Arc::<Container>::borrow((*file).private_data) };
    match cmd {
        uapi::GET_API_VERSION => uapi::API_VERSION,
        uapi::CHECK_EXTENSION => container.check_extension(arg),
        // CAST: These widen.
        uapi::SET_IOMMU => to_int(container.set_iommu(arg)) as c_long,
        uapi::BIND_PROCESS => to_int(container.bind_process(UserPtr::from_addr(arg))) as c_long,
        uapi::UNBIND_PROCESS => to_int(container.unbind_process(UserPtr::from_addr(arg))) as c_long,
        _ => container.ioctl(cmd, UserPtr::from_addr(arg)),
    }
}

/// The container whose file it is, if it is one.
pub(super) fn of_file(file: &LocalFile) -> Option<Arc<Container>> {
    let file = file.as_ptr();
    // SAFETY: The file is held; one with our operations carries what `open()` stored.
    let container: ArcBorrow<'_, Container> = unsafe {
        core::ptr::eq((*file).f_op, FOPS.as_raw())
            .then(|| Arc::<Container>::borrow((*file).private_data))
    }?;
    Some(container.into())
}

/// # Safety
///
/// Called by IOMMU drivers with operations that stay until they take them back, and from then on
/// while their module is held.
#[no_mangle]
unsafe extern "C" fn vfio_register_iommu_driver(
    ops: *const bindings::vfio_iommu_driver_ops,
) -> c_int {
    // SAFETY: By the caller's promise.
    to_int(unsafe { Offer::new(ops) }.and_then(container::add_driver))
}

/// # Safety
///
/// No requirements.
#[no_mangle]
unsafe extern "C" fn vfio_unregister_iommu_driver(ops: *const bindings::vfio_iommu_driver_ops) {
    container::remove_driver(ops.addr());
}
