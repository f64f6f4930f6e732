// SPDX-License-Identifier: GPL-2.0-only

//! The ioctl that describes the regions of a device.
//!
//! C counterpart: `vfio_get_region_info()`.

use crate::{
    info_cap,
    shared::vfio::{info_caps::InfoCaps, ops::RegionInfo, Device, Open},
    uapi::region::{GetRegionInfo, FLAG_CAPS},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// Handles `VFIO_DEVICE_GET_REGION_INFO`.  If the capabilities do not fit into the argument, `argsz` returns
/// the required size in bytes, and no capabilities are written.
///
/// # Errors
///
/// In this order:
///
/// - `EINVAL`: the driver does not describe regions.
/// - Those of [`GetRegionInfo::read`].
/// - The driver's errno.  Nothing is written then.
/// - `EINVAL`: the size of the capabilities overflows.
/// - `EFAULT`: the result cannot be written.
#[inline(never)]
pub(super) fn get_info(device: &Device<Open>, arg: UserPtr) -> Result {
    if !device.has_region_info() {
        return Err(EINVAL);
    }
    let mut arg = GetRegionInfo::read(arg)?;
    let mut caps = InfoCaps::new();
    device.region_info(&mut arg.info, &caps)?;

    let mut caps = caps.as_chain();
    let caps = caps.bytes();
    if !caps.is_empty() {
        let head = size_of::<RegionInfo>();
        let needed = head.checked_add(caps.len()).ok_or(EINVAL)?;
        let needed = u32::try_from(needed).map_err(|_| EINVAL)?;
        arg.info.flags |= FLAG_CAPS;
        if arg.info.argsz < needed {
            arg.info.argsz = needed;
            arg.info.cap_offset = 0;
        } else {
            info_cap::shift(caps, head as u32);
            arg.write_caps(caps)?;
            arg.info.cap_offset = head as u32;
        }
    }
    arg.write()
}
