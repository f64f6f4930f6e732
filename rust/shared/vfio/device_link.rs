// SPDX-License-Identifier: GPL-2.0-only

//! The link from the state of a device to the device, which unregistration revokes while files stay open.
//!
//! A file that is not bound holds a reference on the state, but none on the device: it finds the device
//! through the link.  Unregistration revokes the link.  So an unbound file does not block the removal of the
//! driver, and cannot reach the device after the removal.

use super::{iommu_driver::GroupType, Device, RegistrationRef};
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

/// The number of a registration of a device.  The low bits hold the type of the group.  A device can be registered
/// again, in another group.  A file of the earlier registration does not belong to the later registration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Generation {
    const TYPE_BITS: u32 = 2;
    const TYPE_MASK: u64 = (1 << Self::TYPE_BITS) - 1;

    /// Returns the generation that follows `last`, for a group of type `group_type`.  `last` is 0 before the
    /// first registration.
    fn after(last: u64, group_type: GroupType) -> Self {
        const {
            assert!(GroupType::Iommu as u64 <= Self::TYPE_MASK);
            assert!(GroupType::Emulated as u64 <= Self::TYPE_MASK);
            assert!(GroupType::NoIommu as u64 <= Self::TYPE_MASK);
        }
        let number = (last >> Self::TYPE_BITS).wrapping_add(1);
        Self(number << Self::TYPE_BITS | u64::from(group_type as u32))
    }

    /// Returns the type of the group: how the device accesses memory.
    #[inline]
    pub(crate) fn group_type(self) -> GroupType {
        const EMULATED: u64 = GroupType::Emulated as u64;
        const NO_IOMMU: u64 = GroupType::NoIommu as u64;
        match self.0 & Self::TYPE_MASK {
            EMULATED => GroupType::Emulated,
            NO_IOMMU => GroupType::NoIommu,
            _ => GroupType::Iommu,
        }
    }
}

/// The device to which a link is connected, with the data of the registration.
struct Connected<T> {
    generation: Generation,
    device: NonNull<Device>,
    data: T,
}

// SAFETY: Any task may use a `Device`.
unsafe impl<T: Send> Send for Connected<T> {}

impl<T> Connected<T> {
    /// Takes a reference on the registration.  Returns None if the device is no longer registered.
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
    target: Mutex<Option<Connected<T>>>,
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

    /// Connects the link to `device` in a group of type `group_type`, as a new generation.  Takes the lock of
    /// the link.
    ///
    /// # Safety
    ///
    /// This link is part of the device's state.
    pub(super) unsafe fn connect(&self, device: &Device, group_type: GroupType, data: T) {
        let mut target = self.target.lock();
        let generation = Generation::after(self.last.load(Relaxed), group_type);
        self.last.store(generation.0, Relaxed);
        // INVARIANT: By the caller's promise: `NewDevice` revokes the link of its state before it frees the
        // device.
        *target = Some(Connected {
            generation,
            device: NonNull::from(device),
            data,
        });
        self.current.store(generation.0, Release);
    }

    /// Returns the last generation.  Takes no lock.
    pub(super) fn last(&self) -> Generation {
        Generation(self.last.load(Relaxed))
    }

    /// Revokes the link and returns its data, if it is connected.  Existing registration references stay
    /// valid.  Takes the lock of the link.
    pub(crate) fn revoke(&self) -> Option<T> {
        let mut target = self.target.lock();
        self.current.store(0, Release);
        target.take().map(|target| target.data)
    }

    /// Tells whether the link is still connected by the registration `generation`.  Takes no lock: the answer
    /// can be stale.
    #[inline]
    pub(crate) fn is_connected(&self, generation: Generation) -> bool {
        self.current.load(Acquire) == generation.0
    }

    /// Returns the generation of the current registration, or None if the link is not connected.  Takes no
    /// lock: the answer can be stale.
    #[inline]
    pub(crate) fn current(&self) -> Option<Generation> {
        match self.current.load(Acquire) {
            0 => None,
            generation => Some(Generation(generation)),
        }
    }

    /// Takes a reference on the registration, and calls `f` with its data, under the lock of the link.
    /// Returns None if `generation` is not the current registration, or if the last reference is dropped.
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

    /// Takes a reference on the current registration.  Takes the lock of the link.  Returns None if the link
    /// is not connected, or if the last reference is dropped.
    pub(crate) fn current_registration(&self) -> Option<RegistrationRef> {
        self.target.lock().as_ref()?.registration()
    }
}
