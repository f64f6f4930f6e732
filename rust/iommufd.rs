// SPDX-License-Identifier: GPL-2.0-only

//! The standard iommufd callbacks of VFIO drivers, for physical and for emulated devices.
//!
//! A *physical* device does DMA itself.  It is bound to an iommufd, and page tables are attached to it and to
//! its PASIDs.  An *emulated* device does no DMA.  Its driver gets an access to an IOAS
//! ([`Access`](crate::kapi::iommufd::Access)).
//!
//! C counterpart: `iommufd.c`.
//!
//! Locks: the core holds the set's lock during the driver's callbacks.  The locks of iommufd are inside it.

use crate::{
    kapi::{
        iommu::IommuGroup,
        iommufd::{BoundDevice, Ctx, NO_PASID},
        panic::warn_on,
    },
    shared::vfio::{Device, SetLocked},
};
use kernel::prelude::*;

/// Binds the device.  Returns the id of the device in the iommufd.  C counterpart:
/// `vfio_iommufd_physical_bind()`.
///
/// # Errors
///
/// Those of `iommufd_device_bind()`.
pub(crate) fn physical_bind(locked: &mut SetLocked<'_>, ctx: &Ctx) -> Result<u32> {
    locked.bind_device(ctx)
}

/// Detaches all page tables and unbinds the device.  C counterpart: `vfio_iommufd_physical_unbind()`.
pub(crate) fn physical_unbind(locked: &mut SetLocked<'_>) {
    while let Some(pasid) = locked.pasids().first() {
        physical_pasid_detach(locked, pasid);
        if locked.iommufd_device().is_none() {
            // There is no object from which the PASIDs could be detached, so the loop would not end.
            break;
        }
    }
    physical_detach(locked);
    locked.unbind_device();
}

/// Attaches a page table, or replaces the attached page table.  `pt_id` is the id of a page table or of an
/// IOAS, and becomes the id of the attached page table.
///
/// C counterpart: `vfio_iommufd_physical_attach_ioas()`.
///
/// # Errors
///
/// - `EINVAL`: the device is not bound.  This also warns.
/// - Those of iommufd.
#[inline]
pub(crate) fn physical_attach(locked: &mut SetLocked<'_>, pt_id: &mut u32) -> Result {
    let bound = bound(locked).ok_or(EINVAL)?;
    match locked.is_attached() {
        true => bound.replace(NO_PASID, pt_id)?,
        false => bound.attach(NO_PASID, pt_id)?,
    }
    locked.set_attached(true);
    Ok(())
}

/// Detaches the page table, if a page table is attached.  C counterpart:
/// `vfio_iommufd_physical_detach_ioas()`.
pub(crate) fn physical_detach(locked: &mut SetLocked<'_>) {
    let Some(bound) = bound(locked) else { return };
    if locked.is_attached() {
        bound.detach(NO_PASID);
        locked.set_attached(false);
    }
}

/// Does the same as [`physical_attach`], for a PASID.
///
/// C counterpart: `vfio_iommufd_physical_pasid_attach_ioas()`.
///
/// # Errors
///
/// - `EINVAL`: the device is not bound.  This also warns.
/// - `ENOMEM`: out of memory.
/// - `ENOSPC`: the PASID is above `i32::MAX`.
/// - Those of iommufd.
pub(crate) fn physical_pasid_attach(
    locked: &mut SetLocked<'_>,
    pasid: u32,
    pt_id: &mut u32,
) -> Result {
    let bound = bound(locked).ok_or(EINVAL)?;
    let pasids = locked.pasids();
    if pasids.contains(pasid) {
        return bound.replace(pasid, pt_id);
    }
    pasids.insert(pasid)?;
    bound
        .attach(pasid, pt_id)
        .inspect_err(|_| pasids.remove(pasid))
}

/// Detaches the page table of a PASID, if a page table is attached.  C counterpart:
/// `vfio_iommufd_physical_pasid_detach_ioas()`.
pub(crate) fn physical_pasid_detach(locked: &mut SetLocked<'_>, pasid: u32) {
    let Some(bound) = bound(locked) else { return };
    let pasids = locked.pasids();
    if pasids.contains(pasid) {
        bound.detach(pasid);
        pasids.remove(pasid);
    }
}

/// Returns the iommufd object of a device that must be bound.  Warns if it is not bound.
fn bound<'a>(locked: &'a SetLocked<'_>) -> Option<&'a BoundDevice> {
    let bound = locked.iommufd_device();
    warn_on!(bound.is_none());
    bound
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

/// Creates the access of an emulated device.  Returns the id of the access in the iommufd.
///
/// C counterpart: `vfio_iommufd_emulated_bind()`.
///
/// # Errors
///
/// - `ENOMEM`: out of memory.
pub(crate) fn emulated_bind(locked: &mut SetLocked<'_>, ctx: &Ctx) -> Result<u32> {
    locked.create_access(ctx)
}

/// Destroys the access, if there is one.  C counterpart: `vfio_iommufd_emulated_unbind()`.
pub(crate) fn emulated_unbind(locked: &mut SetLocked<'_>) {
    // The detach makes the driver unpin its pages.  For that, the driver must still find the access.
    if locked.is_attached() {
        emulated_detach(locked);
    }
    locked.destroy_access();
}

/// Attaches an IOAS, or replaces the attached IOAS.
///
/// C counterpart: `vfio_iommufd_emulated_attach_ioas()`.
///
/// # Errors
///
/// - `EINVAL`: the device is not bound.
/// - Those of iommufd.
pub(crate) fn emulated_attach(locked: &mut SetLocked<'_>, ioas_id: u32) -> Result {
    let access = locked.iommufd_access().ok_or(EINVAL)?;
    match locked.is_attached() {
        true => access.replace(ioas_id)?,
        false => access.attach(ioas_id)?,
    }
    locked.set_attached(true);
    Ok(())
}

/// Detaches the IOAS, if an IOAS is attached.  Warns if the device is not bound.  C counterpart:
/// `vfio_iommufd_emulated_detach_ioas()`.
pub(crate) fn emulated_detach(locked: &mut SetLocked<'_>) {
    let access = locked.iommufd_access();
    if warn_on!(access.is_none()) {
        return;
    }
    if let Some(access) = access.filter(|_| locked.is_attached()) {
        access.detach();
        locked.set_attached(false);
    }
}
