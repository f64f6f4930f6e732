// SPDX-License-Identifier: GPL-2.0-only

//! `struct vfio_device` as a Rust type (`include/linux/vfio.h`).
//!
//! Drivers embed the structure and share it with the core, so it is never borrowed mutably and
//! its fields are reached one by one.  What may be done with a device depends on what is proved
//! of it, and the proof is the type of its context:
//!
//! - [`Normal`]: the object exists.  Only this one is what C code hands us.
//! - [`Registered`]: a reference on its registration is held ([`RegistrationRef`]), so the driver
//!   stays bound to the parent.
//! - [`Open`]: it is open, and the caller came by a file that has access.  Comes out of a passed
//!   access gate only.
//!
//! A device in a stronger context can be used where a weaker one is asked for.  There is no
//! counted reference on the strong ones, so a proof cannot be kept beyond what it proves.
//!
//! What only its device-set lock protects is in [`set`]; the driver's callbacks are in [`ops`].

pub(crate) mod debugfs;
pub(crate) mod info_caps;
pub(crate) mod iommu_driver;
#[cfg_attr(not(CONFIG_IOMMUFD), path = "vfio/no_iommufd.rs")]
pub(crate) mod iommufd;
pub(crate) mod migration;
pub(crate) mod opening;
pub(crate) mod ops;
pub(crate) mod registering;
pub(crate) mod set;
pub(crate) mod severable;

use super::Core;
use crate::{bindings, kapi::completion::Completion};
use core::{marker::PhantomData, ops::Deref, ptr::NonNull};
use kernel::{
    device::Bound,
    prelude::*,
    sync::{Arc, ArcBorrow},
    types::{ForeignOwnable, Opaque},
};

pub(crate) use registering::{Added, Owner};
pub(crate) use set::SetLocked;
pub(crate) use severable::Severable;

// What the core hangs on a device.  Its functions are called as the trait's: those of the types
// themselves, which the compiler sees, are the core's affair.
type State = <Device as Core>::State;
type Link = <Device as Core>::Link;
type FirstOpen = <Device as Core>::FirstOpen;

/// The device exists.
pub(crate) struct Normal;
/// Its registration is held.  It is in a set, then.
pub(crate) struct Registered;
/// It is open and the caller has access.
pub(crate) struct Open;

/// A `struct vfio_device` of which `Ctx` is proved.
///
/// # Invariants
///
/// Allocated by [`DeviceMemory`], initialised, and not yet released; its class device's driver data
/// is an `Arc<State>`.
#[repr(transparent)]
pub(crate) struct Device<Ctx = Normal>(Opaque<bindings::vfio_device>, PhantomData<Ctx>);

// SAFETY: The methods of each context do, or ask proof of, the locking that their fields need.
unsafe impl<Ctx> Sync for Device<Ctx> {}

impl Deref for Device<Open> {
    type Target = Device<Registered>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        // SAFETY: The contexts differ in the proof alone, and `Open` implies `Registered`.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl Deref for Device<Registered> {
    type Target = Device<Normal>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        // SAFETY: The contexts differ in the proof alone, and `Registered` implies `Normal`.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl<Ctx> Device<Ctx> {
    /// # Safety
    ///
    /// `ptr` satisfies the type's invariants for `'a`, and `Ctx` holds of it for `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::vfio_device) -> &'a Self {
        // SAFETY: By the caller's promise; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::vfio_device {
        self.0.get()
    }

    /// The physical or mediated device that this one stands for.
    #[inline]
    pub(crate) fn parent(&self) -> &kernel::device::Device {
        // SAFETY: `dev` is set at allocation and does not change; the driver keeps its parent
        // for as long as it keeps the object.
        unsafe { kernel::device::Device::from_raw((*self.as_raw()).dev) }
    }

    /// The core's own state of the device.
    #[inline]
    pub(crate) fn state(&self) -> ArcBorrow<'_, State> {
        // SAFETY: By the type's invariants; `device_initialize()` does not touch driver data and
        // nobody else sets it on VFIO's class device.
        unsafe { Arc::<State>::borrow((*self.as_raw()).device.driver_data) }
    }

    #[inline]
    fn refcount(&self) -> *mut bindings::refcount_t {
        // SAFETY: `self` is valid; only the address is taken.
        unsafe { &raw mut (*self.as_raw()).refcount }
    }

    /// How many references on the registration there are.
    fn registrations(&self) -> c_int {
        // SAFETY: A whole value is read.
        unsafe { (&raw const (*self.refcount()).refs.counter).read_volatile() }
    }

    /// Completed when the last registration reference is gone.
    fn drained(&self) -> &Completion {
        // SAFETY: Initialised at allocation; lives as long as `self`.
        unsafe { Completion::from_raw(&raw mut (*self.as_raw()).comp) }
    }
}

