// SPDX-License-Identifier: GPL-2.0-only

//! Registration and unregistration of a device, step by step.  A step consumes what the one before it
//! made, so none can be left out or taken twice:
//!
//! ```text
//! Owner -> Ready -> Started -> Added     (kept while the device is registered)
//!                                |
//! Draining      <-  Started  <- -+
//! ```

use super::{debugfs::DebugRoot, severable::Epoch, Device, Link, RegistrationRef, State};
use crate::{
    bindings,
    kapi::{
        completion::{Completion, Wait},
        debugfs::DirOf,
    },
    shared::Core,
};
use core::{mem::ManuallyDrop, ops::Deref, ptr::NonNull};
use kernel::{prelude::*, time::Jiffies};

/// Proof that the driver is registering its device, unregistering it or assigning it a set, in this
/// very call: what belongs to registration is nobody else's.
pub(crate) struct Owner<'a>(&'a Device);

impl Deref for Owner<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        self.0
    }
}

impl<'a> Owner<'a> {
    /// # Safety
    ///
    /// As for [`Device::from_raw`]; and for `'a` no other task registers or unregisters the device or
    /// assigns it a set, and the caller, who does not let the device go, makes no other `Owner` of it.
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::vfio_device) -> Self {
        // SAFETY: By the caller's promise.
        Self(unsafe { Device::from_raw(ptr) })
    }

    /// Whether the device is in a set.
    pub(crate) fn has_set(&self) -> bool {
        // SAFETY: Nobody else assigns it one.
        !unsafe { (*self.as_raw()).dev_set }.is_null()
    }

    /// The device, if it can be registered: it is in a set, and an earlier registration has ended.
    pub(crate) fn ready(self) -> Option<Ready<'a>> {
        let ended = self.registrations() == 0;
        (ended && self.has_set()).then_some(Ready(self))
    }
}

/// A device that can be registered.
///
/// # Invariants
///
/// It is in a set, its class device is not added, and nobody has a reference on a registration.
pub(crate) struct Ready<'a>(Owner<'a>);

impl Deref for Ready<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

impl<'a> Ready<'a> {
    /// Marks the device as one without an IOMMU.  Before anybody can open it, hence without a
    /// lock.
    pub(crate) fn set_noiommu(&mut self, noiommu: bool) {
        // Zero from the device's allocation on where no device is so marked.
        #[cfg(CONFIG_IOMMUFD_NOIOMMU)]
        // SAFETY: The device is not registered, so nobody writes the other bits of this byte.
        unsafe {
            bindings::vfio_device::set_noiommu_raw(self.as_raw(), noiommu.into())
        }
        #[cfg(not(CONFIG_IOMMUFD_NOIOMMU))]
        let _ = noiommu;
    }

    /// Names the class device.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn set_name(&mut self, prefix: &CStr, index: u32) -> Result {
        // SAFETY: The class device is initialised and not yet added; the format matches.
        kernel::error::to_result(unsafe {
            bindings::dev_set_name(
                &raw mut (*self.as_raw()).device,
                c"%svfio%u".as_char_ptr(),
                prefix.as_char_ptr(),
                index,
            )
        })
    }

    /// Lets references on the registration be taken.
    pub(crate) fn start(self) -> (Owner<'a>, Started) {
        // SAFETY: By the type's invariants the count is 0, and nobody else touches it.
        unsafe { bindings::refcount_set(self.refcount(), 1) };
        // INVARIANT: The count was set for this one; the device is in a set.
        let first = RegistrationRef(NonNull::from(self.0 .0));
        (self.0, Started(ManuallyDrop::new(first)))
    }
}

/// A registration: its first reference.  It ends by [`end`](Self::end) alone; one that is dropped
/// instead keeps the device registered for ever.
#[must_use = "the device stays registered for ever"]
pub(crate) struct Started(ManuallyDrop<RegistrationRef>);

impl Deref for Started {
    type Target = RegistrationRef;

    fn deref(&self) -> &RegistrationRef {
        &self.0
    }
}

