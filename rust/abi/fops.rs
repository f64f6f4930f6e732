// SPDX-License-Identifier: GPL-2.0-only

//! `device_cdev.c` and the file operations of `vfio_main.c`: `/dev/vfio/devices/vfioX`, and what
//! `VFIO_GROUP_GET_DEVICE_FD` gives.

use super::group;
use crate::{
    bindings,
    device::State,
    file::DeviceFile,
    kapi::{
        cdev::{Cdev, FileOperations},
        series::this_module,
    },
    shared::OwnerModule,
};
use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    fs::{file::flags, File},
    mm::virt::VmaNew,
    prelude::*,
    seq_file::SeqFile,
    sync::aref::ARef,
    types::ForeignOwnable,
    uaccess::UserPtr,
};

// The VFS lets any number of threads use a file at once.
const _: () = super::assert_shared::<DeviceFile>();

/// The operations of a device's files.
// SAFETY: The functions follow the VFS's contracts.
pub(crate) static FOPS: FileOperations<State> = unsafe {
    FileOperations::new(bindings::file_operations {
        owner: this_module::<OwnerModule>().as_ptr(),
        open: Some(open),
        release: Some(release),
        read: Some(read),
        write: Some(write),
        unlocked_ioctl: Some(ioctl),
        compat_ioctl: bindings::compat_ptr_ioctl,
        mmap: Some(mmap),
        show_fdinfo: if cfg!(CONFIG_PROC_FS) {
            Some(show_fdinfo)
        } else {
            None
        },
        ..pin_init::zeroed()
    })
};

/// What the file carries.
///
/// # Safety
///
/// `file` is open with [`FOPS`], and stays so for `'a`.
#[inline]
unsafe fn device_file<'a>(file: *mut bindings::file) -> &'a DeviceFile {
    // SAFETY: `open()` stored it; `release()` takes it back.
    unsafe { Pin::<KBox<DeviceFile>>::borrow((*file).private_data).get_ref() }
}

/// A file of the VFS without a node, for a device that was opened by way of its group.
///
/// # Errors
///
/// `ENFILE`, `ENOMEM`.
pub(super) fn into_file(opened: Pin<KBox<DeviceFile>>) -> Result<ARef<File>> {
    let mapping = opened.state().inode().mapping();
    let data = opened.into_foreign();
    // SAFETY: The operations are static and take `data` for what it is.
    let file = from_err_ptr(unsafe {
        bindings::anon_inode_getfile_fmode(
            c"[vfio-device]".as_char_ptr(),
            FOPS.as_raw(),
            data.cast(),
            flags::O_RDWR as c_int,
            bindings::FMODE_PREAD | bindings::FMODE_PWRITE,
        )
    });
    let file = file.inspect_err(|_| {
        // SAFETY: There is no file that took `data` over.
        drop(unsafe { Pin::<KBox<DeviceFile>>::from_foreign(data) })
    })?;
    // SAFETY: The file is ours alone; the mapping belongs to an inode that what is stored in
    // `private_data` keeps until the file's release.
    unsafe { (*file).f_mapping = mapping };
    let file = NonNull::new(file).ok_or(ENOMEM)?;
    // SAFETY: The reference is ours, and nobody else has the file: there is no `fdget_pos()`.
    Ok(unsafe { ARef::from_raw(file.cast()) })
}

/// What the file carries, if it is a device's.
///
/// # Safety
///
/// `file` is valid, and open for `'a`.
pub(super) unsafe fn from_file<'a>(file: *mut bindings::file) -> Option<&'a DeviceFile> {
    // SAFETY: By the caller's promise.
    unsafe { core::ptr::eq((*file).f_op, FOPS.as_raw()).then(|| device_file(file)) }
}

/// # Safety
///
/// Called by the VFS.
unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: The inode is of a device in the range that has these operations.
    match DeviceFile::open(unsafe { Cdev::<State>::opened(inode) }) {
        Ok(opened) => {
            // SAFETY: `file` is being opened: it is ours.  The mapping belongs to an inode that
            // what is stored in `private_data` keeps until the file's release.
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
/// Called by the VFS, once, with a file that nobody uses any more.
unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: `open()` stored it.
    DeviceFile::close(unsafe { Pin::<KBox<DeviceFile>>::from_foreign((*file).private_data) });
    0
}

/// # Safety
///
/// Called by the VFS.
unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
    // SAFETY: The file is open with our operations.
    let result = unsafe { device_file(file) }.ioctl(cmd, UserPtr::from_addr(arg), group::of_file);
    // CAST: Both widen.
    result.unwrap_or_else(|e| e.to_errno()) as c_long
}

/// # Safety
///
/// Called by the VFS.
unsafe extern "C" fn read(
    file: *mut bindings::file,
    buf: *mut c_char,
    count: usize,
    pos: *mut bindings::loff_t,
) -> isize {
    // SAFETY: The file is open with our operations; `pos` is the caller's.
    let (file, pos) = unsafe { (device_file(file), &mut *pos) };
    io_result(file.read(UserPtr::from_ptr(buf.cast()), count, pos))
}

/// # Safety
///
/// Called by the VFS.
unsafe extern "C" fn write(
    file: *mut bindings::file,
    buf: *const c_char,
    count: usize,
    pos: *mut bindings::loff_t,
) -> isize {
    // SAFETY: The file is open with our operations; `pos` is the caller's.
    let (file, pos) = unsafe { (device_file(file), &mut *pos) };
    io_result(file.write(UserPtr::from_ptr(buf.cast_mut().cast()), count, pos))
}

/// # Safety
///
/// Called by the VFS.
unsafe extern "C" fn mmap(file: *mut bindings::file, vma: *mut bindings::vm_area_struct) -> c_int {
    // SAFETY: The file is open with our operations; `vma` is being set up by its mmap().
    let (file, vma) = unsafe { (device_file(file), VmaNew::from_raw(vma)) };
    crate::kapi::to_int(file.mmap(vma))
}

/// # Safety
///
/// Called by procfs.
unsafe extern "C" fn show_fdinfo(m: *mut bindings::seq_file, file: *mut bindings::file) {
    // SAFETY: The file is open with our operations; `m` is the caller's.
    let (file, m) = unsafe { (device_file(file), SeqFile::from_raw(m)) };
    file.show_fdinfo(m);
}

#[inline]
fn io_result(result: Result<isize>) -> isize {
    // CAST: It widens.
    result.unwrap_or_else(|e| e.to_errno() as isize)
}
