// SPDX-License-Identifier: GPL-2.0-only

//! The steps of registration and unregistration of a device.
//!
//! Each step consumes the result of the previous step, so no step can be omitted or repeated:
//!
//! ```text
//! Registering -> Ready -> Started -> Added     (kept while the device is registered)
//!                                      |
//! Draining       <-       Started  <- -+
//! ```

use super::{
    debugfs::DebugRoot, iommu_driver::GroupType, Core, Device, GroupLink, RegistrationRef, State,
};
use crate::{
    bindings,
    kapi::{
        completion::{Completion, Wait},
        debugfs::DirOf,
    },
};
use core::{mem::ManuallyDrop, ops::Deref, ptr::NonNull};
use kernel::{device::Bound, prelude::*, time::Jiffies};

/// Proof that the driver is in a call that registers or unregisters its device, or assigns the device's set.
/// No other task makes such a call for the device at the same time.
pub(crate) struct Registering<'a>(&'a Device);

impl Deref for Registering<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        self.0
    }
}

impl<'a> Registering<'a> {
    /// # Safety
    ///
    /// As for [`Device::from_raw`].  In addition, for `'a`:
    ///
    /// - no other task registers or unregisters the device, or assigns a set to it;
    /// - the caller keeps the device valid, stays bound to its parent, and makes no other `Registering` of it.
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::vfio_device) -> Self {
        // SAFETY: By the caller's promise.
        Self(unsafe { Device::from_raw(ptr) })
    }

    /// Tells whether the device is in a set.
    pub(crate) fn has_set(&self) -> bool {
        // SAFETY: No other task assigns a set.
        !unsafe { (*self.as_raw()).dev_set }.is_null()
    }

    /// Returns the device if it can be registered: it is in a set, and any earlier registration has ended.
    pub(crate) fn ready(self) -> Option<Ready<'a>> {
        let ended = self.registration_refs() == 0;
        (ended && self.has_set()).then_some(Ready(self))
    }
}

/// A device that can be registered.
///
/// # Invariants
///
/// The device is in a set, its class device is not added, and no reference on a registration exists.
pub(crate) struct Ready<'a>(Registering<'a>);

impl Deref for Ready<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

impl<'a> Ready<'a> {
    /// Returns the parent, which stays bound to the driver that registers the device.
    pub(crate) fn bound_parent(&self) -> &kernel::device::Device<Bound> {
        // SAFETY: By the promise that `Registering::from_raw()` requires.
        unsafe { self.parent().as_bound() }
    }

    /// Marks the device as a device without an IOMMU.  Needs no lock, because the device cannot be opened
    /// yet.
    pub(crate) fn set_noiommu(&mut self, noiommu: bool) {
        // Without the option the bit is 0 from the allocation on.
        #[cfg(CONFIG_IOMMUFD_NOIOMMU)]
        // SAFETY: The device is not registered, so no other task writes the other bits of this byte.
        unsafe {
            bindings::vfio_device::set_noiommu_raw(self.as_raw(), noiommu.into())
        }
        #[cfg(not(CONFIG_IOMMUFD_NOIOMMU))]
        let _ = noiommu;
    }

    /// Sets the name of the class device: `{prefix}vfio{index}`.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn set_name(&mut self, prefix: &CStr, index: u32) -> Result {
        // SAFETY: The class device is initialised and not yet added; the format matches the arguments.
        crate::kapi::to_result(unsafe {
            bindings::dev_set_name(
                &raw mut (*self.as_raw()).device,
                c"%svfio%u".as_char_ptr(),
                prefix.as_char_ptr(),
                index,
            )
        })
    }

    /// Permits references on the registration from now on: sets the reference count to 1.
    pub(crate) fn start(self) -> (Registering<'a>, Started) {
        // SAFETY: The count is atomic.  By the type's invariants it is 0, so no other task can take or own a reference
        // before this store.
        unsafe { bindings::refcount_set(self.refcount(), 1) };
        // INVARIANT: The count was set to 1 for this reference; the device is in a set.
        let first = RegistrationRef(NonNull::from(self.0 .0));
        (self.0, Started(ManuallyDrop::new(first)))
    }
}

/// The first reference of a registration.  Only [`end`](Self::end) drops it: a value that is dropped instead
/// keeps the device registered for ever.
#[must_use = "the device stays registered for ever"]
pub(crate) struct Started(ManuallyDrop<RegistrationRef>);

impl Deref for Started {
    type Target = RegistrationRef;

    fn deref(&self) -> &RegistrationRef {
        &self.0
    }
}

impl Started {
    /// Connects the link of the device's state to the device, so that files find the device.  `group_type` is the
    /// type of the device's group.  Takes the lock of the link.
    pub(crate) fn connect(&self, group_type: GroupType, group_link: GroupLink) {
        let state = self.state();
        // SAFETY: The link is part of this device's state.
        unsafe { <Device as Core>::link(&state).connect(self, group_type, group_link) }
    }

