// SPDX-License-Identifier: GPL-2.0-only

//! Devices.

use crate::sync::aref::{AlwaysRefCounted, Shared};
use core::marker::PhantomData;
use std::sync::Arc;

/// Context: a driver is bound to the device.
pub struct Bound;
/// Context: the device exists.
pub struct Normal;

/// A device.
#[repr(transparent)]
pub struct Device<Ctx = Normal> {
    shared: Shared<Device>,
    ctx: PhantomData<Ctx>,
}

impl Device {
    /// Makes a device.
    pub fn new() -> Arc<Self> {
        Shared::make(|shared| Self {
            shared,
            ctx: PhantomData,
        })
    }

    /// Returns the device, with a driver bound to it.
    ///
    /// # Safety
    ///
    /// A driver stays bound to the device.
    pub unsafe fn as_bound(&self) -> &Device<Bound> {
        // SAFETY: The contexts differ only in the proof.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl core::ops::Deref for Device<Bound> {
    type Target = Device;

    fn deref(&self) -> &Device {
        // SAFETY: The contexts differ only in the proof.
        unsafe { &*core::ptr::from_ref(self).cast() }
    }
}

impl AlwaysRefCounted for Device {
    fn shared(&self) -> &Shared<Self> {
        &self.shared
    }
}
