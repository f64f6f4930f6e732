// SPDX-License-Identifier: GPL-2.0-only

//! Being told of the end of an address space (`include/linux/mmu_notifier.h`).

use crate::bindings;
use core::cell::Cell;
use kernel::{
    error::to_result,
    mm::{Mm, MmWithUser},
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow},
    types::Opaque,
};

/// Someone who is told.
pub(crate) trait Listener: Send + Sync + Sized + 'static {
    /// The last task that used the address space is gone: what was mapped in it goes next.  May
    /// sleep, but not end the watch.  Called once, perhaps by the end of the [`Watch`] itself.
    fn mm_released(this: ArcBorrow<'_, Self>);

    /// What the watch needs within the listener.
    fn notifier(&self) -> &Notifier<Self>;
}

/// The part of a [`Watch`] that is within its listener.
///
/// # Invariants
///
/// While it is registered with the address space, `listener` is a watch's reference.
#[pin_data]
#[repr(C)]
pub(crate) struct Notifier<T> {
    /// First: the address of the one is that of the other.
    #[pin]
    notifier: Opaque<bindings::mmu_notifier>,
    listener: Cell<*const T>,
    mm: ARef<Mm>,
}

// SAFETY: The lock of the address space's notifiers protects what changes.
unsafe impl<T: Send + Sync> Send for Notifier<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Notifier<T> {}

impl<T: Listener> Notifier<T> {
    const OPS: &'static bindings::mmu_notifier_ops = &bindings::mmu_notifier_ops {
        release: Some(Self::release),
        ..pin_init::zeroed()
    };

    /// Of an address space, not registered yet.
    pub(crate) fn new(mm: &Mm) -> impl PinInit<Self> + use<'_, T> {
        pin_init!(Self {
            notifier: Opaque::new(bindings::mmu_notifier {
                ops: Self::OPS,
                ..pin_init::zeroed()
            }),
            listener: Cell::new(core::ptr::null()),
            mm: mm.into(),
        })
    }

    /// The address space.
    pub(crate) fn mm(&self) -> &Mm {
        &self.mm
    }

    /// # Safety
    ///
    /// Called with a notifier that a [`Watch`] registered.
    unsafe extern "C" fn release(
        notifier: *mut bindings::mmu_notifier,
        _mm: *mut bindings::mm_struct,
    ) {
        // SAFETY: By the type's invariants; the watch does not end before this returns.
        T::mm_released(unsafe { ArcBorrow::from_raw((*notifier.cast::<Self>()).listener.get()) })
    }
}

/// While this is, its listener is told.
pub(crate) struct Watch<T: Listener>(Arc<T>);

impl<T: Listener> Watch<T> {
    /// Begins to watch the address space that the listener's notifier is of, which `mm` shows to
    /// have users.
    ///
    /// # Errors
    ///
    /// `EINVAL` for another address space, or when it is watched by the listener already;
    /// `ENOMEM`; `EINTR` when a fatal signal comes.
    pub(crate) fn begin(listener: Arc<T>, mm: &MmWithUser) -> Result<Self> {
        let this = listener.notifier();
        if this.mm.as_raw() != mm.as_raw() || !this.listener.get().is_null() {
            return Err(EINVAL);
        }
        // INVARIANT: The reference becomes the watch's.
        this.listener.set(Arc::as_ptr(&listener));
        // SAFETY: The notifier is pinned and not registered; the address space has users.
        to_result(unsafe { bindings::mmu_notifier_register(this.notifier.get(), mm.as_raw()) })?;
        Ok(Self(listener))
    }

    /// Who is told.
    pub(crate) fn listener(&self) -> &Arc<T> {
        &self.0
    }
}

impl<T: Listener> Drop for Watch<T> {
    fn drop(&mut self) {
        let this = self.0.notifier();
        // SAFETY: It was registered, for this address space.  Waits for `release()`.
        unsafe { bindings::mmu_notifier_unregister(this.notifier.get(), this.mm.as_raw()) }
    }
}
