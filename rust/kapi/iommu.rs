// SPDX-License-Identifier: GPL-2.0-only

//! IOMMU groups and capabilities (`include/linux/iommu.h`).

use super::device::as_raw;
use super::to_result;
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::aref::ARef,
};

/// The protection flag `IOMMU_WRITE`: the device writes to memory.
pub(crate) const WRITE: c_int = bindings::IOMMU_WRITE as c_int;

/// A reference on a `struct iommu_group`.
pub(crate) struct IommuGroup(NonNull<bindings::iommu_group>);

// SAFETY: The IOMMU core does its own locking; any task may put a reference.
unsafe impl Send for IommuGroup {}
// SAFETY: As above.
unsafe impl Sync for IommuGroup {}

impl IommuGroup {
    /// Returns the group of a device, if it has one.
    pub(crate) fn of(dev: &Device) -> Option<Self> {
        // SAFETY: `dev` is valid.
        NonNull::new(unsafe { bindings::iommu_group_get(as_raw(dev)) }).map(Self)
    }

    /// Makes a new group without an IOMMU, with the single member `dev`.  `dev` is in no other group.  May
    /// sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - The errno with which the group's sysfs directory, or a sysfs link of the member, could not be made.
    pub(crate) fn fake(name: &CStr, dev: &Device) -> Result<(Self, FakeMember)> {
        // SAFETY: No requirements.
        let raw = kernel::error::from_err_ptr(unsafe { bindings::iommu_group_alloc() })?;
        let group = Self(NonNull::new(raw).ok_or(ENOMEM)?);
        // SAFETY: `raw` is valid, and `name` is a string, which is copied.
        to_result(unsafe { bindings::iommu_group_set_name(raw, name.as_char_ptr()) })?;
        // SAFETY: `raw` and `dev` are valid.
        to_result(unsafe { bindings::iommu_group_add_device(raw, as_raw(dev)) })?;
        Ok((group, FakeMember(dev.into())))
    }

    /// Returns the id, which is unique among the existing groups.
    pub(crate) fn id(&self) -> i32 {
        // SAFETY: `self` holds a reference.
        unsafe { bindings::iommu_group_id(self.0.as_ptr()) }
    }

    /// Tells whether the DMA of the group has an owner: a host driver, or a user that has claimed the DMA
    /// ownership.  The claims of this module count, too.  The answer can be stale.  May sleep.
    pub(crate) fn dma_owner_claimed(&self) -> bool {
        // SAFETY: `self` holds a reference.
        unsafe { bindings::iommu_group_dma_owner_claimed(self.0.as_ptr()) }
    }

    /// Returns the device of a group that has exactly one device.  Returns None for any other group.  May sleep.
    pub(crate) fn sole_device(&self) -> Option<ARef<Device>> {
        let mut members = Members {
            count: 0,
            last: None,
        };
        // SAFETY: `self` holds a reference; `count_member()` treats the argument as `Members`.
        unsafe {
            bindings::iommu_group_for_each_dev(
                self.0.as_ptr(),
                (&raw mut members).cast(),
                Some(count_member),
            )
        };
        members.last.filter(|_| members.count == 1)
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::iommu_group {
        self.0.as_ptr()
    }
}

/// A device's membership in a group that [`IommuGroup::fake`] made.  The device leaves the group on drop.
pub(crate) struct FakeMember(ARef<Device>);

impl Drop for FakeMember {
    fn drop(&mut self) {
        // SAFETY: The device is valid; `fake()` added it to the group.
        unsafe { bindings::iommu_group_remove_device(as_raw(&self.0)) }
    }
}

/// The data that [`IommuGroup::sole_device`] collects.
struct Members {
    count: usize,
    last: Option<ARef<Device>>,
}

/// # Safety
///
/// `iommu_group_for_each_dev()` calls this with a device of the group and a [`Members`].
unsafe extern "C" fn count_member(dev: *mut bindings::device, members: *mut c_void) -> c_int {
    // SAFETY: By the caller's promise.
    let (dev, members): (&Device, _) =
        unsafe { (Device::from_raw(dev), &mut *members.cast::<Members>()) };
    members.count = members.count.saturating_add(1);
    members.last = Some(dev.into());
    0
}

impl Clone for IommuGroup {
    fn clone(&self) -> Self {
        // SAFETY: `self` holds a reference.
        unsafe { bindings::iommu_group_ref_get(self.0.as_ptr()) };
        Self(self.0)
    }
}

impl Drop for IommuGroup {
    fn drop(&mut self) {
        // SAFETY: `self` owns one reference.
        unsafe { bindings::iommu_group_put(self.0.as_ptr()) }
    }
}

/// The DMA ownership of a group for user space.  The group's DMA is blocked until a page table is attached.
/// The ownership is released on drop.
pub(crate) struct DmaOwner(IommuGroup);

impl DmaOwner {
    /// Claims the ownership from the kernel.  May sleep.  C: `iommu_group_claim_dma_owner()`.
    ///
    /// # Errors
    ///
    /// - `EPERM`: a host driver or another owner has the ownership.
    /// - `EBUSY`: a page table that is not the default one, or a page table of a PASID, is attached.
    /// - `ENOMEM`: out of memory.
    /// - The errno with which the IOMMU driver refuses to block the DMA.
    pub(crate) fn claim(group: &IommuGroup) -> Result<Self> {
        let raw = group.0.as_ptr();
        // SAFETY: `group` holds a reference.  The second argument only identifies the owner.
        to_result(unsafe { bindings::iommu_group_claim_dma_owner(raw, raw.cast()) })?;
        Ok(Self(group.clone()))
    }
}

impl Drop for DmaOwner {
    fn drop(&mut self) {
        // SAFETY: `self` owns the DMA ownership.
        unsafe { bindings::iommu_group_release_dma_owner(self.0 .0.as_ptr()) }
    }
}

/// Tells whether the DMA of the device can be made coherent with the CPU caches
/// (`IOMMU_CAP_CACHE_COHERENCY`).
pub(crate) fn cache_coherent(dev: &Device<Bound>) -> bool {
    // SAFETY: `dev` is valid, and stays behind its IOMMU while a driver is bound.
    unsafe {
        bindings::device_iommu_capable(as_raw(dev), bindings::iommu_cap_IOMMU_CAP_CACHE_COHERENCY)
    }
}

/// Tells whether the IOMMU makes the device's DMA coherent even if the device requests the opposite
/// (`IOMMU_CAP_ENFORCE_CACHE_COHERENCY`).
pub(crate) fn enforces_coherency(dev: &Device<Bound>) -> bool {
    // SAFETY: As for `cache_coherent()`.
    unsafe {
        bindings::device_iommu_capable(
            as_raw(dev),
            bindings::iommu_cap_IOMMU_CAP_ENFORCE_CACHE_COHERENCY,
        )
    }
}