impl Device<Registered> {
    /// The parent, which the driver has for as long as the device is registered.
    #[inline]
    pub(crate) fn bound_parent(&self) -> &kernel::device::Device<Bound> {
        // SAFETY: The driver unregisters the device before it lets the parent go, and waits for `self`.
        unsafe { self.parent().as_bound() }
    }
}

/// A reference on the registration of a device: unregistration waits until it is dropped.
///
/// # Invariants
///
/// Owns one count of `refcount`, which [`Ready::start`](registering::Ready::start) began.
pub(crate) struct RegistrationRef(NonNull<Device>);

// SAFETY: The count is atomic and `Device` may be used by any task.
unsafe impl Send for RegistrationRef {}
// SAFETY: As above.
unsafe impl Sync for RegistrationRef {}

impl RegistrationRef {
    /// None when the device is not, or no longer, registered.
    pub(crate) fn try_get(device: &Device) -> Option<Self> {
        // SAFETY: `device` is valid.
        unsafe { bindings::vfio_helper_refcount_inc_not_zero(device.refcount()) }
            .then(|| Self(NonNull::from(device)))
    }

    /// Gives the count to the C caller, who puts it with `vfio_device_put_registration()`.
    pub(crate) fn into_foreign(self) {
        core::mem::forget(self);
    }

    /// # Safety
    ///
    /// The caller owns one count.
    pub(crate) unsafe fn from_foreign(device: &Device) -> Self {
        Self(NonNull::from(device))
    }
}

impl Deref for RegistrationRef {
    type Target = Device<Registered>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        // SAFETY: By the type's invariants the device is registered while `self` lives.
        unsafe { Device::from_raw(self.0.as_ref().as_raw()) }
    }
}

impl Drop for RegistrationRef {
    fn drop(&mut self) {
        // SAFETY: The count that is dropped here keeps the device valid up to the completion,
        // which is the last access.
        let device = unsafe { self.0.as_ref() };
        // SAFETY: `self` owns the count.
        if unsafe { bindings::refcount_dec_and_test(device.refcount()) } {
            device.drained().complete();
        }
    }
}

/// Memory for a device.  Freed when dropped.
pub(crate) struct DeviceMemory(NonNull<bindings::vfio_device>);

impl DeviceMemory {
    /// Allocates `size` zeroed bytes that begin with a `struct vfio_device`.
    ///
    /// # Errors
    ///
    /// `EINVAL` when `size` is too small for that, `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `parent` and `ops` are valid for as long as the device exists.
    pub(crate) unsafe fn alloc(
        size: usize,
        parent: *mut bindings::device,
        ops: *const bindings::vfio_device_ops,
    ) -> Result<Self> {
        if crate::kapi::panic::warn_on!(size < size_of::<bindings::vfio_device>()) {
            return Err(EINVAL);
        }
        // SAFETY: No requirements.
        let raw = unsafe { bindings::vfio_helper_kvzalloc(size) };
        let raw: *mut bindings::vfio_device = raw.cast();
        let device = Self(NonNull::new(raw).ok_or(ENOMEM)?);
        // SAFETY: The allocation is large enough, zeroed and ours.
        unsafe {
            (*raw).dev = parent;
            (*raw).ops = ops;
            bindings::vfio_helper_init_completion(&raw mut (*raw).comp);
            #[cfg(CONFIG_IOMMUFD)]
            bindings::vfio_helper_ida_init(&raw mut (*raw).pasids);
        }
        Ok(device)
    }

    /// Gives the device its index and its state.
    pub(crate) fn into_device(self, index: u32, state: Arc<State>) -> NewDevice {
        let raw = self.0.as_ptr();
        // SAFETY: The device is ours alone.  The inode is kept by the state, which the device
        // keeps.
        unsafe {
            (*raw).index = index;
            (*raw).inode = <Device as Core>::inode(&state).as_raw();
            (*raw).device.driver_data = state.into_foreign();
        }
        NewDevice(self)
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // SAFETY: `alloc()` allocated it.
        unsafe { bindings::kvfree(self.0.as_ptr().cast()) }
    }
}

