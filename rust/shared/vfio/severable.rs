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
            ordering::{Acquire, Relaxed, Release},
            Atomic,
        },
        Mutex,
    },
};

/// Which connection of a link: the same device may be registered again, and a file of the earlier
/// registration is none of the later.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

struct Target<T> {
    epoch: Epoch,
    device: NonNull<Device>,
    data: T,
}

// SAFETY: `Device` may be used by any task.
unsafe impl<T: Send> Send for Target<T> {}

impl<T> Target<T> {
    /// None when the device is not registered any more.
    fn registration(&self) -> Option<RegistrationRef> {
        // SAFETY: By the invariants of `Severable`: whoever borrows the target has the lock that
        // severing takes.
        RegistrationRef::try_get(unsafe { self.device.as_ref() })
    }
}

/// The link, with `T` for what belongs to one registration.
///
/// # Invariants
///
/// While there is a target, its device has not been freed: [`super::NewDevice`]'s drop severs.
#[pin_data]
pub(crate) struct Severable<T> {
    /// The epoch of the target, 0 without one; a copy that can be read without the lock.
    current: Atomic<u64>,
    /// The last epoch; changed under the lock.
    last: Atomic<u64>,
    #[pin]
    target: Mutex<Option<Target<T>>>,
}

impl<T: Unpin> Severable<T> {
    /// A link to nothing.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            current: Atomic::new(0),
            last: Atomic::new(0),
            target <- new_mutex!(None),
        })
    }

    /// Links to `device`.
    ///
    /// # Safety
    ///
    /// This link is part of the device's state.
    pub(super) unsafe fn connect(&self, device: &Device, data: T) -> Epoch {
        let mut target = self.target.lock();
        let epoch = Epoch(self.last.load(Relaxed).wrapping_add(1));
        self.last.store(epoch.0, Relaxed);
        // INVARIANT: By the caller's promise: `NewDevice` severs the link of its state before it
        // frees the device.
        *target = Some(Target {
            epoch,
            device: NonNull::from(device),
            data,
        });
        self.current.store(epoch.0, Release);
        epoch
    }

    /// Cuts the link; whoever holds a registration keeps it.
    pub(crate) fn sever(&self) -> Option<T> {
        let mut target = self.target.lock();
        self.current.store(0, Release);
        target.take().map(|target| target.data)
    }

    /// Whether the connection still is, which the next moment may change.
    #[inline]
    pub(crate) fn is_connected(&self, epoch: Epoch) -> bool {
        self.current.load(Acquire) == epoch.0
    }

    /// Looks at the data of the connection that is now.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<(Epoch, R)> {
        let guard = self.target.lock();
        let target = guard.as_ref()?;
        Some((target.epoch, f(&target.data)))
    }

    /// Takes a reference on the registration and looks at the data, if the connection still is.
    pub(crate) fn registration<R>(
        &self,
        epoch: Epoch,
        f: impl FnOnce(&T) -> R,
    ) -> Option<(RegistrationRef, R)> {
        let guard = self.target.lock();
        let target = guard.as_ref().filter(|target| target.epoch == epoch)?;
        Some((target.registration()?, f(&target.data)))
    }

    /// Takes a reference on the registration that is now.
    pub(crate) fn current_registration(&self) -> Option<(RegistrationRef, Epoch)> {
        let guard = self.target.lock();
        let target = guard.as_ref()?;
        Some((target.registration()?, target.epoch))
    }
}
