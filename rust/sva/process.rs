// SPDX-License-Identifier: GPL-2.0-only

//! The processes that are bound, and their bonds.
//!
//! Locks: see [`sva`](super).

use super::BoundProcesses;
use crate::{
    kapi::{
        iommu::IommuGroup,
        iommu_sva::Bond,
        mmu_notifier::{self, Listener, Releaser, Watch},
        workqueue::OwnedQueue,
    },
    shared::iommu_sva,
};
use kernel::{
    device::Device,
    impl_has_work,
    mm::{Mm, MmWithUser},
    new_mutex, new_work,
    prelude::*,
    rbtree::{RBTree, RBTreeNode, RBTreeNodeReservation},
    sync::{
        atomic::{ordering::Relaxed, Atomic, AtomicFlag},
        global_lock,
        lock::{mutex::MutexBackend, Guard},
        Arc, ArcBorrow, Completion, Mutex,
    },
    workqueue::{Work, WorkItem},
};

global_lock! {
    /// The deferred work of processes.  None until the init function has stored the value, and again when the
    /// unload has dropped it.
    pub(crate) unsafe(uninit) static DEFERRED: Mutex<Option<Deferred>> = None;
}

/// Watches of address spaces ([`Watch`]), by the serial numbers of their processes.
type Watches = RBTree<u64, Watch<Process>>;
type WatchNode = RBTreeNode<u64, Watch<Process>>;

/// The deferred work of processes:
///
/// - the end of bonds that could not end together with the address space;
/// - the new bonds after an open or a close of a device ([`Suspension`](super::Suspension));
/// - the unregistration of MMU notifiers ([`Watch`]), which waits for invalidations in progress and for an SRCU
///   grace period.
pub(crate) struct Deferred {
    /// The first field: its drop waits for the work items, and then the remaining watches are dropped.
    pub(super) queue: OwnedQueue,
    /// The MMU notifiers that a work item has to unregister.
    watches: Watches,
}

impl Deferred {
    /// Returns a value without pending work.
    pub(crate) fn new(queue: OwnedQueue) -> Self {
        Self {
            queue,
            watches: RBTree::new(),
        }
    }
}

/// The number of processes that are bound or are being bound, in the whole module.
static BOUND: Atomic<usize> = Atomic::new(0);

/// The last serial number.  A process gets its number before it is bound.
static SERIAL: Atomic<u64> = Atomic::new(0);

/// Tells whether any process is bound.  Callers skip the unbinding if this returns false.  It can return true without
/// a bound process.  It does not return false while a process is bound, if the bind happened before the call.
pub(crate) fn is_used() -> bool {
    BOUND.load(Relaxed) != 0
}

/// One count of [`BOUND`].  The drop subtracts it.
struct Counted;

impl Counted {
    fn new() -> Self {
        BOUND.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        BOUND.fetch_sub(1, Relaxed);
    }
}

/// Whether the caller holds a reference on `mm_users` of an address space, so that it cannot end.
#[derive(Clone, Copy)]
pub(super) enum User<'a> {
    /// The caller holds a reference on `mm_users`: the address space cannot end.
    Held(&'a MmWithUser),
    /// `mm_users` is 0: the address space is about to end, or has ended.
    None,
}

/// A process that is bound to one device or to one container.
#[pin_data]
pub(crate) struct Process {
    /// The processes of the device or container.
    pub(super) processes: Arc<BoundProcesses>,
    /// The key in the list.  A process that begins to be bound later has a larger number.
    pub(super) serial: u64,
    /// Set with the first bond.
    pasid: Atomic<u32>,
    _counted: Counted,
    /// One bond for each device, except for devices whose bonds are suspended.
    #[pin]
    bonds: Mutex<KVec<Bond>>,
    /// Completed when the address space has ended.  Then the bonds have also ended, unless `late` is set.
    #[pin]
    released: Completion,
    /// The address space has ended in a task that must not wait.  Set before `released` completes.
    late: AtomicFlag,
    /// The work item that ends the watch.  If `late` is set, it can run twice: first to end the bonds, and then to end
    /// the watch.
    #[pin]
    work: Work<Process>,
}

impl_has_work! {
    impl HasWork<Self> for Process { self.work }
}

impl Process {
    /// Returns the PASID of the address space.
    pub(crate) fn pasid(&self) -> u32 {
        self.pasid.load(Relaxed)
    }

    /// Ends all bonds of the process, and removes it from the list.  When this returns, no bond is left, even
    /// if another task was ending the bonds.
    pub(super) fn end(self: ArcBorrow<'_, Self>, user: User<'_>) {
        self.lock_bonds(user).clear();
        self.forget();
    }

    /// Binds the process to one more device.
    ///
    /// # Errors
    ///
    /// - Those of [`iommu_sva::bind`].
    /// - `ENOMEM`: out of memory.
    pub(super) fn add(&self, group: &IommuGroup, mm: &MmWithUser) -> Result {
        let mut bonds = self.bonds.lock();
        Ok(bonds.push(iommu_sva::bind(group, mm)?, GFP_KERNEL_ACCOUNT)?)
    }

    /// Ends the bond with the device of one group.
    pub(super) fn remove(&self, group: &IommuGroup, user: User<'_>) {
        self.lock_bonds(user).retain(|bond| !bond.is_of(group));
    }

    /// Tells whether the process has a bond with the device.
    pub(super) fn is_bound_to(&self, dev: &Device) -> bool {
        self.bonds.lock().iter().any(|bond| bond.is_with(dev))
    }

