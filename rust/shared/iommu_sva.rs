// SPDX-License-Identifier: GPL-2.0-only

//! The conditions for a bond of a device with a process address space, and workarounds for IOMMU drivers:
//! AMD's driver frees the PASID table too early, and VT-d's driver does not always wait for page requests.

use crate::{
    bindings,
    kapi::{
        iommu::IommuGroup,
        iommu_sva::{iommu_name, iommu_of, max_pasids, Bond},
        series::EOPNOTSUPP,
    },
    shared::pm_runtime::resume,
};
use kernel::{
    device::{Bound, Device},
    mm::MmWithUser,
    prelude::*,
    sync::{aref::ARef, rcu},
};

/// Binds an address space to the device of an IOMMU group that has exactly one device.  The caller promises
/// that, for the lifetime of the bond, user space owns the DMA of the group, and a VFIO device of the group
/// stays registered.
///
/// May sleep.  There is no C counterpart.  The function calls `iommu_sva_bind_device()`.  The function is not
/// `unsafe`, although it relies on this promise, because its callers are in `sva`, which denies `unsafe` code.
///
/// # Errors
///
/// In this order:
///
/// - `EPERM`: the group does not have exactly one device.
/// - `EOPNOTSUPP`: the IOMMU is AMD-Vi, whose driver frees the PASID table too early ([`driver_frees_pasid_table`]).
/// - `ENOSPC`: the device has no PASIDs, even if the address space already has a PASID.
/// - `EIO`: the device cannot be resumed.
/// - The errors of [`Bond::new`], which `vfio_sva.h` lists.
pub(crate) fn bind(group: &IommuGroup, mm: &MmWithUser) -> Result<Bond> {
    let dev = check(group)?;
    // SAFETY: By the promise of this function's caller, a VFIO device of the group stays registered.  The sole device
    // of the group is its parent, and stays bound to the VFIO driver.
    let power = resume(unsafe { dev.as_bound() })?.hold();
    // SAFETY: As above, until the result is dropped: the caller's promise lasts for the lifetime of the bond.
    // `check()` has found PASIDs, so the device is behind an IOMMU.
    unsafe { Bond::new(dev, power, group, mm) }
}

/// Makes the first three checks of [`bind`].  Returns the device.  The caller promises that a VFIO device of
/// the group stays registered during the call.  The function is not `unsafe` for the same reason as [`bind`]:
/// `file`, which calls it too, denies `unsafe` code.
pub(crate) fn check(group: &IommuGroup) -> Result<ARef<Device>> {
    let dev = group.sole_device().ok_or(EPERM)?;
    // SAFETY: By the promise of this function's caller, a VFIO device of the group stays registered during the call.
    // The sole device of the group is its parent, and stays bound to the VFIO driver.
    let bound = unsafe { dev.as_bound() };
    if driver_frees_pasid_table(bound) {
        return Err(EOPNOTSUPP);
    }
    if max_pasids(bound) == 0 {
        return Err(ENOSPC);
    }
    Ok(dev)
}

/// Waits for the page requests that are being handled, for all devices behind the same IOMMU.  May sleep.
///
/// The end of a bond waits for these page requests, too, unless the address space has ended before.  In
/// this case VT-d's driver (7.3) has cleared the entry of the PASID, and concludes from the cleared entry
/// that no page request is in flight.  Without this function, the end of the bond would free a page
/// request that is being handled.
///
/// This function does not wait for page requests that are still in the queue of the IOMMU itself.  VT-d's
/// driver does not wait for these either: the device must have stopped before.
pub(crate) fn wait_for_page_requests(bond: &Bond) {
    let queue = {
        let _guard = rcu::read_lock();
        // SAFETY: The pointer is read once, and its target is freed only after an RCU grace period.  The
        // queue belongs to the IOMMU, and the device stays behind the IOMMU while a driver is bound to it.
        iommu_of(bond.device()).and_then(|iommu| unsafe {
            let param = (&raw const (*iommu.as_ptr()).fault_param).read_volatile();
            (!param.is_null()).then(|| (*(*param).queue).wq)
        })
    };
    if let Some(queue) = queue {
        // SAFETY: The queue belongs to the IOMMU, see above; the caller may sleep.
        unsafe { bindings::__flush_workqueue(queue) }
    }
}

/// Tells whether the driver of the IOMMU frees the PASID table of a device together with the page table that
/// serves requests without a PASID.
///
/// AMD's driver does so: it frees the PASID table when this page table is detached, and a reset detaches this
/// page table temporarily.  The removal of a PASID then dereferences the NULL pointer `gcr3_tbl`
/// (`destroy_gcr3_table()`, `amd_iommu_clear_gcr3()`).
fn driver_frees_pasid_table(dev: &Device<Bound>) -> bool {
    iommu_name(dev).is_some_and(|name| name.to_bytes().starts_with(b"ivhd"))
}
