// SPDX-License-Identifier: GPL-2.0-only

//! Virqfds: eventfds that call a driver when user space signals them.
//!
//! C counterpart: `virqfd.c`.
//!
//! The driver has a slot: a pointer that is NULL while no virqfd is enabled.  Only this module changes it,
//! under `SLOTS`.  A virqfd ends when the driver disables the slot or when the eventfd is closed.  The
//! first of the two empties the slot and queues the *shutdown*: the work that ends the subscription and waits for the
//! driver's functions.  A virqfd is set up completely before it is stored in the slot.
//!
//! The callback functions of the driver may be called until [`disable`] returns.  All code that calls the
//! functions, ends the subscription of a virqfd or waits for a running call is in this file.
//!
//! Locks: `SLOTS` is taken with interrupts off, inside the eventfd's wait-queue lock.  `CLEANUP` is a
//! leaf.

use crate::{
    bindings,
    kapi::{
        eventfd::{Eventfd, Listener, Live, Signal, Subscription},
        series::{global_lock, smp_mb},
        workqueue::{flush_work, percpu, OwnedQueue},
    },
};
use core::ptr::NonNull;
use kernel::{
    impl_has_work, new_work,
    prelude::*,
    sync::{
        atomic::{
            ordering::{Full, Relaxed},
            AtomicFlag,
        },
        lock::GlobalGuard,
        Arc, ArcBorrow, UniqueArc,
    },
    workqueue::{Work, WorkItem},
};

global_lock! {
    /// Protects the slots (see [`Slot`]), which are in the structures of drivers.
    pub(crate) unsafe(uninit) static SLOTS: SpinLockIrq<()> = ();
}

/// The guard of `SLOTS`: proof that the lock is held.
type SlotsGuard = GlobalGuard<SLOTS>;

kernel::sync::global_lock! {
    /// The work queue on which shutdowns run, one at a time.  None until the init function has stored the
    /// value, and again when the unload has dropped it.
    pub(crate) unsafe(uninit) static CLEANUP: Mutex<Option<Arc<OwnedQueue>>> = None;
}

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
    /// When [`disable`] of the slot returns, the functions are not called any more.
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
    /// nonzero or does not exist.  Can run in atomic context.
    fn handle(this: Live<'_, Self>) -> bool {
        let wanted = match this.handler {
            // SAFETY: By the promise that `new()` requires: the subscription has not ended.
            Some(handler) => unsafe { handler(this.opaque, this.data) != 0 },
            None => true,
        };
        wanted && this.has_thread()
    }

    /// Tells whether there is a thread function.
    fn has_thread(&self) -> bool {
        self.thread.is_some()
    }

    /// Calls the thread function, if there is one.  May sleep.
    ///
    /// # Safety
    ///
    /// The caller is the work `INJECT`, or the shutdown has not finished waiting for that work.
    unsafe fn run_thread(&self) {
        if let Some(thread) = self.thread {
            // SAFETY: By the promise that `new()` requires, and that of the caller.
            unsafe { thread(self.opaque, self.data) }
        }
    }
}

/// The pointer in a driver's structure to the virqfd that the driver enabled; NULL if no virqfd is enabled.
///
/// `SLOTS` protects all accesses; the methods take its guard as proof.
#[derive(Clone, Copy)]
pub(crate) struct Slot(NonNull<*mut bindings::virqfd>);

// SAFETY: The lock serialises all accesses; the methods require its guard.
unsafe impl Send for Slot {}
// SAFETY: As above.
unsafe impl Sync for Slot {}

impl Slot {
    /// # Safety
    ///
    /// One of these holds:
    ///
    /// - `ptr` is valid until `vfio_virqfd_disable(ptr)` returns;
    /// - `ptr` was passed to an exported function, and is used only before that function returns.
    ///
    /// The pointer at `ptr` is NULL or was stored by [`enable`].
    pub(crate) unsafe fn from_raw(ptr: *mut *mut bindings::virqfd) -> Option<Self> {
        Some(Self(NonNull::new(ptr)?))
    }

