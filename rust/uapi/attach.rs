// SPDX-License-Identifier: GPL-2.0-only

//! The arguments of `VFIO_DEVICE_ATTACH_IOMMUFD_PT` and `VFIO_DEVICE_DETACH_IOMMUFD_PT`.

use super::field;
use crate::kapi::{series::EOPNOTSUPP, uaccess};
use core::mem::offset_of;
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_DEVICE_ATTACH_PASID` and `VFIO_DEVICE_DETACH_PASID`: `pasid` is valid.
const FLAG_PASID: u32 = 1 << 0;

/// The valid PASIDs: a PASID has 20 bits, and 0 means "no PASID".
pub(crate) const PASIDS: core::ops::RangeInclusive<u32> = 1..=0xf_ffff;

/// The target of an attachment.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// The DMA of the device without a PASID.
    Rid,
    /// The DMA that the device tags with a PASID.
    Pasid(u32),
}

impl Target {
    /// Returns the PASID, or 0 for DMA without a PASID.
    pub(crate) fn pasid(self) -> u32 {
        match self {
            Self::Rid => 0,
            Self::Pasid(pasid) => pasid,
        }
    }
}

/// `struct vfio_device_attach_iommufd_pt`.
#[repr(C)]
pub(crate) struct AttachLayout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) pt_id: u32,
    pub(crate) pasid: u32,
}

/// `struct vfio_device_detach_iommufd_pt`.
#[repr(C)]
pub(crate) struct DetachLayout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) pasid: u32,
}

/// Reads the PASID at `offset`, the last field of a structure of `argsz` bytes.
///
/// # Errors
///
/// - `EOPNOTSUPP`: the driver does not support PASIDs.
/// - `EINVAL`: `argsz` does not include the field.
/// - `EFAULT`: the field cannot be read.
#[inline(never)]
fn read_pasid(arg: UserPtr, argsz: u32, offset: usize, supported: bool) -> Result<u32> {
    if !supported {
        return Err(EOPNOTSUPP);
    }
    if (argsz as usize) < offset + size_of::<u32>() {
        return Err(EINVAL);
    }
    uaccess::read(field(arg, offset))
}

/// A valid argument of attach.
pub(crate) struct Attach {
    arg: UserPtr,
    pub(crate) pt_id: u32,
    pub(crate) target: Target,
}

impl Attach {
    /// Reads and validates the argument.  `pasids` tells whether the driver can attach page tables to PASIDs.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EFAULT`: the argument cannot be read.
    /// - `EINVAL`: `argsz` is below 12, or there are unknown flags.
    /// - With a PASID: `EOPNOTSUPP` if the driver does not support PASIDs; `EINVAL` if `argsz` is below 16;
    ///   `EFAULT` if the PASID cannot be read; `EINVAL` if the PASID is not in the range 1 to 2^20-1.
    #[inline]
    pub(crate) fn read(arg: UserPtr, pasids: bool) -> Result<Self> {
        let [argsz, flags, pt_id]: [u32; 3] = uaccess::read(arg)?;
        if (argsz as usize) < offset_of!(AttachLayout, pasid) || flags & !FLAG_PASID != 0 {
            return Err(EINVAL);
        }
        let target = match flags & FLAG_PASID {
            0 => Target::Rid,
            _ => {
                let pasid = read_pasid(arg, argsz, offset_of!(AttachLayout, pasid), pasids)?;
                // The C core accepts 0, which means the device itself, and values with more than 20 bits.
                if !PASIDS.contains(&pasid) {
                    return Err(EINVAL);
                }
                Target::Pasid(pasid)
            }
        };
        Ok(Self { arg, pt_id, target })
    }

    /// Writes the id of the attached page table.
    ///
    /// # Errors
    ///
    /// - `EFAULT`: the id cannot be written.
    pub(crate) fn write_pt_id(&self, pt_id: u32) -> Result {
        uaccess::write(field(self.arg, offset_of!(AttachLayout, pt_id)), &pt_id)
    }
}

/// A valid argument of detach.
pub(crate) struct Detach {
    pub(crate) target: Target,
}

impl Detach {
    /// Reads and validates the argument.  `pasids` tells whether the driver can detach page tables from
    /// PASIDs.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EFAULT`: the argument cannot be read.
    /// - `EINVAL`: `argsz` is below 8, or there are unknown flags.
    /// - With a PASID: `EOPNOTSUPP` if the driver does not support PASIDs; `EINVAL` if `argsz` is below 12;
    ///   `EFAULT` if the PASID cannot be read.
    #[inline]
    pub(crate) fn read(arg: UserPtr, pasids: bool) -> Result<Self> {
        let [argsz, flags]: [u32; 2] = uaccess::read(arg)?;
        if (argsz as usize) < offset_of!(DetachLayout, pasid) || flags & !FLAG_PASID != 0 {
            return Err(EINVAL);
        }
        let target = match flags & FLAG_PASID {
            0 => Target::Rid,
            _ => Target::Pasid(read_pasid(
                arg,
                argsz,
                offset_of!(DetachLayout, pasid),
                pasids,
            )?),
        };
        Ok(Self { target })
    }
}
