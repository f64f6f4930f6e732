// SPDX-License-Identifier: GPL-2.0-only

//! A link from a file to a device that can be cut while the file stays open.
//!
//! A file that is not bound holds no reference on the device: it keeps this link.  Unregistration
//! cuts it, so such a file neither blocks the driver's removal nor sees the object after it.

use super::{Device, RegistrationRef};
use core::ptr::NonNull;
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            ordering::{Acquire, Release},
            AtomicFlag,
        },
        Mutex,
    },
};

struct Target<T> {
    device: NonNull<Device>,
    data: T,
}

// SAFETY: `Device` may be used by any task.
unsafe impl<T: Send> Send for Target<T> {}

/// The link, with `T` for what belongs to one registration.
///
/// # Invariants
///
/// While there is a target, its device has not been freed: [`super::NewDevice`]'s drop severs.
#[pin_data]
pub(crate) struct Severable<T> {
    /// Whether there is a target; a copy that can be read without the lock.
    connected: AtomicFlag,
    #[pin]
    target: Mutex<Option<Target<T>>>,
}

impl<T: Unpin> Severable<T> {
    /// A link to nothing.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            connected: AtomicFlag::new(false),
            target <- new_mutex!(None),
        })
    }

    /// Links to `device`, whose state this link is part of.
    pub(crate) fn connect(&self, device: &Device, data: T) {
        // INVARIANT: The link is part of the device's state, which the device's memory outlives
        // no longer than until `NewDevice` severs the link.
        *self.target.lock() = Some(Target {
            device: NonNull::from(device),
            data,
        });
        self.connected.store(true, Release);
    }

    /// Cuts the link; whoever holds a registration keeps it.
    pub(crate) fn sever(&self) -> Option<T> {
        self.connected.store(false, Release);
        self.target.lock().take().map(|target| target.data)
    }

    /// Whether the device is still there, which the next moment may change.
    #[inline]
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Acquire)
    }

    /// Looks at the data.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.target.lock().as_ref().map(|target| f(&target.data))
    }

    /// Takes a reference on the registration and looks at the data, at one moment.
    pub(crate) fn registration<R>(&self, f: impl FnOnce(&T) -> R) -> Option<(RegistrationRef, R)> {
        let guard = self.target.lock();
        let target = guard.as_ref()?;
        // SAFETY: By the type's invariants, under the lock that severing takes.
        let device = unsafe { target.device.as_ref() };
        Some((RegistrationRef::try_get(device)?, f(&target.data)))
    }
}
