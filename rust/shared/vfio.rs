// SPDX-License-Identifier: GPL-2.0-only

//! `struct vfio_device` as a Rust type (`include/linux/vfio.h`).
//!
//! Drivers embed the structure and share it with the core.  So the structure is never borrowed mutably, and
//! its fields are accessed one by one.  The type parameter of [`Device`], its context, states what is proved
//! about the device, and selects the available methods:
//!
//! - [`Normal`]: the object exists.  A pointer from C code proves no more than this.
//! - [`Registered`]: a reference on the registration is held ([`RegistrationRef`]), so the driver stays bound
//!   to the parent.
//! - [`Open`]: the device is open, and the caller reached it through a file that has access.
//!   [`Opened::device()`](opening::Opened::device) gives this context.  The operations of a file get it only
//!   after the access gate.
//!
//! `Device<Open>` dereferences to `Device<Registered>`, which dereferences to `Device<Normal>`.  A `Device`
//! can only be borrowed, so a proof cannot outlive the fact that it proves.
//!
//! [`set`] has the fields that the device-set lock protects, and [`ops`] has the driver callbacks.

pub(crate) mod debugfs;
pub(crate) mod device_link;
pub(crate) mod info_caps;
pub(crate) mod iommu_driver;
#[cfg_attr(not(CONFIG_IOMMUFD), path = "vfio/no_iommufd.rs")]
pub(crate) mod iommufd;
pub(crate) mod iova_ranges;
pub(crate) mod migration;
pub(crate) mod opening;
pub(crate) mod ops;
pub(crate) mod registering;
pub(crate) mod set;
#[cfg(CONFIG_IOMMUFD)]
pub(crate) mod standard_ops;

use super::fs::PseudoInode;
use crate::{bindings, kapi::completion::Completion};
use core::{marker::PhantomData, ops::Deref, ptr::NonNull};
use kernel::{
    device::Bound,
    prelude::*,
    sync::{Arc, ArcBorrow, UniqueArc},
    types::{ForeignOwnable, Opaque},
};
use opening::Closing;
use set::LockedState;

pub(crate) use device_link::{DeviceLink, Generation};
pub(crate) use registering::{Added, Registering};
pub(crate) use set::SetLocked;

/// The types of the upper layers of the core that are attached to each device.
///
/// `abi` implements this trait once, for [`Device`].  So the `driver_data` of every class device in
/// `/sys/class/vfio-dev` has the same type, and this layer does not name the type.
///
/// # Safety
///
/// [`link`](Self::link) and [`locked`](Self::locked) return a field of the state.  The state keeps the inode that
/// [`inode`](Self::inode) returns until the state is dropped, and each call returns the same.
pub(crate) unsafe trait Core {
    /// The core's own state of a device.  The files of the device share it, and can keep it after the device
    /// is gone.
    type State: Send + Sync + 'static;
    /// The data in the link to a registered device: the group of the device.
    type GroupLink: Send + Unpin;
    /// The resources that are held from the first open of a device to its last close.
    type OpenResources: Send;
    /// The kind of an open.
    type OpenedBy: Copy;

    /// Ends one open of the device.  Takes the lock of the device's set, and passes `closing` to
    /// [`driver_close`](SetLocked::driver_close).
    fn close(device: &Device<Registered>, opened_by: Self::OpenedBy, closing: Closing<'_>);
    /// Returns the inode whose mapping all files of the device share.  The state keeps the inode alive.
    fn inode(state: &Self::State) -> &PseudoInode;
    /// Returns the link to the device.
    fn link(state: &Self::State) -> &DeviceLink<Self::GroupLink>;
    /// Returns the data that the lock of the device's set protects.
    fn locked(state: &Self::State) -> &LockedState;
}

// The types of the upper layers that are attached to a device.  Their functions are called through the trait
// `Core`: the inherent functions of these types, which the compiler also sees, belong to the upper layers.
type State = <Device as Core>::State;
type GroupLink = <Device as Core>::GroupLink;
type OpenResources = <Device as Core>::OpenResources;
/// The kind of an open.
pub(crate) type OpenedBy = <Device as Core>::OpenedBy;

/// Context: the device exists.
pub(crate) struct Normal;
/// Context: a registration reference is held.  The device is then in a set.
pub(crate) struct Registered;
/// Context: the device is open and the caller has access.
pub(crate) struct Open;

/// Converts the return value of a driver callback: 0 is success, and any other value is a failure.
///
/// # Errors
///
/// - `EINVAL`: the driver returned a positive number, which is no errno.
/// - The driver's errno.
#[inline]
fn callback_result(ret: c_int) -> Result {
    match ret {
        0 => Ok(()),
        ret if ret > 0 => Err(EINVAL),
        ret => Err(Error::from_errno(ret)),
    }
}

/// A `struct vfio_device` about which `Ctx` is proved.
///
/// # Invariants
///
/// Allocated by [`DeviceMemory`], initialised, and not yet released.  The `driver_data` of its class device
/// is an `Arc<State>`.
#[repr(transparent)]
pub(crate) struct Device<Ctx = Normal>(Opaque<bindings::vfio_device>, PhantomData<Ctx>);

// SAFETY: The methods of each context take the locks that their fields need, or require proof that these
// locks are held.
unsafe impl<Ctx> Sync for Device<Ctx> {}

impl Deref for Device<Open> {
    type Target = Device<Registered>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        // SAFETY: The contexts differ only in the proof, and `Open` implies `Registered`.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl Deref for Device<Registered> {
    type Target = Device<Normal>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        // SAFETY: The contexts differ only in the proof, and `Registered` implies `Normal`.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl<Ctx> Device<Ctx> {
    /// # Safety
    ///
    /// `ptr` satisfies the type's invariants for `'a`, and `Ctx` holds for the device for `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::vfio_device) -> &'a Self {
        // SAFETY: By the caller's promise; the types have the same layout.
        unsafe { &*ptr.cast() }
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::vfio_device {
        self.0.get()
    }

