// SPDX-License-Identifier: GPL-2.0-only

//! The first open of a device and its last close, step by step, under the lock of its set.  A step
//! consumes what the one before it made, so none can be left out or taken twice:
//!
//! ```text
//! Opening -> Bound -> Opened     (kept while the device is open)
//!                       |
//! Unbound <- LastClose -+
//! ```
//!
//! Who drops one instead of taking the next step leaves the device registered for ever, for its driver
//! must not free it.

use super::{
    iommu_driver::Instance, set::BoundTo, Device, FirstOpen, Open, Registered, RegistrationRef,
    SetLocked,
};
use crate::kapi::{callback_result, iommufd, kvm::KvmRef};
use core::mem::ManuallyDrop;
use kernel::{prelude::*, sync::Arc};

impl<'l> SetLocked<'l> {
    /// Begins the first open: the driver sees it counted in its callbacks.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the registration is another device's, or the device is open.
    pub(crate) fn begin_open(&mut self, registration: RegistrationRef) -> Result<Opening<'_, 'l>> {
        if registration.as_raw() != self.device().as_raw() || self.open_count() != 0 {
            return Err(EINVAL);
        }
        self.set_open_count(1);
        Ok(Opening {
            locked: self,
            registration: ManuallyDrop::new(registration),
        })
    }

    /// One more open of a device that is open, of which the driver sees nothing but the count.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the registration is another device's, or the device is not open; `EMFILE`
    /// when it is open too often.
    pub(crate) fn open_again(&mut self, registration: RegistrationRef) -> Result<Opened> {
        if registration.as_raw() != self.device().as_raw() || self.open_by().is_none() {
            return Err(EINVAL);
        }
        self.set_open_count(self.open_count().checked_add(1).ok_or(EMFILE)?);
        Ok(Opened::new(ManuallyDrop::new(registration)))
    }

    /// Ends one open.  The last is the driver's `close_device`, and more is to be undone.  The driver
    /// sees it counted until that is done.
    pub(crate) fn driver_close<'a>(
        &'a mut self,
        closing: Closing<'a>,
    ) -> Option<LastClose<'a, 'l>> {
        if closing.device.as_raw() != self.device().as_raw() || !*closing.open {
            return None;
        }
        let others = self.open_count().saturating_sub(1);
        if others != 0 {
            self.set_open_count(others);
            *closing.open = false;
            return None;
        }
        if let Some(close) = self.device().ops().close_device {
            // SAFETY: Balances `Bound::open()`; the set is locked.
            unsafe { close(self.device().as_raw()) }
        }
        Some(LastClose {
            bound: self.open_by().take().unwrap_or(BoundTo::Nothing),
            locked: self,
            open: closing.open,
        })
    }

    /// Undoes what bound the device.
    fn unbind(&mut self, bound: BoundTo) {
        match bound {
            BoundTo::Iommufd => {
                if let Some(unbind) = self.device().ops().unbind_iommufd {
                    // SAFETY: Balances `bind_iommufd()`; the set is locked.
                    unsafe { unbind(self.device().as_raw()) }
                }
            }
            BoundTo::Container(instance) => {
                // SAFETY: Balances `bind_container()`; the set is locked, and the device closed.
                unsafe { instance.unregister_device(self.device()) }
            }
            BoundTo::Nothing => {}
        }
    }
}

/// A first open that has begun: the device is counted as open, and bound to nothing.
#[must_use = "the device stays registered for ever"]
pub(crate) struct Opening<'a, 'l> {
    locked: &'a mut SetLocked<'l>,
    registration: ManuallyDrop<RegistrationRef>,
}

impl<'a, 'l> Opening<'a, 'l> {
    /// The device.
    pub(crate) fn device(&self) -> &'l Device {
        self.locked.device()
    }

    /// The machine that drivers find in the device until its last close.
    pub(crate) fn set_kvm(&mut self, kvm: KvmRef) {
        drop(self.locked.replace_kvm(Some(kvm)));
    }

    fn bound(self, bound: BoundTo) -> Bound<'a, 'l> {
        Bound {
            opening: self,
            bound,
        }
    }

    /// The driver's `bind_iommufd`; the result is the id of the device in the iommufd.
    ///
    /// # Errors
    ///
    /// Those of `iommufd_device_bind()` for drivers that use the standard function.
    pub(crate) fn bind_iommufd(
        self,
        ctx: &iommufd::Ctx,
    ) -> Result<(Bound<'a, 'l>, u32), (Self, Error)> {
        let Some(bind) = self.device().ops().bind_iommufd else {
            return Err((self, EINVAL));
        };
        let (device, mut id) = (self.device().as_raw(), 0);
        // SAFETY: The device is registered and not bound, its set locked; `ctx` is held.
        match callback_result(unsafe { bind(device, ctx.as_raw(), &mut id) }) {
            Ok(()) => Ok((self.bound(BoundTo::Iommufd), id)),
            Err(e) => Err((self, e)),
        }
    }

    /// Tells the driver of a container of the device, which is opened next; without one there is
    /// nothing that the device is bound to.
    pub(crate) fn bind_container(self, instance: Option<&Arc<Instance>>) -> Bound<'a, 'l> {
        let Some(instance) = instance else {
            return self.bound(BoundTo::Nothing);
        };
        // SAFETY: The set is locked.  `unbind()` ends it; until then the registration is held, and
        // with it the device, and what the device is bound to keeps the instance.
        unsafe { instance.register_device(self.device()) };
        self.bound(BoundTo::Container(instance.clone()))
    }

    /// The end of an open that came to nothing.  The machine is to be dropped without the lock.
    pub(crate) fn cancel(self) -> Option<KvmRef> {
        let kvm = self.locked.take_kvm();
        self.locked.set_open_count(0);
        drop(ManuallyDrop::into_inner(self.registration));
        kvm
    }
}

