// SPDX-License-Identifier: GPL-2.0-only

//! Container drivers: the modules that map memory for containers (`struct vfio_iommu_driver_ops`), such as
//! `vfio_iommu_type1.ko`.
//!
//! The C core calls them IOMMU drivers.

use super::{callback_result, Device};
use crate::{
    bindings,
    kapi::{
        buffer::{DriverBuffer, PageArray},
        iommu::IommuGroup,
        module::ModuleRef,
    },
};
use core::ptr::NonNull;
use kernel::{prelude::*, sync::Arc, uaccess::UserPtr};

/// The type of a group, as container drivers know it (`enum vfio_group_type`).
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum GroupType {
    Iommu = bindings::vfio_group_type_VFIO_IOMMU,
    Emulated = bindings::vfio_group_type_VFIO_EMULATED_IOMMU,
    NoIommu = bindings::vfio_group_type_VFIO_NO_IOMMU,
}

impl GroupType {
    /// Returns the word for the type in fdinfo (`vfio-type`).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Iommu => "physical",
            Self::Emulated => "emulated",
            Self::NoIommu => "noiommu",
        }
    }
}

/// A registered container driver (C: `struct vfio_iommu_driver`).
///
/// # Invariants
///
/// The operations are valid, and the callbacks that [`RegisteredDriver::new`] requires are set.
pub(crate) struct RegisteredDriver {
    ops: NonNull<bindings::vfio_iommu_driver_ops>,
    /// The driver is for groups without an IOMMU.
    noiommu: bool,
}

// SAFETY: The operations are constant, and any task may call them.
unsafe impl Send for RegisteredDriver {}

impl RegisteredDriver {
    /// Checks the operations of a driver, and warns about invalid operations.  C counterpart: the checks in
    /// `vfio_register_iommu_driver()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `ops` is NULL; exactly one of `register_device` and `unregister_device` is set; or one of
    ///   `open`, `release`, `ioctl`, `attach_group` and `detach_group` is not set.
    ///
    /// # Safety
    ///
    /// `ops` is valid until the result is dropped, and after that for as long as a reference on the owner
    /// module is held.
    pub(crate) unsafe fn new(ops: *const bindings::vfio_iommu_driver_ops) -> Result<Self> {
        let ops = NonNull::new(ops.cast_mut()).ok_or(EINVAL)?;
        // SAFETY: By the caller's promise.
        let table = unsafe { ops.as_ref() };
        let paired = table.register_device.is_some() == table.unregister_device.is_some();
        let whole = table.open.is_some()
            && table.release.is_some()
            && table.ioctl.is_some()
            && table.attach_group.is_some()
            && table.detach_group.is_some();
        match !crate::kapi::panic::warn_on!(!paired || !whole) {
            true => Ok(Self {
                ops,
                noiommu: false,
            }),
            false => Err(EINVAL),
        }
    }

    /// Marks the driver as the driver for groups without an IOMMU.
    pub(crate) fn for_noiommu(self) -> Self {
        Self {
            noiommu: true,
            ..self
        }
    }

    /// Tells whether the driver is for groups without an IOMMU.
    pub(crate) fn is_noiommu(&self) -> bool {
        self.noiommu
    }

    /// Returns the address of the operations, which identifies the driver.
    pub(crate) fn address(&self) -> usize {
        self.ops.as_ptr().addr()
    }

    /// Takes a reference on the driver's module, which keeps the operations valid.  None if the module is
    /// unloading.
    pub(crate) fn hold(&self) -> Option<IommuDriver> {
        // SAFETY: By the type's invariants.  The module is not freed, because it unregisters the driver, at
        // the latest in its exit function.
        let module = unsafe { ModuleRef::try_get(self.ops.as_ref().owner) }?;
        Some(IommuDriver {
            ops: self.ops,
            _module: module,
        })
    }
}

/// A container driver with a reference on its module.
///
/// # Invariants
///
/// `ops` is valid while the module reference is held, and the callbacks that [`RegisteredDriver::new`]
/// requires are set.
pub(crate) struct IommuDriver {
    ops: NonNull<bindings::vfio_iommu_driver_ops>,
    _module: ModuleRef,
}

// SAFETY: Any task may call the operations.
unsafe impl Send for IommuDriver {}
// SAFETY: As above.
unsafe impl Sync for IommuDriver {}

impl IommuDriver {
    fn ops(&self) -> &bindings::vfio_iommu_driver_ops {
        // SAFETY: By the type's invariants.
        unsafe { self.ops.as_ref() }
    }

    /// Returns the driver's answer to `VFIO_CHECK_EXTENSION` for a container that has no driver data yet.
    pub(crate) fn check_extension(&self, arg: usize) -> isize {
        // SAFETY: The contract of the callback permits this ioctl with NULL instead of driver data.
        unsafe { raw_ioctl(self.ops(), core::ptr::null_mut(), CHECK_EXTENSION, arg) }
    }

    /// Calls the driver's `open`, which makes the driver data of a container.  `arg` is the extension that
    /// user space chose.
    ///
    /// # Errors
    ///
    /// The driver's errno.
    pub(crate) fn open(self, arg: usize) -> Result<IommuData> {
        let open = self.ops().open.ok_or(EINVAL)?;
        // SAFETY: By the type's invariants.
        let data = kernel::error::from_err_ptr(unsafe { open(arg) })?;
        Ok(IommuData { driver: self, data })
    }
}

const CHECK_EXTENSION: u32 = bindings::CHECK_EXTENSION;

/// # Safety
///
/// `data` is driver data of the driver, or NULL for an ioctl that the driver accepts without driver data.
unsafe fn raw_ioctl(
    ops: &bindings::vfio_iommu_driver_ops,
    data: *mut c_void,
    cmd: u32,
    arg: usize,
) -> isize {
    match ops.ioctl {
        // SAFETY: By the caller's promise; the driver itself reads the user memory.
        Some(ioctl) => unsafe { ioctl(data, cmd, arg) },
        None => 0,
    }
}

