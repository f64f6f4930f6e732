// SPDX-License-Identifier: GPL-2.0-only

//! Virqfds: eventfds that call a driver when user space signals them.
//!
//! C counterpart: `virqfd.c`.
//!
//! The driver has a slot: a pointer that is NULL while no virqfd is enabled.  Only this module changes it,
//! under [`SLOTS`].  A virqfd ends when the driver disables the slot or when the eventfd is closed.  The
//! first of the two empties the slot and queues the shutdown.  A virqfd is set up completely before it is
//! stored in the slot.
//!
//! The callback functions of the driver may be called until [`disable`] returns.  All code that calls them,
//! ends them or waits for their end is in this file.
//!
//! Locks: [`SLOTS`] is taken with interrupts off, inside the eventfd's wait-queue lock.  [`CLEANUP`] is a
//! leaf.

use crate::{
    bindings,
    kapi::{eventfd::Live, series::global_lock},
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    prelude::*,
    sync::{lock::GlobalGuard, Arc, ArcBorrow},
};

global_lock! {
    /// Protects the slots (see [`Slot`]), which are in the structures of drivers.
    pub(crate) unsafe(uninit) static SLOTS: SpinLockIrq<()> = ();
}

/// The guard of [`SLOTS`]: proof that the lock is held.
pub(crate) type SlotsGuard = GlobalGuard<SLOTS>;

/// The callback functions of a driver, with their arguments.
pub(crate) struct Callbacks {
    opaque: *mut c_void,
    data: *mut c_void,
    handler: Option<unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int>,
    thread: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
}

// SAFETY: By the promise that `new()` requires.
unsafe impl Send for Callbacks {}
// SAFETY: As above.
unsafe impl Sync for Callbacks {}

impl Callbacks {
    /// # Safety
    ///
    /// The functions may be called with these arguments from any task:
    ///
    /// - `handler`, in atomic context, until the subscription that keeps this value has ended
    ///   ([`Subscription::end`]) or was cancelled;
    /// - `thread`, until the task that ended the subscription has waited for the work that calls it.
    ///
    /// Both have come to pass when [`disable`] of the slot returns.
    pub(crate) unsafe fn new(
        opaque: *mut c_void,
        data: *mut c_void,
        handler: Option<unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int>,
        thread: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
    ) -> Self {
        Self {
            opaque,
            data,
            handler,
            thread,
        }
    }

    /// Calls the handler.  Returns true if the thread function is to run: it exists, and the handler returned
    /// nonzero or does not exist.  Atomic context.
    pub(crate) fn handle(this: Live<'_, Self>) -> bool {
        let wanted = match this.handler {
            // SAFETY: By the promise that `new()` requires: the subscription has not ended.
            Some(handler) => unsafe { handler(this.opaque, this.data) != 0 },
            None => true,
        };
        wanted && this.has_thread()
    }

    /// Tells whether there is a thread function.
    pub(crate) fn has_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// Calls the thread function, if there is one.  May sleep.  The task that ends the subscription waits for
    /// this call, as the promise of [`new`](Self::new) requires.
    pub(crate) fn run_thread(&self) {
        if let Some(thread) = self.thread {
            // SAFETY: By the promise that `new()` requires, and that of the caller.
            unsafe { thread(self.opaque, self.data) }
        }
    }
}

/// The pointer in a driver's structure to the virqfd that the driver enabled; NULL if no virqfd is enabled.
///
/// [`SLOTS`] protects all accesses; the methods take its guard as proof.
pub(crate) struct Slot<T>(NonNull<*mut bindings::virqfd>, PhantomData<fn(T)>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

// SAFETY: The lock serialises all accesses; the methods require its guard.
unsafe impl<T> Send for Slot<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for Slot<T> {}

impl<T: Send + Sync + 'static> Slot<T> {
    /// # Safety
    ///
    /// One of these holds:
    ///
    /// - `ptr` is valid until `vfio_virqfd_disable(ptr)` returns;
    /// - `ptr` was passed to an exported function, and is used only before that function returns.
    ///
    /// The pointer at `ptr` is NULL or was stored by [`enable`].
    pub(crate) unsafe fn from_raw(ptr: *mut *mut bindings::virqfd) -> Option<Self> {
        Some(Self(NonNull::new(ptr)?, PhantomData))
    }

    /// Returns the object that the slot points to.  The subscription of the object keeps the object alive.
    pub(crate) fn get<'a>(&self, _lock: &'a SlotsGuard) -> Option<ArcBorrow<'a, T>> {
        // SAFETY: By the promise of `from_raw()`.  The slot is emptied before the subscription of the object
        // ends, under the lock that `_lock` proves, so the object exists for `'a`.
        unsafe {
            let ptr = NonNull::new(*self.0.as_ptr())?;
            Some(ArcBorrow::from_raw(ptr.as_ptr().cast()))
        }
    }

    /// Tells whether the slot points to `item`.
    pub(crate) fn holds(&self, item: &T, _lock: &SlotsGuard) -> bool {
        // SAFETY: By the promise of `from_raw()`.
        unsafe { (*self.0.as_ptr()).cast::<T>().cast_const() == core::ptr::from_ref(item) }
    }

    /// Makes the slot point to `item`.  The subscription of `item` keeps `item` alive.
    pub(crate) fn fill(&self, item: &Arc<T>, _lock: &mut SlotsGuard) {
        let ptr = Arc::as_ptr(item);
        // SAFETY: By the promise of `from_raw()`.
        unsafe { *self.0.as_ptr() = ptr.cast_mut().cast() }
    }

    /// Empties the slot.
    pub(crate) fn clear(&self, _lock: &mut SlotsGuard) {
        // SAFETY: By the promise of `from_raw()`.
        unsafe { *self.0.as_ptr() = core::ptr::null_mut() }
    }
}
