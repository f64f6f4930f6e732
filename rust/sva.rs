// SPDX-License-Identifier: GPL-2.0-only

//! Shared virtual addressing: processes that let devices use their address spaces.
//!
//! Without C counterpart; the ioctls are those of `include/uapi/linux/vfio_sva.h`.
//!
//! [`BoundProcesses`] belong to one device's file, or to one container.  A process that is bound to a
//! container has a bond with the device of each of its groups.  Each bond keeps the address space's
//! PASID from being given to another address space.
//!
//! A process is bound until the first of these:
//!
//! - the process unbinds itself;
//! - its address space ends: the bonds end before the first page is freed, in the task that ends it;
//! - the file, or the last group's place in the container, is given up: before the driver stops the
//!   device and before DMA leaves the hands of user space;
//! - `VFIO_DEVICE_RESET` or `VFIO_DEVICE_PCI_HOT_RESET` of a device that it is bound to.
//!
//! While a container's device is opened first or closed last, which resets it, the device is *apart*:
//! bonds with it end before, and are made anew afterwards.
//!
//! # Resets and the IOMMU core
//!
//! To reset a device that has ATS, the IOMMU core takes all PASIDs off the device, waits for its page
//! requests in flight, and puts all PASIDs that are bound back afterwards.  The core does not learn
//! of each reset (configuration space, sysfs, AER), so there must never be a bond with an address
//! space whose pages are being freed.  Hence a bond ends in the notifier of the address space's end,
//! not later.  The exception is an address space that ends in a task which may not wait
//! ([`Releaser::Other`]), such as the handler of a page request.  A work item ends those bonds, after
//! the IOMMU driver's own notifier, which takes the PASID off the devices: the two must not do that at
//! once.
//!
//! # Locks
//!
//! From the outside in:
//!
//! - [`BoundProcesses::places`]: held over the making of bonds, and over all ends of bonds but those
//!   of an address space that ends.
//! - [`Process::bonds`]: one for each process; held over the end of its bonds, so that whoever finds
//!   none there knows that none is left in the IOMMU.  Inside are the IOMMU core's locks and the
//!   mmap lock of the process.  (A new process gets its bonds before it is on the list.)
//! - [`BoundProcesses::list`] and [`ENDED`]: leaves, held over nothing that waits.
//!
//! The IOMMU core's lock of all bonds is held over the wait for page requests.  So whoever makes or
//! ends a bond may wait for any other end of a bond, but nobody else waits.

use crate::{
    kapi::{
        iommu::IommuGroup,
        iommu_sva::Bond,
        mmu_notifier::{self, Listener, Releaser, Watch},
        series::EOPNOTSUPP,
        workqueue::{flush_work, OwnedQueue},
    },
    shared::{iommu_sva, params::max_bound_processes, vfio::iommu_driver::GroupType},
    uapi::sva::{check_unbind, BindProcess},
};
use kernel::{
    alloc::Flags,
    current,
    device::Device,
    impl_has_work,
    mm::{Mm, MmWithUser, MmWithUserAsync},
    new_mutex, new_work,
    prelude::*,
    rbtree::{RBTree, RBTreeNode, RBTreeNodeReservation},
    sync::{
        aref::ARef,
        atomic::{ordering::Relaxed, Atomic, AtomicFlag},
        global_lock,
        lock::{mutex::MutexBackend, Guard},
        Arc, ArcBorrow, Completion, Mutex,
    },
    uaccess::UserPtr,
    workqueue::{Work, WorkItem},
};

global_lock! {
    /// What is left to do when processes are not bound any more; None before load and after unload.
    pub(crate) unsafe(uninit) static ENDED: Mutex<Option<Ended>> = None;
}

/// Watches by the serial numbers of processes.
type Watches = RBTree<u64, Watch<Process>>;
type WatchNode = RBTreeNode<u64, Watch<Process>>;

/// Work that nobody waits for: to end bonds that could not end with the address space, and to end
/// watches, which waits for changes of mappings.
pub(crate) struct Ended {
    /// First: what is under way finds its watch.
    queue: OwnedQueue,
    watches: Watches,
}

