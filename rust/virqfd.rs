// SPDX-License-Identifier: GPL-2.0-only

//! Calling a driver when user space signals an eventfd, and stopping to.
//!
//! C counterpart: `virqfd.c`.
//!
//! The driver has a slot, a pointer that is NULL while nothing is enabled.  Its value is this
//! module's to change, under [`SLOTS`].  A virqfd ends when the driver disables the slot or when
//! the eventfd is closed, whichever is first: the winner empties the slot and queues the shutdown.
//! Everything is set up before it is published in the slot.
//!
//! Locks: [`SLOTS`] is taken with interrupts off, inside the eventfd's wait-queue lock.

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
    /// Where shutdowns are executed, one at a time; None before load and after unload.
    pub(crate) unsafe(uninit) static CLEANUP: Mutex<Option<Arc<OwnedQueue>>> = None;
}

const SHUTDOWN: u64 = 0;
const INJECT: u64 = 1;
const FLUSH_INJECT: u64 = 2;

/// One eventfd that a driver listens to.
#[pin_data]
pub(crate) struct Virqfd {
    slot: Slot<Virqfd>,
    cleanup: Arc<OwnedQueue>,
    /// Set when the slot is ours: a signal that comes earlier is found by looking afterwards.
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
    /// Calls the driver's thread from a work queue.
    fn inject(this: ArcBorrow<'_, Self>) {
        // Pending already is as good.
        let _ = percpu().enqueue::<Arc<Self>, INJECT>(this.into());
    }

    /// Queues the end, for whoever has emptied the slot.
    fn deactivate(this: ArcBorrow<'_, Self>) {
        let queue = this.cleanup.queue();
        let _ = queue.enqueue::<Arc<Self>, SHUTDOWN>(this.into());
    }
}

impl Listener for Virqfd {
    type Data = Callbacks;

    fn signalled(this: ArcBorrow<'_, Self>, signal: Signal<'_, Callbacks>) {
        // Against the store in `enable()`: either that sees the signal, or this sees the store.
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

/// Calls `callbacks` when `fd` is signalled, until [`disable`] or the eventfd's end.  If it has
/// been signalled already they are called once, and it is not read.
///
/// # Errors
///
/// In this order: `ENOMEM`; `EBADF` (not open); `EINVAL` (no eventfd); `EBUSY` (the slot is in
/// use).
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
    // The eventfd is held open here, so it cannot hang up before the slot is filled.
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
    // Against the load in `signalled()`.
    smp_mb(Full);
    if eventfd.is_signalled() && Callbacks::handle(fresh.data()) {
        Virqfd::inject(virqfd.as_arc_borrow());
    }
    // From here on it can end.
    drop(fresh);
    Ok(())
}

/// Ends what was enabled on the slot, if anything; its callbacks neither run nor will when this
/// returns.  May sleep.
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

/// Waits until the thread function of the slot's virqfd is not running.  May sleep.
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
