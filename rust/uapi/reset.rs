// SPDX-License-Identifier: GPL-2.0-only

//! The argument of `VFIO_DEVICE_PCI_HOT_RESET`, which the driver reads for itself: the core looks at
//! it only to see whose devices are meant.

use super::field;
use crate::kapi::uaccess;
use kernel::{prelude::*, uaccess::UserPtr};

/// `struct vfio_pci_hot_reset`, without the descriptors that follow it.
#[repr(C)]
pub(crate) struct Layout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) count: u32,
}

/// More functions than a bus has; the driver takes no more descriptors than there are.
const MOST: u32 = 256;

/// An argument that a driver may accept.
pub(crate) struct HotReset {
    arg: UserPtr,
    count: u32,
}

impl HotReset {
    /// None if a driver refuses it in any case.
    pub(crate) fn read(arg: UserPtr) -> Option<Self> {
        let [argsz, flags, count]: [u32; 3] = uaccess::read(arg).ok()?;
        let valid = argsz as usize >= size_of::<Layout>() && flags == 0 && count <= MOST;
        valid.then_some(Self { arg, count })
    }

    /// How many descriptors follow.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The descriptors; -1 in the place of those that cannot be read.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn fds(&self) -> Result<KVec<i32>> {
        let mut fds = KVec::with_capacity(self.count as usize, GFP_KERNEL)?;
        for index in 0..self.count as usize {
            let offset = size_of::<Layout>().saturating_add(index.saturating_mul(size_of::<i32>()));
            let fd = uaccess::read(field(self.arg, offset)).unwrap_or(-1);
            fds.push(fd, GFP_KERNEL)?;
        }
        Ok(fds)
    }
}
