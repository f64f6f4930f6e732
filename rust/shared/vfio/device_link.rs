// SPDX-License-Identifier: GPL-2.0-only

//! The link from a file to its device, which unregistration revokes while the file stays open.
//!
//! A file that is not bound holds no reference on the device, only this link.  Unregistration revokes the
//! link.  So an unbound file does not block the removal of the driver, and cannot reach the device after it.

use super::{Device, RegistrationRef};
use core::ptr::NonNull;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            ordering::{Acquire, Relaxed, Release},
            Atomic,
        },
        Mutex,
    },
};

/// The number of a connection of a link.  A device can be registered again; a file of the earlier
/// registration does not belong to the later one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

struct Target<T> {
    generation: Generation,
    device: NonNull<Device>,
    data: T,
}

// SAFETY: Any task may use a `Device`.
unsafe impl<T: Send> Send for Target<T> {}

impl<T> Target<T> {
    /// Takes a reference on the registration.  None if the device is no longer registered.
    fn registration(&self) -> Option<RegistrationRef> {
        // SAFETY: By the invariants of `DeviceLink`: the caller borrows the target under the lock that
        // revocation takes.
        RegistrationRef::try_get(unsafe { self.device.as_ref() })
    }
}

/// The link.  `T` is the data of one registration.
///
/// # Invariants
///
/// While there is a target, its device is not freed: the drop of [`super::NewDevice`] revokes the link.
#[pin_data]
pub(crate) struct DeviceLink<T> {
    /// The generation of the target, or 0 without a target.  This copy can be read without the lock.
    current: Atomic<u64>,
    /// The last generation.  The lock protects changes.
    last: Atomic<u64>,
    #[pin]
    target: Mutex<Option<Target<T>>>,
}

impl<T: Unpin> DeviceLink<T> {
    /// Returns a link without a target.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            current: Atomic::new(0),
            last: Atomic::new(0),
            target <- new_mutex!(None),
        })
    }

    /// Connects the link to `device`.  Takes the lock of the link.
    ///
    /// # Safety
    ///
    /// This link is part of the device's state.
    pub(super) unsafe fn connect(&self, device: &Device, data: T) -> Generation {
        let mut target = self.target.lock();
        let generation = Generation(self.last.load(Relaxed).wrapping_add(1));
        self.last.store(generation.0, Relaxed);
        // INVARIANT: By the caller's promise: `NewDevice` revokes the link of its state before it frees the
        // device.
        *target = Some(Target {
            generation,
            device: NonNull::from(device),
            data,
        });
        self.current.store(generation.0, Release);
        generation
    }

    /// Revokes the link and returns its data.  Existing registration references stay valid.
    pub(crate) fn revoke(&self) -> Option<T> {
        let mut target = self.target.lock();
        self.current.store(0, Release);
        target.take().map(|target| target.data)
    }

    /// Tells whether the connection `generation` still exists.  Takes no lock: the answer can be stale.
    #[inline]
    pub(crate) fn is_connected(&self, generation: Generation) -> bool {
        self.current.load(Acquire) == generation.0
    }

    /// Calls `f` with the data of the current connection, under the lock of the link.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<(Generation, R)> {
        let guard = self.target.lock();
        let target = guard.as_ref()?;
        Some((target.generation, f(&target.data)))
    }

    /// Takes a reference on the registration, and calls `f` with the data, if the connection `generation` still
    /// exists.
    pub(crate) fn registration<R>(
        &self,
        generation: Generation,
        f: impl FnOnce(&T) -> R,
    ) -> Option<(RegistrationRef, R)> {
        let guard = self.target.lock();
        let target = guard
            .as_ref()
            .filter(|target| target.generation == generation)?;
        Some((target.registration()?, f(&target.data)))
    }

    /// Takes a reference on the current registration.
    pub(crate) fn current_registration(&self) -> Option<(RegistrationRef, Generation)> {
        let guard = self.target.lock();
        let target = guard.as_ref()?;
        Some((target.registration()?, target.generation))
    }
}
