// SPDX-License-Identifier: GPL-2.0-only

//! `VFIO_DEVICE_ATTACH_IOMMUFD_PT` and `VFIO_DEVICE_DETACH_IOMMUFD_PT`.

use super::field;
use crate::kapi::{series::EOPNOTSUPP, uaccess};
use core::mem::offset_of;
use kernel::{prelude::*, uaccess::UserPtr};

/// `VFIO_DEVICE_ATTACH_PASID` and `VFIO_DEVICE_DETACH_PASID`: `pasid` counts.
const FLAG_PASID: u32 = 1 << 0;

/// A PASID has 20 bits; 0 means "none".
pub(crate) const PASIDS: core::ops::RangeInclusive<u32> = 1..=0xf_ffff;

/// What a page table is attached to.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// The device's own DMA.
    Rid,
    /// DMA that the device tags with a PASID.
    Pasid(u32),
}

impl Target {
    /// The PASID, 0 for none.
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

/// Reads the PASID at `offset`, the last field of a structure whose size is `argsz`.
///
/// # Errors
///
/// `EOPNOTSUPP` when the driver has no PASIDs; `EINVAL` when the size leaves it out; `EFAULT`.
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
    /// `pasids`: whether the driver can attach to PASIDs.
    ///
    /// # Errors
    ///
    /// In this order: `EFAULT`; `EINVAL` (size below 12, unknown flags); with a PASID
    /// `EOPNOTSUPP` (none with this driver), `EINVAL` (size below 16), `EFAULT`, `EINVAL` (not
    /// from 1 to 2^20-1).
    pub(crate) fn read(arg: UserPtr, pasids: bool) -> Result<Self> {
        let [argsz, flags, pt_id]: [u32; 3] = uaccess::read(arg)?;
        if (argsz as usize) < offset_of!(AttachLayout, pasid) || flags & !FLAG_PASID != 0 {
            return Err(EINVAL);
        }
        let target = match flags & FLAG_PASID {
            0 => Target::Rid,
            _ => {
                let pasid = read_pasid(arg, argsz, offset_of!(AttachLayout, pasid), pasids)?;
                // The C core lets 0 through, which means the device itself, and more than 20 bits.
                if !PASIDS.contains(&pasid) {
                    return Err(EINVAL);
                }
                Target::Pasid(pasid)
            }
        };
        Ok(Self { arg, pt_id, target })
    }

    /// Writes the id of the page table that is in use.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(crate) fn write_pt_id(&self, pt_id: u32) -> Result {
        uaccess::write(field(self.arg, offset_of!(AttachLayout, pt_id)), &pt_id)
    }
}

/// A valid argument of detach.
pub(crate) struct Detach {
    pub(crate) target: Target,
}

impl Detach {
    /// `pasids`: whether the driver can detach from PASIDs.
    ///
    /// # Errors
    ///
    /// In this order: `EFAULT`; `EINVAL` (size below 8, unknown flags); with a PASID
    /// `EOPNOTSUPP` (none with this driver), `EINVAL` (size below 12), `EFAULT`.
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
