// SPDX-License-Identifier: GPL-2.0-only

//! The file of a group, which carries the group itself.
//!
//! C counterpart: `group.c`, "VFIO Group fd".  Containers, and devices by way of a group, are not
//! there yet: their ioctls are unknown.

use super::Group;
use crate::{
    kapi::capability,
    uapi::{
        self,
        group::{GetStatus, FLAG_VIABLE},
    },
};
use kernel::{prelude::*, sync::Arc, uaccess::UserPtr};

/// Opens the group that has the minor; [`release`] is its end.
///
/// # Errors
///
/// In this order: `ENXIO` (no such group); `ENODEV` (its last device has left); `EPERM` (no IOMMU,
/// and the caller lacks `CAP_SYS_RAWIO`); `EBUSY` (open already, or a device of it is bound).
pub(crate) fn open(minor: u32) -> Result<Arc<Group>> {
    let group = Group::by_minor(minor)?;
    group.open(capability::sys_rawio)?;
    Ok(group)
}

/// The end of a file that [`open`] opened.
pub(crate) fn release(group: Arc<Group>) {
    group.close();
}

/// ioctl(2).
///
/// # Errors
///
/// `ENOTTY` for an unknown one; for `VFIO_GROUP_GET_STATUS` those of [`GetStatus::read`], `ENODEV`
/// when the last device has left, `EFAULT`.
pub(crate) fn ioctl(group: &Group, cmd: u32, arg: UserPtr) -> Result {
    match cmd {
        uapi::GROUP_GET_STATUS => {
            let arg = GetStatus::read(arg)?;
            arg.write(match group.is_viable()? {
                true => FLAG_VIABLE,
                false => 0,
            })
        }
        _ => Err(ENOTTY),
    }
}
