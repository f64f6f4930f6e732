// SPDX-License-Identifier: GPL-2.0-only

//! `VFIO_DEVICE_FEATURE`: `struct vfio_device_feature`.

use super::field;
use crate::kapi::uaccess;
use kernel::{prelude::*, uaccess::UserPtr};

const FLAG_GET: u32 = 1 << 16;
const FLAG_SET: u32 = 1 << 17;
const FLAG_PROBE: u32 = 1 << 18;
const MASK: u32 = 0xffff;

pub(crate) const MIGRATION: u32 = 1;
pub(crate) const MIG_DEVICE_STATE: u32 = 2;
pub(crate) const DMA_LOGGING_START: u32 = 6;
pub(crate) const DMA_LOGGING_STOP: u32 = 7;
pub(crate) const DMA_LOGGING_REPORT: u32 = 8;
pub(crate) const MIG_DATA_SIZE: u32 = 9;
pub(crate) const MIG_PRECOPY_INFO_V2: u32 = 12;

/// The head of the structure; data follows.
#[repr(C)]
pub(crate) struct Layout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
}

/// A valid argument.
pub(crate) struct Feature {
    flags: u32,
    /// Where the data is, and how many bytes of it.
    pub(crate) data: UserPtr,
    pub(crate) size: usize,
}

impl Feature {
    /// # Errors
    ///
    /// In this order: `EFAULT`; `EINVAL` (size below 8; unknown bits; GET with SET and without
    /// PROBE).
    pub(crate) fn read(arg: UserPtr) -> Result<Self> {
        let [argsz, flags]: [u32; 2] = uaccess::read(arg)?;
        let size = (argsz as usize)
            .checked_sub(size_of::<Layout>())
            .ok_or(EINVAL)?;
        if flags & !(MASK | FLAG_GET | FLAG_SET | FLAG_PROBE) != 0 {
            return Err(EINVAL);
        }
        if flags & FLAG_PROBE == 0 && flags & FLAG_GET != 0 && flags & FLAG_SET != 0 {
            return Err(EINVAL);
        }
        Ok(Self {
            flags,
            data: field(arg, size_of::<Layout>()),
            size,
        })
    }

    /// Which feature.
    pub(crate) fn id(&self) -> u32 {
        self.flags & MASK
    }

    /// The id and the operations, as drivers get them.
    pub(crate) fn flags(&self) -> u32 {
        self.flags
    }
}
