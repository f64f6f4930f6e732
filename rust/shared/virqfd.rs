// SPDX-License-Identifier: GPL-2.0-only

//! What virqfd shares with drivers: their functions, and their pointers to what they enabled.

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
    /// Protects the slots (see [`Slot`]), which are in the drivers' structures.
    pub(crate) unsafe(uninit) static SLOTS: SpinLockIrq<()> = ();
}

/// [`SLOTS`], held.
pub(crate) type SlotsGuard = GlobalGuard<SLOTS>;

/// The functions that a driver wants called, with their arguments.
pub(crate) struct Callbacks {
    opaque: *mut c_void,
    data: *mut c_void,
    handler: Option<unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int>,
    thread: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
}

// SAFETY: By the promise that `new()` asks for.
unsafe impl Send for Callbacks {}
// SAFETY: As above.
unsafe impl Sync for Callbacks {}

impl Callbacks {
    /// # Safety
    ///
    /// The functions may be called with these arguments from any task, `handler` in atomic context:
    /// `handler` until the subscription that keeps this has ended ([`Subscription::end`](crate::kapi::eventfd::Subscription::end)) or was
    /// cancelled, `thread` until the task that ended it has waited for the work that calls
    /// [`run_thread`](Self::run_thread).
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

    /// Calls the handler; true if the thread is to run.  Without a handler it always is.
    pub(crate) fn handle(this: Live<'_, Self>) -> bool {
        let wanted = match this.handler {
            // SAFETY: By the promise that `new()` asks for: the subscription has not ended.
            Some(handler) => unsafe { handler(this.opaque, this.data) != 0 },
            None => true,
        };
        wanted && this.has_thread()
    }

    /// Whether there is a thread function.
    pub(crate) fn has_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// Calls it.  May sleep.  Whoever ends the subscription waits for this, as the promise of
    /// [`new`](Self::new) says.
    pub(crate) fn run_thread(&self) {
        if let Some(thread) = self.thread {
            // SAFETY: By the promise that `new()` asks for.
            unsafe { thread(self.opaque, self.data) }
        }
    }
}

/// A driver's variable that points to what it enabled; NULL when nothing is.
///
/// All access is under [`SLOTS`], which the guard proves.
pub(crate) struct Slot<T>(NonNull<*mut bindings::virqfd>, PhantomData<fn(T)>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slot<T> {}

// SAFETY: Access is serialised by the guard that the methods ask for.
unsafe impl<T> Send for Slot<T> {}
// SAFETY: As above.
unsafe impl<T> Sync for Slot<T> {}

impl<T: Send + Sync + 'static> Slot<T> {
    /// # Safety
    ///
    /// `ptr` is valid until `vfio_virqfd_disable()` of it returns, or is only used before the
    /// function it was passed to returns, and it is NULL or was stored by [`fill`](Self::fill).
    pub(crate) unsafe fn from_raw(ptr: *mut *mut bindings::virqfd) -> Option<Self> {
        Some(Self(NonNull::new(ptr)?, PhantomData))
    }

    /// What the slot points to, which its subscription keeps.
    pub(crate) fn get<'a>(&self, _lock: &'a SlotsGuard) -> Option<ArcBorrow<'a, T>> {
        // SAFETY: By the promise of `from_raw()`; the task that ends the subscription empties the slot
        // first, under the lock that `_lock` holds.
        unsafe {
            let ptr = NonNull::new(*self.0.as_ptr())?;
            Some(ArcBorrow::from_raw(ptr.as_ptr().cast()))
        }
    }

    /// Whether the slot points to `item`.
    pub(crate) fn holds(&self, item: &T, _lock: &SlotsGuard) -> bool {
        // SAFETY: By the promise of `from_raw()`.
        unsafe { (*self.0.as_ptr()).cast::<T>().cast_const() == core::ptr::from_ref(item) }
    }

    /// Points the slot to `item`, whose subscription keeps it.
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