/// A first open of a device that is bound.
#[must_use = "the device stays registered for ever"]
pub(crate) struct Bound<'a, 'l> {
    opening: Opening<'a, 'l>,
    bound: BoundTo,
}

impl<'a, 'l> Bound<'a, 'l> {
    /// The driver's `open_device`.  The lock's proof comes back.
    ///
    /// # Errors
    ///
    /// The driver's.
    pub(crate) fn open(self) -> Result<(Opened, &'a mut SetLocked<'l>), (Self, Error)> {
        let device = self.opening.device();
        if let Some(open) = device.ops().open_device {
            // SAFETY: The device is registered, its set locked, and it is bound.
            let result = callback_result(unsafe { open(device.as_raw()) });
            if let Err(e) = result {
                return Err((self, e));
            }
        }
        let Opening {
            locked,
            registration,
        } = self.opening;
        *locked.open_by() = Some(self.bound);
        Ok((Opened::new(registration), locked))
    }

    /// Undoes what bound it.
    pub(crate) fn unbind(self) -> Opening<'a, 'l> {
        self.opening.locked.unbind(self.bound);
        self.opening
    }
}

/// Proof that the driver's `open_device` has run and its `close_device` has not; holds the
/// registration.  One of the opens that are counted, which ends by [`SetLocked::driver_close`]: one
/// that is dropped instead leaves the device registered for ever.
pub(crate) struct Opened {
    registration: ManuallyDrop<RegistrationRef>,
    /// Cleared when it has ended, so that each open is closed once.
    open: bool,
}

impl Opened {
    fn new(registration: ManuallyDrop<RegistrationRef>) -> Self {
        Self {
            registration,
            open: true,
        }
    }

    /// The device, open.
    #[inline]
    pub(crate) fn device(&self) -> &Device<Open> {
        // SAFETY: `Bound::open()` or `open_again()` made the proof; the driver's close waits for
        // the last of them, and whoever holds one ends it when they drop it and not before.
        unsafe { Device::from_raw(self.registration.as_raw()) }
    }

    /// The device, registered, and the end of the proof, for [`SetLocked::driver_close`].
    pub(crate) fn closing(&mut self) -> (&Device<Registered>, Closing<'_>) {
        let Self { registration, open } = self;
        let device: &Device<Registered> = registration;
        (device, Closing { device, open })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.open {
            // SAFETY: Not used any more.
            unsafe { ManuallyDrop::drop(&mut self.registration) }
        }
    }
}

/// An open device that is being closed.
pub(crate) struct Closing<'a> {
    device: &'a Device<Registered>,
    open: &'a mut bool,
}

/// The last close, when the driver's `close_device` has run.
#[must_use = "the device stays registered for ever"]
pub(crate) struct LastClose<'a, 'l> {
    locked: &'a mut SetLocked<'l>,
    bound: BoundTo,
    open: &'a mut bool,
}

impl<'a, 'l> LastClose<'a, 'l> {
    /// Undoes what bound the device.  User space's choice of the second precopy format ends, too.
    pub(crate) fn unbind(self) -> Unbound<'a, 'l> {
        let Self {
            locked,
            bound,
            open,
        } = self;
        locked.unbind(bound);
        locked.reset_precopy_info();
        Unbound { locked, open }
    }
}

/// The last close of a device that is not bound any more.
#[must_use = "the device stays registered for ever"]
pub(crate) struct Unbound<'a, 'l> {
    locked: &'a mut SetLocked<'l>,
    open: &'a mut bool,
}

impl<'l> Unbound<'_, 'l> {
    /// The device.
    pub(crate) fn device(&self) -> &'l Device {
        self.locked.device()
    }

    /// What the first open took.
    pub(crate) fn take_first_open(&mut self) -> Option<FirstOpen> {
        self.locked.set_first_open(None)
    }

    /// Nothing is open any more.  The machine is to be dropped without the lock.
    pub(crate) fn end(self) -> Option<KvmRef> {
        let Self { locked, open } = self;
        let kvm = locked.take_kvm();
        locked.set_cdev_opened(false);
        locked.set_open_count(0);
        *open = false;
        kvm
    }
}
