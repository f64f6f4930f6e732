// SPDX-License-Identifier: GPL-2.0-only

//! The arguments of the ioctls that the core itself handles: they are read from user memory once, and
//! validated.
//!
//! The structures are those of `include/uapi/linux/vfio.h` and of this project's `vfio_sva.h`.  The build
//! compares their sizes and offsets with the C structures (`abi/layout.rs`).  The checks have the order of
//! the C core, because the first failed check determines the errno.
//!
//! The driver handles `VFIO_DEVICE_PCI_HOT_RESET`, but the core reads its argument, too ([`reset`]).
//!
//! Locks: none.  These functions access user memory and can sleep.

pub(crate) mod attach;
pub(crate) mod bind;
pub(crate) mod feature;
pub(crate) mod group;
pub(crate) mod region;
pub(crate) mod reset;
pub(crate) mod sva;

use kernel::{ioctl::_IO, uaccess::UserPtr};

/// Returns the ioctl number `_IO(VFIO_TYPE, VFIO_BASE + nr)`.
const fn io(nr: u32) -> u32 {
    _IO(b';' as u32, 100 + nr)
}

/// The answer to `VFIO_GET_API_VERSION`.
pub(crate) const API_VERSION: isize = 0;

pub(crate) const GET_API_VERSION: u32 = io(0);
pub(crate) const CHECK_EXTENSION: u32 = io(1);
pub(crate) const SET_IOMMU: u32 = io(2);
pub(crate) const GROUP_GET_STATUS: u32 = io(3);
pub(crate) const GROUP_SET_CONTAINER: u32 = io(4);
pub(crate) const GROUP_UNSET_CONTAINER: u32 = io(5);
pub(crate) const GROUP_GET_DEVICE_FD: u32 = io(6);
pub(crate) const DEVICE_GET_REGION_INFO: u32 = io(8);
pub(crate) const DEVICE_RESET: u32 = io(11);
pub(crate) const DEVICE_PCI_HOT_RESET: u32 = io(13);
pub(crate) const DEVICE_FEATURE: u32 = io(17);
pub(crate) const DEVICE_BIND_IOMMUFD: u32 = io(18);
pub(crate) const DEVICE_ATTACH_IOMMUFD_PT: u32 = io(19);
pub(crate) const DEVICE_DETACH_IOMMUFD_PT: u32 = io(20);

pub(crate) const BIND_PROCESS: u32 = io(26);
pub(crate) const UNBIND_PROCESS: u32 = io(27);

/// Returns the address of a field in a user's structure.
fn field(arg: UserPtr, offset: usize) -> UserPtr {
    arg.wrapping_byte_add(offset)
}
