// SPDX-License-Identifier: GPL-2.0-only

//! The driver callbacks (`struct vfio_device_ops`): each method requires the proof that the contract of its
//! callback needs.
//!
//! Most callbacks return 0 or a negative errno.  A positive number from such a callback becomes `EINVAL`.  The
//! methods `read`, `write` and `device_feature` return the driver's result unchanged; `ioctl` truncates it to
//! `int`.

use super::{callback_result, info_caps::InfoCaps, Device, Open, Registered, SetLocked};
use crate::{
    bindings,
    kapi::{device::as_raw, module::ModuleRef, series::EOPNOTSUPP, uaccess::UserString},
};
use kernel::{fs::file, mm::virt::VmaNew, prelude::*, uaccess::UserPtr};

/// A UUID in the byte order in which user space wrote it.
pub(crate) type Uuid = [u8; 16];

impl<Ctx> Device<Ctx> {
    #[inline]
    pub(super) fn ops(&self) -> &bindings::vfio_device_ops {
        // SAFETY: The field is set at allocation; the driver keeps the callbacks for as long as the object.
        unsafe { &*(*self.as_raw()).ops }
    }

    /// Tells whether the driver has all callbacks that iommufd needs.
    pub(crate) fn has_iommufd_ops(&self) -> bool {
        let ops = self.ops();
        ops.bind_iommufd.is_some()
            && ops.unbind_iommufd.is_some()
            && ops.attach_ioas.is_some()
            && ops.detach_ioas.is_some()
    }

    /// Tells whether the driver can attach page tables to PASIDs.
    pub(crate) fn has_pasid_attach(&self) -> bool {
        self.ops().pasid_attach_ioas.is_some()
    }

    /// Tells whether the driver can detach page tables from PASIDs.
    pub(crate) fn has_pasid_detach(&self) -> bool {
        self.ops().pasid_detach_ioas.is_some()
    }

    /// Tells whether the driver checks tokens.
    pub(crate) fn has_match_token(&self) -> bool {
        self.ops().match_token_uuid.is_some()
    }

    /// Tells whether the driver has `dma_unmap`.  A driver without it must not pin memory.
    pub(crate) fn has_dma_unmap(&self) -> bool {
        self.ops().dma_unmap.is_some()
    }

    /// Tells the driver that user space unmaps a range, in bytes.
    ///
    /// # Safety
    ///
    /// The device is bound, and stays bound during the call.
    #[cfg(CONFIG_IOMMUFD)]
    pub(super) unsafe fn dma_unmap(&self, iova: u64, length: u64) {
        if let Some(unmap) = self.ops().dma_unmap {
            // SAFETY: By the caller's promise.
            unsafe { unmap(self.as_raw(), iova, length) }
        }
    }

    /// Tells whether the device is open.  Takes no lock, so the answer can be stale.  It is not stale for a
    /// driver that asks during a callback of an open device, because the device stays open during the
    /// callback.
    pub(crate) fn is_open_unlocked(&self) -> bool {
        // SAFETY: The count is read with one load.
        unsafe { (&raw const (*self.as_raw()).open_count).read_volatile() != 0 }
    }
}

impl Device<Registered> {
    /// Takes a reference on the driver's module.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the module is unloading.
    pub(crate) fn driver_module(&self) -> Result<ModuleRef> {
        let parent = as_raw(self.parent());
        // SAFETY: The device is registered, so its parent is bound to the driver that registered it:
        // `parent->driver` is set and does not change.
        let owner = unsafe { (*(*parent).driver).owner };
        // SAFETY: `owner` is NULL (a built-in driver) or a module that is not freed (it can be `GOING`),
        // because its driver cannot return from `remove` while the device is registered.
        unsafe { ModuleRef::try_get(owner) }.ok_or(ENODEV)
    }

