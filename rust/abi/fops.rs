// SPDX-License-Identifier: GPL-2.0-only

//! The file operations of device files (`/dev/vfio/devices/vfioX`, and files from `VFIO_GROUP_GET_DEVICE_FD`)
//! and of group files (`/dev/vfio/$GROUP`).
//!
//! In C these are in `device_cdev.c`, `vfio_main.c` and `group.c`.  They are in one file here because they
//! depend on each other: a group makes device files, and a hot reset of a device checks whether a file is a
//! group file.

use super::container;
use crate::{
    bindings,
    device::State,
    file::{group as group_file, DeviceFile},
    group::Group,
    kapi::{
        cdev::{Cdev, FileOperations},
        series::this_module,
    },
    shared::OwnerModule,
};
use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    fs::{file::flags, File, LocalFile},
    mm::virt::VmaNew,
    prelude::*,
    seq_file::SeqFile,
    sync::{aref::ARef, Arc, ArcBorrow},
    types::ForeignOwnable,
    uaccess::UserPtr,
};

// The VFS lets any number of threads use a file at the same time.
const _: () = super::assert_shared::<DeviceFile>();
const _: () = super::assert_shared::<Group>();

/// The operations of a device file.
// SAFETY: The functions follow the contracts of the VFS.
pub(crate) static DEVICE_FOPS: FileOperations<State> = unsafe {
    FileOperations::new(bindings::file_operations {
        owner: this_module::<OwnerModule>().as_ptr(),
        open: Some(device_open),
        release: Some(device_release),
        read: Some(device_read),
        write: Some(device_write),
        unlocked_ioctl: Some(device_ioctl),
        compat_ioctl: bindings::compat_ptr_ioctl,
        mmap: Some(device_mmap),
        show_fdinfo: if cfg!(CONFIG_PROC_FS) {
            Some(device_show_fdinfo)
        } else {
            None
        },
        ..pin_init::zeroed()
    })
};

/// Returns the private data of a device file.
///
/// # Safety
///
/// `file` is open with [`DEVICE_FOPS`], and stays open for `'a`.
#[inline]
unsafe fn device_file<'a>(file: *mut bindings::file) -> &'a DeviceFile {
    // SAFETY: `device_open()` or `into_file()` stored the pointer; only `device_release()` takes it back.
    unsafe { Pin::<KBox<DeviceFile>>::borrow((*file).private_data).get_ref() }
}

/// Makes a VFS file without a node, for a device that was opened through its group.
///
/// # Errors
///
/// `ENFILE`, `ENOMEM`.
pub(super) fn into_file(opened: Pin<KBox<DeviceFile>>) -> Result<ARef<File>> {
    let mapping = opened.state().inode().mapping();
    let data = opened.into_foreign();
    // SAFETY: The operations are static, and treat `data` as a device file.
    let file = from_err_ptr(unsafe {
        bindings::anon_inode_getfile_fmode(
            c"[vfio-device]".as_char_ptr(),
            DEVICE_FOPS.as_raw(),
            data.cast(),
            flags::O_RDWR as c_int,
            bindings::FMODE_PREAD | bindings::FMODE_PWRITE,
        )
    });
    let file = file.inspect_err(|_| {
        // SAFETY: No file was made, so no file owns `data`.
        drop(unsafe { Pin::<KBox<DeviceFile>>::from_foreign(data) })
    })?;
    // SAFETY: No other code uses the file yet.  The mapping belongs to an inode that `private_data` keeps
    // until the release of the file.
    unsafe { (*file).f_mapping = mapping };
    let file = NonNull::new(file).ok_or(ENOMEM)?;
    // SAFETY: This function owns the reference, and no other code uses the file: there is no `fdget_pos()`.
    Ok(unsafe { ARef::from_raw(file.cast()) })
}

/// Returns the private data of a device file; None for any other file.
///
/// # Safety
///
/// `file` is valid, and stays open for `'a`.
pub(super) unsafe fn device_of<'a>(file: *mut bindings::file) -> Option<&'a DeviceFile> {
    // SAFETY: By the caller's promise.
    unsafe { core::ptr::eq((*file).f_op, DEVICE_FOPS.as_raw()).then(|| device_file(file)) }
}

/// # Safety
///
/// The VFS calls this.
unsafe extern "C" fn device_open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: The inode belongs to a device in the range that has these operations.
    match DeviceFile::open(unsafe { Cdev::<State>::opened(inode) }) {
        Ok(opened) => {
            // SAFETY: `file` is being opened, so this function owns it.  The mapping belongs to an inode that
            // `private_data` keeps until the release of the file.
            unsafe {
                (*file).f_mapping = opened.state().inode().mapping();
                (*file).private_data = opened.into_foreign();
            }
            0
        }
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// The VFS calls this once, for a file that has no users any more.
unsafe extern "C" fn device_release(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: `device_open()` or `into_file()` stored the pointer.
    DeviceFile::close(unsafe { Pin::<KBox<DeviceFile>>::from_foreign((*file).private_data) });
    0
}

/// # Safety
///
/// The VFS calls this.
unsafe extern "C" fn device_ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
    // SAFETY: The file is open with the operations of this file.
    let result = unsafe { device_file(file) }.ioctl(cmd, UserPtr::from_addr(arg), group_of_file);
    // CAST: Both conversions widen.
    result.unwrap_or_else(|e| e.to_errno()) as c_long
}

