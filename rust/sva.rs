// SPDX-License-Identifier: GPL-2.0-only

//! Shared virtual addressing: processes that bind their address spaces to devices.
//!
//! There is no C counterpart; `include/uapi/linux/vfio_sva.h` specifies the ioctls.
//!
//! A *bond* is the association of an address space with one device, by PASID
//! ([`Bond`](crate::kapi::iommu_sva::Bond)).  While a bond exists, the PASID of its address space is not assigned
//! to another address space.
//!
//! A [`BoundProcesses`] belongs to one device or to one container.  A process that is bound to a container
//! has a bond with the device of each group in the container.
//!
//! A process stays bound until one of these events:
//!
//! - The process unbinds itself.
//! - Its address space ends.  The bonds end in the task that ends the address space, before the first page is
//!   freed.  If this task must not wait, the bonds end later, in a work item (see below).
//! - The device file is closed, or the last group leaves the container.  The bonds end before the driver
//!   stops the device, and before user space loses the DMA ownership.
//! - User space resets a device to which the process is bound (`VFIO_DEVICE_RESET`,
//!   `VFIO_DEVICE_PCI_HOT_RESET`).
//! - In a container: the core fails to make a bond again after the first open or the last close of a device.
//! - In a container: a device to which the process is bound leaves a group in which other devices stay.
//!
//! The driver resets a device in the first open and in the last close.  If the open is through a container,
//! the bonds with the device end before the open or close, and are made again afterwards.  [`Suspension`] stands
//! for the time in between.
//!
//! # Resets and the IOMMU core
//!
//! Before the reset of a function that has ATS, the PCI core calls the IOMMU core
//! (`pci_dev_reset_iommu_prepare()`).  The IOMMU core removes all PASIDs from the device and waits for the
//! device's page requests in flight.  It restores the PASIDs after the reset.  A bus or slot reset does not
//! call the IOMMU core (Linux 7.3).  This module is not told about every reset (configuration space, sysfs,
//! AER).  So there must never be a bond with an address space whose pages are being freed: a reset would
//! restore its PASID.  Therefore a bond ends in the MMU notifier for the end of the address space, and not
//! later.
//!
//! There is one exception: an address space that ends in a task that must not wait (`Releaser::MustNotWait`), such
//! as the handler of a page request.  A work item ends these bonds.  The driver of the IOMMU hardware has a
//! notifier of its own, which removes the PASID from the devices.  The work item runs after this notifier,
//! because the two must not remove the PASID at the same time.
//!
//! # Locks
//!
//! From the outermost to the innermost:
//!
//! - [`BoundProcesses::groups`] is held while bonds are made, and while bonds end, except at the end of an
//!   address space.
//! - [`Process::bonds`] exists once for each [`Process`].  It is held while the bonds of the process end.  A
//!   task that holds it and finds no bonds therefore knows that the IOMMU core has none either.  The locks of the
//!   IOMMU core and the mmap lock of the process are inside it.  The first bonds of a process are made
//!   without this lock, before the process is on the list.
//! - [`BoundProcesses::list`] and `DEFERRED` are leaves.  No code waits while it holds them.
//!
//! The IOMMU core holds its global lock (`iommu_sva_lock`) while it waits for page requests.  So a task that
//! makes or ends a bond can wait for the end of any other bond.  `Documentation/locking.rst` lists all calls
//! that can wait.

mod process;

use crate::{
    kapi::{iommu::IommuGroup, series::EOPNOTSUPP, workqueue::flush_work},
    shared::{params::max_bound_processes, vfio::iommu_driver::GroupType},
    uapi::sva::{check_unbind, BindProcess},
};
use kernel::{
    alloc::Flags,
    current,
    device::Device,
    impl_has_work,
    mm::{MmWithUser, MmWithUserAsync},
    new_mutex, new_work,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::{aref::ARef, Arc, ArcBorrow, Mutex},
    uaccess::UserPtr,
    workqueue::{Work, WorkItem},
};
pub(crate) use process::{is_used, Deferred, Process, DEFERRED};
use process::{List, NewProcess, User};

/// A group of a container.  The container's processes are bound to the device of the group.
struct BoundGroup {
    group: IommuGroup,
    group_type: GroupType,
    /// The number of first opens and last closes that are in progress for the device of the group.
    suspensions: u32,
    /// Bonds have ended, and have to be made again.
    lacks_bonds: bool,
}

/// The devices of a [`BoundProcesses`], and the resets in progress.
struct Groups {
    /// The groups of a container by their keys.  Empty if the processes are bound to one device.  A group that
    /// leaves the container and joins again has another key.
    by_key: RBTree<u64, BoundGroup>,
    /// The number of resets in progress.
    resets: u32,
}