/// The driver data of a container (C: `iommu_data`).  The driver's `release` runs on drop.
///
/// # Invariants
///
/// `data` came from the driver's `open`.
pub(crate) struct IommuData {
    driver: IommuDriver,
    data: *mut c_void,
}

// SAFETY: The driver does its own locking.
unsafe impl Send for IommuData {}
// SAFETY: As above.
unsafe impl Sync for IommuData {}

impl IommuData {
    /// Passes an ioctl of the container's file to the driver.  Returns the driver's result unchanged.
    pub(crate) fn ioctl(&self, cmd: u32, arg: UserPtr) -> isize {
        // SAFETY: By the type's invariants.
        unsafe { raw_ioctl(self.driver.ops(), self.data, cmd, arg.as_const_ptr().addr()) }
    }

    /// Returns the driver's answer to `VFIO_CHECK_EXTENSION` for this container.
    pub(crate) fn check_extension(&self, arg: usize) -> isize {
        // SAFETY: By the type's invariants.
        unsafe { raw_ioctl(self.driver.ops(), self.data, CHECK_EXTENSION, arg) }
    }

    /// Tells the driver about a device that is being opened.
    ///
    /// # Safety
    ///
    /// The lock of the device's set is held.  Before the device or the data is freed, the caller calls
    /// [`unregister_device`](Self::unregister_device), with no second `register_device()` in between.
    pub(super) unsafe fn register_device(&self, device: &Device) {
        if let Some(register) = self.driver.ops().register_device {
            // SAFETY: By the type's invariants and the caller's promise.
            unsafe { register(self.data, device.as_raw()) }
        }
    }

    /// Undoes [`register_device`](Self::register_device).
    ///
    /// # Safety
    ///
    /// The lock of the device's set is held, and `register_device()` was called once for the device.
    pub(super) unsafe fn unregister_device(&self, device: &Device) {
        if let Some(unregister) = self.driver.ops().unregister_device {
            // SAFETY: By the type's invariants and the caller's promise.
            unsafe { unregister(self.data, device.as_raw()) }
        }
    }

    /// Undoes an [`AttachedGroup::pin_pages`] of the same range.
    pub(crate) fn unpin_pages(&self, iova: u64, npage: c_int) {
        if let Some(unpin) = self.driver.ops().unpin_pages {
            // SAFETY: By the type's invariants; the container driver itself looks up the pages.
            unsafe { unpin(self.data, iova, npage) }
        }
    }

    /// Copies between `data` and the memory at `iova`.  If `write` is true, the memory at `iova` is written;
    /// otherwise `data` is.
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the container driver has no `dma_rw`.
    /// - The errno of the container driver; `EINVAL` if it returns a positive number.
    pub(crate) fn dma_rw(&self, iova: u64, data: DriverBuffer<'_>, write: bool) -> Result {
        let rw = self.driver.ops().dma_rw.ok_or(ENOTTY)?;
        // SAFETY: By the invariants of the types.
        callback_result(unsafe { rw(self.data, iova, data.as_ptr(), data.len(), write) })
    }
}

impl Drop for IommuData {
    #[inline(never)]
    fn drop(&mut self) {
        if let Some(release) = self.driver.ops().release {
            // SAFETY: By the type's invariants; this is the last use of the data.  The module reference is
            // held until after this call.
            unsafe { release(self.data) }
        }
    }
}

/// A group that is attached to the data of a container driver.  The group is detached on drop.
///
/// # Invariants
///
/// The driver's `attach_group` has succeeded for `data` and `group`, and `detach_group` has not been called.
pub(crate) struct AttachedGroup {
    data: Arc<IommuData>,
    group: IommuGroup,
}

impl AttachedGroup {
    /// Calls the driver's `attach_group`.
    ///
    /// # Errors
    ///
    /// The driver's errno; `EINVAL` if it returns a positive number.
    pub(crate) fn attach(
        data: &Arc<IommuData>,
        group: &IommuGroup,
        group_type: GroupType,
    ) -> Result<Self> {
        let ops = data.driver.ops();
        // SAFETY: By the type's invariants; `group` holds a reference, and the callback is set.
        callback_result(unsafe {
            bindings::vfio_helper_attach_group(ops, data.data, group.as_raw(), group_type as u32)
        })?;
        // INVARIANT: The callback has succeeded.
        Ok(Self {
            data: data.clone(),
            group: group.clone(),
        })
    }

    /// Returns the data of the container driver.
    pub(crate) fn data(&self) -> &Arc<IommuData> {
        &self.data
    }

    /// Pins pages from `iova` on, for the VFIO driver of an emulated device in the group.  Returns the number
    /// of pinned pages, or a negative errno.
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the container driver has no `pin_pages`.
    /// - The errno of the container driver.
    pub(crate) fn pin_pages(&self, iova: u64, prot: c_int, pages: PageArray<'_>) -> c_int {
        let (count, pages) = (pages.count(), pages.as_ptr());
        let data = self.data.data;
        match self.data.driver.ops().pin_pages {
            // SAFETY: By the invariants of the types; the driver requires that the group is attached.
            Some(pin) => unsafe { pin(data, self.group.as_raw(), iova, count, prot, pages) },
            None => ENOTTY.to_errno(),
        }
    }
}

impl Drop for AttachedGroup {
    #[inline(never)]
    fn drop(&mut self) {
        if let Some(detach) = self.data.driver.ops().detach_group {
            // SAFETY: By the type's invariants.
            unsafe { detach(self.data.data, self.group.as_raw()) }
        }
    }
}
