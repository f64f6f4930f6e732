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
//! Locks: [`SLOTS`] is taken with interrupts off, inside the eventfd's wait-queue lock.  [`CLEANUP`] is a
//! leaf.

use crate::{
    kapi::{
        eventfd::{Eventfd, Listener, Signal, Subscription},
        series::smp_mb,
        workqueue::{flush_work, percpu, OwnedQueue},
    },
    shared::virqfd::{Callbacks, Slot, SLOTS},
};
use kernel::{
    impl_has_work, new_work,
    prelude::*,
    sync::{
        atomic::{
            ordering::{Full, Relaxed},
            AtomicFlag,
        },
        global_lock, Arc, ArcBorrow, UniqueArc,
    },
    workqueue::{Work, WorkItem},
};

global_lock! {
    /// The work queue on which shutdowns run, one at a time.  None before the module is loaded and after it
    /// is unloaded.
    pub(crate) unsafe(uninit) static CLEANUP: Mutex<Option<Arc<OwnedQueue>>> = None;
}

// The ids of the work items of a virqfd.
const SHUTDOWN: u64 = 0;
const INJECT: u64 = 1;
const FLUSH_INJECT: u64 = 2;

/// An eventfd to which a driver listens.
#[pin_data]
pub(crate) struct Virqfd {
    slot: Slot<Virqfd>,
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
    /// Queues the driver's thread function to a work queue.
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

impl Listener for Virqfd {
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
        this.subscription.data().run_thread();
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
pub(crate) fn enable(callbacks: Callbacks, slot: Slot<Virqfd>, fd: c_int) -> Result {
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
        slot.fill(&virqfd, &mut lock);
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
pub(crate) fn disable(slot: Slot<Virqfd>) {
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
pub(crate) fn flush_thread(slot: Slot<Virqfd>) {
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
