// SPDX-License-Identifier: GPL-2.0-only

//! A driver's device, and the driver.

#[allow(clippy::all, dead_code)]
#[path = "../../../../rust/shared/vfio/device_link.rs"]
pub(crate) mod device_link;
pub(crate) mod iommu_driver;
#[allow(clippy::all, dead_code)]
#[path = "../../../../rust/shared/vfio/opening.rs"]
pub(crate) mod opening;
pub(crate) mod ops;
#[allow(clippy::all, dead_code)]
#[path = "../../../../rust/shared/vfio/registering.rs"]
pub(crate) mod registering;
pub(crate) mod set;

use crate::{
    bindings,
    device::{open, registration},
    group::Backing,
    kapi::{completion::Completion, debugfs::DirOf},
};
use core::{marker::PhantomData, ops::Deref, ptr::NonNull};
use kernel::{
    device::Bound,
    prelude::*,
    sync::{Arc, Mutex},
};
use loom::{
    cell::UnsafeCell,
    sync::atomic::{
        AtomicU32,
        Ordering::{AcqRel, Relaxed},
    },
};
use opening::Closing;
use set::Fields;
use std::sync::atomic::AtomicBool;

pub(crate) use crate::device::{open::OpenResources, open::OpenedBy, GroupLink, State};
pub(crate) use device_link::{DeviceLink, Generation};
pub(crate) use registering::{Added, Registering};
pub(crate) use set::SetLocked;

mod debugfs {
    use super::{Device, DirOf, State};

    /// The directory of a device: none.
    pub(crate) struct DebugRoot;

    impl DebugRoot {
        pub(super) unsafe fn new(_: &Device, _: DirOf<State>) -> Self {
            Self
        }
    }
}

/// The types of the upper layers.
pub(crate) trait Core {
    fn close(device: &Device<Registered>, opened_by: OpenedBy, closing: Closing<'_>);
    fn link(state: &State) -> &DeviceLink<GroupLink>;
}

impl Core for Device {
    fn close(device: &Device<Registered>, opened_by: OpenedBy, closing: Closing<'_>) {
        open::close(device, opened_by, closing);
    }

    fn link(state: &State) -> &DeviceLink<GroupLink> {
        state.link()
    }
}

pub(crate) struct Normal;
pub(crate) struct Registered;
pub(crate) struct Open;

fn callback_result(ret: c_int) -> Result {
    match ret {
        0 => Ok(()),
        ret => Err(Error::from_errno(ret)),
    }
}

/// What a driver sees of its device.
pub(crate) struct Raw {
    parent: std::sync::Arc<kernel::device::Device>,
    /// The class device.
    pub(crate) device: bindings::device,
    pub(crate) dev_set: *mut Mutex<()>,
    refcount: AtomicU32,
    drained: Completion,
    state: Arc<State>,
    set: Arc<Mutex<()>>,
    fields: UnsafeCell<Fields>,
    /// The driver has been told to open the device, and not to close it.
    is_open: AtomicBool,
    is_bound: AtomicBool,
    /// The driver has freed the device.
    is_freed: AtomicBool,
}

impl Raw {
    /// The driver uses the machine of an open device, under the lock of the set.
    fn use_kvm(&self) {
        // SAFETY: Loom checks the access.
        self.fields.with(|fields| unsafe { &*fields }.use_kvm());
    }
}

/// A device.
#[repr(transparent)]
pub(crate) struct Device<Ctx = Normal>(Raw, PhantomData<Ctx>);

// SAFETY: Loom checks the accesses.
unsafe impl<Ctx> Send for Device<Ctx> {}
// SAFETY: As above.
unsafe impl<Ctx> Sync for Device<Ctx> {}

impl Deref for Device<Open> {
    type Target = Device<Registered>;