    /// Locks the bonds, to end some or all of them.
    ///
    /// If `mm_users` is 0, the function first waits until the address space has ended.  If it has ended in a
    /// task that must not wait (`late`), two more waits follow: before the lock is taken, for the MMU
    /// notifiers of the IOMMU's driver; with the lock held, for page requests, because that task may have
    /// been handling one.
    fn lock_bonds(&self, user: User<'_>) -> Guard<'_, KVec<Bond>, MutexBackend> {
        if let User::Held(_) = user {
            return self.bonds.lock();
        }
        self.released.wait_for_completion();
        let is_late = self.late.load(Relaxed);
        if is_late {
            mmu_notifier::synchronize();
        }
        let bonds = self.bonds.lock();
        if is_late {
            bonds.iter().for_each(iommu_sva::wait_for_page_requests);
        }
        bonds
    }

    /// Removes the process from the list.  A work item ends its watch.
    fn forget(self: ArcBorrow<'_, Self>) {
        let node = self.processes.list.lock().remove(self.serial);
        if let Some(node) = node {
            self.end_watch(node);
        }
    }

    /// Queues the end of the watch to the work item.
    fn end_watch(self: ArcBorrow<'_, Self>, node: WatchNode) {
        if let Some(deferred) = DEFERRED.lock().as_mut() {
            deferred.watches.insert(node);
            // If the work is already pending, it finds this watch.
            let _ = deferred.queue.queue().enqueue::<Arc<Self>, 0>(self.into());
        }
    }
}

impl Listener for Process {
    fn mm_release_begins(this: ArcBorrow<'_, Self>, releaser: Releaser) {
        match releaser {
            Releaser::MayWait => {
                this.bonds.lock().clear();
                this.released.complete_all();
                this.forget();
            }
            Releaser::MustNotWait => this.late.store(true, Relaxed),
        }
    }

    fn mm_release_notified(this: ArcBorrow<'_, Self>) {
        if !this.late.load(Relaxed) {
            return;
        }
        this.released.complete_all();
        if let Some(deferred) = DEFERRED.lock().as_ref() {
            // If the work is already pending, it ends the bonds.
            let _ = deferred.queue.queue().enqueue::<Arc<Self>, 0>(this.into());
        }
    }
}

impl WorkItem for Process {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let watch = match DEFERRED.lock().as_mut() {
            Some(deferred) => deferred.watches.remove(&this.serial),
            None => None,
        };
        match watch {
            Some(watch) => drop(watch),
            None if this.late.load(Relaxed) => this.as_arc_borrow().end(User::None),
            None => {}
        }
    }
}

/// The bound processes, by their serial numbers.
pub(super) struct List {
    pub(super) processes: Watches,
    pub(super) len: usize,
}

impl List {
    pub(super) fn of_mm(&self, mm: &Mm) -> Option<&Arc<Process>> {
        let mut watches = self.processes.values();
        Some(watches.find(|w| w.mm().as_raw() == mm.as_raw())?.listener())
    }

    pub(super) fn insert(&mut self, node: WatchNode) {
        self.processes.insert(node);
        self.len = self.len.saturating_add(1);
    }

    pub(super) fn remove(&mut self, serial: u64) -> Option<WatchNode> {
        let node = self.processes.remove_node(&serial)?;
        self.len = self.len.saturating_sub(1);
        Some(node)
    }
}

/// A process that is being bound.  It is watched, and has no bonds yet.
pub(super) struct NewProcess {
    process: Arc<Process>,
    /// None after the process is on the list.
    node: Option<WatchNode>,
}

impl NewProcess {
    /// Begins to watch the address space.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    /// - Those of [`Watch::begin`].
    pub(super) fn begin(processes: &Arc<BoundProcesses>, mm: &MmWithUser) -> Result<Self> {
        let node = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let serial = SERIAL.fetch_add(1, Relaxed).wrapping_add(1);
        let process = Arc::pin_init(
            pin_init!(Process {
                processes: processes.clone(),
                serial,
                pasid: Atomic::new(0),
                _counted: Counted::new(),
                bonds <- new_mutex!(KVec::new(), "Process::bonds"),
                released <- Completion::new(),
                late: AtomicFlag::new(false),
                work <- new_work!("vfio_sva::ended"),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        let watch = Watch::begin(process.clone(), mm)?;
        Ok(Self {
            process,
            node: Some(node.into_node(serial, watch)),
        })
    }

    /// Binds the process to the devices of `groups`, and adds it to the list.
    ///
    /// # Errors
    ///
    /// - Those of [`iommu_sva::bind`].
    /// - `ENOMEM`: out of memory.
    /// - `EINVAL`: `groups` is empty.
    pub(super) fn bind<'a>(
        mut self,
        mm: &MmWithUser,
        groups: impl Iterator<Item = &'a IommuGroup>,
    ) -> Result<Arc<Process>> {
        let mut new = KVec::new();
        for group in groups {
            new.push(iommu_sva::bind(group, mm)?, GFP_KERNEL_ACCOUNT)?;
        }
        let pasid = new.first().ok_or(EINVAL)?.pasid();
        self.process.pasid.store(pasid, Relaxed);
        *self.process.bonds.lock() = new;
        if let Some(node) = self.node.take() {
            self.process.processes.list.lock().insert(node);
        }
        Ok(self.process.clone())
    }
}

impl Drop for NewProcess {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            self.process.as_arc_borrow().end_watch(node);
        }
    }
}
