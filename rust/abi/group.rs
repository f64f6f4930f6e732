// SPDX-License-Identifier: GPL-2.0-only

//! `group.c`: `/dev/vfio/$GROUP`, and questions about files.

use crate::{
    bindings,
    group::file::GroupFile,
    kapi::{
        cdev::{self, FileOperations},
        class::Class,
        vfio::Device,
    },
    LocalModule,
};
use kernel::{module::this_module, prelude::*, types::ForeignOwnable, uaccess::UserPtr};

#[cfg(CONFIG_VFIO_GROUP)]
super::check_prototypes!(vfio_file_has_dev, vfio_file_is_group);

/// `/sys/class/vfio`.
// SAFETY: `devnode` follows the contract.
pub(crate) static CLASS: Class = unsafe { Class::new(c"vfio", devnode) };

// The VFS lets any number of threads use a file at once.
const _: () = super::assert_shared::<GroupFile>();

/// The operations of a group's file.
// SAFETY: The functions follow the VFS's contracts.
pub(crate) static FOPS: FileOperations = unsafe {
    FileOperations::new(bindings::file_operations {
        owner: this_module::<LocalModule>().as_ptr(),
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
    unsafe {
        bindings::kasprintf(
            bindings::GFP_KERNEL,
            c"vfio/%s".as_char_ptr(),
            bindings::dev_name(dev),
        )
    }
}

/// # Safety
///
/// Called by the VFS.
unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: `inode` is valid.
    match GroupFile::open(unsafe { cdev::minor(inode) }) {
        Ok(opened) => {
            // SAFETY: `file` is being opened: it is ours.
            unsafe { (*file).private_data = opened.into_foreign() };
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
    drop(unsafe { KBox::<GroupFile>::from_foreign((*file).private_data) });
    0
}

/// # Safety
///
/// Called by the VFS.
unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
    // SAFETY: The file is open with our operations.
    let file = unsafe { KBox::<GroupFile>::borrow((*file).private_data) };
    crate::kapi::to_int(file.ioctl(cmd, UserPtr::from_addr(arg))) as c_long
}

/// What the file carries, if it is a group's.
///
/// # Safety
///
/// `file` is valid, and open for `'a`.
unsafe fn group_file<'a>(file: *mut bindings::file) -> Option<&'a GroupFile> {
    // SAFETY: By the caller's promise; a file with our operations carries what `open()` stored.
    unsafe {
        core::ptr::eq((*file).f_op, FOPS.as_raw())
            .then(|| KBox::<GroupFile>::borrow((*file).private_data))
    }
}

/// # Safety
///
/// Called with a file that is held.
#[no_mangle]
unsafe extern "C" fn vfio_file_is_group(file: *mut bindings::file) -> bool {
    // SAFETY: By the caller's promise.
    unsafe { group_file(file) }.is_some()
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
    let (file, device) = unsafe { (group_file(file), Device::from_raw(device)) };
    let device: &Device = device;
    file.is_some_and(|file| device.state().is_in_group(file.group()))
}
