// SPDX-License-Identifier: GPL-2.0-only

//! Being told of the end of an address space (`include/linux/mmu_notifier.h`).

use super::restartable;
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    mm::{Mm, MmWithUser},
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow},
    task::Task,
    types::Opaque,
};

/// Who ends an address space.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Releaser {
    /// A task, or the worker of the address space's own `mmput_async()`.  Neither is waited for
    /// while page requests of devices are handled.
    Task,
    /// Another kernel thread, which may be the handler of a page request.
    KernelThread,
}

impl Releaser {
    /// # Safety
    ///
    /// `mm` is valid.
    unsafe fn current(mm: *mut bindings::mm_struct) -> Self {
        // SAFETY: The current task is valid, and the flag is constant.
        let flags = unsafe { (*Task::current_raw()).flags };
        if flags & bindings::PF_KTHREAD == 0 {
            return Self::Task;
        }
        // SAFETY: No requirements; `mm` is valid, and only the field's address is taken.
        let is_async = unsafe {
            core::ptr::eq(
                bindings::current_work(),
                &raw const (*mm).__bindgen_anon_1.async_put_work,
            )
        };
        match is_async {
            true => Self::Task,
            false => Self::KernelThread,
        }
    }
}

/// The one who is told.  Its last reference may be dropped where sleeping is not allowed: an SRCU
/// callback drops the notifier's.
pub(crate) trait Listener: Send + Sync + 'static {
    /// The address space has no users any more; its pages are freed after this returns.  May sleep,
    /// and may drop the [`Watch`].  Called once at most.
    fn mm_released(this: ArcBorrow<'_, Self>, releaser: Releaser);
}

/// What is registered with an address space.
#[pin_data]
#[repr(C)]
struct Registered<T> {
    /// First: the address of the one is that of the other.
    #[pin]
    notifier: Opaque<bindings::mmu_notifier>,
    listener: Arc<T>,
    mm: ARef<Mm>,
}

impl<T: Listener> Registered<T> {
    const OPS: &'static bindings::mmu_notifier_ops = &bindings::mmu_notifier_ops {
        release: Some(Self::release),
        free_notifier: Some(Self::free),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called by the kernel, with the notifier of a [`Watch`].
    unsafe extern "C" fn release(
        notifier: *mut bindings::mmu_notifier,
        mm: *mut bindings::mm_struct,
    ) {
        // SAFETY: It is the first field.  The kernel calls `free()` only after an SRCU grace period,
        // and this runs in a read-side critical section: the object outlives the call, though the
        // watch may be dropped in it.
        let (this, releaser) = unsafe { (&*notifier.cast::<Self>(), Releaser::current(mm)) };
        T::mm_released(this.listener.as_arc_borrow(), releaser);
    }

    /// # Safety
    ///
    /// Called by the kernel, once, after the watch of the notifier was dropped and nobody uses the
    /// notifier any more.
    unsafe extern "C" fn free(notifier: *mut bindings::mmu_notifier) {
        // SAFETY: By the caller's promise; `Watch::begin()` made it from a box.
        drop(unsafe { KBox::from_raw(notifier.cast::<Self>()) });
    }
}

/// While this is, its listener is told.  Dropping it waits for nothing: the listener may still be
/// told when it returns, if the address space is ending.
///
/// # Invariants
///
/// Points to a box whose notifier is registered with `mm`; the kernel frees it after
/// `mmu_notifier_put()`.
pub(crate) struct Watch<T: Listener>(NonNull<Registered<T>>);

// SAFETY: The kernel uses the notifier under its own locks; the other fields can be shared.
unsafe impl<T: Listener> Send for Watch<T> {}
// SAFETY: As above.
unsafe impl<T: Listener> Sync for Watch<T> {}

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
        // SAFETY: The box is moved as a pointer only: what is in it stays where it is.
        let raw = KBox::into_raw(unsafe { Pin::into_inner_unchecked(registered) });
        // INVARIANT: The notifier has been registered.
        // SAFETY: A box is not NULL.
        Ok(Self(unsafe { NonNull::new_unchecked(raw) }))
    }

    fn registered(&self) -> &Registered<T> {
        // SAFETY: By the type's invariants.
        unsafe { self.0.as_ref() }
    }

    /// The one who is told.
    pub(crate) fn listener(&self) -> &Arc<T> {
        &self.registered().listener
    }

    /// The address space.
    pub(crate) fn mm(&self) -> &Mm {
        &self.registered().mm
    }
}

impl<T: Listener> Drop for Watch<T> {
    fn drop(&mut self) {
        // SAFETY: By the type's invariants; registered once, put once.
        unsafe { bindings::mmu_notifier_put(self.registered().notifier.get()) }
    }
}

/// Waits until all notifiers, of whomever, have returned that have been told of an end by now.
pub(crate) fn synchronize() {
    // SAFETY: No requirements; the caller may sleep.
    unsafe { bindings::mmu_notifier_synchronize() }
}

/// Waits, when dropped, until no notifier of a [`Watch`] is left that has been dropped: to be done
/// before the module's code goes.
pub(crate) struct Synchronize;

impl Drop for Synchronize {
    fn drop(&mut self) {
        synchronize();
    }
}