/// # Safety
///
/// The VFS calls this.
unsafe extern "C" fn device_read(
    file: *mut bindings::file,
    buf: *mut c_char,
    count: usize,
    pos: *mut bindings::loff_t,
) -> isize {
    // SAFETY: The file is open with the operations of this file; the caller owns `pos`.
    let (file, pos) = unsafe { (device_file(file), &mut *pos) };
    io_result(file.read(UserPtr::from_ptr(buf.cast()), count, pos))
}

/// # Safety
///
/// The VFS calls this.
unsafe extern "C" fn device_write(
    file: *mut bindings::file,
    buf: *const c_char,
    count: usize,
    pos: *mut bindings::loff_t,
) -> isize {
    // SAFETY: The file is open with the operations of this file; the caller owns `pos`.
    let (file, pos) = unsafe { (device_file(file), &mut *pos) };
    io_result(file.write(UserPtr::from_ptr(buf.cast_mut().cast()), count, pos))
}

/// # Safety
///
/// The VFS calls this.
unsafe extern "C" fn device_mmap(
    file: *mut bindings::file,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: The file is open with the operations of this file; an mmap() is setting up `vma`.
    let (file, vma) = unsafe { (device_file(file), VmaNew::from_raw(vma)) };
    crate::kapi::to_int(file.mmap(vma))
}

/// # Safety
///
/// procfs calls this.
unsafe extern "C" fn device_show_fdinfo(m: *mut bindings::seq_file, file: *mut bindings::file) {
    // SAFETY: The file is open with the operations of this file; the caller owns `m`.
    let (file, m) = unsafe { (device_file(file), SeqFile::from_raw(m)) };
    file.show_fdinfo(m);
}

#[inline]
fn io_result(result: Result<isize>) -> isize {
    // CAST: The conversion widens.
    result.unwrap_or_else(|e| e.to_errno() as isize)
}

/// The operations of a group file.
// SAFETY: The functions follow the contracts of the VFS.
pub(crate) static GROUP_FOPS: FileOperations<Group> = unsafe {
    FileOperations::new(bindings::file_operations {
        owner: this_module::<OwnerModule>().as_ptr(),
        open: Some(group_open),
        release: Some(group_release),
        unlocked_ioctl: Some(group_ioctl),
        compat_ioctl: bindings::compat_ptr_ioctl,
        ..pin_init::zeroed()
    })
};

/// # Safety
///
/// The VFS calls this.
unsafe extern "C" fn group_open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: The inode belongs to a group in the range that has these operations.
    let group = unsafe { Cdev::<Group>::opened(inode) };
    crate::kapi::to_int(group_file::open(group).map(|()| {
        // SAFETY: `file` is being opened, so this function owns it.
        unsafe { (*file).private_data = group.clone().into_foreign() };
    }))
}

/// # Safety
///
/// The VFS calls this once, for a file that has no users any more.
unsafe extern "C" fn group_release(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: `group_open()` stored the pointer.
    group_file::release(unsafe { Arc::<Group>::from_foreign((*file).private_data) });
    0
}

/// # Safety
///
/// The VFS calls this.
unsafe extern "C" fn group_ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
    // SAFETY: The file is open with the operations of this file; an ioctl does not run within `fdget_pos()`.
    let (group, file) = unsafe {
        let group = Arc::<Group>::borrow((*file).private_data);
        (group, File::from_raw_file(file))
    };
    let files = group_file::Files {
        make: into_file,
        container: container::of_file,
    };
    let result = group_file::ioctl(group, file, cmd, UserPtr::from_addr(arg), &files);
    // CAST: Both conversions widen.
    result.unwrap_or_else(|e| e.to_errno()) as c_long
}

/// Returns the group of a group file; None for any other file.
///
/// # Safety
///
/// `file` is valid, and stays open for `'a`.
pub(super) unsafe fn group_of<'a>(file: *mut bindings::file) -> Option<ArcBorrow<'a, Group>> {
    // SAFETY: By the caller's promise; `private_data` of a file with these operations came from
    // `group_open()`.
    unsafe {
        core::ptr::eq((*file).f_op, GROUP_FOPS.as_raw())
            .then(|| Arc::<Group>::borrow((*file).private_data))
    }
}

/// Does the same as [`group_of`], for a file that the caller holds.
fn group_of_file(file: &LocalFile) -> Option<Arc<Group>> {
    // SAFETY: The caller holds the file.
    unsafe { group_of(file.as_ptr()) }.map(Into::into)
}
