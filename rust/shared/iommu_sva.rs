// SPDX-License-Identifier: GPL-2.0-only

//! Which devices may use address spaces of processes, and which IOMMU drivers cannot bear it.

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

/// Binds the address space to the device of a group that has but one.  DMA of the group is user space's
/// for as long as the bond is, and a VFIO device of the group stays registered.
///
/// # Errors
///
/// In this order: `EPERM` when the group has more devices; `EOPNOTSUPP` behind an IOMMU whose driver
/// [`loses_pasids`]; `ENOSPC` when its device has no PASIDs, be the address space's known or not;
/// `EIO` when it cannot be resumed; those of [`Bond::new`], of which `vfio_sva.h` tells.
pub(crate) fn bind(group: &IommuGroup, mm: &MmWithUser) -> Result<Bond> {
    let dev = group.sole_device().ok_or(EPERM)?;
    // SAFETY: Of a group with one device it is that whose VFIO device is registered, with which its
    // driver has it.
    let bound = unsafe { dev.as_bound() };
    if loses_pasids(bound) {
        return Err(EOPNOTSUPP);
    }
    if max_pasids(bound) == 0 {
        return Err(ENOSPC);
    }
    let power = resume(dev.clone())?;
    // SAFETY: As above; it stays registered for as long as the bond is.
    unsafe { Bond::new(dev, power, group, mm) }
}

/// Whether the driver of the IOMMU forgets a device's PASID table with the page table that serves
/// requests without a PASID.  AMD's does: it frees the one when the other is detached, as a reset
/// does for a while, and then writes to address 0 when the PASID is taken away
/// (`destroy_gcr3_table()`, `amd_iommu_clear_gcr3()`).
fn loses_pasids(dev: &Device<Bound>) -> bool {
    iommu_name(dev).is_some_and(|name| name.to_bytes().starts_with(b"ivhd"))
}
