// SPDX-License-Identifier: GPL-2.0-only

//! iommufd, as its kernel users see it (`include/linux/iommufd.h`).

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    device::Device,
    error::to_result,
    fs::LocalFile,
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
    types::Opaque,
};

const WRITE: c_uint = bindings::IOMMUFD_ACCESS_RW_WRITE;

/// "No PASID": the device itself.
pub(crate) const NO_PASID: u32 = 0;

/// An iommufd: `struct iommufd_ctx`.
#[repr(transparent)]
pub(crate) struct Ctx(Opaque<bindings::iommufd_ctx>);

// SAFETY: iommufd does its own locking.
unsafe impl Send for Ctx {}
// SAFETY: As above.
unsafe impl Sync for Ctx {}

// SAFETY: iommufd counts the references.
unsafe impl AlwaysRefCounted for Ctx {
    fn inc_ref(&self) {
        // SAFETY: `self` is valid.
        unsafe { bindings::iommufd_ctx_get(self.as_raw()) }
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller owns one reference.
        unsafe { bindings::iommufd_ctx_put(obj.as_ptr().cast()) }
    }
}

impl Ctx {
    /// The iommufd that the caller's file descriptor stands for.
    ///
    /// # Errors
    ///
    /// `EBADF` when it is not open, `EBADFD` when it is something else.
    pub(crate) fn from_fd(fd: c_int) -> Result<ARef<Self>> {
        // SAFETY: No requirements.
        let raw = kernel::error::from_err_ptr(unsafe { bindings::iommufd_ctx_from_fd(fd) })?;
        let ctx = NonNull::new(raw).ok_or(EBADFD)?.cast();
        // SAFETY: `iommufd_ctx_from_fd()` gave us the reference.
        Ok(unsafe { ARef::from_raw(ctx) })
    }

    /// The iommufd whose file it is.
    ///
    /// # Errors
    ///
    /// `EBADFD` when it is another file.
    pub(crate) fn from_file(file: &LocalFile) -> Result<ARef<Self>> {
        // SAFETY: `file` is valid.
        let raw = unsafe { bindings::iommufd_ctx_from_file(file.as_ptr()) };
        let raw = kernel::error::from_err_ptr(raw).map_err(|_| EBADFD)?;
        let ctx = NonNull::new(raw).ok_or(EBADFD)?.cast();
        // SAFETY: `iommufd_ctx_from_file()` gave us the reference.
        Ok(unsafe { ARef::from_raw(ctx) })
    }

    /// Makes sure that the iommufd has an address space that the ioctls of containers work on.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the iommufd stands for no IOMMU; `ENOMEM`.
    pub(crate) fn create_compat_ioas(&self) -> Result {
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_vfio_compat_ioas_create(self.as_raw()) })
    }

    /// Makes the iommufd answer the ioctls of containers as one without an IOMMU.
    ///
    /// # Errors
    ///
    /// `EINVAL` when it has the address space of [`create_compat_ioas`](Self::create_compat_ioas).
    pub(crate) fn set_compat_noiommu(&self) -> Result {
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_vfio_compat_set_no_iommu(self.as_raw()) })
    }

    /// The id of that address space.
    ///
    /// # Errors
    ///
    /// `ENODEV` when there is none.
    pub(crate) fn compat_ioas(&self) -> Result<u32> {
        let mut id = 0;
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_vfio_compat_ioas_get_id(self.as_raw(), &mut id) })?;
        Ok(id)
    }

    /// # Safety
    ///
    /// `ptr` is valid for `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::iommufd_ctx) -> &'a Self {
        // SAFETY: By the caller's promise; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::iommufd_ctx {
        self.0.get()
    }

    /// Whether a device of `group` is bound to the iommufd.
    pub(crate) fn has_group(&self, group: &super::iommu::IommuGroup) -> bool {
        // SAFETY: `self` is valid; `group` holds a reference.
        unsafe { bindings::iommufd_ctx_has_group(self.as_raw(), group.as_raw()) }
    }
}

/// A device bound to an iommufd: DMA of its group belongs to that iommufd.  Unbound when dropped,
/// with nothing attached any more.
#[repr(transparent)]
pub(crate) struct BoundDevice(NonNull<bindings::iommufd_device>);

