// SPDX-License-Identifier: GPL-2.0-only

//! Devices in address spaces of processes (`include/linux/iommu.h`, shared virtual addressing).

use super::{device::as_raw, iommu::IommuGroup, pm_runtime::Powered, restartable};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    device::{Bound, Device},
    mm::MmWithUser,
    prelude::*,
    sync::{aref::ARef, rcu},
};

/// What lets a device use an address space, by the address space's PASID.  The address space, if
/// not what is mapped in it, and its PASID are kept; and the device is kept powered, for changes of
/// mappings are told to it.  Ends when dropped.
pub(crate) struct Bond {
    handle: NonNull<bindings::iommu_sva>,
    group: IommuGroup,
    /// Dropped after the IOMMU core has forgotten the bond.
    _power: Powered<ARef<Device>>,
    /// The IOMMU core's bond does not keep it.
    dev: ARef<Device>,
}

// SAFETY: The IOMMU core does its own locking, and a bond may be ended by any task.
unsafe impl Send for Bond {}
// SAFETY: As above.
unsafe impl Sync for Bond {}

impl Bond {
    /// Binds the address space to the one device of a group.
    ///
    /// # Errors
    ///
    /// Those of `iommu_sva_bind_device()`, with `EBUSY` while the device is being reset and
    /// `ERESTARTSYS` when a signal comes.
    ///
    /// # Safety
    ///
    /// The device is bound to a driver until the result has been dropped.
    pub(crate) unsafe fn new(
        dev: ARef<Device>,
        power: Powered<ARef<Device>>,
        group: &IommuGroup,
        mm: &MmWithUser,
    ) -> Result<Self> {
        // SAFETY: Both are valid, and the address space has users.
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

    /// The address space's PASID.
    pub(crate) fn pasid(&self) -> u32 {
        // SAFETY: `self` is the bond.
        unsafe { bindings::vfio_helper_iommu_sva_get_pasid(self.handle.as_ptr()) }
    }

    /// Waits for the page requests that are being handled, of all devices behind the same IOMMU.
    ///
    /// The end of a bond does that, too, unless the address space has ended before: VT-d's driver
    /// (7.3) has cleared the PASID's entry then, and takes that for a sign that nothing is in flight.
    /// It would free a page request that is being handled.  Requests that the IOMMU's own queue still
    /// has are not waited for: VT-d's driver leaves them to the device, which must have stopped.
    pub(crate) fn wait_for_page_requests(&self) {
        // SAFETY: By the promise that `new()` asks for.
        let dev = unsafe { self.dev.as_bound() };
        let queue = {
            let _guard = rcu::read_lock();
            with_iommu(dev, |iommu| {
                // SAFETY: The pointer is read once.  What it points to is freed after an RCU grace
                // period.  The queue is the IOMMU's, which the device stays behind while it is bound.
                unsafe {
                    let param = (&raw const iommu.fault_param).read_volatile();
                    param.as_ref().map(|param| (*param.queue).wq)
                }
            })
            .flatten()
        };
        if let Some(queue) = queue {
            // SAFETY: The queue is the IOMMU's, see above; the caller may sleep.
            unsafe { bindings::__flush_workqueue(queue) }
        }
    }

    /// Whether it is with that device.
    pub(crate) fn is_with(&self, dev: &Device) -> bool {
        core::ptr::eq(&raw const *self.dev, dev)
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

/// What the IOMMU's driver keeps of a device, looked at by `f`.  A device that is bound to a driver
/// stays behind its IOMMU.
fn with_iommu<R>(dev: &Device<Bound>, f: impl FnOnce(&bindings::dev_iommu) -> R) -> Option<R> {
    // SAFETY: `dev` is valid; `iommu`, if it is set, stays while a driver is bound.
    unsafe { (*as_raw(dev)).iommu.as_ref() }.map(f)
}

/// PASIDs of the device are below this; 0 when it has none.
pub(crate) fn max_pasids(dev: &Device<Bound>) -> u32 {
    with_iommu(dev, |iommu| iommu.max_pasids).unwrap_or(0)
}

/// The name of the IOMMU that the device is behind.
pub(crate) fn iommu_name(dev: &Device<Bound>) -> Option<&CStr> {
    with_iommu(dev, |iommu| {
        // SAFETY: The IOMMU is there for as long as the device is behind it, and keeps its name.
        unsafe {
            let name = iommu.iommu_dev.as_ref()?.dev.as_ref()?.kobj.name;
            (!name.is_null()).then(|| CStr::from_char_ptr(name))
        }
    })
    .flatten()
}
