// SPDX-License-Identifier: GPL-2.0-only

//! What iommufd knows of a device, in the fields that the device has for it.

use super::{set::SetLocked, Device, Normal, Registered};
use crate::{
    bindings,
    kapi::{ida::Ida, iommufd},
};
use core::ptr::NonNull;
use kernel::prelude::*;

impl SetLocked<'_> {
    /// Its object in the iommufd it is bound to.
    pub(crate) fn iommufd_device(&self) -> Option<&iommufd::BoundDevice> {
        // SAFETY: Under the set's lock; what the field points to stays until `unbind_device()`, for
        // which the lock is taken exclusively (`&mut self`).
        unsafe { iommufd::BoundDevice::from_raw((*self.device().as_raw()).iommufd_device) }
    }

    /// Binds the device's parent to an iommufd, in the place of what it was bound to; the result is
    /// its id there.
    ///
    /// # Errors
    ///
    /// Those of [`BoundDevice::bind`](iommufd::BoundDevice::bind).
    pub(crate) fn bind_device(&mut self, ctx: &iommufd::Ctx) -> Result<u32> {
        // SAFETY: The core has the driver unbind before the registration ends, with which the driver
        // has its parent.
        let (bound, id) = unsafe { iommufd::BoundDevice::bind(ctx, self.device().parent()) }?;
        self.unbind_device();
        // SAFETY: Under the set's lock; the field owns what is stored in it.
        unsafe { (*self.device().as_raw()).iommufd_device = bound.as_ptr() };
        Ok(id)
    }

    /// The end of [`bind_device`](Self::bind_device).  Nothing bound is no error.
    pub(crate) fn unbind_device(&mut self) {
        // SAFETY: Under the set's lock, taken exclusively (`&mut self`).
        let field = unsafe { &raw mut (*self.device().as_raw()).iommufd_device };
        // SAFETY: As above; the field owns what is in it, which leaves it before it ends.
        unsafe {
            if let Some(bound) = NonNull::new(field.replace(core::ptr::null_mut())) {
                iommufd::BoundDevice::unbind(bound);
            }
        }
    }

    /// The access of an emulated device's driver to the iommufd it is bound to.
    pub(crate) fn iommufd_access(&self) -> Option<&iommufd::Access> {
        // SAFETY: As for `iommufd_device()`.
        unsafe { iommufd::Access::from_raw((*self.device().as_raw()).iommufd_access) }
    }

    /// Makes the access, in the place of one that was; the result is its id in the iommufd.
    ///
    /// # Errors
    ///
    /// Those of [`Access::create`](iommufd::Access::create).
    pub(crate) fn create_access(&mut self, ctx: &iommufd::Ctx) -> Result<u32> {
        // SAFETY: The core has the driver unbind before the registration ends, with which the driver
        // has the device.  The operations are C's and constant; they take a device.
        let (access, id) = unsafe {
            let data = self.device().as_raw().cast();
            iommufd::Access::create(ctx, &bindings::vfio_access_ops, data)
        }?;
        self.destroy_access();
        // SAFETY: Under the set's lock; the field owns what is stored in it.
        unsafe { (*self.device().as_raw()).iommufd_access = access.as_ptr() };
        Ok(id)
    }

    /// The end of [`create_access`](Self::create_access).  No access is no error.
    pub(crate) fn destroy_access(&mut self) {
        // SAFETY: Under the set's lock, taken exclusively (`&mut self`).
        let field = unsafe { &raw mut (*self.device().as_raw()).iommufd_access };
        // SAFETY: As above; the field owns what is in it, which leaves it before it ends.
        unsafe {
            if let Some(access) = NonNull::new(field.replace(core::ptr::null_mut())) {
                iommufd::Access::destroy(access);
            }
        }
    }

    /// Whether a page table is attached to the device itself (not to a PASID).
    pub(crate) fn is_attached(&self) -> bool {
        // SAFETY: Under the set's lock.
        unsafe { bindings::vfio_device::iommufd_attached_raw(self.device().as_raw()) != 0 }
    }

    pub(crate) fn set_attached(&mut self, attached: bool) {
        // SAFETY: Under the set's lock.
        unsafe {
            bindings::vfio_device::set_iommufd_attached_raw(self.device().as_raw(), attached.into())
        }
    }

    /// The PASIDs that have a page table attached.
    pub(crate) fn pasids(&self) -> &Ida {
        // SAFETY: Initialised at allocation.
        unsafe { Ida::from_raw(&raw mut (*self.device().as_raw()).pasids) }
    }

    /// Whether a PASID has a page table attached.
    pub(crate) fn has_pasid(&self, pasid: u32) -> bool {
        self.pasids().contains(pasid)
    }
}

impl Device<Registered> {
    /// The smallest PASID in a range, its ends included, that has a page table attached.  Without the
    /// set's lock, which is held over attachments: the answer may be of the past.
    pub(crate) fn next_pasid(&self, from: u32, last: u32) -> Option<u32> {
        // SAFETY: Initialised at allocation, and it does its own locking.
        unsafe { Ida::from_raw(&raw mut (*self.as_raw()).pasids) }.next(from, last)
    }
}

/// What iommufd calls when user space takes memory away that may be pinned: `unmap` of the operations
/// that C has (`vfio_access_ops`), for Rust cannot write its bit-field in a constant.
///
/// # Safety
///
/// Called by iommufd with the device that an access was made for.
#[no_mangle]
unsafe extern "C" fn vfio_access_unmap(data: *mut c_void, iova: c_ulong, length: c_ulong) {
    // CAST: These widen, or nothing.
    let (iova, length) = (iova as u64, length as u64);
    // SAFETY: By the promise of `Access::create()` the device is there until the access is destroyed, which
    // waits for this call.
    unsafe { Device::<Normal>::from_raw(data.cast()).dma_unmap(iova, length) }
}

const _: () = {
    // Both arms must have one type: the same signature.
    let _ = if true {
        bindings::vfio_access_unmap
    } else {
        vfio_access_unmap
    };
};