impl Ended {
    /// Nothing to do.
    pub(crate) fn new(queue: OwnedQueue) -> Self {
        Self {
            queue,
            watches: RBTree::new(),
        }
    }
}

/// How many processes are bound, or about to be, in all.
static BOUND: Atomic<usize> = Atomic::new(0);

/// The serial number of the last process that was bound.
static SERIAL: Atomic<u64> = Atomic::new(0);

/// Whether any process is bound to anything: a hint for calls that need not look further.
pub(crate) fn is_used() -> bool {
    BOUND.load(Relaxed) != 0
}

/// One of [`BOUND`].
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

/// Who keeps an address space from ending while bonds with it end.
#[derive(Clone, Copy)]
enum User<'a> {
    /// The caller does.
    Held(&'a MmWithUser),
    /// Nobody: it has no users any more, and is about to end or has ended.
    None,
}

/// A process that is bound.
#[pin_data]
pub(crate) struct Process {
    among: Arc<BoundProcesses>,
    /// Its key in the list, in the order in which processes were bound.
    serial: u64,
    /// Known with the first bond.
    pasid: Atomic<u32>,
    _counted: Counted,
    /// One for each device, but for those that are apart.
    #[pin]
    bonds: Mutex<KVec<Bond>>,
    /// Its address space has ended; and so have the bonds, unless it is `late`.
    #[pin]
    released: Completion,
    /// The address space has ended in a task that may not wait.  Set before `released`.
    late: AtomicFlag,
    #[pin]
    work: Work<Process>,
}

impl_has_work! {
    impl HasWork<Self> for Process { self.work }
}

impl Process {
    /// The address space's PASID.
    pub(crate) fn pasid(&self) -> u32 {
        self.pasid.load(Relaxed)
    }

    /// Ends all of its bonds.  None is left when this returns, whoever ended it.
    fn end(self: ArcBorrow<'_, Self>, user: User<'_>) {
        self.lock_bonds(user).clear();
        self.forget();
    }

    /// Binds it to one more device.
    ///
    /// # Errors
    ///
    /// Those of [`iommu_sva::bind`]; `ENOMEM`.
    fn add(&self, group: &IommuGroup, mm: &MmWithUser) -> Result {
        let mut bonds = self.bonds.lock();
        Ok(bonds.push(iommu_sva::bind(group, mm)?, GFP_KERNEL_ACCOUNT)?)
    }

    /// Ends its bond with the device of one group.
    fn remove(&self, group: &IommuGroup, user: User<'_>) {
        self.lock_bonds(user).retain(|bond| !bond.is_of(group));
    }

    /// Whether it has a bond with the device.
    fn is_bound_to(&self, dev: &Device) -> bool {
        self.bonds.lock().iter().any(|bond| bond.is_with(dev))
    }

    /// To end bonds.
    ///
    /// The end of an address space without users is waited for: it ends the bonds.  If it was in a
    /// task that may not wait, it is the IOMMU driver's notifier that is waited for, and the page
    /// request that the task may have handled.
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
            bonds.iter().for_each(Bond::wait_for_page_requests);
        }
        bonds
    }

    /// Takes it off the list, and leaves the end of its watch to a work item.
    fn forget(self: ArcBorrow<'_, Self>) {
        let node = self.among.list.lock().remove(self.serial);
        if let Some(node) = node {
            self.end_watch(node);
        }
    }

    /// Leaves the end of its watch to a work item.
    fn end_watch(self: ArcBorrow<'_, Self>, node: WatchNode) {
        if let Some(ended) = ENDED.lock().as_mut() {
            ended.watches.insert(node);
            // It may be pending, which is as good.
            let _ = ended.queue.queue().enqueue::<Arc<Self>, 0>(self.into());
        }
    }
}