    /// Adds the class device: its sysfs directory, its node in `/dev` if `devt` is not 0, and its uevent.
    ///
    /// # Errors
    ///
    /// Those of `device_add()`.
    pub(crate) fn add(self, devt: bindings::dev_t) -> Result<Added, (Self, Error)> {
        // SAFETY: The class device is initialised.  It is not yet added, because there is no `Added`.
        let result = crate::kapi::to_result(unsafe {
            (*self.as_raw()).device.devt = devt;
            bindings::device_add(&raw mut (*self.as_raw()).device)
        });
        match result {
            Ok(()) => Ok(Added {
                debug: None,
                class: AddedClassDevice(self.0 .0),
                started: self,
            }),
            Err(e) => Err((self, e)),
        }
    }

    /// Drops the first reference.  Returns None if this is not a reference on the device of `registering`.  In this
    /// case the device of the reference stays registered for ever.
    pub(crate) fn end<'a>(self, registering: &'a Registering<'_>) -> Option<Draining<'a>> {
        if self.as_raw() != registering.as_raw() {
            return None;
        }
        drop(ManuallyDrop::into_inner(self.0));
        Some(Draining {
            device: registering,
            done: false,
        })
    }
}

/// A registration whose class device is added.  Fields are dropped in declaration order, which is the reverse
/// of the order in which they are made.
pub(crate) struct Added {
    debug: Option<DebugRoot>,
    class: AddedClassDevice,
    started: Started,
}

impl Deref for Added {
    type Target = Started;

    fn deref(&self) -> &Started {
        &self.started
    }
}

impl Added {
    /// Returns the debugfs directory of the device, if it has one.
    pub(crate) fn debug_root(&self) -> Option<&DebugRoot> {
        self.debug.as_ref()
    }

    /// Stores the debugfs directory of the device.  The directory is removed before the class device, because some
    /// files belong to the class device's managed resources.
    pub(crate) fn set_debug_root(&mut self, dir: DirOf<State>) {
        // The drop of a previous directory clears the device's pointer, so it comes before the new directory.
        self.debug = None;
        // SAFETY: The result becomes part of `self`, which has no directory.
        self.debug = Some(unsafe { DebugRoot::new(self, dir) });
    }

    /// Removes the debugfs directory and the class device.
    pub(crate) fn remove(self) -> Started {
        let Self {
            debug,
            class,
            started,
        } = self;
        drop(debug);
        drop(class);
        started
    }
}

/// The added class device of a registered device.  `device_del()` runs on drop.
struct AddedClassDevice(NonNull<Device>);

// SAFETY: The driver core does its own locking.
unsafe impl Send for AddedClassDevice {}
// SAFETY: There are no methods.
unsafe impl Sync for AddedClassDevice {}

impl Drop for AddedClassDevice {
    fn drop(&mut self) {
        // SAFETY: `Started::add()` added the class device; the registration that `Added` holds keeps the
        // device valid.
        unsafe { bindings::device_del(&raw mut (*self.0.as_ref().as_raw()).device) }
    }
}

/// A registration whose first reference is dropped.  The drop of this value waits for all other references.
pub(crate) struct Draining<'a> {
    device: &'a Device,
    done: bool,
}

impl Deref for Draining<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        self.device
    }
}

impl Draining<'_> {
    /// Tells whether the last reference is dropped.  Does not wait.
    pub(crate) fn try_wait(&mut self) -> bool {
        self.done = self.done || self.device.drained().try_wait();
        self.done
    }

    fn wait(&mut self, wait: impl FnOnce(&Completion) -> Wait) -> Wait {
        if self.done {
            return Wait::Done;
        }
        let wait = wait(self.device.drained());
        self.done = matches!(wait, Wait::Done);
        wait
    }

    /// Waits at most `timeout` until the last reference is dropped, uninterruptibly.
    pub(crate) fn wait_timeout(&mut self, timeout: Jiffies) -> Wait {
        self.wait(|drained| drained.wait_timeout(timeout))
    }

    /// Waits as [`wait_timeout`](Self::wait_timeout), but a signal interrupts the wait.
    pub(crate) fn wait_interruptible_timeout(&mut self, timeout: Jiffies) -> Wait {
        self.wait(|drained| drained.wait_interruptible_timeout(timeout))
    }

    /// Calls the driver's `request`, which asks the user to release the device.  `count` is the number of
    /// earlier calls in this unregistration (C: the second argument of `request`).  The caller holds no lock
    /// of the core.
    pub(crate) fn request(&mut self, count: u32) {
        if let Some(request) = self.device.ops().request {
            // SAFETY: The driver waits until the unregistration of the device returns.
            unsafe { request(self.device.as_raw(), count) }
        }
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        // The driver frees the device after unregistration, so this waits without a limit.
        while !self.done {
            self.wait_timeout(Jiffies::MAX >> 1);
        }
    }
}
