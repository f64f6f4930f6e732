// SPDX-License-Identifier: GPL-2.0-only

//! The argument of `VFIO_DEVICE_GET_REGION_INFO`: `struct vfio_region_info` with its capability chain.

use super::field;
use crate::{kapi::uaccess, shared::vfio::ops::RegionInfo};
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_REGION_INFO_FLAG_CAPS`: there are capabilities.
pub(crate) const FLAG_CAPS: u32 = 1 << 3;

/// A valid argument.
pub(crate) struct GetRegionInfo {
    arg: UserPtr,
    pub(crate) info: RegionInfo,
}

impl GetRegionInfo {
    /// Reads and validates the structure.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EFAULT`: the argument cannot be read.
    /// - `EINVAL`: `argsz` is below 32.
    #[inline]
    pub(crate) fn read(arg: UserPtr) -> Result<Self> {
        let info = uaccess::read(arg)?;
        let arg = Self { arg, info };
        match (arg.info.argsz as usize) < size_of::<RegionInfo>() {
            true => Err(EINVAL),
            false => Ok(arg),
        }
    }

    /// Writes the capabilities, which follow the structure.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: the capabilities cannot be written.
    pub(crate) fn write_caps(&self, caps: &[u8]) -> Result {
        uaccess::write_bytes(field(self.arg, size_of::<RegionInfo>()), caps)
    }

    /// Writes the structure.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: the structure cannot be written.
    pub(crate) fn write(&self) -> Result {
        uaccess::write(self.arg, &self.info)
    }
}
