// SPDX-License-Identifier: GPL-2.0-only

//! IOMMU groups and capabilities (`include/linux/iommu.h`).

use super::device::as_raw;
use crate::bindings;
use core::ptr::NonNull;
use kernel::{device::Device, error::to_result, prelude::*, sync::aref::ARef};

/// Of a protection: the device writes to memory (`IOMMU_WRITE`).
pub(crate) const WRITE: c_int = bindings::IOMMU_WRITE as c_int;

/// A reference on a `struct iommu_group`.
pub(crate) struct IommuGroup(NonNull<bindings::iommu_group>);

// SAFETY: The IOMMU core does its own locking; a reference may be put by any task.
unsafe impl Send for IommuGroup {}
// SAFETY: As above.
unsafe impl Sync for IommuGroup {}

impl IommuGroup {
    /// The group of a device, if it has one.
    pub(crate) fn of(dev: &Device) -> Option<Self> {
        // SAFETY: `dev` is valid.
        NonNull::new(unsafe { bindings::iommu_group_get(as_raw(dev)) }).map(Self)
    }

    /// A new group that no IOMMU driver knows, of which `dev`, that is in none, is the one member.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or the errno of making its folder, or the links of the member, in sysfs.
    pub(crate) fn fake(name: &CStr, dev: &Device) -> Result<(Self, FakeMember)> {
        // SAFETY: No requirements.
        let raw = kernel::error::from_err_ptr(unsafe { bindings::iommu_group_alloc() })?;
        let group = Self(NonNull::new(raw).ok_or(ENOMEM)?);
        // SAFETY: `raw` is valid, `name` a string that is copied.
        to_result(unsafe { bindings::iommu_group_set_name(raw, name.as_char_ptr()) })?;
        // SAFETY: `raw` and `dev` are valid.
        to_result(unsafe { bindings::iommu_group_add_device(raw, as_raw(dev)) })?;
        Ok((group, FakeMember(dev.into())))
    }

    /// Its id, unique among the groups that exist.
    pub(crate) fn id(&self) -> i32 {
        // SAFETY: `self` holds a reference.
        unsafe { bindings::iommu_group_id(self.0.as_ptr()) }
    }

    /// Whether DMA of the group has an owner other than the kernel's own drivers.
    pub(crate) fn dma_owner_claimed(&self) -> bool {
        // SAFETY: `self` holds a reference.
        unsafe { bindings::iommu_group_dma_owner_claimed(self.0.as_ptr()) }
    }

    /// The device of a group that has but one.
    pub(crate) fn sole_device(&self) -> Option<ARef<Device>> {
        let mut members = Members {
            count: 0,
            last: None,
        };
        // SAFETY: `self` holds a reference; the function takes what is passed for what it is.
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

/// A device's membership of a group that [`IommuGroup::fake`] made; ended when dropped.
pub(crate) struct FakeMember(ARef<Device>);

impl Drop for FakeMember {
    fn drop(&mut self) {
        // SAFETY: The device is valid; `fake()` made it a member.
        unsafe { bindings::iommu_group_remove_device(as_raw(&self.0)) }
    }
}

/// What [`IommuGroup::sole_device`] learns.
struct Members {
    count: usize,
    last: Option<ARef<Device>>,
}

/// # Safety
///
/// Called by `iommu_group_for_each_dev()` with a device of the group and a [`Members`].
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

/// DMA of a group in the hands of user space, with the group's DMA blocked until somebody attaches
/// a page table.  Given back when dropped.
pub(crate) struct DmaOwner(IommuGroup);

impl DmaOwner {
    /// Takes it from the kernel.
    ///
    /// # Errors
    ///
    /// `EPERM` when a driver of the host or somebody else has it; `EBUSY` when a page table or a
    /// PASID is attached; `ENOMEM`.
    pub(crate) fn claim(group: &IommuGroup) -> Result<Self> {
        let raw = group.0.as_ptr();
        // SAFETY: `group` holds a reference.  The second argument only tells owners apart.
        to_result(unsafe { bindings::iommu_group_claim_dma_owner(raw, raw.cast()) })?;
        Ok(Self(group.clone()))
    }
}

impl Drop for DmaOwner {
    fn drop(&mut self) {
        // SAFETY: `self` owns it.
        unsafe { bindings::iommu_group_release_dma_owner(self.0 .0.as_ptr()) }
    }
}

/// Whether DMA of the device can be made coherent with the CPU's caches
/// (`IOMMU_CAP_CACHE_COHERENCY`).
pub(crate) fn cache_coherent(dev: &Device) -> bool {
    // SAFETY: `dev` is valid.
    unsafe {
        bindings::device_iommu_capable(as_raw(dev), bindings::iommu_cap_IOMMU_CAP_CACHE_COHERENCY)
    }
}

/// Whether the IOMMU makes the device's DMA coherent even if it asks for the opposite
/// (`IOMMU_CAP_ENFORCE_CACHE_COHERENCY`).
pub(crate) fn enforces_coherency(dev: &Device) -> bool {
    // SAFETY: `dev` is valid.
    unsafe {
        bindings::device_iommu_capable(
            as_raw(dev),
            bindings::iommu_cap_IOMMU_CAP_ENFORCE_CACHE_COHERENCY,
        )
    }
}
