// SPDX-License-Identifier: GPL-2.0-only

//! The pseudo file system whose inodes hold the mappings of devices (`include/linux/fs.h`,
//! `include/linux/pseudo_fs.h`).
//!
//! Each device has one inode.  All files of the device use the mapping of this inode.  So a driver can zap
//! all user space mappings of the device at once.  C counterpart: `vfio_fs_inode_new()`.

use super::OwnerModule;
use crate::{
    bindings,
    kapi::{file::Mapping, series::this_module},
};
use core::{cell::UnsafeCell, ptr::NonNull};
use kernel::{prelude::*, str::as_char_ptr_in_const_context};

const VFIO_MAGIC: c_ulong = 0x5646_494f; // "VFIO"

#[repr(transparent)]
struct Global<T>(UnsafeCell<T>);

// SAFETY: The C functions that get a pointer to the value do their own locking: `simple_pin_fs()` and
// `simple_release_fs()` take `pin_fs_lock`, and the file system code protects the file system type.
unsafe impl<T> Sync for Global<T> {}

static FS_TYPE: Global<bindings::file_system_type> =
    Global(UnsafeCell::new(bindings::file_system_type {
        name: as_char_ptr_in_const_context(c"vfio"),
        owner: this_module::<OwnerModule>().as_ptr(),
        init_fs_context: Some(init_fs_context),
        kill_sb: Some(bindings::kill_anon_super),
        ..pin_init::zeroed()
    }));
static MOUNT: Global<*mut bindings::vfsmount> = Global(UnsafeCell::new(core::ptr::null_mut()));
static COUNT: Global<c_int> = Global(UnsafeCell::new(0));

/// # Safety
///
/// The VFS calls this with a context that is being set up.
unsafe extern "C" fn init_fs_context(fc: *mut bindings::fs_context) -> c_int {
    // SAFETY: By the caller's promise.
    match unsafe { bindings::vfio_helper_init_pseudo(fc, VFIO_MAGIC) }.is_null() {
        true => ENOMEM.to_errno(),
        false => 0,
    }
}

/// A pin on the file system, which keeps it mounted until the pin is dropped.
struct MountPin;

impl MountPin {
    fn new() -> Result<Self> {
        // SAFETY: All three are statics of this module, and only the two functions of `MountPin` pass them to C.
        crate::kapi::to_result(unsafe {
            bindings::simple_pin_fs(FS_TYPE.0.get(), MOUNT.0.get(), COUNT.0.get())
        })?;
        Ok(Self)
    }
}

impl Drop for MountPin {
    fn drop(&mut self) {
        // SAFETY: Balances the `simple_pin_fs()` of `new()`.
        unsafe { bindings::simple_release_fs(MOUNT.0.get(), COUNT.0.get()) }
    }
}

/// An inode of the pseudo file system.
///
/// A file whose `f_mapping` points into the inode must keep the inode alive.
pub(crate) struct PseudoInode {
    inode: NonNull<bindings::inode>,
    _pin: MountPin,
}

// SAFETY: Inodes do their own locking; any task that may sleep may put a reference.
unsafe impl Send for PseudoInode {}
// SAFETY: As above.
unsafe impl Sync for PseudoInode {}

impl PseudoInode {
    /// Allocates an inode and mounts the file system if it is not mounted.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - The errno of mounting the file system.
    pub(crate) fn new() -> Result<Self> {
        let pin = MountPin::new()?;
        // SAFETY: `simple_pin_fs()` has set the mount, which does not change while `pin` keeps it.
        let raw = unsafe { bindings::alloc_anon_inode((**MOUNT.0.get()).mnt_sb) };
        Ok(Self {
            inode: NonNull::new(kernel::error::from_err_ptr(raw)?).ok_or(ENOMEM)?,
            _pin: pin,
        })
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::inode {
        self.inode.as_ptr()
    }

    /// Returns the mapping that the files of the device share.
    pub(crate) fn mapping(&self) -> Option<Mapping<'_>> {
        // SAFETY: `self` holds a reference on the inode; `i_mapping` is set at its allocation.
        let mapping = NonNull::new(unsafe { (*self.inode.as_ptr()).i_mapping })?;
        // SAFETY: The mapping is a part of the inode.
        Some(unsafe { Mapping::from_raw(mapping) })
    }
}

impl Drop for PseudoInode {
    fn drop(&mut self) {
        // SAFETY: `self` owns one reference on the inode; the pin is dropped after this.
        unsafe { bindings::iput(self.inode.as_ptr()) }
    }
}
