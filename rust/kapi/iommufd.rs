// SPDX-License-Identifier: GPL-2.0-only

//! The kernel interface of iommufd (`include/linux/iommufd.h`).

use super::{
    buffer::{DriverBuffer, PageArray},
    series::EBADFD,
    to_result,
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    device::Device,
    fs::LocalFile,
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
    types::Opaque,
};

const WRITE: c_uint = bindings::IOMMUFD_ACCESS_RW_WRITE;

/// No PASID: the device itself.
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
    /// Returns the iommufd of a file descriptor of the caller.
    ///
    /// # Errors
    ///
    /// - `EBADF`: the file descriptor is not open.
    /// - `EBADFD`: the file is not an iommufd.
    pub(crate) fn from_fd(fd: c_int) -> Result<ARef<Self>> {
        // SAFETY: No requirements.
        let raw = kernel::error::from_err_ptr(unsafe { bindings::iommufd_ctx_from_fd(fd) })?;
        let ctx = NonNull::new(raw).ok_or(EBADFD)?.cast();
        // SAFETY: `iommufd_ctx_from_fd()` transferred the reference.
        Ok(unsafe { ARef::from_raw(ctx) })
    }

    /// Returns the iommufd of a file.
    ///
    /// # Errors
    ///
    /// - `EBADFD`: the file is not an iommufd.
    pub(crate) fn from_file(file: &LocalFile) -> Result<ARef<Self>> {
        // SAFETY: `file` is valid.
        let raw = unsafe { bindings::iommufd_ctx_from_file(file.as_ptr()) };
        let raw = kernel::error::from_err_ptr(raw).map_err(|_| EBADFD)?;
        let ctx = NonNull::new(raw).ok_or(EBADFD)?.cast();
        // SAFETY: `iommufd_ctx_from_file()` transferred the reference.
        Ok(unsafe { ARef::from_raw(ctx) })
    }

    /// Makes the IOAS on which the container ioctls of the iommufd operate, if it does not exist.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the iommufd is marked as one without an IOMMU.
    /// - `ENOMEM`: out of memory.
    pub(crate) fn create_compat_ioas(&self) -> Result {
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_vfio_compat_ioas_create(self.as_raw()) })
    }

    /// Marks the iommufd as one without an IOMMU, for the container ioctls.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the iommufd has the IOAS of [`create_compat_ioas`](Self::create_compat_ioas).
    pub(crate) fn set_compat_noiommu(&self) -> Result {
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_vfio_compat_set_no_iommu(self.as_raw()) })
    }

    /// Returns the id of the IOAS of [`create_compat_ioas`](Self::create_compat_ioas).
    ///
    /// # Errors
    ///
    /// - `ENODEV`: there is no such IOAS.
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

    /// Tells whether a device of `group` is bound to the iommufd.
    pub(crate) fn has_group(&self, group: &super::iommu::IommuGroup) -> bool {
        // SAFETY: `self` is valid; `group` holds a reference.
        unsafe { bindings::iommufd_ctx_has_group(self.as_raw(), group.as_raw()) }
    }
}

/// A device that is bound to an iommufd: `struct iommufd_device`.  The iommufd owns the DMA of the device's
/// group, unless the device has no IOMMU.
///
/// A Rust reference (`&BoundDevice`) exists only while its user keeps the device from being unbound.  The user
/// holds a lock that the unbinding task takes, or it is the driver that has bound the device.
#[repr(transparent)]
pub(crate) struct BoundDevice(Opaque<bindings::iommufd_device>);

impl BoundDevice {
    /// Binds `dev` to `ctx`.  Returns the object and its id in the iommufd.  May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the DMA of the device cannot be made coherent.
    /// - `ENODEV`: the device is in no group.
    /// - `EPERM`: the group has another owner, or interrupts are not isolated.
    /// - `EBUSY`: a page table other than the default one, or a page table of a PASID, is attached.
    /// - `ENOMEM`: out of memory.
    ///
    /// # Safety
    ///
    /// The caller calls [`unbind`](Self::unbind) for the result while `dev` exists.
    pub(crate) unsafe fn bind(
        ctx: &Ctx,
        dev: &Device,
    ) -> Result<(NonNull<bindings::iommufd_device>, u32)> {
        let mut id = 0;
        // SAFETY: `ctx` and `dev` are valid.  iommufd takes a reference on `ctx`, but none on `dev`: the
        // caller promises to unbind while `dev` exists.
        let raw = kernel::error::from_err_ptr(unsafe {
            bindings::iommufd_device_bind(ctx.as_raw(), super::device::as_raw(dev), &mut id)
        })?;
        Ok((NonNull::new(raw).ok_or(ENODEV)?, id))
    }

