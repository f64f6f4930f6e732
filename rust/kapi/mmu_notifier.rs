// SPDX-License-Identifier: GPL-2.0-only

//! Being told of the end of an address space (`include/linux/mmu_notifier.h`).

use super::restartable;
use crate::bindings;
use kernel::{
    error::to_result,
    mm::{Mm, MmWithUser},
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{ordering::Relaxed, AtomicFlag},
        Arc, ArcBorrow,
    },
    types::Opaque,
};

/// Someone who is told.
pub(crate) trait Listener: Send + Sync + 'static {
    /// The last user of the address space is gone: what is mapped in it goes next.  May sleep, but
    /// not end the watch.  Called once at most.
    fn mm_released(this: ArcBorrow<'_, Self>);
}

/// What is registered with an address space.
#[pin_data]
#[repr(C)]
struct Registered<T> {
    /// First: the address of the one is that of the other.
    #[pin]
    notifier: Opaque<bindings::mmu_notifier>,
    /// The watch is being ended, of which the kernel tells as of the address space's end.
    ending: AtomicFlag,
    listener: Arc<T>,
    mm: ARef<Mm>,
}

// SAFETY: The kernel alone uses the notifier, under its own locks.
unsafe impl<T: Send + Sync> Send for Registered<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Registered<T> {}

impl<T: Listener> Registered<T> {
    const OPS: &'static bindings::mmu_notifier_ops = &bindings::mmu_notifier_ops {
        release: Some(Self::release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called by the kernel, with the notifier of a [`Watch`].
    unsafe extern "C" fn release(
        notifier: *mut bindings::mmu_notifier,
        _mm: *mut bindings::mm_struct,
    ) {
        // SAFETY: It is the first field; the watch does not end before this returns.
        let this = unsafe { &*notifier.cast::<Self>() };
        if !this.ending.load(Relaxed) {
            T::mm_released(this.listener.as_arc_borrow());
        }
    }
}

/// While this is, its listener is told.
///
/// # Invariants
///
/// The notifier is registered with `mm`.
pub(crate) struct Watch<T: Listener>(Pin<KBox<Registered<T>>>);

impl<T: Listener> Watch<T> {
    /// Begins to watch an address space.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ERESTARTSYS` when a signal comes.
    pub(crate) fn begin(listener: Arc<T>, mm: &MmWithUser) -> Result<Self> {
        let registered = KBox::pin_init(
            pin_init!(Registered {
                notifier: Opaque::new(bindings::mmu_notifier {
                    ops: Registered::<T>::OPS,
                    ..pin_init::zeroed()
                }),
                ending: AtomicFlag::new(false),
                listener,
                mm: (&**mm).into(),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        // SAFETY: The notifier is pinned and not registered; the address space has users.
        to_result(unsafe {
            bindings::mmu_notifier_register(registered.notifier.get(), mm.as_raw())
        })
        .map_err(restartable)?;
        // INVARIANT: It has been registered.
        Ok(Self(registered))
    }

    /// Who is told.
    pub(crate) fn listener(&self) -> &Arc<T> {
        &self.0.listener
    }

    /// The address space.
    pub(crate) fn mm(&self) -> &Mm {
        &self.0.mm
    }
}

impl<T: Listener> Drop for Watch<T> {
    fn drop(&mut self) {
        self.0.ending.store(true, Relaxed);
        // SAFETY: By the type's invariants.  Waits for `release()`.
        unsafe { bindings::mmu_notifier_unregister(self.0.notifier.get(), self.0.mm.as_raw()) }
    }
}
