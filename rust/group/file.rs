// SPDX-License-Identifier: GPL-2.0-only

//! The file of a group.
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

/// What a file of a group carries: its user, until it is closed.
pub(crate) struct GroupFile(Arc<Group>);

impl GroupFile {
    /// Opens the group that has the minor.
    ///
    /// # Errors
    ///
    /// In this order: `ENXIO` (no such group); `ENODEV` (its last device has left); `EPERM` (no
    /// IOMMU, and the caller lacks `CAP_SYS_RAWIO`); `EBUSY` (open already, or a device of it is
    /// bound); `ENOMEM`.
    pub(crate) fn open(minor: u32) -> Result<KBox<Self>> {
        let group = Group::by_minor(minor)?;
        group.open(capability::sys_rawio)?;
        Ok(KBox::new(Self(group), GFP_KERNEL)?)
    }

    /// The group.
    pub(crate) fn group(&self) -> &Group {
        &self.0
    }

    /// ioctl(2).
    ///
    /// # Errors
    ///
    /// `ENOTTY` for an unknown one; for `VFIO_GROUP_GET_STATUS` those of [`GetStatus::read`],
    /// `ENODEV` when the last device has left, `EFAULT`.
    pub(crate) fn ioctl(&self, cmd: u32, arg: UserPtr) -> Result {
        match cmd {
            uapi::GROUP_GET_STATUS => {
                let arg = GetStatus::read(arg)?;
                arg.write(match self.0.is_viable()? {
                    true => FLAG_VIABLE,
                    false => 0,
                })
            }
            _ => Err(ENOTTY),
        }
    }
}

impl Drop for GroupFile {
    fn drop(&mut self) {
        self.0.close();
    }
}