impl BoundDevice {
    /// Binds `dev`; also gives its id.
    ///
    /// # Errors
    ///
    /// `EINVAL` without coherent DMA; `EPERM` when the group is another's or interrupts are not
    /// isolated; `EBUSY`, `ENODEV`, `ENOMEM`.
    pub(crate) fn bind(ctx: &Ctx, dev: &Device) -> Result<(Self, u32)> {
        let mut id = 0;
        // SAFETY: `ctx` and `dev` are valid; iommufd takes the references that it needs.
        let raw = kernel::error::from_err_ptr(unsafe {
            bindings::iommufd_device_bind(ctx.as_raw(), super::device::as_raw(dev), &mut id)
        })?;
        Ok((Self(NonNull::new(raw).ok_or(ENODEV)?), id))
    }

    /// Attaches a page table or address space; the result is the id of the page table in use.
    ///
    /// # Errors
    ///
    /// `ENOENT` for an unknown id, `EINVAL` for one that does not fit, `EBUSY`, `ENOMEM`.
    pub(crate) fn attach(&self, pasid: u32, pt_id: u32) -> Result<u32> {
        let mut pt_id = pt_id;
        // SAFETY: `self` is bound.
        to_result(unsafe { bindings::iommufd_device_attach(self.0.as_ptr(), pasid, &mut pt_id) })?;
        Ok(pt_id)
    }

    /// As [`attach`](Self::attach), in place of what is attached.
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach); the old one stays then.
    pub(crate) fn replace(&self, pasid: u32, pt_id: u32) -> Result<u32> {
        let mut pt_id = pt_id;
        // SAFETY: `self` is bound.
        to_result(unsafe { bindings::iommufd_device_replace(self.0.as_ptr(), pasid, &mut pt_id) })?;
        Ok(pt_id)
    }

    /// Detaches what [`attach`](Self::attach) attached.
    pub(crate) fn detach(&self, pasid: u32) {
        // SAFETY: `self` is bound.
        unsafe { bindings::iommufd_device_detach(self.0.as_ptr(), pasid) }
    }

    /// The iommufd; valid while `self` is bound.
    pub(crate) fn ctx(&self) -> *mut bindings::iommufd_ctx {
        // SAFETY: `self` is bound.
        unsafe { bindings::iommufd_device_to_ictx(self.0.as_ptr()) }
    }

    /// The iommufd.
    pub(crate) fn ctx_ref(&self) -> &Ctx {
        // SAFETY: It is valid while `self` is bound.
        unsafe { Ctx::from_raw(self.ctx()) }
    }

    /// The id of the device in the iommufd, at least 1.
    pub(crate) fn id(&self) -> u32 {
        // SAFETY: `self` is bound.
        unsafe { bindings::iommufd_device_to_id(self.0.as_ptr()) }
    }

    /// Borrows what a field of a C structure owns.
    ///
    /// # Safety
    ///
    /// The field is NULL or owns a bound device, and does not change for `'a`.
    pub(crate) unsafe fn borrow<'a>(
        field: *const *mut bindings::iommufd_device,
    ) -> Option<&'a Self> {
        // SAFETY: By the caller's promise; `Option<BoundDevice>` has the layout of the pointer.
        unsafe { (*field.cast::<Option<Self>>()).as_ref() }
    }

    /// Stores into a field of a C structure, and gives what it owned before.
    ///
    /// # Safety
    ///
    /// The field is NULL or owns a bound device, and nobody else uses it now.
    pub(crate) unsafe fn replace_in(
        field: *mut *mut bindings::iommufd_device,
        device: Option<Self>,
    ) -> Option<Self> {
        // SAFETY: By the caller's promise; `Option<BoundDevice>` has the layout of the pointer.
        unsafe { core::ptr::replace(field.cast::<Option<Self>>(), device) }
    }
}

impl Drop for BoundDevice {
    fn drop(&mut self) {
        // SAFETY: `self` is bound; nobody uses it any more.
        unsafe { bindings::iommufd_device_unbind(self.0.as_ptr()) }
    }
}

/// Access of a driver to the memory of an address space, for a device that it emulates.  Gone, and
/// with it all its pins, when dropped.
#[repr(transparent)]
pub(crate) struct Access(NonNull<bindings::iommufd_access>);

/// What iommufd calls when user space takes memory away that may be pinned.
static ACCESS_OPS: AccessOps = AccessOps(bindings::iommufd_access_ops {
    _bitfield_align_1: [],
    // `needs_pin_pages`, the only bit.
    _bitfield_1: bindings::__BindgenBitfieldUnit::new([1]),
    unmap: Some(unmap),
});

#[repr(transparent)]
struct AccessOps(bindings::iommufd_access_ops);

// SAFETY: iommufd only reads it.
unsafe impl Sync for AccessOps {}

