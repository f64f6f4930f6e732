// SPDX-License-Identifier: GPL-2.0-only

//! The steps of the first open and of the last close of a device, under the lock of its set.
//!
//! Each step consumes the result of the previous step, so no step can be omitted or repeated:
//!
//! ```text
//! Opening -> Bound -> Opened     (kept while the device is open)
//!                       |
//! Unbound <- LastClose -+
//! ```
//!
//! The drop of an [`Opened`] ends the open.  If the result of any other step is dropped instead of
//! passed to the next step, the registration reference of the open is leaked, so the unregistration of the device
//! never returns.  This is intended:
//! the driver must not free a device whose open or close is incomplete.

use super::{
    callback_result, iommu_driver::IommuData, set::BoundTo, Core, Device, Open, OpenResources,
    OpenedBy, Registered, RegistrationRef, SetLocked,
};
use crate::kapi::{iommufd, kvm::KvmRef};
use core::mem::ManuallyDrop;
use kernel::{prelude::*, sync::Arc};

impl<'l> SetLocked<'l> {
    /// Begins the first open.  The open count is 1 from here on, so the driver's callbacks see this open.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the registration belongs to another device, or the device is open.
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

    /// Opens an open device once more.  The driver sees only the changed open count.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the registration belongs to another device, or the device is not open.
    /// - `EMFILE`: the open count would overflow.
    #[inline]
    pub(crate) fn open_again(
        &mut self,
        registration: RegistrationRef,
        opened_by: OpenedBy,
    ) -> Result<Opened> {
        if registration.as_raw() != self.device().as_raw() || self.bound_to().is_none() {
            return Err(EINVAL);
        }
        self.set_open_count(self.open_count().checked_add(1).ok_or(EMFILE)?);
        Ok(Opened::new(ManuallyDrop::new(registration), opened_by))
    }

    /// Ends one open.  If it is the last open, this calls the driver's `close_device` and returns the
    /// remaining steps.  The open count stays 1 until these steps are done.  Otherwise this decrements the
    /// open count and returns None.
    ///
    /// Returns None without an effect if `closing` belongs to another device or has ended before.
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
            let device = self.device();
            // SAFETY: Balances `Bound::open()`; the set's lock is held.
            device.open_or_close(|| unsafe { close(device.as_raw()) });
        }
        Some(LastClose {
            bound: self.bound_to().take().unwrap_or(BoundTo::Nothing),
            locked: self,
            open: closing.open,
        })
    }

    /// Undoes the bind.
    fn unbind(&mut self, bound: BoundTo) {
        match bound {
            BoundTo::Iommufd { .. } => {
                if let Some(unbind) = self.device().ops().unbind_iommufd {
                    // SAFETY: Balances `bind_iommufd()`; the set's lock is held.
                    unsafe { unbind(self.device().as_raw()) }
                }
            }
            BoundTo::Container(data) => {
                // SAFETY: Balances `bind_container()`; the set's lock is held, and the device is closed.
                unsafe { data.unregister_device(self.device()) }
            }
            BoundTo::Nothing => {}
        }
    }
}

/// A first open that has begun: the device is counted as open, and is not bound.
#[must_use = "the device stays registered for ever"]
pub(crate) struct Opening<'a, 'l> {
    locked: &'a mut SetLocked<'l>,
    registration: ManuallyDrop<RegistrationRef>,
}

impl<'a, 'l> Opening<'a, 'l> {
    /// Returns the device.
    pub(crate) fn device(&self) -> &'l Device {
        self.locked.device()
    }

    /// Stores the VM that drivers find in the device until its last close.
    pub(crate) fn set_kvm(&mut self, kvm: KvmRef) {
        drop(self.locked.replace_kvm(Some(kvm)));
    }

    fn bound(self, bound: BoundTo) -> Bound<'a, 'l> {
        Bound {
            opening: self,
            bound,
        }
    }

    /// Calls the driver's `bind_iommufd`.  Returns the id of the device in the iommufd.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the driver does not have the callback, or it returned a positive number.
    /// - The driver's errno; that of `iommufd_device_bind()` for drivers that use the standard callback.
    pub(crate) fn bind_iommufd(
        self,
        ctx: &iommufd::Ctx,
    ) -> Result<(Bound<'a, 'l>, u32), (Self, Error)> {
        let Some(bind) = self.device().ops().bind_iommufd else {
            return Err((self, EINVAL));
        };
        let (device, mut id) = (self.device().as_raw(), 0);
        // SAFETY: The device is registered and not bound; the set's lock is held.  The caller's reference keeps `ctx`
        // during the call, and a driver that keeps `ctx` longer takes its own.
        match callback_result(unsafe { bind(device, ctx.as_raw(), &mut id) }) {
            Ok(()) => Ok((self.bound(BoundTo::Iommufd { attachments: 0 }), id)),
            Err(e) => Err((self, e)),
        }
    }

    /// Tells the container driver about the device, which is opened next.  `data` is the driver data of the
    /// container.  Without driver data, the device is bound to nothing.
    pub(crate) fn bind_container(self, data: Option<&Arc<IommuData>>) -> Bound<'a, 'l> {
        let Some(data) = data else {
            return self.bound(BoundTo::Nothing);
        };
        // SAFETY: The set's lock is held.  `unbind()` undoes this.  Until then the registration keeps the
        // device, and `BoundTo::Container` keeps the data.
        unsafe { data.register_device(self.device()) };
        self.bound(BoundTo::Container(data.clone()))
    }

    /// Cancels the open.  The caller drops the returned VM reference without the lock.
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
    /// Calls the driver's `open_device`.  Also returns the proof that the set's lock is held.
    ///
    /// # Errors
    ///
    /// The driver's errno; `EINVAL` if it returns a positive number.
    pub(crate) fn open(
        self,
        opened_by: OpenedBy,
    ) -> Result<(Opened, &'a mut SetLocked<'l>), (Self, Error)> {
        let device = self.opening.device();
        if let Some(open) = device.ops().open_device {
            // SAFETY: The device is registered and bound, and the set's lock is held.
            let result = device.open_or_close(|| unsafe { open(device.as_raw()) });
            if let Err(e) = callback_result(result) {
                return Err((self, e));
            }
        }
        let Opening {
            locked,
            registration,
        } = self.opening;
        *locked.bound_to() = Some(self.bound);
        Ok((Opened::new(registration, opened_by), locked))
    }

    /// Undoes the bind.
    pub(crate) fn unbind(self) -> Opening<'a, 'l> {
        self.opening.locked.unbind(self.bound);
        self.opening
    }
}

