// SPDX-License-Identifier: GPL-2.0-only

//! The argument of `VFIO_DEVICE_PCI_HOT_RESET`.  The core only checks whether a driver can accept the argument,
//! and looks up the groups that the file descriptors refer to.
//!
//! The driver handles the ioctl, and reads the argument again.

use super::field;
use crate::kapi::uaccess;
use kernel::{prelude::*, uaccess::UserPtr};

/// `struct vfio_pci_hot_reset`, without the file descriptors that follow it.
#[repr(C)]
pub(crate) struct Layout {
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) count: u32,
}

/// The maximum number of file descriptors that the core considers: the number of functions on one bus.  The
/// limit bounds the time under the lock of the set, in which the core compares each group with each device of
/// the set.  If there are more file descriptors, the core unbinds no process.  The driver can still accept them
/// if the bus has bridges.
const MAX_FDS: u32 = 256;

/// An argument that a driver can accept.
pub(crate) struct HotReset {
    arg: UserPtr,
    count: u32,
}

impl HotReset {
    /// Reads and checks the argument.  Returns None if the argument cannot be read, if its values are such that
    /// a driver refuses it, or if there are more than [`MAX_FDS`] file descriptors.
    pub(crate) fn read(arg: UserPtr) -> Option<Self> {
        let [argsz, flags, count]: [u32; 3] = uaccess::read(arg).ok()?;
        let valid = argsz as usize >= size_of::<Layout>() && flags == 0 && count <= MAX_FDS;
        valid.then_some(Self { arg, count })
    }

    /// Returns the number of file descriptors that follow the structure.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Returns the file descriptors.  A file descriptor that cannot be read is replaced by -1.
    pub(crate) fn fds(&self) -> impl Iterator<Item = i32> + '_ {
        (0..self.count as usize).map(|index| {
            let offset = size_of::<Layout>().saturating_add(index.saturating_mul(size_of::<i32>()));
            uaccess::read(field(self.arg, offset)).unwrap_or(-1)
        })
    }
}
