// SPDX-License-Identifier: GPL-2.0-only

//! The modules that map memory for containers (`struct vfio_iommu_driver_ops`), as
//! `vfio_iommu_type1.ko`.

use super::Device;
use crate::{
    bindings,
    kapi::{
        buffer::{DriverBuffer, PageArray},
        callback_result,
        iommu::IommuGroup,
        module::ModuleRef,
    },
};
use core::ptr::NonNull;
use kernel::{prelude::*, uaccess::UserPtr};

/// How a group reaches memory, in the words of IOMMU drivers.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum GroupType {
    Iommu = bindings::vfio_group_type_VFIO_IOMMU,
    Emulated = bindings::vfio_group_type_VFIO_EMULATED_IOMMU,
    NoIommu = bindings::vfio_group_type_VFIO_NO_IOMMU,
}

impl GroupType {
    /// What user space is told of its devices.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Iommu => "physical",
            Self::Emulated => "emulated",
            Self::NoIommu => "noiommu",
        }
    }
}

/// A driver that has offered itself.
///
/// # Invariants
///
/// The operations are valid, and have what [`Offer::new`] asks for.
pub(crate) struct Offer(NonNull<bindings::vfio_iommu_driver_ops>);

// SAFETY: The operations are constant and may be called by any task.
unsafe impl Send for Offer {}

impl Offer {
    /// # Errors
    ///
    /// `EINVAL` when only one of `register_device` and `unregister_device` is there, or one that
    /// no container can do without is absent.
    ///
    /// # Safety
    ///
    /// `ops` is valid until the offer is dropped, and from then on while the module that owns it is
    /// held.
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
            true => Ok(Self(ops)),
            false => Err(EINVAL),
        }
    }

    /// The address of the operations, by which offers are told apart.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    /// Holds the driver's module, which keeps the operations.  None when it is going away.
    pub(crate) fn hold(&self) -> Option<IommuDriver> {
        // SAFETY: By the type's invariants; a module that takes its offer back in its exit is at
        // least going.
        let module = unsafe { ModuleRef::try_get(self.0.as_ref().owner) }?;
        Some(IommuDriver {
            ops: self.0,
            _module: module,
        })
    }
}

/// A driver whose module is held.
///
/// # Invariants
///
/// `ops` is valid while the module is held, and has what [`Offer::new`] asks for.
pub(crate) struct IommuDriver {
    ops: NonNull<bindings::vfio_iommu_driver_ops>,
    _module: ModuleRef,
}

// SAFETY: The operations may be called by any task.
unsafe impl Send for IommuDriver {}
// SAFETY: As above.
unsafe impl Sync for IommuDriver {}

impl IommuDriver {
    fn ops(&self) -> &bindings::vfio_iommu_driver_ops {
        // SAFETY: By the type's invariants.
        unsafe { self.ops.as_ref() }
    }

    /// What the driver answers to `VFIO_CHECK_EXTENSION` without a container.
    pub(crate) fn check_extension(&self, arg: usize) -> isize {
        // SAFETY: The contract allows this one without data.
        unsafe { raw_ioctl(self.ops(), core::ptr::null_mut(), CHECK_EXTENSION, arg) }
    }

    /// Makes the driver's side of a container.
    ///
    /// # Errors
    ///
    /// The driver's.
    pub(crate) fn open(self, arg: usize) -> Result<Instance> {
        let open = self.ops().open.ok_or(EINVAL)?;
        // SAFETY: By the type's invariants.
        let data = kernel::error::from_err_ptr(unsafe { open(arg) })?;
        Ok(Instance { driver: self, data })
    }
}

const CHECK_EXTENSION: u32 = bindings::CHECK_EXTENSION;

/// # Safety
///
/// `data` is the driver's, or NULL for an ioctl that it answers without.
unsafe fn raw_ioctl(
    ops: &bindings::vfio_iommu_driver_ops,
    data: *mut c_void,
    cmd: u32,
    arg: usize,
) -> isize {
    match ops.ioctl {
        // SAFETY: By the caller's promise; the driver reads the user's memory itself.
        Some(ioctl) => unsafe { ioctl(data, cmd, arg) },
        None => 0,
    }
}

/// The driver's side of a container; released when dropped.
///
/// # Invariants
///
/// `data` came from the driver's `open`.
pub(crate) struct Instance {
    driver: IommuDriver,
    data: *mut c_void,
}

