// SPDX-License-Identifier: GPL-2.0-only

//! Devices in address spaces of processes (`include/linux/iommu.h`, shared virtual addressing).

use super::{device::as_raw, iommu::IommuGroup};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{device::Device, mm::MmWithUser, prelude::*, sync::aref::ARef};

/// What lets a device use an address space, by the address space's PASID.  The address space, if
/// not what is mapped in it, and its PASID are kept.  Ends when dropped.
pub(crate) struct Bond {
    handle: NonNull<bindings::iommu_sva>,
    group: IommuGroup,
    /// The bond does not keep it.
    _dev: ARef<Device>,
}

// SAFETY: The IOMMU core does its own locking, and a bond may be ended by any task.
unsafe impl Send for Bond {}
// SAFETY: As above.
unsafe impl Sync for Bond {}

impl Bond {
    /// Binds the address space to the device of a group that has but one.  DMA of the group is
    /// user space's for as long as the bond is.
    ///
    /// # Errors
    ///
    /// In this order: `EPERM` when the group has more devices; `ENOSPC` when its device has no
    /// PASIDs, be the address space's known or not; those of `iommu_sva_bind_device()`, of which
    /// `vfio_sva.h` tells.
    pub(crate) fn new(group: &IommuGroup, mm: &MmWithUser) -> Result<Self> {
        let dev = group.sole_device().ok_or(EPERM)?;
        if max_pasids(&dev) == 0 {
            return Err(ENOSPC);
        }
        // SAFETY: Both are valid, and the address space has users.
        let raw = unsafe { bindings::vfio_helper_iommu_sva_bind_device(as_raw(&dev), mm.as_raw()) };
        let handle = NonNull::new(kernel::error::from_err_ptr(raw)?).ok_or(ENODEV)?;
        Ok(Self {
            handle,
            group: group.clone(),
            _dev: dev,
        })
    }

    /// The address space's PASID.
    pub(crate) fn pasid(&self) -> u32 {
        // SAFETY: `self` is the bond.
        unsafe { bindings::vfio_helper_iommu_sva_get_pasid(self.handle.as_ptr()) }
    }

    /// Whether it is that of the group's device.
    pub(crate) fn is_of(&self, group: &IommuGroup) -> bool {
        self.group.as_raw() == group.as_raw()
    }
}

impl Drop for Bond {
    fn drop(&mut self) {
        // SAFETY: `self` is the bond.
        unsafe { bindings::vfio_helper_iommu_sva_unbind_device(self.handle.as_ptr()) }
    }
}

/// PASIDs of the device are below this; 0 when it has none.  The device is behind an IOMMU.
pub(crate) fn max_pasids(dev: &Device) -> u32 {
    // SAFETY: `dev` is valid; `iommu`, if it is set, stays while a driver is bound, and does not
    // change.
    unsafe {
        let iommu = (*as_raw(dev)).iommu;
        iommu.as_ref().map_or(0, |iommu| iommu.max_pasids)
    }
}