    /// Tells whether a name from user space, with or without options, matches the device.
    ///
    /// # Errors
    ///
    /// The driver's errno: vfio-pci returns `EINVAL` for an unknown option and `EACCES` for a wrong token.
    pub(crate) fn has_name(&self, name: &mut UserString) -> Result<bool> {
        let Some(matches) = self.ops().match_ else {
            return Ok(name.is_name_of(self.parent()));
        };
        // SAFETY: The device is registered; the caller owns the string.
        int_result(unsafe { matches(self.as_raw(), name.as_mut_ptr()) }).map(|found| found != 0)
    }
}

/// Callbacks under the set's lock.  [`opening`](super::opening) has the callbacks of open and close.
impl SetLocked<'_> {
    /// Asks the driver whether the token permits opening the device.  `None` means that no token was given.
    ///
    /// # Errors
    ///
    /// The driver's errno: vfio-pci returns `EACCES` and `EINVAL`.
    pub(crate) fn match_token(&self, token: Option<&Uuid>) -> Result {
        let Some(match_token) = self.device().ops().match_token_uuid else {
            return Ok(());
        };
        let token = token.map_or(core::ptr::null(), |t| t.as_ptr().cast());
        // SAFETY: The set's lock is held.  `token` is NULL or points to 16 bytes; a UUID needs no alignment.
        callback_result(unsafe { match_token(self.device().as_raw(), token) })
    }

    /// Calls the driver's `attach_ioas`, which attaches a page table, or replaces the attached one.  Sets
    /// `pt_id` to the id of the attached page table.  Returns [`attachments`](Self::attachments).
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the device is not bound to an iommufd, the driver does not have the callback, or it returned a
    ///   positive number.
    /// - The driver's errno; that of `iommufd_device_attach()` for drivers that use the standard callback.
    #[inline]
    pub(crate) fn attach_ioas(&mut self, pt_id: &mut u32) -> Result<u64> {
        self.change_attachment(|device| {
            let attach = device.ops().attach_ioas.ok_or(EINVAL)?;
            // SAFETY: The device is bound to an iommufd, and the set's lock is held.
            callback_result(unsafe { attach(device.as_raw(), pt_id) })
        })
    }

    /// Calls the driver's `detach_ioas`, if the device is bound to an iommufd.
    #[inline]
    pub(crate) fn detach_ioas(&mut self) {
        let _ = self.change_attachment(|device| {
            if let Some(detach) = device.ops().detach_ioas {
                // SAFETY: The device is bound to an iommufd, and the set's lock is held.
                unsafe { detach(device.as_raw()) }
            }
            Ok(())
        });
    }

    /// Does the same as [`attach_ioas`](Self::attach_ioas), for a PASID.
    ///
    /// # Errors
    ///
    /// - `EOPNOTSUPP`: the driver does not support PASIDs.
    /// - Otherwise as for `attach_ioas`.
    #[inline]
    pub(crate) fn pasid_attach_ioas(&mut self, pasid: u32, pt_id: &mut u32) -> Result<u64> {
        self.change_attachment(|device| {
            let attach = device.ops().pasid_attach_ioas.ok_or(EOPNOTSUPP)?;
            // SAFETY: The device is bound to an iommufd, and the set's lock is held.
            callback_result(unsafe { attach(device.as_raw(), pasid, pt_id) })
        })
    }

    /// Calls the driver's `pasid_detach_ioas`, if the device is bound to an iommufd.
    #[inline]
    pub(crate) fn pasid_detach_ioas(&mut self, pasid: u32) {
        let _ = self.change_attachment(|device| {
            if let Some(detach) = device.ops().pasid_detach_ioas {
                // SAFETY: The device is bound to an iommufd, and the set's lock is held.
                unsafe { detach(device.as_raw(), pasid) }
            }
            Ok(())
        });
    }
}

/// Callbacks for the user of an open device.
impl Device<Open> {
    /// Calls the driver's `read`.  Returns its result unchanged.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the driver does not have the callback.
    #[inline]
    pub(crate) fn read(&self, buf: UserPtr, count: usize, pos: &mut file::Offset) -> Result<isize> {
        let read = self.ops().read.ok_or(EINVAL)?;
        // SAFETY: The device is open; the driver checks the user buffer.
        Ok(unsafe { read(self.as_raw(), buf.as_mut_ptr().cast(), count, pos) })
    }

