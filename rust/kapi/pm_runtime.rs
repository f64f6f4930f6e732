// SPDX-License-Identifier: GPL-2.0-only

//! Runtime power management (`include/linux/pm_runtime.h`).

use crate::bindings;
use core::ops::Deref;
use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::aref::ARef,
};

/// A runtime PM reference, which keeps a device powered.  It is put asynchronously on drop.
pub(crate) struct Powered<D: Deref<Target = Device>>(Option<D>);

impl<'a> Powered<&'a Device> {
    /// Resumes the device and takes a reference.  Does nothing if the driver of the device does not support
    /// power management.  May sleep.
    ///
    /// # Errors
    ///
    /// Those of `pm_runtime_resume_and_get()`.
    #[inline]
    pub(crate) fn resume_and_get(dev: &'a Device<Bound>) -> Result<Self> {
        let raw = super::device::as_raw(dev);
        // SAFETY: `dev` is valid, and bound to its driver: the pointer does not change.
        let managed = unsafe { !(*raw).driver.is_null() && !(*(*raw).driver).pm.is_null() };
        if !managed {
            return Ok(Self(None));
        }
        // SAFETY: `dev` is valid; the caller may sleep.
        match unsafe { bindings::vfio_helper_pm_runtime_resume_and_get(raw) } {
            0 => Ok(Self(Some(dev))),
            err => Err(Error::from_errno(err)),
        }
    }

    /// Converts the PM reference to one that also holds a reference on the device, instead of a borrow of it.
    pub(crate) fn hold(self) -> Powered<ARef<Device>> {
        // The new value puts the PM reference.
        let this = core::mem::ManuallyDrop::new(self);
        Powered(this.0.map(ARef::from))
    }
}

impl<D: Deref<Target = Device>> Drop for Powered<D> {
    #[inline]
    fn drop(&mut self) {
        if let Some(dev) = &self.0 {
            // SAFETY: `dev` is valid; this balances `resume_and_get()`.
            unsafe { bindings::vfio_helper_pm_runtime_put(super::device::as_raw(dev)) }
        }
    }
}
