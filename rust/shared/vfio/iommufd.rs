// SPDX-License-Identifier: GPL-2.0-only

//! The iommufd objects of a device, to which fields of `struct vfio_device` point, and the standard iommufd
//! callbacks of VFIO drivers, which are the only code that changes these fields.
//!
//! A *physical* device does DMA itself.  It is bound to an iommufd, and page tables are attached to it and to
//! its PASIDs.  An *emulated* device does no DMA.  Its driver gets an access to an IOAS ([`Access`]).
//!
//! C counterpart: `iommufd.c`.
//!
//! Locks: the core holds the set's lock during the driver's callbacks.  The locks of iommufd are inside it.

use super::{set::SetLocked, Device, Normal, Registered};
use crate::{
    bindings,
    kapi::{ida::Ida, iommufd},
};
use core::ptr::NonNull;
use kernel::prelude::*;

impl SetLocked<'_> {
    /// Returns the object of the device in its iommufd, if the device is bound to an iommufd.
    pub(crate) fn iommufd_device(&self) -> Option<&iommufd::BoundDevice> {
        // SAFETY: The set's lock is held; the object that the field points to exists until `unbind_device()`,
        // which requires exclusive access (`&mut self`).
        unsafe { iommufd::BoundDevice::from_raw((*self.device().as_raw()).iommufd_device) }
    }

    /// Binds the device's parent to an iommufd, and then unbinds the parent from the previous iommufd, if
    /// there is one.  Returns the id of the object in the iommufd.
    ///
    /// # Errors
    ///
    /// Those of [`BoundDevice::bind`](iommufd::BoundDevice::bind).
    pub(crate) fn bind_device(&mut self, ctx: &iommufd::Ctx) -> Result<u32> {
        // SAFETY: The core calls the driver's `unbind_iommufd` before the registration ends.  Until then, the
        // driver stays bound to the parent, which therefore exists.
        let (bound, id) = unsafe { iommufd::BoundDevice::bind(ctx, self.device().parent()) }?;
        self.unbind_device();
        // SAFETY: The set's lock is held; the field owns the object that is stored in it.
        unsafe { (*self.device().as_raw()).iommufd_device = bound.as_ptr() };
        Ok(id)
    }

    /// Undoes [`bind_device`](Self::bind_device).  No effect if the device is not bound.
    pub(crate) fn unbind_device(&mut self) {
        // SAFETY: The set's lock is held, with exclusive access (`&mut self`).
        let field = unsafe { &raw mut (*self.device().as_raw()).iommufd_device };
        // SAFETY: As above; the field owns the object, and is cleared before the object is freed.  No page table
        // is attached: only the functions of this file attach page tables, and they record them.
        unsafe {
            if let Some(bound) = NonNull::new(field.replace(core::ptr::null_mut())) {
                iommufd::BoundDevice::unbind(bound);
            }
        }
    }

    /// Returns the access that the driver of an emulated device has to the iommufd, if there is one.
    pub(crate) fn iommufd_access(&self) -> Option<&iommufd::Access> {
        // SAFETY: As for `iommufd_device()`.
        unsafe { iommufd::Access::from_raw((*self.device().as_raw()).iommufd_access) }
    }

    /// Does the same as [`physical_attach`](Self::physical_attach), for a PASID.
    ///
    /// C counterpart: `vfio_iommufd_physical_pasid_attach_ioas()`.
    ///
    /// # Errors
    ///
    /// Those of [`Access::create`](iommufd::Access::create).
    pub(crate) fn create_access(&mut self, ctx: &iommufd::Ctx) -> Result<u32> {
        // SAFETY: The core calls the driver's `unbind_iommufd` before the registration ends, and the driver
        // keeps the device until then.  C defines the operations, which are constant and take a device.
        let (access, id) = unsafe {
            let data = self.device().as_raw().cast();
            iommufd::Access::create(ctx, &bindings::vfio_access_ops, data)
        }?;
        self.destroy_access();
        // SAFETY: The set's lock is held; the field owns the access that is stored in it.
        unsafe { (*self.device().as_raw()).iommufd_access = access.as_ptr() };
        Ok(id)
    }

    /// Undoes [`create_access`](Self::create_access).  No effect if there is no access.
    pub(crate) fn destroy_access(&mut self) {
        // SAFETY: The set's lock is held, with exclusive access (`&mut self`).
        let field = unsafe { &raw mut (*self.device().as_raw()).iommufd_access };
        // SAFETY: As above; the field owns the access, and is cleared before the access is freed.
        unsafe {
            if let Some(access) = NonNull::new(field.replace(core::ptr::null_mut())) {
                iommufd::Access::destroy(access);
            }
        }
    }

    /// Tells whether a page table is attached to the device itself, not to a PASID.
    pub(crate) fn is_attached(&self) -> bool {
        // SAFETY: The set's lock is held.
        unsafe { bindings::vfio_device::iommufd_attached_raw(self.device().as_raw()) != 0 }
    }

    /// Records whether a page table is attached to the device itself.
    pub(crate) fn set_attached(&mut self, attached: bool) {
        // SAFETY: The set's lock is held.
        unsafe {
            bindings::vfio_device::set_iommufd_attached_raw(self.device().as_raw(), attached.into())
        }
    }

    /// Returns the PASIDs that have an attached page table.
    pub(crate) fn pasids(&self) -> &Ida {
        // SAFETY: Initialised at allocation.
        unsafe { Ida::from_raw(&raw mut (*self.device().as_raw()).pasids) }
    }

    /// Tells whether a PASID has an attached page table.
    pub(crate) fn has_pasid(&self, pasid: u32) -> bool {
        self.pasids().contains(pasid)
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

/// The `unmap` callback of `vfio_access_ops`: iommufd calls it when user space unmaps memory that the driver
/// may have pinned.  C defines the operations, because Rust cannot write their bit-field in a constant.
///
/// # Safety
///
/// iommufd calls this with the device for which an access was created.
#[no_mangle]
unsafe extern "C" fn vfio_access_unmap(data: *mut c_void, iova: c_ulong, length: c_ulong) {
    // CAST: The conversions widen, or change nothing.
    let (iova, length) = (iova as u64, length as u64);
    // SAFETY: By the promise of `Access::create()` the device is valid until the access is destroyed, and the
    // destruction waits for this call.
    unsafe { Device::<Normal>::from_raw(data.cast()).dma_unmap(iova, length) }
}

const _: () = {
    // Both arms must have the same type, that is, the same signature.
    let _ = if true {
        bindings::vfio_access_unmap
    } else {
        vfio_access_unmap
    };
};