    /// Undoes [`bind`](Self::bind).  May sleep.
    ///
    /// # Safety
    ///
    /// `raw` came from `bind()`, no page table is attached to it, and it is not used any more.
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

    /// Attaches a page table or an IOAS to the device itself ([`NO_PASID`]) or to one of its PASIDs.  Sets
    /// `pt_id` to the id of the attached page table.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: the id is unknown.
    /// - `EINVAL`: the object is neither a page table nor an IOAS; it is not compatible with the device; or
    ///   another page table is attached to the group.
    /// - `EBUSY`: the device is being reset; or another user has attached a page table to the group or PASID.
    /// - `EADDRINUSE`: a mapping or an allowed range of the IOAS overlaps with addresses that the device cannot use;
    ///   or a mapping is not aligned to the pages of the IOMMU.
    /// - `EFAULT`: memory that is mapped in the IOAS cannot be pinned.
    /// - `ENOMEM`: out of memory.
    pub(crate) fn attach(&self, pasid: u32, pt_id: &mut u32) -> Result {
        // SAFETY: `self` is bound.
        to_result(unsafe { bindings::iommufd_device_attach(self.as_raw(), pasid, pt_id) })
    }

    /// Replaces the attached page table or IOAS.  Sets `pt_id` to the id of the new page table.  May sleep.
    ///
    /// # Errors
    ///
    /// As for [`attach`](Self::attach).  On failure the previous page table stays attached.
    pub(crate) fn replace(&self, pasid: u32, pt_id: &mut u32) -> Result {
        // SAFETY: `self` is bound.
        to_result(unsafe { bindings::iommufd_device_replace(self.as_raw(), pasid, pt_id) })
    }

    /// Undoes [`attach`](Self::attach).  May sleep.
    ///
    /// # Safety
    ///
    /// A page table is attached to `pasid` of this device.  iommufd checks this for the group only.
    pub(crate) unsafe fn detach(&self, pasid: u32) {
        // SAFETY: `self` is bound; the rest by the caller's promise.
        unsafe { bindings::iommufd_device_detach(self.as_raw(), pasid) }
    }

    /// Returns the iommufd.
    pub(crate) fn ctx(&self) -> &Ctx {
        // SAFETY: `self` is bound, and holds its iommufd until it is unbound.
        unsafe { Ctx::from_raw(bindings::iommufd_device_to_ictx(self.as_raw())) }
    }

    /// Returns the id of the device in the iommufd, which is at least 1.
    pub(crate) fn id(&self) -> u32 {
        // SAFETY: `self` is bound.
        unsafe { bindings::iommufd_device_to_id(self.as_raw()) }
    }
}

/// The access of a driver to the memory of an IOAS, for a device that the driver emulates:
/// `struct iommufd_access`.  References exist under the same conditions as for [`BoundDevice`].
#[repr(transparent)]
pub(crate) struct Access(Opaque<bindings::iommufd_access>);

impl Access {
    /// Creates an access.  Returns the access and its id in the iommufd.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    ///
    /// # Safety
    ///
    /// The functions of `ops` may be called with `data`, from any task, until [`destroy`](Self::destroy) of
    /// the result returns.
    pub(crate) unsafe fn create(
        ctx: &Ctx,
        ops: &'static bindings::iommufd_access_ops,
        data: *mut c_void,
    ) -> Result<(NonNull<bindings::iommufd_access>, u32)> {
        let mut id = 0;
        // SAFETY: `ctx` is valid, and the operations are constant; the rest is the caller's promise.
        let raw = kernel::error::from_err_ptr(unsafe {
            bindings::iommufd_access_create(ctx.as_raw(), ops, data, &mut id)
        })?;
        Ok((NonNull::new(raw).ok_or(ENODEV)?, id))
    }