/// # Safety
///
/// Called by iommufd with the device that the access was made for.
unsafe extern "C" fn unmap(data: *mut c_void, iova: c_ulong, length: c_ulong) {
    // SAFETY: The access is destroyed before the device is closed.
    let device: &super::vfio::Device = unsafe { super::vfio::Device::from_raw(data.cast()) };
    // CAST: These widen, or nothing.
    device.dma_unmap(iova as u64, length as u64);
}

impl Access {
    /// Makes an access for a device; also gives its id.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn create(ctx: &Ctx, device: &super::vfio::Device) -> Result<(Self, u32)> {
        let mut id = 0;
        // SAFETY: `ctx` is valid, the operations are static.  The device outlives the access,
        // which is destroyed when it is unbound.
        let raw = kernel::error::from_err_ptr(unsafe {
            bindings::iommufd_access_create(
                ctx.as_raw(),
                &raw const ACCESS_OPS.0,
                device.as_raw().cast(),
                &mut id,
            )
        })?;
        Ok((Self(NonNull::new(raw).ok_or(ENODEV)?), id))
    }

    /// Attaches an address space.
    ///
    /// # Errors
    ///
    /// `ENOENT` for an unknown id, `EINVAL`, `ENOMEM`.
    pub(crate) fn attach(&self, ioas_id: u32) -> Result {
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_access_attach(self.0.as_ptr(), ioas_id) })
    }

    /// As [`attach`](Self::attach), in place of what is attached.
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach); the old one stays then.
    pub(crate) fn replace(&self, ioas_id: u32) -> Result {
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_access_replace(self.0.as_ptr(), ioas_id) })
    }

    /// Detaches the address space.
    pub(crate) fn detach(&self) {
        // SAFETY: `self` is valid.
        unsafe { bindings::iommufd_access_detach(self.0.as_ptr()) }
    }

    /// Pins `length` bytes from `iova` on, both multiples of a page.
    ///
    /// # Errors
    ///
    /// `ENOENT` when nothing is attached or mapped there, `EPERM`, `EINVAL`, `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `pages` has room for as many pages as the range has.
    pub(crate) unsafe fn pin(
        &self,
        iova: usize,
        length: usize,
        pages: *mut *mut bindings::page,
        write: bool,
    ) -> Result {
        // SAFETY: `self` is valid; the rest by the caller's promise.
        to_result(unsafe {
            bindings::iommufd_access_pin_pages(
                self.0.as_ptr(),
                iova,
                length,
                pages,
                if write { WRITE } else { 0 },
            )
        })
    }

    /// Undoes a [`pin`](Self::pin) of the same range.
    pub(crate) fn unpin(&self, iova: usize, length: usize) {
        // SAFETY: `self` is valid; iommufd warns of a range that is not pinned.
        unsafe { bindings::iommufd_access_unpin_pages(self.0.as_ptr(), iova, length) }
    }

    /// Copies between `data` and the memory at `iova`; `write` is towards the user.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `EPERM`, `EINVAL`, `EFAULT`, `ENOMEM`.
    pub(crate) fn rw(&self, iova: usize, data: &mut [u8], write: bool) -> Result {
        let mut flags = if write { WRITE } else { 0 };
        if !super::sched::has_mm() {
            flags |= bindings::IOMMUFD_ACCESS_RW_KTHREAD;
        }
        // SAFETY: `self` is valid, `data` a buffer of that length.
        to_result(unsafe {
            bindings::iommufd_access_rw(
                self.0.as_ptr(),
                iova,
                data.as_mut_ptr().cast(),
                data.len(),
                flags,
            )
        })
    }

    /// As [`BoundDevice::borrow`].
    ///
    /// # Safety
    ///
    /// The field is NULL or owns an access, and does not change for `'a`.
    pub(crate) unsafe fn borrow<'a>(
        field: *const *mut bindings::iommufd_access,
    ) -> Option<&'a Self> {
        // SAFETY: By the caller's promise; `Option<Access>` has the layout of the pointer.
        unsafe { (*field.cast::<Option<Self>>()).as_ref() }
    }

    /// As [`BoundDevice::replace_in`].
    ///
    /// # Safety
    ///
    /// The field is NULL or owns an access, and nobody else uses it now.
    pub(crate) unsafe fn replace_in(
        field: *mut *mut bindings::iommufd_access,
        access: Option<Self>,
    ) -> Option<Self> {
        // SAFETY: By the caller's promise; `Option<Access>` has the layout of the pointer.
        unsafe { core::ptr::replace(field.cast::<Option<Self>>(), access) }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        // SAFETY: `self` owns the access.
        unsafe { bindings::iommufd_access_destroy(self.0.as_ptr()) }
    }
}
