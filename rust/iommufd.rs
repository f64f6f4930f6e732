// SPDX-License-Identifier: GPL-2.0-only

//! The standard callbacks of drivers.  A *physical* device does DMA by itself: it is bound to an
//! iommufd, and page tables are attached to it and to its PASIDs.  For an *emulated* one its
//! driver gets access to an address space.
//!
//! C counterpart: `iommufd.c`.
//!
//! Locks: the set's, held by the core around the driver's callbacks.  iommufd's own are inside.

use crate::{
    kapi::{
        iommu::IommuGroup,
        iommufd::{BoundDevice, Ctx, NO_PASID},
        panic::warn_on,
    },
    shared::vfio::{Device, SetLocked},
};
use kernel::prelude::*;

/// Binds the device; the result is its id in the iommufd.
///
/// # Errors
///
/// Those of `iommufd_device_bind()`.
pub(crate) fn physical_bind(locked: &mut SetLocked<'_>, ctx: &Ctx) -> Result<u32> {
    locked.bind_device(ctx)
}

/// Detaches everything and unbinds the device.
pub(crate) fn physical_unbind(locked: &mut SetLocked<'_>) {
    while let Some(pasid) = locked.pasids().first() {
        physical_pasid_detach(locked, pasid);
        if locked.iommufd_device().is_none() {
            // It has no PASIDs then, and there is nothing to detach them from.
            break;
        }
    }
    physical_detach(locked);
    locked.unbind_device();
}

/// Attaches a page table, or replaces the one that is; the result is the id of the one in use.
///
/// # Errors
///
/// `EINVAL` when the device is not bound; those of iommufd.
pub(crate) fn physical_attach(locked: &mut SetLocked<'_>, pt_id: u32) -> Result<u32> {
    let bound = bound(locked).ok_or(EINVAL)?;
    let pt_id = match locked.is_attached() {
        true => bound.replace(NO_PASID, pt_id)?,
        false => bound.attach(NO_PASID, pt_id)?,
    };
    locked.set_attached(true);
    Ok(pt_id)
}

/// Detaches the page table, if one is attached.
pub(crate) fn physical_detach(locked: &mut SetLocked<'_>) {
    let Some(bound) = bound(locked) else { return };
    if locked.is_attached() {
        bound.detach(NO_PASID);
        locked.set_attached(false);
    }
}

/// As [`physical_attach`], for a PASID.
///
/// # Errors
///
/// `EINVAL` when the device is not bound; `ENOMEM`; `ENOSPC` for a PASID above `i32::MAX`; those
/// of iommufd.
pub(crate) fn physical_pasid_attach(
    locked: &mut SetLocked<'_>,
    pasid: u32,
    pt_id: u32,
) -> Result<u32> {
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

/// Detaches the PASID's page table, if one is attached.
pub(crate) fn physical_pasid_detach(locked: &mut SetLocked<'_>, pasid: u32) {
    let Some(bound) = bound(locked) else { return };
    let pasids = locked.pasids();
    if pasids.contains(pasid) {
        bound.detach(pasid);
        pasids.remove(pasid);
    }
}

/// The iommufd's object of a device that must be bound.
fn bound<'a>(locked: &'a SetLocked<'_>) -> Option<&'a BoundDevice> {
    let bound = locked.iommufd_device();
    warn_on!(bound.is_none());
    bound
}

/// The id by which user space of `ctx` knows the device, for the lists of a hot reset.
///
/// # Errors
///
/// `EINVAL` when neither the device nor `ctx` is bound to anything; `ENODEV` when the device is
/// not in the hands of `ctx`; `ENOENT` when it is, through another device of its group.
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

/// Makes the access; the result is its id in the iommufd.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn emulated_bind(locked: &mut SetLocked<'_>, ctx: &Ctx) -> Result<u32> {
    locked.create_access(ctx)
}

/// Ends the access, if there is one.
pub(crate) fn emulated_unbind(locked: &mut SetLocked<'_>) {
    // Detaching makes the driver unpin what it has pinned, for which it must find the access.
    if locked.is_attached() {
        emulated_detach(locked);
    }
    locked.destroy_access();
}

/// Attaches an address space, or replaces the one that is.
///
/// # Errors
///
/// `EINVAL` when the device is not bound; those of iommufd.
pub(crate) fn emulated_attach(locked: &mut SetLocked<'_>, ioas_id: u32) -> Result {
    let access = locked.iommufd_access().ok_or(EINVAL)?;
    match locked.is_attached() {
        true => access.replace(ioas_id)?,
        false => access.attach(ioas_id)?,
    }
    locked.set_attached(true);
    Ok(())
}

/// Detaches the address space, if one is attached.
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