    /// Calls the driver's `write`.  Returns its result unchanged.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the driver does not have the callback.
    #[inline]
    pub(crate) fn write(
        &self,
        buf: UserPtr,
        count: usize,
        pos: &mut file::Offset,
    ) -> Result<isize> {
        let write = self.ops().write.ok_or(EINVAL)?;
        // SAFETY: The device is open; the driver checks the user buffer.
        Ok(unsafe { write(self.as_raw(), buf.as_const_ptr().cast(), count, pos) })
    }

    /// Calls the driver's `mmap`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the driver does not have the callback, or it returned a positive number.
    /// - The driver's errno.
    pub(crate) fn mmap(&self, vma: &VmaNew) -> Result {
        let mmap = self.ops().mmap.ok_or(EINVAL)?;
        // SAFETY: The device is open; the mmap() of the caller is setting up `vma`.
        callback_result(unsafe { mmap(self.as_raw(), vma.as_ptr()) })
    }

    /// Passes an ioctl that the core does not handle to the driver.  Returns the driver's result, truncated to
    /// `int`: a value, which can be positive, or a negative errno.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the driver does not have the callback.
    #[inline]
    pub(crate) fn ioctl(&self, cmd: u32, arg: UserPtr) -> c_int {
        let Some(ioctl) = self.ops().ioctl else {
            return EINVAL.to_errno();
        };
        // SAFETY: The device is open; the driver itself reads the user memory.
        let ret = unsafe { ioctl(self.as_raw(), cmd, arg.as_const_ptr().addr()) };
        // CAST: The C core passes the result through an `int`, too.
        ret as c_int
    }

    /// Passes a device feature that the core does not handle to the driver.  Returns the driver's result
    /// unchanged: a value, or a negative errno.
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the driver does not have the callback.
    #[inline]
    pub(crate) fn device_feature(&self, flags: u32, data: UserPtr, size: usize) -> c_int {
        let Some(feature) = self.ops().device_feature else {
            return ENOTTY.to_errno();
        };
        // SAFETY: The device is open; the driver itself accesses the user memory.
        unsafe { feature(self.as_raw(), flags, data.as_mut_ptr(), size) }
    }

    /// Tells whether the driver has `get_region_info_caps`.
    pub(crate) fn has_region_info(&self) -> bool {
        self.ops().get_region_info_caps.is_some()
    }

    /// Fills in the description of a region and its capability chain.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the driver does not have the callback, or it returned a positive number.
    /// - The driver's errno.
    pub(crate) fn region_info(&self, info: &mut RegionInfo, caps: &InfoCaps) -> Result {
        let get = self.ops().get_region_info_caps.ok_or(EINVAL)?;
        let info = core::ptr::from_mut(info).cast();
        // SAFETY: The device is open; the caller owns both structures.  `RegionInfo` is the structure of C.
        callback_result(unsafe { get(self.as_raw(), info, caps.as_raw()) })
    }
}

/// `struct vfio_region_info` of the uAPI.
#[repr(C)]
#[derive(FromBytes, IntoBytes, zerocopy_derive::Immutable)]
pub(crate) struct RegionInfo {
    /// The size of the user's buffer in bytes.  On return, the required size if the capabilities do not fit.
    pub(crate) argsz: u32,
    pub(crate) flags: u32,
    pub(crate) index: u32,
    pub(crate) cap_offset: u32,
    /// The size of the region in bytes.
    pub(crate) size: u64,
    /// The offset of the region in the file, in bytes.
    pub(crate) offset: u64,
}

#[inline]
fn int_result(ret: c_int) -> Result<c_int> {
    match ret {
        ret if ret < 0 => Err(Error::from_errno(ret)),
        ret => Ok(ret),
    }
}
