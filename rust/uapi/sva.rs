// SPDX-License-Identifier: GPL-2.0-only

//! The arguments of `VFIO_BIND_PROCESS` and `VFIO_UNBIND_PROCESS` (`include/uapi/linux/vfio_sva.h`).

use super::field;
use crate::kapi::{series::EOPNOTSUPP, uaccess};
use core::mem::offset_of;
use kernel::{prelude::*, uaccess::UserPtr};
use zerocopy_derive::{Immutable, IntoBytes};

/// `VFIO_SVA`, the extension for `VFIO_CHECK_EXTENSION`.
pub(crate) const EXTENSION: usize = 0xff00;

/// `VFIO_BIND_PROCESS_PID` and `VFIO_BIND_PROCESS_PIDFD`: reserved for binding another process.
pub(crate) const FLAGS_OTHER: u32 = 1 << 0 | 1 << 1;

/// `struct vfio_bind_process`.
#[repr(C)]
pub(crate) struct BindLayout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) pasid: u32,
    pub(crate) __reserved: u32,
}

/// `struct vfio_unbind_process`.
#[repr(C)]
pub(crate) struct UnbindLayout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
}

/// `struct vfio_device_feature_sva`.
#[repr(C)]
#[derive(IntoBytes, Immutable)]
pub(crate) struct Feature {
    pub(crate) flags: u32,
    pub(crate) max_pasids: u32,
}

/// A valid argument of `VFIO_BIND_PROCESS`.
pub(crate) struct BindProcess(UserPtr);

impl BindProcess {
    /// Reads and validates the argument.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EFAULT`: the argument cannot be read.
    /// - `EINVAL`: `argsz` is below 16, there are unknown flags, or `__reserved` is not 0.
    /// - `EOPNOTSUPP`: a reserved flag is set.
    pub(crate) fn read(arg: UserPtr) -> Result<Self> {
        let [argsz, flags, _pasid, reserved]: [u32; 4] = uaccess::read(arg)?;
        if (argsz as usize) < size_of::<BindLayout>() || flags & !FLAGS_OTHER != 0 || reserved != 0
        {
            return Err(EINVAL);
        }
        match flags {
            0 => Ok(Self(arg)),
            _ => Err(EOPNOTSUPP),
        }
    }

    /// Writes the PASID.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: the PASID cannot be written.
    pub(crate) fn write_pasid(&self, pasid: u32) -> Result {
        uaccess::write(field(self.0, offset_of!(BindLayout, pasid)), &pasid)
    }
}

/// Reads and validates the argument of `VFIO_UNBIND_PROCESS`.
///
/// # Errors
///
/// In this order:
///
/// - `EFAULT`: the argument cannot be read.
/// - `EINVAL`: `argsz` is below 8, or `flags` is not 0.
pub(crate) fn check_unbind(arg: UserPtr) -> Result {
    let [argsz, flags]: [u32; 2] = uaccess::read(arg)?;
    match flags {
        0 if argsz as usize >= size_of::<UnbindLayout>() => Ok(()),
        _ => Err(EINVAL),
    }
}
