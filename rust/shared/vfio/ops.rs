// SPDX-License-Identifier: GPL-2.0-only

//! The driver's callbacks (`struct vfio_device_ops`), each asking for the proof that its contract
//! needs.
//!
//! A result that is not a negative errno is passed on as the driver gave it.

use super::{info_caps::InfoCaps, Device, Open, Registered, SetLocked};
use crate::{
    bindings,
    kapi::{
        callback_result, device::as_raw, module::ModuleRef, series::EOPNOTSUPP, uaccess::UserString,
    },
};
use kernel::{fs::file, mm::virt::VmaNew, prelude::*, uaccess::UserPtr};

/// A UUID as user space wrote it.
pub(crate) type Uuid = [u8; 16];

impl<Ctx> Device<Ctx> {
    #[inline]
    pub(super) fn ops(&self) -> &bindings::vfio_device_ops {
        // SAFETY: Set at allocation; the driver keeps its callbacks as long as the object.
        unsafe { &*(*self.as_raw()).ops }
    }

    /// Whether the driver has all the callbacks that iommufd needs.
    pub(crate) fn has_iommufd_ops(&self) -> bool {
        let ops = self.ops();
        ops.bind_iommufd.is_some()
            && ops.unbind_iommufd.is_some()
            && ops.attach_ioas.is_some()
            && ops.detach_ioas.is_some()
    }

    /// Whether PASIDs can be attached.
    pub(crate) fn has_pasid_attach(&self) -> bool {
        self.ops().pasid_attach_ioas.is_some()
    }

    /// Whether PASIDs can be detached.
    pub(crate) fn has_pasid_detach(&self) -> bool {
        self.ops().pasid_detach_ioas.is_some()
    }

    /// Whether the driver looks at tokens.
    pub(crate) fn has_match_token(&self) -> bool {
        self.ops().match_token_uuid.is_some()
    }

    /// Whether the driver can be told that memory goes away, without which it may not pin any.
    pub(crate) fn has_dma_unmap(&self) -> bool {
        self.ops().dma_unmap.is_some()
    }

    /// Tells the driver that user space unmaps a range, in bytes.
    ///
    /// # Safety
    ///
    /// The device is bound, and stays so for the length of the call.
    #[cfg(CONFIG_IOMMUFD)]
    pub(super) unsafe fn dma_unmap(&self, iova: u64, length: u64) {
        if let Some(unmap) = self.ops().dma_unmap {
            // SAFETY: By the caller's promise.
            unsafe { unmap(self.as_raw(), iova, length) }
        }
    }

    /// Whether somebody has the device open, looked at without a lock.  What is open stays open
    /// for a driver that asks from within its callbacks.
    pub(crate) fn is_open_unlocked(&self) -> bool {
        // SAFETY: A whole value is read.
        unsafe { (&raw const (*self.as_raw()).open_count).read_volatile() != 0 }
    }
}

impl Device<Registered> {
    /// A reference on the driver's module.
    ///
    /// # Errors
    ///
    /// `ENODEV` when the module is going away.
    pub(crate) fn driver_module(&self) -> Result<ModuleRef> {
        let parent = as_raw(self.parent());
        // SAFETY: The device is registered, so its parent is bound to the driver that registered it:
        // `parent->driver` is set and stays.
        let owner = unsafe { (*(*parent).driver).owner };
        // SAFETY: `owner` is NULL (a built-in driver) or a module that is at least `GOING`, since
        // its driver has not returned from `remove` while the device is registered.
        unsafe { ModuleRef::try_get(owner) }.ok_or(ENODEV)
    }

    /// Whether the name that user space gave, perhaps with options, is the device's.
    ///
    /// # Errors
    ///
    /// The driver's: vfio-pci's are `EINVAL` for an unknown option and `EACCES` for a wrong token.
    pub(crate) fn has_name(&self, name: &mut UserString) -> Result<bool> {
        let Some(matches) = self.ops().match_ else {
            return Ok(name.is_name_of(self.parent()));
        };
        // SAFETY: The device is registered; the string is the caller's own.
        int_result(unsafe { matches(self.as_raw(), name.as_mut_ptr()) }).map(|found| found != 0)
    }
}

