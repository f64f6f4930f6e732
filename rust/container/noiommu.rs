// SPDX-License-Identifier: GPL-2.0-only

//! The container driver for groups without an IOMMU, which maps nothing.
//!
//! C counterpart: `vfio_noiommu_ops`.  The core itself registers this driver.
//!
//! Locks: none.

use crate::{kapi::capability, shared::params::enable_unsafe_noiommu_mode, uapi};
use kernel::prelude::*;

/// `VFIO_NOIOMMU_IOMMU`: the extension that chooses this driver.
const EXTENSION: usize = 8;

/// Checks that the caller may choose the driver.
///
/// # Errors
///
/// In this order:
///
/// - `EINVAL`: `arg` is not `VFIO_NOIOMMU_IOMMU`.
/// - `EPERM`: the caller does not have `CAP_SYS_RAWIO`.
pub(crate) fn open(arg: usize) -> Result {
    match arg {
        EXTENSION if capability::sys_rawio() => Ok(()),
        EXTENSION => Err(EPERM),
        _ => Err(EINVAL),
    }
}

/// Handles the ioctls of a container.  `VFIO_CHECK_EXTENSION` returns 1 for this driver's extension while the
/// administrator permits the use of devices without an IOMMU, and 0 otherwise.
///
/// # Errors
///
/// - `ENOTTY`: any other ioctl.
pub(crate) fn ioctl(cmd: u32, arg: usize) -> Result<isize> {
    match cmd {
        uapi::CHECK_EXTENSION => Ok((arg == EXTENSION && enable_unsafe_noiommu_mode()).into()),
        _ => Err(ENOTTY),
    }
}