    fn deref(&self) -> &Self::Target {
        // SAFETY: The contexts differ only in the proof.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl Deref for Device<Registered> {
    type Target = Device<Normal>;

    fn deref(&self) -> &Self::Target {
        // SAFETY: The contexts differ only in the proof.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl Device {
    /// Makes a device of its own set.
    pub(crate) fn new() -> std::sync::Arc<Self> {
        let state = Arc::pin_init(State::new(), GFP_KERNEL).expect("allocations do not fail");
        let set = Arc::new(Mutex::new(()), GFP_KERNEL).expect("allocations do not fail");
        std::sync::Arc::new(Self(
            Raw {
                parent: kernel::device::Device::new(),
                device: bindings::device::new(),
                dev_set: NonNull::dangling().as_ptr(),
                refcount: AtomicU32::new(0),
                drained: Completion::new(),
                state,
                set,
                fields: UnsafeCell::new(Fields::default()),
                is_open: AtomicBool::new(false),
                is_bound: AtomicBool::new(false),
                is_freed: AtomicBool::new(false),
            },
            PhantomData,
        ))
    }

    /// `vfio_register_group_dev()`
    pub(crate) fn register(&self) -> Result {
        // SAFETY: The driver registers and unregisters the device in one task at a time.
        let registering = unsafe { Registering::from_raw(self.as_raw()) };
        registration::register(registering, Backing::of_physical)
    }

    /// `vfio_unregister_group_dev()`
    pub(crate) fn unregister(&self) {
        // SAFETY: As above.
        registration::unregister(unsafe { Registering::from_raw(self.as_raw()) });
        self.driver_has(|raw| {
            assert!(
                !raw.is_open.load(Relaxed),
                "a device that is unregistered is open"
            );
            assert!(
                !raw.is_bound.load(Relaxed),
                "a device that is unregistered is bound"
            );
            assert!(
                !raw.device.is_added(),
                "a device that is unregistered has a class device"
            );
        });
    }

    /// Tells whether the device is registered.
    pub(crate) fn is_registered(&self) -> bool {
        self.0.refcount.load(Relaxed) != 0
    }

    /// The core binds the device, to an iommufd or to a container.
    fn bind(&self) {
        self.driver_has(|raw| {
            assert!(!raw.is_bound.swap(true, Relaxed), "a device is bound twice")
        });
    }

    /// The core undoes the bind.
    fn unbind(&self) {
        self.driver_has(|raw| {
            assert!(
                !raw.is_open.load(Relaxed),
                "a device is unbound before it is closed"
            );
            assert!(
                raw.is_bound.swap(false, Relaxed),
                "a device is unbound twice"
            );
        });
    }

    /// Frees the device.  Its memory stays, so that a use of it is found.
    pub(crate) fn free(&self) {
        self.0.is_freed.store(true, Relaxed);
    }
}

impl<Ctx> Device<Ctx> {
    /// # Safety
    ///
    /// `ptr` is a device, and `Ctx` holds for it.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut Raw) -> &'a Self {
        // SAFETY: By the caller's promise.
        unsafe { &*ptr.cast() }
    }

    pub(crate) fn as_raw(&self) -> *mut Raw {
        core::ptr::from_ref(&self.0).cast_mut()
    }

    pub(crate) fn parent(&self) -> &kernel::device::Device {
        &self.0.parent
    }

    pub(crate) fn state(&self) -> &Arc<State> {
        &self.0.state
    }

    pub(crate) fn has_iommufd_ops(&self) -> bool {
        true
    }

    fn refcount(&self) -> &AtomicU32 {
        &self.0.refcount
    }

    fn registration_refs(&self) -> u32 {
        self.0.refcount.load(Relaxed)
    }

    fn drained(&self) -> &Completion {
        &self.0.drained
    }

    fn driver_has(&self, f: impl FnOnce(&Raw)) {
        assert!(
            !self.0.is_freed.load(Relaxed),
            "a device that is freed is used"
        );
        f(&self.0);
    }
}

impl Device<Registered> {
    pub(crate) fn bound_parent(&self) -> &kernel::device::Device<Bound> {
        // SAFETY: The driver of a registered device stays bound.
        unsafe { self.parent().as_bound() }
    }
}

/// A reference on the registration of a device.
pub(crate) struct RegistrationRef(NonNull<Device>);

// SAFETY: As the module's.
unsafe impl Send for RegistrationRef {}
// SAFETY: As above.
unsafe impl Sync for RegistrationRef {}

impl RegistrationRef {
    pub(crate) fn try_get(device: &Device) -> Option<Self> {
        device.driver_has(|_| ());
        let mut count = device.0.refcount.load(Relaxed);
        while count != 0 {
            match device
                .0
                .refcount
                .compare_exchange(count, count + 1, Relaxed, Relaxed)
            {
                Ok(_) => return Some(Self(NonNull::from(device))),
                Err(now) => count = now,
            }
        }
        None
    }

    pub(crate) fn generation(&self) -> Generation {
        self.state().link().last()
    }
}

impl Deref for RegistrationRef {
    type Target = Device<Registered>;

    fn deref(&self) -> &Self::Target {
        // SAFETY: The memory of a device stays until the model ends.
        unsafe { &*self.0.as_ptr().cast() }
    }
}

impl Drop for RegistrationRef {
    fn drop(&mut self) {
        // SAFETY: The memory of a device stays until the model ends.
        let device: &Device = unsafe { self.0.as_ref() };
        device.driver_has(|raw| {
            if raw.refcount.fetch_sub(1, AcqRel) == 1 {
                raw.drained.complete();
            }
        });
    }
}