/// Callbacks under the set's lock.  Those of opening and closing are in [`opening`](super::opening).
impl SetLocked<'_> {
    /// Asks the driver whether the token opens the device; `None` is "no token given".
    ///
    /// # Errors
    ///
    /// The driver's: vfio-pci's are `EACCES` and `EINVAL`.
    pub(crate) fn match_token(&self, token: Option<&Uuid>) -> Result {
        let Some(match_token) = self.device().ops().match_token_uuid else {
            return Ok(());
        };
        let token = token.map_or(core::ptr::null(), |t| t.as_ptr().cast());
        // SAFETY: `token` is NULL or points to 16 bytes; a UUID has no alignment.
        callback_result(unsafe { match_token(self.device().as_raw(), token) })
    }

    /// The driver's `attach_ioas`: attaches, or replaces what is attached.  The result is the id
    /// of the page table in use.
    ///
    /// # Errors
    ///
    /// Those of `iommufd_device_attach()` for drivers that use the standard function.
    pub(crate) fn attach_ioas(&mut self, pt_id: u32) -> Result<u32> {
        let attach = self.device().ops().attach_ioas.ok_or(EINVAL)?;
        let mut pt_id = pt_id;
        // SAFETY: The device is bound, its set locked.
        callback_result(unsafe { attach(self.device().as_raw(), &mut pt_id) })?;
        Ok(pt_id)
    }

    /// The driver's `detach_ioas`.
    pub(crate) fn detach_ioas(&mut self) {
        if let Some(detach) = self.device().ops().detach_ioas {
            // SAFETY: The device is bound, its set locked.
            unsafe { detach(self.device().as_raw()) }
        }
    }

    /// As [`attach_ioas`](Self::attach_ioas), for a PASID.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` when the driver has no PASIDs; else as `attach_ioas`.
    pub(crate) fn pasid_attach_ioas(&mut self, pasid: u32, pt_id: u32) -> Result<u32> {
        let attach = self.device().ops().pasid_attach_ioas.ok_or(EOPNOTSUPP)?;
        let mut pt_id = pt_id;
        // SAFETY: The device is bound, its set locked.
        callback_result(unsafe { attach(self.device().as_raw(), pasid, &mut pt_id) })?;
        Ok(pt_id)
    }

    /// The driver's `pasid_detach_ioas`.
    pub(crate) fn pasid_detach_ioas(&mut self, pasid: u32) {
        if let Some(detach) = self.device().ops().pasid_detach_ioas {
            // SAFETY: The device is bound, its set locked.
            unsafe { detach(self.device().as_raw(), pasid) }
        }
    }
}

/// Callbacks of a device's user.
impl Device<Open> {
    /// The driver's result as it is.
    ///
    /// # Errors
    ///
    /// `EINVAL` without such a callback.
    #[inline]
    pub(crate) fn read(&self, buf: UserPtr, count: usize, pos: &mut file::Offset) -> Result<isize> {
        let read = self.ops().read.ok_or(EINVAL)?;
        // SAFETY: The device is open; the driver checks the user's buffer.
        Ok(unsafe { read(self.as_raw(), buf.as_mut_ptr().cast(), count, pos) })
    }

    /// The driver's result as it is.
    ///
    /// # Errors
    ///
    /// `EINVAL` without such a callback.
    #[inline]
    pub(crate) fn write(
        &self,
        buf: UserPtr,
        count: usize,
        pos: &mut file::Offset,
    ) -> Result<isize> {
        let write = self.ops().write.ok_or(EINVAL)?;
        // SAFETY: The device is open; the driver checks the user's buffer.
        Ok(unsafe { write(self.as_raw(), buf.as_const_ptr().cast(), count, pos) })
    }

    /// The driver's result as it is.
    ///
    /// # Errors
    ///
    /// `EINVAL` without such a callback.
    pub(crate) fn mmap(&self, vma: &VmaNew) -> Result {
        let mmap = self.ops().mmap.ok_or(EINVAL)?;
        // SAFETY: The device is open; `vma` is being set up by the caller's mmap().
        callback_result(unsafe { mmap(self.as_raw(), vma.as_ptr()) })
    }

    /// An ioctl that the core does not know.  The driver's result as it is: it may be positive.
    ///
    /// # Errors
    ///
    /// `EINVAL` without such a callback.
    #[inline]
    pub(crate) fn ioctl(&self, cmd: u32, arg: UserPtr) -> Result<c_int> {
        let ioctl = self.ops().ioctl.ok_or(EINVAL)?;
        // SAFETY: The device is open; the driver reads the user's memory itself.
        let ret = unsafe { ioctl(self.as_raw(), cmd, arg.as_const_ptr().addr()) };
        // CAST: The C core passes the result through an `int` too.
        Ok(ret as c_int)
    }

    /// A device feature that the core does not know.  The driver's result as it is.
    ///
    /// # Errors
    ///
    /// `ENOTTY` without such a callback.
    pub(crate) fn device_feature(&self, flags: u32, data: UserPtr, size: usize) -> Result<c_int> {
        let feature = self.ops().device_feature.ok_or(ENOTTY)?;
        // SAFETY: The device is open; the driver reads the user's memory itself.
        Ok(unsafe { feature(self.as_raw(), flags, data.as_mut_ptr(), size) })
    }

    /// Whether the driver describes its regions.
    pub(crate) fn has_region_info(&self) -> bool {
        self.ops().get_region_info_caps.is_some()
    }

    /// Fills in the description of a region, and the chain of its capabilities.
    ///
    /// # Errors
    ///
    /// `EINVAL` without such a callback; else the driver's.
    pub(crate) fn region_info(&self, info: &mut RegionInfo, caps: &InfoCaps) -> Result {
        let get = self.ops().get_region_info_caps.ok_or(EINVAL)?;
        // SAFETY: The device is open; both structures are the caller's own.
        callback_result(unsafe { get(self.as_raw(), &mut info.0, caps.as_raw()) })
    }
}

/// `struct vfio_region_info`.
#[repr(transparent)]
pub(crate) struct RegionInfo(pub(crate) bindings::vfio_region_info);

#[inline]
fn int_result(ret: c_int) -> Result<c_int> {
    match ret {
        ret if ret < 0 => Err(Error::from_errno(ret)),
        ret => Ok(ret),
    }
}
