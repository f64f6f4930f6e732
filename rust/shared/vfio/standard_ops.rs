// SPDX-License-Identifier: GPL-2.0-only

//! The standard iommufd callbacks of VFIO drivers (`vfio_iommufd_physical_*()`, `vfio_iommufd_emulated_*()`).
//!
//! C counterpart: `iommufd.c`.
//!
//! Locks: the core holds the set's lock during the driver's callbacks that bind, unbind, attach and detach.  The locks
//! of iommufd are inside it.

use super::{set::SetLocked, Device, Normal};
use crate::{
    bindings,
    kapi::{
        iommufd::{Access, BoundDevice, Ctx, NO_PASID},
        panic::warn_on,
    },
};
use core::ptr::NonNull;
use kernel::prelude::*;

impl SetLocked<'_> {
    /// Binds the parent of the device to an iommufd, and then unbinds the parent from the previous iommufd, if
    /// there is one.  Returns the id of the device in the iommufd.
    ///
    /// C counterpart: `vfio_iommufd_physical_bind()`.
    ///
    /// # Errors
    ///
    /// Those of [`BoundDevice::bind`].
    ///
    /// # Safety
    ///
    /// The driver's `bind_iommufd` is this function or calls it, and the core has called `bind_iommufd`.  If
    /// `bind_iommufd` succeeds, the core calls `unbind_iommufd` once before the registration ends.  If it fails
    /// after this function has succeeded, the driver undoes the bind itself.  During this call no other code
    /// uses the device's `struct iommufd_device`.
    pub(crate) unsafe fn physical_bind(&mut self, ctx: &Ctx) -> Result<u32> {
        // SAFETY: By the caller's promise, the bind is undone before the registration ends.  Until then,
        // the driver stays bound to the parent, which therefore exists.
        let (bound, id) = unsafe { BoundDevice::bind(ctx, self.device().parent()) }?;
        if self.iommufd_device().is_some() {
            // SAFETY: By the caller's promise: the core called the driver's `bind_iommufd`, and no other code uses the
            // previous object during this call.
            unsafe { self.physical_unbind() };
        }
        // SAFETY: The set's lock is held; the field owns the object that is stored in it.
        unsafe { (*self.device().as_raw()).iommufd_device = bound.as_ptr() };
        Ok(id)
    }

    /// Detaches all page tables and unbinds the device.  Warns if the device is not bound.  C counterpart:
    /// `vfio_iommufd_physical_unbind()`.
    ///
    /// # Safety
    ///
    /// The driver's `unbind_iommufd` or `bind_iommufd` is this function or calls it, and the core has called
    /// that callback.  During this call no other code uses the device's `struct iommufd_device`.
    pub(crate) unsafe fn physical_unbind(&mut self) {
        if bound(self).is_none() {
            return;
        }
        while let Some(pasid) = self.pasids().first() {
            self.physical_pasid_detach(pasid);
        }
        self.physical_detach();
        // SAFETY: The set's lock is held, with exclusive access (`&mut self`).
        let field = unsafe { &raw mut (*self.device().as_raw()).iommufd_device };
        // SAFETY: As above; the field owns the object, and is cleared before the object is freed.  No page table
        // is attached: only the functions of this file attach page tables, and they record them.
        unsafe {
            if let Some(bound) = NonNull::new(field.replace(core::ptr::null_mut())) {
                BoundDevice::unbind(bound);
            }
        }
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
    pub(crate) fn physical_attach(&mut self, pt_id: &mut u32) -> Result {
        let bound = bound(self).ok_or(EINVAL)?;
        match self.is_attached() {
            true => bound.replace(NO_PASID, pt_id)?,
            false => bound.attach(NO_PASID, pt_id)?,
        }
        self.set_attached(true);
        Ok(())
    }

    /// Detaches the page table, if a page table is attached.  Warns if the device is not bound.  C
    /// counterpart: `vfio_iommufd_physical_detach_ioas()`.
    pub(crate) fn physical_detach(&mut self) {
        let Some(bound) = bound(self) else { return };
        if self.is_attached() {
            // SAFETY: Only this file attaches page tables, and it recorded this one.
            unsafe { bound.detach(NO_PASID) };
            self.set_attached(false);
        }
    }

    /// Does the same as [`physical_attach`](Self::physical_attach), for a PASID.
    ///
    /// C counterpart: `vfio_iommufd_physical_pasid_attach_ioas()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the device is not bound.  This also warns.
    /// - `ENOMEM`: out of memory.
    /// - `ENOSPC`: the PASID is above `i32::MAX`.
    /// - Those of iommufd.
    pub(crate) fn physical_pasid_attach(&mut self, pasid: u32, pt_id: &mut u32) -> Result {
        let bound = bound(self).ok_or(EINVAL)?;
        let pasids = self.pasids();
        if pasids.contains(pasid) {
            return bound.replace(pasid, pt_id);
        }
        pasids.insert(pasid)?;
        bound
            .attach(pasid, pt_id)
            .inspect_err(|_| pasids.remove(pasid))
    }

    /// Detaches the page table of a PASID, if it has one.  Warns if the device is not bound.  C counterpart:
    /// `vfio_iommufd_physical_pasid_detach_ioas()`.
    pub(crate) fn physical_pasid_detach(&mut self, pasid: u32) {
        let Some(bound) = bound(self) else { return };
        let pasids = self.pasids();
        if pasids.contains(pasid) {
            // SAFETY: Only this file attaches page tables, and it recorded this one.
            unsafe { bound.detach(pasid) };
            pasids.remove(pasid);
        }
    }

    /// Creates the access of an emulated device, and then destroys the previous access, if there is one.  Returns
    /// the id of the access in the iommufd.
    ///
    /// C counterpart: `vfio_iommufd_emulated_bind()`.
    ///
    /// # Errors
    ///
    /// Those of [`Access::create`].
    ///
    /// # Safety
    ///
    /// The driver's `bind_iommufd` is this function or calls it, and the core has called `bind_iommufd`.  If
    /// `bind_iommufd` succeeds, the core calls `unbind_iommufd` once before the registration ends.  If it fails
    /// after this function has succeeded, the driver undoes the bind itself.  During this call no other code
    /// except the driver's `dma_unmap` uses the device's `struct iommufd_access`.
    pub(crate) unsafe fn emulated_bind(&mut self, ctx: &Ctx) -> Result<u32> {
        // SAFETY: By the caller's promise, the bind is undone before the registration ends, and the driver
        // keeps the device until then.  C defines the operations, which are constant and take a device.
        let (access, id) = unsafe {
            let data = self.device().as_raw().cast();
            Access::create(ctx, &bindings::vfio_access_ops, data)
        }?;
        if self.iommufd_access().is_some() {
            // SAFETY: By the caller's promise: the core called the driver's `bind_iommufd`, and no other code except
            // `dma_unmap` uses the previous access during this call.
            unsafe { self.emulated_unbind() };
        }
        // SAFETY: The set's lock is held; the field owns the access that is stored in it.
        unsafe { (*self.device().as_raw()).iommufd_access = access.as_ptr() };
        Ok(id)
    }

    /// Destroys the access, if there is one.  C counterpart: `vfio_iommufd_emulated_unbind()`.
    ///
    /// # Safety
    ///
    /// The driver's `unbind_iommufd` or `bind_iommufd` is this function or calls it, and the core has called
    /// that callback.  During this call no other code except the driver's `dma_unmap` uses the device's
    /// `struct iommufd_access`.
    pub(crate) unsafe fn emulated_unbind(&mut self) {
        // SAFETY: The set's lock is held, with exclusive access (`&mut self`).
        let field = unsafe { &raw mut (*self.device().as_raw()).iommufd_access };
        // SAFETY: As above.
        let Some(access) = NonNull::new(unsafe { field.read() }) else {
            return;
        };
        // iommufd waits for the driver's `dma_unmap` in progress, then makes the driver unpin the pages that are
        // left, and then frees the access.  For `vfio_unpin_pages()`, the driver must find the access until then,
        // still attached.
        // SAFETY: The field owns the access.  By the caller's promise, only `dma_unmap` uses it meanwhile, and
        // iommufd does not call `dma_unmap` after it has freed the access.
        unsafe { Access::destroy(access) };
        // SAFETY: The set's lock is held, with exclusive access (`&mut self`).
        unsafe { field.write(core::ptr::null_mut()) };
        self.set_attached(false);
    }

    /// Attaches an IOAS, or replaces the attached IOAS.
    ///
    /// C counterpart: `vfio_iommufd_emulated_attach_ioas()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the device is not bound.
    /// - Those of iommufd.
    pub(crate) fn emulated_attach(&mut self, ioas_id: u32) -> Result {
        let access = self.iommufd_access().ok_or(EINVAL)?;
        match self.is_attached() {
            true => access.replace(ioas_id)?,
            false => access.attach(ioas_id)?,
        }
        self.set_attached(true);
        Ok(())
    }

    /// Detaches the IOAS, if an IOAS is attached.  Warns if the device is not bound.  C counterpart:
    /// `vfio_iommufd_emulated_detach_ioas()`.
    pub(crate) fn emulated_detach(&mut self) {
        let access = self.iommufd_access();
        if warn_on!(access.is_none()) {
            return;
        }
        if let Some(access) = access.filter(|_| self.is_attached()) {
            access.detach();
            self.set_attached(false);
        }
    }
}

/// Returns the iommufd object of a device that must be bound.  Warns if it is not bound.
fn bound<'a>(locked: &'a SetLocked<'_>) -> Option<&'a BoundDevice> {
    let bound = locked.iommufd_device();
    warn_on!(bound.is_none());
    bound
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
    // SAFETY: By the promise of `Access::create()`, the device is valid until the access is destroyed.  The
    // destruction waits for this call, so the device also stays bound to the iommufd.
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
