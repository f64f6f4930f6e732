// SPDX-License-Identifier: GPL-2.0-only

//! The iommufd objects of a device, to which fields of `struct vfio_device` point.  Only
//! [`standard_ops`](super::standard_ops) changes these fields.
//!
//! A *physical* device does DMA itself.  It is bound to an iommufd, and page tables are attached to it and to
//! its PASIDs.  An *emulated* device does no DMA itself.  Its driver gets an access to an IOAS ([`Access`]).
//!
//! C counterpart: `iommufd.c`.
//!
//! Locks: the core holds the set's lock during the driver's callbacks that bind, unbind, attach and detach.  The locks
//! of iommufd are inside it.

use super::{set::SetLocked, Device, Registered};
use crate::{
    bindings,
    kapi::{
        ida::Ida,
        iommu::IommuGroup,
        iommufd::{Access, BoundDevice, Ctx},
    },
};
use kernel::prelude::*;

impl SetLocked<'_> {
    /// Returns the object of the device in its iommufd, if the device is bound to an iommufd.
    pub(crate) fn iommufd_device(&self) -> Option<&BoundDevice> {
        // SAFETY: The set's lock is held; the object that the field points to exists until
        // `physical_unbind()`, which requires exclusive access (`&mut self`).
        unsafe { BoundDevice::from_raw((*self.device().as_raw()).iommufd_device) }
    }

    /// Returns the access that the driver of an emulated device has to the iommufd, if there is one.
    pub(super) fn iommufd_access(&self) -> Option<&Access> {
        // SAFETY: As for `iommufd_device()`.
        unsafe { Access::from_raw((*self.device().as_raw()).iommufd_access) }
    }

    /// Tells whether a page table is attached to the device itself, not to a PASID.
    pub(crate) fn is_attached(&self) -> bool {
        // SAFETY: The set's lock is held.
        unsafe { bindings::vfio_device::iommufd_attached_raw(self.device().as_raw()) != 0 }
    }

    /// Records whether a page table is attached to the device itself.
    pub(super) fn set_attached(&mut self, attached: bool) {
        // SAFETY: The set's lock is held.  All writers of this byte hold it after the device is registered.
        unsafe {
            bindings::vfio_device::set_iommufd_attached_raw(self.device().as_raw(), attached.into())
        }
    }

    /// Returns the PASIDs that have an attached page table.
    pub(super) fn pasids(&self) -> &Ida {
        // SAFETY: Initialised at allocation.
        unsafe { Ida::from_raw(&raw mut (*self.device().as_raw()).pasids) }
    }

    /// Tells whether a PASID has an attached page table.
    pub(crate) fn has_pasid(&self, pasid: u32) -> bool {
        self.pasids().contains(pasid)
    }
}

/// Returns the id of the device in the iommufd `ctx`.  vfio-pci reports this id in the list of the devices
/// that a hot reset affects.
///
/// C counterpart: `vfio_iommufd_get_dev_id()`.
///
/// # Errors
///
/// - `EINVAL`: the device is not bound, and there is no `ctx`.
/// - `ENODEV`: `ctx` does not own the device.
/// - `ENOENT`: the device is not bound to `ctx`, and `ctx` owns the group of the device through another
///   device.
pub(crate) fn dev_id(
    device: &Device,
    bound: Option<&BoundDevice>,
    ctx: Option<&Ctx>,
) -> Result<u32> {
    if bound.map(|b| b.ctx().as_raw()) == ctx.map(Ctx::as_raw) {
        return bound.map(BoundDevice::id).ok_or(EINVAL);
    }
    let group = IommuGroup::of(device.parent()).ok_or(ENODEV)?;
    match ctx.is_some_and(|c| c.has_group(&group)) {
        true => Err(ENOENT),
        false => Err(ENODEV),
    }
}

impl Device<Registered> {
    /// Returns the smallest PASID in the range `from..=last` that has an attached page table.  Does not take
    /// the set's lock, which is held over attachments: the answer can be stale.
    pub(crate) fn next_pasid(&self, from: u32, last: u32) -> Option<u32> {
        // SAFETY: Initialised at allocation; the IDA does its own locking.
        unsafe { Ida::from_raw(&raw mut (*self.as_raw()).pasids) }.next(from, last)
    }
}
