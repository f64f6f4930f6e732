// SPDX-License-Identifier: GPL-2.0-only

//! Arguments of a group's ioctls.

use crate::kapi::uaccess::{self, UserString};
use kernel::{page::PAGE_SIZE, prelude::*, uaccess::UserPtr};

/// `VFIO_GROUP_FLAGS_VIABLE`: no device of the group has a driver of the host that does DMA.
pub(crate) const FLAG_VIABLE: u32 = 1 << 0;
/// `VFIO_GROUP_FLAGS_CONTAINER_SET`: the group has a container, or an iommufd in its place.
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
    /// # Errors
    ///
    /// In this order: `EFAULT`; `EINVAL` (size below 8).
    pub(crate) fn read(arg: UserPtr) -> Result<Self> {
        let [argsz, _flags]: [u32; 2] = uaccess::read(arg)?;
        if (argsz as usize) < size_of::<Layout>() {
            return Err(EINVAL);
        }
        Ok(Self { arg, argsz })
    }

    /// Writes the structure.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(crate) fn write(&self, flags: u32) -> Result {
        uaccess::write(self.arg, &[self.argsz, flags])
    }
}

/// The argument of `VFIO_GROUP_SET_CONTAINER`: a file descriptor.
///
/// # Errors
///
/// `EFAULT`.
pub(crate) fn read_fd(arg: UserPtr) -> Result<i32> {
    uaccess::read(arg)
}

/// The argument of `VFIO_GROUP_GET_DEVICE_FD`: a device's name, perhaps with options for its
/// driver.
///
/// # Errors
///
/// In this order: `EFAULT`; `EINVAL` when it is longer than a page; `ENOMEM`.
pub(crate) fn read_name(arg: UserPtr) -> Result<UserString> {
    UserString::read(arg, PAGE_SIZE)
}