// SAFETY: The driver does its own locking.
unsafe impl Send for Instance {}
// SAFETY: As above.
unsafe impl Sync for Instance {}

impl Instance {
    /// An ioctl of the container's file.  The driver's result as it is.
    pub(crate) fn ioctl(&self, cmd: u32, arg: UserPtr) -> isize {
        // SAFETY: By the type's invariants.
        unsafe { raw_ioctl(self.driver.ops(), self.data, cmd, arg.as_const_ptr().addr()) }
    }

    /// What the driver answers to `VFIO_CHECK_EXTENSION` for this container.
    pub(crate) fn check_extension(&self, arg: usize) -> isize {
        // SAFETY: By the type's invariants.
        unsafe { raw_ioctl(self.driver.ops(), self.data, CHECK_EXTENSION, arg) }
    }

    /// Attaches a group.
    ///
    /// # Errors
    ///
    /// The driver's.
    pub(crate) fn attach_group(&self, group: &IommuGroup, kind: GroupType) -> Result {
        let ops = self.driver.ops();
        // SAFETY: By the type's invariants; `group` holds a reference, and the callback is there.
        callback_result(unsafe {
            bindings::vfio_helper_attach_group(ops, self.data, group.as_raw(), kind as u32)
        })
    }

    /// The end of [`attach_group`](Self::attach_group).
    pub(crate) fn detach_group(&self, group: &IommuGroup) {
        if let Some(detach) = self.driver.ops().detach_group {
            // SAFETY: As above; the group is attached.
            unsafe { detach(self.data, group.as_raw()) }
        }
    }

    /// Tells the driver of a device that is being opened.
    ///
    /// # Safety
    ///
    /// The lock of the device's set is held.  Before the device or the instance goes,
    /// [`unregister_device`](Self::unregister_device) is called, and not `register_device()` again.
    pub(super) unsafe fn register_device(&self, device: &Device) {
        if let Some(register) = self.driver.ops().register_device {
            // SAFETY: By the type's invariants and the caller's promise.
            unsafe { register(self.data, device.as_raw()) }
        }
    }

    /// The end of [`register_device`](Self::register_device).
    ///
    /// # Safety
    ///
    /// The lock of the device's set is held, and the driver was told of the device once.
    pub(super) unsafe fn unregister_device(&self, device: &Device) {
        if let Some(unregister) = self.driver.ops().unregister_device {
            // SAFETY: By the type's invariants and the caller's promise.
            unsafe { unregister(self.data, device.as_raw()) }
        }
    }

    /// Pins pages for the driver of an emulated device; the result is how many.
    ///
    /// # Errors
    ///
    /// `ENOTTY` when the IOMMU driver cannot; its own.
    pub(crate) fn pin_pages(
        &self,
        group: &IommuGroup,
        iova: u64,
        prot: c_int,
        pages: PageArray<'_>,
    ) -> c_int {
        let (count, pages) = (pages.count(), pages.as_ptr());
        match self.driver.ops().pin_pages {
            // SAFETY: By the types' invariants.
            Some(pin) => unsafe { pin(self.data, group.as_raw(), iova, count, prot, pages) },
            None => ENOTTY.to_errno(),
        }
    }

    /// Undoes a [`pin_pages`](Self::pin_pages) of the same range.
    pub(crate) fn unpin_pages(&self, iova: u64, npage: c_int) {
        if let Some(unpin) = self.driver.ops().unpin_pages {
            // SAFETY: By the type's invariants; the driver looks the pages up itself.
            unsafe { unpin(self.data, iova, npage) }
        }
    }

    /// Copies between `data` and the memory at `iova`; `write` is towards the user.
    ///
    /// # Errors
    ///
    /// `ENOTTY` when the IOMMU driver cannot; its own.
    pub(crate) fn dma_rw(&self, iova: u64, data: DriverBuffer<'_>, write: bool) -> Result {
        let rw = self.driver.ops().dma_rw.ok_or(ENOTTY)?;
        // SAFETY: By the types' invariants.
        callback_result(unsafe { rw(self.data, iova, data.as_ptr(), data.len(), write) })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(release) = self.driver.ops().release {
            // SAFETY: By the type's invariants; nobody uses it any more.  The module is held until
            // after this.
            unsafe { release(self.data) }
        }
    }
}