/// Proof that the driver's `open_device` has run and its `close_device` has not.  This value owns a
/// registration reference.
///
/// Each value is one of the counted opens, which [`SetLocked::driver_close`] ends.  The drop ends an open that
/// has not ended.  If a last close is not completed, the device stays registered for ever.
pub(crate) struct Opened {
    registration: ManuallyDrop<RegistrationRef>,
    opened_by: OpenedBy,
    /// False after the open has ended, so that each open is closed once.
    open: bool,
}

impl Opened {
    fn new(registration: ManuallyDrop<RegistrationRef>, opened_by: OpenedBy) -> Self {
        Self {
            registration,
            opened_by,
            open: true,
        }
    }

    /// Returns the device, with the proof that it is open.
    #[inline]
    pub(crate) fn device(&self) -> &Device<Open> {
        // SAFETY: `Bound::open()` or `open_again()` counted this open.  The driver's `close_device` runs when the last
        // counted open ends.  This open ends during the drop of `self`, or in `close_locked()`, which consumes `self`.
        unsafe { Device::from_raw(self.registration.as_raw()) }
    }

    /// Tells how the device was opened.
    #[inline]
    pub(crate) fn opened_by(&self) -> OpenedBy {
        self.opened_by
    }

    /// Ends this open under the lock that the caller holds.  If it is the last open, calls `f` with the remaining
    /// steps after the driver's `close_device`, and returns its result.
    pub(crate) fn close_locked<'l, R>(
        mut self,
        locked: &mut SetLocked<'l>,
        f: impl FnOnce(LastClose<'_, 'l>) -> R,
    ) -> Option<R> {
        locked.driver_close(self.closing().1).map(f)
    }

    /// Returns the registered device, and the handle that ends this open.
    fn closing(&mut self) -> (&Device<Registered>, Closing<'_>) {
        let device: &Device<Registered> = &self.registration;
        let open = &mut self.open;
        (device, Closing { device, open })
    }
}

/// Ends the open ([`Core::close`]), unless it has ended.  Drops the registration reference last: a task that waits
/// for the last reference finds the resources of the open released.
impl Drop for Opened {
    #[inline]
    fn drop(&mut self) {
        if self.open {
            let opened_by = self.opened_by;
            let (device, closing) = self.closing();
            <Device as Core>::close(device, opened_by, closing);
        }
        if !self.open {
            // SAFETY: The field is not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.registration) }
        }
    }
}

/// One open of a device that is being closed.
pub(crate) struct Closing<'a> {
    device: &'a Device<Registered>,
    open: &'a mut bool,
}

/// The last close, after the driver's `close_device` has run.
#[must_use = "the device stays registered for ever"]
pub(crate) struct LastClose<'a, 'l> {
    locked: &'a mut SetLocked<'l>,
    bound: BoundTo,
    open: &'a mut bool,
}

impl<'a, 'l> LastClose<'a, 'l> {
    /// Undoes the bind.  Also resets user space's choice of the second precopy format.
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

/// The last close of a device that is no longer bound.
#[must_use = "the device stays registered for ever"]
pub(crate) struct Unbound<'a, 'l> {
    locked: &'a mut SetLocked<'l>,
    open: &'a mut bool,
}

impl<'l> Unbound<'_, 'l> {
    /// Returns the device.
    pub(crate) fn device(&self) -> &'l Device {
        self.locked.device()
    }

    /// Moves the resources of the first open to `resources`, which is empty.
    #[inline]
    pub(crate) fn take_open_resources(&mut self, resources: &mut Option<OpenResources>) {
        self.locked.take_open_resources(resources);
    }

    /// Ends the open: the open count is 0.  The caller drops the returned VM reference without the lock.
    pub(crate) fn end(self) -> Option<KvmRef> {
        let Self { locked, open } = self;
        let kvm = locked.take_kvm();
        locked.set_cdev_opened(false);
        locked.set_open_count(0);
        *open = false;
        kvm
    }
}