impl Listener for Process {
    fn mm_released(this: ArcBorrow<'_, Self>, releaser: Releaser) {
        match releaser {
            Releaser::Task => {
                this.bonds.lock().clear();
                this.released.complete_all();
                this.forget();
            }
            Releaser::Other => this.late.store(true, Relaxed),
        }
    }

    fn mm_releasing(this: ArcBorrow<'_, Self>) {
        if !this.late.load(Relaxed) {
            return;
        }
        this.released.complete_all();
        if let Some(ended) = ENDED.lock().as_ref() {
            // As above.
            let _ = ended.queue.queue().enqueue::<Arc<Self>, 0>(this.into());
        }
    }
}

impl WorkItem for Process {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        let watch = match ENDED.lock().as_mut() {
            Some(ended) => ended.watches.remove(&this.serial),
            None => None,
        };
        match watch {
            Some(watch) => drop(watch),
            None if this.late.load(Relaxed) => this.as_arc_borrow().end(User::None),
            None => {}
        }
    }
}

/// The processes that are bound, by their serial numbers.
struct List {
    processes: Watches,
    len: usize,
}

impl List {
    fn of_mm(&self, mm: &Mm) -> Option<&Arc<Process>> {
        let mut watches = self.processes.values();
        Some(watches.find(|w| w.mm().as_raw() == mm.as_raw())?.listener())
    }

    fn insert(&mut self, node: WatchNode) {
        self.processes.insert(node);
        self.len = self.len.saturating_add(1);
    }

    fn remove(&mut self, serial: u64) -> Option<WatchNode> {
        let node = self.processes.remove_node(&serial)?;
        self.len = self.len.saturating_sub(1);
        Some(node)
    }
}

/// A process that is about to be bound: watched, and without bonds.
struct NewProcess {
    process: Arc<Process>,
    /// None once it is on the list.
    node: Option<WatchNode>,
}