impl Groups {
    /// Checks that processes can be bound to all devices of a container.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there are no groups.
    /// - `EOPNOTSUPP`: a group has no IOMMU, or its devices are emulated.
    fn check(&self) -> Result {
        match self
            .by_key
            .values()
            .all(|entry| entry.group_type == GroupType::Iommu)
        {
            _ if self.by_key.is_empty() => Err(EINVAL),
            true => Ok(()),
            false => Err(EOPNOTSUPP),
        }
    }
}

/// The processes that are bound to one device or to one container.
///
/// The methods that bind or unbind take `groups`, and can wait for page requests in flight with it held.
#[pin_data]
pub(crate) struct BoundProcesses {
    #[pin]
    groups: Mutex<Groups>,
    /// The bound processes.
    #[pin]
    list: Mutex<List>,
    /// The work item that makes bonds again.
    #[pin]
    work: Work<BoundProcesses>,
}

impl_has_work! {
    impl HasWork<Self> for BoundProcesses { self.work }
}

impl BoundProcesses {
    /// Returns a value without processes.
    ///
    /// # Errors
    ///
    /// - `ENOMEM`: out of memory.
    pub(crate) fn new(flags: Flags) -> Result<Arc<Self>> {
        let processes = pin_init!(Self {
            groups <- new_mutex!(
                Groups {
                    by_key: RBTree::new(),
                    resets: 0,
                },
                "BoundProcesses::groups"
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

    /// Binds an address space to the device of `group`, for a device file.  Takes `groups`, and inside it `list`,
    /// [`Process::bonds`], the mmap lock and locks of the IOMMU core.  Also takes the mmap lock alone and, after a
    /// failure, `DEFERRED`.  The caller holds none of these locks.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EBUSY`: a reset is in progress.
    /// - `EEXIST`: the address space is already bound.
    /// - `ENOSPC`: the number of bound processes has reached `max_bound_processes`.
    /// - `ENOMEM`: out of memory.
    /// - Those of [`Watch::begin`](crate::kapi::mmu_notifier::Watch::begin).
    /// - The first three errors again, because the state can have changed.
    /// - Those of [`iommu_sva::bind`](crate::shared::iommu_sva::bind).
    ///
    /// A failed call leaves no bond that it has made.  After `EEXIST` the address space stays bound.
    pub(crate) fn bind(
        self: &Arc<Self>,
        mm: &MmWithUser,
        group: &IommuGroup,
    ) -> Result<Arc<Process>> {
        self.check(&self.groups.lock(), mm)?;
        let new = NewProcess::begin(self, mm)?;
        let groups = self.groups.lock();
        self.check(&groups, mm)?;
        new.bind(mm, core::iter::once(group))
    }

    /// Binds an address space to the devices of all groups, for a container.  Locks: as for
    /// [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EINVAL`: there are no groups.
    /// - `EOPNOTSUPP`: a group has no IOMMU, or its devices are emulated.
    /// - `EBUSY`: the first open or the last close of a device is in progress, or its bonds are not made again yet.
    /// - Those of [`bind`](Self::bind).  Where `bind` checks its first three conditions again, this function
    ///   first checks the three conditions above again.
    pub(crate) fn bind_to_all(self: &Arc<Self>, mm: &MmWithUser) -> Result<Arc<Process>> {
        self.check_all(&self.groups.lock(), mm)?;
        let new = NewProcess::begin(self, mm)?;
        let groups = self.groups.lock();
        self.check_all(&groups, mm)?;
        new.bind(mm, groups.by_key.values().map(|entry| &entry.group))
    }

    /// Checks that an address space can be bound, for a container.
    fn check_all(&self, groups: &Groups, mm: &MmWithUser) -> Result {
        groups.check()?;
        if groups
            .by_key
            .values()
            .any(|p| p.suspensions != 0 || p.lacks_bonds)
        {
            return Err(EBUSY);
        }
        self.check(groups, mm)
    }

    /// Checks that an address space can be bound.
    fn check(&self, groups: &Groups, mm: &MmWithUser) -> Result {
        if groups.resets != 0 {
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

    /// Undoes [`bind`](Self::bind).  Returns the PASID.
    ///
    /// # Errors
    ///
    /// - `ENOENT`: the address space is not bound.
    pub(crate) fn unbind(&self, mm: &MmWithUser) -> Result<u32> {
        let _groups = self.groups.lock();
        self.unbind_from(mm)
    }

    /// Undoes [`bind_to_all`](Self::bind_to_all).  Returns the PASID.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `EOPNOTSUPP`: a group has no IOMMU, or its devices are emulated.
    /// - `ENOENT`: the address space is not bound.
    pub(crate) fn unbind_from_all(&self, mm: &MmWithUser) -> Result<u32> {
        let groups = self.groups.lock();
        match groups.check() {
            // Without groups no process is bound, so this returns `ENOENT`.
            Err(e) if e == EOPNOTSUPP => Err(e),
            _ => self.unbind_from(mm),
        }
    }

    /// Unbinds the address space.  The caller holds the lock of the groups.
    fn unbind_from(&self, mm: &MmWithUser) -> Result<u32> {
        let process = self.list.lock().of_mm(mm).cloned().ok_or(ENOENT)?;
        process.as_arc_borrow().end(User::Held(mm));
        Ok(process.pasid())
    }

    /// Undoes a successful bind of the caller.
    fn undo(&self, process: &Arc<Process>, mm: &MmWithUser) {
        let _groups = self.groups.lock();
        process.as_arc_borrow().end(User::Held(mm));
    }

    /// Adds the entry of a container's group, and binds all processes to the device of the group.  No other
    /// entry has or had this key.
    ///
    /// # Errors
    ///
    /// In this order:
    ///
    /// - `ENOMEM`: out of memory.
    /// - `EOPNOTSUPP`: there are bound processes, and the group has no IOMMU or its devices are emulated.
    /// - Those of [`iommu_sva::bind`](crate::shared::iommu_sva::bind).
    ///
    /// After any failure the group has no entry.
    pub(crate) fn join(&self, key: u64, group: &IommuGroup, group_type: GroupType) -> Result {
        let node = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let mut groups = self.groups.lock();
        match group_type {
            GroupType::Iommu => self.add_all(group)?,
            _ if self.has_living() => return Err(EOPNOTSUPP),
            _ => {}
        }
        let entry = BoundGroup {
            group: group.clone(),
            group_type,
            suspensions: 0,
            lacks_bonds: false,
        };
        groups.by_key.insert(node.into_node(key, entry));
        Ok(())
    }

    /// Removes the entry of a container's group, if there is one, and unbinds all processes from the device
    /// of the group.  When the last entry is removed, all processes are unbound and leave the list.
    pub(crate) fn leave(&self, key: u64, group: &IommuGroup) {
        let mut groups = self.groups.lock();
        groups.by_key.remove(&key);
        match groups.by_key.is_empty() {
            true => self.for_each(|process, user| process.end(user)),
            false => self.for_each(|process, user| process.remove(group, user)),
        }
    }

    /// Ends all bonds of each process that is bound to `dev`.  The device leaves its group, and other devices
    /// stay in the group.  All bonds end, because a process is bound either to all devices or to no device.
    pub(crate) fn remove_device(&self, dev: &Device) {
        let _groups = self.groups.lock();
        self.for_each(|process, user| {
            if process.is_bound_to(dev) {
                process.end(user);
            }
        });
    }

    /// Ends the bonds with the device of a container's group.  The caller is about to open or close the
    /// device.  The drop of the result makes the bonds again.  A process whose bond cannot be made again is
    /// unbound from all devices.  Returns None if the group has no entry.
    pub(crate) fn suspend(self: &Arc<Self>, key: u64, group: &IommuGroup) -> Option<Suspension> {
        let mut groups = self.groups.lock();
        let entry = groups.by_key.get_mut(&key)?;
        entry.suspensions = entry.suspensions.saturating_add(1);
        // No process can be bound until the result is dropped, so only these bonds have to be made again.
        if is_used() {
            let lacks_bonds = &mut entry.lacks_bonds;
            self.for_each(|process, user| {
                *lacks_bonds = true;
                process.remove(group, user);
            });
        }
        drop(groups);
        Some(Suspension {
            from: self.clone(),
            key,
        })
    }

    /// Ends all bonds.  No process can be bound until the result is dropped.
    pub(crate) fn begin_reset(self: &Arc<Self>) -> Resetting {
        let mut groups = self.groups.lock();
        groups.resets = groups.resets.saturating_add(1);
        self.for_each(|process, user| process.end(user));
        drop(groups);
        Resetting(self.clone())
    }

    /// Binds all processes to one more device.  On failure no process is bound to that device.  A process
    /// whose address space has no users is skipped, because its bonds are about to end.  The caller holds the
    /// lock of the groups.
    fn add_all(&self, group: &IommuGroup) -> Result {
        let mut result = Ok(());
        self.for_each(|process, user| {
            if let (Ok(()), User::Held(mm)) = (result, user) {
                result = process.add(group, mm);
            }
        });
        result.inspect_err(|_| self.for_each(|process, user| process.remove(group, user)))
    }

    /// Tells whether there is a process whose address space has users.
    fn has_living(&self) -> bool {
        let mut living = false;
        self.for_each(|_, user| living |= matches!(user, User::Held(_)));
        living
    }

    /// Ends all bonds, for the close of a device file.
    pub(crate) fn end_all(&self) {
        if !is_used() {
            return;
        }
        let _groups = self.groups.lock();
        self.for_each(|process, user| process.end(user));
    }

    /// Calls `f` with each process, the latest last.  The lock of the list is not held during the call.
    fn for_each(&self, mut f: impl FnMut(ArcBorrow<'_, Process>, User<'_>)) {
        let mut after = 0;
        while let Some((process, mm)) = self.next(after) {
            after = process.serial;
            let user = mm.as_deref().map_or(User::None, |mm| User::Held(mm));
            f(process.as_arc_borrow(), user);
        }
    }

    /// Returns the first process whose serial number is above `after`, or None if there is none.  The second element
    /// is a reference on the `mm_users` of the address space, or None if `mm_users` is 0.  The drop of the reference
    /// does not wait (`mmput_async()`).
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

    /// Calls `f` with the PASID of each process, the latest last.  The lock of the list is held during the
    /// call.
    pub(crate) fn for_each_pasid(&self, mut f: impl FnMut(u32)) {
        let list = self.list.lock();
        list.processes
            .values()
            .for_each(|w| f(w.listener().pasid()));
    }
}

impl WorkItem for BoundProcesses {
    type Pointer = Arc<Self>;

    /// Makes bonds again.  This does not run in the task that has opened or closed the device: a pending
    /// signal of that task would make the bind fail.
    fn run(this: Arc<Self>) {
        let mut groups = this.groups.lock();
        for entry in groups.by_key.values_mut() {
            if entry.suspensions != 0 || !core::mem::take(&mut entry.lacks_bonds) {
                continue;
            }
            this.for_each(|process, user| {
                if let User::Held(mm) = user {
                    if process.add(&entry.group, mm).is_err() {
                        process.end(user);
                    }
                }
            });
        }
    }
}

/// A first open or a last close in progress.  While a `Suspension` exists, no process has a bond with the device of
/// a container's group.  The drop of the last `Suspension` for the device has the bonds made again, and waits until
/// they are made.
pub(crate) struct Suspension {
    from: Arc<BoundProcesses>,
    /// The key of the group's entry.
    key: u64,
}

impl Drop for Suspension {
    fn drop(&mut self) {
        let mut groups = self.from.groups.lock();
        // The group can have left the container in the meantime.
        let Some(entry) = groups.by_key.get_mut(&self.key) else {
            return;
        };
        entry.suspensions = entry.suspensions.saturating_sub(1);
        if entry.suspensions != 0 || !entry.lacks_bonds {
            return;
        }
        drop(groups);
        if let Some(deferred) = DEFERRED.lock().as_ref() {
            // If the work is already pending, it has not read `lacks_bonds` yet.
            let _ = deferred
                .queue
                .queue()
                .enqueue::<Arc<BoundProcesses>, 0>(self.from.clone());
        }
        flush_work(&*self.from);
    }
}

/// A reset in progress.  While a `Resetting` exists, no process is bound, or can be bound, to the device or
/// container of its `BoundProcesses`.
pub(crate) struct Resetting(Arc<BoundProcesses>);

impl Drop for Resetting {
    fn drop(&mut self) {
        let mut groups = self.0.groups.lock();
        groups.resets = groups.resets.saturating_sub(1);
    }
}

/// Handles `VFIO_BIND_PROCESS` of the calling process.  `bind` chooses the device or container, and calls
/// [`BoundProcesses::bind`] or [`BoundProcesses::bind_to_all`].  Returns the PASID.
///
/// # Errors
///
/// In this order:
///
/// - Those of [`BindProcess::read`].
/// - `EINVAL`: the task has no address space.
/// - Those of `bind`.
/// - `EFAULT`: the PASID cannot be written.  The bind is undone.
pub(crate) fn bind_caller(
    arg: UserPtr,
    bind: impl FnOnce(&MmWithUser) -> Result<Arc<Process>>,
) -> Result<u32> {
    let arg = BindProcess::read(arg)?;
    let task = current!();
    let mm = task.mm().ok_or(EINVAL)?;
    let process = bind(mm)?;
    arg.write_pasid(process.pasid())
        .inspect_err(|_| process.processes.undo(&process, mm))?;
    Ok(process.pasid())
}

/// Handles `VFIO_UNBIND_PROCESS` of the calling process.  `unbind` chooses the device or container, and calls
/// [`BoundProcesses::unbind`] or [`BoundProcesses::unbind_from_all`].  Returns the PASID.
///
/// # Errors
///
/// In this order:
///
/// - Those of [`check_unbind`].
/// - `EINVAL`: the task has no address space.
/// - Those of `unbind`.
pub(crate) fn unbind_caller(
    arg: UserPtr,
    unbind: impl FnOnce(&MmWithUser) -> Result<u32>,
) -> Result<u32> {
    check_unbind(arg)?;
    let task = current!();
    unbind(task.mm().ok_or(EINVAL)?)
}
