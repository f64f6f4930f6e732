// SPDX-License-Identifier: GPL-2.0-only

//! The ioctl that describes the regions of a device.
//!
//! C counterpart: `vfio_get_region_info()`.

use crate::{
    info_cap,
    shared::vfio::{
        info_caps::{Chain, InfoCaps},
        ops::RegionInfo,
        Device, Open,
    },
    uapi::region,
};
use core::mem::MaybeUninit;
use kernel::{prelude::*, uaccess::UserPtr};

/// Handles `VFIO_DEVICE_GET_REGION_INFO`.  If the capabilities do not fit into the argument, `argsz` returns
/// the required size in bytes, and no capabilities are written.
///
/// # Errors
///
/// In this order:
///
/// - `EINVAL`: the driver does not describe regions.
/// - Those of [`region::read`].
/// - The driver's errno.  Nothing is written then.
/// - `EINVAL`: the size of the capabilities overflows.
/// - `EFAULT`: the result cannot be written.
#[inline]
pub(super) fn get_info(device: &Device<Open>, arg: UserPtr) -> Result {
    if !device.has_region_info() {
        return Err(EINVAL);
    }
    let mut info = MaybeUninit::uninit();
    let info = region::read(arg, &mut info)?;
    let mut caps = InfoCaps::new();
    device.region_info(info, &caps)?;
    if !caps.is_empty() {
        add_caps(arg, info, caps.as_chain())?;
    }
    region::write(arg, info)
}

/// Writes the capabilities of a region, if they fit into the argument.
///
/// # Errors
///
/// In this order:
///
/// - `EINVAL`: the size of the capabilities overflows.
/// - `EFAULT`: the capabilities cannot be written.
#[inline(never)]
fn add_caps(arg: UserPtr, info: &mut RegionInfo, mut caps: Chain<'_>) -> Result {
    let head = size_of::<RegionInfo>();
    let needed = head.checked_add(caps.len()).ok_or(EINVAL)?;
    let needed = u32::try_from(needed).map_err(|_| EINVAL)?;
    info.flags |= region::FLAG_CAPS;
    if info.argsz < needed {
        info.argsz = needed;
        info.cap_offset = 0;
    } else {
        if let Some(mut words) = caps.words() {
            info_cap::shift(&mut words, head as u32);
        }
        if let Some(bytes) = caps.as_buffer() {
            region::write_caps(arg, bytes)?;
        }
        info.cap_offset = head as u32;
    }
    Ok(())
}
