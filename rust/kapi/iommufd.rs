// SPDX-License-Identifier: GPL-2.0-only

//! iommufd, as its kernel users see it (`include/linux/iommufd.h`).

use super::{
    buffer::{DriverBuffer, PageArray},
    series::EBADFD,
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    device::Device,
    error::to_result,
    fs::LocalFile,
    page::PAGE_SIZE,
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

/// A device bound to an iommufd: `struct iommufd_device`.  DMA of its group belongs to that iommufd.
///
/// It is seen under the lock of the device's set, or where a driver keeps the device from being
/// unbound.
#[repr(transparent)]
pub(crate) struct BoundDevice(Opaque<bindings::iommufd_device>);

impl BoundDevice {
    /// Binds `dev`; also gives its id.
    ///
    /// # Errors
    ///
    /// `EINVAL` without coherent DMA; `EPERM` when the group is another's or interrupts are not
    /// isolated; `EBUSY`, `ENODEV`, `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The result is ended by [`unbind`](Self::unbind) while `dev` is there.
    pub(crate) unsafe fn bind(
        ctx: &Ctx,
        dev: &Device,
    ) -> Result<(NonNull<bindings::iommufd_device>, u32)> {
        let mut id = 0;
        // SAFETY: `ctx` and `dev` are valid; iommufd takes the references that it needs.
        let raw = kernel::error::from_err_ptr(unsafe {
            bindings::iommufd_device_bind(ctx.as_raw(), super::device::as_raw(dev), &mut id)
        })?;
        Ok((NonNull::new(raw).ok_or(ENODEV)?, id))
    }

    /// The end of [`bind`](Self::bind).
    ///
    /// # Safety
    ///
    /// `bind()` made it, nothing is attached to it, and nobody uses it any more.
    pub(crate) unsafe fn unbind(raw: NonNull<bindings::iommufd_device>) {
        // SAFETY: By the caller's promise.
        unsafe { bindings::iommufd_device_unbind(raw.as_ptr()) }
    }

    /// # Safety
    ///
    /// `raw` is NULL, or bound for `'a`.
    pub(crate) unsafe fn from_raw<'a>(raw: *mut bindings::iommufd_device) -> Option<&'a Self> {
        // SAFETY: By the caller's promise; the types have the same layout.
        unsafe { raw.cast::<Self>().as_ref() }
    }

    fn as_raw(&self) -> *mut bindings::iommufd_device {
        self.0.get()
    }

    /// Attaches a page table or address space; the result is the id of the page table in use.
    ///
    /// # Errors
    ///
    /// `ENOENT` for an unknown id, `EINVAL` for one that does not fit, `EBUSY`, `ENOMEM`.
    pub(crate) fn attach(&self, pasid: u32, pt_id: u32) -> Result<u32> {
        let mut pt_id = pt_id;
        // SAFETY: `self` is bound.
        to_result(unsafe { bindings::iommufd_device_attach(self.as_raw(), pasid, &mut pt_id) })?;
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
        to_result(unsafe { bindings::iommufd_device_replace(self.as_raw(), pasid, &mut pt_id) })?;
        Ok(pt_id)
    }

    /// Detaches what [`attach`](Self::attach) attached.
    pub(crate) fn detach(&self, pasid: u32) {
        // SAFETY: `self` is bound.
        unsafe { bindings::iommufd_device_detach(self.as_raw(), pasid) }
    }

    /// The iommufd.
    pub(crate) fn ctx(&self) -> &Ctx {
        // SAFETY: `self` is bound, and keeps its iommufd for as long.
        unsafe { Ctx::from_raw(bindings::iommufd_device_to_ictx(self.as_raw())) }
    }

    /// The id of the device in the iommufd, at least 1.
    pub(crate) fn id(&self) -> u32 {
        // SAFETY: `self` is bound.
        unsafe { bindings::iommufd_device_to_id(self.as_raw()) }
    }
}

/// Access of a driver to the memory of an address space, for a device that it emulates: `struct
/// iommufd_access`.  It is seen as a [`BoundDevice`] is.
#[repr(transparent)]
pub(crate) struct Access(Opaque<bindings::iommufd_access>);

impl Access {
    /// Makes an access; also gives its id.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The functions of `ops` may be called with `data`, from any task, until
    /// [`destroy`](Self::destroy) of the result returns.
    pub(crate) unsafe fn create(
        ctx: &Ctx,
        ops: &'static bindings::iommufd_access_ops,
        data: *mut c_void,
    ) -> Result<(NonNull<bindings::iommufd_access>, u32)> {
        let mut id = 0;
        // SAFETY: `ctx` is valid, the operations are constant; the rest by the caller's promise.
        let raw = kernel::error::from_err_ptr(unsafe {
            bindings::iommufd_access_create(ctx.as_raw(), ops, data, &mut id)
        })?;
        Ok((NonNull::new(raw).ok_or(ENODEV)?, id))
    }

    /// The end of [`create`](Self::create), and of all its pins.
    ///
    /// # Safety
    ///
    /// `create()` made it, and nobody uses it any more.
    pub(crate) unsafe fn destroy(raw: NonNull<bindings::iommufd_access>) {
        // SAFETY: By the caller's promise.
        unsafe { bindings::iommufd_access_destroy(raw.as_ptr()) }
    }

    /// # Safety
    ///
    /// `raw` is NULL, or an access that is there for `'a`.
    pub(crate) unsafe fn from_raw<'a>(raw: *mut bindings::iommufd_access) -> Option<&'a Self> {
        // SAFETY: By the caller's promise; the types have the same layout.
        unsafe { raw.cast::<Self>().as_ref() }
    }

    fn as_raw(&self) -> *mut bindings::iommufd_access {
        self.0.get()
    }

    /// Attaches an address space.
    ///
    /// # Errors
    ///
    /// `ENOENT` for an unknown id, `EINVAL`, `ENOMEM`.
    pub(crate) fn attach(&self, ioas_id: u32) -> Result {
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_access_attach(self.as_raw(), ioas_id) })
    }

    /// As [`attach`](Self::attach), in place of what is attached.
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach); the old one stays then.
    pub(crate) fn replace(&self, ioas_id: u32) -> Result {
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_access_replace(self.as_raw(), ioas_id) })
    }

    /// Detaches the address space.
    pub(crate) fn detach(&self) {
        // SAFETY: `self` is valid.
        unsafe { bindings::iommufd_access_detach(self.as_raw()) }
    }

    /// Pins as many pages as wanted, from `iova` on, a multiple of a page.
    ///
    /// # Errors
    ///
    /// `ENOENT` when nothing is attached or mapped there, `EPERM`, `EINVAL`, `ENOMEM`.
    pub(crate) fn pin(&self, iova: usize, pages: PageArray<'_>, write: bool) -> Result {
        let length = usize::try_from(pages.count())
            .ok()
            .and_then(|count| count.checked_mul(PAGE_SIZE))
            .ok_or(EINVAL)?;
        // SAFETY: `self` is valid; there is room for the pages of the range.
        to_result(unsafe {
            bindings::iommufd_access_pin_pages(
                self.as_raw(),
                iova,
                length,
                pages.as_ptr(),
                if write { WRITE } else { 0 },
            )
        })
    }

    /// Undoes a [`pin`](Self::pin) of the same range.
    pub(crate) fn unpin(&self, iova: usize, length: usize) {
        // SAFETY: `self` is valid; iommufd warns of a range that is not pinned.
        unsafe { bindings::iommufd_access_unpin_pages(self.as_raw(), iova, length) }
    }

    /// Copies between `data` and the memory at `iova`; `write` is towards the user.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `EPERM`, `EINVAL`, `EFAULT`, `ENOMEM`.
    pub(crate) fn rw(&self, iova: usize, data: DriverBuffer<'_>, write: bool) -> Result {
        let mut flags = if write { WRITE } else { 0 };
        if !super::sched::has_mm() {
            flags |= bindings::IOMMUFD_ACCESS_RW_KTHREAD;
        }
        // SAFETY: `self` is valid; `data` by its type's invariants.
        to_result(unsafe {
            bindings::iommufd_access_rw(self.as_raw(), iova, data.as_ptr(), data.len(), flags)
        })
    }
}
