// SPDX-License-Identifier: GPL-2.0-only

//! `VFIO_GROUP_GET_STATUS`: `struct vfio_group_status`.

use crate::kapi::uaccess;
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_GROUP_FLAGS_VIABLE`: no device of the group has a driver of the host that does DMA.
pub(crate) const FLAG_VIABLE: u32 = 1 << 0;

/// The structure.
#[repr(C)]
pub(crate) struct Layout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
}

/// A valid argument.
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