    /// Undoes [`create`](Self::create).  If an IOAS is attached, iommufd first calls `unmap` for all addresses, and
    /// the driver must unpin its pages in this call.  May sleep.
    ///
    /// # Safety
    ///
    /// `raw` came from `create()`.  During the call only the functions of `ops` use it, and after the call no code
    /// uses it.
    pub(crate) unsafe fn destroy(raw: NonNull<bindings::iommufd_access>) {
        // SAFETY: By the caller's promise.
        unsafe { bindings::iommufd_access_destroy(raw.as_ptr()) }
    }

    /// # Safety
    ///
    /// `raw` is NULL, or an access that exists for `'a`.
    pub(crate) unsafe fn from_raw<'a>(raw: *mut bindings::iommufd_access) -> Option<&'a Self> {
        // SAFETY: By the caller's promise; the types have the same layout.
        unsafe { raw.cast::<Self>().as_ref() }
    }

    fn as_raw(&self) -> *mut bindings::iommufd_access {
        self.0.get()
    }

    /// Attaches an IOAS.  May sleep.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: the id is unknown.
    /// - `EINVAL`: an IOAS is already attached.  iommufd also warns.
    /// - `EADDRINUSE`: a mapping of the IOAS is not aligned to pages.
    /// - `EBUSY`: a detach is in progress.
    /// - `ENOMEM`: out of memory.
    pub(crate) fn attach(&self, ioas_id: u32) -> Result {
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_access_attach(self.as_raw(), ioas_id) })
    }

    /// Replaces the attached IOAS.  May sleep.
    ///
    /// # Errors
    ///
    /// As for [`attach`](Self::attach).  On failure the previous IOAS stays attached.
    pub(crate) fn replace(&self, ioas_id: u32) -> Result {
        // SAFETY: `self` is valid.
        to_result(unsafe { bindings::iommufd_access_replace(self.as_raw(), ioas_id) })
    }

    /// Detaches the IOAS.  May sleep.
    pub(crate) fn detach(&self) {
        // SAFETY: `self` is valid.
        unsafe { bindings::iommufd_access_detach(self.as_raw()) }
    }

    /// Pins the memory from `iova` on, and stores its pages in the array.  `iova` is a multiple of the page
    /// size, and the count of the array is the number of pages.  `write` tells whether the pages will be
    /// written.  May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the array has no space, or the memory is not mapped in whole pages, or it is being unmapped.
    /// - `EOVERFLOW`: the range overflows.
    /// - `ENOENT`: no IOAS is attached, or the range is not mapped.
    /// - `EPERM`: the memory is mapped without the required permission.
    /// - `EFAULT`, `ENOMEM`: the memory cannot be pinned.
    pub(crate) fn pin(&self, iova: usize, pages: PageArray<'_>, write: bool) -> Result {
        let length = usize::try_from(pages.count())
            .ok()
            .and_then(|count| count.checked_mul(PAGE_SIZE))
            .ok_or(EINVAL)?;
        // SAFETY: `self` is valid; the array has space for the pages of the range.
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

    /// Undoes a [`pin`](Self::pin) of the same range, of `length` bytes.  May sleep.
    pub(crate) fn unpin(&self, iova: usize, length: usize) {
        // SAFETY: `self` is valid; iommufd warns about a range that is not pinned.
        unsafe { bindings::iommufd_access_unpin_pages(self.as_raw(), iova, length) }
    }

    /// Copies between `data` and the memory at `iova`.  If `write` is true, the memory at `iova` is written;
    /// otherwise `data` is.  May sleep.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `data` is empty, or the memory is being unmapped.
    /// - `EOVERFLOW`: the range overflows.
    /// - `ENOENT`: no IOAS is attached, or the range is not mapped.
    /// - `EPERM`: the memory is mapped without the required permission.
    /// - `EFAULT`, `ENOMEM`: the memory cannot be accessed.
    pub(crate) fn rw(&self, iova: usize, data: DriverBuffer<'_>, write: bool) -> Result {
        let mut flags = if write { WRITE } else { 0 };
        if !super::sched::has_mm() {
            flags |= bindings::IOMMUFD_ACCESS_RW_KTHREAD;
        }
        // SAFETY: `self` is valid; `data` is valid by its type's invariants.
        to_result(unsafe {
            bindings::iommufd_access_rw(self.as_raw(), iova, data.as_ptr(), data.len(), flags)
        })
    }
}
