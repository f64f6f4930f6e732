// SPDX-License-Identifier: GPL-2.0-only

//! Bonds between devices and process address spaces (`include/linux/iommu.h`, shared virtual addressing).

use super::{device::as_raw, iommu::IommuGroup, pm_runtime::Powered, restartable};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    device::{Bound, Device},
    mm::MmWithUser,
    prelude::*,
    sync::aref::ARef,
};

/// A bond of a device with an address space: the device accesses the address space with a PASID, which
/// belongs to the address space.
///
/// The bond keeps the `mm_struct` and the PASID, but not the mappings.  The bond also keeps the device
/// powered, because changes of mappings are reported to the device.  The bond ends on drop, which may sleep.
pub(crate) struct Bond {
    handle: NonNull<bindings::iommu_sva>,
    group: IommuGroup,
    /// Dropped after the IOMMU core has removed the bond.
    _power: Powered<ARef<Device>>,
    /// A reference on the device, because the IOMMU core takes none for the bond.
    dev: ARef<Device>,
}

// SAFETY: The IOMMU core does its own locking, and any task may end a bond.
unsafe impl Send for Bond {}
// SAFETY: As above.
unsafe impl Sync for Bond {}

impl Bond {
    /// Binds the address space to the single device of a group.  May sleep.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: the device is being reset; or a page table is attached to this PASID; or the process has
    ///   enabled LAM without `ARCH_FORCE_TAGGED_SVA`.
    /// - `ERESTARTSYS`: a signal is pending.
    /// - The other errnos of `iommu_sva_bind_device()`.
    ///
    /// # Safety
    ///
    /// The device has PASIDs ([`max_pasids`]), and is bound to a driver until the result has been dropped.
    pub(crate) unsafe fn new(
        dev: ARef<Device>,
        power: Powered<ARef<Device>>,
        group: &IommuGroup,
        mm: &MmWithUser,
    ) -> Result<Self> {
        // SAFETY: `dev` holds a reference, and `mm` a reference on `mm_users`.  By the caller's promise the device has
        // PASIDs and stays bound to a driver, so `dev->iommu` is set and stays.
        let raw = unsafe { bindings::vfio_helper_iommu_sva_bind_device(as_raw(&dev), mm.as_raw()) };
        let handle =
            NonNull::new(kernel::error::from_err_ptr(raw).map_err(restartable)?).ok_or(ENODEV)?;
        Ok(Self {
            handle,
            group: group.clone(),
            _power: power,
            dev,
        })
    }

    /// Returns the PASID of the address space.
    pub(crate) fn pasid(&self) -> u32 {
        // SAFETY: `self` owns the bond.
        unsafe { bindings::vfio_helper_iommu_sva_get_pasid(self.handle.as_ptr()) }
    }

    /// Returns the device.
    pub(crate) fn device(&self) -> &Device<Bound> {
        // SAFETY: By the promise that `new()` requires.
        unsafe { self.dev.as_bound() }
    }

    /// Tells whether this is a bond with the device `dev`.
    pub(crate) fn is_with(&self, dev: &Device) -> bool {
        core::ptr::eq(&raw const *self.dev, dev)
    }

    /// Tells whether this is a bond with the device of `group`.
    pub(crate) fn is_of(&self, group: &IommuGroup) -> bool {
        self.group.as_raw() == group.as_raw()
    }
}

impl Drop for Bond {
    fn drop(&mut self) {
        // SAFETY: `self` owns the bond.
        unsafe { bindings::vfio_helper_iommu_sva_unbind_device(self.handle.as_ptr()) }
    }
}

/// Returns the IOMMU core's data of a device.  Returns None if the device is not behind an IOMMU.  A device that
/// is bound to a driver stays behind its IOMMU.  The IOMMU core changes the data meanwhile, so no reference to it is
/// made.
pub(crate) fn iommu_of(dev: &Device<Bound>) -> Option<NonNull<bindings::dev_iommu>> {
    // SAFETY: `dev` is valid; `iommu`, if set, does not change while a driver is bound.
    NonNull::new(unsafe { (*as_raw(dev)).iommu })
}

/// Returns the number of PASIDs of the device.  Each PASID of the device is smaller than this number.
/// Returns 0 if the device has no PASIDs.
pub(crate) fn max_pasids(dev: &Device<Bound>) -> u32 {
    // SAFETY: The data exists while a driver is bound, and the number does not change.
    iommu_of(dev).map_or(0, |iommu| unsafe { (*iommu.as_ptr()).max_pasids })
}

/// Returns the name of the IOMMU of the device, as in `/sys/class/iommu`.
pub(crate) fn iommu_name(dev: &Device<Bound>) -> Option<&CStr> {
    // SAFETY: The IOMMU exists for as long as the device is behind it, and keeps its name.
    unsafe {
        let iommu = NonNull::new((*iommu_of(dev)?.as_ptr()).iommu_dev)?;
        let class_device = NonNull::new((*iommu.as_ptr()).dev)?;
        let name = (*class_device.as_ptr()).kobj.name;
        (!name.is_null()).then(|| CStr::from_char_ptr(name))
    }
}
