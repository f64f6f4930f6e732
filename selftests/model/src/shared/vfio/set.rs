// SPDX-License-Identifier: GPL-2.0-only

//! The lock of a device's set, and the fields that it protects.  Loom reports an access without the lock.

use super::{iommu_driver::IommuData, Device, OpenResources, Registered};
use crate::{bindings, kapi::kvm::KvmRef};
use core::ptr::NonNull;
use kernel::sync::{lock::Guard, Arc};
use loom::cell::UnsafeCell;

/// The fields of `struct vfio_device` that the lock protects.
#[derive(Default)]
pub(crate) struct Fields {
    open_count: u32,
    cdev_opened: bool,
    kvm: Option<NonNull<bindings::kvm>>,
}

pub(crate) enum BoundTo {
    Nothing,
    #[allow(dead_code)]
    Iommufd {
        attachments: u64,
    },
    Container(Arc<IommuData>),
}

pub(crate) struct LockedState {
    open_resources: UnsafeCell<Option<OpenResources>>,
    kvm: UnsafeCell<Option<KvmRef>>,
    bound_to: UnsafeCell<Option<BoundTo>>,
}

// SAFETY: Loom checks the accesses.
unsafe impl Send for LockedState {}
// SAFETY: As above.
unsafe impl Sync for LockedState {}

impl LockedState {
    pub(crate) fn new() -> Self {
        Self {
            open_resources: UnsafeCell::new(None),
            kvm: UnsafeCell::new(None),
            bound_to: UnsafeCell::new(None),
        }
    }
}

pub(crate) struct DevSetGuard<'a> {
    device: &'a Device,
    _guard: Guard<'a, ()>,
}

impl DevSetGuard<'_> {
    pub(crate) fn locked(&mut self) -> SetLocked<'_> {
        SetLocked {
            device: self.device,
        }
    }
}

impl Device<Registered> {
    pub(crate) fn lock_set(&self) -> DevSetGuard<'_> {
        self.driver_has(|_| ());
        DevSetGuard {
            device: self,
            _guard: self.0.set.lock(),
        }
    }
}

pub(crate) struct SetLocked<'a> {
    device: &'a Device,
}

fn with<T, R>(cell: &UnsafeCell<T>, f: impl FnOnce(&T) -> R) -> R {
    // SAFETY: Loom checks the access.
    cell.with(|value| f(unsafe { &*value }))
}

fn with_mut<'a, T: 'a, R>(cell: &'a UnsafeCell<T>, f: impl FnOnce(&'a mut T) -> R) -> R {
    // SAFETY: Loom checks the access.
    cell.with_mut(|value| f(unsafe { &mut *value }))
}

impl Fields {
    /// The driver uses the machine that it finds in the device.
    pub(super) fn use_kvm(&self) {
        if let Some(kvm) = self.kvm {
            // SAFETY: The memory of a machine stays until the model ends.
            unsafe { kvm.as_ref() }.assert_exists();
        }
    }
}

impl<'a> SetLocked<'a> {
    pub(crate) fn device(&self) -> &'a Device {
        self.device
    }

    pub(crate) fn open_count(&self) -> u32 {
        with(&self.device.0.fields, |fields| fields.open_count)
    }

    pub(super) fn set_open_count(&mut self, count: u32) {
        with_mut(&self.device.0.fields, |fields| fields.open_count = count);
    }

    pub(crate) fn set_cdev_opened(&mut self, opened: bool) {
        with_mut(&self.device.0.fields, |fields| fields.cdev_opened = opened);
    }

    fn state(&self) -> &'a LockedState {
        self.device.state().locked()
    }

    pub(super) fn replace_kvm(&mut self, kvm: Option<KvmRef>) -> Option<KvmRef> {
        let raw = kvm.as_ref().and_then(|kvm| NonNull::new(kvm.as_raw()));
        with_mut(&self.device.0.fields, |fields| fields.kvm = raw);
        with_mut(&self.state().kvm, |slot| core::mem::replace(slot, kvm))
    }

    pub(super) fn take_kvm(&mut self) -> Option<KvmRef> {
        self.replace_kvm(None)
    }

    pub(super) fn bound_to(&mut self) -> &mut Option<BoundTo> {
        with_mut(&self.state().bound_to, |bound_to| bound_to)
    }

    pub(super) fn reset_precopy_info(&mut self) {}

    pub(crate) fn store_open_resources(&mut self, resources: &mut Option<OpenResources>) {
        with_mut(&self.state().open_resources, |stored| {
            assert!(stored.is_none(), "resources are stored twice");
            *stored = resources.take();
        });
    }

    pub(super) fn take_open_resources(&mut self, resources: &mut Option<OpenResources>) {
        with_mut(&self.state().open_resources, |stored| {
            *resources = stored.take();
        });
    }

    pub(crate) fn with_open_resources<R>(&self, f: impl FnOnce(&OpenResources) -> R) -> Option<R> {
        with(&self.state().open_resources, |stored| {
            stored.as_ref().map(f)
        })
    }
}
