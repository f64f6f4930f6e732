// SPDX-License-Identifier: GPL-2.0-only

//! The argument of `VFIO_DEVICE_GET_REGION_INFO`: `struct vfio_region_info` with its capability chain.

use super::field;
use crate::{
    kapi::{buffer::DriverBuffer, uaccess},
    shared::vfio::ops::RegionInfo,
};
use core::mem::MaybeUninit;
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_REGION_INFO_FLAG_CAPS`: there are capabilities.
pub(crate) const FLAG_CAPS: u32 = 1 << 3;

/// Reads the structure into `info`, and validates it.
///
/// # Errors
///
/// In this order:
///
/// - `EFAULT`: the argument cannot be read.
/// - `EINVAL`: `argsz` is below 32.
#[inline]
pub(crate) fn read(arg: UserPtr, info: &mut MaybeUninit<RegionInfo>) -> Result<&mut RegionInfo> {
    let info = uaccess::read_into(arg, info)?;
    match (info.argsz as usize) < size_of::<RegionInfo>() {
        true => Err(EINVAL),
        false => Ok(info),
    }
}

/// Writes the structure.
///
/// # Errors
///
/// - `EFAULT`: the structure cannot be written.
#[inline]
pub(crate) fn write(arg: UserPtr, info: &RegionInfo) -> Result {
    uaccess::write(arg, info)
}

/// Writes the capabilities, which follow the structure.
///
/// # Errors
///
/// - `EFAULT`: the capabilities cannot be written.
pub(crate) fn write_caps(arg: UserPtr, caps: DriverBuffer<'_>) -> Result {
    uaccess::write_buffer(field(arg, size_of::<RegionInfo>()), caps)
}