impl Started {
    /// Links the device's files to it.
    pub(crate) fn connect(&self, link: Link) -> Epoch {
        let state = self.state();
        // SAFETY: The link is this device's own.
        unsafe { <Device as Core>::link(&state).connect(self, link) }
    }

    /// Adds the class device: sysfs, the node in `/dev` if `devt` is not 0, the uevent.
    ///
    /// # Errors
    ///
    /// Those of `device_add()`.
    pub(crate) fn add(self, devt: bindings::dev_t) -> Result<Added, (Self, Error)> {
        // SAFETY: The class device is initialised and, as nobody has `Added`, not yet added.
        let result = kernel::error::to_result(unsafe {
            (*self.as_raw()).device.devt = devt;
            bindings::device_add(&raw mut (*self.as_raw()).device)
        });
        match result {
            Ok(()) => Ok(Added {
                debug: None,
                class: ClassDevice(self.0 .0),
                started: self,
            }),
            Err(e) => Err((self, e)),
        }
    }

    /// Drops the first reference.  None when it is another device's than the owner's, which stays
    /// registered then.
    pub(crate) fn end<'a>(self, owner: &'a Owner<'_>) -> Option<Draining<'a>> {
        if self.as_raw() != owner.as_raw() {
            return None;
        }
        drop(ManuallyDrop::into_inner(self.0));
        Some(Draining {
            device: owner,
            done: false,
        })
    }
}

/// A registration whose class device is added.  The fields are dropped in their order, which is the
/// reverse of their making.
pub(crate) struct Added {
    debug: Option<DebugRoot>,
    class: ClassDevice,
    started: Started,
}

impl Deref for Added {
    type Target = Started;

    fn deref(&self) -> &Started {
        &self.started
    }
}

impl Added {
    /// The device's folder in debugfs, if it has one.
    pub(crate) fn debug_root(&self) -> Option<&DebugRoot> {
        self.debug.as_ref()
    }

    /// Gives the device a folder, until the class device goes: some entries hang on its managed
    /// resources.
    pub(crate) fn show_in(&mut self, dir: DirOf<State>) {
        // The drop of one that was there empties the device's pointer to it.
        self.debug = None;
        // SAFETY: It becomes part of `self`, which has none.
        self.debug = Some(unsafe { DebugRoot::new(self, dir) });
    }

    /// Removes the folder and the class device.
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

/// The class device of a device that is registered; removed when dropped.
struct ClassDevice(NonNull<Device>);

// SAFETY: The driver core does its own locking.
unsafe impl Send for ClassDevice {}
// SAFETY: There are no methods.
unsafe impl Sync for ClassDevice {}

impl Drop for ClassDevice {
    fn drop(&mut self) {
        // SAFETY: It was added by `Started::add()`; the registration, which `Added` holds, keeps it.
        unsafe { bindings::device_del(&raw mut (*self.0.as_ref().as_raw()).device) }
    }
}

/// A registration that ends: its first reference is gone.  When dropped, so are all others.
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
    /// Whether the last reference is gone.
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

    /// Waits for it at most `timeout`, uninterruptibly.
    pub(crate) fn wait_timeout(&mut self, timeout: Jiffies) -> Wait {
        self.wait(|drained| drained.wait_timeout(timeout))
    }

    /// The same, or until a signal comes.
    pub(crate) fn wait_interruptible_timeout(&mut self, timeout: Jiffies) -> Wait {
        self.wait(|drained| drained.wait_interruptible_timeout(timeout))
    }

    /// Asks the driver to make its user let go.  Called without any lock of the core.
    pub(crate) fn request(&mut self, count: u32) {
        if let Some(request) = self.device.ops().request {
            // SAFETY: The device is being unregistered, which the driver waits for.
            unsafe { request(self.device.as_raw(), count) }
        }
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        // The driver frees the device next.
        while !self.done {
            self.wait_timeout(Jiffies::MAX >> 1);
        }
    }
}
