// SPDX-License-Identifier: GPL-2.0-only

//! Being told of the end of an address space (`include/linux/mmu_notifier.h`).

use super::restartable;
use crate::bindings;
use kernel::{
    error::to_result,
    mm::{Mm, MmWithUser},
    page::PAGE_SIZE,
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow},
    task::Task,
    types::Opaque,
};

/// Who ends an address space.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Releaser {
    /// A task of user space, or the worker of the address space's own `mmput_async()`.  No handler of
    /// page requests is one.
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

/// The one who is told.
pub(crate) trait Listener: Send + Sync + 'static {
    /// The address space has no users any more; its pages are freed after this returns, and notifiers
    /// of the older kind (`struct mmu_notifier`) are told afterwards.  May sleep: no lock of the
    /// kernel's notifiers is held, nor their SRCU, for which other address spaces wait when they end.
    /// Must not drop the [`Watch`].  Called once at most.
    fn mm_released(this: ArcBorrow<'_, Self>, releaser: Releaser);
}

/// What is registered with an address space.
#[pin_data]
#[repr(C)]
struct Registered<T> {
    /// First: the address of the one is that of the other.
    #[pin]
    notifier: Opaque<bindings::mmu_interval_notifier>,
    listener: Arc<T>,
    mm: ARef<Mm>,
}

// SAFETY: The kernel alone uses the notifier, under its own locks.
unsafe impl<T: Send + Sync> Send for Registered<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Registered<T> {}

impl<T: Listener> Registered<T> {
    const OPS: &'static bindings::mmu_interval_notifier_ops =
        &bindings::mmu_interval_notifier_ops {
            invalidate: Some(Self::invalidate),
            ..pin_init::zeroed()
        };

    /// # Safety
    ///
    /// Called by the kernel, with the notifier of a [`Watch`] and a valid range.
    unsafe extern "C" fn invalidate(
        notifier: *mut bindings::mmu_interval_notifier,
        range: *const bindings::mmu_notifier_range,
        _sequence: c_ulong,
    ) -> bool {
        // SAFETY: By the caller's promise.
        let (event, mm) = unsafe { ((*range).event, (*range).mm) };
        if event == bindings::mmu_notifier_event_MMU_NOTIFY_RELEASE {
            // SAFETY: It is the first field; the watch does not end before this returns.  The kernel
            // holds the address space.
            let (this, releaser) = unsafe { (&*notifier.cast::<Self>(), Releaser::current(mm)) };
            T::mm_released(this.listener.as_arc_borrow(), releaser);
        }
        true
    }
}

/// While this is, its listener is told.
///
/// # Invariants
///
/// The notifier is registered with `mm`.
pub(crate) struct Watch<T: Listener>(Pin<KBox<Registered<T>>>);

impl<T: Listener> Watch<T> {
    /// The last page of all addresses, in which nothing is ever mapped: of changes the listener is not
    /// told.
    const START: usize = usize::MAX & !(PAGE_SIZE - 1);

    /// Begins to watch an address space.  Waits for changes to its mappings in progress.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ERESTARTSYS` when a signal comes.
    pub(crate) fn begin(listener: Arc<T>, mm: &MmWithUser) -> Result<Self> {
        let registered = KBox::pin_init(
            pin_init!(Registered {
                notifier: Opaque::new(pin_init::zeroed()),
                listener,
                mm: (&**mm).into(),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        // SAFETY: The notifier is pinned and not registered; the address space has users.
        to_result(unsafe {
            bindings::mmu_interval_notifier_insert(
                registered.notifier.get(),
                mm.as_raw(),
                Self::START,
                PAGE_SIZE,
                Registered::<T>::OPS,
            )
        })
        .map_err(restartable)?;
        // INVARIANT: It has been registered.
        let watch = Self(registered);
        // While a change is in progress the kernel keeps new notifiers aside, and would not tell them of
        // the end.
        // SAFETY: The notifier is registered; the caller may sleep.
        unsafe { bindings::mmu_interval_read_begin(watch.0.notifier.get()) };
        Ok(watch)
    }

    /// The one who is told.
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
        // SAFETY: By the type's invariants; the caller may sleep.  Waits for `invalidate()`, and for
        // changes to the mappings in progress.
        unsafe { bindings::mmu_interval_notifier_remove(self.0.notifier.get()) }
    }
}

/// Waits until all notifiers of the older kind, of whichever address space, have returned that are
/// running now.
pub(crate) fn synchronize() {
    // SAFETY: No requirements; the caller may sleep.
    unsafe { bindings::mmu_notifier_synchronize() }
}
