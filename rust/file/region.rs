// SPDX-License-Identifier: GPL-2.0-only

//! Descriptions of a device's regions.
//!
//! C counterpart: `vfio_get_region_info()`.

use crate::{
    info_cap,
    shared::vfio::{info_caps::InfoCaps, ops::RegionInfo, Device, Open},
    uapi::region::{GetRegionInfo, Layout, FLAG_CAPS},
};
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_DEVICE_GET_REGION_INFO`.  If the capabilities do not fit, the size that would hold them
/// is returned and nothing else of them.
///
/// # Errors
///
/// In this order: `EINVAL` when the driver describes no regions; those of
/// [`GetRegionInfo::read`]; the driver's, and nothing is written; `EFAULT`.
pub(super) fn get_info(device: &Device<Open>, arg: UserPtr) -> Result {
    if !device.has_region_info() {
        return Err(EINVAL);
    }
    let mut arg = GetRegionInfo::read(arg)?;
    let mut caps = InfoCaps::new();
    let mut info = RegionInfo::from(arg.info);
    device.region_info(&mut info, &caps)?;
    arg.info = info.into();

    let mut caps = caps.as_chain();
    let caps = caps.bytes();
    if !caps.is_empty() {
        let head = size_of::<Layout>();
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
