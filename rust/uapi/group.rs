// SPDX-License-Identifier: GPL-2.0-only

//! The arguments of the ioctls of a group.

use crate::kapi::uaccess::{self, UserString};
use kernel::{page::PAGE_SIZE, prelude::*, uaccess::UserPtr};

/// `VFIO_GROUP_FLAGS_VIABLE`: the group can be used.  No device of the group has a host driver that does DMA,
/// and no other user owns the DMA of the group.
pub(crate) const FLAG_VIABLE: u32 = 1 << 0;
/// `VFIO_GROUP_FLAGS_CONTAINER_SET`: the group has a container, or an iommufd that replaces it.
pub(crate) const FLAG_CONTAINER_SET: u32 = 1 << 1;

/// `struct vfio_group_status`.
#[repr(C)]
pub(crate) struct Layout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
}

/// A valid argument of `VFIO_GROUP_GET_STATUS`.
pub(crate) struct GetStatus {
    arg: UserPtr,
    argsz: u32,
}

impl GetStatus {
    /// Reads and validates the argument.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EFAULT`: the argument cannot be read.
    /// - `EINVAL`: `argsz` is below 8.
    pub(crate) fn read(arg: UserPtr) -> Result<Self> {
        let [argsz, _flags]: [u32; 2] = uaccess::read(arg)?;
        if (argsz as usize) < size_of::<Layout>() {
            return Err(EINVAL);
        }
        Ok(Self { arg, argsz })
    }

    /// Writes the structure with the given flags.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: the structure cannot be written.
    pub(crate) fn write(&self, flags: u32) -> Result {
        uaccess::write(self.arg, &[self.argsz, flags])
    }
}

/// Reads the argument of `VFIO_GROUP_SET_CONTAINER`: a file descriptor.
///
/// # Errors
///
/// - `EFAULT`: the argument cannot be read.
pub(crate) fn read_fd(arg: UserPtr) -> Result<i32> {
    uaccess::read(arg)
}

/// Reads the argument of `VFIO_GROUP_GET_DEVICE_FD`: the name of a device, with or without options for its
/// driver.
///
/// # Errors
///
/// In this order:
///
/// - `EFAULT`: the name cannot be read.
/// - `EINVAL`: the name is longer than a page.
/// - `ENOMEM`: out of memory.
pub(crate) fn read_name(arg: UserPtr) -> Result<UserString> {
    UserString::read(arg, PAGE_SIZE)
}