    /// Returns the virqfd that the slot points to.
    fn get<'a>(&self, _lock: &'a SlotsGuard) -> Option<ArcBorrow<'a, Virqfd>> {
        // SAFETY: By the promises of `from_raw()` and `fill()`: the slot is emptied before the subscription of
        // the virqfd ends, under the lock that `_lock` proves, so the virqfd exists for `'a`.
        unsafe {
            let ptr = NonNull::new(*self.0.as_ptr())?;
            Some(ArcBorrow::from_raw(ptr.as_ptr().cast()))
        }
    }

    /// Tells whether the slot points to `virqfd`.
    fn holds(&self, virqfd: &Virqfd, _lock: &SlotsGuard) -> bool {
        // SAFETY: By the promise of `from_raw()`.
        unsafe { (*self.0.as_ptr()).cast::<Virqfd>().cast_const() == core::ptr::from_ref(virqfd) }
    }

    /// Makes the slot point to `virqfd`.
    ///
    /// # Safety
    ///
    /// The subscription of `virqfd` is active, and the slot is emptied before it ends.
    unsafe fn fill(&self, virqfd: &Arc<Virqfd>, _lock: &mut SlotsGuard) {
        let ptr = Arc::as_ptr(virqfd);
        // SAFETY: By the promise of `from_raw()`.
        unsafe { *self.0.as_ptr() = ptr.cast_mut().cast() }
    }

    /// Empties the slot.
    fn clear(&self, _lock: &mut SlotsGuard) {
        // SAFETY: By the promise of `from_raw()`.
        unsafe { *self.0.as_ptr() = core::ptr::null_mut() }
    }
}

// The ids of the work items of a virqfd.
const SHUTDOWN: u64 = 0;
const INJECT: u64 = 1;
const FLUSH_INJECT: u64 = 2;

/// An eventfd to which a driver listens.
#[pin_data]
struct Virqfd {
    slot: Slot,
    cleanup: Arc<OwnedQueue>,
    /// Set when the slot points to this virqfd.  A signal before that calls no callback; [`enable`] checks
    /// for such a signal after it has set this.
    armed: AtomicFlag,
    #[pin]
    subscription: Subscription<Virqfd>,
    #[pin]
    shutdown: Work<Virqfd, SHUTDOWN>,
    #[pin]
    inject: Work<Virqfd, INJECT>,
    #[pin]
    flush_inject: Work<Virqfd, FLUSH_INJECT>,
}

impl_has_work! {
    impl HasWork<Self, 0> for Virqfd { self.shutdown }
    impl HasWork<Self, 1> for Virqfd { self.inject }
    impl HasWork<Self, 2> for Virqfd { self.flush_inject }
}

impl Virqfd {
    /// Queues the driver's thread function to a work queue.  The subscription has not ended.
    fn inject(this: ArcBorrow<'_, Self>) {
        // If the work is already pending, this has no effect.
        let _ = percpu().enqueue::<Arc<Self>, INJECT>(this.into());
    }

    /// Queues the shutdown.  The caller has emptied the slot.
    fn deactivate(this: ArcBorrow<'_, Self>) {
        let queue = this.cleanup.queue();
        let _ = queue.enqueue::<Arc<Self>, SHUTDOWN>(this.into());
    }
}

// SAFETY: `subscription()` returns a field.
unsafe impl Listener for Virqfd {
    type Data = Callbacks;

    fn signalled(this: ArcBorrow<'_, Self>, signal: Signal<'_, Callbacks>) {
        // Pairs with the barrier in `enable()`: either `enable()` sees the signal, or this sees the store to
        // `armed`.
        smp_mb(Full);
        if this.armed.load(Relaxed) {
            signal.take();
            if Callbacks::handle(signal.data()) {
                Self::inject(this);
            }
        }
    }

    fn hung_up(this: ArcBorrow<'_, Self>) {
        let mut lock = SLOTS.lock();
        if this.slot.holds(&this, &lock) {
            this.slot.clear(&mut lock);
            Self::deactivate(this);
        }
    }

    fn subscription(&self) -> &Subscription<Self> {
        &self.subscription
    }
}

impl WorkItem<SHUTDOWN> for Virqfd {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.subscription.end();
        flush_work::<Self, INJECT>(&this);
    }
}