    /// Returns the physical or mediated device behind this device (`struct vfio_device::dev`).
    #[inline]
    pub(crate) fn parent(&self) -> &kernel::device::Device {
        // SAFETY: `dev` is set at allocation and does not change; the driver keeps its parent device for as
        // long as it keeps the object.
        unsafe { kernel::device::Device::from_raw((*self.as_raw()).dev) }
    }

    /// Returns the core's own state of the device.
    #[inline]
    pub(crate) fn state(&self) -> ArcBorrow<'_, State> {
        // SAFETY: By the type's invariants; `device_initialize()` does not change `driver_data`, and only
        // `into_device()` sets the `driver_data` of VFIO's class device.
        unsafe { Arc::<State>::borrow((*self.as_raw()).device.driver_data) }
    }

    #[inline]
    fn refcount(&self) -> *mut bindings::refcount_t {
        // SAFETY: `self` is valid; only the address is taken.
        unsafe { &raw mut (*self.as_raw()).refcount }
    }

    /// Returns the number of references on the registration.
    fn registration_refs(&self) -> c_int {
        // SAFETY: The counter is read with one load.
        unsafe { (&raw const (*self.refcount()).refs.counter).read_volatile() }
    }

    /// Returns the completion that completes when the last registration reference is dropped.
    fn drained(&self) -> &Completion {
        // SAFETY: Initialised at allocation; lives as long as `self`.
        unsafe { Completion::from_raw(&raw mut (*self.as_raw()).comp) }
    }
}

impl Device<Registered> {
    /// Returns the parent, which stays bound to its driver while the device is registered.
    #[inline]
    pub(crate) fn bound_parent(&self) -> &kernel::device::Device<Bound> {
        // SAFETY: The driver unregisters the device before it unbinds from the parent, and unregistration
        // waits for the reference behind `self`.
        unsafe { self.parent().as_bound() }
    }
}

/// A reference on the registration of a device.  Unregistration waits until all references are dropped.
///
/// C counterpart: `vfio_device_try_get_registration()` and `vfio_device_put_registration()`.
///
/// # Invariants
///
/// Owns one count of `refcount`, which [`Ready::start`](registering::Ready::start) set to 1.
pub(crate) struct RegistrationRef(NonNull<Device>);

// SAFETY: The count is atomic, and any task may use a `Device`.
unsafe impl Send for RegistrationRef {}
// SAFETY: As above.
unsafe impl Sync for RegistrationRef {}

impl RegistrationRef {
    /// Takes a reference.  Returns None if the device is not registered.  Takes no lock; any context.
    pub(crate) fn try_get(device: &Device) -> Option<Self> {
        // SAFETY: `device` is valid.
        unsafe { bindings::vfio_helper_refcount_inc_not_zero(device.refcount()) }
            .then(|| Self(NonNull::from(device)))
    }

    /// Returns the generation of the registration.  A file that is opened now belongs to this generation.
    pub(crate) fn generation(&self) -> Generation {
        // The reference keeps the device from being registered again, so the last generation is that of `self`.
        <Device as Core>::link(&self.state()).last()
    }

    /// Transfers the count to the C caller, which puts it with `vfio_device_put_registration()`.
    pub(crate) fn into_foreign(self) {
        core::mem::forget(self);
    }

    /// # Safety
    ///
    /// The caller owns one count of the device's `refcount`.
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
        // SAFETY: `self` owns a count, which keeps the device valid.  After the drop of the last count,
        // unregistration waits for the completion below, which is the last access.
        let device = unsafe { self.0.as_ref() };
        // SAFETY: `self` owns the count.
        if unsafe { bindings::refcount_dec_and_test(device.refcount()) } {
            device.drained().complete();
        }
    }
}

/// Memory of a device.  It is freed on drop.
pub(crate) struct DeviceMemory(NonNull<bindings::vfio_device>);

