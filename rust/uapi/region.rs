// SPDX-License-Identifier: GPL-2.0-only

//! The argument of `VFIO_DEVICE_GET_REGION_INFO`: `struct vfio_region_info` with its capability chain.

use super::field;
use crate::kapi::uaccess;
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_REGION_INFO_FLAG_CAPS`: there are capabilities.
pub(crate) const FLAG_CAPS: u32 = 1 << 3;

/// `struct vfio_region_info`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, zerocopy_derive::Immutable)]
pub(crate) struct Layout {
    /// The size of the user's buffer in bytes.  On return, the required size if the capabilities do not fit.
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) index: u32,
    pub(crate) cap_offset: u32,
    /// The size of the region in bytes.
    pub(crate) size: u64,
    /// The offset of the region in the file, in bytes.
    pub(crate) offset: u64,
}

/// A valid argument.
pub(crate) struct GetRegionInfo {
    arg: UserPtr,
    pub(crate) info: Layout,
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
    pub(crate) fn read(arg: UserPtr) -> Result<Self> {
        let info: Layout = uaccess::read(arg)?;
        if (info.argsz as usize) < size_of::<Layout>() {
            return Err(EINVAL);
        }
        Ok(Self { arg, info })
    }

    /// Writes the capabilities, which follow the structure.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: the capabilities cannot be written.
    pub(crate) fn write_caps(&self, caps: &[u8]) -> Result {
        uaccess::write_bytes(field(self.arg, size_of::<Layout>()), caps)
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