impl NewProcess {
    /// # Errors
    ///
    /// `ENOMEM`; those of [`Watch::begin`].
    fn begin(among: &Arc<BoundProcesses>, mm: &MmWithUser) -> Result<Self> {
        let room = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let serial = SERIAL.fetch_add(1, Relaxed).wrapping_add(1);
        let process = Arc::pin_init(
            pin_init!(Process {
                among: among.clone(),
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
            node: Some(room.into_node(serial, watch)),
        })
    }

    /// Binds it.
    ///
    /// # Errors
    ///
    /// Those of [`iommu_sva::bind`]; `EINVAL` (to nothing); `ENOMEM`.
    fn bind<'a>(
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
            self.process.among.list.lock().insert(node);
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

/// A device's place among those that a container's processes are bound to.
struct Place {
    id: u64,
    group: IommuGroup,
    kind: GroupType,
    /// How many opens and closes of the device are in progress.
    apart: u32,
    /// Bonds are to be made anew.
    is_missing: bool,
}

struct Places {
    /// The groups of a container; none for a device's file, which has but one device.
    list: KVec<Place>,
    /// The id of the last.
    last: u64,
    /// How many resets are in progress.
    resets: u32,
}

impl Places {
    /// Whether processes can be bound to all devices of a container.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there are none; `EOPNOTSUPP` when one has no IOMMU.
    fn check(&self) -> Result {
        match self.list.iter().all(|place| place.kind == GroupType::Iommu) {
            _ if self.list.is_empty() => Err(EINVAL),
            true => Ok(()),
            false => Err(EOPNOTSUPP),
        }
    }

    fn find(&mut self, is_wanted: impl Fn(&Place) -> bool) -> Option<&mut Place> {
        self.list.iter_mut().find(|place| is_wanted(place))
    }
}

/// The processes that are bound to one device's file, or to one container.
#[pin_data]
pub(crate) struct BoundProcesses {
    #[pin]
    places: Mutex<Places>,
    #[pin]
    list: Mutex<List>,
    /// Makes bonds anew.
    #[pin]
    work: Work<BoundProcesses>,
}

impl_has_work! {
    impl HasWork<Self> for BoundProcesses { self.work }
}

impl BoundProcesses {
    /// None.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(flags: Flags) -> Result<Arc<Self>> {
        let processes = pin_init!(Self {
            places <- new_mutex!(
                Places {
                    list: KVec::new(),
                    last: 0,
                    resets: 0,
                },
                "BoundProcesses::places"
            ),
            list <- new_mutex!(
                List {
                    processes: RBTree::new(),
                    len: 0,
                },
                "BoundProcesses::list"
            ),
            work <- new_work!("vfio_sva::anew"),
        });
        Arc::pin_init(processes, flags)
    }

    /// Binds an address space to the device of `group`, for a device's file.
    ///
    /// # Errors
    ///
    /// In this order: `EBUSY` (a reset is in progress); `EEXIST` (bound already); `ENOSPC` (as many as
    /// `max_bound_processes` are); those of [`iommu_sva::bind`]; `ENOMEM`; those of [`Watch::begin`].
    /// Whatever fails, nothing is bound.
    pub(crate) fn bind(
        self: &Arc<Self>,
        mm: &MmWithUser,
        group: &IommuGroup,
    ) -> Result<Arc<Process>> {
        self.check(&self.places.lock(), mm)?;
        let new = NewProcess::begin(self, mm)?;
        let places = self.places.lock();
        self.check(&places, mm)?;
        new.bind(mm, core::iter::once(group))
    }

    /// Binds an address space to the devices of all places, for a container.
    ///
    /// # Errors
    ///
    /// In this order: `EINVAL` (no places); `EOPNOTSUPP` (a group without an IOMMU); `EBUSY` (a device
    /// is being opened or closed); those of [`bind`](Self::bind).
    pub(crate) fn bind_to_all(self: &Arc<Self>, mm: &MmWithUser) -> Result<Arc<Process>> {
        self.check_all(&self.places.lock(), mm)?;
        let new = NewProcess::begin(self, mm)?;
        let places = self.places.lock();
        self.check_all(&places, mm)?;
        new.bind(mm, places.list.iter().map(|place| &place.group))
    }

    /// Whether an address space can be bound, for a container.
    fn check_all(&self, places: &Places, mm: &MmWithUser) -> Result {
        places.check()?;
        if places.list.iter().any(|p| p.apart != 0 || p.is_missing) {
            return Err(EBUSY);
        }
        self.check(places, mm)
    }

    /// Whether an address space can be bound.
    fn check(&self, places: &Places, mm: &MmWithUser) -> Result {
        if places.resets != 0 {
            return Err(EBUSY);
        }
        let list = self.list.lock();
        if list.of_mm(mm).is_some() {
            return Err(EEXIST);
        }
        match list.len < max_bound_processes() as usize {
            true => Ok(()),
            false => Err(ENOSPC),
        }
    }

    /// Ends what [`bind`](Self::bind) began.
    ///
    /// # Errors
    ///
    /// `ENOENT` when the address space is not bound.
    pub(crate) fn unbind(&self, mm: &MmWithUser) -> Result<u32> {
        let _places = self.places.lock();
        self.unbind_from(mm)
    }

    /// Ends what [`bind_to_all`](Self::bind_to_all) began.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` (a group without an IOMMU); `ENOENT` when the address space is not bound.
    pub(crate) fn unbind_from_all(&self, mm: &MmWithUser) -> Result<u32> {
        let places = self.places.lock();
        match places.check() {
            // Without places nothing is bound.
            Err(e) if e == EOPNOTSUPP => Err(e),
            _ => self.unbind_from(mm),
        }
    }

    /// The caller holds the lock of the places.
    fn unbind_from(&self, mm: &MmWithUser) -> Result<u32> {
        let process = self.list.lock().of_mm(mm).cloned().ok_or(ENOENT)?;
        process.as_arc_borrow().end(User::Held(mm));
        Ok(process.pasid())
    }

    /// Undoes a bind of the caller's that has succeeded.
    fn undo(&self, process: &Arc<Process>, mm: &MmWithUser) {
        let _places = self.places.lock();
        process.as_arc_borrow().end(User::Held(mm));
    }

    /// Gives a container's group a place, and binds all processes to its device.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EOPNOTSUPP` when there are processes and the group has no IOMMU; those of
    /// [`iommu_sva::bind`].  Whatever fails, the group has no place.
    pub(crate) fn join(&self, group: &IommuGroup, kind: GroupType) -> Result {
        let mut places = self.places.lock();
        places.list.reserve(1, GFP_KERNEL_ACCOUNT)?;
        match kind {
            GroupType::Iommu => self.add_all(group)?,
            _ if self.has_living() => return Err(EOPNOTSUPP),
            _ => {}
        }
        places.last = places.last.wrapping_add(1);
        let place = Place {
            id: places.last,
            group: group.clone(),
            kind,
            apart: 0,
            is_missing: false,
        };
        Ok(places.list.push(place, GFP_KERNEL_ACCOUNT)?)
    }

    /// Takes the place of a container's group, if it has one.  With the last, no process is bound any
    /// more.
    pub(crate) fn leave(&self, group: &IommuGroup) {
        let mut places = self.places.lock();
        places
            .list
            .retain(|place| place.group.as_raw() != group.as_raw());
        match places.list.is_empty() {
            true => self.for_each(|process, user| process.end(user)),
            false => self.for_each(|process, user| process.remove(group, user)),
        }
    }

    /// Ends the bonds of all processes that are bound to a device, which leaves its group while others
    /// stay: processes are bound to all devices or to none.
    pub(crate) fn remove_device(&self, dev: &Device) {
        let _places = self.places.lock();
        self.for_each(|process, user| {
            if process.is_bound_to(dev) {
                process.end(user);
            }
        });
    }

    /// Ends the bonds with the device of a container's group until the result is dropped, which makes
    /// them anew: the device is about to be opened or closed.  A process whose bond cannot be made
    /// anew is not bound any more.
    pub(crate) fn part(self: &Arc<Self>, group: &IommuGroup) -> Option<Apart> {
        let mut places = self.places.lock();
        let place = places.find(|place| place.group.as_raw() == group.as_raw())?;
        place.apart = place.apart.saturating_add(1);
        let id = place.id;
        self.for_each(|process, user| process.remove(group, user));
        drop(places);
        Some(Apart {
            from: self.clone(),
            id,
        })
    }

    /// Ends all bonds, and keeps processes from being bound until the result is dropped.
    pub(crate) fn begin_reset(self: &Arc<Self>) -> Resetting {
        let mut places = self.places.lock();
        places.resets = places.resets.saturating_add(1);
        self.for_each(|process, user| process.end(user));
        drop(places);
        Resetting(self.clone())
    }

    /// Binds all processes to one more device, or none.  One whose address space has no users any more
    /// is left out: its bonds are about to end.  The caller holds the lock of the places.
    fn add_all(&self, group: &IommuGroup) -> Result {
        let mut result = Ok(());
        self.for_each(|process, user| {
            if let (Ok(()), User::Held(mm)) = (result, user) {
                result = process.add(group, mm);
            }
        });
        result.inspect_err(|_| self.for_each(|process, user| process.remove(group, user)))
    }

    /// Whether there is one that has not ended.
    fn has_living(&self) -> bool {
        let mut living = false;
        self.for_each(|_, user| living |= matches!(user, User::Held(_)));
        living
    }

    /// Ends all bonds.
    pub(crate) fn end_all(&self) {
        if !is_used() {
            return;
        }
        let _places = self.places.lock();
        self.for_each(|process, user| process.end(user));
    }

    /// Calls `f` with each process, the latest last.  Does not hold the list's lock over the call.
    fn for_each(&self, mut f: impl FnMut(ArcBorrow<'_, Process>, User<'_>)) {
        let mut after = 0;
        while let Some((process, mm)) = self.next(after) {
            after = process.serial;
            let user = mm.as_deref().map_or(User::None, |mm| User::Held(mm));
            f(process.as_arc_borrow(), user);
        }
    }

    /// The next process after a serial number.  Who turns out to be the last user of the address
    /// space does not wait for its end.
    fn next(&self, after: u64) -> Option<(Arc<Process>, Option<ARef<MmWithUserAsync>>)> {
        let list = self.list.lock();
        let cursor = list.processes.cursor_lower_bound(&after.wrapping_add(1))?;
        let watch = cursor.current().1;
        let mm = watch.mm().mmget_not_zero();
        Some((
            watch.listener().clone(),
            mm.map(MmWithUser::into_mmput_async),
        ))
    }

    /// Calls `f` with the PASID of each process, the latest last.
    pub(crate) fn for_each_pasid(&self, mut f: impl FnMut(u32)) {
        let list = self.list.lock();
        list.processes
            .values()
            .for_each(|w| f(w.listener().pasid()));
    }
}

impl WorkItem for BoundProcesses {
    type Pointer = Arc<Self>;