impl DeviceMemory {
    /// Allocates `size` zeroed bytes that begin with a `struct vfio_device`.  May sleep.
    ///
    /// C counterpart: the allocation in `_vfio_alloc_device()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `size` is smaller than the structure.  This also warns.
    /// - `ENOMEM`: out of memory.
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
        // SAFETY: The allocation is large enough, zeroed, and owned by this function.
        unsafe {
            (*raw).dev = parent;
            (*raw).ops = ops;
            bindings::vfio_helper_init_completion(&raw mut (*raw).comp);
            #[cfg(CONFIG_IOMMUFD)]
            bindings::vfio_helper_ida_init(&raw mut (*raw).pasids);
        }
        Ok(device)
    }

    /// Stores the minor (`index`) and the state of the device.
    pub(crate) fn into_device(self, index: u32, state: Pin<UniqueArc<State>>) -> NewDevice {
        let state = Arc::from(state);
        let raw = self.0.as_ptr();
        // SAFETY: This function owns the device.  By the promise of `Core` the state keeps the inode, and the device
        // keeps the state.
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
        // SAFETY: `alloc()` allocated the memory.
        unsafe { bindings::kvfree(self.0.as_ptr().cast()) }
    }
}

/// A device before the driver's `init`, or after the driver's `release`.  On drop, the device is freed, and
/// its reference on its state is dropped.
///
/// # Invariants
///
/// The memory has a state, and this value owns the memory exclusively.
pub(crate) struct NewDevice(DeviceMemory);

impl NewDevice {
    /// Calls the driver's `init`.
    ///
    /// # Errors
    ///
    /// The driver's errno; `EINVAL` if it returns a positive number.  The device is returned with the errno.
    pub(crate) fn driver_init(self) -> Result<InitialisedDevice, (Self, Error)> {
        let raw = self.0 .0.as_ptr();
        // SAFETY: `ops` is valid; the device is in the state that the contract of the callback requires.
        let result = unsafe {
            match (*(*raw).ops).init {
                Some(init) => callback_result(init(raw)),
                None => Ok(()),
            }
        };
        match result {
            Ok(()) => Ok(InitialisedDevice(self)),
            Err(e) => Err((self, e)),
        }
    }

    /// Removes the device from its set, if it is in a set.  Takes the lock of the set.
    pub(crate) fn leave_set(&mut self) -> Option<set::FormerMember> {
        // SAFETY: This value owns the memory, so no other task assigns a set to the device.
        unsafe { set::leave(self.0 .0.as_ptr()) }
    }
}

/// A device between the driver's `init` and the driver's `release` that is not a reference-counted object
/// yet, or not any more.  On drop, the driver's `release` runs and the device is freed.
pub(crate) struct InitialisedDevice(NewDevice);

impl InitialisedDevice {
    /// Initialises the class device, and transfers the only reference on it to the caller.  `release` runs
    /// when the last reference is dropped.
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
        // SAFETY: This function owns the device; all fields that `release` needs are set.
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
    /// `ptr` came from [`into_counted`](Self::into_counted), its last reference is dropped, and the caller
    /// transfers ownership: the `release` of the class device calls this once.
    pub(crate) unsafe fn from_released(ptr: *mut bindings::vfio_device) -> Self {
        // SAFETY: By the caller's promise `ptr` is not NULL.
        Self(NewDevice(DeviceMemory(unsafe {
            NonNull::new_unchecked(ptr)
        })))
    }

    /// Returns the core's own state of the device.
    pub(crate) fn state(&self) -> ArcBorrow<'_, State> {
        // SAFETY: This value owns the memory, which by the type's invariants has a state.
        let device: &Device = unsafe { Device::from_raw(self.0 .0 .0.as_ptr()) };
        device.state()
    }

    /// Removes the device from its set, as [`NewDevice::leave_set`].
    pub(crate) fn leave_set(&mut self) -> Option<set::FormerMember> {
        self.0.leave_set()
    }
}

impl Drop for InitialisedDevice {
    fn drop(&mut self) {
        let raw = self.0 .0 .0.as_ptr();
        // SAFETY: `ops` is valid until the device is freed; `init` has run, and this is the only call of
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
        // The caller has to call `leave_set()` before the drop, and to remove the device from the count of
        // the set.  A device that is still a member here stays counted, so its set is never freed.
        let _ = self.leave_set();
        // SAFETY: By the type's invariants `driver_data` is a reference on the state that the device owns.
        let state = unsafe { Arc::<State>::from_foreign((*self.0 .0.as_ptr()).device.driver_data) };
        // Files can keep the state after the device is freed, so the link of the state is revoked.
        drop(<Device as Core>::link(&state).revoke());
    }
}

/// Returns the device whose class device is `dev`.
///
/// # Safety
///
/// `dev` is the class device of a `struct vfio_device`.
pub(crate) unsafe fn from_class_device(dev: *mut bindings::device) -> *mut bindings::vfio_device {
    // SAFETY: By the caller's promise.
    unsafe { kernel::container_of!(dev, bindings::vfio_device, device) }
}