/// A device whose driver does not know it: not yet, or not any more.  Freed when dropped, its state
/// with it.
///
/// # Invariants
///
/// The memory has a state, and is nobody else's.
pub(crate) struct NewDevice(DeviceMemory);

impl NewDevice {
    /// Calls the driver's `init`.
    ///
    /// # Errors
    ///
    /// The driver's; the device comes back.
    pub(crate) fn driver_init(self) -> Result<InitialisedDevice, (Self, Error)> {
        let raw = self.0 .0.as_ptr();
        // SAFETY: `ops` is valid; the callback gets a device in the state its contract asks for.
        let result = unsafe {
            match (*(*raw).ops).init {
                Some(init) => crate::kapi::callback_result(init(raw)),
                None => Ok(()),
            }
        };
        match result {
            Ok(()) => Ok(InitialisedDevice(self)),
            Err(e) => Err((self, e)),
        }
    }

    /// Takes it out of its set, if it is in one.
    pub(crate) fn leave_set(&mut self) -> Option<set::Left> {
        // SAFETY: The memory is ours, so nobody assigns it a set now.
        unsafe { set::leave(self.0 .0.as_ptr()) }
    }
}

/// A device whose driver's `init` has run and whose `release` has not, and which is no counted object:
/// not yet, or not any more.  When dropped the driver's `release` runs, and the device is freed.
pub(crate) struct InitialisedDevice(NewDevice);

impl InitialisedDevice {
    /// Makes it a counted object of `class` that `release` frees, and gives its one reference
    /// to the caller.
    ///
    /// # Safety
    ///
    /// `release` calls [`from_released`](Self::from_released).
    pub(crate) unsafe fn into_counted(
        self,
        class: &'static crate::kapi::class::Class,
        release: unsafe extern "C" fn(*mut bindings::device),
    ) -> *mut bindings::vfio_device {
        let raw = self.0 .0 .0.as_ptr();
        core::mem::forget(self);
        // SAFETY: The device is ours; everything that `release` needs has been set.
        unsafe {
            let device = &raw mut (*raw).device;
            bindings::device_initialize(device);
            (*device).release = Some(release);
            (*device).class = class.as_raw();
            (*device).parent = (*raw).dev;
        }
        raw
    }

    /// # Safety
    ///
    /// `ptr` came from [`into_counted`](Self::into_counted), its last reference is gone, and it is
    /// handed over: this is called once, by its `release`.
    pub(crate) unsafe fn from_released(ptr: *mut bindings::vfio_device) -> Self {
        // SAFETY: By the caller's promise not NULL.
        Self(NewDevice(DeviceMemory(unsafe {
            NonNull::new_unchecked(ptr)
        })))
    }

    /// The core's own state of it.
    pub(crate) fn state(&self) -> ArcBorrow<'_, State> {
        // SAFETY: The memory is ours and, by the type's invariants, has a state.
        let device: &Device = unsafe { Device::from_raw(self.0 .0 .0.as_ptr()) };
        device.state()
    }

    /// As [`NewDevice::leave_set`].
    pub(crate) fn leave_set(&mut self) -> Option<set::Left> {
        self.0.leave_set()
    }
}

impl Drop for InitialisedDevice {
    fn drop(&mut self) {
        let raw = self.0 .0 .0.as_ptr();
        // SAFETY: `ops` is valid until the device is freed; `init` has run, and this is the one
        // `release`.
        unsafe {
            if let Some(release) = (*(*raw).ops).release {
                release(raw);
            }
        }
    }
}

impl Drop for NewDevice {
    fn drop(&mut self) {
        // The set stays for ever, if nobody took the device out of it before.
        let _ = self.leave_set();
        // SAFETY: By the type's invariants driver data is a state that the device owns.
        let state = unsafe { Arc::<State>::from_foreign((*self.0 .0.as_ptr()).device.driver_data) };
        // Files may keep the state longer than the device: they lose the way to it here.
        drop(<Device as Core>::link(&state).sever());
    }
}

/// The device whose class device is `dev`.
///
/// # Safety
///
/// `dev` is the class device of a `struct vfio_device`.
pub(crate) unsafe fn from_class_device(dev: *mut bindings::device) -> *mut bindings::vfio_device {
    // SAFETY: By the caller's promise.
    unsafe { kernel::container_of!(dev, bindings::vfio_device, device) }
}