    /// Makes bonds anew.  Not in the task that has opened or closed the device: a signal of that task's
    /// would fail it.
    fn run(this: Arc<Self>) {
        let mut places = this.places.lock();
        for place in places.list.iter_mut() {
            if place.apart != 0 || !core::mem::take(&mut place.is_missing) {
                continue;
            }
            this.for_each(|process, user| {
                if let User::Held(mm) = user {
                    if process.add(&place.group, mm).is_err() {
                        process.end(user);
                    }
                }
            });
        }
    }
}

/// While this is, no process has a bond with the device of a container's group.
pub(crate) struct Apart {
    from: Arc<BoundProcesses>,
    /// Of the place.
    id: u64,
}

impl Drop for Apart {
    fn drop(&mut self) {
        let mut places = self.from.places.lock();
        // It may have left in the meantime.
        let Some(place) = places.find(|place| place.id == self.id) else {
            return;
        };
        place.apart = place.apart.saturating_sub(1);
        if place.apart != 0 {
            return;
        }
        place.is_missing = true;
        drop(places);
        if let Some(ended) = ENDED.lock().as_ref() {
            // If it is pending it has not looked yet.
            let _ = ended
                .queue
                .queue()
                .enqueue::<Arc<BoundProcesses>, 0>(self.from.clone());
        }
        flush_work(&*self.from);
    }
}

/// While this is, no process is bound, nor can be.
pub(crate) struct Resetting(Arc<BoundProcesses>);

impl Drop for Resetting {
    fn drop(&mut self) {
        let mut places = self.0.places.lock();
        places.resets = places.resets.saturating_sub(1);
    }
}

/// `VFIO_BIND_PROCESS`, for the caller, where `bind` finds whom to add it to and calls
/// [`BoundProcesses::bind`].
///
/// # Errors
///
/// In this order: those of [`BindProcess::read`]; `EINVAL` for a task without an address space;
/// those of `bind`; `EFAULT` (the PASID could not be written), which undoes it.
pub(crate) fn bind_caller(
    arg: UserPtr,
    bind: impl FnOnce(&MmWithUser) -> Result<Arc<Process>>,
) -> Result<u32> {
    let arg = BindProcess::read(arg)?;
    let task = current!();
    let mm = task.mm().ok_or(EINVAL)?;
    let process = bind(mm)?;
    arg.write_pasid(process.pasid())
        .inspect_err(|_| process.among.undo(&process, mm))?;
    Ok(process.pasid())
}

/// `VFIO_UNBIND_PROCESS`, for the caller, where `unbind` finds whom to take it from and calls
/// [`BoundProcesses::unbind`].
///
/// # Errors
///
/// In this order: those of [`check_unbind`]; `EINVAL` for a task without an address space; those of
/// `unbind`.
pub(crate) fn unbind_caller(
    arg: UserPtr,
    unbind: impl FnOnce(&MmWithUser) -> Result<u32>,
) -> Result<u32> {
    check_unbind(arg)?;
    let task = current!();
    unbind(task.mm().ok_or(EINVAL)?)
}