impl WorkItem<INJECT> for Virqfd {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        // SAFETY: This is the work for which the shutdown waits after it has ended the subscription.  `inject()`
        // queues the work while the subscription has not ended.
        unsafe { this.subscription.data().run_thread() };
    }
}

impl WorkItem<FLUSH_INJECT> for Virqfd {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        flush_work::<Self, INJECT>(&this);
    }
}

/// Calls `callbacks` when the eventfd `fd` is signalled, until [`disable`] or the close of the eventfd.  If
/// the eventfd is already signalled, the callbacks are called once, and the eventfd is not read.  May sleep.
///
/// C counterpart: `vfio_virqfd_enable()`.
///
/// # Errors
///
/// In this order:
///
/// - `ENODEV`: the module is not loaded completely.
/// - `ENOMEM`: out of memory.
/// - `EBADF`: `fd` is not open.
/// - `EINVAL`: `fd` is not an eventfd.
/// - `EBUSY`: the slot is in use.
pub(crate) fn enable(callbacks: Callbacks, slot: Slot, fd: c_int) -> Result {
    let cleanup = CLEANUP.lock().clone().ok_or(ENODEV)?;
    let memory = UniqueArc::new_uninit(GFP_KERNEL_ACCOUNT)?;
    let eventfd = &Eventfd::from_fd(fd)?;
    let virqfd: Arc<Virqfd> = memory
        .pin_init_with(try_pin_init!(Virqfd {
            slot,
            cleanup,
            armed: AtomicFlag::new(false),
            subscription <- Subscription::new(eventfd, callbacks),
            shutdown <- new_work!("vfio_virqfd::shutdown"),
            inject <- new_work!("vfio_virqfd::inject"),
            flush_inject <- new_work!("vfio_virqfd::flush_inject"),
        } ? Error))?
        .into();
    // This function holds the eventfd open, so the eventfd cannot hang up before the slot is filled.
    let fresh = Subscription::begin(&virqfd, eventfd).ok_or(EBUSY)?;
    {
        let mut lock = SLOTS.lock();
        if slot.get(&lock).is_some() {
            drop(lock);
            fresh.cancel(eventfd);
            return Err(EBUSY);
        }
        // SAFETY: The subscription has begun, and `fresh` keeps it from ending.  After that, only the shutdown
        // ends it, which `deactivate()` queues when the slot has been emptied.
        unsafe { slot.fill(&virqfd, &mut lock) };
        virqfd.armed.store(true, Relaxed);
    }
    // Pairs with the barrier in `signalled()`.
    smp_mb(Full);
    if eventfd.is_signalled() && Callbacks::handle(fresh.data()) {
        Virqfd::inject(virqfd.as_arc_borrow());
    }
    // From here on the virqfd can end.
    drop(fresh);
    Ok(())
}

/// Ends the virqfd of the slot, if there is one.  When this returns, the callbacks of the virqfd do not run
/// and will not run.  May sleep.  C counterpart: `vfio_virqfd_disable()`.
pub(crate) fn disable(slot: Slot) {
    {
        let mut lock = SLOTS.lock();
        if let Some(virqfd) = slot.get(&lock).map(Arc::from) {
            slot.clear(&mut lock);
            Virqfd::deactivate(virqfd.as_arc_borrow());
        }
    }
    flush_cleanup();
}

/// Waits until the thread function of the slot's virqfd is not running.  May sleep.  C counterpart:
/// `vfio_virqfd_flush_thread()`.
pub(crate) fn flush_thread(slot: Slot) {
    {
        let lock = SLOTS.lock();
        if let Some(virqfd) = slot.get(&lock) {
            if virqfd.subscription.data().has_thread() {
                let queue = virqfd.cleanup.queue();
                let _ = queue.enqueue::<Arc<Virqfd>, FLUSH_INJECT>(virqfd.into());
            }
        }
    }
    flush_cleanup();
}

fn flush_cleanup() {
    let cleanup = CLEANUP.lock().clone();
    if let Some(cleanup) = cleanup {
        cleanup.flush();
    }
}
