// SPDX-License-Identifier: GPL-2.0-only

//! The conditions for a bond of a device with a process address space, and what the drivers of IOMMUs need
//! besides: some do not support bonds, others do not wait for page requests.

use crate::{
    kapi::{
        iommu::IommuGroup,
        iommu_sva::{iommu_name, max_pasids, Bond},
        series::EOPNOTSUPP,
    },
    shared::pm_runtime::resume,
};
use kernel::{
    device::{Bound, Device},
    mm::MmWithUser,
    prelude::*,
};

/// Binds an address space to the device of an IOMMU group that has exactly one device.  The caller promises
/// for the lifetime of the bond that user space owns the DMA of the group, and that a VFIO device of the
/// group stays registered.
///
/// May sleep.  C counterpart: none; it uses `iommu_sva_bind_device()`.
///
/// # Errors
///
/// In this order:
///
/// - `EPERM`: the group does not have exactly one device.
/// - `EOPNOTSUPP`: the driver of the IOMMU [`loses_pasids`].
/// - `ENOSPC`: the device has no PASIDs, even if the address space already has a PASID.
/// - `EIO`: the device cannot be resumed.
/// - The errors of [`Bond::new`], which `vfio_sva.h` lists.
pub(crate) fn bind(group: &IommuGroup, mm: &MmWithUser) -> Result<Bond> {
    let dev = group.sole_device().ok_or(EPERM)?;
    // SAFETY: The sole device of the group is the parent of the registered VFIO device, whose driver stays
    // bound to the parent.
    let bound = unsafe { dev.as_bound() };
    if loses_pasids(bound) {
        return Err(EOPNOTSUPP);
    }
    if max_pasids(bound) == 0 {
        return Err(ENOSPC);
    }
    let power = resume(dev.clone())?;
    // SAFETY: As above; the VFIO device stays registered for the lifetime of the bond.
    unsafe { Bond::new(dev, power, group, mm) }
}

/// Tells whether the driver of the IOMMU frees the PASID table of a device together with the page table that
/// serves requests without a PASID.
///
/// AMD's driver does so: it frees the PASID table when this page table is detached, and a reset detaches this
/// page table temporarily.  The removal of a PASID then writes to address 0 (`destroy_gcr3_table()`,
/// `amd_iommu_clear_gcr3()`).
fn loses_pasids(dev: &Device<Bound>) -> bool {
    iommu_name(dev).is_some_and(|name| name.to_bytes().starts_with(b"ivhd"))
}
